/* SPDX-License-Identifier: Apache-2.0 */
/* Whose fault an error of a job of agent/addresses.h is. */
#ifndef CV_AGENT_ADDRESSES_ERROR_H
#define CV_AGENT_ADDRESSES_ERROR_H

#include <stdbool.h>

/* True if it is the store's, not the question's: it is then the `problem` of status. */
bool cv_addresses_is_store_error(int rc, bool is_assignment);

#endif
