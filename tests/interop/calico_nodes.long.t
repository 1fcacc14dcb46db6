#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel timeout=1200
"""
Moving from Calico IP-in-IP, node by node from the first to the last, and back, on a kernel that has
ipip: this file runs twice, outside and in a guest with Debian's 6.12 (tests/guest). The network is
that of ../packet/zones.py; "Calico" is what its node leaves in the kernel: tunl0, bird's routes, a masquerade.

At every step all pods reach each other, whoever carries them; what the move of a node loses is
measured and noted, and flows between nodes that do not move lose nothing.
"""

import os
import re
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

if "GUEST_KERNEL" not in os.environ:
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: it starts a guest")
        sys.exit(0)
    guest = os.path.join(ROOT, "tests/guest/guest")
    os.execv(guest, [guest, "6.12", "--timeout", "1100", "--", os.path.abspath(__file__), *sys.argv[1:]])

import net  # noqa: E402
import tap  # noqa: E402
from cluster import Server, ping, tcp_works  # noqa: E402
from zones import (ADDRESSES, DEVICE, NODES, OUTSIDE, Probe, Zones,  # noqa: E402
                   path_taken)

EXPORTS = os.path.join(HERE, "calico")
PAIRS = [(a, b) for a in NODES for b in NODES if a != b]
RATE = 200

# kube-proxy's and Felix's own NAT, as far as it concerns pods: Calico leaves it behind.
MASQUERADE = """
table ip cali-nat {
	chain cali-POSTROUTING {
		type nat hook postrouting priority srcnat;
		ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade
	}
}
"""


class Calico(Zones):
    """The addresses of the exports."""

    def number(self, name):
        return {"a1": 1, "a2": 4, "b1": 2}[name]

    def tunnel_address(self, name):
        return f"{self.base}.{self.number(name)}.1"

    def block(self, name):
        return f"{self.base}.{self.number(name)}.0/26"


os.spawnlp(os.P_WAIT, "modprobe", "modprobe", "ipip")
zones = Calico(start=False)
servers = {}
moved = set()


def calico_up(name):
    """What Calico's node does to a kernel."""
    lines = [f"addr add {zones.tunnel_address(name)}/32 dev tunl0", "link set tunl0 up mtu 1480",
             f"route add blackhole {zones.block(name)} proto bird"]
    for other in NODES:
        words = "dev eth0" if other[0] == name[0] else "dev tunl0 onlink"
        if other != name:
            lines.append(f"route add {zones.block(other)} via {ADDRESSES[other]} proto bird {words}")
    zones.nodes[name].ip(*lines)


def calico_down(name):
    """Its node is stopped, and its device down."""
    zones.nodes[name].ip("link set tunl0 down", f"addr del {zones.tunnel_address(name)}/32 dev tunl0")


def routes(name, protocol="84"):
    return zones.nodes[name].run(f"ip route show proto {protocol}").stdout


def check(when):
    """All pods reach all others, as CrossSubnet has it, and the world outside."""
    when += f" (Culvert on {', '.join(sorted(moved)) or 'none'})"
    wrong = {}
    for source, target in PAIRS:
        wanted = "direct" if source[0] == target[0] else "tunnel"
        if (got := path_taken(zones, source, target)) != wanted:
            wrong[f"{source} to {target}"] = got
        problem = tcp_works(zones.pods[source], (zones.pod(target), 7000))
        if problem or servers[target].peers[-1] != zones.pod(source):
            wrong[f"TCP {source} to {target}"] = problem or servers[target].peers[-1]
        if not ping(zones.nodes[source], zones.pod(target)):
            wrong[f"host {source} to {target}"] = "no answer"
        if not ping(zones.pods[source], ADDRESSES[target]):
            wrong[f"{source} to host {target}"] = "no answer"
    tap.equal(wrong, {}, f"{when}: pods and hosts reach each other")
    seen = {}
    for name in NODES:
        problem = tcp_works(zones.pods[name], (OUTSIDE, 7000))
        seen[name] = problem or servers["outside"].peers[-1]
    tap.equal(seen, ADDRESSES, f"{when}: and a host outside, as their nodes")


class Losses:
    """Probes between all pods while a node moves."""

    def __init__(self, mover):
        self.mover = mover
        self.probes = {(a, b): Probe(zones.pods[a], zones.pods[b], zones.pod(b), 9100 + i, RATE)
                       for i, (a, b) in enumerate(PAIRS)}
        time.sleep(1)

    def end(self, when):
        time.sleep(0.5)
        for (source, target), probe in self.probes.items():
            sent, took = probe.end()
            lost = sent["sent"] - took["unique"]
            tap.note(f"{when}: {source} to {target}: lost {lost} of {sent['sent']} ({RATE}/s)")
            if self.mover not in (source, target):
                tap.equal(lost, 0, f"{when}: {source} to {target} loses nothing")


# ---- the tests -----------------------------------------------------------------------------------


def as_calico_has_it():
    for name in NODES:
        zones.nodes[name].run(["nft", "-f", "-"], input=MASQUERADE)
        calico_up(name)
        servers[name] = Server(zones.pods[name])
    servers["outside"] = Server(zones.outside)
    check("Calico")


def move(name):
    """One node: culvertd comes beside Calico, then takes over."""
    bird = routes(name, "bird")
    zones.start([name])
    done = zones.cli(name, "apply", "-f", EXPORTS)
    tap.ok("does not enforce network policies" in done.stderr, f"{name}: apply names the policies",
           done.stderr)
    shown = zones.cli(name, "status").stdout
    tap.ok(re.search("tunl0", shown), f"{name}: status names tunl0, which is in the way", shown)
    tap.equal(routes(name, "bird"), bird, f"{name}: Calico's routes are as they were")
    check(f"{name} has both")
    losses = Losses(name)
    calico_down(name)
    came = net.wait_for(lambda: f"dev {DEVICE}" in routes(name), 30)
    tap.ok(came, f"{name}: the pool's routes are there", lambda: zones.daemons[name].log())
    losses.end(f"{name} moves")
    zones.nodes[name].run("ip route flush proto bird")
    moved.add(name)
    check(f"{name} has moved")


def there():
    for name in NODES:
        move(name)


def and_back():
    for name in reversed(NODES):
        losses = Losses(name)
        # An emulated processor takes its time to unload programs.
        ended = net.stop(zones.daemons[name].process, timeout=60)
        tap.equal(ended, 0, f"{name}: culvertd ends cleanly")
        # What culvertd leaves still carries packets; Calico's routes come before its.
        calico_up(name)
        zones.daemons.pop(name).purge()
        losses.end(f"{name} moves back")
        moved.remove(name)
        left = routes(name) + zones.nodes[name].run("nft list tables").stdout
        tap.ok("culvert" not in left and "84" not in left, f"{name}: --purge has left nothing", left)
        tap.ok(not zones.nodes[name].has(DEVICE), f"{name}: … and no device")
        check(f"{name} has moved back")


if __name__ == "__main__":
    tap.main([as_calico_has_it, there, and_back], zones.before, zones.after)
