/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object files of src/bpf, byte for byte; libbpf wants them aligned. Their sizes stand beside
 * them in assembly: to C, two labels are two objects, between which there is no distance.
 */
#include "fastpath/image.h"

#if __SIZEOF_POINTER__ == 8
#define WORD ".quad "
#else
#define WORD ".long "
#endif

#define IMAGE(label, name)                                                        \
	extern const unsigned char cv_image_##label[];                            \
	extern const size_t cv_image_##label##_size;                              \
	__asm__(".section .rodata.cv_image, \"a\", @progbits\n"                   \
		".balign 16\n.global cv_image_" #label "\ncv_image_" #label ":\n" \
		".incbin \"" CV_IMAGE_DIR name ".bpf.o\"\n1:\n"                   \
		".balign 8\n.global cv_image_" #label "_size\n"                   \
		"cv_image_" #label "_size:\n" WORD "1b - cv_image_" #label "\n"   \
		".previous\n")

IMAGE(plain, "plain");
IMAGE(casts, "casts");
IMAGE(conntrack, "conntrack");
IMAGE(both, "casts-conntrack");

const struct cv_image *cv_image_get(unsigned int i)
{
	static struct cv_image images[CV_IMAGES];

	images[0] = (struct cv_image){cv_image_both, cv_image_both_size, true};
	images[1] = (struct cv_image){cv_image_conntrack, cv_image_conntrack_size, true};
	images[2] = (struct cv_image){cv_image_casts, cv_image_casts_size, false};
	images[3] = (struct cv_image){cv_image_plain, cv_image_plain_size, false};
	return &images[i];
}
