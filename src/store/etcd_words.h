/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl and etcd say when something is wrong, in words for who runs the cluster. */
#ifndef CV_STORE_ETCD_WORDS_H
#define CV_STORE_ETCD_WORDS_H

#include <curl/curl.h>
#include <stdbool.h>

#include "store/datastore.h"
#include "store/etcd_reply.h"

/* Of a request that was not answered. */
struct cv_etcd_failure {
	const char *endpoint;
	const struct cv_datastore_config *config;
	CURLcode result;
	const char *words; /* libcurl's */
	int os_errno;	   /* 0: none */
	bool was_sent, is_too_large;
	int timeout_ms;
	bool is_first; /* nothing was ever answered on this connection */
};
void cv_etcd_explain_failure(const struct cv_etcd_failure *failure, struct cv_error *error);

/* Whether TLS, not HTTP, has failed: the server has not even read the request. */
bool cv_etcd_is_handshake(CURLcode result, const char *words);

/* What follows of an answer that is no success. */
enum cv_etcd_verdict {
	CV_ETCD_REFUSED,   /* it will be the same again */
	CV_ETCD_ELSEWHERE, /* not done; another member may */
	CV_ETCD_IN_DOUBT,  /* it may have been done */
	CV_ETCD_LOG_IN,	   /* the token is not, or no longer, good */
	CV_ETCD_OPEN,	   /* etcd has no authentication: none is needed */
	CV_ETCD_TOO_LARGE, /* an answer that the gateway cannot take: ask for less */
};

/* *ret_rc: the -errno of kv.h, -ESTALE for what was compacted away, -EIO for the rest. */
enum cv_etcd_verdict cv_etcd_judge(const char *endpoint, const struct cv_datastore_config *config,
				   long status, const struct cv_etcd_refusal *refusal, int *ret_rc,
				   struct cv_error *error);

#endif
