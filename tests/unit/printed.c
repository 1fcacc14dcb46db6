/* SPDX-License-Identifier: Apache-2.0 */
#include "printed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

char *printed(void (*print)(const json_t *result), const char *json)
{
	json_t *result = json_loads(json, 0, NULL);
	FILE *file = tmpfile();
	int saved;
	long size;
	char *all;

	assert_non_null(result);
	assert_non_null(file);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	assert_true(saved >= 0 && dup2(fileno(file), STDOUT_FILENO) >= 0);
	print(result);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	json_decref(result);
	size = lseek(fileno(file), 0, SEEK_END);
	all = calloc(1, (size_t)size + 1);
	assert_non_null(all);
	assert_int_equal(pread(fileno(file), all, (size_t)size, 0), size);
	fclose(file);
	return all;
}

void prints(void (*print)(const json_t *result), const char *json, const char *text)
{
	char *all = printed(print, json);

	assert_string_equal(all, text);
	free(all);
}
