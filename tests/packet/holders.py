# SPDX-License-Identifier: Apache-2.0
"""Carrier holders (culvertd-hold), and what `ip monitor` tells of a node."""

import os
import subprocess
import time

import net


def stat_of(pid):
    """State and parent of a process, or ("", 0)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            words = f.read().rpartition(")")[2].split()
            return words[0], int(words[1])
    except (FileNotFoundError, ProcessLookupError):
        return "", 0


def lives(pid):
    """A zombie does not: who reaps it is not our affair."""
    return stat_of(pid)[0] not in ("", "Z", "X")


def holders(run_dir):
    """Process ids of the holders of a run directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[:3] == [b"culvertd-hold", b"--hold", run_dir.encode()] and lives(int(pid)):
            found.append(int(pid))
    return found


def holder(daemon):
    """The one holder there must be."""
    found = holders(daemon.run_dir)
    if len(found) != 1:
        raise RuntimeError(f"holders of {daemon.run_dir}: {found}\n{daemon.log()}")
    return found[0]


def held(pid):
    """How many queues a holder has; 0 if it does not live."""
    count = 0
    fds = f"/proc/{pid}/fd"
    try:
        names = os.listdir(fds)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for name in names:
        try:
            count += os.readlink(f"{fds}/{name}") == "/dev/net/tun"
        except (FileNotFoundError, ProcessLookupError):
            pass  # closed since
    return count


def held_in(run_dir):
    """How many queues the holders of a run directory have: it may be about to change."""
    return sum(map(held, holders(run_dir)))


def queues(node, device="tun0"):
    """(attached, detached) queues of a device."""
    words = node.run(f"ip -d link show {device}").stdout.split()
    return tuple(int(words[words.index(k) + 1]) for k in ("numqueues", "numdisabled"))


class Monitor:
    """`ip monitor link route address` of a node: lines() since the last call."""

    def __init__(self, node):
        self.node = node
        self.process = node.spawn(
            ["ip", "-o", "monitor", "link", "route", "address"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        os.set_blocking(self.process.stdout.fileno(), False)
        net.wait_for(lambda: self._sees("probe0"))

    def _sees(self, name):
        self.node.ip(f"link add {name} type veth peer name {name}x", f"link del {name}")
        time.sleep(0.05)
        return name in (self.process.stdout.read() or b"").decode()

    def lines(self):
        """What it has printed."""
        time.sleep(0.2)
        return (self.process.stdout.read() or b"").decode().splitlines()

    def stop(self):
        """End it."""
        net.stop(self.process)


def unchanged(lines, device="tun0"):
    """
    True when a monitor showed nothing: no route, no address, and of links at most this device's,
    always as the same line, up and with its carrier.
    """
    lines = [line.strip() for line in lines if line.strip()]
    return all(f": {device}:" in line and ",UP,LOWER_UP" in line and "Deleted" not in line
               for line in lines) and len(set(lines)) <= 1
