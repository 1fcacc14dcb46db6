#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
The plugin, killed (SIGKILL) at every system call that it makes from its configuration on: strace(1)
kills it as it enters the call. Then a DEL leaves nothing behind, and an ADD of the same container
makes it whole, as if nothing had been. The calls are those of a run that nobody disturbs.
"""

import os
import re

import cni
import net
import tap
from cni_world import HOST_LOCAL, agent, call, config, devices, given, host, nothing_left, state

TRACE = os.path.join(state, "trace")
CALL = re.compile(r"(\w+)\(")


def traced(command, conf, container, *options):
    """A call under strace."""
    return cni.invoke(host, cni.find(cni.PLUGIN), command, conf, **given(container),
                      wrapper=["strace", "-o", TRACE, *options])


def made():
    """(name, how many of that name with it) of each system call behind the configuration, as traced."""
    counts, found, begun = {}, [], False
    with open(TRACE, encoding="utf-8", errors="replace") as f:
        for line in f:
            match = CALL.match(line)
            if not match:
                continue
            name = match.group(1)
            counts[name] = counts.get(name, 0) + 1
            begun = begun or (name == "read" and line.startswith("read(0,"))
            if begun:
                found.append((name, counts[name]))
    return found


def calls(command, conf, container):
    """Those of a whole run."""
    answer = traced(command, conf, container)
    if answer.status:
        raise RuntimeError(f"{command}: {answer.stdout} {answer.stderr}")
    return made()


def killed(command, conf, container, name, count):
    """
    Whether it was killed there, and how many calls it had made by then: what it waits for comes in
    one piece or in more, so neither is always the same.
    """
    answer = traced(command, conf, container, "-e", f"inject={name}:signal=KILL:when={count}")
    return answer.status != 0, len(made())


def campaign(kind, conf):
    """Every call of an ADD, every call of a DEL."""
    container = net.Node("c1")
    adds = calls("ADD", conf, container)
    dels = calls("DEL", conf, container)
    tap.ok(len(adds) > 40 and len(dels) > 15, f"{kind}: {len(adds)} calls of ADD, {len(dels)} of DEL")
    wrong, kills = [], 0
    for index, (name, count) in enumerate(adds):
        was_killed, done = killed("ADD", conf, container, name, count)
        kills += was_killed
        where = f"{name} no. {count}"
        # Every second one is done again first, as a runtime may that was killed, too. Killed at the
        # very end it is whole, which is refused: then a DEL comes first.
        if index % 2:
            answer = call("ADD", conf, **given(container))
            if answer.status and "already" in answer.json["msg"] and done > len(adds) - 12:
                call("DEL", conf, **given(container))
                answer = call("ADD", conf, **given(container))
            if answer.status:
                wrong.append(f"ADD after {where}: {answer.stdout}")
            elif call("CHECK", conf | {"prevResult": answer.json}, **given(container)).status:
                wrong.append(f"CHECK after {where}")
        answer = call("DEL", conf, **given(container))
        if answer.status or leftovers(container):
            wrong.append(f"DEL after {where}: {answer.stdout} {leftovers(container)}")
    tap.equal((wrong, kills > len(adds) - 6), ([], True), f"{kind}: ADD killed {kills} times")
    wrong, kills = [], 0
    for name, count in dels:
        answer = call("ADD", conf, **given(container))
        if answer.status:
            wrong.append(f"ADD before {name} no. {count}: {answer.stdout}")
        kills += killed("DEL", conf, container, name, count)[0]
        answer = call("DEL", conf, **given(container))
        if answer.status or leftovers(container):
            wrong.append(f"DEL after {name} no. {count}: {answer.stdout} {leftovers(container)}")
    tap.equal((wrong, kills > len(dels) - 6), ([], True), f"{kind}: DEL killed {kills} times")
    nothing_left(f"{kind}: nothing is left")


def leftovers(container):
    """Devices, notes, addresses of host-local; what a child that deletes is about to delete is
    waited for."""
    net.wait_for(lambda: not devices(), timeout=0.5)
    given_out = os.path.join(state, "pods")
    addresses = [each for each in os.listdir(given_out)
                 if each.startswith("10.")] if os.path.isdir(given_out) else []
    return [*devices(), *devices(container), *agent.notes, *agent.tombstones(), *addresses]


def test_own_addresses():
    campaign("own addresses", config())


def test_bridge():
    host.ip("link add br7 type bridge", "link set br7 up")
    agent.next = 1  # within the bridge's network
    conf = config(mode="bridge", bridge="br7")
    container = net.Node("c1")
    wrong = []
    for name, count in calls("ADD", conf, container)[40::2]:
        call("DEL", conf, **given(container))
        killed("ADD", conf, container, name, count)
        if call("DEL", conf, **given(container)).status or devices() != ["br7"]:
            wrong.append(f"{name} no. {count}: {devices()}")
    host.ip("link del br7")
    tap.equal(wrong, [], "on a bridge: ADD killed")
    nothing_left("on a bridge: nothing is left")


def test_delegated():
    """host-local dies with the plugin (PR_SET_PDEATHSIG), so that it gives nothing afterwards."""
    campaign("host-local", config(ipam=HOST_LOCAL))


def test_without_culvertd():
    """A DEL that leaves a tombstone: killed before, the next one leaves it."""
    conf = config()
    container = net.Node("c1")
    agent.stop()
    wrong = []
    for name, count in calls("DEL", conf, container):
        os.unlink(tombstone()) if tombstone() else None
        killed("DEL", conf, container, name, count)
        if call("DEL", conf, **given(container)).status or not tombstone():
            wrong.append(f"{name} no. {count}")
    tap.equal(wrong, [], "the tombstone is left")
    tap.equal(agent.tombstones(), [("pods", "c1", "eth0")], "and whole")
    os.unlink(tombstone())
    agent.start()


def tombstone():
    """The path of the only one, or None."""
    directory = os.path.join(agent.run_dir, "tombstones")
    names = [each for each in os.listdir(directory) if each.endswith(".json")] if (
        os.path.isdir(directory)) else []
    return os.path.join(directory, names[0]) if names else None


tap.main([test_own_addresses, test_bridge, test_delegated, test_without_culvertd])
