#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel heavy modes=fastpath long-modes=endpoints
"""
What must not be felt: daemons of a mesh die, are restarted and upgraded, under numbered packets at
1,000/s, of which none is lost, and no route moves. The network is that of ../packet/racks.py:

     pa1 ── a1 ┬ ta ──┐
     pa2 ── a2 ┘      │
     pb1 ── b1 ┬ tb ── r     no router knows a pod
     pb2 ── b2 ┘      │
     pc1 ── c1 ─ tc ──┘
"""

import os
import signal
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import culvert  # noqa: E402
import net  # noqa: E402
import tap  # noqa: E402
from racks import PAIRS, Monitor, Racks, bgp_text, lossless  # noqa: E402

MESH = bgp_text()
CROSS = {(a, b): "direct" if a[0] == b[0] else "tunnel" for a, b in PAIRS}
TRAFFIC = (("a1", "a2"), ("a1", "b1"), ("b1", "a1"), ("c1", "a1"))
# What the quick test leaves out.
IS_LONG = culvert.MODE != culvert.FASTPATH

culvert.need_programs()
lab = Racks()


def all_up(name="a1"):
    """True if the node's BIRD has all its sessions."""
    status = lab.json(name, "bgp", "status")
    return status["bird"]["state"] == "up" and status["sessions"]["up"] == 4


def mesh():
    lab.apply(MESH)
    tap.equal(lab.converge(CROSS), [], "every node learns every other's block")
    tap.ok(net.wait_for(all_up, 5), "a1 has all sessions")


def unfelt(what, act, seconds=1.0):
    """act() is followed by no event of routes or addresses anywhere, and loses nothing."""
    probes, monitor = lab.probes(TRAFFIC), Monitor(lab)
    act()
    tap.ok(net.wait_for(all_up, 15), f"{what}: all sessions are up again",
           lambda: lab.cli("a1", "bgp", "peers").stdout)
    net.wait_for(lambda: False, seconds)
    tap.equal(monitor.end(), {}, "… no route or address has moved")
    lossless(probes, "… ")


def bird_dies():
    pid = lab.bird_pid("a1")

    def act():
        os.kill(pid, signal.SIGKILL)
        tap.ok(net.wait_for(lambda: lab.bird_pid("a1") not in (None, pid), 10), "it is started again")

    unfelt("kill -9 of a1's BIRD", act)


def culvertd_dies():
    pid = lab.bird_pid("a1")
    for number in (signal.SIGKILL, signal.SIGTERM) if IS_LONG else (signal.SIGKILL,):
        def act(number=number):
            lab.daemons["a1"].stop(number)
            lab.daemons["a1"].start()

        unfelt(f"signal {number} to a1's culvertd, and a start", act)
        tap.equal(lab.bird_pid("a1"), pid, "… it is the same BIRD")


def bird_restarts():
    pid = lab.bird_pid("a1")

    def act():
        done = lab.cli("a1", "bgp", "restart", check=False)
        tap.equal(done.returncode, 0, "culvert bgp restart")
        tap.ok(net.wait_for(lambda: lab.bird_pid("a1") not in (None, pid), 10), "… another process")

    unfelt("culvert bgp restart", act)


def both_die():
    """The whole agent is away for a while: culvertd and BIRD, killed."""
    def act():
        lab.daemons["a1"].stop(signal.SIGKILL)
        os.kill(lab.bird_pid("a1"), signal.SIGKILL)
        net.wait_for(lambda: False, 0.5)
        lab.daemons["a1"].start()

    unfelt("kill -9 of both on a1", act)


if __name__ == "__main__":
    tap.main([mesh, bird_dies, culvertd_dies, bird_restarts, *([both_die] if IS_LONG else []),
              lab.clean_end], lab.before, lab.after)
