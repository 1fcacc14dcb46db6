/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter narrows what BIRD shows, so that of a hundred thousand routes only those that are asked
 * for are read here: net ~ [P+] is what lies in P, [P-] what contains it (and of an address nothing
 * lies in it). It works on a copy of each route, from which it takes what nobody here reads and a
 * peer may make as long as it likes: of 900 communities (3,600 bytes, once in an UPDATE of many
 * prefixes) BIRD makes 12 KB of text for every prefix. Of anything else it prints some hundred
 * bytes at most.
 */
#include "routing/bird_question.h"

#include <stdio.h>

#include "routing/bgp.h"

const char *cv_bird_question_routes(bool is_refused, const struct cv_prefix *around,
				    char text[CV_BIRD_QUESTION_ROUTES_MAX])
{
	char prefix[CV_PREFIX_TEXT_MAX], clause[CV_PREFIX_TEXT_MAX + 32] = "";

	if (around)
		snprintf(clause, sizeof(clause), " || !(net ~ [%s%s])",
			 cv_prefix_format(around, prefix), around->length == 32 ? "-" : "+");
	snprintf(text, CV_BIRD_QUESTION_ROUTES_MAX,
		 "show route %sall filter { if source != RTS_BGP || !(proto ~ \"" CV_BGP_PREFIX
		 "*\")%s then reject; "
		 "unset(bgp_community); unset(bgp_ext_community); unset(bgp_large_community); "
		 "unset(bgp_cluster_list); accept; }",
		 is_refused ? "filtered " : "", clause);
	return text;
}
