/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes wire/icmp.h, the way an error from within a tunnel takes: parse it, parse its
 * quote, ask the relay rules, build the message for the original sender, parse that.
 * Input: one byte that says the parameters and whether the ICMP checksum is mended
 * first, then the ICMP message.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/icmp.h"

enum {
	MEND = 0x80
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_rule(const struct cv_icmp_relay *relay, const struct cv_icmp_error *error)
{
	if (relay->action == CV_ICMP_RELAY_NONE) {
		demand(relay->type == 0);
		return;
	}
	/* RFC 2003, 4: these two never, and nothing but these types. */
	demand(error->type != CV_ICMP_REDIRECT && error->type != CV_ICMP_SOURCE_QUENCH);
	demand(relay->type == CV_ICMP_DEST_UNREACHABLE ||
	       (relay->type == CV_ICMP_PARAMETER_PROBLEM && error->type == relay->type));
	demand(relay->code == CV_ICMP_FRAGMENTATION_NEEDED ? relay->mtu >= 68 : !relay->mtu);
}

static void relay_to_sender(const struct cv_icmp_relay *relay, const struct cv_ipip_quote *quote,
			    const uint8_t *inner)
{
	uint32_t rest = relay->type == CV_ICMP_PARAMETER_PROBLEM ? relay->pointer : relay->mtu;
	uint8_t out[CV_ICMP_DATAGRAM_MAX];
	struct cv_icmp_error again = {0};
	uint32_t written;

	written = cv_icmp_build_error(out, sizeof(out), relay->type, relay->code, rest, inner,
				      quote->inner_length);
	demand(written >= CV_ICMP_HEADER + CV_IPV4_HEADER_MIN);
	demand(written <= CV_ICMP_DATAGRAM_MAX - CV_IPV4_HEADER_MIN);
	demand(cv_icmp_parse_error(out, written, &again) == CV_DROP_NONE);
	demand(again.type == relay->type && again.code == relay->code);
	demand(again.mtu == relay->mtu && again.pointer == relay->pointer);
	demand(memcmp(out + CV_ICMP_HEADER, inner, written - CV_ICMP_HEADER) == 0);
}

static void receive(const uint8_t *icmp, uint32_t size, const struct cv_ipip_params *params)
{
	struct cv_icmp_error error;
	struct cv_ipip_quote quote;
	struct cv_icmp_relay relay;
	const uint8_t *quoted;
	uint32_t info;

	if (cv_icmp_parse_error(icmp, size, &error) != CV_DROP_NONE)
		return;
	demand(error.quoted_offset + error.quoted_length <= size);
	quoted = icmp + error.quoted_offset;
	if (cv_ipip_parse_quote(quoted, error.quoted_length, &quote) != CV_DROP_NONE)
		return;
	info = error.pointer;
	if (error.type == CV_ICMP_DEST_UNREACHABLE) {
		info = cv_icmp_path_mtu(error.mtu, &quote.outer, 1500);
		demand(info >= 68 && info <= 1500);
	}
	relay = cv_icmp_relay_rule(error.type, error.code, info, params);
	check_rule(&relay, &error);
	if (!quote.has_inner || relay.action == CV_ICMP_RELAY_NONE)
		return;
	(void)cv_icmp_may_answer(&quote.inner,
				 quoted + quote.inner_offset + quote.inner.header_length,
				 quote.inner_length - quote.inner.header_length);
	relay_to_sender(&relay, &quote, quoted + quote.inner_offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_ipip_params params = {0};
	uint8_t *icmp;

	if (size < 1 || size > CV_IPV4_LENGTH_MAX)
		return 0;
	params.tos_inherit = data[0] & 1;
	params.ttl = data[0] & 2 ? 64 : 0;
	icmp = malloc(size);
	if (!icmp)
		return 0;
	memcpy(icmp, data + 1, --size);
	if (data[0] & MEND && size >= CV_ICMP_HEADER) {
		cv_bytes_store16(icmp + 2, 0);
		cv_bytes_store16(icmp + 2, cv_checksum_fold(cv_checksum_add(icmp, (__u32)size, 0)));
	}
	receive(icmp, (uint32_t)size, &params);
	free(icmp);
	return 0;
}
