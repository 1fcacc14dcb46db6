#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine,endpoints
"""
`culvert trace` says what happens: for each of many packets it is asked first, then the packet is
sent, and the wires tell. The network is that of zones.py, seen from a1:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                  ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘               ├── office  192.168.7.7
                                  └── outside 203.0.113.9
"""

import json
import os
import socket
import time

import culvert
import net
import tap
from zones import ADDRESSES, DEVICE, NODE, NODES, OFFICE, OUTSIDE, Zones, block_text

IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE = 10, 0, 3
PORT = 9009

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
zones = Zones()
A1, PA1 = zones.nodes["a1"], zones.pods["a1"]
wire = zones.wire("a1")
pod_wire = PA1.wire("eth0")


def trace(to, source=None, *more):
    """What it says."""
    words = ["from", source] if source else []
    return json.loads(zones.cli("a1", "-j", "trace", *words, *more, to).stdout)


def send(sender, to, source, size, mode):
    """A UDP packet of size bytes; the payload by which it is known, None: the kernel refused it."""
    payload = (os.urandom(8) * 200)[:size - 28]
    with sender.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, mode)
        if source:
            s.bind((source, 0))
        try:
            s.sendto(payload, (to, PORT))
        except OSError:
            return None
    return payload


def seen(payload, where, timeout):
    """The frame that left a1 with the payload (UDP, not quoted by an error), or None."""
    mac = A1.mac("eth0")
    deadline = time.monotonic() + timeout
    while where is not None:
        frame = where.read(max(0.0, deadline - time.monotonic()))
        if frame is None:
            return None
        at = 34 if frame[23] == 4 else 14
        if payload[:16] in frame and frame[at + 9] == 17 and (
                where is pod_wire or frame[6:12] == mac):
            return frame


def address_at(frame, offset):
    return socket.inet_ntoa(frame[offset:offset + 4])


def arrives(sender, to, source=None, size=60, mode=IP_PMTUDISC_DONT, timeout=0.4):
    """What becomes of it: (verdict, outer destination, inner source as it is on the wire)."""
    taker = A1.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taker.bind(("", PORT))
    wire.drain()
    pod_wire.drain()
    payload = send(sender, to, source, size, mode)
    frame = payload and seen(payload, wire, timeout)
    result = ("refused", None, None)
    if frame and frame[23] == 4:
        result = ("tunnel", address_at(frame, 30), address_at(frame, 46))
    elif frame:
        is_router = frame[:6] == zones.r.mac("br-a")
        result = ("away" if is_router else "direct", None, address_at(frame, 26))
    elif payload:
        frame = seen(payload, pod_wire, 0)
        taker.setblocking(False)
        try:
            if frame and sender is not PA1:
                result = ("local", None, address_at(frame, 26))
            elif taker.recvfrom(9000)[0] == payload:
                result = ("local", None, None)
        except BlockingIOError:
            pass
    taker.close()
    return result


def agree(what, to, sender=A1, source=None, ask=None, want=None):
    """One packet, asked and sent. ask: the address that trace is told (the pod's own)."""
    said = trace(to, ask or source)
    got = arrives(sender, to, source)
    # The underlay's own routing may have it on link.
    away = said["verdict"] in ("underlay", "outside") and got[0] in ("away", "direct")
    verdict = got[0] if away else said["verdict"]
    name = f"{what}: {said['verdict']}"
    detail = lambda: f"said {json.dumps(said, indent=1)}\nseen {got}"  # noqa: E731
    tap.ok(verdict == got[0] and (want is None or want == said["verdict"]), name, detail)
    tap.ok(said["outer_destination"] == got[1], f"{what}: outer destination {got[1]}", detail)
    if got[2]:
        tap.ok((said["nat_source"] or said["source"]) == got[2], f"{what}: its source is {got[2]}",
               detail)
    if got[0] in ("tunnel", "direct", "away"):
        device = said["device"]
        tap.equal(device, DEVICE if got[0] == "tunnel" else "eth0", f"{what}: device")
    return said


def from_pod(what, to, want=None):
    return agree(f"pod to {what}", to, PA1, None, zones.pod("a1"), want)


def from_host(what, to, want=None, source=None):
    return agree(f"host{' as ' + source if source else ''} to {what}", to, A1, source, None, want)


def set_up():
    zones.apply(zones.manifest())
    for node in NODES:  # neighbours are known: nothing is late
        zones.nodes[node].run(["ping", "-n", "-c1", "-W2", ADDRESSES["a2" if node == "a1" else "a1"]])
    A1.run(["ping", "-n", "-c1", "-W2", zones.pod("a1")], check=False)


def places():
    """Every kind of destination, for a pod, the host and the host's other addresses."""
    for source in (None, ADDRESSES["a1"], zones.tunnel_address("a1")):
        from_host("pod of b1", zones.pod("b1"), "tunnel", source)
        from_host("pod of a2", zones.pod("a2"), "direct", source)
        from_host("b1", ADDRESSES["b1"], "outside", source)
        from_host("office", OFFICE, "outside", source)
        from_host("outside", OUTSIDE, "outside", source)
        from_host("own pod", zones.pod("a1"), "local", source)
        from_host("overlay address of nobody", "10.244.77.1", "refused", source)
    from_host("itself", ADDRESSES["a1"], "local")
    from_host("its tunnel address", zones.tunnel_address("a1"), "local")
    from_host("own block without pod", "10.244.1.77", "refused")
    for what, to, want in (
            ("pod of b1", zones.pod("b1"), "tunnel"), ("pod of a2", zones.pod("a2"), "direct"),
            ("tunnel address of b1", zones.tunnel_address("b1"), "tunnel"),
            ("tunnel address of a2", zones.tunnel_address("a2"), "direct"),
            ("b1", ADDRESSES["b1"], "outside"), ("a2", ADDRESSES["a2"], "outside"),
            ("office", OFFICE, "outside"), ("outside", OUTSIDE, "outside"),
            ("its node", ADDRESSES["a1"], "local"),
            ("its node's tunnel address", zones.tunnel_address("a1"), "local"),
            ("own block without pod", "10.244.1.77", "refused"),
            ("overlay address of nobody", "10.244.77.1", "refused")):
        from_pod(what, to, want)


def more_addresses():
    """A bridge address of the overlay, a second one of the card, a route with a source of its own."""
    A1.ip("link add br9 type bridge", "link set br9 up", "addr add 10.244.1.129/25 dev br9",
          "addr add 192.168.100.88/32 dev eth0", "addr add 172.30.0.1/32 dev lo",
          f"route add {OUTSIDE}/32 via 192.168.100.254 src 192.168.100.88")
    time.sleep(0.2)
    for source in ("10.244.1.129", "192.168.100.88", "172.30.0.1"):
        from_host("pod of b1", zones.pod("b1"), "tunnel", source)
        from_host("pod of a2", zones.pod("a2"), "direct", source)
        from_host("outside", OUTSIDE, "outside", source)
    from_host("outside, by that route", OUTSIDE, "outside")
    from_pod("outside, by that route", OUTSIDE, "outside")
    A1.ip("link del br9", "addr del 192.168.100.88/32 dev eth0", "addr del 172.30.0.1/32 dev lo",
          f"route replace {OUTSIDE}/32 via 192.168.100.254", f"route del {OUTSIDE}/32")


FELIX = """\
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata:
  name: default
spec:
"""


def resources():
    """Reservations, exclusions, an address of its own for natOutgoing, a node without an address."""
    text = zones.manifest() + """\
---
apiVersion: projectcalico.org/v3
kind: IPReservation
metadata:
  name: kept
spec:
  reservedCIDRs: [10.244.66.0/24]
""" + """\
---
apiVersion: projectcalico.org/v3
kind: Node
metadata:
  name: c1
spec: {}
""" + block_text("c1", "10.244.9.0/24") + block_text("gone", "10.244.10.0/24")
    zones.cli("a1", "apply", "-f", "-", text=text)
    for ask in (from_pod, from_host):
        ask("reservation", "10.244.66.6", "outside")
        ask("block of a node without an address", "10.244.9.9", "refused")
        ask("block of no node", "10.244.10.9", "refused")
    zones.cli("a1", "apply", "-f", "-", text=FELIX + "  natOutgoingExclusions: IPPoolsAndHostIPs\n")
    for what, to in (("b1", ADDRESSES["b1"]), ("outside", OUTSIDE)):
        from_pod(f"{what}, but for hosts", to, "outside")
    A1.ip("addr add 192.168.100.99/32 dev eth0")
    zones.cli("a1", "apply", "-f", "-", text=FELIX + "  natOutgoingAddress: 192.168.100.99\n")
    from_pod("outside, as natOutgoingAddress", OUTSIDE, "outside")
    zones.cli("a1", "delete", "felixconfiguration", "default")
    A1.ip("addr del 192.168.100.99/32 dev eth0")


def routes_of_others():
    """Whoever installs a route steers; trace says that it is not as decided."""
    A1.ip("route add 10.244.3.0/25 via 192.168.100.254")
    said = from_pod("pod of b1, past the tunnel", zones.pod("b1"))
    tap.ok(any(step["step"] == "conflict" for step in said["steps"]), "… which is a conflict", said)
    from_host("pod of b1, past the tunnel", zones.pod("b1"))
    A1.ip("route del 10.244.3.0/25")
    A1.ip(f"route add 10.244.2.0/25 via {ADDRESSES['a2']} dev {DEVICE} onlink")
    said = from_pod("pod of a2, by the tunnel", zones.pod("a2"), "tunnel")
    tap.ok(any(step["step"] == "conflict" for step in said["steps"]), "… which is a conflict", said)
    A1.ip("route del 10.244.2.0/25")
    A1.ip(f"route add 10.88.0.0/16 nexthop via {ADDRESSES['a2']} dev {DEVICE} onlink "
          f"nexthop via {ADDRESSES['b1']} dev {DEVICE} onlink")
    for number in range(1, 9):
        from_pod(f"one of two next hops ({number})", f"10.88.0.{number}", "tunnel")
    A1.ip("route del 10.88.0.0/16", f"route add 10.77.0.0/16 via {ADDRESSES['b1']} dev {DEVICE} onlink table 77",
          f"rule add from {zones.pod('a1')} to 10.77.0.0/16 table 77 pref 77", "route add 10.78.0.0/16 dev eth0 mtu 900",
          "route add prohibit 10.79.0.0/16", "route add blackhole 10.80.0.0/16")
    from_pod("a rule's table", "10.77.0.7", "tunnel")
    from_host("what only pods have a rule for", "10.77.0.7", "outside")
    for ask in (from_pod, from_host):
        ask("a prohibited one", "10.79.0.1", "refused")
        ask("somebody's blackhole", "10.80.0.1", "refused")
    A1.ip("rule del pref 77", "route del 10.78.0.0/16", "route del prohibit 10.79.0.0/16", "route del blackhole 10.80.0.0/16")


def fits(what, to, sender, source, size):
    """The largest packet that passes without being cut, and no larger one."""
    got = arrives(sender, to, None, size, IP_PMTUDISC_PROBE)
    tap.ok(got[0] != "refused", f"{what}: {size} bytes pass", got)
    if size < 1500 or sender is A1:
        got = arrives(sender, to, None, size + 1, IP_PMTUDISC_PROBE, timeout=0.15)
        tap.ok(got[0] == "refused", f"{what}: {size + 1} bytes do not", got)


def mtu():
    for node in NODES:
        zones.nodes[node].ip("link set pod0 mtu 1500")
        zones.pods[node].ip("link set eth0 mtu 1500")
        zones.nodes[node].ip("route flush cache")
    for sender, source in ((A1, None), (PA1, zones.pod("a1"))):
        who = "host" if sender is A1 else "pod"
        for what, to, want in (("b1's pod", zones.pod("b1"), 1480), ("a2's pod", zones.pod("a2"), 1500),
                               ("outside", OUTSIDE, 1500)):
            said = trace(to, source)["mtu"]
            tap.equal(said, want, f"{who} to {what}: {want} bytes")
            fits(f"{who} to {what}", to, sender, source, said)
    zones.r.ip("link set to-b1 mtu 1400")
    for _ in range(3):  # the path's MTU is learned
        arrives(PA1, zones.pod("b1"), None, 1480, IP_PMTUDISC_PROBE, timeout=0.1)
    said = trace(zones.pod("b1"), zones.pod("a1"))["mtu"]
    tap.equal(said, 1380, "a narrower path: 1380 bytes")
    fits("pod by a narrower path", zones.pod("b1"), PA1, zones.pod("a1"), said)
    zones.r.ip("link set to-b1 mtu 1500")
    A1.ip("route flush cache")


def without_tunnel():
    """No way to the other end, a tunnel that is down, and none at all."""
    A1.ip(f"route add unreachable {ADDRESSES['b1']}")
    for ask in (from_pod, from_host):
        steps = [s["step"] for s in ask("pod of b1, b1 unreachable", zones.pod("b1"), "refused")["steps"]]
        tap.ok(steps[-1] == "outer" and "conflict" not in steps, "… and no conflict of our routes", steps)
    A1.ip(f"route del unreachable {ADDRESSES['b1']}")
    A1.ip(f"link set {DEVICE} down")
    for ask in (from_pod, from_host):
        ask("pod of b1, device down", zones.pod("b1"))
    A1.ip(f"link set {DEVICE} up")
    tap.ok(net.wait_for(lambda: trace(zones.pod("b1"))["verdict"] == "tunnel", 3), "up again")
    zones.cli("a1", "apply", "-f", "-", text=FELIX + "  ipipEnabled: false\n")
    for ask in (from_pod, from_host):
        ask("pod of b1, ipipEnabled: false", zones.pod("b1"))
        ask("pod of a2, ipipEnabled: false", zones.pod("a2"), "direct")
    zones.cli("a1", "delete", "felixconfiguration", "default")
    zones.cli("a1", "apply", "-f", "-", text=zones.manifest("Never"))
    for ask in (from_pod, from_host):
        ask("pod of b1, Never", zones.pod("b1"), "underlay")
    zones.apply(zones.manifest("Always"), ["a1"])
    for ask in (from_pod, from_host):
        ask("pod of a2, Always", zones.pod("a2"), "tunnel")
    zones.apply(zones.manifest(), ["a1"])


def into_the_node():
    """What comes from the wire to a pod: by which device it would go on."""
    for source, device in ((OUTSIDE, "eth0"), (zones.pod("a2"), "eth0"), (zones.pod("b1"), DEVICE)):
        said = trace(zones.pod("a1"), source)
        tap.equal((said["verdict"], said["device"]), ("local", "pod0"), f"from {source} to the pod")
        tap.ok(any(f"from {device}" in step["text"] for step in said["steps"]), f"… comes by {device}",
               said)


def for_people():
    text = zones.cli("a1", "trace", "from", zones.pod("a1"), zones.pod("b1")).stdout
    for part in ("1. source", "10.244.1.2, forwarded from pod0",
                 "10.244.3.2 is in IPPool default-ipv4-ippool (10.244.0.0/16, ipipMode CrossSubnet)",
                 "10.244.3.0/24 is node b1's (BlockAffinity b1-10-244-3-0-24)",
                 "(CrossSubnet, not in our subnet)", f"10.244.3.0/24 via 192.168.200.2 dev {DEVICE}",
                 f"{DEVICE}: 192.168.100.1 > 192.168.200.2, protocol 4", "via 192.168.100.254 dev eth0",
                 "10.244.1.2 stays", "1480 bytes"):
        tap.ok(part in text, f"it says \"{part}\"", text)
    tap.equal(text.splitlines()[-1], "tunnel", "… and at last the verdict")
    text = zones.cli("a1", "trace", OUTSIDE).stdout
    tap.ok("is in no IPPool" in text and text.endswith("outside\n"), "outside", text)
    done = zones.cli("a1", "trace", "from", "10.9.9.9", "dev", "nothing", OUTSIDE, check=False)
    tap.equal((done.returncode, "there is no device nothing here" in done.stderr), (1, True), "no such device")
    done = zones.cli("a1", "trace", "nowhere", check=False)
    tap.equal(done.returncode, 2, "no address: usage")


if __name__ == "__main__":
    tap.main([set_up, places, more_addresses, resources, routes_of_others, into_the_node, for_people, mtu,
              without_tunnel, zones.clean_end], zones.before, zones.after)
