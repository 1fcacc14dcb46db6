#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the wire fuzzers: tests/fuzz/corpus/{wire_ipv4,wire_ipip,wire_icmp,wire_tcp}/,
and of the one that reads captures, tests/fuzz/corpus/capture_stream/.

Needs the standard library alone. The seeds are in the tree; run this again after a
change here. Every seed is a packet that comes far, or one that fails in a way of its
own; what lies before the packet is explained in each fuzzer's first comment.
"""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LOCAL, REMOTE = bytes([192, 168, 100, 1]), bytes([192, 168, 200, 2])
POD_A, POD_B = bytes([10, 244, 1, 2]), bytes([10, 244, 2, 2])
DF, MF = 0x4000, 0x2000


def checksum(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total >> 16) + (total & 0xffff)
    return ~total & 0xffff


def ipv4(payload, source=POD_A, destination=POD_B, protocol=17, tos=0, ttl=63, field=0,
         options=b'', length=None, version=4, bad_checksum=False):
    options += b'\0' * (-len(options) % 4)
    size = 20 + len(options)
    header = struct.pack('!BBHHHBBH4s4s', version << 4 | size // 4, tos,
                         size + len(payload) if length is None else length, 0x1234, field, ttl,
                         protocol, 0, source, destination) + options
    check = checksum(header) ^ bad_checksum
    return header[:10] + struct.pack('!H', check) + header[12:] + payload


def ipip(inner, **words):
    words = {'source': LOCAL, 'destination': REMOTE, 'protocol': 4, 'field': DF, **words}
    return ipv4(inner, **words)


def icmp(kind, code, quoted, rest=b'\0\0\0\0'):
    message = struct.pack('!BBH', kind, code, 0) + rest + quoted
    return message[:2] + struct.pack('!H', checksum(message)) + message[4:]


def ipv4_seeds():
    data = bytes(range(256)) * 8
    source_route = bytes([131, 7, 4, 10, 0, 0, 1])
    timestamp = bytes([68, 12, 5, 0]) + bytes(8)
    mtu = struct.Struct('!H').pack
    return {
        'fits': mtu(1500) + ipv4(data[:100], field=DF),
        'too-big-df': mtu(500) + ipv4(data[:1000], field=DF),
        'three-fragments': mtu(500) + ipv4(data[:1200]),
        'smallest-mtu': mtu(28) + ipv4(data[:200]),
        'no-room': mtu(27) + ipv4(data[:200]),
        'options': mtu(300) + ipv4(data[:900], options=source_route + timestamp),
        'all-options': mtu(100) + ipv4(data[:300], options=timestamp * 3 + b'\1\1\1\0'),
        'bad-option': mtu(300) + ipv4(data[:900], options=bytes([0x82, 200, 0, 0])),
        'option-length-0': mtu(300) + ipv4(data[:900], options=bytes([0x82, 0, 0, 0])),
        'middle-fragment': mtu(300) + ipv4(data[:800], field=MF | 185),
        'last-fragment': mtu(300) + ipv4(data[:801], field=370),
        'beyond-65535': mtu(300) + ipv4(data[:801], field=8191),
        'quoted': mtu(1500) + ipv4(data[:8], length=65535),
        'version-6': mtu(1500) + ipv4(data[:60], version=6),
        'bad-checksum': mtu(1500) + ipv4(data[:60], bad_checksum=True),
        'truncated': mtu(1500) + ipv4(data[:60])[:19],
        'trailing': mtu(1500) + ipv4(data[:20]) + bytes(26),
    }


def ipip_seeds():
    data = bytes(range(64))
    inner = ipv4(data, tos=0x2a)
    return {
        'plain': b'\0' + ipip(inner, tos=0x2a),
        'inherit-all': b'\x04' + ipip(inner, tos=0x2a),
        'fixed-compatible': b'\x0b' + ipip(inner),
        'mended': b'\xcc' + ipip(inner, bad_checksum=True),
        'ce-on-not-ect': b'\0' + ipip(ipv4(data), tos=3),
        'trailing-inside': b'\0' + ipip(inner + bytes(9)),
        'outer-options': b'\0' + ipip(inner, options=b'\1\1\1\0'),
        'inner-options': b'\0' + ipip(ipv4(data, options=bytes([148, 4, 0, 0]))),
        'inner-too-long': b'\0' + ipip(ipv4(data, length=500)),
        'inner-ttl-0': b'\0' + ipip(ipv4(data, ttl=0)),
        'inner-version-6': b'\0' + ipip(ipv4(data, version=6)),
        'inner-bad-checksum': b'\0' + ipip(ipv4(data, bad_checksum=True)),
        'proto-41': b'\0' + ipip(inner, protocol=41),
        'first-fragment': b'\0' + ipip(ipv4(bytes(200))[:96], field=MF),
        'later-fragment': b'\0' + ipip(inner, field=12),
        'quote-of-28': b'\0' + ipip(inner)[:28],
        'first-fragment-of-1': b'\0' + ipip(inner, length=21, field=MF),
        'nested': b'\0' + ipip(ipip(ipip(inner))),
        'empty': b'\0',
    }


def icmp_seeds():
    inner = ipv4(bytes(range(200)))
    quoted = ipip(inner)
    mtu_1400 = struct.pack('!HH', 0, 1400)
    pings = ipip(ipv4(b'\x08\0\0\0' + bytes(60), protocol=1))
    error = ipip(ipv4(icmp(3, 1, ipv4(bytes(8))), protocol=1))
    seeds = {'unreachable-%d' % code: b'\0' + icmp(3, code, quoted) for code in range(16)}
    seeds.update({
        'too-big': b'\0' + icmp(3, 4, quoted, mtu_1400),
        'too-big-old-router': b'\0' + icmp(3, 4, quoted[:28]),
        'too-big-lie': b'\0' + icmp(3, 4, quoted, b'\0\0\0\1'),
        'source-quench': b'\0' + icmp(4, 0, quoted),
        'redirect': b'\0' + icmp(5, 1, quoted, LOCAL),
        'time-exceeded': b'\0' + icmp(11, 0, quoted),
        'time-exceeded-fixed-ttl': b'\2' + icmp(11, 0, quoted),
        'reassembly': b'\0' + icmp(11, 1, ipip(inner[:100], field=MF)),
        'pointer-tos': b'\1' + icmp(12, 0, quoted, b'\1\0\0\0'),
        'pointer-ttl': b'\1' + icmp(12, 0, quoted, b'\x08\0\0\0'),
        'pointer-inside': b'\0' + icmp(12, 0, quoted, b'\x1c\0\0\0'),
        'extension': b'\0' + icmp(11, 0, quoted[:128] + b'\x20\0\0\0', b'\0\x20\0\0'),
        'about-a-ping': b'\0' + icmp(3, 1, pings),
        'about-an-error': b'\0' + icmp(3, 1, error),
        'mended': b'\x80' + icmp(3, 1, quoted)[:2] + b'\0\0' + icmp(3, 1, quoted)[4:],
        'not-ours': b'\0' + icmp(3, 1, ipv4(bytes(8))),
        'echo': b'\0' + icmp(8, 0, bytes(56)),
        'short': b'\0' + icmp(3, 1, b'')[:7],
    })
    return seeds


def mss(value):
    return struct.pack('!BBH', 2, 4, value)


def tcp(options=b'', flags=2, data=b'', source=POD_A, destination=POD_B, words=None):
    """A segment with a right checksum; words: of the header, if they are not what they should be."""
    options += b'\0' * (-len(options) % 4)
    words = 5 + len(options) // 4 if words is None else words
    segment = struct.pack('!HHIIBBHHH', 4000, 80, 1000, 0, words << 4, flags, 64240, 0, 0)
    segment += options + data
    pseudo = source + destination + struct.pack('!HH', 6, len(segment))
    return segment[:16] + struct.pack('!H', checksum(pseudo + segment)) + segment[18:]


def tcp_seeds():
    linux = mss(1460) + bytes([4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7])
    limit = struct.Struct('!HB').pack
    return {
        'syn': limit(1440, 0) + tcp(linux),
        'syn-ack': limit(1340, 0) + tcp(linux, flags=0x12),
        'partial': limit(1340, 1) + tcp(linux),
        'odd': limit(1340, 0) + tcp(b'\1' + mss(1460) + bytes([3, 3, 7])),
        'last': limit(1340, 0) + tcp(b'\1' * 36 + mss(1460)),
        'twice': limit(1340, 0) + tcp(mss(1460) + mss(9000)),
        'low': limit(1340, 0) + tcp(mss(536)),
        'auto': limit(0, 0) + tcp(mss(1460)),
        'off': limit(65535, 0) + tcp(mss(65535)),
        'none': limit(1340, 0) + tcp(),
        'not-a-syn': limit(1340, 0) + tcp(mss(1460), flags=0x10),
        'with-data': limit(1340, 0) + tcp(mss(1460), data=bytes(range(99))),
        'behind-the-end': limit(1340, 0) + tcp(b'\0' + mss(1460)),
        'length-0': limit(1340, 0) + tcp(bytes([254, 0]) + mss(1460)),
        'length-1': limit(1340, 0) + tcp(bytes([254, 1]) + mss(1460)),
        'length-255': limit(1340, 0) + tcp(bytes([254, 255]) + mss(1460)),
        'cut-option': limit(1340, 0) + tcp(bytes([1, 1, 2, 4])),
        'too-few-words': limit(1340, 0) + tcp(mss(1460), words=4),
        'too-many-words': limit(1340, 0) + tcp(mss(1460), words=7),
        'short': limit(1340, 0) + tcp(mss(1460))[:23],
    }


def frame(kind, payload):
    return struct.pack('<II', len(payload), kind) + payload


def record(packet, hook=5, verdict=1, drop=0, tunnel=7, ifindex=0, gso=0, length=None):
    """A packet's frame: struct cv_fp_capture of src/bpf/abi.h, and its bytes."""
    length = len(packet) if length is None else length
    head = struct.pack('<QIIIIHBBBB2x', 10 ** 15, ifindex, tunnel, length, len(packet), gso, hook,
                       verdict, drop, 0)
    return frame(1, head + packet)


def capture_seeds():
    tunnel = frame(2, struct.pack('<I16s', 7, b'tun0'))
    lost = frame(3, struct.pack('<QQ', 5, 6))
    outer = ipip(ipv4(bytes([0, 53, 0, 53]) + bytes(8)))
    ping = ipv4(bytes([8, 0, 0, 0]) + bytes(4), protocol=1)
    return {
        'out': b'\x10' + tunnel + record(outer) + lost,
        'in': b'\0' + tunnel + record(outer, hook=6, verdict=2),
        'fast-path': b'\x30' + tunnel + record(outer, hook=2, verdict=3, ifindex=4, gso=1448),
        'dropped-inner': b'\0' + tunnel + lost + record(ping, verdict=7, drop=23),
        'dropped-outer': b'\0' + record(outer, hook=6, verdict=7, drop=11, tunnel=0),
        'cut': b'\x40' + tunnel + record(outer[:30], length=1500) + record(outer[:20]),
        'no-packet': b'\0' + record(b'', length=0) + record(b'\x60' * 40, verdict=7),
        'unknown': b'\0' + frame(77, bytes(9)) + record(ping, hook=99, verdict=99, drop=99),
        'too-long': b'\0' + struct.pack('<II', 1 << 30, 1),
        'short-record': b'\0' + frame(1, bytes(20)),
        'bad-name': b'\0' + frame(2, b'x' * 20),
    }


def main():
    families = {'wire_ipv4': ipv4_seeds(), 'wire_ipip': ipip_seeds(), 'wire_icmp': icmp_seeds(),
                'wire_tcp': tcp_seeds(), 'capture_stream': capture_seeds()}
    for name, seeds in families.items():
        folder = os.path.join(HERE, 'corpus', name)
        os.makedirs(folder, exist_ok=True)
        for seed, data in seeds.items():
            with open(os.path.join(folder, seed), 'wb') as file:
                file.write(data)
        print('%s: %d seeds' % (name, len(seeds)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
