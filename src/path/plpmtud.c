/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path MTU of one remote, by probes (RFC 8899).
 *
 * What is known is a gap: low is the largest size that was answered, high the least that failed
 * (link_mtu + 1: none did), soft the least that was not answered, once; a hint only. low < soft <=
 * high. One question at a time narrows it. choose() finds the next one from the gap alone, so
 * events need not know what the machine was about to do.
 *
 * A size fails by a pattern, for a false verdict is dear (an inner TCP sender keeps a smaller MSS
 * for minutes): all probes of it were lost, and a smaller one, sent with the last of them, was
 * answered. If nothing is answered the path is down and says nothing about its MTU. Without traffic
 * that are max_probes attempts, each of probe_timer_ms. With traffic, or while a path is new (a
 * first SYN must not find its MTU unknown), waiting for q = quick_ms:
 *
 *   0        q        q + q/3  q + 2q/3  2q                  3q
 *   size     size,    size,    size,     3 * size, ladder,   verdict
 *            small    small    small     2 * small
 *
 * that is seven lost probes of seven, spread over time. If each is lost with probability f, a
 * confirmation fails falsely with f^7: at f = 9.75 % (5 % in either direction) 8.4e-8, and at the
 * default of one each 300 ms, once in 41 days of traffic. The ladder is a probe of each common MTU
 * below: when the verdict falls, the largest of them that passes is known already.
 *
 * Before a search is complete the size above its result has failed in this way, too, so that
 * neither a lost answer of a hint nor a false verdict lasts.
 *
 * Invariants: min(min_mtu, link) <= mtu <= link, in every state. COMPLETE: mtu == low, or the link
 * shrank to it. No question is open while DISABLED, or without a link.
 */
#include "path/plpmtud.h"

#include <stddef.h>

#include "path/plpmtud_sizes.h"

enum {
	QUICK_MIN_MS = 5,
	SILENT_MS = 1000,	/* a path that is silent while there is traffic is asked so often */
	SILENCE_MAX = 3,	/* without traffic, probe_timer << this at most */
	TRAFFIC_HOLD_MS = 3000, /* a sender that waits for its retransmission timer still sends */
	NEW_MS = 5000,		/* since probes are answered, or the link takes more */
	/* What is sent with the last attempt alone has sizes of its own: only answers to it count,
	 * not late ones to what was sent before. */
	LAST_SMALL = CV_PLPMTUD_SMALL + 1,
	LAST_COPIES = 3, /* of the size in the last attempt … */
	LAST_SMALLS = 2, /* … with so many small ones, and the rest of the burst: */
	LADDER_MAX = CV_PLPMTUD_BURST_MAX - LAST_COPIES - LAST_SMALLS,
	LINK_MAX = 65535 /* the length field of IPv4 */
};

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* ---- what is known -------------------------------------------------------------------- */

static uint32_t floor_of(const struct cv_plpmtud *path, const struct cv_prober_config *config)
{
	return min(max(config->min_mtu, LAST_SMALL + 1), path->link_mtu);
}

static uint32_t base_of(const struct cv_plpmtud *path, const struct cv_prober_config *config)
{
	return min(max(config->base_mtu, floor_of(path, config)), path->link_mtu);
}

static uint32_t attempts_of(const struct cv_prober_config *config)
{
	return min(max(config->max_probes, 1), 100);
}

/* mtu, state and how as they were: who changes them calls report() at the end. */
struct before {
	uint32_t mtu;
	enum cv_plpmtud_state state;
	enum cv_plpmtud_how how;
};

static struct before look(const struct cv_plpmtud *path)
{
	return (struct before){path->mtu, path->state, path->how};
}

static bool report(struct cv_plpmtud *path, const struct before *before, uint64_t now_ms)
{
	bool is_other = path->mtu != before->mtu || path->how != before->how;

	if (is_other)
		path->since_ms = now_ms;
	return is_other || path->state != before->state;
}

static void put_mtu(struct cv_plpmtud *path, uint32_t mtu, enum cv_plpmtud_how how)
{
	path->mtu = mtu;
	path->how = how;
}

/* min_mtu, or the link's MTU below it, may be another one now. */
static void keep_floor(struct cv_plpmtud *path, const struct cv_prober_config *config)
{
	path->mtu = max(path->mtu, floor_of(path, config));
}

/* Nothing has failed: the next question is whether the link's MTU passes. */
static void forget_failures(struct cv_plpmtud *path)
{
	path->soft = path->high = path->link_mtu + 1;
	path->is_searched = false;
}

/* All that was known is of another path. */
static void forget(struct cv_plpmtud *path)
{
	path->low = 0;
	path->hint = path->disputed = 0;
	path->question = CV_PLPMTUD_NOTHING;
	path->silence = 0;
	forget_failures(path);
}

/* ---- questions ------------------------------------------------------------------------ */

static bool has_traffic(const struct cv_plpmtud *path, const struct cv_prober_config *config,
			uint64_t now_ms)
{
	uint64_t hold_ms = max(TRAFFIC_HOLD_MS, min(config->confirm_timer_ms, 60000) * 2);

	return config->confirm_timer_ms && path->traffic && now_ms - path->traffic_ms < hold_ms;
}

/* The first search of a path is quick, traffic or not: an inner TCP that ignores ICMP has only the
 * MTU that its SYN finds. */
static bool is_searched_quickly(const struct cv_plpmtud *path,
				const struct cv_prober_config *config, uint64_t now_ms)
{
	return has_traffic(path, config, now_ms) ||
	       (config->confirm_timer_ms && path->state == CV_PLPMTUD_SEARCH &&
		now_ms < path->new_until_ms);
}

static void ask(struct cv_plpmtud *path, uint32_t size, bool is_quick)
{
	path->question = CV_PLPMTUD_ASK;
	path->asked = size;
	path->is_quick = is_quick;
	path->is_due = true;
	path->is_heard = path->is_last = false;
	path->best = 0;
	path->attempt = 0;
}

static void ask_round(struct cv_plpmtud *path, uint32_t bottom, bool is_quick)
{
	path->round_count = (unsigned int)cv_plpmtud_sizes_spread(
		bottom, path->soft, CV_PLPMTUD_ROUND_MAX, path->round);
	path->question = CV_PLPMTUD_ROUND;
	path->is_quick = is_quick;
	path->is_due = true;
	path->is_heard = path->is_last = false;
	path->attempt = 0;
}

static void complete(struct cv_plpmtud *path, const struct cv_prober_config *config,
		     uint64_t now_ms)
{
	path->state = CV_PLPMTUD_COMPLETE;
	if (path->mtu != path->low)
		put_mtu(path, path->low, CV_PLPMTUD_BY_PROBE);
	path->hint = 0;
	path->raise_ms = now_ms + config->raise_timer_ms;
	path->confirmed_ms = now_ms;
}

/* The size that traffic uses has not been confirmed for a while: which? 0: it has. */
static uint32_t confirmation(const struct cv_plpmtud *path, const struct cv_prober_config *config,
			     uint64_t now_ms)
{
	if (!has_traffic(path, config, now_ms) || path->traffic_ms < path->confirmed_ms ||
	    now_ms < path->confirmed_ms + config->confirm_timer_ms ||
	    path->mtu <= floor_of(path, config))
		return 0;
	return min(path->mtu, cv_plpmtud_sizes_round_up(path->traffic));
}

static void choose_in_complete(struct cv_plpmtud *path, const struct cv_prober_config *config,
			       uint64_t now_ms)
{
	bool is_quick = has_traffic(path, config, now_ms);
	uint32_t confirm = confirmation(path, config, now_ms);

	if (confirm) {
		ask(path, confirm, is_quick);
		path->confirmed_ms = now_ms;
	} else if (path->mtu < path->link_mtu && now_ms >= path->raise_ms) {
		path->state = CV_PLPMTUD_SEARCH;
		forget_failures(path);
		ask(path, path->link_mtu, is_quick);
	}
}

/* Something between low and high is not known yet, or the result is not checked. */
static void choose_in_gap(struct cv_plpmtud *path, const struct cv_prober_config *config,
			  bool is_quick, uint64_t now_ms)
{
	uint32_t bottom = max(path->low, floor_of(path, config) - 1);

	if (path->state == CV_PLPMTUD_SEARCH && path->hint && path->low == path->hint)
		complete(path, config, now_ms);
	else if (path->is_searched)
		return;
	else if (path->soft > bottom + 1)
		ask_round(path, bottom, is_quick);
	else if (bottom == path->low)
		ask(path, path->low + 1, is_quick);
	else
		path->is_searched = true; /* not even min_mtu passes */
}

static void choose_in_search(struct cv_plpmtud *path, const struct cv_prober_config *config,
			     uint64_t now_ms)
{
	bool is_quick = is_searched_quickly(path, config, now_ms);
	uint32_t confirm = confirmation(path, config, now_ms);
	uint32_t base = base_of(path, config);

	if (path->disputed) {
		ask(path, path->disputed, config->confirm_timer_ms);
	} else if (path->high > path->link_mtu) {
		if (path->low == path->link_mtu)
			complete(path, config, now_ms);
		else
			ask(path, path->link_mtu, is_quick);
	} else if (confirm && path->low >= path->mtu) {
		ask(path, confirm, is_quick);
		path->confirmed_ms = now_ms;
	} else if (path->mtu > base && path->low < path->mtu) {
		ask(path, path->mtu, is_quick);
	} else if (path->low < base &&
		   (path->high > base || (path->is_searched && now_ms >= path->raise_ms))) {
		/* In ERROR the result below is checked again, too: the path may have healed a bit.
		 */
		path->is_searched = false;
		ask(path, base, is_quick);
	} else if (path->low < path->mtu && path->mtu > floor_of(path, config)) {
		ask(path, path->mtu, is_quick);
	} else {
		choose_in_gap(path, config, is_quick, now_ms);
	}
}

/* If no question is open, open the next one that there is. */
static void choose(struct cv_plpmtud *path, const struct cv_prober_config *config, uint64_t now_ms)
{
	if (path->question != CV_PLPMTUD_NOTHING || !path->link_mtu)
		return;
	if (path->state == CV_PLPMTUD_COMPLETE)
		choose_in_complete(path, config, now_ms);
	else if (path->state != CV_PLPMTUD_DISABLED)
		choose_in_search(path, config, now_ms);
}

/* ---- verdicts ------------------------------------------------------------------------- */

/* The size in force does not pass: it falls to the largest that was answered since this was asked,
 * for what is older is of another path; to otherwise if none was. */
static void fall(struct cv_plpmtud *path, const struct cv_prober_config *config, uint32_t otherwise,
		 uint64_t now_ms)
{
	uint32_t least = floor_of(path, config);

	put_mtu(path, path->low >= least ? path->low : max(otherwise, least), CV_PLPMTUD_BY_PROBE);
	path->is_searched = false;
	path->confirmed_ms = now_ms;
	if (path->state == CV_PLPMTUD_COMPLETE)
		path->state = CV_PLPMTUD_SEARCH;
}

/* size does not pass. */
static void fail(struct cv_plpmtud *path, const struct cv_prober_config *config, uint32_t size,
		 uint32_t otherwise, uint64_t now_ms)
{
	bool is_last = size > path->mtu && size == path->low + 1;

	path->question = CV_PLPMTUD_NOTHING;
	if (path->low >= size)
		path->low = path->best < size ? path->best : 0;
	path->high = min(path->high, size);
	path->soft = min(path->soft, size);
	if (path->disputed >= size)
		path->disputed = 0;
	if (size <= path->mtu)
		fall(path, config, otherwise, now_ms);
	if (size <= base_of(path, config)) {
		path->state = CV_PLPMTUD_ERROR;
		path->raise_ms = now_ms + config->probe_timer_ms;
	}
	if (is_last && path->state == CV_PLPMTUD_SEARCH)
		complete(path, config, now_ms);
	else if (is_last)
		path->is_searched = true;
}

static uint32_t last_attempt(const struct cv_plpmtud *path, const struct cv_prober_config *config)
{
	uint32_t probes = attempts_of(config);

	return path->is_quick ? probes + 1 : probes - 1;
}

/* How long what was sent last may take. */
static uint64_t timeout(const struct cv_plpmtud *path, const struct cv_prober_config *config,
			uint32_t quick_ms)
{
	uint32_t probes = attempts_of(config);
	uint32_t slow = max(config->probe_timer_ms, quick_ms);

	if (!path->is_quick)
		return (uint64_t)slow << min(path->silence, SILENCE_MAX);
	if (path->silence)
		return min(slow, max(quick_ms, SILENT_MS));
	if (path->question == CV_PLPMTUD_ASK && path->attempt > 0 && path->attempt <= probes)
		return max(quick_ms / probes, 1);
	return quick_ms;
}

/* What was sent last was not answered in time. */
static void expire(struct cv_plpmtud *path, const struct cv_prober_config *config, uint64_t now_ms)
{
	bool is_ask = path->question == CV_PLPMTUD_ASK;

	path->is_due = true;
	if (is_ask && path->attempt < last_attempt(path, config) && !path->silence) {
		path->attempt++;
	} else if (!path->is_heard) {
		path->silence++;
		path->attempt = 0;
	} else if (is_ask) {
		fail(path, config, path->asked, 0, now_ms);
	} else {
		for (unsigned int i = 0; i < path->round_count; i++) {
			if (path->round[i] > path->low)
				path->soft = min(path->soft, path->round[i]);
		}
		path->question = CV_PLPMTUD_NOTHING;
	}
}

/* ---- what to send --------------------------------------------------------------------- */

static void put(struct cv_plpmtud_action *action, uint32_t size, unsigned int copies)
{
	while (copies-- && action->count < CV_PLPMTUD_BURST_MAX)
		action->sizes[action->count++] = size;
}

/* The size that is asked goes first, the small ones last: a queue that overflows, or a path that
 * comes back, then errs to the side of the larger MTU. */
static void send_last_attempt(struct cv_plpmtud *path, const struct cv_prober_config *config,
			      struct cv_plpmtud_action *action)
{
	uint32_t floor = floor_of(path, config);
	uint32_t bottom = path->asked <= path->mtu ? floor - 1 : max(path->low, floor - 1);
	const uint32_t extra[2] = {path->hint ? path->hint : path->mtu, floor};
	uint32_t ladder[LADDER_MAX];
	size_t count = cv_plpmtud_sizes_common(bottom, path->asked, extra, LADDER_MAX, ladder);

	put(action, path->asked, LAST_COPIES);
	for (size_t i = 0; i < count; i++)
		put(action, ladder[i], 1);
	put(action, LAST_SMALL, LAST_SMALLS);
	path->is_last = true;
	path->is_heard = false;
	path->best = 0;
}

static void send(struct cv_plpmtud *path, const struct cv_prober_config *config, uint64_t now_ms,
		 struct cv_plpmtud_action *action)
{
	bool is_ask = path->question == CV_PLPMTUD_ASK;

	path->is_due = path->is_last = false;
	path->sent_ms = now_ms;
	if (is_ask && !path->silence && path->attempt >= last_attempt(path, config)) {
		send_last_attempt(path, config, action);
		return;
	}
	if (is_ask)
		put(action, path->asked, 1);
	for (unsigned int i = 0; !is_ask && !path->silence && i < path->round_count; i++)
		put(action, path->round[i], 1);
	/* A mere confirmation needs no small one before something is lost. */
	if (path->state != CV_PLPMTUD_COMPLETE || path->attempt || path->silence)
		put(action, CV_PLPMTUD_SMALL, 1);
}

/* ---- events --------------------------------------------------------------------------- */

void cv_plpmtud_init(struct cv_plpmtud *path, uint32_t link_mtu, uint64_t now_ms)
{
	link_mtu = min(link_mtu, LINK_MAX);
	*path = (struct cv_plpmtud){
		.state = CV_PLPMTUD_DISABLED,
		.how = CV_PLPMTUD_BY_LINK,
		.mtu = link_mtu,
		.link_mtu = link_mtu,
		.since_ms = now_ms,
	};
	forget(path);
}

bool cv_plpmtud_enable(struct cv_plpmtud *path, bool is_answered, uint64_t now_ms)
{
	struct before before = look(path);

	if (is_answered == (path->state != CV_PLPMTUD_DISABLED))
		return false;
	forget(path);
	path->state = is_answered ? CV_PLPMTUD_SEARCH : CV_PLPMTUD_DISABLED;
	/* What is in force may be smaller than the link, from ICMP or from better days. It is what
	 * is tried first if the link's MTU does not pass, and outlives by a while that probes are
	 * answered: cv_plpmtud_run. */
	if (is_answered && path->mtu < path->link_mtu)
		path->hint = path->mtu;
	path->raise_ms = 0;
	path->new_until_ms = now_ms + NEW_MS;
	return report(path, &before, now_ms);
}

bool cv_plpmtud_set_link(struct cv_plpmtud *path, const struct cv_prober_config *config,
			 uint32_t link_mtu, uint64_t now_ms)
{
	struct before before = look(path);
	bool is_raised;
	bool is_free = !path->link_mtu ||
		       (path->state == CV_PLPMTUD_DISABLED && path->how == CV_PLPMTUD_BY_LINK);

	link_mtu = min(link_mtu, LINK_MAX);
	if (link_mtu == path->link_mtu)
		return false;
	is_raised = link_mtu > path->link_mtu;
	path->link_mtu = link_mtu;
	if (is_raised)
		path->new_until_ms = now_ms + NEW_MS;
	if (path->mtu > link_mtu || is_free) {
		put_mtu(path, link_mtu, CV_PLPMTUD_BY_LINK);
		forget(path);
		if (path->state != CV_PLPMTUD_DISABLED)
			path->state = CV_PLPMTUD_SEARCH;
	} else if (is_raised) {
		path->question = CV_PLPMTUD_NOTHING;
		path->disputed = 0;
		forget_failures(path);
		if (path->state == CV_PLPMTUD_COMPLETE)
			path->state = CV_PLPMTUD_SEARCH;
	} else {
		/* mtu fits: only the gap above shrinks. */
		path->question = CV_PLPMTUD_NOTHING;
		path->disputed = 0;
		path->low = min(path->low, link_mtu);
		path->high = min(path->high, link_mtu + 1);
		path->soft = min(path->soft, path->high);
	}
	keep_floor(path, config);
	choose(path, config, now_ms);
	return report(path, &before, now_ms);
}

/* A size that was thought too large, or too small to matter, passes. */
static void widen(struct cv_plpmtud *path, const struct cv_prober_config *config, uint32_t size)
{
	if (size > path->low) {
		path->low = size;
		path->is_searched = false;
	}
	if (size > path->hint)
		path->hint = 0;
	if (path->low >= path->high)
		forget_failures(path);
	if (path->low >= path->soft)
		path->soft = path->high;
	if (size > path->mtu && path->state == CV_PLPMTUD_COMPLETE)
		path->state = CV_PLPMTUD_SEARCH;
	if (size >= path->mtu)
		put_mtu(path, size, CV_PLPMTUD_BY_PROBE);
	if (path->state == CV_PLPMTUD_ERROR && path->low >= base_of(path, config)) {
		path->state = CV_PLPMTUD_SEARCH;
		forget_failures(path);
	}
}

/* What the answer means for the question that is open. */
static void hear(struct cv_plpmtud *path, uint32_t size)
{
	if (path->question == CV_PLPMTUD_ASK && size >= path->asked)
		path->question = CV_PLPMTUD_NOTHING;
	if (!path->is_last || size >= LAST_SMALL) {
		path->is_heard = true;
		path->best = max(path->best, size);
	}
	/* It was down and is not any more. What was lost meanwhile says nothing. */
	if (path->silence && path->question != CV_PLPMTUD_NOTHING) {
		path->is_due = true;
		path->is_heard = false;
		path->best = 0;
		path->attempt = 0;
	}
	path->silence = 0;
}

bool cv_plpmtud_answered(struct cv_plpmtud *path, const struct cv_prober_config *config,
			 uint32_t size, uint64_t now_ms)
{
	struct before before = look(path);

	if (path->state == CV_PLPMTUD_DISABLED || !size || size > path->link_mtu)
		return false;
	hear(path, size);
	widen(path, config, size);
	if (path->disputed && size >= path->disputed) {
		path->refuted++;
		path->distrust_ms = now_ms + config->raise_timer_ms;
		path->disputed = path->hint = 0;
	}
	choose(path, config, now_ms);
	return report(path, &before, now_ms);
}

bool cv_plpmtud_too_big(struct cv_plpmtud *path, const struct cv_prober_config *config,
			uint32_t mtu, uint64_t now_ms)
{
	struct before before = look(path);
	bool is_enabled = path->state != CV_PLPMTUD_DISABLED;

	mtu = max(mtu, floor_of(path, config));
	if (mtu == path->mtu && !is_enabled && path->how == CV_PLPMTUD_BY_ICMP)
		path->raise_ms = now_ms + config->raise_timer_ms;
	if (mtu >= path->mtu)
		return false;
	path->hint = mtu;
	if (!is_enabled) {
		path->raise_ms = now_ms + config->raise_timer_ms;
		put_mtu(path, mtu, CV_PLPMTUD_BY_ICMP);
		return report(path, &before, now_ms);
	}
	path->disputed = max(path->disputed, path->mtu);
	if (path->question != CV_PLPMTUD_ASK || path->asked != path->disputed)
		ask(path, path->disputed, config->confirm_timer_ms);
	/* Who has lied is not believed at once; if it is the truth now, the answers will tell. */
	if (now_ms < path->distrust_ms)
		return false;
	path->low = 0;
	if (path->state == CV_PLPMTUD_COMPLETE)
		path->state = CV_PLPMTUD_SEARCH;
	put_mtu(path, mtu, CV_PLPMTUD_BY_ICMP);
	return report(path, &before, now_ms);
}

bool cv_plpmtud_unsendable(struct cv_plpmtud *path, const struct cv_prober_config *config,
			   uint32_t size, uint64_t now_ms)
{
	struct before before = look(path);

	if (path->state == CV_PLPMTUD_DISABLED || size <= CV_PLPMTUD_SMALL ||
	    size > path->link_mtu || size > path->high ||
	    (size == path->high && path->asked != size))
		return false;
	if (path->question == CV_PLPMTUD_ROUND && size > path->low && size > path->mtu) {
		path->high = min(path->high, size);
		path->soft = min(path->soft, size);
		return false;
	}
	fail(path, config, size, min(base_of(path, config), size - 1), now_ms);
	choose(path, config, now_ms);
	return report(path, &before, now_ms);
}

/* ---- time ----------------------------------------------------------------------------- */

/* The largest packets of the last while. What min_mtu takes needs no probe. */
static void note_traffic(struct cv_plpmtud *path, const struct cv_prober_config *config,
			 const struct cv_plpmtud_input *input)
{
	if (input->now_ms - path->bucket_ms >= TRAFFIC_HOLD_MS) {
		path->bucket[1] = path->bucket[0];
		path->bucket[0] = 0;
		path->bucket_ms = input->now_ms;
	}
	if (input->largest_sent > config->min_mtu) {
		path->bucket[0] = max(path->bucket[0], input->largest_sent);
		path->traffic_ms = input->now_ms;
	}
	path->traffic = max(path->bucket[0], path->bucket[1]);
	if (is_searched_quickly(path, config, input->now_ms))
		path->is_quick = true;
	else if (path->silence)
		path->is_quick = false; /* it is down, and nobody cares */
}

static bool is_expired(const struct cv_plpmtud *path, const struct cv_prober_config *config,
		       uint32_t quick_ms, uint64_t now_ms)
{
	return path->question != CV_PLPMTUD_NOTHING && !path->is_due &&
	       now_ms >= path->sent_ms + timeout(path, config, quick_ms);
}

static uint64_t next_ms(const struct cv_plpmtud *path, const struct cv_prober_config *config,
			uint32_t quick_ms, uint64_t now_ms)
{
	uint64_t latest = now_ms + max(config->raise_timer_ms, 1);
	uint64_t next = latest;

	if (path->question != CV_PLPMTUD_NOTHING)
		next = path->sent_ms + timeout(path, config, quick_ms);
	else if (path->raise_ms > now_ms)
		next = path->raise_ms;
	if (path->question == CV_PLPMTUD_NOTHING && path->state != CV_PLPMTUD_DISABLED &&
	    has_traffic(path, config, now_ms)) {
		uint64_t confirm = path->confirmed_ms + config->confirm_timer_ms;

		if (confirm <= now_ms)
			confirm = now_ms + config->confirm_timer_ms;
		next = confirm < next ? confirm : next;
	}
	if (next <= now_ms)
		next = now_ms + 1;
	return next < latest ? next : latest;
}

/* Without probes, what lowered the MTU is forgotten after a while (RFC 1191, 6.3). */
static void age(struct cv_plpmtud *path, const struct cv_prober_config *config, uint64_t now_ms)
{
	if (path->mtu >= path->link_mtu)
		return;
	if (!path->raise_ms)
		path->raise_ms = now_ms + config->raise_timer_ms;
	else if (now_ms >= path->raise_ms)
		put_mtu(path, path->link_mtu, CV_PLPMTUD_BY_LINK);
}

bool cv_plpmtud_run(struct cv_plpmtud *path, const struct cv_prober_config *config,
		    const struct cv_plpmtud_input *input, struct cv_plpmtud_action *ret_action)
{
	struct before before = look(path);
	uint32_t quick_ms = max(input->quick_ms, QUICK_MIN_MS);
	uint64_t now_ms = input->now_ms;

	ret_action->count = 0;
	note_traffic(path, config, input);
	keep_floor(path, config);
	if (path->state == CV_PLPMTUD_DISABLED)
		age(path, config, now_ms);
	if (is_expired(path, config, quick_ms, now_ms))
		expire(path, config, now_ms);
	choose(path, config, now_ms);
	if (path->question != CV_PLPMTUD_NOTHING && path->is_due)
		send(path, config, now_ms, ret_action);
	ret_action->next_ms = next_ms(path, config, quick_ms, now_ms);
	return report(path, &before, now_ms);
}

/* ---- names ---------------------------------------------------------------------------- */

const char *cv_plpmtud_state_name(enum cv_plpmtud_state state)
{
	static const char *const names[CV_PLPMTUD_STATES] = {
		[CV_PLPMTUD_DISABLED] = "disabled",
		[CV_PLPMTUD_SEARCH] = "search",
		[CV_PLPMTUD_COMPLETE] = "complete",
		[CV_PLPMTUD_ERROR] = "error",
	};

	return names[state];
}

const char *cv_plpmtud_how_name(enum cv_plpmtud_how how)
{
	static const char *const names[CV_PLPMTUD_HOWS] = {
		[CV_PLPMTUD_BY_LINK] = "link",
		[CV_PLPMTUD_BY_ICMP] = "icmp",
		[CV_PLPMTUD_BY_PROBE] = "probe",
	};

	return names[how];
}
