/* SPDX-License-Identifier: Apache-2.0 */
/* Filters in tcpdump's language (pcap-filter(7)), for bare IPv4 packets. */
#ifndef CV_CLI_FILTER_H
#define CV_CLI_FILTER_H

#include "cli/sighting.h"
#include "tunnel/error.h"

struct cv_filter;

/* Compile words, joined by spaces. 0 or -EINVAL with libpcap's words. The caller owns *ret_filter.
 */
int cv_filter_create(const char *const *words, size_t count, struct cv_filter **ret_filter,
		     struct cv_error *error);
void cv_filter_destroy(struct cv_filter *filter);

/* Whether the outer or the inner packet matches; a filter that is NULL lets all pass. */
bool cv_filter_matches(const struct cv_filter *filter, const struct cv_sighting *sighting);

/* Whether a filter may begin with this word: tells it from a misspelt tunnel. */
bool cv_filter_may_begin(const char *word);

#endif
