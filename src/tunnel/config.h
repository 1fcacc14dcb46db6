/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is configured of a tunnel: defaults, rules, and its form in JSON, which the state
 * file and the control protocol share. The words that people type are in model/tunnel.h.
 */
#ifndef CV_TUNNEL_CONFIG_H
#define CV_TUNNEL_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "engine/engine.h"
#include "tunnel/error.h"
#include "wire/ipip.h"
#include "wire/tcp.h"

enum {
	CV_TUNNEL_OWNER_MAX = 32,      /* with its NUL: "Tunnel " and a device's name */
	CV_TUNNEL_OWNER_TEXT_MAX = 64, /* with its NUL */
};

/* Owners of tunnels; a Tunnel of the store is "Tunnel NAME". */
#define CV_TUNNEL_OWNER_NOBODY "" /* a person, by command */
#define CV_TUNNEL_OWNER_POOLS  "pools"

struct cv_tunnel_config {
	char name[IFNAMSIZ];
	__be32 remote;	    /* 0: any (NBMA) */
	__be32 local;	    /* 0: any */
	char dev[IFNAMSIZ]; /* underlay device, "" for any */
	struct cv_ipip_params ipip;
	bool strict;	   /* nothing from strangers */
	uint16_t mssclamp; /* CV_TCP_MSS_AUTO, CV_TCP_MSS_OFF, or a limit in bytes */
	/* Of those that resources make; no part of a tunnel's JSON. */
	uint32_t mtu; /* wanted, bytes; 0: it follows the underlay */
	/* Where it receives besides local: see engine/engine.h. */
	unsigned int other_count;
	__be32 others[CV_ENGINE_OTHERS_MAX];
	char owner[CV_TUNNEL_OWNER_MAX]; /* who alone may change it, for its whole life */
};

enum cv_tunnel_field {
	CV_TUNNEL_NAME = 1 << 0,
	CV_TUNNEL_MODE = 1 << 1, /* given, and "ipip": there is no other */
	CV_TUNNEL_REMOTE = 1 << 2,
	CV_TUNNEL_LOCAL = 1 << 3,
	CV_TUNNEL_DEV = 1 << 4,
	CV_TUNNEL_TTL = 1 << 5,
	CV_TUNNEL_TOS = 1 << 6,
	CV_TUNNEL_PMTUDISC = 1 << 7,
	CV_TUNNEL_STRICT = 1 << 8,
	CV_TUNNEL_ECN = 1 << 9,
	CV_TUNNEL_MTU = 1 << 10,
	CV_TUNNEL_OTHERS = 1 << 11,
	CV_TUNNEL_MSSCLAMP = 1 << 12,
};

/* Some fields of a tunnel: what a command gives. The others of config mean nothing. */
struct cv_tunnel_patch {
	struct cv_tunnel_config config;
	uint32_t given; /* set of enum cv_tunnel_field */
};

/*
 * iproute2's defaults for `mode ipip`: remote and local any, ttl inherit, tos 0, pmtudisc; and
 * strict, ecn normal, mssclamp auto. The name is left empty.
 */
void cv_tunnel_config_init(struct cv_tunnel_config *config);

/* Whether a device may have this name; what: "name" or "dev", for the error. 0 or -EINVAL. */
int cv_tunnel_check_name(const char *name, const char *what, struct cv_error *error);

/* What an address is that cannot be one host's, in words ("a multicast address"); NULL: it can. */
const char *cv_tunnel_no_host(__be32 address);

/* Whether a tunnel can be made like this: 0, or -EINVAL with the rule that is broken. */
int cv_tunnel_config_check(const struct cv_tunnel_config *config, struct cv_error *error);

/* Overwrite in config the fields that the patch gives. */
void cv_tunnel_config_apply(struct cv_tunnel_config *config, const struct cv_tunnel_patch *patch);

/* True if config has every value that the patch gives: what `show` and `del` filter by. */
bool cv_tunnel_config_matches(const struct cv_tunnel_config *config,
			      const struct cv_tunnel_patch *patch);

/* True if everything but the name and the owner is the same. */
bool cv_tunnel_config_equal(const struct cv_tunnel_config *a, const struct cv_tunnel_config *b);

/* The given fields as a JSON object; the caller owns it. NULL without memory. */
json_t *cv_tunnel_patch_to_json(const struct cv_tunnel_patch *patch);

/* All fields as a JSON object; the caller owns it. NULL without memory. */
json_t *cv_tunnel_config_to_json(const struct cv_tunnel_config *config);

/*
 * Read a JSON object: every field optional, unknown ones refused, values checked one by one
 * (not against each other: cv_tunnel_config_check). 0 or -EINVAL.
 */
int cv_tunnel_patch_from_json(const json_t *json, struct cv_tunnel_patch *ret_patch,
			      struct cv_error *error);

/*
 * The values of single fields, for every parser. Each returns 0, or -EINVAL with an error that
 * names the field (what) and the value.
 */
int cv_tunnel_parse_address(const char *text, const char *what, __be32 *ret_address,
			    struct cv_error *error);

/* Read a device's name from the JSON of a field. 0 or -EINVAL. */
int cv_tunnel_name_from_json(const json_t *json, const char *field, char ret_name[IFNAMSIZ],
			     struct cv_error *error);

/* Whose a tunnel is, in words: "the pools of the store". owner: not nobody. Returns buffer. */
const char *cv_tunnel_format_owner(const char *owner, char buffer[CV_TUNNEL_OWNER_TEXT_MAX]);

/* "any" or dotted quad; buffer: INET_ADDRSTRLEN bytes. Returns buffer. */
const char *cv_tunnel_format_address(__be32 address, char *buffer);

#endif
