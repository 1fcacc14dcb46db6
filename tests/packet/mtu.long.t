#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath,engine,endpoints parallel timeout=900
"""
The table of path MTU: every width of the path, ICMP delivered and filtered, the path narrow from the
start and falling during the transfer, every kind of sender; 1 MiB and 100 MiB each way at once. The
drawing is in mtu_cells.py. That takes 6 minutes in each mode; `make test-all` does two widths in mode
fastpath, one in the others, and 100 MiB where the path falls to 1400. All of it, and the table alone:

    MTU_CELLS=all CULVERT_MODE=fastpath tests/packet/mtu.long.t | sed -n 's/^# |/|/p'
"""

import os

import culvert
import tap
from mtu_cells import (
    DELIVERED, FALL, FILTERED, INNERS, JUMBO, MIB, START, Cell, Path, Table, check,
)

culvert.need_programs()
path = Path()
IS_FULL = os.environ.get("MTU_CELLS") == "all"
IS_FASTPATH = culvert.MODE == culvert.FASTPATH
WIDTHS = (1500, 1400, 1280, 596) if IS_FULL else (1400, 596) if IS_FASTPATH else (1400,)
SMALL, LARGE = MIB, 100 * MIB
table = Table(f"Path MTU, each way at once, mode {culvert.MODE} (tests/packet/mtu.long.t)")


def cells(width, when):
    """Test function: all of this width."""

    def test():
        for icmp in (DELIVERED, FILTERED):
            for inner in INNERS:
                is_large = IS_FULL or (when == FALL and width == 1400)
                sizes = (SMALL, LARGE) if is_large else (SMALL,)
                check(path, Cell(width, icmp, when, inner), sizes, table)

    test.__name__ = f"{'falls_to' if when == FALL else 'always'}_{width}"
    return test


def summary():
    tap.ok(table.rows, "there is a table")
    table.print()
    table.sum_up()


tap.main(
    [
        *((cells(JUMBO, START),) if IS_FULL or IS_FASTPATH else ()),
        *(cells(width, START) for width in WIDTHS),
        *(cells(width, FALL) for width in WIDTHS),
        summary, path.clean_end,
    ],
    after=path.after,
)
