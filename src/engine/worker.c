/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one thread with its sockets, its queue of every TUN device, and its lane.
 *
 * Every batch is: read packets, then take notice of what changed in routing, then
 * work on them. In that order a packet that was sent after `ip route replace` returned is
 * never handled by the route from before: the kernel queues the notice first.
 *
 * Buffers: each packet read has its own, since headers and payload are sent or
 * delivered from where they lie; all are allocated at the start.
 */
#define _GNU_SOURCE
#include "engine/worker.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine/decapsulate.h"
#include "engine/relay.h"
#include "net/packet.h"
#include "net/raw.h"

enum {
	RECEIVE_BATCH = 64,
	DEVICE_BATCH = 16,
	DEVICE_ROUNDS = 4, /* batches from one device before the others have their turn */
	ERROR_BATCH = 64,  /* ICMP errors */
	EVENTS = 64,
	SEND_WAIT_MS = 5,      /* for room in the socket's buffer */
	PMTU_LIFETIME_S = 600, /* where the kernel does not tell its own */
	BUFFER_SIZE = 66048,   /* vnet header, link-layer header, 65,535 bytes; a multiple of 64 */
	BUFFER_PACKET = 16,    /* where the packet begins, so that it is aligned */
	IOV_MAX_DELIVER = 2 * CV_COALESCE_PIECES + 2,
};

/* epoll tells which descriptor by these; a tunnel's queue by its slot. */
enum {
	EVENT_WAKE = -1,
	EVENT_PACKET = -2,
	EVENT_GUARD = -3
};

struct cv_worker {
	struct cv_worker_shared *shared;
	unsigned int index;
	pthread_t thread;
	bool is_running;
	pthread_mutex_t lock;
	int epoll;
	int wake;
	int packet;
	int sender;
	int icmp;
	struct cv_lane *lane;
	uint8_t *receive_buffers; /* RECEIVE_BATCH of BUFFER_SIZE */
	uint8_t *device_buffers;  /* DEVICE_BATCH of BUFFER_SIZE */
	uint32_t device_lengths[DEVICE_BATCH];
	struct mmsghdr messages[RECEIVE_BATCH];
	struct iovec pieces[RECEIVE_BATCH][2];
	struct sockaddr_ll from[RECEIVE_BATCH];
	uint8_t control[RECEIVE_BATCH][CV_PACKET_CONTROL_SIZE] __attribute__((aligned(16)));
};

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the lane's outputs ---- */

static int send_batch(void *context, struct mmsghdr *messages, unsigned int count)
{
	const struct cv_worker *worker = context;
	struct pollfd room = {.fd = worker->sender, .events = POLLOUT};
	int sent = sendmmsg(worker->sender, messages, count, MSG_DONTWAIT);

	if (sent < 0 && errno == EAGAIN && poll(&room, 1, SEND_WAIT_MS) > 0)
		sent = sendmmsg(worker->sender, messages, count, MSG_DONTWAIT);
	return sent < 0 ? -errno : sent;
}

static int deliver(void *context, struct cv_live_tunnel *tunnel, const struct virtio_net_hdr *vnet,
		   const struct iovec *iov, unsigned int count)
{
	const struct cv_worker *worker = context;
	struct iovec all[IOV_MAX_DELIVER];

	if (count + 1 > IOV_MAX_DELIVER)
		return -EMSGSIZE;
	all[0].iov_base = (void *)(uintptr_t)vnet;
	all[0].iov_len = sizeof(*vnet);
	memcpy(all + 1, iov, count * sizeof(*iov));
	if (writev(tunnel->lanes[worker->index].queue, all, (int)count + 1) < 0)
		return -errno;
	return 0;
}

static int send_icmp(void *context, __be32 destination, const void *icmp, uint32_t length)
{
	const struct cv_worker *worker = context;

	return cv_raw_send_icmp(worker->icmp, destination, icmp, length);
}

/* ---- outer packets from the packet socket ---- */

static uint8_t *receive_buffer(const struct cv_worker *worker, unsigned int i)
{
	return worker->receive_buffers + (size_t)i * BUFFER_SIZE;
}

static void prepare_message(struct cv_worker *worker, unsigned int i)
{
	struct msghdr *header = &worker->messages[i].msg_hdr;
	uint8_t *buffer = receive_buffer(worker, i);

	/* 14 bytes of Ethernet header put the IPv4 header on a multiple of 4. */
	worker->pieces[i][0].iov_base = buffer;
	worker->pieces[i][0].iov_len = sizeof(struct virtio_net_hdr);
	worker->pieces[i][1].iov_base = buffer + BUFFER_PACKET + 2;
	worker->pieces[i][1].iov_len = BUFFER_SIZE - BUFFER_PACKET - 2;
	*header = (struct msghdr){
		.msg_name = &worker->from[i],
		.msg_namelen = sizeof(worker->from[i]),
		.msg_iov = worker->pieces[i],
		.msg_iovlen = 2,
		.msg_control = worker->control[i],
		.msg_controllen = sizeof(worker->control[i]),
	};
}

static void take_received(struct cv_worker *worker, unsigned int i)
{
	struct msghdr *header = &worker->messages[i].msg_hdr;
	uint32_t length = worker->messages[i].msg_len;
	struct cv_packet_info info;
	struct virtio_net_hdr vnet;

	if (header->msg_flags & MSG_TRUNC) {
		cv_lane_take(worker->lane, CV_FP_HOOK_ENGINE_IN, NULL, NULL, 0);
		cv_lane_drop(worker->lane, NULL, CV_DROP_TRUNCATED);
		return;
	}
	if (length < sizeof(vnet) || cv_packet_info(header, &info) || !info.to_host)
		return;
	memcpy(&vnet, receive_buffer(worker, i), sizeof(vnet));
	length -= (uint32_t)sizeof(vnet);
	if (info.network_offset >= length)
		return;
	/* The kernel counts from the link-layer header, the lane from the IPv4 header. */
	if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (vnet.csum_start < info.network_offset)
			return;
		vnet.csum_start = (uint16_t)(vnet.csum_start - info.network_offset);
	}
	cv_decapsulate(worker->lane, &vnet,
		       (uint8_t *)worker->pieces[i][1].iov_base + info.network_offset,
		       length - info.network_offset, info.ifindex);
}

static void serve_packets(struct cv_worker *worker)
{
	int count;

	for (unsigned int i = 0; i < RECEIVE_BATCH; i++)
		prepare_message(worker, i);
	count = recvmmsg(worker->packet, worker->messages, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
	if (count <= 0)
		return;
	cv_lane_begin(worker->lane, clock_ms());
	for (int i = 0; i < count; i++)
		take_received(worker, (unsigned int)i);
	cv_lane_end(worker->lane);
}

/* ---- inner packets from the TUN devices ---- */

static uint8_t *device_buffer(const struct cv_worker *worker, unsigned int i)
{
	return worker->device_buffers + (size_t)i * BUFFER_SIZE;
}

static unsigned int read_device(struct cv_worker *worker, int queue)
{
	const size_t vnet_at = BUFFER_PACKET - sizeof(struct virtio_net_hdr);
	unsigned int count = 0;

	while (count < DEVICE_BATCH) {
		ssize_t length =
			read(queue, device_buffer(worker, count) + vnet_at, BUFFER_SIZE - vnet_at);

		/* Its device was deleted, and epoll would say so without end. */
		if (length < 0 && errno == EBADFD)
			epoll_ctl(worker->epoll, EPOLL_CTL_DEL, queue, NULL);
		if (length <= (ssize_t)sizeof(struct virtio_net_hdr))
			break;
		worker->device_lengths[count++] =
			(uint32_t)length - (uint32_t)sizeof(struct virtio_net_hdr);
	}
	return count;
}

static void serve_device(struct cv_worker *worker, struct cv_live_tunnel *tunnel)
{
	unsigned int count = DEVICE_BATCH;

	for (unsigned int round = 0; round < DEVICE_ROUNDS && count == DEVICE_BATCH; round++) {
		count = read_device(worker, tunnel->lanes[worker->index].queue);
		if (!count)
			return;
		cv_lane_begin(worker->lane, clock_ms());
		for (unsigned int i = 0; i < count; i++) {
			uint8_t *packet = device_buffer(worker, i) + BUFFER_PACKET;
			struct virtio_net_hdr vnet;

			memcpy(&vnet, packet - sizeof(vnet), sizeof(vnet));
			cv_take_from_device(worker->lane, tunnel, &vnet, packet,
					    worker->device_lengths[i]);
		}
		cv_lane_end(worker->lane);
	}
}

/* ---- ICMP errors from the guard ---- */

/* Learned path MTUs live as long as the kernel's own (net.ipv4.route.mtu_expires). */
static uint64_t pmtu_lifetime_ms(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/route/mtu_expires", "re");
	unsigned int seconds = PMTU_LIFETIME_S;

	if (file) {
		if (fscanf(file, "%u", &seconds) != 1)
			seconds = PMTU_LIFETIME_S;
		fclose(file);
	}
	return (uint64_t)seconds * 1000;
}

static void serve_errors(struct cv_worker *worker)
{
	struct cv_raw_error error;

	cv_lane_begin(worker->lane, clock_ms());
	worker->shared->lane.pmtu_lifetime_ms = pmtu_lifetime_ms();
	for (unsigned int i = 0; i < ERROR_BATCH; i++) {
		int err = cv_raw_read_error(worker->shared->guard, &error);

		if (err == -ENOMSG)
			continue;
		if (err)
			break;
		cv_relay_error(worker->lane, &error);
	}
	cv_lane_end(worker->lane);
}

/* ---- the thread ---- */

static void serve(struct cv_worker *worker, int event)
{
	struct cv_live_tunnel *tunnel;
	eventfd_t ignored;

	switch (event) {
	case EVENT_WAKE:
		eventfd_read(worker->wake, &ignored);
		break;
	case EVENT_PACKET:
		serve_packets(worker);
		break;
	case EVENT_GUARD:
		serve_errors(worker);
		break;
	default:
		/* The tunnel may have gone between epoll_wait and the lock. */
		tunnel = worker->shared->lane.live->slots[event];
		if (tunnel)
			serve_device(worker, tunnel);
	}
}

static bool is_pausing(const struct cv_worker_shared *shared)
{
	return __atomic_load_n(&shared->pausing, __ATOMIC_ACQUIRE);
}

static void *run(void *argument)
{
	struct cv_worker *worker = argument;
	struct cv_worker_shared *shared = worker->shared;
	struct epoll_event events[EVENTS];

	while (!__atomic_load_n(&shared->stopping, __ATOMIC_ACQUIRE)) {
		int count = epoll_wait(worker->epoll, events, EVENTS, -1);

		if (is_pausing(shared)) {
			pthread_mutex_lock(&shared->gate);
			pthread_mutex_unlock(&shared->gate);
		}
		pthread_mutex_lock(&worker->lock);
		/* What a change cuts off is reported again. */
		for (int i = 0; i < count && !is_pausing(shared); i++)
			serve(worker, (int)events[i].data.fd);
		pthread_mutex_unlock(&worker->lock);
	}
	return NULL;
}

static int watch(const struct cv_worker *worker, int fd, uint32_t mask, int event)
{
	struct epoll_event what = {.events = mask, .data.fd = event};

	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &what) ? -errno : 0;
}

static int open_descriptors(struct cv_worker *worker)
{
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll < 0)
		return -errno;
	worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake < 0)
		return -errno;
	worker->packet = cv_packet_open(&worker->shared->fanout_group);
	if (worker->packet < 0)
		return worker->packet;
	worker->sender = cv_raw_open_sender();
	if (worker->sender < 0)
		return worker->sender;
	worker->icmp = cv_raw_open_icmp();
	return worker->icmp < 0 ? worker->icmp : 0;
}

static int watch_descriptors(const struct cv_worker *worker)
{
	int err = watch(worker, worker->wake, EPOLLIN, EVENT_WAKE);

	if (!err)
		err = watch(worker, worker->packet, EPOLLIN, EVENT_PACKET);
	/* Errors are always reported; there is nothing else to read on the guard. */
	if (!err && worker->index == 0)
		err = watch(worker, worker->shared->guard, 0, EVENT_GUARD);
	return err;
}

static uint8_t *map_buffers(unsigned int count)
{
	void *buffers = mmap(NULL, (size_t)count * BUFFER_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (buffers == MAP_FAILED)
		return NULL;
	return buffers;
}

static int make_lane(struct cv_worker *worker)
{
	const struct cv_tx_output tx = {.context = worker, .send = send_batch};
	const struct cv_lane_output output = {
		.context = worker,
		.deliver = deliver,
		.icmp = send_icmp,
	};
	struct cv_router_source source;
	int err = cv_router_kernel(&source);

	if (err)
		return err;
	worker->lane = cv_lane_create(&worker->shared->lane, worker->index, &source, &tx, &output);
	return worker->lane ? 0 : -errno;
}

int cv_worker_create(struct cv_worker_shared *shared, unsigned int index,
		     struct cv_worker **ret_worker)
{
	struct cv_worker *worker = calloc(1, sizeof(*worker));
	int err;

	if (!worker)
		return -ENOMEM;
	worker->shared = shared;
	worker->index = index;
	worker->epoll = worker->wake = worker->packet = worker->sender = worker->icmp = -1;
	pthread_mutex_init(&worker->lock, NULL);
	worker->receive_buffers = map_buffers(RECEIVE_BATCH);
	worker->device_buffers = map_buffers(DEVICE_BATCH);
	err = worker->receive_buffers && worker->device_buffers ? 0 : -ENOMEM;
	if (!err)
		err = open_descriptors(worker);
	if (!err)
		err = watch_descriptors(worker);
	if (!err)
		err = make_lane(worker);
	if (err) {
		cv_worker_destroy(worker);
		return err;
	}
	*ret_worker = worker;
	return 0;
}

int cv_worker_start(struct cv_worker *worker)
{
	char name[16];
	sigset_t all, before;
	int err;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
	worker->is_running = true;
	snprintf(name, sizeof(name), "cv-worker-%u", worker->index);
	pthread_setname_np(worker->thread, name);
	return 0;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void cv_worker_destroy(struct cv_worker *worker)
{
	if (!worker)
		return;
	if (worker->is_running) {
		eventfd_write(worker->wake, 1);
		pthread_join(worker->thread, NULL);
	}
	cv_lane_destroy(worker->lane);
	close_if_open(worker->epoll);
	close_if_open(worker->wake);
	close_if_open(worker->packet);
	close_if_open(worker->sender);
	close_if_open(worker->icmp);
	if (worker->receive_buffers)
		munmap(worker->receive_buffers, (size_t)RECEIVE_BATCH * BUFFER_SIZE);
	if (worker->device_buffers)
		munmap(worker->device_buffers, (size_t)DEVICE_BATCH * BUFFER_SIZE);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

void cv_worker_lock(struct cv_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
}

void cv_worker_unlock(struct cv_worker *worker)
{
	pthread_mutex_unlock(&worker->lock);
}

int cv_worker_attach(struct cv_worker *worker, const struct cv_live_tunnel *tunnel)
{
	return watch(worker, tunnel->lanes[worker->index].queue, EPOLLIN, (int)tunnel->slot);
}

void cv_worker_detach(struct cv_worker *worker, const struct cv_live_tunnel *tunnel)
{
	epoll_ctl(worker->epoll, EPOLL_CTL_DEL, tunnel->lanes[worker->index].queue, NULL);
}

void cv_worker_capture(struct cv_worker *worker, struct cv_capture_ring *ring)
{
	cv_lane_capture(worker->lane, ring);
}

void cv_worker_forget(struct cv_worker *worker)
{
	cv_router_forget(worker->lane->router);
}

void cv_worker_counters(struct cv_worker *worker, struct cv_counters *sum)
{
	worker->lane->engine_counters.drops[CV_DROP_RECEIVE_OVERFLOW] +=
		cv_packet_drops(worker->packet);
	cv_counters_add(sum, &worker->lane->engine_counters);
}
