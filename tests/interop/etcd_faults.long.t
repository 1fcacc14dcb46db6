#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel heavy timeout=900
"""etcd_faults.t with partitions of a minute, and more rounds for the medians."""

import os
import sys

os.environ["ETCD_FAULTS_LONG"] = "1"
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "etcd_faults.t")
os.execv(SCRIPT, [SCRIPT, *sys.argv[1:]])
