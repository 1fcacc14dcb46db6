#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath
"""
`culvert ipam` and `culvert pods`: what is printed for people and for programs, exit codes, words
that make no sense; and that nothing is released that was not seen wrong twice.

    pods' namespaces ══ cv… [a1: culvertd, eth0 192.168.100.1/24]
"""

import json
import os
import signal
import sqlite3
import time

import culvert
import net
import pod_agent
import tap
from culvert import Culvertd
from pod_agent import Agent, Pod

APART_S = 10  # of two looks (src/agent/leaks.h)

culvert.need_programs()
a1 = net.Node("a1")
up = net.Node("up")
net.connect(a1, "eth0", up, "eth0")
a1.ip("addr add 192.168.100.1/24 dev eth0")
a1.forward()
daemon = Culvertd(a1, "--node", "a1")
agent = Agent(daemon)
DATABASE = os.path.join(daemon.run_dir, "state/addresses.db")
RESOURCES = pod_agent.resources() + """
---
apiVersion: projectcalico.org/v3
kind: IPReservation
metadata: {name: kept}
spec: {reservedCIDRs: [10.244.1.60/31]}
"""
pods = []


def cli(*words):
    """CompletedProcess of culvert."""
    return daemon.cli(*words, check=False)


def apply(text):
    """culvert apply."""
    a1.run([culvert.BUILD + "/culvert", "--run-dir", daemon.run_dir, "apply", "-f", "-"], input=text)


def ask(*words):
    """culvert -j; what it printed, decoded."""
    return json.loads(cli("-j", *words).stdout)


def says(words, code, *parts, error=False):
    """That culvert ends with this code and says these parts, on standard output or error."""
    done = cli(*words)
    text = done.stderr if error else done.stdout
    tap.ok(done.returncode == code and all(part in text for part in parts), f"culvert {' '.join(words)}",
           f"{done.returncode}\n{done.stdout}{done.stderr}")


def documents(change):
    """Change what is on the disk while nobody has it: change(dict) of all documents."""
    daemon.stop(signal.SIGKILL)
    with sqlite3.connect(DATABASE) as db:
        table, key, value = layout(db)
        before = dict(db.execute(f"SELECT {key}, {value} FROM {table}").fetchall())
        after = dict(before)
        change(after)
        for each in before.keys() - after.keys():
            db.execute(f"DELETE FROM {table} WHERE {key} = ?", (each,))
        for each, text in after.items():
            if before.get(each) != text:
                db.execute(f"UPDATE {table} SET {value} = ? WHERE {key} = ?", (text, each))
    db.close()
    daemon.start()


def layout(db):
    """(table, key's column, value's column)."""
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        if "key" in columns and "value" in columns:
            return table, "key", "value"
    raise RuntimeError("no table of documents")


def findings(*words):
    """{code: finding} of ipam check."""
    return {f["code"]: f for f in ask("ipam", "check", *words)["findings"]}


def usage():
    for words, part in (
            (("ipam", "shew"), "unknown command"), (("ipam", "show", "x"), "no address"),
            (("ipam", "show", "10.244.1.0/26"), "no address"), (("ipam", "show", "0.0.0.0"), "no address"),
            (("ipam", "show", "10.0.0.1", "10.0.0.2"), "one address at a time"),
            (("ipam", "release"), "what?"), (("ipam", "release", "10.0.0.1", "--handle", "h"), "what?"),
            (("ipam", "reserve"), "give an address"), (("ipam", "check", "now"), "leave it out"),
            (("ipam", "show", "--fix"), "is for ipam check"), (("ipam", "check", "--blocks"), "is for ipam show"),
            (("ipam", "check", "--comment", "x"), "is for ipam reserve"),
            (("status", "--fix"), "are for ipam"), (("pods", "x"), "leave it out"),
            (("migrate",), "--datastore"), (("migrate", "x", "--datastore", "f"), "leave it out"),
            (("status", "--datastore", "f"), "are for migrate"), (("ipam", "--no-blocks"), "is for import")):
        says(words, 2, part, error=True)
    for words in (("ipam", "help"), ("ipam", "check", "help"), ("pods", "help"), ("migrate", "help")):
        says(words, 0, "Usage: culvert")


def nothing_there():
    says(("ipam",), 0, "node a1, store file: blocks 0", "no pools")
    says(("pods",), 0, "no pods")
    tap.equal(ask("pods"), [], "-j pods: an empty list")
    says(("ipam", "check"), 0, "nothing is wrong")
    says(("ipam", "show", "10.244.1.5"), 0, "10.244.1.5: in no pool")


def some_pods():
    apply(RESOURCES)
    pods.extend(Pod(agent, a1, f"c{i}") for i in range(3))
    pods[0].add(pod={"name": "web", "namespace": "default"})
    pods[0].make()
    pods[0].attach()
    for pod in pods[1:]:
        pod.run()
    found = ask("ipam", "show", "--blocks")
    own = found["own"]
    tap.ok(own["blocks"] == 1 and own["assigned"] == 4 and own["holes"] >= 2,
           "three pods and the tunnel's own address are assigned, and holes are none", found)
    (pool,) = found["pools"]
    tap.ok(pool["name"] == "pods" and pool["cidr"] == "10.244.0.0/16" and pool["block_size"] == 26
           and pool["assigned"] == 4, "the pool's numbers", pool)
    (block,) = found["blocks"]
    tap.ok(block["cidr"] == "10.244.1.0/26" and block["node"] == "a1"
           and block["assigned"] + block["free"] + block["holes"] == 64, "the block's numbers", block)
    says(("ipam", "show", "--blocks"), 0, "POOL", "pods  10.244.0.0/16", "BLOCK", "10.244.1.0/26  a1")
    says(("ipam", "check"), 0, "nothing is wrong")


def one_address():
    address = pods[0].answer["addresses"][0].split("/")[0]
    found = ask("ipam", address)["address"]
    tap.ok(found["state"] == "assigned" and found["handle"] == "pods.c0.eth0"
           and found["attributes"]["pod"] == "web" and found["attributes"]["node"] == "a1"
           and found["block"] == "10.244.1.0/26" and found["block_node"] == "a1", "who has it", found)
    says(("ipam", "show", address), 0, f"{address}: assigned, in block 10.244.1.0/26 of node a1, pool pods",
         "handle: pods.c0.eth0", "namespace: default")
    says(("ipam", "show", "10.244.1.50"), 0, "10.244.1.50: free, in block")
    says(("ipam", "show", "10.244.1.60"), 0, "10.244.1.60: never assigned (")
    says(("ipam", "show", "10.244.7.1"), 0, "10.244.7.1: in no block")


def listed_pods():
    found = {pod["container"]: pod for pod in ask("pods")}
    tap.ok(set(found) == {"c0", "c1", "c2"} and found["c0"]["pod"]["name"] == "web"
           and found["c0"]["state"] == "attached", "-j pods lists them", found)
    if daemon.has_fastpath:
        tap.ok(net.wait_for(lambda: all(pod["bypassed"] for pod in ask("pods")), 10),
               "their packets go past the host's stack", lambda: ask("pods"))
    says(("pods",), 0, "default/web", pods[0].device, "attached")
    daemon.cli("endpoint", "default", "bypass", "off")
    says(("pods",), 0, "off: it is not wanted")
    daemon.cli("endpoint", "default", "bypass", "on")


def reserved():
    says(("ipam", "reserve", "10.244.1.40", "--comment", "the printer"), 0,
         "10.244.1.40 is reserved, in block 10.244.1.0/26; its handle is reserved-10.244.1.40")
    says(("ipam", "reserve", "10.244.1.40"), 0, "10.244.1.40 was already reserved")
    says(("ipam", "show", "10.244.1.40"), 0, "assigned", "comment: the printer")
    says(("ipam", "reserve", "10.244.1.60"), 1, "10.244.1.60", error=True)
    says(("ipam", "reserve", "10.244.7.1"), 1, "10.244.7.1", error=True)
    says(("ipam", "reserve", "192.0.2.1"), 1, "192.0.2.1", error=True)
    taken = pods[0].answer["addresses"][0].split("/")[0]
    says(("ipam", "reserve", taken), 1, "pods.c0.eth0", error=True)
    tap.equal(ask("ipam", "reserve", taken)["error"]["code"], "address-in-use", "its code")
    daemon.stop(signal.SIGKILL)
    daemon.start()
    says(("ipam", "show", "10.244.1.40"), 0, "assigned", "comment: the printer")
    says(("ipam", "check"), 0, "nothing is wrong")


def released():
    tap.equal(ask("ipam", "release", "10.244.1.40"), {"released": 1}, "a reservation is released")
    says(("ipam", "release", "10.244.1.40"), 1, "10.244.1.40 is not assigned", error=True)
    says(("ipam", "release", "--handle", "nobody"), 1, "has no address", error=True)
    says(("ipam", "release", pods[0].answer["addresses"][0].split("/")[0]), 1, "in use by container c0", error=True)
    says(("ipam", "release", "--handle", "pods.c1.eth0"), 1, "in use by container c1", error=True)
    says(("ipam", "release", "--handle", "ipip-tunnel-addr-a1"), 1, "is this node's own", error=True)
    says(("ipam", "reserve", "10.244.1.41"), 0, "is reserved")
    says(("ipam", "release", "--handle", "reserved-10.244.1.41"), 0, "released 1 address")


def address_without_container():
    """Its attachment is lost: at two looks, and not before, it is released."""
    address = pods[2].answer["addresses"][0].split("/")[0]

    def lose(all_documents):
        del all_documents["attachment/" + pod_agent.hash_of(*pods[2].key.values())]

    documents(lose)
    done = cli("ipam", "check", "--fix")
    begun = time.monotonic()
    tap.ok(done.returncode == 1 and f"address-without-container: {address} is assigned to" in done.stdout
           and f"again in {APART_S} s" in done.stdout, "seen once, nothing is done", done.stdout)
    tap.equal(ask("ipam", address)["address"]["state"], "assigned", "it is assigned still")
    found = findings("--fix")["address-without-container"]
    tap.ok(not found["fixed"] and found["observations"] == 2 and 0 < found["wait_s"] <= APART_S,
           "nor at a second look too early", found)
    time.sleep(max(0, begun + APART_S + 0.5 - time.monotonic()))
    found = findings()["address-without-container"]
    tap.ok(not found["fixed"] and not found["wait_s"], "ripe, it is only mended if that is asked for", found)
    says(("ipam", "check"), 1, "ripe    address-without-container")
    says(("ipam", "check", "--fix"), 0, "mended  address-without-container", "wrong: 0, mended: 1")
    tap.equal(ask("ipam", address)["address"]["state"], "free", "it is free")
    says(("ipam", "check"), 0, "nothing is wrong")
    a1.ip(f"link del {pods[2].device}")


def container_without_address():
    """Its address is lost: it is assigned to it again."""
    address = pods[1].answer["addresses"][0].split("/")[0]

    def lose(all_documents):
        key = "ipam/v2/assignment/ipv4/block/10.244.1.0-26"
        block = json.loads(all_documents[key])
        number = int(address.rsplit(".", 1)[1])
        block["allocations"][number] = None
        block["unallocated"].append(number)
        all_documents[key] = json.dumps(block)
        del all_documents["ipam/v2/handle/pods.c1.eth0"]

    documents(lose)
    found = findings("--fix")
    tap.ok("container-without-address" in found and found["container-without-address"]["address"] == address
           and found["container-without-address"]["handle"] == "pods.c1.eth0", "it is found", found)
    tap.equal(ask("ipam", address)["address"]["state"], "free", "and not mended at once")
    time.sleep(APART_S + 0.5)
    found = findings("--fix")
    tap.ok(found["container-without-address"]["fixed"], "ten seconds later it is", found)
    again = ask("ipam", address)["address"]
    tap.ok(again.get("handle") == "pods.c1.eth0" and again["attributes"]["network"] == "pods",
           "it is assigned to it again", again)
    says(("ipam", "check"), 0, "nothing is wrong")
    tap.equal(pods[1].delete(), {}, "and a DEL releases it")
    tap.equal(ask("ipam", address)["address"]["state"], "free", "as any other")


def status_and_metrics():
    says(("status",), 0, "pods 1; addresses (file): blocks 1; assigned")
    text = daemon.cli("metrics").stdout
    tap.ok('culvert_pods{state="attached"} 1' in text and 'culvert_ipam_addresses{state="assigned"} 2' in text, "metrics say so, too",
           "\n".join(line for line in text.splitlines() if "ipam" in line or "pods" in line))


tap.main([usage, nothing_there, some_pods, one_address, listed_pods, reserved, released,
          address_without_container, container_without_address, status_and_metrics])
