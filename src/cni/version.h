/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of the CNI specification that the plugin speaks. */
#ifndef CV_CNI_VERSION_H
#define CV_CNI_VERSION_H

#include <stdbool.h>
#include <jansson.h>

enum cv_cni_version {
	CV_CNI_0_3_0,
	CV_CNI_0_3_1, /* as 0.3.0, which had wrong examples */
	CV_CNI_0_4_0, /* CHECK, prevResult for DEL */
	CV_CNI_1_0_0, /* no "version" in ips */
	CV_CNI_1_1_0, /* GC, STATUS, more members in results */
	CV_CNI_VERSIONS,
};

#define CV_CNI_NEWEST (CV_CNI_VERSIONS - 1)

const char *cv_cni_version_name(enum cv_cni_version version);

/* False: it is none of ours. */
bool cv_cni_version_parse(const char *text, enum cv_cni_version *ret_version);

/* A list of the names; the caller owns it. */
json_t *cv_cni_version_list(void);

#endif
