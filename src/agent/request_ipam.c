/* SPDX-License-Identifier: Apache-2.0 */
/* ipam.show, ipam.check, ipam.release, ipam.reserve, migrate and migrate.status. */
#include "agent/request_ipam.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "ipam/ipam.h"
#include "net/prefix.h"

/* A member that is a string or missing (NULL); "" is wrong. */
static int read_text(struct cv_request_parser *p, const char *name, size_t max,
		     const char **ret_text)
{
	const json_t *member = json_object_get(p->root, name);
	const char *text = json_string_value(member);

	*ret_text = text;
	if (!member)
		return 0;
	if (!text || !*text || json_string_length(member) != strlen(text))
		return cv_error_set(p->error, -EINVAL, "\"%s\" must be a text", name);
	if (strlen(text) >= max)
		return cv_error_set(p->error, -EINVAL, "\"%s\" is too long; at most %zu bytes",
				    name, max - 1);
	return 0;
}

/* 0.0.0.0 is nobody's. */
static int read_address(struct cv_request_parser *p)
{
	struct cv_request_ipam *ipam = &p->request->ipam;
	const char *text;
	struct cv_prefix prefix;
	int rc = read_text(p, "address", CV_PREFIX_TEXT_MAX, &text);

	if (rc || !text)
		return rc;
	if (cv_prefix_parse(text, &prefix) != -ENODATA || !prefix.address)
		return cv_error_set(p->error, -EINVAL,
				    "\"address\" must be an address like \"10.244.1.5\", not "
				    "\"%.64s\"",
				    text);
	ipam->address = prefix.address;
	return 0;
}

static int parse_show(struct cv_request_parser *p)
{
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("blocks", "address"));

	p->request->kind = CV_REQUEST_IPAM_SHOW;
	if (!rc)
		rc = cv_request_read_bool(p, "blocks", &p->request->ipam.blocks);
	return rc ? rc : read_address(p);
}

static int parse_check(struct cv_request_parser *p)
{
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("fix"));

	p->request->kind = CV_REQUEST_IPAM_CHECK;
	return rc ? rc : cv_request_read_bool(p, "fix", &p->request->ipam.fix);
}

static int parse_release(struct cv_request_parser *p)
{
	struct cv_request_ipam *ipam = &p->request->ipam;
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("address", "handle"));

	p->request->kind = CV_REQUEST_IPAM_RELEASE;
	if (!rc)
		rc = read_address(p);
	if (!rc)
		rc = read_text(p, "handle", CV_IPAM_HANDLE_MAX, &ipam->handle);
	if (!rc && !ipam->address == !ipam->handle)
		rc = cv_error_set(p->error, -EINVAL,
				  "what is to be released? Give \"address\" or \"handle\"");
	return rc;
}

static int parse_reserve(struct cv_request_parser *p)
{
	struct cv_request_ipam *ipam = &p->request->ipam;
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("address", "comment"));

	p->request->kind = CV_REQUEST_IPAM_RESERVE;
	if (!rc)
		rc = read_address(p);
	if (!rc)
		rc = read_text(p, "comment", CV_REQUEST_COMMENT_MAX + 1, &ipam->comment);
	if (!rc && !ipam->address)
		rc = cv_error_set(p->error, -EINVAL, "what is to be reserved? Give \"address\"");
	return rc;
}

static int read_from(struct cv_request_parser *p)
{
	const json_t *from = json_object_get(p->root, "from");
	const char *text = json_string_value(from);

	if (from && (!text || (strcmp(text, "files") != 0 && strcmp(text, "calico") != 0)))
		return cv_error_set(p->error, -EINVAL, "\"from\" must be \"files\" or \"calico\"");
	p->request->migrate.from_calico = from && !strcmp(text, "calico");
	return 0;
}

static int parse_migrate(struct cv_request_parser *p)
{
	struct cv_request_migrate *migrate = &p->request->migrate;
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("from", "datastore", "dry_run"));

	p->request->kind = CV_REQUEST_MIGRATE;
	if (!rc)
		rc = read_from(p);
	if (!rc)
		rc = read_text(p, "datastore", PATH_MAX, &migrate->datastore);
	if (!rc)
		rc = cv_request_read_bool(p, "dry_run", &migrate->dry_run);
	if (!rc && (!migrate->datastore || migrate->datastore[0] != '/'))
		rc = cv_error_set(p->error, -EINVAL,
				  "\"datastore\" must be a file's path that begins with \"/\"");
	return rc;
}

static int parse_migrate_status(struct cv_request_parser *p)
{
	p->request->kind = CV_REQUEST_MIGRATE_STATUS;
	return cv_request_check_members(p, CV_REQUEST_NO_MEMBERS);
}

const struct cv_request_command cv_request_ipam_commands[CV_REQUEST_IPAM_COMMANDS] = {
	{"ipam.show", parse_show},	 {"ipam.check", parse_check},
	{"ipam.release", parse_release}, {"ipam.reserve", parse_reserve},
	{"migrate", parse_migrate},	 {"migrate.status", parse_migrate_status},
};
