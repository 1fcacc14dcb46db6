/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Soft state of remote ends: a set-associative table by address.
 *
 * Invariants: ICMP errors alone never raise an entry's MTU, nor lower it below
 * CV_REMOTE_MTU_MIN or more often than a path has routers; an error is told once. A full
 * set gives up its oldest entry: the state is soft, a later ICMP error, or the prober's next word,
 * brings it back.
 */
#include "engine/remote.h"

#include <pthread.h>
#include <stdlib.h>

#include "wire/types.h"

enum {
	SET_BITS = 11,
	SETS = 1 << SET_BITS,
	WAYS = 8,
	ERROR_LIFETIME_MS = 5000, /* an older error says nothing about now */
};

struct entry {
	__be32 address; /* 0: free */
	uint32_t mtu;
	uint64_t mtu_until_ms;
	uint64_t error_until_ms; /* 0: none waits */
	uint64_t touched_ms;
	uint64_t counted_ms; /* may_lower */
	uint32_t lowerings;
	uint64_t distrusted_until_ms;
	uint32_t inner_mtu;
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
	return remotes->entries[((CV_FORCE uint32_t)address * 0x9e3779b1U) >> (32 - SET_BITS)];
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

/* Nothing need be kept of a remote that is as routing says. */
static struct entry *entry_for(struct cv_remotes *remotes, __be32 address, uint32_t value,
			       uint64_t now_ms)
{
	return value ? entry_get(remotes, address, now_ms) : entry_find(remotes, address);
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
		.inner_mtu = entry->inner_mtu,
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

/* Counts one of the ICMP errors that are few for a path, and many for who forges them. */
static bool may_lower(struct entry *entry, uint64_t now_ms)
{
	uint64_t forgiven = (now_ms - entry->counted_ms) / CV_REMOTE_LOWER_INTERVAL_MS;

	if (now_ms < entry->distrusted_until_ms)
		return false;
	if (forgiven >= entry->lowerings) {
		entry->lowerings = 0;
		entry->counted_ms = now_ms;
	} else {
		entry->lowerings -= (uint32_t)forgiven;
		entry->counted_ms += forgiven * CV_REMOTE_LOWER_INTERVAL_MS;
	}
	if (entry->lowerings == CV_REMOTE_LOWER_BURST)
		return false;
	entry->lowerings++;
	return true;
}

/* Of an entry that is locked. */
static enum cv_remote_verdict lower(struct cv_remotes *remotes, struct entry *entry, uint32_t mtu,
				    uint32_t current, uint64_t now_ms, uint64_t lifetime_ms)
{
	bool is_known = entry->mtu_until_ms > now_ms;

	if (is_known && entry->mtu < current)
		current = entry->mtu;
	if (mtu >= current) {
		/* A path that says so again is as it was. */
		if (is_known && mtu == entry->mtu && entry->mtu_until_ms < now_ms + lifetime_ms) {
			entry->mtu_until_ms = now_ms + lifetime_ms;
			tell(remotes, entry);
		}
		return CV_REMOTE_KEPT;
	}
	if (!may_lower(entry, now_ms))
		return CV_REMOTE_LIMITED;
	entry->mtu = mtu;
	entry->mtu_until_ms = now_ms + lifetime_ms;
	tell(remotes, entry);
	return CV_REMOTE_LOWERED;
}

enum cv_remote_verdict cv_remotes_lower_mtu(struct cv_remotes *remotes, __be32 address,
					    uint32_t mtu, uint32_t current, uint64_t now_ms,
					    uint64_t lifetime_ms)
{
	enum cv_remote_verdict verdict;

	if (mtu < CV_REMOTE_MTU_MIN)
		return CV_REMOTE_TINY;
	pthread_mutex_lock(&remotes->lock);
	verdict = lower(remotes, entry_get(remotes, address, now_ms), mtu, current, now_ms,
			lifetime_ms);
	pthread_mutex_unlock(&remotes->lock);
	if (verdict == CV_REMOTE_LOWERED)
		bump(remotes);
	return verdict;
}

void cv_remotes_set_mtu(struct cv_remotes *remotes, __be32 address, uint32_t mtu, uint64_t now_ms,
			uint64_t until_ms)
{
	struct entry *entry;
	bool changed = false;

	pthread_mutex_lock(&remotes->lock);
	entry = entry_for(remotes, address, mtu, now_ms);
	if (entry) {
		uint32_t before = entry->mtu_until_ms > now_ms ? entry->mtu : 0;

		changed = before != mtu;
		entry->mtu = mtu;
		entry->mtu_until_ms = mtu ? until_ms : 0;
		tell(remotes, entry);
	}
	pthread_mutex_unlock(&remotes->lock);
	if (changed)
		bump(remotes);
}

void cv_remotes_distrust(struct cv_remotes *remotes, __be32 address, uint64_t now_ms,
			 uint64_t until_ms)
{
	pthread_mutex_lock(&remotes->lock);
	entry_get(remotes, address, now_ms)->distrusted_until_ms = until_ms;
	pthread_mutex_unlock(&remotes->lock);
}

void cv_remotes_set_inner_mtu(struct cv_remotes *remotes, __be32 address, uint32_t inner_mtu,
			      uint64_t now_ms)
{
	struct entry *entry;

	pthread_mutex_lock(&remotes->lock);
	entry = entry_for(remotes, address, inner_mtu, now_ms);
	if (entry && entry->inner_mtu != inner_mtu) {
		entry->inner_mtu = inner_mtu;
		tell(remotes, entry);
	}
	pthread_mutex_unlock(&remotes->lock);
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
