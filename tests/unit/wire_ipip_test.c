/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/ipip.h: the outer header for every combination of parameters, each field by
 * the sentence of RFC 2003, 3.1 that rules it; one reason for each way in which a
 * received packet can be wrong; quotes of our own packets cut at every length.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wire/ipip.h"
#include "wire_oracle.h"

enum {
	HERE = 0xc0a86401,  /* 192.168.100.1, the encapsulator */
	THERE = 0xc0a8c802, /* 192.168.200.2, the decapsulator */
};

static struct oracle_ip inner_packet(void)
{
	return (struct oracle_ip){
		.tos = 0x28,
		.ttl = 63,
		.protocol = 17,
		.id = 0x1234,
		.source = 0x0af40102,
		.destination = 0x0af40202,
		.payload_length = 100,
	};
}

static struct cv_ipv4 parsed(const uint8_t *header)
{
	struct cv_ipv4 ip = {0};

	assert_int_equal(cv_ipv4_parse_header(header, 60, &ip), CV_DROP_NONE);
	return ip;
}

/* ---- the outer header ---------------------------------------------------------------- */

/* Builds one; returns it as bytes. */
static void build(uint8_t outer[20], const struct cv_ipip_params *params,
		  const struct oracle_ip *said)
{
	struct cv_ipv4_header header;
	uint8_t bytes[60] = {0};
	struct cv_ipv4 inner;

	oracle_header(bytes, said);
	inner = parsed(bytes);
	assert_int_equal(cv_ipip_build_outer(&header, params, &inner, cv_htonl(HERE),
					     cv_htonl(THERE), cv_htons(0xabcd), inner.total_length),
			 CV_DROP_NONE);
	memcpy(outer, &header, 20);
}

/* The six upper bits by tos, the two lower ones by RFC 6040, figure 3. */
static uint8_t expected_tos(const struct cv_ipip_params *params, uint8_t inner_tos)
{
	uint8_t tos = params->tos_inherit ? inner_tos : params->tos;

	tos = (uint8_t)(tos / 4 * 4);
	if (params->ecn_mode == CV_ECN_NORMAL)
		tos |= inner_tos % 4;
	return tos;
}

static void check_outer(const struct cv_ipip_params *params, const struct oracle_ip *said)
{
	bool df = params->pmtudisc || said->flags_offset & 0x4000;
	struct oracle_ip expected = {
		.tos = expected_tos(params, said->tos),
		.ttl = params->ttl ? params->ttl : said->ttl,
		.protocol = 4,
		.id = 0xabcd,
		.flags_offset = df ? 0x4000 : 0,
		.source = HERE,
		.destination = THERE,
		.payload_length = 20U + said->options_length + said->payload_length,
	};
	uint8_t outer[20], bytes[20];

	build(outer, params, said);
	oracle_header(bytes, &expected);
	assert_memory_equal(outer, bytes, 20);
}

/* RFC 2003, 3.1: every parameter with every kind of inner header. */
static void rfc_2003_3_1_outer_header(void **state)
{
	static const uint16_t fields[] = {0, 0x4000, 0x2000, 0x2000 | 185, 0x4000 | 7, 185};
	static const uint8_t ttls[] = {0, 1, 64, 255};

	(void)state;
	for (unsigned int bits = 0; bits < 8; bits++) {
		for (size_t t = 0; t < sizeof(ttls); t++) {
			for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
				for (unsigned int tos = 0; tos < 256; tos++) {
					const struct cv_ipip_params params = {
						.ttl = ttls[t],
						.tos = (uint8_t)(tos * 7),
						.tos_inherit = bits & 1,
						.pmtudisc = bits & 2,
						.ecn_mode = bits & 4 ? CV_ECN_COMPATIBLE
								     : CV_ECN_NORMAL,
					};
					struct oracle_ip said = inner_packet();

					said.tos = (uint8_t)tos;
					said.flags_offset = fields[f];
					said.ttl = (uint8_t)(1 + tos % 255);
					check_outer(&params, &said);
				}
			}
		}
	}
}

static void rfc_2003_3_1_options_are_not_copied(void **state)
{
	const struct cv_ipip_params params = {.tos_inherit = true};
	struct oracle_ip said = inner_packet();

	(void)state;
	said.options_length = 12;
	said.options[0] = 0x83;
	said.options[1] = 11;
	check_outer(&params, &said);
}

static void rfc_2003_3_1_ttl_zero_is_not_encapsulated(void **state)
{
	static const uint8_t ttls[] = {0, 64};
	struct oracle_ip said = inner_packet();
	struct cv_ipv4_header outer, before;
	uint8_t bytes[60] = {0};
	struct cv_ipv4 inner;

	(void)state;
	said.ttl = 0;
	oracle_header(bytes, &said);
	inner = parsed(bytes);
	for (int i = 0; i < 2; i++) {
		const struct cv_ipip_params params = {.ttl = ttls[i], .pmtudisc = true};

		memset(&outer, 0xa5, sizeof(outer));
		memcpy(&before, &outer, sizeof(outer));
		assert_int_equal(cv_ipip_build_outer(&outer, &params, &inner, cv_htonl(HERE),
						     cv_htonl(THERE), 0, inner.total_length),
				 CV_DROP_INNER_TTL_ZERO);
		assert_memory_equal(&outer, &before, sizeof(outer));
	}
}

static void no_datagram_is_larger_than_65535(void **state)
{
	const struct cv_ipip_params params = {0};
	struct oracle_ip said = inner_packet();
	struct cv_ipv4_header outer;
	uint8_t bytes[60] = {0};
	struct cv_ipv4 inner;

	(void)state;
	oracle_header(bytes, &said);
	inner = parsed(bytes);
	assert_int_equal(cv_ipip_build_outer(&outer, &params, &inner, 0, 0, 0, 65515),
			 CV_DROP_NONE);
	assert_int_equal(cv_ntohs(outer.total_length), 65535);
	assert_int_equal(cv_ipip_build_outer(&outer, &params, &inner, 0, 0, 0, 65516),
			 CV_DROP_TOO_BIG);
	assert_int_equal(cv_ipip_build_outer(&outer, &params, &inner, 0, 0, 0, 0xffffffff),
			 CV_DROP_TOO_BIG);
}

/* As iproute2: "ttl != 0 and nopmtudisc are incompatible". */
static void a_fixed_ttl_demands_pmtudisc(void **state)
{
	(void)state;
	for (unsigned int ttl = 0; ttl < 256; ttl++) {
		struct cv_ipip_params params = {.ttl = (uint8_t)ttl};

		assert_int_equal(cv_ipip_params_valid(&params), ttl == 0);
		params.pmtudisc = true;
		assert_true(cv_ipip_params_valid(&params));
		params.ecn_mode = CV_ECN_COMPATIBLE + 1;
		assert_false(cv_ipip_params_valid(&params));
	}
}

/* ---- received packets ---------------------------------------------------------------- */

struct tunnelled {
	uint8_t bytes[256];
	uint32_t length;
	uint8_t *inner;
	uint32_t outer_header;
};

static struct oracle_ip outer_packet(uint32_t payload_length)
{
	return (struct oracle_ip){
		.tos = 0x28,
		.ttl = 60,
		.protocol = 4,
		.source = HERE,
		.destination = THERE,
		.flags_offset = 0x4000,
		.payload_length = payload_length,
	};
}

/* A good packet; options words of options in the outer header, trailing bytes inside. */
static void make(struct tunnelled *packet, uint8_t options, uint32_t trailing)
{
	struct oracle_ip inner = inner_packet();
	struct oracle_ip outer = outer_packet(20U + inner.payload_length + trailing);

	oracle_fill(packet->bytes, sizeof(packet->bytes));
	outer.options_length = (uint8_t)(options * 4);
	memset(outer.options, 1, sizeof(outer.options));
	packet->outer_header = oracle_header(packet->bytes, &outer);
	packet->inner = packet->bytes + packet->outer_header;
	oracle_header(packet->inner, &inner);
	packet->length = packet->outer_header + outer.payload_length;
}

static enum cv_drop receive(const struct tunnelled *packet, uint32_t captured)
{
	uint8_t *copy = malloc(captured + !captured);
	struct cv_ipv4 outer, inner, before;
	enum cv_drop drop;

	assert_non_null(copy);
	memcpy(copy, packet->bytes, captured);
	memset(&outer, 0xa5, sizeof(outer));
	memset(&inner, 0xa5, sizeof(inner));
	memcpy(&before, &outer, sizeof(outer));
	drop = cv_ipip_parse(copy, captured, &outer, &inner);
	if (drop) {
		assert_memory_equal(&outer, &before, sizeof(outer));
		assert_memory_equal(&inner, &before, sizeof(inner));
	} else {
		assert_int_equal(outer.protocol, 4);
		assert_int_equal(outer.header_length, packet->outer_header);
		assert_int_equal(cv_ntohl(outer.source), HERE);
		assert_int_equal(inner.protocol, 17);
		assert_int_equal(inner.total_length, 120);
		assert_int_equal(cv_ntohl(inner.destination), 0x0af40202);
	}
	free(copy);
	return drop;
}

static void good_packets(void **state)
{
	struct tunnelled packet;

	(void)state;
	for (uint8_t options = 0; options <= 10; options++) {
		for (uint32_t trailing = 0; trailing < 30; trailing++) {
			make(&packet, options, trailing);
			assert_int_equal(receive(&packet, packet.length), CV_DROP_NONE);
			/* Ethernet padding after the outer datagram. */
			assert_int_equal(receive(&packet, packet.length + 20), CV_DROP_NONE);
		}
	}
}

static void cut_short(void **state)
{
	struct tunnelled packet;

	(void)state;
	make(&packet, 0, 0);
	for (uint32_t captured = 0; captured < packet.length; captured++)
		assert_int_equal(receive(&packet, captured), CV_DROP_TRUNCATED);
}

/* The inner packet says it is longer than the outer one has room for. */
static void inner_longer_than_the_outer(void **state)
{
	struct tunnelled packet;

	(void)state;
	for (uint32_t room = 0; room < 120; room++) {
		struct oracle_ip outer = outer_packet(room);

		make(&packet, 0, 0);
		oracle_header(packet.bytes, &outer);
		/* The rest of the inner packet is there, but not in the datagram. */
		assert_int_equal(receive(&packet, 140), CV_DROP_INNER_TRUNCATED);
	}
}

static void outer_faults(void **state)
{
	struct tunnelled packet;

	(void)state;
	make(&packet, 0, 0);
	packet.bytes[0] = 0x65;
	assert_int_equal(receive(&packet, packet.length), CV_DROP_BAD_VERSION);
	make(&packet, 0, 0);
	packet.bytes[0] = 0x44;
	assert_int_equal(receive(&packet, packet.length), CV_DROP_BAD_HEADER_LENGTH);
	make(&packet, 0, 0);
	packet.bytes[8]--;
	assert_int_equal(receive(&packet, packet.length), CV_DROP_BAD_CHECKSUM);
	make(&packet, 0, 0);
	packet.bytes[9] = 41;
	oracle_seal(packet.bytes, 20);
	assert_int_equal(receive(&packet, packet.length), CV_DROP_INNER_NOT_IPV4);
	for (uint16_t field = 0x2000; field; field = field == 0x2000 ? 1 : 0) {
		make(&packet, 0, 0);
		oracle_put16(packet.bytes + 6, field);
		oracle_seal(packet.bytes, 20);
		assert_int_equal(receive(&packet, packet.length), CV_DROP_INNER_TRUNCATED);
	}
}

static void inner_faults(void **state)
{
	struct tunnelled packet;

	(void)state;
	for (unsigned int version = 0; version < 16; version++) {
		make(&packet, 0, 0);
		packet.inner[0] = (uint8_t)(version << 4 | 5);
		oracle_seal(packet.inner, 20);
		assert_int_equal(receive(&packet, packet.length),
				 version == 4 ? CV_DROP_NONE : CV_DROP_INNER_NOT_IPV4);
	}
	for (uint8_t ihl = 0; ihl < 5; ihl++) {
		make(&packet, 0, 0);
		packet.inner[0] = 0x40 | ihl;
		oracle_seal(packet.inner, 20);
		assert_int_equal(receive(&packet, packet.length), CV_DROP_INNER_BAD_HEADER_LENGTH);
	}
	make(&packet, 0, 0);
	packet.inner[0] = 0x46;
	oracle_put16(packet.inner + 2, 20);
	oracle_seal(packet.inner, 24);
	assert_int_equal(receive(&packet, packet.length), CV_DROP_INNER_BAD_HEADER_LENGTH);
	for (int bit = 0; bit < 160; bit++) {
		/* Not those of version, IHL and length: other reasons come first there. */
		if (bit < 8 || (bit >= 16 && bit < 32))
			continue;
		make(&packet, 0, 0);
		packet.inner[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		assert_int_equal(receive(&packet, packet.length), CV_DROP_INNER_BAD_CHECKSUM);
	}
	/* RFC 2003, 3.1: "if the inner datagram has TTL = 0, MUST discard". */
	make(&packet, 0, 0);
	packet.inner[8] = 0;
	oracle_seal(packet.inner, 20);
	assert_int_equal(receive(&packet, packet.length), CV_DROP_INNER_TTL_ZERO);
}

/* One layer comes off, whatever lies below: 60 deep, each parse shows the next one. */
static void exactly_one_layer(void **state)
{
	uint8_t bytes[61 * 20 + 8] = {0};
	uint32_t length = sizeof(bytes);

	(void)state;
	for (uint32_t layer = 0; layer < 61; layer++) {
		struct oracle_ip ip = outer_packet(length - 20 * (layer + 1));

		ip.id = (uint16_t)layer;
		ip.protocol = layer < 60 ? 4 : 17;
		oracle_header(bytes + 20 * layer, &ip);
	}
	for (uint32_t layer = 0; layer < 60; layer++) {
		struct cv_ipv4 outer = {0}, inner = {0};

		assert_int_equal(
			cv_ipip_parse(bytes + 20 * layer, length - 20 * layer, &outer, &inner),
			CV_DROP_NONE);
		assert_int_equal(cv_ntohs(outer.id), layer);
		assert_int_equal(cv_ntohs(inner.id), layer + 1);
	}
}

/* ---- quotes ---------------------------------------------------------------------------- */

static enum cv_drop quote_of(const uint8_t *bytes, uint32_t length, struct cv_ipip_quote *ret_quote)
{
	uint8_t *copy = malloc(length + !length);
	struct cv_ipip_quote before;
	enum cv_drop drop;

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	memset(ret_quote, 0xa5, sizeof(*ret_quote));
	memcpy(&before, ret_quote, sizeof(before));
	drop = cv_ipip_parse_quote(copy, length, ret_quote);
	if (drop)
		assert_memory_equal(ret_quote, &before, sizeof(before));
	free(copy);
	return drop;
}

static void quotes_of_every_length(void **state)
{
	struct tunnelled packet;
	struct cv_ipip_quote quote;

	(void)state;
	make(&packet, 0, 0);
	/* As routers on the way leave it: TTL spent, checksum not kept. */
	packet.bytes[8] = 0;
	for (uint32_t length = 0; length < 28; length++)
		assert_int_equal(quote_of(packet.bytes, length, &quote), CV_DROP_TRUNCATED);
	for (uint32_t length = 28; length <= 160; length++) {
		assert_int_equal(quote_of(packet.bytes, length, &quote), CV_DROP_NONE);
		assert_int_equal(quote.outer.total_length, 140);
		assert_int_equal(cv_ntohl(quote.outer.destination), THERE);
		assert_int_equal(quote.inner_offset, 20);
		assert_int_equal(quote.inner_length, (length < 140 ? length : 140) - 20);
		assert_int_equal(quote.has_inner, length >= 40);
		if (quote.has_inner)
			assert_int_equal(cv_ntohl(quote.inner.source), 0x0af40102);
	}
}

/* 4.2BSD's 20 bytes too many in the outer total length are not inner packet. */
static void quotes_with_the_mistake_of_4_2bsd(void **state)
{
	struct tunnelled packet;
	struct cv_ipip_quote quote;

	(void)state;
	make(&packet, 0, 0);
	packet.bytes[3] = 160;
	for (uint32_t length = 40; length <= 180; length++) {
		assert_int_equal(quote_of(packet.bytes, length, &quote), CV_DROP_NONE);
		assert_true(quote.has_inner);
		assert_int_equal(quote.inner_length, (length < 140 ? length : 140) - 20);
	}
}

/* Quotes with an inner header with options: there is none before all of it is. */
static void quotes_with_inner_options(void **state)
{
	struct oracle_ip inner = inner_packet();
	struct oracle_ip outer = outer_packet(128);
	struct cv_ipip_quote quote;
	uint8_t bytes[148] = {0};

	(void)state;
	inner.options_length = 8;
	memset(inner.options, 1, 8);
	oracle_header(bytes, &outer);
	oracle_header(bytes + 20, &inner);
	for (uint32_t length = 28; length <= 148; length++) {
		assert_int_equal(quote_of(bytes, length, &quote), CV_DROP_NONE);
		assert_int_equal(quote.has_inner, length >= 48);
	}
}

/* A change to a good quote, and what it must come to, in whole and cut to 28 bytes. */
static void quotes_we_cannot_have_sent(void **state)
{
	static const struct {
		const char *what;
		uint32_t at;
		uint8_t value;
		enum cv_drop whole, cut;
	} table[] = {
		{"version 6", 0, 0x65, CV_DROP_BAD_VERSION, CV_DROP_BAD_VERSION},
		{"IHL 4", 0, 0x44, CV_DROP_BAD_HEADER_LENGTH, CV_DROP_BAD_HEADER_LENGTH},
		{"outer options", 0, 0x46, CV_DROP_ICMP_NOT_OURS, CV_DROP_ICMP_NOT_OURS},
		{"another length", 3, 139, CV_DROP_ICMP_NOT_OURS, CV_DROP_ICMP_NOT_OURS},
		{"a later fragment", 7, 1, CV_DROP_ICMP_NOT_OURS, CV_DROP_ICMP_NOT_OURS},
		{"protocol 41", 9, 41, CV_DROP_ICMP_NOT_OURS, CV_DROP_ICMP_NOT_OURS},
		{"inner version 6", 20, 0x65, CV_DROP_ICMP_NOT_OURS, CV_DROP_ICMP_NOT_OURS},
		{"inner IHL 4", 20, 0x44, CV_DROP_ICMP_NOT_OURS, CV_DROP_ICMP_NOT_OURS},
		{"inner length", 23, 121, CV_DROP_ICMP_NOT_OURS, CV_DROP_ICMP_NOT_OURS},
		/* The inner checksum alone tells; it is not among the first 8 bytes. */
		{"inner id", 24, 0, CV_DROP_ICMP_NOT_OURS, CV_DROP_NONE},
		{"inner source", 32, 0x0b, CV_DROP_ICMP_NOT_OURS, CV_DROP_NONE},
		{"outer TTL", 8, 1, CV_DROP_NONE, CV_DROP_NONE},
		{"outer TOS", 1, 0xff, CV_DROP_NONE, CV_DROP_NONE},
		{"outer checksum", 10, 0, CV_DROP_NONE, CV_DROP_NONE},
		/* RFC 1191, 5: 4.2BSD adds the header's length to the total length. */
		{"4.2BSD", 3, 160, CV_DROP_NONE, CV_DROP_NONE},
	};
	struct tunnelled packet;
	struct cv_ipip_quote quote;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		make(&packet, 0, 0);
		packet.bytes[table[i].at] = table[i].value;
		assert_int_equal(quote_of(packet.bytes, 140, &quote), table[i].whole);
		assert_int_equal(quote_of(packet.bytes, 28, &quote), table[i].cut);
	}
}

/* An inner total length that has no room for the inner header, in quotes too short for it. */
static void quotes_of_impossible_lengths(void **state)
{
	struct tunnelled packet;
	struct cv_ipip_quote quote;

	(void)state;
	for (uint32_t length = 0; length < 60; length++) {
		struct oracle_ip outer = outer_packet(length);

		make(&packet, 0, 0);
		oracle_header(packet.bytes, &outer);
		packet.inner[0] = 0x46;
		oracle_put16(packet.inner + 2, length);
		assert_int_equal(quote_of(packet.bytes, 28, &quote),
				 length >= 24 ? CV_DROP_NONE : CV_DROP_ICMP_NOT_OURS);
	}
}

/* A router that fragments quotes the fragment: MF, and less than the inner length. */
static void quotes_of_a_first_fragment(void **state)
{
	struct oracle_ip outer = outer_packet(64);
	struct tunnelled packet;
	struct cv_ipip_quote quote;

	(void)state;
	make(&packet, 0, 0);
	outer.flags_offset = 0x2000;
	oracle_header(packet.bytes, &outer);
	assert_int_equal(quote_of(packet.bytes, 84, &quote), CV_DROP_NONE);
	assert_true(quote.has_inner);
	/* What follows the quoted fragment (RFC 4884 pads to 128 bytes) is not of it. */
	assert_int_equal(quote_of(packet.bytes, 128, &quote), CV_DROP_NONE);
	assert_int_equal(quote.inner_length, 64);
	for (uint32_t length = 0; length < 130; length++) {
		outer.payload_length = length;
		oracle_header(packet.bytes, &outer);
		assert_int_equal(quote_of(packet.bytes, 84, &quote),
				 length >= 8 && length < 120 ? CV_DROP_NONE
							     : CV_DROP_ICMP_NOT_OURS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_2003_3_1_outer_header),
		cmocka_unit_test(rfc_2003_3_1_options_are_not_copied),
		cmocka_unit_test(rfc_2003_3_1_ttl_zero_is_not_encapsulated),
		cmocka_unit_test(no_datagram_is_larger_than_65535),
		cmocka_unit_test(a_fixed_ttl_demands_pmtudisc),
		cmocka_unit_test(good_packets),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(inner_longer_than_the_outer),
		cmocka_unit_test(outer_faults),
		cmocka_unit_test(inner_faults),
		cmocka_unit_test(exactly_one_layer),
		cmocka_unit_test(quotes_of_every_length),
		cmocka_unit_test(quotes_with_the_mistake_of_4_2bsd),
		cmocka_unit_test(quotes_with_inner_options),
		cmocka_unit_test(quotes_we_cannot_have_sent),
		cmocka_unit_test(quotes_of_impossible_lengths),
		cmocka_unit_test(quotes_of_a_first_fragment),
	};

	return cmocka_run_group_tests_name("wire_ipip", tests, NULL, NULL);
}
