/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an address takes: assigned and released, one by one and in groups, over SQLite in a
 * directory, whose disk it is that counts. Prints percentiles.
 *
 *	build/tests/bench/ipam [DIRECTORY [COUNT [BLOCK-LENGTH]]]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ipam/ipam.h"
#include "store/kv_sqlite.h"
#include "wire/bytes.h"

enum {
	GROUP = 50,
	COUNT_MAX = 4000
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void print(const char *what, int64_t *times, size_t count)
{
	size_t middle = count / 2, late = count * 99 / 100;

	qsort(times, count, sizeof(*times), compare);
	printf("%-22s p50 %6.2f ms   p99 %6.2f ms   of %zu\n", what, (double)times[middle] / 1000,
	       (double)times[late] / 1000, count);
}

static void fail(const struct cv_error *error)
{
	fprintf(stderr, "ipam: %s\n", error->text);
	exit(1);
}

static struct cv_ipam *make(struct cv_kv *kv, uint8_t block_length)
{
	struct cv_ipam *ipam = cv_ipam_create(kv);
	struct cv_ipam_world world = {
		.pools = calloc(1, sizeof(struct cv_ipam_pool)),
		.pool_count = 1,
		.declared = calloc(1, sizeof(struct cv_prefix)),
		.declared_count = 1,
	};

	if (!ipam || !world.pools || !world.declared)
		exit(1);
	snprintf(world.node, sizeof(world.node), "node-1");
	world.pools[0] = (struct cv_ipam_pool){
		.name = "pool",
		.cidr = {cv_htonl(0x0af40000), 16},
		.block_size = block_length,
		.selects_us = true,
		.for_workload = true,
	};
	world.declared[0] = (struct cv_prefix){cv_htonl(0x0af41000), 20};
	if (cv_ipam_configure(ipam, &world))
		exit(1);
	return ipam;
}

static char names[COUNT_MAX][96];

/* As the agent asks. */
static struct cv_ipam_request request_of(size_t i)
{
	struct cv_ipam_request request = {
		.handle = names[i],
		.attributes = {{"pod", "web-7c5ddbdf54-zk8xq"},
			       {"namespace", "default"},
			       {"timestamp", "2026-11-26 18:00:00 +0000 UTC"}},
		.attribute_count = 3,
		.is_repeated = true,
	};

	return request;
}

static void one_by_one(struct cv_ipam *ipam, size_t count)
{
	static int64_t assigned[COUNT_MAX], released[COUNT_MAX];
	struct cv_ipam_result result;
	struct cv_error error;

	for (size_t i = 0; i < count; i++) {
		struct cv_ipam_request request = request_of(i);
		int64_t begin = now_us();

		if (cv_ipam_assign(ipam, &request, 1, &result))
			fail(&result.error);
		assigned[i] = now_us() - begin;
	}
	for (size_t i = 0; i < count; i++) {
		const char *name = names[i];
		int64_t begin = now_us();

		if (cv_ipam_release(ipam, &name, 1, NULL, &error))
			fail(&error);
		released[i] = now_us() - begin;
	}
	print("assign", assigned, count);
	print("release", released, count);
}

static void in_groups(struct cv_ipam *ipam, size_t count)
{
	static int64_t assigned[COUNT_MAX], released[COUNT_MAX];
	struct cv_ipam_request requests[GROUP];
	struct cv_ipam_result results[GROUP];
	const char *handles[GROUP];
	struct cv_error error;
	size_t groups = count / GROUP;

	for (size_t i = 0; i < groups; i++) {
		int64_t begin;

		for (size_t j = 0; j < GROUP; j++)
			requests[j] = request_of(i * GROUP + j);
		begin = now_us();
		if (cv_ipam_assign(ipam, requests, GROUP, results))
			fail(&results[0].error);
		assigned[i] = now_us() - begin;
	}
	for (size_t i = 0; i < groups; i++) {
		int64_t begin;

		for (size_t j = 0; j < GROUP; j++)
			handles[j] = names[i * GROUP + j];
		begin = now_us();
		if (cv_ipam_release(ipam, handles, GROUP, NULL, &error))
			fail(&error);
		released[i] = now_us() - begin;
	}
	if (!groups)
		return;
	print("assign 50 at once", assigned, groups);
	print("release 50 at once", released, groups);
}

int main(int argc, char **argv)
{
	const char *directory = argc > 1 ? argv[1] : ".";
	size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 500;
	unsigned long length = argc > 3 ? strtoul(argv[3], NULL, 10) : 26;
	char path[4096], log[4100];
	struct cv_error error;
	struct cv_ipam *ipam;
	struct cv_kv *kv;

	if (!count || count > COUNT_MAX || length < 20 || length > 32) {
		fprintf(stderr, "usage: ipam [DIRECTORY [COUNT (1 to %d) [BLOCK-LENGTH]]]\n",
			COUNT_MAX);
		return 2;
	}
	for (size_t i = 0; i < count; i++)
		snprintf(names[i], sizeof(names[i]), "k8s-pod-network.%064zx.eth0", i);
	snprintf(path, sizeof(path), "%s/ipam-bench-%d.db", directory, (int)getpid());
	if (cv_kv_sqlite_open(path, &kv, &error))
		fail(&error);
	ipam = make(kv, (uint8_t)length);
	one_by_one(ipam, count);
	in_groups(ipam, count);
	cv_ipam_destroy(ipam);
	cv_kv_destroy(kv);
	unlink(path);
	snprintf(log, sizeof(log), "%s-wal", path);
	unlink(log);
	return 0;
}
