/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch of outer packets on their way out.
 *
 * Every refusal of the kernel concerns one packet: it is counted by name and the rest of
 * the batch goes on. A full socket buffer concerns them all: the output waits once, shortly, so
 * that senders behind the TUN feel back pressure from its full queue instead of loss, as
 * behind a slow network card; if that did not help, the rest of the batch is dropped. To wait
 * for each would hold up the worker, and whoever waits for it, for most of a second.
 */
#define _GNU_SOURCE
#include "engine/tx.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct message {
	struct cv_live_peer *peer; /* whose it is, and which tunnel's */
	uint32_t inner_length;
	struct sockaddr_in to;
	struct iovec pieces[CV_TX_PIECES];
	struct cv_ipv4_header outer;
	uint8_t header[CV_SEGMENT_HEADER_MAX];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
};

struct cv_tx {
	struct cv_tx_output output;
	unsigned int worker;
	unsigned int count;
	struct cv_capture_ring *capture; /* NULL: nobody captures */
	struct mmsghdr vector[CV_TX_BATCH];
	struct message messages[CV_TX_BATCH];
};

struct cv_tx *cv_tx_create(const struct cv_tx_output *output, unsigned int worker)
{
	struct cv_tx *tx = calloc(1, sizeof(*tx));

	if (!tx)
		return NULL;
	tx->output = *output;
	tx->worker = worker;
	for (unsigned int i = 0; i < CV_TX_BATCH; i++) {
		struct message *message = &tx->messages[i];
		struct msghdr *header = &tx->vector[i].msg_hdr;

		message->to.sin_family = AF_INET;
		message->pieces[0].iov_base = &message->outer;
		message->pieces[0].iov_len = sizeof(message->outer);
		message->pieces[1].iov_base = message->header;
		header->msg_name = &message->to;
		header->msg_namelen = sizeof(message->to);
		header->msg_iov = message->pieces;
	}
	return tx;
}

void cv_tx_destroy(struct cv_tx *tx)
{
	free(tx);
}

void cv_tx_capture(struct cv_tx *tx, struct cv_capture_ring *ring)
{
	tx->capture = ring;
}

bool cv_tx_is_full(const struct cv_tx *tx)
{
	return tx->count == CV_TX_BATCH;
}

uint8_t *cv_tx_header(struct cv_tx *tx)
{
	return tx->messages[tx->count].header;
}

/*
 * The kernel routes this packet through the tunnel's dev, and from its local address: `ip rule
 * from` must say of the packet what it said when the router asked. It does not look at the header.
 */
static void direct(struct msghdr *header, struct message *message, int oif, __be32 local)
{
	struct in_pktinfo info = {
		.ipi_ifindex = oif,
		.ipi_spec_dst.s_addr = (CV_FORCE uint32_t)local,
	};
	struct cmsghdr *cmsg;

	header->msg_control = NULL;
	header->msg_controllen = 0;
	if (!oif && !local)
		return;
	header->msg_control = message->control.bytes;
	header->msg_controllen = sizeof(message->control.bytes);
	cmsg = CMSG_FIRSTHDR(header);
	cmsg->cmsg_level = IPPROTO_IP;
	cmsg->cmsg_type = IP_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
}

void cv_tx_add(struct cv_tx *tx, struct cv_live_tunnel *tunnel, const struct cv_way_out *way,
	       const struct cv_ipv4_header *outer, uint32_t header_length, const uint8_t *payload,
	       uint32_t payload_length)
{
	struct message *message = &tx->messages[tx->count];
	struct msghdr *header = &tx->vector[tx->count].msg_hdr;

	message->peer = cv_live_peer(tunnel, tx->worker, way->destination);
	message->inner_length = header_length + payload_length;
	message->outer = *outer;
	message->to.sin_addr.s_addr = (CV_FORCE uint32_t)way->destination;
	message->pieces[1].iov_len = header_length;
	message->pieces[2].iov_base = (void *)(uintptr_t)payload;
	message->pieces[2].iov_len = payload_length;
	header->msg_iovlen = payload_length ? CV_TX_PIECES : CV_TX_PIECES - 1;
	direct(header, message, way->oif, tunnel->config.local);
	tx->count++;
}

/* What was sent as it left; what was refused without its outer header, as it came. */
__attribute__((cold, noinline)) static void show(const struct cv_tx *tx, unsigned int from,
						 unsigned int to, enum cv_drop reason)
{
	unsigned int first = reason ? 1 : 0;

	for (unsigned int i = from; i < to; i++) {
		const struct cv_fp_capture about = {
			.tunnel = (uint32_t)tx->messages[i].peer->tunnel->config.ifindex,
			.hook = CV_FP_HOOK_ENGINE_OUT,
			.verdict = reason ? CV_FP_VERDICT_DROPPED : CV_FP_VERDICT_ENCAPSULATED,
			.drop = (uint8_t)reason,
		};

		cv_capture_ring_put(tx->capture, &about, tx->messages[i].pieces + first,
				    (unsigned int)tx->vector[i].msg_hdr.msg_iovlen - first);
	}
}

static void count_sent(const struct cv_tx *tx, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		const struct message *message = &tx->messages[i];
		struct cv_live_peer *peer = message->peer;
		struct cv_counters *counters = &peer->tunnel->lanes[tx->worker].counters;

		counters->tx_packets++;
		counters->tx_bytes += message->inner_length;
		peer->tx_packets++;
		peer->tx_bytes += message->inner_length;
	}
	if (tx->capture)
		show(tx, from, to, CV_DROP_NONE);
}

static enum cv_drop refusal_reason(int err)
{
	switch (err) {
	case -EAGAIN:
	case -ENOBUFS:
	case -ENOMEM:
		return CV_DROP_SEND_QUEUE_FULL;
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -EADDRNOTAVAIL:
		return CV_DROP_NO_OUTER_ROUTE;
	default:
		return CV_DROP_SEND_FAILED;
	}
}

static void count_refused(const struct cv_tx *tx, unsigned int from, unsigned int to,
			  enum cv_drop reason)
{
	for (unsigned int i = from; i < to; i++)
		tx->messages[i].peer->tunnel->lanes[tx->worker].counters.drops[reason]++;
	if (tx->capture)
		show(tx, from, to, reason);
}

bool cv_tx_flush(struct cv_tx *tx)
{
	bool too_big = false;
	unsigned int done = 0;

	while (done < tx->count) {
		int sent = tx->output.send(tx->output.context, tx->vector + done, tx->count - done);
		unsigned int refused = sent == -EAGAIN ? tx->count - done : 1;

		if (sent > 0) {
			count_sent(tx, done, done + (unsigned int)sent);
			done += (unsigned int)sent;
			continue;
		}
		count_refused(tx, done, done + refused, refusal_reason(sent));
		too_big |= sent == -EMSGSIZE;
		done += refused;
	}
	tx->count = 0;
	return too_big;
}
