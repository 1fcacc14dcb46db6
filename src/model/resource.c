/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources as such: their kinds' names, their counting, their order. What is in them is read by
 * kind_*.c.
 */
#include "model/resource.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/kinds.h"
#include "model/nearest.h"

static const char calico[] = "projectcalico.org/v3";
static const char culvert[] = "culvert/v1";

static const struct {
	const char *name, *api_version;
	const struct cv_kind_reader *reader;
	const char *words[6]; /* beside the name: what people type; in lower case */
} kinds[CV_KIND_MAX] = {
	[CV_KIND_IP_POOL] = {"IPPool", calico, &cv_kind_ip_pool, {"ippools", "pool", "pools"}},
	[CV_KIND_NODE] = {"Node", calico, &cv_kind_node, {"nodes", "no"}},
	[CV_KIND_BLOCK_AFFINITY] = {"BlockAffinity",
				    calico,
				    &cv_kind_block_affinity,
				    {"blockaffinities", "affinity", "affinities", "block",
				     "blocks"}},
	[CV_KIND_IP_RESERVATION] = {"IPReservation",
				    calico,
				    &cv_kind_ip_reservation,
				    {"ipreservations", "reservation", "reservations"}},
	[CV_KIND_FELIX_CONFIGURATION] = {"FelixConfiguration",
					 calico,
					 &cv_kind_felix_configuration,
					 {"felixconfigurations", "felixconfig", "felixconfigs",
					  "felix"}},
	[CV_KIND_TUNNEL] = {"Tunnel", culvert, &cv_kind_tunnel, {"tunnels"}},
	[CV_KIND_WORKLOAD] = {"Workload", culvert, &cv_kind_workload, {"workloads"}},
	[CV_KIND_PATH_CONFIGURATION] = {"PathConfiguration",
					culvert,
					&cv_kind_path_configuration,
					{"pathconfigurations", "pathconfig", "pathconfigs",
					 "path"}},
	[CV_KIND_BGP_CONFIGURATION] = {"BGPConfiguration",
				       calico,
				       &cv_kind_bgp_configuration,
				       {"bgpconfigurations", "bgpconfig", "bgpconfigs"}},
	[CV_KIND_BGP_PEER] = {"BGPPeer", calico, &cv_kind_bgp_peer, {"bgppeers", "bgpp"}},
	[CV_KIND_BGP_FILTER] = {"BGPFilter", calico, &cv_kind_bgp_filter, {"bgpfilters"}},
	[CV_KIND_IPAM_CONFIGURATION] = {"IPAMConfiguration",
					calico,
					&cv_kind_ipam_configuration,
					{"ipamconfigurations", "ipamconfig", "ipamconfigs"}},
};

enum {
	WORDS = sizeof(kinds[0].words) / sizeof(kinds[0].words[0])
};

const char *cv_kind_name(enum cv_kind kind)
{
	return kinds[kind].name;
}

const char *cv_kind_api_version(enum cv_kind kind)
{
	return kinds[kind].api_version;
}

const char *cv_ipip_mode_name(unsigned int mode)
{
	static const char *const names[] = {
		[CV_IPIP_NEVER] = "Never",
		[CV_IPIP_ALWAYS] = "Always",
		[CV_IPIP_CROSS_SUBNET] = "CrossSubnet",
	};

	return mode < sizeof(names) / sizeof(names[0]) ? names[mode] : NULL;
}

const struct cv_kind_reader *cv_kind_reader(enum cv_kind kind)
{
	return kinds[kind].reader;
}

void *cv_kind_target(struct cv_resource *resource)
{
	switch (resource->kind) {
	case CV_KIND_FELIX_CONFIGURATION:
		return resource->felix;
	case CV_KIND_TUNNEL:
		return resource->tunnel;
	case CV_KIND_BGP_CONFIGURATION:
		return resource->bgp_configuration;
	case CV_KIND_BGP_PEER:
		return resource->bgp_peer;
	default:
		return &resource->pool; /* the union's beginning, whatever is in it */
	}
}

int cv_kind_parse(const char *word, enum cv_kind *ret_kind, struct cv_error *error)
{
	struct cv_nearest nearest;

	cv_nearest_init(&nearest, word);
	for (int kind = 0; kind < CV_KIND_MAX; kind++) {
		bool is_it = !strcasecmp(word, kinds[kind].name);

		cv_nearest_offer(&nearest, kinds[kind].name);
		for (int i = 0; i < WORDS && kinds[kind].words[i]; i++) {
			is_it = is_it || !strcasecmp(word, kinds[kind].words[i]);
			cv_nearest_offer(&nearest, kinds[kind].words[i]);
		}
		if (is_it) {
			*ret_kind = (enum cv_kind)kind;
			return 0;
		}
	}
	if (nearest.best)
		return cv_error_set(error, -EINVAL, "no kind \"%.64s\"; did you mean %s?", word,
				    nearest.best);
	return cv_error_set(error, -EINVAL,
			    "no kind \"%.64s\"; there are IPPool, Node, BlockAffinity, "
			    "IPReservation, FelixConfiguration, Tunnel, Workload, "
			    "PathConfiguration, BGPConfiguration, BGPPeer, BGPFilter and "
			    "IPAMConfiguration",
			    word);
}

struct cv_resource *cv_resource_get(struct cv_resource *resource)
{
	if (resource)
		resource->references++;
	return resource;
}

void cv_resource_put(struct cv_resource *resource)
{
	if (!resource || --resource->references)
		return;
	if (kinds[resource->kind].reader->fini)
		kinds[resource->kind].reader->fini(resource);
	for (size_t i = 0; i < resource->label_count; i++) {
		free(resource->labels[i].name);
		free(resource->labels[i].value);
	}
	free(resource->labels);
	free((void *)(uintptr_t)resource->origin.file);
	free(resource->name);
	free(resource->text);
	free(resource);
}

int cv_resource_compare(const struct cv_resource *a, const struct cv_resource *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int compare_name(const void *name, const void *label)
{
	return strcmp(name, ((const struct cv_label *)label)->name);
}

const char *cv_resource_label(const struct cv_resource *resource, const char *name)
{
	const struct cv_label *label =
		resource->label_count ? bsearch(name, resource->labels, resource->label_count,
						sizeof(resource->labels[0]), compare_name)
				      : NULL;

	return label ? label->value : NULL;
}
