/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted set of IPv4 addresses: filled at once, then asked for every packet. */
#ifndef CV_ENGINE_ADDRESS_SET_H
#define CV_ENGINE_ADDRESS_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

enum {
	CV_ADDRESS_SET_MAX = 65536
};

/* Zeroed: empty. */
struct cv_address_set {
	__be32 *members;
	size_t count;
	size_t capacity;
};

/* Add a member, which may be one already. 0, -ENOSPC beyond CV_ADDRESS_SET_MAX, -ENOMEM. */
int cv_address_set_add(struct cv_address_set *set, __be32 address);

/* Between the last addition and the first question. */
void cv_address_set_sort(struct cv_address_set *set);

bool cv_address_set_has(const struct cv_address_set *set, __be32 address);

/* Empty it; its memory is kept for the next filling. */
void cv_address_set_clear(struct cv_address_set *set);

/* Free its memory. */
void cv_address_set_fini(struct cv_address_set *set);

#endif
