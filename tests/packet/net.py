# SPDX-License-Identifier: Apache-2.0
"""
Network nodes for the packet tests: anonymous network namespaces, the wires between
them, and raw access to those wires.

A namespace here has no name: it lives as long as this process holds its descriptor or
a process runs inside, and every such process dies with this one. So nothing is left
behind, however the test ends, kill -9 included.
"""

import atexit
import ctypes
import fcntl
import os
import select
import shlex
import signal
import socket
import struct
import subprocess
import threading
import time

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

ETH_P_ALL = 0x0003
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33

# Short names for the packet types of AF_PACKET.
TO_HOST, BROADCAST, MULTICAST, OTHER_HOST, OUTGOING = range(5)

_HOME = os.open("/proc/self/ns/net", os.O_RDONLY)
_children = []


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _stop_children():
    for child in reversed(_children):
        stop(child)


def stop(child, number=signal.SIGTERM, timeout=5):
    """End a process that spawn() started; returns its exit code."""
    if child.poll() is None:
        child.send_signal(number)
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    return child.returncode


atexit.register(_stop_children)


class Node:
    """A network namespace. `with node:` puts the calling thread into it."""

    move_in = None  # what a child still has to do to be where programs of this node run

    def __init__(self, name):
        self.name = name
        self.fd = -1
        self._depth = 0
        maker = threading.Thread(target=self._make)
        maker.start()
        maker.join()
        if self.fd < 0:
            raise OSError(f"no network namespace for {name}")
        self.ip("link set lo up")
        # The tests look at the engine's own checks and count ICMP messages exactly.
        for key, value in {
            "net.ipv4.conf.all.rp_filter": 0,
            "net.ipv4.conf.default.rp_filter": 0,
            "net.ipv4.icmp_ratelimit": 0,
            "net.ipv4.icmp_msgs_per_sec": 100000,
            "net.ipv4.conf.all.send_redirects": 0,
            "net.ipv4.conf.default.send_redirects": 0,
            "net.ipv6.conf.all.disable_ipv6": 1,
            "net.ipv6.conf.default.disable_ipv6": 1,
        }.items():
            self.sysctl(key, value)

    def _make(self):
        if not _libc.unshare(CLONE_NEWNET):
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def __enter__(self):
        self._depth += 1
        _setns(self.fd)
        return self

    def __exit__(self, *_):
        self._depth -= 1
        _setns(_HOME)

    def file(self, path):
        """By which path this process finds a file as programs of the node see it."""
        return path

    @property
    def path(self):
        """A path by which `ip link set … netns PATH` finds this namespace."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def run(self, command, check=True, **kwargs):
        """Run a command (a string is split as a shell would); CompletedProcess, text."""
        argv = shlex.split(command) if isinstance(command, str) else command
        with self:
            done = subprocess.run(
                argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                preexec_fn=self.move_in, **kwargs
            )
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {argv}: {done.stderr.strip() or done.stdout}")
        return done

    def ip(self, *lines, check=True):
        """Run lines of `ip` in one process; what it prints."""
        text = "".join(line + "\n" for line in lines)
        return self.run(["ip", "-batch", "-"], check=check, input=text).stdout

    def sysctl(self, key, value=None):
        """Read or write a sysctl of this namespace."""
        with self:
            with open("/proc/sys/" + key.replace(".", "/"), "r" if value is None else "w") as f:
                return f.read().strip() if value is None else f.write(str(value))

    def spawn(self, argv, **kwargs):
        """Start a process in the namespace; it is ended with the test at the latest."""

        def prepare():
            _die_with_parent()
            if self.move_in:
                self.move_in()

        with self:
            child = subprocess.Popen(argv, preexec_fn=prepare, **kwargs)
        _children.append(child)
        return child

    def socket(self, *args):
        """A socket that lives in this namespace."""
        with self:
            return socket.socket(*args)

    def wire(self, interface, **kwargs):
        """Raw access to an interface: see Wire."""
        return Wire(self, interface, **kwargs)

    def mac(self, interface):
        """The link layer address of an interface, 6 bytes."""
        with self:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                request = struct.pack("16s240x", interface.encode())
                return fcntl.ioctl(s, 0x8927, request)[18:24]  # SIOCGIFHWADDR

    def has(self, interface):
        """True if the interface exists."""
        with self:
            try:
                socket.if_nametoindex(interface)
            except OSError:
                return False
            return True

    def offloads(self, interface, on):
        """Switch all the offloads that matter here on or off."""
        word = "on" if on else "off"
        self.run(f"ethtool -K {interface} tx {word} rx {word} tso {word} gso {word} gro {word}")

    def silence(self):
        """Let the kernel receive nothing by IPv4 (ARP goes on): only the test answers."""
        self.run(
            ["nft", "-f", "-"],
            input="table ip silence { chain input {"
            " type filter hook input priority -300; policy drop;\n}\n}\n",
        )

    def forward(self):
        """Make it a router."""
        self.sysctl("net.ipv4.ip_forward", 1)


def wait_for(condition, timeout=5.0):
    """True as soon as condition() is."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def connect(left, left_if, right, right_if, mtu=1500, offload=False):
    """A cable (veth pair) between two nodes; both ends up."""
    left.ip(
        f"link add {left_if} mtu {mtu} type veth peer name {right_if} mtu {mtu}"
        f" netns {right.path}"
    )
    for node, interface in ((left, left_if), (right, right_if)):
        if not offload:
            node.offloads(interface, False)
        node.ip(f"link set {interface} up")


class Wire:
    """
    Both directions of one interface, seen from the test: send() puts frames on it as the
    node itself would, the reading functions give what arrives there. with_outgoing: also
    what the node sends. link_header: bytes before the IP header (0 for a TUN device).
    """

    def __init__(self, node, interface, with_outgoing=False, link_header=14):
        self.node = node
        self.interface = interface
        self.link_header = link_header
        self.socket = node.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        if not with_outgoing:
            self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        with node:
            self.socket.bind((interface, ETH_P_ALL))
        self.socket.setblocking(False)
        self.packet_type = None

    def close(self):
        self.socket.close()

    def send(self, frame):
        """Send one complete frame."""
        deadline = time.monotonic() + 5
        while True:
            try:
                return self.socket.send(frame)
            except (BlockingIOError, OSError) as error:
                # A full veth queue under a flood: it drains by itself.
                if getattr(error, "errno", 0) not in (11, 105) or time.monotonic() > deadline:
                    raise
                time.sleep(0.0005)

    def read(self, timeout):
        """The next frame within timeout seconds, or None."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                frame, address = self.socket.recvfrom(70000)
                self.packet_type = address[2]
                return frame
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                    return None
            except OSError as error:
                if error.errno != 100:  # ENETDOWN is told once; the socket goes on
                    raise

    def drain(self):
        """Forget what has arrived so far."""
        while self.read(0) is not None:
            pass

    def ip_packet(self, frame):
        """The IPv4 packet in a frame without padding, or None."""
        if self.link_header:
            if len(frame) < 34 or frame[12:14] != b"\x08\x00":
                return None
        packet = frame[self.link_header :]
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return None
        length = struct.unpack_from("!H", packet, 2)[0]
        return packet[:length] if 20 <= length <= len(packet) else packet

    def expect(self, match=lambda packet: True, timeout=2.0):
        """The next IPv4 packet for which match(packet) holds, or None; others are dropped."""
        deadline = time.monotonic() + timeout
        while True:
            frame = self.read(max(0.0, deadline - time.monotonic()))
            if frame is None:
                return None
            packet = self.ip_packet(frame)
            if packet is not None and match(packet):
                return packet

    def collect(self, match=lambda packet: True, count=None, timeout=1.0, quiet=None):
        """
        The matching packets until there are count of them, or timeout is over, or (quiet)
        nothing matched for that long.
        """
        packets = []
        deadline = time.monotonic() + timeout
        last = time.monotonic()
        while count is None or len(packets) < count:
            end = deadline if quiet is None else min(deadline, last + quiet)
            frame = self.read(max(0.0, end - time.monotonic()))
            if frame is None:
                break
            packet = self.ip_packet(frame)
            if packet is not None and match(packet):
                packets.append(packet)
                last = time.monotonic()
        return packets
