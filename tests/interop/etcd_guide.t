#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle
"""
doc/guide/etcd.md, command by command: three members of a real etcd with TLS, users and roles, nodes
that use them, and what the guide shows of it. Each machine has its own /etc, /var/lib and /run
(machines.py); what a command prints is what the guide says, where it says something.

     etcd1 .1 ┐                  ┌ .11 a1
     etcd2 .2 ┼─ 192.168.90.0/24 ┼ .12 a2
     etcd3 .3 ┘                  └ .100 admin
"""

import os
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import culvert  # noqa: E402
import etcd  # noqa: E402
import tap  # noqa: E402
from machines import Machines, commands, is_like  # noqa: E402

GUIDE = os.path.join(culvert.ROOT, "doc/guide/etcd.md")
ADDRESSES = {"etcd1": "192.168.90.1", "etcd2": "192.168.90.2", "etcd3": "192.168.90.3",
             "a1": "192.168.90.11", "a2": "192.168.90.12", "admin": "192.168.90.100"}

culvert.need_programs()
lan = etcd.Lan()
machines = Machines(lan, ADDRESSES)
for machine in machines.machines.values():
    machine.node.forward()


def run(host, command, output):
    """CompletedProcess. Who looks at what has just been started looks again."""
    deadline = time.monotonic() + 30
    while True:
        done = machines.machines[host].sh(command)
        looks = any(words in command for words in ("endpoint health", "culvert get", "culvert status", "ipam check"))
        if not looks or time.monotonic() > deadline \
                or (done.returncode == 0 and is_like(done.stdout, output)):
            return done
        tap.note(f"not yet: {done.stdout.strip()}")
        time.sleep(0.5)


def guide():
    """All of it, in its order."""
    with open(GUIDE, encoding="utf-8") as f:
        found = commands(f.read())
    tap.ok(len(found) > 20, f"the guide has {len(found)} commands")
    for host, command, output in found:
        done = run(host, command, output)
        shown = command.splitlines()[0][:90]
        if not tap.equal(done.returncode, 0, f"{host}: {shown}"):
            tap.note(done.stdout)
            return
        if output:
            tap.ok(is_like(done.stdout, output), f"… which prints that: {output.splitlines()[0]}",
                   f"it prints:\n{done.stdout}\nand not:\n{output}")


if __name__ == "__main__":
    tap.main([guide])
