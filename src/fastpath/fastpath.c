/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path from user space: beginning and end, following the network, counters.
 *
 * Invariant: every change of what user space has put into the maps bumps the generation
 * afterwards, so that nothing that was remembered from before outlives it.
 */
#include "fastpath/fastpath.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "fastpath/addresses.h"
#include "fastpath/devices.h"
#include "fastpath/endpoints.h"
#include "fastpath/lookup.h"
#include "fastpath/state.h"
#include "fastpath/traffic.h"
#include "fastpath/tunnels.h"
#include "net/link.h"

enum {
	ACTIVITY_BYTES = CV_FP_ACTIVITY_SLOTS * sizeof(struct cv_fp_activity)
};

void cv_fastpath_say(const struct cv_fastpath *fastpath, int priority, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (fastpath->log)
		fastpath->log(priority, text);
}

static void write_config(struct cv_fastpath *fastpath)
{
	__u32 zero = 0;

	bpf_map_update_elem(fastpath->programs.map[CV_MAP_CONFIG], &zero, &fastpath->config,
			    BPF_ANY);
}

void cv_fastpath_write_config(struct cv_fastpath *fastpath)
{
	pthread_mutex_lock(&fastpath->lock);
	write_config(fastpath);
	pthread_mutex_unlock(&fastpath->lock);
}

static void next(__u32 *generation)
{
	if (++*generation == 0)
		*generation = 1;
}

void cv_fastpath_bump_ways(struct cv_fastpath *fastpath)
{
	pthread_mutex_lock(&fastpath->lock);
	next(&fastpath->config.generation);
	write_config(fastpath);
	pthread_mutex_unlock(&fastpath->lock);
}

static __u32 hash(const __u32 *numbers, size_t count)
{
	__u32 sum = 2166136261; /* FNV-1a, by words */

	for (size_t i = 0; i < count; i++)
		sum = (sum ^ numbers[i]) * 16777619;
	return sum ^ sum >> 15;
}

/*
 * What the engine's words rest on, but for routing, of which genid tells: a hash, whatever the
 * order. Two that differ are alike once in four billion starts.
 */
static __u32 grounds_of(const struct cv_fastpath *fastpath)
{
	__u32 sum = hash(&fastpath->config.lookup_ifindex, 1);

	for (size_t i = 0; i < fastpath->tunnel_count; i++) {
		const struct cv_fastpath_tunnel *tunnel = &fastpath->tunnels[i];
		const struct cv_fp_tunnel *entry = &tunnel->entry;
		const __u32 numbers[] = {
			(__u32)tunnel->config.ifindex,
			tunnel->in_map,
			(CV_FORCE __u32)entry->remote,
			(CV_FORCE __u32)entry->local,
			entry->dev,
			entry->strict,
			(__u32)tunnel->owners,
			(__u32)(tunnel->owners >> 32),
		};

		sum += hash(numbers, sizeof(numbers) / sizeof(numbers[0]));
	}
	for (size_t i = 0; i < fastpath->address_count; i++) {
		const __u32 numbers[] = {
			(CV_FORCE __u32)fastpath->addresses[i].address,
			fastpath->addresses[i].kind,
		};

		sum += hash(numbers, 2);
	}
	for (size_t i = 0; i < fastpath->device_count; i++) {
		const struct cv_fastpath_device *device = &fastpath->devices[i];
		const __u32 numbers[] = {(__u32)device->ifindex, device->kind, device->rp_filter};

		sum += hash(numbers, 3);
	}
	return sum;
}

void cv_fastpath_bump(struct cv_fastpath *fastpath)
{
	__u32 grounds;

	if (!fastpath->settled) {
		cv_fastpath_bump_ways(fastpath);
		return;
	}
	grounds = grounds_of(fastpath);
	pthread_mutex_lock(&fastpath->lock);
	next(&fastpath->config.generation);
	next(&fastpath->config.words);
	fastpath->config.grounds = grounds;
	write_config(fastpath);
	pthread_mutex_unlock(&fastpath->lock);
}

/* The words of an earlier daemon's engine hold on, if they rest on what there is now. */
static void settle(struct cv_fastpath *fastpath)
{
	bool keeps = fastpath->config.words && fastpath->config.grounds == grounds_of(fastpath);

	fastpath->settled = true;
	if (keeps)
		cv_fastpath_bump_ways(fastpath);
	else
		cv_fastpath_bump(fastpath);
}

struct cv_fastpath_tunnel *cv_fastpath_find_tunnel(struct cv_fastpath *fastpath, int ifindex)
{
	for (size_t i = 0; i < fastpath->tunnel_count; i++) {
		if (fastpath->tunnels[i].config.ifindex == ifindex)
			return &fastpath->tunnels[i];
	}
	return NULL;
}

/* ---- beginning and end ------------------------------------------------------------------- */

/*
 * What an earlier daemon has left, and what only the kernel knows. The generation stays: what is
 * remembered holds until cv_fastpath_ready, and the engine, which gives its word for some of it,
 * can be asked only then.
 */
static void take_up(struct cv_fastpath *fastpath)
{
	uint64_t namespace, device;
	__u32 zero = 0;

	bpf_map_lookup_elem(fastpath->programs.map[CV_MAP_CONFIG], &zero, &fastpath->config);
	fastpath->config.capture = 0;
	if (cv_programs_look(&fastpath->programs, 0, &namespace, &device))
	namespace = 0;
	fastpath->config.namespace = namespace;
	if (fastpath->config.generation)
		cv_fastpath_write_config(fastpath);
	else
		cv_fastpath_bump(fastpath);
	cv_traffic_take_up(fastpath);
	cv_devices_take_up(fastpath);
	cv_programs_settle(&fastpath->programs, &fastpath->pins);
}

/* Maps of programs that are attached, where there are no pins of them. True: pins were lost. */
static bool find_maps(struct cv_fastpath *fastpath)
{
	int map = cv_pins_get(&fastpath->pins, CV_FP_MAP_DEVICES);

	if (map >= 0) {
		close(map);
		return false;
	}
	cv_programs_listen();
	return cv_devices_find_maps(fastpath->nl, fastpath->handle, &fastpath->pins) > 0;
}

/* Programs and maps; what cannot be pinned is no reason to be slow. 0, or -errno with why. */
static int load(struct cv_fastpath *fastpath, const char *run_dir, char *why, size_t size)
{
	bool can_pin = !cv_pins_open(run_dir, &fastpath->pins, why, size);
	bool were_lost = find_maps(fastpath);
	char no_pins[CV_FASTPATH_PROBLEM_MAX * 3];
	int err;

	snprintf(no_pins, sizeof(no_pins), "%s", can_pin ? "" : why);
	err = cv_programs_init(&fastpath->programs, &fastpath->pins, why, size);
	if (err)
		return err;
	if (*why)
		snprintf(no_pins, sizeof(no_pins), "%s", why);
	if (*no_pins)
		cv_fastpath_say(fastpath, LOG_WARNING,
				"%s; the fast path works without pins: the next start finds it by "
				"its programs",
				no_pins);
	if (were_lost)
		cv_devices_recover(fastpath);
	return 0;
}

int cv_fastpath_create(const struct cv_fastpath_options *options, struct cv_fastpath **ret_fastpath,
		       char *why, size_t size)
{
	struct cv_fastpath *fastpath = calloc(1, sizeof(*fastpath));
	int err;

	if (!fastpath) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	pthread_mutex_init(&fastpath->lock, NULL);
	fastpath->nl = options->nl;
	fastpath->log = options->log;
	cv_pins_init(&fastpath->pins);
	fastpath->handle = cv_pins_handle(options->run_dir);
	err = load(fastpath, options->run_dir, why, size);
	if (err) {
		cv_fastpath_destroy(fastpath);
		return err;
	}
	if (!fastpath->programs.asks_conntrack)
		cv_fastpath_say(
			fastpath, LOG_INFO,
			"conntrack cannot be asked (by Linux 5.18, if it was there before): "
			"endpoints' flows are judged by their packets alone");
	take_up(fastpath);
	*ret_fastpath = fastpath;
	return 0;
}

void cv_fastpath_destroy(struct cv_fastpath *fastpath)
{
	if (!fastpath)
		return;
	if (fastpath->capture)
		cv_fastpath_capture(fastpath, 0, NULL, NULL, NULL);
	if (fastpath->activity)
		munmap(fastpath->activity, ACTIVITY_BYTES);
	cv_programs_fini(&fastpath->programs);
	cv_pins_close(&fastpath->pins);
	for (size_t i = 0; i < fastpath->tunnel_count; i++) {
		free(fastpath->tunnels[i].peers);
		free(fastpath->tunnels[i].formers);
	}
	free(fastpath->tunnels);
	free(fastpath->endpoints);
	free(fastpath->devices);
	free(fastpath->addresses);
	pthread_mutex_destroy(&fastpath->lock);
	free(fastpath);
}

struct cv_fp_activity *cv_fastpath_activity(struct cv_fastpath *fastpath)
{
	void *memory;

	if (fastpath->activity)
		return fastpath->activity;
	memory = mmap(NULL, ACTIVITY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		      fastpath->programs.map[CV_MAP_ACTIVITY], 0);
	if (memory != MAP_FAILED)
		fastpath->activity = memory;
	return fastpath->activity;
}

/* ---- following --------------------------------------------------------------------------- */

/*
 * Note in which state the routing tables are, and with which genid, so that the engine's words
 * outlive that. Who changes a table holds the RTNL, and so does the question in the middle: if
 * nothing is different after it, no change was on its way before it.
 */
static void note_tables(struct cv_fastpath *fastpath)
{
	uint32_t tables, genid, tables_after, genid_after;
	struct cv_link link;

	if (cv_programs_tables(&fastpath->programs, &tables, &genid) ||
	    (fastpath->config.known_genid && fastpath->config.known_tables == tables) ||
	    cv_link_get_by_index(fastpath->nl, 1, &link) ||
	    cv_programs_tables(&fastpath->programs, &tables_after, &genid_after) ||
	    tables != tables_after || genid != genid_after)
		return;
	pthread_mutex_lock(&fastpath->lock);
	fastpath->config.known_genid = genid;
	fastpath->config.known_tables = tables;
	write_config(fastpath);
	pthread_mutex_unlock(&fastpath->lock);
}

void cv_fastpath_refresh(struct cv_fastpath *fastpath)
{
	if (!fastpath->ready)
		return;
	cv_lookup_choose(fastpath);
	cv_addresses_refresh(fastpath);
	cv_devices_refresh(fastpath);
	for (size_t i = 0; i < fastpath->tunnel_count; i++)
		cv_tunnels_refresh(fastpath, &fastpath->tunnels[i]);
	cv_endpoints_refresh(fastpath);
	note_tables(fastpath);
}

void cv_fastpath_doubt(struct cv_fastpath *fastpath)
{
	fastpath->in_doubt = true;
}

bool cv_fastpath_is_in_doubt(const struct cv_fastpath *fastpath)
{
	return fastpath->in_doubt;
}

int cv_fastpath_ready(struct cv_fastpath *fastpath)
{
	int err;

	fastpath->ready = true;
	/* First: from here on remembered answers expire, and the engine may have to be asked. */
	err = cv_programs_engine_runs(&fastpath->programs);
	cv_fastpath_refresh(fastpath);
	cv_tunnels_sweep(fastpath);
	cv_traffic_sweep(fastpath);
	cv_addresses_sweep(fastpath);
	cv_endpoints_sweep(fastpath);
	settle(fastpath);
	return err;
}

size_t cv_fastpath_underlays(struct cv_fastpath *fastpath, char (*ret_names)[IFNAMSIZ], size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < fastpath->device_count && count < max; i++) {
		if (fastpath->devices[i].kind & CV_FP_DEVICE_UNDERLAY)
			memcpy(ret_names[count++], fastpath->devices[i].name, IFNAMSIZ);
	}
	return count;
}

/* ---- counters ---------------------------------------------------------------------------- */

static void add_counters(const struct cv_fp_counters *from, struct cv_counters *sum,
			 struct cv_fastpath_share *share)
{
	sum->rx_packets += from->rx_packets;
	sum->rx_bytes += from->rx_bytes;
	sum->tx_packets += from->tx_packets;
	sum->tx_bytes += from->tx_bytes;
	sum->events[CV_EVENT_ECN_UNUSED] += from->ecn_unused;
	sum->events[CV_EVENT_ECN_DANGEROUS] += from->ecn_dangerous;
	sum->events[CV_EVENT_MSS_CLAMPED] += from->mss_clamped;
	for (unsigned int i = 0; i < CV_DROP_MAX; i++)
		sum->drops[i] += from->drops[i];
	share->rx_packets += from->rx_packets;
	share->rx_bytes += from->rx_bytes;
	share->tx_packets += from->tx_packets;
	share->tx_bytes += from->tx_bytes;
	share->rx_endpoint_packets += from->rx_endpoint_packets;
	share->tx_endpoint_packets += from->tx_endpoint_packets;
	share->in_handed_over += from->in_handed_over;
	share->out_handed_over += from->out_handed_over;
	share->local_packets += from->local_packets;
}

int cv_fastpath_counters(struct cv_fastpath *fastpath, int ifindex, struct cv_counters *sum,
			 struct cv_fastpath_share *ret_share)
{
	const struct cv_fastpath_tunnel *tunnel = cv_fastpath_find_tunnel(fastpath, ifindex);
	int cpus = libbpf_num_possible_cpus();
	struct cv_fp_counters *values;
	__u32 slot = tunnel ? tunnel->slot : CV_FP_SLOT_NONE;
	int err = 0;

	if (ifindex && !tunnel)
		return -ENOENT;
	values = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*values));
	if (!values)
		return -ENOMEM;
	memset(ret_share, 0, sizeof(*ret_share));
	if (bpf_map_lookup_elem(fastpath->programs.map[CV_MAP_COUNTERS], &slot, values))
		err = -errno;
	for (int i = 0; !err && i < cpus; i++)
		add_counters(&values[i], sum, ret_share);
	free(values);
	return err;
}

/* ---- the end of an instance -------------------------------------------------------------- */

/* Its pins, or its maps as far as they are found. 0 or -errno. */
static int find_instance(const char *run_dir, struct cv_nl *nl, struct cv_pins *ret_pins)
{
	int err;

	cv_programs_listen();
	err = cv_pins_find(run_dir, ret_pins);
	if (err == -ENOENT)
		cv_devices_find_maps(nl, cv_pins_handle(run_dir), ret_pins);
	return err == -ENOENT ? 0 : err;
}

int cv_fastpath_switch_off(const char *run_dir, struct cv_nl *nl, unsigned int *ret_removed)
{
	struct cv_pins pins;
	int err = find_instance(run_dir, nl, &pins);

	/* Whatever the pins are like: programs act, pins do not. */
	*ret_removed = cv_devices_detach(nl, &pins, run_dir);
	cv_lookup_delete(nl, cv_pins_handle(run_dir));
	if (!err)
		cv_pins_remove_all_but(&pins, CV_FP_MAP_DEVICES);
	cv_pins_close(&pins);
	return err;
}

int cv_fastpath_purge(const char *run_dir, struct cv_nl *nl, unsigned int *ret_removed)
{
	struct cv_pins pins;
	int err = find_instance(run_dir, nl, &pins);

	*ret_removed = cv_devices_detach(nl, &pins, run_dir);
	if (cv_lookup_delete(nl, cv_pins_handle(run_dir)))
		(*ret_removed)++;
	if (!err)
		err = cv_devices_remove_qdiscs(nl, &pins);
	if (err) {
		cv_pins_close(&pins);
		return err;
	}
	err = cv_pins_purge(&pins);
	if (err < 0)
		return err;
	*ret_removed += (unsigned int)err;
	return 0;
}
