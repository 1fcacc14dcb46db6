#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
Addresses in a real etcd of three members, assigned and released at random by ten nodes while members
are killed, paused and cut off, nodes are cut off, killed and removed; afterwards a checker that knows
nothing of src/ looks at what is stored, at all that ever was, and at what the nodes were told
(ipam_check.py).

     m1 .1 ┐                ┌ .11 n0
     m2 .2 ┼─ 192.168.90/24 ┼  …
     m3 .3 ┘                └ .20 n9

ETCD_RANDOM_SEED and ETCD_RANDOM_OPERATIONS set the seed (each run has another) and how much is done
(1,000; etcd_random.long.t: 10,000). Only what the scheduler and etcd do is not in the seed.
"""

import base64
import http.client
import ipaddress
import json
import os
import random
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import culvert  # noqa: E402
import etcd  # noqa: E402
import tap  # noqa: E402
from ipam_check import Documents, History, faults  # noqa: E402
from ipam_nodes import POOL, Client, World  # noqa: E402

SEED = int(os.environ.get("ETCD_RANDOM_SEED", time.time_ns() % 1_000_000))
OPERATIONS = int(os.environ.get("ETCD_RANDOM_OPERATIONS", 1000))
NODES = 10
PREFIX = "/culvert/"
HOLES = ["10.66.0.0/31", "10.66.1.77/32"]

culvert.need_programs()
home = tempfile.TemporaryDirectory(prefix="culvert-etcd-random-")
luck = random.Random(SEED)
lan = etcd.Lan()
cluster = etcd.Cluster.on(lan, 3)
datastore = cluster.datastore(os.path.join(home.name, "datastore.cfg"))
# Few operations last for long enough that something can go wrong meanwhile.
world = World(HOLES, pause_s=max(0.02, 200 / OPERATIONS))
hosts = [lan.plug(f"n{i}", f"{etcd.NETWORK}{11 + i}") for i in range(NODES)]
clients = []
NODE_KEY = PREFIX + "resources/v3/projectcalico.org/nodes/"


def join(name, node, operations):
    """A node, from now on: it registers before it does anything, whenever the others hear of it."""
    cluster.put(NODE_KEY + name, "{}")
    world.names.add(name)
    client = Client(world, name, node, ("etcd", datastore), operations,
                    f"{SEED} {name}")
    clients.append(client)
    return client


def ask_all(function):
    """[what function(client) returns in each one's thread], of those that are there."""
    results = [(client, client.order(lambda c=client: function(c)))
               for client in clients if client.is_alive()]
    found = []
    for client, result in results:
        value = result.get(timeout=120)
        if isinstance(value, Exception):
            raise RuntimeError(f"{client.name}: {value!r}") from value
        found.append(value)
    return found


# ---- what goes wrong ------------------------------------------------------------------


def cut(node, on):
    """A node that nothing reaches, and from which nothing goes out, without a word; or no more."""
    text = "table ip cut\ndelete table ip cut\n"
    if on:
        text += "".join(f"table ip cut {{ chain {hook} {{ type filter hook {hook} priority -300; "
                        f"policy drop; }}\n}}\n" for hook in ("input", "output"))
    node.run(["nft", "-f", "-"], input=text)


def kill_members(members, seconds=1.0):
    """They are started again."""
    for member in members:
        member.kill()
    yield luck.uniform(0.3, 1) * seconds
    for member in members:
        member.spawn()


def kill_a_member():
    """One that follows."""
    yield from kill_members([luck.choice(cluster.followers())])


def kill_the_leader():
    """The others elect another."""
    yield from kill_members([cluster.leader()])


def kill_the_quorum():
    """One is left, which may decide nothing; now and then for longer than anybody waits."""
    yield from kill_members(luck.sample(cluster.members, 2), luck.choice((0.3, 1, 7)))


def pause_the_leader():
    """Its connections stay, and nothing answers; then it is none any more, and does not know."""
    leader = cluster.leader()
    leader.pause()
    yield luck.uniform(0.5, 3)
    leader.resume()


def cut_off_the_leader():
    """From the other members: clients still reach it."""
    leader = cluster.leader()
    leader.cut_from_peers()
    yield luck.uniform(0.5, 3)
    leader.heal()


def cut_off_a_member():
    """From everybody."""
    member = luck.choice(cluster.members)
    member.cut()
    yield luck.uniform(0.5, 3)
    member.heal()


def cut_off_a_node():
    """From all members."""
    node = luck.choice(hosts)
    cut(node, True)
    yield luck.uniform(0.5, 4)
    cut(node, False)


def kill_a_node():
    """What it was about is for it to find out."""
    client = luck.choice(clients)
    if client.driver and client.is_alive():
        client.driver.process.kill()
    yield 0.1


FAULTS = (kill_a_member, kill_the_leader, kill_the_quorum, pause_the_leader, cut_off_the_leader,
          cut_off_a_member, cut_off_a_node, kill_a_node, kill_a_node)


def go_wrong():
    """One fault, and its end."""
    fault = luck.choice(FAULTS)
    world.count(f"fault: {fault.__name__}")
    for seconds in fault():
        time.sleep(seconds)
    # Each begins with a cluster that has a leader; how long that takes is not what is tested here.
    for member in cluster.members:
        member.wait(60)


def remove_a_node():
    """A node is gone for ever, with all that it had; another comes, with another name."""
    client = luck.choice([c for c in clients if c.is_alive()])
    world.count("nodes removed")
    left, client.left = client.left, 0
    client.end()
    client.forget(sorted(client.pods))
    world.names.discard(client.name)
    cluster.delete(NODE_KEY + client.name)
    tap.note(f"{client.name} is removed")
    join(client.name + "x", client.node, left).start()
    ask_all(Client.configure)
    other = luck.choice([c for c in clients if c.is_alive()])
    other.order(lambda: other.ask("check", fix=True))


# ---- what must be ----------------------------------------------------------------------


def stored():
    """{key: value}, without the prefix."""
    return {key[len(PREFIX):]: value for key, value in cluster.dump(PREFIX).items()}


def read_history():
    """All changes that there ever were, from etcd's watch."""
    history, member = History(), cluster.members[0]
    last = cluster.revision()
    # etcd tells a watcher nothing of its own accord: this is the change to wait for.
    cluster.put(PREFIX + "end", "end")
    with member.node:
        connection = http.client.HTTPConnection(member.address, etcd.CLIENT_PORT, timeout=60)
        connection.connect()
    one, end = (base64.b64encode(key.encode()).decode() for key in (PREFIX, PREFIX[:-1] + "0"))
    connection.request("POST", "/v3/watch", json.dumps({"create_request": {
        "key": one, "range_end": end, "start_revision": 1, "fragment": True}}))
    answer, pending, revision = connection.getresponse(), [], 0
    while revision <= last:
        result = json.loads(answer.readline())["result"]
        if result.get("canceled"):
            raise RuntimeError(f"watch: {result}")
        for event in result.get("events", ()):
            kv = event["kv"]
            if int(kv["mod_revision"]) != revision:
                history.add(revision, pending)
                revision, pending = int(kv["mod_revision"]), []
            value = None if event.get("type") == "DELETE" \
                else base64.b64decode(kv.get("value", "")).decode()
            pending.append((base64.b64decode(kv["key"]).decode()[len(PREFIX):], value))
    connection.close()
    cluster.delete(PREFIX + "end")
    return history


def campaign():
    """All operations, with all faults."""
    tap.note(f"ETCD_RANDOM_SEED={SEED} ETCD_RANDOM_OPERATIONS={OPERATIONS}")
    for i, node in enumerate(hosts):
        join(f"n{i}", node, OPERATIONS // NODES)
    began = time.monotonic()
    for client in list(clients):
        client.start()
    removals = sorted(luck.uniform(0.2, 0.8) for _ in range(max(2, OPERATIONS // 2500)))
    while not all(client.idle.is_set() for client in clients if client.is_alive()):
        done = 1 - sum(client.left for client in clients) / OPERATIONS
        if removals and done > removals[0]:
            removals.pop(0)
            remove_a_node()
        else:
            go_wrong()
        time.sleep(luck.uniform(0.1, 0.5))
    seconds = time.monotonic() - began
    tap.note(f"{OPERATIONS} operations in {seconds:.1f} s; a request: median "
             f"{1000 * statistics.median(world.durations):.1f} ms, longest "
             f"{1000 * max(world.durations):.0f} ms")
    for what, count in sorted(world.counts.items()):
        tap.note(f"{count:6} {what}")
    nothing(world.wrongs, "no node was told what it must not be told")
    tap.equal(removals, [], "nodes were removed, too")
    for what in ("assigned", "borrowed", "released", "assigned again", "released by address",
                 "refused"):
        count = sum(n for key, n in world.counts.items() if key.startswith(what))
        tap.ok(count > OPERATIONS // 200, f"there was enough: {what}", world.counts)
    tap.ok(sum(n for what, n in world.counts.items() if what.startswith("fault")) >= 5,
           "and enough went wrong")


def check(client, fix=False):
    """What `culvert ipam check` finds, in a client's thread."""
    return client.order(lambda: client.ask("check", fix=fix)).get(timeout=60)


def mend(client):
    """One pass over everything is enough: the first that the store has not cut short."""
    for _ in range(20):
        said = check(client, fix=True)
        # A driver that was killed last of all notices it now.
        if said and not said["rc"]:
            return said
        tap.note(f"check --fix: {said and said['text']}")
    raise RuntimeError("the store does not answer")


def release_all(client, handles):
    """By one that need not have had them."""
    for at in range(0, len(handles), 100):
        client.order(lambda at=at: client.release(handles[at:at + 100])).get(timeout=60)


def clean():
    """What nobody knew of is given back; then all that is stored is right."""
    def drain(client):
        for _ in range(100):
            if not client.doubtful:
                return True
            client.release(sorted(client.doubtful)[:50])
        return False

    tap.ok(all(ask_all(drain)), "all that was in doubt is released")
    first = next(client for client in clients if client.is_alive())
    said = mend(first)
    tap.note(f"culvert's own check found {len(said['faults'])}, mended {said['fixed']}: "
             + "; ".join(f["text"] for f in said["faults"][:6]))
    # A commit that nobody waited for any more may have happened after its handle was released: what
    # an agent finds at two observations.
    held = world.grants.held()
    late = [(a, h) for a, h in Stored().assigned().items() if held.get(a) != h]
    known = set().union(*(client.ever_doubtful for client in clients))
    tap.note(f"{len(late)} addresses were assigned by commits that came late")
    nothing([each for each in late if each[1] not in known], "each of these was told as unknown")
    release_all(first, [handle for _, handle in late])
    said = check(first)
    tap.equal((said["rc"], said["faults"]), (0, []), "culvert's own check has nothing more to say")
    pools = [ipaddress.ip_network(POOL["cidr"])]
    holes = [ipaddress.ip_network(hole) for hole in HOLES]
    nothing(faults(stored(), held, nodes=world.names, pools=pools, holes=holes),
            f"{len(held)} addresses are held, all of them stored, and nothing else")


def history():
    """No address was given twice, at any time."""
    doubles = world.grants.doubles()
    nothing(doubles, f"of {world.grants.count()} grants no two were of one address at a time")
    began = time.monotonic()
    replay = read_history()
    tap.note(f"{replay.revisions} revisions in {time.monotonic() - began:.1f} s")
    nothing(replay.faults, f"blocks and handles agree at each of {replay.revisions} revisions, "
            "and addresses are reused in turn")
    tap.ok(replay.grants >= world.grants.count(), f"{replay.grants} assignments are in the history")
    tap.ok(replay.items == stored(), "which ends with what is stored")


def ends():
    """All that is held is given back: nothing is left but one block of each node."""
    def empty(client):
        # A driver that was killed last of all notices it now.
        for _ in range(20):
            client.release(sorted(client.pods)[:100] or sorted(client.doubtful)[:100])
        return not client.doubtful and not client.pods

    tap.ok(all(ask_all(empty)), "all is released")
    # Only now: others have borrowed from these blocks.
    ask_all(Client.give_back)
    nothing(world.wrongs, "and nothing wrong was told")
    tap.note("\n".join(sorted({each for each in world.reasons if "is assigned to" not in each})[:40]))
    left = Stored()
    tap.equal((left.assigned(), left.handles), ({}, {}), "no address and no handle is left")
    # Those that nodes which are gone have left while others had addresses of them are nobody's, for
    # the next one who needs a block.
    owned = [cidr for cidr, block in left.blocks.items() if block.node]
    tap.ok(len(owned) <= NODES, f"{len(owned)} empty blocks are nodes', {len(left.blocks) - len(owned)} "
           "nobody's", sorted(left.blocks))
    nothing(faults(stored(), {}, nodes=world.names), "and they are right")
    for client in clients:
        if client.is_alive():
            client.end()


def nothing(found, name):
    """Nothing must have been found: of much, the beginning is enough."""
    tap.ok(not found, name, lambda: f"{len(found)}:\n" + "\n".join(map(str, found[:20])))


class Stored(Documents):
    """As it is now."""

    def __init__(self):
        super().__init__(stored())


if __name__ == "__main__":
    tap.main([campaign, clean, history, ends])
