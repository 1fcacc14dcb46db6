/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the tunnels that there are to the tunnels of a plan, and back if a step fails. Used
 * by tunnel/set.c alone, in this order:
 *
 *   init, run, finish, fini      (or undo in place of finish, whenever run or saving fails)
 */
#ifndef CV_TUNNEL_TRANSACTION_H
#define CV_TUNNEL_TRANSACTION_H

#include "tunnel/plan.h"
#include "tunnel/state.h"
#include "tunnel/tunnel.h"

enum cv_tunnel_step_kind {
	CV_STEP_KEEP,
	CV_STEP_CHANGE,
	CV_STEP_DELETE,
	CV_STEP_ADD
};

struct cv_tunnel_step {
	enum cv_tunnel_step_kind kind;
	struct cv_tunnel *tunnel;
	struct cv_tunnel_config old_config; /* but of CV_STEP_ADD */
	struct cv_tunnel_config new_config; /* but of CV_STEP_DELETE */
	bool was_active;
};

struct cv_tunnel_transaction {
	const struct cv_tunnel_host *host;
	struct cv_tunnel_step *steps;
	size_t count;
	size_t added;
};

/* The MTU in bytes that a tunnel's new device gets. */
typedef uint32_t (*cv_tunnel_mtu_of)(const struct cv_tunnel_config *config, void *data);

/* Nothing happens yet but allocation. 0 or -ENOMEM. host and tunnels stay the caller's. */
int cv_tunnel_transaction_init(struct cv_tunnel_transaction *ret_transaction,
			       const struct cv_tunnel_host *host, struct cv_tunnel *const *tunnels,
			       size_t count, const struct cv_tunnel_plan *plan);

/*
 * Do all that can be undone. 0, or -errno and the name of the tunnel at fault in *ret_name (valid
 * until fini); the caller undoes.
 */
int cv_tunnel_transaction_run(struct cv_tunnel_transaction *transaction, cv_tunnel_mtu_of mtu_of,
			      void *data, const char **ret_name, struct cv_error *error);

/* Back to where it began. A tunnel that cannot be started again is left stopped, with the reason.
 */
void cv_tunnel_transaction_undo(struct cv_tunnel_transaction *transaction);

/* Delete the devices of deleted tunnels: there is no way back from here. */
void cv_tunnel_transaction_finish(struct cv_tunnel_transaction *transaction);

/*
 * Write count records of what a state file must say: done false: before and during run; true: after
 * it. records has room for transaction->count. Returns how many were written.
 */
size_t cv_tunnel_transaction_records(const struct cv_tunnel_transaction *transaction, bool done,
				     struct cv_tunnel_record *records);

/* Free the steps, not the tunnels. */
void cv_tunnel_transaction_fini(struct cv_tunnel_transaction *transaction);

#endif
