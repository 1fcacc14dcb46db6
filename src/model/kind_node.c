/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node (https://docs.tigera.io/calico/latest/reference/resources/node). Its address may stand with
 * or without a prefix length: Calico's own nodes have one, people leave it out.
 */
#include "model/kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/schema_values.h"
#include "tunnel/config.h"

static const char carries_ipv4[] = "Culvert carries IPv4";
static const char no_vxlan[] = "Culvert has no VXLAN yet";

/* An address in an IPv4 field that is an IPv6 one is a mistake, not somebody else's. */
static int refuse_ipv6(struct cv_reader *reader, const struct cv_yaml_node *node)
{
	return cv_reader_fail(reader, node, "%s%s %.64s is an IPv6 address; give an IPv4 address",
			      reader->path, node->key, node->text);
}

/* Neither the network itself nor its broadcast address. */
static int check_host_part(struct cv_reader *reader, const struct cv_yaml_node *node,
			   const struct cv_prefix *prefix)
{
	struct cv_prefix network = cv_prefix_of(prefix->address, prefix->length);
	__be32 all = network.address | ~cv_prefix_mask(prefix->length);

	if (prefix->length >= 31)
		return 0;
	if (prefix->address == network.address)
		return cv_reader_fail(
			reader, node,
			"spec.bgp.ipv4Address %s is the network itself; give the "
			"host's address with its prefix length, like 192.168.100.1/24",
			node->text);
	if (prefix->address == all)
		return cv_reader_fail(reader, node,
				      "spec.bgp.ipv4Address %s is the network's broadcast address; "
				      "give the host's",
				      node->text);
	return 0;
}

static int read_address(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_node *to = target;
	struct cv_prefix prefix;
	const char *text, *kind;
	int rc = cv_reader_string(reader, node, &text);

	if (rc || !*text)
		return rc;
	rc = cv_prefix_parse(text, &prefix);
	if (rc == -EINVAL && strchr(text, ':'))
		return refuse_ipv6(reader, node);
	if (rc == -EINVAL)
		return cv_reader_fail(reader, node,
				      "spec.bgp.ipv4Address \"%.64s\" is no IPv4 address; write it "
				      "like 192.168.100.1/24",
				      text);
	kind = prefix.address ? cv_tunnel_no_host(prefix.address) : "no address";
	if (kind)
		return cv_reader_fail(reader, node,
				      "spec.bgp.ipv4Address %s is %s; give the address of one host",
				      text, kind);
	if (rc != -ENODATA && check_host_part(reader, node, &prefix))
		return -EINVAL;
	to->address = prefix.address;
	to->prefix_length = prefix.length;
	to->has_prefix = rc != -ENODATA;
	return 0;
}

static int read_tunnel_address(struct cv_reader *reader, const struct cv_yaml_node *node,
			       void *target)
{
	struct cv_node *to = target;
	int rc;

	if (node->type == CV_YAML_SCALAR && !*node->text)
		return 0;
	rc = cv_reader_address(reader, node, &to->tunnel_address);
	return rc == -EAFNOSUPPORT ? refuse_ipv6(reader, node) : rc;
}

static int read_as_number(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_node *to = target;

	return cv_reader_as_number(reader, node, &to->as_number);
}

static void write_as_number(struct cv_text *out, const void *target)
{
	const struct cv_node *node = target;

	cv_json_integer(out, node->as_number);
}

/* A number that is written like an address, and need not be one (RFC 4456, 8). */
static int read_cluster_id(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_node *to = target;
	struct cv_prefix prefix;
	const char *text;
	int rc = cv_reader_string(reader, node, &text);

	if (rc || !*text)
		return rc;
	if (cv_prefix_parse(text, &prefix) != -ENODATA || !prefix.address)
		return cv_reader_fail(
			reader, node,
			"spec.bgp.routeReflectorClusterID \"%.64s\" is no cluster ID; "
			"write it like 244.0.0.1",
			text);
	to->cluster_id = prefix.address;
	return 0;
}

static const struct cv_field bgp_fields[] = {
	{"ipv4Address", CV_FIELD_READ, .read = read_address},
	{"ipv4IPIPTunnelAddr", CV_FIELD_READ, .read = read_tunnel_address},
	{"asNumber", CV_FIELD_READ, .read = read_as_number, .write = write_as_number},
	{"routeReflectorClusterID", CV_FIELD_READ, .read = read_cluster_id},
	{"ipv6Address", CV_FIELD_UNUSED_SCALAR, .note = carries_ipv4},
};

static const struct cv_schema bgp = {"Node spec.bgp", bgp_fields,
				     sizeof(bgp_fields) / sizeof(bgp_fields[0])};

static const struct cv_field fields[] = {
	{"bgp", CV_FIELD_OBJECT, .object = &bgp},
	{"ipv4VXLANTunnelAddr", CV_FIELD_UNUSED_SCALAR, .note = no_vxlan},
	{"vxlanTunnelMACAddr", CV_FIELD_UNUSED_SCALAR, .note = no_vxlan},
	{"ipv6VXLANTunnelAddr", CV_FIELD_UNUSED_SCALAR, .note = carries_ipv4},
	{"vxlanTunnelMACAddrV6", CV_FIELD_UNUSED_SCALAR, .note = carries_ipv4},
	{.name = "orchRefs", .type = CV_FIELD_UNUSED_LIST},
	{"wireguard", CV_FIELD_UNUSED_OBJECT, .note = "Culvert has no WireGuard"},
	{"addresses", CV_FIELD_UNUSED_LIST, .note = "spec.bgp.ipv4Address is the node's address"},
	{.name = "interfaces", .type = CV_FIELD_UNUSED_LIST},
};

const struct cv_kind_reader cv_kind_node = {
	.spec = {"Node spec", fields, sizeof(fields) / sizeof(fields[0])},
};
