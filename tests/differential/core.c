/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path's own programs on generated packets, without devices, against the engine's lane in
 * the world of tests/unit/world.h.
 *
 * What the programs would ask the kernel's routing for stands in their maps already, as if they had
 * asked before: a permit for each outer packet, or the entry of its flow; the exit of each inner
 * packet of an endpoint, with a tunnel's parameters and a path MTU of any kind. A packet that a
 * program gives to the engine, or leaves to the stack, is not compared here.
 */
#include "core.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>

#include "fastpath/programs.h"
#include "wire/tcp.h"
#include "wire_programs.h"
#include "../unit/world.h"

enum {
	TUNNEL = WORLD_TUN0, /* also where the programs find it in their maps */
	LOOPBACK = 1,	     /* the device that frames of BPF_PROG_TEST_RUN come by */
	CPUS_MAX = 256,
	SHOWN_MAX = 5,
};

struct core {
	struct run *run;
	struct cv_programs programs;
	struct cv_fp_stamp stamp;
	struct world *world;
	struct cv_live_tunnel *tunnel;
	struct cv_fp_config config;
	uint64_t drops[CV_DROP_MAX]; /* of both slots, as read last */
	uint64_t to_endpoints;
	unsigned int compared, differing;
	char what[256]; /* differs */
	uint8_t output[SPEC_FRAME_MAX];
	struct frame frames[SPEC_FRAMES_MAX];
};

/* ---- the programs' maps ---- */

static void put(const struct core *core, enum cv_map map, const void *key, const void *value)
{
	if (bpf_map_update_elem(core->programs.map[map], key, value, BPF_ANY)) {
		printf("Bail out! a map of the programs: %s\n", strerror(errno));
		exit(1);
	}
}

static void set_endpoints(struct core *core, bool any)
{
	uint32_t zero = 0;

	core->config.endpoints = any;
	put(core, CV_MAP_CONFIG, &zero, &core->config);
}

static void set_tunnel(struct core *core, uint16_t mssclamp)
{
	const uint32_t key = TUNNEL;
	const struct cv_fp_tunnel tunnel = {
		.remote = world_addr("192.168.100.2"),
		.local = world_addr("192.168.100.1"),
		.mtu = 1500,
		.up = 1,
		.mssclamp = mssclamp,
	};

	put(core, CV_MAP_TUNNELS, &key, &tunnel);
	core->tunnel->config.mssclamp = mssclamp;
}

static void set_up_maps(struct core *core)
{
	const uint32_t tunnel_key = TUNNEL, own = CV_FP_ADDRESS_OWN;
	const __be32 local = world_addr("192.168.100.1"), remote = world_addr("192.168.100.2");
	const struct cv_fp_pair pair = {.remote = remote, .local = local};
	uint64_t namespace, device;

	if (cv_programs_look(&core->programs, 0, &namespace, &device))
	namespace = 0;
	core->config = (struct cv_fp_config){
		.namespace = namespace,
		.generation = 1,
		.words = 1,
		.lookup_ifindex = LOOPBACK,
	};
	set_endpoints(core, false);
	set_tunnel(core, CV_TCP_MSS_AUTO);
	put(core, CV_MAP_PAIRS, &pair, &tunnel_key);
	put(core, CV_MAP_ADDRESSES, &local, &own);
	if (cv_programs_stamp(&core->programs, &core->stamp) || !core->stamp.generation) {
		puts("Bail out! no stamp: the programs remember nothing");
		exit(1);
	}
}

/* What the program counted since the last time: the reason, or CV_DROP_NONE; and to endpoints. */
static enum cv_drop read_counters(struct core *core, bool *ret_endpoint)
{
	static struct cv_fp_counters counters[CPUS_MAX];
	uint64_t drops[CV_DROP_MAX] = {0}, endpoints = 0;
	const uint32_t slots[] = {0, CV_FP_SLOT_NONE};
	int cpus = libbpf_num_possible_cpus();
	enum cv_drop found = CV_DROP_NONE;

	for (unsigned int s = 0; s < 2; s++) {
		bpf_map_lookup_elem(core->programs.map[CV_MAP_COUNTERS], &slots[s], counters);
		for (int cpu = 0; cpu < cpus; cpu++) {
			endpoints += counters[cpu].rx_endpoint_packets;
			for (unsigned int i = 0; i < CV_DROP_MAX; i++)
				drops[i] += counters[cpu].drops[i];
		}
	}
	for (unsigned int i = 0; i < CV_DROP_MAX; i++) {
		if (drops[i] != core->drops[i])
			found = i;
	}
	*ret_endpoint = endpoints != core->to_endpoints;
	core->to_endpoints = endpoints;
	memcpy(core->drops, drops, sizeof(drops));
	return found;
}

/* Run a program on the frame; its verdict, and the frame after it. */
static uint32_t run_program(struct core *core, enum cv_program program, struct frame *frame,
			    uint32_t *ret_length)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
		    .data_size_in = frame->length, .data_out = core->output,
		    .data_size_out = sizeof(core->output));

	/* To the loopback device's address. */
	memset(frame->bytes, 0, 12);
	if (bpf_prog_test_run_opts(core->programs.program[program], &options)) {
		if (errno != EINVAL) {
			printf("Bail out! BPF_PROG_TEST_RUN: %s\n", strerror(errno));
			exit(1);
		}
		/* A frame that the kernel does not take, of no more than a link-layer header. */
		return (uint32_t)TC_ACT_UNSPEC;
	}
	*ret_length = options.data_size_out;
	return options.retval;
}

/* ---- comparing ---- */

static bool differ(struct core *core, const char *what, int64_t theirs, int64_t ours)
{
	snprintf(core->what, sizeof(core->what), "%s: engine %lld, program %lld", what,
		 (long long)theirs, (long long)ours);
	return false;
}

/* The reason that the engine counted since before; CV_DROP_NONE. */
static enum cv_drop engine_drop(const struct core *core, const uint64_t *before)
{
	for (unsigned int i = 0; i < CV_DROP_MAX; i++) {
		if (world_drops(core->world, core->tunnel, i) + world_drops(core->world, NULL, i) !=
		    before[i])
			return i;
	}
	return CV_DROP_NONE;
}

static void note_engine(const struct core *core, uint64_t *ret)
{
	for (unsigned int i = 0; i < CV_DROP_MAX; i++)
		ret[i] = world_drops(core->world, core->tunnel, i) +
			 world_drops(core->world, NULL, i);
}

/* What the engine put out against the packet that the program did. */
static bool same_packet(struct core *core, const struct world_list *list, const uint8_t *ours,
			uint32_t length)
{
	const struct world_output *output = &list->items[0];

	if (list->count != 1)
		return differ(core, "packets", list->count, 1);
	if (output->length != length)
		return differ(core, "length", output->length, length);
	for (uint32_t i = 0; i < length; i++) {
		if (output->bytes[i] != ours[i]) {
			char what[32];

			snprintf(what, sizeof(what), "byte %u", i);
			return differ(core, what, output->bytes[i], ours[i]);
		}
	}
	return true;
}

/*
 * A verdict of the program against what the engine did. ret_compared: false when the program left
 * it to somebody.
 */
static bool same_drop(struct core *core, uint32_t verdict, enum cv_drop drop, enum cv_drop engine,
		      bool *ret_compared)
{
	*ret_compared = true;
	if (drop == CV_DROP_ENGINE_ABSENT || verdict == (uint32_t)TC_ACT_UNSPEC) {
		*ret_compared = false;
		return true;
	}
	if (verdict == TC_ACT_SHOT && !drop)
		return differ(core, "dropped without a reason", engine, TC_ACT_SHOT);
	return drop == engine || differ(core, "drop reason", engine, drop);
}

/* ---- the way in ---- */

static void permit_packet(const struct core *core, const struct spec *spec)
{
	const struct cv_fp_permit_key key = {
		.outer_source = cv_htonl((uint32_t)spec->value[F_OUTER_SOURCE]),
		.outer_destination = cv_htonl((uint32_t)spec->value[F_OUTER_DESTINATION]),
		.inner_source = cv_htonl((uint32_t)spec->value[F_INNER_SOURCE]),
		.inner_destination = cv_htonl((uint32_t)spec->value[F_INNER_DESTINATION]),
		.ifindex = LOOPBACK,
		.tos = spec->value[F_INNER_TOS] & CV_IPV4_DSCP_MASK,
	};
	const struct cv_fp_permit permit = {.stamp = core->stamp, .tunnel = TUNNEL};

	put(core, CV_MAP_PERMITS, &key, &permit);
}

static struct cv_fp_flow_key flow_key(const struct spec *spec, bool from_endpoint)
{
	uint32_t source = (uint32_t)spec->value[F_INNER_SOURCE];
	uint32_t destination = (uint32_t)spec->value[F_INNER_DESTINATION];
	__be16 ports[2] = {
		cv_htons((uint16_t)spec->value[F_SOURCE_PORT]),
		cv_htons((uint16_t)spec->value[F_DESTINATION_PORT]),
	};

	/* The identifier of an echo is on the side of who asks. */
	if (spec->value[F_INNER_PROTOCOL] == CV_IPV4_PROTO_ICMP) {
		ports[1] = spec->value[F_ICMP_TYPE] ? 0 : ports[0];
		ports[0] = spec->value[F_ICMP_TYPE] ? ports[0] : 0;
	}
	return (struct cv_fp_flow_key){
		.local = cv_htonl(from_endpoint ? source : destination),
		.remote = cv_htonl(from_endpoint ? destination : source),
		.local_port = ports[!from_endpoint],
		.remote_port = ports[from_endpoint],
		.protocol = (uint8_t)spec->value[F_INNER_PROTOCOL],
	};
}

static void permit_flow(const struct core *core, const struct spec *spec)
{
	const struct cv_fp_flow_key key = flow_key(spec, false);
	const struct cv_fp_flow flow = {
		.path = CV_FP_PATH_BYPASS,
		.endpoint = LOOPBACK,
		.in_stamp = core->stamp,
		.in_source = cv_htonl((uint32_t)spec->value[F_OUTER_SOURCE]),
		.in_destination = cv_htonl((uint32_t)spec->value[F_OUTER_DESTINATION]),
		.in_ifindex = LOOPBACK,
		.in_tunnel = TUNNEL,
		.in_tos = spec->value[F_INNER_TOS] & CV_IPV4_DSCP_MASK,
		.in_by_peer = 1,
	};

	put(core, CV_MAP_FLOWS, &key, &flow);
}

static void set_world_mtu(struct core *core, uint32_t mtu)
{
	for (unsigned int i = 0; i < WORLD_ROUTES; i++)
		core->world->routes[i].mtu = mtu;
	cv_router_forget(core->world->lane->router);
}

/* The way that an answer would take, for the SYNs among the packets. */
static void know_way_back(struct core *core, const struct spec *spec)
{
	const struct cv_fp_way_key key = {
		.tunnel = TUNNEL,
		.destination = world_addr("192.168.100.2"),
	};
	const struct cv_fp_way way = {.stamp = core->stamp, .oif = LOOPBACK, .mtu = 1400};

	set_tunnel(core, (uint16_t)spec->value[F_MSS_CLAMP]);
	set_world_mtu(core, 1400);
	put(core, CV_MAP_WAYS, &key, &way);
}

/* The program's way in, for one packet. */
static bool compare_in(struct core *core, const struct spec *spec, bool *ret_compared)
{
	struct frame *frame = &core->frames[0];
	uint32_t length = 0, verdict;
	uint64_t before[CV_DROP_MAX];
	enum cv_drop drop, engine;
	bool to_endpoint;

	spec_build(spec, core->frames);
	set_endpoints(core, spec->value[F_PARTIAL] != 0);
	permit_packet(core, spec);
	know_way_back(core, spec);
	if (spec->value[F_PARTIAL])
		permit_flow(core, spec);
	verdict = run_program(core, CV_PROGRAM_UNDERLAY_IN, frame, &length);
	drop = read_counters(core, &to_endpoint);
	note_engine(core, before);
	world_forget_outputs(core->world);
	world_in(core->world, NULL, frame->bytes + SPEC_ETHERNET, frame->length - SPEC_ETHERNET);
	engine = engine_drop(core, before);
	if (!same_drop(core, verdict, drop, engine, ret_compared))
		return false;
	if (!*ret_compared || drop)
		return true;
	if (to_endpoint && core->world->delivered.count == 1) {
		uint8_t *inner = core->world->delivered.items[0].bytes;

		cv_ipv4_set_ttl(inner, inner[8] - 1);
	}
	return same_packet(core, &core->world->delivered, core->output + SPEC_ETHERNET,
			   length - SPEC_ETHERNET);
}

static void draw_clamp(struct draw *draw, struct spec *spec)
{
	static const uint16_t clamps[] = {
		CV_TCP_MSS_AUTO, CV_TCP_MSS_AUTO, CV_TCP_MSS_OFF, CV_TCP_MSS_LEAST, 1300,
		CV_TCP_MSS_MOST};

	spec->value[F_MSS_CLAMP] = clamps[draw_below(draw, sizeof(clamps) / sizeof(clamps[0]))];
}

static void draw_in(struct draw *draw, uint32_t number, struct spec *ret_spec)
{
	do {
		spec_draw(draw, number, ret_spec);
	} while (ret_spec->value[F_DIRECTION] != DIRECTION_IN);
	ret_spec->value[F_SPLIT] = 0;
	ret_spec->value[F_OUTER_SOURCE] = 0xc0a86402;
	ret_spec->value[F_OUTER_DESTINATION] = 0xc0a86401;
	ret_spec->value[F_INNER_SOURCE] = 0x0af40202 + draw_below(draw, 100);
	ret_spec->value[F_ETHERNET] = 0;
	/* Here it says that the packet's flow is known. The checksum is a byte like others. */
	ret_spec->value[F_PARTIAL] = draw_below(draw, 2);
	draw_clamp(draw, ret_spec);
}

/* ---- the way out ---- */

static void know_exit(const struct core *core, const struct spec *spec, uint32_t mtu)
{
	const struct cv_fp_flow_key key = flow_key(spec, true);
	const struct cv_fp_flow flow = {
		.path = CV_FP_PATH_BYPASS,
		.endpoint = LOOPBACK,
		.out_stamp = core->stamp,
		.out_tunnel = TUNNEL,
		.out_destination = world_addr("192.168.100.2"),
		.out_tos = spec->value[F_INNER_TOS] & CV_IPV4_DSCP_MASK,
		.out_ipip = core->tunnel->config.ipip,
		.out_way =
			{
				.stamp = core->stamp,
				.source = world_addr("192.168.100.1"),
				.gateway = world_addr("192.168.100.2"),
				.oif = LOOPBACK,
				.mtu = mtu,
			},
	};

	put(core, CV_MAP_FLOWS, &key, &flow);
}

/* An outer identification: each path has its half of them, and with DF it means nothing. */
static bool settle_id(struct core *core, uint8_t *outer, bool upper)
{
	uint32_t id = (uint32_t)outer[4] << 8 | outer[5];

	if (!(outer[6] & 0x40) && (id >= CV_IPIP_ID_HALF) != upper)
		return differ(core, "the wrong half of identifications", !upper, id);
	cv_ipv4_set_id(outer, 0);
	return true;
}

/* The packet that the stack would give to the engine: forwarded once, without what follows it. */
static uint32_t forward(struct frame *frame)
{
	uint8_t *packet = frame->bytes + SPEC_ETHERNET;
	struct cv_ipv4 ip;

	if (cv_ipv4_parse(packet, frame->length - SPEC_ETHERNET, &ip))
		return frame->length - SPEC_ETHERNET;
	cv_ipv4_set_ttl(packet, packet[8] - 1);
	return ip.total_length;
}

static bool compare_out(struct core *core, const struct spec *spec, bool *ret_compared)
{
	uint32_t mtu = (uint32_t)spec->value[F_OUTER_LENGTH], length = 0, verdict;
	struct cv_ipip_params *ipip = &core->tunnel->config.ipip;
	struct frame *frame = &core->frames[0];
	uint64_t before[CV_DROP_MAX];
	enum cv_drop drop, engine;
	bool ignored;

	spec_build(spec, core->frames);
	ipip->ttl = (uint8_t)spec->value[F_OUTER_TTL];
	ipip->tos = (uint8_t)spec->value[F_OUTER_TOS];
	ipip->ecn_mode = spec->value[F_OUTER_OPTIONS] & 1;
	ipip->tos_inherit = spec->value[F_OUTER_OPTIONS] & 2;
	ipip->pmtudisc = spec->value[F_OUTER_FRAGMENT] != 0;
	set_endpoints(core, true);
	set_tunnel(core, (uint16_t)spec->value[F_MSS_CLAMP]);
	set_world_mtu(core, mtu);
	know_exit(core, spec, mtu);
	verdict = run_program(core, CV_PROGRAM_ENDPOINT_IN, frame, &length);
	drop = read_counters(core, &ignored);
	note_engine(core, before);
	world_forget_outputs(core->world);
	world_out(core->world, core->tunnel, NULL, frame->bytes + SPEC_ETHERNET, forward(frame));
	engine = engine_drop(core, before);
	if (!same_drop(core, verdict, drop, engine, ret_compared))
		return false;
	if (!*ret_compared || drop)
		return true;
	if (core->world->sent.count == 1 &&
	    !settle_id(core, core->world->sent.items[0].bytes, false))
		return false;
	return settle_id(core, core->output + SPEC_ETHERNET, true) &&
	       same_packet(core, &core->world->sent, core->output + SPEC_ETHERNET,
			   length - SPEC_ETHERNET);
}

/* The fields of the outer header say what the tunnel is like. */
static void draw_out(struct draw *draw, uint32_t number, struct spec *ret_spec)
{
	static const uint16_t mtus[] = {1500, 1500, 1499, 1480, 1400, 1300, 576, 100, 68, 9000};
	int64_t *value = ret_spec->value;

	do {
		spec_draw(draw, number, ret_spec);
	} while (value[F_DIRECTION] != DIRECTION_OUT || value[F_GSO]);
	value[F_ETHERNET] = value[F_PARTIAL] = 0;
	draw_clamp(draw, ret_spec);
	value[F_OUTER_TTL] = draw_below(draw, 2) ? 0 : 1 + draw_below(draw, 255);
	value[F_OUTER_FRAGMENT] = value[F_OUTER_TTL] ? 0x4000 : draw_below(draw, 2) * 0x4000;
	value[F_OUTER_TOS] = draw_below(draw, 64) * 4;
	value[F_OUTER_OPTIONS] = draw_below(draw, 4);
	value[F_OUTER_LENGTH] = mtus[draw_below(draw, sizeof(mtus) / sizeof(mtus[0]))];
	if (draw_below(draw, 50) == 0)
		value[F_INNER_SOURCE] = 0xc0a86402;
	else if (draw_below(draw, 4))
		value[F_INNER_SOURCE] = 0x0af40102;
	value[F_INNER_DESTINATION] = 0x0af40202;
	if (draw_below(draw, 3) == 0)
		value[F_DATA] = mtus[draw_below(draw, 7)] - 48 - draw_below(draw, 3);
	if (value[F_DATA] < 0)
		value[F_DATA] = 0;
}

/* ---- running ---- */

struct part {
	const char *name;
	void (*draw)(struct draw *draw, uint32_t number, struct spec *ret_spec);
	bool (*compare)(struct core *core, const struct spec *spec, bool *ret_compared);
};

struct trial {
	struct core *core;
	const struct part *part;
};

static bool still_fails(void *context, const struct spec *spec)
{
	struct trial *trial = context;
	bool compared;

	return !trial->part->compare(trial->core, spec, &compared);
}

static void show(struct core *core, const struct part *part, const struct spec *found)
{
	struct trial trial = {core, part};
	struct spec spec = *found;

	if (core->differing++ >= SHOWN_MAX)
		return;
	spec_minimise(&spec, still_fails, &trial);
	still_fails(&trial, &spec);
	printf("# mismatch of %s: ", part->name);
	spec_print(stdout, &spec);
	printf("\n#   %s\n#  ", core->what);
	spec_build(&spec, core->frames);
	for (uint32_t i = 0; i < core->frames[0].length && i < 128; i++)
		printf("%s%02x", i % 4 ? "" : " ", core->frames[0].bytes[i]);
	putchar('\n');
}

static void run_part(struct core *core, const struct part *part, unsigned int count)
{
	struct draw draw = {.state = core->run->seed * 2 + 1};
	struct spec spec;
	char name[128];
	bool compared;

	core->compared = core->differing = 0;
	for (unsigned int i = 0; i < count; i++) {
		part->draw(&draw, i, &spec);
		core->world->now_ms += 1;
		if (!part->compare(core, &spec, &compared))
			show(core, part, &spec);
		else
			core->compared += compared;
	}
	snprintf(name, sizeof(name), "%s: %u packets, %u decided by the program as by the engine",
		 part->name, count, core->compared);
	/* That few are compared would be as bad. */
	assert_that(core->run, !core->differing && core->compared > count / 4, name);
}

void core_random(struct run *run, unsigned int count, const char *object)
{
	static const struct part parts[] = {
		{"BPF_PROG_TEST_RUN of cv_underlay_in", draw_in, compare_in},
		{"BPF_PROG_TEST_RUN of cv_endpoint_in", draw_out, compare_out},
	};
	struct core *core = calloc(1, sizeof(*core));
	struct cv_pins pins = {.dir = -1};
	char why[256];

	if (!core || unshare(CLONE_NEWNET)) {
		puts("Bail out! no namespace");
		exit(1);
	}
	core->run = run;
	cv_programs_listen();
	if (cv_programs_init(&core->programs, &pins, why, sizeof(why))) {
		printf("# the programs cannot be loaded: %s\n", why);
		/* Refused by the verifier is a failure, refused whatever it is is not. */
		if (!libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, NULL))
			assert_that(run, true, "BPF_PROG_TEST_RUN # SKIP no eBPF here");
		else
			assert_that(run, false, "the programs can be loaded");
		free(core);
		return;
	}
	core->world = world_create();
	core->tunnel = world_tunnel(core->world, TUNNEL, "192.168.100.2", "192.168.100.1");
	core->tunnel->config.strict = false;
	set_up_maps(core);
	for (unsigned int i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		run_part(core, &parts[i], count);
	world_destroy(core->world);
	cv_programs_fini(&core->programs);
	free(core);
	wire_random(run, count, object);
}
