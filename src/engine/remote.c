/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Soft state of remote ends: a set-associative table by address.
 *
 * Invariants: an entry's MTU only falls until it expires; an error is told once. A full
 * set gives up its oldest entry: the state is soft, a later ICMP error brings it back.
 */
#include "engine/remote.h"

#include <pthread.h>
#include <stdlib.h>

#include "wire/types.h"

enum {
	SETS = 256,
	WAYS = 8,
	ERROR_LIFETIME_MS = 5000, /* an older error says nothing about now */
};

struct entry {
	__be32 address; /* 0: free */
	uint32_t mtu;
	uint64_t mtu_until_ms;
	uint64_t error_until_ms; /* 0: none waits */
	uint64_t touched_ms;
	struct cv_remote_error error;
};

struct cv_remotes {
	pthread_mutex_t lock;
	uint32_t generation;
	void (*tell)(void *context, __be32 address, const struct cv_remote_state *state);
	void *context;
	struct entry entries[SETS][WAYS];
};

struct cv_remotes *cv_remotes_create(void)
{
	struct cv_remotes *remotes = calloc(1, sizeof(*remotes));

	if (remotes)
		pthread_mutex_init(&remotes->lock, NULL);
	return remotes;
}

void cv_remotes_destroy(struct cv_remotes *remotes)
{
	if (!remotes)
		return;
	pthread_mutex_destroy(&remotes->lock);
	free(remotes);
}

static struct entry *entry_set(struct cv_remotes *remotes, __be32 address)
{
	return remotes->entries[((CV_FORCE uint32_t)address * 0x9e3779b1U) >> 24];
}

static struct entry *entry_find(struct cv_remotes *remotes, __be32 address)
{
	struct entry *set = entry_set(remotes, address);

	for (unsigned int i = 0; i < WAYS; i++) {
		if (set[i].address == address)
			return &set[i];
	}
	return NULL;
}

static struct entry *entry_get(struct cv_remotes *remotes, __be32 address, uint64_t now_ms)
{
	struct entry *set = entry_set(remotes, address);
	struct entry *oldest = &set[0];
	struct entry *entry = entry_find(remotes, address);

	if (!entry) {
		for (unsigned int i = 1; i < WAYS; i++) {
			if (set[i].touched_ms < oldest->touched_ms)
				oldest = &set[i];
		}
		entry = oldest;
		*entry = (struct entry){.address = address};
	}
	entry->touched_ms = now_ms;
	return entry;
}

static void bump(struct cv_remotes *remotes)
{
	__atomic_fetch_add(&remotes->generation, 1, __ATOMIC_RELEASE);
}

void cv_remotes_observe(struct cv_remotes *remotes,
			void (*tell)(void *context, __be32 address,
				     const struct cv_remote_state *state),
			void *context)
{
	remotes->tell = tell;
	remotes->context = context;
}

/* Locked, so that what is told last is what is known last. */
static void tell(const struct cv_remotes *remotes, const struct entry *entry)
{
	const struct cv_remote_state state = {
		.mtu = entry->mtu,
		.mtu_until_ms = entry->mtu_until_ms,
		.error_until_ms = entry->error_until_ms,
	};

	if (remotes->tell)
		remotes->tell(remotes->context, entry->address, &state);
}

uint32_t cv_remotes_generation(const struct cv_remotes *remotes)
{
	return __atomic_load_n(&remotes->generation, __ATOMIC_ACQUIRE);
}

void cv_remotes_read(struct cv_remotes *remotes, __be32 address, uint64_t now_ms, uint32_t *ret_mtu,
		     bool *ret_error)
{
	const struct entry *entry;

	pthread_mutex_lock(&remotes->lock);
	entry = entry_find(remotes, address);
	*ret_mtu = entry && entry->mtu_until_ms > now_ms ? entry->mtu : 0;
	*ret_error = entry && entry->error_until_ms > now_ms;
	pthread_mutex_unlock(&remotes->lock);
}

bool cv_remotes_lower_mtu(struct cv_remotes *remotes, __be32 address, uint32_t mtu, uint64_t now_ms,
			  uint64_t lifetime_ms)
{
	struct entry *entry;
	bool lowered;

	pthread_mutex_lock(&remotes->lock);
	entry = entry_get(remotes, address, now_ms);
	lowered = entry->mtu_until_ms <= now_ms || mtu < entry->mtu;
	if (lowered)
		entry->mtu = mtu;
	if (mtu <= entry->mtu)
		entry->mtu_until_ms = now_ms + lifetime_ms;
	tell(remotes, entry);
	pthread_mutex_unlock(&remotes->lock);
	if (lowered)
		bump(remotes);
	return lowered;
}

void cv_remotes_set_error(struct cv_remotes *remotes, __be32 address,
			  const struct cv_remote_error *error, uint64_t now_ms)
{
	struct entry *entry;

	pthread_mutex_lock(&remotes->lock);
	entry = entry_get(remotes, address, now_ms);
	entry->error = *error;
	entry->error_until_ms = now_ms + ERROR_LIFETIME_MS;
	tell(remotes, entry);
	pthread_mutex_unlock(&remotes->lock);
	bump(remotes);
}

bool cv_remotes_take_error(struct cv_remotes *remotes, __be32 address, uint64_t now_ms,
			   struct cv_remote_error *ret_error)
{
	struct entry *entry;
	bool taken = false;

	pthread_mutex_lock(&remotes->lock);
	entry = entry_find(remotes, address);
	if (entry && entry->error_until_ms > now_ms) {
		*ret_error = entry->error;
		taken = true;
	}
	if (entry && entry->error_until_ms) {
		entry->error_until_ms = 0;
		tell(remotes, entry);
	}
	pthread_mutex_unlock(&remotes->lock);
	if (taken)
		bump(remotes);
	return taken;
}
