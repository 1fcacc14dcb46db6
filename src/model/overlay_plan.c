/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first manifest for a new overlay. Blocks are numbered from the pool's first address; those that
 * a hole touches are stepped over.
 *
 * Invariant: what is printed is taken by cv_manifest_parse and cv_snapshot_create without a
 * warning, and every block lies in the overlay space, the nodes' subnets that equal or contain the
 * pool aside.
 */
#include "model/overlay_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/types.h"

enum {
	BLOCK_SHORTEST = 20, /* Calico's limit of blockSize */
	BLOCK_LONGEST = 31,  /* the tunnel's address, and one for a workload */
	BLOCK_FIRST_CHOICE = 24,
	BLOCK_CALICO = 26,
	ROOM = 4 /* blocks for each node, where the length is ours to choose */
};

/* Block addresses of one length in a pool, those without holes counted. */
struct layout {
	const struct cv_overlay_plan_input *input;
	struct cv_ranges holes;
	uint8_t length;
	uint64_t usable;
	uint64_t next; /* number of the first block that is not given yet */
	size_t hole;   /* the first hole that may touch it */
};

void cv_overlay_plan_init(struct cv_overlay_plan_input *input)
{
	*input = (struct cv_overlay_plan_input){
		.ipip_mode = CV_IPIP_CROSS_SUBNET,
		.nat_outgoing = true,
	};
}

/* ---- words ----------------------------------------------------------------------- */

static int check_pool(const struct cv_prefix *pool, struct cv_error *error)
{
	const char *kind = cv_tunnel_no_host(cv_htonl(cv_prefix_first(pool)));
	char text[CV_PREFIX_TEXT_MAX];

	if (kind || cv_tunnel_no_host(cv_htonl(cv_prefix_last(pool))))
		return cv_error_set(error, -EINVAL,
				    "pool %s has addresses that no host can have; take a private "
				    "range, like 10.244.0.0/16",
				    cv_prefix_format(pool, text));
	if (pool->length < 8 || pool->length > 30)
		return cv_error_set(
			error, -EINVAL,
			"pool %s: a pool is from a /8 to a /30; take a private range, like "
			"10.244.0.0/16",
			cv_prefix_format(pool, text));
	return 0;
}

int cv_overlay_plan_parse_pool(const char *text, struct cv_overlay_plan_input *input,
			       struct cv_error *error)
{
	struct cv_prefix pool, whole;
	char printed[CV_PREFIX_TEXT_MAX];
	int rc = cv_prefix_parse(text, &pool);

	if (rc == -EINVAL || rc == -ENODATA)
		return cv_error_set(error, -EINVAL,
				    "pool \"%.64s\" is not an IPv4 prefix; write it like "
				    "10.244.0.0/16",
				    text);
	whole = cv_prefix_of(pool.address, pool.length);
	if (rc)
		return cv_error_set(error, -EINVAL,
				    "pool %.64s has bits set behind its length; did you mean %s?",
				    text, cv_prefix_format(&whole, printed));
	rc = check_pool(&pool, error);
	if (!rc)
		input->pool = pool;
	return rc;
}

/* Names of nodes are host names in lower case, as Kubernetes and Calico have them. */
static int check_name(const char *name, struct cv_error *error)
{
	static const char edge[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const char *p;

	if (!*name)
		return cv_error_set(error, -EINVAL,
				    "a node has no name; write NAME=ADDRESS/LENGTH");
	for (p = name; *p; p++) {
		if (strchr(edge, *p))
			continue;
		if ((*p == '-' || *p == '.') && p > name && p[1] && p[1] != '.' && p[-1] != '.')
			continue;
		return cv_error_set(error, -EINVAL,
				    "node \"%s\" cannot be named so; a name has lower-case "
				    "letters, digits, and '-' or '.' between them",
				    name);
	}
	return 0;
}

static int check_node(const struct cv_overlay_plan_node *node, struct cv_error *error)
{
	const struct cv_prefix prefix = {node->address, node->prefix_length};
	uint32_t address = cv_ntohl(node->address);
	char text[CV_ADDRESS_TEXT_MAX];
	const char *kind = cv_tunnel_no_host(node->address);
	int rc = check_name(node->name, error);

	if (rc)
		return rc;
	cv_address_format(node->address, text);
	if (!node->address)
		kind = "no host's address";
	else if (!kind && node->prefix_length < 31 && address == cv_prefix_first(&prefix))
		kind = "the address of its subnet itself";
	else if (!kind && node->prefix_length < 31 && address == cv_prefix_last(&prefix))
		kind = "its subnet's broadcast address";
	if (kind)
		return cv_error_set(error, -EINVAL,
				    "node %s: %s/%u is %s; give the address by which other nodes "
				    "reach it",
				    node->name, text, node->prefix_length, kind);
	if (node->prefix_length < 8 || node->prefix_length > 32)
		return cv_error_set(error, -EINVAL,
				    "node %s: %s/%u: no subnet is a /%u; give the length that `ip "
				    "address` shows there",
				    node->name, text, node->prefix_length, node->prefix_length);
	return 0;
}

int cv_overlay_plan_parse_node(const char *text, struct cv_overlay_plan_node *ret_node,
			       struct cv_error *error)
{
	const char *equals = strchr(text, '=');
	struct cv_overlay_plan_node node = {.address = 0};
	struct cv_prefix prefix;
	int rc;

	if (!equals)
		return cv_error_set(error, -EINVAL,
				    "\"%.64s\" is not a node; write it like a1=192.168.100.1/24",
				    text);
	if ((size_t)(equals - text) > CV_OVERLAY_PLAN_NAME_MAX)
		return cv_error_set(error, -EINVAL,
				    "node \"%.64s...\" has a name of more than %d characters; give "
				    "it a shorter one",
				    text, CV_OVERLAY_PLAN_NAME_MAX);
	memcpy(node.name, text, (size_t)(equals - text));
	rc = cv_prefix_parse(equals + 1, &prefix);
	if (rc == -EINVAL)
		return cv_error_set(error, -EINVAL,
				    "node %s: \"%.64s\" is not an IPv4 address with its length; "
				    "write it like %s=192.168.100.1/24",
				    node.name, equals + 1, node.name);
	if (rc == -ENODATA)
		return cv_error_set(error, -EINVAL,
				    "node %s: give the length of its subnet, like %s/24: by it "
				    "CrossSubnet knows which nodes need no tunnel (/32: always "
				    "tunnel)",
				    node.name, equals + 1);
	node.address = prefix.address;
	node.prefix_length = prefix.length;
	rc = check_node(&node, error);
	if (!rc)
		*ret_node = node;
	return rc;
}

/* ---- checks of all --------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	const struct cv_overlay_plan_node *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int compare_addresses(const void *a, const void *b)
{
	const struct cv_overlay_plan_node *const *x = a, *const *y = b;
	uint32_t p = cv_ntohl((*x)->address), q = cv_ntohl((*y)->address);

	return p < q ? -1 : p > q;
}

static int check_unique(const struct cv_overlay_plan_input *input, struct cv_error *error)
{
	size_t count = input->node_count;
	const struct cv_overlay_plan_node **nodes = calloc(count, sizeof(*nodes));
	char text[CV_ADDRESS_TEXT_MAX];
	int rc = 0;

	if (!nodes)
		return cv_error_set(error, -ENOMEM, "no memory for %zu nodes", count);
	for (size_t i = 0; i < count; i++)
		nodes[i] = &input->nodes[i];
	qsort(nodes, count, sizeof(*nodes), compare_names);
	for (size_t i = 1; !rc && i < count; i++) {
		if (!compare_names(&nodes[i - 1], &nodes[i]))
			rc = cv_error_set(
				error, -EINVAL,
				"node %s is there twice; give each node a name of its own",
				nodes[i]->name);
	}
	qsort(nodes, count, sizeof(*nodes), compare_addresses);
	for (size_t i = 1; !rc && i < count; i++) {
		if (!compare_addresses(&nodes[i - 1], &nodes[i]))
			rc = cv_error_set(error, -EINVAL,
					  "nodes %s and %s have the same address %s; give each its "
					  "own",
					  nodes[i - 1]->name, nodes[i]->name,
					  cv_address_format(nodes[i]->address, text));
	}
	free(nodes);
	return rc;
}

static int check_input(const struct cv_overlay_plan_input *input, struct cv_error *error)
{
	char text[CV_PREFIX_TEXT_MAX];
	int rc = check_pool(&input->pool, error);

	if (rc)
		return rc;
	if (!input->node_count)
		return cv_error_set(error, -EINVAL,
				    "no nodes; name each host of the overlay, like "
				    "a1=192.168.100.1/24");
	if (input->block_length &&
	    (input->block_length < BLOCK_SHORTEST || input->block_length > BLOCK_LONGEST))
		return cv_error_set(error, -EINVAL, "block length /%u: give one from /%d to /%d",
				    input->block_length, BLOCK_SHORTEST, BLOCK_LONGEST);
	if (input->block_length && input->block_length < input->pool.length)
		return cv_error_set(error, -EINVAL,
				    "blocks of /%u are larger than pool %s; give a length of %u or "
				    "more",
				    input->block_length, cv_prefix_format(&input->pool, text),
				    input->pool.length);
	for (size_t i = 0; i < input->node_count; i++) {
		rc = check_node(&input->nodes[i], error);
		if (rc)
			return rc;
	}
	return check_unique(input, error);
}

/* ---- blocks ---------------------------------------------------------------------- */

/* The nodes' addresses, and their subnets that are a part of the pool. */
static int find_holes(const struct cv_overlay_plan_input *input, struct cv_ranges *ret_holes)
{
	struct cv_prefix *prefixes = calloc(2 * input->node_count, sizeof(*prefixes));
	size_t count = 0;
	int rc;

	if (!prefixes)
		return -ENOMEM;
	for (size_t i = 0; i < input->node_count; i++) {
		const struct cv_overlay_plan_node *node = &input->nodes[i];
		const struct cv_prefix subnet = cv_prefix_of(node->address, node->prefix_length);

		if (!cv_prefix_has(&input->pool, node->address))
			continue;
		prefixes[count++] = cv_prefix_of(node->address, 32);
		if (subnet.length > input->pool.length)
			prefixes[count++] = subnet;
	}
	rc = cv_ranges_from_prefixes(prefixes, count, ret_holes);
	free(prefixes);
	return rc;
}

static uint64_t block_of(const struct layout *layout, uint32_t address)
{
	return (address - cv_prefix_first(&layout->input->pool)) >> (32 - layout->length);
}

/* How many blocks of a length no hole touches. */
static void set_length(struct layout *layout, uint8_t length)
{
	uint64_t after = 0; /* blocks before this one are counted */

	layout->length = length;
	layout->usable = UINT64_C(1) << (length - layout->input->pool.length);
	for (size_t i = 0; i < layout->holes.count; i++) {
		uint64_t first = block_of(layout, layout->holes.items[i].first);
		uint64_t last = block_of(layout, layout->holes.items[i].last);

		if (first < after)
			first = after;
		if (first > last)
			continue;
		layout->usable -= last - first + 1;
		after = last + 1;
	}
}

static bool has_room(const struct layout *layout)
{
	return layout->usable >= (uint64_t)ROOM * layout->input->node_count;
}

static int choose_length(struct layout *layout, struct cv_error *error)
{
	const struct cv_overlay_plan_input *input = layout->input;
	uint8_t shortest =
		input->pool.length > BLOCK_FIRST_CHOICE ? input->pool.length : BLOCK_FIRST_CHOICE;
	char text[CV_PREFIX_TEXT_MAX];
	int length;

	if (input->block_length) {
		set_length(layout, input->block_length);
	} else {
		for (length = shortest; length <= BLOCK_CALICO; length++) {
			set_length(layout, (uint8_t)length);
			if (has_room(layout))
				return 0;
		}
		length = shortest > BLOCK_CALICO ? shortest : BLOCK_CALICO;
		for (; length <= BLOCK_LONGEST; length++) {
			set_length(layout, (uint8_t)length);
			if (layout->usable >= input->node_count)
				return 0;
		}
	}
	if (layout->usable >= input->node_count)
		return 0;
	return cv_error_set(
		error, -ENOSPC,
		"pool %s has %llu blocks of /%u beside the nodes' own addresses, too few "
		"for %zu nodes; take a larger pool%s",
		cv_prefix_format(&input->pool, text), (unsigned long long)layout->usable,
		layout->length, input->node_count,
		input->block_length ? ", or smaller blocks" : "");
}

/* The next block without holes. False: there is none. */
static bool next_block(struct layout *layout, struct cv_prefix *ret_block)
{
	const struct cv_ranges *holes = &layout->holes;
	uint64_t count = UINT64_C(1) << (layout->length - layout->input->pool.length);

	while (layout->hole < holes->count) {
		const struct cv_range *hole = &holes->items[layout->hole];

		if (block_of(layout, hole->last) < layout->next) {
			layout->hole++;
			continue;
		}
		if (block_of(layout, hole->first) > layout->next)
			break;
		layout->next = block_of(layout, hole->last) + 1;
	}
	if (layout->next >= count)
		return false;
	ret_block->address = cv_htonl(cv_prefix_first(&layout->input->pool) +
				      (uint32_t)(layout->next << (32 - layout->length)));
	ret_block->length = layout->length;
	layout->next++;
	return true;
}

/* ---- printing -------------------------------------------------------------------- */

/* A name that YAML would take for a number, true or nothing is quoted. */
static const char *quote_of(const char *name)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on",
					    "off",  "null",  "y",   "n"};

	if (*name >= '0' && *name <= '9')
		return "\"";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(name, words[i]))
			return "\"";
	}
	return "";
}

static void print_head(FILE *out, const struct layout *layout)
{
	const struct cv_overlay_plan_input *input = layout->input;
	char cidr[CV_PREFIX_TEXT_MAX], subnet[CV_PREFIX_TEXT_MAX];

	fprintf(out,
		"# An overlay of %zu node%s in %s, as `culvert plan` made it. Copy it to every "
		"node, and there:\n#\n#   culvert apply -f FILE\n#\n",
		input->node_count, input->node_count == 1 ? "" : "s",
		cv_prefix_format(&input->pool, cidr));
	for (size_t i = 0; i < input->node_count; i++) {
		const struct cv_overlay_plan_node *node = &input->nodes[i];
		const struct cv_prefix prefix = cv_prefix_of(node->address, node->prefix_length);

		if (!cv_prefix_contains(&prefix, &input->pool))
			continue;
		fprintf(out,
			"# Beware: the subnet %s of node %s has the whole pool in it. Hosts there "
			"that are no nodes\n# cannot be reached by their addresses of the pool. "
			"Another pool would be better.\n#\n",
			cv_prefix_format(&prefix, subnet), node->name);
		break;
	}
}

static void print_pool(FILE *out, const struct layout *layout)
{
	const struct cv_overlay_plan_input *input = layout->input;
	char cidr[CV_PREFIX_TEXT_MAX];

	fprintf(out,
		"---\n# All addresses of the overlay.\n"
		"apiVersion: projectcalico.org/v3\n"
		"kind: IPPool\n"
		"metadata:\n"
		"  name: default-ipv4-ippool\n"
		"spec:\n"
		"  cidr: %s\n"
		"  blockSize: %u\n"
		"  # CrossSubnet: tunnel between subnets, direct within one. Also: Always, Never.\n"
		"  ipipMode: %s\n"
		"  # What leaves the overlay gets its node's address, or (false) keeps its own.\n"
		"  natOutgoing: %s\n",
		cv_prefix_format(&input->pool, cidr), layout->length,
		cv_ipip_mode_name(input->ipip_mode), input->nat_outgoing ? "true" : "false");
}

static void print_node(FILE *out, const struct cv_overlay_plan_node *node,
		       const struct cv_prefix *block)
{
	const char *quote = quote_of(node->name);
	uint32_t first = cv_prefix_first(block);
	char address[CV_ADDRESS_TEXT_MAX], tunnel_address[CV_ADDRESS_TEXT_MAX],
		cidr[CV_PREFIX_TEXT_MAX];

	fprintf(out,
		"---\napiVersion: projectcalico.org/v3\n"
		"kind: Node\n"
		"metadata:\n"
		"  name: %s%s%s\n"
		"spec:\n"
		"  bgp:\n"
		"    ipv4Address: %s/%u\n"
		"    ipv4IPIPTunnelAddr: %s\n",
		quote, node->name, quote, cv_address_format(node->address, address),
		node->prefix_length, cv_address_format(block->address, tunnel_address));
	fprintf(out,
		"---\napiVersion: projectcalico.org/v3\n"
		"kind: BlockAffinity\n"
		"metadata:\n"
		"  name: %s%s-%u-%u-%u-%u-%u%s\n"
		"spec:\n"
		"  cidr: %s\n"
		"  node: %s%s%s\n"
		"  state: confirmed\n",
		quote, node->name, first >> 24, first >> 16 & 0xff, first >> 8 & 0xff, first & 0xff,
		block->length, quote, cv_prefix_format(block, cidr), quote, node->name, quote);
}

static void print_tail(FILE *out, struct layout *layout)
{
	struct cv_prefix block;
	char cidr[CV_PREFIX_TEXT_MAX];

	if (next_block(layout, &block))
		fprintf(out,
			"# One more node: a Node and a BlockAffinity like these; the next free "
			"block is %s.\n",
			cv_prefix_format(&block, cidr));
	else
		fprintf(out, "# The pool has no block left for one more node.\n");
}

static int print(struct layout *layout, char **ret_yaml)
{
	const struct cv_overlay_plan_input *input = layout->input;
	struct cv_prefix block;
	char *yaml = NULL;
	size_t length;
	FILE *out = open_memstream(&yaml, &length);
	bool failed;

	if (!out)
		return -ENOMEM;
	print_head(out, layout);
	print_pool(out, layout);
	if (has_room(layout))
		layout->next = 1;
	/* choose_length has seen that there are enough. */
	for (size_t i = 0; i < input->node_count && next_block(layout, &block); i++)
		print_node(out, &input->nodes[i], &block);
	print_tail(out, layout);
	failed = ferror(out);
	if (fclose(out) || failed) {
		free(yaml);
		return -ENOMEM;
	}
	*ret_yaml = yaml;
	return 0;
}

int cv_overlay_plan(const struct cv_overlay_plan_input *input, char **ret_yaml,
		    struct cv_error *error)
{
	struct layout layout = {.input = input};
	int rc = check_input(input, error);

	if (rc)
		return rc;
	if (find_holes(input, &layout.holes))
		return cv_error_set(error, -ENOMEM, "no memory for %zu nodes", input->node_count);
	rc = choose_length(&layout, error);
	if (!rc && print(&layout, ret_yaml))
		rc = cv_error_set(error, -ENOMEM, "no memory for the manifest");
	cv_ranges_fini(&layout.holes);
	return rc;
}
