/* SPDX-License-Identifier: Apache-2.0 */
/* What BIRD's configuration is written with: items of sets, strings. For bird_*.c. */
#ifndef CV_ROUTING_BIRD_TEXT_H
#define CV_ROUTING_BIRD_TEXT_H

#include <stdio.h>

#include "net/prefix.h"

/* Items of a set, with commas and line breaks between them. Begin with zeroes. */
struct cv_bird_list {
	FILE *out;
	size_t count;
};
void cv_bird_put_prefix(struct cv_bird_list *list, const struct cv_prefix *prefix,
			const char *pattern);
/* All addresses of a prefix: for sets of addresses. */
void cv_bird_put_range(struct cv_bird_list *list, const struct cv_prefix *prefix);
void cv_bird_put_address(struct cv_bird_list *list, __be32 address);

/* "TEXT" with quotes. BIRD's strings have no escapes: what could end one, and what is no printable
 * ASCII, becomes ?, which in patterns is any character. */
void cv_bird_put_string(FILE *out, const char *text);

/* The same without quotes, for comments. */
void cv_bird_put_comment(FILE *out, const char *text);

#endif
