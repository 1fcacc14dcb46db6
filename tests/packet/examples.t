#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath
"""
What the documents show: every file of doc/examples is applied to a culvertd, dry and really, and the
first-time flow of doc/guide/zero-to-two-zones.md is run word for word.

     a1 .1 ── 192.168.100.0/24 ── .254 r .254 ── 192.168.200.0/24 ── .2 b1
"""

import atexit
import json
import os
import re
import shutil
import tempfile

import culvert
import net
import tap
from cluster import ping
from culvert import Culvertd
from shapes import end_cleanly, look_after

EXAMPLES = os.path.join(culvert.ROOT, "doc/examples")
GUIDES = os.path.join(culvert.ROOT, "doc/guide")
ADDRESSES = {"a1": "192.168.100.1", "b1": "192.168.200.2"}
DEVICE = "culvert0"

# Of each example: what it needs beside it, and routes that a1 must have then.
WANTED = {
    "ippool.yaml": ((), ()),
    "path.yaml": ((), ()),
    "bgp.yaml": ((), ("blackhole 10.66.1.0/26", "unreachable 10.66.0.0/16")),
    "workloads.yaml": (("two-zones.yaml",), ("10.244.1.128/25 dev machines", "10.244.1.77 dev veth1")),
    "two-zones.yaml": ((), (f"10.244.2.0/24 via 192.168.200.2 dev {DEVICE}",
                            "blackhole 10.244.1.0/24", "unreachable 10.244.0.0/16")),
    "underlay-in-pool.yaml": ((), (f"192.168.2.0/24 via 192.168.200.2 dev {DEVICE}",
                                   "unreachable 192.168.6.0/24", "unreachable 192.168.8.0/21")),
    "openstack.yaml": ((), ("10.65.1.0/24 dev brq4f1d0c62-9a",
                            f"10.65.9.77 via 192.168.200.2 dev {DEVICE}",
                            f"10.65.255.2 via 192.168.200.2 dev {DEVICE}")),
    "hybrid.yaml": ((), ("172.16.0.0/16 dev dc0",)),
    "calico-export.yaml": (("kubernetes-nodes.json",),
                           (f"10.244.9.64/26 via 192.168.200.2 dev {DEVICE}",
                            "blackhole 10.244.7.0/26")),
    "kubernetes-nodes.json": ((), ()),
    "bgp-mesh.yaml": (("two-zones.yaml",), ()),
    "bgp-reflectors.yaml": (("two-zones.yaml",), ()),
    "bgp-tor.yaml": (("two-zones.yaml",), ()),
}
# Files of other programs, and the tests that run these by them.
ELSEWHERE = {
    "bgp-tor.frr.conf": "interop/bgp_tor_frr.t",
    "bgp-tor.gobgp.toml": "interop/bgp_tor_gobgp.t",
    "bgp-node.frr.conf": "interop/bgp_beside.t",
    "bird-external.conf": "interop/bgp_beside.t",
}
# Warnings that they are to give.
WARNED = {
    "ippool.yaml": ("this node owns no block", "the pool device has no address"),
    "underlay-in-pool.yaml": ("contains the underlay's addresses",),
    "calico-export.yaml": ("is not acted on",),
    "kubernetes-nodes.json": ("is in no IPPool",),
    "bgp-reflectors.yaml": ("selects no Node",),
    "bgp-tor.yaml": ("selects no Node",),
}

culvert.need_programs()
r = net.Node("r")
r.forward()
nodes, daemons, homes = {}, {}, {}
for name, address in ADDRESSES.items():
    node = nodes[name] = net.Node(name)
    node.forward()
    gateway = address.rsplit(".", 1)[0] + ".254"
    net.connect(node, "eth0", r, "to-" + name, offload=True)
    node.ip(f"addr add {address}/24 dev eth0", f"route add default via {gateway}")
    r.ip(f"addr add {gateway}/24 dev to-{name}")
    homes[name] = tempfile.mkdtemp(prefix=f"culvert-examples-{name}-")
    atexit.register(shutil.rmtree, homes[name], ignore_errors=True)
    config = os.path.join(homes[name], "etc")
    os.mkdir(config)
    daemons[name] = Culvertd(node, "--config", config, "--node", name, probing=True)
# The devices that examples name.
nodes["a1"].ip(*(f"link add {d} type bridge" for d in ("machines", "veth1", "brq4f1d0c62-9a")),
               *(f"link set {d} up" for d in ("machines", "veth1", "brq4f1d0c62-9a")))


def shell(name, line, check=True):
    """Run a line as a person would in a node, whose programs and culvertd are these; CompletedProcess."""
    environment = dict(os.environ, CULVERT_RUN_DIR=daemons[name].run_dir,
                       PATH=culvert.BUILD + ":" + os.environ["PATH"])
    return nodes[name].run(["sh", "-c", line], check=check, env=environment, cwd=homes[name])


def status(name):
    """culvert -j status."""
    return json.loads(daemons[name].cli("-j", "status").stdout)


def routes(name):
    """Those of ours."""
    return nodes[name].run("ip route show proto 84").stdout


def resources(name):
    """How many there are."""
    return status(name)["store"]["resources"]


def manifest(example):
    """An example's path, of what is to be imported the manifest's."""
    path = os.path.join(EXAMPLES, example)
    if not example.endswith(".json"):
        return path
    target = os.path.join(homes["a1"], example + ".yaml")
    shell("a1", f"culvert import {path} > {target}")
    return target


def first_time():
    """The flow with which the guide begins, as it is printed there; doctor is content."""
    with open(os.path.join(GUIDES, "zero-to-two-zones.md"), encoding="utf-8") as f:
        found = re.search(r"^    (culvert plan .*)\n    (culvert apply .*)\n    (culvert doctor b1)$",
                          f.read(), re.M)
    tap.ok(found, "the guide has the three commands")
    plan, apply, doctor = (line.strip() for line in found.groups())
    shell("a1", plan)
    shutil.copy(os.path.join(homes["a1"], "overlay.yaml"), homes["b1"])
    for name, other in (("a1", "b1"), ("b1", "a1")):
        said = shell(name, apply).stdout
        tap.ok(f"applied; this node is {name} ({ADDRESSES[name]}/24" in said
               and f"next: culvert doctor {other}" in said, f"{name}: {apply.split('#')[0].strip()}",
               said)
    done = shell("a1", doctor, check=False)
    tap.equal(done.returncode, 0, doctor)
    tap.ok("protocol 4 passes both ways" in done.stdout, "… which says that it has been through the "
           "tunnel", done.stdout + done.stderr)
    tap.equal(status("a1")["store"]["digest"], status("b1")["store"]["digest"], "one digest")
    tap.ok(ping(nodes["a1"], "10.244.2.0"), "a1 reaches b1's tunnel address")
    with open(os.path.join(EXAMPLES, "two-zones.yaml"), encoding="utf-8") as f, \
            open(os.path.join(homes["a1"], "overlay.yaml"), encoding="utf-8") as g:
        tap.equal(f.read(), g.read(), "two-zones.yaml is what plan prints")
    mtu_guide()
    for name in nodes:
        shell(name, "culvert delete -f overlay.yaml")
        tap.equal((resources(name), routes(name)), (0, ""), f"{name}: deleted, and nothing is left")


def mtu_guide():
    """The commands by which doc/guide/mtu.md lets its reader check its numbers, as printed there."""
    with open(os.path.join(GUIDES, "mtu.md"), encoding="utf-8") as f:
        text = f.read()
    lines = re.search(r"Do not take our word for it:\n\n((?:    a1# .*\n)+)", text)[1].splitlines()
    tap.ok(net.wait_for(lambda: "complete" in shell("a1", "culvert path b1").stdout, 20),
           "the MTU guide: the path is known", lambda: shell("a1", "culvert path").stdout)
    said = {}
    for line in lines:
        line = line.removeprefix("    a1# ")
        done = shell("a1", line, check=False)
        said[line] = done.stdout
        tap.equal(done.returncode, 0, f"… {line}")
    table = re.search(r"    (TUNNEL .*)\n    (culvert0 .*)\n", text)
    got = shell("a1", "culvert path").stdout.splitlines()
    tap.equal((got[0].split(), got[1].split()[:8]), (table[1].split(), table[2].split()[:8]),
              "… and prints that table")
    size = int(re.search(r"-s (\d+)", "".join(lines))[1])
    tap.ok(shell("a1", f"ping -c 1 -M do -s {size + 1} 10.244.2.0", check=False).returncode != 0,
           "… where one byte more is too large")


def bgp_guide():
    """What doc/guide/bgp.md quotes of examples is in them."""
    with open(os.path.join(GUIDES, "bgp.md"), encoding="utf-8") as f:
        sections = re.split(r"^## ", f.read(), flags=re.M)
    for title, example, first in (("A mesh", "bgp-mesh.yaml", "apiVersion"),
                                  ("Route reflectors", "bgp-reflectors.yaml", "apiVersion"),
                                  ("Top of rack", "bgp-tor.yaml", "apiVersion"),
                                  ("Top of rack", "bgp-tor.frr.conf", "router bgp"),
                                  ("A BIRD that you run", "bird-external.conf", "router id")):
        section = next(s for s in sections if s.startswith(title + "\n"))
        quoted = re.search(rf"(?:^    {first}.*\n(?:    .*\n)+)", section, re.M)[0]
        with open(os.path.join(EXAMPLES, example), encoding="utf-8") as f:
            tap.ok(re.sub("^    ", "", quoted, flags=re.M) in f.read(),
                   f"the BGP guide quotes {example} as it is", quoted)


def examples():
    """All are known here; each applies, dry and really, does what it is for, and goes again."""
    tap.equal(sorted(os.listdir(EXAMPLES)), sorted([*WANTED, *ELSEWHERE]), "every example is tested")
    for example, test in ELSEWHERE.items():
        with open(os.path.join(culvert.ROOT, "tests", test), encoding="utf-8") as f:
            tap.ok(f'example("{example}")' in f.read(), f"… {example} by {test}")
    for example, (beside, wanted) in WANTED.items():
        files = " ".join(f"-f {manifest(e)}" for e in (*beside, example))
        dry = shell("a1", f"culvert apply --dry-run {files}", check=False)
        tap.equal((dry.returncode, resources("a1")), (0, 0), f"{example}: a dry run changes nothing")
        tap.ok("created (dry run)" in dry.stdout, "… and says what it would do", dry.stdout + dry.stderr)
        done = shell("a1", f"culvert apply {files}", check=False)
        tap.equal(done.returncode, 0, "… applied")
        tap.ok(net.wait_for(lambda w=wanted: all(each in routes("a1") for each in w), 3),
               "… with its routes", lambda: routes("a1"))
        again = shell("a1", f"culvert apply {files}").stdout
        tap.ok("created" not in again and "configured" not in again, "… once more: unchanged", again)
        warnings = status("a1")["warnings"]
        expected = WARNED.get(example, ())
        tap.ok(all(any(e in w for w in warnings) for e in expected)
               and all(any(e in w for e in expected) for w in warnings), "… and its warnings",
               warnings)
        shell("a1", f"culvert delete {files}")
        tap.equal((resources("a1"), routes("a1")), (0, ""), "… and deleted")


def names():
    """What a document names is there."""
    for directory, _, files in os.walk(os.path.join(culvert.ROOT, "doc")):
        for file in files:
            if not file.endswith(".md"):
                continue
            path = os.path.join(directory, file)
            with open(path, encoding="utf-8") as f:
                linked = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", f.read())
            broken = [l for l in linked if not os.path.exists(os.path.join(directory, l))]
            tap.equal(broken, [], f"{os.path.relpath(path, culvert.ROOT)}: its links lead somewhere")


def metrics():
    """README has every metric, and no other, with its labels."""
    shown, labels = set(), {}
    files = f"-f {manifest('two-zones.yaml')} -f {manifest('bgp-mesh.yaml')}"
    shell("a1", f"culvert apply {files}")
    net.wait_for(lambda: "culvert_bgp_session_up" in daemons["a1"].cli("metrics").stdout, 15)
    for line in daemons["a1"].cli("metrics").stdout.splitlines():
        if line.startswith("# TYPE "):
            shown.add(line.split()[2])
        elif (sample := re.match(r"(\w+)\{(.*)\} ", line)):
            labels[sample[1]] = ",".join(re.findall(r'(\w+)="', sample[2]))
    with open(os.path.join(culvert.ROOT, "README.md"), encoding="utf-8") as f:
        told = dict(re.findall(r"`(culvert_\w+)(?:\{([\w,]*)\})?`", f.read()))
    tap.equal(sorted(told), sorted(shown), "README lists the metrics that there are")
    wrong = {k: v for k, v in labels.items() if told.get(k) != v}
    tap.equal(wrong, {}, "… with their labels")
    shell("a1", f"culvert delete {files}")


def clean_end():
    end_cleanly(daemons.values())
    for each in daemons.values():
        each.purge()


if __name__ == "__main__":
    tap.main([first_time, bgp_guide, examples, metrics, names, clean_end], lambda name: tap.note(name),
             lambda name, failed: look_after(daemons.values(), name, failed))
