/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled eBPF programs (src/bpf), which every program of ours carries inside. */
#ifndef CV_FASTPATH_IMAGE_H
#define CV_FASTPATH_IMAGE_H

#include <stddef.h>

extern const unsigned char cv_image[];
extern const unsigned char cv_image_end[];

/* Its length in bytes. */
static inline size_t cv_image_size(void)
{
	return (size_t)(cv_image_end - cv_image);
}

#endif
