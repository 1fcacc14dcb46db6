/* SPDX-License-Identifier: Apache-2.0 */
/* Filters by libpcap. */
#include "cli/filter.h"

#include <ctype.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control.h"

struct cv_filter {
	struct bpf_program program;
};

static int join(const char *const *words, size_t count, char **ret_text)
{
	size_t size = 1;
	char *end;

	for (size_t i = 0; i < count; i++)
		size += strlen(words[i]) + 1;
	*ret_text = end = malloc(size);
	if (!end)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (i)
			*end++ = ' ';
		end = stpcpy(end, words[i]);
	}
	*end = '\0';
	return 0;
}

static int compile(const char *text, struct bpf_program *ret_program, struct cv_error *error)
{
	pcap_t *pcap = pcap_open_dead(DLT_RAW, CV_CONTROL_CAPTURE_SNAP_MAX);
	int rc = 0;

	if (!pcap)
		return cv_error_set(error, -ENOMEM, "out of memory");
	if (pcap_compile(pcap, ret_program, text, 1, PCAP_NETMASK_UNKNOWN))
		rc = cv_error_set(error, -EINVAL, "the filter \"%.128s\": %s; see pcap-filter(7)",
				  text, pcap_geterr(pcap));
	pcap_close(pcap);
	return rc;
}

int cv_filter_create(const char *const *words, size_t count, struct cv_filter **ret_filter,
		     struct cv_error *error)
{
	struct cv_filter *filter = calloc(1, sizeof(*filter));
	char *text = NULL;
	int rc;

	if (!filter || join(words, count, &text)) {
		free(filter);
		return cv_error_set(error, -ENOMEM, "out of memory");
	}
	rc = compile(text, &filter->program, error);
	free(text);
	if (rc) {
		free(filter);
		return rc;
	}
	*ret_filter = filter;
	return 0;
}

void cv_filter_destroy(struct cv_filter *filter)
{
	if (!filter)
		return;
	pcap_freecode(&filter->program);
	free(filter);
}

static bool matches(const struct cv_filter *filter, const struct cv_sighting_packet *packet)
{
	const struct pcap_pkthdr header = {
		.caplen = packet->captured,
		.len = packet->length,
	};

	return packet->bytes && pcap_offline_filter(&filter->program, &header, packet->bytes);
}

bool cv_filter_matches(const struct cv_filter *filter, const struct cv_sighting *sighting)
{
	return !filter || matches(filter, &sighting->inner) || matches(filter, &sighting->outer);
}

bool cv_filter_may_begin(const char *word)
{
	/* pcap-filter(7): what primitives begin with. A bare host name is not among them. */
	static const char *const beginnings[] = {
		"arp",	"broadcast", "decnet", "dst",	    "ether",	  "gateway", "greater",
		"host", "icmp",	     "icmp6",  "igmp",	    "igrp",	  "inbound", "ip",
		"ip6",	"len",	     "less",   "multicast", "net",	  "not",     "outbound",
		"pim",	"port",	     "proto",  "portrange", "protochain", "rarp",    "sctp",
		"src",	"tcp",	     "udp",    "vrrp",	    "ah",	  "esp",     "carp",
	};

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		if (!strcmp(word, beginnings[i]))
			return true;
	}
	/* An address, a number, a parenthesis, an operator, or several words in one. */
	return !isalpha((unsigned char)*word) || strpbrk(word, " \t([<>=!&|");
}
