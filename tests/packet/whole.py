# SPDX-License-Identifier: Apache-2.0
"""
Super-packets and unfilled checksums on a wire, made into the packets that a network card would
send: what is captured is marked (PACKET_VNET_HDR), and here is who does the work.
"""

import struct

import net
from packets import checksum, fix

PACKET_VNET_HDR = 15
NEEDS_CSUM = 1
VNET = struct.Struct("=BBHHHH")
TCP_CHECKSUM_AT = 16
FIN, PSH, CWR = 0x01, 0x08, 0x80


def _ip_headers(packet, end):
    """Where the IPv4 headers before offset end begin."""
    at, found = 0, []
    while at < end:
        found.append(at)
        at += (packet[at] & 15) * 4
    return found


def _tcp(transport, number, at, is_last):
    """The TCP header of segment number, whose data begins at that offset."""
    sequence = (struct.unpack_from("!I", transport, 4)[0] + at) & 0xFFFFFFFF
    flags = transport[13]
    if number:
        flags &= ~CWR
    if not is_last:
        flags &= ~(FIN | PSH)
    return transport[:4] + struct.pack("!I", sequence) + transport[8:13] + bytes([flags])


def packets_of(vnet, packet):
    """The whole IPv4 packets that one captured packet stands for (vnet counts from it)."""
    flags, _, _, size, start, offset = vnet
    if not flags & NEEDS_CSUM:
        return [packet]
    transport = packet[start:]
    is_tcp = offset == TCP_CHECKSUM_AT
    length = (transport[12] >> 4) * 4 if is_tcp else 8
    data = transport[length:]
    heads = _ip_headers(packet, start)
    whole = []
    for number, at in enumerate(range(0, max(len(data), 1), size or len(data) or 1)):
        part = data[at : at + (size or len(data))]
        one = bytearray(packet[: start + length] + part)
        if is_tcp:
            one[start : start + 14] = _tcp(transport, number, at, at + len(part) == len(data))
        else:
            struct.pack_into("!H", one, start + 4, length + len(part))
        for head in heads:
            identification = struct.unpack_from("!H", packet, head + 4)[0]
            struct.pack_into("!HH", one, head + 2, len(one) - head,
                             (identification + number) & 0xFFFF)
            one[head:] = fix(bytes(one[head:]))
        inner = heads[-1]
        pseudo = bytes(one[inner + 12 : inner + 20]) + struct.pack(
            "!BBH", 0, one[inner + 9], len(one) - start)
        struct.pack_into("!H", one, start + offset, 0)
        struct.pack_into("!H", one, start + offset, checksum(pseudo + bytes(one[start:])))
        whole.append(bytes(one))
    return whole


class WholeWire(net.Wire):
    """
    A Wire whose reading functions give whole packets, each with its checksums, whatever the
    devices have left to each other. super_packets counts what was cut for that.
    """

    def __init__(self, node, interface, **kwargs):
        super().__init__(node, interface, **kwargs)
        self.socket.setsockopt(net.SOL_PACKET, PACKET_VNET_HDR, 1)
        self.super_packets = 0
        self._waiting = []

    def send(self, frame):
        return super().send(bytes(VNET.size) + frame)

    def read(self, timeout):
        if not self._waiting:
            got = super().read(timeout)
            if got is None:
                return None
            self._waiting = self._cut(VNET.unpack_from(got), got[VNET.size :])
        return self._waiting.pop(0)

    def _cut(self, vnet, frame):
        link = self.link_header
        if not vnet[0] & NEEDS_CSUM:
            return [frame]
        counted = (*vnet[:4], vnet[4] - link, vnet[5])
        packets = packets_of(counted, frame[link:])
        self.super_packets += len(packets) > 1
        return [frame[:link] + packet for packet in packets]
