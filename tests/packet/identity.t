#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine,endpoints
"""
Which node this is, and what happens when that changes. The network is that of zones.py; a1 has a
second card:

     pa1 ── a1 .1 eth0 ┐ 192.168.100.0/24           192.168.200.0/24
            │  .1 eth1 ─── 192.168.150.254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ─────┴── br-a       .254  │
                                            └── outside 203.0.113.9
"""

import json
import os
import shutil
import socket
import tempfile
import time

import culvert
import net
import tap
from culvert import Culvertd
from zones import ADDRESSES, DEVICE, NODE, OUTSIDE, POOL, Probe, Zones, path_taken

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
zones = Zones()
A1, A2, R = zones.nodes["a1"], zones.nodes["a2"], zones.r
SECOND = "192.168.150.1"

net.connect(A1, "eth1", R, "to-a1b", offload=True)
A1.ip(f"addr add {SECOND}/24 dev eth1")
R.ip("addr add 192.168.150.254/24 dev to-a1b")


class Lone:
    """Another culvertd on a1, that is asked who it is."""

    def __init__(self, *arguments, manifest=None):
        zones.daemons["a1"].stop()
        self.config = tempfile.mkdtemp(prefix="culvert-config-lone-")
        if manifest:
            with open(os.path.join(self.config, "all.yaml"), "w", encoding="utf-8") as f:
                f.write(manifest)
        self.daemon = Culvertd(A1, "--config", self.config, *arguments)

    def __enter__(self):
        return json.loads(self.daemon.cli("-j", "status").stdout)

    def __exit__(self, *_):
        self.daemon.stop()
        self.daemon.purge()
        shutil.rmtree(self.config)
        zones.daemons["a1"].start()


def detection():
    """Each method, as far as `status`."""
    pool = POOL.format(name="pool", cidr="10.244.0.0/16", mode="Always", nat="false", block_size=24)
    for method, address, how in (
            ("first-found", "192.168.100.1/24", "first-found: eth0"),
            ("interface=eth1", f"{SECOND}/24", "interface=eth1: eth1"),
            ("skip-interface=eth0", f"{SECOND}/24", "skip-interface=eth0: eth1"),
            ("cidr=192.168.128.0/17", f"{SECOND}/24", "cidr=192.168.128.0/17: eth1"),
            (f"can-reach={OUTSIDE}", "192.168.100.1/24", f"can-reach={OUTSIDE}: eth0"),
            ("can-reach=192.168.150.254", f"{SECOND}/24", "can-reach=192.168.150.254: eth1"),
            ("interface=wlan0", None, None)):
        with Lone("--node", "me", "--address-detection", method, manifest=pool) as status:
            tap.equal((status["node"]["name"], status["node"]["address"], status["node"]["how"]),
                      ("me", address, how), f"--address-detection {method}")
            tap.equal(A1.has(DEVICE), address is not None, "… and the pool device is there, or not")
            if not address:
                tap.ok("not found by interface=wlan0" in status["node"]["problem"] and
                       any("interface=wlan0" in w for w in status["warnings"]), "… and why", status)
    with Lone(manifest=pool) as status:
        tap.equal(status["node"]["name"], socket.gethostname().lower(), "no --node: the host's name")


def wrong_words():
    for words, says in ((("--address-detection", "eth0"), "there are first-found"),
                        (("--address-detection", "cidr=10.0.0.1/8"), "no IPv4 network"),
                        (("--address-detection", "interface=("), "regular expression")):
        run_dir = tempfile.mkdtemp(prefix="culvert-test-wrong-")
        done = A1.run([os.path.join(culvert.BUILD, "culvertd"), "--run-dir", run_dir, *words],
                      check=False, timeout=20)
        tap.ok(done.returncode and says in done.stderr, f"{words[1]}: {says}",
               f"{done.returncode} {done.stderr}")
        shutil.rmtree(run_dir)


def one_address_twice():
    """Two nodes that both think they have it; a Node whose address is elsewhere; the way out."""
    manifest = zones.manifest("Always")
    with Lone("--node", "twin", manifest=manifest) as status:
        tap.ok("192.168.100.1 is that of Node a1; start culvertd with --node a1"
               in (status["node"]["problem"] or ""), "another's address is refused", status["node"])
        tap.ok(not A1.has(DEVICE), "… and there is no device")
        tap.equal(A1.run("ip route show proto 84").stdout, "", "… and no route")
    with Lone("--node", "a2", manifest=manifest) as status:
        tap.ok("Node a2 has the address 192.168.100.2, which no device" in (status["node"]["problem"] or ""),
               "an address of no device is refused", status["node"])
    with Lone("--node", "a1", manifest=manifest) as status:
        tap.equal((status["node"]["address"], status["node"]["problem"]), ("192.168.100.1/24", None), "--node a1")
    done = zones.cli("a1", "apply", "-f", "-", check=False, text=manifest + NODE.format(
        name="twin", address="192.168.100.2/24", tunnel="10.244.77.0"))
    tap.ok(done.returncode == 1 and "192.168.100.2" in done.stderr, "two Nodes with one address: refused", done.stderr)


def address_added_later():
    """The address comes when culvertd runs already, and goes, and comes again."""
    zones.apply(zones.manifest("CrossSubnet"))
    tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "with its address: it works")
    A1.ip("addr del 192.168.100.1/24 dev eth0")
    tap.ok(net.wait_for(lambda: "no device" in (zones.status("a1")["node"]["problem"] or ""), 3),
           "the address is gone: status says so", lambda: zones.status("a1")["node"])
    A1.ip("addr add 192.168.100.1/24 dev eth0", "route replace default via 192.168.100.254")
    tap.ok(net.wait_for(lambda: zones.status("a1")["node"]["problem"] is None, 3), "it is back")
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "b1") == "tunnel", 5), "… and works", zones.daemons["a1"].log)
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "a2", on="a2") == "direct", 5), "… also directly")


def cloud():
    """An address of /32 on the card, the gateway on link: CrossSubnet is always tunnel, and says so."""
    A2.ip("addr del 192.168.100.2/24 dev eth0", "addr add 192.168.100.2/32 dev eth0",
          "route add 192.168.100.254 dev eth0 scope link", "route add default via 192.168.100.254")
    for text in ("192.168.100.2/32", "192.168.100.2"):
        zones.apply(zones.manifest().replace("192.168.100.2/24", text))
        tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "a2", on="a2") == "tunnel", 5), f"{text}: a1 to a2 by the tunnel")
        tap.equal(path_taken(zones, "a2", "a1", on="a1"), "tunnel", "… and back")
        tap.equal(path_taken(zones, "a2", "b1"), "tunnel", "… and to b1")
        tap.equal(zones.status("a2")["node"]["address"], "192.168.100.2/32", "… and status of a2 shows it")
        peer = {p["name"]: p for p in zones.status("a1")["peers"]}["a2"]
        tap.ok(peer["path"] == "tunnel" and "/32" in peer["reason"], "… and that of a1, why", peer)
    A2.ip("addr del 192.168.100.2/32 dev eth0", "addr add 192.168.100.2/24 dev eth0",
          "route replace default via 192.168.100.254")
    zones.apply(zones.manifest())
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "a2", on="a2") == "direct", 5), "/24 again: direct")


def cards():
    """Two cards: the outer packets move to the other and back, both ways, and nothing is lost."""
    zones.apply(zones.manifest())
    tap.ok(net.wait_for(lambda: path_taken(zones, "a2", "b1") == "tunnel", 5), "at first")
    probes = [Probe(zones.pods["a1"], zones.pods["b1"], zones.pod("b1"), port=9000),
              Probe(zones.pods["b1"], zones.pods["a1"], zones.pod("a1"), port=9001)]
    first, second = zones.wire("a1"), R.wire("to-a1b", with_outgoing=True)

    def by():
        """The cards by which they go out and come in."""
        found = {}
        for name, wire in (("eth0", first), ("eth1", second)):
            wire.drain()
        time.sleep(0.05)
        for name, wire in (("eth0", first), ("eth1", second)):
            for packet in wire.collect(lambda p: p[9] == 4, timeout=0.05):
                found.setdefault("out" if packet[12:16] == b"\xc0\xa8\x64\x01" else "in", set()).add(name)
        return found

    time.sleep(0.2)
    tap.equal(by(), {"out": {"eth0"}, "in": {"eth0"}}, "at first: the first card")
    A1.ip("route add 192.168.200.2/32 via 192.168.150.254 dev eth1")
    tap.equal(by(), {"out": {"eth1"}, "in": {"eth0"}}, "a route by the second card: out by it")
    R.ip(f"route add 192.168.100.1/32 via {SECOND}")
    tap.equal(by(), {"out": {"eth1"}, "in": {"eth1"}}, "… and in by it")
    if culvert.MODE != culvert.ENGINE:
        before = zones.daemons["a1"].paths(DEVICE)
        time.sleep(0.3)
        after = zones.daemons["a1"].paths(DEVICE)
        tap.equal(after["handed_over"], before["handed_over"], "… by the fast path alone", )
    A1.ip("route del 192.168.200.2/32")
    R.ip("route del 192.168.100.1/32")
    tap.equal(by(), {"out": {"eth0"}, "in": {"eth0"}}, "back to the first card")
    for probe, way in zip(probes, ("out", "in")):
        sent, took = probe.end()
        tap.equal((sent["sent"] - took["unique"], sent["failed"]), (0, 0), f"{way}: none of {sent['sent']} is lost")
    first.close()
    second.close()


def address_change():
    """a2 moves to another address, which both sides have meanwhile: nobody notices."""
    zones.apply(zones.manifest())
    tap.ok(net.wait_for(lambda: path_taken(zones, "a2", "b1") == "tunnel", 5), "at first")
    probe = {pair: Probe(zones.pods[pair[0]], zones.pods[pair[1]], zones.pod(pair[1]), port=9000 + i)
             for i, pair in enumerate((("a1", "b1"), ("b1", "a1"), ("a1", "a2"), ("a2", "b1")))}
    time.sleep(0.2)
    A2.sysctl("net.ipv4.conf.all.promote_secondaries", 1)
    A2.ip("addr add 192.168.100.12/24 dev eth0")
    new = zones.manifest().replace("192.168.100.2/24", "192.168.100.12/24")
    begin = time.monotonic()
    zones.apply(new, ("a1", "b1", "a2"))  # the node itself last: the others know both by then
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "a2", on="a2") == "direct" and
                        path_taken(zones, "b1", "a2", on="a2") == "tunnel", 5), "the new address is in use")
    tap.note(f"after {time.monotonic() - begin:.2f} s")
    A2.ip("addr del 192.168.100.2/24 dev eth0")
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "a2", on="a2") == "direct", 5), "the old one is gone: direct")
    tap.ok(net.wait_for(lambda: path_taken(zones, "a2", "b1") == "tunnel", 5), "… and by the tunnel")
    tap.equal(zones.status("a2")["node"]["address"], "192.168.100.12/24", "status of a2")
    route = A1.run(f"ip route show {zones.block('a2')}").stdout
    tap.ok("via 192.168.100.12 dev eth0" in route and "100.2 " not in route, "a1's route is by the new one", route)
    for pair, each in probe.items():
        sent, took = each.end()
        tap.equal((sent["sent"] - took["unique"], sent["failed"]), (0, 0),
                  f"{pair[0]} to {pair[1]}: none of {sent['sent']} is lost")
    A2.ip("addr add 192.168.100.2/24 dev eth0")
    zones.apply(zones.manifest())
    A2.ip("addr del 192.168.100.12/24 dev eth0")
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "a2", on="a2") == "direct", 5), "and back")


if __name__ == "__main__":
    tap.main([detection, wrong_words, one_address_twice, address_added_later, cloud, cards,
              address_change, zones.clean_end], zones.before, zones.after)
