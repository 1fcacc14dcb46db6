# SPDX-License-Identifier: Apache-2.0
"""The pinned maps of a culvertd, read and changed behind its back, by system calls."""

import ctypes
import os
import platform
import socket
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280}[platform.machine()]
LOOKUP, DELETE, NEXT_KEY, OBJ_GET, INFO = 1, 3, 4, 7, 15
SO_NETNS_COOKIE = 71


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    got = _libc.syscall(_BPF, command, buffer, len(attributes))
    if got < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return got


def pins(daemon):
    """The directory of a daemon's pins."""
    with daemon.node.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as s:
        cookie = struct.unpack("Q", s.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
    parent = "/sys/fs/bpf/culvert"
    found = [d for d in os.listdir(parent) if d.startswith(f"{cookie:x}-")]
    return os.path.join(parent, found[0])


class Map:
    """A map of a daemon, by its name without the number."""

    def __init__(self, daemon, name):
        directory = pins(daemon)
        pin = next(f for f in sorted(os.listdir(directory)) if f.rpartition("_")[0] == name)
        self.path = ctypes.create_string_buffer(os.path.join(directory, pin).encode())
        self.fd = _bpf(OBJ_GET, struct.pack("QII", ctypes.addressof(self.path), 0, 0))
        info = ctypes.create_string_buffer(80)
        _bpf(INFO, struct.pack("IIQ", self.fd, len(info), ctypes.addressof(info)))
        self.key_size, self.value_size = struct.unpack_from("II", info, 8)

    def close(self):
        os.close(self.fd)

    def keys(self):
        """All keys, as far as the map stands still."""
        found, previous = [], None
        following = ctypes.create_string_buffer(self.key_size)
        while True:
            at = ctypes.addressof(previous) if previous else 0
            try:
                _bpf(NEXT_KEY, struct.pack("IIQQ", self.fd, 0, at, ctypes.addressof(following)))
            except OSError:
                return found
            found.append(following.raw)
            previous = ctypes.create_string_buffer(following.raw, self.key_size)

    def get(self, key):
        """The value of a key, or None."""
        k = ctypes.create_string_buffer(key, self.key_size)
        value = ctypes.create_string_buffer(self.value_size)
        try:
            _bpf(LOOKUP, struct.pack("IIQQQ", self.fd, 0, ctypes.addressof(k),
                                     ctypes.addressof(value), 0))
        except OSError:
            return None
        return value.raw

    def delete(self, key):
        """Delete a key, if it is there."""
        k = ctypes.create_string_buffer(key, self.key_size)
        try:
            _bpf(DELETE, struct.pack("IIQ", self.fd, 0, ctypes.addressof(k)))
        except OSError:
            pass


BYPASS, STACK = 1, 2


def flow_key(local, remote, local_port, remote_port, protocol):
    """A key of cv_flows (src/bpf/abi.h)."""
    return (socket.inet_aton(local) + socket.inet_aton(remote)
            + struct.pack("!HHB3x", local_port, remote_port, protocol))


def path_of(flows, *flow):
    """What an entry of cv_flows says: BYPASS, STACK, or None: there is none."""
    value = flows.get(flow_key(*flow))
    return value and value[0]
