/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of BGPFilters. The first that matches decides, over all filters of a session in their
 * order; where none does, what comes behind them.
 */
#include "routing/bird_rules.h"

#include <fnmatch.h>

#include "routing/bird_text.h"

/* Lengths of a rule as BIRD has them, never shorter than its cidr. False: none is left. */
static bool cut_lengths(const struct cv_bgp_filter_rule *rule, uint8_t *ret_min, uint8_t *ret_max)
{
	*ret_min = rule->has_lengths ? rule->length_min : 0;
	*ret_max = rule->has_lengths && rule->length_max < 32 ? rule->length_max : 32;
	if (*ret_min < rule->cidr.length)
		*ret_min = rule->cidr.length;
	return *ret_min <= *ret_max;
}

static void put_in(FILE *out, const struct cv_bgp_filter_rule *rule, bool is_not)
{
	char text[CV_PREFIX_TEXT_MAX];
	uint8_t min, max;

	if (cut_lengths(rule, &min, &max))
		fprintf(out, "net %s [ %s{%u,%u} ]", is_not ? "!~" : "~",
			cv_prefix_format(&rule->cidr, text), min, max);
	else
		fputs(is_not ? "true" : "false", out);
}

static void put_match(FILE *out, const struct cv_bgp_filter_rule *rule)
{
	char text[CV_PREFIX_TEXT_MAX];

	switch (rule->match) {
	case CV_BGP_MATCH_ANY:
		if (rule->has_lengths)
			fprintf(out, "net.len >= %u && net.len <= %u", rule->length_min,
				rule->length_max);
		else
			fputs("true", out);
		break;
	case CV_BGP_MATCH_EQUAL:
	case CV_BGP_MATCH_NOT_EQUAL:
		fprintf(out, "net %s %s", rule->match == CV_BGP_MATCH_EQUAL ? "=" : "!=",
			cv_prefix_format(&rule->cidr, text));
		break;
	case CV_BGP_MATCH_IN:
	case CV_BGP_MATCH_NOT_IN:
		put_in(out, rule, rule->match == CV_BGP_MATCH_NOT_IN);
		break;
	}
}

/* Of what was learned, the interface is that of the link which the next hop is on. */
static void put_next_hop_at(FILE *out, const struct cv_bgp_intent *bgp, const char *pattern)
{
	struct cv_bird_list list = {.out = out};

	for (size_t i = 0; i < bgp->link_count; i++) {
		if (fnmatch(pattern, bgp->links[i].device, 0))
			continue;
		if (!list.count)
			fputs("bgp_next_hop ~ [", out);
		cv_bird_put_range(&list, &bgp->links[i].prefix);
	}
	fputs(list.count ? " ]" : "false", out);
}

/* … and of what is ours, the Workload's. */
static void put_own_at(FILE *out, const struct cv_bgp_intent *bgp, const char *pattern)
{
	struct cv_bird_list list = {.out = out};

	for (size_t i = 0; i < bgp->export_count; i++) {
		const struct cv_bgp_export *export = &bgp->exports[i];

		if (!export->resource || export->resource->kind != CV_KIND_WORKLOAD ||
		    fnmatch(pattern, export->resource->workload.device, 0))
			continue;
		if (!list.count)
			fputs("net ~ [", out);
		cv_bird_put_prefix(&list, &export->prefix, "");
	}
	fputs(list.count ? " ]" : "false", out);
}

static void put_import_rule(FILE *out, const struct cv_bgp_intent *bgp,
			    const struct cv_bgp_filter_rule *rule)
{
	fputs("\tif (", out);
	put_match(out, rule);
	if (*rule->interface) {
		fputs(") && (", out);
		put_next_hop_at(out, bgp, rule->interface);
	}
	fputs(rule->accept ? ") then { if " CV_BGP_PREFIX "is_accepted() then accept; reject; }\n"
			   : ") then reject;\n",
	      out);
}

static void put_export_rule(FILE *out, const struct cv_bgp_intent *bgp,
			    const struct cv_bgp_filter_rule *rule)
{
	fputs("\tif (", out);
	put_match(out, rule);
	if (rule->remote_peers)
		fputs(") && (source = RTS_BGP", out);
	if (*rule->interface) {
		fputs(") && ((source = RTS_BGP && ", out);
		put_next_hop_at(out, bgp, rule->interface);
		fputs(") || (source != RTS_BGP && ", out);
		put_own_at(out, bgp, rule->interface);
		fputc(')', out);
	}
	fputs(rule->accept ? ") then accept;\n" : ") then reject;\n", out);
}

void cv_bird_put_rules(FILE *out, const struct cv_bgp_intent *bgp,
		       const struct cv_bgp_session *session, bool is_import)
{
	for (size_t i = 0; i < session->filter_count; i++) {
		const struct cv_bgp_filter *filter = &session->filters[i]->bgp_filter;
		size_t count = is_import ? filter->import_count : filter->export_count;

		fputs("\t# BGPFilter ", out);
		cv_bird_put_comment(out, session->filters[i]->name);
		fputc('\n', out);
		for (size_t j = 0; j < count; j++) {
			if (is_import)
				put_import_rule(out, bgp, &filter->import_rules[j]);
			else
				put_export_rule(out, bgp, &filter->export_rules[j]);
		}
	}
}
