# SPDX-License-Identifier: Apache-2.0
"""
Two nodes with endpoints under a steady load, for the tests of what the network notices when
culvertd dies, starts again, or is replaced by another version.

    pod pa 10.244.1.9        10.244.2.9 pod pb
       │ endpoint                  │ endpoint
    a: culvertd   10.0.0.1 ─── 10.0.0.2   b: culvertd   10.1.0.2 ─── 10.1.0.3 s, a stranger
       10.244.1.1                    10.244.2.1
       10.244.2.0/24 via 10.0.0.2    10.244.1.0/24 via 10.0.0.1    both dev tun0 onlink
       default via 10.0.0.2          default via 10.0.0.1: where packets would leak to

Streams: "device" from a's 10.244.1.1 to b's 10.244.2.1, "endpoint" from pa to pb; the stranger's
go to both, to another port.
"""

import json
import os
import re
import signal
import subprocess
import time

import culvert
import net
from culvert import Culvertd

STREAM = os.path.join(culvert.BUILD, "tests", "packet", "stream")
NEXT = os.path.join(os.path.dirname(culvert.BUILD), "build", "next")
PORT, FORGED_PORT, ECMP_PORT = 7000, 7666, 7001
PATHS = {"device": ("10.244.1.1", "10.244.2.1"), "endpoint": ("10.244.1.9", "10.244.2.9"),
         "ecmp": ("10.244.3.1", "10.244.2.1")}
# Outer source and destination of the stranger's packets: its own address, and a's.
FORGED = ("10.1.0.3,10.0.0.2", "10.0.0.1,10.0.0.2")
FORGED_RATE = 200

BIRD = """
log "{dir}/bird.log" all;
router id 10.0.0.1;
protocol device {{ scan time 1; }}
protocol direct {{ ipv4; check link yes; interface "tun0"; }}
protocol static {{ ipv4; check link yes; route 10.244.77.0/24 via "tun0"; }}
protocol kernel {{ scan time 1; ipv4 {{ export where source = RTS_STATIC; }}; }}
"""


class World:
    """Nodes, daemons and what watches them."""

    def __init__(self):
        self.a, self.b, self.s = net.Node("a"), net.Node("b"), net.Node("s")
        self.pa, self.pb = net.Node("pa"), net.Node("pb")
        net.connect(self.a, "eth0", self.b, "eth0")
        net.connect(self.s, "eth0", self.b, "eth1")
        self._set_up(self.a, self.pa, 1, 2)
        self._set_up(self.b, self.pb, 2, 1)
        self.b.ip("addr add 10.1.0.2/24 dev eth1")
        self.a.ip(*(f"addr add 10.244.3.{n}/32 dev lo" for n in range(1, 9)))
        self.s.ip("addr add 10.1.0.3/24 dev eth0", "route add default via 10.1.0.2")
        self.daemons = [Culvertd(self.a, "--workers", "1"), Culvertd(self.b, "--workers", "1")]
        for number, daemon in enumerate(self.daemons, 1):
            other = 3 - number
            daemon.add(f"tun0 local 10.0.0.{number}", f"10.244.{number}.250/32")
            daemon.node.ip(f"route add 10.244.{other}.0/24 via 10.0.0.{other} dev tun0 onlink")
            daemon.cli("endpoint", "add", "pod0", "ip", f"10.244.{number}.9")

        # Two next hops lead back, and the look-up of an eBPF program tells the other one.
        self.b.ip("route add 10.244.3.0/24 nexthop via 10.0.0.1 dev tun0 onlink"
                  " nexthop via 10.0.0.77 dev tun0 onlink")
        for number in range(1, 9):
            if "10.0.0.77" in self.b.ip(f"route get 10.244.3.{number} from 10.244.2.1"):
                PATHS["ecmp"] = (f"10.244.3.{number}", "10.244.2.1")

    @staticmethod
    def _set_up(node, pod, number, other):
        net.connect(node, "pod0", pod, "eth0")
        node.ip(f"addr add 10.0.0.{number}/24 dev eth0",
                f"route add default via 10.0.0.{other}",
                f"addr add 10.244.{number}.1/32 dev lo",
                f"addr add 10.244.{number}.254/24 dev pod0")
        pod.ip(f"addr add 10.244.{number}.9/24 dev eth0",
               f"route add default via 10.244.{number}.254")
        node.forward()
        for key in ("ignore_routes_with_linkdown", "rp_filter"):
            for which in ("all", "default", "eth0", "pod0"):
                node.sysctl(f"net.ipv4.conf.{which}.{key}", 1)

    def start(self, build=None):
        """Start both daemons (again), of that build."""
        for daemon in self.daemons:
            daemon.build = build or daemon.build
            daemon.start()

    def stop(self, number=signal.SIGTERM):
        """End both."""
        for daemon in self.daemons:
            daemon.stop(number)

    def fastpath(self, daemon):
        """The fast path's counters of tun0."""
        shown = json.loads(daemon.cli("-j", "-s", "tunnel", "show", "tun0").stdout)[0]
        return shown["fastpath"], shown

    def end(self):
        """Leave nothing behind."""
        for daemon in self.daemons:
            if daemon.alive():
                daemon.stop(signal.SIGKILL)
            daemon.purge(check=False)


def _start(node, *words):
    return node.spawn([STREAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE)


def _take(node, address, port):
    process = _start(node, "take", address, str(port))
    if process.stderr.readline() != b"ready\n":
        raise RuntimeError("stream take does not start")
    return process


def _end(process, sent=0):
    """What a stream says at its end; sent: for how many packets a taker is to wait."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(b"%d\n" % sent, timeout=20)
    if process.returncode:
        raise RuntimeError(f"stream: {err.decode()}")
    return json.loads(out)


class Load:
    """The streams while it lasts; end() tells what became of them."""

    def __init__(self, world, rates, paths=("device", "endpoint")):
        if not isinstance(rates, dict):
            rates = dict.fromkeys(paths, rates)
        self.takers, self.senders, self.forged, self.forgers = {}, {}, [], []
        for path in paths:
            source, destination = PATHS[path]
            sender, taker = (world.pa, world.pb) if path == "endpoint" else (world.a, world.b)
            port = ECMP_PORT if path == "ecmp" else PORT
            self.takers[path] = _take(taker, destination, port)
            self.senders[path] = _start(sender, "-b", source, "send", destination, str(port),
                                        str(rates[path]))
            if path == "ecmp":
                continue
            self.forged.append(_take(taker, destination, FORGED_PORT))
            for outer in FORGED:
                self.forgers.append(_start(world.s, "forge", outer, f"{source},{destination}",
                                           str(FORGED_PORT), str(FORGED_RATE)))

    def end(self):
        """{path: {sent, failed, lost, duplicated, reordered, gaps}}, forged: {sent, received}."""
        sent = {path: _end(process) for path, process in self.senders.items()}
        forged = {"sent": sum(_end(process)["sent"] for process in self.forgers)}
        time.sleep(0.2)
        taken = {path: _end(process, sent[path]["sent"]) for path, process in self.takers.items()}
        forged["received"] = sum(_end(process)["received"] for process in self.forged)
        return {path: {
            "sent": sent[path]["sent"],
            "seconds": sent[path]["seconds"],
            "failed": sent[path]["failed"],
            "error": sent[path]["error"],
            "lost": sent[path]["sent"] - taken[path]["unique"],
            "duplicated": taken[path]["received"] - taken[path]["unique"],
            "reordered": taken[path]["reordered"],
            "gaps": taken[path]["gaps"],
        } for path in sent}, forged


class Leaks:
    """Counts inner packets on the underlay that are in no outer one."""

    def __init__(self, node, device="eth0"):
        self.process = node.spawn(
            ["tcpdump", "-nlp", "-i", device, "ip and not ip proto 4 and net 10.244.0.0/16"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while b"listening on" not in self.process.stderr.readline():
            if self.process.poll() is not None:
                raise RuntimeError("tcpdump does not start")

    def end(self):
        """What it saw."""
        time.sleep(0.2)
        self.process.send_signal(signal.SIGINT)
        lines = self.process.communicate(timeout=10)[0].decode().splitlines()
        return [line for line in lines if line]


class Bird:
    """A routing daemon on node a that withdraws what goes through a link without carrier."""

    def __init__(self, world):
        self.directory = world.daemons[0].run_dir
        self.node = world.a
        config = os.path.join(self.directory, "bird.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(BIRD.format(dir=self.directory))
        self.control = os.path.join(self.directory, "bird.ctl")
        self.process = self.node.spawn(["bird", "-f", "-c", config, "-s", self.control])
        if not net.wait_for(lambda: "10.244.77.0/24" in self.node.ip("route")):
            raise RuntimeError(f"BIRD sets no route:\n{self.log()}")

    def has_kept(self, routes):
        """True if it still has them, since when it had them."""
        text, times = self.routes()
        return text == routes[0] and all(abs(now - then) < 0.1
                                         for now, then in zip(times, routes[1]))

    def log(self):
        """What it has said."""
        with open(os.path.join(self.directory, "bird.log"), encoding="utf-8") as f:
            return f.read()

    def routes(self):
        """Its routes, and since when it has each, in seconds (which it reckons anew each time)."""
        text = self.node.run(["birdc", "-s", self.control, "show", "route"]).stdout
        times = re.findall(r"(\d+):(\d+):(\d+\.\d+)", text)
        return (re.sub(r"\d+:\d+:\d+\.\d+", "TIME", text),
                [int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in times])

    def end(self):
        """Stop it, with its routes."""
        net.stop(self.process)


def find_rate(world, rates, seconds=2.0, paths=("device", "endpoint")):
    """The largest rate of which nothing is lost while nothing happens: (rate, what came of it)."""
    for rate in rates:
        load = Load(world, rate, paths)
        time.sleep(seconds)
        result, forged = load.end()
        if all(not each["lost"] and not each["failed"] and
               each["sent"] > 0.9 * rate * each["seconds"] for each in result.values()):
            return rate, result, forged
    return None, result, forged
