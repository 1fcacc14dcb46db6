/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents in SQLite: against the oracle in memory; and what is left of them when the process is
 * killed, the disk is full, the file is damaged, of another program, or of a newer format.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <sqlite3.h>

#include "kv_directory.h"
#include "kv_memory.h"
#include "store/kv_sqlite.h"

/* Set one key. */
static int put(struct cv_kv *kv, const char *key, const char *value, int64_t revision,
	       int64_t *ret_revision)
{
	struct cv_kv_operation operation = {key, value, revision};

	return cv_kv_commit(kv, &operation, 1, ret_revision, NULL);
}

static void assert_value(struct cv_kv *kv, const char *key, const char *value)
{
	struct cv_kv_item item = {0};
	int rc = cv_kv_get(kv, key, &item, NULL);

	if (!value) {
		assert_int_equal(rc, -ENOENT);
		return;
	}
	assert_int_equal(rc, 0);
	assert_string_equal(item.key, key);
	assert_string_equal(item.value, value);
	cv_kv_item_fini(&item);
}

/* ---- what it does ---------------------------------------------------------------- */

static void test_compares(void **state)
{
	struct cv_kv *kv = kv_directory_open();
	struct cv_error error;
	int64_t first = 0, second = 0;

	(void)state;
	assert_int_equal(put(kv, "a", "1", CV_KV_ABSENT, &first), 0);
	assert_true(first > 0);
	assert_int_equal(put(kv, "a", "2", CV_KV_ABSENT, NULL), -EAGAIN);
	assert_int_equal(put(kv, "a", "2", first + 1, NULL), -EAGAIN);
	assert_value(kv, "a", "1");
	assert_int_equal(put(kv, "a", "2", first, &second), 0);
	assert_true(second > first);
	assert_int_equal(put(kv, "a", CV_KV_KEEP, first, NULL), -EAGAIN);
	assert_int_equal(put(kv, "a", CV_KV_KEEP, second, NULL), 0);
	assert_value(kv, "a", "2");
	assert_int_equal(put(kv, "a", NULL, first, NULL), -EAGAIN);
	assert_int_equal(put(kv, "a", NULL, second, NULL), 0);
	assert_int_equal(put(kv, "a", NULL, CV_KV_WHATEVER, NULL), 0);
	assert_value(kv, "a", NULL);

	struct cv_kv_operation both[] = {{"b", "1", CV_KV_ABSENT}, {"c", "1", 7}};

	assert_int_equal(cv_kv_commit(kv, both, 2, NULL, &error), -EAGAIN);
	assert_non_null(strstr(error.text, "\"c\""));
	assert_value(kv, "b", NULL);
	cv_kv_destroy(kv);
}

static void test_refuses_commits(void **state)
{
	struct cv_kv_operation operations[CV_KV_OPERATIONS + 1];
	char keys[CV_KV_OPERATIONS + 1][8];
	struct cv_kv *kv = kv_directory_open();
	struct cv_error error;

	(void)state;
	for (int i = 0; i <= CV_KV_OPERATIONS; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%d", i);
		operations[i] = (struct cv_kv_operation){keys[i], "v", CV_KV_ABSENT};
	}
	assert_int_equal(cv_kv_commit(kv, operations, 0, NULL, &error), -EINVAL);
	assert_int_equal(cv_kv_commit(kv, operations, CV_KV_OPERATIONS + 1, NULL, &error), -EINVAL);
	assert_int_equal(cv_kv_commit(kv, operations, CV_KV_OPERATIONS, NULL, &error), 0);
	operations[5].key = "2";
	assert_int_equal(cv_kv_commit(kv, operations, CV_KV_OPERATIONS, NULL, &error), -EINVAL);
	assert_string_equal(error.text, "2: twice in one commit");
	operations[0].revision = -2;
	assert_int_equal(cv_kv_commit(kv, operations, 1, NULL, &error), -EINVAL);
	cv_kv_destroy(kv);
}

static void assert_same_lists(struct cv_kv *kv, struct cv_kv *oracle, const char *prefix)
{
	struct cv_kv_list list = {0}, expected = {0};

	assert_int_equal(cv_kv_list(kv, prefix, &list, NULL), 0);
	assert_int_equal(cv_kv_list(oracle, prefix, &expected, NULL), 0);
	assert_int_equal(list.revision, expected.revision);
	assert_int_equal(list.count, expected.count);
	for (size_t i = 0; i < list.count; i++) {
		assert_string_equal(list.items[i].key, expected.items[i].key);
		assert_string_equal(list.items[i].value, expected.items[i].value);
		assert_int_equal(list.items[i].revision, expected.items[i].revision);
	}
	cv_kv_list_fini(&list);
	cv_kv_list_fini(&expected);
}

/* Random commits of both; keys that are prefixes of each other, and differ in their last byte. */
static void test_against_oracle(void **state)
{
	static const char *const keys[] = {"a",	  "a/", "a/b", "a/b/c", "a0",
					   "a/c", "b",	"b~",  "c/1"};
	static const char *const prefixes[] = {"", "a", "a/", "a/b", "b", "c/", "d"};
	enum {
		KEYS = sizeof(keys) / sizeof(keys[0])
	};
	struct kv_memory *memory = kv_memory_create();
	struct cv_kv *oracle = kv_memory_open(memory), *kv = kv_directory_open();
	int64_t last = 0;

	(void)state;
	srandom(7);
	for (int round = 0; round < 400; round++) {
		struct cv_kv_operation operations[KEYS];
		char values[KEYS][16];
		size_t count = 0;
		int64_t revision = 0, expected = 0;
		int rc;

		for (int i = 0; i < KEYS; i++) {
			int64_t at = random() % 4 ? CV_KV_WHATEVER : random() % (last + 1);

			if (random() % 3)
				continue;
			snprintf(values[i], sizeof(values[i]), "%ld", random());
			operations[count++] = (struct cv_kv_operation){
				keys[i],
				random() % 3   ? values[i]
				: random() % 2 ? NULL
					       : CV_KV_KEEP,
				at,
			};
		}
		if (!count)
			continue;
		rc = cv_kv_commit(kv, operations, count, &revision, NULL);
		assert_int_equal(rc, cv_kv_commit(oracle, operations, count, &expected, NULL));
		assert_int_equal(revision, expected);
		if (!rc)
			last = revision;
		if (random() % 20 == 0) {
			cv_kv_destroy(kv);
			kv = kv_directory_open();
		}
		assert_same_lists(kv, oracle, prefixes[round % 7]);
	}
	cv_kv_destroy(kv);
	cv_kv_destroy(oracle);
	kv_memory_destroy(memory);
}

static void test_is_ours_alone(void **state)
{
	struct cv_kv *kv = kv_directory_open(), *second = NULL;
	struct cv_error error;
	struct stat st;
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(put(kv, "a", "1", CV_KV_ABSENT, NULL), 0);
	assert_int_equal(stat(kv_directory_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	child = fork();
	if (!child)
		_exit(cv_kv_sqlite_open(kv_directory_path, &second, &error) == -EBUSY &&
				      strstr(error.text, "another process")
			      ? 0
			      : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(put(kv, "a", "2", CV_KV_WHATEVER, NULL), 0);
	cv_kv_destroy(kv);
}

/* ---- what is left ---------------------------------------------------------------- */

/* Two keys that always have the same value, and a third with a long one; each commit that is done
 * is told. */
static void commit_for_ever(int told)
{
	struct cv_kv *kv = kv_directory_open();
	static char filler[20000];
	for (uint32_t i = 1;; i++) {
		char value[16];

		snprintf(value, sizeof(value), "%u", i);
		memset(filler, ' ', sizeof(filler) - 1);
		for (size_t j = 0; value[j]; j++)
			filler[j] = value[j];

		struct cv_kv_operation operations[] = {
			{"first", value, CV_KV_WHATEVER},
			{"long", filler, CV_KV_WHATEVER},
			{"second", value, CV_KV_WHATEVER},
		};

		if (cv_kv_commit(kv, operations, 3, NULL, NULL) ||
		    write(told, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static uint32_t last_told(int told)
{
	uint32_t number, last = 0;

	while (read(told, &number, sizeof(number)) == sizeof(number))
		last = number;
	return last;
}

static uint32_t number_at(struct cv_kv *kv, const char *key)
{
	struct cv_kv_item item;
	uint32_t number;

	assert_int_equal(cv_kv_get(kv, key, &item, NULL), 0);
	number = (uint32_t)strtoul(item.value, NULL, 10);
	cv_kv_item_fini(&item);
	return number;
}

static void test_killed(void **state)
{
	(void)state;
	for (int round = 0; round < 12; round++) {
		struct cv_kv *kv;
		uint32_t told_last, number;
		int told[2], status;
		pid_t child;

		assert_int_equal(pipe(told), 0);
		child = fork();
		if (!child) {
			close(told[0]);
			commit_for_ever(told[1]);
		}
		close(told[1]);
		/* Until the first is done, then somewhere in the middle of one. */
		assert_int_equal(read(told[0], &number, sizeof(number)), sizeof(number));
		usleep((useconds_t)(round * 1700));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		told_last = last_told(told[0]);
		if (!told_last)
			told_last = number;
		close(told[0]);
		kv = kv_directory_open();
		number = number_at(kv, "first");
		assert_in_range(number, told_last, told_last + 1);
		assert_int_equal(number_at(kv, "second"), number);
		assert_int_equal(number_at(kv, "long"), number);
		cv_kv_destroy(kv);
	}
}

static char *read_file(const char *name, size_t *ret_size)
{
	FILE *file = fopen(name, "r");
	char *data = calloc(1, 1 << 20);

	assert_non_null(file);
	*ret_size = fread(data, 1, 1 << 20, file);
	fclose(file);
	return data;
}

static void write_file(const char *data, size_t size)
{
	FILE *file = fopen(kv_directory_path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* It is refused, says so, and is the same afterwards. */
static void assert_refused(int rc, const char *words)
{
	struct cv_kv *kv = NULL;
	struct cv_error error = {""};
	size_t before_size, after_size;
	char *before = read_file(kv_directory_path, &before_size), *after;

	assert_int_equal(cv_kv_sqlite_open(kv_directory_path, &kv, &error), rc);
	assert_null(kv);
	if (!strstr(error.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, error.text);
	assert_non_null(strstr(error.text, kv_directory_path));
	after = read_file(kv_directory_path, &after_size);
	assert_int_equal(before_size, after_size);
	assert_memory_equal(before, after, after_size);
	free(before);
	free(after);
}

static void change_by_hand(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(kv_directory_path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void make_some(void)
{
	struct cv_kv *kv = kv_directory_open();
	static char value[5000];

	memset(value, 'v', sizeof(value) - 1);
	for (int i = 0; i < 60; i++) {
		char key[16];

		snprintf(key, sizeof(key), "key%d", i);
		assert_int_equal(put(kv, key, value, CV_KV_ABSENT, NULL), 0);
	}
	cv_kv_destroy(kv);
}

static void test_newer_format(void **state)
{
	(void)state;
	make_some();
	change_by_hand("PRAGMA user_version = 2");
	assert_refused(-EPROTONOSUPPORT, "newer Culvert");
}

static void test_other_program(void **state)
{
	(void)state;
	change_by_hand("CREATE TABLE songs (title TEXT)");
	assert_refused(-EUCLEAN, "another program");
}

static void test_damaged(void **state)
{
	static const char garbage[8192] = "This is no database at all, it is a text. ";
	char *data;
	size_t size;

	(void)state;
	write_file(garbage, sizeof(garbage));
	assert_refused(-EUCLEAN, "not a database");
	assert_int_equal(unlink(kv_directory_path), 0);
	make_some();
	data = read_file(kv_directory_path, &size);
	assert_true(size > 100000);
	/* Its second half is gone, as after a crash of a file system. */
	write_file(data, size / 2);
	assert_refused(-EUCLEAN, "damaged");
	/* Pages in its middle are those of another file. */
	for (size_t page = 8; page < 40; page++)
		memset(data + page * 4096, 0x5a, 64);
	write_file(data, size);
	assert_refused(-EUCLEAN, "damaged");
	free(data);
}

static void test_no_text(void **state)
{
	struct cv_kv *kv = kv_directory_open();
	struct cv_kv_item item;
	struct cv_kv_list list;
	struct cv_error error;

	(void)state;
	cv_kv_destroy(kv);
	change_by_hand("INSERT INTO documents (key, value, revision) VALUES ('a', x'610062', 1), "
		       "('b', 'text', 1)");
	kv = kv_directory_open();
	assert_int_equal(cv_kv_get(kv, "a", &item, &error), -EUCLEAN);
	assert_non_null(strstr(error.text, "\"a\""));
	assert_int_equal(cv_kv_list(kv, "", &list, &error), -EUCLEAN);
	assert_value(kv, "b", "text");
	cv_kv_destroy(kv);
}

static void test_disk_full(void **state)
{
	struct rlimit limit, before;
	struct cv_kv *kv = kv_directory_open();
	struct cv_error error = {""};
	static char value[100000];
	struct cv_kv_operation operations[] = {{"small", "new", CV_KV_WHATEVER},
					       {"large", value, CV_KV_WHATEVER}};

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	assert_int_equal(put(kv, "small", "old", CV_KV_ABSENT, NULL), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 65536;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(cv_kv_commit(kv, operations, 2, NULL, &error), -ENOSPC);
	assert_non_null(strstr(error.text, "make room"));
	assert_value(kv, "small", "old");
	assert_value(kv, "large", NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(cv_kv_commit(kv, operations, 2, NULL, &error), 0);
	cv_kv_destroy(kv);
	kv = kv_directory_open();
	assert_value(kv, "small", "new");
	assert_value(kv, "large", value);
	cv_kv_destroy(kv);
}

static void test_group(void **state)
{
	struct cv_kv *kv = kv_directory_open();
	int64_t first = 0, second = 0;

	(void)state;
	assert_int_equal(put(kv, "a", "1", CV_KV_ABSENT, NULL), 0);
	assert_int_equal(cv_kv_sqlite_begin(kv, NULL), 0);
	assert_int_equal(put(kv, "b", "1", CV_KV_ABSENT, &first), 0);
	/* A part that fails takes nothing of the others with it. */
	const struct cv_kv_operation both[] = {{"c", "1", CV_KV_ABSENT}, {"a", "2", CV_KV_ABSENT}};

	assert_int_equal(cv_kv_commit(kv, both, 2, NULL, NULL), -EAGAIN);
	assert_value(kv, "b", "1");
	assert_value(kv, "c", NULL);
	assert_int_equal(put(kv, "b", "2", first, &second), 0);
	assert_true(second > first);
	assert_int_equal(cv_kv_sqlite_end(kv, NULL), 0);
	/* The end of one is the end of it. */
	assert_int_equal(put(kv, "d", "1", CV_KV_ABSENT, NULL), 0);
	/* Nothing is there without its end, nor of the counter. */
	assert_int_equal(cv_kv_sqlite_begin(kv, NULL), 0);
	assert_int_equal(put(kv, "e", "1", CV_KV_ABSENT, &first), 0);
	cv_kv_destroy(kv);
	kv = kv_directory_open();
	assert_value(kv, "a", "1");
	assert_value(kv, "b", "2");
	assert_value(kv, "c", NULL);
	assert_value(kv, "d", "1");
	assert_value(kv, "e", NULL);
	assert_int_equal(put(kv, "e", "1", CV_KV_ABSENT, &second), 0);
	assert_int_equal(first, second);
	cv_kv_destroy(kv);
}

static void test_group_on_a_full_disk(void **state)
{
	struct rlimit limit, before;
	struct cv_kv *kv = kv_directory_open();
	struct cv_error error = {""};
	static char value[100000];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	assert_int_equal(put(kv, "small", "old", CV_KV_ABSENT, NULL), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 65536;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(cv_kv_sqlite_begin(kv, &error), 0);
	put(kv, "small", "new", CV_KV_WHATEVER, NULL);
	put(kv, "large", value, CV_KV_WHATEVER, NULL);
	assert_int_equal(cv_kv_sqlite_end(kv, &error), -ENOSPC);
	assert_non_null(strstr(error.text, "make room"));
	assert_value(kv, "small", "old");
	assert_value(kv, "large", NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(cv_kv_sqlite_begin(kv, &error), 0);
	assert_int_equal(put(kv, "small", "new", CV_KV_WHATEVER, NULL), 0);
	assert_int_equal(cv_kv_sqlite_end(kv, &error), 0);
	cv_kv_destroy(kv);
	kv = kv_directory_open();
	assert_value(kv, "small", "new");
	cv_kv_destroy(kv);
}

/* Root may write everywhere, so it is nobody who tries. */
static void test_not_allowed(void **state)
{
	struct cv_kv *kv = NULL;
	struct cv_error error = {""};
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(chmod(kv_directory, 0555), 0);
	child = fork();
	if (!child) {
		if (geteuid() == 0 && seteuid(65534))
			_exit(2);
		_exit(cv_kv_sqlite_open(kv_directory_path, &kv, &error) == -EACCES &&
				      strstr(error.text, "must be writable")
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(chmod(kv_directory, 0755), 0);
	assert_int_equal(status, 0);
	snprintf(kv_directory_path, sizeof(kv_directory_path), "%s/missing/addresses.db",
		 kv_directory);
	assert_int_equal(cv_kv_sqlite_open(kv_directory_path, &kv, &error), -ENOENT);
}

int main(void)
{
#define WITH_DIRECTORY(test) \
	cmocka_unit_test_setup_teardown(test, kv_directory_set_up, kv_directory_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(test_compares),	     WITH_DIRECTORY(test_refuses_commits),
		WITH_DIRECTORY(test_against_oracle), WITH_DIRECTORY(test_is_ours_alone),
		WITH_DIRECTORY(test_killed),	     WITH_DIRECTORY(test_newer_format),
		WITH_DIRECTORY(test_other_program),  WITH_DIRECTORY(test_damaged),
		WITH_DIRECTORY(test_no_text),	     WITH_DIRECTORY(test_disk_full),
		WITH_DIRECTORY(test_group),	     WITH_DIRECTORY(test_group_on_a_full_disk),
		WITH_DIRECTORY(test_not_allowed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
