#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle
"""
The checker of address management (ipam_check.py) finds nothing where all is well, and every fault
that is put in: documents come from a small model (ipam_model.py), not from src/.
"""

import ipaddress
import json
import os
import random
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import tap  # noqa: E402
from ipam_check import BLOCKS, Grants, HANDLES, History, faults  # noqa: E402
from ipam_model import Model  # noqa: E402

POOLS = [ipaddress.ip_network("10.66.0.0/24")]
SEED = 7


def made():
    """(model, {address: handle}) after some work."""
    model, held, luck = Model(), {}, random.Random(SEED)
    for number in range(300):
        if held and (len(held) > 60 or luck.random() < 0.3):
            address = luck.choice(sorted(held))
            model.release(address, held.pop(address))
        else:
            node, handle = f"n{number % 4}", f"k8s.{number if luck.random() < 0.8 else number // 5}"
            held[model.assign(node, handle)] = handle
    for node, blocks in model.nodes.items():
        for cidr in list(blocks):
            if not any(ipaddress.ip_address(address) in cidr for address in held):
                model.give_back(node, cidr)
    return model, held


def all_faults(model, held, history=None):
    """Of the state and of its history."""
    replay = History()
    for revision, changes in history or model.history:
        replay.add(revision, changes)
    return replay.faults + faults(model.items, held, nodes=set(model.nodes), pools=POOLS)


def clean():
    """No false alarm, over hundreds of changes."""
    model, held = made()
    tap.ok(len(held) > 20 and len(model.history) > 300, f"{len(held)} addresses are held")
    tap.equal(all_faults(model, held), [], "the checker has nothing to say")


def edit(model, key, change):
    """Change a document behind everybody's back."""
    document = model.read(key)
    change(document)
    model.commit({key: document})


def a_block(model, held):
    """(key, block) of one in which there is something, and something is free."""
    for key in sorted(model.items):
        block = model.read(key)
        if key.startswith(BLOCKS) and len(block["attributes"]) > 1 and len(block["unallocated"]) > 1:
            return key, block
    raise LookupError(f"no such block, of {len(held)} addresses")


def state():
    """What may be wrong in documents at one moment."""
    def other_handle(block):
        block["attributes"][0]["handle_id"] = "k8s.thief"

    def free_twice(block):
        block["unallocated"].append(block["unallocated"][0])

    def free_and_used(block):
        block["unallocated"].append(next(i for i, a in enumerate(block["allocations"])
                                         if a is not None))

    def forgotten(block):
        block["unallocated"].pop()

    def nowhere(block):
        block["allocations"][block["unallocated"].pop()] = 99

    def shorter(block):
        block["allocations"].pop()

    def moved(block):
        block["affinity"] = "host:n9"

    def of_one(block):
        used = [i for i, a in enumerate(block["allocations"]) if a is not None]
        block["allocations"][used[0]] = block["allocations"][used[1]]

    for change, words in ((other_handle, "lost: "), (free_twice, "twice"), (free_and_used, "differ"),
                          (forgotten, "differ"), (nowhere, "nowhere"), (shorter, "allocations of"),
                          (moved, "no affinity says so"), (of_one, "nothing points at")):
        model, held = made()
        edit(model, a_block(model, held)[0], change)
        said = all_faults(model, held)
        tap.ok(any(words in each for each in said), f"a block: {change.__name__}: {words}", said)


def handles():
    """Handles that count wrong, are missing, or have nothing."""
    for name, change, words in (
            ("counts more", lambda d: d["block"].update({next(iter(d["block"])): 5}), "it says"),
            ("has nothing", lambda d: d["block"].clear(), "no block is left"),
            ("counts none", lambda d: d["block"].update({next(iter(d["block"])): 0}), "0 addresses"),
            ("is no handle", lambda d: d.pop("block"), "KeyError")):
        model, held = made()
        edit(model, HANDLES + sorted(held.values())[0], change)
        said = all_faults(model, held)
        tap.ok(any(words in each for each in said), f"a handle {name}", said)
    model, held = made()
    model.commit({HANDLES + sorted(held.values())[0]: None})
    tap.ok(any("it says None" in each for each in all_faults(model, held)), "a handle is missing")
    model, held = made()
    model.commit({HANDLES + "k8s.ghost": {"block": {"10.66.0.0/29": 1}}})
    tap.ok(any("blocks say None" in each for each in all_faults(model, held)), "a handle of nothing")


def affinities():
    """Blocks of nobody, of a node that is gone, one in another, outside of all pools."""
    model, held = made()
    del model.nodes["n1"]
    tap.ok(any("which is gone" in each for each in all_faults(model, held)), "a node is gone")
    model, held = made()
    model.commit({model.affinity_key("n1", "10.66.0.248/29"): {"state": "confirmed"}})
    tap.ok(any("nobody's" in each for each in all_faults(model, held)), "an affinity of no block")
    model, held = made()
    model.free.insert(0, ipaddress.ip_network("10.66.0.0/30"))
    model.claim("n1")
    tap.ok(any("overlap" in each for each in all_faults(model, held)), "a block is in another")
    model, held = made()
    model.free.insert(0, ipaddress.ip_network("10.99.0.0/30"))
    model.claim("n1")
    tap.ok(any("in no pool" in each for each in all_faults(model, held)), "a block is in no pool")
    model, held = made()
    hole = ipaddress.ip_network(sorted(held)[0] + "/32")
    tap.ok(any("hole: " in each for each in faults(model.items, held, holes=[hole])),
           "a hole is assigned")


def holders():
    """Addresses that nobody has, and that somebody lost."""
    model, held = made()
    model.assign("n1", "k8s.leak")
    said = all_faults(model, held)
    tap.ok(any("leak: " in each for each in said), "an address leaks", said)
    tap.equal(faults(model.items, held, tolerated=lambda handle: handle == "k8s.leak"), [],
              "… unless that is known")
    model, held = made()
    address = sorted(held)[0]
    model.release(address, held[address])
    tap.ok(any("lost: " in each for each in all_faults(model, held)), "an address is lost")


def history():
    """What is right at the end, and was not at every moment."""
    model, held = made()
    at, (key, _) = next((i, c[0]) for i, (_, c) in enumerate(model.history)
                        if i > 200 and len(c) == 2 and c[0][0].startswith(BLOCKS)
                        and c[1][0].startswith(HANDLES))
    revision, changes = model.history[at]
    split = model.history[:at] + [(revision, changes[:1]), (revision + 0.5, changes[1:])] \
        + model.history[at + 1:]
    said = all_faults(model, held, split)
    tap.ok(any("blocks say" in each for each in said), "block and handle in two commits", said)
    tap.ok(key.startswith(BLOCKS), "… of which the block's was the first")

    model, held = made()
    key, block = a_block(model, held)
    handle = block["attributes"][0]["handle_id"]
    without = json.loads(json.dumps(block))
    without["attributes"][0]["handle_id"] = "k8s.thief"
    model.commit({key: without})
    model.commit({key: block})
    said = all_faults(model, held)
    tap.ok(any(f"from {handle} to k8s.thief" in each for each in said), "an address changes hands", said)

    model, held = made()
    key, _ = a_block(model, held)
    edit(model, key, lambda block: block["unallocated"].reverse())
    said = all_faults(model, held)
    tap.ok(any("the queue" in each for each in said), "a queue in another order", said)
    model, held = made()
    key, block = a_block(model, held)
    model.commit({key: None})
    tap.ok(any("is deleted with" in each for each in all_faults(model, held)), "a full block is deleted")


def grants():
    """Who was told what, and when."""
    log = Grants()
    log.granted("10.0.0.1", "a", 1.0)
    log.releasing("a", 2.0)
    log.granted("10.0.0.1", "b", 2.1)
    log.granted("10.0.0.2", "a", 2.2)
    tap.equal(log.doubles(), [], "one after the other is right")
    tap.equal(log.held(), {"10.0.0.1": "b", "10.0.0.2": "a"}, "… and who has what is known")
    log.granted("10.0.0.1", "c", 3.0)
    tap.ok(any("10.0.0.1 is granted to c" in each for each in log.doubles()), "given twice")
    late = Grants()
    late.granted("10.0.0.1", "a", 1.0)
    late.granted("10.0.0.1", "b", 1.9)
    late.releasing("a", 2.0)
    late.releasing("b", 3.0)
    tap.equal(len(late.doubles()), 1, "given twice, for a tenth of a second, long ago")


if __name__ == "__main__":
    tap.main([clean, state, handles, affinities, holders, history, grants], root=False)
