/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes BIRD's configuration. Input: a manifest, of which node a1 is this one; the names and keys
 * of secrets are the secrets, too. Beyond memory errors and leaks it demands, of whatever is taken:
 * the same text twice; strings and comments that end on their line, and balanced braces outside of
 * them; sessions whose names are symbols of BIRD's, and unique; a verdict and its words for every
 * declared block, and for none of ours that it is taken.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routing/bgp_policy.h"
#include "routing/bird_config.h"
#include "routing/decide.h"
#include "wire/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the host --------------------------------------------------------------------------- */

static struct cv_fact_interface eth0 = {.index = 2, .name = "eth0", .mtu = 1500};
static struct cv_fact_address address = {.ifindex = 2, .interface = &eth0};
static __be32 gateway;

static int read_secret(const struct cv_bgp_secret *secret, void *data, char **ret_text,
		       struct cv_error *error)
{
	(void)data;
	(void)error;
	demand(asprintf(ret_text, "%s%s\n", secret->name, secret->key) >= 0);
	return 0;
}

/* ---- demands ------------------------------------------------------------------------------ */

static void check_closed(const char *text)
{
	bool in_string = false, in_comment = false;
	int braces = 0;

	for (; *text; text++) {
		demand(*text == '\n' || *text == '\t' || *text >= ' ' || in_string);
		if (*text == '\n') {
			demand(!in_string);
			in_comment = false;
		} else if (*text == '"' && !in_comment) {
			in_string = !in_string;
		} else if (*text == '#' && !in_string) {
			in_comment = true;
		} else if (!in_string && !in_comment) {
			braces += (*text == '{') - (*text == '}');
			demand(braces >= 0);
		}
	}
	demand(!in_string && !braces);
}

static void check_sessions(const struct cv_bgp_intent *bgp)
{
	for (size_t i = 0; i < bgp->session_count; i++) {
		const struct cv_bgp_session *session = &bgp->sessions[i];

		demand(!strncmp(session->name, CV_BGP_PREFIX, sizeof(CV_BGP_PREFIX) - 1));
		for (const char *at = session->name; *at; at++)
			demand(*at == '_' ||
			       (isascii((unsigned char)*at) && isalnum((unsigned char)*at)));
		demand(!i || strcmp(session[-1].name, session->name) < 0);
		demand(cv_bgp_session_named(bgp, session->name) == session);
		demand(session->as_number && session->address != bgp->local);
	}
}

static void check_verdicts(const struct cv_bgp_intent *bgp)
{
	static const struct cv_bgp_session router;
	char words[CV_BGP_EXPLAIN_MAX];

	for (size_t i = 0; i < bgp->block_count; i++) {
		const struct cv_bgp_block *block = &bgp->blocks[i];
		const __be32 hop = block->node ? block->node->node.address : 0;
		const struct cv_resource *about;
		enum cv_bgp_verdict verdict =
			cv_bgp_judge(bgp, &router, &block->prefix, hop, &about);

		demand(!block->is_ours || verdict != CV_BGP_TAKEN);
		demand(*cv_bgp_explain(bgp, verdict, &block->prefix, about, words));
		cv_bgp_path(bgp, &block->prefix, hop);
	}
}

static void check(const struct cv_bgp_intent *bgp)
{
	char *text = cv_bird_config_include(bgp), *again = cv_bird_config_include(bgp);

	demand(text && again && !strcmp(text, again));
	check_closed(text);
	free(text);
	free(again);
	text = cv_bird_config_main(bgp, "/run/culvert.conf", "/run/bird.log");
	demand(text);
	check_closed(text);
	free(text);
	check_sessions(bgp);
	check_verdicts(bgp);
}

static void decide(struct cv_snapshot *snapshot, struct cv_nl *nl, const struct cv_detect *detect)
{
	struct cv_facts facts = {
		.interfaces = &eth0,
		.interface_count = 1,
		.addresses = &address,
		.address_count = 1,
		.gateways = &gateway,
		.gateway_count = 1,
	};
	struct cv_intent intent;
	const struct cv_decide_input input = {
		.snapshot = snapshot,
		.facts = &facts,
		.node_name = "a1",
		.detect = detect,
		.nl = nl,
		.pool_device = "culvert0",
		.programs = cv_bgp_programs(snapshot, "a1"),
	};
	const struct cv_bgp_input bgp_input = {
		.intent = &intent,
		.facts = &facts,
		.pool_device = "culvert0",
		.read_secret = read_secret,
	};
	struct cv_bgp_intent bgp;

	demand(!cv_decide(&input, &intent) && !cv_bgp_decide(&bgp_input, &bgp));
	if (bgp.wanted)
		check(&bgp);
	cv_bgp_intent_fini(&bgp);
	cv_intent_fini(&intent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cv_nl *nl;
	static struct cv_detect detect;
	struct cv_snapshot *snapshot;
	struct cv_manifest manifest;

	if (!nl) {
		address.address = (struct cv_prefix){cv_htonl(0xc0a86401), 24};
		gateway = cv_htonl(0xc0a864fe);
		demand(!cv_nl_create(&nl) && !cv_detect_parse("first-found", &detect, NULL));
	}
	if (cv_manifest_parse("f", (const char *)data, size, &manifest, NULL))
		return 0;
	if (!cv_snapshot_create(manifest.resources, manifest.count, &snapshot, NULL)) {
		decide(snapshot, nl, &detect);
		cv_snapshot_put(snapshot);
	}
	cv_manifest_fini(&manifest);
	return 0;
}
