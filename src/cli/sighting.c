/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record of a capture, understood.
 *
 * The packet's bytes are strangers': they are looked at through wire/'s bounded parsers alone, and
 * a record may show a packet that is no packet at all, which is why it was dropped.
 */
#include "cli/sighting.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "wire/drop.h"
#include "wire/ipv4.h"

enum {
	NS = 1000000000,
	PORTS = 4, /* bytes */
};

struct hook {
	const char *name;
	bool outbound;
	bool outer; /* what it sees as it is, is an outer packet */
};

static const struct hook hooks[] = {
	[0] = {"unknown", false, false},
	[CV_FP_HOOK_TUNNEL_OUT] = {"tunnel-out", true, false},
	[CV_FP_HOOK_UNDERLAY_IN] = {"underlay-in", false, true},
	[CV_FP_HOOK_ENDPOINT_IN] = {"endpoint-in", true, false},
	[CV_FP_HOOK_TUNNEL_IN] = {"tunnel-in", false, false},
	[CV_FP_HOOK_ENGINE_OUT] = {"engine-out", true, false},
	[CV_FP_HOOK_ENGINE_IN] = {"engine-in", false, true},
};

struct verdict {
	const char *name; /* for programs */
	const char *text; /* for people */
	bool outer;	  /* the packet is always the outer one */
};

static const struct verdict verdicts[] = {
	[0] = {"unknown", "unknown verdict", false},
	[CV_FP_VERDICT_ENCAPSULATED] = {"encapsulated", "encapsulated", true},
	[CV_FP_VERDICT_TO_DEVICE] = {"to-device", "decapsulated, to the tunnel's device", true},
	[CV_FP_VERDICT_TO_ENDPOINT] = {"to-endpoint", "decapsulated, to the endpoint", true},
	[CV_FP_VERDICT_LOCAL] = {"local", "to an endpoint of this node", false},
	[CV_FP_VERDICT_TO_ENGINE] = {"to-engine", "handed over to the engine", false},
	[CV_FP_VERDICT_TO_STACK] = {"to-stack", "left to the host's stack", false},
	[CV_FP_VERDICT_DROPPED] = {"dropped", "dropped", false},
};

_Static_assert(sizeof(hooks) / sizeof(hooks[0]) == CV_FP_HOOK_MAX, "all hooks");
_Static_assert(sizeof(verdicts) / sizeof(verdicts[0]) == CV_FP_VERDICT_MAX, "all verdicts");

static const struct hook *hook_of(const struct cv_fp_capture *record)
{
	return &hooks[record->hook < CV_FP_HOOK_MAX ? record->hook : 0];
}

static const struct verdict *verdict_of(const struct cv_fp_capture *record)
{
	return &verdicts[record->verdict < CV_FP_VERDICT_MAX ? record->verdict : 0];
}

/* The engine's records have no device, also where the hook is one that the fast path has. */
static const char *path_of(const struct cv_fp_capture *record)
{
	return record->ifindex ? "fast path" : "engine";
}

/* ---- reading ---------------------------------------------------------------------- */

/* Find the inner packet behind an outer header. Later fragments have none that one can see. */
static void find_inner(struct cv_sighting *sighting)
{
	const struct cv_sighting_packet *outer = &sighting->outer;
	struct cv_ipv4 ip;

	if (cv_ipv4_parse_header(outer->bytes, outer->captured, &ip) ||
	    ip.protocol != CV_IPV4_PROTO_IPIP || ip.fragment_offset ||
	    outer->captured <= ip.header_length)
		return;
	sighting->inner.bytes = outer->bytes + ip.header_length;
	sighting->inner.captured = outer->captured - ip.header_length;
	sighting->inner.length = outer->length - ip.header_length;
}

void cv_sighting_read(struct cv_sighting *ret_sighting, const struct cv_fp_capture *record,
		      const uint8_t *packet, const char *tunnel, int64_t clock_offset_ns)
{
	const struct cv_sighting_packet whole = {packet, record->captured, record->length};
	const struct hook *hook = hook_of(record);
	const struct verdict *verdict = verdict_of(record);

	*ret_sighting = (struct cv_sighting){
		.record = record,
		.tunnel = tunnel,
		.time_ns = record->time_ns + (uint64_t)clock_offset_ns,
		.outbound = hook->outbound,
	};
	if (!verdict->outer && !hook->outer) {
		ret_sighting->inner = whole;
		return;
	}
	ret_sighting->outer = whole;
	find_inner(ret_sighting);
}

/* ---- addresses and ports --------------------------------------------------------------- */

/* What there is to say of a packet, as far as it was captured and makes sense. */
struct summary {
	bool known;
	struct cv_ipv4 ip;
	char source[INET_ADDRSTRLEN];
	char destination[INET_ADDRSTRLEN];
	const char *protocol; /* NULL: only its number */
	bool has_ports;
	unsigned int source_port;
	unsigned int destination_port;
};

static const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_IPIP:
		return "ipip";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	default:
		return NULL;
	}
}

static void print_address(__be32 address, char ret_text[static INET_ADDRSTRLEN])
{
	inet_ntop(AF_INET, &address, ret_text, INET_ADDRSTRLEN);
}

static void summarise(const struct cv_sighting_packet *packet, struct summary *ret)
{
	const uint8_t *at;

	memset(ret, 0, sizeof(*ret));
	if (!packet->bytes || cv_ipv4_parse_header(packet->bytes, packet->captured, &ret->ip))
		return;
	ret->known = true;
	print_address(ret->ip.source, ret->source);
	print_address(ret->ip.destination, ret->destination);
	ret->protocol = protocol_name(ret->ip.protocol);
	if (ret->ip.protocol != IPPROTO_TCP && ret->ip.protocol != IPPROTO_UDP &&
	    ret->ip.protocol != IPPROTO_SCTP)
		return;
	if (ret->ip.fragment_offset || packet->captured < ret->ip.header_length + PORTS)
		return;
	at = packet->bytes + ret->ip.header_length;
	ret->has_ports = true;
	ret->source_port = (unsigned int)at[0] << 8 | at[1];
	ret->destination_port = (unsigned int)at[2] << 8 | at[3];
}

/* ---- words ------------------------------------------------------------------------------ */

/* Append to text what fits; *length: so far. */
__attribute__((format(printf, 3, 4))) static void append(char text[static CV_SIGHTING_TEXT_MAX],
							 size_t *length, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text + *length, CV_SIGHTING_TEXT_MAX - *length, format, args);
	va_end(args);
	if (n > 0)
		*length += (size_t)n;
	if (*length >= CV_SIGHTING_TEXT_MAX)
		*length = CV_SIGHTING_TEXT_MAX - 1;
}

static void append_verdict(const struct cv_fp_capture *record, char *text, size_t *length)
{
	append(text, length, "%s", verdict_of(record)->text);
	if (record->verdict == CV_FP_VERDICT_DROPPED)
		append(text, length, ": %s (%s)", cv_drop_name(record->drop),
		       cv_drop_text(record->drop));
}

void cv_sighting_comment(const struct cv_sighting *sighting,
			 char ret_text[static CV_SIGHTING_TEXT_MAX])
{
	const struct cv_fp_capture *record = sighting->record;
	size_t length = 0;

	append(ret_text, &length, "culvert: %s, ", path_of(record));
	append_verdict(record, ret_text, &length);
	append(ret_text, &length, "; hook %s", hook_of(record)->name);
	if (record->gso_size)
		append(ret_text, &length, "; super-packet of segments with %u bytes",
		       record->gso_size);
}

static void append_packet(const struct cv_sighting_packet *packet, char *text, size_t *length)
{
	struct summary summary;

	summarise(packet, &summary);
	if (!summary.known) {
		append(text, length, "no IPv4, length %u", packet->length);
		return;
	}
	if (summary.has_ports)
		append(text, length, "%s.%u > %s.%u", summary.source, summary.source_port,
		       summary.destination, summary.destination_port);
	else
		append(text, length, "%s > %s", summary.source, summary.destination);
	if (summary.protocol)
		append(text, length, " %s", summary.protocol);
	else
		append(text, length, " proto %u", summary.ip.protocol);
	append(text, length, ", length %u", packet->length);
}

void cv_sighting_line(const struct cv_sighting *sighting,
		      char ret_text[static CV_SIGHTING_TEXT_MAX])
{
	const time_t seconds = (time_t)(sighting->time_ns / NS);
	struct summary outer;
	struct tm local;
	size_t length = 0;

	localtime_r(&seconds, &local);
	summarise(&sighting->outer, &outer);
	append(ret_text, &length, "%02d:%02d:%02d.%06u %s %s %s ", local.tm_hour, local.tm_min,
	       local.tm_sec, (unsigned int)(sighting->time_ns % NS / 1000),
	       *sighting->tunnel ? sighting->tunnel : "-", path_of(sighting->record),
	       sighting->outbound ? "out" : "in");
	if (outer.known && sighting->inner.bytes)
		append(ret_text, &length, "%s > %s: ", outer.source, outer.destination);
	append_packet(sighting->inner.bytes ? &sighting->inner : &sighting->outer, ret_text,
		      &length);
	append(ret_text, &length, ": ");
	append_verdict(sighting->record, ret_text, &length);
}

static json_t *packet_to_json(const struct cv_sighting_packet *packet)
{
	struct summary summary;
	json_t *json;

	if (!packet->bytes)
		return json_null();
	summarise(packet, &summary);
	json = json_pack("{s:I, s:I}", "length", (json_int_t)packet->length, "captured",
			 (json_int_t)packet->captured);
	if (!summary.known)
		return json;
	json_object_set_new(json, "source", json_string(summary.source));
	json_object_set_new(json, "destination", json_string(summary.destination));
	json_object_set_new(json, "protocol", json_integer(summary.ip.protocol));
	if (summary.has_ports) {
		json_object_set_new(json, "source_port", json_integer(summary.source_port));
		json_object_set_new(json, "destination_port",
				    json_integer(summary.destination_port));
	}
	return json;
}

json_t *cv_sighting_to_json(const struct cv_sighting *sighting)
{
	const struct cv_fp_capture *record = sighting->record;
	const time_t seconds = (time_t)(sighting->time_ns / NS);
	char day[64] = "", moment[96];
	struct tm utc;

	if (gmtime_r(&seconds, &utc))
		strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(moment, sizeof(moment), "%s.%09uZ", day, (unsigned int)(sighting->time_ns % NS));
	return json_pack(
		"{s:s, s:s?, s:s, s:s, s:s, s:s, s:s?, s:i, s:o, s:o}", "time", moment, "tunnel",
		*sighting->tunnel ? sighting->tunnel : NULL, "path",
		record->ifindex ? "fast-path" : "engine", "hook", hook_of(record)->name,
		"direction", sighting->outbound ? "out" : "in", "verdict", verdict_of(record)->name,
		"drop",
		record->verdict == CV_FP_VERDICT_DROPPED ? cv_drop_name(record->drop) : NULL,
		"gso_size", (int)record->gso_size, "outer", packet_to_json(&sighting->outer),
		"inner", packet_to_json(&sighting->inner));
}
