/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices of the kernel take protocol 4: kind ipip, and kind sit when its mode is
 * ipip or any; only while they are up (the kernel's tunnel look-up skips those that are down).
 */
#include "tunnel/kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

bool cv_kernel_tunnel_is(const struct cv_link *link)
{
	if (!(link->flags & IFF_UP))
		return false;
	if (strcmp(link->kind, "ipip") && strcmp(link->kind, "sit"))
		return false;
	return link->tunnel_protocol == 0 || link->tunnel_protocol == IPPROTO_IPIP;
}

static int check_link(const struct cv_link *link, void *data)
{
	char *name = data;

	if (!cv_kernel_tunnel_is(link))
		return 0;
	memcpy(name, link->name, IFNAMSIZ);
	return 1;
}

int cv_kernel_tunnel_find(struct cv_nl *nl, char ret_name[IFNAMSIZ])
{
	char name[IFNAMSIZ];
	int rc;

	do {
		rc = cv_link_for_each(nl, check_link, name);
	} while (rc == -EINTR);
	if (rc == 1)
		memcpy(ret_name, name, IFNAMSIZ);
	return rc;
}
