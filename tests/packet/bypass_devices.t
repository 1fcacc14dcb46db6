#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle
"""
Endpoints' devices: foreign qdiscs and filters, bridges, taps, addresses, devices that change. The
network is that of cluster.py:

      a 10.244.1.2 ── a0 ┐                                         ┌ b0 ── b 10.244.2.2
                         n1 eth0 ── left  r  right ── eth0 n2
      c 10.244.1.3 ── c0 ┘   192.168.100.1    192.168.200.2        └ d0 ── d 10.244.2.3

to which some tests add endpoints of other kinds at n1.
"""

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import time

import culvert
import net
import tap
from bpfmap import Map
from cluster import (
    A, B, C, PORT, Cluster, Seen, Server, client, echo_over, ping, tcp_works, udp_works,
)
from packets import header, tcp, udp

culvert.need_programs()
lab = Cluster(policy="drop")
servers = {name: Server(getattr(lab, name)) for name in ("a", "b", "c", "d")}
at_7777 = [Server(node, 7777) for node in (lab.a, lab.b)]
RATE = 20_000_000  # bit/s
SIZE = 2_500_000  # bytes: a second at that rate


def shown(device):
    """What `culvert endpoint show` says of it."""
    return lab.d1.cli("endpoint", "show", device).stdout.strip()


def in_force(device, name):
    """Bypass is in force, or will soon be, and packets go that way."""
    tap.ok(net.wait_for(lambda: "in force" not in shown(device), 3), f"{name}: bypass is in force",
           lambda: shown(device))
    seen = Seen(lab)
    tap.equal(udp_works(lab.a, (B, PORT)), None, f"{name}: a new flow works")
    tap.ok(min(seen.rose()[0][:2]) >= 3, f"{name}: … past the stack", seen.rose())


def not_in_force(device, why, name):
    """Bypass is off for that reason, and packets go through the stack."""
    tap.ok(net.wait_for(lambda: why in shown(device), 3), f"{name}: endpoint show says: {why}",
           lambda: shown(device))
    tap.ok(f"{device}: endpoint not bypassed: the device has a foreign" in lab.d1.log()
           or "qdisc" not in why, f"{name}: the log says so", lab.d1.log)
    seen = Seen(lab)
    tap.equal(udp_works(lab.a, (B, PORT)), None, f"{name}: a new flow works")
    tap.equal(seen.rose()[0], (0, 0, 0), f"{name}: … through the stack")


def seconds(size, upload):
    """How long a transfer between a and b takes, in one direction."""
    source, sink = (lab.a, lab.b) if upload else (lab.b, lab.a)
    listener = sink.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    listener.bind(("", 0))
    listener.listen(1)
    target = (B if upload else A, listener.getsockname()[1])
    began = time.monotonic()
    with client(source, socket.SOCK_STREAM, target, timeout=20) as s:
        s.send(b"x")
        peer, _ = listener.accept()
        net.threading.Thread(target=s.sendall, args=(bytes(size),), daemon=True).start()
        left = size + 1
        with peer:
            while left:
                left -= len(peer.recv(1 << 16))
    listener.close()
    return time.monotonic() - began


def shaping(name, upload):
    """The rate is that of the shaper."""
    took = seconds(SIZE, upload)
    tap.ok(0.6 < took < 6, f"{name}: shaped: {SIZE * 8 / took / 1e6:.1f} of 20 Mbit/s", took)


def root_qdisc():
    fast = seconds(SIZE, False)
    tap.ok(fast < 0.5, f"unshaped: {SIZE * 8 / fast / 1e6:.0f} Mbit/s", fast)
    running = client(lab.a, socket.SOCK_STREAM, (B, PORT))
    tap.equal(echo_over(running, 1000), None, "a connection from before")
    lab.n1.run(f"tc qdisc add dev a0 root tbf rate {RATE} burst 16k latency 50ms")
    not_in_force("a0", "the device has a foreign qdisc (tbf)", "tbf")
    shaping("tbf, to the pod", False)
    tap.equal(echo_over(running, 100000), None, "tbf: the connection from before goes on")
    seen = Seen(lab)
    tap.equal(tcp_works(lab.c, (A, PORT), 20000), None, "tbf: from a pod of the node")
    tap.equal(seen.rose()[0][2], 0, "tbf: … through the stack, too")
    lab.d1.cli("endpoint", "del", "a0")
    lab.d1.cli("endpoint", "add", "a0", "ip", A)
    not_in_force("a0", "the device has a foreign qdisc (tbf)", "tbf before registration")
    tap.ok("tbf" in lab.n1.run("tc qdisc show dev a0").stdout, "tbf stays when the endpoint goes")
    lab.n1.run("tc qdisc del dev a0 root")
    in_force("a0", "tbf removed")
    tap.ok("a0: endpoint bypassed again" in lab.d1.log(), "tbf removed: the log says so")
    tap.equal(echo_over(running, 100000), None, "tbf removed: the connection goes on")
    running.close()


# A foreign filter, that drops UDP to port 7777: not every kernel has the actions of tc.
DROP = """
struct skb;
static long (*load)(void *skb, unsigned offset, void *to, unsigned length) = (void *)26;
__attribute__((section("tc"))) int foreign_drop(void *skb)
{
	unsigned char port[2];

	if (load(skb, 36, port, 2))
		return -1;
	return port[0] == 7777 >> 8 && port[1] == (7777 & 0xff) ? 2 : -1;
}
char gpl[] __attribute__((section("license"))) = "GPL";
"""
drop = os.path.join(lab.d1.run_dir, "drop.o")
subprocess.run(["clang", "-target", "bpf", "-O2", "-xc", "-", "-c", "-o", drop], input=DROP,
               text=True, check=True)


def foreign_ingress():
    lab.n1.run("tc qdisc add dev a0 ingress")
    lab.n1.run(f"tc filter add dev a0 parent ffff: bpf da obj {drop} sec tc")


def is_dropped(node, target):
    """True if a foreign filter acts."""
    return udp_works(node, target, timeout=0.3) is not None


def ingress_qdisc():
    """What the bandwidth plugin of CNI does."""
    tap.ok(lab.n1.run("tc qdisc add dev a0 ingress", check=False).returncode,
           "an ingress qdisc and our clsact exclude each other")
    lab.d1.cli("endpoint", "del", "a0")
    tap.equal(lab.n1.run("tc qdisc show dev a0").stdout.count("clsact"), 0,
              "with the endpoint our clsact goes")
    foreign_ingress()
    lab.d1.cli("endpoint", "add", "a0", "ip", A)
    not_in_force("a0", "the device has a foreign qdisc (ingress)", "ingress before registration")
    tap.ok(is_dropped(lab.a, (B, 7777)), "ingress: its filter acts")
    lab.n1.run("tc qdisc del dev a0 ingress")
    in_force("a0", "ingress removed")
    lab.n1.run("tc qdisc del dev a0 clsact")
    foreign_ingress()
    not_in_force("a0", "the device has a foreign qdisc (ingress)", "clsact replaced by ingress")
    tap.equal(tcp_works(lab.a, (B, PORT), 20000), None, "… TCP works")
    lab.d1.cli("endpoint", "del", "a0")
    tap.ok("foreign_drop" in lab.n1.run("tc filter show dev a0 parent ffff:").stdout,
           "an endpoint that goes leaves foreign qdiscs and filters alone")
    lab.n1.run("tc qdisc del dev a0 ingress")
    lab.d1.cli("endpoint", "add", "a0", "ip", A)
    in_force("a0", "ingress removed again")


def foreign_filters():
    for place, node in (("ingress", lab.a), ("egress", lab.b)):
        target = (B, 7777) if node is lab.a else (A, 7777)
        for pref in (1, 0xf000):
            name = f"a foreign drop filter at {place} with priority {pref}"
            tap.equal(udp_works(node, target), None, f"{name}: before it, packets come through")
            lab.n1.run(f"tc filter add dev a0 {place} pref {pref} bpf da obj {drop} sec tc")
            passed_by = place == "egress" or pref > 0xc0
            if passed_by:
                not_in_force("a0", "foreign filters", name)
            else:
                in_force("a0", name)
            tap.ok(is_dropped(node, target), f"{name}: it acts")
            lab.d1.cli("endpoint", "del", "a0")
            tap.ok("foreign_drop" in lab.n1.run(f"tc filter show dev a0 {place}").stdout,
                   f"{name}: it stays when the endpoint goes")
            lab.d1.cli("endpoint", "add", "a0", "ip", A)
            lab.n1.run(f"tc filter del dev a0 {place} pref {pref}")
            in_force("a0", f"{name} removed")
    lab.n1.run("tc qdisc del dev a0 clsact")
    tap.ok(net.wait_for(lambda: "cv_endpoint_in" in lab.n1.run("tc filter show dev a0 ingress").stdout, 3),
           "a clsact that somebody removes comes back, with our programs")
    in_force("a0", "clsact removed")
    for place, program in (("ingress", "cv_endpoint_in"), ("egress", "cv_endpoint_out")):
        pref = lab.n1.run(f"tc filter show dev a0 {place}").stdout.split("pref ")[1].split()[0]
        lab.n1.run(f"tc filter del dev a0 {place} pref {pref}")
        tap.ok(net.wait_for(lambda place=place, program=program: program in lab.n1.run(
            f"tc filter show dev a0 {place}").stdout, 3), f"{program} that somebody removes comes back")
    in_force("a0", "filters removed")


def their_clsact():
    """A clsact that was there before us stays."""
    lab.d1.cli("endpoint", "del", "a0")
    lab.n1.run("tc qdisc add dev a0 clsact")
    lab.d1.cli("endpoint", "add", "a0", "ip", A)
    in_force("a0", "a foreign clsact")
    lab.d1.cli("endpoint", "del", "a0")
    tap.equal(lab.n1.run("tc qdisc show dev a0").stdout.count("clsact"), 1,
              "a foreign clsact stays when the endpoint goes")
    tap.equal(lab.n1.run("tc filter show dev a0 ingress").stdout, "", "… and nothing of ours on it")
    lab.n1.run("tc qdisc del dev a0 clsact")
    lab.d1.cli("endpoint", "add", "a0", "ip", A)


def bridge():
    """Two pods behind a bridge, which is their endpoint."""
    lab.n1.ip("link add br0 type bridge", "link set br0 up", "addr add 10.244.1.65/26 dev br0")
    pods = []
    for number in (66, 67):
        pod = net.Node(f"br{number}")
        net.connect(lab.n1, f"port{number}", pod, "eth0", mtu=1480)
        lab.n1.ip(f"link set port{number} master br0")
        pod.ip(f"addr add 10.244.1.{number}/26 dev eth0", "route add default via 10.244.1.65")
        pods.append(pod)
    lab.d1.cli("endpoint", "add", "port66", "ip", "10.244.1.66")
    tap.ok("make the bridge the endpoint" in shown("port66"), "a port of a bridge is none",
           shown("port66"))
    lab.d1.cli("endpoint", "del", "port66")
    lab.d1.cli("endpoint", "add", "br0", "ip", "10.244.1.66", "ip", "10.244.1.67")
    peer = Server(pods[1])
    for pod in pods:
        tap.ok(ping(pod, B), "bridge: the neighbours are known")
        seen = Seen(lab)
        tap.equal(tcp_works(pod, (B, PORT)), None, "bridge: TCP to a remote pod")
        tap.equal(udp_works(pod, (B, PORT), 3000), None, "bridge: UDP to a remote pod")
        tap.equal(tcp_works(pod, (A, PORT)), None, "bridge: TCP to a pod beside it")
        tx, rx, local = seen.rose()[0]
        tap.ok(min(tx, rx, local) > 10, "bridge: … past the stack", seen.rose())
        tap.equal(seen.invalid(), 0, "bridge: … nothing was invalid")
    seen = Seen(lab)
    tap.equal(tcp_works(pods[0], ("10.244.1.67", PORT)), None, "bridge: between its ports")
    tap.equal(seen.rose()[0], (0, 0, 0), "bridge: … that is the bridge's own business")
    tap.equal(tcp_works(lab.b, ("10.244.1.67", PORT)), None, "bridge: from a remote pod")
    del peer
    lab.n1.ip("link del br0")
    tap.ok(net.wait_for(lambda: lab.d1.cli("endpoint", "show", "br0", check=False).returncode, 3),
           "bridge: deleted, and the endpoint with it")


def tap_device():
    """A virtual machine: what it sends and gets are frames of a tap device."""
    with lab.n1:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"tap0", 0x1002))  # TAP | NO_PI
    mac = b"\x02\0\0\0\0\x99"
    vm, far = "10.244.1.99", B
    lab.n1.ip("link set tap0 up mtu 1480", f"route add {vm}/32 dev tap0",
              f"neigh add {vm} lladdr {mac.hex(':')} dev tap0")
    lab.d1.cli("endpoint", "add", "tap0", "ip", vm)
    frame = lab.n1.mac("tap0") + mac + b"\x08\x00"
    for target in (far, A):
        seen = Seen(lab)
        packet = udp(vm, target, sport=9000, dport=PORT, data=b"from a machine", ttl=64)
        os.write(fd, frame + packet)
        got = None
        while select.select([fd], [], [], 2)[0]:
            got = os.read(fd, 2000)
            if got[12:14] == b"\x08\x00":
                break
        answer = header(got[14:]) if got else None
        tap.ok(answer and answer.src == target and answer.payload[8:] == b"from a machine",
               f"tap: a machine asks {target} and is answered", got)
        tap.equal(got and got[:6], mac, "tap: … at its own link-layer address")
        past = seen.rose()[0]
        tap.ok(past[2] == 2 if target == A else past[:2] == (1, 1), "tap: … past the stack", past)
    os.close(fd)
    tap.ok(net.wait_for(lambda: lab.d1.cli("endpoint", "show", "tap0", check=False).returncode, 3),
           "tap: the machine ends, and so does the endpoint")


def tap_super_packets():
    """A virtual machine's super-packets, which the kernel has not counted: by what they hold."""
    with lab.n1:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"tap1", 0x5002))  # with a vnet header
        fcntl.ioctl(fd, 0x400454D0, 3)  # TUNSETOFFLOAD: checksums, TCP segments
    mac = b"\x02\0\0\0\0\x98"
    vm = "10.244.1.98"
    lab.n1.ip("link set tap1 up mtu 1480", f"route add {vm}/32 dev tap1",
              f"neigh add {vm} lladdr {mac.hex(':')} dev tap1")
    lab.d1.cli("endpoint", "add", "tap1", "ip", vm)
    wire = lab.r.wire("left")
    lab.n1.offloads("eth0", False)
    lab.d1.cli("tunnel", "change", "tun0", "nopmtudisc")
    for target in (B, A):
        for data, count in ((4500, 5), (4000, 4), (1001, 2)):
            frame = lab.n1.mac("tap1") + mac + b"\x08\x00"
            syn = tcp(vm, target, sport=data, dport=9999, flags="S", ip={"ttl": 64})
            os.write(fd, bytes(10) + frame + syn)
            time.sleep(0.2)
            wire.drain()
            packet = tcp(vm, target, bytes(data), sport=data, dport=9999, ip={"ttl": 64, "flags": 0})
            seen, shown_before = Seen(lab), counters()
            # NEEDS_CSUM, GSO_TCPV4, 1000 bytes of data in each.
            os.write(fd, struct.pack("=BBHHHH", 1, 1, 54, 1000, 34, 16) + frame + packet)
            name = f"tap: a super-packet of {data} bytes to {target}"
            if target == A:
                tap.ok(net.wait_for(lambda seen=seen, count=count: seen.rose()[0][2] == count + 1, 1),
                       f"{name} counts as {count} packets, and its answer as one", seen.rose)
                continue
            outers = [header(wire.expect(lambda p: p[9] == 4, 1) or bytes(40)) for _ in range(count)]
            tap.equal([len(each.payload) for each in outers],
                      [min(1000, data - i * 1000) + 40 for i in range(count)], f"{name} arrives")
            tap.equal(len({each.id for each in outers}), count, "… each with its own identification")
            now = counters()
            tap.equal((now["tx_packets"] - shown_before["tx_packets"],
                       now["tx_bytes"] - shown_before["tx_bytes"]),
                      (count, data + count * 40), "… and is counted as what it holds")
            following = tcp(vm, B, b"x", sport=data, dport=9999, ip={"ttl": 64, "flags": 0})
            os.write(fd, bytes(10) + frame + following)
            after = header(wire.expect(lambda p: p[9] == 4, 1) or bytes(40))
            tap.ok(after.id not in {each.id for each in outers}, "… what follows has another one", after.id)
    lab.d1.cli("tunnel", "change", "tun0", "pmtudisc")
    lab.n1.offloads("eth0", True)
    wire.close()
    os.close(fd)


def counters():
    """Those of the fast path of n1's tunnel."""
    shown_now = json.loads(lab.d1.cli("-j", "-s", "tunnel", "show", "tun0").stdout)[0]
    return shown_now["paths"]["fast"]


def near_veth():
    """A veth whose other end is in the host's own namespace: no way straight into another."""
    lab.n1.ip("link add near0 type veth peer name near1", "link set near0 up",
              "link set near1 up", "addr add 10.244.1.80/32 dev near1 noprefixroute")
    tap.ok(lab.d1.cli("endpoint", "add", "near0", "ip", "10.244.1.80", check=False).returncode,
           "an address of the host itself is refused")
    lab.n1.ip("addr del 10.244.1.80/32 dev near1", "route add 10.244.1.80/32 dev near0",
              "neigh add 10.244.1.80 lladdr " + lab.n1.mac("near1").hex(":") + " dev near0")
    lab.d1.cli("endpoint", "add", "near0", "ip", "10.244.1.80")
    wire = lab.n1.wire("near1")
    with lab.a.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
        s.sendto(b"near", ("10.244.1.80", 5))
    got = wire.expect(lambda p: p[9] == 17)
    tap.equal(got and (header(got).src, header(got).ttl, header(got).payload[8:]), (A, 63, b"near"),
              "a veth with both ends in the host: packets arrive at its other end")
    # Its other end goes where pods live, as plugins do it.
    pod = net.Node("moved")
    lab.n1.ip(f"link set near1 netns {pod.path}")
    pod.ip("link set near1 up", "addr add 10.244.1.80/32 dev near1",
           "route add 169.254.1.1 dev near1 scope link", "route add default via 169.254.1.1",
           "neigh add 169.254.1.1 lladdr " + lab.n1.mac("near0").hex(":") + " dev near1")
    time.sleep(0.3)
    seen = Seen(lab)
    tap.equal(tcp_works(pod, (B, PORT)), None, "… moved to a namespace later: TCP works")
    tap.ok(min(seen.rose()[0][:2]) > 10, "… past the stack", seen.rose())
    wire.close()
    lab.n1.ip("link del near0")


def addresses():
    """Several, and which of them count."""
    lab.a.ip("addr add 10.244.1.12/32 dev eth0", "addr add 10.244.1.13/32 dev eth0")
    lab.n1.ip("route add 10.244.1.12/32 dev a0", "route add 10.244.1.13/32 dev a0")
    lab.d1.cli("endpoint", "change", "a0", "ip", A, "ip", "10.244.1.12")
    for address, past in ((A, True), ("10.244.1.12", True), ("10.244.1.13", False)):
        seen = Seen(lab)
        with client(lab.a, socket.SOCK_DGRAM, (B, PORT)) as s:
            pass
        with lab.a.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
            s.bind((address, 0))
            s.settimeout(1)
            s.sendto(b"hello", (B, PORT))
            tap.equal(s.recv(10), b"hello", f"{address}: works")
        tap.equal(seen.rose()[0][:2], (1, 1) if past else (0, 0),
                  f"{address}: " + ("past the stack" if past else "none of the endpoint's: stack"))
    lab.d1.cli("endpoint", "change", "a0", "ip", A)
    seen = Seen(lab)
    tap.equal(tcp_works(lab.b, ("10.244.1.12", PORT)), None, "an address taken off works")
    tap.equal(seen.rose()[0][:2], (0, 0), "… through the stack")
    keys = [socket.inet_ntoa(k) for k in Map(lab.d1, "cv_endpoints").keys()]
    tap.equal(sorted(keys), [A, C], "the map has the addresses that count")


def changed():
    lab.n1.ip("link set c0 down", "link set c0 name pod-c", "link set pod-c up",
              f"route replace {C}/32 dev pod-c",
              f"neigh replace {C} lladdr {lab.c.mac('eth0').hex(':')} dev pod-c")
    tap.ok(net.wait_for(lambda: "pod-c" in lab.d1.cli("endpoint").stdout, 3), "renamed: it follows")
    seen = Seen(lab)
    tap.equal(tcp_works(lab.c, (B, PORT)), None, "renamed: TCP works")
    tap.ok(min(seen.rose()[0][:2]) > 10, "renamed: … past the stack", seen.rose())
    elsewhere = net.Node("elsewhere")
    lab.n1.ip(f"link set pod-c netns {elsewhere.path}")
    tap.ok(net.wait_for(lambda: "pod-c" not in lab.d1.cli("endpoint").stdout, 3),
           "moved away: the endpoint goes")
    tap.equal([socket.inet_ntoa(k) for k in Map(lab.d1, "cv_endpoints").keys()], [A],
              "moved away: nothing is left in the map")
    tap.equal(elsewhere.run("tc filter show dev pod-c ingress").stdout, "",
              "moved away: nothing of ours is on it")


def the_end():
    """The last endpoint and the tunnel go: nothing of ours is left on their devices."""
    lab.n1.run("tc qdisc add dev eth0 clsact", check=False)
    lab.n1.run(f"tc filter add dev eth0 ingress pref 5 bpf da obj {drop} sec tc")
    lab.d1.cli("endpoint", "del", "a0")
    tap.equal(lab.n1.run("tc qdisc show dev a0").stdout.count("clsact"), 0,
              "the last endpoint's clsact goes")
    tap.equal(lab.n1.run("tc filter show dev tun0 ingress").stdout.count("cv_tunnel_in"), 0,
              "without endpoints the tunnel's ingress has no program")
    lab.d1.delete("tun0")
    text = lab.n1.run("tc filter show dev eth0 ingress").stdout
    tap.ok("cv_" not in text and "foreign_drop" in text,
           "without tunnels the network card has none, and the foreign filter stays", text)


tap.main(
    [
        root_qdisc, ingress_qdisc, foreign_filters, their_clsact, bridge, tap_device, tap_super_packets,
        near_veth, addresses, changed, the_end, lab.clean_end,
    ],
    lab.before,
    lab.after,
)
