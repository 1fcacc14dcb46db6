# SPDX-License-Identifier: Apache-2.0
"""
One node and one peer that announces many prefixes, which are to be tunnelled to it:

    self 10.99.0.1 ── eth0 ── peer 10.99.0.2      100.64.0.0/10: the pool; every prefix is a /26 of it

The node is Culvert's (culvertd and the BIRD that it runs) or has a BIRD with a configuration by hand.
"""

import atexit
import contextlib
import datetime
import os
import shutil
import signal
import socket
import struct
import tempfile
import time

import bgp_watch
import culvert
import net
from bgp_mesh import AS, DEVICE, MINIMAL_HEAD, POOL, address, block
from zones import NODE, POOL as POOL_TEXT, block_text

SELF, PEER = address(0), address(1)
HOLD_S = 3  # three times the keepalive time of 1 s that the BGPPeer has
RESTART_S = 5  # how long the node waits for a peer's BIRD that was killed

MINIMAL = MINIMAL_HEAD + """\
protocol bgp peer {
	local SELF as 64512;
	neighbor PEER as 64512;
	multihop;
	hold time 3;
	graceful restart;
	ipv4 { gateway recursive; igp table links; import all; export where proto = "blocks"; };
}
"""

ANNOUNCER = """\
log "DIRECTORY/bird.log" all;
timeformat log iso long ms;
router id PEER;
protocol device {}
ipv4 table links;
protocol direct { ipv4 { table links; import all; }; }
protocol static many { ipv4; ROUTES }
protocol bgp node {
	debug { events };
	disabled;
	local PEER as 64512;
	neighbor SELF as 64512;
	multihop;
	hold time 3;
	connect delay time 1;
	connect retry time 1;
	error wait time 1, 1;
	graceful restart;
	graceful restart time RESTART;
	ipv4 { gateway recursive; igp table links; import all; export where proto = "many"; };
}
"""

MANIFEST = """\
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata:
  name: default
spec:
  nodeToNodeMeshEnabled: false
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata:
  name: peer
spec:
  node: self
  peerIP: PEER
  asNumber: 64512
  keepaliveTime: 1s
  maxRestartTime: RESTARTs
"""


DEAD = """\
table ip dead {
	chain input { type filter hook input priority -300; policy drop; }
	chain output { type filter hook output priority -300; policy drop; }
}
"""


class Bird:
    """A BIRD by a configuration of ours."""

    def __init__(self, node, text):
        self.node = node
        self.directory = tempfile.mkdtemp(prefix=f"culvert-bench-{node.name}-")
        self.socket = os.path.join(self.directory, "bird.ctl")
        self.process = None
        atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        self.text = (text.replace("DIRECTORY", self.directory).replace("SELF", SELF)
                     .replace("PEER", PEER).replace("RESTART", str(RESTART_S)))
        self.start()

    def start(self, *words, enabled=False):
        """Start it, and wait until it answers. enabled: with sessions that are not to begin by themselves."""
        with open(os.path.join(self.directory, "bird.conf"), "w", encoding="utf-8") as f:
            f.write(self.text.replace("disabled;", "") if enabled else self.text)
        self.process = self.node.spawn(
            ["bird", "-f", "-c", os.path.join(self.directory, "bird.conf"), "-s", self.socket, *words])
        if not net.wait_for(self.answers, 10):
            raise RuntimeError(f"{self.node.name}: bird does not start")

    def answers(self):
        """True if it does."""
        with contextlib.suppress(OSError):
            return "up and running" in self.ask("show status")
        return False

    def ask(self, command):
        """Its answer."""
        return bgp_watch.ask(self.socket, command)

    @property
    def pid(self):
        """Of its process."""
        return self.process.pid

    def kill(self):
        """SIGKILL."""
        net.stop(self.process, signal.SIGKILL)

    def log_times(self, words):
        """When it has logged a line with these words, in seconds since 1970."""
        with open(os.path.join(self.directory, "bird.log"), encoding="utf-8", errors="replace") as f:
            return [datetime.datetime.fromisoformat(line[:23]).timestamp() for line in f
                    if words in line]


class ByHand:
    """The node, with a BIRD alone."""

    name = "by hand"

    def __init__(self, node):
        node.ip(f"tuntap add {DEVICE} mode tun", f"link set {DEVICE} up")
        self.bird = Bird(node, MINIMAL.replace("BLOCK", block(0)))
        self.ask = self.bird.ask

    def processes(self):
        """Pid by name."""
        return {"bird": self.bird.pid}

    def kill_bird(self):
        """BIRD dies; as systemd does it, it is started again without a word of the former one."""
        self.bird.kill()
        self.bird.start()

    def end(self):
        """End all."""
        net.stop(self.bird.process)


class Product:
    """The node, with culvertd."""

    name = "culvert"

    def __init__(self, node):
        self.daemon = culvert.Culvertd(node, "--node", "self", mode=culvert.FASTPATH)
        text = POOL_TEXT.format(name="pool", cidr=POOL, mode="Always", nat="false", block_size=26)
        for name, at in (("self", SELF), ("peer", PEER)):
            text += NODE.format(name=name, address=at + "/16", tunnel="").replace(
                "    ipv4IPIPTunnelAddr: \n", "")
        text += block_text("self", block(0))
        text += MANIFEST.replace("PEER", PEER).replace("RESTART", str(RESTART_S))
        node.run([os.path.join(culvert.BUILD, "culvert"), "--run-dir", self.daemon.run_dir, "apply",
                  "-f", "-"], input=text)
        self.socket = os.path.join(self.daemon.run_dir, "bird/bird.ctl")
        if not net.wait_for(self._answers, 10):
            raise RuntimeError(f"no BIRD of culvertd answers:\n{self.daemon.log()}")

    def _answers(self):
        with contextlib.suppress(OSError):
            return "culvert_" in self.ask("show protocols")
        return False

    def ask(self, command):
        """BIRD's answer."""
        return bgp_watch.ask(self.socket, command)

    def processes(self):
        """Pid by name."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.socket)
            pid = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return {"bird": pid, "culvertd": self.daemon.process.pid}

    def kill_bird(self):
        """BIRD dies; what becomes of that is culvertd's business."""
        os.kill(self.processes()["bird"], signal.SIGKILL)
        net.wait_for(lambda: not self._answers(), 1)
        if not net.wait_for(self._answers, 20):
            raise RuntimeError(f"BIRD is not started again:\n{self.daemon.log()}")

    def end(self):
        """End all."""
        self.daemon.stop()
        self.daemon.purge()


class Pair:
    """The network, and what is measured in it. make: ByHand or Product."""

    def __init__(self, make, prefixes):
        self.prefixes = prefixes
        self.node, self.far = net.Node("self"), net.Node("peer")
        net.connect(self.node, "eth0", self.far, "eth0", offload=True)
        self.node.ip(f"addr add {SELF}/16 dev eth0")
        self.far.ip(f"addr add {PEER}/16 dev eth0")
        self.node.forward()
        self.this = make(self.node)
        self.name = self.this.name
        routes = " ".join(f"route {block(i + 1)} blackhole;" for i in range(prefixes))
        self.peer = Bird(self.far, ANNOUNCER.replace("ROUTES", routes))
        self.watch = bgp_watch.RouteWatch([self.node])

    def _until(self, count, limit):
        """Wait for so many routes; when the last one came or went."""
        if not net.wait_for(lambda: self.watch.total == count, limit):
            raise RuntimeError(f"{self.name}: {self.watch.total} routes, not {count}, after {limit} s:\n"
                               + self.this.ask("show protocols all"))
        return self.watch.last["self"]

    def _cpu(self):
        return {name: bgp_watch.cpu(pid) for name, pid in self.this.processes().items()}

    def arrive(self):
        """The session comes up: milliseconds until all routes are in the kernel, and what that cost."""
        before = self._cpu()
        self.peer.ask("enable node")
        last = self._until(self.prefixes, 90)
        up = self.peer.log_times("BGP session established")[-1]
        time.sleep(2)  # for what culvertd does after them
        figures = {"arrive_ms": (last - up) * 1000}
        for name, pid in self.this.processes().items():
            figures[f"{name}_cpu_ms"] = (self._cpu()[name] - before[name]) * 1000
            figures[f"{name}_pss_mb"] = bgp_watch.pss(pid) / 1e6
        wrong = self.prefixes - bgp_watch.count_kernel(self.node, DEVICE)
        if wrong:
            raise RuntimeError(f"{self.name}: {wrong} routes are not by the tunnel")
        return figures

    def close(self):
        """The peer closes the session (NOTIFICATION, Cease)."""
        begin = time.time()
        self.peer.ask("disable node")
        return {"close_ms": (self._until(0, 30) - begin) * 1000}

    def vanish(self):
        """The peer says nothing more, as a host without power."""
        self.far.run(["nft", "-f", "-"], input=DEAD)
        begin = time.time()
        try:
            return {"vanish_ms": (self._until(0, 30) - begin) * 1000}
        finally:
            self.far.run("nft delete table ip dead")
            self.peer.ask("disable node")
            # BIRD waits long after an error; the next measurement need not.
            self.this.ask("restart all")

    def restart_peer(self):
        """The peer's BIRD is killed and comes back: routes that were missing for any time."""
        events = self.watch.events["self"]
        begin = time.time()
        self.peer.kill()
        self.peer.start("-R", enabled=True)
        net.wait_for(lambda: self.peer.log_times("BGP session established")[-1:] > [begin], 60)
        up = self.peer.log_times("BGP session established")[-1]
        if up < begin:
            raise RuntimeError(f"{self.name}: the session is not up again:\n"
                               + self.this.ask("show protocols all"))
        time.sleep(3)
        self._until(self.prefixes, 10)
        return {"peer_back_ms": (up - begin) * 1000,
                "peer_flaps": self.watch.events["self"] - events}

    def lose_peer(self):
        """The peer's BIRD is killed and stays away."""
        begin = time.time()
        self.peer.kill()
        gone = self._until(0, 60) - begin
        self.peer.start()
        return {"peer_gone_ms": gone * 1000}

    def restart_own(self):
        """The node's own BIRD is killed and started again."""
        events = self.watch.events["self"]
        begin = time.time()
        self.this.kill_bird()
        net.wait_for(lambda: self.peer.log_times("BGP session established")[-1] > begin, 60)
        up = self.peer.log_times("BGP session established")[-1]
        time.sleep(3)
        self._until(self.prefixes, 90)
        return {"own_back_ms": (up - begin) * 1000, "own_flaps": self.watch.events["self"] - events}

    def end(self):
        """End all of it."""
        self.watch.close()
        net.stop(self.peer.process)
        self.this.end()
