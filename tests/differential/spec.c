/* SPDX-License-Identifier: Apache-2.0 */
/* Packets as lists of numbers: their bytes, their text, making them smaller. */
#include "spec.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ipv4.h"
#include "wire/tcp.h"

static const struct {
	const char *name;
	int64_t value;
} fields[F_MAX] = {
#define SPEC_ENTRY(id, name, value) [F_##id] = {name, value},
	SPEC_FIELDS(SPEC_ENTRY)
#undef SPEC_ENTRY
};

/* The fields of a header in their order, from its first one. */
enum {
	SOURCE,
	DESTINATION,
	VERSION,
	IHL,
	TOS,
	LENGTH,
	ID,
	FRAGMENT,
	TTL,
	PROTOCOL,
	CHECKSUM,
	OPTIONS,
	OPTION
};

void spec_default(struct spec *ret_spec)
{
	for (unsigned int i = 0; i < F_MAX; i++)
		ret_spec->value[i] = fields[i].value;
}

/* ---- bytes ---- */

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static void put_options(uint8_t *at, uint32_t length, uint8_t type)
{
	memset(at, CV_IPV4_OPTION_NOP, length);
	if (type == CV_IPV4_OPTION_NOP || !length)
		return;
	at[0] = type;
	at[1] = (uint8_t)(length < 4 ? length : 4);
	at[2] = 4; /* a pointer, where the type has one */
}

/* A header in front of length bytes; returns its length. */
static uint32_t put_header(uint8_t *at, const int64_t *value, uint32_t length)
{
	uint32_t header_length = 20 + (uint32_t)value[OPTIONS] * 4;

	put_options(at + 20, header_length - 20, (uint8_t)value[OPTION]);
	at[0] = (uint8_t)(value[VERSION] << 4 | ((header_length / 4 + value[IHL]) & 15));
	at[1] = (uint8_t)value[TOS];
	put16(at + 2, (uint32_t)(header_length + length + value[LENGTH]));
	put16(at + 4, (uint32_t)value[ID]);
	put16(at + 6, (uint32_t)value[FRAGMENT]);
	at[8] = (uint8_t)value[TTL];
	at[9] = (uint8_t)value[PROTOCOL];
	put32(at + 12, (uint32_t)value[SOURCE]);
	put32(at + 16, (uint32_t)value[DESTINATION]);
	/* Over what a receiver will take for the header, as far as there are bytes. */
	cv_ipv4_set_checksum(at, header_length);
	if (value[IHL] < 0 && (at[0] & 15) >= 5)
		cv_ipv4_set_checksum(at, (at[0] & 15) * 4U);
	at[10] ^= (uint8_t)(value[CHECKSUM] >> 8);
	at[11] ^= (uint8_t)value[CHECKSUM];
	return header_length;
}

/* The option among those that do nothing; returns the bytes of all, at: NULL: just that. */
static uint32_t put_mss(uint8_t *at, const struct spec *spec)
{
	uint32_t after = (uint32_t)spec->value[F_MSS_AFTER], length = (after + 4 + 3) / 4 * 4;

	if (!spec->value[F_MSS])
		return 0;
	if (at) {
		memset(at, CV_TCP_OPTION_NOP, length);
		at[after] = CV_TCP_OPTION_MSS;
		at[after + 1] = CV_TCP_OPTION_MSS_LENGTH;
		put16(at + after + 2, (uint32_t)spec->value[F_MSS]);
	}
	return length;
}

static uint32_t l4_header_length(const struct spec *spec)
{
	switch (spec->value[F_INNER_PROTOCOL]) {
	case CV_IPV4_PROTO_TCP:
		return 20 + put_mss(NULL, spec);
	case CV_IPV4_PROTO_IPIP:
		return 20;
	case CV_IPV4_PROTO_UDP:
	case CV_IPV4_PROTO_ICMP:
		return 8;
	default:
		return 0;
	}
}

static uint32_t l4_checksum_at(int64_t protocol)
{
	return protocol == CV_IPV4_PROTO_TCP ? 16 : protocol == CV_IPV4_PROTO_UDP ? 6 : 2;
}

/* What an ICMP error quotes: a packet of the flow in the other direction. */
static void put_quote(uint8_t *at, uint32_t length, const struct spec *spec)
{
	const int64_t header[OPTION + 1] = {
		[SOURCE] = spec->value[F_INNER_DESTINATION],
		[DESTINATION] = spec->value[F_INNER_SOURCE],
		[VERSION] = 4,
		[ID] = 7,
		[TTL] = 9,
		[PROTOCOL] = CV_IPV4_PROTO_UDP,
	};

	if (length < 28)
		return;
	put_header(at, header, length - 20);
	put16(at + 20, (uint32_t)spec->value[F_DESTINATION_PORT]);
	put16(at + 22, (uint32_t)spec->value[F_SOURCE_PORT]);
}

static bool has_pseudo_header(int64_t protocol)
{
	return protocol == CV_IPV4_PROTO_TCP || protocol == CV_IPV4_PROTO_UDP;
}

static void fill_checksum(uint8_t *l4, uint32_t length, const struct spec *spec)
{
	int64_t protocol = spec->value[F_INNER_PROTOCOL];
	uint8_t *at = l4 + l4_checksum_at(protocol);
	uint64_t sum = 0;
	__be16 check;

	if (!has_pseudo_header(protocol) && protocol != CV_IPV4_PROTO_ICMP)
		return;
	put16(at, 0);
	if (has_pseudo_header(protocol))
		sum = cv_checksum_pseudo(cv_htonl((uint32_t)spec->value[F_INNER_SOURCE]),
					 cv_htonl((uint32_t)spec->value[F_INNER_DESTINATION]),
					 (uint8_t)protocol, length);
	if (spec->value[F_PARTIAL])
		check = cv_checksum_fold_partial(sum);
	else
		check = cv_checksum_fold(cv_checksum_add(l4, length, sum));
	if (protocol == CV_IPV4_PROTO_UDP && !check)
		check = 0xffff;
	memcpy(at, &check, sizeof(check));
	at[0] ^= (uint8_t)(spec->value[F_L4_CHECKSUM] >> 8);
	at[1] ^= (uint8_t)spec->value[F_L4_CHECKSUM];
}

/* The transport header and data; returns the length of both. */
static uint32_t put_l4(uint8_t *at, const struct spec *spec)
{
	int64_t protocol = spec->value[F_INNER_PROTOCOL];
	uint32_t header = l4_header_length(spec), data = (uint32_t)spec->value[F_DATA];
	uint32_t length = header + data;

	for (uint32_t i = 0; i < data; i++)
		at[header + i] = (uint8_t)(i * 7 + 1);
	memset(at, 0, header);
	if (has_pseudo_header(protocol)) {
		put16(at, (uint32_t)spec->value[F_SOURCE_PORT]);
		put16(at + 2, (uint32_t)spec->value[F_DESTINATION_PORT]);
	}
	if (protocol == CV_IPV4_PROTO_UDP) {
		put16(at + 4, length);
	} else if (protocol == CV_IPV4_PROTO_TCP) {
		put32(at + 4, 1000);
		put32(at + 8, 2000);
		at[12] = (uint8_t)(header / 4 << 4);
		at[13] = (uint8_t)spec->value[F_TCP_FLAGS];
		put16(at + 14, 512);
		put_mss(at + 20, spec);
	} else if (protocol == CV_IPV4_PROTO_ICMP) {
		at[0] = (uint8_t)spec->value[F_ICMP_TYPE];
		put16(at + 4, (uint32_t)spec->value[F_SOURCE_PORT]);
		if (at[0] != 8 && at[0] != 0)
			put_quote(at + 8, data, spec);
	} else if (protocol == CV_IPV4_PROTO_IPIP) {
		put_quote(at, length, spec);
	}
	fill_checksum(at, length, spec);
	return length;
}

static void put_vnet(struct virtio_net_hdr *vnet, const struct spec *spec, uint32_t l4_at)
{
	int64_t protocol = spec->value[F_INNER_PROTOCOL];
	uint32_t gso = (uint32_t)spec->value[F_GSO];

	memset(vnet, 0, sizeof(*vnet));
	if (!spec->value[F_PARTIAL] || !has_pseudo_header(protocol))
		return;
	vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet->csum_start = (uint16_t)l4_at;
	vnet->csum_offset = (uint16_t)l4_checksum_at(protocol);
	if (!gso || gso >= spec->value[F_DATA] || spec->value[F_DIRECTION] != DIRECTION_OUT)
		return;
	vnet->gso_type = protocol == CV_IPV4_PROTO_TCP ? VIRTIO_NET_HDR_GSO_TCPV4
						       : VIRTIO_NET_HDR_GSO_UDP_L4;
	vnet->gso_size = (uint16_t)gso;
	vnet->hdr_len = (uint16_t)(l4_at + l4_header_length(spec));
}

/* node.h has the addresses. */
static void put_ethernet(uint8_t *at, const struct spec *spec)
{
	bool in = spec->value[F_DIRECTION] == DIRECTION_IN;

	memset(at, 0, 12);
	at[0] = at[6] = 2;
	at[5] = in ? 1 : 3;
	at[11] = in ? 2 : 4;
	if (spec->value[F_ETHERNET] == 1)
		at[5] = 0x77;
	else if (spec->value[F_ETHERNET] == 2)
		memset(at, 0xff, 6);
	put16(at + 12, 0x0800);
}

static void finish_frame(struct frame *frame, const struct spec *spec)
{
	uint32_t padding = (uint32_t)spec->value[F_PADDING];
	uint32_t cut = (uint32_t)spec->value[F_CUT];

	if (frame->length < padding) {
		memset(frame->bytes + frame->length, 0x5a, padding - frame->length);
		frame->length = padding;
	}
	if (cut && frame->length > cut + SPEC_ETHERNET) {
		frame->length -= cut;
		memset(&frame->vnet, 0, sizeof(frame->vnet));
	}
}

/* Cut the outer packet in frames[0] in fragments: each a copy of the header and a slice. */
static unsigned int split(const struct spec *spec, struct frame *frames)
{
	uint32_t size = (uint32_t)spec->value[F_SPLIT] * 8;
	uint32_t header = SPEC_ETHERNET + 20 + (uint32_t)spec->value[F_OUTER_OPTIONS] * 4;
	uint32_t payload = frames[0].length - header, offset = 0;
	unsigned int count = (payload + size - 1) / size, kept = 0;
	static struct frame whole;

	if (count < 2 || count > SPEC_FRAMES_MAX)
		return 1;
	whole = frames[0];
	for (unsigned int k = 0; k < count; k++, offset += size) {
		uint32_t length = payload - offset < size ? payload - offset : size;
		int64_t value[OPTION + 1];
		struct frame *frame;

		if (k + 1 == (unsigned int)spec->value[F_SKIP])
			continue;
		frame = &frames[spec->value[F_BACKWARDS] ? count - 1 - k : kept];
		kept++;
		memcpy(value, &spec->value[F_OUTER_SOURCE], sizeof(value));
		value[FRAGMENT] = (int64_t)(offset / 8) | (k + 1 < count ? CV_IPV4_MF : 0);
		memcpy(frame->bytes, whole.bytes, header);
		put_header(frame->bytes + SPEC_ETHERNET, value, length);
		memcpy(frame->bytes + header, whole.bytes + header + offset, length);
		frame->length = header + length;
		memset(&frame->vnet, 0, sizeof(frame->vnet));
	}
	return spec->value[F_BACKWARDS] && kept < count ? 0 : kept;
}

unsigned int spec_build(const struct spec *spec, struct frame *ret_frames)
{
	bool in = spec->value[F_DIRECTION] == DIRECTION_IN;
	bool local = spec->value[F_DIRECTION] == DIRECTION_LOCAL;
	uint32_t link = local ? 0 : SPEC_ETHERNET;
	uint32_t outer = in ? 20 + (uint32_t)spec->value[F_OUTER_OPTIONS] * 4 : 0;
	uint32_t inner = 20 + (uint32_t)spec->value[F_INNER_OPTIONS] * 4;
	uint32_t trail = in ? (uint32_t)spec->value[F_TRAIL] : 0;
	uint8_t *at = ret_frames[0].bytes;
	uint32_t l4;

	if (!local)
		put_ethernet(at, spec);
	l4 = put_l4(at + link + outer + inner, spec);
	put_header(at + link + outer, &spec->value[F_INNER_SOURCE], l4);
	memset(at + link + outer + inner + l4, 0x77, trail);
	if (in)
		put_header(at + link, &spec->value[F_OUTER_SOURCE], inner + l4 + trail);
	ret_frames[0].length = link + outer + inner + l4 + trail;
	put_vnet(&ret_frames[0].vnet, spec, link + outer + inner);
	if (in && spec->value[F_SPLIT])
		return split(spec, ret_frames);
	if (!local)
		finish_frame(&ret_frames[0], spec);
	return 1;
}

/* ---- text ---- */

static bool is_address(unsigned int field)
{
	return field == F_OUTER_SOURCE || field == F_OUTER_DESTINATION || field == F_INNER_SOURCE ||
	       field == F_INNER_DESTINATION;
}

void spec_print(FILE *file, const struct spec *spec)
{
	const char *space = "";

	for (unsigned int i = 0; i < F_MAX; i++) {
		struct in_addr address = {.s_addr = htonl((uint32_t)spec->value[i])};

		if (spec->value[i] == fields[i].value)
			continue;
		if (is_address(i))
			fprintf(file, "%s%s=%s", space, fields[i].name, inet_ntoa(address));
		else
			fprintf(file, "%s%s=%lld", space, fields[i].name,
				(long long)spec->value[i]);
		space = " ";
	}
}

static bool parse_word(const char *word, struct spec *spec)
{
	const char *value = strchr(word, '=');
	struct in_addr address;
	char *end;

	if (!value)
		return false;
	for (unsigned int i = 0; i < F_MAX; i++) {
		size_t length = strlen(fields[i].name);

		if (length != (size_t)(value - word) || strncmp(word, fields[i].name, length) != 0)
			continue;
		if (is_address(i)) {
			if (inet_pton(AF_INET, value + 1, &address) != 1)
				return false;
			spec->value[i] = ntohl(address.s_addr);
			return true;
		}
		spec->value[i] = strtoll(value + 1, &end, 0);
		return *end == '\0';
	}
	return false;
}

bool spec_parse(const char *text, struct spec *ret_spec)
{
	char copy[1024];
	char *rest = copy;
	const char *word;

	spec_default(ret_spec);
	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, " \n"))) {
		if (*word == '#')
			break;
		if (*word && !parse_word(word, ret_spec))
			return false;
	}
	return true;
}

/* ---- smaller ---- */

static bool try_value(struct spec *spec, unsigned int field, int64_t value,
		      bool (*still_fails)(void *context, const struct spec *spec), void *context)
{
	struct spec trial = *spec;

	if (spec->value[field] == value)
		return false;
	trial.value[field] = value;
	if (!still_fails(context, &trial))
		return false;
	*spec = trial;
	return true;
}

void spec_minimise(struct spec *spec, bool (*still_fails)(void *context, const struct spec *spec),
		   void *context)
{
	static const unsigned int numbers[] = {
		F_DATA, F_TRAIL, F_CUT, F_OUTER_OPTIONS, F_INNER_OPTIONS, F_MSS, F_MSS_AFTER};
	bool again = true;

	for (int round = 0; again && round < 3; round++) {
		again = false;
		for (unsigned int i = F_DIRECTION + 1; i < F_MAX; i++)
			again |= try_value(spec, i, fields[i].value, still_fails, context);
		for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
			unsigned int field = numbers[i];

			while (spec->value[field] > 1 &&
			       try_value(spec, field, spec->value[field] / 2, still_fails, context))
				again = true;
		}
	}
}
