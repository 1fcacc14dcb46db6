/* SPDX-License-Identifier: Apache-2.0 */
/* A route as somebody words it: of any table, with what goes with it. */
#ifndef CV_NET_UNICAST_H
#define CV_NET_UNICAST_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "net/netlink.h"
#include "net/prefix.h"

struct cv_unicast {
	struct cv_prefix prefix;
	int oif;
	__be32 gateway; /* 0: on link */
	bool onlink;	/* the gateway is on that link, whatever the table says */
	uint32_t table; /* RT_TABLE_* or any number; 0: main */
	uint32_t metric;
	uint8_t scope;	      /* RT_SCOPE_* */
	uint32_t mtu, advmss; /* bytes; 0: not given */
};

/* 0; -EEXIST: the table has a route of this prefix and metric; -errno. */
int cv_unicast_add(struct cv_nl *nl, const struct cv_unicast *route);

#endif
