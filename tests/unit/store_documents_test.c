/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of our file: the lines of what is said of them. The cutting has a fuzzer, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "store/documents.h"

static const char text[] = "---\n"
			   "apiVersion: projectcalico.org/v3\n"
			   "kind: Node\n"
			   "metadata: {name: b1}\n"
			   "spec: {interfaces: []}\n";

/* A warning goes with its document, whatever the file is called. */
static void assert_moved(const char *file, const char *shown)
{
	struct cv_messages warnings = {.count = 0};
	struct cv_manifest manifest;
	struct cv_document document;
	struct cv_error error;

	assert_int_equal(cv_manifest_parse(file, text, strlen(text), &manifest, &error), 0);
	assert_int_equal(manifest.warnings.count, 1);
	assert_int_equal(cv_documents_cut(text, strlen(text), manifest.resources, 1, &document), 0);
	cv_documents_arrange(&document, 1, 3);
	cv_documents_warn(&document, 1, text, strlen(text), file, &manifest.warnings, &warnings);
	assert_int_equal(warnings.count, 1);
	assert_memory_equal(warnings.texts[0], shown, strlen(shown));
	assert_string_equal(warnings.texts[0] + strlen(shown),
			    ":8:8: Node b1: spec.interfaces is not acted on");
	cv_messages_fini(&warnings);
	cv_manifest_fini(&manifest);
}

static void test_warnings_move(void **state)
{
	char file[301] = "", shown[257] = "";

	(void)state;
	assert_moved("/etc/culvert/applied.yaml", "/etc/culvert/applied.yaml");
	assert_moved("/home/j\xc3\xbcrgen/applied.yaml", "/home/j??rgen/applied.yaml");
	memset(file, 'd', sizeof(file) - 1);
	memset(shown, 'd', sizeof(shown) - 1);
	assert_moved(file, shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warnings_move),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
