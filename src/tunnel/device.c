/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our devices. Invariant: one is ours if and only if it is a TUN device whose alias names our run
 * directory; no other is ever changed or deleted.
 */
#include "tunnel/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int cv_device_alias(const char *run_dir, char ret_alias[CV_LINK_ALIAS_MAX], struct cv_error *error)
{
	int n = snprintf(ret_alias, CV_LINK_ALIAS_MAX, "culvert %s", run_dir);

	if (n >= CV_LINK_ALIAS_MAX)
		return cv_error_set(error, -ENAMETOOLONG,
				    "run directory %.128s: too long a name for the alias of its "
				    "devices; give a shorter one",
				    run_dir);
	return 0;
}

bool cv_device_is_ours(const char *alias, const struct cv_link *link)
{
	return !strcmp(link->kind, "tun") && link->tun_is_tun && !strcmp(link->alias, alias);
}

struct search {
	const char *alias;
	const struct cv_device_deletion *deletion;
	struct cv_link found;
};

static int find(const struct cv_link *link, void *data)
{
	struct search *search = data;
	const struct cv_device_deletion *deletion = search->deletion;

	if (!cv_device_is_ours(search->alias, link) ||
	    (deletion->keep && deletion->keep(link, deletion->data)))
		return 0;
	search->found = *link;
	return 1;
}

/* Looked for again after each: the list may be old by then. */
int cv_device_delete_ours(struct cv_nl *nl, const char *alias,
			  const struct cv_device_deletion *deletion)
{
	struct search search = {.alias = alias, .deletion = deletion};
	int rc;

	for (;;) {
		rc = cv_link_for_each(nl, find, &search);
		if (rc <= 0)
			return rc;
		if (deletion->tell)
			deletion->tell(&search.found, deletion->data);
		rc = cv_link_delete(nl, search.found.index);
		if (rc && rc != -ENODEV)
			return rc;
	}
}
