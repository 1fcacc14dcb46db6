/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to etcd's JSON gateway over HTTP/1.1, one endpoint at a time: connections that are kept,
 * TLS, time limits, and what went wrong in words. Who asks which endpoint is etcd.h's business.
 */
#ifndef CV_STORE_ETCD_HTTP_H
#define CV_STORE_ETCD_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/json.h"
#include "store/datastore.h"

enum {
	CV_ETCD_CONNECT_MS = 1000, /* TCP and TLS */
	/* Of an answer, or a line of a stream. etcd takes values of 1.5 MiB (2 in base64), unless
	 * it is told otherwise; of lists, pages are asked for that fit. */
	CV_ETCD_REPLY_MIB = 32,
	/* A connection is not used for longer: certificates are read, and looked at, anew. */
	CV_ETCD_CONNECTION_S = 60,
	/* A peer that does not even answer TCP's keep-alive for so long is gone. */
	CV_ETCD_SILENCE_S = 10,
};

/* One thread's, but for cv_etcd_http_cancel and cv_etcd_http_wake. */
struct cv_etcd_http;

/* Of all of this process, since it began. By any thread. */
struct cv_etcd_traffic {
	uint64_t requests, failed; /* failed: without an answer */
	int64_t last_answer_us;	   /* CLOCK_MONOTONIC; 0: there was none */
};
void cv_etcd_traffic(struct cv_etcd_traffic *ret_traffic);

/* config must outlive it. 0, -ENOMEM, or -ELIBACC: libcurl cannot be loaded. */
int cv_etcd_http_create(const struct cv_datastore_config *config, struct cv_etcd_http **ret_http,
			struct cv_error *error);
void cv_etcd_http_destroy(struct cv_etcd_http *http);

/* What is being waited for ends, and everything from now on, at once. By any thread. */
void cv_etcd_http_cancel(struct cv_etcd_http *http);
/* Only what waits in cv_etcd_http_poll goes on. By any thread. */
void cv_etcd_http_wake(struct cv_etcd_http *http);
bool cv_etcd_http_is_canceled(const struct cv_etcd_http *http);

/* What became of a request. */
enum cv_etcd_fate {
	CV_ETCD_ANSWERED,
	CV_ETCD_UNSENT,	   /* it cannot have been acted on */
	CV_ETCD_UNTRUSTED, /* nor this: TLS has failed, for one of the certificates */
	CV_ETCD_LOST,	   /* sent, perhaps in part; no answer, or half of one */
	CV_ETCD_SLOW,	   /* as this; the time was over in the middle of the answer */
	CV_ETCD_OVERSIZED, /* sent; the answer is larger than CV_ETCD_REPLY_MIB */
	CV_ETCD_CANCELED,
};

struct cv_etcd_request {
	const char *endpoint; /* "https://10.0.0.1:2379" */
	const char *path;     /* "/v3/kv/range" */
	const char *token;    /* NULL: none */
	const char *body;
	size_t length;
	bool is_repeatable; /* may be sent again by itself when a kept connection turns out dead */
};

/*
 * Ask, and wait for the answer, timeout_ms at most. The text is the caller's: cv_text_fini. error
 * is written unless there is an answer, whatever that says. A stream that is open goes on
 * meanwhile.
 */
enum cv_etcd_fate cv_etcd_http_post(struct cv_etcd_http *http,
				    const struct cv_etcd_request *request, int timeout_ms,
				    long *ret_status, struct cv_text *ret_text,
				    struct cv_error *error);

/*
 * Begin a stream, the one that there may be. line is called with each line that comes, from
 * cv_etcd_http_poll and cv_etcd_http_post; no NUL follows it. 0 or -ENOMEM.
 */
int cv_etcd_http_open(struct cv_etcd_http *http, const struct cv_etcd_request *request,
		      void (*line)(void *context, const char *text, size_t length), void *context);
void cv_etcd_http_close(struct cv_etcd_http *http);

/*
 * Wait for timeout_ms at most, or until something was read. 0: the stream is open; -EPIPE: it has
 * ended, and error says why; -E2BIG: by a line that was too long; -ECANCELED.
 */
int cv_etcd_http_poll(struct cv_etcd_http *http, int timeout_ms, struct cv_error *error);

#endif
