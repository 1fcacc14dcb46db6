/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `culvert migrate`: this node's resources and addresses, or Calico's, into etcd
 * (ipam/migration.h). The work is a job of the thread of addresses: an address that is assigned
 * while it goes on could be missed. From the begin of a migration from files to its failure, or to
 * culvertd's restart with etcd, no address is assigned (cv_migrator_frozen).
 *
 * For the main thread.
 */
#ifndef CV_AGENT_MIGRATE_H
#define CV_AGENT_MIGRATE_H

#include "agent/addresses.h"
#include "agent/node.h"
#include "agent/pods.h"
#include "agent/request.h"
#include "agent/server.h"

struct cv_migrator;

/* All the caller's; they outlive it, but for addresses, whose callbacks must find it. NULL: no
 * memory. */
struct cv_migrator *cv_migrator_create(struct cv_addresses *addresses, const struct cv_pods *pods,
				       struct cv_node_agent *node);
/* Before the addresses are destroyed: a migration under way ends with its next commit. */
void cv_migrator_stop(struct cv_migrator *migrator);
/* After. NULL is fine. */
void cv_migrator_destroy(struct cv_migrator *migrator);

/* 0 and the state as cv_migrator_status has it; -EBUSY: another one is under way; -EINVAL … of the
 * datastore's file. The same request joins the one that is under way. */
int cv_migrator_begin(struct cv_migrator *migrator, const struct cv_request_migrate *request,
		      const struct cv_peer *peer, json_t **ret_result, struct cv_error *error);

/* Of the last one, protocol.md "Migrating". NULL without memory. */
json_t *cv_migrator_status(const struct cv_migrator *migrator);

/* Why no address is to be assigned now, for people; NULL: it may. */
const char *cv_migrator_frozen(const struct cv_migrator *migrator);

/*
 * Put a copy of a file in place: written aside, fsync, rename, fsync of the directory, which is
 * made if it is not there. 0 or -errno.
 */
int cv_migrate_install(const char *from, const char *directory, const char *name,
		       struct cv_error *error);

#endif
