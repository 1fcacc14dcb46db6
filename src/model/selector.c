/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calico's selectors (https://docs.tigera.io/calico/latest/reference/resources/networkpolicy,
 * "Selectors"), read by recursive descent into a tree:
 *
 *	or     = and *("||" and)
 *	and    = term *("&&" term)
 *	term   = *"!" ("all()" / "global()" / "has(" label ")" / "(" or ")" / test)
 *	test   = label ("==" / "!=" / "contains" / "starts with" / "ends with") string
 *	       / label ("in" / "not in") "{" [string *("," string) [","]] "}"
 *
 * A label that is not there matches "!=" and "not in", and nothing else, as in Calico. Strings
 * have no escapes: one in double quotes may hold single ones, and the other way round. As there,
 * the space in "starts with", "ends with" and "not in" may be missing, and "has", "all" and
 * "global" are words of their own only with "(" right behind them.
 *
 * Invariant: the tree is at most DEPTH_MAX parentheses deep, so that walking it cannot exhaust
 * the stack; what is side by side is a list.
 */
#include "model/selector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = 64,
	FOUND_MAX = 24 /* bytes of what was found, in errors */
};

enum op {
	OP_ALL,
	OP_AND, /* of children */
	OP_OR,
	OP_HAS,
	OP_EQUAL,
	OP_NOT_EQUAL,
	OP_CONTAINS,
	OP_STARTS_WITH,
	OP_ENDS_WITH,
	OP_IN,
	OP_NOT_IN,
};

struct value {
	struct value *next;
	char *text;
};

struct node {
	enum op op;
	bool negated;
	char *label;
	struct value *values; /* one, but for in and not in */
	struct node *children, *next;
};

struct cv_selector {
	struct node *root;
};

struct parser {
	const char *text, *at;
	unsigned int depth;
	struct cv_error *error;
};

static void destroy_node(struct node *node)
{
	while (node) {
		struct node *next = node->next;

		destroy_node(node->children);
		while (node->values) {
			struct value *value = node->values;

			node->values = value->next;
			free(value->text);
			free(value);
		}
		free(node->label);
		free(node);
		node = next;
	}
}

/* ---- reading --------------------------------------------------------------------- */

static int no_memory(struct parser *parser)
{
	return cv_error_set(parser->error, -ENOMEM, "no memory for the selector");
}

/* Columns are counted from 1, in bytes. */
static int expected(struct parser *parser, const char *what)
{
	size_t column = (size_t)(parser->at - parser->text) + 1;

	if (!*parser->at)
		return cv_error_set(parser->error, -EINVAL,
				    "column %zu: expected %s, but the selector ends there", column,
				    what);
	return cv_error_set(parser->error, -EINVAL, "column %zu: expected %s, but found \"%.*s\"",
			    column, what, FOUND_MAX, parser->at);
}

static void skip_space(struct parser *parser)
{
	parser->at += strspn(parser->at, " \t\r\n");
}

/* Step over a word and the space behind it, if it is there. */
static bool take(struct parser *parser, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(parser->at, word, length) != 0)
		return false;
	parser->at += length;
	skip_space(parser);
	return true;
}

static int take_label(struct parser *parser, char **ret_label)
{
	size_t length = strspn(parser->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789_./-");
	char *label;

	if (!length)
		return expected(parser, "a label's name");
	label = strndup(parser->at, length);
	if (!label)
		return no_memory(parser);
	parser->at += length;
	skip_space(parser);
	*ret_label = label;
	return 0;
}

/* A string, put at *ret_value. */
static int take_string(struct parser *parser, struct value **ret_value)
{
	const char quote = *parser->at, *end;
	struct value *value;

	if (quote != '\'' && quote != '"')
		return expected(parser, "a string in quotes");
	end = strchr(parser->at + 1, quote);
	if (!end)
		return cv_error_set(parser->error, -EINVAL,
				    "column %zu: the string that begins here has no end; close it "
				    "with %c",
				    (size_t)(parser->at - parser->text) + 1, quote);
	value = calloc(1, sizeof(*value));
	if (value)
		value->text = strndup(parser->at + 1, (size_t)(end - parser->at) - 1);
	if (!value || !value->text) {
		free(value);
		return no_memory(parser);
	}
	parser->at = end + 1;
	skip_space(parser);
	*ret_value = value;
	return 0;
}

static int take_set(struct parser *parser, struct node *node)
{
	struct value **tail = &node->values;

	if (!take(parser, "{"))
		return expected(parser, "a set like {'a', 'b'}");
	while (*parser->at == '\'' || *parser->at == '"') {
		int rc = take_string(parser, tail);

		if (rc)
			return rc;
		tail = &(*tail)->next;
		if (!take(parser, ","))
			break;
	}
	if (!take(parser, "}"))
		return expected(parser, "a string in quotes, \",\" or \"}\"");
	return 0;
}

/* "starts with" and the like: two words, with or without space between them. */
static bool take_words(struct parser *parser, const char *first, const char *second)
{
	const char *before = parser->at;

	if (take(parser, first) && take(parser, second))
		return true;
	parser->at = before;
	return false;
}

static int take_test(struct parser *parser, struct node *node)
{
	static const struct {
		const char *first, *second;
		enum op op;
	} operators[] = {
		{"==", "", OP_EQUAL},
		{"!=", "", OP_NOT_EQUAL},
		{"contains", "", OP_CONTAINS},
		{"starts", "with", OP_STARTS_WITH},
		{"ends", "with", OP_ENDS_WITH},
		{"not", "in", OP_NOT_IN},
		{"in", "", OP_IN},
	};
	int rc = take_label(parser, &node->label);

	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (!take_words(parser, operators[i].first, operators[i].second))
			continue;
		node->op = operators[i].op;
		if (node->op == OP_IN || node->op == OP_NOT_IN)
			return take_set(parser, node);
		return take_string(parser, &node->values);
	}
	return expected(parser, "==, !=, in, not in, contains, starts with or ends with");
}

static int take_or(struct parser *parser, struct node **ret_node);

static int take_parentheses(struct parser *parser, struct node *node)
{
	int rc;

	if (parser->depth == DEPTH_MAX)
		return cv_error_set(parser->error, -EINVAL,
				    "column %zu: more than %d parentheses inside of each other; "
				    "write the selector flatter",
				    (size_t)(parser->at - parser->text), DEPTH_MAX);
	parser->depth++;
	node->op = OP_AND;
	rc = take_or(parser, &node->children);
	if (rc)
		return rc;
	parser->depth--;
	return take(parser, ")") ? 0 : expected(parser, "&&, || or \")\"");
}

static int take_term_into(struct parser *parser, struct node *node)
{
	int rc;

	while (take(parser, "!"))
		node->negated = !node->negated;
	if (take(parser, "("))
		return take_parentheses(parser, node);
	if (take(parser, "all(") || take(parser, "global(")) {
		node->op = OP_ALL;
		return take(parser, ")") ? 0 : expected(parser, "\")\"");
	}
	if (take(parser, "has(")) {
		node->op = OP_HAS;
		rc = take_label(parser, &node->label);
		if (rc)
			return rc;
		return take(parser, ")") ? 0 : expected(parser, "\")\"");
	}
	/* The commonest slip deserves more than "a label's name". */
	if (*parser->at == '\'' || *parser->at == '"')
		return expected(parser, "a label's name without quotes");
	return take_test(parser, node);
}

static int take_term(struct parser *parser, struct node **ret_node)
{
	struct node *node = calloc(1, sizeof(*node));
	int rc;

	if (!node)
		return no_memory(parser);
	rc = take_term_into(parser, node);
	if (rc) {
		destroy_node(node);
		return rc;
	}
	*ret_node = node;
	return 0;
}

/* One or more of what take_one takes, with word between them: one node of op. */
static int take_list(struct parser *parser, enum op op, const char *word,
		     int (*take_one)(struct parser *parser, struct node **ret_node),
		     struct node **ret_node)
{
	struct node *list = calloc(1, sizeof(*list));
	struct node **tail;
	int rc;

	if (!list)
		return no_memory(parser);
	list->op = op;
	tail = &list->children;
	do {
		rc = take_one(parser, tail);
		if (rc) {
			destroy_node(list);
			return rc;
		}
		tail = &(*tail)->next;
	} while (take(parser, word));
	*ret_node = list;
	return 0;
}

static int take_and(struct parser *parser, struct node **ret_node)
{
	return take_list(parser, OP_AND, "&&", take_term, ret_node);
}

static int take_or(struct parser *parser, struct node **ret_node)
{
	return take_list(parser, OP_OR, "||", take_and, ret_node);
}

/* Everything up to the end; only space is all(). */
static int take_all(struct parser *parser, struct node **ret_root)
{
	struct node *root = NULL;
	int rc;

	skip_space(parser);
	if (!*parser->at)
		return 0;
	rc = take_or(parser, &root);
	if (!rc && *parser->at) {
		rc = expected(parser, "&&, || or the end");
		destroy_node(root);
	}
	if (!rc)
		*ret_root = root;
	return rc;
}

int cv_selector_create(const char *text, struct cv_selector **ret_selector, struct cv_error *error)
{
	struct parser parser = {.text = text, .at = text, .error = error};
	struct cv_selector *selector = calloc(1, sizeof(*selector));
	int rc;

	if (!selector)
		return no_memory(&parser);
	rc = take_all(&parser, &selector->root);
	if (rc) {
		free(selector);
		return rc;
	}
	*ret_selector = selector;
	return 0;
}

void cv_selector_destroy(struct cv_selector *selector)
{
	if (!selector)
		return;
	destroy_node(selector->root);
	free(selector);
}

/* ---- asking ---------------------------------------------------------------------- */

static bool has_value(const struct node *node, const char *text)
{
	for (const struct value *value = node->values; value; value = value->next) {
		if (!strcmp(value->text, text))
			return true;
	}
	return false;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && !strcmp(text + length - end_length, end);
}

static bool test_label(const struct node *node, const char *label)
{
	const char *text = node->values ? node->values->text : "";

	if (!label)
		return node->op == OP_NOT_EQUAL || node->op == OP_NOT_IN;
	switch (node->op) {
	case OP_HAS:
		return true;
	case OP_EQUAL:
	case OP_IN:
		return has_value(node, label);
	case OP_NOT_EQUAL:
	case OP_NOT_IN:
		return !has_value(node, label);
	case OP_CONTAINS:
		return strstr(label, text);
	case OP_STARTS_WITH:
		return !strncmp(label, text, strlen(text));
	case OP_ENDS_WITH:
		return ends_with(label, text);
	default:
		return false;
	}
}

static bool test_node(const struct node *node, const struct cv_resource *resource)
{
	bool is_and = node->op == OP_AND, matches = is_and;

	switch (node->op) {
	case OP_ALL:
		matches = true;
		break;
	case OP_AND:
	case OP_OR:
		for (const struct node *child = node->children; child && matches == is_and;
		     child = child->next)
			matches = test_node(child, resource);
		break;
	default:
		matches = test_label(node, cv_resource_label(resource, node->label));
		break;
	}
	return matches != node->negated;
}

bool cv_selector_matches(const struct cv_selector *selector, const struct cv_resource *resource)
{
	return !selector->root || test_node(selector->root, resource);
}
