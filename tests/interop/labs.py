# SPDX-License-Identifier: Apache-2.0
"""
A lab instance for Python tests: made for one program, removed when that program ends.

    with Lab("uml") as lab:
        lab.run("a1", "ip addr")
        child = lab.spawn("b1-pod", ["iperf3", "-s"])

The instance's name carries the process id, so that any number may run side by side.
"""

import atexit
import os
import shlex
import signal
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CULVERT_BUILD", os.path.join(ROOT, "build"))
LAB = os.path.join(ROOT, "lab", "lab")


class CommandFailed(Exception):
    """A command on a node has failed; says which and what it said."""


def stop(child, number=signal.SIGTERM, timeout=5):
    """End a process that was spawned; what it has printed, if that was piped."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        return child.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        child.kill()
        return child.communicate()[0]


class Lab:
    """One instance of lab/lab."""

    UP_LIMIT_S = 120

    def __init__(self, purpose, *arguments):
        self.name = f"{purpose}{os.getpid()}"
        self.arguments = arguments
        self.children = []
        self.is_up = False

    def __enter__(self):
        atexit.register(self.down)
        self.is_up = True
        self.lab("up", *self.arguments, timeout=self.UP_LIMIT_S)
        return self

    def __exit__(self, *_):
        self.down()

    def down(self):
        """End what was spawned and remove the instance."""
        if not self.is_up:
            return
        self.is_up = False
        for child in reversed(self.children):
            stop(child)
        self.lab("down", check=False, timeout=60)

    def lab(self, *words, check=True, timeout=60):
        """Run lab/lab itself; what it printed."""
        done = subprocess.run(
            [LAB, "--name", self.name, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=timeout,
        )
        if check and done.returncode:
            raise CommandFailed(f"lab {' '.join(words)}: {done.stdout.strip()}")
        return done.stdout

    def argv(self, node, command):
        """How command (a list, or a string that is split as a shell would) is run on node."""
        words = shlex.split(command) if isinstance(command, str) else list(command)
        return [LAB, "--name", self.name, "exec", node, *words]

    def try_run(self, node, command, timeout=60, text=None):
        """Run a command on a node with text as its input; CompletedProcess."""
        return subprocess.run(
            self.argv(node, command), input=text or "",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout,
        )

    def run(self, node, command, timeout=60, text=None):
        """The same, for a command that must succeed; what it printed."""
        done = self.try_run(node, command, timeout, text)
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise CommandFailed(f"{node}: {command}: exit code {done.returncode}: {said}")
        return done.stdout

    def ip(self, node, *lines):
        """Run lines of `ip` on a node; what they print."""
        return self.run(node, ["ip", "-batch", "-"], text="".join(x + "\n" for x in lines))

    def spawn(self, node, command, **kwargs):
        """Start a process on a node; it ends with the instance at the latest."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.DEVNULL)
        kwargs.setdefault("stderr", subprocess.DEVNULL)
        child = subprocess.Popen(self.argv(node, command), text=True, **kwargs)
        self.children.append(child)
        return child

    def namespace(self, node):
        """The path of a node's network namespace; k1 has none."""
        return f"/run/netns/cv-{self.name}-{node}"
