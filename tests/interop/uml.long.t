#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel timeout=600
"""
More of uml.t: datagrams of every order of size, paths of every width, and TCP while the path between
Culvert and the kernel's ipip changes under it.
"""

import os
import select
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import tap  # noqa: E402
import uml  # noqa: E402
from uml import A1_POD, K1_INNER  # noqa: E402

lab = None
DIRECTIONS = ("to kernel", "to Culvert")
WIDTHS = (1400, 1280, 1006, 596)  # ICMP does not lower a path below 596: engine/remote.h


def test_datagrams_of_all_sizes():
    """Without DF; the large ones are fragments before they reach a tunnel."""
    for direction in DIRECTIONS:
        lost = []
        for size in (*range(32, 96), 576, 1479, 1480, 1481, 1500, 1501, 2960, 2961, 9000, 40000, 65535):
            _, got, told = lab.datagram(direction, size=size)
            if not got or not got["intact"] or got["size"] != size:
                lost.append((size, got, told))
        tap.ok(not lost, f"{direction}: datagrams of 32 to 65535 bytes arrive", lambda: lost)


def test_narrow_paths():
    """ICMP 3/4 from the router, whatever the width, to either end."""
    for bridge, direction in (("br-b", "to kernel"), ("br-a", "to Culvert")):
        for width in WIDTHS:
            lab.forget_paths()
            lab.ip("router", f"link set {bridge} mtu {width}")
            same, sent = lab.transfer(direction, length=1 << 20)
            tap.ok(same and sent["mtu"] == width - 20,
                   f"{direction} over {width} bytes: TCP arrives, its sender knows {width - 20}",
                   lambda: sent)
            sizes = range(width - 22, width - 17)
            sender, to = (lab.pod, K1_INNER) if direction == "to kernel" else (lab.kernel, A1_POD)
            answers = sender.ping(source=sender.address, to=to, sizes=list(sizes),
                                  df="dont")["answers"]
            tap.equal(set(answers.values()), {"reply"},
                      f"{direction} over {width} bytes: pings around the limit are answered")
        lab.ip("router", f"link set {bridge} mtu 1500")
    lab.forget_paths()


def during_transfer(direction, length, change, steps):
    """
    A transfer while change(i) is called steps times; (whether the sums agree and the first change
    did come before the end, the answer).
    """
    sender, receiver, _ = lab.ends(direction)
    port = 6000 + int(time.monotonic() * 10) % 1000
    receiver.accept(address=receiver.address, port=port)
    sender.connect(source=sender.address, to=receiver.address, port=port)
    receiver.start("pull", port=port, timeout=60)
    sender.start("push", port=port, length=length, seed=direction, timeout=60)
    early = False
    for i in range(steps):
        change(i)
        early = early or not select.select([sender.child.stdout], [], [], 0)[0]
    sent, got = sender.finish(), receiver.finish()
    same = got["bytes"] == length and got["sha256"] == sent["sha256"]
    return same and early, {**sent, "changed in time": early}


def test_tcp_while_the_path_changes():
    for direction, bridge in (("to kernel", "br-b"), ("to Culvert", "br-a")):
        def narrower(i, bridge=bridge):
            time.sleep(0.3)
            lab.ip("router", f"link set {bridge} mtu {(1400, 1500, 1300, 1500)[i % 4]}")

        same, sent = during_transfer(direction, 256 << 20, narrower, 4)
        tap.ok(same, f"{direction}: 256 MiB arrive while the path's MTU changes", lambda: sent)
        lab.forget_paths()


def test_tcp_while_the_link_flaps():
    def flap(_):
        time.sleep(0.3)
        lab.ip("a1", "link set eth0 down")
        time.sleep(0.2)
        lab.ip("a1", "link set eth0 up", "route replace default via 192.168.100.254")

    for direction in DIRECTIONS:
        same, sent = during_transfer(direction, 128 << 20, flap, 3)
        tap.ok(same, f"{direction}: 128 MiB arrive while a1's link goes down and up", lambda: sent)


def test_tcp_while_the_daemon_restarts():
    for direction in DIRECTIONS:
        same, sent = during_transfer(
            direction, 128 << 20, lambda _: (time.sleep(0.3), lab.lab("daemon", "a1", "restart")), 3)
        tap.ok(same, f"{direction}: 128 MiB arrive while culvertd restarts", lambda: sent)


TESTS = [value for key, value in list(globals().items()) if key.startswith("test_")]

if __name__ == "__main__":
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: it makes network namespaces")
        sys.exit(0)
    with uml.Interop("uml-l") as lab:
        tap.main(TESTS)
