# SPDX-License-Identifier: Apache-2.0
"""
Plugins as `make bench-cni` measures them: Culvert's on a node with culvertd, Debian's on a node of
their own, both invoked as a runtime does it, with the same few system calls around them.

    way = Routed("culvert routed")
    pods = Pods(100)
    ms, result = way.call("ADD", "c1", pods.path(0))
"""

import atexit
import ctypes
import json
import os
import re
import shutil
import tempfile
import threading
import time

import cni
import culvert
import net
import zones

VERSION = "1.0.0"
POOL = "10.244.0.0/16"
DECLARED = "10.244.0.0/19"  # of the node: room for 8,000 pods
PEER, ADDRESS = "192.168.100.254", "192.168.100.1"
IFNAME = "eth0"
CLONE_NEWNET = 0x40000000
WARM = "warm"  # the container of which no time is kept
# src/cni/log.h
LOG_LINE = re.compile(r" (?P<command>ADD|DEL) \S+ (?P<container>\S+) \S+ (?P<us>\d+) us"
                      r" \((?P<steps>.*)\): 0$")


class Pods:
    """
    Network namespaces, and nothing in them: what a container's life is besides its network is not
    measured. Without names, so that they go with this process.
    """

    def __init__(self, count):
        self.descriptors = []
        maker = threading.Thread(target=self._make, args=(count,))
        maker.start()
        maker.join()
        if len(self.descriptors) != count:
            raise OSError(f"{len(self.descriptors)} of {count} network namespaces made")

    def _make(self, count):
        libc = ctypes.CDLL(None, use_errno=True)
        for _ in range(count):
            if libc.unshare(CLONE_NEWNET):
                return
            self.descriptors.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))

    def __len__(self):
        return len(self.descriptors)

    def path(self, number):
        """For CNI_NETNS."""
        return f"/proc/{os.getpid()}/fd/{self.descriptors[number]}"

    def close(self):
        """The end of all, with what is left in them."""
        for fd in self.descriptors:
            os.close(fd)
        self.descriptors.clear()


class Plugin:
    """One plugin in a node, called with posix_spawn: what that costs is the harness' own time."""

    def __init__(self, node, program, config):
        self.node, self.program, self.config = node, program, config
        self.home = memory_directory()
        self.results = {}  # container: what its ADD said

    def start(self, command, container, netns):
        """Begin one: (pid, nanoseconds, file of its answer)."""
        config = dict(self.config)
        if command == "DEL" and container in self.results:
            config["prevResult"] = self.results.pop(container)
        source, answer = (os.path.join(self.home, f"{container}.{end}") for end in ("in", "out"))
        with open(source, "w", encoding="ascii") as f:
            json.dump(config, f)
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CNI_PATH": ":".join(cni.PATH),
            "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": netns,
            "CNI_IFNAME": IFNAME,
        }
        stdin = os.open(source, os.O_RDONLY)
        stdout = os.open(answer, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        actions = ((os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1))
        with self.node:
            began = time.monotonic_ns()
            pid = os.posix_spawn(self.program, [self.program], environment, file_actions=actions)
        os.close(stdin)
        os.close(stdout)
        return pid, began, answer

    def finish(self, command, container, status, answer):
        """What a plugin that has ended said; raises RuntimeError if it failed."""
        with open(answer, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if status:
            raise RuntimeError(f"{self.program} {command} {container}: status {status}: {text}")
        if command == "ADD" and text.startswith("{"):
            self.results[container] = json.loads(text)

    def call(self, command, container, netns):
        """One call: milliseconds, from before it is spawned until it has been waited for."""
        pid, began, answer = self.start(command, container, netns)
        _, status = os.waitpid(pid, 0)
        took = (time.monotonic_ns() - began) / 1e6
        self.finish(command, container, status, answer)
        return took

    def call_all(self, command, calls):
        """All calls, (container, netns), at once: milliseconds until the last one has ended."""
        began = time.monotonic_ns()
        running = {}
        for container, netns in calls:
            pid, _, answer = self.start(command, container, netns)
            running[pid] = container, answer
        ended = []
        while running:
            pid, status = os.wait()
            if pid in running:
                ended.append((*running.pop(pid), status))
        took = (time.monotonic_ns() - began) / 1e6
        for container, answer, status in ended:
            self.finish(command, container, status, answer)
        return took


def memory_directory():
    """A directory that is no disk's, and goes with this program."""
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    path = tempfile.mkdtemp(prefix="culvert-bench-cni-", dir=base)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def make_node(name):
    """A node with a network card."""
    node, peer = net.Node(name), net.Node(name + "-peer")
    net.connect(node, "eth0", peer, "eth0", offload=True)
    node.forward()
    node.ip(f"addr add {ADDRESS}/24 dev eth0", f"route add default via {PEER}")
    peer.ip(f"addr add {PEER}/24 dev eth0")
    return node


class Nothing(Plugin):
    """/bin/true: what the harness costs."""

    name = "harness"

    def __init__(self):
        super().__init__(net.Node("true"), "/bin/true", {})


class Theirs(Plugin):
    """
    Debian's `bridge` with `host-local`. Its files are in memory: it never waits for a disk, and
    what it leaves to be written would be waited for by whoever does.
    masquerade: with ipMasq, which does for pods what natOutgoing of Culvert's pools does.
    """

    def __init__(self, name, masquerade=False):
        self.name = name
        data = memory_directory()
        super().__init__(make_node("theirs"), cni.find("bridge"), {
            "cniVersion": VERSION, "name": "pods", "type": "bridge", "bridge": "cni0",
            "isGateway": True, "ipMasq": masquerade,
            "ipam": {"type": "host-local", "dataDir": data,
                     "ranges": [[{"subnet": DECLARED}]], "routes": [{"dst": "0.0.0.0/0"}]},
        })

    def memory(self):
        """None runs."""
        return 0, 0

    def end(self):
        """Nothing runs."""


class Ours(Plugin):
    """
    Culvert's, with addresses in SQLite. has_log: the plugin writes one. fields: more of its
    configuration.
    """

    def __init__(self, name, has_log=False, **fields):
        self.name = name
        node = make_node("ours")
        # Not in /tmp itself: what others write beside it would be looked at.
        home = tempfile.mkdtemp(prefix="culvert-bench-config-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        config = os.path.join(home, "etc")
        os.mkdir(config)
        with open(os.path.join(config, "all.yaml"), "w", encoding="ascii") as f:
            f.write(zones.POOL.format(name="pods", cidr=POOL, mode="CrossSubnet", nat="true",
                                      block_size=26))
            f.write("---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: self}\n"
                    f"spec: {{bgp: {{ipv4Address: {ADDRESS}/24}}}}\n")
            f.write(zones.block_text("self", DECLARED))
        self.daemon = culvert.Culvertd(node, "--config", config, "--node", "self",
                                       mode=culvert.FASTPATH)
        self.log = os.path.join(self.daemon.run_dir, "cni.log")
        if has_log:
            fields["log"] = self.log
        super().__init__(node, cni.find(cni.PLUGIN), {
            "cniVersion": VERSION, "name": "pods", "type": cni.PLUGIN,
            "runDir": self.daemon.run_dir, **fields,
        })

    def memory(self):
        """culvertd's, in MB: resident, and its share of it (PSS)."""
        with open(f"/proc/{self.daemon.process.pid}/smaps_rollup", encoding="ascii") as f:
            text = f.read()
        return tuple(int(re.search(rf"^{word}:\s+(\d+) kB", text, re.M)[1]) / 1024
                     for word in ("Rss", "Pss"))

    def steps(self, command):
        """By the plugin's log: {step: [milliseconds]}, and "all" of its own time."""
        found = {"all": []}
        with open(self.log, encoding="utf-8") as f:
            lines = f.read().splitlines()
        for line in lines:
            match = LOG_LINE.search(line)
            if not match or match["command"] != command or match["container"] == WARM:
                continue
            found["all"].append(int(match["us"]) / 1000)
            for step in match["steps"].split(", "):
                name, took = step.rsplit(" ", 1)
                found.setdefault(name, []).append(int(took) / 1000)
        return found

    def end(self):
        """Stop culvertd, whose programs and maps go, too."""
        self.daemon.stop()
        self.daemon.purge()
