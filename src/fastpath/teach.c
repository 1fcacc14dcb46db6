/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's word, written where the programs look. Called by the engine's workers.
 *
 * A change of a remote's state makes the programs ask for all ways again, by a new generation.
 * Anybody who can forge ICMP errors could have that done without end, so that only so many
 * generations a second are made for errors; a path MTU falls a limited number of times.
 */
#include "fastpath/state.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <bpf/bpf.h>

enum {
	BUMP_PAUSE_NS = 10 * 1000 * 1000 /* between generations for the sake of errors */
};

static int stamp(void *context, struct cv_fp_stamp *ret_stamp)
{
	const struct cv_fastpath *fastpath = context;

	return cv_programs_stamp(&fastpath->programs, ret_stamp);
}

static void word(void *context, const struct cv_fp_word_key *key, const struct cv_fp_word *value)
{
	const struct cv_fastpath *fastpath = context;

	bpf_map_update_elem(fastpath->programs.map[CV_MAP_WORDS], key, value, BPF_ANY);
}

static void arrival(void *context, const struct cv_fp_arrival_key *key,
		    const struct cv_fp_word *value)
{
	const struct cv_fastpath *fastpath = context;

	bpf_map_update_elem(fastpath->programs.map[CV_MAP_ARRIVALS], key, value, BPF_ANY);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* True if a generation may be made for an error now. */
static bool may_bump(struct cv_fastpath *fastpath)
{
	uint64_t now = now_ns();
	uint64_t last = __atomic_load_n(&fastpath->bumped_ns, __ATOMIC_RELAXED);

	return now - last >= BUMP_PAUSE_NS &&
	       __atomic_compare_exchange_n(&fastpath->bumped_ns, &last, now, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static void remote(void *context, __be32 address, const struct cv_fp_remote *value)
{
	struct cv_fastpath *fastpath = context;
	int map = fastpath->programs.map[CV_MAP_REMOTES];
	struct cv_fp_remote before = {0};
	bool mtu_changes;

	(void)bpf_map_lookup_elem(map, &address, &before);
	mtu_changes = value->mtu != before.mtu || value->inner_mtu != before.inner_mtu ||
		      (value->mtu && before.mtu_until_ns <= now_ns());
	bpf_map_update_elem(map, &address, value, BPF_ANY);
	/* That an error was told needs no new generation: what waits is not remembered as a way. */
	if (mtu_changes || (value->error_until_s && may_bump(fastpath)))
		cv_fastpath_bump_ways(fastpath);
}

void cv_fastpath_teacher(struct cv_fastpath *fastpath, struct cv_teacher *ret_teacher)
{
	*ret_teacher = (struct cv_teacher){
		.context = fastpath,
		.stamp = stamp,
		.word = word,
		.arrival = arrival,
		.remote = remote,
	};
}

/* What is left of an entry for the next engine; false: nothing. */
static bool keep(struct cv_fp_remote *value)
{
	*value = (struct cv_fp_remote){
		.mtu = value->mtu,
		.mtu_until_ns = value->mtu_until_ns,
	};
	return value->mtu && value->mtu_until_ns > now_ns();
}

void cv_fastpath_recall(struct cv_fastpath *fastpath,
			void (*tell)(void *context, __be32 remote, uint32_t mtu, uint64_t until_ms),
			void *context)
{
	int map = fastpath->programs.map[CV_MAP_REMOTES];
	__be32 *keys = calloc(CV_FP_REMOTES_MAX, sizeof(*keys));
	struct cv_fp_remote value;
	unsigned int count = 0;

	/* The keys first: a key's successor is unknown once it is deleted. */
	while (keys && count < CV_FP_REMOTES_MAX &&
	       !bpf_map_get_next_key(map, count ? &keys[count - 1] : NULL, &keys[count]))
		count++;
	for (unsigned int i = 0; i < count; i++) {
		if (bpf_map_lookup_elem(map, &keys[i], &value))
			continue;
		if (!keep(&value)) {
			bpf_map_delete_elem(map, &keys[i]);
			continue;
		}
		bpf_map_update_elem(map, &keys[i], &value, BPF_ANY);
		tell(context, keys[i], value.mtu, value.mtu_until_ns / 1000000);
	}
	free(keys);
}
