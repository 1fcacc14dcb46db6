/* SPDX-License-Identifier: Apache-2.0 */
/* culvertd --purge: remove all that daemons of a run directory have left on this machine. */
#ifndef CV_AGENT_PURGE_H
#define CV_AGENT_PURGE_H

/*
 * Say on standard output what was removed, on standard error what went wrong. Returns the exit
 * code: 0 nothing is left, 1 refused (a daemon runs there) or failed.
 */
int cv_purge_run(const char *run_dir);

#endif
