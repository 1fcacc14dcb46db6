/* SPDX-License-Identifier: Apache-2.0 */
/* An array that grows. */
#include "tunnel/endpoint_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void cv_endpoint_list_fini(struct cv_endpoint_list *list)
{
	free(list->endpoints);
	*list = (struct cv_endpoint_list){.count = 0};
}

int cv_endpoint_list_reserve(struct cv_endpoint_list *list, size_t count)
{
	size_t size = list->size ? list->size : 16;
	struct cv_endpoint *endpoints;

	while (size < count)
		size *= 2;
	if (size == list->size)
		return 0;
	endpoints = realloc(list->endpoints, size * sizeof(*endpoints));
	if (!endpoints)
		return -ENOMEM;
	list->endpoints = endpoints;
	list->size = size;
	return 0;
}

void cv_endpoint_list_insert(struct cv_endpoint_list *list, size_t at,
			     const struct cv_endpoint *endpoint)
{
	memmove(&list->endpoints[at + 1], &list->endpoints[at],
		(list->count - at) * sizeof(*list->endpoints));
	list->endpoints[at] = *endpoint;
	list->count++;
}

void cv_endpoint_list_remove(struct cv_endpoint_list *list, size_t at)
{
	list->count--;
	memmove(&list->endpoints[at], &list->endpoints[at + 1],
		(list->count - at) * sizeof(*list->endpoints));
}

struct cv_endpoint *cv_endpoint_list_find(const struct cv_endpoint_list *list, const char *dev)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!strcmp(list->endpoints[i].config.dev, dev))
			return &list->endpoints[i];
	}
	return NULL;
}

struct cv_endpoint *cv_endpoint_list_find_by_index(const struct cv_endpoint_list *list, int ifindex)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->endpoints[i].ifindex == ifindex)
			return &list->endpoints[i];
	}
	return NULL;
}
