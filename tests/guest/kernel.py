# SPDX-License-Identifier: Apache-2.0
"""
Debian's kernels for the guests: fetched once with apt, unpacked below build/guest/, never installed.

    kernel = get("6.12")        # build/guest/6.12/, made if it is not there
    kernel.image, kernel.initramfs, kernel.modules, kernel.release

Removing build/guest/6.12 is how to get a newer one.
"""

import fcntl
import glob
import lzma
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(ROOT, "build", "guest")

# What people call a kernel -> the package that depends on its newest image.
PACKAGES = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}

# What the first root needs to mount the second. Some are built into some kernels.
BOOT_MODULES = ["virtio_mmio", "virtio_pci", "virtio_console", "fuse", "virtiofs", "overlay"]
BUSYBOX = "/bin/busybox"


class Unavailable(Exception):
    """There is no such kernel here, and why."""


class Kernel:
    """One unpacked kernel."""

    def __init__(self, name):
        self.name = name
        self.directory = os.path.join(CACHE, name)
        self.modules = os.path.join(self.directory, "lib", "modules")
        self.initramfs = os.path.join(self.directory, "initramfs")

    @property
    def image(self):
        """The path of the kernel image."""
        return glob.glob(os.path.join(self.directory, "boot", "vmlinuz-*"))[0]

    @property
    def release(self):
        """What uname -r says in it."""
        return os.path.basename(self.image).split("-", 1)[1]


def run(command, **kwargs):
    """Run a program; what it printed. Unavailable if it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, check=False, env={**os.environ, "LC_ALL": "C"}, **kwargs,
        )
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is missing (make deps installs it)") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise Unavailable(f"{' '.join(command)}: {''.join(last) or 'failed'}")
    return done.stdout


def image_package(package):
    """The package of the newest image that apt knows, named by its meta-package; None: unknown."""
    for line in run(["apt-cache", "depends", "--important", package]).splitlines():
        word, _, name = line.strip().partition(": ")
        if word == "Depends" and name.startswith("linux-image-"):
            return name
    return None


def download(package, directory):
    """Fetch the newest image into a directory; apt's lists are brought up to date if needed."""
    try:
        run(["apt-get", "-q", "download", image_package(package)], cwd=directory)
    except (Unavailable, TypeError):
        # Its lists are absent, or name a version that the archive has replaced since.
        run(["apt-get", "-q", "update"])
        name = image_package(package)
        if not name:
            raise Unavailable(f"apt knows no package {package}") from None
        run(["apt-get", "-q", "-o", "Acquire::Retries=3", "download", name], cwd=directory)


def boot_modules(tree, release, names):
    """The files of modules and of what they need, in the order in which to load them."""
    base = os.path.join(tree, "lib", "modules", release)
    needs = {}
    with open(os.path.join(base, "modules.dep"), encoding="ascii") as f:
        for line in f:
            path, _, others = line.strip().partition(":")
            needs[path] = others.split()
    named = {os.path.basename(path).split(".")[0].replace("-", "_"): path for path in needs}
    order = []
    for name in names:
        path = named.get(name)
        # modules.dep lists what is needed in the reverse order of loading.
        for each in [*reversed(needs[path]), path] if path else []:
            if each not in order:
                order.append(each)
    return [os.path.join(base, path) for path in order]


def make_initramfs(tree, release, output, init=os.path.join(HERE, "init"), modules=BOOT_MODULES):
    """The first root: busybox, modules (of the guests: those that mount the second root), and init."""
    with tempfile.TemporaryDirectory(dir=tree) as top:
        for name in ("bin", "modules", "proc", "sys", "dev", "host", "rw", "new"):
            os.mkdir(os.path.join(top, name))
        shutil.copy(BUSYBOX, os.path.join(top, "bin", "busybox"))
        shutil.copy(init, os.path.join(top, "init"))
        os.chmod(os.path.join(top, "init"), 0o755)
        for number, path in enumerate(boot_modules(tree, release, modules)):
            opener = lzma.open if path.endswith(".xz") else open
            target = os.path.join(top, "modules", f"{number:02}-{os.path.basename(path)}")
            with opener(path, "rb") as module, open(target.removesuffix(".xz"), "wb") as out:
                shutil.copyfileobj(module, out)
        names = [
            os.path.relpath(os.path.join(where, name), top)
            for where, directories, files in os.walk(top)
            for name in sorted(directories + files)
        ]
        with open(output, "wb") as out:
            subprocess.run(
                [BUSYBOX, "cpio", "-o", "-H", "newc"], cwd=top, check=True, stdout=out,
                stderr=subprocess.DEVNULL, input="".join(f"{n}\n" for n in names).encode(),
            )


def unpack(name):
    """Make build/guest/NAME: all of it, or nothing."""
    print(f"guest: fetching {PACKAGES[name]} with apt", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as scratch:
        tree = os.path.join(scratch, "tree")
        os.chmod(scratch, 0o755)
        download(PACKAGES[name], scratch)
        run(["dpkg", "-x", *glob.glob(os.path.join(scratch, "*.deb")), tree])
        # Debian's depmod is where an ordinary user's PATH does not look.
        release = os.listdir(os.path.join(tree, "lib", "modules"))[0]
        run(["/usr/sbin/depmod", "-b", tree, release])
        os.rename(tree, os.path.join(CACHE, name))


def get(name):
    """The kernel of that name."""
    if name not in PACKAGES:
        raise Unavailable(f"no such kernel; there are: {' '.join(PACKAGES)}")
    kernel = Kernel(name)
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(kernel.directory):
            unpack(name)
        sources = [os.path.join(HERE, "init"), os.path.abspath(__file__), BUSYBOX]
        if not os.path.exists(kernel.initramfs) or os.path.getmtime(kernel.initramfs) < max(
            os.path.getmtime(path) for path in sources
        ):
            make_initramfs(kernel.directory, kernel.release, kernel.initramfs + ".new")
            os.rename(kernel.initramfs + ".new", kernel.initramfs)
    return kernel
