/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done for one remote: small echoes tell whether it is up, how far away, and by which way
 * it answers at all; the machine of path/plpmtud.h says which sizes to test.
 *
 * By which way: within the tunnel, from whichever inner address of ours is answered; else on the
 * underlay, which tells the path's MTU, but not whether protocol 4 passes. While the tunnel does
 * not answer, the underlay is asked beside it: if that answers, it is protocol 4 that is lost.
 *
 * Deviations from RFC 8899 are the machine's; of its own this file has the pace: while there is
 * traffic, doubt, or hope that a remote comes back, an echo every second; else one every
 * config.liveness_timer_ms.
 */
#include "engine/prober_state.h"

#include <errno.h>
#include <string.h>

enum {
	ECHO_PACE_MS = 1000,   /* while there is traffic, or doubt */
	TIMEOUT_MIN_MS = 100,  /* of an answer; for who is scheduled late, too */
	TIMEOUT_MAX_MS = 1000, /* before anything is known of the round trip */
	HOPE_MS = 60000,       /* what was up so recently may be so again soon */
	ROUNDS = 2,	       /* of all candidates, before the underlay will do */
	ASKED_SLOWLY_MS = 3600000,
	APPLY_LIFETIME_MS = 120000, /* beyond the raise timer: for the time without us */
	DISTRUST_MS = 60000,
	REMEMBERED_MS = 60000, /* what a remote's path takes, once the remote is none any more */
};

static uint32_t timeout_ms(const struct cv_prober_entry *entry, enum cv_prober_kind kind)
{
	return cv_liveness_timeout_ms(&entry->live[kind], TIMEOUT_MIN_MS, TIMEOUT_MAX_MS);
}

static enum cv_prober_kind kind_of(const struct cv_prober_entry *entry)
{
	return entry->method == CV_PROBER_UNDERLAY ? CV_PROBER_BY_UNDERLAY : CV_PROBER_BY_TUNNEL;
}

/* ---- what is known --------------------------------------------------------------------------- */

/* Of all entries of this remote whose probes are answered, the least; *ret_known: there is one. */
static uint32_t least_mtu(const struct cv_prober *prober, __be32 remote, bool *ret_known)
{
	const struct cv_prober_entry *entry;
	uint32_t mtu = 0;

	*ret_known = false;
	for (size_t i = cv_prober_first(prober, remote);
	     (entry = cv_prober_at(prober, i, remote)) != NULL; i++) {
		const struct cv_plpmtud *plpmtud = &entry->plpmtud;

		if (plpmtud->state == CV_PLPMTUD_DISABLED)
			continue;
		*ret_known = true;
		if (plpmtud->mtu < entry->target.link_mtu && (!mtu || plpmtud->mtu < mtu))
			mtu = plpmtud->mtu;
	}
	return mtu;
}

void cv_prober_apply(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	uint64_t until_ms = now_ms + prober->config.raise_timer_ms + APPLY_LIFETIME_MS;
	bool is_known;
	uint32_t mtu = least_mtu(prober, entry->target.remote, &is_known);

	/* Without a route nothing is learned, and nothing forgotten: it may be back in a moment. */
	if (!is_known || !entry->target.link_mtu ||
	    (!mtu && !entry->applied_mtu && entry->plpmtud.how == CV_PLPMTUD_BY_LINK))
		return;
	cv_remotes_set_mtu(prober->remotes, entry->target.remote, mtu, now_ms, until_ms);
	entry->applied_mtu = mtu;
	entry->applied_until_ms = until_ms;
}

void cv_prober_forget(struct cv_prober *prober, const struct cv_prober_entry *entry,
		      uint64_t now_ms)
{
	__be32 remote = entry->target.remote;
	struct cv_prober_entry *other =
		cv_prober_at(prober, cv_prober_first(prober, remote), remote);

	if (other)
		cv_prober_apply(prober, other, now_ms);
	else if (entry->applied_mtu && entry->plpmtud.state != CV_PLPMTUD_DISABLED)
		/* It may be back in a moment: recall(). */
		cv_remotes_set_mtu(prober->remotes, remote, entry->applied_mtu, now_ms,
				   now_ms + REMEMBERED_MS);
	else if (entry->applied_mtu)
		cv_remotes_set_mtu(prober->remotes, remote, 0, now_ms, 0);
}

/* What the machine has counted is everybody's; who has lied is not believed for a while. */
static void add_up(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	const struct cv_plpmtud *plpmtud = &entry->plpmtud;

	if (plpmtud->mtu < entry->known_mtu && plpmtud->how == CV_PLPMTUD_BY_PROBE)
		prober->black_holes++;
	entry->known_mtu = plpmtud->mtu;
	if (plpmtud->refuted == entry->refuted)
		return;
	prober->refuted += plpmtud->refuted - entry->refuted;
	entry->refuted = plpmtud->refuted;
	cv_remotes_distrust(prober->remotes, entry->target.remote, now_ms, now_ms + DISTRUST_MS);
}

/* Whatever changed the machine's mind. */
static void note_change(struct cv_prober *prober, struct cv_prober_entry *entry, bool changed,
			uint64_t now_ms)
{
	entry->next_ms = entry->plpmtud_ms = now_ms;
	prober->has_work = true;
	add_up(prober, entry, now_ms);
	if (!changed)
		return;
	prober->has_news = true;
	cv_prober_apply(prober, entry, now_ms);
}

static bool was_heard(const struct cv_prober *prober, const struct cv_prober_entry *entry,
		      uint64_t now_ms)
{
	return entry->heard_ms && now_ms - entry->heard_ms < prober->config.liveness_timer_ms;
}

static bool is_blocked(const struct cv_prober *prober, const struct cv_prober_entry *entry,
		       uint64_t now_ms)
{
	return entry->live[CV_PROBER_BY_UNDERLAY].state == CV_LIVENESS_UP &&
	       entry->live[CV_PROBER_BY_TUNNEL].state == CV_LIVENESS_DOWN &&
	       entry->target.candidate_count && entry->rounds > ROUNDS &&
	       !was_heard(prober, entry, now_ms);
}

/*
 * Where echoes within the tunnel are answered, their answers alone count: that something comes from
 * the remote does not say that it gets what we send.
 */
static enum cv_liveness_state liveness_of(const struct cv_prober *prober,
					  const struct cv_prober_entry *entry, uint64_t now_ms)
{
	if (!entry->target.link_mtu || entry->is_blocked)
		return CV_LIVENESS_DOWN;
	if (entry->method == CV_PROBER_INNER)
		return entry->live[CV_PROBER_BY_TUNNEL].state;
	if (was_heard(prober, entry, now_ms))
		return CV_LIVENESS_UP;
	/* Inner addresses are missing: the underlay is all that can be asked. */
	return entry->live[CV_PROBER_BY_UNDERLAY].state;
}

/* By which way it is probed from now on, if any. */
static void choose_method(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	enum cv_prober_method method = entry->method;

	/* Its inner source may be gone. */
	if (method == CV_PROBER_INNER)
		method = CV_PROBER_NONE;
	if (entry->inner_source)
		method = CV_PROBER_INNER;
	else if (entry->live[CV_PROBER_BY_UNDERLAY].state == CV_LIVENESS_UP &&
		 entry->rounds > ROUNDS)
		method = CV_PROBER_UNDERLAY;
	else if (entry->live[CV_PROBER_BY_UNDERLAY].state == CV_LIVENESS_DOWN)
		method = CV_PROBER_NONE;
	if (method == entry->method)
		return;
	entry->method = method;
	prober->has_news = true;
	note_change(prober, entry,
		    cv_plpmtud_enable(&entry->plpmtud, method != CV_PROBER_NONE, now_ms), now_ms);
}

static void look(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	bool blocked = is_blocked(prober, entry, now_ms);
	enum cv_liveness_state liveness;

	choose_method(prober, entry, now_ms);
	if (blocked != entry->is_blocked)
		prober->has_news = true;
	entry->is_blocked = blocked;
	liveness = liveness_of(prober, entry, now_ms);
	if (liveness == entry->liveness)
		return;
	entry->liveness = liveness;
	entry->liveness_ms = now_ms;
	prober->has_news = true;
}

/* ---- sending ----------------------------------------------------------------------------- */

static void send_probe(struct cv_prober *prober, struct cv_prober_entry *entry,
		       enum cv_prober_kind kind, __be32 inner_source, uint32_t size, bool is_echo,
		       uint64_t now_ms)
{
	struct cv_probe_words words = {
		.sequence = ++entry->sequence,
		.size = (uint16_t)size,
		.host = prober->host,
	};
	struct cv_prober_flight *flight = &entry->flights[words.sequence % CV_PROBER_FLIGHTS];
	int rc;

	memcpy(words.secret, entry->secret, sizeof(words.secret));
	*flight = (struct cv_prober_flight){
		.sent_us = cv_prober_now_us(),
		.give_up_ms = now_ms + timeout_ms(entry, kind),
		.sequence = words.sequence,
		.size = words.size,
		.kind = (uint8_t)kind,
		.is_echo = is_echo,
		.inner_source = inner_source,
	};
	rc = cv_prober_send(prober, &entry->target, kind, inner_source, &words);
	if (rc == -EMSGSIZE) {
		flight->sent_us = 0;
		note_change(prober, entry,
			    cv_plpmtud_unsendable(&entry->plpmtud, &prober->config, size, now_ms),
			    now_ms);
	}
	if (rc)
		return;
	entry->live[kind].sent++;
	entry->probes_sent++;
	entry->probe_bytes += size;
	if (prober->tokens)
		prober->tokens--;
}

/*
 * From the inner source that was answered; if there is none, or no longer, from all that may be,
 * at once. Of these the first alone says something about liveness.
 */
static void send_inner_echoes(struct cv_prober *prober, struct cv_prober_entry *entry,
			      uint64_t now_ms)
{
	const struct cv_prober_target *target = &entry->target;
	bool is_known =
		entry->inner_source && entry->live[CV_PROBER_BY_TUNNEL].state != CV_LIVENESS_DOWN;

	if (entry->inner_source)
		send_probe(prober, entry, CV_PROBER_BY_TUNNEL, entry->inner_source,
			   CV_PLPMTUD_SMALL, true, now_ms);
	for (unsigned int i = 0; i < target->candidate_count && !is_known; i++) {
		if (target->candidates[i] != entry->inner_source)
			send_probe(prober, entry, CV_PROBER_BY_TUNNEL, target->candidates[i],
				   CV_PLPMTUD_SMALL, !i && !entry->inner_source, now_ms);
	}
}

static void send_echoes(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	const struct cv_liveness *inner = &entry->live[CV_PROBER_BY_TUNNEL];

	send_inner_echoes(prober, entry, now_ms);
	if (entry->inner_source && inner->state == CV_LIVENESS_UP && !inner->losses)
		return;
	send_probe(prober, entry, CV_PROBER_BY_UNDERLAY, 0, CV_PLPMTUD_SMALL, true, now_ms);
	entry->rounds++;
}

/* What is not answered in time. */
static void give_up(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	for (unsigned int i = 0; i < CV_PROBER_FLIGHTS; i++) {
		struct cv_prober_flight *flight = &entry->flights[i];

		if (!flight->sent_us || !flight->is_echo || now_ms < flight->give_up_ms)
			continue;
		/* A late answer is an answer all the same. */
		flight->is_echo = false;
		cv_liveness_lost(&entry->live[flight->kind], prober->config.liveness_losses,
				 now_ms);
		if (entry->echo_ms > now_ms + ECHO_PACE_MS &&
		    entry->live[flight->kind].losses < prober->config.liveness_losses)
			entry->echo_ms = now_ms + ECHO_PACE_MS;
	}
}

static bool is_in_doubt(const struct cv_prober *prober, const struct cv_prober_entry *entry)
{
	const struct cv_liveness *live = &entry->live[kind_of(entry)];

	if (entry->method == CV_PROBER_NONE || !entry->inner_source)
		return entry->rounds <= ROUNDS ||
		       (entry->live[CV_PROBER_BY_UNDERLAY].losses > 0 &&
			entry->live[CV_PROBER_BY_UNDERLAY].losses < prober->config.liveness_losses);
	return live->losses && live->losses < prober->config.liveness_losses;
}

/* It went down a moment ago, or sends us something: who waits for it hopes for more than one look
 * each liveness timer. */
static bool may_come_back(const struct cv_prober *prober, const struct cv_prober_entry *entry,
			  uint64_t now_ms)
{
	return entry->liveness == CV_LIVENESS_DOWN &&
	       (now_ms - entry->liveness_ms < HOPE_MS || was_heard(prober, entry, now_ms));
}

/* Up to a fifth less, by chance: remotes that came in one moment do not meet in one for ever. */
static uint64_t spread(const struct cv_prober_entry *entry, uint64_t interval_ms)
{
	uint8_t chance = entry->secret[entry->sequence % sizeof(entry->secret)];

	return interval_ms - interval_ms * chance / 1280;
}

static void run_echoes(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	uint64_t pace_ms = prober->config.liveness_timer_ms;

	if (now_ms < entry->echo_ms)
		return;
	send_echoes(prober, entry, now_ms);
	if (now_ms < entry->active_until_ms || is_in_doubt(prober, entry) ||
	    may_come_back(prober, entry, now_ms))
		pace_ms = pace_ms < ECHO_PACE_MS ? pace_ms : ECHO_PACE_MS;
	entry->echo_ms = now_ms + spread(entry, pace_ms);
}

static void run_plpmtud(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	const struct cv_plpmtud_input input = {
		.now_ms = now_ms,
		.quick_ms = timeout_ms(entry, kind_of(entry)),
		.largest_sent = entry->largest_sent,
	};
	struct cv_plpmtud_action action;
	bool changed;

	/* While nothing is answered it has no questions, but what ICMP told ages. */
	changed = cv_plpmtud_run(&entry->plpmtud, &prober->config, &input, &action);
	entry->largest_sent = 0;
	note_change(prober, entry, changed, now_ms);
	entry->plpmtud_ms = action.next_ms;
	for (unsigned int i = 0; i < action.count; i++)
		send_probe(prober, entry, kind_of(entry), entry->inner_source, action.sizes[i],
			   false, now_ms);
}

/* Its soft state lives on as long as we do. */
static void renew(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	if (entry->applied_mtu && entry->applied_until_ms < now_ms + APPLY_LIFETIME_MS)
		cv_prober_apply(prober, entry, now_ms);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Traffic hurries what is due late; while it goes on, the machine's own pace counts. */
static bool is_hurried(const struct cv_prober *prober, const struct cv_prober_entry *entry,
		       uint64_t now_ms)
{
	return entry->largest_sent && entry->method != CV_PROBER_NONE &&
	       entry->plpmtud_ms > now_ms + prober->config.confirm_timer_ms;
}

bool cv_prober_is_due(const struct cv_prober *prober, const struct cv_prober_entry *entry,
		      uint64_t now_ms)
{
	return now_ms >= entry->next_ms || is_hurried(prober, entry, now_ms);
}

void cv_prober_run(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms)
{
	uint64_t next_ms;

	if (!prober->config.probing || prober->is_off || !entry->target.link_mtu) {
		if (entry->method != CV_PROBER_NONE)
			note_change(prober, entry,
				    cv_plpmtud_enable(&entry->plpmtud, false, now_ms), now_ms);
		entry->method = CV_PROBER_NONE;
		entry->liveness = CV_LIVENESS_UNKNOWN;
		entry->next_ms = now_ms + ASKED_SLOWLY_MS;
		return;
	}
	give_up(prober, entry, now_ms);
	look(prober, entry, now_ms);
	run_echoes(prober, entry, now_ms);
	if (now_ms >= entry->plpmtud_ms || is_hurried(prober, entry, now_ms))
		run_plpmtud(prober, entry, now_ms);
	renew(prober, entry, now_ms);
	next_ms = earlier(entry->echo_ms, entry->plpmtud_ms);
	for (unsigned int i = 0; i < CV_PROBER_FLIGHTS; i++) {
		const struct cv_prober_flight *flight = &entry->flights[i];

		if (flight->sent_us && flight->is_echo)
			next_ms = earlier(next_ms, flight->give_up_ms);
	}
	entry->next_ms = next_ms;
}

/* ---- what comes back --------------------------------------------------------------------- */

/* The flight that these words are of; NULL: none. */
static struct cv_prober_flight *find_flight(struct cv_prober_entry *entry,
					    const struct cv_probe_words *words)
{
	struct cv_prober_flight *flight = &entry->flights[words->sequence % CV_PROBER_FLIGHTS];

	if (!flight->sent_us || flight->sequence != words->sequence ||
	    flight->size != words->size ||
	    memcmp(words->secret, entry->secret, sizeof(entry->secret)) != 0)
		return NULL;
	return flight;
}

static unsigned int rank_of(const struct cv_prober_target *target, __be32 candidate)
{
	unsigned int i = 0;

	while (i < target->candidate_count && target->candidates[i] != candidate)
		i++;
	return i;
}

/*
 * Of those that are answered the first: the others may be in a prefix that is routed by several
 * tunnels, and their answers come by another one, which may be dead. One that is not answered any
 * more gives way to any that is.
 */
static void choose_source(struct cv_prober_entry *entry, __be32 answered, bool was_up)
{
	if (!was_up ||
	    rank_of(&entry->target, answered) < rank_of(&entry->target, entry->inner_source))
		entry->inner_source = answered;
}

static void take(struct cv_prober *prober, struct cv_prober_entry *entry,
		 struct cv_prober_flight *flight, uint64_t time_us)
{
	enum cv_prober_kind kind = flight->kind;
	uint64_t now_ms = time_us / 1000;
	bool was_up = entry->live[kind].state == CV_LIVENESS_UP;

	cv_liveness_answered(&entry->live[kind], (uint32_t)(time_us - flight->sent_us), now_ms);
	entry->probes_answered++;
	flight->sent_us = 0;
	if (kind == CV_PROBER_BY_TUNNEL) {
		choose_source(entry, flight->inner_source, was_up);
		entry->heard_ms = now_ms;
		entry->rounds = 0;
	}
	look(prober, entry, now_ms);
	if (kind == kind_of(entry) && entry->method != CV_PROBER_NONE)
		note_change(
			prober, entry,
			cv_plpmtud_answered(&entry->plpmtud, &prober->config, flight->size, now_ms),
			now_ms);
}

void cv_prober_take_answer(struct cv_prober *prober, const struct cv_prober_letter *letter)
{
	struct cv_prober_entry *entry = cv_prober_find(prober, letter->tunnel, letter->remote);
	struct cv_prober_flight *flight = entry ? find_flight(entry, &letter->words) : NULL;

	if (flight && flight->kind == CV_PROBER_BY_TUNNEL)
		take(prober, entry, flight, letter->time_us);
	else
		prober->refused++;
}

void cv_prober_take_echo(struct cv_prober *prober, const struct cv_prober_letter *letter)
{
	struct cv_prober_entry *entry;

	for (size_t i = cv_prober_first(prober, letter->remote);
	     (entry = cv_prober_at(prober, i, letter->remote)) != NULL; i++) {
		struct cv_prober_flight *flight = find_flight(entry, &letter->words);

		if (!flight)
			continue;
		/* Sent through the tunnel, it was answered outside: the remote does not route our
		 * inner address to us. */
		if (flight->kind == CV_PROBER_BY_UNDERLAY)
			take(prober, entry, flight, letter->time_us);
		return;
	}
	prober->refused++;
}

void cv_prober_take_error(struct cv_prober *prober, const struct cv_prober_letter *letter)
{
	struct cv_prober_entry *entry = cv_prober_find(prober, letter->tunnel, letter->remote);
	struct cv_prober_flight *flight = entry ? find_flight(entry, &letter->words) : NULL;
	uint64_t now_ms = letter->time_us / 1000;

	if (!flight) {
		prober->refused++;
		return;
	}
	if (!letter->mtu || letter->mtu < prober->config.min_mtu || letter->mtu >= flight->size)
		return;
	note_change(prober, entry,
		    cv_plpmtud_too_big(&entry->plpmtud, &prober->config, letter->mtu, now_ms),
		    now_ms);
}

/* An error about somebody's packet has lowered what is known of a remote. */
void cv_prober_take_too_big(struct cv_prober *prober, const struct cv_prober_letter *letter)
{
	uint64_t now_ms = letter->time_us / 1000;
	struct cv_prober_entry *entry;

	for (size_t i = cv_prober_first(prober, letter->remote);
	     (entry = cv_prober_at(prober, i, letter->remote)) != NULL; i++) {
		bool changed =
			cv_plpmtud_too_big(&entry->plpmtud, &prober->config, letter->mtu, now_ms);
		entry->applied_mtu = letter->mtu;
		note_change(prober, entry, changed, now_ms);
		/* Who tells has lowered it at once; what is not believed must not last. */
		if (!changed)
			cv_prober_apply(prober, entry, now_ms);
	}
}
