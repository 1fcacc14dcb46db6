/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries that are loaded when they are needed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "store/libcurl.h"
#include "store/library.h"

struct table {
	int (*unused)(void);
	__typeof__(strlen) *length;
};

static void fills_the_table(void **state)
{
	static const struct cv_library_symbol symbols[] = {
		{"strlen", offsetof(struct table, length)}};
	const struct cv_library library = {
		.file = "libc.so.6", .package = "libc6", .symbols = symbols, .count = 1};
	struct table table = {.length = NULL};
	struct cv_error error;

	(void)state;
	assert_int_equal(cv_library_load(&library, &table, &error), 0);
	assert_null(table.unused);
	assert_int_equal(table.length("libc"), 4);
}

static void says_what_to_install(void **state)
{
	const struct cv_library library = {.file = "libnowhere.so.7", .package = "libnowhere7"};
	struct cv_error error;

	(void)state;
	assert_int_equal(cv_library_load(&library, NULL, &error), -ELIBACC);
	assert_non_null(strstr(error.text, "libnowhere.so.7: cannot open shared object file"));
	assert_non_null(strstr(error.text, "; install Debian's package libnowhere7"));
}

static void refuses_another_version(void **state)
{
	static const struct cv_library_symbol symbols[] = {{"cv_no_such_function", 0}};
	const struct cv_library library = {
		.file = "libc.so.6", .package = "libc6", .symbols = symbols, .count = 1};
	struct table table = {.length = NULL};
	struct cv_error error;

	(void)state;
	assert_int_equal(cv_library_load(&library, &table, &error), -ELIBACC);
	assert_string_equal(error.text,
			    "libc.so.6 has no cv_no_such_function; install Debian's package libc6");
}

static void *load(void *arg)
{
	const struct cv_libcurl **ret_curl = arg;

	*ret_curl = cv_libcurl_load(NULL);
	return NULL;
}

/* Clients of etcd are made by more than one thread. */
static void libcurl_is_loaded_once(void **state)
{
	pthread_t threads[8];
	const struct cv_libcurl *curls[8], *curl;
	CURL *easy;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, load, &curls[i]), 0);
	curl = cv_libcurl_load(NULL);
	assert_non_null(curl);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_ptr_equal(curls[i], curl);
	}
	easy = curl->easy_init();
	assert_non_null(easy);
	assert_int_equal(curl->easy_setopt(easy, CURLOPT_URL, "http://127.0.0.1/"), CURLE_OK);
	assert_string_equal(curl->easy_strerror(CURLE_OK), "No error");
	curl->easy_cleanup(easy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_the_table),
		cmocka_unit_test(says_what_to_install),
		cmocka_unit_test(refuses_another_version),
		cmocka_unit_test(libcurl_is_loaded_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
