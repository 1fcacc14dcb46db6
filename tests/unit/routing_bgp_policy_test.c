/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing/bgp_policy: verdicts, ways and words; and against an oracle that compares each with each.
 * routing/bird_config: what is written stays within its strings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resources.h"
#include "routing/bgp_policy.h"
#include "routing/bird_config.h"
#include "wire/types.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	ROUNDS = 200,
	QUESTIONS = 2000,
	NODES = 5000,
	BLOCKS = 20000,
};

/* ---- a world by hand: a1 (this node), a2 on link, b1 not --------------------------------- */

static struct cv_resource *a1, *a2, *b1, *pools[3], *filter;
static struct cv_bgp_intent bgp;
static struct cv_bgp_session mesh, router;
static struct cv_bgp_filter_rule rules[8];
static const struct cv_resource *filters[1];

static struct cv_bgp_pool pool_items[3];
static struct cv_bgp_node node_items[2];
static struct cv_bgp_block block_items[5];
static __be32 host_items[5];
static struct cv_prefix hole_items[1], underlay_items[2];
static struct cv_bgp_link link_items[1];

static void fill_pools(void)
{
	static const char *const cidrs[] = {"10.244.0.0/16", "10.245.0.0/16", "10.246.0.0/16"};
	static const enum cv_ipip_mode modes[] = {CV_IPIP_CROSS_SUBNET, CV_IPIP_ALWAYS,
						  CV_IPIP_NEVER};

	for (size_t i = 0; i < COUNT(pools); i++) {
		pools[i] = cv_test_pool(i ? i == 1 ? "always" : "never" : "across", cidrs[i],
					modes[i]);
		pool_items[i] = (struct cv_bgp_pool){
			.pool = pools[i],
			.cidr = cv_test_prefix(cidrs[i]),
			.block_size = 26,
			.mode = modes[i],
		};
	}
}

static void fill_blocks(void)
{
	const struct cv_bgp_block items[] = {
		{cv_test_prefix("10.244.1.0/26"), a1, true, false},
		{cv_test_prefix("10.244.2.0/24"), b1, false, false},
		{cv_test_prefix("10.244.2.9/32"), a1, true, true},
		{cv_test_prefix("10.245.0.1/32"), b1, false, false},
		{cv_test_prefix("10.246.2.0/26"), b1, false, false},
	};

	memcpy(block_items, items, sizeof(items));
}

static int begin(void **state)
{
	static const char *const hosts[] = {"192.168.100.1", "192.168.100.2", "192.168.100.254",
					    "192.168.200.2", "198.51.100.7"};

	(void)state;
	a1 = cv_test_node("a1", "192.168.100.1/24", NULL);
	a2 = cv_test_node("a2", "192.168.100.2/24", NULL);
	b1 = cv_test_node("b1", "192.168.200.2/24", NULL);
	fill_pools();
	fill_blocks();
	node_items[0] = (struct cv_bgp_node){a2, a2->node.address, CV_PATH_DIRECT, true, 0};
	node_items[1] = (struct cv_bgp_node){b1, b1->node.address, CV_PATH_TUNNEL, false, 1400};
	for (size_t i = 0; i < COUNT(hosts); i++)
		host_items[i] = cv_test_address(hosts[i]);
	hole_items[0] = cv_test_prefix("10.244.200.0/24");
	underlay_items[0] = cv_test_prefix("192.168.100.0/24");
	underlay_items[1] = cv_test_prefix("192.168.200.0/24");
	link_items[0] = (struct cv_bgp_link){cv_test_prefix("192.168.100.0/24"), "eth0"};
	filter = calloc(1, sizeof(*filter));
	assert_non_null(filter);
	filter->kind = CV_KIND_BGP_FILTER;
	filter->name = strdup("office");
	filters[0] = filter;
	memset(rules, 0, sizeof(rules));
	filter->bgp_filter.import_rules = rules;
	mesh = (struct cv_bgp_session){.name = "culvert_mesh_192_168_200_2", .node = b1};
	router = (struct cv_bgp_session){.name = "culvert_peer_tor_192_168_100_254"};
	bgp = (struct cv_bgp_intent){
		.wanted = true,
		.programs = CV_PROGRAMS_BIRD,
		.local = a1->node.address,
		.self = a1,
		.pool_device = "culvert0",
		.listen_port = 179,
		.pools = pool_items,
		.pool_count = COUNT(pool_items),
		.nodes = node_items,
		.node_count = COUNT(node_items),
		.blocks = block_items,
		.block_count = COUNT(block_items),
		.hosts = host_items,
		.host_count = COUNT(host_items),
		.holes = hole_items,
		.hole_count = COUNT(hole_items),
		.underlay = underlay_items,
		.underlay_count = COUNT(underlay_items),
		.links = link_items,
		.link_count = COUNT(link_items),
	};
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pools); i++)
		cv_resource_put(pools[i]);
	cv_resource_put(a1);
	cv_resource_put(a2);
	cv_resource_put(b1);
	free(filter->name);
	free(filter);
	return 0;
}

static void add_rule(const struct cv_bgp_filter_rule *rule)
{
	rules[filter->bgp_filter.import_count++] = *rule;
	router.filters = filters;
	router.filter_count = 1;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void assert_verdict(const struct cv_bgp_session *session, const char *prefix_text,
			   const char *next_hop, const char *name, const char *words)
{
	const struct cv_prefix prefix = cv_test_prefix(prefix_text);
	const struct cv_resource *about;
	enum cv_bgp_verdict verdict =
		cv_bgp_judge(&bgp, session, &prefix, cv_test_address(next_hop), &about);
	char text[CV_BGP_EXPLAIN_MAX];

	if (strcmp(cv_bgp_verdict_name(verdict), name))
		fail_msg("%s by %s: %s, not %s", prefix_text, next_hop,
			 cv_bgp_verdict_name(verdict), name);
	assert_string_equal(cv_bgp_explain(&bgp, verdict, &prefix, about, text), words);
}

static void test_verdicts(void **state)
{
	static const struct {
		const char *prefix, *verdict, *words;
	} cases[] = {
		{"0.0.0.0/0", "default", "it is a default route"},
		{"192.168.100.2/32", "host", "it covers 192.168.100.2, the address of node a2"},
		{"192.168.100.0/31", "host", "it covers 192.168.100.1, the address of node a1"},
		{"198.51.100.0/24", "host", "it covers 198.51.100.7, a host of the underlay"},
		{"0.0.0.0/1", "underlay", "it overlaps 10.244.200.0/24, a network of the underlay"},
		{"192.168.200.64/26", "underlay",
		 "it overlaps 192.168.200.0/24, a network of the underlay"},
		{"10.244.200.9/32", "underlay",
		 "it overlaps 10.244.200.0/24, a network of the underlay"},
		{"127.0.0.0/24", "martian",
		 "it overlaps addresses that are never routed (RFC 6890)"},
		{"10.244.1.0/26", "our_block",
		 "it overlaps 10.244.1.0/26, which is this node's own"},
		{"10.244.1.0/25", "our_block",
		 "it overlaps 10.244.1.0/26, which is this node's own"},
		{"10.244.2.9/32", "our_block",
		 "it overlaps 10.244.2.9/32, which is this node's own"},
		{"10.244.1.7/32", "taken", "it is taken"},
		{"10.244.2.0/24", "taken", "it is taken"},
		{"10.244.2.64/26", "taken", "it is taken"},
		{"10.244.2.0/23", "others_block", "it overlaps 10.244.2.0/24, a block of node b1"},
		{"10.245.0.1/32", "taken", "it is taken"},
		{"10.244.9.0/27", "part_of_block",
		 "it is smaller than a block of IPPool across (/26), and no single address"},
		{"10.244.9.0/24", "taken", "it is taken"},
		{"172.16.0.0/16", "no_pool", "it is in no IPPool, and no BGPFilter accepts it"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_verdict(&mesh, cases[i].prefix, "192.168.200.2", cases[i].verdict,
			       cases[i].words);
}

static void test_owners(void **state)
{
	(void)state;
	assert_verdict(&mesh, "10.244.2.0/24", "192.168.100.2", "others_block",
		       "it overlaps 10.244.2.0/24, a block of node b1");
	assert_verdict(&mesh, "10.244.2.0/26", "192.168.100.2", "others_block",
		       "it overlaps 10.244.2.0/24, a block of node b1");
	assert_verdict(&mesh, "10.244.2.7/32", "192.168.100.2", "taken", "it is taken");
	assert_verdict(&mesh, "10.245.0.1/32", "192.168.100.2", "others_block",
		       "it overlaps 10.245.0.1/32, a block of node b1");
	/* A router may lead to what is never tunnelled, and to nothing else; a node may not. */
	assert_verdict(&router, "10.246.2.0/26", "192.168.100.254", "taken", "it is taken");
	assert_verdict(&mesh, "10.246.2.0/26", "192.168.100.254", "others_block",
		       "it overlaps 10.246.2.0/26, a block of node b1");
	assert_verdict(&router, "10.244.2.0/24", "192.168.100.254", "others_block",
		       "it overlaps 10.244.2.0/24, a block of node b1");
	assert_verdict(&router, "10.246.2.0/25", "192.168.100.254", "others_block",
		       "it overlaps 10.246.2.0/26, a block of node b1");
	/* A node that is gone owns its blocks still. */
	block_items[1].node = NULL;
	assert_verdict(&mesh, "10.244.2.0/24", "192.168.200.2", "others_block",
		       "it overlaps 10.244.2.0/24, a block of node that there is not");
}

static void test_filters(void **state)
{
	const struct cv_prefix in16 = cv_test_prefix("172.16.0.0/12");

	(void)state;
	add_rule(&(struct cv_bgp_filter_rule){
		.match = CV_BGP_MATCH_IN,
		.cidr = in16,
		.has_lengths = true,
		.length_min = 8,
		.length_max = 24,
		.accept = true,
	});
	add_rule(&(struct cv_bgp_filter_rule){
		.match = CV_BGP_MATCH_EQUAL,
		.cidr = cv_test_prefix("10.244.9.0/26"),
		.interface = "eth1",
		.accept = false,
	});
	add_rule(&(struct cv_bgp_filter_rule){
		.match = CV_BGP_MATCH_EQUAL,
		.cidr = cv_test_prefix("10.244.10.0/26"),
		.interface = "eth*",
		.accept = false,
	});
	add_rule(&(struct cv_bgp_filter_rule){
		.match = CV_BGP_MATCH_IN,
		.cidr = cv_test_prefix("10.245.0.0/16"),
		.accept = true,
	});
	add_rule(&(struct cv_bgp_filter_rule){
		.match = CV_BGP_MATCH_NOT_IN,
		.cidr = cv_test_prefix("10.244.0.0/14"),
		.accept = false,
	});
	assert_verdict(&router, "172.16.0.0/16", "192.168.100.254", "taken", "it is taken");
	assert_verdict(&router, "172.16.0.0/25", "192.168.100.254", "filter",
		       "BGPFilter office rejects it");
	/* A supernet of the cidr is not in it, whatever the lengths say. */
	assert_verdict(&router, "172.0.0.0/10", "192.168.100.254", "filter",
		       "BGPFilter office rejects it");
	assert_verdict(&router, "10.244.9.0/26", "192.168.100.254", "taken", "it is taken");
	assert_verdict(&router, "10.244.10.0/26", "192.168.100.254", "filter",
		       "BGPFilter office rejects it");
	assert_verdict(&router, "10.244.10.0/26", "192.168.200.2", "taken", "it is taken");
	/* Accepted, and a part of a block all the same; and never what is refused before. */
	assert_verdict(&router, "10.245.9.0/27", "192.168.100.254", "part_of_block",
		       "it is smaller than a block of IPPool always (/26), and no single address");
	assert_verdict(&router, "10.245.0.1/32", "192.168.100.254", "others_block",
		       "it overlaps 10.245.0.1/32, a block of node b1");
}

static void test_verdict_names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < CV_BGP_VERDICTS; i++) {
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(cv_bgp_verdict_name(i), cv_bgp_verdict_name(j));
	}
}

/* ---- ways -------------------------------------------------------------------------------- */

static void assert_path(const char *prefix_text, const char *next_hop, enum cv_path want)
{
	const struct cv_prefix prefix = cv_test_prefix(prefix_text);

	assert_string_equal(cv_path_name(cv_bgp_path(&bgp, &prefix, cv_test_address(next_hop))),
			    cv_path_name(want));
}

static void test_paths(void **state)
{
	(void)state;
	assert_path("10.244.9.0/26", "192.168.100.2", CV_PATH_DIRECT);
	assert_path("10.244.9.0/26", "192.168.200.2", CV_PATH_TUNNEL);
	assert_path("10.245.9.0/26", "192.168.100.2", CV_PATH_TUNNEL);
	assert_path("10.246.9.0/26", "192.168.100.2", CV_PATH_DIRECT);
	assert_path("10.246.9.0/26", "192.168.200.2", CV_PATH_UNDERLAY);
	/* Not to who is no node: no tunnel, whatever the pool says. */
	assert_path("10.245.9.0/26", "192.168.100.254", CV_PATH_DIRECT);
	assert_path("10.245.9.0/26", "192.168.7.7", CV_PATH_NONE);
	assert_path("172.16.0.0/16", "192.168.200.2", CV_PATH_NONE);
	assert_path("172.16.0.0/16", "192.168.100.2", CV_PATH_DIRECT);
	assert_path("10.245.9.0/26", "192.168.100.1", CV_PATH_NONE);
	bgp.pool_device[0] = '\0';
	bgp.tunnel_forbidden = true;
	assert_path("10.245.9.0/26", "192.168.100.2", CV_PATH_NONE);
	assert_path("10.244.9.0/26", "192.168.100.2", CV_PATH_DIRECT);
	router.address = cv_test_address("192.168.7.7");
	router.reachable_by = cv_test_address("192.168.100.254");
	bgp.sessions = &router;
	bgp.session_count = 1;
	assert_path("10.245.9.0/26", "192.168.7.7", CV_PATH_DIRECT);
}

/* ---- an oracle --------------------------------------------------------------------------- */

static bool any_overlaps(const struct cv_prefix *prefixes, size_t count,
			 const struct cv_prefix *prefix)
{
	for (size_t i = 0; i < count; i++) {
		if (cv_prefix_overlaps(&prefixes[i], prefix))
			return true;
	}
	return false;
}

static bool is_of_owner(const struct cv_bgp_session *session, const struct cv_prefix *prefix,
			__be32 next_hop)
{
	for (size_t i = 0; i < bgp.block_count; i++) {
		const struct cv_bgp_block *block = &bgp.blocks[i];

		if (block->is_ours || !cv_prefix_contains(&block->prefix, prefix))
			continue;
		if ((block->node && block->node->node.address == next_hop) ||
		    (!session->node && cv_prefix_contains(&pool_items[2].cidr, prefix)))
			return true;
	}
	return false;
}

/* Each compared with each, in the words of the header. */
static enum cv_bgp_verdict oracle(const struct cv_bgp_session *session,
				  const struct cv_prefix *prefix, __be32 next_hop)
{
	const struct cv_bgp_pool *pool = NULL;
	bool others = false;

	if (!prefix->length)
		return CV_BGP_REFUSED_DEFAULT;
	for (size_t i = 0; i < bgp.host_count; i++) {
		if (cv_prefix_has(prefix, bgp.hosts[i]))
			return CV_BGP_REFUSED_HOST;
	}
	for (size_t i = 0; i < bgp.pool_count; i++) {
		if (cv_prefix_contains(&bgp.pools[i].cidr, prefix))
			pool = &bgp.pools[i];
	}
	if (any_overlaps(bgp.holes, bgp.hole_count, prefix) ||
	    (!pool && any_overlaps(bgp.underlay, bgp.underlay_count, prefix)))
		return CV_BGP_REFUSED_UNDERLAY;
	for (size_t i = 0; i < bgp.block_count; i++) {
		const struct cv_bgp_block *block = &bgp.blocks[i];
		bool is_in = cv_prefix_contains(&block->prefix, prefix);
		bool overlaps = is_in || cv_prefix_contains(prefix, &block->prefix);
		bool borrowed = prefix->length == 32 && block->prefix.length < 32;

		if (block->is_ours && (block->is_workload ? is_in : overlaps && !borrowed))
			return CV_BGP_REFUSED_OUR_BLOCK;
		others |= !block->is_ours && overlaps && !borrowed;
	}
	if (others && !is_of_owner(session, prefix, next_hop))
		return CV_BGP_REFUSED_OTHERS_BLOCK;
	if (!pool)
		return CV_BGP_REFUSED_NO_POOL;
	return prefix->length > pool->block_size && prefix->length < 32
		       ? CV_BGP_REFUSED_PART_OF_BLOCK
		       : CV_BGP_TAKEN;
}

static int by_prefix(const void *a, const void *b)
{
	return cv_prefix_compare(a, b);
}

static struct cv_prefix draw_prefix(uint8_t shortest)
{
	/* In 10.244.0.0/14, where all of it is. */
	uint32_t address = 0x0af40000 | ((uint32_t)rand() & 0x3ffff);

	return cv_prefix_of(cv_htonl(address),
			    (uint8_t)(shortest + (unsigned int)rand() % (33U - shortest)));
}

/* Blocks of two nodes do not overlap, as in a store; Workloads' may lie in others'. */
static size_t draw_blocks(struct cv_bgp_block *blocks, size_t most)
{
	struct cv_resource *const owners[] = {a1, a2, b1, NULL};
	size_t count = 0;

	while (count < most) {
		const unsigned int owner = (unsigned int)rand() % 4;
		struct cv_bgp_block block = {
			.prefix = draw_prefix(18),
			.node = owners[owner],
			.is_ours = owner == 0,
			.is_workload = owner == 0 && rand() % 2,
		};
		bool collides = false;

		if (block.is_workload)
			block.prefix.length = 32;
		block.prefix = cv_prefix_of(block.prefix.address, block.prefix.length);
		for (size_t i = 0; i < count; i++) {
			if (cv_prefix_overlaps(&blocks[i].prefix, &block.prefix) &&
			    (blocks[i].node != block.node || !block.node))
				collides |= !block.is_workload && !blocks[i].is_workload;
			collides |= !cv_prefix_compare(&blocks[i].prefix, &block.prefix);
		}
		if (!collides || rand() % 64 == 0)
			most -= collides;
		if (!collides)
			blocks[count++] = block;
	}
	qsort(blocks, count, sizeof(*blocks), by_prefix);
	return count;
}

static void test_oracle(void **state)
{
	static const char *const hops[] = {"192.168.100.2", "192.168.200.2", "192.168.100.254"};
	struct cv_bgp_block blocks[24];
	size_t seen[CV_BGP_VERDICTS] = {0};

	(void)state;
	srand(6);
	bgp.blocks = blocks;
	for (int round = 0; round < ROUNDS; round++) {
		bgp.block_count = draw_blocks(blocks, COUNT(blocks));
		for (int i = 0; i < QUESTIONS; i++) {
			const struct cv_prefix prefix = draw_prefix(12);
			const struct cv_bgp_session *session = rand() % 2 ? &mesh : &router;
			const __be32 next_hop = cv_test_address(hops[rand() % 3]);
			const struct cv_resource *about;
			enum cv_bgp_verdict want = oracle(session, &prefix, next_hop);

			assert_int_equal(cv_bgp_judge(&bgp, session, &prefix, next_hop, &about),
					 want);
			seen[want]++;
		}
	}
	assert_true(seen[CV_BGP_TAKEN] > QUESTIONS && seen[CV_BGP_REFUSED_OUR_BLOCK] > QUESTIONS &&
		    seen[CV_BGP_REFUSED_OTHERS_BLOCK] > QUESTIONS &&
		    seen[CV_BGP_REFUSED_PART_OF_BLOCK] > QUESTIONS);
}

/* ---- strings of the configuration -------------------------------------------------------- */

/* Every line has an even number of ", and braces are balanced outside of strings and comments. */
static void assert_closed(const char *text)
{
	bool in_string = false, in_comment = false;
	int braces = 0;

	for (; *text; text++) {
		if (*text == '\n') {
			assert_false(in_string);
			in_comment = false;
		} else if (*text == '"' && !in_comment) {
			in_string = !in_string;
		} else if (*text == '#' && !in_string) {
			in_comment = true;
		} else if (!in_string && !in_comment) {
			braces += (*text == '{') - (*text == '}');
			assert_true(braces >= 0);
		}
	}
	assert_int_equal(braces, 0);
}

static void test_strings(void **state)
{
	char *patterns[] = {(char[]){"eth\"; }\nprotocol x {"}, (char[]){"d\xc3\xb6ker*"}};
	char *text;

	(void)state;
	snprintf(bgp.pool_device, sizeof(bgp.pool_device), "t\"; }#");
	bgp.ignored_interfaces = patterns;
	bgp.ignored_interface_count = 2;
	free(filter->name);
	filter->name = strdup("office\n} evil \" {");
	add_rule(&(struct cv_bgp_filter_rule){.interface = "\"}", .accept = true});
	snprintf(router.name, sizeof(router.name), "culvert_peer_tor_192_168_100_254");
	router.password = (char[]){"x'y\\z #{$;"};
	router.keepalive_s = 30;
	bgp.sessions = &router;
	bgp.session_count = 1;
	text = cv_bird_config_include(&bgp);
	assert_non_null(text);
	assert_closed(text);
	assert_non_null(strstr(text, "# BGPFilter office?} evil ? {\n"));
	assert_non_null(strstr(text, " ]\n\t\t&& ifname !~ \"t?; }#\""
				     "\n\t\t&& ifname !~ \"eth?; }?protocol x {\""
				     "\n\t\t&& ifname !~ \"d??ker*\";\n"));
	assert_non_null(strstr(text, "192.168.200.2 ] then krt_mtu = 1400;"));
	assert_non_null(strstr(text, "password \"x'y\\z #{$;\";"));
	free(text);
	/* Without what it asks for, there is no session. */
	router.password = NULL;
	router.password_missing = true;
	text = cv_bird_config_include(&bgp);
	assert_null(strstr(text, "protocol bgp"));
	free(text);
	text = cv_bird_config_main(&bgp, "/run/x/culvert.conf", "/run/x/bird.log");
	assert_closed(text);
	assert_non_null(strstr(text, "include \"/run/x/culvert.conf\";"));
	free(text);
	assert_null(cv_bird_config_main(&bgp, "/run/\"/culvert.conf", "/run/x/bird.log"));
	assert_null(cv_bird_config_main(&bgp, "/run/x/culvert.conf", "/run/\n/bird.log"));
}

/* The same text for the same intent; each block once for its own `case`, however many there are. */
static void test_many(void **state)
{
	struct cv_resource *nodes = calloc(NODES, sizeof(*nodes));
	struct cv_bgp_node *items = calloc(NODES, sizeof(*items));
	struct cv_bgp_block *blocks = calloc(BLOCKS, sizeof(*blocks));
	double began;
	char *text, *again;

	(void)state;
	assert_true(nodes && items && blocks);
	for (uint32_t i = 0; i < NODES; i++) {
		nodes[i].node.address = cv_htonl(0xac100000 + i);
		items[i] = (struct cv_bgp_node){&nodes[i], nodes[i].node.address, CV_PATH_TUNNEL,
						false, i % 3 ? 0 : 1400};
	}
	for (uint32_t i = 0; i < BLOCKS; i++)
		blocks[i] = (struct cv_bgp_block){
			.prefix = {cv_htonl(0x0a000000 + i * 64), 26},
			.node = &nodes[i % NODES],
		};
	bgp.nodes = items;
	bgp.node_count = NODES;
	bgp.blocks = blocks;
	bgp.block_count = BLOCKS;
	began = cv_test_cpu_ms();
	text = cv_bird_config_include(&bgp);
	print_message("# rendering %d nodes and %d blocks took %.0f ms\n", NODES, BLOCKS,
		      cv_test_cpu_ms() - began);
	assert_true(cv_test_cpu_ms() - began < 3000);
	again = cv_bird_config_include(&bgp);
	assert_string_equal(text, again);
	assert_closed(text);
	free(text);
	free(again);
	free(blocks);
	free(items);
	free(nodes);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_verdicts, begin, end),
		cmocka_unit_test_setup_teardown(test_owners, begin, end),
		cmocka_unit_test_setup_teardown(test_filters, begin, end),
		cmocka_unit_test_setup_teardown(test_verdict_names, begin, end),
		cmocka_unit_test_setup_teardown(test_paths, begin, end),
		cmocka_unit_test_setup_teardown(test_oracle, begin, end),
		cmocka_unit_test_setup_teardown(test_strings, begin, end),
		cmocka_unit_test_setup_teardown(test_many, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
