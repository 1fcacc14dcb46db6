/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/migrate_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/member.h"

enum {
	LINES_MAX = 20 /* of a list */
};

static void print_lines(const json_t *lines, const char *what)
{
	size_t count = json_array_size(lines), i;
	const json_t *line;

	json_array_foreach(lines, i, line)
	{
		if (i < LINES_MAX)
			printf("%s: %s\n", what, json_string_value(line));
	}
	if (count > LINES_MAX)
		printf("... and %zu more: culvert -j migrate lists all\n", count - LINES_MAX);
}

void cv_migrate_text(const json_t *status)
{
	bool is_dry_run = json_is_true(json_object_get(status, "dry_run"));
	const char *from = cv_member_text(status, "from"),
		   *installed = cv_member_text(status, "installed");
	bool is_refused = json_array_size(json_object_get(status, "conflicts"));

	printf("from %s: resources %lld, blocks %lld, affinities %lld, handles %lld\n",
	       from && !strcmp(from, "calico") ? "Calico" : "the files of this node",
	       cv_member_number(status, "resources"), cv_member_number(status, "blocks"),
	       cv_member_number(status, "affinities"), cv_member_number(status, "handles"));
	print_lines(json_object_get(status, "skipped"), "passed over");
	print_lines(json_object_get(status, "conflicts"), "in the way");
	if (is_refused) {
		puts("nothing was written");
		return;
	}
	printf("%s %lld, already there %lld\n", is_dry_run ? "to be written" : "written",
	       is_dry_run ? cv_member_number(status, "total") - cv_member_number(status, "equal")
			  : cv_member_number(status, "written"),
	       cv_member_number(status, "equal"));
	if (is_dry_run || cv_member_text(status, "problem"))
		return;
	if (installed)
		printf("%s is in place; restart culvertd now: until then no pod gets an address, "
		       "and no packet is lost (systemctl restart culvertd)\n",
		       installed);
}
