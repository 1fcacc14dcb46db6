#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel
"""
ICMP errors beyond RFC 2003's own list: forged ones, the rate limit, what is never
answered, senders on this host, gateways of a tunnel with remote any.

    p1 10.244.1.2 ── n1 (culvertd) 192.168.100.1 ── n2: the peer 192.168.100.2, the
                                                    router 192.168.100.254 (the test)
"""

import errno
import socket
import struct
import time

import culvert
import tap
from culvert import Watch
from packets import (
    DF, MF, difference, echo, fix, forwarded, header, icmp_error, icmp_of,
    is_icmp_error, is_ipip, patch, tcp, udp,
)
from shapes import Pair

culvert.need_programs()
lab = Pair()
POD, GATEWAY, FAR, LOCAL, REMOTE = lab.POD, lab.GATEWAY, lab.FAR, lab.LOCAL, lab.REMOTE
ROUTER = "192.168.100.254"
IP_RECVERR, MSG_ERRQUEUE = 11, 0x2000


def sent_outer(size=120, **fields):
    """Send a packet; (the inner one, the outer one as it went over the wire)."""
    for _ in range(5):
        got = lab.outer_of(udp(POD, FAR, size, **fields), 0.5)
        if got:
            return header(got).payload, got
    raise RuntimeError("nothing goes out")


def forged():
    """Errors that quote what we cannot have sent change nothing."""
    lab.tunnel()
    inner, packet = sent_outer(1400, df=True)
    base = packet[:548]
    cases = {
        "another source address": patch(base, 12, socket.inet_aton("192.168.100.77")),
        "a destination that is no remote of ours": patch(base, 16, socket.inet_aton("8.8.8.8")),
        "a later fragment": patch(base, 6, struct.pack("!H", 100)),
        "options in the outer header": fix(
            b"\x46" + base[1:2] + struct.pack("!H", len(packet) + 4) + base[4:20]
            + b"\1\1\1\1" + base[20:]),
        "an inner length that does not fit": patch(base, 2, struct.pack("!H", 700)),
        "an inner checksum that is wrong": base[:30] + b"\xde\xad" + base[32:],
        "no IPv4 inside": base[:20] + b"\x60" + base[21:],
        "an inner header length of 4": base[:20] + b"\x44" + base[21:],
        "an inner destination that is not routed to the tunnel":
            base[:20] + patch(inner, 16, socket.inet_aton("10.99.0.1"))[:528],
        "8 bytes of no IPv4 packet": base[:20] + b"\xff" * 8,
    }
    for name, quote in cases.items():
        engine, watch = Watch(lab.culvertd, None), Watch(lab.culvertd)
        lab.pod.drain()
        for type_, code, rest in (3, 4, 800), (3, 1, 0), (11, 0, 0):
            lab.from_peer(icmp_error(ROUTER, LOCAL, type_, code, quote, rest))
        count = engine.wait("icmp-not-ours", 3, 0.5)
        tap.equal(count, 3, f"an error that quotes {name}: icmp-not-ours")
        tap.ok(lab.quiet(lab.pod, is_icmp_error(), 0.05), f"{name}: not relayed")
        tap.ok(not {"icmp-relayed", "pmtu-lowered", "icmp-soft-state"} & set(watch.rose()),
               f"{name}: no soft state", watch.rose)
    for name, quote in (
        ("TCP", patch(base, 9, b"\x06")), ("less than 8 bytes", base[:27]), ("nothing", b""),
    ):
        watch = Watch(lab.culvertd)
        lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 4, quote, 800))
        tap.ok(lab.quiet(lab.pod, is_icmp_error(), 0.05), f"an error that quotes {name}: ignored")
        tap.equal(watch.rose(), {}, f"an error that quotes {name}: nothing is counted")
    tap.ok("mtu" not in lab.n1.ip(f"route get {REMOTE}"), "the kernel learned nothing either")
    got = lab.outer_of(udp(POD, FAR, 1480, df=True))
    tap.equal(got and len(got), 1500, "after all forged errors the path MTU is what it was")
    bad = icmp_error(ROUTER, LOCAL, 3, 4, base, 800)
    lab.from_peer(bad[:22] + b"\x12\x34" + bad[24:])
    got = lab.outer_of(udp(POD, FAR, 1480, df=True))
    tap.equal(got and len(got), 1500, "an error with a wrong ICMP checksum changes nothing")


def mtu_bounds():
    """Reported MTUs that no honest router sends."""
    lab.fresh()
    _, packet = sent_outer(1480, df=True)
    for mtu in (1501, 9000, 65535):
        lab.pod.drain()
        lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 4, packet[:548], mtu))
        lab.pod.expect(is_icmp_error(), 0.1)
        got = lab.outer_of(udp(POD, FAR, 1480, df=True), 0.5)
        tap.equal(got and len(got), 1500, f"a reported MTU of {mtu} raises nothing")
    for mtu in (1, 20, 67):
        lab.fresh()
        _, packet = sent_outer(1480, df=True)
        lab.pod.drain()
        lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 4, packet[:548], mtu))
        got = lab.pod.expect(is_icmp_error())
        told = got and icmp_of(got).mtu
        tap.ok(told and told >= 68, f"a reported MTU of {mtu}: the sender is told no less than 68",
               told)


def rate_limit():
    lab.tunnel()
    lab.n1.ip("link set tun0 mtu 2000", "link set pod0 mtu 2000")
    lab.p1.ip("link set eth0 mtu 2000")
    lab.n1.ip(f"neigh replace 10.244.1.77 lladdr {lab.p1.mac('eth0').hex(':')} dev pod0")
    time.sleep(1.2)  # the bucket is full again
    watch = Watch(lab.culvertd)
    lab.pod.drain()
    started = time.monotonic()
    for i in range(400):
        lab.from_pod(udp(POD, FAR, 1600, df=True, sport=5000 + i % 5))
    tap.equal(watch.wait("too-big", 400), 400, "400 packets too big: all are counted")
    answers = lab.pod.collect(is_icmp_error(3, 4), timeout=1, quiet=0.1)
    allowed = 20 + 50 * (time.monotonic() - started) + 2
    tap.ok(10 <= len(answers) <= allowed, "… and answered as the rate limit of one sender allows",
           f"{len(answers)} answers, {allowed:.0f} allowed")
    tap.equal(watch.rose().get("icmp-rate-limit", 0) + len(answers), 400,
              "… those held back are counted: icmp-rate-limit")
    for _ in range(200):
        lab.from_pod(udp(POD, FAR, 1600, df=True))
    lab.pod.drain()
    lab.from_pod(udp("10.244.1.77", FAR, 1600, df=True))
    tap.ok(lab.pod.expect(lambda p: is_icmp_error(3, 4)(p) and header(p).dst == "10.244.1.77"),
           "… another sender is answered all the same")
    time.sleep(0.5)
    lab.pod.drain()
    lab.from_pod(udp(POD, FAR, 1600, df=True))
    tap.ok(lab.pod.expect(is_icmp_error(3, 4)), "… and soon after the limit is open again")
    lab.n1.ip("link set pod0 mtu 1500")
    lab.p1.ip("link set eth0 mtu 1500")


def never_answered():
    """RFC 1122, 3.2.2: about what no error is ever sent."""
    lab.fresh()
    _, packet = sent_outer(1400, df=True)
    lab.pod.drain()
    lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 4, packet[:548], 1000))
    tap.ok(lab.pod.expect(is_icmp_error(3, 4)), "(the path MTU is 1000 now)")
    unreachable = icmp_error(POD, FAR, 3, 1, udp(FAR, POD, 1200), ttl=60)
    unreachable = patch(unreachable, 6, struct.pack("!H", DF))
    for name, sent in (
        ("an ICMP error", unreachable),
        ("a fragment that is not the first", patch(udp(POD, FAR, 1200), 6,
                                                   struct.pack("!H", DF | 100))),
        ("an ICMP message of unknown type", patch(echo(POD, FAR, 1200, df=True), 20, b"\x63")),
    ):
        watch = Watch(lab.culvertd)
        lab.from_pod(sent)
        tap.equal(watch.wait("too-big"), 1, f"{name}, too big: counted")
        tap.ok(lab.quiet(lab.pod, is_icmp_error(), 0.05), f"{name}, too big: not answered")
    for name, sent in (
        ("an echo request", echo(POD, FAR, 1200, df=True)),
        ("a first fragment", patch(udp(POD, FAR, 1200), 6, struct.pack("!H", DF | MF))),
        ("a TCP segment", tcp(POD, FAR, bytes(1200))),
    ):
        lab.pod.drain()
        lab.from_pod(sent)
        got = lab.pod.expect(is_icmp_error(3, 4))
        tap.equal(got and icmp_of(got).mtu, 980, f"{name}, too big: answered")
        tap.ok(got and icmp_of(got).quoted == forwarded(sent)[: len(icmp_of(got).quoted)],
               f"{name}, too big: quoted as it was")
        tap.ok(got and len(got) <= 576, f"{name}, too big: the answer has 576 bytes at most")
        tap.ok(got and len(icmp_of(got).quoted) >= 128, f"{name}, too big: quotes plenty")
    # An error about our own packet that carries an error: it must end here.
    lab.fresh()
    got = lab.outer_of(icmp_error(POD, FAR, 3, 3, udp(FAR, POD, 100), ttl=60))
    lab.pod.drain()
    lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 1, got[:548]))
    tap.ok(lab.quiet(lab.pod, is_icmp_error(), 0.1),
           "an error about a carried error is not relayed")


def own_sender():
    """A program on the tunnel's own host is told as well."""
    lab.fresh()
    with lab.n1.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
        s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        s.bind((GATEWAY, 0))
        s.connect((FAR, 5000))
        lab.peer.drain()
        s.send(b"hello")
        packet = lab.peer.expect(is_ipip)
        lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 1, packet[:548]))
        deadline, got = time.monotonic() + 2, None
        while got is None and time.monotonic() < deadline:
            try:
                _, control, _, _ = s.recvmsg(2000, 500, MSG_ERRQUEUE | socket.MSG_DONTWAIT)
                got = struct.unpack_from("=IBBBB", control[0][2])
            except BlockingIOError:
                time.sleep(0.01)
        tap.equal(got and (got[0], got[2], got[3]), (errno.EHOSTUNREACH, 3, 1),
                  "a socket of this host gets a relayed error")
        lab.peer.drain()
        for _ in range(3):
            try:
                s.send(bytes(1300))
            except OSError:
                pass
        packet = lab.peer.expect(lambda p: is_ipip(p) and len(p) > 1300)
        lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 4, packet[:548], 1200))
        deadline, text = time.monotonic() + 2, ""
        while "mtu 1180" not in text and time.monotonic() < deadline:
            text = lab.n1.ip(f"route get {FAR} from {GATEWAY}")
        tap.ok("mtu 1180" in text, "this host's routing learns the path MTU inside the tunnel",
               text)
    lab.n1.ip("route flush cache")


def nbma():
    lab.fresh()
    lab.remake(f"tun0 mode ipip remote any local {LOCAL}",
               f"10.244.2.0/24 via {REMOTE} dev tun0 onlink",
               "10.244.3.0/24 via 192.168.100.3 dev tun0 onlink")
    inner, packet = sent_outer(1400, df=True)
    lab.pod.drain()
    lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 4, packet[:548], 1300))
    got = lab.pod.expect(is_icmp_error())
    tap.equal(got and icmp_of(got)[:2] + (icmp_of(got).mtu,), (3, 4, 1280),
              "remote any: an error about a packet to a gateway is relayed")
    got = lab.outer_of(udp(POD, "10.244.3.1", 1480, df=True))
    tap.equal(got and len(got), 1500, "remote any: another gateway's path MTU is its own")
    engine = Watch(lab.culvertd, None)
    lab.pod.drain()
    quote = patch(packet, 16, socket.inet_aton("192.168.100.9"))[:548]
    lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 1, quote))
    tap.equal(engine.wait("icmp-not-ours", timeout=0.5), 1,
              "remote any: an error about a packet to nobody we send to: icmp-not-ours")
    tap.ok(lab.quiet(lab.pod, is_icmp_error(), 0.05), "remote any: … is not relayed")
    for gateway, keep in ((REMOTE, 28), ("192.168.100.3", 28)):
        where = FAR if gateway == REMOTE else "10.244.3.1"
        got = lab.outer_of(udp(POD, where, 100))
        lab.pod.drain()
        lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 1, got[:keep]))
        time.sleep(0.1)
        other = "10.244.3.1" if gateway == REMOTE else FAR
        tap.ok(lab.outer_of(udp(POD, other, 100)) and lab.quiet(lab.pod, is_icmp_error(), 0.03),
               f"remote any: {gateway} unreachable does not concern the other gateway")
        lab.from_pod(udp(POD, where, 100))
        tap.ok(lab.pod.expect(is_icmp_error(3, 1)), f"remote any: … but its own next packet: 3/1")


def extensions():
    """RFC 4884: what follows the quoted datagram is not part of it."""
    lab.fresh()
    inner, packet = sent_outer(600)
    body = packet[:128] + struct.pack("!BBH", 0x20, 0, 0) + struct.pack("!HBB", 8, 1, 1) + b"LSE!"
    lab.pod.drain()
    lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 1, body, 32 << 16))
    got = lab.pod.expect(is_icmp_error())
    tap.ok(got and icmp_of(got).quoted == inner[:108],
           "an error with extensions is relayed with the quoted datagram alone",
           lambda: difference(icmp_of(got).quoted, inner[:108]) if got else "nothing arrived")
    tap.equal(got and icmp_of(got).rest, 0, "… and says nothing of a length it does not have")


def from_ourselves():
    """An error from an address of this host about our packets is nothing the path said."""
    lab.fresh()
    _, packet = sent_outer(1400, df=True)
    watch = Watch(lab.culvertd)
    lab.pod.drain()
    lab.from_peer(icmp_error(LOCAL, LOCAL, 3, 4, packet[:548], 1000))
    with lab.n1.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(icmp_error(LOCAL, LOCAL, 3, 4, packet[:548], 1000), (LOCAL, 0))
    tap.ok(lab.quiet(lab.pod, is_icmp_error(), 0.1), "an error whose offender we are: not relayed")
    tap.equal(watch.rose(), {}, "an error whose offender we are: nothing is counted")


def no_way():
    """What the kernel would answer for a device without a way out."""
    lab.fresh()
    lab.n1.ip("addr flush dev eth0")
    lab.pod.drain()
    sent = udp(POD, FAR, 100)
    lab.from_pod(sent)
    got = lab.pod.expect(is_icmp_error())
    tap.equal(got and icmp_of(got)[:2], (3, 0), "no route to the remote: the sender is told 3/0")
    tap.ok(got and icmp_of(got).quoted == forwarded(sent), "… about its own packet")
    lab.n1.ip(f"addr add {LOCAL}/24 dev eth0")
    lab.resolve()
    tap.ok(lab.outer_of(sent), "… and packets go out again when there is one")


def tunnel_gone():
    """Late errors about a tunnel that is deleted or changed harm nobody."""
    lab.fresh()
    _, packet = sent_outer(1400, df=True)
    lab.culvertd.change("tun0 remote 192.168.100.5")
    engine = Watch(lab.culvertd, None)
    lab.pod.drain()
    lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 4, packet[:548], 1000))
    tap.equal(engine.wait("icmp-not-ours", timeout=0.5), 1, "an error about a former remote")
    lab.culvertd.delete("tun0")
    lab.from_peer(icmp_error(ROUTER, LOCAL, 3, 4, packet[:548], 1000))
    tap.equal(engine.wait("icmp-not-ours", 2, 0.5), 2, "an error about a deleted tunnel")
    tap.ok(lab.quiet(lab.pod, is_icmp_error(), 0.05), "… neither is relayed")


tap.main(
    [
        forged, mtu_bounds, rate_limit, never_answered, own_sender, nbma, extensions,
        from_ourselves, no_way, tunnel_gone, lab.clean_end,
    ],
    lab.before,
    lab.after,
)
