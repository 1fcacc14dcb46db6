/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tunnel in words: the grammar of `ip tunnel` (iproute2), read and printed. What is printed
 * parses again. The command line and command files share it.
 */
#ifndef CV_MODEL_TUNNEL_H
#define CV_MODEL_TUNNEL_H

#include <stddef.h>

#include "tunnel/config.h"
#include "tunnel/error.h"

enum cv_tunnel_command {
	CV_TUNNEL_COMMAND_ADD,
	CV_TUNNEL_COMMAND_CHANGE,
	CV_TUNNEL_COMMAND_REPLACE,
	CV_TUNNEL_COMMAND_DELETE,
	CV_TUNNEL_COMMAND_SHOW,
	CV_TUNNEL_COMMAND_SAVE,
	CV_TUNNEL_COMMAND_HELP,
};

/* Which command a word means; any abbreviation that iproute2 takes is taken. 0 or -EINVAL. */
int cv_tunnel_parse_command(const char *word, enum cv_tunnel_command *ret_command,
			    struct cv_error *error);

/*
 * Read the words behind a command. The patch has the fields that were given; all but show and save
 * demand a name. add and replace are checked as a whole (cv_tunnel_config_check), change by the
 * daemon, which knows the rest. 0 or -EINVAL.
 */
int cv_tunnel_parse_words(enum cv_tunnel_command command, size_t count, const char *const *words,
			  struct cv_tunnel_patch *ret_patch, struct cv_error *error);

enum {
	CV_TUNNEL_TEXT_MAX = 256,
	CV_TUNNEL_WORDS_MAX = 64
};

/* "tun0 mode ipip remote 192.0.2.2 local any ttl inherit", as cv_tunnel_parse_words takes it. */
void cv_tunnel_print_words(const struct cv_tunnel_config *config, char text[CV_TUNNEL_TEXT_MAX]);

/* "tun0: ip/ip remote 192.0.2.2 local any ttl inherit", as `ip tunnel show` prints it. */
void cv_tunnel_print_line(const struct cv_tunnel_config *config, char text[CV_TUNNEL_TEXT_MAX]);

/*
 * Cut a line of a command file into words, in place: at white space, up to a word that
 * begins with '#'. Returns their number, or -E2BIG with more than max.
 */
int cv_words_split(char *line, const char **ret_words, size_t max);

#endif
