/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents in etcd (store/kv_etcd.h) from a command line, for tests:
 *
 *   etcd_tool DATASTORE get KEY | list PREFIX | put KEY VALUE [REVISION] | delete KEY [REVISION]
 *   etcd_tool DATASTORE time COUNT      puts, one after the other; their times
 *
 * Prints what was found, "REVISION KEY VALUE", or of a change "REVISION"; or "ERRNO: the error",
 * and exits with 1. Both say how long it took: " [N ms]".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/kv_etcd.h"

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int time_puts(struct cv_kv *kv, size_t count, struct cv_error *error)
{
	double *times = calloc(count + 1, sizeof(*times));
	int rc = times ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !rc; i++) {
		const struct cv_kv_operation put = {"time", "it", CV_KV_WHATEVER};
		double begin = now_ms();

		rc = cv_kv_commit(kv, &put, 1, NULL, error);
		times[i] = now_ms() - begin;
	}
	if (!rc && count) {
		qsort(times, count, sizeof(*times), compare);
		printf("p50 %.2f p99 %.2f max %.2f ms\n", times[count / 2], times[count * 99 / 100],
		       times[count - 1]);
	}
	free(times);
	return rc;
}

static int list(struct cv_kv *kv, const char *prefix, struct cv_error *error)
{
	struct cv_kv_list found;
	int rc = cv_kv_list(kv, prefix, &found, error);

	if (rc)
		return rc;
	for (size_t i = 0; i < found.count; i++)
		printf("%lld %s %s\n", (long long)found.items[i].revision, found.items[i].key,
		       found.items[i].value);
	cv_kv_list_fini(&found);
	return 0;
}

static int get(struct cv_kv *kv, const char *key, struct cv_error *error)
{
	struct cv_kv_item item;
	int rc = cv_kv_get(kv, key, &item, error);

	if (rc)
		return rc;
	printf("%lld %s %s\n", (long long)item.revision, item.key, item.value);
	cv_kv_item_fini(&item);
	return 0;
}

static int change(struct cv_kv *kv, const char *key, const char *value, const char *revision,
		  struct cv_error *error)
{
	const struct cv_kv_operation operation = {key, value,
						  revision ? atoll(revision) : CV_KV_WHATEVER};
	int64_t done = 0;
	int rc = cv_kv_commit(kv, &operation, 1, &done, error);

	if (!rc)
		printf("%lld\n", (long long)done);
	return rc;
}

static int run(struct cv_kv *kv, int argc, char **argv, struct cv_error *error)
{
	const char *verb = argv[2];

	if (!strcmp(verb, "get"))
		return get(kv, argv[3], error);
	if (!strcmp(verb, "list"))
		return list(kv, argv[3], error);
	if (!strcmp(verb, "time"))
		return time_puts(kv, (size_t)atoi(argv[3]), error);
	if (!strcmp(verb, "put") && argc > 4)
		return change(kv, argv[3], argv[4], argc > 5 ? argv[5] : NULL, error);
	if (!strcmp(verb, "delete"))
		return change(kv, argv[3], NULL, argc > 4 ? argv[4] : NULL, error);
	return cv_error_set(error, -EINVAL, "no command %s", verb);
}

int main(int argc, char **argv)
{
	struct cv_datastore_config config;
	struct cv_error error = {.text = ""};
	struct cv_kv *kv = NULL;
	double begin;
	int rc;

	if (argc < 4)
		return 2;
	rc = cv_datastore_config_read(argv[1], &config, &error);
	if (!rc) {
		for (size_t i = 0; i < config.warnings.count; i++)
			fprintf(stderr, "warning: %s\n", config.warnings.texts[i]);
		rc = cv_kv_etcd_create(&config, NULL, &kv, &error);
		cv_datastore_config_fini(&config);
	}
	begin = now_ms();
	if (!rc)
		rc = run(kv, argc, argv, &error);
	if (rc)
		printf("%s: %s", strerrorname_np(-rc), error.text);
	printf(" [%.0f ms]\n", now_ms() - begin);
	cv_kv_destroy(kv);
	return rc ? 1 : 0;
}
