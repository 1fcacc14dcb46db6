/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/bpf/wire_all.c is compiled twice, for eBPF and, here, for the host, and both run on the
 * same frames: parsing with all options, ECN, outer headers, fragment plans and headers, quotes and
 * relayed ICMP errors, TCP's announced segment sizes.
 */
#include "wire_programs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../bpf/wire_all.c"

/* The frame that the host's programs read. */
static const struct frame *host_frame;

static long skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 length)
{
	(void)skb;
	if (offset > host_frame->length || length > host_frame->length - offset)
		return -EFAULT;
	memcpy(to, host_frame->bytes + offset, length);
	return 0;
}

/* ---- packets ---- */

static void draw_outer(struct draw *draw, uint32_t number, struct spec *ret_spec)
{
	do {
		spec_draw(draw, number, ret_spec);
	} while (ret_spec->value[F_DIRECTION] != DIRECTION_IN);
	ret_spec->value[F_SPLIT] = 0;
	if (draw_below(draw, 4) == 0)
		ret_spec->value[F_OUTER_OPTIONS] = draw_below(draw, 11);
	if (draw_below(draw, 4) == 0)
		ret_spec->value[F_INNER_OPTIONS] = draw_below(draw, 11);
}

static void draw_inner(struct draw *draw, uint32_t number, struct spec *ret_spec)
{
	do {
		spec_draw(draw, number, ret_spec);
	} while (ret_spec->value[F_DIRECTION] != DIRECTION_OUT || ret_spec->value[F_GSO]);
	if (draw_below(draw, 4) == 0)
		ret_spec->value[F_DATA] = draw_below(draw, 6000);
}

/* An ICMP error that quotes an outer packet: "inner" is the error, its data the quote. */
static void draw_error(struct draw *draw, uint32_t number, struct spec *ret_spec)
{
	draw_inner(draw, number, ret_spec);
	ret_spec->value[F_INNER_OPTIONS] = 0;
	ret_spec->value[F_INNER_PROTOCOL] = CV_IPV4_PROTO_ICMP;
	ret_spec->value[F_ICMP_TYPE] =
		(const uint8_t[]){3, 3, 3, 11, 12, 5, 4}[draw_below(draw, 7)];
	ret_spec->value[F_DATA] = 20 + draw_below(draw, 93);
	ret_spec->value[F_CUT] = draw_below(draw, 6) ? 0 : 1 + draw_below(draw, 40);
}

/* Put the beginning of an outer packet where the error quotes one. */
static void put_quoted(struct draw *draw, struct frame *frame, const struct spec *error)
{
	static struct frame quoted[SPEC_FRAMES_MAX];
	uint8_t *icmp = frame->bytes + SPEC_ETHERNET + CV_IPV4_HEADER_MIN;
	uint32_t room = (uint32_t)error->value[F_DATA];
	struct spec outer;
	__be16 check;

	draw_outer(draw, 1, &outer);
	if (draw_below(draw, 3)) {
		outer.value[F_OUTER_OPTIONS] = outer.value[F_OUTER_LENGTH] = 0;
		outer.value[F_TRAIL] = outer.value[F_CUT] = 0;
	}
	spec_build(&outer, quoted);
	memset(icmp + 8, 0, room);
	memcpy(icmp + 8, quoted[0].bytes + SPEC_ETHERNET,
	       room < quoted[0].length - SPEC_ETHERNET ? room : quoted[0].length - SPEC_ETHERNET);
	icmp[1] = (uint8_t)draw_below(draw, 16);
	icmp[4] = (uint8_t)draw_below(draw, 64);
	icmp[6] = (uint8_t)draw_below(draw, 7);
	icmp[7] = (uint8_t)draw_below(draw, 256);
	memset(icmp + 2, 0, 2);
	check = cv_checksum_fold(cv_checksum_add(icmp, 8 + room, 0));
	memcpy(icmp + 2, &check, sizeof(check));
	icmp[3] ^= error->value[F_L4_CHECKSUM] & 1;
}

/* TCP with options of any kind. */
static void draw_syn(struct draw *draw, uint32_t number, struct spec *ret_spec)
{
	draw_inner(draw, number, ret_spec);
	ret_spec->value[F_INNER_OPTIONS] = 0;
	ret_spec->value[F_INNER_PROTOCOL] = CV_IPV4_PROTO_TCP;
	ret_spec->value[F_TCP_FLAGS] = draw_below(draw, 8) ? 0x02 : 0x10;
	ret_spec->value[F_MSS] = 1 + draw_below(draw, 65535);
	ret_spec->value[F_MSS_AFTER] = draw_below(draw, 37);
}

/* Odd options in front of the one, at any rate in what is no longer a right checksum. */
static void put_options(struct draw *draw, struct frame *frame, const struct spec *syn)
{
	static const uint8_t kinds[] = {0, 1, 1, 2, 2, 3, 8, 254};
	uint8_t *options = frame->bytes + SPEC_ETHERNET + CV_IPV4_HEADER_MIN + CV_TCP_OPTIONS;
	uint32_t after = (uint32_t)syn->value[F_MSS_AFTER], at = 0;

	while (at < after && draw_below(draw, 4)) {
		options[at] = kinds[draw_below(draw, sizeof(kinds))];
		if (options[at] > 1 && at + 1 < after)
			options[++at] = (uint8_t)draw_below(draw, draw_below(draw, 8) ? 12 : 256);
		at += 1 + draw_below(draw, 6);
	}
	if (draw_below(draw, 16) == 0)
		options[-8] = (uint8_t)draw_below(draw, 256); /* the header's length */
}

/* ---- running ---- */

static const struct part {
	const char *program;
	int (*host)(struct __sk_buff *skb);
	void (*draw)(struct draw *draw, uint32_t number, struct spec *ret_spec);
	/* What is put into a packet besides, NULL: nothing. */
	void (*put)(struct draw *draw, struct frame *frame, const struct spec *spec);
} parts[] = {
	{"wire_decapsulate", wire_decapsulate, draw_outer, NULL},
	{"wire_encapsulate", wire_encapsulate, draw_inner, NULL},
	{"wire_fragment", wire_fragment, draw_inner, NULL},
	{"wire_icmp", wire_icmp, draw_error, put_quoted},
	{"wire_mss", wire_mss, draw_syn, put_options},
};

/* ret_compared: false when the kernel did not take the frame, which nobody is to blame for. */
static bool agree(int fd, const struct part *part, const struct frame *frame,
		  struct __sk_buff *context, bool *ret_compared)
{
	struct __sk_buff ours = *context, theirs = *context;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
		    .data_size_in = frame->length, .ctx_in = context,
		    .ctx_size_in = sizeof(*context), .ctx_out = &theirs,
		    .ctx_size_out = sizeof(theirs));
	uint32_t verdict;

	*ret_compared = false;
	/* What the kernel does not take (no more than a link-layer header) the host need not,
	 * either. */
	if (bpf_prog_test_run_opts(fd, &options)) {
		if (errno == EINVAL)
			return true;
		printf("# %s: BPF_PROG_TEST_RUN: %s\n", part->program, strerror(errno));
		return false;
	}
	*ret_compared = true;
	host_frame = frame;
	ours.len = frame->length;
	verdict = (uint32_t)part->host(&ours);
	if (verdict == options.retval && !memcmp(ours.cb, theirs.cb, sizeof(ours.cb)))
		return true;
	printf("# %s: host %#x, eBPF %#x, of %u bytes\n", part->program, verdict, options.retval,
	       frame->length);
	return false;
}

static void run_part(struct run *run, int fd, const struct part *part, unsigned int count)
{
	static struct frame frames[SPEC_FRAMES_MAX];
	struct draw draw = {.state = run->seed * 2 + 1};
	struct __sk_buff context;
	unsigned int failed = 0, compared = 0;
	struct spec spec;
	bool is_compared;
	char name[128];

	for (unsigned int i = 0; i < count && failed < 5; i++) {
		part->draw(&draw, i, &spec);
		spec_build(&spec, frames);
		if (part->put)
			part->put(&draw, frames, &spec);
		memset(&context, 0, sizeof(context));
		context.cb[0] = 68 + draw_below(&draw, draw_below(&draw, 2) ? 100 : 1500);
		context.cb[1] = 1 + draw_below(&draw, 3);
		if (agree(fd, part, frames, &context, &is_compared)) {
			compared += is_compared;
			continue;
		}
		failed++;
		printf("#   ");
		spec_print(stdout, &spec);
		putchar('\n');
	}
	snprintf(name, sizeof(name), "%s: eBPF computes what the host does for %u of %u packets",
		 part->program, compared, count);
	/* That few are compared would be as bad. */
	assert_that(run, !failed && compared > count / 2, name);
}

/* What the verifiers of the guests' kernels refuse: seen, and no more than that. */
static bool is_refused_there(const char *program)
{
	static const char *const refused[][2] = {
		{"6.1", "wire_decapsulate"},
		{"6.1", "wire_icmp"},
		{"6.12", "wire_icmp"},
	};
	const char *kernel = getenv("GUEST_KERNEL");

	for (size_t i = 0; kernel && i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (!strcmp(refused[i][0], kernel) && !strcmp(refused[i][1], program))
			return true;
	}
	return false;
}

/* One program, loaded by itself: old kernels' verifiers refuse some. */
static void run_program(struct run *run, const struct part *part, unsigned int count,
			const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	char name[128];
	int rc = -ENOENT;

	if (!object) {
		assert_that(run, false, "the object of the packet formats can be read");
		return;
	}
	bpf_object__for_each_program(program, object)
	{
		bpf_program__set_type(program, BPF_PROG_TYPE_SCHED_CLS);
		bpf_program__set_autoload(program,
					  !strcmp(bpf_program__name(program), part->program));
	}
	program = bpf_object__find_program_by_name(object, part->program);
	if (program)
		rc = bpf_object__load(object);
	if (!rc) {
		run_part(run, bpf_program__fd(program), part, count);
	} else if (is_refused_there(part->program)) {
		snprintf(name, sizeof(name), "%s # SKIP the verifier of this kernel refuses it",
			 part->program);
		assert_that(run, true, name);
	} else {
		snprintf(name, sizeof(name), "%s can be loaded: %s", part->program, strerror(-rc));
		assert_that(run, false, name);
	}
	bpf_object__close(object);
}

/* What the fast path itself loads is core.c's; these are all formats, each in a program. */
void wire_random(struct run *run, unsigned int count, const char *path)
{
	for (unsigned int i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		run_program(run, &parts[i], count, path);
}
