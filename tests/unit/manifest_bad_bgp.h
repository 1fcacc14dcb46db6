/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests of BGP that are refused, each with its exact message behind the file's name. For
 * model_bgp_test.c alone.
 */
#ifndef CV_TESTS_UNIT_MANIFEST_BAD_BGP_H
#define CV_TESTS_UNIT_MANIFEST_BAD_BGP_H

/* clang-format off */
#define OF(kind, name, spec)                                                                      \
	"apiVersion: projectcalico.org/v3\nkind: " kind "\nmetadata: {name: " name "}\nspec:\n" spec
#define CONFIG(spec)	OF("BGPConfiguration", "default", spec)
#define NODES_OWN(spec)	OF("BGPConfiguration", "node.a1", spec)
#define PEER(spec)	OF("BGPPeer", "tor", spec)
#define TOR(spec)	OF("BGPPeer", "tor", "  peerIP: 192.0.2.1\n" spec)
#define FILTER(spec)	OF("BGPFilter", "f", spec)
#define RULE(rule)	OF("BGPFilter", "f", "  exportV4:\n  - {" rule "}\n")
#define REFLECTOR(id)	OF("Node", "rr", "  bgp: {routeReflectorClusterID: " id "}\n")
#define FELIX(spec)	OF("FelixConfiguration", "default", spec)

/* clang-format on */
static const struct {
	const char *text, *message;
} manifest_bad_bgp[] = {

	/* BGPConfiguration: names */
	{OF("BGPConfiguration", "a1", "  {}\n"),
	 "3:18: metadata.name: a BGPConfiguration is \"default\", for all nodes, or \"node.NAME\", "
	 "for one; rename a1"},
	{OF("BGPConfiguration", "node", "  {}\n"),
	 "3:18: metadata.name: a BGPConfiguration is \"default\", for all nodes, or \"node.NAME\", "
	 "for one; rename node"},
	{OF("BGPConfiguration", "Default", "  {}\n"),
	 "3:18: metadata.name \"Default\" has the character 'D'; use lower-case letters, digits, "
	 "'-' and '.'"},
	{NODES_OWN("  asNumber: 64512\n"),
	 "5:3: spec.asNumber does not belong into a single node's BGPConfiguration; give the Node "
	 "its spec.bgp.asNumber"},
	{NODES_OWN("  listenPort: 179\n  nodeToNodeMeshEnabled: false\n"),
	 "6:3: spec.nodeToNodeMeshEnabled does not belong into a single node's BGPConfiguration; "
	 "it is said in BGPConfiguration default, for all nodes"},
	{NODES_OWN("  nodeMeshPassword: {secretKeyRef: {name: a, key: b}}\n"),
	 "5:3: spec.nodeMeshPassword does not belong into a single node's BGPConfiguration; it is "
	 "said in BGPConfiguration default, for all nodes"},
	{NODES_OWN("  nodeMeshMaxRestartTime: 2m\n"),
	 "5:3: spec.nodeMeshMaxRestartTime does not belong into a single node's BGPConfiguration; "
	 "it is said in BGPConfiguration default, for all nodes"},
	{NODES_OWN("  programClusterRoutes: Disabled\n"),
	 "5:3: spec.programClusterRoutes does not belong into a single node's BGPConfiguration; it "
	 "is said in BGPConfiguration default, for all nodes"},

	/* BGPConfiguration: fields */
	{CONFIG("  asnumber: 64512\n"),
	 "5:3: unknown field \"asnumber\" in BGPConfiguration spec; did you mean asNumber?"},
	{CONFIG("  peerIP: 192.0.2.1\n"),
	 "5:3: unknown field \"peerIP\" in BGPConfiguration spec; delete it"},
	{CONFIG("  nodeMeshEnabled: true\n"),
	 "5:3: unknown field \"nodeMeshEnabled\" in BGPConfiguration spec; delete it"},
	{CONFIG("  asNumber: 0\n"),
	 "5:13: spec.asNumber must be a number from 1 to 4294967295, or like \"64512.1\", not 0"},
	{CONFIG("  asNumber: 4294967296\n"), "5:13: spec.asNumber must be a number from 1 to "
					     "4294967295, or like \"64512.1\", not 4294967296"},
	{CONFIG("  asNumber: AS64512\n"), "5:13: spec.asNumber must be a number from 1 to "
					  "4294967295, or like \"64512.1\", not \"AS64512\""},
	{CONFIG("  asNumber: \"64512.65536\"\n"),
	 "5:13: spec.asNumber must be a number from 1 to 4294967295, or like \"64512.1\", not "
	 "\"64512.65536\""},
	{CONFIG("  asNumber: [64512]\n"), "5:13: spec.asNumber must be a number from 1 to "
					  "4294967295, or like \"64512.1\", not a list"},
	{CONFIG("  nodeToNodeMeshEnabled: Enabled\n"),
	 "5:26: spec.nodeToNodeMeshEnabled must be true or false, not \"Enabled\""},
	{CONFIG("  nodeToNodeMeshEnabled: \"false\"\n"),
	 "5:26: spec.nodeToNodeMeshEnabled must be true or false without quotes, not \"false\""},
	{CONFIG("  listenPort: 0\n"),
	 "5:15: spec.listenPort must be a whole number from 1 to 65535, not 0"},
	{CONFIG("  listenPort: 65536\n"),
	 "5:15: spec.listenPort must be a whole number from 1 to 65535, not 65536"},
	{CONFIG("  listenPort: \"179\"\n"),
	 "5:15: spec.listenPort must be a number; take the quotes off 179"},
	{CONFIG("  bindMode: NodeIp\n"),
	 "5:13: spec.bindMode must be None or NodeIP, not \"NodeIp\"; did you mean NodeIP?"},
	{CONFIG("  bindMode: 192.0.2.1\n"),
	 "5:13: spec.bindMode must be None or NodeIP, not \"192.0.2.1\""},
	{CONFIG("  nodeMeshMaxRestartTime: 120\n"),
	 "5:27: spec.nodeMeshMaxRestartTime must be a duration of whole seconds like 120s, from 0s "
	 "to 4095s, not 120"},
	{CONFIG("  nodeMeshMaxRestartTime: 1500ms\n"),
	 "5:27: spec.nodeMeshMaxRestartTime must be a duration of whole seconds like 120s, from 0s "
	 "to 4095s, not \"1500ms\""},
	{CONFIG("  nodeMeshMaxRestartTime: 4096s\n"),
	 "5:27: spec.nodeMeshMaxRestartTime must be a duration of whole seconds like 120s, from 0s "
	 "to 4095s, not \"4096s\""},
	{CONFIG("  nodeMeshMaxRestartTime: -1s\n"),
	 "5:27: spec.nodeMeshMaxRestartTime must be a duration of whole seconds like 120s, from 0s "
	 "to 4095s, not \"-1s\""},
	{CONFIG("  nodeMeshMaxRestartTime: [120s]\n"),
	 "5:27: spec.nodeMeshMaxRestartTime must be a duration of whole seconds like 120s, from 0s "
	 "to 4095s, not a list"},
	{CONFIG("  programClusterRoutes: true\n"),
	 "5:25: spec.programClusterRoutes must be Enabled or Disabled, not true"},
	{CONFIG("  programClusterRoutes: BIRD\n"),
	 "5:25: spec.programClusterRoutes must be Enabled or Disabled, not \"BIRD\""},
	{CONFIG("  ignoredInterfaces: eth0\n"),
	 "5:22: spec.ignoredInterfaces must be a list, not \"eth0\""},
	{CONFIG("  ignoredInterfaces: [\"\"]\n"),
	 "5:23: spec.ignoredInterfaces: an entry is empty; name a device, like eth0"},
	{CONFIG("  ignoredInterfaces: [eth0, \"eth0; drop\"]\n"),
	 "5:29: spec.ignoredInterfaces: an entry \"eth0; drop\" has the character ';'; use "
	 "letters, digits, '_', '.', '-', and '*' for any others"},
	{CONFIG("  ignoredInterfaces: [\"a\\\"b\"]\n"),
	 "5:23: spec.ignoredInterfaces: an entry \"a\"b\" has the character '\"'; use letters, "
	 "digits, '_', '.', '-', and '*' for any others"},
	{CONFIG("  ignoredInterfaces: [abcdefghijklmnop]\n"),
	 "5:23: spec.ignoredInterfaces: an entry \"abcdefghijklmnop\" is longer than a device's "
	 "name, 15 characters"},
	{CONFIG("  ignoredInterfaces: [{}]\n"),
	 "5:23: spec.ignoredInterfaces: an entry must be a string, not a mapping"},
	{CONFIG("  communities: a\n"), "5:16: spec.communities must be a list, not \"a\""},
	{CONFIG("  serviceClusterIPs: {}\n"),
	 "5:22: spec.serviceClusterIPs must be a list, not a mapping"},
	{CONFIG("  logSeverityScreen: [Info]\n"),
	 "5:22: spec.logSeverityScreen must be a single value, not a list"},

	/* passwords */
	{CONFIG("  nodeMeshPassword: secret\n"),
	 "5:3: spec.nodeMeshPassword does not stand here itself, but in the file secrets/NAME/KEY; "
	 "write nodeMeshPassword: {secretKeyRef: {name: NAME, key: KEY}}"},
	{CONFIG("  nodeMeshPassword: {}\n"),
	 "5:21: spec.nodeMeshPassword needs a secretKeyRef with name and key: the password stands "
	 "in the file secrets/NAME/KEY"},
	{CONFIG("  nodeMeshPassword: {value: x}\n"),
	 "5:22: unknown field \"value\" in BGPConfiguration spec.nodeMeshPassword; delete it"},
	{CONFIG("  nodeMeshPassword: {name: x, key: y}\n"),
	 "5:22: field \"name\" does not belong into BGPConfiguration spec.nodeMeshPassword, but "
	 "into its secretKeyRef; indent it there"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {}}\n"),
	 "5:21: spec.nodeMeshPassword needs a secretKeyRef with name and key: the password stands "
	 "in the file secrets/NAME/KEY"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a}}\n"),
	 "5:21: spec.nodeMeshPassword needs a secretKeyRef with name and key: the password stands "
	 "in the file secrets/NAME/KEY"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {key: a}}\n"),
	 "5:21: spec.nodeMeshPassword needs a secretKeyRef with name and key: the password stands "
	 "in the file secrets/NAME/KEY"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a, key: b, keys: c}}\n"),
	 "5:54: unknown field \"keys\" in BGPConfiguration spec.nodeMeshPassword.secretKeyRef; did "
	 "you mean key?"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: .., key: b}}\n"),
	 "5:43: spec.nodeMeshPassword.secretKeyRef.name \"..\": what is between dots must begin "
	 "and end with a letter or digit"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: \"../x\", key: b}}\n"),
	 "5:43: spec.nodeMeshPassword.secretKeyRef.name \"../x\" has the character '/'; use "
	 "lower-case letters, digits, '-' and '.'"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a/b, key: b}}\n"),
	 "5:43: spec.nodeMeshPassword.secretKeyRef.name \"a/b\" has the character '/'; use "
	 "lower-case letters, digits, '-' and '.'"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: \"\", key: b}}\n"),
	 "5:43: spec.nodeMeshPassword.secretKeyRef.name is empty; give a name"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a, key: \"\"}}\n"),
	 "5:51: spec.nodeMeshPassword.secretKeyRef.key is no key of a secret; give the name of a "
	 "file, like \"password\""},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a, key: .}}\n"),
	 "5:51: spec.nodeMeshPassword.secretKeyRef.key is no key of a secret; give the name of a "
	 "file, like \"password\""},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a, key: ..}}\n"),
	 "5:51: spec.nodeMeshPassword.secretKeyRef.key is no key of a secret; give the name of a "
	 "file, like \"password\""},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a, key: ..data}}\n"),
	 "5:51: spec.nodeMeshPassword.secretKeyRef.key is no key of a secret; give the name of a "
	 "file, like \"password\""},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a, key: ../b}}\n"),
	 "5:51: spec.nodeMeshPassword.secretKeyRef.key has the character '/'; a key has letters, "
	 "digits, '-', '_' and '.'"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a, key: /etc/shadow}}\n"),
	 "5:51: spec.nodeMeshPassword.secretKeyRef.key has the character '/'; a key has letters, "
	 "digits, '-', '_' and '.'"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a, key: \"a b\"}}\n"),
	 "5:51: spec.nodeMeshPassword.secretKeyRef.key has the character ' '; a key has letters, "
	 "digits, '-', '_' and '.'"},
	{CONFIG("  nodeMeshPassword: {secretKeyRef: {name: a, key: [b]}}\n"),
	 "5:51: spec.nodeMeshPassword.secretKeyRef.key must be a string, not a list"},
	{CONFIG("  nodeToNodeMeshEnabled: false\n"
		"  nodeMeshPassword: {secretKeyRef: {name: a, key: b}}\n"),
	 "6:3: spec.nodeMeshPassword without a mesh, as nodeToNodeMeshEnabled is false; delete one "
	 "of them"},
	{CONFIG("  nodeToNodeMeshEnabled: false\n  nodeMeshMaxRestartTime: 10s\n"),
	 "6:3: spec.nodeMeshMaxRestartTime without a mesh, as nodeToNodeMeshEnabled is false; "
	 "delete one of them"},

	/* BGPPeer: who */
	{PEER("  {}\n"), "5:3: spec has neither peerIP nor peerSelector; give the router's "
			 "address, or which Nodes to speak with"},
	{OF("BGPPeer", "tor", ""), "1:1: spec has neither peerIP nor peerSelector; give the "
				   "router's address, or which Nodes to speak with"},
	{PEER("  asNumber: 64512\n"), "5:3: spec has neither peerIP nor peerSelector; give the "
				      "router's address, or which Nodes to speak with"},
	{PEER("  peerIP: \"\"\n  peerSelector: \"\"\n"),
	 "5:3: spec has neither peerIP nor peerSelector; give the router's address, or which Nodes "
	 "to speak with"},
	{PEER("  peerIp: 192.0.2.1\n"),
	 "5:3: unknown field \"peerIp\" in BGPPeer spec; did you mean peerIP?"},
	{PEER("  peerIP: 192.0.2\n"),
	 "5:11: spec.peerIP \"192.0.2\" is no IPv4 address; write it like 192.0.2.1"},
	{PEER("  peerIP: 192.0.2.1/24\n"),
	 "5:11: spec.peerIP \"192.0.2.1/24\" is no IPv4 address; write it like 192.0.2.1"},
	{PEER("  peerIP: tor.example.com\n"),
	 "5:11: spec.peerIP \"tor.example.com\" is no IPv4 address; write it like 192.0.2.1"},
	{PEER("  peerIP: 0.0.0.0\n"),
	 "5:11: spec.peerIP 0.0.0.0 is a reserved address; give the address of one host"},
	{PEER("  peerIP: 224.0.0.5\n"),
	 "5:11: spec.peerIP 224.0.0.5 is a multicast address; give the address of one host"},
	{PEER("  peerIP: \"127.0.0.1:179\"\n"),
	 "5:11: spec.peerIP 127.0.0.1 is a loopback address; give the address of one host"},
	{PEER("  peerIP: \"192.0.2.1:0\"\n"),
	 "5:11: spec.peerIP \"192.0.2.1:0\" is no IPv4 address with a port; write it like "
	 "192.0.2.1 or 192.0.2.1:179"},
	{PEER("  peerIP: \"192.0.2.1:65536\"\n"),
	 "5:11: spec.peerIP \"192.0.2.1:65536\" is no IPv4 address with a port; write it like "
	 "192.0.2.1 or 192.0.2.1:179"},
	{PEER("  peerIP: \"192.0.2.1:bgp\"\n"),
	 "5:11: spec.peerIP \"192.0.2.1:bgp\" is no IPv4 address with a port; write it like "
	 "192.0.2.1 or 192.0.2.1:179"},
	{PEER("  peerIP: \"192.0.2.1:\"\n"),
	 "5:11: spec.peerIP \"192.0.2.1:\" is no IPv4 address with a port; write it like 192.0.2.1 "
	 "or 192.0.2.1:179"},
	{PEER("  peerIP: \":179\"\n"), "5:11: spec.peerIP \":179\" is no IPv4 address with a port; "
				       "write it like 192.0.2.1 or 192.0.2.1:179"},
	{PEER("  peerIP: \"192.0.2.256:179\"\n"),
	 "5:11: spec.peerIP \"192.0.2.256\" is no IPv4 address; write it like 192.0.2.1"},
	{PEER("  peerIP: \"[fd00::1]\"\n"),
	 "5:11: spec.peerIP \"[fd00::1]\" is no IPv4 address with a port; write it like 192.0.2.1 "
	 "or 192.0.2.1:179"},
	{PEER("  peerIP: \"[fd00::1]:0\"\n"),
	 "5:11: spec.peerIP \"[fd00::1]:0\" is no IPv4 address with a port; write it like "
	 "192.0.2.1 or 192.0.2.1:179"},
	{PEER("  peerIP: [192.0.2.1]\n"), "5:11: spec.peerIP must be a string, not a list"},
	{TOR("  node: a1\n  nodeSelector: all()\n"),
	 "7:3: spec.nodeSelector and node cannot both be set; delete one of them"},
	{TOR("  peerSelector: all()\n"),
	 "6:3: spec.peerSelector and peerIP cannot both be set; make two BGPPeers"},
	{PEER("  peerSelector: has(rr)\n  asNumber: 64512\n"),
	 "6:3: spec.asNumber and peerSelector cannot both be set; delete asNumber: each node that "
	 "is selected has its own"},
	{PEER("  peerSelector: has(rr\n"),
	 "5:17: spec.peerSelector: column 7: expected \")\", but the selector ends there"},
	{PEER("  peerSelector: has(rr)\n  reachableBy: 192.0.2.254\n"),
	 "6:3: spec.reachableBy is the gateway towards peerIP; give peerIP, or delete it"},
	{TOR("  nodeSelector: rack = 'a'\n"),
	 "6:17: spec.nodeSelector: column 6: expected ==, !=, in, not in, contains, starts with or "
	 "ends with, but found \"= 'a'\""},
	{TOR("  nodeSelector: {rack: a}\n"),
	 "6:17: spec.nodeSelector must be a string, not a mapping"},
	{TOR("  node: Rack1\n"), "6:9: spec.node \"Rack1\" has the character 'R'; use lower-case "
				 "letters, digits, '-' and '.'"},
	{TOR("  node: \"\"\n"), "6:9: spec.node is empty; give a name"},

	/* BGPPeer: how */
	{TOR("  asNumber: 0\n"),
	 "6:13: spec.asNumber must be a number from 1 to 4294967295, or like \"64512.1\", not 0"},
	{TOR("  asNumber: -1\n"),
	 "6:13: spec.asNumber must be a number from 1 to 4294967295, or like \"64512.1\", not -1"},
	{TOR("  localASNumber: 1.2.3\n"), "6:18: spec.localASNumber must be a number from 1 to "
					  "4294967295, or like \"64512.1\", not \"1.2.3\""},
	{TOR("  localAsNumber: 1\n"),
	 "6:3: unknown field \"localAsNumber\" in BGPPeer spec; did you mean localASNumber?"},
	{TOR("  password: secret\n"),
	 "6:3: spec.password does not stand here itself, but in the file secrets/NAME/KEY; write "
	 "password: {secretKeyRef: {name: NAME, key: KEY}}"},
	{TOR("  password: [secret]\n"),
	 "6:3: spec.password does not stand here itself, but in the file secrets/NAME/KEY; write "
	 "password: {secretKeyRef: {name: NAME, key: KEY}}"},
	{TOR("  password: {secretKeyRef: secret}\n"),
	 "6:3: spec.password does not stand here itself, but in the file secrets/NAME/KEY; write "
	 "password: {secretKeyRef: {name: NAME, key: KEY}}"},
	{TOR("  password: {secretKeyRef: {name: a}}\n"),
	 "6:13: spec.password needs a secretKeyRef with name and key: the password stands in the "
	 "file secrets/NAME/KEY"},
	{TOR("  password: {secretKeyRef: {name: a, key: a/../b}}\n"),
	 "6:43: spec.password.secretKeyRef.key has the character '/'; a key has letters, digits, "
	 "'-', '_' and '.'"},
	{TOR("  sourceAddress: 192.0.2.2\n"),
	 "6:18: spec.sourceAddress must be UseNodeIP or None, not \"192.0.2.2\""},
	{TOR("  sourceAddress: UseNodeIp\n"), "6:18: spec.sourceAddress must be UseNodeIP or None, "
					      "not \"UseNodeIp\"; did you mean UseNodeIP?"},
	{TOR("  nextHopMode: self\n"),
	 "6:16: spec.nextHopMode must be Auto, Self or Keep, not \"self\"; did you mean Self?"},
	{TOR("  nextHopMode: Self\n  keepOriginalNextHop: true\n"),
	 "7:3: spec.keepOriginalNextHop and nextHopMode cannot both be set; delete "
	 "keepOriginalNextHop, which is the old word for nextHopMode: Keep"},
	{TOR("  keepOriginalNextHop: yes\n"),
	 "6:24: spec.keepOriginalNextHop must be true or false; YAML has no yes any more, write "
	 "the one you mean"},
	{TOR("  maxRestartTime: 2h\n"), "6:19: spec.maxRestartTime must be a duration of whole "
					"seconds like 120s, from 0s to 4095s, not \"2h\""},
	{TOR("  keepaliveTime: 0s\n"), "6:18: spec.keepaliveTime must be a duration of whole "
				       "seconds like 120s, from 1s to 21845s, not \"0s\""},
	{TOR("  keepaliveTime: 21846s\n"), "6:18: spec.keepaliveTime must be a duration of whole "
					   "seconds like 120s, from 1s to 21845s, not \"21846s\""},
	{TOR("  keepaliveTime: 10\n"), "6:18: spec.keepaliveTime must be a duration of whole "
				       "seconds like 120s, from 1s to 21845s, not 10"},
	{TOR("  ttlSecurity: 255\n"),
	 "6:16: spec.ttlSecurity must be a whole number from 0 to 254, not 255"},
	{TOR("  ttlSecurity: true\n"),
	 "6:16: spec.ttlSecurity must be a whole number from 0 to 254, not true"},
	{TOR("  numAllowedLocalASNumbers: 256\n"),
	 "6:29: spec.numAllowedLocalASNumbers must be a whole number from 0 to 255, not 256"},
	{TOR("  reachableBy: 192.0.2.1\n"),
	 "6:16: spec.reachableBy is peerIP itself; give the gateway towards it, or delete it"},
	{TOR("  reachableBy: \"fd00::1\"\n"), "6:16: spec.reachableBy fd00::1 is IPv6, and peerIP "
					      "is not; give the gateway's IPv4 address"},
	{TOR("  reachableBy: eth0\n"),
	 "6:16: spec.reachableBy \"eth0\" is no IPv4 address; write it like 192.0.2.1"},
	{TOR("  reversePeering: Automatic\n"),
	 "6:19: spec.reversePeering must be Auto or Manual, not \"Automatic\""},
	{TOR("  filters: f\n"), "6:12: spec.filters must be a list, not \"f\""},
	{TOR("  filters: [f, F]\n"), "6:16: spec.filters: an entry \"F\" has the character 'F'; "
				     "use lower-case letters, digits, '-' and '.'"},
	{TOR("  filters: [f, 3]\n"),
	 "6:16: spec.filters: an entry must be a string, not 3; put it in quotes: \"3\""},
	{TOR("  filters: [\"\"]\n"), "6:13: spec.filters: an entry is empty; give a name"},
	{TOR("  filter: [f]\n"),
	 "6:3: unknown field \"filter\" in BGPPeer spec; did you mean filters?"},

	/* BGPFilter */
	{FILTER("  export: []\n"),
	 "5:3: unknown field \"export\" in BGPFilter spec; did you mean exportV4?"},
	{FILTER("  exportV4: {action: Accept}\n"),
	 "5:13: spec.exportV4 must be a list, not a mapping"},
	{FILTER("  exportV4: [Accept]\n"),
	 "5:14: a BGPFilter's rule must be a mapping, not \"Accept\""},
	{FILTER("  exportV4: [null]\n"),
	 "5:14: spec.exportV4: action is missing; write Accept or Reject"},
	{FILTER("  importV6: {}\n"), "5:13: spec.importV6 must be a list, not a mapping"},
	{RULE(""), "6:5: spec.exportV4: action is missing; write Accept or Reject"},
	{RULE("action: accept"), "6:14: spec.exportV4: action must be Accept or Reject, not "
				 "\"accept\"; did you mean Accept?"},
	{RULE("action: Allow"),
	 "6:14: spec.exportV4: action must be Accept or Reject, not \"Allow\""},
	{RULE("action: Accept, cidr: 10.0.0.0/8"),
	 "6:22: spec.exportV4: cidr needs a matchOperator; write Equal, NotEqual, In or NotIn"},
	{RULE("action: Accept, cidr: \"\", matchOperator: In"),
	 "6:32: spec.exportV4: matchOperator needs a cidr that it is about; give one, or delete "
	 "it"},
	{RULE("action: Accept, matchOperator: In"),
	 "6:22: spec.exportV4: matchOperator needs a cidr that it is about; give one, or delete "
	 "it"},
	{RULE("action: Accept, matchOperator: in, cidr: 10.0.0.0/8"),
	 "6:37: spec.exportV4: matchOperator must be Equal, NotEqual, In or NotIn, not \"in\"; did "
	 "you mean In?"},
	{RULE("action: Accept, matchOperator: In, cidr: 10.0.0.1/8"),
	 "6:47: spec.exportV4: cidr 10.0.0.1/8 has bits set behind its prefix length; the network "
	 "is 10.0.0.0/8"},
	{RULE("action: Accept, matchOperator: In, cidr: 10.0.0.1"),
	 "6:47: spec.exportV4: cidr \"10.0.0.1\" is no IPv4 prefix; write it like 10.244.0.0/16"},
	{RULE("action: Accept, matchOperator: In, cidr: \"fd00::/8\""),
	 "6:47: spec.exportV4: cidr fd00::/8 is IPv6; its rules stand in exportV6 and importV6"},
	{RULE("action: Accept, matchOperator: In, cidr: all"),
	 "6:47: spec.exportV4: cidr \"all\" is no IPv4 prefix; write it like 10.244.0.0/16"},
	{RULE("action: Accept, prefixLength: {max: 24}"),
	 "6:22: spec.exportV4: prefixLength needs a cidr; write cidr: 0.0.0.0/0 with "
	 "matchOperator: In for every route"},
	{RULE("action: Accept, matchOperator: In, cidr: 10.0.0.0/8, prefixLength: 24"),
	 "6:73: prefixLength of a BGPFilter's rule must be a mapping, not 24"},
	{RULE("action: Accept, matchOperator: In, cidr: 10.0.0.0/8, prefixLength: {max: 33}"),
	 "6:79: spec.exportV4: prefixLength.max must be a whole number from 0 to 32, not 33"},
	{RULE("action: Accept, matchOperator: In, cidr: 10.0.0.0/8, prefixLength: {min: -1}"),
	 "6:79: spec.exportV4: prefixLength.min must be a whole number from 0 to 32, not -1"},
	{RULE("action: Accept, matchOperator: In, cidr: 10.0.0.0/8, prefixLength: {max: 7}"),
	 "6:73: spec.exportV4: prefixLength: max 7 is less than the cidr's own 8, and no route "
	 "within it is so short"},
	{RULE("action: Accept, matchOperator: In, cidr: 10.0.0.0/8, "
	      "prefixLength: {min: 25, max: 24}"),
	 "6:73: spec.exportV4: prefixLength: min 25 is more than max, 24; swap them"},
	{RULE("action: Accept, matchOperator: In, cidr: 10.0.0.0/8, prefixLength: {maximum: 9}"),
	 "6:74: unknown field \"maximum\" in prefixLength of a BGPFilter's rule; delete it"},
	{RULE("action: Accept, source: LocalPeers"),
	 "6:30: spec.exportV4: source must be RemotePeers, not \"LocalPeers\""},
	{RULE("action: Accept, interface: \"eth 0\""),
	 "6:33: spec.exportV4: interface \"eth 0\" has the character ' '; use letters, digits, "
	 "'_', '.', '-', and '*' for any others"},
	{RULE("action: Accept, interface: a-name-too-long*"),
	 "6:33: spec.exportV4: interface \"a-name-too-long*\" is longer than a device's name, 15 "
	 "characters"},
	{RULE("action: Accept, peerType: [eBGP]"),
	 "6:32: spec.exportV4: peerType must be a single value, not a list"},
	{RULE("action: Accept, asPathPrefix: 64512"),
	 "6:36: spec.exportV4: asPathPrefix must be a list, not 64512"},
	{RULE("action: Reject, operations: [{addCommunity: {value: \"1:2\"}}]"),
	 "6:22: spec.exportV4: operations are of rules that accept; delete them, or write action: "
	 "Accept"},
	{RULE("action: Accept, prefixLenght: {}"),
	 "6:22: unknown field \"prefixLenght\" in a BGPFilter's rule; did you mean prefixLength?"},
	{RULE("action: Accept, foo: 1"),
	 "6:22: unknown field \"foo\" in a BGPFilter's rule; delete it"},

	/* others' fields */
	{REFLECTOR("244.0.0"), "5:34: spec.bgp.routeReflectorClusterID \"244.0.0\" is no cluster "
			       "ID; write it like 244.0.0.1"},
	{REFLECTOR("244.0.0.1/32"), "5:34: spec.bgp.routeReflectorClusterID \"244.0.0.1/32\" is no "
				    "cluster ID; write it like 244.0.0.1"},
	{REFLECTOR("0.0.0.0"), "5:34: spec.bgp.routeReflectorClusterID \"0.0.0.0\" is no cluster "
			       "ID; write it like 244.0.0.1"},
	{REFLECTOR("5"),
	 "5:34: spec.bgp.routeReflectorClusterID must be a string, not 5; put it in quotes: \"5\""},
	{REFLECTOR("\"fd00::1\""), "5:34: spec.bgp.routeReflectorClusterID \"fd00::1\" is no "
				   "cluster ID; write it like 244.0.0.1"},
	{FELIX("  programClusterRoutes: enabled\n"),
	 "5:25: spec.programClusterRoutes must be Enabled or Disabled, not \"enabled\"; did you "
	 "mean Enabled?"},
	{FELIX("  programClusterRoutes: true\n"),
	 "5:25: spec.programClusterRoutes must be Enabled or Disabled, not true"},
};
#undef OF
#undef CONFIG
#undef NODES_OWN
#undef PEER
#undef TOR
#undef FILTER
#undef RULE
#undef REFLECTOR
#undef FELIX

#endif
