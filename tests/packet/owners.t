#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine,endpoints
"""
The pools' device: who may send when resources declare owners, whatever way the answer would go.

    p1 10.244.1.2 ── pod0 n1 (culvertd) eth0 192.168.100.1 ── n2: B1, B2, a router and a stranger
                                                              192.168.100.2, .3, .254, .9 (the test)

culvertd is tests/packet/culvertd.c, which is told of owners by a request of its own.
"""

import json
import os
import socket
import threading
import time

import culvert
import tap
from culvert import Culvertd, Watch
from packets import difference, forwarded, outer, udp
from shapes import Pair

culvert.need_programs()
lab = Pair(daemon=False)
POD, FAR, LOCAL, OTHER_LOCAL = lab.POD, lab.FAR, lab.LOCAL, "192.168.100.20"
B1, B2, STRANGER, ROUTER = (f"192.168.100.{i}" for i in (2, 3, 9, 254))
FAR_PREFIX = "10.244.2.0/24"
NOT_BACK, REFUSES, NOT_A_PEER = "source-not-routed-back", "source-route-refuses", "not-a-peer"


class Declaring(Culvertd):
    """culvertd that can be told of owners."""

    def spawn(self):
        self.build = os.path.join(culvert.BUILD, "tests", "packet")
        super().spawn()

    def declare(self, *owned, peers=(B1, B2), local=LOCAL, mtu=0):
        """The pools' device tun0, and who owns what: ("10.244.2.0", 24, B1), …"""
        request = {
            "version": 1, "command": "test.pools", "device": "tun0", "local": local, "mtu": mtu,
            "peers": peers, "owned": owned,
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(os.path.join(self.run_dir, "culvertd.sock"))
            s.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(s.makefile("rb").readline())
        if not answer["ok"]:
            raise RuntimeError(answer["error"]["message"])


lab.culvertd = Declaring(lab.n1, endpoints=(("pod0", POD),))


def owner(address):
    """FAR_PREFIX is this one's; beside it, the pod's own block, and one of B2's."""
    return (("10.244.1.0", 24, "any"), ("10.244.2.0", 24, address), ("10.244.3.0", 24, B2))


def declare(address, **more):
    """The device, up, and the owner of FAR_PREFIX."""
    lab.culvertd.declare(*owner(address), **more)
    lab.n1.ip("link set tun0 up")


def route(line):
    """The route back; "": there is none of its own, but by default."""
    for kind in ("", "blackhole", "unreachable", "prohibit"):
        lab.n1.run(["ip", "route", "flush", *([kind] if kind else []), FAR_PREFIX], check=False)
    if line:
        lab.n1.ip(f"route replace {line}")


def admitted(name, source=FAR, outer_source=B1, local=LOCAL):
    """It gets through to the pod."""
    watch = Watch(lab.culvertd)
    sent = udp(source, POD, 100)
    got, want = lab.inner_of(outer(sent, outer_source, local)), forwarded(sent)
    tap.ok(got == want, name, lambda: f"{difference(got, want)}\n{watch.rose()}")


def refused(name, reason, source=FAR, outer_source=B1):
    """It is dropped for this reason, counted once, and nothing comes of it."""
    watch = Watch(lab.culvertd)
    got = lab.inner_of(outer(udp(source, POD, 100), outer_source, LOCAL), timeout=0.05)
    tap.equal(watch.wait(reason, timeout=0.5), 1, f"{name}: {reason}")
    tap.equal((got, set(watch.rose())), (None, {reason}), f"{name}: that is all")


def fast(name, source=FAR, outer_source=B1):
    """The next ones are the fast path's alone, let in or not."""
    if not lab.culvertd.has_fastpath:
        return
    sent = outer(udp(source, POD, 100), outer_source, LOCAL)
    before = lab.culvertd.paths()
    for _ in range(5):
        lab.from_peer(sent)
    time.sleep(0.05)
    after = lab.culvertd.paths()
    tap.equal(after["handed_over"]["in"], before["handed_over"]["in"], f"{name}: by the fast path")


WAYS = (
    ("by the tunnel", f"{FAR_PREFIX} via {B1} dev tun0 onlink"),
    ("direct", f"{FAR_PREFIX} via {B1}"),
    ("by the underlay's router", f"{FAR_PREFIX} via {ROUTER}"),
    ("by default", ""),
    ("by another node", f"{FAR_PREFIX} via {B2} dev tun0 onlink"),
)


def before_it_is_declared():
    lab.n1.ip(f"route add default via {ROUTER}", f"addr add {OTHER_LOCAL}/24 dev eth0")
    lab.culvertd.declare(peers=())
    lab.n1.ip("link set tun0 up")
    route(WAYS[1][1])
    refused("nothing declared, direct", NOT_A_PEER)
    route(WAYS[0][1])
    admitted("nothing declared, by the tunnel")


def owners_may_whatever_the_way():
    declare(B1)
    for what, line in WAYS:
        route(line)
        admitted(f"route back {what}: admitted")
        admitted(f"route back {what}: admitted again")
        fast(f"route back {what}")


def under_rp_filter():
    lab.n1.sysctl("net.ipv4.conf.all.rp_filter", 1)
    lab.n1.ip("addr add 10.244.1.64/32 dev tun0")
    lab.culvertd.declare(*owner(B1))
    for what, line in WAYS:
        route(line)
        admitted(f"route back {what}, rp_filter 1: admitted")
    lab.n1.ip("addr del 10.244.1.64/32 dev tun0")
    lab.n1.sysctl("net.ipv4.conf.all.rp_filter", 0)
    lab.culvertd.declare(*owner(B1))


def routes_refuse():
    declare(B1)
    for kind in ("blackhole", "unreachable", "prohibit"):
        route(f"{kind} {FAR_PREFIX}")
        refused(f"route back {kind}", REFUSES)
        fast(f"route back {kind}")
    route("")
    lab.n1.ip(f"route add local {FAR}/32 dev lo")
    refused("route back local", REFUSES)
    lab.n1.ip(f"route del local {FAR}/32 dev lo")
    admitted("and when it is gone: admitted")


def spoofed():
    declare(B1)
    for what, line in WAYS[:4]:
        route(line)
        refused(f"a known node in another's name, route back {what}", NOT_BACK, outer_source=B2)
        refused(f"the other way round, {what}", NOT_BACK, source="10.244.3.2")
        fast(f"in another's name, {what}", outer_source=B2)
    refused("nobody's address", NOT_BACK, source="203.0.113.5")
    refused("an address of our own block", NOT_BACK, source="10.244.1.77")


def strangers():
    declare(B1)
    for what, line in WAYS:
        route(line)
        refused(f"a stranger, route back {what}", NOT_A_PEER, outer_source=STRANGER)
    refused("the router is no peer", NOT_A_PEER, outer_source=ROUTER)
    refused("a stranger's own address", NOT_A_PEER, STRANGER, STRANGER)


def peers_themselves():
    declare(B1)
    route("")
    admitted("a peer's own address: admitted", B2, B2)
    admitted("again", B2, B2)
    fast("a peer's own address", B2, B2)


def new_owners_count_at_once():
    for what, line in WAYS[2:4]:
        route(line)
        for _ in range(3):
            declare(B1)
            admitted(f"{what}, the owner: admitted")
            admitted(f"{what}, the owner: again")
            fast(f"{what}, the owner")
            declare(B2)
            refused(f"{what}, the owner before", NOT_BACK)
            admitted(f"{what}, the new owner: admitted", outer_source=B2)
    declare(B1, peers=(B1,))
    refused("no peer any longer", NOT_A_PEER, outer_source=B2)


def over_a_restart():
    declare(B1)
    route(WAYS[2][1])
    admitted("before the restart: admitted")
    lab.culvertd.stop()
    lab.culvertd.start()
    refused("after it, before anything is declared", NOT_A_PEER)
    declare(B1)
    admitted("declared: admitted")
    admitted("declared: again")
    fast("declared")


def over_a_deletion():
    declare(B1, mtu=1400)
    route(WAYS[2][1])
    lab.n1.ip("link del tun0")
    deadline = time.monotonic() + 5
    while not lab.n1.has("tun0") and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.ok(lab.n1.has("tun0"), "a device that somebody deleted is made again", lab.culvertd.log)
    lab.culvertd.cli("tunnel", "show")
    lab.n1.ip("link set tun0 up")
    admitted("and lets its owners in")
    shown = json.loads(lab.culvertd.cli("-j", "tunnel", "show", "tun0").stdout)[0]
    tap.equal(shown["mtu"], 1400, "with the MTU that is wanted")


def index_of_tun0():
    return json.loads(lab.n1.run(["ip", "-j", "link", "show", "tun0"]).stdout)[0]["ifindex"]


def another_local_address():
    """The tunnel carries on while its local address changes under a stream."""
    declare(B1)
    route(WAYS[0][1])
    index = index_of_tun0()
    lab.drain()
    sent, done = 0, threading.Event()

    def send():
        nonlocal sent
        while not done.is_set():
            lab.from_pod(udp(POD, FAR, 100))
            sent += 1
            time.sleep(0.002)

    thread = threading.Thread(target=send)
    thread.start()
    for i in range(20):
        declare(B1, local=(OTHER_LOCAL, LOCAL)[i % 2])
        time.sleep(0.03)
    done.set()
    thread.join()
    got = {LOCAL: 0, OTHER_LOCAL: 0}
    while packet := lab.peer.expect(lambda p: p[9] == 4, 0.3):
        got[socket.inet_ntoa(packet[12:16])] += 1
    tap.equal(sum(got.values()), sent, "20 changes of local: none lost on the way out")
    tap.ok(all(got.values()), "from both addresses", got)
    tap.equal(index_of_tun0(), index, "the device stays")
    declare(B1, local=OTHER_LOCAL)
    admitted("to the new address: admitted", local=OTHER_LOCAL)
    declare(B1)
    admitted("and back", local=LOCAL)


def whose_it_is():
    declare(B1)
    shown = lab.culvertd.cli("tunnel", "show", "tun0").stdout
    tap.ok(" owner pools mtu 1480 up" in shown, "show says the owner", shown)
    shown = json.loads(lab.culvertd.cli("-j", "tunnel", "show", "tun0").stdout)[0]
    tap.equal(shown["owner"], "pools", "in JSON, too")
    lab.culvertd.cli("tunnel", "add", "tun1", "mode", "ipip", "remote", STRANGER)
    saved = lab.culvertd.cli("tunnel", "save").stdout
    tap.ok("tun1" in saved and "tun0" not in saved, "save leaves it out", saved)
    saved = json.loads(lab.culvertd.cli("-j", "tunnel", "save").stdout)
    tap.equal([each["tunnel"]["name"] for each in saved], ["tun1"], "in JSON, too")
    for verb in ("del", "change", "replace"):
        words = ["tunnel", verb, "tun0", *(["ttl", "9"] if verb != "del" else [])]
        result = lab.culvertd.cli(*words, check=False)
        tap.ok(
            result.returncode == 1 and "belongs to the pools of the store" in result.stderr,
            f"a command cannot {verb} it", result.stderr,
        )
    lab.culvertd.delete("tun1")


tap.main(
    [
        before_it_is_declared, owners_may_whatever_the_way, under_rp_filter, routes_refuse, spoofed,
        strangers, peers_themselves, new_owners_count_at_once, over_a_restart, over_a_deletion,
        another_local_address, whose_it_is, lab.clean_end,
    ],
    lab.before,
    lab.after,
)
