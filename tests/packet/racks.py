# SPDX-License-Identifier: Apache-2.0
"""
Five nodes in three racks, each a subnet behind a top-of-rack router of its own:

     pa1 ── a1 .1 ┐ 192.168.100.0/24
     pa2 ── a2 .2 ┴─ .254 ta ──────────┐
                          └ sa 172.31.1.9
     pb1 ── b1 .1 ┐ 192.168.200.0/24   │
     pb2 ── b2 .2 ┴─ .254 tb ──────────┼ r ── outside 203.0.113.9
                          └ sb 172.31.2.9
     pc1 ── c1 .1 ┐ 192.168.210.0/24   │
                  └─ .254 tc ──────────┘
                          └ sc 172.31.3.9

No router knows a pod, unless a test lets it peer; the routers know the racks by static routes, and
of the servers sa, sb and sc only their own. The nodes run culvertd, each with a configuration
directory of its own. A node's block is a /26 (BASE.NUMBER.0/26), its pod the second address of it.
"""

import atexit
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

import culvert
import net
import packets
import tap
from cluster import plug_pod
from culvert import Culvertd
from shapes import end_cleanly, look_after
from zones import DEVICE, NODE, POOL, Probe, block_text

ADDRESSES = {"a1": "192.168.100.1", "a2": "192.168.100.2", "b1": "192.168.200.1",
             "b2": "192.168.200.2", "c1": "192.168.210.1"}
NODES = tuple(ADDRESSES)
PAIRS = [(a, b) for a in NODES for b in NODES if a != b]
# By rack: number of its servers' network, its own; AS numbers of routers that peer are 65100 and it.
RACKS = {"a": (1, "192.168.100"), "b": (2, "192.168.200"), "c": (3, "192.168.210")}
OUTSIDE = "203.0.113.9"
METRIC_BIRD, METRIC_AGENT = 31, 64
METRIC_EXTERNAL = 32  # BIRD's default: of one that an operator runs

BGP = """\
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata:
  name: default
spec: {spec}
"""


def bgp_text(**fields):
    """The BGPConfiguration "default", with these fields."""
    return BGP.format(spec=json.dumps(fields))


def server(rack):
    """The address of a rack's server."""
    return f"172.31.{RACKS[rack][0]}.9"


def server_net(rack):
    """The network that it is in."""
    return f"172.31.{RACKS[rack][0]}.0/24"


def gateway(rack):
    """The address of a rack's router."""
    return RACKS[rack][1] + ".254"


class Racks:
    """
    The network above. base: the first two numbers of the pool's addresses. arguments: of the
    daemons.
    """

    def __init__(self, *arguments, base="10.244", start=True, probing=False):
        self.base = base
        self.probing = probing
        self.arguments = arguments
        self.r, self.outside = net.Node("r"), net.Node("outside")
        self.r.forward()
        self.nodes = {name: net.Node(name) for name in NODES}
        self.pods = {name: net.Node("p" + name) for name in NODES}
        self.tors = {rack: net.Node("t" + rack) for rack in RACKS}
        self.servers = {rack: net.Node("s" + rack) for rack in RACKS}
        net.connect(self.outside, "eth0", self.r, "to-outside", offload=True)
        self.outside.ip(f"addr add {OUTSIDE}/24 dev eth0", "route add default via 203.0.113.254")
        self.r.ip("addr add 203.0.113.254/24 dev to-outside")
        for rack in RACKS:
            self._rack(rack)
        self.daemons = {}
        self.config = {}
        if start:
            self.start()

    def _rack(self, rack):
        number, subnet = RACKS[rack]
        tor = self.tors[rack]
        tor.forward()
        # Equal-cost routes of a router that has learned a pod by several nodes.
        tor.sysctl("net.ipv4.fib_multipath_hash_policy", 1)
        net.connect(tor, "uplink", self.r, "to-t" + rack, offload=True)
        net.connect(self.servers[rack], "eth0", tor, "servers", offload=True)
        tor.ip("link add nodes type bridge", "link set nodes up",
               f"addr add {gateway(rack)}/24 dev nodes", f"addr add 172.31.{number}.254/24 dev servers",
               f"addr add 172.30.{number}.2/24 dev uplink", f"route add default via 172.30.{number}.1")
        self.r.ip(f"addr add 172.30.{number}.1/24 dev to-t{rack}",
                  f"route add {subnet}.0/24 via 172.30.{number}.2")
        self.servers[rack].ip(f"addr add {server(rack)}/24 dev eth0",
                              f"route add default via 172.31.{number}.254")
        for name in (n for n in NODES if n[0] == rack):
            node = self.nodes[name]
            node.forward()
            node.sysctl("net.ipv4.fib_multipath_hash_policy", 1)
            net.connect(node, "eth0", tor, "to-" + name, offload=True)
            tor.ip(f"link set to-{name} master nodes")
            node.ip(f"addr add {ADDRESSES[name]}/24 dev eth0", f"route add default via {gateway(rack)}")
            plug_pod(self.pods[name], node, "pod0", self.pod(name))

    def number(self, name):
        """Of the node's block."""
        return NODES.index(name) + 1

    def pod(self, name):
        """The address of the node's pod."""
        return f"{self.base}.{self.number(name)}.2"

    def tunnel_address(self, name):
        """That of the node's pool device."""
        return f"{self.base}.{self.number(name)}.0"

    def block(self, name):
        """The node's."""
        return f"{self.base}.{self.number(name)}.0/26"

    def start(self, arguments=()):
        """Start the daemons. arguments: by node, more of them."""
        more = dict(arguments)
        for i, name in enumerate(NODES):
            mode = culvert.MODE
            if mode == culvert.MIXED:
                mode = (culvert.ENGINE, culvert.FASTPATH, culvert.ENDPOINTS)[i % 3]
            self.config[name] = tempfile.mkdtemp(prefix=f"culvert-config-{name}-")
            # Before the daemon is registered there: it is to end first.
            atexit.register(shutil.rmtree, self.config[name], ignore_errors=True)
            self.daemons[name] = Culvertd(
                self.nodes[name], "--config", self.config[name], "--node", name, *self.arguments,
                *more.get(name, ()), mode=mode, probing=self.probing, endpoints=(("pod0", self.pod(name)),))

    def cluster(self, mode="CrossSubnet", labels=(), clusters=(), nat=True, pool_words=""):
        """
        What all nodes know: the pool, all Nodes. labels: by node, a dict. clusters: by node, its
        routeReflectorClusterID. pool_words: more lines of the pool's spec.
        """
        text = POOL.format(name="default-ipv4-ippool", cidr=f"{self.base}.0.0/16", mode=mode,
                           nat="true" if nat else "false", block_size=26) + pool_words
        labels, clusters = dict(labels), dict(clusters)
        for name in NODES:
            node = NODE.format(name=name, address=ADDRESSES[name] + "/24",
                               tunnel=self.tunnel_address(name))
            own = json.dumps({"rack": name[0], **labels.get(name, {})})
            node = node.replace("spec:\n", f"  labels: {own}\nspec:\n", 1)
            if name in clusters:
                node += f"    routeReflectorClusterID: {clusters[name]}\n"
            text += node
        return text

    def manifest(self, name, *more, declared=False, **words):
        """A node's manifest: the cluster, its own block (declared: all blocks), and more."""
        names = NODES if declared else (name,)
        blocks = "".join(block_text(n, self.block(n)) for n in names)
        return self.cluster(**words) + blocks + "".join(more)

    def cli(self, name, *words, check=True, text=None):
        """culvert on a node; CompletedProcess. text: what it reads."""
        return self.nodes[name].run(
            [os.path.join(culvert.BUILD, "culvert"), "--run-dir", self.daemons[name].run_dir, *words],
            check=check, input=text)

    def apply(self, *more, names=NODES, pause=0, **words):
        """manifest() on nodes, one after the other."""
        for name in names:
            self.cli(name, "apply", "-f", "-", text=self.manifest(name, *more, **words))
            time.sleep(pause)

    def json(self, name, *words):
        """What culvert -j says."""
        return json.loads(self.cli(name, "-j", *words).stdout)

    def status(self, name):
        """culvert -j status."""
        return self.json(name, "status")

    def secret(self, name, secret, key, text):
        """A file of a secret in a node's configuration directory."""
        directory = os.path.join(self.config[name], "secrets", secret)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        with open(os.path.join(directory, key), "w", encoding="utf-8") as f:
            f.write(text)

    def wire(self, name):
        """What the rack's router sends to and gets from a node."""
        return self.tors[name[0]].wire(f"to-{name}", with_outgoing=True)

    def routes(self, name, words=""):
        """The node's routes, without the trailing blank of `ip`."""
        shown = self.nodes[name].run(f"ip route show {words}").stdout
        return [line.rstrip() for line in shown.splitlines()]

    def route_to(self, name, prefix, metric=None):
        """The lines of the node's route to a prefix (None: there is none)."""
        words = f"exact {prefix}" + (f" metric {metric}" if metric else "")
        shown = self.nodes[name].run(f"ip route show {words}").stdout
        return " ".join(shown.split()) or None

    def knows(self, name, other, path=None, metric=METRIC_BIRD):
        """True if the node has a route to the other's block (by "tunnel", "direct")."""
        route = self.route_to(name, self.block(other), metric)
        if route is None or f"via {ADDRESSES[other]} " not in route + " ":
            return False
        by = "tunnel" if f"dev {DEVICE}" in route else "direct"
        return path is None or by == path

    def converge(self, paths=None, metric=METRIC_BIRD, pairs=None, timeout=20):
        """Wait until all nodes know all others; the pairs that do not, or not by that path."""
        paths = paths or {}
        missing = list(pairs or PAIRS)

        def look():
            missing[:] = [p for p in missing if not self.knows(*p, paths.get(p), metric)]
            return not missing

        net.wait_for(look, timeout)
        return missing

    def bird(self, name, *words):
        """What a node's supervised BIRD says."""
        socket = os.path.join(self.daemons[name].run_dir, "bird/bird.ctl")
        return self.nodes[name].run(["birdc", "-s", socket, *words], check=False).stdout

    def bird_pid(self, name):
        """The process of a node's supervised BIRD, or None: whoever listens on its socket."""
        return listener(self.nodes[name], os.path.join(self.daemons[name].run_dir, "bird/bird.ctl"))

    def underlay_knows(self, on):
        """Tell (or let forget) the routers where pods are: what Never needs."""
        for name in NODES:
            number, _ = RACKS[name[0]]
            verb = "replace" if on else "del"
            self.r.ip(f"route {verb} {self.block(name)} via 172.30.{number}.2")
            self.tors[name[0]].ip(f"route {verb} {self.block(name)} via {ADDRESSES[name]}")

    def probes(self, pairs=PAIRS, port=9000, rate=1000):
        """Numbered packets between pods: see lossless()."""
        started = {pair: Probe(self.pods[pair[0]], self.pods[pair[1]], self.pod(pair[1]),
                               port=port + i, rate=rate) for i, pair in enumerate(pairs)}
        time.sleep(0.3)
        return started

    def accepted(self, name, outer, inner):
        """
        True if a node gives its pod what comes by IP-in-IP from `outer`, with a source `inner`.
        The router puts it on the node's wire, whoever sends from there really.
        """
        tor, node = self.tors[name[0]], self.nodes[name]
        pod, wire = self.pods[name].wire("eth0"), tor.wire(f"to-{name}")
        frame = node.mac("eth0") + tor.mac("nodes") + b"\x08\x00" + packets.outer(
            packets.udp(inner, self.pod(name)), outer, ADDRESSES[name])
        source = bytes(map(int, inner.split(".")))
        try:
            pod.drain()
            wire.send(frame)
            return pod.expect(lambda p: p[12:16] == source and p[9] == 17, 0.3) is not None
        finally:
            pod.close()
            wire.close()

    def spread(self, source, address, count=60):
        """The packets of `count` flows from a node's pod to an address, on the pod's way out."""
        for i in range(count):
            with self.pods[source].socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
                s.bind(("", 20000 + i))
                s.sendto(b"flow", (address, 7000))

    def before(self, name):
        """For tap.main()."""
        tap.note(name)

    def after(self, name, failed):
        """For tap.main(): say what the daemons said, if something failed."""
        look_after(self.daemons.values(), name, failed)
        for node in self.daemons if failed else ():
            with contextlib.suppress(OSError), \
                    open(os.path.join(self.daemons[node].run_dir, "bird/bird.log"),
                         encoding="utf-8", errors="replace") as f:
                tap.note(f"{node}: " + f"\n{node}: ".join(f.read().splitlines()[-6:]))

    def clean_end(self):
        """A last test: all daemons end well, and leave nothing when they are purged."""
        pids = {name: self.bird_pid(name) for name in self.daemons}
        end_cleanly(self.daemons.values())
        for name, daemon in self.daemons.items():
            daemon.purge()
            left = self.routes(name, "proto 84") + self.routes(name, "proto bird")
            tap.equal(left, [], f"{name}: purge leaves no route of ours, nor of BIRD's")
            tap.ok(not self.nodes[name].has(DEVICE), f"{name}: … and no device")
        # They are nobody's children any more: init takes its time to bury them.
        def live():
            return [p for p in pids.values() if p and os.path.exists(f"/proc/{p}")]

        tap.ok(net.wait_for(lambda: not live(), 5), "… and nowhere a BIRD", live)


def listener(node, path):
    """The process in a node that has bound a Unix socket, or None."""
    for line in node.run("ss -xlpH").stdout.splitlines():
        if f" {path} " in line and "pid=" in line:
            return int(line.partition("pid=")[2].partition(",")[0])
    return None


def lossless(probes, what=""):
    """End probes(); assert that none of their packets is lost."""
    for pair, probe in probes.items():
        sent, took = probe.end()
        tap.equal((sent["sent"] - took["unique"], sent["failed"]), (0, 0),
                  f"{what}{pair[0]} to {pair[1]}: none of {sent['sent']} packets is lost")


class Monitor:
    """What `ip monitor route` says of nodes from now on, but of the cache."""

    def __init__(self, racks, names=NODES):
        self.children = {name: racks.nodes[name].spawn(
            ["ip", "-o", "monitor", "route", "address"], stdout=subprocess.PIPE, text=True)
            for name in names}
        time.sleep(0.2)

    def end(self):
        """The lines, by node; only of nodes that have any."""
        said = {}
        for name, child in self.children.items():
            net.stop(child)
            lines = [line.strip() for line in child.stdout.read().splitlines()]
            said[name] = [line for line in lines if line and "cache" not in line]
        return {name: lines for name, lines in said.items() if lines}


def taken(wire, inner_destination, seconds=0.3, send=lambda: None):
    """
    How packets (UDP or ICMP echo requests) to an inner address cross a wire while send() runs and
    for so many seconds after: the set of "direct" and ("tunnel", OUTER DESTINATION).
    """
    inner = bytes(map(int, inner_destination.split(".")))
    wire.drain()
    send()

    def kind(packet):
        if packet[9] in (1, 6, 17) and packet[16:20] == inner:
            return "direct"
        if packet[9] == 4 and packet[36:40] == inner:
            return ("tunnel", ".".join(map(str, packet[16:20])))
        return None

    return {kind(p) for p in wire.collect(kind, timeout=seconds, quiet=0.1)}


def example(name):
    """A file of doc/examples."""
    with open(os.path.join(culvert.ROOT, "doc/examples", name), encoding="utf-8") as f:
        return ("---\n" if name.endswith(".yaml") else "") + f.read()
