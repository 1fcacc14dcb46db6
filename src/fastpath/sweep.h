/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of maps that nobody stands for any more. */
#ifndef CV_FASTPATH_SWEEP_H
#define CV_FASTPATH_SWEEP_H

#include <stdbool.h>
#include <stddef.h>

enum {
	CV_SWEEP_KEY_MAX = 16 /* bytes */
};

/*
 * Ask stays() for every key of a map, and delete those that do not. Nobody else may delete
 * meanwhile, and stays() must not write.
 */
void cv_sweep(int map, size_t key_size, bool (*stays)(const void *key, void *data), void *data);

#endif
