/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Received TCP segments merged into super-packets before they are written to the TUN
 * (the kernel's GRO rules), without copying payload: what is held are the caller's
 * buffers, until cv_coalesce_flush.
 *
 * Invariants: packets of one flow leave in the order they came; a segment is merged only
 * if its TCP checksum is right (or vouched for by the kernel: NEEDS_CSUM); a super-packet
 * segmented again gives the packets that went in (coalesce.c names the two exceptions,
 * neither of which means anything to a receiver).
 */
#ifndef CV_ENGINE_COALESCE_H
#define CV_ENGINE_COALESCE_H

#include <linux/virtio_net.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire/ipv4.h"

enum {
	CV_COALESCE_FLOWS = 16,	 /* super-packets under construction at a time */
	CV_COALESCE_PIECES = 64, /* payloads in one of them, and pieces of iov at most */
	CV_COALESCE_BYTES_MAX = 65535,
};

/*
 * Takes one finished packet: its vnet header, then iov[0..count-1] from the IPv4 header
 * on; packets is how many received packets it is made of (count == packets). Only valid
 * during the call. It must not call back into the coalescer, but for cv_coalesce_tag.
 */
typedef void (*cv_coalesce_sink)(void *context, const struct virtio_net_hdr *vnet,
				 const struct iovec *iov, unsigned int count, unsigned int packets);

struct cv_coalescer; /* fixed size, no allocation after creation */

/* Create; NULL and errno. The caller owns it: _destroy (NULL is fine), which does not flush. */
struct cv_coalescer *cv_coalesce_create(cv_coalesce_sink sink, void *context);
void cv_coalesce_destroy(struct cv_coalescer *coalescer);

/*
 * Give one inner packet: parsed (ip), checksum of the IPv4 header verified, packet of
 * ip->total_length bytes which the caller keeps untouched until the next
 * cv_coalesce_flush (its headers may be modified here), vnet (copied) with offsets
 * relative to the inner IPv4 header. Super-packets and everything that cannot be merged
 * pass through at once, unchanged, behind what is held of the same flow. The key of a
 * flow includes tag (the tunnel): nothing is merged across tags, and the sink learns the
 * tag by cv_coalesce_tag below.
 */
void cv_coalesce_add(struct cv_coalescer *coalescer, void *tag, const struct virtio_net_hdr *vnet,
		     uint8_t *packet, const struct cv_ipv4 *ip);

/* Hand out all that is held, oldest first. */
void cv_coalesce_flush(struct cv_coalescer *coalescer);

/* The tag of the packet now in the sink. */
void *cv_coalesce_tag(const struct cv_coalescer *coalescer);

#endif
