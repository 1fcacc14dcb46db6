/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of Debian's etcd 3.4, as they came from its JSON gateway, and what it never says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "store/etcd_reply.h"

#define HEADER                                                               \
	"\"header\":{\"cluster_id\":\"17720629325346549700\",\"member_id\":" \
	"\"1589851436277572971\","                                           \
	"\"revision\":\"4\",\"raft_term\":\"2\"}"

/* ---- base64 ------------------------------------------------------------------------ */

/* RFC 4648, section 10. */
static void test_base64(void **state)
{
	static const char *const pairs[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct cv_text text = {.data = NULL};
		size_t length;
		char *data;

		cv_text_puts(&text, "");
		cv_base64_add(&text, pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(text.data, pairs[i][1]);
		assert_int_equal(cv_base64_decode(text.data, text.length, &data, &length), 0);
		assert_int_equal(length, strlen(pairs[i][0]));
		assert_string_equal(data, pairs[i][0]);
		free(data);
		cv_text_fini(&text);
	}
}

static void test_all_bytes(void **state)
{
	unsigned char bytes[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7);
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		struct cv_text text = {.data = NULL};
		size_t got;
		char *data;

		cv_text_puts(&text, "");
		cv_base64_add(&text, bytes, length);
		assert_int_equal(cv_base64_decode(text.data, text.length, &data, &got), 0);
		assert_int_equal(got, length);
		assert_memory_equal(data, bytes, length);
		free(data);
		cv_text_fini(&text);
	}
}

static void test_no_base64(void **state)
{
	static const char *const texts[] = {"Z",    "Zg",   "Zg=",   "Zg===", "Z===", "====",
					    "Zh==", "Zm9=", "Zm 9v", "Zm9-",  "=Zg=", "Zg==Zg=="};
	char *data;
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(cv_base64_decode(texts[i], strlen(texts[i]), &data, &length),
				 -EINVAL);
}

/* ---- range ------------------------------------------------------------------------- */

static int read_range(const char *json, struct cv_kv_list *ret_list, bool *ret_more)
{
	return cv_etcd_read_range(json, strlen(json), ret_list, ret_more);
}

static void test_range(void **state)
{
	struct cv_kv_list list;
	bool more;

	(void)state;
	assert_int_equal(read_range("{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"create_revision\":"
				    "\"2\",\"mod_revision\":\"4\",\"version\":\"3\",\"value\":"
				    "\"Mg==\"},{\"key\":\"Yg==\",\"mod_revision\":3}],"
				    "\"more\":true,\"count\":\"7\"}",
				    &list, &more),
			 0);
	assert_true(more);
	assert_int_equal(list.revision, 4);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].key, "a");
	assert_string_equal(list.items[0].value, "2");
	assert_int_equal(list.items[0].revision, 4);
	assert_string_equal(list.items[1].value, "");
	assert_int_equal(list.items[1].revision, 3);
	cv_kv_list_fini(&list);
	assert_int_equal(read_range("{" HEADER "}", &list, &more), 0);
	assert_int_equal(list.count, 0);
	assert_false(more);
	cv_kv_list_fini(&list);
}

/* A value with a NUL is no text; a key with one is not cut short by it. */
static void test_binary(void **state)
{
	struct cv_kv_list list;
	bool more;

	(void)state;
	assert_int_equal(read_range("{" HEADER ",\"kvs\":[{\"key\":\"YQBi\",\"mod_revision\":\"4\","
				    "\"value\":\"YQBi\"}]}",
				    &list, &more),
			 0);
	assert_string_equal(list.items[0].key, "a?b");
	assert_null(list.items[0].value);
	cv_kv_list_fini(&list);
}

static void test_no_range(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{}",
		"null",
		"Not Found\n",
		"{\"header\":{}}",
		"{\"header\":{\"revision\":\"0\"}}",
		"{\"header\":{\"revision\":\"-1\"}}",
		"{\"header\":{\"revision\":\"4x\"}}",
		"{\"header\":{\"revision\":\" 4\"}}",
		"{\"header\":{\"revision\":\"99999999999999999999\"}}",
		"{\"header\":{\"revision\":\"9223372036854775807\"}}",
		"{" HEADER ",\"kvs\":{}}",
		"{" HEADER ",\"kvs\":[1]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"YQ==\"}]}",
		"{" HEADER ",\"kvs\":[{\"mod_revision\":\"4\"}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"Y\",\"mod_revision\":\"4\"}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"mod_revision\":\"4\"},{\"key\":7}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"mod_revision\":\"4\",\"value\":[]}]}",
		"{" HEADER "} trailing",
	};
	struct cv_kv_list list;
	bool more;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(read_range(texts[i], &list, &more), -EBADMSG);
}

/* ---- txn, token, refusals ------------------------------------------------------------ */

/* A list of so many empty objects, each in so many arrays, behind a good header. */
static int read_many(size_t count, size_t depth)
{
	struct cv_text text = {.data = NULL};
	struct cv_kv_list list;
	bool more;
	int rc;

	cv_text_puts(&text, "{" HEADER ",\"more\":[");
	for (size_t i = 0; i < count; i++) {
		cv_text_puts(&text, i ? "," : "");
		for (size_t j = 0; j < depth; j++)
			cv_text_puts(&text, "[");
		cv_text_puts(&text, "{\"a\\\"[[[\":\"]{{,,[[\"}");
		for (size_t j = 0; j < depth; j++)
			cv_text_puts(&text, "]");
	}
	cv_text_puts(&text, "]}");
	assert_false(text.has_failed);
	rc = cv_etcd_read_range(text.data, text.length, &list, &more);
	if (!rc)
		cv_kv_list_fini(&list);
	cv_text_fini(&text);
	return rc;
}

/* Memory of hundreds of bytes for each of two, and a call for each level: there are limits. */
static void test_limits(void **state)
{
	(void)state;
	assert_int_equal(read_many(CV_ETCD_REPLY_VALUES / 2 - 4, 0), 0);
	assert_int_equal(read_many(CV_ETCD_REPLY_VALUES / 2 + 1, 0), -E2BIG);
	assert_int_equal(read_many(1, CV_ETCD_REPLY_DEPTH - 3), 0);
	assert_int_equal(read_many(1, CV_ETCD_REPLY_DEPTH - 2), -E2BIG);
	assert_int_equal(read_many(1, 100000), -E2BIG);
}

static void test_txn(void **state)
{
	static const char done[] = "{" HEADER ",\"succeeded\":true,\"responses\":[{}]}";
	static const char refused[] = "{" HEADER "}";
	int64_t revision = 0;
	bool succeeded = false;

	(void)state;
	assert_int_equal(cv_etcd_read_txn(done, strlen(done), &succeeded, &revision), 0);
	assert_true(succeeded);
	assert_int_equal(revision, 4);
	assert_int_equal(cv_etcd_read_txn(refused, strlen(refused), &succeeded, &revision), 0);
	assert_false(succeeded);
	assert_int_equal(cv_etcd_read_txn("{\"succeeded\":true}", 18, &succeeded, &revision),
			 -EBADMSG);
}

static int read_token(const char *json, char **ret_token)
{
	return cv_etcd_read_token(json, strlen(json), ret_token);
}

/* It becomes a line of HTTP: nothing in it may begin another. */
static void test_token(void **state)
{
	static char json[20100];
	char *token;

	(void)state;
	assert_int_equal(read_token("{" HEADER ",\"token\":\"AbC.19\"}", &token), 0);
	assert_string_equal(token, "AbC.19");
	free(token);
	assert_int_equal(read_token("{" HEADER "}", &token), -EBADMSG);
	assert_int_equal(read_token("{\"token\":\"\"}", &token), -EBADMSG);
	assert_int_equal(read_token("{\"token\":\"a b\"}", &token), -EBADMSG);
	assert_int_equal(read_token("{\"token\":\"a\\r\\nHost: b\"}", &token), -EBADMSG);
	assert_int_equal(read_token("{\"token\":7}", &token), -EBADMSG);
	snprintf(json, sizeof(json), "{\"token\":\"%0*d\"}", 20000, 1);
	assert_int_equal(read_token(json, &token), -EBADMSG);
}

static void test_refusal(void **state)
{
	static const char json[] = "{\"error\":\"etcdserver: permission denied\",\"message\":"
				   "\"etcdserver: permission denied\",\"code\":7}";
	static const char text[] = "CommonName of client sending a request against gateway will be "
				   "ignored and not used as expected\n";
	static const char of_3_6[] = "{\"code\":7,\"message\":\"etcdserver: permission denied\"}";
	static const char others[] = "{\"code\":404,\"message\":\"no such page\"}";
	struct cv_etcd_refusal refusal;

	(void)state;
	assert_int_equal(cv_etcd_read_refusal(json, strlen(json), &refusal), 0);
	assert_int_equal(refusal.code, 7);
	assert_string_equal(refusal.message, "etcdserver: permission denied");
	assert_int_equal(cv_etcd_read_refusal(of_3_6, strlen(of_3_6), &refusal), 0);
	assert_int_equal(refusal.code, 7);
	assert_string_equal(refusal.message, "etcdserver: permission denied");
	assert_int_equal(cv_etcd_read_refusal(others, strlen(others), &refusal), -EBADMSG);
	assert_int_equal(cv_etcd_read_refusal(text, strlen(text), &refusal), -EBADMSG);
	assert_int_equal(refusal.code, 0);
	assert_int_equal(strncmp(refusal.message, text, strlen(text) - 1), 0);
	assert_null(strchr(refusal.message, '\n'));
	assert_int_equal(cv_etcd_read_refusal("", 0, &refusal), -EBADMSG);
	assert_string_equal(refusal.message, "");
}

/* ---- watches ------------------------------------------------------------------------- */

static int read_watched(const char *json, struct cv_etcd_watched *ret_watched)
{
	return cv_etcd_read_watched(json, strlen(json), ret_watched);
}

static void test_watched(void **state)
{
	struct cv_etcd_watched watched;

	(void)state;
	assert_int_equal(read_watched("{\"result\":{" HEADER ",\"created\":true}}", &watched), 0);
	assert_true(watched.is_created);
	assert_int_equal(watched.count, 0);
	cv_etcd_watched_fini(&watched);
	assert_int_equal(
		read_watched("{\"result\":{" HEADER ",\"events\":[{\"kv\":{\"key\":\"YQ==\","
			     "\"create_revision\":\"2\",\"mod_revision\":\"4\",\"version\":\"3\","
			     "\"value\":\"Mg==\"}},{\"type\":\"DELETE\",\"kv\":{\"key\":\"Yg==\","
			     "\"mod_revision\":\"5\"}}]}}",
			     &watched),
		0);
	assert_int_equal(watched.count, 2);
	assert_false(watched.events[0].is_deleted);
	assert_string_equal(watched.events[0].value, "2");
	assert_true(watched.events[1].is_deleted);
	assert_null(watched.events[1].value);
	assert_int_equal(watched.events[1].revision, 5);
	cv_etcd_watched_fini(&watched);
}

/* As it comes below the compaction: the header has no revision. */
static void test_canceled(void **state)
{
	struct cv_etcd_watched watched;

	(void)state;
	assert_int_equal(read_watched("{\"result\":{\"header\":{\"cluster_id\":\"1\"},\"canceled\":"
				      "true,\"compact_revision\":\"4\"}}",
				      &watched),
			 0);
	assert_true(watched.is_canceled);
	assert_int_equal(watched.compact_revision, 4);
	cv_etcd_watched_fini(&watched);
	assert_int_equal(read_watched("{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":"
				      "\"transport is closing\"}}",
				      &watched),
			 0);
	assert_int_equal(watched.code, 14);
	assert_string_equal(watched.reason, "transport is closing");
	cv_etcd_watched_fini(&watched);
}

static void test_not_watched(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"{\"result\":[]}",
		"{\"result\":{}}",
		"{\"result\":{\"header\":{}}}",
		"{\"result\":{" HEADER ",\"events\":[{}]}}",
		"{\"result\":{" HEADER ",\"events\":{}}}",
		"{\"result\":{" HEADER ",\"canceled\":true,\"compact_revision\":\"x\"}}",
		"{\"error\":{}}",
	};
	struct cv_etcd_watched watched;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(read_watched(texts[i], &watched), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),	    cmocka_unit_test(test_all_bytes),
		cmocka_unit_test(test_no_base64),   cmocka_unit_test(test_range),
		cmocka_unit_test(test_binary),	    cmocka_unit_test(test_no_range),
		cmocka_unit_test(test_limits),	    cmocka_unit_test(test_txn),
		cmocka_unit_test(test_token),	    cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_watched),	    cmocka_unit_test(test_canceled),
		cmocka_unit_test(test_not_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
