/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes side by side. Packets go in batches; where a batch differs it is halved until one packet is
 * left that differs alone, and that is made smaller. What differs only together is said, too.
 */
#include "hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compare.h"

enum {
	BATCH = 384,
	REPORTS_MAX = 12,
};

/* A node against the reference. */
struct match {
	struct node *reference;
	struct node *node;
	unsigned int mismatches;
};

bool assert_that(struct run *run, bool good, const char *name)
{
	printf("%s %u - %s\n", good ? "ok" : "not ok", run->first++, name);
	run->failed += !good;
	fflush(stdout);
	return good;
}

static void send_to(struct node *node, const struct spec *specs, unsigned int count)
{
	static struct frame frames[SPEC_FRAMES_MAX];

	node_begin(node);
	for (unsigned int i = 0; i < count; i++)
		node_send(node, &specs[i], frames, spec_build(&specs[i], frames));
}

static void finish(struct node *node)
{
	if (!node_finish(node))
		snprintf(node->complaint, sizeof(node->complaint), "the markers did not come out");
}

/* Outer fragments are new ones each time, not to be put together with what was left of others. */
static const struct spec *with_fresh_ids(const struct spec *specs, unsigned int count)
{
	static struct spec copies[BATCH];
	static uint16_t id;

	for (unsigned int i = 0; i < count; i++) {
		copies[i] = specs[i];
		if (specs[i].value[F_SPLIT] || (specs[i].value[F_OUTER_FRAGMENT] & 0x3fff))
			copies[i].value[F_OUTER_ID] = ++id;
	}
	return copies;
}

static bool differs(FILE *file, const struct match *match, const struct spec *specs,
		    unsigned int count)
{
	specs = with_fresh_ids(specs, count);
	send_to(match->reference, specs, count);
	send_to(match->node, specs, count);
	finish(match->reference);
	finish(match->node);
	return !compare_nodes(file, match->reference, match->node);
}

static bool still_differs(void *context, const struct spec *spec)
{
	return differs(NULL, context, spec, 1);
}

static void print_hex(const struct frame *frame)
{
	for (uint32_t i = 0; i < frame->length && i < 256; i++)
		printf("%s%02x", i % 32 ? "" : "\n#     ", frame->bytes[i]);
	puts(frame->length > 256 ? " …" : "");
}

/* Lines of text as TAP diagnostics. */
static void print_note(const char *text)
{
	const char *end;

	for (; (end = strchr(text, '\n')); text = end + 1)
		printf("#   %.*s\n", (int)(end - text), text);
}

static void report(struct match *match, const struct spec *found)
{
	static struct frame frames[SPEC_FRAMES_MAX];
	struct spec spec = *found;
	unsigned int count;
	char *text = NULL;
	size_t size = 0;
	FILE *file;

	spec_minimise(&spec, still_differs, match);
	file = open_memstream(&text, &size);
	if (!file)
		return;
	differs(file, match, &spec, 1);
	fclose(file);
	printf("# mismatch of %s: ", match->node->name);
	spec_print(stdout, &spec);
	count = spec_build(&spec, frames);
	for (unsigned int i = 0; i < count; i++) {
		printf("\n#   Ether(bytes.fromhex(…)), %u bytes:", frames[i].length);
		print_hex(&frames[i]);
	}
	print_note(text);
	fflush(stdout);
	free(text);
}

/* True if a packet that differs alone was found among them. */
static bool bisect(struct match *match, const struct spec *specs, unsigned int count)
{
	bool found;

	if (match->mismatches >= REPORTS_MAX)
		return true;
	if (!differs(NULL, match, specs, count))
		return false;
	if (count == 1) {
		match->mismatches++;
		report(match, specs);
		return true;
	}
	found = bisect(match, specs, count / 2);
	return bisect(match, specs + count / 2, count - count / 2) || found;
}

static void examine(struct match *match, const struct spec *specs, unsigned int count,
		    const char *what)
{
	if (bisect(match, specs, count))
		return;
	match->mismatches++;
	printf("# mismatch of %s, not seen again with the packets one by one:\n",
	       match->node->name);
	print_note(what);
}

static void run_batch(struct match *matches, struct node *const *nodes, unsigned int count,
		      const struct spec *specs, unsigned int spec_count)
{
	const struct spec *fresh = with_fresh_ids(specs, spec_count);

	for (unsigned int i = 0; i < count; i++)
		send_to(nodes[i], fresh, spec_count);
	for (unsigned int i = 0; i < count; i++)
		finish(nodes[i]);
	for (unsigned int i = 1; i < count; i++) {
		char *text = NULL;
		size_t size = 0;
		FILE *file = open_memstream(&text, &size);
		bool same = file && compare_nodes(file, nodes[0], nodes[i]);

		if (file)
			fclose(file);
		/* The halves are sent to these two alone, so another node waits for its turn. */
		if (!same && matches[i].mismatches < REPORTS_MAX) {
			examine(&matches[i], specs, spec_count, text);
			i = count;
		}
		free(text);
	}
}

static double clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void hooks_random(struct run *run, struct node *const *nodes, unsigned int count)
{
	struct match *matches = calloc(count, sizeof(*matches));
	struct spec *specs = calloc(BATCH, sizeof(*specs));
	struct draw draw = {.state = run->seed * 2 + 1};
	double start = clock_s();
	unsigned int sent = 0;
	char name[128];

	if (!matches || !specs)
		exit(1);
	for (unsigned int i = 1; i < count; i++)
		matches[i] = (struct match){.reference = nodes[0], .node = nodes[i]};
	while (run->count ? sent < run->count : clock_s() - start < run->seconds) {
		for (unsigned int i = 0; i < BATCH; i++)
			spec_draw(&draw, sent + i, &specs[i]);
		run_batch(matches, nodes, count, specs, BATCH);
		sent += BATCH;
	}
	printf("# SEED=%llu: %u packets to each of %u nodes in %.1f s\n",
	       (unsigned long long)run->seed, sent, count, clock_s() - start);
	for (unsigned int i = 1; i < count; i++) {
		snprintf(name, sizeof(name), "%s does with %u packets what %s does", nodes[i]->name,
			 sent, nodes[0]->name);
		assert_that(run, !matches[i].mismatches, name);
	}
	free(matches);
	free(specs);
}

void hooks_cases(struct run *run, struct node *const *nodes, unsigned int count, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[1024], name[1100];
	struct spec spec;

	if (!file) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		exit(1);
	}
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (!spec_parse(line, &spec)) {
			assert_that(run, false, line);
			continue;
		}
		for (unsigned int i = 1; i < count; i++) {
			struct match match = {.reference = nodes[0], .node = nodes[i]};

			snprintf(name, sizeof(name), "%s: %s", nodes[i]->name, line);
			if (!assert_that(run, !differs(NULL, &match, &spec, 1), name))
				report(&match, &spec);
		}
	}
	fclose(file);
}

static void print_counters(const struct node *node)
{
	for (unsigned int i = 0; i < node->after.count; i++) {
		int64_t grown = node->after.items[i].value - node->before.items[i].value;

		if (grown)
			printf("#   %s %+lld\n", node->after.items[i].name, (long long)grown);
	}
}

void hooks_ids(struct run *run, struct node *node, unsigned int count)
{
	struct spec *specs = calloc(BATCH, sizeof(*specs));
	char name[128];

	if (!specs)
		exit(1);
	for (unsigned int i = 0; i < BATCH; i++) {
		spec_default(&specs[i]);
		specs[i].value[F_DIRECTION] = DIRECTION_OUT;
		specs[i].value[F_INNER_SOURCE] = 0x0af40178;
		specs[i].value[F_INNER_DESTINATION] = 0x0af41503;
		specs[i].value[F_INNER_FRAGMENT] = 0;
		specs[i].value[F_INNER_OPTIONS] = i % 2;
	}
	node->complaint[0] = '\0';
	for (unsigned int sent = 0; sent < count && !node->complaint[0]; sent += BATCH) {
		send_to(node, specs, BATCH);
		finish(node);
		if (node->count != BATCH)
			snprintf(node->complaint, sizeof(node->complaint), "%u of %u came out",
				 node->count, BATCH);
	}
	snprintf(name, sizeof(name), "%s: no identification twice in %u packets of both paths",
		 node->name, count);
	if (!assert_that(run, !node->complaint[0], name))
		printf("#   %s\n", node->complaint);
	if (node->complaint[0])
		print_counters(node);
	free(specs);
}

void hooks_show(struct node *const *nodes, unsigned int count, const char *text)
{
	struct spec spec;

	if (!spec_parse(text, &spec)) {
		printf("# not understood: %s\n", text);
		return;
	}
	for (unsigned int i = 0; i < count; i++) {
		struct node *node = nodes[i];

		send_to(node, &spec, 1);
		finish(node);
		printf("# %s: %s\n", node->name, node->complaint);
		for (unsigned int k = 0; k < node->after.count; k++) {
			int64_t grown = node->after.items[k].value - node->before.items[k].value;

			if (grown)
				printf("#   %s %+lld\n", node->after.items[k].name,
				       (long long)grown);
		}
		for (unsigned int k = 0; k < node->count; k++) {
			const struct output *output = &node->outputs[k];

			printf("#   %s, %u bytes:", output->wire == WIRE_POD ? "pod" : "underlay",
			       output->length);
			for (uint32_t b = 0; b < output->length && b < 64; b++)
				printf("%s%02x", b % 4 ? "" : " ", output->bytes[b]);
			putchar('\n');
		}
	}
}
