/* SPDX-License-Identifier: Apache-2.0 */
/* Affinities. */
#include "ipam/affinity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ipam/member.h"
#include "model/json.h"

static const char *const states[] = {
	[CV_IPAM_CONFIRMED] = "confirmed",
	[CV_IPAM_PENDING] = "pending",
	[CV_IPAM_PENDING_DELETION] = "pendingDeletion",
};

void cv_affinity_fini(struct cv_affinity *affinity)
{
	free(affinity->others);
	*affinity = (struct cv_affinity){0};
}

static int read_state(const json_t *root, struct cv_affinity *affinity, struct cv_error *error)
{
	const json_t *value = json_object_get(root, "state");
	const char *text = json_string_value(value);

	/* Calico's first versions wrote an empty document for what is confirmed. */
	if (!value || (text && !*text))
		return 0;
	for (unsigned int i = 0; text && i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(text, states[i]) != 0)
			continue;
		affinity->state = (enum cv_ipam_state)i;
		return 0;
	}
	return cv_error_set(error, -EUCLEAN, "state is \"%.64s\"", text ? text : "");
}

int cv_affinity_parse(const char *text, struct cv_affinity *ret_affinity, struct cv_error *error)
{
	static const char *const known[] = {"state", "deleted", NULL};
	struct cv_affinity affinity = {0};
	json_t *root;
	int rc = cv_member_load(text, &root, error);

	if (rc)
		return rc;
	rc = read_state(root, &affinity, error);
	affinity.is_deleted = json_is_true(json_object_get(root, "deleted"));
	if (!rc && cv_member_keep_others(root, known, &affinity.others))
		rc = cv_error_set(error, -ENOMEM, "no memory");
	json_decref(root);
	if (rc)
		cv_affinity_fini(&affinity);
	else
		*ret_affinity = affinity;
	return rc;
}

char *cv_affinity_print(const struct cv_affinity *affinity)
{
	struct cv_text out = {0};

	cv_text_puts(&out, "{");
	cv_json_key(&out, "state");
	cv_json_string(&out, states[affinity->state]);
	cv_json_key(&out, "deleted");
	cv_text_puts(&out, affinity->is_deleted ? "true" : "false");
	cv_text_puts(&out, affinity->others ? affinity->others : "");
	cv_text_puts(&out, "}");
	return cv_text_take(&out);
}
