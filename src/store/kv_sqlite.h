/* SPDX-License-Identifier: Apache-2.0 */
/* Documents in an SQLite file: WAL, synchronous FULL, so that what was committed survives a loss of
 * power. One process at a time has it (the caller holds a run directory's lock). */
#ifndef CV_STORE_KV_SQLITE_H
#define CV_STORE_KV_SQLITE_H

#include "store/kv.h"

/*
 * Open or create the file (mode 0600). A file of a newer format is refused (-EPROTONOSUPPORT), one
 * that is damaged is -EUCLEAN and left as it is. 0 or -errno. The caller owns *ret_kv:
 * cv_kv_destroy.
 */
int cv_kv_sqlite_open(const char *path, struct cv_kv **ret_kv, struct cv_error *error);

/*
 * Between these, commits are parts of one: each is all or nothing by itself, and none is durable
 * before cv_kv_sqlite_end() has returned 0; one wait for the disk instead of several. Where that
 * fails, none of them has happened, whatever they have returned: what was learned from them is to
 * be forgotten, revisions too. Not nested. 0 or an error of commit.
 */
int cv_kv_sqlite_begin(struct cv_kv *kv, struct cv_error *error);
int cv_kv_sqlite_end(struct cv_kv *kv, struct cv_error *error);

#endif
