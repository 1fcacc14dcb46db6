/* SPDX-License-Identifier: Apache-2.0 */
/* What `culvert doctor` has found: a list of lines for people, each with what to do. */
#ifndef CV_AGENT_FINDING_H
#define CV_AGENT_FINDING_H

#include <stddef.h>
#include <jansson.h>

enum cv_finding_level {
	CV_FINDING_OK,
	CV_FINDING_WARNING, /* works, but not as well, not for all, or not for ever */
	CV_FINDING_ERROR,   /* packets are lost, or something asked for is not done */
};

struct cv_findings {
	json_t *list;	   /* owned: cv_findings_fini, or taken */
	const char *check; /* the name of the check that finds now */
	size_t troubles;   /* warnings and errors so far */
};

/* 0 or -ENOMEM. */
int cv_findings_init(struct cv_findings *ret_findings);
void cv_findings_fini(struct cv_findings *findings);

/*
 * Add one. remedy: a command to type, or NULL; both are made fit for a terminal. What finds no
 * memory is lost.
 */
void cv_finding_add(struct cv_findings *findings, enum cv_finding_level level, const char *remedy,
		    const char *format, ...) __attribute__((format(printf, 4, 5)));

enum {
	CV_REMEDY_MAX = 480
};

/* Print a remedy. Returns buffer. */
const char *cv_remedy(char buffer[CV_REMEDY_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
