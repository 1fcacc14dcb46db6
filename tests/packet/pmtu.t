#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel idle
"""
Path MTU through a tunnel, with real routers' ICMP (shapes.Line):

    p1 10.244.1.2 ── n1 ── 192.168.100.254 r 192.168.200.254 ── n2 ── p2 10.244.2.2
                     culvertd             right: MTU lowered    culvertd
"""

import time

import culvert
import tap
from culvert import Watch
from packets import (
    DF, MF, difference, forwarded, header, icmp_of, is_icmp_error, is_ipip, reassemble, tcp, udp,
)
from shapes import Line
from transfer import tcp_transfer

culvert.need_programs()
EXPIRES = 2  # seconds that the kernel, and the engine after it, remember a path MTU
lab = Line()
for daemon in (lab.d1, lab.d2):
    daemon.node.sysctl("net.ipv4.route.mtu_expires", EXPIRES)
    daemon.stop()
    daemon.start()
lab.p2.silence()
pod, far = lab.p1.wire("eth0"), lab.p2.wire("eth0")
middle = lab.r.wire("left")
FRAME = lab.n1.mac("pod0") + lab.p1.mac("eth0") + b"\x08\x00"
A, B = lab.POD_A, lab.POD_B


def send(packet):
    pod.send(FRAME + packet)


def drain():
    for wire in pod, far, middle:
        wire.drain()


def from_a(packet):
    return header(packet).src == A


def path_mtu(mtu):
    """Set the MTU of the router's far side."""
    lab.r.ip(f"link set right mtu {mtu}")


def forget():
    """A path of 1500 bytes again and nothing remembered."""
    path_mtu(1500)
    time.sleep(EXPIRES + 0.3)
    drain()


def tell(mtu):
    """Lower the path MTU and let a first packet of full size find out; its ICMP error."""
    path_mtu(mtu)
    send(udp(A, B, 1480, df=True, sport=999))
    got = pod.expect(is_icmp_error())
    return got and icmp_of(got)


def dont_fragment():
    drain()
    send(udp(A, B, 1480, df=True))
    got = far.expect(from_a)
    tap.equal(got and len(got), 1480, "a full path: 1480 bytes with DF pass")
    path_mtu(1400)
    watch = Watch(lab.d1)
    sent = udp(A, B, 1480, df=True)
    drain()
    send(sent)
    got = pod.expect(is_icmp_error())
    error = got and icmp_of(got)
    tap.equal(error and (error.type, error.code, error.mtu), (3, 4, 1380),
              "a lowered path: the first packet with DF is answered, 1380")
    tap.ok(error and error.quoted == forwarded(sent)[: len(error.quoted)], "… and quoted",
           lambda: difference(error.quoted, forwarded(sent)))
    tap.equal((watch.wait("pmtu-lowered"), watch.wait("icmp-relayed")), (1, 1), "… and counted")
    drain()
    watch = Watch(lab.d1)
    send(udp(A, B, 1381, df=True))
    got = pod.expect(is_icmp_error())
    tap.equal(got and icmp_of(got).mtu, 1380, "the second is answered by the tunnel itself")
    tap.equal((watch.wait("too-big"), watch.wait("icmp-too-big-sent")), (1, 1), "… and counted")
    tap.equal(middle.expect(is_ipip, 0.05), None, "… and is not sent")
    send(udp(A, B, 1380, df=True))
    got = far.expect(from_a)
    tap.equal(got and len(got), 1380, "1380 bytes with DF pass")
    path_mtu(1300)
    drain()
    send(udp(A, B, 1380, df=True))
    got = pod.expect(is_icmp_error())
    tap.equal(got and icmp_of(got).mtu, 1280, "lowered once more: the first packet is answered")
    forget()


def without_df():
    tell(1400)
    drain()
    watch = Watch(lab.d1)
    sent = udp(A, B, 1480)
    send(sent)
    got = far.collect(from_a, 2)
    tap.equal(len(got), 2, "a lowered path: a packet without DF arrives in two fragments")
    tap.ok(len(got) == 2 and reassemble(got) == forwarded(sent, 2), "… which make up the packet")
    seen = middle.collect(is_ipip, 2)
    tap.ok(seen and all(len(p) <= 1400 for p in seen), "… that fit the path")
    tap.ok(seen and all(header(p).flags == DF and not header(p).offset for p in seen),
           "… fragmented before encapsulation: the outer packets are whole, with DF")
    inner = [header(p).payload for p in seen]
    tap.equal([header(p).flags for p in inner], [MF, 0], "… the inner ones are fragments")
    tap.equal((watch.wait("fragmented"), watch.wait("tx_packets", 2)), (1, 2), "… and counted")
    tap.equal(pod.expect(is_icmp_error(), 0.05), None, "… and no error is sent")
    forget()
    # The first packet pays for the discovery: RFC 2003, 5.1, outer DF.
    path_mtu(1400)
    drain()
    send(sent)
    tap.equal(far.expect(from_a, 0.1), None, "a path that nobody has measured: the first is lost")
    got = pod.expect(is_icmp_error())
    tap.equal(got and icmp_of(got).mtu, 1380,
              "… and its sender is told, though it set no DF (RFC 2003, 4.1)")
    send(sent)
    tap.equal(len(far.collect(from_a, 2)), 2, "… the second arrives in fragments")
    forget()


def large_without_df():
    """A large datagram of the pod's own stack, over a small path."""
    tell(600)
    drain()
    for i in range(5):
        send(udp(A, B, 1480, sport=4000 + i, id=100 + i))
        got = far.collect(lambda p, i=i: from_a(p) and header(p).id == 100 + i, 3)
        tap.ok(len(got) == 3 and reassemble(got) == forwarded(udp(A, B, 1480, sport=4000 + i,
                                                                  id=100 + i), 2),
               f"a path of 600: datagram {i} arrives in three fragments and is right")
    piece = udp(A, B, 1480, frag=200, flags="MF", id=77)
    drain()
    send(piece)
    got = far.collect(lambda p: from_a(p) and header(p).id == 77, 3)
    want = forwarded(piece, 2)
    tap.ok(len(got) == 3 and all(header(p).flags == MF for p in got)
           and header(got[0]).offset == 1600
           and b"".join(header(p).payload for p in got) == header(want).payload,
           "a path of 600: a middle fragment is fragmented again, MF in all")
    forget()


def ageing():
    tell(1400)
    time.sleep(EXPIRES / 2)
    drain()
    send(udp(A, B, 1480, df=True))
    got = pod.expect(is_icmp_error())
    tap.equal(got and icmp_of(got).mtu, 1380, "the path MTU is remembered for a while")
    path_mtu(1500)
    time.sleep(EXPIRES + 0.5)
    drain()
    send(udp(A, B, 1480, df=True))
    got = far.expect(from_a)
    tap.equal(got and len(got), 1480, "… and then forgotten: 1480 bytes pass again")
    path_mtu(1400)
    drain()
    send(udp(A, B, 1480, df=True))
    got = pod.expect(is_icmp_error())
    tap.equal(got and icmp_of(got).mtu, 1380, "… and learned anew when it is still so")
    forget()


def local_route():
    """What this host itself knows needs no packet on the wire."""
    for how, set_it, undo in (
        ("the route's mtu", f"route add {lab.B}/32 via 192.168.100.254 mtu 1300",
         f"route del {lab.B}/32"),
        ("the underlay device's MTU", "link set eth0 mtu 1300", "link set eth0 mtu 1500"),
    ):
        lab.n1.ip(set_it)
        time.sleep(0.2)
        drain()
        send(udp(A, B, 1281, df=True))
        got = pod.expect(is_icmp_error())
        tap.equal(got and icmp_of(got).mtu, 1280, f"{how} is 1300: the first packet is answered")
        tap.equal(middle.expect(is_ipip, 0.05), None, f"{how} is 1300: nothing was sent")
        send(udp(A, B, 1280, df=True))
        got = far.expect(from_a)
        tap.equal(got and len(got), 1280, f"{how} is 1300: 1280 bytes pass")
        lab.n1.ip(undo)
        time.sleep(0.2)
        drain()
        send(udp(A, B, 1480, df=True))
        got = far.expect(from_a)
        tap.equal(got and len(got), 1480, f"{how} is 1500 again: 1480 bytes pass at once")


def nopmtudisc():
    lab.d1.change(f"tun0 remote {lab.B} nopmtudisc")
    path_mtu(1400)
    drain()
    sent = udp(A, B, 1480)
    send(sent)
    got = far.expect(from_a)
    tap.ok(got == forwarded(sent, 2), "nopmtudisc: the path fragments the outer packet, n2 "
           "reassembles it", lambda: difference(got, forwarded(sent, 2)))
    seen = middle.expect(is_ipip)
    tap.equal(seen and (len(seen), header(seen).flags), (1500, 0),
              "nopmtudisc: the outer packet went out whole, without DF")
    drain()
    send(udp(A, B, 1480, df=True))
    got = pod.expect(is_icmp_error())
    tap.equal(got and icmp_of(got).mtu, 1380, "nopmtudisc: inner DF is obeyed all the same")
    lab.d1.change(f"tun0 remote {lab.B} pmtudisc")
    forget()


def transfers():
    """Whole TCP transfers through a path that shrinks before and during them."""
    lab.p2.run("nft flush ruleset")
    path_mtu(1400)
    result = tcp_transfer(lab.p1, lab.p2, B, 3 << 20)
    tap.ok(result.right, "TCP through a lowered path: all bytes right", result)
    result = tcp_transfer(lab.p2, lab.p1, A, 3 << 20)
    tap.ok(result.right, "TCP the other way: all bytes right", result)
    path_mtu(1500)
    lab.p1.ip("route flush cache")
    result = tcp_transfer(lab.p1, lab.p2, B, 24 << 20, at_half=lambda: path_mtu(1300))
    tap.ok(result.right, "TCP while the path shrinks to 1300: all bytes right", result)
    lab.p2.silence()
    forget()
    drain()
    send(tcp(A, B, bytes(1440)))
    got = far.expect(from_a)
    tap.equal(got and len(got), 1480, "a full-sized segment passes when the path is wide again")


tap.main(
    [
        dont_fragment, without_df, large_without_df, ageing, local_route, nopmtudisc, transfers,
        lab.clean_end,
    ],
    after=lab.after,
)
