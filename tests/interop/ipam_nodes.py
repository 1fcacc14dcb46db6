# SPDX-License-Identifier: Apache-2.0
"""
Nodes that assign and release addresses as runtimes and people do, while things go wrong: what
etcd_random.t runs. Each is an ipam_driver in a network namespace of its own, and a thread that tells
it what to do and remembers what it was told.
"""

import errno
import json
import os
import queue
import random
import signal
import subprocess
import threading
import time

import culvert
from ipam_check import Grants

DRIVER = os.path.join(culvert.BUILD, "tests/interop/ipam_driver")
POOL = {"name": "pods", "cidr": "10.66.0.0/22", "block_size": 28}
POOL_SIZE = 1024
# Of one node, at most: all together nearly fill the pool, so that blocks are claimed, borrowed
# from and given back.
PODS_MAX = 150
# What an assignment may be refused for, without anything being wrong.
REFUSALS = {-errno.ENOSPC, -errno.EADDRINUSE, -errno.EADDRNOTAVAIL}
# etcd did not do it, or perhaps it did.
UNAVAILABLE = {-errno.ETIMEDOUT, -errno.EHOSTUNREACH, -errno.EAGAIN}


class Gone(Exception):
    """The driver was killed before it answered."""


class Driver:
    """An ipam_driver in a network node."""

    def __init__(self, node, *words):
        self.node = node
        self.words = words
        self.process = None
        self.start()

    def start(self):
        """Start it (again)."""
        self.process = self.node.spawn([DRIVER, *self.words], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)

    def ask(self, verb, **fields):
        """Its answer; raises Gone if it is no more."""
        try:
            self.process.stdin.write(json.dumps({"do": verb, **fields}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError as error:
            raise Gone from error
        if not line.endswith("\n"):
            raise Gone
        return json.loads(line)


class World:
    """What all clients share."""

    def __init__(self, holes=(), pause_s=0.0):
        self.grants = Grants()
        self.holes = list(holes)
        self.pause_s = pause_s  # of a client between two operations, on average
        self.names = set()
        self.counts = {}
        self.wrongs, self.reasons = [], []
        self.durations = []
        self._lock = threading.Lock()

    def count(self, what, number=1):
        """One more of these."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def wrong(self, text):
        """Something that must not be."""
        with self._lock:
            self.wrongs.append(text)

    def took(self, seconds):
        """A request, from the question to the answer."""
        with self._lock:
            self.durations.append(seconds)


class Client(threading.Thread):
    """
    A node that works through its share of operations. What it was told is in world.grants; handles
    of which it does not know what became (the driver was killed, or etcd did not answer) are in
    .doubtful until they are released for certain.
    """

    def __init__(self, world, name, node, words, operations, seed):
        super().__init__(name=name, daemon=True)
        self.world, self.node, self.words = world, node, words
        self.left = operations
        self.luck = random.Random(seed)
        self.pods = {}  # handle: address
        self.doubtful = set()
        self.ever_doubtful = set()
        self.condemned = set()  # for which a release was ever sent: it may happen at any time
        self.target = 10
        self.number = 0
        self.orders = queue.Queue()
        self.idle = threading.Event()  # its operations are done
        self.driver = None

    # ---- asking

    def configure(self):
        """Tell the driver what there is."""
        self.driver.ask("configure", node=self.name, claims=True, strict=False, max_blocks=0,
                        pools=[POOL], declared=[], holes=self.world.holes,
                        nodes=sorted(self.world.names))

    def start_driver(self):
        """Until one lives for long enough to be told."""
        while True:
            self.driver = Driver(self.node, *self.words)
            try:
                self.configure()
                return
            except Gone:
                self.driver.process.wait()

    def ask(self, verb, at_stake=(), **fields):
        """
        As Driver.ask(). If the driver dies it is started again, these handles are doubtful, and the
        answer is None.
        """
        began = time.monotonic()
        try:
            answer = self.driver.ask(verb, **fields)
        except Gone:
            self.doubt(at_stake)
            self.world.count(f"killed in {verb}")
            if self.driver.process.wait() != -signal.SIGKILL:
                self.world.wrong(f"{self.name}: its driver ended in {verb} by itself: "
                                 f"{self.driver.process.returncode}")
            self.start_driver()
            return None
        self.world.took(time.monotonic() - began)
        return answer

    def forget(self, handles):
        """From now on these have nothing that they could insist on."""
        for handle in handles:
            self.pods.pop(handle, None)
            self.world.grants.releasing(handle, time.monotonic())

    def doubt(self, handles):
        """It is not known what these have."""
        self.forget(handles)
        self.doubtful.update(handles)
        self.ever_doubtful.update(handles)

    def check_failure(self, verb, answer):
        """An error must be one that there may be, and say why."""
        rc = answer["rc"]
        what = "unavailable" if rc in UNAVAILABLE else "refused"
        self.world.count(f"{what} ({errno.errorcode.get(-rc, rc)})")
        self.world.reasons.append(f"{self.name}: {verb}: {answer['text']}")
        if rc not in UNAVAILABLE | REFUSALS or not answer["text"]:
            self.world.wrong(f"{self.name}: {verb}: {errno.errorcode.get(-rc, rc)}: "
                             f"{answer['text']!r}")

    # ---- operations

    def fresh(self):
        """A handle that there has never been."""
        self.number += 1
        return f"net.{self.name}-{self.number}.eth0"

    def assign(self, handles, **fields):
        """One address for each of these."""
        answer = self.ask("assign", handles,
                          requests=[{"handle": handle, **fields} for handle in handles])
        for handle, result in zip(handles, answer["results"] if answer else ()):
            if result["rc"]:
                self.check_failure("assign", result)
                # Also where nothing can have happened: after an ADD that failed comes a DEL.
                self.doubt([handle])
                continue
            self.world.grants.granted(result["address"], handle, time.monotonic())
            self.pods[handle] = result["address"]
            self.world.count("borrowed" if result["borrowed"] else "assigned")
            if result["address"] != fields.get("address", result["address"]):
                self.world.wrong(f"{handle} asked for {fields['address']}: {result}")

    def assign_one(self):
        """A pod."""
        self.assign([self.fresh()])

    def assign_many(self):
        """Pods that wait together."""
        self.assign([self.fresh() for _ in range(self.luck.randint(2, 8))])

    def assign_this(self):
        """A pod that wants a certain address, which may be anybody's."""
        number = self.luck.randrange(POOL_SIZE)
        self.assign([self.fresh()], address=f"10.66.{number >> 8}.{number & 255}")

    def assign_again(self):
        """A second ADD of a pod: its address is the same."""
        if not self.pods:
            return
        handle = self.luck.choice(sorted(self.pods))
        before = self.pods[handle]
        answer = self.ask("assign", requests=[{"handle": handle, "repeated": True}])
        if answer is None:
            return
        result = answer["results"][0]
        if result["rc"]:
            self.check_failure("assign again", result)
            return
        self.world.count("assigned again")
        if result["address"] != before or not result["was_there"]:
            self.world.wrong(f"{handle} has {before}; asked again it got {result}")

    def release(self, handles):
        """Give back what these have."""
        handles = list(handles)
        self.forget(handles)
        self.condemned.update(handles)
        self.doubtful.update(handles)
        answer = self.ask("release", handles, handles=handles)
        if answer is None:
            return
        if answer["rc"]:
            self.check_failure("release", answer)
            self.ever_doubtful.update(handles)
            return
        self.doubtful.difference_update(handles)
        self.world.count("released", len(handles))

    def release_some(self):
        """Pods that end."""
        if self.pods:
            count = min(len(self.pods), self.luck.choice((1, 1, 1, 2, 5)))
            self.release(self.luck.sample(sorted(self.pods), count))

    def release_address(self):
        """By its address, as `culvert ipam release` does; first with a handle that is not its own."""
        if not self.pods:
            return
        handle = self.luck.choice(sorted(self.pods))
        address = self.pods[handle]
        answer = self.ask("release_address", address=address, handle="net.thief.eth0")
        if answer and answer["rc"] == 0:
            self.world.wrong(f"{address} of {handle} was released for another")
        self.forget([handle])
        self.condemned.add(handle)
        self.doubtful.add(handle)
        answer = self.ask("release_address", [handle], address=address, handle=handle)
        if answer and answer["rc"] == 0:
            self.doubtful.discard(handle)
            self.world.count("released by address")
        elif answer:
            self.ever_doubtful.add(handle)
            self.check_failure("release address", answer)

    def give_back(self):
        """Empty blocks."""
        answer = self.ask("give_back")
        if answer and answer["rc"]:
            self.check_failure("give back", answer)
        elif answer:
            self.world.count("blocks given back", answer["count"])

    def resolve(self):
        """What a runtime does about an ADD of which it knows nothing: DEL, or ADD once more."""
        handles = sorted(self.doubtful)
        unsure = [handle for handle in handles if handle not in self.condemned]
        if not unsure or self.luck.random() < 0.7:
            self.release(handles[:20])
            return
        handle = unsure[0]
        answer = self.ask("assign", [handle], requests=[{"handle": handle, "repeated": True}])
        result = answer["results"][0] if answer else {"rc": None}
        if result["rc"]:
            self.check_failure("assign after all", result)
        elif answer:
            self.doubtful.discard(handle)
            self.world.grants.granted(result["address"], handle, time.monotonic())
            self.pods[handle] = result["address"]
            self.world.count("assigned after all")

    def operate(self):
        """One operation, by luck: towards a number of pods that is now and then another."""
        if self.luck.random() < 0.03:
            self.target = self.luck.randint(0, PODS_MAX)
        if self.doubtful and self.luck.random() < 0.4:
            return self.resolve()
        wanted = [(self.assign_again, 8), (self.release_address, 3), (self.give_back, 4),
                  (self.assign_this, 8)]
        if len(self.pods) < self.target:
            wanted += [(self.assign_one, 30), (self.assign_many, 25), (self.release_some, 15)]
        else:
            wanted += [(self.assign_one, 12), (self.release_some, 55)]
        functions, weights = zip(*wanted)
        return self.luck.choices(functions, weights)[0]()

    # ---- the thread

    def order(self, function):
        """Let the thread do something between two operations; a queue with what it returns."""
        result = queue.Queue()
        self.orders.put((function, result))
        return result

    def obey(self, timeout):
        """Do what was ordered; False: it is to end."""
        try:
            function, result = self.orders.get(timeout=timeout) if timeout \
                else self.orders.get_nowait()
        except queue.Empty:
            return True
        if function is None:
            return False
        try:
            result.put(function())
        except Exception as error:  # whoever waits is to know
            result.put(error)
        return True

    def end(self):
        """Let the thread end, and its driver with it."""
        self.orders.put((None, None))
        self.join(30)
        self.driver.process.kill()

    def run(self):
        try:
            self.start_driver()
            while self.obey(0 if self.left else 0.05):
                if self.left:
                    self.left -= 1
                    self.operate()
                    time.sleep(self.luck.uniform(0, 2 * self.world.pause_s))
                else:
                    self.idle.set()
        except Exception as error:
            self.world.wrong(f"{self.name}: {error!r}")
            self.idle.set()
