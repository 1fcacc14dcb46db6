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


def cut(i, on=True):
    """The underlay of tunnel i loses everything, all cables being up; or no longer."""
    s.ip(f"link set left{i} nomaster" if on else f"link set left{i} master br{i}")


class Receiver:
    """Counts what arrives at p2, by port."""

    def __init__(self):
        self.socket = p2.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("10.244.2.2", PORT))
        self.socket.settimeout(0.5)
        self.counts = {}

    def take(self):
        """All that comes until nothing does."""
        try:
            while True:
                _, (_, port) = self.socket.recvfrom(100)
                self.counts[port] = self.counts.get(port, 0) + 1
        except TimeoutError:
            self.socket.close()
        return self.counts


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
    for flow in flows:
        flow.close()
    whole = sum(1 for n in counts.values() if n == rounds)
    return whole, [a - b for a, b in zip(sent(), before)]


def before(name):
    tap.note(name)
    cut(0, False)
    cut(1, False)
    apply("Disabled" if name == "shared" else "Enabled")
    tap.ok(net.wait_for(all_up, 20) and routed_by("tun0", "tun1"), "both Tunnels lead there",
           lambda: n1.run("ip route").stdout + d1.cli("path").stdout)


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
        # Which takes no packet through a tunnel that its route back does without.
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


def without_loss():
    """A steady stream by the living one loses nothing while the other is left out and comes back."""
    receiver, stop, sent = Receiver(), threading.Event(), {}
    counter = threading.Thread(target=receiver.take)
    receiver.socket.settimeout(3)
    flows = senders()

    def send():
        while not stop.is_set():
            for flow in flows:
                flow.sendto(b"x", ("10.244.2.2", PORT))
                port = flow.getsockname()[1]
                sent[port] = sent.get(port, 0) + 1
            time.sleep(0.005)

    # Which flows go by tun0: asked of the kernel, by the same hash.
    by_tun0 = [20000 + i for i in range(FLOWS)
               if "dev tun0" in n1.run(f"ip route get 10.244.2.2 from 10.244.1.2 iif pod0 ipproto udp "
                                       f"sport {20000 + i} dport {PORT}").stdout]
    tap.ok(len(by_tun0) > 8, "flows by tun0", by_tun0)
    sender = threading.Thread(target=send)
    counter.start()
    sender.start()
    cut(1)
    tap.ok(routed_by("tun0"), "tun1 is left out")
    cut(1, False)
    tap.ok(routed_by("tun0", "tun1"), "… and comes back")
    time.sleep(0.3)
    stop.set()
    sender.join()
    counter.join()
    for flow in flows:
        flow.close()
    lost = {p: sent[p] - receiver.counts.get(p, 0) for p in by_tun0 if sent[p] != receiver.counts.get(p, 0)}
    tap.equal(lost, {}, f"none of {sum(sent[p] for p in by_tun0)} packets of theirs is lost")


def clean_end():
    end_cleanly(daemons.values())


if __name__ == "__main__":
    tap.main([shared, skipped, both_dead, without_loss, clean_end],
             lambda name: name != "clean_end" and before(name),
             lambda name, failed: look_after(daemons.values(), name, failed))
