/* SPDX-License-Identifier: Apache-2.0 */
/* Facts made by hand. */
#include "made_facts.h"

#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "resources.h"

struct cv_fact_interface *cv_made_device(struct cv_made_facts *made, int index, const char *name,
					 uint32_t mtu, const char *addresses)
{
	struct cv_fact_interface *interface = &made->interfaces[made->facts.interface_count++];
	char words[256], *rest;

	assert_in_range(made->facts.interface_count, 1, CV_MADE_FACTS_MAX);
	made->facts.interfaces = made->interfaces;
	made->facts.addresses = made->addresses;
	*interface = (struct cv_fact_interface){.index = index, .mtu = mtu, .flags = IFF_UP};
	snprintf(interface->name, sizeof(interface->name), "%s", name);
	snprintf(words, sizeof(words), "%s", addresses);
	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		assert_in_range(made->facts.address_count, 0, CV_MADE_FACTS_MAX - 1);
		made->addresses[made->facts.address_count++] = (struct cv_fact_address){
			.ifindex = index,
			.address = cv_test_prefix(word),
			.interface = interface,
		};
	}
	return interface;
}

void cv_made_gateway(struct cv_made_facts *made, const char *address)
{
	made->facts.gateways = made->gateways;
	assert_in_range(made->facts.gateway_count, 0, CV_MADE_FACTS_MAX - 1);
	made->gateways[made->facts.gateway_count++] = cv_test_address(address);
}
