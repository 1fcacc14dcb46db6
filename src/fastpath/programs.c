/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading.
 *
 * A map's name ends in the number of its layout. A map that is pinned under the very name, with
 * the very sizes, is used as it is, while the programs of the daemon before still use it, too.
 * One of another number (an older daemon's, or after a rollback a newer one's) is copied: values
 * grow at their ends alone, so the common beginning is what both know.
 */
#include "fastpath/programs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "fastpath/image.h"
#include "fastpath/migrate.h"

static const char *const program_names[CV_PROGRAM_MAX] = {
	[CV_PROGRAM_TUNNEL_OUT] = "cv_tunnel_out",
	[CV_PROGRAM_UNDERLAY_IN] = "cv_underlay_in",
	[CV_PROGRAM_ENDPOINT_IN] = "cv_endpoint_in",
	[CV_PROGRAM_ENDPOINT_OUT] = "cv_endpoint_out",
	[CV_PROGRAM_TUNNEL_IN] = "cv_tunnel_in",
	[CV_PROGRAM_HAND_OVER] = "cv_hand_over",
	[CV_PROGRAM_LOOK] = "cv_look",
	[CV_PROGRAM_STAMP] = "cv_stamp",
};

static const char *const map_names[CV_MAP_MAX] = {
	[CV_MAP_CONFIG] = CV_FP_MAP_CONFIG,
	[CV_MAP_TUNNELS] = CV_FP_MAP_TUNNELS,
	[CV_MAP_PAIRS] = CV_FP_MAP_PAIRS,
	[CV_MAP_ADDRESSES] = CV_FP_MAP_ADDRESSES,
	[CV_MAP_DEVICES] = CV_FP_MAP_DEVICES,
	[CV_MAP_ENDPOINTS] = CV_FP_MAP_ENDPOINTS,
	[CV_MAP_REMOTES] = CV_FP_MAP_REMOTES,
	[CV_MAP_COUNTERS] = CV_FP_MAP_COUNTERS,
	[CV_MAP_IDS] = CV_FP_MAP_IDS,
	[CV_MAP_WAYS] = CV_FP_MAP_WAYS,
	[CV_MAP_PERMITS] = CV_FP_MAP_PERMITS,
	[CV_MAP_WORDS] = CV_FP_MAP_WORDS,
	[CV_MAP_ARRIVALS] = CV_FP_MAP_ARRIVALS,
	[CV_MAP_FLOWS] = CV_FP_MAP_FLOWS,
	[CV_MAP_FRAGMENTS] = CV_FP_MAP_FRAGMENTS,
	[CV_MAP_PEERS] = CV_FP_MAP_PEERS,
	[CV_MAP_TRAFFIC] = CV_FP_MAP_TRAFFIC,
	[CV_MAP_ACTIVITY] = CV_FP_MAP_ACTIVITY,
	[CV_MAP_ENGINE] = CV_FP_MAP_ENGINE,
	[CV_MAP_CAPTURE] = CV_FP_MAP_CAPTURE,
};

/* Maps that live as long as the daemon alone. */
static bool is_pinned(enum cv_map map)
{
	return map != CV_MAP_ENGINE && map != CV_MAP_CAPTURE;
}

/* Of libbpf's complaints the first says why loading failed; the others follow from it. */
static __thread char first_words[256];

static int listen_to_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_WARN || *first_words)
		return 0;
	vsnprintf(first_words, sizeof(first_words), format, args);
	first_words[strcspn(first_words, "\n")] = '\0';
	return 0;
}

void cv_programs_listen(void)
{
	*first_words = '\0';
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	libbpf_set_print(listen_to_libbpf);
}

static int complain(int err, const char *what, char *why, size_t size)
{
	/* They begin with "libbpf: ". */
	snprintf(why, size, "%s: %s%s%s", what, strerror(-err), *first_words ? "; " : "",
		 first_words);
	return err;
}

/* Why an image could not be loaded. */
static int refuse(int err, char *why, size_t size)
{
	static const char what[] = "the kernel refuses the eBPF programs";

	if (err == -EPERM)
		snprintf(why, size,
			 "%s: %s; it takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, or root", what,
			 strerror(-err));
	else if (err == -EACCES) /* of the verifier, which allows less without it */
		snprintf(why, size, "%s: %s, or CAP_PERFMON is missing%s%s", what, strerror(-err),
			 *first_words ? "; " : "", first_words);
	else
		complain(err, what, why, size);
	return err;
}

/* ---- what the kernel has ------------------------------------------------------------- */

/* Flags that bpf_fib_lookup() takes; it answers -EINVAL to others before it looks at anything. */
enum {
	FIB_SKIP_NEIGH = 1 << 2,
	FIB_SOURCE = 1 << 4,
};

/*
 * A program: r0 = bpf_fib_lookup(ctx, parameters that are all but zero, their size, flags);
 * return r0 + 4096, so that -EINVAL is a number of its own.
 */
static bool takes_fib_flag(int flag)
{
	enum {
		SIZE = 64,
		OFFSET = 4096
	};
	const struct bpf_insn code[] = {
		{.code = 0xb7, .dst_reg = 6},				 /* r6 = 0 */
		{.code = 0x7b, .dst_reg = 10, .src_reg = 6, .off = -64}, /* *(r10-64) */
		{.code = 0x7b, .dst_reg = 10, .src_reg = 6, .off = -56},
		{.code = 0x7b, .dst_reg = 10, .src_reg = 6, .off = -48},
		{.code = 0x7b, .dst_reg = 10, .src_reg = 6, .off = -40},
		{.code = 0x7b, .dst_reg = 10, .src_reg = 6, .off = -32},
		{.code = 0x7b, .dst_reg = 10, .src_reg = 6, .off = -24},
		{.code = 0x7b, .dst_reg = 10, .src_reg = 6, .off = -16},
		{.code = 0x7b, .dst_reg = 10, .src_reg = 6, .off = -8},
		{.code = 0x72, .dst_reg = 10, .off = -64, .imm = 2}, /* AF_INET */
		{.code = 0x62, .dst_reg = 10, .off = -56, .imm = 1}, /* ifindex */
		{.code = 0xbf, .dst_reg = 2, .src_reg = 10},	     /* r2 = r10 */
		{.code = 0x07, .dst_reg = 2, .imm = -64},	     /* r2 -= 64 */
		{.code = 0xb7, .dst_reg = 3, .imm = SIZE},	     /* r3 = size */
		{.code = 0xb7, .dst_reg = 4, .imm = flag},	     /* r4 = flags */
		{.code = 0x85, .imm = BPF_FUNC_fib_lookup},	     /* call */
		{.code = 0x07, .dst_reg = 0, .imm = OFFSET},	     /* r0 += … */
		{.code = 0x95},					     /* exit */
	};
	unsigned char packet[64] = {[12] = 8, [14] = 0x45};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet));
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "cv_probe", "GPL", code,
			       sizeof(code) / sizeof(code[0]), NULL);
	bool takes;

	if (fd < 0)
		return false;
	takes = !bpf_prog_test_run_opts(fd, &run) && (int)run.retval - OFFSET != -EINVAL;
	close(fd);
	return takes;
}

static int set_features(struct bpf_object *object, const struct cv_fp_features *features)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, CV_FP_FEATURES_SECTION);

	if (!map || bpf_map__value_size(map) != sizeof(*features))
		return -EINVAL;
	return bpf_map__set_initial_value(map, features, sizeof(*features));
}

/* ---- opening, loading ----------------------------------------------------------------- */

/* Use the pinned map if there is one that fits. */
static void take_up(struct bpf_map *map, const struct cv_pins *pins)
{
	struct bpf_map_info info = {0};
	__u32 length = sizeof(info);
	int fd = cv_pins_get(pins, bpf_map__name(map));

	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &length) && info.type == bpf_map__type(map) &&
	    info.key_size == bpf_map__key_size(map) &&
	    info.value_size == bpf_map__value_size(map) &&
	    info.max_entries == bpf_map__max_entries(map))
		bpf_map__reuse_fd(map, fd);
	close(fd);
}

static int prepare(struct cv_programs *programs, const struct cv_pins *pins,
		   const struct cv_fp_features *features, char *why, size_t size)
{
	int err = set_features(programs->object, features);

	if (err)
		return complain(err, "the eBPF image has no features", why, size);
	for (unsigned int i = 0; i < CV_MAP_MAX; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(programs->object, map_names[i]);

		if (!map)
			return complain(-ENOENT, map_names[i], why, size);
		if (is_pinned(i))
			take_up(map, pins);
	}
	return 0;
}

static int find_descriptors(struct cv_programs *programs, char *why, size_t size)
{
	for (unsigned int i = 0; i < CV_MAP_MAX; i++)
		programs->map[i] = bpf_object__find_map_fd_by_name(programs->object, map_names[i]);
	for (unsigned int i = 0; i < CV_PROGRAM_MAX; i++) {
		const struct bpf_program *program =
			bpf_object__find_program_by_name(programs->object, program_names[i]);

		programs->program[i] = program ? bpf_program__fd(program) : -1;
		if (programs->program[i] < 0)
			return complain(-ENOENT, program_names[i], why, size);
	}
	return 0;
}

/* Is a map of this name pinned or kept, and is it ours? */
enum pinned {
	PINNED_NOT,
	PINNED_OURS,
	PINNED_OTHER, /* of other sizes */
};

static enum pinned look_at_pin(const struct cv_programs *programs, const struct cv_pins *pins,
			       enum cv_map map)
{
	int fd = cv_pins_get(pins, map_names[map]);
	bool same;

	if (fd < 0)
		return PINNED_NOT;
	same = cv_migrate_is_same(fd, programs->map[map]);
	close(fd);
	return same ? PINNED_OURS : PINNED_OTHER;
}

/* Complete before it is pinned: who finds the pin need not look any further. */
static int pin_map(const struct cv_programs *programs, struct cv_pins *pins, enum cv_map map)
{
	enum pinned pinned = look_at_pin(programs, pins, map);
	int err = 0;

	if (pinned == PINNED_OTHER)
		err = cv_migrate_put_aside(pins, map_names[map]);
	if (err)
		return err;
	cv_migrate(pins, map_names[map], programs->map[map],
		   pinned == PINNED_OURS ? CV_MIGRATE_MERGE : CV_MIGRATE_NEW);
	return cv_pins_put(pins, map_names[map], programs->map[map]);
}

static void pin_all(const struct cv_programs *programs, struct cv_pins *pins, char *why,
		    size_t size)
{
	int err = 0;

	cv_programs_listen();
	for (unsigned int i = 0; i < CV_MAP_MAX && !err; i++) {
		if (is_pinned(i))
			err = pin_map(programs, pins, i);
	}
	for (unsigned int i = 0; i < CV_PROGRAM_MAX && !err; i++)
		err = cv_pins_put(pins, program_names[i], programs->program[i]);
	if (!err)
		return;
	complain(err, "cannot pin the eBPF maps and programs", why, size);
	/* A part of them would mislead the next start. */
	cv_pins_purge(pins);
}

/* Load one of the images. */
static int load(struct cv_programs *programs, const struct cv_pins *pins,
		const struct cv_image *image, const struct cv_fp_features *features, char *why,
		size_t size)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "culvert");
	int err;

	programs->object = bpf_object__open_mem(image->bytes, image->size, &options);
	if (!programs->object)
		return complain(-errno, "cannot read the eBPF programs", why, size);
	err = prepare(programs, pins, features, why, size);
	if (err)
		return err;
	err = bpf_object__load(programs->object);
	return err ? refuse(err, why, size) : 0;
}

/* The image that can most of those that the kernel takes; why: what it says of the last one. */
static int load_best(struct cv_programs *programs, const struct cv_pins *pins, char *why,
		     size_t size)
{
	const struct cv_fp_features features = {
		.skip_neigh = takes_fib_flag(FIB_SKIP_NEIGH),
		.source = takes_fib_flag(FIB_SOURCE),
	};
	int err = -ENOENT;

	for (unsigned int i = 0; i < CV_IMAGES && err; i++) {
		const struct cv_image *image = cv_image_get(i);

		cv_programs_fini(programs);
		*why = '\0';
		cv_programs_listen();
		err = load(programs, pins, image, &features, why, size);
		programs->asks_conntrack = image->conntrack;
		/* Nothing of this is in the image: the next one would fare alike. */
		if (err == -EPERM || err == -ENOMEM)
			break;
	}
	return err;
}

int cv_programs_init(struct cv_programs *programs, struct cv_pins *pins, char *why, size_t size)
{
	int err;

	memset(programs, 0, sizeof(*programs));
	err = load_best(programs, pins, why, size);
	if (!err)
		err = find_descriptors(programs, why, size);
	if (err)
		cv_programs_fini(programs);
	else
		pin_all(programs, pins, why, size);
	return err;
}

void cv_programs_fini(struct cv_programs *programs)
{
	if (programs->object)
		bpf_object__close(programs->object);
	programs->object = NULL;
}

/* ---- afterwards -------------------------------------------------------------------------- */

void cv_programs_settle(const struct cv_programs *programs, struct cv_pins *pins)
{
	for (unsigned int i = 0; i < CV_MAP_MAX; i++) {
		if (!is_pinned(i))
			continue;
		cv_migrate(pins, map_names[i], programs->map[i], CV_MIGRATE_REST);
		cv_migrate_forget(pins, map_names[i]);
	}
	cv_pins_let_go(pins);
}

static int run(int program, struct __sk_buff *context)
{
	unsigned char packet[64] = {[12] = 8, [14] = 0x45};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet),
		    .ctx_in = context, .ctx_size_in = sizeof(*context), .ctx_out = context,
		    .ctx_size_out = sizeof(*context));

	return bpf_prog_test_run_opts(program, &options) ? -errno : 0;
}

int cv_programs_look(const struct cv_programs *programs, int ifindex, uint64_t *ret_namespace,
		     uint64_t *ret_device)
{
	struct __sk_buff context = {.ifindex = ifindex > 0 ? (__u32)ifindex : 1};
	int err = run(programs->program[CV_PROGRAM_LOOK], &context);

	if (err)
		return err;
	*ret_namespace = context.cb[CV_LOOK_NAMESPACE] | (uint64_t)context.cb[CV_LOOK_NAMESPACE + 1]
								 << 32;
	*ret_device = context.cb[CV_LOOK_DEVICE] | (uint64_t)context.cb[CV_LOOK_DEVICE + 1] << 32;
	return 0;
}

int cv_programs_stamp(const struct cv_programs *programs, struct cv_fp_stamp *ret_stamp)
{
	struct __sk_buff context = {.ifindex = 1};
	int err = run(programs->program[CV_PROGRAM_STAMP], &context);

	if (err)
		return err;
	ret_stamp->genid = context.mark;
	ret_stamp->generation = context.priority;
	return 0;
}

int cv_programs_tables(const struct cv_programs *programs, uint32_t *ret_tables,
		       uint32_t *ret_genid)
{
	struct __sk_buff context = {.ifindex = 1};
	int err = run(programs->program[CV_PROGRAM_STAMP], &context);

	if (err)
		return err;
	if (!context.cb[CV_STAMP_HAS_TABLES])
		return -EOPNOTSUPP;
	*ret_tables = context.cb[CV_STAMP_TABLES];
	*ret_genid = context.cb[CV_STAMP_GENID];
	return 0;
}

int cv_programs_engine_runs(const struct cv_programs *programs)
{
	__u32 zero = 0;

	if (bpf_map_update_elem(programs->map[CV_MAP_ENGINE], &zero,
				&programs->program[CV_PROGRAM_HAND_OVER], BPF_ANY))
		return -errno;
	return 0;
}
