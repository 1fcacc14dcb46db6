/* SPDX-License-Identifier: Apache-2.0 */
/* Writes Prometheus' text format: families, samples, labels with their escapes. */
#ifndef CV_AGENT_METRICS_WRITER_H
#define CV_AGENT_METRICS_WRITER_H

#include <stdio.h>

struct cv_metrics_writer {
	FILE *stream;
	char *text;
	size_t size;
	const char *name; /* of the family that samples belong to */
};

/* 0 or -ENOMEM. */
int cv_metrics_writer_init(struct cv_metrics_writer *ret_writer);

/* End. The caller frees the text; NULL without memory. */
char *cv_metrics_writer_finish(struct cv_metrics_writer *writer);

/* Begin a family: its HELP and TYPE lines. name must stay valid until the next one. */
void cv_metrics_family(struct cv_metrics_writer *writer, const char *name, const char *type,
		       const char *help);

/* A sample of it. labels: their names with spaces between, "": none; then as many values. */
void cv_metrics_sample(struct cv_metrics_writer *writer, double value, const char *labels, ...);

#endif
