/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a learned route. bird_filter.c says the same in BIRD's language, in the same
 * order; tests/packet/bird_config.t holds one against the other.
 */
#include "routing/bgp_policy.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/types.h"

static const char *const names[CV_BGP_VERDICTS] = {
	[CV_BGP_TAKEN] = "taken",
	[CV_BGP_REFUSED_DEFAULT] = "default",
	[CV_BGP_REFUSED_HOST] = "host",
	[CV_BGP_REFUSED_UNDERLAY] = "underlay",
	[CV_BGP_REFUSED_MARTIAN] = "martian",
	[CV_BGP_REFUSED_OUR_BLOCK] = "our_block",
	[CV_BGP_REFUSED_OTHERS_BLOCK] = "others_block",
	[CV_BGP_REFUSED_PART_OF_BLOCK] = "part_of_block",
	[CV_BGP_REFUSED_FILTER] = "filter",
	[CV_BGP_REFUSED_NO_POOL] = "no_pool",
};

const char *cv_bgp_verdict_name(enum cv_bgp_verdict verdict)
{
	return names[verdict];
}

/* What is never routed anywhere (RFC 6890), by number. Private networks are other people's, too. */
const struct cv_bgp_martian cv_bgp_martians[CV_BGP_MARTIANS] = {
	{0x00000000, 8},  /* "this network" */
	{0x7f000000, 8},  /* loopback */
	{0xa9fe0000, 16}, /* link-local */
	{0xe0000000, 4},  /* multicast */
	{0xf0000000, 4},  /* reserved */
};

/* ---- look-ups ------------------------------------------------------------------------- */

/* The first of the hosts that is a prefix's address, or NULL. */
static const __be32 *find_host(const struct cv_bgp_intent *bgp, const struct cv_prefix *prefix)
{
	size_t low = 0, high = bgp->host_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_ntohl(bgp->hosts[middle]) < cv_prefix_first(prefix))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == bgp->host_count || !cv_prefix_has(prefix, bgp->hosts[low]))
		return NULL;
	return &bgp->hosts[low];
}

/* The first item of a sorted array that is not before a prefix. */
static size_t find_place(const void *items, size_t count, size_t size,
			 const struct cv_prefix *prefix)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_prefix_compare((const void *)((const char *)items + middle * size), prefix) <
		    0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The first of items, which begin with their prefixes and are sorted by them, that overlaps a
 * prefix: the largest that it is in, or the first that is in it. NULL: none does.
 */
static const void *find_overlap(const void *items, size_t count, size_t size,
				const struct cv_prefix *prefix)
{
	const char *bytes = items;
	size_t place;

	for (uint8_t length = 0; length < prefix->length; length++) {
		const struct cv_prefix around = cv_prefix_of(prefix->address, length);

		place = find_place(items, count, size, &around);
		if (place < count &&
		    !cv_prefix_compare((const void *)(bytes + place * size), &around))
			return bytes + place * size;
	}
	place = find_place(items, count, size, prefix);
	if (place < count && cv_prefix_contains(prefix, (const void *)(bytes + place * size)))
		return bytes + place * size;
	return NULL;
}

static const struct cv_bgp_pool *find_pool(const struct cv_bgp_intent *bgp,
					   const struct cv_prefix *prefix)
{
	const struct cv_bgp_pool *pool;
	size_t low = 0, high = bgp->pool_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_prefix_first(&bgp->pools[middle].cidr) <= cv_prefix_first(prefix))
			low = middle + 1;
		else
			high = middle;
	}
	pool = low ? &bgp->pools[low - 1] : NULL;
	return pool && cv_prefix_contains(&pool->cidr, prefix) ? pool : NULL;
}

/* ---- blocks --------------------------------------------------------------------------- */

/* A single address within a larger block, which its node may have lent. */
static bool is_borrowed(const struct cv_bgp_block *block, const struct cv_prefix *prefix)
{
	return prefix->length == 32 && block->prefix.length < 32;
}

static bool may_announce(const struct cv_bgp_intent *bgp, const struct cv_bgp_session *session,
			 const struct cv_bgp_block *block, const struct cv_prefix *prefix,
			 __be32 next_hop)
{
	const struct cv_bgp_pool *pool;

	if (block->node && block->node->node.address == next_hop)
		return true;
	pool = find_pool(bgp, prefix);
	return pool && pool->mode == CV_IPIP_NEVER && !session->node;
}

/* The block of this very prefix, ours or another's, or NULL. */
static const struct cv_bgp_block *block_of(const struct cv_bgp_intent *bgp,
					   const struct cv_prefix *prefix, bool is_ours)
{
	const struct cv_bgp_block *blocks = bgp->blocks;
	size_t place = find_place(blocks, bgp->block_count, sizeof(*blocks), prefix);

	for (; place < bgp->block_count && !cv_prefix_compare(&blocks[place].prefix, prefix);
	     place++) {
		if (blocks[place].is_ours == is_ours)
			return &blocks[place];
	}
	return NULL;
}

/* The first block, ours or another's, that lies in a prefix, or NULL. What a Workload of ours has
 * is a part of other's blocks, where it was borrowed: its own route is the longer one. */
static const struct cv_bgp_block *block_within(const struct cv_bgp_intent *bgp,
					       const struct cv_prefix *prefix, bool is_ours)
{
	const struct cv_bgp_block *blocks = bgp->blocks;
	size_t place = find_place(blocks, bgp->block_count, sizeof(*blocks), prefix);

	for (; place < bgp->block_count && cv_prefix_contains(prefix, &blocks[place].prefix);
	     place++) {
		if (blocks[place].is_ours == is_ours && !blocks[place].is_workload &&
		    blocks[place].prefix.length > prefix->length)
			return &blocks[place];
	}
	return NULL;
}

/* A block of ours that a prefix may not overlap, or NULL. */
static const struct cv_bgp_block *find_ours(const struct cv_bgp_intent *bgp,
					    const struct cv_prefix *prefix)
{
	for (int length = 0; length <= prefix->length; length++) {
		const struct cv_prefix around = cv_prefix_of(prefix->address, (uint8_t)length);
		const struct cv_bgp_block *block = block_of(bgp, &around, true);

		if (block && (block->is_workload || !is_borrowed(block, prefix)))
			return block;
	}
	return block_within(bgp, prefix, true);
}

/*
 * A block of another node that a prefix may not overlap, or NULL. That one block around it allows
 * it is enough: blocks within each other are one node's, or the store would have been refused.
 */
static const struct cv_bgp_block *find_others(const struct cv_bgp_intent *bgp,
					      const struct cv_bgp_session *session,
					      const struct cv_prefix *prefix, __be32 next_hop)
{
	const struct cv_bgp_block *first = NULL;

	for (int length = 0; length <= prefix->length; length++) {
		const struct cv_prefix around = cv_prefix_of(prefix->address, (uint8_t)length);
		const struct cv_bgp_block *block = block_of(bgp, &around, false);

		if (block && may_announce(bgp, session, block, prefix, next_hop))
			return NULL;
		if (block && !first && !is_borrowed(block, prefix))
			first = block;
	}
	return first ? first : block_within(bgp, prefix, false);
}

/* ---- filters --------------------------------------------------------------------------- */

/* The part of a rule's cidr that it takes: BIRD's {min,max}, never shorter than the cidr. */
static bool has_length(const struct cv_bgp_filter_rule *rule, uint8_t length)
{
	return !rule->has_lengths || (length >= rule->length_min && length <= rule->length_max);
}

static bool is_at_interface(const struct cv_bgp_intent *bgp, const char *pattern, __be32 next_hop)
{
	for (size_t i = 0; i < bgp->link_count; i++) {
		if (!fnmatch(pattern, bgp->links[i].device, 0) &&
		    cv_prefix_has(&bgp->links[i].prefix, next_hop))
			return true;
	}
	return false;
}

static bool matches(const struct cv_bgp_intent *bgp, const struct cv_bgp_filter_rule *rule,
		    const struct cv_prefix *prefix, __be32 next_hop)
{
	bool is_equal = !cv_prefix_compare(&rule->cidr, prefix);
	bool is_in = cv_prefix_contains(&rule->cidr, prefix) && has_length(rule, prefix->length);

	if (*rule->interface && !is_at_interface(bgp, rule->interface, next_hop))
		return false;
	switch (rule->match) {
	case CV_BGP_MATCH_ANY:
		return has_length(rule, prefix->length);
	case CV_BGP_MATCH_EQUAL:
		return is_equal;
	case CV_BGP_MATCH_NOT_EQUAL:
		return !is_equal;
	case CV_BGP_MATCH_IN:
		return is_in;
	case CV_BGP_MATCH_NOT_IN:
		return !is_in;
	}
	return false;
}

/* The first rule that matches, and its filter; NULL: none does. */
static const struct cv_bgp_filter_rule *find_rule(const struct cv_bgp_intent *bgp,
						  const struct cv_bgp_session *session,
						  const struct cv_prefix *prefix, __be32 next_hop,
						  const struct cv_resource **ret_filter)
{
	for (size_t i = 0; i < session->filter_count; i++) {
		const struct cv_bgp_filter *filter = &session->filters[i]->bgp_filter;

		for (size_t j = 0; j < filter->import_count; j++) {
			if (!matches(bgp, &filter->import_rules[j], prefix, next_hop))
				continue;
			*ret_filter = session->filters[i];
			return &filter->import_rules[j];
		}
	}
	return NULL;
}

/* ---- the verdict ------------------------------------------------------------------------ */

static bool is_martian(const struct cv_prefix *prefix)
{
	for (size_t i = 0; i < CV_BGP_MARTIANS; i++) {
		const struct cv_prefix martian = {cv_htonl(cv_bgp_martians[i].first),
						  cv_bgp_martians[i].length};

		if (cv_prefix_overlaps(&martian, prefix))
			return true;
	}
	return false;
}

static const struct cv_resource *node_with(const struct cv_bgp_intent *bgp, __be32 address)
{
	const struct cv_bgp_node *node = cv_bgp_node_at(bgp, address);

	return node ? node->node : address == bgp->local ? bgp->self : NULL;
}

static bool is_underlay(const struct cv_bgp_intent *bgp, const struct cv_prefix *prefix,
			const struct cv_bgp_pool *pool)
{
	if (find_overlap(bgp->holes, bgp->hole_count, sizeof(*bgp->holes), prefix))
		return true;
	return !pool &&
	       find_overlap(bgp->underlay, bgp->underlay_count, sizeof(*bgp->underlay), prefix);
}

static enum cv_bgp_verdict judge_by_filters(const struct cv_bgp_intent *bgp,
					    const struct cv_bgp_session *session,
					    const struct cv_prefix *prefix, __be32 next_hop,
					    const struct cv_bgp_pool *pool,
					    const struct cv_resource **ret_about)
{
	const struct cv_bgp_filter_rule *rule =
		find_rule(bgp, session, prefix, next_hop, ret_about);

	if (rule && !rule->accept)
		return CV_BGP_REFUSED_FILTER;
	if (!pool)
		return rule ? CV_BGP_TAKEN : CV_BGP_REFUSED_NO_POOL;
	*ret_about = NULL;
	if (prefix->length > pool->block_size && prefix->length != 32) {
		*ret_about = pool->pool;
		return CV_BGP_REFUSED_PART_OF_BLOCK;
	}
	return CV_BGP_TAKEN;
}

enum cv_bgp_verdict cv_bgp_judge(const struct cv_bgp_intent *bgp,
				 const struct cv_bgp_session *session,
				 const struct cv_prefix *prefix, __be32 next_hop,
				 const struct cv_resource **ret_about)
{
	const struct cv_bgp_pool *pool = find_pool(bgp, prefix);
	const __be32 *host = find_host(bgp, prefix);
	const struct cv_bgp_block *block;

	*ret_about = NULL;
	if (!prefix->length)
		return CV_BGP_REFUSED_DEFAULT;
	if (host) {
		*ret_about = node_with(bgp, *host);
		return CV_BGP_REFUSED_HOST;
	}
	if (is_underlay(bgp, prefix, pool))
		return CV_BGP_REFUSED_UNDERLAY;
	if (is_martian(prefix))
		return CV_BGP_REFUSED_MARTIAN;
	block = find_ours(bgp, prefix);
	if (block) {
		*ret_about = block->node;
		return CV_BGP_REFUSED_OUR_BLOCK;
	}
	block = find_others(bgp, session, prefix, next_hop);
	if (block) {
		*ret_about = block->node;
		return CV_BGP_REFUSED_OTHERS_BLOCK;
	}
	return judge_by_filters(bgp, session, prefix, next_hop, pool, ret_about);
}

/* ---- words ------------------------------------------------------------------------------ */

static const char *host_text(const struct cv_bgp_intent *bgp, const struct cv_prefix *prefix,
			     const struct cv_resource *about, char text[CV_BGP_EXPLAIN_MAX])
{
	const __be32 *host = find_host(bgp, prefix);
	char address[CV_ADDRESS_TEXT_MAX];

	snprintf(text, CV_BGP_EXPLAIN_MAX, "it covers %s, %s%.100s",
		 host ? cv_address_format(*host, address) : "an address",
		 about ? "the address of node " : "a host of the underlay",
		 about ? about->name : "");
	return text;
}

static const char *underlay_text(const struct cv_bgp_intent *bgp, const struct cv_prefix *prefix,
				 char text[CV_BGP_EXPLAIN_MAX])
{
	const struct cv_prefix *network =
		find_overlap(bgp->holes, bgp->hole_count, sizeof(*bgp->holes), prefix);
	char words[CV_PREFIX_TEXT_MAX];

	if (!network)
		network = find_overlap(bgp->underlay, bgp->underlay_count, sizeof(*bgp->underlay),
				       prefix);
	if (!network)
		return "it is a network of the underlay";
	snprintf(text, CV_BGP_EXPLAIN_MAX, "it overlaps %s, a network of the underlay",
		 cv_prefix_format(network, words));
	return text;
}

/* Which block it is is not handed on with the verdict: the first that overlaps and is whose. */
static const char *block_text(const struct cv_bgp_intent *bgp, bool is_ours,
			      const struct cv_prefix *prefix, const struct cv_resource *about,
			      char text[CV_BGP_EXPLAIN_MAX])
{
	static const struct cv_bgp_session no_session;
	const struct cv_bgp_block *block =
		is_ours ? find_ours(bgp, prefix) : find_others(bgp, &no_session, prefix, 0);
	char words[CV_PREFIX_TEXT_MAX];

	if (!block)
		block = find_overlap(bgp->blocks, bgp->block_count, sizeof(*bgp->blocks), prefix);
	if (!block)
		return "it overlaps a block of another node";
	if (is_ours)
		snprintf(text, CV_BGP_EXPLAIN_MAX, "it overlaps %s, which is this node's own",
			 cv_prefix_format(&block->prefix, words));
	else
		snprintf(text, CV_BGP_EXPLAIN_MAX, "it overlaps %s, a block of node %.100s",
			 cv_prefix_format(&block->prefix, words),
			 about ? about->name : "that there is not");
	return text;
}

const char *cv_bgp_explain(const struct cv_bgp_intent *bgp, enum cv_bgp_verdict verdict,
			   const struct cv_prefix *prefix, const struct cv_resource *about,
			   char text[CV_BGP_EXPLAIN_MAX])
{
	const struct cv_bgp_pool *pool;
	const char *fixed = NULL;

	switch (verdict) {
	case CV_BGP_REFUSED_DEFAULT:
		fixed = "it is a default route";
		break;
	case CV_BGP_REFUSED_HOST:
		return host_text(bgp, prefix, about, text);
	case CV_BGP_REFUSED_UNDERLAY:
		fixed = underlay_text(bgp, prefix, text);
		break;
	case CV_BGP_REFUSED_MARTIAN:
		fixed = "it overlaps addresses that are never routed (RFC 6890)";
		break;
	case CV_BGP_REFUSED_OUR_BLOCK:
	case CV_BGP_REFUSED_OTHERS_BLOCK:
		fixed = block_text(bgp, verdict == CV_BGP_REFUSED_OUR_BLOCK, prefix, about, text);
		break;
	case CV_BGP_REFUSED_PART_OF_BLOCK:
		pool = find_pool(bgp, prefix);
		snprintf(text, CV_BGP_EXPLAIN_MAX,
			 "it is smaller than a block of IPPool %.100s (/%u), and no single address",
			 about ? about->name : "", pool ? pool->block_size : 0U);
		return text;
	case CV_BGP_REFUSED_FILTER:
		snprintf(text, CV_BGP_EXPLAIN_MAX, "BGPFilter %.100s rejects it",
			 about ? about->name : "");
		return text;
	case CV_BGP_REFUSED_NO_POOL:
		fixed = "it is in no IPPool, and no BGPFilter accepts it";
		break;
	case CV_BGP_TAKEN:
	case CV_BGP_VERDICTS:
		fixed = "it is taken";
		break;
	}
	if (fixed != text)
		snprintf(text, CV_BGP_EXPLAIN_MAX, "%s", fixed);
	return text;
}

/* ---- the way ----------------------------------------------------------------------------- */

/* Whether BIRD can resolve a next hop: on a link, or a peer whose gateway is given. */
static bool is_resolved(const struct cv_bgp_intent *bgp, __be32 next_hop)
{
	for (size_t i = 0; i < bgp->link_count; i++) {
		if (cv_prefix_has(&bgp->links[i].prefix, next_hop))
			return true;
	}
	for (size_t i = 0; i < bgp->session_count; i++) {
		if (bgp->sessions[i].reachable_by && bgp->sessions[i].address == next_hop)
			return true;
	}
	return false;
}

enum cv_path cv_bgp_path(const struct cv_bgp_intent *bgp, const struct cv_prefix *prefix,
			 __be32 next_hop)
{
	const struct cv_bgp_pool *pool = find_pool(bgp, prefix);
	const struct cv_bgp_node *node = cv_bgp_node_at(bgp, next_hop);
	bool tunnel = pool && node &&
		      (pool->mode == CV_IPIP_ALWAYS || (pool->mode == CV_IPIP_CROSS_SUBNET &&
							node->cross_subnet == CV_PATH_TUNNEL));

	if (next_hop == bgp->local)
		return CV_PATH_NONE;
	if (tunnel)
		return *bgp->pool_device ? CV_PATH_TUNNEL : CV_PATH_NONE;
	if (node && !node->on_link)
		return pool && pool->mode == CV_IPIP_NEVER ? CV_PATH_UNDERLAY : CV_PATH_NONE;
	return is_resolved(bgp, next_hop) ? CV_PATH_DIRECT : CV_PATH_NONE;
}
