# SPDX-License-Identifier: Apache-2.0
"""
TAP (Test Anything Protocol) for the packet tests.

A test file defines functions and calls main() with them. Arguments on the command
line select functions by a part of their name. A function that raises is one failed
assertion; the others still run. From the import on, signals end the program through
SystemExit, so that what was started is stopped, in a set-up before main(), too.
"""

import os
import signal
import sys
import time
import traceback

_count = 0
_failed = 0
_started = time.monotonic()


def ok(condition, name, detail=None):
    """One assertion. detail: what to print when it fails (a string or a callable)."""
    global _count, _failed
    _count += 1
    name = str(name).replace("#", "no.")
    if condition:
        print(f"ok {_count} - {name}", flush=True)
        return True
    _failed += 1
    print(f"not ok {_count} - {name}", flush=True)
    if detail is not None:
        note(detail() if callable(detail) else detail)
    return False


def equal(got, want, name):
    """Assert that got is want; bytes are shown in hexadecimal."""
    return ok(got == want, name, lambda: f"got  {_show(got)}\nwant {_show(want)}")


def _show(value):
    if isinstance(value, (bytes, bytearray)):
        return f"({len(value)} bytes) {bytes(value[:96]).hex(' ', 4)}" + (
            " …" if len(value) > 96 else ""
        )
    return repr(value)


def skip(name, why):
    """An assertion that this machine cannot make."""
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {why}", flush=True)


def note(text):
    """A diagnostic."""
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def _on_signal(number, _frame):
    # A second signal must not cut short what the first one has begun to clean up.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, _on_signal)


def main(tests, before=None, after=None, root=True):
    """
    Run the functions. before(name) and after(name, failed) are called around each.
    root: whether they need to be root. Leaves the process.
    """
    if root and os.geteuid() != 0:
        print("1..0 # SKIP needs root: it makes network namespaces")
        sys.exit(0)
    wanted = sys.argv[1:]
    for test in tests:
        if wanted and not any(word in test.__name__ for word in wanted):
            continue
        failed = _failed
        try:
            if before:
                before(test.__name__)
            test()
        except Exception:
            ok(False, f"{test.__name__}: runs to its end", traceback.format_exc())
        if after:
            after(test.__name__, _failed - failed)
    print(f"1..{_count}", flush=True)
    note(f"{_count - _failed} of {_count} in {time.monotonic() - _started:.1f} s")
    sys.exit(1 if _failed or not _count else 0)
