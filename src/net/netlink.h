/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A NETLINK_ROUTE request socket: one request, its answers, its error; or many changes at once.
 * Not thread-safe: one per thread.
 */
#ifndef CV_NET_NETLINK_H
#define CV_NET_NETLINK_H

#include <stddef.h>
#include <libmnl/libmnl.h>

struct cv_nl;

/* Open, strict checking and extended acks on. -errno. The caller owns *ret_nl: cv_nl_destroy. */
int cv_nl_create(struct cv_nl **ret_nl);

/* Close. NULL is fine. */
void cv_nl_destroy(struct cv_nl *nl);

/* Its descriptor, for ioctls on devices of the socket's network namespace. Stays with nl. */
int cv_nl_fd(const struct cv_nl *nl);

/* By which notices name its requests (nlmsg_pid). */
uint32_t cv_nl_port_id(const struct cv_nl *nl);

/* The buffer in which to build the next request (MNL_SOCKET_BUFFER_SIZE or more bytes). */
void *cv_nl_buffer(struct cv_nl *nl);

/*
 * Send the request built in cv_nl_buffer (type, flags and body; the sequence number,
 * NLM_F_REQUEST and, for anything but a question, NLM_F_ACK are set here) and call cb
 * (NULL: nobody) for every answer. Returns 0, or the kernel's or the socket's -errno;
 * cb returns MNL_CB_OK to go on, MNL_CB_STOP, or -errno to give up, and must not use nl.
 * A dump that was interrupted (NLM_F_DUMP_INTR) returns -EINTR: ask again; the
 * for-each functions of link.h and route.h do, CV_NL_DUMP_ATTEMPTS times.
 */
int cv_nl_talk(struct cv_nl *nl, struct nlmsghdr *request, mnl_cb_t cb, void *data);

enum {
	CV_NL_DUMP_ATTEMPTS = 16
};

enum {
	CV_NL_BATCH_REQUEST_MAX = 256 /* bytes of one request of a batch */
};

/* Many changes, which the kernel makes in their order, whatever becomes of those before. */
struct cv_nl_batch {
	size_t count;
	/* Write the type, flags and body of request i, which begins empty at nlh. */
	void (*build)(struct nlmsghdr *nlh, size_t i, void *data);
	/* Request i failed with err, the kernel's -errno. Called in order; must not use nl. */
	void (*failed)(size_t i, int err, void *data);
	void *data;
};

/*
 * Make the changes (no questions), many to a system call. 0: the kernel has answered all of them,
 * and failed() knows which it refused; cv_nl_error_text tells of the first of these. -errno: the
 * socket broke, and what became of the last hundred is not known.
 */
int cv_nl_batch(struct cv_nl *nl, const struct cv_nl_batch *batch);

/*
 * The kernel's own words on why the last request failed (extended ack), "" when it
 * gave none. Valid until the next request.
 */
const char *cv_nl_error_text(const struct cv_nl *nl);

#endif
