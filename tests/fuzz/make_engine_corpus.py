#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of tests/fuzz/engine_fuzz.c: tests/fuzz/corpus/engine/."""
import os
import struct

from make_corpus import HERE, POD_A, POD_B, ipip, ipv4, mss, tcp as segment

OUT, IN, RELAY = 0, 1, 2
PMTUDISC, STRICT, NBMA, MEND = 1, 16, 4, 3
MSS_1000, MSS_OFF = 32, 96
NEEDS_CSUM, TCPV4, UDP_L4 = 1, 1, 5


def vnet(flags=0, gso=0, hdr=0, size=0, start=0, offset=0):
    return struct.pack('<BBHHHH', flags, gso, hdr, size, start, offset)


def tcp(payload, flags=0x10):
    return struct.pack('!HHIIBBHHH', 4000, 80, 1000, 2000, 5 << 4, flags, 500, 0, 0) + payload


def seeds():
    data = bytes(range(256)) * 16
    there = ipv4(data[:200])
    back = {'source': POD_B, 'destination': POD_A}
    plain, strict = PMTUDISC, PMTUDISC | STRICT
    remote = {'source': bytes([192, 168, 200, 2]), 'destination': bytes([192, 168, 100, 1])}
    yield 'out', OUT, plain, MEND, vnet(), there
    yield 'out-nbma', OUT, plain, MEND | NBMA, vnet(), there
    yield 'out-fragments', OUT, 0, MEND, vnet(), ipv4(data[:3000])
    yield 'out-too-big', OUT, plain, MEND, vnet(), ipv4(data[:1600], field=0x4000)
    yield 'out-tso', OUT, plain, MEND, vnet(NEEDS_CSUM, TCPV4, 40, 1000, 20, 16), \
        ipv4(tcp(data[:3500]), protocol=6, field=0x4000)
    yield 'out-uso', OUT, plain, MEND, vnet(NEEDS_CSUM, UDP_L4, 28, 500, 20, 6), \
        ipv4(struct.pack('!HHHH', 1, 2, 8 + 2000, 0) + data[:2000])
    yield 'out-handed-over', OUT, plain, MEND, vnet(), ipip(ipv4(data[:99], **back), **remote)
    options = b'\1' + mss(1460) + bytes([4, 2, 1])
    syn, syn_back = segment(options), segment(options, flags=0x12, **back)
    yield 'out-syn', OUT, plain, MEND, vnet(), ipv4(syn, protocol=6, field=0x4000)
    yield 'out-syn-1000', OUT, plain | MSS_1000, MEND, vnet(NEEDS_CSUM, 0, 0, 0, 20, 16), \
        ipv4(syn, protocol=6, field=0x4000)
    yield 'out-syn-off', OUT, plain | MSS_OFF, MEND, vnet(), ipv4(syn, protocol=6)
    yield 'out-syn-tso', OUT, plain, MEND, vnet(NEEDS_CSUM, TCPV4, 48, 1000, 20, 16), \
        ipv4(segment(options, data=data[:3000]), protocol=6)
    yield 'in-syn-ack', IN, strict, MEND, vnet(), \
        ipip(ipv4(syn_back, protocol=6, **back), **remote)
    yield 'in-syn-ack-nbma', IN, strict, MEND | NBMA, vnet(NEEDS_CSUM, 0, 0, 0, 40, 16), \
        ipip(ipv4(syn_back, protocol=6, **back), **remote)
    yield 'in', IN, strict, MEND, vnet(), ipip(ipv4(data[:300], **back), **remote)
    yield 'in-nbma', IN, strict, MEND | NBMA, vnet(), ipip(ipv4(data[:300], **back), **remote)
    yield 'in-super', IN, strict, MEND, vnet(NEEDS_CSUM, TCPV4, 60, 1000, 40, 16), \
        ipip(ipv4(tcp(data[:3500]), protocol=6, **back), **remote)
    yield 'in-fragment', IN, strict, MEND, vnet(), \
        ipip(ipv4(data[:300], **back), **{**remote, 'field': 0x2000})
    for name, kind, code, info, quoted in (
            ('too-big', 3, 4, 1300, 548), ('too-big-short', 3, 4, 1300, 28),
            ('host', 3, 1, 0, 548), ('host-short', 3, 1, 0, 28), ('time', 11, 0, 0, 548),
            ('pointer', 12, 0, 25, 548), ('old-router', 3, 4, 0, 548)):
        yield 'relay-' + name, RELAY, strict, MEND, vnet(kind, code, 0, info), \
            ipip(ipv4(data[:900]))[:quoted]


def main():
    folder = os.path.join(HERE, 'corpus', 'engine')
    os.makedirs(folder, exist_ok=True)
    for name, direction, params, choice, header, packet in seeds():
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(bytes([direction, params, choice]) + header + packet)


if __name__ == '__main__':
    main()
