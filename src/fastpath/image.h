/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled eBPF programs (src/bpf), which every program of ours carries inside. */
#ifndef CV_FASTPATH_IMAGE_H
#define CV_FASTPATH_IMAGE_H

#include <stddef.h>

/* For every kernel. */
extern const unsigned char cv_image[];
extern const unsigned char cv_image_end[];

/* For those whose conntrack can be asked (bpf/conntrack.h). */
extern const unsigned char cv_image_conntrack[];
extern const unsigned char cv_image_conntrack_end[];

#endif
