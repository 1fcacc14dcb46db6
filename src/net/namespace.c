/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's cookie of the namespace, unique since it started, and which start that was. */
#include "net/namespace.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

void cv_namespace_id(const struct cv_nl *nl, char ret_id[CV_NAMESPACE_ID_MAX])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);
	char boot[37] = "";

	if (file) {
		if (!fgets(boot, sizeof(boot), file))
			boot[0] = '\0';
		fclose(file);
	}
	boot[strcspn(boot, "\n")] = '\0';
	ret_id[0] = '\0';
	if (getsockopt(cv_nl_fd(nl), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size))
		return;
	snprintf(ret_id, CV_NAMESPACE_ID_MAX, "%s/%" PRIu64, boot, cookie);
}
