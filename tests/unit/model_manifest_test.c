/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests: what is taken and how it is decoded, what is refused and in which words. What is
 * printed is model_print_test.c's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/manifest.h"
#include "model/snapshot.h"
#include "manifest_bad.h"
#include "manifest_good.h"
#include "manifests.h"

static struct cv_error error;

static bool has_warning(const struct cv_manifest *manifest, const char *text)
{
	for (size_t i = 0; i < manifest->warnings.count; i++) {
		if (!strcmp(manifest->warnings.texts[i], text))
			return true;
	}
	return false;
}

static void assert_warning(const struct cv_manifest *manifest, const char *text)
{
	if (has_warning(manifest, text))
		return;
	for (size_t i = 0; i < manifest->warnings.count; i++)
		print_message("%s\n", manifest->warnings.texts[i]);
	fail_msg("no warning: %s", text);
}

static struct cv_prefix prefix(const char *address, uint8_t length)
{
	return (struct cv_prefix){.address = inet_addr(address), .length = length};
}

static void assert_prefix(const struct cv_prefix *a, const char *address, uint8_t length)
{
	struct cv_prefix b = prefix(address, length);

	assert_int_equal(a->address, b.address);
	assert_int_equal(a->length, b.length);
}

/* ---- what is refused ------------------------------------------------------------- */

static void takes_a_byte_order_mark(void **state)
{
	static const char text[] = "\xef\xbb\xbf"
				   "apiVersion: projectcalico.org/v3\r\nkind: IPPool\r\n"
				   "metadata: {name: p}\r\nspec: {cidr: 10.0.0.0/8}\r\n";
	struct cv_manifest m;

	(void)state;
	assert_int_equal(cv_manifest_parse("f.yaml", text, sizeof(text) - 1, &m, &error), 0);
	assert_int_equal(m.count, 1);
	assert_int_equal(m.resources[0]->origin.column, 1);
	cv_manifest_fini(&m);
}

static void refuses_in_these_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(manifest_bad) / sizeof(manifest_bad[0]); i++) {
		const struct manifest_bad *bad = &manifest_bad[i];
		struct cv_manifest manifest = {.count = 77};
		char *copy = malloc(bad->length + 1); /* the sanitizer sees reads behind it */
		int rc;

		memcpy(copy, bad->text, bad->length);
		rc = cv_manifest_parse("f.yaml", copy, bad->length, &manifest, &error);
		free(copy);
		if (!rc)
			fail_msg("taken: %s", bad->text);
		assert_true(rc == -EINVAL || rc == -E2BIG);
		assert_memory_equal(error.text, "f.yaml:", 7);
		assert_string_equal(error.text + 7, bad->message);
		assert_int_equal(manifest.count, 77);
	}
}

static void nothing_of_a_broken_manifest_is_taken(void **state)
{
	static const char text[] = POOL_OF_THE_ISSUE "---\n" POOL_OF_THE_ISSUE "    x: 1\n";
	struct cv_manifest manifest = {.resources = NULL};

	(void)state;
	assert_int_equal(cv_manifest_parse("f.yaml", text, strlen(text), &manifest, &error),
			 -EINVAL);
	assert_string_equal(error.text,
			    "f.yaml:18:5: unknown field \"x\" in IPPool spec; delete it");
	assert_null(manifest.resources);
}

/* One text again and again. */
static void fill(char *to, size_t size, const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < size; i++)
		to[i] = text[i % length];
}

/* Of a text that grows without end there is an end. */
static void is_bounded(void **state)
{
	size_t length = 200001 * 4, bytes = (64U << 20) + 1;
	struct cv_manifest manifest;
	char *text = malloc(bytes);

	(void)state;
	fill(text, length, "---\n");
	assert_int_equal(cv_manifest_parse("f", text, length, &manifest, &error), -E2BIG);
	assert_string_equal(error.text,
			    "f:200001:1: more than 200000 documents; make several files of it");
	memset(text, ' ', bytes);
	assert_int_equal(cv_manifest_parse("f", text, bytes, &manifest, &error), -E2BIG);
	assert_string_equal(error.text, "f:1:1: larger than 64 MiB; make several files of it");
	fill(text, bytes, "%TAG ! !");
	assert_int_equal(cv_manifest_parse("f", text, 1U << 20, &manifest, &error), -E2BIG);
	assert_string_equal(error.text, "f:1:1: more than 100 times %TAG; delete these lines");
	fill(text, bytes, ",1");
	text[0] = '[';
	assert_int_equal(cv_manifest_parse("f", text, 9000000, &manifest, &error), -E2BIG);
	free(text);
}

/* ---- what is taken --------------------------------------------------------------- */

static void takes_the_pool_of_the_issue(void **state)
{
	struct cv_manifest manifest = parse(POOL_OF_THE_ISSUE);
	const struct cv_resource *resource = manifest.resources[0];

	(void)state;
	assert_int_equal(manifest.count, 1);
	assert_int_equal(manifest.warnings.count, 0);
	assert_int_equal(resource->kind, CV_KIND_IP_POOL);
	assert_string_equal(resource->name, "default-ipv4-ippool");
	assert_string_equal(resource->origin.file, "f.yaml");
	assert_int_equal(resource->origin.line, 1);
	assert_prefix(&resource->pool.cidr, "192.168.0.0", 16);
	assert_int_equal(resource->pool.ipip_mode, CV_IPIP_CROSS_SUBNET);
	assert_true(resource->pool.nat_outgoing);
	assert_int_equal(resource->pool.block_size, 26);
	assert_false(resource->pool.disabled || resource->pool.manual ||
		     resource->pool.disable_bgp_export);
	assert_int_equal(resource->pool.allowed_uses, CV_USE_WORKLOAD | CV_USE_TUNNEL);
	assert_string_equal(resource->pool.node_selector, "all()");
	assert_string_equal(
		resource->text,
		"{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"IPPool\","
		"\"metadata\":{\"name\":\"default-ipv4-ippool\"},\"spec\":{\"cidr\":"
		"\"192.168.0.0/16\",\"ipipMode\":\"CrossSubnet\",\"natOutgoing\":true}}");
	assert_round_trip(&manifest);
	cv_manifest_fini(&manifest);
}

static void decodes_every_kind(void **state)
{
	struct cv_manifest m = parse(EVERY_KIND);
	struct cv_resource **r = m.resources;

	(void)state;
	assert_int_equal(m.count, 12);
	assert_int_equal(m.warnings.count, 0);
	for (int i = 0; i < CV_KIND_MAX; i++)
		assert_int_equal(r[i]->kind, i);
	assert_true(r[0]->pool.manual && r[0]->pool.disabled && r[0]->pool.disable_bgp_export);
	assert_int_equal(r[0]->pool.allowed_uses, CV_USE_WORKLOAD);
	assert_int_equal(r[0]->pool.block_size, 24);
	assert_string_equal(r[0]->pool.node_selector, "zone == 'a'");
	assert_int_equal(r[1]->node.address, inet_addr("192.168.100.1"));
	assert_int_equal(r[1]->node.prefix_length, 24);
	assert_true(r[1]->node.has_prefix);
	assert_int_equal(r[1]->node.tunnel_address, inet_addr("10.244.1.1"));
	assert_int_equal(r[1]->node.as_number, 64512U << 16 | 1);
	assert_int_equal(r[1]->node.cluster_id, inet_addr("244.0.0.1"));
	assert_string_equal(cv_resource_label(r[1], "zone"), "a");
	assert_string_equal(cv_resource_label(r[1], "node-role.kubernetes.io/control-plane"), "");
	assert_null(cv_resource_label(r[1], "zones"));
	assert_prefix(&r[2]->affinity.cidr, "10.244.1.0", 24);
	assert_string_equal(r[2]->affinity.node, "a1");
	assert_int_equal(r[2]->affinity.state, CV_AFFINITY_PENDING_DELETION);
	assert_true(r[2]->affinity.deleted);
	assert_int_equal(r[3]->reservation.count, 2);
	assert_prefix(&r[3]->reservation.cidrs[0], "10.244.9.0", 30);
	assert_prefix(&r[3]->reservation.cidrs[1], "10.244.9.9", 32);
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

static void decodes_felix(void **state)
{
	struct cv_manifest m = parse(EVERY_KIND);
	const struct cv_felix_configuration *felix = m.resources[4]->felix;

	(void)state;
	assert_true(felix->has_ipip_enabled && felix->ipip_enabled);
	assert_int_equal(felix->ipip_mtu, 1400);
	assert_string_equal(felix->mtu_iface_pattern, "^((en|eth).*)");
	assert_int_equal(felix->nat_port_first, 32768);
	assert_int_equal(felix->nat_port_last, 65535);
	assert_int_equal(felix->nat_outgoing_address, inet_addr("192.0.2.7"));
	assert_true(felix->has_nat_exclusions);
	assert_int_equal(felix->nat_exclusions, CV_NAT_EXCLUDE_POOLS_AND_HOSTS);
	assert_true(felix->has_external_nodes);
	assert_int_equal(felix->external_count, 2);
	assert_prefix(&felix->external_nodes[0], "192.0.2.9", 32);
	assert_prefix(&felix->external_nodes[1], "192.0.2.128", 25);
	assert_int_equal(felix->device_route_protocol, 85);
	cv_manifest_fini(&m);
}

static void decodes_our_own(void **state)
{
	struct cv_manifest m = parse(EVERY_KIND);
	const struct cv_tunnel_resource *tunnel = m.resources[5]->tunnel;
	const struct cv_workload *workload = &m.resources[6]->workload;

	(void)state;
	assert_string_equal(tunnel->config.name, "tun1");
	assert_string_equal(tunnel->config.dev, "eth0");
	assert_int_equal(tunnel->config.remote, inet_addr("192.0.2.2"));
	assert_int_equal(tunnel->config.local, 0);
	assert_int_equal(tunnel->config.ipip.ttl, 64);
	assert_int_equal(tunnel->config.ipip.tos, 0x48);
	assert_int_equal(tunnel->config.ipip.ecn_mode, CV_ECN_COMPATIBLE);
	assert_true(tunnel->config.ipip.pmtudisc);
	assert_int_equal(tunnel->config.mssclamp, 1300);
	assert_false(tunnel->config.strict || tunnel->up);
	assert_string_equal(tunnel->node, "a1");
	assert_int_equal(tunnel->address_count, 1);
	assert_prefix(&tunnel->addresses[0], "10.0.0.1", 24);
	assert_int_equal(tunnel->route_count, 2);
	assert_prefix(&tunnel->routes[1], "10.2.3.4", 32);
	assert_string_equal(workload->node, "a1");
	assert_string_equal(workload->device, "tap0");
	assert_int_equal(workload->count, 2);
	assert_prefix(&workload->addresses[0], "10.244.1.5", 32);
	assert_prefix(&workload->addresses[1], "10.244.2.0", 24);
	cv_manifest_fini(&m);
}

static void assert_prober(const struct cv_prober_config *is,
			  const struct cv_prober_config *expected)
{
	assert_int_equal(is->probing, expected->probing);
	assert_int_equal(is->min_mtu, expected->min_mtu);
	assert_int_equal(is->base_mtu, expected->base_mtu);
	assert_int_equal(is->max_probes, expected->max_probes);
	assert_int_equal(is->probe_timer_ms, expected->probe_timer_ms);
	assert_int_equal(is->raise_timer_ms, expected->raise_timer_ms);
	assert_int_equal(is->confirm_timer_ms, expected->confirm_timer_ms);
	assert_int_equal(is->liveness_timer_ms, expected->liveness_timer_ms);
	assert_int_equal(is->liveness_losses, expected->liveness_losses);
	assert_int_equal(is->rate, expected->rate);
}

static void decodes_how_paths_are_probed(void **state)
{
	struct cv_manifest m = parse(EVERY_KIND);
	const struct cv_path_configuration *path = &m.resources[7]->path;
	const struct cv_prober_config expected = {
		.probing = false,
		.min_mtu = 700,
		.base_mtu = 1300,
		.max_probes = 4,
		.probe_timer_ms = 90000,
		.raise_timer_ms = 5400000,
		.confirm_timer_ms = 0,
		.liveness_timer_ms = 500,
		.liveness_losses = 5,
		.rate = 100,
	};

	(void)state;
	assert_int_equal(m.resources[7]->kind, CV_KIND_PATH_CONFIGURATION);
	assert_prober(&path->prober, &expected);
	assert_int_equal(path->mss_clamp, 1300);
	assert_true(path->skip_dead_next_hops);
	cv_manifest_fini(&m);
}

static void decodes_how_blocks_are_had(void **state)
{
	struct cv_manifest m = parse(EVERY_KIND);
	const struct cv_ipam_configuration *ipam = &m.resources[11]->ipam;

	(void)state;
	assert_int_equal(m.resources[11]->kind, CV_KIND_IPAM_CONFIGURATION);
	assert_true(ipam->strict_affinity);
	assert_false(ipam->auto_allocate_blocks);
	assert_int_equal(ipam->max_blocks, 20);
	cv_manifest_fini(&m);
	m = parse("apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: "
		  "default}\nspec: {maxBlocksPerHost: 0}\n");
	ipam = &m.resources[0]->ipam;
	assert_false(ipam->strict_affinity);
	assert_true(ipam->auto_allocate_blocks);
	assert_int_equal(ipam->max_blocks, 0);
	cv_manifest_fini(&m);
	m = parse("apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: "
		  "default}\nspec: {kubeVirtVMAddressPersistence: Disabled}\n");
	assert_int_equal(m.warnings.count, 0);
	cv_manifest_fini(&m);
	m = parse("apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: "
		  "default}\nspec: {kubeVirtVMAddressPersistence: Enabled}\n");
	assert_int_equal(m.count, 1);
	assert_int_equal(m.warnings.count, 1);
	assert_non_null(
		strstr(m.warnings.texts[0], "kubeVirtVMAddressPersistence is not acted on"));
	cv_manifest_fini(&m);
}

/* What is not given is as without the resource. */
static void knows_the_defaults_of_probing(void **state)
{
	static const char text[] =
		"apiVersion: culvert/v1\nkind: PathConfiguration\n"
		"metadata: {name: default}\nspec: {maxProbes: 2, mssClamp: off}\n";
	struct cv_manifest m = parse(text);
	struct cv_prober_config expected = cv_prober_config_default();
	struct cv_path_configuration path;
	struct cv_snapshot *snapshot;

	(void)state;
	assert_int_equal(cv_snapshot_create(NULL, 0, &snapshot, &error), 0);
	cv_snapshot_path(snapshot, &path);
	cv_snapshot_put(snapshot);
	assert_prober(&path.prober, &expected);
	assert_false(path.skip_dead_next_hops);
	assert_int_equal(path.mss_clamp, CV_TCP_MSS_AUTO);
	assert_int_equal(cv_snapshot_create(m.resources, m.count, &snapshot, &error), 0);
	cv_snapshot_path(snapshot, &path);
	cv_snapshot_put(snapshot);
	assert_int_equal(path.mss_clamp, CV_TCP_MSS_OFF);
	expected.max_probes = 2;
	assert_prober(&path.prober, &expected);
	cv_manifest_fini(&m);
}

/* `calicoctl get … -o yaml --export` of one cluster, its kinds one behind the other. */
static void takes_an_export_of_calicoctl(void **state)
{
	struct cv_manifest m = parse(EXPORT_OF_CALICOCTL);

	(void)state;
	assert_int_equal(m.count, 5);
	assert_string_equal(m.resources[0]->name, "default-ipv4-ippool");
	assert_int_equal(m.resources[1]->origin.line, 36);
	assert_int_equal(m.resources[1]->node.address, inet_addr("192.168.100.1"));
	assert_string_equal(m.resources[2]->name, "b1");
	assert_int_equal(m.resources[3]->kind, CV_KIND_FELIX_CONFIGURATION);
	assert_warning(&m, "f.yaml:27:5: IPPool default-ipv6-ippool: spec.cidr fd00:10:244::/48 is "
			   "IPv6; passed over, Culvert carries IPv4");
	assert_warning(&m, "f.yaml:48:5: Node a1: spec.orchRefs is not acted on");
	assert_warning(&m, "f.yaml:71:5: FelixConfiguration default: spec.logSeverityScreen is not "
			   "acted on");
	assert_int_equal(m.resources[4]->kind, CV_KIND_BGP_CONFIGURATION);
	assert_int_equal(m.resources[4]->bgp_configuration->as_number, 64512);
	assert_true(m.resources[4]->bgp_configuration->mesh);
	assert_warning(&m,
		       "f.yaml:83:1: GlobalNetworkPolicy deny-all is not acted on: Culvert does "
		       "not enforce network policies");
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

/* `kubectl get ippools.crd.projectcalico.org,blockaffinities.crd.… -o yaml`. */
static void takes_an_export_of_kubectl(void **state)
{
	struct cv_manifest m = parse(EXPORT_OF_KUBECTL);

	(void)state;
	assert_int_equal(m.warnings.count, 2);
	assert_warning(&m,
		       "f.yaml:61:5: BlockAffinity lb: spec.type virtual: passed over, the block "
		       "is no node's but a service's");
	assert_warning(&m,
		       "f.yaml:62:3: IPAMBlock 10-244-1-0-26 is not acted on: it is a document of "
		       "addresses, not a resource; culvert migrate --from-calico takes them from "
		       "etcd");
	assert_int_equal(m.count, 2);
	assert_string_equal(
		m.resources[0]->text,
		"{\"apiVersion\":\"projectcalico.org/"
		"v3\",\"kind\":\"IPPool\",\"metadata\":{\"name\":"
		"\"default-ipv4-ippool\",\"annotations\":{\"note\":\"kept\"}},\"spec\":{\"cidr\":"
		"\"10.244.0.0/16\",\"ipipMode\":\"Always\",\"vxlanMode\":\"Never\",\"natOutgoing\":"
		"true,\"blockSize\":26,\"nodeSelector\":\"all()\",\"allowedUses\":[\"Workload\","
		"\"Tunnel\"]}}");
	assert_false(m.resources[1]->affinity.deleted);
	assert_non_null(strstr(m.resources[1]->text, "\"deleted\":false"));
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

/* kind stands behind items, slashes are escaped, tabs indent. */
static void takes_json_of_kubectl(void **state)
{
	static const char text[] =
		"{\n\t\"apiVersion\": \"v1\",\n\t\"items\": [\n\t\t{\"apiVersion\": "
		"\"projectcalico.org\\/v3\", \"kind\": \"IPPool\", \"metadata\": {\"name\": \"p\", "
		"\"annotations\": {\"a\": \"\\u003cb\\u003e \\\"c\\\" \\u00e9\"}}, \"spec\": "
		"{\"cidr\": \"10.0.0.0\\/8\"}}\n\t],\n\t\"kind\": \"List\",\n\t\"metadata\": "
		"{\"resourceVersion\": \"\"}\n}\n";
	struct cv_manifest m = parse(text);

	(void)state;
	assert_int_equal(m.count, 1);
	assert_int_equal(m.resources[0]->origin.line, 4);
	assert_int_equal(m.resources[0]->origin.column, 3);
	assert_non_null(strstr(m.resources[0]->text, "{\"a\":\"<b> \\\"c\\\" \xc3\xa9\"}"));
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

static void takes_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"---\n---\n",
		"# nothing\n",
		"null\n",
		"---\n# a\n---\n~\n",
		"\xef\xbb\xbf",

		"apiVersion: v1\nkind: List\n",
		"apiVersion: v1\nkind: List\nitems: []\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct cv_manifest m = parse(texts[i]);

		assert_int_equal(m.count, 0);
		cv_manifest_fini(&m);
	}
}

/* null is as good as nothing. */
static void takes_null(void **state)
{
	struct cv_manifest m = parse("apiVersion: projectcalico.org/v3\nkind: Node\nmetadata:\n"
				     "  name: a1\n  creationTimestamp: null\n  labels:\nspec:\n"
				     "  bgp:\nstatus: {podCIDRs: [10.0.0.0/24]}\n");

	(void)state;
	assert_int_equal(m.count, 1);
	assert_int_equal(m.resources[0]->node.address, 0);
	assert_string_equal(m.resources[0]->text,
			    "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"Node\","
			    "\"metadata\":{\"name\":\"a1\"},\"spec\":{}}");
	cv_manifest_fini(&m);
}

static void warns_of_what_is_not_acted_on(void **state)
{
	struct cv_manifest m = parse(
		"apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: nn}\n"
		"spec:\n  deviceRouteProtocol: 3\n  externalNodesList: [\"fd00::1\", 10.0.0.1]\n"
		"  bpfEnabled: true\n---\napiVersion: projectcalico.org/v3\nkind: IPReservation\n"
		"metadata: {name: r}\nspec: {reservedCIDRs: [\"fd00::/64\"]}\n---\n"
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\n");

	(void)state;
	assert_int_equal(m.count, 2);
	assert_int_equal(m.resources[0]->felix->device_route_protocol, 0);
	assert_int_equal(m.resources[0]->felix->external_count, 1);
	assert_int_equal(m.resources[1]->reservation.count, 0);
	assert_int_equal(m.warnings.count, 6);
	assert_string_equal(
		m.warnings.texts[0],
		"f.yaml:6:23: FelixConfiguration nn: spec.externalNodesList: fd00::1 is not "
		"acted on: Culvert carries IPv4");
	assert_non_null(strstr(m.warnings.texts[1], "spec.deviceRouteProtocol 3 is not acted on"));
	assert_non_null(strstr(m.warnings.texts[1], "84"));
	assert_warning(&m, "f.yaml:1:1: FelixConfiguration nn: is not used: only \"default\" and "
			   "\"node.NAME\" are");
	assert_warning(&m, "f.yaml:14:1: NetworkPolicy x is not acted on: Culvert does not enforce "
			   "network policies");
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

#define FELIX_PROTOCOL                                                                            \
	"apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: default}\n" \
	"spec: {deviceRouteProtocol: %d}\n"

/* Routes of ours' number are deleted: a number that others' have would take theirs away. */
static void leaves_protocols_of_others(void **state)
{
	static const int theirs[] = {1, 4, 8, 12, 16, 18, 42, 80, 99, 186, 192};
	static const int free_ones[] = {5, 7, 19, 79, 81, 84, 85, 185, 193, 255};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
		struct cv_manifest m;

		snprintf(text, sizeof(text), FELIX_PROTOCOL, theirs[i]);
		m = parse(text);
		assert_int_equal(m.resources[0]->felix->device_route_protocol, 0);
		assert_int_equal(m.warnings.count, 1);
		cv_manifest_fini(&m);
	}
	for (size_t i = 0; i < sizeof(free_ones) / sizeof(free_ones[0]); i++) {
		struct cv_manifest m;

		snprintf(text, sizeof(text), FELIX_PROTOCOL, free_ones[i]);
		m = parse(text);
		assert_int_equal(m.resources[0]->felix->device_route_protocol, free_ones[i]);
		assert_int_equal(m.warnings.count, 0);
		cv_manifest_fini(&m);
	}
}

/* ---- resources and messages ------------------------------------------------------ */

static void knows_kinds_by_many_names(void **state)
{
	static const struct {
		const char *word;
		enum cv_kind kind;
	} words[] = {
		{"ippool", CV_KIND_IP_POOL},
		{"IPPools", CV_KIND_IP_POOL},
		{"pool", CV_KIND_IP_POOL},
		{"nodes", CV_KIND_NODE},
		{"blockaffinities", CV_KIND_BLOCK_AFFINITY},
		{"block", CV_KIND_BLOCK_AFFINITY},
		{"ipreservations", CV_KIND_IP_RESERVATION},
		{"felixconfig", CV_KIND_FELIX_CONFIGURATION},
		{"Tunnels", CV_KIND_TUNNEL},
		{"workload", CV_KIND_WORKLOAD},
		{"pathconfig", CV_KIND_PATH_CONFIGURATION},
		{"bgpconfig", CV_KIND_BGP_CONFIGURATION},
		{"BGPConfigurations", CV_KIND_BGP_CONFIGURATION},
		{"bgppeers", CV_KIND_BGP_PEER},
		{"bgpp", CV_KIND_BGP_PEER},
		{"bgpfilter", CV_KIND_BGP_FILTER},
		{"ipamconfig", CV_KIND_IPAM_CONFIGURATION},
	};
	enum cv_kind kind;

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_int_equal(cv_kind_parse(words[i].word, &kind, &error), 0);
		assert_int_equal(kind, words[i].kind);
	}
	assert_int_equal(cv_kind_parse("ospfarea", &kind, &error), -EINVAL);
	assert_string_equal(error.text,
			    "no kind \"ospfarea\"; there are IPPool, Node, BlockAffinity, "
			    "IPReservation, FelixConfiguration, Tunnel, Workload, "
			    "PathConfiguration, BGPConfiguration, BGPPeer, BGPFilter and "
			    "IPAMConfiguration");
	assert_int_equal(cv_kind_parse("ipools", &kind, &error), -EINVAL);
	assert_string_equal(error.text, "no kind \"ipools\"; did you mean ippools?");
	assert_string_equal(cv_kind_name(CV_KIND_NODE), "Node");
	assert_string_equal(cv_kind_api_version(CV_KIND_NODE), "projectcalico.org/v3");
	assert_string_equal(cv_kind_api_version(CV_KIND_WORKLOAD), "culvert/v1");
}

static void sorts_by_kind_and_name(void **state)
{
	struct cv_manifest m = parse(EVERY_KIND), again = parse(EVERY_KIND);

	(void)state;
	for (size_t i = 0; i < m.count; i++) {
		assert_int_equal(cv_resource_compare(m.resources[i], again.resources[i]), 0);
		for (size_t k = i + 1; k < m.count; k++) {
			assert_true(cv_resource_compare(m.resources[i], m.resources[k]) < 0);
			assert_true(cv_resource_compare(m.resources[k], m.resources[i]) > 0);
		}
	}
	again.resources[0]->name[0]++;
	assert_true(cv_resource_compare(m.resources[0], again.resources[0]) < 0);
	cv_manifest_fini(&m);
	cv_manifest_fini(&again);
}

/* Line ends of Windows, and none at the end. */
static void takes_any_line_ends(void **state)
{
	struct cv_manifest m =
		parse("apiVersion: projectcalico.org/v3\r\nkind: IPPool\r\nmetadata:\r\n"
		      "  name: p\r\nspec:\r\n  cidr: 10.0.0.0/8");

	(void)state;
	assert_int_equal(m.count, 1);
	assert_prefix(&m.resources[0]->pool.cidr, "10.0.0.0", 8);
	assert_round_trip(&m);
	cv_manifest_fini(&m);
}

static void counts_references(void **state)
{
	struct cv_manifest m = parse(POOL_OF_THE_ISSUE);
	struct cv_resource *kept = cv_resource_get(m.resources[0]);

	(void)state;
	cv_manifest_fini(&m);
	assert_string_equal(kept->name, "default-ipv4-ippool");
	cv_resource_put(kept);
	cv_resource_put(cv_resource_get(NULL));
}

static void messages_are_bounded_and_clean(void **state)
{
	struct cv_messages messages = {.texts = NULL};

	(void)state;
	cv_messages_add(&messages, "a\nb%s", "\x1b[31m");
	cv_messages_add(&messages, "a\nb%s", "\x1b[31m");
	assert_int_equal(messages.count, 1);
	assert_string_equal(messages.texts[0], "a?b?[31m");
	for (int i = 0; i < 2000; i++)
		cv_messages_add(&messages, "%d", i);
	assert_int_equal(messages.count, CV_MESSAGES_MAX);
	assert_string_equal(messages.texts[CV_MESSAGES_MAX - 1], "and more of this kind");
	cv_messages_fini(&messages);
	assert_int_equal(messages.count, 0);
}

/*
 * 25,000 documents; a plain build takes 0.3 s, sanitizers some ten times that. What is kept of them
 * is to fit in 20 MB.
 */
static void is_fast_and_small(void **state)
{
	size_t size = 25000 * 256, length = 0;
	struct timespec begin, end;
	struct cv_manifest m;
	char *text = malloc(size);
	size_t before;

	(void)state;
	for (int i = 0; i < 25000; i++)
		length += (size_t)snprintf(
			text + length, size - length,
			"---\napiVersion: projectcalico.org/v3\nkind: BlockAffinity\n"
			"metadata:\n  name: n%d\nspec:\n  cidr: 10.%d.%d.0/24\n"
			"  node: n%d\n  state: confirmed\n",
			i, i >> 8, i & 255, i / 4);
	before = mallinfo2().uordblks; /* the sanitizer's says 0 */
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(cv_manifest_parse("f", text, length, &m, &error), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(m.count, 25000);
	assert_true(end.tv_sec - begin.tv_sec < 20);
	assert_true(mallinfo2().uordblks - before < 20U << 20);
	cv_manifest_fini(&m);
	free(text);
}

static void knows_manifests_by_their_names(void **state)
{
	static const char *const manifests[] = {"a.yaml", "a.yml", "a.json", "a.b.yaml",
						"a b.yaml"};
	static const char *const others[] = {"",	 "yaml",    ".yaml",	  ".a.yaml",
					     "#a.yaml",	 "a.yaml~", "a.yaml.swp", "a.yamlx",
					     ".#a.yaml", "a.txt"};

	(void)state;
	for (size_t i = 0; i < sizeof(manifests) / sizeof(manifests[0]); i++)
		assert_true(cv_manifest_is_file_name(manifests[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(cv_manifest_is_file_name(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_manifests_by_their_names),
		cmocka_unit_test(refuses_in_these_words),
		cmocka_unit_test(takes_a_byte_order_mark),
		cmocka_unit_test(nothing_of_a_broken_manifest_is_taken),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(takes_the_pool_of_the_issue),
		cmocka_unit_test(decodes_every_kind),
		cmocka_unit_test(decodes_felix),
		cmocka_unit_test(decodes_our_own),
		cmocka_unit_test(decodes_how_paths_are_probed),
		cmocka_unit_test(decodes_how_blocks_are_had),
		cmocka_unit_test(knows_the_defaults_of_probing),
		cmocka_unit_test(takes_an_export_of_calicoctl),
		cmocka_unit_test(takes_an_export_of_kubectl),
		cmocka_unit_test(takes_json_of_kubectl),
		cmocka_unit_test(takes_nothing),
		cmocka_unit_test(takes_null),
		cmocka_unit_test(warns_of_what_is_not_acted_on),
		cmocka_unit_test(leaves_protocols_of_others),
		cmocka_unit_test(knows_kinds_by_many_names),
		cmocka_unit_test(sorts_by_kind_and_name),
		cmocka_unit_test(takes_any_line_ends),
		cmocka_unit_test(counts_references),
		cmocka_unit_test(messages_are_bounded_and_clean),
		cmocka_unit_test(is_fast_and_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
