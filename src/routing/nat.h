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

/*
 * Make the table as wanted, in one transaction; nat->wanted false: take it away if it is there. 0
 * or -errno with the reason in error.
 */
int cv_nat_apply(const struct cv_nat_intent *nat, struct cv_error *error);

/* Whether our table is still in the kernel with all that we put there: 1, 0, or -errno. */
int cv_nat_is_intact(const struct cv_nat_intent *nat);

bool cv_nat_equal(const struct cv_nat_intent *a, const struct cv_nat_intent *b);

#endif
