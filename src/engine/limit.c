/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets in thousandths of a token. Senders share a bucket when their hashes
 * meet: one of them may then wait a little, nobody gets more.
 */
#include "engine/limit.h"

#include <pthread.h>
#include <stdlib.h>

#include "wire/types.h"

enum {
	BUCKETS = 1024,
	TOKEN = 1000
};

struct bucket {
	uint64_t filled_ms;
	uint32_t tokens;
};

struct cv_limit {
	pthread_mutex_t lock;
	struct bucket all;
	struct bucket one[BUCKETS];
};

struct cv_limit *cv_limit_create(void)
{
	struct cv_limit *limit = calloc(1, sizeof(*limit));

	if (!limit)
		return NULL;
	pthread_mutex_init(&limit->lock, NULL);
	limit->all.tokens = CV_LIMIT_ALL_BURST * TOKEN;
	for (unsigned int i = 0; i < BUCKETS; i++)
		limit->one[i].tokens = CV_LIMIT_ONE_BURST * TOKEN;
	return limit;
}

void cv_limit_destroy(struct cv_limit *limit)
{
	if (!limit)
		return;
	pthread_mutex_destroy(&limit->lock);
	free(limit);
}

static bool bucket_has(struct bucket *bucket, uint32_t per_second, uint32_t burst, uint64_t now_ms)
{
	uint64_t elapsed_ms = now_ms > bucket->filled_ms ? now_ms - bucket->filled_ms : 0;
	uint64_t tokens;

	if (elapsed_ms > 1000 * (uint64_t)burst)
		elapsed_ms = 1000 * (uint64_t)burst;
	tokens = bucket->tokens + elapsed_ms * per_second * TOKEN / 1000;
	bucket->tokens = (uint32_t)(tokens > (uint64_t)burst * TOKEN ? burst * TOKEN : tokens);
	if (now_ms > bucket->filled_ms)
		bucket->filled_ms = now_ms;
	return bucket->tokens >= TOKEN;
}

bool cv_limit_allows(struct cv_limit *limit, __be32 address, uint64_t now_ms)
{
	struct bucket *one = &limit->one[((CV_FORCE uint32_t)address * 0x9e3779b1U) >> 22];
	bool allowed;

	pthread_mutex_lock(&limit->lock);
	allowed = bucket_has(one, CV_LIMIT_ONE_PER_SECOND, CV_LIMIT_ONE_BURST, now_ms) &&
		  bucket_has(&limit->all, CV_LIMIT_ALL_PER_SECOND, CV_LIMIT_ALL_BURST, now_ms);
	if (allowed) {
		one->tokens -= TOKEN;
		limit->all.tokens -= TOKEN;
	}
	pthread_mutex_unlock(&limit->lock);
	return allowed;
}
