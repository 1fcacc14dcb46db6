/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of our file, cut out and put together again.
 *
 * A line that begins with "---" and white space, or is no longer, begins a document, whatever it
 * stands in (YAML 1.2, 9.1.2: neither a quoted nor a block scalar may have such a line). That is
 * all of YAML that is known here; a text with anything that could make it untrue (a byte order
 * mark, other line breaks, directives, "...") is not cut.
 *
 * Invariant: a document goes over byte by byte, with its comments, so it means what it meant.
 */
#include "store/documents.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- cutting ----------------------------------------------------------------------- */

/* Line breaks of YAML 1.1 that are not '\n', and the byte order mark: then lines count otherwise.
 */
static bool is_plain(const char *text, size_t length)
{
	static const char *const odd[] = {"\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9",
					  "\xef\xbb\xbf"};
	unsigned char all = 0;

	if (memchr(text, '\r', length) || memchr(text, '\0', length))
		return false;
	for (size_t i = 0; i < length; i++)
		all |= (unsigned char)text[i];
	if (all < 0x80)
		return true;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		if (memmem(text, length, odd[i], strlen(odd[i])))
			return false;
	}
	return true;
}

struct scan {
	const char *at, *end;
	unsigned int line; /* of at */
};

static bool is_marker(const char *line, const char *end)
{
	return end - line >= 3 && !memcmp(line, "---", 3) &&
	       (end - line == 3 || strchr(" \t\n", line[3]));
}

/* Only lines that YAML does not see, or nothing. */
static bool is_comment(const char *line, const char *end)
{
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return line == end || *line == '\n' || *line == '#';
}

static const char *next_line(const char *line, const char *end)
{
	const char *newline = memchr(line, '\n', (size_t)(end - line));

	return newline ? newline + 1 : end;
}

/* Go to the first "---"; false if anything is before it that is no comment. */
static bool skip_preface(struct scan *scan)
{
	while (scan->at < scan->end && !is_marker(scan->at, scan->end)) {
		if (!is_comment(scan->at, scan->end) || *scan->at == '%')
			return false;
		scan->at = next_line(scan->at, scan->end);
		scan->line++;
	}
	return true;
}

/* One document, from its "---" on; false: it is not plain. */
static bool take_document(struct scan *scan, struct cv_document *ret_document)
{
	struct cv_document document = {.text = scan->at + 3, .line = scan->line, .lines = 1};
	const char *line = next_line(scan->at, scan->end);

	for (; line < scan->end && !is_marker(line, scan->end); document.lines++) {
		if (*line == '%' || (scan->end - line >= 3 && !memcmp(line, "...", 3)))
			return false;
		line = next_line(line, scan->end);
	}
	document.length = (size_t)(line - document.text);
	scan->at = line;
	scan->line += document.lines;
	*ret_document = document;
	return true;
}

static bool holds(const struct cv_document *document, const struct cv_resource *resource)
{
	return resource->origin.line >= document->line &&
	       resource->origin.line < document->line + document->lines;
}

int cv_documents_cut(const char *text, size_t length, struct cv_resource *const *resources,
		     size_t count, struct cv_document *ret_documents)
{
	struct scan scan = {.at = text, .end = text + length, .line = 1};
	size_t found = 0;

	/* With a newline at its end, a last block scalar (|) may be another text than without. */
	if (!is_plain(text, length) || (length && text[length - 1] != '\n') || !skip_preface(&scan))
		return -EINVAL;
	while (scan.at < scan.end) {
		struct cv_document document;

		if (!take_document(&scan, &document))
			return -EINVAL;
		/* An empty one is left out. */
		if (found == count || !holds(&document, resources[found]))
			continue;
		document.resource = resources[found];
		ret_documents[found++] = document;
		if (found < count && holds(&document, resources[found]))
			return -EINVAL;
	}
	return found == count ? 0 : -EINVAL;
}

/* ---- putting together ---------------------------------------------------------------- */

static int by_resource(const void *a, const void *b)
{
	const struct cv_document *one = a;
	const struct cv_document *other = b;

	return cv_resource_compare(one->resource, other->resource);
}

void cv_documents_arrange(struct cv_document *documents, size_t count, unsigned int preface_lines)
{
	unsigned int line = preface_lines + 1;

	if (count)
		qsort(documents, count, sizeof(*documents), by_resource);
	for (size_t i = 0; i < count; i++) {
		documents[i].target = line;
		line += documents[i].lines;
	}
}

int cv_documents_write(FILE *out, const struct cv_document *documents, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct cv_document *document = &documents[i];

		if (fwrite("---", 1, 3, out) != 3 ||
		    fwrite(document->text, 1, document->length, out) != document->length)
			return errno ? -errno : -EIO;
	}
	return 0;
}

void cv_documents_moved(const struct cv_document *documents, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct cv_document *document = &documents[i];
		struct cv_origin *origin = &document->resource->origin;

		origin->line += document->target - document->line;
	}
}

/* ---- warnings ------------------------------------------------------------------------ */

enum {
	FILE_SHOWN = 256 /* bytes of a file's name in a warning: "%.256s" */
};

static int by_line(const void *a, const void *b)
{
	const struct cv_document *const *one = a;
	const struct cv_document *const *other = b;

	return ((*one)->line > (*other)->line) - ((*one)->line < (*other)->line);
}

static int by_lines(const void *key, const void *element)
{
	const unsigned long *line = key;
	const struct cv_document *const *document = element;

	if (*line < (*document)->line)
		return -1;
	return *line >= (*document)->line + (*document)->lines;
}

/* Those of the documents that are cut from the text which begins there, by their lines in it. */
static size_t index_lines(const struct cv_document *documents, size_t count, const char *text,
			  size_t length, const struct cv_document **ret_index)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (documents[i].text >= text && documents[i].text <= text + length)
			ret_index[found++] = &documents[i];
	}
	if (found)
		qsort(ret_index, found, sizeof(*ret_index), by_line);
	return found;
}

static void warn(const struct cv_document *const *index, size_t count, const char *file,
		 const char *warning, struct cv_messages *ret_warnings)
{
	/* Not compared: of the name, what is not ASCII is '?' in there. */
	size_t prefix = strnlen(file, FILE_SHOWN);
	const struct cv_document *const *document;
	unsigned long line;
	char *rest;

	if (strlen(warning) <= prefix || warning[prefix] != ':')
		return;
	line = strtoul(warning + prefix + 1, &rest, 10);
	document = bsearch(&line, index, count, sizeof(*index), by_lines);
	if (document)
		cv_messages_add(ret_warnings, "%.*s:%lu%s", FILE_SHOWN, file,
				line - (*document)->line + (*document)->target, rest);
}

void cv_documents_warn(const struct cv_document *documents, size_t count, const char *text,
		       size_t length, const char *file, const struct cv_messages *warnings,
		       struct cv_messages *ret_warnings)
{
	const struct cv_document **index;
	size_t found;

	if (!warnings->count || !count)
		return;
	index = calloc(count, sizeof(*index));
	if (!index)
		return; /* as cv_messages_add without memory */
	found = index_lines(documents, count, text, length, index);
	for (size_t i = 0; i < warnings->count && found; i++)
		warn(index, found, file, warnings->texts[i], ret_warnings);
	free(index);
}
