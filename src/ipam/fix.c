/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending. Everything is looked at again, and what is mended is compared with what was seen in the
 * same commit: a fault that was none, or is none any more, is left alone.
 *
 * Nothing that is mended leaves another fault: a block goes with its affinity, addresses with what
 * their handles count. So blocks come first, then what is said about them. What has lost to
 * somebody else's commit is looked at once more, in the same call.
 *
 * Who is gone was found out before, by the caller's faults, and must still be so. The world alone
 * does not say it: a node that has come since takes over blocks of one that went, and its addresses
 * are in use while the world here does not have it yet. One that has come back has its Node.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/state.h"
#include "ipam/survey.h"
#include "store/resource_key.h"

/* A commit that is being put together; keys are copied, values are taken over. */
struct mending {
	struct cv_kv_operation operations[CV_KV_OPERATIONS];
	char keys[CV_KV_OPERATIONS][CV_IPAM_KEY_MAX];
	char *values[CV_KV_OPERATIONS];
	size_t count;
};

/* Without room left, only what is compared is left out. */
static void add(struct mending *mending, const char *key, char *value, bool is_delete,
		int64_t revision)
{
	size_t i = mending->count;

	if (i == CV_KV_OPERATIONS) {
		free(value);
		return;
	}
	memcpy(mending->keys[i], key, strlen(key) + 1);
	mending->values[i] = value;
	mending->operations[i] = (struct cv_kv_operation){
		mending->keys[i],
		value	    ? value
		: is_delete ? NULL
			    : CV_KV_KEEP,
		revision,
	};
	mending->count++;
}

static void compare_block(struct mending *mending, const struct cv_survey *survey,
			  const struct cv_prefix *cidr)
{
	const struct cv_survey_block *block = cv_survey_find_block(survey, cidr);
	char key[CV_IPAM_KEY_MAX];

	cv_ipam_key_block(cidr, key);
	for (size_t i = 0; i < mending->count; i++)
		if (!strcmp(mending->keys[i], key))
			return;
	add(mending, key, NULL, false, block ? block->revision : CV_KV_ABSENT);
}

/* 0: done; -EAGAIN: it was not so; or of the kv. */
static int finish(struct cv_ipam *ipam, struct mending *mending, struct cv_error *error)
{
	int rc = cv_kv_commit(ipam->kv, mending->operations, mending->count, NULL, error);

	for (size_t i = 0; i < mending->count; i++)
		free(mending->values[i]);
	return rc;
}

/* ---- handles --------------------------------------------------------------------- */

/* What the document should say: what the blocks have, and what we cannot know. */
static int correct_handle(const struct cv_survey *survey, const char *name,
			  const struct cv_survey_handle *there, struct mending *mending,
			  struct cv_handle *ret_handle)
{
	size_t count;
	const struct cv_survey_use *uses = cv_survey_uses_of(survey, name, &count);
	struct cv_error why;
	char *text = there ? cv_handle_print(&there->handle) : NULL;
	int rc = 0;

	*ret_handle = (struct cv_handle){0};
	if (there)
		rc = text ? cv_handle_parse(text, ret_handle, &why) : -ENOMEM;
	free(text);
	for (size_t i = 0; !rc && there && i < there->handle.count; i++) {
		const struct cv_handle_count *item = &there->handle.counts[i];
		const struct cv_survey_block *block;

		if (!item->is_ipv4)
			continue;
		block = cv_survey_find_block(survey, &item->block);
		if (!block || !block->is_malformed)
			rc = cv_handle_set(ret_handle, &item->block, 0);
		compare_block(mending, survey, &item->block);
	}
	for (size_t i = 0; !rc && i < count; i++) {
		rc = cv_handle_set(ret_handle, &uses[i].block, uses[i].addresses);
		compare_block(mending, survey, &uses[i].block);
	}
	return rc;
}

static int mend_handle(struct cv_ipam *ipam, const struct cv_survey *survey,
		       const struct cv_ipam_fault *fault, struct cv_error *error)
{
	struct mending mending = {.count = 0};
	const struct cv_survey_handle *there;
	struct cv_handle handle;
	const char *name;
	char *text = NULL;
	int rc;

	if (!cv_ipam_key_is_handle(fault->key, &name))
		return -EAGAIN;
	there = cv_survey_find_handle(survey, name);
	/* Its own place first: the blocks may be too many for one commit. */
	add(&mending, fault->key, NULL, true, there ? there->revision : CV_KV_ABSENT);
	rc = correct_handle(survey, name, there, &mending, &handle);
	if (!rc && !cv_handle_is_empty(&handle)) {
		text = cv_handle_print(&handle);
		rc = text ? 0 : -ENOMEM;
	}
	cv_handle_fini(&handle);
	if (rc)
		return cv_error_set(error, rc, "no memory");
	mending.values[0] = text;
	mending.operations[0].value = text;
	return finish(ipam, &mending, error);
}

/* ---- affinities ------------------------------------------------------------------ */

static int mend_missing_affinity(struct cv_ipam *ipam, const struct cv_survey *survey,
				 const struct cv_survey_block *block, struct cv_error *error)
{
	static const struct cv_affinity confirmed = {0};
	const char *node = cv_block_node(&block->block);
	const struct cv_survey_affinity *there =
		node ? cv_survey_find_affinity(survey, node, &block->cidr) : NULL;
	struct mending mending = {.count = 0};
	char key[CV_IPAM_KEY_MAX];
	char *text = node ? cv_affinity_print(&confirmed) : NULL;

	if (!text)
		return node ? cv_error_set(error, -ENOMEM, "no memory") : -EAGAIN;
	add(&mending, cv_ipam_key_affinity(node, &block->cidr, key), text, false,
	    there ? there->revision : CV_KV_ABSENT);
	compare_block(&mending, survey, &block->cidr);
	return finish(ipam, &mending, error);
}

static int mend_stray_affinity(struct cv_ipam *ipam, const struct cv_survey *survey,
			       const struct cv_ipam_fault *fault, struct cv_error *error)
{
	const struct cv_survey_affinity *there;
	struct mending mending = {.count = 0};
	char node[CV_IPAM_NODE_MAX];
	struct cv_prefix cidr;

	if (!cv_ipam_key_is_affinity(fault->key, node, &cidr))
		return -EAGAIN;
	there = cv_survey_find_affinity(survey, node, &cidr);
	if (!there)
		return -EAGAIN;
	add(&mending, fault->key, NULL, true, there->revision);
	compare_block(&mending, survey, &cidr);
	return finish(ipam, &mending, error);
}

/* ---- blocks ---------------------------------------------------------------------- */

/* The affinity of a block's node goes with it. */
static void delete_affinity(struct mending *mending, const struct cv_survey *survey,
			    const char *node, const struct cv_prefix *cidr)
{
	const struct cv_survey_affinity *there =
		node ? cv_survey_find_affinity(survey, node, cidr) : NULL;
	char key[CV_IPAM_KEY_MAX];

	if (there)
		add(mending, cv_ipam_key_affinity(node, cidr, key), NULL, true, there->revision);
}

static int mend_no_pool(struct cv_ipam *ipam, const struct cv_survey *survey,
			const struct cv_survey_block *block, struct cv_error *error)
{
	struct mending mending = {.count = 0};
	char key[CV_IPAM_KEY_MAX];

	if (cv_block_count_allocated(&block->block))
		return -EAGAIN;
	add(&mending, cv_ipam_key_block(&block->cidr, key), NULL, true, block->revision);
	delete_affinity(&mending, survey, cv_block_node(&block->block), &block->cidr);
	return finish(ipam, &mending, error);
}

/* What is to be mended, and so who was found to be gone. */
struct faults {
	const struct cv_ipam_fault *items;
	size_t count;
};

static bool is_gone(const struct cv_ipam *ipam, const struct faults *faults, const char *node)
{
	if (!cv_survey_is_gone(&ipam->world, node))
		return false;
	for (size_t i = 0; i < faults->count; i++)
		if (faults->items[i].kind == CV_IPAM_FAULT_NODE_GONE &&
		    !strcmp(faults->items[i].node, node))
			return true;
	return false;
}

/*
 * Whether there is a resource of a node that the world here does not have (yet, or while the watch
 * of resources has no news). Asked behind its block: if the node comes after this, and takes
 * anything of the block, the block is another one than the commit compares.
 */
static int find_node(struct cv_ipam *ipam, const char *node, bool *ret_is_there,
		     struct cv_error *error)
{
	char key[CV_RESOURCE_KEY_MAX];
	struct cv_kv_item item;
	int rc = cv_kv_get(ipam->kv, cv_resource_key(CV_KIND_NODE, node, key), &item, error);

	if (rc && rc != -ENOENT)
		return rc;
	*ret_is_there = !rc;
	if (!rc)
		cv_kv_item_fini(&item);
	return 0;
}

/* Of an address whose node is gone, that; else NULL. One that says no node is the block's own. */
static const char *gone_node_of(const struct cv_ipam *ipam, const struct faults *faults,
				const struct cv_block *block, uint32_t ordinal)
{
	const struct cv_block_attribute *attribute = cv_block_attribute_of(block, ordinal);
	const char *owner = cv_block_node(block);
	const char *node = attribute && attribute->node ? attribute->node : owner;

	return attribute && node && is_gone(ipam, faults, node) ? node : NULL;
}

/* What came of the addresses of nodes that are gone. */
struct taken_back {
	size_t count; /* with the last commit */
	size_t kept;  /* their handles' documents are malformed: they stay, as for who releases */
};

/* Take back as many addresses of nodes that are gone as fit into one commit. */
static int release_some(struct cv_ipam *ipam, const struct faults *faults,
			const struct cv_prefix *cidr, struct taken_back *taken,
			struct cv_error *error)
{
	char asked[CV_IPAM_NODE_MAX] = "";
	struct cv_ipam_entry *entry;
	bool is_there = false;
	int rc;

	*taken = (struct taken_back){.count = 0};
	cv_ipam_begin(ipam);
	rc = cv_ipam_load(ipam, cidr, true, &entry, error);
	for (uint32_t i = 0; !rc && i < entry->block.size && cv_ipam_has_room(ipam); i++) {
		const char *node = gone_node_of(ipam, faults, &entry->block, i);

		if (!node)
			continue;
		if (strcmp(node, asked) != 0) {
			snprintf(asked, sizeof(asked), "%s", node);
			rc = find_node(ipam, node, &is_there, error);
		}
		if (rc || is_there)
			continue;
		rc = cv_ipam_release_ordinal(ipam, entry, i, error);
		taken->count += !rc;
		taken->kept += rc == -EUCLEAN;
		if (rc == -EUCLEAN)
			rc = 0;
	}
	if (rc)
		cv_ipam_abandon(ipam);
	else
		rc = cv_ipam_commit(ipam, error);
	return rc;
}

/* After what was in it is taken back: a block whose node is gone is nobody's from now on; where
 * nothing is in it, it goes, as does one that no pool has. */
static int settle_block(struct cv_ipam *ipam, const struct faults *faults,
			const struct cv_survey *survey, const struct cv_prefix *cidr,
			struct cv_error *error)
{
	struct mending mending = {.count = 0};
	struct cv_ipam_entry *entry;
	char key[CV_IPAM_KEY_MAX], node[CV_IPAM_NODE_MAX] = "";
	char *text = NULL;
	bool is_orphan, is_useless, is_there = false;
	int rc = cv_ipam_load(ipam, cidr, true, &entry, error);

	if (rc)
		return rc;
	if (cv_block_node(&entry->block))
		snprintf(node, sizeof(node), "%s", cv_block_node(&entry->block));
	is_orphan = *node && is_gone(ipam, faults, node);
	if (is_orphan)
		rc = find_node(ipam, node, &is_there, error);
	if (rc)
		return rc;
	is_orphan = is_orphan && !is_there;
	is_useless = !cv_block_count_allocated(&entry->block) &&
		     (is_orphan || !cv_ipam_pool_of(ipam, cidr));
	if (!is_orphan && !is_useless)
		return 0;
	if (!is_useless) {
		rc = cv_block_set_node(&entry->block, NULL);
		cv_block_count_change(&entry->block);
		text = rc ? NULL : cv_block_print(&entry->block);
	}
	add(&mending, cv_ipam_key_block(cidr, key), text, is_useless, entry->revision);
	/* What is in memory is not what was read, nor what is stored yet. */
	cv_ipam_forget(ipam, entry);
	if (!is_useless && !text)
		return cv_error_set(error, -ENOMEM, "no memory");
	if (*node)
		delete_affinity(&mending, survey, node, cidr);
	return finish(ipam, &mending, error);
}

static int mend_node_gone(struct cv_ipam *ipam, const struct faults *faults,
			  const struct cv_survey *survey, const struct cv_survey_block *block,
			  struct cv_error *error)
{
	struct taken_back taken = {.count = 1};
	int rc = 0;

	while (!rc && taken.count)
		rc = release_some(ipam, faults, &block->cidr, &taken, error);
	if (!rc && taken.kept)
		return -EUCLEAN;
	return rc ? rc : settle_block(ipam, faults, survey, &block->cidr, error);
}

/* ---- all of them ----------------------------------------------------------------- */

static int mend_block(struct cv_ipam *ipam, const struct faults *faults,
		      const struct cv_survey *survey, const struct cv_ipam_fault *fault,
		      struct cv_error *error)
{
	const struct cv_survey_block *block = NULL;
	struct cv_prefix cidr;

	if (cv_ipam_key_is_block(fault->key, &cidr))
		block = cv_survey_find_block(survey, &cidr);
	if (!block || block->is_malformed)
		return -EAGAIN;
	switch (fault->kind) {
	case CV_IPAM_FAULT_AFFINITY_MISSING:
		return mend_missing_affinity(ipam, survey, block, error);
	case CV_IPAM_FAULT_NODE_GONE:
		return mend_node_gone(ipam, faults, survey, block, error);
	default:
		return mend_no_pool(ipam, survey, block, error);
	}
}

static int mend(struct cv_ipam *ipam, const struct faults *faults, const struct cv_survey *survey,
		const struct cv_ipam_fault *fault, struct cv_error *error)
{
	switch (fault->kind) {
	case CV_IPAM_FAULT_HANDLE_COUNT:
	case CV_IPAM_FAULT_HANDLE_MISSING:
		return mend_handle(ipam, survey, fault, error);
	case CV_IPAM_FAULT_AFFINITY_STRAY:
		return mend_stray_affinity(ipam, survey, fault, error);
	case CV_IPAM_FAULT_AFFINITY_MISSING:
	case CV_IPAM_FAULT_NODE_GONE:
	case CV_IPAM_FAULT_NO_POOL:
		return mend_block(ipam, faults, survey, fault, error);
	case CV_IPAM_FAULT_OVERLAP:
	case CV_IPAM_FAULT_MALFORMED:
		break;
	}
	return -EAGAIN;
}

static bool is_of_handle(enum cv_ipam_fault_kind kind)
{
	return kind == CV_IPAM_FAULT_HANDLE_COUNT || kind == CV_IPAM_FAULT_HANDLE_MISSING;
}

/* A document that counts wrongly goes with the last address that it counts: then it is missing. */
static bool is_same(enum cv_ipam_fault_kind kind, enum cv_ipam_fault_kind other)
{
	return kind == other || (is_of_handle(kind) && is_of_handle(other));
}

static bool is_still_so(const struct cv_survey *survey, const struct cv_ipam_fault *fault)
{
	for (size_t i = 0; i < survey->fault_count; i++)
		if (is_same(survey->faults[i].kind, fault->kind) && survey->faults[i].is_fixable &&
		    !strcmp(survey->faults[i].key, fault->key) &&
		    !strcmp(survey->faults[i].node, fault->node))
			return true;
	return false;
}

/* What is mended before what: a block takes handles' counts and its affinity with it. */
static const enum cv_ipam_fault_kind in_turn[] = {
	CV_IPAM_FAULT_NODE_GONE,      CV_IPAM_FAULT_NO_POOL,	  CV_IPAM_FAULT_AFFINITY_MISSING,
	CV_IPAM_FAULT_AFFINITY_STRAY, CV_IPAM_FAULT_HANDLE_COUNT, CV_IPAM_FAULT_HANDLE_MISSING,
};

enum {
	TURNS = sizeof(in_turn) / sizeof(in_turn[0]),
	PASSES = 10, /* in one call; all but the first for what has lost to others */
};

struct fixing {
	struct cv_ipam *ipam;
	struct faults faults;
	struct cv_survey survey;
	bool is_current; /* the survey is what is stored, for what is still to be mended */
	bool has_lost;	 /* in this pass, to somebody else's commit */
	unsigned int timeouts;
	const struct cv_ipam_fault *unsure; /* whether it was mended, the store did not say */
	size_t mended;
};

static int survey_again(struct fixing *fixing, struct cv_error *error)
{
	struct cv_survey survey;
	int rc = cv_survey_read(fixing->ipam->kv, &fixing->ipam->world, &survey, error);

	if (rc)
		return rc;
	cv_survey_fini(&fixing->survey);
	fixing->survey = survey;
	fixing->is_current = true;
	if (fixing->unsure)
		fixing->mended += !is_still_so(&survey, fixing->unsure);
	fixing->unsure = NULL;
	return 0;
}

/* 0 or an error of the kv: of the others nothing is known then. */
static int fix_one(struct fixing *fixing, const struct cv_ipam_fault *fault, struct cv_error *error)
{
	int rc = fixing->is_current ? 0 : survey_again(fixing, error);

	if (rc || !is_still_so(&fixing->survey, fault))
		return rc;
	rc = mend(fixing->ipam, &fixing->faults, &fixing->survey, fault, error);
	fixing->mended += !rc;
	fixing->is_current = !rc && fault->kind != CV_IPAM_FAULT_NODE_GONE &&
			     fault->kind != CV_IPAM_FAULT_NO_POOL;
	/* It is not so any more, or cannot be mended: the others may. */
	if (rc != -EAGAIN && !cv_ipam_is_store_error(rc))
		return 0;
	if (rc == -ETIMEDOUT && fixing->timeouts++ < CV_IPAM_TIMEOUTS)
		fixing->unsure = fault;
	else if (rc != -EAGAIN)
		return rc;
	fixing->has_lost = true;
	return 0;
}

int cv_ipam_fix(struct cv_ipam *ipam, const struct cv_ipam_fault *faults, size_t count,
		size_t *ret_count, struct cv_error *error)
{
	struct fixing fixing = {.ipam = ipam, .faults = {faults, count}, .has_lost = true};
	int rc = 0;

	for (unsigned int pass = 0; !rc && fixing.has_lost && pass < PASSES; pass++) {
		cv_ipam_wait(pass);
		fixing.has_lost = false;
		fixing.is_current = false;
		for (size_t turn = 0; turn < TURNS; turn++)
			for (size_t i = 0; !rc && i < count; i++)
				if (faults[i].kind == in_turn[turn])
					rc = fix_one(&fixing, &faults[i], error);
	}
	cv_survey_fini(&fixing.survey);
	cv_ipam_forget_all(ipam);
	if (ret_count)
		*ret_count = fixing.mended;
	return rc;
}
