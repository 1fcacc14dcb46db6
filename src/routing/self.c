/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which node this is. Methods, what they skip and their order of looking are those of Calico's
 * node/pkg/autodetection: interfaces in the kernel's order, the first address that fits.
 */
#include "routing/self.h"

#include <arpa/inet.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/route.h"
#include "wire/types.h"

/* What has never been a node's way out: Calico's list, and ours. */
static const char never_looked_at[] =
	"^(docker.*|cbr.*|dummy.*|virbr.*|lxcbr.*|veth.*|lo|cali.*|tunl.*|flannel.*|"
	"kube-ipvs.*|cni.*|vxlan.*|nodelocaldns.*|br-[0-9a-f]{12}|culvert.*|cvlook.*)$";

struct cv_detect_list {
	size_t count;
	regex_t *patterns;	    /* interface, skip-interface */
	struct cv_prefix *prefixes; /* cidr; can-reach: one */
};

static const struct {
	const char *name; /* with "=", where something follows */
	enum cv_detect_kind kind;
} methods[] = {
	{"first-found", CV_DETECT_FIRST_FOUND},
	{"interface=", CV_DETECT_INTERFACE},
	{"skip-interface=", CV_DETECT_SKIP_INTERFACE},
	{"can-reach=", CV_DETECT_CAN_REACH},
	{"cidr=", CV_DETECT_CIDR},
};

/* ---- reading a method ------------------------------------------------------------- */

void cv_detect_fini(struct cv_detect *detect)
{
	struct cv_detect_list *list = detect->list;

	if (list && list->patterns) {
		for (size_t i = 0; i < list->count; i++)
			regfree(&list->patterns[i]);
		free(list->patterns);
	}
	if (list)
		free(list->prefixes);
	free(list);
	free(detect->text);
	*detect = (struct cv_detect){.kind = CV_DETECT_FIRST_FOUND};
}

static int add_pattern(struct cv_detect_list *list, const char *word, struct cv_error *error)
{
	/* Of any part of the name, as with Calico: "interface=eth" finds eth0, and veth0. */
	int rc = regcomp(&list->patterns[list->count], word, REG_EXTENDED | REG_NOSUB);
	char why[128];

	if (rc) {
		regerror(rc, &list->patterns[list->count], why, sizeof(why));
		return cv_error_set(error, -EINVAL,
				    "\"%.64s\" is no extended regular expression (%s)", word, why);
	}
	list->count++;
	return 0;
}

static int add_prefix(struct cv_detect_list *list, const char *word, bool is_host,
		      struct cv_error *error)
{
	int rc = cv_prefix_parse(word, &list->prefixes[list->count]);

	if (is_host ? rc != -ENODATA : rc != 0)
		return cv_error_set(error, -EINVAL, "\"%.64s\" is no IPv4 %s", word,
				    is_host ? "address (names are not looked up)"
					    : "network such as 192.168.0.0/16");
	list->count++;
	return 0;
}

static int read_words(struct cv_detect *detect, char *words, struct cv_error *error)
{
	struct cv_detect_list *list = detect->list;
	bool is_pattern =
		detect->kind == CV_DETECT_INTERFACE || detect->kind == CV_DETECT_SKIP_INTERFACE;
	char *save = NULL;
	int rc = 0;

	for (char *word = strtok_r(words, ",", &save); word && !rc;
	     word = strtok_r(NULL, ",", &save))
		rc = is_pattern
			     ? add_pattern(list, word, error)
			     : add_prefix(list, word, detect->kind == CV_DETECT_CAN_REACH, error);
	if (!rc && (!list->count || (detect->kind == CV_DETECT_CAN_REACH && list->count > 1)))
		return cv_error_set(error, -EINVAL, "\"%.64s\": %s", detect->text,
				    list->count ? "one address is wanted"
						: "something must follow \"=\"");
	return rc;
}

static int read_list(struct cv_detect *detect, const char *rest, struct cv_error *error)
{
	struct cv_detect_list *list = calloc(1, sizeof(*list));
	char *words = strdup(rest);
	size_t most = strlen(rest) / 2 + 1;
	int rc = -ENOMEM;

	detect->list = list;
	if (list && words) {
		list->patterns = calloc(most, sizeof(*list->patterns));
		list->prefixes = calloc(most, sizeof(*list->prefixes));
		if (list->patterns && list->prefixes)
			rc = read_words(detect, words, error);
	}
	free(words);
	return rc == -ENOMEM ? cv_error_set(error, rc, "out of memory") : rc;
}

int cv_detect_parse(const char *text, struct cv_detect *ret_detect, struct cv_error *error)
{
	struct cv_detect detect = {.kind = CV_DETECT_FIRST_FOUND};
	int rc;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t length = strlen(methods[i].name);
		bool takes_words = methods[i].name[length - 1] == '=';

		if (strncmp(text, methods[i].name, length) || (!takes_words && text[length]))
			continue;
		detect.kind = methods[i].kind;
		detect.text = strdup(text);
		if (!detect.text)
			return cv_error_set(error, -ENOMEM, "out of memory");
		rc = takes_words ? read_list(&detect, text + length, error) : 0;
		if (rc)
			cv_detect_fini(&detect);
		else
			*ret_detect = detect;
		return rc;
	}
	return cv_error_set(error, -EINVAL,
			    "\"%.64s\" is no way to find a node's address; there are first-found, "
			    "interface=REGEX, skip-interface=REGEX, can-reach=ADDRESS, cidr=CIDR",
			    text);
}

/* ---- looking ----------------------------------------------------------------------- */

static bool matches(const struct cv_detect_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!regexec(&list->patterns[i], name, 0, NULL, 0))
			return true;
	}
	return false;
}

static bool is_in(const struct cv_detect_list *list, __be32 address)
{
	for (size_t i = 0; i < list->count; i++) {
		if (cv_prefix_has(&list->prefixes[i], address))
			return true;
	}
	return false;
}

static bool is_never_looked_at(const char *name)
{
	regex_t pattern;
	bool is;

	if (regcomp(&pattern, never_looked_at, REG_EXTENDED | REG_NOSUB))
		return false;
	is = !regexec(&pattern, name, 0, NULL, 0);
	regfree(&pattern);
	return is;
}

/* Neither loopback nor link-local nor anything that no host can have. */
static bool is_a_hosts(__be32 address)
{
	uint32_t number = cv_ntohl(address);

	return !cv_tunnel_no_host(address) && number >> 24 != 127 && number >> 16 != 0xa9fe;
}

static bool fits(const struct cv_detect *detect, const struct cv_fact_address *address)
{
	const struct cv_fact_interface *interface = address->interface;

	if (!interface || interface->is_ours || !(interface->flags & IFF_UP) ||
	    !is_a_hosts(address->address.address))
		return false;
	switch (detect->kind) {
	case CV_DETECT_FIRST_FOUND:
		return !is_never_looked_at(interface->name);
	case CV_DETECT_INTERFACE:
		return matches(detect->list, interface->name);
	case CV_DETECT_SKIP_INTERFACE:
		return !is_never_looked_at(interface->name) &&
		       !matches(detect->list, interface->name);
	case CV_DETECT_CIDR:
		return is_in(detect->list, address->address.address);
	default:
		return false;
	}
}

static const struct cv_fact_address *detected(const struct cv_detect *detect,
					      const struct cv_facts *facts, struct cv_nl *nl)
{
	if (detect->kind == CV_DETECT_CAN_REACH) {
		struct cv_route_flow flow = {.destination = detect->list->prefixes[0].address};
		struct cv_route route;

		if (cv_route_get(nl, &flow, &route))
			return NULL;
		return cv_facts_address(facts, route.source);
	}
	for (size_t i = 0; i < facts->address_count; i++) {
		if (fits(detect, &facts->addresses[i]))
			return &facts->addresses[i];
	}
	return NULL;
}

/* ---- the answer --------------------------------------------------------------------- */

static void take(struct cv_self *self, const struct cv_fact_address *found, uint8_t length)
{
	self->address = found->address.address;
	self->prefix_length = length;
	self->ifindex = found->ifindex;
}

static const char *device_of(const struct cv_fact_address *found)
{
	return found->interface ? found->interface->name : "a device";
}

static void take_from_node(struct cv_self *self, const struct cv_facts *facts)
{
	const struct cv_node *node = &self->node->node;
	const struct cv_fact_address *found = cv_facts_address(facts, node->address);
	char text[INET_ADDRSTRLEN];

	if (!found) {
		snprintf(self->problem, sizeof(self->problem),
			 "Node %s has the address %s, which no device of this host has; correct "
			 "bgp.ipv4Address, or add the address",
			 self->name, cv_tunnel_format_address(node->address, text));
		return;
	}
	take(self, found, node->has_prefix ? node->prefix_length : found->address.length);
	if (node->has_prefix)
		snprintf(self->how, sizeof(self->how), "Node %s, on %s", self->name,
			 device_of(found));
	else
		snprintf(self->how, sizeof(self->how), "Node %s, with the prefix length of %s",
			 self->name, device_of(found));
}

/* Two nodes with one address would send everything of each other's to themselves. */
static void check_nobody_elses(struct cv_self *self, const struct cv_snapshot *snapshot)
{
	size_t count;
	struct cv_resource *const *nodes = cv_snapshot_kind(snapshot, CV_KIND_NODE, &count);
	char text[INET_ADDRSTRLEN];

	for (size_t i = 0; i < count; i++) {
		if (nodes[i] == self->node || nodes[i]->node.address != self->address)
			continue;
		snprintf(self->problem, sizeof(self->problem),
			 "this node is %s, but its address %s is that of Node %s; start culvertd "
			 "with --node %s, or correct one of them",
			 self->name, cv_tunnel_format_address(self->address, text), nodes[i]->name,
			 nodes[i]->name);
		self->address = 0;
		return;
	}
}

void cv_self_find(const struct cv_snapshot *snapshot, const char *name,
		  const struct cv_detect *detect, const struct cv_facts *facts, struct cv_nl *nl,
		  struct cv_self *ret_self)
{
	const struct cv_fact_address *found;

	memset(ret_self, 0, sizeof(*ret_self));
	snprintf(ret_self->name, sizeof(ret_self->name), "%s", name);
	ret_self->node = cv_snapshot_find(snapshot, CV_KIND_NODE, name);
	if (ret_self->node && ret_self->node->node.address) {
		take_from_node(ret_self, facts);
		return;
	}
	found = detected(detect, facts, nl);
	if (!found) {
		snprintf(ret_self->problem, sizeof(ret_self->problem),
			 "this node's address is not found by %s; give Node %s a "
			 "bgp.ipv4Address, or start culvertd with another --address-detection",
			 detect->text ? detect->text : "first-found", name);
		return;
	}
	take(ret_self, found, found->address.length);
	snprintf(ret_self->how, sizeof(ret_self->how), "%s: %s",
		 detect->text ? detect->text : "first-found", device_of(found));
	check_nobody_elses(ret_self, snapshot);
}
