/* SPDX-License-Identifier: Apache-2.0 */
/* A list of endpoints, in the order of their creation. */
#ifndef CV_TUNNEL_ENDPOINT_LIST_H
#define CV_TUNNEL_ENDPOINT_LIST_H

#include <stddef.h>

#include "tunnel/endpoint.h"
#include "tunnel/error.h"

struct cv_endpoint {
	struct cv_endpoint_config config;
	int ifindex;
	bool hosted;		 /* by somebody who keeps it over restarts himself */
	bool told;		 /* the fast path knows it as it is */
	bool usurped;		 /* an address is this host's own as well: no bypass */
	struct cv_error problem; /* why it does not, or is usurped; "" */
};

/* Zeroed: empty. */
struct cv_endpoint_list {
	struct cv_endpoint *endpoints;
	size_t count;
	size_t size; /* room for so many */
};

void cv_endpoint_list_fini(struct cv_endpoint_list *list);

/* Make room for so many. 0 or -ENOMEM. */
int cv_endpoint_list_reserve(struct cv_endpoint_list *list, size_t count);

/* There must be room. */
void cv_endpoint_list_insert(struct cv_endpoint_list *list, size_t at,
			     const struct cv_endpoint *endpoint);
void cv_endpoint_list_remove(struct cv_endpoint_list *list, size_t at);

/* NULL: none. */
struct cv_endpoint *cv_endpoint_list_find(const struct cv_endpoint_list *list, const char *dev);
struct cv_endpoint *cv_endpoint_list_find_by_index(const struct cv_endpoint_list *list,
						   int ifindex);

#endif
