# SPDX-License-Identifier: Apache-2.0
"""
Packets of the packet tests, made by scapy or byte by byte, and a look into packets.

All functions take and give bytes from the IPv4 header on.
"""

import logging
import socket
import struct
from collections import namedtuple

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.layers.inet import ICMP, IP, TCP, UDP  # noqa: E402
from scapy.packet import Raw  # noqa: E402

DF, MF = 0x4000, 0x2000
NOT_ECT, ECT1, ECT0, CE = range(4)
IPIP, UDP_PROTOCOL, TCP_PROTOCOL, ICMP_PROTOCOL = 4, 17, 6, 1

Header = namedtuple(
    "Header", "version ihl tos length id flags offset ttl protocol checksum src dst payload"
)


def checksum(data):
    """The internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def checksum_ok(packet):
    """True if the IPv4 header checksum is right."""
    return checksum(packet[: (packet[0] & 15) * 4]) == 0


def header(packet):
    """The fields of an IPv4 header: ihl in words, flags DF|MF, offset in bytes."""
    first, tos, length, number, flags, ttl, protocol, check = struct.unpack_from(
        "!BBHHHBBH", packet
    )
    ihl = first & 15
    return Header(
        first >> 4, ihl, tos, length, number, flags & 0xE000, (flags & 0x1FFF) * 8, ttl,
        protocol, check, socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]),
        packet[ihl * 4 : length],
    )


def fix(packet):
    """The packet with its IPv4 header checksum filled in anew."""
    size = min(max((packet[0] & 15) * 4, 20), len(packet))
    head = packet[:10] + b"\0\0" + packet[12:size]
    return head[:10] + struct.pack("!H", checksum(head)) + packet[12:]


def patch(packet, offset, data, right_checksum=True):
    """The packet with bytes replaced at offset (and its header checksum made right)."""
    changed = packet[:offset] + data + packet[offset + len(data) :]
    return fix(changed) if right_checksum else changed


def udp(src, dst, size=64, sport=4000, dport=5000, df=False, data=None, **fields):
    """A UDP datagram of size bytes in all (or with the payload data); fields: scapy's of IP."""
    fields.setdefault("id", 0x1234)
    fields.setdefault("ttl", 63)
    fields.setdefault("flags", "DF" if df else 0)
    ip = IP(src=src, dst=dst, **fields)
    if data is None:
        room = size - 28 - optlen(fields)
        data = bytes((i * 7 + sport) & 0xFF for i in range(room))
    return bytes(ip / UDP(sport=sport, dport=dport) / Raw(data))


def optlen(fields):
    """Bytes of the scapy option list in fields, padded."""
    return (len(b"".join(bytes(o) for o in fields.get("options", []))) + 3) & ~3


def echo(src, dst, size=84, number=1, df=False, **fields):
    """An ICMP echo request of size bytes in all."""
    fields.setdefault("id", 0x4321)
    ip = IP(src=src, dst=dst, flags="DF" if df else 0, **fields)
    return bytes(ip / ICMP(type=8, id=0x77, seq=number) / Raw(bytes(size - 28)))


def tcp(src, dst, data=b"", sport=4000, dport=5000, seq=1000, flags="A", ip=None, **fields):
    """A TCP segment; fields: scapy's of TCP, ip: those of IP."""
    ip = dict({"id": 0x1234, "ttl": 63, "flags": "DF"}, **(ip or {}))
    segment = TCP(sport=sport, dport=dport, seq=seq, flags=flags, **fields)
    return bytes(IP(src=src, dst=dst, **ip) / segment / Raw(data))


def outer(inner, src, dst, **fields):
    """inner (bytes) in an outer packet; fields: scapy's of IP (tos, ttl, flags, id, options)."""
    fields.setdefault("id", 0x5678)
    fields.setdefault("proto", IPIP)
    return bytes(IP(src=src, dst=dst, **fields) / Raw(inner))


def icmp_error(src, dst, type_, code, quoted, rest=0, ttl=64):
    """An ICMP error: rest is the second word of its header (MTU, pointer << 24)."""
    body = struct.pack("!BBHI", type_, code, 0, rest) + quoted
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return bytes(IP(src=src, dst=dst, proto=1, ttl=ttl, id=1) / Raw(body))


IcmpError = namedtuple("IcmpError", "type code rest mtu pointer quoted src dst")


def icmp_of(packet):
    """The ICMP message in packet if it is an error with a right checksum, else None."""
    ip = header(packet)
    if ip.protocol != ICMP_PROTOCOL or ip.offset or len(ip.payload) < 8:
        return None
    type_, code, _, rest = struct.unpack_from("!BBHI", ip.payload)
    if type_ not in (3, 4, 5, 11, 12) or checksum(ip.payload):
        return None
    return IcmpError(
        type_, code, rest, rest & 0xFFFF, rest >> 24, ip.payload[8:], ip.src, ip.dst
    )


def is_icmp_error(type_=None, code=None):
    """A predicate for Wire.expect()."""

    def match(packet):
        error = icmp_of(packet)
        return bool(
            error
            and (type_ is None or error.type == type_)
            and (code is None or error.code == code)
        )

    return match


def is_ipip(packet):
    """True for protocol 4."""
    return packet[9] == IPIP


def fragments(packet, size):
    """The packet cut into fragments with at most size bytes of payload each (size % 8 == 0)."""
    ihl = (packet[0] & 15) * 4
    payload = packet[ihl:]
    flags = struct.unpack_from("!H", packet, 6)[0]
    pieces = []
    for at in range(0, len(payload), size):
        piece = payload[at : at + size]
        more = at + size < len(payload) or bool(flags & MF)
        word = ((flags & 0x1FFF) + at // 8) | (MF if more else 0)
        head = packet[:2] + struct.pack("!H", ihl + len(piece)) + packet[4:6]
        head += struct.pack("!H", word) + packet[8:ihl]
        pieces.append(fix(head + piece))
    return pieces


def reassemble(packets):
    """The datagram of which packets are all the fragments, in any order."""
    first = next(p for p in packets if header(p).offset == 0)
    ihl = (first[0] & 15) * 4
    payload = bytearray()
    for packet in sorted(packets, key=lambda p: header(p).offset):
        ip = header(packet)
        assert ip.offset == len(payload), f"hole or overlap at {ip.offset}"
        payload += ip.payload
    flags = struct.unpack_from("!H", first, 6)[0] & DF
    head = first[:2] + struct.pack("!H", ihl + len(payload)) + first[4:6]
    return fix(head + struct.pack("!H", flags) + first[8:ihl] + bytes(payload))


def forwarded(packet, hops=1):
    """The packet as it leaves a router: TTL less hops, checksum right."""
    return patch(packet, 8, bytes([packet[8] - hops]))


def difference(got, want):
    """Where two packets differ, for a diagnostic."""
    if got is None:
        return "nothing arrived"
    lines = [f"lengths {len(got)} {len(want)}"]
    for i, (a, b) in enumerate(zip(got, want)):
        if a != b:
            lines.append(f"byte {i}: got {a:#04x}, want {b:#04x}")
        if len(lines) > 8:
            break
    return "\n".join(lines)
