# SPDX-License-Identifier: Apache-2.0
"""
Containers by podman with its CNI back end on a host (hosts.py).

No image is needed: a container's files are a tree with busybox, all hosts' the same, and /www in it
is what their web servers serve. What podman keeps (--root, --runroot, --tmpdir, networks) is in a
directory of the host's own.
"""

import atexit
import contextlib
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

import cni
import net

BUSYBOX = "/bin/busybox"
PORT = 80
PAGE_SIZE = 1 << 20

CONTAINERS_CONF = """\
[containers]
cgroups = "enabled"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
dns_servers = ["192.0.2.53"]
no_hosts = true
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "cni"
cni_plugin_dirs = [{plugins}]
network_config_dir = "{networks}"
"""


# Who answers, and as whom it sees who asks ("[::ffff:10.244.1.2]" where there is IPv6).
WHO = """\
#!/bin/sh
seen=${REMOTE_ADDR#"[::ffff:"}
printf 'Content-Type: text/plain\\r\\n\\r\\n%s %s\\n' "$(hostname)" "${seen%]}"
"""


def need_runtime():
    """Say it and leave if podman or what it needs is not here."""
    for program in ("podman", "runc", "conmon"):
        if not shutil.which(program):
            print(f"Bail out! {program} is missing: run make deps first")
            raise SystemExit(1)


@functools.cache
def tree():
    """A root directory for containers: busybox, and /www/page, PAGE_SIZE bytes."""
    top = tempfile.mkdtemp(prefix="culvert-tree-")
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    os.chmod(top, 0o755)
    for directory in ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "www"):
        os.mkdir(os.path.join(top, directory))
    busybox = os.path.join(top, "bin/busybox")
    shutil.copy(BUSYBOX, busybox)
    for applet in subprocess.run([busybox, "--list"], check=True, stdout=subprocess.PIPE,
                                 text=True).stdout.split():
        if applet != "busybox":
            os.symlink("busybox", os.path.join(top, "bin", applet))
    with open(os.path.join(top, "www/page"), "wb") as f:
        f.write(os.urandom(PAGE_SIZE))
    who = os.path.join(top, "www/cgi-bin/who")
    os.mkdir(os.path.dirname(who))
    with open(who, "w", encoding="ascii") as f:
        f.write(WHO)
    os.chmod(who, 0o755)
    return top


@functools.cache
def page():
    """The SHA-256 of /www/page."""
    with open(os.path.join(tree(), "www/page"), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def serve(node, port=PORT):
    """Let a node serve what pods do, /www of tree(); the process."""
    server = node.spawn([BUSYBOX, "httpd", "-f", "-p", str(port), "-h", os.path.join(tree(), "www")])
    net.wait_for(lambda: f":{port} " in node.run("ss -Hltn").stdout)
    return server


def ask(node, address, port=PORT):
    """
    What one of these web servers, asked by a node, says of itself and of who asks, (host name,
    address); else (None, what happened).
    """
    done = node.run(["curl", "-sS", "--max-time", "5", f"http://{address}:{port}/cgi-bin/who"],
                    check=False)
    words = done.stdout.split()
    return tuple(words) if len(words) == 2 else (None, done.stderr.strip() or done.stdout)


class Pod:
    """A container that runs, with an interface each of one or more networks."""

    def __init__(self, podman, name):
        self.podman = podman
        self.name = name
        self.look()

    def look(self):
        """Find its address and its namespace anew, after a restart."""
        said = json.loads(self.podman("inspect", self.name).stdout)[0]
        self.id = said["Id"]
        settings = said["NetworkSettings"]
        self.networks = settings["Networks"]
        self.address = next(iter(self.networks.values()))["IPAddress"]
        self.sandbox = settings["SandboxKey"]

    @property
    def node(self):
        """Its network namespace, for tests' own sockets and programs."""
        return self.podman.host.namespace(os.path.basename(self.sandbox))

    def run(self, *command, check=True):
        """`podman exec`; CompletedProcess."""
        return self.podman("exec", self.name, *command, check=check)

    def pings(self, address, *options):
        """True if an echo is answered."""
        return not self.run("ping", "-c1", "-W2", *options, address, check=False).returncode

    def downloads(self, address, port=PORT):
        """True if the page that another pod serves arrives, whole."""
        # Not wget -T: the one of busybox-static ends by SIGSEGV then.
        done = self.run("sh", "-c", f"timeout 15 wget -q -O - http://{address}:{port}/page | sha256sum",
                        check=False)
        return done.stdout.split()[:1] == [page()]

    def asks(self, address, port=PORT):
        """As ask(), with the container's own programs."""
        done = self.run("timeout", "5", "wget", "-q", "-O", "-", f"http://{address}:{port}/cgi-bin/who",
                        check=False)
        words = done.stdout.split()
        return tuple(words) if len(words) == 2 else (None, done.stderr.strip() or done.stdout)

    @property
    def host_name(self):
        """As its web server says it."""
        return self.id[:12]

    def remove(self, check=True):
        """`podman rm -f`; CompletedProcess."""
        return self.podman("rm", "-f", "-t", "0", self.name, check=check)


class Podman:
    """
    podman on a host. plugins: the directories that plugins are in. It is called like a function:
    podman("ps", "-a").
    """

    def __init__(self, host, plugins=cni.PATH):
        self.host = host
        self.plugins = list(plugins)
        self.home = tempfile.mkdtemp(prefix=f"culvert-podman-{host.name}-")
        atexit.register(shutil.rmtree, self.home, ignore_errors=True)
        self.networks = os.path.join(self.home, "net.d")
        os.mkdir(self.networks)
        self._conf = os.path.join(self.home, "containers.conf")
        with open(self._conf, "w", encoding="utf-8") as f:
            f.write(CONTAINERS_CONF.format(plugins=json.dumps(self.plugins)[1:-1],
                                           networks=self.networks))
        self._names = 0

    def network(self, name, *plugins, version="1.0.0"):
        """Write a list of plugins (dicts) by hand, as network NAME."""
        text = json.dumps({"cniVersion": version, "name": name, "plugins": plugins}, indent=1)
        with open(os.path.join(self.networks, f"{name}.conflist"), "w", encoding="utf-8") as f:
            f.write(text)

    def __call__(self, *words, check=True):
        done = self.host.run(
            ["podman", "--root", self.home + "/root", "--runroot", self.home + "/runroot",
             "--tmpdir", self.home + "/tmp", "--storage-driver", "vfs",
             "--network-config-dir", self.networks, *words],
            check=False, env=dict(os.environ, CONTAINERS_CONF=self._conf), stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise RuntimeError(f"{self.host.name}: podman {words}: {done.stderr.strip()}")
        return done

    def start(self, *options, network="pods", name=None, check=True,
              command=("httpd", "-f", "-p", str(PORT), "-h", "/www")):
        """
        `podman run -d`: a Pod that serves what is in /www. check=False: the CompletedProcess, of
        one that may fail.
        """
        self._names += 1
        name = name or f"pod{self._names}"
        done = self("run", "-d", "--name", name, "--network", network, "--cgroup-parent",
                    self.host.control_group, *options, "--rootfs", tree(), *command, check=check)
        return Pod(self, name) if check else done

    def names(self):
        """Of all containers that there are, in whatever state."""
        return self("ps", "-a", "--format", "{{.Names}}").stdout.split()

    def clear(self):
        """Remove all containers."""
        self("rm", "-f", "-a", "-t", "0")


@contextlib.contextmanager
def sandboxes(host, count, prefix="sandbox"):
    """The names of count network namespaces in /run/netns of a host, as runtimes make them."""
    names = [f"{prefix}{i}" for i in range(count)]
    host.ip(*(f"netns add {name}" for name in names))
    try:
        yield names
    finally:
        host.ip(*(f"netns del {name}" for name in names))
