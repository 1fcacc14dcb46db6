/* SPDX-License-Identifier: Apache-2.0 */
#include "kv_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct held {
	struct cv_kv_operation operations[CV_KV_OPERATIONS];
	size_t count; /* 0: none */
};

struct kv_memory {
	struct cv_kv_item *items; /* sorted by key */
	size_t count, capacity;
	int64_t revision;
	kv_memory_faults faults;
	void *faults_data;
	enum kv_fault next;
	void (*meanwhile)(void *data);
	void *meanwhile_data;
	bool is_meanwhile;
	struct kv_memory_calls calls;
	struct held held;
	bool is_away;
};

struct client {
	struct cv_kv kv;
	struct kv_memory *memory;
};

static struct kv_memory *memory_of(struct cv_kv *kv)
{
	return ((struct client *)kv)->memory;
}

/* The place of a key, or where it would be. */
static size_t place_of(const struct kv_memory *memory, const char *key)
{
	size_t i = 0;

	while (i < memory->count && strcmp(memory->items[i].key, key) < 0)
		i++;
	return i;
}

static struct cv_kv_item *find(const struct kv_memory *memory, const char *key)
{
	size_t i = place_of(memory, key);

	return i < memory->count && !strcmp(memory->items[i].key, key) ? &memory->items[i] : NULL;
}

static struct cv_kv_item copy(const struct cv_kv_item *item)
{
	return (struct cv_kv_item){strdup(item->key), strdup(item->value), item->revision};
}

static int memory_get(struct cv_kv *kv, const char *key, struct cv_kv_item *ret_item,
		      struct cv_error *error)
{
	struct kv_memory *memory = memory_of(kv);
	const struct cv_kv_item *item = find(memory, key);

	memory->calls.gets++;
	if (memory->is_away)
		return cv_error_set(error, -EHOSTUNREACH, "nobody answers");
	if (!item)
		return cv_error_set(error, -ENOENT, "there is no \"%s\"", key);
	*ret_item = copy(item);
	return 0;
}

static int memory_list(struct cv_kv *kv, const char *prefix, struct cv_kv_list *ret_list,
		       struct cv_error *error)
{
	struct kv_memory *memory = memory_of(kv);

	memory->calls.lists++;
	if (memory->is_away)
		return cv_error_set(error, -EHOSTUNREACH, "nobody answers");
	*ret_list = (struct cv_kv_list){.revision = memory->revision};
	ret_list->items = calloc(memory->count + 1, sizeof(*ret_list->items));
	for (size_t i = 0; i < memory->count; i++)
		if (!strncmp(memory->items[i].key, prefix, strlen(prefix)))
			ret_list->items[ret_list->count++] = copy(&memory->items[i]);
	return 0;
}

static void put(struct kv_memory *memory, const struct cv_kv_operation *operation)
{
	size_t i = place_of(memory, operation->key);
	struct cv_kv_item *item = find(memory, operation->key);

	if (operation->value == CV_KV_KEEP)
		return;
	if (item) {
		cv_kv_item_fini(item);
		memmove(item, item + 1, (memory->count - i - 1) * sizeof(*item));
		memory->count--;
	}
	if (!operation->value)
		return;
	if (memory->count == memory->capacity) {
		memory->capacity = 2 * memory->capacity + 16;
		memory->items =
			reallocarray(memory->items, memory->capacity, sizeof(*memory->items));
	}
	item = &memory->items[i];
	memmove(item + 1, item, (memory->count - i) * sizeof(*item));
	*item = (struct cv_kv_item){strdup(operation->key), strdup(operation->value),
				    memory->revision};
	memory->count++;
}

static int try_commit(struct kv_memory *memory, const struct cv_kv_operation *operations,
		      size_t count, struct cv_error *error)
{
	for (size_t i = 0; i < count; i++) {
		const struct cv_kv_item *item = find(memory, operations[i].key);

		if (operations[i].revision != CV_KV_WHATEVER &&
		    operations[i].revision != (item ? item->revision : CV_KV_ABSENT)) {
			memory->calls.refused++;
			return cv_error_set(error, -EAGAIN, "\"%s\" was changed",
					    operations[i].key);
		}
	}
	memory->revision++;
	for (size_t i = 0; i < count; i++)
		put(memory, &operations[i]);
	return 0;
}

static void free_held(struct held *held)
{
	for (size_t i = 0; i < held->count; i++) {
		free((void *)(uintptr_t)held->operations[i].key);
		if (held->operations[i].value != CV_KV_KEEP)
			free((void *)(uintptr_t)held->operations[i].value);
	}
	held->count = 0;
}

static void hold(struct held *held, const struct cv_kv_operation *operations, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		held->operations[i] = operations[i];
		held->operations[i].key = strdup(operations[i].key);
		if (operations[i].value && operations[i].value != CV_KV_KEEP)
			held->operations[i].value = strdup(operations[i].value);
	}
	held->count = count;
}

static enum kv_fault fault_of(struct kv_memory *memory)
{
	enum kv_fault fault = memory->next;

	memory->next = KV_FAULT_NONE;
	if (fault == KV_FAULT_NONE && memory->faults)
		fault = memory->faults(memory->faults_data);
	return fault;
}

static void do_meanwhile(struct kv_memory *memory)
{
	if (!memory->meanwhile || memory->is_meanwhile)
		return;
	memory->is_meanwhile = true; /* what it does is not interrupted */
	memory->meanwhile(memory->meanwhile_data);
	memory->is_meanwhile = false;
}

static int memory_commit(struct cv_kv *kv, const struct cv_kv_operation *operations, size_t count,
			 int64_t *ret_revision, struct cv_error *error)
{
	struct kv_memory *memory = memory_of(kv);
	enum kv_fault fault;
	int rc;

	memory->calls.commits++;
	if (count > memory->calls.largest)
		memory->calls.largest = count;
	do_meanwhile(memory);
	if (memory->held.count) {
		try_commit(memory, memory->held.operations, memory->held.count, NULL);
		free_held(&memory->held);
	}
	fault = fault_of(memory);
	memory->is_away = fault == KV_FAULT_AWAY;
	if (fault == KV_FAULT_AWAY)
		return cv_error_set(error, -EHOSTUNREACH, "nobody answers");
	if (fault == KV_FAULT_LOST)
		return cv_error_set(error, -EAGAIN, "lost");
	if (fault == KV_FAULT_TIMEOUT_LATER)
		hold(&memory->held, operations, count);
	if (fault == KV_FAULT_TIMEOUT_NOT || fault == KV_FAULT_TIMEOUT_LATER)
		return cv_error_set(error, -ETIMEDOUT, "no answer");
	rc = try_commit(memory, operations, count, error);
	if (fault == KV_FAULT_TIMEOUT_DONE)
		return cv_error_set(error, -ETIMEDOUT, "no answer");
	*ret_revision = memory->revision;
	return rc;
}

static void client_destroy(struct cv_kv *kv)
{
	free(kv);
}

static const struct cv_kv_ops memory_ops = {
	.get = memory_get,
	.list = memory_list,
	.commit = memory_commit,
	.destroy = client_destroy,
};

struct kv_memory *kv_memory_create(void)
{
	return calloc(1, sizeof(struct kv_memory));
}

void kv_memory_destroy(struct kv_memory *memory)
{
	for (size_t i = 0; i < memory->count; i++)
		cv_kv_item_fini(&memory->items[i]);
	free_held(&memory->held);
	free(memory->items);
	free(memory);
}

struct cv_kv *kv_memory_open(struct kv_memory *memory)
{
	struct client *client = calloc(1, sizeof(*client));

	client->kv.ops = &memory_ops;
	client->memory = memory;
	return &client->kv;
}

void kv_memory_set_faults(struct kv_memory *memory, kv_memory_faults faults, void *data)
{
	memory->faults = faults;
	memory->faults_data = data;
	memory->is_away = false;
}

void kv_memory_fail_next(struct kv_memory *memory, enum kv_fault fault)
{
	memory->next = fault;
	memory->is_away = false;
}

void kv_memory_set_meanwhile(struct kv_memory *memory, void (*meanwhile)(void *data), void *data)
{
	memory->meanwhile = meanwhile;
	memory->meanwhile_data = data;
}

struct kv_memory_calls kv_memory_calls(struct kv_memory *memory)
{
	struct kv_memory_calls calls = memory->calls;

	memory->calls = (struct kv_memory_calls){0};
	return calls;
}
