/* SPDX-License-Identifier: Apache-2.0 */
/* Where a resource stands, in the words of messages. */
#ifndef CV_MODEL_PLACE_H
#define CV_MODEL_PLACE_H

#include "model/resource.h"

enum {
	CV_PLACE_MAX = 128, /* of longer ones the end is kept: the file's name, and the line */
	CV_PLACE_NAME_MAX = 400,
};

/* "overlay.yaml:12". Returns text. */
const char *cv_place_text(const struct cv_resource *resource, char text[CV_PLACE_MAX]);

/* "overlay.yaml:12: Node a1", to begin a line with. */
const char *cv_place_here(const struct cv_resource *resource, char text[CV_PLACE_NAME_MAX]);

/* "Node a1 (overlay.yaml:12)", within a line. */
const char *cv_place_there(const struct cv_resource *resource, char text[CV_PLACE_NAME_MAX]);

/* Whether a stands behind b: in a later file by name, or further down in the same. */
bool cv_place_is_later(const struct cv_resource *a, const struct cv_resource *b);

#endif
