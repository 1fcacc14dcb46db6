#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath
"""
doc/guide/kubernetes.md, word for word: its commands on the three nodes of pods.py's network, then
pods as kubelet's container runtime makes them with the list that was installed, and every sentence of
its table of troubles, provoked.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import cni  # noqa: E402
import culvert  # noqa: E402
import hosts  # noqa: E402
import net  # noqa: E402
import podman  # noqa: E402
import tap  # noqa: E402
from cluster import ping  # noqa: E402
from zones import ADDRESSES, NODES, Zones, block_text  # noqa: E402

GUIDE = os.path.join(culvert.ROOT, "doc/guide/kubernetes.md")
LIST = "/etc/cni/net.d/10-culvert.conflist"
BIN = "/opt/cni/bin"
CONTAINER = "5f6c0d3d9f3b".ljust(64, "0")  # as the guide shows it
HOST_PORT = 8080

SMALL = """\
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: small
spec:
  cidr: 10.99.0.0/29
  ipipMode: CrossSubnet
  blockSize: 29
""" + block_text("a2", "10.99.0.0/29")

culvert.need_programs()
podman.need_runtime()
zones = Zones(start=False, pods=False, node=hosts.Host, probing=True)
for each_node in zones.nodes.values():
    each_node.settle()
zones.start()
with open(GUIDE, encoding="utf-8") as guide_file:
    guide = guide_file.read()
networks = {}  # node: the list that was installed


def make_install(name):
    """What `make install` leaves, of which the guide speaks, and where its daemon listens."""
    node = zones.nodes[name]
    node.run(["sh", "-ec", f"""
        mkdir -p /run/culvert /usr/local/lib/cni {BIN}
        mount --bind {zones.daemons[name].run_dir} /run/culvert
        cp {culvert.BUILD}/culvert /usr/local/bin/
        cp {culvert.BUILD}/culvert-cni /usr/local/lib/cni/
        # kubernetes-cni's.
        cp {cni.DEBIAN}/portmap {BIN}/
    """])


def commands(after, until):
    """What the guide shows of commands in some of its sections: (node, command, what it prints)."""
    text = guide[guide.index(f"\n## {after}"):guide.index(f"\n## {until}")]
    return re.findall(r"^    (each|a1|a2|b1)# (.*)\n((?:    (?!\w+# ).*\n)*)", text, re.M)


def run(where, command):
    """A command of the guide; what it prints."""
    said = ""
    for name in NODES if where == "each" else (where,):
        node = zones.nodes[name]
        done = node.run(["sh", "-c", f"cd /run/host && {command}"], check=False,
                        env=dict(os.environ, PATH="/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
        tap.equal(done.returncode, 0, f"{name}# {command}")
        if done.returncode:
            tap.note(done.stdout + done.stderr)
        said = done.stdout
    return said


def steps():
    """Steps 1 to 3."""
    for name in NODES:
        make_install(name)
    for where, command, printed in commands("1. Culvert", "4. It works"):
        said = run(where, command)
        if "> cluster.yaml" in command:
            source = zones.nodes[where].file("/run/host/cluster.yaml")
            for name in NODES:
                if name != where:
                    shutil.copy(source, zones.nodes[name].file("/run/host/cluster.yaml"))
        if printed:
            tap.equal(said, re.sub("^    ", "", printed, flags=re.M), "… prints that")
    for name in NODES:
        with open(zones.nodes[name].file(LIST), encoding="utf-8") as f:
            networks[name] = cni.Network(zones.nodes[name], json.load(f), path=(BIN,))


def kubelet_adds(name, container, pod, **capabilities):
    """As containerd does it for kubelet; the address."""
    zones.nodes[name].ip(f"netns add {container[:12]}")
    zones.nodes[name].namespace(container[:12]).ip("link set lo up")
    said = networks[name].add(
        container, f"/run/netns/{container[:12]}", capabilities=capabilities, args=(
            f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod};"
            f"K8S_POD_INFRA_CONTAINER_ID={container};K8S_POD_UID=0b7d3c8e-7f7d-4f0e-8b53-6d0a4f4f6d02"))
    return said["ips"][0]["address"].partition("/")[0]


def kubelet_deletes(name, container):
    """The opposite, the namespace first, as happens."""
    zones.nodes[name].ip(f"netns del {container[:12]}")
    networks[name].delete(container, f"/run/netns/{container[:12]}")


def row(name, pod):
    """A pod's line of `culvert pods`, in words."""
    lines = zones.cli(name, "pods").stdout.splitlines()
    return next((line.split() for line in lines if line.startswith(pod)), None)


def it_works():
    """Step 4: pods on every node, which reach each other and are reached."""
    mapping = [{"hostPort": HOST_PORT, "containerPort": podman.PORT, "protocol": "tcp"}]
    given = {name: kubelet_adds(name, CONTAINER, "web-0", portMappings=mapping) for name in NODES}
    inside = {name: zones.nodes[name].namespace(CONTAINER[:12]) for name in NODES}
    podman.serve(inside["a1"])
    for name in NODES:
        for target in NODES:
            tap.ok(ping(inside[name], given[target]), f"a pod of {name} reaches {target}'s")
        tap.ok(podman.ask(zones.nodes[name], ADDRESSES["a1"], HOST_PORT)[0],
               f"host {name} reaches hostPort of a1's")
    shown = re.search(r"^    (POD .*)\n    (default/web-0 .*)$", guide, re.M)
    tap.ok(net.wait_for(lambda: row("a1", "default/web-0") == shown[2].split()),
           "the pod is shown as in the guide", lambda: zones.cli("a1", "pods").stdout)
    tap.equal(row("a1", "POD "), shown[1].split(), "… under that heading")
    for where, command, _ in commands("4. It works", "kube-proxy"):
        run(where, command)
    trace = re.search(r"`(culvert trace from .*?)`", guide)[1]
    tap.ok("10.244.3.0/24 is node b1's" in run("a1", trace), "… and the guide's trace says whose it is")
    for name in NODES:
        kubelet_deletes(name, CONTAINER)
        tap.ok("no pods" in zones.cli(name, "pods").stdout, f"{name}: deleted")


# ---- troubles --------------------------------------------------------------------------


def refusal(name="a1", address=None, **members):
    """What an ADD says that fails. members: of the plugin's entry in the list."""
    changed = json.loads(json.dumps(networks[name].list))
    changed["cniVersion"] = members.pop("cniVersion", changed["cniVersion"])
    changed["plugins"] = [changed["plugins"][0] | members]
    network = cni.Network(zones.nodes[name], changed, path=(BIN,))
    with podman.sandboxes(zones.nodes[name], 1, "trouble") as sandboxes:
        try:
            network.add("trouble", f"/run/netns/{sandboxes[0]}", args=address and f"IP={address}")
        except cni.Failure as failure:
            return failure.msg
        finally:
            with contextlib.suppress(cni.Failure):  # of the same kind
                network.delete("trouble", f"/run/netns/{sandboxes[0]}")
    return "no failure"


def without_culvertd():
    zones.daemons["a1"].stop(signal.SIGKILL)
    said = refusal()
    zones.daemons["a1"].start()
    return said


def without_blocks():
    zones.cli("a2", "delete", "-f", "-", text=zones.manifest())
    said = refusal("a2")
    zones.apply(zones.manifest(), names=("a2",))
    return said


def full():
    zones.cli("a2", "apply", "-f", "-", text=SMALL)
    entry = networks["a2"].list["plugins"][0] | {"ipam": {"type": "culvert-cni", "pools": ["small"]}}
    network = cni.Network(zones.nodes["a2"], networks["a2"].list | {"plugins": [entry]}, path=(BIN,))
    with podman.sandboxes(zones.nodes["a2"], 9, "full") as sandboxes:
        try:
            for sandbox in sandboxes:
                network.add(sandbox, f"/run/netns/{sandbox}")
        except cni.Failure as failure:
            return failure.msg
        finally:
            for sandbox in sandboxes:
                network.delete(sandbox, f"/run/netns/{sandbox}")
            zones.cli("a2", "delete", "-f", "-", text=SMALL)
    return "no failure"


def taken():
    address = kubelet_adds("a1", "taken", "web-1")
    said = refusal(address=address)
    kubelet_deletes("a1", "taken")
    return said


def of_the_runtime(away):
    """With podman, whose libcni says it: a plugin is away."""
    node = zones.nodes["a1"]
    runtime = podman.Podman(node, [BIN])
    shutil.copy(node.file(LIST), os.path.join(runtime.networks, "10-culvert.conflist"))
    node.run(f"mv {BIN}/{away} {BIN}/{away}.away")
    said = runtime.start(network="culvert", check=False)
    node.run(f"mv {BIN}/{away}.away {BIN}/{away}")
    runtime.clear()
    return said.stderr.replace('\\"', '"')  # of a log line


TROUBLES = (
    without_culvertd, without_blocks, full, taken,
    lambda: refusal(address="10.244.3.9"),
    lambda: refusal(address="10.99.9.9"),
    lambda: refusal(ipam={"type": "culvert-cni", "pools": ["nobodys"]}),
    lambda: refusal(cniVersion="2.0.0"),
    lambda: refusal(mode="bridged"),
    lambda: of_the_runtime("culvert-cni"),
    lambda: of_the_runtime("portmap"),
)


def troubles():
    """Every sentence of the table is what is said, in this order."""
    table = guide[guide.index("\n| it says |"):]
    sentences = re.findall(r"^\| `(.*?)` \|", table, re.M)
    tap.equal(len(sentences), len(TROUBLES), "the table's sentences are all provoked here")
    for sentence, provoke in zip(sentences, TROUBLES):
        said = provoke()
        tap.ok(re.search(".*".join(map(re.escape, sentence.split("…"))), said), sentence, said)
    for name in NODES:
        tap.ok("no pods" in zones.cli(name, "pods").stdout, f"{name}: and nothing is left of them",
               lambda n=name: zones.cli(n, "pods").stdout)


def away_with_it():
    for where, command, _ in commands("Away with it", "When a pod"):
        run(where, command)
    for path in (LIST, f"{BIN}/culvert-cni"):
        tap.ok(not os.path.exists(zones.nodes["b1"].file(path)), f"{path} is gone")


if __name__ == "__main__":
    tap.main([steps, it_works, troubles, away_with_it, zones.clean_end], zones.before, zones.after)
