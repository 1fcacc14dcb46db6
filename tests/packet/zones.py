# SPDX-License-Identifier: Apache-2.0
"""
Three nodes in two zones, a router that knows no pod, and two hosts that have nothing to do with it:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                  ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘               │
                                  ├── office  192.168.7.7    (in the seed's pool, 192.168.0.0/16)
                                  └── outside 203.0.113.9

a1, a2 and b1 run culvertd (da1, da2, db1), each with a configuration directory of its own; tunnels,
routes and NAT are culvertd's business. Pods have the second address of their node's block; their
gateway is 169.254.1.1, as with Calico.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import culvert
import net
import tap
from cluster import plug_pod
from culvert import Culvertd
from shapes import end_cleanly, look_after

ADDRESSES = {"a1": "192.168.100.1", "a2": "192.168.100.2", "b1": "192.168.200.2"}
OFFICE, OUTSIDE = "192.168.7.7", "203.0.113.9"
NODES = ("a1", "a2", "b1")
STREAM = os.path.join(culvert.BUILD, "tests/packet/stream")
DEVICE = "culvert0"

POOL = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: {name}
spec:
  cidr: {cidr}
  ipipMode: {mode}
  natOutgoing: {nat}
  blockSize: {block_size}
"""

NODE = """\
---
apiVersion: projectcalico.org/v3
kind: Node
metadata:
  name: {name}
spec:
  bgp:
    ipv4Address: {address}
    ipv4IPIPTunnelAddr: {tunnel}
"""

BLOCK = """\
---
apiVersion: projectcalico.org/v3
kind: BlockAffinity
metadata:
  name: {node}-{dashed}
spec:
  cidr: {cidr}
  node: {node}
  state: confirmed
"""


def block_text(node, cidr):
    """A BlockAffinity."""
    return BLOCK.format(node=node, cidr=cidr, dashed=cidr.replace(".", "-").replace("/", "-"))


class Zones:
    """
    The network above. base: the first two numbers of the pool's addresses. pods: whether there are
    any. probing: whether the daemons probe paths. node: class of a1, a2 and b1.
    """

    def __init__(self, *arguments, base="10.244", offload=True, start=True, pods=True,
                 probing=False, node=net.Node):
        self.base = base
        self.has_pods = pods
        self.probing = probing
        self.arguments = arguments
        self.nodes = {name: node(name) for name in NODES}
        self.pods = {name: net.Node("p" + name) for name in NODES}
        self.r, self.office, self.outside = (net.Node(n) for n in ("r", "office", "outside"))
        for each in (*self.nodes.values(), self.r):
            each.forward()
        self.r.ip("link add br-a type bridge", "link set br-a up")
        for name in ("a1", "a2"):
            net.connect(self.nodes[name], "eth0", self.r, "to-" + name, offload=offload)
            self.r.ip(f"link set to-{name} master br-a")
        net.connect(self.nodes["b1"], "eth0", self.r, "to-b1", offload=offload)
        net.connect(self.office, "eth0", self.r, "to-office", offload=offload)
        net.connect(self.outside, "eth0", self.r, "to-outside", offload=offload)
        self.r.ip("addr add 192.168.100.254/24 dev br-a", "addr add 192.168.200.254/24 dev to-b1",
                  "addr add 192.168.7.254/24 dev to-office",
                  "addr add 203.0.113.254/24 dev to-outside")
        self.office.ip(f"addr add {OFFICE}/24 dev eth0", "route add default via 192.168.7.254")
        self.outside.ip(f"addr add {OUTSIDE}/24 dev eth0",
                        "route add default via 203.0.113.254")
        for name, host in self.nodes.items():
            address = ADDRESSES[name]
            gateway = address.rsplit(".", 1)[0] + ".254"
            host.ip(f"addr add {address}/24 dev eth0", f"route add default via {gateway}")
            if pods:
                plug_pod(self.pods[name], host, "pod0", self.pod(name), offload)
        self.daemons = {}
        self.config = {}
        if start:
            self.start()

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
        return f"{self.base}.{self.number(name)}.0/24"

    def start(self, names=NODES):
        """Start the daemons."""
        modes = dict.fromkeys(NODES, culvert.MODE)
        if culvert.MODE == culvert.MIXED:
            modes = {"a1": culvert.ENGINE, "a2": culvert.FASTPATH, "b1": culvert.ENDPOINTS}
        for name in names:
            self.config[name] = tempfile.mkdtemp(prefix=f"culvert-config-{name}-")
            # Before the daemon is registered there: it is to end first.
            atexit.register(shutil.rmtree, self.config[name], ignore_errors=True)
            self.daemons[name] = Culvertd(
                self.nodes[name], "--config", self.config[name], "--node", name, *self.arguments,
                mode=modes[name], probing=self.probing, endpoints=(("pod0", self.pod(name)),) if self.has_pods else ())

    def manifest(self, mode="CrossSubnet", nat=True, names=NODES):
        """One manifest for all of it."""
        text = POOL.format(name="default-ipv4-ippool", cidr=f"{self.base}.0.0/16", mode=mode,
                           nat="true" if nat else "false", block_size=24)
        for name in names:
            text += NODE.format(name=name, address=ADDRESSES[name] + "/24",
                                tunnel=self.tunnel_address(name))
            text += block_text(name, self.block(name))
        return text

    def cli(self, name, *words, check=True, text=None):
        """culvert on a node; CompletedProcess. text: what it reads."""
        daemon = self.daemons[name]
        return self.nodes[name].run(
            [os.path.join(culvert.BUILD, "culvert"), "--run-dir", daemon.run_dir, *words],
            check=check, input=text)

    def apply(self, text, names=NODES):
        """Apply a manifest on nodes, one after the other."""
        for name in names:
            self.cli(name, "apply", "-f", "-", text=text)

    def status(self, name):
        """culvert -j status."""
        return json.loads(self.cli(name, "-j", "status").stdout)

    def wire(self, name):
        """What the router sends to and gets from a node."""
        return self.r.wire(f"to-{name}", with_outgoing=True)

    def before(self, name):
        """For tap.main()."""
        tap.note(name)

    def after(self, name, failed):
        """For tap.main(): say what the daemons said, if something failed."""
        look_after(self.daemons.values(), name, failed)

    def clean_end(self):
        """A last test: all daemons end well, and leave nothing when they are purged."""
        end_cleanly(self.daemons.values())
        for name, daemon in self.daemons.items():
            daemon.purge()
            left = self.nodes[name].run("ip route show proto 84").stdout
            tap.equal(left, "", f"{name}: purge leaves no route of ours")
            tap.ok(not self.nodes[name].has(DEVICE), f"{name}: … and no device")
            tables = self.nodes[name].run("nft list tables").stdout
            tap.ok("culvert" not in tables, f"{name}: … and no table", tables)


def path_taken(zones, source, target, address=None, on=None):
    """
    How a ping from source's pod to target's (or to an address) crosses the wire of node `on` (the
    target): "tunnel", "direct", or None (not seen or not answered).
    """
    wire = zones.wire(on or target)
    wire.drain()
    destination = address or zones.pod(target)
    done = zones.pods[source].run(["ping", "-n", "-c1", "-W2", destination], check=False)
    inner = bytes(map(int, destination.split(".")))

    def kind(packet):
        """Of an echo request of ours."""
        if packet[9] == 1 and packet[16:20] == inner and packet[20] == 8:
            return "direct"
        if packet[9] == 4 and packet[29] == 1 and packet[36:40] == inner and packet[40] == 8:
            return "tunnel"
        return None

    try:
        kinds = {kind(p) for p in wire.collect(kind, timeout=0.3, quiet=0.05)}
    finally:
        wire.close()
    if done.returncode:
        return None
    return kinds.pop() if len(kinds) == 1 else None if not kinds else "both"


class Probe:
    """Numbered packets from one pod to another's address, of which not one may be missed."""

    def __init__(self, source, target, address, port=9000, rate=1000):
        self.take = target.spawn([STREAM, "take", address, str(port)], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.take.stderr.readline()
        self.send = source.spawn([STREAM, "send", address, str(port), str(rate)],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def end(self):
        """What each end of it says, when what was sent is there, or does not come."""
        self.send.send_signal(signal.SIGTERM)
        sent = json.loads(self.send.communicate(timeout=20)[0])
        self.take.send_signal(signal.SIGTERM)
        took = json.loads(self.take.communicate(f"{sent['sent']}\n", timeout=20)[0])
        return sent, took


class Iperf:
    """
    One TCP stream of iperf3 from a pod to another's address, at 200 Mbit/s: two run beside 6,000
    packets/s of probes in every datapath mode without a full queue on two cores.
    """

    def __init__(self, source, target, address):
        self.listen = target.spawn(["iperf3", "-s", "-1", "-B", address],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        net.wait_for(lambda: f"{address}:5201 " in target.run("ss -Hltn").stdout, 5)
        # -t 0: until it is ended; it says all the same what was.
        self.send = source.spawn(["iperf3", "-J", "-i", "0.5", "-b", "200M", "-t", "0", "-c", address],
                                 stdout=subprocess.PIPE, text=True)

    def end(self):
        """Bytes sent in each half second, and what went wrong, or None."""
        self.send.send_signal(signal.SIGINT)
        said = json.loads(self.send.communicate(timeout=10)[0])
        net.stop(self.listen)
        intervals = [each["sum"]["bytes"] for each in said["intervals"] if each["sum"]["seconds"] > 0.4]
        error = said.get("error")
        return intervals, None if not error or "interrupt" in error else error
