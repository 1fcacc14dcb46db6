# SPDX-License-Identifier: Apache-2.0
"""
What holds of a top-of-rack router whichever daemon it runs: routes both ways, and packets to and from
a server behind it. For bgp_tor_frr.t and bgp_tor_gobgp.t.
"""

import net
import tap
from cluster import ping
from racks import ADDRESSES, NODES, PAIRS, gateway, server, server_net
from zones import path_taken

CROSS = {(a, b): "direct" if a[0] == b[0] else "tunnel" for a, b in PAIRS}


def routes_both_ways(lab, router, rack, settle=lambda: None):
    """The router knows its nodes' blocks, they know the servers' network."""
    nodes = [n for n in NODES if n[0] == rack]
    tap.ok(net.wait_for(lambda: all(router.session(ADDRESSES[n]) == "Established" for n in nodes),
                        20), "the sessions are up", router.log)
    tap.equal(lab.converge(CROSS), [], "the mesh is, too")
    tap.ok(net.wait_for(lambda: all(router.routes().get(lab.block(n)) == [ADDRESSES[n]]
                                    for n in nodes), 5),
           "the router learns its nodes' blocks, from each its own", router.routes)
    settle()
    way = f"via {gateway(rack)} dev eth0"
    for name in nodes:
        tap.ok(net.wait_for(lambda n=name: way in (lab.route_to(n, server_net(rack)) or ""), 5),
               f"{name} learns the servers' network", lambda n=name: lab.routes(n))


def packets_both_ways(lab, rack):
    """Between pods and a server nothing is tunnelled; between nodes what must be is."""
    name, other = [n for n in NODES if n[0] == rack][:2]
    far = next(n for n in NODES if n[0] != rack)
    every = lab.tors[rack].wire("nodes", with_outgoing=True)
    every.drain()
    for node in (name, other):
        tap.ok(ping(lab.pods[node], server(rack)), f"pod of {node} reaches the server")
        tap.ok(ping(lab.servers[rack], lab.pod(node)), "… and the server it")
    tap.equal(path_taken(lab, name, None, address=server(rack), on=name), "direct",
              "the wire to the server has no tunnel")
    tap.equal(path_taken(lab, name, far), "tunnel", f"{name} to {far}: tunnel")
    tap.equal(path_taken(lab, name, other), "direct", f"{name} to {other}: direct")
    node_bytes = {bytes(map(int, a.split("."))) for a in ADDRESSES.values()}
    outer = [p[16:20] for p in every.collect(lambda p: p[9] == 4, timeout=0.5, quiet=0.2)]
    every.close()
    tap.ok(outer and set(outer) <= node_bytes, "protocol 4 goes to nodes alone, never to the router",
           outer)


def announce_frr(frr, prefixes):
    """Let an FRR announce prefixes, whether it has such routes or not."""
    words = [f"network {p}" for p in prefixes if p != "0.0.0.0/0"]
    frr.vtysh("configure terminal", "router bgp 65101", "no bgp network import-check",
              "address-family ipv4 unicast", *words,
              "neighbor nodes default-originate")
