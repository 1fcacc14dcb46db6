#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""The differential test, long: 100,000 packets through the hooks, 200,000 through each part of the core."""
import sys

sys.dont_write_bytecode = True

import differential  # noqa: E402

differential.main(count=100000, core_count=200000)
