/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the cutting of the store's own file, which people may edit, too. Input: the file. Beyond
 * memory errors it demands: each document that is cut out is, alone, the resource that it was; and
 * all of them put together in another order are the same resources.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/manifest.h"
#include "store/documents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static char *write_text(const struct cv_document *documents, size_t count, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	demand(out);
	demand(!cv_documents_write(out, documents, count));
	demand(!fclose(out));
	return text;
}

/* The text of documents, read again, has exactly their resources, in their order. */
static void check(const struct cv_document *documents, size_t count)
{
	struct cv_manifest manifest;
	size_t length = 0;
	char *text = write_text(documents, count, &length);

	demand(!cv_manifest_parse("f", text, length, &manifest, NULL));
	demand(manifest.count == count);
	for (size_t i = 0; i < count; i++)
		demand(!strcmp(manifest.resources[i]->text, documents[i].resource->text));
	cv_manifest_fini(&manifest);
	free(text);
}

static void cut(const struct cv_manifest *manifest, const char *text, size_t length)
{
	struct cv_document *documents = calloc(manifest->count + 1, sizeof(*documents));

	demand(documents);
	if (!cv_documents_cut(text, length, manifest->resources, manifest->count, documents)) {
		for (size_t i = 0; i < manifest->count; i++)
			check(&documents[i], 1);
		cv_documents_arrange(documents, manifest->count, 0);
		check(documents, manifest->count);
	}
	free(documents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_manifest manifest;
	/* As the store has it, with a NUL behind it. */
	char *text = malloc(size + 1);

	demand(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (!cv_manifest_parse("f", text, size, &manifest, NULL)) {
		cut(&manifest, text, size);
		cv_manifest_fini(&manifest);
	}
	free(text);
	return 0;
}
