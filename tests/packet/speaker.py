# SPDX-License-Identifier: Apache-2.0
"""
A BGP speaker that says whatever a test wants said, well-formed or not (RFC 4271, 6793): what no real
daemon would send. It keeps its session up by itself, and remembers what it is told.
"""

import contextlib
import select
import socket
import struct
import threading
import time

import net

MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
ORIGIN, AS_PATH, NEXT_HOP, MED, LOCAL_PREF = 1, 2, 3, 4, 5
ORIGINATOR_ID, CLUSTER_LIST = 9, 10
WELL_KNOWN = TRANSITIVE = 0x40  # flags of attributes
OPTIONAL, LONG = 0x80, 0x10
AS_TRANS = 23456
TCP_MD5SIG = 14


def message(kind, body=b"", marker=MARKER, length=None):
    """A message; length: another than its own."""
    return marker + struct.pack("!HB", 19 + len(body) if length is None else length, kind) + body


def open_message(as_number, hold, router_id, version=4, families=((1, 1),)):
    """OPEN, with the capabilities of 4-octet AS numbers, multiprotocol and route refresh."""
    offered = b"".join(struct.pack("!BBHBB", 1, 4, family, 0, sub) for family, sub in families)
    offered += struct.pack("!BBI", 65, 4, as_number) + bytes((2, 0))
    parameters = bytes((2, len(offered))) + offered
    short = as_number if as_number < 65536 else AS_TRANS
    return message(OPEN, struct.pack("!BHH", version, short, hold) + socket.inet_aton(router_id)
                   + bytes((len(parameters),)) + parameters)


def prefix_bytes(prefix):
    """A prefix as NLRI, bits behind its length as they are in the text."""
    address, length = prefix.split("/")
    return bytes((int(length),)) + socket.inet_aton(address)[: (int(length) + 7) // 8]


def attribute(kind, value, flags=None):
    """A path attribute."""
    if flags is None:
        flags = OPTIONAL if kind in (MED, ORIGINATOR_ID, CLUSTER_LIST) else WELL_KNOWN
    if len(value) > 255:
        return struct.pack("!BBH", flags | LONG, kind, len(value)) + value
    return struct.pack("!BBB", flags, kind, len(value)) + value


def as_path(*numbers, segment=2):
    """The value of an AS_PATH of one AS_SEQUENCE."""
    if not numbers:
        return b""
    return struct.pack("!BB", segment, len(numbers)) + b"".join(struct.pack("!I", n) for n in numbers)


def attributes(next_hop, path=(), local_pref=100, omit=(), extra=b""):
    """The usual ones, but for those in omit, and more bytes."""
    parts = ((ORIGIN, b"\0"), (AS_PATH, as_path(*path)),
             (NEXT_HOP, socket.inet_aton(next_hop)),
             (LOCAL_PREF, None if local_pref is None else struct.pack("!I", local_pref)))
    return b"".join(attribute(kind, value) for kind, value in parts
                    if kind not in omit and value is not None) + extra


def update(nlri=b"", attrs=b"", withdrawn=b""):
    """An UPDATE."""
    return message(UPDATE, struct.pack("!H", len(withdrawn)) + withdrawn
                   + struct.pack("!H", len(attrs)) + attrs + nlri)


def many_updates(first, count, length, attrs):
    """UPDATEs, as full as may be, of so many prefixes of a length from an address on."""
    start, step, size = struct.unpack("!I", socket.inet_aton(first))[0], 1 << (32 - length), (length + 7) // 8
    each = (4096 - 23 - len(attrs)) // (1 + size)
    for at in range(0, count, each):
        nlri = b"".join(
            bytes((length,)) + struct.pack("!I", start + i * step)[:size]
            for i in range(at, min(count, at + each)))
        yield update(nlri, attrs)


class Speaker:
    """
    One end of a session, from address local in a node, to remote; it connects. source: what
    attributes() takes as the next hop where none is given.
    """

    def __init__(self, node, local, remote, as_number=64512, hold=90, port=179, router_id=None,
                 password=None):
        self.node, self.local, self.remote, self.port = node, local, remote, port
        self.as_number, self.hold = as_number, hold
        self.router_id = router_id or local
        self.password = password
        self.socket = None
        self.established = False
        self.notifications = []  # (code, subcode, data) that came
        self.sent_notification = None
        self.updates = []  # bodies that came
        self.closed = threading.Event()
        self.closed.set()
        self.lock = threading.Lock()
        self.thread = None

    def connect(self, timeout=3.0):
        """TCP alone; True if it is there."""
        s = self.node.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        s.settimeout(timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.password is not None:
            key = self.password.encode()
            s.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, struct.pack(
                "=HH4s120sxxH4x80s", socket.AF_INET, 0, socket.inet_aton(self.remote), b"",
                len(key), key))
        s.bind((self.local, 0))
        try:
            s.connect((self.remote, self.port))
        except OSError:
            s.close()
            return False
        self.socket = s
        self.closed.clear()
        return True

    def up(self, timeout=10.0, opening=None):
        """Connect (again and again) and exchange OPENs; True as soon as the session is established."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.connect(min(3.0, timeout)):
                self.begin(opening)
                net.wait_for(lambda: self.established or self.closed.is_set(), 3)
                if self.established:
                    return True
                self.close()
            time.sleep(0.2)
        return False

    def begin(self, opening=None):
        """Say OPEN, and answer from now on."""
        self.established = False
        self.notifications, self.updates = [], []
        # First: what comes is answered at once.
        self.send(opening or open_message(self.as_number, self.hold, self.router_id))
        self.thread = threading.Thread(target=self._run, args=(self.socket,), daemon=True)
        self.thread.start()

    def send(self, data):
        """Raw bytes; False if the connection is gone."""
        with self.lock:
            if self.socket is None:
                return False
            try:
                self.socket.sendall(data)
                return True
            except OSError:
                return False

    def announce(self, prefix, next_hop=None, **words):
        """One route or a list of some, by attributes()."""
        prefixes = [prefix] if isinstance(prefix, str) else prefix
        nlri = b"".join(map(prefix_bytes, prefixes))
        return self.send(update(nlri, attributes(next_hop or self.local, **words)))

    def withdraw(self, prefix):
        """One route or some."""
        prefixes = [prefix] if isinstance(prefix, str) else prefix
        return self.send(update(withdrawn=b"".join(map(prefix_bytes, prefixes))))

    def _run(self, s):
        data, last = b"", time.monotonic()
        s.settimeout(None)
        try:
            while True:
                if select.select([s], [], [], 0.5)[0]:
                    part = s.recv(1 << 16)
                    if not part:
                        break
                    data = self._take(data + part)
                if self.established and time.monotonic() - last > self.hold / 3:
                    last = time.monotonic()
                    self.send(message(KEEPALIVE))
        except (OSError, ValueError):
            pass
        self.established = False
        self.closed.set()

    def _take(self, data):
        while len(data) >= 19:
            length, kind = struct.unpack_from("!HB", data, 16)
            if len(data) < length:
                break
            body, data = data[19:length], data[length:]
            if kind == OPEN:
                self.send(message(KEEPALIVE))
            elif kind == KEEPALIVE:
                self.established = True
            elif kind == NOTIFICATION:
                self.notifications.append((body[0], body[1], body[2:]))
            elif kind == UPDATE:
                self.updates.append(body)
        return data

    def ended(self, timeout=3.0):
        """Wait for the other end to close; what it said ((code, subcode) or None), or False: it did not."""
        if not self.closed.wait(timeout):
            return False
        return self.notifications[-1][:2] if self.notifications else None

    def close(self):
        """Close without a word."""
        with self.lock:
            if self.socket is not None:
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_RDWR)
                self.socket.close()
                self.socket = None
        if self.thread:
            self.thread.join(2)
            self.thread = None
        self.established = False

    def cease(self):
        """Close as RFC 4486 wants it: administrative shutdown."""
        self.send(message(NOTIFICATION, bytes((6, 2))))
        self.close()
