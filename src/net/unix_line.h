/* SPDX-License-Identifier: Apache-2.0 */
/* Lines over a UNIX stream socket, for a client. */
#ifndef CV_NET_UNIX_LINE_H
#define CV_NET_UNIX_LINE_H

#include <stddef.h>
#include <time.h>

/*
 * Connect to the socket at path, with a time limit for every later step. A descriptor to close;
 * -ENAMETOOLONG: no socket can have that name; -ENOENT, -ECONNREFUSED: nobody is there; or -errno.
 */
int cv_unix_connect(const char *path, time_t timeout_s);

/* Change the time limit of a step of receiving; 0: none. */
void cv_unix_set_timeout(int fd, time_t timeout_s);

/* Send text. An error is not told: why the other end listens no more may be waiting to be read. */
void cv_unix_send(int fd, const char *text);

/*
 * Receive up to the newline, which is cut off, and nothing behind it. The caller frees *ret_line.
 * 0; -EAGAIN: too slow; -ECONNRESET: the end came first; -EMSGSIZE: longer than max bytes; -errno.
 */
int cv_unix_receive(int fd, size_t max, char **ret_line);

#endif
