/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's word for the fast path.
 *
 * The order makes it safe: first the stamp, then notices are read, then the kernel is asked, past
 * the router's cache. Whatever changes after the stamp was taken makes the word expire; what
 * changed before it is in the answer.
 *
 * One answer is not told: that a source is the outer address of a peer of an NBMA tunnel. It comes
 * from a list of routes, not from a look-up of one, and the kernel changes its rt_genid for the
 * deletion of those routes alone that a look-up has used (FA_S_ACCESSED, fib_table_delete). Of a
 * declared peer it is told: a change of the owners makes all words expire (tunnel/tunnel.h).
 *
 * Refusals are told, too, so that a stranger's stream ends in the kernel; but only so
 * many a second, as inner sources can be made up by the million.
 */
#include "engine/teach.h"

#include "engine/lane.h"

enum {
	/* Of each worker. */
	REFUSALS_PER_SECOND = 500,
	REPEATS_PER_SECOND = 500, /* other packets are handed over, too, that no word is for */
};

static bool is_within(const struct cv_lane *lane, uint64_t *since_ms, uint32_t *count,
		      uint32_t limit)
{
	if (lane->now_ms - *since_ms >= 1000) {
		*since_ms = lane->now_ms;
		*count = 0;
	}
	return (*count)++ < limit;
}

bool cv_teach_again(struct cv_lane *lane)
{
	return is_within(lane, &lane->repeats_since_ms, &lane->repeats, REPEATS_PER_SECOND);
}

static bool may_tell(struct cv_lane *lane, enum cv_drop drop)
{
	return !drop ||
	       is_within(lane, &lane->refusals_since_ms, &lane->refusals, REFUSALS_PER_SECOND);
}

static void teach_arrival(struct cv_lane *lane, const struct cv_ipv4 *outer, int ifindex,
			  struct cv_fp_word *word)
{
	const struct cv_teacher *teacher = lane->shared->teacher;
	const struct cv_fp_arrival_key key = {
		.source = outer->source,
		.destination = outer->destination,
		.ifindex = (__u32)ifindex,
	};

	word->drop = (__u8)cv_router_judge_arrival(lane->router, outer->source, outer->destination,
						   ifindex);
	if (may_tell(lane, word->drop))
		teacher->arrival(teacher->context, &key, word);
}

void cv_teach_source(struct cv_lane *lane, const struct cv_live_tunnel *tunnel,
		     const struct cv_ipv4 *outer, const struct cv_ipv4 *inner, const void *packet,
		     int ifindex)
{
	const struct cv_teacher *teacher = lane->shared->teacher;
	struct cv_fp_word_key key = {0};
	struct cv_fp_word word = {0};
	struct cv_flow flow;

	if (teacher->stamp(teacher->context, &word.stamp) || !word.stamp.generation)
		return;
	cv_router_refresh(lane->router, lane->now_ms);
	cv_flow_read(&flow, inner, packet);
	if (ifindex)
		teach_arrival(lane, outer, ifindex, &word);
	if (!tunnel->config.strict)
		return; /* the fast path judges that alone */
	key.tunnel = (__u32)tunnel->config.ifindex;
	key.outer_source = outer->source;
	key.inner_source = inner->source;
	key.inner_destination = inner->destination;
	key.tos = flow.tos;
	word.drop = (__u8)cv_router_judge(lane->router, tunnel, outer->source, &flow);
	if (!word.drop && !tunnel->config.remote && inner->source == outer->source &&
	    !cv_router_is_declared(tunnel, outer->source))
		return;
	if (may_tell(lane, word.drop))
		teacher->word(teacher->context, &key, &word);
}
