/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine with the kernel: what a lane in a world of its own cannot show.
 *
 *     near: a0 192.0.2.1 ---- b0 192.0.2.2 :far     198.51.100.0/24 via 192.0.2.2
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/live.h"
#include "net/tun.h"
#include "netns.h"

enum {
	WORKERS = 2
};

struct fixture {
	struct cv_pair pair;
	struct cv_engine *engine;
	struct cv_engine_tunnel tunnel;
	int sender; /* UDP */
};

/* tun0 192.0.2.1 -> 198.51.100.2, with 10.0.0.0/8 behind it. */
static int set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));
	int queues[WORKERS];

	cv_pair_create(&fixture->pair);
	assert_return_code(cv_engine_create(WORKERS, &fixture->engine), 0);
	/* What the tunnel carries is counted here. */
	cv_engine_forbid_probing(fixture->engine);
	for (unsigned int i = 0; i < WORKERS; i++) {
		queues[i] = cv_tun_open("tun0");
		assert_return_code(queues[i], -queues[i]);
	}
	fixture->tunnel = (struct cv_engine_tunnel){
		.name = "tun0",
		.ifindex = (int)if_nametoindex("tun0"),
		.remote = cv_addr("198.51.100.2"),
		.local = cv_addr("192.0.2.1"),
		.ipip = {.pmtudisc = true, .tos_inherit = true},
		.strict = true,
	};
	assert_return_code(cv_engine_tunnel_add(fixture->engine, &fixture->tunnel, queues), 0);
	cv_sh("ip link set tun0 up && ip addr add 10.0.0.1/8 dev tun0");
	fixture->sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fixture->sender >= 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->sender);
	cv_engine_destroy(fixture->engine);
	cv_pair_destroy(&fixture->pair);
	test_free(fixture);
	return 0;
}

/* Whether a datagram into the tunnel comes out at far, encapsulated. */
static bool passes(const struct fixture *fixture)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = 1,
		.sin_addr.s_addr = cv_addr("10.0.0.2"),
	};
	unsigned char packet[2000];

	assert_int_equal(
		sendto(fixture->sender, "x", 1, 0, (const struct sockaddr *)&to, sizeof(to)), 1);
	return cv_pair_receive(&fixture->pair, IPPROTO_IPIP, packet, sizeof(packet), 300) > 0;
}

static uint64_t dropped(const struct fixture *fixture, enum cv_drop reason)
{
	struct cv_counters counters;

	assert_return_code(
		cv_engine_tunnel_counters(fixture->engine, fixture->tunnel.ifindex, &counters), 0);
	return counters.drops[reason];
}

static void test_deleted_device_costs_nothing(void **state)
{
	struct fixture *fixture = *state;
	const struct timespec while_ = {.tv_nsec = 400 * 1000 * 1000};
	struct timespec before, after;
	int64_t used_ms;

	assert_true(passes(fixture));
	cv_sh("ip link del tun0");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	nanosleep(&while_, NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	used_ms =
		(after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	assert_in_range(used_ms, 0, 100);
	assert_int_equal(cv_engine_tunnel_delete(fixture->engine, fixture->tunnel.ifindex), 0);
}

/* Rules on the source concern outer packets: they are sent as the router asked. */
static void test_rule_from_local(void **state)
{
	struct fixture *fixture = *state;

	assert_true(passes(fixture));
	/* The only way, and only for packets from the tunnel's local address. */
	cv_sh("ip route del 198.51.100.0/24 via 192.0.2.2 && "
	      "ip route add 198.51.100.0/24 via 192.0.2.2 table 100 && "
	      "ip rule add from 192.0.2.1 lookup 100 pref 100");
	assert_true(passes(fixture));
	assert_int_equal(dropped(fixture, CV_DROP_NO_OUTER_ROUTE), 0);
	cv_sh("ip rule del pref 100");
	assert_false(passes(fixture));
	assert_int_equal(dropped(fixture, CV_DROP_NO_OUTER_ROUTE), 1);
}

/* A tunnel's device keeps its index under another name; a removed one is found by name again. */
static void test_bound_device_is_followed(void **state)
{
	struct cv_live *live = test_calloc(1, sizeof(*live));
	struct cv_live_tunnel *tunnel = aligned_alloc(64, sizeof(*tunnel));
	struct cv_engine_tunnel config = {.ifindex = 10, .remote = 1, .dev = "u0"};
	int first;

	(void)state;
	cv_netns_enter_new();
	assert_non_null(tunnel);
	memset(tunnel, 0, sizeof(*tunnel));
	tunnel->config = config;
	assert_int_equal(cv_live_add(live, tunnel), 0);
	cv_live_resolve_devices(live, 0);
	assert_int_equal(tunnel->lanes[0].dev_index, 0);

	cv_sh("ip link add u0 type veth peer name u1");
	cv_live_resolve_devices(live, 0);
	first = tunnel->lanes[0].dev_index;
	assert_int_equal(first, (int)if_nametoindex("u0"));
	cv_sh("ip link set u0 name w0 && ip link add u0 type veth peer name w1");
	cv_live_resolve_devices(live, 0);
	assert_int_equal(tunnel->lanes[0].dev_index, first);
	cv_sh("ip link del w0");
	cv_live_resolve_devices(live, 0);
	assert_int_equal(tunnel->lanes[0].dev_index, (int)if_nametoindex("u0"));

	memcpy(config.dev, "lo", 3);
	assert_int_equal(cv_live_change(live, tunnel, &config), 0);
	cv_live_resolve_devices(live, 0);
	assert_int_equal(tunnel->lanes[0].dev_index, (int)if_nametoindex("lo"));
	free(tunnel);
	test_free(live);
}

/* From far's 192.0.2.2, of an inner 172.16.0.5. */
static void send_from_far(const struct fixture *fixture)
{
	unsigned char packet[48] = {0};

	cv_put_ipv4(packet, IPPROTO_IPIP, cv_addr("192.0.2.2"), cv_addr("192.0.2.1"), 28);
	cv_put_ipv4(packet + 20, IPPROTO_UDP, cv_addr("172.16.0.5"), cv_addr("192.0.2.1"), 8);
	packet[45] = 8; /* UDP's length */
	cv_pair_send(&fixture->pair, cv_pair_near_mac, packet, sizeof(packet));
}

/* Wait until one more packet has been received, or dropped for this reason. */
static bool comes_to(const struct fixture *fixture, enum cv_drop reason)
{
	const struct timespec a_moment = {.tv_nsec = 5 * 1000 * 1000};
	struct cv_counters before, now;
	int ifindex = fixture->tunnel.ifindex;

	assert_int_equal(cv_engine_tunnel_counters(fixture->engine, ifindex, &before), 0);
	send_from_far(fixture);
	for (int i = 0; i < 400; i++) {
		assert_int_equal(cv_engine_tunnel_counters(fixture->engine, ifindex, &now), 0);
		if (reason ? now.drops[reason] == before.drops[reason] + 1
			   : now.rx_packets == before.rx_packets + 1)
			return true;
		nanosleep(&a_moment, NULL);
	}
	return false;
}

static int set_owner(const struct fixture *fixture, const char *owner)
{
	const struct cv_owned_prefix prefix = {
		.first = 0xac100000,
		.last = 0xac1000ff,
		.length = 24,
		.owner = cv_addr(owner),
	};
	const __be32 peers[] = {cv_addr("192.0.2.2"), cv_addr("192.0.2.9")};
	struct cv_owners owners;
	int rc;

	assert_int_equal(cv_owners_make(&prefix, 1, peers, 2, &owners), 0);
	rc = cv_engine_tunnel_set_owners(fixture->engine, fixture->tunnel.ifindex, &owners);
	cv_owners_fini(&owners);
	return rc;
}

/* In force for the next packet, and whatever else is changed. */
static void test_owners(void **state)
{
	struct fixture *fixture = *state;

	fixture->tunnel.remote = 0;
	assert_int_equal(cv_engine_tunnel_change(fixture->engine, &fixture->tunnel), 0);
	cv_sh("ip route add 172.16.0.0/24 via 192.0.2.8");
	assert_true(comes_to(fixture, CV_DROP_NOT_A_PEER));
	assert_int_equal(set_owner(fixture, "192.0.2.2"), 0);
	assert_true(comes_to(fixture, CV_DROP_NONE));
	assert_int_equal(set_owner(fixture, "192.0.2.9"), 0);
	assert_true(comes_to(fixture, CV_DROP_SOURCE_NOT_ROUTED_BACK));
	assert_int_equal(set_owner(fixture, "192.0.2.2"), 0);
	assert_true(comes_to(fixture, CV_DROP_NONE));
	fixture->tunnel.ipip.ttl = 9;
	assert_int_equal(cv_engine_tunnel_change(fixture->engine, &fixture->tunnel), 0);
	assert_true(comes_to(fixture, CV_DROP_NONE));
	assert_int_equal(
		cv_engine_tunnel_set_owners(fixture->engine, fixture->tunnel.ifindex, NULL), 0);
	assert_true(comes_to(fixture, CV_DROP_NOT_A_PEER));
	fixture->tunnel.ifindex++;
	assert_int_equal(set_owner(fixture, "192.0.2.2"), -ENOENT);
}

#define ENGINE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENGINE_TEST(test_deleted_device_costs_nothing),
		ENGINE_TEST(test_rule_from_local),
		ENGINE_TEST(test_owners),
		cmocka_unit_test(test_bound_device_is_followed),
	};

	if (!cv_netns_available())
		return 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
