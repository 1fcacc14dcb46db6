/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's questions to the kernel's routing, and their answers remembered.
 *
 * Three caches per worker of the same shape, 2-way sets by a hash of the question: one each
 * way by flow, and one of what many flows have in common (the device towards an address, the
 * outer route to a next hop), so that a new flow costs one question of its own. An answer is valid
 * only with the generation it was given in; the generation moves with every notice of the kernel,
 * and on demand. What anybody can change by forged ICMP errors, the remotes' soft state, does not
 * move it: no question is asked again for that. Refusals are remembered like permissions, so that a
 * flood of strangers costs one question per flow and second, not per packet; and one from somebody
 * who is no peer of an NBMA tunnel costs none.
 *
 * What is asked, and why in these words:
 * - the next hop of an inner packet: RTM_GETROUTE with the flow's ports and, for a forwarded
 *   packet, `iif`. With `iif` the kernel hashes a flow over the next hops of a multipath
 *   route as it does for the packet itself; `oif` would restrict the choice instead. The
 *   device that a packet arrived on is not known behind a TUN; the device of the route
 *   back to its source is, and with rp_filter it is the only one possible.
 * - authorisation: RTM_GETROUTE with RTM_F_FIB_MATCH for the reverse packet: the whole entry.
 *   Declared owners count beside it, never instead: what this host refuses, or has no route back
 * to, comes from nobody.
 * - whether an outer packet may have come as it did: RTM_GETROUTE with its addresses and `iif`.
 *   Packet sockets get it before the IP stack has checked that.
 */
#include "engine/router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/address_set.h"
#include "engine/peers.h"
#include "net/monitor.h"

enum {
	SETS = 4096,
	WAYS = 2,
	ANSWER_LIFETIME_MS = 1000, /* sysctls such as fib_multipath_hash_policy send no notice */
};

/* Slots of questions that are not about a tunnel. */
enum {
	SLOT_DEVICE = CV_ENGINE_TUNNELS_MAX, /* towards flow.destination: way.oif */
	SLOT_INNER_MTU, /* of the route into the tunnel of slot 0: way.mtu; slot n follows */
	SLOT_ARRIVAL = SLOT_INNER_MTU + CV_ENGINE_TUNNELS_MAX, /* on device 0; n follows */
};

/* A question. Compared and hashed as bytes, hence no padding. */
struct question {
	struct cv_flow flow;
	__be32 outer_source; /* on the way in */
	uint32_t slot;	     /* the tunnel's, or SLOT_… */
};

struct answer {
	struct question question;
	uint32_t generation;	     /* 0: never used */
	uint32_t given_ms;	     /* low half of the clock */
	uint32_t remotes_generation; /* on the way out: that way's soft state belongs to */
	uint32_t route_mtu;	     /* on the way out: way's without soft state */
	struct cv_way_out way;	     /* on the way out */
	uint8_t drop;		     /* enum cv_drop */
};

struct cv_router {
	struct cv_router_source source;
	struct cv_live *live;
	struct cv_remotes *remotes;
	struct cv_peers *peers;
	unsigned int worker;
	uint64_t now_ms;
	uint32_t generation; /* never 0 */
	uint32_t remotes_generation;
	bool addresses_stale;
	bool has_asked; /* who may send */
	struct cv_address_set own;
	struct cv_address_set broadcast;
	struct cv_route_entry entry; /* 3 KB: too much for the stack of every call */
	struct answer out[SETS][WAYS];
	struct answer in[SETS][WAYS];
	/* Its answers are found one after the other: one might take another's place. */
	struct answer common[SETS][WAYS];
};

struct cv_router *cv_router_create(const struct cv_router_source *source, struct cv_live *live,
				   struct cv_remotes *remotes, unsigned int worker)
{
	const struct cv_peers_source peers = {source->context, source->gateways};
	struct cv_router *router = calloc(1, sizeof(*router));

	if (!router) {
		source->destroy(source->context);
		errno = ENOMEM;
		return NULL;
	}
	router->source = *source;
	router->live = live;
	router->remotes = remotes;
	router->worker = worker;
	router->generation = 1;
	router->addresses_stale = true;
	router->peers = cv_peers_create(&peers);
	if (!router->peers) {
		cv_router_destroy(router);
		errno = ENOMEM;
		return NULL;
	}
	return router;
}

void cv_router_destroy(struct cv_router *router)
{
	if (!router)
		return;
	cv_peers_destroy(router->peers);
	router->source.destroy(router->source.context);
	cv_address_set_fini(&router->own);
	cv_address_set_fini(&router->broadcast);
	free(router);
}

static int add_address(const struct cv_address *address, void *data)
{
	struct cv_router *router = data;
	int err = cv_address_set_add(&router->own, address->address);
	__be32 mask;

	if (err)
		return err;
	if (address->broadcast)
		err = cv_address_set_add(&router->broadcast, address->broadcast);
	/* The kernel treats a subnet's all-ones address as broadcast also where none was set. */
	if (!err && address->prefix_length && address->prefix_length < 31) {
		mask = cv_htonl(~0U << (32 - address->prefix_length));
		err = cv_address_set_add(&router->broadcast, address->address | ~mask);
	}
	return err;
}

static void reload_addresses(struct cv_router *router)
{
	int err;

	/* An interrupted dump is asked for again; notices arrive meanwhile anyway. */
	for (int attempt = 0; attempt < 5; attempt++) {
		cv_address_set_clear(&router->own);
		cv_address_set_clear(&router->broadcast);
		err = router->source.addresses(router->source.context, add_address, router);
		if (err != -EINTR)
			break;
	}
	cv_address_set_sort(&router->own);
	cv_address_set_sort(&router->broadcast);
	router->addresses_stale = err != 0;
}

void cv_router_forget(struct cv_router *router)
{
	if (++router->generation == 0)
		router->generation = 1;
}

void cv_router_refresh(struct cv_router *router, uint64_t now_ms)
{
	int changes = router->source.changes(router->source.context);

	router->now_ms = now_ms;
	router->remotes_generation = cv_remotes_generation(router->remotes);
	if (changes < 0)
		changes = CV_MONITOR_OVERFLOW;
	if (changes & (CV_MONITOR_ADDRESS | CV_MONITOR_LINK | CV_MONITOR_OVERFLOW))
		router->addresses_stale = true;
	if (changes & (CV_MONITOR_LINK | CV_MONITOR_OVERFLOW))
		cv_live_resolve_devices(router->live, router->worker);
	if (changes)
		cv_router_forget(router);
	if (router->addresses_stale)
		reload_addresses(router);
}

bool cv_router_is_own(const struct cv_router *router, __be32 address)
{
	return cv_address_set_has(&router->own, address);
}

bool cv_router_is_broadcast(const struct cv_router *router, __be32 address)
{
	return cv_address_set_has(&router->broadcast, address);
}

void cv_flow_read(struct cv_flow *ret_flow, const struct cv_ipv4 *ip, const void *packet)
{
	const uint8_t *ports = (const uint8_t *)packet + ip->header_length;

	memset(ret_flow, 0, sizeof(*ret_flow));
	ret_flow->source = ip->source;
	ret_flow->destination = ip->destination;
	ret_flow->protocol = ip->protocol;
	ret_flow->tos = ip->tos & 0xfc;
	if (ip->protocol != CV_IPV4_PROTO_TCP && ip->protocol != CV_IPV4_PROTO_UDP)
		return;
	if (cv_ipv4_is_fragment(ip) || ip->payload_length < 4)
		return;
	memcpy(&ret_flow->source_port, ports, 2);
	memcpy(&ret_flow->destination_port, ports + 2, 2);
}

static uint32_t question_hash(const struct question *question)
{
	const uint8_t *bytes = (const uint8_t *)question;
	uint64_t hash = 0;

	_Static_assert(sizeof(*question) == 24 && sizeof(struct cv_flow) == 16,
		       "hashed and compared as three words, without padding");
	for (unsigned int i = 0; i < sizeof(*question); i += 8) {
		uint64_t word;

		memcpy(&word, bytes + i, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	return (uint32_t)(hash >> 32);
}

static bool answer_is_valid(const struct cv_router *router, const struct answer *answer)
{
	return answer->generation == router->generation &&
	       (uint32_t)router->now_ms - answer->given_ms < ANSWER_LIFETIME_MS;
}

/* The answer to question, or the place for one; *ret_valid says which. */
static struct answer *answer_find(const struct cv_router *router, struct answer (*cache)[WAYS],
				  const struct question *question, bool *ret_valid)
{
	struct answer *set = cache[question_hash(question) % SETS];
	struct answer *place = &set[0];

	for (unsigned int i = 0; i < WAYS; i++) {
		bool valid = answer_is_valid(router, &set[i]);

		if (valid && !memcmp(&set[i].question, question, sizeof(*question))) {
			*ret_valid = true;
			return &set[i];
		}
		if (i && answer_is_valid(router, place) &&
		    (!valid || (int32_t)(set[i].given_ms - place->given_ms) < 0))
			place = &set[i];
	}
	*ret_valid = false;
	place->question = *question;
	place->generation = router->generation;
	place->given_ms = (uint32_t)router->now_ms;
	return place;
}

/* The device that packets from address arrive on: that of the route back to it. 0: unknown. */
static int device_towards(struct cv_router *router, __be32 address)
{
	const struct cv_route_flow back = {.destination = address};
	struct question question;
	struct cv_route route;
	struct answer *answer;
	bool valid;

	memset(&question, 0, sizeof(question));
	question.slot = SLOT_DEVICE;
	question.flow.destination = address;
	answer = answer_find(router, router->common, &question, &valid);
	if (valid)
		return answer->way.oif;
	answer->way.oif = 0;
	if (!router->source.get(router->source.context, &back, &route) && route.type == RTN_UNICAST)
		answer->way.oif = route.oif;
	return answer->way.oif;
}

/* The question of the packet itself: of one of ours, or of one that was forwarded. */
static void ask_as_for(struct cv_router *router, const struct cv_flow *flow,
		       struct cv_route_flow *ret)
{
	*ret = (struct cv_route_flow){
		.destination = flow->destination,
		.source = flow->source,
		.tos = flow->tos,
		.protocol = flow->protocol,
		.source_port = flow->source_port,
		.destination_port = flow->destination_port,
	};
	if (cv_router_is_own(router, flow->source))
		return;
	ret->iif = device_towards(router, flow->source);
	if (!ret->iif)
		ret->source = 0;
}

/*
 * The kernel's choice for the inner packet itself. Where the answer leads elsewhere (a rule
 * on fwmark, a socket bound to the device: things that a question cannot say), the
 * packet is here all the same: then ask for a route through this device.
 */
static int next_hop_get(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			const struct cv_flow *flow, struct cv_route *ret_route)
{
	const struct cv_router_source *source = &router->source;
	struct cv_route_flow question;
	int err;

	ask_as_for(router, flow, &question);
	err = source->get(source->context, &question, ret_route);
	if (!err && ret_route->type == RTN_UNICAST && ret_route->oif == tunnel->config.ifindex)
		return 0;
	question.iif = 0;
	question.oif = tunnel->config.ifindex;
	if (!cv_router_is_own(router, flow->source))
		question.source = 0;
	err = source->get(source->context, &question, ret_route);
	if (err)
		return err;
	return ret_route->type == RTN_UNICAST ? 0 : -ENETUNREACH;
}

static bool is_outer_destination(const struct cv_router *router, __be32 address)
{
	return !cv_ipv4_is_martian_source(address) && !cv_router_is_broadcast(router, address);
}

/* The route of outer packets to way->destination. */
static enum cv_drop outer_route(const struct cv_router *router, const struct cv_live_tunnel *tunnel,
				struct cv_way_out *way)
{
	const struct cv_engine_tunnel *config = &tunnel->config;
	struct cv_route_flow question = {.destination = way->destination};
	struct cv_route route;

	if (config->local && !cv_router_is_own(router, config->local))
		return CV_DROP_NO_OUTER_ROUTE;
	if (config->dev[0]) {
		question.oif = tunnel->lanes[router->worker].dev_index;
		if (!question.oif)
			return CV_DROP_NO_OUTER_ROUTE;
	}
	question.source = config->local;
	question.protocol = CV_IPV4_PROTO_IPIP;
	if (router->source.get(router->source.context, &question, &route))
		return CV_DROP_NO_OUTER_ROUTE;
	if (cv_live_is_device(router->live, route.oif))
		return CV_DROP_UNDERLAY_LOOP;
	if (route.type != RTN_UNICAST)
		return CV_DROP_NO_OUTER_ROUTE;
	way->source = config->local ? config->local : route.source;
	if (!way->source)
		return CV_DROP_NO_OUTER_ROUTE;
	way->oif = question.oif;
	way->mtu = route.mtu;
	return CV_DROP_NONE;
}

/* The same, once for all flows of the tunnel. */
static enum cv_drop common_outer_route(struct cv_router *router,
				       const struct cv_live_tunnel *tunnel, struct cv_way_out *way)
{
	struct question question;
	struct answer *answer;
	bool valid;

	memset(&question, 0, sizeof(question));
	question.slot = tunnel->slot;
	question.flow.destination = way->destination;
	answer = answer_find(router, router->common, &question, &valid);
	if (!valid) {
		answer->way = *way;
		answer->drop = (uint8_t)outer_route(router, tunnel, &answer->way);
	}
	*way = answer->way;
	return answer->drop;
}

/*
 * 0: none. A packet may be here although routing has just begun to send its like another way (a
 * pool that is no longer encapsulated): no route through the device has a gateway for it then, and
 * it goes to the declared owner of its destination, which takes it either way.
 */
static __be32 find_next_hop(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			    const struct cv_flow *flow)
{
	struct cv_route route;
	int err = next_hop_get(router, tunnel, flow, &route);
	__be32 owner;

	if (!err && route.gateway)
		return route.gateway;
	owner = cv_owners_find(&tunnel->owners, flow->destination);
	if (owner)
		return owner;
	return err ? 0 : flow->destination;
}

static enum cv_drop find_way_out(struct cv_router *router, const struct cv_live_tunnel *tunnel,
				 const struct cv_flow *flow, struct cv_way_out *ret_way)
{
	memset(ret_way, 0, sizeof(*ret_way));
	ret_way->destination = tunnel->config.remote;
	if (ret_way->destination)
		return outer_route(router, tunnel, ret_way);
	ret_way->destination = find_next_hop(router, tunnel, flow);
	if (!ret_way->destination)
		return CV_DROP_NO_NEXT_HOP;
	if (!is_outer_destination(router, ret_way->destination))
		return CV_DROP_NO_NEXT_HOP;
	return common_outer_route(router, tunnel, ret_way);
}

/* What is known of the remote beside routing. */
static void apply_soft_state(const struct cv_router *router, struct answer *answer)
{
	struct cv_way_out *way = &answer->way;
	uint32_t soft_mtu;

	answer->remotes_generation = router->remotes_generation;
	cv_remotes_read(router->remotes, way->destination, router->now_ms, &soft_mtu,
			&way->error_waits);
	way->mtu = answer->route_mtu;
	if (soft_mtu && soft_mtu < way->mtu)
		way->mtu = soft_mtu;
}

enum cv_drop cv_router_way_out(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			       const struct cv_flow *flow, struct cv_way_out *ret_way)
{
	struct question question;
	struct answer *answer;
	bool valid;

	/* A fixed remote has one way for all flows: one question, one cache line. */
	memset(&question, 0, sizeof(question));
	question.slot = tunnel->slot;
	if (!tunnel->config.remote)
		question.flow = *flow;
	answer = answer_find(router, router->out, &question, &valid);
	if (!valid) {
		answer->drop = (uint8_t)find_way_out(router, tunnel, flow, &answer->way);
		answer->route_mtu = answer->way.mtu;
	}
	if (!answer->drop && (!valid || answer->remotes_generation != router->remotes_generation))
		apply_soft_state(router, answer);
	*ret_way = answer->way;
	return answer->drop;
}

static bool leads_into(const struct cv_route_entry *entry, int ifindex)
{
	for (unsigned int i = 0; i < entry->count; i++) {
		if (entry->next_hops[i].oif == ifindex)
			return entry->type == RTN_UNICAST;
	}
	return false;
}

/* Of the entry, not of what the kernel has learned of the destination, which is its own business.
 * Where the answer leads elsewhere, as in next_hop_get. */
static uint32_t ask_inner_mtu(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			      const struct cv_flow *flow)
{
	const struct cv_router_source *source = &router->source;
	struct cv_route_flow question;

	ask_as_for(router, flow, &question);
	if (!source->match(source->context, &question, &router->entry) &&
	    leads_into(&router->entry, tunnel->config.ifindex))
		return router->entry.mtu;
	question.iif = 0;
	question.oif = tunnel->config.ifindex;
	if (!cv_router_is_own(router, flow->source))
		question.source = 0;
	if (source->match(source->context, &question, &router->entry) ||
	    !leads_into(&router->entry, tunnel->config.ifindex))
		return 0;
	return router->entry.mtu;
}

uint32_t cv_router_inner_mtu(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			     const struct cv_flow *flow)
{
	struct question question;
	struct answer *answer;
	bool valid;

	memset(&question, 0, sizeof(question));
	question.slot = SLOT_INNER_MTU + tunnel->slot;
	question.flow = *flow;
	answer = answer_find(router, router->common, &question, &valid);
	if (!valid) {
		uint32_t mtu = ask_inner_mtu(router, tunnel, flow);

		/* Asking may have taken the answer's place. */
		answer = answer_find(router, router->common, &question, &valid);
		answer->way.mtu = mtu;
	}
	return answer->way.mtu;
}

uint32_t cv_router_mtu_back(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			    __be32 remote)
{
	struct answer answer = {.way = {.destination = remote}};
	const struct cv_flow any = {.source = 0};

	/* Then it is the way of all packets. */
	if (tunnel->config.remote)
		return cv_router_way_out(router, tunnel, &any, &answer.way) ? 0 : answer.way.mtu;
	if (common_outer_route(router, tunnel, &answer.way))
		return 0;
	answer.route_mtu = answer.way.mtu;
	apply_soft_state(router, &answer);
	return answer.way.mtu;
}

bool cv_router_is_declared(const struct cv_live_tunnel *tunnel, __be32 address)
{
	return !tunnel->config.remote && cv_owners_has_peer(&tunnel->owners, address);
}

bool cv_router_is_peer(struct cv_router *router, const struct cv_live_tunnel *tunnel,
		       __be32 address)
{
	bool is_fresh;

	if (tunnel->config.remote)
		return tunnel->config.remote == address;
	if (cv_router_is_declared(tunnel, address))
		return true;
	return cv_peers_has(router->peers, tunnel->slot, tunnel->config.ifindex, address,
			    router->generation, router->now_ms, &is_fresh);
}

/* Certainly no gateway through the NBMA tunnel; lists are only made for whom none knew. */
static bool is_stranger(const struct cv_router *router, const struct cv_live_tunnel *tunnel,
			__be32 address)
{
	unsigned int slot = tunnel->slot;
	int ifindex = tunnel->config.ifindex;
	bool is_fresh;

	if (cv_peers_had(router->peers, slot, ifindex, address))
		return false;
	return !cv_peers_has(router->peers, slot, ifindex, address, router->generation,
			     router->now_ms, &is_fresh) &&
	       is_fresh;
}

/*
 * The entry that a packet back to flow->source would match. Asked as for that packet
 * (source and arrival device of the reverse direction, for policy rules); where the kernel
 * would not forward it at all (forwarding off, rp_filter), asked by destination alone.
 */
static int route_back(struct cv_router *router, const struct cv_flow *flow)
{
	const struct cv_router_source *source = &router->source;
	struct cv_route_flow back = {.destination = flow->source, .tos = flow->tos};
	bool is_own = cv_router_is_own(router, flow->destination);
	int err;

	if (!is_own)
		back.iif = device_towards(router, flow->destination);
	if (is_own || back.iif) {
		back.source = flow->destination;
		err = source->match(source->context, &back, &router->entry);
		/* Of the errors of a rule or route that refuses, those that say nothing else. */
		if (!err || err == -ENETUNREACH || err == -EACCES)
			return err;
	}
	back.source = 0;
	back.iif = 0;
	return source->match(source->context, &back, &router->entry);
}

/* Is the outer source a next hop of the route back, router->entry? A declared peer: on any device.
 */
static bool is_routed_back(const struct cv_router *router, const struct cv_live_tunnel *tunnel,
			   __be32 outer_source, const struct cv_flow *flow, bool is_declared)
{
	const struct cv_route_entry *entry = &router->entry;

	for (unsigned int i = 0; i < entry->count; i++) {
		const struct cv_next_hop *hop = &entry->next_hops[i];

		if (is_declared && hop->gateway == cv_owners_now(&tunnel->owners, outer_source))
			return true;
		if (hop->oif != tunnel->config.ifindex)
			continue;
		if (tunnel->config.remote || hop->gateway == outer_source)
			return true;
		if (!hop->gateway && flow->source == outer_source)
			return true;
	}
	return false;
}

enum cv_drop cv_router_judge(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			     __be32 outer_source, const struct cv_flow *flow)
{
	bool is_declared = cv_router_is_declared(tunnel, outer_source);
	bool is_fixed = tunnel->config.remote != 0;

	/* Hosts talk to each other through the tunnel too: from the peer's own outer address. */
	if (flow->source == outer_source && cv_router_is_peer(router, tunnel, outer_source))
		return CV_DROP_NONE;
	if (!is_fixed && !is_declared && flow->source != outer_source &&
	    is_stranger(router, tunnel, outer_source))
		return CV_DROP_NOT_A_PEER;
	if (route_back(router, flow) || router->entry.type != RTN_UNICAST)
		return CV_DROP_SOURCE_ROUTE_REFUSES;
	if (is_routed_back(router, tunnel, outer_source, flow, is_declared) ||
	    (is_declared && cv_owners_find(&tunnel->owners, flow->source) ==
				    cv_owners_now(&tunnel->owners, outer_source)))
		return CV_DROP_NONE;
	return cv_router_is_peer(router, tunnel, outer_source) ? CV_DROP_SOURCE_NOT_ROUTED_BACK
							       : CV_DROP_NOT_A_PEER;
}

enum cv_drop cv_router_authorise(struct cv_router *router, const struct cv_live_tunnel *tunnel,
				 __be32 outer_source, const struct cv_flow *flow)
{
	struct question question;
	struct answer *answer;
	bool valid;

	memset(&question, 0, sizeof(question));
	question.slot = tunnel->slot;
	question.outer_source = outer_source;
	question.flow.source = flow->source;
	question.flow.destination = flow->destination;
	question.flow.tos = flow->tos;
	answer = answer_find(router, router->in, &question, &valid);
	if (!valid) {
		answer->drop = (uint8_t)cv_router_judge(router, tunnel, outer_source, flow);
		router->has_asked = true;
	}
	return answer->drop;
}

bool cv_router_has_asked(struct cv_router *router)
{
	bool has_asked = router->has_asked;

	router->has_asked = false;
	return has_asked;
}

enum cv_drop cv_router_judge_arrival(struct cv_router *router, __be32 source, __be32 destination,
				     int ifindex)
{
	const struct cv_route_flow question = {
		.source = source,
		.destination = destination,
		.iif = ifindex,
	};
	struct cv_route route;

	if (cv_ipv4_is_martian_source(source) ||
	    router->source.get(router->source.context, &question, &route))
		return CV_DROP_OUTER_SOURCE_REFUSED;
	return route.type == RTN_LOCAL ? CV_DROP_NONE : CV_DROP_OUTER_SOURCE_REFUSED;
}

enum cv_drop cv_router_check_arrival(struct cv_router *router, __be32 source, __be32 destination,
				     int ifindex)
{
	struct question question;
	struct answer *answer;
	bool valid;

	memset(&question, 0, sizeof(question));
	question.slot = SLOT_ARRIVAL + (uint32_t)ifindex;
	question.flow.source = source;
	question.flow.destination = destination;
	answer = answer_find(router, router->in, &question, &valid);
	if (!valid) {
		answer->drop =
			(uint8_t)cv_router_judge_arrival(router, source, destination, ifindex);
		router->has_asked = true;
	}
	return answer->drop;
}

bool cv_router_is_routed_into(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			      const struct cv_flow *flow)
{
	const struct cv_route_flow plain = {.destination = flow->destination, .tos = flow->tos};
	const struct cv_router_source *source = &router->source;
	struct cv_route_flow question;

	ask_as_for(router, flow, &question);
	if (source->match(source->context, &question, &router->entry) &&
	    source->match(source->context, &plain, &router->entry))
		return false;
	return leads_into(&router->entry, tunnel->config.ifindex);
}
