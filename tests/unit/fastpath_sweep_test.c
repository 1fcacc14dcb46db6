/* SPDX-License-Identifier: Apache-2.0 */
/* Sweeping real maps: what stays, what goes, and that every key is asked for once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "fastpath/sweep.h"

enum {
	ENTRIES = 1000
};

static unsigned int asked[ENTRIES];

/* data: the divisor of those that stay; 0: none. */
static bool is_multiple(const void *key, void *data)
{
	const uint32_t *divisor = data;
	uint32_t number;

	memcpy(&number, key, sizeof(number));
	assert_true(number < ENTRIES);
	asked[number]++;
	return *divisor && number % *divisor == 0;
}

static void sweep(int map, uint32_t divisor, unsigned int count)
{
	uint32_t value;

	for (uint32_t key = 0; key < count; key++)
		assert_int_equal(bpf_map_update_elem(map, &key, &key, BPF_ANY), 0);
	memset(asked, 0, sizeof(asked));
	cv_sweep(map, sizeof(uint32_t), is_multiple, &divisor);
	for (uint32_t key = 0; key < ENTRIES; key++) {
		bool stays = key < count && divisor && key % divisor == 0;

		assert_int_equal(asked[key], key < count);
		assert_int_equal(!bpf_map_lookup_elem(map, &key, &value), stays);
	}
}

static void test_sweep(void **state)
{
	static const uint32_t divisors[] = {1, 2, 7, ENTRIES, 0};
	int map;

	(void)state;
	if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_HASH, NULL) != 1)
		skip();
	map = bpf_map_create(BPF_MAP_TYPE_HASH, "cv_t_1", sizeof(uint32_t), sizeof(uint32_t),
			     ENTRIES, NULL);
	assert_true(map >= 0);
	sweep(map, 1, 0);
	for (size_t i = 0; i < sizeof(divisors) / sizeof(divisors[0]); i++)
		sweep(map, divisors[i], ENTRIES);
	sweep(map, 0, 1);
	close(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sweep),
	};

	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
