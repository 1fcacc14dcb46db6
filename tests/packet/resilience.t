#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,mixed parallel idle
"""
What comes and goes: addresses, links, devices, routes, the daemon itself; outer
fragments; outer packets that arrive through the TUN device (shapes.Line).

    p1 10.244.1.2 ── n1 ── 192.168.100.254 r 192.168.200.254 ── n2 ── p2 10.244.2.2
                     culvertd                                   culvertd

p2's stack answers pings; the test sends them at p1 and sees the answers there.
"""

import signal
import struct
import threading
import time

import culvert
import net
import tap
from culvert import Watch
from packets import (
    difference, echo, fix, forwarded, fragments, header, icmp_of, is_icmp_error, outer, patch,
    reassemble, udp,
)
from shapes import Line
from transfer import tcp_transfer

culvert.need_programs()
lab = Line()
pod = lab.p1.wire("eth0")
FRAME = lab.n1.mac("pod0") + lab.p1.mac("eth0") + b"\x08\x00"
A, B = lab.POD_A, lab.POD_B
DEFAULT = "route add default via 192.168.100.254"
_number = 0


def ping(timeout=1.0, size=84):
    """True if an echo request of the pod is answered in time."""
    global _number
    _number += 1
    number = _number
    pod.send(FRAME + echo(A, B, size, number=number))
    reply = pod.expect(
        lambda p: p[9] == 1 and header(p).payload[:1] == b"\0"
        and header(p).payload[6:8] == struct.pack("!H", number), timeout)
    return reply is not None and len(reply) == size


def comes_back(what, seconds=3.0):
    """Assert that pings pass again, and say how soon."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if ping(0.1):
            tap.ok(True, f"{what}: pings pass again")
            tap.note(f"after {1000 * (time.monotonic() - started):.0f} ms")
            return
    tap.ok(False, f"{what}: pings pass again", lab.d1.counters("tun0"))


def gone(what, reason=None, node=None):
    """Assert that pings do not pass, and why."""
    watch = Watch(node or lab.d1)
    tap.ok(not ping(0.15), f"{what}: pings do not pass")
    if reason:
        tap.ok(watch.wait(reason, timeout=0.3), f"{what}: counted as {reason}", watch.rose)


def address():
    tap.ok(ping(), "(the tunnel carries pings)")
    lab.n1.ip(f"addr del {lab.A}/24 dev eth0")
    gone("the outer address is removed", "no-outer-route")
    lab.n1.ip(f"addr add {lab.A}/24 dev eth0", DEFAULT)
    comes_back("the outer address is back")
    lab.n1.ip(f"addr add {lab.A}/32 dev lo", f"addr del {lab.A}/24 dev eth0",
              "addr add 192.168.100.77/24 dev eth0", DEFAULT,
              f"route replace default via 192.168.100.254 src {lab.A}")
    lab.r.ip(f"route add {lab.A}/32 via 192.168.100.77")
    comes_back("the outer address is on another device")
    lab.n1.ip("addr del 192.168.100.77/24 dev eth0", f"addr del {lab.A}/32 dev lo",
              f"addr add {lab.A}/24 dev eth0", DEFAULT)
    lab.r.ip(f"route del {lab.A}/32 via 192.168.100.77")
    comes_back("… and back again")


def link():
    lab.n1.ip("link set eth0 down")
    gone("the underlay link is down", "no-outer-route")
    lab.n1.ip("link set eth0 up", DEFAULT)
    comes_back("the underlay link is up")
    lab.r.ip("link set left down")
    gone("the other end's link is down")
    lab.r.ip("link set left up")
    comes_back("the other end's link is up")
    for _ in range(10):
        lab.n1.ip("link set eth0 down", "link set eth0 up", DEFAULT)
    comes_back("the link flapped ten times")


def device():
    for _ in range(2):
        lab.n1.ip("link del eth0")
        gone("the underlay device is deleted", "no-outer-route")
        net.connect(lab.n1, "eth0", lab.r, "left")
        lab.r.ip("addr add 192.168.100.254/24 dev left")
        lab.n1.ip(f"addr add {lab.A}/24 dev eth0", DEFAULT)
        comes_back("the underlay device is made again")
    watch = Watch(lab.d1)
    tap.ok(ping(), "(one more ping)")
    tap.equal(watch.rose().get("rx_packets"), 1, "… and each packet is taken once")


def tunnel_device():
    lab.n1.ip("link set tun0 down")
    gone("the tunnel device is down")
    lab.n1.ip("link set tun0 up", "route add 10.244.2.0/24 dev tun0")
    comes_back("the tunnel device is up")
    lab.n2.ip("link set tun0 down")
    gone("the peer's tunnel device is down")
    lab.n2.ip("link set tun0 up", "route add 10.244.1.0/24 dev tun0")
    comes_back("the peer's tunnel device is up")


def routes():
    lab.n1.ip("route del default")
    gone("the underlay route is gone", "no-outer-route")
    lab.n1.ip(DEFAULT)
    comes_back("the underlay route is back")
    lab.n1.ip("route del 10.244.2.0/24 dev tun0")
    gone("the route into the tunnel is gone")
    lab.n1.ip("route add 10.244.2.0/24 dev tun0")
    comes_back("the route into the tunnel is back")
    lab.r.ip("route add blackhole 192.168.200.2/32")
    gone("the router loses its way")
    lab.r.ip("route del blackhole 192.168.200.2/32")
    comes_back("the router finds it again")


def told(packet, name, want):
    """Assert that the pod is told want = (type, code) of its packet, by real routers' ICMP."""
    pod.drain()
    pod.send(FRAME + packet)
    got = pod.expect(is_icmp_error())
    error = got and icmp_of(got)
    tap.equal(error and (error.type, error.code), want, f"{name}: the sender is told {want}")
    tap.equal(error and error.quoted, packet and forwarded(packet)[: len(error.quoted)]
              if error else b"", f"{name}: … of its own packet")


def errors_of_routers():
    """RFC 2003, 4, with errors that Linux itself makes."""
    probe = udp(A, B, 700)
    for kind, want in ("unreachable", (3, 1)), ("prohibit", (3, 0)):
        lab.r.ip(f"route add {kind} {lab.B}/32")
        told(probe, f"the router's route is {kind}", want)
        lab.r.ip(f"route del {kind} {lab.B}/32")
        comes_back(f"the router's route is no longer {kind}")
    told(udp(A, B, 700, ttl=2), "an inherited TTL runs out on the path", (3, 1))
    comes_back("after that")
    lab.d2.stop()
    if lab.d2.has_fastpath:
        tap.ok(ping(), "the other end's daemon is stopped: its fast path goes on")
        lab.n2.run("tc filter del dev eth0 ingress")
    told(probe, "nobody takes protocol 4 at the other end", (3, 0))
    lab.d2.start()
    comes_back("the other end's daemon is back")


def order():
    """Each flow keeps its order and loses nothing, however many workers there are."""
    lab.p2.silence()
    far = lab.p2.wire("eth0")
    far_frame = lab.n2.mac("pod0") + lab.p2.mac("eth0") + b"\x08\x00"
    count, flows = 3000, 6
    for name, wire, frame, sink, source, target in (
        ("p1 to p2", pod, FRAME, far, A, B), ("p2 to p1", far, far_frame, pod, B, A),
    ):
        template = [udp(source, target, 100, sport=9000 + flow, chksum=None)
                    for flow in range(flows)]
        sink.drain()
        for i in range(count):
            packet = template[i % flows]
            wire.send(frame + packet[:26] + b"\0\0" + packet[28:96] + struct.pack("!I", i))
            if i % 100 == 99:
                time.sleep(0.003)
        got = sink.collect(lambda p, s=source: p[9] == 17 and header(p).src == s, count, 5, 0.5)
        by_flow = {}
        for packet in got:
            payload = header(packet).payload
            by_flow.setdefault(payload[:2], []).append(struct.unpack("!I", payload[-4:])[0])
        tap.equal(len(got), count, f"{name}: {count} packets of {flows} flows, all arrive, once")
        tap.ok(len(by_flow) == flows and all(n == sorted(n) for n in by_flow.values()),
               f"{name}: each flow in its order")
    far.close()
    lab.p2.run("nft flush ruleset")


class Stream:
    """Pings all the time, from a thread with a wire of its own; counts what comes back."""

    def __init__(self, interval=0.002):
        self.wire = lab.p1.wire("eth0")
        self.sent, self.answers = 0, {}
        self.running, self.interval = True, interval
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.running:
            self.sent += 1
            self.wire.send(FRAME + echo(A, B, number=20000 + self.sent % 40000))
            self._read(self.interval)
        self._read(0.3)

    def _read(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            packet = self.wire.expect(
                lambda p: p[9] == 1 and header(p).payload[:1] == b"\0", left)
            if packet:
                number = struct.unpack_from("!H", header(packet).payload, 6)[0]
                self.answers[number] = self.answers.get(number, 0) + 1

    def end(self):
        self.running = False
        self.thread.join()
        self.wire.close()


def restart():
    lab.n1.ip("addr add 10.0.0.1/24 dev tun0", "route add 10.77.0.0/16 dev tun0 metric 7")
    index = lab.n1.ip("link show dev tun0").split(":")[0]
    for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGKILL, "SIGKILL")):
        stream = Stream()
        time.sleep(0.3)
        code = lab.d1.stop(number)
        if number == signal.SIGTERM:
            tap.equal(code, 0, f"restart under traffic ({name}): a clean stop")
        time.sleep(0.1)
        tap.equal(lab.n1.ip("link show dev tun0").split(":")[0], index,
                  f"restart under traffic ({name}): the device stays")
        tap.ok("10.0.0.1/24" in lab.n1.ip("addr show dev tun0"),
               f"restart under traffic ({name}): its address stays")
        tap.ok("10.77.0.0/16" in lab.n1.ip("route show dev tun0"),
               f"restart under traffic ({name}): its routes stay")
        lab.d1.start()
        time.sleep(0.5)
        stream.end()
        lost = stream.sent - len(stream.answers)
        tap.ok(stream.answers and lost < stream.sent, f"restart under traffic ({name}): goes on",
               f"{lost} of {stream.sent} lost")
        tap.note(f"{lost} of {stream.sent} lost in {name}, stop and start")
        tap.equal(max(stream.answers.values(), default=0), 1,
                  f"restart under traffic ({name}): no packet is doubled")
        comes_back(f"restarted after {name}")
        shown = lab.d1.cli("tunnel", "show").stdout
        tap.ok("tun0" in shown and lab.B in shown, f"restarted after {name}: tun0 is shown", shown)


def outer_fragments():
    """A path that fragments outer packets, both ways; the kernel's sockets reassemble."""
    for daemon, peer in ((lab.d1, lab.B), (lab.d2, lab.A)):
        daemon.change(f"tun0 remote {peer} nopmtudisc")
    narrow = [f"{lab.B}/32 dev right", f"{lab.A}/32 dev left"]
    lab.r.ip(*(f"route add {route} mtu lock 700" for route in narrow))
    watch = Watch(lab.d1)
    for size in (84, 680, 681, 1000, 1400):
        tap.ok(ping(size=size), f"outer fragments both ways: a ping of {size} bytes")
    tap.ok(watch.rose().get("rx_packets") == 5, "… each delivered once", watch.rose)
    lab.r.ip(*(f"route del {route}" for route in narrow))
    for daemon, peer in ((lab.d1, lab.B), (lab.d2, lab.A)):
        daemon.change(f"tun0 remote {peer} pmtudisc")


def large_inside():
    """An inner packet larger than any device here comes in outer fragments."""
    peer = lab.r.wire("left")
    frame = lab.n1.mac("eth0") + lab.r.mac("left") + b"\x08\x00"
    for size in (5000, 30000, 65515):
        sent = udp(B, A, size)
        pod.drain()
        for piece in fragments(outer(sent, lab.B, lab.A), 1480):
            peer.send(frame + piece)
        got = pod.collect(lambda p: p[9] == 17, timeout=2, quiet=0.2)
        tap.ok(got and reassemble(got) == forwarded(sent),
               f"an inner packet of {size} bytes in outer fragments arrives whole",
               lambda got=got: len(got))
    sent = udp(B, A, 5000, df=True)
    back = lab.r.wire("left")
    for piece in fragments(outer(sent, lab.B, lab.A), 1480):
        peer.send(frame + piece)
    got = back.expect(lambda p: p[9] == 4 and is_icmp_error(3, 4)(header(p).payload))
    tap.equal(got and icmp_of(header(got).payload).mtu, 1500,
              "… and with DF its sender is told, through the tunnel")
    peer.close()
    back.close()


def handed_over():
    """
    The fast path's way to the engine, made with tc: whatever protocol 4 arrives at eth0 is
    redirected into the TUN device before the packet sockets, or the fast path itself, see it.
    """
    attacker = lab.r.wire("left")
    frame = lab.n1.mac("eth0") + lab.r.mac("left") + b"\x08\x00"
    if not lab.d1.has_fastpath:
        lab.n1.run("tc qdisc add dev eth0 clsact")
    lab.n1.run("tc filter add dev eth0 ingress pref 1 protocol ip u32 match ip protocol 4 0xff "
               "action mirred egress redirect dev tun0")
    watch = Watch(lab.d1)
    for _ in range(20):
        if not ping():
            break
    else:
        tap.ok(True, "handed over: 20 of 20 pings are answered")
    watch.wait("handed-over", 20)
    rose = watch.grown()
    tap.equal((rose.get("handed-over"), rose.get("rx_packets"), rose.get("tx_packets")),
              (20, 20, 20), "handed over: each decapsulated exactly once")

    def deliver(packet):
        attacker.send(frame + packet)

    sent = udp(B, A, 200)
    pod.drain()
    deliver(outer(sent, lab.B, lab.A))
    got = pod.collect(lambda p: p[9] == 17, timeout=0.15)
    tap.ok(got == [forwarded(sent)], "handed over: the inner packet is right, and comes once",
           lambda: "\n".join(difference(g, forwarded(sent)) for g in got) or "nothing")

    sent = udp(B, A, 1400)
    pieces = fragments(outer(sent, lab.B, lab.A), 480)
    orders = {"in order": (0, 1, 2), "backwards": (2, 1, 0), "doubled": (0, 0, 1, 2)}
    for name, order in orders.items():
        watch = Watch(lab.d1)
        pod.drain()
        for i in order:
            deliver(patch(pieces[i], 4, struct.pack("!H", 40 + len(name))))
        got = pod.collect(lambda p: p[9] == 17, timeout=0.15)
        tap.ok(got == [forwarded(sent)], f"handed over, fragments {name}: reassembled",
               lambda: "\n".join(difference(g, forwarded(sent)) for g in got) or "nothing")
        tap.equal(watch.wait("reassembled"), 1, f"handed over, fragments {name}: counted")

    watch, engine = Watch(lab.d1), Watch(lab.d1, None)
    evil = fix(pieces[1][:6] + struct.pack("!H", 0x2000 | 480 // 8 - 2) + pieces[1][8:20]
               + b"\xee" * 480)
    pod.drain()
    for piece in (pieces[0], evil, pieces[1], pieces[2]):
        deliver(patch(piece, 4, b"\x77\x77"))
    grown = watch.wait("fragment-overlap", timeout=0.5)
    grown = grown or engine.wait("fragment-overlap", timeout=0)
    tap.ok(grown, "handed over, overlapping fragments: counted")
    tap.equal(pod.collect(lambda p: p[9] == 17, timeout=0.1), [],
              "handed over, overlapping fragments: nothing is delivered")
    engine, watch = Watch(lab.d1, None), Watch(lab.d1)
    for i in range(400):
        deliver(patch(pieces[0], 4, struct.pack("!H", 1000 + i)))
    grown = engine.wait("fragment-limit", 200, 0.5)
    tap.ok(grown >= 200, "handed over, 400 datagrams that stay incomplete: bounded and counted",
           grown)
    pod.drain()
    for piece in pieces:
        deliver(patch(piece, 4, b"\x66\x66"))
    tap.equal(pod.collect(lambda p: p[9] == 17, 1, 0.3), [forwarded(sent)],
              "handed over, after that: fragments are reassembled all the same")

    watch = Watch(lab.d1)
    deliver(outer(udp("9.9.9.9", A, 100), lab.B, lab.A))
    engine = Watch(lab.d1, None)
    deliver(outer(udp(B, A, 100), "192.168.200.9", lab.A))
    deliver(patch(outer(udp(B, A, 100), lab.B, lab.A), 10, b"\xba\xad", False))
    tap.ok(watch.wait("source-route-refuses", timeout=0.3)
           + watch.wait("source-not-routed-back", timeout=0.3) == 1,
           "handed over: strangers inside are refused")
    tap.equal(engine.wait("no-tunnel"), 1, "handed over: strangers outside are refused")
    engine.wait("bad-checksum", timeout=0.3)

    for size in (1 << 20, 4 << 20):
        result = tcp_transfer(lab.p2, lab.p1, A, size)
        tap.ok(result.right, f"handed over: TCP of {size >> 20} MiB, all bytes right", result)
    lab.n1.offloads("eth0", True)
    result = tcp_transfer(lab.p2, lab.p1, A, 8 << 20)
    tap.ok(result.right, "handed over with offloads on: TCP, all bytes right", result)
    lab.n1.offloads("eth0", False)

    watch = Watch(lab.d1)
    lab.n1.run("tc filter del dev eth0 ingress pref 1" if lab.d1.has_fastpath
               else "tc qdisc del dev eth0 clsact")
    tap.ok(ping(), "the redirection is gone: the usual way in takes over")
    tap.equal(watch.grown().get("handed-over"), None, "… and nothing is handed over any more")
    attacker.close()


tap.main(
    [
        address, link, device, tunnel_device, routes, errors_of_routers, order, restart,
        outer_fragments, large_inside, handed_over,
        lab.clean_end,
    ],
    after=lab.after,
)
