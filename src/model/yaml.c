/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events, made into a tree. The nodes of a document lie in an arena that is emptied for
 * the next one, so that a file of 25,000 small documents costs the memory of one.
 *
 * Invariants: no text makes a tree of more than CV_YAML_NODES_MAX nodes or deeper than
 * CV_YAML_DEPTH_MAX; nothing here is quadratic in the text's length; no scalar has a NUL in it.
 * What is what follows YAML 1.2's core schema (https://yaml.org/spec/1.2.2/, 10.3), and knows the
 * words that were booleans in 1.1.
 */
#include "model/yaml.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "model/arena.h"

enum {
	TAG_LINES_MAX = 100,
	KEY_MAX = 320 /* bytes; Kubernetes' longest, a label's with a prefix, have 317 */
};

/* What is open while events come in. */
struct level {
	struct cv_yaml_node *node;
	struct cv_yaml_node *last; /* its youngest child */
	const char *key;	   /* a mapping's, whose value is to come; NULL: a key is */
	unsigned int key_line, key_column;
};

struct cv_yaml {
	const char *file;
	const char *text;
	size_t length;
	yaml_parser_t parser;
	struct cv_arena arena;
	size_t documents;
	size_t nodes;	    /* of the document */
	unsigned int depth; /* levels that are open */
	struct level levels[CV_YAML_DEPTH_MAX];
	const struct cv_yaml_node *root;
};

/* ---- errors ---------------------------------------------------------------------- */

static int fail_at(const struct cv_yaml *yaml, unsigned int line, unsigned int column, int err,
		   const char *what, const char *remedy, struct cv_error *error)
{
	return cv_error_set(error, err, "%.256s:%u:%u: %s%s%s", yaml->file, line, column, what,
			    *remedy ? "; " : "", remedy);
}

static int fail_mark(const struct cv_yaml *yaml, const yaml_mark_t *mark, int err, const char *what,
		     const char *remedy, struct cv_error *error)
{
	return fail_at(yaml, (unsigned int)mark->line + 1, (unsigned int)mark->column + 1, err,
		       what, remedy, error);
}

/* What libyaml says, and what to do about it. */
static const struct {
	const char *problem, *remedy;
} remedies[] = {
	{"mapping values are not allowed in this context",
	 "indent it as its neighbours are, or put a value with ': ' in it in quotes"},
	{"did not find expected key", "indent it as its neighbours are"},
	{"could not find expected ':'", "write KEY: VALUE"},
	{"did not find expected <document start>",
	 "put --- between documents, and nothing behind the end of one"},
	{"did not find expected ',' or '}'", "close the { or add a comma"},
	{"did not find expected ',' or ']'", "close the [ or add a comma"},
	{"did not find expected '-' indicator", "begin each entry of a list with - in one column"},
	{"found unexpected end of stream", "close the quotes"},
	{"found unknown escape character", "write \\\\ for a backslash, or use single quotes"},
	{"found character that cannot start any token", "put the value in quotes"},
	{"block sequence entries are not allowed in this context",
	 "begin a list on a line of its own"},
	{"found incompatible YAML document", "write %YAML 1.2, or delete the line"},
	{"found invalid Unicode character escape code", "write the character itself"},
};

static const char *find_remedy(const char *problem)
{
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		if (!strcmp(problem, remedies[i].problem))
			return remedies[i].remedy;
	}
	return "correct it";
}

/* A reader's error has an offset in bytes alone. */
static int fail_offset(const struct cv_yaml *yaml, const char *problem, struct cv_error *error)
{
	size_t offset = yaml->parser.problem_offset;
	unsigned int line = 1, column = 1;
	bool is_control = strstr(problem, "control") != NULL;

	if (offset > yaml->length)
		offset = yaml->length;
	for (size_t i = 0; i < offset; i++) {
		if (yaml->text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)yaml->text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	return fail_at(yaml, line, column, -EINVAL,
		       is_control ? "a control character" : "no valid UTF-8",
		       is_control ? "delete it, or write it as an escape in double quotes"
				  : "save the file as UTF-8",
		       error);
}

/* Whether a place holds a tab. The mark counts characters. */
static bool is_tab(const struct cv_yaml *yaml, const yaml_mark_t *mark)
{
	const char *p = yaml->text, *end = yaml->text + yaml->length;

	for (size_t line = mark->line; line && p < end; p++)
		line -= *p == '\n';
	for (size_t column = mark->column; column && p < end; column--) {
		do
			p++;
		while (p < end && ((unsigned char)*p & 0xc0) == 0x80);
	}
	return p < end && *p == '\t';
}

/* The line of a merge conflict's beginning, as git leaves it; 0: there is none. */
static unsigned int find_conflict(const struct cv_yaml *yaml)
{
	static const char mark[] = "<<<<<<< ";
	const char *end = yaml->text + yaml->length;
	unsigned int line = 1;

	for (const char *p = yaml->text; p && p < end; line++) {
		if ((size_t)(end - p) >= sizeof(mark) && !memcmp(p, mark, sizeof(mark) - 1))
			return line;
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	return 0;
}

static int fail_parser(const struct cv_yaml *yaml, struct cv_error *error)
{
	const yaml_parser_t *parser = &yaml->parser;
	const char *problem = parser->problem ? parser->problem : "broken YAML";
	const yaml_mark_t *mark = &parser->problem_mark;
	const char *remedy = find_remedy(problem);

	if (parser->error == YAML_MEMORY_ERROR)
		return cv_error_set(error, -ENOMEM, "%.256s: no memory", yaml->file);
	if (parser->error == YAML_READER_ERROR)
		return fail_offset(yaml, problem, error);
	if (find_conflict(yaml))
		return fail_at(yaml, find_conflict(yaml), 1, -EINVAL, "a merge conflict",
			       "resolve it, and delete the lines <<<<<<<, ======= and >>>>>>>",
			       error);
	if (is_tab(yaml, mark))
		return fail_mark(yaml, mark, -EINVAL, "a tab", "YAML is indented with spaces alone",
				 error);
	/* What is not closed is of interest where it was opened. */
	if (parser->context && !strncmp(remedy, "close", 5))
		mark = &parser->context_mark;
	return fail_mark(yaml, mark, -EINVAL, problem, remedy, error);
}

/* ---- the tree -------------------------------------------------------------------- */

static int no_memory(const struct cv_yaml *yaml, struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "%.256s: no memory", yaml->file);
}

static int add_node(struct cv_yaml *yaml, enum cv_yaml_type type, const yaml_mark_t *mark,
		    struct cv_yaml_node **ret_node, struct cv_error *error)
{
	struct level *level = yaml->depth ? &yaml->levels[yaml->depth - 1] : NULL;
	struct cv_yaml_node *node;

	if (++yaml->nodes > CV_YAML_NODES_MAX)
		return fail_mark(yaml, mark, -E2BIG, "the document is too large",
				 "cut it into several, with --- between them", error);
	node = cv_arena_alloc(&yaml->arena, sizeof(*node));
	if (!node)
		return no_memory(yaml, error);
	*node = (struct cv_yaml_node){
		.type = type,
		.line = (unsigned int)mark->line + 1,
		.column = (unsigned int)mark->column + 1,
		.key = level ? level->key : NULL,
		.key_line = level ? level->key_line : 0,
		.key_column = level ? level->key_column : 0,
	};
	if (!level) {
		yaml->root = node;
	} else {
		if (level->last)
			level->last->next = node;
		else
			level->node->first = node;
		level->last = node;
		level->node->count++;
		level->key = NULL;
	}
	*ret_node = node;
	return 0;
}

static bool expects_key(const struct cv_yaml *yaml)
{
	const struct level *level = yaml->depth ? &yaml->levels[yaml->depth - 1] : NULL;

	return level && level->node->type == CV_YAML_MAPPING && !level->key;
}

static int open_level(struct cv_yaml *yaml, enum cv_yaml_type type, const yaml_mark_t *mark,
		      struct cv_error *error)
{
	struct cv_yaml_node *node;
	int rc;

	if (expects_key(yaml) && memmem(yaml->text, yaml->length, "{{", 2))
		return fail_mark(yaml, mark, -EINVAL, "the {{ }} of a template",
				 "fill it in first: helm template CHART | culvert apply -f -",
				 error);
	if (expects_key(yaml))
		return fail_mark(yaml, mark, -EINVAL, "a list or a mapping as a key",
				 "write a word there", error);
	if (yaml->depth == CV_YAML_DEPTH_MAX)
		return fail_mark(yaml, mark, -E2BIG, "more than 64 levels deep",
				 "no resource is like that", error);
	rc = add_node(yaml, type, mark, &node, error);
	if (!rc)
		yaml->levels[yaml->depth++] = (struct level){.node = node};
	return rc;
}

static int compare_keys(const void *a, const void *b)
{
	const struct cv_yaml_node *const *x = a, *const *y = b;
	int order = strcmp((*x)->key, (*y)->key);

	if (order)
		return order;
	/* The later one is what is said to be too much. */
	return (*x)->key_line != (*y)->key_line	     ? ((*x)->key_line < (*y)->key_line ? -1 : 1)
	       : (*x)->key_column < (*y)->key_column ? -1
						     : 1;
}

static int fail_twice(const struct cv_yaml *yaml, const struct cv_yaml_node *first,
		      const struct cv_yaml_node *second, struct cv_error *error)
{
	return cv_error_set(error, -EINVAL,
			    "%.256s:%u:%u: \"%.64s\" is given twice, first in line %u; delete one",
			    yaml->file, second->key_line, second->key_column, second->key,
			    first->key_line);
}

enum {
	KEYS_FEW = 12 /* compared one by one */
};

/* Whether no key of a mapping is there twice. */
static int check_keys(struct cv_yaml *yaml, const struct cv_yaml_node *mapping,
		      struct cv_error *error)
{
	const struct cv_yaml_node **keys;
	size_t count = 0;
	int rc = 0;

	if (mapping->count <= KEYS_FEW) {
		for (const struct cv_yaml_node *a = mapping->first; a; a = a->next) {
			for (const struct cv_yaml_node *b = a->next; b; b = b->next) {
				if (!strcmp(a->key, b->key))
					return fail_twice(yaml, a, b, error);
			}
		}
		return 0;
	}
	keys = malloc(mapping->count * sizeof(keys[0]));
	if (!keys)
		return no_memory(yaml, error);
	for (const struct cv_yaml_node *a = mapping->first; a; a = a->next)
		keys[count++] = a;
	qsort(keys, count, sizeof(keys[0]), compare_keys);
	for (size_t i = 1; !rc && i < count; i++) {
		if (!strcmp(keys[i - 1]->key, keys[i]->key))
			rc = fail_twice(yaml, keys[i - 1], keys[i], error);
	}
	free(keys);
	return rc;
}

static int close_level(struct cv_yaml *yaml, struct cv_error *error)
{
	const struct cv_yaml_node *node = yaml->levels[--yaml->depth].node;

	return node->type == CV_YAML_MAPPING ? check_keys(yaml, node, error) : 0;
}

static int refuse_decoration(const struct cv_yaml *yaml, const yaml_event_t *event,
			     const unsigned char *anchor, const unsigned char *tag,
			     struct cv_error *error)
{
	if (anchor)
		return fail_mark(yaml, &event->start_mark, -EINVAL, "an anchor (&)",
				 "write the value out wherever it is needed, or put it in quotes",
				 error);
	if (tag && strcmp((const char *)tag, YAML_STR_TAG) && strcmp((const char *)tag, "!"))
		return fail_mark(yaml, &event->start_mark, -EINVAL, "a tag (!)",
				 "delete it, or put the value in quotes", error);
	return 0;
}

/*
 * libyaml takes no key of more than 1024 characters again, as they are printed: an escape is up to
 * six.
 */
static int check_key(const struct cv_yaml *yaml, const yaml_mark_t *mark, const char *key,
		     size_t length, struct cv_error *error)
{
	if (length > KEY_MAX)
		return fail_mark(yaml, mark, -EINVAL, "a key of more than 320 bytes",
				 "no field or label is like that", error);
	if (strstr(key, "\xc2\xa0"))
		return fail_mark(yaml, mark, -EINVAL, "a no-break space (U+00A0)",
				 "write a plain one", error);
	for (const char *p = key; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == '\x7f')
			return fail_mark(yaml, mark, -EINVAL, "a control character in a key",
					 "delete it", error);
	}
	return 0;
}

static int take_scalar(struct cv_yaml *yaml, const yaml_event_t *event, struct cv_error *error)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	struct cv_yaml_node *node;
	char *text;
	int rc = refuse_decoration(yaml, event, event->data.scalar.anchor, event->data.scalar.tag,
				   error);

	if (rc)
		return rc;
	if (memchr(value, '\0', length))
		return fail_mark(yaml, &event->start_mark, -EINVAL, "a NUL character in a string",
				 "delete it", error);
	text = cv_arena_alloc(&yaml->arena, length + 1);
	if (!text)
		return no_memory(yaml, error);
	memcpy(text, value, length);
	text[length] = '\0';
	if (expects_key(yaml)) {
		struct level *level = &yaml->levels[yaml->depth - 1];

		rc = check_key(yaml, &event->start_mark, text, length, error);
		if (rc)
			return rc;
		level->key = text;
		level->key_line = (unsigned int)event->start_mark.line + 1;
		level->key_column = (unsigned int)event->start_mark.column + 1;
		return 0;
	}
	rc = add_node(yaml, CV_YAML_SCALAR, &event->start_mark, &node, error);
	if (rc)
		return rc;
	node->text = text;
	node->is_plain =
		event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !event->data.scalar.tag;
	return 0;
}

static int take_event(struct cv_yaml *yaml, const yaml_event_t *event, struct cv_error *error)
{
	int rc;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++yaml->documents > CV_YAML_DOCUMENTS_MAX)
			return fail_mark(yaml, &event->start_mark, -E2BIG,
					 "more than 200000 documents", "make several files of it",
					 error);
		return 0;
	case YAML_ALIAS_EVENT:
		return fail_mark(yaml, &event->start_mark, -EINVAL, "an alias (*)",
				 "write the value out, or put it in quotes", error);
	case YAML_SCALAR_EVENT:
		return take_scalar(yaml, event, error);
	case YAML_SEQUENCE_START_EVENT:
		rc = refuse_decoration(yaml, event, event->data.sequence_start.anchor,
				       event->data.sequence_start.tag, error);
		return rc ? rc : open_level(yaml, CV_YAML_LIST, &event->start_mark, error);
	case YAML_MAPPING_START_EVENT:
		rc = refuse_decoration(yaml, event, event->data.mapping_start.anchor,
				       event->data.mapping_start.tag, error);
		return rc ? rc : open_level(yaml, CV_YAML_MAPPING, &event->start_mark, error);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_level(yaml, error);
	default:
		return 0;
	}
}

int cv_yaml_next(struct cv_yaml *yaml, const struct cv_yaml_node **ret_root, struct cv_error *error)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	yaml_event_t event;
	int rc;

	cv_arena_reset(&yaml->arena);
	yaml->nodes = 0;
	yaml->depth = 0;
	yaml->root = NULL;
	while (type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT) {
		if (!yaml_parser_parse(&yaml->parser, &event))
			return fail_parser(yaml, error);
		type = event.type;
		rc = take_event(yaml, &event, error);
		yaml_event_delete(&event);
		if (rc)
			return rc;
		/* libyaml says so for ever behind the end. */
		if (type == YAML_NO_EVENT)
			return 0;
	}
	if (type == YAML_STREAM_END_EVENT)
		return 0;
	*ret_root = yaml->root;
	return 1;
}

/*
 * libyaml compares every %TAG line with every other, which 64 MiB of them would make hours of.
 * Nobody writes any: tags are refused anyhow.
 */
static bool has_many_tag_lines(const char *text, size_t length)
{
	const char *end = text + length;
	unsigned int count = 0;

	while (length && (text = memmem(text, (size_t)(end - text), "%TAG", 4))) {
		if (++count > TAG_LINES_MAX)
			return true;
		text += 4;
	}
	return false;
}

int cv_yaml_create(const char *file, const char *text, size_t length, struct cv_yaml **ret_yaml,
		   struct cv_error *error)
{
	struct cv_yaml *yaml;

	if (length > CV_YAML_BYTES_MAX)
		return cv_error_set(error, -E2BIG,
				    "%.256s:1:1: larger than 64 MiB; make several files of it",
				    file);
	if (length >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2)))
		return cv_error_set(error, -EINVAL, "%.256s:1:1: UTF-16; save the file as UTF-8",
				    file);
	if (has_many_tag_lines(text, length))
		return cv_error_set(error, -E2BIG,
				    "%.256s:1:1: more than 100 times %%TAG; delete these lines",
				    file);
	yaml = calloc(1, sizeof(*yaml));
	if (!yaml)
		return cv_error_set(error, -ENOMEM, "%.256s: no memory", file);
	/* A byte order mark, as editors of Windows write it. */
	if (length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		length -= 3;
	}
	yaml->file = file;
	yaml->text = text;
	yaml->length = length;
	if (!yaml_parser_initialize(&yaml->parser)) {
		free(yaml);
		return cv_error_set(error, -ENOMEM, "%.256s: no memory", file);
	}
	yaml_parser_set_encoding(&yaml->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&yaml->parser, (const unsigned char *)text, length);
	*ret_yaml = yaml;
	return 0;
}

void cv_yaml_destroy(struct cv_yaml *yaml)
{
	if (!yaml)
		return;
	yaml_parser_delete(&yaml->parser);
	cv_arena_fini(&yaml->arena);
	free(yaml);
}

const struct cv_yaml_node *cv_yaml_get(const struct cv_yaml_node *mapping, const char *key)
{
	if (!mapping || mapping->type != CV_YAML_MAPPING)
		return NULL;
	for (const struct cv_yaml_node *node = mapping->first; node; node = node->next) {
		if (!strcmp(node->key, key))
			return node;
	}
	return NULL;
}

/* ---- scalars --------------------------------------------------------------------- */

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (!strcmp(text, *words))
			return true;
	}
	return false;
}

/* Digits of a base, "_" between them as in YAML 1.1; at least one. */
static bool is_digits(const char *text, const char *digits)
{
	return *text && *text != '_' && text[strspn(text, digits)] == '\0';
}

static bool is_integer(const char *text)
{
	if (*text == '-' || *text == '+')
		text++;
	if (text[0] == '0' && text[1] == 'x')
		return is_digits(text + 2, "0123456789abcdefABCDEF_");
	if (text[0] == '0' && text[1] == 'o')
		return is_digits(text + 2, "01234567_");
	if (text[0] == '0' && text[1] == 'b')
		return is_digits(text + 2, "01_");
	return is_digits(text, "0123456789_");
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *text)
{
	static const char digits[] = "0123456789";
	size_t whole, fraction = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (!strcasecmp(text, ".inf") || !strcasecmp(text, ".nan"))
		return true;
	whole = strspn(text, digits);
	text += whole;
	if (*text == '.') {
		fraction = strspn(++text, digits);
		text += fraction;
	}
	if (!whole && !fraction)
		return false;
	if (*text == 'e' || *text == 'E') {
		text++;
		if (*text == '-' || *text == '+')
			text++;
		return is_digits(text, digits);
	}
	return !*text;
}

enum cv_yaml_value cv_yaml_resolve(const struct cv_yaml_node *node)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const bools[] = {"true",  "True",  "TRUE", "false",
					    "False", "FALSE", NULL};
	static const char *const words[] = {"yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON",
					    "off", "Off", "OFF", "y",  "Y",  "n",  "N",	 NULL};

	if (node->type != CV_YAML_SCALAR || !node->is_plain)
		return CV_YAML_STRING;
	if (is_one_of(node->text, nulls))
		return CV_YAML_NULL;
	if (is_one_of(node->text, bools))
		return CV_YAML_BOOL;
	if (is_one_of(node->text, words))
		return CV_YAML_WORD;
	if (is_integer(node->text))
		return CV_YAML_INT;
	return is_float(node->text) ? CV_YAML_FLOAT : CV_YAML_STRING;
}

int cv_yaml_integer(const struct cv_yaml_node *node, long long *ret_value)
{
	const char *p = node->text;
	bool is_negative = *p == '-';
	long long value = 0, base = 10;

	if (*p == '-' || *p == '+')
		p++;
	if (p[0] == '0' && strchr("xob", p[1]) && p[1]) {
		base = p[1] == 'x' ? 16 : p[1] == 'o' ? 8 : 2;
		p += 2;
	}
	for (; *p; p++) {
		int digit = *p <= '9' ? *p - '0' : (*p | 0x20) - 'a' + 10;

		if (*p == '_')
			continue;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return -ERANGE;
	}
	*ret_value = is_negative ? -value : value;
	return 0;
}
