/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's log: one line each on standard error. Under systemd, lines begin with the
 * journal's level ("<4>"); for people, with "culvertd:".
 */
#ifndef CV_AGENT_LOG_H
#define CV_AGENT_LOG_H

#include <syslog.h> /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO */

/* Look whether standard error is the journal. To be called once, before threads. */
void cv_log_init(void);

void cv_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a text that is ready. */
void cv_log_text(int priority, const char *text);

#endif
