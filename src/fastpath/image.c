/* SPDX-License-Identifier: Apache-2.0 */
/* The object files of src/bpf, byte for byte; libbpf wants them aligned. */
#include "fastpath/image.h"

#define IMAGE(name, path)                                       \
	__asm__(".section .rodata.cv_image, \"a\", @progbits\n" \
		".balign 16\n"                                  \
		".global " name "\n"                            \
		".global " name "_end\n" name ":\n"             \
		".incbin \"" path "\"\n" name "_end:\n"         \
		".byte 0\n"                                     \
		".previous\n")

IMAGE("cv_image", CV_BPF_OBJECT);
IMAGE("cv_image_conntrack", CV_BPF_OBJECT_CONNTRACK);
