/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that follows etcd. Its own: etcd, revision, the watch's state. Shared, under lock: the
 * news that nobody has taken yet, and the status.
 *
 * Invariant: the list and the events that were handed out are, together, what the store was at
 * `revision`. Events of one revision come in one line, so a watch that ends never ends between
 * them.
 */
#include "store/etcd_watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "store/etcd.h"
#include "store/etcd_recent.h"

enum {
	BACKOFF_FIRST_MS = 50,
	BACKOFF_LAST_MS = 2000,
	STALE_LIMIT = 3,	     /* lists that went stale at once */
	GRPC_RESOURCE_EXHAUSTED = 8, /* a line that the gateway cannot take */
};

struct cv_etcd_watcher {
	/* the thread's */
	struct cv_etcd *etcd;
	size_t endpoint_count;
	char *prefix, *prefix_end;
	struct cv_etcd_range listed[CV_ETCD_WATCH_RANGES];
	struct cv_etcd_recent recent[CV_ETCD_WATCH_RANGES]; /* of each, at revision */
	size_t listed_count;
	int64_t revision;
	bool must_list;
	bool is_fresh; /* just listed */
	int64_t listed_ms;
	size_t stale; /* lists in a row that were so at once */
	/* of the watch that is open, set by its lines */
	bool is_created, has_ended;
	int ended_rc; /* -ESTALE: list anew; else another endpoint */
	struct cv_error ended_why;

	/* of both threads */
	pthread_t thread;
	bool has_thread;
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_canceled;
	atomic_bool again, leave;
	struct cv_etcd_news news;
	size_t capacity;
	size_t changed_bytes; /* of values, in the changes behind a list */
	struct cv_etcd_watcher_status status;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static unsigned int draw(unsigned int below)
{
	unsigned int number = 0;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = (unsigned int)now_ms();
	return number % below;
}

void cv_etcd_news_fini(struct cv_etcd_news *news)
{
	for (size_t i = 0; i < news->count; i++) {
		free(news->events[i].key);
		free(news->events[i].value);
	}
	free(news->events);
	*news = (struct cv_etcd_news){.is_whole = false};
}

/* ---- handing over ------------------------------------------------------------------------ */

static void notify(struct cv_etcd_watcher *watcher)
{
	const uint64_t one = 1;

	/* Full: it is readable already. */
	(void)!write(watcher->fd, &one, sizeof(one));
}

/* Room for more events; with the lock. 0 or -ENOMEM. */
static int reserve(struct cv_etcd_watcher *watcher, size_t more)
{
	size_t capacity = watcher->capacity ? watcher->capacity : 16;
	struct cv_etcd_event *events;

	while (capacity < watcher->news.count + more)
		capacity *= 2;
	if (capacity == watcher->capacity)
		return 0;
	events = realloc(watcher->news.events, capacity * sizeof(events[0]));
	if (!events)
		return -ENOMEM;
	watcher->news.events = events;
	watcher->capacity = capacity;
	return 0;
}

/* Whether changes are still worth keeping, or a list would be less; with the lock. */
static bool is_too_much(struct cv_etcd_watcher *watcher, const struct cv_etcd_event *events,
			size_t count)
{
	for (size_t i = 0; i < count; i++)
		watcher->changed_bytes += events[i].value ? strlen(events[i].value) : 0;
	return watcher->news.count - watcher->news.whole_count + count > CV_ETCD_LIST_KEYS ||
	       watcher->changed_bytes > (size_t)CV_ETCD_LIST_MIB << 20;
}

/*
 * Events become the news'; they are the caller's still without memory, or (-E2BIG) where nobody
 * has taken what was there before.
 */
static int hand_over(struct cv_etcd_watcher *watcher, struct cv_etcd_event *events, size_t count)
{
	int rc;

	pthread_mutex_lock(&watcher->lock);
	rc = is_too_much(watcher, events, count) ? -E2BIG : reserve(watcher, count);
	if (!rc) {
		memcpy(watcher->news.events + watcher->news.count, events,
		       count * sizeof(events[0]));
		watcher->news.count += count;
	}
	pthread_mutex_unlock(&watcher->lock);
	if (!rc)
		notify(watcher);
	return rc;
}

static void tell_status(struct cv_etcd_watcher *watcher, bool is_away, const struct cv_error *why)
{
	struct cv_etcd_watcher_status *status = &watcher->status;
	bool is_other;

	pthread_mutex_lock(&watcher->lock);
	is_other = status->is_away != is_away ||
		   (is_away && why && strcmp(status->why.text, why->text) != 0);
	if (status->is_away != is_away)
		status->since = time(NULL);
	status->is_away = is_away;
	status->why = is_away && why ? *why : (struct cv_error){.text = ""};
	snprintf(status->endpoint, sizeof(status->endpoint), "%s", cv_etcd_endpoint(watcher->etcd));
	pthread_mutex_unlock(&watcher->lock);
	if (is_other)
		notify(watcher);
}

/* etcd is followed: told at once, but where the lists before did not hold, after a while only. */
static void tell_well(struct cv_etcd_watcher *watcher)
{
	if (watcher->stale < STALE_LIMIT)
		tell_status(watcher, false, NULL);
}

/* ---- listing ------------------------------------------------------------------------------- */

/* The items of a list become events behind those that there are; the list is empty then. */
static int take_list(struct cv_etcd_news *news, struct cv_kv_list *list)
{
	struct cv_etcd_event *events =
		realloc(news->events, (news->count + list->count + 1) * sizeof(events[0]));

	if (!events)
		return -ENOMEM;
	news->events = events;
	for (size_t i = 0; i < list->count; i++) {
		events[news->count++] = (struct cv_etcd_event){
			.key = list->items[i].key,
			.value = list->items[i].value,
			.revision = list->items[i].revision,
		};
		list->items[i] = (struct cv_kv_item){.key = NULL};
	}
	return 0;
}

/* All keys take the place of what nobody has taken yet. */
static int list(struct cv_etcd_watcher *watcher, struct cv_error *error)
{
	struct cv_etcd_news news = {.is_whole = true}, old;
	int64_t revision = 0;
	int rc = 0;

	for (size_t i = 0; i < watcher->listed_count && !rc; i++) {
		struct cv_kv_list found = {.items = NULL};

		rc = cv_etcd_list(watcher->etcd, &watcher->listed[i], &revision, &found, error);
		if (!rc)
			cv_etcd_recent_reset(&watcher->recent[i], &found);
		if (!rc && take_list(&news, &found))
			rc = cv_error_set(error, -ENOMEM, "out of memory");
		cv_kv_list_fini(&found);
	}
	if (rc) {
		cv_etcd_news_fini(&news);
		return rc;
	}
	news.whole_count = news.count;
	news.whole_revision = revision;
	pthread_mutex_lock(&watcher->lock);
	old = watcher->news;
	watcher->news = news;
	watcher->capacity = news.count + 1;
	watcher->changed_bytes = 0;
	watcher->status.lists++;
	pthread_mutex_unlock(&watcher->lock);
	cv_etcd_news_fini(&old);
	watcher->revision = revision;
	watcher->must_list = false;
	watcher->is_fresh = true;
	watcher->listed_ms = now_ms();
	tell_well(watcher);
	notify(watcher);
	return 0;
}

/* ---- watching ------------------------------------------------------------------------------ */

static void end_watch(struct cv_etcd_watcher *watcher, int rc, const char *why)
{
	if (watcher->has_ended)
		return;
	watcher->has_ended = true;
	watcher->ended_rc = rc;
	cv_error_set(&watcher->ended_why, rc, "etcd %s: %s", cv_etcd_endpoint(watcher->etcd), why);
}

static void note_recent(struct cv_etcd_watcher *watcher, const struct cv_etcd_event *event)
{
	for (size_t i = 0; i < watcher->listed_count; i++) {
		const struct cv_etcd_range *range = &watcher->listed[i];

		if (strcmp(event->key, range->begin) < 0 || strcmp(event->key, range->end) >= 0)
			continue;
		if (event->is_deleted)
			cv_etcd_recent_delete(&watcher->recent[i], event->key);
		else
			cv_etcd_recent_put(&watcher->recent[i], event->key, event->value,
					   event->revision, event->is_new);
	}
}

static void take_events(struct cv_etcd_watcher *watcher, struct cv_etcd_watched *watched)
{
	int64_t last = watcher->revision;
	int rc;

	for (size_t i = 0; i < watched->count; i++) {
		if (watched->events[i].revision > last)
			last = watched->events[i].revision;
		note_recent(watcher, &watched->events[i]);
	}
	rc = hand_over(watcher, watched->events, watched->count);
	if (rc) {
		end_watch(watcher, rc == -E2BIG ? -ESTALE : rc,
			  rc == -E2BIG ? "more has changed than all that there is"
				       : "out of memory");
		return;
	}
	watched->count = 0;
	watcher->revision = last;
}

/* A line of the watch. */
static void on_line(void *context, const char *text, size_t length)
{
	struct cv_etcd_watcher *watcher = context;
	struct cv_etcd_watched watched;
	int rc;

	if (watcher->has_ended || !length)
		return;
	rc = cv_etcd_read_watched(text, length, &watched);
	if (rc == -E2BIG) {
		end_watch(watcher, -ESTALE, "too many changes in a line of the watch");
		return;
	}
	if (rc) {
		end_watch(watcher, rc,
			  rc == -ENOMEM ? "out of memory"
					: "it does not answer a watch as etcd does");
		return;
	}
	watcher->is_created = watcher->is_created || watched.is_created;
	if (watched.compact_revision > 0)
		end_watch(watcher, -ESTALE, "compacted");
	else if (watched.code == GRPC_RESOURCE_EXHAUSTED)
		end_watch(watcher, -ESTALE, watched.reason);
	else if (watched.is_canceled || watched.code)
		end_watch(watcher, -EPIPE,
			  *watched.reason ? watched.reason
					  : "it has canceled the watch; may the user read "
					    "the prefix?");
	else if (watched.count)
		take_events(watcher, &watched);
	cv_etcd_watched_fini(&watched);
}

/*
 * Whether the member that is watched answers and has a majority. -ESTALE: it is not the store that
 * it was.
 */
static int ping(struct cv_etcd_watcher *watcher, struct cv_error *error)
{
	int64_t revision = 0;
	int rc = cv_etcd_ping(watcher->etcd, watcher->prefix, &revision, error);

	if (!rc && revision < watcher->revision)
		rc = cv_error_set(error, -ESTALE,
				  "etcd %s: its revision has gone back from %lld to %lld",
				  cv_etcd_endpoint(watcher->etcd), (long long)watcher->revision,
				  (long long)revision);
	return rc;
}

/* Whether the store is the one that it was at our revision. -ESTALE: it is not, or cannot tell. */
static int recognize(struct cv_etcd_watcher *watcher, struct cv_error *error)
{
	int rc = 0;

	for (size_t i = 0; i < watcher->listed_count && !rc; i++) {
		struct cv_kv_list newest;
		size_t keys;

		rc = cv_etcd_newest(watcher->etcd, &watcher->listed[i], watcher->revision,
				    CV_ETCD_RECENT_ASKED, &newest, &keys, error);
		if (rc)
			return rc;
		if (!cv_etcd_recent_agrees(&watcher->recent[i], keys, &newest))
			rc = cv_error_set(error, -ESTALE, "etcd %s has other keys than before",
					  cv_etcd_endpoint(watcher->etcd));
		cv_kv_list_fini(&newest);
	}
	return rc;
}

/* Some milliseconds before or behind what is meant: nodes that began together do not ask together.
 */
static int64_t next_ping(void)
{
	return now_ms() + CV_ETCD_WATCH_PING_MS * 4 / 5 + draw(CV_ETCD_WATCH_PING_MS / 5);
}

/* Until the watch ends: why it did. -ERESTART: to go on at another endpoint was asked for. */
static int stay(struct cv_etcd_watcher *watcher, struct cv_error *error)
{
	int64_t ping_ms = next_ping(), created_ms = now_ms() + CV_ETCD_REQUEST_MS;
	bool was_told = false;

	for (;;) {
		int64_t left = ping_ms - now_ms();
		int rc = cv_etcd_wait(watcher->etcd, left > 0 ? (int)left : 0, error);

		if (watcher->has_ended) {
			*error = watcher->ended_why;
			return watcher->ended_rc;
		}
		/* More at once than anybody should take: it is listed, by pages. */
		if (rc)
			return rc == -E2BIG ? -ESTALE : rc;
		if (watcher->is_created && !was_told)
			tell_well(watcher);
		was_told = watcher->is_created;
		if (atomic_load(&watcher->again))
			return -EAGAIN;
		if (atomic_exchange(&watcher->leave, false)) {
			cv_etcd_move_on(watcher->etcd);
			return -ERESTART;
		}
		if (now_ms() < ping_ms)
			continue;
		rc = ping(watcher, error);
		if (rc)
			return rc;
		if (!watcher->is_created && now_ms() > created_ms)
			return cv_error_set(error, -ETIMEDOUT,
					    "etcd %s: it does not begin the watch",
					    cv_etcd_endpoint(watcher->etcd));
		if (watcher->stale && watcher->is_created) {
			watcher->stale = 0;
			tell_well(watcher);
		}
		ping_ms = next_ping();
	}
}

static int watch(struct cv_etcd_watcher *watcher, struct cv_error *error)
{
	const struct cv_etcd_range range = {watcher->prefix, watcher->prefix_end};
	int rc = ping(watcher, error);

	if (!rc && !watcher->is_fresh)
		rc = recognize(watcher, error);
	if (rc)
		return rc;
	watcher->is_fresh = watcher->is_created = watcher->has_ended = false;
	/* Whoever wanted it meant the member before this one. */
	atomic_store(&watcher->leave, false);
	rc = cv_etcd_watch(watcher->etcd, &range, watcher->revision + 1, on_line, watcher, error);
	if (rc)
		return rc;
	pthread_mutex_lock(&watcher->lock);
	watcher->status.watches++;
	pthread_mutex_unlock(&watcher->lock);
	rc = stay(watcher, error);
	cv_etcd_unwatch(watcher->etcd);
	return rc;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* false: it is time to end. */
static bool pause_for(struct cv_etcd_watcher *watcher, int ms)
{
	struct timespec until;
	bool is_canceled;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&watcher->lock);
	while (!watcher->is_canceled &&
	       pthread_cond_timedwait(&watcher->wake, &watcher->lock, &until) != ETIMEDOUT)
		;
	is_canceled = watcher->is_canceled;
	pthread_mutex_unlock(&watcher->lock);
	return !is_canceled;
}

/* How often what it tried has failed. */
struct attempts {
	int backoff_ms;
	size_t failures; /* since an endpoint did as it should */
};

/* As pause_for, from half of the back-off to one and a half; the next one is longer. */
static bool back_off(struct cv_etcd_watcher *watcher, struct attempts *attempts)
{
	int ms = attempts->backoff_ms;

	attempts->backoff_ms = ms * 2 < BACKOFF_LAST_MS ? ms * 2 : BACKOFF_LAST_MS;
	return pause_for(watcher, ms / 2 + (int)draw((unsigned int)ms));
}

/*
 * What was listed no longer holds, or is asked for again: list anew. Where that happens again and
 * again it must not become all that the two of us do, and something is wrong with that endpoint.
 */
static bool list_again(struct cv_etcd_watcher *watcher, struct attempts *attempts, int rc,
		       const struct cv_error *why)
{
	if (!watcher->must_list && now_ms() - watcher->listed_ms > CV_ETCD_WATCH_PING_MS) {
		watcher->must_list = true;
		return true;
	}
	watcher->must_list = true;
	if (rc == -ESTALE && ++watcher->stale >= STALE_LIMIT) {
		tell_status(watcher, true, why);
		cv_etcd_move_on(watcher->etcd);
	}
	return back_off(watcher, attempts);
}

static bool leave_endpoint(struct cv_etcd_watcher *watcher, struct attempts *attempts,
			   bool was_listing, const struct cv_error *why)
{
	cv_etcd_move_on(watcher->etcd);
	if (++attempts->failures < watcher->endpoint_count && !was_listing)
		return true;
	tell_status(watcher, true, why);
	return back_off(watcher, attempts);
}

static void *run(void *context)
{
	struct cv_etcd_watcher *watcher = context;
	struct attempts attempts = {.backoff_ms = BACKOFF_FIRST_MS};
	bool goes_on = true;

	while (goes_on) {
		struct cv_error error = {.text = ""};
		int64_t begin = now_ms();
		bool was_listing;
		int rc;

		if (atomic_exchange(&watcher->again, false))
			watcher->must_list = true;
		was_listing = watcher->must_list;
		rc = was_listing ? list(watcher, &error) : watch(watcher, &error);
		if (rc == -ECANCELED)
			break;
		/* One that has worked for a while is no failure of the cluster's yet. */
		if (!was_listing && now_ms() - begin > CV_ETCD_WATCH_PING_MS)
			attempts = (struct attempts){.backoff_ms = BACKOFF_FIRST_MS};
		/* Somebody waits for news that are merely late, perhaps: not a failure, and where
		 * there is one endpoint alone, it is the next, too. */
		if (rc == -ERESTART)
			continue;
		if (rc == -ESTALE || rc == -EAGAIN)
			goes_on = list_again(watcher, &attempts, rc, &error);
		else if (rc)
			goes_on = leave_endpoint(watcher, &attempts, was_listing, &error);
	}
	return NULL;
}

/* ---- beginning and end ------------------------------------------------------------------- */

static int copy_keys(struct cv_etcd_watcher *watcher, const struct cv_etcd_watcher_options *options)
{
	watcher->prefix = strdup(options->prefix);
	watcher->prefix_end = watcher->prefix ? cv_etcd_prefix_end(options->prefix) : NULL;
	if (!watcher->prefix_end)
		return -ENOMEM;
	for (size_t i = 0; i < options->listed_count && i < CV_ETCD_WATCH_RANGES; i++) {
		struct cv_etcd_range *range = &watcher->listed[watcher->listed_count++];

		range->begin = strdup(options->listed[i]);
		range->end = range->begin ? cv_etcd_prefix_end(range->begin) : NULL;
		if (!range->end)
			return -ENOMEM;
	}
	return 0;
}

static int open_parts(struct cv_etcd_watcher *watcher,
		      const struct cv_etcd_watcher_options *options, struct cv_error *error)
{
	const struct cv_etcd_options etcd = {.config = options->config};
	pthread_condattr_t monotonic;
	sigset_t all, before;
	int rc;

	pthread_mutex_init(&watcher->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&watcher->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (copy_keys(watcher, options))
		return cv_error_set(error, -ENOMEM, "out of memory");
	watcher->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (watcher->fd < 0)
		return cv_error_set(error, -errno, "no eventfd: %s", strerror(errno));
	rc = cv_etcd_create(&etcd, &watcher->etcd, error);
	if (rc)
		return rc;
	watcher->endpoint_count = options->config->endpoint_count;
	watcher->must_list = true;
	watcher->status.is_away = true;
	watcher->status.since = time(NULL);
	cv_error_set(&watcher->status.why, 0, "etcd has not answered yet");
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&watcher->thread, NULL, run, watcher);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return cv_error_set(error, rc, "no thread: %s", strerror(-rc));
	watcher->has_thread = true;
	return 0;
}

int cv_etcd_watcher_create(const struct cv_etcd_watcher_options *options,
			   struct cv_etcd_watcher **ret_watcher, struct cv_error *error)
{
	struct cv_etcd_watcher *watcher = calloc(1, sizeof(*watcher));
	int rc;

	if (!watcher)
		return cv_error_set(error, -ENOMEM, "out of memory");
	watcher->fd = -1;
	rc = open_parts(watcher, options, error);
	if (rc)
		cv_etcd_watcher_destroy(watcher);
	else
		*ret_watcher = watcher;
	return rc;
}

void cv_etcd_watcher_destroy(struct cv_etcd_watcher *watcher)
{
	if (!watcher)
		return;
	if (watcher->has_thread) {
		pthread_mutex_lock(&watcher->lock);
		watcher->is_canceled = true;
		pthread_cond_signal(&watcher->wake);
		pthread_mutex_unlock(&watcher->lock);
		cv_etcd_cancel(watcher->etcd);
		pthread_join(watcher->thread, NULL);
	}
	cv_etcd_destroy(watcher->etcd);
	cv_etcd_news_fini(&watcher->news);
	for (size_t i = 0; i < watcher->listed_count; i++) {
		cv_etcd_recent_fini(&watcher->recent[i]);
		free((void *)(uintptr_t)watcher->listed[i].begin);
		free((void *)(uintptr_t)watcher->listed[i].end);
	}
	free(watcher->prefix);
	free(watcher->prefix_end);
	pthread_cond_destroy(&watcher->wake);
	pthread_mutex_destroy(&watcher->lock);
	if (watcher->fd >= 0)
		close(watcher->fd);
	free(watcher);
}

int cv_etcd_watcher_fd(const struct cv_etcd_watcher *watcher)
{
	return watcher->fd;
}

void cv_etcd_watcher_take(struct cv_etcd_watcher *watcher, struct cv_etcd_news *ret_news)
{
	uint64_t count;

	/* Nothing to read: there is no news. */
	(void)!read(watcher->fd, &count, sizeof(count));
	pthread_mutex_lock(&watcher->lock);
	*ret_news = watcher->news;
	watcher->news = (struct cv_etcd_news){.is_whole = false};
	watcher->capacity = 0;
	watcher->changed_bytes = 0;
	pthread_mutex_unlock(&watcher->lock);
}

void cv_etcd_watcher_poke(struct cv_etcd_watcher *watcher)
{
	notify(watcher);
}

void cv_etcd_watcher_again(struct cv_etcd_watcher *watcher)
{
	atomic_store(&watcher->again, true);
	cv_etcd_wake(watcher->etcd);
}

void cv_etcd_watcher_leave(struct cv_etcd_watcher *watcher)
{
	atomic_store(&watcher->leave, true);
	cv_etcd_wake(watcher->etcd);
}

void cv_etcd_watcher_status(struct cv_etcd_watcher *watcher,
			    struct cv_etcd_watcher_status *ret_status)
{
	pthread_mutex_lock(&watcher->lock);
	*ret_status = watcher->status;
	pthread_mutex_unlock(&watcher->lock);
}
