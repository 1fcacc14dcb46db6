#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath,endpoints long-modes=engine parallel idle
"""
Tunnels with `remote any`: the outer destination is the next hop that the kernel's
routing chose; and which tunnel takes a packet that arrives.

    p1 10.244.1.2 ── pod0 n1 (culvertd) eth0 192.168.100.1 ── n2: gateways 192.168.100.2
                                             192.168.100.11       to .9 (the test)
"""

import json
import socket
import struct
import time

import culvert
import net
import tap
from culvert import Watch
from packets import difference, echo, forwarded, header, is_ipip, outer, tcp, udp
from shapes import Pair

culvert.need_programs()
lab = Pair()
POD, GATEWAY, FAR, LOCAL = lab.POD, lab.GATEWAY, lab.FAR, lab.LOCAL
LOCAL2 = "192.168.100.11"
lab.n1.ip(f"addr add {LOCAL2}/24 dev eth0")
# Two more addresses of pods, for rules and flows.
lab.p1.ip("addr add 10.244.1.130/24 dev eth0")


def hop(number):
    return f"192.168.100.{number}"


def nbma(words="", *routes):
    lab.remake(f"tun0 mode ipip remote any local {LOCAL} {words}", *routes)


def next_hop(packet, timeout=2.0):
    """The outer destination of what the pod sends, or None."""
    got = lab.outer_of(packet, timeout)
    return got and header(got).dst


def by_route():
    nbma("", f"10.244.2.0/24 via {hop(2)} dev tun0 onlink",
         f"10.244.3.0/24 via {hop(3)} dev tun0 onlink")
    sent = udp(POD, FAR, 100)
    got = lab.outer_of(sent)
    tap.equal(got and header(got).dst, hop(2), "outer destination is the gateway of the route")
    tap.equal(got and header(got).src, LOCAL, "outer source is the tunnel's local address")
    tap.ok(got and header(got).payload == forwarded(sent), "the inner packet is as it was",
           lambda: difference(header(got).payload, forwarded(sent)))
    tap.equal(next_hop(udp(POD, "10.244.3.9", 100)), hop(3), "another route, another gateway")
    lab.n1.ip(f"route add 10.244.2.2/32 via {hop(4)} dev tun0 onlink")
    tap.equal((next_hop(udp(POD, FAR, 100)), next_hop(udp(POD, "10.244.2.3", 100))),
              (hop(4), hop(2)), "the most specific route counts")
    lab.n1.ip("route del 10.244.2.2/32")
    tap.equal(next_hop(udp(POD, FAR, 100)), hop(2), "… until it is deleted")
    tap.equal(next_hop(echo(POD, FAR)), hop(2), "ICMP goes the same way")
    tap.equal(next_hop(tcp(POD, FAR, b"data")), hop(2), "TCP goes the same way")
    tap.equal(next_hop(udp(POD, FAR, 100, proto=132)), hop(2), "any protocol goes the same way")


def replaced():
    nbma()
    wrong = []
    for i in range(40):
        gateway = hop(2 + i % 7)
        lab.n1.ip(f"route replace 10.244.2.0/24 via {gateway} dev tun0 onlink")
        got = next_hop(udp(POD, FAR, 100))
        if got != gateway:
            wrong.append((i, gateway, got))
    tap.equal(wrong, [], "40 × ip route replace: the next packet of a flow goes to the new gateway")
    lab.n1.ip(f"nexthop add id 7 via {hop(5)} dev tun0 onlink", "route del 10.244.2.0/24",
              "route add 10.244.2.0/24 nhid 7")
    tap.equal(next_hop(udp(POD, FAR, 100)), hop(5), "a nexthop object's gateway is used")
    lab.n1.ip(f"nexthop replace id 7 via {hop(6)} dev tun0 onlink")
    tap.equal(next_hop(udp(POD, FAR, 100)), hop(6), "… and its replacement by the next packet")
    lab.n1.ip("route del 10.244.2.0/24", "nexthop flush")


def kernel_choice(flows, iif="iif pod0"):
    """What `ip route get` says of each flow (source, destination, protocol, ports)."""
    lines = []
    for source, destination, protocol, sport, dport in flows:
        lines.append(f"route get {destination} from {source} {iif} ipproto {protocol} "
                     f"sport {sport} dport {dport}")
    done = lab.n1.run(["ip", "-j", "-batch", "-"], input="\n".join(lines) + "\n")
    text, choices, decoder = done.stdout.strip(), [], json.JSONDecoder()
    while text:
        value, end = decoder.raw_decode(text)
        choices.append(value[0].get("gateway"))
        text = text[end:].lstrip()
    return choices


def agreement(name, flows, hops):
    """Assert that each flow goes where the kernel says, twice, and that all hops are used."""
    want = kernel_choice(flows)
    got = []
    for source, destination, protocol, sport, dport in flows:
        make = udp if protocol == "udp" else tcp
        packet = make(source, destination, sport=sport, dport=dport)
        got.append((next_hop(packet), next_hop(packet)))
    agreed = sum(g == (w, w) for g, w in zip(got, want))
    tap.equal(agreed, len(flows), f"{name}: {len(flows)} of {len(flows)} flows as the kernel says")
    used = sorted(set(want))
    tap.equal(used, sorted(hops), f"{name}: all next hops are used")


def equal_cost():
    nbma("", f"10.244.2.0/24 nexthop via {hop(2)} dev tun0 onlink "
         f"nexthop via {hop(3)} dev tun0 onlink")
    by_port = [(POD, FAR, ("udp", "tcp")[i % 2], 3000 + i, 80 + i // 7) for i in range(100)]
    by_address = [("10.244.1.130" if i % 2 else POD, f"10.244.2.{1 + i}", "udp", 4000, 5000)
                  for i in range(100)]
    lab.n1.sysctl("net.ipv4.fib_multipath_hash_policy", 0)
    time.sleep(1.1)
    agreement("hash policy 0", by_address, [hop(2), hop(3)])
    tap.equal(len(set(next_hop(udp(*f[:2], sport=f[3], dport=f[4])) for f in by_port[:10])), 1,
              "hash policy 0: ports do not matter")
    lab.n1.sysctl("net.ipv4.fib_multipath_hash_policy", 1)
    time.sleep(1.1)  # nothing tells of a sysctl: answers are remembered for a second
    agreement("hash policy 1", by_port, [hop(2), hop(3)])
    lab.n1.ip(f"route replace 10.244.2.0/24 nexthop via {hop(2)} dev tun0 onlink weight 1 "
              f"nexthop via {hop(3)} dev tun0 onlink weight 3 nexthop via {hop(4)} dev tun0 onlink")
    agreement("hash policy 1, three hops with weights", by_port, [hop(2), hop(3), hop(4)])
    lab.n1.sysctl("net.ipv4.fib_multipath_hash_policy", 0)


def equal_cost_local():
    """The host's own packets: no incoming device."""
    nbma("", f"10.244.2.0/24 nexthop via {hop(2)} dev tun0 onlink "
         f"nexthop via {hop(3)} dev tun0 onlink")
    lab.n1.sysctl("net.ipv4.fib_multipath_hash_policy", 1)
    flows = [(GATEWAY, FAR, "udp", 20000 + i, 53) for i in range(40)]
    want = kernel_choice(flows, "")
    got = []
    for source, destination, _, sport, dport in flows:
        with lab.n1.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
            s.bind((source, sport))
            lab.peer.drain()
            s.sendto(b"local", (destination, dport))
            packet = lab.peer.expect(is_ipip)
            got.append(packet and header(packet).dst)
    tap.equal(got, want, "the host's own flows go where the kernel says")
    tap.equal(len(set(got)), 2, "… over both next hops")
    lab.n1.sysctl("net.ipv4.fib_multipath_hash_policy", 0)


def fragments_of_a_flow():
    """Fragments have no ports: the kernel hashes them by address, and so do we."""
    nbma("", f"10.244.2.0/24 nexthop via {hop(2)} dev tun0 onlink "
         f"nexthop via {hop(3)} dev tun0 onlink")
    hops = set()
    for offset in (185, 370):
        hops.add(next_hop(udp(POD, FAR, 100, frag=offset)))
    tap.ok(len(hops) == 1 and hops <= {hop(2), hop(3)},
           "later fragments of a flow share a next hop",
           hops)


def rules():
    nbma("", f"10.244.2.0/24 via {hop(2)} dev tun0 onlink")
    for table in range(3, 8):
        lab.n1.ip(f"route add 10.244.2.0/24 via {hop(table)} dev tun0 onlink table {table}")
    for table, rule, packet, other in (
        (3, "from 10.244.1.128/25", udp("10.244.1.130", FAR, 100), udp(POD, FAR, 100)),
        (4, "tos 0x10", udp(POD, FAR, 100, tos=0x10), udp(POD, FAR, 100)),
        (6, "to 10.244.2.128/25", udp(POD, "10.244.2.130", 100), udp(POD, FAR, 100)),
        (7, "ipproto udp dport 5353", udp(POD, FAR, 100, dport=5353), udp(POD, FAR, 100)),
        (7, "ipproto tcp sport 179", tcp(POD, FAR, sport=179), tcp(POD, FAR)),
    ):
        lab.n1.ip(f"rule add {rule} lookup {table} pref 100")
        tap.equal((next_hop(packet), next_hop(other)), (hop(table), hop(2)),
                  f"a rule '{rule}' is honoured")
        lab.n1.ip(f"rule del {rule} lookup {table} pref 100")
        tap.equal(next_hop(packet), hop(2), f"… and not after it is gone ('{rule}')")
    lab.n1.ip("rule add iif pod0 lookup 5 pref 100")
    tap.equal(next_hop(udp(POD, FAR, 100)), hop(5), "a rule 'iif pod0' is honoured")
    with lab.n1.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
        s.bind((GATEWAY, 0))
        lab.peer.drain()
        s.sendto(b"local", (FAR, 53))
        got = lab.peer.expect(is_ipip)
        tap.equal(got and header(got).dst, hop(2), "… and does not concern the host's own packets")
    lab.n1.ip("rule del iif pod0 lookup 5 pref 100",
              *(f"route flush table {i}" for i in range(3, 8)))


def no_gateway():
    nbma("", f"10.244.2.0/24 via {hop(2)} dev tun0 onlink")
    lab.n1.ip(f"route add {hop(7)}/32 dev tun0 table 50", "rule add iif pod0 lookup 50 pref 50")
    tap.equal(next_hop(udp(POD, hop(7), 100)), hop(7),
              "a route without a gateway: the inner destination is the outer one")
    lab.n1.ip("rule del iif pod0 lookup 50 pref 50", "route flush table 50")
    lab.n1.ip("route add 10.60.0.0/16 dev tun0")
    watch = Watch(lab.culvertd)
    lab.from_pod(udp(POD, "10.60.0.9", 100))
    tap.equal(watch.wait("underlay-loop"), 1,
              "… which may not be behind the tunnel itself: underlay-loop")
    lab.n1.ip("route add 10.61.0.0/16 via 172.31.9.9 dev tun0 onlink")
    watch = Watch(lab.culvertd)
    lab.from_pod(udp(POD, "10.61.0.9", 100))
    tap.equal(watch.wait("no-outer-route"), 1,
              "a gateway that the host cannot reach: no-outer-route")
    lab.n1.ip(f"route add 172.31.9.9/32 via {hop(9)} dev eth0")
    tap.equal(next_hop(udp(POD, "10.61.0.9", 100)), "172.31.9.9",
              "… and it goes out as soon as there is a route")
    lab.n1.ip("route del 172.31.9.9/32", "route del 10.61.0.0/16", "route del 10.60.0.0/16")
    watch = Watch(lab.culvertd)
    with lab.n1:
        index = socket.if_nametoindex("tun0")
    with lab.n1.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
        device = struct.pack("=4s4si", b"", b"", index)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, device)
        s.sendto(b"to many", ("224.1.2.3", 53))
    tap.equal(watch.wait("no-next-hop"), 1, "a multicast destination has no next hop")
    tap.ok(lab.quiet(lab.peer, lambda p: p[9] == 4 and p[16] >= 224), "… and nothing is sent")


TUNNELS = {
    "tun1": (hop(2), LOCAL),
    "tun2": (hop(2), "any"),
    "tun3": ("any", LOCAL),
    "tun4": ("any", "any"),
}


def who_takes(source, destination):
    """The tunnels that count a packet from source to destination as received."""
    alive = [name for name in TUNNELS if lab.n1.has(name)]
    watches = {name: Watch(lab.culvertd, name) for name in alive}
    engine = Watch(lab.culvertd, None)
    lab.pod.drain()
    lab.from_peer(outer(udp(FAR, POD, 100), source, destination))
    lab.pod.expect(timeout=0.2)
    takers = [name for name in alive if watches[name].rose().get("rx_packets")]
    return takers or list(engine.rose())


def look_up():
    if lab.n1.has("tun0"):
        lab.culvertd.delete("tun0")
    # Made in the wrong order on purpose.
    for name in ("tun4", "tun2", "tun3", "tun1"):
        remote, local = TUNNELS[name]
        lab.culvertd.add(f"{name} mode ipip remote {remote} local {local} nostrict")
    for source, destination, want in (
        (hop(2), LOCAL, "tun1"), (hop(2), LOCAL2, "tun2"), (hop(3), LOCAL, "tun3"),
        (hop(3), LOCAL2, "tun4"), (hop(2), GATEWAY, "tun2"), (hop(3), GATEWAY, "tun4"),
    ):
        tap.equal(who_takes(source, destination), [want],
                  f"look-up: {source} to {destination} is {want}'s {TUNNELS[want]}")
    lab.culvertd.delete("tun1")
    tap.equal(who_takes(hop(2), LOCAL), ["tun2"], "look-up: (remote, any) is second")
    lab.culvertd.delete("tun2")
    tap.equal(who_takes(hop(2), LOCAL), ["tun3"], "look-up: (any, local) is third")
    lab.culvertd.delete("tun3")
    tap.equal(who_takes(hop(2), LOCAL), ["tun4"], "look-up: (any, any) is last")
    lab.culvertd.delete("tun4")
    tap.equal(who_takes(hop(2), LOCAL), ["no-tunnel"], "look-up: none is left: no-tunnel")
    lab.culvertd.add(f"tun1 mode ipip remote {hop(2)} local {LOCAL} dev pod0 nostrict")
    lab.culvertd.add(f"tun3 mode ipip remote any local {LOCAL} nostrict")
    tap.equal(who_takes(hop(2), LOCAL), ["tun3"], "look-up: a tunnel bound to another device is "
              "passed over")
    lab.culvertd.change(f"tun1 remote {hop(2)} local {LOCAL} dev eth0")
    tap.equal(who_takes(hop(2), LOCAL), ["tun1"],
              "look-up: … and taken when it is bound to this one")
    lab.culvertd.delete("tun1")
    lab.culvertd.delete("tun3")


def by_device():
    """`dev`: outer packets leave by that device, whatever the best route says."""
    def plug():
        net.connect(lab.n1, "spare", lab.n2, "spare")
        lab.n1.ip(f"route add {hop(2)}/32 dev spare metric 500",
                  f"neigh add {hop(2)} lladdr {lab.n2.mac('spare').hex(':')} dev spare")
        return lab.n2.wire("spare")

    def leaves_by(spare, name):
        lab.peer.drain()
        lab.from_pod(udp(POD, FAR, 100))
        got = spare.expect(is_ipip)
        tap.equal(got and header(got).dst, hop(2), f"{name}: outer packets leave by it")
        tap.ok(lab.quiet(lab.peer, is_ipip), f"{name}: … and by no other")
        spare.close()

    spare = plug()
    lab.remake(f"tun0 mode ipip remote {hop(2)} local {LOCAL} dev spare", "10.244.2.0/24 dev tun0")
    leaves_by(spare, "dev")
    lab.n1.ip("link del spare")
    watch = Watch(lab.culvertd)
    lab.from_pod(udp(POD, FAR, 100))
    tap.equal(watch.wait("no-outer-route"), 1, "dev: it is deleted: no-outer-route")
    tap.ok(lab.quiet(lab.peer, is_ipip), "dev: … and nothing leaves elsewhere")
    leaves_by(plug(), "dev, made again")
    lab.n1.ip("link del spare")


def local_any():
    """Without a local address the kernel's routing chooses the outer source."""
    lab.remake("tun0 mode ipip remote any local any", f"10.244.2.0/24 via {hop(2)} dev tun0 onlink")
    got = lab.outer_of(udp(POD, FAR, 100))
    tap.equal(got and header(got).src, LOCAL, "local any: the route's source address is taken")
    lab.n1.ip(f"route add {hop(2)}/32 dev eth0 src {LOCAL2}")
    got = lab.outer_of(udp(POD, FAR, 100))
    tap.equal(got and header(got).src, LOCAL2, "local any: … also when the route changes")
    lab.n1.ip(f"route del {hop(2)}/32")
    lab.remake(f"tun0 mode ipip remote any local {LOCAL2}",
               f"10.244.2.0/24 via {hop(2)} dev tun0 onlink")
    got = lab.outer_of(udp(POD, FAR, 100))
    tap.equal(got and header(got).src, LOCAL2, "local given: it is the outer source")


tap.main(
    [
        by_route, replaced, equal_cost, equal_cost_local, fragments_of_a_flow, rules, no_gateway,
        look_up, by_device, local_any, lab.clean_end,
    ],
    lab.before,
    lab.after,
)
