/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADD. The order is what makes it safe to be killed at any point: first culvertd's note (cni.add),
 * then what it notes: a delegated plugin's address, the pair of devices, route and endpoint
 * (cni.attach), and the alias, which says that all of it is there. An ADD that fails goes back the
 * same way.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cni/call.h"
#include "cni/log.h"
#include "cni/pair.h"
#include "model/tombstone.h"

/* What an ADD knows so far. */
struct add {
	struct cv_cni_call *call;
	struct cv_cni_agent agent;
	struct cv_cni_sides sides;
	json_t *answer;	   /* of cni.add */
	json_t *delegated; /* the IPAM plugin's result */
	bool is_noted;
	bool is_delegated; /* the IPAM plugin has been run */
	uint32_t mtu;
	uint8_t mac[CV_ATTACHMENT_MAC];
	struct cv_cni_result result;
};

/* ---- the note ----------------------------------------------------------------------- */

static json_t *address_list(const struct cv_cni_config *config)
{
	json_t *list = json_array();
	char text[CV_ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < config->address_count; i++)
		json_array_append_new(list,
				      json_string(cv_address_format(config->addresses[i], text)));
	return list;
}

static json_t *pool_list(const struct cv_cni_config *config)
{
	json_t *list = json_array();

	for (size_t i = 0; i < config->pool_count; i++)
		json_array_append_new(list, json_string(config->pools[i]));
	return list;
}

/* NULL: CNI_ARGS does not say which it is. */
/* podman gives a name alone. */
static json_t *pod_object(const struct cv_cni_arguments *arguments)
{
	const char *name_space = arguments->name_space;

	if (!arguments->pod || !*arguments->pod)
		return NULL;
	return json_pack("{s:s, s:s*}", "name", arguments->pod, "namespace",
			 name_space && *name_space ? name_space : NULL);
}

/* A later plugin's qdisc is on the host end, where the fast path's would be. */
static const char *bypass(const struct cv_cni_config *config)
{
	return config->has_bandwidth ? "off" : config->bypass;
}

static json_t *note_request(const struct cv_cni_call *call)
{
	const struct cv_cni_environment *environment = call->environment;
	const struct cv_cni_config *config = call->config;
	json_t *request = cv_cni_call_key(call);

	json_object_set_new(request, "netns", json_string(environment->netns));
	json_object_set_new(request, "mode", json_string(config->bridge ? "bridge" : "routed"));
	if (config->bridge)
		json_object_set_new(request, "bridge", json_string(config->bridge));
	json_object_set_new(request, "ipam", json_boolean(!config->ipam));
	json_object_set_new(request, "bypass", json_string(bypass(config)));
	if (!config->ipam && config->address_count)
		json_object_set_new(request, "addresses", address_list(config));
	if (!config->ipam && config->pool_count)
		json_object_set_new(request, "pools", pool_list(config));
	json_object_set_new(request, "pod", pod_object(&environment->arguments));
	return request;
}

static int senseless(struct add *add, const char *member)
{
	return cv_cni_fail(&add->call->failure, CV_CNI_REFUSED,
			   "culvertd's answer makes no sense (%s); install culvertd and "
			   "culvert-cni of the same release",
			   member);
}

static int note(struct add *add)
{
	struct cv_cni_call *call = add->call;
	const json_t *mtu;
	int code;

	/* A DEL that met no agent, before this ADD: what it left is not for what we make now. */
	cv_tombstone_remove(call->config->run_dir, call->config->network,
			    call->environment->container, call->environment->ifname);
	add->is_noted = true; /* perhaps: the answer may be lost */
	code = cv_cni_agent_ask(&add->agent, "cni.add", note_request(call), &add->answer,
				&call->failure);
	cv_cni_log_step(call->log, "cni.add");
	if (code)
		return code;
	mtu = json_object_get(add->answer, "mtu");
	add->mtu = call->config->mtu;
	if (!add->mtu && json_is_integer(mtu))
		add->mtu = (uint32_t)json_integer_value(mtu);
	return add->mtu ? 0 : senseless(add, "mtu");
}

/* ---- addresses and routes ----------------------------------------------------------- */

static int read_prefix(const json_t *text, struct cv_prefix *ret_prefix)
{
	int rc = json_is_string(text) ? cv_prefix_parse(json_string_value(text), ret_prefix)
				      : -EINVAL;

	return rc == -ERANGE || rc == -ENODATA ? 0 : rc;
}

/* The bridge's address in the (smallest) network of address, by which its length is known, too. */
static bool find_bridge_address(const json_t *answer, struct cv_prefix *address,
				__be32 *ret_gateway)
{
	const json_t *list = json_object_get(answer, "bridge_addresses");
	bool is_found = false;

	for (size_t i = 0; i < json_array_size(list); i++) {
		struct cv_prefix bridge, network;

		if (read_prefix(json_array_get(list, i), &bridge))
			continue;
		network = cv_prefix_of(bridge.address, bridge.length);
		if (!cv_prefix_has(&network, address->address) ||
		    (is_found && bridge.length <= address->length))
			continue;
		address->length = bridge.length;
		*ret_gateway = bridge.address;
		is_found = true;
	}
	return is_found;
}

/* What culvertd has assigned. */
static int take_own(struct add *add)
{
	const json_t *list = json_object_get(add->answer, "addresses");
	struct cv_cni_result *result = &add->result;

	if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > CV_CNI_IPS)
		return senseless(add, "addresses");
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct cv_cni_ip *ip = &result->ips[i];

		if (read_prefix(json_array_get(list, i), &ip->address))
			return senseless(add, "addresses");
		if (add->call->config->bridge &&
		    !find_bridge_address(add->answer, &ip->address, &ip->gateway))
			return senseless(add, "bridge_addresses");
	}
	result->ip_count = json_array_size(list);
	result->route_count = add->call->config->route_count;
	memcpy(result->routes, add->call->config->routes, sizeof(result->routes));
	return 0;
}

/* What the IPAM plugin has assigned. */
static int take_delegated(struct add *add)
{
	const struct cv_cni_delegate delegate = cv_cni_call_delegate(add->call);
	struct cv_cni_failure *failure = &add->call->failure;
	int code;

	add->is_delegated = true; /* also if it fails half-way */
	code = cv_cni_delegate_run(&delegate, "ADD", &add->delegated, failure);
	/* Not one that took too long: the runtime has no patience for a second time of that. */
	if (code && code != CV_CNI_TRY_AGAIN) {
		struct cv_cni_failure ignored;
		json_t *nothing = NULL;

		/* An ADD that was killed may have left an address: host-local gives no second one.
		 */
		cv_cni_delegate_run(&delegate, "DEL", &nothing, &ignored);
		json_decref(nothing);
		code = cv_cni_delegate_run(&delegate, "ADD", &add->delegated, failure);
	}
	if (!code)
		code = cv_cni_result_parse(add->delegated, delegate.type, CV_CNI_DELEGATE,
					   &add->result, failure);
	if (code)
		return code;
	if (!add->result.ip_count)
		return cv_cni_fail(failure, CV_CNI_DELEGATE, "%s gave no address", delegate.type);
	return 0;
}

/*
 * Routed: one address, whatever network it came from, and everything by way of the host. On a
 * bridge: by what the address' giver says. Without routes: everything that way.
 */
static void complete(struct add *add)
{
	const bool is_routed = !add->call->config->bridge;
	struct cv_cni_result *result = &add->result;

	for (size_t i = 0; is_routed && i < result->ip_count; i++) {
		result->ips[i].address.length = 32;
		result->ips[i].gateway = cv_cni_pair_gateway();
	}
	if (!result->route_count)
		result->routes[result->route_count++] = (struct cv_cni_route){.scope = -1};
	for (size_t i = 0; i < result->route_count; i++) {
		if (is_routed || !result->routes[i].gateway)
			result->routes[i].gateway = result->ips[0].gateway;
	}
}

static void add_interface(struct cv_cni_result *result, const char *name, const uint8_t *mac,
			  const char *sandbox, uint32_t mtu)
{
	struct cv_cni_interface *interface = &result->interfaces[result->interface_count++];

	snprintf(interface->name, sizeof(interface->name), "%s", name);
	cv_attachment_mac_format(mac, interface->mac);
	interface->sandbox = sandbox;
	interface->mtu = mtu;
}

/* The bridge, if there is one, the host end, the pod's, in this order, as `bridge` has it. */
static void list_interfaces(struct add *add)
{
	const struct cv_cni_call *call = add->call;
	struct cv_cni_result *result = &add->result;
	struct cv_link bridge;

	result->interface_count = 0;
	if (call->config->bridge && !cv_link_get(add->sides.host, call->config->bridge, &bridge))
		add_interface(result, bridge.name, bridge.mac, NULL, bridge.mtu);
	add_interface(result, call->names.device, call->names.host_mac, NULL, add->mtu);
	add_interface(result, call->environment->ifname, add->mac, call->environment->netns,
		      add->mtu);
	for (size_t i = 0; i < result->ip_count; i++)
		result->ips[i].interface = (int)result->interface_count - 1;
	if (call->config->dns)
		result->dns = call->config->dns;
}

/* ---- making it ---------------------------------------------------------------------- */

static struct cv_cni_pair pair_of(const struct add *add)
{
	const struct cv_cni_call *call = add->call;
	const struct cv_cni_config *config = call->config;

	return (struct cv_cni_pair){
		.names = &call->names,
		.ifname = call->environment->ifname,
		.mac = add->mac,
		.mtu = add->mtu,
		.bridge = config->bridge,
		.hairpin = config->hairpin,
		.clsact = config->has_clsact && !config->bridge && strcmp(bypass(config), "off"),
		/* That of our own addresses is culvertd's care. */
		.bridge_gateway = config->bridge && config->ipam && config->is_gateway
					  ? add->result.ips[0].gateway
					  : 0,
		.result = &add->result,
	};
}

static void append_prefix(json_t *list, __be32 address, uint8_t length)
{
	const struct cv_prefix prefix = {.address = address, .length = length};
	char text[CV_PREFIX_TEXT_MAX];

	json_array_append_new(list, json_string(cv_prefix_format(&prefix, text)));
}

static json_t *attach_request(const struct add *add, __be32 bridge_gateway)
{
	json_t *request = cv_cni_call_key(add->call);
	json_t *addresses = json_array(), *gateways = json_array();
	char text[CV_ATTACHMENT_MAC_TEXT];

	for (size_t i = 0; i < add->result.ip_count; i++)
		append_prefix(addresses, add->result.ips[i].address.address,
			      add->result.ips[i].address.length);
	if (bridge_gateway)
		append_prefix(gateways, bridge_gateway, add->result.ips[0].address.length);
	json_object_set_new(request, "device", json_string(add->call->names.device));
	json_object_set_new(request, "addresses", addresses);
	json_object_set_new(request, "gateways", gateways);
	json_object_set_new(request, "mac", json_string(cv_attachment_mac_format(add->mac, text)));
	json_object_set_new(request, "netns_device",
			    json_integer((json_int_t)add->sides.inode.device));
	json_object_set_new(request, "netns_inode",
			    json_integer((json_int_t)add->sides.inode.inode));
	return request;
}

static int attach(struct add *add, __be32 bridge_gateway)
{
	json_t *result = NULL;
	int code = cv_cni_agent_ask(&add->agent, "cni.attach", attach_request(add, bridge_gateway),
				    &result, &add->call->failure);

	cv_cni_log_step(add->call->log, "cni.attach");
	json_decref(result);
	return code;
}

static int make(struct add *add)
{
	struct cv_cni_failure *failure = &add->call->failure;
	struct cv_cni_pair pair;
	int code = add->call->config->ipam ? take_delegated(add) : take_own(add);

	if (code)
		return code;
	if (add->is_delegated)
		cv_cni_log_step(add->call->log, add->call->config->ipam);
	complete(add);
	pair = pair_of(add);
	code = cv_cni_pair_make(&add->sides, &pair, failure);
	cv_cni_log_step(add->call->log, "pair");
	if (!code)
		code = attach(add, pair.bridge_gateway);
	if (!code)
		code = cv_cni_pair_finish(&add->sides, &add->call->names, failure);
	if (!code)
		list_interfaces(add);
	return code;
}

/* In reverse. What fails here is left to the DEL that follows, and to culvertd; why the ADD failed
 * is what counts. */
static void undo(struct add *add)
{
	struct cv_cni_failure ignored;
	json_t *nothing = NULL;

	cv_cni_pair_remove(add->sides.host, &add->call->names, &ignored);
	if (add->is_delegated) {
		const struct cv_cni_delegate delegate = cv_cni_call_delegate(add->call);

		cv_cni_delegate_run(&delegate, "DEL", &nothing, &ignored);
		json_decref(nothing);
	}
	cv_cni_agent_fini(&add->agent);
	cv_cni_call_forget(add->call, &ignored);
}

/* Whose interface is it that a plugin before us has made? */
static int check_first(struct cv_cni_call *call)
{
	const json_t *interfaces = json_object_get(call->config->previous, "interfaces");
	const json_t *ips = json_object_get(call->config->previous, "ips");
	const char *name =
		json_string_value(json_object_get(json_array_get(interfaces, 0), "name"));

	if (!json_array_size(interfaces) && !json_array_size(ips))
		return 0;
	return cv_cni_fail(&call->failure, CV_CNI_CONFIG,
			   "prevResult: another plugin of the list has made an interface (%s); "
			   "culvert-cni makes one itself and must be the first of its list",
			   name ? name : "without a name");
}

int cv_cni_add(struct cv_cni_call *call, json_t **ret_result)
{
	const struct cv_cni_environment *environment = call->environment;
	struct add add = {.call = call, .sides = {.netns = -1}};
	int code = check_first(call);

	if (code)
		return code;
	memcpy(add.mac, call->config->has_mac ? call->config->mac : call->names.pod_mac,
	       sizeof(add.mac));
	code = cv_cni_sides_open(environment->netns, environment->netns_override, &add.sides,
				 &call->failure);
	if (!code)
		code = cv_cni_pair_prepare(&add.sides, &call->names, environment->ifname,
					   &call->failure);
	cv_cni_log_step(call->log, "look");
	cv_cni_agent_init(&add.agent, call->config->run_dir, CV_CNI_AGENT_WAIT_MS);
	if (!code)
		code = note(&add);
	if (!code)
		code = make(&add);
	if (code && add.is_noted)
		undo(&add);
	if (!code)
		*ret_result = cv_cni_result_json(&add.result, call->config->version);
	cv_cni_agent_fini(&add.agent);
	cv_cni_sides_close(&add.sides);
	json_decref(add.answer);
	json_decref(add.delegated);
	return code;
}
