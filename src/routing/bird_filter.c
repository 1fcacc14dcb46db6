/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD's filters: cv_bgp_judge and cv_bgp_path in its language, in the same order.
 *
 * Each route costs a few look-ups in sets, which BIRD keeps as tries, and one `case` over next
 * hops, which it keeps as a balanced tree: nothing grows with the number of nodes or blocks but
 * logarithmically.
 *
 * Of BIRD 2.0.12, by experiment:
 * - `ADDRESS ~ [PREFIX+]` passes `bird -p` and fails when it is run, with the route silently
 *   gone: sets for next hops are of addresses and ranges of them.
 * - A filter that names a device which is not there fails, too, and the route is not tried
 *   again before `reload out` of the kernel's protocol: the agent makes the device first.
 * - A prefix pattern with {min,max} takes shorter prefixes than its own, too, if min says so.
 */
#include "routing/bird_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "routing/bgp_policy.h"
#include "routing/bird_rules.h"
#include "routing/bird_text.h"
#include "wire/types.h"

/* ---- functions that are one set look-up -------------------------------------------------- */

/* function NAME() { return WHAT ~ [ …: whoever begins one prints items, then ends it. An empty set
 * has no type, so the function says false. */
struct set {
	struct cv_bird_list list;
	const char *what;
};

static struct set begin_set(FILE *out, const char *name, const char *what)
{
	fprintf(out, "function " CV_BGP_PREFIX "%s()\n{\n", name);
	return (struct set){.list = {.out = out}, .what = what};
}

static struct cv_bird_list *in_set(struct set *set)
{
	if (!set->list.count)
		fprintf(set->list.out, "\treturn %s ~ [", set->what);
	return &set->list;
}

static void end_set(struct set *set)
{
	fputs(set->list.count ? " ];\n}\n\n" : "\treturn false;\n}\n\n", set->list.out);
}

/* Whatever overlaps one of them. */
static void put_overlap(struct cv_bird_list *list, const struct cv_prefix *prefix)
{
	cv_bird_put_prefix(list, prefix, "+");
	cv_bird_put_prefix(list, prefix, "-");
}

static void put_prefix_set(FILE *out, const char *name, const struct cv_prefix *prefixes,
			   size_t count)
{
	struct set set = begin_set(out, name, "net");

	for (size_t i = 0; i < count; i++)
		put_overlap(in_set(&set), &prefixes[i]);
	end_set(&set);
}

static void put_hosts(FILE *out, const struct cv_bgp_intent *bgp)
{
	struct set set = begin_set(out, "covers_host", "net");

	for (size_t i = 0; i < bgp->host_count; i++) {
		const struct cv_prefix host = {bgp->hosts[i], 32};

		cv_bird_put_prefix(in_set(&set), &host, "-");
	}
	end_set(&set);
}

static void put_martians(FILE *out)
{
	struct set set = begin_set(out, "is_martian", "net");

	for (size_t i = 0; i < CV_BGP_MARTIANS; i++) {
		const struct cv_prefix martian = {cv_htonl(cv_bgp_martians[i].first),
						  cv_bgp_martians[i].length};

		put_overlap(in_set(&set), &martian);
	}
	end_set(&set);
}

enum {
	ANY_MODE = -1
};

/* Whole pools, or those of a mode, and what is in them. */
static void put_pools(FILE *out, const struct cv_bgp_intent *bgp, const char *name, int mode)
{
	struct set set = begin_set(out, name, "net");

	for (size_t i = 0; i < bgp->pool_count; i++) {
		if (mode == ANY_MODE || mode == (int)bgp->pools[i].mode)
			cv_bird_put_prefix(in_set(&set), &bgp->pools[i].cidr, "+");
	}
	end_set(&set);
}

/* What pools take: no parts of blocks, but single addresses. */
static void put_pool_sizes(FILE *out, const struct cv_bgp_intent *bgp)
{
	struct set set = begin_set(out, "has_pool_size", "net");
	char pattern[16];

	for (size_t i = 0; i < bgp->pool_count; i++) {
		const struct cv_bgp_pool *pool = &bgp->pools[i];
		unsigned int shortest = pool->cidr.length, longest = pool->block_size;

		snprintf(pattern, sizeof(pattern), "{%u,%u}", shortest,
			 longest > shortest ? longest : shortest);
		cv_bird_put_prefix(in_set(&set), &pool->cidr, pattern);
		cv_bird_put_prefix(in_set(&set), &pool->cidr, "{32,32}");
	}
	end_set(&set);
}

/* ---- declared blocks ------------------------------------------------------------------------ */

static void put_overlapping_blocks(FILE *out, const struct cv_bgp_intent *bgp, const char *name,
				   bool is_ours)
{
	struct set set = begin_set(out, name, "net");

	for (size_t i = 0; i < bgp->block_count; i++) {
		if (bgp->blocks[i].is_ours == is_ours && !bgp->blocks[i].is_workload)
			put_overlap(in_set(&set), &bgp->blocks[i].prefix);
	}
	end_set(&set);
}

/* Where a single address is not a borrowed one. */
static void put_single_blocks(FILE *out, const struct cv_bgp_intent *bgp, const char *name,
			      bool is_ours)
{
	struct set set = begin_set(out, name, "net");

	for (size_t i = 0; i < bgp->block_count; i++) {
		const struct cv_bgp_block *block = &bgp->blocks[i];

		if (block->is_ours == is_ours && (block->is_workload || block->prefix.length == 32))
			cv_bird_put_prefix(in_set(&set), &block->prefix, "+");
	}
	end_set(&set);
}

/* Others' blocks by the address of their node. */
static int by_owner(const void *a, const void *b)
{
	const struct cv_bgp_block *x = *(const struct cv_bgp_block *const *)a;
	const struct cv_bgp_block *y = *(const struct cv_bgp_block *const *)b;
	uint32_t first = cv_ntohl(x->node->node.address);
	uint32_t second = cv_ntohl(y->node->node.address);

	if (first != second)
		return first < second ? -1 : 1;
	return cv_prefix_compare(&x->prefix, &y->prefix);
}

static void put_owner_cases(FILE *out, const struct cv_bgp_block **blocks, size_t count)
{
	char text[CV_ADDRESS_TEXT_MAX];

	fputs("\tcase bgp_next_hop {\n", out);
	for (size_t i = 0; i < count;) {
		const __be32 owner = blocks[i]->node->node.address;
		struct cv_bird_list list = {.out = out};

		fprintf(out, "\t%s: return net ~ [", cv_address_format(owner, text));
		for (; i < count && blocks[i]->node->node.address == owner; i++)
			cv_bird_put_prefix(&list, &blocks[i]->prefix, "+");
		fputs(" ];\n", out);
	}
	fputs("\telse: return false;\n\t}\n", out);
}

static void put_owners(FILE *out, const struct cv_bird_filters *filters)
{
	fputs("# The next hop is the node whose block this is, or is in.\n"
	      "function " CV_BGP_PREFIX "is_owners()\n{\n",
	      out);
	if (filters->owned_count)
		put_owner_cases(out, filters->owned, filters->owned_count);
	else
		fputs("\treturn false;\n", out);
	fputs("}\n\n", out);
}

static void put_blocks(FILE *out, const struct cv_bgp_intent *bgp,
		       const struct cv_bird_filters *filters)
{
	put_overlapping_blocks(out, bgp, "overlaps_ours", true);
	put_single_blocks(out, bgp, "is_ours_alone", true);
	put_overlapping_blocks(out, bgp, "overlaps_others", false);
	put_single_blocks(out, bgp, "is_others_alone", false);
	put_owners(out, filters);
}

/* ---- import ------------------------------------------------------------------------------- */

/* is_router: the peer is no node. */
static const char refused_text[] =
	"function " CV_BGP_PREFIX "is_refused(bool is_router)\n{\n"
	"\tif net.len = 0 then return true;\n"
	"\tif " CV_BGP_PREFIX "covers_host() then return true;\n"
	"\tif " CV_BGP_PREFIX "overlaps_hole() then return true;\n"
	"\tif !" CV_BGP_PREFIX "in_pool() && " CV_BGP_PREFIX
	"overlaps_underlay() then return true;\n"
	"\tif " CV_BGP_PREFIX "is_martian() then return true;\n"
	"\tif net.len < 32 && " CV_BGP_PREFIX "overlaps_ours() then return true;\n"
	"\tif " CV_BGP_PREFIX "is_ours_alone() then return true;\n"
	"\tif (net.len < 32 && " CV_BGP_PREFIX "overlaps_others()) || " CV_BGP_PREFIX
	"is_others_alone() then {\n"
	"\t\tif " CV_BGP_PREFIX "is_owners() then return false;\n"
	"\t\tif is_router && " CV_BGP_PREFIX "in_never_pool() && " CV_BGP_PREFIX
	"in_others() then return false;\n"
	"\t\treturn true;\n"
	"\t}\n"
	"\treturn false;\n}\n\n"
	"# What a BGPFilter accepts: all but parts of blocks.\n"
	"function " CV_BGP_PREFIX "is_accepted()\n{\n"
	"\tif " CV_BGP_PREFIX "in_pool() then return " CV_BGP_PREFIX "has_pool_size();\n"
	"\treturn true;\n}\n\n";

static void put_in_others(FILE *out, const struct cv_bgp_intent *bgp)
{
	struct set set = begin_set(out, "in_others", "net");

	for (size_t i = 0; i < bgp->block_count; i++) {
		if (!bgp->blocks[i].is_ours)
			cv_bird_put_prefix(in_set(&set), &bgp->blocks[i].prefix, "+");
	}
	end_set(&set);
}

static void put_policy(FILE *out, const struct cv_bgp_intent *bgp,
		       const struct cv_bird_filters *filters)
{
	put_hosts(out, bgp);
	put_prefix_set(out, "overlaps_hole", bgp->holes, bgp->hole_count);
	put_prefix_set(out, "overlaps_underlay", bgp->underlay, bgp->underlay_count);
	put_martians(out);
	put_pools(out, bgp, "in_pool", ANY_MODE);
	put_pools(out, bgp, "in_never_pool", CV_IPIP_NEVER);
	put_pool_sizes(out, bgp);
	put_blocks(out, bgp, filters);
	put_in_others(out, bgp);
	fputs(refused_text, out);
}

/* ---- a session's filters ----------------------------------------------------------------- */

static int compare_lists(const struct cv_bgp_session *a, const struct cv_bgp_session *b)
{
	for (size_t i = 0; i < a->filter_count && i < b->filter_count; i++) {
		int order = strcmp(a->filters[i]->name, b->filters[i]->name);

		if (order)
			return order;
	}
	return a->filter_count < b->filter_count ? -1 : a->filter_count > b->filter_count;
}

static int by_list(const void *a, const void *b)
{
	return compare_lists(*(const struct cv_bgp_session *const *)a,
			     *(const struct cv_bgp_session *const *)b);
}

static const struct cv_bgp_session no_filters;

static int by_mtu(const void *a, const void *b)
{
	const struct cv_bgp_node *x = *(const struct cv_bgp_node *const *)a;
	const struct cv_bgp_node *y = *(const struct cv_bgp_node *const *)b;
	uint32_t first = cv_ntohl(x->address), second = cv_ntohl(y->address);

	if (x->mtu != y->mtu)
		return x->mtu < y->mtu ? -1 : 1;
	return first < second ? -1 : first > second;
}

static void take_lists(const struct cv_bgp_intent *bgp, struct cv_bird_filters *filters)
{
	const struct cv_bgp_session **first = filters->first;

	first[0] = &no_filters;
	for (size_t i = 0; i < bgp->session_count; i++)
		first[i + 1] = &bgp->sessions[i];
	qsort(first, bgp->session_count + 1, sizeof(*first), by_list);
	filters->count = 1;
	for (size_t i = 1; i < bgp->session_count + 1; i++) {
		if (compare_lists(first[filters->count - 1], first[i]))
			first[filters->count++] = first[i];
	}
}

static void take_owned(const struct cv_bgp_intent *bgp, struct cv_bird_filters *filters)
{
	for (size_t i = 0; i < bgp->block_count; i++) {
		const struct cv_bgp_block *block = &bgp->blocks[i];

		if (!block->is_ours && block->node && block->node->node.address)
			filters->owned[filters->owned_count++] = block;
	}
	if (filters->owned_count)
		qsort(filters->owned, filters->owned_count, sizeof(*filters->owned), by_owner);
}

static void take_narrow(const struct cv_bgp_intent *bgp, struct cv_bird_filters *filters)
{
	for (size_t i = 0; i < bgp->node_count; i++) {
		if (bgp->nodes[i].mtu)
			filters->narrow[filters->narrow_count++] = &bgp->nodes[i];
	}
	if (filters->narrow_count)
		qsort(filters->narrow, filters->narrow_count, sizeof(*filters->narrow), by_mtu);
}

int cv_bird_filters_make(const struct cv_bgp_intent *bgp, struct cv_bird_filters *ret_filters)
{
	struct cv_bird_filters filters = {
		.first = calloc(bgp->session_count + 1, sizeof(*filters.first)),
		.owned = calloc(bgp->block_count + 1, sizeof(*filters.owned)),
		.narrow = calloc(bgp->node_count + 1, sizeof(*filters.narrow)),
	};

	if (!filters.first || !filters.owned || !filters.narrow) {
		cv_bird_filters_fini(&filters);
		return -ENOMEM;
	}
	take_lists(bgp, &filters);
	take_owned(bgp, &filters);
	take_narrow(bgp, &filters);
	*ret_filters = filters;
	return 0;
}

void cv_bird_filters_fini(struct cv_bird_filters *filters)
{
	free(filters->first);
	free(filters->owned);
	free(filters->narrow);
	*filters = (struct cv_bird_filters){.first = NULL};
}

/* "culvert_import_node_1": what is a node is trusted otherwise than a router. */
static const char *name_of(const struct cv_bird_filters *filters,
			   const struct cv_bgp_session *session, const char *direction,
			   char buffer[CV_BIRD_FILTER_NAME_MAX])
{
	const struct cv_bgp_session **found =
		bsearch(&session, filters->first, filters->count, sizeof(*filters->first), by_list);

	snprintf(buffer, CV_BIRD_FILTER_NAME_MAX, CV_BGP_PREFIX "%s_%s_%zu", direction,
		 session->node ? "node" : "router",
		 found ? (size_t)(found - filters->first) : (size_t)0);
	return buffer;
}

const char *cv_bird_import_name(const struct cv_bird_filters *filters,
				const struct cv_bgp_session *session,
				char buffer[CV_BIRD_FILTER_NAME_MAX])
{
	return name_of(filters, session, "import", buffer);
}

const char *cv_bird_export_name(const struct cv_bird_filters *filters,
				const struct cv_bgp_session *session,
				char buffer[CV_BIRD_FILTER_NAME_MAX])
{
	return name_of(filters, session, "export", buffer);
}

static void put_import(FILE *out, const struct cv_bgp_intent *bgp,
		       const struct cv_bgp_session *list, size_t number, bool is_router)
{
	fprintf(out,
		"filter " CV_BGP_PREFIX "import_%s_%zu\n{\n\tif " CV_BGP_PREFIX
		"is_refused(%s) then reject;\n",
		is_router ? "router" : "node", number, is_router ? "true" : "false");
	cv_bird_put_rules(out, bgp, list, true);
	fputs("\tif " CV_BGP_PREFIX "has_pool_size() then accept;\n\treject;\n}\n\n", out);
}

/*
 * Only our static routes, and what was learned by sessions of ours: never the kernel's, nor what
 * else an operator's BIRD has. Towards nodes, our prefixes have our Node's address as next hop,
 * whatever address the session has: it is what they know us by.
 */
static void put_export(FILE *out, const struct cv_bgp_intent *bgp,
		       const struct cv_bgp_session *list, size_t number, bool is_router)
{
	char text[CV_ADDRESS_TEXT_MAX];

	fprintf(out, "filter " CV_BGP_PREFIX "export_%s_%zu\n{\n", is_router ? "router" : "node",
		number);
	fputs("\tif proto != \"" CV_BGP_PREFIX "own\" && (source != RTS_BGP || proto !~ "
	      "\"" CV_BGP_PREFIX "*\") then reject;\n",
	      out);
	if (!is_router)
		fprintf(out, "\tif source != RTS_BGP then bgp_next_hop = %s;\n",
			cv_address_format(bgp->local, text));
	cv_bird_put_rules(out, bgp, list, false);
	fputs("\tif source != RTS_BGP then accept;\n", out);
	if (bgp->cluster_id)
		fputs("\tif " CV_BGP_PREFIX "in_pool() then accept;\n", out);
	fputs("\treject;\n}\n\n", out);
}

/* ---- the kernel -------------------------------------------------------------------------- */

static bool is_tunnelled(const struct cv_bgp_node *node)
{
	return node->cross_subnet == CV_PATH_TUNNEL;
}

static bool is_off_link(const struct cv_bgp_node *node)
{
	return !node->on_link;
}

static bool is_any(const struct cv_bgp_node *node)
{
	(void)node;
	return true;
}

static void put_nodes(FILE *out, const struct cv_bgp_intent *bgp, const char *name,
		      bool (*wanted)(const struct cv_bgp_node *node))
{
	struct set set = begin_set(out, name, "bgp_next_hop");

	for (size_t i = 0; i < bgp->node_count; i++) {
		if (wanted(&bgp->nodes[i]))
			cv_bird_put_address(in_set(&set), bgp->nodes[i].address);
	}
	end_set(&set);
}

/* One look-up per MTU that there is: few, whatever the number of nodes. */
static void put_mtus(FILE *out, const struct cv_bird_filters *filters)
{
	const struct cv_bgp_node **nodes = filters->narrow;

	for (size_t i = 0; i < filters->narrow_count;) {
		const uint32_t mtu = nodes[i]->mtu;
		struct cv_bird_list list = {.out = out};

		fputs("\tif bgp_next_hop ~ [", out);
		for (; i < filters->narrow_count && nodes[i]->mtu == mtu; i++)
			cv_bird_put_address(&list, nodes[i]->address);
		fprintf(out, " ] then krt_mtu = %u;\n", mtu);
	}
}

static void put_tunnel(FILE *out, const struct cv_bgp_intent *bgp,
		       const struct cv_bird_filters *filters)
{
	fputs("function " CV_BGP_PREFIX "by_tunnel()\n{\n", out);
	if (*bgp->pool_device) {
		fputs("\tifname = ", out);
		cv_bird_put_string(out, bgp->pool_device);
		fputs(";\n\tonlink = true;\n\tgw = bgp_next_hop;\n", out);
		put_mtus(out, filters);
		fputs("\treturn true;\n}\n\n", out);
	} else {
		fputs("\treturn false;\n}\n\n", out);
	}
}

/* The order is that of cv_bgp_path. */
static void put_kernel(FILE *out, const struct cv_bgp_intent *bgp,
		       const struct cv_bird_filters *filters)
{
	char text[CV_ADDRESS_TEXT_MAX];

	put_nodes(out, bgp, "by_node", is_any);
	put_nodes(out, bgp, "by_far_node", is_tunnelled);
	put_nodes(out, bgp, "by_node_off_link", is_off_link);
	put_pools(out, bgp, "in_always_pool", CV_IPIP_ALWAYS);
	put_pools(out, bgp, "in_cross_subnet_pool", CV_IPIP_CROSS_SUBNET);
	put_tunnel(out, bgp, filters);
	fputs("# Whether a route is the kernel's to have, and by which way.\n"
	      "function " CV_BGP_PREFIX "to_kernel()\n{\n"
	      "\tif source != RTS_BGP || proto !~ \"" CV_BGP_PREFIX "*\" then return false;\n",
	      out);
	if (bgp->programs == CV_PROGRAMS_AGENT)
		fputs("\t# programClusterRoutes: Disabled\n\tif " CV_BGP_PREFIX
		      "in_pool() then return false;\n",
		      out);
	fprintf(out, "\tif bgp_next_hop = %s then return false;\n",
		cv_address_format(bgp->local, text));
	fputs("\tif " CV_BGP_PREFIX "in_always_pool() && " CV_BGP_PREFIX
	      "by_node() then return " CV_BGP_PREFIX "by_tunnel();\n"
	      "\tif " CV_BGP_PREFIX "in_cross_subnet_pool() && " CV_BGP_PREFIX
	      "by_far_node() then return " CV_BGP_PREFIX "by_tunnel();\n"
	      "\tif " CV_BGP_PREFIX "by_node_off_link() then return false;\n"
	      "\treturn dest != RTD_UNREACHABLE;\n}\n\n"
	      "filter " CV_BGP_PREFIX "kernel\n{\n\tif " CV_BGP_PREFIX
	      "to_kernel() then accept;\n\treject;\n}\n\n",
	      out);
}

void cv_bird_put_filters(FILE *out, const struct cv_bgp_intent *bgp,
			 const struct cv_bird_filters *filters)
{
	put_policy(out, bgp, filters);
	for (size_t i = 0; i < filters->count; i++) {
		for (int is_router = 0; is_router < 2; is_router++) {
			put_import(out, bgp, filters->first[i], i, is_router);
			put_export(out, bgp, filters->first[i], i, is_router);
		}
	}
	put_kernel(out, bgp, filters);
}
