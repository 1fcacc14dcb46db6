#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine,endpoints
"""
One prefix behind two Tunnels: one route by both, and with skipDeadNextHops by the one that leads
somewhere, without a lost packet of those that go by it.

                      .1 eth0 ── 192.168.100.0/24, s br0 ── eth0 .2
    p1 10.244.1.2 ── n1                                        n2 ── p2 10.244.2.2
                      .1 eth1 ── 192.168.101.0/24, s br1 ── eth1 .2

n1 and n2 run culvertd with the Tunnels tun0 (over eth0) and tun1 (over eth1). s is a switch.
"""

import json
import os
import socket
import tempfile
import threading
import time

import culvert
import net
import tap
from culvert import Culvertd
from losses import Losses, patient
from shapes import end_cleanly, look_after

TUNNELS = """\
apiVersion: culvert/v1
kind: Tunnel
metadata: {{name: tun{i}}}
spec:
    remote: 192.168.10{i}.{far}
    local: 192.168.10{i}.{near}
    addresses: [10.244.{near}{near}.{i}/32]
    routes: [10.244.{far}.0/24, 10.244.{far}{far}.{i}]
---
"""
PATHS = """\
apiVersion: culvert/v1
kind: PathConfiguration
metadata: {{name: default}}
spec: {{livenessTimer: 300ms, livenessLosses: 5, skipDeadNextHops: {skip}}}
"""
FLOWS, PORT = 64, 7000
BACK = "10.244.1.0/24"  # of n2

culvert.need_programs()
p1, n1, s, n2, p2 = (net.Node(name) for name in ("p1", "n1", "s", "n2", "p2"))
net.connect(p1, "eth0", n1, "pod0")
for wire in range(2):
    net.connect(n1, f"eth{wire}", s, f"left{wire}")
    net.connect(s, f"right{wire}", n2, f"eth{wire}")
    s.ip(f"link add br{wire} type bridge", f"link set br{wire} up",
         *(f"link set {end}{wire} master br{wire}" for end in ("left", "right")))
net.connect(n2, "pod0", p2, "eth0")
daemons = {}
for number, (node, pod) in enumerate(((n1, p1), (n2, p2)), 1):
    node.forward()
    node.sysctl("net.ipv4.fib_multipath_hash_policy", 1)
    node.ip(*(f"addr add 192.168.10{i}.{number}/24 dev eth{i}" for i in range(2)),
            f"addr add 10.244.{number}.1/24 dev pod0")
    pod.ip(f"addr add 10.244.{number}.2/24 dev eth0", f"route add default via 10.244.{number}.1")
    daemons[number] = Culvertd(node, probing=True, endpoints=(("pod0", f"10.244.{number}.2"),))
d1, d2 = daemons.values()


def apply(skip):
    """At both ends."""
    for near, daemon in daemons.items():
        text = "".join(TUNNELS.format(i=i, near=near, far=3 - near) for i in range(2))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write(text + PATHS.format(skip=skip))
            f.flush()
            daemon.cli("apply", "-f", f.name)


def devices(node=n1, prefix="10.244.2.0/24"):
    """By which a shared prefix is routed at a node."""
    words = node.run(f"ip route show {prefix} proto 84").stdout.split()
    return sorted(words[i + 1] for i, word in enumerate(words) if word == "dev")


def routed_by(*wanted, seconds=10):
    """Wait until it is these."""
    return net.wait_for(lambda: devices() == sorted(wanted), seconds)


def all_up():
    """Both paths of both ends."""
    return all([p["liveness"] for p in json.loads(d.cli("-j", "path").stdout)["paths"]] == ["up"] * 2
               for d in daemons.values())


def settled(seconds=2.5, timeout=30):
    """
    Both paths are up, and both routes by both, at both ends: n2 takes no packet through a tunnel
    that its route back does without. And for longer than it takes to find a path dead: one that has
    come back may be taken for dead once more while the ends do not agree yet.
    """
    since = began = time.monotonic()
    while time.monotonic() < began + timeout:
        if not (all_up() and devices() == devices(n2, BACK) == ["tun0", "tun1"]):
            since = time.monotonic()
        elif time.monotonic() - since > seconds:
            return True
        time.sleep(0.05)
    return False


def cut(i, on=True):
    """The underlay of tunnel i loses everything, all cables being up; or no longer."""
    s.ip(f"link set left{i} nomaster" if on else f"link set left{i} master br{i}")


class Receiver:
    """What arrives at p2, by port."""

    def __init__(self):
        self.socket = p2.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
        patient(self.socket)
        self.socket.bind(("10.244.2.2", PORT))
        self.socket.settimeout(0.5)
        self.seen = {}

    def take(self):
        """All that comes until nothing does; how many of each port."""
        try:
            while True:
                data, (_, port) = self.socket.recvfrom(100)
                self.seen.setdefault(port, []).append(data)
        except TimeoutError:
            return {port: len(packets) for port, packets in self.seen.items()}


def senders():
    """A socket for each flow."""
    made = []
    for i in range(FLOWS):
        flow = p1.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
        flow.bind(("10.244.1.2", 20000 + i))
        made.append(flow)
    return made


def share(rounds=3):
    """Send some packets of each flow; how many flows arrived whole, and by which tunnel they left."""
    def sent():
        return [d1.counters(f"tun{i}")["tx_packets"] for i in range(2)]

    before, receiver = sent(), Receiver()
    for flow in (flows := senders()):
        for _ in range(rounds):
            flow.sendto(b"x" * 100, ("10.244.2.2", PORT))
    counts = receiver.take()
    for each in (*flows, receiver.socket):
        each.close()
    whole = sum(1 for n in counts.values() if n == rounds)
    return whole, [a - b for a, b in zip(sent(), before)]


def before(name):
    tap.note(name)
    cut(0, False)
    cut(1, False)
    apply("Disabled" if name == "shared" else "Enabled")
    tap.ok(settled(), "both Tunnels lead there, and stay",
           lambda: "\n".join(n.run("ip route").stdout + d.cli("path").stdout for n, d in ((n1, d1), (n2, d2))))


def shared():
    whole, (one, other) = share()
    tap.equal(whole, FLOWS, "every flow arrives whole")
    tap.ok(one > FLOWS / 2 and other > FLOWS / 2, "… by both tunnels", (one, other))
    cut(1)
    tap.ok(net.wait_for(lambda: "down" in d1.cli("path", "tun1").stdout, 20), "one leads to a dead end now")
    time.sleep(0.5)
    tap.equal(devices(), ["tun0", "tun1"], "not asked for: it stays a next hop")
    whole, _ = share()
    tap.ok(whole < FLOWS, "… and its flows are lost", whole)


def skipped():
    for i in range(2):
        cut(i)
        tap.ok(routed_by(f"tun{1 - i}"), f"tun{i} is dead: the route does without it",
               lambda: n1.run("ip route").stdout + d1.cli("path").stdout)
        tap.ok(f"tun{i}: its remote end 192.168.10{i}.2 is down" in d1.log(), "… which the log says", d1.log)
        tap.equal(share()[0], FLOWS, "… and every flow arrives")
        tap.equal(len(n1.run(f"ip route show 10.244.22.{i} proto 84").stdout.splitlines()), 1,
                  "a route that no other Tunnel has stays")
        cut(i, False)
        tap.ok(routed_by("tun0", "tun1"), "it answers again: the route uses it again")
        tap.ok(f"tun{i}: its remote end 192.168.10{i}.2 is no dead end any more" in d1.log(), "… says the log")
        tap.ok(net.wait_for(lambda: all_up() and devices(n2, BACK) == ["tun0", "tun1"], 20),
               "… and so at the other end")
        tap.equal(share()[0], FLOWS, "… and every flow arrives")


def both_dead():
    cut(0)
    cut(1)
    tap.ok(net.wait_for(lambda: d1.cli("path").stdout.count("down") >= 2, 20), "both are dead",
           lambda: d1.cli("path").stdout)
    time.sleep(0.5)
    tap.equal(devices(), ["tun0", "tun1"], "the route keeps both")


def flows_by(device):
    """Source ports of flows that go by it: asked of the kernel, by the same hash."""
    return [20000 + i for i in range(FLOWS)
            if f"dev {device}" in n1.run(f"ip route get 10.244.2.2 from 10.244.1.2 iif pod0 ipproto udp "
                                         f"sport {20000 + i} dport {PORT}").stdout]


def stream(flows, sent, stop):
    """
    Send packets of all flows in turn, and count them by port. 1,600 a second, 8 at a time: this runs
    beside other tests, which fill a processor's backlog (1,000 packets) for moments.
    """
    while not stop.is_set():
        for i, flow in enumerate(flows):
            port = flow.getsockname()[1]
            sent.setdefault(port, []).append(b"%d" % len(sent.get(port, ())))
            flow.sendto(sent[port][-1], ("10.244.2.2", PORT))
            if i % 8 == 7:
                time.sleep(0.005)


def without_loss():
    """A steady stream by the living one loses nothing while the other is left out and comes back."""
    receiver, stop, sent, flows = Receiver(), threading.Event(), {}, senders()
    receiver.socket.settimeout(3)
    losses = Losses((p1, n1, s, n2, p2), (d1, d2))
    by_tun0 = flows_by("tun0")
    tap.ok(len(by_tun0) > 8, "flows by tun0", by_tun0)
    sender = threading.Thread(target=stream, args=(flows, sent, stop))
    counter = threading.Thread(target=receiver.take)
    counter.start()
    sender.start()
    cut(1)
    tap.ok(routed_by("tun0"), "tun1 is left out")
    out = len(sent[by_tun0[0]])
    cut(1, False)
    tap.ok(routed_by("tun0", "tun1"), "… and comes back")
    back = len(sent[by_tun0[0]])
    time.sleep(0.3)
    stop.set()
    sender.join()
    counter.join()
    lost = {p: b" ".join(d for d in sent[p] if d not in receiver.seen.get(p, ())).decode() for p in by_tun0}
    tap.ok(not any(lost.values()), f"none of {sum(len(sent[p]) for p in by_tun0)} packets of theirs is lost",
           lambda: f"of {len(sent[by_tun0[0]])} of each; tun1 is left out before {out} and back before {back}. "
                   f"Lost, by source port: {lost}\nreceived: {sum(map(len, receiver.seen.values()))}; by tun0 are now {flows_by('tun0')}\n" + losses.told())
    for each in (*flows, receiver.socket):
        each.close()


def clean_end():
    end_cleanly(daemons.values())


if __name__ == "__main__":
    tap.main([shared, skipped, both_dead, without_loss, clean_end],
             lambda name: name != "clean_end" and before(name),
             lambda name, failed: look_after(daemons.values(), name, failed))
