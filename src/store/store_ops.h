/* SPDX-License-Identifier: Apache-2.0 */
/* What a store is made of, for store.c and the stores themselves. */
#ifndef CV_STORE_STORE_OPS_H
#define CV_STORE_STORE_OPS_H

#include "store/store.h"

/* What apply and delete have in common. */
struct cv_store_request {
	struct cv_resource *const *resources;
	const struct cv_store_name *names; /* NULL: apply resources */
	size_t count;
	bool dry_run;
};

/* As the functions of store.h. */
struct cv_store_ops {
	int (*fd)(const struct cv_store *store);
	int (*refresh)(struct cv_store *store);
	int (*change)(struct cv_store *store, const struct cv_store_request *request,
		      struct cv_store_changes *ret_changes, struct cv_error *error);
	void (*destroy)(struct cv_store *store); /* also of one that is half made */
};

/* The head of every store's own struct. */
struct cv_store {
	const struct cv_store_ops *ops;
	char *path; /* of the directory */
	void (*log)(int priority, const char *text);
	struct cv_snapshot *snapshot; /* the last good state */
	struct cv_messages warnings;
	struct cv_error problem; /* "": none */
	struct cv_error told;	 /* the last that was logged, until it is mended */
	unsigned int delay_ms;	 /* cv_store_delay_ms */
	char *datastore;	 /* cv_store_datastore; owned */
};

/* Set path, log and an empty snapshot. 0 or -ENOMEM. */
int cv_store_init(struct cv_store *store, const struct cv_store_ops *ops,
		  const struct cv_store_options *options, struct cv_error *error);
void cv_store_fini(struct cv_store *store);

/* Log a line. */
void cv_store_tell(const struct cv_store *store, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What is now is not what is in force; logged once. */
void cv_store_set_problem(struct cv_store *store, const struct cv_error *problem);
/* It is again; logged if it was not. */
void cv_store_clear_problem(struct cv_store *store, const char *name);

int cv_store_files_create(const struct cv_store_options *options, struct cv_store **ret_store,
			  struct cv_error *error);
int cv_store_etcd_create(const struct cv_store_options *options, struct cv_store **ret_store,
			 struct cv_error *error);

#endif
