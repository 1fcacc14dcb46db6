/* SPDX-License-Identifier: Apache-2.0 */
/* The packet formats of src/wire, compiled for eBPF, against themselves compiled for the host. */
#ifndef CV_TEST_WIRE_PROGRAMS_H
#define CV_TEST_WIRE_PROGRAMS_H

#include "hooks.h"

/* count packets for each program of object, tests/bpf/wire_all.c compiled for eBPF. */
void wire_random(struct run *run, unsigned int count, const char *object);

#endif
