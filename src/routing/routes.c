/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our routes in the kernel's main table.
 *
 * Two lists, both sorted by prefix and metric, are walked side by side: what there is, and what is
 * wanted. A wanted route that is not there is added; one in whose place a different route of ours
 * is, is appended behind that, which is deleted afterwards. So there is a route at every moment,
 * and no request can hit anybody else's: the kernel's own "replace" takes the place of whichever
 * route comes first.
 *
 * Invariants: made has exactly the routes that we believe to be in the kernel; what could not be
 * made is not in it, and what could not be deleted is, so that the next call tries both again.
 * Routes are added from the longest prefix to the shortest and deleted from the shortest to the
 * longest: what is specific is never caught by a blackhole or guard above it.
 */
#include "routing/routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "net/link.h"
#include "net/vector.h"
#include "routing/intent.h"

enum {
	PROTOCOLS = 256
};

struct cv_routes {
	struct cv_nl *nl;
	bool is_known;		 /* made says what is there; false: look first */
	bool is_ours[PROTOCOLS]; /* routes of these protocols are looked for */
	struct cv_vector made;	 /* struct cv_table_route */
};

/* What becomes of a wanted route. */
enum state {
	STATE_THERE,
	STATE_ADD,
	STATE_APPEND, /* another of ours is in its place */
	STATE_FAILED,
};

/* One call of cv_routes_apply. */
struct job {
	struct cv_routes *routes;
	const struct cv_table_route *wanted;
	size_t count;
	uint8_t protocol;
	struct cv_vector have;	  /* struct cv_table_route: what there is */
	uint8_t *states;	  /* enum state, of each wanted route */
	struct cv_vector missing; /* uint32_t: indices in wanted, in the order of adding */
	struct cv_vector changes; /* struct cv_route_change */
	struct cv_routes_report *report;
};

/* ---- comparing ------------------------------------------------------------------- */

static int compare_keys(const struct cv_table_route *a, const struct cv_table_route *b)
{
	int order = cv_prefix_compare(&a->prefix, &b->prefix);

	return order ? order : (a->metric > b->metric) - (a->metric < b->metric);
}

static int compare_routes(const void *a, const void *b)
{
	return compare_keys(a, b);
}

/* Whether what there is does all that is wanted, and is marked as ours. */
static bool is_same(const struct cv_table_route *there, const struct cv_table_route *wanted,
		    uint8_t protocol)
{
	return there->protocol == protocol && there->type == wanted->type &&
	       there->scope == cv_table_route_scope(wanted) && there->onlink == wanted->onlink &&
	       there->oif == wanted->oif && there->gateway == wanted->gateway &&
	       there->source == wanted->source && there->mtu == wanted->mtu && !there->multipath &&
	       !there->has_more && cv_table_route_same_devices(there, wanted);
}

/* Longest prefix first, then the preferred metric. */
static int compare_for_adding(const struct cv_table_route *a, const struct cv_table_route *b)
{
	if (a->prefix.length != b->prefix.length)
		return (int)b->prefix.length - (int)a->prefix.length;
	return compare_keys(a, b);
}

static int compare_missing(const void *a, const void *b, void *wanted)
{
	const struct cv_table_route *routes = wanted;

	return compare_for_adding(&routes[*(const uint32_t *)a], &routes[*(const uint32_t *)b]);
}

static int compare_deletions(const void *a, const void *b)
{
	const struct cv_route_change *x = a, *y = b;

	return compare_for_adding(&y->route, &x->route);
}

/* ---- walking both lists ------------------------------------------------------------ */

static const struct cv_table_route *have_at(const struct job *job, size_t i)
{
	return cv_vector_at(&job->have, i);
}

/*
 * Routes *i … *ret_end - 1 of what there is have the key of wanted route j; those before *i that
 * nobody wants are told to skip().
 */
static int find_group(struct job *job, size_t j, size_t *i, size_t *ret_end,
		      int (*skip)(struct job *job, const struct cv_table_route *route))
{
	int err = 0;

	for (; !err && *i < job->have.count; ++*i) {
		if (j < job->count && compare_keys(have_at(job, *i), &job->wanted[j]) >= 0)
			break;
		err = skip(job, have_at(job, *i));
	}
	*ret_end = *i;
	while (j < job->count && *ret_end < job->have.count &&
	       !compare_keys(have_at(job, *ret_end), &job->wanted[j]))
		++*ret_end;
	return err;
}

/* ---- adding ------------------------------------------------------------------------- */

static int skip_nothing(struct job *job, const struct cv_table_route *route)
{
	(void)job;
	(void)route;
	return 0;
}

static int find_missing(struct job *job)
{
	size_t i = 0, end;
	int err = 0;

	for (uint32_t j = 0; !err && j < job->count; j++) {
		bool is_there = false;

		err = find_group(job, j, &i, &end, skip_nothing);
		for (size_t k = i; k < end; k++)
			is_there |= is_same(have_at(job, k), &job->wanted[j], job->protocol);
		if (is_there) {
			job->states[j] = STATE_THERE;
		} else {
			job->states[j] = i < end ? STATE_APPEND : STATE_ADD;
			err = err ? err : cv_vector_append(&job->missing, &j);
		}
		i = end;
	}
	if (job->missing.count)
		qsort_r(job->missing.items, job->missing.count, sizeof(uint32_t), compare_missing,
			(void *)(uintptr_t)job->wanted);
	return err;
}

/* " dev tun0 dev tun1". */
static void describe_devices(struct cv_nl *nl, const int *devices, unsigned int count, char *text,
			     size_t size)
{
	char name[IFNAMSIZ];
	size_t length = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < count && length < size; i++) {
		if (cv_link_get_name(nl, devices[i], name))
			snprintf(name, sizeof(name), "if%d", devices[i]);
		length += (size_t)snprintf(text + length, size - length, " dev %s", name);
	}
}

static void describe(struct cv_nl *nl, const struct cv_table_route *route, char *text, size_t size)
{
	char prefix[CV_PREFIX_TEXT_MAX], gateway[INET_ADDRSTRLEN] = "", devices[96];
	static const char more[] = "...";
	char mtu[16] = "";
	int length;
	const char *type = route->type == RTN_BLACKHOLE	    ? "blackhole "
			   : route->type == RTN_UNREACHABLE ? "unreachable "
							    : "";

	if (route->gateway)
		inet_ntop(AF_INET, &route->gateway, gateway, sizeof(gateway));
	if (route->device_count)
		describe_devices(nl, route->devices, route->device_count, devices, sizeof(devices));
	else
		describe_devices(nl, &route->oif, route->oif != 0, devices, sizeof(devices));
	if (route->mtu)
		snprintf(mtu, sizeof(mtu), " mtu %u", route->mtu);
	length = snprintf(text, size, "%s%s%s%s%s metric %u%s", type,
			  cv_prefix_format(&route->prefix, prefix), *gateway ? " via " : "",
			  gateway, devices, route->metric, mtu);
	if (length < 0 || (size_t)length >= size)
		memcpy(text + size - sizeof(more), more, sizeof(more));
}

/* The kernel's words on the first failure of a batch are those of the first in the report. */
static void note_failure(struct job *job, const struct cv_route_change *change)
{
	struct cv_routes_report *report = job->report;
	const char *words = cv_nl_error_text(job->routes->nl);
	char text[128];

	if (report->failed++)
		return;
	describe(job->routes->nl, &change->route, text, sizeof(text));
	if (change->verb == CV_ROUTE_ADD && change->result == -EEXIST)
		snprintf(report->first_failure, sizeof(report->first_failure),
			 "%s: somebody else's route has this prefix and metric: delete it, or give "
			 "it another metric",
			 text);
	else
		snprintf(report->first_failure, sizeof(report->first_failure), "%s: %s%s%s", text,
			 strerror(-change->result), *words ? ": " : "", words);
}

/* Whether we had made this very route: then somebody else has deleted or changed it. */
static bool was_made(const struct job *job, const struct cv_table_route *wanted)
{
	const struct cv_vector *made = &job->routes->made;
	const struct cv_table_route *found = made->count ? bsearch(wanted, made->items, made->count,
								   sizeof(*wanted), compare_routes)
							 : NULL;

	return found && is_same(found, wanted, job->protocol);
}

static void note_added(struct job *job, uint32_t j, const struct cv_route_change *change)
{
	/* Appended where it is already: an unfinished replacement of an earlier call. */
	bool is_there =
		!change->result || (change->verb == CV_ROUTE_APPEND && change->result == -EEXIST);

	job->states[j] = is_there ? STATE_THERE : STATE_FAILED;
	if (!is_there) {
		note_failure(job, change);
		return;
	}
	if (change->verb == CV_ROUTE_ADD)
		job->report->added++;
	else
		job->report->replaced++;
	if (was_made(job, &job->wanted[j]))
		job->report->repaired++;
}

static int add_missing(struct job *job)
{
	size_t failed;
	int err = 0;

	job->changes.count = 0;
	for (size_t i = 0; !err && i < job->missing.count; i++) {
		uint32_t j = *(const uint32_t *)cv_vector_at(&job->missing, i);
		struct cv_route_change change = {
			.verb = job->states[j] == STATE_ADD ? CV_ROUTE_ADD : CV_ROUTE_APPEND,
			.route = job->wanted[j],
		};

		change.route.protocol = job->protocol;
		err = cv_vector_append(&job->changes, &change);
	}
	if (!err)
		err = cv_route_table_change(job->routes->nl, job->changes.items, job->changes.count,
					    &failed);
	for (size_t i = 0; !err && i < job->missing.count; i++)
		note_added(job, *(const uint32_t *)cv_vector_at(&job->missing, i),
			   cv_vector_at(&job->changes, i));
	return err;
}

/* ---- deleting ------------------------------------------------------------------------- */

static int delete_later(struct job *job, const struct cv_table_route *route)
{
	const struct cv_route_change change = {.verb = CV_ROUTE_DELETE, .route = *route};

	return cv_vector_append(&job->changes, &change);
}

/* What is in the place of a route that is there by now, and what nobody wants. */
static int find_superfluous(struct job *job)
{
	size_t i = 0, end;
	int err = 0;

	job->changes.count = 0;
	for (size_t j = 0; !err && j <= job->count; j++) {
		err = find_group(job, j, &i, &end, delete_later);
		for (; i < end; i++) {
			if (!err && job->states[j] == STATE_THERE &&
			    !is_same(have_at(job, i), &job->wanted[j], job->protocol))
				err = delete_later(job, have_at(job, i));
		}
	}
	if (job->changes.count)
		qsort(job->changes.items, job->changes.count, sizeof(struct cv_route_change),
		      compare_deletions);
	return err;
}

static bool is_wanted(const struct job *job, const struct cv_table_route *route)
{
	return job->count &&
	       bsearch(route, job->wanted, job->count, sizeof(*route), compare_routes);
}

/* Those that stay, though they should not, are put into made. */
static int delete_superfluous(struct job *job, struct cv_vector *made)
{
	size_t failed;
	int err = cv_route_table_change(job->routes->nl, job->changes.items, job->changes.count,
					&failed);

	for (size_t i = 0; !err && i < job->changes.count; i++) {
		const struct cv_route_change *change = cv_vector_at(&job->changes, i);

		/* Gone with its device, or by somebody's hand. */
		if (change->result && change->result != -ESRCH) {
			note_failure(job, change);
			err = cv_vector_append(made, &change->route);
		} else if (!change->result && !is_wanted(job, &change->route)) {
			job->report->deleted++;
		}
	}
	return err;
}

/* ---- what there is ---------------------------------------------------------------------- */

/* All of ours have such a metric: others with our number, Felix's for one, have none most often. */
static int collect(const struct cv_table_route *route, void *data)
{
	return route->metric < CV_METRIC_NODE ? 0 : cv_vector_append(data, route);
}

static int look(struct cv_routes *routes, struct cv_vector *have)
{
	int err = 0;

	for (int protocol = 1; !err && protocol < PROTOCOLS; protocol++) {
		if (routes->is_ours[protocol])
			err = cv_route_table_for_each(routes->nl, (uint8_t)protocol, collect, have);
	}
	if (have->count)
		qsort(have->items, have->count, sizeof(struct cv_table_route), compare_routes);
	return err;
}

static int append_made(const struct job *job, struct cv_vector *made)
{
	int err = 0;

	for (size_t j = 0; !err && j < job->count; j++) {
		struct cv_table_route route = job->wanted[j];

		if (job->states[j] != STATE_THERE)
			continue;
		route.protocol = job->protocol;
		route.scope = cv_table_route_scope(&route);
		err = cv_vector_append(made, &route);
	}
	return err;
}

/* Routes of ours that stay because what should be in their place could not be made. */
static int append_left(struct job *job, struct cv_vector *made)
{
	size_t i = 0, end;
	int err = 0;

	for (size_t j = 0; !err && j < job->count; j++) {
		err = find_group(job, j, &i, &end, skip_nothing);
		for (; i < end; i++) {
			if (!err && job->states[j] == STATE_FAILED)
				err = cv_vector_append(made, have_at(job, i));
		}
	}
	return err;
}

/* Routes of no other protocol than this are left: they need not be looked for. */
static void forget_former(struct cv_routes *routes, uint8_t protocol)
{
	for (size_t i = 0; i < routes->made.count; i++) {
		const struct cv_table_route *route = cv_vector_at(&routes->made, i);

		if (route->protocol != protocol)
			return;
	}
	memset(routes->is_ours, 0, sizeof(routes->is_ours));
	routes->is_ours[protocol] = true;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int run(struct job *job)
{
	struct cv_routes *routes = job->routes;
	struct cv_vector made;
	size_t ordered;
	int err = find_missing(job);

	cv_vector_init(&made, sizeof(struct cv_table_route));
	if (!err)
		err = add_missing(job);
	if (!err)
		err = append_made(job, &made);
	ordered = made.count;
	if (!err)
		err = append_left(job, &made);
	if (!err)
		err = find_superfluous(job);
	if (!err)
		err = delete_superfluous(job, &made);
	if (err) {
		cv_vector_fini(&made);
		return err;
	}
	if (made.count > ordered)
		qsort(made.items, made.count, sizeof(struct cv_table_route), compare_routes);
	cv_vector_fini(&routes->made);
	routes->made = made;
	return 0;
}

int cv_routes_apply(struct cv_routes *routes, const struct cv_table_route *wanted, size_t count,
		    uint8_t protocol, bool look_first, struct cv_routes_report *ret_report)
{
	struct cv_routes_report report = {.failed = 0};
	struct job job = {
		.routes = routes,
		.wanted = wanted,
		.count = count,
		.protocol = protocol,
		.states = calloc(count + 1, sizeof(*job.states)),
		.report = &report,
	};
	bool is_borrowed = routes->is_known && !look_first;
	int err = job.states ? 0 : -ENOMEM;

	routes->is_ours[protocol] = true;
	cv_vector_init(&job.have, sizeof(struct cv_table_route));
	cv_vector_init(&job.missing, sizeof(uint32_t));
	cv_vector_init(&job.changes, sizeof(struct cv_route_change));
	if (!err && is_borrowed)
		job.have = routes->made;
	else if (!err)
		err = look(routes, &job.have);
	if (!err) {
		/* Whatever fails half-way: what there is is not known then. */
		routes->is_known = false;
		if (is_borrowed)
			cv_vector_init(&routes->made, sizeof(struct cv_table_route));
		err = run(&job);
	}
	if (!err) {
		routes->is_known = true;
		forget_former(routes, protocol);
		*ret_report = report;
	}
	cv_vector_fini(&job.have);
	cv_vector_fini(&job.missing);
	cv_vector_fini(&job.changes);
	free(job.states);
	return err;
}

/* ---- one at a time ------------------------------------------------------------------------ */

/* Where it is, or would be, in made. */
static size_t place_of(const struct cv_routes *routes, const struct cv_table_route *route)
{
	size_t low = 0, high = routes->made.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_keys(cv_vector_at(&routes->made, middle), route) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct cv_table_route *find_made(struct cv_routes *routes,
					const struct cv_table_route *route)
{
	size_t at = place_of(routes, route);
	struct cv_table_route *found =
		at < routes->made.count ? cv_vector_at(&routes->made, at) : NULL;

	return found && !compare_keys(found, route) ? found : NULL;
}

/* In the place of another of ours, or of none. Without memory: the next call looks. */
static void remember(struct cv_routes *routes, const struct cv_table_route *route)
{
	struct cv_table_route *found = find_made(routes, route);
	size_t at = place_of(routes, route);
	struct cv_table_route *items;

	if (found) {
		*found = *route;
		return;
	}
	if (cv_vector_append(&routes->made, route)) {
		routes->is_known = false;
		return;
	}
	items = routes->made.items;
	memmove(items + at + 1, items + at, (routes->made.count - 1 - at) * sizeof(*items));
	items[at] = *route;
}

static void forget(struct cv_routes *routes, const struct cv_table_route *route)
{
	struct cv_table_route *found = find_made(routes, route), *items = routes->made.items;

	if (!found)
		return;
	routes->made.count--;
	memmove(found, found + 1, (routes->made.count - (size_t)(found - items)) * sizeof(*items));
}

static int change_one(struct cv_routes *routes, enum cv_route_verb verb,
		      const struct cv_table_route *route)
{
	struct cv_route_change change = {.verb = verb, .route = *route};
	size_t failed;
	int err = cv_route_table_change(routes->nl, &change, 1, &failed);

	return err ? err : change.result;
}

/* Something has its place: ours of before, or somebody else's. */
static int put_over(struct cv_routes *routes, const struct cv_table_route *route)
{
	struct cv_vector have;
	int err;

	cv_vector_init(&have, sizeof(struct cv_table_route));
	err = cv_route_table_for_each(routes->nl, route->protocol, collect, &have);
	for (size_t i = 0; i < have.count && !err; i++) {
		const struct cv_table_route *found = cv_vector_at(&have, i);

		if (compare_keys(found, route))
			continue;
		if (!is_same(found, route, route->protocol)) {
			err = change_one(routes, CV_ROUTE_APPEND, route);
			if (!err || err == -EEXIST)
				err = change_one(routes, CV_ROUTE_DELETE, found);
		}
		cv_vector_fini(&have);
		return err;
	}
	cv_vector_fini(&have);
	return err ? err : -EEXIST;
}

static int fail_one(const struct cv_routes *routes, const struct cv_table_route *route, int err,
		    struct cv_error *error)
{
	char text[128], words[128];

	snprintf(words, sizeof(words), "%s", cv_nl_error_text(routes->nl));
	describe(routes->nl, route, text, sizeof(text));
	if (err == -EEXIST)
		return cv_error_set(error, err,
				    "route %s: somebody else's route has this prefix and metric: "
				    "delete it, or give it another metric",
				    text);
	return cv_error_set(error, err, "route %s: %s%s%s", text, strerror(-err),
			    *words ? ": " : "", words);
}

int cv_routes_put(struct cv_routes *routes, const struct cv_table_route *wanted, uint8_t protocol,
		  struct cv_error *error)
{
	struct cv_table_route route = *wanted;
	int err;

	route.protocol = protocol;
	route.scope = cv_table_route_scope(&route);
	routes->is_ours[protocol] = true;
	err = change_one(routes, CV_ROUTE_ADD, &route);
	if (err == -EEXIST)
		err = put_over(routes, &route);
	if (err)
		return fail_one(routes, &route, err, error);
	remember(routes, &route);
	return 0;
}

int cv_routes_drop(struct cv_routes *routes, const struct cv_table_route *wanted, uint8_t protocol,
		   struct cv_error *error)
{
	struct cv_table_route route = *wanted;
	int err;

	route.protocol = protocol;
	route.scope = cv_table_route_scope(&route);
	err = change_one(routes, CV_ROUTE_DELETE, &route);
	/* Gone with its device. */
	if (err && err != -ESRCH && err != -ENODEV)
		return fail_one(routes, &route, err, error);
	forget(routes, &route);
	return 0;
}

struct cv_routes *cv_routes_create(struct cv_nl *nl, uint8_t former)
{
	struct cv_routes *routes = calloc(1, sizeof(*routes));

	if (!routes)
		return NULL;
	routes->nl = nl;
	routes->is_ours[former] = true;
	cv_vector_init(&routes->made, sizeof(struct cv_table_route));
	return routes;
}

void cv_routes_destroy(struct cv_routes *routes)
{
	if (!routes)
		return;
	cv_vector_fini(&routes->made);
	free(routes);
}

int cv_routes_purge(struct cv_nl *nl, uint8_t protocol, size_t *ret_count)
{
	struct cv_routes *routes = cv_routes_create(nl, protocol);
	struct cv_routes_report report;
	int err;

	if (!routes)
		return -ENOMEM;
	err = cv_routes_apply(routes, NULL, 0, protocol, true, &report);
	cv_routes_destroy(routes);
	if (err)
		return err;
	*ret_count = report.deleted;
	/* Nothing else makes the kernel refuse to delete a route that is there. */
	return report.failed ? -EPERM : 0;
}
