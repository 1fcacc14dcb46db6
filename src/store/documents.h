/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of our file as a row of YAML documents with one resource each, so that a change
 * prints anew only what it changes: printing 25,000 takes the better part of a second.
 */
#ifndef CV_STORE_DOCUMENTS_H
#define CV_STORE_DOCUMENTS_H

#include <stddef.h>
#include <stdio.h>

#include "model/manifest.h"

/* What follows a "---", up to the next, or the end: a newline is its last. */
struct cv_document {
	const char *text; /* in the text that was cut */
	size_t length;
	unsigned int line;	      /* of the "---" in that text, from 1 */
	unsigned int lines;	      /* with the line of the "---" */
	unsigned int target;	      /* where the "---" comes in the new text */
	struct cv_resource *resource; /* that it holds; not counted */
};

/*
 * Cut a text into the documents of the resources that cv_manifest_parse found in it, in their
 * order. 0; -EINVAL if it does not have that form, because people have edited it: several resources
 * in a document, a first one without "---", directives …
 */
int cv_documents_cut(const char *text, size_t length, struct cv_resource *const *resources,
		     size_t count, struct cv_document *ret_documents);

/* Sort by cv_resource_compare, and set the targets behind so many lines of a preface. */
void cv_documents_arrange(struct cv_document *documents, size_t count, unsigned int preface_lines);

/* Write them in their order. 0 or -errno. */
int cv_documents_write(FILE *out, const struct cv_document *documents, size_t count);

/* Tell the resources in which lines they stand, now that the new text is in force. */
void cv_documents_moved(const struct cv_document *documents, size_t count);

/*
 * Add those of a file's warnings, "FILE:LINE:…", that are about documents of the text that begins
 * there, with the lines of the new text.
 */
void cv_documents_warn(const struct cv_document *documents, size_t count, const char *text,
		       size_t length, const char *file, const struct cv_messages *warnings,
		       struct cv_messages *ret_warnings);

#endif
