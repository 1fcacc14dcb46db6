/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tunnel: device and engine.
 *
 * Invariants: no device is changed or deleted that is not ours (tunnel/device.h). One that we
 * made is complete (alias, MTU, queue length) before the engine carries it, and gone again if it
 * cannot be made so.
 */
#include "tunnel/tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/qdisc.h"
#include "net/sysctl.h"
#include "net/tun.h"
#include "tunnel/device.h"

struct cv_tunnel *cv_tunnel_create(const struct cv_tunnel_config *config)
{
	struct cv_tunnel *tunnel = calloc(1, sizeof(*tunnel));

	if (!tunnel)
		return NULL;
	tunnel->config = *config;
	tunnel->spare = -1;
	return tunnel;
}

void cv_tunnel_destroy(struct cv_tunnel *tunnel)
{
	if (!tunnel)
		return;
	cv_owners_fini(&tunnel->owners);
	free(tunnel);
}

static int not_ours(const struct cv_link *link, const char *name, struct cv_error *error)
{
	/* The one that module brings along cannot be deleted. */
	if (!strcmp(link->kind, "ipip"))
		return cv_error_set(error, -EEXIST,
				    "device %s is the kernel's own IP-in-IP tunnel; unload that "
				    "(`rmmod ipip`), rename it (`ip link set %s name %.10s-kern`), "
				    "or choose another name",
				    name, name, name);
	return cv_error_set(error, -EEXIST,
			    "a device %s exists already and is not ours; choose another name, or "
			    "remove that device",
			    name);
}

int cv_tunnel_find_device(const struct cv_tunnel_host *host, const char *name,
			  struct cv_link *ret_link, struct cv_error *error)
{
	struct cv_link link;
	int rc = cv_link_get(host->nl, name, &link);

	if (rc == -ENODEV)
		return 0;
	if (rc)
		return cv_error_set(error, rc, "cannot ask the kernel for device %s: %s", name,
				    strerror(-rc));
	/* By an alternative name, it is another tunnel's. */
	if (!cv_device_is_ours(host->alias, &link) || strcmp(link.name, name))
		return not_ours(&link, name, error);
	*ret_link = link;
	return 1;
}

/* ---- starting ------------------------------------------------------------------ */

static int tun_error(const char *name, int rc, struct cv_error *error)
{
	switch (rc) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return cv_error_set(error, -ENODEV,
				    "there is no /dev/net/tun; `modprobe tun`, or `mknod "
				    "/dev/net/tun c 10 200`");
	case -EPERM:
	case -EACCES:
		return cv_error_set(error, rc,
				    "no permission to make devices; run culvertd as root, or with "
				    "CAP_NET_ADMIN");
	case -EMFILE:
	case -ENFILE:
		return cv_error_set(error, rc,
				    "too many open files; raise culvertd's limit (LimitNOFILE=)");
	case -EBUSY:
		return cv_error_set(error, rc,
				    "another program holds device %s; end it, or choose another "
				    "name",
				    name);
	default:
		return cv_error_set(error, rc, "cannot open TUN device %s: %s", name,
				    strerror(-rc));
	}
}

static void close_queues(int *queues, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		close(queues[i]);
}

static int open_queues(const char *name, int *queues, unsigned int count, struct cv_error *error)
{
	for (unsigned int i = 0; i < count; i++) {
		queues[i] = cv_tun_open(name);
		if (queues[i] < 0) {
			int rc = queues[i];

			close_queues(queues, i);
			return tun_error(name, rc, error);
		}
	}
	return 0;
}

/*
 * The queue for the carrier holder. Opened before those of the engine, as it has a share of
 * the packets until it is detached: now there is nobody to read them anyway. Without one
 * (-1) the tunnel works; if that is for want of descriptors, the engine's queues say so.
 */
static int open_spare(const struct cv_tunnel_host *host, const char *name)
{
	int fd;

	if (!host->carrier)
		return -1;
	fd = cv_tun_open(name);
	if (fd < 0)
		return -1;
	if (!cv_tun_detach(fd))
		return fd;
	close(fd);
	return -1;
}

static void close_spare(struct cv_tunnel *tunnel)
{
	if (tunnel->spare >= 0)
		close(tunnel->spare);
	tunnel->spare = -1;
}

/*
 * A tunnel carries IPv4 only, and the kernel's ipip devices have no IPv6: without this every
 * device would begin its life with router solicitations that are dropped. A kernel
 * without IPv6 has no such file, and needs none.
 */
static void disable_ipv6(const char *name)
{
	/* Without it: noise in the counters, no more. */
	(void)cv_sysctl_write_ipv6(name, "disable_ipv6", 1);
}

/*
 * The kernel would give each of the 256 queues that a TUN device may have three bands of
 * CV_TUN_TX_QUEUE_LENGTH places, 49 MB in all (measured), and use none: a TUN device never stops.
 * A kernel without "noqueue" for asking leaves it as it is.
 */
static void save_memory(const struct cv_tunnel *tunnel, const struct cv_tunnel_host *host)
{
	(void)cv_qdisc_set_noqueue(host->nl, tunnel->ifindex);
}

/* What a new device needs; its alias first, by which a restart knows it. */
static int set_up_device(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host, uint32_t mtu,
			 struct cv_error *error)
{
	int rc = cv_link_set_alias(host->nl, tunnel->ifindex, host->alias);

	save_memory(tunnel, host);
	if (!rc)
		rc = cv_link_set_tx_queue_length(host->nl, tunnel->ifindex, CV_TUN_TX_QUEUE_LENGTH);
	if (!rc && mtu)
		rc = cv_link_set_mtu(host->nl, tunnel->ifindex, mtu);
	if (rc)
		return cv_error_set(error, rc, "cannot set up device %s: %s", tunnel->config.name,
				    strerror(-rc));
	tunnel->mtu = mtu;
	disable_ipv6(tunnel->config.name);
	return 0;
}

static void describe(const struct cv_tunnel *tunnel, const struct cv_tunnel_config *config,
		     struct cv_engine_tunnel *ret)
{
	*ret = (struct cv_engine_tunnel){
		.ifindex = tunnel->ifindex,
		.remote = config->remote,
		.local = config->local,
		.ipip = config->ipip,
		.strict = config->strict,
		.mssclamp = config->mssclamp,
		.other_count = config->other_count,
	};
	memcpy(ret->others, config->others, sizeof(ret->others));
	memcpy(ret->name, config->name, sizeof(ret->name));
	memcpy(ret->dev, config->dev, sizeof(ret->dev));
}

static int engine_error(int rc, struct cv_error *error)
{
	if (rc == -EEXIST)
		return cv_error_set(error, rc,
				    "another tunnel has this remote and local; choose others");
	return cv_error_set(error, rc, "the engine refuses the tunnel: %s", strerror(-rc));
}

/* The device is there, ours or just made; hand its queues to the engine. */
static int attach(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host, bool made,
		  uint32_t mtu, int *queues, struct cv_error *error)
{
	struct cv_engine_tunnel engine_tunnel;
	struct cv_link link;
	int rc = cv_link_get(host->nl, tunnel->config.name, &link);

	if (rc)
		return cv_error_set(error, rc, "device %s vanished: %s", tunnel->config.name,
				    strerror(-rc));
	tunnel->ifindex = link.index;
	if (made)
		rc = set_up_device(tunnel, host, mtu, error);
	if (rc)
		return rc;
	describe(tunnel, &tunnel->config, &engine_tunnel);
	rc = cv_engine_tunnel_add(host->engine, &engine_tunnel, queues);
	return rc ? engine_error(rc, error) : 0;
}

void cv_tunnel_accept_any_way(const struct cv_tunnel *tunnel)
{
	enum {
		NONE = 0,
		LOOSE = 2
	};
	const char *name = tunnel->config.name;
	int wanted = cv_sysctl_read_ipv4("all", "rp_filter") > 0 ? LOOSE : NONE;

	if (tunnel->active && tunnel->owners.peer_count &&
	    cv_sysctl_read_ipv4(name, "rp_filter") != wanted)
		(void)cv_sysctl_write_ipv4(name, "rp_filter", wanted);
}

int cv_tunnel_start(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host, uint32_t mtu,
		    struct cv_error *error)
{
	unsigned int workers = cv_engine_workers(host->engine);
	int queues[CV_ENGINE_WORKERS_MAX];
	struct cv_link link;
	int found = cv_tunnel_find_device(host, tunnel->config.name, &link, error);
	int rc;

	if (host->alive)
		host->alive();
	if (found < 0)
		return found;
	tunnel->spare = open_spare(host, tunnel->config.name);
	rc = open_queues(tunnel->config.name, queues, workers, error);
	if (rc)
		goto delete_device;
	rc = attach(tunnel, host, !found, mtu, queues, error);
	if (rc)
		goto close_all;
	rc = cv_engine_tunnel_set_owners(host->engine, tunnel->ifindex, &tunnel->owners);
	if (rc) {
		cv_engine_tunnel_delete(host->engine, tunnel->ifindex);
		cv_error_set(error, rc, "out of memory");
		goto delete_device;
	}
	tunnel->active = true;
	tunnel->reason.text[0] = '\0';
	cv_tunnel_accept_any_way(tunnel);
	cv_tunnel_offer(tunnel, host);
	cv_carrier_hold(host->carrier, tunnel->ifindex, tunnel->spare);
	return 0;
close_all:
	close_queues(queues, workers);
delete_device:
	close_spare(tunnel);
	if (found)
		return rc;
	/* The first queue may have made it. */
	if (!cv_link_get(host->nl, tunnel->config.name, &link) && !strcmp(link.kind, "tun"))
		cv_link_delete(host->nl, link.index);
	tunnel->ifindex = 0;
	tunnel->mtu = 0;
	return rc;
}

/* ---- ending, changing ------------------------------------------------------------ */

void cv_tunnel_offer(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host)
{
	struct cv_engine_tunnel engine_tunnel;

	if (!host->fastpath || !tunnel->active)
		return;
	describe(tunnel, &tunnel->config, &engine_tunnel);
	tunnel->fastpath_error = cv_fastpath_tunnel_set(host->fastpath, &engine_tunnel);
	/* It must not go on with what the tunnel was before. */
	if (tunnel->fastpath_error)
		cv_fastpath_tunnel_delete(host->fastpath, tunnel->ifindex);
	else
		cv_fastpath_tunnel_owners(host->fastpath, tunnel->ifindex, &tunnel->owners);
}

void cv_tunnel_stop(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host)
{
	if (host->fastpath && tunnel->ifindex)
		cv_fastpath_tunnel_delete(host->fastpath, tunnel->ifindex);
	if (tunnel->active)
		cv_engine_tunnel_delete(host->engine, tunnel->ifindex);
	close_spare(tunnel);
	tunnel->active = false;
}

int cv_tunnel_remove(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host)
{
	struct cv_link link = {0};
	int rc = 0;

	if (host->alive)
		host->alive();
	cv_tunnel_stop(tunnel, host);
	/* A tunnel that never started has no index, but perhaps a device of an earlier life. */
	if (!tunnel->ifindex) {
		if (cv_tunnel_find_device(host, tunnel->config.name, &link, NULL) != 1)
			return 0;
		tunnel->ifindex = link.index;
	}
	rc = cv_link_delete(host->nl, tunnel->ifindex);
	tunnel->ifindex = 0;
	tunnel->mtu = 0;
	return rc == -ENODEV ? 0 : rc;
}

int cv_tunnel_change(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host,
		     const struct cv_tunnel_config *config, struct cv_error *error)
{
	struct cv_engine_tunnel engine_tunnel;
	int rc;

	if (tunnel->active) {
		describe(tunnel, config, &engine_tunnel);
		rc = cv_engine_tunnel_change(host->engine, &engine_tunnel);
		if (rc)
			return engine_error(rc, error);
	}
	tunnel->config = *config;
	cv_tunnel_offer(tunnel, host);
	return 0;
}

int cv_tunnel_declare(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host,
		      const struct cv_owners *owners)
{
	static const struct cv_owners nobody = {0};
	struct cv_owners copy;
	int rc;

	if (!owners)
		owners = &nobody;
	if (cv_owners_equal(&tunnel->owners, owners))
		return 0;
	rc = cv_owners_copy(owners, &copy);
	if (!rc && tunnel->active) {
		rc = cv_engine_tunnel_set_owners(host->engine, tunnel->ifindex, &copy);
		if (rc)
			cv_owners_fini(&copy);
	}
	if (rc)
		return rc;
	cv_owners_fini(&tunnel->owners);
	tunnel->owners = copy;
	cv_tunnel_accept_any_way(tunnel);
	/* After the engine: what that has said before, of others, holds no longer. */
	if (tunnel->active && host->fastpath)
		cv_fastpath_tunnel_owners(host->fastpath, tunnel->ifindex, &copy);
	return 0;
}

int cv_tunnel_peer_counters(const struct cv_tunnel *tunnel, const struct cv_tunnel_host *host,
			    struct cv_peer_counters **ret_list, size_t *ret_count)
{
	size_t count = tunnel->owners.peer_count;
	struct cv_peer_counters *list = calloc(count ? count : 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		list[i].address = tunnel->owners.peers[i];
	/* Whom they do not know, they have counted nothing of. */
	if (tunnel->active) {
		(void)cv_engine_peer_counters(host->engine, tunnel->ifindex, list, count);
		if (host->fastpath)
			(void)cv_fastpath_peer_counters(host->fastpath, tunnel->ifindex, list,
							count);
	}
	*ret_list = list;
	*ret_count = count;
	return 0;
}
