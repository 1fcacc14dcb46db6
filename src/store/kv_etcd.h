/* SPDX-License-Identifier: Apache-2.0 */
/* Documents in etcd (v3), by its JSON gateway. */
#ifndef CV_STORE_KV_ETCD_H
#define CV_STORE_KV_ETCD_H

#include "store/datastore.h"
#include "store/kv.h"

/*
 * Nothing is asked yet: an etcd that is away is no failure here. prefix: before every key, without
 * a
 * "/" at its end; NULL: CV_DATASTORE_PREFIX. config is copied. 0 or -errno. The caller owns
 * *ret_kv: cv_kv_destroy.
 */
int cv_kv_etcd_create(const struct cv_datastore_config *config, const char *prefix,
		      struct cv_kv **ret_kv, struct cv_error *error);

#endif
