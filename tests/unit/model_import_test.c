/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes' nodes: what becomes of them, and that what comes out applies. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/import.h"

static struct cv_error error;

static struct cv_manifest import_with(const char *text, enum cv_import_blocks blocks)
{
	struct cv_manifest manifest = {.count = 0};

	if (cv_import_nodes("-", text, strlen(text), blocks, &manifest, &error))
		fail_msg("%s\n%s", error.text, text);
	return manifest;
}

static struct cv_manifest import(const char *text)
{
	return import_with(text, CV_IMPORT_BLOCKS_AUTO);
}

static void assert_refused(const char *text, const char *message)
{
	struct cv_manifest manifest = {.count = 77};

	assert_int_equal(
		cv_import_nodes("-", text, strlen(text), CV_IMPORT_BLOCKS_AUTO, &manifest, &error),
		-EINVAL);
	assert_string_equal(error.text, message);
	assert_int_equal(manifest.count, 77);
}

/* As `kubectl get nodes -o json` prints it, cut short. */
static const char json[] =
	"{\n"
	"    \"apiVersion\": \"v1\",\n"
	"    \"items\": [\n"
	"        {\n"
	"            \"apiVersion\": \"v1\",\n"
	"            \"kind\": \"Node\",\n"
	"            \"metadata\": {\n"
	"                \"annotations\": {\n"
	"                    \"node.alpha.kubernetes.io/ttl\": \"0\",\n"
	"                    \"projectcalico.org/IPv4Address\": \"192.168.100.1/24\",\n"
	"                    \"projectcalico.org/IPv4IPIPTunnelAddr\": \"10.244.1.1\"\n"
	"                },\n"
	"                \"creationTimestamp\": \"2024-05-01T10:00:00Z\",\n"
	"                \"labels\": {\n"
	"                    \"kubernetes.io/hostname\": \"a1\",\n"
	"                    \"node-role.kubernetes.io/control-plane\": \"\"\n"
	"                },\n"
	"                \"name\": \"a1\",\n"
	"                \"resourceVersion\": \"876\",\n"
	"                \"uid\": \"3f6c1a86-4a0b-4d7e-8c3c-0c7c1b1f0a11\"\n"
	"            },\n"
	"            \"spec\": {\n"
	"                \"podCIDR\": \"10.244.1.0/24\",\n"
	"                \"podCIDRs\": [\"10.244.1.0/24\", \"fd00:10:244:1::/64\"],\n"
	"                \"taints\": [{\"effect\": \"NoSchedule\", \"key\": \"x\"}]\n"
	"            },\n"
	"            \"status\": {\n"
	"                \"addresses\": [\n"
	"                    {\"address\": \"10.9.9.9\", \"type\": \"InternalIP\"},\n"
	"                    {\"address\": \"a1\", \"type\": \"Hostname\"}\n"
	"                ],\n"
	"                \"images\": [{\"names\": [\"registry.k8s.io\\/pause:3.9\"], "
	"\"sizeBytes\": 321520}]\n"
	"            }\n"
	"        },\n"
	"        {\n"
	"            \"apiVersion\": \"v1\",\n"
	"            \"kind\": \"Node\",\n"
	"            \"metadata\": {\"name\": \"b1.example.org\"},\n"
	"            \"spec\": {\"podCIDR\": \"10.244.2.0/24\"},\n"
	"            \"status\": {\"addresses\": [\n"
	"                {\"address\": \"203.0.113.1\", \"type\": \"ExternalIP\"},\n"
	"                {\"address\": \"fd00::2\", \"type\": \"InternalIP\"},\n"
	"                {\"address\": \"192.168.200.2\", \"type\": \"InternalIP\"}]}\n"
	"        },\n"
	"        {\n"
	"            \"apiVersion\": \"v1\",\n"
	"            \"kind\": \"Node\",\n"
	"            \"metadata\": {\"name\": \"c1\"},\n"
	"            \"spec\": {},\n"
	"            \"status\": {\"addresses\": [{\"address\": \"fd00::3\", \"type\": "
	"\"InternalIP\"}]}\n"
	"        }\n"
	"    ],\n"
	"    \"kind\": \"List\",\n"
	"    \"metadata\": {\"resourceVersion\": \"\"}\n"
	"}\n";

static const char yaml[] = "apiVersion: projectcalico.org/v3\n"
			   "kind: Node\n"
			   "metadata:\n"
			   "  name: a1\n"
			   "  labels:\n"
			   "    kubernetes.io/hostname: a1\n"
			   "    node-role.kubernetes.io/control-plane: \"\"\n"
			   "spec:\n"
			   "  bgp:\n"
			   "    ipv4Address: 192.168.100.1/24\n"
			   "    ipv4IPIPTunnelAddr: 10.244.1.1\n"
			   "---\n"
			   "apiVersion: projectcalico.org/v3\n"
			   "kind: BlockAffinity\n"
			   "metadata:\n"
			   "  name: a1-10-244-1-0-24\n"
			   "spec:\n"
			   "  cidr: 10.244.1.0/24\n"
			   "  node: a1\n"
			   "  state: confirmed\n"
			   "---\n"
			   "apiVersion: projectcalico.org/v3\n"
			   "kind: Node\n"
			   "metadata:\n"
			   "  name: b1.example.org\n"
			   "spec:\n"
			   "  bgp:\n"
			   "    ipv4Address: 192.168.200.2\n"
			   "---\n"
			   "apiVersion: projectcalico.org/v3\n"
			   "kind: BlockAffinity\n"
			   "metadata:\n"
			   "  name: b1.example.org-10-244-2-0-24\n"
			   "spec:\n"
			   "  cidr: 10.244.2.0/24\n"
			   "  node: b1.example.org\n"
			   "  state: confirmed\n"
			   "---\n"
			   "apiVersion: projectcalico.org/v3\n"
			   "kind: Node\n"
			   "metadata:\n"
			   "  name: c1\n"
			   "spec:\n"
			   "  bgp: {}\n";

static void makes_nodes_and_blocks(void **state)
{
	struct cv_manifest manifest = import_with(json, CV_IMPORT_BLOCKS_ALWAYS), again;
	char *text = cv_manifest_print_yaml(manifest.resources, manifest.count);

	(void)state;
	assert_string_equal(text, yaml);
	assert_int_equal(cv_manifest_parse("-", text, strlen(text), &again, &error), 0);
	assert_int_equal(again.count, 5);
	assert_int_equal(again.warnings.count, 0);
	cv_manifest_fini(&again);
	free(text);
	assert_int_equal(manifest.resources[0]->origin.line, 4);
	assert_int_equal(manifest.resources[1]->origin.line, 4);
	assert_int_equal(manifest.warnings.count, 2);
	assert_string_equal(manifest.warnings.texts[0],
			    "-:4:9: node a1: pod CIDR passed over, it is no IPv4 network: "
			    "fd00:10:244:1::/64");
	assert_string_equal(
		manifest.warnings.texts[1],
		"-:45:9: node c1: no IPv4 address, neither InternalIP nor Calico's; add "
		"spec.bgp.ipv4Address");
	cv_manifest_fini(&manifest);
}

/* What Calico's nodes keep in annotations, where Kubernetes' API is its store. */
static void takes_bgp_from_annotations(void **state)
{
	static const char text[] =
		"apiVersion: v1\nkind: Node\nmetadata:\n  name: rr\n  annotations:\n"
		"    projectcalico.org/IPv4Address: 192.168.100.9/24\n"
		"    projectcalico.org/ASNumber: \"64513\"\n"
		"    projectcalico.org/RouteReflectorClusterID: 244.0.0.1\n";
	struct cv_manifest m = import_with(text, CV_IMPORT_BLOCKS_AUTO);

	(void)state;
	assert_int_equal(m.count, 1);
	assert_int_equal(m.resources[0]->node.as_number, 64513);
	assert_int_equal(m.resources[0]->node.cluster_id, inet_addr("244.0.0.1"));
	assert_non_null(strstr(m.resources[0]->text, "\"asNumber\":64513,"
						     "\"routeReflectorClusterID\":\"244.0.0.1\""));
	cv_manifest_fini(&m);
}

static size_t count_blocks(struct cv_manifest *manifest)
{
	size_t count = 0;

	for (size_t i = 0; i < manifest->count; i++)
		count += manifest->resources[i]->kind == CV_KIND_BLOCK_AFFINITY;
	return count;
}

/* With Calico's IPAM, the pod CIDRs are nobody's; one node's annotations tell it of all. */
static void leaves_blocks_out(void **state)
{
	static const char plain[] = "apiVersion: v1\nkind: Node\nmetadata: {name: a}\n"
				    "spec: {podCIDR: 10.244.1.0/24}\n";
	struct cv_manifest manifest = import(json);

	(void)state;
	assert_int_equal(manifest.count, 3);
	assert_int_equal(count_blocks(&manifest), 0);
	assert_non_null(strstr(manifest.warnings.texts[manifest.warnings.count - 1],
			       "-: pod CIDRs are left out (2), as the nodes have Calico's"));
	cv_manifest_fini(&manifest);
	manifest = import_with(json, CV_IMPORT_BLOCKS_NEVER);
	assert_int_equal(count_blocks(&manifest), 0);
	assert_int_equal(manifest.warnings.count, 1); /* of c1's address */
	cv_manifest_fini(&manifest);
	manifest = import(plain);
	assert_int_equal(count_blocks(&manifest), 1);
	cv_manifest_fini(&manifest);
	manifest = import_with(plain, CV_IMPORT_BLOCKS_NEVER);
	assert_int_equal(count_blocks(&manifest), 0);
	cv_manifest_fini(&manifest);
}

/* A raw NodeList's items say neither kind nor version; documents of YAML, and other kinds. */
static void takes_other_forms(void **state)
{
	struct cv_manifest manifest =
		import("apiVersion: v1\nkind: NodeList\nitems:\n"
		       "- metadata: {name: a}\n  status:\n    addresses:\n"
		       "    - {type: InternalIP, address: 10.0.0.1}\n"
		       "---\napiVersion: v1\nkind: Node\nmetadata: {name: b}\n"
		       "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n");

	(void)state;
	assert_int_equal(manifest.count, 2);
	assert_string_equal(manifest.resources[0]->name, "a");
	assert_int_equal(manifest.resources[0]->node.has_prefix, false);
	assert_string_equal(manifest.resources[1]->name, "b");
	assert_int_equal(manifest.warnings.count, 2);
	assert_string_equal(manifest.warnings.texts[1],
			    "-:13:1: Pod passed over: only nodes are imported");
	cv_manifest_fini(&manifest);
}

static void refuses_in_these_words(void **state)
{
	(void)state;
	assert_refused("", "-:1:1: there is no node in it; pipe in: kubectl get nodes -o json");
	assert_refused("No resources found\n",
		       "-:1:1: no resource of Kubernetes; pipe in: kubectl get nodes -o json");
	assert_refused("apiVersion: v1\nkind: List\nitems: []\n",
		       "-:1:1: there is no node in it; pipe in: kubectl get nodes -o json");
	assert_refused("apiVersion: v1\nkind: List\nitems: 3\n", "-:3:8: items must be a list");
	assert_refused("apiVersion: v1\nkind: Node\n",
		       "-:1:1: metadata.name is missing; every Node needs it");
	assert_refused(
		"apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: a}\n",
		"-:1:1: this Node is not Kubernetes' (apiVersion v1); culvert apply takes it "
		"as it is");
	assert_refused("apiVersion: v1\nkind: Node\nmetadata: {name: A}\n",
		       "-:1:1: metadata.name \"A\" has the character 'A'; use lower-case letters, "
		       "digits, '-' and '.'");
	assert_refused("apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec: {podCIDRs: [[]]}\n",
		       "-:4:19: spec.podCIDRs: an entry must be a string");
	assert_refused("{\"apiVersion\": \"v1\"", "-:1:1: did not find expected ',' or '}'; close "
						  "the { or add a comma");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_nodes_and_blocks),
		cmocka_unit_test(takes_bgp_from_annotations),
		cmocka_unit_test(leaves_blocks_out),
		cmocka_unit_test(takes_other_forms),
		cmocka_unit_test(refuses_in_these_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
