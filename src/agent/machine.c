/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool has_capability(unsigned int capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

int cv_machine_check(struct cv_error *error)
{
	int fd;

	if (!has_capability(CAP_NET_ADMIN) || !has_capability(CAP_NET_RAW))
		return cv_error_set(
			error, -EPERM,
			"no permission to make devices and send packets; run culvertd as "
			"root, or with CAP_NET_ADMIN and CAP_NET_RAW");
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EACCES || errno == EPERM)
		return cv_error_set(
			error, -errno,
			"no permission to open /dev/net/tun; allow it for this container "
			"or service");
	return cv_error_set(
		error, -errno,
		"there is no /dev/net/tun (%s); `modprobe tun`, or `mknod /dev/net/tun c "
		"10 200`",
		strerror(errno));
}

int cv_machine_check_config_dir(const char *path, struct cv_error *error)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOENT
			       ? 0
			       : cv_error_set(error, -errno,
					      "cannot look at configuration directory %s: %s", path,
					      strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cv_error_set(error, -ENOTDIR,
				    "configuration directory %s is not a directory; make it one, "
				    "or give another --config",
				    path);
	if (access(path, R_OK | X_OK))
		return cv_error_set(error, -errno,
				    "cannot read configuration directory %s: %s; allow it, or give "
				    "another --config",
				    path, strerror(errno));
	return 0;
}
