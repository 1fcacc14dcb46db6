/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the readers of etcd's answers. Input: an answer, or a line of a watch. Beyond memory
 * errors it demands: keys are not empty and revisions positive; what is decoded from base64 encodes
 * to the same text; a token and the words of a refusal are one printable line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/etcd_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_line(const char *line)
{
	for (; *line; line++)
		demand(*line >= ' ' && *line <= '~');
}

static void check_base64(const char *text, size_t size)
{
	struct cv_text again = {.data = NULL};
	size_t length;
	char *data;

	if (!cv_base64_decode(text, size, &data, &length)) {
		demand(length <= size);
		cv_text_puts(&again, "");
		cv_base64_add(&again, data, length);
		demand(again.length == size && !memcmp(again.data, text, size));
		free(data);
		cv_text_fini(&again);
	}
	cv_text_puts(&again, "");
	cv_base64_add(&again, text, size);
	demand(!cv_base64_decode(again.data, again.length, &data, &length));
	demand(length == size && !memcmp(data, text, size));
	free(data);
	cv_text_fini(&again);
}

static void check_range(const char *text, size_t size)
{
	struct cv_kv_list list;
	bool more;

	if (cv_etcd_read_range(text, size, &list, &more))
		return;
	demand(list.revision > 0 && list.count <= size);
	for (size_t i = 0; i < list.count; i++)
		demand(*list.items[i].key && list.items[i].revision > 0);
	cv_kv_list_fini(&list);
}

/* A page ends before its end, and the next one begins behind its last key. */
static void check_page(const char *text, size_t size)
{
	const struct cv_etcd_key end = {(char *)(uintptr_t) "b", 1};
	struct cv_etcd_key from = {strdup("a"), 1};
	struct cv_kv_list list;
	bool more;

	demand(from.data);
	if (!cv_etcd_read_page(text, size, &end, &from, &list, &more)) {
		demand(!more || list.count);
		demand(list.count
			       ? from.length > 1 && *from.data == 'a' && !from.data[from.length - 1]
			       : from.length == 1);
		for (size_t i = 0; i < list.count; i++)
			demand(*list.items[i].key == 'a' && list.items[i].revision > 0);
		cv_kv_list_fini(&list);
	}
	free(from.data);
}

static void check_watched(const char *text, size_t size)
{
	struct cv_etcd_watched watched;

	if (cv_etcd_read_watched(text, size, &watched))
		return;
	check_line(watched.reason);
	demand(watched.count <= size);
	for (size_t i = 0; i < watched.count; i++) {
		demand(*watched.events[i].key && watched.events[i].revision > 0);
		demand(!watched.events[i].is_deleted || !watched.events[i].value);
	}
	cv_etcd_watched_fini(&watched);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct cv_etcd_refusal refusal;
	int64_t revision = 0;
	bool succeeded;
	char *token;

	check_base64(text, size);
	check_range(text, size);
	check_page(text, size);
	check_watched(text, size);
	if (!cv_etcd_read_txn(text, size, &succeeded, &revision))
		demand(revision > 0);
	if (!cv_etcd_read_token(text, size, &token)) {
		demand(*token);
		check_line(token);
		free(token);
	}
	cv_etcd_read_refusal(text, size, &refusal);
	check_line(refusal.message);
	return 0;
}
