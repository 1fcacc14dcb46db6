/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes pcapng files (draft-ietf-opsawg-pcapng): one section in the host's byte order, bare IP
 * packets (LINKTYPE_RAW), time in nanoseconds.
 */
#ifndef CV_CLI_PCAPNG_H
#define CV_CLI_PCAPNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct cv_pcapng;

struct cv_pcapng_packet {
	uint32_t interface;
	uint64_t time_ns; /* since 1970 */
	uint32_t captured;
	uint32_t length; /* before it was cut off */
	const uint8_t *bytes;
	bool outbound;
	uint64_t lost; /* packets lost between this one and the one before; 0: not said */
	const char *comment;
};

/*
 * Begin a file: written to file, which stays the caller's, and through its buffer; errors show in
 * ferror(file). snap: bytes of a packet at most, 262144 at most. NULL without memory. The caller
 * owns it.
 */
struct cv_pcapng *cv_pcapng_create(FILE *file, uint32_t snap);
void cv_pcapng_destroy(struct cv_pcapng *pcapng);

/* Add an interface; returns its number, from 0. */
uint32_t cv_pcapng_interface(struct cv_pcapng *pcapng, const char *name, const char *description);

void cv_pcapng_packet(struct cv_pcapng *pcapng, const struct cv_pcapng_packet *packet);

/* What was seen on an interface in all; lost: by this program and those before it. */
void cv_pcapng_statistics(struct cv_pcapng *pcapng, uint32_t interface, uint64_t time_ns,
			  uint64_t packets, uint64_t lost);

#endif
