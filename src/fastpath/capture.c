/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture: records of the programs through a perf ring per CPU, which exists only while
 * somebody captures.
 */
#include <errno.h>
#include <string.h>

#include "fastpath/state.h"

enum {
	RING_PAGES = 256 /* of each CPU: 1 MiB */
};

static void on_sample(void *context, int cpu, void *data, __u32 size)
{
	const struct cv_fastpath *fastpath = context;
	struct cv_fp_capture record;

	(void)cpu;
	if (size < sizeof(record))
		return;
	memcpy(&record, data, sizeof(record));
	/* The kernel rounds the size up. */
	if (record.captured > size - sizeof(record))
		record.captured = (__u32)(size - sizeof(record));
	fastpath->take(fastpath->capture_context, &record, (const uint8_t *)data + sizeof(record));
}

static void on_lost(void *context, int cpu, __u64 count)
{
	const struct cv_fastpath *fastpath = context;

	(void)cpu;
	fastpath->lost(fastpath->capture_context, count);
}

static void end(struct cv_fastpath *fastpath)
{
	perf_buffer__free(fastpath->capture);
	fastpath->capture = NULL;
}

int cv_fastpath_capture(struct cv_fastpath *fastpath, uint32_t snap,
			void (*take)(void *context, const struct cv_fp_capture *record,
				     const uint8_t *packet),
			void (*lost)(void *context, uint64_t count), void *context)
{
	/* Nothing remembered depends on it: no new generation. */
	fastpath->config.capture = snap;
	if (!snap) {
		cv_fastpath_write_config(fastpath);
		end(fastpath);
		return 0;
	}
	fastpath->take = take;
	fastpath->lost = lost;
	fastpath->capture_context = context;
	if (!fastpath->capture) {
		fastpath->capture =
			perf_buffer__new(fastpath->programs.map[CV_MAP_CAPTURE], RING_PAGES,
					 on_sample, on_lost, fastpath, NULL);
		if (!fastpath->capture) {
			fastpath->config.capture = 0;
			return -errno;
		}
	}
	cv_fastpath_write_config(fastpath);
	return 0;
}

int cv_fastpath_capture_fd(struct cv_fastpath *fastpath)
{
	return fastpath->capture ? perf_buffer__epoll_fd(fastpath->capture) : -1;
}

void cv_fastpath_capture_poll(struct cv_fastpath *fastpath)
{
	/*
	 * Not perf_buffer__poll(): perf descriptors tell once that they are readable, and
	 * whoever waits for the epoll descriptor around them has been told.
	 */
	if (fastpath->capture)
		perf_buffer__consume(fastpath->capture);
}
