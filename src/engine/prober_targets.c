/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the remotes are: those of tunnels with a remote, and the gateways of all routes through NBMA
 * tunnels that are up; what the underlay's route to each takes; and from which of our inner
 * addresses it may be probed.
 *
 * The kernel is asked without the lock, as 20,000 routes take it some 10 ms; then the answers are
 * taken over. Entries that stay keep what they know.
 */
#include "engine/prober_state.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/route.h"

struct list {
	struct cv_prober_target *items;
	size_t count, room;
};

struct addresses {
	struct cv_address *items;
	size_t count, room;
};

struct tunnel {
	struct cv_engine_tunnel config;
	int dev; /* index of config.dev */
};

struct inquiry {
	struct cv_prober *prober;
	struct list targets;
	struct addresses addresses;
	const struct tunnel *tunnel; /* at hand */
	int socket;
	int err;
};

/* Room for one more; false: no memory. */
static bool grow(void **items, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 64;
	void *bigger;

	if (count < *room)
		return true;
	bigger = realloc(*items, more * size);
	if (!bigger)
		return false;
	*items = bigger;
	*room = more;
	return true;
}

/* ---- what the kernel says ------------------------------------------------------------------ */

static int add_address(const struct cv_address *address, void *data)
{
	struct addresses *addresses = data;

	if (cv_ipv4_is_martian_source(address->address))
		return 0;
	if (!grow((void **)&addresses->items, addresses->count, &addresses->room,
		  sizeof(*addresses->items)))
		return -ENOMEM;
	addresses->items[addresses->count++] = *address;
	return 0;
}

static bool is_own(const struct addresses *addresses, __be32 address)
{
	for (size_t i = 0; i < addresses->count; i++) {
		if (addresses->items[i].address == address)
			return true;
	}
	return false;
}

/* The route's own MTU: its mtu metric, or its device's; no path MTU exception. */
static void find_link_mtu(struct inquiry *inquiry, const struct cv_route_flow *flow,
			  const struct cv_route *route, struct cv_prober_target *target)
{
	struct cv_route_entry entry;
	uint32_t device;

	target->link_mtu = route->mtu;
	if (!route->expires_ms)
		return;
	if (!cv_route_match(inquiry->prober->nl, flow, &entry) && entry.mtu)
		target->link_mtu = entry.mtu;
	else if (!cv_link_read_mtu(inquiry->socket, route->oif, &device))
		target->link_mtu = device;
}

static void find_route(struct inquiry *inquiry, struct cv_prober_target *target)
{
	const struct cv_route_flow flow = {
		.destination = target->remote,
		.source = target->local,
		.protocol = CV_IPV4_PROTO_IPIP,
		.oif = target->oif,
	};
	struct cv_route route;

	if (cv_route_get(inquiry->prober->nl, &flow, &route) || route.type != RTN_UNICAST ||
	    route.oif == target->tunnel)
		return;
	target->source = target->local ? target->local : route.source;
	if (target->source)
		find_link_mtu(inquiry, &flow, &route, target);
}

/*
 * Addresses on the tunnel's device come first; then others that packets to the remote do not come
 * from. At a remote that does not route one of them to us, its answer is lost, or strictness drops
 * the probe: the next one is tried.
 */
static void find_candidates(const struct addresses *addresses, struct cv_prober_target *target)
{
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < addresses->count; i++) {
			const struct cv_address *address = &addresses->items[i];
			bool on_device = address->ifindex == target->tunnel;

			if (on_device != (pass == 0) || address->address == target->source ||
			    target->candidate_count == CV_PROBER_CANDIDATES)
				continue;
			target->candidates[target->candidate_count++] = address->address;
		}
	}
}

static int add_remote(__be32 remote, void *data)
{
	struct inquiry *inquiry = data;
	const struct cv_engine_tunnel *config = &inquiry->tunnel->config;
	struct list *targets = &inquiry->targets;
	struct cv_prober_target target = {
		.tunnel = config->ifindex,
		.remote = remote,
		.local = config->local,
		.oif = inquiry->tunnel->dev,
		.ttl = config->ipip.ttl,
	};

	if (cv_ipv4_is_martian_source(remote) || is_own(&inquiry->addresses, remote))
		return 0;
	if (!grow((void **)&targets->items, targets->count, &targets->room,
		  sizeof(*targets->items))) {
		inquiry->err = -ENOMEM;
		return -ENOMEM;
	}
	find_route(inquiry, &target);
	find_candidates(&inquiry->addresses, &target);
	targets->items[targets->count++] = target;
	return 0;
}

static void ask_about(struct inquiry *inquiry, const struct tunnel *tunnel)
{
	struct cv_link link;
	int rc = 0;

	if (cv_link_get_by_index(inquiry->prober->nl, tunnel->config.ifindex, &link) ||
	    !(link.flags & IFF_UP) || (tunnel->config.dev[0] && !tunnel->dev))
		return;
	inquiry->tunnel = tunnel;
	if (tunnel->config.remote)
		add_remote(tunnel->config.remote, inquiry);
	else
		rc = cv_route_for_each_gateway(inquiry->prober->nl, tunnel->config.ifindex,
					       add_remote, inquiry);
	if (rc)
		inquiry->err = rc;
}

/* ---- what is made of it --------------------------------------------------------------------- */

/* A copy of the tunnels as they are now; the caller frees it. NULL: none, or no memory. */
static struct tunnel *copy_tunnels(struct cv_prober *prober, size_t *ret_count)
{
	struct tunnel *tunnels = NULL;
	size_t count = 0;

	pthread_mutex_lock(&prober->lock);
	if (prober->live->count)
		tunnels = calloc(prober->live->count, sizeof(*tunnels));
	for (unsigned int i = 0; tunnels && i < CV_ENGINE_TUNNELS_MAX; i++) {
		if (prober->live->slots[i] && count < prober->live->count)
			tunnels[count++].config = prober->live->slots[i]->config;
	}
	pthread_mutex_unlock(&prober->lock);
	for (size_t i = 0; i < count; i++) {
		if (tunnels[i].config.dev[0])
			tunnels[i].dev = (int)if_nametoindex(tunnels[i].config.dev);
	}
	*ret_count = count;
	return tunnels;
}

static struct cv_prober_entry *create_entry(struct cv_prober *prober,
					    const struct cv_prober_target *target, uint64_t now_ms)
{
	struct cv_prober_entry *entry = calloc(1, sizeof(*entry));
	bool error_waits;
	uint32_t known_mtu;

	if (!entry)
		return NULL;
	entry->target = *target;
	cv_prober_secret(prober, target->tunnel, target->remote, entry->secret);
	/* A path that goes and comes again has the same secret: its numbers are others. */
	entry->sequence = prober->sequences += CV_PROBER_FLIGHTS + 1;
	cv_plpmtud_init(&entry->plpmtud, target->link_mtu, now_ms);
	/* By an ICMP error, or an earlier daemon's probes. */
	cv_remotes_read(prober->remotes, target->remote, now_ms, &known_mtu, &error_waits);
	if (known_mtu)
		cv_plpmtud_too_big(&entry->plpmtud, &prober->config, known_mtu, now_ms);
	entry->next_ms = entry->echo_ms = entry->plpmtud_ms = now_ms;
	entry->liveness_ms = now_ms;
	entry->known_mtu = entry->plpmtud.mtu;
	entry->applied_mtu = known_mtu;
	entry->is_changed = true;
	return entry;
}

static bool has_candidate(const struct cv_prober_target *target, __be32 address)
{
	for (unsigned int i = 0; i < target->candidate_count; i++) {
		if (target->candidates[i] == address)
			return true;
	}
	return false;
}

static bool has_same_candidates(const struct cv_prober_target *a, const struct cv_prober_target *b)
{
	return a->candidate_count == b->candidate_count &&
	       !memcmp(a->candidates, b->candidates, sizeof(a->candidates));
}

static bool is_same(const struct cv_prober_target *a, const struct cv_prober_target *b)
{
	return a->tunnel == b->tunnel && a->remote == b->remote && a->local == b->local &&
	       a->source == b->source && a->oif == b->oif && a->ttl == b->ttl &&
	       a->link_mtu == b->link_mtu && has_same_candidates(a, b);
}

/* The same remote, by another way perhaps. */
static void update_entry(struct cv_prober *prober, struct cv_prober_entry *entry,
			 const struct cv_prober_target *target, uint64_t now_ms)
{
	struct cv_prober_target before = entry->target;

	entry->target = *target;
	if (before.link_mtu != target->link_mtu) {
		cv_plpmtud_set_link(&entry->plpmtud, &prober->config, target->link_mtu, now_ms);
		entry->next_ms = entry->plpmtud_ms = now_ms;
	}
	if (entry->inner_source && !has_candidate(target, entry->inner_source)) {
		entry->inner_source = 0;
		entry->next_ms = entry->echo_ms = now_ms;
	}
	if (before.source != target->source || !has_same_candidates(&before, target)) {
		entry->rounds = 0;
		entry->next_ms = entry->echo_ms = now_ms;
	}
	entry->is_changed = !is_same(&before, target);
}

static int by_remote_and_tunnel(const void *a, const void *b)
{
	const struct cv_prober_entry *x = *(struct cv_prober_entry *const *)a;
	const struct cv_prober_entry *y = *(struct cv_prober_entry *const *)b;
	uint32_t p = cv_ntohl(x->target.remote), q = cv_ntohl(y->target.remote);

	if (p != q)
		return p < q ? -1 : 1;
	return (x->target.tunnel > y->target.tunnel) - (x->target.tunnel < y->target.tunnel);
}

/*
 * Locked: the entries of a list are those in force now, the others are freed. Takes the list. What
 * holds of a remote is told when all its entries are there.
 */
static void replace(struct cv_prober *prober, struct cv_prober_entry **entries, size_t count,
		    uint64_t now_ms)
{
	struct cv_prober_entry **old = prober->entries;
	size_t old_count = prober->count;

	if (count)
		qsort(entries, count, sizeof(*entries), by_remote_and_tunnel);
	prober->entries = entries;
	prober->count = count;
	for (size_t i = 0; i < old_count; i++) {
		if (old[i]->is_current)
			continue;
		cv_prober_forget(prober, old[i], now_ms);
		prober->has_news = true;
		free(old[i]);
	}
	for (size_t i = 0; i < count; i++) {
		entries[i]->is_current = false;
		if (!entries[i]->is_changed)
			continue;
		entries[i]->is_changed = false;
		prober->has_news = true;
		cv_prober_apply(prober, entries[i], now_ms);
	}
	free(old);
}

/* Locked. Entries that are no more are freed; without memory, new ones wait for the next time. */
static void take_over(struct cv_prober *prober, const struct list *targets, uint64_t now_ms)
{
	struct cv_prober_entry **entries = calloc(targets->count + 1, sizeof(*entries));
	size_t count = 0;

	if (!entries)
		return;
	for (size_t i = 0; i < targets->count; i++) {
		const struct cv_prober_target *target = &targets->items[i];
		struct cv_prober_entry *entry =
			cv_prober_find(prober, target->tunnel, target->remote);

		if (entry && !entry->is_current) {
			update_entry(prober, entry, target, now_ms);
		} else if (!entry) {
			entry = create_entry(prober, target, now_ms);
		} else {
			continue;
		}
		if (!entry)
			continue;
		entry->is_current = true;
		entries[count++] = entry;
	}
	replace(prober, entries, count, now_ms);
}

void cv_prober_refresh(struct cv_prober *prober, uint64_t now_ms)
{
	struct inquiry inquiry = {
		.prober = prober,
		.socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
	};
	size_t count = 0;
	struct tunnel *tunnels = copy_tunnels(prober, &count);

	inquiry.err = cv_address_for_each(prober->nl, add_address, &inquiry.addresses);
	for (size_t i = 0; i < count && !inquiry.err; i++)
		ask_about(&inquiry, &tunnels[i]);
	/* An interrupted dump, or no memory: the list from before is better than half of one. */
	prober->is_stale = inquiry.err != 0;
	if (!inquiry.err) {
		pthread_mutex_lock(&prober->lock);
		take_over(prober, &inquiry.targets, now_ms);
		pthread_mutex_unlock(&prober->lock);
	}
	if (inquiry.socket >= 0)
		close(inquiry.socket);
	free(inquiry.targets.items);
	free(inquiry.addresses.items);
	free(tunnels);
}
