/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass: the kernel is asked for the key behind one before that one is deleted. Asked for what
 * comes behind a key that is gone, it begins again.
 */
#include "fastpath/sweep.h"

#include <string.h>
#include <bpf/bpf.h>

void cv_sweep(int map, size_t key_size, bool (*stays)(const void *key, void *data), void *data)
{
	_Alignas(8) unsigned char key[CV_SWEEP_KEY_MAX], next[CV_SWEEP_KEY_MAX];
	bool has_key, has_next;

	if (key_size > CV_SWEEP_KEY_MAX)
		return;
	for (has_key = !bpf_map_get_next_key(map, NULL, key); has_key; has_key = has_next) {
		has_next = !bpf_map_get_next_key(map, key, next);
		if (!stays(key, data))
			bpf_map_delete_elem(map, key);
		memcpy(key, next, key_size);
	}
}
