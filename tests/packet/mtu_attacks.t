#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine parallel
"""
Who lies about a path: forged "fragmentation needed", answers to probes from strangers, reflected
probes. Nothing of it may change what is known of the path for longer than a probe needs to show
better, and all of it is counted.

    p1 10.244.1.2 ── n1 ── 192.168.100.254 r 192.168.200.254 ── n2 ── p2 10.244.2.2
                     d1    left: the liar          right        d2
"""

import json
import os
import socket
import struct
import time

import culvert
import net
import tap
from culvert import Watch
from packets import (
    IPIP, checksum, fix, header, icmp_error, icmp_of, is_icmp_error, is_ipip, outer, patch, udp,
)
from shapes import Line

culvert.need_programs()
lab = Line(probing=True)
A, B = lab.A, lab.B
POD, FAR = lab.POD_A, lab.POD_B
ROUTER, STRANGER = "192.168.100.254", "192.168.100.77"
FULL, LEAST = 1500, 596
PROBE_ID, PROBE_MAGIC = 0x4376, b"cvpb"
ECHO, ECHO_REPLY = 8, 0
BURST = 8  # so many errors about one remote are believed at once (engine/remote.h)
REFUTED_S = 2.0  # a lie may last so long while there is traffic

pod, far = lab.p1.wire("eth0"), lab.p2.wire("eth0")
left = lab.r.wire("left")
TO_N1 = lab.n1.mac("eth0") + lab.r.mac("left") + b"\x08\x00"
FROM_POD = lab.n1.mac("pod0") + lab.p1.mac("eth0") + b"\x08\x00"
lab.p2.silence()


def path():
    """What d1 knows of the path to n2."""
    return json.loads(lab.d1.cli("-j", "path").stdout)["paths"][0]


def known(mtu=FULL, state="complete"):
    """Whether it is so."""
    now = path()
    return (now["mtu"], now["state"]) == (mtu, state)


def lie(packet):
    """The router's side of the wire sends it to n1."""
    left.send(TO_N1 + packet)


def send(packet):
    """The pod sends it."""
    pod.send(FROM_POD + packet)


def drain():
    for wire in pod, far, left:
        wire.drain()


def sent_outer(size=1480, **fields):
    """An outer packet with an inner one of this size, as it went over the wire."""
    for _ in range(5):
        drain()
        send(udp(POD, FAR, size, df=True, sport=4321, **fields))
        got = left.expect(lambda p: is_ipip(p) and header(header(p).payload).src == POD, 0.5)
        if got:
            return got
    raise RuntimeError("nothing goes out")


def is_probe(packet):
    """An outer packet of a probe's request."""
    if packet[9] != IPIP or len(packet) < 64:
        return False
    inner = header(packet).payload
    return (inner[9] == 1 and inner[20] == ECHO and inner[24:26] == struct.pack("!H", PROBE_ID)
            and inner[28:32] == PROBE_MAGIC)


def traffic(seconds, until=lambda: False, size=1480):
    """Packets of this size from the pod for so long, or until then; seconds that it took."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds and not until():
        send(udp(POD, FAR, size, df=True))
        time.sleep(0.02)
    return time.monotonic() - begin


def passes(size=1480):
    """Whether a packet of this size with DF arrives."""
    drain()
    send(udp(POD, FAR, size, df=True))
    return far.expect(lambda p: header(p).src == POD and len(p) == size, 1.0) is not None


def afresh():
    """The path in full, nobody distrusted."""
    for daemon in lab.d1, lab.d2:
        daemon.stop()
        daemon.start()
    tap.ok(net.wait_for(known, 15), "at first the path is known in full", path)


def wrong_quotes():
    afresh()
    base = sent_outer()[:548]
    inner = base[20:]
    cases = {
        "another outer source": patch(base, 12, socket.inet_aton(STRANGER)),
        "another outer destination": patch(base, 16, socket.inet_aton("192.168.200.77")),
        "an inner destination that is not routed to the tunnel":
            base[:20] + patch(inner, 16, socket.inet_aton("10.99.0.1")),
        "an inner checksum that is wrong": base[:30] + b"\xde\xad" + base[32:],
        "no IPv4 inside": base[:20] + b"\x60" + base[21:],
        "an inner length that does not fit": patch(base, 2, struct.pack("!H", 700)),
        "a probe with another secret": outer(forged_probe(b"\x55" * 8), A, B, flags="DF"),
    }
    for name, quote in cases.items():
        engine, watch = Watch(lab.d1, None), Watch(lab.d1)
        pod.drain()
        lie(icmp_error(ROUTER, A, 3, 4, quote, 800))
        if "probe" in name:
            tap.equal(watch.wait("icmp-absorbed"), 1, f"3/4 that quotes {name}: icmp-absorbed")
        else:
            tap.equal(engine.wait("icmp-not-ours"), 1, f"3/4 that quotes {name}: icmp-not-ours")
        tap.ok(known() and "pmtu-lowered" not in watch.rose(), f"{name}: no effect", path)
        tap.equal(pod.expect(is_icmp_error(), 0.05), None, f"{name}: nobody is told")
    lie(icmp_error(ROUTER, A, 3, 4, patch(base, 9, b"\x2f"), 800))
    time.sleep(0.1)
    tap.ok(known(), "3/4 that quotes protocol 47: no effect", path)
    tap.ok(passes(), "after all of them 1480 bytes pass")


def forged_probe(secret):
    """An inner packet like a probe from n1's inner address to n2's outer one."""
    message = struct.pack("!BBHHH4sHH8s", ECHO, 0, 0, PROBE_ID, 7, PROBE_MAGIC, 1400, 0, secret)
    message += bytes(100)
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(message), 1, 0, 64, 1, 0,
                       socket.inet_aton("10.244.1.1"), socket.inet_aton(B))
    return fix(head + message)


def tiny():
    afresh()
    for mtu in (68, 100, 295, 552, LEAST - 1):
        base = sent_outer()[:548]
        watch = Watch(lab.d1)
        drain()
        lie(icmp_error(ROUTER, A, 3, 4, base, mtu))
        tap.equal(watch.wait("icmp-pmtu-tiny"), 1, f"3/4 with an MTU of {mtu}: icmp-pmtu-tiny")
        tap.ok(known() and "pmtu-lowered" not in watch.rose(), f"{mtu}: no effect", path)
        tap.equal(pod.expect(is_icmp_error(), 0.05), None, f"{mtu}: nobody is told")
    least = FULL
    for _ in range(12):
        lie(icmp_error(ROUTER, A, 3, 4, base, 0))
        time.sleep(0.02)
        least = min(least, path()["mtu"])
    tap.ok(least >= LEAST, f"twelve 3/4 of an old router (no MTU): never below {LEAST}", least)
    took = traffic(5, known)
    tap.ok(known() and took <= REFUTED_S, "… and probes show better within 2 s", (took, path()))
    tap.ok(passes(), "after all of them 1480 bytes pass")


def lie_once():
    afresh()
    base = sent_outer()[:548]
    engine, watch = Watch(lab.d1, None), Watch(lab.d1)
    drain()
    lie(icmp_error(ROUTER, A, 3, 4, base, 1300))
    got = pod.expect(is_icmp_error(3, 4))
    tap.equal(got and icmp_of(got).mtu, 1280, "3/4 with a good quote and 1300: the sender is told")
    tap.equal(watch.wait("pmtu-lowered"), 1, "… it is believed: pmtu-lowered")
    took = traffic(5, known)
    tap.ok(known() and took <= REFUTED_S, "… until probes of the former size are answered, soon",
           (took, path()))
    tap.equal(engine.wait("pmtu-refuted"), 1, "… pmtu-refuted")
    tap.ok(passes(), "… 1480 bytes pass again")
    tap.equal(path()["how"], "probe", "… and that is by probe")
    watch = Watch(lab.d1)
    lie(icmp_error(ROUTER, A, 3, 4, base, 1200))
    tap.equal(watch.wait("icmp-pmtu-limited"), 1, "the next lie is not believed: icmp-pmtu-limited")
    tap.ok(known() and passes(), "… and has no effect", path)


def flood():
    afresh()
    base = sent_outer()[:548]
    engine, watch = Watch(lab.d1, None), Watch(lab.d1)
    count = 300
    for i in range(count):
        lie(icmp_error(ROUTER, A, 3, 4, base, 1499 - i))
    limited = watch.wait("icmp-pmtu-limited", count - BURST - 2)
    lowered = watch.grown().get("pmtu-lowered", 0)
    tap.ok(0 < lowered <= BURST + 2, f"{count} of 3/4, each lower: few are believed", lowered)
    tap.ok(limited >= count - BURST - 2, "… and the others counted: icmp-pmtu-limited", limited)
    tap.ok(path()["mtu"] >= 1499 - BURST - 2 - count // 2, "… the path is not at their mercy", path)
    took = traffic(5, known)
    tap.ok(known() and took <= REFUTED_S, "… it is known in full again within 2 s", (took, path()))
    tap.ok(engine.wait("pmtu-refuted") >= 1, "… pmtu-refuted")
    tap.ok(passes(), "… 1480 bytes pass")
    # A flood that goes on: it must not flap.
    mtus = set()
    begin = time.monotonic()
    i = 0
    while time.monotonic() - begin < 3:
        for _ in range(20):
            i += 1
            lie(icmp_error(ROUTER, A, 3, 4, base, 1400 - i % 500))
        send(udp(POD, FAR, 1480, df=True))
        mtus.add(path()["mtu"])
    tap.equal(mtus, {FULL}, f"{i} more within 3 s: the path's MTU does not move")


def a_probe():
    """A request as it went over the wire, beside traffic."""
    for _ in range(20):
        drain()
        traffic(0.4)
        got = left.collect(is_probe, timeout=0.2, quiet=0.05)
        if got:
            return max(got, key=len)
    raise RuntimeError("no probe is sent")


def answer_to(request, source=B, secret=None, size=None, sequence=None, kind=ECHO_REPLY):
    """What n2 would send, or something like it."""
    inner = header(request).payload
    message = bytearray(inner[20:])
    message[0] = kind
    if sequence is not None:
        message[6:8] = struct.pack("!H", sequence)
    if size is not None:
        message[12:14] = struct.pack("!H", size)
    if secret is not None:
        message[16:24] = secret
    message[2:4] = b"\0\0"
    message[2:4] = struct.pack("!H", checksum(bytes(message)))
    back = fix(inner[:12] + inner[16:20] + inner[12:16] + bytes(message))
    return outer(back, source, A)


def narrow():
    """A path of 1400 bytes, found without ICMP; a probe that went over it."""
    lab.r.run(["nft", "-f", "-"], input="table ip hush { chain out { type filter hook output"
              " priority 0; icmp type destination-unreachable drop; }\n}\n")
    lab.r.ip("link set right mtu 1400")
    for daemon in lab.d1, lab.d2:
        daemon.stop()
        daemon.start()
    tap.ok(net.wait_for(lambda: known(1400), 15), "a path of 1400 bytes is found", path)
    return a_probe()


def strangers():
    """If any of these were believed, the path would have 1500 bytes."""
    request = narrow()
    sequence = struct.unpack_from("!H", header(request).payload, 26)[0]
    later = [(sequence + i) & 0xFFFF for i in range(64)]
    for name, packets in (
        ("a stranger's answer, all of it right",
         [answer_to(request, STRANGER, size=FULL, sequence=i) for i in later]),
        ("an answer from the router, all of it right",
         [answer_to(request, ROUTER, size=FULL, sequence=i) for i in later]),
        ("the remote's answer with a guessed secret",
         [answer_to(request, secret=os.urandom(8), size=FULL, sequence=i) for i in later]),
        ("the remote's answer, the secret right, of a probe that was never sent",
         [answer_to(request, size=FULL, sequence=i) for i in later]),
        ("the remote's answer to a probe, for the second time", [answer_to(request)] * 64),
    ):
        drain()
        engine, watch = Watch(lab.d1, None), Watch(lab.d1)
        for packet in packets:
            lie(packet)
        net.wait_for(lambda e=engine, w=watch: refused(e, w) >= len(packets), 1.0)
        tap.ok(refused(engine, watch) >= len(packets) - 1, f"{name}: counted",
               lambda e=engine, w=watch: (e.rose(), w.rose()))
        traffic(0.5, size=1380)
        tap.ok(known(1400), f"{name}: no effect", path)
        tap.equal(pod.expect(lambda p: p[9] == 1 and p[20] == ECHO_REPLY, 0.05), None,
                  f"{name}: not delivered to anybody")


def refused(engine, watch):
    """Packets of which something bad was counted."""
    ours = ("probe-refused", "no-tunnel", "not-a-peer", "source-not-routed-back",
            "source-route-refuses", "inner-source-own", "source-is-own", "outer-source-refused")
    grown = [each.grown() for each in (engine, watch)]
    return sum(max(each.get(name, 0) for each in grown) for name in ours)


def reflected():
    """Its own probe comes back, by whoever sends back all that it gets."""
    request = narrow()
    inner = header(request).payload
    secret = inner[36:44]
    swapped = fix(inner[:12] + inner[16:20] + inner[12:16] + inner[20:])
    larger = bytearray(inner)
    larger[32:34] = struct.pack("!H", FULL)
    larger[22:24] = b"\0\0"
    larger[22:24] = struct.pack("!H", checksum(bytes(larger[20:])))
    for name, packet, count in (
        # The host's own stack takes that for a martian, before anybody counts.
        ("a probe as it was", request, None),
        ("a probe, the outer addresses exchanged", outer(inner, B, A), "inner-source-own"),
        ("a probe that claims 1500 bytes, so, too", outer(bytes(larger), B, A), "inner-source-own"),
        # That is how the remote itself would ping n1's inner address.
        ("a probe, outer and inner addresses exchanged", outer(swapped, B, A), "rx_packets"),
    ):
        drain()
        before = path()["probes"]["answered"]
        watch = Watch(lab.d1)
        for _ in range(20):
            lie(packet)
        if count:
            tap.ok(watch.wait(count, 20) >= 20, f"{name}: counted, {count}", watch.rose)
        time.sleep(0.1)
        tap.ok(known(1400), f"{name}: no effect", path)
        tap.ok(path()["probes"]["answered"] - before < 20, f"{name}: it is no answer")
        tap.equal(left.expect(lambda p: is_ipip(p) and header(p).payload[20] == ECHO_REPLY
                              and header(p).payload[36:44] == secret, 0.05),
                  None, f"{name}: nor does it go round through the tunnel")


tap.main([wrong_quotes, tiny, lie_once, flood, strangers, reflected, lab.clean_end],
         after=lab.after)
