/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands about addresses. Documents are read and written on the thread of addresses
 * (addresses.h): the first line of the answer says that there is a second one, which comes when
 * that thread has done its part (owed.h). A session lives until then, even if its client has gone
 * meanwhile.
 *
 * All but `reserve` begin with a look at all documents, and judge by it.
 */
#include "agent/commands_ipam.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/ipam_json.h"
#include "agent/json_text.h"
#include "agent/log.h"
#include "agent/pod_handle.h"
#include "agent/owed.h"

#define TYPE_RESERVED "reserved" /* attribute of what `culvert ipam reserve` has */

struct session {
	const struct cv_commands *commands;
	enum cv_request_kind kind;
	struct cv_request_ipam question; /* its strings are the session's own */
	char handle[CV_IPAM_HANDLE_MAX];
	char *comment;
	pid_t pid;	      /* who asks */
	struct cv_owed *owed; /* the answer */
	/* Of a check that mends. */
	json_t *findings;
	size_t waiting; /* for answers */
	size_t failed;
	struct cv_error why; /* of the last that failed */
};

/* One thing that is being mended. */
struct step {
	struct session *session;
	size_t *indices; /* of the findings that it is about; owned */
	size_t count;
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- ends of a session ------------------------------------------------------------------- */

static void destroy_session(struct session *session)
{
	json_decref(session->findings);
	free(session->comment);
	free(session);
}

/* result is taken over. */
static void reply(struct session *session, json_t *result)
{
	cv_owed_answer(session->owed, 0, NULL, result);
	destroy_session(session);
}

static void refuse(struct session *session, int rc, const struct cv_error *error)
{
	cv_owed_answer(session->owed, rc, error, NULL);
	destroy_session(session);
}

/* ---- show -------------------------------------------------------------------------------- */

static bool is_etcd(const struct cv_commands *commands)
{
	struct cv_addresses_status status;

	cv_addresses_status(commands->addresses, &status);
	return status.is_etcd;
}

static const char *node_name(const struct cv_commands *commands)
{
	return cv_node_intent(commands->node)->self.name;
}

static void show(struct session *session, const struct cv_ipam_view *view)
{
	const struct cv_commands *commands = session->commands;
	const struct cv_ipam_show show = {
		.view = view,
		.intent = cv_node_intent(commands->node),
		.node = node_name(commands),
		.is_etcd = is_etcd(commands),
		.blocks = session->question.blocks,
		.address = session->question.address,
	};

	reply(session, cv_ipam_show_to_json(&show));
}

/* ---- check ------------------------------------------------------------------------------- */

static void end_check(struct session *session)
{
	json_t *result;

	if (session->failed)
		result = json_pack("{s:O, s:o}", "findings", session->findings, "problem",
				   cv_json_text(session->why.text));
	else
		result = json_pack("{s:O, s:n}", "findings", session->findings, "problem");
	reply(session, result);
}

/* What is no longer so needs no mending. */
static bool is_mended(int rc)
{
	return !rc || rc == -ENOENT || rc == -EPERM;
}

static void on_mended(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct step *step = context;
	struct session *session = step->session;

	(void)result;
	for (size_t i = 0; is_mended(rc) && i < step->count; i++)
		json_object_set_new(json_array_get(session->findings, step->indices[i]), "fixed",
				    json_true());
	if (!is_mended(rc)) {
		session->failed++;
		cv_error_set(&session->why, rc, "%s", error->text);
	}
	free(step->indices);
	free(step);
	if (!--session->waiting)
		end_check(session);
}

/* About count findings, the first of which is this one. NULL without memory. */
static struct step *begin_step(struct session *session, size_t index, size_t count)
{
	struct step *step = calloc(1, sizeof(*step));

	if (step)
		step->indices = calloc(count, sizeof(step->indices[0]));
	if (!step || !step->indices) {
		free(step);
		session->failed++;
		cv_error_set(&session->why, -ENOMEM, "out of memory");
		return NULL;
	}
	step->session = session;
	step->indices[0] = index;
	step->count = 1;
	session->waiting++;
	return step;
}

static void add_attribute(struct cv_ipam_request *request, const char *name, const char *value)
{
	if (value && *value)
		request->attributes[request->attribute_count++] =
			(struct cv_ipam_attribute){name, value};
}

/* With what it was given when the container was made. */
static void assign_again(const struct cv_commands *commands, const struct cv_leak *leak,
			 struct step *step)
{
	const struct cv_pod *pod = cv_pods_at(commands->pods, leak->index);
	struct cv_ipam_request request = {
		.handle = leak->handle,
		.address = leak->address,
		.is_repeated = false,
	};

	add_attribute(&request, "node", node_name(commands));
	add_attribute(&request, "pod", pod->name);
	add_attribute(&request, "namespace", pod->name_space);
	add_attribute(&request, "network", pod->network);
	add_attribute(&request, "container", pod->container);
	add_attribute(&request, "interface", pod->interface);
	cv_addresses_assign(commands->addresses, &request, on_mended, step);
}

/* All faults of documents that are ripe, in one job. */
static void mend_documents(struct session *session, const struct cv_leaks *leaks,
			   const struct cv_ipam_view *view, int64_t now)
{
	struct cv_ipam_fault *faults = calloc(leaks->count + 1, sizeof(*faults));
	struct step *step = NULL;
	size_t count = 0;

	for (size_t i = 0; faults && i < leaks->count; i++) {
		const struct cv_leak *leak = &leaks->items[i];

		if (leak->kind != CV_LEAK_DOCUMENT || !leak->is_fixable ||
		    !cv_leak_is_ripe(leak, now))
			continue;
		if (!step)
			step = begin_step(session, i, leaks->count);
		else
			step->indices[step->count++] = i;
		if (!step)
			break;
		faults[count++] = view->faults[leak->index];
	}
	if (step)
		cv_addresses_fix(session->commands->addresses, faults, count, on_mended, step);
	free(faults);
}

static void mend_addresses(struct session *session, const struct cv_leaks *leaks, int64_t now)
{
	const struct cv_commands *commands = session->commands;

	for (size_t i = 0; i < leaks->count; i++) {
		const struct cv_leak *leak = &leaks->items[i];
		struct step *step;

		if (leak->kind == CV_LEAK_DOCUMENT || !leak->is_fixable ||
		    !cv_leak_is_ripe(leak, now))
			continue;
		step = begin_step(session, i, 1);
		if (!step)
			continue;
		cv_log(LOG_NOTICE, "ipam check: %s, seen %u times: mended, as process %d asked",
		       leak->text, leak->observations, (int)session->pid);
		if (leak->kind == CV_LEAK_ADDRESS)
			cv_addresses_release_address(commands->addresses, leak->address,
						     leak->handle, on_mended, step);
		else
			assign_again(commands, leak, step);
	}
}

/* Look at it all. NULL without memory; else the caller frees. */
static const struct cv_pod **list_pods(const struct cv_commands *commands, size_t *ret_count)
{
	size_t count = cv_pods_count(commands->pods);
	const struct cv_pod **pods = calloc(count + 1, sizeof(*pods));

	for (size_t i = 0; pods && i < count; i++)
		pods[i] = cv_pods_at(commands->pods, i);
	*ret_count = count;
	return pods;
}

static void check(struct session *session, const struct cv_ipam_view *view)
{
	const struct cv_commands *commands = session->commands;
	struct cv_leaks *leaks = commands->leaks;
	struct cv_leaks_input input = {.view = view, .node = node_name(commands)};
	const struct cv_pod **pods = list_pods(commands, &input.pod_count);
	struct cv_error error;
	int rc = -ENOMEM;

	input.pods = pods;
	input.now_us = now_us();
	if (pods)
		rc = cv_leaks_observe(leaks, &input);
	free(pods);
	if (rc) {
		cv_error_set(&error, rc, "out of memory");
		refuse(session, rc, &error);
		return;
	}
	session->findings = cv_leaks_to_json(leaks, input.now_us);
	session->waiting = 1; /* for this function */
	if (session->question.fix) {
		mend_addresses(session, leaks, input.now_us);
		mend_documents(session, leaks, view, input.now_us);
	}
	if (!--session->waiting)
		end_check(session);
}

/* ---- release ----------------------------------------------------------------------------- */

static bool is_there(const struct cv_commands *commands, const char *node)
{
	return node &&
	       cv_snapshot_find(cv_node_intent(commands->node)->snapshot, CV_KIND_NODE, node);
}

static const struct cv_pod *find_pod(const struct cv_commands *commands, const char *handle)
{
	char buffer[CV_IPAM_HANDLE_MAX];

	for (size_t i = 0; i < cv_pods_count(commands->pods); i++) {
		const struct cv_pod *pod = cv_pods_at(commands->pods, i);

		cv_pod_handle(pod, buffer);
		if (!strcmp(buffer, handle))
			return pod;
	}
	return NULL;
}

static bool begins_with(const char *text, const char *beginning)
{
	return !strncmp(text, beginning, strlen(beginning));
}

/* Nobody loses an address that he uses. 0 or -errno. */
static int may_be_released(const struct cv_commands *commands, const struct cv_ipam_block *block,
			   const struct cv_ipam_assignment *assignment, struct cv_error *error)
{
	const char *node = cv_leaks_attribute(assignment, "node");
	const char *type = cv_leaks_attribute(assignment, "type");
	const char *handle = assignment->handle;
	const struct cv_pod *pod = handle ? find_pod(commands, handle) : NULL;
	char address[CV_ADDRESS_TEXT_MAX];

	cv_address_format(assignment->address, address);
	node = node ? node : block->node;
	if (type && !strcmp(type, TYPE_RESERVED))
		return 0;
	if (pod)
		return cv_error_set(error, -EBUSY,
				    "%s is in use by container %.64s (%.64s, %.15s); delete that, "
				    "and it is released",
				    address, pod->container, pod->network, pod->interface);
	if (is_there(commands, node) && strcmp(node, node_name(commands)) != 0)
		return cv_error_set(error, -EPERM,
				    "%s is node %.128s's (handle %.128s); release it there, or "
				    "delete the Node if it is gone",
				    address, node, handle ? handle : "none");
	if (handle && is_there(commands, node) && !cv_pod_handle_is_ours(handle, type) &&
	    (begins_with(handle, CV_HANDLE_TUNNEL) || begins_with(handle, CV_HANDLE_GATEWAY)))
		return cv_error_set(error, -EPERM, "%s is this node's own (handle %.128s)", address,
				    handle);
	return 0;
}

/* result: of a handle, how many. */
static void on_released(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct session *session = context;
	size_t count = 1;

	if (rc) {
		refuse(session, rc, error);
		return;
	}
	if (!session->question.address && result)
		count = *(const size_t *)result;
	cv_log(LOG_INFO, "ipam release: addresses %zu, as process %d asked", count,
	       (int)session->pid);
	reply(session, json_pack("{s:I}", "released", (json_int_t)count));
}

/* All that the question is about may be released. 0, -ENOENT, or as may_be_released. */
static int judge_release(const struct session *session, const struct cv_ipam_view *view,
			 struct cv_error *error)
{
	const struct cv_request_ipam *question = &session->question;
	char address[CV_ADDRESS_TEXT_MAX];
	size_t found = 0;

	for (size_t i = 0; i < view->block_count; i++) {
		const struct cv_ipam_block *block = &view->blocks[i];

		for (size_t j = 0; j < block->assignment_count; j++) {
			const struct cv_ipam_assignment *assignment = &block->assignments[j];
			int rc;

			if (question->address ? assignment->address != question->address
					      : !assignment->handle || strcmp(assignment->handle,
									      session->handle) != 0)
				continue;
			rc = may_be_released(session->commands, block, assignment, error);
			if (rc)
				return rc;
			found++;
		}
	}
	if (found)
		return 0;
	if (question->address)
		return cv_error_set(error, -ENOENT, "%s is not assigned",
				    cv_address_format(question->address, address));
	return cv_error_set(error, -ENOENT, "handle %.256s has no address", session->handle);
}

static void release(struct session *session, const struct cv_ipam_view *view)
{
	const struct cv_commands *commands = session->commands;
	const struct cv_ipam_assignment *assignment;
	__be32 address = session->question.address;
	struct cv_error error;
	int rc = judge_release(session, view, &error);

	if (rc) {
		refuse(session, rc, &error);
		return;
	}
	if (!address) {
		cv_addresses_release(commands->addresses, session->handle, NULL, on_released,
				     session);
		return;
	}
	/* That handle's alone: it may be another's by then. */
	assignment = cv_leaks_assignment_of(cv_leaks_block_of(view, address), address);
	cv_addresses_release_address(commands->addresses, address, assignment->handle, on_released,
				     session);
}

/* ---- reserve ----------------------------------------------------------------------------- */

static void on_reserved(void *context, int rc, const struct cv_error *error, const void *result)
{
	const struct cv_ipam_result *assigned = result;
	char address[CV_ADDRESS_TEXT_MAX], block[CV_PREFIX_TEXT_MAX];
	struct session *session = context;

	if (rc) {
		refuse(session, rc, error);
		return;
	}
	cv_address_format(assigned->address, address);
	if (!assigned->was_there)
		cv_log(LOG_INFO, "ipam reserve: %s, as process %d asked", address,
		       (int)session->pid);
	reply(session, json_pack("{s:s, s:s, s:s, s:b}", "address", address, "block",
				 cv_prefix_format(&assigned->block, block), "handle",
				 session->handle, "was_there", (int)assigned->was_there));
}

static void reserve(struct session *session)
{
	const struct cv_commands *commands = session->commands;
	struct cv_ipam_request request = {
		.handle = session->handle,
		.address = session->question.address,
		.is_repeated = true,
		.is_nobodys = true,
	};
	char timestamp[64], address[CV_ADDRESS_TEXT_MAX];
	time_t now = time(NULL);
	struct tm tm;

	snprintf(session->handle, sizeof(session->handle), CV_HANDLE_RESERVED "%s",
		 cv_address_format(session->question.address, address));
	gmtime_r(&now, &tm);
	strftime(timestamp, sizeof(timestamp), "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
	add_attribute(&request, "type", TYPE_RESERVED);
	add_attribute(&request, "timestamp", timestamp);
	add_attribute(&request, "comment", session->comment);
	cv_addresses_assign(commands->addresses, &request, on_reserved, session);
}

/* ---- all --------------------------------------------------------------------------------- */

/* Who asks next must not wait for another look. */
static void sum_up(const struct cv_commands *commands, const struct cv_ipam_view *view)
{
	cv_ipam_sums_of(view, cv_node_intent(commands->node)->snapshot, node_name(commands),
			is_etcd(commands), now_us(), commands->sums);
}

static void on_look(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct session *session = context;

	if (rc) {
		refuse(session, rc, error);
		return;
	}
	sum_up(session->commands, result);
	switch (session->kind) {
	case CV_REQUEST_IPAM_SHOW:
		show(session, result);
		break;
	case CV_REQUEST_IPAM_CHECK:
		check(session, result);
		break;
	default:
		release(session, result);
		break;
	}
}

static struct session *create_session(const struct cv_commands *commands,
				      const struct cv_request *request, pid_t pid)
{
	const struct cv_request_ipam *question = &request->ipam;
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->commands = commands;
	session->kind = request->kind;
	session->question = *question;
	session->question.handle = session->question.comment = NULL;
	session->pid = pid;
	if (question->handle)
		snprintf(session->handle, sizeof(session->handle), "%s", question->handle);
	if (question->comment)
		session->comment = strdup(question->comment);
	if (session->comment || !question->comment)
		session->owed = cv_owed_create(json_object_get(request->root, "id"));
	if (session->owed)
		return session;
	destroy_session(session);
	return NULL;
}

int cv_commands_ipam(const struct cv_commands *commands, const struct cv_request *request,
		     const struct cv_peer *peer, json_t **ret_result,
		     struct cv_server_then *ret_then, struct cv_error *error)
{
	struct session *session;
	struct cv_owed *owed;

	if (request->kind == CV_REQUEST_IPAM_RESERVE && cv_migrator_frozen(commands->migrator))
		return cv_error_set(error, -EHOSTUNREACH, "%s",
				    cv_migrator_frozen(commands->migrator));
	session = create_session(commands, request, peer->pid);
	if (!session)
		return cv_error_set(error, -ENOMEM, "out of memory");
	/* The session may be over before this returns. */
	owed = session->owed;
	if (session->kind == CV_REQUEST_IPAM_RESERVE)
		reserve(session);
	else
		cv_addresses_look(commands->addresses, on_look, session);
	return cv_owed_begin(owed, ret_result, ret_then, error);
}

int cv_commands_migrate(const struct cv_commands *commands, const struct cv_request *request,
			const struct cv_peer *peer, json_t **ret_result, struct cv_error *error)
{
	if (request->kind == CV_REQUEST_MIGRATE)
		return cv_migrator_begin(commands->migrator, &request->migrate, peer, ret_result,
					 error);
	*ret_result = cv_migrator_status(commands->migrator);
	return 0;
}
