# SPDX-License-Identifier: Apache-2.0
"""
The differential test's nodes, and its two parts run; differential.t says what it is.

    far 02::02 ── eth0 02::01 NODE pod0 02::03 ── pods 02::04      three times, all alike:
    peers 192.168.100.2 …     192.168.100.1       10.244.1.2 …     engine, fast, endpoints
                              .11 .12 10.244.1.1

Only the test speaks on the wires. Tunnels, and which pods are behind which peer:

    tun2   fixed .2: defaults                      10.244.2.0/24; .128/25 is unreachable
    tun3   fixed .3: ttl 64, tos inherit           10.244.3.0/24; .200 is behind tun2
    tun4   fixed .4: nopmtudisc, tos 0x48, compat  10.244.4.0/24
    tun5   fixed .5: nostrict, nopmtudisc,         10.244.5.0/24
           tos inherit, any local
    tun6   fixed .6: path MTU 1300                 10.244.6.0/24
    tun7   fixed .7: path MTU 1300, nopmtudisc     10.244.7.0/24
    tun8   fixed 192.168.200.2, behind a router    10.244.8.0/24
    tun9   fixed .8: device MTU 1400               10.244.9.0/24
    tun16  NBMA, local .11: tos inherit            10.244.16.0/24 .2, .17 .3, .18 either
    tun20  NBMA, local .12: nostrict, nopmtudisc   10.244.20.0/24 .2, .21 .9 by path MTU 1300
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time

import net
import tap
from culvert import BUILD, ROOT, Culvertd

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "differential.cases")
TUNNELS = """
tun2 remote 192.168.100.2 local 192.168.100.1
tun3 remote 192.168.100.3 local 192.168.100.1 ttl 64 tos inherit
tun4 remote 192.168.100.4 local 192.168.100.1 ttl inherit nopmtudisc tos 0x48 ecn compat
tun5 remote 192.168.100.5 ttl inherit nopmtudisc tos inherit nostrict
tun6 remote 192.168.100.6 local 192.168.100.1 tos inherit ecn compat
tun7 remote 192.168.100.7 local 192.168.100.1 nopmtudisc
tun8 remote 192.168.200.2 local 192.168.100.1
tun9 remote 192.168.100.8 local 192.168.100.1
tun16 local 192.168.100.11 tos inherit
tun20 local 192.168.100.12 nostrict nopmtudisc
"""
MTU = {"tun9": 1400}
ROUTES = """
192.168.100.6 dev eth0 mtu 1300
192.168.100.7 dev eth0 mtu 1300
192.168.100.9 dev eth0 mtu lock 1300
default via 192.168.100.254
10.244.2.0/24 dev tun2
unreachable 10.244.2.128/25
10.244.3.0/24 dev tun3
10.244.3.200/32 dev tun2
10.244.4.0/24 dev tun4
10.244.5.0/24 dev tun5
10.244.6.0/24 dev tun6
10.244.7.0/24 dev tun7
10.244.8.0/24 dev tun8
10.244.9.0/24 dev tun9
10.244.16.0/24 via 192.168.100.2 dev tun16 onlink
10.244.17.0/24 via 192.168.100.3 dev tun16 onlink
10.244.18.0/24 nexthop via 192.168.100.2 dev tun16 onlink nexthop via 192.168.100.3 dev tun16 onlink
10.244.20.0/24 via 192.168.100.2 dev tun20 onlink
10.244.21.0/24 via 192.168.100.9 dev tun20 onlink
blackhole 10.244.32.0/24
unreachable 10.244.33.0/24
prohibit 10.244.34.0/24
"""
LIMITS = {
    "net.ipv4.icmp_msgs_burst": 100000,
    "net.ipv4.ipfrag_high_thresh": 1 << 28,
    "net.ipv4.ipfrag_max_dist": 0,
}
ENDPOINTS = range(2, 18)


class Node:
    """One of the nodes, its far ends, and its culvertd. sysctls: of the node."""

    def __init__(self, name, sysctls, *arguments):
        self.name = name
        self.far, self.node, self.pods = (net.Node(f"{name}-{n}") for n in ("far", "node", "pods"))
        net.connect(self.node, "eth0", self.far, "eth0")
        net.connect(self.node, "pod0", self.pods, "eth0")
        for node, device, last in (
            (self.node, "eth0", 1), (self.far, "eth0", 2),
            (self.node, "pod0", 3), (self.pods, "eth0", 4),
        ):  # fmt: skip
            node.ip(f"link set {device} address 02:00:00:00:00:0{last}")
        for node in (self.far, self.node, self.pods):
            node.silence()
        self.node.forward()
        for key, value in sysctls.items():
            self.node.sysctl(key, value)
        # The kernel's own limits of ICMP errors (a namespace's since 6.13) and of fragments.
        for key, value in LIMITS.items():
            self.node.run(f"sysctl -qw {key}={value}", check=False)
        self.node.ip(
            *(f"addr add 192.168.100.{i}/24 dev eth0" for i in (1, 11, 12)),
            "addr add 10.244.1.1/24 dev pod0",
        )
        self.node.ip(
            *(f"neigh replace 192.168.100.{i} lladdr 02:00:00:00:00:02 dev eth0"
              for i in range(2, 255) if i not in (11, 12)),
            *(f"neigh replace 10.244.1.{i} lladdr 02:00:00:00:00:04 dev pod0"
              for i in range(2, 255)),
        )  # fmt: skip
        self.culvertd = Culvertd(self.node, "--workers", "1", *arguments)
        self._tunnels()

    def _tunnels(self):
        names = [line.split()[0] for line in TUNNELS.split("\n") if line]
        text = "".join(f"add {line}\n" for line in TUNNELS.split("\n") if line)
        self.node.run(
            [os.path.join(BUILD, "culvert"), "--run-dir", self.culvertd.run_dir, "tunnel", "-f",
             "-"], input=text,
        )  # fmt: skip
        self.node.ip(*(f"link set {name} up" for name in names))
        self.node.ip(*(f"link set {tunnel} mtu {mtu}" for tunnel, mtu in MTU.items()))
        self.node.ip(*(f"route replace {line}" for line in ROUTES.split("\n") if line))

    def endpoints(self):
        """Make the first pods endpoints."""
        words = [word for i in ENDPOINTS for word in ("ip", f"10.244.1.{i}")]
        self.culvertd.cli("endpoint", "add", "pod0", *words)

    @property
    def argument(self):
        """The node as build/tests/differential/differential takes it."""
        return ":".join(
            [self.name, self.far.path, self.pods.path, self.node.path, self.culvertd.run_dir]
        )

    def taken_by_fast_path(self):
        """Packets in and out that its fast path has carried."""
        shown = self.culvertd.cli("-s", "-j", "tunnel", "show").stdout
        paths = [each["paths"]["fast"] for each in json.loads(shown)]
        return tuple(sum(p[key] for p in paths) for key in (
            "rx_packets", "tx_packets", "rx_endpoint_packets", "tx_endpoint_packets"))


def _run(arguments, first):
    """The program; number of the next assertion, and whether all were good."""
    done = subprocess.run(
        [os.path.join(BUILD, "tests", "differential", "differential"), "--first", str(first),
         *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    print(done.stdout, end="", flush=True)
    lines = done.stdout.splitlines()
    return first + sum(line.startswith(("ok ", "not ok ")) for line in lines), not done.returncode


def _assert(condition, number, name, detail=""):
    """One assertion; the number of the next."""
    print(f"{'ok' if condition else 'not ok'} {number} - {name}", flush=True)
    if not condition:
        tap.note(detail)
    return number + 1


# What each node's fast path must have carried, of taken_by_fast_path().
PATHS = {
    "engine": lambda taken: not any(taken),
    "fast": lambda taken: all(taken[:2]) and not any(taken[2:]),
    "endpoints": all,
}


def hooks(title, sysctls, arguments, first=1, many=True):
    """Nodes side by side, once. many: packets of every kind. As _run()."""
    nodes = [
        Node("engine", sysctls, "--fastpath", "off"),
        Node("fast", sysctls),
        Node("endpoints", sysctls),
    ]
    nodes[2].endpoints()
    tap.note(title)
    first, good = _run([*arguments, *(node.argument for node in nodes)], first)
    for node in nodes:
        taken = node.taken_by_fast_path()
        tap.note(f"{node.name}: fast path rx, tx, of endpoints rx, tx: {taken}")
        if many:
            right = PATHS[node.name](taken)
            first = _assert(right, first, f"{node.name}: packets took the paths that are compared",
                            taken)
            good &= right
        alive = node.culvertd.alive()
        first = _assert(alive, first, f"culvertd of {node.name} lives", node.culvertd.log())
        good &= alive
        node.culvertd.stop()
    return first, good


def core(seed, count, first):
    """The part without devices. As _run()."""
    tap.note("the core, by BPF_PROG_TEST_RUN")
    with tempfile.TemporaryDirectory(prefix="culvert-differential-") as folder:
        target = os.path.join(folder, "wire_all.o")
        subprocess.run(
            ["clang", "-target", "bpf", "-mcpu=v3", "-O2", "-Wall", "-Wextra", "-Werror", "-Isrc",
             f"-I/usr/include/{platform.machine()}-linux-gnu", "-c", "-o", target,
             "tests/bpf/wire_all.c"], cwd=ROOT, check=True,
        )  # fmt: skip
        return _run(["--core", target, "--seed", str(seed), "--count", str(count)], first)


# Two set-ups, as the host may be: what the outer source is checked against, and how the kernel
# spreads flows over several next hops.
SETTINGS = (
    ("rp_filter 0, flows by addresses", {}),
    ("rp_filter 1, flows by ports",
     {"net.ipv4.conf.all.rp_filter": 1, "net.ipv4.fib_multipath_hash_policy": 1}),
)  # fmt: skip


def main(count=0, seconds=0, core_count=0):
    """
    The whole test: count packets, or seconds, for all settings of the hooks together, and
    core_count for each part of the core.
    """
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: it makes network namespaces")
        sys.exit(0)
    seed = int(os.environ.get("SEED", int(time.time())))
    amount = (
        ["--count", str(count // len(SETTINGS))]
        if count
        else ["--seconds", str(seconds // len(SETTINGS))]
    )
    first, good = core(seed, core_count, 1)
    for number, (title, sysctls) in enumerate(SETTINGS):
        arguments = ["--seed", str(seed + number), *amount, "--cases", CASES]
        if count:
            arguments += ["--ids", "70000"]
        first, fine = hooks(title, sysctls, arguments, first)
        good &= fine
    print(f"1..{first - 1}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    hooks("by hand", {}, sys.argv[1:], many=False)
