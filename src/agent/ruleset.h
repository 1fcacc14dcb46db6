/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an nftables ruleset does with a packet, judged from `nft -j list ruleset`: a walk over the
 * rules as the kernel walks them, in which a match that cannot be told counts as "perhaps".
 * (libnftables-json(5); rules of iptables-nft are among them, as far as nft can show them.)
 */
#ifndef CV_AGENT_RULESET_H
#define CV_AGENT_RULESET_H

#include <stdbool.h>
#include <linux/types.h>
#include <jansson.h>

struct cv_ruleset {
	json_t *root;	/* as listed; a reference */
	json_t *chains; /* base chains, borrowed in an array of their own */
	json_t *rules;	/* "FAMILY TABLE CHAIN" -> its rules */
	json_t *sets;	/* "FAMILY TABLE NAME" -> its elements */
};

/* 0, -ENOMEM, or -EINVAL: that is no list of a ruleset. cv_ruleset_fini frees. */
int cv_ruleset_init(struct cv_ruleset *ret_ruleset, json_t *listed);
void cv_ruleset_fini(struct cv_ruleset *ruleset);

/* What is known of a packet (IPv4); 0, NULL and -1 are "anything". */
struct cv_ruleset_packet {
	int protocol; /* -1: anything */
	__be32 source, destination;
	const char *iif, *oif; /* names; "": none */
	const char *ct_state;  /* "new", "invalid", "untracked" … */
	const char *icmp_type; /* "destination-unreachable" … */
};

enum cv_ruleset_fate {
	CV_FATE_PASSES,
	CV_FATE_MAYBE, /* it passes only where a match says yes that cannot be told */
	CV_FATE_HIT,   /* dropped; or, of translation, translated */
};

/* By what: rule NULL: the chain's policy. Borrowed from the ruleset. */
struct cv_ruleset_culprit {
	const json_t *chain; /* the base chain */
	const json_t *rule;
};

/*
 * Whether a base chain drops or rejects a packet, or (is_nat) translates its source. -errno is
 * never returned: what is too long or too deep to judge is CV_FATE_PASSES.
 */
enum cv_ruleset_fate cv_ruleset_judge(const struct cv_ruleset *ruleset, const json_t *chain,
				      const struct cv_ruleset_packet *packet, bool is_nat,
				      struct cv_ruleset_culprit *ret_culprit);

/* True if an IPv4 packet passes a base chain at this hook ("input" …). */
bool cv_ruleset_is_hook(const json_t *chain, const char *hook);

/* True if a chain of table netdev is attached to this device, or nft does not tell to which. */
bool cv_ruleset_is_on_device(const json_t *chain, const char *device);

enum {
	CV_RULESET_NAME_MAX = 192
};

/* "ip filter INPUT", as nft(8) wants it. Returns buffer. */
const char *cv_ruleset_chain_name(const json_t *chain, char buffer[CV_RULESET_NAME_MAX]);

#endif
