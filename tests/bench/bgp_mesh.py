# SPDX-License-Identifier: Apache-2.0
"""
A full mesh of BIRDs, each in a network namespace of its own, all on one segment:

    s0 .. s199   10.99.0.1 …/16, block 100.64.0.0/26 …        every eth0 in one bridge
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import tempfile
import time

import bgp_watch
import net

NEIGHBOURS = "/proc/sys/net/ipv4/neigh/default/gc_thresh"
LOCK = "/run/lock/culvert-bench-bgp"
POOL = "100.64.0.0/10"
DEVICE = "culvert0"
AS = 64512


def address(i):
    """Of speaker i."""
    return f"10.99.{(i + 1) >> 8}.{(i + 1) & 255}"


def block(i):
    """Its /26 of the pool."""
    number = (100 << 24) + (64 << 16) + (i << 6)
    return ".".join(str(number >> s & 255) for s in (24, 16, 8, 0)) + "/26"


# By hand: all but the sessions, without any policy.
MINIMAL_HEAD = """\
log "DIRECTORY/bird.log" { warning, error, fatal, bug };
router id SELF;
ipv4 table links;
protocol device {}
protocol direct { ipv4 { table links; import all; }; }
protocol static blocks { ipv4; route BLOCK blackhole; }
filter to_kernel {
	if source != RTS_BGP then reject;
	ifname = "culvert0";
	onlink = true;
	gw = bgp_next_hop;
	accept;
}
protocol kernel { ipv4 { import none; export filter to_kernel; }; merge paths on; }
"""

MINIMAL = MINIMAL_HEAD + """\
template bgp mesh {
	local SELF as 64512;
	multihop;
	graceful restart;
	ipv4 { gateway recursive; igp table links; import all; export where proto = "blocks"; };
}
"""


def minimal(i, count, directory):
    """What one would write by hand, without a thought of what peers may say: speaker i of count."""
    text = (MINIMAL.replace("DIRECTORY", directory).replace("SELF", address(i))
            .replace("BLOCK", block(i)))
    for other in range(count):
        if other != i:
            text += f"protocol bgp m{other} from mesh {{ neighbor {address(other)} as {AS}; }}\n"
    return text


@contextlib.contextmanager
def room_for_neighbours(entries):
    """
    Raise the machine's limit of neighbours (one for all network namespaces) to so many where it is
    less; set it back, however this ends but by SIGKILL. Gives (before, now).
    """
    with open(LOCK, "w", encoding="ascii") as lock:
        # Who comes second would take the raised limit for the machine's own.
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = {number: neighbour_limit(number) for number in (2, 3)}
        try:
            for number, value in before.items():
                _write(number, max(value, entries))
            yield before[3], max(before[3], entries)
        finally:
            for number, value in before.items():
                _write(number, value)


def neighbour_limit(number=3):
    """gc_thresh3 (or 1, 2), as it is."""
    with open(NEIGHBOURS + str(number), encoding="ascii") as f:
        return int(f.read())


def _write(number, value):
    with open(NEIGHBOURS + str(number), "w", encoding="ascii") as f:
        f.write(str(value))


class Mesh:
    """The network, without a BIRD yet."""

    def __init__(self, count):
        self.count = count
        self.hub = net.Node("hub")
        self.hub.ip("link add hub type bridge", "link set hub up")
        self.nodes = [self._node(i) for i in range(count)]
        self.directory = tempfile.mkdtemp(prefix="culvert-mesh-")
        os.chmod(self.directory, 0o755)
        self.birds = []

    def _node(self, i):
        node = net.Node(f"s{i}")
        node.ip(f"link add eth0 type veth peer name s{i} netns {self.hub.path}",
                "link set eth0 up", f"addr add {address(i)}/16 dev eth0",
                # Where routes are to lead; nothing is sent here.
                f"tuntap add {DEVICE} mode tun", f"link set {DEVICE} up")
        self.hub.ip(f"link set s{i} up master hub")
        return node

    def run(self, configure, limit):
        """
        Start a BIRD in every node, with the text of configure(i, count, directory); a dict of what was
        seen. They have ended when this returns.
        """
        files = [self._file(i, configure) for i in range(self.count)]
        watch = bgp_watch.RouteWatch(self.nodes)
        wanted = self.count * (self.count - 1)
        try:
            begin = self._start(files)
            converged = net.wait_for(lambda: watch.total >= wanted or self._died(), limit)
            if died := self._died():
                raise RuntimeError(died)
            end = max(watch.last.values())
            return self._seen(watch, wanted, end - begin if converged else None)
        finally:
            self._end()
            watch.close()

    def _file(self, i, configure):
        directory = os.path.join(self.directory, str(i))
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, "bird.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(configure(i, self.count, directory))
        return path

    def _start(self, files):
        """
        All at the same moment (when that was): one after the other, the first would keep two processors
        so busy with calling those who are not there that the last come minutes later.
        """
        wait, go = os.pipe()
        self.birds = [self._spawn(i, conf, wait) for i, conf in enumerate(files)]
        os.close(wait)
        begin = time.time()
        os.close(go)
        return begin

    def _spawn(self, i, conf, wait):
        directory = os.path.dirname(conf)
        with open(os.path.join(directory, "said"), "wb") as said:
            return self.nodes[i].spawn(
                ["sh", "-c", 'read -r go; exec bird "$@"', "sh", "-f", "-c", conf, "-s",
                 os.path.join(directory, "bird.ctl")], stdin=wait, stdout=said, stderr=said)

    def _died(self):
        """What a BIRD that has ended said, or None: all live."""
        for i, child in enumerate(self.birds):
            if child.poll() is not None:
                with open(os.path.join(self.directory, str(i), "said"), encoding="utf-8") as f:
                    return f"the BIRD of s{i} has ended: {f.read().strip()}"
        return None

    def _seen(self, watch, wanted, seconds):
        alive = [child.pid for child in self.birds if child.poll() is None]
        seen = {
            "converged_s": seconds, "routes": watch.total, "wanted": wanted,
            "alive": len(alive), "lost_notices": watch.lost,
            "cpu_s": sum(map(bgp_watch.cpu, alive)),
            "pss_mb": sum(map(bgp_watch.pss, alive)) / 1e6,
            "notices_per_route": sum(watch.events.values()) / wanted,
        }
        # Of two that have called each other, one is closed and may be tried again.
        deadline = time.monotonic() + 20
        while (sessions := self._sessions()) < wanted and time.monotonic() < deadline:
            time.sleep(1)
        seen["sessions"], seen["sessions_wanted"] = sessions, wanted
        # What the kernels say themselves, of some.
        seen["kernel_of_some"] = [bgp_watch.count_kernel(self.nodes[i], DEVICE)
                                  for i in range(0, self.count, max(1, self.count // 10))]
        return seen

    def _sessions(self):
        count = 0
        for i in range(self.count):
            path = os.path.join(self.directory, str(i), "bird.ctl")
            with contextlib.suppress(OSError):
                count += len(re.findall(r"^\S+ +BGP .*Established",
                                        bgp_watch.ask(path, "show protocols"), re.M))
        return count

    def _end(self):
        # At once: 200 that end one after the other tell each other of it.
        for child in self.birds:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
        for child in self.birds:
            child.wait()
        self.birds = []
        for node in self.nodes:
            node.run("ip route flush proto bird", check=False)

    def close(self):
        """Remove its files; the namespaces end with the program."""
        self._end()
        shutil.rmtree(self.directory, ignore_errors=True)
