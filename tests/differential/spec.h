/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet of the differential test as a list of numbers, from which its bytes are made: what
 * a generator can draw, a minimiser can set back one by one, and a person can read and type.
 */
#ifndef CV_TEST_SPEC_H
#define CV_TEST_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/segment.h"

enum direction {
	DIRECTION_IN,	 /* an outer packet on the underlay's wire */
	DIRECTION_OUT,	 /* an inner packet on the pod's wire */
	DIRECTION_LOCAL, /* an inner packet of the node itself: a raw socket */
};

/* Of an IPv4 header. Deltas and masks say by how much a field lies. */
#define SPEC_HEADER(X, ID, name, source, destination, protocol)                        \
	X(ID##_SOURCE, name ".src", source)                                            \
	X(ID##_DESTINATION, name ".dst", destination)                                  \
	X(ID##_VERSION, name ".version", 4)                                            \
	X(ID##_IHL, name ".ihl", 0) /* added to the right one, in words */             \
	X(ID##_TOS, name ".tos", 0)                                                    \
	X(ID##_LENGTH, name ".len", 0) /* added to the right one */                    \
	X(ID##_ID, name ".id", 0x1234)                                                 \
	X(ID##_FRAGMENT, name ".frag", 0x4000) /* flags and offset */                  \
	X(ID##_TTL, name ".ttl", 64)                                                   \
	X(ID##_PROTOCOL, name ".proto", protocol)                                      \
	X(ID##_CHECKSUM, name ".chksum", 0) /* the right one, with these bits wrong */ \
	X(ID##_OPTIONS, name ".options", 0) /* words */                                \
	X(ID##_OPTION, name ".option", 1)   /* the first one's type */

/* Addresses as in world.py: a peer and the pods behind it, our own. */
#define SPEC_FIELDS(X)                                                                     \
	X(DIRECTION, "direction", DIRECTION_IN)                                            \
	X(ETHERNET, "ethernet", 0) /* 0: to the host, 1: to another one, 2: broadcast */   \
	X(PADDING, "padding", 0)   /* the frame is made at least that long */              \
	X(CUT, "cut", 0)	   /* so many bytes of the frame are missing */            \
	SPEC_HEADER(X, OUTER, "outer", 0xc0a86402, 0xc0a86401, 4)                          \
	SPEC_HEADER(X, INNER, "inner", 0x0af40202, 0x0af40102, 17)                         \
	X(DATA, "data", 16) /* bytes behind the inner headers */                           \
	X(SOURCE_PORT, "sport", 4000)                                                      \
	X(DESTINATION_PORT, "dport", 5000)                                                 \
	X(TCP_FLAGS, "tcpflags", 0x10)                                                     \
	X(MSS, "mss", 0)	    /* in a TCP option, if not 0 */                        \
	X(MSS_AFTER, "mssafter", 0) /* so many "no operation" */                           \
	X(MSS_CLAMP, "mssclamp", 0) /* of the tunnel, where a packet can choose it */      \
	X(ICMP_TYPE, "icmptype", 8)                                                        \
	X(L4_CHECKSUM, "l4chksum", 0) /* wrong bits */                                     \
	X(PARTIAL, "partial", 0)      /* the transport checksum is left to an offload */   \
	X(GSO, "gso", 0)	      /* a super-packet of segments of this size */        \
	X(TRAIL, "trail", 0)	      /* bytes in the outer packet behind the inner one */ \
	X(SPLIT, "split", 0)	      /* outer fragments of so many times 8 bytes */       \
	X(SKIP, "skip", 0)	      /* without this one of them, counted from 1 */       \
	X(BACKWARDS, "backwards", 0)  /* the last one first */

enum field {
#define SPEC_ENUM(id, name, value) F_##id,
	SPEC_FIELDS(SPEC_ENUM)
#undef SPEC_ENUM
	F_MAX
};

struct spec {
	int64_t value[F_MAX];
};

enum {
	SPEC_ETHERNET = 14,
	SPEC_FRAME_MAX = 65536,
	SPEC_FRAMES_MAX = 64,
};

/* A frame as it is sent: from the Ethernet header on; LOCAL: from the IPv4 header on. */
struct frame {
	struct virtio_net_hdr vnet;
	uint32_t length;
	uint8_t bytes[SPEC_FRAME_MAX];
};

void spec_default(struct spec *ret_spec);

/* Makes the frames of a packet, at most SPEC_FRAMES_MAX; returns how many. */
unsigned int spec_build(const struct spec *spec, struct frame *ret_frames);

/* "direction=1 inner.ttl=1": the fields that are not as in spec_default. Addresses with dots. */
void spec_print(FILE *file, const struct spec *spec);

/* The same read. False: not understood. */
bool spec_parse(const char *text, struct spec *ret_spec);

/*
 * Make a packet that fails simpler: every field back to its default, then numbers halved, as long
 * as still_fails says so.
 */
void spec_minimise(struct spec *spec, bool (*still_fails)(void *context, const struct spec *spec),
		   void *context);

/* ---- the generator ---- */

struct draw {
	uint64_t state;
};

uint32_t draw_below(struct draw *draw, uint32_t limit);

/* The next packet: valid, odd or hostile. number: of the packet, becomes its inner id. */
void spec_draw(struct draw *draw, uint32_t number, struct spec *ret_spec);

#endif
