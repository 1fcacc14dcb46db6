#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: timeout=240 parallel idle
"""
The routing table steers the next packet: what the fast path remembers never outlives a change. Each of
a thousand changes is made, and as soon as `ip` has made it, two numbered packets are sent, one from
the host and one from an endpoint. Each must take the way that the routes say now: to the right
neighbour, with the right outer addresses, or nowhere. With culvertd, and without.

    pod (192.168.1.9) ─ pod0 ─┐              ┌ eth0 10.0.0.1, .9 ─── 10.0.0.2 b
                              a: culvertd ───┤
    a's own (192.168.1.1) ────┘    tun0      └ eth1 10.1.0.1     ─── 10.1.0.3 c
    what is changed: the route of 192.168.9.0/24 into tun0, and the ways to 10.0.0.2 and 10.1.0.3

b and c have no culvertd: what arrives there is looked at and nothing else.
"""

import os
import random
import signal
import socket
import struct
import subprocess
import time

import culvert
import net
import tap

culvert.need_programs()
COUNT = int(os.environ.get("STEER_COUNT", "400"))
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE = 10, 3
ENGINE_S = 0.2  # in which the engine deals with a packet, on a busy machine, too
SEED = int(os.environ.get("STEER_SEED", "1"))
INNER = "192.168.9.7"

a, b, c, pod = net.Node("a"), net.Node("b"), net.Node("c"), net.Node("pod")
net.connect(a, "eth0", b, "eth0")
net.connect(a, "eth1", c, "eth0")
net.connect(a, "pod0", pod, "eth0")
a.ip("addr add 10.0.0.1/24 dev eth0", "addr add 10.0.0.9/24 dev eth0", "addr add 10.1.0.1/24 dev eth1",
     "addr add 192.168.1.254/24 dev pod0", "addr add 192.168.1.1/32 dev lo")
b.ip("addr add 10.0.0.2/24 dev eth0")
c.ip("addr add 10.1.0.3/24 dev eth0")
pod.ip("addr add 192.168.1.9/24 dev eth0", "route add default via 192.168.1.254")
a.forward()
a.sysctl("net.ipv4.conf.all.promote_secondaries", 1)
for each_node in (b, c):
    each_node.run(["nft", "-f", "-"], input="table ip quiet { chain output {"
                  " type filter hook output priority 0; icmp type destination-unreachable drop;\n}\n}\n")
wires = {"b": b.wire("eth0"), "c": c.wire("eth0")}


class Ip:
    """An `ip` that does one line after the other; do() returns when it has done them."""

    def __init__(self, node):
        self.process = node.spawn(["stdbuf", "-oL", "ip", "-o", "-force", "-batch", "-"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, bufsize=1)
        os.set_blocking(self.process.stderr.fileno(), False)

    def do(self, *lines):
        """Do lines, and say what went wrong."""
        self.process.stdin.write("".join(f"{line}\n" for line in lines) + "route get 127.0.0.1\n")
        if "127.0.0.1" not in self.process.stdout.readline():
            raise RuntimeError(f"ip has ended: {lines}")
        wrong = self.process.stderr.buffer.read()
        if wrong:
            raise RuntimeError(f"{lines}: {wrong.decode()}")


TO_B = ("b", "10.0.0.1", "10.0.0.2")
TO_C = ("c", "10.1.0.1", "10.1.0.3")
NET = "192.168.9.0/24"
B, C = "via 10.0.0.2 dev tun0 onlink", "via 10.1.0.3 dev tun0 onlink"
NOWHERE = None

# All that goes with tun0.
BEGINNING = [f"route add {NET} {B}", f"route add {NET} {C} table 100", f"nexthop add id 1 {C}",
             f"nexthop add id 2 {B}"]

# Each: what leads there, where packets may go then, and what leads back to the beginning, which is
# the route to b. Every step is a change that the next packet must obey.
ROUND_TRIPS = [
    ([f"route replace {NET} {C}"], {TO_C}, [f"route replace {NET} {B}"]),
    ([f"route del {NET}"], {NOWHERE}, [f"route add {NET} {B}"]),
    ([f"route del {NET}", f"route add {NET} {C}"], {TO_C}, [f"route del {NET}",
                                                          f"route add {NET} {B}"]),
    ([f"route replace blackhole {NET}"], {NOWHERE}, [f"route replace {NET} {B}"]),
    ([f"route replace unreachable {NET}"], {NOWHERE}, [f"route replace {NET} {B}"]),
    ([f"route replace prohibit {NET}"], {NOWHERE}, [f"route replace {NET} {B}"]),
    ([f"route replace {NET} nexthop {B} nexthop {C}"], {TO_B, TO_C}, [f"route replace {NET} {B}"]),
    ([f"route add {INNER}/32 {C}"], {TO_C}, [f"route del {INNER}/32"]),
    ([f"route add blackhole {INNER}/32"], {NOWHERE}, [f"route del blackhole {INNER}/32"]),
    ([f"route add {INNER}/32 {C} metric 5"], {TO_C}, [f"route del {INNER}/32"]),
    ([f"rule add to {NET} pref 100 lookup 100"], {TO_C}, ["rule del pref 100"]),
    ([f"rule add to {NET} pref 100 unreachable"], {NOWHERE}, ["rule del pref 100"]),
    ([f"route replace {NET} nhid 1"], {TO_C}, [f"route replace {NET} {B}"]),
    ([f"route replace {NET} nhid 2", "nexthop replace id 2 " + C], {TO_C},
     ["nexthop replace id 2 " + B, f"route replace {NET} {B}"]),
    (["route add 10.0.0.2/32 via 10.1.0.3 dev eth1 src 10.1.0.1"],
     {("c", "10.1.0.1", "10.0.0.2")}, ["route del 10.0.0.2/32"]),
    (["route add unreachable 10.0.0.2/32"], {NOWHERE}, ["route del unreachable 10.0.0.2/32"]),
    (["route add blackhole 10.0.0.2/32"], {NOWHERE}, ["route del blackhole 10.0.0.2/32"]),
    (["route add 10.0.0.2/32 dev eth0 src 10.0.0.9"], {("b", "10.0.0.9", "10.0.0.2")},
     ["route del 10.0.0.2/32"]),
    (["addr del 10.0.0.1/24 dev eth0"], {("b", "10.0.0.9", "10.0.0.2"), NOWHERE},
     ["addr add 10.0.0.1/24 dev eth0", "addr del 10.0.0.9/24 dev eth0",
      "addr add 10.0.0.9/24 dev eth0"]),
    (["link set tun0 down"], {NOWHERE}, ["link set tun0 up", *BEGINNING]),
    (["link set eth0 down"], {NOWHERE}, ["link set eth0 up"]),
]
# The same for packets that are larger than what the change leaves room for.
SMALLER = [
    (["link set eth0 mtu 1300"], {NOWHERE}, ["link set eth0 mtu 1500"]),
    (["route add 10.0.0.2/32 dev eth0 mtu lock 1300"], {NOWHERE}, ["route del 10.0.0.2/32"]),
    ([f"route replace {NET} {C}", "link set eth0 mtu 1300"], {TO_C},
     ["link set eth0 mtu 1500", f"route replace {NET} {B}"]),
]
LARGE = 1400
# After these the link's carrier or its neighbour needs a moment: the packet may be lost, not astray.
SLOW = {"link set eth0 up"}


class Sender:
    """Numbered packets from the host and from the endpoint."""

    def __init__(self):
        self.number = 0
        self.nodes = {"device": (a, "192.168.1.1"), "endpoint": (pod, "192.168.1.9")}
        self.sockets = {}

    def renew(self, path):
        """A new flow."""
        if path in self.sockets:
            self.sockets[path].close()
        node, address = self.nodes[path]
        self.sockets[path] = node.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets[path].bind((address, 0))
        # DF, whatever the path's MTU is thought to be.
        self.sockets[path].setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)

    def send(self, path, size):
        """One packet; its number."""
        self.number += 1
        for _ in range(2):  # an error may be that of the packet before
            try:
                self.sockets[path].sendto(struct.pack("!I", self.number) + bytes(size - 32),
                                          (INNER, 9))
                break
            except OSError:
                pass
        return self.number


def collect(seen):
    """Note what has arrived: number -> [(node, outer source, outer destination)]."""
    for name, wire in wires.items():
        while (frame := wire.read(0)) is not None:
            packet = wire.ip_packet(frame)
            if not packet or len(packet) < 52:
                continue
            inner = packet[20:] if packet[9] == 4 else packet
            if inner[9] != 17 or socket.inet_ntoa(inner[16:20]) != INNER:
                continue
            way = (name, socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]))
            seen.setdefault(struct.unpack("!I", inner[28:32])[0], []).append(
                way if packet[9] == 4 else (name, "unencapsulated"))


def judge(expected, seen):
    """Packets that went another way than they should: lines."""
    wrong = []
    for number, (path, lines, allowed) in expected.items():
        ways = seen.get(number, [])
        if len(ways) > 1 or (ways[0] if ways else NOWHERE) not in allowed:
            wrong.append(f"{path}, after {lines}: {ways}, not {allowed}")
    return wrong


def steer(alive, round_trips, count, size=64):
    """count changes; what went wrong, and how many packets were judged."""
    choice = random.Random(SEED)
    sender, ip, seen, expected = Sender(), Ip(a), {}, {}
    for path in sender.nodes:
        sender.renew(path)

    def step(lines, allowed):
        ip.do(*lines)
        if SLOW & set(lines):
            allowed = allowed | {NOWHERE}
        for path in sender.nodes:
            expected[sender.send(path, size)] = (path, lines, allowed)
        # What leads nowhere may be the engine's to find out, before the next change is made.
        if alive and NOWHERE in allowed:
            time.sleep(ENGINE_S)

    for trip in range(count // 2):
        there, allowed, back = choice.choice(round_trips)
        step(there, allowed)
        if choice.random() < 0.5:
            for path in sender.nodes:
                sender.renew(path)
        step(back, {TO_B})
        if SLOW & set(back):
            time.sleep(0.3)
            a.run("ping -c 1 -W 1 10.0.0.2", check=False)
        if trip % 20 == 0:
            collect(seen)
    time.sleep(0.5)
    collect(seen)
    net.stop(ip.process)
    return judge(expected, seen), len(expected), sum(bool(each) for each in seen.values())


def set_up():
    """culvertd with a tunnel that has no remote, and the beginning."""
    daemon = culvert.Culvertd(a, "--workers", "1")
    daemon.add("tun0")
    daemon.cli("endpoint", "add", "pod0", "ip", "192.168.1.9")
    # By hand: an MTU that follows the links is right a moment after them only.
    a.ip("link set tun0 mtu 1490", *BEGINNING)
    a.run("ping -c 1 10.0.0.2")
    a.run("ping -c 1 10.1.0.3")
    daemon.cli("status")
    return daemon


def report(what, wrong, judged, arrived):
    """The assertions."""
    tap.note(f"{what}: {judged} packets, {arrived} arrived")
    tap.ok(judged > 100 and arrived > judged // 3, f"{what}: packets are sent and arrive")
    tap.equal(len(wrong), 0, f"{what}: every packet obeys the change before it")
    for line in sorted(set(wrong))[:20]:
        tap.note(f"{wrong.count(line)} times {line}")


def the_next_packet_obeys():
    daemon = set_up()
    report("with culvertd", *steer(True, ROUND_TRIPS, COUNT))
    report("with culvertd, too large", *steer(True, SMALLER, COUNT // 5, LARGE))
    before = daemon.counters("tun0")
    daemon.stop(signal.SIGKILL)
    report("without", *steer(False, ROUND_TRIPS, COUNT))
    report("without, too large", *steer(False, SMALLER, COUNT // 5, LARGE))
    daemon.start()
    after = daemon.counters("tun0")
    tap.ok(after["tx_packets"] > before["tx_packets"], "the fast path carried them")
    daemon.stop()


tap.main([the_next_packet_obeys])
