/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors about outer packets, soft state of remotes, and the rate limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/relay.h"
#include "packets.h"
#include "wire/icmp.h"
#include "world.h"

#define US     "192.168.100.1"
#define B1     "192.168.200.2"
#define ROUTER "192.168.100.254"
#define POD_A  "10.244.1.2"
#define POD_B  "10.244.2.2"

struct fixture {
	struct world *world;
	struct cv_live_tunnel *tunnel;
	uint8_t inner[2000];
	uint32_t length;
	struct cv_raw_error error;
};

static int set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));
	const struct header_of of = {
		.source = world_addr(POD_A),
		.destination = world_addr(POD_B),
		.flags_offset = CV_IPV4_DF,
	};

	fixture->world = world_create();
	fixture->tunnel = world_tunnel(fixture->world, WORLD_TUN0, B1, US);
	world_hop(world_route(fixture->world, "10.244.2.0/24", RTN_UNICAST), WORLD_TUN0, NULL);
	fixture->length = write_ipv4(fixture->inner, &of, NULL, 1400);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	world_destroy(fixture->world);
	test_free(fixture);
	return 0;
}

/* An error about our packet from one outer address to another, quoting that many bytes. */
static void report(struct fixture *fixture, const char *from, const char *to, uint8_t type,
		   uint8_t code, uint32_t info, uint32_t quoted)
{
	uint8_t outer[2100];

	write_outer(outer, world_addr(from), world_addr(to), 0, fixture->inner, fixture->length);
	fixture->error = (struct cv_raw_error){
		.type = type,
		.code = code,
		.info = info,
		.offender = world_addr(ROUTER),
		.quoted = quoted,
	};
	/* What was quoted by the error before. */
	memset(fixture->error.quote, 0xff, sizeof(fixture->error.quote));
	memcpy(fixture->error.quote, outer, quoted);
	cv_lane_begin(fixture->world->lane, fixture->world->now_ms);
	cv_relay_error(fixture->world->lane, &fixture->error);
	cv_lane_end(fixture->world->lane);
}

static uint64_t happened(const struct fixture *fixture, enum cv_event event)
{
	return world_events(fixture->world, fixture->tunnel, event);
}

static uint64_t not_ours(const struct fixture *fixture)
{
	return world_drops(fixture->world, NULL, CV_DROP_ICMP_NOT_OURS);
}

static void test_relays_by_code(void **state)
{
	/* RFC 2003, section 4. to_type 0: must not be relayed. */
	static const struct {
		uint8_t type, code, to_type, to_code;
	} rules[] = {
		{3, 0, 3, 0}, {3, 1, 3, 1}, {3, 2, 3, 0},  {3, 3, 0, 0},  {3, 5, 0, 0},
		{4, 0, 0, 0}, {5, 1, 0, 0}, {11, 0, 3, 1}, {11, 1, 3, 1}, {12, 0, 12, 0},
	};
	struct fixture *fixture = *state;
	const struct world_list *icmp = &fixture->world->icmp;
	unsigned int relayed = 0, absorbed = 0;

	for (unsigned int i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		world_forget_outputs(fixture->world);
		report(fixture, US, B1, rules[i].type, rules[i].code, 21, 548);
		if (!rules[i].to_type) {
			assert_int_equal(icmp->count, 0);
			absorbed++;
			continue;
		}
		relayed++;
		assert_int_equal(icmp->count, 1);
		assert_int_equal(icmp->items[0].destination, world_addr(POD_A));
		assert_int_equal(icmp->items[0].bytes[0], rules[i].to_type);
		assert_int_equal(icmp->items[0].bytes[1], rules[i].to_code);
		assert_memory_equal(icmp->items[0].bytes + 8, fixture->inner, 500);
	}
	assert_int_equal(happened(fixture, CV_EVENT_ICMP_RELAYED), relayed);
	assert_int_equal(happened(fixture, CV_EVENT_ICMP_ABSORBED), absorbed);
}

static void test_path_mtu(void **state)
{
	struct fixture *fixture = *state;
	struct cv_icmp_error error;
	const struct world_list *icmp = &fixture->world->icmp;

	report(fixture, US, B1, 3, 4, 1300, 548);
	assert_int_equal(cv_icmp_parse_error(icmp->items[0].bytes, icmp->items[0].length, &error),
			 CV_DROP_NONE);
	assert_int_equal(error.mtu, 1280);
	assert_int_equal(happened(fixture, CV_EVENT_PMTU_LOWERED), 1);
	world_forget_outputs(fixture->world);

	/* The next packet that is too big is answered at once. */
	world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, fixture->length);
	assert_int_equal(fixture->world->sent.count, 0);
	assert_int_equal(icmp->count, 1);
	assert_int_equal(icmp->items[0].bytes[6] << 8 | icmp->items[0].bytes[7], 1280);

	/* It never rises, and is forgotten after ten minutes. */
	report(fixture, US, B1, 3, 4, 1400, 548);
	assert_int_equal(happened(fixture, CV_EVENT_PMTU_LOWERED), 1);
	world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, fixture->length);
	assert_int_equal(fixture->world->sent.count, 0);
	fixture->world->now_ms += 600000;
	world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, fixture->length);
	assert_int_equal(fixture->world->sent.count, 1);
}

static void test_short_quotes(void **state)
{
	struct fixture *fixture = *state;
	const struct world_list *icmp = &fixture->world->icmp;

	report(fixture, US, B1, 3, 4, 1300, 28);
	assert_int_equal(icmp->count, 0);
	assert_int_equal(happened(fixture, CV_EVENT_ICMP_SOFT_STATE), 1);
	world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, fixture->length);
	assert_int_equal(icmp->count, 1);
	assert_int_equal(icmp->items[0].bytes[1], CV_ICMP_FRAGMENTATION_NEEDED);
	world_forget_outputs(fixture->world);
	fixture->world->now_ms += 600000;

	report(fixture, US, B1, 3, 1, 0, 28);
	assert_int_equal(icmp->count, 0);
	world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, fixture->length);
	assert_int_equal(icmp->count, 1);
	assert_int_equal(icmp->items[0].bytes[1], CV_ICMP_HOST_UNREACHABLE);
	assert_int_equal(world_drops(fixture->world, fixture->tunnel, CV_DROP_REMOTE_UNREACHABLE),
			 1);
	/* Told once: the next packet tries again. */
	world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, fixture->length);
	assert_int_equal(fixture->world->sent.count, 1);
	/* And an old one is not told. */
	report(fixture, US, B1, 3, 1, 0, 28);
	fixture->world->now_ms += 10000;
	world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, fixture->length);
	assert_int_equal(fixture->world->sent.count, 2);
}

static void test_not_ours(void **state)
{
	struct fixture *fixture = *state;

	report(fixture, US, "192.168.200.77", 3, 4, 1300, 548);
	report(fixture, "192.168.100.9", B1, 3, 4, 1300, 548);
	report(fixture, US, B1, 3, 4, 1300, 27);
	assert_int_equal(not_ours(fixture), 3);
	/* An inner packet that would not have gone this way. */
	world_unroute(fixture->world, "10.244.2.0/24");
	report(fixture, US, B1, 3, 4, 1300, 548);
	assert_int_equal(not_ours(fixture), 4);
	assert_int_equal(fixture->world->icmp.count, 0);
	assert_int_equal(happened(fixture, CV_EVENT_PMTU_LOWERED), 0);
	/* From ourselves: nothing new. */
	report(fixture, US, B1, 3, 4, 1300, 27);
	assert_int_equal(not_ours(fixture), 5);
	fixture->error.offender = world_addr(US);
	cv_relay_error(fixture->world->lane, &fixture->error);
	assert_int_equal(not_ours(fixture), 5);
}

static void test_nbma_peers(void **state)
{
	struct fixture *fixture = *state;

	fixture->tunnel = world_tunnel(fixture->world, WORLD_TUN1, NULL, US);
	world_hop(world_route(fixture->world, "10.244.2.2/32", RTN_UNICAST), WORLD_TUN1,
		  "192.168.200.3");
	report(fixture, US, "192.168.200.3", 3, 1, 0, 548);
	assert_int_equal(happened(fixture, CV_EVENT_ICMP_RELAYED), 1);
	report(fixture, US, "192.168.200.3", 3, 1, 0, 28);
	assert_int_equal(happened(fixture, CV_EVENT_ICMP_SOFT_STATE), 1);
	report(fixture, US, "192.168.200.4", 3, 1, 0, 548);
	report(fixture, US, "192.168.200.4", 3, 1, 0, 28);
	assert_int_equal(not_ours(fixture), 2);
}

/* What a router says of the path, it says of the path; not of the packet that it quotes. */
static void test_path_mtu_of_a_small_packet(void **state)
{
	static const uint32_t quoted[] = {28, 100};
	struct fixture *fixture = *state;

	for (unsigned int i = 0; i < 2; i++) {
		fixture->length = 200;
		cv_ipv4_set_total_length(fixture->inner, 200);
		report(fixture, US, B1, 3, 4, 1400, quoted[i]);
		fixture->length = 1380;
		cv_ipv4_set_total_length(fixture->inner, 1380);
		world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, fixture->length);
		assert_int_equal(fixture->world->sent.count, i + 1);
	}
	cv_ipv4_set_total_length(fixture->inner, 1381);
	world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, 1381);
	assert_int_equal(fixture->world->sent.count, 2);
	assert_int_equal(world_drops(fixture->world, fixture->tunnel, CV_DROP_TOO_BIG), 1);
	assert_int_equal(happened(fixture, CV_EVENT_PMTU_LOWERED), 1);
}

/* A quote that ends with the inner header says nothing of ports. */
static void test_quote_without_ports(void **state)
{
	struct fixture *fixture = *state;
	struct world_route *route;
	const struct header_of of = {
		.source = world_addr(POD_A),
		.destination = world_addr("10.244.3.2"),
		.protocol = CV_IPV4_PROTO_UDP,
	};

	world_tunnel(fixture->world, WORLD_TUN1, NULL, US);
	route = world_route(fixture->world, "10.244.3.0/24", RTN_UNICAST);
	world_hop(route, WORLD_TUN1, "192.168.200.3");
	world_hop(route, WORLD_TUN1, "192.168.200.4");
	fixture->length = write_ipv4(fixture->inner, &of, NULL, 1000);
	/* The world chooses by the source port: the first next hop for 0. */
	report(fixture, US, "192.168.200.3", 3, 1, 0, 40);
	assert_int_equal(not_ours(fixture), 0);
	assert_int_equal(fixture->world->icmp.count, 1);
}

/* Forged errors stop no more packets than their senders are told of. */
static void test_flood_of_errors(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned int i = 0; i < 50; i++) {
		report(fixture, US, B1, 3, 1, 0, 28);
		world_out(fixture->world, fixture->tunnel, NULL, fixture->inner, fixture->length);
	}
	assert_int_equal(fixture->world->icmp.count, CV_LIMIT_ONE_BURST);
	assert_int_equal(world_drops(fixture->world, fixture->tunnel, CV_DROP_REMOTE_UNREACHABLE),
			 CV_LIMIT_ONE_BURST);
	assert_int_equal(fixture->world->sent.count, 50 - CV_LIMIT_ONE_BURST);
}

static void test_rate_limit(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned int i = 0; i < 50; i++)
		report(fixture, US, B1, 3, 1, 0, 548);
	assert_int_equal(fixture->world->icmp.count, CV_LIMIT_ONE_BURST);
	assert_int_equal(world_drops(fixture->world, fixture->tunnel, CV_DROP_ICMP_RATE_LIMIT),
			 50 - CV_LIMIT_ONE_BURST);
	fixture->world->now_ms += 1000;
	for (unsigned int i = 0; i < 50; i++)
		report(fixture, US, B1, 3, 1, 0, 548);
	assert_int_equal(fixture->world->icmp.count, 2 * CV_LIMIT_ONE_BURST);
}

static void test_limit_for_all(void **state)
{
	struct cv_limit *limit = cv_limit_create();
	unsigned int allowed = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		allowed += cv_limit_allows(limit, cv_htonl(0x0a000000 + i), 5000);
	/* The world's clock had run five seconds: no more than the burst for all that. */
	assert_int_equal(allowed, CV_LIMIT_ALL_BURST);
	allowed = 0;
	for (uint32_t i = 0; i < 1000; i++)
		allowed += cv_limit_allows(limit, cv_htonl(0x0b000000 + i), 5100);
	assert_int_equal(allowed, CV_LIMIT_ALL_PER_SECOND / 10);
	cv_limit_destroy(limit);
}

static void test_remotes_are_bounded(void **state)
{
	struct cv_remotes *remotes = cv_remotes_create();
	uint32_t mtu, last = 0;
	bool error;

	(void)state;
	for (uint32_t i = 1; i <= 100000; i++) {
		assert_int_equal(
			cv_remotes_lower_mtu(remotes, cv_htonl(i), 1000 + i % 400, 1500, i, 1000),
			CV_REMOTE_LOWERED);
		last = i;
	}
	cv_remotes_read(remotes, cv_htonl(last), last, &mtu, &error);
	assert_int_equal(mtu, 1000 + last % 400);
	assert_false(error);
	cv_remotes_read(remotes, cv_htonl(last), last + 1000, &mtu, &error);
	assert_int_equal(mtu, 0);
	cv_remotes_destroy(remotes);
}

#define RELAY_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_relays_by_code),
		RELAY_TEST(test_path_mtu),
		RELAY_TEST(test_short_quotes),
		RELAY_TEST(test_not_ours),
		RELAY_TEST(test_nbma_peers),
		RELAY_TEST(test_rate_limit),
		RELAY_TEST(test_quote_without_ports),
		RELAY_TEST(test_flood_of_errors),
		RELAY_TEST(test_path_mtu_of_a_small_packet),
		cmocka_unit_test(test_limit_for_all),
		cmocka_unit_test(test_remotes_are_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
