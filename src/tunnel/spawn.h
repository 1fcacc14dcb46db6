/* SPDX-License-Identifier: Apache-2.0 */
/* Start this program again as a process of its own, that nothing of ours reaches any more. */
#ifndef CV_TUNNEL_SPAWN_H
#define CV_TUNNEL_SPAWN_H

/*
 * Run /proc/self/exe with these arguments (NULL-terminated) as nobody's child, in a session of its
 * own, in "/", with all signals as they are by default, standard descriptors on /dev/null and
 * one other descriptor: fd, as number `as` (both 3 or more). Whether it could be executed shows
 * only in what it does with that. May be called beside other threads. 0 or -errno.
 */
int cv_spawn_detached(char *const arguments[], int fd, int as);

#endif
