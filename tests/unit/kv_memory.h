/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents in memory: the naive oracle of the stores, and a store that fails where a test wants
 * it. One store can have many openings, as etcd has many clients.
 */
#ifndef CV_TESTS_KV_MEMORY_H
#define CV_TESTS_KV_MEMORY_H

#include "store/kv.h"

struct kv_memory;

enum kv_fault {
	KV_FAULT_NONE,
	KV_FAULT_LOST,		/* commit: -EAGAIN, although nobody has changed anything */
	KV_FAULT_TIMEOUT_DONE,	/* -ETIMEDOUT; it has happened */
	KV_FAULT_TIMEOUT_NOT,	/* -ETIMEDOUT; it has not */
	KV_FAULT_TIMEOUT_LATER, /* -ETIMEDOUT; it is tried when somebody commits next */
	KV_FAULT_AWAY,		/* -EHOSTUNREACH; of get and list, too */
};

/* Asked before each commit. NULL: no faults. */
typedef enum kv_fault (*kv_memory_faults)(void *data);

struct kv_memory *kv_memory_create(void);
void kv_memory_destroy(struct kv_memory *memory);

/* A client: cv_kv_destroy ends it. */
struct cv_kv *kv_memory_open(struct kv_memory *memory);

/* For all clients, from now on. */
void kv_memory_set_faults(struct kv_memory *memory, kv_memory_faults faults, void *data);

/* What is asked of the next commit alone, before the function above. */
void kv_memory_fail_next(struct kv_memory *memory, enum kv_fault fault);

/* Called before each commit is looked at: where a test does what somebody else does meanwhile. */
void kv_memory_set_meanwhile(struct kv_memory *memory, void (*meanwhile)(void *data), void *data);

/* How often since the last call, and zero: */
struct kv_memory_calls {
	unsigned int gets, lists, commits, refused;
	size_t largest; /* operations of a commit */
};
struct kv_memory_calls kv_memory_calls(struct kv_memory *memory);

#endif
