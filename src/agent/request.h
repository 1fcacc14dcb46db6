/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the control protocol (protocol.md), parsed; and its answers. */
#ifndef CV_AGENT_REQUEST_H
#define CV_AGENT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "tunnel/endpoint.h"
#include "tunnel/error.h"
#include "tunnel/plan.h"

enum cv_request_kind {
	CV_REQUEST_STATUS,
	CV_REQUEST_SHOW,
	CV_REQUEST_CAPTURE,
	CV_REQUEST_CHANGES, /* add, change, replace, del: one; batch: any number */
	CV_REQUEST_ENDPOINT_SHOW,
	CV_REQUEST_ENDPOINT_CHANGE, /* add, change, replace, del */
	CV_REQUEST_ENDPOINT_DEFAULT,
};

struct cv_request {
	enum cv_request_kind kind;
	struct cv_tunnel_patch filter;	  /* show: only tunnels that match; capture: its name */
	uint32_t snap;			  /* capture: bytes of each packet */
	bool counters;			  /* both kinds of show: with counters */
	bool batch;			  /* changes: an error names the index */
	struct cv_tunnel_change *changes; /* owned: cv_request_fini */
	size_t count;
	struct cv_endpoint_change endpoint; /* its patch filters what endpoint.show shows */
	bool has_bypass;		    /* endpoint.default: to be set */
	bool bypass;
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

/* A request's members, checked: what a list of these parsers shares. */
struct cv_request_parser {
	json_t *root;		    /* the parsed line */
	struct cv_request *request; /* to be filled */
	long index;		    /* of the change at fault, or -1 */
	struct cv_error *error;
};

/* A command of the protocol, and what reads its members. */
struct cv_request_command {
	const char *name;
	int (*parse)(struct cv_request_parser *parser);
};

/* Members beyond version, id and command must be among those allowed (NULL: none). 0 or -EINVAL. */
int cv_request_check_members(struct cv_request_parser *parser, const char *allowed_1,
			     const char *allowed_2);

/* The member "counters": true, false or missing. 0 or -EINVAL. */
int cv_request_read_counters(struct cv_request_parser *parser);

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
