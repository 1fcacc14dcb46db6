/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What etcd's JSON gateway answers (v3, https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/):
 * keys and values in base64, 64-bit numbers as strings, what is zero left out.
 */
#ifndef CV_STORE_ETCD_REPLY_H
#define CV_STORE_ETCD_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/json.h"
#include "store/kv.h"

/*
 * Limits of an answer, or of a line of a watch. etcd's own have five levels, a page of
 * CV_ETCD_PAGE keys 12,000 values; a watch that has much to catch up with, some 14 a change.
 */
enum {
	CV_ETCD_REPLY_DEPTH = 16,
	CV_ETCD_REPLY_VALUES = 500000,
};

/* Base64 (RFC 4648, section 4), with its padding. Adding fails as cv_text does. */
void cv_base64_add(struct cv_text *text, const void *data, size_t length);

/* 0, and *ret_data (the caller frees it; a NUL follows its *ret_length bytes); -EINVAL, -ENOMEM. */
int cv_base64_decode(const char *text, size_t length, char **ret_data, size_t *ret_length);

/*
 * What follows returns 0, -EBADMSG, -E2BIG: more than the limits above; or -ENOMEM.
 *
 * Of a range. A value that is no text (it has a NUL) is NULL in its item. *ret_more: there are keys
 * behind the last. cv_kv_list_fini.
 */
int cv_etcd_read_range(const char *json, size_t length, struct cv_kv_list *ret_list,
		       bool *ret_more);

/* A key of etcd, as it is: with NULs, if it has any. */
struct cv_etcd_key {
	char *data;
	size_t length;
};

/*
 * Of a page of a range that was asked for from *from to before *end, sorted by key. Keys that are
 * not in there, not in order or there twice are -EBADMSG: with such, a list would never end. Then
 * *from (its data is the caller's, from malloc) becomes where the next page begins.
 */
int cv_etcd_read_page(const char *json, size_t length, const struct cv_etcd_key *end,
		      struct cv_etcd_key *from, struct cv_kv_list *ret_list, bool *ret_more);

/* Of the same: how many keys the range has, whatever the limit was. */
int cv_etcd_read_count(const char *json, size_t length, size_t *ret_count);

/* Of a txn. */
int cv_etcd_read_txn(const char *json, size_t length, bool *ret_succeeded, int64_t *ret_revision);

/* Of auth/authenticate; the caller frees *ret_token. */
int cv_etcd_read_token(const char *json, size_t length, char **ret_token);

/*
 * What etcd says when it refuses, also in the middle of a watch. -EBADMSG: it is no such answer,
 * and message has its beginning, as etcd also answers in plain text.
 */
struct cv_etcd_refusal {
	int code; /* gRPC's */
	char message[256];
};
int cv_etcd_read_refusal(const char *json, size_t length, struct cv_etcd_refusal *ret_refusal);

/* A line of a watch. */
struct cv_etcd_event {
	char *key, *value; /* value NULL: deleted, or no text */
	int64_t revision;  /* of the change */
	bool is_deleted;
	bool is_new; /* the key was not there before */
};

struct cv_etcd_watched {
	bool is_created, is_canceled;
	int64_t compact_revision; /* > 0: what is before it is forgotten */
	char reason[256];	  /* of canceled, or of an error; "" */
	int code;		  /* of an error, gRPC's; 0: none */
	int64_t revision;	  /* of the store */
	struct cv_etcd_event *events;
	size_t count;
};

/* cv_etcd_watched_fini. */
int cv_etcd_read_watched(const char *json, size_t length, struct cv_etcd_watched *ret_watched);
void cv_etcd_watched_fini(struct cv_etcd_watched *watched);

#endif
