/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All or nothing. The engine refuses two tunnels with one pair of addresses at any moment,
 * so the order matters: first stop what is to be deleted, and what is to be changed while its
 * new pair is still another's; then change; then start again what was stopped; then add. Only
 * what can be undone happens before the caller has saved the new state; devices are
 * deleted after that.
 */
#include "tunnel/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cv_tunnel_transaction_init(struct cv_tunnel_transaction *ret_transaction,
			       const struct cv_tunnel_host *host, struct cv_tunnel *const *tunnels,
			       size_t count, const struct cv_tunnel_plan *plan)
{
	struct cv_tunnel_transaction t = {
		.host = host,
		.steps = calloc(count + plan->count + 1, sizeof(*t.steps)),
	};

	if (!t.steps)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct cv_tunnel_step *step = &t.steps[t.count++];
		const struct cv_tunnel_config *now = &tunnels[i]->config;
		const struct cv_tunnel_config *later = cv_tunnel_plan_find(plan, now->name);

		step->tunnel = tunnels[i];
		step->old_config = *now;
		step->was_active = tunnels[i]->active;
		step->kind = CV_STEP_DELETE;
		if (!later)
			continue;
		step->new_config = *later;
		step->kind = cv_tunnel_config_equal(now, later) ? CV_STEP_KEEP : CV_STEP_CHANGE;
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct cv_tunnel_step *step = &t.steps[t.count];
		size_t k = 0;

		while (k < count && strcmp(tunnels[k]->config.name, plan->configs[i].name))
			k++;
		if (k < count)
			continue;
		step->kind = CV_STEP_ADD;
		step->tunnel = cv_tunnel_create(&plan->configs[i]);
		if (!step->tunnel) {
			cv_tunnel_transaction_undo(&t);
			cv_tunnel_transaction_fini(&t);
			return -ENOMEM;
		}
		step->new_config = plan->configs[i];
		t.count++;
		t.added++;
	}
	*ret_transaction = t;
	return 0;
}

/* ---- running ------------------------------------------------------------------- */

/* True if the engine would find the pair that a changed tunnel is to get in use. */
static bool pair_in_use(const struct cv_tunnel_transaction *t, const struct cv_tunnel_step *step)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct cv_tunnel_step *other = &t->steps[i];

		if (other != step && other->kind == CV_STEP_CHANGE &&
		    other->old_config.remote == step->new_config.remote &&
		    other->old_config.local == step->new_config.local)
			return true;
	}
	return false;
}

static void stop_first(struct cv_tunnel_transaction *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct cv_tunnel_step *step = &t->steps[i];

		if (step->kind == CV_STEP_DELETE ||
		    (step->kind == CV_STEP_CHANGE && pair_in_use(t, step)))
			cv_tunnel_stop(step->tunnel, t->host);
	}
}

/* One pass over the steps of a kind. */
static int run_kind(struct cv_tunnel_transaction *t, enum cv_tunnel_step_kind kind,
		    int (*run)(struct cv_tunnel_transaction *t, struct cv_tunnel_step *step,
			       uint32_t mtu, struct cv_error *error),
		    cv_tunnel_mtu_of mtu_of, void *data, const char **ret_name,
		    struct cv_error *error)
{
	for (size_t i = 0; i < t->count; i++) {
		struct cv_tunnel_step *step = &t->steps[i];
		uint32_t mtu;
		int rc;

		if (step->kind != kind)
			continue;
		mtu = kind == CV_STEP_ADD ? mtu_of(&step->new_config, data) : 0;
		rc = run(t, step, mtu, error);
		if (rc) {
			*ret_name = step->new_config.name;
			return rc;
		}
	}
	return 0;
}

static int change(struct cv_tunnel_transaction *t, struct cv_tunnel_step *step, uint32_t mtu,
		  struct cv_error *error)
{
	(void)mtu;
	return cv_tunnel_change(step->tunnel, t->host, &step->new_config, error);
}

static int start_again(struct cv_tunnel_transaction *t, struct cv_tunnel_step *step, uint32_t mtu,
		       struct cv_error *error)
{
	if (!step->was_active || step->tunnel->active)
		return 0;
	return cv_tunnel_start(step->tunnel, t->host, mtu, error);
}

static int start_new(struct cv_tunnel_transaction *t, struct cv_tunnel_step *step, uint32_t mtu,
		     struct cv_error *error)
{
	return cv_tunnel_start(step->tunnel, t->host, mtu, error);
}

int cv_tunnel_transaction_run(struct cv_tunnel_transaction *t, cv_tunnel_mtu_of mtu_of, void *data,
			      const char **ret_name, struct cv_error *error)
{
	int rc;

	stop_first(t);
	rc = run_kind(t, CV_STEP_CHANGE, change, mtu_of, data, ret_name, error);
	if (!rc)
		rc = run_kind(t, CV_STEP_CHANGE, start_again, mtu_of, data, ret_name, error);
	if (!rc)
		rc = run_kind(t, CV_STEP_ADD, start_new, mtu_of, data, ret_name, error);
	return rc;
}

/* ---- the ways out -------------------------------------------------------------- */

void cv_tunnel_transaction_undo(struct cv_tunnel_transaction *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct cv_tunnel_step *step = &t->steps[i];

		if (step->kind == CV_STEP_ADD && step->tunnel) {
			if (step->tunnel->active)
				cv_tunnel_remove(step->tunnel, t->host);
			cv_tunnel_destroy(step->tunnel);
			step->tunnel = NULL;
		}
		if (step->kind == CV_STEP_CHANGE &&
		    cv_tunnel_change(step->tunnel, t->host, &step->old_config, NULL)) {
			/* Its old pair is another's for the moment. */
			cv_tunnel_stop(step->tunnel, t->host);
			step->tunnel->config = step->old_config;
		}
	}
	for (size_t i = 0; i < t->count; i++) {
		struct cv_tunnel_step *step = &t->steps[i];
		struct cv_error reason;

		if (step->kind != CV_STEP_ADD && step->was_active && !step->tunnel->active &&
		    cv_tunnel_start(step->tunnel, t->host, 0, &reason))
			step->tunnel->reason = reason;
	}
}

void cv_tunnel_transaction_finish(struct cv_tunnel_transaction *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct cv_tunnel_step *step = &t->steps[i];

		if (step->kind == CV_STEP_DELETE)
			cv_tunnel_remove(step->tunnel, t->host);
	}
}

size_t cv_tunnel_transaction_records(const struct cv_tunnel_transaction *t, bool done,
				     struct cv_tunnel_record *records)
{
	size_t count = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct cv_tunnel_step *step = &t->steps[i];

		if (done && step->kind == CV_STEP_DELETE)
			continue;
		records[count++] = (struct cv_tunnel_record){
			.config = done || step->kind == CV_STEP_ADD ? step->new_config
								    : step->old_config,
			.ifindex = step->tunnel->ifindex,
			.mtu = step->tunnel->mtu,
			.complete = done || step->kind != CV_STEP_ADD,
		};
	}
	return count;
}

void cv_tunnel_transaction_fini(struct cv_tunnel_transaction *t)
{
	free(t->steps);
	t->steps = NULL;
	t->count = 0;
}
