/* SPDX-License-Identifier: Apache-2.0 */
/* One record of a capture, understood: which packets it shows and what became of them. */
#ifndef CV_CLI_SIGHTING_H
#define CV_CLI_SIGHTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"

enum {
	CV_SIGHTING_TEXT_MAX = 512
};

struct cv_sighting_packet {
	const uint8_t *bytes; /* from the IPv4 header on; NULL: there is none */
	uint32_t captured;
	uint32_t length; /* before it was cut off */
};

struct cv_sighting {
	const struct cv_fp_capture *record;
	const char *tunnel; /* name, "" if it belongs to none */
	uint64_t time_ns;   /* real time, since 1970 */
	bool outbound;
	struct cv_sighting_packet outer;
	struct cv_sighting_packet inner;
};

/* Look into a record; everything pointed to is the caller's, and ret_sighting is valid as long. */
void cv_sighting_read(struct cv_sighting *ret_sighting, const struct cv_fp_capture *record,
		      const uint8_t *packet, const char *tunnel, int64_t clock_offset_ns);

/* For a file: path, verdict, reason, hook; "culvert: engine, encapsulated; hook engine-out". */
void cv_sighting_comment(const struct cv_sighting *sighting,
			 char ret_text[static CV_SIGHTING_TEXT_MAX]);

/* For people: one line, without its newline. */
void cv_sighting_line(const struct cv_sighting *sighting,
		      char ret_text[static CV_SIGHTING_TEXT_MAX]);

/* For programs; the caller owns it. */
json_t *cv_sighting_to_json(const struct cv_sighting *sighting);

#endif
