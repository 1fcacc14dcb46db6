/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All tunnels of a daemon.
 *
 * Invariants, whenever no function of this file runs:
 * - the state file lists exactly these tunnels, unless saving failed (dirty, tried again at
 *   every refresh);
 * - every active tunnel has a device of ours and a place in the engine; one that is not
 *   active says why.
 *
 * A crash in the middle: a tunnel that was being added is taken back at the next start
 * (complete is false in the file); of one that was being deleted, the file no longer knows,
 * and its device is deleted at the next start.
 */
#include "tunnel/set.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "net/link.h"
#include "tunnel/device.h"
#include "tunnel/follow.h"
#include "tunnel/kernel.h"
#include "tunnel/mtu.h"
#include "tunnel/state.h"
#include "tunnel/transaction.h"
#include "tunnel/tunnel.h"

struct cv_tunnel_set {
	struct cv_tunnel_host host;
	char *run_dir;
	void (*log)(int priority, const char *text);
	const char *no_fastpath;
	struct cv_tunnel **tunnels;
	size_t count;
	bool dirty; /* the state file is behind */
	char kernel_tunnel[IFNAMSIZ];
};

__attribute__((format(printf, 3, 4))) static void say(const struct cv_tunnel_set *set, int priority,
						      const char *format, ...)
{
	char text[640];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	set->log(priority, text);
}

/* ---- state --------------------------------------------------------------------- */

/* Bring the state file up to date; a failure is told once, and tried again later. */
static void save(struct cv_tunnel_set *set)
{
	struct cv_tunnel_record *records = calloc(set->count + 1, sizeof(*records));
	struct cv_error error;
	int rc = cv_error_set(&error, -ENOMEM, "cannot save the tunnels: out of memory");

	for (size_t i = 0; records && i < set->count; i++) {
		records[i] = (struct cv_tunnel_record){
			.config = set->tunnels[i]->config,
			.ifindex = set->tunnels[i]->ifindex,
			.mtu = set->tunnels[i]->mtu,
			.complete = true,
		};
	}
	if (records)
		rc = cv_tunnel_state_save(set->run_dir, records, set->count, &error);
	free(records);
	if (rc && !set->dirty)
		say(set, LOG_ERR, "%s (will be tried again)", error.text);
	else if (!rc && set->dirty)
		say(set, LOG_NOTICE, "the tunnels are saved now");
	set->dirty = rc != 0;
}

static int save_transaction(struct cv_tunnel_set *set, const struct cv_tunnel_transaction *t,
			    bool done, struct cv_error *error)
{
	struct cv_tunnel_record *records = calloc(t->count + 1, sizeof(*records));
	int rc;

	if (!records)
		return cv_error_set(error, -ENOMEM, "out of memory");
	rc = cv_tunnel_state_save(set->run_dir, records,
				  cv_tunnel_transaction_records(t, done, records), error);
	free(records);
	return rc;
}

/* ---- MTU ----------------------------------------------------------------------- */

static bool is_ours(int ifindex, const void *data)
{
	const struct cv_tunnel_set *set = data;

	for (size_t i = 0; i < set->count; i++) {
		if (set->tunnels[i]->ifindex == ifindex)
			return true;
	}
	return false;
}

static struct cv_tunnel_mtu_host mtu_host(const struct cv_tunnel_set *set)
{
	return (struct cv_tunnel_mtu_host){
		.nl = set->host.nl,
		.engine = set->host.engine,
		.is_ours = is_ours,
		.data = set,
	};
}

/* For a new device. Without a route to the remote, as Linux without one. */
static uint32_t first_mtu(const struct cv_tunnel_config *config, void *data)
{
	const struct cv_tunnel_mtu_host host = mtu_host(data);
	const struct cv_tunnel_mtu_device none = {.ifindex = 0};
	uint32_t mtu = cv_tunnel_mtu_wanted(&host, config, &none);

	return mtu ? mtu : CV_TUNNEL_MTU_NBMA;
}

void cv_tunnel_set_follow(struct cv_tunnel_set *set)
{
	const struct cv_tunnel_mtu_host host = mtu_host(set);
	bool changed = false;

	for (size_t i = 0; i < set->count; i++) {
		struct cv_tunnel *tunnel = set->tunnels[i];

		if (tunnel->active && !tunnel->config.remote && !tunnel->config.mtu)
			changed |= cv_tunnel_follow_mtu(tunnel, &host, set->log);
	}
	if (changed)
		save(set);
}

/* ---- starting ------------------------------------------------------------------ */

static int kernel_tunnel_error(const char *name, struct cv_error *error)
{
	return cv_error_set(error, -EBUSY,
			    "%s: a kernel IP-in-IP tunnel is up and takes protocol 4 before "
			    "culvertd can; `ip link set %s down`, or delete it, first",
			    name, name);
}

/* Let a tunnel run that does not; the reason why not is told when it is news. */
static bool try_start(struct cv_tunnel_set *set, struct cv_tunnel *tunnel)
{
	struct cv_error reason;
	int had_device = tunnel->ifindex;
	int rc;

	if (set->kernel_tunnel[0])
		rc = kernel_tunnel_error(set->kernel_tunnel, &reason);
	else
		rc = cv_tunnel_start(tunnel, &set->host, first_mtu(&tunnel->config, set), &reason);
	if (!rc) {
		say(set, LOG_INFO, "%s: carried", tunnel->config.name);
		return true;
	}
	if (strcmp(reason.text, tunnel->reason.text))
		say(set, LOG_WARNING, "%s: not carried: %s", tunnel->config.name, reason.text);
	tunnel->reason = reason;
	return tunnel->ifindex != had_device;
}

/* Notice when a kernel tunnel comes or goes. */
static void look_for_kernel_tunnel(struct cv_tunnel_set *set)
{
	char name[IFNAMSIZ] = "";
	int rc = cv_kernel_tunnel_find(set->host.nl, name);

	if (rc < 0)
		return;
	if (!rc && set->kernel_tunnel[0])
		say(set, LOG_NOTICE, "%s: the kernel's IP-in-IP tunnel no longer takes protocol 4",
		    set->kernel_tunnel);
	if (rc && strcmp(name, set->kernel_tunnel))
		say(set, LOG_WARNING,
		    "%s: a kernel IP-in-IP tunnel is up and takes protocol 4 as well: packets "
		    "arrive twice, once unchecked; `ip link set %s down`, or delete it",
		    name, name);
	memcpy(set->kernel_tunnel, name, sizeof(set->kernel_tunnel));
}

/* ---- refreshing ------------------------------------------------------------------ */

static void forget(struct cv_tunnel_set *set, size_t index)
{
	struct cv_tunnel *tunnel = set->tunnels[index];

	cv_tunnel_stop(tunnel, &set->host);
	cv_tunnel_destroy(tunnel);
	set->count--;
	memmove(&set->tunnels[index], &set->tunnels[index + 1],
		(set->count - index) * sizeof(*set->tunnels));
}

static struct cv_tunnel *find(const struct cv_tunnel_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++) {
		if (!strcmp(set->tunnels[i]->config.name, name))
			return set->tunnels[i];
	}
	return NULL;
}

/*
 * The device may have been given another name. If that was another tunnel's, the device of that
 * one has a new name as well, or is gone: it keeps ours until its turn comes, so that names stay
 * unique and every round of exchanged names ends. Returns true if it was.
 */
static bool follow_name(struct cv_tunnel_set *set, struct cv_tunnel *tunnel,
			const struct cv_link *link)
{
	struct cv_tunnel *other = find(set, link->name);

	if (other == tunnel || (other && !other->ifindex) ||
	    cv_tunnel_check_name(link->name, "name", NULL))
		return false;
	say(set, LOG_NOTICE, "%s: its device was renamed, the tunnel is %s now",
	    tunnel->config.name, link->name);
	if (other)
		memcpy(other->config.name, tunnel->config.name, sizeof(other->config.name));
	memcpy(tunnel->config.name, link->name, sizeof(tunnel->config.name));
	return true;
}

/* People like to write aliases; without ours, the next start would not know the device. */
static void keep_alias(struct cv_tunnel_set *set, const struct cv_tunnel *tunnel,
		       const struct cv_link *link)
{
	int rc;

	if (!strcmp(link->alias, set->host.alias) || strcmp(link->kind, "tun"))
		return;
	rc = cv_link_set_alias(set->host.nl, link->index, set->host.alias);
	if (rc)
		say(set, LOG_WARNING, "%s: cannot put its alias back: %s", tunnel->config.name,
		    strerror(-rc));
	else
		say(set, LOG_NOTICE, "%s: its alias was put back: a restart knows the device by it",
		    tunnel->config.name);
}

/* What the fast path did not take, it may take now. */
static void offer_again(struct cv_tunnel_set *set, struct cv_tunnel *tunnel)
{
	if (tunnel->fastpath_error)
		cv_tunnel_offer(tunnel, &set->host);
	if (tunnel->fastpath_error == tunnel->fastpath_told)
		return;
	if (tunnel->fastpath_error)
		say(set, LOG_WARNING, "%s: the fast path does not take it: %s; the engine does",
		    tunnel->config.name, strerror(-tunnel->fastpath_error));
	else
		say(set, LOG_NOTICE, "%s: the fast path takes it now", tunnel->config.name);
	tunnel->fastpath_told = tunnel->fastpath_error;
}

/* The device of a tunnel that resources want is gone; it will get a new one. */
static void lose_device(struct cv_tunnel_set *set, struct cv_tunnel *tunnel)
{
	char text[CV_TUNNEL_OWNER_TEXT_MAX];

	say(set, LOG_NOTICE,
	    "%s: somebody deleted its device, or moved it; it gets a new one, as it belongs to %s",
	    tunnel->config.name, cv_tunnel_format_owner(tunnel->config.owner, text));
	cv_carrier_release(set->host.carrier, tunnel->ifindex);
	cv_tunnel_stop(tunnel, &set->host);
	tunnel->ifindex = 0;
	tunnel->mtu = 0;
}

/* Returns true if the state changed; *ret_gone: the device is, and so should the tunnel be. */
static bool refresh_tunnel(struct cv_tunnel_set *set, struct cv_tunnel *tunnel, bool *ret_gone)
{
	struct cv_link link;
	bool changed = false;
	int rc = -ENODEV;

	*ret_gone = false;
	if (tunnel->ifindex) {
		rc = cv_link_get_by_index(set->host.nl, tunnel->ifindex, &link);
		if (rc && rc != -ENODEV)
			return false;
		*ret_gone = rc && !tunnel->config.owner[0];
		if (*ret_gone)
			return true;
		if (rc)
			lose_device(set, tunnel);
		changed |= rc ? true : follow_name(set, tunnel, &link);
	}
	if (!tunnel->active) {
		changed |= try_start(set, tunnel);
		if (tunnel->ifindex)
			rc = cv_link_get_by_index(set->host.nl, tunnel->ifindex, &link);
	}
	offer_again(set, tunnel);
	cv_tunnel_accept_any_way(tunnel);
	if (tunnel->active && !rc) {
		const struct cv_tunnel_mtu_host host = mtu_host(set);

		keep_alias(set, tunnel, &link);
		changed |= cv_tunnel_follow_mtu(tunnel, &host, set->log);
	}
	return changed;
}

/* Look at one tunnel. False: it is gone. */
static bool refresh_at(struct cv_tunnel_set *set, size_t index, bool *changed)
{
	bool gone;

	*changed |= refresh_tunnel(set, set->tunnels[index], &gone);
	if (!gone)
		return true;
	say(set, LOG_NOTICE, "%s: deleted, as somebody deleted its device, or moved it",
	    set->tunnels[index]->config.name);
	cv_carrier_release(set->host.carrier, set->tunnels[index]->ifindex);
	forget(set, index);
	return false;
}

void cv_tunnel_set_refresh(struct cv_tunnel_set *set)
{
	bool changed = set->dirty;

	look_for_kernel_tunnel(set);
	for (size_t i = 0; i < set->count;) {
		if (refresh_at(set, i, &changed))
			i++;
	}
	if (changed)
		save(set);
	cv_tunnel_set_attend(set);
}

void cv_tunnel_set_attend(struct cv_tunnel_set *set)
{
	if (!cv_carrier_attend(set->host.carrier))
		return;
	for (size_t i = 0; i < set->count; i++)
		cv_carrier_hold(set->host.carrier, set->tunnels[i]->ifindex,
				set->tunnels[i]->spare);
}

/* ---- changing ------------------------------------------------------------------ */

/* What the plan cannot know: the kernel's tunnels and devices. */
static int check_surroundings(struct cv_tunnel_set *set, const struct cv_tunnel_change *change,
			      struct cv_error *error)
{
	const struct cv_tunnel_config *config = &change->patch.config;
	struct cv_link link;

	if (change->verb == CV_TUNNEL_DELETE)
		return 0;
	if ((change->patch.given & CV_TUNNEL_DEV) && config->dev[0] &&
	    cv_link_get(set->host.nl, config->dev, &link))
		return cv_error_set(error, -ENODEV,
				    "dev %s: there is no such device; \"ip link\" lists them",
				    config->dev);
	if (change->verb == CV_TUNNEL_CHANGE || find(set, config->name))
		return 0;
	if (set->kernel_tunnel[0])
		return kernel_tunnel_error(set->kernel_tunnel, error);
	return cv_tunnel_find_device(&set->host, config->name, &link, error) < 0 ? -EEXIST : 0;
}

/* Nothing is planned with a device that is gone since the last look. */
static void notice_lost_devices(struct cv_tunnel_set *set, const struct cv_tunnel_change *changes,
				size_t count)
{
	bool changed = false;

	for (size_t i = 0; i < count; i++) {
		const char *name = changes[i].patch.config.name;
		struct cv_link link;
		size_t at = 0;

		while (at < set->count && strcmp(set->tunnels[at]->config.name, name) != 0)
			at++;
		if (at < set->count && set->tunnels[at]->ifindex &&
		    cv_link_get_by_index(set->host.nl, set->tunnels[at]->ifindex, &link) == -ENODEV)
			refresh_at(set, at, &changed);
	}
	if (changed)
		save(set);
}

static int make_plan(struct cv_tunnel_set *set, const char *owner,
		     const struct cv_tunnel_change *changes, size_t count,
		     struct cv_tunnel_plan *ret_plan, size_t *ret_index, struct cv_error *error)
{
	struct cv_tunnel_config *current = calloc(set->count + 1, sizeof(*current));
	int rc;

	if (!current)
		return cv_error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < set->count; i++)
		current[i] = set->tunnels[i]->config;
	rc = cv_tunnel_plan_init(ret_plan, current, set->count, owner, changes, count,
				 CV_ENGINE_TUNNELS_MAX, ret_index, error);
	free(current);
	if (rc)
		return rc;
	look_for_kernel_tunnel(set);
	for (size_t i = 0; i < count; i++) {
		rc = check_surroundings(set, &changes[i], error);
		if (rc) {
			*ret_index = i;
			cv_tunnel_plan_fini(ret_plan);
			return rc;
		}
	}
	return 0;
}

/* The last change that names a tunnel is at fault when making it fails. */
static size_t find_change(const struct cv_tunnel_change *changes, size_t count, const char *name)
{
	for (size_t i = count; i-- > 0;) {
		if (!strcmp(changes[i].patch.config.name, name))
			return i;
	}
	return count;
}

/* The tunnels after a transaction; those that were deleted are freed. */
static void take_over(struct cv_tunnel_set *set, struct cv_tunnel **tunnels,
		      const struct cv_tunnel_transaction *t)
{
	set->count = 0;
	for (size_t i = 0; i < t->count; i++) {
		if (t->steps[i].kind == CV_STEP_DELETE)
			cv_tunnel_destroy(t->steps[i].tunnel);
		else
			tunnels[set->count++] = t->steps[i].tunnel;
	}
	free(set->tunnels);
	set->tunnels = tunnels;
}

/* 0, or -errno when nothing has changed. */
static int run(struct cv_tunnel_set *set, struct cv_tunnel_transaction *t, const char **ret_name,
	       struct cv_error *error)
{
	struct cv_tunnel **tunnels = calloc(t->count + 1, sizeof(*tunnels));
	int rc = tunnels ? 0 : cv_error_set(error, -ENOMEM, "out of memory");

	if (!rc && t->added)
		rc = save_transaction(set, t, false, error);
	if (!rc)
		rc = cv_tunnel_transaction_run(t, first_mtu, set, ret_name, error);
	if (!rc)
		rc = save_transaction(set, t, true, error);
	if (rc) {
		cv_tunnel_transaction_undo(t);
		free(tunnels);
		save(set);
		return rc;
	}
	cv_tunnel_transaction_finish(t);
	take_over(set, tunnels, t);
	return 0;
}

int cv_tunnel_set_apply(struct cv_tunnel_set *set, const char *owner,
			const struct cv_tunnel_change *changes, size_t count, size_t *ret_index,
			struct cv_error *error)
{
	struct cv_tunnel_transaction transaction;
	struct cv_tunnel_plan plan;
	const char *name = "";
	size_t index = count;
	int rc;

	notice_lost_devices(set, changes, count);
	rc = make_plan(set, owner, changes, count, &plan, &index, error);
	if (rc) {
		*ret_index = index;
		return rc;
	}
	rc = cv_tunnel_transaction_init(&transaction, &set->host, set->tunnels, set->count, &plan);
	cv_tunnel_plan_fini(&plan);
	if (rc) {
		*ret_index = count;
		return cv_error_set(error, rc, "out of memory");
	}
	rc = run(set, &transaction, &name, error);
	if (rc)
		*ret_index = find_change(changes, count, name);
	cv_tunnel_transaction_fini(&transaction);
	/* A new remote may mean another MTU. */
	if (!rc)
		cv_tunnel_set_refresh(set);
	return rc;
}

int cv_tunnel_set_owners(struct cv_tunnel_set *set, const char *name,
			 const struct cv_owners *owners)
{
	struct cv_tunnel *tunnel = find(set, name);

	return tunnel ? cv_tunnel_declare(tunnel, &set->host, owners) : -ENOENT;
}

int cv_tunnel_set_peer_counters(const struct cv_tunnel_set *set, const char *name,
				struct cv_peer_counters **ret_list, size_t *ret_count)
{
	const struct cv_tunnel *tunnel = find(set, name);

	return tunnel ? cv_tunnel_peer_counters(tunnel, &set->host, ret_list, ret_count) : -ENOENT;
}

/* ---- loading ------------------------------------------------------------------- */

/*
 * A tunnel that a crash interrupted while it was made: its device may not have our alias yet. A
 * device without is only taken for ours if it is as net/tun.c leaves it: it may as well be
 * another program's, made after the crash or before.
 */
static bool may_be_unfinished(const struct cv_tunnel_set *set, const struct cv_link *link)
{
	if (cv_device_is_ours(set->host.alias, link))
		return true;
	return !link->alias[0] && !strcmp(link->kind, "tun") && link->tun_is_tun &&
	       link->tun_multi_queue && link->tun_vnet_hdr && link->tun_persist &&
	       !(link->flags & IFF_UP);
}

static void take_back(struct cv_tunnel_set *set, const struct cv_tunnel_record *record)
{
	struct cv_link link;

	say(set, LOG_NOTICE, "%s: taken back, as it was not complete when culvertd ended",
	    record->config.name);
	if (!cv_link_get(set->host.nl, record->config.name, &link) && may_be_unfinished(set, &link))
		cv_link_delete(set->host.nl, link.index);
}

static int take_up(struct cv_tunnel_set *set, const struct cv_tunnel_record *record)
{
	struct cv_tunnel *tunnel = cv_tunnel_create(&record->config);
	struct cv_link link;

	if (!tunnel)
		return -ENOMEM;
	tunnel->mtu = record->mtu;
	set->tunnels[set->count++] = tunnel;
	/* Known by its index if it was renamed meanwhile (refreshing sees that), else by its name.
	 */
	if (record->ifindex && !cv_link_get_by_index(set->host.nl, record->ifindex, &link) &&
	    cv_device_is_ours(set->host.alias, &link))
		tunnel->ifindex = link.index;
	return 0;
}

static bool has_tunnel(const struct cv_link *link, const void *data)
{
	const struct cv_tunnel_set *set = data;

	return find(set, link->name) || is_ours(link->index, set);
}

static void say_orphan(const struct cv_link *link, const void *data)
{
	say(data, LOG_NOTICE, "device %s: deleted, as its tunnel is", link->name);
}

static void delete_orphans(struct cv_tunnel_set *set)
{
	const struct cv_device_deletion orphans = {
		.keep = has_tunnel,
		.tell = say_orphan,
		.data = set,
	};

	/* What cannot be deleted now is found again at the next start. */
	cv_device_delete_ours(set->host.nl, set->host.alias, &orphans);
}

static int load(struct cv_tunnel_set *set, struct cv_error *error)
{
	struct cv_tunnel_record *records;
	size_t count;
	int rc = cv_tunnel_state_load(set->run_dir, &records, &count, error);

	if (rc)
		return rc;
	set->tunnels = calloc(count + 1, sizeof(*set->tunnels));
	if (!set->tunnels)
		rc = -ENOMEM;
	for (size_t i = 0; i < count && !rc; i++) {
		if (records[i].complete)
			rc = take_up(set, &records[i]);
		else
			take_back(set, &records[i]);
	}
	free(records);
	if (rc)
		return cv_error_set(error, rc, "out of memory");
	delete_orphans(set);
	/* The file may still list what was taken back. */
	set->dirty = false;
	cv_tunnel_set_refresh(set);
	save(set);
	return 0;
}

int cv_tunnel_set_create(const struct cv_tunnel_set_options *options,
			 struct cv_tunnel_set **ret_set, struct cv_error *error)
{
	struct cv_tunnel_set *set = calloc(1, sizeof(*set));
	int rc;

	if (!set)
		return cv_error_set(error, -ENOMEM, "out of memory");
	set->host.engine = options->engine;
	set->host.nl = options->nl;
	set->host.fastpath = options->fastpath;
	set->no_fastpath = options->no_fastpath ? options->no_fastpath : "there is none";
	set->host.carrier = options->carrier;
	set->host.alive = options->alive;
	set->log = options->log;
	set->run_dir = strdup(options->run_dir);
	if (!set->run_dir)
		rc = cv_error_set(error, -ENOMEM, "out of memory");
	else
		rc = cv_device_alias(options->run_dir, set->host.alias, error);
	if (!rc)
		rc = load(set, error);
	if (rc) {
		cv_tunnel_set_destroy(set);
		return rc;
	}
	*ret_set = set;
	return 0;
}

void cv_tunnel_set_destroy(struct cv_tunnel_set *set)
{
	if (!set)
		return;
	/* The kernel gives no notice of an alias while the device is down. */
	for (size_t i = 0; i < set->count; i++) {
		const struct cv_tunnel *tunnel = set->tunnels[i];
		struct cv_link link;

		if (tunnel->active && !cv_link_get_by_index(set->host.nl, tunnel->ifindex, &link))
			keep_alias(set, tunnel, &link);
	}
	/* What the fast path carries goes on without us. */
	set->host.fastpath = NULL;
	while (set->count)
		forget(set, set->count - 1);
	free(set->tunnels);
	free(set->run_dir);
	free(set);
}

/* ---- looking ------------------------------------------------------------------- */

size_t cv_tunnel_set_count(const struct cv_tunnel_set *set)
{
	return set->count;
}

const struct cv_tunnel_config *cv_tunnel_set_config(const struct cv_tunnel_set *set, size_t index)
{
	return &set->tunnels[index]->config;
}

const struct cv_tunnel_config *cv_tunnel_set_find(const struct cv_tunnel_set *set, const char *name)
{
	const struct cv_tunnel *tunnel = find(set, name);

	return tunnel ? &tunnel->config : NULL;
}

const struct cv_tunnel_config *cv_tunnel_set_find_owned(const struct cv_tunnel_set *set,
							const char *owner, size_t *from)
{
	for (; *from < set->count; (*from)++) {
		if (!strcmp(set->tunnels[*from]->config.owner, owner))
			return &set->tunnels[*from]->config;
	}
	return NULL;
}

int cv_tunnel_set_ifindex(const struct cv_tunnel_set *set, const char *name)
{
	const struct cv_tunnel *tunnel = find(set, name);

	return tunnel ? tunnel->ifindex : 0;
}

static uint32_t device_mtu(const struct cv_tunnel_set *set, const struct cv_tunnel *tunnel)
{
	uint32_t mtu;

	if (!tunnel->ifindex || cv_link_get_mtu(set->host.nl, tunnel->ifindex, &mtu))
		return 0;
	return mtu;
}

int cv_tunnel_set_ifindex_at(const struct cv_tunnel_set *set, size_t index)
{
	return set->tunnels[index]->ifindex;
}

uint32_t cv_tunnel_set_mtu_at(const struct cv_tunnel_set *set, size_t index)
{
	return device_mtu(set, set->tunnels[index]);
}

bool cv_tunnel_set_is_mtu_by_hand(const struct cv_tunnel_set *set, const char *name)
{
	const struct cv_tunnel *tunnel = find(set, name);
	uint32_t mtu = tunnel && tunnel->mtu ? device_mtu(set, tunnel) : 0;

	return mtu && mtu != tunnel->mtu;
}

bool cv_tunnel_set_has_device(const struct cv_tunnel_set *set, int ifindex)
{
	return is_ours(ifindex, set);
}

static const char *why_no_fastpath(const struct cv_tunnel_set *set, const struct cv_tunnel *tunnel)
{
	const char *problem;

	if (!set->host.fastpath)
		return set->no_fastpath;
	if (!tunnel->ifindex)
		return "there is no device";
	problem = cv_fastpath_tunnel_problem(set->host.fastpath, tunnel->ifindex);
	if (!problem && tunnel->fastpath_error)
		return strerror(-tunnel->fastpath_error);
	return problem;
}

void cv_tunnel_set_status(struct cv_tunnel_set *set, size_t index,
			  struct cv_tunnel_status *ret_status)
{
	const struct cv_tunnel *tunnel = set->tunnels[index];
	struct cv_link link;

	*ret_status = (struct cv_tunnel_status){
		.config = &tunnel->config,
		.active = tunnel->active,
		.reason = tunnel->active ? "" : tunnel->reason.text,
		.no_fastpath = why_no_fastpath(set, tunnel),
	};
	if (!tunnel->ifindex || cv_link_get_by_index(set->host.nl, tunnel->ifindex, &link))
		return;
	ret_status->ifindex = link.index;
	ret_status->mtu = link.mtu;
	ret_status->mtu_by_hand = tunnel->mtu && link.mtu != tunnel->mtu;
	ret_status->up = link.flags & IFF_UP;
}

const char *cv_tunnel_set_kernel_tunnel(const struct cv_tunnel_set *set)
{
	return set->kernel_tunnel;
}
