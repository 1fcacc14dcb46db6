#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel idle
"""
The underlay as the host knows it: which way outer packets leave, and which of those that
arrive the host itself would take. Packet sockets see them before the IP stack does.

    p1 10.244.1.2 ── pod0 n1 (culvertd) eth0 192.168.100.1 ── n2: the peer 192.168.100.2,
                                        eth1 192.168.150.1 ──     192.168.150.2 (the test)
"""

import socket

import culvert
import net
import tap
from culvert import Watch
from packets import header, icmp_error, is_icmp_error, is_ipip, outer, udp
from shapes import Pair, mac_text

culvert.need_programs()
lab = Pair()
POD, GATEWAY, FAR, LOCAL, REMOTE = lab.POD, lab.GATEWAY, lab.FAR, lab.LOCAL, lab.REMOTE
REFUSED = "outer-source-refused"

net.connect(lab.n1, "eth1", lab.n2, "eth1")
lab.n1.ip("addr add 192.168.150.1/24 dev eth1")
lab.n2.ip("addr add 192.168.150.2/24 dev eth1")
lab.n1.ip(f"neigh replace 192.168.150.2 lladdr {mac_text(lab.n2.mac('eth1'))} dev eth1")
second = lab.n2.wire("eth1")
SECOND_FRAME = lab.n1.mac("eth1") + lab.n2.mac("eth1") + b"\x08\x00"


def leaves_by():
    """The wires on which a packet of the pod leaves encapsulated."""
    lab.peer.drain()
    second.drain()
    lab.from_pod(udp(POD, FAR, 100))
    found = []
    for name, wire in (("eth0", lab.peer), ("eth1", second)):
        if wire.expect(is_ipip, 0.2):
            found.append(name)
    return found


def delivered(send, packet):
    """Whether an outer packet, sent by send, is decapsulated; and what was counted."""
    watch = Watch(lab.culvertd)
    inside = lab.n1.wire("tun0", link_header=0)
    send(packet)
    got = inside.expect(lambda p: header(p).src == header(packet[20:]).src, 0.2)
    inside.close()
    return got == packet[20:], {k: v for k, v in watch.rose().items() if k[:3] not in ("rx_", "tx_")}


def from_pod(packet):
    lab.pod.send(lab.to_n1_from_pod + packet)


def from_second(packet):
    second.send(SECOND_FRAME + packet)


def rules():
    """Policy rules on what an outer packet is."""
    lab.tunnel()
    tap.equal(leaves_by(), ["eth0"], "without a rule: by the main table")
    lab.n1.ip(f"route add {REMOTE}/32 via 192.168.150.2 dev eth1 table 100",
              f"rule add from {LOCAL} lookup 100 pref 100")
    tap.equal(leaves_by(), ["eth1"], "a rule from the local address: by its table, at once")
    lab.n1.ip(f"rule add from {LOCAL} to {REMOTE} prohibit pref 99")
    watch = Watch(lab.culvertd)
    tap.equal(leaves_by(), [], "a rule that prohibits: not at all")
    tap.equal(watch.rose().get("no-outer-route"), 1, "… and that is counted")
    lab.n1.ip("rule del pref 99", "rule del pref 100")
    tap.equal(leaves_by(), ["eth0"], "the rules are gone: by the main table, at once")
    lab.tunnel("dev eth1")
    lab.n1.ip(f"route add {REMOTE}/32 via 192.168.150.2 dev eth1 metric 9")
    tap.equal(leaves_by(), ["eth1"], "dev eth1: by that device")
    lab.n1.ip("link set eth1 down", "link set eth1 name uplink", "link set uplink up",
              f"route add {REMOTE}/32 via 192.168.150.2 dev uplink metric 9",
              f"neigh replace 192.168.150.2 lladdr {mac_text(lab.n2.mac('eth1'))} dev uplink")
    tap.equal(leaves_by(), ["eth1"], "dev eth1, renamed: by that device still")
    tap.equal(delivered(from_second, outer(udp(FAR, GATEWAY, 100), REMOTE, LOCAL))[0], True,
              "dev eth1, renamed: and in")
    tap.equal(delivered(lab.from_peer, outer(udp(FAR, GATEWAY, 100), REMOTE, LOCAL))[0], False,
              "dev eth1, renamed: by another device not")
    lab.n1.ip("link set uplink down", "link set uplink name eth1", "link set eth1 up",
              f"neigh replace 192.168.150.2 lladdr {mac_text(lab.n2.mac('eth1'))} dev eth1")


def arrival():
    """Spoofed outer sources."""
    lab.tunnel()
    true = outer(udp(FAR, GATEWAY, 100), REMOTE, LOCAL)
    for value in 0, 2, 1:
        lab.n1.sysctl("net.ipv4.conf.all.rp_filter", value)
        tap.equal(delivered(lab.from_peer, true), (True, {}),
                  f"rp_filter={value}: the peer is admitted")
        want = (False, {REFUSED: 1}) if value == 1 else (True, {})
        tap.equal(delivered(from_pod, true), want,
                  f"rp_filter={value}: a pod that speaks for the peer, as the kernel has it")
        tap.equal(delivered(from_second, true), want,
                  f"rp_filter={value}: the peer by another interface, as the kernel has it")
    lab.n1.sysctl("net.ipv4.conf.all.rp_filter", 0)
    lab.remake(f"tun0 mode ipip remote any local {LOCAL} nostrict")
    for source in LOCAL, GATEWAY, "127.0.0.1", "0.1.2.3", "224.0.0.1", "255.255.255.255":
        tap.equal(delivered(lab.from_peer, outer(udp(FAR, GATEWAY, 100), source, LOCAL)),
                  (False, {REFUSED: 1}), f"remote any, nostrict: not from {source}")
    tap.equal(delivered(lab.from_peer, outer(udp(FAR, GATEWAY, 100), "192.168.100.9", LOCAL)),
              (True, {}), "remote any, nostrict: from anybody else")


def destination():
    """Outer packets that are not for this host."""
    lab.tunnel()
    true = outer(udp(FAR, GATEWAY, 100), REMOTE, LOCAL)
    lab.n1.ip(f"addr add {LOCAL}/32 dev lo", f"addr del {LOCAL}/24 dev eth0",
              "addr add 192.168.100.77/24 dev eth0", "route replace 10.244.2.0/24 dev tun0")
    lab.resolve()
    tap.equal(delivered(lab.from_peer, true), (True, {}), "the local address on another device")
    lab.n1.ip(f"addr del {LOCAL}/32 dev lo", "route replace 10.244.2.0/24 dev tun0",
              f"neigh replace {LOCAL} lladdr {mac_text(lab.n2.mac('eth0'))} dev eth0")
    lab.peer.drain()
    tap.equal(delivered(lab.from_peer, true), (False, {}),
              "to a tunnel's local address that is none of ours: not decapsulated")
    tap.ok(lab.peer.expect(lambda p: is_ipip(p) and p[8] == true[8] - 1),
           "… but forwarded by the kernel, as any packet")
    lab.n1.ip(f"neigh del {LOCAL} dev eth0", "addr del 192.168.100.77/24 dev eth0",
              f"addr add {LOCAL}/24 dev eth0")
    lab.resolve()
    lab.remake(f"tun0 mode ipip remote {REMOTE} local any", "10.244.2.0/24 dev tun0")
    tap.equal(delivered(lab.from_peer, true), (True, {}), "local any: to an address of ours")
    tap.equal(delivered(lab.from_peer, outer(udp(FAR, GATEWAY, 100), REMOTE, "127.0.0.1")),
              (False, {}), "local any: not to 127.0.0.1")
    tap.equal(delivered(lab.from_peer, outer(udp(FAR, GATEWAY, 100), REMOTE, "192.168.100.9")),
              (False, {}), "local any: not to others")


def to_many():
    """Inner multicast and broadcast pass a tunnel with a fixed remote, both ways."""
    lab.tunnel("ttl 64", "224.0.0.0/4 dev tun0")
    lab.n1.ip("route replace 10.244.2.0/24 dev tun0")
    for address in "224.0.0.5", "239.1.2.3", "255.255.255.255":
        with lab.n1.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tun0\0")
            lab.peer.drain()
            s.sendto(b"hello", (address, 5000))
        got = lab.peer.expect(is_ipip)
        tap.ok(got and header(got).dst == REMOTE and header(header(got).payload).dst == address,
               f"to {address}: to the remote")
        # Also after the kernel has used its cached route for multicast.
        tap.equal(delivered(lab.from_peer, outer(udp(FAR, address, 100), REMOTE, LOCAL)),
                  (True, {}), f"to {address}: from the remote")
        tap.equal(leaves_by(), ["eth0"], f"after {address}: one host's packets pass")
    lab.n1.ip("route del 224.0.0.0/4 dev tun0")
    lab.remake(f"tun0 mode ipip remote any local {LOCAL}", "224.0.0.0/4 dev tun0",
               f"10.244.2.0/24 via {REMOTE} dev tun0 onlink")
    watch = Watch(lab.culvertd)
    with lab.n1.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
        s.sendto(b"hello", ("224.0.0.5", 5000))
    tap.equal(watch.wait("no-next-hop"), 1, "remote any: there is no outer destination for multicast")


def inner_rules():
    """Policy rules on inner packets, where they are not about the way out."""
    lab.tunnel()
    lab.n1.ip(f"rule add from {POD} to {FAR} prohibit pref 90")
    tap.equal(delivered(lab.from_peer, outer(udp(FAR, POD, 100), REMOTE, LOCAL)),
              (False, {"source-route-refuses": 1}), "a rule prohibits the way back: refused")
    lab.n1.ip("rule del pref 90", "route del 10.244.2.0/24",
              "route add 10.244.2.0/24 dev tun0 table 100", "rule add from 10.244.1.0/24 lookup 100")
    lab.peer.drain()
    lab.from_pod(udp(POD, FAR, 100))
    packet = lab.peer.expect(is_ipip)
    tap.ok(packet, "a route in the table of a rule on the source: encapsulated")
    lab.pod.drain()
    lab.from_peer(icmp_error("192.168.100.254", LOCAL, 3, 1, packet))
    tap.ok(lab.pod.expect(is_icmp_error(3, 1)), "… and an error about that packet is relayed")
    lab.n1.ip("rule del from 10.244.1.0/24 lookup 100", "route flush table 100")


def policies():
    """IPsec policies of the host, on outer packets and on what it forwards."""
    lab.tunnel()
    if lab.n1.run(["ip", "xfrm", "policy", "count"], check=False).returncode:
        tap.skip("IPsec policies", "this kernel has none")
        return
    tap.equal(leaves_by(), ["eth0"], "without a policy: sent")
    for what in (f"dir out src {LOCAL} dst {REMOTE}", f"dir fwd src {POD} dst {FAR}"):
        lab.n1.ip(f"xfrm policy add {what} action block")
        tap.equal(leaves_by(), [], f"a policy {what} blocks: not sent, at once")
        lab.n1.ip("xfrm policy flush")
        tap.equal(leaves_by(), ["eth0"], "the policy is gone: sent")
    lab.n1.ip(f"xfrm policy add dir fwd src {FAR} dst {POD} action block")
    lab.pod.drain()
    lab.from_peer(outer(udp(FAR, POD, 100), REMOTE, LOCAL))
    tap.ok(lab.quiet(lab.pod), "a policy for forwarded packets blocks: not delivered")
    lab.n1.ip("xfrm policy flush")


tap.main([rules, arrival, destination, to_many, inner_rules, policies], lab.before, lab.after)
