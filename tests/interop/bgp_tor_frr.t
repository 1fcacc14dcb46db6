#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath long-modes=engine,endpoints,mixed
"""
A top-of-rack router that is a real FRR, by doc/examples/bgp-tor.yaml and bgp-tor.frr.conf. The network
is that of ../packet/racks.py:

     pa1 ── a1 ┬ ta (FRR, AS 65101) ──┐
     pa2 ── a2 ┘ └ sa                 │
     pb1 ── b1 ┬ tb ───────────────── r
     pb2 ── b2 ┘                      │
     pc1 ── c1 ─ tc ──────────────────┘
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
from racks import METRIC_BIRD, Racks, example, gateway, server_net  # noqa: E402
from routers import Frr  # noqa: E402

culvert.need_programs()
lab = Racks()
routers = {}


def top_of_rack():
    routers["a"] = Frr(lab.tors["a"], example("bgp-tor.frr.conf"))
    lab.apply(example("bgp-tor.yaml"), nat=False)
    tor.routes_both_ways(lab, routers["a"], "a")
    tor.packets_both_ways(lab, "a")


def refused():
    """What a top-of-rack router has no business to announce is not taken, and is named."""
    bad = {"0.0.0.0/0": "default", "192.168.200.0/24": "underlay", "192.168.200.1/32": "host",
           "172.29.0.0/16": "no-pool", "10.244.1.0/27": "our-block"}
    tor.announce_frr(routers["a"], bad)

    def seen():
        return {r["prefix"]: r["refused"] for r in
                lab.json("a1", "bgp", "routes", "--refused")["routes"]}

    tap.ok(net.wait_for(lambda: set(bad) <= set(seen()), 10), "a1 refuses them", seen)
    names = seen()
    for prefix in bad:
        tap.note(f"{prefix}: {names.get(prefix)}")
        tap.ok(prefix in names, f"{prefix} is refused, by name")
        tap.ok("proto bird" not in (lab.route_to("a1", prefix, METRIC_BIRD) or ""), "… and is no route")
    tap.ok(lab.knows("a1", "b1", "tunnel") and lab.knows("a1", "a2", "direct"),
           "the others' blocks are as they were")


def router_closes():
    """The router closes its sessions: what it told is gone, the mesh is unharmed; and it comes back."""
    def shutdown(words):
        routers["a"].vtysh("configure terminal", "router bgp 65101", words + "neighbor nodes shutdown")

    shutdown("")
    tap.ok(net.wait_for(lambda: lab.route_to("a1", server_net("a"), METRIC_BIRD) is None, 10),
           "the router closes its sessions: its network is gone", lambda: lab.routes("a1"))
    tap.equal(lab.converge(tor.CROSS), [], "… the mesh is as it was")

    def shown():
        peers = lab.json("a1", "bgp", "peers")["peers"]
        return next(p for p in peers if p["address"] == gateway("a"))

    # First it says so, then it cuts what we try.
    tap.ok(net.wait_for(lambda: shown()["cause"] in ("peer-closed", "reset"), 15),
           "bgp peers says why", shown)
    said = lab.cli("a1", "doctor", check=False).stdout
    tap.ok("has closed the session" in said or "cuts the connection at once" in said,
           "… and doctor", said)
    shutdown("no ")
    tor.routes_both_ways(lab, routers["a"], "a")


if __name__ == "__main__":
    tap.main([top_of_rack, refused, router_closes, lab.clean_end], lab.before, lab.after)
