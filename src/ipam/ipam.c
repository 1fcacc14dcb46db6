/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an address management, and the world that it is told of. */
#include "ipam/ipam.h"

#include <errno.h>
#include <stdlib.h>

#include "ipam/state.h"

void cv_ipam_world_fini(struct cv_ipam_world *world)
{
	free(world->pools);
	free(world->declared);
	free(world->holes);
	free(world->nodes);
	*world = (struct cv_ipam_world){0};
}

struct cv_ipam *cv_ipam_create(struct cv_kv *kv)
{
	struct cv_ipam *ipam = calloc(1, sizeof(*ipam));

	if (!ipam)
		return NULL;
	ipam->kv = kv;
	cv_vector_init(&ipam->own, sizeof(struct cv_ipam_own));
	cv_vector_init(&ipam->entries, sizeof(struct cv_ipam_entry *));
	cv_vector_init(&ipam->held, sizeof(struct cv_ipam_held));
	return ipam;
}

void cv_ipam_destroy(struct cv_ipam *ipam)
{
	if (!ipam)
		return;
	cv_ipam_forget_all(ipam);
	cv_vector_fini(&ipam->own);
	cv_vector_fini(&ipam->entries);
	cv_vector_fini(&ipam->held);
	cv_ranges_fini(&ipam->holes);
	cv_ipam_world_fini(&ipam->world);
	free(ipam);
}

int cv_ipam_configure(struct cv_ipam *ipam, struct cv_ipam_world *world)
{
	struct cv_ranges holes;

	if (cv_ranges_from_prefixes(world->holes, world->hole_count, &holes))
		return -ENOMEM;
	cv_ranges_fini(&ipam->holes);
	cv_ipam_world_fini(&ipam->world);
	ipam->holes = holes;
	ipam->world = *world;
	*world = (struct cv_ipam_world){0};
	/* Blocks stay what they are; which of them are ours may be declared otherwise now. */
	ipam->knows_own = false;
	ipam->full_until_ms = 0;
	return 0;
}

void cv_ipam_doubt(struct cv_ipam *ipam)
{
	cv_ipam_forget_all(ipam);
	ipam->full_until_ms = 0;
}
