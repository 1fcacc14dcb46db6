#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath long-modes=engine,endpoints,mixed
"""
A top-of-rack router that is a real GoBGP, by doc/examples/bgp-tor.yaml and bgp-tor.gobgp.toml. What it
learns becomes routes of its kernel by the test. The network is that of ../packet/racks.py:

     pa1 ── a1 ┬ ta ────────────────────┐
     pa2 ── a2 ┘                        │
     pb1 ── b1 ┬ tb (GoBGP, AS 65102) ── r
     pb2 ── b2 ┘ └ sb                   │
     pc1 ── c1 ─ tc ────────────────────┘
"""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import culvert  # noqa: E402
import net  # noqa: E402
import tap  # noqa: E402
import tor  # noqa: E402
from cluster import ping  # noqa: E402
from racks import (ADDRESSES, METRIC_BIRD, Racks, example, server,  # noqa: E402
                   server_net)
from routers import Gobgp  # noqa: E402
from zones import block_text  # noqa: E402

MORE = "10.244.90.0/26"

culvert.need_programs()
lab = Racks()
routers = {}


def top_of_rack():
    router = routers["b"] = Gobgp(lab.tors["b"], example("bgp-tor.gobgp.toml"))
    router.gobgp("global", "rib", "add", server_net("b"))
    lab.apply(example("bgp-tor.yaml"), nat=False)
    tor.routes_both_ways(lab, router, "b", router.program)
    tor.packets_both_ways(lab, "b")


def follows():
    """A block more, and one less: the router follows."""
    router = routers["b"]
    lab.cli("b1", "apply", "-f", "-", text=block_text("b1", MORE))
    tap.ok(net.wait_for(lambda: router.routes().get(MORE) == [ADDRESSES["b1"]], 5),
           "a new block is told to the router", router.routes)
    lab.cli("b1", "delete", "blockaffinity", "b1-10-244-90-0-26")
    tap.ok(net.wait_for(lambda: MORE not in router.routes(), 5), "… and withdrawn", router.routes)


def withdrawn():
    """The router withdraws the servers' network: no node keeps it."""
    router = routers["b"]
    router.gobgp("global", "rib", "del", server_net("b"))
    tap.ok(net.wait_for(lambda: lab.route_to("b1", server_net("b"), METRIC_BIRD) is None, 5),
           "withdrawn: b1 forgets it", lambda: lab.routes("b1"))
    router.gobgp("global", "rib", "add", server_net("b"))
    tap.ok(net.wait_for(lambda: lab.route_to("b1", server_net("b"), METRIC_BIRD), 5), "told again: back")
    tap.ok(ping(lab.pods["b1"], server("b")), "… and works")


if __name__ == "__main__":
    tap.main([top_of_rack, follows, withdrawn, lab.clean_end], lab.before, lab.after)
