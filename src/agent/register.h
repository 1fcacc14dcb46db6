/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that has no Node resource makes one where resources are in etcd, as calico/node does: with
 * the address that was detected, and an annotation that says so. A Node that somebody else made is
 * never changed; one of our own making is, when the detected address has become another.
 *
 * For the main thread; the writing is done on the thread of addresses.
 */
#ifndef CV_AGENT_REGISTER_H
#define CV_AGENT_REGISTER_H

#include "agent/addresses.h"
#include "agent/node.h"
#include "store/etcd_documents.h"

/* Its value: the method (routing/self.h). */
#define CV_REGISTER_ANNOTATION CV_ETCD_DETECTED

struct cv_registrar;

/* Both the caller's; they outlive it, but for addresses, whose callbacks must find it. NULL: no
 * memory. */
struct cv_registrar *cv_registrar_create(struct cv_addresses *addresses,
					 struct cv_node_agent *node);
void cv_registrar_destroy(struct cv_registrar *registrar); /* NULL is fine */

/* Resources or the host's network may have changed: register, if that is to be done. */
void cv_registrar_consider(struct cv_registrar *registrar);

/* Why this node is not registered, for people; NULL: it is, or need not be. */
const char *cv_registrar_problem(const struct cv_registrar *registrar);

/* ---- parts, for tests ------------------------------------------------------------- */

/* What is to be written. */
struct cv_registration {
	char name[64];
	struct cv_prefix address; /* the host's own, with its prefix length */
	char method[160];
};

/* Write it if there is none, or ours with another address. 0, also if nothing is to be done;
 * -EAGAIN: somebody else was first; or an error of the kv. */
int cv_register_write(const struct cv_registration *registration, struct cv_kv *kv,
		      struct cv_error *error);

/* Whether a Node's text (struct cv_resource) says that its address was detected. */
bool cv_register_is_ours(const char *text);

#endif
