#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of tests/fuzz/{segment,coalesce,reassembly}_fuzz.c: corpus/.../.

What the bytes mean is said in each fuzzer's first comment.
"""
import os
import struct

from make_corpus import HERE, ipv4

NEEDS_CSUM, TCPV4, UDP_L4, ECN = 1, 1, 5, 0x80
FIN, PSH, ACK, ECE, CWR = 1, 8, 0x10, 0x40, 0x80
DF, MF = 0x4000, 0x2000
DATA = bytes(range(256)) * 16


def vnet(flags=0, gso=0, size=0, start=20, offset=16):
    return struct.pack('<BBHHHH', flags, gso, 1514, size, start, offset)


def tcp(payload, flags=ACK, options=b''):
    return struct.pack('!HHIIBBHHH', 4000, 80, 0xfffffff0, 2000, (20 + len(options)) << 2, flags,
                       500, 0, 0) + options + payload


def udp(payload):
    return struct.pack('!HHHH', 53, 5353, 8 + len(payload), 0) + payload


def segment_seeds():
    def tso(flags=ACK, options=b'', ip_options=b'', size=1000, length=2500, gso=TCPV4):
        start = 20 + len(ip_options)
        return vnet(NEEDS_CSUM, gso, size, start) + ipv4(
            tcp(DATA[:length], flags, options), protocol=6, field=DF, options=ip_options)

    timestamps = bytes([1, 1, 8, 10]) + bytes(8)
    partial = vnet(NEEDS_CSUM)
    return {
        'tso': tso(),
        'tso-options': tso(options=timestamps, ip_options=bytes([7, 4, 4, 0])),
        'tso-flags': tso(flags=ACK | PSH | FIN | ECE | CWR, gso=TCPV4 | ECN),
        'tso-tiny': tso(size=1, length=40),
        'tso-one': tso(size=3000),
        'tso-empty': tso(length=0),
        'tso-no-size': tso(size=0),
        'uso': vnet(NEEDS_CSUM, UDP_L4, 500, 20, 6) + ipv4(udp(DATA[:1700])),
        'fragment': vnet(NEEDS_CSUM, TCPV4, 100) + ipv4(tcp(DATA[:800]), protocol=6, field=MF),
        'partial-tcp': partial + ipv4(tcp(DATA[:101]), protocol=6),
        'partial-udp': vnet(NEEDS_CSUM, start=20, offset=6) + ipv4(udp(DATA[:33])),
        'partial-inner': vnet(NEEDS_CSUM, start=40) + ipv4(
            ipv4(tcp(DATA[:64]), protocol=6), protocol=4),
        'partial-outside': vnet(NEEDS_CSUM, start=70, offset=50) + ipv4(tcp(b''), protocol=6),
        'ordinary': vnet() + ipv4(DATA[:64], protocol=50),
    }


def record(stream, length=1000, field=0, value=0, flags=0, flip=0, bits=0):
    return struct.pack('<BHBBBBB', stream, length, field, value, flags, flip, bits)


def coalesce_seeds():
    flush = b'\xff'
    fields = b''.join(record(1) + record(1, field=f, value=1) + record(1) for f in range(10))
    flags = b''.join(record(1) + record(1, flags=1 << f) + record(1) for f in range(8))
    bits = b''.join(record(1) + record(1, bits=1 << b) + record(1) for b in range(6))
    raw = ipv4(tcp(DATA[:100]), protocol=6)
    short = ipv4(DATA[:3], protocol=6)
    return {
        'bulk': record(0) * 20 + flush + record(1) * 20,
        'bytes-limit': record(2, 1400) * 50,
        'pieces-limit': record(2, 1) * 130,
        'two-by-turns': (record(1) + record(2)) * 10,
        'all-streams': b''.join(record(s) for s in range(8)) * 3,
        'smaller-last': record(1) * 3 + record(1, 10) + record(1),
        'pure-acks': record(1) + record(1, 0) * 2 + record(1),
        'constant-id': record(1) + record(1, field=0, value=255) * 3,
        'fields': fields,
        'flags': flags,
        'bits': bits,
        'wrong-checksum': record(1) * 2 + record(1, flip=1) + record(1) * 2,
        'raw': b''.join(b'\xfe' + struct.pack('<H', len(p)) + vnet() + p
                        for p in (raw, short, raw)),
    }


def fragment(ident, offset, length, more=True, bits=0, options=0, wait=0):
    bits |= more | (16 if length > 255 else 0)
    return struct.pack('<BHHBBB', ident, offset // 8, length, bits, options, wait)


def reassembly_seeds():
    other_bytes, ce, ect0 = 8, 3 << 6, 2 << 6
    ends = fragment(1, 8, 8, False)
    return {
        'in-order': fragment(1, 0, 1480) + fragment(1, 1480, 1480) + fragment(1, 2960, 99, False),
        'backwards': fragment(1, 2960, 99, False) + fragment(1, 1480, 1480) + fragment(1, 0, 1480),
        'two': fragment(1, 0, 8) + fragment(2, 0, 8) + ends + fragment(2, 8, 8, False),
        'copy': fragment(1, 0, 64) * 2 + fragment(1, 8, 8) + fragment(1, 64, 8, False),
        'forged-copy': fragment(1, 0, 64) + fragment(1, 0, 64, bits=other_bytes),
        'overlap': fragment(1, 0, 64) + fragment(1, 56, 64),
        'teardrop': fragment(1, 0, 64) + fragment(1, 24, 4, False),
        'two-ends': fragment(1, 64, 8, False) + fragment(1, 80, 8, False),
        'behind-the-end': fragment(1, 64, 8, False) + fragment(1, 80, 8),
        'odd': fragment(1, 0, 9),
        'empty': fragment(1, 8, 0, False),
        'largest': fragment(1, 65504, 11, False) + fragment(1, 0, 65504, options=0),
        'too-large': fragment(1, 65528, 100, False),
        'options': fragment(1, 0, 8, options=10) + ends,
        'options-too-large': fragment(1, 65504, 11, False) + fragment(1, 0, 8, options=1),
        'ce': fragment(1, 0, 8, bits=ect0) + fragment(1, 8, 8, False, bits=ce),
        'ce-and-not-ect': fragment(1, 0, 8) + fragment(1, 8, 8, False, bits=ce),
        'time': fragment(1, 0, 8) + fragment(2, 0, 8, wait=150) + ends,
        'pushed-out': b''.join(fragment(i, 0, 8) for i in range(70)) + ends,
    }


def main():
    for name, seeds in (('segment', segment_seeds()), ('coalesce', coalesce_seeds()),
                        ('reassembly', reassembly_seeds())):
        folder = os.path.join(HERE, 'corpus', name)
        os.makedirs(folder, exist_ok=True)
        for seed, data in seeds.items():
            with open(os.path.join(folder, seed), 'wb') as out:
                out.write(data)


if __name__ == '__main__':
    main()
