/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Under which key a resource is kept in etcd, as Calico does (libcalico-go,
 * lib/backend/model/resource.go): "resources/v3/projectcalico.org/ippools/NAME", relative to
 * "/calico/" or "/culvert/" (store/kv.h). Kinds of culvert/v1 are under "resources/v3/culvert/".
 * The value is the resource as JSON.
 */
#ifndef CV_STORE_RESOURCE_KEY_H
#define CV_STORE_RESOURCE_KEY_H

#include "model/resource.h"

#define CV_RESOURCE_KEYS "resources/v3/" /* what all of them begin with */

enum {
	CV_RESOURCE_KEY_MAX = 512 /* with its NUL; a name has 253 characters at most */
};

/* Returns buffer. A BlockAffinity has none: those are documents of addresses (ipam/ipam.h). */
const char *cv_resource_key(enum cv_kind kind, const char *name, char buffer[CV_RESOURCE_KEY_MAX]);

/*
 * From a key to kind and name, which points into it. 0; -ENOENT: of no kind that we know;
 * -EINVAL: it is not the key of a resource. Kinds with a namespace (Calico's policies, endpoints)
 * have one part more and are of no kind that we know.
 */
int cv_resource_key_parse(const char *key, enum cv_kind *ret_kind, const char **ret_name);

#endif
