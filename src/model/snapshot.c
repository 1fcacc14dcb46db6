/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All resources of a store at one moment. Made in one go: sorted, counted by kind, claims
 * collected, checked (model/snapshot_check.h), and only then handed out; immutable from then on.
 * Stores have tens of thousands of resources: everything here sorts and searches, nothing compares
 * each with each.
 */
#include "model/snapshot.h"

#include <errno.h>
#include <sha256.h>
#include <stdlib.h>
#include <string.h>

#include "model/order.h"
#include "model/snapshot_check.h"
#include "wire/types.h"

/* ---- making ---------------------------------------------------------------------- */

static int compare_cidrs(const void *a, const void *b)
{
	struct cv_resource *const *x = a, *const *y = b;

	return cv_prefix_compare(&(*x)->pool.cidr, &(*y)->pool.cidr);
}

static int compare_claims(const void *a, const void *b)
{
	const struct cv_claim *x = a, *y = b;
	int order = cv_prefix_compare(&x->prefix, &y->prefix);

	return order ? order : cv_resource_compare(x->resource, y->resource);
}

static void find_kinds(struct cv_snapshot *snapshot)
{
	size_t i = 0;

	for (int kind = 0; kind < CV_KIND_MAX; kind++) {
		snapshot->first[kind] = i;
		while (i < snapshot->count && (int)snapshot->resources[i]->kind == kind)
			i++;
	}
	snapshot->first[CV_KIND_MAX] = i;
}

static int sort_pools(struct cv_snapshot *snapshot)
{
	size_t count;
	struct cv_resource *const *pools = cv_snapshot_kind(snapshot, CV_KIND_IP_POOL, &count);

	snapshot->pools_by_cidr = calloc(count ? count : 1, sizeof(*pools));
	if (!snapshot->pools_by_cidr)
		return -ENOMEM;
	if (count) {
		memcpy(snapshot->pools_by_cidr, pools, count * sizeof(*pools));
		qsort(snapshot->pools_by_cidr, count, sizeof(*pools), compare_cidrs);
	}
	return 0;
}

static void update_text(SHA2_CTX *context, const char *text)
{
	/* With its end, so that no two lists of texts run together to the same bytes. */
	SHA256Update(context, (const uint8_t *)text, strlen(text) + 1);
}

/* Once for each resource: most live through many snapshots, and hashing is half of the work. */
static void digest_resource(struct cv_resource *resource)
{
	SHA2_CTX context;

	if (resource->has_digest)
		return;
	SHA256Init(&context);
	update_text(&context, cv_kind_name(resource->kind));
	update_text(&context, resource->name);
	update_text(&context, resource->text);
	SHA256Final(resource->digest, &context);
	resource->has_digest = true;
}

const char *cv_snapshot_digest(const struct cv_snapshot *snapshot)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA2_CTX context;

	_Static_assert(CV_RESOURCE_DIGEST == SHA256_DIGEST_LENGTH, "a digest fits");
	if (snapshot->digest[0])
		return snapshot->digest;
	SHA256Init(&context);
	for (size_t i = 0; i < snapshot->count; i++) {
		digest_resource(snapshot->resources[i]);
		SHA256Update(&context, snapshot->resources[i]->digest, CV_RESOURCE_DIGEST);
	}
	SHA256Final(digest, &context);
	for (size_t i = 0; i < sizeof(digest); i++) {
		snapshot->digest[2 * i] = digits[digest[i] >> 4];
		snapshot->digest[2 * i + 1] = digits[digest[i] & 0xf];
	}
	return snapshot->digest;
}

/* ---- claims ---------------------------------------------------------------------- */

static bool is_claim(const struct cv_block_affinity *affinity)
{
	return affinity->state == CV_AFFINITY_CONFIRMED && !affinity->deleted;
}

static size_t count_claims(const struct cv_snapshot *snapshot)
{
	size_t count, claims = 0;
	struct cv_resource *const *resources =
		cv_snapshot_kind(snapshot, CV_KIND_BLOCK_AFFINITY, &count);

	for (size_t i = 0; i < count; i++)
		claims += is_claim(&resources[i]->affinity);
	resources = cv_snapshot_kind(snapshot, CV_KIND_WORKLOAD, &count);
	for (size_t i = 0; i < count; i++)
		claims += resources[i]->workload.count;
	return claims;
}

static void add_claim(struct cv_snapshot *snapshot, const struct cv_prefix *prefix,
		      const struct cv_resource *resource, const struct cv_resource *node)
{
	snapshot->claims[snapshot->claim_count++] = (struct cv_claim){
		.prefix = cv_prefix_of(prefix->address, prefix->length),
		.resource = resource,
		.node = node,
		.pool = cv_snapshot_pool_of_prefix(snapshot, prefix),
	};
}

/* Blocks of a node follow each other, being named after it: it is searched for only once. */
static const struct cv_resource *find_node(const struct cv_snapshot *snapshot, const char *name,
					   const struct cv_resource *before)
{
	if (before && !strcmp(before->name, name))
		return before;
	return cv_snapshot_find(snapshot, CV_KIND_NODE, name);
}

static int make_claims(struct cv_snapshot *snapshot)
{
	size_t count, claims = count_claims(snapshot);
	const struct cv_resource *node = NULL;
	struct cv_resource *const *resources;

	snapshot->claims = calloc(claims ? claims : 1, sizeof(*snapshot->claims));
	if (!snapshot->claims)
		return -ENOMEM;
	resources = cv_snapshot_kind(snapshot, CV_KIND_BLOCK_AFFINITY, &count);
	for (size_t i = 0; i < count; i++) {
		const struct cv_block_affinity *affinity = &resources[i]->affinity;

		if (!is_claim(affinity))
			continue;
		node = find_node(snapshot, affinity->node, node);
		add_claim(snapshot, &affinity->cidr, resources[i], node);
	}
	resources = cv_snapshot_kind(snapshot, CV_KIND_WORKLOAD, &count);
	for (size_t i = 0; i < count; i++) {
		const struct cv_workload *workload = &resources[i]->workload;

		node = find_node(snapshot, workload->node, node);
		for (size_t j = 0; j < workload->count; j++)
			add_claim(snapshot, &workload->addresses[j], resources[i], node);
	}
	if (snapshot->claim_count)
		qsort(snapshot->claims, snapshot->claim_count, sizeof(*snapshot->claims),
		      compare_claims);
	return 0;
}

/* ---- lifetime -------------------------------------------------------------------- */

static int fill(struct cv_snapshot *snapshot, struct cv_resource *const *resources, size_t count)
{
	int rc;

	snapshot->digest = calloc(1, CV_SNAPSHOT_DIGEST_MAX);
	snapshot->resources = calloc(count ? count : 1, sizeof(*snapshot->resources));
	if (!snapshot->digest || !snapshot->resources)
		return -ENOMEM;
	for (; snapshot->count < count; snapshot->count++)
		snapshot->resources[snapshot->count] = cv_resource_get(resources[snapshot->count]);
	rc = cv_resources_sort(snapshot->resources, count);
	if (rc)
		return rc;
	find_kinds(snapshot);
	rc = sort_pools(snapshot);
	return rc ? rc : make_claims(snapshot);
}

int cv_snapshot_create_unchecked(struct cv_resource *const *resources, size_t count,
				 struct cv_snapshot **ret_snapshot)
{
	struct cv_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	int rc;

	if (!snapshot)
		return -ENOMEM;
	snapshot->references = 1;
	rc = fill(snapshot, resources, count);
	if (rc)
		cv_snapshot_put(snapshot);
	else
		*ret_snapshot = snapshot;
	return rc;
}

int cv_snapshot_create(struct cv_resource *const *resources, size_t count,
		       struct cv_snapshot **ret_snapshot, struct cv_error *error)
{
	struct cv_snapshot *snapshot;
	int rc = cv_snapshot_create_unchecked(resources, count, &snapshot);

	if (rc)
		return cv_error_set(error, rc, "no memory for %zu resources", count);
	rc = cv_snapshot_check(snapshot, &snapshot->warnings, error);
	if (rc) {
		cv_snapshot_put(snapshot);
		return rc;
	}
	*ret_snapshot = snapshot;
	return 0;
}

struct cv_snapshot *cv_snapshot_get(struct cv_snapshot *snapshot)
{
	if (snapshot)
		snapshot->references++;
	return snapshot;
}

void cv_snapshot_put(struct cv_snapshot *snapshot)
{
	if (!snapshot || --snapshot->references)
		return;
	for (size_t i = 0; i < snapshot->count; i++)
		cv_resource_put(snapshot->resources[i]);
	cv_messages_fini(&snapshot->warnings);
	free(snapshot->digest);
	free(snapshot->claims);
	free(snapshot->pools_by_cidr);
	free(snapshot->resources);
	free(snapshot);
}

/* ---- questions ------------------------------------------------------------------- */

struct cv_resource *const *cv_snapshot_kind(const struct cv_snapshot *snapshot, enum cv_kind kind,
					    size_t *ret_count)
{
	*ret_count = snapshot->first[kind + 1] - snapshot->first[kind];
	return snapshot->resources + snapshot->first[kind];
}

struct cv_resource *cv_snapshot_find(const struct cv_snapshot *snapshot, enum cv_kind kind,
				     const char *name)
{
	size_t low = snapshot->first[kind], high = snapshot->first[kind + 1];

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(snapshot->resources[middle]->name, name);

		if (!order)
			return snapshot->resources[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Pools do not overlap: the last one that begins at the address or before is the only candidate. */
const struct cv_resource *cv_snapshot_pool_of(const struct cv_snapshot *snapshot, __be32 address)
{
	size_t low = 0, high, count;
	const struct cv_resource *pool;

	cv_snapshot_kind(snapshot, CV_KIND_IP_POOL, &count);
	high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		pool = snapshot->pools_by_cidr[middle];
		if (cv_prefix_first(&pool->pool.cidr) <= cv_ntohl(address))
			low = middle + 1;
		else
			high = middle;
	}
	pool = low ? snapshot->pools_by_cidr[low - 1] : NULL;
	return pool && cv_prefix_has(&pool->pool.cidr, address) ? pool : NULL;
}

const struct cv_resource *cv_snapshot_pool_of_prefix(const struct cv_snapshot *snapshot,
						     const struct cv_prefix *prefix)
{
	__be32 first = prefix->address & cv_prefix_mask(prefix->length);
	const struct cv_resource *pool = cv_snapshot_pool_of(snapshot, first);

	return pool && cv_prefix_contains(&pool->pool.cidr, prefix) ? pool : NULL;
}

int cv_snapshot_claims(const struct cv_snapshot *snapshot, struct cv_claim **ret_claims,
		       size_t *ret_count)
{
	size_t count = snapshot->claim_count;
	struct cv_claim *claims = calloc(count ? count : 1, sizeof(*claims));

	if (!claims)
		return -ENOMEM;
	if (count)
		memcpy(claims, snapshot->claims, count * sizeof(*claims));
	*ret_claims = claims;
	*ret_count = count;
	return 0;
}

/* The first claim with this prefix, or where it would be. */
static size_t place_of_claim(const struct cv_snapshot *snapshot, const struct cv_prefix *prefix)
{
	size_t low = 0, high = snapshot->claim_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_prefix_compare(&snapshot->claims[middle].prefix, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct cv_claim *find_claim(const struct cv_snapshot *snapshot,
					 const struct cv_prefix *prefix, bool is_any)
{
	for (int length = prefix->length; length >= 0; length--) {
		const struct cv_prefix around = cv_prefix_of(prefix->address, (uint8_t)length);
		size_t i = place_of_claim(snapshot, &around);

		/* An affinity comes before the Workloads with its prefix. */
		if (i < snapshot->claim_count &&
		    !cv_prefix_compare(&snapshot->claims[i].prefix, &around) &&
		    (is_any || snapshot->claims[i].resource->kind == CV_KIND_BLOCK_AFFINITY))
			return &snapshot->claims[i];
	}
	return NULL;
}

const struct cv_claim *cv_snapshot_claim_of(const struct cv_snapshot *snapshot,
					    const struct cv_prefix *prefix)
{
	return find_claim(snapshot, prefix, true);
}

const struct cv_claim *cv_snapshot_block_of(const struct cv_snapshot *snapshot,
					    const struct cv_prefix *prefix)
{
	return find_claim(snapshot, prefix, false);
}

/* ---- FelixConfiguration ---------------------------------------------------------- */

static void overlay_felix(struct cv_felix_configuration *felix,
			  const struct cv_felix_configuration *over)
{
	if (over->has_ipip_enabled) {
		felix->has_ipip_enabled = true;
		felix->ipip_enabled = over->ipip_enabled;
	}
	if (over->ipip_mtu)
		felix->ipip_mtu = over->ipip_mtu;
	if (over->mtu_iface_pattern)
		felix->mtu_iface_pattern = over->mtu_iface_pattern;
	if (over->nat_port_last) {
		felix->nat_port_first = over->nat_port_first;
		felix->nat_port_last = over->nat_port_last;
	}
	if (over->nat_outgoing_address)
		felix->nat_outgoing_address = over->nat_outgoing_address;
	if (over->has_nat_exclusions) {
		felix->has_nat_exclusions = true;
		felix->nat_exclusions = over->nat_exclusions;
	}
	if (over->has_external_nodes) {
		felix->has_external_nodes = true;
		felix->external_nodes = over->external_nodes;
		felix->external_count = over->external_count;
	}
	if (over->device_route_protocol)
		felix->device_route_protocol = over->device_route_protocol;
}

/* "node." and the name, compared without making that text. */
static bool is_of_node(const char *name, const char *node)
{
	return !strncmp(name, "node.", 5) && !strcmp(name + 5, node);
}

void cv_snapshot_felix(const struct cv_snapshot *snapshot, const char *node,
		       struct cv_felix_configuration *ret_felix)
{
	const struct cv_resource *common =
		cv_snapshot_find(snapshot, CV_KIND_FELIX_CONFIGURATION, "default");
	size_t count;
	struct cv_resource *const *resources =
		cv_snapshot_kind(snapshot, CV_KIND_FELIX_CONFIGURATION, &count);

	*ret_felix = (struct cv_felix_configuration){0};
	if (common)
		overlay_felix(ret_felix, common->felix);
	for (size_t i = 0; node && i < count; i++) {
		if (is_of_node(resources[i]->name, node))
			overlay_felix(ret_felix, resources[i]->felix);
	}
}

void cv_snapshot_path(const struct cv_snapshot *snapshot, struct cv_path_configuration *ret_path)
{
	const struct cv_resource *resource =
		cv_snapshot_find(snapshot, CV_KIND_PATH_CONFIGURATION, "default");

	if (resource)
		*ret_path = resource->path;
	else
		cv_path_configuration_init(ret_path);
}

void cv_snapshot_ipam(const struct cv_snapshot *snapshot, struct cv_ipam_configuration *ret_ipam)
{
	const struct cv_resource *resource =
		cv_snapshot_find(snapshot, CV_KIND_IPAM_CONFIGURATION, "default");

	if (resource)
		*ret_ipam = resource->ipam;
	else
		cv_ipam_configuration_init(ret_ipam);
}
