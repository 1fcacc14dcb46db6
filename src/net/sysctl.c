/* SPDX-License-Identifier: Apache-2.0 */
/* One small file for each setting. */
#include "net/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_setting(const char *area, const char *device, const char *name, int flags)
{
	char path[128];
	int length, fd;

	length = snprintf(path, sizeof(path), "/proc/sys/net/%s/%s/%s", area, device, name);
	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cv_sysctl_read_ipv4(const char *device, const char *name)
{
	int fd = open_setting("ipv4/conf", device, name, O_RDONLY);
	char text[16];
	ssize_t length;

	if (fd < 0)
		return fd;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return -EIO;
	text[length] = '\0';
	return (int)strtol(text, NULL, 10);
}

static int write_setting(const char *area, const char *device, const char *name, int value)
{
	int fd = open_setting(area, device, name, O_WRONLY);
	char text[16];
	int length, err;

	if (fd < 0)
		return fd;
	length = snprintf(text, sizeof(text), "%d", value);
	err = write(fd, text, (size_t)length) == length ? 0 : -errno;
	close(fd);
	return err;
}

int cv_sysctl_write_ipv4(const char *device, const char *name, int value)
{
	return write_setting("ipv4/conf", device, name, value);
}

int cv_sysctl_write_ipv6(const char *device, const char *name, int value)
{
	return write_setting("ipv6/conf", device, name, value);
}

int cv_sysctl_write_neigh(const char *device, const char *name, int value)
{
	return write_setting("ipv4/neigh", device, name, value);
}
