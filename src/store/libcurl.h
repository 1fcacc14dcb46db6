/* SPDX-License-Identifier: Apache-2.0 */
/* What we call of libcurl, which is loaded by who talks to etcd, and by nobody else. */
#ifndef CV_STORE_LIBCURL_H
#define CV_STORE_LIBCURL_H

#include <curl/curl.h>

#include "tunnel/error.h"

#define CV_LIBCURL_FUNCTIONS(_) \
	_(easy_cleanup)         \
	_(easy_getinfo)         \
	_(easy_init)            \
	_(easy_reset)           \
	_(easy_setopt)          \
	_(easy_strerror)        \
	_(global_init)          \
	_(multi_add_handle)     \
	_(multi_cleanup)        \
	_(multi_info_read)      \
	_(multi_init)           \
	_(multi_perform)        \
	_(multi_poll)           \
	_(multi_remove_handle)  \
	_(multi_wakeup)         \
	_(slist_append)         \
	_(slist_free_all)

/* curl->easy_init() is curl_easy_init(), and so on. */
struct cv_libcurl {
#define CV_LIBCURL_MEMBER(name) __typeof__ (&curl_##name)(name);
	CV_LIBCURL_FUNCTIONS(CV_LIBCURL_MEMBER)
#undef CV_LIBCURL_MEMBER
};

/*
 * Whether a value has the type that an option of easy_setopt takes, for a _Static_assert: the look
 * at types that <curl/curl.h> has is in its macro, which a call by pointer goes past.
 */
#define CV_LIBCURL_TAKES(option, value)                                                           \
	_Generic((value), int : 0, unsigned int : 0, long                                         \
		 : (option) < CURLOPTTYPE_OBJECTPOINT ||                                          \
			   ((option) >= CURLOPTTYPE_OFF_T && sizeof(curl_off_t) == sizeof(long)), \
		   long long                                                                      \
		 : (option) >= CURLOPTTYPE_OFF_T, default                                         \
		 : (option) >= CURLOPTTYPE_OBJECTPOINT && (option) < CURLOPTTYPE_OFF_T)

/*
 * Load it, and have it initialised, if this is the first time. NULL: it cannot be. It is nobody's
 * to free. By any thread.
 */
const struct cv_libcurl *cv_libcurl_load(struct cv_error *error);

#endif
