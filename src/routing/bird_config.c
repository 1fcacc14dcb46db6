/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD 2's configuration. Its shape:
 *
 *     culvert_devices (direct) ──> culvert_connected ── culvert_links (pipe) ┐
 *                             culvert_nodes, culvert_gateways (static) ──> culvert_igp: next hops
 *     culvert_own (static) ──> master4 <── sessions (BGP; next hops by culvert_igp)
 *                                 │
 *                                 └──> kernel (filter culvert_kernel)
 *
 * culvert_igp never has what was learned by BGP or from the kernel: a next hop is on a link of
 * ours, or a node that the tunnel reaches.
 *
 * Nothing but digits, addresses, names made by name_session() and strings by
 * cv_bird_put_string() is written: no word of a resource can end a string or a comment.
 */
#include "routing/bird_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "routing/bird_filter.h"
#include "routing/bird_text.h"

enum {
	RECOVERY_S = 20,
	/* What somebody deletes of BIRD's comes back so soon. */
	SCAN_KERNEL_S = 20,
	/* Its own 5,000 routes at once overflow the default, and it looks at all of them again. */
	NETLINK_BUFFER = 16 << 20,
	SCAN_DEVICES_S = 10, /* links are noticed at once; the scan is for what was missed */
	MERGE_PATHS_MAX = 16,
	LOG_SIZE_MAX = 1 << 20,
};

/* ---- next hops ------------------------------------------------------------------------ */

static void put_no_link(FILE *out, const char *pattern)
{
	fputs("\n\t\t&& ifname !~ ", out);
	cv_bird_put_string(out, pattern);
}

/*
 * BIRD restarts a direct protocol whose filter or interfaces change, and every next hop on a link
 * is unreachable meanwhile (2.0.12). A pipe with a new filter is only fed anew. So all connected
 * networks are taken, and the pipe says which of them are links.
 */
static void put_links(FILE *out, const struct cv_bgp_intent *bgp)
{
	struct cv_bird_list list = {.out = out};

	fputs("ipv4 table " CV_BGP_PREFIX "connected;\nipv4 table " CV_BGP_PREFIX "igp;\n\n"
	      "protocol direct " CV_BGP_PREFIX "devices {\n\tipv4 { table " CV_BGP_PREFIX
	      "connected; };\n}\n\n"
	      "protocol pipe " CV_BGP_PREFIX "links {\n\ttable " CV_BGP_PREFIX
	      "igp;\n\tpeer table " CV_BGP_PREFIX "connected;\n\texport none;\n\timport ",
	      out);
	for (size_t i = 0; i < bgp->link_count; i++) {
		if (!i)
			fputs("where net ~ [", out);
		cv_bird_put_prefix(&list, &bgp->links[i].prefix, "");
	}
	fputs(bgp->link_count ? " ]" : "none", out);
	if (bgp->link_count && *bgp->pool_device)
		put_no_link(out, bgp->pool_device);
	for (size_t i = 0; i < bgp->ignored_interface_count && bgp->link_count; i++)
		put_no_link(out, bgp->ignored_interfaces[i]);
	fputs(";\n}\n\n", out);
}

/*
 * Nodes that are on no link of ours resolve into the tunnel: else BIRD takes routes by them for
 * unreachable, and prefers any other. It does not say how their packets go: culvert_kernel does.
 */
static void put_far_nodes(FILE *out, const struct cv_bgp_intent *bgp)
{
	char text[CV_ADDRESS_TEXT_MAX];

	fputs("protocol static " CV_BGP_PREFIX "nodes {\n\tipv4 { table " CV_BGP_PREFIX "igp; };\n",
	      out);
	for (size_t i = 0; i < bgp->node_count && *bgp->pool_device; i++) {
		if (bgp->nodes[i].on_link)
			continue;
		fprintf(out, "\troute %s/32 via ", cv_address_format(bgp->nodes[i].address, text));
		cv_bird_put_string(out, bgp->pool_device);
		fputs(";\n", out);
	}
	fputs("}\n\n", out);
}

/* reachableBy: for next hops alone; that the kernel finds the peer itself is the host's business.
 */
static void put_gateways(FILE *out, const struct cv_bgp_intent *bgp)
{
	char peer[CV_ADDRESS_TEXT_MAX], gateway[CV_ADDRESS_TEXT_MAX];

	fputs("protocol static " CV_BGP_PREFIX "gateways {\n\tipv4 { table " CV_BGP_PREFIX
	      "igp; };\n",
	      out);
	for (size_t i = 0; i < bgp->session_count; i++) {
		if (bgp->sessions[i].reachable_by)
			fprintf(out, "\troute %s/32 via %s;\n",
				cv_address_format(bgp->sessions[i].address, peer),
				cv_address_format(bgp->sessions[i].reachable_by, gateway));
	}
	fputs("}\n\n", out);
}

/* ---- ours ------------------------------------------------------------------------------- */

/* Blackholes here are for BGP alone: the kernel's are the agent's. */
static void put_own(FILE *out, const struct cv_bgp_intent *bgp)
{
	char text[CV_PREFIX_TEXT_MAX];

	fputs("protocol static " CV_BGP_PREFIX "own {\n\tipv4;\n", out);
	for (size_t i = 0; i < bgp->export_count; i++)
		fprintf(out, "\troute %s blackhole;\n",
			cv_prefix_format(&bgp->exports[i].prefix, text));
	fputs("}\n\n", out);
}

/* ---- sessions ----------------------------------------------------------------------------- */

static void put_ends(FILE *out, const struct cv_bgp_intent *bgp,
		     const struct cv_bgp_session *session)
{
	/* `strict bind` listens at the session's own address: it needs one. */
	const __be32 source = bgp->listen_at_local ? bgp->local : session->source;
	char text[CV_ADDRESS_TEXT_MAX];

	fputs("\tlocal", out);
	if (source)
		fprintf(out, " %s", cv_address_format(source, text));
	fprintf(out, " port %u as %u;\n", bgp->listen_port, session->local_as_number);
	fprintf(out, "\tneighbor %s port %u as %u;\n", cv_address_format(session->address, text),
		session->port, session->as_number);
	if (bgp->listen_at_local)
		fputs("\tstrict bind on;\n", out);
	/* Not `direct`: next hops may be on other links than the peer, and resolve by culvert_igp.
	 */
	if (session->ttl_security)
		fprintf(out, "\tmultihop %u;\n\tttl security on;\n", session->ttl_security);
	else
		fputs("\tmultihop;\n", out);
	if (session->password) {
		fputs("\tpassword \"", out);
		fputs(session->password, out);
		fputs("\";\n", out);
	}
}

static void put_timers(FILE *out, const struct cv_bgp_session *session)
{
	uint32_t hold = session->keepalive_s * 3;

	/* RFC 4271, 4.2: zero, or at least three seconds, and two bytes. */
	if (hold < 3 || session->keepalive_s > UINT16_MAX / 3)
		hold = CV_BGP_HOLD_TIME_S;
	fprintf(out, "\thold time %u;\n\tkeepalive time %u;\n", hold, hold / 3);
	/* BIRD's own are 120, 5 and 60 … 300: a node that was away is to be back at once. */
	fputs("\tconnect retry time 5;\n\tconnect delay time 2;\n\terror wait time 5, 30;\n", out);
	fprintf(out, "\tgraceful restart on;\n\tgraceful restart time %u;\n",
		session->restart_time_s);
}

static void put_channel(FILE *out, const struct cv_bird_filters *filters,
			const struct cv_bgp_session *session)
{
	char name[CV_BIRD_FILTER_NAME_MAX];

	fputs("\tipv4 {\n\t\tigp table " CV_BGP_PREFIX "igp;\n\t\tgateway recursive;\n", out);
	/* All next hops of a prefix pass a reflector, not its best alone. Routers are not asked. */
	if (session->node)
		fputs("\t\tadd paths on;\n", out);
	if (session->next_hop_mode == CV_BGP_NEXT_HOP_SELF)
		fputs("\t\tnext hop self;\n", out);
	else if (session->next_hop_mode == CV_BGP_NEXT_HOP_KEEP)
		fputs("\t\tnext hop keep;\n", out);
	fprintf(out, "\t\timport keep filtered on;\n\t\treceive limit %d action restart;\n",
		CV_BGP_ROUTES_MAX);
	fprintf(out, "\t\timport filter %s;\n", cv_bird_import_name(filters, session, name));
	fprintf(out, "\t\texport filter %s;\n\t};\n", cv_bird_export_name(filters, session, name));
}

static void put_session(FILE *out, const struct cv_bgp_intent *bgp,
			const struct cv_bird_filters *filters, const struct cv_bgp_session *session)
{
	char text[CV_ADDRESS_TEXT_MAX];

	fprintf(out, "protocol bgp %s {\n", session->name);
	put_ends(out, bgp, session);
	put_timers(out, session);
	if (session->allowed_local_as)
		fprintf(out, "\tallow local as %u;\n", session->allowed_local_as);
	if (session->is_client)
		fprintf(out, "\trr client;\n\trr cluster id %s;\n",
			cv_address_format(bgp->cluster_id, text));
	put_channel(out, filters, session);
	fputs("}\n\n", out);
}

/* ---- the files ------------------------------------------------------------------------------- */

static const char heading[] = "# Made by culvertd, anew at every change. Do not edit.\n\n";

char *cv_bird_config_include(const struct cv_bgp_intent *bgp)
{
	struct cv_bird_filters filters;
	char *text = NULL;
	size_t size;
	FILE *out;

	if (cv_bird_filters_make(bgp, &filters))
		return NULL;
	out = open_memstream(&text, &size);
	if (!out) {
		cv_bird_filters_fini(&filters);
		return NULL;
	}
	fputs(heading, out);
	put_links(out, bgp);
	put_far_nodes(out, bgp);
	put_gateways(out, bgp);
	put_own(out, bgp);
	cv_bird_put_filters(out, bgp, &filters);
	for (size_t i = 0; i < bgp->session_count; i++) {
		if (!bgp->sessions[i].password_missing)
			put_session(out, bgp, &filters, &bgp->sessions[i]);
	}
	cv_bird_filters_fini(&filters);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/*
 * How long a BIRD that was restarted waits for peers that do not come back before it makes and
 * deletes routes. Meanwhile nothing new reaches the kernel, so it is not the restart time (how long
 * peers keep our routes), but what those that are alive need: they try again every 5 s.
 */
static uint32_t recovery_s(const struct cv_bgp_intent *bgp)
{
	uint32_t longest = 1, needed = RECOVERY_S + (uint32_t)(bgp->session_count / 20);

	for (size_t i = 0; i < bgp->session_count; i++) {
		if (bgp->sessions[i].restart_time_s > longest)
			longest = bgp->sessions[i].restart_time_s;
	}
	return needed < longest ? needed : longest;
}

/* What no string of BIRD's can have. */
static bool is_string(const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\n')
			return false;
	}
	return true;
}

char *cv_bird_config_main(const struct cv_bgp_intent *bgp, const char *include_path,
			  const char *log_path)
{
	char router_id[CV_ADDRESS_TEXT_MAX];
	char *text;

	if (!is_string(include_path) || !is_string(log_path)) {
		errno = EINVAL;
		return NULL;
	}
	/*
	 * Not `persist`: told to end, BIRD takes its routes along; killed, it leaves them anyway.
	 * Without `graceful restart` of the kernel's protocol, too, a BIRD that is started with -R
	 * deletes all of its predecessor's routes with its first scan, and makes them again when
	 * it has learned them (2.0.12).
	 */
	if (asprintf(
		    &text,
		    "%slog \"%s\" %d \"%s.1\" { info, remote, warning, error, auth, fatal, bug };\n"
		    "router id %s;\n"
		    "graceful restart wait %u;\n\n"
		    "protocol device {\n\tscan time %d;\n}\n\n"
		    "include \"%s\";\n\n"
		    "protocol kernel " CV_BIRD_KERNEL " {\n"
		    "\tnetlink rx buffer %d;\n"
		    "\tscan time %d;\n"
		    "\tmetric %d;\n"
		    "\tgraceful restart on;\n"
		    "\tmerge paths on limit %d;\n"
		    "\tipv4 {\n\t\timport none;\n\t\texport filter " CV_BGP_PREFIX
		    "kernel;\n\t};\n}\n",
		    heading, log_path, LOG_SIZE_MAX, log_path,
		    cv_address_format(bgp->router_id, router_id), recovery_s(bgp), SCAN_DEVICES_S,
		    include_path, NETLINK_BUFFER, SCAN_KERNEL_S, CV_BGP_METRIC,
		    MERGE_PATHS_MAX) < 0)
		return NULL;
	return text;
}
