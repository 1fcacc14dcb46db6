/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of the nodes that stand side by side: packets are put on its wires, and what comes out, and
 * what was counted, is taken.
 *
 *     pod0's far end ── pod0 NODE eth0 ── eth0's far end
 *
 * Link-layer addresses, the same at every node: eth0 02::01, its far end 02::02, pod0 02::03, its
 * far end 02::04.
 */
#ifndef CV_TEST_NODE_H
#define CV_TEST_NODE_H

#include "spec.h"

enum wire {
	WIRE_UNDERLAY,
	WIRE_POD,
	WIRE_MAX
};

/* An IPv4 packet that the node sent, as it is compared: node.c says what was normalised. */
struct output {
	enum wire wire;
	bool is_answer; /* an ICMP error that the node itself made */
	uint32_t length;
	uint8_t *bytes;
};

enum {
	OUTPUTS_MAX = 16384,
	TALLY_MAX = 2048,
	ID_SLOTS = 32,
	ID_DISTANCE = 16000, /* packets to one destination before an identification comes again */
};

/* Counters by name: "tun0 bad-checksum". */
struct tally {
	unsigned int count;
	struct {
		char name[48];
		int64_t value;
	} items[TALLY_MAX];
};

/* Outer identifications of packets that may be fragmented (RFC 6864). */
struct id_log {
	uint32_t destination;
	uint32_t packets;
	uint32_t last[65536]; /* packet number + 1 */
};

struct node {
	char name[16];
	bool has_endpoints;
	int wires[WIRE_MAX]; /* packet sockets at the far ends */
	int raw;
	int control;
	FILE *answers;
	struct tally before, after;
	unsigned int count;
	struct output outputs[OUTPUTS_MAX];
	unsigned int markers; /* that came out since the batch began */
	struct id_log ids[ID_SLOTS];
	char complaint[256]; /* "": nothing is wrong with the node's packets by themselves */
};

/* NAME:PATH:PATH:PATH:DIR: namespaces of eth0's far end, pod0's, the node; the run directory. */
struct node *node_open(const char *text);

/* Send the frames of a packet. */
void node_send(struct node *node, const struct spec *spec, const struct frame *frames,
	       unsigned int count);

/* Forget what came out, and what was counted, up to now. */
void node_begin(struct node *node);

/*
 * Send the markers and wait until all that was sent before is done with: they came out, nothing
 * else comes, no counter moves. False: they did not come out.
 */
bool node_finish(struct node *node);

#endif
