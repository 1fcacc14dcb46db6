#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath parallel early timeout=1200
"""
The table of path MTU (tests/packet/mtu.long.t) with a Linux ipip in User-mode Linux at the other end:
see mtu_uml.py for the network. What Linux sends into a path that falls without ICMP is lost: nobody
tells it. Large transfers are of 16 MiB, and two of 100, for k1 is slow. `make test-all` does one
width of the path; MTU_CELLS=all, all: 10 minutes.
"""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import culvert  # noqa: E402
import tap  # noqa: E402
from mtu_cells import (  # noqa: E402
    DELIVERED, FALL, FILTERED, INNERS, JUMBO, MIB, START, TCP, UDP, Cell, Table, check,
)
from mtu_uml import KernelPath, kernel_can  # noqa: E402

if os.geteuid() != 0:
    print("1..0 # SKIP needs root: it makes network namespaces")
    sys.exit(0)
culvert.need_programs()
path = KernelPath(kernel="nopmtudisc")
table = Table(f"Path MTU, p1 behind Culvert, p2 behind Linux's ipip nopmtudisc, mode {culvert.MODE}"
              " (tests/interop/mtu_uml.long.t)")
WIDTHS = (1500, 1400, 1280, 596) if os.environ.get("MTU_CELLS") == "all" else (1400,)
SMALL, MIDDLE, LARGE = MIB, 16 * MIB, 100 * MIB


def cells(width, when):
    """Test function: all of this width."""

    def test():
        for icmp in (DELIVERED, FILTERED):
            for inner in INNERS:
                cell = Cell(width, icmp, when, inner)
                sizes = (SMALL, MIDDLE) if (width, when) == (1400, FALL) else (SMALL,)
                check(path, cell, sizes, table, can=(None, kernel_can(cell)))

    test.__name__ = f"{'falls_to' if when == FALL else 'always'}_{width}"
    return test


def is_probed():
    """An unmodified Linux ipip answers the probes within the tunnel."""
    path.fresh(JUMBO)
    now = path.path()
    tap.equal((now["method"], now["state"], now["mtu"], now["liveness"]),
              ("tunnel", "complete", JUMBO, "up"), "Linux's ipip answers probes within the tunnel")


def large():
    cell = Cell(1400, FILTERED, FALL, UDP)
    check(path, cell, (LARGE,), table)
    check(path, Cell(JUMBO, DELIVERED, START, TCP), (LARGE,), table)


def pmtudisc():
    """Linux's default, DF in all outer packets, loses what has no DF itself, ICMP or not."""
    path.set_kernel("pmtudisc")
    other = Table("The same with pmtudisc in Linux, its default")
    check(path, Cell(1400, DELIVERED, START, UDP), (SMALL,), other, can=(None, False))
    path.set_kernel("nopmtudisc")
    tap.ok(table.rows, "there is a table")
    table.print()
    table.sum_up()
    other.print()


tap.main(
    [
        is_probed, cells(JUMBO, START),
        *(cells(width, START) for width in WIDTHS),
        *(cells(width, FALL) for width in WIDTHS),
        large, pmtudisc, path.clean_end,
    ],
    after=path.after,
)
