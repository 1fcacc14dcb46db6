/* SPDX-License-Identifier: Apache-2.0 */
/* nftables, by libnftables. */
#ifndef CV_NET_NFT_H
#define CV_NET_NFT_H

#include <stddef.h>
#include <jansson.h>

/*
 * Run a script of nft(8), one transaction: all of it or nothing. 0 or -errno with libnftables' own
 * words in ret_why (one line, cut to size; "" if there are none). -EOPNOTSUPP, -ENOENT and the like
 * where the kernel has no nftables.
 */
int cv_nft_run(const char *script, char *ret_why, size_t size);

/*
 * List as JSON (`nft -j list ruleset`, or any other list command). The caller owns *ret_json. 0 or
 * -errno; -ENOENT: there is no such table.
 */
int cv_nft_list(const char *command, json_t **ret_json);

#endif
