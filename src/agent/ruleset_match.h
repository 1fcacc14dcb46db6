/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an expression of nftables' JSON holds for a packet of which not all is known. */
#ifndef CV_AGENT_RULESET_MATCH_H
#define CV_AGENT_RULESET_MATCH_H

#include "agent/ruleset.h"

enum cv_truth {
	CV_TRUTH_NO,
	CV_TRUTH_MAYBE,
	CV_TRUTH_YES,
};

/* {"op": …, "left": …, "right": …} in a chain of this table. */
enum cv_truth cv_ruleset_match(const struct cv_ruleset *ruleset, const json_t *chain,
			       const struct cv_ruleset_packet *packet, const json_t *match);

/* The same for "==": of a verdict map's key and one of its elements. */
enum cv_truth cv_ruleset_compare(const struct cv_ruleset *ruleset, const json_t *chain,
				 const struct cv_ruleset_packet *packet, const json_t *left,
				 const json_t *right);

#endif
