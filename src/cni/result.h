/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results: what an ADD says it has made, what a delegated IPAM plugin says, and what a runtime
 * gives back as prevResult (SPEC.md, "Section 5").
 */
#ifndef CV_CNI_RESULT_H
#define CV_CNI_RESULT_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "cni/failure.h"
#include "cni/version.h"
#include "net/prefix.h"

enum {
	CV_CNI_INTERFACES = 32, /* of a result; other plugins of the list add theirs */
	CV_CNI_IPS = 4,		/* of one interface */
	CV_CNI_ROUTES = 64,
};

struct cv_cni_interface {
	char name[IFNAMSIZ];
	char mac[18];	     /* "" where there is none */
	const char *sandbox; /* NULL: on the host; the JSON's or the caller's */
	uint32_t mtu;	     /* 0: not told */
};

struct cv_cni_ip {
	struct cv_prefix address; /* the interface's, its length the network's */
	__be32 gateway;		  /* 0: none */
	int interface;		  /* index into interfaces, -1: not told */
};

struct cv_cni_route {
	struct cv_prefix prefix;
	__be32 gateway;		/* 0: none */
	uint32_t mtu, advmss;	/* bytes; 0: not given */
	uint32_t metric, table; /* 0: not given */
	int scope;		/* RT_SCOPE_*, -1: not given */
};

struct cv_cni_result {
	size_t interface_count, ip_count, route_count;
	struct cv_cni_interface interfaces[CV_CNI_INTERFACES];
	struct cv_cni_ip ips[CV_CNI_IPS];
	struct cv_cni_route routes[CV_CNI_ROUTES];
	json_t *dns; /* borrowed; NULL: none */
};

/*
 * Read one of any version; *ret_result points into json. what: whose it is, for the sentence.
 * IPv4 alone. 0 or code.
 */
int cv_cni_result_parse(const json_t *json, const char *what, int code,
			struct cv_cni_result *ret_result, struct cv_cni_failure *failure);

/* One route, of a result or of a configuration. 0 or code. */
int cv_cni_route_parse(const json_t *json, const char *what, int code,
		       struct cv_cni_route *ret_route, struct cv_cni_failure *failure);

/* In a version's form; the caller owns it. NULL: no memory. */
json_t *cv_cni_result_json(const struct cv_cni_result *result, enum cv_cni_version version);

#endif
