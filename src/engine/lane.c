/* SPDX-License-Identifier: Apache-2.0 */
/* A lane: what one packet passes by on its way through one worker. */
#include "engine/lane.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/icmp.h"

static enum cv_drop refusal_reason(int err)
{
	/* EIO is what a TUN device says that is down. */
	return err == -EIO || err == -ENETDOWN ? CV_DROP_DEVICE_DOWN : CV_DROP_DEVICE_WRITE_FAILED;
}

/* What was shown as delivered a moment ago, when its verdict fell, was refused by the device. */
__attribute__((cold, noinline)) static void show_refused(struct cv_lane *lane,
							 const struct cv_live_tunnel *tunnel,
							 const struct virtio_net_hdr *vnet,
							 const struct iovec *iov,
							 unsigned int count, enum cv_drop reason)
{
	const struct cv_fp_capture about = {
		.tunnel = (uint32_t)tunnel->config.ifindex,
		.gso_size = cv_segment_is_super(vnet) ? vnet->gso_size : 0,
		.hook = CV_FP_HOOK_TUNNEL_IN,
		.verdict = CV_FP_VERDICT_DROPPED,
		.drop = (uint8_t)reason,
	};

	cv_capture_ring_put(lane->capture, &about, iov, count);
}

/* The coalescer's finished packets go to the device of their tunnel; their tag is who sent them. */
static void deliver(void *context, const struct virtio_net_hdr *vnet, const struct iovec *iov,
		    unsigned int count, unsigned int packets)
{
	struct cv_lane *lane = context;
	struct cv_live_peer *peer = cv_coalesce_tag(lane->coalescer);
	struct cv_live_tunnel *tunnel = peer->tunnel;
	struct cv_counters *counters = &tunnel->lanes[lane->worker].counters;
	uint64_t bytes = 0;
	int err;

	for (unsigned int i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	err = lane->output.deliver(lane->output.context, tunnel, vnet, iov, count);
	if (packets > 1)
		counters->events[CV_EVENT_COALESCED] += packets;
	/* A super-packet counts as the packets that it stands for, headers included. */
	if (vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE && vnet->gso_size && bytes > vnet->hdr_len) {
		packets = (unsigned int)((bytes - vnet->hdr_len + vnet->gso_size - 1) /
					 vnet->gso_size);
		bytes += (uint64_t)(packets - 1) * vnet->hdr_len;
	}
	if (err) {
		counters->drops[refusal_reason(err)] += packets;
		if (cv_lane_is_captured(lane))
			show_refused(lane, tunnel, vnet, iov, count, refusal_reason(err));
		return;
	}
	counters->rx_packets += packets;
	counters->rx_bytes += bytes;
	peer->rx_packets += packets;
	peer->rx_bytes += bytes;
}

struct cv_lane *cv_lane_create(struct cv_lane_shared *shared, unsigned int worker,
			       const struct cv_router_source *source, const struct cv_tx_output *tx,
			       const struct cv_lane_output *output)
{
	struct cv_lane *lane = calloc(1, sizeof(*lane));

	if (!lane) {
		source->destroy(source->context);
		errno = ENOMEM;
		return NULL;
	}
	lane->shared = shared;
	lane->worker = worker;
	lane->output = *output;
	lane->router = cv_router_create(source, shared->live, shared->remotes, worker);
	lane->tx = cv_tx_create(tx, worker);
	lane->coalescer = cv_coalesce_create(deliver, lane);
	lane->scratch = malloc(CV_LANE_PACKET_MAX);
	lane->reassembled = malloc(CV_REASSEMBLY_BYTES);
	if (!lane->router || !lane->tx || !lane->coalescer || !lane->scratch ||
	    !lane->reassembled) {
		cv_lane_destroy(lane);
		errno = ENOMEM;
		return NULL;
	}
	return lane;
}

void cv_lane_destroy(struct cv_lane *lane)
{
	if (!lane)
		return;
	cv_router_destroy(lane->router);
	cv_tx_destroy(lane->tx);
	cv_coalesce_destroy(lane->coalescer);
	free(lane->scratch);
	free(lane->reassembled);
	free(lane);
}

void cv_lane_capture(struct cv_lane *lane, struct cv_capture_ring *ring)
{
	lane->capture = ring;
	lane->hand.packet = NULL;
	cv_tx_capture(lane->tx, ring);
}

void cv_lane_take(struct cv_lane *lane, enum cv_fp_hook hook, const struct virtio_net_hdr *vnet,
		  const uint8_t *packet, uint32_t length)
{
	lane->hand = (struct cv_lane_hand){
		.packet = packet,
		.length = length,
		.gso_size = vnet && cv_segment_is_super(vnet) ? vnet->gso_size : 0,
		.hook = (uint8_t)hook,
	};
}

void cv_lane_show(struct cv_lane *lane, const struct cv_live_tunnel *tunnel,
		  enum cv_fp_verdict verdict, enum cv_drop reason)
{
	const struct cv_lane_hand *hand = &lane->hand;
	const struct iovec packet = {(void *)(uintptr_t)hand->packet, hand->length};
	const struct cv_fp_capture about = {
		.tunnel = tunnel ? (uint32_t)tunnel->config.ifindex : 0,
		.gso_size = hand->gso_size,
		.hook = hand->hook,
		.verdict = (uint8_t)verdict,
		.drop = (uint8_t)reason,
	};

	if (hand->packet)
		cv_capture_ring_put(lane->capture, &about, &packet, 1);
}

void cv_lane_begin(struct cv_lane *lane, uint64_t now_ms)
{
	lane->now_ms = now_ms;
	cv_router_refresh(lane->router, now_ms);
}

void cv_lane_flush_out(struct cv_lane *lane)
{
	if (cv_tx_flush(lane->tx))
		cv_router_forget(lane->router);
}

void cv_lane_end(struct cv_lane *lane)
{
	cv_coalesce_flush(lane->coalescer);
	cv_lane_flush_out(lane);
}

bool cv_lane_answer(struct cv_lane *lane, struct cv_live_tunnel *tunnel, const struct cv_ipv4 *ip,
		    const uint8_t *packet, uint32_t length, uint8_t type, uint8_t code,
		    uint32_t rest)
{
	uint8_t message[CV_ICMP_DATAGRAM_MAX];
	uint32_t written;
	uint32_t payload = length > ip->header_length ? length - ip->header_length : 0;

	if (!cv_icmp_may_answer(ip, packet + ip->header_length, payload) ||
	    cv_router_is_broadcast(lane->router, ip->destination))
		return false;
	written = cv_icmp_build_error(message, sizeof(message), type, code, rest, packet, length);
	if (!written)
		return false;
	if (!cv_limit_allows(lane->shared->limit, ip->source, lane->now_ms)) {
		cv_lane_drop(lane, tunnel, CV_DROP_ICMP_RATE_LIMIT);
		return false;
	}
	return lane->output.icmp(lane->output.context, ip->source, message, written) == 0;
}
