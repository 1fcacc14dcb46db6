/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator: a packet as it should be through one of the tunnels of nodes.py, then, for two
 * of three, one or a few things that are at or beyond a limit.
 */
#include "spec.h"

#include "wire/icmp.h"
#include "wire/ipv4.h"

#define PICK(draw, ...)                                                                           \
	((const int64_t[]){__VA_ARGS__}[draw_below(draw, sizeof((const int64_t[]){__VA_ARGS__}) / \
								 sizeof(int64_t))])

#define POD_NET	 0x0af40100U /* 10.244.1.0/24 */
#define NET(k)	 (0x0af40000U | (uint32_t)(k) << 8)
#define UNDER(k) (0xc0a86400U | (uint32_t)(k)) /* 192.168.100.k */
#define ROUTER	 0xc0a8c802U		       /* 192.168.200.2 */

enum {
	ENDPOINT_LAST = 17 /* 10.244.1.2 to .17 are endpoints of the node that has some */
};

/* Which pods are behind which peer, through which of our addresses: the set-up of nodes.py. */
static const struct {
	uint8_t net;
	uint8_t local;
	uint32_t peer;
} ways[] = {
	{2, 1, UNDER(2)},   {3, 1, UNDER(3)},	{4, 1, UNDER(4)},   {5, 1, UNDER(5)},
	{6, 1, UNDER(6)},   {7, 1, UNDER(7)},	{8, 1, ROUTER},	    {9, 1, UNDER(8)},
	{16, 11, UNDER(2)}, {17, 11, UNDER(3)}, {18, 11, UNDER(2)}, {18, 11, UNDER(3)},
	{20, 12, UNDER(2)}, {21, 12, UNDER(9)},
};

uint32_t draw_below(struct draw *draw, uint32_t limit)
{
	draw->state ^= draw->state >> 12;
	draw->state ^= draw->state << 25;
	draw->state ^= draw->state >> 27;
	return (uint32_t)((draw->state * 0x2545f4914f6cdd1dULL >> 33) % limit);
}

static bool one_in(struct draw *draw, uint32_t n)
{
	return draw_below(draw, n) == 0;
}

/* Sixteen of them are endpoints of the node that has some. */
static uint32_t a_pod(struct draw *draw)
{
	return POD_NET | (2 + draw_below(draw, 24));
}

static int64_t odd_outer_address(struct draw *draw)
{
	return PICK(draw, UNDER(1), UNDER(2), UNDER(3), UNDER(9), UNDER(11), UNDER(12), UNDER(77),
		    UNDER(255), UNDER(0), 0x7f000001, 0, 0xffffffff, 0xe0000005, 0xf0000001,
		    0xcb007101, ROUTER, POD_NET | 1, POD_NET | 2, NET(2) | 2);
}

static int64_t odd_inner_address(struct draw *draw)
{
	return PICK(draw, POD_NET | 1, POD_NET | 2, POD_NET | 255, POD_NET, UNDER(1), UNDER(2),
		    UNDER(3), UNDER(11), UNDER(255), 0x7f000001, 0, 0xffffffff, 0xe0000001,
		    0xefffffff, 0xf0000001, NET(2) | 130, NET(3) | 200, NET(18) | 5, NET(32) | 1,
		    NET(33) | 1, NET(34) | 1, 0x08080808, ROUTER, NET(16) | 9, NET(9) | 4);
}

/* The inner packet's own length, near where something changes. */
static void draw_length(struct draw *draw, struct spec *spec)
{
	bool udp = spec->value[F_INNER_PROTOCOL] == CV_IPV4_PROTO_UDP;
	int64_t total;

	if (one_in(draw, 3)) {
		total = PICK(draw, 1480, 1479, 1481, 1500, 1499, 1280, 1279, 1281, 1400, 1401, 1380,
			     1460, 576, 68, 67);
		spec->value[F_DATA] = total - 20 - (udp ? 8 : 20);
		return;
	}
	spec->value[F_DATA] = PICK(draw, 0, 1, 2, 7, 8, 9, 18, 25, 26, 27, 64, 500, 1000);
	if (one_in(draw, 4))
		spec->value[F_DATA] = draw_below(draw, 1400);
}

static void draw_transport(struct draw *draw, struct spec *spec)
{
	spec->value[F_INNER_PROTOCOL] =
		PICK(draw, CV_IPV4_PROTO_UDP, CV_IPV4_PROTO_UDP, CV_IPV4_PROTO_TCP,
		     CV_IPV4_PROTO_TCP, CV_IPV4_PROTO_ICMP, CV_IPV4_PROTO_SCTP);
	spec->value[F_SOURCE_PORT] = 1024 + draw_below(draw, 64);
	spec->value[F_DESTINATION_PORT] = PICK(draw, 53, 80, 5000, 5001, 4789);
	spec->value[F_TCP_FLAGS] = PICK(draw, 0x02, 0x10, 0x18, 0x12, 0x11, 0x04, 0, 0xff, 0xc2);
	spec->value[F_ICMP_TYPE] = PICK(draw, 8, 8, 0, 3, 11, 12, 4, 5, 13);
	if (one_in(draw, 2)) {
		spec->value[F_MSS] = PICK(draw, 1460, 1460, 1440, 1441, 8960, 1340, 536, 65495, 1);
		spec->value[F_MSS_AFTER] = PICK(draw, 0, 0, 0, 1, 2, 3, 16, 36);
	}
	draw_length(draw, spec);
	if (one_in(draw, 6))
		spec->value[F_PARTIAL] = 1;
}

static void draw_good(struct draw *draw, uint32_t number, struct spec *spec)
{
	unsigned int k = draw_below(draw, sizeof(ways) / sizeof(ways[0]));
	uint32_t far = NET(ways[k].net) | (2 + draw_below(draw, 16));
	uint32_t pod = a_pod(draw);

	spec_default(spec);
	spec->value[F_DIRECTION] = PICK(draw, DIRECTION_IN, DIRECTION_IN, DIRECTION_IN,
					DIRECTION_OUT, DIRECTION_OUT, DIRECTION_LOCAL);
	spec->value[F_OUTER_SOURCE] = ways[k].peer;
	spec->value[F_OUTER_DESTINATION] = UNDER(ways[k].local);
	spec->value[F_INNER_SOURCE] = far;
	spec->value[F_INNER_DESTINATION] = pod;
	if (spec->value[F_DIRECTION] != DIRECTION_IN) {
		spec->value[F_INNER_SOURCE] = pod;
		spec->value[F_INNER_DESTINATION] = far;
	}
	if (spec->value[F_DIRECTION] == DIRECTION_LOCAL)
		spec->value[F_INNER_SOURCE] = PICK(draw, POD_NET | 1, UNDER(1));
	spec->value[F_INNER_ID] = number % 0xfff0 + 1;
	spec->value[F_OUTER_ID] = (number * 5 + 1) & 0xffff; /* of fragments of their own */
	spec->value[F_INNER_TOS] = PICK(draw, 0, 1, 2, 3, 0x28, 0x2a, 0xb8, 0xbb, 0xff, 0x10);
	spec->value[F_OUTER_TOS] = PICK(draw, 0, 0, 1, 2, 3, 0x2a, 0xfc, 0xff);
	spec->value[F_INNER_FRAGMENT] = PICK(draw, 0x4000, 0x4000, 0);
	spec->value[F_OUTER_FRAGMENT] = PICK(draw, 0x4000, 0);
	spec->value[F_INNER_TTL] = PICK(draw, 64, 64, 64, 255, 128, 2, 3);
	draw_transport(draw, spec);
}

/* ---- odd and hostile ---- */

static void odd_header(struct draw *draw, struct spec *spec, unsigned int first, unsigned int at)
{
	int64_t *value = &spec->value[first];

	switch (at) {
	case 0:
		value[F_INNER_VERSION - F_INNER_SOURCE] = PICK(draw, 0, 3, 5, 6, 15);
		break;
	case 1:
		value[F_INNER_IHL - F_INNER_SOURCE] = PICK(draw, -5, -1, 1, 2, 10);
		break;
	case 2:
		value[F_INNER_LENGTH - F_INNER_SOURCE] =
			PICK(draw, -1, 1, -8, 8, -20, 20, -28, 1000, -60);
		break;
	case 3:
		value[F_INNER_FRAGMENT - F_INNER_SOURCE] =
			PICK(draw, 0x2000, 0x2001, 0x0001, 0x1fff, 0x8000, 0xc000, 0x6000, 0x2007);
		break;
	case 4:
		value[F_INNER_TTL - F_INNER_SOURCE] = PICK(draw, 0, 1, 2, 255);
		break;
	case 5:
		value[F_INNER_CHECKSUM - F_INNER_SOURCE] = PICK(draw, 1, 0x100, 0xffff, 0x8000);
		break;
	case 6:
		value[F_INNER_OPTIONS - F_INNER_SOURCE] = PICK(draw, 1, 2, 3, 10);
		value[F_INNER_OPTION - F_INNER_SOURCE] = PICK(draw, 1, 1, 148, 7, 0, 68);
		break;
	case 7:
		value[F_INNER_TOS - F_INNER_SOURCE] = draw_below(draw, 256);
		break;
	default:
		value[F_INNER_ID - F_INNER_SOURCE] = PICK(draw, 0, 1, 0x7fff, 0xffff);
	}
}

enum {
	ODD_HEADER = 8
};

static void odd_in(struct draw *draw, struct spec *spec)
{
	switch (draw_below(draw, 12)) {
	case 0:
		spec->value[F_OUTER_SOURCE] = odd_outer_address(draw);
		break;
	case 1:
		spec->value[F_OUTER_DESTINATION] = odd_outer_address(draw);
		break;
	case 2:
		spec->value[F_TRAIL] = PICK(draw, 1, 4, 26, 46);
		break;
	case 3:
		spec->value[F_PADDING] = PICK(draw, 60, 64, 200);
		break;
	case 4:
		spec->value[F_CUT] = PICK(draw, 1, 2, 8, 20, 27, 28, 40, 47, 48);
		break;
	case 5:
		spec->value[F_OUTER_PROTOCOL] = PICK(draw, 41, 17, 47, 0, 94);
		break;
	case 6:
		spec->value[F_SPLIT] = PICK(draw, 1, 2, 3, 10, 64, 100);
		spec->value[F_SKIP] = PICK(draw, 0, 0, 0, 1, 2);
		spec->value[F_BACKWARDS] = !spec->value[F_SKIP] && one_in(draw, 2);
		break;
	case 7:
		spec->value[F_ETHERNET] = PICK(draw, 1, 2);
		break;
	default:
		odd_header(draw, spec, F_OUTER_SOURCE, draw_below(draw, ODD_HEADER));
	}
}

static void odd_inner(struct draw *draw, struct spec *spec)
{
	switch (draw_below(draw, 10)) {
	case 0:
	case 1:
		spec->value[F_INNER_SOURCE] = odd_inner_address(draw);
		break;
	case 2:
		spec->value[F_INNER_DESTINATION] = odd_inner_address(draw);
		break;
	case 3:
		spec->value[F_L4_CHECKSUM] = PICK(draw, 1, 0x8000, 0xffff);
		spec->value[F_PARTIAL] = 0;
		break;
	case 4:
		spec->value[F_INNER_PROTOCOL] = PICK(draw, 4, 0, 50, 255, 41);
		break;
	default:
		odd_header(draw, spec, F_INNER_SOURCE, draw_below(draw, ODD_HEADER + 1));
	}
}

/* What the stack at the sender's end would give a device with offloads. */
static void draw_super(struct draw *draw, struct spec *spec)
{
	spec->value[F_DIRECTION] = DIRECTION_OUT;
	spec->value[F_INNER_PROTOCOL] = PICK(draw, CV_IPV4_PROTO_TCP, CV_IPV4_PROTO_UDP);
	spec->value[F_TCP_FLAGS] = PICK(draw, 0x10, 0x18, 0x90, 0x11);
	spec->value[F_MSS] = 0;
	spec->value[F_PARTIAL] = 1;
	spec->value[F_GSO] = PICK(draw, 100, 536, 1000, 1200, 1400, 1440, 1452, 1460);
	spec->value[F_DATA] =
		spec->value[F_GSO] * (1 + draw_below(draw, 8)) + draw_below(draw, 99) + 1;
}

/* The pod's packets, too, may be larger than their wire by no way. */
static void keep_within_wire(struct spec *spec)
{
	int64_t room = 1500 - 20 - 20 - 4 * spec->value[F_INNER_OPTIONS];

	if (spec->value[F_DIRECTION] == DIRECTION_IN)
		room -= 20 + 4 * spec->value[F_OUTER_OPTIONS] + spec->value[F_TRAIL];
	if (spec->value[F_MSS])
		room -= 4 + spec->value[F_MSS_AFTER] + 3;
	if (spec->value[F_DATA] > room && !spec->value[F_GSO])
		spec->value[F_DATA] = room;
	if (spec->value[F_DATA] < 0)
		spec->value[F_DATA] = 0;
}

static bool is_peer(uint32_t address)
{
	for (unsigned int i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (ways[i].peer == address)
			return true;
	}
	return false;
}

static bool is_answered_by_kernel(uint32_t address)
{
	return address == POD_NET || address == UNDER(0) || (address & ~0xffU) == NET(33) ||
	       (address & ~0xffU) == NET(34) || (address & ~0x7fU) == (NET(2) | 128);
}

/*
 * What is not compared, since the two are not alike by nature:
 * - over several next hops: packets whose way back does not lead to where they came from. The fast
 *   path has the choice that the kernel made for the packet; the engine asks for it, and can but
 *   guess where such a packet came from, and that a raw socket was asked about without source;
 * - fragments with a wrong checksum in the outer header: the kernel, which puts them together for
 *   packet sockets, does not look at it (net/ipv4/ip_fragment.c, ip_check_defrag);
 * - packets to destinations that the routing table refuses with an ICMP error: the kernel limits
 *   these errors by time, and no namespace can change it (net.ipv4.route.error_cost);
 * - a raw socket's packet without identification: the kernel draws one at random;
 * - a loopback address as source of a raw socket's packet: the kernel sends it, and answers
 *   questions about it with an error;
 * - over several next hops: ICMP errors, for which the kernel chooses by what they quote, and
 *   protocols other than TCP, UDP and ICMP, for which RTM_GETROUTE takes no ports; and
 *   fragments, whose ports the kernel does not read, nor the engine those of packets that the
 *   kernel fragmented after it had chosen, while endpoints' fragments go the way of their flow;
 * - what is too big for a tunnel's device and, at less, for a path (tun20 to .9): past the stack an
 *   endpoint is told of the path at once, through it first of the device;
 * - options in packets that are fragmented: the engine leaves out those that are not to be copied
 *   (RFC 791, 3.1), the kernel makes "no operation" of them;
 * - fragments that are fragmented again and would end beyond 65535 bytes: the engine refuses, the
 *   kernel lets the offset overflow;
 * - options of outer packets that the kernel answers into a tunnel (node.c leaves out the others);
 * - outer fragments of strangers: the fast path refuses each, the engine the whole;
 * - the reserved bit in packets that are fragmented: the kernel drops it, the engine keeps it;
 * - packets that the kernel fragments on the way to be dropped: it stops when the first one is.
 */
static void keep_comparable(struct spec *spec)
{
	int64_t *value = spec->value;
	int64_t host = value[F_INNER_SOURCE] & 0xff;
	bool from_pod = value[F_DIRECTION] == DIRECTION_OUT &&
			(value[F_INNER_SOURCE] & ~0xffLL) == POD_NET && host > 1 && host < 255;

	bool can_be_asked = value[F_INNER_PROTOCOL] == CV_IPV4_PROTO_TCP ||
			    value[F_INNER_PROTOCOL] == CV_IPV4_PROTO_UDP ||
			    (value[F_INNER_PROTOCOL] == CV_IPV4_PROTO_ICMP &&
			     (value[F_ICMP_TYPE] == 8 || value[F_ICMP_TYPE] == 0));

	if ((value[F_INNER_DESTINATION] & ~0xffLL) == NET(18)) {
		value[F_INNER_LENGTH] = 0;
		value[F_INNER_FRAGMENT] &= CV_IPV4_DF;
		if (value[F_DATA] > 1000 && !value[F_GSO])
			value[F_DATA] = 1000;
		if (value[F_GSO] > 1000)
			value[F_GSO] = 1000;
		if (!from_pod || !can_be_asked)
			value[F_INNER_DESTINATION] -= 0x100;
	}
	if (!is_peer((uint32_t)value[F_OUTER_SOURCE]) ||
	    (value[F_OUTER_DESTINATION] & ~0xffLL) != UNDER(0))
		value[F_SPLIT] = 0;
	if (value[F_SPLIT] || (value[F_OUTER_FRAGMENT] & (CV_IPV4_MF | CV_IPV4_OFFSET_MASK)))
		value[F_OUTER_CHECKSUM] = value[F_OUTER_IHL] = 0;
	if ((value[F_OUTER_SOURCE] & ~0xffLL) != UNDER(0))
		value[F_OUTER_OPTION] = CV_IPV4_OPTION_NOP;
	if (is_answered_by_kernel((uint32_t)value[F_OUTER_DESTINATION]))
		value[F_OUTER_DESTINATION] = NET(32) | 1;
	if (is_answered_by_kernel((uint32_t)value[F_INNER_DESTINATION]))
		value[F_INNER_DESTINATION] = NET(32) | 1;
	if (value[F_DIRECTION] == DIRECTION_IN) {
		if ((value[F_OUTER_DESTINATION] & ~0xffLL) != UNDER(0) && value[F_DATA] > 1000)
			value[F_DATA] = 1000;
		return;
	}
	if (from_pod && (value[F_INNER_DESTINATION] & ~0xffLL) == NET(21) && value[F_DATA] > 1400)
		value[F_DATA] = 1400;
	if ((value[F_INNER_OPTIONS] || (value[F_INNER_FRAGMENT] & 0x1f00) == 0x1f00) &&
	    value[F_DATA] > 1000)
		value[F_DATA] = 1000;
	if (value[F_DIRECTION] == DIRECTION_LOCAL && !value[F_INNER_ID])
		value[F_INNER_ID] = 1;
	if (value[F_DIRECTION] == DIRECTION_LOCAL && value[F_INNER_SOURCE] >> 24 == 127)
		value[F_INNER_SOURCE] = POD_NET | 1;
	if ((!from_pod || value[F_INNER_FRAGMENT] & CV_IPV4_RESERVED) && value[F_DATA] > 1000)
		value[F_DATA] = 1000;
}

void spec_draw(struct draw *draw, uint32_t number, struct spec *ret_spec)
{
	struct spec *spec = ret_spec;
	uint32_t odd = draw_below(draw, 3);

	draw_good(draw, number, spec);
	if (one_in(draw, 24))
		draw_super(draw, spec);
	for (; odd; odd--) {
		if (spec->value[F_DIRECTION] == DIRECTION_IN && !one_in(draw, 3))
			odd_in(draw, spec);
		else
			odd_inner(draw, spec);
	}
	keep_within_wire(spec);
	keep_comparable(spec);
}
