/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of attachments. All are made of one hash of the three words, each with its NUL, so that
 * ("a", "bc") and ("ab", "c") differ.
 */
#include "model/attachment.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sha256.h>

enum {
	DEVICE_DIGITS = 11,
	/* Which bytes of the hash MACs are made of; the name has the first six. */
	HOST_MAC_AT = 8,
	POD_MAC_AT = 16,
};

bool cv_attachment_name_is_valid(const char *name)
{
	const unsigned char *at = (const unsigned char *)name;

	if (*at >= 0x80 || !isalnum(*at))
		return false;
	for (; *at; at++) {
		if (*at >= 0x80 || (!isalnum(*at) && !strchr("_.-", *at)))
			return false;
	}
	return true;
}

/* What is not cannot be told in JSON: neither in a request, nor in a note, nor in a result. */
static bool is_utf8(const char *text)
{
	json_t *json = json_string(text);

	json_decref(json);
	return json != NULL;
}

bool cv_attachment_interface_is_valid(const char *name)
{
	const unsigned char *at = (const unsigned char *)name;

	if (!*at || strlen(name) >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, "..") ||
	    !is_utf8(name))
		return false;
	for (; *at; at++) {
		if (*at == '/' || *at == ':' || isspace(*at))
			return false;
	}
	return true;
}

static void make_mac(uint8_t mac[CV_ATTACHMENT_MAC], const uint8_t *bytes)
{
	memcpy(mac, bytes, CV_ATTACHMENT_MAC);
	mac[0] = (uint8_t)((mac[0] & ~0x01u) | 0x02u); /* unicast, locally administered */
}

void cv_attachment_name(const char *network, const char *container, const char *interface,
			struct cv_attachment *ret_attachment)
{
	const char *words[] = {network, container, interface};
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256_CTX context;
	int length;

	SHA256Init(&context);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		SHA256Update(&context, (const uint8_t *)words[i], strlen(words[i]) + 1);
	SHA256Final(digest, &context);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(ret_attachment->hash + 2 * i, 3, "%02x", digest[i]);
	snprintf(ret_attachment->device, sizeof(ret_attachment->device), "cv%.*s", DEVICE_DIGITS,
		 ret_attachment->hash);
	make_mac(ret_attachment->host_mac, digest + HOST_MAC_AT);
	make_mac(ret_attachment->pod_mac, digest + POD_MAC_AT);
	length = snprintf(ret_attachment->alias, sizeof(ret_attachment->alias), "%s%s/%s/%s",
			  CV_ATTACHMENT_ALIAS, network, container, interface);
	if (length >= (int)sizeof(ret_attachment->alias))
		snprintf(ret_attachment->alias, sizeof(ret_attachment->alias), "%s#%s",
			 CV_ATTACHMENT_ALIAS, ret_attachment->hash);
}

bool cv_attachment_is_device_name(const char *name)
{
	return !strncmp(name, "cv", 2) && strlen(name) == 2 + DEVICE_DIGITS &&
	       strspn(name + 2, "0123456789abcdef") == DEVICE_DIGITS;
}

bool cv_attachment_is_device(const struct cv_attachment *attachment, const struct cv_link *link)
{
	if (strcmp(link->name, attachment->device) || strcmp(link->kind, "veth"))
		return false;
	if (*link->alias)
		return !strcmp(link->alias, attachment->alias);
	return !memcmp(link->mac, attachment->host_mac, sizeof(link->mac));
}

const char *cv_attachment_mac_format(const uint8_t mac[CV_ATTACHMENT_MAC],
				     char buffer[CV_ATTACHMENT_MAC_TEXT])
{
	snprintf(buffer, CV_ATTACHMENT_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
		 mac[2], mac[3], mac[4], mac[5]);
	return buffer;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool cv_attachment_mac_parse(const char *text, uint8_t ret_mac[CV_ATTACHMENT_MAC])
{
	static const uint8_t zero[CV_ATTACHMENT_MAC];
	uint8_t mac[CV_ATTACHMENT_MAC];

	if (strlen(text) != CV_ATTACHMENT_MAC_TEXT - 1)
		return false;
	for (size_t i = 0; i < sizeof(mac); i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
		char separator = text[3 * i + 2];

		if (high < 0 || low < 0)
			return false;
		if (separator != (i == sizeof(mac) - 1 ? '\0' : text[2]) ||
		    (text[2] != ':' && text[2] != '-'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	if ((mac[0] & 1) || !memcmp(mac, zero, sizeof(mac)))
		return false;
	memcpy(ret_mac, mac, sizeof(mac));
	return true;
}
