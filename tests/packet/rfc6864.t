#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel
"""
RFC 6864, the identification field, where a tunnel's outer packets are concerned.

    p1 10.244.1.2 ── n1 (culvertd) 192.168.100.1 ── n2: the peer 192.168.100.2 (the test)

doc/rfc.md lists the requirements with the names of the assertions below.
"""

import struct

import culvert
import tap
from packets import DF, difference, forwarded, fragments, header, is_ipip, outer, patch, udp
from shapes import Pair

culvert.need_programs()
lab = Pair()
POD, FAR, LOCAL, REMOTE = lab.POD, lab.FAR, lab.LOCAL, lab.REMOTE
COUNT = 3000


def ids_of(count, **fields):
    """The outer headers of count packets from 8 flows."""
    lab.drain()
    headers = []
    for start in range(0, count, 100):
        for i in range(start, min(start + 100, count)):
            lab.from_pod(udp(POD, FAR, 60, sport=7000 + i % 8, **fields))
        headers += [header(p) for p in lab.peer.collect(is_ipip, min(100, count - start))]
    return headers


def non_atomic():
    lab.tunnel("nopmtudisc")
    got = ids_of(COUNT)
    tap.equal(len(got), COUNT, "RFC 6864 4.2: (all packets without DF arrived)")
    tap.ok(got and not any(ip.flags & DF for ip in got), "RFC 6864 4.2: (DF is clear in all)")
    ids = [ip.id for ip in got]
    tap.equal(len(set(ids)), len(ids), "RFC 6864 4.2: packets without DF: no id is repeated")
    lab.culvertd.stop()
    lab.culvertd.start()
    again = [ip.id for ip in ids_of(500)]
    tap.ok(again and len(set(again)) == len(again), "RFC 6864 4.2: … nor after a restart of ours")


def non_atomic_fragments():
    """Fragments of one outer datagram have one id (RFC 791), others another."""
    lab.tunnel("nopmtudisc")
    lab.drain()
    for i in range(5):
        lab.from_pod(udp(POD, FAR, 1400, sport=7000 + i))
    ids = [header(p).id for p in lab.peer.collect(is_ipip, 5)]
    tap.equal((len(ids), len(set(ids))), (5, 5), "RFC 6864 4.2: large packets, no id repeated")


def atomic():
    lab.tunnel()
    got = ids_of(50)
    tap.ok(got and all(ip.flags & DF for ip in got), "RFC 6864 4.1: (DF is set in all)")
    tap.ok(got and not any(ip.offset or ip.flags & 0x2000 for ip in got),
           "RFC 6864 4.1: atomic outer packets may have any id, and are no fragments")
    sent = udp(FAR, POD, 100)
    for number in (0, 1, 1, 1, 0x5678, 0xFFFF, 0xFFFF):
        got = lab.inner_of(
            patch(outer(sent, REMOTE, LOCAL, flags="DF"), 4, struct.pack("!H", number)))
        if got != forwarded(sent):
            break
    tap.ok(got == forwarded(sent), "RFC 6864 4.1: the id of an atomic outer packet is ignored",
           lambda: difference(got, forwarded(sent)))


def inner_untouched():
    lab.tunnel("nopmtudisc")
    for number in (0, 0xFFFF):
        for df in (False, True):
            sent = patch(udp(POD, FAR, 100, df=df), 4, struct.pack("!H", number))
            got = lab.outer_of(sent)
            tap.ok(got and header(got).payload == forwarded(sent),
                   f"RFC 6864 4.1: inner id {number} {'with' if df else 'without'} DF "
                   "is carried unchanged")


def fragmentation_keeps_id():
    """What is fragmented before encapsulation keeps the inner id in all fragments."""
    lab.tunnel()
    lab.n1.ip("link set tun0 mtu 9000", "link set pod0 mtu 4000")
    lab.p1.ip("link set eth0 mtu 4000")
    sent = patch(udp(POD, FAR, 3000), 4, b"\x7a\x7b")
    lab.peer.drain()
    lab.from_pod(sent)
    got = [header(p).payload for p in lab.peer.collect(is_ipip, 3)]
    tap.equal([header(p).id for p in got], [0x7A7B] * 3,
              "RFC 6864 4.2: fragments made before encapsulation keep the inner id")
    pieces = fragments(forwarded(sent), 1456)
    tap.equal(b"".join(header(p).payload for p in got), b"".join(header(p).payload for p in pieces),
              "RFC 6864 4.2: … and all of the payload")


tap.main(
    [
        non_atomic, non_atomic_fragments, atomic, inner_untouched, fragmentation_keeps_id,
        lab.clean_end,
    ],
    lab.before,
    lab.after,
)
