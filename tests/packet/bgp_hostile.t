#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath
"""
BGP peers that announce what is not theirs, say what is no BGP, or flap: each is refused by name and
bounded, and the good nodes lose neither a packet nor a session. The network is that of hostile_peers.py.
"""

import json
import struct
import time

import culvert
import net
import tap
from hostile_peers import H, H_BLOCK, LOCKED_AS, PASSWORD, HostilePeers
from speaker import (
    AS_PATH, KEEPALIVE, LOCAL_PREF, NEXT_HOP, OPTIONAL, ORIGIN, ORIGINATOR_ID, TRANSITIVE, UPDATE, WELL_KNOWN, Speaker,
    attribute, attributes, message, open_message, prefix_bytes, update,
)
from zones import ADDRESSES, DEVICE, OFFICE, OUTSIDE

culvert.need_programs()
lab = HostilePeers()
baseline = []

# What h says, with itself as the next hop, and what a1 has against it.
LIES = {
    "0.0.0.0/0": "default",
    "128.0.0.0/1": "host",
    "192.168.0.0/16": "host",  # covers all nodes
    "192.168.200.2/32": "host",
    "192.168.100.1/32": "host",  # a1 itself
    "192.168.200.0/24": "host",
    "192.168.100.128/26": "underlay",
    "192.168.100.128/25": "host",  # the gateway
    "192.168.200.254/32": "underlay",
    "169.254.1.0/24": "martian",
    "0.0.0.0/8": "martian",
    "240.0.0.0/4": "martian",
    "10.244.1.0/24": "our_block",
    "10.244.1.64/26": "our_block",
    "10.244.0.0/16": "our_block",  # the pool
    "10.0.0.0/8": "our_block",  # covers it
    "10.244.3.0/24": "others_block",
    "10.244.2.128/25": "others_block",
    "10.244.80.0/26": "part_of_block",
    "10.244.80.8/31": "part_of_block",
    "8.8.8.0/24": "no_pool",
    "192.168.7.7/32": "no_pool",  # the other peer's address
}
# BIRD itself takes these for none: they reach no filter.
BOGUS = ("127.0.0.0/8", "127.1.2.3/32", "224.0.0.0/4", "239.1.2.0/24")
UNCLAIMED = "10.244.81.0/24"


def known(prefix, node="a1"):
    """The kernel's route of BIRD's to a prefix, or ""."""
    shown = lab.nodes[node].run(f"ip route show {prefix} proto bird").stdout
    return " ".join(shown.split())


def counted():
    """How many status says are refused, by reason."""
    return {k: v for k, v in (lab.bgp("a1", "status")["refused"] or {}).items() if v}


def sessions_come_up():
    for honest in lab.honest:
        tap.ok(honest.up(), f"h has a session with {honest.remote}")
        honest.announce(H_BLOCK)
    tap.ok(lab.up(lab.from_h), "h has its session")
    tap.ok(lab.up(lab.from_tor), "the router has its session")
    lab.from_h.announce(H_BLOCK)
    tap.ok(net.wait_for(lambda: known(H_BLOCK), 5), "h's own block is taken")
    tap.ok(f"via {H} dev eth0" in known(H_BLOCK), "… and goes directly", known(H_BLOCK))
    tap.ok(net.wait_for(lambda: lab.good_are_up() and lab.handed_over(), 20), "the good nodes' mesh is up",
           lambda: lab.bird("a1", "show", "protocols"))
    baseline[:] = lab.routes()
    lab.watch()


def lies():
    """Each is refused, named by its reason, and in no kernel."""
    lab.from_h.announce(list(LIES))
    lab.from_h.announce(list(BOGUS))
    net.wait_for(lambda: set(LIES) <= set(lab.refused()), 5)
    refused = lab.refused()
    for prefix, verdict in LIES.items():
        tap.equal(refused.get(prefix), verdict, f"{prefix} is refused")
    tap.equal(lab.routes(), baseline, "the kernel's routes are as before")
    shown = lab.cli("a1", "bgp", "routes", "--refused").stdout
    tap.ok("10.244.3.0/24" in shown and "node b1" in shown, "whose block it is, is said", shown)
    want = {}
    for verdict in LIES.values():
        want[verdict] = want.get(verdict, 0) + 1
    tap.ok(net.wait_for(lambda: counted() == want, 10), "status counts them", counted)
    lab.from_h.withdraw([*LIES, *BOGUS])
    tap.ok(net.wait_for(lambda: not lab.refused(), 5), "withdrawn: nothing is refused any more",
           lab.refused)


def lies_of_a_router():
    """The same from outside of the cluster."""
    lies_told = {p: v for p, v in LIES.items() if p != f"{OFFICE}/32"}
    lab.from_tor.announce(list(lies_told), path=(65066,), local_pref=None)
    net.wait_for(lambda: set(lies_told) <= set(lab.refused()), 5)
    tap.equal(lab.refused(), lies_told, "a router's lies are refused, each for its reason")
    tap.equal(lab.routes(), baseline, "the kernel's routes are as before")
    lab.from_tor.withdraw(list(lies_told))
    net.wait_for(lambda: not lab.refused(), 5)


def borrowed():
    """A /32 may be anybody's, but never takes a pod of this node away."""
    mine = lab.pod("a1") + "/32"
    lab.from_h.announce([mine, "10.244.1.77/32"])
    tap.ok(net.wait_for(lambda: known("10.244.1.77"), 5), "a borrowed address of our block is taken")
    got = json.loads(lab.nodes["a1"].run(f"ip -j route get {lab.pod('a1')}").stdout)[0]
    tap.equal(got["dev"], "pod0", "a pod of ours stays ours, whatever h says")
    lab.from_h.withdraw([mine, "10.244.1.77/32"])
    tap.ok(net.wait_for(lambda: lab.routes() == baseline, 5), "withdrawn: as before")


def next_hops():
    """Only a node's address, or one on a link, is a next hop."""
    for hop, what in ((ADDRESSES["a1"], "ours"), ("0.0.0.0", "0.0.0.0"), ("224.0.0.5", "multicast"),
                      ("127.0.0.1", "loopback"), ("255.255.255.255", "broadcast"),
                      ("10.244.3.2", "in the overlay"), ("10.244.1.2", "a pod of ours"),
                      (OUTSIDE, "a stranger's, behind the gateway"),
                      ("192.168.100.255", "all hosts of a link")):
        lab.from_h.announce(UNCLAIMED, next_hop=hop)
        # What is said is there when what is said after it is.
        lab.from_h.announce("10.244.82.0/24")
        tap.ok(net.wait_for(lambda: known("10.244.82.0/24"), 5), f"next hop {what}: the session lives")
        tap.equal(known(UNCLAIMED), "", "… and there is no route by it")
        lab.from_h.withdraw(["10.244.82.0/24", UNCLAIMED])
        net.wait_for(lambda: not known("10.244.82.0/24"), 5)
    for hop, way in ((ADDRESSES["a2"], f"via {ADDRESSES['a2']} dev eth0"),
                     (ADDRESSES["b1"], f"via {ADDRESSES['b1']} dev {DEVICE}")):
        lab.from_h.announce(UNCLAIMED, next_hop=hop)
        tap.ok(net.wait_for(lambda w=way: w in known(UNCLAIMED), 5),
               f"next hop {hop}, another node's: as to that node", lambda: known(UNCLAIMED))
    lab.from_h.withdraw(UNCLAIMED)
    tap.ok(net.wait_for(lambda: lab.routes() == baseline, 5), "withdrawn: as before", lab.routes)


def long_attributes():
    """What is lawful and long: BIRD says it in lines of thousands of bytes, which culvertd reads."""
    communities = b"".join(struct.pack("!HH", 64512, i) for i in range(200))
    extra = (attribute(8, communities, OPTIONAL | TRANSITIVE)
             + attribute(32, struct.pack("!III", 1, 2, 3) * 60, OPTIONAL | TRANSITIVE)
             + attribute(250, b"\xfe" * 600, OPTIONAL | TRANSITIVE))
    path = [4200000000 + i for i in range(250)]
    lab.from_h.announce([UNCLAIMED, "8.8.8.0/24"], path=path, extra=extra)
    tap.ok(net.wait_for(lambda: known(UNCLAIMED), 5), "a path of 250 ASes is taken")
    lab.from_h.announce("10.244.82.0/24")

    def learned():
        """Prefix and next hop of all."""
        return {r["prefix"]: r["next_hop"] for r in lab.bgp("a1", "routes")["routes"]}

    want = {UNCLAIMED: H, "10.244.82.0/24": H, H_BLOCK: H, lab.block("a2"): ADDRESSES["a2"],
            lab.block("b1"): ADDRESSES["b1"]}
    tap.ok(net.wait_for(lambda: learned() == want, 5), "bgp routes has it, and all others", learned)
    tap.equal(lab.refused(), {"8.8.8.0/24": "no_pool"}, "… and what is refused")
    paths = [r["as_path"] for r in lab.bgp("a1", "routes", UNCLAIMED)["routes"]]
    tap.ok(len(paths) == 1 and paths[0].startswith("4200000000 4200000001 ") and len(paths[0]) < 200,
           "its path is told in part", paths)
    tap.ok(net.wait_for(lambda: lab.bgp("a1", "status")["routes"]["learned"] == len(want), 10),
           "status counts it")
    lab.from_h.withdraw([UNCLAIMED, "8.8.8.0/24", "10.244.82.0/24"])
    tap.ok(net.wait_for(lambda: lab.routes() == baseline, 5), "withdrawn: as before", lab.routes)


def many_long_ones():
    """A few kilobytes of communities for thousands of prefixes, of which BIRD would print more than 64 MiB."""
    communities = attribute(8, b"".join(struct.pack("!HH", 64512, i) for i in range(900)), OPTIONAL | TRANSITIVE)
    prefixes = [f"8.{i >> 8}.{i & 255}.0/24" for i in range(7000)]
    for i in range(0, len(prefixes), 100):
        lab.from_h.announce(prefixes[i:i + 100], extra=communities)
    tap.ok(net.wait_for(lambda: counted() == {"no_pool": len(prefixes)}, 30), "status counts all of them", counted)
    refused = lab.refused()
    tap.ok(set(prefixes) == set(refused), "bgp routes --refused names all of them", len(refused))
    tap.ok("does not speak as BIRD does" not in lab.daemons["a1"].log(), "BIRD was not lost by it",
           lab.daemons["a1"].log)
    tap.equal(lab.routes(), baseline, "the kernel's routes are as before")
    for i in range(0, len(prefixes), 500):
        lab.from_h.withdraw(prefixes[i:i + 500])
    tap.ok(net.wait_for(lambda: not lab.refused(), 20), "withdrawn: nothing is refused any more")


def ill_formed_updates():
    """Errors that RFC 7606 treats as a withdrawal, or that cost the session (h's alone)."""
    nlri, good = prefix_bytes(UNCLAIMED), attributes(H)
    mild = {
        "no NEXT_HOP": attributes(H, omit=(NEXT_HOP,)),
        "no ORIGIN": attributes(H, omit=(ORIGIN,)),
        "no AS_PATH": attributes(H, omit=(AS_PATH,)),
        "ORIGIN 7": attributes(H, omit=(ORIGIN,), extra=attribute(ORIGIN, b"\7")),
        "ORIGIN of 300 bytes": attributes(H, omit=(ORIGIN,), extra=attribute(ORIGIN, b"\0" * 300)),
        "ORIGIN as an optional one": attributes(H, omit=(ORIGIN,), extra=attribute(ORIGIN, b"\0", OPTIONAL)),
        "NEXT_HOP of 3 bytes": attributes(H, omit=(NEXT_HOP,), extra=attribute(NEXT_HOP, b"\1\2\3")),
        "LOCAL_PREF of 3 bytes": attributes(H, omit=(LOCAL_PREF,), extra=attribute(LOCAL_PREF, b"\1\2\3")),
        "AS_PATH with our AS": attributes(H, path=(65001, 64512)),
        "AS_PATH with a torn segment": attributes(H, omit=(AS_PATH,), extra=attribute(AS_PATH, b"\2\x09\0\0")),
        "AS_PATH of an unknown sort": attributes(H, omit=(AS_PATH,), extra=attribute(AS_PATH, b"\x09\1\0\0\0\1")),
        "ORIGINATOR_ID that is ours": attributes(H, extra=attribute(
            ORIGINATOR_ID, bytes(map(int, ADDRESSES["a1"].split("."))))),
        "an unknown well-known one": attributes(H, extra=attribute(99, b"", WELL_KNOWN)),
        "an attribute longer than the rest": good[:-2],
    }
    for what, attrs in mild.items():
        tap.ok(lab.up(lab.from_h), f"h is there for: {what}")
        lab.from_h.send(update(nlri, attrs))
        lab.from_h.announce("10.244.82.0/24")
        net.wait_for(lambda: known("10.244.82.0/24") or not lab.from_h.established, 5)
        tap.equal(known(UNCLAIMED), "", f"{what}: no route")
        lab.from_h.withdraw("10.244.82.0/24")
        net.wait_for(lambda: not known("10.244.82.0/24"), 5)
    # Bits behind the length: RFC 4271, 4.3 has them without a meaning.
    tap.ok(lab.up(lab.from_h), "h is there")
    lab.from_h.announce("10.244.81.255/24")
    tap.ok(net.wait_for(lambda: known(UNCLAIMED), 5), "bits behind a prefix's length mean nothing")
    lab.from_h.withdraw(UNCLAIMED)


def ill_formed_messages():
    """What cannot be read any further ends the session, with the RFC's own code."""
    attrs = attributes(H)
    for what, data, code in (
            ("a wrong marker", message(KEEPALIVE, marker=b"\0" * 16), (1, 1)),
            ("a length of 18", message(KEEPALIVE, length=18), (1, 2)),
            ("a length of 65535", message(UPDATE, length=65535), (1, 2)),
            ("an unknown type", message(9), (1, 3)),
            ("a prefix of 33 bits", update(b"\x21\x0a\xf4\x51\0\0", attrs), (3, 10)),
            ("attributes longer than the message", message(UPDATE, struct.pack("!HH", 0, 4000) + attrs), (3, 1)),
            ("withdrawn routes longer than it", message(UPDATE, struct.pack("!HH", 4000, 0)), (3, 1)),
            ("a second OPEN", open_message(64512, 90, H), (5, None))):
        tap.ok(lab.up(lab.from_h), f"h is there for: {what}")
        lab.from_h.send(data)
        said = lab.from_h.ended()
        tap.ok(said and said[0] == code[0] and code[1] in (None, said[1]),
               f"{what} ends h's session with {code}", said)
    tap.ok(net.wait_for(lambda: not lab.peers("a1")[H]["established"], 10), "h's session is down")
    peer = lab.peers("a1")[H]
    tap.ok(peer["problem"], "… and why, is said", peer)
    findings = lab.cli("a1", "doctor", check=False).stdout
    tap.ok(H in findings, "… by doctor, too", findings)


def bad_openings():
    """Who cannot introduce himself gets no session."""
    for what, opening, code in (
            ("another AS", open_message(64999, 90, H), (2, 2)),
            ("version 3", open_message(64512, 90, H, version=3), (2, 1)),
            ("a hold time of 1 s", open_message(64512, 1, H), (2, 6)),
            ("our router ID", open_message(64512, 90, ADDRESSES["a1"]), (2, 3)),
            ("router ID 0", open_message(64512, 90, "0.0.0.0"), (2, 3))):
        lab.from_h.close()
        lab.restart(H)
        net.wait_for(lambda: lab.from_h.connect(1), 5)
        lab.from_h.begin(opening)
        tap.equal(lab.from_h.ended(), code, f"{what}: no session")
    lab.from_h.close()


def is_idle():
    """True if BIRD and culvertd of a1 do next to nothing for a second."""
    before = lab.costs()
    time.sleep(1)
    now = lab.costs().since(before)
    return now["bird"] < 20 and now["culvertd"] < 20


def flapping():
    """Routes that come and go as fast as h can say it."""
    tap.ok(lab.up(lab.from_h), "h is there")
    before = lab.costs()
    prefixes = [f"10.244.{i}.0/24" for i in range(100, 200)]
    began, rounds, longest_s = time.monotonic(), 0, 0.0
    while time.monotonic() - began < 3:
        lab.from_h.announce(prefixes)
        lab.from_h.withdraw(prefixes)
        rounds += 1
        time.sleep(0.005)
        if rounds % 50 == 0:
            asked = time.monotonic()
            lab.cli("a1", "status")
            longest_s = max(longest_s, time.monotonic() - asked)
    spent = lab.costs().since(before)
    tap.note(f"{rounds} rounds of 100 prefixes in 3 s: {spent}")
    tap.ok(spent["bird_mb"] < 20 and spent["culvertd_mb"] < 20, "memory does not grow by it", spent)
    tap.ok(spent["log"] < 100000, "nor do logs", spent)
    # Each change in the kernel is a notice that culvertd reads: up to 40,000/s of them were seen.
    tap.ok(longest_s < 1, "culvertd answers all the time", longest_s)
    tap.ok(net.wait_for(lambda: not any(known(p) for p in prefixes[:3]), 5), "all gone at the end")
    tap.ok(net.wait_for(is_idle, 15), "and soon there is nothing more to do")


def strangers():
    """Who is no peer, who says nothing, who knows no password."""
    before = lab.costs()
    for _ in range(30):
        stranger = Speaker(lab.outside, OUTSIDE, ADDRESSES["b1"], as_number=LOCKED_AS)
        if stranger.connect(1):
            stranger.close()
    stranger = Speaker(lab.outside, OUTSIDE, ADDRESSES["b1"], as_number=LOCKED_AS)
    tap.ok(not stranger.up(1), "a stranger gets no session")
    stranger.close()
    silent = [Speaker(lab.office, OFFICE, ADDRESSES["b1"]) for _ in range(20)]
    for each in silent:
        each.connect(1)
    half = Speaker(lab.h, H, ADDRESSES["a1"])
    lab.from_h.close()
    lab.restart(H)
    net.wait_for(lambda: half.connect(1), 5)
    half.send(open_message(64512, 90, H)[:20])
    spent = lab.costs().since(before)
    tap.ok(spent["log"] < 100000, "connections of strangers: logs stay small", spent)
    for password, what in ((None, "no password"), ("wrong", "a wrong password")):
        locked = Speaker(lab.outside, OUTSIDE, ADDRESSES["a1"], as_number=LOCKED_AS, password=password)
        tap.ok(not locked.up(1.5), f"{what}: no session")
        locked.close()
    peer = lab.peers("a1")[OUTSIDE]
    tap.ok(not peer["established"] and "password" in (peer["problem"] or ""), "… and it is said", peer)
    lab.restart(OUTSIDE)
    locked = Speaker(lab.outside, OUTSIDE, ADDRESSES["a1"], as_number=LOCKED_AS, password=PASSWORD)
    tap.ok(locked.up(8), "the right one: there it is")
    locked.close()
    half.close()
    for each in silent:
        each.close()


def password_is_nowhere():
    """Not in what anybody sees."""
    for words in (("bgp", "status"), ("bgp", "peers"), ("-j", "bgp", "peers"), ("doctor",), ("status",),
                  ("get", "bgppeers", "-o", "yaml")):
        said = lab.cli("a1", *words, check=False)
        tap.ok(PASSWORD not in said.stdout + said.stderr, f"culvert {' '.join(words)}: no password in it")
    tap.ok(PASSWORD not in lab.daemons["a1"].log(), "nor in culvertd's log")


def good_ones_are_unharmed():
    lab.unharmed()


tap.main([sessions_come_up, lies, lies_of_a_router, borrowed, next_hops, long_attributes, many_long_ones,
          ill_formed_updates, ill_formed_messages, bad_openings, flapping, strangers, password_is_nowhere,
          good_ones_are_unharmed, lab.clean_end], before=lab.before, after=lab.after)
