/* SPDX-License-Identifier: Apache-2.0 */
/* Durations: a sum of numbers with units, each at most once, larger ones first. */
#include "model/duration.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t ms;
} units[] = {
	{"h", 3600000},
	{"m", 60000},
	{"s", 1000},
	{"ms", 1},
};

enum {
	UNITS = sizeof(units) / sizeof(units[0]),
	DIGITS_MAX = 10, /* of a number, those behind the point among them */
};

/* "1.5": 15 and 10. The digits end at *p. */
static bool parse_number(const char **p, uint64_t *ret_value, uint64_t *ret_divisor)
{
	unsigned int digits = 0;
	bool has_point = false;

	*ret_value = 0;
	*ret_divisor = 1;
	for (; isdigit((unsigned char)**p) || (**p == '.' && digits && !has_point); ++*p) {
		if (**p == '.') {
			has_point = true;
			continue;
		}
		if (++digits > DIGITS_MAX)
			return false;
		*ret_value = *ret_value * 10 + (uint64_t)(**p - '0');
		if (has_point)
			*ret_divisor *= 10;
	}
	return digits && (*p)[-1] != '.';
}

/* The unit that p begins with, among those from the first on; UNITS: none. */
static size_t find_unit(const char *p, size_t first)
{
	size_t length = strspn(p, "hms");

	for (size_t i = first; i < UNITS; i++) {
		if (strlen(units[i].name) == length && !strncmp(units[i].name, p, length))
			return i;
	}
	return UNITS;
}

bool cv_duration_parse(const char *text, uint32_t *ret_ms)
{
	uint64_t sum = 0, value, divisor;
	size_t next = 0;

	if (!strcmp(text, "0")) {
		*ret_ms = 0;
		return true;
	}
	if (!*text)
		return false;
	for (const char *p = text; *p; p += strlen(units[next++].name)) {
		if (!parse_number(&p, &value, &divisor))
			return false;
		next = find_unit(p, next);
		if (next == UNITS || value * units[next].ms % divisor)
			return false;
		sum += value * units[next].ms / divisor;
		if (sum > UINT32_MAX)
			return false;
	}
	*ret_ms = (uint32_t)sum;
	return true;
}

const char *cv_duration_format(uint32_t ms, char buffer[CV_DURATION_TEXT_MAX])
{
	size_t length = 0;

	snprintf(buffer, CV_DURATION_TEXT_MAX, "0s"); /* unless it is more */
	for (size_t i = 0; i < UNITS; i++) {
		uint32_t count = ms / units[i].ms;

		ms %= units[i].ms;
		if (count)
			length += (size_t)snprintf(buffer + length, CV_DURATION_TEXT_MAX - length,
						   "%u%s", count, units[i].name);
	}
	return buffer;
}
