/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint in words, read and printed: "veth0 ip 10.244.1.2 bypass on". What
 * cv_endpoint_print_words prints parses again.
 */
#ifndef CV_MODEL_ENDPOINT_H
#define CV_MODEL_ENDPOINT_H

#include <stddef.h>

#include "tunnel/endpoint.h"
#include "tunnel/error.h"

enum cv_endpoint_command {
	CV_ENDPOINT_COMMAND_ADD,
	CV_ENDPOINT_COMMAND_CHANGE,
	CV_ENDPOINT_COMMAND_REPLACE,
	CV_ENDPOINT_COMMAND_DELETE,
	CV_ENDPOINT_COMMAND_SHOW,
	CV_ENDPOINT_COMMAND_DEFAULT,
	CV_ENDPOINT_COMMAND_HELP,
};

/* Which command a word means; abbreviations are taken. 0 or -EINVAL. */
int cv_endpoint_parse_command(const char *word, enum cv_endpoint_command *ret_command,
			      struct cv_error *error);

/*
 * Read the words behind a command other than default and help. All but show demand a device; add
 * and replace demand an address. 0, -EINVAL or -E2BIG (too many addresses).
 */
int cv_endpoint_parse_words(enum cv_endpoint_command command, size_t count,
			    const char *const *words, struct cv_endpoint_patch *ret_patch,
			    struct cv_error *error);

/* "bypass on" or "bypass off" behind default; nothing: *ret_given is false. 0 or -EINVAL. */
int cv_endpoint_parse_default_words(size_t count, const char *const *words, bool *ret_given,
				    bool *ret_bypass, struct cv_error *error);

enum {
	CV_ENDPOINT_TEXT_MAX = 512
};

/* "veth0 ip 10.244.1.2 ip 10.244.1.3 bypass default", as cv_endpoint_parse_words takes it. */
void cv_endpoint_print_words(const struct cv_endpoint_config *config,
			     char text[CV_ENDPOINT_TEXT_MAX]);

/* The same without bypass. */
void cv_endpoint_print_addresses(const struct cv_endpoint_config *config,
				 char text[CV_ENDPOINT_TEXT_MAX]);

#endif
