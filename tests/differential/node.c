/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's wires, its counters, and the normal form of its packets.
 *
 * The normal form, each with its reason:
 * - super-packets are cut and checksums left to an offload are filled in: they are how packets
 *   travel inside one host, not what they are; by the project's own segmenter, which
 *   tests/packet/kernel_offload.c compares with the kernel's;
 * - link-layer padding is trimmed: a device adds it, a device removes it;
 * - the outer identification is 0 with DF (RFC 6864, 4.1: it means nothing), and without DF, too,
 * but it is checked there that none comes twice within ID_DISTANCE packets to one destination;
 * - so is that of ICMP errors that the node makes: the kernel draws it at random;
 * - ICMP errors about options of outer packets are left out: without fast path the host's stack
 *   sees outer packets, too, and sends them;
 * - of ICMP errors that the node makes to somebody behind several next hops, the outer destination
 *   is not compared: the kernel chooses by what they quote, for which the engine cannot ask.
 */
#include "node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <jansson.h>

#include "engine/segment.h"
#include "wire/ipv4.h"

enum {
	MARKER_PORT = 0xd1ff,
	MARKERS = 11,
	ROUNDS = 2, /* of markers: what the first ones have set off comes before the second */
	WAIT_MS = 3000,
	QUIET_MS = 1,
	BATCH = 32,
};

/* ---- opening ---- */

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(path);
	close(fd);
}

static int open_wire(const char *path)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	int one = 1, buffer = 64 << 20, fd;

	enter(path);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	address.sll_protocol = htons(ETH_P_ALL);
	address.sll_ifindex = (int)if_nametoindex("eth0");
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		die("packet socket");
	return fd;
}

static int open_control(const char *run_dir)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/culvertd.sock", run_dir);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		die(address.sun_path);
	return fd;
}

struct node *node_open(const char *text)
{
	struct node *node = calloc(1, sizeof(*node));
	char copy[1024], *rest = copy;
	const char *word[5];

	if (!node)
		die("memory");
	snprintf(copy, sizeof(copy), "%s", text);
	for (unsigned int i = 0; i < 5; i++) {
		word[i] = strsep(&rest, ":");
		if (!word[i])
			die(text);
	}
	snprintf(node->name, sizeof(node->name), "%s", word[0]);
	node->has_endpoints = !strcmp(word[0], "endpoints");
	node->wires[WIRE_UNDERLAY] = open_wire(word[1]);
	node->wires[WIRE_POD] = open_wire(word[2]);
	enter(word[3]);
	node->raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (node->raw < 0)
		die("raw socket");
	node->control = open_control(word[4]);
	node->answers = fdopen(dup(node->control), "r");
	if (!node->answers)
		die("control socket");
	return node;
}

/* ---- counters ---- */

static void tally_add(struct tally *tally, const char *owner, const char *name, int64_t value)
{
	if (tally->count == TALLY_MAX)
		return;
	snprintf(tally->items[tally->count].name, sizeof(tally->items[0].name), "%s %s", owner,
		 name);
	tally->items[tally->count++].value = value;
}

static void tally_json(struct tally *tally, const char *owner, json_t *counters)
{
	const char *key;
	json_t *value;

	json_object_foreach(counters, key, value)
	{
		if (json_is_object(value))
			tally_json(tally, owner, value);
		else
			tally_add(tally, owner, key, json_integer_value(value));
	}
}

static json_t *ask(struct node *node, const char *question)
{
	static char *line;
	static size_t size;
	json_t *answer;

	if (write(node->control, question, strlen(question)) < 0 ||
	    getline(&line, &size, node->answers) <= 0)
		die("culvertd has gone");
	answer = json_loads(line, 0, NULL);
	if (!json_is_true(json_object_get(answer, "ok")))
		die(line);
	return answer;
}

static void tally_read(struct node *node, struct tally *ret)
{
	json_t *answer = ask(node, "{\"version\": 1, \"command\": \"status\"}\n");
	json_t *tunnel;
	size_t i;

	ret->count = 0;
	tally_json(ret, "-", json_object_get(json_object_get(answer, "result"), "counters"));
	json_decref(answer);
	answer = ask(node, "{\"version\": 1, \"command\": \"tunnel.show\", \"counters\": true}\n");
	json_array_foreach(json_object_get(json_object_get(answer, "result"), "tunnels"), i, tunnel)
		tally_json(ret,
			   json_string_value(
				   json_object_get(json_object_get(tunnel, "config"), "name")),
			   json_object_get(tunnel, "counters"));
	json_decref(answer);
}

static bool tally_equal(const struct tally *a, const struct tally *b)
{
	for (unsigned int i = 0; i < a->count && i < b->count; i++) {
		if (a->items[i].value != b->items[i].value)
			return false;
	}
	return a->count == b->count;
}

/* ---- what comes out ---- */

static bool is_own(uint32_t address)
{
	return address == 0xc0a86401 || address == 0xc0a8640b || address == 0xc0a8640c ||
	       address == 0x0af40101;
}

static void note_id(struct node *node, const struct cv_ipv4 *ip)
{
	uint32_t destination = ntohl(ip->destination);
	struct id_log *log = node->ids;
	uint32_t *last;

	while (log < node->ids + ID_SLOTS - 1 && log->destination &&
	       log->destination != destination)
		log++;
	log->destination = destination;
	log->packets++;
	last = &log->last[ntohs(ip->id)];
	if (*last && log->packets - *last < ID_DISTANCE)
		snprintf(node->complaint, sizeof(node->complaint),
			 "the outer identification %u to %08x comes again after %u packets",
			 ntohs(ip->id), destination, log->packets - *last);
	*last = log->packets;
}

static bool is_marker(const uint8_t *packet, const struct cv_ipv4 *ip)
{
	const uint8_t *port = packet + ip->header_length + 2;
	struct cv_ipv4 inner;

	if (ip->protocol == CV_IPV4_PROTO_IPIP &&
	    !cv_ipv4_parse(packet + ip->header_length, ip->payload_length, &inner))
		return is_marker(packet + ip->header_length, &inner);
	return ip->protocol == CV_IPV4_PROTO_UDP && ip->payload_length >= 8 &&
	       port[0] == MARKER_PORT >> 8 && port[1] == (MARKER_PORT & 0xff);
}

/* An ICMP error that the node made: its identification means nothing to us. */
static bool blank_answer(uint8_t *packet, const struct cv_ipv4 *ip)
{
	uint8_t type;

	if (ip->protocol != CV_IPV4_PROTO_ICMP || !is_own(ntohl(ip->source)) ||
	    ip->payload_length < 8)
		return false;
	type = packet[ip->header_length];
	if ((type != 3 && type != 5 && type != 11 && type != 12))
		return false;
	cv_ipv4_set_id(packet, 0);
	return true;
}

/*
 * What the host's own stack answers to an outer packet. It sees outer packets where no fast path
 * takes them away, and answers options that it cannot read.
 */
static bool is_about_outer(const uint8_t *packet, const struct cv_ipv4 *ip)
{
	return ip->protocol == CV_IPV4_PROTO_ICMP && ip->payload_length >= 28 &&
	       packet[ip->header_length] == 12 &&
	       packet[ip->header_length + 8 + 9] == CV_IPV4_PROTO_IPIP;
}

/* Bring a packet into the normal form; false: it is of no interest. */
static bool normalise(struct node *node, struct output *output, const struct cv_ipv4 *ip)
{
	uint8_t *inner = output->bytes + ip->header_length;
	struct cv_ipv4 inner_ip;

	if (!is_own(ntohl(ip->source)))
		return true;
	if (output->wire == WIRE_UNDERLAY && is_about_outer(output->bytes, ip))
		return false;
	output->is_answer = blank_answer(output->bytes, ip);
	if (ip->protocol != CV_IPV4_PROTO_IPIP || output->wire != WIRE_UNDERLAY)
		return true;
	if (!ip->dont_fragment)
		note_id(node, ip);
	cv_ipv4_set_id(output->bytes, 0);
	if (cv_ipv4_parse(inner, ip->payload_length, &inner_ip))
		return true;
	output->is_answer = blank_answer(inner, &inner_ip);
	if (output->is_answer && ntohl(inner_ip.destination) >> 8 == 0x0af412)
		cv_ipv4_set_destination(output->bytes, 0);
	return true;
}

/* One packet, alone and whole, from the IPv4 header on. */
static void take_packet(struct node *node, enum wire wire, const uint8_t *bytes, uint32_t length)
{
	struct output *output = &node->outputs[node->count];
	struct cv_ipv4 ip = {0};
	bool is_whole = !cv_ipv4_parse(bytes, length, &ip);

	if (is_whole && is_marker(bytes, &ip)) {
		node->markers++;
		return;
	}
	if (node->count == OUTPUTS_MAX)
		return;
	if (is_whole)
		length = ip.total_length;
	*output = (struct output){.wire = wire, .length = length, .bytes = malloc(length)};
	if (!output->bytes)
		die("memory");
	memcpy(output->bytes, bytes, length);
	if (is_whole && !normalise(node, output, &ip))
		free(output->bytes);
	else
		node->count++;
}

static void take_frame(struct node *node, enum wire wire, uint8_t *buffer, uint32_t length)
{
	uint8_t *packet = buffer + sizeof(struct virtio_net_hdr) + SPEC_ETHERNET;
	static uint8_t whole[SPEC_FRAME_MAX + CV_SEGMENT_HEADER_MAX];
	struct virtio_net_hdr vnet;
	struct cv_segmenter segmenter;
	struct cv_segment segment;
	struct cv_ipv4 ip;

	if (length < sizeof(vnet) + SPEC_ETHERNET || packet[-2] != 8 || packet[-1])
		return;
	length -= (uint32_t)sizeof(vnet) + SPEC_ETHERNET;
	memcpy(&vnet, buffer, sizeof(vnet));
	vnet.csum_start = (uint16_t)(vnet.csum_start - SPEC_ETHERNET);
	if ((!vnet.flags && !vnet.gso_type) || cv_ipv4_parse(packet, length, &ip) ||
	    cv_segment_init(&segmenter, &vnet, packet, &ip)) {
		take_packet(node, wire, packet, length);
		return;
	}
	while (cv_segment_next(&segmenter, whole, &segment)) {
		memcpy(whole + segment.header_length, segment.payload, segment.payload_length);
		take_packet(node, wire, whole, segment.header_length + segment.payload_length);
	}
}

static void take_wire(struct node *node, enum wire wire)
{
	static uint8_t buffer[sizeof(struct virtio_net_hdr) + SPEC_ETHERNET + SPEC_FRAME_MAX];
	ssize_t length;

	while ((length = recv(node->wires[wire], buffer, sizeof(buffer), 0)) > 0)
		take_frame(node, wire, buffer, (uint32_t)length);
}

static bool take_all(struct node *node, int timeout_ms)
{
	struct pollfd fds[WIRE_MAX] = {
		{.fd = node->wires[WIRE_UNDERLAY], .events = POLLIN},
		{.fd = node->wires[WIRE_POD], .events = POLLIN},
	};

	if (poll(fds, WIRE_MAX, timeout_ms) <= 0)
		return false;
	take_wire(node, WIRE_UNDERLAY);
	take_wire(node, WIRE_POD);
	return true;
}

/* ---- sending ---- */

void node_send(struct node *node, const struct spec *spec, const struct frame *frames,
	       unsigned int count)
{
	bool in = spec->value[F_DIRECTION] == DIRECTION_IN;
	struct sockaddr_in to = {.sin_family = AF_INET};

	for (unsigned int i = 0; i < count; i++) {
		const struct frame *frame = &frames[i];
		struct iovec iov[2] = {
			{(void *)(uintptr_t)&frame->vnet, sizeof(frame->vnet)},
			{(void *)(uintptr_t)frame->bytes, frame->length},
		};

		if (spec->value[F_DIRECTION] != DIRECTION_LOCAL) {
			/* What a wire does not take (too long, offloads beyond it) no node gets. */
			while (writev(node->wires[in ? WIRE_UNDERLAY : WIRE_POD], iov, 2) < 0 &&
			       (errno == EAGAIN || errno == ENOBUFS))
				usleep(100);
			continue;
		}
		to.sin_addr.s_addr = htonl((uint32_t)spec->value[F_INNER_DESTINATION]);
		sendto(node->raw, frame->bytes, frame->length, 0, (const struct sockaddr *)&to,
		       sizeof(to));
	}
}

void node_begin(struct node *node)
{
	while (take_all(node, 0))
		;
	for (unsigned int i = 0; i < node->count; i++)
		free(node->outputs[i].bytes);
	node->count = 0;
	node->markers = 0;
	node->complaint[0] = '\0';
	if (node->after.count)
		node->before = node->after;
	else
		tally_read(node, &node->before);
}

/*
 * Packets with options: every node's engine gets them, behind all others that it was given: one by
 * its packet socket and, through each tunnel, one by the tunnel's device.
 */
static void send_markers(struct node *node)
{
	static const uint8_t nets[MARKERS - 1] = {2, 3, 4, 5, 6, 7, 8, 9, 16, 20};
	static struct frame frame;
	struct spec spec;

	for (unsigned int i = 0; i < MARKERS; i++) {
		spec_default(&spec);
		spec.value[F_DESTINATION_PORT] = MARKER_PORT;
		spec.value[F_OUTER_OPTIONS] = spec.value[F_INNER_OPTIONS] = 1;
		if (i < MARKERS - 1) {
			spec.value[F_DIRECTION] = DIRECTION_OUT;
			spec.value[F_INNER_SOURCE] = 0x0af40102;
			spec.value[F_INNER_DESTINATION] = 0x0af40002 | nets[i] << 8;
		}
		spec_build(&spec, &frame);
		node_send(node, &spec, &frame, 1);
	}
}

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool node_finish(struct node *node)
{
	static struct tally tally;
	int64_t until = clock_ms() + WAIT_MS;

	for (unsigned int i = 1; i <= ROUNDS; i++) {
		send_markers(node);
		while (node->markers < i * MARKERS && clock_ms() < until)
			take_all(node, QUIET_MS);
	}
	tally_read(node, &node->after);
	do {
		tally = node->after;
		while (take_all(node, QUIET_MS))
			;
		tally_read(node, &node->after);
	} while (!tally_equal(&tally, &node->after) && clock_ms() < until);
	return node->markers == ROUNDS * MARKERS;
}
