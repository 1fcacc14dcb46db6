/* SPDX-License-Identifier: Apache-2.0 */
/* Stopgap for cv_engine_paths and its like until the prober is there: asks the kernel each time. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "engine/engine.h"
#include "net/link.h"
#include "net/route.h"
#include "net/vector.h"
#include "wire/types.h"

static struct cv_nl *stopgap_nl;

static int take(__be32 gateway, void *data)
{
	const struct cv_prober_path path = {.remote = gateway};

	return cv_vector_append(data, &path);
}

static uint32_t link_mtu(__be32 remote)
{
	const struct cv_route_flow flow = {.destination = remote, .protocol = 4};
	struct cv_route_entry entry;
	uint32_t mtu = 0;

	if (cv_route_match(stopgap_nl, &flow, &entry) || entry.type != RTN_UNICAST)
		return 0;
	for (unsigned int i = 0; i < entry.count; i++) {
		struct cv_link link;

		if (!cv_link_get_by_index(stopgap_nl, entry.next_hops[i].oif, &link) &&
		    (!mtu || link.mtu < mtu))
			mtu = link.mtu;
	}
	return entry.mtu ? entry.mtu : mtu;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = cv_ntohl(((const struct cv_prober_path *)a)->remote);
	uint32_t y = cv_ntohl(((const struct cv_prober_path *)b)->remote);

	return (x > y) - (x < y);
}

static void list(int ifindex, struct cv_vector *paths)
{
	size_t from = paths->count;
	struct cv_prober_path *path;

	if (cv_nl_create(&stopgap_nl))
		return;
	cv_route_for_each_gateway(stopgap_nl, ifindex, take, paths);
	for (size_t i = from; i < paths->count; i++) {
		path = cv_vector_at(paths, i);
		path->tunnel = ifindex;
		path->link_mtu = path->mtu = link_mtu(path->remote);
	}
	cv_nl_destroy(stopgap_nl);
	if (paths->count > from)
		qsort(cv_vector_at(paths, from), paths->count - from, sizeof(*path), compare);
}

int cv_engine_paths(struct cv_engine *engine, struct cv_prober_path **ret_list, size_t *ret_count)
{
	struct if_nameindex *names = if_nameindex();
	struct cv_vector paths;

	cv_vector_init(&paths, sizeof(struct cv_prober_path));
	for (struct if_nameindex *name = names; name && name->if_index; name++) {
		if (cv_engine_tunnel_name(engine, (int)name->if_index))
			list((int)name->if_index, &paths);
	}
	if_freenameindex(names);
	*ret_list = paths.items;
	*ret_count = paths.count;
	return 0;
}

bool cv_engine_link_mtus(struct cv_engine *engine, int ifindex, uint32_t *ret_smallest,
			 uint32_t *ret_largest)
{
	struct cv_vector paths;
	uint32_t smallest = 0, largest = 0;

	(void)engine;
	cv_vector_init(&paths, sizeof(struct cv_prober_path));
	list(ifindex, &paths);
	for (size_t i = 0; i < paths.count; i++) {
		const struct cv_prober_path *path = cv_vector_at(&paths, i);

		if (!path->link_mtu)
			continue;
		if (!smallest || path->link_mtu < smallest)
			smallest = path->link_mtu;
		if (path->link_mtu > largest)
			largest = path->link_mtu;
	}
	cv_vector_fini(&paths);
	*ret_smallest = smallest;
	*ret_largest = largest;
	return smallest != 0;
}

int cv_engine_paths_fd(const struct cv_engine *engine)
{
	static int fd = -1;

	(void)engine;
	if (fd < 0)
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd;
}

void cv_engine_paths_seen(struct cv_engine *engine)
{
	(void)engine;
}
