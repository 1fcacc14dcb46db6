/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and pods in words; results are protocol.md's ("Addresses"). */
#ifndef CV_CLI_IPAM_TEXT_H
#define CV_CLI_IPAM_TEXT_H

#include <jansson.h>
#include <stdbool.h>

/* ipam.show: pools, and blocks if there are any; or one address. */
void cv_ipam_text_show(const json_t *result);

/* ipam.check. Returns how many things are wrong still. */
size_t cv_ipam_text_check(const json_t *result, bool has_fixed);

void cv_ipam_text_release(const json_t *result);
void cv_ipam_text_reserve(const json_t *result);

/* pods */
void cv_ipam_text_pods(const json_t *result);

/* How many findings of ipam.check are not mended. */
size_t cv_ipam_text_wrong(const json_t *result);

/* A line of `status`, and what is the matter; nothing where it says nothing of addresses. */
void cv_ipam_text_summary(const json_t *status);

#endif
