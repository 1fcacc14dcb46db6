/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply, delete, get, diff, trace, doctor and metrics: their members. Texts are not copied: the
 * request points into the parsed line, which it keeps.
 */
#include "agent/request_resource.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- single members -------------------------------------------------------------- */

/* A string of 1 to CV_REQUEST_NAME_MAX bytes, or NULL. */
static const char *name_of(const json_t *value)
{
	size_t length = json_string_length(value);

	return length && length <= CV_REQUEST_NAME_MAX ? json_string_value(value) : NULL;
}

static int read_address(struct cv_request_parser *p, const char *name, __be32 *ret_address)
{
	const char *text = json_string_value(json_object_get(p->root, name));
	__be32 address;

	if (!text || inet_pton(AF_INET, text, &address) != 1)
		return cv_error_set(p->error, -EINVAL,
				    "\"%s\" must be an IPv4 address, like \"10.244.1.2\"", name);
	*ret_address = address;
	return 0;
}

static int read_device(struct cv_request_parser *p, char ret_device[IFNAMSIZ])
{
	const json_t *device = json_object_get(p->root, "device");
	const char *name = name_of(device);

	if (!device)
		return 0;
	if (!name || strlen(name) >= IFNAMSIZ)
		return cv_error_set(p->error, -EINVAL,
				    "\"device\" must be a device's name of at most %d characters",
				    IFNAMSIZ - 1);
	memcpy(ret_device, name, strlen(name) + 1);
	return 0;
}

static int read_kind(struct cv_request_parser *p)
{
	struct cv_request_resources *resources = &p->request->resources;
	const json_t *kind = json_object_get(p->root, "kind");

	if (!kind)
		return 0;
	if (!name_of(kind))
		return cv_error_set(p->error, -EINVAL, "\"kind\" must be a kind, like \"IPPool\"");
	resources->has_kind = true;
	return cv_kind_parse(json_string_value(kind), &resources->kind, p->error);
}

/* ---- lists ------------------------------------------------------------------------ */

/* {"name": …, "text": …}, and nothing else. */
static int read_file(const json_t *item, struct cv_request_file *ret_file, struct cv_error *error)
{
	const json_t *text = json_object_get(item, "text");
	const char *name = name_of(json_object_get(item, "name"));

	if (!name || !json_is_string(text) || json_object_size(item) != 2)
		return cv_error_set(error, -EINVAL,
				    "a file must be an object of \"name\" and \"text\"");
	*ret_file = (struct cv_request_file){
		.name = name,
		.text = json_string_value(text),
		.length = json_string_length(text),
	};
	return 0;
}

static int read_files(struct cv_request_parser *p)
{
	struct cv_request_resources *resources = &p->request->resources;
	const json_t *files = json_object_get(p->root, "files");
	size_t count = json_array_size(files);
	int rc = 0;

	if (!count)
		return cv_error_set(p->error, -EINVAL,
				    "\"files\" must be a list of at least one file");
	resources->files = calloc(count, sizeof(*resources->files));
	if (!resources->files)
		return cv_error_set(p->error, -ENOMEM, "out of memory");
	resources->file_count = count;
	for (size_t i = 0; i < count && !rc; i++)
		rc = read_file(json_array_get(files, i), &resources->files[i], p->error);
	return rc;
}

/* items: a list of names, or one name (get). */
static int read_names(struct cv_request_parser *p, const json_t *items)
{
	struct cv_request_resources *resources = &p->request->resources;
	size_t count = json_is_array(items) ? json_array_size(items) : 1;

	resources->names = calloc(count + 1, sizeof(*resources->names));
	if (!resources->names)
		return cv_error_set(p->error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const char *name = name_of(json_is_array(items) ? json_array_get(items, i) : items);

		if (!name)
			return cv_error_set(p->error, -EINVAL,
					    "a resource's name must be a string of 1 to %d bytes",
					    CV_REQUEST_NAME_MAX);
		resources->names[i] = name;
	}
	resources->name_count = count;
	return 0;
}

/* ---- requests --------------------------------------------------------------------- */

static int parse_apply(struct cv_request_parser *p)
{
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("files", "dry_run"));

	p->request->kind = CV_REQUEST_APPLY;
	if (!rc)
		rc = cv_request_read_bool(p, "dry_run", &p->request->resources.dry_run);
	return rc ? rc : read_files(p);
}

static int parse_diff(struct cv_request_parser *p)
{
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("files"));

	p->request->kind = CV_REQUEST_DIFF;
	return rc ? rc : read_files(p);
}

static int read_kind_and_names(struct cv_request_parser *p)
{
	const json_t *names = json_object_get(p->root, "names");
	int rc = read_kind(p);

	if (rc)
		return rc;
	if (!p->request->resources.has_kind || !json_array_size(names))
		return cv_error_set(p->error, -EINVAL,
				    "what to delete is given by \"kind\" and a list of \"names\", "
				    "or by \"files\"");
	return read_names(p, names);
}

static int parse_delete(struct cv_request_parser *p)
{
	bool by_file = json_object_get(p->root, "files");
	int rc = by_file ? cv_request_check_members(p, CV_REQUEST_MEMBERS("files", "dry_run"))
			 : cv_request_check_members(p,
						    CV_REQUEST_MEMBERS("kind", "names", "dry_run"));

	p->request->kind = CV_REQUEST_DELETE;
	if (!rc)
		rc = cv_request_read_bool(p, "dry_run", &p->request->resources.dry_run);
	if (rc)
		return rc;
	return by_file ? read_files(p) : read_kind_and_names(p);
}

static int parse_get(struct cv_request_parser *p)
{
	const json_t *name = json_object_get(p->root, "name");
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("kind", "name"));

	p->request->kind = CV_REQUEST_GET;
	if (!rc)
		rc = read_kind(p);
	if (rc || !name)
		return rc;
	if (!json_is_string(name))
		return cv_error_set(p->error, -EINVAL, "\"name\" must be a resource's name");
	return read_names(p, name);
}

static int parse_trace(struct cv_request_parser *p)
{
	struct cv_request_trace *trace = &p->request->trace;
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("to", "from", "device"));

	p->request->kind = CV_REQUEST_TRACE;
	if (!rc)
		rc = read_address(p, "to", &trace->to);
	if (!rc && json_object_get(p->root, "from"))
		rc = read_address(p, "from", &trace->from);
	return rc ? rc : read_device(p, trace->device);
}

/* peers: what it may be. */
static int read_peer(struct cv_request_parser *p, const char *peers)
{
	const json_t *peer = json_object_get(p->root, "peer");
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("peer"));

	if (rc || !peer)
		return rc;
	p->request->peer = name_of(peer);
	if (!p->request->peer)
		return cv_error_set(p->error, -EINVAL, "\"peer\" must be %s", peers);
	return 0;
}

static int parse_doctor(struct cv_request_parser *p)
{
	p->request->kind = CV_REQUEST_DOCTOR;
	return read_peer(p, "a Node's name or an address");
}

static int parse_path(struct cv_request_parser *p)
{
	p->request->kind = CV_REQUEST_PATH;
	return read_peer(p, "a remote's address, a Node's name or a tunnel's device");
}

static int parse_metrics(struct cv_request_parser *p)
{
	p->request->kind = CV_REQUEST_METRICS;
	return cv_request_check_members(p, CV_REQUEST_NO_MEMBERS);
}

const struct cv_request_command cv_request_resource_commands[CV_REQUEST_RESOURCE_COMMANDS] = {
	{"apply", parse_apply},	    {"delete", parse_delete}, {"get", parse_get},
	{"diff", parse_diff},	    {"trace", parse_trace},   {"doctor", parse_doctor},
	{"metrics", parse_metrics}, {"path", parse_path},
};
