/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans of changes.
 *
 * Invariant: a plan that was made names only resources that may be written: new ones, and
 * those of our own file; and each one once.
 */
#include "store/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/nearest.h"
#include "model/place.h"

void cv_store_changes_fini(struct cv_store_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		cv_resource_put(changes->items[i].before);
		cv_resource_put(changes->items[i].after);
	}
	free(changes->items);
	cv_messages_fini(&changes->warnings);
	*changes = (struct cv_store_changes){.count = 0};
}

static int by_resource(const void *a, const void *b)
{
	struct cv_resource *const *one = a;
	struct cv_resource *const *other = b;

	return cv_resource_compare(*one, *other);
}

static int no_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

/* A manifest must not say two things of one resource. */
static int check_once(struct cv_resource *const *resources, size_t count, struct cv_error *error)
{
	struct cv_resource **sorted = calloc(count, sizeof(*sorted));
	char at[CV_PLACE_MAX];
	int rc = 0;

	if (!sorted)
		return no_memory(error);
	memcpy(sorted, resources, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_resource);
	for (size_t i = 1; i < count && !rc; i++) {
		const struct cv_resource *a = sorted[i - 1], *b = sorted[i];

		if (cv_resource_compare(a, b) != 0)
			continue;
		/* qsort does not keep the order of what is equal. */
		if (cv_place_is_later(a, b)) {
			a = sorted[i];
			b = sorted[i - 1];
		}
		rc = cv_error_set(error, -EEXIST,
				  "%.256s:%u:%u: %s %s is there already, at %s; remove one of them",
				  b->origin.file, b->origin.line, b->origin.column,
				  cv_kind_name(b->kind), b->name, cv_place_text(a, at));
	}
	free(sorted);
	return rc;
}

static int check_own(const struct cv_resource *resource, const char *own_file, const char *verb,
		     struct cv_error *error)
{
	size_t length = strlen(own_file);
	char at[CV_PLACE_MAX];

	if (!strcmp(resource->origin.file, own_file) ||
	    (own_file[length - 1] == ':' && !strncmp(resource->origin.file, own_file, length)))
		return 0;
	return cv_error_set(error, -EPERM,
			    "%s %s is in %s, which is a file of yours that Culvert does not "
			    "write; %s it there",
			    cv_kind_name(resource->kind), resource->name,
			    cv_place_text(resource, at), verb);
}

static int plan_one(const struct cv_snapshot *snapshot, const char *own_file,
		    struct cv_resource *resource, struct cv_store_change *ret_change,
		    struct cv_error *error)
{
	struct cv_resource *before = cv_snapshot_find(snapshot, resource->kind, resource->name);
	enum cv_store_action action = CV_STORE_CREATED;
	int rc = 0;

	if (before && !strcmp(before->text, resource->text)) {
		action = CV_STORE_UNCHANGED;
	} else if (before) {
		action = CV_STORE_CONFIGURED;
		rc = check_own(before, own_file, "change", error);
	}
	if (rc)
		return rc;
	*ret_change = (struct cv_store_change){
		.action = action,
		.before = cv_resource_get(before),
		.after = cv_resource_get(resource),
	};
	return 0;
}

static int changes_init(struct cv_store_changes *ret_changes, size_t count, struct cv_error *error)
{
	*ret_changes = (struct cv_store_changes){
		.items = calloc(count + 1, sizeof(struct cv_store_change))};
	return ret_changes->items ? 0 : no_memory(error);
}

int cv_change_plan_apply(const struct cv_snapshot *snapshot, const char *own_file,
			 struct cv_resource *const *resources, size_t count,
			 struct cv_store_changes *ret_changes, struct cv_error *error)
{
	struct cv_store_changes changes;
	int rc = count ? check_once(resources, count, error) : 0;

	if (!rc)
		rc = changes_init(&changes, count, error);
	if (rc)
		return rc;
	for (size_t i = 0; i < count; i++) {
		rc = plan_one(snapshot, own_file, resources[i], &changes.items[i], error);
		if (rc) {
			cv_store_changes_fini(&changes);
			return rc;
		}
		changes.count++;
	}
	*ret_changes = changes;
	return 0;
}

static int by_before(const void *a, const void *b)
{
	const struct cv_store_change *one = a;
	const struct cv_store_change *other = b;

	return cv_resource_compare(one->before, other->before);
}

/* Sort deletions, and drop what was named twice. */
static void make_unique(struct cv_store_changes *changes)
{
	size_t count = 0;

	if (changes->count)
		qsort(changes->items, changes->count, sizeof(*changes->items), by_before);
	for (size_t i = 0; i < changes->count; i++) {
		if (count && changes->items[count - 1].before == changes->items[i].before)
			cv_resource_put(changes->items[i].before);
		else
			changes->items[count++] = changes->items[i];
	}
	changes->count = count;
}

/* A slip in one of several names, most often: what was meant is said. */
static int not_there(const struct cv_snapshot *snapshot, const struct cv_store_name *name,
		     size_t count, struct cv_error *error)
{
	const char *nothing = count > 1 ? "; nothing is deleted" : "";
	struct cv_nearest nearest;
	size_t others;
	struct cv_resource *const *resources = cv_snapshot_kind(snapshot, name->kind, &others);

	cv_nearest_init(&nearest, name->name);
	for (size_t i = 0; i < others; i++)
		cv_nearest_offer(&nearest, resources[i]->name);
	if (nearest.best)
		return cv_error_set(error, -ENOENT, "there is no %s %.256s%s; did you mean %s?",
				    cv_kind_name(name->kind), name->name, nothing, nearest.best);
	return cv_error_set(
		error, -ENOENT, "there is no %s %.256s%s; \"culvert get %s\" lists them",
		cv_kind_name(name->kind), name->name, nothing, cv_kind_name(name->kind));
}

int cv_change_plan_delete(const struct cv_snapshot *snapshot, const char *own_file,
			  const struct cv_store_name *names, size_t count,
			  struct cv_store_changes *ret_changes, struct cv_error *error)
{
	struct cv_store_changes changes;
	int rc = changes_init(&changes, count, error);

	if (rc)
		return rc;
	for (size_t i = 0; i < count && !rc; i++) {
		struct cv_resource *before =
			cv_snapshot_find(snapshot, names[i].kind, names[i].name);

		if (!before && names[i].must_exist) {
			rc = not_there(snapshot, &names[i], count, error);
			break;
		}
		if (!before)
			continue;
		rc = check_own(before, own_file, "remove", error);
		if (rc)
			break;
		changes.items[changes.count++] = (struct cv_store_change){
			.action = CV_STORE_DELETED,
			.before = cv_resource_get(before),
		};
	}
	if (!rc && count && !changes.count)
		rc = cv_error_set(error, -ENOENT, "there is no %s %s%s",
				  cv_kind_name(names[0].kind), names[0].name,
				  count > 1 ? ", nor any of the others" : "");
	if (rc) {
		cv_store_changes_fini(&changes);
		return rc;
	}
	make_unique(&changes);
	*ret_changes = changes;
	return 0;
}

/* ---- what comes of it -------------------------------------------------------------- */

bool cv_changes_any(const struct cv_store_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		if (changes->items[i].action != CV_STORE_UNCHANGED)
			return true;
	}
	return false;
}

int cv_changes_keep(const struct cv_store_changes *changes, struct cv_resource *const *resources,
		    size_t count, struct cv_resource **ret_kept, size_t *ret_count)
{
	struct cv_resource **gone = calloc(changes->count + 1, sizeof(*gone));
	size_t kept = 0, left = 0;

	if (!gone)
		return -ENOMEM;
	for (size_t i = 0; i < changes->count; i++) {
		const struct cv_store_change *change = &changes->items[i];

		if (change->before && change->action != CV_STORE_UNCHANGED)
			gone[left++] = change->before;
	}
	if (left)
		qsort(gone, left, sizeof(*gone), by_resource);
	for (size_t i = 0; i < count; i++) {
		if (!left || !bsearch(&resources[i], gone, left, sizeof(*gone), by_resource))
			ret_kept[kept++] = resources[i];
	}
	free(gone);
	*ret_count = kept;
	return 0;
}

size_t cv_changes_new(const struct cv_store_changes *changes, struct cv_resource **ret_new)
{
	size_t count = 0;

	for (size_t i = 0; i < changes->count; i++) {
		const struct cv_store_change *change = &changes->items[i];

		if (change->after && change->action != CV_STORE_UNCHANGED)
			ret_new[count++] = change->after;
	}
	return count;
}

int cv_changes_check(const struct cv_snapshot *snapshot, struct cv_store_changes *changes,
		     struct cv_error *error)
{
	struct cv_resource **resources =
		calloc(snapshot->count + changes->count + 1, sizeof(*resources));
	struct cv_snapshot *after = NULL;
	size_t count = 0;
	int rc = resources ? cv_changes_keep(changes, snapshot->resources, snapshot->count,
					     resources, &count)
			   : -ENOMEM;

	if (rc) {
		free(resources);
		return no_memory(error);
	}
	count += cv_changes_new(changes, resources + count);
	rc = cv_snapshot_create(resources, count, &after, error);
	free(resources);
	if (!rc)
		rc = cv_snapshot_check_change(snapshot, after, error);
	for (size_t i = 0; !rc && i < after->warnings.count; i++)
		cv_messages_add(&changes->warnings, "%s", after->warnings.texts[i]);
	cv_snapshot_put(after);
	return rc;
}
