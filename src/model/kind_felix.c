/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FelixConfiguration (https://docs.tigera.io/calico/latest/reference/resources/felixconfig): the
 * few fields that concern us, and the names of all others, so that a real export applies and a slip
 * of the finger does not.
 */
#include "model/kinds.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum {
	MTU_MIN = 68, /* RFC 791 */
	MTU_MAX = 65535,
	MTU_TUNNEL_MAX = 65515, /* with the outer header it is as long as a packet can be */
	PATTERN_MAX = 256,
	REPEATS_MAX = 1000, /* of all {…} of a pattern together */
};

static int read_mtu(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_felix_configuration *felix = target;
	long long value;
	int rc = cv_reader_integer(reader, node, 0, MTU_MAX, &value);

	if (rc)
		return rc;
	if (value && value < MTU_MIN)
		return cv_reader_fail(reader, node,
				      "spec.ipipMTU %lld is less than IPv4's 68; leave it out to "
				      "follow the underlay",
				      value);
	if (value > MTU_TUNNEL_MAX)
		return cv_reader_fail(reader, node,
				      "spec.ipipMTU %lld is more than %d, which with the outer "
				      "header fills a packet; leave it out to follow the underlay",
				      value, MTU_TUNNEL_MAX);
	felix->ipip_mtu = (uint32_t)value;
	return 0;
}

static int read_ipip_enabled(struct cv_reader *reader, const struct cv_yaml_node *node,
			     void *target)
{
	struct cv_felix_configuration *felix = target;

	felix->has_ipip_enabled = true;
	return cv_reader_bool(reader, node, &felix->ipip_enabled);
}

/* ---- mtuIfacePattern ------------------------------------------------------------- */

/*
 * What Go's RE2 and POSIX understand differently without either complaining, and what makes the C
 * library's compiler or matcher run away. NULL: nothing of that.
 */
static const char *find_trap(const char *pattern)
{
	unsigned long repeats = 1;

	if (strlen(pattern) > PATTERN_MAX)
		return "is longer than 256 characters";
	for (const char *p = pattern; *p; p++) {
		if (*p == '\\') {
			if (isalnum((unsigned char)p[1]) && !strchr("wWsSbB", p[1]))
				return "has an escape of Go's that POSIX does not have; write "
				       "[0-9] for \\d";
			p += p[1] != '\0';
		} else if (*p == '{') {
			unsigned long low = strtoul(p + 1, NULL, 10), high;
			const char *comma = p + 1 + strspn(p + 1, "0123456789");

			high = *comma == ',' ? strtoul(comma + 1, NULL, 10) : low;
			repeats *= (high > low ? high : low) + 1;
			if (low > REPEATS_MAX || high > REPEATS_MAX || repeats > REPEATS_MAX)
				return "repeats too much; write less in {}";
		}
	}
	return NULL;
}

static int read_pattern(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_felix_configuration *felix = target;
	const char *text, *trap;
	char why[96];
	regex_t regex;
	int rc = cv_reader_string(reader, node, &text);

	if (rc || !*text)
		return rc;
	trap = find_trap(text);
	if (trap)
		return cv_reader_fail(reader, node, "spec.mtuIfacePattern \"%.64s\" %s", text,
				      trap);
	rc = regcomp(&regex, text, REG_EXTENDED | REG_NOSUB);
	if (rc) {
		regerror(rc, &regex, why, sizeof(why));
		return cv_reader_fail(reader, node,
				      "spec.mtuIfacePattern \"%.64s\" is no POSIX extended regular "
				      "expression: %s; Calico's are Go's, write it without (?:)",
				      text, why);
	}
	regfree(&regex);
	free(felix->mtu_iface_pattern);
	felix->mtu_iface_pattern = strdup(text);
	return felix->mtu_iface_pattern ? 0 : cv_error_set(reader->error, -ENOMEM, "no memory");
}

/* ---- NAT ------------------------------------------------------------------------- */

/* A port's number up to a character; 0: it is none. */
static uint16_t parse_port(const char **p, char end)
{
	unsigned long value = 0;

	for (; isdigit((unsigned char)**p); ++*p) {
		value = value * 10 + (unsigned long)(**p - '0');
		if (value > UINT16_MAX)
			return 0;
	}
	return **p == end ? (uint16_t)value : 0;
}

/* "32768:65535", or one port. */
static int read_port_range(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_felix_configuration *felix = target;
	char is[CV_READER_IS_MAX];

	if (node->type == CV_YAML_SCALAR) {
		bool is_range = strchr(node->text, ':') != NULL;
		const char *p = node->text;
		uint16_t first = parse_port(&p, is_range ? ':' : '\0'), last = first;

		if (first && is_range && p++)
			last = parse_port(&p, '\0');
		if (first && last >= first) {
			felix->nat_port_first = first;
			felix->nat_port_last = last;
			return 0;
		}
	}
	return cv_reader_fail(reader, node,
			      "spec.natPortRange must be like \"32768:65535\", with ports from 1, "
			      "the lower one first, %s",
			      cv_reader_is(node, is));
}

static int read_nat_address(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_felix_configuration *felix = target;
	int rc;

	if (node->type == CV_YAML_SCALAR && !*node->text)
		return 0;
	rc = cv_reader_address(reader, node, &felix->nat_outgoing_address);
	if (rc == -EAFNOSUPPORT)
		return cv_reader_fail(reader, node,
				      "spec.natOutgoingAddress %.64s is IPv6; give an IPv4 address",
				      node->text);
	return rc;
}

static int read_nat_exclusions(struct cv_reader *reader, const struct cv_yaml_node *node,
			       void *target)
{
	static const struct cv_word words[] = {
		{"IPPoolsOnly", CV_NAT_EXCLUDE_POOLS},
		{"IPPoolsAndHostIPs", CV_NAT_EXCLUDE_POOLS_AND_HOSTS},
		{"", -1},
		{NULL, 0},
	};
	struct cv_felix_configuration *felix = target;
	int value, rc = cv_reader_word(reader, node, words, &value);

	if (rc || value < 0)
		return rc;
	felix->nat_exclusions = (enum cv_nat_exclusions)value;
	felix->has_nat_exclusions = true;
	return 0;
}

static int read_external_nodes(struct cv_reader *reader, const struct cv_yaml_node *node,
			       void *target)
{
	struct cv_felix_configuration *felix = target;
	int rc = cv_reader_prefixes(reader, node, CV_ENTRY_CIDR | CV_ENTRY_ADDRESS,
				    &felix->external_nodes, &felix->external_count);

	felix->has_external_nodes = !rc;
	return rc;
}

/* ---- routes ---------------------------------------------------------------------- */

/* Whose routes have a number that we would take for ours, and delete; NULL: nobody's we know. */
static const char *user_of_protocol(long long protocol)
{
	static const struct {
		uint8_t first, last;
		const char *name;
	} users[] = {
		{0, 4, "the kernel and `ip route`"},
		{8, 18, "routing daemons and DHCP clients"}, /* RTPROT_GATED … RTPROT_KEEPALIVED */
		{42, 42, "Babel"},
		{80, 80, "Felix"},
		{99, 99, "Open/R"},
		{186, 192, "FRR's daemons"}, /* RTPROT_BGP … RTPROT_EIGRP */
	};

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		if (protocol >= users[i].first && protocol <= users[i].last)
			return users[i].name;
	}
	return NULL;
}

static int read_protocol(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_felix_configuration *felix = target;
	const char *user;
	long long value;
	int rc = cv_reader_integer(reader, node, 0, UINT8_MAX, &value);

	if (rc)
		return rc;
	user = user_of_protocol(value);
	if (!user)
		felix->device_route_protocol = (int)value;
	else
		cv_reader_warn(reader, node,
			       "spec.deviceRouteProtocol %lld is not acted on: routes of %s have "
			       "it, and Culvert keeps its own, 84, to tell its routes from theirs; "
			       "write one that nobody has, such as 85, for another",
			       value, user);
	return 0;
}

/* BGPConfiguration's field of that name decides; the two are held against each other there. */
static int read_programs(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word words[] = {{"Enabled", true}, {"Disabled", false}, {NULL, 0}};
	struct cv_felix_configuration *felix = target;
	int value, rc = cv_reader_word(reader, node, words, &value);

	if (rc)
		return rc;
	felix->has_program_cluster_routes = true;
	felix->program_cluster_routes = value;
	return 0;
}

/* clang-format off */
#define SCALAR(field) {.name = (field), .type = CV_FIELD_UNUSED_SCALAR}
#define LIST(field)   {.name = (field), .type = CV_FIELD_UNUSED_LIST}
#define OBJECT(field) {.name = (field), .type = CV_FIELD_UNUSED_OBJECT}

static const struct cv_field fields[] = {
	{"ipipEnabled", CV_FIELD_READ, .read = read_ipip_enabled},
	{"ipipMTU", CV_FIELD_READ, .read = read_mtu},
	{"mtuIfacePattern", CV_FIELD_READ, .read = read_pattern},
	{"natPortRange", CV_FIELD_READ, .read = read_port_range},
	{"natOutgoingAddress", CV_FIELD_READ, .read = read_nat_address},
	{"natOutgoingExclusions", CV_FIELD_READ, .read = read_nat_exclusions},
	{"externalNodesList", CV_FIELD_READ, .read = read_external_nodes},
	{"deviceRouteProtocol", CV_FIELD_READ, .read = read_protocol},
	{"programClusterRoutes", CV_FIELD_READ, .read = read_programs},
	/* Calico's others, up to its version 3.32, in the alphabet's order. */
	SCALAR("allowIPIPPacketsFromWorkloads"),
	SCALAR("allowVXLANPacketsFromWorkloads"),
	SCALAR("awsSrcDstCheck"),
	SCALAR("bpfAttachType"),
	SCALAR("bpfConnectTimeLoadBalancing"),
	SCALAR("bpfConnectTimeLoadBalancingEnabled"),
	SCALAR("bpfConntrackLogLevel"),
	SCALAR("bpfConntrackMode"),
	OBJECT("bpfConntrackTimeouts"),
	SCALAR("bpfCTLBLogFilter"),
	SCALAR("bpfDataIfacePattern"),
	SCALAR("bpfDisableGROForIfaces"),
	SCALAR("bpfDisableUnprivileged"),
	LIST("bpfDSROptoutCIDRs"),
	SCALAR("bpfEnabled"),
	SCALAR("bpfEnforceRPF"),
	LIST("bpfExcludeCIDRsFromNAT"),
	SCALAR("bpfExportBufferSizeMB"),
	SCALAR("bpfExternalServiceMode"),
	SCALAR("bpfExtToServiceConnmark"),
	LIST("bpfForceTrackPacketsFromIfaces"),
	SCALAR("bpfHostConntrackBypass"),
	SCALAR("bpfHostNetworkedNATWithoutCTLB"),
	SCALAR("bpfJITHardening"),
	SCALAR("bpfKubeProxyEndpointSlicesEnabled"),
	SCALAR("bpfKubeProxyHealthzPort"),
	SCALAR("bpfKubeProxyIptablesCleanupEnabled"),
	SCALAR("bpfKubeProxyMinSyncPeriod"),
	SCALAR("bpfL3IfacePattern"),
	OBJECT("bpfLogFilters"),
	SCALAR("bpfLogLevel"),
	SCALAR("bpfMaglevMaxEndpointsPerService"),
	SCALAR("bpfMaglevMaxServices"),
	SCALAR("bpfMapSizeConntrack"),
	SCALAR("bpfMapSizeConntrackCleanupQueue"),
	SCALAR("bpfMapSizeConntrackScaling"),
	SCALAR("bpfMapSizeIfState"),
	SCALAR("bpfMapSizeIPSets"),
	SCALAR("bpfMapSizeNATAffinity"),
	SCALAR("bpfMapSizeNATBackend"),
	SCALAR("bpfMapSizeNATFrontend"),
	SCALAR("bpfMapSizePerCpuConntrack"),
	SCALAR("bpfMapSizeRoute"),
	SCALAR("bpfPolicyDebugEnabled"),
	SCALAR("bpfProfiling"),
	SCALAR("bpfPSNATPorts"),
	SCALAR("bpfRedirectToPeer"),
	SCALAR("cgroupV2Path"),
	SCALAR("chainInsertMode"),
	SCALAR("dataplaneDriver"),
	SCALAR("dataplaneWatchdogTimeout"),
	SCALAR("debugDisableLogDropping"),
	SCALAR("debugHost"),
	SCALAR("debugMemoryProfilePath"),
	SCALAR("debugPort"),
	SCALAR("debugSimulateCalcGraphHangAfter"),
	SCALAR("debugSimulateDataplaneApplyDelay"),
	SCALAR("debugSimulateDataplaneHangAfter"),
	SCALAR("defaultEndpointToHostAction"),
	SCALAR("deviceRouteSourceAddress"),
	SCALAR("deviceRouteSourceAddressIPv6"),
	SCALAR("disableConntrackInvalidCheck"),
	SCALAR("endpointReportingDelay"),
	SCALAR("endpointReportingEnabled"),
	SCALAR("endpointStatusPathPrefix"),
	LIST("failsafeInboundHostPorts"),
	LIST("failsafeOutboundHostPorts"),
	SCALAR("featureDetectOverride"),
	SCALAR("featureGates"),
	SCALAR("floatingIPs"),
	SCALAR("flowLogsCollectorDebugTrace"),
	SCALAR("flowLogsFlushInterval"),
	SCALAR("flowLogsGoldmaneServer"),
	SCALAR("flowLogsLocalReporter"),
	SCALAR("flowLogsPolicyEvaluationMode"),
	SCALAR("genericXDPEnabled"),
	SCALAR("goGCThreshold"),
	SCALAR("goMaxProcs"),
	SCALAR("goMemoryLimitMB"),
	SCALAR("healthEnabled"),
	SCALAR("healthHost"),
	SCALAR("healthPort"),
	LIST("healthTimeoutOverrides"),
	SCALAR("interfaceExclude"),
	SCALAR("interfacePrefix"),
	SCALAR("interfaceRefreshInterval"),
	SCALAR("ipForwarding"),
	SCALAR("ipsetsRefreshInterval"),
	SCALAR("iptablesBackend"),
	SCALAR("iptablesFilterAllowAction"),
	SCALAR("iptablesFilterDenyAction"),
	SCALAR("iptablesLockFilePath"),
	SCALAR("iptablesLockProbeInterval"),
	SCALAR("iptablesLockTimeout"),
	SCALAR("iptablesMangleAllowAction"),
	SCALAR("iptablesMarkMask"),
	SCALAR("iptablesNATOutgoingInterfaceFilter"),
	SCALAR("iptablesPostWriteCheckInterval"),
	SCALAR("iptablesRefreshInterval"),
	SCALAR("ipv4ElevatedRoutePriority"),
	SCALAR("ipv4NormalRoutePriority"),
	SCALAR("ipv6ElevatedRoutePriority"),
	SCALAR("ipv6NormalRoutePriority"),
	SCALAR("ipv6Support"),
	SCALAR("istioAmbientMode"),
	SCALAR("istioDSCPMark"),
	LIST("kubeNodePortRanges"),
	SCALAR("liveMigrationRouteConvergenceTime"),
	SCALAR("localSubnetL2Reachability"),
	SCALAR("logActionRateLimit"),
	SCALAR("logActionRateLimitBurst"),
	SCALAR("logDebugFilenameRegex"),
	SCALAR("logFilePath"),
	SCALAR("logPrefix"),
	SCALAR("logSeverityFile"),
	SCALAR("logSeverityScreen"),
	SCALAR("logSeveritySys"),
	SCALAR("maxIpsetSize"),
	SCALAR("metadataAddr"),
	SCALAR("metadataPort"),
	SCALAR("netlinkTimeout"),
	SCALAR("nftablesFilterAllowAction"),
	SCALAR("nftablesFilterDenyAction"),
	SCALAR("nftablesMangleAllowAction"),
	SCALAR("nftablesMarkMask"),
	SCALAR("nftablesMode"),
	SCALAR("nftablesRefreshInterval"),
	SCALAR("openstackRegion"),
	SCALAR("policySyncPathPrefix"),
	SCALAR("prometheusGoMetricsEnabled"),
	SCALAR("prometheusMetricsEnabled"),
	SCALAR("prometheusMetricsHost"),
	SCALAR("prometheusMetricsPort"),
	SCALAR("prometheusProcessMetricsEnabled"),
	SCALAR("prometheusWireGuardMetricsEnabled"),
	SCALAR("removeExternalRoutes"),
	SCALAR("reportingInterval"),
	SCALAR("reportingTTL"),
	SCALAR("requireMTUFile"),
	SCALAR("routeRefreshInterval"),
	SCALAR("routeSource"),
	SCALAR("routeSyncDisabled"),
	OBJECT("routeTableRange"),
	LIST("routeTableRanges"),
	SCALAR("serviceLoopPrevention"),
	SCALAR("sidecarAccelerationEnabled"),
	SCALAR("usageReportingEnabled"),
	SCALAR("usageReportingInitialDelay"),
	SCALAR("usageReportingInterval"),
	SCALAR("useInternalDataplaneDriver"),
	SCALAR("vxlanEnabled"),
	SCALAR("vxlanMTU"),
	SCALAR("vxlanMTUV6"),
	SCALAR("vxlanPort"),
	SCALAR("vxlanVNI"),
	SCALAR("windowsManageFirewallRules"),
	SCALAR("wireguardEnabled"),
	SCALAR("wireguardEnabledV6"),
	SCALAR("wireguardHostEncryptionEnabled"),
	SCALAR("wireguardInterfaceName"),
	SCALAR("wireguardInterfaceNameV6"),
	SCALAR("wireguardKeepAlive"),
	SCALAR("wireguardListeningPort"),
	SCALAR("wireguardListeningPortV6"),
	SCALAR("wireguardMTU"),
	SCALAR("wireguardMTUV6"),
	SCALAR("wireguardRoutingRulePriority"),
	SCALAR("wireguardThreadingEnabled"),
	SCALAR("workloadSourceSpoofing"),
	SCALAR("xdpEnabled"),
	SCALAR("xdpRefreshInterval"),
};
/* clang-format on */

static int init(struct cv_resource *resource)
{
	resource->felix = calloc(1, sizeof(*resource->felix));
	return resource->felix ? 0 : -ENOMEM;
}

static int check(struct cv_reader *reader, const struct cv_yaml_node *node,
		 struct cv_resource *resource)
{
	if (strcmp(resource->name, "default") && strncmp(resource->name, "node.", 5))
		cv_reader_warn(reader, node, "is not used: only \"default\" and \"node.NAME\" are");
	return 0;
}

static void fini(struct cv_resource *resource)
{
	if (!resource->felix)
		return;
	free(resource->felix->mtu_iface_pattern);
	free(resource->felix->external_nodes);
	free(resource->felix);
}

const struct cv_kind_reader cv_kind_felix_configuration = {
	.spec = {"FelixConfiguration spec", fields, sizeof(fields) / sizeof(fields[0])},
	.init = init,
	.check = check,
	.fini = fini,
};
