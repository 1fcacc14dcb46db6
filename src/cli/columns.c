/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns are taken from a resource's JSON by tables of paths. Defaults stand here a second time,
 * as they are shown (model/resource.h has them): a resource's text has what was written.
 */
#include "cli/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct column {
	const char *heading;
	const char *path;   /* of the field: "spec.bgp.asNumber" */
	const char *absent; /* what is shown where it is not given */
	bool is_wide;
};

static const struct column pool_columns[] = {
	{"CIDR", "spec.cidr", "", false},
	{"IPIPMODE", "spec.ipipMode", "Never", false},
	{"NAT", "spec.natOutgoing", "false", false},
	{"DISABLED", "spec.disabled", "false", false},
	{"BLOCKSIZE", "spec.blockSize", "26", true},
	{"SELECTOR", "spec.nodeSelector", "all()", true},
	{"USES", "spec.allowedUses", "Workload,Tunnel", true},
	{"ASSIGNMENT", "spec.assignmentMode", "Automatic", true},
	{NULL, NULL, NULL, false},
};

static const struct column node_columns[] = {
	{"ADDRESS", "spec.bgp.ipv4Address", "", false},
	{"TUNNEL", "spec.bgp.ipv4IPIPTunnelAddr", "", false},
	{"ASN", "spec.bgp.asNumber", "", true},
	{"LABELS", "metadata.labels", "", true},
	{NULL, NULL, NULL, false},
};

static const struct column affinity_columns[] = {
	{"CIDR", "spec.cidr", "", false},
	{"NODE", "spec.node", "", false},
	{"STATE", "spec.state", "confirmed", false},
	{"DELETED", "spec.deleted", "false", true},
	{NULL, NULL, NULL, false},
};

static const struct column reservation_columns[] = {
	{"CIDRS", "spec.reservedCIDRs", "", false},
	{NULL, NULL, NULL, false},
};

static const struct column felix_columns[] = {
	{"IPIP", "spec.ipipEnabled", "", false},
	{"MTU", "spec.ipipMTU", "", false},
	{"NATPORTS", "spec.natPortRange", "", false},
	{"NATADDRESS", "spec.natOutgoingAddress", "", false},
	{"EXCLUSIONS", "spec.natOutgoingExclusions", "", true},
	{"EXTERNALNODES", "spec.externalNodesList", "", true},
	{"MTUPATTERN", "spec.mtuIfacePattern", "", true},
	{"PROTOCOL", "spec.deviceRouteProtocol", "", true},
	{NULL, NULL, NULL, false},
};

static const struct column tunnel_columns[] = {
	{"NODE", "spec.node", "", false},
	{"REMOTE", "spec.remote", "any", false},
	{"LOCAL", "spec.local", "any", false},
	{"ADDRESSES", "spec.addresses", "", false},
	{"ROUTES", "spec.routes", "", false},
	{"DEV", "spec.dev", "", true},
	{"TTL", "spec.ttl", "inherit", true},
	{"TOS", "spec.tos", "0", true},
	{"PMTUDISC", "spec.pmtudisc", "true", true},
	{"STRICT", "spec.strict", "true", true},
	{"ECN", "spec.ecn", "normal", true},
	{"MSSCLAMP", "spec.mssclamp", "auto", true},
	{"UP", "spec.up", "true", true},
	{NULL, NULL, NULL, false},
};

static const struct column workload_columns[] = {
	{"NODE", "spec.node", "", false},
	{"DEVICE", "spec.device", "", false},
	{"ADDRESSES", "spec.addresses", "", false},
	{NULL, NULL, NULL, false},
};

static const struct column path_columns[] = {
	{"PROBING", "spec.probing", "Enabled", false},
	{"RAISETIMER", "spec.raiseTimer", "10m", false},
	{"CONFIRMTIMER", "spec.confirmTimer", "300ms", false},
	{"LIVENESSTIMER", "spec.livenessTimer", "30s", false},
	{"SKIPDEADNEXTHOPS", "spec.skipDeadNextHops", "Disabled", false},
	{"MSSCLAMP", "spec.mssClamp", "auto", true},
	{"MINMTU", "spec.minMTU", "596", true},
	{"BASEMTU", "spec.baseMTU", "1200", true},
	{"MAXPROBES", "spec.maxProbes", "3", true},
	{"PROBETIMER", "spec.probeTimer", "15s", true},
	{"LIVENESSLOSSES", "spec.livenessLosses", "3", true},
	{"PROBESPERSECOND", "spec.probesPerSecond", "2000", true},
	{NULL, NULL, NULL, false},
};

/* Layers, as FelixConfiguration: no defaults. */
static const struct column bgp_columns[] = {
	{"ASN", "spec.asNumber", "", false},
	{"MESH", "spec.nodeToNodeMeshEnabled", "", false},
	{"PORT", "spec.listenPort", "", false},
	{"PROGRAMCLUSTERROUTES", "spec.programClusterRoutes", "", false},
	{"BINDMODE", "spec.bindMode", "", true},
	{"MESHRESTARTTIME", "spec.nodeMeshMaxRestartTime", "", true},
	{"MESHPASSWORD", "spec.nodeMeshPassword.secretKeyRef.name", "", true},
	{"IGNORED", "spec.ignoredInterfaces", "", true},
	{NULL, NULL, NULL, false},
};

static const struct column peer_columns[] = {
	{"NODE", "spec.node", "", false},
	{"NODESELECTOR", "spec.nodeSelector", "", false},
	{"PEERIP", "spec.peerIP", "", false},
	{"PEERSELECTOR", "spec.peerSelector", "", false},
	{"ASN", "spec.asNumber", "", false},
	{"FILTERS", "spec.filters", "", false},
	{"LOCALASN", "spec.localASNumber", "", true},
	{"PASSWORD", "spec.password.secretKeyRef.name", "", true},
	{"NEXTHOP", "spec.nextHopMode", "Auto", true},
	{"KEEPALIVE", "spec.keepaliveTime", "30s", true},
	{"RESTARTTIME", "spec.maxRestartTime", "120s", true},
	{"SOURCE", "spec.sourceAddress", "UseNodeIP", true},
	{"TTLSECURITY", "spec.ttlSecurity", "0", true},
	{"REACHABLEBY", "spec.reachableBy", "", true},
	{NULL, NULL, NULL, false},
};

static const struct column filter_columns[] = {
	{"EXPORT", "spec.exportV4", "", false},
	{"IMPORT", "spec.importV4", "", false},
	{NULL, NULL, NULL, false},
};

static const struct column ipam_columns[] = {
	{"STRICT", "spec.strictAffinity", "false", false},
	{"CLAIMS", "spec.autoAllocateBlocks", "true", false},
	{"MAXBLOCKS", "spec.maxBlocksPerHost", "0", false},
	{NULL, NULL, NULL, false},
};

/* Of a kind that this culvert does not know: its name alone. */
static const struct column no_columns[] = {{NULL, NULL, NULL, false}};

static const struct {
	const char *kind;
	const struct column *columns;
} kinds[] = {
	{"IPPool", pool_columns},
	{"Node", node_columns},
	{"BlockAffinity", affinity_columns},
	{"IPReservation", reservation_columns},
	{"FelixConfiguration", felix_columns},
	{"Tunnel", tunnel_columns},
	{"Workload", workload_columns},
	{"PathConfiguration", path_columns},
	{"BGPConfiguration", bgp_columns},
	{"BGPPeer", peer_columns},
	{"BGPFilter", filter_columns},
	{"IPAMConfiguration", ipam_columns},
};

static const struct column *columns_of(const char *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(kinds[i].kind, kind))
			return kinds[i].columns;
	}
	return no_columns;
}

static json_t *find_field(json_t *json, const char *path)
{
	while (json && *path) {
		size_t length = strcspn(path, ".");
		char key[32];

		snprintf(key, sizeof(key), "%.*s", (int)length, path);
		json = json_object_get(json, key);
		path += length + (path[length] == '.');
	}
	return json;
}

/* One value without quotes, a list with commas (of objects: with ;), an object as
 * "name=value,…". */
static void print_value(FILE *file, json_t *value)
{
	bool is_first = true;
	const char *key;
	json_t *item;
	size_t i;

	switch (json_typeof(value)) {
	case JSON_STRING:
		fputs(json_string_value(value), file);
		break;
	case JSON_ARRAY:
		json_array_foreach(value, i, item)
		{
			fputs(!i ? "" : json_is_object(item) ? ";" : ",", file);
			print_value(file, item);
		}
		break;
	case JSON_OBJECT:
		json_object_foreach(value, key, item)
		{
			fprintf(file, "%s%s=", is_first ? "" : ",", key);
			print_value(file, item);
			is_first = false;
		}
		break;
	default:
		json_dumpf(value, file, JSON_ENCODE_ANY | JSON_COMPACT);
	}
}

static void add_field(struct cv_table *table, const struct column *column, json_t *resource)
{
	json_t *value = find_field(resource, column->path);
	size_t length;
	char *text = NULL;
	FILE *file = value ? open_memstream(&text, &length) : NULL;

	if (file) {
		print_value(file, value);
		fclose(file);
	}
	cv_table_add(table, text && *text ? text : column->absent);
	free(text);
}

void cv_columns_begin(const char *kind, bool wide, struct cv_table *ret_table)
{
	const struct column *columns = columns_of(kind);
	size_t count = wide ? 2 : 1;

	for (const struct column *c = columns; c->heading; c++)
		count += wide || !c->is_wide;
	cv_table_init(ret_table, count);
	cv_table_add(ret_table, "NAME");
	for (const struct column *c = columns; c->heading; c++) {
		if (wide || !c->is_wide)
			cv_table_add(ret_table, c->heading);
	}
	if (wide)
		cv_table_add(ret_table, "WHERE");
}

void cv_columns_add(struct cv_table *table, const char *kind, bool wide, const char *name,
		    json_t *resource, const char *where)
{
	cv_table_add(table, name);
	for (const struct column *c = columns_of(kind); c->heading; c++) {
		if (wide || !c->is_wide)
			add_field(table, c, resource);
	}
	if (wide)
		cv_table_add(table, where);
}
