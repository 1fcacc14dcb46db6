#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: background early timeout=2400 needs=build/asan,build/next
"""
Tests of this tree in Debian's 6.1 and 6.12, each kernel in its own guest, both at the same time
(most of what runs there uses one processor at a time). One assertion for each kernel and test. The
guests compute all the time, with what tests beside them leave them of the processors. In tests/run
they are in the background, behind the builds, which others wait for, and before the long lints: both
at the same time would be four that compute on two processors, and tests beside them wait for seconds.

What is about packets alone, and not about what differs from kernel to kernel, runs in the older one,
and outside of guests in the host's; GUEST_TESTS=all: in both.

Arguments select tests by a part of their name, "6.1" and "6.12" kernels:
tests/guest/kernels.long.t 6.12 nbma
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "packet"))

import tap  # noqa: E402

KERNELS = ("6.1", "6.12")
# What talks to the kernel most: program, CULVERT_MODE, and what of it, if not all. {BUILD} is the
# tree of what was built.
TESTS = [
    ("{BUILD}/tests/unit/net_tun_test", "", ""),
    ("{BUILD}/tests/unit/net_route_table_test", "", ""),
    ("{BUILD}/tests/unit/routing_routes_test", "", ""),
    ("{BUILD}/tests/unit/routing_nat_test", "", ""),
    ("tests/packet/nat.t", "", "flowtable exclusions"),
    ("tests/packet/pools.t", "fastpath", "cross_subnet hosts_and_pods spoofing clean_end"),
    ("tests/packet/kernel_offload.t", "", ""),
    ("tests/packet/rfc2003.t", "fastpath", ""),
    ("tests/packet/nbma.t", "fastpath", ""),
    ("tests/packet/prober_hostile.t", "fastpath", "users_pings clean_end"),
    ("tests/packet/strangers.t", "endpoints", ""),
    ("tests/packet/differential.t", "", ""),
    ("tests/packet/bypass_fragments.t", "", ""),
    ("tests/packet/capture.t", "fastpath", "ways_and_bytes drops clean_end"),
    ("tests/packet/nat_agent.t", "fastpath", "flowtable clean_end"),
]
# About packets alone.
OLDER_ONLY = ("tests/packet/rfc2003.t", "tests/packet/strangers.t", "tests/packet/bypass_fragments.t")
GUEST_LIMIT_S = 2340
TEST_LIMIT_S = 900
NICE = 12  # as tests/run has it

# In the guest: every test in turn, and one line of JSON about each.
SCRIPT = r"""
import json, os, subprocess, sys, time
for test in sys.argv[2:]:
    began = time.monotonic()
    program, mode, words = test.split(":")
    os.environ.pop("CULVERT_MODE", None)
    if mode:
        os.environ["CULVERT_MODE"] = mode
    done = subprocess.run(["timeout", "-k", "10", sys.argv[1], program, *words.split()], text=True,
                          errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(json.dumps({"test": test, "code": done.returncode, "output": done.stdout,
                      "seconds": time.monotonic() - began}), flush=True)
"""


class Guest(threading.Thread):
    """One kernel with all the tests; results by test, and what else was said."""

    def __init__(self, kernel, tests):
        super().__init__()
        self.kernel = kernel
        self.tests = tests
        self.results = {}
        self.stray = []
        more = str(max(0, NICE - os.nice(0)))
        self.child = subprocess.Popen(
            ["nice", "-n", more, os.path.join(HERE, "guest"), kernel, "--timeout", str(GUEST_LIMIT_S), "--env",
             "CMOCKA_MESSAGE_OUTPUT=TAP", "--",
             "/usr/bin/python3", "-c", SCRIPT, str(TEST_LIMIT_S), *tests],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )

    def run(self):
        """Read until the guest has ended."""
        for line in self.child.stdout:
            try:
                result = json.loads(line)
                self.results[result["test"]] = result
            except ValueError:
                self.stray.append(line.rstrip())
        self.child.wait()


def report(guest):
    """One assertion for each test."""
    for test in guest.tests:
        program, mode, _ = os.path.basename(test).split(":")
        name = f"{guest.kernel}: {program}" + (f"[{mode}]" if mode else "")
        result = guest.results.get(test)
        if not result:
            tap.ok(False, name, "not run: " + "\n".join(guest.stray[-20:]))
            continue
        lines = result["output"].splitlines()
        good = sum(bool(re.match(r"ok\b", line)) for line in lines)
        skipped = sum(bool(re.match(r"(ok\b|1\.\.0\b).*# skip", line, re.I)) for line in lines)
        words = f"{name}, {good} assertions" + (f", {skipped} of them skipped" if skipped else "")
        passed = result["code"] == 0 and good > skipped
        bad = [i for i, line in enumerate(lines) if re.match(r"not ok\b", line)]
        shown = [line for i in bad[:10] for line in lines[i : i + 4]] or lines[-15:]
        tap.ok(passed, words, f"exit code {result['code']}\n" + "\n".join(shown))
        tap.note(f"{result['seconds']:.0f} s")


def stop(guests):
    """End the guests, politely: what they started ends with them."""
    for guest in guests:
        if guest.child.poll() is None:
            guest.child.send_signal(signal.SIGTERM)
    for guest in guests:
        guest.child.wait()


def is_for(kernel, test):
    """Whether this kernel is to run it: what arguments select, always."""
    is_all = SELECTED or os.environ.get("GUEST_TESTS") == "all"
    return is_all or kernel == KERNELS[0] or not test.startswith(OLDER_ONLY)


def test_kernels():
    """All of them, or what the arguments select."""
    build = os.environ.get("CULVERT_BUILD", os.path.join(ROOT, "build"))
    wanted = [word for word in SELECTED if word not in KERNELS]
    tests = [f"{test.format(BUILD=build)}:{mode}:{words}" for test, mode, words in TESTS]
    tests = [t for t in tests if not wanted or any(word in t for word in wanted)]
    kernels = [k for k in KERNELS if k in SELECTED] or KERNELS
    guests = []
    try:
        for kernel in kernels:
            guests.append(Guest(kernel, [t for t in tests if is_for(kernel, t)]))
            guests[-1].start()
        for guest in guests:
            guest.join()
            report(guest)
    finally:
        stop(guests)


if __name__ == "__main__":
    # tap.main would take the arguments for names of functions.
    SELECTED = sys.argv[1:]
    del sys.argv[1:]
    tap.main([test_kernels])
