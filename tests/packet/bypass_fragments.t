#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
Fragments, packets that are too big, and ICMP errors of flows that go past the host's stack: they
come back without conntrack, and complete. The network is that of cluster.py:

      a 10.244.1.2 ── a0 ┐                                         ┌ b0 ── b 10.244.2.2
                         n1 eth0 ── left  r  right ── eth0 n2
      c 10.244.1.3 ── c0 ┘   192.168.100.1    192.168.200.2        └ d0 ── d 10.244.2.3
"""

import itertools
import socket

from scapy.layers.inet import IPOption_NOP

import culvert
import tap
from cluster import (
    A, B, C, IP_MTU_DISCOVER, IP_PMTUDISC_DO, N1, PORT, TO_B, TO_C, Cluster, Seen, Server,
    client, pattern, ping, tcp_works, tracked, udp_works,
)
from packets import fragments, udp

culvert.need_programs()
lab = Cluster(policy="drop")
servers = {name: Server(getattr(lab, name)) for name in ("a", "b", "c", "d")}
TCP, UDP = 6, 17
CLOSED = 9


def unseen(name, *words):
    """Neither host's conntrack has seen anything of these pods."""
    entries = tracked(lab.n1, *words) + tracked(lab.n2, *words)
    tap.equal([e for e in entries if "src=10.244" in e], [], f"{name}: conntrack has not seen it")


def large():
    lab.forget()
    for size in (1452, 1453, 3000, 9000, 60000):
        tap.equal(udp_works(lab.a, (B, PORT), size), None, f"UDP, {size} bytes to and fro")
        tap.equal(udp_works(lab.a, (C, PORT), size), None, "… between pods of the node")
    unseen("fragments")
    tap.ok(ping(lab.a, B, "-s", "4000") and ping(lab.a, C, "-s", "4000"), "ping -s 4000")
    unseen("fragmented ICMP")


def large_service():
    for size in (3000, 60000):
        tap.equal(udp_works(lab.a, (TO_B, PORT), size), None, f"to a service, {size} bytes")
        tap.equal(udp_works(lab.a, (TO_C, PORT), size), None, "… with a pod of the node")


def too_big():
    """The way is narrower than the pods' MTU: the engine has to fragment, or to say so."""
    seen = Seen(lab)
    for node in (lab.n1, lab.n2):
        node.ip("link set eth0 mtu 1300")
    lab.forget()
    for size in (1400, 1452, 4000):
        for node, target in ((lab.a, (B, PORT)), (lab.b, (A, PORT))):
            tap.equal(udp_works(node, target, size), None,
                      f"narrow: UDP of {size} bytes to and fro, from {node.name}")
    unseen("too big")
    tap.equal(tcp_works(lab.a, (B, PORT)), None, "narrow: TCP finds its way")
    tap.equal(tcp_works(lab.b, (A, PORT)), None, "narrow: TCP finds its way from the other side")
    unseen("TCP and fragmentation needed")
    with client(lab.a, socket.SOCK_DGRAM, (B, PORT)) as s:
        s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        told = None
        for _ in range(20):
            try:
                s.send(bytes(1400))
                s.settimeout(0.05)
                s.recv(2000)
            except TimeoutError:
                pass
            except OSError as error:
                told = error.errno
                break
        tap.equal(told, 90, "narrow: with DF, the sender is told: EMSGSIZE")
        s.settimeout(2)
        data = pattern(1280 - 28)
        s.send(data)
        tap.equal(s.recv(2000), data, "… and what is as small as said goes through")
    unseen("DF")
    tap.equal(udp_works(lab.d, (TO_C, PORT), 1452), None, "narrow: UDP to a service")
    tap.equal(tcp_works(lab.d, (TO_C, PORT)), None, "narrow: TCP to a service")
    for node in (lab.n1, lab.n2):
        node.ip("link set eth0 mtu 1500")
    for pod in (lab.a, lab.b):
        pod.ip("route flush cache")
    tap.equal(seen.invalid(), 0, "narrow: nothing was invalid")


class Datagrams:
    """Fragments of datagrams from one pod's wire to a socket in another."""

    number = 100

    def __init__(self, source, node, pod, device, target, port):
        self.wire = source.wire("eth0")
        self.head = node.mac(device) + source.mac("eth0") + b"\x08\x00"
        self.pod = pod
        self.target = (target, port)
        self.receiver = {A: lab.a, B: lab.b, C: lab.c}[target].socket(
            socket.AF_INET, socket.SOCK_DGRAM, 0)
        self.receiver.bind(("", port))
        self.receiver.settimeout(0.7)

    def try_(self, order, sport, options=None, size=3000):
        """Send a datagram's fragments in an order (indexes); True if it arrives whole."""
        Datagrams.number += 1
        fields = {"options": options} if options else {}
        data = pattern(size, Datagrams.number)
        packet = udp(self.pod, self.target[0], sport=sport, dport=self.target[1], data=data,
                     id=Datagrams.number, ttl=64, **fields)
        pieces = fragments(packet, 1024)
        for index in order:
            self.wire.send(self.head + pieces[index])
        try:
            while self.receiver.recv(65536) != data:
                pass
            return True
        except TimeoutError:
            return False

    def close(self):
        self.wire.close()
        self.receiver.close()


def orders():
    lab.forget()
    for name, source, node, device, pod, target in (
        ("to a remote pod", lab.a, lab.n1, "a0", A, B),
        ("from a remote pod", lab.b, lab.n2, "b0", B, A),
        ("between pods of a node", lab.a, lab.n1, "a0", A, C),
    ):
        datagrams = Datagrams(source, node, pod, device, target, 7100)
        for number, order in enumerate(itertools.permutations(range(3))):
            tap.ok(datagrams.try_(order, 7200 + number), f"{name}: a new flow, fragments {order}")
            tap.ok(datagrams.try_(order, 7200), f"{name}: a known flow, fragments {order}")
        tap.ok(datagrams.try_((0, 0, 2, 2, 1), 7200), f"{name}: fragments twice")
        datagrams.close()
    unseen("reordered fragments", "dport=7100")


def options():
    lab.forget()
    nops = [IPOption_NOP()] * 4
    for name, source, node, device, pod, target in (
        ("to a remote pod", lab.a, lab.n1, "a0", A, B),
        ("between pods of a node", lab.a, lab.n1, "a0", A, C),
    ):
        datagrams = Datagrams(source, node, pod, device, target, 7101)
        tap.ok(datagrams.try_((0, 1, 2), 7400), f"{name}: a flow")
        tap.ok(datagrams.try_((0,), 7400, nops, 500), f"{name}: with IPv4 options in between")
        for order in itertools.permutations(range(3)):
            tap.ok(datagrams.try_(order, 7400, nops), f"{name}: fragments with options, {order}")
        unseen(name, "dport=7101")
        for number, order in enumerate(((0, 1, 2), (2, 1, 0))):
            tap.ok(datagrams.try_(order, 7410 + number, nops),
                   f"{name}: options in the first datagram of a flow, {order}")
            tap.ok(datagrams.try_(order, 7410 + number), "… and none in the second")
        lab.forget()
        datagrams.close()


def beside():
    """Flows of the host's between the same two pods."""
    for size in (100, 3000):
        tap.equal(udp_works(lab.a, (TO_B, PORT), size), None, f"by a service, {size} bytes")
        datagrams = Datagrams(lab.a, lab.n1, A, "a0", B, 7100)
        for number, order in enumerate(itertools.permutations(range(3))):
            tap.ok(datagrams.try_(order, 7300 + size + number),
                   f"beside it, directly: a new flow, fragments {order}")
        datagrams.close()


def refused(node, target):
    """True if a UDP socket hears that a port is closed."""
    with client(node, socket.SOCK_DGRAM, target, timeout=1) as s:
        try:
            s.send(b"anybody there?")
            s.recv(100)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            pass
        return False


def errors():
    lab.forget()
    seen = Seen(lab)
    tap.ok(refused(lab.a, (B, CLOSED)), "port unreachable, of a remote pod")
    tap.ok(refused(lab.a, (C, CLOSED)), "port unreachable, of a pod of the same node")
    tap.ok(refused(lab.b, (A, CLOSED)), "port unreachable, to a remote pod")
    unseen("port unreachable")
    for name, target in (("a remote pod", TO_B), ("a pod of the node", TO_C)):
        tap.ok(refused(lab.a, (target, CLOSED)), f"port unreachable, of a service with {name}")
    tap.ok(tcp_works(lab.a, (B, CLOSED)) == "[Errno 111] Connection refused", "TCP is refused")
    tap.ok(tcp_works(lab.a, (TO_B, CLOSED)) == "[Errno 111] Connection refused",
           "TCP is refused by a service")
    tap.equal(seen.invalid(), 0, "… nothing was invalid")


def hops():
    lab.forget()
    for daemon in (lab.d1, lab.d2):
        daemon.change("tun0 ttl 64")
    for method in ("-U", "-I"):
        text = lab.a.run(["traceroute", "-n", method, "-q1", "-w2", "-N1", B]).stdout
        got = [line.split()[1] for line in text.splitlines()[1:]]
        tap.equal(got, [N1, "10.244.2.1", B], f"traceroute {method} to a remote pod: both nodes")
    text = lab.a.run(["traceroute", "-n", "-T", "-p", str(PORT), "-q1", "-w2", "-N1", B]).stdout
    got = [line.split()[1] for line in text.splitlines()[1:]]
    tap.equal(got, [N1, "10.244.2.1", B], "traceroute -T to a remote pod: both nodes")
    text = lab.a.run(["traceroute", "-n", "-q1", "-w2", C]).stdout
    got = [line.split()[1] for line in text.splitlines()[1:]]
    tap.equal(got, [N1, C], "traceroute to a pod of the same node: the node")
    unseen("traceroute")
    tap.ok(not ping(lab.a, B, "-t", "1") and not ping(lab.a, B, "-t", "2")
           and ping(lab.a, B, "-t", "3"), "a TTL of 3 is needed")
    for daemon in (lab.d1, lab.d2):
        daemon.change("tun0 ttl inherit")


def super_packets():
    """GSO, and what it is made of by GRO, stays whole; and the same without any offload."""
    seen = Seen(lab)
    tap.equal(tcp_works(lab.a, (B, PORT), 3000000), None, "TCP, 3 MB to and fro, offloads on")
    for node, device in ((lab.a, "eth0"), (lab.b, "eth0"), (lab.n1, "a0"), (lab.n2, "b0"),
                         (lab.n1, "eth0"), (lab.n2, "eth0")):
        node.offloads(device, False)
    tap.equal(tcp_works(lab.a, (B, PORT), 1000000), None, "TCP, 1 MB to and fro, offloads off")
    tap.equal(udp_works(lab.a, (B, PORT), 9000), None, "UDP fragments, offloads off")
    for node, device in ((lab.n1, "a0"), (lab.n2, "b0"), (lab.n1, "eth0"), (lab.n2, "eth0")):
        node.offloads(device, True)
    tap.equal(tcp_works(lab.a, (B, PORT), 1000000), None, "TCP, offloads off in the pods alone")
    for pod in (lab.a, lab.b):
        pod.offloads("eth0", True)
    tap.equal(seen.invalid(), 0, "… nothing was invalid")


tap.main(
    [
        orders, large, too_big, options, large_service, beside, errors, hops, super_packets,
        lab.clean_end,
    ],
    lab.before,
    lab.after,
)
