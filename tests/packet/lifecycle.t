#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: timeout=300 needs=build/next
"""
The fast path's life cycle: what becomes of packets, routes and leftovers when culvertd dies, starts
again, is upgraded or rolled back, is switched off, or is purged. Topology: lifecycle.py.
"""

import atexit
import glob
import os
import random
import signal
import socket
import struct
import time

import culvert
import holders
import lifecycle
import tap

culvert.need_programs()
A = culvert.BUILD
# Packets a second on each of the two paths; what the machine does not send in time it sends later.
RATE = int(os.environ.get("LIFECYCLE_RATE", "25000"))
PATHS = os.environ.get("LIFECYCLE_PATHS", "device endpoint ecmp").split()
HOLD_S = 0.7

world = lifecycle.World()
a, b = world.a, world.b


def check_load(what, result, forged):
    """Assertions on what became of a load."""
    for path, each in result.items():
        tap.note(f"{what}, {path} path: {each['sent']} packets, "
                 f"{each['sent'] / each['seconds']:.0f} a second; {each['lost']} lost, "
                 f"{each['duplicated']} duplicated, {each['reordered']} reordered")
        tap.ok(each["sent"] > 500 and not each["failed"], f"{what}: {path} path: all are sent",
               each)
        tap.equal((each["lost"], each["duplicated"]), (0, 0),
                  f"{what}: {path} path: nothing is lost or duplicated (gaps: {each['gaps']})")
    tap.ok(forged["sent"] > 100, f"{what}: the stranger sends", forged)
    tap.equal(forged["received"], 0, f"{what}: nothing of a stranger's arrives")


def under_load(what, steps, rate=RATE):
    """Do steps (name, function) under load, and assert that the network has noticed nothing."""
    leaks = [lifecycle.Leaks(a), lifecycle.Leaks(b)]
    monitors = [holders.Monitor(node) for node in (a, b)]
    # The last path is there for its authorisation, not to be loaded.
    rates = {path: min(rate, 2000) if path == "ecmp" else rate for path in PATHS}
    load = lifecycle.Load(world, rates, PATHS)
    time.sleep(HOLD_S)
    try:
        for name, step in steps:
            tap.note(f"{what}: {name}")
            step()
            time.sleep(HOLD_S)
    finally:
        result, forged = load.end()
        lines = [monitor.lines() for monitor in monitors]
        for monitor in monitors:
            monitor.stop()
        leaked = [leak.end() for leak in leaks]
    check_load(what, result, forged)
    for node, each, seen in zip("ab", lines, leaked):
        tap.ok(holders.unchanged(each), f"{what}: {node}: ip monitor shows no event",
               "\n".join(each))
        tap.equal(seen, [], f"{what}: {node}: nothing leaves unencapsulated")
    return result


def upgrade():
    """From build A to build B, whose maps have another layout."""
    world.stop(signal.SIGTERM)
    world.start(lifecycle.NEXT)


def rollback():
    """And back."""
    world.stop(signal.SIGTERM)
    world.start(A)


def not_one_packet_is_lost():
    under_load("baseline", [("nothing happens", lambda: time.sleep(1))])
    if not os.access(os.path.join(lifecycle.NEXT, "culvertd"), os.X_OK):
        tap.ok(False, f"{lifecycle.NEXT} is built (make next)")
        return
    bird = lifecycle.Bird(world)
    routes, said = bird.routes(), bird.log()
    before = [world.fastpath(daemon)[1]["paths"]["fast"] for daemon in world.daemons]
    result = under_load("faults", [
        ("kill -9", lambda: world.stop(signal.SIGKILL)),
        ("restart", world.start),
        ("SIGTERM", world.stop),
        ("restart", world.start),
        ("upgrade", upgrade),
        ("kill -9 of the new version", lambda: world.stop(signal.SIGKILL)),
        ("restart of the new version", world.start),
        ("rollback", rollback),
    ])
    tap.ok(bird.has_kept(routes), "BIRD has the routes that it had, since when it had them",
           lambda: f"{bird.routes()}, not {routes}")
    tap.equal(bird.log(), said, "and has said nothing")
    bird.end()
    after = [world.fastpath(daemon)[1]["paths"]["fast"] for daemon in world.daemons]
    sent = sum(each["sent"] for each in result.values())
    by_engine = sum(daemon.counters("tun0")["handed-over"] for daemon in world.daemons)
    tap.note(f"{by_engine} packets by the engine since the last start")
    # What is counted while an upgrade moves the counters may be lost: a few packets each time. And
    # after each start the engine carries a few of the ecmp path, and then gives its word again.
    for counter, index in (("tx_packets", 0), ("rx_packets", 1)):
        grown = after[index][counter] - before[index][counter]
        tap.note(f"{counter}: {grown} counted, {sent} sent")
        tap.ok(-20 <= sent - grown <= (20 if counter == "tx_packets" else 400), f"{counter} goes on over all of it",
               f"{grown} counted, {sent} sent")


def words_end_with_the_routes():
    """What the engine has said of several next hops holds as long as they do, and no longer."""
    source, destination = lifecycle.PATHS["ecmp"]
    several = ("route replace 10.244.3.0/24 nexthop via 10.0.0.1 dev tun0 onlink"
               " nexthop via 10.0.0.77 dev tun0 onlink")
    other = "route replace 10.244.3.0/24 via 10.0.0.77 dev tun0 onlink"
    taker = b.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender = a.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taker.bind((destination, lifecycle.PORT))
    taker.settimeout(0.3)
    sender.bind((source, 0))
    sender.connect((destination, lifecycle.PORT))

    def arrives(word):
        sender.send(word)
        try:
            while taker.recv(100) != word:
                pass
        except socket.timeout:
            return False
        return True

    for alive in (True, False):
        what = "with culvertd" if alive else "without"
        astray = told = 0
        for number in range(20 if alive else 3):
            b.ip(several)
            world.daemons[1].cli("status", check=alive)
            told += arrives(b"told %d" % number) and arrives(b"goes on %d" % number)
            if not alive:
                world.daemons[1].stop(signal.SIGKILL)
                told += arrives(b"goes on without %d" % number)
            b.ip(other)
            astray += arrives(b"astray %d" % number)
            if not alive:
                world.daemons[1].start()
        tap.equal(told, 20 if alive else 6, f"{what}: a peer among several next hops is let in")
        tap.equal(astray, 0, f"{what}: not once it is none any more")
    b.ip(several)
    taker.close()
    sender.close()


def switched_off_and_on():
    """--fastpath off takes the programs away while packets fly, and auto brings them back."""
    def off():
        world.stop(signal.SIGKILL)
        for daemon in world.daemons:
            daemon.arguments += ["--fastpath", "off"]
        world.start()

    def on():
        world.stop(signal.SIGTERM)
        for daemon in world.daemons:
            del daemon.arguments[-2:]
        world.start()

    # The engine is slower, and while it is stopped nothing carries: only the switch itself counts.
    load = lifecycle.Load(world, RATE / 20)
    time.sleep(HOLD_S)
    off()
    time.sleep(HOLD_S)
    result, forged = load.end()
    check_load("--fastpath off", result, forged)
    for daemon in world.daemons:
        tap.ok("cv_" not in daemon.node.run("tc filter show dev tun0 egress").stdout,
               f"{daemon.node.name}: no program is left")
        tap.ok("cv_" not in daemon.node.run("tc filter show dev eth0 ingress").stdout,
               f"{daemon.node.name}: on no network card")
    on()
    load = lifecycle.Load(world, RATE / 20)
    time.sleep(HOLD_S)
    result, forged = load.end()
    check_load("auto again", result, forged)
    tap.ok(world.fastpath(world.daemons[0])[1]["paths"]["fast"]["tx_packets"] >=
           sum(each["sent"] for each in result.values()), "auto again: by the fast path")


def killed_while_it_starts(count=int(os.environ.get("LIFECYCLE_KILLS", "12"))):
    """At any moment of a start, of any version: the next start is right, and nothing is lost."""
    choice = random.Random(int(os.environ.get("LIFECYCLE_SEED", "1")))
    builds = [A, lifecycle.NEXT]
    killed = [0]

    def cut_short():
        world.stop(signal.SIGKILL)
        for daemon in world.daemons:
            daemon.build = choice.choice(builds)
            daemon.spawn()
        time.sleep(choice.uniform(0, 0.12))
        for daemon in world.daemons:
            killed[0] += daemon.alive()
            daemon.stop(signal.SIGKILL)
        # Every third start is let go on.
        if choice.random() < 0.3:
            world.start(choice.choice(builds))
            time.sleep(0.1)

    before = world.daemons[1].build
    under_load("killed starts", [(f"start {i}", cut_short) for i in range(count)], RATE / 5)
    world.stop()  # One that was let go on is of either build.
    world.start(before)
    tap.ok(killed[0] >= count, f"starts were cut short: {killed[0]}")
    for daemon in world.daemons:
        warnings = [line for line in daemon.log().splitlines() if "warning:" in line]
        tap.equal(warnings, [], f"{daemon.node.name}: no warning in the log")
        names = os.listdir(pin_directory(daemon))
        tap.ok("cv_flows_1" in names and "cv_flows_2" not in names and "new" not in names,
               f"{daemon.node.name}: one layout is pinned", names)
    under_load("after killed starts", [("nothing happens", lambda: time.sleep(0.5))], RATE / 5)
    steps = [("restart", lambda: (world.stop(), world.start()))]
    under_load("restart after killed starts", steps, RATE / 5)


def pin_directory(daemon):
    """Where its maps are pinned."""
    with daemon.node.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        cookie = struct.unpack("Q", s.getsockopt(socket.SOL_SOCKET, 71, 8))[0]
    found = glob.glob(f"/sys/fs/bpf/culvert/{cookie:x}-*")
    if len(found) != 1:
        raise RuntimeError(f"pins: {found}")
    return found[0]


TESTS = [not_one_packet_is_lost, words_end_with_the_routes, switched_off_and_on, killed_while_it_starts]
atexit.register(world.end)
tap.main(TESTS)
