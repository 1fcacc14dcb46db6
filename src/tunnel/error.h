/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, as one line for people. */
#ifndef CV_TUNNEL_ERROR_H
#define CV_TUNNEL_ERROR_H

enum {
	CV_ERROR_TEXT_MAX = 480
};

struct cv_error {
	char text[CV_ERROR_TEXT_MAX]; /* one line, printable ASCII, no full stop */
};

/*
 * Write the line. Whatever could break a line or a terminal, or is no ASCII, becomes '?', so
 * that words of strangers may be quoted. error may be NULL. Returns err (a -errno), for
 * `return cv_error_set(error, -EINVAL, …)`.
 */
int cv_error_set(struct cv_error *error, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* The analyzer does not see the function's body: without this it takes err for lost. */
#define cv_error_set(error, err, ...) ((cv_error_set)((error), (err), __VA_ARGS__), (err))
#endif

#endif
