# SPDX-License-Identifier: Apache-2.0
"""
What the interop tests share: a lab in which Culvert on a1 and the kernel's own ipip in k1 (a real
Linux in User-mode Linux) are the two ends of a tunnel, and both of them can be talked to.

    a1-pod ── a1 (Culvert, tunk) ── router ── k1 (Linux, ipip0)
    10.244.1.2                   a1       k1   10.244.3.1 on a dummy device
                          ports of the router, where the test looks and meddles
"""

import itertools
import json
import os
import sys

sys.path.insert(1, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "packet"))

import net  # noqa: E402
import packets  # noqa: E402
from endpoint import Endpoint  # noqa: E402
from labs import Lab  # noqa: E402

A1, A1_POD = "192.168.100.1", "10.244.1.2"
K1, K1_INNER = "192.168.200.3", "10.244.3.1"
A1_PODS, K1_INNERS = "10.244.1.0/24", "10.244.3.0/24"
PORT = 4700
_numbers = itertools.count(1)


def with_defaults(words, defaults):
    """The words of a tunnel, and those defaults about which they say nothing."""
    said = words.split()
    for default in defaults:
        word = default.split()[0]
        if word not in said and "no" + word not in said:
            words += f" {default}"
    return words


def head(packet):
    """The header of an IPv4 packet (None: None), without its content: for diagnostics."""
    return packet and packets.header(packet)._replace(payload=None)


class LabNode(net.Node):
    """A node of the lab with what net.Node can do."""

    def __init__(self, lab, name):
        # Not super().__init__(): the namespace is there, made and set up by the lab.
        self.name = name
        self._depth = 0
        self.fd = os.open(lab.namespace(name), os.O_RDONLY | os.O_CLOEXEC)


class Interop(Lab):
    """The lab with both ends, and a look at the wires of the router."""

    CULVERT = f"remote {K1} local {A1}"
    KERNEL = f"remote {A1} local {K1}"

    def __enter__(self):
        super().__enter__()
        self.router = LabNode(self, "router")
        self.wires = {port: self.router.wire(port, with_outgoing=True) for port in ("a1", "k1")}
        # Addresses that the test takes away come back with everything about them forgotten.
        self.culvert_add(self.CULVERT)
        self.pod = Endpoint(self, "a1-pod", A1_POD)
        self.kernel = Endpoint(self, "k1", K1_INNER)
        # Once to the end and back: while a neighbour is not known yet, the first of many packets
        # that wait for it are dropped, and nobody's tunnel has lost them.
        net.wait_for(lambda: "reply" in self.pod.ping(
            source=A1_POD, to=K1_INNER, sizes=[84], df="dont")["answers"].values(), 10)
        return self

    # --- the two tunnels ---

    def culvert_add(self, words, name="tunk", via=""):
        """Make Culvert's end on a1, and the route into it."""
        self.run("a1", f"culvert tunnel add {name} mode ipip {words}")
        self.ip("a1", f"link set {name} up", f"route replace {K1_INNERS} {via} dev {name}"
                + (" onlink" if via else ""))

    def culvert_change(self, words):
        """Change Culvert's end; what is not said goes back to its default."""
        words = with_defaults(words, ("ttl inherit", "tos 0", "ecn normal", "pmtudisc", "strict"))
        self.run("a1", f"culvert tunnel change tunk mode ipip {self.CULVERT} {words}")

    def culvert_delete(self, name="tunk"):
        """Remove Culvert's end."""
        self.run("a1", f"culvert tunnel del {name}")

    def forget_paths(self):
        """Every end forgets the path MTUs that it has learnt: Culvert by a restart."""
        self.lab("daemon", "a1", "restart")
        for node in ("a1-pod", "a1", "k1"):
            self.ip(node, "route flush cache")

    def kernel_add(self, words, name="ipip0", via=""):
        """Make the kernel's end in k1, and the route into it."""
        self.ip("k1", f"tunnel add {name} mode ipip {words}", f"link set {name} up",
                f"route replace {A1_PODS} {via} dev {name} src {K1_INNER}"
                + (" onlink" if via else ""))

    def kernel_change(self, words):
        """Change the kernel's end; what is not said goes back to its default."""
        # For iproute2, "change ttl inherit" is to leave it as it is; 0 is what means inherit.
        words = with_defaults(words.replace("ttl inherit", "ttl 0"), ("ttl 0", "tos 0", "pmtudisc"))
        self.ip("k1", f"tunnel change ipip0 mode ipip {self.KERNEL} {words}")

    def kernel_delete(self, name="ipip0"):
        """Remove the kernel's end."""
        self.ip("k1", f"tunnel del {name}")

    def counters(self, name="tunk"):
        """Culvert's drops and events of a tunnel, by name."""
        shown = json.loads(self.run("a1", f"culvert -j -s tunnel show {name}"))[0]["counters"]
        return {**shown["drops"], **shown["events"]}

    # --- what is on the wire ---

    def listen(self):
        """Forget what the wires have shown so far."""
        for wire in self.wires.values():
            wire.drain()

    def outers(self, port):
        """The outer packets that have passed a port of the router since listen(), in order."""
        return self.wires[port].collect(packets.is_ipip, timeout=0.5, quiet=0.05)

    def mark(self, ecn):
        """The router sets the ECN field of every outer packet (None: leaves it alone)."""
        rules = "table ip interop {}\ndelete table ip interop\n"
        if ecn is not None:
            rules += (
                "table ip interop { chain forward {\n"
                "type filter hook forward priority 0; policy accept;\n"
                f"ip protocol 4 ip ecn set {ecn}\n}}\n}}\n"
            )
        self.run("router", ["nft", "-f", "-"], text=rules)

    # --- conversations ---

    def ends(self, direction):
        """(sender, receiver, the router's port next to the sender) of "to kernel" or "to Culvert"."""
        if direction == "to kernel":
            return self.pod, self.kernel, "a1"
        return self.kernel, self.pod, "k1"

    def datagram(self, direction, timeout=2.0, **how):
        """
        One datagram: (header of the first outer packet beside the sender or None, what the receiver
        got or None, what the sender was told). how: as for Endpoint's send.
        """
        sender, receiver, port = self.ends(direction)
        number = next(_numbers)
        receiver.listen(address=receiver.address, port=PORT)
        self.listen()
        told = sender.send(source=sender.address, port=PORT, to=receiver.address, number=number,
                           **how)
        got = receiver.receive(address=receiver.address, port=PORT, number=number,
                               timeout=timeout)["datagram"]
        outer = self.wires[port].expect(packets.is_ipip, timeout=0.2)
        return head(outer), got, told

    def refused(self, timeout=1.0, **how):
        """A datagram from the pod that shall not arrive: the ICMP error that the pod got, or None."""
        number = next(_numbers)
        self.pod.listen(address=A1_POD, port=PORT)
        self.listen()
        self.pod.send(source=A1_POD, port=PORT, to=K1_INNER, number=number, **how)
        got = self.pod.receive(address=A1_POD, port=PORT, number=number, timeout=timeout)["datagram"]
        return tuple(got["icmp"]) if got and got.get("icmp") else None

    def transfer(self, direction, length=4 << 20, df="do"):
        """A TCP connection with length bytes; (whether the sums agree, the sender's answer)."""
        sender, receiver, _ = self.ends(direction)
        port = PORT + 1000 + next(_numbers) % 1000
        receiver.accept(address=receiver.address, port=port)
        sender.connect(source=sender.address, to=receiver.address, port=port, df=df)
        receiver.start("pull", port=port)
        sent = sender.push(port=port, length=length, seed=f"{direction} {port}")
        got = receiver.finish()
        same = got["bytes"] == sent["bytes"] == length and got["sha256"] == sent["sha256"]
        return same, sent
