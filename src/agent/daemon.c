/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: what it needs, its main loop, its end.
 *
 * One thread runs this loop: control socket, network changes, timers, signals. The engine's
 * threads carry packets; they are created with all signals blocked, so that signals
 * come here.
 */
#include "agent/daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/commands_doctor.h"
#include "agent/daemon_pods.h"
#include "agent/log.h"
#include "agent/machine.h"
#include "agent/metrics_server.h"
#include "agent/mtu_file.h"
#include "agent/node.h"
#include "agent/rundir.h"
#include "agent/server.h"
#include "model/attachment.h"
#include "net/absolute.h"
#include "net/link.h"
#include "net/monitor.h"

enum {
	/* A burst of notices (a routing daemon's) is looked at once… */
	REFRESH_DELAY_MS = 50,
	/* … and under a steady stream, looking takes a fifth of the time at most. */
	REFRESH_REST = 4,
	/* Whatever no notice tells of, and a state file that could not be written. */
	REFRESH_PERIOD_S = 30,
};

#define CONFIG_DIR "/etc/culvert"

struct daemon {
	struct cv_rundir rundir;
	struct cv_datastore_config datastore;
	struct cv_nl *nl;
	struct cv_engine *engine;
	struct cv_fastpath *fastpath;	     /* NULL: there is none */
	char no_fastpath[CV_ERROR_TEXT_MAX]; /* why */
	struct cv_carrier *carrier;	     /* NULL: nothing holds it */
	struct cv_tunnel_set *set;
	struct cv_capturers *capturers;
	struct cv_endpoint_set *endpoints;
	struct cv_daemon_pods pods;
	struct cv_node_agent *node;
	struct cv_commands commands;
	struct cv_server *server;
	struct cv_metrics_server *metrics; /* NULL: not asked for */
	struct cv_mtu_file mtu_file;
	int monitor;
	struct event_base *base;
	struct event *signals[3];
	struct event *held;	 /* the carrier holder has something to say */
	struct event *changed;	 /* the monitor can be read */
	struct event *refresh;	 /* a moment after that */
	int64_t refresh_took_us; /* the shorter of the last two: one may have been a first */
	int64_t last_refresh_us;
	bool node_is_behind;	 /* the kernel has changed in what the node agent looks at */
	struct event *pods_look; /* pods' devices have changed, a while ago */
	bool is_second_look;	 /* that moment is one that can wait: nothing has changed */
	struct event *paths;	 /* the ways to remotes have changed */
	struct event *follow;	 /* a moment after that */
	int64_t follow_took_us;
	struct event *settled; /* a request has been answered */
	struct event *period;
	struct event *stored;	   /* the store may have changed */
	struct event *store_delay; /* a moment after that */
	struct event *watchdog;
};

/* ---- beginning ------------------------------------------------------------- */

/*
 * Whoever starts us without standard error would otherwise have our log written to whatever
 * takes its number: the lock, or a socket of the kernel's.
 */
static void occupy_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR); /* stays open, also over exec */
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Every tunnel takes one descriptor per worker, and one. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- the main loop ------------------------------------------------------------- */

static void on_signal(evutil_socket_t number, short what, void *data)
{
	struct daemon *d = data;

	(void)what;
	if (number == SIGHUP) {
		cv_log(LOG_INFO, "SIGHUP: looking at the store again");
		cv_node_look(d->node);
		cv_daemon_pods_observe(&d->pods, true);
		return;
	}
	cv_log(LOG_INFO, "stopping, as %s came; the tunnels' devices stay",
	       number == SIGTERM ? "SIGTERM" : "SIGINT");
	event_base_loopbreak(d->base);
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void note_changes(struct daemon *d, int changes)
{
	if (changes < 0 || changes & ~(CV_MONITOR_OWN_ROUTE | CV_MONITOR_QDISC | CV_MONITOR_FILTER))
		d->node_is_behind = true;
	if (d->fastpath && (changes < 0 || changes & (CV_MONITOR_FILTER | CV_MONITOR_OVERFLOW)))
		cv_fastpath_doubt(d->fastpath);
}

/* Host ends of pods: hundreds may come and go at once, and what the agent has to know of them it is
 * told by the plugin. */
static bool is_pods(int ifindex, const char *name, void *data)
{
	const struct daemon *d = data;
	char text[IFNAMSIZ] = "";

	/* The settings of one that is gone: the notice of that has its name. */
	if (!name && cv_link_get_name(d->nl, ifindex, text))
		return true;
	return cv_attachment_is_device_name(name ? name : text);
}

static int drain(struct daemon *d)
{
	return cv_monitor_drain_sorted(d->monitor, cv_nl_port_id(d->nl), is_pods, d);
}

/* It can wait, and takes a twentieth of the time at most. */
static void look_at_pods_later(struct daemon *d)
{
	int64_t delay_us = 1000000 + 20 * d->refresh_took_us;
	const struct timeval delay = {delay_us / 1000000, delay_us % 1000000};

	if (!event_pending(d->pods_look, EV_TIMEOUT, NULL))
		event_add(d->pods_look, &delay);
}

static void on_changed(evutil_socket_t fd, short what, void *data)
{
	struct daemon *d = data;
	int64_t delay_us = REFRESH_DELAY_MS * 1000 + REFRESH_REST * d->refresh_took_us;
	const struct timeval delay = {
		.tv_sec = delay_us / 1000000,
		.tv_usec = delay_us % 1000000,
	};
	int changes = drain(d);

	(void)fd;
	(void)what;
	if (changes > 0 && changes & CV_MONITOR_MINOR) {
		look_at_pods_later(d);
		changes &= ~CV_MONITOR_MINOR;
	}
	if (changes < 0) {
		cv_log(LOG_ERR, "cannot read the kernel's notices: %s; looking every %d s now",
		       strerror(-changes), REFRESH_PERIOD_S);
		event_del(d->changed);
	}
	note_changes(d, changes);
	/* Not postponed by more notices: under a steady stream it would never come. */
	if (changes && (d->is_second_look || !event_pending(d->refresh, EV_TIMEOUT, NULL))) {
		d->is_second_look = false;
		event_add(d->refresh, &delay);
	}
}

static void tell_endpoint_mtu(struct daemon *d)
{
	cv_mtu_file_update(&d->mtu_file, cv_mtu_for_endpoints(d->engine, d->set));
}

/* What depends on the ways to remotes. */
static void follow_paths(struct daemon *d)
{
	cv_tunnel_set_follow(d->set);
	cv_node_paths_changed(d->node);
	tell_endpoint_mtu(d);
}

/* As on_changed: many change at once, and it takes a fifth of the time at most. */
static void on_paths(evutil_socket_t fd, short what, void *data)
{
	struct daemon *d = data;
	int64_t delay_us = REFRESH_DELAY_MS * 1000 + REFRESH_REST * d->follow_took_us;
	const struct timeval delay = {
		.tv_sec = delay_us / 1000000,
		.tv_usec = delay_us % 1000000,
	};

	(void)fd;
	(void)what;
	cv_engine_paths_seen(d->engine);
	if (!event_pending(d->follow, EV_TIMEOUT, NULL))
		event_add(d->follow, &delay);
}

static void on_follow(evutil_socket_t fd, short what, void *data)
{
	struct daemon *d = data;
	int64_t begin_us = now_us();

	(void)fd;
	(void)what;
	follow_paths(d);
	d->follow_took_us = now_us() - begin_us;
}

static void on_settled(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	tell_endpoint_mtu(data);
}

static void on_refresh(evutil_socket_t fd, short what, void *data)
{
	const struct timeval a_second = {.tv_sec = 1};
	struct daemon *d = data;
	int64_t begin_us = now_us(), took_us;

	(void)fd;
	(void)what;
	cv_tunnel_set_refresh(d->set);
	if (d->fastpath)
		cv_fastpath_refresh(d->fastpath);
	cv_endpoint_set_refresh(d->endpoints);
	if (d->node_is_behind) {
		cv_node_refresh(d->node);
		cv_daemon_pods_consider(&d->pods);
	}
	d->node_is_behind = false;
	follow_paths(d);
	took_us = now_us() - begin_us;
	d->refresh_took_us = took_us < d->last_refresh_us ? took_us : d->last_refresh_us;
	d->last_refresh_us = took_us;
	d->is_second_look = d->fastpath && cv_fastpath_is_in_doubt(d->fastpath);
	if (d->is_second_look)
		event_add(d->refresh, &a_second);
}

static void on_pods_look(evutil_socket_t fd, short what, void *data)
{
	struct daemon *d = data;

	d->node_is_behind = true;
	on_refresh(fd, what, d);
}

/* The kernel queues a notice before `ip link` ends, so who waited for that finds it here. */
static void catch_up(void *data)
{
	struct daemon *d = data;

	int changes = drain(d);

	/* Whatever is asked for now may change what endpoints are told. */
	event_active(d->settled, EV_TIMEOUT, 0);
	if (event_pending(d->pods_look, EV_TIMEOUT, NULL) && changes >= 0)
		changes |= CV_MONITOR_MINOR;
	if (!changes && !event_pending(d->refresh, EV_TIMEOUT, NULL))
		return;
	note_changes(d, changes);
	event_del(d->refresh);
	event_del(d->pods_look);
	on_refresh(-1, EV_TIMEOUT, d);
}

/* What no notice tells of. */
static void on_period(evutil_socket_t fd, short what, void *data)
{
	struct daemon *d = data;

	d->node_is_behind = false;
	on_refresh(fd, what, d);
	cv_node_look(d->node);
	cv_daemon_pods_observe(&d->pods, false);
}

static void on_stored(evutil_socket_t fd, short what, void *data)
{
	struct daemon *d = data;
	const struct timeval delay = {
		.tv_usec = (suseconds_t)cv_store_delay_ms(cv_node_store(d->node)) * 1000};

	(void)fd;
	(void)what;
	event_add(d->store_delay, &delay);
}

/* Only now is the descriptor read, and looked at again. */
static void on_store_delay(evutil_socket_t fd, short what, void *data)
{
	struct daemon *d = data;

	(void)fd;
	(void)what;
	cv_node_store_changed(d->node);
	cv_daemon_pods_consider(&d->pods);
	tell_endpoint_mtu(d);
	event_add(d->stored, NULL);
}

static void on_held(evutil_socket_t fd, short what, void *data)
{
	struct daemon *d = data;

	(void)fd;
	(void)what;
	cv_tunnel_set_attend(d->set);
}

static void keep_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

static void on_watchdog(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	(void)data;
	keep_alive();
}

static int add_watchdog(struct daemon *d)
{
	struct timeval period;
	uint64_t limit_us = 0;

	if (sd_watchdog_enabled(0, &limit_us) <= 0)
		return 0;
	/* Half the limit, as sd_watchdog_enabled(3) says. */
	period.tv_sec = (time_t)(limit_us / 2 / 1000000);
	period.tv_usec = (suseconds_t)(limit_us / 2 % 1000000);
	d->watchdog = event_new(d->base, -1, EV_PERSIST, on_watchdog, d);
	return d->watchdog && !event_add(d->watchdog, &period) ? 0 : -ENOMEM;
}

static int add_paths(struct daemon *d)
{
	d->follow = evtimer_new(d->base, on_follow, d);
	d->settled = evtimer_new(d->base, on_settled, d);
	d->paths = event_new(d->base, cv_engine_paths_fd(d->engine), EV_READ | EV_PERSIST, on_paths,
			     d);
	return d->follow && d->settled && d->paths && !event_add(d->paths, NULL) ? 0 : -ENOMEM;
}

static int add_carrier(struct daemon *d)
{
	if (!d->carrier)
		return 0;
	d->held = event_new(d->base, cv_carrier_fd(d->carrier), EV_READ | EV_PERSIST, on_held, d);
	return d->held && !event_add(d->held, NULL) ? 0 : -ENOMEM;
}

static int add_events(struct daemon *d)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	static const struct timeval period = {.tv_sec = REFRESH_PERIOD_S};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		d->signals[i] = evsignal_new(d->base, numbers[i], on_signal, d);
		if (!d->signals[i] || event_add(d->signals[i], NULL))
			return -ENOMEM;
	}
	d->changed = event_new(d->base, d->monitor, EV_READ | EV_PERSIST, on_changed, d);
	d->refresh = evtimer_new(d->base, on_refresh, d);
	d->pods_look = evtimer_new(d->base, on_pods_look, d);
	d->period = event_new(d->base, -1, EV_PERSIST, on_period, d);
	d->stored = event_new(d->base, cv_node_fd(d->node), EV_READ, on_stored, d);
	d->store_delay = evtimer_new(d->base, on_store_delay, d);
	if (!d->changed || !d->refresh || !d->pods_look || !d->period || !d->stored ||
	    !d->store_delay || event_add(d->changed, NULL) || event_add(d->period, &period) ||
	    event_add(d->stored, NULL))
		return -ENOMEM;
	if (add_paths(d) || add_carrier(d))
		return -ENOMEM;
	return add_watchdog(d);
}

/* ---- beginning and end ------------------------------------------------------------ */

static int create_engine(struct daemon *d, unsigned int workers, struct cv_error *error)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = cv_engine_create(workers, &d->engine);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return cv_error_set(error, rc, "cannot start the engine: %s%s", strerror(-rc),
				    rc == -EMFILE ? "; raise culvertd's limit (LimitNOFILE=)" : "");
	return 0;
}

/* The monitor comes before the tunnels: no change goes unseen. */
static int open_kernel(struct daemon *d, struct cv_error *error)
{
	int rc = cv_nl_create(&d->nl);

	if (rc)
		return cv_error_set(error, rc, "cannot talk to the kernel: %s", strerror(-rc));
	d->monitor = cv_monitor_open();
	if (d->monitor < 0)
		return cv_error_set(error, d->monitor, "cannot follow the kernel's changes: %s",
				    strerror(-d->monitor));
	return 0;
}

/*
 * Take away what an earlier daemon's fast path goes on with. Once the engine carries the tunnels:
 * of a packet that the one no longer takes, the other does.
 */
static void remove_fastpath(struct daemon *d)
{
	unsigned int removed = 0;
	int rc = cv_fastpath_switch_off(d->rundir.path, d->nl, &removed);

	if (rc)
		cv_log(LOG_WARNING, "cannot take away all that an earlier fast path has left: %s",
		       strerror(-rc));
	else if (removed)
		cv_log(LOG_NOTICE, "the programs of an earlier fast path are taken away");
}

static void recall_mtu(void *context, __be32 remote, uint32_t mtu, uint64_t until_ms)
{
	cv_engine_recall_mtu(context, remote, mtu, until_ms);
}

/* Without it, or where the kernel does not let us, everything works and is slower. */
static void create_fastpath(struct daemon *d)
{
	const struct cv_fastpath_options options = {
		.run_dir = d->rundir.path,
		.nl = d->nl,
		.log = cv_log_text,
	};

	if (!cv_fastpath_create(&options, &d->fastpath, d->no_fastpath, sizeof(d->no_fastpath))) {
		cv_fastpath_recall(d->fastpath, recall_mtu, d->engine);
		return;
	}
	d->fastpath = NULL;
	cv_log(LOG_WARNING, "the fast path is not available: %s; the engine carries everything",
	       d->no_fastpath);
}

/* What keeps the carrier is a help; without it the tunnels work as well. */
static void create_carrier(struct daemon *d)
{
	int rc = cv_carrier_create(d->rundir.path, cv_log_text, &d->carrier);

	if (rc)
		cv_log(LOG_WARNING,
		       "cannot hold the devices' carrier: %s; they lose it when culvertd ends",
		       strerror(-rc));
}

/* Before the fast path hands over: the engine must know who may send (engine/owners.h). */
static int create_node(struct daemon *d, const struct cv_daemon_options *options,
		       struct cv_error *error)
{
	struct cv_node_options node = {
		.run_dir = d->rundir.path,
		.name = options->node_name,
		.detect = options->detect,
		.pool_device = options->pool_device,
		.nl = d->nl,
		.tunnels = d->set,
		.engine = d->engine,
		.no_probing = options->no_probing,
		.base = d->base,
		.bgp = options->bgp,
		.bird = options->bird,
		.bird_socket = options->bird_socket,
		.addresses = d->pods.addresses,
		.pods = d->pods.pods,
		.datastore = &d->datastore,
	};
	char *config_dir = cv_absolute_path(options->config_dir ? options->config_dir : CONFIG_DIR);
	int rc;

	if (!config_dir)
		return cv_error_set(error, -ENOMEM, "out of memory");
	node.config_dir = config_dir;
	rc = cv_node_create(&node, &d->node, error);
	free(config_dir);
	return rc;
}

/* Before the node agent, which would take routes of pods that it does not know away, and before the
 * fast path is swept of endpoints. */
static int create_pods(struct daemon *d, const struct cv_daemon_options *options,
		       struct cv_error *error)
{
	struct cv_daemon_pods_options pods = {
		.base = d->base,
		.run_dir = d->rundir.path,
		.nl = d->nl,
		.engine = d->engine,
		.tunnels = d->set,
		.endpoints = d->endpoints,
		.datastore = &d->datastore,
	};
	char *state_dir = options->state_dir ? cv_absolute_path(options->state_dir) : NULL;
	int rc;

	if (options->state_dir && !state_dir)
		return cv_error_set(error, -ENOMEM, "out of memory");
	pods.state_dir = state_dir;
	rc = cv_daemon_pods_create(&d->pods, &pods, error);
	free(state_dir);
	return rc;
}

static int create_sets(struct daemon *d, const struct cv_daemon_options *daemon_options,
		       struct cv_error *error)
{
	const struct cv_tunnel_set_options options = {
		.run_dir = d->rundir.path,
		.engine = d->engine,
		.nl = d->nl,
		.fastpath = d->fastpath,
		.no_fastpath = d->no_fastpath,
		.carrier = d->carrier,
		.log = cv_log_text,
		.alive = keep_alive,
	};
	struct cv_endpoint_set_options endpoint_options = {
		.run_dir = d->rundir.path,
		.nl = d->nl,
		.fastpath = d->fastpath,
		.no_fastpath = d->no_fastpath,
		.log = cv_log_text,
	};
	struct cv_teacher teacher;
	int rc = cv_tunnel_set_create(&options, &d->set, error);

	if (rc)
		return rc;
	endpoint_options.tunnels = d->set;
	rc = cv_endpoint_set_create(&endpoint_options, &d->endpoints, error);
	if (!rc)
		rc = create_pods(d, daemon_options, error);
	if (!rc)
		rc = create_node(d, daemon_options, error);
	if (!rc && cv_daemon_pods_start(&d->pods, d->node))
		rc = cv_error_set(error, -ENOMEM, "out of memory");
	if (rc || !d->fastpath)
		return rc;
	cv_engine_watch_fastpath(d->engine, cv_fastpath_activity(d->fastpath));
	cv_fastpath_teacher(d->fastpath, &teacher);
	cv_engine_set_teacher(d->engine, &teacher);
	rc = cv_fastpath_ready(d->fastpath);
	if (rc)
		cv_log(LOG_WARNING, "the fast path cannot hand packets over: %s", strerror(-rc));
	return 0;
}

/* A port that somebody else has is no reason to carry no packets. */
static void serve_metrics(struct daemon *d, const char *address)
{
	struct cv_error error;

	if (cv_metrics_server_create(d->base, address, cv_commands_metrics_text, &d->commands,
				     &d->metrics, &error))
		cv_log(LOG_ERR, "%s", error.text);
}

/* Where resources and addresses are. Nothing is asked yet. */
static int find_datastore(struct daemon *d, const struct cv_daemon_options *options,
			  struct cv_error *error)
{
	int rc = cv_datastore_config_find(options->config_dir ? options->config_dir : CONFIG_DIR,
					  options->datastore, &d->datastore, error);

	for (size_t i = 0; !rc && i < d->datastore.warnings.count; i++)
		cv_log(LOG_WARNING, "%s", d->datastore.warnings.texts[i]);
	return rc;
}

static int start(struct daemon *d, const struct cv_daemon_options *options, struct cv_error *error)
{
	int rc = cv_machine_check(error);

	if (!rc)
		rc = cv_machine_check_config_dir(
			options->config_dir ? options->config_dir : CONFIG_DIR, error);
	if (!rc)
		rc = find_datastore(d, options, error);
	if (!rc)
		rc = cv_rundir_open(&d->rundir, options->run_dir, error);
	if (!rc)
		rc = open_kernel(d, error);
	if (!rc)
		rc = create_engine(d, options->workers, error);
	if (rc)
		return rc;
	if (options->no_probing)
		cv_engine_forbid_probing(d->engine);
	create_carrier(d);
	if (options->no_fastpath)
		snprintf(d->no_fastpath, sizeof(d->no_fastpath), "switched off by --fastpath off");
	else
		create_fastpath(d);
	d->base = event_base_new();
	if (!d->base)
		return cv_error_set(error, -ENOMEM, "cannot start the main loop");
	rc = create_sets(d, options, error);
	if (rc)
		return rc;
	if (!d->fastpath)
		remove_fastpath(d);
	if (add_events(d))
		return cv_error_set(error, -ENOMEM, "cannot start the main loop");
	rc = cv_capturers_create(d->base, d->engine, d->fastpath, &d->capturers);
	if (rc)
		return cv_error_set(error, rc, "cannot prepare captures: %s", strerror(-rc));
	d->mtu_file.run_dir = d->rundir.path;
	tell_endpoint_mtu(d);
	d->commands = (struct cv_commands){
		.engine = d->engine,
		.fastpath = d->fastpath,
		.no_fastpath = d->no_fastpath,
		.set = d->set,
		.capturers = d->capturers,
		.endpoints = d->endpoints,
		.node = d->node,
		.addresses = d->pods.addresses,
		.pods = d->pods.pods,
		.leaks = &d->pods.leaks,
		.migrator = d->pods.migrator,
		.registrar = d->pods.registrar,
		.sums = &d->pods.sums,
		.datastore = &d->datastore,
		.nl = d->nl,
		.base = d->base,
		.run_dir = d->rundir.path,
		.catch_up = catch_up,
		.context = d,
	};
	rc = cv_server_create(d->base, d->rundir.socket, cv_commands_handle, &d->commands,
			      &d->server, error);
	if (!rc && options->metrics)
		serve_metrics(d, options->metrics);
	return rc;
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

static void stop(struct daemon *d)
{
	cv_metrics_server_destroy(d->metrics);
	cv_server_destroy(d->server);
	/* The fast path keeps what it knows of remotes whose tunnels are given up below. */
	if (d->engine)
		cv_engine_set_teacher(d->engine, NULL);
	cv_capturers_destroy(d->capturers);
	cv_daemon_pods_stop(&d->pods);
	cv_node_destroy(d->node);
	cv_daemon_pods_destroy(&d->pods);
	cv_endpoint_set_destroy(d->endpoints);
	cv_tunnel_set_destroy(d->set);
	cv_carrier_destroy(d->carrier);
	/* The engine's threads may use the fast path. */
	cv_engine_destroy(d->engine);
	cv_fastpath_destroy(d->fastpath);
	for (size_t i = 0; i < sizeof(d->signals) / sizeof(d->signals[0]); i++)
		free_event(d->signals[i]);
	free_event(d->held);
	free_event(d->changed);
	free_event(d->refresh);
	free_event(d->pods_look);
	free_event(d->paths);
	free_event(d->follow);
	free_event(d->settled);
	free_event(d->period);
	free_event(d->stored);
	free_event(d->store_delay);
	free_event(d->watchdog);
	if (d->base)
		event_base_free(d->base);
	if (d->monitor >= 0)
		close(d->monitor);
	cv_nl_destroy(d->nl);
	cv_datastore_config_fini(&d->datastore);
	cv_rundir_close(&d->rundir);
	libevent_global_shutdown();
}

int cv_daemon_run(const struct cv_daemon_options *options)
{
	struct daemon d = {.rundir = {.lock = -1}, .monitor = -1};
	struct cv_error error;
	int rc;

	occupy_standard_descriptors();
	cv_log_init();
	umask(0022);
	signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	rc = start(&d, options, &error);
	if (!rc) {
		cv_log(LOG_INFO, "version %s runs in %s with %u workers and %zu tunnels",
		       CV_VERSION, d.rundir.path, cv_engine_workers(d.engine),
		       cv_tunnel_set_count(d.set));
		sd_notify(0, "READY=1");
		if (event_base_dispatch(d.base) < 0)
			rc = cv_error_set(&error, -EIO, "the main loop failed");
		sd_notify(0, "STOPPING=1");
	}
	if (rc)
		cv_log(LOG_ERR, "%s", error.text);
	stop(&d);
	return rc ? 1 : 0;
}
