/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc/culvert-resources.5 against the code: its examples apply without a word, and every field that
 * is acted on has its entry in the section of its kind, and no other has. Run from the tree's root.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/kinds.h"
#include "model/manifest.h"
#include "model/snapshot.h"

static char *page;

static int set_up(void **state)
{
	FILE *file = fopen("doc/culvert-resources.5", "re");
	size_t length = 0;

	(void)state;
	if (!file || getdelim(&page, &length, '\0', file) < 0)
		return -1;
	return fclose(file);
}

static int tear_down(void **state)
{
	(void)state;
	free(page);
	return 0;
}

static void examples_apply(void **state)
{
	static const char begin[] = ".Bd -literal -offset indent\n";
	unsigned int count = 0;

	(void)state;
	for (char *p = strstr(page, begin); p; p = strstr(p, begin)) {
		struct cv_manifest manifest;
		struct cv_snapshot *snapshot = NULL;
		struct cv_error error;
		char *end;

		p += sizeof(begin) - 1;
		end = strstr(p, ".Ed");
		if (cv_manifest_parse("page", p, (size_t)(end - p), &manifest, &error) ||
		    cv_snapshot_create(manifest.resources, manifest.count, &snapshot, &error))
			fail_msg("%s: %.300s", error.text, p);
		if (manifest.warnings.count || snapshot->warnings.count)
			fail_msg("%s", manifest.warnings.count ? manifest.warnings.texts[0]
							       : snapshot->warnings.texts[0]);
		cv_snapshot_put(snapshot);
		cv_manifest_fini(&manifest);
		count++;
	}
	assert_int_equal(count, 5);
}

/* Of a kind: ".Sh IPPOOL" to the next one; the caller frees it. */
static char *section_of(const char *kind)
{
	char heading[64];
	char *begin, *end;
	int n = snprintf(heading, sizeof(heading), "\n.Sh %s\n", kind);

	for (int i = 5; i < n; i++)
		heading[i] = (char)toupper((unsigned char)heading[i]);
	begin = strstr(page, heading);
	if (!begin)
		fail_msg("no section for %s", kind);
	begin += n;
	end = strstr(begin, "\n.Sh ");
	return strndup(begin, (size_t)(end - begin) + 1);
}

/* ".It Va remote , local": two fields. */
static bool is_in_entry(const char *section, const char *name)
{
	size_t length = strlen(name);

	for (const char *p = section; (p = strstr(p, "\n.It Va ")); p++) {
		const char *end = strchr(p + 1, '\n');

		for (const char *word = p; (word = strstr(word, name)) && word < end; word++) {
			if (word[-1] == ' ' && (word[length] == ' ' || word[length] == '\n'))
				return true;
		}
	}
	return false;
}

static unsigned int check_fields(const char *kind, const char *section, const char *path,
				 const struct cv_schema *schema)
{
	unsigned int count = 0;

	for (size_t i = 0; i < schema->count; i++) {
		const struct cv_field *field = &schema->fields[i];
		char name[128];

		snprintf(name, sizeof(name), "%s%s", path, field->name);
		if (field->type == CV_FIELD_OBJECT) {
			strcat(name, ".");
			count += check_fields(kind, section, name, field->object);
		} else if (field->type == CV_FIELD_OWN && field->object) {
			/* A list: what its entries have is told once, though two lists have it. */
			if (!is_in_entry(section, name))
				fail_msg("%s: %s is not in the page", kind, name);
			count++;
			if (!i || field->object != schema->fields[i - 1].object)
				count += check_fields(kind, section, "", field->object);
		} else if (field->type < CV_FIELD_UNUSED_SCALAR && strcmp(name, "ipip") &&
			   strcmp(name, "nat-outgoing")) {
			if (!is_in_entry(section, name))
				fail_msg("%s: %s is not in the page", kind, name);
			count++;
		} else if (is_in_entry(section, name)) {
			fail_msg("%s: %s is in the page, but not acted on", kind, name);
		}
	}
	return count;
}

static unsigned int count_entries(const char *section)
{
	unsigned int count = 0;

	for (const char *p = section; (p = strstr(p, "\n.It Va ")); p++) {
		const char *end = strchr(p + 1, '\n');

		count++;
		for (const char *comma = p; (comma = strstr(comma, " , ")) && comma < end; comma++)
			count++;
	}
	return count;
}

static void every_field_has_its_entry(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < CV_KIND_MAX; kind++) {
		const char *name = cv_kind_name(kind);
		char *section = section_of(name);

		assert_int_equal(check_fields(name, section, "", &cv_kind_reader(kind)->spec),
				 count_entries(section));
		free(section);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_apply),
		cmocka_unit_test(every_field_has_its_entry),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
