/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTM_DELLINK answers after rcu_barrier() (netdev_run_todo), when the device has long been unlisted
 * and rtnl is free again: 20 of 24 ms on a machine with HZ=250 (Linux 6.18). The kernel's notice to
 * RTNLGRP_LINK comes before that. So a child asks and waits, and the parent waits for the notice,
 * or for the child's result, whatever comes first.
 */
#include "net/removal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/link.h"
#include "net/netlink.h"

enum {
	NOTICE_SIZE = 32768, /* bytes; the kernel's are smaller */
};

struct wait {
	int ifindex;
	bool is_gone;
};

static int on_notice(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	struct wait *wait = data;

	/* A bridge's notice of a port that leaves is of AF_BRIDGE. */
	if (nlh->nlmsg_type == RTM_DELLINK && mnl_nlmsg_get_payload_len(nlh) >= sizeof(*info) &&
	    info->ifi_family == AF_UNSPEC && info->ifi_index == wait->ifindex)
		wait->is_gone = true;
	return MNL_CB_OK;
}

/* An error is as good as silence: the child's result comes anyway. */
static void read_notices(const struct mnl_socket *notices, struct wait *wait)
{
	_Alignas(struct nlmsghdr) char buffer[NOTICE_SIZE];
	ssize_t n = mnl_socket_recvfrom(notices, buffer, sizeof(buffer));

	if (n > 0)
		mnl_cb_run(buffer, (size_t)n, 0, 0, on_notice, wait);
}

static void run_child(int ifindex, int result)
{
	struct cv_nl *nl;
	int rc;

	/* Whoever reads what we write waits until all have closed it. */
	if (close_range(0, (unsigned int)result - 1, 0) ||
	    close_range((unsigned int)result + 1, ~0U, 0))
		_exit(EXIT_FAILURE);
	rc = cv_nl_create(&nl);
	if (!rc)
		rc = cv_link_delete(nl, ifindex);
	if (write(result, &rc, sizeof(rc)) != sizeof(rc))
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

/* 0, or the child's result. */
static int wait_for(const struct mnl_socket *notices, int result, struct wait *wait)
{
	while (!wait->is_gone) {
		struct pollfd fds[] = {
			{.fd = mnl_socket_get_fd(notices), .events = POLLIN},
			{.fd = result, .events = POLLIN},
		};
		int rc;

		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[1].revents)
			return read(result, &rc, sizeof(rc)) == sizeof(rc) ? rc : -ECHILD;
		read_notices(notices, wait);
	}
	return 0;
}

static int remove_by_child(const struct mnl_socket *notices, int ifindex)
{
	struct wait wait = {.ifindex = ifindex};
	int result[2], rc;
	pid_t pid;

	if (pipe2(result, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid)
		run_child(ifindex, result[1]);
	rc = pid < 0 ? -errno : 0;
	close(result[1]);
	if (!rc)
		rc = wait_for(notices, result[0], &wait);
	close(result[0]);
	if (pid > 0)
		waitpid(pid, NULL, WNOHANG);
	return rc;
}

int cv_removal_run(int ifindex)
{
	struct mnl_socket *notices = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int rc;

	if (!notices)
		return -errno;
	if (mnl_socket_bind(notices, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0)
		rc = -errno;
	else
		rc = remove_by_child(notices, ifindex);
	mnl_socket_close(notices);
	return rc;
}
