# SPDX-License-Identifier: Apache-2.0
"""
Foreign BGP speakers in nodes of the packet tests: BIRD, FRR and GoBGP, as Debian has them. Each has a
directory of its own for what it writes, and is a child of the test: it ends with it.
"""

import atexit
import json
import os
import shutil
import signal
import tempfile

import net

FRR = "/usr/lib/frr"


class Router:
    """What the three have in common: a node, a directory, processes."""

    def __init__(self, node, word):
        self.node = node
        self.directory = tempfile.mkdtemp(prefix=f"culvert-{word}-{node.name}-")
        # BIRD and FRR may give up being root.
        os.chmod(self.directory, 0o755)
        self.children = []
        atexit.register(self._clean_up)

    def _clean_up(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        """Of a file in its directory."""
        return os.path.join(self.directory, name)

    def write(self, name, text):
        """Write such a file; its path."""
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def spawn(self, *argv):
        """Start a process, whose words are in the file "log"."""
        with open(self.path("log"), "ab") as log:
            child = self.node.spawn(list(argv), stdout=log, stderr=log, cwd=self.directory)
        self.children.append(child)
        return child

    def frr(self, program, conf, ready):
        """
        Start one of FRR's programs, wait for the socket `ready`. They insist on being user frr, as
        nobody else is in the group frrvty; with -N all they write would be below /run/frr.
        """
        shutil.chown(self.directory, "frr", "frr")
        shutil.chown(conf, "frr", "frr")
        self.spawn(f"{FRR}/{program}", "-f", conf, "--vty_socket", self.directory, "-z",
                   self.path("zserv.api"), "-i", self.path(program + ".pid"), "-P", "0", "--log",
                   "stdout")
        if not net.wait_for(lambda: os.path.exists(self.path(ready)), 10):
            raise RuntimeError(f"{program} does not start:\n{self.log()}")

    def log(self):
        """What they have said."""
        with open(self.path("log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, number=signal.SIGTERM):
        """End its processes."""
        for child in reversed(self.children):
            net.stop(child, number)
        self.children = []


class Frr(Router):
    """
    zebra and bgpd with one configuration, in vtysh's language. FRR's own zebra programs the
    kernel (protocol bgp, 186; metric 20 or 200).
    """

    def __init__(self, node, text):
        super().__init__(node, "frr")
        conf = self.write("frr.conf", text)
        self.frr("zebra", conf, "zserv.api")
        self.frr("bgpd", conf, "bgpd.vty")

    def vtysh(self, *commands):
        """Run commands, as typed; what they say."""
        words = [word for command in commands for word in ("-c", command)]
        return self.node.run(["vtysh", "--vty_socket", self.directory, "--config_dir",
                              self.directory, *words], check=False).stdout

    def session(self, address):
        """The state of a session, as BGP calls it, or None."""
        shown = json.loads(self.vtysh(f"show bgp neighbors {address} json") or "{}")
        return shown.get(address, {}).get("bgpState")

    def routes(self):
        """Prefix: list of next hops, of all that BGP knows here."""
        shown = json.loads(self.vtysh("show bgp ipv4 unicast json") or "{}").get("routes", {})
        return {prefix: sorted(hop["ip"] for path in paths for hop in path.get("nexthops", []))
                for prefix, paths in shown.items()}


class Gobgp(Router):
    """
    gobgpd with a configuration in its TOML. It programs no kernel: Debian's ends with a panic when
    it speaks to the zebra of Debian's FRR. So program() does, from what gobgpd says it has learned.
    """

    def __init__(self, node, text):
        super().__init__(node, "gobgp")
        self.programmed = {}
        conf = self.write("gobgpd.toml", text)
        self.spawn("gobgpd", "-f", conf, "-p", "--pprof-disable", "--api-hosts", "127.0.0.1:50051")
        if not net.wait_for(lambda: self.gobgp("global", check=False), 10):
            raise RuntimeError(f"gobgpd does not start:\n{self.log()}")

    def program(self):
        """Have the node's routes be what gobgpd has learned."""
        learned = {prefix: hops for prefix, hops in self.routes().items() if "0.0.0.0" not in hops}
        for prefix in self.programmed.keys() - learned.keys():
            self.node.ip(f"route del {prefix} proto bgp")
        for prefix, hops in learned.items():
            ways = " ".join(f"nexthop via {hop}" for hop in hops)
            self.node.ip(f"route replace {prefix} proto bgp {ways}")
        self.programmed = learned

    def gobgp(self, *words, check=True):
        """gobgp's answer; "" if there is none and check is False."""
        done = self.node.run(["gobgp", *words], check=check)
        return done.stdout if not done.returncode else ""

    def session(self, address):
        """The state of a session, as BGP calls it, or None."""
        shown = self.gobgp("-j", "neighbor", address, check=False)
        states = {1: "Idle", 2: "Connect", 3: "Active", 4: "OpenSent", 5: "OpenConfirm",
                  6: "Established"}
        return states.get(json.loads(shown)["state"].get("session_state")) if shown else None

    def routes(self):
        """Prefix: list of next hops, of all that it knows."""
        shown = json.loads(self.gobgp("-j", "global", "rib", check=False) or "{}")
        return {prefix: sorted(attribute["nexthop"] for path in paths for attribute in path["attrs"]
                               if "nexthop" in attribute) for prefix, paths in shown.items()}


class Bird(Router):
    """A BIRD that an operator runs by a file of theirs. DIRECTORY in the text: its own."""

    def __init__(self, node, text):
        super().__init__(node, "bird")
        self.conf = self.write("bird.conf", text.replace("DIRECTORY", self.directory))
        self.socket = self.path("bird.ctl")
        self.start()

    def start(self, *words):
        """Start it, -R for example; wait until it answers."""
        self.spawn("bird", "-f", "-c", self.conf, "-s", self.socket, *words)
        if not net.wait_for(lambda: "up and running" in self.ask("show", "status"), 10):
            raise RuntimeError(f"bird does not start:\n{self.log()}")

    def ask(self, *words):
        """birdc's answer."""
        return self.node.run(["birdc", "-s", self.socket, *words], check=False).stdout
