/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields that are addresses and prefixes. IPv6 is told from IPv4 before anything else: Calico's
 * exports have both, and we pass over the one that we do not carry.
 */
#include "model/schema.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/config.h"

/* A prefix length of IPv6. */
static bool is_length(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits <= 3 && !text[digits] && strtoul(text, NULL, 10) <= 128;
}

/* "fd00::1" or "fd00::/64". */
static bool is_ipv6(const char *text)
{
	size_t length = strcspn(text, "/");
	char address[INET6_ADDRSTRLEN];
	struct in6_addr in6;

	if (length >= sizeof(address) || !strchr(text, ':'))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	if (inet_pton(AF_INET6, address, &in6) != 1)
		return false;
	return !text[length] || is_length(text + length + 1);
}

/* The text of a string that is no IPv6 address. */
static int read_text(struct cv_reader *reader, const struct cv_yaml_node *node,
		     const char **ret_text)
{
	int rc = 0;

	/* What is a number to YAML is no address either; which is the better word for it. */
	if (node->type != CV_YAML_SCALAR || cv_yaml_resolve(node) == CV_YAML_NULL)
		rc = cv_reader_string(reader, node, ret_text);
	else
		*ret_text = node->text;
	return rc ? rc : is_ipv6(*ret_text) ? -EAFNOSUPPORT : 0;
}

/* Whether an address can be one host's. */
static int check_host(struct cv_reader *reader, const struct cv_yaml_node *node, const char *text,
		      __be32 address)
{
	const char *kind = cv_tunnel_no_host(address);

	if (!kind && !address)
		kind = "no address";
	if (kind)
		return cv_reader_fail(reader, node,
				      "%s%s %.64s is %s; give the address of one host",
				      reader->path, cv_reader_leaf(node), text, kind);
	return 0;
}

int cv_reader_address(struct cv_reader *reader, const struct cv_yaml_node *node,
		      __be32 *ret_address)
{
	struct cv_prefix prefix;
	const char *text;
	int rc = read_text(reader, node, &text);

	if (rc)
		return rc;
	if (cv_prefix_parse(text, &prefix) != -ENODATA)
		return cv_reader_fail(reader, node,
				      "%s%s \"%.64s\" is no IPv4 address; write it like 192.0.2.1",
				      reader->path, cv_reader_leaf(node), text);
	rc = check_host(reader, node, text, prefix.address);
	if (!rc)
		*ret_address = prefix.address;
	return rc;
}

/* What an entry should have been. */
static const char *expected(unsigned int entries)
{
	if (entries & CV_ENTRY_INTERFACE)
		return "no address with a prefix length; write it like 10.244.1.1/24";
	if (entries & CV_ENTRY_ADDRESS)
		return "neither an IPv4 address nor a prefix; write it like 10.244.1.0/24";
	return "no IPv4 prefix; write it like 10.244.0.0/16";
}

static int parse_entry(struct cv_reader *reader, const struct cv_yaml_node *node,
		       unsigned int entries, struct cv_prefix *ret_prefix)
{
	char meant[CV_PREFIX_TEXT_MAX];
	struct cv_prefix network;
	const char *text;
	int rc = read_text(reader, node, &text);

	if (rc)
		return rc;
	rc = cv_prefix_parse(text, ret_prefix);
	if (!rc && entries != CV_ENTRY_INTERFACE)
		return 0;
	if (rc == -ENODATA && entries & CV_ENTRY_ADDRESS)
		return check_host(reader, node, text, ret_prefix->address);
	if ((!rc || rc == -ERANGE) && entries & CV_ENTRY_INTERFACE)
		return check_host(reader, node, text, ret_prefix->address);
	if (rc == -ERANGE) {
		network = cv_prefix_of(ret_prefix->address, ret_prefix->length);
		return cv_reader_fail(reader, node,
				      "%s%s %.64s has bits set behind its prefix length; the "
				      "network is %s",
				      reader->path, cv_reader_leaf(node), text,
				      cv_prefix_format(&network, meant));
	}
	return cv_reader_fail(reader, node, "%s%s \"%.64s\" is %s", reader->path,
			      cv_reader_leaf(node), text, expected(entries));
}

int cv_reader_cidr(struct cv_reader *reader, const struct cv_yaml_node *node,
		   struct cv_prefix *ret_prefix)
{
	return parse_entry(reader, node, CV_ENTRY_CIDR, ret_prefix);
}

/* Entries that are taken go to prefixes, which has room for all of them. */
static int read_entries(struct cv_reader *reader, const struct cv_yaml_node *list,
			unsigned int entries, struct cv_prefix *prefixes, size_t *count)
{
	for (const struct cv_yaml_node *node = list->first; node; node = node->next) {
		int rc = parse_entry(reader, node, entries, &prefixes[*count]);

		if (rc == -EAFNOSUPPORT)
			cv_reader_warn(reader, node,
				       "%s%.64s is not acted on: Culvert carries IPv4",
				       reader->path, node->text);
		else if (rc)
			return rc;
		else
			++*count;
	}
	return 0;
}

int cv_reader_prefixes(struct cv_reader *reader, const struct cv_yaml_node *node,
		       unsigned int entries, struct cv_prefix **ret_prefixes, size_t *ret_count)
{
	size_t entered, count = 0;
	struct cv_prefix *prefixes, *cut;
	char is[CV_READER_IS_MAX];
	int rc;

	if (node->type != CV_YAML_LIST)
		return cv_reader_fail(reader, node, "%s%s must be a list, %s", reader->path,
				      cv_reader_leaf(node), cv_reader_is(node, is));
	prefixes = calloc(node->count + 1U, sizeof(prefixes[0]));
	if (!prefixes)
		return cv_error_set(reader->error, -ENOMEM, "no memory");
	entered = cv_reader_enter(reader, cv_reader_leaf(node), ": ");
	rc = read_entries(reader, node, entries, prefixes, &count);
	cv_reader_leave(reader, entered);
	if (rc || !count) {
		free(prefixes);
		prefixes = NULL;
	}
	if (rc)
		return rc;
	cut = prefixes ? realloc(prefixes, count * sizeof(prefixes[0])) : NULL;
	*ret_prefixes = cut ? cut : prefixes;
	*ret_count = count;
	return 0;
}
