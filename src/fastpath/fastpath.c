/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path from user space: tunnels, addresses, counters, beginning and end.
 *
 * Invariants: what a program reads is complete before it can find it (a tunnel's entry before
 * its pair); every change of what user space has put into the maps bumps the generation
 * afterwards, so that nothing that was remembered from before outlives it.
 */
#include "fastpath/fastpath.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "fastpath/devices.h"
#include "fastpath/endpoints.h"
#include "fastpath/state.h"
#include "fastpath/teach.h"
#include "net/link.h"
#include "net/sysctl.h"
#include "net/tun.h"

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

void cv_fastpath_bump(struct cv_fastpath *fastpath)
{
	pthread_mutex_lock(&fastpath->lock);
	if (++fastpath->config.generation == 0)
		fastpath->config.generation = 1;
	write_config(fastpath);
	pthread_mutex_unlock(&fastpath->lock);
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
static int load(struct cv_fastpath *fastpath, char *why, size_t size)
{
	bool can_pin = !cv_pins_open(fastpath->run_dir, &fastpath->pins, why, size);
	bool were_lost = find_maps(fastpath);
	char no_pins[CV_FASTPATH_PROBLEM_MAX * 2];
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
	snprintf(fastpath->run_dir, sizeof(fastpath->run_dir), "%s", options->run_dir);
	err = load(fastpath, why, size);
	if (err) {
		cv_fastpath_destroy(fastpath);
		return err;
	}
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
	cv_programs_fini(&fastpath->programs);
	cv_pins_close(&fastpath->pins);
	free(fastpath->tunnels);
	free(fastpath->endpoints);
	free(fastpath->devices);
	free(fastpath->addresses);
	pthread_mutex_destroy(&fastpath->lock);
	free(fastpath);
}

/* ---- the device that look-ups are asked from ---------------------------------------------------
 */

/* "cvlook" and six digits: two daemons in one namespace have one each. */
static void name_parked(unsigned int handle, char *ret_name)
{
	snprintf(ret_name, IFNAMSIZ, "cvlook%06x", handle & 0xffffff);
}

static int make_parked(struct cv_fastpath *fastpath, const char *name)
{
	struct cv_link link;
	int fd, err;

	fd = cv_tun_open(name);
	if (fd < 0)
		return fd;
	close(fd);
	err = cv_link_get(fastpath->nl, name, &link);
	if (err)
		return err;
	cv_link_set_alias(fastpath->nl, link.index,
			  "culvert: routes are asked for from this device");
	return link.index;
}

/* True if there was one. */
static bool delete_parked(struct cv_nl *nl, unsigned int handle)
{
	char name[IFNAMSIZ];
	struct cv_link link;

	name_parked(handle, name);
	return !cv_link_get(nl, name, &link) && !strcmp(link.kind, "tun") &&
	       !cv_link_delete(nl, link.index);
}

/* The index of our own device, made if need be; 0: it does not serve. */
static __u32 find_parked(struct cv_fastpath *fastpath)
{
	char name[IFNAMSIZ];
	struct cv_link link;
	int index;

	name_parked(fastpath->handle, name);
	index = cv_link_get(fastpath->nl, name, &link) ? make_parked(fastpath, name) : link.index;
	if (index > 0 && (cv_sysctl_read_ipv4(name, "forwarding") == 1 ||
			  !cv_sysctl_write_ipv4(name, "forwarding", 1)))
		return (__u32)index;
	if (fastpath->config.lookup_ifindex != 0)
		cv_fastpath_say(fastpath, LOG_WARNING,
				"the fast path cannot ask for routes: net.ipv4.conf.%s."
				"forwarding cannot be set; the engine carries everything",
				name);
	return 0;
}

/*
 * The loopback device, from which the kernel itself asks, where it forwards; else a device of
 * our own, which is never up: nothing but its setting "forwarding" is used. None without tunnels.
 */
static void choose_lookup_device(struct cv_fastpath *fastpath)
{
	__u32 before = fastpath->config.lookup_ifindex, chosen = 0;

	if (cv_sysctl_read_ipv4("lo", "forwarding") == 1)
		chosen = 1;
	else if (fastpath->tunnel_count)
		chosen = find_parked(fastpath);
	if (chosen == before)
		return;
	fastpath->config.lookup_ifindex = chosen;
	cv_fastpath_bump(fastpath);
	/* Once nothing asks from it any more. */
	if (before > 1)
		delete_parked(fastpath->nl, fastpath->handle);
}

/* ---- tunnels --------------------------------------------------------------------------------- */

static uint32_t take_slot(struct cv_fastpath *fastpath)
{
	for (uint32_t slot = 0; slot < CV_FP_SLOT_NONE; slot++) {
		uint64_t bit = 1ULL << (slot % 64);

		if (fastpath->slots[slot / 64] & bit)
			continue;
		fastpath->slots[slot / 64] |= bit;
		return slot;
	}
	return CV_FP_SLOT_NONE;
}

static void clear_counters(struct cv_fastpath *fastpath, uint32_t slot)
{
	int cpus = libbpf_num_possible_cpus();
	struct cv_fp_counters *zero = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*zero));

	if (zero)
		bpf_map_update_elem(fastpath->programs.map[CV_MAP_COUNTERS], &slot, zero, BPF_ANY);
	free(zero);
}

/* The slot that an earlier daemon gave it, with what it counted; else a new one. */
static uint32_t slot_for(struct cv_fastpath *fastpath, int ifindex)
{
	struct cv_fp_tunnel entry;
	__u32 key = (__u32)ifindex;
	uint32_t slot;

	if (!bpf_map_lookup_elem(fastpath->programs.map[CV_MAP_TUNNELS], &key, &entry) &&
	    entry.slot < CV_FP_SLOT_NONE &&
	    !(fastpath->slots[entry.slot / 64] & 1ULL << (entry.slot % 64))) {
		fastpath->slots[entry.slot / 64] |= 1ULL << (entry.slot % 64);
		return entry.slot;
	}
	slot = take_slot(fastpath);
	if (slot != CV_FP_SLOT_NONE)
		clear_counters(fastpath, slot);
	return slot;
}

static void set_problem(struct cv_fastpath_tunnel *tunnel, const char *text)
{
	snprintf(tunnel->problem, sizeof(tunnel->problem), "%s", text);
}

static struct cv_fp_pair pair_of(const struct cv_fp_tunnel *entry)
{
	return (struct cv_fp_pair){.remote = entry->remote, .local = entry->local};
}

/* Take the tunnel's pair out, if it is this tunnel's. */
static void delete_pair(struct cv_fastpath *fastpath, const struct cv_fastpath_tunnel *tunnel)
{
	struct cv_fp_pair pair = pair_of(&tunnel->entry);
	int map = fastpath->programs.map[CV_MAP_PAIRS];
	__u32 ifindex;

	if (!bpf_map_lookup_elem(map, &pair, &ifindex) && ifindex == (__u32)tunnel->config.ifindex)
		bpf_map_delete_elem(map, &pair);
}

static void remove_from_maps(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel)
{
	__u32 key = (__u32)tunnel->config.ifindex;

	if (!tunnel->in_map)
		return;
	delete_pair(fastpath, tunnel);
	bpf_map_delete_elem(fastpath->programs.map[CV_MAP_TUNNELS], &key);
	tunnel->in_map = false;
	cv_fastpath_bump(fastpath);
}

/* All of it, or nothing: half a tunnel would send and not receive. */
static void write_tunnel(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel,
			 const struct cv_fp_tunnel *entry)
{
	struct cv_fp_pair pair = pair_of(entry);
	__u32 key = (__u32)tunnel->config.ifindex;
	bool failed;

	if (tunnel->in_map &&
	    (entry->remote != tunnel->entry.remote || entry->local != tunnel->entry.local))
		delete_pair(fastpath, tunnel);
	failed =
		bpf_map_update_elem(fastpath->programs.map[CV_MAP_TUNNELS], &key, entry, BPF_ANY) ||
		bpf_map_update_elem(fastpath->programs.map[CV_MAP_PAIRS], &pair, &key, BPF_ANY);
	tunnel->entry = *entry;
	tunnel->in_map = true;
	if (failed) {
		remove_from_maps(fastpath, tunnel);
		set_problem(tunnel, "the fast path has no room for more tunnels");
		return;
	}
	cv_fastpath_bump(fastpath);
}

/* By index as long as there is such a device, whatever its name is now (as engine/live.c). */
static void resolve_dev(struct cv_fastpath_tunnel *tunnel)
{
	char name[IFNAMSIZ];

	if (!tunnel->config.dev[0])
		tunnel->dev = 0;
	else if (!tunnel->dev || !if_indextoname((unsigned int)tunnel->dev, name))
		tunnel->dev = (int)if_nametoindex(tunnel->config.dev);
}

/* Bring the maps in line with the tunnel as it is now. */
static void refresh_tunnel(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel)
{
	const struct cv_fastpath_device *device;
	uint64_t namespace, address = tunnel->entry.device;
	struct cv_fp_tunnel entry;

	resolve_dev(tunnel);
	device = cv_devices_find(fastpath, tunnel->config.ifindex);
	if (!device)
		return;
	if (!address &&
	    cv_programs_look(&fastpath->programs, device->ifindex, &namespace, &address))
		address = 0;
	memset(&entry, 0, sizeof(entry));
	entry.device = address;
	entry.remote = tunnel->config.remote;
	entry.local = tunnel->config.local;
	entry.dev = (__u32)tunnel->dev;
	entry.slot = tunnel->slot;
	entry.mtu = device->mtu;
	entry.ipip = tunnel->config.ipip;
	entry.strict = tunnel->config.strict;
	entry.up = device->up;
	if (device->problem[0])
		set_problem(tunnel, device->problem);
	else if (!(device->kind & CV_FP_DEVICE_TUNNEL))
		set_problem(tunnel, "no program is attached to its device");
	else if (tunnel->config.dev[0] && !tunnel->dev)
		set_problem(tunnel, "its underlay device is missing");
	else if (!fastpath->config.lookup_ifindex)
		set_problem(tunnel, "routes cannot be asked for");
	else
		set_problem(tunnel, "");
	/* Inner packets come to the program with or without an entry; without, they pass. */
	if (tunnel->problem[0])
		remove_from_maps(fastpath, tunnel);
	else if (!tunnel->in_map || memcmp(&entry, &tunnel->entry, sizeof(entry)) != 0)
		write_tunnel(fastpath, tunnel, &entry);
}

int cv_fastpath_tunnel_set(struct cv_fastpath *fastpath, const struct cv_engine_tunnel *config)
{
	struct cv_fastpath_tunnel *tunnel = cv_fastpath_find_tunnel(fastpath, config->ifindex);

	if (!tunnel) {
		tunnel = realloc(fastpath->tunnels, (fastpath->tunnel_count + 1) * sizeof(*tunnel));
		if (!tunnel)
			return -ENOMEM;
		fastpath->tunnels = tunnel;
		tunnel = &fastpath->tunnels[fastpath->tunnel_count++];
		memset(tunnel, 0, sizeof(*tunnel));
		tunnel->slot = slot_for(fastpath, config->ifindex);
	} else if (strcmp(tunnel->config.dev, config->dev) != 0) {
		tunnel->dev = 0;
	}
	tunnel->config = *config;
	if (!fastpath->ready)
		return 0;
	/* With the first one come the network cards. */
	if (fastpath->tunnel_count == 1)
		cv_fastpath_refresh(fastpath);
	cv_devices_add_tunnel(fastpath, config->ifindex);
	refresh_tunnel(fastpath, tunnel);
	return 0;
}

void cv_fastpath_tunnel_delete(struct cv_fastpath *fastpath, int ifindex)
{
	struct cv_fastpath_tunnel *tunnel = cv_fastpath_find_tunnel(fastpath, ifindex);

	if (!tunnel)
		return;
	remove_from_maps(fastpath, tunnel);
	fastpath->slots[tunnel->slot / 64] &= ~(1ULL << (tunnel->slot % 64));
	*tunnel = fastpath->tunnels[--fastpath->tunnel_count];
	cv_devices_release(fastpath, ifindex, CV_FP_DEVICE_TUNNEL);
	if (!fastpath->tunnel_count)
		cv_fastpath_refresh(fastpath);
}

const char *cv_fastpath_tunnel_problem(struct cv_fastpath *fastpath, int ifindex)
{
	const struct cv_fastpath_tunnel *tunnel = cv_fastpath_find_tunnel(fastpath, ifindex);

	if (!tunnel)
		return "the fast path does not know it";
	return tunnel->problem[0] ? tunnel->problem : NULL;
}

/* ---- addresses of this host -------------------------------------------------------------------
 */

struct address_list {
	struct cv_fastpath_address *items;
	size_t count;
	size_t capacity;
};

static int append_address(struct address_list *list, __be32 address, uint32_t kind)
{
	struct cv_fastpath_address *more;

	if (list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : 64;
		more = realloc(list->items, list->capacity * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->items = more;
	}
	list->items[list->count++] = (struct cv_fastpath_address){address, kind};
	return 0;
}

/* As the engine's router: a subnet's all-ones address counts where none was set, too. */
static int list_address(const struct cv_address *address, void *data)
{
	__be32 mask;
	int err = append_address(data, address->address, CV_FP_ADDRESS_OWN);

	if (!err && address->broadcast)
		err = append_address(data, address->broadcast, CV_FP_ADDRESS_BROADCAST);
	if (!err && address->prefix_length && address->prefix_length < 31) {
		mask = cv_htonl(~0U << (32 - address->prefix_length));
		err = append_address(data, address->address | ~mask, CV_FP_ADDRESS_BROADCAST);
	}
	return err;
}

/* By address; own ones first, and they win. */
static int compare_addresses(const void *left, const void *right)
{
	const struct cv_fastpath_address *a = left, *b = right;

	if (a->address != b->address)
		return (CV_FORCE uint32_t)a->address < (CV_FORCE uint32_t)b->address ? -1 : 1;
	return (int)a->kind - (int)b->kind;
}

static void sort_unique(struct address_list *list)
{
	size_t kept = 0;

	qsort(list->items, list->count, sizeof(*list->items), compare_addresses);
	for (size_t i = 0; i < list->count; i++) {
		if (!kept || list->items[kept - 1].address != list->items[i].address)
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
}

static bool list_has(const struct cv_fastpath_address *items, size_t count,
		     const struct cv_fastpath_address *item)
{
	const struct cv_fastpath_address *found =
		bsearch(&item->address, items, count, sizeof(*items), compare_addresses);

	return found && found->kind == item->kind;
}

static void refresh_addresses(struct cv_fastpath *fastpath)
{
	int map = fastpath->programs.map[CV_MAP_ADDRESSES];
	struct address_list list = {0};
	bool changed = false;

	if (cv_address_for_each(fastpath->nl, list_address, &list)) {
		free(list.items);
		return;
	}
	sort_unique(&list);
	for (size_t i = 0; i < list.count; i++) {
		if (list_has(fastpath->addresses, fastpath->address_count, &list.items[i]))
			continue;
		bpf_map_update_elem(map, &list.items[i].address, &list.items[i].kind, BPF_ANY);
		changed = true;
	}
	for (size_t i = 0; i < fastpath->address_count; i++) {
		const struct cv_fastpath_address key = {fastpath->addresses[i].address, 0};
		bool stays = false;

		for (uint32_t kind = CV_FP_ADDRESS_OWN; kind <= CV_FP_ADDRESS_BROADCAST; kind++) {
			const struct cv_fastpath_address item = {key.address, kind};

			stays |= list_has(list.items, list.count, &item);
		}
		if (stays)
			continue;
		bpf_map_delete_elem(map, &key.address);
		changed = true;
	}
	free(fastpath->addresses);
	fastpath->addresses = list.items;
	fastpath->address_count = list.count;
	if (changed)
		cv_fastpath_bump(fastpath);
}

/* ---- following ---------------------------------------------------------------------------------
 */

/* A tunnel that has a problem is known, but not carried. */
static bool is_in_map(const struct cv_fastpath_tunnel *tunnel)
{
	return tunnel && tunnel->in_map;
}

/* Entries that an earlier daemon left and nobody has set again. */
static void sweep_tunnels(struct cv_fastpath *fastpath)
{
	int map = fastpath->programs.map[CV_MAP_TUNNELS];
	__u32 key, last, *previous = NULL;

	while (!bpf_map_get_next_key(map, previous, &key)) {
		last = key;
		if (is_in_map(cv_fastpath_find_tunnel(fastpath, (int)key)))
			previous = &last;
		else if (bpf_map_delete_elem(map, &key))
			return;
	}
}

static void sweep_pairs(struct cv_fastpath *fastpath)
{
	int map = fastpath->programs.map[CV_MAP_PAIRS];
	struct cv_fp_pair key, last, *previous = NULL;
	const struct cv_fastpath_tunnel *tunnel;
	__u32 ifindex;

	while (!bpf_map_get_next_key(map, previous, &key)) {
		last = key;
		tunnel = NULL;
		if (!bpf_map_lookup_elem(map, &key, &ifindex))
			tunnel = cv_fastpath_find_tunnel(fastpath, (int)ifindex);
		if (is_in_map(tunnel) && tunnel->config.remote == key.remote &&
		    tunnel->config.local == key.local)
			previous = &last;
		else if (bpf_map_delete_elem(map, &key))
			return;
	}
}

static void sweep_addresses(struct cv_fastpath *fastpath)
{
	int map = fastpath->programs.map[CV_MAP_ADDRESSES];
	struct cv_fastpath_address key = {0};
	__be32 last, *previous = NULL;

	while (!bpf_map_get_next_key(map, previous, &key.address)) {
		bool stays = false;

		for (key.kind = CV_FP_ADDRESS_OWN; key.kind <= CV_FP_ADDRESS_BROADCAST; key.kind++)
			stays |= list_has(fastpath->addresses, fastpath->address_count, &key);
		last = key.address;
		if (stays)
			previous = &last;
		else if (bpf_map_delete_elem(map, &key.address))
			return;
	}
}

void cv_fastpath_refresh(struct cv_fastpath *fastpath)
{
	if (!fastpath->ready)
		return;
	choose_lookup_device(fastpath);
	refresh_addresses(fastpath);
	cv_devices_refresh(fastpath);
	for (size_t i = 0; i < fastpath->tunnel_count; i++)
		refresh_tunnel(fastpath, &fastpath->tunnels[i]);
	cv_endpoints_refresh(fastpath);
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
	sweep_pairs(fastpath);
	sweep_tunnels(fastpath);
	sweep_addresses(fastpath);
	cv_endpoints_sweep(fastpath);
	cv_teach_forget(fastpath);
	cv_fastpath_bump(fastpath);
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

/* ---- counters
 * ------------------------------------------------------------------------------------ */

static void add_counters(const struct cv_fp_counters *from, struct cv_counters *sum,
			 struct cv_fastpath_share *share)
{
	sum->rx_packets += from->rx_packets;
	sum->rx_bytes += from->rx_bytes;
	sum->tx_packets += from->tx_packets;
	sum->tx_bytes += from->tx_bytes;
	sum->events[CV_EVENT_ECN_UNUSED] += from->ecn_unused;
	sum->events[CV_EVENT_ECN_DANGEROUS] += from->ecn_dangerous;
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

/* ---- the end of an instance
 * ------------------------------------------------------------------------ */

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

	*ret_removed = 0;
	if (err)
		return err;
	*ret_removed = cv_devices_detach(nl, &pins, run_dir);
	delete_parked(nl, cv_pins_handle(run_dir));
	cv_pins_remove_all_but(&pins, CV_FP_MAP_DEVICES);
	cv_pins_close(&pins);
	return 0;
}

int cv_fastpath_purge(const char *run_dir, struct cv_nl *nl, unsigned int *ret_removed)
{
	struct cv_pins pins;
	int err = find_instance(run_dir, nl, &pins);

	*ret_removed = 0;
	if (err)
		return err;
	*ret_removed = cv_devices_detach(nl, &pins, run_dir);
	if (delete_parked(nl, cv_pins_handle(run_dir)))
		(*ret_removed)++;
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
