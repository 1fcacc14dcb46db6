#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
The differential test, the ten seconds of it that run every time; differential.long.t has the
100,000 packets. SEED= runs the same packets again.

The same packets go through the engine and through the fast path, and what came of them is compared:
what is sent and delivered, byte by byte, and every counter. Two parts:

- the core: the packet formats of src/wire and the programs' functions, run by BPF_PROG_TEST_RUN,
  against the same source compiled for the host, and against a lane of the engine without a kernel
  (tests/differential/core.c);
- the hooks: three nodes side by side, alike but for the fast path (differential.py), get the same
  packets on their wires (tests/differential/hooks.c).

A packet that makes a difference is made as simple as it can be and printed; when it is mended, it is
kept in differential.cases. `build/tests/differential/differential --help` says what may differ.
"""
import sys

sys.dont_write_bytecode = True

import differential  # noqa: E402

differential.main(seconds=4, core_count=10000)
