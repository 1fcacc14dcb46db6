/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our file: what it has, how it changes.
 *
 * A change prints what is new and reads that back, which also proves that it can be read; all other
 * documents are copied. Only if people have given the file another form is all of it printed anew,
 * and their comments are lost, as its first lines say.
 *
 * Invariant: the file is sorted, has each resource in a document of its own, and is never
 * based on another one than the directory's files were read from.
 */
#include "store/applied.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/replace.h"

static const char preface[] =
	"# What `culvert apply` brought. It may be edited, and takes effect at once; but culvertd\n"
	"# writes it anew at each apply and delete: order, comments and what Culvert does not act "
	"on\n"
	"# may be lost. Other files of this directory are never written.\n";

enum {
	PREFACE_LINES = 3
};

void cv_applied_fini(struct cv_applied *applied)
{
	free(applied->old_text);
	free(applied->new_text);
	free(applied->documents);
	cv_manifest_fini(&applied->printed);
	cv_messages_fini(&applied->warnings);
	*applied = (struct cv_applied){.count = 0};
}

static int no_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

/* ---- preparing --------------------------------------------------------------------- */

/* The text as it is now, of the very file that was parsed: -EAGAIN if it is another. */
static int read_old(struct cv_applied *applied, const struct cv_directory_file *file, int fd,
		    const char *path, struct cv_error *error)
{
	struct cv_error why;
	int rc = cv_directory_read(fd, CV_STORE_FILE, true, &applied->old_text,
				   &applied->old_length, &applied->signature, &why);

	if (rc == -ENOENT || rc == -EINVAL)
		rc = -EAGAIN;
	if (rc)
		return cv_error_set(error, rc, "%s: %s", path, why.text);
	return cv_signature_equal(&applied->signature, &file->signature) ? 0 : -EAGAIN;
}

/* Print resources and read them back, as they will be in the file. */
static int print(struct cv_applied *applied, const char *path, struct cv_resource *const *resources,
		 size_t count, struct cv_error *error)
{
	char *text = cv_manifest_print_yaml(resources, count);
	struct cv_error why = {""};
	int rc = text ? 0 : -ENOMEM;
	int length = -1;

	if (!rc)
		length = asprintf(&applied->new_text, "%s%s",
				  strncmp(text, "---", 3) != 0 ? "---\n" : "", text);
	free(text);
	if (length < 0) {
		applied->new_text = NULL;
		return no_memory(error);
	}
	applied->new_length = (size_t)length;
	rc = cv_manifest_parse(path, applied->new_text, applied->new_length, &applied->printed,
			       &why);
	if (rc == -ENOMEM)
		return no_memory(error);
	if (!rc && applied->printed.count != count)
		rc = -EPROTO;
	for (size_t i = 0; i < count && !rc; i++) {
		if (strcmp(applied->printed.resources[i]->text, resources[i]->text) != 0)
			rc = -EPROTO;
	}
	return rc ? cv_error_set(
			    error, -EPROTO,
			    "this would not be read as it was written: %s; that is a defect of "
			    "Culvert: please report it, with the manifest",
			    *why.text ? why.text : "something is lost in between")
		  : 0;
}

/* Cut the old text, and keep the documents of what stays. -EINVAL: it cannot be cut. */
static int keep_documents(struct cv_applied *applied, const struct cv_manifest *old,
			  struct cv_resource *const *kept, size_t kept_count)
{
	struct cv_document *documents = calloc(old->count + 1, sizeof(*documents));
	int rc = documents ? cv_documents_cut(applied->old_text, applied->old_length,
					      old->resources, old->count, documents)
			   : -ENOMEM;

	/* kept is old's list without some, in the same order. */
	for (size_t i = 0; i < old->count && applied->count < kept_count && !rc; i++) {
		if (documents[i].resource == kept[applied->count])
			applied->documents[applied->count++] = documents[i];
	}
	free(documents);
	return rc;
}

/* Those that are printed: what is new, and what cannot be copied. */
static int add_printed(struct cv_applied *applied, const char *path,
		       struct cv_resource *const *resources, size_t count, struct cv_error *error)
{
	int rc = count ? print(applied, path, resources, count, error) : 0;

	if (rc || !count)
		return rc;
	rc = cv_documents_cut(applied->new_text, applied->new_length, applied->printed.resources,
			      count, applied->documents + applied->count);
	if (rc)
		return cv_error_set(error, -EPROTO,
				    "what was printed is no row of documents; that is a defect of "
				    "Culvert: please report it, with the manifest");
	applied->count += count;
	return 0;
}

/* By file, line and column: strverscmp knows numbers. */
static int by_place(const void *a, const void *b)
{
	char *const *one = a;
	char *const *other = b;

	return strverscmp(*one, *other);
}

/* Those of the documents that stay, and of those that are new, in the order of the new file. */
static void take_warnings(struct cv_applied *applied, const char *path,
			  const struct cv_manifest *old)
{
	if (applied->old_text)
		cv_documents_warn(applied->documents, applied->count, applied->old_text,
				  applied->old_length, path, &old->warnings, &applied->warnings);
	if (applied->new_text)
		cv_documents_warn(applied->documents, applied->count, applied->new_text,
				  applied->new_length, path, &applied->printed.warnings,
				  &applied->warnings);
	if (applied->warnings.count)
		qsort(applied->warnings.texts, applied->warnings.count,
		      sizeof(*applied->warnings.texts), by_place);
}

static int prepare(struct cv_applied *applied, const struct cv_manifest *old, const char *path,
		   const struct cv_store_changes *changes, struct cv_resource **resources,
		   struct cv_error *error)
{
	size_t kept = 0, count;
	int rc = cv_changes_keep(changes, old->resources, old->count, resources, &kept);

	applied->documents = calloc(old->count + changes->count + 1, sizeof(*applied->documents));
	if (rc || !applied->documents)
		return no_memory(error);
	count = kept + cv_changes_new(changes, resources + kept);
	rc = applied->old_text ? keep_documents(applied, old, resources, kept) : 0;
	if (rc == -ENOMEM)
		return no_memory(error);
	rc = add_printed(applied, path, resources + applied->count, count - applied->count, error);
	if (rc)
		return rc;
	cv_documents_arrange(applied->documents, applied->count, PREFACE_LINES);
	take_warnings(applied, path, old);
	return 0;
}

int cv_applied_prepare(struct cv_applied *ret_applied, const struct cv_directory *directory, int fd,
		       const char *path, const struct cv_store_changes *changes,
		       struct cv_error *error)
{
	static const struct cv_manifest nothing;
	const struct cv_directory_file *file = cv_directory_find(directory, CV_STORE_FILE);
	const struct cv_manifest *old = file ? &file->manifest : &nothing;
	struct cv_applied applied = {.count = 0};
	struct cv_resource **resources = NULL;
	int rc = 0;

	if (file && file->is_link)
		return cv_error_set(error, -EPERM,
				    "%s is a symbolic link, which Culvert does not write through; "
				    "put the file itself in its place",
				    path);
	if (file)
		rc = read_old(&applied, file, fd, path, error);
	if (!rc) {
		resources = calloc(old->count + changes->count + 1, sizeof(*resources));
		rc = resources ? prepare(&applied, old, path, changes, resources, error)
			       : no_memory(error);
	}
	free(resources);
	if (rc)
		cv_applied_fini(&applied);
	else
		*ret_applied = applied;
	return rc;
}

/* ---- writing ----------------------------------------------------------------------- */

static int write_text(FILE *out, void *data)
{
	const struct cv_applied *applied = data;

	if (fputs(preface, out) == EOF)
		return errno ? -errno : -EIO;
	return cv_documents_write(out, applied->documents, applied->count);
}

int cv_applied_write(const struct cv_applied *applied, const struct cv_directory *directory, int fd,
		     struct cv_signature *ret_signature, struct cv_error *error)
{
	struct cv_applied copy = *applied;
	const struct cv_replace replace = {
		.directory = fd,
		.path = directory->path,
		.name = CV_STORE_FILE,
		.expect = applied->signature.inode ? &applied->signature : NULL,
		.write = write_text,
		.data = &copy,
	};

	return cv_replace_file(&replace, ret_signature, error);
}

void cv_applied_adopt(struct cv_applied *applied, struct cv_directory *directory,
		      const struct cv_signature *signature)
{
	struct cv_manifest manifest = {
		.resources = calloc(applied->count + 1, sizeof(*manifest.resources)),
	};

	cv_documents_moved(applied->documents, applied->count);
	if (!manifest.resources)
		return;
	for (size_t i = 0; i < applied->count; i++)
		manifest.resources[i] = cv_resource_get(applied->documents[i].resource);
	manifest.count = applied->count;
	manifest.warnings = applied->warnings;
	applied->warnings = (struct cv_messages){.count = 0};
	if (cv_directory_put(directory, CV_STORE_FILE, signature, &manifest))
		cv_manifest_fini(&manifest);
}
