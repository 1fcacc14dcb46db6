/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which node this is, and its address: as the Node resource says, or by one of Calico's
 * autodetection methods (IP_AUTODETECTION_METHOD): first-found, interface=REGEX,…,
 * skip-interface=REGEX,…, can-reach=ADDRESS, cidr=CIDR,…. A REGEX matches a part of the name,
 * as with Calico: ^eth0$ is eth0 alone.
 */
#ifndef CV_ROUTING_SELF_H
#define CV_ROUTING_SELF_H

#include "model/snapshot.h"
#include "routing/facts.h"
#include "tunnel/error.h"

enum cv_detect_kind {
	CV_DETECT_FIRST_FOUND,
	CV_DETECT_INTERFACE,
	CV_DETECT_SKIP_INTERFACE,
	CV_DETECT_CAN_REACH,
	CV_DETECT_CIDR,
};

struct cv_detect {
	enum cv_detect_kind kind;
	char *text;		     /* as given; owned */
	struct cv_detect_list *list; /* regular expressions or prefixes; owned */
};

/* Read a method. 0, or -EINVAL with what is wrong and what there is. cv_detect_fini frees. */
int cv_detect_parse(const char *text, struct cv_detect *ret_detect, struct cv_error *error);
void cv_detect_fini(struct cv_detect *detect);

struct cv_self {
	char name[64];
	const struct cv_resource *node; /* its Node; NULL: there is none of this name */
	__be32 address;			/* 0: none; problem says why */
	uint8_t prefix_length;
	int ifindex;   /* that has the address */
	char how[160]; /* "Node a1", "first-found: eth0", "… with the prefix of eth0" */
	char problem[CV_ERROR_TEXT_MAX]; /* "" or why there is no address, or not at this moment */
};

/*
 * Find it. An address of the Node without a prefix takes that of the interface; one that no
 * interface has is a problem. Interfaces that Calico skips by default (docker.*, cbr.*, br-.*,
 * virbr.*, lxcbr.*, veth.*, cali.*, tunl.*, flannel.*, kube-ipvs.*, nodelocaldns.*, lo, …) and ours
 * are not looked at by first-found and skip-interface.
 */
void cv_self_find(const struct cv_snapshot *snapshot, const char *name,
		  const struct cv_detect *detect, const struct cv_facts *facts, struct cv_nl *nl,
		  struct cv_self *ret_self);

#endif
