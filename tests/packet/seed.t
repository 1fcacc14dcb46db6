#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine,endpoints
"""
The seed's manifest on the seed's addresses: the pool, 192.168.0.0/16, contains the nodes, their
subnets and two offices. The network is that of zones.py with pods inside 192.168.0.0/16, and a desk
in the subnet of a1 and a2:

     pa1 .1.2 ── a1 .100.1 ┐                                  .200.2 b1 ── pb1 .3.2
     pa2 .2.2 ── a2 .100.2 ┼── br-a .100.254  r  .200.254 ──────────┘
          desk   .100.77   ┘                  ├── office  192.168.7.7
                                              └── outside 203.0.113.9
"""

import os
import time

import culvert
import net
import tap
from cluster import Server, ping, tcp_works
from zones import ADDRESSES, NODE, NODES, OFFICE, OUTSIDE, Zones, block_text, path_taken

# The issue's, word for word.
MANIFEST = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
    name: default-ipv4-ippool
spec:
    cidr: 192.168.0.0/16
    ipipMode: CrossSubnet
    natOutgoing: true
"""
RESERVATION = """\
---
apiVersion: projectcalico.org/v3
kind: IPReservation
metadata:
  name: office
spec:
  reservedCIDRs: [192.168.7.0/24]
"""
DESK = "192.168.100.77"
PAIRS = [(a, b) for a in NODES for b in NODES if a != b]

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
zones = Zones(base="192.168")
desk = net.Node("desk")
net.connect(desk, "eth0", zones.r, "to-desk", offload=True)
zones.r.ip("link set to-desk master br-a")
desk.ip(f"addr add {DESK}/24 dev eth0", "route add default via 192.168.100.254")
servers = {name: Server(node) for name, node in
           (("office", zones.office), ("desk", desk), ("outside", zones.outside),
            *(("p" + name, zones.pods[name]) for name in NODES))}
HOSTS = (("the office", OFFICE, zones.office), ("the desk", DESK, desk),
         ("outside", OUTSIDE, zones.outside))


def nodes_text(names=NODES):
    """Nodes and blocks, for the manifest's end."""
    return "".join(NODE.format(name=name, address=ADDRESSES[name] + "/24",
                               tunnel=zones.tunnel_address(name))
                   + block_text(name, zones.block(name)) for name in names)


def seen_by(name, source, address):
    """Whom a server sees when source connects to it, or why it sees nobody."""
    servers[name].peers.clear()
    problem = tcp_works(source, (address, 7000))
    return problem or servers[name].peers


def guards(name):
    """The node's guard routes."""
    return zones.nodes[name].run("ip route show type unreachable").stdout


def hosts_reach_each_other(when):
    """Nodes each other and everybody who is no pod, both ways: the pool cuts off nobody."""
    cut = [f"{a} to {b}" for a, b in PAIRS if not ping(zones.nodes[a], ADDRESSES[b])]
    tap.equal(cut, [], f"{when}: nodes reach each other")
    for what, address, host in HOSTS:
        cut = [f"{name} to it" for name in NODES if not ping(zones.nodes[name], address)]
        cut += [f"it to {name}" for name in NODES if not ping(host, ADDRESSES[name])]
        tap.equal(cut, [], f"{when}: nodes and {what} reach each other")
    cut = [name for name in NODES
           if not ping(zones.nodes[name], ADDRESSES[name].rsplit(".", 1)[0] + ".254")]
    tap.equal(cut, [], f"{when}: nodes reach their gateways")


def the_manifest_alone():
    hosts_reach_each_other("before")
    zones.apply(MANIFEST)
    hosts_reach_each_other("the manifest alone")
    for name in NODES:
        tap.equal(guards(name), "", f"{name}: no guard where nothing but the pool is known")


def nodes_one_by_one():
    """One file per host is how it is done; between the first and the last nobody is cut off."""
    for name in NODES:
        zones.apply(MANIFEST + nodes_text() + RESERVATION, [name])
        hosts_reach_each_other(f"applied on {name}")
    for name in NODES:
        tap.ok("unreachable" in guards(name), f"{name}: the guard is there", lambda n=name: guards(n))
    digests = {zones.status(name)["store"]["digest"] for name in NODES}
    tap.equal(len(digests), 1, "three hosts, one digest")


def pods():
    for source, target in PAIRS:
        same = source[0] == target[0]
        tap.equal(path_taken(zones, source, target), "direct" if same else "tunnel",
                  f"pod of {source} to pod of {target}")
        tap.equal(seen_by("p" + target, zones.pods[source], zones.pod(target)), [zones.pod(source)],
                  "… by TCP, as itself")
        tap.ok(ping(zones.nodes[source], zones.pod(target)), f"host {source} to pod of {target}")
        tap.ok(ping(zones.pods[source], ADDRESSES[target]), f"pod of {source} to host {target}")


def offices():
    """Inside the pool's range and yet outside of the overlay: masqueraded."""
    for source in NODES:
        for name, address in (("office", OFFICE), ("desk", DESK), ("outside", OUTSIDE)):
            tap.equal(seen_by(name, zones.pods[source], address), [ADDRESSES[source]],
                      f"pod of {source} to the {name}: seen as its node")
            tap.equal(seen_by(name, zones.nodes[source], address), [ADDRESSES[source]],
                      f"host {source} to the {name}: as it is")
            tap.ok(ping(zones.pods[source], address), f"pod of {source} pings the {name}")


def what_nobody_owns():
    """The guard answers at once for overlay addresses that no node has, and sends nothing."""
    wire = zones.wire("a1")
    for source in (zones.pods["a1"], zones.nodes["a1"]):
        wire.drain()
        began = time.monotonic()
        done = source.run("ping -n -c1 -W2 192.168.50.5", check=False)
        tap.ok(done.returncode and time.monotonic() - began < 1,
               f"{source.name}: an address of no node is refused at once", done.stdout)
        inner = bytes((192, 168, 50, 5))
        seen = wire.expect(lambda p: inner in (p[16:20], p[36:40]), 0.2)
        tap.equal(seen, None, "… and nothing of it is on the wire")
    wire.close()


def without_the_reservation():
    """The overlay takes the office's addresses for its own; status says what to do."""
    for name in NODES:
        zones.cli(name, "delete", "ipreservation", "office")
    for source in ("a1", "b1"):
        for node in (zones.pods[source], zones.nodes[source]):
            began = time.monotonic()
            done = node.run(f"ping -n -c1 -W2 {OFFICE}", check=False)
            tap.ok(done.returncode, f"{node.name}: the office is unreachable", done.stdout)
            tap.ok(time.monotonic() - began < 1, "… and that is said at once")
        warnings = zones.status(source)["warnings"]
        tap.ok(any("default-ipv4-ippool" in w and "unreachable" in w and "IPReservation" in w
                   for w in warnings), f"{source}: status has warned of it", lambda: warnings)
    # What the nodes' own subnets say needs nobody's word.
    tap.equal(seen_by("desk", zones.pods["b1"], DESK), [ADDRESSES["b1"]],
              "pod of b1 to the desk: needs no reservation")
    tap.ok(ping(zones.nodes["a1"], ADDRESSES["b1"]), "nodes reach each other")
    tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "pods reach each other")
    zones.apply(RESERVATION)
    tap.equal(seen_by("office", zones.pods["a1"], OFFICE), [ADDRESSES["a1"]],
              "reserved again: the office is reached")


def always():
    zones.apply(MANIFEST.replace("CrossSubnet", "Always"))
    hosts_reach_each_other("Always")
    for source, target in PAIRS:
        tap.equal(path_taken(zones, source, target), "tunnel", f"Always: {source} to {target}")
    tap.equal(seen_by("office", zones.pods["a2"], OFFICE), [ADDRESSES["a2"]],
              "Always: a pod reaches the office")
    tap.equal(seen_by("desk", zones.pods["a2"], DESK), [ADDRESSES["a2"]],
              "Always: a pod reaches the desk in its node's subnet")


def the_pool_goes():
    for name in NODES:
        zones.cli(name, "delete", "ippool", "default-ipv4-ippool", check=False)
        tap.equal(guards(name), "", f"{name}: without the pool there is no guard")
    hosts_reach_each_other("without the pool")
    tap.ok(not any(ping(zones.pods[a], zones.pod(b), "-W1") for a, b in PAIRS), "pods do not any longer")


if __name__ == "__main__":
    tap.main([the_manifest_alone, nodes_one_by_one, pods, offices, what_nobody_owns,
              without_the_reservation, always, the_pool_goes, zones.clean_end],
             zones.before, zones.after)
