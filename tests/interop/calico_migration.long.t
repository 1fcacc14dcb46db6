#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle timeout=240 modes=fastpath
"""
Moving from Calico IP-in-IP, the last node: a1, a2 and b1 run culvertd with what was exported of Calico
(calico/*.yaml, as it stands); k1, a Linux in User-mode Linux, is still as Calico has made it. Then k1
moves, too, and back. calico_nodes.long.t moves all nodes from the first on.

    a1-pod 10.244.1.2 ── a1 ┐                    ┌ b1 ── b1-pod 10.244.2.2
                            ├ br-a  router  br-b ┤
    a2-pod 10.244.4.2 ── a2 ┘                    └ k1 (tunl0) "pod" 10.244.3.2 on dummy0

What the move of a node loses is measured and noted.
"""

import os
import re
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import labs  # noqa: E402
import net  # noqa: E402
import tap  # noqa: E402
from agents import ADDRESSES, PODS, AgentLab  # noqa: E402
from cluster import ping  # noqa: E402
from endpoint import Endpoint  # noqa: E402
from shapes import end_cleanly, look_after, mac_text  # noqa: E402
from zones import DEVICE, Probe  # noqa: E402

EXPORTS = os.path.join(HERE, "calico")
RUN_DIR, CONFIG = "/run/culvert", "/run/culvert-config"
K1_POD, K1_TUNNEL = "10.244.3.2", "10.244.3.1"
BLOCKS = {"a1": "10.244.1.0/26", "a2": "10.244.4.0/26", "b1": "10.244.2.0/26"}
RATE = 50  # more is k1's whole processor
ALL_PODS = {**PODS, "k1": K1_POD}
# What Calico's node does on k1: bird's routes by tunl0, and straight to b1, in k1's own subnet.
CALICO = [f"addr add {K1_TUNNEL}/32 dev tunl0", "link set tunl0 up mtu 1480",
          f"route add {BLOCKS['a1']} via {ADDRESSES['a1']} dev tunl0 proto bird onlink",
          f"route add {BLOCKS['a2']} via {ADDRESSES['a2']} dev tunl0 proto bird onlink",
          f"route add {BLOCKS['b1']} via {ADDRESSES['b1']} dev eth0 proto bird",
          "route add blackhole 10.244.3.0/26 proto bird"]

lab = AgentLab("calico")


class K1:
    """k1 with what ping() and Probe want of a node."""

    name = "k1"

    @staticmethod
    def run(argv, check=True, text=None):
        done = lab.try_run("k1", argv, text=text)
        if check and done.returncode:
            raise RuntimeError(f"k1: {argv}: {done.stderr.strip() or done.stdout}")
        return done

    @staticmethod
    def spawn(argv, **kwargs):
        kwargs.pop("text", None)
        return lab.spawn("k1", argv, **kwargs)


class K1Daemon:
    """culvertd in k1."""

    def __init__(self):
        self.log_path = os.path.join(lab_directory(), "culvertd-k1.log")
        with open(self.log_path, "wb") as log:
            self.process = lab.spawn("k1", ["culvertd", "--run-dir", RUN_DIR, "--config", CONFIG,
                                            "--node", "k1", "--workers", "1"], stdout=log, stderr=log)
        if not net.wait_for(lambda: not k1_cli("status", check=False).returncode, 30):
            raise RuntimeError(f"culvertd in k1 does not answer:\n{self.log()}")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        """Stop it; its exit code."""
        labs.stop(self.process, timeout=15)
        return self.process.returncode


def lab_directory():
    return f"/run/culvert-lab/{lab.name}"


def k1_cli(*words, check=True):
    return k1.run(["culvert", "--run-dir", RUN_DIR, *words], check=check)


k1 = K1()
k1_daemon = None
ends = {}


def prepare():
    """Pods as Calico's are: an address alone, the gateway 169.254.1.1; k1 as Calico's node."""
    for name, address in PODS.items():
        node, pod = lab.nodes[name], lab.nodes[name + "-pod"]
        node.ip("addr flush dev pod0", f"route add {address}/32 dev pod0")
        pod.ip("addr flush dev eth0", f"addr add {address}/32 dev eth0",
               "route add 169.254.1.1 dev eth0 scope link", "route add default via 169.254.1.1",
               f"neigh replace 169.254.1.1 lladdr {mac_text(node.mac('pod0'))} dev eth0")
        lab.start(name)
        ends[name] = Endpoint(lab, name + "-pod", address)
    lab.ip("k1", "addr flush dev dummy0", f"addr add {K1_POD}/32 dev dummy0")
    k1.run("mkdir -p /dev/net /run/culvert-config")
    k1.run(["sh", "-c", "lab-modprobe tun; [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200"])
    ends["k1"] = Endpoint(lab, "k1", K1_POD)
    calico_up()


def calico_up():
    lab.ip("k1", *CALICO)


def pod_node(name):
    return k1 if name == "k1" else lab.nodes[name + "-pod"]


# ---- what is seen -----------------------------------------------------------------------------


def path(source, target):
    """How a ping from pod to pod crosses the wire of the target: "tunnel", "direct" or None."""
    words = ["-I", K1_POD] if source == "k1" else []
    address = ALL_PODS[target]
    inner = bytes(map(int, address.split(".")))
    lab.listen()
    if not ping(pod_node(source), address, *words):
        return None
    packet = lab.wires[target].expect(
        lambda p: p[16:20] == inner and p[20] == 8 or p[9] == 4 and p[36:40] == inner, 0.5)
    return packet and ("tunnel" if packet[9] == 4 else "direct")


def check_everybody(when):
    """All pods reach all others, the way that CrossSubnet says; TCP where k1 has a part."""
    wrong = {}
    for source in ALL_PODS:
        for target in ALL_PODS:
            wanted = "direct" if source[0] in "ab" and source[0] == target[0] else "tunnel"
            if {source, target} == {"b1", "k1"}:
                wanted = "direct"
            if source != target and (got := path(source, target)) != wanted:
                wrong[f"{source} to {target}"] = got
    tap.equal(wrong, {}, f"{when}: pods reach each other, by tunnel between zones alone")
    lab.kernel = ends["k1"]
    lab.pod = ends["a1"]
    for direction in ("to kernel", "to Culvert"):
        same, sent = lab.transfer(direction, length=1 << 20)
        tap.ok(same, f"{when}: 1 MiB by TCP between a1 and k1, {direction}", lambda: sent)
    for name in ("a1", "b1"):
        tap.ok(ping(lab.nodes[name], K1_POD), f"{when}: host {name} reaches k1's pod")
        tap.ok(ping(k1, PODS[name]), f"{when}: host k1 reaches the pod of {name}")
        tap.ok(ping(lab.nodes[name + "-pod"], ADDRESSES["k1"]), f"{when}: pod of {name}, host k1")


class Losses:
    """Probes both ways between k1's pod and others, and between two nodes that have no part."""

    PAIRS = (("a1", "k1"), ("k1", "a1"), ("b1", "k1"), ("k1", "b1"), ("a1", "b1"))

    def __init__(self):
        self.probes = {}
        for i, (source, target) in enumerate(self.PAIRS):
            self.probes[source, target] = Probe(pod_node(source), pod_node(target), ALL_PODS[target],
                                                port=9100 + i, rate=RATE)
        time.sleep(1)

    def end(self, when):
        """Note them; those who have no part have lost nothing."""
        for (source, target), probe in self.probes.items():
            sent, took = probe.end()
            lost = sent["sent"] - took["unique"]
            tap.note(f"{when}: {source} to {target}: lost {lost} of {sent['sent']} ({RATE}/s)")
            if "k1" not in (source, target):
                tap.equal(lost, 0, f"{when}: {source} to {target} has no part, and loses nothing")


def routes(name):
    """Of ours and of Calico's on a node."""
    node = k1 if name == "k1" else lab.nodes[name]
    return {proto: node.run(f"ip route show proto {proto}").stdout for proto in ("84", "bird")}


# ---- the tests -----------------------------------------------------------------------------------


def exports():
    for name in PODS:
        done = lab.cli(name, "apply", "-f", EXPORTS)
        tap.ok(f"this node is {name}" in done.stdout, f"{name}: the exports apply as they stand",
               done.stdout + done.stderr)
        for part in ("NetworkPolicy allow-frontend is not acted on: Culvert does not enforce",
                     "fd00:10:244::/48 is IPv6"):
            tap.ok(part in done.stderr, f"{name}: … with a warning: {part}", done.stderr)
    tap.equal(len({lab.status(name)["store"]["digest"] for name in PODS}), 1, "one digest")
    peers = {p["name"]: p["path"] for p in lab.status("b1")["peers"]}
    tap.equal(peers, {"a1": "tunnel", "a2": "tunnel", "k1": "direct"}, "b1's peers")


def mixed():
    check_everybody("mixed")


def k1_prepares():
    """culvertd starts beside Calico: it says what is in its way, and is in nobody's."""
    global k1_daemon
    before = routes("k1")["bird"]
    losses = Losses()
    k1_daemon = K1Daemon()
    k1.run(["culvert", "--run-dir", RUN_DIR, "apply", "-f", EXPORTS])
    shown = k1_cli("status").stdout
    tap.ok(re.search(r"tunl0", shown), "culvertd on k1 names tunl0, which is in its way", shown)
    tap.equal(routes("k1")["bird"], before, "Calico's routes are as they were")
    losses.end("culvertd starts beside Calico")
    tap.equal((path("a1", "k1"), path("k1", "a1")), ("tunnel", "tunnel"), "… and carry on")


def k1_moves():
    losses = Losses()
    # calico-node is stopped; its last words are tunl0's.
    lab.ip("k1", "link set tunl0 down", f"addr del {K1_TUNNEL}/32 dev tunl0")
    came = net.wait_for(lambda: f"dev {DEVICE}" in routes("k1")["84"], 20)
    tap.ok(came, "tunl0 is down: the pool's device is there, and its routes",
           lambda: routes("k1")["84"] + k1_daemon.log())
    net.wait_for(lambda: ping(lab.nodes["a1-pod"], K1_POD, "-W1"), 5)
    k1.run("ip route flush proto bird")
    losses.end("k1 moves to Culvert")
    check_everybody("all moved")
    shown = k1.run(f"ip -4 -br addr show {DEVICE}").stdout
    tap.ok(K1_TUNNEL in shown, "the tunnel address has moved to the pool's device", shown)


def and_back():
    losses = Losses()
    tap.equal(k1_daemon.stop(), 0, "culvertd of k1 ends cleanly")
    calico_up()
    said = k1.run(["culvertd", "--purge", "--run-dir", RUN_DIR]).stdout
    losses.end("k1 moves back to Calico")
    tap.equal(routes("k1")["84"], "", "--purge has left no route")
    links = k1.run("ip -br link").stdout
    tap.ok(DEVICE not in links, "… and no device", links + said)
    tables = k1.run("nft list tables", check=False).stdout
    tap.ok("culvert" not in tables, "… and no table", tables)
    check_everybody("mixed again")


def after(name, failed):
    look_after(lab.daemons.values(), name, failed)
    if failed and k1_daemon:
        tap.note("k1: " + "\n".join(k1_daemon.log().splitlines()[-10:]))


def clean_end():
    end_cleanly(lab.daemons.values())
    for name, daemon in lab.daemons.items():
        daemon.purge()
        tap.equal(routes(name)["84"], "", f"{name}: purge leaves no route of ours")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: it makes network namespaces")
        sys.exit(0)
    with lab:
        prepare()
        tap.main([exports, mixed, k1_prepares, k1_moves, and_back, clean_end], tap.note, after)
