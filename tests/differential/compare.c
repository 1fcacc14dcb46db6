/* SPDX-License-Identifier: Apache-2.0 */
/* What two nodes made of the same packets, compared. */
#include "compare.h"

#include <stdlib.h>
#include <string.h>

#include "wire/ipv4.h"

/* Counters that may differ; all others, tx and rx packets and bytes among them, may not. */
static const struct exemption {
	const char *name;
	bool of_endpoints; /* only where the node has endpoints */
	const char *reason;
} exemptions[] = {
	{"fragmented", false, "how it was done: by the engine, or by the kernel before"},
	{"segmented", false, "how it was done: the fast path leaves super-packets whole"},
	{"coalesced", false, "how it was done: only the engine merges"},
	{"reassembled", false, "how it was done: packet sockets get whole datagrams"},
	{"handed-over", false, "how it was done"},
	{"fragment-overlap", false,
	 "without fast path the kernel reassembles, and tells no reason"},
	{"fragment-timeout", false, "the same; and it comes half a minute later"},
	{"fragment-limit", false, "the same"},
	{"fragment-invalid", false, "the same"},
	{"icmp-rate-limit", false,
	 "time decides; answers sent and answers held back together are compared"},
	{"icmp-too-big-sent", false, "the same"},
	{"too-big", true,
	 "what is too big for the tunnel's device the kernel answers on the way through the stack, "
	 "and the engine past it"},
};

enum {
	EXEMPTIONS = sizeof(exemptions) / sizeof(exemptions[0])
};

void compare_explain(FILE *file)
{
	fputs("Counters that may differ from the engine's:\n", file);
	for (unsigned int i = 0; i < EXEMPTIONS; i++)
		fprintf(file, "  %-18s%s %s\n", exemptions[i].name,
			exemptions[i].of_endpoints ? " (endpoints)" : "", exemptions[i].reason);
	fputs("ICMP errors of a node with endpoints: who answers an endpoint past the stack is "
	      "the\n"
	      "engine instead of the kernel: compared are type, code, MTU, addresses and the "
	      "quoted\n"
	      "header, TTL and checksums apart (a router quotes before or after it counts down).\n"
	      "Packets are compared as a set: those handed over come later than others.\n"
	      "The normal form of packets: tests/differential/node.c.\n",
	      file);
}

static bool is_exempt(const char *counter, const struct node *node)
{
	const char *name = strchr(counter, ' ') + 1;

	for (unsigned int i = 0; i < EXEMPTIONS; i++) {
		if (!strcmp(name, exemptions[i].name))
			return node->has_endpoints || !exemptions[i].of_endpoints;
	}
	return false;
}

/* ---- counters ---- */

static int64_t grown(const struct node *node, unsigned int i)
{
	return node->after.items[i].value - node->before.items[i].value;
}

static bool compare_counters(FILE *file, const struct node *reference, const struct node *node)
{
	bool same = reference->after.count == node->after.count;

	for (unsigned int i = 0; i < reference->after.count && i < node->after.count; i++) {
		const char *name = reference->after.items[i].name;

		if (grown(reference, i) == grown(node, i) || is_exempt(name, node))
			continue;
		same = false;
		if (file)
			fprintf(file, "  counter %s: %s %+lld, %s %+lld\n", name, reference->name,
				(long long)grown(reference, i), node->name,
				(long long)grown(node, i));
	}
	return same;
}

static int64_t held_back(const struct node *node)
{
	int64_t sum = 0;

	for (unsigned int i = 0; i < node->after.count; i++) {
		if (strstr(node->after.items[i].name, " icmp-rate-limit"))
			sum += grown(node, i);
	}
	return sum;
}

/* ---- packets ---- */

static int order(const void *a, const void *b)
{
	const struct output *x = a, *y = b;
	uint32_t length = x->length < y->length ? x->length : y->length;
	int difference;

	if (x->is_answer != y->is_answer)
		return x->is_answer ? 1 : -1;
	if (x->wire != y->wire)
		return x->wire < y->wire ? -1 : 1;
	difference = memcmp(x->bytes, y->bytes, length);
	if (difference)
		return difference;
	return x->length < y->length ? -1 : x->length > y->length;
}

static void print_output(FILE *file, const struct node *node, const struct output *output)
{
	if (!file)
		return;
	fprintf(file, "  only %s, %s, %u bytes:", node->name,
		output->wire == WIRE_POD ? "pod" : "underlay", output->length);
	for (uint32_t i = 0; i < output->length && i < 64; i++)
		fprintf(file, "%s%02x", i % 4 ? "" : " ", output->bytes[i]);
	fputs(output->length > 64 ? " …\n" : "\n", file);
}

/* An answer without what depends on who answers. */
static void simplify_answers(struct node *node)
{
	for (unsigned int i = 0; i < node->count; i++) {
		struct output *output = &node->outputs[i];

		if (!output->is_answer || output->length < 56)
			continue;
		output->length = 56;
		memset(output->bytes + 1, 0, 7);  /* TOS, length, identification, flags */
		memset(output->bytes + 8, 0, 1);  /* TTL */
		memset(output->bytes + 10, 0, 2); /* checksum */
		memset(output->bytes + 22, 0, 2); /* ICMP checksum */
		memset(output->bytes + 36, 0, 1); /* quoted TTL */
		memset(output->bytes + 38, 0, 2); /* quoted checksum */
	}
}

static unsigned int count_answers(const struct node *node)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < node->count; i++)
		count += node->outputs[i].is_answer;
	return count;
}

/* All but the answers, or the answers. */
static bool compare_outputs(FILE *file, const struct node *reference, const struct node *node,
			    bool answers)
{
	unsigned int i = 0, k = 0;
	bool same = true;

	while (i < reference->count || k < node->count) {
		const struct output *a = i < reference->count ? &reference->outputs[i] : NULL;
		const struct output *b = k < node->count ? &node->outputs[k] : NULL;
		int which = !a ? 1 : !b ? -1 : order(a, b);

		i += which <= 0;
		k += which >= 0;
		if (!which || (which < 0 ? a : b)->is_answer != answers)
			continue;
		same = false;
		if (which < 0)
			print_output(file, reference, a);
		else
			print_output(file, node, b);
	}
	return same;
}

static bool compare_answers(FILE *file, const struct node *reference, const struct node *node)
{
	int64_t a = count_answers(reference) + held_back(reference);
	int64_t b = count_answers(node) + held_back(node);

	if (!held_back(reference) && !held_back(node))
		return compare_outputs(file, reference, node, true);
	if (a != b && file)
		fprintf(file, "  answers sent and held back: %s %lld, %s %lld\n", reference->name,
			(long long)a, node->name, (long long)b);
	return a == b;
}

bool compare_nodes(FILE *file, struct node *reference, struct node *node)
{
	bool same;

	simplify_answers(node);
	simplify_answers(reference);
	qsort(reference->outputs, reference->count, sizeof(struct output), order);
	qsort(node->outputs, node->count, sizeof(struct output), order);
	same = compare_counters(file, reference, node);
	same &= compare_outputs(file, reference, node, false);
	same &= compare_answers(file, reference, node);
	if (node->complaint[0]) {
		same = false;
		if (file)
			fprintf(file, "  %s: %s\n", node->name, node->complaint);
	}
	return same;
}
