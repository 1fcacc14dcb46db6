/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node agent's loop: look, decide, act.
 *
 * Order of acting, so that no packet is lost on the way: who may send is known before anybody is
 * told to send another way; the device has its address before routes lead into it; routes
 * are replaced one by one in a single step each (routing/routes.h); NAT comes last, as a flow that
 * was not translated stays so.
 */
#include "agent/node.h"

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/dead_ends.h"
#include "agent/log.h"
#include "agent/node_paths.h"
#include "agent/node_routes.h"
#include "agent/node_state.h"
#include "agent/owned.h"
#include "routing/nat.h"

enum {
	/* A pool device that no pool needs any longer stays so long, for what others still send. */
	LINGER_S = 60,
};

struct cv_node_agent {
	char *run_dir;
	char name[64];
	char pool_device[IFNAMSIZ];
	struct cv_detect detect;
	struct cv_nl *nl;
	struct cv_tunnel_set *tunnels;
	struct cv_engine *engine;
	bool no_probing;
	struct cv_path_configuration path; /* in force */
	struct cv_dead_ends dead;
	struct cv_store *store;
	struct cv_routes *routes;
	struct cv_nat *nat;
	struct cv_bgp_agent *bgp;
	const struct cv_pods *pods; /* NULL: no addresses are kept here */
	struct cv_node_ipam *ipam;  /* NULL, too */
	struct event *again;	    /* decide again, once the loop is free */
	struct cv_node_state state;
	bool state_behind; /* the file could not be written */
	struct cv_facts facts;
	struct cv_intent intent;
	struct cv_node_report report;
	struct cv_formers formers;
	struct cv_node_jumbo jumbo;
	int64_t needed_us; /* when some pool last needed the pool device; 0: never */
	bool is_idle;	   /* there never was a resource: nothing of ours is anywhere */
	/* What the log has, so that it hears of news only. */
	char told_device[CV_ERROR_TEXT_MAX];
	char told_route[256];
	char told_nat[CV_ERROR_TEXT_MAX];
	char told_self[CV_ERROR_TEXT_MAX];
	char told_decide[128];
	char told_digest[CV_SNAPSHOT_DIGEST_MAX];
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Log a problem when it is news, and its end. */
static void tell(const char *what, char *told, size_t size, const char *problem)
{
	if (!strncmp(told, problem, size - 1))
		return;
	if (*problem)
		cv_log(LOG_WARNING, "%s: %s", what, problem);
	else
		cv_log(LOG_NOTICE, "%s: all is well again", what);
	snprintf(told, size, "%s", problem);
}

/* ---- looking and deciding ------------------------------------------------------------ */

static bool is_ours(int ifindex, void *data)
{
	return cv_tunnel_set_has_device(data, ifindex);
}

static uint8_t protocol_of(const struct cv_node_agent *node)
{
	return node->intent.protocol ? node->intent.protocol : CV_ROUTE_PROTOCOL;
}

static struct cv_node_paths paths_of(const struct cv_node_agent *node)
{
	return (struct cv_node_paths){node->engine, node->nl, node->tunnels, node->pool_device};
}

static int look(struct cv_node_agent *node)
{
	const struct cv_node_paths paths = paths_of(node);
	struct cv_facts facts;
	int rc = cv_facts_read(node->nl, is_ours, node->tunnels, protocol_of(node), &facts);

	if (rc)
		return rc;
	rc = cv_node_paths_read(&paths, &facts);
	if (rc < 0) {
		cv_facts_fini(&facts);
		return rc;
	}
	cv_facts_fini(&node->facts);
	node->facts = facts;
	return 0;
}

/* What an earlier daemon's pool device says of this node, into a zeroed intent. */
static void recall(const struct cv_node_agent *node, struct cv_intent *intent)
{
	const struct cv_tunnel_config *config =
		cv_tunnel_set_find(node->tunnels, node->pool_device);

	if (!config || strcmp(config->owner, CV_TUNNEL_OWNER_POOLS) != 0)
		return;
	intent->self.address = config->local;
	intent->self.prefix_length = 32;
	intent->mtu = config->mtu;
	snprintf(intent->mtu_how, sizeof(intent->mtu_how), "%s, as it was", config->name);
}

static bool has_tunnel(const char *name, void *data)
{
	return cv_owned_has_tunnel(data, name);
}

/* With a store that cannot be read, nothing is said of it: it is as it was. */
static void choose_programs(struct cv_node_agent *node, struct cv_decide_input *input)
{
	if (!node->bgp)
		return;
	if (input->snapshot->count || !cv_store_problem(node->store))
		input->programs = cv_bgp_agent_programs(node->bgp, input->snapshot, node->name,
							&input->is_handing_over);
	else
		input->programs = node->intent.programs;
	input->learned = cv_bgp_agent_learned(node->bgp);
	input->handed = cv_bgp_agent_handed(node->bgp, &input->handed_count);
}

static int decide(struct cv_node_agent *node)
{
	struct cv_intent recalled = {.mtu = 0};
	struct cv_snapshot *snapshot = cv_store_snapshot(node->store);
	struct cv_ipam_configuration ipam;
	int64_t now = now_us();
	struct cv_decide_input input = {
		.snapshot = snapshot,
		.formers = &node->formers,
		.facts = &node->facts,
		.node_name = node->name,
		.detect = &node->detect,
		.nl = node->nl,
		.pool_device = node->pool_device,
		.dead = node->dead.devices,
		.dead_count = node->dead.count,
		.has_tunnel = has_tunnel,
		.data = node->tunnels,
		.keep_device =
			node->needed_us && now - node->needed_us < (int64_t)LINGER_S * 1000000,
		.in_force = node->intent.snapshot ? &node->intent : &recalled,
	};
	struct cv_intent intent;
	int rc;

	if (node->ipam) {
		input.tunnel_address = cv_node_ipam_tunnel_address(node->ipam);
		input.is_address_assigned = cv_node_ipam_is_etcd(node->ipam);
		cv_snapshot_ipam(snapshot, &ipam);
		input.claims_blocks = input.is_address_assigned && ipam.auto_allocate_blocks;
		/* As it was, until it is known. */
		if (input.is_address_assigned && !input.tunnel_address)
			input.tunnel_address = node->state.address;
	}
	cv_formers_expire(&node->formers, now);
	if (node->intent.snapshot && node->intent.snapshot != snapshot)
		cv_formers_note(&node->formers, node->intent.snapshot, snapshot, now);
	if (!node->intent.snapshot)
		recall(node, &recalled);
	choose_programs(node, &input);
	rc = cv_decide(&input, &intent);
	if (rc)
		return rc;
	if (node->bgp && node->intent.snapshot)
		cv_bgp_agent_hold_guard(node->bgp, &node->intent, &intent);
	cv_intent_fini(&node->intent);
	node->intent = intent;
	return 0;
}

static bool is_encapsulating(const struct cv_intent *intent)
{
	return intent->has_device && intent->overlay.encapsulated.count;
}

/* ---- acting ------------------------------------------------------------------------------ */

static void save_state(struct cv_node_agent *node, const struct cv_node_state *state)
{
	struct cv_error error;
	int rc;

	if (!node->state_behind && cv_node_state_equal(&node->state, state))
		return;
	node->state = *state;
	rc = cv_node_state_save(node->run_dir, state, &error);
	if (rc && !node->state_behind)
		cv_log(LOG_ERR, "%s (will be tried again)", error.text);
	node->state_behind = rc != 0;
}

/* Devices have come, gone, or been set up; routes of resources may lead into them. */
static void look_again(struct cv_node_agent *node)
{
	if (!look(node))
		decide(node);
}

static void act_on_device(struct cv_node_agent *node)
{
	struct cv_node_report *report = &node->report;
	struct cv_node_state state = node->state;
	struct cv_error problem = {.text = ""}, other = {.text = ""};
	bool changed;

	changed = cv_owned_apply(node->tunnels, &node->intent, node->pool_device, &problem);
	if (changed)
		look_again(node);
	if (node->intent.has_device)
		cv_tunnel_set_owners(node->tunnels, node->pool_device, &node->intent.owners);
	cv_owned_configure(node->tunnels, node->nl, &node->intent, &node->facts, node->pool_device,
			   &state, &other);
	save_state(node, &state);
	if (changed)
		look_again(node);
	snprintf(report->device_problem, sizeof(report->device_problem), "%s",
		 problem.text[0] ? problem.text : other.text);
	tell("devices", node->told_device, sizeof(node->told_device), report->device_problem);
}

static void log_routes(const struct cv_routes_report *report)
{
	if (report->repaired)
		cv_log(LOG_NOTICE, "routes: %zu of ours had gone or were changed, and are mended",
		       report->repaired);
	if (report->added + report->replaced + report->deleted > report->repaired)
		cv_log(LOG_INFO, "routes: %zu added, %zu replaced, %zu deleted", report->added,
		       report->replaced, report->deleted);
}

static void act_on_routes(struct cv_node_agent *node, bool is_look)
{
	struct cv_routes_report report = {.added = 0};
	struct cv_node_state state = node->state;
	struct cv_table_route *routes;
	uint8_t protocol = protocol_of(node);
	size_t count;
	int rc = -ENOMEM;

	routes = cv_node_routes(&node->intent, cv_node_pool_ifindex(node), node->pods, &count);
	if (routes && (count || node->state.protocol)) {
		/* Routes of a former number are looked for as long as the file names it. */
		state.protocol = state.protocol ? state.protocol : protocol;
		save_state(node, &state);
		rc = cv_routes_apply(node->routes, routes, count, protocol, is_look, &report);
	} else if (routes) {
		rc = 0;
	}
	free(routes);
	if (rc)
		snprintf(report.first_failure, sizeof(report.first_failure), "%s", strerror(-rc));
	if (!rc && !report.failed && state.protocol) {
		state.protocol = count ? protocol : 0;
		save_state(node, &state);
	}
	node->report.routes_failed = rc ? count : report.failed;
	node->report.routes_repaired += report.repaired;
	memcpy(node->report.route_failure, report.first_failure,
	       sizeof(node->report.route_failure));
	log_routes(&report);
	tell("routes", node->told_route, sizeof(node->told_route), report.first_failure);
}

/* While the pool device is down the kernel has no routes through it. */
static int up_ifindex(const struct cv_node_agent *node)
{
	int ifindex = cv_node_pool_ifindex(node);
	const struct cv_fact_interface *interface = cv_facts_interface(&node->facts, ifindex);

	return interface && interface->flags & IFF_UP ? ifindex : 0;
}

static void act_on_bgp(struct cv_node_agent *node, bool is_look)
{
	struct cv_node_state state;

	cv_bgp_agent_apply(node->bgp, &node->intent, &node->facts, node->pool_device,
			   up_ifindex(node));
	if (is_look)
		cv_bgp_agent_routes_changed(node->bgp);
	state = node->state;
	state.bird = cv_bgp_agent_is_bird(node->bgp);
	save_state(node, &state);
}

/* Once the routes are there: the engine asks them about larger packets. */
static void tell_of_paths(struct cv_node_agent *node)
{
	const struct cv_node_paths paths = paths_of(node);

	cv_node_paths_tell(&paths, &node->facts, &node->intent, &node->jumbo);
}

static void act_on_nat(struct cv_node_agent *node, bool is_look)
{
	struct cv_node_state state = node->state;
	struct cv_error error = {.text = ""};
	int rc = 0;

	if (!node->intent.nat.wanted && !node->state.nat)
		return;
	/* Before it is noted as ours, which it would then be for good. */
	if (!node->state.nat)
		rc = cv_nat_check_free(&error);
	if (!rc && node->intent.nat.wanted) {
		state.nat = true;
		save_state(node, &state);
	}
	if (!rc)
		rc = cv_nat_apply(node->nat, &node->intent.nat, is_look, &error);
	if (rc < 0) {
		snprintf(node->report.nat_problem, sizeof(node->report.nat_problem), "%s",
			 error.text);
	} else {
		node->report.nat_problem[0] = '\0';
		state.nat = node->intent.nat.wanted;
		save_state(node, &state);
	}
	if (rc > 0)
		cv_log(LOG_INFO, "nat: table %s %s", CV_NAT_TABLE,
		       node->intent.nat.wanted ? "made" : "removed");
	node->report.nat_in_force = rc >= 0 && node->intent.nat.wanted;
	tell("nat", node->told_nat, sizeof(node->told_nat), node->report.nat_problem);
}

static bool is_same_prober(const struct cv_prober_config *a, const struct cv_prober_config *b)
{
	return a->probing == b->probing && a->min_mtu == b->min_mtu && a->base_mtu == b->base_mtu &&
	       a->max_probes == b->max_probes && a->probe_timer_ms == b->probe_timer_ms &&
	       a->raise_timer_ms == b->raise_timer_ms &&
	       a->confirm_timer_ms == b->confirm_timer_ms &&
	       a->liveness_timer_ms == b->liveness_timer_ms &&
	       a->liveness_losses == b->liveness_losses && a->rate == b->rate;
}

/* Not only of nodes: a host whose tunnels are all made by commands may have such a resource, too.
 */
static void act_on_paths(struct cv_node_agent *node)
{
	const struct cv_prober_config before = node->path.prober;
	struct cv_prober_config prober;

	cv_snapshot_path(cv_store_snapshot(node->store), &node->path);
	/* Before the first time all is zero, which no configuration is. */
	if (is_same_prober(&before, &node->path.prober))
		return;
	prober = node->path.prober;
	prober.probing = prober.probing && !node->no_probing;
	if (node->engine)
		cv_engine_configure_prober(node->engine, &prober);
	if (before.rate)
		cv_log(LOG_INFO, "paths: probed as PathConfiguration says, or the defaults%s",
		       prober.probing ? "" : "; that is, not at all");
}

/* None, unless somebody wants to know. */
static bool look_for_dead_ends(struct cv_node_agent *node)
{
	struct cv_paths paths = {.count = 0};
	bool changed;

	if (!node->engine ||
	    (node->path.skip_dead_next_hops && cv_paths_read(node->engine, &node->intent, &paths)))
		return false;
	changed = cv_dead_ends_update(&node->dead, &paths, node->tunnels);
	cv_paths_fini(&paths);
	return changed;
}

/* ---- all ------------------------------------------------------------------------------------ */

static void log_store(struct cv_node_agent *node)
{
	const struct cv_intent *intent = &node->intent;
	const struct cv_self *self = &intent->self;
	const struct cv_snapshot *snapshot = intent->snapshot;
	const char *digest = cv_snapshot_digest(snapshot);
	char text[CV_PREFIX_TEXT_MAX];
	struct cv_prefix address = {self->address, self->prefix_length};

	if (!strcmp(node->told_digest, digest))
		return;
	snprintf(node->told_digest, sizeof(node->told_digest), "%s", digest);
	if (snapshot->count)
		cv_log(LOG_INFO,
		       "store: resources %zu (digest %.12s); this node is %s%s%s; other nodes %zu, "
		       "prefixes %zu",
		       snapshot->count, digest, self->name, self->address ? ", " : "",
		       self->address ? cv_prefix_format(&address, text) : "", intent->peer_count,
		       intent->decision_count);
}

/*
 * The resources could not be read since we began: what there is of an earlier daemon's is right as
 * far as anybody knows, and taking it away would cut everybody off for a mistake in one file.
 */
static bool is_blind(struct cv_node_agent *node)
{
	if (cv_store_snapshot(node->store)->count || !cv_store_problem(node->store))
		return false;
	snprintf(node->report.device_problem, sizeof(node->report.device_problem),
		 "the resources cannot be read; what an earlier culvertd made of them stays as it "
		 "is until they can");
	tell("node", node->told_device, sizeof(node->told_device), node->report.device_problem);
	return true;
}

static void reconcile(struct cv_node_agent *node, bool is_look)
{
	struct cv_node_report *report = &node->report;
	int64_t begin_us = now_us();
	int rc;

	/* Who has no resources pays nothing for those who have. */
	if (node->is_idle && !cv_store_snapshot(node->store)->count &&
	    !(node->pods && cv_pods_count(node->pods)))
		return;
	node->is_idle = false;
	act_on_paths(node);
	look_for_dead_ends(node);
	rc = is_look ? look(node) : 0;
	if (!rc)
		rc = decide(node);
	tell("cannot decide about routes, and will try again", node->told_decide,
	     sizeof(node->told_decide), rc ? strerror(-rc) : "");
	if (rc) {
		report->errors++;
		return;
	}
	if (is_encapsulating(&node->intent))
		node->needed_us = begin_us;
	tell("node", node->told_self, sizeof(node->told_self), node->intent.self.problem);
	if (is_blind(node)) {
		report->errors++;
		return;
	}
	act_on_device(node);
	act_on_routes(node, is_look);
	tell_of_paths(node);
	act_on_bgp(node, is_look);
	act_on_nat(node, is_look);
	if (node->ipam)
		cv_node_ipam_update(node->ipam, &node->intent, &node->facts);
	/* Last: packets wait for what is above, nobody for a digest of everything. */
	log_store(node);
	report->reconciles++;
	report->errors +=
		report->routes_failed || report->device_problem[0] || report->nat_problem[0];
	report->last_us = now_us() - begin_us;
	if (report->last_us > report->longest_us)
		report->longest_us = report->last_us;
}

void cv_node_reconcile(struct cv_node_agent *node)
{
	reconcile(node, false);
}

void cv_node_paths_changed(struct cv_node_agent *node)
{
	const struct cv_node_paths paths = paths_of(node);
	bool is_dead_end_news = look_for_dead_ends(node);

	if (cv_node_paths_read(&paths, &node->facts) > 0 || is_dead_end_news)
		reconcile(node, false);
}

void cv_node_refresh(struct cv_node_agent *node)
{
	reconcile(node, true);
}

void cv_node_store_changed(struct cv_node_agent *node)
{
	if (cv_store_refresh(node->store) > 0)
		reconcile(node, false);
}

void cv_node_look(struct cv_node_agent *node)
{
	cv_store_refresh(node->store);
	reconcile(node, true);
}

/* ---- pods ---------------------------------------------------------------------------------- */

int cv_node_route(struct cv_node_agent *node, const struct cv_table_route *route, bool add,
		  struct cv_error *error)
{
	struct cv_node_state state = node->state;
	uint8_t protocol = protocol_of(node);

	if (!add)
		return cv_routes_drop(node->routes, route, protocol, error);
	/* As act_on_routes: it is noted before there is one. */
	state.protocol = state.protocol ? state.protocol : protocol;
	save_state(node, &state);
	node->is_idle = false;
	return cv_routes_put(node->routes, route, protocol, error);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	reconcile(data, false);
}

void cv_node_decide_again(struct cv_node_agent *node)
{
	event_active(node->again, EV_TIMEOUT, 0);
}

static void on_other_address(void *data)
{
	cv_node_decide_again(data);
}

static int open_ipam(struct cv_node_agent *node, const struct cv_node_options *options)
{
	const struct cv_node_ipam_options ipam = {
		.addresses = options->addresses,
		.pods = options->pods,
		.is_etcd = options->datastore && options->datastore->is_etcd,
		.former = node->state.address,
		.changed = on_other_address,
		.data = node,
	};

	node->pods = options->pods;
	node->again = evtimer_new(options->base, on_again, node);
	if (!node->again)
		return -ENOMEM;
	if (!options->addresses)
		return 0;
	node->ipam = cv_node_ipam_create(&ipam);
	return node->ipam ? 0 : -ENOMEM;
}

/* ---- beginning and end ------------------------------------------------------------------- */

static void host_name(char name[64])
{
	char text[65] = "";

	if (gethostname(text, sizeof(text) - 1) || !*text)
		snprintf(text, sizeof(text), "localhost");
	/* As Calico and Kubernetes do: names of nodes are lower case. */
	for (char *p = text; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	snprintf(name, 64, "%.63s", text);
}

/* An earlier daemon, of resources. */
static bool has_made_anything(const struct cv_node_agent *node)
{
	for (size_t i = 0; i < cv_tunnel_set_count(node->tunnels); i++) {
		if (cv_tunnel_set_config(node->tunnels, i)->owner[0])
			return true;
	}
	return node->state.protocol || node->state.nat || node->state.address ||
	       node->state.given_count;
}

static void on_bgp(void *data)
{
	reconcile(data, false);
}

static int open_bgp(struct cv_node_agent *node, const struct cv_node_options *options,
		    struct cv_error *error)
{
	const struct cv_bgp_agent_options bgp = {
		.base = options->base,
		.nl = node->nl,
		.run_dir = options->run_dir,
		.config_dir = options->config_dir,
		.mode = options->bgp,
		.program = options->bird,
		.socket = options->bird_socket,
		.was_bird = node->state.bird,
		.changed = on_bgp,
		.data = node,
	};

	return cv_bgp_agent_create(&bgp, &node->bgp, error);
}

static int open_parts(struct cv_node_agent *node, const struct cv_node_options *options,
		      struct cv_error *error)
{
	struct cv_store_options store = {
		.directory = options->config_dir,
		.log = cv_log_text,
		.datastore = options->datastore,
	};
	int rc = cv_detect_parse(options->detect ? options->detect : "first-found", &node->detect,
				 error);

	if (!rc)
		rc = cv_node_state_load(node->run_dir, &node->state, error);
	store.was_used = has_made_anything(node);
	if (!rc)
		rc = cv_store_create(&store, &node->store, error);
	if (rc)
		return rc;
	node->routes = cv_routes_create(node->nl, node->state.protocol);
	node->nat = cv_nat_create(node->state.nat);
	if (!node->routes || !node->nat || open_ipam(node, options))
		return cv_error_set(error, -ENOMEM, "out of memory");
	return open_bgp(node, options, error);
}

int cv_node_create(const struct cv_node_options *options, struct cv_node_agent **ret_node,
		   struct cv_error *error)
{
	struct cv_node_agent *node = calloc(1, sizeof(*node));
	int rc = -ENOMEM;

	if (node)
		node->run_dir = strdup(options->run_dir);
	if (!node || !node->run_dir) {
		cv_node_destroy(node);
		return cv_error_set(error, rc, "out of memory");
	}
	if (options->name)
		snprintf(node->name, sizeof(node->name), "%s", options->name);
	else
		host_name(node->name);
	snprintf(node->pool_device, sizeof(node->pool_device), "%s",
		 options->pool_device ? options->pool_device : CV_NODE_POOL_DEVICE);
	node->nl = options->nl;
	node->tunnels = options->tunnels;
	node->engine = options->engine;
	node->no_probing = options->no_probing;
	rc = open_parts(node, options, error);
	if (!rc)
		rc = look(node);
	if (!rc)
		rc = decide(node);
	if (rc) {
		if (!error->text[0])
			cv_error_set(error, rc, "cannot read the host's network: %s",
				     strerror(-rc));
		cv_node_destroy(node);
		return rc;
	}
	node->is_idle = !has_made_anything(node);
	act_on_paths(node);
	reconcile(node, true);
	/* Also where there is nothing to do: what can be given is known then. */
	if (node->ipam)
		cv_node_ipam_update(node->ipam, &node->intent, &node->facts);
	*ret_node = node;
	return 0;
}

void cv_node_destroy(struct cv_node_agent *node)
{
	if (!node)
		return;
	cv_node_ipam_destroy(node->ipam);
	if (node->again)
		event_free(node->again);
	cv_routes_destroy(node->routes);
	cv_nat_destroy(node->nat);
	cv_bgp_agent_destroy(node->bgp);
	if (node->intent.snapshot)
		cv_intent_fini(&node->intent);
	cv_facts_fini(&node->facts);
	free(node->jumbo.remotes);
	cv_formers_fini(&node->formers);
	cv_store_destroy(node->store);
	cv_dead_ends_fini(&node->dead);
	cv_detect_fini(&node->detect);
	free(node->run_dir);
	free(node);
}

/* ---- looking at it ----------------------------------------------------------------------- */

int cv_node_fd(const struct cv_node_agent *node)
{
	return cv_store_fd(node->store);
}

struct cv_store *cv_node_store(const struct cv_node_agent *node)
{
	return node->store;
}

const struct cv_intent *cv_node_intent(const struct cv_node_agent *node)
{
	return &node->intent;
}

const struct cv_facts *cv_node_facts(const struct cv_node_agent *node)
{
	return &node->facts;
}

const struct cv_node_report *cv_node_report(const struct cv_node_agent *node)
{
	return &node->report;
}

const struct cv_node_ipam *cv_node_ipam(const struct cv_node_agent *node)
{
	return node->ipam;
}

struct cv_bgp_agent *cv_node_bgp(const struct cv_node_agent *node)
{
	return node->bgp;
}

int cv_node_detect(const struct cv_node_agent *node, struct cv_self *ret_self)
{
	struct cv_snapshot *nothing;
	int rc = cv_snapshot_create(NULL, 0, &nothing, NULL);

	if (rc)
		return rc;
	cv_self_find(nothing, node->name, &node->detect, &node->facts, node->nl, ret_self);
	cv_snapshot_put(nothing);
	return 0;
}

const char *cv_node_not_probing(const struct cv_node_agent *node)
{
	if (node->no_probing)
		return "culvertd runs with --probing off";
	return node->path.prober.probing ? NULL
					 : "PathConfiguration default says probing: Disabled";
}

const char *cv_node_pool_device(const struct cv_node_agent *node)
{
	return node->pool_device;
}

int cv_node_pool_ifindex(const struct cv_node_agent *node)
{
	return cv_tunnel_set_ifindex(node->tunnels, node->pool_device);
}
