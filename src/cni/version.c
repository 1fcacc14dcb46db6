/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/version.h"

#include <string.h>

static const char *const names[CV_CNI_VERSIONS] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

const char *cv_cni_version_name(enum cv_cni_version version)
{
	return names[version];
}

bool cv_cni_version_parse(const char *text, enum cv_cni_version *ret_version)
{
	for (int i = 0; i < CV_CNI_VERSIONS; i++) {
		if (!strcmp(text, names[i])) {
			*ret_version = (enum cv_cni_version)i;
			return true;
		}
	}
	return false;
}

json_t *cv_cni_version_list(void)
{
	json_t *list = json_array();

	for (int i = 0; i < CV_CNI_VERSIONS; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}
