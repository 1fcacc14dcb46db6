/* SPDX-License-Identifier: Apache-2.0 */
/* What the CNI plugin asks for; protocol.md, "Pods". */
#include "agent/commands_cni.h"

#include <errno.h>

#include "agent/ipam_json.h"
#include "agent/json_text.h"
#include "agent/owed.h"
#include "agent/request_cni.h"

bool cv_commands_is_cni(enum cv_request_kind kind)
{
	return kind == CV_REQUEST_CNI_ADD || kind == CV_REQUEST_CNI_ATTACH ||
	       kind == CV_REQUEST_CNI_DEL || kind == CV_REQUEST_CNI_CHECK ||
	       kind == CV_REQUEST_CNI_GC || kind == CV_REQUEST_CNI_STATUS;
}

/* An ADD would work, as far as anybody knows. */
static int check_status(const struct cv_commands *commands, struct cv_error *error)
{
	const struct cv_node_ipam *ipam = cv_node_ipam(commands->node);
	struct cv_addresses_status status;
	struct cv_node_ipam_room room;

	cv_addresses_status(commands->addresses, &status);
	if (status.problem[0])
		return cv_error_set(error, -EHOSTUNREACH, "addresses cannot be assigned: %s",
				    status.problem);
	cv_node_ipam_room(ipam, &room);
	if (!room.pools)
		return cv_error_set(error, -ENODATA,
				    "no IPPool is for this node's pods: add one, or see to its "
				    "nodeSelector, allowedUses, disabled and assignmentMode");
	if (!status.is_etcd && !room.blocks)
		return cv_error_set(error, -ENODATA,
				    "this node has no block: add a BlockAffinity for it (\"culvert "
				    "plan\" prints them)");
	return 0;
}

static void start(struct cv_pods *pods, const struct cv_request *request, struct cv_owed *owed)
{
	const struct cv_request_cni *cni = &request->cni;

	switch (request->kind) {
	case CV_REQUEST_CNI_ADD:
		return cv_pods_add(pods, &cni->add, cv_owed_answer, owed);
	case CV_REQUEST_CNI_ATTACH:
		return cv_pods_attach(pods, &cni->attach, cv_owed_answer, owed);
	case CV_REQUEST_CNI_DEL:
		return cv_pods_delete(pods, &cni->key, cv_owed_answer, owed);
	case CV_REQUEST_CNI_CHECK:
		return cv_pods_check(pods, &cni->key, cv_owed_answer, owed);
	default:
		return cv_pods_gc(pods, cni->network, cni->valid, cni->valid_count, cv_owed_answer,
				  owed);
	}
}

int cv_commands_cni(const struct cv_commands *commands, const struct cv_request *request,
		    const struct cv_peer *peer, json_t **ret_result,
		    struct cv_server_then *ret_then, struct cv_error *error)
{
	struct cv_owed *owed;
	int rc;

	(void)peer;
	if (request->kind == CV_REQUEST_CNI_ADD && cv_migrator_frozen(commands->migrator))
		return cv_error_set(error, -EHOSTUNREACH, "%s",
				    cv_migrator_frozen(commands->migrator));
	if (request->kind == CV_REQUEST_CNI_STATUS) {
		rc = check_status(commands, error);
		if (!rc)
			*ret_result = json_object();
		return rc;
	}
	owed = cv_owed_create(json_object_get(request->root, "id"));
	if (!owed)
		return cv_error_set(error, -ENOMEM, "out of memory");
	start(commands->pods, request, owed);
	return cv_owed_begin(owed, ret_result, ret_then, error);
}

json_t *cv_commands_pods(const struct cv_commands *commands)
{
	json_t *list = json_array();

	for (size_t i = 0; i < cv_pods_count(commands->pods); i++) {
		json_t *pod = cv_pods_to_json(commands->pods, i);

		cv_pod_add_bypass(cv_pods_at(commands->pods, i), commands->endpoints, pod);
		json_array_append_new(list, pod);
	}
	return json_pack("{s:o}", "pods", list);
}

/* What keeps addresses from being assigned, or this node from being known. */
static void add_obstacles(const struct cv_commands *commands, json_t *json)
{
	const char *migration = commands->migrator ? cv_migrator_frozen(commands->migrator) : NULL;
	const char *registration = cv_registrar_problem(commands->registrar);

	json_object_set_new(json, "migration", cv_json_text(migration));
	json_object_set_new(json, "registration", cv_json_text(registration));
}

static json_t *addresses_to_json(const struct cv_commands *commands)
{
	struct cv_addresses_status status;
	struct cv_node_ipam_room room;

	cv_addresses_status(commands->addresses, &status);
	cv_node_ipam_room(cv_node_ipam(commands->node), &room);
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "store",
			 status.is_etcd ? "etcd" : "file", "problem",
			 cv_json_text_or_null(status.problem), "blocks", (json_int_t)room.blocks,
			 "assigned", (json_int_t)status.assigned, "released",
			 (json_int_t)status.released, "failed", (json_int_t)status.failed,
			 "waiting", (json_int_t)status.waiting, "last_us",
			 (json_int_t)status.last_us, "longest_us", (json_int_t)status.longest_us);
}

void cv_commands_cni_add_status(const struct cv_commands *commands, json_t *status)
{
	size_t count = cv_pods_count(commands->pods);

	json_object_set_new(status, "pods", json_integer((json_int_t)count));
	json_object_set_new(status, "addresses", addresses_to_json(commands));
	add_obstacles(commands, json_object_get(status, "addresses"));
}
