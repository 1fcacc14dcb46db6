#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: timeout=300
"""
The fast path's life cycle: what becomes of packets, routes and leftovers when culvertd dies, starts
again, is upgraded or rolled back, is switched off, or is purged. Topology: lifecycle.py.
"""

import json
import os
import signal
import time

import culvert
import holders
import lifecycle
import tap

culvert.need_programs()
A = culvert.BUILD
# Packets a second on each of the two paths; what the machine does not send in time it sends later.
RATE = int(os.environ.get("LIFECYCLE_RATE", "25000"))
HOLD_S = 0.7

world = lifecycle.World()
a, b = world.a, world.b


def check_load(what, result, forged):
    """Assertions on what became of a load."""
    for path, each in result.items():
        tap.note(f"{what}, {path} path: {each['sent']} packets, "
                 f"{each['sent'] / each['seconds']:.0f} a second; {each['lost']} lost, "
                 f"{each['duplicated']} duplicated, {each['reordered']} reordered")
        tap.ok(each["sent"] > 1000 and not each["failed"], f"{what}: {path} path: all are sent",
               each)
        tap.equal((each["lost"], each["duplicated"]), (0, 0),
                  f"{what}: {path} path: nothing is lost or duplicated (gaps: {each['gaps']})")
    tap.ok(forged["sent"] > 100, f"{what}: the stranger sends", forged)
    tap.equal(forged["received"], 0, f"{what}: nothing of a stranger's arrives")


def under_load(what, steps, rate=RATE):
    """Do steps (name, function) under load, and assert that the network has noticed nothing."""
    leaks = [lifecycle.Leaks(a), lifecycle.Leaks(b)]
    monitors = [holders.Monitor(node) for node in (a, b)]
    load = lifecycle.Load(world, rate)
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
    tap.equal(bird.routes(), routes, "BIRD has the routes that it had, since when it had them")
    tap.equal(bird.log(), said, "and has said nothing")
    bird.end()
    after = [world.fastpath(daemon)[1]["paths"]["fast"] for daemon in world.daemons]
    sent = sum(each["sent"] for each in result.values())
    # What is counted while an upgrade moves the counters may be lost: a few packets each time.
    for counter, index in (("tx_packets", 0), ("rx_packets", 1)):
        grown = after[index][counter] - before[index][counter]
        tap.note(f"{counter}: {grown} counted, {sent} sent")
        tap.ok(abs(grown - sent) <= 20, f"{counter} goes on over all of it",
               f"{grown} counted, {sent} sent")


tap.main([
    not_one_packet_is_lost,
], after=None)
