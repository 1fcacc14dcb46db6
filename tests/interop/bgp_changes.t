#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel heavy modes=fastpath long-modes=endpoints,mixed
"""
Changes to a mesh: who programs its routes, under numbered packets at 1,000/s, of which none is lost;
tunnels forbidden; the pool device deleted; passwords. The network is that of ../packet/racks.py:

     pa1 ── a1 ┬ ta ──┐
     pa2 ── a2 ┘      │
     pb1 ── b1 ┬ tb ── r     no router knows a pod
     pb2 ── b2 ┘      │
     pc1 ── c1 ─ tc ──┘
"""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import culvert  # noqa: E402
import net  # noqa: E402
import tap  # noqa: E402
from racks import (METRIC_AGENT, METRIC_BIRD, NODES, PAIRS, Monitor, Racks,  # noqa: E402
                   bgp_text, lossless)
from zones import DEVICE, path_taken  # noqa: E402

MESH = bgp_text()
CROSS = {(a, b): "direct" if a[0] == b[0] else "tunnel" for a, b in PAIRS}
TRAFFIC = (("a1", "a2"), ("a1", "b1"), ("b1", "a1"), ("c1", "a1"))
FELIX = """\
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata:
  name: default
spec:
  ipipEnabled: {}
"""

# One is in its node's block, and not announced beside it; the other is borrowed from c1's.
OWN, BORROWED = "10.244.3.60", "10.244.5.40"
GUESTS = f"""\
---
apiVersion: culvert/v1
kind: Workload
metadata:
  name: guests
spec:
  node: b1
  addresses: [{OWN}, {BORROWED}]
"""

culvert.need_programs()
lab = Racks()


def entering():
    """
    BGP comes to nodes one after the other, under traffic: who has not entered yet announces
    nothing, and is reached by the agent's routes as before.
    """
    lab.apply(declared=True)
    tap.equal(lab.converge(CROSS, metric=METRIC_AGENT), [], "without BGP: the agent's routes")
    probes = lab.probes(TRAFFIC)
    lab.apply(MESH, declared=True, names=["a1", "a2"])
    tap.equal(lab.converge(CROSS, pairs=[("a1", "a2"), ("a2", "a1")]), [],
              "two have entered, and know each other by BGP")
    tap.ok(net.wait_for(lambda: not lab.knows("a1", "a2", metric=METRIC_AGENT), 10),
           "… the agent's route to each other goes", lambda: lab.routes("a1"))
    tap.ok(all(lab.knows("a1", name, metric=METRIC_AGENT) for name in ("b1", "b2", "c1")),
           "… those to the others stay", lambda: lab.routes("a1"))
    said = lab.json("a1", "bgp", "status")["programs"]
    tap.ok(said["now"] == "agent" and "no route to 3" in (said["hand_over"] or ""),
           "… status says what the hand-over waits for", said)
    for name in ("b1", "b2", "c1"):
        lab.apply(MESH, declared=True, names=[name], pause=1)
    tap.equal(lab.converge(CROSS), [], "all have entered: BIRD's routes")
    tap.ok(net.wait_for(lambda: not any(lab.knows(*p, metric=METRIC_AGENT) for p in PAIRS), 15),
           "… and none of the agent's", lambda: lab.routes("a1"))
    lossless(probes, "entering: ")


def mesh():
    lab.apply(MESH)
    tap.equal(lab.converge(CROSS), [], "every node learns every other's block")


def other_links():
    """
    Addresses come and go on a link that no route of BIRD's leaves by, and it is ignored: not one of
    BIRD's routes moves.
    """
    a1 = lab.nodes["a1"]
    a1.ip("link add spare type bridge", "link set spare up")
    include = os.path.join(lab.daemons["a1"].run_dir, "bird/culvert.conf")

    def is_told(words):
        with open(include, encoding="utf-8") as f:
            return words in f.read()

    def nothing_moves(what, change, words, is_there):
        monitor = Monitor(lab, ["a1"])
        change()
        tap.ok(net.wait_for(lambda: is_told(words) == is_there, 5), f"{what}: BIRD is told")
        time.sleep(0.5)
        said = [line for line in monitor.end().get("a1", ()) if "proto bird" in line]
        tap.equal(said, [], "… and none of its routes is touched")

    address, network = "198.51.100.1/24 dev spare", "198.51.100.0/24"
    nothing_moves("an address comes", lambda: a1.ip(f"addr add {address}"), network, True)
    for names in (["spare"], []):
        nothing_moves(f"ignoredInterfaces {names}", lambda n=names: lab.apply(
            bgp_text(ignoredInterfaces=n), names=["a1"]), '"spare"', bool(names))
    nothing_moves("an address goes", lambda: a1.ip(f"addr del {address}"), network, False)
    a1.ip("link del spare")


def who_programs():
    """
    programClusterRoutes goes to Disabled and back, node after node, without a loss; Workloads that
    every node hears of are handed over, too.
    """
    lab.apply(MESH, GUESTS, declared=True)
    probes = lab.probes(TRAFFIC)
    for word, now, metric, other in (("Disabled", "agent", METRIC_AGENT, METRIC_BIRD),
                                     ("Enabled", "BIRD", METRIC_BIRD, METRIC_AGENT)):
        lab.apply(bgp_text(programClusterRoutes=word), declared=True, pause=0.2)
        tap.equal(lab.converge(CROSS, metric=metric), [], f"{word}: routes of metric {metric}")
        tap.ok(net.wait_for(lambda o=other: not any(lab.knows(*p, metric=o) for p in PAIRS), 10),
               f"… and none of metric {other}", lambda: lab.routes("a1"))
        net.wait_for(lambda n=now: lab.json("a1", "bgp", "status")["programs"]["now"] == n, 10)
        said = lab.json("a1", "bgp", "status")["programs"]
        tap.equal((said["now"], said["wanted"]), (now, now), "… status says who")
        tap.equal([lab.route_to("a1", guest) is not None for guest in (OWN, BORROWED)],
                  [now == "agent", True], "… who has a route of his own")
        text = lab.cli("a1", "status").stdout
        tap.ok(now in text, "… also culvert status", text)
    lossless(probes, "who programs: ")
    for name in NODES:
        lab.cli(name, "delete", "workload", "guests")


def no_tunnel():
    """ipipEnabled: false: what would be tunnelled is not routed; what is direct stays."""
    lab.apply(MESH, FELIX.format("false"), names=["a1"])
    tap.ok(net.wait_for(lambda: not lab.knows("a1", "b1"), 5), "ipipEnabled false: no route to b1",
           lambda: lab.routes("a1"))
    tap.ok(lab.knows("a1", "a2", "direct"), "… a2 is reached directly", lambda: lab.routes("a1"))
    lab.apply(MESH, FELIX.format("true"), names=["a1"])
    tap.equal(lab.converge(CROSS), [], "ipipEnabled true: all is as before")
    tap.equal(path_taken(lab, "a1", "b1"), "tunnel", "… and works")


def device_goes():
    """Somebody deletes the pool device: it comes back, and BIRD's routes into it, too."""
    lab.nodes["a1"].ip(f"link del {DEVICE}")
    tap.ok(net.wait_for(lambda: lab.nodes["a1"].has(DEVICE), 5), "the device comes back")
    tap.equal(lab.converge(CROSS, pairs=[p for p in PAIRS if p[0] == "a1"]), [],
              "… with the routes that BIRD has learned")
    tap.equal(path_taken(lab, "a1", "b1"), "tunnel", "… and works")


def passwords():
    """nodeMeshPassword: all have it; one has a wrong one, which doctor names; no one prints it."""
    secret = {"nodeMeshPassword": {"secretKeyRef": {"name": "bgp", "key": "mesh"}}}
    for name in NODES:
        lab.secret(name, "bgp", "mesh", "correct-horse")
    lab.secret("c1", "bgp", "mesh", "wrong-battery")
    lab.apply(bgp_text(**secret))
    good = [p for p in PAIRS if "c1" not in p]

    def established(name):
        return {p["node"] for p in lab.json(name, "bgp", "peers")["peers"] if p["established"]}

    tap.ok(net.wait_for(lambda: established("a1") == {"a2", "b1", "b2"}, 20),
           "those with one password are up, c1 is not", lambda: lab.cli("a1", "bgp", "peers").stdout)
    tap.equal(lab.converge(CROSS, pairs=good), [], "… and know each other's blocks")

    def cause():
        return [p["cause"] for p in lab.json("a1", "bgp", "peers")["peers"] if p["node"] == "c1"]

    tap.ok(net.wait_for(lambda: cause() == ["password"], 20), "the cause is the password", cause)
    doctor = lab.cli("a1", "doctor", check=False).stdout
    tap.ok("the passwords of the two ends differ" in doctor, "doctor says so", doctor)
    said = "".join(lab.cli("a1", *words, check=False).stdout for words in (
        ("bgp", "status"), ("bgp", "peers"), ("-j", "bgp", "peers"), ("get", "bgpconfiguration", "-o", "yaml"),
        ("status",), ("metrics",))) + doctor + lab.daemons["a1"].log()
    tap.ok("correct-horse" not in said, "nobody prints it")
    lab.secret("c1", "bgp", "mesh", "correct-horse")
    lab.daemons["c1"].process.send_signal(signal.SIGHUP)
    tap.equal(lab.converge(CROSS, timeout=30), [], "mended: all are up",)


if __name__ == "__main__":
    tap.main([entering, mesh, other_links, who_programs, no_tunnel, device_goes, passwords, lab.clean_end], lab.before,
             lab.after)
