/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled eBPF programs (src/bpf), which every program of ours carries inside. */
#ifndef CV_FASTPATH_IMAGE_H
#define CV_FASTPATH_IMAGE_H

#include <stdint.h>

extern const unsigned char cv_image[];

extern const uint64_t cv_image_size; /* of cv_image, in bytes */

#endif
