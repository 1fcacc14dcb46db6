# SPDX-License-Identifier: Apache-2.0
"""A culvertd in a node of the packet tests, and what it counts."""

import atexit
import json
import os
import shutil
import signal
import tempfile
import time

import net

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CULVERT_BUILD", os.path.join(ROOT, "build"))

# How packets are carried: by the engine alone, by the fast path before it, by that and past the
# host's stack to and from endpoints, or by another of these at each of two ends. tests/run sets it.
ENGINE, FASTPATH, ENDPOINTS, MIXED = "engine", "fastpath", "endpoints", "mixed"
MODE = os.environ.get("CULVERT_MODE", FASTPATH)
if MODE not in (ENGINE, FASTPATH, ENDPOINTS, MIXED):
    print(f"Bail out! CULVERT_MODE is {MODE}: engine, fastpath, endpoints or mixed")
    raise SystemExit(1)

# Emulated (tests/guest), the verifier needs 8 s for the fast path's programs, 20 on a busy machine.
START_LIMIT_S = 60 if "GUEST_KERNEL" in os.environ else 30


class Culvertd:
    """
    The daemon in a node, with a run directory of its own, in a mode. endpoints: device and
    address of each pod, ("pod0", "10.244.1.2"): what the mode "endpoints" is about. probing:
    whether it probes paths, as it does by default.
    """

    def __init__(self, node, *arguments, mode=MODE, endpoints=(), wrapper=(), probing=False):
        if mode == MIXED:
            raise ValueError("mixed is for tests of two daemons")
        self.node = node
        self.mode = mode
        self.wrapper = list(wrapper)  # words in front of the program's; it must become the program
        self.build = BUILD  # where its program is, also of the next start()
        self.arguments = list(arguments)
        if mode == ENGINE:
            self.arguments += ["--fastpath", "off"]
        # Most tests count what is on the wires; those about paths ask for probes.
        if not probing:
            self.arguments += ["--probing", "off"]
        self.run_dir = tempfile.mkdtemp(prefix=f"culvert-test-{node.name}-")
        # As /run/culvert is: BIRD's user is to reach its own part of it.
        os.chmod(self.run_dir, 0o755)
        # Its resources, never the machine's own; an argument --config comes later and wins.
        self.config = os.path.join(self.run_dir, "etc")
        self.log_path = os.path.join(self.run_dir, "log")
        self.process = None
        atexit.register(self._clean_up)
        self.start()
        # Most tests say nothing of paths: without this they would pass on the engine alone.
        if self.has_fastpath and not self.wrapper and "--fastpath" not in self.arguments:
            self._need_fastpath()
        if mode == ENDPOINTS:
            for device, address in endpoints:
                self.cli("endpoint", "add", device, "ip", address)

    @property
    def has_fastpath(self):
        """True if this mode puts the fast path in front of the engine."""
        return self.mode != ENGINE

    def _need_fastpath(self):
        state = json.loads(self.cli("-j", "status").stdout)["fastpath"]
        if state["state"] != "on":
            why = f"{state['state']}: {state.get('reason')}"
            raise RuntimeError(f"mode {self.mode}, but the fast path is {why}")

    def _clean_up(self):
        if self.process:
            net.stop(self.process)
        # Programs and maps outlive the daemon, and their pins the namespace.
        self.purge(check=False)
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def spawn(self):
        """Start it, without waiting."""
        with open(self.log_path, "ab") as log:
            self.process = self.node.spawn(
                [*self.wrapper, os.path.join(self.build, "culvertd"), "--run-dir", self.run_dir,
                 "--config", self.config, *self.arguments],
                stdout=log,
                stderr=log,
            )

    def start(self):
        """Start it and wait until it answers."""
        self.spawn()
        deadline = time.monotonic() + START_LIMIT_S
        while self.cli("status", check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"culvertd does not answer:\n{self.log()}")
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        """Stop it; its exit code."""
        return net.stop(self.process, number)

    def purge(self, check=True):
        """`culvertd --purge`: remove what a stopped daemon has left; CompletedProcess."""
        return self.node.run(
            [os.path.join(BUILD, "culvertd"), "--purge", "--run-dir", self.run_dir], check=check
        )

    def pause(self):
        """Stop it where it is (SIGSTOP); returns when every thread stands still."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = f"/proc/{self.process.pid}/task"
        for task in os.listdir(tasks):
            while True:
                with open(f"{tasks}/{task}/stat", encoding="utf-8") as f:
                    if f.read().rpartition(")")[2].split()[0] == "T":
                        break
                time.sleep(0.001)

    def resume(self):
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def log(self):
        """What it has said."""
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def cli(self, *arguments, check=True):
        """Run culvert; CompletedProcess."""
        return self.node.run(
            [os.path.join(BUILD, "culvert"), "--run-dir", self.run_dir, *arguments], check=check
        )

    def add(self, line, *addresses):
        """`culvert tunnel add …`; the device is set up and given addresses."""
        words = line.split()
        self.cli("tunnel", "add", *words)
        more = (f"addr add {address} dev {words[0]}" for address in addresses)
        self.node.ip(f"link set {words[0]} up", *more)

    def delete(self, name):
        """`culvert tunnel del NAME`."""
        self.cli("tunnel", "del", name)

    def change(self, line):
        """`culvert tunnel change …`."""
        self.cli("tunnel", "change", *line.split())

    def counters(self, tunnel=None):
        """
        All counters by name: of a tunnel, or (None) those of the engine. Names as in
        drop.h and counters.h, and rx_packets, rx_bytes, tx_packets, tx_bytes.
        """
        if tunnel is None:
            status = json.loads(self.cli("-j", "status").stdout)
            del status["paths"]  # how many there are of which sort: no counters
            return _flatten(status)
        shown = json.loads(self.cli("-j", "-s", "tunnel", "show", tunnel).stdout)
        return _flatten([each["counters"] for each in shown])

    def paths(self, tunnel="tun0"):
        """Which share of a tunnel's packets took which path: {"fast": …, "engine": …, …}."""
        return json.loads(self.cli("-j", "-s", "tunnel", "show", tunnel).stdout)[0]["paths"]

    def alive(self):
        """True while the daemon runs."""
        return self.process.poll() is None

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def descriptors(self):
        """Number of open files."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def _flatten(value, prefix=""):
    """Every number in nested JSON by its own key; rx.packets as rx_packets."""
    found = {}
    if isinstance(value, list):
        for each in value:
            if isinstance(each, (dict, list)):
                found.update(_flatten(each, prefix))
        return found
    for key, each in value.items():
        if isinstance(each, (dict, list)):
            found.update(_flatten(each, f"{key}_" if key in ("rx", "tx") else ""))
        elif isinstance(each, int) and not isinstance(each, bool):
            found[prefix + key] = each
    return found


class Watch:
    """
    What counters did since the watch was made, for one tunnel or the engine (None):
    watch.rose() is a dict of those that grew, whichever path counted. Waits a moment for one
    that is expected.
    """

    def __init__(self, daemon, tunnel="tun0"):
        self.daemon = daemon
        self.tunnel = tunnel
        self.before = daemon.counters(tunnel)

    def rose(self):
        """What grew since the watch was made."""
        ignored = IGNORED | HANDED_OVER if self.daemon.has_fastpath else IGNORED
        return {key: value for key, value in self.grown().items() if key not in ignored}

    def grown(self):
        """The same, and by which way packets came to the engine."""
        now = self.daemon.counters(self.tunnel)
        return {
            key: value - self.before.get(key, 0)
            for key, value in now.items()
            if value != self.before.get(key, 0)
        }

    def wait(self, name, count=1, timeout=2.0):
        """Wait until counter name has grown by count; by how much it has."""
        deadline = time.monotonic() + timeout
        while True:
            grown = self.grown().get(name, 0)
            if grown >= count or time.monotonic() > deadline:
                return grown
            time.sleep(0.01)


# Numbers in the JSON that are no counters.
IGNORED = {"uptime", "pid", "version", "mtu", "ifindex", "workers", "tunnels", "endpoints"}
# Not what became of a packet, but by which way it came to the engine.
HANDED_OVER = {"handed-over"}


def need_programs():
    """Say it and leave if the programs are not built."""
    for program in ("culvert", "culvertd"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            print(f"Bail out! {BUILD}/{program} is missing: run make first")
            raise SystemExit(1)
