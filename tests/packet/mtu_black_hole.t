#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel idle
"""
A path that falls while no router says a word, under a steady stream of full packets: how long until
the sender is told, and that nothing is lost from then on. mtu_cells.Path has the drawing; the pods
are the test's own packets.
"""

import struct
import threading
import time

import culvert
import net
import tap
from culvert import Watch
from mtu_cells import JUMBO, RECOVERY_LIMIT_S, Path
from packets import header, icmp_of, is_icmp_error, udp

culvert.need_programs()
path = Path()
A, B = path.POD_A, path.POD_B
RATE = 100  # packets a second
RAISE_S = 2
path.p1.silence()
path.p2.silence()
pod, far = path.p1.wire("eth0"), path.p2.wire("eth0")
FRAME = path.n1.mac("pod0") + path.p1.mac("eth0") + b"\x08\x00"
path.filter_icmp(True)


class Stream:
    """
    Numbered packets with DF from the pod, RATE a second, of a size that follows what ICMP says, as a
    sender with path MTU discovery has it. sent: (number, when, size); told: (when, mtu).
    """

    def __init__(self, size):
        self.size = size
        self.sent, self.told = [], []
        self.stopped = threading.Event()
        pod.drain()
        far.drain()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        begin = time.monotonic()
        number = 0
        while not self.stopped.is_set():
            number += 1
            data = struct.pack("!I", number) + bytes(self.size - 32)
            self.sent.append((number, time.monotonic(), self.size))
            pod.send(FRAME + udp(A, B, data=data, df=True))
            while (wait := begin + number / RATE - time.monotonic()) > 0:
                if error := pod.expect(is_icmp_error(3, 4), wait):
                    self.told.append((time.monotonic(), icmp_of(error).mtu))
                    self.size = min(self.size, icmp_of(error).mtu)

    def wait(self, what, seconds):
        """Until what() is true: whether that was in time."""
        return net.wait_for(what, seconds)

    def end(self):
        """Numbers of the packets that did not arrive."""
        self.stopped.set()
        self.thread.join()
        got = far.collect(lambda p: header(p).src == A and p[9] == 17, timeout=2, quiet=0.3)
        here = {struct.unpack_from("!I", p, 28)[0] for p in got}
        return [each for each in self.sent if each[0] not in here]


def falls(mtu, size):
    """The path falls to mtu under packets of this size; then its sender sends less."""
    name = f"{size} bytes over a path that falls to {mtu}"
    path.heal()
    engine = Watch(path.d1, None)
    stream = Stream(size)
    time.sleep(1.0)
    fallen = time.monotonic()
    path.set_mtu(mtu)
    stream.wait(lambda: stream.told, 10)
    time.sleep(2.0)
    missing = stream.end()
    when, told = stream.told[0] if stream.told else (None, None)
    tap.equal(told, mtu - 20, f"{name}: the sender is told")
    if when is None:
        return
    tap.ok(when - fallen <= RECOVERY_LIMIT_S, f"… within {RECOVERY_LIMIT_S:.0f} s",
           f"{when - fallen:.2f} s")
    tap.note(f"{name}, mode {culvert.MODE}: told after {when - fallen:.2f} s,"
             f" {len(missing)} packets lost")
    before = [each for each in missing if each[1] < fallen - 0.1]
    after = [each for each in missing if each[1] > when]
    tap.equal((before, after), ([], []), "… before the fall and after that no packet is lost")
    tap.ok(missing and all(each[2] == size for each in missing), "… between them it is a black hole",
           missing)
    tap.equal(engine.wait("black-hole"), 1, "… black-hole is counted")
    tap.equal(path.path()["how"], "probe", "… and the path's MTU known by probe")


def full_packets():
    falls(1400, 1480)


def once_more():
    falls(1280, 1480)


def the_least():
    falls(596, 1400)


def medium_packets():
    """What fits is not disturbed: only the next larger one is answered."""
    path.heal()
    stream = Stream(1000)
    time.sleep(0.5)
    path.set_mtu(1400)
    time.sleep(3.0)
    missing = stream.end()
    tap.equal((missing, stream.told), ([], []), "1000 bytes over a path that falls to 1400: nothing"
              " is lost, nobody is told")


def healed():
    """After the raise timer the larger size passes again."""
    path.configure(raiseTimer=f"{RAISE_S}s")
    path.heal()
    stream = Stream(1480)
    time.sleep(0.5)
    path.set_mtu(1400)
    tap.ok(stream.wait(lambda: stream.told, 10), "a path falls")
    path.set_mtu(JUMBO)
    begin = time.monotonic()
    tap.ok(net.wait_for(lambda: path.path()["mtu"] == JUMBO, RAISE_S + 5), "it heals, and is raised",
           path.path)
    took = time.monotonic() - begin
    tap.ok(took <= RAISE_S + 2, f"… within {RAISE_S} s and a search", f"{took:.1f} s")
    stream.size = 1480
    told, at = len(stream.told), len(stream.sent)
    time.sleep(1.0)
    missing = [each for each in stream.end() if each[0] > at]
    tap.ok(len(stream.sent) > at + RATE / 2 and not missing and len(stream.told) == told,
           "1480 bytes pass again, all of them", (missing, stream.told))


tap.main([full_packets, once_more, the_least, medium_packets, healed, path.clean_end],
         after=path.after)
