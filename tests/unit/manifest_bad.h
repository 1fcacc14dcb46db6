/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests that are refused, each with its exact message behind the file's name. For
 * model_manifest_test.c alone.
 */
#ifndef CV_TESTS_UNIT_MANIFEST_BAD_H
#define CV_TESTS_UNIT_MANIFEST_BAD_H

#include <stddef.h>

struct manifest_bad {
	const char *text;
	size_t length;
	const char *message;
};

/* clang-format off */
#define BYTES(text)  text, sizeof(text) - 1
#define CALICO(text) BYTES("apiVersion: projectcalico.org/v3\n" text)
#define OF(version, kind, name, spec)                                                       \
	BYTES("apiVersion: " version "\nkind: " kind "\nmetadata:\n  name: " name "\nspec:" \
										  "\n" spec)
#define METADATA(text)	  CALICO("kind: Node\nmetadata:\n" text "spec: {}\n")
#define POOL(spec)	  OF("projectcalico.org/v3", "IPPool", "p", spec)
#define NODE(spec)	  OF("projectcalico.org/v3", "Node", "a1", spec)
#define BLOCK(spec)	  OF("projectcalico.org/v3", "BlockAffinity", "p", spec)
#define RESERVATION(spec) OF("projectcalico.org/v3", "IPReservation", "p", spec)
#define FELIX(spec)	  OF("projectcalico.org/v3", "FelixConfiguration", "default", spec)
#define TUNNEL(spec)	  OF("culvert/v1", "Tunnel", "tun1", spec)
#define WORKLOAD(spec)	  OF("culvert/v1", "Workload", "p", spec)
#define PATHS(spec)	  OF("culvert/v1", "PathConfiguration", "default", spec)
/* clang-format on */

static const struct manifest_bad manifest_bad[] = {

	/* YAML itself */
	{BYTES("a: b: c\n"), "1:5: mapping values are not allowed in this context; indent it as "
			     "its neighbours are, or put a value with ': ' in it in quotes"},
	{BYTES("a: 1\n b: 2\n"), "2:3: mapping values are not allowed in this context; indent it "
				 "as its neighbours are, or put a value with ': ' in it in quotes"},
	{BYTES("kind: IPPool\nspec:\n\tcidr: 10.0.0.0/8\n"),
	 "3:1: a tab; YAML is indented with spaces alone"},
	{BYTES("a: {b: 1\n"), "1:4: did not find expected ',' or '}'; close the { or add a comma"},
	{BYTES("a: [1, 2\n"), "1:4: did not find expected ',' or ']'; close the [ or add a comma"},
	{BYTES("a: \"x\n"), "1:4: found unexpected end of stream; close the quotes"},
	{BYTES("a: 'x\n"), "1:4: found unexpected end of stream; close the quotes"},
	{BYTES("a: @x\n"),
	 "1:4: found character that cannot start any token; put the value in quotes"},
	{BYTES("a: \"\\q\"\n"),
	 "1:5: found unknown escape character; write \\\\ for a backslash, or use single quotes"},
	{BYTES("a: - b\n"), "1:4: block sequence entries are not allowed in this context; begin a "
			    "list on a line of its own"},
	{BYTES("- a\nb: c\n"), "2:1: did not find expected '-' indicator; begin each entry of a "
			       "list with - in one column"},
	{BYTES("kind: IPPool\napiVersion: projectcalico.org/v3\n---\nb\n"),
	 "1:1: metadata.name is missing; every IPPool needs it"},
	{BYTES("a: &x 1\n"),
	 "1:4: an anchor (&); write the value out wherever it is needed, or put it in quotes"},
	{BYTES("a: *x\n"), "1:4: an alias (*); write the value out, or put it in quotes"},
	{BYTES("a: !!int \"3\"\n"), "1:4: a tag (!); delete it, or put the value in quotes"},
	{BYTES("? [a]\n: b\n"), "1:3: a list or a mapping as a key; write a word there"},
	{BYTES("{{ .Values }}\n"), "1:2: the {{ }} of a template; fill it in first: helm template "
				   "CHART | culvert apply -f -"},
	{BYTES("a: 1\n<<<<<<< HEAD\nb: 2\n=======\n"),
	 "2:1: a merge conflict; resolve it, and delete the lines <<<<<<<, ======= and >>>>>>>"},
	{BYTES("a: 1\n\302\240 b: 2\n"), "2:1: a no-break space (U+00A0); write a plain one"},
	{BYTES("resources: [a.yaml]\n"),
	 "1:1: no resource: it has neither apiVersion nor kind; leave it out"},
	{BYTES("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"),
	 "2:7: Kustomization: Culvert does not build; write kubectl kustomize DIRECTORY | culvert "
	 "apply -f -"},
	{POOL("  <<: {cidr: 10.0.0.0/8}\n"), "6:3: a merge (<<); write the fields out"},
	{POOL("  cidr: \342\200\23410.0.0.0/8\342\200\235\n"),
	 "6:9: spec.cidr is in typographic quotes; write plain ones, or none"},
	{CALICO("kind: IPPool\nmetadata: {name: p}\ncidr: 10.0.0.0/8\n"),
	 "4:1: field \"cidr\" does not belong beside IPPool's spec, but into it; indent it there"},
	{NODE("  ipv4Address: 192.0.2.1/24\n"),
	 "6:3: field \"ipv4Address\" does not belong into Node spec, but into its bgp; indent it "
	 "there"},
	{BYTES("a: \"\\0\"\n"), "1:4: a NUL character in a string; delete it"},
	{BYTES("a: \377\n"), "1:4: no valid UTF-8; save the file as UTF-8"},
	{BYTES("a: \001\n"),
	 "1:4: a control character; delete it, or write it as an escape in double quotes"},
	{BYTES("a: 1\nb: 2\na: 3\n"), "3:1: \"a\" is given twice, first in line 1; delete one"},
	{BYTES("\377\376a\000"), "1:1: UTF-16; save the file as UTF-8"},
	{BYTES("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
	 "1:65: more than 64 levels deep; no resource is like that"},
	{BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1\n"),
	 "1:1: a key of more than 320 bytes; no field or label is like that"},
	{BYTES("%YAML 3.0\n---\na: 1\n"),
	 "1:1: found incompatible YAML document; write %YAML 1.2, or delete the line"},
	{BYTES("\"a\\tb\": 1\n"), "1:1: a control character in a key; delete it"},
	{BYTES("{\"a\":\"\\ud83d\\ude00\"}\n"),
	 "1:9: found invalid Unicode character escape code; write the character itself"},
	{BYTES("a:\n- 1\n  - 2\n b: 3\n"),
	 "4:3: mapping values are not allowed in this context; indent it as its neighbours are, or "
	 "put a value with ': ' in it in quotes"},

	/* What a resource is */
	{BYTES("just words\n"), "1:1: a resource must be a mapping with apiVersion, kind, metadata "
				"and spec, not \"just words\""},
	{BYTES("[1]\n"),
	 "1:1: a resource must be a mapping with apiVersion, kind, metadata and spec, not a list"},
	{BYTES("apiversion: projectcalico.org/v3\nkind: IPPool\n"),
	 "1:1: unknown field \"apiversion\" in a resource; did you mean apiVersion?"},
	{BYTES("kind: IPPool\n"), "1:1: apiVersion is missing; write projectcalico.org/v3, or "
				  "culvert/v1 for a Tunnel or Workload"},
	{CALICO(""), "1:1: kind is missing; write, for instance, kind: IPPool"},
	{CALICO("kind: ippool\nmetadata: {name: p}\n"),
	 "2:7: unknown kind \"ippool\"; did you mean IPPool?"},
	{CALICO("kind: IPPol\n"), "2:7: unknown kind \"IPPol\"; did you mean IPPool?"},
	{BYTES("apiVersion: v1\nkind: ConfigMap\ndata: {}\n"),
	 "2:7: unknown kind \"ConfigMap\"; leave it out: there are IPPool, Node, BlockAffinity, "
	 "IPReservation, "
	 "FelixConfiguration, Tunnel, Workload, PathConfiguration, BGPConfiguration, "
	 "BGPPeer, BGPFilter and IPAMConfiguration"},
	{BYTES("apiVersion: operator.tigera.io/v1\nkind: Installation\n"),
	 "2:7: Installation is the Calico operator's; take what it made of it: kubectl get "
	 "ippools.crd.projectcalico.org -o yaml"},
	{BYTES("apiVersion: v1\nkind: Node\nmetadata: {name: a}\n"),
	 "1:13: this is Kubernetes' own Node; make resources of it with: kubectl get nodes -o json "
	 "| culvert import -"},
	{BYTES("apiVersion: culvert/v1\nkind: IPPool\n"),
	 "1:13: kind IPPool is of apiVersion projectcalico.org/v3, not \"culvert/v1\""},
	{CALICO("kind: Tunnel\n"),
	 "1:13: kind Tunnel is of apiVersion culvert/v1, not \"projectcalico.org/v3\""},
	{BYTES("apiVersion: projectcalico.org/v2\nkind: IPPool\n"),
	 "1:13: kind IPPool is of apiVersion projectcalico.org/v3, not \"projectcalico.org/v2\""},
	{BYTES("apiVersion: culvert/v1\nkind: BGPPeer\n"),
	 "1:13: kind BGPPeer is of apiVersion projectcalico.org/v3, not \"culvert/v1\""},
	{BYTES("apiVersion: 3\nkind: IPPool\n"),
	 "1:13: apiVersion must be a string, not 3; put it in quotes: \"3\""},
	{CALICO("kind: [IPPool]\n"), "2:7: kind must be a string, not a list"},
	{CALICO("kind: IPPool\nmetadata: {name: p}\nspce: {}\n"),
	 "4:1: unknown field \"spce\" in IPPool; did you mean spec?"},
	{CALICO("kind: IPPool\nmetadata: {name: p}\nfoo: {}\n"),
	 "4:1: unknown field \"foo\" in IPPool; delete it"},
	{CALICO("kind: IPPool\nmetadata: {name: p}\n"),
	 "1:1: spec.cidr is missing; every IPPool needs it"},
	{CALICO("kind: IPPool\nmetadata: {name: p}\nspec: []\n"),
	 "4:7: IPPool spec must be a mapping, not a list"},
	{BYTES("apiVersion: v1\nkind: List\nitems: {}\n"),
	 "3:8: items must be a list, not a mapping"},
	{BYTES("apiVersion: v1\nkind: List\nitems:\n- apiVersion: culvert/v1\n"),
	 "4:3: kind is missing; write, for instance, kind: IPPool"},
	{CALICO("kind: IPPoolList\nitems:\n- metadata: {name: p}\n  spec: {cidr: 10.0.0.0/8}\n- "
		"metadata: {name: q}\n  spec: {cidr: 10.0.0.0/33}\n"),
	 "7:16: spec.cidr \"10.0.0.0/33\" is no IPv4 prefix; write it like 10.244.0.0/16"},
	{BYTES("apiVersion: v1\nkind: NodeList\nitems:\n- metadata: {name: a}\n"),
	 "4:3: this is Kubernetes' own Node; make resources of it with: kubectl get nodes -o json "
	 "| culvert import -"},

	/* Metadata */
	{METADATA("  labels: {}\n"), "4:3: metadata.name is missing; every Node needs it"},
	{METADATA("  name: 123\n"),
	 "4:9: metadata.name must be a string, not 123; put it in quotes: \"123\""},
	{METADATA("  name: yes\n"),
	 "4:9: metadata.name must be a string, not yes; put it in quotes: \"yes\""},
	{METADATA("  name: \"\"\n"), "4:9: metadata.name is empty; give a name"},
	{METADATA("  name: A1\n"), "4:9: metadata.name \"A1\" has the character 'A'; use "
				   "lower-case letters, digits, '-' and '.'"},
	{METADATA("  name: a_1\n"), "4:9: metadata.name \"a_1\" has the character '_'; use "
				    "lower-case letters, digits, '-' and '.'"},
	{METADATA("  name: -a\n"), "4:9: metadata.name \"-a\": what is between dots must begin and "
				   "end with a letter or digit"},
	{METADATA("  name: a..b\n"), "4:9: metadata.name \"a..b\": what is between dots must begin "
				     "and end with a letter or digit"},
	{METADATA("  name: a.\n"), "4:9: metadata.name \"a.\": what is between dots must begin and "
				   "end with a letter or digit"},
	{METADATA("  name: "
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaa\n"),
	 "4:9: metadata.name has more than 253 characters"},
	{METADATA("  name: [a]\n"), "4:9: metadata.name must be a string, not a list"},
	{METADATA("  name: a\n  label: {}\n"),
	 "5:3: unknown field \"label\" in metadata; did you mean labels?"},
	{METADATA("  name: a\n  labels: []\n"),
	 "5:11: metadata.labels must be a mapping, not a list"},
	{METADATA("  name: a\n  labels: {rack: 1}\n"),
	 "5:18: metadata.labels: rack must be a string, not 1; put it in quotes: \"1\""},
	{METADATA("  name: a\n  labels: {ssd: true}\n"),
	 "5:17: metadata.labels: ssd must be a string, not true; put it in quotes: \"true\""},
	{METADATA("  name: a\n  labels: {\"a b\": c}\n"),
	 "5:12: metadata.labels: \"a b\" has a character that a label cannot have; use letters, "
	 "digits, '-', '_', '.' and '/'"},
	{METADATA("  name: a\n  labels: {a: \"b c\"}\n"),
	 "5:15: metadata.labels: a: \"b c\" is no label's value; use letters, digits, and '-', "
	 "'_', '.' between them"},
	{METADATA("  name: a\n  labels: {a: "
		  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb}\n"),
	 "5:15: metadata.labels: a has a value of more than 63 characters"},
	{METADATA("  name: a\n  annotations: {a: 1.5}\n"),
	 "5:20: metadata.annotations: a must be a string, not 1.5; put it in quotes: \"1.5\""},
	{METADATA("  name: a\n  annotations: a\n"),
	 "5:16: metadata.annotations must be a mapping, not \"a\""},
	{METADATA("  name: a\n  labels: {\"\": c}\n"),
	 "5:12: metadata.labels: a label without a name"},
	{CALICO("kind: Node\n"), "1:1: metadata.name is missing; every Node needs it"},
	{METADATA("  nam: a\n"), "4:3: unknown field \"nam\" in metadata; did you mean name?"},

	/* IPPool */
	{POOL("  cidr: 10.0.0.0/8\n  ipipmode: Always\n"),
	 "7:3: unknown field \"ipipmode\" in IPPool spec; did you mean ipipMode?"},
	{POOL("  ipipMode: Always\n"), "6:3: spec.cidr is missing; every IPPool needs it"},
	{POOL("  cidr: 10.0.0.1/8\n"), "6:9: spec.cidr 10.0.0.1/8 has bits set behind its prefix "
				       "length; the network is 10.0.0.0/8"},
	{POOL("  cidr: 10.0.0.0\n"),
	 "6:9: spec.cidr \"10.0.0.0\" is no IPv4 prefix; write it like 10.244.0.0/16"},
	{POOL("  cidr: 10.0.0.0/33\n"),
	 "6:9: spec.cidr \"10.0.0.0/33\" is no IPv4 prefix; write it like 10.244.0.0/16"},
	{POOL("  cidr: 10.0.0/8\n"),
	 "6:9: spec.cidr \"10.0.0/8\" is no IPv4 prefix; write it like 10.244.0.0/16"},
	{POOL("  cidr: 10\n"),
	 "6:9: spec.cidr \"10\" is no IPv4 prefix; write it like 10.244.0.0/16"},
	{POOL("  cidr: fd00::/129\n"),
	 "6:9: spec.cidr \"fd00::/129\" is no IPv4 prefix; write it like 10.244.0.0/16"},
	{POOL("  cidr: 0.0.0.0/0\n"),
	 "6:9: spec.cidr 0.0.0.0/0 is every address there is; give the pods' own"},
	{POOL("  cidr: 127.1.0.0/16\n"),
	 "6:9: spec.cidr 127.1.0.0/16 overlaps loopback's 127.0.0.0/8; choose another"},
	{POOL("  cidr: 169.0.0.0/8\n"),
	 "6:9: spec.cidr 169.0.0.0/8 overlaps the link-local 169.254.0.0/16; choose another"},
	{POOL("  cidr: 224.0.0.0/8\n"),
	 "6:9: spec.cidr 224.0.0.0/8 overlaps multicast's 224.0.0.0/4; choose another"},
	{POOL("  cidr: 10.0.0.0/8\n  ipipMode: always\n"),
	 "7:13: spec.ipipMode must be Never, Always or CrossSubnet, not \"always\"; did you mean "
	 "Always?"},
	{POOL("  cidr: 10.0.0.0/8\n  ipipMode: CrossSubnets\n"),
	 "7:13: spec.ipipMode must be Never, Always or CrossSubnet, not \"CrossSubnets\"; did you "
	 "mean CrossSubnet?"},
	{POOL("  cidr: 10.0.0.0/8\n  ipipMode: Sometimes\n"),
	 "7:13: spec.ipipMode must be Never, Always or CrossSubnet, not \"Sometimes\""},
	{POOL("  cidr: 10.0.0.0/8\n  ipipMode: true\n"),
	 "7:13: spec.ipipMode must be Never, Always or CrossSubnet, not true"},
	{POOL("  cidr: 10.0.0.0/8\n  vxlanMode: CrossSubnet\n"),
	 "7:14: spec.vxlanMode CrossSubnet: Culvert has no VXLAN yet; write ipipMode: CrossSubnet "
	 "instead"},
	{POOL("  cidr: 10.0.0.0/8\n  vxlanMode: Always\n  ipipMode: Always\n"),
	 "7:14: spec.vxlanMode and spec.ipipMode cannot both be set; delete vxlanMode, Culvert has "
	 "no VXLAN yet"},
	{POOL("  cidr: 10.0.0.0/8\n  vxlanMode: On\n"),
	 "7:14: spec.vxlanMode must be Never, not On: Culvert has no VXLAN yet"},
	{POOL("  cidr: 10.0.0.0/8\n  vxlanMode: Sometimes\n"),
	 "7:14: spec.vxlanMode must be Never, not \"Sometimes\": Culvert has no VXLAN yet"},
	{POOL("  cidr: 10.0.0.0/8\n  natOutgoing: yes please\n"),
	 "7:16: spec.natOutgoing must be true or false, not \"yes please\""},
	{POOL("  cidr: 10.0.0.0/8\n  natOutgoing: yes\n"),
	 "7:16: spec.natOutgoing must be true or false; YAML has no yes any more, write the one "
	 "you mean"},
	{POOL("  cidr: 10.0.0.0/8\n  natOutgoing: \"true\"\n"),
	 "7:16: spec.natOutgoing must be true or false without quotes, not \"true\""},
	{POOL("  cidr: 10.0.0.0/8\n  natOutgoing: 1\n"),
	 "7:16: spec.natOutgoing must be true or false, not 1"},
	{POOL("  cidr: 10.0.0.0/8\n  natOutgoing: {}\n"),
	 "7:16: spec.natOutgoing must be true or false, not a mapping"},
	{POOL("  cidr: 10.0.0.0/8\n  blockSize: 19\n"),
	 "7:14: spec.blockSize must be a whole number from 20 to 32, not 19"},
	{POOL("  cidr: 10.0.0.0/8\n  blockSize: 33\n"),
	 "7:14: spec.blockSize must be a whole number from 20 to 32, not 33"},
	{POOL("  cidr: 10.0.0.0/8\n  blockSize: \"26\"\n"),
	 "7:14: spec.blockSize must be a number; take the quotes off 26"},
	{POOL("  cidr: 10.0.0.0/8\n  blockSize: 26.5\n"),
	 "7:14: spec.blockSize must be a whole number from 20 to 32, not 26.5"},
	{POOL("  cidr: 10.0.0.0/28\n"),
	 "6:9: spec.cidr 10.0.0.0/28 is smaller than a block, a /26; add blockSize: 28"},
	{POOL("  cidr: 10.0.0.0/28\n  blockSize: 27\n"),
	 "7:14: spec.blockSize 27: a block of that size is larger than the pool 10.0.0.0/28; write "
	 "28 to 32"},
	{POOL("  cidr: 10.0.0.0/8\n  blockSize: 99999999999999999999\n"),
	 "7:14: spec.blockSize must be a whole number from 20 to 32, not 99999999999999999999"},
	{POOL("  cidr: 10.0.0.0/8\n  nodeSelector: zone ==\n"),
	 "7:17: spec.nodeSelector: column 8: expected a string in quotes, but the selector ends "
	 "there"},
	{POOL("  cidr: 10.0.0.0/8\n  nodeSelector: 3\n"),
	 "7:17: spec.nodeSelector must be a string, not 3; put it in quotes: \"3\""},
	{POOL("  cidr: 10.0.0.0/8\n  namespaceSelector: has(\n"),
	 "7:22: spec.namespaceSelector: column 5: expected a label's name, but the selector ends "
	 "there"},
	{POOL("  cidr: 10.0.0.0/8\n  allowedUses: Workload\n"),
	 "7:16: spec.allowedUses must be a list, not \"Workload\""},
	{POOL("  cidr: 10.0.0.0/8\n  allowedUses: [Pods]\n"),
	 "7:17: spec.allowedUses: an entry must be Workload, Tunnel or LoadBalancer, not \"Pods\""},
	{POOL("  cidr: 10.0.0.0/8\n  allowedUses: [Tunnel, workload]\n"),
	 "7:25: spec.allowedUses: an entry must be Workload, Tunnel or LoadBalancer, not "
	 "\"workload\"; did you mean Workload?"},
	{POOL("  cidr: 10.0.0.0/8\n  allowedUses: [LoadBalancer, Tunnel]\n"),
	 "7:16: spec.allowedUses: LoadBalancer does not go together with others; make two pools"},
	{POOL("  cidr: 10.0.0.0/8\n  assignmentMode: Auto\n"),
	 "7:19: spec.assignmentMode must be Automatic or Manual, not \"Auto\""},
	{POOL("  cidr: 10.0.0.0/8\n  assignmentMode: manual\n"),
	 "7:19: spec.assignmentMode must be Automatic or Manual, not \"manual\"; did you mean "
	 "Manual?"},
	{POOL("  cidr: 10.0.0.0/8\n  ipip: {enabled: true}\n"),
	 "7:3: spec.ipip is of Calico's API before v3; write ipipMode: Always or CrossSubnet"},
	{POOL("  cidr: 10.0.0.0/8\n  nat-outgoing: true\n"),
	 "7:3: spec.nat-outgoing is of Calico's API before v3; write natOutgoing: true"},
	{POOL("  cidr: 10.0.0.0/8\n  disabled: \"\"\n"),
	 "7:13: spec.disabled must be true or false, not \"\""},
	{POOL("  cidr: 10.0.0.0/8\n  colour: red\n"),
	 "7:3: unknown field \"colour\" in IPPool spec; delete it"},

	/* Node */
	{NODE("  bpg: {}\n"), "6:3: unknown field \"bpg\" in Node spec; did you mean bgp?"},
	{NODE("  bgp: 3\n"), "6:8: Node spec.bgp must be a mapping, not 3"},
	{NODE("  bgp: {ipv4Adress: 10.0.0.1}\n"),
	 "6:9: unknown field \"ipv4Adress\" in Node spec.bgp; did you mean ipv4Address?"},
	{NODE("  bgp: {ipv4Address: 10.0.0.256}\n"),
	 "6:22: spec.bgp.ipv4Address \"10.0.0.256\" is no IPv4 address; write it like "
	 "192.168.100.1/24"},
	{NODE("  bgp: {ipv4Address: 10.0.0.0/24}\n"),
	 "6:22: spec.bgp.ipv4Address 10.0.0.0/24 is the network itself; give the host's address "
	 "with its prefix length, like 192.168.100.1/24"},
	{NODE("  bgp: {ipv4Address: 10.0.0.255/24}\n"),
	 "6:22: spec.bgp.ipv4Address 10.0.0.255/24 is the network's broadcast address; give the "
	 "host's"},
	{NODE("  bgp: {ipv4Address: 224.0.0.1}\n"),
	 "6:22: spec.bgp.ipv4Address 224.0.0.1 is a multicast address; give the address of one "
	 "host"},
	{NODE("  bgp: {ipv4Address: 0.0.0.0}\n"),
	 "6:22: spec.bgp.ipv4Address 0.0.0.0 is no address; give the address of one host"},
	{NODE("  bgp: {ipv4Address: \"fd00::1\"}\n"),
	 "6:22: spec.bgp.ipv4Address fd00::1 is an IPv6 address; give an IPv4 address"},
	{NODE("  bgp: {ipv4Address: 10.0.0.1/33}\n"),
	 "6:22: spec.bgp.ipv4Address \"10.0.0.1/33\" is no IPv4 address; write it like "
	 "192.168.100.1/24"},
	{NODE("  bgp: {ipv4IPIPTunnelAddr: 10.0.0.1/32}\n"),
	 "6:29: spec.bgp.ipv4IPIPTunnelAddr \"10.0.0.1/32\" is no IPv4 address; write it like "
	 "192.0.2.1"},
	{NODE("  bgp: {ipv4IPIPTunnelAddr: 127.0.0.1}\n"),
	 "6:29: spec.bgp.ipv4IPIPTunnelAddr 127.0.0.1 is a loopback address; give the address of "
	 "one host"},
	{NODE("  bgp: {ipv4IPIPTunnelAddr: \"fd00::1\"}\n"),
	 "6:29: spec.bgp.ipv4IPIPTunnelAddr fd00::1 is an IPv6 address; give an IPv4 address"},
	{NODE("  bgp: {asNumber: 0}\n"), "6:19: spec.bgp.asNumber must be a number from 1 to "
					 "4294967295, or like \"64512.1\", not 0"},
	{NODE("  bgp: {asNumber: 4294967296}\n"),
	 "6:19: spec.bgp.asNumber must be a number from 1 to 4294967295, or like \"64512.1\", not "
	 "4294967296"},
	{NODE("  bgp: {asNumber: 65536.1}\n"), "6:19: spec.bgp.asNumber must be a number from 1 to "
					       "4294967295, or like \"64512.1\", not 65536.1"},
	{NODE("  bgp: {asNumber: -1}\n"), "6:19: spec.bgp.asNumber must be a number from 1 to "
					  "4294967295, or like \"64512.1\", not -1"},
	{NODE("  bgp: {asNumber: [1]}\n"), "6:19: spec.bgp.asNumber must be a number from 1 to "
					   "4294967295, or like \"64512.1\", not a list"},
	{NODE("  bgp: {routeReflectorClusterID: []}\n"),
	 "6:34: spec.bgp.routeReflectorClusterID must be a string, not a list"},
	{NODE("  orchRefs: {}\n"), "6:13: spec.orchRefs must be a list, not a mapping"},
	{NODE("  wireguard: none\n"), "6:14: spec.wireguard must be a mapping, not \"none\""},

	/* BlockAffinity and IPReservation */
	{BLOCK("  cidr: 10.0.0.0/26\n"), "6:3: spec.node is missing; every BlockAffinity needs it"},
	{BLOCK("  node: a1\n"), "6:3: spec.cidr is missing; every BlockAffinity needs it"},
	{BLOCK("  cidr: 10.0.0.1/26\n  node: a1\n"),
	 "6:9: spec.cidr 10.0.0.1/26 has bits set behind its prefix length; the network is "
	 "10.0.0.0/26"},
	{BLOCK("  cidr: 0.0.0.0/0\n  node: a1\n"),
	 "6:9: spec.cidr 0.0.0.0/0 is every address there is; give the node's own block"},
	{BLOCK("  cidr: 10.0.0.0/26\n  node: A1\n"), "7:9: spec.node \"A1\" has the character 'A'; "
						     "use lower-case letters, digits, '-' and '.'"},
	{BLOCK("  cidr: 10.0.0.0/26\n  node: a1\n  state: confirm\n"),
	 "8:10: spec.state must be confirmed, pending or pendingDeletion, not \"confirm\"; did you "
	 "mean confirmed?"},
	{BLOCK("  cidr: 10.0.0.0/26\n  node: a1\n  deleted: \"yes\"\n"),
	 "8:12: spec.deleted must be true or false, not \"yes\""},
	{BLOCK("  cidr: 10.0.0.0/26\n  node: a1\n  type: guest\n"),
	 "8:9: spec.type must be host or virtual, not \"guest\""},
	{BLOCK("  cidr: 10.0.0.0/26\n  host: a1\n"),
	 "7:3: unknown field \"host\" in BlockAffinity spec; delete it"},
	{RESERVATION("  reservedCIDRs: 10.0.0.0/30\n"),
	 "6:18: spec.reservedCIDRs must be a list, not \"10.0.0.0/30\""},
	{RESERVATION("  reservedCIDRs: [10.0.0.1/30]\n"),
	 "6:19: spec.reservedCIDRs: an entry 10.0.0.1/30 has bits set behind its prefix length; "
	 "the network is 10.0.0.0/30"},
	{RESERVATION("  reservedCIDRs: [3]\n"),
	 "6:19: spec.reservedCIDRs: an entry \"3\" is neither an IPv4 address nor a prefix; write "
	 "it like 10.244.1.0/24"},
	{RESERVATION("  reservedCIDRs: [ten]\n"),
	 "6:19: spec.reservedCIDRs: an entry \"ten\" is neither an IPv4 address nor a prefix; "
	 "write it like 10.244.1.0/24"},
	{RESERVATION("  reservedCidrs: []\n"),
	 "6:3: unknown field \"reservedCidrs\" in IPReservation spec; did you mean reservedCIDRs?"},

	/* FelixConfiguration */
	{FELIX("  ipipMtu: 1400\n"),
	 "6:3: unknown field \"ipipMtu\" in FelixConfiguration spec; did you mean ipipMTU?"},
	{FELIX("  ipipMTU: 67\n"),
	 "6:12: spec.ipipMTU 67 is less than IPv4's 68; leave it out to follow the underlay"},
	{FELIX("  ipipMTU: 65516\n"),
	 "6:12: spec.ipipMTU 65516 is more than 65515, which with the outer header fills a "
	 "packet; leave it out to follow the underlay"},
	{FELIX("  ipipMTU: 65536\n"),
	 "6:12: spec.ipipMTU must be a whole number from 0 to 65535, not 65536"},
	{FELIX("  ipipEnabled: Enabled\n"),
	 "6:16: spec.ipipEnabled must be true or false, not \"Enabled\""},
	{FELIX("  mtuIfacePattern: \"eth(\"\n"),
	 "6:20: spec.mtuIfacePattern \"eth(\" is no POSIX extended regular expression: Unmatched ( "
	 "or \\(; Calico's are Go's, write it without (?:)"},
	{FELIX("  mtuIfacePattern: \"(?:eth)\"\n"),
	 "6:20: spec.mtuIfacePattern \"(?:eth)\" is no POSIX extended regular expression: Invalid "
	 "preceding regular expression; Calico's are Go's, write it without (?:)"},
	{FELIX("  mtuIfacePattern: 'eth\\d+'\n"),
	 "6:20: spec.mtuIfacePattern \"eth\\d+\" has an escape of Go's that POSIX does not have; "
	 "write [0-9] for \\d"},
	{FELIX("  mtuIfacePattern: '((a{99}){99}){99}'\n"),
	 "6:20: spec.mtuIfacePattern \"((a{99}){99}){99}\" repeats too much; write less in {}"},
	{FELIX("  natPortRange: 65535:32768\n"),
	 "6:17: spec.natPortRange must be like \"32768:65535\", with ports from 1, the lower one "
	 "first, not \"65535:32768\""},
	{FELIX("  natPortRange: 0\n"), "6:17: spec.natPortRange must be like \"32768:65535\", with "
				       "ports from 1, the lower one first, not 0"},
	{FELIX("  natPortRange: 1:65536\n"),
	 "6:17: spec.natPortRange must be like \"32768:65535\", with ports from 1, the lower one "
	 "first, not \"1:65536\""},
	{FELIX("  natPortRange: 32768-65535\n"),
	 "6:17: spec.natPortRange must be like \"32768:65535\", with ports from 1, the lower one "
	 "first, not \"32768-65535\""},
	{FELIX("  natOutgoingAddress: 10.0.0.0/8\n"),
	 "6:23: spec.natOutgoingAddress \"10.0.0.0/8\" is no IPv4 address; write it like "
	 "192.0.2.1"},
	{FELIX("  natOutgoingAddress: \"fd00::1\"\n"),
	 "6:23: spec.natOutgoingAddress fd00::1 is IPv6; give an IPv4 address"},
	{FELIX("  natOutgoingExclusions: None\n"),
	 "6:26: spec.natOutgoingExclusions must be IPPoolsOnly or IPPoolsAndHostIPs, not \"None\""},
	{FELIX("  natOutgoingExclusions: IPPoolOnly\n"),
	 "6:26: spec.natOutgoingExclusions must be IPPoolsOnly or IPPoolsAndHostIPs, not "
	 "\"IPPoolOnly\"; did you mean IPPoolsOnly?"},
	{FELIX("  externalNodesList: 10.0.0.1\n"),
	 "6:22: spec.externalNodesList must be a list, not \"10.0.0.1\""},
	{FELIX("  externalNodesList: [10.0.0.1/8]\n"),
	 "6:23: spec.externalNodesList: an entry 10.0.0.1/8 has bits set behind its prefix length; "
	 "the network is 10.0.0.0/8"},
	{FELIX("  deviceRouteProtocol: 256\n"),
	 "6:24: spec.deviceRouteProtocol must be a whole number from 0 to 255, not 256"},
	{FELIX("  deviceRouteProtocol: kernel\n"),
	 "6:24: spec.deviceRouteProtocol must be a whole number from 0 to 255, not \"kernel\""},
	{FELIX("  failsafeInboundHostPorts: none\n"),
	 "6:29: spec.failsafeInboundHostPorts must be a list, not \"none\""},
	{FELIX("  logSeverityScreen: {}\n"),
	 "6:22: spec.logSeverityScreen must be a single value, not a mapping"},
	{FELIX("  bpfLogFilters: []\n"), "6:18: spec.bpfLogFilters must be a mapping, not a list"},
	{FELIX("  logSeverityScren: Info\n"),
	 "6:3: unknown field \"logSeverityScren\" in FelixConfiguration spec; did you mean "
	 "logSeverityScreen?"},
	{FELIX("  frobnicate: 3\n"),
	 "6:3: unknown field \"frobnicate\" in FelixConfiguration spec; delete it"},

	/* Tunnel and Workload */
	{TUNNEL("  remote: 192.0.2.300\n"), "6:11: spec.remote: \"192.0.2.300\" is not an IPv4 "
					    "address; write it like 192.0.2.1, or any"},
	{TUNNEL("  remote: 3\n"),
	 "6:11: spec.remote must be a string, not 3; put it in quotes: \"3\""},
	{TUNNEL("  remote: 224.0.0.1\n"), "1:1: Tunnel tun1: remote 224.0.0.1 is a multicast "
					  "address; give the address of one host, or any"},
	{TUNNEL("  remote: 192.0.2.1\n  local: 192.0.2.1\n"),
	 "1:1: Tunnel tun1: remote and local are both 192.0.2.1; give the other host's address as "
	 "remote"},
	{TUNNEL("  remote: \"fd00::1\"\n"), "6:11: spec.remote: \"fd00::1\" is not an IPv4 "
					    "address; Culvert carries IPv4 in IPv4 only"},
	{TUNNEL("  ttl: 256\n"),
	 "6:8: spec.ttl: expected \"inherit\" or a number from 0 to 255, not 256"},
	{TUNNEL("  ttl: \"64\"\n"),
	 "6:8: spec.ttl: expected \"inherit\" or a number from 0 to 255, not \"64\""},
	{TUNNEL("  ttl: 64\n  pmtudisc: false\n"),
	 "1:1: Tunnel tun1: ttl 64 and nopmtudisc are incompatible; use ttl inherit, or pmtudisc"},
	{TUNNEL("  tos: 3\n"), "6:8: spec.tos 0x3: its two lowest bits are the ECN field, which is "
			       "not yours to set; use 0x0, or inherit"},
	{TUNNEL("  ecn: off\n"), "6:8: spec.ecn: expected \"normal\" or \"compat\", not off"},
	{TUNNEL("  ecn: full\n"), "6:8: spec.ecn: expected \"normal\" or \"compat\", not \"full\""},
	{TUNNEL("  mode: gre\n"), "6:9: spec.mode: expected \"ipip\", not \"gre\""},
	{TUNNEL("  dev: tun1\n"),
	 "1:1: Tunnel tun1: dev tun1 is the tunnel itself; give the underlay's device"},
	{TUNNEL("  dev: averyverylongname\n"), "6:8: spec.dev \"averyverylongname\" is too long; a "
					       "device's name has at most 15 characters"},
	{TUNNEL("  dev: eth/0\n"), "6:8: spec.dev \"eth/0\" has a character that a device's name "
				   "cannot have; use letters, digits, '-', '_' and '.'"},
	{TUNNEL("  up: on\n"),
	 "6:7: spec.up must be true or false; YAML has no on any more, write the one you mean"},
	{TUNNEL("  addresses: [10.0.0.1]\n"),
	 "6:15: spec.addresses: an entry \"10.0.0.1\" is no address with a prefix length; write it "
	 "like 10.244.1.1/24"},
	{TUNNEL("  routes: [10.0.0.1/8]\n"), "6:12: spec.routes: an entry 10.0.0.1/8 has bits set "
					     "behind its prefix length; the network is 10.0.0.0/8"},
	{TUNNEL("  node: A\n"),
	 "6:9: spec.node \"A\" has the character 'A'; use lower-case letters, digits, '-' and '.'"},
	{TUNNEL("  remote: 192.0.2.1\n  tll: 3\n"),
	 "7:3: unknown field \"tll\" in Tunnel spec; did you mean ttl?"},
	{BYTES("apiVersion: culvert/v1\nkind: Tunnel\nmetadata:\n  name: "
	       "averyverylongname\nspec:\n  {}\n"),
	 "4:9: metadata.name \"averyverylongname\" is too long; a device's name has at most 15 "
	 "characters"},
	{BYTES("apiVersion: culvert/v1\nkind: Tunnel\nmetadata:\n  name: all\nspec:\n  {}\n"),
	 "4:9: metadata.name \"all\" is reserved by the kernel; choose another"},
	{WORKLOAD("  addresses: [10.0.0.1]\n"),
	 "6:3: spec.node is missing; every Workload needs it"},
	{WORKLOAD("  node: a1\n"), "6:3: spec.addresses is missing; every Workload needs it"},
	{WORKLOAD("  node: a1\n  addresses: []\n"),
	 "7:14: spec.addresses is empty; give addresses or prefixes, or delete the Workload"},
	{WORKLOAD("  node: a1\n  addresses: [10.0.0.1/24]\n"),
	 "7:15: spec.addresses: an entry 10.0.0.1/24 has bits set behind its prefix length; the "
	 "network is 10.0.0.0/24"},
	{WORKLOAD("  node: a1\n  addresses: [0.0.0.0/0]\n"),
	 "7:14: spec.addresses: 0.0.0.0/0 is every address there is; give those of the workload"},
	{WORKLOAD("  node: a1\n  addresses: [127.0.0.1]\n"),
	 "7:15: spec.addresses: an entry 127.0.0.1 is a loopback address; give the address of one "
	 "host"},
	{WORKLOAD("  node: a1\n  addresses: [10.0.0.1]\n  device: \"a b\"\n"),
	 "8:11: spec.device \"a b\" has a character that a device's name cannot have; use letters, "
	 "digits, '-', '_' and '.'"},
	{WORKLOAD("  node: a1\n  addresses: [10.0.0.1]\n  dev: tap0\n"),
	 "8:3: unknown field \"dev\" in Workload spec; delete it"},
	{WORKLOAD("  node: a1\n  addresses: [[10.0.0.1]]\n"),
	 "7:15: spec.addresses: an entry must be a string, not a list"},

	/* IPAMConfiguration */
	{OF("projectcalico.org/v3", "IPAMConfiguration", "node.a1", "  strictAffinity: true\n"),
	 "4:9: metadata.name: the only IPAMConfiguration is \"default\"; rename node.a1, or write "
	 "its fields there"},
	{OF("projectcalico.org/v3", "IPAMConfiguration", "default", "  strictAffinity: 1\n"),
	 "6:19: spec.strictAffinity must be true or false, not 1"},
	{OF("projectcalico.org/v3", "IPAMConfiguration", "default",
	    "  kubeVirtVMAddressPersistence: enabled\n"),
	 "6:33: spec.kubeVirtVMAddressPersistence must be Enabled or Disabled, not \"enabled\"; "
	 "did "
	 "you mean Enabled?"},
	{OF("projectcalico.org/v3", "IPAMConfiguration", "default", "  maxBlocksPerHost: -1\n"),
	 "6:21: spec.maxBlocksPerHost must be a whole number from 0 to 1048576, not -1"},

	/* PathConfiguration */
	{OF("culvert/v1", "PathConfiguration", "node.a1", "  probing: Disabled\n"),
	 "4:9: metadata.name: the only PathConfiguration is \"default\"; rename node.a1, or write "
	 "its "
	 "fields there"},
	{OF("projectcalico.org/v3", "PathConfiguration", "default", "  probing: Disabled\n"),
	 "1:13: kind PathConfiguration is of apiVersion culvert/v1, not \"projectcalico.org/v3\""},
	{PATHS("  probing: true\n"), "6:12: spec.probing must be Enabled or Disabled, not true"},
	{PATHS("  probing: disabled\n"), "6:12: spec.probing must be Enabled or Disabled, not "
					 "\"disabled\"; did you mean Disabled?"},
	{PATHS("  minMtu: 600\n"),
	 "6:3: unknown field \"minMtu\" in PathConfiguration spec; did you mean minMTU?"},
	{PATHS("  minMTU: 87\n"),
	 "6:11: spec.minMTU must be a whole number from 88 to 65535, not 87"},
	{PATHS("  minMTU: 1201\n"),
	 "6:11: spec.minMTU 1201 is more than baseMTU, which is 1200 where "
	 "it is not given; give a baseMTU that is not less"},
	{PATHS("  baseMTU: 595\n"),
	 "6:12: spec.baseMTU 595 is less than minMTU, which is 596 where it is not given"},
	{PATHS("  baseMTU: 1300\n  minMTU: 1400\n"),
	 "6:12: spec.baseMTU 1300 is less than minMTU, which is 1400"},
	{PATHS("  baseMTU: 65536\n"),
	 "6:12: spec.baseMTU must be a whole number from 88 to 65535, not 65536"},
	{PATHS("  maxProbes: 0\n"),
	 "6:14: spec.maxProbes must be a whole number from 1 to 10, not 0"},
	{PATHS("  maxProbes: \"3\"\n"),
	 "6:14: spec.maxProbes must be a number; take the quotes off 3"},
	{PATHS("  livenessLosses: 65\n"),
	 "6:19: spec.livenessLosses must be a whole number from 1 to 64, not 65"},
	{PATHS("  probesPerSecond: 0\n"),
	 "6:20: spec.probesPerSecond must be a whole number from 1 to 100000, not 0"},
	{PATHS("  probeTimer: 999ms\n"),
	 "6:15: spec.probeTimer must be from 1s to 1h (RFC 8899 allows "
	 "no less), not \"999ms\""},
	{PATHS("  probeTimer: 1h1ms\n"),
	 "6:15: spec.probeTimer must be from 1s to 1h (RFC 8899 allows "
	 "no less), not \"1h1ms\""},
	{PATHS("  probeTimer: 15\n"),
	 "6:15: spec.probeTimer must be a duration like 15s, 10m or 300ms, not 15"},
	{PATHS("  raiseTimer: 0s\n"), "6:15: spec.raiseTimer must be from 1s to 24h, not \"0s\""},
	{PATHS("  raiseTimer: {}\n"),
	 "6:15: spec.raiseTimer must be a duration like 15s, 10m or 300ms, not a mapping"},
	{PATHS("  confirmTimer: 49ms\n"),
	 "6:17: spec.confirmTimer must be from 50ms to 1m, or 0s for never, not \"49ms\""},
	{PATHS("  livenessTimer: 99ms\n"),
	 "6:18: spec.livenessTimer must be from 100ms to 1h, not \"99ms\""},
	{PATHS("  livenessTimer: 30 s\n"),
	 "6:18: spec.livenessTimer must be a duration like 15s, 10m or 300ms, not \"30 s\""},
	{PATHS("  mssClamp: 87\n"),
	 "6:13: spec.mssClamp must be auto, off or a number from 88 to 65495, not 87"},
	{PATHS("  mssClamp: 65496\n"),
	 "6:13: spec.mssClamp must be auto, off or a number from 88 to 65495, not 65496"},
	{PATHS("  mssClamp: no\n"),
	 "6:13: spec.mssClamp must be auto, off or a number from 88 to 65495, not no"},
	{PATHS("  mssClamp: [auto]\n"),
	 "6:13: spec.mssClamp must be auto, off or a number from 88 to 65495, not a list"},
	{PATHS("  skipDeadNextHops: yes\n"),
	 "6:21: spec.skipDeadNextHops must be Enabled or Disabled, not yes"},
};

#undef BYTES
#undef CALICO
#undef OF
#undef METADATA
#undef POOL
#undef NODE
#undef BLOCK
#undef RESERVATION
#undef FELIX
#undef TUNNEL
#undef WORKLOAD

#endif
