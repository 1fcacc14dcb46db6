/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices are ours, by their alias: "culvert <run-dir>". */
#ifndef CV_TUNNEL_DEVICE_H
#define CV_TUNNEL_DEVICE_H

#include <stdbool.h>

#include "net/link.h"
#include "net/netlink.h"
#include "tunnel/error.h"

/* Write the alias of this (absolute) run directory's devices. 0 or -ENAMETOOLONG. */
int cv_device_alias(const char *run_dir, char ret_alias[CV_LINK_ALIAS_MAX], struct cv_error *error);

/* True if a daemon with this alias made the device. */
bool cv_device_is_ours(const char *alias, const struct cv_link *link);

struct cv_device_deletion {
	/* True: not this one. NULL: all of them. */
	bool (*keep)(const struct cv_link *link, const void *data);
	/* Told before each deletion; NULL: nobody is. */
	void (*tell)(const struct cv_link *link, const void *data);
	const void *data;
};

/* Delete the devices with this alias. 0, or -errno of what stopped it. */
int cv_device_delete_ours(struct cv_nl *nl, const char *alias,
			  const struct cv_device_deletion *deletion);

#endif
