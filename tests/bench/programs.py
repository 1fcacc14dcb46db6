# SPDX-License-Identifier: Apache-2.0
"""What the fast path's programs cost while packets flow, as the kernel counts it (kernel.bpf_stats_enabled)."""

import contextlib
import json
import subprocess

SYSCTL = "/proc/sys/kernel/bpf_stats_enabled"


def _counts():
    """id -> (name, runs, ns) of our programs."""
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], stdout=subprocess.PIPE, check=True)
    return {
        each["id"]: (each["name"], each.get("run_cnt", 0), each.get("run_time_ns", 0))
        for each in json.loads(shown.stdout)
        if each.get("name", "").startswith("cv_")
    }


@contextlib.contextmanager
def counted():
    """Yields a dictionary that has, at the end, for each program that ran: name -> (runs, ns in all)."""
    result = {}
    with open(SYSCTL, "r+", encoding="ascii") as f:
        before_that = f.read()
        f.seek(0)
        f.write("1")
    try:
        before = _counts()
        yield result
        for number, (name, runs, ns) in _counts().items():
            _, runs_before, ns_before = before.get(number, (name, 0, 0))
            if runs > runs_before:
                had = result.get(name, (0, 0))
                result[name] = (had[0] + runs - runs_before, had[1] + ns - ns_before)
    finally:
        with open(SYSCTL, "w", encoding="ascii") as f:
            f.write(before_that)
