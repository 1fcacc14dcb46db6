#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath,endpoints long-modes=engine,mixed parallel
"""
Super-packets that have to go on: out of devices that cannot cut what came out of a tunnel, into a
second tunnel, and with every single offload missing somewhere (shapes.Line, and one node more).

    p1 10.244.1.2 ── n1 ══ tun0 ══ n2 ── p2 10.244.2.2
                        (router r) ║
                                 tun1 ══ n3 192.168.50.3 ── p3 10.244.3.2

n3's mode is n2's. All devices begin with all their offloads.
"""

import itertools

import culvert
import net
import tap
from culvert import Culvertd, Watch
from shapes import Line
from transfer import tcp_transfer, udp_segments

culvert.need_programs()
lab = Line(offload=True)
A, B, C = lab.POD_A, lab.POD_B, "10.244.3.2"
HOP = "192.168.50.3"
PODS = ((lab.p1, "eth0"), (lab.n1, "pod0"), (lab.n2, "pod0"), (lab.p2, "eth0"))
UNDERLAY = ((lab.n1, "eth0"), (lab.r, "left"), (lab.r, "right"), (lab.n2, "eth0"))
TROUBLES = ("bad-offload", "device-write-failed", "send-failed", "inner-truncated",
            "inner-bad-checksum", "bad-checksum", "truncated")
TUNNEL_SEGMENTATION = "tx-ipxip4-segmentation"
SIZE = 2 << 20


def ethtool(ends, **features):
    """Switch features of devices, named with _ for -, on (True) or off."""
    for node, interface in ends:
        words = (f"{name.replace('_', '-')} {'on' if on else 'off'}"
                 for name, on in features.items())
        node.run(f"ethtool -K {interface} {' '.join(words)}")


def all_on():
    for node, interface in (*PODS, *UNDERLAY):
        node.offloads(interface, True)
    ethtool(PODS + UNDERLAY, **{TUNNEL_SEGMENTATION: True})


def exchange(name, near, near_address, far, far_address, daemons):
    """TCP and UDP super-packets in both directions: every byte right, nothing refused."""
    watches = [Watch(daemon, tunnel) for daemon, tunnel in daemons]
    for source, target, address, way in (
        (near, far, far_address, "there"), (far, near, near_address, "and back"),
    ):
        result = tcp_transfer(source, target, address, SIZE)
        tap.ok(result.right, f"{name}, {way}: TCP, all bytes right", result)
        want, got = udp_segments(
            source, target, address, [14000, 13999, 1401, 1400, 60200, 8, 1452], 1400)
        tap.equal((len(got), got == want), (len(want), True),
                  f"{name}, {way}: UDP super-packets, each datagram right")
    for watch in watches:
        bad = {key: value for key, value in watch.rose().items() if key in TROUBLES}
        tap.equal(bad, {}, f"{name}: nothing refused at {watch.daemon.node.name}")


def to_p2(name):
    exchange(name, lab.p1, A, lab.p2, B, ((lab.d1, "tun0"), (lab.d2, "tun0")))


def single_features():
    """Checksums, TSO and GRO, each there or not, on both kinds of cables."""
    for ends, what in (PODS, "pods"), (UNDERLAY, "underlay"):
        for checksums, tso, gro in itertools.product((True, False), repeat=3):
            all_on()
            ethtool(ends, tx=checksums, rx=checksums)
            ethtool(ends, tso=tso, gro=gro)
            said = ", ".join(f"{word} {'on' if on else 'off'}" for word, on in
                             (("checksums", checksums), ("TSO", tso), ("GRO", gro)))
            to_p2(f"{what}: {said}")
    all_on()


def no_tunnel_segmentation():
    """Devices that cut plain super-packets only, or none."""
    for ends, what in (
        (((lab.n1, "eth0"), (lab.n2, "eth0")), "the underlay"),
        (((lab.n1, "pod0"), (lab.n2, "pod0")), "the pods' devices"),
        (((lab.r, "left"), (lab.r, "right")), "the router"),
    ):
        ethtool(ends, **{TUNNEL_SEGMENTATION: False})
        to_p2(f"{what} cannot segment tunnels")
        ethtool(ends, gso=False, tso=False)
        to_p2(f"{what} cannot segment tunnels and has no GSO")
        ethtool(ends, sg=False)
        to_p2(f"{what} cannot segment tunnels and has no scatter-gather")
        ethtool(ends, sg=True)
        all_on()


def behind_a_bridge():
    """n2's pod hangs on a bridge, which knows no tunnels."""
    lab.n2.ip("link add br0 type bridge", "link set br0 up", "addr flush dev pod0",
              "link set pod0 master br0", "addr add 10.244.2.1/24 dev br0")
    to_p2("a pod on a bridge")
    ethtool(((lab.n2, "br0"),), gso=False, tso=False)
    to_p2("a pod on a bridge without GSO")
    lab.n2.ip("link set pod0 nomaster", "link del br0", "addr add 10.244.2.1/24 dev pod0")


def third_node():
    """n3, its pod, and tun1 from n2."""
    n3, p3 = net.Node("n3"), net.Node("p3")
    net.connect(lab.r, "third", n3, "eth0", offload=True)
    net.connect(n3, "pod0", p3, "eth0", offload=True)
    n3.forward()
    lab.r.ip("addr add 192.168.50.254/24 dev third")
    n3.ip(f"addr add {HOP}/24 dev eth0", "addr add 10.244.3.1/24 dev pod0",
          "route add default via 192.168.50.254")
    p3.ip(f"addr add {C}/24 dev eth0", "route add default via 10.244.3.1")
    d3 = Culvertd(n3, mode=lab.d2.mode, endpoints=(("pod0", C),))
    d3.add(f"tun1 mode ipip remote {lab.B} local {HOP}")
    lab.d2.add(f"tun1 mode ipip remote {HOP} local {lab.B}")
    n3.ip("route add 10.244.0.0/16 dev tun1")
    lab.n2.ip("route add 10.244.3.0/24 dev tun1")
    lab.n1.ip("route add 10.244.3.0/24 dev tun0")
    return p3, d3


def second_tunnel():
    """What comes out of tun0 at n2 goes into tun1, and the other way round."""
    p3, d3 = third_node()
    ends = (*UNDERLAY, (lab.r, "third"), (d3.node, "eth0"))
    for on in True, False:
        for node, interface in ends:
            node.offloads(interface, on)
        name = f"into a second tunnel, underlay {'on' if on else 'off'}"
        watches = [Watch(lab.d2, tunnel) for tunnel in ("tun0", "tun1")]
        result = tcp_transfer(lab.p1, p3, C, SIZE)
        tap.ok(result.right, f"{name}: TCP, all bytes right", result)
        for watch, key in zip(watches, ("rx_bytes", "tx_bytes")):
            grown = watch.rose().get(key, 0)
            tap.ok(SIZE < grown < 1.1 * SIZE, f"{name}: {watch.tunnel} counts {key}", grown)
        for watch in watches:
            bad = {key: value for key, value in watch.rose().items() if key in TROUBLES}
            tap.equal(bad, {}, f"{name}: nothing refused in {watch.tunnel}")
        exchange(name, lab.p1, A, p3, C, ((lab.d1, "tun0"), (d3, "tun1")))
    tap.equal(d3.stop(), 0, "culvertd of n3 ends cleanly")


tap.main(
    [single_features, no_tunnel_segmentation, behind_a_bridge, second_tunnel, lab.clean_end],
    after=lab.after,
)
