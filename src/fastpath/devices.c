/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices and their programs.
 *
 * Invariants: cv_devices lists every device that may have a program of ours before it is
 * attached, and as long as it is, so that whoever comes after a crash finds them; a clsact
 * qdisc is removed only if we made it and nobody's filter is on it.
 *
 * Underlay devices are all Ethernet-like devices that are up and have an IPv4 address of their own,
 * but for tunnels of ours: by any of them an outer packet may arrive, whatever the routes say now.
 */
#include "fastpath/devices.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/pkt_sched.h>

#include "fastpath/endpoints.h"
#include "fastpath/hook.h"
#include "fastpath/sweep.h"
#include "net/link.h"
#include "net/qdisc.h"
#include "net/sysctl.h"

/* Foreign filters of a lower number come first: theirs is the right to drop before us. */
enum {
	PRIORITY = 0xc0,
	VERIFY_PERIOD_S = 20,
	DOUBT_PERIOD_S = 1,
};

/* A program and where it belongs. */
struct place {
	enum cv_program program;
	uint32_t kind;
	enum cv_hook_place place;
	bool for_endpoints_only;
};

static const struct place places[] = {
	{CV_PROGRAM_TUNNEL_OUT, CV_FP_DEVICE_TUNNEL, CV_HOOK_EGRESS, false},
	{CV_PROGRAM_TUNNEL_IN, CV_FP_DEVICE_TUNNEL, CV_HOOK_INGRESS, true},
	{CV_PROGRAM_UNDERLAY_IN, CV_FP_DEVICE_UNDERLAY, CV_HOOK_INGRESS, false},
	{CV_PROGRAM_ENDPOINT_IN, CV_FP_DEVICE_ENDPOINT, CV_HOOK_INGRESS, false},
	{CV_PROGRAM_ENDPOINT_OUT, CV_FP_DEVICE_ENDPOINT, CV_HOOK_EGRESS, false},
};

enum {
	PLACES = sizeof(places) / sizeof(places[0])
};

static struct cv_hook hook_of(int ifindex, const struct place *place, unsigned int handle)
{
	return (struct cv_hook){
		.ifindex = ifindex,
		.place = place->place,
		.priority = PRIORITY + place->program,
		.handle = handle,
	};
}

struct cv_fastpath_device *cv_devices_find(struct cv_fastpath *fastpath, int ifindex)
{
	for (size_t i = 0; i < fastpath->device_count; i++) {
		if (fastpath->devices[i].ifindex == ifindex)
			return &fastpath->devices[i];
	}
	return NULL;
}

static struct cv_fastpath_device *add_device(struct cv_fastpath *fastpath, int ifindex)
{
	struct cv_fastpath_device *device = cv_devices_find(fastpath, ifindex);
	struct cv_fastpath_device *more;

	if (device)
		return device;
	more = realloc(fastpath->devices, (fastpath->device_count + 1) * sizeof(*more));
	if (!more)
		return NULL;
	fastpath->devices = more;
	device = &more[fastpath->device_count++];
	memset(device, 0, sizeof(*device));
	device->ifindex = ifindex;
	return device;
}

/* Another instance may have left its qdisc to us: bequeath(). */
static void inherit(struct cv_fastpath *fastpath, struct cv_fastpath_device *device)
{
	__u32 key = (__u32)device->ifindex;
	struct cv_fp_device entry;

	if (!bpf_map_lookup_elem(fastpath->programs.map[CV_MAP_DEVICES], &key, &entry))
		device->made_clsact |= entry.made_clsact;
}

static void write_entry(struct cv_fastpath *fastpath, const struct cv_fastpath_device *device,
			uint32_t kind)
{
	const struct cv_fp_device entry = {
		.kind = kind,
		.rp_filter = device->rp_filter,
		.made_clsact = device->made_clsact,
	};
	__u32 key = (__u32)device->ifindex;

	bpf_map_update_elem(fastpath->programs.map[CV_MAP_DEVICES], &key, &entry, BPF_ANY);
}

/* ---- attaching --------------------------------------------------------------------------- */

static bool belongs(const struct cv_fastpath *fastpath, const struct place *place, uint32_t kind)
{
	return (place->kind & kind) && (!place->for_endpoints_only || fastpath->endpoint_count > 0);
}

/* The programs of a device of this kind, as a set. */
static uint32_t programs_of(const struct cv_fastpath *fastpath, uint32_t kind)
{
	uint32_t set = 0;

	for (unsigned int i = 0; i < PLACES; i++) {
		if (belongs(fastpath, &places[i], kind))
			set |= 1U << places[i].program;
	}
	return set;
}

static unsigned int program_id(int program)
{
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(program, &info, &length) ? 0 : info.id;
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* 0, or -errno with the device's problem said. */
static int attach_one(struct cv_fastpath *fastpath, struct cv_fastpath_device *device,
		      const struct place *place)
{
	struct cv_hook hook = hook_of(device->ifindex, place, fastpath->handle);
	int program = fastpath->programs.program[place->program];
	int err;

	device->attached |= 1U << place->program;
	if (cv_hook_attached(&hook) == program_id(program))
		return 0;
	err = cv_hook_attach(&hook, program, &device->made_clsact);
	if (err) {
		device->attached &= ~(1U << place->program);
		snprintf(device->problem, sizeof(device->problem),
			 "no program can be attached to %s: %s", device->name, strerror(-err));
	}
	return err;
}

/*
 * Another instance of this namespace has programs on the qdisc that we made: it is that one's to
 * remove from now on.
 */
static void bequeath(const struct cv_pins *sibling, void *data)
{
	int map = cv_pins_get(sibling, CV_FP_MAP_DEVICES);
	const __u32 *ifindex = data;
	struct cv_fp_device entry;

	if (map < 0)
		return;
	if (!bpf_map_lookup_elem(map, ifindex, &entry) && entry.kind) {
		entry.made_clsact = 1;
		bpf_map_update_elem(map, ifindex, &entry, BPF_EXIST);
	}
	close(map);
}

/* We have made it, and nothing of ours is on it any more. */
static void remove_clsact(struct cv_nl *nl, const struct cv_pins *pins, __u32 ifindex)
{
	if (!cv_hook_remove_qdisc(nl, (int)ifindex))
		cv_pins_for_each_sibling(pins, bequeath, &ifindex);
}

/* Programs that are not in the set go. */
static void detach_others(struct cv_fastpath *fastpath, struct cv_fastpath_device *device,
			  uint32_t set)
{
	for (unsigned int i = 0; i < PLACES; i++) {
		struct cv_hook hook = hook_of(device->ifindex, &places[i], fastpath->handle);
		uint32_t bit = 1U << places[i].program;

		if (!(device->attached & bit) || (set & bit))
			continue;
		cv_hook_detach(&hook);
		device->attached &= ~bit;
	}
}

static void detach_all(struct cv_fastpath *fastpath, struct cv_fastpath_device *device,
		       uint32_t kind)
{
	device->kind &= ~kind;
	detach_others(fastpath, device, programs_of(fastpath, device->kind));
	inherit(fastpath, device);
	if (!device->kind && device->made_clsact) {
		remove_clsact(fastpath->nl, &fastpath->pins, (__u32)device->ifindex);
		device->made_clsact = false;
	}
	write_entry(fastpath, device, device->kind);
}

/*
 * All programs of these kinds, or none: half of them would send and not receive. What was refused
 * is tried again a while later, not at once: attaching and detaching tell us to look again.
 */
static void attach_all(struct cv_fastpath *fastpath, struct cv_fastpath_device *device,
		       uint32_t kind)
{
	int err = 0;

	inherit(fastpath, device);
	write_entry(fastpath, device, device->kind | kind);
	for (unsigned int i = 0; i < PLACES && !err; i++) {
		if (belongs(fastpath, &places[i], kind))
			err = attach_one(fastpath, device, &places[i]);
	}
	if (err) {
		device->refused = kind;
		device->refused_s = now_s();
		/* First: no flow may be bypassed one way only. */
		if (kind & CV_FP_DEVICE_ENDPOINT)
			cv_endpoints_suspend(fastpath, device->ifindex);
		detach_all(fastpath, device, kind);
		return;
	}
	device->kind |= kind;
	device->refused = 0;
	device->problem[0] = '\0';
	write_entry(fastpath, device, device->kind);
}

/* ---- what is attached, whatever the maps say --------------------------------------------- */

struct search {
	unsigned int handle;
	void (*found)(const struct cv_hook *hook, const struct place *place, void *data);
	void *data;
	unsigned int count;
};

static int search_link(const struct cv_link *link, void *data)
{
	struct search *search = data;

	for (unsigned int i = 0; i < PLACES; i++) {
		struct cv_hook hook = hook_of(link->index, &places[i], search->handle);

		if (!cv_hook_attached(&hook))
			continue;
		search->found(&hook, &places[i], search->data);
		search->count++;
	}
	return 0;
}

static void keep_maps(const struct cv_hook *hook, const struct place *place, void *data)
{
	int program = bpf_prog_get_fd_by_id(cv_hook_attached(hook));
	__u32 ids[CV_PINS_FOUND_MAX], length;
	struct bpf_prog_info info = {
		.nr_map_ids = CV_PINS_FOUND_MAX,
		.map_ids = (__u64)(unsigned long)ids,
	};
	struct bpf_map_info map_info;

	(void)place;
	length = sizeof(info);
	if (program < 0)
		return;
	if (bpf_obj_get_info_by_fd(program, &info, &length))
		info.nr_map_ids = 0;
	close(program);
	for (unsigned int i = 0; i < info.nr_map_ids && i < CV_PINS_FOUND_MAX; i++) {
		int map = bpf_map_get_fd_by_id(ids[i]);

		memset(&map_info, 0, sizeof(map_info));
		length = sizeof(map_info);
		if (map >= 0 && !bpf_obj_get_info_by_fd(map, &map_info, &length))
			cv_pins_keep(data, map_info.name, map);
		else if (map >= 0)
			close(map);
	}
}

unsigned int cv_devices_find_maps(struct cv_nl *nl, unsigned int handle, struct cv_pins *pins)
{
	struct search search = {.handle = handle, .found = keep_maps, .data = pins};

	cv_link_for_each(nl, search_link, &search);
	return search.count;
}

static void list_device(const struct cv_hook *hook, const struct place *place, void *data)
{
	struct cv_fastpath *fastpath = data;
	int map = fastpath->programs.map[CV_MAP_DEVICES];
	struct cv_fp_device entry = {0};
	__u32 key = (__u32)hook->ifindex;

	(void)bpf_map_lookup_elem(map, &key, &entry);
	entry.kind |= place->kind;
	bpf_map_update_elem(map, &key, &entry, BPF_ANY);
}

void cv_devices_recover(struct cv_fastpath *fastpath)
{
	struct search search = {
		.handle = fastpath->handle,
		.found = list_device,
		.data = fastpath,
	};

	cv_link_for_each(fastpath->nl, search_link, &search);
}

/* ---- an earlier daemon's ------------------------------------------------------------------ */

/* An index may be given again: a new device must not inherit what one was that is gone. */
static bool may_exist(const void *key, void *data)
{
	struct cv_fastpath *fastpath = data;
	struct cv_link link;
	__u32 ifindex;

	memcpy(&ifindex, key, sizeof(ifindex));
	return cv_link_get_by_index(fastpath->nl, (int)ifindex, &link) != -ENODEV;
}

void cv_devices_take_up(struct cv_fastpath *fastpath)
{
	int map = fastpath->programs.map[CV_MAP_DEVICES];
	struct cv_fastpath_device *device;
	struct cv_fp_device entry;
	__u32 key, *previous = NULL, last;
	struct cv_link link;

	cv_sweep(map, sizeof(key), may_exist, fastpath);
	while (!bpf_map_get_next_key(map, previous, &key)) {
		last = key;
		previous = &last;
		if (bpf_map_lookup_elem(map, &key, &entry))
			continue;
		if (cv_link_get_by_index(fastpath->nl, (int)key, &link))
			continue;
		device = add_device(fastpath, (int)key);
		if (!device)
			return;
		memcpy(device->name, link.name, sizeof(device->name));
		device->made_clsact = entry.made_clsact;
		device->rp_filter = entry.rp_filter;
		device->kind = entry.kind;
		for (unsigned int i = 0; i < PLACES; i++) {
			struct cv_hook hook = hook_of((int)key, &places[i], fastpath->handle);

			/* Replace what stands there, and only that. */
			if ((places[i].kind & entry.kind) && cv_hook_attached(&hook))
				attach_one(fastpath, device, &places[i]);
		}
	}
}

/* ---- following the network ----------------------------------------------------------------- */

/* What a look at the network finds. */
struct look {
	struct cv_fastpath *fastpath;
	time_t now_s;
	bool verify; /* that every program is in its place: a question for each */
	bool changed;
};

static void see_link(struct cv_fastpath_device *device, const struct cv_link *link)
{
	memcpy(device->name, link->name, sizeof(device->name));
	device->mtu = link->mtu;
	device->up = (link->flags & IFF_UP) != 0;
	device->seen = true;
}

static int want_link(const struct cv_link *link, void *data)
{
	struct look *look = data;
	struct cv_fastpath *fastpath = look->fastpath;
	struct cv_fastpath_device *device = cv_devices_find(fastpath, link->index);
	uint32_t wanted = 0;

	if (cv_fastpath_find_tunnel(fastpath, link->index))
		wanted |= CV_FP_DEVICE_TUNNEL;
	if (cv_endpoints_have(fastpath, link->index))
		wanted |= CV_FP_DEVICE_ENDPOINT;
	if (link->type == ARPHRD_ETHER && (link->flags & IFF_UP) && !wanted &&
	    fastpath->tunnel_count)
		wanted |= CV_FP_DEVICE_UNDERLAY; /* if it has an address: drop_unaddressed */
	if (!device && !wanted)
		return 0;
	device = add_device(fastpath, link->index);
	if (!device)
		return -ENOMEM;
	see_link(device, link);
	device->wanted = wanted;
	if (!device->refused)
		device->problem[0] = '\0';
	return 0;
}

/* Marks the devices that have an address; the mark is a bit that no kind uses. */
enum {
	ADDRESSED = 1 << 16
};

static int mark_addressed(const struct cv_address *address, void *data)
{
	struct look *look = data;
	struct cv_fastpath_device *device = cv_devices_find(look->fastpath, address->ifindex);

	if (device && !cv_ipv4_is_loopback(address->address))
		device->wanted |= ADDRESSED;
	return 0;
}

static int mark_qdisc(const struct cv_qdisc *qdisc, void *data)
{
	struct look *look = data;
	struct cv_fastpath_device *device = cv_devices_find(look->fastpath, qdisc->ifindex);

	if (!device)
		return 0;
	if (!strcmp(qdisc->kind, "clsact"))
		device->has_clsact = true;
	/* It and clsact exclude each other. */
	if (!strcmp(qdisc->kind, "ingress")) {
		snprintf(device->problem, sizeof(device->problem),
			 "the device has a foreign qdisc (%s)", qdisc->kind);
		device->refused = 0; /* once it is gone, at once */
	}
	/* It shapes what the stack sends; endpoints.c judges whether that matters. */
	if (qdisc->parent == TC_H_ROOT && qdisc->handle)
		memcpy(device->shaper, qdisc->kind, sizeof(device->shaper));
	return 0;
}

/* net.ipv4.conf: the stricter of "all" and the device's own counts. */
static uint8_t read_rp_filter(const char *name)
{
	int all = cv_sysctl_read_ipv4("all", "rp_filter");
	int own = cv_sysctl_read_ipv4(name, "rp_filter");

	return (uint8_t)(own > all ? own : all > 0 ? all : 0);
}

/*
 * Would somebody's filters be passed by? Those behind ours, of what the endpoint sends; all, of
 * what is sent to it, as packets that go straight into its namespace meet none.
 */
static bool is_filtered(const struct cv_fastpath *fastpath, const struct cv_fastpath_device *device)
{
	const unsigned int last = PRIORITY + CV_PROGRAM_MAX;

	return cv_hook_has_others(fastpath->nl, device->ifindex, CV_HOOK_INGRESS, PRIORITY,
				  PRIORITY, last) ||
	       cv_hook_has_others(fastpath->nl, device->ifindex, CV_HOOK_EGRESS, 0, PRIORITY, last);
}

/* Something else is wanted now, or it was a while ago. */
static void retry(const struct look *look, struct cv_fastpath_device *device, uint32_t wanted)
{
	if (!device->refused ||
	    (device->refused == wanted && look->now_s - device->refused_s < VERIFY_PERIOD_S))
		return;
	device->refused = 0;
	device->problem[0] = '\0';
}

static void settle_device(struct look *look, struct cv_fastpath_device *device)
{
	struct cv_fastpath *fastpath = look->fastpath;
	uint32_t wanted = device->wanted & ~(uint32_t)ADDRESSED, programs, before = device->kind;
	uint8_t rp_filter;

	if (!(device->wanted & ADDRESSED))
		wanted &= ~(uint32_t)CV_FP_DEVICE_UNDERLAY;
	retry(look, device, wanted);
	if (device->problem[0])
		wanted = 0;
	device->wanted = wanted;
	rp_filter = wanted & CV_FP_DEVICE_UNDERLAY ? read_rp_filter(device->name) : 0;
	if (rp_filter != device->rp_filter) {
		device->rp_filter = rp_filter;
		write_entry(fastpath, device, device->kind);
		look->changed = true;
	}
	if (device->kind & ~wanted) {
		/* First: no flow may be bypassed one way only. */
		if (device->kind & ~wanted & CV_FP_DEVICE_ENDPOINT)
			cv_endpoints_suspend(fastpath, device->ifindex);
		detach_all(fastpath, device, device->kind & ~wanted);
	}
	programs = programs_of(fastpath, wanted);
	detach_others(fastpath, device, programs);
	/* Somebody may have removed the qdisc, with our programs, or these alone. */
	if ((programs & ~device->attached) || (wanted & ~device->kind) ||
	    (wanted && (look->verify || !device->has_clsact))) {
		attach_all(fastpath, device, wanted);
		device->filtered =
			(wanted & CV_FP_DEVICE_ENDPOINT) && is_filtered(fastpath, device);
	}
	if (device->kind != before)
		look->changed = true;
}

/* Devices that are gone, or of no interest any more. */
static void forget_devices(struct cv_fastpath *fastpath)
{
	size_t kept = 0;

	for (size_t i = 0; i < fastpath->device_count; i++) {
		struct cv_fastpath_device *device = &fastpath->devices[i];
		__u32 key = (__u32)device->ifindex;

		if (device->seen && (device->kind || device->made_clsact || device->problem[0])) {
			fastpath->devices[kept++] = *device;
			continue;
		}
		bpf_map_delete_elem(fastpath->programs.map[CV_MAP_DEVICES], &key);
	}
	fastpath->device_count = kept;
}

void cv_devices_refresh(struct cv_fastpath *fastpath)
{
	struct look look = {.fastpath = fastpath, .now_s = now_s()};

	look.verify = look.now_s - fastpath->verified >=
		      (fastpath->in_doubt ? DOUBT_PERIOD_S : VERIFY_PERIOD_S);
	for (size_t i = 0; i < fastpath->device_count; i++) {
		fastpath->devices[i].wanted = 0;
		fastpath->devices[i].seen = false;
		fastpath->devices[i].has_clsact = false;
		fastpath->devices[i].shaper[0] = '\0';
	}
	if (cv_link_for_each(fastpath->nl, want_link, &look) ||
	    cv_address_for_each(fastpath->nl, mark_addressed, &look) ||
	    cv_qdisc_for_each(fastpath->nl, mark_qdisc, &look)) {
		cv_fastpath_say(fastpath, LOG_ERR, "cannot look at the network's devices");
		return;
	}
	if (look.verify) {
		fastpath->verified = look.now_s;
		fastpath->in_doubt = false;
	}
	for (size_t i = 0; i < fastpath->device_count; i++) {
		if (fastpath->devices[i].seen)
			settle_device(&look, &fastpath->devices[i]);
	}
	forget_devices(fastpath);
	if (look.changed)
		cv_fastpath_bump(fastpath);
}

void cv_devices_add_tunnel(struct cv_fastpath *fastpath, int ifindex)
{
	struct cv_fastpath_device *device;
	struct cv_link link;

	if (cv_link_get_by_index(fastpath->nl, ifindex, &link))
		return;
	device = add_device(fastpath, ifindex);
	if (!device)
		return;
	see_link(device, &link);
	attach_all(fastpath, device, CV_FP_DEVICE_TUNNEL);
}

void cv_devices_release(struct cv_fastpath *fastpath, int ifindex, uint32_t kind)
{
	struct cv_fastpath_device *device = cv_devices_find(fastpath, ifindex);

	if (device && (device->kind & kind))
		detach_all(fastpath, device, device->kind & kind);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void detach(const struct cv_hook *hook, const struct place *place, void *data)
{
	(void)place;
	(void)data;
	cv_hook_detach(hook);
}

/* The keys of a map; the caller frees them. NULL and *ret_count 0: there are none, or no memory. */
static __u32 *list_keys(int map, size_t *ret_count)
{
	__u32 *keys = calloc(CV_FP_DEVICES_MAX, sizeof(*keys));
	__u32 *previous = NULL;
	size_t count = 0;

	while (keys && count < CV_FP_DEVICES_MAX &&
	       !bpf_map_get_next_key(map, previous, &keys[count]))
		previous = &keys[count++];
	*ret_count = count;
	return keys;
}

/*
 * Call cb for every entry of cv_devices. 0 or -errno. The keys are listed first: an entry that is
 * written again goes to the head of its bucket, and two in one bucket would follow each other for
 * ever.
 */
static int for_each_entry(const struct cv_pins *pins,
			  void (*cb)(int map, __u32 ifindex, struct cv_fp_device *entry,
				     void *data),
			  void *data)
{
	int map = cv_pins_get(pins, CV_FP_MAP_DEVICES);
	struct cv_fp_device entry;
	size_t count;
	__u32 *keys;

	if (map < 0)
		return map;
	keys = list_keys(map, &count);
	for (size_t i = 0; i < count; i++) {
		if (!bpf_map_lookup_elem(map, &keys[i], &entry))
			cb(map, keys[i], &entry, data);
	}
	free(keys);
	close(map);
	return 0;
}

static void note_detached(int map, __u32 ifindex, struct cv_fp_device *entry, void *data)
{
	(void)data;
	entry->kind = 0;
	bpf_map_update_elem(map, &ifindex, entry, BPF_EXIST);
}

unsigned int cv_devices_detach(struct cv_nl *nl, const struct cv_pins *pins, const char *run_dir)
{
	struct search search = {.handle = cv_pins_handle(run_dir), .found = detach};

	cv_link_for_each(nl, search_link, &search);
	for_each_entry(pins, note_detached, NULL);
	return search.count;
}

struct removal {
	struct cv_nl *nl;
	const struct cv_pins *pins;
};

static void remove_made(int map, __u32 ifindex, struct cv_fp_device *entry, void *data)
{
	const struct removal *removal = data;

	(void)map;
	if (entry->made_clsact)
		remove_clsact(removal->nl, removal->pins, ifindex);
}

int cv_devices_remove_qdiscs(struct cv_nl *nl, const struct cv_pins *pins)
{
	struct removal removal = {nl, pins};
	int err = for_each_entry(pins, remove_made, &removal);

	return err == -EPERM || err == -EACCES ? -EPERM : 0;
}
