/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calico's selectors: all(), global(), has(k), !has(k), k == 'v', k != 'v', k in {'a', 'b'},
 * k not in {…}, k contains 'x', k starts with 'x', k ends with 'x', !, &&, ||, ( ).
 */
#ifndef CV_MODEL_SELECTOR_H
#define CV_MODEL_SELECTOR_H

#include <stdbool.h>

#include "model/resource.h"
#include "tunnel/error.h"

struct cv_selector;

/* Parse; "" is all(). 0, or -EINVAL with the column and what was expected. cv_selector_destroy. */
int cv_selector_create(const char *text, struct cv_selector **ret_selector, struct cv_error *error);
void cv_selector_destroy(struct cv_selector *selector);

/* Whether a resource's labels match. */
bool cv_selector_matches(const struct cv_selector *selector, const struct cv_resource *resource);

#endif
