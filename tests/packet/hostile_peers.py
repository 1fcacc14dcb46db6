# SPDX-License-Identifier: Apache-2.0
"""
The network of zones.py with BGP on its three nodes, and two peers that mean no good:

     h 192.168.100.66   a node of the mesh that was taken over: in a1's subnet, AS 64512
     office 192.168.7.7 a router, AS 65066, which a1 peers with (BGPPeer "tor"), behind a gateway
     outside 203.0.113.9   whom a1 has a password with (BGPPeer "locked"), which it may not know

What they say, speaker.py says. The good nodes' BIRDs are those that culvertd runs.
"""

import contextlib
import json
import os
import socket
import struct
import time

import net
import tap
from speaker import Speaker
from zones import ADDRESSES, NODES, OFFICE, OUTSIDE, Probe, Zones, block_text

NODE_WITHOUT_TUNNEL = """\
---
apiVersion: projectcalico.org/v3
kind: Node
metadata:
  name: {name}
spec:
  bgp:
    ipv4Address: {address}
"""

BGP = """\
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata:
  name: default
spec: {}
"""

PEERS = """\
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata:
  name: tor
spec:
  node: a1
  peerIP: OFFICE
  asNumber: 65066
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata:
  name: locked
spec:
  node: a1
  peerIP: OUTSIDE
  asNumber: 65067
  password:
    secretKeyRef:
      name: bgp
      key: locked
"""

H, H_BLOCK = "192.168.100.66", "10.244.66.0/24"
TOR_AS, LOCKED_AS = 65066, 65067
PASSWORD = "correct horse battery staple"
GOOD_SESSIONS = tuple((a, b) for a in NODES for b in NODES if a != b)


class HostilePeers(Zones):
    """The network, with the sessions of the good nodes up."""

    def __init__(self):
        super().__init__()
        self.h = net.Node("h")
        net.connect(self.h, "eth0", self.r, "to-h", offload=True)
        self.r.ip("link set to-h master br-a")
        self.h.ip(f"addr add {H}/24 dev eth0", "route add default via 192.168.100.254")
        self.secret("a1", "bgp", "locked", PASSWORD)
        text = self.manifest() + NODE_WITHOUT_TUNNEL.format(name="h", address=H + "/24")
        text += block_text("h", H_BLOCK) + BGP
        for name in NODES:
            more = PEERS if name == "a1" else ""
            self.apply(text + more.replace("OFFICE", OFFICE).replace("OUTSIDE", OUTSIDE), [name])
        self.since = {}
        self.probes = {}
        self.from_h = Speaker(self.h, H, ADDRESSES["a1"])
        # To the others, h is as it should be.
        self.honest = [Speaker(self.h, H, ADDRESSES[name]) for name in ("a2", "b1")]
        self.from_tor = Speaker(self.office, OFFICE, ADDRESSES["a1"], as_number=TOR_AS)

    def secret(self, name, secret, key, text):
        """A file of a secret in a node's configuration directory."""
        directory = os.path.join(self.config[name], "secrets", secret)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        with open(os.path.join(directory, key), "w", encoding="utf-8") as f:
            f.write(text)

    def bgp(self, name, *words):
        """culvert -j bgp …"""
        return json.loads(self.cli(name, "-j", "bgp", *words).stdout)

    def bird(self, name, *words):
        """What a node's BIRD says."""
        return self.nodes[name].run(["birdc", "-s", self.bird_socket(name), *words],
                                    check=False).stdout

    def bird_socket(self, name):
        """Of its BIRD's control."""
        return os.path.join(self.daemons[name].run_dir, "bird/bird.ctl")

    def bird_pid(self, name):
        """Of its BIRD."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.bird_socket(name))
            return struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def peers(self, name):
        """What culvert says of its sessions, by the other end's address."""
        return {peer["address"]: peer for peer in self.bgp(name, "peers")["peers"]}

    def refused(self, name="a1"):
        """Why each prefix that is refused is: by prefix."""
        return {route["prefix"]: route["refused"]
                for route in self.bgp(name, "routes", "--refused")["routes"]}

    def routes(self, name="a1"):
        """All of the kernel's routes in the main table."""
        shown = self.nodes[name].run("ip -4 route show").stdout.splitlines()
        return sorted(line.strip() for line in shown)

    def good_are_up(self):
        """The sessions of the mesh among the good nodes: all since when, or None."""
        since = {}
        for name in NODES:
            peers = self.peers(name)
            for other in NODES:
                if other == name:
                    continue
                peer = peers.get(ADDRESSES[other])
                if not peer or not peer["established"]:
                    return None
                since[name, other] = peer["since"]
        return since

    def handed_over(self):
        """True if BIRD has put the way to every good node's block into every good kernel, alone."""
        if any("metric 64" in route for name in NODES for route in self.routes(name)):
            return False
        return all(f"{self.block(b)} via {ADDRESSES[b]} " in self.nodes[a].run(
            f"ip route show {self.block(b)} proto bird").stdout for a, b in GOOD_SESSIONS)

    def watch(self):
        """From now on, no packet between good nodes' pods may be lost, and no session of theirs end."""
        self.since = self.good_are_up()
        for i, (a, b) in enumerate(GOOD_SESSIONS):
            self.probes[a, b] = Probe(self.pods[a], self.pods[b], self.pod(b), port=9000 + i,
                                      rate=200)
        time.sleep(0.3)

    def unharmed(self):
        """Assert that."""
        for (a, b), probe in self.probes.items():
            sent, took = probe.end()
            tap.equal((sent["sent"] - took["unique"], sent["failed"]), (0, 0),
                      f"{a} to {b}: none of {sent['sent']} packets is lost")
        self.probes = {}
        tap.equal(self.good_are_up(), self.since, "no session between good nodes has ended")

    def restart(self, address, name="a1"):
        """BIRD waits long after a protocol's error; a test need not."""
        self.bird(name, "restart", self.peers(name)[address]["name"])

    def up(self, speaker, timeout=20):
        """Have a hostile peer's session up; True if it is."""
        deadline = time.monotonic() + timeout
        while not speaker.established and time.monotonic() < deadline:
            speaker.close()
            # Again and again: what BIRD still takes down waits all the same.
            self.restart(speaker.local)
            speaker.up(2)
        return speaker.established

    def costs(self, name="a1"):
        """What BIRD and culvertd of a node have cost so far: memory in MB, CPU seconds, bytes of logs."""
        return Costs(self, name)


class Costs:
    """See HostilePeers.costs()."""

    def __init__(self, lab, name):
        pids = {"bird": lab.bird_pid(name), "culvertd": lab.daemons[name].process.pid}
        self.cpu = {word: _cpu(pid) for word, pid in pids.items()}
        self.memory = {word: _resident(pid) for word, pid in pids.items()}
        self.log = sum(map(_size, _logs(lab.daemons[name])))
        self.at = time.monotonic()

    def since(self, before):
        """(CPU of bird, of culvertd in percent, memory that came, in MB, bytes of log)."""
        seconds = self.at - before.at
        return {"bird": (self.cpu["bird"] - before.cpu["bird"]) / seconds * 100,
                "culvertd": (self.cpu["culvertd"] - before.cpu["culvertd"]) / seconds * 100,
                "bird_mb": self.memory["bird"] - before.memory["bird"],
                "culvertd_mb": self.memory["culvertd"] - before.memory["culvertd"],
                "log": self.log - before.log}


def _logs(daemon):
    directory = os.path.join(daemon.run_dir, "bird")
    with contextlib.suppress(OSError):
        return [daemon.log_path, *(os.path.join(directory, name) for name in os.listdir(directory)
                                   if ".log" in name)]
    return [daemon.log_path]


def _size(path):
    with contextlib.suppress(OSError):
        return os.path.getsize(path)
    return 0


def _cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024
