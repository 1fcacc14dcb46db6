/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's cookie of the namespace, unique since it started, and which start that was. */
#include "net/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

int cv_namespace_open(const char *path)
{
	/* A FIFO or a terminal at this path must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

int cv_namespace_inode(int fd, struct cv_namespace_inode *ret_inode)
{
	struct stat st;

	if (fd < 0 ? stat("/proc/thread-self/ns/net", &st) : fstat(fd, &st))
		return -errno;
	*ret_inode = (struct cv_namespace_inode){.device = st.st_dev, .inode = st.st_ino};
	return 0;
}

int cv_namespace_nl(int fd, struct cv_nl **ret_nl)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct cv_nl *nl = NULL;
	int err;

	if (home < 0)
		return -errno;
	if (setns(fd, CLONE_NEWNET)) {
		err = -errno;
		close(home);
		return err;
	}
	err = cv_nl_create(&nl);
	/* It cannot fail: we have come from there. If it does, we must do nothing more here. */
	if (setns(home, CLONE_NEWNET))
		err = -ENOTRECOVERABLE;
	close(home);
	if (err)
		cv_nl_destroy(nl);
	else
		*ret_nl = nl;
	return err;
}
