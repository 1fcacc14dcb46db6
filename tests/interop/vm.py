# SPDX-License-Identifier: Apache-2.0
"""
A virtual machine: qemu with one of Debian's kernels (see tests/guest) and busybox, its only card a
TAP device of the node (net.Node) on which it runs.

    vm = Machine(node, "tap0", mac="52:54:00:00:00:01")    # boots in the background
    vm.wait()
    vm.sh("ip addr add 10.65.1.5/24 dev eth0")             # what it prints

It ends with the test, however that ends: nothing is on a disk, and the process dies with its parent.
"""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[1:1] = [os.path.join(os.path.dirname(HERE), word) for word in ("packet", "guest")]

import kernel as kernels  # noqa: E402
import net  # noqa: E402

QEMU = "qemu-system-x86_64"
BOOT_LIMIT_S = 120


class Machine:
    """One virtual machine. Made, it boots; wait() waits for that."""

    def __init__(self, node, tap, mac, kernel="6.12", memory=192):
        self.directory = tempfile.mkdtemp(prefix="culvert-vm-")
        atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        found = kernels.get(kernel)
        initramfs = os.path.join(self.directory, "initramfs")
        kernels.make_initramfs(found.directory, found.release, initramfs,
                               init=os.path.join(HERE, "vm-init"), modules=["virtio_net"])
        self.line, far = socket.socketpair()
        node.ip(f"tuntap add dev {tap} mode tap", f"link set {tap} up")
        with open(self._path("log"), "wb") as log:
            self.process = node.spawn([
                QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-machine", "q35", "-cpu", "max,la57=off", "-accel", "tcg,thread=single",
                "-m", f"{memory}M", "-kernel", found.image, "-initrd", initramfs,
                "-append", "console=ttyS0 mitigations=off panic=-1 random.trust_cpu=on tsc=reliable"
                           " quiet no_timer_check ipv6.disable=1",
                "-serial", f"file:{self._path('console')}",
                "-chardev", f"socket,id=line,fd={far.fileno()}", "-serial", "chardev:line",
                "-netdev", f"tap,id=net0,ifname={tap},script=no,downscript=no",
                "-device", f"virtio-net-pci,netdev=net0,mac={mac},romfile=",
            ], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[far.fileno()])
        far.close()
        self.buffer = b""

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _read_line(self, deadline):
        """The next line that the machine says."""
        while b"\n" not in self.buffer:
            self.line.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.line.recv(65536)
            except TimeoutError:
                data = b""
            if not data:
                raise RuntimeError(f"the virtual machine says no more:\n{self.last_words()}")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def last_words(self):
        """What qemu and the kernel have said."""
        words = ""
        for name in ("log", "console"):
            with open(self._path(name), encoding="utf-8", errors="replace") as f:
                words += "".join(f.readlines()[-15:])
        return words

    def wait(self):
        """Wait until it takes commands."""
        deadline = time.monotonic() + BOOT_LIMIT_S
        while self._read_line(deadline) != "ready":
            pass

    def begin(self, command):
        """Begin a shell command of one line; end() waits for its end."""
        self.line.sendall(command.encode() + b"\n")

    def end(self, check=True, timeout=60):
        """What the command has printed, without the last newline; check: it must have succeeded."""
        deadline = time.monotonic() + timeout
        lines = []
        while not (line := self._read_line(deadline)).startswith("= "):
            lines.append(line)
        text = "\n".join(lines)
        if check and line != "= 0":
            raise RuntimeError(f"the virtual machine: exit code {line[2:]}: {text}")
        return text if check else (int(line[2:]), text)

    def sh(self, command, check=True, timeout=60):
        """Run a shell command of one line."""
        self.begin(command)
        return self.end(check, timeout)

    def stop(self):
        """Switch it off."""
        net.stop(self.process)
