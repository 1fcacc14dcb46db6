/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of pods and addresses. What only a look at all documents tells (ipam_sums.h) is as old as
 * that look, whose age is a metric, too.
 */
#include "agent/metrics_pods.h"

#include "agent/ipam_json.h"

static void print_pods(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	for (enum cv_pod_state state = CV_POD_PENDING; state <= CV_POD_DELETING; state++) {
		size_t count = 0;

		for (size_t i = 0; i < look->pod_count; i++)
			count += look->pods[i]->state == state;
		cv_metrics_sample(writer, (double)count, "state", cv_pod_state_name(state));
	}
}

static void print_bypassed(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	size_t count = 0;

	for (size_t i = 0; i < look->pod_count; i++) {
		struct cv_endpoint_status status;

		count +=
			cv_pod_endpoint(look->pods[i], look->endpoints, &status) && status.in_force;
	}
	cv_metrics_sample(writer, (double)count, "");
}

/* ---- addresses --------------------------------------------------------------------------- */

static void print_store(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, 1, "store", look->addresses.is_etcd ? "etcd" : "file");
}

static void print_broken(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, look->addresses.problem[0] != 0, "");
}

static void print_assigned(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, (double)look->addresses.assigned, "");
}

static void print_released(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, (double)look->addresses.released, "");
}

static void print_failed(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, (double)look->addresses.failed, "");
}

static void print_waiting(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, (double)look->addresses.waiting, "");
}

static void print_last(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, (double)look->addresses.last_us / 1e6, "");
}

static void print_longest(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, (double)look->addresses.longest_us / 1e6, "");
}

static void print_blocks(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	if (look->sums && look->sums->is_known)
		cv_metrics_sample(writer, (double)look->sums->blocks, "");
}

static void print_addresses(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	const struct cv_ipam_sums *sums = look->sums;

	if (!sums || !sums->is_known)
		return;
	cv_metrics_sample(writer, (double)sums->assigned, "state", "assigned");
	cv_metrics_sample(writer, (double)sums->free, "state", "free");
	cv_metrics_sample(writer, (double)sums->holes, "state", "hole");
	cv_metrics_sample(writer, (double)sums->lent, "state", "lent");
	cv_metrics_sample(writer, (double)sums->borrowed, "state", "borrowed");
}

static void print_faults(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	if (look->sums && look->sums->is_known)
		cv_metrics_sample(writer, (double)look->sums->faults, "");
}

static void print_age(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	if (look->sums && look->sums->is_known)
		cv_metrics_sample(writer, (double)(look->now_us - look->sums->at_us) / 1e6, "");
}

/* ---- etcd -------------------------------------------------------------------------------- */

static bool has_etcd(const struct cv_pods_look *look)
{
	return look->datastore && look->datastore->is_etcd;
}

static void print_requests(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	if (has_etcd(look))
		cv_metrics_sample(writer, (double)look->traffic.requests, "");
}

static void print_errors(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	if (has_etcd(look))
		cv_metrics_sample(writer, (double)look->traffic.failed, "");
}

static void print_contact(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	if (has_etcd(look) && look->traffic.last_answer_us)
		cv_metrics_sample(writer,
				  (double)(look->now_us - look->traffic.last_answer_us) / 1e6, "");
}

static void print_registered(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	if (has_etcd(look))
		cv_metrics_sample(writer, look->registration == NULL, "");
}

static const struct {
	const char *name, *type, *help;
	void (*print)(const struct cv_pods_look *look, struct cv_metrics_writer *writer);
} metrics[] = {
	{"culvert_pods", "gauge", "Containers that culvert-cni has attached, by state", print_pods},
	{"culvert_pods_bypassed", "gauge", "Of these, past the host's stack", print_bypassed},
	{"culvert_ipam_info", "gauge", "1; where addresses are kept", print_store},
	{"culvert_ipam_broken", "gauge", "1: the store of addresses failed at the last job",
	 print_broken},
	{"culvert_ipam_assigned_total", "counter", "Addresses assigned", print_assigned},
	{"culvert_ipam_released_total", "counter", "Addresses released", print_released},
	{"culvert_ipam_failed_total", "counter", "Addresses that could not be assigned",
	 print_failed},
	{"culvert_ipam_waiting", "gauge", "Jobs that wait for the store", print_waiting},
	{"culvert_ipam_commit_last_seconds", "gauge", "How long the last change of the store took",
	 print_last},
	{"culvert_ipam_commit_longest_seconds", "gauge", "How long the longest one took",
	 print_longest},
	{"culvert_ipam_blocks", "gauge", "Blocks of this node", print_blocks},
	{"culvert_ipam_addresses", "gauge", "Addresses in them, by state", print_addresses},
	{"culvert_ipam_faults", "gauge", "Documents of addresses that do not fit together",
	 print_faults},
	{"culvert_ipam_look_age_seconds", "gauge", "How old the last three are", print_age},
	{"culvert_etcd_requests_total", "counter", "Requests to etcd", print_requests},
	{"culvert_etcd_errors_total", "counter", "Of these, without an answer", print_errors},
	{"culvert_etcd_last_answer_seconds", "gauge", "How long ago etcd answered last",
	 print_contact},
	{"culvert_etcd_registered", "gauge", "0: this node has no Node, and could not make one",
	 print_registered},
};

void cv_metrics_pods(const struct cv_pods_look *look, struct cv_metrics_writer *writer)
{
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		cv_metrics_family(writer, metrics[i].name, metrics[i].type, metrics[i].help);
		if (look)
			metrics[i].print(look, writer);
	}
}
