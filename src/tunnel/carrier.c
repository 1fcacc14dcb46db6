/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's side of the carrier holder.
 *
 * Invariants:
 * - A descriptor that was sent is held, even before the holder has read it and even if it never
 *   will: in the socket's buffer it keeps the device's carrier as well. So nobody waits
 *   for a confirmation, and a stopped holder does its work until that buffer is full.
 * - The daemon waits CV_CARRIER_ANSWER_MS at most, and not again before the holder has answered.
 * - What the holder refused, it is asked again only after CV_CARRIER_REFUSED_S: each refusal is
 *   an answer, which wakes the daemon at once.
 * - Each trouble is told once, and its end, too.
 */
#include "tunnel/carrier.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <signal.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "tunnel/holder.h"
#include "tunnel/spawn.h"

enum {
	ASK_MS = 5000, /* between two questions whether it is well, at least */
};

struct cv_carrier {
	char *run_dir;
	void (*log)(int priority, const char *text);
	int epoll; /* of connection: what the caller polls */
	int connection;
	pid_t pid;
	int64_t asked_ms;   /* the last hello; 0: none */
	bool waiting;	    /* for its answer */
	int64_t started_ms; /* the first of the last starts */
	unsigned int starts;
	bool silent;	 /* it does not answer; told */
	bool failing;	 /* there is none, or it cannot hold; told */
	bool incomplete; /* it may not have all queues */
	bool refused;	 /* it has not, and refused one */
	int64_t refused_ms;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((format(printf, 3, 4))) static void say(const struct cv_carrier *carrier,
						      int priority, const char *format, ...)
{
	char text[320];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	carrier->log(priority, text);
}

/* rc: -errno that says why, 0: what says all. */
static void complain(struct cv_carrier *carrier, const char *what, int rc)
{
	if (!carrier->failing)
		say(carrier, LOG_WARNING,
		    "%s%s%s; the tunnels work, but their devices lose their carrier when "
		    "culvertd ends",
		    what, rc ? ": " : "", rc ? strerror(-rc) : "");
	carrier->failing = true;
}

/* ---- the connection ------------------------------------------------------------ */

/* Connect to the holder of run_dir. A descriptor, or -ENOENT, -ECONNREFUSED: there is none. */
static int connect_holder(const char *run_dir)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", run_dir,
			 CV_HOLDER_SOCKET);
	int fd, rc;

	if (n >= (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static bool is_absent(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED;
}

static int send_request(int fd, enum cv_holder_verb verb, int ifindex, int queue)
{
	struct cv_holder_request request = {
		.version = CV_HOLDER_VERSION,
		.verb = (uint8_t)verb,
		.ifindex = ifindex,
	};
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = &request, .iov_len = sizeof(request)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (queue >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &queue, sizeof(queue));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void disconnect(struct cv_carrier *carrier)
{
	if (carrier->connection >= 0)
		close(carrier->connection);
	carrier->connection = -1;
	carrier->pid = 0;
	carrier->waiting = false;
	carrier->silent = false;
	carrier->refused = false;
}

static bool wait_for(int fd, short events)
{
	struct pollfd look = {.fd = fd, .events = events};

	return poll(&look, 1, CV_CARRIER_ANSWER_MS) == 1;
}

static void fall_silent(struct cv_carrier *carrier)
{
	char who[32] = "(" CV_HOLDER_PROCESS " in ps)";

	if (carrier->pid)
		snprintf(who, sizeof(who), "(process %d)", carrier->pid);
	if (!carrier->silent)
		say(carrier, LOG_WARNING,
		    "the carrier holder %s does not answer; going on without: if it is stopped, "
		    "let it go on (SIGCONT), or kill it, and another one is started",
		    who);
	carrier->silent = true;
}

/* ---- what it says -------------------------------------------------------------- */

/* False: it is of another version, and no use to us. */
static bool take_answer(struct cv_carrier *carrier, const struct cv_holder_answer *answer)
{
	if (answer->version != CV_HOLDER_VERSION)
		return false;
	if (carrier->silent)
		say(carrier, LOG_NOTICE, "the carrier holder answers again");
	carrier->silent = false;
	carrier->waiting = false;
	carrier->pid = answer->pid;
	if (answer->verb == CV_HOLDER_HOLD && answer->error) {
		complain(carrier, "the carrier holder cannot hold a device", answer->error);
		if (!carrier->refused)
			carrier->refused_ms = now_ms();
		carrier->refused = true;
	}
	return true;
}

/* Read all that it has said. False: the connection has ended, or is of no use. */
static bool read_answers(struct cv_carrier *carrier)
{
	struct cv_holder_answer answer;

	for (;;) {
		ssize_t n = recv(carrier->connection, &answer, sizeof(answer), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n == sizeof(answer) && take_answer(carrier, &answer))
			continue;
		/* The next holder takes its place, and this one ends. */
		if (n > 0)
			send_request(carrier->connection, CV_HOLDER_QUIT, 0, -1);
		return false;
	}
}

/* Take up a new connection (-errno is passed through) and wait for its first answer. */
static int greet(struct cv_carrier *carrier, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int rc;

	if (fd < 0)
		return fd;
	carrier->connection = fd;
	rc = epoll_ctl(carrier->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
	if (!rc)
		rc = send_request(fd, CV_HOLDER_HELLO, 0, -1);
	if (rc) {
		disconnect(carrier);
		return rc == -EPIPE ? -ECONNREFUSED : rc; /* it has just ended */
	}
	carrier->asked_ms = now_ms();
	carrier->waiting = true;
	if (!wait_for(fd, POLLIN)) {
		fall_silent(carrier);
		return 0;
	}
	if (read_answers(carrier))
		return 0;
	disconnect(carrier);
	return -ECONNREFUSED;
}

/* ---- starting it --------------------------------------------------------------- */

static int start(struct cv_carrier *carrier)
{
	char *const arguments[] = {CV_HOLDER_PROCESS, CV_HOLDER_OPTION, carrier->run_dir, NULL};
	struct cv_spawn spawn = {.arguments = arguments, .as = CV_HOLDER_FD};
	int ends[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
		return -errno;
	spawn.fd = ends[1];
	rc = cv_spawn_detached(&spawn, NULL);
	close(ends[1]);
	if (rc)
		close(ends[0]);
	else
		rc = greet(carrier, ends[0]);
	if (!rc && carrier->pid)
		say(carrier, LOG_INFO, "started the carrier holder, process %d", carrier->pid);
	return rc;
}

/* One that dies as soon as it was started must not keep us busy. */
static bool may_start(struct cv_carrier *carrier)
{
	int64_t now = now_ms();

	if (!carrier->starts || now - carrier->started_ms > CV_CARRIER_RETRY_S * 1000) {
		carrier->starts = 0;
		carrier->started_ms = now;
	}
	return carrier->starts++ < CV_CARRIER_STARTS_MAX;
}

/* One that runs, or a new one. */
static bool is_there(struct cv_carrier *carrier)
{
	int rc;

	if (carrier->connection >= 0)
		return true;
	if (!may_start(carrier))
		return false;
	rc = greet(carrier, connect_holder(carrier->run_dir));
	if (is_absent(rc))
		rc = start(carrier);
	if (rc) {
		if (is_absent(rc))
			complain(carrier, "the carrier holder ended as soon as it was started", 0);
		else
			complain(carrier, "cannot start the carrier holder", rc);
		carrier->starts = CV_CARRIER_STARTS_MAX;
		return false;
	}
	carrier->failing = false;
	return true;
}

int cv_carrier_create(const char *run_dir, void (*log)(int priority, const char *text),
		      struct cv_carrier **ret_carrier)
{
	struct cv_carrier *carrier = calloc(1, sizeof(*carrier));
	int rc;

	if (!carrier)
		return -ENOMEM;
	carrier->connection = -1;
	carrier->log = log;
	carrier->run_dir = strdup(run_dir);
	carrier->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!carrier->run_dir || carrier->epoll < 0) {
		rc = carrier->run_dir ? -errno : -ENOMEM;
		cv_carrier_destroy(carrier);
		return rc;
	}
	/* Without one that runs, the first queue starts it. */
	rc = greet(carrier, connect_holder(run_dir));
	if (!rc && carrier->pid)
		say(carrier, LOG_INFO, "goes on with the carrier holder, process %d", carrier->pid);
	*ret_carrier = carrier;
	return 0;
}

void cv_carrier_destroy(struct cv_carrier *carrier)
{
	if (!carrier)
		return;
	disconnect(carrier);
	if (carrier->epoll >= 0)
		close(carrier->epoll);
	free(carrier->run_dir);
	free(carrier);
}

/* ---- looking after it ---------------------------------------------------------- */

int cv_carrier_fd(const struct cv_carrier *carrier)
{
	return carrier->epoll;
}

pid_t cv_carrier_pid(const struct cv_carrier *carrier)
{
	return carrier ? carrier->pid : 0;
}

static void ask(struct cv_carrier *carrier)
{
	int64_t since_ms = now_ms() - carrier->asked_ms;

	if (carrier->waiting && since_ms > CV_CARRIER_ANSWER_MS)
		fall_silent(carrier);
	/* Its answer brings us here again: without a pause this would never end. */
	if (carrier->waiting || since_ms < ASK_MS)
		return;
	if (send_request(carrier->connection, CV_HOLDER_HELLO, 0, -1))
		return;
	carrier->asked_ms = now_ms();
	carrier->waiting = true;
}

static void forgive(struct cv_carrier *carrier)
{
	if (!carrier->refused || now_ms() - carrier->refused_ms < CV_CARRIER_REFUSED_S * 1000)
		return;
	carrier->refused = false;
	carrier->incomplete = true;
}

bool cv_carrier_attend(struct cv_carrier *carrier)
{
	bool again;

	if (!carrier)
		return false;
	if (carrier->connection >= 0 && read_answers(carrier)) {
		ask(carrier);
		forgive(carrier);
	} else if (carrier->connection >= 0) {
		say(carrier, LOG_NOTICE, "the carrier holder has ended");
		disconnect(carrier);
		carrier->incomplete = true;
	}
	again = carrier->incomplete;
	carrier->incomplete = false;
	return again;
}

/* ---- holding ------------------------------------------------------------------- */

void cv_carrier_hold(struct cv_carrier *carrier, int ifindex, int fd)
{
	int rc;

	if (!carrier || fd < 0)
		return;
	if (!is_there(carrier)) {
		carrier->incomplete = true;
		return;
	}
	rc = send_request(carrier->connection, CV_HOLDER_HOLD, ifindex, fd);
	/* Its buffer is full: it has much to do, or it is stopped. */
	if (rc == -EAGAIN && !carrier->silent && wait_for(carrier->connection, POLLOUT))
		rc = send_request(carrier->connection, CV_HOLDER_HOLD, ifindex, fd);
	if (!rc)
		return;
	carrier->incomplete = true;
	if (rc == -EAGAIN)
		fall_silent(carrier);
	else if (rc != -EPIPE && rc != -ECONNRESET) /* its end is noticed elsewhere */
		complain(carrier, "cannot hand a device to the carrier holder", rc);
}

void cv_carrier_release(struct cv_carrier *carrier, int ifindex)
{
	if (carrier && carrier->connection >= 0)
		send_request(carrier->connection, CV_HOLDER_RELEASE, ifindex, -1);
}

/* ---- ending it ----------------------------------------------------------------- */

/* Who made the socket to which fd is connected, or -errno. */
static pid_t peer_of(int fd)
{
	struct ucred who;
	socklen_t length = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length))
		return -errno;
	return who.pid;
}

pid_t cv_carrier_find(const char *run_dir)
{
	int fd = connect_holder(run_dir);
	pid_t pid;

	if (fd < 0)
		return is_absent(fd) ? 0 : fd;
	pid = peer_of(fd);
	close(fd);
	return pid;
}

/* It answers nothing to this but its end. */
static bool ends_when_told(int fd)
{
	char byte;

	return !send_request(fd, CV_HOLDER_QUIT, 0, -1) && wait_for(fd, POLLIN) &&
	       recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) <= 0;
}

/* First politely. pidfd is readable when the process has ended. */
static int end_process(int fd, int pidfd)
{
	if (ends_when_told(fd) && wait_for(pidfd, POLLIN))
		return 0;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0))
		return errno == ESRCH ? 0 : -errno;
	return wait_for(pidfd, POLLIN) ? 0 : -ETIMEDOUT;
}

/* It listens, so it lives, and the number is nobody else's. */
static int end_peer(int fd, pid_t pid)
{
	int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	int rc;

	/* As when it lives in another PID namespace. */
	if (pidfd < 0)
		return ends_when_told(fd) ? 0 : -ESRCH;
	rc = end_process(fd, pidfd);
	close(pidfd);
	return rc;
}

int cv_carrier_end(const char *run_dir, pid_t *ret_pid, struct cv_error *error)
{
	int fd = connect_holder(run_dir);
	pid_t pid;
	int rc;

	if (is_absent(fd))
		return 0;
	if (fd < 0)
		return cv_error_set(error, fd, "cannot talk to the carrier holder in %s: %s",
				    run_dir, strerror(-fd));
	pid = peer_of(fd);
	rc = end_peer(fd, pid);
	close(fd);
	if (rc)
		return cv_error_set(error, rc, "cannot end the carrier holder, process %d: %s", pid,
				    strerror(-rc));
	*ret_pid = pid;
	return 1;
}
