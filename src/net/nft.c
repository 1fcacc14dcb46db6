/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nftables, by libnftables.
 *
 * The library's context is made for each use and freed behind it: it keeps what it has read of
 * the ruleset, which is other people's and may be large. It ends the whole process where the
 * kernel has no netfilter netlink, so that is asked for first. Not thread-safe: the library keeps
 * state of its own; the main thread alone uses it.
 */
#include "net/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <malloc.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* ---- is there nftables? ------------------------------------------------------------ */

/* Ask for the generation of the ruleset: the least there is to ask. */
static int ask_generation(struct mnl_socket *socket)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *message = mnl_nlmsg_put_extra_header(nlh, sizeof(*message));
	const struct nlmsgerr *error;
	ssize_t length;

	nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	message->nfgen_family = AF_UNSPEC;
	message->version = NFNETLINK_V0;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	if (length < 0)
		return -errno;
	if (!mnl_nlmsg_ok(nlh, (int)length) || nlh->nlmsg_type != NLMSG_ERROR)
		return 0;
	error = mnl_nlmsg_get_payload(nlh);
	return mnl_nlmsg_get_payload_len(nlh) < sizeof(*error) ? -EBADMSG : error->error;
}

/* -EOPNOTSUPP: the kernel has none; its own words for that are EPROTONOSUPPORT and EINVAL. */
static int probe(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int err;

	if (!socket)
		return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
	err = ask_generation(socket);
	mnl_socket_close(socket);
	return err == -EINVAL ? -EOPNOTSUPP : err;
}

/* ---- the library --------------------------------------------------------------------- */

/* What the library says in words only. */
static int error_number(const char *text)
{
	static const int numbers[] = {ENOENT, EPERM,   EOPNOTSUPP, EEXIST,
				      EBUSY,  ENOBUFS, EMSGSIZE,   ENOMEM};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strstr(text, strerror(numbers[i])))
			return -numbers[i];
	}
	return -EINVAL;
}

/* "<cmdline>:3:1-9: Error: Could not …: No such file or directory\n…": what is behind "Error: ". */
static void copy_first_line(const char *text, char *line, size_t size)
{
	const char *start = strstr(text, "Error: ");
	size_t length;

	text = start ? start + strlen("Error: ") : text;
	length = strcspn(text, "\n");
	snprintf(line, size, "%.*s", (int)length, text);
}

static int create(unsigned int flags, struct nft_ctx **ret_nft)
{
	int err = probe();
	struct nft_ctx *nft;

	if (err < 0)
		return err;
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!nft)
		return -ENOMEM;
	if (nft_ctx_buffer_output(nft) || nft_ctx_buffer_error(nft)) {
		nft_ctx_free(nft);
		return -ENOMEM;
	}
	nft_ctx_output_set_flags(nft, flags);
	*ret_nft = nft;
	return 0;
}

/* Of 5,000 elements the library's heap is 7 MB, which glibc would keep for the next time. */
static void destroy(struct nft_ctx *nft)
{
	nft_ctx_free(nft);
	malloc_trim(0);
}

int cv_nft_run(const char *script, char *ret_why, size_t size)
{
	struct nft_ctx *nft;
	int err = create(0, &nft);

	snprintf(ret_why, size, "%s", err ? strerror(-err) : "");
	if (err)
		return err;
	if (nft_run_cmd_from_buffer(nft, script)) {
		const char *words = nft_ctx_get_error_buffer(nft);

		err = error_number(words);
		copy_first_line(words, ret_why, size);
	}
	destroy(nft);
	return err;
}

int cv_nft_list(const char *command, json_t **ret_json)
{
	struct nft_ctx *nft;
	int err = create(NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_ALL, &nft);
	json_t *json = NULL;

	if (err)
		return err;
	if (nft_run_cmd_from_buffer(nft, command)) {
		err = error_number(nft_ctx_get_error_buffer(nft));
	} else {
		json = json_loads(nft_ctx_get_output_buffer(nft), 0, NULL);
		err = json ? 0 : -EBADMSG;
	}
	destroy(nft);
	if (err)
		return err;
	*ret_json = json;
	return 0;
}
