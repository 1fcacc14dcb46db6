#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath long-modes=engine
"""
Resources and machines that mean harm, or have bad luck: what is not ours stays, what must not be
led away is not, and what is ours comes back. The network is that of zones.py:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                  ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘               ├── office  192.168.7.7
                                  └── outside 203.0.113.9
"""

import os

import culvert
import net
import tap
from cluster import ping
from zones import ADDRESSES, DEVICE, NODES, POOL, Zones, block_text, path_taken

WORKLOAD = """\
---
apiVersion: culvert/v1
kind: Workload
metadata:
  name: {name}
spec:
  addresses: [{address}]
  node: {node}
{more}
"""

culvert.need_programs()
zones = Zones(start=False)


def routes(name):
    """The node's routes of ours, sorted."""
    return sorted(zones.nodes[name].run("ip route show proto 84").stdout.splitlines())


def apply(text, name="a1"):
    """On one node; CompletedProcess."""
    return zones.cli(name, "apply", "-f", "-", text=text, check=False)


def pool(name, cidr, mode="Always", block_size=26):
    """Another pool."""
    return "---\n" + POOL.format(name=name, cidr=cidr, mode=mode, nat="true", block_size=block_size)


def nodes_reached():
    """Of a1, on the underlay."""
    return [x for x in NODES if x == "a1" or ping(zones.nodes["a1"], ADDRESSES[x])]


def their_table():
    """An nftables table that somebody else has called culvert before us."""
    a1 = zones.nodes["a1"]
    a1.run(["nft", "-f", "-"], input="table ip culvert { chain theirs { counter\n }\n }\n")
    before = a1.run("nft list table ip culvert").stdout
    zones.start()
    zones.apply(zones.manifest())
    tap.equal(a1.run("nft list table ip culvert").stdout, before, "it stays as it was")
    nat = zones.status("a1")["nat"]
    tap.ok(not nat["in_force"] and "not ours" in (nat["problem"] or ""), "status says so", nat)
    tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "… and all else is in force")
    zones.daemons["a1"].stop()
    zones.daemons["a1"].purge()
    tap.equal(a1.run("nft list table ip culvert").stdout, before, "purge leaves it")
    zones.daemons["a1"].start()
    a1.run("nft delete table ip culvert")
    zones.cli("a1", "apply", "-f", "-", text=pool("other", "10.99.0.0/16"))
    tap.ok(zones.status("a1")["nat"]["in_force"], "once it is gone, ours comes", zones.status("a1")["nat"])
    # Of a run directory that was lost, ours are still ours.
    zones.daemons["a1"].stop()
    os.unlink(os.path.join(zones.daemons["a1"].run_dir, "pools.json"))
    zones.daemons["a1"].start()
    tap.ok(zones.status("a1")["nat"]["in_force"], "ours is known without a note", zones.status("a1")["nat"])
    zones.cli("a1", "delete", "ippool", "other")


def claims_of_nodes():
    """Whoever claims a node's address, or the subnet it is in, does not cut it off."""
    for what, text in {
            "b1's own address": pool("p2", "192.168.200.0/24") +
                                WORKLOAD.format(name="w", address=ADDRESSES["b1"], node="b1", more=""),
            "a2's, as one of b1": pool("p2", "192.168.100.0/24") +
                                  WORKLOAD.format(name="w", address=ADDRESSES["a2"], node="b1", more=""),
            "a2's, behind a device of a1": WORKLOAD.format(
                name="w", address=ADDRESSES["a2"], node="a1", more="  device: pod0"),
            "all of b1's subnet": pool("p2", "192.168.0.0/16") +
                                  WORKLOAD.format(name="w", address="192.168.200.0/24", node="b1", more=""),
            "the half of a1's subnet, in no pool": block_text("a1", "192.168.100.0/25"),
    }.items():
        done = apply(text)
        tap.equal(done.returncode, 0, f"a claim of {what} is applied")
        tap.equal(nodes_reached(), list(NODES), "… and every node is still reached")
        tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "… also by its pods")
        for kind, name in (("workload", "w"), ("ippool", "p2"), ("blockaffinity", "a1-192-168-100-0-25")):
            zones.cli("a1", "delete", kind, name, check=False)
        tap.equal((path_taken(zones, "a1", "a2"), path_taken(zones, "a1", "b1")),
                  ("direct", "tunnel"), "deleted: all is as before")


def lost_address():
    """The card's address is gone for a while: nothing inner leaves another way, nothing is made anew."""
    a1 = zones.nodes["a1"]
    index = a1.run(f"ip -o link show {DEVICE}").stdout.split(":")[0]
    net.connect(a1, "eth1", zones.r, "to-a1-2")
    zones.r.ip("addr add 192.168.9.254/24 dev to-a1-2")
    a1.ip("addr add 192.168.9.1/24 dev eth1", "route add default via 192.168.9.254 metric 500")
    wire = zones.r.wire("to-a1-2")
    a1.ip(f"addr del {ADDRESSES['a1']}/24 dev eth0")
    status = {}

    def told():
        status.update(zones.status("a1"))
        return status["node"]["problem"]

    tap.ok(net.wait_for(told, 3), "it is told")
    tap.ok(a1.has(DEVICE), "the pool device stays")
    tap.ok(any(r.startswith("unreachable 10.244.0.0/16") for r in routes("a1")), "… and the guard",
           lambda: routes("a1"))
    wire.drain()
    ping(zones.pods["a1"], "10.244.9.9")
    ping(zones.pods["a1"], zones.pod("a2"))
    inner = lambda p: p[16:18] == b"\x0a\xf4"  # pylint: disable=unnecessary-lambda-assignment
    tap.equal(wire.expect(inner, 0.3), None, "… so nothing inner leaves by another card")
    wire.close()
    a1.ip(f"addr add {ADDRESSES['a1']}/24 dev eth0", "route add default via 192.168.100.254")
    tap.ok(net.wait_for(lambda: not told(), 3), "it is back, and the problem is gone")
    tap.equal((path_taken(zones, "a1", "a2"), path_taken(zones, "a1", "b1")), ("direct", "tunnel"),
              "all is as before")
    now = a1.run(f"ip -o link show {DEVICE}").stdout.split(":")[0]
    tap.equal(now, index, "… and the device is the one it was")
    a1.ip("link del eth1")


if __name__ == "__main__":
    tap.main([their_table, claims_of_nodes, lost_address, zones.clean_end], zones.before, zones.after)
