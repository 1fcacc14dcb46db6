#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath,engine,endpoints long-modes=mixed parallel heavy
"""
TCP's maximum segment size, clamped in SYNs through a tunnel (shapes.Line):

    p1 10.244.1.2 ── n1 ── 192.168.100.254 r 192.168.200.254 ── n2 ── p2 10.244.2.2
                     culvertd        paths: lowered here       culvertd

What one end does is seen by switching the other's off: OUT, n1 alone clamps what p1 sends; IN, n2
alone what it receives. The last part is TCP of the pods' own stacks, which hear no ICMP.
"""

import json
import struct
import time
from collections import namedtuple

import culvert
import tap
from culvert import Watch
from packets import (
    MF, checksum, difference, forwarded, header, is_icmp_error, outer, tcp, udp,
)
from shapes import Line
from transfer import tcp_transfer

culvert.need_programs()
# Seconds that the kernel, and the engine after it, remember a path MTU: what is asserted of one that
# was learned must be over by then, on a busy machine, too.
EXPIRES = 6
lab = Line()
A, B = lab.POD_A, lab.POD_B
NOP, END = b"\x01", b"\x00"
SACK, WINDOW = b"\x04\x02", b"\x03\x03\x07"
STAMP = b"\x08\x0a" + bytes(range(1, 5)) + bytes(4)
SYN, SYN_ACK = "S", "SA"
ports = iter(range(10000, 60000))

End = namedtuple("End", "node daemon pod address wire frame")


def end(node, daemon, pod, address):
    pod.silence()
    frame = node.mac("pod0") + pod.mac("eth0") + b"\x08\x00"
    return End(node, daemon, pod, address, pod.wire("eth0"), frame)


ONE, TWO = end(lab.n1, lab.d1, lab.p1, A), end(lab.n2, lab.d2, lab.p2, B)


def mss(value):
    return struct.pack("!BBH", 2, 4, value)


def segment(source, target, options, flags=SYN, data=b"", **ip):
    """A segment with these options as they are, filled up with END, and a right checksum."""
    options += bytes(-len(options) % 4)
    plain = tcp(source.address, target.address, data, sport=next(ports), flags=flags, ip=ip or None)
    body = bytearray(plain[20:40] + options + data)
    body[12] = (5 + len(options) // 4) << 4
    body[16:18] = bytes(2)
    pseudo = plain[12:20] + struct.pack("!HH", 6, len(body))
    body[16:18] = struct.pack("!H", checksum(pseudo + bytes(body)))
    head = bytearray(plain[:20])
    head[2:4] = struct.pack("!H", 20 + len(body))
    head[10:12] = bytes(2)
    head[10:12] = struct.pack("!H", checksum(bytes(head)))
    return bytes(head + body)


def checksum_right(packet):
    ip = header(packet)
    return checksum(packet[12:20] + struct.pack("!HH", 6, len(ip.payload)) + ip.payload) == 0


def through(packet, source=ONE, target=TWO, timeout=2.0):
    """Let a pod send it; what reaches the other, or None."""
    target.wire.drain()
    source.wire.send(source.frame + packet)
    return target.wire.expect(lambda p: p[9] == 6 and p[20:24] == packet[20:24], timeout)


def expected(packet, at, value):
    """The packet as the other pod should get it: with value at an offset; None: as it is."""
    want = bytearray(forwarded(packet, 2))
    if value is not None:
        want[at : at + 2] = struct.pack("!H", value)
        body = want[20:]
        body[16:18] = bytes(2)
        want[36:38] = struct.pack(
            "!H", checksum(bytes(want[12:20]) + struct.pack("!HH", 6, len(body)) + bytes(body))
        )
    return bytes(want)


def check(name, packet, at=None, value=None, source=ONE, target=TWO):
    """Assert what arrives: all but the value and the checksum is what was sent."""
    got, want = through(packet, source, target), expected(packet, at, value)
    return tap.ok(got == want, name, lambda: difference(got, want))


def clamping(one, two):
    """Set both tunnels."""
    lab.d1.change(f"tun0 mssclamp {one}")
    lab.d2.change(f"tun0 mssclamp {two}")


def path_mtu(mtu):
    """Set the path's MTU at the router, both ways, and let both ends forget."""
    lock = f"mtu lock {mtu}" if mtu else ""
    lab.r.ip(f"route replace 192.168.200.0/24 dev right {lock}",
             f"route replace 192.168.100.0/24 dev left {lock}")
    if not mtu:
        time.sleep(EXPIRES + 0.3)


def learn(mtu, size=1480):
    """Lower the path, and let each end hear of it by ICMP: a datagram of each pod, which fitted
    before, finds out."""
    path_mtu(mtu)
    for source, target in ((ONE, TWO), (TWO, ONE)):
        source.wire.drain()
        source.wire.send(source.frame + udp(source.address, target.address, size, df=True))
        if not source.wire.expect(is_icmp_error(3, 4), 5):
            raise RuntimeError(f"{source.node.name} was not told of the path")


def both_ways():
    """A SYN and a SYN-ACK, on the way out and on the way in."""
    for word, clamps, settings in (("out", lab.d1, ("auto", "off")), ("in", lab.d2, ("off", "auto"))):
        clamping(*settings)
        for flags, name in ((SYN, "SYN"), (SYN_ACK, "SYN-ACK"), ("SEC", "SYN with ECE and CWR")):
            watch = Watch(clamps)
            check(f"{word}: a {name} of 1460 becomes one of 1440, with a right checksum",
                  segment(ONE, TWO, mss(1460), flags), 42, 1440)
            tap.equal(watch.wait("mss-clamped"), 1, "… and is counted once")
        watch = Watch(clamps)
        for flags in ("A", "PA", "R", "FA"):
            check(f"{word}: {flags} with such an option is left alone",
                  segment(ONE, TWO, mss(1460), flags))
        for value in (1440, 1439, 536, 1, 0):
            check(f"{word}: {value} is left alone", segment(ONE, TWO, mss(value)))
        check(f"{word}: without options nothing is put in", segment(ONE, TWO, b""))
        check(f"{word}: without this option nothing is put in",
              segment(ONE, TWO, SACK + STAMP + NOP + WINDOW))
        tap.equal(watch.grown().get("mss-clamped", 0), 0, "… and none of them is counted")


def options():
    """Wherever the option lies."""
    lists = (
        ("as Linux sends it", mss(1460) + SACK + STAMP + NOP + WINDOW, 0),
        ("behind one byte", NOP + mss(1460), 1),
        ("behind two", NOP + NOP + mss(1460), 2),
        ("behind three", WINDOW + mss(1460) + NOP, 3),
        ("the last of all", STAMP * 3 + SACK + NOP + NOP + NOP + NOP + mss(1460), 36),
        ("the last, at an odd place", STAMP * 3 + WINDOW + SACK + mss(1460) + NOP, 35),
        ("of 65535", mss(65535), 0),
    )
    for word, settings in (("out", ("auto", "off")), ("in", ("off", "auto"))):
        clamping(*settings)
        for name, bytes_, at in lists:
            check(f"{word}: {name}", segment(ONE, TWO, bytes_), 42 + at, 1440)
        check(f"{word}: with data (TCP Fast Open)",
              segment(ONE, TWO, mss(1460), data=bytes(range(100))), 42, 1440)
        for name, bytes_ in (
            ("behind the end of the list", END + mss(1460)),
            ("behind a length of 0", b"\xfe\x00" + mss(1460)),
            ("behind a length of 1", b"\xfe\x01" + mss(1460)),
            ("behind a length that leaves the header", b"\xfe\x29" + mss(1460)),
            ("of another length", b"\x02\x03\x05" + NOP),
            ("cut by the header's end", NOP + NOP + b"\x02\x04"),
            ("inside another option", b"\xfe\x06" + mss(1460) + NOP + NOP),
        ):
            check(f"{word}: {name} it is left alone", segment(ONE, TWO, bytes_))


def odd_packets():
    """What only looks like a SYN."""
    for word, settings in (("out", ("auto", "off")), ("in", ("off", "auto"))):
        clamping(*settings)
        packet = segment(ONE, TWO, mss(1460) + NOP * 8)
        for words in (4, 9, 15):
            false = bytearray(packet)
            false[32] = words << 4
            check(f"{word}: a header of {words} words in 32 bytes is left alone", bytes(false))
        wrong = bytearray(packet)
        wrong[37] ^= 1
        got = through(bytes(wrong))
        tap.equal(got and (got[42:44], checksum_right(got)), (struct.pack("!H", 1440), False),
                  f"{word}: a checksum that is wrong stays so")
        later = segment(ONE, TWO, mss(1460), frag=100)
        check(f"{word}: a later fragment is left alone", later)
        whole = segment(ONE, TWO, mss(1460), data=bytes(40))
        first = bytearray(whole[:64])
        first[2:8] = struct.pack("!HHH", 64, 0x77, MF)
        first[10:12] = bytes(2)
        first[10:12] = struct.pack("!H", checksum(bytes(first[:20])))
        got = through(bytes(first))
        rest = got and got[:20] + got[20:] + whole[64:]
        tap.equal(got and (got[42:44], checksum(
            rest[12:20] + struct.pack("!HH", 6, len(rest) - 20) + rest[20:])),
            (struct.pack("!H", 1440), 0), f"{word}: a first fragment is clamped, and the checksum "
            "of the whole is right")


def rfc_9293():
    """The rows of doc/rfc.md."""
    clamping("auto", "off")
    wrong = bytearray(segment(ONE, TWO, mss(1460)))
    wrong[37] ^= 1
    got = through(bytes(wrong))
    tap.equal(got and (got[42:44], checksum_right(got)), (struct.pack("!H", 1440), False),
              "RFC 9293 3.1: a wrong checksum stays wrong")
    check("RFC 9293 3.2: the option is found on an odd byte, and the checksum is right",
          segment(ONE, TWO, WINDOW + mss(1460) + STAMP), 45, 1440)
    check("RFC 9293 3.7.1: without the option nothing is put in", segment(ONE, TWO, SACK))
    check("RFC 9293 3.7.1: the path's MTU less 20 and 40, whatever options there are",
          segment(ONE, TWO, mss(1460) + STAMP + SACK + NOP + WINDOW), 42, 1440)


def settings():
    """A number, off, and what the tunnel says of it."""
    clamping("1300", "off")
    check("out: a fixed limit", segment(ONE, TWO, mss(1460)), 42, 1300)
    check("out: below it, it is left alone", segment(ONE, TWO, mss(1299)))
    clamping("off", "1300")
    check("in: a fixed limit", segment(ONE, TWO, mss(1460)), 42, 1300)
    clamping("1460", "off")
    check("a fixed limit may be above what the path takes", segment(ONE, TWO, mss(9000)), 42, 1460)
    clamping("off", "off")
    check("off: nothing is lowered", segment(ONE, TWO, mss(65535)))
    clamping("1300", "off")
    shown = [d.cli("tunnel", "show", "tun0").stdout.splitlines()[0] for d in (lab.d1, lab.d2)]
    tap.equal(["mssclamp 1300" in shown[0], "mssclamp off" in shown[1]], [True, True],
              "show tells both")
    lab.d1.stop()
    lab.d1.start()
    check("the setting outlives the daemon", segment(ONE, TWO, mss(1460)), 42, 1300)
    clamping("auto", "off")
    shown = lab.d1.cli("tunnel", "show", "tun0").stdout
    tap.ok("mssclamp" not in shown, "show does not tell the default", shown)
    told = json.loads(lab.d1.cli("-j", "tunnel", "show", "tun0").stdout)[0]
    tap.equal(told.get("mssclamp", told.get("config", {}).get("mssclamp")), "auto",
              "… its JSON does")
    check("auto again", segment(ONE, TWO, mss(1460)), 42, 1440)
    done = lab.d1.cli("tunnel", "change", "tun0", "mssclamp", "87", check=False)
    tap.ok(done.returncode and "88" in done.stderr, "what cannot be is refused", done.stderr)


def without_daemon():
    """The fast path clamps on by itself; the engine alone ends with the daemon."""
    clamping("auto", "off")
    check("before", segment(ONE, TWO, mss(1460)), 42, 1440)
    lab.d1.stop(9)
    if not lab.d1.has_fastpath:
        tap.equal(through(segment(ONE, TWO, mss(1460)), timeout=0.3), None,
                  "the engine is dead, and no SYN passes unclamped")
        lab.d1.start()
        check("… and clamps again when it is back", segment(ONE, TWO, mss(1460)), 42, 1440)
        return
    check("out: culvertd is dead, and SYNs are clamped", segment(ONE, TWO, mss(1460)), 42, 1440)
    check("in: and those that come", segment(TWO, ONE, mss(1460)), 42, 1440, TWO, ONE)
    lab.d1.start()


def noticed(value, timeout=5):
    """Wait until n1 knows of a change: what a SYN is lowered to."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        time.sleep(0.05)
        got = through(segment(ONE, TWO, mss(1460)), timeout=0.3)
        if got and got[42:44] == struct.pack("!H", value):
            return


def path_falls():
    """The MTU of the path, as it was learned, both ways, and as it is forgotten."""
    clamping("auto", "off")
    learn(1400)
    check("out: a path of 1400: 1340", segment(ONE, TWO, mss(1460)), 42, 1340)
    check("in: what comes from there, too: 1340", segment(TWO, ONE, mss(1460)), 42, 1340, TWO, ONE)
    learn(1000, 1380)
    check("out: a path of 1000: 940", segment(ONE, TWO, mss(1460), SYN_ACK), 42, 940)
    check("in: 940", segment(TWO, ONE, mss(1460), SYN_ACK), 42, 940, TWO, ONE)
    path_mtu(None)
    check("out: forgotten: 1440 again", segment(ONE, TWO, mss(1460)), 42, 1440)
    check("in: forgotten: 1440 again", segment(TWO, ONE, mss(1460)), 42, 1440, TWO, ONE)
    for how, change, undo in (
        ("a locked route", f"route add {lab.B}/32 via 192.168.100.254 mtu lock 1300",
         f"route del {lab.B}/32"),
        ("the underlay's device", "link set eth0 mtu 1300", "link set eth0 mtu 1500"),
        ("the tunnel's device", "link set tun0 mtu 1280", "link set tun0 mtu 1480"),
    ):
        lab.n1.ip(change)
        noticed(1240)
        check(f"out: {how}: 1240", segment(ONE, TWO, mss(1460)), 42, 1240)
        if how != "the underlay's device":  # which takes no more, either
            check(f"in: {how}: 1240", segment(TWO, ONE, mss(1460)), 42, 1240, TWO, ONE)
        lab.n1.ip(undo)
        noticed(1440)
        check(f"out: {how} as before: 1440", segment(ONE, TWO, mss(1460)), 42, 1440)


def nbma():
    """Without a remote each peer has its path, and what a peer sends is measured by the way back."""
    clamping("auto", "off")
    lab.d1.delete("tun0")
    lab.d1.add(f"tun0 mode ipip local {lab.A}")
    other = "192.168.200.3"
    lab.n1.ip(f"route add 10.244.2.0/24 via {lab.B} dev tun0 onlink",
              f"route add 10.244.3.0/24 via {other} dev tun0 onlink",
              f"route add {other}/32 via 192.168.100.254 mtu lock 1300")
    left = lab.r.wire("left")
    frame = lab.n1.mac("eth0") + lab.r.mac("left") + b"\x08\x00"
    far = TWO._replace(address="10.244.3.2")

    def from_other(flags):
        """The other peer's packet, put on the wire in front of n1; what it announces at p1."""
        packet = segment(far, ONE, mss(1460), flags)
        ONE.wire.drain()
        left.send(frame + outer(packet, other, lab.A, ttl=64))
        got = ONE.wire.expect(lambda p: p[9] == 6 and p[20:24] == packet[20:24])
        return got and checksum_right(got) and struct.unpack("!H", got[42:44])[0]

    def to_other(flags):
        """The same the other way, behind its outer header."""
        packet = segment(ONE, far, mss(1460), flags)
        left.drain()
        ONE.wire.send(ONE.frame + packet)
        got = left.expect(lambda p: p[9] == 4 and p[40:44] == packet[20:24])
        return got and checksum_right(got[20:]) and struct.unpack("!H", got[62:64])[0]

    for flags in (SYN, SYN_ACK):
        tap.equal((from_other(flags), to_other(flags)), (1240, 1240),
                  f"NBMA: {flags} of a peer that is 1300 away, and to it: 1240")
        check(f"NBMA: {flags} to another, that is 1500 away: 1440",
              segment(ONE, TWO, mss(1460), flags), 42, 1440)
        check(f"NBMA: {flags} of that one: 1440",
              segment(TWO, ONE, mss(1460), flags), 42, 1440, TWO, ONE)
    learn(1400)
    check("NBMA: its path falls to 1400: out: 1340", segment(ONE, TWO, mss(1460)), 42, 1340)
    check("NBMA: … in: 1340", segment(TWO, ONE, mss(1460)), 42, 1340, TWO, ONE)
    tap.equal((from_other(SYN), to_other(SYN)), (1240, 1240), "NBMA: … and the other's stays")
    path_mtu(None)
    lab.d1.delete("tun0")
    lab.d1.add(f"tun0 mode ipip remote {lab.B} local {lab.A}")
    lab.n1.ip("route add 10.244.2.0/24 dev tun0", f"route del {other}/32")


PODS = ((lab.p1, "eth0"), (lab.n1, "pod0"), (lab.n2, "pod0"), (lab.p2, "eth0"))
UNDERLAY = ((lab.n1, "eth0"), (lab.r, "left"), (lab.r, "right"), (lab.n2, "eth0"))


def deaf(pod):
    """Its stack answers, but hears nothing of unreachable destinations."""
    pod.run("nft flush ruleset")
    pod.run(
        ["nft", "-f", "-"],
        input="table ip deaf { chain input { type filter hook input priority -300;\n"
        "icmp type destination-unreachable counter drop;\n}\n}\n",
    )


def transfers():
    """Pods that ignore ICMP, over a path that was lowered before they begin."""
    for pod in (lab.p1, lab.p2):
        deaf(pod)
    clamping("auto", "auto")
    learn_again(1400)
    for pods, underlay in ((False, False), (True, False), (True, True)):
        for ends, on in ((PODS, pods), (UNDERLAY, underlay)):
            for node, interface in ends:
                node.offloads(interface, on)
        word = f"offloads of pods {'on' if pods else 'off'}, below {'on' if underlay else 'off'}"
        for source, target, address in ((lab.p1, lab.p2, B), (lab.p2, lab.p1, A)):
            learn_again(1400)
            result = tcp_transfer(source, target, address, 1 << 20)
            tap.ok(result.right and result.seconds < 10,
                   f"{word}: {source.name} to {target.name}: 1 MiB, all bytes right", result)
    # It is the clamp that does it, at one end alone, whichever; without any the pods are lost.
    for settings, right in ((("auto", "off"), True), (("off", "auto"), True), (("off", "off"), False)):
        clamping(*settings)
        for source, target, address in ((lab.p1, lab.p2, B), (lab.p2, lab.p1, A)):
            learn_again(1400)
            result = tcp_transfer(source, target, address, 1 << 20, timeout=20 if right else 2)
            tap.equal(result.right, right, f"mssclamp {settings[0]} here, {settings[1]} there: "
                      f"{source.name} to {target.name} {'arrives' if right else 'hangs'}")


def learn_again(mtu):
    """learn(), for pods that hear nothing: both ends have lowered it, now or before."""
    path_mtu(mtu)
    watches = [(Watch(each.daemon), each) for each in (ONE, TWO)]
    for source, target in ((ONE, TWO), (TWO, ONE)):
        source.wire.send(source.frame + udp(source.address, target.address, 1480, df=True))
    deadline = time.monotonic() + EXPIRES
    while not all(w.grown().get("pmtu-lowered") or w.grown().get("too-big") for w, _ in watches):
        if time.monotonic() > deadline:
            raise RuntimeError("the ends were not told of the path")
        time.sleep(0.02)


for each in (ONE, TWO):
    each.node.sysctl("net.ipv4.route.mtu_expires", EXPIRES)
    each.daemon.stop()
    each.daemon.start()

tap.main(
    [
        both_ways, options, odd_packets, rfc_9293, settings, without_daemon, path_falls, nbma,
        transfers, lab.clean_end,
    ],
    after=lab.after,
)
