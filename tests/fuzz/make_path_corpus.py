#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of tests/fuzz/plpmtud_fuzz.c: corpus/plpmtud/.

What the bytes mean is said in the fuzzer's first comment.
"""
import os
import struct

from make_corpus import HERE

(PASS, MTU, LINK, TOO_BIG, TRUE_TOO_BIG, ANSWER, UNSENDABLE, SENDABLE, ENABLE, LOSS, DOWN, PACKET,
 RTT, QUICK, MAX_PROBES, CONFIRM_TIMER, PROBE_TIMER, RAISE_TIMER, MIN_MTU, BASE_MTU) = range(20)
BULK = (PACKET, 65528)  # 1 modulo 7: every 20 ms, as large as it may be


def events(*pairs):
    return b''.join(struct.pack('<BH', *pair) for pair in pairs)


def seeds():
    begin = ((ENABLE, 1), (PASS, 500), BULK)
    return {
        'nothing': b'',
        'fall': events(*begin, (PASS, 2000), (MTU, 1400), (PASS, 5000)),
        'jumbo': events((LINK, 9000), (MTU, 9000), *begin, (PASS, 2000), (MTU, 1437), (PASS, 9000)),
        'heals': events(*begin, (MTU, 1280), (PASS, 9000), (MTU, 1500), (PASS, 30000)),
        'idle': events((MTU, 1400), (ENABLE, 1), (PASS, 65535), (PASS, 65535), (PASS, 65535)),
        'error': events(*begin, (MTU, 700), (PASS, 30000), (MTU, 1300), (PASS, 30000)),
        'error-idle': events((MTU, 500), (ENABLE, 1), *[(PASS, 65535)] * 5),
        'true-icmp': events(*begin, (PASS, 1000), (MTU, 1300), (TRUE_TOO_BIG, 0), (PASS, 2000)),
        'false-icmp': events(*begin, (PASS, 1000), (TOO_BIG, 700), (PASS, 100), (TOO_BIG, 600),
                             (TOO_BIG, 0), (PASS, 10), (TOO_BIG, 1400), (PASS, 1000)),
        'icmp-disabled': events((TOO_BIG, 1400), (PASS, 30000), (TOO_BIG, 1000), (ENABLE, 1)),
        'link': events(*begin, (LINK, 1400), (PASS, 100), (LINK, 9000), (PASS, 1000), (LINK, 0),
                       (PASS, 100), (LINK, 500), (PASS, 3000)),
        'unsendable': events((SENDABLE, 1433), *begin, (PASS, 20000)),
        'loss': events(*begin, (LOSS, 3000), (PASS, 60000), (MTU, 1450), (PASS, 60000)),
        'down': events(*begin, (DOWN, 1), (PASS, 5000), (MTU, 1400), (DOWN, 0), (PASS, 5000)),
        'late': events(*begin, (RTT, 900), (PASS, 20000), (DOWN, 2), (PASS, 20000)),
        'lies': events(*begin, (MTU, 1400), (ANSWER, 1500), (PASS, 700), (ANSWER, 1500),
                       (PASS, 700), (ANSWER, 84), (PASS, 3000)),
        'rfc-timers': events((CONFIRM_TIMER, 0), (MTU, 1400), *begin, (PASS, 60000)),
        'configuration': events((MIN_MTU, 65535), (BASE_MTU, 0), (MAX_PROBES, 0), (QUICK, 0),
                                (PROBE_TIMER, 0), (RAISE_TIMER, 0), *begin, (PASS, 3000),
                                (MIN_MTU, 0), (MTU, 300), (PASS, 3000)),
    }


def main():
    folder = os.path.join(HERE, 'corpus', 'plpmtud')
    os.makedirs(folder, exist_ok=True)
    for seed, data in seeds().items():
        with open(os.path.join(folder, seed), 'wb') as out:
            out.write(data)


if __name__ == '__main__':
    main()
