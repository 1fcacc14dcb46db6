/* SPDX-License-Identifier: Apache-2.0 */
/* AS numbers, durations, selectors, names of devices and of secrets: what several kinds have. */
#include "model/schema_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/duration.h"
#include "model/selector.h"

enum {
	INTERFACE_MAX = 15,
	KEY_MAX = 253,
	MS = 1000,
};

static int no_memory(struct cv_reader *reader)
{
	return cv_error_set(reader->error, -ENOMEM, "no memory");
}

/* ---- numbers --------------------------------------------------------------------- */

/* Digits of a number up to max, up to end ('\0' or '.'). */
static bool parse_part(const char **p, char end, uint32_t max, uint32_t *ret_value)
{
	unsigned long long value = 0;
	const char *from = *p;

	for (; **p >= '0' && **p <= '9'; ++*p) {
		value = value * 10 + (unsigned long long)(**p - '0');
		if (value > max)
			return false;
	}
	if (*p == from || **p != end)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

int cv_reader_as_number(struct cv_reader *reader, const struct cv_yaml_node *node,
			uint32_t *ret_number)
{
	char is[CV_READER_IS_MAX];
	uint32_t high, low;

	if (node->type == CV_YAML_SCALAR) {
		const char *p = node->text;

		if (parse_part(&p, '\0', UINT32_MAX, &low) && low) {
			*ret_number = low;
			return 0;
		}
		p = node->text;
		if (parse_part(&p, '.', UINT16_MAX, &high) && p++ &&
		    parse_part(&p, '\0', UINT16_MAX, &low) && (high || low)) {
			*ret_number = high << 16 | low;
			return 0;
		}
	}
	return cv_reader_fail(reader, node,
			      "%s%s must be a number from 1 to 4294967295, or like \"64512.1\", %s",
			      reader->path, cv_reader_leaf(node), cv_reader_is(node, is));
}

int cv_reader_seconds(struct cv_reader *reader, const struct cv_yaml_node *node, uint32_t min_s,
		      uint32_t max_s, uint32_t *ret_s)
{
	char is[CV_READER_IS_MAX];
	uint32_t ms;

	if (node->type == CV_YAML_SCALAR && cv_duration_parse(node->text, &ms) && !(ms % MS) &&
	    ms / MS >= min_s && ms / MS <= max_s) {
		*ret_s = ms / MS;
		return 0;
	}
	return cv_reader_fail(reader, node,
			      "%s%s must be a duration of whole seconds like 120s, from %us to "
			      "%us, %s",
			      reader->path, cv_reader_leaf(node), min_s, max_s,
			      cv_reader_is(node, is));
}

/* ---- texts ----------------------------------------------------------------------- */

int cv_reader_selector(struct cv_reader *reader, const struct cv_yaml_node *node,
		       const char **ret_text)
{
	struct cv_selector *selector = NULL;
	struct cv_error error;
	const char *text;
	int rc = cv_reader_string(reader, node, &text);

	if (rc)
		return rc;
	if (cv_selector_create(text, &selector, &error))
		return cv_reader_fail(reader, node, "%s%s: %s", reader->path, cv_reader_leaf(node),
				      error.text);
	cv_selector_destroy(selector);
	*ret_text = text;
	return 0;
}

int cv_reader_copy_selector(struct cv_reader *reader, const struct cv_yaml_node *node,
			    char **ret_text)
{
	const char *text;
	char *copy;
	int rc = cv_reader_selector(reader, node, &text);

	if (rc || !*text)
		return rc;
	copy = strdup(text);
	if (!copy)
		return no_memory(reader);
	free(*ret_text);
	*ret_text = copy;
	return 0;
}

/* Characters that a text may have beside letters and digits; NULL: it has no other. */
static const char *find_other(const char *text, const char *signs)
{
	for (; *text; text++) {
		bool is_letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');

		if (!is_letter && (*text < '0' || *text > '9') && !strchr(signs, *text))
			return text;
	}
	return NULL;
}

int cv_reader_interface(struct cv_reader *reader, const struct cv_yaml_node *node,
			const char **ret_text)
{
	const char *text, *bad;
	int rc = cv_reader_string(reader, node, &text);

	if (rc)
		return rc;
	if (!*text)
		return cv_reader_fail(reader, node, "%s%s is empty; name a device, like eth0",
				      reader->path, cv_reader_leaf(node));
	if (strlen(text) > INTERFACE_MAX)
		return cv_reader_fail(reader, node,
				      "%s%s \"%.64s\" is longer than a device's name, 15 "
				      "characters",
				      reader->path, cv_reader_leaf(node), text);
	bad = find_other(text, "_.-*");
	if (bad)
		return cv_reader_fail(reader, node,
				      "%s%s \"%.64s\" has the character '%c'; use letters, digits, "
				      "'_', '.', '-', and '*' for any others",
				      reader->path, cv_reader_leaf(node), text, *bad);
	*ret_text = text;
	return 0;
}

int cv_reader_secret_key(struct cv_reader *reader, const struct cv_yaml_node *node, char **ret_key)
{
	const char *text, *bad;
	char *copy;
	int rc = cv_reader_string(reader, node, &text);

	if (rc)
		return rc;
	/* Who takes the key for the password itself must not read it in a log. */
	bad = find_other(text, "-_.");
	if (bad)
		return cv_reader_fail(reader, node,
				      "%s%s has the character '%c'; a key has letters, digits, "
				      "'-', '_' and '.'",
				      reader->path, cv_reader_leaf(node), *bad);
	if (!*text || !strcmp(text, ".") || !strncmp(text, "..", 2) || strlen(text) > KEY_MAX)
		return cv_reader_fail(reader, node,
				      "%s%s is no key of a secret; give the name of a file, like "
				      "\"password\"",
				      reader->path, cv_reader_leaf(node));
	copy = strdup(text);
	if (!copy)
		return no_memory(reader);
	free(*ret_key);
	*ret_key = copy;
	return 0;
}

int cv_reader_look_secret(struct cv_reader *reader, const struct cv_yaml_node *spec,
			  const char *field)
{
	const struct cv_yaml_node *node = cv_yaml_get(spec, field);
	const struct cv_yaml_node *ref = cv_yaml_get(node, "secretKeyRef");

	if ((cv_reader_absent(node) || node->type == CV_YAML_MAPPING) &&
	    (cv_reader_absent(ref) || ref->type == CV_YAML_MAPPING))
		return 0;
	return cv_reader_fail_key(reader, node,
				  "%s%s does not stand here itself, but in the file "
				  "secrets/NAME/KEY; write %s: {secretKeyRef: {name: NAME, key: "
				  "KEY}}",
				  reader->path, field, field);
}

/* ---- lists ----------------------------------------------------------------------- */

void cv_reader_free_texts(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

int cv_reader_texts(struct cv_reader *reader, const struct cv_yaml_node *node,
		    int (*read)(struct cv_reader *reader, const struct cv_yaml_node *node,
				const char **ret_text),
		    char ***ret_texts, size_t *ret_count)
{
	size_t entered, count = 0;
	char is[CV_READER_IS_MAX];
	const char *text;
	char **texts;
	int rc = 0;

	if (node->type != CV_YAML_LIST)
		return cv_reader_fail(reader, node, "%s%s must be a list, %s", reader->path,
				      cv_reader_leaf(node), cv_reader_is(node, is));
	if (!node->count)
		return 0;
	texts = calloc(node->count, sizeof(texts[0]));
	if (!texts)
		return no_memory(reader);
	entered = cv_reader_enter(reader, cv_reader_leaf(node), ": ");
	for (const struct cv_yaml_node *entry = node->first; !rc && entry; entry = entry->next) {
		rc = read(reader, entry, &text);
		if (rc)
			break;
		texts[count] = strdup(text);
		if (!texts[count])
			rc = no_memory(reader);
		else
			count++;
	}
	cv_reader_leave(reader, entered);
	if (rc) {
		cv_reader_free_texts(texts, count);
		return rc;
	}
	*ret_texts = texts;
	*ret_count = count;
	return 0;
}
