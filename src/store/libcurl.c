/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, once for the process. */
#include "store/libcurl.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "store/library.h"

#define SYMBOL(name) {"curl_" #name, offsetof(struct cv_libcurl, name)},

static const struct cv_library_symbol symbols[] = {CV_LIBCURL_FUNCTIONS(SYMBOL)};

static const struct cv_library library = {
	/* The soname since 2006. Debian's other packages of it are for GnuTLS and NSS. */
	.file = "libcurl.so.4",
	.package = "libcurl4",
	.symbols = symbols,
	.count = sizeof(symbols) / sizeof(symbols[0]),
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct cv_libcurl curl;
static int result;
static struct cv_error why;

static void load(void)
{
	CURLcode code;

	result = cv_library_load(&library, &curl, &why);
	if (result)
		return;
	code = curl.global_init(CURL_GLOBAL_DEFAULT);
	if (code)
		result = cv_error_set(&why, -ELIBACC, "libcurl: %s", curl.easy_strerror(code));
}

const struct cv_libcurl *cv_libcurl_load(struct cv_error *error)
{
	pthread_once(&once, load);
	if (!result)
		return &curl;
	cv_error_set(error, result, "%s", why.text);
	return NULL;
}
