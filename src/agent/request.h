/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the control protocol (protocol.md), parsed; and its answers. */
#ifndef CV_AGENT_REQUEST_H
#define CV_AGENT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "agent/pods.h"
#include "model/resource.h"
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
	CV_REQUEST_APPLY,
	CV_REQUEST_DELETE,
	CV_REQUEST_GET,
	CV_REQUEST_DIFF,
	CV_REQUEST_TRACE,
	CV_REQUEST_DOCTOR,
	CV_REQUEST_METRICS,
	CV_REQUEST_PATH,
	CV_REQUEST_BGP_STATUS,
	CV_REQUEST_BGP_PEERS,
	CV_REQUEST_BGP_ROUTES,
	CV_REQUEST_BGP_RESTART,
	CV_REQUEST_IPAM_SHOW,
	CV_REQUEST_IPAM_CHECK,
	CV_REQUEST_IPAM_RELEASE,
	CV_REQUEST_IPAM_RESERVE,
	CV_REQUEST_MIGRATE,
	CV_REQUEST_MIGRATE_STATUS,
	CV_REQUEST_CNI_ADD,
	CV_REQUEST_CNI_ATTACH,
	CV_REQUEST_CNI_DEL,
	CV_REQUEST_CNI_CHECK,
	CV_REQUEST_CNI_GC,
	CV_REQUEST_CNI_STATUS,
	CV_REQUEST_PODS,
};

/* A manifest that came with a request. */
struct cv_request_file {
	const char *name; /* as the client calls it: for messages */
	const char *text; /* not terminated by its length: it has no NUL inside, and one behind */
	size_t length;
};

/* apply, delete, get, diff: what about. Strings are those of the request's `root`. */
struct cv_request_resources {
	struct cv_request_file *files; /* owned; apply and diff have at least one */
	size_t file_count;
	bool has_kind; /* get: of this kind alone; delete: by kind and names, without files */
	enum cv_kind kind;
	const char **names; /* owned; delete: at least one; get: at most one */
	size_t name_count;
	bool dry_run;
};

struct cv_request_trace {
	__be32 to;
	__be32 from;	       /* 0: not given */
	char device[IFNAMSIZ]; /* that the packet comes in by; "": it is this host's own */
};

enum cv_bgp_which {
	CV_BGP_LEARNED,
	CV_BGP_REFUSED,
	CV_BGP_EXPORTED,
};

/* bgp.routes */
struct cv_request_bgp {
	enum cv_bgp_which which;
	bool has_prefix;
	struct cv_prefix
		prefix; /* routes in it alone; length 32: those that have the address, too */
};

/* ipam.*; strings are those of the request's `root` */
struct cv_request_ipam {
	bool blocks;	     /* show: with all blocks */
	bool fix;	     /* check */
	__be32 address;	     /* 0: not given */
	const char *handle;  /* release: instead of the address; or NULL */
	const char *comment; /* reserve; NULL: none */
};

/* migrate */
struct cv_request_migrate {
	bool from_calico;      /* not from this node's files */
	const char *datastore; /* absolute path of a CalicoAPIConfig */
	bool dry_run;
};

/* Of the plugin. Strings are those of `root`. */
struct cv_request_cni {
	struct cv_pods_key key; /* del, check */
	struct cv_pods_add add;
	struct cv_pods_attach attach;
	const char **pools;	   /* add's; owned */
	const char *network;	   /* gc */
	struct cv_pods_key *valid; /* gc; owned; network is NULL */
	size_t valid_count;
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
	struct cv_request_resources resources;
	struct cv_request_trace trace;
	struct cv_request_bgp bgp;
	struct cv_request_ipam ipam;
	struct cv_request_migrate migrate;
	struct cv_request_cni cni;
	/* doctor: a Node's name or an address; NULL: none is probed. path: one of these, or a
	 * tunnel's device; NULL: all. */
	const char *peer;
	json_t *root; /* owned: keeps the strings above */
};

enum {
	CV_REQUEST_CHANGES_MAX = 4096,
	/* Members and items of a line that is longer than CV_CONTROL_LINE_MAX: what 1 MiB of the
	 * shortest could have been, so that a long line is no way to fill the memory. */
	CV_REQUEST_ITEMS_MAX = 1 << 18,
	CV_REQUEST_NAME_MAX = 4096, /* bytes of a file's name, of a resource's, of a peer's */
};

/*
 * Parse one line of length bytes, without its newline. 0; -EBADMSG: not the protocol at all, the
 * connection should be closed; -EPROTONOSUPPORT: another version; -EOPNOTSUPP: unknown command;
 * -EINVAL, -E2BIG. *ret_id is always set: the request's id, or JSON null where there is none; the
 * caller owns it. *ret_index: of the change at fault, for an error in a batch, else -1.
 * cv_request_fini frees what is in *ret_request.
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

/*
 * Members beyond version, id and command must be among those allowed, a list that NULL ends. 0 or
 * -EINVAL with what was probably meant.
 */
int cv_request_check_members(struct cv_request_parser *parser, const char *const *allowed);
#define CV_REQUEST_MEMBERS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define CV_REQUEST_NO_MEMBERS	((const char *const[]){NULL})

/* A member that is true, false or missing (false). 0 or -EINVAL. */
int cv_request_read_bool(struct cv_request_parser *parser, const char *name, bool *ret_value);

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
