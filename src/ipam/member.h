/* SPDX-License-Identifier: Apache-2.0 */
/* What the documents have in common: JSON objects whose members we may not know. */
#ifndef CV_IPAM_MEMBER_H
#define CV_IPAM_MEMBER_H

#include <jansson.h>

#include "tunnel/error.h"

/* Read an object; the caller drops *ret_root. 0, -ENOMEM or -EUCLEAN. */
int cv_member_load(const char *text, json_t **ret_root, struct cv_error *error);

/*
 * The members that are not among known (which ends with NULL), as text to be written behind those:
 * ",\"NAME\":VALUE…"; NULL: there are none. The caller frees it. 0 or -ENOMEM.
 */
int cv_member_keep_others(const json_t *root, const char *const *known, char **ret_text);

#endif
