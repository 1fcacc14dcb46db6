/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.show, .add, .change, .replace, .del and .default: their members. */
#include "agent/request_endpoint.h"

#include <errno.h>

static int parse_show(struct cv_request_parser *p)
{
	const json_t *endpoint = json_object_get(p->root, "endpoint");
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("endpoint", "counters"));

	p->request->kind = CV_REQUEST_ENDPOINT_SHOW;
	if (!rc)
		rc = cv_request_read_bool(p, "counters", &p->request->counters);
	if (rc || !endpoint)
		return rc;
	return cv_endpoint_patch_from_json(endpoint, &p->request->endpoint.patch, p->error);
}

static int parse_change(struct cv_request_parser *p, enum cv_endpoint_verb verb)
{
	struct cv_endpoint_change *change = &p->request->endpoint;
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("endpoint"));

	p->request->kind = CV_REQUEST_ENDPOINT_CHANGE;
	change->verb = verb;
	if (!rc)
		rc = cv_endpoint_patch_from_json(json_object_get(p->root, "endpoint"),
						 &change->patch, p->error);
	if (!rc && !(change->patch.given & CV_ENDPOINT_DEV))
		rc = cv_error_set(p->error, -EINVAL, "an endpoint without a device; give one");
	return rc;
}

static int parse_add(struct cv_request_parser *p)
{
	return parse_change(p, CV_ENDPOINT_ADD);
}

static int parse_endpoint_change(struct cv_request_parser *p)
{
	return parse_change(p, CV_ENDPOINT_CHANGE);
}

static int parse_replace(struct cv_request_parser *p)
{
	return parse_change(p, CV_ENDPOINT_REPLACE);
}

static int parse_del(struct cv_request_parser *p)
{
	return parse_change(p, CV_ENDPOINT_DELETE);
}

static int parse_default(struct cv_request_parser *p)
{
	const json_t *bypass = json_object_get(p->root, "bypass");
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("bypass"));

	p->request->kind = CV_REQUEST_ENDPOINT_DEFAULT;
	if (rc || !bypass)
		return rc;
	if (!json_is_string(bypass))
		return cv_error_set(p->error, -EINVAL, "\"bypass\" must be \"on\" or \"off\"");
	p->request->has_bypass = true;
	return cv_endpoint_parse_default(json_string_value(bypass), &p->request->bypass, p->error);
}

const struct cv_request_command cv_request_endpoint_commands[CV_REQUEST_ENDPOINT_COMMANDS] = {
	{"endpoint.show", parse_show},
	{"endpoint.add", parse_add},
	{"endpoint.change", parse_endpoint_change},
	{"endpoint.replace", parse_replace},
	{"endpoint.del", parse_del},
	{"endpoint.default", parse_default},
};
