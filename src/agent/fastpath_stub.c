/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for src/fastpath until that is there, so that the capture links: there is no
 * fast path to capture from. To be removed with fastpath's own code.
 */
#include <errno.h>

#include "fastpath/fastpath.h"

__attribute__((weak)) int cv_fastpath_capture(
	struct cv_fastpath *fastpath, uint32_t snap,
	void (*take)(void *context, const struct cv_fp_capture *record, const uint8_t *packet),
	void (*lost)(void *context, uint64_t count), void *context)
{
	(void)fastpath;
	(void)snap;
	(void)take;
	(void)lost;
	(void)context;
	return -ENOSYS;
}

__attribute__((weak)) int cv_fastpath_capture_fd(struct cv_fastpath *fastpath)
{
	(void)fastpath;
	return -1;
}

__attribute__((weak)) void cv_fastpath_capture_poll(struct cv_fastpath *fastpath)
{
	(void)fastpath;
}
