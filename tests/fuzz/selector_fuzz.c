/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes selectors. Input: a selector. Beyond memory errors it demands: errors are one printable
 * line; what is taken is answered the same twice, "!( )" around it says the opposite, and it is
 * true exactly if both "( ) && ( )" and "( ) || !all()" of it are.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char zone[] = "zone", east[] = "east", role[] = "role", gateway[] = "gateway";
static struct cv_label labels[] = {{role, gateway}, {zone, east}};
static const struct cv_resource node = {
	.kind = CV_KIND_NODE, .references = 1, .labels = labels, .label_count = 2};

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

/* A selector made of text that was taken; too deep is the one excuse. */
static int ask(const char *text)
{
	struct cv_selector *selector;
	int answer;

	if (cv_selector_create(text, &selector, NULL))
		return -1;
	answer = cv_selector_matches(selector, &node);
	demand(answer == cv_selector_matches(selector, &node));
	cv_selector_destroy(selector);
	return answer;
}

static void check_around(const char *text, int answer)
{
	char *around;
	int other;

	/* Only space is all() by itself, and nothing in parentheses. */
	if (!text[strspn(text, " \t\r\n")])
		return;
	if (asprintf(&around, "!(%s)", text) < 0)
		return;
	other = ask(around);
	demand(other == -1 || other == !answer);
	free(around);
	if (asprintf(&around, "(%s) && (%s)", text, text) < 0)
		return;
	other = ask(around);
	demand(other == -1 || other == answer);
	free(around);
	if (asprintf(&around, "(%s) || !all()", text) < 0)
		return;
	other = ask(around);
	demand(other == -1 || other == answer);
	free(around);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_error error = {.text = ""};
	struct cv_selector *selector;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (cv_selector_create(text, &selector, &error)) {
		check_error(&error);
	} else {
		int answer = cv_selector_matches(selector, &node);

		cv_selector_destroy(selector);
		check_around(text, answer);
	}
	free(text);
	return 0;
}
