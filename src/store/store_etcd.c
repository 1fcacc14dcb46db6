/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of etcd: what the watcher (etcd_watch.h) brings becomes entries, their resources a
 * snapshot.
 *
 * Invariants:
 * - `snapshot` is the last good state. An etcd that is away, keys that contradict each other or
 * that are all gone at once leave it as it is; of a key whose value is broken the former one is in
 * it.
 * - `entries` is what etcd has now, as far as this thread knows it, with our own changes.
 * - Resources are made and counted by the main thread alone.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "store/difference.h"
#include "store/etcd_change.h"
#include "store/etcd_documents.h"
#include "store/etcd_entries.h"
#include "store/resource_key.h"
#include "store/store_ops.h"

enum {
	DELAY_MS = 2, /* changes that come together are looked at together */
	FIRST_LIST_MS = 1000,
	REQUEST_MS = 1500, /* of a change: the main loop waits for it */
	CALL_MS = 2000,
	SETTLE_MS = 1000, /* until another member is asked */
	NEWS_MS = 300,	  /* until the watch brings what somebody else has changed */
	TRIES = 5,
};

struct store_etcd {
	struct cv_store head;
	struct cv_datastore_config config;
	struct cv_etcd_watcher *watcher;
	struct cv_etcd *etcd; /* for changes */
	struct cv_etcd_entries entries;
	struct cv_error contradiction; /* between entries; "": none */
	bool was_used;		       /* before us, and nothing was in force since */
	bool is_listed;		       /* once at least */
	bool has_listed_again;	       /* as a list was older than our own changes */
	bool is_wiped;		       /* a list had no resource, and there were some */
	bool is_open;
	bool pending; /* another snapshot, which no refresh has told of yet */
};

static struct store_etcd *of(struct cv_store *head)
{
	return (struct store_etcd *)head;
}

/* ---- the state in force ------------------------------------------------------------------ */

static void set_warnings(struct store_etcd *store)
{
	cv_messages_fini(&store->head.warnings);
	for (size_t i = 0; i < store->entries.count; i++) {
		const struct cv_messages *more = &store->entries.items[i]->manifest.warnings;

		for (size_t j = 0; j < more->count; j++)
			cv_messages_add(&store->head.warnings, "%s", more->texts[j]);
	}
}

/* "etcd is away since 2026-11-26 18:00:00": what is logged once for as long as it lasts. */
static void begin_away(const struct cv_etcd_watcher_status *status, char text[64])
{
	time_t since = (time_t)status->since;
	struct tm tm;

	localtime_r(&since, &tm);
	strftime(text, 64, "etcd is away since %Y-%m-%d %H:%M:%S", &tm);
}

static void set_away(struct store_etcd *store, const struct cv_etcd_watcher_status *status)
{
	struct cv_error problem;
	char begin[64];

	begin_away(status, begin);
	cv_error_set(&problem, 0, "%s: %s", begin, status->why.text);
	/* Which endpoint was asked last is another each time. */
	if (!strncmp(store->head.told.text, begin, strlen(begin)))
		store->head.told = problem;
	cv_store_set_problem(&store->head, &problem);
}

static const struct cv_etcd_entry *first_broken(const struct cv_etcd_entries *entries)
{
	for (size_t i = 0; entries->broken && i < entries->count; i++) {
		if (*entries->items[i]->problem.text)
			return entries->items[i];
	}
	return NULL;
}

static void set_broken(struct store_etcd *store)
{
	const struct cv_etcd_entry *entry = first_broken(&store->entries);
	struct cv_error problem;
	char more[64] = "";

	if (store->entries.broken > 1)
		snprintf(more, sizeof(more), "; and %zu more keys", store->entries.broken - 1);
	cv_error_set(&problem, 0, "%.380s%s%s", entry->problem.text,
		     entry->manifest.count ? "; its former value stays" : "", more);
	cv_store_set_problem(&store->head, &problem);
}

static void judge(struct store_etcd *store)
{
	struct cv_etcd_watcher_status status;

	cv_etcd_watcher_status(store->watcher, &status);
	if (status.is_away || !store->is_listed)
		set_away(store, &status);
	else if (*store->contradiction.text)
		cv_store_set_problem(&store->head, &store->contradiction);
	else if (store->entries.broken)
		set_broken(store);
	else
		cv_store_clear_problem(&store->head, "etcd");
}

/* Put what the entries are in force, if that may be. true: there is another snapshot. */
static bool evaluate(struct store_etcd *store)
{
	struct cv_snapshot *snapshot = NULL;
	struct cv_resource **resources = NULL;
	size_t count = 0;
	int rc = cv_etcd_entries_resources(&store->entries, &resources, &count);

	if (!rc)
		rc = cv_snapshot_create(resources, count, &snapshot, &store->contradiction);
	else
		cv_error_set(&store->contradiction, rc, "out of memory");
	free(resources);
	if (!rc)
		rc = cv_snapshot_check_change(store->head.snapshot, snapshot,
					      &store->contradiction);
	if (rc) {
		cv_snapshot_put(snapshot);
		return false;
	}
	store->contradiction.text[0] = '\0';
	store->entries.has_changed = false;
	store->was_used = false;
	if (store->is_open && store->head.log)
		cv_difference_tell(store->head.snapshot, snapshot, store->head.log);
	cv_snapshot_put(store->head.snapshot);
	store->head.snapshot = snapshot;
	set_warnings(store);
	return true;
}

/* ---- looking ------------------------------------------------------------------------------- */

static bool has_applied(const struct cv_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->count; i++) {
		if (cv_etcd_is_applied(snapshot->resources[i]))
			return true;
	}
	return false;
}

/*
 * A list without any resource that was applied, where there were some, is more likely another etcd,
 * or one that was wiped, than meant: deleting them one by one is what is meant. The first that is
 * applied ends it; not blocks, which come with the next pod, nor Nodes that make themselves known.
 */
static bool is_wiped(struct store_etcd *store, const struct cv_etcd_news *news)
{
	if (news->is_whole)
		store->is_wiped = has_applied(store->head.snapshot) || store->was_used;
	if (store->entries.applied)
		store->is_wiped = false;
	if (store->is_wiped)
		cv_error_set(&store->contradiction, 0,
			     "etcd has no resource that was applied under " CV_DATASTORE_PREFIX
			     ", as if it was wiped; restore it, or apply the resources again");
	return store->is_wiped;
}

/* A list that was made before our own last change is made again; once, as etcd may be another. */
static bool is_outdated(struct store_etcd *store, const struct cv_etcd_news *news)
{
	if (!news->is_whole)
		return false;
	if (news->whole_revision >= store->entries.revision || store->has_listed_again) {
		store->has_listed_again = false;
		return false;
	}
	store->has_listed_again = true;
	cv_etcd_watcher_again(store->watcher);
	return true;
}

/* Take what is new into force. */
static void catch_up(struct store_etcd *store)
{
	struct cv_etcd_news news;
	bool is_new = false;

	cv_etcd_watcher_take(store->watcher, &news);
	if (!is_outdated(store, &news)) {
		store->is_listed = store->is_listed || news.is_whole;
		/* Without memory something is missing. */
		if (cv_etcd_entries_take_news(&store->entries, &news))
			cv_etcd_watcher_again(store->watcher);
		if (!is_wiped(store, &news) && store->is_listed &&
		    (store->entries.has_changed || *store->contradiction.text))
			is_new = evaluate(store);
	}
	cv_etcd_news_fini(&news);
	judge(store);
	store->pending = store->pending || is_new;
}

static int refresh(struct cv_store *head)
{
	struct store_etcd *store = of(head);
	int pending;

	catch_up(store);
	pending = store->pending;
	store->pending = false;
	return pending;
}

static int get_fd(const struct cv_store *head)
{
	return cv_etcd_watcher_fd(((const struct store_etcd *)head)->watcher);
}

/* Until the watcher has something, ms at most. */
static void wait_for_news(struct store_etcd *store, int ms)
{
	struct pollfd fd = {.fd = cv_etcd_watcher_fd(store->watcher), .events = POLLIN};

	(void)poll(&fd, 1, ms);
}

/* ---- changing ------------------------------------------------------------------------------- */

/* What the watcher knows is not asked again. */
static int check_there(struct store_etcd *store, struct cv_error *error)
{
	struct cv_etcd_watcher_status status;
	char begin[64];

	cv_etcd_watcher_status(store->watcher, &status);
	if (!status.is_away && store->is_listed)
		return 0;
	begin_away(&status, begin);
	return cv_error_set(error, -EHOSTUNREACH,
			    "nothing can be applied or deleted until etcd is back; %s: %s", begin,
			    status.why.text);
}

/* The state that a change is planned on: in force, or as contradictory as etcd's is. */
static int find_base(struct store_etcd *store, struct cv_snapshot **ret_base)
{
	struct cv_resource **resources;
	size_t count;
	int rc;

	if (!*store->contradiction.text) {
		*ret_base = cv_snapshot_get(store->head.snapshot);
		return 0;
	}
	rc = cv_etcd_entries_resources(&store->entries, &resources, &count);
	if (rc)
		return rc;
	rc = cv_snapshot_create_unchecked(resources, count, ret_base);
	free(resources);
	return rc;
}

static int make_plan(const struct cv_snapshot *base, const struct cv_store_request *request,
		     struct cv_store_changes *ret_changes, struct cv_error *error)
{
	if (request->names)
		return cv_change_plan_delete(base, CV_ETCD_ORIGIN, request->names, request->count,
					     ret_changes, error);
	return cv_change_plan_apply(base, CV_ETCD_ORIGIN, request->resources, request->count,
				    ret_changes, error);
}

/*
 * A change that gets no answer is in doubt, and whoever wanted it must look. So it is only sent to
 * a member that has just answered: the one that was used last may have been cut off since.
 */
static int commit(struct store_etcd *store, const struct cv_store_request *request,
		  const struct cv_snapshot *base, const struct cv_store_changes *changes,
		  struct cv_error *error)
{
	int rc = request->dry_run
			 ? 0
			 : cv_etcd_settle(store->etcd, store->entries.prefix, SETTLE_MS, error);

	return rc ? rc
		  : cv_etcd_change(store->etcd, &store->entries, base, changes, request->dry_run,
				   error);
}

/* One attempt. -EAGAIN: somebody else has changed something. */
static int attempt(struct store_etcd *store, const struct cv_store_request *request,
		   struct cv_store_changes *ret_changes, struct cv_error *error)
{
	struct cv_store_changes changes;
	struct cv_snapshot *base = NULL;
	int rc = check_there(store, error);

	if (rc)
		return rc;
	if (find_base(store, &base))
		return cv_error_set(error, -ENOMEM, "out of memory");
	rc = make_plan(base, request, &changes, error);
	if (rc) {
		cv_snapshot_put(base);
		return rc;
	}
	if (cv_changes_any(&changes)) {
		rc = cv_changes_check(base, &changes, error);
		if (!rc)
			rc = commit(store, request, base, &changes, error);
	}
	cv_snapshot_put(base);
	if (rc)
		cv_store_changes_fini(&changes);
	else
		*ret_changes = changes;
	return rc;
}

/* What was applied is in force at once; who applied tells of it. */
static void put_in_force(struct store_etcd *store)
{
	bool was_open = store->is_open;

	store->is_open = false;
	store->is_wiped = store->is_wiped && !store->entries.applied;
	if (!store->is_wiped)
		evaluate(store);
	store->is_open = was_open;
	judge(store);
}

/*
 * Somebody else has changed something: until it is known what. false: nothing has come. A member
 * without a majority would keep it from us until the watcher looks after that one.
 */
static bool await_others(struct store_etcd *store)
{
	int64_t before = store->entries.revision;

	wait_for_news(store, NEWS_MS);
	catch_up(store);
	return store->entries.revision != before;
}

static int change(struct cv_store *head, const struct cv_store_request *request,
		  struct cv_store_changes *ret_changes, struct cv_error *error)
{
	struct store_etcd *store = of(head);
	bool has_left = false;
	int rc = -EAGAIN;

	catch_up(store);
	for (int i = 0; i < TRIES && rc == -EAGAIN; i++) {
		if (i && !await_others(store) && !has_left) {
			has_left = true;
			cv_etcd_watcher_leave(store->watcher);
			/* Or it is not etcd that says so. */
			cv_etcd_move_on(store->etcd);
			await_others(store);
		}
		rc = attempt(store, request, ret_changes, error);
	}
	/* What came from others on the way is for the next refresh, and nothing else calls that. */
	if (store->pending)
		cv_etcd_watcher_poke(store->watcher);
	if (rc == -EAGAIN)
		return cv_error_set(
			error, -EBUSY,
			"others change the resources in etcd, and what they have changed last "
			"has not come here yet; try again");
	/* Also what is done of several transactions, of which one failed. */
	if (!request->dry_run && store->entries.has_changed)
		put_in_force(store);
	return rc;
}

/* ---- beginning and end ------------------------------------------------------------------- */

static void destroy(struct cv_store *head)
{
	struct store_etcd *store = of(head);

	cv_etcd_watcher_destroy(store->watcher);
	cv_etcd_destroy(store->etcd);
	cv_etcd_entries_fini(&store->entries);
	cv_datastore_config_fini(&store->config);
	cv_store_fini(head);
	free(store);
}

/* "etcd https://10.0.0.1:2379 https://10.0.0.2:2379". NULL: no memory. */
static char *name_datastore(const struct cv_datastore_config *config)
{
	struct cv_text text = {.data = NULL};

	cv_text_puts(&text, "etcd");
	for (size_t i = 0; i < config->endpoint_count; i++) {
		cv_text_puts(&text, " ");
		cv_text_puts(&text, config->endpoints[i]);
	}
	return cv_text_take(&text);
}

static int open_parts(struct store_etcd *store, struct cv_error *error)
{
	static const char *const listed[] = {
		CV_DATASTORE_PREFIX "/" CV_ETCD_BLOCKS,
		CV_DATASTORE_PREFIX "/" CV_ETCD_AFFINITIES,
		CV_DATASTORE_PREFIX "/" CV_RESOURCE_KEYS,
	};
	const struct cv_etcd_watcher_options watcher = {
		.config = &store->config,
		.prefix = CV_DATASTORE_PREFIX "/",
		.listed = listed,
		.listed_count = sizeof(listed) / sizeof(listed[0]),
	};
	const struct cv_etcd_options etcd = {
		.config = &store->config,
		.request_ms = REQUEST_MS,
		.call_ms = CALL_MS,
	};
	int rc = cv_etcd_create(&etcd, &store->etcd, error);

	return rc ? rc : cv_etcd_watcher_create(&watcher, &store->watcher, error);
}

int cv_store_etcd_create(const struct cv_store_options *options, struct cv_store **ret_store,
			 struct cv_error *error)
{
	static const struct cv_store_ops ops = {
		.fd = get_fd,
		.refresh = refresh,
		.change = change,
		.destroy = destroy,
	};
	struct store_etcd *store = calloc(1, sizeof(*store));
	int rc;

	if (!store)
		return cv_error_set(error, -ENOMEM, "out of memory");
	rc = cv_store_init(&store->head, &ops, options, error);
	store->head.delay_ms = DELAY_MS;
	store->was_used = options->was_used;
	store->entries.prefix = CV_DATASTORE_PREFIX "/";
	if (!rc && cv_datastore_config_copy(options->datastore, &store->config))
		rc = cv_error_set(error, -ENOMEM, "out of memory");
	store->head.datastore = rc ? NULL : name_datastore(&store->config);
	if (!rc && !store->head.datastore)
		rc = cv_error_set(error, -ENOMEM, "out of memory");
	if (!rc)
		rc = open_parts(store, error);
	if (rc) {
		destroy(&store->head);
		return rc;
	}
	wait_for_news(store, FIRST_LIST_MS);
	catch_up(store);
	store->pending = false;
	store->is_open = true;
	*ret_store = &store->head;
	return 0;
}
