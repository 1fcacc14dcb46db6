/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves metrics by HTTP on a loopback address. Whoever may run programs on this host may ask, so
 * it is off unless asked for, tells what `culvert metrics` tells, and takes nothing.
 */
#ifndef CV_AGENT_METRICS_SERVER_H
#define CV_AGENT_METRICS_SERVER_H

#include "tunnel/error.h"

struct event_base;
struct cv_metrics_server;

enum {
	CV_METRICS_TIMEOUT_S = 5,      /* of a connection: to ask, and to take the answer */
	CV_METRICS_HEADERS_MAX = 8192, /* bytes */
	CV_METRICS_CONNECTIONS_MAX = 8 /* at a time; one more, and the oldest is cut */
};

/*
 * Listen at "127.0.0.1:9091", "[::1]:9091" or "9091" (of 127.0.0.1), numbers only. text: gives the
 * metrics, which the server frees; NULL: it cannot now. 0 or -errno: -EINVAL: no such address, or
 * not a loopback one. The caller owns *ret_server: cv_metrics_server_destroy, before base is freed.
 */
int cv_metrics_server_create(struct event_base *base, const char *address,
			     char *(*text)(void *context), void *context,
			     struct cv_metrics_server **ret_server, struct cv_error *error);

/* Cut all connections. NULL is fine. */
void cv_metrics_server_destroy(struct cv_metrics_server *server);

/* Check an address as cv_metrics_server_create does, without listening. 0 or -EINVAL. */
int cv_metrics_server_check(const char *address, struct cv_error *error);

#endif
