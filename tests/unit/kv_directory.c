/* SPDX-License-Identifier: Apache-2.0 */
#include "kv_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "store/kv_sqlite.h"

char kv_directory[64], kv_directory_path[96];

int kv_directory_set_up(void **state)
{
	(void)state;
	snprintf(kv_directory, sizeof(kv_directory), "/tmp/culvert-kv-XXXXXX");
	if (!mkdtemp(kv_directory))
		return -1;
	snprintf(kv_directory_path, sizeof(kv_directory_path), "%s/addresses.db", kv_directory);
	return 0;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

int kv_directory_tear_down(void **state)
{
	(void)state;
	return nftw(kv_directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

struct cv_kv *kv_directory_open(void)
{
	struct cv_error error = {""};
	struct cv_kv *kv = NULL;

	if (cv_kv_sqlite_open(kv_directory_path, &kv, &error))
		fail_msg("%s", error.text);
	return kv;
}
