#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel idle
"""
Hostile input: whatever arrives, nothing wrong is delivered, what was refused is counted
by its reason, and the daemon lives on.

    p1 10.244.1.2 ── pod0 n1 (culvertd) eth0 192.168.100.1 ── n2: any attacker (the test)

and for loops two nodes that route the same prefix to each other (shapes.Line).
"""

import random
import socket
import struct
import time

from scapy.layers.inet import IPOption

import culvert
import tap
from culvert import Watch
from packets import (
    difference, fix, forwarded, fragments, header, is_ipip, outer, patch, udp,
)
from shapes import Line, Pair

culvert.need_programs()
lab = Pair()
POD, GATEWAY, FAR, LOCAL, REMOTE = lab.POD, lab.GATEWAY, lab.FAR, lab.LOCAL, lab.REMOTE
NOP = IPOption(b"\x01")


def good(size=100, **fields):
    """A packet that must get through."""
    return outer(udp(FAR, POD, size), REMOTE, LOCAL, **fields)


def still_works(name):
    got = lab.inner_of(good(123), match=lambda p: len(p) == 123)
    tap.ok(got == forwarded(udp(FAR, POD, 123)), f"{name}: a good packet still passes")


def refused(packet, reason, name, tunnel="tun0", count=1):
    """Assert that the outer packet is not delivered and counted as reason."""
    watch = Watch(lab.culvertd, tunnel)
    lab.pod.drain()
    lab.from_peer(packet)
    tap.equal(watch.wait(reason, count, 1.0), count, f"{name}: counted as {reason}")
    got = lab.pod.expect(timeout=0.02)
    tap.ok(got is None, f"{name}: not delivered", lambda: got.hex(" ", 4))


def passes(packet, inner, name):
    """Assert that the outer packet is delivered as inner."""
    got = lab.inner_of(packet)
    want = forwarded(inner)
    tap.ok(got == want, name, lambda: difference(got, want))


def header_errors(node):
    """How many packets the node's own stack has refused for their IPv4 header."""
    names, values = [line.split() for line in node.run("cat /proc/net/snmp").stdout.splitlines()
                     if line.startswith("Ip:")]
    return int(values[names.index("InHdrErrors")])


def truncated():
    lab.tunnel()
    whole = good(60)
    engine = Watch(lab.culvertd, None)
    lab.pod.drain()
    for size in range(len(whole)):
        lab.from_peer(whole[:size])
    # Shorter ones do not have the byte that says protocol 4.
    tap.equal(engine.wait("truncated", 70), 70, "outer cut at every length from 10 on: counted")
    tap.ok(lab.quiet(lab.pod), "outer cut at every length: nothing is delivered")

    watch = Watch(lab.culvertd)
    for size in range(20, len(whole)):
        lab.from_peer(patch(whole, 2, struct.pack("!H", size)))
    tap.equal(watch.wait("inner-truncated", 60), 60, "outer total length too short: counted")
    tap.ok(lab.quiet(lab.pod), "outer total length too short: nothing is delivered")

    engine = Watch(lab.culvertd, None)
    for size in (len(whole) + 1, 1500, 0xFFFF):
        lab.from_peer(patch(whole, 2, struct.pack("!H", size)))
    tap.equal(engine.wait("truncated", 3), 3, "outer total length beyond the frame: counted")
    tap.ok(lab.quiet(lab.pod), "outer total length beyond the frame: nothing is delivered")
    for size in (0, 19):
        refused(patch(whole, 2, struct.pack("!H", size)), "bad-header-length",
                f"outer total length {size}", None)

    inner = udp(FAR, POD, 60)
    watch = Watch(lab.culvertd)
    for size in (61, 1500, 0xFFFF):
        lab.from_peer(outer(patch(inner, 2, struct.pack("!H", size)), REMOTE, LOCAL))
    tap.equal(watch.wait("inner-truncated", 3), 3, "inner total length beyond the outer: counted")
    for size in (0, 19):
        refused(outer(patch(inner, 2, struct.pack("!H", size)), REMOTE, LOCAL),
                "inner-bad-header-length", f"inner total length {size}")
    passes(outer(inner + b"\xa5" * 40, REMOTE, LOCAL), inner,
           "bytes behind the inner packet are trimmed")
    passes(good(60) + b"\x5a" * 40, inner, "bytes behind the outer packet are trimmed")
    still_works("truncated")


def header_lengths():
    lab.tunnel()
    for ihl in range(6, 16):
        options = [NOP] * ((ihl - 5) * 4)
        inner = udp(FAR, POD, 120)
        packet = outer(inner, REMOTE, LOCAL, options=options)
        tap.equal(packet[0] & 15, ihl, f"(a packet with IHL {ihl})")
        passes(packet, inner, f"outer IHL {ihl} with options is accepted")
        inner = udp(FAR, POD, 120, options=options)
        passes(outer(inner, REMOTE, LOCAL), inner, f"inner IHL {ihl} with options is accepted")
    whole = good(60)
    for ihl in range(5):
        refused(patch(whole, 0, bytes([0x40 | ihl])), "bad-header-length", f"outer IHL {ihl}", None)
    short = fix(whole[:2] + struct.pack("!H", 24) + whole[4:24])
    for ihl in range(7, 16):
        refused(patch(short, 0, bytes([0x40 | ihl])), "bad-header-length",
                f"outer IHL {ihl} beyond 24 bytes", None)
    inner = udp(FAR, POD, 60)
    for ihl in range(5):
        refused(outer(patch(inner, 0, bytes([0x40 | ihl])), REMOTE, LOCAL),
                "inner-bad-header-length", f"inner IHL {ihl}")
    short = fix(inner[:2] + struct.pack("!H", 24) + inner[4:24])
    for ihl in range(7, 16):
        refused(outer(patch(short, 0, bytes([0x40 | ihl])), REMOTE, LOCAL),
                "inner-bad-header-length", f"inner IHL {ihl} beyond 24 bytes")
    # An option that lies about its length is the receiving host's to refuse: RFC 1122, 3.2.1.8.
    # Where the host's stack is passed by, that is the pod's.
    bad = udp(FAR, POD, 80, options=[NOP] * 8)
    bad = fix(bad[:20] + b"\x44\x28" + bad[22:])
    before = header_errors(lab.n1), header_errors(lab.p1)
    got = lab.inner_of(outer(bad, REMOTE, LOCAL), 0.1, match=lambda p: p[9] == 17)
    by_host, by_pod = header_errors(lab.n1) - before[0], header_errors(lab.p1) - before[1]
    if lab.culvertd.mode == culvert.ENDPOINTS:
        tap.equal(by_host + by_pod, 1, "an inner option longer than its header is refused")
    else:
        tap.equal((got, by_host, by_pod), (None, 1, 0),
                  "an inner option longer than its header is not delivered to the pod")
    still_works("header lengths")


def checksums():
    lab.tunnel()
    for bit in range(16):
        packet = good(60)
        wrong = struct.unpack_from("!H", packet, 10)[0] ^ (1 << bit)
        refused(patch(packet, 10, struct.pack("!H", wrong), False), "bad-checksum",
                f"outer checksum, bit {bit}", None)
        inner = udp(FAR, POD, 60)
        wrong = struct.unpack_from("!H", inner, 10)[0] ^ (1 << bit)
        refused(outer(patch(inner, 10, struct.pack("!H", wrong), False), REMOTE, LOCAL),
                "inner-bad-checksum", f"inner checksum, bit {bit}")
    refused(patch(good(60), 8, b"\x07", False), "bad-checksum", "outer TTL changed", None)
    still_works("checksums")


def overlapping_fragments():
    """Outer fragments from the packet sockets: the kernel's reassembly, nothing wrong delivered."""
    lab.tunnel()
    whole = good(1000)
    first, second, third = fragments(whole, 400)
    lab.pod.drain()
    for piece in (third, first, second):
        lab.from_peer(piece)
    got = lab.pod.expect()
    want = forwarded(udp(FAR, POD, 1000))
    tap.ok(got == want, "outer fragments in any order are reassembled",
           lambda: difference(got, want))
    evil = fix(second[:6] + struct.pack("!H", 0x2000 | 400 // 8 - 2) + second[8:20]
               + b"\xee" * (len(second) - 20))
    for number, (order, name) in enumerate((
        ((first, evil, second, third), "overlap before"),
        ((first, second, evil, third), "overlap after"),
        ((evil, third, second, first), "overlap first"),
    )):
        lab.pod.drain()
        for piece in order:
            lab.from_peer(patch(piece, 4, struct.pack("!H", 0x6000 + number)))
        got = lab.pod.expect(timeout=0.15)
        tap.ok(got is None or got == want, f"{name}: the attacker's bytes are not delivered",
               lambda got=got: difference(got, want))
    tiny = [patch(p, 4, b"\x70\x01") for p in fragments(whole, 8)]
    lab.pod.drain()
    for piece in random.Random(1).sample(tiny, len(tiny)):
        lab.from_peer(piece)
    got = lab.pod.expect()
    tap.ok(got == want, f"{len(tiny)} fragments of 8 bytes are reassembled",
           lambda: difference(got, want))
    for i in range(300):
        lab.from_peer(patch(first, 4, struct.pack("!H", 0x9000 + i)))
    huge = fix(third[:6] + struct.pack("!H", 0x1FFF) + third[8:])
    lab.from_peer(huge)
    lab.pod.drain()
    still_works("fragments")


def nested():
    lab.tunnel()
    core = udp(FAR, POD, 60)
    layers = [core]
    for _ in range(60):
        layers.append(outer(layers[-1], FAR, POD))
    passes(outer(layers[59], REMOTE, LOCAL), layers[59],
           "nested 60 deep: exactly one layer is removed, the rest is equal")
    watch = Watch(lab.culvertd)
    mine = core
    for _ in range(60):
        mine = outer(mine, REMOTE, LOCAL)
    lab.pod.drain()
    lab.from_peer(mine)
    tap.equal(watch.wait("rx_packets"), 1, "60 layers all addressed to us: one is removed")
    tap.ok(lab.quiet(lab.pod), "60 layers all addressed to us: the innermost does not get out")
    tap.equal(watch.rose().get("rx_packets"), 1, "60 layers all addressed to us: only one was")
    sent = core
    for _ in range(60):
        sent = outer(sent, POD, FAR)
    got = lab.outer_of(sent)
    tap.ok(got and header(got).payload == forwarded(sent), "nested 60 deep goes out as payload")
    still_works("nested")


def other_protocols():
    lab.tunnel()
    inner6 = bytes.fromhex("6000000000083b40") + bytes(15) + b"\x01" + bytes(15) + b"\x02"
    inner6 += bytes(8)
    for proto, name in (41, "IPv6"), (47, "GRE"), (94, "IPIP of 94"), (17, "UDP"), (0, "0"):
        watch, engine = Watch(lab.culvertd), Watch(lab.culvertd, None)
        payload = inner6 if proto == 41 else b"\0\0\x08\0" + udp(FAR, POD, 60)
        got = lab.inner_of(outer(payload, REMOTE, LOCAL, proto=proto), 0.05)
        tap.equal((got, watch.rose(), engine.rose()), (None, {}, {}),
                  f"outer protocol {proto} ({name}) is none of our business: nothing happens")
    refused(outer(inner6, REMOTE, LOCAL), "inner-not-ipv4", "an IPv6 packet inside protocol 4")
    for version in (0, 1, 3, 5, 6, 7, 15):
        refused(outer(patch(udp(FAR, POD, 60), 0, bytes([version << 4 | 5])), REMOTE, LOCAL),
                "inner-not-ipv4", f"inner version {version}")
        refused(patch(good(60), 0, bytes([version << 4 | 5])), "bad-version",
                f"outer version {version} in an IPv4 frame", None)
    for key in "all", "tun0":
        lab.n1.sysctl(f"net.ipv6.conf.{key}.disable_ipv6", 0)
    watch = Watch(lab.culvertd)
    lab.peer.drain()
    lab.n1.ip("addr add fd00::1/64 dev tun0 nodad")
    with lab.n1.socket(socket.AF_INET6, socket.SOCK_DGRAM, 0) as s:
        s.sendto(b"six", ("fd00::2", 53))
    tap.ok(watch.wait("inner-not-ipv4"), "an IPv6 packet of this host: inner-not-ipv4")
    tap.ok(lab.quiet(lab.peer, is_ipip), "… and it is not sent")
    lab.n1.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    refused(outer(b"", REMOTE, LOCAL), "inner-truncated", "an empty outer packet")
    still_works("protocols")


def spoofed():
    lab.tunnel()
    engine = Watch(lab.culvertd, None)
    strangers = ["192.168.100.3", "10.244.2.2", "8.8.8.8", "127.0.0.1", "0.0.0.0", "224.0.0.1",
                 "255.255.255.255", LOCAL]
    lab.pod.drain()
    for stranger in strangers:
        lab.from_peer(outer(udp(FAR, POD, 60), stranger, LOCAL))
    tap.equal(engine.wait("no-tunnel", len(strangers)), len(strangers),
              "outer packets of strangers: counted as no-tunnel")
    tap.ok(lab.quiet(lab.pod), "outer packets of strangers: not delivered")
    for words in ("", "nostrict"):
        lab.tunnel(words)
        how = words or "strict"
        for source in ("127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "224.0.0.1",
                       "239.1.2.3", "240.0.0.1", "255.255.255.255", "10.244.1.255",
                       "192.168.100.255"):
            refused(outer(udp(source, POD, 60), REMOTE, LOCAL), "inner-source-martian",
                    f"{how}: inner source {source}")
        for source in (LOCAL, GATEWAY):
            refused(outer(udp(source, POD, 60), REMOTE, LOCAL), "inner-source-own",
                    f"{how}: inner source {source} is ours")
    lab.tunnel()
    refused(outer(udp(POD, GATEWAY, 60), REMOTE, LOCAL), "source-not-routed-back",
            "inner source is our own pod")
    refused(outer(udp("9.9.9.9", POD, 60), REMOTE, LOCAL), "source-route-refuses",
            "inner source without a route")
    still_works("spoofed")


def other_hosts():
    lab.tunnel()
    mine = lab.n1.mac("eth0")
    watch, engine = Watch(lab.culvertd), Watch(lab.culvertd, None)
    lab.pod.drain()
    tail = lab.n2.mac("eth0") + b"\x08\x00" + good(60)
    for mac, name in (
        (bytes([mine[0] ^ 2]) + mine[1:5] + bytes([mine[5] ^ 1]), "another host's MAC"),
        (b"\xff" * 6, "the broadcast MAC"),
        (b"\x01\x00\x5e\x00\x00\x01", "a multicast MAC"),
    ):
        lab.peer.send(mac + tail)
        tap.ok(lab.quiet(lab.pod, seconds=0.05), f"a frame for {name} is ignored")
    tap.equal((watch.rose(), engine.rose()), ({}, {}), "frames not for us count nowhere")
    lab.n1.ip("link set eth0 promisc on")
    lab.peer.send(bytes([mine[0] ^ 2]) + mine[1:] + tail)
    tap.ok(lab.quiet(lab.pod, seconds=0.05), "… nor in promiscuous mode")
    lab.n1.ip("link set eth0 promisc off")
    tap.equal((watch.rose(), engine.rose()), ({}, {}), "… and nothing is counted")

    # A tunnel that takes any local address takes those of this host alone.
    lab.remake(f"tun0 mode ipip remote {REMOTE} local any", "10.244.2.0/24 dev tun0")
    watch, engine = Watch(lab.culvertd), Watch(lab.culvertd, None)
    for destination in ("255.255.255.255", "192.168.100.255", "224.0.0.1", "192.168.100.77",
                        "10.244.1.2"):
        lab.pod.drain()
        lab.from_peer(outer(udp(FAR, POD, 60), REMOTE, destination))
        tap.ok(lab.quiet(lab.pod, lambda p: p[9] == 17, 0.05),
               f"an outer packet for {destination} is not decapsulated")
    tap.equal((watch.rose(), engine.rose()), ({}, {}), "outer packets for others count nowhere")
    passes(outer(udp(FAR, POD, 60), REMOTE, LOCAL), udp(FAR, POD, 60), "local any: ours is taken")
    still_works("others")


def underlay_through_overlay():
    lab.tunnel()
    watch = Watch(lab.culvertd)
    lab.peer.drain()
    lab.n1.ip(f"route add {REMOTE}/32 dev tun0")
    for _ in range(5):
        lab.from_pod(udp(POD, FAR, 100))
    tap.equal(watch.wait("underlay-loop", 5), 5, "the remote routed into its own tunnel: counted")
    tap.ok(lab.quiet(lab.peer, is_ipip), "the remote routed into its own tunnel: nothing is sent")
    lab.n1.ip(f"route del {REMOTE}/32 dev tun0")
    tap.ok(lab.outer_of(udp(POD, FAR, 100)), "… and sent again once the route is gone")

    # Two tunnels, each remote routed through the other.
    lab.culvertd.add(f"tun1 mode ipip remote 192.168.100.3 local {LOCAL}")
    lab.n1.ip("route add 192.168.100.3/32 dev tun0", f"route add {REMOTE}/32 dev tun1")
    watch = Watch(lab.culvertd)
    lab.peer.drain()
    lab.from_pod(udp(POD, FAR, 100))
    tap.equal(watch.wait("underlay-loop"), 1, "a remote routed into another tunnel: counted")
    tap.ok(lab.quiet(lab.peer, is_ipip), "a remote routed into another tunnel: nothing is sent")
    lab.culvertd.delete("tun1")
    tap.ok(lab.outer_of(udp(POD, FAR, 100)), "… and sent again once the tunnel is gone")


def flood():
    """Mutated packets by the thousand; the seed is fixed, so that a failure can be repeated."""
    lab.tunnel()
    random_ = random.Random(20030101)
    seeds = [good(60), good(1400), good(100, options=[NOP] * 8), fragments(good(900), 304)[1],
             outer(outer(udp(FAR, POD, 80), FAR, POD), REMOTE, LOCAL)]

    def wave(count):
        for i in range(count):
            packet = bytearray(random_.choice(seeds))
            for _ in range(random_.randrange(1, 6)):
                packet[random_.randrange(min(len(packet), 64))] = random_.randrange(256)
            packet[9] = 4
            if random_.random() < 0.3:
                packet = packet[: random_.randrange(1, len(packet))]
            if random_.random() < 0.5 and len(packet) >= 20:
                packet = fix(bytes(packet))
            lab.from_peer(bytes(packet))
            if i % 200 == 199:
                time.sleep(0.01)

    wave(3000)
    memory, files = lab.culvertd.memory(), lab.culvertd.descriptors()
    engine = Watch(lab.culvertd, None)
    wave(9000)
    tap.ok(sum(engine.rose().values()) > 1000, "a flood of garbage: refused and counted",
           lambda: engine.rose())
    tap.ok(lab.culvertd.alive(), "a flood of garbage: the daemon is alive")
    grown = lab.culvertd.memory() - memory
    tap.ok(grown < 1 << 20, "a flood of garbage: memory does not grow", f"{grown} bytes")
    # The connection of the last `culvert` may need a moment to be closed.
    deadline = time.monotonic() + 2
    while (now := lab.culvertd.descriptors()) > files and time.monotonic() < deadline:
        time.sleep(0.01)
    tap.ok(now <= files, "a flood of garbage: no descriptor is left open", f"{now}, were {files}")
    still_works("flood")

    for i in range(2000):
        packet = bytearray(udp(POD, FAR, random_.randrange(28, 1400)))
        for _ in range(random_.randrange(1, 4)):
            packet[random_.randrange(min(len(packet), 40))] = random_.randrange(256)
        packet[16:20] = bytes([10, 244, 2, 2])
        lab.from_pod(fix(bytes(packet)))
        if i % 200 == 199:
            time.sleep(0.01)
    grown = lab.culvertd.memory() - memory
    tap.ok(grown < 1 << 20, "garbage from a pod: memory does not grow", f"{grown} bytes")
    tap.ok(lab.outer_of(udp(POD, FAR, 99), match=lambda p: len(p) == 119),
           "garbage from a pod: a good packet still goes out")


def crossed_routes():
    """Each node sends 10.9.0.0/16 into the tunnel to the other."""
    line = Line(words="nostrict")
    line.n1.ip("route add 10.9.0.0/16 dev tun0")
    line.n2.ip("route add 10.9.0.0/16 dev tun0")
    middle = line.r.wire("left", with_outgoing=True)
    pod = line.p1.wire("eth0")
    frame = line.n1.mac("pod0") + line.p1.mac("eth0") + b"\x08\x00"
    for ttl, size, df in (64, 1000, False), (255, 1000, True), (64, 1480, False):
        middle.drain()
        pod.send(frame + udp(POD, "10.9.0.1", size, ttl=ttl, df=df))
        seen = middle.collect(is_ipip, timeout=3, quiet=0.3)
        loop = [p for p in seen if header(header(p).payload).dst == "10.9.0.1"]
        total = sum(len(p) for p in loop)
        bound = ttl * (size + 20)
        tap.ok(ttl // 2 <= len(loop) < ttl and total <= bound,
               f"nostrict, crossed routes, TTL {ttl}, {size} bytes: "
               "each byte goes round at most TTL times",
               f"{len(loop)} packets, {total} bytes, bound {bound}")
        tap.ok(all(len(p) == size + 20 for p in loop), "… and the packet does not grow")
    for daemon, peer in ((line.d1, line.B), (line.d2, line.A)):
        daemon.change(f"tun0 remote {peer} strict")
    watch = Watch(line.d1)
    middle.drain()
    for _ in range(10):
        pod.send(frame + udp(POD, "10.9.0.1", 1000, ttl=255))
    seen = middle.collect(is_ipip, timeout=2, quiet=0.2)
    tap.equal(watch.wait("source-not-routed-back", 10), 10,
              "strict, crossed routes: counted when they come back")
    tap.equal(len(seen), 20, "strict, crossed routes: each packet goes round once")
    middle.close()
    pod.close()


tap.main(
    [
        truncated, header_lengths, checksums, overlapping_fragments, nested, other_protocols,
        spoofed, other_hosts, underlay_through_overlay, flood, crossed_routes, lab.clean_end,
    ],
    lab.before,
    lab.after,
)
