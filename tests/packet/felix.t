#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine,endpoints
"""
FelixConfiguration, field by field, and what PathConfiguration says of the pool device, while all
runs. The network is that of zones.py; outside is also a tunnel's end that is no Node:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                  ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘               │
                                  └── outside 203.0.113.9   (and 172.20.0.5 behind it: the test)
"""

import json
import os
import socket
import time

import culvert
import net
import packets
import tap
from cluster import Server, tcp_works
from zones import ADDRESSES, DEVICE, NODES, OUTSIDE, Probe, Zones, path_taken

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
zones = Zones()
A1 = zones.nodes["a1"]
server = Server(zones.outside)
EXTERNAL = "172.20.0.5"

FELIX = """\
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata:
  name: {name}
spec:
"""


def felix(*lines, name="default", nodes=("a1",)):
    """Apply it; no line: take it away."""
    for node in nodes:
        if not lines:
            zones.cli(node, "delete", "felixconfiguration", name)
            continue
        zones.cli(node, "apply", "-f", "-",
                  text=FELIX.format(name=name) + "".join(f"  {line}\n" for line in lines))


def routes(protocol, node="a1"):
    """Of a protocol, without the word."""
    return sorted(zones.nodes[node].run(f"ip route show proto {protocol}").stdout.splitlines())


def mtu():
    return int(A1.run(f"ip -o link show dev {DEVICE}").stdout.split(" mtu ")[1].split()[0])


def seen_from(to=OUTSIDE):
    """Whom the server at a TCP connection's other end sees: address."""
    server.peers.clear()
    why = tcp_works(zones.pods["a1"], (to, 7000))
    return why or (server.peers[-1] if server.peers else None)


def port_seen():
    """The source port, on the wire, of a UDP packet of pod a1 to outside."""
    wire = zones.outside.wire("eth0")
    with zones.pods["a1"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", (OUTSIDE, 5353))
        packet = wire.expect(lambda p: p[9] == 17 and p[22:24] == b"\x14\xe9", 2)
    wire.close()
    return packet and int.from_bytes(packet[20:22], "big")


def set_up():
    zones.apply(zones.manifest())
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "b1") == "tunnel", 5), "it works")
    tap.equal(path_taken(zones, "a1", "a2"), "direct", "… and directly")


def ipip_mtu():
    tap.equal(mtu(), 1480, "by itself: 1480")
    felix("ipipMTU: 1400")
    tap.ok(net.wait_for(lambda: mtu() == 1400, 3), "ipipMTU: 1400", mtu)
    felix("ipipMTU: 1300", name="node.a1")
    tap.ok(net.wait_for(lambda: mtu() == 1300, 3), "node.a1's own: 1300", mtu)
    felix("ipipMTU: 1200", name="node.b1")
    time.sleep(0.2)
    tap.equal(mtu(), 1300, "another node's is no matter")
    felix(name="node.b1")
    felix(name="node.a1")
    tap.ok(net.wait_for(lambda: mtu() == 1400, 3), "it is gone: the default's again", mtu)
    felix("mtuIfacePattern: ^pod")
    tap.ok(net.wait_for(lambda: mtu() == 1460, 3), "mtuIfacePattern: of another device", mtu)
    felix()
    tap.ok(net.wait_for(lambda: mtu() == 1480, 3), "all is gone: by itself again", mtu)
    tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "… and it works")


def nat():
    tap.equal(seen_from(), ADDRESSES["a1"], "at first: the node's address")
    A1.ip("addr add 192.168.100.90/32 dev eth0")
    felix("natOutgoingAddress: 192.168.100.90")
    tap.ok(net.wait_for(lambda: seen_from() == "192.168.100.90", 3), "natOutgoingAddress", seen_from)
    felix("natPortRange: 40000:40009")
    tap.ok(net.wait_for(lambda: seen_from() == ADDRESSES["a1"], 3), "without: the node's again", seen_from)
    ports = {port_seen() for _ in range(6)}
    tap.ok(ports <= set(range(40000, 40010)) and len(ports) > 1, "natPortRange: ports are of it", ports)
    felix("natOutgoingAddress: 192.168.100.90", "natPortRange: 41000:41001", name="node.a1")
    tap.ok(net.wait_for(lambda: port_seen() in (41000, 41001), 3), "node.a1's own range", port_seen)
    tap.equal(seen_from(), "192.168.100.90", "… and address")
    felix(name="node.a1")
    felix()
    A1.ip("addr del 192.168.100.90/32 dev eth0")


def exclusions():
    """IPPoolsAndHostIPs: nodes see pods' own addresses."""
    other = Server(zones.nodes["b1"])
    zones.r.ip(f"route add {zones.block('a1')} via {ADDRESSES['a1']}")

    def seen():
        other.peers.clear()
        why = tcp_works(zones.pods["a1"], (ADDRESSES["b1"], 7000))
        return why or (other.peers[-1] if other.peers else None)

    tap.equal(seen(), ADDRESSES["a1"], "IPPoolsOnly: a node sees the node")
    felix("natOutgoingExclusions: IPPoolsAndHostIPs")
    tap.ok(net.wait_for(lambda: seen() == zones.pod("a1"), 3), "IPPoolsAndHostIPs: it sees the pod", seen)
    tap.equal(seen_from(), ADDRESSES["a1"], "… but outside sees the node")
    felix("natOutgoingExclusions: IPPoolsAndHostIPs", f"externalNodesList: [{OUTSIDE}]")
    zones.r.ip(f"route replace {zones.block('a1')} via {ADDRESSES['a1']}")
    tap.ok(net.wait_for(lambda: seen_from() == zones.pod("a1"), 3), "… until it is an external node", seen_from)
    felix()
    zones.r.ip(f"route del {zones.block('a1')}")


def external_nodes():
    """A tunnel's end that is no Node: let in when it is listed and a route leads to it."""
    a1, pod = zones.r.wire("to-a1"), zones.pods["a1"].wire("eth0")
    out = zones.outside.wire("eth0")
    frame = A1.mac("eth0") + zones.r.mac("br-a") + b"\x08\x00"

    def let_in(source=EXTERNAL, outer=OUTSIDE):
        pod.drain()
        inner = packets.udp(source, zones.pod("a1"))
        a1.send(frame + packets.outer(inner, outer, ADDRESSES["a1"]))
        return pod.expect(lambda p: p[9] == 17 and p[12:16] == inner[12:16], 0.3) is not None

    tap.ok(not let_in(), "not listed: refused")
    A1.ip(f"route add 172.20.0.0/16 via {OUTSIDE} dev {DEVICE} onlink")
    tap.ok(let_in(), "a route into the tunnel leads to it: it is a next hop, and let in")
    A1.ip("route del 172.20.0.0/16")
    felix(f"externalNodesList: [{OUTSIDE}]")
    time.sleep(0.2)
    tap.ok(not let_in(), "listed, but no route: refused")
    A1.ip(f"route add 172.20.0.0/16 via {OUTSIDE} dev {DEVICE} onlink")
    tap.ok(net.wait_for(let_in, 3), "listed, and a route: let in")
    tap.ok(not let_in(source=zones.pod("a2")), "… but not as a pod of a2")
    tap.ok(not let_in(source="172.21.0.5"), "… nor from elsewhere")
    out.drain()
    zones.pods["a1"].run(["ping", "-n", "-c1", "-W1", EXTERNAL], check=False)
    tap.ok(out.expect(lambda p: p[9] == 4 and p[36:40] == socket.inet_aton(EXTERNAL), 1), "the way there: by the tunnel")
    A1.ip(f"route replace 172.20.0.0/16 via 192.168.100.254")
    tap.ok(not let_in(), "listed, but routed by the underlay: refused, as no resource says it is there")
    A1.ip("route del 172.20.0.0/16")
    tap.ok(not let_in(), "the route is gone: refused")
    felix()
    for wire in (a1, pod, out):
        wire.close()


def ipip_enabled():
    felix("ipipEnabled: false")
    tap.ok(net.wait_for(lambda: not A1.has(DEVICE), 3), "ipipEnabled: false: no device")
    tap.equal(path_taken(zones, "a1", "a2", on="a2"), "direct", "… directly goes on")
    tap.equal(path_taken(zones, "a1", "b1"), None, "… b1 is not reached")
    wire = zones.wire("a1")
    zones.pods["a1"].run(["ping", "-n", "-c1", "-W1", zones.pod("b1")], check=False)
    tap.equal(wire.expect(lambda p: p[16:20] == socket.inet_aton(zones.pod("b1")), 0.2), None, "… and nothing inner leaves otherwise")
    wire.close()
    peer = {p["name"]: p for p in zones.status("a1")["peers"]}["b1"]
    tap.ok("ipipEnabled" in peer["reason"], "status says why", peer)
    felix("ipipEnabled: true", name="node.a1")
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "b1") == "tunnel", 5), "node.a1's own word counts more")
    felix(name="node.a1")
    felix()
    tap.ok(net.wait_for(lambda: path_taken(zones, "a1", "b1") == "tunnel", 5), "all is gone: as before")


def route_protocol():
    """Another number for our routes, under traffic: not a packet is lost, not an old route left."""
    before = routes(84)
    probes = [Probe(zones.pods["a1"], zones.pods[name], zones.pod(name), port=9000 + i)
              for i, name in enumerate(("a2", "b1"))]
    back = Probe(zones.pods["b1"], zones.pods["a1"], zones.pod("a1"), port=9005)
    time.sleep(0.3)
    for number, former in ((97, 84), (200, 97), (84, 200), (97, 84)):
        felix(f"deviceRouteProtocol: {number}")
        tap.ok(net.wait_for(lambda n=number: routes(n) == before, 3), f"deviceRouteProtocol: {number}",
               lambda n=number: f"{routes(n)}\n{before}")
        tap.equal(routes(former), [], f"… and none is left of {former}")
        time.sleep(0.1)
    for probe in (*probes, back):
        sent, took = probe.end()
        tap.equal((sent["sent"] - took["unique"], sent["failed"]), (0, 0), f"none of {sent['sent']} is lost")
    # Over a restart, also when it was changed meanwhile.
    zones.daemons["a1"].stop()
    zones.daemons["a1"].start()
    tap.equal((routes(97), routes(84)), (before, []), "a restart: as it was")
    zones.daemons["a1"].stop()
    path = os.path.join(zones.config["a1"], "applied.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("deviceRouteProtocol: 97", "deviceRouteProtocol: 98"))
    zones.daemons["a1"].start()
    tap.ok(net.wait_for(lambda: (routes(98), routes(97)) == (before, []), 3), "changed while it was away: no old one is left", lambda: routes(97))
    A1.ip("route add 10.66.0.0/16 dev lo proto 84")
    felix()
    tap.ok(net.wait_for(lambda: routes(98) == [] and set(before) <= set(routes(84)), 3), "84 again")
    A1.ip("route del 10.66.0.0/16 proto 84", check=False)
    tap.ok(net.wait_for(lambda: routes(84) == before, 3), "… and all is as before", lambda: routes(84))


def refused():
    for line, says in (("ipipMTU: 20", "ipipMTU"), ("natPortRange: 9:1", "natPortRange"),
                       ("deviceRouteProtocol: 400", "deviceRouteProtocol"), ("externalNodesList: [x]", "externalNodesList"),
                       ("natOutgoingExclusions: All", "natOutgoingExclusions")):
        done = zones.cli("a1", "apply", "-f", "-", check=False, text=FELIX.format(name="default") + f"  {line}\n")
        tap.ok(done.returncode == 1 and says in done.stderr and ":6:" in done.stderr, f"{line}: refused, with its line", done.stderr)


def mss_clamp():
    """That of the pool device is PathConfiguration's."""
    def clamp():
        return json.loads(zones.cli("a1", "-j", "tunnel", "show", DEVICE).stdout)[0]["mssclamp"]

    tap.equal(clamp(), "auto", "mssClamp: auto")
    for value, told in (("1000", 1000), ('"off"', "off"), ("auto", "auto"), ("off", "off")):
        zones.cli("a1", "apply", "-f", "-", text="apiVersion: culvert/v1\nkind: PathConfiguration\n"
                  f"metadata: {{name: default}}\nspec: {{mssClamp: {value}}}\n")
        tap.equal(clamp(), told, f"mssClamp: {value}")
    zones.cli("a1", "delete", "pathconfiguration", "default")
    tap.equal(clamp(), "auto", "without the resource: auto")


if __name__ == "__main__":
    tap.main([set_up, ipip_mtu, nat, exclusions, external_nodes, ipip_enabled, route_protocol, refused,
              mss_clamp, zones.clean_end], zones.before, zones.after)
