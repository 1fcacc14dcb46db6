# SPDX-License-Identifier: Apache-2.0
"""What the BGP benchmarks look at: the kernel's notices of routes, BIRD's control socket, processes."""

import os
import re
import select
import socket
import struct
import threading
import time

import net

PROTOCOL_BIRD = 12  # RTPROT_BIRD
NEW_ROUTE, DELETED_ROUTE = 24, 25
DESTINATION, OUTPUT = 1, 4  # RTA_DST, RTA_OIF
GROUP_IPV4_ROUTE = 0x40


class RouteWatch:
    """
    The routes that BIRD has in the kernels of some nodes, from the kernels' notices: told, not asked
    for, so that looking costs those who work little. Times are time.time(), as in BIRD's logs.
    """

    def __init__(self, nodes):
        self.routes = {node.name: set() for node in nodes}
        self.events = dict.fromkeys(self.routes, 0)
        self.last = dict.fromkeys(self.routes, 0.0)
        self.total = 0
        self.lost = False
        self.sockets = {}
        self.poll = select.epoll()
        for node in nodes:
            s = node.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            s.setsockopt(socket.SOL_SOCKET, net.SO_RCVBUFFORCE, 32 << 20)
            s.bind((0, GROUP_IPV4_ROUTE))
            s.setblocking(False)
            self.sockets[s.fileno()] = (s, node.name)
            self.poll.register(s, select.EPOLLIN)
        self.stopped = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopped:
            for fd, _ in self.poll.poll(0.1):
                self._read(*self.sockets[fd])

    def _read(self, s, name):
        while True:
            try:
                message = s.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:  # ENOBUFS: figures of these would be wrong
                self.lost = True
                return
            self._take(name, message, time.time())

    def _take(self, name, message, now):
        at, routes = 0, self.routes[name]
        while at + 28 <= len(message):
            length, kind = struct.unpack_from("=IH", message, at)
            if kind in (NEW_ROUTE, DELETED_ROUTE) and message[at + 21] == PROTOCOL_BIRD:
                key = self._destination(message, at, length)
                before = len(routes)
                (routes.add if kind == NEW_ROUTE else routes.discard)(key)
                self.total += len(routes) - before
                self.events[name] += 1
                self.last[name] = now
            at += (length + 3) & ~3

    @staticmethod
    def _destination(message, at, length):
        inner = at + 28
        while inner + 4 <= at + length:
            size, name = struct.unpack_from("=HH", message, inner)
            if name == DESTINATION:
                return message[inner + 4 : inner + size] + message[at + 17 : at + 18]
            inner += (size + 3) & ~3
        return message[at + 17 : at + 18]

    def close(self):
        """Stop watching."""
        self.stopped = True
        self.thread.join()
        self.poll.close()
        for s, _ in self.sockets.values():
            s.close()


def count_kernel(node, device=""):
    """How many routes of BIRD's a node's kernel has (by a device): asked, for the end."""
    words = f"dev {device}" if device else ""
    with node:
        with os.popen(f"ip -4 route show proto bird {words} | grep -vc '^ '") as pipe:
            return int(pipe.read())


def ask(path, command, timeout=10):
    """What a BIRD answers to a line on its control socket, without the codes."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(path)
        reader = s.makefile("r", encoding="utf-8", errors="replace")
        _answer(reader)  # its greeting
        s.sendall(command.encode() + b"\n")
        return _answer(reader)


def _answer(reader):
    lines = []
    for line in reader:
        lines.append(line[5:] if line[:4].isdigit() else line[1:])
        if re.match(r"\d{4} ", line):
            break
    return "".join(lines)


def pss(pid):
    """Bytes of memory of a process, what it shares counted in parts."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) * 1024


def cpu(pid):
    """Processor seconds of all threads of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
