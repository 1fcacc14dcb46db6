/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format 0.0.4. Values are whole numbers where they are whole: a counter beyond
 * 2^53 loses its last bits, as it does in Prometheus itself. Labels are UTF-8: of others,
 * Prometheus would take nothing at all.
 */
#include "agent/metrics_writer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/json_text.h"

int cv_metrics_writer_init(struct cv_metrics_writer *ret_writer)
{
	*ret_writer = (struct cv_metrics_writer){.name = ""};
	ret_writer->stream = open_memstream(&ret_writer->text, &ret_writer->size);
	return ret_writer->stream ? 0 : -ENOMEM;
}

char *cv_metrics_writer_finish(struct cv_metrics_writer *writer)
{
	int failed = ferror(writer->stream);

	failed |= fclose(writer->stream);
	if (!failed)
		return writer->text;
	free(writer->text);
	return NULL;
}

/* In HELP a quote stays as it is. */
static void put_escaped(FILE *stream, const char *text, int is_label)
{
	for (; *text; text++) {
		if (*text == '\n')
			(void)fputs("\\n", stream);
		else if (*text == '\\' || (is_label && *text == '"'))
			(void)fprintf(stream, "\\%c", *text);
		else
			(void)fputc(*text, stream);
	}
}

void cv_metrics_family(struct cv_metrics_writer *writer, const char *name, const char *type,
		       const char *help)
{
	writer->name = name;
	(void)fprintf(writer->stream, "# HELP %s ", name);
	put_escaped(writer->stream, help, 0);
	(void)fprintf(writer->stream, "\n# TYPE %s %s\n", name, type);
}

static bool is_ascii(const char *text)
{
	while (*text && !((unsigned char)*text & 0x80))
		text++;
	return !*text;
}

static void put_label(FILE *stream, const char *text)
{
	json_t *json = is_ascii(text) ? NULL : cv_json_text(text);

	put_escaped(stream, json_is_string(json) ? json_string_value(json) : text, 1);
	json_decref(json);
}

static void put_value(FILE *stream, double value)
{
	if (value >= 0 && value < 1e18 && value == (double)(unsigned long long)value)
		(void)fprintf(stream, " %llu\n", (unsigned long long)value);
	else
		(void)fprintf(stream, " %.9g\n", value);
}

void cv_metrics_sample(struct cv_metrics_writer *writer, double value, const char *labels, ...)
{
	char separator = '{';
	va_list values;

	(void)fputs(writer->name, writer->stream);
	va_start(values, labels);
	while (*labels) {
		size_t length = strcspn(labels, " ");

		(void)fprintf(writer->stream, "%c%.*s=\"", separator, (int)length, labels);
		put_label(writer->stream, va_arg(values, const char *));
		(void)fputc('"', writer->stream);
		separator = ',';
		labels += length;
		labels += strspn(labels, " ");
	}
	va_end(values);
	if (separator == ',')
		(void)fputc('}', writer->stream);
	put_value(writer->stream, value);
}
