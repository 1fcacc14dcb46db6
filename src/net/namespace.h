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

/*
 * Open the network namespace that path leads to ("/run/netns/NAME", "/proc/PID/ns/net"). A
 * descriptor to close, -ENOENT, -EINVAL: it is something else, or -errno.
 */
int cv_namespace_open(const char *path);

/*
 * What tells one from another, as long as somebody holds it: device and inode of what fd (-1: the
 * caller's) is open at. 0 or -errno.
 */
struct cv_namespace_inode {
	uint64_t device, inode;
};
int cv_namespace_inode(int fd, struct cv_namespace_inode *ret_inode);

/* A request socket of that namespace; the calling thread stays where it is. 0 or -errno. The caller
 * owns *ret_nl. */
int cv_namespace_nl(int fd, struct cv_nl **ret_nl);

#endif
