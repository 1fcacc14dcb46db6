# SPDX-License-Identifier: Apache-2.0
"""The small networks that several packet tests use."""

import bpfmap
import culvert
import net
import tap
from culvert import Culvertd


def mac_text(raw):
    """A link layer address as `ip` writes it."""
    return raw.hex(":")


def look_after(daemons, name, failed):
    """For tap.main()'s after: say what the daemons said, if something failed; start those that ended."""
    for daemon in daemons if name != "clean_end" else ():
        if not daemon.alive():
            tap.ok(False, f"{name}: culvertd of {daemon.node.name} is alive", daemon.log())
            daemon.start()
        elif failed:
            tap.note("\n".join(daemon.log().splitlines()[-10:]))


def end_cleanly(daemons):
    """Daemons that are told to stop do so, in time and without a complaint."""
    for daemon in daemons:
        tap.equal(daemon.stop(), 0, f"culvertd of {daemon.node.name} ends cleanly")
        tap.ok("ERROR: " not in daemon.log(), "… and no sanitizer complains", daemon.log)


class Pair:
    """
    The usual network:

        p1 10.244.1.2/24 ── pod0 n1 eth0 ── eth0 n2
                            10.244.1.1      192.168.100.2 and .3 to .9, silent
                            192.168.100.1   (the test speaks for these peers)

    n1 runs culvertd. n2 has the addresses for ARP alone. p1 is silent, too, unless asked.
    pod and peer are Wires at p1 and n2.
    """

    POD, GATEWAY, FAR = "10.244.1.2", "10.244.1.1", "10.244.2.2"
    LOCAL, REMOTE = "192.168.100.1", "192.168.100.2"

    def __init__(self, *arguments, silent_pod=True, daemon=True):
        self.p1, self.n1, self.n2 = net.Node("p1"), net.Node("n1"), net.Node("n2")
        net.connect(self.p1, "eth0", self.n1, "pod0")
        net.connect(self.n1, "eth0", self.n2, "eth0")
        self.n1.forward()
        self.n1.ip(f"addr add {self.GATEWAY}/24 dev pod0", f"addr add {self.LOCAL}/24 dev eth0")
        self.p1.ip(f"addr add {self.POD}/24 dev eth0", f"route add default via {self.GATEWAY}")
        self.n2.ip(*(f"addr add 192.168.100.{i}/24 dev eth0" for i in range(2, 10)))
        self.n2.ip("addr add 192.168.100.254/24 dev eth0")
        self.n2.silence()
        if silent_pod:
            self.p1.silence()
        self.pod = self.p1.wire("eth0")
        self.peer = self.n2.wire("eth0")
        self.to_n1_from_pod = self.n1.mac("pod0") + self.p1.mac("eth0") + b"\x08\x00"
        self.to_n1_from_peer = self.n1.mac("eth0") + self.n2.mac("eth0") + b"\x08\x00"
        # No ARP in the middle of a test.
        self.n1.ip(f"neigh replace {self.POD} lladdr {mac_text(self.p1.mac('eth0'))} dev pod0")
        self.resolve()
        pods = (("pod0", self.POD),)
        self.culvertd = Culvertd(self.n1, *arguments, endpoints=pods) if daemon else None

    def resolve(self):
        """Permanent neighbours for all peers at n1's eth0."""
        mac = mac_text(self.n2.mac("eth0"))
        peers = [*range(2, 10), 254]
        self.n1.ip(
            *(f"neigh replace 192.168.100.{i} lladdr {mac} dev eth0" for i in peers)
        )

    def tunnel(self, words="", route="10.244.2.0/24 dev tun0"):
        """The tunnel tun0 from LOCAL to REMOTE, made anew, with a route into it."""
        self.remake(f"tun0 mode ipip remote {self.REMOTE} local {self.LOCAL} {words}", route)

    def fresh(self, words=""):
        """tunnel(), with no path MTU or error remembered of earlier packets."""
        self.n1.ip("route flush cache")
        self.culvertd.stop()
        # The next daemon would take up what the fast path still knows.
        if self.culvertd.has_fastpath:
            remotes = bpfmap.Map(self.culvertd, "cv_remotes")
            for key in remotes.keys():
                remotes.delete(key)
            remotes.close()
        self.culvertd.start()
        self.tunnel(words)

    def remake(self, line, *routes):
        """Delete the device of the line if it exists, add it anew, add routes."""
        name = line.split()[0]
        if self.n1.has(name):
            self.culvertd.delete(name)
        self.culvertd.add(line)
        self.n1.ip(*(f"route replace {route}" for route in routes))

    def from_pod(self, packet):
        """Let the pod send an inner packet."""
        self.pod.send(self.to_n1_from_pod + packet)

    def from_peer(self, packet):
        """Let a peer send an outer packet."""
        self.peer.send(self.to_n1_from_peer + packet)

    def drain(self):
        """Forget what arrived at both wires."""
        self.pod.drain()
        self.peer.drain()

    def outer_of(self, packet, timeout=2.0, match=None):
        """Let the pod send packet; the outer packet that reaches the peer, or None."""
        self.peer.drain()
        self.from_pod(packet)
        return self.peer.expect(match or (lambda p: p[9] == 4), timeout)

    def inner_of(self, packet, timeout=2.0, match=None):
        """Let a peer send the outer packet; the inner one that reaches the pod, or None."""
        self.pod.drain()
        self.from_peer(packet)
        return self.pod.expect(match or (lambda p: True), timeout)

    def quiet(self, wire, match=lambda packet: True, seconds=0.15):
        """True if nothing that matches arrives at the wire within seconds."""
        return wire.expect(match, seconds) is None

    def before(self, name):
        """For tap.main(): each test begins with empty wires."""
        tap.note(name)
        self.drain()

    def after(self, name, failed):
        """For tap.main(): say what the daemon said, if something failed."""
        look_after((self.culvertd,) if self.culvertd else (), name, failed)

    def clean_end(self):
        """A last test: a daemon that is told to stop does so, in time and without a complaint."""
        end_cleanly((self.culvertd,))


class Line:
    """
    Two whole nodes and a router:

        p1 10.244.1.2 ── pod0 n1 eth0 ── left r right ── eth0 n2 pod0 ── p2 10.244.2.2
                         10.244.1.1   192.168.100.254       10.244.2.1
                        192.168.100.1   192.168.200.254    192.168.200.2

    n1 and n2 run culvertd (d1, d2; probing or not) with tun0 to each other; mode "mixed": n1 has the engine alone,
    n2 the fast path and its pod as an endpoint. offload: of all cables but as set by offloads()
    later.
    """

    A, B = "192.168.100.1", "192.168.200.2"
    POD_A, POD_B = "10.244.1.2", "10.244.2.2"

    def __init__(self, *arguments, offload=False, words="", probing=False):
        names = ("p1", "n1", "r", "n2", "p2")
        self.p1, self.n1, self.r, self.n2, self.p2 = (net.Node(n) for n in names)
        net.connect(self.p1, "eth0", self.n1, "pod0", offload=offload)
        net.connect(self.n1, "eth0", self.r, "left", offload=offload)
        net.connect(self.r, "right", self.n2, "eth0", offload=offload)
        net.connect(self.n2, "pod0", self.p2, "eth0", offload=offload)
        for node in (self.n1, self.r, self.n2):
            node.forward()
        self.r.ip("addr add 192.168.100.254/24 dev left", "addr add 192.168.200.254/24 dev right")
        self._node(self.n1, self.p1, 1, self.A, "192.168.100.254")
        self._node(self.n2, self.p2, 2, self.B, "192.168.200.254")
        one, other = culvert.MODE, culvert.MODE
        if culvert.MODE == culvert.MIXED:
            one, other = culvert.ENGINE, culvert.ENDPOINTS
        self.d1 = Culvertd(self.n1, *arguments, mode=one, probing=probing,
                           endpoints=(("pod0", self.POD_A),))
        self.d2 = Culvertd(self.n2, *arguments, mode=other, probing=probing,
                           endpoints=(("pod0", self.POD_B),))
        self.d1.add(f"tun0 mode ipip remote {self.B} local {self.A} {words}")
        self.d2.add(f"tun0 mode ipip remote {self.A} local {self.B} {words}")
        self.n1.ip("route add 10.244.2.0/24 dev tun0")
        self.n2.ip("route add 10.244.1.0/24 dev tun0")

    @staticmethod
    def _node(node, pod, number, address, gateway):
        node.ip(
            f"addr add {address}/24 dev eth0",
            f"addr add 10.244.{number}.1/24 dev pod0",
            f"route add default via {gateway}",
        )
        pod.ip(
            f"addr add 10.244.{number}.2/24 dev eth0",
            f"route add default via 10.244.{number}.1",
        )

    def after(self, name, failed):
        """For tap.main(): say what the daemons said, if something failed."""
        look_after((self.d1, self.d2), name, failed)

    def clean_end(self):
        """A last test: a daemon that is told to stop does so, in time and without a complaint."""
        end_cleanly((self.d1, self.d2))
