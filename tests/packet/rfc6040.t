#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=engine,fastpath,endpoints parallel
"""
RFC 6040, tunnelling of explicit congestion notification: both modes of the ingress,
the whole table of the egress with its counters, and the DSCP beside them (RFC 2983).

    p1 10.244.1.2 ── n1 (culvertd) 192.168.100.1 ── n2: the peer 192.168.100.2 (the test)

doc/rfc.md lists the requirements with the names of the assertions below.
"""

import culvert
import tap
from culvert import Watch
from packets import (
    CE, ECT0, ECT1, NOT_ECT, checksum_ok, difference, forwarded, header, outer, patch, tcp, udp,
)
from shapes import Pair

culvert.need_programs()
lab = Pair()
POD, FAR, LOCAL, REMOTE = lab.POD, lab.FAR, lab.LOCAL, lab.REMOTE

NAMES = {NOT_ECT: "Not-ECT", ECT0: "ECT(0)", ECT1: "ECT(1)", CE: "CE"}
DROP = None

# Figure 4: (inner, outer) -> (departing field, the event counted). "!!!" is dangerous, "!" unused.
DANGEROUS, UNUSED = "ecn-dangerous", "ecn-unused"
FIGURE_4 = {
    (NOT_ECT, NOT_ECT): (NOT_ECT, None),
    (NOT_ECT, ECT0): (NOT_ECT, DANGEROUS),
    (NOT_ECT, ECT1): (NOT_ECT, DANGEROUS),
    (NOT_ECT, CE): (DROP, DANGEROUS),
    (ECT0, NOT_ECT): (ECT0, None),
    (ECT0, ECT0): (ECT0, None),
    (ECT0, ECT1): (ECT1, None),
    (ECT0, CE): (CE, None),
    (ECT1, NOT_ECT): (ECT1, None),
    (ECT1, ECT0): (ECT1, UNUSED),
    (ECT1, ECT1): (ECT1, None),
    (ECT1, CE): (CE, None),
    (CE, NOT_ECT): (CE, None),
    (CE, ECT0): (CE, None),
    (CE, ECT1): (CE, DANGEROUS),
    (CE, CE): (CE, None),
}


def same(got, want, name):
    tap.ok(got == want, name, lambda: difference(got, want))


def fields_of(words):
    """What becomes of each field at an ingress: {inner: (outer, inner on the wire)}."""
    lab.tunnel(words)
    result = {}
    for ecn in NAMES:
        got = lab.outer_of(udp(POD, FAR, 100, tos=ecn))
        result[ecn] = got and (header(got).tos & 3, header(header(got).payload).tos & 3)
    return result


def ingress_modes():
    normal, compatible = fields_of("ecn normal"), fields_of("ecn compat")
    tap.equal({inner: both[0] for inner, both in normal.items()}, {ecn: ecn for ecn in NAMES},
              "RFC 6040 4.1: normal mode copies the field to the outer header")
    tap.equal({both[0] for both in compatible.values()}, {NOT_ECT},
              "RFC 6040 4.1: compatibility mode sends Not-ECT")
    tap.equal([both[1] for both in (*normal.values(), *compatible.values())], list(NAMES) * 2,
              "RFC 6040 4.1: no mode changes the inner field")


def ingress():
    for words, mode in ("", "normal"), ("ecn normal", "normal, asked for"):
        lab.tunnel(words)
        for ecn, name in NAMES.items():
            sent = udp(POD, FAR, 100, tos=0x48 | ecn)
            got = lab.outer_of(sent)
            tap.equal(got and header(got).tos & 3, ecn,
                      f"RFC 6040 4.1: {mode} mode copies {name} to the outer header")
            same(got and header(got).payload, forwarded(sent),
                 f"RFC 6040 4.1: {mode} mode leaves {name} in the inner header")
    for words in ("ecn compat", "ecn compat tos inherit"):
        lab.tunnel(words)
        for ecn, name in NAMES.items():
            sent = udp(POD, FAR, 100, tos=0x48 | ecn)
            got = lab.outer_of(sent)
            tap.equal(got and header(got).tos & 3, NOT_ECT,
                      f"RFC 6040 4.1: {words}: outer is Not-ECT for inner {name}")
            same(got and header(got).payload, forwarded(sent),
                 f"RFC 6040 4.1: {words}: inner {name} is left alone")
            tap.ok(got and checksum_ok(got), f"RFC 6040 4.1: {words}: outer checksum, {name}")


def default_mode():
    lab.tunnel()
    got = lab.outer_of(udp(POD, FAR, 100, tos=ECT0))
    tap.equal(got and header(got).tos & 3, ECT0,
              "RFC 6040 4.3: normal mode is implemented and is the default")
    lab.culvertd.change("tun0 ecn compat")
    got = lab.outer_of(udp(POD, FAR, 100, tos=ECT0))
    tap.equal(got and header(got).tos & 3, NOT_ECT,
              "RFC 6040 4.3: compatibility mode is there for old egresses")
    lab.culvertd.change("tun0 ecn normal")
    got = lab.outer_of(udp(POD, FAR, 100, tos=ECT0))
    tap.equal(got and header(got).tos & 3, ECT0,
              "RFC 6040 4.3: ECN is never disabled for good: it can be turned back")
    lab.culvertd.add("tun9 mode ipip remote 192.168.100.9 local 192.168.100.1 ecn compat")
    lab.n1.ip("route replace 10.244.9.0/24 dev tun9")
    one = lab.outer_of(udp(POD, "10.244.9.1", 100, tos=ECT0))
    two = lab.outer_of(udp(POD, FAR, 100, tos=ECT0))
    tap.equal((one and header(one).tos & 3, two and header(two).tos & 3), (NOT_ECT, ECT0),
              "RFC 6040 4.3: the mode is kept for each tunnel")
    lab.culvertd.delete("tun9")


def egress():
    # The mode of the ingress must not matter here (4.4).
    for words in ("", "ecn compat"):
        lab.tunnel(words)
        for (inner_ecn, outer_ecn), (want, event) in FIGURE_4.items():
            cell = f"inner {NAMES[inner_ecn]}, outer {NAMES[outer_ecn]}"
            cell += f" ({words})" if words else ""
            watch = Watch(lab.culvertd)
            sent = udp(FAR, POD, 100, tos=0x28 | inner_ecn)
            out = outer(sent, REMOTE, LOCAL, tos=0xB8 | outer_ecn)
            got = lab.inner_of(out, 0.1 if want is DROP else 2)
            if want is DROP:
                tap.equal(got, None, f"RFC 6040 4.2: {cell}: dropped")
                tap.equal(watch.wait("ecn-ce-on-not-ect"), 1, f"RFC 6040 4.2: {cell}: counted")
            else:
                wanted = forwarded(patch(sent, 1, bytes([0x28 | want])))
                same(got, wanted, f"RFC 6040 4.2: {cell}: {NAMES[want]}, the rest unchanged")
            if event:
                tap.equal(watch.wait(event), 1, f"RFC 6040 4.2: {cell}: counted as {event}")
            rose = watch.rose()
            tap.equal({k for k in rose if k.startswith("ecn-")} - {"ecn-ce-on-not-ect"},
                      {event} if event else set(),
                      f"RFC 6040 4.2: {cell}: no other suspicion counted")


def egress_rules():
    """The rules of 4.2 in words, each over its cells."""
    lab.tunnel()

    def departing(inner_ecn, outer_ecn):
        got = lab.inner_of(
            outer(udp(FAR, POD, 80, tos=inner_ecn), REMOTE, LOCAL, tos=outer_ecn),
            0.1 if (inner_ecn, outer_ecn) == (NOT_ECT, CE) else 2,
        )
        return got and header(got).tos & 3

    tap.equal(departing(NOT_ECT, CE), None,
              "RFC 6040 4.2: CE on an inner Not-ECT packet: it is dropped")
    tap.equal([departing(NOT_ECT, o) for o in (NOT_ECT, ECT0, ECT1)], [NOT_ECT] * 3,
              "RFC 6040 4.2: inner Not-ECT never becomes anything else")
    rank = {NOT_ECT: 0, ECT0: 1, ECT1: 2, CE: 3}
    got = {cell: departing(*cell) for cell in FIGURE_4}
    tap.equal(got, {cell: want for cell, (want, _) in FIGURE_4.items()},
              "RFC 6040 4.2: all sixteen cells of figure 4")
    lab.culvertd.change("tun0 ecn compat")
    tap.equal({cell: departing(*cell) for cell in FIGURE_4}, got,
              "RFC 6040 4.4: the egress is the same in both modes of the ingress")
    lab.culvertd.change("tun0 ecn normal")
    pairs = [(i, o) for i in (ECT0, ECT1, CE) for o in NAMES]
    tap.equal([departing(i, o) for i, o in pairs], [max(i, o, key=rank.get) for i, o in pairs],
              "RFC 6040 4.2: otherwise the more severe mark goes on")
    watch = Watch(lab.culvertd)
    for _ in range(50):
        lab.from_peer(outer(udp(FAR, POD, 80), REMOTE, LOCAL, tos=ECT1))
    tap.equal(watch.wait(DANGEROUS, 50), 50, "RFC 6040 4.2: each suspicious packet is counted")
    lines = len(lab.culvertd.log().splitlines())
    tap.ok(lines < 40, "RFC 6040 4.2: … and does not flood the log", lab.culvertd.log)


def egress_checksum():
    """A changed ECN field changes the header checksum, nothing of the transport."""
    lab.tunnel()
    sent = tcp(FAR, POD, b"x" * 301, ip={"tos": ECT0})
    got = lab.inner_of(outer(sent, REMOTE, LOCAL, tos=CE))
    tap.ok(got and checksum_ok(got), "RFC 6040 4.2: the inner header checksum follows the field")
    same(got and got[20:], sent[20:], "RFC 6040 4.2: the transport is untouched")


def dscp():
    lab.tunnel("tos inherit")
    for value in (0, 0x20, 0xB8, 0xFC):
        got = lab.outer_of(udp(POD, FAR, 100, tos=value | ECT0))
        tap.equal(got and header(got).tos, value | ECT0,
                  f"RFC 2983 3.1: uniform: DSCP {value >> 2} is copied, ECN with it")
    for words, fixed in (("", 0), ("tos 0x88", 0x88)):
        lab.tunnel(words)
        for ecn, name in NAMES.items():
            got = lab.outer_of(udp(POD, FAR, 100, tos=0xB8 | ecn))
            tap.equal(got and header(got).tos, fixed | ecn,
                      f"RFC 2983 3.1: pipe: '{words}' fixes DSCP {fixed >> 2}, never ECN "
                      f"({name})")
    sent = udp(FAR, POD, 100, tos=0x20)
    for value in range(0, 256, 4):
        got = lab.inner_of(outer(sent, REMOTE, LOCAL, tos=value))
        if got != forwarded(sent):
            break
    same(got, forwarded(sent), "RFC 2983 3.1: outer DSCP does not come out of the tunnel")


tap.main(
    [
        ingress_modes, ingress, default_mode, egress, egress_rules, egress_checksum, dscp,
        lab.clean_end,
    ],
    lab.before,
    lab.after,
)
