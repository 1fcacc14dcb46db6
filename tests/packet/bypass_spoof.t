#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
Pods and strangers that send in another's name: not past the host's stack, and without an effect on
the flows of others. The network is that of cluster.py:

      a 10.244.1.2 ── a0 ┐                                         ┌ b0 ── b 10.244.2.2
                         n1 eth0 ── left  r  right ── eth0 n2
      c 10.244.1.3 ── c0 ┘   192.168.100.1    192.168.200.2        └ d0 ── d 10.244.2.3
"""

import contextlib
import socket

import culvert
import tap
from bpfmap import BYPASS, Map, path_of
from cluster import (
    A, B, C, D, N1, N2, PORT, Cluster, Seen, Server, client, echo_over, pattern, udp_works,
)
from packets import echo, fragments, icmp_error, is_ipip, outer, tcp, udp

culvert.need_programs()
lab = Cluster()
servers = {name: Server(getattr(lab, name)) for name in ("a", "b", "c", "d")}
TCP, UDP = 6, 17
STRANGER = "192.168.9.9"

a_wire, c_wire, d_wire = (pod.wire("eth0") for pod in (lab.a, lab.c, lab.d))
at_n2 = lab.n2.wire("eth0")
flows = Map(lab.d1, "cv_flows")
datagrams = Map(lab.d1, "cv_fragments")
FROM_A = lab.n1.mac("a0") + lab.a.mac("eth0") + b"\x08\x00"
FROM_C = lab.n1.mac("c0") + lab.c.mac("eth0") + b"\x08\x00"
FROM_D = lab.n2.mac("d0") + lab.d.mac("eth0") + b"\x08\x00"
TO_N1 = lab.n1.mac("eth0") + lab.r.mac("left") + b"\x08\x00"


def rp_filter(value):
    for node in (lab.n1, lab.n2):
        node.sysctl("net.ipv4.conf.all.rp_filter", value)


def forged(source, target):
    """Packets of every kind that a pod may send in the name of source."""
    whole = udp(source, target, 3000, sport=4443, dport=4443, ttl=64)
    return [
        udp(source, target, sport=4444, dport=4444, ttl=64),
        tcp(source, target, sport=4445, dport=PORT, flags="S", ip={"ttl": 64}),
        tcp(source, target, b"data", sport=4446, dport=PORT, flags="PA", ip={"ttl": 64}),
        echo(source, target), *fragments(whole, 1024),
    ]


def own_host():
    """In other names: what the host does without us happens."""
    for strict in (1, 0):
        rp_filter(strict)
        for name, source in (("another pod", C), ("the node", N1), ("a remote pod", B),
                             ("nobody known", "10.99.0.1")):
            seen = Seen(lab)
            at_n2.drain()
            for packet in forged(source, D):
                a_wire.send(FROM_A + packet)
            got = at_n2.collect(is_ipip, timeout=0.3)
            tx, _, local = seen.rose()[0]
            tap.equal((tx, local), (0, 0), f"rp_filter {strict}: in the name of {name}: not past "
                      "the stack")
            # The host itself drops its own address, and what rp_filter refuses.
            forwards = not strict and source != N1
            tap.equal(len(got) > 0, forwards, f"rp_filter {strict}: in the name of {name}: "
                      + ("forwarded" if forwards else "dropped") + ", as the host does it")
            lab.forget()


class Flows:
    """A TCP connection and a UDP flow of c with b, past the stack."""

    def __init__(self, name):
        self.name = name
        self.tcp = client(lab.c, socket.SOCK_STREAM, (B, PORT))
        self.udp = client(lab.c, socket.SOCK_DGRAM, (B, PORT))
        self.ports = self.tcp.getsockname()[1], self.udp.getsockname()[1]
        self.work("before")

    def work(self, when):
        seen = Seen(lab)
        data = pattern(500)
        # What the other end said to a forged one.
        self.udp.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            while self.udp.recv(1000):
                pass
        self.udp.settimeout(1)
        self.udp.send(data)
        tap.ok(echo_over(self.tcp, 20000) is None and self.udp.recv(1000) == data,
               f"{self.name}: {when}, the flows work")
        (tx, rx, _), _ = seen.rose()
        tap.ok(tx > 5 and rx > 5, f"{self.name}: {when}, past the stack", seen.rose())
        tap.equal([path_of(flows, C, B, port, PORT, protocol)
                   for port, protocol in zip(self.ports, (TCP, UDP))], [BYPASS, BYPASS],
                  f"{self.name}: {when}, their entries say so")

    def end(self):
        self.work("after")
        self.tcp.close()
        self.udp.close()
        lab.forget()


def neighbours():
    """a attacks flows of c, its neighbour, with hosts that forward whatever comes."""
    rp_filter(0)
    attacked = Flows("a neighbour's forgery")
    tcp_port, udp_port = attacked.ports
    for flags in ("S", "SA", "A", "R", "FA"):
        a_wire.send(FROM_A + tcp(C, B, sport=tcp_port, dport=PORT, flags=flags, ip={"ttl": 64}))
        # And what the other end might say.
        a_wire.send(FROM_A + tcp(B, C, sport=PORT, dport=tcp_port, flags=flags, ip={"ttl": 64}))
    a_wire.send(FROM_A + udp(C, B, sport=udp_port, dport=PORT, ttl=64))
    a_wire.send(FROM_A + udp(B, C, sport=PORT, dport=udp_port, ttl=64))
    quoted = tcp(C, B, sport=tcp_port, dport=PORT)[:48]
    back = tcp(B, C, sport=PORT, dport=tcp_port)[:48]
    for source, target, quote in ((A, C, quoted), (A, B, back), (B, C, quoted), (C, B, back),
                                  (A, C, back), (A, B, quoted)):
        for kind, code in ((3, 1), (11, 0)):
            a_wire.send(FROM_A + icmp_error(source, target, kind, code, quote))
    tap.equal(udp_works(lab.a, (B, PORT)), None, "what the neighbour sends in its own name works")
    attacked.end()


def fragments_of_others():
    """Ports of a datagram of c, named by a in advance: later fragments do not follow them."""
    rp_filter(0)
    attacked = Flows("forged fragments")
    receiver = lab.b.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
    receiver.bind(("", 7300))
    receiver.settimeout(1)
    for number in range(3000, 3005):
        data = pattern(3000, number)
        true = fragments(udp(C, B, sport=7301, dport=7300, data=data, id=number, ttl=64), 1024)
        false = fragments(udp(C, B, sport=9, dport=9, data=data, id=number, ttl=64), 1024)
        known = datagrams.keys()
        a_wire.send(FROM_A + false[0])
        a_wire.send(FROM_A + udp(C, B, 100, id=number, frag=8, flags="MF", ttl=64)[:100])
        if number == 3000:
            tap.equal(len(datagrams.keys()), len(known), "a forged fragment is not noted")
        for piece in true[:1] if number % 2 else ():
            c_wire.send(FROM_C + piece)
        for piece in true[number % 2:]:
            c_wire.send(FROM_C + piece)
        value = datagrams.get(socket.inet_aton(C) + socket.inet_aton(B)
                              + number.to_bytes(2, "big") + bytes([UDP, 0]))
        tap.equal(value and value[:5], (7301).to_bytes(2, "big") + (7300).to_bytes(2, "big")
                  + bytes([BYPASS]), f"datagram {number}: its own ports and path are noted")
    receiver.close()
    attacked.end()


def strangers():
    """From the underlay, by who is no peer, and by a peer for whom it is not to speak."""
    attacked = Flows("strangers")
    tcp_port, udp_port = attacked.ports
    before = len(datagrams.keys())
    wire = lab.r.wire("left")
    for outer_source, source in ((STRANGER, B), (N2, A), (N2, "10.244.3.1"), (STRANGER, D)):
        for packet in (
            tcp(source, C, sport=PORT, dport=tcp_port, flags="S"),
            udp(source, C, sport=PORT, dport=udp_port),
            udp(source, C, sport=1, dport=1), echo(source, C),
            *fragments(udp(source, C, 3000, id=77), 1024),
            icmp_error(source, C, 3, 1, tcp(C, B, sport=tcp_port, dport=PORT)[:48]),
        ):
            wire.send(TO_N1 + outer(packet, outer_source, N1))
    wire.close()
    tap.equal(len(datagrams.keys()), before, "strangers: none of their fragments is noted")
    tap.equal([k for k in flows.keys() if k[8:12] == b"\0\1\0\1"], [],
              "strangers: none of their flows is noted")
    attacked.end()


def colleague():
    """d, a pod of the peer itself, in the name of b: its own host is to prevent that, and does."""
    attacked = Flows("a remote pod's forgery")
    tcp_port, _ = attacked.ports
    for strict in (1, 0):
        rp_filter(strict)
        seen = Seen(lab)
        for packet in (tcp(B, C, sport=PORT, dport=tcp_port, flags="S", ip={"ttl": 64}),
                       udp(B, C, sport=7400, dport=7400, ttl=64),
                       *fragments(udp(B, C, 3000, id=78, ttl=64), 1024)):
            d_wire.send(FROM_D + packet)
        tap.equal(seen.rose()[1][0], 0, f"rp_filter {strict}: d in b's name: not past n2's stack")
    remote = Map(lab.d2, "cv_flows")
    tap.equal(path_of(remote, B, C, PORT, tcp_port, TCP), BYPASS, "b's flow is as it was")
    remote.close()
    attacked.end()
    rp_filter(0)


def protocol():
    """Frames that are no IPv4, cut short, for others: left alone."""
    seen = Seen(lab)
    whole = udp(A, B, sport=5, dport=4444, ttl=64)
    for frame in (
        FROM_A[:12] + b"\x86\xdd" + whole, FROM_A + whole[:19], FROM_A + whole[:27],
        FROM_A + b"\x55" + whole[1:], FROM_A + b"\x44" + whole[1:],
        FROM_A + whole[:2] + b"\xff\xff" + whole[4:], FROM_A + whole[:10] + b"\0\0" + whole[12:],
        b"\xff" * 6 + FROM_A[6:] + whole, b"\x02\0\0\0\0\1" + FROM_A[6:] + whole,
    ):
        a_wire.send(frame)
    tap.equal([seen.rose()[0][i] for i in (0, 2)], [0, 0], "none of it goes past the stack")
    a_wire.send(FROM_A + whole)
    tap.equal(seen.rose()[0][0], 1, "… but the packet as it should be")


tap.main(
    [own_host, neighbours, fragments_of_others, strangers, colleague, protocol, lab.clean_end],
    lab.before,
    lab.after,
)
