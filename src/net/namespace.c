/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's cookie of the namespace, unique since it started, and which start that was. */
#include "net/namespace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

static int cookie_of(int fd, uint64_t *ret_cookie)
{
	socklen_t size = sizeof(*ret_cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret_cookie, &size) ? -errno : 0;
}

int cv_namespace_cookie(uint64_t *ret_cookie)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = cookie_of(fd, ret_cookie);
	close(fd);
	return err;
}

void cv_namespace_id(const struct cv_nl *nl, char ret_id[CV_NAMESPACE_ID_MAX])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	uint64_t cookie = 0;
	char boot[37] = "";

	if (file) {
		if (!fgets(boot, sizeof(boot), file))
			boot[0] = '\0';
		fclose(file);
	}
	boot[strcspn(boot, "\n")] = '\0';
	ret_id[0] = '\0';
	if (cookie_of(cv_nl_fd(nl), &cookie))
		return;
	snprintf(ret_id, CV_NAMESPACE_ID_MAX, "%s/%" PRIu64, boot, cookie);
}
