# SPDX-License-Identifier: Apache-2.0
"""
Where packets were lost: what kernels and culvertd count, by place, since a moment: drops, and what
passed each device, so that the place shows where nobody counts a drop. A test that counts packets
says it when some are missing, so that nobody need guess.
"""

import json
import socket

import net

LINES = ("Ip", "Udp")  # of /proc/net/snmp
DEVICE_COLUMNS = {1: "rx", 2: "rx_errs", 3: "rx_drop", 9: "tx", 10: "tx_errs", 11: "tx_drop"}
# Numbers of a daemon that count no packets.
OTHERS = {"rx_bytes", "tx_bytes", "uptime", "count", "last_us", "longest_us"}


def patient(receiver):
    """Let a socket hold 64 MB, whatever net.core.rmem_max is: a busy machine reads it late."""
    receiver.setsockopt(socket.SOL_SOCKET, net.SO_RCVBUFFORCE, 64 << 20)


def kernel_counts(node):
    """What a node's kernel has dropped, and what passed its devices: {place: count}."""
    found = {}
    names = {}
    for line in node.run("cat /proc/net/snmp").stdout.splitlines():
        key, _, rest = line.partition(": ")
        if key not in LINES:
            continue
        if key not in names:
            names[key] = rest.split()
            continue
        found.update({f"{key}.{name}": int(value) for name, value in zip(names[key], rest.split())})
    for line in node.run("cat /proc/net/dev").stdout.splitlines()[2:]:
        device, _, rest = line.partition(":")
        columns = rest.split()
        for i, name in DEVICE_COLUMNS.items():
            found[f"{device.strip()}.{name}"] = int(columns[i])
    for line in node.run("cat /proc/net/udp").stdout.splitlines()[1:]:
        columns = line.split()
        port = int(columns[1].partition(":")[2], 16)
        found[f"socket :{port}.drops"] = found.get(f"socket :{port}.drops", 0) + int(columns[-1])
    return found


def backlog_drops():
    """What processors did not take from their backlogs (softnet_stat); of the whole machine."""
    with open("/proc/net/softnet_stat", encoding="ascii") as f:
        return {"softnet.dropped": sum(int(line.split()[1], 16) for line in f)}


def daemon_counts(daemon):
    """What a culvertd counts: {place: count}."""
    shown = json.loads(daemon.cli("-j", "tunnel", "show").stdout)
    found = {}
    for tunnel in (None, *(each["name"] for each in shown)):
        for name, value in daemon.counters(tunnel).items():
            if name not in OTHERS:
                found[f"culvertd {tunnel or 'engine'}.{name}"] = value
    return found


class Losses:
    """Between the nodes' and daemons' counters now and later."""

    def __init__(self, nodes, daemons=()):
        self.nodes = nodes
        self.daemons = daemons
        self.before = self._count()

    def _count(self):
        counted = {("machine", place): n for place, n in backlog_drops().items()}
        for node in self.nodes:
            counted.update({(node.name, place): n for place, n in kernel_counts(node).items()})
        for daemon in self.daemons:
            counted.update({(daemon.node.name, place): n for place, n in daemon_counts(daemon).items()})
        return counted

    def told(self):
        """What rose, a line each; sockets to be told of must still be open."""
        lines = [f"{where}: {place} {now - self.before.get((where, place), 0):+}"
                 for (where, place), now in self._count().items()
                 if now != self.before.get((where, place), 0)]
        return "\n".join(lines) or "no counter rose"
