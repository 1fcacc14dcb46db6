#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=engine,fastpath,endpoints
"""
`culvert trace` says what becomes of a packet; here packets are sent, and it must be so. The network
is that of zones.py:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                  ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘               ├── office  192.168.7.7
                                  └── outside 203.0.113.9
"""

import json
import os
import socket

import culvert
import tap
from cluster import PORT, Server, ping
from zones import ADDRESSES, DEVICE, NODES, OFFICE, OUTSIDE, Zones, path_taken

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
zones = Zones()
PAIRS = [(a, b) for a in NODES for b in NODES if a != b]
servers = {}


def trace(name, *words):
    """culvert -j trace on a node, with its steps by their names."""
    result = json.loads(zones.cli(name, "-j", "trace", *words).stdout)
    result["by_name"] = {s["step"]: s for s in result["steps"]}
    return result


def trace_pods(source, target, address=None):
    """From a pod to another's address."""
    return trace(source, "from", zones.pod(source), "dev", "pod0", address or zones.pod(target))


def setup():
    for name in NODES:
        # As large as the network's, so that it is the nodes who say what is too large.
        zones.pods[name].ip("link set eth0 mtu 1500")
        zones.nodes[name].ip("link set pod0 mtu 1500")
    zones.apply(zones.manifest())
    for name, node in (("pb1", zones.pods["b1"]), ("pa2", zones.pods["a2"]),
                       ("office", zones.office), ("outside", zones.outside),
                       ("b1", zones.nodes["b1"])):
        servers[name] = Server(node)


def agree(mode, also_none=False):
    """Of every pair of pods: the verdict is what is seen on the wire."""
    for source, target in PAIRS:
        told = trace_pods(source, target)
        taken = path_taken(zones, source, target)
        tap.equal({"underlay": None if also_none else "direct"}.get(told["verdict"], told["verdict"]),
                  taken, f"{mode}: {source} to {target}: {told['verdict']}")
        tap.ok("conflict" not in told["by_name"], "… without a conflict", told)


def verdicts():
    agree("CrossSubnet")
    zones.apply(zones.manifest(mode="Always"))
    agree("Always")
    zones.apply(zones.manifest(mode="Never"))
    agree("Never, and no routes", also_none=True)
    for name in NODES:
        gateway = ADDRESSES[name]
        zones.r.ip(f"route add {zones.block(name)} via {gateway}")
    agree("Never, and the router's routes")
    for name in NODES:
        zones.r.ip(f"route del {zones.block(name)}")
    zones.apply(zones.manifest())


def outer_header_and_size():
    """The outer destination, and the size that just passes."""
    for source, target in PAIRS:
        told = trace_pods(source, target)
        if told["verdict"] == "tunnel":
            tap.equal(told["outer_destination"], ADDRESSES[target],
                      f"{source} to {target}: the outer destination")
        else:
            tap.equal(told["outer_destination"], None, f"{source} to {target}: no outer header")
        for size, passes in ((told["mtu"], True), (told["mtu"] + 1, False)):
            seen = ping(zones.pods[source], zones.pod(target), "-M", "do", "-s", str(size - 28))
            tap.equal(seen, passes, f"… {size} bytes {'pass' if passes else 'do not pass'}")


def carried():
    told = trace_pods("a1", "b1")["by_name"]["carried"]["text"]
    tap.equal(told, "by the engine" if culvert.MODE == culvert.ENGINE else "by the fast path",
              "what carries it")


def source_seen(node, address, server, bind=""):
    """Whose address a connection to a server has there."""
    server.peers.clear()
    s = node.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    with s:
        s.settimeout(3)
        s.bind((bind, 0))
        s.connect((address, PORT))
        s.sendall(b"x")
        s.recv(1)
    return server.peers[0]


def check_nat(name, told, source, seen, what):
    """A step `nat` that says what the source became, or none, and no change."""
    text = told["by_name"].get("nat", {}).get("text", f"{source} stays")
    wanted = f"{source} stays" if seen == source else f"{source} becomes {seen}"
    tap.equal(text, wanted, f"{name}: {what}")


def nat():
    for address, server, what in ((OUTSIDE, "outside", "outside"), (OFFICE, "office", "the office"),
                                  (zones.pod("b1"), "pb1", "a pod, by the tunnel"),
                                  (zones.pod("a2"), "pa2", "a pod, directly"),
                                  (ADDRESSES["b1"], "b1", "another node")):
        seen = source_seen(zones.pods["a1"], address, servers[server])
        check_nat("a pod", trace_pods("a1", None, address), zones.pod("a1"), seen, f"to {what}")
    a1 = zones.nodes["a1"]
    for bind in (ADDRESSES["a1"], zones.tunnel_address("a1")):
        for address, server in ((zones.pod("b1"), "pb1"), (zones.pod("a2"), "pa2")):
            seen = source_seen(a1, address, servers[server], bind)
            check_nat("the host", trace("a1", "from", bind, address), bind, seen,
                      f"{bind} to {address}")


def nat_of_other_addresses():
    """A bridge's address of our block is the overlay's, too; a route's source is not masquerade's."""
    a1 = zones.nodes["a1"]
    a1.ip("link add br0 type bridge", "addr add 10.244.1.1/24 dev br0", "link set br0 up",
          "addr add 192.168.100.77/24 dev eth0",
          "route change default via 192.168.100.254 src 192.168.100.77")
    seen = source_seen(a1, zones.pod("b1"), servers["pb1"], "10.244.1.1")
    check_nat("a bridge's address", trace("a1", "from", "10.244.1.1", zones.pod("b1")), "10.244.1.1",
              seen, "by the tunnel")
    seen = source_seen(zones.pods["a1"], OUTSIDE, servers["outside"])
    check_nat("a pod", trace_pods("a1", None, OUTSIDE), zones.pod("a1"), seen,
              "outside, where the route has a source")
    seen = source_seen(a1, OUTSIDE, servers["outside"])
    tap.equal(trace("a1", OUTSIDE)["source"], seen, "the host's own source is the route's")
    a1.ip("link del br0", "addr del 192.168.100.77/24 dev eth0",
          "route replace default via 192.168.100.254")


def local():
    tap.equal(trace("a1", zones.pod("a1"))["verdict"], "local", "to a pod of ours")
    tap.equal(trace("a1", ADDRESSES["a1"])["verdict"], "local", "to ourselves")
    tap.equal(trace("a1", OUTSIDE)["verdict"], "outside", "to an address of no pool")
    nobody = trace("a1", "10.244.1.200")
    tap.equal(nobody["verdict"], "refused", "to an address of our block that nobody has")
    tap.ok("conflict" not in nobody["by_name"], "… which is as it should be", nobody)
    guarded = trace("a1", "10.244.9.9")
    tap.equal(guarded["verdict"], "refused", "to an address of the pool that no node has")


def conflicts():
    """Only what another route does is called a conflict."""
    a1 = zones.nodes["a1"]
    a1.ip("route add 10.244.3.0/25 via 192.168.100.254")
    told = trace_pods("a1", "b1")
    tap.ok("conflict" in told["by_name"] and told["verdict"] == "underlay",
           "somebody's more specific route is a conflict", told)
    a1.ip("route del 10.244.3.0/25", "route add unreachable 192.168.200.2")
    told = trace_pods("a1", "b1")
    tap.equal(told["verdict"], "refused", "no way to the other end of the tunnel: refused")
    tap.ok("conflict" not in told["by_name"] and "carried" not in told["by_name"],
           "… which is no conflict of routes to pods, and nothing carries it", told)
    tap.equal(path_taken(zones, "a1", "b1"), None, "… and so it is")
    a1.ip("route del unreachable 192.168.200.2")
    tap.equal((trace_pods("a1", "b1")["verdict"], path_taken(zones, "a1", "b1")),
              ("tunnel", "tunnel"), "mended")


def refusals():
    """What is asked must make sense."""
    for words, text in ((("dev", "nope0", "10.244.3.2"), "no device nope0"),
                        (("from", "198.51.100.1", "dev", "", "10.244.3.2"), "")):
        done = zones.cli("a1", "trace", *words, check=False)
        tap.ok(done.returncode and text in done.stderr, f"trace {' '.join(words)}", done.stderr)
    tap.ok(zones.nodes["a1"].has(DEVICE), "the pool device is as it was")


if __name__ == "__main__":
    tap.main([setup, verdicts, outer_header_and_size, carried, nat, nat_of_other_addresses, local,
              conflicts, refusals, zones.clean_end], zones.before, zones.after)
