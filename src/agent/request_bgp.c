/* SPDX-License-Identifier: Apache-2.0 */
/* bgp.status, bgp.peers, bgp.routes and bgp.restart: their members. */
#include "agent/request_bgp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int parse_plain(struct cv_request_parser *p, enum cv_request_kind kind)
{
	p->request->kind = kind;
	return cv_request_check_members(p, CV_REQUEST_NO_MEMBERS);
}

static int parse_status(struct cv_request_parser *p)
{
	return parse_plain(p, CV_REQUEST_BGP_STATUS);
}

static int parse_peers(struct cv_request_parser *p)
{
	return parse_plain(p, CV_REQUEST_BGP_PEERS);
}

static int parse_restart(struct cv_request_parser *p)
{
	return parse_plain(p, CV_REQUEST_BGP_RESTART);
}

static int read_which(struct cv_request_parser *p)
{
	static const char *const names[] = {
		[CV_BGP_LEARNED] = "learned",
		[CV_BGP_REFUSED] = "refused",
		[CV_BGP_EXPORTED] = "exported",
	};
	const json_t *which = json_object_get(p->root, "which");
	const char *text = json_string_value(which);

	if (!which)
		return 0;
	for (unsigned int i = 0; text && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		p->request->bgp.which = i;
		return 0;
	}
	return cv_error_set(p->error, -EINVAL,
			    "\"which\" must be \"learned\", \"refused\" or \"exported\"");
}

/* "10.244.1.0/26", or an address. */
static int read_prefix(struct cv_request_parser *p)
{
	struct cv_request_bgp *bgp = &p->request->bgp;
	const json_t *prefix = json_object_get(p->root, "prefix");
	const char *text = json_string_value(prefix);
	int rc;

	if (!prefix)
		return 0;
	rc = text ? cv_prefix_parse(text, &bgp->prefix) : -EINVAL;
	if (rc && rc != -ENODATA)
		return cv_error_set(p->error, -EINVAL,
				    "\"prefix\" must be a prefix or an address, like "
				    "\"10.244.1.0/26\" or \"10.244.1.2\"%s",
				    rc == -ERANGE ? "; bits are set behind its length" : "");
	bgp->has_prefix = true;
	return 0;
}

static int parse_routes(struct cv_request_parser *p)
{
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("which", "prefix"));

	p->request->kind = CV_REQUEST_BGP_ROUTES;
	if (!rc)
		rc = read_which(p);
	return rc ? rc : read_prefix(p);
}

const struct cv_request_command cv_request_bgp_commands[CV_REQUEST_BGP_COMMANDS] = {
	{"bgp.status", parse_status},
	{"bgp.peers", parse_peers},
	{"bgp.routes", parse_routes},
	{"bgp.restart", parse_restart},
};
