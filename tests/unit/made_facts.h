/* SPDX-License-Identifier: Apache-2.0 */
/* Facts made by hand: a host's devices and addresses, for tests of what is decided from them. */
#ifndef CV_TEST_MADE_FACTS_H
#define CV_TEST_MADE_FACTS_H

#include "routing/facts.h"

enum {
	CV_MADE_FACTS_MAX = 32
};

/* Zeroed: a host without a device. Not to be moved once something is in it; never cv_facts_fini. */
struct cv_made_facts {
	struct cv_facts facts;
	struct cv_fact_interface interfaces[CV_MADE_FACTS_MAX];
	struct cv_fact_address addresses[CV_MADE_FACTS_MAX];
	__be32 gateways[CV_MADE_FACTS_MAX];
};

/* Add a device (indices rise), up, with addresses ("192.168.100.1/24", with spaces between them).
 * Returns it. */
struct cv_fact_interface *cv_made_device(struct cv_made_facts *made, int index, const char *name,
					 uint32_t mtu, const char *addresses);
void cv_made_gateway(struct cv_made_facts *made, const char *address);

#endif
