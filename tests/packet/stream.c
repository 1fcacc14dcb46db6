/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A steady stream of numbered UDP packets, of which not one may be missed.
 *
 *   stream send ADDRESS PORT RATE     send RATE packets a second
 *   stream take ADDRESS PORT          receive them, and see which are missing
 *   stream forge OUTER INNER PORT RATE
 *                                     send RATE IP-in-IP packets a second, whose inner packets are
 *                                     like those of send; OUTER and INNER: SOURCE,DESTINATION
 *
 * Options before the mode: -b ADDRESS send from that address. Each runs until SIGTERM or SIGINT
 * comes, and then prints one line of JSON. Packets are 64 bytes of IPv4 in all. take says
 * "ready" on the standard error when it is bound. Told to end, it reads from its standard input how
 * many packets were sent, and waits until they are there or nothing comes for two seconds: on a
 * busy machine the last ones may be long on their way. Nothing to read: it does not wait.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
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
	HEADERS = sizeof(struct iphdr) + sizeof(struct udphdr),
	PAYLOAD = 64 - HEADERS,
	BATCH = 32, /* small, so that no queue on the way overflows */
	BUFFER_BYTES = 256 << 20,
	TICK_NS = 500000,
	PATIENCE_US = 50000, /* so long a silence ends it when nothing is missing */
	SILENCES_MAX = 40,   /* and so many when something is */
	NUMBERS_MAX = 1 << 28,
};

static const char *bind_address;
static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
	(void)number;
	is_stopped = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
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

	address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
		fprintf(stderr, "stream: %s is no address\n", text);
		exit(2);
	}
	return address;
}

static int open_socket(int type, int protocol)
{
	const int size = BUFFER_BYTES;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		die("socket buffers (root?)");
	return fd;
}

/* ---- sending ---- */

/* What is sent: a template, and where in it the number goes. */
struct template
{
	uint8_t bytes[128];
	size_t length;
	size_t number_at;
};

struct sent {
	uint64_t count;
	uint64_t failed; /* refused by the kernel */
	int error;	 /* why, the last one */
};

/* Send count packets, numbered from sent->count on. One that is refused counts as sent. */
static void send_batch(int fd, const struct template *template, unsigned int count,
		       struct sent *sent)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec pieces[BATCH];
	uint8_t buffers[BATCH][sizeof(template->bytes)];
	unsigned int done = 0;

	for (unsigned int i = 0; i < count; i++) {
		const uint64_t number = sent->count + i;

		memcpy(buffers[i], template->bytes, template->length);
		memcpy(buffers[i] + template->number_at, &number, sizeof(number));
		pieces[i] = (struct iovec){.iov_base = buffers[i], .iov_len = template->length};
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (done < count) {
		int rc = sendmmsg(fd, messages + done, count - done, 0);

		if (rc > 0) {
			done += (unsigned int)rc;
			continue;
		}
		sent->error = errno;
		sent->failed++;
		done++;
	}
	sent->count += count;
}

static int send_steadily(int fd, const struct template *template, double rate)
{
	const uint64_t start = now_ns();
	const struct timespec tick = {.tv_nsec = TICK_NS};
	struct sent sent = {0};

	while (!is_stopped) {
		uint64_t due = (uint64_t)((double)(now_ns() - start) / 1e9 * rate);

		if (due <= sent.count) {
			nanosleep(&tick, NULL);
			continue;
		}
		due -= sent.count;
		send_batch(fd, template, due < BATCH ? (unsigned int)due : BATCH, &sent);
	}
	printf("{\"sent\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"error\":\"%s\",\"seconds\":%.3f}\n",
	       sent.count, sent.failed, sent.error ? strerror(sent.error) : "",
	       (double)(now_ns() - start) / 1e9);
	return 0;
}

static int do_send(const char *address, const char *port, double rate)
{
	const struct sockaddr_in remote = address_of(address, port);
	const struct template template = {.length = PAYLOAD};
	int fd = open_socket(SOCK_DGRAM, 0);

	if (bind_address) {
		const struct sockaddr_in local = address_of(bind_address, "0");

		if (bind(fd, (const struct sockaddr *)&local, sizeof(local)))
			die(bind_address);
	}
	if (connect(fd, (const struct sockaddr *)&remote, sizeof(remote)))
		die(address);
	return send_steadily(fd, &template, rate);
}

static uint16_t header_checksum(const struct iphdr *header)
{
	uint16_t words[sizeof(*header) / 2];
	uint32_t sum = 0;

	memcpy(words, header, sizeof(*header));
	for (size_t i = 0; i < sizeof(words) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* addresses: "SOURCE,DESTINATION". */
static struct iphdr header_of(const char *addresses, uint8_t protocol, size_t length)
{
	struct iphdr header = {.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol};
	char text[64];
	char *comma;

	snprintf(text, sizeof(text), "%s", addresses);
	comma = strchr(text, ',');
	if (!comma) {
		fprintf(stderr, "stream: %s is not SOURCE,DESTINATION\n", addresses);
		exit(2);
	}
	*comma = '\0';
	header.saddr = address_of(text, "0").sin_addr.s_addr;
	header.daddr = address_of(comma + 1, "0").sin_addr.s_addr;
	header.tot_len = htons((uint16_t)length);
	header.check = header_checksum(&header);
	return header;
}

static int do_forge(const char *outer, const char *inner, const char *port, double rate)
{
	struct template template = {0};
	struct udphdr udp = {.len = htons(sizeof(udp) + PAYLOAD)};
	const struct iphdr headers[] = {
		header_of(outer, IPPROTO_IPIP, sizeof(struct iphdr) + HEADERS + PAYLOAD),
		header_of(inner, IPPROTO_UDP, HEADERS + PAYLOAD),
	};
	struct sockaddr_in remote = {.sin_family = AF_INET};
	int fd = open_socket(SOCK_RAW, IPPROTO_RAW);

	udp.source = udp.dest = address_of("0.0.0.0", port).sin_port;
	memcpy(template.bytes, headers, sizeof(headers));
	memcpy(template.bytes + sizeof(headers), &udp, sizeof(udp));
	template.number_at = sizeof(headers) + sizeof(udp);
	template.length = template.number_at + PAYLOAD;
	remote.sin_addr.s_addr = headers[0].daddr;
	if (connect(fd, (const struct sockaddr *)&remote, sizeof(remote)))
		die(outer);
	return send_steadily(fd, &template, rate);
}

/* ---- taking ---- */

struct taken {
	uint8_t *seen; /* a bit each */
	uint64_t received;
	uint64_t unique;
	uint64_t reordered;
	uint64_t next; /* one more than the largest number */
};

static void take_one(struct taken *taken, const uint8_t *packet, size_t length)
{
	uint64_t number;

	if (length != PAYLOAD)
		return;
	memcpy(&number, packet, sizeof(number));
	if (number >= NUMBERS_MAX)
		return;
	taken->received++;
	if (taken->seen[number / 8] & 1 << number % 8)
		return;
	taken->seen[number / 8] |= (uint8_t)(1 << number % 8);
	taken->unique++;
	if (number < taken->next)
		taken->reordered++;
	else
		taken->next = number + 1;
}

/* Where packets are missing, so that a round's fault can be told from another's. */
static void print_gaps(const struct taken *taken)
{
	unsigned int gaps = 0;

	printf(",\"gaps\":[");
	for (uint64_t i = 0; i < taken->next && gaps < 20; i++) {
		const uint64_t from = i;

		while (i < taken->next && !(taken->seen[i / 8] & 1 << i % 8))
			i++;
		if (i > from)
			printf("%s[%" PRIu64 ",%" PRIu64 "]", gaps++ ? "," : "", from, i - from);
	}
	printf("]}\n");
}

/* How many packets were sent, as the standard input says; 0: it does not say. */
static uint64_t read_sent(void)
{
	char line[32];

	return fgets(line, sizeof(line), stdin) ? strtoull(line, NULL, 10) : 0;
}

/* Nothing has come for a while after the end was told, silences times. */
static bool is_complete(const struct taken *taken, unsigned int silences)
{
	static uint64_t sent;

	if (silences == 1)
		sent = read_sent();
	return taken->unique >= sent || silences >= SILENCES_MAX;
}

static int do_take(const char *address, const char *port)
{
	static uint8_t buffers[BATCH][PAYLOAD + 1];
	const struct sockaddr_in local = address_of(address, port);
	const struct timeval patience = {.tv_usec = PATIENCE_US};
	struct taken taken = {.seen = calloc(1, NUMBERS_MAX / 8)};
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	unsigned int silences = 0;
	int fd = open_socket(SOCK_DGRAM, 0);

	if (!taken.seen)
		die("memory");
	if (bind(fd, (const struct sockaddr *)&local, sizeof(local)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die(address);
	fprintf(stderr, "ready\n");
	for (;;) {
		int count;

		memset(messages, 0, sizeof(messages));
		for (unsigned int i = 0; i < BATCH; i++) {
			pieces[i] = (struct iovec){buffers[i], sizeof(buffers[i])};
			messages[i].msg_hdr.msg_iov = &pieces[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		if (count < 0 && errno != EAGAIN && errno != EINTR)
			die("recvmmsg");
		if (count < 0 && errno == EAGAIN && is_stopped && is_complete(&taken, ++silences))
			break;
		for (int i = 0; i < count; i++)
			take_one(&taken, buffers[i], messages[i].msg_len);
	}
	printf("{\"received\":%" PRIu64 ",\"unique\":%" PRIu64 ",\"reordered\":%" PRIu64
	       ",\"next\":%" PRIu64,
	       taken.received, taken.unique, taken.reordered, taken.next);
	print_gaps(&taken);
	free(taken.seen);
	return 0;
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_signal};
	int option;
	char **word;

	while ((option = getopt(argc, argv, "+b:")) != -1) {
		if (option != 'b')
			return 2;
		bind_address = optarg;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	word = argv + optind;
	argc -= optind;
	if (argc == 4 && !strcmp(word[0], "send"))
		return do_send(word[1], word[2], strtod(word[3], NULL));
	if (argc == 3 && !strcmp(word[0], "take"))
		return do_take(word[1], word[2]);
	if (argc == 5 && !strcmp(word[0], "forge"))
		return do_forge(word[1], word[2], word[3], strtod(word[4], NULL));
	fprintf(stderr, "usage: stream [-b ADDRESS] send ADDRESS PORT RATE\n"
			"       stream take ADDRESS PORT\n"
			"       stream forge OUTER INNER PORT RATE\n");
	return 2;
}
