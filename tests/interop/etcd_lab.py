# SPDX-License-Identifier: Apache-2.0
"""
Three culvertd nodes (../packet/zones.py) that have their resources and addresses in a real etcd of
three members (../packet/etcd.py), by a network of its own, and pods by the CNI plugin:

     pods ── a1 ┐                           a1 .11 ┐                ┌ .1 m1
     pods ── a2 ┴ br-a r right ── b1 ── pods    a2 .12 ┼ 192.168.90/24 ┼ .2 m2
                                            b1 .13 ┘    (mgmt0)     └ .3 m3
"""

import atexit
import os
import shutil
import statistics
import tempfile
import time

import cni
import etcd
import net
import tap
from shapes import look_after
from zones import ADDRESSES, NODES, Zones

MANAGEMENT = {name: f"{etcd.NETWORK}{11 + i}" for i, name in enumerate(NODES)}
POOLS = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pods}}
spec: {{cidr: 10.244.0.0/20, blockSize: 26, ipipMode: CrossSubnet, natOutgoing: true}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: single}}
spec: {{cidr: 10.244.128.0/20, blockSize: 32, ipipMode: CrossSubnet, nodeSelector: "{selector}"}}
"""
NODE = """\
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {{name: {name}}}
spec: {{bgp: {{ipv4Address: {address}/24}}}}
"""
RATE = 1000


class Pod:
    """A pod of a node, by ADD. seconds: how long that took."""

    def __init__(self, lab, name, node, address, seconds):
        self.lab, self.name, self.on, self.address, self.seconds = lab, name, name, address, seconds
        self.node = node


class EtcdLab:
    """The lab above. tls: with client certificates, one for each node. quota_bytes: of etcd."""

    def __init__(self, purpose, tls=False, probing=False, **options):
        self.home = tempfile.mkdtemp(prefix=f"culvert-{purpose}-")
        atexit.register(shutil.rmtree, self.home, ignore_errors=True)
        self.certificates = etcd.Certificates(os.path.join(self.home, "ca")) if tls else None
        self.lan = etcd.Lan()
        self.cluster = etcd.Cluster.on(self.lan, 3, tls=self.certificates,
                                       client_certificates=tls, **options)
        self.datastores, self.numbers, self.pods, self.networks = {}, 0, {}, {}
        self.zones = Zones("--datastore", os.path.join(self.home, "datastore.cfg"), pods=False,
                           start=False, probing=probing)
        self.cluster.datastore(os.path.join(self.home, "datastore.cfg"),
                               certificate=self.issue() if tls else None)
        for name, address in MANAGEMENT.items():
            self.lan.plug(name, address, node=self.zones.nodes[name], interface="mgmt0")

    def issue(self, **dates):
        """A client's certificate (all nodes have one), new or anew."""
        return self.certificates.issue("node", **dates)

    def start(self, selector="all()"):
        """Start the daemons, and give them pools and nodes, by one of them."""
        self.zones.start()
        text = POOLS.format(selector=selector)
        for name in NODES:
            text += NODE.format(name=name, address=ADDRESSES[name])
        self.zones.apply(text, names=NODES[:1])
        for name in NODES:
            self.networks[name] = cni.Network(self.zones.nodes[name], self.conflist(name))

    def conflist(self, name, **ipam):
        """Of a node's pods."""
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": [
            {"type": cni.PLUGIN, "clsact": True, "runDir": self.zones.daemons[name].run_dir,
             "ipam": {"type": cni.PLUGIN, **ipam}}]}

    # ---- pods

    def add(self, name, network=None):
        """A new pod on a node; raises cni.Failure."""
        self.numbers += 1
        container, node = f"{name}-{self.numbers}", net.Node(f"pod-{name}-{self.numbers}")
        network = network or self.networks[name]
        began = time.monotonic()
        try:
            result = network.add(container, node.path)
        except cni.Failure:
            # As runtimes do; an agent that is cut off cleans up later.
            try:
                network.delete(container, node.path)
            except cni.Failure as failure:
                tap.note(f"DEL after a failed ADD: {failure}")
            raise
        pod = Pod(self, name, node, result["ips"][0]["address"].split("/")[0],
                  time.monotonic() - began)
        pod.container, pod.network = container, network
        self.pods[container] = pod
        return pod

    def remove(self, pod):
        """DEL."""
        pod.network.delete(pod.container, pod.node.path)
        del self.pods[pod.container]

    # ---- looking

    def status(self, name):
        """culvert -j status."""
        return self.zones.status(name)

    def says(self, name):
        """What `culvert status` says to people."""
        return self.zones.cli(name, "status").stdout

    def doctor(self, name):
        """What `culvert doctor` says to people."""
        return self.zones.cli(name, "doctor", check=False).stdout

    def problem(self, name):
        """The store's, or None."""
        return self.status(name)["store"]["problem"]

    def is_well(self):
        """No node has a problem with its store."""
        return not any(self.problem(name) for name in NODES)

    def after(self, name, failed):
        """For tap.main()."""
        look_after(self.zones.daemons.values(), name, failed)
        if failed:
            for member in self.cluster.members:
                tap.note(f"{member.name}: " + "\n".join(member.log().splitlines()[-5:]))

    # ---- convergence

    def converge(self, name, other, network=None):
        """
        ADD on a node, and then echo requests from another node's pod, one each millisecond, until the
        first is answered: (seconds of ADD, seconds from its end to the answer, the pod).
        """
        pod = self.add(name, network)
        source = other.node.socket(net.socket.AF_INET, net.socket.SOCK_RAW,
                                   net.socket.IPPROTO_ICMP)
        began = time.monotonic()
        with source:
            source.settimeout(0.001)
            source.connect((pod.address, 0))
            while time.monotonic() - began < 10:
                try:
                    source.send(ECHO)
                    if source.recv(256)[20] == 0:
                        return pod.seconds, time.monotonic() - began, pod
                except (TimeoutError, OSError):
                    time.sleep(0.0005)
        raise RuntimeError(f"{pod.address} on {name} does not answer {other.address}")


# An echo request, whose checksum is right: type 8, identifier 0x6376, sequence number 1.
ECHO = b"\x08\x00" + (0xffff - (0x0800 + 0x6376 + 1)).to_bytes(2, "big") + b"\x63\x76\x00\x01"


def convergence(lab, rounds=20):
    """
    Medians in milliseconds: {"add", "first ping", "both"} of ADDs that need no new block, and the
    same of those that each claim one. Called by tests/bench/etcd, and by benchmarks of pods.
    """
    watcher = lab.add("b1")
    single = cni.Network(lab.zones.nodes["a1"], lab.conflist("a1", pools=["single"]))
    lab.add("a1")  # the block of the first sort
    found = {}
    for what, network in (("in a block that is there", None), ("with a new block", single)):
        rows = []
        for _ in range(rounds):
            add, ping, pod = lab.converge("a1", watcher, network)
            rows.append((add, ping, add + ping))
            lab.remove(pod)
        found[what] = {key: [row[i] * 1000 for row in rows]
                       for i, key in enumerate(("add", "first ping", "both"))}
    lab.remove(watcher)
    return found


def median(values):
    """As text."""
    return f"{statistics.median(values):.1f}"
