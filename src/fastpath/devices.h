/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices have which programs, and how that follows the network. */
#ifndef CV_FASTPATH_DEVICES_H
#define CV_FASTPATH_DEVICES_H

#include "fastpath/state.h"

/*
 * Look at every device for programs of ours, whatever the maps say, and keep their maps in pins.
 * How many programs there are.
 */
unsigned int cv_devices_find_maps(struct cv_nl *nl, unsigned int handle, struct cv_pins *pins);

/* List in cv_devices what is attached and not listed: the map was lost. */
void cv_devices_recover(struct cv_fastpath *fastpath);

/* Take up the devices that an earlier daemon has left programs on, and replace these. */
void cv_devices_take_up(struct cv_fastpath *fastpath);

/* Attach to what is new, let go of what is not ours to watch any more. */
void cv_devices_refresh(struct cv_fastpath *fastpath);

/* The same for a tunnel's device that is new, at the cost of one device. */
void cv_devices_add_tunnel(struct cv_fastpath *fastpath, int ifindex);

/* Take the programs of one kind off a device. */
void cv_devices_release(struct cv_fastpath *fastpath, int ifindex, uint32_t kind);

/* Detach all programs of ours, wherever they are. How many there were. */
unsigned int cv_devices_detach(struct cv_nl *nl, const struct cv_pins *pins, const char *run_dir);

/* Remove the qdiscs that cv_devices says we made. 0, or -EPERM: that map may not be read. */
int cv_devices_remove_qdiscs(struct cv_nl *nl, const struct cv_pins *pins);

/* The entry of a device, or NULL. */
struct cv_fastpath_device *cv_devices_find(struct cv_fastpath *fastpath, int ifindex);

#endif
