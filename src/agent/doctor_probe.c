/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a peer's name to a probe, and from its answers to words. The causes that are named are those
 * that people meet: a security group without protocol 4, a peer without culvertd, a peer that does
 * not know this node, a way back that goes elsewhere, a firewall on this host.
 */
#include "agent/doctor_probe.h"

#include <errno.h>
#include <string.h>

#include "agent/doctor_paths.h"
#include "net/route.h"
#include "wire/ipv4.h"

enum {
	ICMP_UNREACHABLE = 3,
	CODE_PROTOCOL = 2, /* protocol unreachable */
	CODE_TOO_BIG = 4,
};

static const char protocol_4_words[] =
	"a firewall or security group on the way drops IP protocol 4; it must be allowed by its "
	"number (`ipip` means 94, also in OpenStack)";

/* ---- whom to ask ------------------------------------------------------------------------- */

/* As the peer chooses it itself, where its Node does not say: routing/decide.c. */
static __be32 tunnel_address_of(const struct cv_intent *intent, const struct cv_resource *node)
{
	if (node->node.tunnel_address)
		return node->node.tunnel_address;
	for (size_t i = 0; i < intent->decision_count; i++) {
		const struct cv_claim *claim = &intent->decisions[i].claim;

		/* What was learned and is no single address is a block, too. */
		if (claim->node == node && claim->pool &&
		    (claim->resource ? claim->resource->kind == CV_KIND_BLOCK_AFFINITY
				     : claim->prefix.length < 32) &&
		    claim->pool->pool.ipip_mode != CV_IPIP_NEVER &&
		    claim->pool->pool.allowed_uses & CV_USE_TUNNEL)
			return claim->prefix.address;
	}
	return 0;
}

/* True if the kernel sends what is meant for this address into the pool device. */
static bool leads_into_tunnel(const struct cv_doctor_input *input, __be32 address)
{
	const struct cv_route_flow flow = {
		.destination = address,
		.source = input->intent->tunnel_address,
	};
	struct cv_route route;

	return input->nl && input->pool_ifindex && !cv_route_get(input->nl, &flow, &route) &&
	       route.oif == input->pool_ifindex;
}

int cv_doctor_find_target(const struct cv_doctor_input *input, const char *peer,
			  struct cv_probe_target *ret_target, struct cv_error *error)
{
	const struct cv_intent *intent = input->intent;
	const struct cv_peer_intent *known = cv_intent_peer_named(intent, peer);
	struct cv_probe_target target = {.self = intent->self.address};
	struct cv_prefix address;

	if (known) {
		target.peer = known->address;
	} else if (!strcmp(peer, intent->self.name)) {
		return cv_error_set(error, -EINVAL, "%s is this node; name another one", peer);
	} else if (cv_prefix_parse(peer, &address) == -ENODATA) {
		target.peer = address.address;
		known = cv_intent_peer(intent, target.peer);
	} else if (cv_snapshot_find(intent->snapshot, CV_KIND_NODE, peer)) {
		return cv_error_set(error, -ENOENT,
				    "node %s has no bgp.ipv4Address; give it one, or an address "
				    "here",
				    peer);
	} else {
		return cv_error_set(error, -ENOENT,
				    "there is no node %s, and that is no address; `culvert get "
				    "nodes` lists them",
				    peer);
	}
	if (!target.self)
		return cv_error_set(error, -EADDRNOTAVAIL,
				    "this node has no address to ask from: %s",
				    intent->self.problem[0] ? intent->self.problem
							    : "it is no Node of the store");
	if (target.peer == target.self)
		return cv_error_set(error, -EINVAL, "%s is this node; name another one", peer);
	if (input->pool_ifindex)
		target.inner_source = intent->tunnel_address;
	if (known)
		target.inner_peer = tunnel_address_of(intent, known->node);
	target.is_tunnel = target.inner_peer && leads_into_tunnel(input, target.inner_peer);
	*ret_target = target;
	return 0;
}

/* ---- the way ------------------------------------------------------------------------------- */

static void check_route(const struct cv_doctor_input *input, __be32 peer,
			struct cv_findings *findings)
{
	const struct cv_route_flow flow = {.destination = peer};
	const struct cv_fact_interface *interface;
	char address[CV_ADDRESS_TEXT_MAX], gateway[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];
	struct cv_route route;
	int rc = input->nl ? cv_route_get(input->nl, &flow, &route) : -ENOTCONN;

	cv_address_format(peer, address);
	if (rc) {
		cv_finding_add(findings, CV_FINDING_ERROR,
			       cv_remedy(remedy, "ip route get %s", address),
			       "this host has no route to %s: %s", address, strerror(-rc));
		return;
	}
	interface = cv_facts_interface(input->facts, route.oif);
	cv_address_format(route.gateway, gateway);
	cv_finding_add(findings, CV_FINDING_OK, NULL,
		       "the way to %s is by %s%s%s, which carries %u bytes: %u in the tunnel",
		       address, interface ? interface->name : "a device that is new",
		       route.gateway ? " via " : "", route.gateway ? gateway : "", route.mtu,
		       route.mtu - CV_IPV4_HEADER_MIN);
}

void cv_doctor_check_way(const struct cv_doctor_input *input, const struct cv_probe_target *target,
			 struct cv_findings *findings)
{
	const struct cv_peer_intent *peer = cv_intent_peer(input->intent, target->peer);
	char address[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];

	findings->check = "path";
	cv_address_format(target->peer, address);
	if (peer)
		cv_finding_add(
			findings, CV_FINDING_OK, NULL,
			"node %s (%s) owns %u prefix%s: %u by the tunnel, %u directly, %u by "
			"the underlay; CrossSubnet means %s (%s)",
			peer->node->name, address, peer->prefixes, peer->prefixes == 1 ? "" : "es",
			peer->tunnelled, peer->direct, peer->underlay,
			cv_path_name(peer->cross_subnet),
			cv_path_reason_text(peer->cross_subnet_reason));
	else
		cv_finding_add(
			findings, CV_FINDING_WARNING,
			cv_remedy(remedy, "add a Node with bgp.ipv4Address: %s to the manifest",
				  address),
			"no Node has the address %s: what it sends is dropped here", address);
	check_route(input, target->peer, findings);
	cv_doctor_tell_path(input, target->peer, findings);
}

/* ---- the answers ---------------------------------------------------------------------------- */

/* "no answer to 3 echo requests", "host unreachable (says 192.0.2.1)", … Returns buffer. */
static const char *silence_text(const struct cv_probe_result *result, char *buffer, size_t size)
{
	char offender[CV_ADDRESS_TEXT_MAX];

	switch (result->answer) {
	case CV_PROBE_ICMP:
		cv_address_format(result->offender, offender);
		snprintf(buffer, size, "%s, says %s",
			 cv_probe_icmp_text(result->type, result->code), offender);
		break;
	case CV_PROBE_ERROR:
		snprintf(buffer, size, "it cannot be sent: %s", strerror(-result->error));
		break;
	case CV_PROBE_SILENCE:
	case CV_PROBE_ECHO:
		snprintf(buffer, size, "no answer to %d echo requests", CV_PROBE_TRIES);
		break;
	}
	return buffer;
}

static void judge_underlay(const char *address, const struct cv_probe_report *report,
			   struct cv_findings *findings)
{
	const struct cv_probe_result *result = &report->underlay;
	bool is_inner_fine = report->inner.answer == CV_PROBE_ECHO;
	char remedy[CV_REMEDY_MAX], why[128];

	findings->check = "underlay";
	if (result->answer == CV_PROBE_ECHO)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%s answers on the underlay, in %.1f ms", address,
			       (double)result->rtt_us / 1000);
	else if (is_inner_fine)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%s does not answer on the underlay (%s), but through the tunnel: "
			       "something filters ICMP",
			       address, silence_text(result, why, sizeof(why)));
	else
		cv_finding_add(
			findings, CV_FINDING_ERROR,
			cv_remedy(remedy, "traceroute -n %s; ip neigh show %s", address, address),
			"%s is not reached on the underlay: %s", address,
			silence_text(result, why, sizeof(why)));
}

/* There is an inner answer. */
static void judge_echo(const struct cv_doctor_input *input, const char *address,
		       const struct cv_probe_target *target, const struct cv_probe_report *report,
		       struct cv_findings *findings)
{
	double rtt_ms = (double)report->inner.rtt_us / 1000;

	if (report->came_by_protocol_4 && report->was_delivered)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "IP protocol 4 passes both ways: %s answers through the tunnel, in "
			       "%.1f ms",
			       address, rtt_ms);
	else if (report->was_delivered)
		cv_finding_add(
			findings, CV_FINDING_OK, NULL,
			"IP protocol 4 reaches %s; the answer came back outside the tunnel, in "
			"%.1f ms, as that is its way to us",
			address, rtt_ms);
	else if (target->is_tunnel || target->inner_peer)
		cv_finding_add(
			findings, CV_FINDING_ERROR, "culvert tunnel show -s",
			"%s answers by IP protocol 4, in %.1f ms, but this host does not "
			"deliver it: look which of %s's drops grow, and at rp_filter and the "
			"firewall",
			address, rtt_ms, input->pool_device);
	else
		/* From its outer address, which is not the overlay's: need not be delivered. */
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "IP protocol 4 passes both ways: %s answers through the tunnel, in "
			       "%.1f ms",
			       address, rtt_ms);
}

static void judge_no_echo(const char *address, const struct cv_probe_target *target,
			  const struct cv_probe_report *report, struct cv_findings *findings)
{
	const struct cv_probe_result *result = &report->inner;
	char remedy[CV_REMEDY_MAX], why[128], offender[CV_ADDRESS_TEXT_MAX],
		self[CV_ADDRESS_TEXT_MAX];

	cv_address_format(target->self, self);
	silence_text(result, why, sizeof(why));
	if (result->answer == CV_PROBE_ICMP && result->type == ICMP_UNREACHABLE &&
	    result->code == CODE_PROTOCOL && result->offender == target->peer) {
		cv_address_format(result->offender, offender);
		cv_finding_add(findings, CV_FINDING_ERROR,
			       cv_remedy(remedy, "systemctl start culvertd (on %s)", offender),
			       "IP protocol 4 reaches %s, and nobody there takes it (protocol "
			       "unreachable): culvertd does not run",
			       address);
		return;
	}
	if (report->underlay.answer != CV_PROBE_ECHO) {
		cv_finding_add(findings, CV_FINDING_ERROR, NULL,
			       "IP protocol 4 does not come back from %s either: %s", address, why);
		return;
	}
	if (result->answer != CV_PROBE_SILENCE) {
		cv_finding_add(findings, CV_FINDING_ERROR, "culvert tunnel show -s",
			       "%s answers on the underlay, but not by IP protocol 4: %s", address,
			       why);
		return;
	}
	cv_finding_add(findings, CV_FINDING_ERROR,
		       cv_remedy(remedy,
				 "openstack security group rule create --protocol 4 --remote-ip "
				 "%s/32 GROUP; nft insert rule inet filter input meta l4proto 4 "
				 "accept (on the way and at the peer)",
				 self),
		       "%s answers on the underlay, but not by IP protocol 4: %s", address,
		       protocol_4_words);
	cv_finding_add(findings, CV_FINDING_WARNING,
		       cv_remedy(remedy,
				 "culvert status; culvert tunnel show -s; ip route get %s (on "
				 "%s)",
				 self, address),
		       "or else %s does not run culvertd, or does not know this node (no Node has "
		       "%s there, or another digest of the store): its drops not-a-peer and "
		       "source-not-routed-back tell",
		       address, self);
}

void cv_doctor_judge_probe(const struct cv_doctor_input *input,
			   const struct cv_probe_target *target,
			   const struct cv_probe_report *report, struct cv_findings *findings)
{
	char address[CV_ADDRESS_TEXT_MAX];

	cv_address_format(target->peer, address);
	judge_underlay(address, report, findings);
	findings->check = "protocol-4";
	if (!report->inner.was_asked)
		cv_finding_add(
			findings, CV_FINDING_WARNING,
			"culvert status (does a pool encapsulate? has this node a block or a "
			"tunnel address?)",
			"IP protocol 4 was not tried: this node has no pool device with an "
			"address to ask from");
	else if (report->inner.answer == CV_PROBE_ECHO)
		judge_echo(input, address, target, report, findings);
	else
		judge_no_echo(address, target, report, findings);
}
