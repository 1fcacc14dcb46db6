/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where programs are attached: the two hooks of a device's clsact qdisc. Ours are known by
 * their priority and handle; other people's filters on the same hooks stay as they are. To attach
 * again is to replace, in one step: no packet in between meets no program.
 */
#ifndef CV_FASTPATH_HOOK_H
#define CV_FASTPATH_HOOK_H

#include <stdbool.h>

#include "net/netlink.h"

enum cv_hook_place {
	CV_HOOK_INGRESS,
	CV_HOOK_EGRESS,
};

enum {
	CV_HOOK_PRIORITY_MAX = 0xffff
};

/* One program of ours on one device. */
struct cv_hook {
	int ifindex;
	enum cv_hook_place place;
	unsigned int priority; /* one for each program, so that two may stand on one hook */
	unsigned int handle;   /* the instance's */
};

/*
 * Attach, or replace what is attached. *ret_made: true if there was no clsact qdisc and now there
 * is; else untouched. 0; -EEXIST: the device has an ingress qdisc, which excludes clsact; -errno.
 */
int cv_hook_attach(const struct cv_hook *hook, int program, bool *ret_made);

/* The id of the program of ours that is attached; 0: none. */
unsigned int cv_hook_attached(const struct cv_hook *hook);

/* Detach. Nothing attached is fine. */
void cv_hook_detach(const struct cv_hook *hook);

/*
 * Are there filters of that priority or a later one, but for those of a range of our own?
 * True also if the kernel does not tell.
 */
bool cv_hook_has_others(struct cv_nl *nl, int ifindex, enum cv_hook_place place,
			unsigned int from_priority, unsigned int our_first, unsigned int our_last);

/* Remove the clsact qdisc of a device if no filter is left on it. False: some are. */
bool cv_hook_remove_qdisc(struct cv_nl *nl, int ifindex);

#endif
