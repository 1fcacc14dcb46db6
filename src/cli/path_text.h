/* SPDX-License-Identifier: Apache-2.0 */
/* Paths to remote ends, as people read them, and what has changed between two looks. */
#ifndef CV_CLI_PATH_TEXT_H
#define CV_CLI_PATH_TEXT_H

#include <jansson.h>
#include <stdbool.h>

/* The table, and what is wrong, of the result of `path`; is_wide: with what probes cost. */
void cv_path_text_print(const json_t *result, bool is_wide);

enum {
	CV_PATH_TEXT_AGE_MAX = 24
};

/* "12s", "5m12s", "3h5m", "4d3h". Returns buffer. */
const char *cv_path_text_age(double seconds, char buffer[CV_PATH_TEXT_AGE_MAX]);

/*
 * Compare two PATHs of the same remote; NULL: it is not there (before, or any more). The names of
 * what has changed, a list that the caller owns; empty: nothing that anybody watches for.
 */
json_t *cv_path_text_changes(const json_t *before, const json_t *after);

/*
 * "culvert0 192.168.200.2 (b1): mtu 1500 -> 1400 (probe), state complete -> search", without a
 * newline. The caller frees it; NULL without memory.
 */
char *cv_path_text_change(const json_t *before, const json_t *after, const json_t *changes);

/* The PATHs of a list by "TUNNEL REMOTE", which is theirs alone; the caller's. NULL: no memory. */
json_t *cv_path_text_index(const json_t *paths);

#endif
