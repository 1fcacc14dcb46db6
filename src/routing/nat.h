/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAT by nftables, in one table of ours (CV_NAT_TABLE) that is replaced as a whole; other tables
 * are never touched.
 */
#ifndef CV_ROUTING_NAT_H
#define CV_ROUTING_NAT_H

#include "routing/intent.h"

#define CV_NAT_TABLE "culvert"

/* The script of nft(8) that makes the table as it is wanted; the caller frees it. NULL without
 * memory. */
char *cv_nat_script(const struct cv_nat_intent *nat);

struct cv_nat;

/* exists: an earlier daemon has made the table (it is made anew). NULL without memory. */
struct cv_nat *cv_nat_create(bool exists);
void cv_nat_destroy(struct cv_nat *nat); /* The table stays. NULL is fine. */

/*
 * Whether the table may be made where nobody has noted that we did: 0 if there is none, or one that
 * is ours by its looks (its note was lost), -EEXIST with the reason in error if it is somebody
 * else's, or -errno.
 */
int cv_nat_check_free(struct cv_error *error);

/*
 * Make the table as wanted, in one transaction; wanted->wanted false: take it away. Nothing is done
 * while what is wanted is what was made last; with look, the kernel is asked, too, whether somebody
 * has changed or deleted it. 1: it was made (or removed), 0: nothing was to be done, or -errno with
 * the reason in error.
 */
int cv_nat_apply(struct cv_nat *nat, const struct cv_nat_intent *wanted, bool look,
		 struct cv_error *error);

/* Remove the table, for --purge. 1 removed, 0 there was none, or -errno with the reason in error.
 */
int cv_nat_purge(struct cv_error *error);

bool cv_nat_equal(const struct cv_nat_intent *a, const struct cv_nat_intent *b);

#endif
