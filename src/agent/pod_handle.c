/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pod_handle.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sha256.h>
#include <stdio.h>
#include <string.h>

/* The parts cannot be told apart by their lengths once one is cut: NUL is between them. */
static void digest(const char *network, const char *container, const char *interface,
		   char hexadecimal[SHA256_DIGEST_STRING_LENGTH])
{
	SHA2_CTX context;

	SHA256Init(&context);
	SHA256Update(&context, (const uint8_t *)network, strlen(network) + 1);
	SHA256Update(&context, (const uint8_t *)container, strlen(container) + 1);
	SHA256Update(&context, (const uint8_t *)interface, strlen(interface) + 1);
	SHA256End(&context, hexadecimal);
}

/* Of tunnels' devices: Calico's names, with a node's behind them, which may have dots. */
static const char *const tunnels[] = {CV_HANDLE_TUNNEL, "vxlan-tunnel-addr-",
				      "wireguard-tunnel-addr-", NULL};
static const char *const others[] = {CV_HANDLE_GATEWAY, CV_HANDLE_RESERVED, NULL};

static bool begins_with_any(const char *text, const char *const *beginnings)
{
	for (; *beginnings; beginnings++) {
		if (!strncmp(text, *beginnings, strlen(*beginnings)))
			return true;
	}
	return false;
}

const char *cv_pod_handle_format(const char *network, const char *container, const char *interface,
				 char buffer[CV_IPAM_HANDLE_MAX])
{
	char hexadecimal[SHA256_DIGEST_STRING_LENGTH];
	int length;

	/* It is parted at its last two dots: with more of them there, network "a" and container
	 * "b.c" would be as "a.b" and "c". And "reserved-10.244", "1", "9" would be what is
	 * reserved. */
	if (!strchr(container, '.') && !strchr(interface, '.') &&
	    !begins_with_any(network, tunnels) && !begins_with_any(network, others) &&
	    snprintf(buffer, CV_IPAM_HANDLE_MAX, "%s.%s.%s", network, container, interface) <
		    CV_IPAM_HANDLE_MAX)
		return buffer;
	digest(network, container, interface, hexadecimal);
	/* "#" is in no name of a container, nor of a node. */
	length = snprintf(buffer, CV_IPAM_HANDLE_MAX, "%.64s.#%s.%.15s", network, hexadecimal,
			  interface);
	for (char *at = buffer + length - strnlen(interface, IFNAMSIZ - 1); *at; at++) {
		if (*at == '.')
			*at = '_';
	}
	return buffer;
}

/* Parted at its last two dots. */
static bool is_of_three(const char *handle, bool *ret_has_digest)
{
	const char *last = strrchr(handle, '.'), *middle = last;

	while (middle && middle > handle && *--middle != '.')
		;
	if (!middle || *middle != '.' || middle == handle || last == middle + 1 || !last[1] ||
	    strlen(last + 1) >= IFNAMSIZ)
		return false;
	*ret_has_digest =
		middle[1] == '#' && last - (middle + 2) == SHA256_DIGEST_STRING_LENGTH - 1;
	return true;
}

/* "reserved-ADDRESS", "bridge-gateway-…-ADDRESS-LENGTH", whatever else is said of it. */
static bool is_no_pods(const char *handle)
{
	const char *address = strrchr(handle, '-');
	char text[INET_ADDRSTRLEN];
	struct in_addr parsed;
	size_t length;

	if (!begins_with_any(handle, others) || !address)
		return false;
	length = strlen(++address);
	if (!strncmp(handle, CV_HANDLE_GATEWAY, strlen(CV_HANDLE_GATEWAY))) {
		const char *end = address - 1;

		for (address = end; address > handle && address[-1] != '-'; address--)
			;
		length = (size_t)(end - address);
	}
	if (length >= sizeof(text))
		return false;
	memcpy(text, address, length);
	text[length] = '\0';
	return inet_pton(AF_INET, text, &parsed) == 1;
}

bool cv_pod_handle_is_ours(const char *handle, const char *type)
{
	bool has_digest = false;

	/* In Calico's documents there are addresses without a handle. */
	if (!handle || type || !is_of_three(handle, &has_digest))
		return false;
	return has_digest || !(begins_with_any(handle, tunnels) || is_no_pods(handle));
}
