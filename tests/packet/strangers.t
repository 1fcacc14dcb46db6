#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=engine,fastpath,endpoints parallel idle
"""
Nothing from strangers: which packets are decapsulated, by the routes of the host.

    p1 10.244.1.2 ── pod0 n1 (culvertd) eth0 192.168.100.1 ── n2: peers and strangers
                                                              192.168.100.2 to .9 (the test)
"""

import socket

import culvert
import tap
from culvert import Watch
from packets import NOT_ECT, CE, difference, forwarded, header, is_icmp_error, outer, udp
from shapes import Pair

culvert.need_programs()
lab = Pair()
POD, GATEWAY, FAR, LOCAL, REMOTE = lab.POD, lab.GATEWAY, lab.FAR, lab.LOCAL, lab.REMOTE
SECOND, THIRD = "192.168.100.3", "192.168.100.4"
NOT_BACK, REFUSES, NOT_A_PEER = "source-not-routed-back", "source-route-refuses", "not-a-peer"


def peer(number):
    return f"192.168.100.{number}"


def nbma(words="", *routes):
    lab.remake(f"tun0 mode ipip remote any local {LOCAL} {words}", *routes)


def admitted(name, source, outer_source=REMOTE, destination=POD):
    """Assert that a packet from source to the pod, sent by outer_source, gets through."""
    watch = Watch(lab.culvertd)
    sent = udp(source, destination, 100)
    if destination == POD:
        got, want = lab.inner_of(outer(sent, outer_source, LOCAL)), forwarded(sent)
    else:
        inside = lab.n1.wire("tun0", link_header=0)
        lab.from_peer(outer(sent, outer_source, LOCAL))
        got, want = inside.expect(), sent
        inside.close()
    tap.ok(got == want, name, lambda: f"{difference(got, want)}\n{watch.rose()}")


def refused(name, reason, source, outer_source=REMOTE, destination=POD):
    """Assert that it is dropped for reason and nothing comes of it."""
    watch = Watch(lab.culvertd)
    inside = lab.n1.wire("tun0", link_header=0)
    lab.from_peer(outer(udp(source, destination, 100), outer_source, LOCAL))
    tap.equal(watch.wait(reason, timeout=0.5), 1, f"{name}: {reason}")
    tap.equal(inside.expect(timeout=0.03), None, f"{name}: not delivered")
    rose = watch.rose()
    tap.ok(set(rose) <= {reason}, f"{name}: counted once", rose)
    inside.close()


def routes_of(prefix, *lines):
    """Install the lines as routes to prefix; returns a function that removes them."""
    lab.n1.ip(*(f"route replace {line}" for line in lines))
    kinds = {line.split()[0] for line in lines} & {"blackhole", "unreachable", "prohibit", "local"}
    kind = kinds.pop() if kinds else ""
    return lambda: lab.n1.ip(f"route del {kind} {prefix} table main")


def fixed_remote():
    lab.tunnel()
    admitted("fixed remote, route by device: admitted", FAR)
    lab.n1.ip(f"route replace 10.244.2.0/24 via {THIRD} dev tun0 onlink")
    admitted("fixed remote, any gateway through the device: admitted", FAR)
    lab.n1.ip("route replace 10.244.2.0/24 dev tun0")

    specific = "10.244.2.0/28"
    for line, what, reason in (
        (f"{specific} dev pod0", "to another device", NOT_BACK),
        (f"{specific} via {THIRD} dev eth0", "to the underlay", NOT_BACK),
        (f"{specific} via {REMOTE} dev eth0", "to the peer but outside the tunnel", NOT_BACK),
        (f"blackhole {specific}", "blackhole", REFUSES),
        (f"unreachable {specific}", "unreachable", REFUSES),
        (f"prohibit {specific}", "prohibit", REFUSES),
        (f"local {specific} dev lo table main", "local", REFUSES),
    ):
        remove = routes_of(specific, line)
        reasons = {reason}
        if what == "local":
            reasons.add("inner-source-own")
        watch = Watch(lab.culvertd)
        lab.from_peer(outer(udp(FAR, POD, 100), REMOTE, LOCAL))
        counted = sum(watch.wait(r, timeout=0.3) for r in reasons)
        tap.ok(counted == 1 and lab.quiet(lab.pod, seconds=0.03),
               f"a more specific route {what}: refused", watch.rose)
        admitted(f"a more specific route {what}: others of the prefix pass", "10.244.2.200")
        remove()
        admitted(f"a more specific route {what} is gone: admitted at once", FAR)
    refused("no route at all", REFUSES, "9.9.9.9")


def default_routes():
    lab.tunnel()
    lab.n1.ip("route add default dev tun0")
    admitted("a default route through the device: any source is admitted", "9.9.9.9")
    refused("a default route through the device, a source of the underlay", NOT_BACK, THIRD)
    refused("a default route through the device, a source of the pods", NOT_BACK, "10.244.1.77")
    lab.n1.ip(f"route replace default via {peer(254)} dev eth0")
    refused("a default route elsewhere", NOT_BACK, "9.9.9.9")
    lab.n1.ip("route del default")


def peers_themselves():
    """Hosts talk to each other through the tunnel too."""
    lab.tunnel()
    admitted("the remote's own outer address to our gateway", REMOTE, destination=GATEWAY)
    admitted("the remote's own outer address to our outer address", REMOTE, destination=LOCAL)
    admitted("the remote's own outer address to a pod", REMOTE)
    admitted("a pod of the peer to our outer address", FAR, destination=LOCAL)
    refused("another host's outer address as inner source", NOT_BACK, SECOND)


def equal_cost():
    lab.tunnel()
    lab.n1.ip(f"route replace 10.244.2.0/24 nexthop via {THIRD} dev eth0 nexthop dev tun0")
    for i in range(4):
        admitted(f"one of two next hops leaves through the device: admitted ({i})",
                 f"10.244.2.{i + 2}")
    lab.n1.ip(f"route replace 10.244.2.0/24 nexthop via {THIRD} dev eth0 "
              f"nexthop via {SECOND} dev eth0")
    refused("none of two next hops leaves through the device", NOT_BACK, FAR)


def policy_rules():
    lab.tunnel()
    lab.n1.ip(
        f"route add 10.244.2.0/24 via {THIRD} dev eth0 table 100",
        f"rule add from {POD} lookup 100 pref 100",
    )
    refused("a rule sends the reverse packet elsewhere", NOT_BACK, FAR)
    admitted("… but not that from another source", FAR, destination=GATEWAY)
    lab.n1.ip(f"rule del from {POD} lookup 100 pref 100")
    admitted("the rule is gone: admitted at once", FAR)
    lab.n1.ip("rule add iif pod0 lookup 100 pref 100")
    refused("a rule on the pod's device sends the reverse packet elsewhere", NOT_BACK, FAR)
    lab.n1.ip("rule del iif pod0 lookup 100 pref 100", "route flush table 100")
    lab.n1.ip("route add 10.99.0.0/16 dev tun0 table 101",
              "rule add to 10.99.0.0/16 lookup 101 pref 99")
    admitted("a route in another table, found by a rule, admits", "10.99.1.1")
    lab.n1.ip("rule del to 10.99.0.0/16 lookup 101 pref 99")
    refused("… and refuses without the rule", REFUSES, "10.99.1.1")
    lab.n1.ip("route flush table 101")


def nostrict():
    lab.tunnel("nostrict")
    admitted("nostrict: a source without a route is admitted", "9.9.9.9")
    admitted("nostrict: another host's address is admitted", SECOND)
    lab.n1.ip("route add blackhole 10.244.2.0/28")
    admitted("nostrict: a blackholed source is admitted", FAR)
    lab.n1.ip("route del blackhole 10.244.2.0/28")
    engine = Watch(lab.culvertd, None)
    got = lab.inner_of(outer(udp(FAR, POD, 100), SECOND, LOCAL), 0.1)
    tap.equal((got, engine.wait("no-tunnel")), (None, 1), "nostrict: the outer source still counts")
    lab.culvertd.change("tun0 strict")
    refused("change … strict takes effect", REFUSES, "9.9.9.9")
    lab.culvertd.change("tun0 nostrict")
    admitted("change … nostrict takes effect", "9.9.9.9")
    nbma("nostrict", f"10.244.2.0/24 via {REMOTE} dev tun0 onlink")
    admitted("nostrict, remote any: everybody is admitted", "9.9.9.9", SECOND)


def nbma_peers():
    nbma(
        "",
        f"10.244.2.0/24 via {REMOTE} dev tun0 onlink",
        f"10.244.3.0/24 via {SECOND} dev tun0 onlink",
        "10.60.0.0/16 dev tun0",
    )
    admitted("remote any: from the gateway of the route back", FAR)
    admitted("remote any: from another gateway, its own prefix", "10.244.3.7", SECOND)
    refused("remote any: from another gateway, not its prefix", NOT_BACK, FAR, SECOND)
    refused("remote any: from no gateway at all", NOT_A_PEER, FAR, THIRD)
    refused("remote any: no route back", REFUSES, "9.9.9.9")
    refused("remote any: a route back without a gateway, by another host", NOT_BACK, "10.60.0.9")
    admitted("remote any: a gateway's own outer address", SECOND, SECOND, GATEWAY)
    admitted("remote any: a gateway's own outer address, to our outer address", REMOTE, REMOTE,
             LOCAL)
    refused("remote any: a stranger's own outer address", NOT_A_PEER, THIRD, THIRD, GATEWAY)
    lab.n1.ip(f"route add 10.244.4.0/24 via {THIRD} dev tun0 onlink table 77")
    admitted("remote any: a gateway of another table's route is a peer", THIRD, THIRD, GATEWAY)
    lab.n1.ip("route flush table 77")
    refused("remote any: … and no longer when it is gone", NOT_A_PEER, THIRD, THIRD, GATEWAY)
    lab.n1.ip("route add 10.244.2.64/26 dev pod0")
    refused("remote any: a more specific route elsewhere", NOT_BACK, "10.244.2.70")
    lab.n1.ip("route del 10.244.2.64/26")


def nbma_equal_cost():
    hops = f"nexthop via {REMOTE} dev tun0 onlink nexthop via {SECOND} dev tun0 onlink"
    nbma("", f"10.244.2.0/24 {hops}")
    for i in range(2, 8):
        for who in REMOTE, SECOND:
            admitted(f"remote any, two next hops: 10.244.2.{i} from {who}", f"10.244.2.{i}", who)
    refused("remote any, two next hops: from a third", NOT_A_PEER, FAR, THIRD)
    lab.n1.ip(
        "route del 10.244.2.0/24",
        f"nexthop add id 1 via {REMOTE} dev tun0 onlink",
        f"nexthop add id 2 via {SECOND} dev tun0 onlink",
        "nexthop add id 3 group 1/2",
        "route add 10.244.2.0/24 nhid 3",
    )
    for compat in 1, 0:
        lab.n1.sysctl("net.ipv4.nexthop_compat_mode", compat)
        lab.n1.ip("route replace 10.244.2.0/24 nhid 3")
        for who in REMOTE, SECOND:
            admitted(f"nexthop group (compat mode {compat}): from {who}", FAR, who)
        refused(f"nexthop group (compat mode {compat}): from a third", NOT_A_PEER, FAR, THIRD)
    lab.n1.ip("nexthop replace id 3 group 1")
    refused("nexthop group: a member that left", NOT_A_PEER, FAR, SECOND)
    lab.n1.ip("nexthop replace id 3 group 1/2")
    admitted("nexthop group: a member that came back", FAR, SECOND)
    lab.n1.ip("nexthop del id 2")
    refused("nexthop group: a member that was deleted", NOT_A_PEER, FAR, SECOND)
    admitted("nexthop group: the member that is left", FAR, REMOTE)
    lab.n1.sysctl("net.ipv4.nexthop_compat_mode", 1)
    lab.n1.ip("route del 10.244.2.0/24", "nexthop flush")


def at_once():
    """Every change of a route is obeyed by the next packet."""
    nbma("", f"10.244.2.0/24 via {REMOTE} dev tun0 onlink")
    wrong = []
    for i in range(40):
        who = (REMOTE, SECOND)[i % 2]
        lab.n1.ip(f"route replace 10.244.2.0/24 via {who} dev tun0 onlink")
        for source in REMOTE, SECOND:
            packet = outer(udp(FAR, POD, 100, sport=2000 + i), source, LOCAL)
            got = lab.inner_of(packet, 2 if source == who else 0.01,
                               lambda p, port=2000 + i: header(p).payload[:2]
                               == port.to_bytes(2, "big"))
            if bool(got) != (source == who):
                wrong.append((i, who, source))
    tap.equal(wrong, [], "40 × ip route replace: the next packet is judged by the new route")


def forged_by_a_pod():
    """A pod that speaks for the remote: refused where the host's own input would refuse it."""
    packet = outer(udp(FAR, GATEWAY, 100), REMOTE, LOCAL)
    for words, loose, reason in (("", 1, "outer-source-refused"), ("dev eth0", 0, "no-tunnel")):
        lab.tunnel(words)
        for device in "all", "pod0":
            lab.n1.sysctl(f"net.ipv4.conf.{device}.rp_filter", loose)
        how = words or "rp_filter=1"
        inside = lab.n1.wire("tun0", link_header=0)
        watches = Watch(lab.culvertd), Watch(lab.culvertd, None)
        lab.from_pod(packet)
        got = inside.expect(timeout=0.1)
        tap.equal((got, sum(w.rose().get(reason, 0) for w in watches)), (None, 1),
                  f"{how}: an outer packet that a pod has forged: {reason}")
        lab.from_peer(packet)
        tap.ok(inside.expect(), f"{how}: the same packet from the underlay is admitted")
        inside.close()
    for device in "all", "pod0":
        lab.n1.sysctl(f"net.ipv4.conf.{device}.rp_filter", 0)


def impossible_outer_sources():
    """nostrict lets in everybody, but not who cannot be."""
    nbma("nostrict", f"10.244.2.0/24 via {REMOTE} dev tun0 onlink")
    watch = Watch(lab.culvertd)
    sources = [LOCAL, GATEWAY, "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"]
    lab.pod.drain()
    for source in sources:
        lab.from_peer(outer(udp(FAR, POD, 100), source, LOCAL))
    tap.equal(watch.wait("outer-source-refused", len(sources)), len(sources),
              "nostrict: our own, loopback, multicast, broadcast, no outer source: refused")
    tap.ok(lab.quiet(lab.pod), "… and not delivered")
    lab.from_peer(outer(udp(FAR, POD, 100), REMOTE, "127.0.0.1"))
    tap.ok(lab.quiet(lab.pod), "an outer packet to 127.0.0.1 from a wire is not taken")


def before_anything():
    """The check comes before anything is answered or counted otherwise."""
    lab.tunnel()
    watch = Watch(lab.culvertd)
    lab.drain()
    lab.from_peer(outer(udp("9.9.9.9", POD, 100, ttl=1), REMOTE, LOCAL))
    lab.from_peer(outer(udp("9.9.9.9", "10.255.0.1", 100), REMOTE, LOCAL))
    lab.from_peer(outer(udp("9.9.9.9", POD, 100, tos=NOT_ECT), REMOTE, LOCAL, tos=CE))
    tap.equal(watch.wait(REFUSES, 3), 3, "strangers' packets that would be answered: refused")
    tap.equal(watch.rose(), {REFUSES: 3}, "… and counted as nothing else")
    tap.ok(lab.quiet(lab.peer, is_icmp_error(), 0.1) and lab.quiet(lab.pod, seconds=0.01),
           "… and nothing is answered")
    with lab.n1.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as listener:
        listener.bind((GATEWAY, 5000))
        listener.settimeout(0.05)
        lab.from_peer(outer(udp("9.9.9.9", GATEWAY, 100), REMOTE, LOCAL))
        try:
            got = listener.recv(2000)
        except TimeoutError:
            got = None
        tap.equal(got, None, "a stranger's datagram does not reach a socket of this host")
        lab.from_peer(outer(udp(FAR, GATEWAY, 100), REMOTE, LOCAL))
        try:
            got = listener.recv(2000)
        except TimeoutError:
            got = None
        tap.ok(got, "… a peer's does")


tap.main(
    [
        fixed_remote, default_routes, peers_themselves, equal_cost, policy_rules, nostrict,
        nbma_peers, nbma_equal_cost, at_once, forged_by_a_pod,
        impossible_outer_sources, before_anything, lab.clean_end,
    ],
    lab.before,
    lab.after,
)
