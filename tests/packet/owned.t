#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine
"""
Tunnel and Workload resources: made, changed, kept and taken away. The network is that of zones.py;
outside, 203.0.113.9, is the other end of the tunnels (the test).
"""

import os
import signal
import socket
import time

import culvert
import net
import tap
from cluster import ping
from zones import ADDRESSES, OUTSIDE, Zones, path_taken

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
zones = Zones()
A1 = zones.nodes["a1"]

TUNNEL = """\
apiVersion: culvert/v1
kind: Tunnel
metadata:
  name: gw0
spec:
  local: 192.168.100.1
  remote: 203.0.113.9
"""

WORKLOAD = """\
apiVersion: culvert/v1
kind: Workload
metadata:
  name: vm
spec:
  node: {node}
  device: {device}
  addresses: [{addresses}]
"""


def apply(text, check=True):
    return zones.cli("a1", "apply", "-f", "-", text=text, check=check)


def shown():
    """Addresses and state of gw0."""
    words = A1.run("ip -4 -br addr show dev gw0").stdout.split()
    return sorted(words[2:])


def is_up():
    return ",UP" in A1.run("ip -o link show dev gw0").stdout


def routes():
    return sorted(line.strip() for line in A1.run("ip route show dev gw0 proto 84").stdout.splitlines())


def leaves(to):
    """The outer packet of a ping to an address: its destination and TTL, or None."""
    wire = zones.outside.wire("eth0")
    A1.run(["ping", "-n", "-c1", "-W1", to], check=False)
    packet = wire.expect(lambda p: p[9] == 4 and p[36:40] == socket.inet_aton(to), 0.5)
    wire.close()
    return packet and (socket.inet_ntoa(packet[16:20]), packet[8])


def made():
    done = apply(TUNNEL + "  addresses: [10.9.0.1/30]\n  routes: [172.20.0.0/16, 172.21.0.0/24]\n")
    tap.ok("tunnel/gw0 created" in done.stdout, "apply says so", done.stdout)
    tap.ok(net.wait_for(lambda: A1.has("gw0") and routes() == ["172.20.0.0/16 scope link metric 64",
                                                               "172.21.0.0/24 scope link metric 64"], 3),
           "device and routes are there", routes)
    tap.equal((is_up(), shown()), (True, ["10.9.0.1/30"]), "… up, with its address")
    got = leaves("172.20.0.5")
    tap.ok(got and got[0] == OUTSIDE, "… and it carries", got)
    text = zones.cli("a1", "tunnel", "show").stdout
    tap.ok("gw0" in text, "tunnel show has it", text)


def not_by_hand():
    for words in (("del", "gw0"), ("change", "gw0", "ttl", "9")):
        done = zones.cli("a1", "tunnel", *words, check=False)
        tap.ok(done.returncode == 1 and "Tunnel gw0" in done.stderr, f"tunnel {words[0]} is refused", done.stderr)
    done = zones.cli("a1", "tunnel", "add", "gw0", "mode", "ipip", "remote", "203.0.113.8", check=False)
    tap.equal(done.returncode, 1, "tunnel add of its name is refused")
    tap.equal(leaves("172.20.0.5")[0], OUTSIDE, "… and all is as it was")


def changed():
    index = A1.run("cat /sys/class/net/gw0/ifindex", check=False).stdout
    apply(TUNNEL + "  ttl: 77\n  addresses: [10.9.0.5/30, 10.9.1.1/32]\n  routes: [172.20.0.0/16, 172.22.0.0/24]\n")
    tap.ok(net.wait_for(lambda: shown() == ["10.9.0.5/30", "10.9.1.1/32"], 3), "addresses: new ones come, the old one goes", shown)
    tap.ok(net.wait_for(lambda: [r.split()[0] for r in routes()] == ["172.20.0.0/16", "172.22.0.0/24"], 3), "routes: the same", routes)
    got = leaves("172.22.0.5")
    tap.ok(got and got[1] in (76, 77), "ttl: in force", got)
    tap.equal(A1.run("cat /sys/class/net/gw0/ifindex", check=False).stdout, index, "the device is the same")
    A1.ip("addr add 10.9.7.7/32 dev gw0")
    apply(TUNNEL + "  addresses: [10.9.1.1/32]\n  routes: [172.20.0.0/16]\n")
    tap.ok(net.wait_for(lambda: shown() == ["10.9.1.1/32", "10.9.7.7/32"], 3), "an address that a person added stays", shown)
    A1.ip("addr del 10.9.7.7/32 dev gw0", "addr del 10.9.1.1/32 dev gw0", "link set gw0 down")
    tap.ok(net.wait_for(lambda: is_up() and shown() == ["10.9.1.1/32"] and len(routes()) == 1, 3), "what is taken away comes back",
           lambda: f"{shown()} {routes()}")
    apply(TUNNEL + "  up: false\n")
    tap.ok(net.wait_for(lambda: shown() == [] and routes() == [], 3), "no address, no route any longer", lambda: f"{shown()} {routes()}")
    apply(TUNNEL + "  addresses: [10.9.0.1/30]\n  routes: [172.20.0.0/16]\n")
    tap.ok(net.wait_for(lambda: is_up() and len(routes()) == 1, 3), "and again")


def kept():
    """Over a restart and a kill."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        before = shown(), routes(), A1.run(["ip", "-o", "link", "show", "gw0"]).stdout.split(":")[0]
        zones.daemons["a1"].stop(number)
        zones.daemons["a1"].start()
        after = shown(), routes(), A1.run(["ip", "-o", "link", "show", "gw0"]).stdout.split(":")[0]
        tap.equal(after, before, f"signal {number}: as it was")
        tap.equal((leaves("172.20.0.5") or [None])[0], OUTSIDE, "… and it carries")
    zones.daemons["a1"].stop()
    path = os.path.join(zones.config["a1"], "applied.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("10.9.0.1/30", "10.9.0.2/30"))
    zones.daemons["a1"].start()
    tap.ok(net.wait_for(lambda: shown() == ["10.9.0.2/30"], 3), "an address that changed while it was away", shown)


def of_other_nodes():
    done = apply(TUNNEL.replace("gw0", "gw1").replace(OUTSIDE, "203.0.113.8") + "  node: b1\n")
    time.sleep(0.2)
    tap.ok(not A1.has("gw1"), "another node's Tunnel is none here", done.stdout)
    zones.cli("a1", "delete", "tunnel", "gw1")


def deleted():
    zones.cli("a1", "delete", "tunnel", "gw0")
    tap.ok(net.wait_for(lambda: not A1.has("gw0"), 3), "deleted: the device is gone")
    tap.equal(A1.run("ip route show proto 84").stdout, "", "… and its routes")


def persons():
    """A tunnel that a person has made is left alone, and told."""
    zones.cli("a1", "tunnel", "add", "gw0", "mode", "ipip", "remote", "203.0.113.8", "local", "192.168.100.1")
    A1.ip("link set gw0 up", "addr add 10.9.5.5/32 dev gw0")
    apply(TUNNEL + "  addresses: [10.9.0.1/30]\n  routes: [172.20.0.0/16]\n")
    time.sleep(0.3)
    status = zones.cli("a1", "status").stdout
    tap.ok("gw0" in status, "status names it", status)
    text = zones.cli("a1", "tunnel", "show", "gw0").stdout
    tap.ok("203.0.113.8" in text, "the person's tunnel is as it was", text)
    tap.equal(shown(), ["10.9.5.5/32"], "… with its address alone")
    tap.equal(routes(), [], "… and no route of the resource leads into it")
    zones.cli("a1", "tunnel", "del", "gw0")
    tap.ok(net.wait_for(lambda: A1.has("gw0") and shown() == ["10.9.0.1/30"] and routes(), 3), "once it is gone, the resource's is made", lambda: zones.cli("a1", "status").stdout)
    tap.equal((leaves("172.20.0.5") or [None])[0], OUTSIDE, "… and carries")
    zones.cli("a1", "delete", "tunnel", "gw0")
    tap.ok(net.wait_for(lambda: not A1.has("gw0"), 3), "deleted")


def foreign_device():
    A1.ip("link add gw0 type bridge", "link set gw0 up")
    apply(TUNNEL + "  addresses: [10.9.0.1/30]\n  routes: [172.20.0.0/16]\n")
    time.sleep(0.3)
    tap.equal((shown(), routes()), ([], []), "a device that is not ours is left alone")
    status = zones.cli("a1", "status").stdout
    tap.ok("gw0" in status, "… and status names it", status)
    A1.ip("link del gw0")
    tap.ok(net.wait_for(lambda: A1.has("gw0") and shown() == ["10.9.0.1/30"], 5), "once it is gone, ours is made", lambda: zones.cli("a1", "status").stdout)
    zones.cli("a1", "delete", "tunnel", "gw0")


def workloads():
    """Addresses behind devices of this and of other nodes, moved from one to the other."""
    zones.apply(zones.manifest())
    vm = net.Node("vm")
    net.connect(vm, "eth0", A1, "tap0", offload=True)
    vm.ip("addr add 10.244.1.66/32 dev eth0", "route add 169.254.1.1 dev eth0 scope link", "route add default via 169.254.1.1")
    A1.sysctl("net.ipv4.conf.tap0.proxy_arp", 1)
    for name in ("a1", "b1"):
        zones.cli(name, "apply", "-f", "-", text=WORKLOAD.format(node="a1", device="tap0", addresses="10.244.1.66"))

    def route(name):
        return zones.nodes[name].run("ip route show 10.244.1.66").stdout

    tap.ok(net.wait_for(lambda: "dev tap0" in route("a1"), 3), "a route to the device")
    tap.ok(net.wait_for(lambda: ping(zones.pods["b1"], "10.244.1.66", "-W1"), 3), "pod of b1 reaches it")
    A1.ip("link set tap0 down")
    tap.ok(net.wait_for(lambda: route("a1") == "", 3), "down: no route")
    A1.ip("link set tap0 up")
    tap.ok(net.wait_for(lambda: "dev tap0" in route("a1") and ping(zones.pods["b1"], "10.244.1.66", "-W1"), 5), "up: it works again")
    A1.ip("link del tap0")
    status = zones.status("a1")
    tap.ok(net.wait_for(lambda: any("has no device tap0" in w for w in zones.status("a1")["warnings"]), 3), "gone: a warning", status)
    vm = net.Node("vm")
    net.connect(vm, "eth0", A1, "tap0", offload=True)
    vm.ip("addr add 10.244.1.66/32 dev eth0", "route add 169.254.1.1 dev eth0 scope link", "route add default via 169.254.1.1")
    A1.sysctl("net.ipv4.conf.tap0.proxy_arp", 1)
    tap.ok(net.wait_for(lambda: ping(zones.pods["b1"], "10.244.1.66", "-W1"), 5), "another of that name: it works again")
    # Moved: a single address that is borrowed from a1's block.
    moved = net.Node("moved")
    net.connect(moved, "eth0", zones.nodes["b1"], "tap0", offload=True)
    moved.ip("addr add 10.244.1.66/32 dev eth0", "route add 169.254.1.1 dev eth0 scope link", "route add default via 169.254.1.1")
    zones.nodes["b1"].sysctl("net.ipv4.conf.tap0.proxy_arp", 1)
    for name in NODES_:
        zones.cli(name, "apply", "-f", "-", text=WORKLOAD.format(node="b1", device="tap0", addresses="10.244.1.66"))
    tap.ok(net.wait_for(lambda: "via 192.168.200.2" in route("a1") and "dev tap0" in route("b1"), 3), "moved to b1: routes follow",
           lambda: route("a1") + route("b1"))
    tap.ok(net.wait_for(lambda: ping(zones.pods["a1"], "10.244.1.66", "-W1"), 3), "… a pod of a1 reaches it there")
    tap.ok(ping(zones.pods["a2"], "10.244.1.66"), "… and one of a2")
    for name in NODES_:
        zones.cli(name, "delete", "workload", "vm")
    tap.ok(net.wait_for(lambda: route("a1") + route("b1") == "", 3), "deleted: no route")


NODES_ = tuple(zones.nodes)

if __name__ == "__main__":
    tap.main([made, not_by_hand, changed, kept, of_other_nodes, deleted, persons, foreign_device, workloads,
              zones.clean_end], zones.before, zones.after)
