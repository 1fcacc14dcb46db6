/* SPDX-License-Identifier: Apache-2.0 */
/* A directory below /tmp with documents in SQLite in it, for the tests of that. */
#ifndef CV_TESTS_KV_DIRECTORY_H
#define CV_TESTS_KV_DIRECTORY_H

#include "store/kv.h"

/* Of a test: kv_directory_set_up makes both anew. A test may change them. */
extern char kv_directory[64], kv_directory_path[96];

int kv_directory_set_up(void **state);
int kv_directory_tear_down(void **state);

/* What is at kv_directory_path, made if it is missing; never NULL. The caller destroys it. */
struct cv_kv *kv_directory_open(void);

#endif
