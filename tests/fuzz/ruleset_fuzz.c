/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what doctor makes of other people's nftables rules. Input: a ruleset as `nft -j list
 * ruleset` lists it. Beyond memory errors and endless walks it demands: the same packet has the
 * same fate twice; who is blamed is in the ruleset; a chain without rules drops by its policy
 * alone.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ruleset.h"
#include "wire/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void judge(const struct cv_ruleset *ruleset, const json_t *chain,
		  const struct cv_ruleset_packet *packet, bool is_nat)
{
	struct cv_ruleset_culprit culprit, again;
	enum cv_ruleset_fate fate = cv_ruleset_judge(ruleset, chain, packet, is_nat, &culprit);

	demand(fate == cv_ruleset_judge(ruleset, chain, packet, is_nat, &again));
	demand(culprit.chain == chain && culprit.rule == again.rule);
	if (json_object_size(ruleset->rules) == 0)
		demand(fate != CV_FATE_MAYBE && !culprit.rule);
	if (fate == CV_FATE_PASSES)
		demand(!culprit.rule);
}

static void look_at(const struct cv_ruleset *ruleset, const json_t *chain)
{
	const struct cv_ruleset_packet packets[] = {
		{.protocol = -1},
		{
			.protocol = 4,
			.source = cv_htonl(0xc0a86401),
			.destination = cv_htonl(0xc0a8c802),
			.iif = "",
			.oif = "eth0",
			.ct_state = "untracked",
		},
		{
			.protocol = 1,
			.destination = cv_htonl(0xc0a86401),
			.iif = "eth0",
			.oif = "",
			.ct_state = "invalid",
			.icmp_type = "destination-unreachable",
		},
	};
	char name[CV_RULESET_NAME_MAX];

	demand(strlen(cv_ruleset_chain_name(chain, name)) < sizeof(name));
	(void)cv_ruleset_is_hook(chain, "output");
	(void)cv_ruleset_is_on_device(chain, "eth0");
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		judge(ruleset, chain, &packets[i], false);
		judge(ruleset, chain, &packets[i], true);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *listed = json_loadb((const char *)data, size, 0, NULL);
	struct cv_ruleset ruleset;
	const json_t *chain;
	int rc;
	size_t i;

	if (!listed)
		return 0;
	rc = cv_ruleset_init(&ruleset, listed);
	json_decref(listed);
	demand(!rc || rc == -EINVAL);
	if (rc)
		return 0;
	json_array_foreach(ruleset.chains, i, chain)
	{
		look_at(&ruleset, chain);
	}
	cv_ruleset_fini(&ruleset);
	return 0;
}
