/* SPDX-License-Identifier: Apache-2.0 */
/* Entries from one map to another. */
#include "fastpath/migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static bool get_info(int fd, struct bpf_map_info *ret_info)
{
	__u32 length = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	return !bpf_obj_get_info_by_fd(fd, ret_info, &length);
}

bool cv_migrate_is_same(int fd, int other)
{
	struct bpf_map_info a, b;

	return get_info(fd, &a) && get_info(other, &b) && a.id == b.id;
}

/* The length of a name without its number; 0: it has none. */
static size_t base_length(const char *name)
{
	const char *end = strrchr(name, '_');

	if (!end || !end[1] || end[1 + strspn(end + 1, "0123456789")])
		return 0;
	return (size_t)(end - name) + 1;
}

/* The same map, in another layout. */
static bool is_kin(const char *name, const char *other)
{
	size_t length = base_length(name);

	return length && length == base_length(other) && !strncmp(name, other, length) &&
	       strcmp(name, other) != 0;
}

static bool is_per_cpu(const struct bpf_map_info *info)
{
	return info->type == BPF_MAP_TYPE_PERCPU_ARRAY || info->type == BPF_MAP_TYPE_PERCPU_HASH;
}

/* Values of a per-CPU map come and go for all CPUs at once, each padded to 8 bytes. */
static size_t stride(const struct bpf_map_info *info)
{
	return is_per_cpu(info) ? (info->value_size + 7U) & ~7U : info->value_size;
}

static unsigned int copies(const struct bpf_map_info *info)
{
	int cpus = is_per_cpu(info) ? libbpf_num_possible_cpus() : 1;

	return cpus > 0 ? (unsigned int)cpus : 1;
}

struct transfer {
	int from, to;
	struct bpf_map_info from_info, to_info;
	unsigned char *key, *next, *old_value, *new_value;
	unsigned int count;
	enum cv_migrate what;
};

static bool is_array(const struct bpf_map_info *info)
{
	return info->type == BPF_MAP_TYPE_ARRAY || info->type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

/* Counters are 64 bits wide. What programs count between our two system calls is lost. */
static void add_entry(struct transfer *t)
{
	size_t old_stride = stride(&t->from_info), new_stride = stride(&t->to_info);
	size_t words = (old_stride < new_stride ? old_stride : new_stride) / sizeof(__u64);
	bool is_zero = true;

	if (bpf_map_lookup_elem(t->from, t->next, t->old_value))
		return;
	for (size_t i = 0; i < old_stride * copies(&t->from_info) && is_zero; i++)
		is_zero = !t->old_value[i];
	if (is_zero || bpf_map_lookup_elem(t->to, t->next, t->new_value))
		return;
	for (unsigned int i = 0; i < copies(&t->to_info); i++) {
		const __u64 *from = (const void *)(t->old_value + i * old_stride);
		__u64 *to = (void *)(t->new_value + i * new_stride);

		for (size_t j = 0; j < words; j++)
			to[j] += from[j];
	}
	if (!bpf_map_update_elem(t->to, t->next, t->new_value, BPF_EXIST))
		t->count++;
}

static void copy_entry(struct transfer *t)
{
	size_t old_stride = stride(&t->from_info), new_stride = stride(&t->to_info);
	size_t common = t->from_info.value_size < t->to_info.value_size ? t->from_info.value_size
									: t->to_info.value_size;

	if (bpf_map_lookup_elem(t->from, t->next, t->old_value))
		return;
	memset(t->new_value, 0, new_stride * copies(&t->to_info));
	for (unsigned int i = 0; i < copies(&t->to_info); i++)
		memcpy(t->new_value + i * new_stride, t->old_value + i * old_stride, common);
	if (!bpf_map_update_elem(t->to, t->next, t->new_value,
				 is_array(&t->to_info) ? BPF_ANY : BPF_NOEXIST))
		t->count++;
}

/* What becomes of each entry; NULL: nothing. */
static void (*entry_mover(const struct transfer *t))(struct transfer *)
{
	if (is_per_cpu(&t->to_info))
		return t->what == CV_MIGRATE_REST ? add_entry : NULL;
	/* Of an array every entry is there from the beginning. */
	if (is_array(&t->to_info) && t->what != CV_MIGRATE_NEW)
		return NULL;
	return copy_entry;
}

static void move_all(struct transfer *t)
{
	void (*move)(struct transfer *) = entry_mover(t);
	unsigned char *previous = NULL;

	if (!move)
		return;
	t->key = calloc(1, t->from_info.key_size);
	t->next = calloc(1, t->from_info.key_size);
	t->old_value = calloc(copies(&t->from_info), stride(&t->from_info));
	t->new_value = calloc(copies(&t->to_info), stride(&t->to_info));
	/* The bound is for maps that change while they are read. */
	for (unsigned int i = 0;
	     t->key && t->next && t->old_value && t->new_value &&
	     i < 2 * t->from_info.max_entries && !bpf_map_get_next_key(t->from, previous, t->next);
	     i++) {
		move(t);
		memcpy(t->key, t->next, t->from_info.key_size);
		previous = t->key;
	}
	free(t->key);
	free(t->next);
	free(t->old_value);
	free(t->new_value);
}

struct search {
	const struct cv_pins *pins;
	const char *name;
	struct transfer transfer;
};

static int visit(const char *name, void *data)
{
	struct search *search = data;
	struct transfer *t = &search->transfer;

	if (!is_kin(search->name, name))
		return 0;
	t->from = cv_pins_get(search->pins, name);
	if (t->from < 0)
		return 0;
	if (get_info(t->from, &t->from_info) && t->from_info.id != t->to_info.id &&
	    t->from_info.key_size == t->to_info.key_size &&
	    is_per_cpu(&t->from_info) == is_per_cpu(&t->to_info))
		move_all(t);
	close(t->from);
	return 0;
}

unsigned int cv_migrate(const struct cv_pins *pins, const char *name, int map, enum cv_migrate what)
{
	struct search search = {
		.pins = pins,
		.name = name,
		.transfer = {.to = map, .what = what},
	};

	if (!get_info(map, &search.transfer.to_info))
		return 0;
	cv_pins_for_each(pins, visit, &search);
	return search.transfer.count;
}

int cv_migrate_put_aside(struct cv_pins *pins, const char *name)
{
	char other[CV_PINS_NAME_MAX + 1];

	snprintf(other, sizeof(other), "%.*s0", (int)base_length(name), name);
	return cv_pins_rename(pins, name, other);
}

static int forget(const char *name, void *data)
{
	const struct search *search = data;

	if (is_kin(search->name, name))
		cv_pins_remove(search->pins, name);
	return 0;
}

void cv_migrate_forget(const struct cv_pins *pins, const char *name)
{
	struct search search = {.pins = pins, .name = name};

	cv_pins_for_each(pins, forget, &search);
}
