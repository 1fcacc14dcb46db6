/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP to etcd, by libcurl's multi interface: so that a stream goes on while a request is made, and
 * any wait can be ended by another thread.
 *
 * Invariant: what may not be repeated is never sent twice. libcurl does that by itself where a kept
 * connection has died before it answered; the body of such a request cannot be rewound.
 */
#include "store/etcd_http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "store/etcd_words.h"
#include "store/libcurl.h"

/* A request, or the stream. */
struct exchange {
	struct cv_etcd_http *http;
	CURL *easy;
	struct curl_slist *headers;
	const char *body; /* of a stream: own_body */
	char *own_body, *endpoint;
	size_t length, taken; /* of the body: what libcurl has */
	bool is_repeatable, is_done;
	CURLcode result;
	struct cv_text text; /* what came; of a stream, the line that is not yet complete */
	bool is_too_large;
	void (*line)(void *context, const char *text, size_t length);
	void *context;
	char words[CURL_ERROR_SIZE];
};

struct cv_etcd_http {
	const struct cv_datastore_config *config;
	const struct cv_libcurl *curl;
	CURLM *multi;
	CURL *easy; /* of requests; NULL: none was made yet */
	struct exchange stream;
	atomic_bool is_canceled;
};

int cv_etcd_http_create(const struct cv_datastore_config *config, struct cv_etcd_http **ret_http,
			struct cv_error *error)
{
	const struct cv_libcurl *curl = cv_libcurl_load(error);
	struct cv_etcd_http *http;

	if (!curl)
		return -ELIBACC;
	http = calloc(1, sizeof(*http));
	if (!http)
		return cv_error_set(error, -ENOMEM, "out of memory");
	http->config = config;
	http->curl = curl;
	http->multi = curl->multi_init();
	http->easy = curl->easy_init();
	if (!http->multi || !http->easy) {
		cv_etcd_http_destroy(http);
		return cv_error_set(error, -ENOMEM, "out of memory");
	}
	*ret_http = http;
	return 0;
}

void cv_etcd_http_destroy(struct cv_etcd_http *http)
{
	if (!http)
		return;
	cv_etcd_http_close(http);
	http->curl->easy_cleanup(http->easy);
	http->curl->multi_cleanup(http->multi);
	free(http);
}

void cv_etcd_http_cancel(struct cv_etcd_http *http)
{
	atomic_store(&http->is_canceled, true);
	http->curl->multi_wakeup(http->multi);
}

void cv_etcd_http_wake(struct cv_etcd_http *http)
{
	http->curl->multi_wakeup(http->multi);
}

bool cv_etcd_http_is_canceled(const struct cv_etcd_http *http)
{
	return atomic_load(&http->is_canceled);
}

/* ---- what libcurl asks for ----------------------------------------------------------- */

static size_t give_body(char *buffer, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	size_t room = size * count, left = exchange->length - exchange->taken;
	size_t length = left < room ? left : room;

	memcpy(buffer, exchange->body + exchange->taken, length);
	exchange->taken += length;
	return length;
}

static int rewind_body(void *data, curl_off_t offset, int origin)
{
	struct exchange *exchange = data;

	if (origin != SEEK_SET || offset || (exchange->taken && !exchange->is_repeatable))
		return CURL_SEEKFUNC_FAIL;
	exchange->taken = 0;
	return CURL_SEEKFUNC_OK;
}

/* Hand out the lines that are complete. */
static void hand_out(struct exchange *exchange)
{
	char *begin = exchange->text.data, *end;
	size_t left = exchange->text.length;

	while (left && (end = memchr(begin, '\n', left)) != NULL) {
		exchange->line(exchange->context, begin, (size_t)(end - begin));
		left -= (size_t)(end + 1 - begin);
		begin = end + 1;
	}
	if (!left) {
		cv_text_fini(&exchange->text);
	} else if (begin != exchange->text.data) {
		struct cv_text rest = {.data = NULL};

		cv_text_add(&rest, begin, left);
		cv_text_fini(&exchange->text);
		exchange->text = rest;
	}
}

static size_t take_text(char *buffer, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	size_t length = size * count;
	bool has_line = exchange->line && memchr(buffer, '\n', length);

	if (exchange->text.length + length > (size_t)CV_ETCD_REPLY_MIB << 20) {
		exchange->is_too_large = true;
		return 0;
	}
	cv_text_add(&exchange->text, buffer, length);
	if (exchange->text.has_failed)
		return 0;
	if (has_line)
		hand_out(exchange);
	return length;
}

/* So that a peer that has vanished is noticed, also where nothing is to be sent. */
static int set_keepalive(void *data, curl_socket_t fd, curlsocktype purpose)
{
	const int on = 1, idle_s = CV_ETCD_SILENCE_S / 2 - 1, step_s = 2, count = 3;
	const unsigned int silence_ms = CV_ETCD_SILENCE_S * 1000;

	(void)data;
	(void)purpose;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step_s, sizeof(step_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
	return CURL_SOCKOPT_OK;
}

/* ---- exchanges ------------------------------------------------------------------------- */

#define set_option(exchange, option, value)                                           \
	do {                                                                          \
		_Static_assert(CV_LIBCURL_TAKES(option, value), #option);             \
		(exchange)->http->curl->easy_setopt((exchange)->easy, option, value); \
	} while (0)

/* Without session tickets, by which a certificate that has expired since would still be taken. */
static void set_tls(struct exchange *exchange)
{
	const struct cv_datastore_config *config = exchange->http->config;

	set_option(exchange, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	set_option(exchange, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	set_option(exchange, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (config->ca_file) {
		set_option(exchange, CURLOPT_CAINFO, config->ca_file);
		set_option(exchange, CURLOPT_CAPATH, NULL);
	}
	if (config->cert_file)
		set_option(exchange, CURLOPT_SSLCERT, config->cert_file);
	if (config->key_file)
		set_option(exchange, CURLOPT_SSLKEY, config->key_file);
}

static bool add_header(struct exchange *exchange, const char *line)
{
	struct curl_slist *longer = exchange->http->curl->slist_append(exchange->headers, line);

	if (!longer)
		return false;
	exchange->headers = longer;
	return true;
}

/* Both the JSON's type and no wait for "100 Continue", which etcd does not send. */
static int set_headers(struct exchange *exchange, const char *token)
{
	struct cv_text line = {.data = NULL};
	bool is_done = add_header(exchange, "Content-Type: application/json") &&
		       add_header(exchange, "Expect:");

	if (is_done && token) {
		cv_text_puts(&line, "Authorization: ");
		cv_text_puts(&line, token);
		is_done = !line.has_failed && add_header(exchange, line.data);
		cv_text_fini(&line);
	}
	set_option(exchange, CURLOPT_HTTPHEADER, exchange->headers);
	return is_done ? 0 : -ENOMEM;
}

static int set_exchange(struct exchange *exchange, const struct cv_etcd_request *request)
{
	struct cv_text url = {.data = NULL};

	exchange->http->curl->easy_reset(exchange->easy);
	cv_text_puts(&url, request->endpoint);
	cv_text_puts(&url, request->path);
	if (url.has_failed)
		return -ENOMEM;
	set_option(exchange, CURLOPT_URL, url.data);
	cv_text_fini(&url);
	set_option(exchange, CURLOPT_PROTOCOLS_STR, "http,https");
	set_option(exchange, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* etcd is asked, not a proxy of the environment. */
	set_option(exchange, CURLOPT_PROXY, "");
	set_option(exchange, CURLOPT_NOSIGNAL, 1L);
	/* What is over must not wait for the resolver, which asks silent DNS servers for 10 s and
	 * more: libcurl leaves its thread to itself then. */
	set_option(exchange, CURLOPT_QUICK_EXIT, 1L);
	set_option(exchange, CURLOPT_POST, 1L);
	set_option(exchange, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->length);
	set_option(exchange, CURLOPT_READFUNCTION, give_body);
	set_option(exchange, CURLOPT_READDATA, exchange);
	set_option(exchange, CURLOPT_SEEKFUNCTION, rewind_body);
	set_option(exchange, CURLOPT_SEEKDATA, exchange);
	set_option(exchange, CURLOPT_WRITEFUNCTION, take_text);
	set_option(exchange, CURLOPT_WRITEDATA, exchange);
	set_option(exchange, CURLOPT_SOCKOPTFUNCTION, set_keepalive);
	set_option(exchange, CURLOPT_MAXLIFETIME_CONN, (long)CV_ETCD_CONNECTION_S);
	set_option(exchange, CURLOPT_CONNECTTIMEOUT_MS, (long)CV_ETCD_CONNECT_MS);
	set_option(exchange, CURLOPT_ERRORBUFFER, exchange->words);
	set_option(exchange, CURLOPT_PRIVATE, exchange);
	set_tls(exchange);
	return set_headers(exchange, request->token);
}

/* Take note of exchanges that have ended. */
static void take_results(struct cv_etcd_http *http)
{
	CURLMsg *message;
	int left;

	while ((message = http->curl->multi_info_read(http->multi, &left)) != NULL) {
		struct exchange *exchange = NULL;

		http->curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
					 (char **)&exchange);
		if (message->msg != CURLMSG_DONE || !exchange)
			continue;
		exchange->is_done = true;
		exchange->result = message->data.result;
	}
}

static void explain(const struct cv_etcd_http *http, const struct exchange *exchange,
		    const char *endpoint, int timeout_ms, struct cv_error *error)
{
	struct cv_etcd_failure failure = {
		.endpoint = endpoint,
		.config = http->config,
		.result = exchange->result,
		.words = *exchange->words ? exchange->words
					  : http->curl->easy_strerror(exchange->result),
		.was_sent = exchange->taken > 0,
		.is_too_large = exchange->is_too_large,
		.timeout_ms = timeout_ms,
	};
	long number = 0, status = 0, connects = 0;

	http->curl->easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	http->curl->easy_getinfo(exchange->easy, CURLINFO_NUM_CONNECTS, &connects);
	failure.is_first = !status && connects;
	http->curl->easy_getinfo(exchange->easy, CURLINFO_OS_ERRNO, &number);
	failure.os_errno = (int)number;
	cv_etcd_explain_failure(&failure, error);
}

static void run(struct cv_etcd_http *http, struct exchange *exchange)
{
	int running;

	while (!exchange->is_done && !cv_etcd_http_is_canceled(http)) {
		CURLMcode code = http->curl->multi_perform(http->multi, &running);

		take_results(http);
		if (!exchange->is_done && code == CURLM_OK)
			code = http->curl->multi_poll(http->multi, NULL, 0, 1000, NULL);
		if (code == CURLM_OK)
			continue;
		exchange->is_done = true;
		exchange->result = CURLE_OUT_OF_MEMORY;
	}
}

static atomic_uint_fast64_t requests, failed;
static atomic_int_fast64_t last_answer_us;

static void count_request(enum cv_etcd_fate fate)
{
	struct timespec now;

	if (fate == CV_ETCD_CANCELED)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	requests++;
	if (fate == CV_ETCD_ANSWERED)
		last_answer_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	else
		failed++;
}

void cv_etcd_traffic(struct cv_etcd_traffic *ret_traffic)
{
	*ret_traffic = (struct cv_etcd_traffic){
		.requests = requests,
		.failed = failed,
		.last_answer_us = last_answer_us,
	};
}

static enum cv_etcd_fate fate_of(const struct exchange *exchange)
{
	if (!exchange->is_done)
		return CV_ETCD_CANCELED;
	if (exchange->result == CURLE_OK)
		return CV_ETCD_ANSWERED;
	if (exchange->is_too_large)
		return CV_ETCD_OVERSIZED;
	/* In TLS 1.3 the server's refusal comes behind the request, which it has not read. */
	if (cv_etcd_is_handshake(exchange->result, exchange->words))
		return CV_ETCD_UNTRUSTED;
	if (exchange->result == CURLE_OPERATION_TIMEDOUT && exchange->text.length)
		return CV_ETCD_SLOW;
	return exchange->taken < exchange->length ? CV_ETCD_UNSENT : CV_ETCD_LOST;
}

enum cv_etcd_fate cv_etcd_http_post(struct cv_etcd_http *http,
				    const struct cv_etcd_request *request, int timeout_ms,
				    long *ret_status, struct cv_text *ret_text,
				    struct cv_error *error)
{
	struct exchange exchange = {
		.http = http,
		.easy = http->easy,
		.body = request->body,
		.length = request->length,
		.is_repeatable = request->is_repeatable,
	};
	enum cv_etcd_fate fate;

	if (set_exchange(&exchange, request) ||
	    http->curl->multi_add_handle(http->multi, http->easy) != CURLM_OK) {
		http->curl->slist_free_all(exchange.headers);
		cv_error_set(error, -ENOMEM, "out of memory");
		return CV_ETCD_UNSENT;
	}
	set_option(&exchange, CURLOPT_TIMEOUT_MS, (long)(timeout_ms > 0 ? timeout_ms : 1));
	run(http, &exchange);
	http->curl->multi_remove_handle(http->multi, http->easy);
	fate = fate_of(&exchange);
	count_request(fate);
	if (fate == CV_ETCD_ANSWERED) {
		http->curl->easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, ret_status);
		*ret_text = exchange.text;
	} else {
		if (fate == CV_ETCD_CANCELED)
			cv_error_set(error, -ECANCELED, "canceled");
		else
			explain(http, &exchange, request->endpoint, timeout_ms, error);
		cv_text_fini(&exchange.text);
	}
	http->curl->slist_free_all(exchange.headers);
	return fate;
}

/* ---- the stream -------------------------------------------------------------------------- */

int cv_etcd_http_open(struct cv_etcd_http *http, const struct cv_etcd_request *request,
		      void (*line)(void *context, const char *text, size_t length), void *context)
{
	struct exchange *stream = &http->stream;

	cv_etcd_http_close(http);
	stream->http = http;
	stream->easy = http->curl->easy_init();
	stream->own_body = strndup(request->body, request->length);
	stream->endpoint = strdup(request->endpoint);
	stream->body = stream->own_body;
	stream->length = request->length;
	stream->is_repeatable = true;
	stream->line = line;
	stream->context = context;
	if (!stream->easy || !stream->own_body || !stream->endpoint ||
	    set_exchange(stream, request) ||
	    http->curl->multi_add_handle(http->multi, stream->easy) != CURLM_OK) {
		cv_etcd_http_close(http);
		return -ENOMEM;
	}
	return 0;
}

void cv_etcd_http_close(struct cv_etcd_http *http)
{
	struct exchange *stream = &http->stream;

	if (stream->easy) {
		http->curl->multi_remove_handle(http->multi, stream->easy);
		http->curl->easy_cleanup(stream->easy);
	}
	http->curl->slist_free_all(stream->headers);
	cv_text_fini(&stream->text);
	free(stream->own_body);
	free(stream->endpoint);
	*stream = (struct exchange){.easy = NULL};
}

/* What a stream that ended had said last, behind no newline: an error in plain text. */
static void hand_out_rest(struct exchange *stream)
{
	if (stream->text.length)
		stream->line(stream->context, stream->text.data, stream->text.length);
	cv_text_fini(&stream->text);
}

int cv_etcd_http_poll(struct cv_etcd_http *http, int timeout_ms, struct cv_error *error)
{
	struct exchange *stream = &http->stream;
	int running;

	if (!stream->easy)
		return cv_error_set(error, -EPIPE, "the watch is not open");
	if (!stream->is_done)
		http->curl->multi_poll(http->multi, NULL, 0, timeout_ms, NULL);
	if (cv_etcd_http_is_canceled(http))
		return cv_error_set(error, -ECANCELED, "canceled");
	http->curl->multi_perform(http->multi, &running);
	take_results(http);
	if (!stream->is_done)
		return 0;
	if (stream->result == CURLE_OK)
		cv_error_set(error, -EPIPE, "etcd %s has ended the watch", stream->endpoint);
	else
		explain(http, stream, stream->endpoint, CV_ETCD_CONNECT_MS, error);
	if (stream->is_too_large)
		return -E2BIG;
	hand_out_rest(stream);
	return -EPIPE;
}
