#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle
"""etcd_random.t in its full size: 10,000 operations."""

import os
import sys

os.environ.setdefault("ETCD_RANDOM_OPERATIONS", "10000")
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "etcd_random.t")
os.execv(SCRIPT, [SCRIPT, *sys.argv[1:]])
