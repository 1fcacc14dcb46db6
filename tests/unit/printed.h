/* SPDX-License-Identifier: Apache-2.0 */
/* What `culvert` prints for an answer of culvertd's. */
#ifndef CV_TESTS_PRINTED_H
#define CV_TESTS_PRINTED_H

#include <jansson.h>

/* What print writes to standard output for this answer, JSON. The caller frees it. */
char *printed(void (*print)(const json_t *result), const char *json);

/* It writes just that text. */
void prints(void (*print)(const json_t *result), const char *json, const char *text);

#endif
