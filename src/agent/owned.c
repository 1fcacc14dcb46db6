/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels of resources are kept by comparing what is wanted with what the set has under the
 * resources' names; a person's tunnel of the same name is left alone, and said.
 */
#include "agent/owned.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/route_table.h"

struct wanted {
	struct cv_tunnel_config *configs;
	size_t count;
};

static void note(struct cv_error *problem, const struct cv_error *error)
{
	if (!problem->text[0])
		*problem = *error;
}

/* ---- what is wanted --------------------------------------------------------------------- */

static bool is_here(const struct cv_tunnel_resource *tunnel, const struct cv_intent *intent)
{
	return !tunnel->node || !strcmp(tunnel->node, intent->self.name);
}

static void want_pool_device(const struct cv_intent *intent, const char *name,
			     struct cv_tunnel_config *config)
{
	struct cv_path_configuration path;

	cv_snapshot_path(intent->snapshot, &path);
	cv_tunnel_config_init(config);
	snprintf(config->name, sizeof(config->name), "%s", name);
	snprintf(config->owner, sizeof(config->owner), "%s", CV_TUNNEL_OWNER_POOLS);
	config->local = intent->self.address;
	config->mtu = intent->mtu;
	config->mssclamp = path.mss_clamp;
	config->other_count = intent->other_count;
	memcpy(config->others, intent->others, sizeof(config->others));
}

static int make_wanted(const struct cv_intent *intent, const char *pool_device,
		       struct wanted *ret_wanted)
{
	size_t count;
	struct cv_resource *const *tunnels =
		cv_snapshot_kind(intent->snapshot, CV_KIND_TUNNEL, &count);

	*ret_wanted = (struct wanted){.configs = calloc(count + 1, sizeof(*ret_wanted->configs))};
	if (!ret_wanted->configs)
		return -ENOMEM;
	if (intent->has_device)
		want_pool_device(intent, pool_device, &ret_wanted->configs[ret_wanted->count++]);
	for (size_t i = 0; i < count; i++) {
		struct cv_tunnel_config *config = &ret_wanted->configs[ret_wanted->count];

		if (!is_here(tunnels[i]->tunnel, intent))
			continue;
		*config = tunnels[i]->tunnel->config;
		snprintf(config->owner, sizeof(config->owner), "Tunnel %s", config->name);
		ret_wanted->count++;
	}
	return 0;
}

static const struct cv_tunnel_config *find(const struct wanted *wanted, const char *name)
{
	for (size_t i = 0; i < wanted->count; i++) {
		if (!strcmp(wanted->configs[i].name, name))
			return &wanted->configs[i];
	}
	return NULL;
}

/* ---- making it so -------------------------------------------------------------------------- */

static int change(struct cv_tunnel_set *set, enum cv_tunnel_verb verb,
		  const struct cv_tunnel_config *config, struct cv_error *error)
{
	const struct cv_tunnel_change change = {
		.verb = verb,
		.patch = {.config = *config,
			  .given = verb == CV_TUNNEL_DELETE ? CV_TUNNEL_NAME : UINT32_MAX},
	};
	size_t index;

	return cv_tunnel_set_apply(set, config->owner, &change, 1, &index, error);
}

/* From the last to the first: a deletion moves those behind it. */
static bool delete_unwanted(struct cv_tunnel_set *set, const struct wanted *wanted,
			    struct cv_error *problem)
{
	bool changed = false;

	for (size_t i = cv_tunnel_set_count(set); i-- > 0;) {
		struct cv_tunnel_config config = *cv_tunnel_set_config(set, i);
		const struct cv_tunnel_config *want = find(wanted, config.name);
		struct cv_error error;

		if (!config.owner[0] || (want && !strcmp(want->owner, config.owner)))
			continue;
		if (change(set, CV_TUNNEL_DELETE, &config, &error))
			note(problem, &error);
		else
			changed = true;
	}
	return changed;
}

bool cv_owned_apply(struct cv_tunnel_set *set, const struct cv_intent *intent,
		    const char *pool_device, struct cv_error *problem)
{
	struct wanted wanted;
	bool changed;

	if (make_wanted(intent, pool_device, &wanted)) {
		cv_error_set(problem, -ENOMEM, "out of memory");
		return false;
	}
	changed = delete_unwanted(set, &wanted, problem);
	for (size_t i = 0; i < wanted.count; i++) {
		const struct cv_tunnel_config *have =
			cv_tunnel_set_find(set, wanted.configs[i].name);
		struct cv_error error;

		if (have && !strcmp(have->owner, wanted.configs[i].owner) &&
		    cv_tunnel_config_equal(have, &wanted.configs[i]))
			continue;
		if (change(set, have ? CV_TUNNEL_REPLACE : CV_TUNNEL_ADD, &wanted.configs[i],
			   &error))
			note(problem, &error);
		else
			changed |= !have;
	}
	free(wanted.configs);
	return changed;
}

/* ---- devices --------------------------------------------------------------------------------- */

static bool has_address(const struct cv_facts *facts, int ifindex, const struct cv_prefix *address)
{
	for (size_t i = 0; i < facts->address_count; i++) {
		const struct cv_fact_address *have = &facts->addresses[i];

		if (have->ifindex == ifindex && have->address.address == address->address &&
		    have->address.length == address->length)
			return true;
	}
	return false;
}

static int set_up(struct cv_nl *nl, const struct cv_facts *facts, int ifindex)
{
	const struct cv_fact_interface *interface = cv_facts_interface(facts, ifindex);

	return interface && interface->flags & IFF_UP ? 0 : cv_link_set_up(nl, ifindex, true);
}

static int give(struct cv_nl *nl, const struct cv_facts *facts, int ifindex,
		const struct cv_prefix *address)
{
	int rc;

	if (has_address(facts, ifindex, address))
		return 0;
	rc = cv_address_add(nl, ifindex, address);
	return rc == -EEXIST ? 0 : rc;
}

/* Facts may be a moment old: the kernel is told all the same. */
static int take(struct cv_nl *nl, int ifindex, const struct cv_prefix *address)
{
	int rc = cv_address_delete(nl, ifindex, address);

	return rc == -EADDRNOTAVAIL ? 0 : rc;
}

static void configure_pool_device(struct cv_nl *nl, const struct cv_intent *intent,
				  const struct cv_facts *facts, const char *name, int ifindex,
				  __be32 *address, struct cv_error *problem)
{
	struct cv_prefix wanted = cv_prefix_of(intent->tunnel_address, 32);
	struct cv_prefix former = cv_prefix_of(*address, 32);
	int rc = set_up(nl, facts, ifindex);

	if (!rc && wanted.address)
		rc = give(nl, facts, ifindex, &wanted);
	/* Once the new one is there: what is sent meanwhile has a source. */
	if (!rc && former.address && former.address != wanted.address)
		rc = take(nl, ifindex, &former);
	if (rc) {
		struct cv_error error;

		cv_error_set(&error, rc, "%s: cannot set it up with its address: %s", name,
			     strerror(-rc));
		note(problem, &error);
		return;
	}
	*address = wanted.address;
}

static bool has_prefix(const struct cv_tunnel_resource *tunnel, const struct cv_prefix *address)
{
	for (size_t i = 0; i < tunnel->address_count; i++) {
		if (tunnel->addresses[i].address == address->address &&
		    tunnel->addresses[i].length == address->length)
			return true;
	}
	return false;
}

static bool is_wanted(const struct cv_intent *intent, const char *device,
		      const struct cv_prefix *address)
{
	const struct cv_resource *resource =
		cv_snapshot_find(intent->snapshot, CV_KIND_TUNNEL, device);

	return resource && is_here(resource->tunnel, intent) &&
	       has_prefix(resource->tunnel, address);
}

/* What we gave Tunnels' devices and they should no longer have. With a device, its addresses go. */
static void take_unwanted(struct cv_tunnel_set *set, struct cv_nl *nl,
			  const struct cv_intent *intent, struct cv_node_state *state,
			  struct cv_error *problem)
{
	for (uint32_t i = state->given_count; i-- > 0;) {
		const struct cv_node_given *given = &state->given[i];
		int ifindex = cv_tunnel_set_ifindex(set, given->device);
		struct cv_error error;
		int rc = 0;

		if (is_wanted(intent, given->device, &given->address))
			continue;
		if (ifindex && cv_owned_has_tunnel(set, given->device))
			rc = take(nl, ifindex, &given->address);
		if (!rc) {
			cv_node_state_take(state, i);
			continue;
		}
		cv_error_set(&error, rc, "Tunnel %s: cannot delete an address of its device: %s",
			     given->device, strerror(-rc));
		note(problem, &error);
	}
}

static void configure_tunnel(struct cv_nl *nl, const struct cv_resource *resource,
			     const struct cv_facts *facts, int ifindex, struct cv_node_state *state,
			     struct cv_error *problem)
{
	const struct cv_tunnel_resource *tunnel = resource->tunnel;
	int rc = tunnel->up ? set_up(nl, facts, ifindex) : 0;

	for (size_t i = 0; i < tunnel->address_count && !rc; i++) {
		cv_node_state_give(state, resource->name, &tunnel->addresses[i]);
		rc = give(nl, facts, ifindex, &tunnel->addresses[i]);
	}
	if (rc) {
		struct cv_error error;

		cv_error_set(&error, rc, "Tunnel %s: cannot set its device up: %s", resource->name,
			     strerror(-rc));
		note(problem, &error);
	}
}

bool cv_owned_has_tunnel(struct cv_tunnel_set *set, const char *name)
{
	const struct cv_tunnel_config *config = cv_tunnel_set_find(set, name);

	return config && !strncmp(config->owner, "Tunnel ", 7);
}

void cv_owned_configure(struct cv_tunnel_set *set, struct cv_nl *nl, const struct cv_intent *intent,
			const struct cv_facts *facts, const char *pool_device,
			struct cv_node_state *state, struct cv_error *problem)
{
	size_t count;
	struct cv_resource *const *tunnels =
		cv_snapshot_kind(intent->snapshot, CV_KIND_TUNNEL, &count);
	const struct cv_tunnel_config *config = cv_tunnel_set_find(set, pool_device);
	int ifindex = cv_tunnel_set_ifindex(set, pool_device);

	if (intent->has_device && ifindex && config &&
	    !strcmp(config->owner, CV_TUNNEL_OWNER_POOLS))
		configure_pool_device(nl, intent, facts, pool_device, ifindex, &state->address,
				      problem);
	else if (!intent->has_device)
		state->address = 0;
	take_unwanted(set, nl, intent, state, problem);
	for (size_t i = 0; i < count; i++) {
		ifindex = cv_tunnel_set_ifindex(set, tunnels[i]->name);
		if (ifindex && cv_owned_has_tunnel(set, tunnels[i]->name) &&
		    is_here(tunnels[i]->tunnel, intent))
			configure_tunnel(nl, tunnels[i], facts, ifindex, state, problem);
	}
}
