#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel
"""
The MTU of the pool device and of routes to other nodes, where the ways to these take more or less.
The network is that of zones.py, with IPIP always; zone a takes 9000 bytes, the way to zone b 1500:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
             9000 ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘                         1500
"""

import json
import os

import culvert
import net
import tap
from packets import header, icmp_of, is_icmp_error, is_ipip, udp
from zones import DEVICE, Zones

if os.environ.get("CULVERT_MODE") != culvert.ENGINE:
    culvert.need_programs()
WIDE, AT_ONCE = 9000, 1
zones = Zones(offload=False)
A1, A2 = zones.nodes["a1"], zones.nodes["a2"]

FELIX = """\
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata:
  name: default
spec:
  {line}
"""


def to_zone_b(mtu):
    """a1's route there takes so much."""
    A1.ip(f"route replace 192.168.200.0/24 via 192.168.100.254 mtu {mtu}")


def widen():
    """Zone a and its pods take 9000 bytes."""
    zones.r.ip("link set to-a1 mtu 9000", "link set to-a2 mtu 9000", "link set br-a mtu 9000")
    for node in "a1", "a2":
        zones.nodes[node].ip("link set eth0 mtu 9000", "link set pod0 mtu 9000")
        zones.pods[node].ip("link set eth0 mtu 9000")


def device_mtu():
    """Of a1's pool device."""
    return json.loads(A1.run(f"ip -j link show {DEVICE}").stdout)[0]["mtu"]


def route_mtu(name):
    """Of a1's route to a node's block; 0: it has none."""
    shown = json.loads(A1.run(f"ip -j route show {zones.block(name)}").stdout)
    return (shown[0].get("metrics") or [{}])[0].get("mtu", 0) if len(shown) == 1 else shown


def mtus():
    """Of the device, of the route to a2, and to b1."""
    return device_mtu(), route_mtu("a2"), route_mtu("b1")


def follow(want, why):
    """Assert that a1 has these MTUs at once."""
    tap.ok(net.wait_for(lambda: mtus() == want, AT_ONCE),
           f"{why}: {want[0]}, routes to a2 {want[1]}, to b1 {want[2]}",
           lambda: f"{mtus()}\n{zones.daemons['a1'].log()[-1200:]}")


def send(size, to):
    """pa1 sends a datagram with DF."""
    pod = zones.pods["a1"].wire("eth0")
    pod.send(A1.mac("pod0") + zones.pods["a1"].mac("eth0") + b"\x08\x00"
             + udp(zones.pod("a1"), zones.pod(to), size, df=True))
    return pod


def told(size, to):
    """The MTU that pa1 is told about a datagram, or None."""
    pod = send(size, to)
    got = pod.expect(is_icmp_error(), 2)
    pod.close()
    return got and icmp_of(got).mtu


def fits(size, to):
    """True if a datagram goes over a node's wire in one outer packet, and reaches its pod."""
    wire, pod = zones.r.wire(f"to-{to}", with_outgoing=True), zones.pods[to].wire("eth0")
    send(size, to).close()
    outer = wire.collect(lambda p: is_ipip(p) and header(p).dst != "192.168.100.1", 1, 2.0)
    inner = pod.expect(lambda p: header(p).src == zones.pod("a1"))
    wire.close()
    pod.close()
    return [len(p) for p in outer] == [size + 20] and inner and len(inner) == size


def set_up():
    zones.apply(zones.manifest(mode="Always"))
    tap.ok(net.wait_for(lambda: A1.has(DEVICE), 5), "the pool device is there")
    follow((1480, 0, 0), "everything takes 1500")
    tap.equal(zones.status("a1")["pool_device"]["mtu_how"], "eth0's 1500 less 20", "… which is said")


def two_kinds():
    widen()
    follow((8980, 0, 0), "all that is known takes 9000")
    to_zone_b(1500)
    follow((1480, 8980, 0), "the way to b1 takes 1500")
    tap.equal(zones.status("a1")["pool_device"]["mtu_how"], "the narrowest path's 1500 less 20",
              "… which is said")
    tap.equal(zones.status("a1")["endpoint_mtu"], 1480, "new endpoints are told 1480")
    with open(os.path.join(zones.daemons["a1"].run_dir, "mtu"), encoding="ascii") as f:
        tap.equal(f.read(), "1480\n", "… in the file, too")
    tap.equal([fits(size, "a2") for size in (1480, 1481, 8980)], [True] * 3,
              "a2 gets packets up to 9000 bytes, whole")
    tap.equal(told(8981, "a2"), 8980, "… and the sender of more is told 8980")
    tap.equal((fits(1480, "b1"), told(1481, "b1")), (True, 1480), "b1 gets 1500, and no more")


def carried_fast():
    """Large packets to a2 are the fast path's, past the stack, too."""
    if culvert.MODE == culvert.ENGINE:
        return
    daemon = zones.daemons["a1"]
    fits(8980, "a2")
    before = daemon.paths(DEVICE)
    tap.equal([fits(8980, "a2") for _ in range(5)], [True] * 5, "five large packets arrive")
    now = daemon.paths(DEVICE)
    tap.equal(now["handed_over"]["out"], before["handed_over"]["out"], "… none by the engine")
    tap.ok(now["fast"]["tx_packets"] >= before["fast"]["tx_packets"] + 5, "… all by the fast path",
           lambda: f"{before}\n{now}")
    if culvert.MODE == culvert.ENDPOINTS:
        tap.ok(now["fast"]["tx_endpoint_packets"] >= before["fast"]["tx_endpoint_packets"] + 5,
               "… past the stack", lambda: f"{before}\n{now}")


def changes():
    to_zone_b(1300)
    follow((1280, 8980, 0), "the way to b1 falls to 1300")
    tap.equal((fits(8980, "a2"), told(1281, "b1")), (True, 1280), "… and packets with it")
    A1.ip("route add 192.168.100.2/32 dev eth0 mtu 5000")
    follow((1280, 4980, 0), "that to a2 falls to 5000")
    tap.equal((fits(4980, "a2"), told(4981, "a2")), (True, 4980), "… and packets with it")
    A1.ip("route del 192.168.100.2/32", "route del 192.168.200.0/24")
    follow((8980, 0, 0), "all take 9000: no route has an mtu of its own")
    tap.ok(fits(8980, "a2"), "… and packets are as large")
    to_zone_b(1500)
    follow((1480, 8980, 0), "as it was")


def restart():
    """Another daemon finds all as it is, and changes nothing on the way."""
    daemon = zones.daemons["a1"]
    daemon.stop()
    watch = A1.spawn(["ip", "-o", "monitor", "link", "route"], stdout=-1, text=True)
    daemon.start()
    net.wait_for(lambda: mtus() == (1480, 8980, 0), AT_ONCE)
    watch.terminate()
    said = watch.communicate()[0]
    tap.equal([line for line in said.splitlines() if "mtu" in line and "mtu 1480" not in line
               or zones.block("a2") in line], [], "a restart changes no MTU, not for a moment")
    tap.ok(fits(8980, "a2"), "… and large packets go on")


def by_resource_and_by_hand():
    A1.ip(f"link set {DEVICE} mtu 1400")
    follow((1400, 0, 0), "set by hand: routes have none of their own")
    tap.equal(told(1401, "a2"), 1400, "… and packets mind it")
    A1.ip(f"link set {DEVICE} mtu 1480")
    follow((1480, 8980, 0), "set to what it should be")
    zones.cli("a1", "apply", "-f", "-", text=FELIX.format(line="ipipMTU: 1450"))
    follow((1450, 0, 0), "ipipMTU: 1450 is what it says")
    zones.cli("a1", "apply", "-f", "-", text=FELIX.format(line="mtuIfacePattern: ^pod"))
    A1.ip("link set pod0 mtu 4000")
    follow((1480, 3980, 0), "mtuIfacePattern bounds all of them")
    zones.cli("a1", "delete", "felixconfiguration", "default")
    A1.ip("link set pod0 mtu 9000")
    follow((1480, 8980, 0), "without either, as it was")


def nodes_come_and_go():
    """The peer with the narrow way goes, and with it its limit."""
    block = "b1-" + zones.block("b1").replace(".", "-").replace("/", "-")
    zones.cli("a1", "delete", "blockaffinity", block)
    zones.cli("a1", "delete", "node", "b1")
    tap.ok(net.wait_for(lambda: (device_mtu(), route_mtu("a2")) == (8980, 0), AT_ONCE),
           "b1 has nothing any more: the device has 8980", mtus)
    zones.apply(zones.manifest(mode="Always"), names=("a1",))
    follow((1480, 8980, 0), "b1 is there again")


tap.main(
    [
        set_up, two_kinds, carried_fast, changes, restart, by_resource_and_by_hand,
        nodes_come_and_go, zones.clean_end,
    ],
    before=zones.before, after=zones.after,
)
