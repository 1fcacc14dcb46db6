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


class Culvertd:
    """The daemon in a node, with a run directory of its own."""

    def __init__(self, node, *arguments):
        self.node = node
        self.arguments = list(arguments)
        self.run_dir = tempfile.mkdtemp(prefix=f"culvert-test-{node.name}-")
        self.log_path = os.path.join(self.run_dir, "log")
        self.process = None
        atexit.register(self._clean_up)
        self.start()

    def _clean_up(self):
        if self.process:
            net.stop(self.process)
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def start(self):
        """Start it and wait until it answers."""
        with open(self.log_path, "ab") as log:
            self.process = self.node.spawn(
                [os.path.join(BUILD, "culvertd"), "--run-dir", self.run_dir, *self.arguments],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while self.cli("status", check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"culvertd does not answer:\n{self.log()}")
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        """Stop it; its exit code."""
        return net.stop(self.process, number)

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
            return _flatten(json.loads(self.cli("-j", "status").stdout))
        shown = json.loads(self.cli("-j", "-s", "tunnel", "show", tunnel).stdout)
        return _flatten([each["counters"] for each in shown])

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
    What counters did during a `with` block, for one tunnel or the engine (None):
    watch.rose() is a dict of those that grew. Waits a moment for one that is expected.
    """

    def __init__(self, daemon, tunnel="tun0"):
        self.daemon = daemon
        self.tunnel = tunnel
        self.before = daemon.counters(tunnel)

    def rose(self):
        """What grew since the watch was made."""
        now = self.daemon.counters(self.tunnel)
        return {
            key: value - self.before.get(key, 0)
            for key, value in now.items()
            if value != self.before.get(key, 0) and key not in IGNORED
        }

    def wait(self, name, count=1, timeout=2.0):
        """Wait until counter name has grown by count; by how much it has."""
        deadline = time.monotonic() + timeout
        while True:
            grown = self.rose().get(name, 0)
            if grown >= count or time.monotonic() > deadline:
                return grown
            time.sleep(0.01)


# Numbers in the JSON that are no counters.
IGNORED = {"uptime", "pid", "version", "mtu", "ifindex", "workers", "tunnels"}


def need_programs():
    """Say it and leave if the programs are not built."""
    for program in ("culvert", "culvertd"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            print(f"Bail out! {BUILD}/{program} is missing: run make first")
            raise SystemExit(1)
