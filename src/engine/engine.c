/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: workers, and changes to what they carry.
 *
 * A change stops the world: all workers' locks are taken, which each gives up between two
 * batches (the gate keeps a busy worker from taking its own back first). Batches take well below
 * a millisecond, changes are rare, and packets wait in their queues meanwhile.
 */
#define _GNU_SOURCE
#include "engine/engine.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "engine/worker.h"
#include "net/raw.h"

enum {
	CAPTURE_BATCH = 256 /* records taken in one go */
};

struct capture {
	int wake;
	uint32_t snap; /* 0: nobody captures, and there are no rings */
	struct cv_capture_ring *rings[CV_ENGINE_WORKERS_MAX];
};

struct cv_engine {
	struct cv_worker_shared shared;
	struct cv_live live;
	struct capture capture;
	struct cv_teacher teacher;
	bool is_probing_off;
	unsigned int count;
	struct cv_worker *workers[CV_ENGINE_WORKERS_MAX];
};

static void stop_world(struct cv_engine *engine)
{
	pthread_mutex_lock(&engine->shared.gate);
	/* First: it may hold its lock for some milliseconds, and packets do not wait for it. */
	if (engine->shared.lane.prober)
		cv_prober_lock(engine->shared.lane.prober);
	__atomic_store_n(&engine->shared.pausing, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < engine->count; i++)
		cv_worker_lock(engine->workers[i]);
}

static void start_world(struct cv_engine *engine)
{
	__atomic_store_n(&engine->shared.pausing, false, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < engine->count; i++)
		cv_worker_unlock(engine->workers[i]);
	if (engine->shared.lane.prober)
		cv_prober_unlock(engine->shared.lane.prober);
	pthread_mutex_unlock(&engine->shared.gate);
}

static int create_shared(struct cv_engine *engine)
{
	struct cv_worker_shared *shared = &engine->shared;

	pthread_mutex_init(&shared->gate, NULL);
	shared->guard = -1;
	engine->capture.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (engine->capture.wake < 0)
		return -errno;
	shared->lane.live = &engine->live;
	shared->lane.remotes = cv_remotes_create();
	shared->lane.limit = cv_limit_create();
	shared->lane.reassembly = cv_reassembly_create();
	if (!shared->lane.remotes || !shared->lane.limit || !shared->lane.reassembly)
		return -ENOMEM;
	/* A restart must not repeat the identifications of a moment ago (RFC 6864, 4.2). */
	if (getrandom(shared->lane.next_id, sizeof(shared->lane.next_id), 0) < 0)
		return -errno;
	shared->guard = cv_raw_open_guard();
	if (shared->guard < 0)
		return shared->guard;
	return cv_prober_create(&shared->lane, &shared->lane.prober);
}

static unsigned int count_workers(unsigned int wanted)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!wanted)
		wanted = cpus > 0 ? (unsigned int)cpus : 1;
	return wanted < CV_ENGINE_WORKERS_MAX ? wanted : CV_ENGINE_WORKERS_MAX;
}

int cv_engine_create(unsigned int workers, struct cv_engine **ret_engine)
{
	struct cv_engine *engine = calloc(1, sizeof(*engine));
	unsigned int wanted = count_workers(workers);
	int err;

	if (!engine)
		return -ENOMEM;
	err = create_shared(engine);
	if (err)
		goto destroy_engine;
	for (; engine->count < wanted; engine->count++) {
		err = cv_worker_create(&engine->shared, engine->count,
				       &engine->workers[engine->count]);
		if (err)
			goto destroy_engine;
	}
	for (unsigned int i = 0; i < engine->count; i++) {
		err = cv_worker_start(engine->workers[i]);
		if (err)
			goto destroy_engine;
	}
	err = cv_prober_start(engine->shared.lane.prober);
	if (err)
		goto destroy_engine;
	*ret_engine = engine;
	return 0;

destroy_engine:
	cv_engine_destroy(engine);
	return err;
}

static void destroy_tunnel(struct cv_engine *engine, struct cv_live_tunnel *tunnel)
{
	for (unsigned int i = 0; i < engine->count; i++)
		close(tunnel->lanes[i].queue);
	cv_owners_fini(&tunnel->owners);
	for (unsigned int i = 0; i < CV_ENGINE_WORKERS_MAX; i++)
		free(tunnel->lanes[i].peers);
	free(tunnel);
}

void cv_engine_destroy(struct cv_engine *engine)
{
	if (!engine)
		return;
	__atomic_store_n(&engine->shared.stopping, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < engine->count; i++)
		cv_worker_destroy(engine->workers[i]);
	cv_prober_destroy(engine->shared.lane.prober);
	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX; i++) {
		if (engine->live.slots[i])
			destroy_tunnel(engine, engine->live.slots[i]);
	}
	for (unsigned int i = 0; i < CV_ENGINE_WORKERS_MAX; i++)
		cv_capture_ring_destroy(engine->capture.rings[i]);
	if (engine->capture.wake >= 0)
		close(engine->capture.wake);
	if (engine->shared.guard >= 0)
		close(engine->shared.guard);
	cv_remotes_destroy(engine->shared.lane.remotes);
	cv_limit_destroy(engine->shared.lane.limit);
	cv_reassembly_destroy(engine->shared.lane.reassembly);
	pthread_mutex_destroy(&engine->shared.gate);
	free(engine);
}

unsigned int cv_engine_workers(const struct cv_engine *engine)
{
	return engine->count;
}

/* Everything that depends on the configuration of tunnels is found again. World stopped. */
static void configuration_changed(struct cv_engine *engine)
{
	for (unsigned int i = 0; i < engine->count; i++) {
		cv_live_resolve_devices(&engine->live, i);
		cv_worker_forget(engine->workers[i]);
	}
	cv_prober_tunnels_changed(engine->shared.lane.prober);
}

/* World stopped. On failure no worker serves the tunnel. */
static int attach_all(struct cv_engine *engine, const struct cv_live_tunnel *tunnel)
{
	for (unsigned int i = 0; i < engine->count; i++) {
		int err = cv_worker_attach(engine->workers[i], tunnel);

		if (err) {
			while (i--)
				cv_worker_detach(engine->workers[i], tunnel);
			return err;
		}
	}
	return 0;
}

int cv_engine_tunnel_add(struct cv_engine *engine, const struct cv_engine_tunnel *tunnel,
			 const int *queues)
{
	struct cv_live_tunnel *live;
	int err;

	if (!cv_ipip_params_valid(&tunnel->ipip))
		return -EINVAL;
	live = aligned_alloc(64, sizeof(*live));
	if (!live)
		return -ENOMEM;
	memset(live, 0, sizeof(*live));
	live->config = *tunnel;
	for (unsigned int i = 0; i < engine->count; i++)
		live->lanes[i].queue = queues[i];
	stop_world(engine);
	err = cv_live_add(&engine->live, live);
	if (!err) {
		err = attach_all(engine, live);
		if (err)
			cv_live_remove(&engine->live, live);
		configuration_changed(engine);
	}
	start_world(engine);
	if (err)
		free(live);
	return err;
}

int cv_engine_tunnel_change(struct cv_engine *engine, const struct cv_engine_tunnel *tunnel)
{
	struct cv_live_tunnel *live = cv_live_find(&engine->live, tunnel->ifindex);
	int err;

	if (!live)
		return -ENOENT;
	if (!cv_ipip_params_valid(&tunnel->ipip))
		return -EINVAL;
	stop_world(engine);
	err = cv_live_change(&engine->live, live, tunnel);
	configuration_changed(engine);
	start_world(engine);
	return err;
}

int cv_engine_tunnel_set_owners(struct cv_engine *engine, int ifindex,
				const struct cv_owners *owners)
{
	struct cv_live_tunnel *live = cv_live_find(&engine->live, ifindex);
	struct cv_live_owners next;

	if (!live)
		return -ENOENT;
	if (cv_live_owners_init(&next, owners, engine->count))
		return -ENOMEM;
	stop_world(engine);
	cv_live_owners_swap(live, &next);
	for (unsigned int i = 0; i < engine->count; i++)
		cv_worker_forget(engine->workers[i]);
	start_world(engine);
	cv_live_owners_fini(&next);
	return 0;
}

int cv_engine_tunnel_delete(struct cv_engine *engine, int ifindex)
{
	struct cv_live_tunnel *live = cv_live_find(&engine->live, ifindex);

	if (!live)
		return -ENOENT;
	stop_world(engine);
	for (unsigned int i = 0; i < engine->count; i++)
		cv_worker_detach(engine->workers[i], live);
	cv_live_remove(&engine->live, live);
	configuration_changed(engine);
	start_world(engine);
	destroy_tunnel(engine, live);
	return 0;
}

static void tell_remote(void *context, __be32 address, const struct cv_remote_state *state)
{
	const struct cv_teacher *teacher = context;
	const struct cv_fp_remote remote = {
		.mtu_until_ns = state->mtu_until_ms * 1000000,
		.mtu = state->mtu,
		.error_until_s = (uint32_t)((state->error_until_ms + 999) / 1000),
		.inner_mtu = state->inner_mtu,
	};

	teacher->remote(teacher->context, address, &remote);
}

void cv_engine_set_teacher(struct cv_engine *engine, const struct cv_teacher *teacher)
{
	struct cv_lane_shared *shared = &engine->shared.lane;

	stop_world(engine);
	shared->teacher = NULL;
	cv_remotes_observe(shared->remotes, NULL, NULL);
	if (teacher) {
		engine->teacher = *teacher;
		shared->teacher = &engine->teacher;
		cv_remotes_observe(shared->remotes, tell_remote, &engine->teacher);
	}
	start_world(engine);
}

int cv_engine_tunnel_counters(struct cv_engine *engine, int ifindex, struct cv_counters *ret)
{
	const struct cv_live_tunnel *live = cv_live_find(&engine->live, ifindex);

	if (!live)
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	stop_world(engine);
	for (unsigned int i = 0; i < engine->count; i++)
		cv_counters_add(ret, &live->lanes[i].counters);
	start_world(engine);
	return 0;
}

int cv_engine_peer_counters(struct cv_engine *engine, int ifindex, struct cv_peer_counters *list,
			    size_t count)
{
	const struct cv_live_tunnel *live = cv_live_find(&engine->live, ifindex);

	if (!live)
		return -ENOENT;
	stop_world(engine);
	cv_live_add_peers(live, list, count);
	start_world(engine);
	return 0;
}

void cv_engine_counters(struct cv_engine *engine, struct cv_counters *ret)
{
	memset(ret, 0, sizeof(*ret));
	stop_world(engine);
	for (unsigned int i = 0; i < engine->count; i++)
		cv_worker_counters(engine->workers[i], ret);
	start_world(engine);
	cv_prober_counters(engine->shared.lane.prober, ret);
}

uint32_t cv_engine_path_mtu(const struct cv_engine *engine, __be32 remote)
{
	uint32_t mtu;
	bool error_waits;

	cv_remotes_read(engine->shared.lane.remotes, remote, cv_prober_now_ms(), &mtu,
			&error_waits);
	return mtu;
}

/* ---- paths ---- */

int cv_engine_paths(struct cv_engine *engine, struct cv_prober_path **ret_list, size_t *ret_count)
{
	return cv_prober_list(engine->shared.lane.prober, ret_list, ret_count);
}

bool cv_engine_link_mtus(struct cv_engine *engine, int ifindex, uint32_t *ret_smallest,
			 uint32_t *ret_largest)
{
	return cv_prober_link_mtus(engine->shared.lane.prober, ifindex, ret_smallest, ret_largest);
}

int cv_engine_paths_fd(const struct cv_engine *engine)
{
	return cv_prober_fd(engine->shared.lane.prober);
}

void cv_engine_paths_seen(struct cv_engine *engine)
{
	eventfd_t ignored;

	eventfd_read(cv_prober_fd(engine->shared.lane.prober), &ignored);
}

void cv_engine_configure_prober(struct cv_engine *engine, const struct cv_prober_config *config)
{
	cv_prober_configure(engine->shared.lane.prober, config, engine->is_probing_off);
}

void cv_engine_forbid_probing(struct cv_engine *engine)
{
	const struct cv_prober_config config = cv_prober_config_default();

	engine->is_probing_off = true;
	cv_engine_configure_prober(engine, &config);
}

void cv_engine_watch_fastpath(struct cv_engine *engine, struct cv_fp_activity *activity)
{
	cv_prober_watch(engine->shared.lane.prober, activity);
}

void cv_engine_recall_mtu(struct cv_engine *engine, __be32 remote, uint32_t mtu, uint64_t until_ms)
{
	cv_remotes_set_mtu(engine->shared.lane.remotes, remote, mtu, cv_prober_now_ms(), until_ms);
}

void cv_engine_set_inner_mtu(struct cv_engine *engine, __be32 remote, uint32_t mtu)
{
	cv_remotes_set_inner_mtu(engine->shared.lane.remotes, remote, mtu, cv_prober_now_ms());
}

const char *cv_engine_tunnel_name(const struct cv_engine *engine, int ifindex)
{
	const struct cv_live_tunnel *live = cv_live_find(&engine->live, ifindex);

	return live ? live->config.name : NULL;
}

/* ---- capture ---- */

static void destroy_rings(struct capture *capture)
{
	for (unsigned int i = 0; i < CV_ENGINE_WORKERS_MAX; i++) {
		cv_capture_ring_destroy(capture->rings[i]);
		capture->rings[i] = NULL;
	}
}

/* Those that are there stay, with what is in them. */
static int create_rings(struct cv_engine *engine, uint32_t snap)
{
	struct capture *capture = &engine->capture;

	for (unsigned int i = 0; i < engine->count; i++) {
		if (!capture->rings[i])
			capture->rings[i] =
				cv_capture_ring_create(CV_CAPTURE_RING_BYTES, snap, capture->wake);
		if (!capture->rings[i])
			return -errno;
	}
	return 0;
}

int cv_engine_capture(struct cv_engine *engine, uint32_t snap)
{
	struct capture *capture = &engine->capture;
	int err = snap ? create_rings(engine, snap) : 0;

	if (err) {
		if (!capture->snap)
			destroy_rings(capture);
		return err;
	}
	stop_world(engine);
	for (unsigned int i = 0; i < engine->count; i++) {
		if (snap)
			cv_capture_ring_snap(capture->rings[i], snap);
		cv_worker_capture(engine->workers[i], snap ? capture->rings[i] : NULL);
	}
	start_world(engine);
	capture->snap = snap;
	if (!snap)
		destroy_rings(capture);
	return 0;
}

uint32_t cv_engine_capture_snap(const struct cv_engine *engine)
{
	return engine->capture.snap;
}

int cv_engine_capture_fd(const struct cv_engine *engine)
{
	return engine->capture.wake;
}

/* The ring with the oldest record, or NULL. */
static struct cv_capture_ring *oldest_ring(struct cv_engine *engine)
{
	struct cv_capture_ring *oldest = NULL;
	uint64_t time_ns = UINT64_MAX;

	for (unsigned int i = 0; i < engine->count; i++) {
		const struct cv_fp_capture *record = cv_capture_ring_peek(engine->capture.rings[i]);

		if (record && record->time_ns < time_ns) {
			oldest = engine->capture.rings[i];
			time_ns = record->time_ns;
		}
	}
	return oldest;
}

/* At most so many records, none that is younger. Returns how many were lost. */
static uint64_t take_records(struct cv_engine *engine, cv_capture_take take, void *context,
			     unsigned int count, uint64_t until_ns)
{
	struct cv_capture_ring *ring;
	uint64_t lost = 0;

	while (count-- && (ring = oldest_ring(engine))) {
		const struct cv_fp_capture *record = cv_capture_ring_peek(ring);

		if (record->time_ns > until_ns)
			break;
		take(context, record, (const uint8_t *)(record + 1));
		cv_capture_ring_next(ring);
	}
	for (unsigned int i = 0; i < engine->count; i++)
		lost += cv_capture_ring_lost(engine->capture.rings[i]);
	return lost;
}

uint64_t cv_engine_capture_poll(struct cv_engine *engine, cv_capture_take take, void *context)
{
	const struct capture *capture = &engine->capture;
	uint64_t lost;
	eventfd_t ignored;

	if (!capture->snap)
		return 0;
	eventfd_read(capture->wake, &ignored);
	/* From here on a new record wakes us again, so none of them can be overlooked. */
	for (unsigned int i = 0; i < engine->count; i++)
		cv_capture_ring_wait(capture->rings[i]);
	lost = take_records(engine, take, context, CAPTURE_BATCH, UINT64_MAX);
	if (oldest_ring(engine))
		eventfd_write(capture->wake, 1);
	return lost;
}

uint64_t cv_engine_capture_settle(struct cv_engine *engine, cv_capture_take take, void *context)
{
	struct timespec now;

	if (!engine->capture.snap)
		return 0;
	/* A packet is on the wire a moment before its record is in the ring. */
	stop_world(engine);
	clock_gettime(CLOCK_MONOTONIC, &now);
	start_world(engine);
	return take_records(engine, take, context, UINT_MAX,
			    (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
}
