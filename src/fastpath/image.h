/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled eBPF programs (src/bpf), which every program of ours carries inside. */
#ifndef CV_FASTPATH_IMAGE_H
#define CV_FASTPATH_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * One object file. The source is the same; an image that names kernel functions which the running
 * kernel does not have is refused by it.
 */
struct cv_image {
	const unsigned char *bytes;
	size_t size;
	bool conntrack; /* asks conntrack (bpf/conntrack.h) */
};

enum {
	CV_IMAGES = 4
};

/* The images, the one that can most first. */
const struct cv_image *cv_image_get(unsigned int i);

#endif
