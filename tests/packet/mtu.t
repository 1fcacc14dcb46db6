#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath parallel idle
"""
Transfers through a tunnel whose path MTU falls, with ICMP and without: some cells of the table that
mtu.long.t has in full, and the way back up. The drawing is in mtu_cells.py.
"""

import time

import culvert
import net
import tap
from culvert import Watch
from mtu_cells import (
    DELIVERED, FALL, FILTERED, JUMBO, MIB, POD_MTU, START, TCP, TCP_DEAF, TCP_PLAIN, UDP, UDP_DF,
    Cell, Path, Table, check,
)

culvert.need_programs()
path = Path()
table = Table(f"Path MTU, 1 MiB each way at once, mode {culvert.MODE} (tests/packet/mtu.t)")
RAISE_S = 2


def from_the_start():
    for cell in (
        Cell(JUMBO, DELIVERED, START, TCP),
        Cell(1500, FILTERED, START, TCP),
        Cell(1400, FILTERED, START, TCP_DEAF),
        Cell(1280, FILTERED, START, UDP_DF),
        Cell(596, FILTERED, START, UDP),
    ):
        check(path, cell, (MIB,), table)


def falls():
    for cell in (
        Cell(1500, DELIVERED, FALL, TCP),
        Cell(1400, FILTERED, FALL, TCP),
        Cell(1400, FILTERED, FALL, UDP_DF),
        Cell(1280, FILTERED, FALL, UDP),
        Cell(596, FILTERED, FALL, UDP_DF),
    ):
        check(path, cell, (MIB,), table)


def a_sender_that_ignores_icmp():
    """With DF it stalls; a TCP that does no path MTU discovery sets none, and is fragmented."""
    check(path, Cell(1400, DELIVERED, FALL, TCP_DEAF), (MIB,), table)
    check(path, Cell(1400, FILTERED, FALL, TCP_PLAIN), (MIB,), table)


def nopmtudisc():
    """… by whoever is on the path, with nopmtudisc: the outer packets have no DF, either."""
    for daemon, remote in ((path.d1, path.B), (path.d2, path.A)):
        daemon.change(f"tun0 remote {remote} nopmtudisc")
    other = Table("The same with nopmtudisc at both ends")
    check(path, Cell(1400, FILTERED, FALL, TCP_DEAF), (MIB,), other)
    check(path, Cell(1400, FILTERED, FALL, TCP_PLAIN), (MIB,), other)
    check(path, Cell(1400, FILTERED, FALL, UDP), (MIB,), other)
    for daemon, remote in ((path.d1, path.B), (path.d2, path.A)):
        daemon.change(f"tun0 remote {remote} pmtudisc")
    table.print()
    other.print()


def jumbo():
    """Pods of the underlay's own size: the path is used in full, and its fall is met as any other."""
    for node, device in ((path.p1, "eth0"), (path.n1, "pod0"), (path.n2, "pod0"), (path.p2, "eth0")):
        node.ip(f"link set {device} mtu {JUMBO - 20}")
    path.filter_icmp(True)
    path.heal()
    watch = Watch(path.d1)
    ways = path.transfer(UDP_DF, MIB)
    sent = watch.wait("tx_packets")
    tap.ok(all(way.right for way in ways), "jumbo pods: all arrives", ways)
    # As many acknowledgements as packets at most.
    tap.ok(0 < sent <= 2 * MIB // (JUMBO - 100) + 10, "… in packets of full size", sent)
    for inner in (TCP, UDP_DF):
        check(path, Cell(1500, FILTERED, FALL, inner), (MIB,))
    for node, device in ((path.p1, "eth0"), (path.n1, "pod0"), (path.n2, "pod0"), (path.p2, "eth0")):
        node.ip(f"link set {device} mtu {POD_MTU}")


def raised():
    """A path that has healed is used in full again after PMTU_RAISE_TIMER (RFC 8899, 5.1.1)."""
    path.configure(raiseTimer=f"{RAISE_S}s")
    for icmp in (FILTERED, DELIVERED):
        path.filter_icmp(icmp == FILTERED)
        path.fresh(JUMBO)
        path.set_mtu(1400)
        ways = path.transfer(UDP_DF, MIB, rate=2 * MIB)
        tap.ok(all(way.right for way in ways), f"ICMP {icmp}: a path that has fallen", ways)
        tap.ok(path.wait_known() is not None, "… is known", path.path())
        path.set_mtu(JUMBO)
        begin = time.monotonic()
        tap.ok(net.wait_for(lambda: path.knows(JUMBO), RAISE_S + 5),
               f"ICMP {icmp}: it is raised again", path.path())
        took = time.monotonic() - begin
        # A search takes its time after the timer has run out.
        tap.ok(took < RAISE_S + 2, f"… within {RAISE_S} s and a search", f"{took:.1f} s")


tap.main([from_the_start, falls, a_sender_that_ignores_icmp, nopmtudisc, jumbo, raised,
          path.clean_end],
         after=path.after)
