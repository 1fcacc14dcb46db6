/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peers of NBMA tunnels.
 *
 * One list for each tunnel that was ever asked about, so that two tunnels do not take turns
 * in one place. The time between lists is common to all of them, and a multiple of what the
 * last one took: a small routing table is followed at once, a large one within about a
 * second. A tunnel without any list yet does not wait.
 */
#include "engine/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "engine/address_set.h"
#include "engine/engine.h"

enum {
	PAUSE_FACTOR = 15, /* lists take 1/16 of a worker's time at most */
	DUMP_ATTEMPTS = 5,
};

struct list {
	int ifindex;
	uint32_t generation;
	struct cv_address_set gateways;
};

struct cv_peers {
	struct cv_peers_source source;
	uint64_t next_ms; /* when the next list may be made again */
	struct list *lists[CV_ENGINE_TUNNELS_MAX];
};

struct cv_peers *cv_peers_create(const struct cv_peers_source *source)
{
	struct cv_peers *peers = calloc(1, sizeof(*peers));

	if (peers)
		peers->source = *source;
	return peers;
}

void cv_peers_destroy(struct cv_peers *peers)
{
	if (!peers)
		return;
	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX; i++) {
		if (peers->lists[i])
			cv_address_set_fini(&peers->lists[i]->gateways);
		free(peers->lists[i]);
	}
	free(peers);
}

static int add_gateway(__be32 gateway, void *data)
{
	return cv_address_set_add(data, gateway);
}

/* What this thread has worked: to be kept waiting by others is no reason to ask less. */
static uint64_t worked_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A list that cannot be read is empty: nobody is a peer then. */
static void make(struct cv_peers *peers, struct list *list, uint64_t now_ms)
{
	uint64_t start_us = worked_us();
	int err = -EINTR;

	for (int attempt = 0; err == -EINTR && attempt < DUMP_ATTEMPTS; attempt++) {
		cv_address_set_clear(&list->gateways);
		err = peers->source.gateways(peers->source.context, list->ifindex, add_gateway,
					     &list->gateways);
	}
	if (err)
		cv_address_set_clear(&list->gateways);
	cv_address_set_sort(&list->gateways);
	peers->next_ms = now_ms + (worked_us() - start_us) * (PAUSE_FACTOR + 1) / 1000;
}

bool cv_peers_has(struct cv_peers *peers, unsigned int slot, int ifindex, __be32 address,
		  uint32_t generation, uint64_t now_ms, bool *ret_fresh)
{
	struct list *list = peers->lists[slot];
	bool is_new;

	*ret_fresh = false;
	if (!list) {
		list = calloc(1, sizeof(*list));
		if (!list)
			return false;
		peers->lists[slot] = list;
	}
	is_new = list->ifindex != ifindex;
	if (is_new || (list->generation != generation && now_ms >= peers->next_ms)) {
		list->ifindex = ifindex;
		list->generation = generation;
		make(peers, list, now_ms);
	}
	*ret_fresh = list->generation == generation;
	return cv_address_set_has(&list->gateways, address);
}

bool cv_peers_had(const struct cv_peers *peers, unsigned int slot, int ifindex, __be32 address)
{
	const struct list *list = peers->lists[slot];

	return list && list->ifindex == ifindex && cv_address_set_has(&list->gateways, address);
}
