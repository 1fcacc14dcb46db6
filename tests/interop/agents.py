# SPDX-License-Identifier: Apache-2.0
"""
The lab (see lab/topology.sh) with k1, a Linux in User-mode Linux whose kernel has its own ipip, and
culvertd as a node agent: each with a configuration directory, and no tunnel made by hand.

    pods ── a1, a2 ── router ── b1 ── pod
                        └────── k1 (Linux: ipip or tunl0), addresses on dummy0
"""

import atexit
import json
import shutil
import tempfile

import culvert
from culvert import Culvertd
from uml import Interop, LabNode
from labs import Lab

ADDRESSES = {"a1": "192.168.100.1", "a2": "192.168.100.2", "b1": "192.168.200.2",
             "k1": "192.168.200.3"}
PODS = {"a1": "10.244.1.2", "a2": "10.244.4.2", "b1": "10.244.2.2"}


class AgentLab(Interop):
    """The lab; agents are started one by one."""

    def __init__(self, purpose):
        super().__init__(purpose, "--no-culvert")
        self.nodes, self.daemons, self.config = {}, {}, {}

    def __enter__(self):
        Lab.__enter__(self)
        self.router = LabNode(self, "router")
        self.wires = {port: self.router.wire(port, with_outgoing=True) for port in ADDRESSES}
        self.nodes = {name: LabNode(self, name)
                      for name in ("a1", "a2", "b1", "a1-pod", "a2-pod", "b1-pod")}
        # What k1 has from the start is for other tests.
        self.kernel_delete()
        return self

    def start(self, name, node_name=None):
        """Start culvertd on a node; its name as a Node, if it is another."""
        mode = culvert.MODE
        if mode == culvert.MIXED:
            mode = {"a1": culvert.ENGINE, "a2": culvert.FASTPATH, "b1": culvert.ENDPOINTS}[name]
        self.config[name] = tempfile.mkdtemp(prefix=f"culvert-config-{name}-")
        atexit.register(shutil.rmtree, self.config[name], ignore_errors=True)
        self.daemons[name] = Culvertd(
            self.nodes[name], "--config", self.config[name], "--node", node_name or name, mode=mode,
            endpoints=(("pod0", PODS[name]),))

    def cli(self, name, *words, check=True, text=None):
        """culvert on a node; CompletedProcess. text: what it reads."""
        daemon = self.daemons[name]
        return self.nodes[name].run(
            [f"{culvert.BUILD}/culvert", "--run-dir", daemon.run_dir, *words], check=check,
            input=text)

    def apply(self, name, text):
        """Apply a manifest on a node; what it says."""
        done = self.cli(name, "apply", "-f", "-", text=text)
        return done.stdout + done.stderr

    def status(self, name):
        """culvert -j status."""
        return json.loads(self.cli(name, "-j", "status").stdout)

    def drops(self, name):
        """By reason, of everything on a node."""
        total = dict(self.status(name)["counters"]["drops"])
        for tunnel in json.loads(self.cli(name, "-j", "-s", "tunnel", "show").stdout):
            for key, value in tunnel["counters"]["drops"].items():
                total[key] = total.get(key, 0) + value
        return total
