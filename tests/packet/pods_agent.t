#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
The agent's side of pods, driven by hand over the control socket: what each step gives, what a
kill -9 between any two of them leaves, leftovers, tombstones, a hundred at once.

    pods' namespaces ══ cv… [a1: culvertd, eth0 192.168.100.1/24] ══ [up]
"""

import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import culvert
import net
import pod_agent
import tap
from culvert import Culvertd
from pod_agent import Agent, Pod, Refused, routes

culvert.need_programs()
a1, up = net.Node("a1"), net.Node("up")
net.connect(a1, "eth0", up, "eth0")
a1.ip("addr add 192.168.100.1/24 dev eth0")
up.ip("addr add 192.168.100.9/24 dev eth0", "route add 10.244.0.0/16 via 192.168.100.1")
a1.forward()
daemon = Culvertd(a1, "--node", "a1")
agent = Agent(daemon)
numbers = iter(range(10000))


def new_pod(**kwargs):
    """One that nobody knows."""
    return Pod(agent, a1, f"c{next(numbers)}", **kwargs)


def crash():
    """kill -9, and the next one."""
    daemon.stop(signal.SIGKILL)
    daemon.start()


def refused(code, name, function, *arguments, **members):
    """That an error comes."""
    try:
        tap.ok(False, name, f"no error, but {function(*arguments, **members)}")
    except Refused as error:
        tap.equal(error.code, code, name)
        return str(error)
    return ""


def observe(times=2):
    """Observations of leftovers."""
    for _ in range(times):
        daemon.process.send_signal(signal.SIGHUP)
        # Signals that come together are one.
        json.loads(daemon.cli("-j", "status").stdout)
        time.sleep(0.1)


def none_left(name):
    """Neither attachments nor routes nor devices nor addresses."""
    net.wait_for(lambda: not agent.pods() and not routes(a1))
    tap.equal(agent.pods(), {}, f"{name}: no attachment")
    tap.equal(routes(a1), {}, f"{name}: no route")
    devices = [line.split(":")[1].split("@")[0].strip() for line in a1.run("ip -o link").stdout.splitlines()]
    tap.equal([d for d in devices if d.startswith("cv") and len(d) == 13], [], f"{name}: no device")


def before_resources():
    refused("no-address", "without a pool, STATUS says so", agent.ask, "cni.status")
    said = refused("no-address", "and an ADD", new_pod().add)
    tap.note(said)
    daemon.node.run([culvert.BUILD + "/culvert", "--run-dir", daemon.run_dir, "apply", "-f", "-"],
                    input=pod_agent.resources())
    tap.equal(agent.ask("cni.status"), {}, "with one, and a block, all is well")
    none_left("an ADD that failed")


def one_pod():
    pod = new_pod()
    (address,) = pod.add(pod={"name": "web", "namespace": "default"})
    tap.ok(address.startswith("10.244.1."), "an address of the block", address)
    tap.equal(pod.answer["gateway"], "169.254.1.1", "the gateway")
    tap.equal(pod.answer["mtu"], 1480, "the MTU")
    tap.equal(pod.answer["device"], pod.device, "the host end's name")
    tap.equal(pod.add(), [address], "a second ADD has the same address")
    tap.equal(agent.pods()[pod.key["container"]]["state"], "pending", "it is pending")
    pod.make()
    pod.attach()
    tap.ok(address in routes(a1) and "metric 64" in routes(a1)[address], "its route is there", routes(a1))
    tap.equal(agent.pods()[pod.key["container"]]["state"], "attached", "it is attached")
    tap.ok(pod.pings("192.168.100.1"), "it reaches the host")
    tap.ok(pod.pings("192.168.100.9"), "and what is beyond")
    tap.equal(agent.ask("cni.check", **pod.key)["problems"], [], "CHECK finds nothing")
    tap.equal(pod.attach(), {}, "attached again, it is the same")
    wait_for_endpoint(pod)
    refused("not-permitted", "its endpoint is nobody else's to delete", agent.ask, "endpoint.del",
            endpoint={"dev": pod.device})
    a1.ip(f"route del {address} dev {pod.device} metric 64 proto 84")
    # The reconcile may have mended it by now.
    tap.ok(net.wait_for(lambda: address in routes(a1)), "a route that somebody deleted is made again")
    a1.ip(f"link set {pod.device} down")
    problems = agent.ask("cni.check", **pod.key)["problems"]
    tap.ok(any("down" in problem for problem in problems), "CHECK sees a device that is down", problems)
    a1.ip(f"link set {pod.device} up")
    tap.ok(net.wait_for(lambda: address in routes(a1)), "set up again, it has its route again")
    tap.equal(pod.delete(), {}, "DEL")
    tap.equal(pod.delete(), {}, "DEL again")
    refused("not-found", "CHECK after it", agent.ask, "cni.check", **pod.key)
    refused("not-found", "attach after it", pod.attach_only, "10.244.1.1/32")
    none_left("DEL")


def wait_for_endpoint(pod):
    """It comes a moment after the attachment."""
    def shown():
        found = agent.ask("endpoint.show", endpoint={"dev": pod.device})["endpoints"]
        return found and (found[0]["in_force"] or not daemon.has_fastpath)
    tap.ok(net.wait_for(shown, 10), "its endpoint is there",
           lambda: agent.ask("endpoint.show", endpoint={"dev": pod.device}))


def endpoints_of_chained():
    """A qdisc that a chained plugin brings within the second keeps its device."""
    pod = new_pod()
    pod.run()
    a1.run(f"tc qdisc add dev {pod.device} ingress")
    off = new_pod()
    off.add(bypass="off")
    off.make()
    off.attach()
    net.wait_for(lambda: agent.ask("endpoint.show", endpoint={"dev": pod.device})["endpoints"], 10)
    (shown,) = agent.ask("endpoint.show", endpoint={"dev": pod.device})["endpoints"]
    tap.ok(not shown["in_force"], "not bypassed beside a foreign qdisc", shown)
    tap.ok("ingress" in a1.run(f"tc qdisc show dev {pod.device}").stdout, "which is still there")
    tap.equal(agent.ask("endpoint.show", endpoint={"dev": off.device})["endpoints"], [],
              "bypass off: no endpoint")
    tap.ok("clsact" not in a1.run(f"tc qdisc show dev {off.device}").stdout, "and no qdisc of ours")
    tap.ok(pod.pings("192.168.100.1") and off.pings("192.168.100.1"), "both reach the host")
    for each in (pod, off):
        each.delete()
    none_left("pods with qdiscs")


def addresses_asked_for():
    pod, other = new_pod(), new_pod()
    tap.equal(pod.add(addresses=["10.244.1.33"]), ["10.244.1.33"], "the address that is asked for")
    refused("address-in-use", "another's", other.add, addresses=["10.244.1.33"])
    tap.ok(other.key["container"] not in agent.pods(), "whose note goes again", agent.pods())
    refused("address-not-available", "one of no block", other.add, addresses=["10.244.9.1"])
    refused("address-in-use", "the pool device's own", other.add, addresses=["10.244.1.0"])
    refused("not-found", "no such pool", other.add, pools=["nobody"])
    tap.equal(sorted(other.add(addresses=["10.244.1.40", "10.244.1.41"])), ["10.244.1.40", "10.244.1.41"], "two")
    refused("invalid", "an attachment with another address", pod.attach_only, "10.244.1.40/32")
    for each in (pod, other):
        each.delete()
    delegated = new_pod()
    tap.equal(delegated.add(ipam=False), [], "another plugin's addresses are its own")
    for address in ("127.0.0.1", "0.0.0.7", "224.0.0.9", "192.168.100.1"):
        refused("address-not-available", f"not {address}", delegated.attach_only, address)
    tap.equal(routes(a1), {}, "no route is left of it")
    delegated.answer["addresses"] = ["10.99.0.5/24"]
    delegated.make()
    delegated.attach()
    second = new_pod(node=a1)
    second.add(ipam=False)
    refused("address-in-use", "nor another pod's", second.attach_only, "10.99.0.5")
    second.delete()
    tap.ok("10.99.0.5" in routes(a1), "and routed all the same", routes(a1))
    tap.ok(delegated.pings("192.168.100.1"), "it reaches the host")
    delegated.delete()
    none_left("addresses that were asked for")


def wrong_requests():
    pod = new_pod()
    for member, value in (("network", "-x"), ("container", "a/b"), ("interface", "a b"), ("interface", "x" * 16)):
        refused("invalid", f"{member} {value!r}", agent.ask, "cni.del", **{**pod.key, member: value})
    for members in ({"mode": "bridge"}, {"mode": "bent"}, {"bridge": "cbr0"}, {"addresses": ["fe80::1"]},
                    {"addresses": ["1.1.1.1"] * 2}, {"pools": "pods"}, {"bypass": "maybe"}, {"pod": {"nam": "x"}},
                    {"ipam": False, "addresses": ["10.244.1.9"]}, {"nets": 1}):
        refused("invalid", f"add {members}", pod.add, **members)
    refused("invalid", "gc without a list", agent.ask, "cni.gc", network="pods")
    none_left("wrong requests")


def crashes():
    """kill -9 between every two steps; a DEL, or what follows, cleans up each time."""
    pod = new_pod()
    (address,) = pod.add()
    crash()
    tap.equal(pod.add(), [address], "killed after add: the next ADD has the same address")
    crash()
    pod.make()
    tap.equal(pod.attach(), {}, "killed after add, it can be attached all the same")
    crash()
    tap.ok(address in routes(a1), "killed after attach: the route is there")
    tap.ok(pod.pings("192.168.100.1"), "and it reaches the host")
    wait_for_endpoint(pod)
    os.unlink(os.path.join(daemon.run_dir, "endpoints.json")) if os.path.exists(
        os.path.join(daemon.run_dir, "endpoints.json")) else None
    crash()
    wait_for_endpoint(pod)
    tap.equal(agent.ask("cni.check", **pod.key)["problems"], [], "CHECK finds nothing")
    pod.delete()
    none_left("kills after every step")
    pod = new_pod()
    pod.add()
    crash()
    pod.delete()
    none_left("killed after add, then DEL")
    pod = new_pod()
    pod.add()
    pod.make()
    crash()
    pod.delete()
    none_left("killed before attach, then DEL")


def killed_in_the_middle():
    """kill -9 at any moment of a stream of ADDs and DELs: then every address is given once."""
    for delay in (0.01, 0.03, 0.06, 0.1):
        pods = [new_pod(node=a1) for _ in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            work = [pool.submit(pod.add) for pod in pods]
            time.sleep(delay)
            daemon.stop(signal.SIGKILL)
            for each in work:
                each.exception()
        daemon.start()
        given = [pod.add()[0] for pod in pods]
        tap.equal(len(set(given)), len(pods), f"killed after {delay} s: no address twice")
        for pod in pods:
            pod.delete()
        none_left(f"killed after {delay} s")
    tap.equal(orphans(), 0, "no address is left assigned")


def orphans():
    """How many addresses are assigned beyond the pool device's."""
    pods = [new_pod(node=a1) for _ in range(63)]
    given = []
    try:
        for pod in pods:
            given.append(pod.add()[0])
    except Refused:
        pass
    for pod in pods[:len(given) + 1]:
        pod.delete()
    return 63 - len(given)


def hundred_at_once():
    before = daemon.memory()
    pods = [new_pod(node=a1) for _ in range(62)]
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(62) as pool:
        given = list(pool.map(lambda pod: pod.add()[0], pods))
    tap.note(f"62 ADDs at once: {(time.monotonic() - begin) * 1000:.0f} ms")
    tap.equal(len(set(given)), 62, "62 at once have 62 addresses")
    more = [new_pod(node=a1) for _ in range(38)]

    def try_one(pod):
        try:
            return pod.add()[0]
        except Refused as error:
            return error.code
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        got = list(pool.map(try_one, more))
    tap.equal(sorted(got)[:1] + sorted(got)[1:].count("no-address") * ["x"],
              sorted(got)[:1] + 37 * ["x"], "38 more: one has the last address, 37 none")
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        list(pool.map(lambda pod: pod.delete(), pods + more))
    none_left("a hundred clients at once")
    tap.ok(daemon.memory() - before < 8 << 20, "in little memory", daemon.memory() - before)


def leftovers():
    directory = tempfile.mkdtemp(prefix="culvert-pods-")
    path = os.path.join(directory, "ns")
    pod, gone, alive = new_pod(), new_pod(), new_pod()
    for each in (pod, gone, alive):
        each.run()
    # One whose namespace's name goes, one whose device does.
    pod_agent.bind_namespace(pod.node, path)
    try:
        agent.ask("cni.add", **pod.key, netns=path)
        pod.attach()
        observe()
        tap.equal(len(agent.pods()), 3, "nothing is missing: nothing is deleted")
        pod_agent.unbind_namespace(path)
        a1.ip(f"link del {gone.device}")
        observe(1)
        tap.equal(len(agent.pods()), 3, "missing once: it is still there")
        observe(1)
        tap.ok(net.wait_for(lambda: list(agent.pods()) == [alive.key["container"]]),
               "missing twice: they are deleted", agent.pods())
        tap.ok(not a1.has(pod.device), "with the device")
        # A path that this culvertd has never seen: it may be of another mount namespace.
        pod_agent.bind_namespace(alive.node, path)
        agent.ask("cni.add", **alive.key, netns=path)
        alive.attach()
        daemon.stop()
        pod_agent.unbind_namespace(path)
        daemon.start()
        observe()
        tap.equal(list(agent.pods()), [alive.key["container"]],
                  "a path that culvertd cannot see since its start is no reason to delete a pod that lives")
    finally:
        pod_agent.unbind_namespace(path)
        shutil.rmtree(directory)
    alive.delete()
    none_left("leftovers")


def names_with_dots():
    one, other = new_pod(network="a"), new_pod(network="a.b")
    one.key["container"], other.key["container"] = "b.c", "c"
    tap.ok(one.add() != other.add(), "container b.c of network a, and c of a.b, have two addresses")
    other.delete()
    tap.equal(list(agent.pods()), ["b.c"], "one can be deleted")
    before = one.add()
    third = new_pod()
    tap.ok(third.add() != before, "and the other keeps its address")
    for pod in (one, third):
        pod.delete()
    none_left("names with dots")


def handed_on():
    """An address that is asked for while the DEL of the one that has it is under way."""
    answers = []
    pod = new_pod()
    address = pod.run()
    for _ in range(8):
        after = new_pod()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            gone = pool.submit(pod.delete)
            while True:
                try:
                    after.add(addresses=[address])
                    break
                except Refused as error:
                    answers.append(error.code)
            gone.result()
        after.make()
        after.attach()
        pod = after
    tap.equal(sorted(set(answers) - {"address-in-use"}), [], "it is in use, and then it is given: nothing else")
    pod.delete()
    none_left("handed on")


def tombstones():
    pods = [new_pod(), new_pod()]
    for pod in pods:
        pod.run()
    leave_tombstone(pods[0])
    tap.ok(net.wait_for(lambda: list(agent.pods()) == [pods[1].key["container"]]),
           "a tombstone is read when it comes", agent.pods())
    daemon.stop()
    leave_tombstone(pods[1])
    daemon.start()
    none_left("tombstones")
    tap.ok(net.wait_for(lambda: not os.listdir(os.path.join(daemon.run_dir, "tombstones"))),
           "they are removed")
    # What is called like one and is none: a FIFO would be waited for, by the whole of culvertd.
    strange = os.path.join(daemon.run_dir, "tombstones", "0" * 64 + ".json")
    for kind, make in (("a FIFO", lambda: os.mkfifo(strange)),
                       ("a link", lambda: os.symlink("/dev/zero", strange)),
                       ("a large file", lambda: os.close(os.open(strange, os.O_CREAT | os.O_RDWR))
                        or os.truncate(strange, 1 << 30))):
        make()
        pods = [new_pod()]
        pods[0].add()
        leave_tombstone(pods[0])
        none_left(f"{kind} beside")
        tap.ok(os.path.lexists(strange) and "is no tombstone" in daemon.log(), f"{kind} stays")
        os.unlink(strange)


def leave_tombstone(pod):
    """As model/tombstone.h says."""
    directory = os.path.join(daemon.run_dir, "tombstones")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    name = pod_agent.hash_of(*pod.key.values()) + ".json"
    with open(os.path.join(directory, "new"), "w", encoding="utf-8") as f:
        json.dump(pod.key, f)
    os.rename(os.path.join(directory, "new"), os.path.join(directory, name))


def collected():
    pods = [new_pod() for _ in range(3)]
    other = new_pod(network="other")
    for pod in (*pods, other):
        pod.add()
    valid = [{"container": pods[0].key["container"], "interface": "eth0"}]
    tap.equal(agent.ask("cni.gc", network="pods", valid=valid), {"removed": 2}, "GC removes what is not valid")
    tap.equal(sorted(agent.pods()), sorted([pods[0].key["container"], other.key["container"]]),
              "and nothing else")
    tap.equal(agent.ask("cni.gc", network="pods", valid=[]), {"removed": 1}, "GC of all")
    other.delete()
    none_left("GC")


def database():
    """The daemon's, which must not be running."""
    return contextlib.closing(sqlite3.connect(os.path.join(daemon.run_dir, "state", "addresses.db"),
                                              isolation_level=None))


def gone_back():
    """A store that has gone back in time, as one from a backup, knows nothing of newer pods."""
    # What is free now is given again in the order in which it is free.
    daemon.stop()
    with database() as db:
        backup = db.execute("SELECT key, value, revision FROM documents WHERE key LIKE 'ipam/%'").fetchall()
    daemon.start()
    old = [new_pod(node=net.Node(f"old{i}")) for i in range(3)]
    has = {pod.run(): pod for pod in old}
    daemon.stop()
    with database() as db:
        db.execute("DELETE FROM documents WHERE key LIKE 'ipam/%'")
        db.executemany("INSERT INTO documents (key, value, revision) VALUES (?, ?, ?)", backup)
    daemon.start()
    newer = new_pod()
    said = refused("busy", "what a pod has is given to nobody", newer.add)
    tap.ok("forgotten" in said and "try again" in said, "and the reason is told", said)
    given = newer.add()[0]
    tap.ok(given not in has, "the next ADD has another address", f"{given} of {list(has)}")
    for address, pod in has.items():
        refused("address-in-use", f"{address} is its pod's again", new_pod(node=a1).add, addresses=[address])
        tap.ok(pod.pings("192.168.100.1"), "which lives")
    # Without an ADD a look at the store finds it.
    daemon.stop()
    with database() as db:
        db.execute("DELETE FROM documents WHERE key LIKE 'ipam/%'")
        db.executemany("INSERT INTO documents (key, value, revision) VALUES (?, ?, ?)", backup)
    daemon.start()
    observe(1)
    tap.ok(net.wait_for(lambda: daemon.log().count("has its address assigned again") >= 2 * len(has)),
           "an observation assigns them again", daemon.log)
    for address in has:
        refused("address-in-use", f"{address} is not free", new_pod(node=a1).add, addresses=[address])
    for pod in [newer, *old]:
        pod.delete()
    none_left("a store from a backup")


def full_disk():
    """A state directory of 1 MB, which somebody fills."""
    directory = os.path.join(daemon.run_dir, "state")
    alive = new_pod(node=net.Node("alive"))
    address = alive.run()
    daemon.stop()
    with open(os.path.join(directory, "addresses.db"), "rb") as f:
        kept = f.read()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", directory], check=True)
    try:
        with open(os.path.join(directory, "addresses.db"), "wb") as f:
            f.write(kept)
        with contextlib.suppress(OSError), open(os.path.join(directory, "fill"), "wb", buffering=0) as f:
            while True:
                f.write(bytes(4096))
        daemon.start()
        tap.ok(address in routes(a1) and alive.pings("192.168.100.1"), "on a full disk culvertd starts, pods live")
        pod = new_pod(node=a1)
        said = refused("no-space", "an ADD is refused for now", pod.add)
        tap.ok("make room" in said, "… and why", said)
        os.unlink(os.path.join(directory, "fill"))
        pod.delete()
        tap.equal(len(pod.add()), 1, "with room again it is not")
        pod.delete()
        alive.delete()
        none_left("a full disk")
        daemon.stop()
        with open(os.path.join(directory, "addresses.db"), "rb") as f:
            kept = f.read()
    finally:
        subprocess.run(["umount", "-l", directory], check=False)
    with open(os.path.join(directory, "addresses.db"), "wb") as f:
        f.write(kept)
    daemon.start()


def bridged():
    pods = [new_pod(), new_pod()]
    given = []
    for pod in pods:
        given += pod.add(mode="bridge", bridge="cbr7")
        tap.equal(pod.answer["bridge_addresses"], ["10.244.1.1/26"], "the bridge has the block's first address")
        tap.equal(pod.answer["gateway"], "10.244.1.1", "which is the gateway")
        tap.ok(pod.answer["addresses"][0].endswith("/26"), "the pod's address has the block's length", pod.answer)
        pod.make_port("cbr7")
        tap.equal(pod.attach(), {}, "attached to the bridge")
    tap.equal(agent.ask("cni.check", **pods[0].key)["problems"], [], "CHECK finds nothing")
    tap.ok(pods[0].pings("10.244.1.1"), "a pod reaches the bridge")
    tap.ok(pods[0].pings(given[1]), "and the other pod")
    tap.ok(pods[0].pings("192.168.100.9"), "and what is beyond")
    tap.equal(routes(a1), {}, "it needs no route")
    tap.ok("alias culvert" in a1.run("ip link show cbr7").stdout, "the bridge is known as ours")
    refused("address-in-use", "the block's last address is the bridge's", new_pod(node=a1).add, addresses=["10.244.1.63"])
    holes = json.loads(daemon.cli("-j", "status").stdout)["warnings"]
    tap.note(holes)
    crash()
    tap.ok(pods[0].pings(given[1]) and pods[1].pings("192.168.100.9"), "after a kill -9 all is as it was")
    third = new_pod(node=a1)
    third.add(mode="bridge", bridge="cbr7")
    tap.equal(third.answer["gateway"], "10.244.1.1", "the next pod has the same gateway")
    refused("address-in-use", "no second bridge in its block", new_pod(node=a1).add, mode="bridge", bridge="cbr8")
    others = [new_pod(node=a1) for _ in range(30)]
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        got = list(pool.map(lambda pod: pod.add(mode="bridge", bridge="cbr7")[0], others))
    tap.equal(len(set(got)), 30, "thirty at once on it")
    for pod in (*pods, third, *others):
        pod.delete()
    tap.ok(a1.has("cbr7"), "the bridge stays")
    delegated = new_pod(network="deleg")
    delegated.add(ipam=False, mode="bridge", bridge="cbr9")
    delegated.answer["addresses"] = ["10.99.1.5/24"]
    delegated.make_port("cbr9", gateway="10.99.1.1")
    delegated.attach(gateways=["10.99.1.1/24"])
    tap.ok(delegated.pings("10.99.1.1"), "a gateway that another plugin gives")
    delegated.delete()
    a1.ip("link del cbr7", "link del cbr9", "link add cbr9 type veth peer name cbr9x")
    refused("exists", "a device of another sort", new_pod(node=a1).add, mode="bridge", bridge="cbr9", ipam=False)
    a1.ip("link del cbr9")
    none_left("bridges")


def second_block():
    """A bridge whose next gateway cannot be noted, as on a full disk with addresses in etcd."""
    block = pod_agent.resources(block="10.244.1.64/26").split("---")[2]
    apply = [culvert.BUILD + "/culvert", "--run-dir", daemon.run_dir, "apply", "-f", "-"]
    verbs = ("INSERT", "UPDATE")
    daemon.stop()
    with database() as db:
        for verb in verbs:
            db.execute(f"CREATE TRIGGER no_{verb} BEFORE {verb} ON documents WHEN new.key LIKE 'bridge/%' "
                       "BEGIN SELECT RAISE(ABORT, 'not now'); END")
    daemon.start()
    first, second = new_pod(node=a1), new_pod(node=a1)
    first.add(mode="bridge", bridge="cbr7")
    daemon.node.run(apply, input=block)
    wanted = {"mode": "bridge", "bridge": "cbr7", "addresses": ["10.244.1.70"]}
    try:
        tap.ok(False, "an ADD whose gateway cannot be noted is refused", second.add(**wanted))
    except Refused as error:
        tap.ok("not now" in str(error), "an ADD whose gateway cannot be noted is refused", error)
    tap.ok("10.244.1.65/26" not in a1.ip("addr show dev cbr7"), "the bridge has not its address")
    tap.equal(second.add(**wanted), ["10.244.1.70"], "the next one need not wait for that")
    tap.equal(second.answer["gateway"], "10.244.1.65", "it has a gateway")
    tap.ok("10.244.1.65/26" in a1.ip("addr show dev cbr7"), "which the bridge has", a1.ip("addr show dev cbr7"))
    first.delete()
    second.delete()
    daemon.stop()
    with database() as db:
        for verb in verbs:
            db.execute(f"DROP TRIGGER no_{verb}")
    daemon.start()
    a1.ip("link del cbr7")
    daemon.node.run([*apply[:-3], "delete", "-f", "-"], input=block)
    none_left("a second block")


def unreadable():
    """A note of a later culvertd, say: its pod lives, and its address is nobody's leftover."""
    pod = new_pod()
    address = pod.run()
    key = f"attachment/{pod_agent.hash_of(*pod.key.values())}"
    daemon.stop()
    with database() as db:
        (note,) = db.execute("SELECT value FROM documents WHERE key = ?", (key,)).fetchone()
        later = json.dumps(json.loads(note) | {"version": 99})
        db.execute("UPDATE documents SET value = ? WHERE key = ?", (later, key))
    daemon.start()
    tap.ok(net.wait_for(lambda: key in daemon.log()), "it is named", daemon.log())
    observe(3)
    refused("address-in-use", "its address stays assigned", new_pod(node=a1).add, addresses=[address])
    daemon.stop()
    with database() as db:
        db.execute("UPDATE documents SET value = ? WHERE key = ?", (note, key))
    daemon.start()
    tap.ok(list(agent.pods()) == [pod.key["container"]] and pod.pings("192.168.100.1"), "read again, it is as it was")
    pod.delete()
    none_left("a note that could not be read")


def purged():
    """What --purge takes, and what it leaves, by what it says. Comes last: nothing is known afterwards."""
    pod = new_pod()
    pod.run()
    daemon.stop()
    said = daemon.purge().stdout
    tap.ok("left 1 device of pods" in said, "purge says that a pod's device stays", said)
    tap.ok(a1.has(pod.device), "and so it does")
    tap.equal(routes(a1), {}, "its route does not")
    tap.ok(not os.path.exists(os.path.join(daemon.run_dir, "state")), "nor do the addresses in the run directory")
    daemon.start()
    pod.delete()
    tap.ok(not a1.has(pod.device), "a DEL that knows nothing of it deletes the device by its name")


if __name__ == "__main__":
    tap.main([before_resources, one_pod, endpoints_of_chained, addresses_asked_for, wrong_requests, crashes,
              killed_in_the_middle, hundred_at_once, leftovers,
              names_with_dots, handed_on, tombstones, collected, gone_back, full_disk, bridged, second_block,
              unreadable, purged])
