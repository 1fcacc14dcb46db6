/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libevent's evhttp. GET and HEAD of /metrics; everything else is 404 or 501. A request has
 * no body and bounded headers, a connection that is silent is cut, and so is the oldest when there
 * are too many: whoever only holds connections keeps nobody out, nor uses up our descriptors.
 *
 * libevent 2.1 has no limit of its own and tells nothing of a connection before its request is
 * complete. Of each it asks for a bufferevent, which has the descriptor a moment later.
 */
#include "agent/metrics_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* libevent closes it when it likes: the descriptor is the connection's while the cookie is. */
struct connection {
	int fd;
	uint64_t cookie; /* the kernel's number of a socket, used once; 0: none */
};

struct cv_metrics_server {
	struct evhttp *http;
	struct bufferevent *newest; /* not among connections yet, held; or NULL */
	struct event *has_newest;
	struct connection connections[CV_METRICS_CONNECTIONS_MAX]; /* the oldest first */
	char *(*text)(void *context);
	void *context;
};

/* ---- the address --------------------------------------------------------------------------- */

struct endpoint {
	char host[INET6_ADDRSTRLEN];
	uint16_t port;
};

static int complain(struct cv_error *error, const char *address)
{
	return cv_error_set(error, -EINVAL,
			    "cannot serve metrics at \"%s\"; give ADDRESS:PORT, as 127.0.0.1:9091 "
			    "or [::1]:9091",
			    address);
}

static bool is_loopback(const char *host)
{
	static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
	struct in_addr address;
	struct in6_addr address6;

	if (inet_pton(AF_INET, host, &address) == 1)
		return ntohl(address.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &address6) == 1 &&
	       !memcmp(&address6, &loopback, sizeof(loopback));
}

static bool is_address(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static int parse_port(const char *text, uint16_t *ret_port)
{
	unsigned long port;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	port = strtoul(text, &end, 10);
	if (*end || !port || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

static int parse(const char *address, struct endpoint *ret_endpoint, struct cv_error *error)
{
	const char *colon = strrchr(address, ':'), *host = address;
	struct endpoint endpoint = {.host = "127.0.0.1"};
	size_t length = colon ? (size_t)(colon - address) : 0;

	if (parse_port(colon ? colon + 1 : address, &endpoint.port))
		return complain(error, address);
	if (colon && length >= 2 && host[0] == '[' && host[length - 1] == ']') {
		host++;
		length -= 2;
	} else if (colon && memchr(host, ':', length)) {
		return complain(error, address);
	}
	if (colon) {
		if (!length || length >= sizeof(endpoint.host))
			return complain(error, address);
		memcpy(endpoint.host, host, length);
		endpoint.host[length] = '\0';
	}
	if (!is_address(endpoint.host))
		return complain(error, address);
	if (!is_loopback(endpoint.host))
		return cv_error_set(
			error, -EINVAL,
			"metrics are served on a loopback address only, not on %s, as "
			"nothing protects them; give 127.0.0.1:%u, and let a proxy with "
			"TLS serve others",
			endpoint.host, endpoint.port);
	*ret_endpoint = endpoint;
	return 0;
}

int cv_metrics_server_check(const char *address, struct cv_error *error)
{
	struct endpoint endpoint;

	return parse(address, &endpoint, error);
}

/* ---- connections ---------------------------------------------------------------------------- */

/* 0: no socket. */
static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) < 0)
		return 0;
	return cookie;
}

static bool is_open(const struct connection *connection)
{
	return connection->cookie && cookie_of(connection->fd) == connection->cookie;
}

/* Put the newest behind the others, in the place of one that has ended, or of the oldest. */
static void settle_newest(struct cv_metrics_server *server)
{
	struct connection *connections = server->connections;
	unsigned int place = 0;
	int fd;

	if (!server->newest)
		return;
	fd = bufferevent_getfd(server->newest);
	while (place < CV_METRICS_CONNECTIONS_MAX && is_open(&connections[place]))
		place++;
	if (place == CV_METRICS_CONNECTIONS_MAX) {
		place = 0;
		(void)shutdown(connections[place].fd, SHUT_RDWR); /* libevent closes it */
	}
	memmove(&connections[place], &connections[place + 1],
		(CV_METRICS_CONNECTIONS_MAX - 1 - place) * sizeof(*connections));
	connections[CV_METRICS_CONNECTIONS_MAX - 1] =
		(struct connection){.fd = fd, .cookie = cookie_of(fd)};
	bufferevent_decref(server->newest);
	server->newest = NULL;
}

static void on_newest(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	settle_newest(data);
}

/* libevent has accepted a connection. */
static struct bufferevent *on_accepted(struct event_base *base, void *data)
{
	struct cv_metrics_server *server = data;

	settle_newest(server);
	server->newest = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (server->newest) {
		bufferevent_incref(server->newest);
		event_active(server->has_newest, EV_TIMEOUT, 0);
	}
	return server->newest;
}

/* ---- requests ------------------------------------------------------------------------------- */

static void free_text(const void *data, size_t length, void *text)
{
	(void)data;
	(void)length;
	free(text);
}

/* libevent 2.1 would send the body to HEAD as well. */
static int fill(struct evbuffer *body, char *text, struct evhttp_request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	char length[24];

	if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD)
		return evbuffer_add_reference(body, text, strlen(text), free_text, text);
	snprintf(length, sizeof(length), "%zu", strlen(text));
	if (evhttp_add_header(headers, "Content-Length", length))
		return -1;
	free(text);
	return 0;
}

static void on_metrics(struct evhttp_request *request, void *data)
{
	const struct cv_metrics_server *server = data;
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();
	char *text = body ? server->text(server->context) : NULL;

	/* Prometheus asks every few seconds at most: a connection for each costs nothing, and none
	 * stays to be counted. */
	evhttp_add_header(headers, "Connection", "close");
	if (!text || fill(body, text, request)) {
		free(text);
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	} else {
		evhttp_add_header(headers, "Content-Type",
				  "text/plain; version=0.0.4; charset=utf-8");
		evhttp_send_reply(request, HTTP_OK, NULL, body);
	}
	if (body)
		evbuffer_free(body);
}

static void on_other(struct evhttp_request *request, void *data)
{
	(void)data;
	evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
	evhttp_send_error(request, HTTP_NOTFOUND, NULL);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

int cv_metrics_server_create(struct event_base *base, const char *address,
			     char *(*text)(void *context), void *context,
			     struct cv_metrics_server **ret_server, struct cv_error *error)
{
	struct cv_metrics_server *server;
	struct endpoint endpoint;
	int rc = parse(address, &endpoint, error);

	if (rc)
		return rc;
	server = calloc(1, sizeof(*server));
	if (server) {
		server->http = evhttp_new(base);
		server->has_newest = evtimer_new(base, on_newest, server);
	}
	if (!server || !server->http || !server->has_newest) {
		cv_metrics_server_destroy(server);
		return cv_error_set(error, -ENOMEM, "out of memory");
	}
	server->text = text;
	server->context = context;
	evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(server->http, CV_METRICS_HEADERS_MAX);
	evhttp_set_max_body_size(server->http, 0);
	evhttp_set_timeout(server->http, CV_METRICS_TIMEOUT_S);
	evhttp_set_gencb(server->http, on_other, server);
	evhttp_set_bevcb(server->http, on_accepted, server);
	errno = 0;
	if (evhttp_set_cb(server->http, "/metrics", on_metrics, server) ||
	    !evhttp_bind_socket_with_handle(server->http, endpoint.host, endpoint.port)) {
		rc = errno ? -errno : -EIO;
		cv_metrics_server_destroy(server);
		return cv_error_set(
			error, rc, "cannot serve metrics at %s: %s; give another port to --metrics",
			address, strerror(-rc));
	}
	*ret_server = server;
	return 0;
}

void cv_metrics_server_destroy(struct cv_metrics_server *server)
{
	if (!server)
		return;
	settle_newest(server);
	if (server->http)
		evhttp_free(server->http);
	if (server->has_newest)
		event_free(server->has_newest);
	free(server);
}
