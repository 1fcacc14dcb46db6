/* SPDX-License-Identifier: Apache-2.0 */
/* A handle's document: in which blocks it has how many addresses (libcalico-go,
 * lib/backend/model/ipam_handle.go). */
#ifndef CV_IPAM_HANDLE_H
#define CV_IPAM_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/prefix.h"
#include "tunnel/error.h"

enum {
	CV_HANDLE_CIDR_MAX = 64, /* as text; of IPv6, too */
};

struct cv_handle_count {
	char text[CV_HANDLE_CIDR_MAX]; /* of the block; "10.244.1.0/26" */
	struct cv_prefix block;
	bool is_ipv4; /* block is set; others are kept, and not ours */
	uint32_t addresses;
};

struct cv_handle {
	struct cv_handle_count *counts; /* sorted by text */
	size_t count;
	bool is_deleted;
	char *others; /* members that we do not know, as text */
};

void cv_handle_fini(struct cv_handle *handle); /* zeroed: an empty one */

/* 0, -ENOMEM or -EUCLEAN: it is not to be overwritten then. */
int cv_handle_parse(const char *text, struct cv_handle *ret_handle, struct cv_error *error);

/* The document, compact; the caller frees it. NULL: no memory. */
char *cv_handle_print(const struct cv_handle *handle);

/* How many addresses it counts in a block. */
uint32_t cv_handle_in(const struct cv_handle *handle, const struct cv_prefix *block);

/* Say how many; 0: the block is not mentioned any more. 0 or -ENOMEM. */
int cv_handle_set(struct cv_handle *handle, const struct cv_prefix *block, uint32_t addresses);

/* It has no address: its document can go. */
bool cv_handle_is_empty(const struct cv_handle *handle);

#endif
