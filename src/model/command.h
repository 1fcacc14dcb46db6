/* SPDX-License-Identifier: Apache-2.0 */
/* Which command a word means. */
#ifndef CV_MODEL_COMMAND_H
#define CV_MODEL_COMMAND_H

#include <stddef.h>

#include "tunnel/error.h"

struct cv_command {
	const char *name;
	int command;
};

/*
 * The first of count commands that begins with the word wins, as in iproute2. object: whose help
 * to recommend ("tunnel"). 0 or -EINVAL.
 */
int cv_command_parse(const struct cv_command *commands, size_t count, const char *object,
		     const char *word, int *ret_command, struct cv_error *error);

#endif
