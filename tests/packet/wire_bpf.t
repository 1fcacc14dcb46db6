#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""The packet core inside the kernel: tests/bpf/wire_all.c is compiled for eBPF, accepted
by the verifier and run on packets (BPF_PROG_TEST_RUN), whose answers are known from
plain Python. No network, no map, nothing attached: the programs end with this process.
"""
import ctypes
import os
import platform
import re
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, 'tests', 'fuzz'))
import make_corpus as make  # noqa: E402

BPF_PROG_LOAD, BPF_PROG_TEST_RUN, SCHED_CLS = 5, 10, 3
SYS_BPF = {'x86_64': 321, 'aarch64': 280}.get(platform.machine())
RESULT = 0x10000
libc = ctypes.CDLL(None, use_errno=True)
count, failed = 0, 0


def ok(good, name, *diagnosis):
    global count, failed
    count += 1
    failed += not good
    print('%s %d - %s' % ('ok' if good else 'not ok', count, name))
    for line in () if good else diagnosis:
        print('# %s' % line)


def bpf(command, attributes):
    size = max(128, len(attributes))
    buffer = ctypes.create_string_buffer(attributes, size)
    result = libc.syscall(SYS_BPF, command, buffer, size)
    return (result if result >= 0 else -ctypes.get_errno()), buffer.raw


def address(buffer):
    return ctypes.addressof(buffer)


def sections(path):
    """The named sections of a little-endian ELF64 file, as bytes; no relocations allowed."""
    with open(path, 'rb') as file:
        elf = file.read()
    offset, = struct.unpack_from('<Q', elf, 0x28)
    size, number, names = struct.unpack_from('<HHH', elf, 0x3a)
    headers = [struct.unpack_from('<IIQQQQ', elf, offset + i * size) for i in range(number)]
    strings = elf[headers[names][4]:][:headers[names][5]]
    found = {}
    for name, _, _, _, start, length in headers:
        found[strings[name:].split(b'\0')[0].decode()] = elf[start:start + length]
    return found


def program_load(code):
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b'Dual BSD/GPL')
    log = ctypes.create_string_buffer(1 << 20)
    attributes = struct.pack('<IIQQIIQ', SCHED_CLS, len(code) // 8, address(instructions),
                             address(licence), 4, len(log), address(log))
    fd, _ = bpf(BPF_PROG_LOAD, attributes)
    text = log.value.decode(errors='replace').strip().splitlines()
    return fd, text[-12:]


def program_run(fd, packet):
    frame = bytes(12) + b'\x08\0' + packet
    data = ctypes.create_string_buffer(frame, len(frame))
    # prog_fd, retval, data_size_in, data_size_out, data_in, data_out, repeat
    attributes = struct.pack('<IIIIQQI', fd, 0, len(frame), 0, address(data), 0, 1)
    error, after = bpf(BPF_PROG_TEST_RUN, attributes)
    return error if error < 0 else struct.unpack_from('<I', after, 4)[0]


def reasons():
    with open(os.path.join(ROOT, 'src', 'wire', 'drop.h'), encoding='utf-8') as file:
        return re.findall(r'^\tX\((\w+),', file.read(), re.M)


def decapsulate_cases():
    seeds = {name: seed[1:] for name, seed in make.ipip_seeds().items()}
    refused = {
        'ce-on-not-ect': 'ECN_CE_NOT_ECT', 'inner-too-long': 'INNER_TRUNCATED',
        'inner-ttl-0': 'INNER_TTL_ZERO', 'inner-version-6': 'INNER_NOT_IPV4',
        'inner-bad-checksum': 'INNER_BAD_CHECKSUM', 'proto-41': 'INNER_NOT_IPV4',
        'first-fragment': 'INNER_TRUNCATED', 'later-fragment': 'INNER_TRUNCATED',
        'quote-of-28': 'TRUNCATED', 'mended': 'BAD_CHECKSUM',
        'first-fragment-of-1': 'INNER_TRUNCATED',
    }
    for name, packet in seeds.items():
        if packet:
            # A tunnel that marks nothing leaves the inner TOS alone.
            outer = 4 * (packet[0] & 15)
            yield name, packet, refused.get(name) or packet[outer + 1]
    inner = make.ipv4(bytes(64), tos=0x2a)
    yield 'CE on ECT(0)', make.ipip(inner, tos=3), 0x2b
    yield 'ECT(1) on ECT(0)', make.ipip(inner, tos=1), 0x29
    yield 'large', make.ipip(make.ipv4(bytes(1400), tos=0x10)), 0x10
    long = make.ipv4(bytes(8), options=b'\1' * 40, tos=0x44)
    yield '60 + 60 bytes of headers', make.ipip(long, options=b'\1' * 40), 0x44
    martian = make.ipv4(bytes(8), source=bytes([127, 0, 0, 1]))
    yield 'martian', make.ipip(martian), 'SOURCE_MARTIAN'


def header_checksum(packet):
    return struct.unpack_from('!H', packet, 10)[0]


def encapsulate_cases():
    for tos in (0, 0x2a, 0xff):
        for length in (0, 31, 1400):
            inner = make.ipv4(bytes(length), tos=tos, options=b'\1' * (length % 41))
            outer = make.ipip(inner, tos=tos, ttl=64)
            yield 'tos %d, %d bytes' % (tos, length), inner, header_checksum(outer)
    yield 'TTL 0', make.ipv4(bytes(8), ttl=0), 'INNER_TTL_ZERO'
    yield 'truncated', make.ipv4(bytes(8))[:27], 'TRUNCATED'
    yield 'IHL 4', b'\x44' + make.ipv4(bytes(8))[1:], 'BAD_HEADER_LENGTH'
    yield 'version 6', make.ipv4(bytes(8), version=6), 'BAD_VERSION'
    yield 'checksum', make.ipv4(bytes(8), bad_checksum=True), 'BAD_CHECKSUM'


def fragment_cases():
    for length in (557, 558, 1112, 1113, 1480, 3000):
        # 552 bytes in each but the last, which may have 556.
        more = make.MF if length - 552 > 556 else 0
        rest = 552 if more else length - 552
        second = make.ipv4(bytes(rest), field=more | 552 // 8)
        yield '%d bytes' % length, make.ipv4(bytes(length)), header_checksum(second)
    middle = make.ipv4(bytes(800), field=make.MF | 100)
    second = make.ipv4(bytes(248), field=make.MF | 169)
    yield 'a fragment itself', middle, header_checksum(second)
    yield 'fits', make.ipv4(bytes(556)), 0
    yield 'DF', make.ipv4(bytes(557), field=make.DF), 'TOO_BIG'
    yield 'ends beyond 65535', make.ipv4(bytes(900), field=8100), 'FRAGMENT_NOT_ALLOWED'


def icmp_cases():
    inner = make.ipv4(bytes(range(60)))
    quoted = make.ipip(inner)

    def relayed(*said):
        return struct.unpack_from('!H', make.icmp(*said), 2)[0]

    cases = (
        ('net unreachable', make.icmp(3, 0, quoted), relayed(3, 0, inner)),
        ('protocol unreachable', make.icmp(3, 2, quoted), relayed(3, 0, inner)),
        ('port unreachable', make.icmp(3, 3, quoted), 0),
        ('too big', make.icmp(3, 4, quoted, struct.pack('!HH', 0, 1400)),
         relayed(3, 4, inner, struct.pack('!HH', 0, 1380))),
        ('time exceeded', make.icmp(11, 0, quoted), relayed(3, 1, inner)),
        ('parameter problem', make.icmp(12, 0, quoted, b'\x20\0\0\0'),
         relayed(12, 0, inner, b'\x0c\0\0\0')),
        ('redirect', make.icmp(5, 1, quoted, b'\1\2\3\4'), 0),
        ('8 bytes beyond the outer header', make.icmp(3, 1, quoted[:28]), 0),
        ('cut inside the payload', make.icmp(3, 1, quoted[:57]), relayed(3, 1, inner[:37])),
        ('not ours', make.icmp(3, 1, inner), 'ICMP_NOT_OURS'),
        ('damaged', make.icmp(3, 1, quoted)[:-1] + b'\xee', 'BAD_CHECKSUM'),
        ('short', make.icmp(3, 1, b'')[:7], 'TRUNCATED'),
    )
    for name, message, expected in cases:
        yield name, make.ipv4(message, protocol=1), expected


def mss_cases():
    for name, seed in make.tcp_seeds().items():
        segment, want = seed[3:], 0
        packet = make.ipv4(segment, protocol=6)
        # What there is to be lowered to 536, and where.
        at = {'odd': 21, 'last': 56}.get(name, 20)
        if name in ('syn', 'syn-ack', 'partial', 'odd', 'last', 'twice', 'auto', 'off', 'with-data'):
            # Any options at all, for they are replaced: the checksum comes from make.tcp().
            start = segment[20:at] + make.mss(536) + segment[at + 4:(segment[12] >> 4) * 4]
            data = segment[(segment[12] >> 4) * 4:]
            want, = struct.unpack_from('!H', make.tcp(start, flags=segment[13], data=data), 16)
        yield name, packet, want
    later = make.tcp(make.mss(1460))
    yield 'a later fragment', make.ipv4(later, protocol=6, field=9), 'MAX'
    first = make.tcp(make.mss(536), data=bytes(100))
    yield 'a first fragment', make.ipv4(make.tcp(make.mss(1460), data=bytes(100))[:64],
                                        protocol=6, field=make.MF), \
        struct.unpack_from('!H', first, 16)[0]
    yield 'UDP', make.ipv4(later), 'MAX'
    yield 'truncated', make.ipv4(later, protocol=6)[:40], 'TRUNCATED'


def check(fd, family, cases, names):
    names = [*names, 'MAX']
    for name, packet, expected in cases:
        want = names.index(expected) if isinstance(expected, str) else RESULT | expected
        got = program_run(fd, packet)
        ok(got == want, '%s: %s' % (family, name), 'wanted %#x (%s), got %#x' %
           (want, expected, got))


def main():
    if SYS_BPF is None or os.geteuid() != 0:
        print('1..0 # SKIP needs root, on a machine whose bpf() number is known')
        return 0
    families = (('decapsulate', decapsulate_cases), ('encapsulate', encapsulate_cases),
                ('fragment', fragment_cases), ('icmp', icmp_cases), ('mss', mss_cases))
    with tempfile.TemporaryDirectory(prefix='culvert-wire-bpf-') as folder:
        target = os.path.join(folder, 'wire_all.o')
        subprocess.run(['clang', '-target', 'bpf', '-mcpu=v3', '-O2', '-Wall', '-Wextra',
                        '-Werror', '-Isrc',
                        '-I/usr/include/%s-linux-gnu' % platform.machine(), '-c', '-o', target,
                        'tests/bpf/wire_all.c'], cwd=ROOT, check=True)
        parts = sections(target)
    relocated = [name for name in parts if name.startswith('.rel')]
    ok(not relocated, 'needs no relocation', relocated)
    names = reasons()
    for family, cases in families:
        fd, log = program_load(parts['tc/' + family])
        if fd in (-1, -38) and family == families[0][0]:
            print('1..%d # SKIP no bpf() here: %s' % (count, os.strerror(-fd)))
            return 0
        ok(fd >= 0, 'the verifier accepts %s (%s)' % (family, log[-1] if log else ''), *log)
        if fd >= 0:
            check(fd, family, cases(), names)
            os.close(fd)
    print('1..%d' % count)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
