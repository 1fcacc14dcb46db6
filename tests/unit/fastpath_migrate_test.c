/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries from one layout of a map to another: real maps, kept as cv_pins keeps what it finds
 * without pins (so that the machine's BPF file system stays as it is), and pinned where there is
 * one. Skipped where eBPF is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "fastpath/migrate.h"
#include "fastpath/pins.h"

enum {
	ENTRIES = 8
};

static int make(enum bpf_map_type type, const char *name, unsigned int value_size,
		unsigned int entries)
{
	int fd = bpf_map_create(type, name, sizeof(uint32_t), value_size, entries, NULL);

	assert_true(fd >= 0);
	return fd;
}

static void put(int map, uint32_t key, const void *value)
{
	assert_int_equal(bpf_map_update_elem(map, &key, value, BPF_ANY), 0);
}

static bool get(int map, uint32_t key, void *value)
{
	return !bpf_map_lookup_elem(map, &key, value);
}

static int set_up(void **state)
{
	static struct cv_pins pins;

	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	cv_pins_init(&pins);
	*state = &pins;
	return 0;
}

/* The pins of a test that failed in its middle, too; purged or closed, there are none. */
static int tear_down(void **state)
{
	struct cv_pins *pins = *state;

	if (pins->dir >= 0)
		cv_pins_purge(pins);
	cv_pins_close(pins);
	return 0;
}

static void need_ebpf(void)
{
	if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_HASH, NULL) != 1)
		skip();
}

/* Tables: new ones get everything, the common part of each value, the rest zero. */
static void test_grows(void **state)
{
	uint64_t old[2] = {1, 2}, grown[3];
	int from, to;

	need_ebpf();
	from = make(BPF_MAP_TYPE_LRU_HASH, "cv_t_1", sizeof(old), ENTRIES);
	to = make(BPF_MAP_TYPE_LRU_HASH, "cv_t_2", sizeof(grown), ENTRIES);
	put(from, 7, old);
	cv_pins_keep(*state, "cv_t_1", from);
	memset(grown, 0xff, sizeof(grown));
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_NEW), 1);
	assert_true(get(to, 7, grown));
	assert_int_equal(grown[0], 1);
	assert_int_equal(grown[1], 2);
	assert_int_equal(grown[2], 0);
	close(to);
}

static void test_shrinks(void **state)
{
	uint64_t old[3] = {1, 2, 3}, shrunk[2];
	int from, to;

	need_ebpf();
	from = make(BPF_MAP_TYPE_HASH, "cv_t_2", sizeof(old), ENTRIES);
	to = make(BPF_MAP_TYPE_HASH, "cv_t_1", sizeof(shrunk), 4);
	for (uint32_t i = 0; i < ENTRIES; i++)
		put(from, i, old);
	cv_pins_keep(*state, "cv_t_2", from);
	/* As many as there is room for. */
	assert_int_equal(cv_migrate(*state, "cv_t_1", to, CV_MIGRATE_NEW), 4);
	close(to);
}

/* What the new programs have written is newer than anything else. */
static void test_overwrites_nothing(void **state)
{
	uint64_t before = 1, after = 2, value;
	int from, to;

	need_ebpf();
	from = make(BPF_MAP_TYPE_LRU_HASH, "cv_t_1", sizeof(value), ENTRIES);
	to = make(BPF_MAP_TYPE_LRU_HASH, "cv_t_2", sizeof(value), ENTRIES);
	cv_pins_keep(*state, "cv_t_1", from);
	put(from, 1, &before);
	put(to, 1, &after);
	put(from, 2, &before);
	for (enum cv_migrate what = CV_MIGRATE_NEW; what <= CV_MIGRATE_REST; what++) {
		uint32_t key = 2;

		assert_int_equal(cv_migrate(*state, "cv_t_2", to, what), 1);
		assert_true(get(to, 1, &value) && value == after);
		assert_true(get(to, 2, &value) && value == before);
		bpf_map_delete_elem(to, &key);
	}
	close(to);
}

/* Of an array every entry is there: it is copied while it is new, and never again. */
static void test_arrays(void **state)
{
	uint64_t old = 5, value = 9;
	int from, to;

	need_ebpf();
	from = make(BPF_MAP_TYPE_ARRAY, "cv_t_1", sizeof(value), 2);
	to = make(BPF_MAP_TYPE_ARRAY, "cv_t_2", sizeof(value), 2);
	cv_pins_keep(*state, "cv_t_1", from);
	put(from, 1, &old);
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_NEW), 2);
	assert_true(get(to, 1, &value) && value == 5);
	old = 6;
	put(from, 1, &old);
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_MERGE), 0);
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_REST), 0);
	assert_true(get(to, 1, &value) && value == 5);
	close(to);
}

/* Counters are added, of each CPU, once the old ones stand still. */
static void test_counters(void **state)
{
	unsigned int cpus = (unsigned int)libbpf_num_possible_cpus();
	uint64_t *old = calloc(cpus, 2 * sizeof(*old)), *sum = calloc(cpus, 3 * sizeof(*sum));
	int from, to;

	need_ebpf();
	assert_true(old && sum);
	from = make(BPF_MAP_TYPE_PERCPU_ARRAY, "cv_t_1", 2 * sizeof(*old), 2);
	to = make(BPF_MAP_TYPE_PERCPU_ARRAY, "cv_t_2", 3 * sizeof(*sum), 2);
	cv_pins_keep(*state, "cv_t_1", from);
	for (unsigned int i = 0; i < cpus; i++) {
		old[2 * i] = 100 + i;
		old[2 * i + 1] = 200 + i;
		sum[3 * i] = 1;
		sum[3 * i + 2] = 3;
	}
	put(from, 1, old);
	put(to, 1, sum);
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_NEW), 0);
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_MERGE), 0);
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_REST), 1);
	assert_true(get(to, 1, sum));
	for (unsigned int i = 0; i < cpus; i++) {
		assert_int_equal(sum[3 * i], 101 + i);
		assert_int_equal(sum[3 * i + 1], 200 + i);
		assert_int_equal(sum[3 * i + 2], 3);
	}
	free(old);
	free(sum);
	close(to);
}

/* Names: another number is another layout, everything else is another map. */
static void test_names(void **state)
{
	static const char *const others[] = {"cv_t_2", "cv_u_1",  "cv_t",
					     "cv_t_x", "cv_tt_1", "t_1"};
	uint64_t value = 1;
	int to;

	need_ebpf();
	to = make(BPF_MAP_TYPE_HASH, "cv_t_2", sizeof(value), ENTRIES);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		int from = make(BPF_MAP_TYPE_HASH, others[i], sizeof(value), ENTRIES);

		put(from, 1, &value);
		cv_pins_keep(*state, others[i], from);
	}
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_NEW), 0);
	/* One that has only other sizes is put aside first. */
	assert_int_equal(cv_migrate_put_aside(*state, "cv_t_2"), 0);
	assert_int_equal(cv_pins_get(*state, "cv_t_2"), -ENOENT);
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_NEW), 1);
	close(to);
}

/* Keys of another size, or counters from a table: nothing that could be moved. */
static void test_misfits(void **state)
{
	uint64_t key = 1, value = 1;
	int from = -1, to;

	need_ebpf();
	from = bpf_map_create(BPF_MAP_TYPE_HASH, "cv_t_1", sizeof(key), sizeof(value), 2, NULL);
	to = make(BPF_MAP_TYPE_HASH, "cv_t_2", sizeof(value), ENTRIES);
	assert_int_equal(bpf_map_update_elem(from, &key, &value, BPF_ANY), 0);
	cv_pins_keep(*state, "cv_t_1", from);
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_NEW), 0);
	close(to);
	to = make(BPF_MAP_TYPE_PERCPU_ARRAY, "cv_t_2", sizeof(value), ENTRIES);
	assert_int_equal(cv_migrate(*state, "cv_t_2", to, CV_MIGRATE_REST), 0);
	close(to);
}

static int count_name(const char *name, void *data)
{
	unsigned int *count = data;

	*count += strcmp(name, "new") ? 1 : 100;
	return 0;
}

/* A container may keep us from any BPF file system. Where there is one for us, pinning must work.
 */
static void need_pins(const char *run_dir, struct cv_pins *pins)
{
	char why[256];
	int rc = cv_pins_open(run_dir, pins, why, sizeof(why));
	struct statfs fs;

	if (!rc)
		return;
	print_message("%s\n", why);
	if (statfs("/sys/fs/bpf", &fs) || fs.f_type != BPF_FS_MAGIC || access("/sys/fs/bpf", W_OK))
		skip();
	assert_int_equal(rc, 0);
}

/* Pins proper: replaced in one step, put aside, forgotten, purged with their directory. */
static void test_pins(void **state)
{
	char run_dir[64];
	struct cv_pins *pins = *state;
	unsigned int count = 0;
	int first, second, fd;

	need_ebpf();
	snprintf(run_dir, sizeof(run_dir), "/culvert-unit-test-%d", (int)getpid());
	need_pins(run_dir, pins);
	first = make(BPF_MAP_TYPE_HASH, "cv_t_1", 8, ENTRIES);
	second = make(BPF_MAP_TYPE_HASH, "cv_t_1", 8, ENTRIES);
	assert_int_equal(cv_pins_put(pins, "cv_t_1", first), 0);
	assert_int_equal(cv_pins_put(pins, "cv_t_1", second), 0);
	fd = cv_pins_get(pins, "cv_t_1");
	assert_true(cv_migrate_is_same(fd, second) && !cv_migrate_is_same(fd, first));
	close(fd);
	/* What is pinned counts, and not what is kept under the same name. */
	cv_pins_keep(pins, "cv_t_1", first);
	cv_pins_for_each(pins, count_name, &count);
	assert_int_equal(count, 1);
	assert_int_equal(cv_migrate_put_aside(pins, "cv_t_1"), 0);
	cv_pins_let_go(pins);
	assert_int_equal(cv_pins_get(pins, "cv_t_1"), -ENOENT);
	fd = cv_pins_get(pins, "cv_t_0");
	assert_true(cv_migrate_is_same(fd, second));
	close(fd);
	cv_migrate_forget(pins, "cv_t_1");
	assert_int_equal(cv_pins_get(pins, "cv_t_0"), -ENOENT);
	assert_int_equal(cv_pins_put(pins, "cv_t_1", second), 0);
	close(second);
	assert_int_equal(cv_pins_purge(pins), 1);
	assert_int_equal(access(pins->path, F_OK), -1);
}

/* No purge, whoever starts it, touches what is in there. */
static void nothing_is_ours(const char *run_dir, const char *file)
{
	struct cv_pins pins;
	char why[256] = "";

	assert_int_equal(cv_pins_find(run_dir, &pins), -ENOENT);
	cv_pins_remove_all_but(&pins, "none");
	assert_int_equal(cv_pins_purge(&pins), 0);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(cv_pins_open(run_dir, &pins, why, sizeof(why)), -EPERM);
	assert_non_null(strstr(why, "remove it"));
	assert_int_equal(pins.dir, -1);
	cv_pins_close(&pins);
	assert_int_equal(access(file, F_OK), 0);
}

/* Where everybody may write beside ours, a link or somebody's directory may wait for our purge. */
static void test_foreign_pins(void **state)
{
	char run_dir[64], real[] = "/tmp/culvert-unit-XXXXXX", file[256];
	struct cv_pins *pins = *state;
	int fd;

	need_ebpf();
	snprintf(run_dir, sizeof(run_dir), "/culvert-unit-foreign-%d", (int)getpid());
	need_pins(run_dir, pins);
	assert_int_equal(rmdir(pins->path), 0);
	assert_non_null(mkdtemp(real));
	snprintf(file, sizeof(file), "%s/precious", real);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(symlink(real, pins->path), 0);
	nothing_is_ours(run_dir, file);
	assert_int_equal(unlink(pins->path) | unlink(file) | rmdir(real), 0);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(mkdir(pins->path, 0700), 0);
		snprintf(file, sizeof(file), "%s/precious", pins->path);
		fd = make(BPF_MAP_TYPE_HASH, "precious", 8, ENTRIES);
		assert_int_equal(bpf_obj_pin(fd, file), 0);
		close(fd);
		if (i == 0)
			assert_int_equal(chown(pins->path, 65534, 0), 0);
		else
			assert_int_equal(chmod(pins->path, 0770), 0);
		nothing_is_ours(run_dir, file);
		assert_int_equal(unlink(file) | rmdir(pins->path), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_grows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shrinks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overwrites_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_arrays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_counters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_misfits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_foreign_pins, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
