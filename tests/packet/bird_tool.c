/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BIRD is told on a node of these manifests, in the namespace it runs in, for
 * tests/packet/bird_config.t:
 *
 *     bird_tool NODE MANIFEST SECRETS include
 *     bird_tool NODE MANIFEST SECRETS main INCLUDE-PATH LOG-PATH
 *     bird_tool NODE MANIFEST SECRETS sessions
 *     bird_tool NODE MANIFEST SECRETS judge       < "SESSION PREFIX NEXT-HOP" lines
 *
 * SECRETS: the directory with NAME/KEY. The answers of judge: verdict, path, and the explanation.
 * Warnings go to standard error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routing/bgp_policy.h"
#include "routing/bird_config.h"
#include "routing/decide.h"

#define POOL_DEVICE "culvert0"

static const char *secrets;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bird_tool: %s: %s\n", what, why);
	exit(2);
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t size;

	if (!file)
		return NULL;
	if (getdelim(&text, &size, '\0', file) < 0 && !text)
		text = strdup("");
	fclose(file);
	return text;
}

static int read_secret(const struct cv_bgp_secret *secret, void *data, char **ret_text,
		       struct cv_error *error)
{
	char path[1024];

	(void)data;
	snprintf(path, sizeof(path), "%s/%s/%s", secrets, secret->name, secret->key);
	*ret_text = read_file(path);
	return *ret_text ? 0 : cv_error_set(error, -errno, "%s", strerror(errno));
}

static bool is_ours(int ifindex, void *data)
{
	char name[IFNAMSIZ];

	(void)data;
	return if_indextoname((unsigned int)ifindex, name) && !strcmp(name, POOL_DEVICE);
}

static struct cv_snapshot *read_manifest(const char *path)
{
	struct cv_snapshot *snapshot;
	struct cv_manifest manifest;
	struct cv_error error;
	char *text = read_file(path);

	if (!text)
		fail(path, strerror(errno));
	if (cv_manifest_parse(path, text, strlen(text), &manifest, &error))
		fail(path, error.text);
	for (size_t i = 0; i < manifest.warnings.count; i++)
		fprintf(stderr, "%s\n", manifest.warnings.texts[i]);
	if (cv_snapshot_create(manifest.resources, manifest.count, &snapshot, &error))
		fail(path, error.text);
	cv_manifest_fini(&manifest);
	free(text);
	return snapshot;
}

static void decide(const char *node, struct cv_snapshot *snapshot, struct cv_bgp_intent *ret_bgp)
{
	struct cv_facts facts;
	struct cv_detect detect;
	struct cv_intent intent;
	struct cv_decide_input input = {
		.snapshot = snapshot,
		.facts = &facts,
		.node_name = node,
		.detect = &detect,
		.pool_device = POOL_DEVICE,
	};
	const struct cv_bgp_input bgp_input = {
		.intent = &intent,
		.facts = &facts,
		.pool_device = POOL_DEVICE,
		.read_secret = read_secret,
	};

	if (cv_nl_create(&input.nl) || cv_facts_read(input.nl, is_ours, NULL, 84, &facts) ||
	    cv_detect_parse("first-found", &detect, NULL))
		fail(node, "the kernel cannot be asked");
	input.programs = cv_bgp_programs(snapshot, node);
	if (cv_decide(&input, &intent) || cv_bgp_decide(&bgp_input, ret_bgp))
		fail(node, "no memory");
	if (!ret_bgp->wanted)
		fail(node, *ret_bgp->problem ? ret_bgp->problem : "no BGP is wanted");
	for (size_t i = 0; i < ret_bgp->warnings.count; i++)
		fprintf(stderr, "%s\n", ret_bgp->warnings.texts[i]);
	cv_intent_fini(&intent);
	cv_facts_fini(&facts);
	cv_detect_fini(&detect);
	cv_nl_destroy(input.nl);
}

static void judge(const struct cv_bgp_intent *bgp)
{
	char line[256], name[65], prefix_text[65], next_hop_text[65], words[CV_BGP_EXPLAIN_MAX];

	while (fgets(line, sizeof(line), stdin)) {
		const struct cv_bgp_session *session;
		const struct cv_resource *about;
		struct cv_prefix prefix, next_hop;
		enum cv_bgp_verdict verdict;

		if (sscanf(line, "%64s %64s %64s", name, prefix_text, next_hop_text) != 3 ||
		    cv_prefix_parse(prefix_text, &prefix) ||
		    cv_prefix_parse(next_hop_text, &next_hop) != -ENODATA)
			fail(line, "is no question");
		session = cv_bgp_session_named(bgp, name);
		if (!session)
			fail(name, "is no session");
		verdict = cv_bgp_judge(bgp, session, &prefix, next_hop.address, &about);
		printf("%s %s %s\n", cv_bgp_verdict_name(verdict),
		       cv_path_name(cv_bgp_path(bgp, &prefix, next_hop.address)),
		       cv_bgp_explain(bgp, verdict, &prefix, about, words));
	}
}

static void print_text(char *text)
{
	if (!text)
		fail("the configuration", strerror(errno));
	fputs(text, stdout);
	free(text);
}

int main(int argc, char **argv)
{
	struct cv_snapshot *snapshot;
	struct cv_bgp_intent bgp;

	if (argc < 5)
		fail("arguments", "NODE MANIFEST SECRETS VERB");
	secrets = argv[3];
	snapshot = read_manifest(argv[2]);
	decide(argv[1], snapshot, &bgp);
	if (!strcmp(argv[4], "include"))
		print_text(cv_bird_config_include(&bgp));
	else if (!strcmp(argv[4], "main") && argc == 7)
		print_text(cv_bird_config_main(&bgp, argv[5], argv[6]));
	else if (!strcmp(argv[4], "judge"))
		judge(&bgp);
	else if (!strcmp(argv[4], "sessions"))
		for (size_t i = 0; i < bgp.session_count; i++)
			puts(bgp.sessions[i].name);
	else
		fail(argv[4], "no such verb");
	cv_bgp_intent_fini(&bgp);
	cv_snapshot_put(snapshot);
	return 0;
}
