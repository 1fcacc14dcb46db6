/* SPDX-License-Identifier: Apache-2.0 */
/* Whose fault an error is: see store/kv.h and ipam/ipam.h for what there is. */
#include "agent/addresses_error.h"

#include <errno.h>

bool cv_addresses_is_store_error(int rc, bool is_assignment)
{
	switch (rc) {
	case -ENOSPC: /* of an assignment: no address is free */
		return !is_assignment;
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -EACCES:
	case -EDQUOT: /* the store's quota or disk is full, as cv_ipam_assign has it */
	case -EPROTO:
	case -EUCLEAN:
	case -EIO:
	case -EROFS:
		return true;
	default:
		return false;
	}
}
