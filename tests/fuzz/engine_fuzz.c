/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the engine's two directions and its ICMP relay, over one lane in a world without
 * a kernel. Input: a direction byte, a byte of the tunnel's parameters, a byte of which
 * checksums to mend (else no input would come far), a vnet header (10 bytes), the packet.
 *
 * Whatever comes in, what goes out must be right: outer packets that parse, fit the path and
 * come from our address; inner packets that parse and do not claim to be ours.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/world.h"
#include "engine/relay.h"
#include "wire/icmp.h"
#include "wire/tcp.h"
#include "wire/ipip.h"

enum {
	INPUT_HEADER = 3 + sizeof(struct virtio_net_hdr),
	PATH_MTU = 1500
};
enum {
	DIRECTION_OUT,
	DIRECTION_IN,
	DIRECTION_RELAY,
	DIRECTIONS
};
enum {
	MEND_FIRST = 1,
	MEND_SECOND = 2,
	NBMA = 4
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static uint32_t mend(uint8_t *header, size_t size)
{
	uint32_t length;

	if (size < CV_IPV4_HEADER_MIN)
		return (uint32_t)size;
	length = (header[0] & 0xfU) * 4;
	if (length >= CV_IPV4_HEADER_MIN && length <= size)
		cv_ipv4_set_checksum(header, length);
	return length < size ? length : (uint32_t)size;
}

static void mend_packet(uint8_t choice, uint8_t *packet, size_t size)
{
	uint32_t first = (packet[0] & 0xfU) * 4;

	if (choice & MEND_FIRST)
		first = mend(packet, size);
	if ((choice & MEND_SECOND) && first < size)
		mend(packet + first, size - first);
}

static void check_sent(const struct world *world)
{
	for (unsigned int i = 0; i < world->sent.count; i++) {
		const struct world_output *item = &world->sent.items[i];
		struct cv_ipv4 outer = {0}, inner = {0};

		demand(!cv_ipip_parse(item->bytes, item->length, &outer, &inner));
		demand(outer.total_length == item->length && item->length <= PATH_MTU);
		demand(outer.source == world_addr("192.168.100.1"));
		demand(outer.destination == item->destination);
		demand(outer.dont_fragment || !inner.dont_fragment);
		demand(inner.total_length == outer.payload_length);
		demand(inner.source != outer.destination);
	}
}

static void check_delivered(const struct world *world)
{
	for (unsigned int i = 0; i < world->delivered.count; i++) {
		const struct world_output *item = &world->delivered.items[i];
		const struct virtio_net_hdr *vnet = &item->vnet;
		struct cv_ipv4 inner = {0};

		demand(!cv_ipip_parse_inner(item->bytes, item->length, &inner));
		demand(inner.total_length == item->length);
		demand(!cv_ipv4_is_martian_source(inner.source));
		demand(inner.source != world_addr("192.168.100.1"));
		if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			demand(vnet->csum_start + vnet->csum_offset + 2U <= item->length);
		if (vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE)
			demand(vnet->gso_size && vnet->hdr_len <= item->length);
	}
}

static void check_icmp(const struct world *world)
{
	for (unsigned int i = 0; i < world->icmp.count; i++) {
		struct cv_icmp_error error = {0};

		demand(!cv_icmp_parse_error(world->icmp.items[i].bytes, world->icmp.items[i].length,
					    &error));
		demand(world->icmp.items[i].length <= CV_ICMP_DATAGRAM_MAX);
		demand(!cv_ipv4_is_martian_source(world->icmp.items[i].destination));
	}
}

static void relay(struct world *world, const struct virtio_net_hdr *vnet, const uint8_t *packet,
		  size_t size)
{
	struct cv_raw_error error = {
		.type = vnet->flags,
		.code = vnet->gso_type,
		.info = vnet->gso_size,
		.offender = world_addr("192.168.100.254"),
		.quoted = (uint32_t)(size < CV_RAW_QUOTE_MAX ? size : CV_RAW_QUOTE_MAX),
	};

	memcpy(error.quote, packet, error.quoted);
	cv_lane_begin(world->lane, world->now_ms);
	cv_relay_error(world->lane, &error);
	cv_lane_end(world->lane);
	/* What was learned shows in the next packet. */
	world_out(world, world->live.slots[0], NULL, packet, (uint32_t)size);
}

static struct cv_live_tunnel *build_tunnel(struct world *world, uint8_t params, uint8_t choice)
{
	const char *remote = choice & NBMA ? NULL : "192.168.200.2";
	struct cv_live_tunnel *tunnel = world_tunnel(world, WORLD_TUN0, remote, "192.168.100.1");

	world_hop(world_route(world, "10.244.2.0/24", RTN_UNICAST), WORLD_TUN0,
		  remote ? NULL : "192.168.200.2");
	tunnel->config.ipip.pmtudisc = params & 1;
	tunnel->config.ipip.ttl = params & 2 && params & 1 ? 64 : 0;
	tunnel->config.ipip.tos_inherit = params & 4;
	tunnel->config.ipip.ecn_mode = params & 8 ? CV_ECN_COMPATIBLE : CV_ECN_NORMAL;
	tunnel->config.strict = params & 16;
	if (params & 32)
		tunnel->config.mssclamp = params & 64 ? CV_TCP_MSS_OFF : 1000;
	return tunnel;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_live_tunnel *tunnel;
	struct virtio_net_hdr vnet;
	struct world *world;
	uint8_t *packet;

	if (size <= INPUT_HEADER || size - INPUT_HEADER > WORLD_BYTES)
		return 0;
	world = world_create();
	tunnel = build_tunnel(world, data[1], data[2]);
	memcpy(&vnet, data + 3, sizeof(vnet));
	packet = malloc(size - INPUT_HEADER);
	demand(packet != NULL);
	size -= INPUT_HEADER;
	memcpy(packet, data + INPUT_HEADER, size);
	mend_packet(data[2], packet, size);
	if (data[0] % DIRECTIONS == DIRECTION_OUT)
		world_out(world, tunnel, &vnet, packet, (uint32_t)size);
	else if (data[0] % DIRECTIONS == DIRECTION_IN)
		world_in(world, &vnet, packet, (uint32_t)size);
	else
		relay(world, &vnet, packet, size);
	check_sent(world);
	check_delivered(world);
	check_icmp(world);
	free(packet);
	world_destroy(world);
	return 0;
}
