/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All endpoints of a daemon.
 *
 * Invariants, whenever no function of this file runs:
 * - the state file lists exactly these endpoints, but those that are hosted, unless saving failed
 *   (dirty, tried again at every refresh);
 * - no address is in two of them.
 *
 * The fast path, which outlives a crash, never knows an endpoint that the state file does not
 * list: it is told of a new one after saving, and of one that goes before that. What it was
 * not told because of a crash, it is told at the next start.
 */
#include "tunnel/endpoint_set.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "net/link.h"
#include "net/namespace.h"
#include "tunnel/config.h"
#include "tunnel/endpoint_list.h"
#include "tunnel/endpoint_rules.h"
#include "tunnel/endpoint_state.h"

struct cv_endpoint_set {
	char *run_dir;
	char namespace_id[CV_NAMESPACE_ID_MAX];
	struct cv_nl *nl;
	const struct cv_tunnel_set *tunnels;
	struct cv_fastpath *fastpath;
	struct cv_error no_fastpath;
	const struct cv_endpoint_ops *ops;
	void (*log)(int priority, const char *text);
	bool bypass;
	struct cv_endpoint_list list;
	bool dirty; /* the state file is behind */
};

static const struct cv_endpoint_ops fastpath_ops = {
	.set = cv_fastpath_endpoint_set,
	.forget = cv_fastpath_endpoint_delete,
	.problem = cv_fastpath_endpoint_problem,
	.begin = cv_fastpath_endpoints_begin,
	.end = cv_fastpath_endpoints_end,
};

__attribute__((format(printf, 3, 4))) static void say(const struct cv_endpoint_set *set,
						      int priority, const char *format, ...)
{
	char text[640];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	set->log(priority, text);
}

/* ---- state --------------------------------------------------------------------- */

static int save(struct cv_endpoint_set *set, struct cv_error *error)
{
	struct cv_endpoint_state state = {.bypass = set->bypass};
	int rc;

	memcpy(state.namespace_id, set->namespace_id, sizeof(state.namespace_id));
	state.records = calloc(set->list.count + 1, sizeof(*state.records));
	if (!state.records)
		return cv_error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < set->list.count; i++) {
		if (set->list.endpoints[i].hosted)
			continue;
		state.records[state.count].config = set->list.endpoints[i].config;
		state.records[state.count++].ifindex = set->list.endpoints[i].ifindex;
	}
	rc = cv_endpoint_state_save(set->run_dir, &state, error);
	free(state.records);
	if (rc)
		return rc;
	if (set->dirty)
		say(set, LOG_NOTICE, "the endpoints are saved now");
	set->dirty = false;
	return 0;
}

/* After a change that nobody asked for; a failure is told once, and tried again later. */
static void save_later(struct cv_endpoint_set *set)
{
	struct cv_error error;

	if (!save(set, &error))
		return;
	if (!set->dirty)
		say(set, LOG_ERR, "%s (will be tried again)", error.text);
	set->dirty = true;
}

/* ---- the fast path ------------------------------------------------------------- */

static bool is_wanted(const struct cv_endpoint_set *set, const struct cv_endpoint *endpoint)
{
	if (endpoint->config.bypass == CV_ENDPOINT_BYPASS_DEFAULT)
		return set->bypass;
	return endpoint->config.bypass == CV_ENDPOINT_BYPASS_ON;
}

/* What the fast path does not take goes through the host's stack: no failure. */
static void tell(struct cv_endpoint_set *set, struct cv_endpoint *endpoint)
{
	struct cv_fastpath_endpoint known = {
		.ifindex = endpoint->ifindex,
		.count = endpoint->config.count,
		.bypass = is_wanted(set, endpoint) && !endpoint->usurped,
	};
	struct cv_error problem;
	int rc;

	if (!set->fastpath)
		return;
	memcpy(known.addresses, endpoint->config.addresses, sizeof(known.addresses));
	rc = set->ops->set(set->fastpath, &known);
	endpoint->told = !rc;
	if (!rc) {
		if (!endpoint->usurped)
			endpoint->problem.text[0] = '\0';
		return;
	}
	/* It must not go on as it was before. */
	set->ops->forget(set->fastpath, endpoint->ifindex);
	cv_error_set(&problem, rc, "the fast path does not take it: %s", strerror(-rc));
	if (endpoint->usurped)
		return;
	if (strcmp(problem.text, endpoint->problem.text) != 0)
		say(set, LOG_WARNING, "%s: endpoint not bypassed: %s", endpoint->config.dev,
		    problem.text);
	endpoint->problem = problem;
}

static void untell(struct cv_endpoint_set *set, struct cv_endpoint *endpoint)
{
	if (set->fastpath)
		set->ops->forget(set->fastpath, endpoint->ifindex);
	endpoint->told = false;
}

/* By its name, or any other name that its device has. */
static struct cv_endpoint *find(const struct cv_endpoint_set *set, const char *dev)
{
	struct cv_endpoint *endpoint = cv_endpoint_list_find(&set->list, dev);
	struct cv_link link;

	if (endpoint || cv_link_get(set->nl, dev, &link))
		return endpoint;
	return cv_endpoint_list_find_by_index(&set->list, link.index);
}

/* ---- changing ------------------------------------------------------------------ */

static int add(struct cv_endpoint_set *set, const struct cv_endpoint_patch *patch,
	       struct cv_error *error)
{
	struct cv_endpoint endpoint = {.ifindex = 0};
	struct cv_link link;
	int rc = cv_endpoint_find_device(set->nl, set->tunnels, patch->config.dev, &link, error);

	if (rc)
		return rc;
	cv_endpoint_config_apply(&endpoint.config, patch);
	memcpy(endpoint.config.dev, link.name, sizeof(endpoint.config.dev));
	endpoint.ifindex = link.index;
	rc = cv_endpoint_check(&set->list, set->nl, &endpoint.config, NULL, error);
	if (rc)
		return rc;
	if (cv_endpoint_list_reserve(&set->list, set->list.count + 1))
		return cv_error_set(error, -ENOMEM, "out of memory");
	cv_endpoint_list_insert(&set->list, set->list.count, &endpoint);
	rc = save(set, error);
	if (rc) {
		cv_endpoint_list_remove(&set->list, set->list.count - 1);
		return rc;
	}
	tell(set, &set->list.endpoints[set->list.count - 1]);
	return 0;
}

static int change(struct cv_endpoint_set *set, struct cv_endpoint *self,
		  const struct cv_endpoint_patch *patch, bool from_defaults, struct cv_error *error)
{
	const struct cv_endpoint_config before = self->config;
	struct cv_endpoint_config config = before;
	int rc;

	if (from_defaults) {
		config.bypass = CV_ENDPOINT_BYPASS_DEFAULT;
		config.count = 0;
	}
	cv_endpoint_config_apply(&config, patch);
	memcpy(config.dev, before.dev, sizeof(config.dev));
	rc = cv_endpoint_check(&set->list, set->nl, &config, self, error);
	if (rc)
		return rc;
	self->config = config;
	rc = save(set, error);
	if (rc) {
		self->config = before;
		return rc;
	}
	/* Checked: no address is the host's own. */
	if (self->usurped)
		self->problem.text[0] = '\0';
	self->usurped = false;
	tell(set, self);
	return 0;
}

static int drop(struct cv_endpoint_set *set, struct cv_endpoint *self,
		const struct cv_endpoint_patch *patch, struct cv_error *error)
{
	size_t at = (size_t)(self - set->list.endpoints);
	struct cv_endpoint_patch rest = *patch;
	struct cv_endpoint before;
	int rc;

	rest.given &= ~(uint32_t)CV_ENDPOINT_DEV;
	if (!cv_endpoint_config_matches(&self->config, &rest))
		return cv_error_set(
			error, -ENOENT,
			"endpoint %s is not as you say; give its device alone to delete "
			"it",
			self->config.dev);
	untell(set, self);
	before = *self;
	cv_endpoint_list_remove(&set->list, at);
	rc = save(set, error);
	if (rc) {
		cv_endpoint_list_insert(&set->list, at, &before);
		tell(set, &set->list.endpoints[at]);
	}
	return rc;
}

static int refuse_hosted(const struct cv_endpoint *self, struct cv_error *error)
{
	return cv_error_set(error, -EPERM,
			    "endpoint %s is a pod's: it comes and goes with the pod, and its "
			    "network's configuration says whether it is bypassed",
			    self->config.dev);
}

static int missing(const char *dev, struct cv_error *error)
{
	return cv_error_set(error, -ENOENT,
			    "there is no endpoint %s; \"culvert endpoint show\" lists them", dev);
}

int cv_endpoint_set_apply(struct cv_endpoint_set *set, const struct cv_endpoint_change *order,
			  struct cv_error *error)
{
	const struct cv_endpoint_patch *patch = &order->patch;
	const char *dev = patch->config.dev;
	struct cv_endpoint *self = find(set, dev);

	if (!(patch->given & CV_ENDPOINT_DEV))
		return cv_error_set(error, -EINVAL, "an endpoint without a device; give one");
	if (self && self->hosted && order->verb != CV_ENDPOINT_ADD)
		return refuse_hosted(self, error);
	switch (order->verb) {
	case CV_ENDPOINT_ADD:
		if (self)
			return cv_error_set(error, -EEXIST,
					    "an endpoint %s exists already; use change, or delete "
					    "it first",
					    self->config.dev);
		return add(set, patch, error);
	case CV_ENDPOINT_CHANGE:
		return self ? change(set, self, patch, false, error) : missing(dev, error);
	case CV_ENDPOINT_REPLACE:
		return self ? change(set, self, patch, true, error) : add(set, patch, error);
	case CV_ENDPOINT_DELETE:
		return self ? drop(set, self, patch, error) : missing(dev, error);
	}
	return cv_error_set(error, -EINVAL, "no such kind of change");
}

/* ---- hosted -------------------------------------------------------------------- */

static int host(struct cv_endpoint_set *set, const struct cv_endpoint_config *config,
		const struct cv_own_addresses *own, struct cv_error *error)
{
	struct cv_endpoint *self = cv_endpoint_list_find(&set->list, config->dev);
	struct cv_endpoint endpoint = {.config = *config, .hosted = true};
	struct cv_link link;
	int rc = cv_endpoint_find_device(set->nl, set->tunnels, config->dev, &link, error);

	if (rc)
		return rc;
	endpoint.ifindex = link.index;
	if (self && (!self->hosted || self->ifindex != link.index))
		return cv_error_set(error, -EEXIST, "there is another endpoint %s", config->dev);
	rc = cv_endpoint_check_others(&set->list, config, self, error);
	if (!rc)
		rc = cv_own_addresses_check(own, config, error);
	if (!rc && !self && cv_endpoint_list_reserve(&set->list, set->list.count + 1))
		rc = cv_error_set(error, -ENOMEM, "out of memory");
	if (rc)
		return rc;
	if (self) {
		self->config = *config;
	} else {
		cv_endpoint_list_insert(&set->list, set->list.count, &endpoint);
		self = &set->list.endpoints[set->list.count - 1];
	}
	tell(set, self);
	return 0;
}

void cv_endpoint_set_host(struct cv_endpoint_set *set, const struct cv_endpoint_config *configs,
			  size_t count)
{
	struct cv_own_addresses own;
	struct cv_error error;
	int rc = cv_own_addresses_init(&own, set->nl);

	if (rc) {
		say(set, LOG_ERR, "cannot ask the kernel for this host's addresses: %s",
		    strerror(-rc));
		return;
	}
	if (set->fastpath)
		set->ops->begin(set->fastpath);
	for (size_t i = 0; i < count; i++) {
		if (host(set, &configs[i], &own, &error))
			say(set, LOG_WARNING, "%s: no endpoint: %s", configs[i].dev, error.text);
	}
	if (set->fastpath)
		set->ops->end(set->fastpath);
	cv_own_addresses_fini(&own);
}

void cv_endpoint_set_unhost(struct cv_endpoint_set *set, const char *dev)
{
	struct cv_endpoint *self = cv_endpoint_list_find(&set->list, dev);

	if (!self || !self->hosted)
		return;
	if (set->fastpath)
		set->ops->begin(set->fastpath);
	untell(set, self);
	if (set->fastpath)
		set->ops->end(set->fastpath);
	cv_endpoint_list_remove(&set->list, (size_t)(self - set->list.endpoints));
}

int cv_endpoint_set_default(struct cv_endpoint_set *set, bool bypass, struct cv_error *error)
{
	bool before = set->bypass;
	int rc;

	set->bypass = bypass;
	rc = save(set, error);
	if (rc) {
		set->bypass = before;
		return rc;
	}
	for (size_t i = 0; i < set->list.count; i++) {
		if (set->list.endpoints[i].config.bypass == CV_ENDPOINT_BYPASS_DEFAULT)
			tell(set, &set->list.endpoints[i]);
	}
	return 0;
}

/* ---- refreshing ---------------------------------------------------------------- */

/* Somebody gave the host an endpoint's address, or took it away again. */
static void look_at_addresses(struct cv_endpoint_set *set, struct cv_endpoint *endpoint,
			      const struct cv_own_addresses *own)
{
	struct cv_error problem = {.text = ""};
	bool usurped = cv_own_addresses_check(own, &endpoint->config, &problem) != 0;

	if (usurped == endpoint->usurped)
		return;
	endpoint->usurped = usurped;
	endpoint->told = false;
	if (usurped)
		say(set, LOG_WARNING, "%s: endpoint not bypassed: %s", endpoint->config.dev,
		    problem.text);
	else
		say(set, LOG_NOTICE, "%s: its addresses are the endpoint's alone again",
		    endpoint->config.dev);
	endpoint->problem = problem;
}

static bool follow_name(struct cv_endpoint_set *set, struct cv_endpoint *endpoint,
			const char name[static IFNAMSIZ])
{
	if (!strcmp(name, endpoint->config.dev) || cv_tunnel_check_name(name, "dev", NULL))
		return false;
	say(set, LOG_NOTICE, "%s: its device was renamed, the endpoint is %s now",
	    endpoint->config.dev, name);
	memcpy(endpoint->config.dev, name, sizeof(endpoint->config.dev));
	return true;
}

/* Returns true if the state changed; *ret_gone: the device is, and so should the endpoint be. */
static bool refresh_endpoint(struct cv_endpoint_set *set, struct cv_endpoint *endpoint,
			     bool *ret_gone)
{
	char name[IFNAMSIZ];
	int rc = cv_link_get_name(set->nl, endpoint->ifindex, name);

	*ret_gone = rc == -ENODEV;
	if (!rc)
		return follow_name(set, endpoint, name);
	if (!*ret_gone)
		return false;
	if (endpoint->hosted) {
		untell(set, endpoint);
		return false;
	}
	say(set, LOG_NOTICE, "%s: endpoint deleted, as its device is gone", endpoint->config.dev);
	untell(set, endpoint);
	return true;
}

void cv_endpoint_set_refresh(struct cv_endpoint_set *set)
{
	struct cv_own_addresses own;
	bool knows_own = set->list.count && !cv_own_addresses_init(&own, set->nl);
	bool changed = set->dirty;

	for (size_t i = 0; i < set->list.count;) {
		struct cv_endpoint *endpoint = &set->list.endpoints[i];
		bool gone;

		changed |= refresh_endpoint(set, endpoint, &gone);
		if (gone) {
			cv_endpoint_list_remove(&set->list, i);
			continue;
		}
		if (knows_own)
			look_at_addresses(set, endpoint, &own);
		if (!endpoint->told)
			tell(set, endpoint);
		i++;
	}
	if (knows_own)
		cv_own_addresses_fini(&own);
	if (changed)
		save_later(set);
}

/* ---- loading ------------------------------------------------------------------- */

/* Indexes of another namespace, or from before a restart of the machine, name other devices. */
static bool is_foreign(const struct cv_endpoint_set *set, const struct cv_endpoint_state *state)
{
	return strcmp(state->namespace_id, set->namespace_id) != 0;
}

static int load(struct cv_endpoint_set *set, struct cv_error *error)
{
	struct cv_endpoint_state state;
	int rc = cv_endpoint_state_load(set->run_dir, &state, error);

	if (rc)
		return rc;
	set->bypass = state.bypass;
	if (cv_endpoint_list_reserve(&set->list, state.count)) {
		free(state.records);
		return cv_error_set(error, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < state.count; i++) {
		const struct cv_endpoint endpoint = {
			.config = state.records[i].config,
			.ifindex = state.records[i].ifindex,
		};

		if (is_foreign(set, &state))
			say(set, LOG_NOTICE,
			    "%s: endpoint deleted, as it was in another network namespace, or "
			    "before a restart of the machine",
			    endpoint.config.dev);
		else
			cv_endpoint_list_insert(&set->list, set->list.count, &endpoint);
	}
	free(state.records);
	if (set->list.count != state.count)
		save_later(set);
	cv_endpoint_set_refresh(set);
	return 0;
}

int cv_endpoint_set_create(const struct cv_endpoint_set_options *options,
			   struct cv_endpoint_set **ret_set, struct cv_error *error)
{
	struct cv_endpoint_set *set = calloc(1, sizeof(*set));
	int rc;

	if (!set)
		return cv_error_set(error, -ENOMEM, "out of memory");
	set->nl = options->nl;
	set->tunnels = options->tunnels;
	set->fastpath = options->fastpath;
	set->ops = options->ops ? options->ops : &fastpath_ops;
	set->log = options->log;
	cv_error_set(&set->no_fastpath, 0, "there is no fast path: %s",
		     options->no_fastpath ? options->no_fastpath : "nobody made one");
	cv_namespace_id(set->nl, set->namespace_id);
	set->run_dir = strdup(options->run_dir);
	if (set->run_dir)
		rc = load(set, error);
	else
		rc = cv_error_set(error, -ENOMEM, "out of memory");
	if (rc) {
		cv_endpoint_set_destroy(set);
		return rc;
	}
	*ret_set = set;
	return 0;
}

void cv_endpoint_set_destroy(struct cv_endpoint_set *set)
{
	if (!set)
		return;
	cv_endpoint_list_fini(&set->list);
	free(set->run_dir);
	free(set);
}

/* ---- looking ------------------------------------------------------------------- */

bool cv_endpoint_set_default_bypass(const struct cv_endpoint_set *set)
{
	return set->bypass;
}

size_t cv_endpoint_set_count(const struct cv_endpoint_set *set)
{
	return set->list.count;
}

const struct cv_endpoint_config *cv_endpoint_set_config(const struct cv_endpoint_set *set,
							size_t index)
{
	return &set->list.endpoints[index].config;
}

const struct cv_endpoint_config *cv_endpoint_set_find(const struct cv_endpoint_set *set,
						      const char *dev)
{
	const struct cv_endpoint *endpoint = find(set, dev);

	return endpoint ? &endpoint->config : NULL;
}

void cv_endpoint_set_status(const struct cv_endpoint_set *set, size_t index,
			    struct cv_endpoint_status *ret_status)
{
	const struct cv_endpoint *endpoint = &set->list.endpoints[index];
	const char *reason = NULL;

	*ret_status = (struct cv_endpoint_status){
		.config = &endpoint->config,
		.ifindex = endpoint->ifindex,
		.wanted = is_wanted(set, endpoint),
		.reason = "",
	};
	if (!ret_status->wanted)
		return;
	if (endpoint->problem.text[0])
		reason = endpoint->problem.text;
	else if (!set->fastpath)
		reason = set->no_fastpath.text;
	else
		reason = set->ops->problem(set->fastpath, endpoint->ifindex);
	ret_status->in_force = !reason;
	if (reason)
		ret_status->reason = reason;
}
