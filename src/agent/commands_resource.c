/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources by command. A manifest is read and checked as a whole, then the store takes all of it
 * or nothing, then the node agent acts; the answer comes when it has.
 */
#include "agent/commands_resource.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/json_text.h"
#include "agent/log.h"
#include "agent/node.h"
#include "agent/node_json.h"
#include "model/manifest.h"
#include "model/nearest.h"

static const char *const actions[] = {
	[CV_STORE_CREATED] = "created",
	[CV_STORE_CONFIGURED] = "configured",
	[CV_STORE_UNCHANGED] = "unchanged",
	[CV_STORE_DELETED] = "deleted",
};

/* ---- manifests of a request -------------------------------------------------------------- */

static int join(struct cv_manifest *to, struct cv_manifest *from, struct cv_error *error)
{
	size_t count = to->count + from->count;
	struct cv_resource **resources =
		realloc(to->resources, (count + 1) * sizeof(struct cv_resource *));

	if (!resources)
		return cv_error_set(error, -ENOMEM, "out of memory");
	to->resources = resources;
	for (size_t i = 0; i < from->count; i++)
		resources[to->count++] = from->resources[i];
	from->count = 0;
	for (size_t i = 0; i < from->warnings.count; i++)
		cv_messages_add(&to->warnings, "%s", from->warnings.texts[i]);
	return 0;
}

static int by_kind_and_name(const void *a, const void *b)
{
	return cv_resource_compare(*(struct cv_resource *const *)a,
				   *(struct cv_resource *const *)b);
}

/* The store would take the last of two; that would hide a mistake. */
static int check_doubles(const struct cv_manifest *manifest, struct cv_error *error)
{
	struct cv_resource **sorted = calloc(manifest->count + 1, sizeof(*sorted));
	int rc = 0;

	if (!sorted)
		return cv_error_set(error, -ENOMEM, "out of memory");
	if (manifest->count)
		memcpy(sorted, manifest->resources, manifest->count * sizeof(*sorted));
	qsort(sorted, manifest->count, sizeof(*sorted), by_kind_and_name);
	for (size_t i = 1; i < manifest->count && !rc; i++) {
		const struct cv_resource *a = sorted[i - 1], *b = sorted[i];

		if (!cv_resource_compare(a, b))
			rc = cv_error_set(error, -EEXIST,
					  "%s:%u: %s %s is there a second time (first: %s:%u); "
					  "leave one out",
					  b->origin.file, b->origin.line, cv_kind_name(b->kind),
					  b->name, a->origin.file, a->origin.line);
	}
	free(sorted);
	return rc;
}

/* All files of a request as one manifest; the caller ends *ret_manifest. */
static int read_files(const struct cv_request *request, struct cv_manifest *ret_manifest,
		      struct cv_error *error)
{
	const struct cv_request_resources *resources = &request->resources;
	struct cv_manifest all = {.count = 0};
	int rc = 0;

	for (size_t i = 0; i < resources->file_count && !rc; i++) {
		const struct cv_request_file *file = &resources->files[i];
		struct cv_manifest one;

		rc = cv_manifest_parse(file->name, file->text, file->length, &one, error);
		if (rc)
			break;
		rc = join(&all, &one, error);
		cv_manifest_fini(&one);
	}
	if (!rc)
		rc = check_doubles(&all, error);
	if (rc)
		cv_manifest_fini(&all);
	else
		*ret_manifest = all;
	return rc;
}

/* ---- answers -------------------------------------------------------------------------------- */

static const struct cv_resource *resource_of(const struct cv_store_change *change)
{
	return change->after ? change->after : change->before;
}

static json_t *changes_to_json(const struct cv_store_changes *changes, bool with_texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < changes->count; i++) {
		const struct cv_store_change *change = &changes->items[i];
		const struct cv_resource *resource = resource_of(change);
		json_t *json = json_pack("{s:s, s:s, s:s}", "kind", cv_kind_name(resource->kind),
					 "name", resource->name, "action", actions[change->action]);

		if (with_texts) {
			json_object_set_new(json, "before",
					    change->before ? json_string(change->before->text)
							   : json_null());
			json_object_set_new(json, "after",
					    change->after ? json_string(change->after->text)
							  : json_null());
		}
		json_array_append_new(array, json);
	}
	return array;
}

enum {
	LOGGED_CHANGES = 20 /* of one command, one by one */
};

static void log_changes(const struct cv_store_changes *changes, const struct cv_peer *peer)
{
	size_t told = 0, untold = 0;

	for (size_t i = 0; i < changes->count; i++) {
		const struct cv_store_change *change = &changes->items[i];

		if (change->action == CV_STORE_UNCHANGED)
			continue;
		if (told++ < LOGGED_CHANGES)
			cv_log(LOG_INFO, "%s %s: %s, as process %d asked",
			       cv_kind_name(resource_of(change)->kind), resource_of(change)->name,
			       actions[change->action], (int)peer->pid);
		else
			untold++;
	}
	if (untold)
		cv_log(LOG_INFO, "… and %zu more resources, as process %d asked", untold,
		       (int)peer->pid);
}

/* ---- apply ---------------------------------------------------------------------------------- */

static void add_messages(struct cv_messages *to, const struct cv_messages *from)
{
	for (size_t i = 0; i < from->count; i++)
		cv_messages_add(to, "%s", from->texts[i]);
}

/*
 * A warning without the place that it may begin with ("FILE:LINE: "), which moves when the file is
 * written anew. Whatever else comes before a colon tells one warning from another.
 */
static const char *without_place(const char *text)
{
	const char *end = strstr(text, ": "), *line = end;

	while (line && line > text && line[-1] >= '0' && line[-1] <= '9')
		line--;
	return line && line < end && line > text && line[-1] == ':' ? end + 2 : text;
}

static bool is_among(const struct cv_messages *messages, const char *text)
{
	for (size_t i = 0; i < messages->count; i++) {
		if (!strcmp(without_place(messages->texts[i]), without_place(text)))
			return true;
	}
	return false;
}

/* What there was no warning of before, and is not said to come next either. */
static void add_news(json_t *warnings, const json_t *next, const struct cv_messages *before,
		     const struct cv_messages *now)
{
	for (size_t i = 0; i < now->count; i++) {
		const json_t *line;
		bool is_told = is_among(before, now->texts[i]);
		size_t j;

		json_array_foreach(next, j, line)
		{
			is_told |= !strcmp(json_string_value(line), now->texts[i]);
		}
		if (!is_told)
			json_array_append_new(warnings, cv_json_text(now->texts[i]));
	}
}

/*
 * Act on what the store has taken, and answer. before: the warnings that there were; warnings:
 * taken over. Ends *changes.
 */
static json_t *act(const struct cv_commands *commands, const struct cv_peer *peer, bool dry_run,
		   bool with_summary, const struct cv_messages *before, json_t *warnings,
		   struct cv_store_changes *changes)
{
	json_t *summary = NULL, *result;

	if (!dry_run) {
		log_changes(changes, peer);
		cv_node_reconcile(commands->node);
		if (with_summary)
			summary = cv_node_summary_to_json(commands->node);
	}
	add_news(warnings, json_object_get(summary, "next"), before,
		 dry_run ? &changes->warnings : &cv_node_intent(commands->node)->warnings);
	result = json_pack("{s:o, s:o}", "changes", changes_to_json(changes, false), "warnings",
			   warnings);
	if (summary)
		json_object_set_new(result, "summary", summary);
	cv_store_changes_fini(changes);
	return result;
}

static int apply(const struct cv_commands *commands, const struct cv_manifest *manifest,
		 bool dry_run, const struct cv_peer *peer, json_t **ret_result,
		 struct cv_error *error)
{
	struct cv_messages before = {.count = 0};
	struct cv_store_changes changes;
	int rc;

	add_messages(&before, &cv_node_intent(commands->node)->warnings);
	rc = cv_store_apply(cv_node_store(commands->node), manifest->resources, manifest->count,
			    dry_run, &changes, error);
	if (!rc)
		*ret_result = act(commands, peer, dry_run, true, &before,
				  cv_messages_to_json(&manifest->warnings), &changes);
	cv_messages_fini(&before);
	return rc;
}

int cv_commands_apply(const struct cv_commands *commands, const struct cv_request *request,
		      const struct cv_peer *peer, json_t **ret_result, struct cv_error *error)
{
	struct cv_manifest manifest;
	int rc = read_files(request, &manifest, error);

	if (rc)
		return rc;
	if (!manifest.count && !manifest.warnings.count)
		rc = cv_error_set(error, -EINVAL, "%s: there is no resource in it",
				  request->resources.files[0].name);
	else
		rc = apply(commands, &manifest, request->resources.dry_run, peer, ret_result,
			   error);
	cv_manifest_fini(&manifest);
	return rc;
}

/* ---- delete --------------------------------------------------------------------------------- */

static int delete (const struct cv_commands *commands, const struct cv_store_name *names,
		   size_t count, const struct cv_request *request, const struct cv_peer *peer,
		   json_t **ret_result, struct cv_error *error)
{
	struct cv_messages before = {.count = 0};
	struct cv_store_changes changes;
	bool dry_run = request->resources.dry_run;
	int rc;

	add_messages(&before, &cv_node_intent(commands->node)->warnings);
	rc = cv_store_delete(cv_node_store(commands->node), names, count, dry_run, &changes, error);
	if (!rc)
		*ret_result = act(commands, peer, dry_run, false, &before, json_array(), &changes);
	cv_messages_fini(&before);
	return rc;
}

static int delete_files(const struct cv_commands *commands, const struct cv_request *request,
			const struct cv_peer *peer, json_t **ret_result, struct cv_error *error)
{
	struct cv_store_name *names;
	struct cv_manifest manifest;
	int rc = read_files(request, &manifest, error);

	if (rc)
		return rc;
	names = calloc(manifest.count + 1, sizeof(*names));
	for (size_t i = 0; names && i < manifest.count; i++)
		names[i] = (struct cv_store_name){manifest.resources[i]->kind,
						  manifest.resources[i]->name, false};
	rc = names ? delete (commands, names, manifest.count, request, peer, ret_result, error)
		   : cv_error_set(error, -ENOMEM, "out of memory");
	free(names);
	cv_manifest_fini(&manifest);
	return rc;
}

int cv_commands_delete(const struct cv_commands *commands, const struct cv_request *request,
		       const struct cv_peer *peer, json_t **ret_result, struct cv_error *error)
{
	const struct cv_request_resources *resources = &request->resources;
	struct cv_store_name *names;
	int rc;

	if (resources->file_count)
		return delete_files(commands, request, peer, ret_result, error);
	names = calloc(resources->name_count + 1, sizeof(*names));
	if (!names)
		return cv_error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < resources->name_count; i++)
		names[i] = (struct cv_store_name){resources->kind, resources->names[i], true};
	rc = delete (commands, names, resources->name_count, request, peer, ret_result, error);
	free(names);
	return rc;
}

/* ---- get ------------------------------------------------------------------------------------ */

static json_t *resource_to_json(const struct cv_resource *resource)
{
	return json_pack("{s:s, s:o, s:i}", "text", resource->text, "file",
			 cv_json_text(resource->origin.file), "line", (int)resource->origin.line);
}

static int not_found(const struct cv_snapshot *snapshot, enum cv_kind kind, const char *name,
		     struct cv_error *error)
{
	struct cv_nearest nearest;
	size_t count;
	struct cv_resource *const *resources = cv_snapshot_kind(snapshot, kind, &count);

	cv_nearest_init(&nearest, name);
	for (size_t i = 0; i < count; i++)
		cv_nearest_offer(&nearest, resources[i]->name);
	if (nearest.best)
		return cv_error_set(error, -ENOENT, "there is no %s %.64s; did you mean %s?",
				    cv_kind_name(kind), name, nearest.best);
	return cv_error_set(error, -ENOENT, "there is no %s %.64s; \"culvert get %s\" lists them",
			    cv_kind_name(kind), name, cv_kind_name(kind));
}

int cv_commands_get(const struct cv_commands *commands, const struct cv_request *request,
		    json_t **ret_result, struct cv_error *error)
{
	const struct cv_snapshot *snapshot = cv_store_snapshot(cv_node_store(commands->node));
	const struct cv_request_resources *wanted = &request->resources;
	size_t count = snapshot->count;
	struct cv_resource *const *resources = snapshot->resources;
	struct cv_resource *one;
	json_t *array;

	if (wanted->has_kind)
		resources = cv_snapshot_kind(snapshot, wanted->kind, &count);
	if (wanted->has_kind && wanted->name_count) {
		one = cv_snapshot_find(snapshot, wanted->kind, wanted->names[0]);
		if (!one)
			return not_found(snapshot, wanted->kind, wanted->names[0], error);
		resources = &one;
		count = 1;
	}
	array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, resource_to_json(resources[i]));
	*ret_result = json_pack("{s:o}", "resources", array);
	return 0;
}

/* ---- diff ----------------------------------------------------------------------------------- */

int cv_commands_diff(const struct cv_commands *commands, const struct cv_request *request,
		     json_t **ret_result, struct cv_error *error)
{
	struct cv_store_changes changes;
	struct cv_manifest manifest;
	int rc = read_files(request, &manifest, error);

	if (rc)
		return rc;
	rc = cv_store_apply(cv_node_store(commands->node), manifest.resources, manifest.count, true,
			    &changes, error);
	if (!rc) {
		json_t *warnings = cv_messages_to_json(&manifest.warnings);

		*ret_result = json_pack("{s:o, s:o}", "changes", changes_to_json(&changes, true),
					"warnings", warnings);
		cv_store_changes_fini(&changes);
	}
	cv_manifest_fini(&manifest);
	return rc;
}
