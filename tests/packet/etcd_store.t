#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath
"""
Resources in etcd: real members, two nodes that follow them.

     m1 .1 ┐
     m2 .2 ┼─ switch 192.168.90.0/24 ─┬─ a1 .11, culvertd
     m3 .3 ┘                          └─ b1 .12, culvertd

The second part has one member with TLS, client certificates, authentication and a small quota.
"""

import json
import os
import tempfile
import time

import culvert
import net
import tap
from culvert import Culvertd
from etcd import Certificates, Cluster, Lan
from shapes import end_cleanly, look_after

culvert.need_programs()
RESOURCES = "/culvert/resources/v3/projectcalico.org/"
IPAM = "/culvert/ipam/v2/"
SECRET = "20061103"
LIMIT_S = 15  # until something that takes a moment has happened, on a busy machine

lan = Lan()
cluster = Cluster.on(lan, 3)
directory = tempfile.TemporaryDirectory(prefix="culvert-etcd-store-")
datastore = cluster.datastore(os.path.join(directory.name, "datastore.cfg"))
nodes = {name: lan.plug(name, address)
         for name, address in (("a1", "192.168.90.11"), ("b1", "192.168.90.12"))}
daemons = {}


def start(name, *arguments, file=datastore):
    """A daemon of a node."""
    return Culvertd(nodes[name], "--datastore", file, "--node", name, *arguments,
                    mode=culvert.ENGINE)


def before(_):
    """The daemons are started by the first part."""
    for name in nodes:
        daemons[name] = daemons.get(name) or start(name)


def after(name, failed):
    """What they have said."""
    look_after(daemons.values(), name, failed)


def cli(name, *words, text=None):
    """culvert on a node; CompletedProcess."""
    daemon = daemons[name]
    return daemon.node.run([os.path.join(culvert.BUILD, "culvert"), "--run-dir", daemon.run_dir,
                            *words], check=False, input=text)


def status(name):
    """What is said of the store."""
    return json.loads(cli(name, "-j", "status").stdout)["store"]


def problem(name):
    """Why it is not in order; "": it is."""
    return status(name)["problem"] or ""


def names(name, kind):
    """Names of a kind's resources."""
    done = cli(name, "get", kind, "-o", "json")
    found = json.loads(done.stdout or "{}")
    return sorted(each["metadata"]["name"] for each in found.get("items", [found]) if each)


def becomes(condition, what, detail=None, limit=LIMIT_S):
    """It holds soon; how long that took, ms."""
    begin = time.monotonic()
    holds = net.wait_for(condition, limit)
    tap.ok(holds, what, detail)
    return (time.monotonic() - begin) * 1000


def manifest(kind, name, version="projectcalico.org/v3", **spec):
    """A resource."""
    return json.dumps({"apiVersion": version, "kind": kind, "metadata": {"name": name},
                       "spec": spec})


def many(*documents):
    """Several."""
    return "\n---\n".join(documents)


OVERLAY = many(
    manifest("IPPool", "pods", cidr="10.244.0.0/16", ipipMode="Always"),
    manifest("Node", "a1", bgp={"ipv4Address": "192.168.90.11/24"}),
    manifest("Node", "b1", bgp={"ipv4Address": "192.168.90.12/24"}),
    manifest("BlockAffinity", "a1-10-244-1-0-26", cidr="10.244.1.0/26", node="a1",
             state="confirmed"),
    manifest("BlockAffinity", "b1-10-244-2-0-26", cidr="10.244.2.0/26", node="b1",
             state="confirmed"),
    manifest("Tunnel", "spare", version="culvert/v1", mode="ipip", remote="192.168.90.99",
             local="192.168.90.11", node="a1"),
)


def as_with_files():
    """apply, get, diff, plan and delete do what they do with files, on both nodes."""
    net.wait_for(lambda: all(RESOURCES + "nodes/" + name in cluster.dump(RESOURCES) for name in nodes))
    was = cluster.dump(RESOURCES)
    dry = cli("a1", "apply", "--dry-run", "-f", "-", text=OVERLAY)
    tap.ok("ippool/pods created (dry run)" in dry.stdout, "a dry run says what would be", dry.stdout + dry.stderr)
    tap.equal(cluster.dump(RESOURCES), was, "… and writes nothing")
    done = cli("a1", "apply", "-f", "-", text=OVERLAY)
    # Nodes may have registered themselves.
    tap.equal((done.returncode, sum(done.stdout.count(word) for word in
                                    (" created\n", " configured\n", " unchanged\n"))),
              (0, 6), "apply brings six")
    tap.ok("BlockAffinity" not in done.stdout + done.stderr and "same on every host" not in done.stdout,
           "… and asks for no blocks by hand, nor for files elsewhere", done.stdout + done.stderr)
    digest = status("a1")["digest"]
    becomes(lambda: status("b1")["digest"] == digest, "the other node has the same")
    tap.ok(status("b1")["datastore"].startswith("etcd http://192.168.90.1:2379"),
           "status names the store", status("b1"))
    got = cli("b1", "get", "all", "-o", "yaml").stdout
    again = cli("b1", "apply", "-f", "-", text=got)
    tap.equal(again.stdout.count(" unchanged\n"), 6, "what it gets applies unchanged")
    tap.equal(cli("b1", "diff", "-f", "-", text=got).stdout, "", "… and without a difference")
    becomes(lambda: "10.244.1.0/26 via 192.168.90.11" in nodes["b1"].run("ip route").stdout,
            "routes follow")
    changed = cli("b1", "apply", "-f", "-", text=manifest(
        "IPPool", "pods", cidr="10.244.0.0/16", ipipMode="CrossSubnet"))
    tap.ok("ippool/pods configured" in changed.stdout, "a change is one", changed.stdout)
    becomes(lambda: "CrossSubnet" in cli("a1", "get", "ippools").stdout, "… and comes over")
    plan = cli("a1", "plan", "--pool", "10.245.0.0/16", "a1=192.168.90.11/24")
    tap.equal(plan.returncode, 0, "plan plans")
    gone = cli("a1", "delete", "tunnel", "spare")
    tap.equal(gone.stdout, "tunnel/spare deleted\n", "delete deletes")
    becomes(lambda: names("b1", "tunnels") == [], "… everywhere")
    absent = cli("a1", "delete", "tunnel", "spare")
    tap.ok(absent.returncode == 1 and "no Tunnel spare" in absent.stderr, "what is gone is gone",
           absent.stderr)


def keys():
    """The keys and values are those of Calico; what a server writes stays."""
    dump = {key: value for key, value in cluster.dump("/culvert/").items() if "/handle/" not in key}
    tap.equal(sorted(dump), [
        IPAM + "assignment/ipv4/block/10.244.1.0-26", IPAM + "assignment/ipv4/block/10.244.2.0-26",
        IPAM + "host/a1/ipv4/block/10.244.1.0-26", IPAM + "host/b1/ipv4/block/10.244.2.0-26",
        RESOURCES + "ippools/pods", RESOURCES + "nodes/a1", RESOURCES + "nodes/b1",
    ], "the keys")
    pool = json.loads(dump[RESOURCES + "ippools/pods"])
    tap.ok(pool["kind"] == "IPPool" and pool["metadata"]["uid"] and
           pool["metadata"]["creationTimestamp"].endswith("Z"), "a pool as Calico stores it", pool)
    block = json.loads(dump[IPAM + "assignment/ipv4/block/10.244.1.0-26"])
    tap.ok(block["affinity"] == "host:a1" and len(block["allocations"]) == 64 and
           set(range(1, 64)) <= set(block["unallocated"]), "a block comes with its affinity", block)
    cli("b1", "apply", "-f", "-", text=manifest("IPPool", "pods", cidr="10.244.0.0/16",
                                                ipipMode="Always"))
    new = json.loads(cluster.get(RESOURCES + "ippools/pods"))
    tap.equal(new["metadata"], pool["metadata"], "uid and time stay when it is changed")


def calicos_own():
    """Documents that calicoctl and calico/node have written are read; what we rewrite keeps theirs."""
    cluster.put(RESOURCES + "ippools/second", json.dumps({
        "kind": "IPPool", "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": "second", "uid": "0f3f4c1e-2b1c-4f3c-9d0e-1a2b3c4d5e6f",
                     "creationTimestamp": "2024-05-01T10:00:00Z"},
        "spec": {"cidr": "10.250.0.0/16", "vxlanMode": "Never", "ipipMode": "CrossSubnet",
                 "natOutgoing": True, "blockSize": 26, "nodeSelector": "all()",
                 "allowedUses": ["Workload", "Tunnel"]}}))
    cluster.put(RESOURCES + "nodes/calico-1", json.dumps({
        "kind": "Node", "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": "calico-1", "creationTimestamp": None, "labels": {
            "beta.kubernetes.io/os": "linux"}, "annotations": {
                "projectcalico.org/kube-labels": '{"a":"b"}'}},
        "spec": {"bgp": {"ipv4Address": "192.168.90.13/24", "ipv4IPIPTunnelAddr": "10.250.0.1"},
                 "orchRefs": [{"nodeName": "calico-1", "orchestrator": "k8s"}]},
        "status": {"podCIDRs": ["10.250.0.0/24"]}}))
    cluster.put(RESOURCES + "networkpolicies/default/policy", "{}")
    cluster.put(RESOURCES + "clusterinformations/default", json.dumps({
        "kind": "ClusterInformation", "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": "default"}, "spec": {"clusterGUID": "abc"}}))
    becomes(lambda: "second" in names("a1", "ippools") and "calico-1" in names("a1", "nodes"),
            "they are there")
    tap.equal(problem("a1"), "", "kinds of Calico's alone are no problem")
    done = cli("a1", "apply", "-f", "-", text=manifest(
        "Node", "calico-1", bgp={"ipv4Address": "192.168.90.14/24"}))
    tap.ok("configured" in done.stdout, "one is changed", done.stdout + done.stderr)
    node = json.loads(cluster.get(RESOURCES + "nodes/calico-1"))
    tap.equal(node.get("status"), {"podCIDRs": ["10.250.0.0/24"]}, "… and keeps its status")


def latency():
    """How long until the other node has what one applies: printed, and within a second."""
    times = []
    for number in range(15):
        text = manifest("Workload", "latency", version="culvert/v1", node="a1",
                        addresses=[f"10.244.200.{number}"])
        with nodes["a1"]:
            cli("a1", "apply", "-f", "-", text=text)
        begin = time.monotonic()
        while f"10.244.200.{number}" not in nodes["b1"].run("ip route show proto 84").stdout:
            if time.monotonic() - begin > LIMIT_S:
                break
        times.append((time.monotonic() - begin) * 1000)
    times.sort()
    tap.note(f"apply on a1 to the route on b1: p50 {times[7]:.0f} ms, longest {times[-1]:.0f} ms")
    tap.ok(times[7] < 1000, "changes come over in no time", times)
    cli("a1", "delete", "workload", "latency")


def blocks():
    """Affinities and borrowed addresses come from the documents of addresses."""
    key = IPAM + "assignment/ipv4/block/10.244.1.0-26"
    block = json.loads(cluster.get(key))
    first = len(block["attributes"])
    for index, attribute in ((5, first), (6, first + 1), (7, first)):
        block["allocations"][index] = attribute
        block["unallocated"].remove(index)
    block["attributes"] += [
        {"handle_id": "k8s-pod-network.x", "secondary": {"node": "b1", "pod": "p"}},
        {"handle_id": "k8s-pod-network.y", "secondary": {"node": "a1", "pod": "q"}}]
    cluster.put(key, json.dumps(block))
    becomes(lambda: names("a1", "workloads") == ["borrowed-b1-10-244-1-0-26"],
            "borrowed addresses are a Workload", lambda: names("a1", "workloads"))
    becomes(lambda: all(f"10.244.1.{n} via 192.168.90.12" in nodes["a1"].run("ip route").stdout
                        for n in (5, 7)), "… routed to who has them, one by one",
            lambda: nodes["a1"].run("ip route").stdout)
    refused = cli("a1", "delete", "workload", "borrowed-b1-10-244-1-0-26")
    tap.ok(refused.returncode == 1 and "borrowed" in refused.stderr, "nobody deletes that", refused.stderr)
    refused = cli("a1", "delete", "blockaffinity", "a1-10-244-1-0-26")
    tap.ok(refused.returncode == 1 and "addresses that are assigned" in refused.stderr,
           "nor a block that is in use", refused.stderr)
    digest = status("b1")["digest"]
    block["allocations"][6] = None
    cluster.put(key, json.dumps(block))
    time.sleep(0.3)
    tap.equal(status("b1")["digest"], digest, "an address of its own node changes no resource")
    for index in (5, 7):
        block["allocations"][index] = None
    block["unallocated"] += [5, 6, 7]
    block["attributes"] = block["attributes"][:first]
    cluster.put(key, json.dumps(block))
    becomes(lambda: names("b1", "workloads") == [], "given back, they are gone")
    for text, words in ((manifest("BlockAffinity", "x", cidr="10.244.9.0/26", node="a1"), "is named"),
                        (manifest("BlockAffinity", "a1-10-244-8-0-24", cidr="10.244.8.0/24",
                                  node="a1"), "blockSize"),
                        (manifest("BlockAffinity", "a1-10-244-2-0-26", cidr="10.244.2.0/26",
                                  node="a1"), "two nodes")):
        refused = cli("a1", "apply", "-f", "-", text=text)
        tap.ok(refused.returncode == 1, f"refused: {words}", refused.stderr)
    cli("b1", "apply", "-f", "-", text=manifest("BlockAffinity", "b1-10-244-3-0-26",
                                               cidr="10.244.3.0/26", node="b1"))
    tap.ok(IPAM + "assignment/ipv4/block/10.244.3.0-26" in cluster.dump(IPAM), "one more is made")
    gone = cli("b1", "delete", "blockaffinity", "b1-10-244-3-0-26")
    tap.equal(gone.stdout, "blockaffinity/b1-10-244-3-0-26 deleted\n", "an empty block is given back")
    tap.ok(IPAM + "assignment/ipv4/block/10.244.3.0-26" not in cluster.dump(IPAM),
           "… with its document")


def broken():
    """A value that is broken leaves the former one in force and is named; apply mends it."""
    key = RESOURCES + "ippools/pods"
    cluster.put(key, "{\"kind\": \"IPPool\",")
    becomes(lambda: key in problem("b1"), "a broken value is named", lambda: problem("b1"))
    tap.ok("pods" in names("b1", "ippools"), "the former one stays")
    tap.ok("10.244.1.0/26" in nodes["b1"].run("ip route").stdout, "… and so do routes")
    cluster.put(RESOURCES + "nodes/wrong", manifest("Node", "other", bgp={}))
    becomes(lambda: "1 more key" in problem("b1") or "and 1 more" in problem("b1"),
            "a second one is counted", lambda: problem("b1"))
    cluster.delete(RESOURCES + "nodes/wrong")
    mended = cli("b1", "apply", "-f", "-", text=manifest("IPPool", "pods", cidr="10.244.0.0/16",
                                                        ipipMode="Always", natOutgoing=True))
    tap.equal(mended.returncode, 0, "an apply mends it")
    becomes(lambda: problem("a1") == "" and problem("b1") == "", "… everywhere",
            lambda: problem("a1") + problem("b1"))
    cluster.put(RESOURCES + "ippools/twice", manifest("IPPool", "twice", cidr="10.244.0.0/17"))
    becomes(lambda: "overlaps" in problem("a1"), "what contradicts is told", lambda: problem("a1"))
    tap.equal(names("a1", "ippools"), ["pods", "second"], "… and not in force")
    deleted = cli("a1", "delete", "ippool", "twice")
    tap.equal(deleted.returncode, 0, "a delete mends that")
    becomes(lambda: problem("b1") == "", "… everywhere")


def no_text():
    """A value with a NUL is one malformed document, not the end of all lists that it is in."""
    keys_of = (IPAM + "host/b1/ipv4/block/10.244.60.0-26", IPAM + "assignment/ipv4/block/10.244.60.0-26")
    for key in keys_of:
        cluster.put_bytes(key, b"{\0}")
    daemons["b1"].stop()
    daemons["b1"].start()  # it knows nothing of its blocks
    shown = cli("b1", "ipam", "show")
    tap.ok(not shown.returncode, "ipam show works", shown.stderr)
    checked = cli("b1", "ipam", "check")
    tap.ok("malformed" in checked.stdout, "ipam check names it", checked.stdout + checked.stderr)
    reserved = cli("b1", "ipam", "reserve", "10.244.1.50")
    tap.ok(not reserved.returncode, "and addresses are given", reserved.stderr)
    time.sleep(0.3)
    tap.ok("10.244.1.50" not in nodes["a1"].run("ip route").stdout,
           "one that is reserved in another node's block has no route", nodes["a1"].run("ip route").stdout)
    cli("b1", "ipam", "release", "10.244.1.50")
    for key in keys_of:
        cluster.delete(key)


def races():
    """Two who write the same at once: nothing is lost, nothing half done."""
    texts = {name: many(*(manifest("Workload", f"{name}-{i}", version="culvert/v1", node=name,
                                   addresses=[f"10.250.{10 + n}.{i}"]) for i in range(20)))
             for n, name in enumerate(nodes)}
    running = []
    for name, text in texts.items():
        path = os.path.join(directory.name, name + ".yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        running.append(nodes[name].spawn(
            [os.path.join(culvert.BUILD, "culvert"), "--run-dir", daemons[name].run_dir, "apply",
             "-f", path], stdout=-1, stderr=-2, text=True))
    for process in running:
        out = process.communicate()[0]
        tap.ok(process.returncode == 0 and out.count(" created") == 20, "each is done", out)
    becomes(lambda: len(names("a1", "workloads")) == 40 == len(names("b1", "workloads")),
            "both are everywhere")
    pools = [manifest("IPPool", f"r{i}", cidr="10.9.0.0/16") for i in range(2)]
    running = []
    for name, text in zip(nodes, pools):
        running.append(nodes[name].spawn(
            [os.path.join(culvert.BUILD, "culvert"), "--run-dir", daemons[name].run_dir, "apply",
             "-f", "-"], stdin=-1, stdout=-1, stderr=-2, text=True))
        running[-1].stdin.write(text)
    outs = [process.communicate()[0] for process in running]
    tap.equal(sorted(process.returncode for process in running), [0, 1],
              "of two that exclude each other one wins")
    tap.ok(any("overlaps" in out for out in outs), "… and the other is told why", "\n".join(outs))


def large():
    """More than a transaction holds: all of it is there, by several."""
    text = many(*(manifest("Workload", f"w{i}", version="culvert/v1", node="a1",
                           addresses=[f"10.250.{100 + i // 200}.{i % 200}"]) for i in range(350)))
    begin = time.monotonic()
    done = cli("a1", "apply", "-f", "-", text=text)
    tap.equal(done.stdout.count(" created\n"), 350, "350 at once")
    tap.note(f"in {(time.monotonic() - begin) * 1000:.0f} ms")
    becomes(lambda: status("a1")["digest"] == status("b1")["digest"], "they come over")
    done = cli("b1", "delete", "-f", "-", text=text)
    tap.equal(done.stdout.count(" deleted\n"), 350, "and are deleted at once")
    becomes(lambda: status("a1")["digest"] == status("b1")["digest"], "everywhere")


def compaction():
    """History that is forgotten while a node is cut off: it lists anew and misses nothing."""
    b1 = nodes["b1"]
    b1.run(["nft", "-f", "-"], input="table ip cut { chain in { type filter hook input priority -300;"
           " iifname eth0 drop; }\n}\n")
    for number in range(20):
        cluster.put(RESOURCES + "nodes/calico-1", manifest(
            "Node", "calico-1", bgp={"ipv4Address": f"192.168.90.{100 + number}/24"}))
    cluster.delete(RESOURCES + "ippools/second")
    becomes(lambda: "away" in problem("b1"), "a silent network is noticed", limit=30)
    cluster.compact()
    b1.run("nft delete table ip cut")
    took = becomes(lambda: problem("b1") == "" and
                   status("b1")["digest"] == status("a1")["digest"], "b1 has caught up",
                   lambda: problem("b1"))
    tap.note(f"{took:.0f} ms after the network was back")
    tap.ok("second" not in names("b1", "ippools") and
           "192.168.90.119" in cli("b1", "get", "nodes").stdout, "deleted and changed alike")
    cluster.put(RESOURCES + "nodes/calico-1", manifest(
        "Node", "calico-1", bgp={"ipv4Address": "192.168.90.13/24"}))
    cluster.compact()
    cluster.put(RESOURCES + "nodes/calico-1", manifest(
        "Node", "calico-1", bgp={"ipv4Address": "192.168.90.15/24"}))
    becomes(lambda: all("192.168.90.15" in cli(n, "get", "nodes").stdout for n in nodes),
            "compacted under the watch: it goes on")


def killed():
    """All of etcd is killed and comes back: what is in force stays, commands fail at once."""
    digest = status("a1")["digest"]
    for member in cluster.members:
        member.kill()
    becomes(lambda: "etcd is away since" in problem("a1") and "Connection refused" in problem("a1"),
            "it is told, with time and reason", lambda: problem("a1"))
    begin = time.monotonic()
    refused = cli("a1", "apply", "-f", "-", text=manifest("Node", "new", bgp={}))
    took = time.monotonic() - begin
    tap.ok(refused.returncode == 1 and "until etcd is back" in refused.stderr, "an apply fails", refused.stderr)
    tap.ok(took < 1, f"… at once ({took * 1000:.0f} ms)")
    tap.equal(status("a1")["digest"], digest, "everything stays in force")
    tap.ok("10.244.1.0/26 via" in nodes["b1"].run("ip route").stdout, "… routes, too")
    daemons["b1"].stop()
    daemons["b1"].start()
    tap.ok("etcd is away since" in problem("b1"), "a daemon that starts meanwhile says so")
    tap.ok("10.244.1.0/26 via" in nodes["b1"].run("ip route").stdout, "… and leaves what there was")
    for member in cluster.members:
        member.spawn()
    for member in cluster.members:
        member.wait()
    took = becomes(lambda: problem("a1") == "" and problem("b1") == "", "etcd is back, and all is well")
    tap.note(f"{took:.0f} ms after etcd answered")
    tap.equal(status("b1")["digest"], digest, "both have what there was")
    cli("a1", "apply", "-f", "-", text=manifest("Node", "new", bgp={"ipv4Address": "192.168.90.77/24"}))
    becomes(lambda: "new" in names("b1", "nodes"), "changes come over again")


def in_use(name):
    """The members that a node has connections to: for its watch, and for its changes."""
    text = nodes[name].run("ss -Htn state established dport = :2379").stdout
    return [member for member in cluster.members if f" {member.address}:" in text]


def stuck_member(member, how, number):
    """One stands still, or has no majority."""
    others = [each for each in cluster.members if each is not member]
    getattr(member, how)()
    begin = time.monotonic()
    done = None
    while done is None or (done.returncode and time.monotonic() - begin < 30):
        done = cli("a1", "apply", "-f", "-", text=manifest(
            "Node", "stuck", bgp={"ipv4Address": f"192.168.90.{80 + number}/24"}))
        time.sleep(0.1)
    tap.equal(done.returncode, 0, f"{how} of a member in use: an apply works")
    tap.note(f"after {time.monotonic() - begin:.1f} s")
    cluster.put(RESOURCES + "nodes/hand", manifest(
        "Node", "hand", bgp={"ipv4Address": f"192.168.90.{90 + number}/24"}), members=others)
    begin = time.monotonic()
    becomes(lambda: all(f"192.168.90.{90 + number}/24" in cli(name, "get", "nodes").stdout
                        for name in nodes if name in daemons and name != "c1"),
            "… and what others write is followed", limit=20)
    tap.note(f"after {time.monotonic() - begin:.1f} s")
    (member.resume if how == "pause" else member.heal)()
    member.wait()


def stuck():
    """A member that stands still, or has no majority, is left for another one."""
    stuck_member(in_use("a1")[0], "pause", 0)
    stuck_member(in_use("a1")[-1], "cut_from_peers", 1)


def restored():
    """A backup is restored, and written past the revision that a node has seen, while that sleeps."""
    path = os.path.join(directory.name, "backup.db")
    cluster.snapshot(path)
    cli("a1", "apply", "-f", "-", text=manifest("Node", "late", bgp={"ipv4Address": "192.168.90.78/24"}))
    becomes(lambda: "late" in names("b1", "nodes"), "b1 has what came after the backup")
    seen = cluster.revision()
    daemons["b1"].pause()
    cluster.restore(path)
    while cluster.revision() < seen + 10:
        cluster.put(RESOURCES + "nodes/past", manifest("Node", "past", bgp={"ipv4Address": "192.168.90.79/24"}))
    daemons["b1"].resume()
    becomes(lambda: all("past" in names(name, "nodes") and "late" not in names(name, "nodes")
                        for name in ("a1", "b1")), "both have what the backup has",
            lambda: names("a1", "nodes") + names("b1", "nodes"), limit=20)


def wiped():
    """An etcd that is empty all of a sudden is no order to delete everything."""
    digest = status("a1")["digest"]
    for member in cluster.members:
        member.kill()
    empty = Cluster([(member.node, member.address) for member in cluster.members])
    becomes(lambda: "as if it was wiped" in problem("a1") and "as if it was wiped" in problem("b1"),
            "it is told", lambda: problem("a1"))
    tap.equal(status("a1")["digest"], digest, "what there was stays in force")
    # A pod comes, a new node makes itself known: nobody has applied anything.
    empty.put(IPAM + "host/a1/ipv4/block/10.244.1.0-26", '{"state":"confirmed","deleted":"false"}')
    node = json.loads(manifest("Node", "c1", bgp={"ipv4Address": "192.168.90.13/24"}))
    node["metadata"]["annotations"] = {"culvert/address-detected-by": "first-found"}
    empty.put(RESOURCES + "nodes/c1", json.dumps(node))
    route = nodes["b1"].run(["ip", "route", "show", "10.244.1.0/26"]).stdout
    time.sleep(1)
    tap.equal((status("a1")["digest"], "as if it was wiped" in problem("a1")), (digest, True),
              "… also when documents of addresses, and a Node of its own making, come")
    daemons["b1"].stop()
    daemons["b1"].start()
    becomes(lambda: "as if it was wiped" in problem("b1"), "… and after a restart", lambda: problem("b1"))
    tap.ok(route and nodes["b1"].run(["ip", "route", "show", "10.244.1.0/26"]).stdout == route, "routes stay", route)
    got = cli("a1", "get", "all", "-o", "yaml").stdout
    done = cli("b1", "apply", "-f", "-", text=got)
    tap.equal(done.returncode, 0, "it can be applied again")
    becomes(lambda: problem("a1") == "" and status("a1")["digest"] == status("b1")["digest"],
            "… and is in order then", lambda: problem("a1"))
    for member in empty.members:
        member.kill()


def trusted():
    """TLS, certificates, users, the quota: what is wrong is said in words."""
    other = Lan()
    tls = Certificates(os.path.join(directory.name, "pki"))
    one = Cluster.on(other, 1, tls=tls, client_certificates=True, quota_bytes=4_000_000)
    nodes["c1"] = other.plug("c1", "192.168.90.13")
    member, good = one.members[0], tls.issue("good")
    file = os.path.join(directory.name, "c1.cfg")
    one.datastore(file, certificate=good)
    daemons["c1"] = start("c1", file=file)
    tap.equal(problem("c1"), "", "with a certificate all is well")
    tap.equal(cli("c1", "apply", "-f", "-", text=OVERLAY).returncode, 0, "… and resources apply")

    def said(words, **config):
        """What a daemon with another configuration says."""
        one.datastore(file, **config)
        daemons["c1"].stop()
        daemons["c1"].start()
        becomes(lambda: words in problem("c1"), f"\"{words}\"", lambda: problem("c1"))

    said("wants a client certificate")
    said("etcd: the authorities in /no/ca.pem: ", certificate=good, etcdCACertFile="/no/ca.pem")
    said("/no/good.key: ", certificate=(good[0], "/no/good.key"))
    said(f"{good[0]} with the key {tls.issue('other')[1]}: ", certificate=(good[0], tls.issue("other")[1]))
    said("is not trusted", certificate=good, etcdCACertFile="")
    said("which has expired", certificate=tls.issue("late", end_s=-60))
    foreign = Certificates(os.path.join(directory.name, "pki2"))
    # In the words of its alert, or, where the connection broke before that came, as a question.
    said("the client certificate", certificate=foreign.issue("foreign"))
    said("is not trusted", certificate=good, etcdCACertFile=foreign.ca)
    password = "secret \"\\'#: %@!*&{[€"
    one.authenticate(users=[("culvert", "secret"), ("odd", password)])
    said("wants a user", certificate=good)
    said("refuses the user or the password", certificate=good, etcdUsername="culvert",
         etcdPassword="Secret")
    said("use a certificate without a CN", certificate=tls.issue("named", "culvert"),
         etcdUsername="culvert", etcdPassword="secret")
    said("", certificate=good, etcdUsername="culvert", etcdPassword="secret")
    becomes(lambda: problem("c1") == "" and "pods" in names("c1", "ippools"),
            "with user and password all is well", lambda: problem("c1"))
    said("", certificate=good, etcdUsername="odd", etcdPassword=password)
    becomes(lambda: problem("c1") == "" and "pods" in names("c1", "ippools"),
            "… whatever signs are in it", lambda: problem("c1"))
    tap.ok("etcdPassword: everybody on this host can read this file" in daemons["c1"].log(),
           "a file that anybody can read is warned of")
    os.chmod(good[1], 0o644)
    said("", certificate=good)
    tap.ok(f"etcdKeyFile: everybody on this host can read {good[1]}" in daemons["c1"].log(),
           "… and such a key")
    said("", certificate=good, etcdUsername="culvert", etcdPassword="secret")
    one.fill()
    refused = cli("c1", "apply", "-f", "-", text=manifest("Node", "x", bgp={}))
    tap.ok(refused.returncode == 1 and "quota is used up" in refused.stderr, "a full quota is told", refused.stderr)
    tap.equal(problem("c1"), "", "… and reading goes on")
    one.make_room()
    done = cli("c1", "apply", "-f", "-", text=manifest("Node", "x", bgp={}))
    tap.equal(done.returncode, 0, "with room again it goes on")
    member.kill()
    one.server_certificate = tls.issue("server", addresses=["192.168.90.77"])
    member.spawn()
    becomes(lambda: "for other names" in problem("c1"), "a certificate for another host is told",
            lambda: problem("c1"))
    member.kill()
    one.server_certificate = tls.issue("server", addresses=["192.168.90.1"])
    member.start()
    becomes(lambda: problem("c1") == "", "a renewed one is taken", lambda: problem("c1"))
    tap.ok("secret" not in daemons["c1"].log(), "no password is in the log")


def refused_files():
    """A datastore.cfg that is wrong keeps culvertd from starting, with the place."""
    path = os.path.join(directory.name, "wrong.cfg")
    head = "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata:\nspec:\n"
    for text, words in (("kind: Node\n", "apiVersion is missing"),
                        (head + "  datastoreType: kubernetes\n", ":5:18: "),
                        (head + "  etcdEndpoints: 10.0.0.1:2379\n", "http://HOST:PORT"),
                        (head + "  etcdEndpoints: http://h:1\n  etcdCert: x\n", "etcdCertFile"),
                        (head + "  etcdEndpoints: http://h:1\n  etcdUsername: x\n",
                         "etcdPassword is missing"),
                        (head + "  etcdEndpoints: http://h:1\n  etcdUsername: x\n"
                         f"  etcdPassword: {SECRET}\n", "etcdPassword must be a string"),
                        (head + "  etcdEndpoints: http://h:1\n  etcdUsername: x\n"
                         f"  etcdPassword: [{SECRET}]\n", "etcdPassword must be a string"),
                        (head + f"  etcdEndpoints: https://root:{SECRET}@h:1\n", "etcdUsername and etcdPassword")):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        done = nodes["a1"].run([os.path.join(culvert.BUILD, "culvertd"), "--run-dir",
                                directory.name + "/run", "--datastore", path], check=False)
        tap.ok(done.returncode == 1 and words in done.stderr and SECRET not in done.stderr, f"{words}", done.stderr)


def without_libcurl():
    """Where it cannot be loaded, culvertd says what to install, and does not start."""
    libraries = os.path.join(directory.name, "libraries")
    os.mkdir(libraries)
    with open(os.path.join(libraries, "libcurl.so.4"), "wb"):
        pass
    program = ["env", f"LD_LIBRARY_PATH={libraries}", os.path.join(culvert.BUILD, "culvertd")]
    done = nodes["a1"].run([*program, "--run-dir", directory.name + "/run", "--datastore", datastore,
                            "--node", "a1"], check=False)
    tap.ok(done.returncode == 1 and "libcurl.so.4" in done.stderr and
           done.stderr.endswith("install Debian's package libcurl4\n"), "the package is named", done.stderr)
    tap.ok(not nodes["a1"].run([*program, "--version"], check=False).returncode, "who needs none of it runs")


def clean_end():
    """They end, and so fast that nobody has to wait for etcd."""
    begin = time.monotonic()
    end_cleanly(daemons.values())
    tap.ok(time.monotonic() - begin < 2 * len(daemons), "… in no time")


if __name__ == "__main__":
    tap.main([as_with_files, keys, calicos_own, latency, blocks, broken, no_text, races, large, compaction,
              killed, stuck, restored, wiped, trusted, refused_files, without_libcurl,
              clean_end], before, after)
