#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath,endpoints long-modes=engine,mixed parallel
"""
Super-packets and unfilled checksums, which are normal input on both sides: every
combination of offloads at the pods and on the underlay, with the bytes compared
(shapes.Line with all cables offloaded, each then switched).

    p1 10.244.1.2 ── n1 ── 192.168.100.254 r 192.168.200.254 ── n2 ── p2 10.244.2.2
       pods' offloads       the underlay's offloads             pods' offloads

The engine cuts super-packets on the way out and merges segments on the way in; the fast path
leaves both to the devices, and keeps whole what they take whole.
"""

import itertools
import socket
import struct

from scapy.layers.inet import IPOption

import culvert
import net
import tap
from culvert import Watch
from packets import checksum, forwarded, header, is_ipip, outer, tcp, udp
from shapes import Line
from transfer import tcp_transfer, udp_segments
from whole import WholeWire

culvert.need_programs()
lab = Line(offload=True)
A, B = lab.POD_A, lab.POD_B
PODS = ((lab.p1, "eth0"), (lab.n1, "pod0"), (lab.n2, "pod0"), (lab.p2, "eth0"))
UNDERLAY = ((lab.n1, "eth0"), (lab.r, "left"), (lab.r, "right"), (lab.n2, "eth0"))
SIZE = 6 << 20
PACKET_VNET_HDR = 15
NEEDS_CSUM = 1


def switch(ends, on):
    for node, interface in ends:
        node.offloads(interface, on)


def word(on):
    return "on" if on else "off"


def transport_ok(packet):
    """True if the TCP or UDP checksum of an IPv4 packet is right."""
    ip = header(packet)
    pseudo = packet[12:20] + struct.pack("!BBH", 0, ip.protocol, len(ip.payload))
    return checksum(pseudo + ip.payload) == 0


def check_path(name, daemon, before):
    """Assert that what the daemon's node has sent since took the path of its mode."""
    now = daemon.paths()
    sent = {path: now[path]["tx_packets"] - before[path]["tx_packets"]
            for path in ("fast", "engine")}
    straight = now["fast"]["tx_endpoint_packets"] - before["fast"]["tx_endpoint_packets"]
    if daemon.has_fastpath:
        tap.ok(sent["fast"] > 50 * sent["engine"], f"{name}: the fast path sends", sent)
    else:
        tap.ok(sent["engine"] and not sent["fast"], f"{name}: the engine sends", sent)
    wanted = sent["fast"] if daemon.mode == culvert.ENDPOINTS else 0
    tap.equal(straight, wanted, f"{name}: … past the host's stack, if the pod is an endpoint")


def combinations():
    for pods, underlay in itertools.product((True, False), repeat=2):
        switch(PODS, pods)
        switch(UNDERLAY, underlay)
        name = f"pods {word(pods)}, underlay {word(underlay)}"
        for source, target, address, way in (
            (lab.p1, lab.p2, B, "p1 to p2"), (lab.p2, lab.p1, A, "p2 to p1"),
        ):
            first, second = (lab.d1, lab.d2) if source is lab.p1 else (lab.d2, lab.d1)
            out, into = Watch(first), Watch(second)
            paths = first.paths()
            result = tcp_transfer(source, target, address, SIZE)
            tap.ok(result.right, f"{name}, {way}: TCP of {SIZE >> 20} MiB, all bytes right", result)
            tap.note(f"{name}, {way}: {result.received * 8e-6 / result.seconds:.0f} Mbit/s")
            check_path(f"{name}, {way}", first, paths)
            if pods and not first.has_fastpath:
                tap.ok(out.rose().get("segmented", 0) > 0,
                       f"{name}, {way}: super-packets were cut", out.rose)
            for watch, side in (out, "sender"), (into, "receiver"):
                bad = {k: v for k, v in watch.rose().items() if k in
                       ("bad-offload", "device-write-failed", "send-failed", "inner-truncated",
                        "inner-bad-checksum", "bad-checksum", "truncated")}
                tap.equal(bad, {}, f"{name}, {way}: nothing refused at the {side}")
            want, got = udp_segments(source, target, address, [1, 100, 1452, 1400, 8, 37], 0)
            tap.equal(got, want, f"{name}, {way}: single UDP datagrams")
            want, got = udp_segments(
                source, target, address, [14000, 13999, 1401, 1400, 7000, 28001 - 1], 1400)
            tap.equal((len(got), got == want), (len(want), True),
                      f"{name}, {way}: UDP super-packets (UDP_SEGMENT), each datagram right")
            want, got = udp_segments(source, target, address, [4000, 20000], 0)
            tap.equal((len(got), got == want), (len(want), True),
                      f"{name}, {way}: large UDP datagrams in fragments")
    for source, target, address, what in (
        (lab.n1, lab.p2, B, "the host itself to p2"), (lab.p2, lab.n1, "10.244.1.1", "p2 to n1"),
        (lab.n1, lab.n2, "10.244.2.1", "host to host"),
    ):
        lab.n1.ip("route replace 10.244.2.0/24 dev tun0 src 10.244.1.1")
        result = tcp_transfer(source, target, address, SIZE // 2)
        tap.ok(result.right, f"{what}: TCP, all bytes right", result)


def on_the_wire():
    """
    What leaves n1 is a whole packet with every checksum in it, whatever came in: at once from
    the engine, as its card makes it from the fast path.
    """
    switch(PODS, True)
    switch(UNDERLAY, True)
    is_fast = lab.d1.has_fastpath
    wire = (WholeWire if is_fast else net.Wire)(lab.r, "left")
    tcp_transfer(lab.p1, lab.p2, B, 1 << 20)
    seen = wire.collect(is_ipip, timeout=0.5, quiet=0.1)
    inner = [header(p).payload for p in seen]
    if is_fast:
        tap.ok(wire.super_packets > 10, "a transfer with offloads on leaves as super-packets",
               wire.super_packets)
    tap.ok(len(seen) > 700, "a transfer with offloads on leaves as single packets", len(seen))
    tap.equal(max(map(len, seen), default=0), 1500, "… of 1500 bytes at most")
    tap.ok(inner and all(checksum(p[:20]) == 0 for p in inner), "… with inner header checksums")
    tap.ok(inner and all(transport_ok(p) for p in inner), "… and transport checksums filled in")
    tap.ok(seen and all(checksum(p[:20]) == 0 for p in seen), "… and outer header checksums")
    ids = [header(p).id for p in inner if len(p) > 1000]
    tap.ok(len(set(ids)) > len(ids) * 0.9, "… and identifications that count up")
    wire.drain()
    want, got = udp_segments(lab.p1, lab.p2, B, [100, 1400], 0)
    seen = [header(p).payload for p in wire.collect(is_ipip, 2)]
    tap.ok(len(seen) == 2 and all(transport_ok(p) for p in seen),
           "a UDP datagram whose checksum the sender left to the card leaves complete")
    want, got = udp_segments(lab.p1, lab.p2, B, [14000], 1400)
    seen = [header(p).payload for p in wire.collect(is_ipip, 10)]
    tap.ok(len(seen) == 10 and all(transport_ok(p) for p in seen),
           "UDP super-packets leave as datagrams, complete")
    tap.equal([header(p).length for p in seen], [1428] * 10, "… of the size that was asked for")
    wire.close()


def unfilled_checksums_in():
    """A neighbour virtual machine's packet: the inner checksum is left to the card."""
    switch(PODS, False)
    switch(UNDERLAY, True)
    sender = lab.r.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.setsockopt(net.SOL_PACKET, PACKET_VNET_HDR, 1)
    with lab.r:
        sender.bind(("left", 0x0800))
    ethernet = lab.n1.mac("eth0") + lab.r.mac("left") + b"\x08\x00"
    # Past the host's stack nobody fills it in before the pod, which is told that it is missing.
    pod = (WholeWire if lab.d1.mode == culvert.ENDPOINTS else net.Wire)(lab.p1, "eth0")
    lab.p1.silence()
    for make, offset, name in ((udp, 6, "UDP"), (tcp, 16, "TCP")):
        for data in (b"unfilled", b"odd", b"", bytes(1400)):
            right = make(B, A, data=data)
            ip = header(right)
            pseudo = right[12:20] + struct.pack("!BBH", 0, ip.protocol, len(ip.payload))
            start = ~checksum(pseudo) & 0xFFFF
            at = 20 + offset
            unfilled = right[:at] + struct.pack("!H", start) + right[at + 2 :]
            vnet = struct.pack("=BBHHHH", NEEDS_CSUM, 0, 0, 0, 14 + 20 + 20, offset)
            pod.drain()
            sender.send(vnet + ethernet + outer(unfilled, lab.B, lab.A))
            got = pod.expect(lambda p, proto=ip.protocol: p[9] == proto)
            tap.ok(got and got[20:] == right[20:],
                   f"an unfilled inner {name} checksum ({len(data)} bytes) arrives filled in",
                   lambda got=got: got and got.hex(" ", 4))
    # The inner checksum is wrong for good: it is not ours to judge, and stays wrong.
    broken = udp(B, A, data=b"broken")
    broken = broken[:26] + b"\x12\x34" + broken[28:]
    pod.drain()
    sender.send(bytes(10) + ethernet + outer(broken, lab.B, lab.A))
    got = pod.expect(lambda p: p[9] == 17)
    tap.equal(got and got[20:], broken[20:], "a wrong inner UDP checksum is passed on as it is")
    sender.close()
    pod.close()
    lab.p1.run("nft flush ruleset")


def small_path():
    """Super-packets whose segments do not fit the path."""
    switch(PODS, True)
    switch(UNDERLAY, True)
    lab.r.ip("link set right mtu 1200")
    result = tcp_transfer(lab.p1, lab.p2, B, SIZE)
    tap.ok(result.right, "a path of 1200: TCP super-packets, all bytes right", result)
    lab.p1.ip("route flush cache")  # the pod's own stack must not know what TCP has learned
    watch = Watch(lab.d1)
    want, got = udp_segments(lab.p1, lab.p2, B, [14000, 2801, 1400], 1400, dont_fragment=False)
    tap.equal((len(got), got == want), (len(want), True),
              "a path of 1200: UDP super-packets without DF, each datagram right")
    tap.ok(watch.rose().get("fragmented", 0) >= 13, "… each was fragmented before encapsulation",
           watch.rose)
    lab.r.ip("link set right mtu 1500")
    lab.p1.ip("route flush cache")
    lab.n1.ip("route flush cache")
    lab.d1.stop()
    lab.d1.start()


def coalesced():
    """
    Segments that arrive one by one enter the receiving host as super-packets: by the engine, or
    by the card's GRO, which looks into the tunnel.
    """
    switch(PODS, True)
    switch(UNDERLAY, False)
    is_fast, is_straight = lab.d2.has_fastpath, lab.d2.mode == culvert.ENDPOINTS
    if is_fast:
        lab.n2.run("ethtool -K eth0 gro on")
    inside = lab.p2.wire("eth0") if is_straight else lab.n2.wire("tun0", link_header=0)
    watch = Watch(lab.d2)
    result = tcp_transfer(lab.p1, lab.p2, B, 16 << 20)
    seen = inside.collect(lambda p: p[9] == 6, timeout=2, quiet=0.2)
    largest = max(map(len, seen), default=0)
    tap.ok(result.right, "a transfer that is coalesced: all bytes right", result)
    # A card merges what comes in one batch; the engine at the other end sends one by one.
    if lab.d1.has_fastpath or not is_fast:
        tap.ok(largest > 3000, "the receiver sees super-packets", f"largest {largest}")
    tap.note(f"largest {largest}, {len(seen)} packets for {16 << 20} bytes")
    if not is_fast:
        tap.ok(watch.rose().get("coalesced", 0) > 0, "… and they are counted", watch.rose)
    inside.close()


def not_coalesced():
    """What must not be merged is not: each packet arrives as it was sent."""
    switch(PODS, False)
    switch(UNDERLAY, False)
    lab.p1.silence()
    pod = lab.p1.wire("eth0")
    wire = lab.r.wire("left")
    frame = lab.n1.mac("eth0") + lab.r.mac("left") + b"\x08\x00"
    data = bytes(range(256)) * 4

    def burst(name, inner, merged=True, ids=True):
        """
        All at once to a daemon that was asleep, so that it finds them together. merged:
        whether the engine may merge some; the pod must see them as sent all the same.
        """
        pod.drain()
        watch = Watch(lab.d1)
        lab.d1.pause()
        for packet in inner:
            wire.send(frame + outer(packet, lab.B, lab.A))
        lab.d1.resume()
        got = pod.collect(lambda p: p[9] == 6, len(inner), 1)
        want = [forwarded(p) for p in inner]
        tap.equal([p[0 if ids else 20:] for p in got], [p[0 if ids else 20:] for p in want],
                  f"{name}: as sent, in order")
        count = watch.rose().get("coalesced", 0)
        wanted = merged and not lab.d1.has_fastpath
        tap.ok(bool(count) == wanted, f"{name}: {'some' if wanted else 'none'} merged", count)

    def segment(number, **fields):
        fields.setdefault("seq", 1000 + number * len(data))
        ip = fields.pop("ip", {})
        return tcp(B, A, data, ip={"id": 100 + number, **ip}, **fields)

    burst("six segments in sequence", [segment(i) for i in range(6)])
    burst("a hole in the sequence", [segment(i) for i in (0, 1, 3, 4)])
    burst("segments out of order", [segment(i) for i in (2, 0, 3, 1)], False)
    burst("a segment twice", [segment(i) for i in (0, 0, 0)], False)
    burst("PSH in the middle", [segment(i, flags="PA" if i == 2 else "A") for i in range(5)])
    burst("FIN at the end", [segment(i, flags="FA" if i == 4 else "A") for i in range(5)])
    burst("RST everywhere", [segment(i, flags="RA") for i in range(5)], False)
    burst("URG everywhere", [segment(i, flags="UA", urgptr=5) for i in range(5)], False)
    burst("SYN everywhere", [segment(i, flags="SA") for i in range(5)], False)
    burst("CWR in the middle", [segment(i, flags="CA" if i == 2 else "A") for i in range(5)])
    burst("CWR in all", [segment(i, flags="CA") for i in range(5)], False)
    burst("ECN marks differ", [segment(i, ip={"tos": 2 + i % 2}) for i in range(6)], False)
    burst("TTLs differ", [segment(i, ip={"ttl": 60 + i % 2}) for i in range(6)], False)
    burst("acknowledgements differ", [segment(i, ack=i) for i in range(6)], False)
    burst("windows differ", [segment(i, window=1000 + i) for i in range(6)], False)
    stamp = [("Timestamp", (1, 0)), ("NOP", None), ("NOP", None)]
    burst("options alike", [segment(i, options=stamp) for i in range(6)])
    burst("options differ", [segment(i, options=[("Timestamp", (i, 0))]) for i in range(6)], False)
    burst("IP options", [segment(i, ip={"options": [IPOption(b"\x01")] * 4}) for i in range(4)],
          False)
    burst("DF in some", [segment(i, ip={"flags": "DF" if i % 2 else 0}) for i in range(4)], False)
    # RFC 6864, 4.1: identifications of packets with DF mean nothing and may change.
    burst("identifications repeat", [segment(i, ip={"id": 7}) for i in range(4)], ids=False)
    burst("identifications jump", [segment(i, ip={"id": 7 + 5 * i}) for i in range(4)], False)
    burst("two flows in turn", [segment(i // 2, sport=4000 + i % 2, ip={"id": 50 + i // 2})
                                for i in range(8)][::2])
    broken = segment(1)
    broken = broken[:36] + b"\xba\xad" + broken[38:]
    burst("a wrong TCP checksum in the middle", [segment(0), broken, segment(2)], False)
    burst("pure acknowledgements", [tcp(B, A, ack=i, ip={"id": i + 1}) for i in range(4)], False)
    small = [tcp(B, A, data[:n], seq=1000 + at, ip={"id": 200 + i})
             for i, (n, at) in enumerate(((500, 0), (500, 500), (100, 1000), (500, 1100)))]
    burst("a small segment in the middle", small)
    burst("a larger segment in the middle",
          [tcp(B, A, data[:n], seq=1000 + at, ip={"id": 300 + i})
           for i, (n, at) in enumerate(((500, 0), (600, 500), (500, 1100)))], True)
    burst("a whole queue of segments", [segment(i) for i in range(200)])
    pod.close()
    wire.close()


tap.main(
    [
        combinations, on_the_wire, unfilled_checksums_in, small_path, coalesced, not_coalesced,
        lab.clean_end,
    ],
    after=lab.after,
)
