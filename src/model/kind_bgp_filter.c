/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BGPFilter (https://docs.tigera.io/calico/latest/reference/resources/bgpfilter). A rule with a
 * condition that we do not know must not let through what its author kept out: if it accepts, it is
 * left out; if it rejects, it holds without that condition.
 */
#include "model/kinds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/schema_values.h"

enum {
	LENGTH_MAX = 32
};

/* A rule that is being read. */
struct reading {
	struct cv_bgp_filter_rule rule;
	bool has_cidr, has_action, has_min, has_max;
};

static int read_cidr(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct reading *reading = target;
	int rc;

	if (node->type == CV_YAML_SCALAR && !*node->text)
		return 0;
	rc = cv_reader_cidr(reader, node, &reading->rule.cidr);
	if (rc == -EAFNOSUPPORT)
		return cv_reader_fail(reader, node,
				      "%scidr %.64s is IPv6; its rules stand in exportV6 and "
				      "importV6",
				      reader->path, node->text);
	reading->has_cidr = !rc;
	return rc;
}

static int read_length(struct cv_reader *reader, const struct cv_yaml_node *node,
		       uint8_t *ret_length, bool *ret_given)
{
	long long value;
	int rc = cv_reader_integer(reader, node, 0, LENGTH_MAX, &value);

	if (rc)
		return rc;
	*ret_length = (uint8_t)value;
	*ret_given = true;
	return 0;
}

static int read_min(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct reading *reading = target;

	return read_length(reader, node, &reading->rule.length_min, &reading->has_min);
}

static int read_max(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct reading *reading = target;

	return read_length(reader, node, &reading->rule.length_max, &reading->has_max);
}

static int read_source(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word words[] = {{"RemotePeers", true}, {"", false}, {NULL, 0}};
	struct reading *reading = target;
	int value, rc = cv_reader_word(reader, node, words, &value);

	if (!rc)
		reading->rule.remote_peers = value;
	return rc;
}

static int read_interface(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct reading *reading = target;
	const char *text;
	int rc;

	if (node->type == CV_YAML_SCALAR && !*node->text)
		return 0;
	rc = cv_reader_interface(reader, node, &text);
	if (!rc)
		snprintf(reading->rule.interface, sizeof(reading->rule.interface), "%s", text);
	return rc;
}

static int read_operator(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word words[] = {
		{"Equal", CV_BGP_MATCH_EQUAL}, {"NotEqual", CV_BGP_MATCH_NOT_EQUAL},
		{"In", CV_BGP_MATCH_IN},       {"NotIn", CV_BGP_MATCH_NOT_IN},
		{"", CV_BGP_MATCH_ANY},	       {NULL, 0},
	};
	struct reading *reading = target;
	int value, rc = cv_reader_word(reader, node, words, &value);

	if (!rc)
		reading->rule.match = (enum cv_bgp_match)value;
	return rc;
}

static int read_action(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word words[] = {{"Accept", true}, {"Reject", false}, {NULL, 0}};
	struct reading *reading = target;
	int value, rc = cv_reader_word(reader, node, words, &value);

	if (rc)
		return rc;
	reading->has_action = true;
	reading->rule.accept = value;
	return 0;
}

static const char no_condition[] =
	"a rule with it is left out if it accepts, and rejects as if it were not there";

static const struct cv_field length_fields[] = {
	{"min", CV_FIELD_READ, .read = read_min},
	{"max", CV_FIELD_READ, .read = read_max},
};

static const struct cv_schema length_schema = {"prefixLength of a BGPFilter's rule", length_fields,
					       sizeof(length_fields) / sizeof(length_fields[0])};

static const struct cv_field rule_fields[] = {
	{"action", CV_FIELD_READ, .read = read_action},
	{"matchOperator", CV_FIELD_READ, .read = read_operator},
	{"cidr", CV_FIELD_READ, .read = read_cidr},
	{"prefixLength", CV_FIELD_OBJECT, .object = &length_schema},
	{"source", CV_FIELD_READ, .read = read_source},
	{"interface", CV_FIELD_READ, .read = read_interface},
	/* Calico's others, up to its version 3.32. */
	{"peerType", CV_FIELD_UNUSED_SCALAR, .note = no_condition},
	{"communities", CV_FIELD_UNUSED_OBJECT, .note = no_condition},
	{"asPathPrefix", CV_FIELD_UNUSED_LIST, .note = no_condition},
	{"priority", CV_FIELD_UNUSED_SCALAR, .note = no_condition},
	{"operations", CV_FIELD_UNUSED_LIST, .note = "routes are announced, or taken, unchanged"},
};

static const struct cv_schema rule_schema = {"a BGPFilter's rule", rule_fields,
					     sizeof(rule_fields) / sizeof(rule_fields[0])};

/* Whether a rule has a condition that we do not know. */
static bool is_beyond_us(const struct cv_yaml_node *node)
{
	static const char *const conditions[] = {"peerType", "communities", "asPathPrefix",
						 "priority"};

	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		if (!cv_reader_absent(cv_yaml_get(node, conditions[i])))
			return true;
	}
	return false;
}

/* Of routes within the cidr; the ends that are not given are its own length, and 32. */
static int check_lengths(struct cv_reader *reader, const struct cv_yaml_node *node,
			 struct reading *reading)
{
	const struct cv_yaml_node *lengths = cv_yaml_get(node, "prefixLength");
	struct cv_bgp_filter_rule *rule = &reading->rule;
	bool is_exact = rule->match == CV_BGP_MATCH_EQUAL || rule->match == CV_BGP_MATCH_NOT_EQUAL;

	if (cv_reader_absent(lengths))
		return 0;
	if (!reading->has_cidr)
		return cv_reader_fail_key(reader, lengths,
					  "%sprefixLength needs a cidr; write cidr: 0.0.0.0/0 with "
					  "matchOperator: In for every route",
					  reader->path);
	if (!reading->has_max)
		rule->length_max = LENGTH_MAX;
	if (rule->length_max < rule->cidr.length)
		return cv_reader_fail(
			reader, lengths,
			"%sprefixLength: max %u is less than the cidr's own %u, and no "
			"route within it is so short",
			reader->path, rule->length_max, rule->cidr.length);
	if (rule->length_min > rule->length_max)
		return cv_reader_fail(reader, lengths,
				      "%sprefixLength: min %u is more than max, %u; swap them",
				      reader->path, rule->length_min, rule->length_max);
	if (rule->length_min < rule->cidr.length)
		rule->length_min = rule->cidr.length;
	rule->has_lengths = !is_exact;
	if (is_exact)
		cv_reader_warn(reader, lengths,
			       "%sprefixLength is not acted on: %s is about the cidr itself; write "
			       "In or NotIn",
			       reader->path,
			       rule->match == CV_BGP_MATCH_EQUAL ? "Equal" : "NotEqual");
	return 0;
}

static int check_rule(struct cv_reader *reader, const struct cv_yaml_node *node,
		      struct reading *reading)
{
	const struct cv_yaml_node *operations = cv_yaml_get(node, "operations");
	struct cv_bgp_filter_rule *rule = &reading->rule;

	if (!reading->has_action)
		return cv_reader_fail(reader, node, "%saction is missing; write Accept or Reject",
				      reader->path);
	if (reading->has_cidr && rule->match == CV_BGP_MATCH_ANY)
		return cv_reader_fail_key(reader, cv_yaml_get(node, "cidr"),
					  "%scidr needs a matchOperator; write Equal, NotEqual, In "
					  "or NotIn",
					  reader->path);
	if (!reading->has_cidr && rule->match != CV_BGP_MATCH_ANY)
		return cv_reader_fail_key(
			reader, cv_yaml_get(node, "matchOperator"),
			"%smatchOperator needs a cidr that it is about; give one, "
			"or delete it",
			reader->path);
	if (!rule->accept && operations && operations->count)
		return cv_reader_fail_key(reader, operations,
					  "%soperations are of rules that accept; delete them, or "
					  "write action: Accept",
					  reader->path);
	return check_lengths(reader, node, reading);
}

/* Into rules, which has room for all of them. */
static int read_entries(struct cv_reader *reader, const struct cv_yaml_node *list,
			struct cv_bgp_filter_rule *rules, size_t *count)
{
	for (const struct cv_yaml_node *node = list->first; node; node = node->next) {
		struct reading reading = {.has_cidr = false};
		int rc;

		if (node != list->first)
			cv_text_add(&reader->out, ",", 1);
		rc = cv_schema_read(reader, &rule_schema, node, list, &reading);
		if (!rc)
			rc = check_rule(reader, node, &reading);
		if (rc)
			return rc;
		if (!reading.rule.accept || !is_beyond_us(node))
			rules[(*count)++] = reading.rule;
	}
	return 0;
}

static int read_rules(struct cv_reader *reader, const struct cv_yaml_node *node,
		      struct cv_bgp_filter_rule **ret_rules, size_t *ret_count)
{
	char is[CV_READER_IS_MAX];
	size_t entered;
	int rc;

	if (node->type != CV_YAML_LIST)
		return cv_reader_fail(reader, node, "spec.%s must be a list, %s", node->key,
				      cv_reader_is(node, is));
	*ret_rules = calloc(node->count + 1U, sizeof(**ret_rules));
	if (!*ret_rules)
		return cv_error_set(reader->error, -ENOMEM, "no memory");
	cv_json_key(&reader->out, node->key);
	cv_text_add(&reader->out, "[", 1);
	entered = cv_reader_enter(reader, node->key, ": ");
	rc = read_entries(reader, node, *ret_rules, ret_count);
	cv_reader_leave(reader, entered);
	cv_text_add(&reader->out, "]", 1);
	return rc;
}

static int read_export(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_filter *filter = target;

	return read_rules(reader, node, &filter->export_rules, &filter->export_count);
}

static int read_import(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_filter *filter = target;

	return read_rules(reader, node, &filter->import_rules, &filter->import_count);
}

static const char carries_ipv4[] = "Culvert carries IPv4";

static const struct cv_field fields[] = {
	{"exportV4", CV_FIELD_OWN, .read = read_export, .object = &rule_schema},
	{"importV4", CV_FIELD_OWN, .read = read_import, .object = &rule_schema},
	{"exportV6", CV_FIELD_UNUSED_LIST, .note = carries_ipv4},
	{"importV6", CV_FIELD_UNUSED_LIST, .note = carries_ipv4},
};

static void fini(struct cv_resource *resource)
{
	free(resource->bgp_filter.export_rules);
	free(resource->bgp_filter.import_rules);
}

const struct cv_kind_reader cv_kind_bgp_filter = {
	.spec = {"BGPFilter spec", fields, sizeof(fields) / sizeof(fields[0])},
	.fini = fini,
};
