/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an attachment of a container to a network is called: one interface of one container in one
 * network, as CNI counts them. The plugin and the agent must agree on all of this without a word,
 * also when one of them has died in the middle.
 */
#ifndef CV_MODEL_ATTACHMENT_H
#define CV_MODEL_ATTACHMENT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/link.h"

enum {
	CV_ATTACHMENT_HASH_TEXT = 65, /* 64 hexadecimal digits and a NUL */
	CV_ATTACHMENT_MAC = 6,
	CV_ATTACHMENT_MAC_TEXT = 18, /* "02:00:00:00:00:01" and a NUL */
};

/*
 * CNI's lexical rules (SPEC.md, "Network configuration", "Parameters"): names of networks and ids
 * of containers begin with a letter or digit, then letters, digits, '_', '.' and '-'; names of
 * interfaces are a device's: 1 to 15 bytes of UTF-8, not "." nor "..", without '/', ':' and white
 * space.
 */
bool cv_attachment_name_is_valid(const char *name);
bool cv_attachment_interface_is_valid(const char *name);

struct cv_attachment {
	char hash[CV_ATTACHMENT_HASH_TEXT]; /* SHA-256 of the three; the name of its tombstone */
	char device[IFNAMSIZ];		    /* the host end: "cv" and 11 digits of it */
	/*
	 * Of the host end, and of the pod's unless another one is asked for; locally administered,
	 * from the hash, too. The kernel gives a device name and MAC in one step, the alias in a
	 * second one: a device without an alias is ours if it has this MAC.
	 */
	uint8_t host_mac[CV_ATTACHMENT_MAC], pod_mac[CV_ATTACHMENT_MAC];
	/* "culvert:NETWORK/CONTAINER/INTERFACE", '/' being in none of them; "culvert:#HASH" where
	 * that is too long for an alias. */
	char alias[CV_LINK_ALIAS_MAX];
};

#define CV_ATTACHMENT_ALIAS "culvert:" /* what all aliases begin with */

/* The three are valid. */
void cv_attachment_name(const char *network, const char *container, const char *interface,
			struct cv_attachment *ret_attachment);

/* True if a device's name is one of a host end. */
bool cv_attachment_is_device_name(const char *name);

/* True if a device is this attachment's host end: name, kind, and alias or MAC say so. */
bool cv_attachment_is_device(const struct cv_attachment *attachment, const struct cv_link *link);

const char *cv_attachment_mac_format(const uint8_t mac[CV_ATTACHMENT_MAC],
				     char buffer[CV_ATTACHMENT_MAC_TEXT]);

/* "02:00:00:00:00:01", also with '-'; a unicast address, not all zero. False: it is none. */
bool cv_attachment_mac_parse(const char *text, uint8_t ret_mac[CV_ATTACHMENT_MAC]);

#endif
