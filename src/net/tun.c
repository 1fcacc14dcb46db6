/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TUN devices.
 *
 * Invariants: a device that we created stays (TUNSETPERSIST comes last: a failure
 * before leaves nothing behind); one that was there keeps its persistence. Every
 * descriptor returned carries a virtio_net_hdr of 10 bytes in host byte order and no
 * packet information. Header size and offloads belong to the device, not to the
 * queue: they are set at every open, as an earlier holder may have left others.
 */
#include "net/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Linux 6.2; Debian 12's headers are older. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#endif
#ifndef TUN_F_USO6
#define TUN_F_USO6 0x40
#endif

enum {
	VNET_HDR_SIZE = 10,
	DEVICE_FLAGS = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE,
	/* The kernel (6.2 to date) takes USO4 only together with USO6. */
	OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN,
	OFFLOADS_UDP = OFFLOADS | TUN_F_USO4 | TUN_F_USO6,
};

/* 1 when the device was created, 0 when it was there, -errno. */
static int attach(int fd, const char *name)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, name, strlen(name));
	request.ifr_flags = (short)(DEVICE_FLAGS | IFF_TUN_EXCL);
	if (!ioctl(fd, TUNSETIFF, &request))
		return 1;
	if (errno != EBUSY)
		return -errno;
	request.ifr_flags = DEVICE_FLAGS;
	return ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : 0;
}

/*
 * While somebody holds a queue, his IFF_VNET_HDR and IFF_NO_PI win silently, and every
 * packet would be read at the wrong offset.
 */
static int check_flags(int fd)
{
	struct ifreq request = {0};

	if (ioctl(fd, TUNGETIFF, &request) < 0)
		return -errno;
	return (request.ifr_flags & DEVICE_FLAGS) == DEVICE_FLAGS ? 0 : -EBUSY;
}

static int set_offloads(int fd)
{
	int header_size = VNET_HDR_SIZE;

	if (ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0)
		return -errno;
	if (!ioctl(fd, TUNSETOFFLOAD, (unsigned long)OFFLOADS_UDP))
		return 0;
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)OFFLOADS) < 0 ? -errno : 0;
}

int cv_tun_open(const char *name)
{
	int created, err, fd;

	/* The kernel takes an empty name or one with a '%' for a wish to choose one itself. */
	if (!*name || strlen(name) >= IFNAMSIZ || strchr(name, '%'))
		return -EINVAL;
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	created = attach(fd, name);
	err = created < 0 ? created : check_flags(fd);
	if (err < 0)
		goto close_fd;
	err = set_offloads(fd);
	if (err < 0)
		goto close_fd;
	err = created ? cv_tun_set_persistent(fd, true) : 0;
	if (err < 0)
		goto close_fd;
	return fd;
close_fd:
	close(fd);
	return err;
}

/* There is no way to ask; to set again what is set changes nothing. */
bool cv_tun_has_udp_segmentation(int fd)
{
	return !ioctl(fd, TUNSETOFFLOAD, (unsigned long)OFFLOADS_UDP);
}

int cv_tun_detach(int fd)
{
	struct ifreq request = {.ifr_flags = IFF_DETACH_QUEUE};

	return ioctl(fd, TUNSETQUEUE, &request) < 0 ? -errno : 0;
}

int cv_tun_set_persistent(int fd, bool persistent)
{
	return ioctl(fd, TUNSETPERSIST, persistent ? 1UL : 0UL) < 0 ? -errno : 0;
}
