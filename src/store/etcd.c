/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to a cluster: which member is asked, what is asked again, and where.
 *
 * Invariants:
 * - A transaction is sent again only if the one before cannot have been done. Everything else that
 *   went without an answer is -ETIMEDOUT, never -EHOSTUNREACH.
 * - An endpoint that failed is left for the next one; one that works is kept, whoever else may.
 * - When none has answered, nobody is asked for a while (which grows to a second): who calls in a
 *   loop must not make a cluster that comes up again busy with connections.
 */
#include "store/etcd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "store/etcd_http.h"
#include "store/etcd_words.h"

enum {
	BACKOFF_FIRST_MS = 50,
	BACKOFF_LAST_MS = 1000,
	PASSES = 2, /* over all endpoints, in a call */
	LIST_TRIES = 3,
	SMALLEST_PAGE = 1,
	SLOW_PAGE = 16,
	PAGE_STEP = 4, /* what was too large is not asked for too often */
};

struct cv_etcd {
	struct cv_datastore_config config;
	struct cv_etcd_http *http;
	int request_ms, call_ms;
	size_t current; /* endpoint */
	char *token;	/* NULL: none, yet */
	bool is_open;	/* etcd has no authentication, as it has said */
	size_t page;
	int backoff_ms; /* 0: the last call was answered */
	int64_t quiet_until_ms;
	struct cv_error last; /* why it was not */
	int last_rc;
};

/* What is asked. */
struct ask {
	const char *path;
	const struct cv_text *body;
	bool is_repeatable;
	bool is_page; /* less of it can be asked for */
};

static int no_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static unsigned int draw(void)
{
	unsigned int number = 0;

	/* Any number will do: it only spreads clients. */
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = (unsigned int)now_ms();
	return number;
}

int cv_etcd_create(const struct cv_etcd_options *options, struct cv_etcd **ret_etcd,
		   struct cv_error *error)
{
	struct cv_etcd *etcd = calloc(1, sizeof(*etcd));
	int rc;

	if (!etcd)
		return no_memory(error);
	rc = cv_datastore_config_copy(options->config, &etcd->config)
		     ? no_memory(error)
		     : cv_etcd_http_create(&etcd->config, &etcd->http, error);
	if (rc) {
		cv_etcd_destroy(etcd);
		return rc;
	}
	etcd->request_ms = options->request_ms ? options->request_ms : CV_ETCD_REQUEST_MS;
	etcd->call_ms = options->call_ms ? options->call_ms : CV_ETCD_CALL_MS;
	etcd->page = CV_ETCD_PAGE;
	etcd->current = draw() % etcd->config.endpoint_count;
	*ret_etcd = etcd;
	return 0;
}

void cv_etcd_destroy(struct cv_etcd *etcd)
{
	if (!etcd)
		return;
	cv_etcd_http_destroy(etcd->http);
	cv_datastore_config_fini(&etcd->config);
	free(etcd->token);
	free(etcd);
}

void cv_etcd_cancel(struct cv_etcd *etcd)
{
	cv_etcd_http_cancel(etcd->http);
}

const char *cv_etcd_endpoint(const struct cv_etcd *etcd)
{
	return etcd->config.endpoints[etcd->current];
}

void cv_etcd_move_on(struct cv_etcd *etcd)
{
	size_t next = etcd->current + 1;

	etcd->current = next < etcd->config.endpoint_count ? next : 0;
}

/* ---- one request ------------------------------------------------------------------------- */

static void forget_token(struct cv_etcd *etcd)
{
	free(etcd->token);
	etcd->token = NULL;
	etcd->is_open = false;
}

/*
 * Ask the endpoint in use. CV_ETCD_REFUSED with *ret_rc 0: there is an answer, *ret_text. Else as
 * etcd_words.h says.
 */
static enum cv_etcd_verdict request(struct cv_etcd *etcd, const struct ask *ask, int timeout_ms,
				    struct cv_text *ret_text, int *ret_rc, struct cv_error *error)
{
	const struct cv_etcd_request request = {
		.endpoint = cv_etcd_endpoint(etcd),
		.path = ask->path,
		.token = etcd->token,
		.body = ask->body->data,
		.length = ask->body->length,
		.is_repeatable = ask->is_repeatable,
	};
	struct cv_text text = {.data = NULL};
	struct cv_etcd_refusal refusal;
	long status = 0;

	switch (cv_etcd_http_post(etcd->http, &request, timeout_ms, &status, &text, error)) {
	case CV_ETCD_CANCELED:
		*ret_rc = -ECANCELED;
		return CV_ETCD_REFUSED;
	case CV_ETCD_UNSENT:
		*ret_rc = -EHOSTUNREACH;
		return CV_ETCD_ELSEWHERE;
	case CV_ETCD_UNTRUSTED:
		*ret_rc = -EACCES;
		return CV_ETCD_ELSEWHERE;
	case CV_ETCD_OVERSIZED:
		/* Whether it was done is in what was not read. */
		*ret_rc = ask->is_repeatable ? -E2BIG : -ETIMEDOUT;
		return ask->is_repeatable ? CV_ETCD_TOO_LARGE : CV_ETCD_IN_DOUBT;
	case CV_ETCD_SLOW:
		/* Through a narrow network a large page does not come in time, ever. */
		if (etcd->page / 2 >= SLOW_PAGE)
			etcd->page /= 2;
		/* fall through */
	case CV_ETCD_LOST:
		/* A token names a place in etcd's log, and a member waits until it is there: for
		 * ever, where a restored backup has begun another log. */
		free(etcd->token);
		etcd->token = NULL;
		*ret_rc = -ETIMEDOUT;
		return CV_ETCD_IN_DOUBT;
	default:
		break;
	}
	*ret_rc = 0;
	if (status == 200) {
		*ret_text = text;
		return CV_ETCD_REFUSED;
	}
	cv_etcd_read_refusal(text.data ? text.data : "", text.length, &refusal);
	cv_text_fini(&text);
	return cv_etcd_judge(request.endpoint, &etcd->config, status, &refusal, ret_rc, error);
}

/* Get a token, if there is a user and etcd wants one. As request. */
static enum cv_etcd_verdict log_in(struct cv_etcd *etcd, int timeout_ms, int *ret_rc,
				   struct cv_error *error)
{
	struct cv_text body = {.data = NULL}, text = {.data = NULL};
	const struct ask ask = {"/v3/auth/authenticate", &body, true, false};
	enum cv_etcd_verdict verdict;

	*ret_rc = 0;
	if (!etcd->config.username || etcd->token || etcd->is_open)
		return CV_ETCD_REFUSED;
	cv_text_puts(&body, "{");
	cv_json_key(&body, "name");
	cv_json_string(&body, etcd->config.username);
	cv_json_key(&body, "password");
	cv_json_string(&body, etcd->config.password ? etcd->config.password : "");
	cv_text_puts(&body, "}");
	if (body.has_failed) {
		cv_text_fini(&body);
		*ret_rc = no_memory(error);
		return CV_ETCD_REFUSED;
	}
	verdict = request(etcd, &ask, timeout_ms, &text, ret_rc, error);
	explicit_bzero(body.data, body.length);
	cv_text_fini(&body);
	if (verdict == CV_ETCD_OPEN) {
		etcd->is_open = true;
		*ret_rc = 0;
		return CV_ETCD_REFUSED;
	}
	if (!*ret_rc && cv_etcd_read_token(text.data ? text.data : "", text.length, &etcd->token))
		*ret_rc =
			cv_error_set(error, -EPROTO, "etcd %s: no token in the answer to a log-in",
				     cv_etcd_endpoint(etcd));
	cv_text_fini(&text);
	return verdict;
}

/* The same, logged in, and once more where the token was no longer good. */
static enum cv_etcd_verdict attempt(struct cv_etcd *etcd, const struct ask *ask, int timeout_ms,
				    struct cv_text *ret_text, int *ret_rc, struct cv_error *error)
{
	for (int i = 0;; i++) {
		enum cv_etcd_verdict verdict = log_in(etcd, timeout_ms, ret_rc, error);

		if (*ret_rc)
			return verdict == CV_ETCD_IN_DOUBT ? CV_ETCD_ELSEWHERE : verdict;
		verdict = request(etcd, ask, timeout_ms, ret_text, ret_rc, error);
		if (verdict != CV_ETCD_LOG_IN)
			return verdict;
		forget_token(etcd);
		if (i)
			return CV_ETCD_REFUSED;
	}
}

/* ---- a call ------------------------------------------------------------------------------ */

static void remember(struct cv_etcd *etcd, int rc, const struct cv_error *error)
{
	etcd->last = *error;
	etcd->last_rc = rc;
	etcd->backoff_ms = etcd->backoff_ms ? 2 * etcd->backoff_ms : BACKOFF_FIRST_MS;
	if (etcd->backoff_ms > BACKOFF_LAST_MS)
		etcd->backoff_ms = BACKOFF_LAST_MS;
	/* From half of it to all: many nodes lose etcd at the same moment. */
	etcd->quiet_until_ms = now_ms() + etcd->backoff_ms / 2 +
			       (int)(draw() % (unsigned int)(etcd->backoff_ms / 2 + 1));
}

/* All have failed: which of the errors is told, and how. A certificate's is worth most. */
static int give_up(struct cv_etcd *etcd, int rc, const struct cv_error *why, struct cv_error *error)
{
	if (etcd->config.endpoint_count > 1)
		cv_error_set(error, rc, "none of %zu endpoints answers; the last: %s",
			     etcd->config.endpoint_count, why->text);
	else
		*error = *why;
	remember(etcd, rc, error);
	return rc;
}

/* *worst: the error so far; a later one takes its place, but none that of a certificate. */
static void keep_error(int *worst, struct cv_error *ret_why, int rc, const struct cv_error *why)
{
	if (*worst == -EACCES && rc != -EACCES)
		return;
	*worst = rc;
	*ret_why = *why;
}

static int call(struct cv_etcd *etcd, const struct ask *ask, struct cv_text *ret_text,
		struct cv_error *error)
{
	int64_t end = now_ms() + etcd->call_ms;
	size_t tries = etcd->config.endpoint_count * PASSES;
	struct cv_error why = {.text = ""}, last;
	int worst = 0, rc;

	if (ask->body->has_failed)
		return no_memory(error);
	if (now_ms() < etcd->quiet_until_ms) {
		*error = etcd->last;
		return etcd->last_rc == -EACCES ? -EACCES : -EHOSTUNREACH;
	}
	for (size_t i = 0; i < tries; i++) {
		int64_t left = end - now_ms();
		enum cv_etcd_verdict verdict;

		if (left <= 0)
			break;
		verdict = attempt(etcd, ask, left < etcd->request_ms ? (int)left : etcd->request_ms,
				  ret_text, &rc, &last);
		if (verdict == CV_ETCD_TOO_LARGE && !ask->is_page)
			verdict = CV_ETCD_ELSEWHERE;
		if (verdict != CV_ETCD_ELSEWHERE && verdict != CV_ETCD_IN_DOUBT) {
			etcd->backoff_ms = 0;
			if (rc)
				*error = last;
			return rc;
		}
		cv_etcd_move_on(etcd);
		if (verdict == CV_ETCD_IN_DOUBT && !ask->is_repeatable) {
			*error = last;
			return -ETIMEDOUT;
		}
		keep_error(&worst, &why, rc, &last);
	}
	return give_up(etcd, worst, &why, error);
}

/* An answer that cannot be taken. Returns -EPROTO, or -ENOMEM. */
static int misread(const struct cv_etcd *etcd, int rc, struct cv_error *error)
{
	if (rc == -ENOMEM)
		return no_memory(error);
	if (rc == -E2BIG)
		cv_error_set(error, rc,
			     "%s answers with more than %d JSON values, or nested deeper than %d",
			     cv_etcd_endpoint(etcd), CV_ETCD_REPLY_VALUES, CV_ETCD_REPLY_DEPTH);
	else
		cv_error_set(error, -EPROTO, "%s does not answer as etcd does",
			     cv_etcd_endpoint(etcd));
	return -EPROTO;
}

/* ---- reading ------------------------------------------------------------------------------- */

char *cv_etcd_prefix_end(const char *prefix)
{
	char *end = strdup(prefix);
	size_t length = strlen(prefix);

	if (end && length)
		end[length - 1]++;
	return end;
}

static void add_bytes(struct cv_text *body, const char *key, const char *data, size_t length)
{
	cv_json_key(body, key);
	cv_text_puts(body, "\"");
	cv_base64_add(body, data, length);
	cv_text_puts(body, "\"");
}

static void add_range(struct cv_text *body, const struct cv_etcd_range *range)
{
	add_bytes(body, "key", range->begin, strlen(range->begin));
	if (range->end)
		add_bytes(body, "range_end", range->end, strlen(range->end));
}

/* A range of which pages are read. */
struct listing {
	struct cv_etcd_key from, end; /* what is left; from: its own */
	int64_t revision;	      /* 0: now, until the first page says which that is */
	size_t bytes;		      /* of values */
	int64_t until_ms;
	struct cv_kv_list list;
};

static int ask_page(struct cv_etcd *etcd, const struct listing *listing, struct cv_text *ret_text,
		    struct cv_error *error)
{
	struct cv_text body = {.data = NULL};
	const struct ask ask = {"/v3/kv/range", &body, true, true};
	int rc;

	cv_text_puts(&body, "{");
	add_bytes(&body, "key", listing->from.data, listing->from.length);
	add_bytes(&body, "range_end", listing->end.data, listing->end.length);
	cv_json_key(&body, "limit");
	cv_json_integer(&body, (long long)etcd->page);
	cv_json_key(&body, "revision");
	cv_json_integer(&body, listing->revision);
	cv_text_puts(&body, "}");
	rc = call(etcd, &ask, ret_text, error);
	cv_text_fini(&body);
	return rc;
}

/* Put the items of more behind those of list; more is empty then. */
static int append(struct cv_kv_list *list, struct cv_kv_list *more)
{
	struct cv_kv_item *items =
		realloc(list->items, (list->count + more->count + 1) * sizeof(items[0]));

	if (!items)
		return -ENOMEM;
	list->items = items;
	if (more->count)
		memcpy(items + list->count, more->items, more->count * sizeof(items[0]));
	list->count += more->count;
	free(more->items);
	more->items = NULL;
	more->count = 0;
	return 0;
}

/* A page, of whichever endpoint answers as etcd does. *ret_more: there are keys behind it. */
static int read_page(struct cv_etcd *etcd, struct listing *listing, struct cv_kv_list *ret_page,
		     bool *ret_more, struct cv_error *error)
{
	for (size_t i = 1;; i++) {
		struct cv_text text = {.data = NULL};
		int rc = ask_page(etcd, listing, &text, error);

		if (rc)
			return rc;
		rc = cv_etcd_read_page(text.data ? text.data : "", text.length, &listing->end,
				       &listing->from, ret_page, ret_more);
		cv_text_fini(&text);
		if (!rc)
			return 0;
		rc = misread(etcd, rc, error);
		if (rc != -EPROTO)
			return rc;
		cv_etcd_move_on(etcd);
		if (i >= etcd->config.endpoint_count)
			return rc;
	}
}

static int check_limits(const struct listing *listing, const char *endpoint, struct cv_error *error)
{
	if (listing->list.count > CV_ETCD_LIST_KEYS)
		return cv_error_set(error, -E2BIG, "etcd %s lists more than %d keys", endpoint,
				    CV_ETCD_LIST_KEYS);
	if (listing->bytes > (size_t)CV_ETCD_LIST_MIB << 20)
		return cv_error_set(error, -E2BIG, "etcd %s lists more than %d MiB of values",
				    endpoint, CV_ETCD_LIST_MIB);
	if (now_ms() > listing->until_ms)
		return cv_error_set(error, -ETIMEDOUT,
				    "etcd %s has not come to the end of a list in %d s", endpoint,
				    CV_ETCD_LIST_S);
	return 0;
}

static int list_page(struct cv_etcd *etcd, struct listing *listing, bool *ret_more,
		     struct cv_error *error)
{
	struct cv_kv_list page = {.items = NULL};
	int rc = read_page(etcd, listing, &page, ret_more, error);

	if (rc)
		return rc;
	if (!listing->revision)
		listing->revision = page.revision;
	for (size_t i = 0; i < page.count; i++)
		listing->bytes += page.items[i].value ? strlen(page.items[i].value) : 0;
	rc = append(&listing->list, &page);
	cv_kv_list_fini(&page);
	return rc ? no_memory(error) : check_limits(listing, cv_etcd_endpoint(etcd), error);
}

/* All pages, as they are at one revision. */
static int list_pages(struct cv_etcd *etcd, struct listing *listing, struct cv_error *error)
{
	bool more = true;
	int rc = 0;

	while (!rc && more) {
		rc = list_page(etcd, listing, &more, error);
		/* The gateway, or we, cannot take so much at once. */
		if (rc == -E2BIG && etcd->page > SMALLEST_PAGE &&
		    !check_limits(listing, "", NULL)) {
			etcd->page = etcd->page > PAGE_STEP ? etcd->page / PAGE_STEP : 1;
			more = true;
			rc = 0;
		}
	}
	return rc;
}

int cv_etcd_list(struct cv_etcd *etcd, const struct cv_etcd_range *range, int64_t *revision,
		 struct cv_kv_list *ret_list, struct cv_error *error)
{
	int64_t wanted = *revision, until_ms = now_ms() + CV_ETCD_LIST_S * INT64_C(1000);

	for (int i = 0;; i++) {
		const char *end = range->end ? range->end : range->begin;
		struct listing listing = {
			.from = {strdup(range->begin), strlen(range->begin)},
			/* One key ends behind its NUL. */
			.end = {(char *)(uintptr_t)end, strlen(end) + !range->end},
			.revision = wanted,
			.until_ms = until_ms,
		};
		int rc = listing.from.data ? list_pages(etcd, &listing, error) : no_memory(error);

		free(listing.from.data);
		if (!rc) {
			listing.list.revision = listing.revision;
			*ret_list = listing.list;
			*revision = listing.revision;
			return 0;
		}
		cv_kv_list_fini(&listing.list);
		if (rc != -ESTALE || wanted || i + 1 >= LIST_TRIES)
			return rc;
	}
}

/* ---- changing ------------------------------------------------------------------------------ */

static void add_compare(struct cv_text *body, const struct cv_etcd_range *range, const char *result,
			int64_t revision)
{
	cv_text_puts(body, body->data[body->length - 1] == '[' ? "{" : ",{");
	cv_json_key(body, "target");
	cv_json_string(body, "MOD");
	cv_json_key(body, "result");
	cv_json_string(body, result);
	cv_json_key(body, "mod_revision");
	cv_json_integer(body, revision);
	add_range(body, range);
	cv_text_puts(body, "}");
}

static void add_change(struct cv_text *body, const struct cv_kv_operation *operation)
{
	cv_text_puts(body, body->data[body->length - 1] == '[' ? "{" : ",{");
	cv_json_key(body, operation->value ? "request_put" : "request_delete_range");
	cv_text_puts(body, "{");
	add_bytes(body, "key", operation->key, strlen(operation->key));
	if (operation->value)
		add_bytes(body, "value", operation->value, strlen(operation->value));
	cv_text_puts(body, "}}");
}

static void write_txn(struct cv_text *body, const struct cv_kv_operation *operations, size_t count,
		      const struct cv_etcd_guard *guard)
{
	cv_text_puts(body, "{\"compare\":[");
	for (size_t i = 0; i < count && !body->has_failed; i++) {
		const struct cv_etcd_range key = {operations[i].key, NULL};

		if (operations[i].revision != CV_KV_WHATEVER)
			add_compare(body, &key, "EQUAL", operations[i].revision);
	}
	if (guard && !body->has_failed)
		add_compare(body, &guard->range, "LESS", guard->revision + 1);
	cv_text_puts(body, "],\"success\":[");
	for (size_t i = 0; i < count && !body->has_failed; i++) {
		if (operations[i].value != CV_KV_KEEP)
			add_change(body, &operations[i]);
	}
	cv_text_puts(body, "]}");
}

int cv_etcd_commit(struct cv_etcd *etcd, const struct cv_kv_operation *operations, size_t count,
		   const struct cv_etcd_guard *guard, int64_t *ret_revision, struct cv_error *error)
{
	struct cv_text body = {.data = NULL}, text = {.data = NULL};
	const struct ask ask = {"/v3/kv/txn", &body, false, false};
	int64_t revision = 0;
	bool succeeded = false;
	int rc;

	write_txn(&body, operations, count, guard);
	rc = call(etcd, &ask, &text, error);
	cv_text_fini(&body);
	if (rc)
		return rc;
	rc = cv_etcd_read_txn(text.data ? text.data : "", text.length, &succeeded, &revision);
	cv_text_fini(&text);
	/* It was done or not: nobody can tell from that. */
	if (rc) {
		misread(etcd, rc, error);
		cv_etcd_move_on(etcd);
		return -ETIMEDOUT;
	}
	if (!succeeded)
		return cv_error_set(error, -EAGAIN, "somebody else has changed it meanwhile");
	if (ret_revision)
		*ret_revision = revision;
	return 0;
}

/* ---- the endpoint in use ------------------------------------------------------------------ */

static void add_key_alone(struct cv_text *body, const char *key)
{
	const struct cv_etcd_range range = {key, NULL};

	cv_text_puts(body, "{");
	add_range(body, &range);
	cv_text_puts(body, ",\"keys_only\":true}");
}

int cv_etcd_settle(struct cv_etcd *etcd, const char *key, int request_ms, struct cv_error *error)
{
	struct cv_text body = {.data = NULL}, text = {.data = NULL};
	const struct ask ask = {"/v3/kv/range", &body, true, false};
	int usual_ms = etcd->request_ms, rc;

	add_key_alone(&body, key);
	etcd->request_ms = request_ms;
	rc = call(etcd, &ask, &text, error);
	etcd->request_ms = usual_ms;
	cv_text_fini(&body);
	cv_text_fini(&text);
	return rc;
}

int cv_etcd_ping(struct cv_etcd *etcd, const char *key, int64_t *ret_revision,
		 struct cv_error *error)
{
	struct cv_text body = {.data = NULL}, text = {.data = NULL};
	const struct ask ask = {"/v3/kv/range", &body, true, false};
	struct cv_kv_list list = {.items = NULL};
	bool more;
	int rc = 0;

	add_key_alone(&body, key);
	if (body.has_failed)
		rc = no_memory(error);
	else
		attempt(etcd, &ask, etcd->request_ms, &text, &rc, error);
	cv_text_fini(&body);
	if (rc)
		return rc;
	rc = cv_etcd_read_range(text.data ? text.data : "", text.length, &list, &more);
	cv_text_fini(&text);
	if (rc)
		return misread(etcd, rc, error);
	*ret_revision = list.revision;
	cv_kv_list_fini(&list);
	return 0;
}

int cv_etcd_newest(struct cv_etcd *etcd, const struct cv_etcd_range *range, int64_t revision,
		   size_t limit, struct cv_kv_list *ret_list, size_t *ret_count,
		   struct cv_error *error)
{
	struct cv_text body = {.data = NULL}, text = {.data = NULL};
	const struct ask ask = {"/v3/kv/range", &body, true, false};
	bool more;
	int rc = 0;

	cv_text_puts(&body, "{");
	add_range(&body, range);
	cv_json_key(&body, "revision");
	cv_json_integer(&body, revision);
	cv_json_key(&body, "limit");
	cv_json_integer(&body, (long long)limit);
	cv_text_puts(&body, ",\"sort_order\":\"DESCEND\",\"sort_target\":\"MOD\"}");
	if (body.has_failed)
		rc = no_memory(error);
	else
		attempt(etcd, &ask, etcd->request_ms, &text, &rc, error);
	cv_text_fini(&body);
	if (rc)
		return rc;
	rc = cv_etcd_read_count(text.data ? text.data : "", text.length, ret_count);
	if (!rc)
		rc = cv_etcd_read_range(text.data ? text.data : "", text.length, ret_list, &more);
	cv_text_fini(&text);
	return rc ? misread(etcd, rc, error) : 0;
}

int cv_etcd_watch(struct cv_etcd *etcd, const struct cv_etcd_range *range, int64_t revision,
		  void (*line)(void *context, const char *text, size_t length), void *context,
		  struct cv_error *error)
{
	struct cv_text body = {.data = NULL};
	struct cv_etcd_request request = {
		.endpoint = cv_etcd_endpoint(etcd),
		.path = "/v3/watch",
	};
	int rc;

	log_in(etcd, etcd->request_ms, &rc, error);
	if (rc)
		return rc;
	cv_text_puts(&body, "{\"create_request\":{");
	add_range(&body, range);
	cv_json_key(&body, "start_revision");
	cv_json_integer(&body, revision);
	cv_text_puts(&body, "}}");
	request.token = etcd->token;
	request.body = body.data;
	request.length = body.length;
	rc = body.has_failed ? -ENOMEM : cv_etcd_http_open(etcd->http, &request, line, context);
	cv_text_fini(&body);
	return rc ? no_memory(error) : 0;
}

int cv_etcd_wait(struct cv_etcd *etcd, int timeout_ms, struct cv_error *error)
{
	return cv_etcd_http_poll(etcd->http, timeout_ms, error);
}

void cv_etcd_unwatch(struct cv_etcd *etcd)
{
	cv_etcd_http_close(etcd->http);
}

void cv_etcd_wake(struct cv_etcd *etcd)
{
	cv_etcd_http_wake(etcd->http);
}
