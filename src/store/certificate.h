/* SPDX-License-Identifier: Apache-2.0 */
/* From when until when a certificate is good: what etcd's own words for a refusal do not say. */
#ifndef CV_STORE_CERTIFICATE_H
#define CV_STORE_CERTIFICATE_H

#include <stdint.h>

#include "tunnel/error.h"

/* Seconds since 1970. */
struct cv_certificate {
	int64_t not_before_s, not_after_s;
};

/*
 * The first certificate of a PEM file. 0, or a -errno and why: -EINVAL there is none to be read,
 * -ELIBACC libcrypto cannot be loaded (store/library.h), else what fopen says. By any thread.
 */
int cv_certificate_read(const char *path, struct cv_certificate *ret_certificate,
			struct cv_error *error);

#endif
