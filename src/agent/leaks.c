/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses against containers, from one look to the next. */
#include "agent/leaks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pod_handle.h"

/* ---- the view ---------------------------------------------------------------------------- */

const char *cv_leaks_attribute(const struct cv_ipam_assignment *assignment, const char *name)
{
	for (size_t i = 0; i < assignment->attribute_count; i++) {
		if (!strcmp(assignment->attributes[i].name, name))
			return assignment->attributes[i].value;
	}
	return NULL;
}

/* Blocks are sorted: the last that begins at the address or before it. */
const struct cv_ipam_block *cv_leaks_block_of(const struct cv_ipam_view *view, __be32 address)
{
	const struct cv_prefix one = {address, 32};
	size_t low = 0, high = view->block_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_prefix_compare(&view->blocks[middle].cidr, &one) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low && cv_prefix_has(&view->blocks[low - 1].cidr, address) ? &view->blocks[low - 1]
									  : NULL;
}

const struct cv_ipam_assignment *cv_leaks_assignment_of(const struct cv_ipam_block *block,
							__be32 address)
{
	for (size_t i = 0; block && i < block->assignment_count; i++) {
		if (block->assignments[i].address == address)
			return &block->assignments[i];
	}
	return NULL;
}

const char *cv_leaks_node_of(const struct cv_ipam_block *block,
			     const struct cv_ipam_assignment *assignment)
{
	const char *node = cv_leaks_attribute(assignment, "node");

	return node ? node : block->node;
}

/* ---- a list that grows ------------------------------------------------------------------- */

struct look {
	const struct cv_leaks_input *input;
	char (*handles)[CV_IPAM_HANDLE_MAX]; /* of the pods, in their order */
	size_t *by_handle;		     /* indices of pods, sorted by their handles */
	struct cv_leaks leaks;
	size_t capacity;
	bool has_failed; /* no memory */
};

static void free_leak(struct cv_leak *leak)
{
	free(leak->key);
	free(leak->handle);
}

void cv_leaks_fini(struct cv_leaks *leaks)
{
	for (size_t i = 0; i < leaks->count; i++)
		free_leak(&leaks->items[i]);
	free(leaks->items);
	*leaks = (struct cv_leaks){.items = NULL};
}

/* Known by its code and this. handle may be NULL. NULL: without memory, once and for all. */
static struct cv_leak *add_leak(struct look *look, enum cv_leak_kind kind, const char *code,
				const char *known_by, const char *handle)
{
	struct cv_leaks *leaks = &look->leaks;
	struct cv_leak leak = {.kind = kind, .code = code, .observations = 1};

	if (leaks->count == look->capacity) {
		size_t capacity = look->capacity ? 2 * look->capacity : 16;
		struct cv_leak *items = realloc(leaks->items, capacity * sizeof(*items));

		look->has_failed |= !items;
		if (!items)
			return NULL;
		leaks->items = items;
		look->capacity = capacity;
	}
	leak.handle = handle ? strdup(handle) : NULL;
	if (asprintf(&leak.key, "%s %s", code, known_by) < 0)
		leak.key = NULL;
	if (!leak.key || (handle && !leak.handle)) {
		free_leak(&leak);
		look->has_failed = true;
		return NULL;
	}
	leak.first_us = look->input->now_us;
	leaks->items[leaks->count] = leak;
	return &leaks->items[leaks->count++];
}

__attribute__((format(printf, 2, 3))) static void say(struct cv_leak *leak, const char *format, ...)
{
	char text[CV_ERROR_TEXT_MAX];
	struct cv_error error;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cv_error_set(&error, 0, "%s", text);
	memcpy(leak->text, error.text, sizeof(leak->text));
}

/* ---- this node's addresses --------------------------------------------------------------- */

static int compare_handles(const void *a, const void *b, void *data)
{
	const struct look *look = data;
	const size_t *x = a, *y = b;

	return strcmp(look->handles[*x], look->handles[*y]);
}

static bool has_pod(const struct look *look, const char *handle)
{
	size_t low = 0, high = look->input->pod_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(look->handles[look->by_handle[middle]], handle);

		if (!order)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Whose it is, for people: the pod's name if it has one. */
static void describe(const struct cv_ipam_assignment *assignment, char *text, size_t size)
{
	const char *pod = cv_leaks_attribute(assignment, "pod");
	const char *name_space = cv_leaks_attribute(assignment, "namespace");

	if (pod)
		snprintf(text, size, "pod %.128s%s%.128s", name_space ? name_space : "",
			 name_space ? "/" : "", pod);
	else
		snprintf(text, size, "handle %.200s", assignment->handle);
}

static void judge_assignment(struct look *look, const struct cv_ipam_block *block,
			     const struct cv_ipam_assignment *assignment)
{
	const char *node = cv_leaks_node_of(block, assignment);
	char address[CV_ADDRESS_TEXT_MAX], whose[300], known_by[CV_IPAM_HANDLE_MAX + 32];
	struct cv_leak *leak;

	if (!node || strcmp(node, look->input->node) != 0 ||
	    !cv_pod_handle_is_ours(assignment->handle, cv_leaks_attribute(assignment, "type")) ||
	    has_pod(look, assignment->handle))
		return;
	cv_address_format(assignment->address, address);
	snprintf(known_by, sizeof(known_by), "%s %s", address, assignment->handle);
	leak = add_leak(look, CV_LEAK_ADDRESS, "address-without-container", known_by,
			assignment->handle);
	if (!leak)
		return;
	describe(assignment, whose, sizeof(whose));
	leak->address = assignment->address;
	leak->is_fixable = true;
	say(leak, "%s is assigned to %s, and no container of this node has it", address, whose);
	snprintf(leak->remedy, sizeof(leak->remedy), "culvert ipam check --fix");
}

static void judge_assignments(struct look *look)
{
	const struct cv_ipam_view *view = look->input->view;

	for (size_t i = 0; i < view->block_count; i++) {
		const struct cv_ipam_block *block = &view->blocks[i];

		for (size_t j = 0; j < block->assignment_count; j++)
			judge_assignment(look, block, &block->assignments[j]);
	}
}

/* ---- this node's containers -------------------------------------------------------------- */

static void judge_address(struct look *look, size_t pod_index, __be32 address)
{
	const struct cv_pod *pod = look->input->pods[pod_index];
	const char *handle = look->handles[pod_index];
	const struct cv_ipam_assignment *assignment =
		cv_leaks_assignment_of(cv_leaks_block_of(look->input->view, address), address);
	char text[CV_ADDRESS_TEXT_MAX], known_by[CV_IPAM_HANDLE_MAX + 32];
	struct cv_leak *leak;

	if (assignment && assignment->handle && !strcmp(assignment->handle, handle))
		return;
	cv_address_format(address, text);
	snprintf(known_by, sizeof(known_by), "%s %s", text, handle);
	leak = add_leak(look, assignment ? CV_LEAK_TAKEN : CV_LEAK_CONTAINER,
			assignment ? "container-address-taken" : "container-without-address",
			known_by, handle);
	if (!leak)
		return;
	leak->address = address;
	leak->index = pod_index;
	leak->is_fixable = !assignment;
	if (assignment)
		say(leak,
		    "container %.64s (%.64s, %.15s) has %s, which is assigned to another: %.128s",
		    pod->container, pod->network, pod->interface, text,
		    assignment->handle ? assignment->handle : "somebody without a handle");
	else
		say(leak, "container %.64s (%.64s, %.15s) has %s, which is not assigned",
		    pod->container, pod->network, pod->interface, text);
	snprintf(leak->remedy, sizeof(leak->remedy), "%s",
		 assignment ? "delete the container and make it anew: it gets another address"
			    : "culvert ipam check --fix");
}

/* Others are being made or deleted, or their addresses are another plugin's. */
static void judge_pods(struct look *look)
{
	for (size_t i = 0; i < look->input->pod_count; i++) {
		const struct cv_pod *pod = look->input->pods[i];

		if (pod->state != CV_POD_ATTACHED || pod->is_delegated)
			continue;
		for (unsigned int j = 0; j < pod->count; j++)
			judge_address(look, i, pod->addresses[j].address);
	}
}

/* ---- documents --------------------------------------------------------------------------- */

static const char *remedy_of(const struct cv_ipam_fault *fault)
{
	if (fault->kind == CV_IPAM_FAULT_NODE_GONE)
		return "culvert ipam check --fix; or, if the node is to come back, add its Node "
		       "first";
	if (fault->is_fixable)
		return "culvert ipam check --fix";
	switch (fault->kind) {
	case CV_IPAM_FAULT_OVERLAP:
		return "delete the pods of one of the two blocks, then that block's BlockAffinity";
	case CV_IPAM_FAULT_NO_POOL:
		return "add an IPPool that has it, or make its pods anew";
	case CV_IPAM_FAULT_MALFORMED:
		return "look at it (etcdctl get --prefix) and mend or delete it";
	default:
		return "";
	}
}

static void judge_documents(struct look *look)
{
	const struct cv_ipam_view *view = look->input->view;

	for (size_t i = 0; i < view->fault_count; i++) {
		const struct cv_ipam_fault *fault = &view->faults[i];
		char known_by[sizeof(fault->key) + sizeof(fault->node) + 1];
		struct cv_leak *leak;

		/* A block that has gone from one such node to another is another one's. */
		snprintf(known_by, sizeof(known_by), "%s%s%s", fault->key, *fault->node ? " " : "",
			 fault->node);
		leak = add_leak(look, CV_LEAK_DOCUMENT, cv_ipam_fault_name(fault->kind), known_by,
				NULL);
		if (!leak)
			return;
		leak->index = i;
		leak->is_fixable = fault->is_fixable;
		say(leak, "%s", fault->text);
		snprintf(leak->remedy, sizeof(leak->remedy), "%s", remedy_of(fault));
	}
}

/* ---- from one look to the next ----------------------------------------------------------- */

static int compare_leaks(const void *a, const void *b)
{
	const struct cv_leak *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static void remember(const struct cv_leaks *before, struct cv_leaks *now)
{
	for (size_t i = 0; i < now->count; i++) {
		struct cv_leak *leak = &now->items[i];
		const struct cv_leak *former =
			before->count ? bsearch(leak, before->items, before->count,
						sizeof(before->items[0]), compare_leaks)
				      : NULL;

		if (!former)
			continue;
		leak->observations = former->observations + 1;
		leak->first_us = former->first_us;
	}
}

/* The pods' handles, in both orders. 0 or -ENOMEM. */
static int name_pods(struct look *look)
{
	const struct cv_leaks_input *input = look->input;

	look->handles = calloc(input->pod_count + 1, sizeof(look->handles[0]));
	look->by_handle = calloc(input->pod_count + 1, sizeof(look->by_handle[0]));
	if (!look->handles || !look->by_handle)
		return -ENOMEM;
	for (size_t i = 0; i < input->pod_count; i++) {
		cv_pod_handle(input->pods[i], look->handles[i]);
		look->by_handle[i] = i;
	}
	qsort_r(look->by_handle, input->pod_count, sizeof(look->by_handle[0]), compare_handles,
		look);
	return 0;
}

int cv_leaks_observe(struct cv_leaks *leaks, const struct cv_leaks_input *input)
{
	struct look look = {.input = input};
	int rc = name_pods(&look);

	if (!rc) {
		judge_assignments(&look);
		judge_pods(&look);
		judge_documents(&look);
		rc = look.has_failed ? -ENOMEM : 0;
	}
	free(look.handles);
	free(look.by_handle);
	if (rc) {
		cv_leaks_fini(&look.leaks);
		return rc;
	}
	if (look.leaks.count)
		qsort(look.leaks.items, look.leaks.count, sizeof(look.leaks.items[0]),
		      compare_leaks);
	remember(leaks, &look.leaks);
	cv_leaks_fini(leaks);
	*leaks = look.leaks;
	return 0;
}

unsigned int cv_leak_wait_s(const struct cv_leak *leak, int64_t now_us)
{
	int64_t left_us = leak->first_us + (int64_t)CV_LEAKS_APART_S * 1000000 - now_us;

	if (left_us > 0)
		return (unsigned int)((left_us + 999999) / 1000000);
	/* Seen once, long ago as it may be. */
	return leak->observations < 2;
}

bool cv_leak_is_ripe(const struct cv_leak *leak, int64_t now_us)
{
	return leak->observations >= 2 && !cv_leak_wait_s(leak, now_us);
}
