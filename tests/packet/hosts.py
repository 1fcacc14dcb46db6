# SPDX-License-Identifier: Apache-2.0
"""
Nodes on which a container runtime can run: besides its network namespace, a host has a mount and a
PID namespace, with a /run, a /var/lib and a /dev/shm of its own and an /etc, an /opt and a /usr/local
that it may write to. So runtimes on several hosts do not meet in the files whose paths they do not let one
choose (/var/lib/cni, /run/netns, /run/runc, /dev/shm/libpod_lock), and nothing of them stays on
the machine.

All of it lives as long as the host's first process, which dies with the test, kill -9 included, and
takes every process of the host along: containers, their monitors, mounts, namespaces. Only control
groups outlive that; they are removed as the test ends.
"""

import atexit
import ctypes
import glob
import os
import signal
import subprocess

import net

CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
_libc = ctypes.CDLL(None, use_errno=True)
_own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY)

# The first process: mounts, says that they are there, and waits for orphans that end.
FIRST = r"""
set -e
mount --make-rprivate /
mount -t proc proc /proc
for directory in /run /var/lib /dev/shm; do
	mount -t tmpfs -o mode=755 host $directory
done
mkdir /run/host /run/netns
for directory in etc opt usr/local; do
	mkdir -p /run/host/$directory.new /run/host/$directory.work
	mount -t overlay -o lowerdir=/$directory,upperdir=/run/host/$directory.new,workdir=/run/host/$directory.work \
		host /$directory
done
echo ready
exec perl -e '$SIG{CHLD} = "IGNORE"; sleep while 1'
"""


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments):
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


class Host(net.Node):
    """A host. Until settle(), a net.Node: that is the time for cables to others."""

    first = None

    def __init__(self, name):
        super().__init__(name)
        self._mounts = self._processes = -1
        self._spawned = []
        self.control_group = f"/culvert-test-{os.getpid()}-{name}"

    def settle(self):
        """From now on all that is run here is in the host's own mount and PID namespace."""
        self.move_in = lambda: _call("unshare", CLONE_NEWNS)
        _call("unshare", CLONE_NEWPID)
        try:
            first = super().spawn(["sh", "-c", FIRST], stdout=subprocess.PIPE, text=True)
        finally:
            _call("setns", _own_pid_namespace, CLONE_NEWPID)
        if first.stdout.readline() != "ready\n":
            raise RuntimeError(f"{self.name}: no mounts")
        atexit.register(self._end)
        self._mounts = os.open(f"/proc/{first.pid}/ns/mnt", os.O_RDONLY)
        self._processes = os.open(f"/proc/{first.pid}/ns/pid", os.O_RDONLY)
        # The directory is then the host's /.
        self.move_in = lambda: _call("setns", self._mounts, CLONE_NEWNS)
        self.first = first

    def _end(self):
        # The first process of a PID namespace does not end before the others have been waited for.
        for child in reversed(self._spawned):
            net.stop(child)
        net.stop(self.first, signal.SIGKILL)
        for top in glob.glob("/sys/fs/cgroup" + self.control_group) \
                + glob.glob("/sys/fs/cgroup/*" + self.control_group):
            for directory, _, _ in os.walk(top, topdown=False):
                net.wait_for(lambda d=directory: _removed(d), 2)

    def spawn(self, argv, **kwargs):
        """As net.Node's."""
        child = super().spawn(argv, **kwargs)
        self._spawned.append(child)
        return child

    def __enter__(self):
        super().__enter__()
        if self.first:
            _call("setns", self._processes, CLONE_NEWPID)
        return self

    def __exit__(self, *_):
        if self.first:
            _call("setns", _own_pid_namespace, CLONE_NEWPID)
        super().__exit__()

    def file(self, path):
        """As net.Node's."""
        return f"/proc/{self.first.pid}/root{path}" if self.first else path

    def namespace(self, name):
        """The network namespace /run/netns/NAME of the host."""
        return Inside(name, self.file(f"/run/netns/{name}"))


class Inside(net.Node):
    """A network namespace that somebody else has made, by its path; processes see the test's files."""

    def __init__(self, name, path):  # pylint: disable=super-init-not-called
        self.name = name
        self.fd = os.open(path, os.O_RDONLY)
        self._depth = 0

    def close(self):
        """Let go of it."""
        os.close(self.fd)


def _removed(directory):
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        pass
    except OSError:
        return False  # its last process is still ending
    return True
