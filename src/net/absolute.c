/* SPDX-License-Identifier: Apache-2.0 */
#include "net/absolute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *cv_absolute_path(const char *path)
{
	char *here, *text = NULL;

	if (path[0] == '/')
		return strdup(path);
	here = get_current_dir_name();
	if (here && asprintf(&text, "%s/%s", here, path) < 0)
		text = NULL;
	free(here);
	return text;
}
