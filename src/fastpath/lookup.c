/* SPDX-License-Identifier: Apache-2.0 */
/* The look-up device: the loopback device, or one of our own. */
#include "fastpath/lookup.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "net/link.h"
#include "net/sysctl.h"
#include "net/tun.h"

/* "cvlook" and six digits: two daemons in one namespace have one each. */
static void name_parked(unsigned int handle, char *ret_name)
{
	snprintf(ret_name, IFNAMSIZ, "cvlook%06x", handle & 0xffffff);
}

static int make_parked(struct cv_fastpath *fastpath, const char *name)
{
	struct cv_link link;
	int fd, err;

	fd = cv_tun_open(name);
	if (fd < 0)
		return fd;
	close(fd);
	err = cv_link_get(fastpath->nl, name, &link);
	if (err)
		return err;
	cv_link_set_alias(fastpath->nl, link.index,
			  "culvert: routes are asked for from this device");
	return link.index;
}

bool cv_lookup_delete(struct cv_nl *nl, unsigned int handle)
{
	char name[IFNAMSIZ];
	struct cv_link link;

	name_parked(handle, name);
	return !cv_link_get(nl, name, &link) && !strcmp(link.kind, "tun") &&
	       !cv_link_delete(nl, link.index);
}

/* The index of our own device, made if need be; 0: it does not serve, and why (size bytes). */
static __u32 find_parked(struct cv_fastpath *fastpath, char *why, size_t size)
{
	char name[IFNAMSIZ];
	struct cv_link link;
	int index, err = 0;

	name_parked(fastpath->handle, name);
	index = cv_link_get(fastpath->nl, name, &link) ? make_parked(fastpath, name) : link.index;
	if (index <= 0) {
		snprintf(why, size, "the device %s cannot be made: %s", name, strerror(-index));
		return 0;
	}
	if (cv_sysctl_read_ipv4(name, "forwarding") != 1)
		err = cv_sysctl_write_ipv4(name, "forwarding", 1);
	if (!err)
		return (__u32)index;
	snprintf(why, size, "net.ipv4.conf.%s.forwarding cannot be set: %s", name, strerror(-err));
	return 0;
}

/* Once, until it is another problem, or there was none meanwhile. */
static void tell(struct cv_fastpath *fastpath, const char *problem)
{
	if (*problem && strcmp(problem, fastpath->no_lookup) != 0)
		cv_fastpath_say(fastpath, LOG_WARNING,
				"the fast path cannot ask for routes: %s; the engine carries "
				"everything",
				problem);
	snprintf(fastpath->no_lookup, sizeof(fastpath->no_lookup), "%s", problem);
}

/*
 * The loopback device, from which the kernel itself asks, where it forwards; else a device of
 * our own, which is never up: nothing but its setting "forwarding" is used. None without tunnels.
 */
void cv_lookup_choose(struct cv_fastpath *fastpath)
{
	__u32 before = fastpath->config.lookup_ifindex, chosen = 0;
	char problem[CV_FASTPATH_PROBLEM_MAX] = "";

	if (cv_sysctl_read_ipv4("lo", "forwarding") == 1)
		chosen = 1;
	else if (fastpath->tunnel_count)
		chosen = find_parked(fastpath, problem, sizeof(problem));
	tell(fastpath, problem);
	if (chosen == before)
		return;
	fastpath->config.lookup_ifindex = chosen;
	cv_fastpath_bump(fastpath);
	/* Once nothing asks from it any more. */
	if (before > 1)
		cv_lookup_delete(fastpath->nl, fastpath->handle);
}
