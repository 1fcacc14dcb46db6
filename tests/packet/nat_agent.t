#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine,endpoints
"""
natOutgoing with the whole agent, beside other people's tables (foreign.py) on every node: who is
seen as the source, with real pods, tunnels and routes. The table itself is nat.t's. The network is
that of zones.py.
"""

import os
import socket
import threading

import culvert
import tap
from cluster import Server, tcp_works, udp_works
from foreign import FLOWTABLE, FOREIGN
from zones import ADDRESSES, DEVICE, NODES, OUTSIDE, Zones

FELIX = """\
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata:
  name: default
spec:
  natOutgoingExclusions: {exclusions}
"""

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
zones = Zones()
servers = {"outside": Server(zones.outside),
           **{"p" + name: Server(zones.pods[name]) for name in NODES},
           **{name: Server(zones.nodes[name]) for name in NODES}}


def seen(name, source, address, works=tcp_works):
    """Whom a server sees, or what went wrong."""
    servers[name].peers.clear()
    problem = works(source, (address, 7000))
    return problem or servers[name].peers[-1]


def nft(script):
    """Let every node have it, and forget what was translated before."""
    for node in zones.nodes.values():
        node.run(["nft", "-f", "-"], input=script)
        node.run("conntrack -F", check=False)


def possible(name):
    """False, and said, where this kernel cannot have these tables."""
    done = zones.nodes["a1"].run(["nft", "-c", "-f", "-"], check=False, input=FOREIGN[name])
    if not done.returncode:
        return True
    if name == FLOWTABLE and "flowtable" in done.stderr:
        tap.skip(name, "this kernel has no flowtables")
        return False
    raise RuntimeError(done.stderr)


def remove(name):
    """Take the foreign tables away, and nothing else."""
    for line in FOREIGN[name].splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            nft(f"delete table {words[1]} {words[2]}\n")


def check(when):
    """Everybody who may be translated, and everybody who may not."""
    a1, pa1 = zones.nodes["a1"], zones.pods["a1"]
    for works, kind in ((tcp_works, "TCP"), (udp_works, "UDP")):
        tap.equal(seen("outside", pa1, OUTSIDE, works), ADDRESSES["a1"],
                  f"{when}: {kind}, pod to outside: masqueraded")
        for name, way in (("a2", "directly"), ("b1", "by tunnel")):
            tap.equal(seen("p" + name, pa1, zones.pod(name), works), zones.pod("a1"),
                      f"{when}: {kind}, pod to pod {way}: as it is")
            tap.equal(seen("pa1", zones.pods[name], zones.pod("a1"), works), zones.pod(name),
                      f"{when}: {kind}, … and back")
        tap.equal(seen("pb1", a1, zones.pod("b1"), works), zones.tunnel_address("a1"),
                  f"{when}: {kind}, host into the tunnel: by its tunnel address")
    for name in ("a1", "b1"):
        tracked = zones.nodes[name].run("conntrack -L -p 4").stdout
        tap.equal(tracked, "", f"{when}: {name} does not track tunnel packets")


def beside(name):
    """One set of foreign tables."""
    zones.apply(zones.manifest())
    if not possible(name):
        return
    nft(FOREIGN[name])
    before = zones.nodes["a1"].run("nft -a -s list ruleset").stdout
    check(name)
    # The agent changes its own table, and leaves the others alone.
    zones.apply(zones.manifest("Always"))
    zones.apply(zones.manifest())
    after = zones.nodes["a1"].run("nft -a -s list ruleset").stdout
    tap.equal(*(without_ours(text) for text in (after, before)), f"{name}: theirs is as it was")
    remove(name)


def beside_others():
    for name in FOREIGN:
        if name != FLOWTABLE:
            beside(name)


def beside_a_flowtable():
    """On its own, as many kernels have none: tests/guest/kernels.long.t runs it in those that do."""
    beside(FLOWTABLE)


def without_ours(ruleset):
    """A ruleset without the table of ours."""
    tables = ruleset.split("\ntable ")
    return [t for t in tables if not t.removeprefix("table ").startswith("ip culvert ")]


def they_come_later():
    """A firewall that is (re)started under the agent, and the agent under a firewall."""
    name = "firewalld's tables"
    nft(FOREIGN[name])
    zones.daemons["a1"].stop()
    if zones.daemons["a1"].has_fastpath:
        check("the agent is away")
    zones.daemons["a1"].start()
    check("the agent is back")
    remove(name)


def exclusions():
    """To nodes' own addresses: masqueraded, or (IPPoolsAndHostIPs) not, in both zones."""
    for name in ("no other table", "a masquerade at srcnat"):
        nft(FOREIGN[name])
        for exclusion, source in (("IPPoolsOnly", ADDRESSES["a1"]),
                                  ("IPPoolsAndHostIPs", zones.pod("a1"))):
            zones.apply(FELIX.format(exclusions=exclusion))
            for target, way in (("a2", "in the same subnet"), ("b1", "in the other zone")):
                zones.nodes["a1"].run("conntrack -F", check=False)
                tap.equal(seen(target, zones.pods["a1"], ADDRESSES[target]), source,
                          f"{name}: {exclusion}: a host {way} sees")
            tap.equal(seen("outside", zones.pods["a1"], OUTSIDE), ADDRESSES["a1"],
                      f"{name}: {exclusion}: outside is no host")
        remove(name)
    for name in NODES:
        zones.cli(name, "delete", "felixconfiguration", "default")


def connections_outlive_changes():
    """A connection to the outside, and one through the tunnel, while the pool changes."""
    links = {name: zones.pods["a1"].socket(socket.AF_INET, socket.SOCK_STREAM)
             for name in ("outside", "pb1")}
    problems = []
    for name, link in links.items():
        link.settimeout(5)
        link.connect((OUTSIDE if name == "outside" else zones.pod("b1"), 7000))
    for i, mode in enumerate(("Always", "CrossSubnet", "Always", "CrossSubnet")):
        zones.apply(zones.manifest(mode))
        for name, link in links.items():
            link.sendall(b"%4d" % i)
            got = link.recv(4)
            if got != b"%4d" % i:
                problems.append((name, mode, got))
        threading.Event().wait(0.05)
    tap.equal(problems, [], "connections go on while the pool's mode changes")
    for link in links.values():
        link.close()


def no_longer():
    """natOutgoing: false, and nobody is masqueraded any longer, nor answered (the router knows no pod)."""
    zones.apply(zones.manifest(nat=False))
    zones.nodes["a1"].run("conntrack -F", check=False)
    wire = zones.wire("a1")
    pod = bytes(map(int, zones.pod("a1").split(".")))
    zones.pods["a1"].run(f"ping -n -c1 -W1 {OUTSIDE}", check=False)
    packet = wire.expect(lambda p: p[9] == 1 and p[16:20] == bytes((203, 0, 113, 9)), 1)
    wire.close()
    tap.ok(packet and packet[12:16] == pod, "natOutgoing: false: the pod itself leaves",
           lambda: packet and packet.hex())
    tap.equal(seen("pb1", zones.nodes["a1"], zones.pod("b1")), zones.tunnel_address("a1"),
              "… a host still goes by its tunnel address")
    tap.ok(zones.nodes["a1"].has(DEVICE), "… the device is still there")


if __name__ == "__main__":
    tap.main([beside_others, beside_a_flowtable, they_come_later, exclusions, connections_outlive_changes, no_longer,
              zones.clean_end], zones.before, zones.after)
