/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part without devices: programs run by BPF_PROG_TEST_RUN against the engine's lane, and the
 * packet formats compiled for eBPF against the same source compiled for the host.
 */
#ifndef CV_TEST_CORE_H
#define CV_TEST_CORE_H

#include "hooks.h"

/* count packets for each of the parts. object: tests/bpf/wire_all.c compiled for eBPF. */
void core_random(struct run *run, unsigned int count, const char *object);

#endif
