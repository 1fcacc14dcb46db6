/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of `culvert endpoint`, after iproute2's habits: a word that is none of ours is the
 * device, wherever it stands.
 */
#include "model/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model/command.h"
#include "model/nearest.h"
#include "tunnel/config.h"

/* ---- commands ------------------------------------------------------------------ */

static const struct cv_command commands[] = {
	{"add", CV_ENDPOINT_COMMAND_ADD},	{"change", CV_ENDPOINT_COMMAND_CHANGE},
	{"chg", CV_ENDPOINT_COMMAND_CHANGE},	{"replace", CV_ENDPOINT_COMMAND_REPLACE},
	{"delete", CV_ENDPOINT_COMMAND_DELETE}, {"show", CV_ENDPOINT_COMMAND_SHOW},
	{"list", CV_ENDPOINT_COMMAND_SHOW},	{"lst", CV_ENDPOINT_COMMAND_SHOW},
	{"ls", CV_ENDPOINT_COMMAND_SHOW},	{"default", CV_ENDPOINT_COMMAND_DEFAULT},
	{"help", CV_ENDPOINT_COMMAND_HELP},
};

int cv_endpoint_parse_command(const char *word, enum cv_endpoint_command *ret_command,
			      struct cv_error *error)
{
	int command = 0;
	int rc = cv_command_parse(commands, sizeof(commands) / sizeof(commands[0]), "endpoint",
				  word, &command, error);

	if (!rc)
		*ret_command = (enum cv_endpoint_command)command;
	return rc;
}

/* ---- words --------------------------------------------------------------------- */

static int given_twice(const char *name, struct cv_error *error)
{
	return cv_error_set(error, -EINVAL, "%s is given twice; give it once", name);
}

static int parse_dev(const char *value, struct cv_endpoint_patch *patch, struct cv_error *error)
{
	int rc = cv_tunnel_check_name(value, "dev", error);

	if (rc)
		return rc;
	if (patch->given & CV_ENDPOINT_DEV)
		return given_twice("dev", error);
	patch->given |= CV_ENDPOINT_DEV;
	memcpy(patch->config.dev, value, strlen(value) + 1);
	return 0;
}

static int parse_ip(const char *value, struct cv_endpoint_patch *patch, struct cv_error *error)
{
	patch->given |= CV_ENDPOINT_ADDRESSES;
	return cv_endpoint_add_address(&patch->config, value, error);
}

static int parse_bypass(const char *value, struct cv_endpoint_patch *patch, struct cv_error *error)
{
	if (patch->given & CV_ENDPOINT_BYPASS)
		return given_twice("bypass", error);
	patch->given |= CV_ENDPOINT_BYPASS;
	return cv_endpoint_parse_bypass(value, &patch->config.bypass, error);
}

static const struct word {
	const char *name;
	const char *value; /* what must follow */
	int (*parse)(const char *value, struct cv_endpoint_patch *patch, struct cv_error *error);
} words_known[] = {
	{"dev", "DEVICE", parse_dev},
	{"ip", "ADDRESS", parse_ip},
	{"bypass", "on|off|default", parse_bypass},
};

enum {
	WORDS = sizeof(words_known) / sizeof(words_known[0])
};

static const struct word *find_word(const char *text)
{
	for (size_t i = 0; i < WORDS; i++) {
		if (!strcmp(words_known[i].name, text))
			return &words_known[i];
	}
	return NULL;
}

/* A word behind the device that nobody knows. */
static int unknown_word(const char *text, const char *dev, struct cv_error *error)
{
	struct in_addr address;
	struct cv_nearest nearest;

	if (inet_pton(AF_INET, text, &address) == 1)
		return cv_error_set(error, -EINVAL, "unknown word \"%s\"; write ip %s", text, text);
	cv_nearest_init(&nearest, text);
	for (size_t i = 0; i < WORDS; i++)
		cv_nearest_offer(&nearest, words_known[i].name);
	if (nearest.best)
		return cv_error_set(error, -EINVAL, "unknown word \"%.64s\"; did you mean %s?",
				    text, nearest.best);
	return cv_error_set(error, -EINVAL,
			    "unknown word \"%.64s\" (the device is \"%s\"); try \"culvert endpoint "
			    "help\"",
			    text, dev);
}

static int parse_value(const struct word *word, const char *value, struct cv_endpoint_patch *patch,
		       struct cv_error *error)
{
	if (!value)
		return cv_error_set(error, -EINVAL, "%s: its value is missing; write %s %s",
				    word->name, word->name, word->value);
	return word->parse(value, patch, error);
}

/* One word, and its value if it has one. Returns how many words were used, or -errno. */
static int parse_word(size_t count, const char *const *texts, struct cv_endpoint_patch *patch,
		      struct cv_error *error)
{
	const struct word *word = find_word(texts[0]);
	int rc;

	if (word) {
		rc = parse_value(word, count > 1 ? texts[1] : NULL, patch, error);
		return rc ? rc : 2;
	}
	if (patch->given & CV_ENDPOINT_DEV)
		return unknown_word(texts[0], patch->config.dev, error);
	rc = parse_dev(texts[0], patch, error);
	return rc ? rc : 1;
}

int cv_endpoint_parse_words(enum cv_endpoint_command command, size_t count,
			    const char *const *words, struct cv_endpoint_patch *ret_patch,
			    struct cv_error *error)
{
	struct cv_endpoint_patch patch = {.given = 0};
	int rc = 0;

	for (size_t i = 0; i < count; i += (size_t)rc) {
		rc = parse_word(count - i, &words[i], &patch, error);
		if (rc < 0)
			return rc;
	}
	if (command != CV_ENDPOINT_COMMAND_SHOW && !(patch.given & CV_ENDPOINT_DEV))
		return cv_error_set(error, -EINVAL, "which endpoint? Give its device, as in veth0");
	if (command == CV_ENDPOINT_COMMAND_ADD || command == CV_ENDPOINT_COMMAND_REPLACE) {
		rc = cv_endpoint_config_check(&patch.config, error);
		if (rc)
			return rc;
	}
	if (command == CV_ENDPOINT_COMMAND_CHANGE && patch.given == CV_ENDPOINT_DEV)
		return cv_error_set(error, -EINVAL,
				    "%s: nothing to change; give ip ADDRESS, or bypass "
				    "on|off|default",
				    patch.config.dev);
	*ret_patch = patch;
	return 0;
}

int cv_endpoint_parse_default_words(size_t count, const char *const *words, bool *ret_given,
				    bool *ret_bypass, struct cv_error *error)
{
	*ret_given = count > 0;
	if (!count)
		return 0;
	if (strcmp(words[0], "bypass") != 0 || count > 2)
		return cv_error_set(error, -EINVAL,
				    "unknown word \"%.64s\"; write default bypass on, or off",
				    strcmp(words[0], "bypass") != 0 ? words[0] : words[2]);
	if (count == 1)
		return cv_error_set(error, -EINVAL,
				    "bypass: its value is missing; write bypass on|off");
	return cv_endpoint_parse_default(words[1], ret_bypass, error);
}

/* ---- printing ------------------------------------------------------------------ */

void cv_endpoint_print_addresses(const struct cv_endpoint_config *config,
				 char text[CV_ENDPOINT_TEXT_MAX])
{
	/* A device may be named like a word. */
	int n = snprintf(text, CV_ENDPOINT_TEXT_MAX, "%s%s", find_word(config->dev) ? "dev " : "",
			 config->dev);

	for (unsigned int i = 0; i < config->count; i++) {
		char address[INET_ADDRSTRLEN];

		n += snprintf(text + n, CV_ENDPOINT_TEXT_MAX - (size_t)n, " ip %s",
			      cv_tunnel_format_address(config->addresses[i], address));
	}
}

void cv_endpoint_print_words(const struct cv_endpoint_config *config,
			     char text[CV_ENDPOINT_TEXT_MAX])
{
	size_t n;

	cv_endpoint_print_addresses(config, text);
	n = strlen(text);
	snprintf(text + n, CV_ENDPOINT_TEXT_MAX - n, " bypass %s",
		 cv_endpoint_bypass_name(config->bypass));
}
