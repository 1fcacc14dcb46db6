/* SPDX-License-Identifier: Apache-2.0 */
/* Strings of others in JSON: names of devices and files are bytes, and JSON is UTF-8. */
#ifndef CV_AGENT_JSON_TEXT_H
#define CV_AGENT_JSON_TEXT_H

#include <jansson.h>

/*
 * A string; of what is no UTF-8, each byte that is not ASCII is '?'. NULL, or no memory: null.
 * Never NULL, which json_pack would take for a reason to make nothing at all.
 */
json_t *cv_json_text(const char *text);

/* The same; "" is null, too. */
json_t *cv_json_text_or_null(const char *text);

#endif
