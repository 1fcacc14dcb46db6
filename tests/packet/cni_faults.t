#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
The plugin when culvertd is away, fails or is busy, and when something else is in its way.
"""

import os
import re
import shutil
import stat
import threading
import time

import cni_agent
import cni
import net
import tap
from cni_world import agent, call, config, devices, given, host
from cni_world import is_error, nothing_left, state

# ---- culvertd fails -------------------------------------------------------------------------------

def test_agent_away():
    container = net.Node("c1")
    network = cni.Network(host, config())
    network.add("c1", container.path)
    agent.stop()
    began = time.monotonic()
    is_error(call("ADD", container="c2", netns=net.Node("c2").path, ifname="eth0"), 11,
             ["culvertd is not running", "systemctl start culvertd"], "ADD without culvertd")
    took = time.monotonic() - began
    tap.ok(4 < took < 9, "it waits briefly", took)
    tap.equal(agent.tombstones(), [("pods", "c2", "eth0")], "and leaves a tombstone, to be sure")
    began = time.monotonic()
    network.delete("c1", container.path)
    tap.ok(time.monotonic() - began < 2, "DEL without culvertd succeeds at once")
    tap.equal(devices(), [], "the device is gone")
    tap.equal(agent.tombstones(), [("pods", "c1", "eth0"), ("pods", "c2", "eth0")], "a tombstone")
    info = os.stat(os.path.join(agent.run_dir, "tombstones"))
    tap.equal(stat.S_IMODE(info.st_mode), 0o700, "its directory is root's")
    threading.Timer(1, agent.start).start()
    began = time.monotonic()
    network.add("c1", container.path)
    tap.ok(time.monotonic() - began < 4, "an ADD waits for culvertd to come back")
    tap.equal(agent.tombstones(), [("pods", "c2", "eth0")], "its tombstone is gone")
    network.delete("c1", container.path)
    shutil.rmtree(os.path.join(agent.run_dir, "tombstones"))
    nothing_left("nothing is left")
    where = os.path.join(agent.run_dir, "none", "such")
    tap.equal(call("DEL", config(runDir=where), **given(container)).status, 0,
              "DEL without a run directory")
    tap.ok(os.path.isdir(os.path.join(where, "tombstones")), "makes one")


def test_agent_fails():
    container = net.Node("c1")

    def refuse(code):
        def refused(_request):
            raise cni_agent.Refused(code, f"because of {code}")
        return refused

    for command in ("cni.add", "cni.attach"):
        for code, want in (("no-address", 101), ("address-in-use", 101), ("unavailable", 11),
                           ("failed", 103), ("invalid", 7)):
            agent.override[command] = refuse(code)
            is_error(call("ADD", **given(container)), want, [f"because of {code}"],
                     f"{command}: {code}")
            agent.override.clear()
            nothing_left(f"{command}: {code}: nothing is left")
            tap.equal(container.ip("link").count("eth0"), 0, "nor in the container")
    agent.override["cni.del"] = refuse("invalid")
    is_error(call("DEL", **given(container)), 7, ["because of invalid"], "cni.del: invalid")
    # Its database is damaged, or cannot be read: no pod stays for that.
    for code in ("store-broken", "failed", "no-memory"):
        agent.override["cni.del"] = refuse(code)
        tap.equal((call("DEL", **given(container)).status, agent.tombstones()), (0, [("pods", "c1", "eth0")]),
                  f"cni.del: {code}: a tombstone")
        shutil.rmtree(os.path.join(agent.run_dir, "tombstones"))
    agent.override.clear()
    for command in ("cni.add", "cni.attach", "cni.del"):
        cuts = iter(["cut", "cut", "cut"])
        agent.override[command] = lambda request: next(cuts, None)
        verb = "DEL" if command == "cni.del" else "ADD"
        tap.equal(call(verb, **given(container)).status, 0, f"{command}: cut")
        agent.override.clear()
        call("DEL", **given(container))
    shutil.rmtree(os.path.join(agent.run_dir, "tombstones"), ignore_errors=True)
    agent.notes.clear()
    busy = iter([1, 1, 1])

    def is_busy(_request):
        if next(busy, None):
            raise cni_agent.Refused("busy", "in a moment")

    agent.override["cni.add"] = is_busy
    tap.equal(call("ADD", **given(container)).status, 0, "busy: asked again")
    agent.override.clear()
    call("DEL", **given(container))
    for answer in ({}, {"mtu": 1400}, {"mtu": 1400, "addresses": []},
                   {"mtu": 1400, "addresses": ["x"]}, {"mtu": 1400, "addresses": [1]}, []):
        agent.override["cni.add"] = lambda request, it=answer: it
        is_error(call("ADD", **given(container)), 103, ["makes no sense"],
                 f"cni.add answers {answer}")
    agent.override.clear()
    nothing_left("nothing is left")


def test_foreign_devices():
    """What has our device's name and is not ours stays."""
    container = net.Node("c1")
    network = cni.Network(host, config())
    name = network.add("c1", container.path)["interfaces"][0]["name"]
    network.delete("c1")
    host.ip(f"link add {name} type veth peer name other0", f"link set {name} alias mine")
    tap.equal(call("DEL", **given(container)).status, 0, "DEL succeeds")
    is_error(call("ADD", **given(container)), 100, [name, "not made"], "ADD is refused")
    tap.ok(name in devices(), "and the device stays")
    host.ip(f"link set {name} alias ''", f"link set {name} address 02:00:00:00:00:01")
    call("DEL", **given(container))
    tap.ok(name in devices(), "also without an alias, with another MAC")
    host.ip(f"link del {name}")
    nothing_left("nothing is left")


def test_many_at_once():
    nodes = [net.Node(f"c{i}") for i in range(30)]
    network = cni.Network(host, config())
    results, failures = {}, []

    def add(node):
        try:
            results[node.name] = network.add(node.name, node.path)["ips"][0]["address"]
        except Exception as failure:  # pylint: disable=broad-except
            failures.append(failure)

    def run(work):
        threads = [threading.Thread(target=work, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    run(add)
    tap.equal((len(set(results.values())), failures), (30, []), "30 ADDs at once")
    for node in nodes[:3]:
        network.check(node.name, node.path)
    run(lambda node: network.delete(node.name, node.path))
    nothing_left("nothing is left")


def failing(command, container, which, number):
    """A call whose system call of this name fails when it is made for the number-th time."""
    return cni.invoke(host, cni.find(cni.PLUGIN), command, config(), **given(container),
                      wrapper=["strace", "-o", "/dev/null", "-e", f"trace={which}",
                               "-e", f"inject={which}:error=EIO:when={number}"])


def test_kernel_fails():
    """System calls that hardly ever fail."""
    container = net.Node("c1")
    for number in (1, 2):
        is_error(failing("ADD", container, "setns", number), 100, ["cannot enter"],
                 f"setns() fails when called for time {number}")
    nothing_left("nothing is left")
    first = call("ADD", **given(container))
    for number in range(1, 4):
        answer = failing("ADD", container, "sendto", number)
        tap.ok(answer.status == 1 and answer.json["code"] in (4, 100),
               f"a second ADD, sendto() fails when called for time {number}", answer.stdout)
        tap.equal(call("CHECK", config() | {"prevResult": first.json}, **given(container)).stdout, "",
                  "the container that lives keeps its interface")
    call("DEL", **given(container))
    nothing_left("nothing is left")


def test_log():
    container = net.Node("c1")
    path = os.path.join(state, "log")
    call("ADD", config(log=path), **given(container))
    call("ADD", config(log=path), **given(container))
    call("DEL", config(log=path), **given(container))
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    os.unlink(path)
    took = r"c1 eth0 \d+ us \((\S+ \d+(, |\)))+"
    tap.ok(len(lines) == 3 and re.search(rf"Z ADD pods {took}: 0$", lines[0])
           and re.search(rf"ADD pods {took}: 4 CNI_IFNAME", lines[1])
           and re.search(rf"Z DEL pods {took}: 0$", lines[2]), "a line a call", lines)
    call("ADD", config(log="/nowhere/log"), **given(container))
    call("DEL", **given(container))
    nothing_left("a log that cannot be written is no reason to fail")


tap.main([
    test_agent_away,
    test_agent_fails,
    test_foreign_devices,
    test_many_at_once,
    test_kernel_fails,
    test_log,
], before=lambda name: agent.commands())
