/* SPDX-License-Identifier: Apache-2.0 */
/* Which network namespace this is: device indexes mean something in one alone. */
#ifndef CV_NET_NAMESPACE_H
#define CV_NET_NAMESPACE_H

#include <stdint.h>

#include "net/netlink.h"

enum {
	CV_NAMESPACE_ID_MAX = 64
};

/* The kernel's number for the caller's, unique until it boots again. 0 or -errno (before 5.14). */
int cv_namespace_cookie(uint64_t *ret_cookie);

/*
 * A text that no other network namespace has, before or after a restart of the machine; "" where
 * the kernel does not tell (before 5.14).
 */
void cv_namespace_id(const struct cv_nl *nl, char ret_id[CV_NAMESPACE_ID_MAX]);

#endif
