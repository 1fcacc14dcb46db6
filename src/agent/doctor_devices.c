/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of devices: a kernel tunnel that takes protocol 4 beside us, another overlay's device
 * with addresses of our pools, somebody else's device of the pool device's name, a tunnel of ours
 * that takes a node's packets from the pool device; and MTUs.
 */
#include "agent/doctor_devices.h"

#include <string.h>

#include "routing/decide.h"
#include "tunnel/kernel.h"
#include "wire/ipv4.h"

/* ---- others ------------------------------------------------------------------------------ */

static void check_kernel_tunnel(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	char name[IFNAMSIZ], remedy[CV_REMEDY_MAX];

	if (!input->nl || cv_kernel_tunnel_find(input->nl, name) != 1)
		return;
	cv_finding_add(findings, CV_FINDING_ERROR, cv_remedy(remedy, "ip link set %s down", name),
		       "%s, a tunnel of the kernel, is up and takes IP protocol 4, too: inner "
		       "packets arrive twice, and unchecked once%s",
		       name,
		       !strcmp(name, "tunl0") ? " (Calico's, perhaps: see \"Moving from Calico\")"
					      : "");
}

/* Devices that other overlays make, whatever they are called. */
static bool is_overlay(const struct cv_fact_interface *interface)
{
	static const char *const kinds[] = {"ipip", "sit", "vxlan", "gre", "wireguard", "geneve"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(interface->kind, kinds[i]))
			return true;
	}
	return false;
}

static void check_address(const struct cv_doctor_input *input,
			  const struct cv_fact_address *address, struct cv_findings *findings)
{
	const struct cv_fact_interface *interface = address->interface;
	const struct cv_resource *pool =
		cv_snapshot_pool_of(input->intent->snapshot, address->address.address);
	char text[CV_PREFIX_TEXT_MAX], remedy[CV_REMEDY_MAX];

	if (!pool || !interface || interface->is_ours || !is_overlay(interface))
		return;
	cv_prefix_format(&address->address, text);
	cv_finding_add(findings, CV_FINDING_WARNING,
		       cv_remedy(remedy, "ip addr del %s dev %s", text, interface->name),
		       "%s, another overlay's device (%s), has %s of IPPool %s: packets of this "
		       "host may leave with that source, and answers come back to that device",
		       interface->name, interface->kind, text, pool->name);
}

static void check_pool_device_name(const struct cv_doctor_input *input,
				   struct cv_findings *findings)
{
	const struct cv_fact_interface *interface =
		cv_facts_interface_named(input->facts, input->pool_device);

	if (!interface || interface->is_ours || !input->intent->has_device)
		return;
	cv_finding_add(findings, CV_FINDING_ERROR, "culvertd --pool-device NAME (another one)",
		       "the pool device is to be called %s, and somebody else's device (%s) is",
		       interface->name, *interface->kind ? interface->kind : "of no kind");
}

/* What comes from a node belongs to the tunnel that names it, and no route of the pools leads
 * there. */
static void check_tunnel(const struct cv_doctor_input *input, const struct cv_tunnel_config *config,
			 struct cv_findings *findings)
{
	const struct cv_peer_intent *peer =
		config->remote ? cv_intent_peer(input->intent, config->remote) : NULL;
	char address[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];

	if (!peer || !peer->tunnelled || !config->strict)
		return;
	if (config->local && config->local != input->intent->self.address)
		return;
	cv_address_format(config->remote, address);
	cv_finding_add(findings, CV_FINDING_ERROR,
		       *config->owner ? cv_remedy(remedy, "culvert delete tunnel %s", config->name)
				      : cv_remedy(remedy, "culvert tunnel del %s", config->name),
		       "tunnel %s names %s as its remote, node %s: what that node tunnels belongs "
		       "to it instead of %s, and the pools' packets among it are dropped "
		       "(source-not-routed-back); a node needs no tunnel of its own",
		       config->name, address, peer->node->name, input->pool_device);
}

void cv_doctor_check_devices(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	size_t before = findings->troubles;

	check_kernel_tunnel(input, findings);
	check_pool_device_name(input, findings);
	for (size_t i = 0; i < input->facts->address_count; i++)
		check_address(input, &input->facts->addresses[i], findings);
	for (size_t i = 0; input->tunnels && i < cv_tunnel_set_count(input->tunnels); i++)
		check_tunnel(input, cv_tunnel_set_config(input->tunnels, i), findings);
	if (findings->troubles == before)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "no other device takes or has what is the overlay's");
}

/* ---- MTUs -------------------------------------------------------------------------------- */

static bool is_by_hand(const struct cv_doctor_input *input)
{
	struct cv_tunnel_status status;

	for (size_t i = 0; input->tunnels && i < cv_tunnel_set_count(input->tunnels); i++) {
		if (strcmp(cv_tunnel_set_config(input->tunnels, i)->name, input->pool_device))
			continue;
		cv_tunnel_set_status(input->tunnels, i, &status);
		return status.mtu_by_hand;
	}
	return false;
}

/* The path's MTU less the outer header, of peers that are tunnelled to. */
static void check_paths(const struct cv_doctor_input *input, uint32_t mtu,
			struct cv_findings *findings)
{
	const struct cv_peer_intent *least = NULL;
	uint32_t least_mtu = mtu;
	char address[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];
	size_t count = 0;

	for (size_t i = 0; input->ways && i < input->intent->peer_count; i++) {
		const struct cv_peer_intent *peer = &input->intent->peers[i];
		const struct cv_doctor_way *way = &input->ways[i];

		if (!peer->tunnelled || !way->oif || way->mtu >= mtu + CV_IPV4_HEADER_MIN)
			continue;
		count++;
		if (way->mtu - CV_IPV4_HEADER_MIN < least_mtu) {
			least_mtu = way->mtu - CV_IPV4_HEADER_MIN;
			least = peer;
		}
	}
	if (!least)
		return;
	cv_address_format(least->address, address);
	cv_finding_add(
		findings, CV_FINDING_WARNING,
		cv_remedy(remedy,
			  "set ipipMTU: %u in FelixConfiguration default, or mend the path "
			  "(ip route get %s)",
			  least_mtu, address),
		"the way to %zu node%s carries less than %s's MTU of %u bytes, least to %s (%s): "
		"%u; larger packets are answered by ICMP or fragmented",
		count, count == 1 ? "" : "s", input->pool_device, mtu, least->node->name, address,
		least_mtu);
}

void cv_doctor_check_mtu(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_intent *intent = input->intent;
	const struct cv_fact_interface *device =
		cv_facts_interface(input->facts, input->pool_ifindex);
	size_t before = findings->troubles;
	char remedy[CV_REMEDY_MAX];

	if (!intent->has_device || !device)
		return;
	if (device->mtu != intent->mtu && (device->mtu > intent->mtu || is_by_hand(input)))
		cv_finding_add(
			findings, CV_FINDING_WARNING,
			cv_remedy(remedy, "ip link set %s mtu %u", device->name, intent->mtu),
			"%s has an MTU of %u bytes%s; %u would be right (%s)", device->name,
			device->mtu, is_by_hand(input) ? ", set by hand" : "", intent->mtu,
			intent->mtu_how);
	check_paths(input, device->mtu, findings);
	if (findings->troubles == before)
		cv_finding_add(findings, CV_FINDING_OK, NULL, "%s has an MTU of %u bytes (%s)",
			       device->name, device->mtu, intent->mtu_how);
}
