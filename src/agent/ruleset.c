/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over an nftables ruleset. Invariants: nothing of the listed JSON is trusted to have its
 * form (a member that is missing is "perhaps"); the walk ends after STEPS_MAX rules, and jumps no
 * deeper than the kernel does (16).
 */
#include "agent/ruleset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/ruleset_match.h"

enum {
	STEPS_MAX = 200000,
	DEPTH_MAX = 16,
};

/* ---- the index ------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void make_key(char key[CV_RULESET_NAME_MAX], const json_t *of, const char *name)
{
	snprintf(key, CV_RULESET_NAME_MAX, "%s %s %s", text_of(of, "family"), text_of(of, "table"),
		 name);
}

static int add_rule(struct cv_ruleset *ruleset, json_t *rule)
{
	char key[CV_RULESET_NAME_MAX];
	json_t *list;

	make_key(key, rule, text_of(rule, "chain"));
	list = json_object_get(ruleset->rules, key);
	if (!list) {
		list = json_array();
		if (json_object_set_new(ruleset->rules, key, list))
			return -ENOMEM;
	}
	return json_array_append(list, rule) ? -ENOMEM : 0;
}

static int add(struct cv_ruleset *ruleset, json_t *entry)
{
	char key[CV_RULESET_NAME_MAX];
	json_t *item;

	item = json_object_get(entry, "rule");
	if (item)
		return add_rule(ruleset, item);
	item = json_object_get(entry, "chain");
	if (item)
		return json_object_get(item, "hook") && json_array_append(ruleset->chains, item)
			       ? -ENOMEM
			       : 0;
	item = json_object_get(entry, "set");
	if (!item)
		return 0;
	make_key(key, item, text_of(item, "name"));
	return json_object_set_new(ruleset->sets, key,
				   json_incref(json_object_get(item, "elem")) ?: json_array())
		       ? -ENOMEM
		       : 0;
}

int cv_ruleset_init(struct cv_ruleset *ret_ruleset, json_t *listed)
{
	struct cv_ruleset ruleset = {
		.root = json_incref(listed),
		.chains = json_array(),
		.rules = json_object(),
		.sets = json_object(),
	};
	json_t *entries = json_object_get(listed, "nftables"), *entry;
	int rc = json_is_array(entries) ? 0 : -EINVAL;
	size_t i;

	if (!ruleset.chains || !ruleset.rules || !ruleset.sets)
		rc = -ENOMEM;
	json_array_foreach(entries, i, entry)
	{
		if (!rc)
			rc = add(&ruleset, entry);
	}
	if (rc) {
		cv_ruleset_fini(&ruleset);
		return rc;
	}
	*ret_ruleset = ruleset;
	return 0;
}

void cv_ruleset_fini(struct cv_ruleset *ruleset)
{
	json_decref(ruleset->chains);
	json_decref(ruleset->rules);
	json_decref(ruleset->sets);
	json_decref(ruleset->root);
	memset(ruleset, 0, sizeof(*ruleset));
}

/* ---- statements -------------------------------------------------------------------------- */

enum effect {
	EFFECT_NONE, /* goes on in this rule */
	EFFECT_PASS, /* accept */
	EFFECT_RETURN,
	EFFECT_HIT,	/* what is looked for */
	EFFECT_UNKNOWN, /* perhaps that */
	EFFECT_JUMP,
	EFFECT_GOTO,
};

struct walk {
	const struct cv_ruleset *ruleset;
	const struct cv_ruleset_packet *packet;
	const json_t *chain; /* the base chain */
	bool is_nat;
	unsigned int steps, depth;
	bool maybe_passed; /* by a rule that perhaps matched */
	const json_t *maybe_hit;
	const json_t *hit;
};

enum outcome {
	OUTCOME_GOES_ON,
	OUTCOME_PASSED,
	OUTCOME_HIT,
};

/* A target of iptables-nft, where nft tells its name (from 1.0.7 on). */
static enum effect effect_of_xt(const json_t *xt, bool is_nat)
{
	const char *name = text_of(xt, "name");

	if (!json_is_object(xt))
		return EFFECT_UNKNOWN;
	if (strcmp(text_of(xt, "type"), "target"))
		return EFFECT_UNKNOWN;
	if (!is_nat && (!strcmp(name, "REJECT") || !strcmp(name, "DROP")))
		return EFFECT_HIT;
	if (is_nat && (!strcmp(name, "MASQUERADE") || !strcmp(name, "SNAT")))
		return EFFECT_HIT;
	return EFFECT_NONE;
}

static enum effect effect_of(const json_t *statement, bool is_nat, const char **ret_target)
{
	static const struct {
		const char *name;
		enum effect filter, nat;
	} effects[] = {
		{"accept", EFFECT_PASS, EFFECT_PASS}, {"drop", EFFECT_HIT, EFFECT_PASS},
		{"reject", EFFECT_HIT, EFFECT_PASS},  {"return", EFFECT_RETURN, EFFECT_RETURN},
		{"queue", EFFECT_PASS, EFFECT_PASS},  {"masquerade", EFFECT_PASS, EFFECT_HIT},
		{"snat", EFFECT_PASS, EFFECT_HIT},    {"jump", EFFECT_JUMP, EFFECT_JUMP},
		{"goto", EFFECT_GOTO, EFFECT_GOTO},
	};

	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		const json_t *value = json_object_get(statement, effects[i].name);

		if (!value)
			continue;
		*ret_target = text_of(value, "target");
		return is_nat ? effects[i].nat : effects[i].filter;
	}
	if (json_object_get(statement, "xt"))
		return effect_of_xt(json_object_get(statement, "xt"), is_nat);
	return EFFECT_NONE;
}

static enum outcome walk_chain(struct walk *walk, const char *name, enum cv_truth certainty);

/* A rule (or an element of a verdict map) that applies with this certainty has an effect. */
static enum outcome act(struct walk *walk, const json_t *rule, enum effect effect,
			const char *target, enum cv_truth certainty, bool *ret_leaves)
{
	enum outcome outcome;

	switch (effect) {
	case EFFECT_PASS:
		if (certainty == CV_TRUTH_YES)
			return OUTCOME_PASSED;
		walk->maybe_passed = true;
		return OUTCOME_GOES_ON;
	case EFFECT_HIT:
		if (certainty == CV_TRUTH_YES) {
			walk->hit = rule;
			return OUTCOME_HIT;
		}
		if (!walk->maybe_hit)
			walk->maybe_hit = rule;
		return OUTCOME_GOES_ON;
	case EFFECT_UNKNOWN:
		if (!walk->maybe_hit)
			walk->maybe_hit = rule;
		return OUTCOME_GOES_ON;
	case EFFECT_RETURN:
		*ret_leaves = certainty == CV_TRUTH_YES;
		return OUTCOME_GOES_ON;
	case EFFECT_JUMP:
	case EFFECT_GOTO:
		outcome = walk_chain(walk, target, certainty);
		*ret_leaves = effect == EFFECT_GOTO && certainty == CV_TRUTH_YES;
		return outcome;
	case EFFECT_NONE:
		break;
	}
	return OUTCOME_GOES_ON;
}

/* { key : verdict, … } */
static enum outcome act_on_map(struct walk *walk, const json_t *rule, const json_t *vmap,
			       enum cv_truth certainty, bool *ret_leaves)
{
	const json_t *key = json_object_get(vmap, "key");
	const json_t *data = json_object_get(vmap, "data"), *pair;
	enum outcome outcome;
	size_t i;

	data = json_is_object(data) ? json_object_get(data, "set") : data;
	json_array_foreach(data, i, pair)
	{
		const char *target = "";
		enum effect effect = effect_of(json_array_get(pair, 1), walk->is_nat, &target);
		enum cv_truth truth = cv_ruleset_compare(walk->ruleset, walk->chain, walk->packet,
							 key, json_array_get(pair, 0));

		if (truth > certainty)
			truth = certainty;
		if (truth == CV_TRUTH_NO)
			continue;
		outcome = act(walk, rule, effect, target, truth, ret_leaves);
		if (outcome != OUTCOME_GOES_ON || *ret_leaves)
			return outcome;
	}
	return OUTCOME_GOES_ON;
}

/* Statements that let some packets of a kind through, and others not. */
static bool is_lottery(const json_t *statement)
{
	return json_object_get(statement, "limit") || json_object_get(statement, "quota") ||
	       json_object_get(statement, "ct count") || json_object_get(statement, "xt");
}

static enum outcome walk_rule(struct walk *walk, const json_t *rule, enum cv_truth certainty,
			      bool *ret_leaves)
{
	const json_t *expressions = json_object_get(rule, "expr"), *statement;
	enum outcome outcome = OUTCOME_GOES_ON;
	size_t i;

	json_array_foreach(expressions, i, statement)
	{
		const json_t *match = json_object_get(statement, "match");
		const json_t *vmap = json_object_get(statement, "vmap");
		bool is_last = i + 1 == json_array_size(expressions);
		const char *target = "";
		enum effect effect;

		if (match) {
			enum cv_truth truth =
				cv_ruleset_match(walk->ruleset, walk->chain, walk->packet, match);

			certainty = truth < certainty ? truth : certainty;
			if (certainty == CV_TRUTH_NO)
				return OUTCOME_GOES_ON;
			continue;
		}
		effect = effect_of(statement, walk->is_nat, &target);
		/* In front of something else, xt is a match that nft does not understand. */
		if (effect == EFFECT_UNKNOWN && !is_last)
			effect = EFFECT_NONE;
		outcome = vmap ? act_on_map(walk, rule, vmap, certainty, ret_leaves)
			       : act(walk, rule, effect, target, certainty, ret_leaves);
		if (outcome != OUTCOME_GOES_ON || *ret_leaves)
			return outcome;
		if (is_lottery(statement) && certainty > CV_TRUTH_MAYBE)
			certainty = CV_TRUTH_MAYBE;
	}
	return outcome;
}

static enum outcome walk_chain(struct walk *walk, const char *name, enum cv_truth certainty)
{
	char key[CV_RULESET_NAME_MAX];
	const json_t *rules, *rule;
	enum outcome outcome = OUTCOME_GOES_ON;
	bool leaves = false;
	size_t i;

	make_key(key, walk->chain, name);
	rules = json_object_get(walk->ruleset->rules, key);
	if (walk->depth >= DEPTH_MAX)
		return OUTCOME_PASSED;
	walk->depth++;
	json_array_foreach(rules, i, rule)
	{
		if (++walk->steps > STEPS_MAX) {
			outcome = OUTCOME_PASSED;
			break;
		}
		outcome = walk_rule(walk, rule, certainty, &leaves);
		if (outcome != OUTCOME_GOES_ON || leaves)
			break;
	}
	walk->depth--;
	return outcome;
}

/* ---- the judgement ------------------------------------------------------------------------ */

enum cv_ruleset_fate cv_ruleset_judge(const struct cv_ruleset *ruleset, const json_t *chain,
				      const struct cv_ruleset_packet *packet, bool is_nat,
				      struct cv_ruleset_culprit *ret_culprit)
{
	struct walk walk = {
		.ruleset = ruleset,
		.packet = packet,
		.chain = chain,
		.is_nat = is_nat,
	};
	enum outcome outcome = walk_chain(&walk, text_of(chain, "name"), CV_TRUTH_YES);

	*ret_culprit = (struct cv_ruleset_culprit){.chain = chain, .rule = walk.hit};
	if (outcome == OUTCOME_GOES_ON && !is_nat && !strcmp(text_of(chain, "policy"), "drop"))
		outcome = OUTCOME_HIT;
	if (outcome == OUTCOME_HIT)
		return walk.maybe_passed ? CV_FATE_MAYBE : CV_FATE_HIT;
	if (walk.maybe_hit) {
		ret_culprit->rule = walk.maybe_hit;
		return CV_FATE_MAYBE;
	}
	return CV_FATE_PASSES;
}

bool cv_ruleset_is_hook(const json_t *chain, const char *hook)
{
	const char *family = text_of(chain, "family");

	return !strcmp(text_of(chain, "hook"), hook) &&
	       (!strcmp(family, "ip") || !strcmp(family, "inet") || !strcmp(family, "netdev"));
}

bool cv_ruleset_is_on_device(const json_t *chain, const char *device)
{
	const json_t *dev = json_object_get(chain, "dev"), *name;
	size_t i;

	/* nft 1.0.6 does not tell. */
	if (!dev)
		return true;
	if (json_is_string(dev))
		return !strcmp(json_string_value(dev), device);
	json_array_foreach(dev, i, name)
	{
		if (json_is_string(name) && !strcmp(json_string_value(name), device))
			return true;
	}
	return false;
}

const char *cv_ruleset_chain_name(const json_t *chain, char buffer[CV_RULESET_NAME_MAX])
{
	make_key(buffer, chain, text_of(chain, "name"));
	return buffer;
}
