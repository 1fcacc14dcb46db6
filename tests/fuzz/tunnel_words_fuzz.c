/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the grammar of tunnels. Input: one line as in a command file, a command and its
 * words. Beyond memory errors it demands: errors are one printable line; what is taken can be
 * made, prints, and what is printed parses again to the same tunnel.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/tunnel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_error(const struct cv_error *error)
{
	demand(error->text[0]);
	for (const char *p = error->text; *p; p++)
		demand(*p >= ' ' && *p <= '~');
}

static void check_printing(const struct cv_tunnel_config *config)
{
	char text[CV_TUNNEL_TEXT_MAX], line[CV_TUNNEL_TEXT_MAX];
	const char *words[CV_TUNNEL_WORDS_MAX];
	struct cv_tunnel_config again;
	struct cv_tunnel_patch patch;
	int count;

	cv_tunnel_print_line(config, line);
	demand(strlen(line) < sizeof(line) - 1);
	cv_tunnel_print_words(config, text);
	demand(strlen(text) < sizeof(text) - 1);
	count = cv_words_split(text, words, CV_TUNNEL_WORDS_MAX);
	demand(count > 0);
	demand(!cv_tunnel_parse_words(CV_TUNNEL_COMMAND_ADD, (size_t)count, words, &patch, NULL));
	cv_tunnel_config_init(&again);
	cv_tunnel_config_apply(&again, &patch);
	demand(!strcmp(again.name, config->name) && cv_tunnel_config_equal(&again, config));
}

static void parse(size_t count, const char *const *words)
{
	struct cv_error error = {.text = ""};
	enum cv_tunnel_command command;
	struct cv_tunnel_config config;
	struct cv_tunnel_patch patch;

	if (cv_tunnel_parse_command(words[0], &command, &error))
		return check_error(&error);
	if (cv_tunnel_parse_words(command, count - 1, words + 1, &patch, &error))
		return check_error(&error);
	if (command != CV_TUNNEL_COMMAND_ADD && command != CV_TUNNEL_COMMAND_REPLACE)
		return;
	cv_tunnel_config_init(&config);
	cv_tunnel_config_apply(&config, &patch);
	demand(!cv_tunnel_config_check(&config, NULL));
	check_printing(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *words[CV_TUNNEL_WORDS_MAX];
	char *line = malloc(size + 1);
	int count;

	if (!line)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	count = cv_words_split(line, words, CV_TUNNEL_WORDS_MAX);
	if (count > 0)
		parse((size_t)count, words);
	free(line);
	return 0;
}
