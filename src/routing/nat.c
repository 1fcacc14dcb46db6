/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NAT by nftables.
 *
 * The first NAT chain that sets a translation for a connection ends the matter for all that come
 * later, "accept" does not. So what must not be translated is translated to its own address, by
 * a chain of ours just before those of iptables, docker, kube-proxy (srcnat, 100) and firewalld
 * (110). Our own outer packets are not tracked at all, or such a chain would rewrite their source.
 *
 * Invariants: the table is replaced as a whole, in one transaction. Nothing in it changes by
 * itself (no counters, no dynamic sets), so that its digest, without handles, tells whether it is
 * still what we made.
 */
#include "routing/nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/nft.h"

#define TABLE "ip " CV_NAT_TABLE

struct cv_nat {
	bool exists;   /* the table may be in the kernel */
	bool is_known; /* … and is as made says */
	struct cv_nat_intent made;
	uint8_t digest[SHA256_DIGEST_LENGTH];
};

/* ---- the script ---------------------------------------------------------------------- */

static void put_address(FILE *out, const char *before, __be32 address)
{
	char text[INET_ADDRSTRLEN];

	fprintf(out, "%s%s", before, inet_ntop(AF_INET, &address, text, sizeof(text)));
}

/* nft refuses elements that overlap: print the fewest prefixes that make up the set. */
static int put_set(FILE *out, const char *name, const struct cv_prefix *prefixes, size_t count)
{
	struct cv_ranges ranges = {.count = 0};
	struct cv_prefix *fewest = NULL;
	char text[CV_PREFIX_TEXT_MAX];
	size_t fewest_count = 0;
	int err = cv_ranges_from_prefixes(prefixes, count, &ranges);

	if (!err)
		err = cv_ranges_to_prefixes(&ranges, &fewest, &fewest_count);
	fprintf(out, "\tset %s {\n\t\ttype ipv4_addr; flags interval;\n", name);
	for (size_t i = 0; i < fewest_count; i++)
		fprintf(out, "%s%s", i ? ",\n\t\t\t" : "\t\telements = { ",
			cv_prefix_format(&fewest[i], text));
	fputs(fewest_count ? " }\n\t}\n" : "\t}\n", out);
	free(fewest);
	cv_ranges_fini(&ranges);
	return err;
}

static void put_untracked(FILE *out, const struct cv_nat_intent *nat)
{
	if (!nat->outer_source)
		return;
	fputs("\tchain prerouting {\n\t\ttype filter hook prerouting priority raw;\n", out);
	put_address(out, "\t\tip daddr ", nat->outer_source);
	fputs(" ip protocol 4 notrack comment \"tunnel packets to this node\"\n\t}\n"
	      "\tchain output {\n\t\ttype filter hook output priority raw;\n",
	      out);
	put_address(out, "\t\tip saddr ", nat->outer_source);
	fputs(" ip protocol 4 notrack comment \"tunnel packets of this node\"\n\t}\n", out);
}

static void put_device_rules(FILE *out, const struct cv_nat_intent *nat)
{
	if (!*nat->device)
		return;
	fprintf(out,
		"\t\toifname \"%s\" ip saddr @overlay snat to ip saddr "
		"comment \"tunnelled: as it is\"\n",
		nat->device);
	if (!nat->tunnel_address)
		return;
	fprintf(out, "\t\toifname \"%s\"", nat->device);
	put_address(out, " ip saddr != ", nat->tunnel_address);
	put_address(out, " fib saddr type local snat to ", nat->tunnel_address);
	fputs(" fully-random comment \"this node's other addresses: replies come back "
	      "tunnelled\"\n",
	      out);
}

/* One rule of natOutgoing; ports: with the range, which only TCP and UDP have. */
static void put_outgoing_rule(FILE *out, const struct cv_nat_intent *nat, bool ports)
{
	fprintf(out, "\t\tip saddr @sources ip daddr != @overlay%s",
		ports ? " meta l4proto { tcp, udp }" : "");
	if (nat->address)
		put_address(out, " snat to ", nat->address);
	else
		fputs(ports ? " masquerade to " : " masquerade", out);
	if (ports)
		fprintf(out, ":%u-%u", nat->port_first, nat->port_last);
	fputs(" fully-random comment \"natOutgoing\"\n", out);
}

static void put_postrouting(FILE *out, const struct cv_nat_intent *nat)
{
	/*
	 * kube-proxy and portmap mark a packet whose destination they have translated into its
	 * own sender, so that they masquerade it further on: a pod that asks a service of its own.
	 */
	fputs("\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat - 10;\n"
	      "\t\tip saddr @overlay ip daddr @overlay ct status dnat meta mark != 0x00000000 "
	      "return "
	      "comment \"a service, marked for masquerading\"\n"
	      "\t\tip saddr @overlay ip daddr @overlay snat to ip saddr "
	      "comment \"within the overlay: as it is\"\n",
	      out);
	if (nat->host_count)
		fputs("\t\tip saddr @overlay ip daddr @hosts snat to ip saddr "
		      "comment \"natOutgoingExclusions: as it is\"\n",
		      out);
	put_device_rules(out, nat);
	if (nat->source_count) {
		if (nat->port_last)
			put_outgoing_rule(out, nat, true);
		put_outgoing_rule(out, nat, false);
	}
	fputs("\t}\n", out);
}

char *cv_nat_script(const struct cv_nat_intent *nat)
{
	char *script = NULL;
	size_t size;
	FILE *out = open_memstream(&script, &size);
	int err;

	if (!out)
		return NULL;
	/* The first line is for the second, which fails where there is no table. */
	fputs("add table " TABLE "\ndelete table " TABLE "\ntable " TABLE " {\n", out);
	err = put_set(out, "overlay", nat->overlay, nat->overlay_count);
	if (!err && nat->source_count)
		err = put_set(out, "sources", nat->sources, nat->source_count);
	if (!err && nat->host_count)
		err = put_set(out, "hosts", nat->hosts, nat->host_count);
	put_untracked(out, nat);
	put_postrouting(out, nat);
	fputs("}\n", out);
	if (fclose(out) || err) {
		free(script);
		return NULL;
	}
	return script;
}

/* ---- comparing intents ------------------------------------------------------------------ */

static bool are_prefixes_equal(const struct cv_prefix *a, size_t a_count, const struct cv_prefix *b,
			       size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++) {
		if (a[i].address != b[i].address || a[i].length != b[i].length)
			return false;
	}
	return true;
}

bool cv_nat_equal(const struct cv_nat_intent *a, const struct cv_nat_intent *b)
{
	return a->wanted == b->wanted && a->port_first == b->port_first &&
	       a->port_last == b->port_last && a->address == b->address &&
	       a->tunnel_address == b->tunnel_address && a->outer_source == b->outer_source &&
	       !strcmp(a->device, b->device) &&
	       are_prefixes_equal(a->sources, a->source_count, b->sources, b->source_count) &&
	       are_prefixes_equal(a->overlay, a->overlay_count, b->overlay, b->overlay_count) &&
	       are_prefixes_equal(a->hosts, a->host_count, b->hosts, b->host_count);
}

static void forget(struct cv_nat *nat)
{
	free(nat->made.sources);
	free(nat->made.overlay);
	free(nat->made.hosts);
	nat->made = (struct cv_nat_intent){.wanted = false};
	nat->is_known = false;
}

static struct cv_prefix *copy_prefixes(const struct cv_prefix *prefixes, size_t count)
{
	struct cv_prefix *copy = calloc(count + 1, sizeof(*copy));

	if (copy && count)
		memcpy(copy, prefixes, count * sizeof(*copy));
	return copy;
}

static int remember(struct cv_nat *nat, const struct cv_nat_intent *made)
{
	nat->made = *made;
	nat->made.sources = copy_prefixes(made->sources, made->source_count);
	nat->made.overlay = copy_prefixes(made->overlay, made->overlay_count);
	nat->made.hosts = copy_prefixes(made->hosts, made->host_count);
	nat->is_known = nat->made.sources && nat->made.overlay && nat->made.hosts;
	if (nat->is_known)
		return 0;
	forget(nat);
	return -ENOMEM;
}

/* ---- what is in the kernel ---------------------------------------------------------------- */

static int digest_part(const char *text, size_t size, void *data)
{
	SHA256Update(data, (const uint8_t *)text, size);
	return 0;
}

/* Handles count up with every table that anybody makes. */
static void strip_handles(json_t *objects)
{
	const char *kind;
	json_t *object, *body;
	size_t i;

	json_array_foreach(objects, i, object)
	{
		json_object_foreach(object, kind, body)
		{
			json_object_del(body, "handle");
		}
	}
}

/* 0; -ENOENT without the table; -errno. */
static int read_digest(uint8_t digest[SHA256_DIGEST_LENGTH])
{
	SHA2_CTX context;
	json_t *json;
	int err = cv_nft_list("list table " TABLE, &json);

	if (err)
		return err;
	strip_handles(json_object_get(json, "nftables"));
	SHA256Init(&context);
	if (json_dump_callback(json, digest_part, &context, JSON_COMPACT | JSON_SORT_KEYS))
		err = -ENOMEM;
	SHA256Final(digest, &context);
	json_decref(json);
	return err;
}

/* 1, 0, -errno. */
static int is_intact(const struct cv_nat *nat)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	int err = read_digest(digest);

	if (err)
		return err == -ENOENT ? 0 : err;
	return !memcmp(digest, nat->digest, sizeof(digest));
}

/* ---- making and removing ------------------------------------------------------------------- */

static int explain(struct cv_error *error, int err, const char *why)
{
	switch (err) {
	case -EOPNOTSUPP:
		return cv_error_set(error, err,
				    "the kernel has no nftables for NAT (%s): give it nf_tables, "
				    "nft_chain_nat, nft_masq, nft_fib_ipv4 and nft_ct, or set "
				    "natOutgoing: false",
				    why);
	case -EPERM:
		return cv_error_set(error, err,
				    "nftables: %s: culvertd needs the capability CAP_NET_ADMIN",
				    why);
	case -ENOENT:
		return cv_error_set(error, err,
				    "the kernel refuses the rules of nftables table " TABLE
				    " (%s): see that it has nft_chain_nat, nft_masq, nft_fib_ipv4 "
				    "and nft_ct",
				    why);
	default:
		return cv_error_set(error, err,
				    "cannot make or remove nftables table " TABLE ": %s", why);
	}
}

/* "set" or "chain" of this name. */
static bool has_part(const json_t *objects, const char *kind, const char *name)
{
	const json_t *object;
	size_t i;

	json_array_foreach(objects, i, object)
	{
		const json_t *part = json_object_get(object, kind);
		const char *its = json_string_value(json_object_get(part, "name"));

		if (its && !strcmp(its, name))
			return true;
	}
	return false;
}

int cv_nat_check_free(struct cv_error *error)
{
	const json_t *objects;
	json_t *json;
	bool is_ours;
	int err = cv_nft_list("list table " TABLE, &json);

	/* A kernel without nftables says so when the table is made. */
	if (err == -ENOENT || err == -EOPNOTSUPP)
		return 0;
	if (err)
		return cv_error_set(error, err, "cannot list nftables table " TABLE ": %s",
				    strerror(-err));
	objects = json_object_get(json, "nftables");
	is_ours = has_part(objects, "set", "overlay") && has_part(objects, "chain", "postrouting");
	json_decref(json);
	return is_ours ? 0
		       : cv_error_set(error, -EEXIST,
				      "nftables table " TABLE " is there already and is not ours; "
				      "rename it, or `nft delete table " TABLE "`");
}

static int make(struct cv_nat *nat, const struct cv_nat_intent *wanted, struct cv_error *error)
{
	char *script = cv_nat_script(wanted);
	char why[CV_ERROR_TEXT_MAX];
	int err;

	if (!script)
		return cv_error_set(error, -ENOMEM, "out of memory");
	forget(nat);
	nat->exists = true;
	err = cv_nft_run(script, why, sizeof(why));
	free(script);
	if (err)
		return explain(error, err, why);
	err = read_digest(nat->digest);
	if (err)
		return cv_error_set(error, err, "cannot read back nftables table " TABLE ": %s",
				    strerror(-err));
	if (remember(nat, wanted))
		return cv_error_set(error, -ENOMEM, "out of memory");
	return 1;
}

int cv_nat_purge(struct cv_error *error)
{
	char why[CV_ERROR_TEXT_MAX];
	int err = cv_nft_run("delete table " TABLE, why, sizeof(why));

	/* A kernel without nftables has no table. */
	if (err == -ENOENT || err == -EOPNOTSUPP)
		return 0;
	return err ? explain(error, err, why) : 1;
}

int cv_nat_apply(struct cv_nat *nat, const struct cv_nat_intent *wanted, bool look,
		 struct cv_error *error)
{
	int result;

	if (!wanted->wanted) {
		result = nat->exists ? cv_nat_purge(error) : 0;
		if (result >= 0) {
			forget(nat);
			nat->exists = false;
		}
		return result;
	}
	if (!nat->is_known || !cv_nat_equal(&nat->made, wanted))
		return make(nat, wanted, error);
	if (!look)
		return 0;
	result = is_intact(nat);
	if (result < 0)
		return cv_error_set(error, result, "cannot list nftables table " TABLE ": %s",
				    strerror(-result));
	return result ? 0 : make(nat, wanted, error);
}

struct cv_nat *cv_nat_create(bool exists)
{
	struct cv_nat *nat = calloc(1, sizeof(*nat));

	if (nat)
		nat->exists = exists;
	return nat;
}

void cv_nat_destroy(struct cv_nat *nat)
{
	if (!nat)
		return;
	forget(nat);
	free(nat);
}
