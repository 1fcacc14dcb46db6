/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is configured of an endpoint, the host's end of a pod's or virtual machine's device and
 * the addresses behind it: rules, and its form in JSON, which the state file and the control
 * protocol share. The words that people type are in model/endpoint.h.
 */
#ifndef CV_TUNNEL_ENDPOINT_H
#define CV_TUNNEL_ENDPOINT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "fastpath/fastpath.h"
#include "tunnel/error.h"

/* Whether its packets go past the host's stack. */
enum cv_endpoint_bypass {
	CV_ENDPOINT_BYPASS_DEFAULT, /* as the set of endpoints says */
	CV_ENDPOINT_BYPASS_ON,
	CV_ENDPOINT_BYPASS_OFF,
};

enum {
	CV_ENDPOINT_ADDRESSES_MAX = CV_FASTPATH_ENDPOINT_ADDRESSES
};

struct cv_endpoint_config {
	char dev[IFNAMSIZ];
	unsigned int count; /* of addresses: at least one */
	__be32 addresses[CV_ENDPOINT_ADDRESSES_MAX];
	enum cv_endpoint_bypass bypass;
};

enum cv_endpoint_field {
	CV_ENDPOINT_DEV = 1 << 0,
	CV_ENDPOINT_ADDRESSES = 1 << 1,
	CV_ENDPOINT_BYPASS = 1 << 2,
};

/* Some fields of an endpoint: what a command gives. The others of config mean nothing. */
struct cv_endpoint_patch {
	struct cv_endpoint_config config;
	uint32_t given; /* set of enum cv_endpoint_field */
};

enum cv_endpoint_verb {
	CV_ENDPOINT_ADD,     /* a new one: bypass default, and what the patch gives */
	CV_ENDPOINT_CHANGE,  /* an existing one: what the patch gives */
	CV_ENDPOINT_REPLACE, /* add, or change to bypass default and what the patch gives */
	CV_ENDPOINT_DELETE,  /* an existing one, if it is as the patch says */
};

struct cv_endpoint_change {
	enum cv_endpoint_verb verb;
	struct cv_endpoint_patch patch; /* with a device */
};

/*
 * Read one more address into a list: of one host, not there yet, and not one too many. 0,
 * -EINVAL, or -E2BIG.
 */
int cv_endpoint_add_address(struct cv_endpoint_config *config, const char *text,
			    struct cv_error *error);

/* "on", "off" or "default", there and back. 0 or -EINVAL. */
int cv_endpoint_parse_bypass(const char *text, enum cv_endpoint_bypass *ret_bypass,
			     struct cv_error *error);
const char *cv_endpoint_bypass_name(enum cv_endpoint_bypass bypass);

/* "on" or "off" alone. 0 or -EINVAL. */
int cv_endpoint_parse_default(const char *text, bool *ret_bypass, struct cv_error *error);

/* Whether an endpoint can be like this, as far as it can tell alone. 0 or -EINVAL. */
int cv_endpoint_config_check(const struct cv_endpoint_config *config, struct cv_error *error);

/* Overwrite in config the fields that the patch gives. */
void cv_endpoint_config_apply(struct cv_endpoint_config *config,
			      const struct cv_endpoint_patch *patch);

bool cv_endpoint_has_address(const struct cv_endpoint_config *config, __be32 address);

/* True if config has every value, and every address, that the patch gives. */
bool cv_endpoint_config_matches(const struct cv_endpoint_config *config,
				const struct cv_endpoint_patch *patch);

/* The given fields, or all, as a JSON object; the caller owns it. NULL without memory. */
json_t *cv_endpoint_patch_to_json(const struct cv_endpoint_patch *patch);
json_t *cv_endpoint_config_to_json(const struct cv_endpoint_config *config);

/*
 * Read a JSON object: every field optional, unknown ones refused, values checked one by one. 0,
 * -EINVAL or -E2BIG.
 */
int cv_endpoint_patch_from_json(const json_t *json, struct cv_endpoint_patch *ret_patch,
				struct cv_error *error);

#endif
