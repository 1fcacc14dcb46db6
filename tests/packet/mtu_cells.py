# SPDX-License-Identifier: Apache-2.0
"""
Transfers through a tunnel over a path whose MTU falls: what the proof tables of path MTU are made of.

    p1 10.244.1.2 ── pod0 n1 eth0 ══ left r1 right ──X── left r2 right ══ eth0 n2 pod0 ── p2 10.244.2.2
       MTU 1500      192.168.100.1  .254   192.168.50.1  .2   192.168.200.254     192.168.200.2

All cables of the underlay take 9000 bytes, but for X, between the routers: so either router says
"fragmentation needed" to what comes from its side, and both sites find the same path. filter_icmp():
neither router says it. Bytes go both ways at once, by tests/packet/haul.c, and what has arrived is
compared by SHA-256.
"""

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections import namedtuple

import culvert
import net
import tap
from culvert import Culvertd
from shapes import end_cleanly, look_after

HAUL = os.path.join(culvert.BUILD, "tests/packet/haul")
JUMBO = 9000
POD_MTU = 1500
MIB = 1 << 20
PORT = 7000
RECOVERY_LIMIT_S = 2.0
# A path whose MTU nobody tells is searched; so long is waited for that, on a busy machine.
KNOWN_LIMIT_S = 15

# What the programs in the pods are. deaf: the pods drop every ICMP error.
Inner = namedtuple("Inner", "name words deaf")
TCP = Inner("TCP", ("tcp",), False)
TCP_DEAF = Inner("TCP, ignores ICMP", ("tcp",), True)
TCP_PLAIN = Inner("TCP without DF, ignores ICMP", ("tcp", "dont"), True)
UDP_DF = Inner("UDP with DF", ("udp", "do"), False)
UDP = Inner("UDP without DF", ("udp", "dont"), False)
INNERS = (TCP, TCP_DEAF, UDP_DF, UDP)  # of the table

DELIVERED, FILTERED = "delivered", "filtered"
START, FALL = "from the start", "during the transfer"

Cell = namedtuple("Cell", "mtu icmp when inner")

CONFIGURATION = """\
apiVersion: culvert/v1
kind: PathConfiguration
metadata: {name: default}
spec: %s
"""

# One way of one transfer. seconds: from the start of the sender to the last byte; recovery: the
# longest time since the fall in which nothing new arrived (0: less than 50 ms). None: no fall, or
# not all arrived.
Way = namedtuple("Way", "right bytes seconds recovery error")
# All was there before the path fell, so nothing is shown: the transfer is made again, slower.
TOO_LATE = "the fall came too late"
TRIES = 4


class Digests:
    """SHA-256 of what `haul give` sends, by (seed, size)."""

    def __init__(self):
        self.known = {}

    def of(self, seed, size):
        """The digest."""
        if (seed, size) not in self.known:
            data = subprocess.run([HAUL, "-s", str(seed), "fill", str(size)], check=True,
                                  stdout=subprocess.PIPE).stdout
            self.known[seed, size] = hashlib.sha256(data).hexdigest()
        return self.known[seed, size]


_digests = Digests()


class End:
    """One of the two ends of transfers: a pod's program, its address, its seed."""

    lags = False  # whether what has arrived is seen at the end only

    def __init__(self, node, address, seed):
        self.node, self.address, self.seed = node, address, seed
        self.scratch = "/dev/shm" if os.path.isdir("/dev/shm") else None

    def spawn(self, words, stdout):
        """Start haul; its standard error is a pipe."""
        return self.node.spawn([HAUL, *words], stdout=stdout, stderr=subprocess.PIPE, text=True)

    def output(self):
        """A file that haul writes to, without a name."""
        return tempfile.TemporaryFile(dir=self.scratch)

    def prepare(self, deaf):
        """The pod remembers no path MTU; deaf: and hears of none."""
        rules = "table ip deaf {}\ndelete table ip deaf\n"
        if deaf:
            rules += ("table ip deaf { chain input { type filter hook input priority -300;\n"
                      "icmp type destination-unreachable drop\n}\n}\n")
        self.node.run(["nft", "-f", "-"], input=rules)
        self.node.ip("route flush cache")


class Haul:
    """Bytes on their way from one end to another: nothing before begin()."""

    def __init__(self, source, target, inner, size, rate=None, patience=10.0):
        self.source, self.target, self.size = source, target, size
        protocol = inner.words[0]
        discover = ["-d", inner.words[1]] if inner.words[1:] else []
        common = [*discover, "-w", str(patience)]
        port = str(PORT + source.seed)
        self.file = target.output()
        self.take = target.spawn([*common, "take", protocol, target.address, port], self.file)
        self.lags = target.lags
        ready = self.take.stderr.readline().split()
        if ready[:1] != ["ready"]:
            raise RuntimeError(f"haul take: {ready}")
        # On a kernel of its own, the receiver has another clock.
        self.ahead_ns = int(ready[1]) - time.time_ns()
        pace = ["-r", str(rate)] if rate else []
        self.words = [*common, *pace, "-s", str(source.seed), "-b", source.address, "give", protocol,
                      target.address, port, str(size)]
        self.give = self.begun_ns = None

    def begin(self):
        """The receiver is ready; start the sender."""
        self.give = self.source.spawn(self.words, subprocess.DEVNULL)
        self.begun_ns = time.time_ns()

    def arrived(self):
        """Bytes so far, a little late; of an end where that cannot be seen, all."""
        return self.size if self.lags else os.fstat(self.file.fileno()).st_size

    @staticmethod
    def _told(process):
        """Its last line, when it has ended."""
        text = process.communicate()[1]
        try:
            return json.loads(text.splitlines()[-1])
        except (ValueError, IndexError):
            raise RuntimeError(f"haul ends with {process.returncode}, and says {text!r}") from None

    def end(self, fallen_ns=None):
        """Wait until it is over: a Way."""
        said, took = self._told(self.give), self._told(self.take)
        self.file.seek(0)
        digest = hashlib.file_digest(self.file, "sha256").hexdigest()
        self.file.close()
        right = (took["bytes"] == self.size
                 and digest == _digests.of(self.source.seed, self.size))
        error = took["error"] or said["error"]
        seconds = recovery = None
        if right:
            seconds = (took["last"] - self.ahead_ns - self.begun_ns) / 1e9
        if right and fallen_ns and took["last"] - self.ahead_ns < fallen_ns:
            return Way(False, took["bytes"], seconds, None, TOO_LATE)
        if right and fallen_ns:
            fallen_there = fallen_ns + self.ahead_ns
            pauses = [to - max(since, fallen_there) for since, to in took["gaps"]]
            recovery = max([0, *pauses]) / 1e9
        return Way(right, took["bytes"], seconds, recovery, error)


class Path:
    """The network above, with culvertd on n1 and n2. words: of both tunnels."""

    A, B = "192.168.100.1", "192.168.200.2"
    POD_A, POD_B = "10.244.1.2", "10.244.2.2"
    STALLED_S = 3.0  # nothing for so long: it stalls
    PACED_MAX, SMALL_LASTS_S = MIB, 1.0  # smaller transfers during which the path falls

    def __init__(self, *arguments, words="", probing=True, offload=True):
        self.words, self.probing, self.arguments = words, probing, arguments
        names = ("p1", "n1", "r1", "r2")
        self.p1, self.n1, self.r1, self.r2 = (net.Node(n) for n in names)
        net.connect(self.p1, "eth0", self.n1, "pod0", offload=offload)
        net.connect(self.n1, "eth0", self.r1, "left", mtu=JUMBO, offload=offload)
        net.connect(self.r1, "right", self.r2, "left", mtu=JUMBO, offload=offload)
        for node in (self.n1, self.r1, self.r2):
            node.forward()
        self.r1.ip("addr add 192.168.100.254/24 dev left", "addr add 192.168.50.1/24 dev right",
                   "route add 192.168.200.0/24 via 192.168.50.2")
        self.r2.ip("addr add 192.168.50.2/24 dev left",
                   "route add 192.168.100.0/24 via 192.168.50.1")
        self.offload = offload
        self._site(self.n1, self.p1, 1, self.A, "192.168.100.254")
        self.make_far()
        one = culvert.ENGINE if culvert.MODE == culvert.MIXED else culvert.MODE
        self.d1 = self._daemon(self.n1, one, self.POD_A, self.A, self.B)
        self.n1.ip("route add 10.244.2.0/24 dev tun0")
        self.daemons = [self.d1]
        self.start_far()
        self.mtu = JUMBO
        self.narrow = None  # what the path was from the start on

    # --- what is beyond the routers ---

    def make_far(self):
        """n2 and p2."""
        self.n2, self.p2 = net.Node("n2"), net.Node("p2")
        net.connect(self.r2, "right", self.n2, "eth0", mtu=JUMBO, offload=self.offload)
        net.connect(self.n2, "pod0", self.p2, "eth0", offload=self.offload)
        self.r2.ip("addr add 192.168.200.254/24 dev right")
        self.n2.forward()
        self._site(self.n2, self.p2, 2, self.B, "192.168.200.254")

    def start_far(self):
        """The tunnel's other end, and both ends of transfers."""
        other = culvert.ENDPOINTS if culvert.MODE == culvert.MIXED else culvert.MODE
        self.d2 = self._daemon(self.n2, other, self.POD_B, self.B, self.A)
        self.n2.ip("route add 10.244.1.0/24 dev tun0")
        self.daemons.append(self.d2)
        self.ends = (End(self.p1, self.POD_A, 1), End(self.p2, self.POD_B, 2))

    def forget_far(self):
        """It knows nothing of the path any more."""
        self.n2.ip("route flush cache")

    @staticmethod
    def _site(node, pod, number, address, gateway):
        node.ip(f"addr add {address}/24 dev eth0", f"addr add 10.244.{number}.1/24 dev pod0",
                f"route add default via {gateway}")
        pod.ip(f"addr add 10.244.{number}.2/24 dev eth0",
               f"route add default via 10.244.{number}.1")

    def _daemon(self, node, mode, pod, local, remote):
        daemon = Culvertd(node, *self.arguments, mode=mode, endpoints=(("pod0", pod),),
                          probing=self.probing)
        daemon.add(f"tun0 mode ipip remote {remote} local {local} {self.words}")
        return daemon

    # --- the path ---

    def set_mtu(self, mtu):
        """Of the cable between the routers."""
        self.mtu = mtu
        self.r1.ip(f"link set right mtu {mtu}")
        self.r2.ip(f"link set left mtu {mtu}")

    def filter_icmp(self, on):
        """The routers' ICMP errors: none leaves them, none passes them."""
        rules = "table ip hush {}\ndelete table ip hush\n"
        if on:
            rules += "table ip hush {\n" + "".join(
                f"chain {hook} {{ type filter hook {hook} priority 0;"
                " icmp type destination-unreachable drop; }\n" for hook in ("output", "forward")
            ) + "}\n"
        for node in (self.r1, self.r2):
            node.run(["nft", "-f", "-"], input=rules)

    def path(self, daemon=None):
        """
        What `culvert path` says of the one path of a daemon (d1). One that has just begun knows of it
        when its prober has looked for the first time.
        """
        deadline = time.monotonic() + KNOWN_LIMIT_S
        while not (paths := json.loads((daemon or self.d1).cli("-j", "path").stdout)["paths"]):
            if time.monotonic() > deadline:
                raise RuntimeError("culvertd knows of no path")
            time.sleep(0.02)
        return paths[0]

    def configure(self, **timers):
        """Apply a PathConfiguration with these fields to all daemons."""
        for daemon in self.daemons:
            daemon.node.run([os.path.join(culvert.BUILD, "culvert"), "--run-dir", daemon.run_dir,
                             "apply", "-f", "-"], input=CONFIGURATION % json.dumps(timers))

    def knows(self, mtu):
        """Whether every daemon knows this path MTU; that of the link is merely assumed at first."""
        return all(p["mtu"] == mtu and (p["state"] == "complete" or mtu < p["link_mtu"])
                   for p in map(self.path, self.daemons))

    def wait_known(self, limit=KNOWN_LIMIT_S):
        """Seconds until every daemon knows the path as it is; None: not in time."""
        begin = time.monotonic()
        while not self.knows(self.mtu):
            if time.monotonic() - begin > limit:
                return None
            time.sleep(0.05)
        return time.monotonic() - begin

    def heal(self):
        """
        The path takes all again, and the daemons know it: a link that takes more than before is
        searched anew.
        """
        self.set_mtu(JUMBO)
        for mtu in (JUMBO - 4, JUMBO):
            for daemon in self.daemons:
                daemon.node.ip(f"link set eth0 mtu {mtu}")
            net.wait_for(lambda m=mtu: all(self.path(d)["link_mtu"] == m for d in self.daemons))
        return self.wait_known()

    def fresh(self, mtu):
        """
        A path of this MTU of which nobody has learnt anything, and which is known by now: seconds
        that this took, from the daemons' start.
        """
        # Healed first: while one daemon starts, what the other's fast path remembers is in force.
        if self.probing and self.mtu != JUMBO:
            self.heal()
        self.set_mtu(mtu)
        for daemon in self.daemons:
            daemon.stop()
        for node in (self.n1, self.r1, self.r2):
            node.ip("route flush cache")
        self.forget_far()
        for daemon in self.daemons:
            daemon.start()
        return self.wait_known() if self.probing else None

    # --- cells ---

    def transfer(self, inner, size, fall=None, rate=None, patience=10.0):
        """
        size bytes both ways at once, after a quarter of which the MTU falls to `fall`: the Ways from
        p1 and from p2.
        """
        for end in self.ends:
            end.prepare(inner.deaf)
        one, other = self.ends
        hauls = [Haul(*pair, inner, size, rate=rate, patience=patience)
                 for pair in ((one, other), (other, one))]
        # Who begins late begins first: else all of the other's is there before both are on their way.
        for haul in sorted(hauls, key=lambda haul: not haul.source.lags):
            haul.begin()
            if fall is not None and haul.source.lags:
                net.wait_for(lambda haul=haul: haul.arrived() > 0, 10)
        fallen_ns = None
        if fall is not None:
            net.wait_for(lambda: all(haul.arrived() >= size // 4 for haul in hauls), 10)
            fallen_ns = time.time_ns()
            self.set_mtu(fall)
        return [haul.end(fallen_ns) for haul in hauls]

    def run(self, cell, size, patience=10.0):
        """
        The Ways of one cell with one size. From the start: a path of which the daemons have learnt
        what they know without any traffic, those of other cells with this path included.
        """
        self.filter_icmp(cell.icmp == FILTERED)
        if cell.when == START:
            if self.narrow != (cell.mtu, cell.icmp):
                self.fresh(cell.mtu)
            self.narrow = cell.mtu, cell.icmp
            return self.transfer(cell.inner, size, patience=patience)
        self.narrow = None
        # So slow that it lasts: else a MiB is there before anything falls.
        rate = size / self.SMALL_LASTS_S if size <= self.PACED_MAX else None
        for _ in range(TRIES):
            # Too many "fragmentation needed" within a minute are not believed: nobody must remember.
            if cell.icmp == DELIVERED or not self.probing:
                self.fresh(JUMBO)
            else:
                self.heal()
            ways = self.transfer(cell.inner, size, cell.mtu, rate, patience)
            if all(way.error != TOO_LATE for way in ways):
                break
            # One of two ways may have all of a busy machine before the other has a quarter.
            rate = rate / 2 if rate else size / self.SMALL_LASTS_S
        return ways

    # --- for tap.main() ---

    def after(self, name, failed):
        """Say what the daemons said, if something failed."""
        look_after(self.daemons, name, failed)

    def clean_end(self):
        """A last test: daemons that are told to stop do so."""
        end_cleanly(self.daemons)


def can_arrive(cell):
    """
    Whether physics allows it: a sender that ignores ICMP and sets DF cannot shrink in mid-flow. Its
    DF is the outer header's, too (RFC 2003, 3.1), whatever the tunnel's pmtudisc.
    """
    return not (cell.inner == TCP_DEAF and cell.when == FALL and cell.mtu < POD_MTU + 20)


def check(path, cell, sizes, table=None, can=(None, None)):
    """
    One cell with each size, as assertions; with a Table, as its row. can: whether all bytes can
    arrive from p1, from p2; None: as can_arrive() says.
    """
    can = [can_arrive(cell) if each is None else each for each in can]
    for size in sizes:
        ways = path.run(cell, size, patience=10.0 if all(can) else path.STALLED_S)
        for way, may, who in zip(ways, can, ("p1 to p2", "p2 to p1")):
            name = (f"{cell.mtu} {cell.when}, ICMP {cell.icmp}: {cell.inner.name}, {size >> 20} MiB,"
                    f" {who}")
            if not may:
                tap.ok(not way.right and 0 <= way.bytes < size, f"{name}: cannot arrive", way)
                continue
            tap.ok(way.right, f"{name}: all arrives", way)
            if way.recovery is not None:
                tap.ok(way.recovery <= RECOVERY_LIMIT_S,
                       f"… and goes on within {RECOVERY_LIMIT_S:.0f} s of the fall", way)
        if table is not None:
            table.add(cell, size, ways)


class Table:
    """What was measured, as Markdown."""

    def __init__(self, title):
        self.title = title
        self.rows = {}
        self.sizes = []

    def add(self, cell, size, ways):
        """The Ways of a cell with one size."""
        self.rows.setdefault(cell, {})[size] = ways
        if size not in self.sizes:
            self.sizes.append(size)

    @staticmethod
    def _text(ways):
        texts = []
        for way in ways or ():
            text = "stalls" if way.seconds is None else f"{way.seconds:.2f}"
            if way.seconds is not None and way.recovery is not None:
                text += f" ({way.recovery:.2f})" if way.recovery else " (–)"
            texts.append(text)
        return " / ".join(texts) or "–"

    def _worst(self, inner, icmp, when, direction):
        """What became of all widths and sizes of one way, in words."""
        ways = [ways[direction] for cell, by_size in self.rows.items() for ways in by_size.values()
                if cell[1:] == (icmp, when, inner)]
        if not ways:
            return "–"
        stalled = sum(way.seconds is None for way in ways)
        if stalled:
            return "stalls" if stalled == len(ways) else f"{stalled} of {len(ways)} stall"
        pauses = [way.recovery for way in ways if way.recovery is not None]
        return f"all, after ≤ {max(pauses):.2f} s" if pauses else "all"

    def sum_up(self):
        """What there is in one line for each kind of sender, as diagnostics, over all widths."""
        columns = [(icmp, when) for when in (START, FALL) for icmp in (DELIVERED, FILTERED)]
        tap.note(f"{self.title}: over all widths and sizes; of a fall the longest pause")
        tap.note("| inner | from | " + " | ".join(f"{w}, ICMP {i}" for i, w in columns) + " |")
        tap.note("|---" * (2 + len(columns)) + "|")
        for inner in dict.fromkeys(cell.inner for cell in self.rows):
            for direction, who in enumerate(("p1", "p2")):
                words = [self._worst(inner, icmp, when, direction) for icmp, when in columns]
                tap.note(f"| {inner.name} | {who} | " + " | ".join(words) + " |")

    def print(self):
        """As diagnostics, so that `… | sed -n 's/^# |/|/p'` is the table."""
        sizes = [f"{size >> 20} MiB" for size in self.sizes]
        tap.note(self.title)
        tap.note("seconds until all is there, from p1 / from p2; in brackets, of a fall, the longest"
                 " pause after it (–: less than 0.05)")
        tap.note("| path MTU | ICMP | falls | inner | " + " | ".join(sizes) + " |")
        tap.note("|---" * (4 + len(sizes)) + "|")
        for cell, by_size in self.rows.items():
            words = [str(cell.mtu), cell.icmp, cell.when, cell.inner.name]
            words += [self._text(by_size.get(size)) for size in self.sizes]
            tap.note("| " + " | ".join(words) + " |")
