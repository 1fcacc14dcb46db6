/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that are loaded when they are first needed: what only etcd needs would cost every
 * process that runs culvertd's program, the carrier holder among them, its memory and its start.
 */
#ifndef CV_STORE_LIBRARY_H
#define CV_STORE_LIBRARY_H

#include <stddef.h>

#include "tunnel/error.h"

/* A function of the library, and where in a table its address goes. */
struct cv_library_symbol {
	const char *name;
	size_t offset;
};

struct cv_library {
	const char *file;    /* "libcurl.so.4": the version whose header we were compiled with */
	const char *package; /* of Debian, that has it */
	const struct cv_library_symbol *symbols;
	size_t count;
};

/*
 * Fill the table. The library stays for as long as the process: nothing has to be given back. 0, or
 * -ELIBACC: it, or a function of it, is not there; error says what to install.
 */
int cv_library_load(const struct cv_library *library, void *table, struct cv_error *error);

#endif
