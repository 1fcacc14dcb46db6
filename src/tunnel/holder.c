/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The carrier holder's process.
 *
 * Invariants:
 * - It keeps nothing alive that is not in use: a queue goes when its device does (EPOLLERR), the
 *   process when its socket no longer has its place in the run directory, or when the daemon
 *   is dead and the network namespace lost its name. The socket stands for the
 *   directory: who removes or moves that, or starts another holder there, takes the place away.
 * - It waits for nobody: no descriptor blocks, an answer that cannot be sent ends the
 *   client.
 * - It needs no privilege and has none: holding a descriptor is all that it does.
 */
#include "tunnel/holder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	/* Descriptors that are never given to queues, so that a client is always heard. */
	RESERVE = 16,
	EVENTS = 32,
};

/* What a descriptor is; in the upper half of its epoll data. */
enum kind {
	KIND_LISTENER,
	KIND_WATCH,
	KIND_CLIENT,
	KIND_QUEUE,
};

struct queue {
	int fd;
	int32_t ifindex;
};

struct holder {
	struct sockaddr_un address; /* of its socket */
	struct stat place;	    /* the socket's, as it was made */
	struct stat namespace;	    /* the network namespace that we are in */
	bool named;		    /* it had a name in /run/netns */
	int epoll;
	int listener;
	int watch;
	unsigned int clients;
	struct queue *queues;
	uint32_t count;
	uint32_t room;
	bool ended;
};

static int add_event(const struct holder *h, int fd, enum kind kind, uint32_t events)
{
	struct epoll_event event = {
		.events = events,
		.data.u64 = (uint64_t)kind << 32 | (uint32_t)fd,
	};

	return epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* ---- queues -------------------------------------------------------------------- */

static void drop_queue(struct holder *h, uint32_t at)
{
	/* Closed below all else: epoll forgets a file with its last descriptor only. */
	epoll_ctl(h->epoll, EPOLL_CTL_DEL, h->queues[at].fd, NULL);
	close(h->queues[at].fd);
	h->queues[at] = h->queues[--h->count];
}

static void drop_queue_of(struct holder *h, int32_t ifindex)
{
	for (uint32_t i = 0; i < h->count; i++) {
		if (h->queues[i].ifindex == ifindex)
			return drop_queue(h, i);
	}
}

static int make_room(struct holder *h)
{
	uint32_t room = h->room ? 2 * h->room : 64;
	struct queue *queues;

	if (h->count < h->room)
		return 0;
	queues = realloc(h->queues, room * sizeof(*queues));
	if (!queues)
		return -ENOMEM;
	h->queues = queues;
	h->room = room;
	return 0;
}

/* The new one comes before the old one goes: the carrier stays. fd is taken over. */
static int add_queue(struct holder *h, int fd, int32_t ifindex)
{
	struct rlimit limit;
	int rc;

	if (fd < 0)
		return -EMFILE; /* so says MSG_CTRUNC, mostly */
	rc = getrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
	if (!rc && (rlim_t)fd + RESERVE >= limit.rlim_cur)
		rc = -EMFILE;
	if (!rc)
		rc = make_room(h);
	/* There is never anything to read; but it is as a reader that the kernel wakes us when
	 * the device is deleted, even though poll says EPOLLERR then. */
	if (!rc)
		rc = add_event(h, fd, KIND_QUEUE, EPOLLIN | EPOLLET);
	if (rc) {
		close(fd);
		return rc;
	}
	drop_queue_of(h, ifindex);
	h->queues[h->count++] = (struct queue){.fd = fd, .ifindex = ifindex};
	return 0;
}

static bool has_device(int fd)
{
	struct pollfd look = {.fd = fd};

	return poll(&look, 1, 0) < 1;
}

/*
 * Close the queues whose device was deleted. All are asked: a number in an event may have become
 * another queue's meanwhile, and as the kernel wakes us before it takes the device away, it
 * may have been there still when we looked.
 */
static void sweep(struct holder *h)
{
	for (uint32_t i = h->count; i-- > 0;) {
		if (!has_device(h->queues[i].fd))
			drop_queue(h, i);
	}
}

/* ---- clients ------------------------------------------------------------------- */

static bool answer(const struct holder *h, int fd, const struct cv_holder_request *request,
		   int error)
{
	const struct cv_holder_answer text = {
		.version = CV_HOLDER_VERSION,
		.verb = request->verb,
		.error = error,
		.pid = getpid(),
		.count = h->count,
	};

	return send(fd, &text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(text);
}

/* Takes queue (-1: none came) over. False: cut the client off. */
static bool handle(struct holder *h, int client, const struct cv_holder_request *request, int queue)
{
	int rc;

	if (request->verb == CV_HOLDER_HOLD && request->version == CV_HOLDER_VERSION) {
		rc = add_queue(h, queue, request->ifindex);
		return !rc || answer(h, client, request, rc);
	}
	if (queue >= 0)
		close(queue);
	if (request->verb == CV_HOLDER_QUIT)
		h->ended = true;
	else if (request->verb == CV_HOLDER_HELLO)
		return answer(h, client, request, 0);
	else if (request->verb == CV_HOLDER_RELEASE && request->version == CV_HOLDER_VERSION)
		drop_queue_of(h, request->ifindex);
	else
		return answer(h, client, request, -EINVAL);
	return true;
}

/* The first descriptor in a message, the others closed; -1: none. */
static int take_descriptors(struct msghdr *message)
{
	int first = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (first < 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

/* Read and carry out one request. 1, 0 there is none, -1 cut the client off. */
static int serve(struct holder *h, int client)
{
	struct cv_holder_request request;
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = &request, .iov_len = sizeof(request)};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int queue;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	queue = take_descriptors(&message);
	if (n != sizeof(request) || (message.msg_flags & MSG_TRUNC)) {
		if (queue >= 0)
			close(queue);
		return -1;
	}
	return handle(h, client, &request, queue) ? 1 : -1;
}

/* Also what a daemon said before it died: it was meant. */
static void on_client(struct holder *h, int fd)
{
	int rc;

	do {
		rc = serve(h, fd);
	} while (rc > 0 && !h->ended);
	if (rc >= 0)
		return;
	close(fd);
	h->clients--;
}

static bool is_trusted(int fd)
{
	struct ucred who;
	socklen_t length = sizeof(who);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) &&
	       (who.uid == 0 || who.uid == geteuid());
}

/* fd is taken over. */
static void add_client(struct holder *h, int fd)
{
	if (!is_trusted(fd) || h->clients >= CV_HOLDER_CLIENTS_MAX ||
	    add_event(h, fd, KIND_CLIENT, EPOLLIN)) {
		close(fd);
		return;
	}
	h->clients++;
}

static void on_connection(struct holder *h)
{
	int fd = accept4(h->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	/* The reserve keeps it from being for want of descriptors, but for the machine's limit:
	 * then this would be a busy loop. */
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		usleep(100000);
	if (fd >= 0)
		add_client(h, fd);
}

/* ---- its place ----------------------------------------------------------------- */

static bool has_place(const struct holder *h)
{
	struct stat st;

	return !lstat(h->address.sun_path, &st) && st.st_dev == h->place.st_dev &&
	       st.st_ino == h->place.st_ino;
}

static void on_watch(const struct holder *h)
{
	char events[4096];

	/* What it was does not matter: the place is looked at. */
	while (read(h->watch, events, sizeof(events)) > 0)
		continue;
}

/* Made aside and moved into place, so that who finds it can connect. */
static int take_place(struct holder *h)
{
	struct sockaddr_un aside = {.sun_family = AF_UNIX};
	int n = snprintf(aside.sun_path, sizeof(aside.sun_path), "%s+", h->address.sun_path);

	if (n >= (int)sizeof(aside.sun_path))
		return -ENAMETOOLONG;
	h->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->listener < 0)
		return -errno;
	unlink(aside.sun_path);
	if (bind(h->listener, (struct sockaddr *)&aside, sizeof(aside)))
		return -errno;
	if (listen(h->listener, CV_HOLDER_CLIENTS_MAX) || lstat(aside.sun_path, &h->place) ||
	    rename(aside.sun_path, h->address.sun_path)) {
		int rc = -errno;

		unlink(aside.sun_path);
		return rc;
	}
	return add_event(h, h->listener, KIND_LISTENER, EPOLLIN);
}

/* Without inotify (its instances are limited for each user) there is the slow look. */
static void watch_place(struct holder *h, const char *run_dir)
{
	h->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (h->watch < 0)
		return;
	inotify_add_watch(h->watch, run_dir,
			  IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
				  IN_ONLYDIR);
	add_event(h, h->watch, KIND_WATCH, EPOLLIN);
}

/*
 * `ip netns del` of a namespace whose daemon is dead: we would be all that keeps it, and the
 * devices in it, alive.
 */
static bool has_name(const struct holder *h)
{
	DIR *names = opendir("/run/netns");
	bool found = false;
	struct dirent *entry;
	struct stat st;

	while (names && !found && (entry = readdir(names)))
		found = !fstatat(dirfd(names), entry->d_name, &st, 0) &&
			st.st_dev == h->namespace.st_dev && st.st_ino == h->namespace.st_ino;
	if (names)
		closedir(names);
	return found;
}

static bool is_garbage(const struct holder *h)
{
	return !has_place(h) || (h->named && !h->clients && !has_name(h));
}

/* ---- its life ------------------------------------------------------------------ */

static void drop_privileges(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {{0}};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_capset, &header, none);
}

static int start(struct holder *h, const char *run_dir)
{
	int n = snprintf(h->address.sun_path, sizeof(h->address.sun_path), "%s/%s", run_dir,
			 CV_HOLDER_SOCKET);
	int rc;

	if (n >= (int)sizeof(h->address.sun_path))
		return -ENAMETOOLONG;
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll < 0)
		return -errno;
	/* Started by somebody else than tunnel/carrier.c, it must not take the place. */
	add_client(h, CV_HOLDER_FD);
	if (!h->clients)
		return -ENOTCONN;
	rc = take_place(h);
	if (rc)
		return rc;
	watch_place(h, run_dir);
	h->named = !stat("/proc/self/ns/net", &h->namespace) && has_name(h);
	/* It may have gone before it was watched. */
	return has_place(h) ? 0 : -ENOENT;
}

static void dispatch(struct holder *h, const struct epoll_event *event)
{
	int fd = (int)(uint32_t)event->data.u64;

	switch ((enum kind)(event->data.u64 >> 32)) {
	case KIND_LISTENER:
		return on_connection(h);
	case KIND_WATCH:
		return on_watch(h);
	case KIND_CLIENT:
		return on_client(h, fd);
	case KIND_QUEUE: /* the loop sweeps */
		return;
	}
}

static void loop(struct holder *h)
{
	struct epoll_event events[EVENTS];

	while (!h->ended && (h->clients || h->count)) {
		int n = epoll_wait(h->epoll, events, EVENTS, CV_HOLDER_LOOK_S * 1000);
		bool look = n == 0;

		for (int i = 0; i < n; i++) {
			enum kind kind = (enum kind)(events[i].data.u64 >> 32);

			look |= kind == KIND_WATCH || kind == KIND_QUEUE;
			dispatch(h, &events[i]);
		}
		if (!look)
			continue;
		sweep(h);
		h->ended |= is_garbage(h);
	}
}

/* Descriptors go with the process. */
int cv_holder_run(const char *run_dir)
{
	struct holder h = {.address.sun_family = AF_UNIX, .epoll = -1, .listener = -1, .watch = -1};

	prctl(PR_SET_NAME, CV_HOLDER_PROCESS);
	umask(0177);
	if (start(&h, run_dir))
		return 1;
	drop_privileges();
	loop(&h);
	if (has_place(&h))
		unlink(h.address.sun_path);
	free(h.queues);
	return 0;
}
