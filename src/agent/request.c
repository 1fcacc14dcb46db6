/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and answers as JSON. Everything a client may send is judged here, before
 * anything is done: types, unknown members, lengths.
 */
#include "agent/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control.h"
#include "agent/request_bgp.h"
#include "agent/request_cni.h"
#include "agent/request_endpoint.h"
#include "agent/request_ipam.h"
#include "agent/request_resource.h"
#include "model/nearest.h"

/* ---- answers ------------------------------------------------------------------- */

static const struct {
	int err;
	const char *code;
} codes[] = {
	{-EBADMSG, "malformed"},
	{-EMSGSIZE, "too-long"},
	{-ETIMEDOUT, "too-slow"},
	{-EPROTONOSUPPORT, "version"},
	{-EOPNOTSUPP, "unknown-command"},
	{-EINVAL, "invalid"},
	{-E2BIG, "too-many"},
	{-EUSERS, "too-many"},
	{-EEXIST, "exists"},
	{-ENOENT, "not-found"},
	{-ENODEV, "no-device"},
	{-EBUSY, "busy"},
	{-EPERM, "not-permitted"},
	{-EACCES, "not-permitted"},
	{-ENOSPC, "no-space"},
	{-EDQUOT, "no-space"},
	{-ENOMEM, "no-memory"},
	{-EUCLEAN, "store-broken"},
	{-EROFS, "read-only"},
	{-ENODATA, "no-address"},
	{-EADDRINUSE, "address-in-use"},
	{-EADDRNOTAVAIL, "address-not-available"},
	{-EHOSTUNREACH, "unavailable"},
};

const char *cv_answer_code(int err)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].err == err)
			return codes[i].code;
	}
	return "failed";
}

/* Dump and free. */
static char *to_line(json_t *answer)
{
	size_t length = answer ? json_dumpb(answer, NULL, 0, JSON_COMPACT) : 0;
	char *line = length ? malloc(length + 2) : NULL;

	if (line) {
		json_dumpb(answer, line, length, JSON_COMPACT);
		line[length] = '\n';
		line[length + 1] = '\0';
	}
	json_decref(answer);
	return line;
}

/* jansson's reference counts are no part of a value. */
static json_t *share(const json_t *json)
{
	return json_incref((json_t *)(uintptr_t)json);
}

char *cv_answer_result(const json_t *id, json_t *result)
{
	return to_line(json_pack("{s:i, s:o, s:b, s:o}", "version", CV_CONTROL_VERSION, "id",
				 share(id), "ok", 1, "result", result));
}

char *cv_answer_error(const json_t *id, int err, const char *message, long index)
{
	json_t *error = json_pack("{s:s, s:s}", "code", cv_answer_code(err), "message", message);

	if (index >= 0)
		json_object_set_new(error, "index", json_integer(index));
	return to_line(json_pack("{s:i, s:o, s:b, s:o}", "version", CV_CONTROL_VERSION, "id",
				 share(id), "ok", 0, "error", error));
}

/* ---- requests ------------------------------------------------------------------ */

static bool is_among(const char *const *words, const char *word)
{
	while (*words && strcmp(*words, word))
		words++;
	return *words;
}

int cv_request_check_members(struct cv_request_parser *p, const char *const *allowed)
{
	static const char *const always[] = {"version", "id", "command", NULL};
	const char *key;
	json_t *value;

	json_object_foreach(p->root, key, value)
	{
		struct cv_nearest nearest;

		if (is_among(always, key) || is_among(allowed, key))
			continue;
		cv_nearest_init(&nearest, key);
		for (const char *const *word = allowed; *word; word++)
			cv_nearest_offer(&nearest, *word);
		return cv_error_set(
			p->error, -EINVAL, "unknown member \"%.64s\" of the request%s%s", key,
			nearest.best ? "; did you mean " : "", nearest.best ? nearest.best : "");
	}
	return 0;
}

int cv_request_read_bool(struct cv_request_parser *p, const char *name, bool *ret_value)
{
	const json_t *value = json_object_get(p->root, name);

	if (value && !json_is_boolean(value))
		return cv_error_set(p->error, -EINVAL, "\"%s\" must be true or false", name);
	*ret_value = json_is_true(value);
	return 0;
}

static int parse_status(struct cv_request_parser *p)
{
	p->request->kind = CV_REQUEST_STATUS;
	return cv_request_check_members(p, CV_REQUEST_NO_MEMBERS);
}

static int parse_show(struct cv_request_parser *p)
{
	const json_t *tunnel = json_object_get(p->root, "tunnel");
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("tunnel", "counters"));

	p->request->kind = CV_REQUEST_SHOW;
	if (!rc)
		rc = cv_request_read_bool(p, "counters", &p->request->counters);
	if (rc)
		return rc;
	return tunnel ? cv_tunnel_patch_from_json(tunnel, &p->request->filter, p->error) : 0;
}

/* The tunnel is named as in all requests; nothing else may be said of it. */
static int parse_capture(struct cv_request_parser *p)
{
	const json_t *tunnel = json_object_get(p->root, "tunnel");
	const json_t *snap = json_object_get(p->root, "snap");
	json_int_t bytes = snap ? json_integer_value(snap) : CV_CONTROL_CAPTURE_SNAP_MAX;
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("tunnel", "snap"));

	p->request->kind = CV_REQUEST_CAPTURE;
	if (!rc && tunnel)
		rc = cv_tunnel_patch_from_json(tunnel, &p->request->filter, p->error);
	if (rc)
		return rc;
	if (tunnel && p->request->filter.given != CV_TUNNEL_NAME)
		return cv_error_set(p->error, -EINVAL,
				    "the tunnel to capture from is given by its \"name\" alone");
	if ((snap && !json_is_integer(snap)) || bytes < 1 || bytes > CV_CONTROL_CAPTURE_SNAP_MAX)
		return cv_error_set(p->error, -EINVAL, "\"snap\" must be a number from 1 to %d",
				    CV_CONTROL_CAPTURE_SNAP_MAX);
	p->request->snap = (uint32_t)bytes;
	return 0;
}

static int parse_change(const json_t *tunnel, enum cv_tunnel_verb verb,
			struct cv_tunnel_change *ret_change, struct cv_error *error)
{
	int rc = cv_tunnel_patch_from_json(tunnel, &ret_change->patch, error);

	if (rc)
		return rc;
	if (!(ret_change->patch.given & CV_TUNNEL_NAME))
		return cv_error_set(error, -EINVAL, "a tunnel without a name; give one");
	ret_change->verb = verb;
	return 0;
}

static int allocate_changes(struct cv_request_parser *p, size_t count)
{
	p->request->kind = CV_REQUEST_CHANGES;
	p->request->changes = calloc(count + 1, sizeof(*p->request->changes));
	if (!p->request->changes)
		return cv_error_set(p->error, -ENOMEM, "out of memory");
	p->request->count = count;
	return 0;
}

static int parse_one_change(struct cv_request_parser *p, enum cv_tunnel_verb verb)
{
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("tunnel"));

	if (!rc)
		rc = allocate_changes(p, 1);
	if (rc)
		return rc;
	return parse_change(json_object_get(p->root, "tunnel"), verb, p->request->changes,
			    p->error);
}

static int parse_add(struct cv_request_parser *p)
{
	return parse_one_change(p, CV_TUNNEL_ADD);
}

static int parse_tunnel_change(struct cv_request_parser *p)
{
	return parse_one_change(p, CV_TUNNEL_CHANGE);
}

static int parse_replace(struct cv_request_parser *p)
{
	return parse_one_change(p, CV_TUNNEL_REPLACE);
}

static int parse_del(struct cv_request_parser *p)
{
	return parse_one_change(p, CV_TUNNEL_DELETE);
}

static const struct {
	const char *name;
	enum cv_tunnel_verb verb;
} verbs[] = {
	{"add", CV_TUNNEL_ADD},
	{"change", CV_TUNNEL_CHANGE},
	{"replace", CV_TUNNEL_REPLACE},
	{"del", CV_TUNNEL_DELETE},
};

/* {"verb": …, "tunnel": {…}}, and nothing else. */
static int parse_batch_item(const json_t *item, struct cv_tunnel_change *ret_change,
			    struct cv_error *error)
{
	const char *name = json_string_value(json_object_get(item, "verb"));

	if (!name || !json_object_get(item, "tunnel") || json_object_size(item) != 2)
		return cv_error_set(error, -EINVAL,
				    "a change must be an object of \"verb\" and \"tunnel\"");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!strcmp(verbs[i].name, name))
			return parse_change(json_object_get(item, "tunnel"), verbs[i].verb,
					    ret_change, error);
	}
	return cv_error_set(error, -EINVAL, "unknown verb \"%.64s\"", name);
}

static int parse_batch(struct cv_request_parser *p)
{
	const json_t *changes = json_object_get(p->root, "changes");
	size_t count = json_array_size(changes);
	int rc = cv_request_check_members(p, CV_REQUEST_MEMBERS("changes"));

	p->request->batch = true;
	if (rc)
		return rc;
	if (!json_is_array(changes))
		return cv_error_set(p->error, -EINVAL, "\"changes\" must be a list");
	if (count > CV_REQUEST_CHANGES_MAX)
		return cv_error_set(p->error, -E2BIG, "%zu changes at once; at most %d are taken",
				    count, CV_REQUEST_CHANGES_MAX);
	rc = allocate_changes(p, count);
	for (size_t i = 0; i < count && !rc; i++) {
		rc = parse_batch_item(json_array_get(changes, i), &p->request->changes[i],
				      p->error);
		p->index = rc ? (long)i : -1;
	}
	return rc;
}

static const struct cv_request_command commands[] = {
	{"status", parse_status},	   {"tunnel.show", parse_show},
	{"tunnel.add", parse_add},	   {"tunnel.change", parse_tunnel_change},
	{"tunnel.replace", parse_replace}, {"tunnel.del", parse_del},
	{"tunnel.batch", parse_batch},	   {"capture", parse_capture},
};

static const struct cv_request_command *find_command(const struct cv_request_command *list,
						     size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(list[i].name, name))
			return &list[i];
	}
	return NULL;
}

static int parse_command(struct cv_request_parser *p)
{
	const json_t *version = json_object_get(p->root, "version");
	const char *name = json_string_value(json_object_get(p->root, "command"));
	const struct cv_request_command *command;

	if (!json_is_integer(version))
		return cv_error_set(p->error, -EBADMSG, "a request must have a \"version\"");
	if (json_integer_value(version) != CV_CONTROL_VERSION)
		return cv_error_set(p->error, -EPROTONOSUPPORT,
				    "this culvertd speaks version %d of the protocol; use the "
				    "culvert of the same release",
				    CV_CONTROL_VERSION);
	if (!name)
		return cv_error_set(p->error, -EBADMSG, "a request must have a \"command\"");
	command = find_command(commands, sizeof(commands) / sizeof(commands[0]), name);
	if (!command)
		command = find_command(cv_request_endpoint_commands, CV_REQUEST_ENDPOINT_COMMANDS,
				       name);
	if (!command)
		command = find_command(cv_request_resource_commands, CV_REQUEST_RESOURCE_COMMANDS,
				       name);
	if (!command)
		command = find_command(cv_request_bgp_commands, CV_REQUEST_BGP_COMMANDS, name);
	if (!command)
		command = find_command(cv_request_ipam_commands, CV_REQUEST_IPAM_COMMANDS, name);
	if (!command)
		command = find_command(cv_request_cni_commands, CV_REQUEST_CNI_COMMANDS, name);
	if (command)
		return command->parse(p);
	return cv_error_set(p->error, -EOPNOTSUPP, "unknown command \"%.64s\"", name);
}

/* A short string or a number; anything else is a reason to refuse. */
static int take_id(json_t *root, json_t **ret_id)
{
	json_t *id = json_object_get(root, "id");

	if (!id)
		return 0;
	if (!json_is_integer(id) && !json_is_null(id) &&
	    !(json_is_string(id) && json_string_length(id) <= 128))
		return -EBADMSG;
	json_decref(*ret_id);
	*ret_id = json_incref(id);
	return 0;
}

/*
 * jansson makes an object of a hundred bytes of what may be two bytes of a line. What a long line
 * is long by are texts, not items.
 */
static bool has_too_many_items(const char *line, size_t length)
{
	size_t items = 0;
	bool in_string = false;

	if (length < CV_CONTROL_LINE_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (line[i] == '"')
			in_string = !in_string;
		else if (in_string)
			i += line[i] == '\\';
		else
			items += line[i] == ',' || line[i] == '[' || line[i] == '{';
	}
	return items > CV_REQUEST_ITEMS_MAX;
}

int cv_request_parse(const char *line, size_t length, struct cv_request *ret_request,
		     json_t **ret_id, long *ret_index, struct cv_error *error)
{
	struct cv_request request = {.kind = CV_REQUEST_STATUS};
	struct cv_request_parser parser = {.request = &request, .index = -1, .error = error};
	json_error_t json_error;
	int rc;

	*ret_id = json_null();
	*ret_index = -1;
	if (has_too_many_items(line, length))
		return cv_error_set(error, -EBADMSG,
				    "a request of more than %d items; manifests are sent as texts",
				    CV_REQUEST_ITEMS_MAX);
	parser.root = json_loadb(line, length, JSON_REJECT_DUPLICATES, &json_error);
	if (!parser.root)
		return cv_error_set(error, -EBADMSG, "not JSON: %s", json_error.text);
	if (!json_is_object(parser.root))
		rc = cv_error_set(error, -EBADMSG, "a request must be a JSON object");
	else if (take_id(parser.root, ret_id))
		rc = cv_error_set(error, -EBADMSG, "\"id\" must be a number or a short string");
	else
		rc = parse_command(&parser);
	request.root = parser.root;
	if (rc) {
		cv_request_fini(&request);
		*ret_index = parser.index;
		return rc;
	}
	*ret_request = request;
	return 0;
}

void cv_request_fini(struct cv_request *request)
{
	free(request->changes);
	free(request->resources.files);
	free(request->resources.names);
	free(request->cni.pools);
	free(request->cni.valid);
	json_decref(request->root);
	*request = (struct cv_request){.kind = CV_REQUEST_STATUS};
}
