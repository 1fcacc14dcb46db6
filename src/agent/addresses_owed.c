/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is released while addresses move from this host's file to etcd, or have moved and culvertd
 * was not restarted yet. The file has it released; etcd has what was moved. So each such release
 * is noted beside the documents ("released/…", in the same commit where that is possible), and done
 * again in etcd after the restart, before anything is assigned: the handle could get an address
 * again. Where the file stays in force, because nothing was moved, the notes go.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/addresses_state.h"
#include "agent/log.h"
#include "ipam/key.h"

/* Then the handle; and an address behind a "/", if it is that alone. */
#define NOTES "released/"

enum {
	KEY_MAX = sizeof(NOTES) + CV_IPAM_HANDLE_MAX + CV_ADDRESS_TEXT_MAX
};

static void format_key(const struct cv_address_job *job, char key[KEY_MAX])
{
	char address[CV_ADDRESS_TEXT_MAX];

	if (job->kind == CV_JOB_RELEASE)
		snprintf(key, KEY_MAX, NOTES "%s", job->key);
	else
		snprintf(key, KEY_MAX, NOTES "%s/%s", job->key ? job->key : "",
			 cv_address_format(job->address, address));
}

/* A key may be in one commit once. */
static bool is_among(const struct cv_kv_operation *operations, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(operations[i].key, key))
			return true;
	}
	return false;
}

int cv_addresses_owe(struct cv_addresses *addresses, struct cv_address_job *const *jobs,
		     size_t count, bool owed, struct cv_error *error)
{
	struct cv_kv_operation operations[CV_KV_OPERATIONS] = {0};
	char(*keys)[KEY_MAX] = calloc(count, sizeof(*keys));
	size_t used = 0;
	int rc = 0;

	if (!keys)
		return cv_error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		if (!jobs[i]->is_owed || (jobs[i]->key && !cv_ipam_key_allows_handle(jobs[i]->key)))
			continue;
		format_key(jobs[i], keys[i]);
		if (is_among(operations, used, keys[i]))
			continue;
		operations[used++] =
			(struct cv_kv_operation){keys[i], owed ? "{}" : NULL, CV_KV_WHATEVER};
	}
	if (used)
		rc = cv_kv_commit(addresses->local, operations, used, NULL, error);
	free(keys);
	return rc;
}

/* One that can be done never is for `culvert ipam check`. 0 or an error of the store. */
static int release_again(struct cv_addresses *addresses, const char *note, struct cv_error *error)
{
	const char *slash = strchr(note, '/');
	char handle[CV_IPAM_HANDLE_MAX];
	const char *const handles[] = {handle};
	struct in_addr address;
	int rc;

	snprintf(handle, sizeof(handle), "%.*s", slash ? (int)(slash - note) : (int)strlen(note),
		 note);
	if (!slash)
		rc = cv_ipam_release(addresses->ipam, handles, 1, NULL, error);
	else if (inet_pton(AF_INET, slash + 1, &address) != 1)
		return 0;
	else
		rc = cv_ipam_release_address(addresses->ipam, (CV_FORCE __be32)address.s_addr,
					     *handle ? handle : NULL, error);
	if (rc == -EUCLEAN)
		cv_log(LOG_ERR, "pods: what was released while addresses moved to etcd is not: %s",
		       error->text);
	return rc == -ENOENT || rc == -EPERM || rc == -EUCLEAN ? 0 : rc;
}

int cv_addresses_settle(struct cv_addresses *addresses, struct cv_error *error)
{
	bool is_moved = addresses->kv != addresses->local;
	struct cv_kv_list list;
	size_t done = 0;
	int rc;

	if (addresses->is_settled)
		return 0;
	rc = cv_kv_list(addresses->local, NOTES, &list, error);
	if (rc)
		return rc;
	for (; done < list.count && !rc; done++) {
		const struct cv_kv_operation gone = {list.items[done].key, NULL, CV_KV_WHATEVER};

		if (is_moved)
			rc = release_again(addresses, list.items[done].key + strlen(NOTES), error);
		if (!rc)
			rc = cv_kv_commit(addresses->local, &gone, 1, NULL, error);
	}
	if (!rc && list.count && is_moved)
		cv_log(LOG_NOTICE, "pods: %zu releases of before the restart are done in etcd, too",
		       list.count);
	addresses->is_settled = !rc;
	cv_kv_list_fini(&list);
	return rc;
}
