/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices lead to a dead end now. */
#include "agent/dead_ends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"

static bool is_dead(const struct cv_prober_path *path)
{
	return path->liveness == CV_LIVENESS_DOWN || path->is_blocked;
}

int cv_dead_ends_of(const struct cv_paths *paths, const struct cv_tunnel_set *tunnels,
		    struct cv_dead_ends *ret_dead)
{
	struct cv_dead_ends dead = {
		.items = calloc(paths->count + 1, sizeof(*dead.items)),
		.devices = calloc(paths->count + 1, sizeof(*dead.devices)),
	};

	if (!dead.items || !dead.devices) {
		cv_dead_ends_fini(&dead);
		return -ENOMEM;
	}
	for (size_t i = 0; i < paths->count; i++) {
		const struct cv_known_path *path = &paths->items[i];
		const struct cv_tunnel_config *config =
			is_dead(&path->path) ? cv_tunnel_set_find(tunnels, path->tunnel) : NULL;
		struct cv_dead_end *end = &dead.items[dead.count];

		if (!config || !config->remote)
			continue;
		end->device = path->path.tunnel;
		end->remote = path->path.remote;
		memcpy(end->tunnel, config->name, sizeof(end->tunnel));
		dead.devices[dead.count++] = end->device;
	}
	*ret_dead = dead;
	return 0;
}

void cv_dead_ends_fini(struct cv_dead_ends *dead)
{
	free(dead->items);
	free(dead->devices);
	*dead = (struct cv_dead_ends){.count = 0};
}

static bool has(const struct cv_dead_ends *dead, const struct cv_dead_end *end)
{
	for (size_t i = 0; i < dead->count; i++) {
		if (dead->items[i].device == end->device && dead->items[i].remote == end->remote)
			return true;
	}
	return false;
}

/* Those of one list that the other does not have; how many. */
static size_t tell(const struct cv_dead_ends *dead, const struct cv_dead_ends *than,
		   const char *what)
{
	size_t count = 0;

	for (size_t i = 0; i < dead->count; i++) {
		char remote[CV_ADDRESS_TEXT_MAX];

		if (has(than, &dead->items[i]))
			continue;
		cv_log(LOG_NOTICE, "%s: its remote end %s %s", dead->items[i].tunnel,
		       cv_address_format(dead->items[i].remote, remote), what);
		count++;
	}
	return count;
}

bool cv_dead_ends_update(struct cv_dead_ends *dead, const struct cv_paths *paths,
			 const struct cv_tunnel_set *tunnels)
{
	struct cv_dead_ends now;
	size_t changes;

	if (cv_dead_ends_of(paths, tunnels, &now))
		return false;
	changes = tell(&now, dead, "is down; routes that other Tunnels have, too, do without it");
	changes += tell(dead, &now, "is no dead end any more; routes use it again");
	cv_dead_ends_fini(dead);
	*dead = now;
	return changes;
}
