/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe of one peer. Five sockets for some seconds:
 *
 *   echo     raw ICMP from our outer address to the peer's: the underlay's question and answer
 *   inner    raw ICMP from our tunnel address: the inner question, where the kernel's routing
 *            leads it into the pool device; and the inner answer, when it was delivered
 *   sender   complete packets of protocol 4, where the kernel would send the question plainly
 *   outer    a packet socket with a filter: an outer packet of the peer with the inner answer in
 *            it. It sees packets before the fast path takes them, and before any firewall does
 *   guard    ICMP errors about our packets of protocol 4
 *
 * An answer by protocol 4 that the outer socket sees and the inner one does not was refused on
 * this host; one that comes plainly says that the peer sends its way back directly.
 * An inner question to the peer's *outer* address is answered through the tunnel by any Linux
 * ipip end, whatever its inner addresses are (architecture.md).
 */
#include "agent/probe.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/raw.h"
#include "wire/ipv4.h"

enum {
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_ECHO_REQUEST = 8,
	ICMP_TIME_EXCEEDED = 11,
	PROTOCOL_ICMP = 1,
	PROTOCOL_IPIP = 4,
	TTL = 64,
	READS_MAX = 64, /* in one go: others want the main loop, too */
};

struct echo {
	uint8_t type, code;
	__be16 checksum;
	__be16 id, sequence;
	uint8_t data[24]; /* nobody's */
};

enum socket_kind {
	SOCKET_ECHO,
	SOCKET_INNER,
	SOCKET_OUTER,
	SOCKET_GUARD,
	SOCKET_MAX
};

struct cv_probe {
	struct cv_probe_target target;
	struct cv_probe_report report;
	uint16_t id; /* of the plain echo; the inner one has the next */
	unsigned int tries;
	int64_t sent_us[CV_PROBE_TRIES + 1]; /* by sequence number, from 1 */
	int sockets[SOCKET_MAX];
	int sender;
	struct event *readable[SOCKET_MAX];
	struct event *timer;
	void (*done)(void *context, const struct cv_probe_report *report);
	void *context;
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool is_over(const struct cv_probe *probe)
{
	const struct cv_probe_report *report = &probe->report;

	/* After an outer answer, the inner one is there at once, or never: the timer ends that. */
	return report->underlay.answer == CV_PROBE_ECHO &&
	       (!report->inner.was_asked || report->was_delivered);
}

static void end(struct cv_probe *probe)
{
	event_del(probe->timer);
	for (unsigned int i = 0; i < SOCKET_MAX; i++) {
		if (probe->readable[i])
			event_del(probe->readable[i]);
	}
	probe->done(probe->context, &probe->report);
}

/* ---- sending ----------------------------------------------------------------------------- */

static void fill_echo(struct echo *echo, uint16_t id, uint16_t sequence)
{
	*echo = (struct echo){
		.type = ICMP_ECHO_REQUEST,
		.id = cv_htons(id),
		.sequence = cv_htons(sequence),
	};
	echo->checksum = cv_checksum_fold(cv_checksum_add(echo, sizeof(*echo), 0));
}

/* An echo answered is not made worse by a later try that could not be sent. */
static void note_error(struct cv_probe_result *result, int error)
{
	if (result->answer == CV_PROBE_ECHO || result->answer == CV_PROBE_ICMP)
		return;
	result->answer = CV_PROBE_ERROR;
	result->error = error;
}

static void note_sent(struct cv_probe_result *result, int rc)
{
	result->was_asked = true;
	if (rc && rc != -EAGAIN)
		note_error(result, rc);
}

/* Whom the inner question goes to. */
static __be32 asked_inside(const struct cv_probe_target *target)
{
	return target->inner_peer ? target->inner_peer : target->peer;
}

static int send_by_hand(const struct cv_probe *probe, const struct echo *echo)
{
	const struct cv_probe_target *target = &probe->target;
	struct {
		struct cv_ipv4_header outer, inner;
		struct echo echo;
	} packet = {.echo = *echo};
	struct cv_ipv4 ip = {
		.total_length = sizeof(packet.inner) + sizeof(packet.echo),
		.source = target->inner_source,
		.destination = asked_inside(target),
		.ttl = TTL,
		.protocol = PROTOCOL_ICMP,
	};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_addr.s_addr = (CV_FORCE in_addr_t)target->peer};

	cv_ipv4_build(&packet.inner, &ip);
	ip.total_length += sizeof(packet.outer);
	ip.source = target->self;
	ip.destination = target->peer;
	ip.protocol = PROTOCOL_IPIP;
	cv_ipv4_build(&packet.outer, &ip);
	return sendto(probe->sender, &packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL,
		      (struct sockaddr *)&to, sizeof(to)) < 0
		       ? -errno
		       : 0;
}

static void send_both(struct cv_probe *probe)
{
	const struct cv_probe_target *target = &probe->target;
	uint16_t sequence = (uint16_t)++probe->tries;
	struct echo echo;

	probe->sent_us[sequence] = now_us();
	if (probe->report.underlay.answer != CV_PROBE_ECHO) {
		fill_echo(&echo, probe->id, sequence);
		note_sent(&probe->report.underlay,
			  cv_raw_send_icmp(probe->sockets[SOCKET_ECHO], target->peer, &echo,
					   sizeof(echo)));
	}
	if (!target->inner_source || probe->report.was_delivered)
		return;
	fill_echo(&echo, (uint16_t)(probe->id + 1), sequence);
	if (target->is_tunnel && target->inner_peer)
		note_sent(&probe->report.inner,
			  cv_raw_send_icmp(probe->sockets[SOCKET_INNER], target->inner_peer, &echo,
					   sizeof(echo)));
	else
		note_sent(&probe->report.inner, send_by_hand(probe, &echo));
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct cv_probe *probe = data;
	struct timeval wait;
	int wait_ms;

	(void)fd;
	(void)what;
	if (probe->tries == CV_PROBE_TRIES || is_over(probe)) {
		end(probe);
		return;
	}
	send_both(probe);
	wait_ms = probe->tries == CV_PROBE_TRIES ? CV_PROBE_PATIENCE_MS : CV_PROBE_INTERVAL_MS;
	wait = (struct timeval){.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
	event_add(probe->timer, &wait);
}

/* ---- receiving --------------------------------------------------------------------------- */

/* A packet from its IP header on: is it an echo reply of this id from the one who was asked? Then
 * its round trip, by its sequence number. */
static bool note_echo(const struct cv_probe *probe, struct cv_probe_result *result,
		      const uint8_t *packet, uint32_t length, __be32 asked, uint16_t id)
{
	struct cv_ipv4 ip;
	struct echo echo;
	uint16_t sequence;

	if (cv_ipv4_parse(packet, length, &ip) || ip.source != asked ||
	    ip.payload_length < offsetof(struct echo, data))
		return false;
	memcpy(&echo, packet + ip.header_length, offsetof(struct echo, data));
	sequence = cv_ntohs(echo.sequence);
	if (echo.type != ICMP_ECHO_REPLY || cv_ntohs(echo.id) != id || !sequence ||
	    sequence > probe->tries)
		return false;
	if (result->answer != CV_PROBE_ECHO)
		result->rtt_us = now_us() - probe->sent_us[sequence];
	result->answer = CV_PROBE_ECHO;
	return true;
}

/* A received packet from its IP header on. */
static void take(struct cv_probe *probe, enum socket_kind kind, const uint8_t *packet,
		 uint32_t length)
{
	struct cv_probe_report *report = &probe->report;
	__be32 peer = probe->target.peer, inner_peer = asked_inside(&probe->target);
	uint16_t inner_id = (uint16_t)(probe->id + 1);
	struct cv_ipv4 outer;

	if (kind == SOCKET_ECHO)
		note_echo(probe, &report->underlay, packet, length, peer, probe->id);
	else if (kind == SOCKET_INNER)
		report->was_delivered |=
			note_echo(probe, &report->inner, packet, length, inner_peer, inner_id);
	else if (kind == SOCKET_OUTER && !cv_ipv4_parse(packet, length, &outer) &&
		 outer.source == peer)
		report->came_by_protocol_4 |=
			note_echo(probe, &report->inner, packet + outer.header_length,
				  outer.payload_length, inner_peer, inner_id);
}

static void note_icmp(struct cv_probe_result *result, const struct cv_raw_error *error)
{
	if (result->answer == CV_PROBE_ECHO)
		return;
	result->answer = CV_PROBE_ICMP;
	result->type = error->type;
	result->code = error->code;
	result->offender = error->offender;
}

/* The guard's quotes begin with the outer header, of anybody's packet of protocol 4. */
static bool is_about_peer(const struct cv_probe *probe, const struct cv_raw_error *error)
{
	struct cv_ipv4 quoted;

	return !cv_ipv4_parse_header(error->quote, error->quoted, &quoted) &&
	       quoted.destination == probe->target.peer && quoted.source == probe->target.self;
}

/* A raw socket's queue has the errors about everybody's echo requests; its quotes begin with
 * them. */
static bool is_about_ours(const struct cv_raw_error *error, uint16_t id)
{
	struct echo echo;

	if (error->quoted < offsetof(struct echo, data))
		return false;
	memcpy(&echo, error->quote, offsetof(struct echo, data));
	return echo.type == ICMP_ECHO_REQUEST && cv_ntohs(echo.id) == id;
}

static void read_errors(struct cv_probe *probe, enum socket_kind kind)
{
	struct cv_raw_error error;
	int rc;

	for (unsigned int i = 0; i < READS_MAX; i++) {
		rc = cv_raw_read_error(probe->sockets[kind], &error);
		if (rc && rc != -ENOMSG)
			return;
		if (rc)
			continue;
		if (kind == SOCKET_ECHO && is_about_ours(&error, probe->id))
			note_icmp(&probe->report.underlay, &error);
		else if (kind == SOCKET_GUARD && is_about_peer(probe, &error))
			note_icmp(&probe->report.inner, &error);
		/* The engine relays what the guard is told, in RFC 2003's coarser words. */
		else if (kind == SOCKET_INNER && probe->report.inner.answer != CV_PROBE_ICMP &&
			 is_about_ours(&error, (uint16_t)(probe->id + 1)))
			note_icmp(&probe->report.inner, &error);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct cv_probe *probe = data;
	enum socket_kind kind = SOCKET_ECHO;
	uint8_t packet[512];

	(void)what;
	while (probe->sockets[kind] != fd)
		kind++;
	for (unsigned int i = 0; i < READS_MAX && kind != SOCKET_GUARD; i++) {
		ssize_t length = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (length < 0)
			break;
		take(probe, kind, packet, (uint32_t)length);
	}
	if (kind != SOCKET_OUTER)
		read_errors(probe, kind);
	if (is_over(probe))
		end(probe);
}

/* ---- sockets ------------------------------------------------------------------------------ */

static int attach(int fd, struct sock_filter *code, unsigned short length)
{
	struct sock_fprog program = {.len = length, .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

/* Echo replies of one id alone; the filter sees the IP header. */
static int open_icmp(__be32 source, uint16_t id, int *ret_fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHO_REPLY, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, offsetof(struct echo, id)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 512),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr.s_addr = (CV_FORCE in_addr_t)source};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	int on = 1, rc;

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	rc = attach(fd, code, sizeof(code) / sizeof(code[0]));
	if (!rc && bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		rc = -errno;
	if (!rc && setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) < 0)
		rc = -errno;
	return rc;
}

/* Outer packets of the peer with an inner echo reply of one id; from the IP header on. */
static int open_outer(__be32 peer, uint16_t id, int *ret_fd)
{
	enum {
		INNER = CV_IPV4_HEADER_MIN, /* the reply's own header has no options */
	};
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, cv_ntohl(peer), 0, 10),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTOCOL_IPIP, 0, 8),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTOCOL_ICMP, 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, INNER),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHO_REPLY, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, INNER + offsetof(struct echo, id)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 512),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sockaddr_ll all = {
		.sll_family = AF_PACKET,
		/* Not ETH_P_IP: that comes behind the fast path, which takes packets away. */
		.sll_protocol = cv_htons(ETH_P_ALL),
	};
	/* Protocol 0: nothing is received before the filter is there. */
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, rc;

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	(void)setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
	rc = attach(fd, code, sizeof(code) / sizeof(code[0]));
	if (!rc && bind(fd, (const struct sockaddr *)&all, sizeof(all)) < 0)
		rc = -errno;
	return rc;
}

static int open_one(int rc, int *ret_fd)
{
	if (rc < 0)
		return rc;
	*ret_fd = rc;
	return 0;
}

static int open_sockets(struct cv_probe *probe)
{
	const struct cv_probe_target *target = &probe->target;
	uint16_t inner_id = (uint16_t)(probe->id + 1);
	int rc = open_icmp(target->self, probe->id, &probe->sockets[SOCKET_ECHO]);

	if (rc || !target->inner_source)
		return rc;
	rc = open_icmp(target->inner_source, inner_id, &probe->sockets[SOCKET_INNER]);
	if (!rc)
		rc = open_outer(target->peer, inner_id, &probe->sockets[SOCKET_OUTER]);
	if (!rc)
		rc = open_one(cv_raw_open_guard(), &probe->sockets[SOCKET_GUARD]);
	if (!rc)
		rc = open_one(cv_raw_open_sender(), &probe->sender);
	return rc;
}

static int add_events(struct cv_probe *probe, struct event_base *base)
{
	static const struct timeval at_once = {.tv_sec = 0};

	for (unsigned int i = 0; i < SOCKET_MAX; i++) {
		if (probe->sockets[i] < 0)
			continue;
		probe->readable[i] = event_new(base, probe->sockets[i], EV_READ | EV_PERSIST,
					       on_readable, probe);
		if (!probe->readable[i] || event_add(probe->readable[i], NULL))
			return -ENOMEM;
	}
	probe->timer = evtimer_new(base, on_timer, probe);
	return probe->timer && !event_add(probe->timer, &at_once) ? 0 : -ENOMEM;
}

/* ---- beginning and end --------------------------------------------------------------------- */

int cv_probe_create(struct event_base *base, const struct cv_probe_target *target,
		    void (*done)(void *context, const struct cv_probe_report *report),
		    void *context, struct cv_probe **ret_probe, struct cv_error *error)
{
	struct cv_probe *probe = calloc(1, sizeof(*probe));
	int rc;

	if (!probe)
		return cv_error_set(error, -ENOMEM, "out of memory");
	probe->target = *target;
	probe->done = done;
	probe->context = context;
	probe->sender = -1;
	for (unsigned int i = 0; i < SOCKET_MAX; i++)
		probe->sockets[i] = -1;
	if (getrandom(&probe->id, sizeof(probe->id), GRND_NONBLOCK) < 0)
		probe->id = (uint16_t)now_us();
	rc = open_sockets(probe);
	if (!rc)
		rc = add_events(probe, base);
	if (rc) {
		cv_probe_destroy(probe);
		return cv_error_set(error, rc, "cannot open the sockets of a probe: %s",
				    strerror(-rc));
	}
	*ret_probe = probe;
	return 0;
}

void cv_probe_destroy(struct cv_probe *probe)
{
	if (!probe)
		return;
	for (unsigned int i = 0; i < SOCKET_MAX; i++) {
		if (probe->readable[i])
			event_free(probe->readable[i]);
		if (probe->sockets[i] >= 0)
			close(probe->sockets[i]);
	}
	if (probe->timer)
		event_free(probe->timer);
	if (probe->sender >= 0)
		close(probe->sender);
	free(probe);
}

/* RFC 792; RFC 1812, 5.2.7.1. */
const char *cv_probe_icmp_text(uint8_t type, uint8_t code)
{
	static const char *const unreachable[] = {
		"network unreachable",
		"host unreachable",
		"protocol unreachable",
		"port unreachable",
		"fragmentation needed",
		"source route failed",
		"network unknown",
		"host unknown",
		"source host isolated",
		"network administratively prohibited",
		"host administratively prohibited",
		"network unreachable for this TOS",
		"host unreachable for this TOS",
		"communication administratively prohibited",
	};

	if (type == ICMP_UNREACHABLE && code < sizeof(unreachable) / sizeof(unreachable[0]))
		return unreachable[code];
	if (type == ICMP_TIME_EXCEEDED)
		return "time to live exceeded, a routing loop perhaps";
	return "an ICMP error";
}
