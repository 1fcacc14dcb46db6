/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces for unit tests that talk to the real kernel. They are anonymous: the
 * kernel removes them, with all that is in them, when the test's process ends.
 */
#ifndef CV_TEST_NETNS_H
#define CV_TEST_NETNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

/* True when this process may make namespaces; else the TAP line that skips all is printed. */
bool cv_netns_available(void);

/* Move into a new, empty namespace with its loopback up. The one left vanishes if unused. */
void cv_netns_enter_new(void);

/*
 * The same, with two underlays, up: v0 (192.0.2.1/24, with v1 at its other end) and w0
 * (203.0.113.1/24, with w1). Their interface indexes go to ret_v0 and ret_w0.
 */
void cv_netns_enter_underlays(int *ret_v0, int *ret_w0);

/* A descriptor of the namespace we are in, for cv_netns_switch. The caller closes it. */
int cv_netns_open_current(void);
void cv_netns_switch(int fd);

/* Run a shell command here, fail the test unless it succeeds. printf-like. */
void cv_sh(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, to ask: its exit code. */
int cv_sh_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Write to /proc/sys/PATH of this namespace. False when there is no such setting. */
bool cv_sysctl(const char *path, const char *value);

/*
 * Wait until a device can send. The kernel notices a peer's carrier a moment after `ip` has
 * returned, and drops what is sent before.
 */
void cv_wait_running(const char *device);

/* An address from its text. */
__be32 cv_addr(const char *text);

/*
 * Two namespaces: near, where the test runs, with device a0 (192.0.2.1/24, MAC 02:..:0a),
 * and far with b0 (192.0.2.2/24, MAC 02:..:0b), which routes 198.51.100.0/24.
 *
 *     near: a0 192.0.2.1 ---- b0 192.0.2.2 :far     198.51.100.0/24 via 192.0.2.2
 */
struct cv_pair {
	int near;
	int far;
	int near_ifindex;
	int far_ifindex;
	int far_socket; /* AF_PACKET of b0, all frames, with 2 s of patience */
};

extern const unsigned char cv_pair_near_mac[6];
extern const unsigned char cv_pair_far_mac[6];

void cv_pair_create(struct cv_pair *pair);
void cv_pair_destroy(struct cv_pair *pair);

/* Put the veth between the namespaces again, after it has been deleted. */
void cv_pair_connect(struct cv_pair *pair);

/* Send one frame from far: to, type IPv4, then packet. */
void cv_pair_send(const struct cv_pair *pair, const unsigned char to[6], const void *packet,
		  size_t length);

/*
 * The next IPv4 packet of the protocol that arrives on b0, without its link header.
 * Returns its length, 0 when none comes within the time.
 */
size_t cv_pair_receive(const struct cv_pair *pair, uint8_t protocol, void *buffer, size_t size,
		       int timeout_ms);

/* Write an IPv4 header without options, its checksum filled in. payload: its length. */
void cv_put_ipv4(unsigned char *at, uint8_t protocol, __be32 source, __be32 destination,
		 uint16_t payload);

/* RFC 1071. */
uint16_t cv_test_checksum(const void *data, size_t length);

/* A UDP packet in an IPv4 packet in an IPv4 packet. Returns its length. */
size_t cv_put_ipip_udp(unsigned char *at, const char *outer_source, const char *outer_destination,
		       uint16_t port, uint16_t payload);

#endif
