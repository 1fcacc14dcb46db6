#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel
"""
Who gets in the prober's way without lying (mtu_attacks.t has the liars): users whose pings look like
probes, a kernel that says something new all the time, remotes that repeat themselves.

    p1 10.244.1.2 ── n1 ── 192.168.100.254 r 192.168.200.254 ── n2 ── p2 10.244.2.2
                     d1    left            right                d2
"""

import json
import struct
import subprocess
import time

import culvert
import net
import tap
from packets import checksum, fix, header, is_icmp_error, is_ipip, udp
from shapes import Line

culvert.need_programs()
lab = Line(probing=True)
A, B = lab.A, lab.B
POD, FAR = lab.POD_A, lab.POD_B
PROBE_ID, PROBE_MAGIC = 0x4376, b"cvpb"
ECHO, ECHO_REPLY = 8, 0

pod, far = lab.p1.wire("eth0"), lab.p2.wire("eth0")
left, right = lab.r.wire("left"), lab.r.wire("right")
TO_N1 = lab.n1.mac("eth0") + lab.r.mac("left") + b"\x08\x00"
FROM_POD = lab.n1.mac("pod0") + lab.p1.mac("eth0") + b"\x08\x00"
FROM_FAR = lab.n2.mac("pod0") + lab.p2.mac("eth0") + b"\x08\x00"
lab.p1.silence()
lab.p2.silence()

NO_ICMP = """
table ip silence {
  chain output { type filter hook output priority 0; icmp type destination-unreachable drop; }
  chain forward { type filter hook forward priority 0; icmp type destination-unreachable drop; }
}
"""


def paths(daemon=lab.d1):
    return json.loads(daemon.cli("-j", "path").stdout)["paths"]


def path(remote=B):
    return next((path for path in paths() if path["remote"] == remote), {})


def settle(mtu=1500):
    net.wait_for(lambda: (path().get("mtu"), path().get("state")) == (mtu, "complete"), 8)
    got = path()
    return got.get("mtu"), got.get("state")


def icmp(source, destination, kind, words, number=1):
    """An ICMP echo message of the probes' identifier."""
    message = struct.pack("!BBHHH", kind, 0, 0, PROBE_ID, number) + words
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 7, 0, 64, 1, 0)
    packet += bytes(map(int, source.split("."))) + bytes(map(int, destination.split(".")))
    return fix(packet + message)


def users_pings():
    """An identifier is nobody's property: requests and answers of the same one pass, whatever is
    in them, as those of a culvertd within the tunnel are."""
    tap.equal(settle(), (1500, "complete"), "the path is known")
    before = lab.d1.counters()["probe-refused"]
    probe = PROBE_MAGIC + struct.pack("!HH", 84, 0) + b"12345678" + bytes(20)
    for name, words in ("a ping", b"x" * 56), ("a probe within", probe), ("a short one", b""):
        for kind in ECHO, ECHO_REPLY:
            what = f"{name}, {'request' if kind == ECHO else 'answer'}"
            for number in 1, 2:  # on the engine's path, and the fast one
                for wire, frame, other, pair in (
                    (pod, FROM_POD, far, (POD, FAR)), (far, FROM_FAR, pod, (FAR, POD)),
                ):
                    sent = icmp(*pair, kind, words, number)
                    other.drain()
                    wire.send(frame + sent)
                    got = other.expect(lambda p, s=sent: p[20:] == s[20:], 1)
                    tap.ok(got, f"{what}, {number}: {pair[0]} to {pair[1]}")
    tap.equal(lab.d1.counters()["probe-refused"] - before, 0, "… and nothing of it was refused")


def busy_kernel():
    """Routes that come and go all the time: the prober goes on, and learns of new remotes."""
    settle()
    batch = "".join(f"route {word} 203.0.113.{i} dev pod0\n" for word in ("add", "del")
                    for i in range(200))
    churn = lab.n1.spawn(
        ["sh", "-c", "while :; do printf '%s' \"$0\"; done | ip -batch -", batch],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        lab.r.run("nft -f -", input=NO_ICMP)
        lab.r.ip("link set right mtu 1400")
        begin, told = time.time(), None
        while time.time() - begin < 6 and not told:
            pod.send(FROM_POD + udp(POD, FAR, 1480, df=True))
            told = pod.expect(is_icmp_error(), 0.02)
        took = time.time() - begin
        tap.ok(told and took < 3, "routes change all the time: a fall is told all the same",
               lambda: f"{took:.2f} s")
        tap.note(f"told after {took:.2f} s")
        lab.d1.add("tun1 mode ipip remote any local 192.168.100.1")
        lab.n1.ip("route add 10.99.1.0/24 via 192.168.200.77 dev tun1 onlink")
        begin = time.time()
        net.wait_for(lambda: path("192.168.200.77"), 8)
        tap.ok(path("192.168.200.77"), "… and a new remote is found")
        tap.note(f"found after {time.time() - begin:.2f} s")
        tap.ok(churn.poll() is None, "… while they still do")
    finally:
        net.stop(churn)
    lab.d1.delete("tun1")
    lab.r.run("nft delete table ip silence")
    lab.r.ip("link set right mtu 1500")


def is_answer(packet):
    """An answer of n2's to a probe of n1's, as it goes over the wire."""
    if not is_ipip(packet) or header(packet).src != B:
        return False
    inner = header(header(packet).payload)
    return inner.protocol == 1 and inner.payload[:1] == b"\0" and inner.payload[8:12] == PROBE_MAGIC


def repeated():
    """A remote that sends its answers again, 20,000 times, and one that does not: the latter loses
    nothing."""
    lab.n2.ip("addr add 192.168.200.3/24 dev eth0")
    lab.d2.add(f"other mode ipip remote {A} local 192.168.200.3")
    lab.n2.ip("route add 192.168.77.1 dev other")
    lab.n1.ip("addr add 192.168.77.1/32 dev lo")
    lab.d1.add("tun2 mode ipip remote 192.168.200.3 local 192.168.100.1")
    net.wait_for(lambda: path("192.168.200.3").get("state") == "complete", 10)
    tap.equal(path("192.168.200.3").get("method"), "tunnel", "a second remote")
    right.drain()
    settle()
    answer = None
    for _ in range(100):  # traffic is confirmed
        pod.send(FROM_POD + udp(POD, FAR, 1480, df=True))
        answer = answer or right.expect(is_answer, 0.05)
    tap.ok(answer, "an answer on the wire")
    mtu = path()["mtu"]
    before, sent = lab.d1.counters()["probe-refused"], path("192.168.200.3")["probes"]
    begin = time.time()
    count = 0
    while answer and time.time() - begin < 4:
        for _ in range(100):
            left.send(TO_N1 + answer)
            count += 1
    net.wait_for(lambda: path("192.168.200.3")["probes"]["sent"] > sent["sent"], 10)
    now = path("192.168.200.3")
    tap.equal((now["mtu"], now["state"], now["liveness"]), (1500, "complete", "up"),
              "another's path is what it was")
    lost = now["probes"]["sent"] - now["probes"]["answered"] - sent["sent"] + sent["answered"]
    tap.ok(lost <= 1, "… and none of its answers is lost", lambda: (sent, now["probes"]))
    tap.ok(lab.d1.counters()["probe-refused"] > before, "… what was repeated is counted")
    tap.note(f"{count} answers again in {time.time() - begin:.1f} s")
    tap.equal(path()["mtu"], mtu, "… and believed of nobody")
    lab.d1.delete("tun2")


if __name__ == "__main__":
    tap.main([users_pings, busy_kernel, repeated, lab.clean_end], after=lab.after)
