#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=endpoints
"""
A hybrid cloud: a gateway node of Culvert in the cloud, and at the other end a plain Linux with `ip
tunnel add … mode ipip` that knows nothing of Culvert. Prefixes on both sides.

    cloud  10.244.0.0/16                                           on-prem  172.20.0.0/16
    a1-pod 10.244.1.2 ── gw (a1, culvertd) ── router ── k1 (Linux, ipip) 172.20.3.1 on dummy0
                         192.168.100.1          │       192.168.200.3
                                                b1 192.168.200.2, outside of it all

Once with pools, in which k1 is a Node that owns a prefix; once with a Tunnel and its routes.
"""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import packets  # noqa: E402
import tap  # noqa: E402
from agents import ADDRESSES, AgentLab  # noqa: E402
from cluster import ping  # noqa: E402
from endpoint import Endpoint  # noqa: E402
from shapes import end_cleanly, look_after  # noqa: E402

GW, K1, B1 = (ADDRESSES[name] for name in ("a1", "k1", "b1"))
POD, PREM = "10.244.1.2", "172.20.3.1"
STRANGER = "192.168.200.66"

POOLS = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: cloud
spec:
  cidr: 10.244.0.0/16
  ipipMode: {mode}
  natOutgoing: true
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: on-prem
spec:
  cidr: 172.20.0.0/16
  ipipMode: {mode}
  disabled: true
"""
NODES = """\
---
apiVersion: projectcalico.org/v3
kind: Node
metadata:
  name: gw
spec:
  bgp:
    ipv4Address: 192.168.100.1/24
    ipv4IPIPTunnelAddr: 10.244.255.1
---
apiVersion: projectcalico.org/v3
kind: Node
metadata:
  name: prem
spec:
  bgp:
    ipv4Address: 192.168.200.3/24
---
apiVersion: culvert/v1
kind: Workload
metadata:
  name: cloud
spec:
  node: gw
  device: pod0
  addresses: [10.244.1.0/24]
"""
# The other end's prefix, said in two ways.
BLOCK = """\
---
apiVersion: projectcalico.org/v3
kind: BlockAffinity
metadata:
  name: prem-172-20-3-0-24
spec:
  cidr: 172.20.3.0/24
  node: prem
  state: confirmed
"""
WORKLOAD = """\
---
apiVersion: culvert/v1
kind: Workload
metadata:
  name: prem
spec:
  node: prem
  addresses: [172.20.3.0/24]
"""
TUNNEL = """\
---
apiVersion: culvert/v1
kind: Tunnel
metadata:
  name: prem0
spec:
  node: gw
  mode: ipip
  remote: 192.168.200.3
  local: 192.168.100.1
  addresses: [10.99.0.1/32]
  routes: [172.20.3.0/24]
"""

lab = AgentLab("hybrid")
kernel = pod = outside = None
COUNT = 3


def prepare():
    """k1's side, as its administrator writes it."""
    global kernel, pod, outside
    lab.ip("k1", f"addr add {PREM}/24 dev dummy0",
           f"tunnel add cloud0 mode ipip remote {GW} local {K1} ttl 64", "link set cloud0 up",
           f"route add 10.244.0.0/16 dev cloud0 src {PREM}",
           f"route add 10.99.0.0/24 dev cloud0 src {PREM}")
    pod, kernel = Endpoint(lab, "a1-pod", POD), Endpoint(lab, "k1", PREM)
    lab.pod, lab.kernel, outside = pod, kernel, Endpoint(lab, "b1", B1)
    lab.start("a1", "gw")


# ---- what is seen ---------------------------------------------------------------------------


def seen_by_k1():
    """The source of a datagram of the pod's as k1 gets it, or None."""
    return seen(pod, POD, kernel, PREM)


def seen(sender, source, receiver, address):
    """The source of a datagram as its receiver gets it, or None."""
    receiver.listen(address=address, port=4900)
    sender.listen(address=source, port=4900)
    sender.send(source=source, port=4900, to=address, number=7)
    got = receiver.receive(address=address, port=4900, number=7, timeout=2.0)["datagram"]
    return got and got["from"]


def gw_to_prem(source=""):
    """What k1 sees as the source of a ping from the gateway itself, or None."""
    lab.listen()
    words = ["-I", source] if source else []
    if not ping(lab.nodes["a1"], PREM, *words):
        return None
    inner = lab.wires["k1"].expect(lambda p: p[9] == 4 and p[29] == 1 and p[40] == 8, 1)
    return inner and ".".join(map(str, inner[32:36]))


def check_traffic(when):
    """Pings, datagrams and TCP both ways, all of it IP-in-IP between the two nodes."""
    lab.listen()
    for sizes, df in (([64, 1480], "probe"), ([1500, 4000], "dont")):
        for sender, to, name in ((pod, PREM, "pod to on-prem"), (kernel, POD, "on-prem to pod")):
            answers = sender.ping(source=sender.address, to=to, sizes=sizes, df=df)["answers"]
            tap.ok(set(answers.values()) == {"reply"}, f"{when}: pings of {sizes} bytes, {name}",
                   lambda answers=answers: answers)
    for direction in ("to kernel", "to Culvert"):
        same, sent = lab.transfer(direction, length=2 << 20)
        tap.ok(same, f"{when}: 2 MiB by TCP {direction}", lambda sent=sent: sent)
    kinds = set()
    while (packet := lab.wires["k1"].expect(timeout=0.1)) is not None:
        kinds.add((packet[9], ".".join(map(str, packet[12:16])), ".".join(map(str, packet[16:20]))))
    tap.equal(kinds, {(4, GW, K1), (4, K1, GW)}, f"{when}: nothing but IP-in-IP is on the wire")
    tap.equal(seen_by_k1(), POD, f"{when}: on-prem sees the pod itself")
    told = pod.ping(source=POD, to=PREM, sizes=[1500], df="probe")["answers"]
    tap.equal(told, {"1500": "mtu 1480"}, f"{when}: what is too big is told to the pod")


def check_strangers(when, cases):
    """Outer packets that must not get through. cases: outer source, inner source, reason."""
    wire = lab.wires["a1"]
    target = lab.nodes["a1-pod"].wire("eth0")
    frame = lab.nodes["a1"].mac("eth0") + lab.router.mac("a1") + b"\x08\x00"
    for outer, inner, reason in cases:
        before = lab.drops("a1")
        target.drain()
        for _ in range(COUNT):
            wire.send(frame + packets.outer(packets.udp(inner, POD), outer, GW))
        source = bytes(map(int, inner.split(".")))
        got = target.expect(lambda p, s=source: p[12:16] == s and p[9] == 17, 0.3)
        rose = {k: v - before[k] for k, v in lab.drops("a1").items() if v > before[k]}
        if reason:
            tap.equal((got, rose), (None, {reason: COUNT}), f"{when}: {inner} by {outer}: {reason}")
        else:
            tap.ok(got, f"{when}: {inner} by {outer} arrives", lambda rose=rose: rose)
    target.close()


def check_way_out(when):
    """The pod to a host outside is masqueraded."""
    tap.equal(seen(pod, POD, outside, B1), GW, f"{when}: natOutgoing to a host outside")


# ---- the tests ------------------------------------------------------------------------------------


def with_pools():
    said = lab.apply("a1", POOLS.format(mode="CrossSubnet") + NODES + BLOCK)
    tap.ok("this node is gw" in said, "applied on gw", said)
    peers = lab.status("a1")["peers"]
    tap.equal([(p["name"], p["path"]) for p in peers], [("prem", "tunnel")], "prem is a peer")
    check_traffic("pools")
    check_way_out("pools")
    check_strangers("pools", ((K1, "172.20.3.77", None),
                              (STRANGER, PREM, "not-a-peer"),
                              # The guard's route.
                              (K1, "172.20.9.9", "source-route-refuses"),
                              (K1, "8.8.8.8", "source-not-routed-back")))
    tap.equal(gw_to_prem(), "10.244.255.1", "pools: the gateway itself, by its tunnel address")
    tap.equal(gw_to_prem(GW), "10.244.255.1", "pools: … also when it says its outer address")


def always():
    lab.apply("a1", POOLS.format(mode="Always"))
    check_traffic("Always")


def by_workload():
    """The same prefix, said by a Workload of the other node."""
    lab.cli("a1", "delete", "blockaffinity", "prem-172-20-3-0-24")
    answers = pod.ping(source=POD, to=PREM, sizes=[64], df="dont", timeout=0.5)["answers"]
    tap.equal(answers, {"64": "icmp 3/1"}, "what nobody owns is unreachable, at once")
    lab.apply("a1", WORKLOAD)
    check_traffic("Workload")


def with_tunnel():
    """No node at the other end, but a tunnel of our own. The pool stays for NAT."""
    lab.cli("a1", "delete", "workload", "prem")
    lab.cli("a1", "delete", "node", "prem")
    lab.apply("a1", POOLS.format(mode="Never") + TUNNEL)
    shown = lab.nodes["a1"].run("ip route show proto 84").stdout
    tap.ok("172.20.3.0/24 dev prem0" in shown, "the tunnel's route is there", shown)
    check_traffic("Tunnel")
    check_way_out("Tunnel")
    check_strangers("Tunnel", ((K1, "172.20.3.77", None),
                               # The pools' device stays for a while.
                               (STRANGER, PREM, "not-a-peer"),
                               (K1, "172.20.9.9", "source-not-routed-back")))
    tap.equal(gw_to_prem(), "10.99.0.1", "Tunnel: the gateway itself, by the device's address")


def tunnel_alone():
    """Without any pool: routes, and nothing else of ours."""
    for kind, name in (("workload", "cloud"), ("node", "gw"), ("ippool", "cloud"),
                       ("ippool", "on-prem")):
        lab.cli("a1", "delete", kind, name)
    check_traffic("Tunnel alone")
    check_strangers("Tunnel alone", ((STRANGER, PREM, "no-tunnel"),))
    tables = lab.nodes["a1"].run("nft list tables").stdout
    tap.ok("culvert" not in tables, "no pool: no NAT", tables)
    lab.daemons["a1"].stop()
    lab.daemons["a1"].start()
    check_traffic("Tunnel alone, after a restart")
    lab.cli("a1", "delete", "tunnel", "prem0")
    tap.ok(not lab.nodes["a1"].has("prem0"), "deleted: the device is gone")
    shown = lab.nodes["a1"].run("ip route show proto 84").stdout
    tap.equal(shown, "", "… and the route")


def clean_end():
    end_cleanly(lab.daemons.values())
    lab.daemons["a1"].purge()


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: it makes network namespaces")
        sys.exit(0)
    with lab:
        prepare()
        tap.main([with_pools, always, by_workload, with_tunnel, tunnel_alone, clean_end],
                 tap.note, lambda name, failed: look_after(lab.daemons.values(), name, failed))
