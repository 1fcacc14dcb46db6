# SPDX-License-Identifier: Apache-2.0
"""For tests in Python: a lab of one's own, packets in and out of its nodes, and TAP.

    #!/usr/bin/python3
    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../lab"))
    from lab import Lab, ok, equal, done_testing
    from scapy.all import Ether, IP, ICMP

    with Lab("pair", culvert=False) as lab:
        capture = lab.sniff("n2", "eth0")
        lab.send("n2", "eth0", Ether(dst=lab.mac("n1", "eth0"), src=lab.mac("n2", "eth0"))
                 / IP(src="192.168.100.2", dst="192.168.100.1") / ICMP())
        reply = capture.expect(lambda p: ICMP in p and p[ICMP].type == 0)
        ok(reply is not None, "n1 answers a ping")
    done_testing()

Packets are sent and captured through packet sockets that are opened inside the node's network
namespace; scapy only builds and dissects them, so give every address (scapy would ask the
host's routing table). k1 has no namespace: use exec() there, and capture on its wire, "k1" on
the router.
"""
import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
SCRIPT = os.path.join(TOP, "lab", "lab")
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
CAPTURE_BYTES = 8 << 20


def _setns(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Lab:
    """A lab instance that exists as long as the `with` block.

    shape     "pair" (n1, n2, p1) or "routed" (a1, a2, b1, router, their pods, and k1)
    culvert   start culvertd on its nodes
    k1        boot the User-mode Linux node (routed only; takes some seconds)
    mode      engine, fastpath, endpoints or mixed; None: as CULVERT_MODE says
    """

    def __init__(self, shape="pair", culvert=True, k1=False, mode=None):
        self.name = "t%d" % os.getpid()
        self.dir = "/run/culvert-lab/" + self.name
        self.arguments = ["up", "--shape", shape]
        if mode:
            self.arguments += ["--mode", mode]
        if not culvert:
            self.arguments.append("--no-culvert")
        if not k1:
            self.arguments.append("--no-k1")
        self.sockets = []
        self.processes = []

    def __enter__(self):
        if os.getuid():
            print("1..0 # SKIP needs root")
            sys.exit(0)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        try:
            up = self._lab(*self.arguments)
        except BaseException:
            self._lab("down")
            raise
        if up.returncode:
            print("Bail out! the lab did not come up: %s" % up.stderr.strip().replace("\n", "; "))
            sys.exit(1)
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.close()
        for process in self.processes:
            process.kill()
            process.wait()
        self._lab("down")

    def _lab(self, *arguments):
        command = [SCRIPT, "--name", self.name, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    # --- commands ---------------------------------------------------------------------------

    def exec(self, node, *argv, check=True, input=None, timeout=60):
        """Run a command on a node and return the CompletedProcess (text). With check, a command
        that fails raises, its error output in the message."""
        command = [SCRIPT, "--name", self.name, "exec", node, *map(str, argv)]
        done = subprocess.run(
            command, capture_output=True, text=True, input=input, timeout=timeout, check=False
        )
        if check and done.returncode:
            raise RuntimeError(
                "%s on %s: exit code %d: %s"
                % (" ".join(map(str, argv)), node, done.returncode, done.stderr.strip())
            )
        return done

    def popen(self, node, *argv, **options):
        """Start a command on a node; it is ended with the lab. Returns the Popen."""
        command = [SCRIPT, "--name", self.name, "exec", node, *map(str, argv)]
        process = subprocess.Popen(command, text=True, **options)
        self.processes.append(process)
        return process

    def daemon(self, node, action):
        """culvertd on a node: start, stop, kill, restart or pid (returned as a number)."""
        done = self._lab("daemon", node, action)
        if done.returncode:
            raise RuntimeError("%s culvertd on %s: %s" % (action, node, done.stderr.strip()))
        return int(done.stdout) if action == "pid" else None

    def json(self, node, *argv):
        """What a command on a node prints, read as JSON."""
        return json.loads(self.exec(node, *argv).stdout)

    # --- packets ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def netns(self, node):
        """Inside the block, this thread is in the node's network namespace."""
        with open("/proc/thread-self/ns/net") as home:
            with open("/run/netns/cv-%s-%s" % (self.name, node)) as away:
                _setns(away.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def socket(self, node, *arguments):
        """socket.socket(*arguments) made on a node; it stays there. Closed with the lab."""
        with self.netns(node):
            sock = socket.socket(*arguments)
        self.sockets.append(sock)
        return sock

    def send(self, node, interface, *packets):
        """Send whole Ethernet frames (scapy packets or bytes) out of a node's interface."""
        with self.netns(node), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind((interface, 0))
            for packet in packets:
                sock.send(bytes(packet))

    def sniff(self, node, interface, outgoing=False):
        """Start a capture; returns a Capture. outgoing: also what the node itself sends."""
        sock = self.socket(node, socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, CAPTURE_BYTES)
        if not outgoing:
            sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        sock.bind((interface, ETH_P_ALL))
        return Capture(sock, self.has_ethernet(node, interface))

    def has_ethernet(self, node, interface):
        link = self.json(node, "ip", "-j", "link", "show", "dev", interface)
        return link[0]["link_type"] in ("ether", "loopback")

    def mac(self, node, interface="eth0"):
        link = self.json(node, "ip", "-j", "link", "show", "dev", interface)
        return link[0]["address"]

    def offloads(self, node, interface, on):
        """Switch segmentation, coalescing and checksum offloads of an interface on or off."""
        features = ("tso", "gso", "gro", "tx", "rx")
        words = [word for feature in features for word in (feature, "on" if on else "off")]
        # A device need not have every one of them; ethtool changes the others and complains.
        self.exec(node, "ethtool", "-K", interface, *words, check=False)


class Capture:
    """Packets as they arrive at one interface, as scapy packets: Ether, or IP on a device
    without link-layer header. Each packet is returned once."""

    def __init__(self, sock, ethernet):
        from scapy.layers.inet import IP
        from scapy.layers.l2 import Ether

        self.sock = sock
        self.layer = Ether if ethernet else IP

    def next(self, timeout=1.0):
        """The next packet, or None after timeout seconds."""
        if not select.select([self.sock], [], [], max(timeout, 0))[0]:
            return None
        return self.layer(self.sock.recv(1 << 17))

    def expect(self, match, timeout=2.0):
        """The first packet for which match(packet) is true, or None after timeout seconds.
        Packets before it are gone."""
        end = time.monotonic() + timeout
        while True:
            packet = self.next(end - time.monotonic())
            if packet is None or match(packet):
                return packet
            if time.monotonic() >= end:
                return None

    def all(self, match=lambda packet: True, timeout=0.3, count=None):
        """All matching packets of the next timeout seconds, or the first count of them."""
        end = time.monotonic() + timeout
        found = []
        while count is None or len(found) < count:
            packet = self.expect(match, end - time.monotonic())
            if packet is None:
                break
            found.append(packet)
        return found

    def clear(self):
        """Forget what has arrived so far."""
        while select.select([self.sock], [], [], 0)[0]:
            self.sock.recv(1)


def wait_for(predicate, timeout=5.0):
    """Call predicate until it returns something true, and return that; None if it never does."""
    end = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() >= end:
            return None
        time.sleep(0.02)


# --- TAP --------------------------------------------------------------------------------------

_count = 0
_failed = 0


def note(text):
    for line in str(text).splitlines():
        print("# " + line, flush=True)


def ok(condition, name, diagnosis=None):
    """One test. The diagnosis is printed if it fails."""
    global _count, _failed
    _count += 1
    print("%s %d - %s" % ("ok" if condition else "not ok", _count, name), flush=True)
    if not condition:
        _failed += 1
        if diagnosis is not None:
            note(diagnosis)
    return bool(condition)


def equal(got, want, name):
    """One test: got == want."""
    return ok(got == want, name, "got:    %r\nwanted: %r" % (got, want))


def skip(name, why):
    global _count
    _count += 1
    print("ok %d - %s # SKIP %s" % (_count, name, why), flush=True)


def done_testing():
    """The plan; call it last. Ends the program, with exit code 1 if a test failed."""
    print("1..%d" % _count, flush=True)
    sys.exit(1 if _failed else 0)
