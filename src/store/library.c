/* SPDX-License-Identifier: Apache-2.0 */
/* dlopen(3), all symbols at once: what is missing is told when it is loaded, never by a crash. */
#include "store/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

int cv_library_load(const struct cv_library *library, void *table, struct cv_error *error)
{
	/* RTLD_NOW: as all that is linked (-z now), so that its tables may be read-only. */
	void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return cv_error_set(error, -ELIBACC, "%s; install Debian's package %s", dlerror(),
				    library->package);
	for (size_t i = 0; i < library->count; i++) {
		const struct cv_library_symbol *symbol = &library->symbols[i];
		void *address = dlsym(handle, symbol->name);

		if (!address) {
			dlclose(handle);
			return cv_error_set(error, -ELIBACC,
					    "%s has no %s; install Debian's package %s",
					    library->file, symbol->name, library->package);
		}
		memcpy((char *)table + symbol->offset, &address, sizeof(address));
	}
	return 0;
}
