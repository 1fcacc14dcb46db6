/* SPDX-License-Identifier: Apache-2.0 */
/* The network configuration that comes on standard input. */
#ifndef CV_CNI_CONFIG_H
#define CV_CNI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "cni/environment.h"
#include "cni/failure.h"
#include "cni/result.h"
#include "cni/version.h"
#include "model/attachment.h"

#define CV_CNI_TYPE "culvert-cni" /* the plugin's, and of its own IPAM */

enum {
	CV_CNI_INPUT_MAX = 8 << 20, /* bytes of a configuration: GC names every attachment */
	CV_CNI_POOLS = 16,
};

struct cv_cni_config {
	json_t *root; /* owned; what follows points into it */
	enum cv_cni_version version;
	const char *network;
	const char *run_dir; /* of culvertd */
	const char *bridge;  /* NULL: routed */
	bool hairpin;	     /* of the bridge's port */
	bool is_gateway;     /* the bridge gets the delegated gateway's address */
	uint32_t mtu;	     /* bytes; 0: as culvertd says */
	const char *bypass;  /* "on", "off", "default" */
	bool has_clsact;     /* the device is made with that qdisc */
	const char *log;     /* file, or NULL */
	const char *ipam;    /* type of the delegated IPAM plugin; NULL: ours */
	const char *pools[CV_CNI_POOLS];
	size_t pool_count;
	struct cv_cni_route routes[CV_CNI_ROUTES]; /* of ipam */
	size_t route_count;
	json_t *dns;		      /* NULL: none */
	json_t *previous;	      /* prevResult, NULL: none */
	json_t *valid;		      /* GC: list of {containerID, ifname}; NULL: none given */
	__be32 addresses[CV_CNI_IPS]; /* that are asked for */
	size_t address_count;
	bool has_mac;
	uint8_t mac[CV_ATTACHMENT_MAC]; /* that is asked for */
	bool has_bandwidth;		/* a later plugin is to shape the interface */
};

/*
 * Read the whole of fd. 0 and a text to be freed (terminated by NUL, which is no part of its
 * length), or a code.
 */
int cv_cni_config_input(int fd, char **ret_text, size_t *ret_length,
			struct cv_cni_failure *failure);

/*
 * Of a text. 0 or a code, and *ret_version is set if the text says one of ours: errors are told in
 * it. cv_cni_config_fini also after a failure.
 */
int cv_cni_config_parse(const char *text, size_t length,
			const struct cv_cni_environment *environment,
			struct cv_cni_config *ret_config, struct cv_cni_failure *failure);
void cv_cni_config_fini(struct cv_cni_config *config);

/* What a text for VERSION says; NULL: nothing, or nothing that is text. The caller frees it. */
char *cv_cni_config_version(const char *text, size_t length);

#endif
