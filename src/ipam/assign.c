/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assigning. Requests are planned one after the other into blocks in memory, then written in one
 * commit. What was planned on something that has changed meanwhile is planned again.
 *
 * Handles are not read at first: a new pod's is not there, and the commit says so if it is. So the
 * common assignment is one commit and nothing else.
 *
 * After a commit without an answer, the block is read again: it was done if our handle has the very
 * address with the number that the block had then. If it was not, it may still come; but every
 * commit for a handle is made at the revision of the handle's document, so only one of them can
 * succeed. Which one, is looked for among all that were tried.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ipam/state.h"
#include "wire/bytes.h"

/* An address that was to be ours, and the number that would be beside it. */
struct attempt {
	struct cv_prefix cidr;
	uint32_t ordinal;
	uint64_t sequence;
};

struct job {
	const struct cv_ipam_request *request;
	struct cv_ipam_result *result;
	bool is_planned, is_done;
	bool takes; /* planned: attempt is to be committed */
	struct attempt attempt;
	/* Those of commits whose outcome is not known. */
	struct attempt unsure[CV_IPAM_TIMEOUTS + 1];
	size_t unsure_count;
};

/* ---- attributes ------------------------------------------------------------------ */

static const char *attribute_of(const struct cv_ipam_request *request, const char *name)
{
	for (size_t i = 0; i < request->attribute_count; i++)
		if (!strcmp(request->attributes[i].name, name))
			return request->attributes[i].value;
	return NULL;
}

/* {"handle_id":…,"secondary":{…}}, sorted as Go sorts maps. The caller frees it; NULL: no memory,
 * or no UTF-8. */
static char *attribute_text(const struct cv_ipam *ipam, const struct cv_ipam_request *request)
{
	json_t *secondary = json_object(), *root;
	char *text = NULL;
	bool is_good = secondary;

	for (size_t i = 0; i < request->attribute_count; i++)
		is_good = !json_object_set_new(secondary, request->attributes[i].name,
					       json_string(request->attributes[i].value)) &&
			  is_good;
	if (!request->is_nobodys && !attribute_of(request, "node"))
		is_good = !json_object_set_new(secondary, "node", json_string(ipam->world.node)) &&
			  is_good;
	root = json_pack("{s:s, s:O}", "handle_id", request->handle, "secondary", secondary);
	if (is_good && root)
		text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(root);
	json_decref(secondary);
	return text;
}

/* ---- taking an address ----------------------------------------------------------- */

static void note_result(const struct cv_ipam *ipam, struct job *job,
			const struct cv_ipam_entry *entry, uint32_t ordinal)
{
	job->result->address = cv_block_address(&entry->block, ordinal);
	job->result->block = entry->block.cidr;
	job->result->is_borrowed = !cv_block_is_of(&entry->block, ipam->world.node);
	job->is_planned = true;
}

/* Our affinity that is not yet, or not any more, confirmed becomes so with the next commit. */
static void confirm(struct cv_ipam *ipam, struct cv_ipam_entry *entry)
{
	const struct cv_ipam_own *own = cv_ipam_find_own(ipam, &entry->block.cidr);

	if (!own || own->is_confirmed || entry->needs_affinity ||
	    !cv_block_is_of(&entry->block, ipam->world.node))
		return;
	entry->needs_affinity = true;
	entry->affinity_revision = own->revision;
}

static int take(struct cv_ipam *ipam, struct job *job, struct cv_ipam_held *held,
		struct cv_ipam_entry *entry, uint32_t ordinal)
{
	const struct cv_ipam_request *request = job->request;
	const char *node = attribute_of(request, "node");
	const char *own = request->is_nobodys ? NULL : ipam->world.node;
	char *text = attribute_text(ipam, request);
	uint32_t count = cv_handle_in(&held->handle, &entry->block.cidr);
	int rc;

	if (!text)
		return cv_error_set(&job->result->error, -EINVAL,
				    "an attribute of %.64s is no UTF-8", request->handle);
	confirm(ipam, entry);
	entry->is_touched = held->is_touched = true;
	job->attempt = (struct attempt){entry->block.cidr, ordinal, entry->block.sequence};
	job->takes = true;
	rc = cv_block_assign(&entry->block, ordinal, request->handle, node ? node : own, text);
	free(text);
	if (!rc)
		rc = cv_handle_set(&held->handle, &entry->block.cidr, count + 1);
	if (rc)
		return cv_error_set(&job->result->error, rc, "no memory");
	note_result(ipam, job, entry, ordinal);
	return 0;
}

/* ---- what it has already --------------------------------------------------------- */

/* Whether the handle has an address that answers the request. 0; -ENOENT: it has none. */
static int find_held(struct cv_ipam *ipam, struct job *job, const struct cv_ipam_held *held)
{
	for (size_t i = 0; i < held->handle.count; i++) {
		const struct cv_handle_count *count = &held->handle.counts[i];
		__be32 wanted = job->request->address;
		struct cv_ipam_entry *entry;
		uint32_t ordinal;
		int rc;

		if (!count->is_ipv4 || (wanted && !cv_prefix_has(&count->block, wanted)))
			continue;
		rc = cv_ipam_load(ipam, &count->block, true, &entry, &job->result->error);
		if (rc == -ENOENT)
			continue;
		if (rc)
			return rc;
		ordinal = cv_block_find(&entry->block, job->request->handle,
					wanted ? cv_block_ordinal(&entry->block, wanted) : 0);
		if (ordinal == entry->block.size ||
		    (wanted && cv_block_address(&entry->block, ordinal) != wanted))
			continue;
		job->result->was_there = true;
		note_result(ipam, job, entry, ordinal);
		return 0;
	}
	return -ENOENT;
}

/* Whether a commit of which nothing was heard has happened. 0; -ENOENT: not, or not yet. */
static int find_attempt(struct cv_ipam *ipam, struct job *job, const struct attempt *attempt)
{
	struct cv_ipam_entry *entry;
	int rc = cv_ipam_load(ipam, &attempt->cidr, true, &entry, &job->result->error);

	if (rc)
		return rc;
	if (!cv_block_has(&entry->block, attempt->ordinal, job->request->handle) ||
	    entry->block.sequences[attempt->ordinal] != attempt->sequence)
		return -ENOENT;
	note_result(ipam, job, entry, attempt->ordinal);
	return 0;
}

/* ---- any address ----------------------------------------------------------------- */

/* A block of ours, read or made. 0; -ENOENT, -EUCLEAN, -EEXIST: it is no good; or of the kv. */
static int load_own(struct cv_ipam *ipam, const struct cv_ipam_own *own,
		    struct cv_ipam_entry **ret_entry, struct cv_error *error)
{
	struct cv_ipam_entry *entry;
	int rc = cv_ipam_load(ipam, &own->cidr, false, &entry, error);

	if (rc == -ENOENT)
		rc = cv_ipam_make(ipam, &own->cidr, own->revision, &entry, error);
	if (rc)
		return rc;
	if (entry->block.is_deleted)
		return -ENOENT;
	if (!cv_block_is_of(&entry->block, ipam->world.node)) {
		if (ipam->world.claims)
			return -ENOENT; /* the affinity is stray */
		/* The host had another name. */
		rc = cv_ipam_adopt(ipam, entry);
	}
	*ret_entry = entry;
	return rc;
}

static int take_own(struct cv_ipam *ipam, struct job *job, struct cv_ipam_held *held)
{
	for (size_t i = 0; i < ipam->own.count; i++) {
		/* A copy: what is ours may grow. */
		struct cv_ipam_own own = *(struct cv_ipam_own *)cv_vector_at(&ipam->own, i);
		const struct cv_ipam_pool *pool = cv_ipam_pool_of(ipam, &own.cidr);
		struct cv_ipam_entry *entry;
		uint32_t ordinal;
		int rc;

		if (!pool || !cv_ipam_pool_is_wanted(pool, job->request))
			continue;
		rc = load_own(ipam, &own, &entry, &job->result->error);
		if (rc && cv_ipam_is_store_error(rc))
			return rc;
		if (rc)
			continue;
		if (cv_block_next(&entry->block, &ipam->holes, &ordinal))
			return take(ipam, job, held, entry, ordinal);
		if (entry->revision == CV_KV_ABSENT && !entry->is_touched)
			cv_ipam_forget(ipam, entry); /* holes alone */
	}
	return -ENOSPC;
}

static int take_from(struct cv_ipam *ipam, struct job *job, struct cv_ipam_held *held,
		     struct cv_ipam_entry *entry)
{
	uint32_t ordinal;

	if (!cv_block_next(&entry->block, &ipam->holes, &ordinal))
		return -ENOSPC;
	return take(ipam, job, held, entry, ordinal);
}

static size_t append(char *text, size_t length, const char *words)
{
	int more = snprintf(text + length, CV_ERROR_TEXT_MAX - length, "%s", words);

	length += (size_t)more;
	return length < CV_ERROR_TEXT_MAX ? length : CV_ERROR_TEXT_MAX - 1;
}

/* Where was looked. */
static int say_full(const struct cv_ipam *ipam, struct job *job)
{
	struct cv_error why = job->result->error;
	char blocks[CV_ERROR_TEXT_MAX] = "", pools[CV_ERROR_TEXT_MAX] = "";
	char text[CV_PREFIX_TEXT_MAX];
	size_t length = 0, count = 0;

	for (size_t i = 0; i < ipam->own.count; i++) {
		const struct cv_ipam_own *own = cv_vector_at(&ipam->own, i);
		const struct cv_ipam_pool *pool = cv_ipam_pool_of(ipam, &own->cidr);

		if (!pool || !cv_ipam_pool_is_wanted(pool, job->request) || count++ >= 4)
			continue;
		length = append(blocks, length, length ? ", " : "");
		length = append(blocks, length, cv_prefix_format(&own->cidr, text));
	}
	if (count > 4)
		append(blocks, length, " and others");
	length = 0;
	for (size_t i = 0; i < ipam->world.pool_count; i++) {
		const struct cv_ipam_pool *pool = &ipam->world.pools[i];

		if (!cv_ipam_pool_is_wanted(pool, job->request) || length > 200)
			continue;
		length = append(pools, length, length ? ", " : "");
		length = append(pools, length, pool->name);
	}
	return cv_error_set(&job->result->error, -ENOSPC,
			    "no address is free for %s: %zu block%s of this node (%.90s) in pools "
			    "%.100s%s%.120s",
			    ipam->world.node, count, count == 1 ? "" : "s", count ? blocks : "none",
			    *pools ? pools : "(none selects this node)", *why.text ? "; " : "",
			    why.text);
}

static int take_any(struct cv_ipam *ipam, struct job *job, struct cv_ipam_held *held)
{
	struct cv_ipam_entry *entry;
	int rc = take_own(ipam, job, held);

	if (rc == -ENOSPC && cv_ipam_refresh(ipam)) {
		ipam->knows_own = false;
		rc = cv_ipam_know_own(ipam, &job->result->error);
		if (!rc)
			rc = take_own(ipam, job, held);
	}
	if (rc != -ENOSPC || !ipam->world.claims)
		return rc == -ENOSPC ? say_full(ipam, job) : rc;
	rc = cv_ipam_claim(ipam, job->request, &entry, &job->result->error);
	if (rc == -ENOSPC && !ipam->world.strict_affinity)
		rc = cv_ipam_borrow(ipam, job->request, &entry, &job->result->error);
	if (!rc)
		rc = take_from(ipam, job, held, entry);
	return rc == -ENOSPC ? say_full(ipam, job) : rc;
}

/* ---- one address ----------------------------------------------------------------- */

static int refuse_hole(const struct cv_ipam *ipam, struct job *job)
{
	const struct cv_prefix *smallest = NULL;
	char address[CV_ADDRESS_TEXT_MAX], hole[CV_PREFIX_TEXT_MAX];

	for (size_t i = 0; i < ipam->world.hole_count; i++) {
		const struct cv_prefix *prefix = &ipam->world.holes[i];

		if (cv_prefix_has(prefix, job->request->address) &&
		    (!smallest || prefix->length > smallest->length))
			smallest = prefix;
	}
	return cv_error_set(&job->result->error, -EADDRNOTAVAIL,
			    "%s is never given: %s is reserved, or not of the overlay (a node's, a "
			    "gateway's, a connected prefix)",
			    cv_address_format(job->request->address, address),
			    smallest ? cv_prefix_format(smallest, hole) : "it");
}

/* A block that is not ours has the address that is asked for. */
static int may_take_foreign(struct cv_ipam *ipam, struct job *job, struct cv_ipam_entry *entry)
{
	const char *owner = cv_block_node(&entry->block);
	char address[CV_ADDRESS_TEXT_MAX], block[CV_PREFIX_TEXT_MAX];

	if (!ipam->world.claims)
		return cv_ipam_adopt(ipam, entry); /* the host had another name */
	if (!entry->block.affinity && cv_ipam_may_claim(ipam))
		return cv_ipam_adopt(ipam, entry);
	if (!ipam->world.strict_affinity && !cv_ipam_is_kept(&entry->block))
		return 0;
	return cv_error_set(&job->result->error, -EADDRNOTAVAIL,
			    "%s is in block %s of %.100s, and with strictAffinity none is borrowed",
			    cv_address_format(job->request->address, address),
			    cv_prefix_format(&entry->block.cidr, block), owner ? owner : "nobody");
}

/* The block of an address that is asked for, to take it from. */
static int load_for_address(struct cv_ipam *ipam, struct job *job, const struct cv_prefix *cidr,
			    struct cv_ipam_entry **ret_entry)
{
	const struct cv_ipam_own *own = cv_ipam_find_own(ipam, cidr);
	struct cv_error *error = &job->result->error;
	char address[CV_ADDRESS_TEXT_MAX], block[CV_PREFIX_TEXT_MAX];
	int rc;

	cv_address_format(job->request->address, address);
	cv_prefix_format(cidr, block);
	if (!own && !ipam->world.claims)
		return cv_error_set(error, -EADDRNOTAVAIL,
				    "%s is in no block of this node; its "
				    "BlockAffinity would be %s or larger",
				    address, block);
	rc = cv_ipam_load(ipam, cidr, false, ret_entry, error);
	if (rc != -ENOENT)
		return rc;
	if (!own && !cv_ipam_may_claim(ipam))
		return cv_error_set(error, -EADDRNOTAVAIL,
				    "%s is in block %s, which is nobody's, and this node may have "
				    "no more blocks",
				    address, block);
	return cv_ipam_make(ipam, cidr, own ? own->revision : CV_KV_ABSENT, ret_entry, error);
}

static int refuse_taken(struct job *job, const struct cv_ipam_entry *entry, uint32_t ordinal)
{
	const struct cv_block_attribute *attribute = cv_block_attribute_of(&entry->block, ordinal);
	char address[CV_ADDRESS_TEXT_MAX];

	return cv_error_set(&job->result->error, -EADDRINUSE, "%s is assigned to %.200s%s%.100s",
			    cv_address_format(job->request->address, address),
			    attribute->handle ? attribute->handle : "somebody without a handle",
			    attribute->node ? " on " : "", attribute->node ? attribute->node : "");
}

static int take_address(struct cv_ipam *ipam, struct job *job, struct cv_ipam_held *held)
{
	struct cv_prefix single = {job->request->address, 32}, cidr;
	const struct cv_ipam_pool *pool = cv_ipam_pool_of(ipam, &single);
	struct cv_ipam_entry *entry;
	char text[CV_ADDRESS_TEXT_MAX];
	uint32_t ordinal;
	int rc;

	if (cv_ranges_has(&ipam->holes, single.address))
		return refuse_hole(ipam, job);
	if (!pool || !pool->selects_us ||
	    !(job->request->for_tunnel ? pool->for_tunnel : pool->for_workload) ||
	    (job->request->pools && !cv_ipam_pool_is_wanted(pool, job->request)))
		return cv_error_set(&job->result->error, -EADDRNOTAVAIL,
				    "%s is in no pool that this node may use for that",
				    cv_address_format(single.address, text));
	cidr = cv_prefix_of(single.address, pool->block_size);
	rc = load_for_address(ipam, job, &cidr, &entry);
	if (rc)
		return rc;
	ordinal = cv_block_ordinal(&entry->block, single.address);
	if (cv_block_has(&entry->block, ordinal, NULL)) {
		/* Not because of what was read some time ago. */
		rc = cv_ipam_load(ipam, &cidr, true, &entry, &job->result->error);
		if (rc == -ENOENT)
			rc = -EAGAIN;
		if (rc)
			return rc;
	}
	/* Of an assignment that was made before, and the handle's document was not read. */
	if (job->request->is_repeated &&
	    cv_block_has(&entry->block, ordinal, job->request->handle)) {
		job->result->was_there = true;
		note_result(ipam, job, entry, ordinal);
		return 0;
	}
	if (cv_block_has(&entry->block, ordinal, NULL))
		return refuse_taken(job, entry, ordinal);
	if (!cv_block_is_of(&entry->block, ipam->world.node)) {
		rc = may_take_foreign(ipam, job, entry);
		if (rc)
			return rc;
	}
	return take(ipam, job, held, entry, ordinal);
}

/* ---- planning and committing ----------------------------------------------------- */

static bool is_pool(const struct cv_ipam *ipam, const char *name)
{
	char text[CV_PREFIX_TEXT_MAX];

	for (size_t i = 0; i < ipam->world.pool_count; i++)
		if (!strcmp(ipam->world.pools[i].name, name) ||
		    !strcmp(cv_prefix_format(&ipam->world.pools[i].cidr, text), name))
			return true;
	return false;
}

static int check_request(const struct cv_ipam *ipam, const struct cv_ipam_request *request,
			 struct cv_error *error)
{
	if (!request->handle || !cv_ipam_key_allows_handle(request->handle))
		return cv_error_set(error, -EINVAL,
				    "\"%.64s\" cannot be a handle: it must have 1 to %d printable "
				    "characters, and no \"/\"",
				    request->handle ? request->handle : "", CV_IPAM_HANDLE_MAX - 1);
	if (!cv_ipam_key_allows_node(ipam->world.node))
		return cv_error_set(error, -EINVAL, "this node has no name yet");
	for (size_t i = 0; request->pools && i < request->pool_count; i++)
		if (!is_pool(ipam, request->pools[i]))
			return cv_error_set(
				error, -ENOENT,
				"there is no pool \"%.64s\", neither by name nor by cidr",
				request->pools[i]);
	return 0;
}

static int plan(struct cv_ipam *ipam, struct job *job)
{
	struct cv_ipam_held *held;
	int rc;

	*job->result = (struct cv_ipam_result){.rc = 0};
	rc = check_request(ipam, job->request, &job->result->error);
	if (!rc)
		rc = cv_ipam_know_own(ipam, &job->result->error);
	if (rc)
		return rc;
	rc = cv_ipam_hold(ipam, job->request->handle, &held, &job->result->error);
	if (rc)
		return rc;
	if (job->request->is_repeated) {
		rc = find_held(ipam, job, held);
		if (rc != -ENOENT)
			return rc;
	}
	job->result->error = (struct cv_error){""};
	rc = job->request->address ? take_address(ipam, job, held) : take_any(ipam, job, held);
	/* Before it is refused, what it has is looked for: all are planned again, with their
	 * handles read. */
	if (rc && !cv_ipam_is_store_error(rc) && job->request->is_repeated && ipam->is_optimistic)
		return -EAGAIN;
	return rc;
}

static void finish(struct job *job, int rc)
{
	struct cv_error why = job->result->error;

	/* What was tried before may still come. */
	if (rc && job->unsure_count && !cv_ipam_is_store_error(rc))
		rc = cv_error_set(&job->result->error, -ETIMEDOUT,
				  "%.300s; and whether an earlier attempt was done is not known",
				  why.text);
	job->is_done = true;
	job->result->rc = rc;
	if (rc) {
		job->result->address = 0;
		job->result->is_borrowed = job->result->was_there = false;
	}
}

/* Everybody who waits gets the same error. */
static void fail_all(struct job *jobs, size_t count, int rc, const struct cv_error *error)
{
	for (size_t i = 0; i < count; i++) {
		if (jobs[i].is_done)
			continue;
		jobs[i].result->error = *error;
		finish(&jobs[i], rc);
	}
}

static bool is_taken(const struct job *jobs, size_t count, __be32 address)
{
	for (size_t i = 0; i < count; i++)
		if ((jobs[i].is_planned || (jobs[i].is_done && !jobs[i].result->rc)) &&
		    jobs[i].result->address == address)
			return true;
	return false;
}

/* The latest attempt that was done; not one that is the answer to another request. */
static int find_unsure(struct cv_ipam *ipam, struct job *jobs, size_t count, struct job *job)
{
	for (size_t i = job->unsure_count; i-- > 0;) {
		const struct attempt *attempt = &job->unsure[i];
		__be32 address = cv_htonl(cv_prefix_first(&attempt->cidr) + attempt->ordinal);
		int rc;

		if (is_taken(jobs, count, address))
			continue;
		*job->result = (struct cv_ipam_result){.rc = 0};
		job->takes = false;
		rc = find_attempt(ipam, job, attempt);
		if (rc != -ENOENT)
			return rc;
	}
	return -ENOENT;
}

/*
 * Plan as many as fit. What is not known is looked for before anything is changed in memory, where
 * another's new address could be taken for it. 0, or an error that is everybody's.
 */
static int plan_all(struct cv_ipam *ipam, struct job *jobs, size_t count, struct cv_error *error)
{
	int rc;

	for (size_t i = 0; i < count; i++) {
		if (jobs[i].is_done)
			continue;
		rc = find_unsure(ipam, jobs, count, &jobs[i]);
		*error = jobs[i].result->error;
		if (cv_ipam_is_store_error(rc))
			return rc;
	}
	for (size_t i = 0; i < count && cv_ipam_has_room(ipam); i++) {
		if (jobs[i].is_done || jobs[i].is_planned)
			continue;
		jobs[i].takes = false;
		rc = plan(ipam, &jobs[i]);
		if (!rc)
			continue;
		*error = jobs[i].result->error;
		if (cv_ipam_is_store_error(rc))
			return rc;
		finish(&jobs[i], rc);
	}
	return 0;
}

/* What was planned is done; or it is planned again. was_sent: a commit was tried. */
static void settle_jobs(struct job *jobs, size_t count, int rc, bool was_sent)
{
	for (size_t i = 0; i < count; i++) {
		struct job *job = &jobs[i];

		if (job->is_done || !job->is_planned)
			continue;
		job->is_planned = false;
		if (!rc)
			finish(job, 0);
		else if (rc == -ETIMEDOUT && was_sent && job->takes)
			job->unsure[job->unsure_count++] = job->attempt;
	}
}

static bool is_waiting(const struct job *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!jobs[i].is_done)
			return true;
	return false;
}

static void run_jobs(struct cv_ipam *ipam, struct job *jobs, size_t count)
{
	unsigned int lost = 0, timeouts = 0;

	ipam->is_optimistic = true;
	while (is_waiting(jobs, count)) {
		struct cv_error error = {""};
		int rc = plan_all(ipam, jobs, count, &error);
		bool was_sent = !rc;

		if (rc)
			cv_ipam_abandon(ipam);
		else
			rc = cv_ipam_commit(ipam, &error);
		settle_jobs(jobs, count, rc, was_sent);
		ipam->is_optimistic = !rc;
		if (!rc)
			continue;
		if (rc == -EAGAIN && lost < CV_IPAM_ATTEMPTS)
			cv_ipam_wait(lost++);
		else if (rc == -ETIMEDOUT && timeouts < CV_IPAM_TIMEOUTS)
			timeouts++;
		else
			fail_all(jobs, count, rc, &error);
	}
}

size_t cv_ipam_assign(struct cv_ipam *ipam, const struct cv_ipam_request *requests, size_t count,
		      struct cv_ipam_result *ret_results)
{
	struct job *jobs = calloc(count ? count : 1, sizeof(*jobs));
	size_t failures = 0;

	for (size_t i = 0; i < count; i++) {
		ret_results[i] = (struct cv_ipam_result){.rc = -ENOMEM};
		cv_error_set(&ret_results[i].error, -ENOMEM, "no memory");
		if (jobs)
			jobs[i] = (struct job){.request = &requests[i], .result = &ret_results[i]};
	}
	if (jobs) {
		cv_ipam_begin(ipam);
		run_jobs(ipam, jobs, count);
	}
	free(jobs);
	for (size_t i = 0; i < count; i++)
		failures += ret_results[i].rc != 0;
	return failures;
}
