#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=endpoints
"""
Many pods on the nodes of pods.py, come and gone: nothing is left over of them, neither of 500 that
the plugin is called for directly (network namespaces without processes, as a runtime's sandboxes
are; 300 on a bridge), nor of 50 real containers, nor of those whose runtime was killed half way.

Containers begin and end in half a second each, plugins in a few hundredths: hence the two numbers.
"""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import cni  # noqa: E402
import podman  # noqa: E402
import tap  # noqa: E402
from pods import NETWORK, NODES, PLUGIN, Pods, same, unreachable  # noqa: E402
from zones import block_text  # noqa: E402

MANY, CONTAINERS, AT_ONCE = 500, 50, 8
# On a bridge each pod is a neighbour of the host's, and the host one of the pod's: of such the kernel
# has 1024 (gc_thresh3), in all namespaces together. Routed ones are permanent, which do not count.
MANY_BRIDGED = 300
MORE = {"a1": "10.244.16.0/22", "a2": "10.244.20.0/22"}  # a /24 has no room for so many
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}

lab = Pods()
start = {}


def first_pods():
    """What only the first pod of a node brings (a bridge, portmap's chains) is there from now on."""
    for name in NODES:
        lab.podman[name].network(NETWORK, lab.plugin(name), PORTMAP)
    lab.apply(lab.manifest() + "".join(block_text(n, cidr) for n, cidr in MORE.items()))
    for name in NODES:
        come_and_go(name)
        start[name] = lab.inventory(name)


def come_and_go(name):
    """A pod in each block: a bridge has addresses of it then, until it has had no pod for a while."""
    first = lab.podman[name].start("-p", f"8080:{podman.PORT}")
    tap.ok(first.pings("192.168.100.254"), f"{name}: a pod reaches the router")
    first.remove()
    if name in MORE:
        lab.podman[name].start("--ip", MORE[name].replace("0/22", "77")).remove()


def many(name, count):
    """So many sandboxes, AT_ONCE at a time."""
    network = cni.Network(lab.nodes[name], lab.conflist(name, PORTMAP))
    with podman.sandboxes(lab.nodes[name], count) as names, ThreadPoolExecutor(AT_ONCE) as workers:
        began = time.monotonic()
        results = list(workers.map(lambda n: network.add(n, f"/run/netns/{n}"), names))
        tap.note(f"{name}: {count} ADDs in {time.monotonic() - began:.1f} s")
        given = [r["ips"][0]["address"].partition("/")[0] for r in results]
        tap.equal(len(set(given)), count, f"{name}: {count} pods, as many addresses")
        tap.equal(sorted(lab.leased(name)), sorted(given), "… all of which ipam show has")
        tap.equal(unreachable(other_pod(), given, timeout=15), [], "… and a pod of b1 reaches")
        began = time.monotonic()
        list(workers.map(lambda n: network.delete(n, f"/run/netns/{n}"), names))
        tap.note(f"{name}: {count} DELs in {time.monotonic() - began:.1f} s")
    same(start[name], lambda: lab.inventory(name), f"{name}: nothing is left of {count} pods", 20)


@functools.cache
def other_pod():
    """The namespace of a pod on b1."""
    return lab.podman["b1"].start().node


def many_routed():
    many("a1", MANY)


def many_bridged():
    many("a2", MANY_BRIDGED)


def containers():
    """The same with podman: CONTAINERS of them on one node."""
    name = "a1"
    with ThreadPoolExecutor(2) as workers:
        pods = list(workers.map(lambda _: lab.podman[name].start(), range(CONTAINERS)))
    given = [pod.address for pod in pods]
    tap.equal(len(set(given)), CONTAINERS, f"{CONTAINERS} containers, as many addresses")
    tap.equal(unreachable(other_pod(), given), [], "… which a pod of b1 reaches")
    tap.ok(pods[0].downloads(pods[-1].address), "… and the first downloads from the last")
    lab.podman[name].clear()
    same(start[name], lambda: lab.inventory(name), f"{name}: nothing is left of {CONTAINERS} containers")


def interrupted():
    """Plugins killed at whatever point they are: DEL of each, as runtimes do then, leaves nothing."""
    name, rounds = "a1", 60
    network = cni.Network(lab.nodes[name], lab.conflist(name))
    config = {**lab.plugin(name), "cniVersion": "1.0.0", "name": NETWORK}
    killed = 0
    with podman.sandboxes(lab.nodes[name], rounds) as names:
        for each in names:
            # Machines differ in how long an ADD takes; after the DEL it takes a little longer.
            took = uncut(name, config, each)
            network.delete(each, f"/run/netns/{each}")
            killed += cut(name, config, each, random.uniform(0, 1.5 * took))
        tap.ok(killed > rounds // 4, f"{killed} of {rounds} ADDs were killed before they had ended")
        for each in names:
            network.delete(each, f"/run/netns/{each}")
    same(start[name], lambda: lab.inventory(name), "nothing is left of ADDs that were killed")


def uncut(name, config, sandbox):
    """How many seconds a whole ADD takes."""
    plugin = begun(name, config, sandbox)
    began = time.monotonic()
    if plugin.wait():  # with a time limit it would look after 0.5, 1.5, 3.5, 7.5 … ms only
        raise AssertionError(f"ADD of {sandbox} failed")
    return time.monotonic() - began


def cut(name, config, sandbox, after):
    """An ADD, killed after some seconds; whether it was under way."""
    plugin = begun(name, config, sandbox)
    try:
        plugin.wait(after)
    except subprocess.TimeoutExpired:
        plugin.kill()
    return plugin.wait() == -signal.SIGKILL


def begun(name, config, sandbox):
    """The process of an ADD."""
    plugin = lab.nodes[name].spawn(
        [PLUGIN], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={
            "PATH": os.environ["PATH"], "CNI_PATH": os.pathsep.join(cni.PATH), "CNI_COMMAND": "ADD",
            "CNI_CONTAINERID": sandbox, "CNI_NETNS": f"/run/netns/{sandbox}", "CNI_IFNAME": "eth0"})
    plugin.stdin.write(json.dumps(config).encode())
    plugin.stdin.close()
    return plugin


def nothing_left():
    for name in NODES:
        lab.podman[name].clear()
        come_and_go(name)
    for name in NODES:
        same(start[name], lambda n=name: lab.inventory(n), f"{name}: nothing is left over")


if __name__ == "__main__":
    tap.main([first_pods, many_routed, many_bridged, containers, interrupted, nothing_left,
              lab.clean_end], lab.before, lab.after)
