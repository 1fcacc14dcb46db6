/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object files of src/bpf, byte for byte; libbpf wants them aligned. The pointers and
 * sizes stand beside them in assembly: to C, two labels are two objects, between which
 * there is no distance.
 */
#include "fastpath/image.h"

#if __SIZEOF_POINTER__ == 8
#define WORD ".quad "
#else
#define WORD ".long "
#endif

#define IMAGE(name, path)                                                                     \
	__asm__(".section .rodata.cv_image, \"a\", @progbits\n"                               \
		".balign 16\n" name "_bytes:\n"                                               \
		".incbin \"" path "\"\n" name "_end:\n"                                       \
		".section .data.rel.ro.cv_image, \"aw\", @progbits\n"                         \
		".balign 16\n"                                                                \
		".global " name "\n" name ":\n" WORD name "_bytes\n" WORD name "_end - " name \
		"_bytes\n"                                                                    \
		".previous\n")

IMAGE("cv_image", CV_BPF_OBJECT);
IMAGE("cv_image_conntrack", CV_BPF_OBJECT_CONNTRACK);
