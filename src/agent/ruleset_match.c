/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matches of nftables' JSON. Three steps: what of the packet does the left side look at (value_of),
 * is that among what the right side lists (is_in), and the operator.
 */
#include "agent/ruleset_match.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/prefix.h"
#include "wire/types.h"

enum value_kind {
	VALUE_UNKNOWN,	  /* nobody can tell */
	VALUE_IMPOSSIBLE, /* this packet has no such field: no match, whatever the operator */
	VALUE_PROTOCOL,
	VALUE_ADDRESS,
	VALUE_WORD,   /* or its number */
	VALUE_DEVICE, /* a word; "eth*" may be its pattern */
};

struct value {
	enum value_kind kind;
	uint32_t number; /* host byte order; of a word: what nft lists with numbers, 0: not known */
	const char *word;
};

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* ---- the left side ------------------------------------------------------------------------ */

static struct value word_value(enum value_kind kind, const char *word)
{
	return (struct value){.kind = word ? kind : VALUE_UNKNOWN, .word = word};
}

/* A word that libnftables lists as a number where it is told to list numbers. */
static struct value numbered_value(const char *word)
{
	static const struct {
		const char *word;
		uint32_t number;
	} numbers[] = {
		/* ct state */
		{"invalid", 1},
		{"established", 2},
		{"related", 4},
		{"new", 8},
		{"untracked", 64},
		/* icmp type */
		{"destination-unreachable", 3},
		{"echo-request", 8},
		{"time-exceeded", 11},
		/* meta nfproto */
		{"ipv4", 2},
	};
	struct value value = word_value(VALUE_WORD, word);

	for (size_t i = 0; word && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!strcmp(numbers[i].word, word))
			value.number = numbers[i].number;
	}
	return value;
}

static struct value ethertype_value(void)
{
	/* libnftables 1.0.6 lists the two bytes as they are in the packet, as a number. */
	return (struct value){
		.kind = VALUE_WORD,
		.number = (CV_FORCE uint16_t)cv_htons(ETH_P_IP),
		.word = "ip",
	};
}

static struct value address_value(__be32 address)
{
	return (struct value){
		.kind = address ? VALUE_ADDRESS : VALUE_UNKNOWN,
		.number = cv_ntohl(address),
	};
}

static struct value protocol_value(const struct cv_ruleset_packet *packet)
{
	return (struct value){
		.kind = packet->protocol < 0 ? VALUE_UNKNOWN : VALUE_PROTOCOL,
		.number = (uint32_t)packet->protocol,
	};
}

static struct value payload_value(const struct cv_ruleset_packet *packet, const json_t *payload)
{
	static const struct {
		const char *name;
		int number;
	} carried[] = {{"tcp", 6},	 {"udp", 17},	{"sctp", 132}, {"dccp", 33},
		       {"udplite", 136}, {"icmp", 1},	{"igmp", 2},   {"ah", 51},
		       {"esp", 50},	 {"comp", 108}, {"gre", 47},   {"icmpv6", 58}};
	const char *protocol = text_of(payload, "protocol"), *field = text_of(payload, "field");

	if (!strcmp(protocol, "ip")) {
		if (!strcmp(field, "protocol"))
			return protocol_value(packet);
		if (!strcmp(field, "saddr"))
			return address_value(packet->source);
		if (!strcmp(field, "daddr"))
			return address_value(packet->destination);
		return (struct value){VALUE_UNKNOWN, 0, NULL};
	}
	if (!strcmp(protocol, "ip6") || !strcmp(protocol, "arp"))
		return (struct value){VALUE_IMPOSSIBLE, 0, NULL};
	for (size_t i = 0; i < sizeof(carried) / sizeof(carried[0]); i++) {
		if (strcmp(protocol, carried[i].name) || packet->protocol < 0)
			continue;
		if (packet->protocol != carried[i].number)
			return (struct value){VALUE_IMPOSSIBLE, 0, NULL};
		if (!strcmp(protocol, "icmp") && !strcmp(field, "type"))
			return numbered_value(packet->icmp_type);
	}
	return (struct value){VALUE_UNKNOWN, 0, NULL};
}

static struct value value_of(const struct cv_ruleset_packet *packet, const json_t *left)
{
	const json_t *payload = json_object_get(left, "payload");
	const char *meta = text_of(json_object_get(left, "meta"), "key");

	if (payload)
		return payload_value(packet, payload);
	if (!strcmp(meta, "l4proto"))
		return protocol_value(packet);
	if (!strcmp(meta, "iifname") || !strcmp(meta, "iif"))
		return word_value(VALUE_DEVICE, packet->iif);
	if (!strcmp(meta, "oifname") || !strcmp(meta, "oif"))
		return word_value(VALUE_DEVICE, packet->oif);
	if (!strcmp(meta, "nfproto"))
		return numbered_value("ipv4");
	if (!strcmp(meta, "protocol"))
		return ethertype_value();
	if (!strcmp(text_of(json_object_get(left, "ct"), "key"), "state"))
		return numbered_value(packet->ct_state);
	return (struct value){VALUE_UNKNOWN, 0, NULL};
}

/* ---- the right side ------------------------------------------------------------------------ */

static bool read_protocol(const json_t *item, uint32_t *ret_number)
{
	const char *name = json_string_value(item);
	const struct protoent *entry;
	char *end;

	if (json_is_integer(item)) {
		*ret_number = (uint32_t)json_integer_value(item);
		return true;
	}
	if (!name)
		return false;
	*ret_number = (uint32_t)strtoul(name, &end, 10);
	if (end != name && !*end)
		return true;
	entry = getprotobyname(name);
	if (entry)
		*ret_number = (uint32_t)entry->p_proto;
	return entry != NULL;
}

static bool read_address(const json_t *item, uint32_t *ret_number)
{
	struct cv_prefix prefix;

	if (!json_is_string(item) || cv_prefix_parse(json_string_value(item), &prefix) == -EINVAL)
		return false;
	*ret_number = cv_ntohl(prefix.address);
	return true;
}

static bool read_number(enum value_kind kind, const json_t *item, uint32_t *ret_number)
{
	return kind == VALUE_PROTOCOL ? read_protocol(item, ret_number)
				      : read_address(item, ret_number);
}

static enum cv_truth is_word(const struct value *value, const json_t *item)
{
	const char *word = json_string_value(item);
	size_t length = word ? strlen(word) : 0;

	if (json_is_integer(item) && value->number)
		return json_integer_value(item) == value->number ? CV_TRUTH_YES : CV_TRUTH_NO;
	if (!word)
		return CV_TRUTH_MAYBE;
	if (value->kind == VALUE_DEVICE && length && word[length - 1] == '*')
		return strncmp(word, value->word, length - 1) ? CV_TRUTH_NO : CV_TRUTH_YES;
	return strcmp(word, value->word) ? CV_TRUTH_NO : CV_TRUTH_YES;
}

static enum cv_truth is_in_prefix(const struct value *value, const json_t *item)
{
	json_int_t length = json_integer_value(json_object_get(item, "len"));
	uint32_t address;

	if (value->kind != VALUE_ADDRESS || length < 0 || length > 32 ||
	    !read_address(json_object_get(item, "addr"), &address))
		return CV_TRUTH_MAYBE;
	if (!length)
		return CV_TRUTH_YES;
	return (address ^ value->number) >> (32 - length) ? CV_TRUTH_NO : CV_TRUTH_YES;
}

static enum cv_truth is_in_range(const struct value *value, const json_t *item)
{
	uint32_t first, last;

	if ((value->kind != VALUE_ADDRESS && value->kind != VALUE_PROTOCOL) ||
	    !read_number(value->kind, json_array_get(item, 0), &first) ||
	    !read_number(value->kind, json_array_get(item, 1), &last))
		return CV_TRUTH_MAYBE;
	return first <= value->number && value->number <= last ? CV_TRUTH_YES : CV_TRUTH_NO;
}

static enum cv_truth is_one(const struct value *value, const json_t *item)
{
	uint32_t number;

	if (json_is_object(item)) {
		const json_t *element = json_object_get(item, "elem");

		if (element)
			return is_one(value, json_object_get(element, "val"));
		if (json_object_get(item, "prefix"))
			return is_in_prefix(value, json_object_get(item, "prefix"));
		if (json_object_get(item, "range"))
			return is_in_range(value, json_object_get(item, "range"));
		return CV_TRUTH_MAYBE;
	}
	if (json_is_string(item) && !strcmp(json_string_value(item), "*"))
		return CV_TRUTH_YES; /* what a set or map has for all others */
	if (value->kind == VALUE_WORD || value->kind == VALUE_DEVICE)
		return is_word(value, item);
	if (!read_number(value->kind, item, &number))
		return CV_TRUTH_MAYBE;
	return number == value->number ? CV_TRUTH_YES : CV_TRUTH_NO;
}

static enum cv_truth is_in_list(const struct value *value, const json_t *list)
{
	enum cv_truth truth = CV_TRUTH_NO;
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		enum cv_truth one = is_one(value, item);

		truth = one > truth ? one : truth;
		if (truth == CV_TRUTH_YES)
			break;
	}
	return truth;
}

static enum cv_truth is_in(const struct cv_ruleset *ruleset, const json_t *chain,
			   const struct value *value, const json_t *right)
{
	const char *name = json_string_value(right);
	char key[CV_RULESET_NAME_MAX];

	if (name && *name == '@') {
		snprintf(key, sizeof(key), "%s %s %s", text_of(chain, "family"),
			 text_of(chain, "table"), name + 1);
		right = json_object_get(ruleset->sets, key);
		return right ? is_in_list(value, right) : CV_TRUTH_MAYBE;
	}
	if (json_is_object(right) && json_object_get(right, "set"))
		return is_in_list(value, json_object_get(right, "set"));
	if (json_is_array(right))
		return is_in_list(value, right);
	return is_one(value, right);
}

/* ---- all --------------------------------------------------------------------------------- */

enum cv_truth cv_ruleset_compare(const struct cv_ruleset *ruleset, const json_t *chain,
				 const struct cv_ruleset_packet *packet, const json_t *left,
				 const json_t *right)
{
	struct value value = value_of(packet, left);

	if (value.kind == VALUE_IMPOSSIBLE)
		return CV_TRUTH_NO;
	if (value.kind == VALUE_UNKNOWN)
		return CV_TRUTH_MAYBE;
	return is_in(ruleset, chain, &value, right);
}

enum cv_truth cv_ruleset_match(const struct cv_ruleset *ruleset, const json_t *chain,
			       const struct cv_ruleset_packet *packet, const json_t *match)
{
	const json_t *left = json_object_get(match, "left");
	const char *operation = text_of(match, "op");
	enum cv_truth truth =
		cv_ruleset_compare(ruleset, chain, packet, left, json_object_get(match, "right"));

	if (!strcmp(operation, "==") || !strcmp(operation, "in"))
		return truth;
	if (value_of(packet, left).kind == VALUE_IMPOSSIBLE)
		return CV_TRUTH_NO;
	if (strcmp(operation, "!=") || truth == CV_TRUTH_MAYBE)
		return CV_TRUTH_MAYBE;
	return truth == CV_TRUTH_YES ? CV_TRUTH_NO : CV_TRUTH_YES;
}
