/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of TCP-MD5: read, and watched. They are of the network namespace since it is there:
 * what was counted when a password was changed weeks ago says nothing of a session that is down
 * today. Who has a wrong password tries again, BIRD every 5 s and others within 120 s, so that its
 * counter grows.
 */
#include "agent/bgp_md5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ------------------------------------------------------------------------------ */

static void take_counter(const char *name, const char *value, struct cv_bgp_md5 *md5)
{
	if (!strcmp(name, "TCPMD5NotFound"))
		md5->not_found = strtoull(value, NULL, 10);
	else if (!strcmp(name, "TCPMD5Unexpected"))
		md5->unexpected = strtoull(value, NULL, 10);
	else if (!strcmp(name, "TCPMD5Failure"))
		md5->failure = strtoull(value, NULL, 10);
}

/* Two lines, "TcpExt: NAME …" and "TcpExt: VALUE …", word by word. */
static void take_lines(char *names, char *values, struct cv_bgp_md5 *md5)
{
	char *next_name, *next_value;
	const char *name = strtok_r(names, " \n", &next_name);
	const char *value = strtok_r(values, " \n", &next_value);

	while (name && value) {
		take_counter(name, value, md5);
		name = strtok_r(NULL, " \n", &next_name);
		value = strtok_r(NULL, " \n", &next_value);
	}
}

void cv_bgp_md5_parse(const char *text, struct cv_bgp_md5 *ret_md5)
{
	char *copy = strdup(text), *next, *names = NULL;

	*ret_md5 = (struct cv_bgp_md5){.failure = 0};
	for (char *line = copy ? strtok_r(copy, "\n", &next) : NULL; line;
	     line = strtok_r(NULL, "\n", &next)) {
		if (strncmp(line, "TcpExt:", 7) != 0)
			continue;
		if (names) {
			take_lines(names, line, ret_md5);
			break;
		}
		names = line;
	}
	free(copy);
}

void cv_bgp_md5_read(struct cv_bgp_md5 *ret_md5)
{
	FILE *file = fopen("/proc/net/netstat", "re");
	char text[16384];
	size_t size = 0;

	if (file) {
		size = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
	}
	text[size] = '\0';
	cv_bgp_md5_parse(text, ret_md5);
}

/* ---- watching ----------------------------------------------------------------------------- */

static void take(struct cv_bgp_md5_counter *counter, uint64_t now, int64_t now_us)
{
	if (now > counter->last)
		counter->grown_us = now_us;
	else if (now < counter->last || now_us - counter->grown_us > CV_BGP_MD5_RECENT_US)
		counter->base = now;
	counter->last = now;
}

void cv_bgp_md5_watch(struct cv_bgp_md5_watch *watch, const struct cv_bgp_md5 *now, int64_t now_us)
{
	/* When it grew, nobody has seen. */
	if (!watch->is_begun || now_us - watch->seen_us > CV_BGP_MD5_RECENT_US)
		*watch = (struct cv_bgp_md5_watch){
			.is_begun = true,
			.not_found = {now->not_found, now->not_found, now_us},
			.unexpected = {now->unexpected, now->unexpected, now_us},
			.failure = {now->failure, now->failure, now_us},
		};
	watch->seen_us = now_us;
	take(&watch->not_found, now->not_found, now_us);
	take(&watch->unexpected, now->unexpected, now_us);
	take(&watch->failure, now->failure, now_us);
}

void cv_bgp_md5_recent(const struct cv_bgp_md5_watch *watch, struct cv_bgp_md5 *ret_md5)
{
	*ret_md5 = (struct cv_bgp_md5){
		.not_found = watch->not_found.last - watch->not_found.base,
		.unexpected = watch->unexpected.last - watch->unexpected.base,
		.failure = watch->failure.last - watch->failure.base,
	};
}
