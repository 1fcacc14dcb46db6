/* SPDX-License-Identifier: Apache-2.0 */
/* The object file of src/bpf, byte for byte; libbpf wants it aligned. */
#include "fastpath/image.h"

__asm__(".section .rodata.cv_image, \"a\", @progbits\n"
	".balign 16\n"
	".global cv_image\n"
	"cv_image:\n"
	".incbin \"" CV_BPF_OBJECT "\"\n"
	"1:\n"
	".balign 8\n"
	".global cv_image_size\n"
	"cv_image_size:\n"
	".quad 1b - cv_image\n"
	".previous\n");
