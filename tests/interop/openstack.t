#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=endpoints,mixed
"""
OpenStack's shape: compute nodes in two zones, virtual machines behind taps on a Linux bridge, no
VLAN and no VXLAN. The network is that of ../packet/zones.py; c1 is a real machine in qemu (vm.py), c2
and c3 are namespaces.

     c1 10.65.1.5 ── tap ── brq… .1.1  a1 ┐ 192.168.100.0/24         192.168.200.0/24
                                          ├─ br-a  r ── b1  brq… .3.1 ── tap ── c3 10.65.3.5
     c2 10.65.2.5 ── tap ── brq… .2.1  a2 ┘        └ outside 203.0.113.9

First the nodes own a prefix each, which is behind the bridge; then c1 moves to a tap without a
bridge and has an address of its own, 10.65.9.77, as Calico's networking for OpenStack has it.
"""

import hashlib
import os
import re
import socket
import struct
import sys
import threading

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import culvert  # noqa: E402
import net  # noqa: E402
import tap  # noqa: E402
import vm  # noqa: E402
from cluster import ping, pattern  # noqa: E402
from zones import ADDRESSES, DEVICE, NODE, NODES, OUTSIDE, Zones  # noqa: E402

BRIDGE, TAP = "brq4f1d0c62-9a", "tapc3e1a7b2-55"
PORT = 7000
SIZE = 2 << 20
LONE = "10.65.9.77"

POOL = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: instances
spec:
  cidr: 10.65.0.0/16
  ipipMode: {mode}
  natOutgoing: true
"""

WORKLOAD = """\
---
apiVersion: culvert/v1
kind: Workload
metadata:
  name: {name}
spec:
  node: {node}
  device: {device}
  addresses: [{address}]
"""

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
zones = Zones(base="10.65", pods=False)
a1, a2, b1 = (zones.nodes[name] for name in NODES)


def machine(name):
    """The address of the machine on that node's bridge."""
    return f"10.65.{zones.number(name)}.5"


def make_bridge(name):
    """A bridge as Neutron's Linux bridge agent makes it, and the gateway of its subnet."""
    node = zones.nodes[name]
    node.ip(f"link add {BRIDGE} type bridge mcast_snooping 0", f"link set {BRIDGE} up",
            f"addr add 10.65.{zones.number(name)}.1/24 dev {BRIDGE}")


def plug_machine(name):
    """A namespace with a machine's address, on a node's bridge."""
    instance = net.Node("c-" + name)
    net.connect(zones.nodes[name], TAP, instance, "eth0", offload=True)
    zones.nodes[name].ip(f"link set {TAP} master {BRIDGE}")
    instance.ip(f"addr add {machine(name)}/24 dev eth0",
                f"route add default via 10.65.{zones.number(name)}.1")
    return instance


for node_name in NODES:
    make_bridge(node_name)
c1 = vm.Machine(a1, TAP, mac="fa:16:3e:00:00:01")
a1.ip(f"link set {TAP} master {BRIDGE}")
c2, c3 = plug_machine("a2"), plug_machine("b1")


def manifest(mode="CrossSubnet", lone=False):
    """All of it. lone: c1 is behind a tap of its own."""
    text = POOL.format(mode=mode)
    for name in NODES:
        number = zones.number(name)
        text += NODE.format(name=name, address=ADDRESSES[name] + "/24", tunnel=f"10.65.255.{number}")
        if name != "a1" or not lone:
            text += WORKLOAD.format(name=f"{name}-instances", node=name, device=BRIDGE,
                                    address=f"10.65.{number}.0/24")
    if lone:
        text += WORKLOAD.format(name="c1", node="a1", device=TAP, address=LONE)
    return text


# ---- what crosses the wires ------------------------------------------------------------------


class Crossing:
    """What passes the wires of a1 and b1: all of it, as (kind, source, destination)."""

    def __init__(self):
        self.wires = {name: zones.wire(name) for name in ("a1", "b1")}

    def seen(self, name):
        """What has passed since this was made or asked last."""
        found = set()
        while (frame := self.wires[name].read(0.1)) is not None:
            kind, packet = struct.unpack_from("!H", frame, 12)[0], frame[14:]
            if kind == 0x0806:
                continue
            if kind != 0x0800:
                found.add((f"ethertype {kind:04x}", None, None))
                continue
            found.add((packet[9], socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])))
        return found

    def close(self):
        for wire in self.wires.values():
            wire.close()


def only_tunnel(found):
    """True if that is IP-in-IP between a1 and b1, both ways, and nothing else."""
    a, b = ADDRESSES["a1"], ADDRESSES["b1"]
    return found == {(4, a, b), (4, b, a)}


# ---- conversations ------------------------------------------------------------------------------


class Sink:
    """Takes one connection: sends data, or reads to the end; then peer and sha256 are known."""

    def __init__(self, node, data=b""):
        self.listener = node.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("0.0.0.0", PORT))
        self.listener.listen()
        self.listener.settimeout(30)
        self.data = data
        self.peer = self.sha256 = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with self.listener:
            connection, (peer, _) = self.listener.accept()
        got = hashlib.sha256()
        with connection:
            connection.settimeout(30)
            if self.data:
                connection.sendall(self.data)
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                got.update(part)
        self.peer, self.sha256 = peer, got.hexdigest()

    def end(self):
        """Wait for its end; (peer, sha256)."""
        self.thread.join(30)
        return self.peer, self.sha256


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def push(to, address):
    """c1 connects to a machine and sends: whether all arrived, and as whose."""
    sink = Sink(to)
    wanted = c1.sh(f"dd if=/dev/urandom of=/rw/f bs=65536 count={SIZE >> 16} 2>/dev/null;"
                   "sha256sum </rw/f").split()[0]
    c1.sh(f"timeout 30 nc {address} {PORT} </rw/f")
    peer, got = sink.end()
    return got == wanted, peer


def pull(to, address):
    """c1 connects and takes: the same."""
    data = pattern(SIZE)
    sink = Sink(to, data)
    got = c1.sh(f"timeout 30 nc {address} {PORT} | sha256sum").split()[0]
    return got == sha256(data), sink.end()[0]


def send_to_c1(source, address):
    """A machine connects to c1 and sends: whether all arrived."""
    data = pattern(SIZE, 1)
    c1.begin(f"timeout 30 nc -l -p {PORT} | sha256sum")
    for _ in range(100):
        connection = source.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        connection.settimeout(20)
        if not connection.connect_ex((address, PORT)):
            break
        connection.close()
        threading.Event().wait(0.05)
    with connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    return c1.end().split()[0] == sha256(data)


def c1_pings(address, options=""):
    """True if one of c1's echoes is answered."""
    return c1.sh(f"ping -c1 -W5 {options} {address}", check=False)[0] == 0


def check_reach(when, address, tunnelled=("b1",)):
    """c1 and the others, both ways, and how their packets cross the wire of a1."""
    for name, other in (("a2", c2), ("b1", c3)):
        crossing = Crossing()
        tap.ok(c1_pings(machine(name)), f"{when}: c1 reaches the machine on {name}")
        tap.ok(ping(other, address), f"{when}: … and it c1")
        seen = crossing.seen("a1")
        crossing.close()
        if name in tunnelled:
            wanted = {(4, ADDRESSES["a1"], ADDRESSES[name]), (4, ADDRESSES[name], ADDRESSES["a1"])}
        else:
            wanted = {(1, address, machine(name)), (1, machine(name), address)}
        tap.equal(seen, wanted, f"{when}: … {'by tunnel' if name in tunnelled else 'directly'}")


def check_all(when, address):
    """TCP both ways with all that is on the wires, sizes, and the way out."""
    crossing = Crossing()
    tap.equal(push(c3, machine("b1")), (True, address), f"{when}: c1 sends 2 MiB to zone B")
    tap.equal(pull(c3, machine("b1")), (True, address), f"{when}: c1 fetches 2 MiB from zone B")
    tap.ok(send_to_c1(c3, address), f"{when}: zone B connects to c1 and sends 2 MiB")
    for name in ("a1", "b1"):
        seen = crossing.seen(name)
        tap.ok(only_tunnel(seen), f"{when}: IP-in-IP between the nodes is all that {name}'s wire has",
               lambda seen=seen: seen)
    crossing.close()
    check_sizes(when, address)
    for pull_or_push in (push, pull):
        tap.equal(pull_or_push(zones.outside, OUTSIDE), (True, ADDRESSES["a1"]),
                  f"{when}: natOutgoing, c1 to a host outside by TCP ({pull_or_push.__name__})")
    tap.ok(c1_pings(OUTSIDE), f"{when}: … and by ping")


def check_sizes(when, address):
    """Machines have an MTU of 1500, the tunnel one of 1480: they are told."""
    c1.sh("ip route flush cache; ip link set eth0 mtu 1500")
    port = a1.wire(TAP, with_outgoing=True)
    tap.ok(not c1_pings(machine("b1"), "-s 1472"), f"{when}: 1500 bytes do not fit")
    told = port.expect(lambda p: p[9] == 1 and p[20:22] == b"\x03\x04", 1)
    tap.ok(told and struct.unpack_from("!H", told, 26)[0] == 1480,
           f"{when}: … which c1 is told, with 1480", lambda: told and told.hex())
    port.close()
    tap.ok(c1_pings(machine("b1"), "-s 1472"), f"{when}: … so it sends fragments, which arrive")
    c3.ip("route flush cache")
    said = c3.run(["ping", "-n", "-c1", "-W2", "-M", "do", "-s", "1472", address], check=False)
    tap.ok(re.search(r"mtu ?= ?1480", said.stdout), f"{when}: c3 is told, too", said.stdout)
    tap.ok(ping(c3, address, "-M", "do", "-s", "1452"), f"{when}: 1480 bytes arrive whole")


def endpoints(name, device, address):
    """In the modes that have them, make a device an endpoint."""
    if zones.daemons[name].mode == culvert.ENDPOINTS:
        zones.cli(name, "endpoint", "add", device, "ip", address)


def past_the_stack(name):
    """Packets between endpoints and the pool device that have not met the stack."""
    shown = zones.daemons[name].paths(DEVICE)["fast"]
    return shown["tx_endpoint_packets"] + shown["rx_endpoint_packets"]


# ---- the tests ---------------------------------------------------------------------------------


def boot():
    c1.wait()
    c1.sh(f"ip addr add {machine('a1')}/24 dev eth0; ip link set eth0 up;"
          "ip route add default via 10.65.1.1")
    tap.ok(c1_pings("10.65.1.1"), "c1 is up and reaches its gateway")


def behind_bridges():
    zones.apply(manifest())
    for name in ("a1", "b1"):
        endpoints(name, BRIDGE, machine(name))
        tap.equal(zones.status(name)["routes"]["failed"], 0, f"{name}: no route fails")
    check_reach("bridge", machine("a1"))
    check_all("bridge", machine("a1"))
    for name in ("a1", "b1"):
        if zones.daemons[name].mode == culvert.ENDPOINTS:
            tap.ok(past_the_stack(name) > 100, f"{name}: packets go past the stack",
                   lambda n=name: past_the_stack(n))


def hosts():
    """The compute nodes themselves, by their tunnel addresses, which are in no machine's prefix."""
    tap.ok(ping(b1, machine("a1")), "b1 reaches c1")
    tap.ok(ping(a2, machine("a1")), "a2 reaches c1")
    tap.ok(c1_pings(ADDRESSES["b1"]), "c1 reaches b1's own address")
    tap.ok(c1_pings("10.65.255.3"), "c1 reaches b1's tunnel address")


def always():
    zones.apply(manifest("Always"))
    check_reach("Always", machine("a1"), tunnelled=("a2", "b1"))


def a_tap_of_its_own():
    """c1 leaves the bridge: its /32 is routed to its tap, and its gateway is proxied."""
    zones.cli("a1", "endpoint", "del", BRIDGE, check=False)
    a1.ip(f"link set {TAP} nomaster", f"link del {BRIDGE}")
    a1.sysctl(f"net.ipv4.conf.{TAP}.proxy_arp", 1)
    a1.sysctl(f"net.ipv4.neigh.{TAP}.proxy_delay", 0)
    for name in NODES:
        zones.cli(name, "delete", "workload", "a1-instances")
    zones.apply(manifest(lone=True))
    endpoints("a1", TAP, LONE)
    c1.sh(f"ip addr flush dev eth0; ip addr add {LONE}/32 dev eth0;"
          "ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1")
    tap.ok(f"{LONE} dev {TAP}" in a1.run("ip route show proto 84").stdout, "its route is there")
    before = past_the_stack("a1")
    check_reach("tap", LONE)
    check_all("tap", LONE)
    if zones.daemons["a1"].mode == culvert.ENDPOINTS:
        tap.ok(past_the_stack("a1") - before > 100, "a1: packets go past the stack")
    zones.apply(manifest("Always", lone=True))
    check_reach("tap, Always", LONE, tunnelled=("a2", "b1"))


def the_machine_leaves():
    """A tap that goes takes its route along; one of the same name gets it again."""
    c1.stop()
    net.wait_for(lambda: not a1.has(TAP) or a1.ip(f"link del {TAP}") is not None, 2)
    tap.ok(net.wait_for(lambda: LONE not in a1.run("ip route show proto 84").stdout, 3),
           "the tap is gone, and its route")
    tap.ok(net.wait_for(lambda: any(TAP in w for w in zones.status("a1")["warnings"]), 3),
           "status says what is missing", lambda: zones.status("a1")["warnings"])
    a1.ip(f"tuntap add dev {TAP} mode tap", f"link set {TAP} up")
    tap.ok(net.wait_for(lambda: f"{LONE} dev {TAP}" in a1.run("ip route show proto 84").stdout, 3),
           "a new tap of that name gets the route")


if __name__ == "__main__":
    tap.main([boot, behind_bridges, hosts, always, a_tap_of_its_own, the_machine_leaves,
              zones.clean_end], zones.before, zones.after)
