#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel heavy modes=fastpath long-modes=engine,mixed
"""
Two route reflectors, b1 and b2, instead of a mesh: doc/examples/bgp-reflectors.yaml. The network is
that of ../packet/racks.py:

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
from racks import ADDRESSES, NODES, PAIRS, Racks, bgp_text, example, lossless  # noqa: E402
from zones import DEVICE, block_text, path_taken  # noqa: E402

REFLECTORS = ("b1", "b2")
CROSS = {(a, b): "direct" if a[0] == b[0] else "tunnel" for a, b in PAIRS}
WORDS = {"labels": {n: {"route-reflector": "true"} for n in REFLECTORS},
         "clusters": dict.fromkeys(REFLECTORS, "244.0.0.1")}
SHARED, LATE = "10.244.88.0/26", "10.244.89.0/26"

culvert.need_programs()
lab = Racks()


def sessions(name):
    """The nodes that a node has sessions with, and which of these are up."""
    peers = lab.json(name, "bgp", "peers")["peers"]
    return {p["node"]: p["established"] for p in peers}


def from_mesh():
    """From a mesh to reflectors as the guide has it: those that are none lose nothing."""
    lab.apply(bgp_text())
    tap.equal(lab.converge(CROSS), [], "a mesh, to begin with")
    probes = lab.probes((("a1", "a2"), ("a1", "c1"), ("c1", "a2")))
    beside = example("bgp-reflectors.yaml").replace("MeshEnabled: false", "MeshEnabled: true")
    lab.apply(beside, **WORDS)
    tap.ok(net.wait_for(lambda: all(all(sessions(n).values()) for n in NODES), 15),
           "sessions with the reflectors beside the mesh", lambda: {n: sessions(n) for n in NODES})
    tap.equal(lab.converge(CROSS), [], "… and all routes")
    lab.apply(example("bgp-reflectors.yaml"), **WORDS)
    tap.equal(lab.converge(CROSS), [], "the mesh is off: every node learns every other's block")
    net.wait_for(lambda: False, 1)
    lossless(probes, "from mesh to reflectors: ")


def reflectors():
    wanted = {n: {o: True for o in NODES if o != n and (n in REFLECTORS or o in REFLECTORS)}
              for n in NODES}
    tap.ok(net.wait_for(lambda: all(sessions(n) == wanted[n] for n in NODES), 10),
           "every node speaks with the reflectors alone, those with all",
           lambda: {n: sessions(n) for n in NODES})
    tap.equal({p: path_taken(lab, *p) for p in PAIRS}, CROSS, "captures say tunnel and direct")


def multipath():
    """Two next hops of one prefix pass the reflectors."""
    for name in ("a1", "a2"):
        lab.cli(name, "apply", "-f", "-", text=block_text(name, SHARED))
    hops = [f"nexthop via {ADDRESSES[n]} dev {DEVICE}" for n in ("a1", "a2")]
    tap.ok(net.wait_for(lambda: all(h in (lab.route_to("c1", SHARED) or "") for h in hops), 5),
           "c1 has both next hops", lambda: lab.route_to("c1", SHARED))
    net.wait_for(lambda: lab.accepted("c1", ADDRESSES["a2"], "10.244.88.9"), 2)
    tap.equal({n: lab.accepted("c1", ADDRESSES[n], "10.244.88.9") for n in ("a1", "a2", "b1")},
              {"a1": True, "a2": True, "b1": False},
              "both may send from it, the reflector may not")
    for name in ("a1", "a2"):
        lab.cli(name, "delete", "blockaffinity", f"{name}-10-244-88-0-26")


def one_dies():
    """A reflector goes, with its culvertd: nothing is lost among the others, and they still learn."""
    probes = lab.probes((("a1", "c1"), ("c1", "a1"), ("a2", "b1"), ("a1", "a2")))
    pid = lab.bird_pid("b2")
    lab.daemons["b2"].stop(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    tap.ok(net.wait_for(lambda: not sessions("a1")["b2"], 10), "b2 is gone")
    lab.cli("a1", "apply", "-f", "-", text=block_text("a1", LATE))
    tap.ok(net.wait_for(lambda: f"via {ADDRESSES['a1']} dev {DEVICE}" in
                        (lab.route_to("c1", LATE) or ""), 5),
           "c1 learns what is new from the other one", lambda: lab.routes("c1"))
    lossless(probes, "a reflector dies: ")
    lab.daemons["b2"].start()
    tap.ok(net.wait_for(lambda: all(sessions("b2").values()), 20), "b2 is back",
           lambda: lab.cli("b2", "bgp", "peers").stdout)
    tap.equal(lab.converge(CROSS), [], "… and all is as before")


if __name__ == "__main__":
    tap.main([from_mesh, reflectors, multipath, one_dies, lab.clean_end], lab.before, lab.after)
