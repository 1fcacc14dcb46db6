/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of etcd's JSON gateway. They come from a server that may be anybody's: whatever is not as
 * etcd writes it is -EBADMSG.
 */
#include "store/etcd_reply.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
	TOKEN_MAX = 16384, /* etcd's have some twenty bytes, or, as JWT, some hundreds */
	GRPC_LAST = 16,	   /* of its codes: UNAUTHENTICATED */
};

/* ---- base64 ------------------------------------------------------------------------ */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cv_base64_add(struct cv_text *text, const void *data, size_t length)
{
	const unsigned char *p = data;

	for (; length >= 3; p += 3, length -= 3) {
		const char four[4] = {alphabet[p[0] >> 2], alphabet[(p[0] & 3) << 4 | p[1] >> 4],
				      alphabet[(p[1] & 15) << 2 | p[2] >> 6], alphabet[p[2] & 63]};

		cv_text_add(text, four, 4);
	}
	if (length) {
		unsigned int second = length > 1 ? p[1] : 0;
		const char four[4] = {alphabet[p[0] >> 2], alphabet[(p[0] & 3) << 4 | second >> 4],
				      (char)(length > 1 ? alphabet[(second & 15) << 2] : '='), '='};

		cv_text_add(text, four, 4);
	}
}

/* 0 … 63, or -1. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int cv_base64_decode(const char *text, size_t length, char **ret_data, size_t *ret_length)
{
	unsigned int bits = 0, have = 0;
	size_t padding = 0, at = 0;
	char *data;

	if (length % 4)
		return -EINVAL;
	while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
		padding++;
	data = malloc(length / 4 * 3 + 1);
	if (!data)
		return -ENOMEM;
	for (size_t i = 0; i < length - padding; i++) {
		int value = value_of(text[i]);

		if (value < 0) {
			free(data);
			return -EINVAL;
		}
		bits = (bits << 6 | (unsigned int)value) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			data[at++] = (char)(bits >> have);
		}
	}
	/* One text for one value: what is behind the last byte is zero. */
	if (bits & ((1U << have) - 1)) {
		free(data);
		return -EINVAL;
	}
	data[at] = '\0';
	*ret_data = data;
	*ret_length = at;
	return 0;
}

/* ---- fields ------------------------------------------------------------------------ */

/* A 64-bit number, as a string or as a number; 0 where there is none. 0 or -EBADMSG. */
static int read_number(const json_t *object, const char *name, int64_t *ret_number)
{
	const json_t *value = json_object_get(object, name);
	const char *text = json_string_value(value);
	char *end;

	*ret_number = 0;
	if (!value || json_is_null(value))
		return 0;
	if (json_is_integer(value)) {
		*ret_number = json_integer_value(value);
		return 0;
	}
	if (!text || !(isdigit((unsigned char)*text) || *text == '-'))
		return -EBADMSG;
	errno = 0;
	*ret_number = strtoll(text, &end, 10);
	return errno || *end ? -EBADMSG : 0;
}

/* The last is the one behind which there is none: nobody could go on from it. */
static bool is_revision(int64_t number)
{
	return number > 0 && number < INT64_MAX;
}

/* Bytes in base64; none where there is nothing. 0, -EBADMSG or -ENOMEM. */
static int read_bytes(const json_t *object, const char *name, char **ret_data, size_t *ret_length)
{
	const json_t *value = json_object_get(object, name);
	int rc;

	if (value && !json_is_string(value))
		return -EBADMSG;
	rc = cv_base64_decode(value ? json_string_value(value) : "",
			      value ? json_string_length(value) : 0, ret_data, ret_length);
	return rc == -EINVAL ? -EBADMSG : rc;
}

/* A key, value and revision. A key's NULs, which no key of ours has, become '?'. */
static int read_item(const json_t *kv, struct cv_kv_item *ret_item)
{
	struct cv_kv_item item = {.key = NULL};
	size_t key_length = 0, value_length = 0;
	int rc = json_is_object(kv) ? read_number(kv, "mod_revision", &item.revision) : -EBADMSG;

	if (!rc)
		rc = read_bytes(kv, "key", &item.key, &key_length);
	if (!rc)
		rc = read_bytes(kv, "value", &item.value, &value_length);
	if (!rc && (!key_length || !is_revision(item.revision)))
		rc = -EBADMSG;
	if (rc) {
		free(item.key);
		free(item.value);
		return rc;
	}
	for (size_t i = 0; i < key_length; i++) {
		if (!item.key[i])
			item.key[i] = '?';
	}
	if (strlen(item.value) < value_length) {
		free(item.value);
		item.value = NULL;
	}
	*ret_item = item;
	return 0;
}

static int read_header(const json_t *root, int64_t *ret_revision)
{
	const json_t *header = json_object_get(root, "header");
	int rc = json_is_object(header) ? read_number(header, "revision", ret_revision) : -EBADMSG;

	return !rc && !is_revision(*ret_revision) ? -EBADMSG : rc;
}

/*
 * Whether a text keeps the limits, before it is parsed: a few bytes of it ("{},") become some
 * hundreds of memory, and each level a call. What is in strings does not count.
 */
static bool is_within_limits(const char *text, size_t length)
{
	size_t values = 0, depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (in_string) {
			i += c == '\\';
			in_string = c != '"';
			continue;
		}
		in_string = c == '"';
		depth += c == '{' || c == '[';
		depth -= depth && (c == '}' || c == ']');
		values += c == '{' || c == '[' || c == ',';
		if (depth > CV_ETCD_REPLY_DEPTH || values > CV_ETCD_REPLY_VALUES)
			return false;
	}
	return true;
}

/* The whole text, which is one object. 0, -EBADMSG, or -E2BIG: it is beyond the limits. */
static int load(const char *text, size_t length, json_t **ret_root)
{
	json_t *root;

	*ret_root = NULL;
	if (!is_within_limits(text, length))
		return -E2BIG;
	root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		return -EBADMSG;
	}
	*ret_root = root;
	return 0;
}

/* ---- answers ----------------------------------------------------------------------- */

static int read_items(const json_t *kvs, struct cv_kv_list *list)
{
	size_t count = json_array_size(kvs);
	int rc = 0;

	if (kvs && !json_is_array(kvs))
		return -EBADMSG;
	list->items = calloc(count + 1, sizeof(list->items[0]));
	if (!list->items)
		return -ENOMEM;
	for (size_t i = 0; i < count && !rc; i++) {
		rc = read_item(json_array_get(kvs, i), &list->items[i]);
		list->count += !rc;
	}
	return rc;
}

static int take_range(const json_t *root, struct cv_kv_list *ret_list, bool *ret_more)
{
	struct cv_kv_list list = {.items = NULL};
	int rc = read_header(root, &list.revision);

	if (!rc)
		rc = read_items(json_object_get(root, "kvs"), &list);
	if (rc) {
		cv_kv_list_fini(&list);
	} else {
		*ret_list = list;
		*ret_more = json_is_true(json_object_get(root, "more"));
	}
	return rc;
}

int cv_etcd_read_range(const char *json, size_t length, struct cv_kv_list *ret_list, bool *ret_more)
{
	json_t *root;
	int rc = load(json, length, &root);

	if (!rc)
		rc = take_range(root, ret_list, ret_more);
	json_decref(root);
	return rc;
}

static bool is_before(const struct cv_etcd_key *one, const struct cv_etcd_key *other)
{
	size_t shorter = one->length < other->length ? one->length : other->length;
	int order = memcmp(one->data, other->data, shorter);

	return order ? order < 0 : one->length < other->length;
}

/* Go over the keys of a page, from where it begins. 0, -EBADMSG or -ENOMEM. */
static int follow_keys(const json_t *kvs, const struct cv_etcd_key *end, struct cv_etcd_key *from)
{
	struct cv_etcd_key next = {.data = NULL};
	size_t count = json_array_size(kvs);
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		struct cv_etcd_key key = {.data = NULL};

		rc = read_bytes(json_array_get(kvs, i), "key", &key.data, &key.length);
		if (!rc && (is_before(&key, next.data ? &next : from) || !is_before(&key, end)))
			rc = -EBADMSG;
		free(next.data);
		next = key;
		/* With the NUL behind it: the first key that can follow it. */
		next.length++;
	}
	if (rc || !next.data) {
		free(next.data);
		return rc;
	}
	free(from->data);
	*from = next;
	return 0;
}

int cv_etcd_read_page(const char *json, size_t length, const struct cv_etcd_key *end,
		      struct cv_etcd_key *from, struct cv_kv_list *ret_list, bool *ret_more)
{
	struct cv_kv_list list;
	json_t *root;
	bool more;
	int rc = load(json, length, &root);

	if (!rc)
		rc = take_range(root, &list, &more);
	if (!rc) {
		rc = follow_keys(json_object_get(root, "kvs"), end, from);
		/* More behind nothing: it would be left out in silence. */
		if (!rc && more && !list.count)
			rc = -EBADMSG;
		if (rc)
			cv_kv_list_fini(&list);
	}
	json_decref(root);
	if (rc)
		return rc;
	*ret_list = list;
	*ret_more = more;
	return 0;
}

int cv_etcd_read_count(const char *json, size_t length, size_t *ret_count)
{
	int64_t count = 0;
	json_t *root;
	int rc = load(json, length, &root);

	if (!rc)
		rc = read_number(root, "count", &count);
	if (!rc && count < 0)
		rc = -EBADMSG;
	if (!rc)
		*ret_count = (size_t)count;
	json_decref(root);
	return rc;
}

int cv_etcd_read_txn(const char *json, size_t length, bool *ret_succeeded, int64_t *ret_revision)
{
	json_t *root;
	int rc = load(json, length, &root);

	if (!rc)
		rc = read_header(root, ret_revision);
	if (!rc)
		*ret_succeeded = json_is_true(json_object_get(root, "succeeded"));
	json_decref(root);
	return rc;
}

int cv_etcd_read_token(const char *json, size_t length, char **ret_token)
{
	json_t *root;
	int rc = load(json, length, &root);
	const char *token = json_string_value(json_object_get(root, "token"));

	if (!rc && (!token || !*token || strlen(token) > TOKEN_MAX))
		rc = -EBADMSG;
	/* It becomes a line of HTTP. */
	for (const char *p = token; !rc && *p; p++) {
		if (*p <= ' ' || *p > '~')
			rc = -EBADMSG;
	}
	if (!rc) {
		*ret_token = strdup(token);
		rc = *ret_token ? 0 : -ENOMEM;
	}
	json_decref(root);
	return rc;
}

static void take_words(char words[256], const char *text, size_t length)
{
	size_t at = 0;

	while (at < length && at < 255 && text[at] && text[at] != '\n') {
		words[at] = (char)(text[at] >= ' ' && text[at] <= '~' ? text[at] : '?');
		at++;
	}
	words[at] = '\0';
}

/*
 * {"error": "…", "code": N}, or in a stream {"error": {"grpc_code": N, "message": "…"}}; of
 * etcd 3.6
 * {"code": N, "message": "…"}, and in a stream {"error": {"code": N, "message": "…"}}.
 */
static int read_error(const json_t *root, int *ret_code, char words[256])
{
	const json_t *error = json_object_get(root, "error");
	const char *message = json_string_value(error ? error : json_object_get(root, "message"));
	const char *number = "code";
	int64_t code;

	if (json_is_object(error)) {
		message = json_string_value(json_object_get(error, "message"));
		number = json_object_get(error, "grpc_code") ? "grpc_code" : "code";
		root = error;
	}
	if (!message || read_number(root, number, &code) || code < 0 || code > 1000)
		return -EBADMSG;
	/* Many a server's JSON has a code and a message; gRPC's codes end with 16. */
	if (!error && (code < 1 || code > GRPC_LAST))
		return -EBADMSG;
	take_words(words, message, strlen(message));
	*ret_code = (int)code;
	return 0;
}

int cv_etcd_read_refusal(const char *json, size_t length, struct cv_etcd_refusal *ret_refusal)
{
	json_t *root;
	int rc = load(json, length, &root);

	if (!rc)
		rc = read_error(root, &ret_refusal->code, ret_refusal->message);
	if (rc) {
		ret_refusal->code = 0;
		take_words(ret_refusal->message, json, length);
	}
	json_decref(root);
	return rc;
}

/* ---- watches ----------------------------------------------------------------------- */

static int read_event(const json_t *event, struct cv_etcd_event *ret_event)
{
	const char *type = json_string_value(json_object_get(event, "type"));
	const json_t *kv = json_object_get(event, "kv");
	struct cv_kv_item item;
	int64_t created;
	int rc = read_number(kv, "create_revision", &created);

	if (!rc)
		rc = read_item(kv, &item);
	if (rc)
		return rc;
	*ret_event = (struct cv_etcd_event){
		.key = item.key,
		.value = item.value,
		.revision = item.revision,
		.is_deleted = type && !strcmp(type, "DELETE"),
		.is_new = created == item.revision,
	};
	if (ret_event->is_deleted) {
		free(item.value);
		ret_event->value = NULL;
	}
	return 0;
}

static int read_events(const json_t *events, struct cv_etcd_watched *watched)
{
	size_t count = json_array_size(events);
	int rc = 0;

	if (events && !json_is_array(events))
		return -EBADMSG;
	watched->events = calloc(count + 1, sizeof(watched->events[0]));
	if (!watched->events)
		return -ENOMEM;
	for (size_t i = 0; i < count && !rc; i++) {
		rc = read_event(json_array_get(events, i), &watched->events[i]);
		watched->count += !rc;
	}
	return rc;
}

static int read_result(const json_t *result, struct cv_etcd_watched *watched)
{
	const char *reason = json_string_value(json_object_get(result, "cancel_reason"));
	int rc = read_header(result, &watched->revision);

	watched->is_created = json_is_true(json_object_get(result, "created"));
	watched->is_canceled = json_is_true(json_object_get(result, "canceled"));
	/* Of a store that is empty, or of a watch that was refused, there may be no revision. */
	if (rc && (watched->is_created || watched->is_canceled))
		rc = 0;
	if (reason)
		take_words(watched->reason, reason, strlen(reason));
	if (!rc)
		rc = read_number(result, "compact_revision", &watched->compact_revision);
	if (!rc)
		rc = read_events(json_object_get(result, "events"), watched);
	return rc;
}

int cv_etcd_read_watched(const char *json, size_t length, struct cv_etcd_watched *ret_watched)
{
	struct cv_etcd_watched watched = {.events = NULL};
	json_t *root;
	int rc = load(json, length, &root);
	const json_t *result = json_object_get(root, "result");

	if (!rc && json_is_object(result))
		rc = read_result(result, &watched);
	else if (!rc)
		rc = read_error(root, &watched.code, watched.reason);
	if (rc)
		cv_etcd_watched_fini(&watched);
	else
		*ret_watched = watched;
	json_decref(root);
	return rc;
}

void cv_etcd_watched_fini(struct cv_etcd_watched *watched)
{
	for (size_t i = 0; i < watched->count; i++) {
		free(watched->events[i].key);
		free(watched->events[i].value);
	}
	free(watched->events);
	*watched = (struct cv_etcd_watched){.events = NULL};
}
