/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON in its compact form into a growing text; and turning such a text into YAML. */
#ifndef CV_MODEL_JSON_H
#define CV_MODEL_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "model/yaml.h"

/* Zeroed: empty. cv_text_fini frees. Without memory it fails once and for all, and stays failed. */
struct cv_text {
	char *data; /* NUL-terminated once something was added */
	size_t length;
	size_t capacity;
	bool has_failed;
};

void cv_text_add(struct cv_text *text, const char *data, size_t length);
void cv_text_puts(struct cv_text *text, const char *string);
void cv_text_fini(struct cv_text *text);

/* Take the text over, cut to its size; NULL without memory. text is empty afterwards. */
char *cv_text_take(struct cv_text *text);

/*
 * A string with its quotes. What YAML could not take as it stands inside of quotes is written as
 * \u…, so that it is both JSON and YAML.
 */
void cv_json_string(struct cv_text *text, const char *string);

/* "KEY":, with a comma before it unless the object has just begun. */
void cv_json_key(struct cv_text *text, const char *key);
void cv_json_integer(struct cv_text *text, long long value);

/*
 * A node and what is below it: numbers, booleans and null stay what they are; keys are sorted.
 */
void cv_json_node(struct cv_text *text, const struct cv_yaml_node *node);

/*
 * Turn a compact JSON text, as these functions write it, into YAML in blocks, which ends with a
 * line's end. 0, or -EINVAL: it is none.
 */
int cv_json_to_yaml(struct cv_text *text, const char *json);

#endif
