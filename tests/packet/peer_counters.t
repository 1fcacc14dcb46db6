#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle needs=build/next modes=fastpath long-modes=engine,endpoints,mixed
"""
What is counted of each peer of the pools' device: exactly what the tunnel counts, each packet for
one peer. The network is that of zones.py:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                  ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘
"""

import json
import os
import re
import signal
import socket

import cluster
import culvert
import net
import tap
from transfer import tcp_transfer
from zones import DEVICE, NODES, Zones

NEXT = os.path.join(os.path.dirname(culvert.BUILD), "build", "next")
MEMBERS = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")
NOTHING = dict.fromkeys(MEMBERS, 0)
zones = Zones()


def peers(name):
    """{name of the other: counters}"""
    return {p["name"]: p["counters"] for p in zones.status(name)["peers"]}


def tunnel(name):
    """The device's counters, and by path."""
    shown = json.loads(zones.cli(name, "-j", "-s", "tunnel", "show", DEVICE).stdout)[0]
    return {m: shown["counters"][m] for m in MEMBERS}, shown["paths"]


def added(*counters):
    """The sum of counters."""
    return {m: sum(c[m] for c in counters) for m in MEMBERS}


def rose(after, before):
    """{peer: what it has more}, of those who have."""
    more = {p: {m: c[m] - before[p][m] for m in MEMBERS} for p, c in after.items()}
    return {p: c for p, c in more.items() if c != NOTHING}


def settled(name):
    """The same, once nothing moves any more."""
    seen = [None]

    def stands():
        seen.append(peers(name))
        return seen[-1] == seen[-2]

    net.wait_for(stands)
    return seen[-1]


def sums(what):
    """On all nodes."""
    for name in NODES:
        counted = settled(name)
        tap.equal(added(*counted.values()), tunnel(name)[0],
                  f"{what}: {name}'s peers make up its tunnel")


def ping(source, target, count, size=56, *more):
    """True if all are answered."""
    return cluster.pings(zones.pods[source], zones.pod(target), count, f"-s{size}", *more)


def pings():
    zones.apply(zones.manifest("Always"))
    tap.equal(peers("a1"), {"a2": NOTHING, "b1": NOTHING}, "at first, nothing")
    for other, count in (("a2", 5), ("b1", 7)):
        before, far = peers("a1"), peers(other)
        tap.ok(ping("a1", other, count, 100), f"{count} pings to {other}")
        both = dict(zip(MEMBERS, (count, count * 128) * 2))
        tap.equal(rose(peers("a1"), before), {other: both}, "… are counted as its, and exactly")
        tap.equal(rose(peers(other), far), {"a1": both}, "… at its end, too")
    sums("pings")
    tap.ok(ping("a1", "b1", 3, 3000, "-Mdont"), "3 larger than the tunnel takes")
    sums("fragments")


def datagrams():
    near, far = peers("a1"), peers("b1")
    sink = zones.pods["b1"].socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
    sink.bind((zones.pod("b1"), 9))
    source = zones.pods["a1"].socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
    sink.settimeout(2)
    for i in range(300):
        source.sendto(bytes(100 + i), (zones.pod("b1"), 9))
        sink.recv(2000)
    source.close()
    sink.close()
    size = sum(128 + i for i in range(300))
    tap.equal(rose(settled("a1"), near), {"b1": {**NOTHING, "tx_packets": 300, "tx_bytes": size}},
              "300 datagrams, sent")
    tap.equal(rose(settled("b1"), far), {"a1": {**NOTHING, "rx_packets": 300, "rx_bytes": size}},
              "… and received")
    sums("datagrams")


def super_packets():
    near, far = settled("a1"), settled("a2")
    result = tcp_transfer(zones.pods["a1"], zones.pods["a2"], zones.pod("a2"), 4 << 20)
    tap.ok(result.right, "4 MB by TCP", result)
    near, far = rose(settled("a1"), near), rose(settled("a2"), far)
    tap.equal((set(near), set(far)), ({"a2"}, {"a1"}), "… are counted as one peer's")
    tap.ok(near["a2"]["tx_bytes"] > 4 << 20 and near["a2"]["tx_packets"] > (4 << 20) / 1480,
           "… each packet with its headers", near)
    sums("TCP")


def direct():
    zones.apply(zones.manifest())
    before = settled("a1")
    tap.ok(ping("a1", "a2", 5), "5 pings, directly")
    tap.equal(rose(peers("a1"), before), {}, "… are nobody's: the kernel forwards them")
    tap.ok(ping("a1", "b1", 2), "2 through the tunnel")
    tap.equal({p: c["tx_packets"] for p, c in rose(peers("a1"), before).items()}, {"b1": 2},
              "… are counted as before")


def shown():
    lines = zones.cli("a1", "-s", "status").stdout
    counters = peers("a1")["b1"]
    want = "rx packets {rx_packets} bytes {rx_bytes}, tx packets {tx_packets} bytes {tx_bytes}"
    tap.ok(re.search(r"peer b1 .*" + want.format(**counters), lines), "culvert -s status", lines)
    text = zones.cli("a1", "metrics").stdout
    for direction in ("rx", "tx"):
        for unit in ("packets", "bytes"):
            line = (f'culvert_peer_{unit}_total{{peer="b1",address="192.168.200.2",'
                    f'direction="{direction}"}} {counters[f"{direction}_{unit}"]}\n')
            tap.ok(line in text, f"metrics: {direction} {unit}", text)


def restart():
    """As the tunnel's: what the fast path has counted stays, and goes on without culvertd."""
    daemon = zones.daemons["a1"]
    for number in (signal.SIGTERM, signal.SIGKILL):
        before, (_, paths) = settled("a1"), tunnel("a1")
        engine = paths["engine"] if daemon.has_fastpath else added(*before.values())
        daemon.stop(number)
        works = ping("a1", "b1", 4) if daemon.has_fastpath else False
        daemon.start()
        after = settled("a1")
        tap.equal(added(*after.values()), tunnel("a1")[0],
                  f"signal {number}: the peers make up the tunnel")
        if not daemon.has_fastpath:
            tap.equal(after, {"a2": NOTHING, "b1": NOTHING}, "… the engine begins at 0")
            continue
        tap.ok(works, "… meanwhile 4 pings went through")
        lost = {m: sum(before[p][m] - after[p][m] for p in before) for m in MEMBERS}
        want = {m: engine[m] - (4 if m.endswith("packets") else 4 * 84) for m in MEMBERS}
        tap.equal(lost, want, "… and were counted; gone is what the engine counted")
        tap.ok(all(after[p][m] <= before[p][m] + (p == "b1") * 4 * 84
                   for p in before for m in MEMBERS), "… each for whom it was", (before, after))


def upgrade():
    """To a version whose maps have another layout, and back: nothing of the fast path's is lost."""
    daemon = zones.daemons["b1"]
    if not daemon.has_fastpath:
        return
    daemon.stop()
    daemon.start()
    build, before = daemon.build, settled("b1")
    tap.ok(before["a1"]["rx_packets"] > 0, "something is counted", before)
    for what, daemon.build in (("upgrade", NEXT), ("rollback", build)):
        daemon.stop()
        daemon.start()
        tap.equal(settled("b1"), before, f"{what}: the counters stay")
        tap.ok(ping("b1", "a1", 2), "… and go on:")
        tap.equal(settled("b1")["a1"]["rx_packets"], before["a1"]["rx_packets"] + 2, "… two more")
        tap.equal(added(*peers("b1").values()), tunnel("b1")[0], "… as the tunnel's")
        daemon.stop()
        daemon.start()
        before = settled("b1")


def anew():
    """A peer that stays keeps its counters; one that was gone begins at 0."""
    zones.apply(zones.manifest("Always"))
    tap.ok(ping("a1", "a2", 3) and ping("a1", "b1", 3), "traffic with both")
    before = settled("a1")
    zones.cli("a1", "delete", "node", "b1")
    tap.equal(peers("a1"), {"a2": before["a2"]}, "b1 is deleted: a2's counters stay")
    zones.apply(zones.manifest("Always"), ["a1"])
    tap.equal(peers("a1"), {"a2": before["a2"], "b1": NOTHING}, "b1 is back, and new")
    tap.ok(ping("a1", "b1", 6), "6 pings")
    tap.equal(peers("a1")["b1"]["tx_packets"], 6, "… are counted")
    tap.equal(peers("a1")["a2"], before["a2"], "… and not for another")


if __name__ == "__main__":
    tap.main([pings, datagrams, super_packets, direct, shown, restart, upgrade, anew, zones.clean_end],
             zones.before, zones.after)
