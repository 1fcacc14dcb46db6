/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted list of what the map has, and what differs from one look to the next. */
#include "fastpath/addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "fastpath/sweep.h"
#include "net/link.h"

struct address_list {
	struct cv_fastpath_address *items;
	size_t count;
	size_t capacity;
};

static int append_address(struct address_list *list, __be32 address, uint32_t kind)
{
	struct cv_fastpath_address *more;

	if (list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : 64;
		more = realloc(list->items, list->capacity * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->items = more;
	}
	list->items[list->count++] = (struct cv_fastpath_address){address, kind};
	return 0;
}

/* As the engine's router: a subnet's all-ones address counts where none was set, too. */
static int list_address(const struct cv_address *address, void *data)
{
	__be32 mask;
	int err = append_address(data, address->address, CV_FP_ADDRESS_OWN);

	if (!err && address->broadcast)
		err = append_address(data, address->broadcast, CV_FP_ADDRESS_BROADCAST);
	if (!err && address->prefix_length && address->prefix_length < 31) {
		mask = cv_htonl(~0U << (32 - address->prefix_length));
		err = append_address(data, address->address | ~mask, CV_FP_ADDRESS_BROADCAST);
	}
	return err;
}

/* By address; own ones first, and they win. */
static int compare_addresses(const void *left, const void *right)
{
	const struct cv_fastpath_address *a = left, *b = right;

	if (a->address != b->address)
		return (CV_FORCE uint32_t)a->address < (CV_FORCE uint32_t)b->address ? -1 : 1;
	return (int)a->kind - (int)b->kind;
}

static void sort_unique(struct address_list *list)
{
	size_t kept = 0;

	if (!list->count)
		return;
	qsort(list->items, list->count, sizeof(*list->items), compare_addresses);
	for (size_t i = 0; i < list->count; i++) {
		if (!kept || list->items[kept - 1].address != list->items[i].address)
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
}

static bool list_has(const struct cv_fastpath_address *items, size_t count,
		     const struct cv_fastpath_address *item)
{
	const struct cv_fastpath_address *found = NULL;

	if (count)
		found = bsearch(&item->address, items, count, sizeof(*items), compare_addresses);
	return found && found->kind == item->kind;
}

void cv_addresses_refresh(struct cv_fastpath *fastpath)
{
	int map = fastpath->programs.map[CV_MAP_ADDRESSES];
	struct address_list list = {0};
	bool changed = false;

	if (cv_address_for_each(fastpath->nl, list_address, &list)) {
		free(list.items);
		return;
	}
	sort_unique(&list);
	for (size_t i = 0; i < list.count; i++) {
		if (list_has(fastpath->addresses, fastpath->address_count, &list.items[i]))
			continue;
		bpf_map_update_elem(map, &list.items[i].address, &list.items[i].kind, BPF_ANY);
		changed = true;
	}
	for (size_t i = 0; i < fastpath->address_count; i++) {
		const struct cv_fastpath_address key = {fastpath->addresses[i].address, 0};
		bool stays = false;

		for (uint32_t kind = CV_FP_ADDRESS_OWN; kind <= CV_FP_ADDRESS_BROADCAST; kind++) {
			const struct cv_fastpath_address item = {key.address, kind};

			stays |= list_has(list.items, list.count, &item);
		}
		if (stays)
			continue;
		bpf_map_delete_elem(map, &key.address);
		changed = true;
	}
	free(fastpath->addresses);
	fastpath->addresses = list.items;
	fastpath->address_count = list.count;
	if (changed)
		cv_fastpath_bump(fastpath);
}

static bool is_listed(const void *key, void *data)
{
	const struct cv_fastpath *fastpath = data;
	struct cv_fastpath_address item = {.kind = CV_FP_ADDRESS_OWN};

	memcpy(&item.address, key, sizeof(item.address));
	while (item.kind <= CV_FP_ADDRESS_BROADCAST) {
		if (list_has(fastpath->addresses, fastpath->address_count, &item))
			return true;
		item.kind++;
	}
	return false;
}

void cv_addresses_sweep(struct cv_fastpath *fastpath)
{
	cv_sweep(fastpath->programs.map[CV_MAP_ADDRESSES], sizeof(__be32), is_listed, fastpath);
}
