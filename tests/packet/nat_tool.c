/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes Culvert's NAT table in the namespace it runs in, for tests/packet/nat.t:
 *
 *     nat_tool [overlay=PREFIX,…] [sources=PREFIX,…] [hosts=PREFIX,…] [ports=FIRST-LAST]
 *              [address=ADDRESS] [device=NAME] [tunnel=ADDRESS] [outer=ADDRESS] VERB
 *
 * VERB: apply, purge, script.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routing/nat.h"

enum {
	PREFIXES_MAX = 64
};

static int fail(const char *what)
{
	fprintf(stderr, "nat_tool: cannot read %s\n", what);
	exit(2);
}

/* Cuts text. */
static size_t read_prefixes(char *text, struct cv_prefix *prefixes)
{
	size_t count = 0;

	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		int err = cv_prefix_parse(word, &prefixes[count]);

		if ((err && err != -ENODATA) || ++count == PREFIXES_MAX)
			fail(word);
	}
	return count;
}

static __be32 read_address(const char *text)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1)
		fail(text);
	return address.s_addr;
}

static void read_word(struct cv_nat_intent *nat, const char *key, char *value)
{
	static struct cv_prefix overlay[PREFIXES_MAX], sources[PREFIXES_MAX], hosts[PREFIXES_MAX];

	if (!strcmp(key, "overlay")) {
		nat->overlay = overlay;
		nat->overlay_count = read_prefixes(value, overlay);
	} else if (!strcmp(key, "sources")) {
		nat->sources = sources;
		nat->source_count = read_prefixes(value, sources);
	} else if (!strcmp(key, "hosts")) {
		nat->hosts = hosts;
		nat->host_count = read_prefixes(value, hosts);
	} else if (!strcmp(key, "ports")) {
		if (sscanf(value, "%hu-%hu", &nat->port_first, &nat->port_last) != 2)
			fail(value);
	} else if (!strcmp(key, "address")) {
		nat->address = read_address(value);
	} else if (!strcmp(key, "device")) {
		snprintf(nat->device, sizeof(nat->device), "%s", value);
	} else if (!strcmp(key, "tunnel")) {
		nat->tunnel_address = read_address(value);
	} else if (!strcmp(key, "outer")) {
		nat->outer_source = read_address(value);
	} else {
		fail(key);
	}
}

static int run(const struct cv_nat_intent *wanted, const char *verb)
{
	struct cv_error error = {.text = ""};
	int result = -EINVAL;

	if (!strcmp(verb, "script")) {
		char *script = cv_nat_script(wanted);

		if (script)
			fputs(script, stdout);
		free(script);
		return script ? 0 : 1;
	}
	if (!strcmp(verb, "apply")) {
		struct cv_nat *nat = cv_nat_create(true);

		result = nat ? cv_nat_apply(nat, wanted, false, &error) : -ENOMEM;
		cv_nat_destroy(nat);
	} else if (!strcmp(verb, "purge")) {
		result = cv_nat_purge(&error);
	}
	if (result < 0)
		fprintf(stderr, "nat_tool: %s: %s\n", verb, error.text);
	return result < 0;
}

int main(int argc, char **argv)
{
	struct cv_nat_intent wanted = {.wanted = true};

	for (int i = 1; i < argc - 1; i++) {
		char *equals = strchr(argv[i], '=');

		if (!equals)
			fail(argv[i]);
		*equals = '\0';
		read_word(&wanted, argv[i], equals + 1);
	}
	return argc < 2 ? fail("a verb") : run(&wanted, argv[argc - 1]);
}
