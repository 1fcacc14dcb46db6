/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which store a node uses: <config>/datastore.cfg, or `culvertd --datastore FILE`. The file is
 * calicoctl's own (apiVersion projectcalico.org/v3, kind CalicoAPIConfig;
 * https://docs.tigera.io/calico/latest/operations/calicoctl/configure/etcd), so that the same one
 * serves both. No file: resources in the configuration directory, addresses in SQLite.
 */
#ifndef CV_STORE_DATASTORE_H
#define CV_STORE_DATASTORE_H

#include <stdbool.h>
#include <stddef.h>

#include "model/manifest.h"
#include "tunnel/error.h"

#define CV_DATASTORE_FILE   "datastore.cfg" /* in the configuration directory */
#define CV_DATASTORE_PREFIX "/culvert"	    /* of our keys in etcd; Calico's is /calico */

struct cv_datastore_config {
	bool is_etcd;	  /* datastoreType etcdv3; else there is no file */
	char *file;	  /* where it was read */
	char **endpoints; /* etcdEndpoints: "https://10.0.0.1:2379" */
	size_t endpoint_count;
	/* Paths of PEM files; NULL: not given. Read anew at each connection, so that a renewed
	 * certificate needs no restart. */
	char *ca_file, *cert_file, *key_file; /* etcdCACertFile, etcdCertFile, etcdKeyFile */
	char *username, *password;	      /* etcdUsername, etcdPassword; never printed */
	struct cv_messages warnings;	      /* of reading; not copied */
};

/*
 * Read a file. 0, -ENOENT, -EINVAL … with "FILE:LINE:COLUMN: …". The caller owns what is in
 * *ret_config: cv_datastore_config_fini.
 */
int cv_datastore_config_read(const char *path, struct cv_datastore_config *ret_config,
			     struct cv_error *error);
void cv_datastore_config_fini(struct cv_datastore_config *config);

/* 0 or -ENOMEM; cv_datastore_config_fini. */
int cv_datastore_config_copy(const struct cv_datastore_config *config,
			     struct cv_datastore_config *ret_config);

/*
 * As it is in force for a configuration directory: explicit_file (NULL: not given), else
 * CV_DATASTORE_FILE in it if that exists, else the files themselves. 0 or as above.
 */
int cv_datastore_config_find(const char *config_dir, const char *explicit_file,
			     struct cv_datastore_config *ret_config, struct cv_error *error);

#endif
