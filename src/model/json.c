/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON out of nodes (RFC 8259), and YAML out of that JSON.
 *
 * Invariant: what is written here is read by model/yaml.h to the same values and written again to
 * the same bytes. Strings stay without quotes in YAML only where neither YAML 1.1 nor 1.2 could
 * take them for something else.
 */
#include "model/json.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/prefix.h"

/* ---- texts ----------------------------------------------------------------------- */

void cv_text_add(struct cv_text *text, const char *data, size_t length)
{
	if (text->has_failed)
		return;
	if (length >= text->capacity - text->length) {
		size_t capacity = (text->capacity + length) * 2 + 64;
		char *grown = realloc(text->data, capacity);

		if (!grown) {
			text->has_failed = true;
			return;
		}
		text->data = grown;
		text->capacity = capacity;
	}
	if (length)
		memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void cv_text_puts(struct cv_text *text, const char *string)
{
	cv_text_add(text, string, strlen(string));
}

void cv_text_fini(struct cv_text *text)
{
	free(text->data);
	*text = (struct cv_text){.data = NULL};
}

char *cv_text_take(struct cv_text *text)
{
	char *taken = NULL;

	cv_text_add(text, "", 0);
	if (!text->has_failed) {
		taken = realloc(text->data, text->length + 1);
		if (!taken)
			taken = text->data;
		text->data = NULL;
	}
	cv_text_fini(text);
	return taken;
}

/* ---- writing JSON ---------------------------------------------------------------- */

/* Decode one character of valid UTF-8; returns its length in bytes. */
static size_t decode(const unsigned char *p, uint32_t *ret_character)
{
	size_t length = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	uint32_t character = length == 1 ? *p : *p & (0x7fU >> length);

	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			*ret_character = *p;
			return 1;
		}
		character = character << 6 | (p[i] & 0x3f);
	}
	*ret_character = character;
	return length;
}

/* Control characters; line ends of YAML 1.1, which are folded; and what YAML does not take. */
static bool must_escape(uint32_t c)
{
	return c < 0x20 || c == '"' || c == '\\' || (c >= 0x7f && c < 0xa0) || c == 0x2028 ||
	       c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff;
}

static void write_escape(struct cv_text *text, uint32_t c)
{
	static const char names[][2] = {{'"', '"'},  {'\\', '\\'}, {'\n', 'n'}, {'\t', 't'},
					{'\r', 'r'}, {'\b', 'b'},  {'\f', 'f'}};
	char escape[8];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (c == (unsigned char)names[i][0]) {
			cv_text_add(text, (char[]){'\\', names[i][1]}, 2);
			return;
		}
	}
	snprintf(escape, sizeof(escape), "\\u%04x", c & 0xffff);
	cv_text_puts(text, escape);
}

void cv_json_string(struct cv_text *text, const char *string)
{
	const char *from = string;
	uint32_t c;

	cv_text_add(text, "\"", 1);
	while (*string) {
		size_t length = decode((const unsigned char *)string, &c);

		if (must_escape(c)) {
			cv_text_add(text, from, (size_t)(string - from));
			write_escape(text, c);
			from = string + length;
		}
		string += length;
	}
	cv_text_add(text, from, (size_t)(string - from));
	cv_text_add(text, "\"", 1);
}

void cv_json_key(struct cv_text *text, const char *key)
{
	if (text->length && text->data[text->length - 1] != '{')
		cv_text_add(text, ",", 1);
	cv_json_string(text, key);
	cv_text_add(text, ":", 1);
}

void cv_json_integer(struct cv_text *text, long long value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", value);
	cv_text_puts(text, digits);
}

/* Whether a number is written as JSON has it. */
static bool is_json_number(const char *p)
{
	size_t digits;

	p += *p == '-';
	digits = strspn(p, "0123456789");
	if (!digits || (digits > 1 && *p == '0'))
		return false;
	p += digits;
	if (*p == '.') {
		digits = strspn(++p, "0123456789");
		if (!digits)
			return false;
		p += digits;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '-' || *p == '+';
		digits = strspn(p, "0123456789");
		if (!digits)
			return false;
		p += digits;
	}
	return !*p;
}

static void write_number(struct cv_text *text, const struct cv_yaml_node *node,
			 enum cv_yaml_value value)
{
	char number[40];
	long long integer;
	double real;

	if (is_json_number(node->text)) {
		cv_text_puts(text, node->text);
		return;
	}
	if (value == CV_YAML_INT && !cv_yaml_integer(node, &integer)) {
		cv_json_integer(text, integer);
		return;
	}
	real = value == CV_YAML_FLOAT && !strpbrk(node->text, "nN") ? strtod(node->text, NULL)
								    : HUGE_VAL;
	snprintf(number, sizeof(number), "%.17g", real);
	/* Neither JSON's infinity nor numbers beyond all bounds are numbers there. */
	if (isfinite(real) && is_json_number(number))
		cv_text_puts(text, number);
	else
		cv_json_string(text, node->text);
}

static void write_scalar(struct cv_text *text, const struct cv_yaml_node *node)
{
	enum cv_yaml_value value = cv_yaml_resolve(node);

	switch (value) {
	case CV_YAML_NULL:
		cv_text_puts(text, "null");
		break;
	case CV_YAML_BOOL:
		cv_text_puts(text, (node->text[0] | 0x20) == 't' ? "true" : "false");
		break;
	case CV_YAML_INT:
	case CV_YAML_FLOAT:
		write_number(text, node, value);
		break;
	default:
		cv_json_string(text, node->text);
	}
}

static int compare_keys(const void *a, const void *b)
{
	const struct cv_yaml_node *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

static void write_mapping(struct cv_text *text, const struct cv_yaml_node *node)
{
	const struct cv_yaml_node **sorted = malloc((node->count + 1) * sizeof(sorted[0]));
	size_t count = 0;

	if (!sorted) {
		text->has_failed = true;
		return;
	}
	for (const struct cv_yaml_node *child = node->first; child; child = child->next)
		sorted[count++] = child;
	qsort(sorted, count, sizeof(sorted[0]), compare_keys);
	cv_text_add(text, "{", 1);
	for (size_t i = 0; i < count; i++) {
		if (i)
			cv_text_add(text, ",", 1);
		cv_json_string(text, sorted[i]->key);
		cv_text_add(text, ":", 1);
		cv_json_node(text, sorted[i]);
	}
	cv_text_add(text, "}", 1);
	free(sorted);
}

void cv_json_node(struct cv_text *text, const struct cv_yaml_node *node)
{
	switch (node->type) {
	case CV_YAML_MAPPING:
		write_mapping(text, node);
		break;
	case CV_YAML_LIST:
		cv_text_add(text, "[", 1);
		for (const struct cv_yaml_node *child = node->first; child; child = child->next) {
			if (child != node->first)
				cv_text_add(text, ",", 1);
			cv_json_node(text, child);
		}
		cv_text_add(text, "]", 1);
		break;
	default:
		write_scalar(text, node);
	}
}

/* ---- YAML ------------------------------------------------------------------------ */

/* A string of JSON at *p, moved behind it. Returns its length with the quotes, 0 if it is none. */
static size_t skip_string(const char **p)
{
	const char *from = *p, *to = from;

	if (*to++ != '"')
		return 0;
	while (*to && *to != '"')
		to += *to == '\\' && to[1] ? 2 : 1;
	if (!*to)
		return 0;
	*p = to + 1;
	return (size_t)(*p - from);
}

/* Whether a string without escapes can do without quotes. */
static bool is_plain(const char *string, size_t length)
{
	static const char *const words[] = {"y",   "n",	   "yes",   "no",  "on",
					    "off", "true", "false", "null"};
	char word[CV_PREFIX_TEXT_MAX];
	struct cv_prefix prefix;

	if (!length)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)string[i]) && !strchr("-_./()", string[i]))
			return false;
	}
	if (!isalnum((unsigned char)*string) && *string != '/')
		return false;
	if (length >= sizeof(word))
		return !isdigit((unsigned char)*string);
	memcpy(word, string, length);
	word[length] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcasecmp(word, words[i]))
			return false;
	}
	/* Of all that begins with a digit, addresses and prefixes alone are no numbers or dates. */
	return !isdigit((unsigned char)*word) || cv_prefix_parse(word, &prefix) != -EINVAL;
}

static int string_to_yaml(struct cv_text *text, const char **p)
{
	const char *from = *p;
	size_t length = skip_string(p);

	if (!length)
		return -EINVAL;
	if (is_plain(from + 1, length - 2))
		cv_text_add(text, from + 1, length - 2);
	else
		cv_text_add(text, from, length);
	return 0;
}

static void indent(struct cv_text *text, unsigned int columns)
{
	static const char spaces[] = "                                                  "
				     "                                                  "
				     "                                                  ";

	cv_text_add(text, spaces, columns < sizeof(spaces) ? columns : sizeof(spaces) - 1);
}

static int value_to_yaml(struct cv_text *text, const char **p, unsigned int column,
			 unsigned int depth, bool in_list);

/* Lines of KEY: VALUE, the first of which is already indented. */
static int object_to_yaml(struct cv_text *text, const char **p, unsigned int column,
			  unsigned int depth)
{
	int rc;

	for (bool is_first = true; **p != '}'; is_first = false) {
		if (!is_first) {
			if (*(*p)++ != ',')
				return -EINVAL;
			indent(text, column);
		}
		rc = string_to_yaml(text, p);
		if (rc)
			return rc;
		if (*(*p)++ != ':')
			return -EINVAL;
		cv_text_add(text, ":", 1);
		rc = value_to_yaml(text, p, column, depth, false);
		if (rc)
			return rc;
	}
	++*p;
	return 0;
}

static int list_to_yaml(struct cv_text *text, const char **p, unsigned int column,
			unsigned int depth)
{
	int rc;

	for (bool is_first = true; **p != ']'; is_first = false) {
		if (!is_first) {
			if (*(*p)++ != ',')
				return -EINVAL;
			indent(text, column);
		}
		cv_text_add(text, "-", 1);
		rc = value_to_yaml(text, p, column, depth, true);
		if (rc)
			return rc;
	}
	++*p;
	return 0;
}

/* A word that is no string: a number, true, false, null. */
static int word_to_yaml(struct cv_text *text, const char **p)
{
	size_t length = strspn(*p, "0123456789abcdefghijklmnopqrstuvwxyzE+-.");

	if (!length)
		return -EINVAL;
	cv_text_add(text, *p, length);
	*p += length;
	return 0;
}

/*
 * What stands behind "KEY:" or "-", up to the end of its last line. column: where the key or the
 * dash stands. Lists stand in their key's column, everything else two further.
 */
static int value_to_yaml(struct cv_text *text, const char **p, unsigned int column,
			 unsigned int depth, bool in_list)
{
	bool is_list = **p == '[', is_object = **p == '{';
	unsigned int inner = is_list && !in_list ? column : column + 2;
	int rc;

	if (depth > CV_YAML_DEPTH_MAX)
		return -EINVAL;
	if ((is_list || is_object) && (*p)[1] == (is_list ? ']' : '}')) {
		cv_text_puts(text, is_list ? " []\n" : " {}\n");
		*p += 2;
		return 0;
	}
	if (!is_list && !is_object) {
		cv_text_add(text, " ", 1);
		rc = **p == '"' ? string_to_yaml(text, p) : word_to_yaml(text, p);
		cv_text_add(text, "\n", 1);
		return rc;
	}
	++*p;
	if (in_list) {
		cv_text_add(text, " ", 1);
	} else {
		cv_text_add(text, "\n", 1);
		indent(text, inner);
	}
	return is_list ? list_to_yaml(text, p, inner, depth + 1)
		       : object_to_yaml(text, p, inner, depth + 1);
}

int cv_json_to_yaml(struct cv_text *text, const char *json)
{
	int rc;

	if (*json++ != '{' || *json == '}')
		return -EINVAL;
	rc = object_to_yaml(text, &json, 0, 1);
	return rc ? rc : *json ? -EINVAL : 0;
}
