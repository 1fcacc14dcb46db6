# SPDX-License-Identifier: Apache-2.0
"""
The ways between two pods that `make bench-kernel` compares. A variant is a name and what to do on which node
to set it up and to take it away again: lines of `ip`, of `culvert`, or `daemon start MODE` and `daemon stop` for its
culvertd, which leaves nothing. Only one is there at a time, so all of them use the same addresses. Without its own turn no culvertd
runs: its packet sockets get a copy of all of protocol 4, which took a third of the kernel's ipip.

    a1-pod 10.244.1.2 ── a1 192.168.100.1 ── router ── b1 192.168.200.2 ── b1-pod 10.244.2.2
"""

A, B = "192.168.100.1", "192.168.200.2"
POD_A, POD_B = "10.244.1.2", "10.244.2.2"
NET_A, NET_B = "10.244.1.0/24", "10.244.2.0/24"
# Node -> its own address, the other end's, and the pods behind the other end.
ENDS = {"a1": (A, B, NET_B), "b1": (B, A, NET_A)}


class Variant:
    """One way. up, down: [(node, line)]; where: what measure.py calls a path."""

    def __init__(self, name, up, down):
        self.name = name
        self.up = up
        self.down = down
        self.where = ("b1-pod", POD_B, POD_A)


def direct():
    """Routes on the nodes and on the router; no tunnel."""
    routes = [
        ("a1", f"{NET_B} via 192.168.100.254"), ("b1", f"{NET_A} via 192.168.200.254"),
        ("router", f"{NET_A} via {A}"), ("router", f"{NET_B} via {B}"),
    ]
    return Variant("direct", [(node, f"ip route add {r}") for node, r in routes],
                   [(node, f"ip route del {r}") for node, r in routes])


def kernel(kind, more="", address=""):
    """A device of the kernel's own. address: NET.%d of the nodes on it, if routes need a next hop."""
    up = []
    for number, (node, (local, remote, pods)) in enumerate(ENDS.items(), 1):
        up += [(node, f"ip link add kernel0 type {kind} local {local} remote {remote} {more}")]
        if address:
            up += [(node, f"ip addr add {address % number}/24 dev kernel0")]
        up += [(node, "ip link set kernel0 up")]
        via = f"via {address % (3 - number)}" if address else ""
        up += [(node, f"ip route add {pods} {via} dev kernel0")]
    return Variant(kind, up, [(node, "ip link del kernel0") for node in ENDS])


def culvert(name, mode, with_endpoints=False):
    """Culvert at both ends. mode: of lab/lab's daemons."""
    up, down = [], []
    for node, (local, remote, pods) in ENDS.items():
        up += [
            (node, f"daemon start {mode}"),
            (node, f"culvert tunnel add tun0 mode ipip remote {remote} local {local}"),
            (node, "ip link set tun0 up"),
            (node, f"ip route add {pods} dev tun0"),
        ]
        if with_endpoints:
            pod = POD_A if node == "a1" else POD_B
            up += [(node, f"culvert endpoint add pod0 ip {pod} bypass on")]
        down += [(node, "daemon stop")]
    return Variant(name, up, down)


# In the order in which they are told.
VARIANTS = [
    direct(),
    kernel("ipip"),
    kernel("gre"),
    kernel("vxlan", "id 46 dstport 4789 dev eth0", "10.246.0.%d"),
    culvert("culvert-engine", "engine"),
    culvert("culvert-device", "fastpath"),
    culvert("culvert-endpoint", "fastpath", with_endpoints=True),
]

# (64-byte UDP packets/s of this, divided by those of that, at least): judged when both were measured.
TARGETS = [("culvert-endpoint", "ipip", 1.3), ("culvert-device", "ipip", 0.9)]
