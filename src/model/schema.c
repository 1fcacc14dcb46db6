/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields by tables. Kubernetes' rules hold where manifests come from there: null is as good as not
 * given, a word without quotes that YAML takes for a number or a boolean is no string
 * (sigs.k8s.io/yaml), unknown fields are refused (kubectl --validate=strict).
 *
 * Invariant: whatever was read without an error is in the canonical text, too; reading that gives
 * the same target and the same text.
 */
#include "model/schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/nearest.h"

/* ---- messages -------------------------------------------------------------------- */

static int vfail(struct cv_reader *reader, unsigned int line, unsigned int column,
		 const char *format, va_list args)
{
	char text[CV_ERROR_TEXT_MAX];

	vsnprintf(text, sizeof(text), format, args);
	return cv_error_set(reader->error, -EINVAL, "%.256s:%u:%u: %s", reader->file, line, column,
			    text);
}

/* In parentheses: not the analyzer's macro. */
int(cv_reader_fail)(struct cv_reader *reader, const struct cv_yaml_node *node, const char *format,
		    ...)
{
	va_list args;

	va_start(args, format);
	vfail(reader, node->line, node->column, format, args);
	va_end(args);
	return -EINVAL;
}

int(cv_reader_fail_key)(struct cv_reader *reader, const struct cv_yaml_node *node,
			const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(reader, node->key_line, node->key_column, format, args);
	va_end(args);
	return -EINVAL;
}

void cv_reader_warn(struct cv_reader *reader, const struct cv_yaml_node *node, const char *format,
		    ...)
{
	char text[CV_ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cv_messages_add(reader->warnings, "%.256s:%u:%u: %s%s%s: %s", reader->file,
			node->key ? node->key_line : node->line,
			node->key ? node->key_column : node->column, reader->kind,
			reader->name ? " " : "", reader->name ? reader->name : "", text);
}

const char *cv_reader_is(const struct cv_yaml_node *node, char buffer[CV_READER_IS_MAX])
{
	static const char *const formats[] = {
		[CV_YAML_STRING] = "not \"%.64s\"", [CV_YAML_NULL] = "not nothing",
		[CV_YAML_BOOL] = "not %.64s",	    [CV_YAML_INT] = "not %.64s",
		[CV_YAML_FLOAT] = "not %.64s",	    [CV_YAML_WORD] = "not %.64s",
	};
	enum cv_yaml_value value = cv_yaml_resolve(node);

	if (node->type != CV_YAML_SCALAR)
		snprintf(buffer, CV_READER_IS_MAX, "not a %s",
			 node->type == CV_YAML_LIST ? "list" : "mapping");
	else if (value == CV_YAML_NULL)
		snprintf(buffer, CV_READER_IS_MAX, "not nothing");
	else
		snprintf(buffer, CV_READER_IS_MAX, formats[value], node->text);
	return buffer;
}

bool cv_reader_absent(const struct cv_yaml_node *node)
{
	return !node || cv_yaml_resolve(node) == CV_YAML_NULL;
}

const char *cv_reader_leaf(const struct cv_yaml_node *node)
{
	return node->key ? node->key : "an entry";
}

size_t cv_reader_enter(struct cv_reader *reader, const char *name, const char *sign)
{
	size_t length = strlen(reader->path);

	snprintf(reader->path + length, sizeof(reader->path) - length, "%s%s", name, sign);
	return length;
}

void cv_reader_leave(struct cv_reader *reader, size_t entered)
{
	reader->path[entered] = '\0';
}

const char *cv_schema_nearest(const struct cv_schema *schema, const char *name)
{
	struct cv_nearest nearest;

	cv_nearest_init(&nearest, name);
	for (size_t i = 0; i < schema->count; i++) {
		if (!strcasecmp(schema->fields[i].name, name))
			return schema->fields[i].name;
		cv_nearest_offer(&nearest, schema->fields[i].name);
	}
	return nearest.best;
}

/* ---- values ---------------------------------------------------------------------- */

int cv_reader_bool(struct cv_reader *reader, const struct cv_yaml_node *node, bool *ret_value)
{
	enum cv_yaml_value value = cv_yaml_resolve(node);
	char is[CV_READER_IS_MAX];

	if (value == CV_YAML_BOOL) {
		*ret_value = (node->text[0] | 0x20) == 't';
		return 0;
	}
	if (node->type == CV_YAML_SCALAR && !node->is_plain &&
	    (!strcmp(node->text, "true") || !strcmp(node->text, "false")))
		return cv_reader_fail(reader, node,
				      "%s%s must be true or false without quotes, not \"%s\"",
				      reader->path, cv_reader_leaf(node), node->text);
	if (value == CV_YAML_WORD)
		return cv_reader_fail(reader, node,
				      "%s%s must be true or false; YAML has no %s any more, write "
				      "the one you mean",
				      reader->path, cv_reader_leaf(node), node->text);
	return cv_reader_fail(reader, node, "%s%s must be true or false, %s", reader->path,
			      cv_reader_leaf(node), cv_reader_is(node, is));
}

int cv_reader_integer(struct cv_reader *reader, const struct cv_yaml_node *node, long long min,
		      long long max, long long *ret_value)
{
	enum cv_yaml_value value = cv_yaml_resolve(node);
	char is[CV_READER_IS_MAX];
	long long number;

	if (node->type == CV_YAML_SCALAR && !node->is_plain && *node->text &&
	    !node->text[strspn(node->text, "0123456789")])
		return cv_reader_fail(reader, node, "%s%s must be a number; take the quotes off %s",
				      reader->path, cv_reader_leaf(node), node->text);
	if (value != CV_YAML_INT || cv_yaml_integer(node, &number) || number < min || number > max)
		return cv_reader_fail(
			reader, node, "%s%s must be a whole number from %lld to %lld, %s",
			reader->path, cv_reader_leaf(node), min, max, cv_reader_is(node, is));
	*ret_value = number;
	return 0;
}

int cv_reader_string(struct cv_reader *reader, const struct cv_yaml_node *node,
		     const char **ret_text)
{
	enum cv_yaml_value value = cv_yaml_resolve(node);
	char is[CV_READER_IS_MAX];

	if (node->type != CV_YAML_SCALAR || value == CV_YAML_NULL)
		return cv_reader_fail(reader, node, "%s%s must be a string, %s", reader->path,
				      cv_reader_leaf(node), cv_reader_is(node, is));
	if (value != CV_YAML_STRING)
		return cv_reader_fail(
			reader, node, "%s%s must be a string, %s; put it in quotes: \"%.64s\"",
			reader->path, cv_reader_leaf(node), cv_reader_is(node, is), node->text);
	*ret_text = node->text;
	return 0;
}

int cv_reader_name(struct cv_reader *reader, const struct cv_yaml_node *node, const char **ret_name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
	const char *name, *bad;
	int rc = cv_reader_string(reader, node, &name);

	if (rc)
		return rc;
	if (!*name)
		return cv_reader_fail(reader, node, "%s%s is empty; give a name", reader->path,
				      cv_reader_leaf(node));
	if (strlen(name) > 253)
		return cv_reader_fail(reader, node, "%s%s has more than 253 characters",
				      reader->path, cv_reader_leaf(node));
	bad = name + strspn(name, letters);
	if (*bad)
		return cv_reader_fail(reader, node,
				      "%s%s \"%.64s\" has the character '%c'; use lower-case "
				      "letters, digits, '-' and '.'",
				      reader->path, cv_reader_leaf(node), name, *bad);
	for (const char *p = name; *p; p++) {
		if (((p == name || p[-1] == '.') && strchr("-.", *p)) ||
		    (strchr("-.", *p) && (!p[1] || p[1] == '.')))
			return cv_reader_fail(reader, node,
					      "%s%s \"%.64s\": what is between dots must begin and "
					      "end with a letter or digit",
					      reader->path, cv_reader_leaf(node), name);
	}
	*ret_name = name;
	return 0;
}

int cv_reader_word(struct cv_reader *reader, const struct cv_yaml_node *node,
		   const struct cv_word *words, int *ret_value)
{
	bool is_string = node->type == CV_YAML_SCALAR && cv_yaml_resolve(node) == CV_YAML_STRING;
	const char *text = is_string ? node->text : "-", *near = NULL;
	char known[160] = "", is[CV_READER_IS_MAX];
	struct cv_nearest nearest;

	cv_nearest_init(&nearest, text);
	for (const struct cv_word *word = words; word->name; word++) {
		if (!strcmp(word->name, text)) {
			*ret_value = word->value;
			return 0;
		}
		if (!*word->name)
			continue;
		if (!strcasecmp(word->name, text))
			near = word->name;
		cv_nearest_offer(&nearest, word->name);
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			 !*known			 ? ""
			 : word[1].name && *word[1].name ? ", "
							 : " or ",
			 word->name);
	}
	if (!near)
		near = nearest.best;
	return cv_reader_fail(reader, node, "%s%s must be %s, %s%s%s%s", reader->path,
			      cv_reader_leaf(node), known, cv_reader_is(node, is),
			      near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* ---- tables ---------------------------------------------------------------------- */

static bool has_shape(const struct cv_field *field, const struct cv_yaml_node *node)
{
	switch (field->type) {
	case CV_FIELD_UNUSED_SCALAR:
		return node->type == CV_YAML_SCALAR;
	case CV_FIELD_UNUSED_LIST:
		return node->type == CV_YAML_LIST;
	case CV_FIELD_UNUSED_OBJECT:
		return node->type == CV_YAML_MAPPING;
	default:
		return true;
	}
}

static int read_unused(struct cv_reader *reader, const struct cv_field *field,
		       const struct cv_yaml_node *node)
{
	char is[CV_READER_IS_MAX];

	if (!has_shape(field, node))
		return cv_reader_fail(reader, node, "%s%s must be %s, %s", reader->path,
				      field->name,
				      field->type == CV_FIELD_UNUSED_SCALAR ? "a single value"
				      : field->type == CV_FIELD_UNUSED_LIST ? "a list"
									    : "a mapping",
				      cv_reader_is(node, is));
	cv_reader_warn(reader, node, "%s%s is not acted on%s%s", reader->path, field->name,
		       field->note ? ": " : "", field->note ? field->note : "");
	return 0;
}

static int read_object(struct cv_reader *reader, const struct cv_field *field,
		       const struct cv_yaml_node *node, void *target)
{
	size_t entered = cv_reader_enter(reader, field->name, ".");
	int rc = cv_schema_read(reader, field->object, node, node, target);

	cv_reader_leave(reader, entered);
	return rc;
}

/* U+2018 … U+201F, as word processors write them. */
static bool is_quoted_typographically(const char *text)
{
	return !strncmp(text, "\xe2\x80", 2) && (unsigned char)text[2] >= 0x98 &&
	       (unsigned char)text[2] <= 0x9f;
}

static int read_field(struct cv_reader *reader, const struct cv_field *field,
		      const struct cv_yaml_node *node, void *target)
{
	char *at = (char *)target + field->offset;
	const char *text;
	int rc, value = 0;

	if (node->type == CV_YAML_SCALAR && node->is_plain && is_quoted_typographically(node->text))
		return cv_reader_fail(reader, node,
				      "%s%s is in typographic quotes; write plain ones, or none",
				      reader->path, cv_reader_leaf(node));
	switch (field->type) {
	case CV_FIELD_BOOL:
		return cv_reader_bool(reader, node, (bool *)at);
	case CV_FIELD_WORD:
		rc = cv_reader_word(reader, node, field->words, &value);
		if (!rc)
			memcpy(at, &value, sizeof(value));
		return rc;
	case CV_FIELD_NAME:
		rc = cv_reader_name(reader, node, &text);
		if (!rc) {
			char *copy = strdup(text);

			if (!copy)
				return cv_error_set(reader->error, -ENOMEM, "no memory");
			memcpy(at, &copy, sizeof(copy));
		}
		return rc;
	case CV_FIELD_READ:
	case CV_FIELD_OWN:
		return field->read(reader, node, target);
	case CV_FIELD_OBJECT:
		return read_object(reader, field, node, target);
	default:
		return read_unused(reader, field, node);
	}
}

static const struct cv_field *find_field(const struct cv_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++) {
		if (!strcmp(schema->fields[i].name, name))
			return &schema->fields[i];
	}
	return NULL;
}

/* The path of the object within a schema that has a field of this name, or NULL. */
static const char *find_below(const struct cv_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++) {
		const struct cv_field *field = &schema->fields[i];

		if (field->type == CV_FIELD_OBJECT && field->object &&
		    find_field(field->object, name))
			return field->name;
	}
	return NULL;
}

int cv_schema_check_names(struct cv_reader *reader, const struct cv_schema *schema,
			  const struct cv_yaml_node *mapping)
{
	for (const struct cv_yaml_node *node = mapping->first; node; node = node->next) {
		const char *near, *below;

		if (find_field(schema, node->key))
			continue;
		if (!strcmp(node->key, "<<"))
			return cv_reader_fail_key(reader, node,
						  "a merge (<<); write the fields out");
		near = cv_schema_nearest(schema, node->key);
		below = find_below(schema, node->key);
		if (below)
			return cv_reader_fail_key(
				reader, node,
				"field \"%.64s\" does not belong into %s, but into "
				"its %s; indent it there",
				node->key, schema->what, below);
		if (near)
			return cv_reader_fail_key(reader, node,
						  "unknown field \"%.64s\" in %s; did you mean %s?",
						  node->key, schema->what, near);
		return cv_reader_fail_key(reader, node, "unknown field \"%.64s\" in %s; delete it",
					  node->key, schema->what);
	}
	return 0;
}

static int read_fields(struct cv_reader *reader, const struct cv_schema *schema,
		       const struct cv_yaml_node *mapping, const struct cv_yaml_node *parent,
		       void *target)
{
	int rc;

	for (size_t i = 0; i < schema->count; i++) {
		const struct cv_field *field = &schema->fields[i];
		const struct cv_yaml_node *node = cv_yaml_get(mapping, field->name);

		if (cv_reader_absent(node)) {
			if (field->is_required)
				return cv_reader_fail(reader, mapping ? mapping : parent,
						      "%s%s is missing; every %s needs it",
						      reader->path, field->name, reader->kind);
			continue;
		}
		if (field->type == CV_FIELD_DROPPED)
			continue;
		if (field->type != CV_FIELD_OWN)
			cv_json_key(&reader->out, field->name);
		rc = read_field(reader, field, node, target);
		if (rc)
			return rc;
		if (field->write)
			field->write(&reader->out, target);
		else if (field->type != CV_FIELD_OBJECT && field->type != CV_FIELD_OWN)
			cv_json_node(&reader->out, node);
	}
	return 0;
}

int cv_schema_read(struct cv_reader *reader, const struct cv_schema *schema,
		   const struct cv_yaml_node *node, const struct cv_yaml_node *parent, void *target)
{
	char is[CV_READER_IS_MAX];
	int rc;

	if (cv_reader_absent(node))
		node = NULL;
	if (node && node->type != CV_YAML_MAPPING)
		return cv_reader_fail(reader, node, "%s must be a mapping, %s", schema->what,
				      cv_reader_is(node, is));
	rc = node ? cv_schema_check_names(reader, schema, node) : 0;
	if (rc)
		return rc;
	cv_text_add(&reader->out, "{", 1);
	rc = read_fields(reader, schema, node, parent, target);
	cv_text_add(&reader->out, "}", 1);
	return rc;
}
