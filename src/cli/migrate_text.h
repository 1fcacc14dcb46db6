/* SPDX-License-Identifier: Apache-2.0 */
/* What a migration has done, in words; protocol.md, "Migrating". */
#ifndef CV_CLI_MIGRATE_TEXT_H
#define CV_CLI_MIGRATE_TEXT_H

#include <jansson.h>

/* The end of one that is over. */
void cv_migrate_text(const json_t *status);

#endif
