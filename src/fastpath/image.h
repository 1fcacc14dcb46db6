/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled eBPF programs (src/bpf), which every program of ours carries inside. */
#ifndef CV_FASTPATH_IMAGE_H
#define CV_FASTPATH_IMAGE_H

#include <stddef.h>

/* One object file. */
struct cv_image {
	const unsigned char *bytes;
	size_t size;
};

/* For every kernel. */
extern const struct cv_image cv_image;

/* For those whose conntrack can be asked (bpf/conntrack.h). */
extern const struct cv_image cv_image_conntrack;

#endif
