#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
One end of a test conversation: sends and receives as an application on a node would.

Runs on a node (a namespace, or k1 with its own kernel) and obeys a test that talks to it
through its standard input and output: one JSON object per line each way, {"do": name, …} and
the answer, {"error": text} when that failed. Every do_… below is a command; sizes are those
of IPv4 packets in bytes, times are seconds. Endpoint, at the end, is the test's side.

Only what is in Python's own library: k1 starts this, and k1 is slow.
"""

import errno
import hashlib
import json
import select
import socket
import struct
import subprocess
import sys
import time

IP_MTU_DISCOVER, IP_MTU, IP_RECVERR, IP_RECVTTL, IP_RECVTOS = 10, 14, 11, 12, 13
MSG_ERRQUEUE = 0x2000
PMTU_DISCOVERY = {"dont": 0, "do": 2, "probe": 3}
ORIGIN_ICMP = 2
HEADERS = 28
CHUNK = 1 << 16


def checksum(data):
    """The internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def payload(number, size):
    """The bytes that packet number of that size carries."""
    block = hashlib.sha256(b"%d" % number).digest()
    return struct.pack("!I", number) + (block * (size // 32 + 1))[: size - 4]


class Program:
    """The node's side."""

    def __init__(self):
        self.udp = {}
        self.streams = {}

    def udp_socket(self, address, port):
        """A bound UDP socket that tells TOS and TTL, kept for the next call."""
        key = (address, port)
        if key not in self.udp:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            for option in (IP_RECVTTL, IP_RECVTOS, IP_RECVERR):
                sock.setsockopt(socket.IPPROTO_IP, option, 1)
            sock.bind(key)
            self.udp[key] = sock
        return self.udp[key]

    def do_listen(self, address, port):
        """Be ready for datagrams at address and port; what came before is forgotten."""
        sock = self.udp_socket(address, port)
        while select.select([sock], [], [], 0)[0]:
            self.take_datagram(sock)
        return {}

    def do_send(self, source, port, to, size=64, tos=0, ttl=64, df="dont", number=0):
        """Send one datagram; {"sent": whether the kernel took it, "why": errno's name}."""
        sock = self.udp_socket(source, port)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTU_DISCOVERY[df])
        # An ICMP error about an earlier datagram comes back from the next call: once each.
        for _ in range(3):
            try:
                sock.sendto(payload(number, size - HEADERS), (to, port))
                return {"sent": True}
            except OSError as error:
                why = error.errno
                if why == errno.EMSGSIZE:
                    break
        return {"sent": False, "why": errno.errorcode[why]}

    @staticmethod
    def take_datagram(sock):
        """The next datagram or the next ICMP error of a socket."""
        try:
            data, control, _, sender = sock.recvmsg(CHUNK, 512, socket.MSG_DONTWAIT)
            is_error = False
        except OSError:
            # Either nothing but an error is there, or the error was told in place of data.
            try:
                data, control, _, sender = sock.recvmsg(CHUNK, 512, MSG_ERRQUEUE)
                is_error = True
            except BlockingIOError:
                return None
        found = {"from": sender[0], "size": len(data) + HEADERS}
        for _, kind, value in control:
            if kind == socket.IP_TOS:
                found["tos"] = value[0]
            elif kind == socket.IP_TTL:
                found["ttl"] = struct.unpack("i", value[:4])[0]
            elif kind == IP_RECVERR and is_error:
                _, origin, type_, code, info = struct.unpack_from("IBBBxI", value)
                found["icmp"] = [type_, code, info] if origin == ORIGIN_ICMP else None
                found["from"] = socket.inet_ntoa(value[20:24])
        if len(data) >= 4:
            found["number"] = struct.unpack_from("!I", data)[0]
            found["intact"] = data == payload(found["number"], len(data))
        return found

    def do_receive(self, address, port, number, timeout):
        """Wait for datagram number, or an ICMP error about it; null if neither came."""
        sock = self.udp_socket(address, port)
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([sock], [], [], left)[0]:
                return {"datagram": None}
            found = self.take_datagram(sock)
            if found and found.get("number") == number:
                return {"datagram": found}

    def do_ping(self, source, to, sizes, df, timeout=1.0, tos=0, ttl=64):
        """
        One echo request of every size; {size: "reply", "mtu N" (ICMP 3/4), "icmp T/C", the
        name of an errno, or "nothing"}. A reply counts if its content is that of the request.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTU_DISCOVERY[df])
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.bind((source, 0))
        identity = int(time.monotonic() * 1000) & 0xFFFF
        found = {}
        for size in sizes:
            head = struct.pack("!BBHHH", 8, 0, 0, identity, size)
            body = payload(size, size - HEADERS)
            head = head[:2] + struct.pack("!H", checksum(head + body)) + head[4:]
            try:
                sock.sendto(head + body, (to, 0))
            except OSError as error:
                found[size] = errno.errorcode[error.errno]
            # Not all at once: an application's pings do not fill queues.
            self.take_pongs(sock, identity, found, len(found) + 1, 0.0)
        self.take_pongs(sock, identity, found, len(sizes), timeout)
        sock.close()
        return {"answers": {size: found.get(size, "nothing") for size in sizes}}

    @staticmethod
    def take_pongs(sock, identity, found, enough, timeout):
        """Read answers into found until there are enough or none comes for timeout."""
        while len(found) < enough and select.select([sock], [], [], timeout)[0]:
            message = sock.recv(CHUNK)
            message = message[(message[0] & 15) * 4 :]
            type_, code, _, who, number = struct.unpack_from("!BBHHH", message)
            if type_ == 0 and who == identity:
                same = message[8:] == payload(number, len(message) - 8)
                found[number] = "reply" if same and not checksum(message) else "damaged"
            elif type_ in (3, 11, 12) and len(message) >= 36:
                quoted = message[8 + (message[8] & 15) * 4 :]
                kind, _, _, who, number_quoted = struct.unpack_from("!BBHHH", quoted)
                if kind == 8 and who == identity:
                    answer = f"mtu {number}" if (type_, code) == (3, 4) else f"icmp {type_}/{code}"
                    found[number_quoted] = answer

    def do_accept(self, address, port):
        """Be ready for one TCP connection."""
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen(1)
        self.streams[port] = server
        return {}

    def do_connect(self, source, to, port, df="do", timeout=10):
        """Connect to who accepts there."""
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        stream.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTU_DISCOVERY[df])
        stream.settimeout(timeout)
        stream.bind((source, 0))
        stream.connect((to, port))
        self.streams[port] = stream
        return {}

    def do_push(self, port, length, seed, timeout=30):
        """Send length bytes made from seed and end; their sha256."""
        stream = self.streams.pop(port)
        digest = hashlib.sha256()
        block = hashlib.sha256(seed.encode()).digest() * (CHUNK // 32)
        stream.settimeout(timeout)
        sent = 0
        while sent < length:
            piece = (struct.pack("!Q", sent) + block)[: min(CHUNK, length - sent)]
            digest.update(piece)
            stream.sendall(piece)
            sent += len(piece)
        stream.shutdown(socket.SHUT_WR)
        while stream.recv(CHUNK):  # the other side closes when it has everything
            pass
        mtu = stream.getsockopt(socket.IPPROTO_IP, IP_MTU)
        stream.close()
        return {"bytes": sent, "sha256": digest.hexdigest(), "mtu": mtu}

    def do_pull(self, port, timeout=30):
        """Take the one connection and read it to its end; bytes and their sha256."""
        server = self.streams.pop(port)
        server.settimeout(timeout)
        stream, _ = server.accept()
        stream.settimeout(timeout)
        digest = hashlib.sha256()
        got = 0
        while True:
            piece = stream.recv(1 << 20)
            if not piece:
                break
            digest.update(piece)
            got += len(piece)
        stream.close()
        server.close()
        return {"bytes": got, "sha256": digest.hexdigest()}

    def serve(self):
        """Obey until the input ends."""
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = getattr(self, "do_" + request.pop("do"))(**request)
            except (OSError, TypeError, KeyError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


class Endpoint:
    """The test's side: call a command by its name, as in endpoint.send(to=…)."""

    def __init__(self, lab, node, address):
        self.node, self.address = node, address
        self.child = lab.spawn(
            node, ["/usr/bin/python3", "-B", __file__], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=None, bufsize=1,
        )

    def start(self, name, **arguments):
        """Begin a command; finish() waits for its answer."""
        self.child.stdin.write(json.dumps({"do": name, **arguments}) + "\n")
        self.child.stdin.flush()

    def finish(self):
        """The answer to what was begun."""
        line = self.child.stdout.readline()
        answer = json.loads(line) if line else {"error": "the endpoint has ended"}
        if "error" in answer:
            raise RuntimeError(f"{self.node}: {answer['error']}")
        return answer

    def __getattr__(self, name):
        def call(**arguments):
            self.start(name, **arguments)
            return self.finish()

        return call


if __name__ == "__main__":
    Program().serve()
