#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
Endpoints past the host's stack: which flows go that way, and that those which the host translates
do not. The network is that of cluster.py:

      a 10.244.1.2 ── a0 ┐                                         ┌ b0 ── b 10.244.2.2
                         n1 eth0 ── left  r  right ── eth0 n2
      c 10.244.1.3 ── c0 ┘   192.168.100.1    192.168.200.2        └ d0 ── d 10.244.2.3
                                         out ── o 192.168.9.9, outside

All of it once with forward chains that accept what no rule refuses, and once with such that drop
it; both drop what conntrack calls invalid.
"""

import socket

import culvert
import tap
from cluster import (
    A, B, C, HOST_PORT, HOST_PORT_KEPT, N1, N2, NODE_PORT_B, NODE_PORT_C, OUTSIDE, PORT, TO_A,
    TO_B, TO_BOTH, TO_C, Cluster, Seen, Server, client, echo_over, ping, stream_works, tcp_works,
    tracked, udp_works,
)

culvert.need_programs()
lab = Cluster()
servers = {name: Server(getattr(lab, name)) for name in ("a", "b", "c", "d", "o", "n1")}
lab.servers = servers


def works(name, node, target, path=None, segments=20):
    """
    TCP and UDP to a server and back. path: None, or which nodes carry it past their stacks, as
    "tunnel" (both), "local" (between pods of n1), "stack" (nowhere), "far" (on n2 alone).
    """
    for protocol, try_it in (("TCP", tcp_works), ("UDP", udp_works), ("UDP stream", streams)):
        seen = Seen(lab)
        tap.equal(try_it(node, target), None, f"{name}: {protocol} works")
        (tx1, rx1, local), (tx2, rx2, _) = seen.rose()
        least = segments if protocol == "TCP" else 1
        past = {"tunnel": min(tx1, rx1, tx2, rx2), "local": local, "far": min(tx2, rx2)}.get(path)
        if past is not None:
            tap.ok(past >= least, f"{name}: … past the stack", seen.rose())
        here = (tx1, rx1) if path == "local" else (tx1, rx1, local) if path == "far" else ()
        if path == "stack":
            here = (tx1, rx1, local, tx2, rx2)
        if here:
            tap.equal(sum(here), 0, f"{name}: … through the stack where the host must see it")
        tap.equal(seen.invalid(), 0, f"{name}: … and nothing was invalid")


def streams(node, target):
    got = stream_works(node, target, 50)
    return None if got == 50 else f"{got} of 50 datagrams"


def unseen(name):
    """Neither host's conntrack has seen anything of these pods."""
    entries = tracked(lab.n1) + tracked(lab.n2)
    seen = [e for e in entries if "src=10.244" in e]
    tap.equal(seen, [], f"{name}: conntrack has no entry of it, on either node")


def direct():
    lab.forget()
    works("pod to remote pod", lab.a, (B, PORT), "tunnel")
    unseen("pod to remote pod")
    works("… and the other way", lab.b, (A, PORT), "tunnel")
    works("pod to pod of the same node", lab.a, (C, PORT), "local")
    seen = Seen(lab)
    tap.ok(ping(lab.a, B), "ping to a remote pod")
    tap.equal(seen.rose(), [(1, 1, 0), (1, 1, 0)], "… past the stack both ways, on both nodes")
    seen = Seen(lab)
    tap.ok(ping(lab.a, C), "ping to a pod of the same node")
    tap.equal(seen.rose(), [(0, 0, 2), (0, 0, 0)], "… past the stack both ways")
    unseen("all of it")


def services():
    works("service with a remote pod", lab.a, (TO_B, PORT), "far")
    works("service with a pod of the same node", lab.a, (TO_C, PORT), "stack")
    works("service with the client itself", lab.a, (TO_A, PORT), "stack")
    for _ in range(4):
        for try_it in (tcp_works, udp_works):
            tap.equal(try_it(lab.a, (TO_BOTH, PORT)), None, "service with two pods")
    works("service of a remote node's pod, local there", lab.b, (TO_C, PORT), None)
    # Its source is that of the route to the service address; answers to that use no tunnel.
    works("host to a service with a remote pod", lab.n1, (TO_B, PORT), "stack")


def ports():
    works("host port from a remote pod", lab.b, (N1, HOST_PORT), "stack")
    works("host port from a remote pod that keeps its address", lab.b, (N1, HOST_PORT_KEPT),
          "stack")
    servers["c"].peers.clear()
    tap.equal(tcp_works(lab.b, (N1, HOST_PORT_KEPT)), None, "… by TCP")
    tap.equal(servers["c"].peers, [B], "… which the pod behind it sees")
    works("host port from outside", lab.o, (N1, HOST_PORT), "stack")
    works("node port with a local pod, from outside", lab.o, (N1, NODE_PORT_C), "stack")
    works("node port with a remote pod, from outside", lab.o, (N1, NODE_PORT_B), "far")
    works("node port with the sender behind it", lab.b, (N1, NODE_PORT_B), "far")
    works("host port from a pod of the same node", lab.a, (N1, HOST_PORT), "stack")


def hosts():
    works("pod to the outside, masqueraded", lab.a, (OUTSIDE, PORT), "stack")
    servers["o"].peers.clear()
    tap.equal(tcp_works(lab.a, (OUTSIDE, PORT)), None, "… again")
    tap.equal(servers["o"].peers, [N1], "… it sees the node's address")
    works("host to its own pod", lab.n1, (A, PORT), "stack")
    works("host to a remote pod", lab.n1, (B, PORT), "far")
    works("remote pod to the host's address", lab.b, (N1, PORT), "stack")
    works("remote pod to the host's address in the tunnel", lab.b, ("10.244.1.1", PORT), "far")
    works("pod to its own host", lab.a, (N1, PORT), "stack")
    seen = Seen(lab)
    tap.ok(ping(lab.a, N1) and ping(lab.a, N2) and ping(lab.n1, A) and ping(lab.n1, B)
           and ping(lab.b, "10.244.1.1") and ping(lab.a, TO_B) and ping(lab.a, OUTSIDE),
           "ping between pods and hosts, to a service, to the outside")
    tap.equal(seen.invalid(), 0, "… nothing was invalid")


def ports_again():
    """The same four-tuple at the far end, first by the service, then directly, and the reverse."""
    for kind, try_it, first in ((socket.SOCK_STREAM, tcp_works, 41000),
                                (socket.SOCK_DGRAM, udp_works, 42000)):
        name = "TCP" if kind == socket.SOCK_STREAM else "UDP"
        for source, ways in ((first, (TO_B, B)), (first + 1, (B, TO_B)),
                             (first + 2, (TO_BOTH, C, B)), (first + 3, (C, TO_C, C))):
            seen = Seen(lab)
            got = [try_it(lab.a, (way, PORT), source_port=source) for way in ways]
            tap.equal(got, [None] * len(ways),
                      f"{name}: port {source} used for {', then '.join(ways)}")
            tap.equal(seen.invalid(), 0, "… nothing was invalid")


def idle():
    """Connections that say nothing for a while, on both paths."""
    connections = [client(lab.a, socket.SOCK_STREAM, (way, PORT)) for way in (B, TO_B, C, TO_C)]
    tap.equal([echo_over(s, 1000) for s in connections], [None] * 4, "four connections")
    lab.n1.ip("link add idle0 type veth peer name idle1", "link set idle0 up", "link del idle0")
    lab.d1.cli("endpoint", "change", "c0", "bypass", "default")
    tap.equal([echo_over(s, 100000, 1) for s in connections], [None] * 4,
              "… they go on after routes and endpoints have been looked at anew")
    for s in connections:
        s.close()


def strict_source():
    """rp_filter: what goes through the stack is not refused for what has gone past it."""
    for node in (lab.n1, lab.n2):
        node.sysctl("net.ipv4.conf.all.rp_filter", 1)
    works("rp_filter 1: pod to remote pod", lab.a, (B, PORT), "tunnel")
    works("rp_filter 1: service with a remote pod", lab.a, (TO_B, PORT), "far")
    works("rp_filter 1: host port from a remote pod", lab.b, (N1, HOST_PORT), "stack")
    works("rp_filter 1: pod of the same node", lab.a, (C, PORT), "local")
    for node in (lab.n1, lab.n2):
        node.sysctl("net.ipv4.conf.all.rp_filter", 0)


def not_a_router():
    """ip_forward 0 is honoured: the host is no router then, whichever way packets would go."""
    lab.n1.sysctl("net.ipv4.ip_forward", 0)
    tap.ok(tcp_works(lab.a, (B, PORT), timeout=0.7), "ip_forward 0: nothing is forwarded")
    tap.ok(tcp_works(lab.a, (C, PORT), timeout=0.7), "… nor between pods")
    lab.n1.forward()
    works("ip_forward 1 again", lab.a, (B, PORT), "tunnel")


def drop_policy():
    lab.rules("drop")
    lab.forget()
    for test in (direct, services, ports, hosts):
        tap.note(f"{test.__name__}, policy drop")
        test()


tap.main(
    [
        direct, services, ports, hosts, ports_again, idle, strict_source, not_a_router,
        drop_policy, lab.clean_end,
    ],
    lab.before,
    lab.after,
)
