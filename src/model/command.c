/* SPDX-License-Identifier: Apache-2.0 */
/* Commands and their abbreviations. */
#include "model/command.h"

#include <errno.h>
#include <string.h>

#include "model/nearest.h"

int cv_command_parse(const struct cv_command *commands, size_t count, const char *object,
		     const char *word, int *ret_command, struct cv_error *error)
{
	struct cv_nearest nearest;

	cv_nearest_init(&nearest, word);
	for (size_t i = 0; i < count; i++) {
		if (*word && !strncmp(commands[i].name, word, strlen(word))) {
			*ret_command = commands[i].command;
			return 0;
		}
		cv_nearest_offer(&nearest, commands[i].name);
	}
	if (nearest.best)
		return cv_error_set(error, -EINVAL, "unknown command \"%.64s\"; did you mean %s?",
				    word, nearest.best);
	return cv_error_set(error, -EINVAL, "unknown command \"%.64s\"; try \"culvert %s help\"",
			    word, object);
}
