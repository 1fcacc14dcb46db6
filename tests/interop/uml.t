#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel idle
# tests/run: timeout=240
"""
Culvert's engine and the kernel's own ipip carry each other's packets: a1-pod behind Culvert, k1 a
Linux in User-mode Linux (see uml.py for the drawing). What is right comes from RFC 2003 and RFC 6040;
where Linux does something else, the test says so by name.
"""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import packets  # noqa: E402
import tap  # noqa: E402
import uml  # noqa: E402
from uml import A1, A1_POD, K1, K1_INNER  # noqa: E402

# This is about what ICMP tells, and when it is forgotten; what probes show, tests/interop/mtu* have.
os.environ["LAB_PROBING"] = "off"
lab = None
TO_KERNEL, TO_CULVERT = "to kernel", "to Culvert"
DIRECTIONS = (TO_KERNEL, TO_CULVERT)
SIZES = list(range(1400, 1501))
MTU = 1480
DSCP_EF = 0xB8
DF, MF = packets.DF, packets.MF
ECN_NAMES = ("not-ect", "ect1", "ect0", "ce")

# RFC 6040, figure 4: what arrives, by the inner (row) and the outer (column) field; None: dropped.
NOT_ECT, ECT1, ECT0, CE = range(4)
RFC6040 = {
    NOT_ECT: {NOT_ECT: NOT_ECT, ECT0: NOT_ECT, ECT1: NOT_ECT, CE: None},
    ECT0: {NOT_ECT: ECT0, ECT0: ECT0, ECT1: ECT1, CE: CE},
    ECT1: {NOT_ECT: ECT1, ECT0: ECT1, ECT1: ECT1, CE: CE},
    CE: {NOT_ECT: CE, ECT0: CE, ECT1: CE, CE: CE},
}


def odd_ones(answers, wanted):
    """The answers to pings that are not the wanted ones, for a diagnostic."""
    return {size: a for size, a in answers.items() if a != wanted(int(size))}


def check_pings(sender, to, df, wanted, name):
    """Pings of all sizes have the answer that wanted(size) says; the outer packets fit."""
    lab.listen()
    answers = sender.ping(source=sender.address, to=to, sizes=SIZES, df=df)["answers"]
    odd = odd_ones(answers, wanted)
    tap.ok(len(answers) == len(SIZES) and not odd, name, lambda: f"not as wanted: {odd}")
    outers = [uml.head(p) for port in ("a1", "k1") for p in lab.outers(port)]
    too_big = [(h.src, h.length) for h in outers if h.length > 1500]
    tap.ok(outers and not too_big, f"{name}: no outer packet exceeds 1500 bytes", lambda: too_big)
    cut = [(h.src, h.length) for h in outers if h.flags & MF or h.offset]
    tap.ok(not cut, f"{name}: the inner packets are fragmented, never the outer ones", lambda: cut)


def test_ping_every_size_around_the_mtu():
    check_pings(lab.pod, K1_INNER, "dont", lambda size: "reply", "pod to k1 without DF: replies")
    check_pings(lab.pod, K1_INNER, "probe", lambda size: "reply" if size <= MTU else f"mtu {MTU}",
                "pod to k1 with DF: replies up to 1480, ICMP 3/4 with MTU 1480 above")
    check_pings(lab.kernel, A1_POD, "dont", lambda size: "reply", "k1 to pod without DF: replies")
    check_pings(lab.kernel, A1_POD, "probe", lambda size: "reply" if size <= MTU else "EMSGSIZE",
                "k1 to pod with DF: replies up to 1480, k1's own kernel refuses above")


def test_ping_every_size_when_the_engine_must_fragment():
    """A device MTU of 1500, set by hand, leaves it to the engine to find out what fits."""
    lab.forget_paths()
    lab.ip("a1", "link set tunk mtu 1500")
    before = lab.counters()
    check_pings(lab.pod, K1_INNER, "dont", lambda size: "reply",
                "engine, without DF: replies")
    check_pings(lab.pod, K1_INNER, "probe", lambda size: "reply" if size <= MTU else f"mtu {MTU}",
                "engine, with DF: replies up to 1480, ICMP 3/4 with MTU 1480 above")
    after = lab.counters()
    above = len([size for size in SIZES if size > MTU])
    for name in ("fragmented", "icmp-too-big-sent", "too-big"):
        tap.equal(after[name] - before[name], above, f"engine: counts {name} once for each")
    lab.ip("a1", f"link set tunk mtu {MTU}")


def test_outer_fragments_of_the_kernel():
    """nopmtudisc and a device MTU of 1500 in k1: what is too big it sends as outer fragments."""
    lab.kernel_change("nopmtudisc")
    lab.ip("k1", "link set ipip0 mtu 1500")
    lab.listen()
    answers = lab.kernel.ping(source=K1_INNER, to=A1_POD, sizes=SIZES, df="dont")["answers"]
    odd = odd_ones(answers, lambda size: "reply")
    tap.ok(len(answers) == len(SIZES) and not odd, "outer fragments: pings of all sizes are answered",
           lambda: odd)
    cut = [h for h in map(uml.head, lab.outers("k1")) if h.src == K1 and h.flags & MF]
    tap.equal(len(cut), len([s for s in SIZES if s > MTU]), "outer fragments: k1 did send them")
    lab.ip("k1", f"link set ipip0 mtu {MTU}")
    lab.kernel_change("pmtudisc")


def test_tcp():
    for direction in DIRECTIONS:
        for df in ("do", "dont"):
            same, sent = lab.transfer(direction, length=8 << 20, df=df)
            tap.ok(same, f"TCP {direction}, {'with' if df == 'do' else 'without'} DF: 8 MiB arrive"
                         " with the same sha256", lambda: sent)


def test_tcp_without_offloads():
    interfaces = (("a1-pod", "eth0"), ("a1", "pod0"), ("a1", "eth0"), ("router", "a1"))
    for word in ("off", "on"):
        for node, interface in interfaces:
            lab.run(node, f"ethtool -K {interface} tx {word} rx {word} tso {word} gso {word}")
        if word == "off":
            for direction in DIRECTIONS:
                same, sent = lab.transfer(direction)
                tap.ok(same, f"TCP {direction}, offloads off: 4 MiB arrive with the same sha256",
                       lambda: sent)


def check_outer_ecn(direction, wanted, name):
    """The outer ECN field beside the sender, for every inner one."""
    seen = {}
    for inner in range(4):
        outer, got, _ = lab.datagram(direction, tos=DSCP_EF | inner)
        seen[inner] = outer and outer.tos & 3
        tap.ok(got and got["intact"] and got["tos"] == DSCP_EF | inner,
               f"{name}: inner TOS {DSCP_EF | inner:#x} arrives unchanged", lambda: got)
    tap.equal(seen, wanted, f"{name}: outer field by inner field")


def test_rfc6040_4_1_outer_field():
    check_outer_ecn(TO_KERNEL, {i: i for i in range(4)}, "RFC 6040 4.1, Culvert, normal mode")
    lab.culvert_change("ecn compat")
    check_outer_ecn(TO_KERNEL, {i: NOT_ECT for i in range(4)},
                    "RFC 6040 4.1, Culvert, compatibility mode")
    lab.culvert_change("")
    check_outer_ecn(TO_CULVERT, {**{i: i for i in range(4)}, CE: ECT0},
                    "Linux's ipip: copies all but CE, which becomes ECT(0)")


def test_rfc6040_4_2_arriving_field():
    """All sixteen combinations, set by the router on the way, at both ends."""
    before = lab.counters()
    for outer in range(4):
        lab.mark(ECN_NAMES[outer])
        for direction in DIRECTIONS:
            for inner in range(4):
                wanted = RFC6040[inner][outer]
                _, got, told = lab.datagram(direction, tos=DSCP_EF | inner,
                                            timeout=0.3 if wanted is None else 2.0)
                tap.ok(told["sent"] and (got and got["tos"]) == (
                           None if wanted is None else DSCP_EF | wanted),
                       f"RFC 6040 4.2, {direction}: inner {ECN_NAMES[inner]} in outer"
                       f" {ECN_NAMES[outer]}: "
                       + ("dropped" if wanted is None else f"arrives as {ECN_NAMES[wanted]}"),
                       lambda: got)
    lab.mark(None)
    after = lab.counters()
    # ECT(0), ECT(1) and CE over Not-ECT, ECT(1) over CE are "(!!!)"; ECT(0) over ECT(1) is "(!)".
    for name, count in (("ecn-ce-on-not-ect", 1), ("ecn-dangerous", 4), ("ecn-unused", 1)):
        tap.equal(after[name] - before[name], count, f"RFC 6040 4.2: Culvert counts {name}")


def check_ttl(direction, inner, wanted_outer, wanted_inner, name):
    """Send with an inner TTL; the outer TTL beside the sender, the inner one at the receiver."""
    outer, got, _ = lab.datagram(direction, ttl=inner)
    tap.ok(outer and got and (outer.ttl, got["ttl"]) == (wanted_outer, wanted_inner),
           f"{name}, inner TTL {inner}: outer {wanted_outer}, arrives with {wanted_inner}",
           lambda: f"outer {outer}, got {got}")


def test_ttl():
    # a1 forwards for its pod: one hop less, before encapsulation and after decapsulation.
    for ttl in (3, 64, 255):
        check_ttl(TO_KERNEL, ttl, ttl - 1 if ttl - 1 < 255 else 255, ttl - 1, "Culvert, ttl inherit")
        check_ttl(TO_CULVERT, ttl, ttl, ttl - 1, "Linux, ttl inherit")
    lab.culvert_change("ttl 77")
    lab.kernel_change("ttl 99")
    for ttl in (2, 64, 255):
        check_ttl(TO_KERNEL, ttl, 77, ttl - 1, "Culvert, ttl 77")
        check_ttl(TO_CULVERT, ttl, 99, ttl - 1, "Linux, ttl 99")
    lab.culvert_change("")
    lab.kernel_change("")


def test_rfc2003_4_4_time_exceeded_on_the_way():
    """ttl inherit and an inner TTL that ends at the router: host unreachable for the inner sender."""
    tap.equal(lab.refused(ttl=2), (3, 1, 0),
              "RFC 2003 4.4: an outer TTL that ends on the way is told as host unreachable")
    tap.equal(lab.refused(ttl=2, df="probe"), (3, 1, 0), "RFC 2003 4.4: each time")
    _, got, _ = lab.datagram(TO_KERNEL, ttl=64)
    tap.ok(got, "RFC 2003 4.4: others are still carried")


def test_tos():
    for words, wanted in (("tos 0", 0), ("tos 0x28", 0x28), ("tos inherit", DSCP_EF)):
        lab.culvert_change(words)
        lab.kernel_change(words)
        for direction in DIRECTIONS:
            outer, got, _ = lab.datagram(direction, tos=DSCP_EF | ECT0)
            tap.ok(outer and got and outer.tos == wanted | ECT0 and got["tos"] == DSCP_EF | ECT0,
                   f"{words}, {direction}: outer TOS {wanted | ECT0:#x}, inner TOS unchanged",
                   lambda: f"outer {outer}, got {got}")
    lab.culvert_change("")
    lab.kernel_change("")


def test_df():
    for direction in DIRECTIONS:
        for df, mode in (("dont", "without"), ("probe", "with")):
            outer, got, _ = lab.datagram(direction, df=df)
            tap.ok(got and outer and outer.flags == DF,
                   f"pmtudisc, {direction}: outer DF for an inner packet {mode} DF", lambda: outer)
    lab.culvert_change("nopmtudisc")
    lab.kernel_change("nopmtudisc")
    for direction in DIRECTIONS:
        for df, wanted in (("dont", 0), ("probe", DF)):
            outer, got, _ = lab.datagram(direction, df=df)
            tap.ok(got and outer and outer.flags == wanted,
                   f"nopmtudisc, {direction}: outer DF {'set' if wanted else 'clear'} as inside",
                   lambda: outer)
    lab.culvert_change("")
    lab.kernel_change("pmtudisc")


def narrow(bridge, mtu):
    """The router's side of a zone takes mtu bytes at most."""
    lab.ip("router", f"link set {bridge} mtu {mtu}")


def test_rfc2003_5_1_frag_needed_from_the_router_to_culvert():
    lab.run("a1", "sysctl -qw net.ipv4.route.mtu_expires=3")
    narrow("br-b", 1400)
    same, sent = lab.transfer(TO_KERNEL)
    tap.ok(same and sent["mtu"] == 1380, "narrow path: TCP arrives, its sender has learnt MTU 1380",
           lambda: sent)
    # A restarted Culvert takes up what its fast path knows, so that nothing is told a second time.
    told = lab.counters()
    lab.forget_paths()
    tap.equal(lab.refused(size=1480, df="probe"), (3, 4, 1380),
              "narrow path: the first packet with DF is answered by ICMP 3/4 with MTU 1380")
    tap.equal(lab.refused(size=1480, df="probe"), (3, 4, 1380), "narrow path: so is the next")
    tap.ok(not lab.outers("a1"), "narrow path: that one was not even sent")
    tap.equal(lab.refused(size=1381, df="probe"), (3, 4, 1380), "narrow path: 1381 bytes are too many")
    # The pod forgets; Culvert does not.
    lab.ip("a1-pod", "route flush cache")
    _, got, _ = lab.datagram(TO_KERNEL, size=1380, df="probe")
    tap.ok(got and got["intact"], "narrow path: 1380 bytes with DF arrive")
    lab.listen()
    outer, got, _ = lab.datagram(TO_KERNEL, size=1480)
    tap.ok(got and got["intact"], "narrow path: 1480 bytes without DF arrive")
    tap.ok(outer and outer.length <= 1400 and outer.flags == DF,
           "narrow path: as inner fragments, in outer packets of 1400 bytes at most", lambda: outer)
    counted = lab.counters()
    tap.ok(told["pmtu-lowered"] >= 1 and told["icmp-relayed"] >= 1
           and counted["icmp-too-big-sent"] >= 2 and counted["fragmented"] >= 1,
           "narrow path: counted", lambda: {k: v for k, v in counted.items() if v})
    narrow("br-b", 1500)
    arrived = False
    for _ in range(12):
        _, got, _ = lab.datagram(TO_KERNEL, size=1480, df="probe", timeout=0.5)
        arrived = arrived or bool(got and got["intact"])
        if arrived:
            break
    tap.ok(arrived, "narrow path: when it is wide again, 1480 bytes with DF arrive after a while")
    lab.run("a1", "sysctl -qw net.ipv4.route.mtu_expires=600")


def test_nopmtudisc_over_the_narrow_path():
    """Outer packets without DF are fragmented by the router, and k1 puts them together."""
    lab.forget_paths()
    lab.culvert_change("nopmtudisc")
    narrow("br-b", 1400)
    _, got, _ = lab.datagram(TO_KERNEL, size=1480)
    tap.ok(got and got["intact"], "nopmtudisc: 1480 bytes without DF pass a link of 1400 bytes")
    narrow("br-b", 1500)
    lab.culvert_change("")


def test_frag_needed_from_the_router_to_the_kernel():
    narrow("br-a", 1400)
    same, sent = lab.transfer(TO_CULVERT)
    tap.ok(same and sent["mtu"] == 1380, "narrow path to Culvert: TCP arrives, k1 has learnt MTU 1380",
           lambda: sent)
    # Linux loses the first large packet without DF: it sends it with an outer DF.
    for _ in range(3):
        outer, got, _ = lab.datagram(TO_CULVERT, size=1480, timeout=0.5)
        if got:
            break
    tap.ok(got and got["intact"] and outer.length <= 1400,
           "narrow path to Culvert: 1480 bytes without DF arrive as inner fragments",
           lambda: f"{outer} {got}")
    narrow("br-a", 1500)
    lab.forget_paths()


def check_both_ways(name):
    """Datagrams and TCP in both directions."""
    for direction in DIRECTIONS:
        outer, got, told = lab.datagram(direction, size=1200)
        tap.ok(got and got["intact"] and outer
               and {outer.src, outer.dst} == {A1, K1}, f"{name}, {direction}: a datagram arrives",
               lambda: f"{outer} {got} {told}")
        same, sent = lab.transfer(direction, length=1 << 20)
        tap.ok(same, f"{name}, {direction}: 1 MiB by TCP arrives with the same sha256", lambda: sent)


def test_nbma():
    lab.culvert_delete()
    lab.culvert_add(f"remote any local {A1}", "tunn", f"via {K1}")
    check_both_ways("Culvert remote any")
    lab.kernel_delete()
    lab.kernel_add(f"remote any local {K1}", "ipipn", f"via {A1}")
    check_both_ways("both ends remote any")
    lab.culvert_delete("tunn")
    lab.culvert_add(lab.CULVERT)
    check_both_ways("Linux remote any")
    lab.kernel_delete("ipipn")
    lab.kernel_add(lab.KERNEL)
    check_both_ways("both ends fixed again")


def test_nothing_went_wrong():
    """What Culvert dropped in this whole test is what the tests above wanted dropped."""
    lab.forget_paths()
    check_both_ways("after a restart")
    # mss-clamped: the pods' links take 1500 bytes, the tunnel 1480, and each SYN is told so.
    dropped = {k: v for k, v in lab.counters().items()
               if v and k not in ("segmented", "coalesced", "mss-clamped")}
    tap.equal(dropped, {}, "nothing is dropped and nothing special happens in plain traffic")


TESTS = [value for key, value in list(globals().items()) if key.startswith("test_")]

if __name__ == "__main__":
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: it makes network namespaces")
        sys.exit(0)
    with uml.Interop("uml") as lab:
        tap.main(TESTS)
