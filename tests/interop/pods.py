# SPDX-License-Identifier: Apache-2.0
"""
Three nodes with real pods: podman's containers, which culvert-cni attaches, and what tests do with
them. The network is that of ../packet/zones.py; each node is a host (../packet/hosts.py) with
podman, Debian's plugins and culvertd.

     pods ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                   ├── br-a  .254  r  .254 ─────────── .2 b1 ── pods
     pods ── cbr0 ─ a2 .2 ┘        ├── office  192.168.7.7
                                   └── outside 203.0.113.9

a1 and b1 route their pods (a veth and a /32 each), a2 has them on a bridge. A node's block is
10.244.N.0/24.
"""

import json
import os
import re
import socket
import struct
import time

import bpfmap
import cni
import culvert
import hosts
import net
import podman
import tap
from zones import ADDRESSES, NODES, Zones

BRIDGE = "cbr0"
BRIDGED = ("a2",)
NETWORK = "pods"
PLUGIN = os.path.join(culvert.BUILD, cni.PLUGIN)
# Whether packets between pods pass the hosts' stacks, by the modes of tests.
BYPASS = {culvert.ENDPOINTS: "default"}

# Maps of the fast path that are no caches: what is in them is there until it is taken out.
EXACT_MAPS = ("cv_addresses", "cv_devices", "cv_endpoints", "cv_pairs", "cv_tunnels")


class Pods(Zones):
    """The network above, with the daemons running; applied() makes it an overlay."""

    def __init__(self, *arguments, **words):
        podman.need_runtime()
        culvert.need_programs()
        super().__init__(*arguments, start=False, pods=False, node=hosts.Host, **words)
        for node in self.nodes.values():
            node.settle()
        self.start()
        # With a wrapper or not: what is tested is the mode that was asked for.
        self.podman = {name: podman.Podman(node) for name, node in self.nodes.items()}
        podman.serve(self.outside)

    def plugin(self, name, **more):
        """culvert-cni's entry in a node's list of plugins. more: members of it."""
        daemon = self.daemons[name]
        entry = {"type": cni.PLUGIN, "runDir": daemon.run_dir,
                 "bypass": BYPASS.get(daemon.mode, "off"), "capabilities": {"ips": True}}
        if name in BRIDGED:
            entry |= {"mode": "bridge", "bridge": BRIDGE}
        return entry | more

    def conflist(self, name, *chained, version="1.0.0", network=NETWORK, **more):
        """A whole list, for a runtime of the test's own (cni.Network)."""
        return {"cniVersion": version, "name": network,
                "plugins": [self.plugin(name, **more), *chained]}

    def pod(self, name):
        """There is none before one is started: podman[name].start()."""
        raise NotImplementedError(name)

    def leased(self, name):
        """Addresses that a node has given to pods: {address: container}."""
        return {each.partition("/")[0]: pod["container"]
                for pod in json.loads(self.cli(name, "-j", "pods").stdout)
                for each in pod["addresses"]}

    # ---- what is there ---------------------------------------------------------------------

    def inventory(self, name):
        """
        What pods leave behind, if they do, as {kind: sorted lines}: devices, routes, permanent
        neighbours, rules, addresses, attachments, files, entries of the fast path's maps.
        """
        node, daemon = self.nodes[name], self.daemons[name]

        def lines(command):
            # A bridge without pods is down, or about to be.
            said = node.run(command).stdout.replace(" linkdown", "")
            return sorted(line.strip() for line in said.splitlines())

        def files(directory):
            return sorted(os.path.join(where, f)[len(directory):]
                          for where, _, found in os.walk(directory) for f in found)

        rules = re.sub(r"counter packets \d+ bytes \d+", "counter", node.run("nft list ruleset").stdout)
        found = {
            "devices": [each["ifname"] for each in json.loads(node.run("ip -j link show").stdout)],
            "routes": lines("ip route show table all"),
            "neighbours": lines("ip neigh show nud permanent") + lines("ip neigh show proxy"),
            "queueing": lines("tc qdisc show"),
            "rules": sorted(rules.splitlines()),
            "addresses": self.addresses(name),
            "attachments": sorted(self.cli(name, "pods").stdout.splitlines()),
            "run directory": files(daemon.run_dir),
            "/var/lib/cni": files(node.file("/var/lib/cni")),
            "/run/netns": files(node.file("/run/netns")),
        }
        if daemon.has_fastpath:
            for kind in EXACT_MAPS:
                table = bpfmap.Map(daemon, kind)
                found[kind] = sorted(key.hex() for key in table.keys())
                table.close()
        return found

    def addresses(self, name):
        """How many of each block are assigned, and what does not fit together, as `culvert ipam` says."""
        said = json.loads(self.cli(name, "-j", "ipam", "show", "--blocks").stdout)
        check = json.loads(self.cli(name, "-j", "ipam", "check", check=False).stdout)
        return sorted([json.dumps(each, sort_keys=True) for each in said["blocks"]]
                      + [each["text"] for each in check["findings"]])


def difference(before, after):
    """What two inventories do not have in common, in lines; "" if nothing."""
    found = []
    for kind in sorted(before.keys() | after.keys()):
        was, now = before.get(kind, []), after.get(kind, [])
        found += [f"{kind}: - {each}" for each in was if each not in now]
        found += [f"{kind}: + {each}" for each in now if each not in was]
        if not found and len(was) != len(now):
            found.append(f"{kind}: {len(was)} lines, then {len(now)}")
    return "\n".join(found)


def same(before, look, name, timeout=5.0):
    """Assert that look() comes to be what an earlier inventory was."""
    net.wait_for(lambda: not difference(before, look()), timeout)
    return tap.equal(difference(before, look()), "", name)


# ---- packets -------------------------------------------------------------------------------


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def unreachable(node, addresses, timeout=5.0):
    """Those of many addresses that do not answer a node's echo requests, sent at once, and again."""
    waiting = set(addresses)
    with node.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.setsockopt(socket.SOL_SOCKET, net.SO_RCVBUFFORCE, 8 << 20)
        body = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, 1) + b"culvert!"
        body = body[:2] + struct.pack("!H", _checksum(body)) + body[4:]
        deadline = time.monotonic() + timeout
        while waiting and time.monotonic() < deadline:
            for address in sorted(waiting):
                s.sendto(body, (address, 0))
            s.settimeout(0.5)
            try:
                while waiting:
                    packet, (address, _) = s.recvfrom(1500)
                    if packet[20] == 0 and packet[24:26] == body[4:6]:
                        waiting.discard(address)
            except TimeoutError:
                pass
    return sorted(waiting)


def way(lab, source, address, on):
    """
    How an echo request of a pod to an address crosses the wire of node `on`: "tunnel", "direct",
    "none" (it does not), "both", or None: there was no answer.
    """
    wire = lab.wire(on)
    wire.drain()
    inner = socket.inet_aton(address)

    def kind(packet):
        if packet[9] == 1 and packet[16:20] == inner and packet[20] == 8:
            return "direct"
        if packet[9] == 4 and packet[29] == 1 and packet[36:40] == inner and packet[40] == 8:
            return "tunnel"
        return None

    answered = source.pings(address)
    try:
        kinds = {kind(p) for p in wire.collect(kind, timeout=0.3, quiet=0.05)}
    finally:
        wire.close()
    if not answered:
        return None
    return kinds.pop() if len(kinds) == 1 else "both" if kinds else "none"


def expected_way(lab, source, target):
    """In a CrossSubnet pool, between pods of two nodes."""
    if source == target:
        return "none"
    subnets = [ADDRESSES[name].rpartition(".")[0] for name in (source, target)]
    return "direct" if subnets[0] == subnets[1] else "tunnel"


__all__ = ["ADDRESSES", "BRIDGE", "BRIDGED", "NETWORK", "NODES", "PLUGIN", "Pods", "difference",
           "expected_way", "same", "unreachable", "way"]
