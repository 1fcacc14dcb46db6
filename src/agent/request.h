/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the control protocol (protocol.md), parsed; and its answers. */
#ifndef CV_AGENT_REQUEST_H
#define CV_AGENT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "tunnel/error.h"
#include "tunnel/plan.h"

enum cv_request_kind {
	CV_REQUEST_STATUS,
	CV_REQUEST_SHOW,
	CV_REQUEST_CAPTURE,
	CV_REQUEST_CHANGES, /* add, change, replace, del: one; batch: any number */
};

struct cv_request {
	enum cv_request_kind kind;
	struct cv_tunnel_patch filter;	  /* show: only tunnels that match; capture: its name */
	uint32_t snap;			  /* capture: bytes of each packet */
	bool counters;			  /* show: with counters */
	bool batch;			  /* changes: an error names the index */
	struct cv_tunnel_change *changes; /* owned: cv_request_fini */
	size_t count;
};

enum {
	CV_REQUEST_CHANGES_MAX = 4096
};

/*
 * Parse one line of length bytes, without its newline. 0; -EBADMSG: not the protocol at all, the
 * connection should be closed; -EPROTONOSUPPORT: another version; -EOPNOTSUPP: unknown command;
 * -EINVAL, -E2BIG. *ret_id is always set: the request's id, or JSON null where there is none; the
 * caller owns it. *ret_index: of the change at fault, for an error in a batch, else -1.
 */
int cv_request_parse(const char *line, size_t length, struct cv_request *ret_request,
		     json_t **ret_id, long *ret_index, struct cv_error *error);

void cv_request_fini(struct cv_request *request);

/*
 * Answers, each a line with its newline, which the caller frees; NULL without memory. result is
 * taken over; id is not. index < 0: none.
 */
char *cv_answer_result(const json_t *id, json_t *result);
char *cv_answer_error(const json_t *id, int err, const char *message, long index);

/* The protocol's code for an error: "exists" for -EEXIST. */
const char *cv_answer_code(int err);

#endif
