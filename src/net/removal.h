/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting a device without waiting for the kernel's last grace period. */
#ifndef CV_NET_REMOVAL_H
#define CV_NET_REMOVAL_H

/*
 * Delete a device of this network namespace and return as soon as the kernel has told everybody
 * that it is gone: no look-up, route or packet finds it any more. A child process, which holds none
 * of our files, stays for some 20 ms until the kernel has freed the memory; it is nobody's to wait
 * for. For a program of one thread, which ends soon. 0, -ENODEV or -errno.
 */
int cv_removal_run(int ifindex);

#endif
