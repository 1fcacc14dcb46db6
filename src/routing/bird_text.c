/* SPDX-License-Identifier: Apache-2.0 */
/* Items of BIRD's sets, and its strings. */
#include "routing/bird_text.h"

#include "wire/types.h"

enum {
	ITEMS_PER_LINE = 4
};

static void put_separator(struct cv_bird_list *list)
{
	if (list->count)
		fputc(',', list->out);
	fputs(list->count++ % ITEMS_PER_LINE ? " " : "\n\t\t", list->out);
}

void cv_bird_put_prefix(struct cv_bird_list *list, const struct cv_prefix *prefix,
			const char *pattern)
{
	char text[CV_PREFIX_TEXT_MAX];

	put_separator(list);
	fprintf(list->out, "%s%s", cv_prefix_format(prefix, text), pattern);
}

void cv_bird_put_address(struct cv_bird_list *list, __be32 address)
{
	char text[CV_ADDRESS_TEXT_MAX];

	put_separator(list);
	fputs(cv_address_format(address, text), list->out);
}

void cv_bird_put_range(struct cv_bird_list *list, const struct cv_prefix *prefix)
{
	char first[CV_ADDRESS_TEXT_MAX], last[CV_ADDRESS_TEXT_MAX];

	put_separator(list);
	fprintf(list->out, "%s..%s", cv_address_format(prefix->address, first),
		cv_address_format(cv_htonl(cv_prefix_last(prefix)), last));
}

static void put_printable(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc(*text < ' ' || *text > '~' || *text == '"' ? '?' : *text, out);
}

void cv_bird_put_string(FILE *out, const char *text)
{
	fputc('"', out);
	put_printable(out, text);
	fputc('"', out);
}

void cv_bird_put_comment(FILE *out, const char *text)
{
	put_printable(out, text);
}
