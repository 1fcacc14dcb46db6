/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NETLINK_ROUTE request socket.
 *
 * Invariants: when cv_nl_talk returns, the answers to its request have been read to
 * their end, also when the callback gave up early: a dump left half read would make
 * the next one fail with EBUSY. Messages of another sequence number are left-overs of
 * a request that failed half-way, and are skipped.
 *
 * A question that is no dump is sent without NLM_F_ACK: its one answer or error ends
 * it, which saves a message and a system call on the way of every new flow.
 *
 * In a batch only the last request of each system call asks for an acknowledgement: an error is
 * told of any, and what is not told of has succeeded. All that were sent together are answered
 * before the next are sent, and are so few that their errors fit into the socket's buffer.
 */
#include "net/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	REQUEST_SIZE = 8192,
	ANSWER_SIZE = 32768, /* the kernel fills at most this much of a dump at once */
	TEXT_SIZE = 256,
	/* An error takes about a kilobyte of the socket's buffer, which has 208 of them. */
	BATCH_MAX = 100,
};

struct cv_nl {
	struct mnl_socket *socket;
	uint32_t port_id;
	uint32_t sequence;
	char text[TEXT_SIZE];
	_Alignas(struct nlmsghdr) char request[REQUEST_SIZE];
	_Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
};

/* What cv_nl_talk knows of the request under way. */
struct exchange {
	mnl_cb_t cb;
	void *data;
	bool is_single; /* the first answer is the last message */
	bool is_done;
	bool is_stopped; /* cb wants no more */
	bool is_interrupted;
	int err;
};

static int set_options(const struct mnl_socket *nl)
{
	static const int options[] = {NETLINK_GET_STRICT_CHK, NETLINK_EXT_ACK, NETLINK_CAP_ACK};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int on = 1;

		if (mnl_socket_setsockopt(nl, options[i], &on, sizeof(on)) < 0)
			return -errno;
	}
	return 0;
}

int cv_nl_create(struct cv_nl **ret_nl)
{
	struct cv_nl *nl = calloc(1, sizeof(*nl));
	int err;

	if (!nl)
		return -ENOMEM;
	nl->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl->socket) {
		err = -errno;
		goto destroy;
	}
	err = set_options(nl->socket);
	if (err < 0)
		goto destroy;
	if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		goto destroy;
	}
	nl->port_id = mnl_socket_get_portid(nl->socket);
	*ret_nl = nl;
	return 0;
destroy:
	cv_nl_destroy(nl);
	return err;
}

void cv_nl_destroy(struct cv_nl *nl)
{
	if (!nl)
		return;
	if (nl->socket)
		mnl_socket_close(nl->socket);
	free(nl);
}

int cv_nl_fd(const struct cv_nl *nl)
{
	return mnl_socket_get_fd(nl->socket);
}

uint32_t cv_nl_port_id(const struct cv_nl *nl)
{
	return nl->port_id;
}

void *cv_nl_buffer(struct cv_nl *nl)
{
	return nl->request;
}

const char *cv_nl_error_text(const struct cv_nl *nl)
{
	return nl->text;
}

/* Keep what the kernel says in words behind an error (NLMSGERR_ATTR_MSG). */
static void keep_error_text(struct cv_nl *nl, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(nlh);
	size_t offset = sizeof(*error);
	struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	/* Only without NLM_F_CAPPED does the body of the request stand between. */
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		offset += mnl_nlmsg_get_payload_len(&error->msg);
	mnl_attr_for_each(attr, nlh, offset)
	{
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(nl->text, sizeof(nl->text), "%.*s",
				 (int)mnl_attr_get_payload_len(attr), mnl_attr_get_str(attr));
	}
}

static int error_code(struct cv_nl *nl, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*error))
		return -EBADMSG;
	if (error->error)
		keep_error_text(nl, nlh);
	return error->error;
}

/* The end of a dump carries the error that ended it. */
static int done_code(const struct nlmsghdr *nlh)
{
	int code = 0;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(code))
		memcpy(&code, mnl_nlmsg_get_payload(nlh), sizeof(code));
	return code < 0 ? code : 0;
}

static void take_answer(struct exchange *ex, const struct nlmsghdr *nlh)
{
	int result;

	if (ex->is_single)
		ex->is_done = true;
	if (!ex->cb || ex->is_stopped)
		return;
	result = ex->cb(nlh, ex->data);
	if (result > MNL_CB_STOP)
		return;
	ex->is_stopped = true;
	if (result < 0)
		ex->err = result;
}

static void take_message(struct cv_nl *nl, struct exchange *ex, const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		ex->is_interrupted = true;
	switch (nlh->nlmsg_type) {
	case NLMSG_NOOP:
		return;
	case NLMSG_ERROR:
		ex->is_done = true;
		if (!ex->err)
			ex->err = error_code(nl, nlh);
		return;
	case NLMSG_DONE:
		ex->is_done = true;
		if (!ex->err)
			ex->err = done_code(nlh);
		return;
	default:
		take_answer(ex, nlh);
	}
}

/* Some messages of the kernel's into nl->answer. Their length in bytes, or -errno. */
static int receive_messages(struct cv_nl *nl)
{
	ssize_t received;

	do {
		received = mnl_socket_recvfrom(nl->socket, nl->answer, sizeof(nl->answer));
	} while (received < 0 && errno == EINTR);
	if (received < 0)
		return errno == ENOSPC ? -EMSGSIZE : -errno;
	return received ? (int)received : -EPIPE;
}

static int receive(struct cv_nl *nl, struct exchange *ex)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)nl->answer;
	int left = receive_messages(nl);

	if (left < 0)
		return left;
	while (!ex->is_done && mnl_nlmsg_ok(nlh, left)) {
		if (nlh->nlmsg_seq == nl->sequence && nlh->nlmsg_pid == nl->port_id)
			take_message(nl, ex, nlh);
		nlh = mnl_nlmsg_next(nlh, &left);
	}
	return 0;
}

static int send_bytes(struct cv_nl *nl, const void *bytes, size_t length)
{
	ssize_t sent;

	do {
		sent = mnl_socket_sendto(nl->socket, bytes, length);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* rtnetlink types come in fours: NEW, DEL, GET, SET. */
static bool is_question(uint16_t type)
{
	return ((type - RTM_BASE) & 3) == 2;
}

int cv_nl_talk(struct cv_nl *nl, struct nlmsghdr *request, mnl_cb_t cb, void *data)
{
	struct exchange ex = {.cb = cb, .data = data};
	int err;

	request->nlmsg_flags |= NLM_F_REQUEST;
	if (!is_question(request->nlmsg_type))
		request->nlmsg_flags |= NLM_F_ACK;
	ex.is_single = (request->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP &&
		       !(request->nlmsg_flags & NLM_F_ACK);
	request->nlmsg_seq = ++nl->sequence;
	nl->text[0] = '\0';
	err = send_bytes(nl, request, request->nlmsg_len);
	if (err < 0)
		return err;
	while (!ex.is_done) {
		err = receive(nl, &ex);
		if (err < 0)
			return err;
	}
	if (!ex.err && ex.is_interrupted)
		return -EINTR;
	return ex.err;
}

/* ---- many at once ----------------------------------------------------------------- */

/* Requests first … first + count - 1 of a batch, sent together. */
struct chunk {
	size_t first;
	size_t count;
	uint32_t first_sequence;
	bool is_done;
};

/* Build as many requests as fit. Returns their length in bytes. */
static size_t build_chunk(struct cv_nl *nl, const struct cv_nl_batch *batch, struct chunk *chunk)
{
	struct nlmsghdr *nlh = NULL;
	size_t length = 0;

	chunk->first_sequence = nl->sequence + 1;
	while (chunk->count < BATCH_MAX && chunk->first + chunk->count < batch->count &&
	       length + CV_NL_BATCH_REQUEST_MAX <= sizeof(nl->request)) {
		nlh = mnl_nlmsg_put_header(nl->request + length);
		batch->build(nlh, chunk->first + chunk->count, batch->data);
		nlh->nlmsg_flags |= NLM_F_REQUEST;
		nlh->nlmsg_seq = ++nl->sequence;
		length += MNL_ALIGN(nlh->nlmsg_len);
		chunk->count++;
	}
	if (nlh)
		nlh->nlmsg_flags |= NLM_F_ACK;
	return length;
}

static void take_result(struct cv_nl *nl, const struct cv_nl_batch *batch, struct chunk *chunk,
			const struct nlmsghdr *nlh, bool *has_text)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(nlh);
	size_t i = nlh->nlmsg_seq - chunk->first_sequence;

	if (nlh->nlmsg_pid != nl->port_id || nlh->nlmsg_type != NLMSG_ERROR || i >= chunk->count ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*error))
		return;
	chunk->is_done = i == chunk->count - 1;
	if (!error->error)
		return;
	if (!*has_text)
		keep_error_text(nl, nlh);
	*has_text = true;
	batch->failed(chunk->first + i, error->error, batch->data);
}

static int run_chunk(struct cv_nl *nl, const struct cv_nl_batch *batch, struct chunk *chunk,
		     bool *has_text)
{
	size_t length = build_chunk(nl, batch, chunk);
	int err = send_bytes(nl, nl->request, length);

	while (!err && !chunk->is_done) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)nl->answer;
		int left = receive_messages(nl);

		if (left < 0)
			return left;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			take_result(nl, batch, chunk, nlh, has_text);
	}
	return err;
}

int cv_nl_batch(struct cv_nl *nl, const struct cv_nl_batch *batch)
{
	bool has_text = false;
	size_t done = 0;

	nl->text[0] = '\0';
	while (done < batch->count) {
		struct chunk chunk = {.first = done};
		int err = run_chunk(nl, batch, &chunk, &has_text);

		if (err < 0)
			return err;
		done += chunk.count;
	}
	return 0;
}
