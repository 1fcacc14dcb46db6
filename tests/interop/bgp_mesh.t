#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel heavy modes=fastpath long-modes=engine,endpoints,mixed
"""
A mesh of five nodes, where each has declared its own block and knows the Nodes, and learns the rest by
BGP. The network is that of ../packet/racks.py:

     pa1 ── a1 ┬ ta ──┐
     pa2 ── a2 ┘      │
     pb1 ── b1 ┬ tb ── r     no router knows a pod
     pb2 ── b2 ┘      │
     pc1 ── c1 ─ tc ──┘
"""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import culvert  # noqa: E402
import net  # noqa: E402
import tap  # noqa: E402
from cluster import ping, plug_pod  # noqa: E402
from racks import (ADDRESSES, METRIC_BIRD, NODES, PAIRS, Racks, bgp_text, lossless,  # noqa: E402
                   taken)
from zones import DEVICE, block_text, path_taken  # noqa: E402

MESH = bgp_text()
MOVING, SHARED, BORROWED = "10.244.77.0/26", "10.244.88.0/26", "10.244.3.40"
PATHS = {
    "CrossSubnet": {(a, b): "direct" if a[0] == b[0] else "tunnel" for a, b in PAIRS},
    "Always": dict.fromkeys(PAIRS, "tunnel"),
    "Never": dict.fromkeys(PAIRS, "direct"),
}
WORKLOAD = f"""\
---
apiVersion: culvert/v1
kind: Workload
metadata:
  name: guest
spec:
  node: a1
  device: pod1
  addresses: [{BORROWED}]
"""

culvert.need_programs()
lab = Racks()


def paths(pairs=PAIRS):
    """How pings really cross the wires."""
    return {pair: path_taken(lab, *pair) for pair in pairs}


def mesh():
    """Nobody lists every prefix: own blocks and all Nodes are declared."""
    lab.apply(MESH)
    tap.equal(lab.converge(PATHS["CrossSubnet"]), [], "every node learns every other's block")
    tap.equal(paths(), PATHS["CrossSubnet"], "CrossSubnet: captures say tunnel and direct")
    for name in NODES:
        status = lab.json(name, "bgp", "status")
        tap.equal((status["programs"]["now"], status["sessions"]["up"], status["sessions"]["down"],
                   status["problems"]), ("BIRD", 4, 0, []), f"{name}: BIRD programs, 4 sessions")
        others = [r for r in lab.routes(name, "proto 84") if "via" in r]
        tap.equal(others, [], "… and the agent no route to another node")
    for a, b in (("a1", "c1"), ("c1", "b2")):
        tap.ok(ping(lab.nodes[a], lab.pod(b)), f"host {a} reaches the pod of {b}")
        tap.ok(ping(lab.pods[a], ADDRESSES[b]), f"pod of {a} reaches the host {b}")
    learned = {r["prefix"]: r for r in lab.json("a1", "bgp", "routes")["routes"] if r["best"]}
    tap.equal(sorted(learned), sorted(lab.block(n) for n in NODES if n != "a1"), "a1: bgp routes")
    tap.equal((learned[lab.block("a2")]["way"], learned[lab.block("b1")]["way"]),
              ("direct", "tunnel"), "… says tunnel and direct", )


def modes():
    """Every change of mode, node after node, under numbered packets."""
    lab.underlay_knows(True)
    pairs = (("a1", "a2"), ("a1", "b1"), ("b1", "a1"), ("b2", "b1"), ("c1", "a2"), ("b2", "c1"))
    probes = lab.probes(pairs)
    for mode in ("Always", "Never", "CrossSubnet", "Never", "Always", "CrossSubnet"):
        lab.apply(MESH, mode=mode, pause=0.1)
        some = pairs[:3]
        wanted = {p: PATHS[mode][p] for p in some}
        net.wait_for(lambda s=some, w=wanted: paths(s) == w, 3)
        tap.equal(paths(some), wanted, f"{mode}: paths of a1 and b1")
    lossless(probes, "mode changes: ")
    lab.underlay_knows(False)


def declared():
    """Where all blocks are declared everywhere, BIRD programs all the same, once."""
    lab.apply(MESH, declared=True)
    tap.equal(lab.converge(PATHS["CrossSubnet"]), [], "declared: BIRD's routes are there")
    twice = [r for n in NODES for r in lab.routes(n, "proto 84") if "via" in r]
    tap.equal(twice, [], "… and the agent has none beside them")
    for name in NODES:
        for other in NODES:
            if other != name:
                lab.cli(name, "delete", "blockaffinity",
                        f"{other}-{lab.block(other).replace('.', '-').replace('/', '-')}")
    tap.equal(lab.converge(PATHS["CrossSubnet"]), [], "no longer declared: learned all the same")


def moves():
    """A prefix moves from node to node: taken from the new one at once, from the old one no more."""
    def is_at(node):
        return f"via {ADDRESSES[node]} " in (lab.route_to("c1", MOVING) or "")

    lab.cli("b1", "apply", "-f", "-", text=block_text("b1", MOVING))
    tap.ok(net.wait_for(lambda: is_at("b1"), 5), "c1 learns it from b1", lambda: lab.routes("c1"))
    net.wait_for(lambda: lab.accepted("c1", ADDRESSES["b1"], "10.244.77.2"), 2)
    tap.equal([lab.accepted("c1", ADDRESSES[n], "10.244.77.2") for n in ("b1", "a2")], [True, False],
              "packets from it are taken from b1 alone")
    lab.cli("a2", "apply", "-f", "-", text=block_text("a2", MOVING))
    lab.cli("b1", "delete", "blockaffinity", "b1-10-244-77-0-26")
    tap.ok(net.wait_for(lambda: is_at("a2"), 5), "c1 learns it from a2", lambda: lab.routes("c1"))
    tap.ok(net.wait_for(lambda: lab.accepted("c1", ADDRESSES["a2"], "10.244.77.2"), 1),
           "it is taken from a2 at once")
    tap.ok(net.wait_for(lambda: not lab.accepted("c1", ADDRESSES["b1"], "10.244.77.2"), 2),
           "… and from b1 no longer")
    lab.cli("a2", "delete", "blockaffinity", "a2-10-244-77-0-26")
    tap.ok(net.wait_for(lambda: lab.route_to("c1", MOVING) is None, 5), "withdrawn: gone")


def borrowed():
    """An address of b1's block is on a1: b1 itself goes there, too."""
    guest = net.Node("guest")
    plug_pod(guest, lab.nodes["a1"], "pod1", BORROWED)
    lab.cli("a1", "apply", "-f", "-", text=WORKLOAD)
    for name in ("a2", "b1", "c1"):
        tap.ok(net.wait_for(lambda n=name: ping(lab.pods[n], BORROWED, "-W1"), 5),
               f"pod of {name} reaches it", lambda n=name: lab.routes(n))
    tap.ok(f"dev {DEVICE}" in (lab.route_to("b1", BORROWED) or ""), "b1: through the tunnel",
           lambda: lab.routes("b1"))
    tap.ok(ping(lab.pods["c1"], lab.pod("b1")), "the rest of the block is still b1's")
    # One of our own block, that another node has borrowed and gives back.
    lab.cli("a1", "delete", "workload", "guest")
    tap.ok(net.wait_for(lambda: lab.route_to("c1", BORROWED) is None, 5), "given back: gone",
           lambda: lab.routes("c1"))
    own = WORKLOAD.replace(BORROWED, "10.244.1.40")
    lab.cli("a1", "apply", "-f", "-", text=own)
    net.wait_for(lambda: False, 0.5)
    tap.equal(lab.route_to("c1", "10.244.1.40"), None, "a /32 of its own block is not announced")
    lab.cli("a1", "delete", "workload", "guest")


def multipath():
    """A prefix that two nodes announce has two next hops; flows spread; both are authorised."""
    for name in ("a1", "b1"):
        lab.cli(name, "apply", "-f", "-", text=block_text(name, SHARED))
    hops = [f"nexthop via {ADDRESSES[n]} dev {DEVICE}" for n in ("a1", "b1")]
    tap.ok(net.wait_for(lambda: all(h in (lab.route_to("c1", SHARED) or "") for h in hops), 5),
           "c1 has both as next hops through the tunnel", lambda: lab.route_to("c1", SHARED))
    wires = {name: lab.wire(name) for name in ("a1", "b1")}
    for wire in wires.values():
        wire.drain()
    lab.spread("c1", "10.244.88.9")
    inner = bytes([10, 244, 88, 9])
    counts = {name: len(wire.collect(lambda p: p[9] == 4 and p[36:40] == inner and p[29] == 17,
                                     timeout=1, quiet=0.3)) for name, wire in wires.items()}
    tap.ok(min(counts.values()) >= 10 and sum(counts.values()) == 60, "60 flows are spread", counts)
    net.wait_for(lambda: lab.accepted("c1", ADDRESSES["b1"], "10.244.88.9"), 2)
    tap.equal({n: lab.accepted("c1", ADDRESSES[n], "10.244.88.9") for n in ("a1", "b1", "a2")},
              {"a1": True, "b1": True, "a2": False}, "both may send from it, nobody else")
    for wire in wires.values():
        wire.close()
    lab.cli("b1", "delete", "blockaffinity", "b1-10-244-88-0-26")
    tap.ok(net.wait_for(lambda: f"via {ADDRESSES['a1']} dev {DEVICE}" in
                        (lab.route_to("c1", SHARED) or "") and
                        ADDRESSES["b1"] not in lab.route_to("c1", SHARED), 5),
           "one leaves: the other is left", lambda: lab.route_to("c1", SHARED))
    lab.cli("a1", "delete", "blockaffinity", "a1-10-244-88-0-26")


def no_export():
    """Blocks of a pool with disableBGPExport are not announced."""
    lab.apply(MESH, pool_words="  disableBGPExport: true\n", names=["b1"])
    tap.ok(net.wait_for(lambda: lab.route_to("a1", lab.block("b1"), METRIC_BIRD) is None, 5),
           "disableBGPExport: a1 no longer learns b1's block", lambda: lab.routes("a1"))
    tap.ok(lab.knows("b1", "a1", "tunnel"), "… b1 learns a1's all the same")
    # apply keeps what a manifest says no more: it is said.
    lab.apply(MESH, names=["b1"], pool_words="  disableBGPExport: false\n")
    tap.equal(lab.converge(PATHS["CrossSubnet"]), [], "exported again")


if __name__ == "__main__":
    tap.main([mesh, declared, modes, moves, borrowed, multipath, no_export, lab.clean_end],
             lab.before, lab.after)
