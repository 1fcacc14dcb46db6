/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing resources: what is printed is taken again with the same canonical text, whatever its
 * strings and numbers look like and in whatever order its fields stood.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/manifest.h"
#include "manifest_good.h"
#include "manifests.h"

/* Strings that YAML could take for something else, or that need escapes. */
static const char *const tricky[] = {
	"",
	"yes",
	"No",
	"on",
	"n",
	"true",
	"null",
	"~",
	"1.0",
	"1e3",
	"0x1f",
	"0o17",
	"-1",
	"+1",
	".5",
	".inf",
	"1_000",
	"12:30:45",
	"2001-12-14",
	"- a",
	"a: b",
	"a #b",
	"#a",
	"&a",
	"*a",
	"!a",
	"%a",
	"@a",
	"`a",
	"'a",
	"\"a",
	"[a",
	"{a",
	"a,b",
	" a",
	"a ",
	"a\nb",
	"\n",
	"a\tb",
	"\x01",
	"\x7f",
	"\xc2\x85",
	"\xe2\x80\xa8",
	"\xef\xbb\xbf",
	"\xc3\xa9",
	"\xf0\x9f\x98\x80",
	"\\",
	"=",
	"<<",
	"---",
	"...",
	"?",
	":",
	"a:",
	"-",
	"/",
	"10.0.0.0/8",
	"1.2.3",
	"all()",
	"|",
	">",
	"a\r\nb",
};

enum {
	TRICKY = sizeof(tricky) / sizeof(tricky[0])
};

/* As JSON has it, bytes above 127 as they are. */
static void quote(char *to, const char *from)
{
	*to++ = '"';
	for (; *from; from++)
		to += sprintf(to,
			      (unsigned char)*from < ' ' || strchr("\"\\\x7f", *from) ? "\\u%04x"
										      : "%c",
			      (unsigned char)*from);
	strcpy(to, "\"");
}

static void every_string_survives(void **state)
{
	char text[1024], quoted[128];

	(void)state;
	for (size_t i = 0; i < TRICKY; i++) {
		struct cv_manifest m;

		/* U+FEFF may stand in no YAML but as an escape. */
		if (!strcmp(tricky[i], "\xef\xbb\xbf"))
			strcpy(quoted, "\"\\ufeff\"");
		else
			quote(quoted, tricky[i]);
		snprintf(text, sizeof(text),
			 "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"FelixConfiguration\","
			 "\"metadata\":{\"name\":\"default\",\"annotations\":{\"a\":%s}},\"spec\":{"
			 "\"logPrefix\":%s,\"bpfLogFilters\":{\"yes\":%s,\"a b\":[[%s,[]],{}]}}}",
			 quoted, quoted, quoted, quoted);
		m = parse(text);
		assert_int_equal(m.count, 1);
		assert_round_trip(&m);
		cv_manifest_fini(&m);
	}
}

/* In what we do not act on, numbers and booleans stay what they are. */
static void every_scalar_survives(void **state)
{
	static const struct {
		const char *yaml, *json;
	} scalars[] = {
		{"1", "1"},
		{"-17", "-17"},
		{"0x1F", "31"},
		{"0o17", "15"},
		{"0b101", "5"},
		{"1_000", "1000"},
		{"017", "17"},
		{"1.5", "1.5"},
		{"1e3", "1e3"},
		{"+1.5e-3", "0.0015"},
		{".5", "0.5"},
		{"5.", "5"},
		{"true", "true"},
		{"FALSE", "false"},
		{"yes", "\"yes\""},
		{".inf", "\".inf\""},
		{".nan", "\".nan\""},
		{"1e999", "1e999"},
		{"text", "\"text\""},
		{"12:30", "\"12:30\""},
		{"99999999999999999999", "99999999999999999999"},
	};
	char text[256], expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
		struct cv_manifest m;

		snprintf(text, sizeof(text),
			 "apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\n"
			 "metadata: {name: default}\nspec: {logPrefix: %s}\n",
			 scalars[i].yaml);
		snprintf(expected, sizeof(expected), "\"spec\":{\"logPrefix\":%s}}",
			 scalars[i].json);
		m = parse(text);
		assert_non_null(strstr(m.resources[0]->text, expected));
		assert_round_trip(&m);
		cv_manifest_fini(&m);
	}
}

/* Lines that may stand in any order, and each may be left out but for the first needed ones. */
static const struct {
	const char *head;
	size_t needed;
	const char *lines[14];
} shuffled[] = {
	{"projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}",
	 1,
	 {"cidr: 10.0.0.0/8", "ipipMode: Always", "vxlanMode: Never", "natOutgoing: true",
	  "blockSize: 28", "nodeSelector: \"has(a)\"", "namespaceSelector: all()",
	  "disabled: false", "disableBGPExport: true", "allowedUses: [Tunnel, Workload]",
	  "assignmentMode: Automatic", "nat-outgoing: false"}},
	{"projectcalico.org/v3\nkind: Node\nmetadata: {name: p}",
	 0,
	 {"bgp: {asNumber: 3.4, ipv6Address: \"fd00::1/64\", ipv4Address: 10.0.0.1}",
	  "ipv4VXLANTunnelAddr: 10.0.0.2", "vxlanTunnelMACAddr: \"66:aa:bb:cc:dd:ee\"",
	  "orchRefs: [{nodeName: p, orchestrator: k8s}]", "wireguard: {}", "addresses: []",
	  "interfaces: [{name: eth0}]"}},
	{"projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: default}",
	 0,
	 {"ipipMTU: 0", "ipipEnabled: false", "natPortRange: 9", "natOutgoingAddress: 10.0.0.1",
	  "externalNodesList: []", "deviceRouteProtocol: 0", "bpfLogFilters: {b: x, a: [2, y]}",
	  "xdpEnabled: true", "awsSrcDstCheck: Disable", "healthPort: 9099",
	  "mtuIfacePattern: ^e"}},
	{"projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {name: default}",
	 0,
	 {"asNumber: 3.4", "nodeToNodeMeshEnabled: true", "listenPort: 9", "bindMode: None",
	  "nodeMeshPassword: {secretKeyRef: {key: k, name: s}}", "nodeMeshMaxRestartTime: 1.5m",
	  "programClusterRoutes: Disabled", "ignoredInterfaces: [b, \"*\"]", "communities: []",
	  "prefixAdvertisements: [{cidr: 10.0.0.0/8, communities: [\"1:2\"]}]",
	  "serviceLoadBalancerAggregation: Enabled", "logSeverityScreen: Info"}},
	{"projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: p}",
	 1,
	 {"peerIP: 10.0.0.1", "asNumber: \"3.4\"", "localASNumber: 7", "nodeSelector: has(a)",
	  "password: {secretKeyRef: {optional: false, key: k, name: s}}", "filters: [b, a]",
	  "keepOriginalNextHop: false", "nextHopMode: Keep", "maxRestartTime: 0s",
	  "keepaliveTime: 1m", "ttlSecurity: 1", "numAllowedLocalASNumbers: 0",
	  "reachableBy: 10.0.0.2", "reversePeering: Manual"}},
	{"projectcalico.org/v3\nkind: BGPFilter\nmetadata: {name: f}",
	 0,
	 {"importV4: [{matchOperator: In, action: Accept, cidr: 10.0.0.0/8}, {action: Reject}]",
	  "exportV4: [{prefixLength: {max: 9, min: 3}, interface: e, cidr: 0.0.0.0/0, action: "
	  "Accept, matchOperator: NotIn, source: RemotePeers}]",
	  "exportV6: []", "importV6: [{action: Accept}]"}},
	{"culvert/v1\nkind: Tunnel\nmetadata: {name: tun1}",
	 0,
	 {"remote: any", "local: 10.0.0.1", "ttl: inherit", "tos: inherit", "strict: true",
	  "ecn: normal", "up: true", "mode: ipip", "dev: e0", "node: n1", "routes: []",
	  "addresses: [10.0.0.1/8]", "pmtudisc: true", "mssclamp: off"}},
	{"culvert/v1\nkind: Workload\nmetadata: {name: w}",
	 2,
	 {"node: n1", "addresses: [10.0.0.0/8]", "device: d"}},
};

/* The canonical text of the lines of a kind that are in chosen, in this order. */
static char *text_of(size_t kind, const size_t *order, size_t count, uint32_t chosen)
{
	char text[2048];
	struct cv_manifest m;
	char *canonical;
	int length =
		snprintf(text, sizeof(text), "apiVersion: %s\nspec:\n  {}\n", shuffled[kind].head);

	if (chosen)
		length -= 5;
	for (size_t i = 0; i < count; i++) {
		if (chosen & 1U << order[i])
			length += snprintf(text + length, sizeof(text) - (size_t)length, "  %s\n",
					   shuffled[kind].lines[order[i]]);
	}
	m = parse(text);
	assert_int_equal(m.count, 1);
	assert_round_trip(&m);
	canonical = strdup(m.resources[0]->text);
	cv_manifest_fini(&m);
	return canonical;
}

static void order_means_nothing(void **state)
{
	unsigned int seed = 4;

	(void)state;
	for (size_t round = 0; round < 400; round++) {
		size_t kind = round % (sizeof(shuffled) / sizeof(shuffled[0])), count = 0;
		size_t straight[14], order[14];
		uint32_t chosen = (uint32_t)rand_r(&seed) | ((1U << shuffled[kind].needed) - 1);
		char *a, *b;

		for (; count < 14 && shuffled[kind].lines[count]; count++)
			straight[count] = order[count] = count;
		chosen &= (1U << count) - 1;
		for (size_t i = count - 1; i; i--) {
			size_t other = (size_t)rand_r(&seed) % (i + 1), kept = order[i];

			order[i] = order[other];
			order[other] = kept;
		}
		a = text_of(kind, straight, count, chosen);
		b = text_of(kind, order, count, chosen);
		assert_string_equal(a, b);
		free(a);
		free(b);
	}
}

static void prints_yaml_as_people_write_it(void **state)
{
	struct cv_manifest m = parse(EVERY_KIND);
	char *yaml = cv_manifest_print_yaml(m.resources, m.count);

	(void)state;
	assert_string_equal(yaml, EVERY_KIND);
	free(yaml);
	yaml = cv_manifest_print_yaml(m.resources, 0);
	assert_string_equal(yaml, "");
	free(yaml);
	cv_manifest_fini(&m);
}

static void prints_no_yaml_of_broken_texts(void **state)
{
	static const char *const texts[] = {"",	       "{",	     "{}",	   "[]",
					    "{\"a\"}", "{\"a\":1",   "{\"a\":}",   "{\"a\":1}x",
					    "{\"a",    "{\"a\":[1",  "{\"a\":\"b", "{\"a\":1 }",
					    "{\"a\\",  "{\"a\":[1}", "null"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_null(cv_manifest_yaml_from_text(&texts[i], 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_string_survives),
		cmocka_unit_test(every_scalar_survives),
		cmocka_unit_test(order_means_nothing),
		cmocka_unit_test(prints_yaml_as_people_write_it),
		cmocka_unit_test(prints_no_yaml_of_broken_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
