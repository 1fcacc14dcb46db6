#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine,endpoints,mixed
"""
One manifest makes the overlay: pools, nodes and CrossSubnet on three nodes in two zones. The
network is that of zones.py:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                  ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘               ├── office  192.168.7.7
                                  └── outside 203.0.113.9
"""

import json
import os
import re
import signal
import time

import culvert
import net
import packets
import tap
from cluster import Server, ping, tcp_works
from zones import (ADDRESSES, DEVICE, NODES, OFFICE, OUTSIDE, Iperf, Probe, Zones, block_text,
                   path_taken)

PAIRS = [(a, b) for a in NODES for b in NODES if a != b]

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
zones = Zones()
servers = {}


def routes(name, words="proto 84"):
    """The node's routes, sorted."""
    return sorted(zones.nodes[name].run(f"ip route show {words}").stdout.splitlines())


def lone_pool():
    """The issue's file as it stands, where nothing else is known."""
    text = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
    name: default-ipv4-ippool
spec:
    cidr: 192.168.0.0/16
    ipipMode: CrossSubnet
    natOutgoing: true
"""
    done = zones.cli("a1", "apply", "-f", "-", text=text)
    for part in ("ippool/default-ipv4-ippool created", "this node is a1", "192.168.100.1/24",
                 "no other nodes", "next:"):
        tap.ok(part in done.stdout, f"apply says \"{part}\"", done.stdout)
    tap.ok(ping(zones.nodes["a1"], ADDRESSES["b1"]), "the other zone's node is still reached")
    tap.ok(ping(zones.nodes["a1"], OFFICE), "… and so is the office, whose address the pool has, too")
    again = zones.cli("a1", "apply", "-f", "-", text=text)
    tap.ok("unchanged" in again.stdout, "once more: unchanged", again.stdout)
    zones.cli("a1", "delete", "ippool", "default-ipv4-ippool")
    tap.equal(routes("a1"), [], "deleted: no route of ours is left")
    tap.ok(not zones.nodes["a1"].has(DEVICE), "… and no device")


def cross_subnet():
    zones.apply(zones.manifest())
    digests = {zones.status(name)["store"]["digest"] for name in NODES}
    tap.equal(len(digests), 1, "three hosts, one digest")
    for source, target in PAIRS:
        same = source[0] == target[0]
        tap.equal(path_taken(zones, source, target), "direct" if same else "tunnel",
                  f"{source} to {target}")
    peers = {p["name"]: p for p in zones.status("a1")["peers"]}
    tap.equal((peers["a2"]["path"], peers["b1"]["path"]), ("direct", "tunnel"), "status says so")
    tap.ok("same subnet" in peers["a2"]["reason"], "… and why", peers)
    tap.equal(routes("a1"), sorted([
        "unreachable 10.244.0.0/16 metric 65001 ",
        "blackhole 10.244.1.0/24 metric 65000 ",
        "10.244.2.0/24 via 192.168.100.2 dev eth0 metric 64 ",
        f"10.244.3.0/24 via 192.168.200.2 dev {DEVICE} metric 64 onlink ",
    ]), "the routes of a1")
    address = zones.nodes["a1"].run(f"ip -4 -br addr show dev {DEVICE}").stdout
    tap.ok("10.244.1.0/32" in address, "the pool device has its address", address)


def hosts_and_pods():
    """Every host and pod reaches every other."""
    for source in NODES:
        for target in NODES:
            if source == target:
                continue
            tap.ok(ping(zones.nodes[source], zones.pod(target)), f"host {source} to pod of {target}")
            tap.ok(ping(zones.pods[source], ADDRESSES[target]), f"pod of {source} to host {target}")
            tap.ok(ping(zones.nodes[source], zones.tunnel_address(target)),
                   f"host {source} to the tunnel address of {target}")
            tap.ok(ping(zones.nodes[source], zones.pod(target), "-I", ADDRESSES[source]),
                   f"host {source} with its outer address to pod of {target}")


def nat_outgoing():
    servers["outside"] = servers.get("outside") or Server(zones.outside)
    servers["office"] = servers.get("office") or Server(zones.office)
    servers["pb1"] = servers.get("pb1") or Server(zones.pods["b1"])
    for name, address, server in (("outside", OUTSIDE, servers["outside"]),
                                  ("the office", OFFICE, servers["office"])):
        server.peers.clear()
        tap.equal(tcp_works(zones.pods["a1"], (address, 7000)), None, f"a pod reaches {name}")
        tap.equal(server.peers, [ADDRESSES["a1"]], "… which sees the node's address")
    servers["pb1"].peers.clear()
    tap.equal(tcp_works(zones.pods["a1"], (zones.pod("b1"), 7000)), None, "a pod reaches a pod")
    tap.equal(servers["pb1"].peers, [zones.pod("a1")], "… which sees its address")
    tap.equal(tcp_works(zones.nodes["a1"], (zones.pod("b1"), 7000)), None, "a host reaches a pod")
    tap.equal(servers["pb1"].peers[-1], zones.tunnel_address("a1"), "… with its tunnel address")


def refusals():
    """What nobody owns goes nowhere, by name."""
    wire = zones.wire("a1")
    for address, what in (("10.244.9.9", "overlay address of no node"),
                          ("10.244.1.77", "address of our block that no pod has")):
        wire.drain()
        tap.ok(not ping(zones.pods["a1"], address, "-W1"), f"{what}: not reached")
        inner = bytes(map(int, address.split(".")))
        seen = wire.expect(lambda p, inner=inner: p[16:20] == inner or p[36:40] == inner, 0.2)
        tap.equal(seen, None, "… and nothing of it is on the wire")
    wire.close()


def spoofing():
    """A known node that sends from another's block, and a stranger that sends at all."""
    to_b1 = zones.r.wire("to-b1")
    pod = zones.pods["b1"].wire("eth0")
    frame = zones.nodes["b1"].mac("eth0") + zones.r.mac("to-b1") + b"\x08\x00"
    for outer, inner, reason, what in (
            (ADDRESSES["a1"], zones.pod("a2"), "source-not-routed-back", "a1 with a2's pod"),
            (ADDRESSES["a1"], zones.pod("b1"), None, "a1 with b1's own pod"),
            ("192.168.100.77", zones.pod("a1"), "not-a-peer", "a stranger with a1's pod")):
        before = drops("b1")
        pod.drain()
        for _ in range(3):
            to_b1.send(frame + packets.outer(packets.udp(inner, zones.pod("b1")), outer,
                                             ADDRESSES["b1"]))
        source = bytes(map(int, inner.split(".")))
        tap.equal(pod.expect(lambda p, s=source: p[12:16] == s and p[9] == 17, 0.3), None,
                  f"{what}: refused")
        rose = {k: v - before[k] for k, v in drops("b1").items() if v > before[k]}
        if reason:
            tap.equal(rose.get(reason), 3, f"… as {reason}")
        else:
            tap.equal(sum(rose.values()), 3, "… by name")
    to_b1.close()
    pod.close()


def drops(name):
    """By reason, of everything on a node."""
    total = dict(zones.status(name)["counters"]["drops"])
    shown = json.loads(zones.cli(name, "-j", "-s", "tunnel", "show").stdout)
    for tunnel in shown:
        for key, value in tunnel["counters"]["drops"].items():
            total[key] = total.get(key, 0) + value
    return total


def switch_modes():
    """
    Every change of mode, node after node, under probes both ways and iperf3 to both zones: not a
    packet of the probes is lost, and no stream ends or stands still.
    """
    for node in zones.nodes:  # what Never needs of the underlay
        zones.r.ip(f"route replace {zones.block(node)} via {ADDRESSES[node]}")
    probes = {pair: Probe(zones.pods[pair[0]], zones.pods[pair[1]], zones.pod(pair[1]),
                          port=9000 + i) for i, pair in enumerate(PAIRS)}
    streams = {target: Iperf(zones.pods["a1"], zones.pods[target], zones.pod(target))
               for target in ("a2", "b1")}
    time.sleep(0.3)
    expected = {"Always": ("tunnel", "tunnel"), "Never": ("direct", "direct"),
                "CrossSubnet": ("direct", "tunnel")}
    for mode in ("Always", "CrossSubnet", "Never", "Always", "Never", "CrossSubnet"):
        for name in NODES:
            zones.cli(name, "apply", "-f", "-", text=zones.manifest(mode))
            time.sleep(0.15)
        tap.equal((path_taken(zones, "a1", "a2"), path_taken(zones, "a1", "b1")), expected[mode],
                  f"{mode}: the paths of a1")
    for target, stream in streams.items():
        sent, error = stream.end()
        tap.equal(error, None, f"iperf3 from a1 to {target} went on")
        tap.ok(len(sent) > 5 and min(sent) > 1 << 20, "… and never stood still for half a second", sent)
    for pair, probe in probes.items():
        sent, took = probe.end()
        tap.equal((sent["sent"] - took["unique"], sent["failed"]), (0, 0),
                  f"{pair[0]} to {pair[1]}: none of {sent['sent']} packets is lost")
    zones.r.ip(*(f"route del {zones.block(node)}" for node in zones.nodes))


def repairs():
    """What somebody takes away of ours comes back; what is theirs stays."""
    a1 = zones.nodes["a1"]
    a1.ip("route add 10.244.3.128/25 via 192.168.100.254", "route add 10.99.0.0/16 dev lo")
    before = routes("a1")
    a1.ip(f"route del 10.244.3.0/24 dev {DEVICE}", "route del unreachable 10.244.0.0/16")
    tap.ok(net.wait_for(lambda: routes("a1") == before, 3), "deleted routes come back",
           lambda: routes("a1"))
    a1.ip("route flush proto 84")
    tap.ok(net.wait_for(lambda: routes("a1") == before, 3), "… also all of them",
           lambda: routes("a1"))
    a1.ip(f"addr del 10.244.1.0/32 dev {DEVICE}")
    tap.ok(net.wait_for(lambda: "10.244.1.0/32" in a1.run(f"ip addr show {DEVICE}").stdout, 3),
           "the device's address comes back")
    a1.ip(f"link del {DEVICE}")
    tap.ok(net.wait_for(lambda: a1.has(DEVICE) and routes("a1") == before, 5),
           "the device comes back, with its routes", zones.daemons["a1"].log)
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "b1") == "tunnel", 3), "… and works")
    a1.run("nft delete table ip culvert")
    zones.daemons["a1"].process.send_signal(signal.SIGHUP)
    tap.ok(net.wait_for(lambda: "table ip culvert" in a1.run("nft list tables").stdout, 3),
           "the nftables table comes back")
    theirs = a1.run("ip route show 10.244.3.128/25").stdout + a1.run("ip route show 10.99.0.0/16").stdout
    tap.equal(len(theirs.splitlines()), 2, "somebody else's routes are as they were")
    a1.ip("route del 10.244.3.128/25", "route del 10.99.0.0/16")


def foreign_route():
    """Somebody's route with our prefix and metric is not touched, and is told."""
    a1 = zones.nodes["a1"]
    a1.ip("route add 10.244.8.0/24 via 192.168.100.254 metric 64")
    extra = zones.manifest() + block_text("b1", "10.244.8.0/24")
    zones.cli("a1", "apply", "-f", "-", text=extra)
    status = zones.status("a1")
    tap.equal(status["routes"]["failed"], 1, "one route failed")
    tap.ok("10.244.8.0/24" in (status["routes"]["first_failure"] or ""), "… and is named", status["routes"])
    tap.ok("via 192.168.100.254" in a1.run("ip route show 10.244.8.0/24").stdout, "theirs stands")
    a1.ip("route del 10.244.8.0/24 via 192.168.100.254 metric 64")
    tap.ok(net.wait_for(lambda: any("10.244.8.0/24" in r for r in routes("a1")), 3),
           "once it is gone, ours comes")
    zones.cli("a1", "delete", "blockaffinity", "b1-10-244-8-0-24")
    tap.ok(not any("10.244.8.0/24" in r for r in routes("a1")), "deleted: gone")


def restart():
    """A restart and a kill -9: no route moves, nothing is lost that an intact fast path carries."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        before = routes("a1")
        monitor = zones.nodes["a1"].spawn(["ip", "monitor", "route", "address"], stdout=-1, text=True)
        time.sleep(0.2)
        zones.daemons["a1"].stop(number)
        zones.daemons["a1"].start()
        time.sleep(0.5)
        net.stop(monitor)
        said = [line for line in monitor.stdout.read().splitlines() if "cache" not in line]
        tap.equal(said, [], f"signal {number}: no route or address moves")
        tap.equal(routes("a1"), before, "… the routes are as before")
        tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "… and it works")


def changed_while_down():
    """What changed while culvertd was away is made so when it comes back."""
    zones.daemons["a1"].stop()
    with open(os.path.join(zones.config["a1"], "applied.yaml"), "w", encoding="utf-8") as f:
        f.write(zones.manifest("Always").replace("10.244.1.0\n", "10.244.1.9\n"))
    zones.daemons["a1"].start()
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "a2", on="a2") == "tunnel", 3),
           "the new mode is in force")
    shown = zones.nodes["a1"].run(f"ip -4 -br addr show {DEVICE}").stdout
    tap.ok("10.244.1.9/32" in shown and "10.244.1.0/32" not in shown,
           "the new tunnel address has replaced the old one", shown)
    zones.apply(zones.manifest())


def by_hand():
    """Files written by hand: taken, refused to apply, broken, mended."""
    path = os.path.join(zones.config["a1"], "more.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(block_text("b1", "10.244.20.0/24"))
    tap.ok(net.wait_for(lambda: any("10.244.20.0/24" in r for r in routes("a1")), 3),
           "a new file takes effect")
    done = zones.cli("a1", "apply", "-f", "-", check=False,
                     text=block_text("b1", "10.244.20.0/24").replace("node: b1", "node: a2"))
    tap.equal(done.returncode, 1, "a resource of somebody's file is not rewritten")
    tap.ok(re.search(r"more\.yaml:\d+", done.stderr), "… naming file and line", done.stderr)
    with open(path, "a", encoding="utf-8") as f:
        f.write("---\nkind: [\n")
    tap.ok(net.wait_for(lambda: zones.status("a1")["store"]["problem"], 3), "a broken edit is told")
    tap.ok("more.yaml:" in zones.status("a1")["store"]["problem"], "… with its place",
           lambda: zones.status("a1")["store"])
    tap.ok(any("10.244.20.0/24" in r for r in routes("a1")), "… the last good state stays")
    os.unlink(path)
    tap.ok(net.wait_for(lambda: not any("10.244.20.0/24" in r for r in routes("a1")), 3),
           "the file is gone, and its route")
    tap.equal(zones.status("a1")["store"]["problem"], None, "… and the problem")


def node_leaves():
    zones.cli("a1", "delete", "node", "b1")
    tap.ok(not any("10.244.3.0/24" in r for r in routes("a1")), "its routes are gone",
           lambda: routes("a1"))
    zones.apply(zones.manifest(), ["a1"])
    tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "it is back")


def while_others_talk():
    """
    Labels and a selector come and go, and a node leaves and comes back: nobody whom that does not
    concern loses a packet, nor do those whose labels they are.
    """
    probes = {pair: Probe(zones.pods[pair[0]], zones.pods[pair[1]], zones.pod(pair[1]),
                          port=9200 + i) for i, pair in enumerate(PAIRS)}
    time.sleep(0.3)
    labelled = zones.manifest().replace("  name: b1\nspec:", "  name: b1\n  labels: {zone: b}\nspec:")
    selected = labelled.replace("  blockSize: 24\n", "  blockSize: 24\n  nodeSelector: zone == 'b'\n")
    for text in (labelled, selected, zones.manifest()):
        for name in NODES:
            zones.cli(name, "apply", "-f", "-", text=text)
            time.sleep(0.1)
        if text == selected:
            tap.ok("nodeSelector does not match it; it is kept" in zones.cli("a1", "status").stdout,
                   "the selector is asked")
    theirs = {pair: probes.pop(pair) for pair in PAIRS if "b1" in pair}
    counts = {pair: probe.end() for pair, probe in theirs.items()}
    zones.cli("a1", "delete", "node", "b1")
    zones.cli("a2", "delete", "node", "b1")
    tap.ok(not any("10.244.3.0/24" in r for r in routes("a1")), "b1 has left")
    zones.apply(zones.manifest(), ["a1", "a2"])
    tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "… and is back")
    counts |= {pair: probe.end() for pair, probe in probes.items()}
    for pair, (sent, took) in counts.items():
        tap.equal((sent["sent"] - took["unique"], sent["failed"]), (0, 0),
                  f"{pair[0]} to {pair[1]}: none of {sent['sent']} packets is lost")


def node_moves():
    """
    A node gets another address, with both on its card: its neighbours hear of it, then it itself.
    Not a packet is lost, from and to it included.
    """
    a2, new = zones.nodes["a2"], "192.168.100.22"
    a2.ip(f"addr add {new}/24 dev eth0")
    ping(zones.nodes["a1"], new)
    probes = {pair: Probe(zones.pods[pair[0]], zones.pods[pair[1]], zones.pod(pair[1]),
                          port=9100 + i) for i, pair in enumerate(PAIRS)}
    time.sleep(0.3)
    moved = zones.manifest("Always").replace(ADDRESSES["a2"] + "/24", new + "/24")
    zones.apply(zones.manifest("Always"))
    for name in ("a1", "b1", "a2"):
        zones.cli(name, "apply", "-f", "-", text=moved)
        time.sleep(0.3)
    wire = zones.wire("b1")
    seen = wire.expect(lambda p: p[9] == 4 and p[12:16] == bytes([192, 168, 100, 22]), 1)
    wire.close()
    tap.ok(seen, "a2 sends from its new address")
    for pair, probe in probes.items():
        sent, took = probe.end()
        tap.equal((sent["sent"] - took["unique"], sent["failed"]), (0, 0),
                  f"{pair[0]} to {pair[1]}: none of {sent['sent']} packets is lost")
    for name in ("a1", "b1", "a2"):
        zones.cli(name, "apply", "-f", "-", text=zones.manifest())
    a2.ip(f"addr del {new}/24 dev eth0")
    tap.equal(path_taken(zones, "a1", "a2"), "direct", "and back again")


if __name__ == "__main__":
    tap.main([lone_pool, cross_subnet, hosts_and_pods, nat_outgoing, refusals, spoofing,
              switch_modes, repairs, foreign_route, restart, changed_while_down, by_hand,
              node_leaves, while_others_talk, node_moves, zones.clean_end], zones.before, zones.after)
