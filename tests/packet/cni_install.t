#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
`culvert-cni install` and `uninstall`.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time

import cni
import net
import tap
from cni_world import agent, host, nothing_left, state

# ---- install --------------------------------------------------------------------------------------

def tool(*words):
    """culvert-cni with words."""
    return subprocess.run([cni.find(cni.PLUGIN), *words], capture_output=True, text=True,
                          check=False)


def test_install():
    root = tempfile.mkdtemp(prefix="install-", dir=state)
    bin_dir, conf_dir = os.path.join(root, "opt/cni/bin"), os.path.join(root, "net.d")
    where = ["--bin-dir", bin_dir, "--conf-dir", conf_dir]
    conflist = os.path.join(conf_dir, "10-culvert.conflist")

    def read(path=conflist):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def write(path, text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    done = tool("install", *where, "--dry-run")
    tap.ok(done.returncode == 0 and "would write" in done.stdout and not os.listdir(root),
           "--dry-run", done)
    done = tool("install", *where)
    tap.ok(done.returncode == 0 and "portmap" in done.stderr, "install", done)
    tap.equal(json.loads(read()), {
        "cniVersion": "1.0.0", "name": "culvert", "installedBy": "culvert-cni", "plugins": [
            {"type": "culvert-cni", "mode": "routed", "clsact": True,
             "ipam": {"type": "culvert-cni"}, "capabilities": {"ips": True, "mac": True}},
            {"type": "portmap", "capabilities": {"portMappings": True}}]}, "its list")
    installed = os.path.join(bin_dir, cni.PLUGIN)
    tap.ok(os.access(installed, os.X_OK) and sorted(os.listdir(bin_dir)) == [cni.PLUGIN]
           and os.listdir(conf_dir) == ["10-culvert.conflist"], "both files, and nothing beside")
    done = tool("install", *where)
    tap.ok(done.returncode == 0 and done.stdout.count("is there already") == 2, "again", done)
    done = tool("install", *where, "--bridge", "br7", "--run-dir", "/run/other",
                "--chain", "bandwidth,tuning")
    plugins = json.loads(read())["plugins"]
    tap.ok(done.returncode == 0 and "replaced" in done.stdout and
           plugins[0] == {"type": "culvert-cni", "mode": "bridge", "bridge": "br7",
                          "runDir": "/run/other", "ipam": {"type": "culvert-cni"},
                          "capabilities": {"ips": True, "mac": True, "bandwidth": True}} and
           [each["type"] for each in plugins[1:]] == ["bandwidth", "tuning"], "with options", done)

    container = net.Node("c1")
    tool("install", *where, "--run-dir", agent.run_dir, "--chain", "portmap")
    network = cni.Network(host, json.loads(read()), path=(bin_dir, cni.DEBIAN))
    network.add("c1", container.path)
    network.check("c1", container.path)
    network.delete("c1", container.path)
    nothing_left("what is installed works")

    tap.equal(tool("install", *where, "--name", "second", "--chain", "").returncode, 0,
              "a second network")
    done = tool("uninstall", *where)
    tap.ok(done.returncode == 0 and "needs it" in done.stdout and os.path.exists(installed)
           and not os.path.exists(conflist), "uninstall leaves the binary to the other", done)
    tool("uninstall", *where, "--name", "second")
    tap.equal((os.listdir(bin_dir), os.listdir(conf_dir)), ([], []), "and then takes it away")
    tap.equal(tool("uninstall", *where).returncode, 0, "uninstall again")

    write(conflist, '{"name": "mine", "plugins": [{"type": "bridge"}]}')
    done = tool("install", *where)
    tap.ok(done.returncode == 1 and "--force" in done.stderr and "mine" in read()
           and not os.path.exists(installed), "a foreign list stays, and nothing is half done", done)
    tap.ok(tool("uninstall", *where).returncode == 0 and "mine" in read(), "also at uninstall")
    tap.equal((tool("install", *where, "--force").returncode, "mine" in read()), (0, False),
              "--force replaces it")
    os.unlink(installed)
    write(installed, "#!/bin/sh\n")
    done = tool("install", *where)
    tap.ok(done.returncode == 1 and read(installed) == "#!/bin/sh\n", "a foreign binary stays", done)
    os.unlink(installed)
    os.symlink("/bin/true", installed)
    tap.equal((tool("install", *where).returncode, os.readlink(installed)), (1, "/bin/true"),
              "so does a link")
    for words, code in ((["install", "--name", "a/b"], 2), (["install", "--chain", "x"], 2),
                        (["install", "--mode", "x"], 2), (["install", "x"], 2), (["x"], 2),
                        (["--frob"], 2), (["--version"], 0), (["--help"], 0), (["-h"], 0),
                        (["install", "--run-dir", "x"], 2), (["install", "--bridge", "a/b"], 2),
                        (["uninstall", "--name", "../x"], 2)):
        done = tool(*words, *(where if words[0] == "install" else ()))
        tap.equal(done.returncode, code, f"culvert-cni {' '.join(words)}: {done.stderr.strip()[:60]!r}")
    shutil.rmtree(root)


def test_half_read():
    """What cannot be read to its end is not installed as far as it could be."""
    root = tempfile.mkdtemp(prefix="half-", dir=state)
    bin_dir, conf_dir = os.path.join(root, "bin"), os.path.join(root, "net.d")
    installed, program = os.path.join(bin_dir, cni.PLUGIN), cni.find(cni.PLUGIN)
    with open(program, "rb") as f:
        whole = f.read()
    refused = 0
    for number in range(1, 25):
        done = subprocess.run(
            ["strace", "-o", "/dev/null", "-e", "trace=read", "-e", f"inject=read:error=EIO:when={number}",
             program, "install", "--bin-dir", bin_dir, "--conf-dir", conf_dir],
            capture_output=True, text=True, check=False)
        refused += "cannot read /proc/self/exe" in done.stderr
        if os.path.exists(installed):
            with open(installed, "rb") as f:
                tap.ok(f.read() == whole, f"read() fails when called for time {number}: it is whole", done)
            shutil.rmtree(root)
    tap.equal(refused, 1, "once it is its own program that cannot be read, and that is told")
    shutil.rmtree(root, ignore_errors=True)


def test_start_is_fast():
    """No bound that a busy machine could break: what it says is for people, and for a debugger."""
    program = cni.find(cni.PLUGIN)
    environment = {"CNI_COMMAND": "VERSION"}
    began = time.monotonic()
    for _ in range(50):
        subprocess.run([program], env=environment, stdin=subprocess.DEVNULL, check=True,
                       stdout=subprocess.DEVNULL)
    tap.note(f"VERSION, exec included: {(time.monotonic() - began) / 50 * 1000:.1f} ms")
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for name in ("libevent", "libbpf", "libcurl", "libsystemd", "libsqlite"):
        tap.ok(name not in libraries, f"it does not load {name}")


tap.main([
    test_install, test_half_read,
    test_start_is_fast,
], before=lambda name: agent.commands())
