# SPDX-License-Identifier: Apache-2.0
"""Transfers by the nodes' own stacks, with the bytes compared at both ends."""

import hashlib
import socket
import threading
import time
from collections import namedtuple

UDP_SEGMENT = 103
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0

Result = namedtuple("Result", "right sent received seconds error")

_block = bytes((i * 131 + (i >> 8)) & 0xFF for i in range(1 << 16))


def tcp_transfer(source, target, address, size, at_half=None, timeout=20):
    """
    size bytes by TCP from a program in node source to one in node target at address;
    at_half: called when half of them are sent. right: SHA-256 agrees.
    """
    listener = target.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    listener.settimeout(timeout)
    listener.bind((address, 0))
    listener.listen(1)
    received = hashlib.sha256()
    state = {"bytes": 0, "error": None}

    def serve():
        try:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(timeout)
                while data := peer.recv(1 << 18):
                    received.update(data)
                    state["bytes"] += len(data)
        except OSError as error:
            state["error"] = f"receiver: {error}"

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    started = time.monotonic()
    sent, digest = 0, hashlib.sha256()
    client = source.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    try:
        client.settimeout(timeout)
        client.connect(listener.getsockname())
        while sent < size:
            # Blocks that differ, so that a lost or doubled one shows.
            block = sent.to_bytes(8, "big") + _block[8 : min(len(_block), size - sent)]
            client.sendall(block)
            digest.update(block)
            sent += len(block)
            if at_half and sent >= size // 2:
                at_half()
                at_half = None
        client.shutdown(socket.SHUT_WR)
    except OSError as error:
        state["error"] = f"sender: {error}"
    server.join(timeout)
    client.close()
    listener.close()
    right = not state["error"] and digest.digest() == received.digest()
    return Result(right, sent, state["bytes"], time.monotonic() - started, state["error"])


def udp_segments(source, target, address, sizes, segment, dont_fragment=True, timeout=3.0):
    """
    Datagrams by UDP from source to target: each size in sizes is one send, cut by the
    kernel into datagrams of segment bytes (UDP_SEGMENT). Returns (datagrams that
    should arrive, those that did, sorted).
    """
    receiver = target.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
    receiver.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    receiver.bind((address, 0))
    sender = source.socket(socket.AF_INET, socket.SOCK_DGRAM, 0)
    want, got = [], []
    with sender, receiver:
        if segment:
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
        if not dont_fragment:
            sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        for number, size in enumerate(sizes):
            data = (number.to_bytes(4, "big") * (size // 4 + 1))[:size]
            sender.sendto(data, receiver.getsockname())
            step = segment or size
            want += [data[i : i + step] for i in range(0, size, step)]
        receiver.settimeout(timeout)
        try:
            while len(got) < len(want):
                got.append(receiver.recv(70000))
        except TimeoutError:
            pass
    return sorted(want), sorted(got)
