/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prober's thread: notices of the kernel, letters of the workers, the clock.
 *
 * One tick looks at all entries; it comes when the first of them is due, and every TICK_MS for the
 * sake of those that begin to have traffic. Memory of the fast path is read there, without a
 * system call.
 *
 * A change of routing makes the list again, at once; under a steady stream of changes that takes a
 * fifth of the time at most.
 */
#define _GNU_SOURCE
#include "engine/prober.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/prober_state.h"
#include "net/monitor.h"
#include "net/raw.h"

enum {
	TICK_MS = 100,
	TICK_LEAST_MS = 2,
	IDLE_MS = 60000,
	REFRESH_DELAY_MS = 20, /* a burst of notices is looked at once */
	REFRESH_REST = 4,
	REFRESH_AGAIN_MS = 1000, /* after a dump that was interrupted */
	ACTIVE_MS = 5000,
	READS_MAX = 256,
	BURST = 1000, /* probes in one tick, with the lock held: some milliseconds */
	MOST = CV_PLPMTUD_BURST_MAX + CV_PROBER_CANDIDATES + 2, /* probes of one entry at once */
	ECHO_BYTES = 128,					/* of an answer; more is cut off */
};

uint64_t cv_prober_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t cv_prober_now_ms(void)
{
	return cv_prober_now_us() / 1000;
}

static void tell_news(struct cv_prober *prober)
{
	if (prober->has_news)
		eventfd_write(prober->news, 1);
	prober->has_news = false;
}

size_t cv_prober_first(const struct cv_prober *prober, __be32 remote)
{
	size_t low = 0, high = prober->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_ntohl(prober->entries[middle]->target.remote) < cv_ntohl(remote))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct cv_prober_entry *cv_prober_at(const struct cv_prober *prober, size_t index, __be32 remote)
{
	if (index >= prober->count || prober->entries[index]->target.remote != remote)
		return NULL;
	return prober->entries[index];
}

struct cv_prober_entry *cv_prober_find(const struct cv_prober *prober, int tunnel, __be32 remote)
{
	struct cv_prober_entry *entry;

	for (size_t i = cv_prober_first(prober, remote);
	     (entry = cv_prober_at(prober, i, remote)) != NULL; i++) {
		if (entry->target.tunnel == tunnel)
			return entry;
	}
	return NULL;
}

/* ---- letters -------------------------------------------------------------------------------- */

void cv_prober_secret(const struct cv_prober *prober, int tunnel, __be32 remote,
		      uint8_t ret_secret[8])
{
	uint64_t path = (uint64_t)(uint32_t)tunnel << 32 | cv_ntohl(remote);
	uint64_t secret = cv_siphash(&prober->key, path);

	memcpy(ret_secret, &secret, sizeof(secret));
}

static bool knows_secret(struct cv_prober *prober, const struct cv_prober_letter *letter)
{
	uint8_t secret[8];

	cv_prober_secret(prober, letter->tunnel, letter->remote, secret);
	return memcmp(secret, letter->words.secret, sizeof(secret)) == 0;
}

/* The secret spreads the remotes over the shares as nobody else can foresee. */
static unsigned int share_of(const struct cv_prober *prober, __be32 remote)
{
	uint8_t secret[8];

	cv_prober_secret(prober, 0, remote, secret);
	return secret[0] % CV_PROBER_SHARES;
}

/*
 * From a worker, between two packets: no more than a copy. What finds no room is lost, as an
 * answer may be. A remote that repeats its answers fills no more than its share: those of others,
 * without which their paths would seem to lose packets, still find room.
 */
static void post(struct cv_prober *prober, const struct cv_prober_letter *letter)
{
	uint8_t *share = &prober->shares[share_of(prober, letter->remote)];
	bool is_first;

	pthread_mutex_lock(&prober->inbox_lock);
	is_first = !prober->inbox_count;
	if (prober->inbox_count < CV_PROBER_INBOX && *share < CV_PROBER_FLIGHTS) {
		prober->inbox[prober->inbox_count++] = *letter;
		(*share)++;
	}
	pthread_mutex_unlock(&prober->inbox_lock);
	if (is_first)
		eventfd_write(prober->wake, 1);
}

/* Anybody can write what begins like an answer, and as many as they like. */
static void post_words(struct cv_prober *prober, const struct cv_prober_letter *letter)
{
	if (knows_secret(prober, letter))
		post(prober, letter);
	else
		__atomic_fetch_add(&prober->strangers, 1, __ATOMIC_RELAXED);
}

void cv_prober_note_answer(struct cv_prober *prober, __be32 remote, int tunnel,
			   const struct cv_probe_words *words)
{
	const struct cv_prober_letter letter = {
		.kind = CV_PROBER_ANSWER,
		.remote = remote,
		.tunnel = tunnel,
		.words = *words,
		.time_us = cv_prober_now_us(),
	};

	post_words(prober, &letter);
}

void cv_prober_note_error(struct cv_prober *prober, __be32 remote, int tunnel,
			  const struct cv_probe_words *words, uint32_t mtu)
{
	const struct cv_prober_letter letter = {
		.kind = CV_PROBER_ERROR,
		.remote = remote,
		.tunnel = tunnel,
		.words = *words,
		.mtu = mtu,
		.time_us = cv_prober_now_us(),
	};

	post_words(prober, &letter);
}

void cv_prober_note_too_big(struct cv_prober *prober, __be32 remote, uint32_t mtu)
{
	const struct cv_prober_letter letter = {
		.kind = CV_PROBER_TOO_BIG,
		.remote = remote,
		.mtu = mtu,
		.time_us = cv_prober_now_us(),
	};

	post(prober, &letter);
}

/* Locked. */
static void take_letters(struct cv_prober *prober)
{
	const struct cv_prober_letter *letters = prober->letters;
	unsigned int count;

	pthread_mutex_lock(&prober->inbox_lock);
	count = prober->inbox_count;
	memcpy(prober->letters, prober->inbox, count * sizeof(letters[0]));
	prober->inbox_count = 0;
	memset(prober->shares, 0, sizeof(prober->shares));
	pthread_mutex_unlock(&prober->inbox_lock);
	for (unsigned int i = 0; i < count; i++) {
		if (letters[i].kind == CV_PROBER_ANSWER)
			cv_prober_take_answer(prober, &letters[i]);
		else if (letters[i].kind == CV_PROBER_ERROR)
			cv_prober_take_error(prober, &letters[i]);
		else
			cv_prober_take_too_big(prober, &letters[i]);
	}
}

/* ---- the clock ------------------------------------------------------------------------------- */

/* Take out what has been noted since the last time, without losing what is noted now. */
static void collect(struct cv_fp_activity *activity, struct cv_fp_activity *seen)
{
	uint32_t sent = 0;

	if (__atomic_load_n(&activity->sent, __ATOMIC_RELAXED))
		sent = __atomic_exchange_n(&activity->sent, 0, __ATOMIC_RELAXED);
	if (sent > seen->sent)
		seen->sent = sent;
	if (__atomic_load_n(&activity->heard, __ATOMIC_RELAXED))
		seen->heard |= __atomic_exchange_n(&activity->heard, 0, __ATOMIC_RELAXED);
}

static void look_at(const struct cv_prober *prober, const struct cv_fp_activity *seen,
		    struct cv_prober_entry *entry, uint64_t now)
{
	if (seen->sent > entry->largest_sent)
		entry->largest_sent = seen->sent;
	if (seen->heard) {
		/* A remote that was silent for long is there again. */
		if (entry->liveness == CV_LIVENESS_DOWN && now - entry->heard_ms > ACTIVE_MS)
			entry->next_ms = entry->echo_ms = now;
		entry->heard_ms = now;
	}
	if (!seen->sent)
		return;
	if (now >= entry->active_until_ms) {
		/* After a pause, nothing is known of now. */
		uint64_t soon = now + prober->config.confirm_timer_ms;

		entry->echo_ms = entry->echo_ms < soon ? entry->echo_ms : soon;
	}
	entry->active_until_ms = now + ACTIVE_MS;
}

/* Remotes that share a slot have the traffic of all: nobody looks before all is collected, and what
 * was seen is forgotten when all have looked. */
static void look_at_all(struct cv_prober *prober, uint64_t now)
{
	for (size_t i = 0; i < prober->count; i++) {
		unsigned int slot = cv_fp_activity_slot(prober->entries[i]->target.remote);

		collect(&prober->activity[slot], &prober->seen[slot]);
		if (prober->fast_activity)
			collect(&prober->fast_activity[slot], &prober->seen[slot]);
	}
	for (size_t i = 0; i < prober->count; i++) {
		struct cv_prober_entry *entry = prober->entries[i];

		look_at(prober, &prober->seen[cv_fp_activity_slot(entry->target.remote)], entry,
			now);
	}
	for (size_t i = 0; i < prober->count; i++) {
		unsigned int slot = cv_fp_activity_slot(prober->entries[i]->target.remote);

		prober->seen[slot] = (struct cv_fp_activity){0};
	}
}

static void add_tokens(struct cv_prober *prober, uint64_t now)
{
	uint64_t more = (now - prober->tokens_ms) * prober->config.rate / 1000;
	uint32_t saved = prober->config.rate / 10;

	if (!more)
		return;
	if (saved > BURST)
		saved = BURST;
	prober->tokens_ms = now;
	more += prober->tokens;
	/* A tenth of a second's may be saved up, and one entry's. */
	if (more > saved + MOST)
		more = saved + MOST;
	prober->tokens = (uint32_t)more;
}

/* Returns when the next entry is due. Where tokens are short, who waits now comes first then. */
static uint64_t run_all(struct cv_prober *prober, uint64_t now)
{
	uint64_t next = now + (prober->count ? TICK_MS : IDLE_MS);
	size_t first = prober->turn < prober->count ? prober->turn : 0;

	for (size_t i = 0; i < prober->count; i++) {
		size_t at = (first + i) % prober->count;
		struct cv_prober_entry *entry = prober->entries[at];

		if (!cv_prober_is_due(prober, entry, now)) {
			next = entry->next_ms < next ? entry->next_ms : next;
			continue;
		}
		prober->turn = at;
		if (prober->tokens < MOST)
			return now + TICK_LEAST_MS * 5;
		cv_prober_run(prober, entry, now);
		next = entry->next_ms < next ? entry->next_ms : next;
	}
	return next;
}

/* Tick at a time, at the latest: nobody who calls again and again puts it off. */
static void arm(struct cv_prober *prober, uint64_t at, uint64_t now)
{
	uint64_t wait = at > now + TICK_LEAST_MS ? at - now : TICK_LEAST_MS;
	struct timeval delay;

	if (prober->is_stale && wait > REFRESH_DELAY_MS)
		wait = REFRESH_DELAY_MS;
	if (prober->armed_ms && prober->armed_ms <= now + wait)
		return;
	prober->armed_ms = now + wait;
	delay.tv_sec = (time_t)(wait / 1000);
	delay.tv_usec = (suseconds_t)(wait % 1000 * 1000);
	event_add(prober->timer, &delay);
}

/* Not locked. */
static void refresh(struct cv_prober *prober)
{
	uint64_t begin = cv_prober_now_ms();

	if (!prober->is_stale || begin < prober->refresh_ms)
		return;
	prober->is_stale = false;
	cv_prober_refresh(prober, begin);
	prober->refresh_ms = begin + REFRESH_REST * (cv_prober_now_ms() - begin);
	if (prober->is_stale)
		prober->refresh_ms += REFRESH_AGAIN_MS;
}

static void on_tick(evutil_socket_t fd, short what, void *data)
{
	struct cv_prober *prober = data;
	uint64_t now, next;

	(void)fd;
	(void)what;
	prober->armed_ms = 0;
	if (__atomic_exchange_n(&prober->tunnels_changed, false, __ATOMIC_ACQ_REL)) {
		prober->is_stale = true;
		prober->refresh_ms = 0;
	}
	refresh(prober);
	pthread_mutex_lock(&prober->lock);
	now = cv_prober_now_ms();
	take_letters(prober);
	look_at_all(prober, now);
	add_tokens(prober, now);
	next = run_all(prober, now);
	prober->has_work = false;
	tell_news(prober);
	pthread_mutex_unlock(&prober->lock);
	arm(prober, next, now);
}

/* ---- descriptors ------------------------------------------------------------------------- */

/* Locked; unlocks. A tick costs a look at all entries: letters that mean nothing cause none. */
static void go_on(struct cv_prober *prober)
{
	uint64_t now = cv_prober_now_ms();
	bool has_work = prober->has_work;

	prober->has_work = false;
	tell_news(prober);
	pthread_mutex_unlock(&prober->lock);
	if (has_work || __atomic_load_n(&prober->tunnels_changed, __ATOMIC_ACQUIRE))
		arm(prober, now, now);
}

static void on_wake(evutil_socket_t fd, short what, void *data)
{
	struct cv_prober *prober = data;
	eventfd_t ignored;

	(void)what;
	eventfd_read(fd, &ignored);
	if (__atomic_load_n(&prober->stopping, __ATOMIC_ACQUIRE)) {
		event_base_loopbreak(prober->base);
		return;
	}
	pthread_mutex_lock(&prober->lock);
	take_letters(prober);
	go_on(prober);
}

static void on_changed(evutil_socket_t fd, short what, void *data)
{
	const uint64_t soon = cv_prober_now_ms() + REFRESH_DELAY_MS;
	struct cv_prober *prober = data;
	int changes = cv_monitor_drain(fd);

	(void)what;
	if (!changes || !(changes < 0 || changes & ~(CV_MONITOR_QDISC | CV_MONITOR_FILTER)))
		return;
	if (!prober->is_stale && prober->refresh_ms < soon)
		prober->refresh_ms = soon;
	prober->is_stale = true;
	arm(prober, prober->refresh_ms, cv_prober_now_ms());
}

/* Answers on the underlay; the socket's filter has let through nothing but echo replies with our
 * identifier. */
static void on_echo(evutil_socket_t fd, short what, void *data)
{
	struct cv_prober *prober = data;
	struct cv_prober_letter letter = {.kind = CV_PROBER_ANSWER};
	uint8_t packet[ECHO_BYTES];

	(void)what;
	pthread_mutex_lock(&prober->lock);
	for (unsigned int i = 0; i < READS_MAX; i++) {
		ssize_t length = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
		struct cv_ipv4 ip;

		if (length < 0)
			break;
		if (cv_ipv4_parse_header(packet, (uint32_t)length, &ip) ||
		    !cv_probe_parse(packet + ip.header_length, (uint32_t)length - ip.header_length,
				    CV_ICMP_ECHO_REPLY, &letter.words))
			continue;
		letter.remote = ip.source;
		letter.time_us = cv_prober_now_us();
		cv_prober_take_echo(prober, &letter);
	}
	go_on(prober);
}

/* ---- the thread -------------------------------------------------------------------------- */

static void *run(void *data)
{
	struct cv_prober *prober = data;

	event_base_dispatch(prober->base);
	return NULL;
}

static int open_descriptors(struct cv_prober *prober)
{
	prober->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	prober->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (prober->wake < 0 || prober->news < 0)
		return -errno;
	/* The monitor comes before the first list: no change goes unseen. */
	prober->monitor = cv_monitor_open();
	if (prober->monitor < 0)
		return prober->monitor;
	prober->sender = cv_raw_open_sender();
	if (prober->sender < 0)
		return prober->sender;
	prober->echo = cv_raw_open_echo(CV_PROBE_ID, offsetof(struct cv_probe_message, host),
					prober->host);
	if (prober->echo < 0)
		return prober->echo;
	return cv_raw_ignore_path_mtu(prober->sender);
}

static int add_events(struct cv_prober *prober)
{
	const struct {
		int fd;
		event_callback_fn on;
	} watched[] = {
		{prober->wake, on_wake},
		{prober->monitor, on_changed},
		{prober->echo, on_echo},
	};
	static const struct timeval at_once = {.tv_sec = 0};
	struct event_config *config = event_config_new();

	/* No locks: the base is the thread's alone. */
	if (config) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		prober->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (!prober->base)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		prober->events[i] = event_new(prober->base, watched[i].fd, EV_READ | EV_PERSIST,
					      watched[i].on, prober);
		if (!prober->events[i] || event_add(prober->events[i], NULL))
			return -ENOMEM;
	}
	prober->timer = evtimer_new(prober->base, on_tick, prober);
	return prober->timer && !event_add(prober->timer, &at_once) ? 0 : -ENOMEM;
}

int cv_prober_create(struct cv_lane_shared *shared, struct cv_prober **ret_prober)
{
	struct cv_prober *prober = calloc(1, sizeof(*prober));
	int err;

	if (!prober)
		return -ENOMEM;
	prober->live = shared->live;
	prober->remotes = shared->remotes;
	prober->activity = shared->activity;
	prober->config = cv_prober_config_default();
	prober->is_stale = true;
	prober->wake = prober->news = prober->monitor = prober->sender = prober->echo = -1;
	pthread_mutex_init(&prober->lock, NULL);
	pthread_mutex_init(&prober->inbox_lock, NULL);
	err = cv_nl_create(&prober->nl);
	if (!err && (getrandom(&prober->key, sizeof(prober->key), 0) < 0 ||
		     getrandom(&prober->host, sizeof(prober->host), 0) < 0 ||
		     getrandom(&prober->sequences, sizeof(prober->sequences), 0) < 0))
		err = -errno;
	if (!err)
		err = open_descriptors(prober);
	if (!err)
		err = add_events(prober);
	if (err) {
		cv_prober_destroy(prober);
		return err;
	}
	*ret_prober = prober;
	return 0;
}

int cv_prober_start(struct cv_prober *prober)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&prober->thread, NULL, run, prober);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
	prober->is_running = true;
	pthread_setname_np(prober->thread, "cv-prober");
	return 0;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void cv_prober_destroy(struct cv_prober *prober)
{
	if (!prober)
		return;
	if (prober->is_running) {
		__atomic_store_n(&prober->stopping, true, __ATOMIC_RELEASE);
		eventfd_write(prober->wake, 1);
		pthread_join(prober->thread, NULL);
	}
	for (size_t i = 0; i < sizeof(prober->events) / sizeof(prober->events[0]); i++) {
		if (prober->events[i])
			event_free(prober->events[i]);
	}
	if (prober->timer)
		event_free(prober->timer);
	if (prober->base)
		event_base_free(prober->base);
	for (size_t i = 0; i < prober->count; i++)
		free(prober->entries[i]);
	free(prober->entries);
	cv_nl_destroy(prober->nl);
	close_if_open(prober->wake);
	close_if_open(prober->news);
	close_if_open(prober->monitor);
	close_if_open(prober->sender);
	close_if_open(prober->echo);
	pthread_mutex_destroy(&prober->lock);
	pthread_mutex_destroy(&prober->inbox_lock);
	free(prober);
}
