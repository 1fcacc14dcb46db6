/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures of etcd in words. etcd's own are those of 3.4
 * (etcdserver/api/v3rpc/rpctypes/error.go); libcurl's those of OpenSSL below it.
 */
#include "store/etcd_words.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "store/certificate.h"
#include "store/etcd_http.h"

/* ---- certificates -------------------------------------------------------------------- */

/* What is wrong with the dates of a certificate in a file, as " which …"; "" if nothing is. */
static const char *dates_of(const char *path)
{
	struct cv_certificate dates;
	time_t now = time(NULL);

	if (!path || cv_certificate_read(path, &dates, NULL))
		return "";
	if (dates.not_after_s < now)
		return ", which has expired";
	if (dates.not_before_s > now)
		return ", which is not yet valid (is this host's clock right?)";
	return "";
}

bool cv_etcd_is_handshake(CURLcode result, const char *words)
{
	switch (result) {
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		return true;
	default:
		return strstr(words, " alert ") != NULL;
	}
}

static void explain_peer(const struct cv_etcd_failure *failure, struct cv_error *error)
{
	const char *ca = failure->config->ca_file;
	const char *words = failure->words;

	if (strstr(words, "has expired"))
		cv_error_set(error, 0, "etcd %s: its certificate, or its authority's, has expired",
			     failure->endpoint);
	else if (strstr(words, "not yet valid"))
		cv_error_set(error, 0,
			     "etcd %s: its certificate is not yet valid (is this host's clock "
			     "right?)",
			     failure->endpoint);
	else if (strstr(words, "alternative certificate subject name") ||
		 strstr(words, "subject name"))
		cv_error_set(error, 0,
			     "etcd %s: its certificate is for other names or addresses than this "
			     "one",
			     failure->endpoint);
	else
		cv_error_set(error, 0,
			     "etcd %s: its certificate is not trusted (%s): it is not of an "
			     "authority in %s",
			     failure->endpoint, words,
			     ca ? ca : "the system's (etcdCACertFile is not given)");
}

static void explain_refused_certificate(const struct cv_etcd_failure *failure,
					struct cv_error *error)
{
	const char *file = failure->config->cert_file;

	if (file)
		cv_error_set(error, 0, "etcd %s: it refuses the client certificate %s%s (%s)",
			     failure->endpoint, file, dates_of(file), failure->words);
	else
		cv_error_set(error, 0,
			     "etcd %s: it wants a client certificate; give etcdCertFile and "
			     "etcdKeyFile (%s)",
			     failure->endpoint, failure->words);
}

static void explain_tls(const struct cv_etcd_failure *failure, struct cv_error *error)
{
	const struct cv_datastore_config *config = failure->config;

	if (failure->result == CURLE_PEER_FAILED_VERIFICATION)
		explain_peer(failure, error);
	else if (failure->result == CURLE_SSL_CERTPROBLEM)
		cv_error_set(error, 0, "etcd: the client certificate %s with the key %s: %s",
			     config->cert_file ? config->cert_file : "(none)",
			     config->key_file ? config->key_file : "(none)", failure->words);
	else if (failure->result == CURLE_SSL_CACERT_BADFILE)
		cv_error_set(error, 0, "etcd: the authorities in %s: %s",
			     config->ca_file ? config->ca_file : "the system's directory",
			     failure->words);
	else if (strstr(failure->words, " alert "))
		explain_refused_certificate(failure, error);
	else if (strstr(failure->words, "wrong version number"))
		cv_error_set(error, 0, "etcd %s: there is no TLS; is it an http:// endpoint?",
			     failure->endpoint);
	else
		cv_error_set(error, 0, "etcd %s: TLS: %s", failure->endpoint, failure->words);
}

/* ---- no answer ------------------------------------------------------------------------- */

/* Who does not like how it is spoken to may just hang up. */
static void explain_broken(const struct cv_etcd_failure *failure, struct cv_error *error)
{
	const struct cv_datastore_config *config = failure->config;
	const char *words = failure->words;
	bool is_tls = !strncmp(failure->endpoint, "https", 5);

	if (failure->is_first && is_tls && config->cert_file)
		cv_error_set(error, 0,
			     "etcd %s: the connection broke: %s (does it trust the client "
			     "certificate %s%s?)",
			     failure->endpoint, words, config->cert_file,
			     dates_of(config->cert_file));
	else
		cv_error_set(error, 0, "etcd %s: the connection broke: %s%s", failure->endpoint,
			     words,
			     failure->is_first && failure->result == CURLE_GOT_NOTHING && !is_tls
				     ? " (does it want https://?)"
				     : "");
}

void cv_etcd_explain_failure(const struct cv_etcd_failure *failure, struct cv_error *error)
{
	if (cv_etcd_is_handshake(failure->result, failure->words)) {
		explain_tls(failure, error);
		return;
	}
	switch (failure->result) {
	case CURLE_COULDNT_CONNECT:
		cv_error_set(error, 0, "etcd %s: %s", failure->endpoint,
			     failure->os_errno ? strerror(failure->os_errno) : failure->words);
		return;
	case CURLE_COULDNT_RESOLVE_HOST:
		cv_error_set(error, 0, "etcd %s: no address for that name", failure->endpoint);
		return;
	case CURLE_OPERATION_TIMEDOUT:
		if (failure->was_sent)
			cv_error_set(error, 0, "etcd %s: no answer within %d ms", failure->endpoint,
				     failure->timeout_ms);
		else
			cv_error_set(error, 0, "etcd %s: time-out: no connection within a second",
				     failure->endpoint);
		return;
	case CURLE_WRITE_ERROR:
		if (failure->is_too_large)
			cv_error_set(error, 0, "etcd %s: an answer of more than %d MiB",
				     failure->endpoint, CV_ETCD_REPLY_MIB);
		else
			cv_error_set(error, 0, "etcd %s: out of memory", failure->endpoint);
		return;
	default:
		explain_broken(failure, error);
	}
}

/* ---- answers ----------------------------------------------------------------------------- */

static const struct {
	const char *begin; /* of what etcd says */
	enum cv_etcd_verdict verdict;
	int rc;
	const char *words; /* NULL: etcd's own */
} answers[] = {
	{"etcdserver: mvcc: database space exceeded", CV_ETCD_REFUSED, -ENOSPC,
	 "its quota is used up (alarm NOSPACE), nothing can be written; make room: etcdctl "
	 "compact, "
	 "etcdctl defrag, then etcdctl alarm disarm"},
	{"etcdserver: no space", CV_ETCD_REFUSED, -ENOSPC,
	 "its quota is used up (alarm NOSPACE), nothing can be written; make room: etcdctl "
	 "compact, "
	 "etcdctl defrag, then etcdctl alarm disarm"},
	{"etcdserver: mvcc: required revision has been compacted", CV_ETCD_REFUSED, -ESTALE, NULL},
	{"etcdserver: mvcc: required revision is a future revision", CV_ETCD_REFUSED, -ESTALE,
	 NULL},
	{"etcdserver: permission denied", CV_ETCD_REFUSED, -EACCES,
	 "permission denied: the user's role must allow readwrite on the prefix /culvert/"},
	{"etcdserver: authentication failed", CV_ETCD_REFUSED, -EACCES,
	 "it refuses the user or the password (etcdUsername, etcdPassword)"},
	{"etcdserver: user name not found", CV_ETCD_REFUSED, -EACCES,
	 "it refuses the user or the password (etcdUsername, etcdPassword)"},
	{"etcdserver: user name is empty", CV_ETCD_LOG_IN, -EACCES,
	 "it wants a user; give etcdUsername and etcdPassword"},
	{"etcdserver: invalid auth token", CV_ETCD_LOG_IN, -EACCES, NULL},
	{"etcdserver: revision of auth store is old", CV_ETCD_LOG_IN, -EACCES, NULL},
	{"auth: revision in header is old", CV_ETCD_LOG_IN, -EACCES, NULL},
	{"etcdserver: authentication is not enabled", CV_ETCD_OPEN, -EACCES, NULL},
	{"CommonName of client sending a request", CV_ETCD_REFUSED, -EACCES,
	 "its gateway refuses a client certificate with a CN where authentication is on, even with "
	 "a user and a password; use a certificate without a CN"},
	{"etcdserver: no leader", CV_ETCD_ELSEWHERE, -EHOSTUNREACH,
	 "it has no leader: most members are away"},
	{"etcdserver: too many requests", CV_ETCD_ELSEWHERE, -EHOSTUNREACH, NULL},
	{"etcdserver: request is too large", CV_ETCD_REFUSED, -E2BIG, NULL},
	{"etcdserver: too many operations", CV_ETCD_REFUSED, -E2BIG, NULL},
	{"etcdserver: request timed out", CV_ETCD_IN_DOUBT, -ETIMEDOUT,
	 "it got no majority for the request in time"},
	{"Client sent an HTTP request to an HTTPS server", CV_ETCD_ELSEWHERE, -EPROTO,
	 "it speaks TLS: write https:// in etcdEndpoints"},
};

enum {
	ANSWERS = sizeof(answers) / sizeof(answers[0]),
	/* gRPC's (google.golang.org/grpc/codes) */
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNAVAILABLE = 14,
};

static enum cv_etcd_verdict judge_code(const char *endpoint, long status,
				       const struct cv_etcd_refusal *refusal, int *ret_rc,
				       struct cv_error *error)
{
	bool is_etcd = refusal->code != 0;

	if (is_etcd)
		cv_error_set(error, 0, "etcd %s: %s", endpoint, refusal->message);
	else
		cv_error_set(error, 0, "%s does not answer as etcd does: HTTP %ld, %s", endpoint,
			     status, refusal->message);
	if (refusal->code == GRPC_UNAVAILABLE || refusal->code == GRPC_DEADLINE_EXCEEDED) {
		*ret_rc = -ETIMEDOUT;
		return CV_ETCD_IN_DOUBT;
	}
	if (refusal->code == GRPC_RESOURCE_EXHAUSTED && strstr(refusal->message, "larger than")) {
		*ret_rc = -E2BIG;
		return CV_ETCD_TOO_LARGE;
	}
	if (is_etcd) {
		*ret_rc = -EIO;
		return CV_ETCD_REFUSED;
	}
	/* A proxy before it, which may have another behind it the next time. */
	if (status >= 500) {
		*ret_rc = -ETIMEDOUT;
		return CV_ETCD_IN_DOUBT;
	}
	/* Somebody else, who has not done it: a redirection, a page that is not there. */
	*ret_rc = -EPROTO;
	return CV_ETCD_ELSEWHERE;
}

enum cv_etcd_verdict cv_etcd_judge(const char *endpoint, const struct cv_datastore_config *config,
				   long status, const struct cv_etcd_refusal *refusal, int *ret_rc,
				   struct cv_error *error)
{
	for (size_t i = 0; i < ANSWERS; i++) {
		if (strncmp(refusal->message, answers[i].begin, strlen(answers[i].begin)) != 0)
			continue;
		*ret_rc = answers[i].rc;
		cv_error_set(error, 0, "etcd %s: %s", endpoint,
			     answers[i].words ? answers[i].words : refusal->message);
		/* Without a user there is nothing to log in with. */
		if (answers[i].verdict == CV_ETCD_LOG_IN && !config->username)
			return CV_ETCD_REFUSED;
		return answers[i].verdict;
	}
	return judge_code(endpoint, status, refusal, ret_rc, error);
}
