# SPDX-License-Identifier: Apache-2.0
"""
Two nodes with pods, as a cluster has them, and what tests do with them:

      a 10.244.1.2 ── a0 ┐                                         ┌ b0 ── b 10.244.2.2
                         n1 eth0 ── left  r  right ── eth0 n2
      c 10.244.1.3 ── c0 ┘   192.168.100.1    192.168.200.2        └ d0 ── d 10.244.2.3
                                         out
                                          │
                                    o 192.168.9.9, outside

n1 and n2 run culvertd (d1, d2) with tun0 (10.244.N.1/32, remote any) and the route to the other's
pods; all pods are endpoints. A pod has its address alone; its gateway is 169.254.1.1, which is the
host's end of its veth, without an address there, as Calico does it. Both hosts translate as
kube-proxy does and drop what conntrack calls invalid.
"""

import contextlib
import errno
import hashlib
import json
import re
import socket
import threading
import time

import net
import tap
from culvert import Culvertd
from shapes import end_cleanly, look_after, mac_text

A, B, C, D = "10.244.1.2", "10.244.2.2", "10.244.1.3", "10.244.2.3"
N1, N2, OUTSIDE = "192.168.100.1", "192.168.200.2", "192.168.9.9"
PORT = 7000
IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO = 10, 0, 2

# Of services: behind which pods a service address of each node is.
TO_B, TO_C, TO_A, TO_BOTH = "10.96.0.2", "10.96.0.3", "10.96.0.4", "10.96.0.5"
HOST_PORT, NODE_PORT_B, NODE_PORT_C, HOST_PORT_KEPT = 8080, 30002, 30003, 8081

RULES = f"""
table ip kube {{
	chain services {{
		ip daddr {TO_B} dnat to {B}
		ip daddr {TO_C} dnat to {C}
		ip daddr {TO_A} ip saddr {A} meta mark set meta mark or 0x4000
		ip daddr {TO_A} dnat to {A}
		ip daddr {TO_BOTH} dnat to numgen inc mod 2 map {{ 0 : {B}, 1 : {C} }}
		HOST_PORTS
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat
		jump services
	}}
	chain output {{
		type nat hook output priority -100
		jump services
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat
		meta mark and 0x4000 == 0x4000 masquerade
		meta l4proto {{ tcp, udp }} th dport {HOST_PORT_KEPT} return
		ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade
	}}
	chain forward {{
		type filter hook forward priority filter; policy POLICY;
		ct state invalid counter drop
		ct state established,related accept
		ip saddr {{ 10.244.0.0/16, {N1}, {N2} }} accept
		ct status dnat accept
	}}
}}
"""


# Of node 1 alone.
HOST_PORTS = f"""
		ip daddr {N1} meta l4proto {{ tcp, udp }} th dport {{ {HOST_PORT}, {HOST_PORT_KEPT} }} dnat to {C}:{PORT}
		ip daddr {N1} meta l4proto {{ tcp, udp }} th dport {{ {NODE_PORT_B}, {NODE_PORT_C} }} meta mark set meta mark or 0x4000
		ip daddr {N1} meta l4proto {{ tcp, udp }} th dport {NODE_PORT_B} dnat to {B}:{PORT}
		ip daddr {N1} meta l4proto {{ tcp, udp }} th dport {NODE_PORT_C} dnat to {C}:{PORT}
"""


class Cluster:
    """The network above. policy: of both hosts' forward chains."""

    def __init__(self, *arguments, policy="accept", endpoints=True, offload=True):
        self.arguments = arguments
        names = ("a", "c", "n1", "r", "n2", "b", "d", "o")
        self.a, self.c, self.n1, self.r, self.n2, self.b, self.d, self.o = map(net.Node, names)
        for node in (self.n1, self.r, self.n2):
            node.forward()
        net.connect(self.n1, "eth0", self.r, "left", offload=offload)
        net.connect(self.n2, "eth0", self.r, "right", offload=offload)
        net.connect(self.o, "eth0", self.r, "out", offload=offload)
        self.r.ip("addr add 192.168.100.254/24 dev left", "addr add 192.168.200.254/24 dev right",
                  "addr add 192.168.9.254/24 dev out")
        self.o.ip(f"addr add {OUTSIDE}/24 dev eth0", "route add default via 192.168.9.254")
        self.n1.ip(f"addr add {N1}/24 dev eth0", "route add default via 192.168.100.254")
        self.n2.ip(f"addr add {N2}/24 dev eth0", "route add default via 192.168.200.254")
        for pod, node, name, address in ((self.a, self.n1, "a0", A), (self.c, self.n1, "c0", C),
                                         (self.b, self.n2, "b0", B), (self.d, self.n2, "d0", D)):
            plug_pod(pod, node, name, address, offload)
        self.rules(policy)
        self.d1 = self.d2 = None
        if endpoints is not None:
            self.start(endpoints)

    def start(self, endpoints=True):
        """Start the daemons, make the tunnels and the endpoints."""
        self.d1, self.d2 = Culvertd(self.n1, *self.arguments), Culvertd(self.n2, *self.arguments)
        self.d1.add(f"tun0 mode ipip remote any local {N1}", "10.244.1.1/32")
        self.d2.add(f"tun0 mode ipip remote any local {N2}", "10.244.2.1/32")
        self.n1.ip(f"route add 10.244.2.0/24 via {N2} dev tun0 onlink")
        self.n2.ip(f"route add 10.244.1.0/24 via {N1} dev tun0 onlink")
        if endpoints:
            self.register()

    def register(self):
        """Make all pods endpoints."""
        for daemon, name, address in self.endpoints():
            daemon.cli("endpoint", "add", name, "ip", address)

    def endpoints(self):
        """Daemon, device and address of each."""
        return ((self.d1, "a0", A), (self.d1, "c0", C), (self.d2, "b0", B), (self.d2, "d0", D))

    def rules(self, policy="accept"):
        """(Re)place the hosts' rules."""
        for node in (self.n1, self.n2):
            node.run(["nft", "-f", "-"], input="table ip kube\ndelete table ip kube\n"
                     + RULES.replace("POLICY", policy)
                     .replace("HOST_PORTS", HOST_PORTS if node is self.n1 else ""))

    def bypass(self, on):
        """Switch the default of both nodes."""
        for daemon in (self.d1, self.d2):
            daemon.cli("endpoint", "default", "bypass", "on" if on else "off")

    def invalid(self):
        """Packets that both hosts have dropped as invalid."""
        count = 0
        for node in (self.n1, self.n2):
            text = node.run("nft list chain ip kube forward").stdout
            count += int(re.search(r"invalid counter packets (\d+)", text)[1])
        return count

    def forget(self):
        """Empty both hosts' conntrack."""
        for node in (self.n1, self.n2):
            node.run("conntrack -F", check=False)

    def before(self, name):
        """For tap.main()."""
        tap.note(name)

    def after(self, name, failed):
        """For tap.main(): say what the daemons said, if something failed."""
        look_after((self.d1, self.d2) if self.d1 else (), name, failed)

    def clean_end(self):
        """A last test: both daemons end well, and leave nothing when they are purged."""
        end_cleanly((self.d1, self.d2))
        for daemon in (self.d1, self.d2):
            daemon.purge()


def plug_pod(pod, node, name, address, offload=True):
    """A pod's cable: its eth0 to device name of the node."""
    net.connect(node, name, pod, "eth0", mtu=1480, offload=offload)
    pod.ip(f"addr add {address}/32 dev eth0", "route add 169.254.1.1 dev eth0 scope link",
           "route add default via 169.254.1.1",
           f"neigh replace 169.254.1.1 lladdr {mac_text(node.mac(name))} dev eth0")
    node.ip(f"route replace {address}/32 dev {name}",
            f"neigh replace {address} lladdr {mac_text(pod.mac('eth0'))} dev {name}")


# ---- what is seen ---------------------------------------------------------------------


def bypassed(daemon):
    """Packets from and to endpoints that went past the stack: (tx, rx, local)."""
    shown = json.loads(daemon.cli("-j", "-s", "tunnel", "show", "tun0").stdout)[0]
    fast = shown["paths"]["fast"]
    local = json.loads(daemon.cli("-j", "status").stdout)["local_packets"]
    return fast["tx_endpoint_packets"], fast["rx_endpoint_packets"], local


class Seen:
    """What the nodes saw since this was made."""

    def __init__(self, lab):
        self.lab = lab
        self.before = self._now()
        self.invalid_before = lab.invalid()

    def _now(self):
        return [bypassed(d) for d in (self.lab.d1, self.lab.d2)]

    def rose(self):
        """((tx, rx, local) of n1, of n2)."""
        return [tuple(x - y for x, y in zip(n, b)) for n, b in zip(self._now(), self.before)]

    def invalid(self):
        """Packets dropped as invalid."""
        return self.lab.invalid() - self.invalid_before


def tracked(node, *words):
    """The lines of a node's conntrack table with all the words."""
    lines = node.run("cat /proc/net/nf_conntrack").stdout.splitlines()
    return [line for line in lines if all(f"{w} " in line + " " for w in words)]


# ---- traffic ---------------------------------------------------------------------------


class Server:
    """
    Listens in a pod at a port, TCP and UDP. TCP: gives every byte back. UDP: gives the datagram
    back; "stream N S" is answered by N datagrams of S bytes.
    """

    def __init__(self, node, port=PORT, address="0.0.0.0"):
        self.listener = node.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(64)
        self.datagrams = node.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
        self.datagrams.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        self.datagrams.bind((address, port))
        self.peers = []
        self.last = None
        for run in (self._accept, self._answer):
            threading.Thread(target=run, daemon=True).start()

    def _accept(self):
        while True:
            peer, address = self.listener.accept()
            self.peers.append(address[0])
            self.last = peer
            threading.Thread(target=self._echo, args=(peer,), daemon=True).start()

    def say(self, data):
        """Unasked, on the connection that came last."""
        self.last.sendall(data)

    @staticmethod
    def _echo(peer):
        with contextlib.suppress(OSError), peer:
            while data := peer.recv(1 << 16):
                peer.sendall(data)

    def _answer(self):
        while True:
            with contextlib.suppress(OSError):
                data, address = self.datagrams.recvfrom(65536)
                self.peers.append(address[0])
                words = data.split()
                if words and words[0] == b"stream":
                    for i in range(int(words[1])):
                        self.datagrams.sendto(b"%-*d" % (int(words[2]), i), address)
                        time.sleep(0.001)
                else:
                    self.datagrams.sendto(data, address)


def client(node, kind, target, source_port=0, timeout=3.0):
    """A connected socket in a node, or None."""
    s = node.socket(socket.AF_INET, kind, 0)
    s.settimeout(timeout)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if kind == socket.SOCK_DGRAM:
        s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    if source_port:
        s.bind(("", source_port))
    s.connect(target)
    return s


def pattern(size, seed=0):
    """size bytes that tell a lost or a doubled block."""
    block = bytes((i * 131 + (i >> 8) + seed) & 0xFF for i in range(4096))
    return b"".join(i.to_bytes(4, "big") + block[4:] for i in range(size // 4096 + 1))[:size]


def echo_over(s, size, seed=0):
    """size bytes to a Server and back: None if all are right, else what happened."""
    data, got = pattern(size, seed), hashlib.sha256()
    problem = []

    def send():
        try:
            s.sendall(data)
        except OSError as error:
            problem.append(f"send: {error}")

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    count = 0
    try:
        while count < size:
            part = s.recv(1 << 16)
            if not part:
                problem.append("closed")
                break
            got.update(part)
            count += len(part)
    except OSError as error:
        problem.append(f"receive: {error}")
    sender.join(5)
    if not problem and got.digest() != hashlib.sha256(data).digest():
        problem.append("other bytes")
    return f"{problem} after {count} bytes" if problem else None


def tcp_works(node, target, size=100000, source_port=0, timeout=3.0):
    """None, or what went wrong with a connection to a Server, its end included."""
    try:
        with client(node, socket.SOCK_STREAM, target, source_port, timeout) as s:
            problem = echo_over(s, size)
            if not problem:
                s.shutdown(socket.SHUT_WR)
                if s.recv(1):
                    problem = "more bytes"
            return problem
    except OSError as error:
        return str(error)


def udp_works(node, target, size=100, count=3, source_port=0, timeout=1.5):
    """None, or what went wrong with requests and answers on a connected socket."""
    try:
        with client(node, socket.SOCK_DGRAM, target, source_port, timeout) as s:
            for i in range(count):
                data = pattern(size, i)
                s.send(data)
                if s.recv(65536) != data:
                    return "another answer"
    except OSError as error:
        return f"{error} (datagram {i})"
    return None


def stream_works(node, target, count=200, size=100, during=lambda: None):
    """How many of count datagrams came that a Server sends for one request."""
    with client(node, socket.SOCK_DGRAM, target, timeout=1.0) as s:
        s.send(b"stream %d %d" % (count, size))
        got = 0
        try:
            while got < count:
                s.recv(65536)
                got += 1
                if got == 20:
                    during()
        except OSError as error:
            if error.errno not in (None, errno.EAGAIN):
                raise
        return got


def ping(node, address, *options):
    """True if an echo is answered, within seconds: "-W1" says otherwise."""
    return not node.run(["ping", "-n", "-c1", "-W5", *options, address], check=False).returncode


def pings(node, address, count, *options):
    """
    True if count echoes are, one after the other. Not by one `ping -c`: once something has been
    answered, that waits for the last answer no longer than the interval, whatever -W says.
    """
    return all(ping(node, address, *options) for _ in range(count))
