/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes from one node to another, by TCP or UDP, with a record of when they arrived.
 *
 *   haul give tcp|udp ADDRESS PORT SIZE   send SIZE bytes
 *   haul take tcp|udp ADDRESS PORT        receive them, and write them to the standard output
 *   haul fill SIZE                        write what give sends to the standard output
 *
 * Options before the mode: -b ADDRESS send from that address; -r RATE at most so many bytes a
 * second; -d do|want|dont IP_MTU_DISCOVER; -s SEED other bytes; -w SECONDS give up when nothing has
 * moved for so long (before the first byte: CONNECT_S).
 *
 * take says "ready" on the standard error when it is bound; both say at their end what was, in one
 * line of JSON on the standard error. Times are nanoseconds of CLOCK_REALTIME: ends on different
 * kernels have it in common. "gaps": when, from and to, no byte arrived for GAP_NS or longer.
 *
 * By UDP, blocks of the bytes are sent, as large as IP_MTU says at -d do, where EMSGSIZE makes the
 * sender ask again, and of 1500 bytes of IPv4 otherwise; the receiver acknowledges what it has
 * without a hole; after RTO_NS without progress the sender goes back to that. Both ends have the
 * same byte order.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S  1000000000ULL
#define GAP_NS	  50000000ULL
#define RTO_NS	  100000000ULL
#define CONNECT_S 30
#define LINGER_NS 500000000ULL

enum {
	BATCH = 32,
	HEADERS = 28, /* IPv4 and UDP */
	PACKET_MAX = 9000,
	PLAIN_PACKET = 1500, /* what a sender that asks for no MTU sends */
	/* Bytes under way: with three fragments each, far below net.core.netdev_max_backlog. */
	WINDOW = 128 << 10,
	RESTART_BLOCKS = 4, /* after a loss */
	CHUNK = 64 << 10,
	BUFFER = 64 << 10, /* small, so that the size of the output tells how far it is */
	GAPS_MAX = 64,
	MAGIC_BLOCK = 0x6b6c6221,
	MAGIC_ACK = 0x6b636121,
	MAGIC_END = 0x646e6521,
};

struct head {
	uint32_t magic;
	uint32_t has_hole; /* of an acknowledgement: later bytes are there */
	uint64_t offset;   /* of the first byte; acknowledgement: so many are there */
	uint64_t size;	   /* of all */
};

struct options {
	const char *from;
	double rate;
	int discover; /* -1: as the system has it */
	uint64_t seed;
	uint64_t patience_ns;
};

struct record {
	uint64_t bytes;
	uint64_t first_ns, last_ns;
	unsigned int gap_count;
	uint64_t gaps[GAPS_MAX][2];
	const char *error;
};

static struct options options = {.discover = -1, .patience_ns = 10 * NS_PER_S};
static uint64_t start_ns;
static uint8_t out_buffer[BUFFER];
static size_t out_length;

static void die(const char *what)
{
	fprintf(stderr, "haul: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* ---- the bytes ---- */

/* The word at index: splitmix64. */
static uint64_t word_at(uint64_t index)
{
	uint64_t word = (index + 1 + (options.seed << 40)) * 0x9e3779b97f4a7c15ULL;

	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ULL;
	word = (word ^ word >> 27) * 0x94d049bb133111ebULL;
	return word ^ word >> 31;
}

static void fill(uint8_t *bytes, size_t length, uint64_t offset)
{
	size_t at = 0;

	while (at < length) {
		const uint64_t word = word_at((offset + at) / 8);
		const size_t skip = (offset + at) % 8;
		const size_t count = length - at < 8 - skip ? length - at : 8 - skip;

		memcpy(bytes + at, (const uint8_t *)&word + skip, count);
		at += count;
	}
}

static void flush_out(void)
{
	size_t done = 0;

	while (done < out_length) {
		ssize_t rc = write(STDOUT_FILENO, out_buffer + done, out_length - done);

		if (rc < 0)
			die("standard output");
		done += (size_t)rc;
	}
	out_length = 0;
}

static void put(const uint8_t *bytes, size_t length)
{
	while (length) {
		size_t room = sizeof(out_buffer) - out_length;

		if (room > length)
			room = length;
		memcpy(out_buffer + out_length, bytes, room);
		out_length += room;
		bytes += room;
		length -= room;
		if (out_length == sizeof(out_buffer))
			flush_out();
	}
}

static int do_fill(uint64_t size)
{
	static uint8_t chunk[CHUNK];

	for (uint64_t at = 0; at < size; at += sizeof(chunk)) {
		const size_t length = size - at < sizeof(chunk) ? size - at : sizeof(chunk);

		fill(chunk, length, at);
		put(chunk, length);
	}
	flush_out();
	return 0;
}

/* ---- the record ---- */

static void arrived(struct record *record, size_t length)
{
	const uint64_t now = clock_ns(CLOCK_REALTIME);

	if (!record->bytes)
		record->first_ns = now;
	else if (now - record->last_ns >= GAP_NS && record->gap_count < GAPS_MAX) {
		record->gaps[record->gap_count][0] = record->last_ns;
		record->gaps[record->gap_count++][1] = now;
	}
	record->bytes += length;
	record->last_ns = now;
}

static int tell(const struct record *record)
{
	fprintf(stderr,
		"{\"bytes\":%" PRIu64 ",\"start\":%" PRIu64 ",\"first\":%" PRIu64
		",\"last\":%" PRIu64,
		record->bytes, start_ns, record->first_ns, record->last_ns);
	fprintf(stderr, ",\"gaps\":[");
	for (unsigned int i = 0; i < record->gap_count; i++)
		fprintf(stderr, "%s[%" PRIu64 ",%" PRIu64 "]", i ? "," : "", record->gaps[i][0],
			record->gaps[i][1]);
	fprintf(stderr, "],\"error\":\"%s\"}\n", record->error ? record->error : "");
	return record->error != NULL;
}

/* ---- sockets ---- */

static struct sockaddr_in address_of(const char *text, const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};

	address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
		fprintf(stderr, "haul: %s is no address\n", text);
		exit(2);
	}
	return address;
}

static struct timeval patience(void)
{
	return (struct timeval){
		.tv_sec = (time_t)(options.patience_ns / NS_PER_S),
		.tv_usec = (suseconds_t)(options.patience_ns % NS_PER_S / 1000),
	};
}

static int open_socket(int type)
{
	const struct timeval limit = patience();
	const int yes = 1, size = 8 << 20;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		die("socket options");
	if (type == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		die("socket buffer (root?)");
	if (options.discover >= 0 && setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &options.discover,
						sizeof(options.discover)))
		die("IP_MTU_DISCOVER");
	return fd;
}

static int open_giver(int type, const char *address, const char *port)
{
	const struct sockaddr_in remote = address_of(address, port);
	int fd = open_socket(type);

	if (options.from) {
		const struct sockaddr_in local = address_of(options.from, "0");

		if (bind(fd, (const struct sockaddr *)&local, sizeof(local)))
			die(options.from);
	}
	return connect(fd, (const struct sockaddr *)&remote, sizeof(remote)) ? -1 : fd;
}

static int open_taker(int type, const char *address, const char *port)
{
	const struct sockaddr_in local = address_of(address, port);
	int fd = open_socket(type);

	if (bind(fd, (const struct sockaddr *)&local, sizeof(local)) ||
	    (type == SOCK_STREAM && listen(fd, 1)))
		die(address);
	fprintf(stderr, "ready %" PRIu64 "\n", clock_ns(CLOCK_REALTIME));
	return fd;
}

/* How many of sent bytes the rate allows more, since start; without a rate, very many. */
static uint64_t allowance(uint64_t start, uint64_t sent)
{
	uint64_t due;

	if (options.rate <= 0)
		return UINT64_MAX / 2;
	due = (uint64_t)((double)(now_ns() - start) / 1e9 * options.rate);
	return due > sent ? due - sent : 0;
}

static void rest(void)
{
	const struct timespec tick = {.tv_nsec = 1000000};

	nanosleep(&tick, NULL);
}

/* ---- TCP ---- */

static const char *push(int fd, uint64_t size, struct record *record)
{
	static uint8_t chunk[CHUNK];
	const uint64_t start = now_ns();

	while (record->bytes < size) {
		uint64_t length = allowance(start, record->bytes);
		ssize_t rc;

		if (!length) {
			rest();
			continue;
		}
		if (length > sizeof(chunk))
			length = sizeof(chunk);
		if (length > size - record->bytes)
			length = size - record->bytes;
		fill(chunk, length, record->bytes);
		rc = send(fd, chunk, length, MSG_NOSIGNAL);
		if (rc < 0)
			return errno == EAGAIN ? "stalled" : strerror(errno);
		arrived(record, (size_t)rc);
	}
	/* The receiver closes when it has all. */
	shutdown(fd, SHUT_WR);
	return recv(fd, chunk, 1, 0) ? "not all was taken" : NULL;
}

static int give_tcp(const char *address, const char *port, uint64_t size)
{
	const struct linger at_once = {.l_onoff = 1};
	struct record record = {0};
	int fd = open_giver(SOCK_STREAM, address, port);

	if (fd < 0)
		record.error = "no connection";
	else
		record.error = push(fd, size, &record);
	if (fd >= 0 && record.error)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (fd >= 0)
		close(fd);
	return tell(&record);
}

static int take_tcp(const char *address, const char *port)
{
	static uint8_t chunk[1 << 20];
	const struct timeval limit = patience();
	struct record record = {0};
	int listener = open_taker(SOCK_STREAM, address, port);
	const struct timeval connect_limit = {.tv_sec = CONNECT_S};
	ssize_t length = -1;
	int fd;

	setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &connect_limit, sizeof(connect_limit));
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		record.error = "no connection";
	else
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	while (fd >= 0 && (length = recv(fd, chunk, sizeof(chunk), 0)) > 0) {
		put(chunk, (size_t)length);
		arrived(&record, (size_t)length);
	}
	if (fd >= 0 && length < 0)
		record.error = errno == EAGAIN ? "stalled" : strerror(errno);
	flush_out();
	return tell(&record);
}

/* ---- UDP ---- */

struct giver {
	int fd;
	uint64_t size, base, next; /* all; acknowledged; sent */
	uint64_t paced;		   /* sent in all, again and again */
	uint64_t window;
	uint64_t start_ns, progress_ns, back_ns;
	size_t block;
};

static void ask_mtu(struct giver *giver)
{
	int mtu = PLAIN_PACKET;
	socklen_t length = sizeof(mtu);

	if (options.discover == IP_PMTUDISC_DO &&
	    getsockopt(giver->fd, IPPROTO_IP, IP_MTU, &mtu, &length))
		die("IP_MTU");
	if (mtu > PACKET_MAX)
		mtu = PACKET_MAX;
	giver->block = (size_t)mtu - HEADERS - sizeof(struct head);
}

/* One batch of blocks. False if there was nothing to send, or no leave to. */
static bool send_blocks(struct giver *giver)
{
	static uint8_t packets[BATCH][PACKET_MAX];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec pieces[BATCH];
	uint64_t leave = allowance(giver->start_ns, giver->paced);
	uint64_t at = giver->next;
	unsigned int count = 0;
	int rc;

	while (count < BATCH && at < giver->size && leave && at - giver->base < giver->window) {
		const uint64_t left = giver->size - at;
		const size_t length = left < giver->block ? left : giver->block;
		const struct head head = {.magic = MAGIC_BLOCK, .offset = at, .size = giver->size};

		memcpy(packets[count], &head, sizeof(head));
		fill(packets[count] + sizeof(head), length, at);
		pieces[count] = (struct iovec){packets[count], sizeof(head) + length};
		messages[count].msg_hdr.msg_iov = &pieces[count];
		messages[count++].msg_hdr.msg_iovlen = 1;
		at += length;
		leave -= leave < length ? leave : length;
	}
	if (!count)
		return false;
	rc = sendmmsg(giver->fd, messages, count, 0);
	if (rc < 0 && errno == EMSGSIZE)
		ask_mtu(giver);
	/* Other errors are what ICMP has said of earlier ones: the next call tries again. */
	for (int i = 0; i < rc; i++) {
		giver->next += pieces[i].iov_len - sizeof(struct head);
		giver->paced += pieces[i].iov_len - sizeof(struct head);
	}
	return true;
}

static void go_back(struct giver *giver)
{
	giver->next = giver->base;
	giver->window = RESTART_BLOCKS * giver->block;
	giver->back_ns = now_ns();
}

static void take_acks(struct giver *giver, int wait_ms)
{
	struct pollfd poller = {.fd = giver->fd, .events = POLLIN};
	struct head ack;
	ssize_t rc;

	if (poll(&poller, 1, wait_ms) <= 0)
		return;
	while ((rc = recv(giver->fd, &ack, sizeof(ack), MSG_DONTWAIT)) > 0) {
		if (rc != sizeof(ack) || ack.magic != MAGIC_ACK || ack.offset > giver->size)
			continue;
		if (ack.offset > giver->base) {
			giver->window += ack.offset - giver->base;
			if (giver->window > WINDOW)
				giver->window = WINDOW;
			giver->base = ack.offset;
			giver->progress_ns = now_ns();
			if (giver->next < giver->base)
				giver->next = giver->base;
		} else if (ack.has_hole && now_ns() - giver->back_ns > RTO_NS / 5) {
			go_back(giver);
		}
	}
	/* What ICMP says may come in an acknowledgement's place. */
	if (rc < 0 && errno == EMSGSIZE)
		ask_mtu(giver);
}

static int give_udp(const char *address, const char *port, uint64_t size)
{
	const struct head end = {.magic = MAGIC_END};
	struct giver giver = {.fd = open_giver(SOCK_DGRAM, address, port), .size = size};
	struct record record = {0};

	if (giver.fd < 0)
		die(address);
	ask_mtu(&giver);
	giver.start_ns = giver.progress_ns = giver.back_ns = now_ns();
	giver.window = RESTART_BLOCKS * giver.block;
	while (giver.base < size) {
		const uint64_t before = giver.base, now = now_ns();

		if (now - giver.progress_ns > options.patience_ns) {
			record.error = "stalled";
			break;
		}
		if (now - giver.progress_ns > RTO_NS && now - giver.back_ns > RTO_NS)
			go_back(&giver);
		take_acks(&giver, send_blocks(&giver) ? 0 : 1);
		if (giver.base > before)
			arrived(&record, giver.base - before);
	}
	for (unsigned int i = 0; i < 3; i++)
		send(giver.fd, &end, sizeof(end), 0);
	return tell(&record);
}

struct taker {
	uint64_t expected, size;
	bool has_hole, is_ended;
	struct sockaddr_in giver;
	struct record record;
};

static void take_block(struct taker *taker, const uint8_t *packet, size_t length)
{
	struct head head;
	uint64_t old;

	if (length < sizeof(head))
		return;
	memcpy(&head, packet, sizeof(head));
	length -= sizeof(head);
	if (head.magic == MAGIC_END)
		taker->is_ended = true;
	if (head.magic != MAGIC_BLOCK)
		return;
	taker->size = head.size;
	if (head.offset > taker->expected) {
		taker->has_hole = true;
		return;
	}
	old = taker->expected - head.offset;
	if (old >= length)
		return;
	put(packet + sizeof(head) + old, length - old);
	arrived(&taker->record, length - old);
	taker->expected += length - old;
}

/* Receive a batch; false if none came within the socket's time. */
static bool take_blocks(int fd, struct taker *taker)
{
	static uint8_t packets[BATCH][PACKET_MAX];
	struct sockaddr_in givers[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec pieces[BATCH];
	int count;

	for (unsigned int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){packets[i], sizeof(packets[i])};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i],
						      .msg_iovlen = 1,
						      .msg_name = &givers[i],
						      .msg_namelen = sizeof(givers[i])};
	}
	count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
	if (count <= 0)
		return count < 0 && errno == EINTR;
	taker->has_hole = false;
	for (int i = 0; i < count; i++)
		take_block(taker, packets[i], messages[i].msg_len);
	taker->giver = givers[count - 1];
	return true;
}

static int take_udp(const char *address, const char *port)
{
	const struct timeval tick = {.tv_usec = 50000};
	struct taker taker = {0};
	int fd = open_taker(SOCK_DGRAM, address, port);
	uint64_t heard_ns = now_ns();

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick));
	while (!taker.is_ended) {
		const bool has_all = taker.size && taker.expected == taker.size;
		struct head ack = {.magic = MAGIC_ACK};

		if (now_ns() - heard_ns > (has_all	? LINGER_NS
					   : taker.size ? options.patience_ns
							: CONNECT_S * NS_PER_S))
			break;
		if (!take_blocks(fd, &taker))
			continue;
		heard_ns = now_ns();
		ack.offset = taker.expected;
		ack.has_hole = taker.has_hole;
		sendto(fd, &ack, sizeof(ack), 0, (const struct sockaddr *)&taker.giver,
		       sizeof(taker.giver));
	}
	if (!taker.size || taker.expected < taker.size)
		taker.record.error = "stalled";
	flush_out();
	return tell(&taker.record);
}

/* ---- the command line ---- */

static void usage(void)
{
	fprintf(stderr, "usage: haul [-b ADDRESS] [-r RATE] [-d do|want|dont] [-s SEED]"
			" [-w SECONDS] give tcp|udp ADDRESS PORT SIZE\n"
			"       haul [-d do|want|dont] [-w SECONDS] take tcp|udp ADDRESS PORT\n"
			"       haul [-s SEED] fill SIZE\n");
	exit(2);
}

static int discover_of(const char *word)
{
	if (!strcmp(word, "do"))
		return IP_PMTUDISC_DO;
	if (!strcmp(word, "want"))
		return IP_PMTUDISC_WANT;
	if (strcmp(word, "dont") != 0)
		usage();
	return IP_PMTUDISC_DONT;
}

static void read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "+b:r:d:s:w:")) != -1) {
		switch (option) {
		case 'b':
			options.from = optarg;
			break;
		case 'r':
			options.rate = strtod(optarg, NULL);
			break;
		case 'd':
			options.discover = discover_of(optarg);
			break;
		case 's':
			options.seed = strtoull(optarg, NULL, 10);
			break;
		case 'w':
			options.patience_ns = (uint64_t)(strtod(optarg, NULL) * 1e9);
			break;
		default:
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	char **word;
	bool is_tcp;

	start_ns = clock_ns(CLOCK_REALTIME);
	read_options(argc, argv);
	word = argv + optind;
	argc -= optind;
	if (argc == 2 && !strcmp(word[0], "fill"))
		return do_fill(strtoull(word[1], NULL, 10));
	if (argc < 4)
		usage();
	is_tcp = !strcmp(word[1], "tcp");
	if (argc == 4 && !strcmp(word[0], "take"))
		return (is_tcp ? take_tcp : take_udp)(word[2], word[3]);
	if (argc == 5 && !strcmp(word[0], "give"))
		return (is_tcp ? give_tcp : give_udp)(word[2], word[3],
						      strtoull(word[4], NULL, 10));
	usage();
}
