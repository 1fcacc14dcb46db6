/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Path probes: ICMP echo requests (RFC 792) whose data begin with words of ours, padded with zeroes
 * to the size that is tested. Any host answers them with the same words, so whoever has not seen
 * the request cannot make up an answer.
 *
 * A probe within a tunnel is recognised on its way back before anybody asks whether its inner
 * source, the remote's outer address, may come through the tunnel: it is not delivered to anybody.
 */
#ifndef CV_WIRE_PROBE_H
#define CV_WIRE_PROBE_H

#include "wire/types.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"

enum {
	CV_PROBE_ID = 0x4376, /* the echo's identifier, all probes' */
	CV_PROBE_MAGIC = 0x63767062,
};

/* An echo message up to the end of our words. */
struct cv_probe_message {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id;
	__be16 sequence;
	__be32 magic;
	__be16 size; /* of the outer packet (underlay: of the packet), bytes */
	__be16 host; /* the same in all that one host sends: for a filter in the kernel */
	__u8 secret[8];
};
_Static_assert(sizeof(struct cv_probe_message) == 24, "no padding");

/* What a probe says. */
struct cv_probe_words {
	__u16 sequence;
	__u16 size; /* bytes */
	__u16 host;
	__u8 secret[8];
};

/* Writes an echo request up to the end of our words; zeroes behind it are in its checksum. */
CV_INLINE void cv_probe_build(struct cv_probe_message *out, const struct cv_probe_words *words)
{
	struct cv_probe_message message = {
		.type = CV_ICMP_ECHO,
		.id = cv_htons(CV_PROBE_ID),
		.sequence = cv_htons(words->sequence),
		.magic = cv_htonl(CV_PROBE_MAGIC),
		.size = cv_htons(words->size),
		.host = cv_htons(words->host),
	};

	__builtin_memcpy(message.secret, words->secret, sizeof(message.secret));
	message.checksum = cv_checksum_fold(cv_checksum_add(&message, sizeof(message), 0));
	*out = message;
}

/*
 * Reads a probe's words from the first bytes of an ICMP message of this type (CV_ICMP_ECHO_REPLY:
 * an answer; CV_ICMP_ECHO: a request of ours that an error quotes). Of a fragmented answer the
 * first fragment will do: it was sent because the whole request arrived. The checksum is left to
 * the secret. False: no probe.
 */
CV_INLINE bool cv_probe_parse(const void *icmp, __u32 length, __u8 type,
			      struct cv_probe_words *ret_words)
{
	struct cv_probe_message message;

	if (length < sizeof(message))
		return false;
	__builtin_memcpy(&message, icmp, sizeof(message));
	if (message.type != type || message.code || message.id != cv_htons(CV_PROBE_ID) ||
	    message.magic != cv_htonl(CV_PROBE_MAGIC))
		return false;
	ret_words->sequence = cv_ntohs(message.sequence);
	ret_words->size = cv_ntohs(message.size);
	ret_words->host = cv_ntohs(message.host);
	__builtin_memcpy(ret_words->secret, message.secret, sizeof(message.secret));
	return true;
}

/* True if an inner packet with this header may be a probe's answer: to be read closer. */
CV_INLINE bool cv_probe_may_be(const struct cv_ipv4 *ip)
{
	return ip->protocol == CV_IPV4_PROTO_ICMP && !ip->fragment_offset;
}

#endif
