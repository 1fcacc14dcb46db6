/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP for the benchmark: small packets as fast as they go, and how long one takes.
 *
 *   udp sink ADDRESS PORT              count what arrives until the sender says it is over
 *   udp flood ADDRESS PORT SECONDS     send as fast as possible for that long
 *   udp echo ADDRESS PORT              send everything back
 *   udp ping ADDRESS PORT SECONDS      one packet there and back at a time
 *
 * Options before the mode: -s N IPv4 packets of N bytes in all (64 when not given),
 * -b ADDRESS send from that address.
 *
 * Sizes are those of the IPv4 packet: 64 bytes carry 36 of UDP payload. The sink's rate
 * is that between its first and its last packet, so neither the start of the programs nor
 * a tail of silence counts. Results are one line of JSON on the standard output. ADDRESS of
 * sink and echo is what they bind to; they say "ready" on the standard error when they have.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	HEADERS = 28, /* IPv4 and UDP */
	PAYLOAD_MIN = 16,
	PAYLOAD_MAX = 1472,
	BATCH = 64,
	BUFFER_BYTES = 4 << 20, /* socket buffers: 30 ms of a million packets a second */
	BYES = 20,		/* the last word is repeated, since UDP loses packets */
	BYE_GAP_US = 20000,
	PING_TIMEOUT_MS = 200,
	PINGS_MAX = 4000000,
	WARM_UP = 200, /* round trips that are not counted */
};

/* What every packet begins with. */
struct word {
	uint32_t kind;
	uint32_t run;	 /* tells this run's packets from those of the run before */
	uint64_t number; /* of the packet; in a bye: how many were sent */
};

enum {
	KIND_DATA = 1,
	KIND_BYE = 2
};

static size_t payload_size = 64 - HEADERS;
static const char *bind_address;
static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
	(void)number;
	is_stopped = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "udp: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static struct sockaddr_in address_of(const char *text, const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	if (*end || number > 65535 || inet_pton(AF_INET, text, &address.sin_addr) != 1) {
		fprintf(stderr, "udp: %s port %s is no address\n", text, port);
		exit(2);
	}
	address.sin_port = htons((uint16_t)number);
	return address;
}

static int open_socket(void)
{
	const int size = BUFFER_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		die("socket buffers (root?)");
	return fd;
}

/* A bound socket for sink and echo. Wakes up now and then so that a signal is seen. */
static int open_server(const char *text, const char *port)
{
	const struct sockaddr_in address = address_of(text, port);
	const struct timeval patience = {.tv_usec = 100000};
	int fd = open_socket();

	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		die(text);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("SO_RCVTIMEO");
	fprintf(stderr, "ready\n");
	return fd;
}

/* A connected socket for flood and ping. */
static int open_client(const char *text, const char *port)
{
	const struct sockaddr_in remote = address_of(text, port);
	int fd = open_socket();

	if (bind_address) {
		const struct sockaddr_in local = address_of(bind_address, "0");

		if (bind(fd, (const struct sockaddr *)&local, sizeof(local)))
			die(bind_address);
	}
	if (connect(fd, (const struct sockaddr *)&remote, sizeof(remote)))
		die(text);
	return fd;
}

static void prepare(struct mmsghdr *messages, struct iovec *pieces,
		    uint8_t buffers[BATCH][PAYLOAD_MAX], size_t size)
{
	memset(messages, 0, BATCH * sizeof(*messages));
	for (int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){.iov_base = buffers[i], .iov_len = size};
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
}

/* ---- packets per second ---- */

struct tally {
	uint64_t packets;
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t sent; /* by the sender's own count */
	uint32_t run;  /* 0: nothing has come yet */
	bool is_over;
};

static void count_batch(struct tally *tally, const struct mmsghdr *messages, int count)
{
	const uint64_t now = now_ns();

	for (int i = 0; i < count; i++) {
		struct word word;

		if (messages[i].msg_len < sizeof(word))
			continue;
		memcpy(&word, messages[i].msg_hdr.msg_iov->iov_base, sizeof(word));
		if (!tally->run)
			tally->run = word.run;
		if (word.run != tally->run)
			continue;
		if (word.kind == KIND_BYE) {
			tally->sent = word.number;
			tally->is_over = true;
		} else if (word.kind == KIND_DATA) {
			if (!tally->packets++)
				tally->first_ns = now;
			tally->last_ns = now;
		}
	}
}

static int sink(const char *address, const char *port)
{
	static uint8_t buffers[BATCH][PAYLOAD_MAX];
	static struct mmsghdr messages[BATCH];
	static struct iovec pieces[BATCH];
	struct tally tally = {0};
	int fd = open_server(address, port);
	double seconds;

	while (!tally.is_over && !is_stopped) {
		int count;

		prepare(messages, pieces, buffers, PAYLOAD_MAX);
		count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		if (count > 0)
			count_batch(&tally, messages, count);
		else if (errno != EAGAIN && errno != EINTR)
			die("recvmmsg");
	}
	seconds = (double)(tally.last_ns - tally.first_ns) / 1e9;
	printf("{\"received\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"seconds\":%.6f,\"pps\":%.1f}\n",
	       tally.packets, tally.sent, seconds,
	       seconds > 0 ? (double)tally.packets / seconds : 0.0);
	return tally.is_over ? 0 : 1;
}

/* What a flood's socket may answer without being the end: a queue or a buffer is full. */
static bool is_passing(int err)
{
	return err == ENOBUFS || err == EAGAIN || err == EINTR || err == ECONNREFUSED;
}

static uint64_t flood_until(int fd, uint32_t run, uint64_t end_ns)
{
	static uint8_t buffers[BATCH][PAYLOAD_MAX];
	static struct mmsghdr messages[BATCH];
	static struct iovec pieces[BATCH];
	uint64_t sent = 0;

	prepare(messages, pieces, buffers, payload_size);
	while (now_ns() < end_ns && !is_stopped) {
		int count;

		for (unsigned int i = 0; i < BATCH; i++) {
			const struct word word = {KIND_DATA, run, sent + i};

			memcpy(buffers[i], &word, sizeof(word));
		}
		count = sendmmsg(fd, messages, BATCH, 0);
		if (count > 0)
			sent += (uint64_t)count;
		else if (!is_passing(errno))
			die("sendmmsg");
	}
	return sent;
}

static int flood(const char *address, const char *port, double seconds)
{
	int fd = open_client(address, port);
	const uint64_t start = now_ns();
	const uint32_t run = (uint32_t)start | 1;
	struct word bye = {KIND_BYE, run, 0};
	uint8_t last[PAYLOAD_MAX] = {0};

	bye.number = flood_until(fd, run, start + (uint64_t)(seconds * 1e9));
	memcpy(last, &bye, sizeof(bye));
	for (int i = 0; i < BYES; i++) {
		usleep(BYE_GAP_US);
		if (send(fd, last, payload_size, 0) < 0 && !is_passing(errno))
			die("send");
	}
	printf("{\"sent\":%" PRIu64 "}\n", bye.number);
	return 0;
}

/* ---- round trips ---- */

static int echo(const char *address, const char *port)
{
	int fd = open_server(address, port);
	uint8_t buffer[PAYLOAD_MAX];

	while (!is_stopped) {
		struct sockaddr_in from;
		socklen_t length = sizeof(from);
		ssize_t got =
			recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);

		if (got < 0 && errno != EAGAIN && errno != EINTR)
			die("recvfrom");
		if (got >= 0 &&
		    sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&from, length) < 0 &&
		    !is_passing(errno))
			die("sendto");
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* The smallest of the sorted values that at least this part (0 to 1) of them does not exceed. */
static double percentile(const uint32_t *sorted, size_t count, double part)
{
	size_t at = (size_t)(part * (double)count);

	return (double)sorted[at < count ? at : count - 1] / 1000.0;
}

/* One round trip in ns; 0: lost. */
static uint32_t ping_once(int fd, uint32_t run, uint64_t number)
{
	const struct word word = {KIND_DATA, run, number};
	uint8_t buffer[PAYLOAD_MAX] = {0};
	const uint64_t start = now_ns();
	struct word back;

	memcpy(buffer, &word, sizeof(word));
	if (send(fd, buffer, payload_size, 0) < 0) {
		if (!is_passing(errno))
			die("send");
		return 0;
	}
	for (;;) {
		if (recv(fd, buffer, sizeof(buffer), 0) < (ssize_t)sizeof(back))
			return 0;
		memcpy(&back, buffer, sizeof(back));
		/* An answer that came after its time-out is not taken for this one. */
		if (back.run == run && back.number == number)
			return (uint32_t)(now_ns() - start);
	}
}

static int ping(const char *address, const char *port, double seconds)
{
	const struct timeval patience = {.tv_usec = PING_TIMEOUT_MS * 1000};
	uint32_t *times = malloc(PINGS_MAX * sizeof(*times));
	int fd = open_client(address, port);
	const uint32_t run = (uint32_t)now_ns() | 1;
	uint64_t end, number = 0;
	size_t count = 0, lost = 0;

	if (!times)
		die("memory");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("SO_RCVTIMEO");
	while (number < WARM_UP && !is_stopped)
		ping_once(fd, run, number++);
	end = now_ns() + (uint64_t)(seconds * 1e9);
	while (now_ns() < end && count < PINGS_MAX && !is_stopped) {
		uint32_t time = ping_once(fd, run, number++);

		if (time)
			times[count++] = time;
		else
			lost++;
	}
	qsort(times, count, sizeof(*times), by_value);
	printf("{\"count\":%zu,\"lost\":%zu", count, lost);
	if (count)
		printf(",\"p50_us\":%.2f,\"p99_us\":%.2f", percentile(times, count, 0.5),
		       percentile(times, count, 0.99));
	printf("}\n");
	free(times);
	return count ? 0 : 1;
}

static int usage(void)
{
	fprintf(stderr, "usage: udp [-s BYTES] [-b ADDRESS] sink|echo ADDRESS PORT\n"
			"       udp [-s BYTES] [-b ADDRESS] flood|ping ADDRESS PORT SECONDS\n");
	return 2;
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_signal};
	int option, count;
	char **word;

	while ((option = getopt(argc, argv, "+s:b:")) != -1) {
		if (option == 's')
			payload_size = strtoul(optarg, NULL, 10) - HEADERS;
		else if (option == 'b')
			bind_address = optarg;
		else
			return usage();
	}
	if (payload_size < PAYLOAD_MIN || payload_size > PAYLOAD_MAX)
		return usage();
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	word = argv + optind;
	count = argc - optind;
	if (count == 3 && !strcmp(word[0], "sink"))
		return sink(word[1], word[2]);
	if (count == 3 && !strcmp(word[0], "echo"))
		return echo(word[1], word[2]);
	if (count == 4 && !strcmp(word[0], "flood"))
		return flood(word[1], word[2], strtod(word[3], NULL));
	if (count == 4 && !strcmp(word[0], "ping"))
		return ping(word[1], word[2], strtod(word[3], NULL));
	return usage();
}
