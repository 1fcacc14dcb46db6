#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath
"""
`culvert migrate`, with real etcd: two nodes move from their files one after the other while their
pods talk, and a third one takes over what Calico has written, which is only read. And nodes that
have no Node make one.

     c0 ══ a1 192.168.90.11 ─┐
     c1 ══ b1 192.168.90.12 ─┼─ switch ─ etcd 192.168.90.1, another 192.168.90.2
           n1 192.168.90.13 ─┘
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile

import culvert
import etcd
import net
import tap
from culvert import Culvertd
from etcd import Cluster, Lan
from pod_agent import Agent, Pod, Refused

BLOCK = "/culvert/ipam/v2/assignment/ipv4/block/"
RESOURCE = "/culvert/resources/v3/projectcalico.org/"

RESOURCES = """
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods}
spec: {cidr: 10.244.0.0/16, ipipMode: Always, natOutgoing: true, blockSize: 26}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: a1}
spec: {bgp: {ipv4Address: 192.168.90.11/24}}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: b1}
spec: {bgp: {ipv4Address: 192.168.90.12/24}}
---
apiVersion: projectcalico.org/v3
kind: BlockAffinity
metadata: {name: a1-10-244-1-0-25}
spec: {cidr: 10.244.1.0/25, node: a1, state: confirmed}
---
apiVersion: projectcalico.org/v3
kind: BlockAffinity
metadata: {name: b1-10-244-2-0-26}
spec: {cidr: 10.244.2.0/26, node: b1, state: confirmed}
"""


def calico_block(cidr, node, handles):
    """An allocation block as libcalico-go of 3.26 writes it. handles: {ordinal: (handle, attributes)}."""
    attributes = [{"handle_id": handle, "secondary": more} for handle, more in handles.values()]
    numbers = {ordinal: index for index, ordinal in enumerate(handles)}
    return json.dumps({
        "cidr": cidr, "affinity": f"host:{node}",
        "allocations": [numbers.get(i) for i in range(64)],
        "unallocated": [i for i in range(64) if i not in numbers], "attributes": attributes,
        "sequenceNumber": 1700000000000000000 + len(handles),
        "sequenceNumberForAllocation": {str(i): 1700000000000000000 + n for i, n in numbers.items()},
        "deleted": False}, separators=(",", ":"))


def of_pod(node, name, container):
    """(handle, attributes) of a pod's address."""
    return f"k8s-pod-network.{container}", {
        "namespace": "default", "node": node, "pod": name, "timestamp": "2026-11-01 10:00:00 +0000 UTC"}


def calico():
    """{key: value} of a small cluster of Calico's, with what Culvert has no word for."""
    v3 = "/calico/resources/v3/projectcalico.org/"
    tunnel = {"type": "ipipTunnelAddress", "node": "n1"}
    meta = {"uid": "e2ad7b3f-2d5c-4c0a-9a7e-4d2b7b1a7c11", "creationTimestamp": "2026-10-01T08:00:00Z"}

    def resource(kind, name, spec, **more):
        return json.dumps({"kind": kind, "apiVersion": "projectcalico.org/v3",
                           "metadata": {"name": name, **meta, **more}, "spec": spec}, separators=(",", ":"))

    return {
        v3 + "ippools/default-ipv4-ippool": resource("IPPool", "default-ipv4-ippool", {
            "cidr": "10.245.0.0/16", "vxlanMode": "Never", "ipipMode": "Always", "natOutgoing": True,
            "blockSize": 26, "nodeSelector": "all()", "allowedUses": ["Workload", "Tunnel"]}),
        v3 + "nodes/n1": resource("Node", "n1", {
            "bgp": {"ipv4Address": "192.168.90.13/24", "ipv4IPIPTunnelAddr": "10.245.1.0"},
            "orchRefs": [{"nodeName": "n1", "orchestrator": "k8s"}]},
            annotations={"projectcalico.org/kube-labels": "{}"}, labels={"beta.kubernetes.io/arch": "amd64"}),
        v3 + "nodes/n2": resource("Node", "n2", {"bgp": {"ipv4Address": "192.168.90.14/24"}}),
        v3 + "felixconfigurations/default": resource("FelixConfiguration", "default", {"ipipEnabled": True}),
        v3 + "ipreservations/kept": resource("IPReservation", "kept", {"reservedCIDRs": ["10.245.1.9/32"]}),
        v3 + "networkpolicies/default/knp.default.deny": resource("NetworkPolicy", "knp.default.deny", {}),
        v3 + "profiles/kns.default": resource("Profile", "kns.default", {}),
        v3 + "clusterinformations/default": resource("ClusterInformation", "default", {}),
        "/calico/ipam/v2/config": '{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":20}',
        "/calico/ipam/v2/assignment/ipv4/block/10.245.1.0-26": calico_block("10.245.1.0/26", "n1", {
            0: ("ipip-tunnel-addr-n1", tunnel), 5: of_pod("n1", "web", "c0ffee")}),
        "/calico/ipam/v2/assignment/ipv4/block/10.245.2.0-26": calico_block("10.245.2.0/26", "n2", {
            7: of_pod("n2", "db", "decaf")}),
        "/calico/ipam/v2/host/n1/ipv4/block/10.245.1.0-26": '{"state":"confirmed","deleted":"false"}',
        "/calico/ipam/v2/host/n2/ipv4/block/10.245.2.0-26": '{"state":"confirmed","deleted":"false"}',
        "/calico/ipam/v2/handle/ipip-tunnel-addr-n1":
            '{"handleID":"ipip-tunnel-addr-n1","block":{"10.245.1.0/26":1},"deleted":false}',
        "/calico/ipam/v2/handle/k8s-pod-network.c0ffee":
            '{"handleID":"k8s-pod-network.c0ffee","block":{"10.245.1.0/26":1,"fd00::/122":1},"deleted":false}',
        "/calico/ipam/v2/handle/k8s-pod-network.decaf":
            '{"handleID":"k8s-pod-network.decaf","block":{"10.245.2.0/26":1},"deleted":false}',
        "/calico/ipam/v2/assignment/ipv6/block/fd00::-122": "{}",
    }


culvert.need_programs()
directory = tempfile.mkdtemp(prefix="culvert-migrate-")
lan = Lan()
ours = Cluster([(lan.plug("m1", "192.168.90.1"), "192.168.90.1")])
nodes, daemons, pods, gone = {}, {}, {}, {}
for number, name in enumerate(("a1", "b1"), 11):
    nodes[name] = lan.plug(name, f"192.168.90.{number}")
    nodes[name].forward()
    daemons[name] = Culvertd(nodes[name], "--node", name)
FILE = ours.datastore(os.path.join(directory, "ours.cfg"))


def cli(name, *words, text=None):
    """CompletedProcess of culvert."""
    return nodes[name].run([culvert.BUILD + "/culvert", "--run-dir", daemons[name].run_dir, *words],
                           input=text, check=False)


def ask(name, *words):
    """culvert -j, decoded."""
    return json.loads(cli(name, "-j", *words).stdout)


def migrate(name, *words, file=FILE):
    """(exit code, what culvert -j migrate says)."""
    done = cli(name, "-j", "migrate", "--datastore", file, *words)
    return done.returncode, json.loads(done.stdout)


def restart(name):
    """As an operator does it."""
    daemons[name].stop()
    daemons[name].start()


def talk(name, target):
    """From a node's pod to another address."""
    return pods[name].node.run(["ping", "-c1", "-W3", target], check=False).returncode == 0


def address_of(name):
    """Of a node's pod."""
    return pods[name].answer["addresses"][0].split("/")[0]


def both_talk(when):
    """Each pod reaches the other."""
    tap.ok(net.wait_for(lambda: talk("a1", address_of("b1")) and talk("b1", address_of("a1")), 10),
           f"{when}: pods talk across nodes")


def with_files():
    for name in ("a1", "b1"):
        cli(name, "apply", "-f", "-", text=RESOURCES)
        pods[name] = Pod(Agent(daemons[name]), nodes[name], f"pod-{name}")
        pods[name].run()
        cli(name, "ipam", "reserve", {"a1": "10.244.1.70", "b1": "10.244.2.30"}[name], "--comment", "kept")
    gone["pod"] = Pod(Agent(daemons["a1"]), nodes["a1"], "gone")
    gone["pod"].run()
    cli("a1", "ipam", "reserve", "10.244.1.71", "--comment", "not kept")
    both_talk("with files")


def wrong_files():
    def refused(file, part, *words):
        done = cli("a1", "migrate", "--datastore", file, *words)
        tap.ok(done.returncode == 1 and part in done.stderr, f"refused: {part}", done.stdout + done.stderr)

    refused(os.path.join(directory, "none.cfg"), "none.cfg")
    path = os.path.join(directory, "bad.cfg")
    with open(path, "w", encoding="ascii") as f:
        f.write("apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nmetadata: {}\nspec: {datastoreType: kubernetes}\n")
    refused(path, "bad.cfg")
    # culvert has another working directory than culvertd.
    done = subprocess.run([culvert.BUILD + "/culvert", "--run-dir", daemons["a1"].run_dir, "-j", "migrate",
                           "--datastore", "ours.cfg", "--dry-run"], cwd=directory, text=True,
                          stdout=subprocess.PIPE, check=False)
    tap.equal((done.returncode, json.loads(done.stdout)["datastore"]), (0, FILE), "a relative path is culvert's")
    lost = os.path.join(directory, "lost.cfg")
    with open(FILE, encoding="ascii") as f, open(lost, "w", encoding="ascii") as g:
        g.write(f.read().replace("192.168.90.1:", "192.168.90.99:"))
    code, said = migrate("a1", file=lost)
    tap.ok(code == 1 and "192.168.90.99" in said["problem"], "an etcd that is not there", said)
    pod = Pod(Agent(daemons["a1"]), nodes["a1"], "after")
    tap.ok(pod.add(), "after it addresses are assigned as before")
    pod.delete()


def dry_run():
    code, said = migrate("a1", "--dry-run")
    tap.ok(not code and said["total"] > 8 and said["written"] == 0 and not said["conflicts"], "a dry run", said)
    tap.equal(ours.dump("/culvert/"), {}, "writes nothing")
    tap.ok(not os.path.exists(os.path.join(daemons["a1"].config, "datastore.cfg")), "nor puts anything in place")


def etcd_stops_in_between():
    """It stands still when asked; when it goes on, the same command completes it."""
    ours.members[0].pause()
    code, said = migrate("a1")
    ours.members[0].resume()
    tap.ok(code == 1 and said["problem"], "an etcd that stands still", said)
    ours.members[0].wait()


def first_node():
    code, said = migrate("a1")
    tap.ok(not code and said["problem"] is None and said["resources"] == 3 and said["blocks"] == 3
           and said["handles"] >= 3, "a1 moves", said)
    keys = ours.dump("/culvert/")
    tap.ok(RESOURCE + "ippools/pods" in keys and RESOURCE + "nodes/b1" in keys, "resources are there", sorted(keys))
    block = json.loads(keys[BLOCK + "10.244.1.0-26"])
    tap.ok(block["affinity"] == "host:a1" and "pods.pod-a1.eth0" in json.dumps(block), "its block, with its pod")
    tap.ok(json.loads(keys[BLOCK + "10.244.2.0-26"])["strictAffinity"], "b1's is kept for it")
    config = os.path.join(daemons["a1"].config, "datastore.cfg")
    with open(FILE, "rb") as f, open(config, "rb") as g:
        tap.equal(g.read(), f.read(), "the configuration is in place")
    tap.equal(os.stat(config).st_mode & 0o777, 0o600, "for nobody else to read")
    try:
        Pod(Agent(daemons["a1"]), nodes["a1"], "between").add()
        tap.ok(False, "until the restart no address is given")
    except Refused as error:
        tap.equal(error.code, "unavailable", "until the restart no address is given")
    tap.ok("restart culvertd" in cli("a1", "status").stdout, "status says so")
    both_talk("moved, not restarted")
    code, said = migrate("a1")
    tap.ok(not code and said["equal"] == said["total"] and said["written"] == 0, "once more changes nothing", said)
    deleted_in_between()


def deleted_in_between():
    """What is released until the restart, by its handle or by its address, etcd does not know of."""
    gone["pod"].delete()
    done = cli("a1", "ipam", "release", "10.244.1.71")
    tap.equal(done.returncode, 0, "an address is released, too")
    tap.ok("pods.gone.eth0" in ours.get(BLOCK + "10.244.1.0-26")
           and "reserved-10.244.1.71" in ours.get(BLOCK + "10.244.1.64-26"), "etcd has both still")
    # Whatever is asked for in between, and refused.
    code, said = migrate("a1", "--dry-run")
    tap.ok("restart culvertd" in cli("a1", "status").stdout, "only a restart lets addresses be given", (code, said))


def first_restart():
    restart("a1")
    tap.ok(net.wait_for(lambda: ask("a1", "ipam")["store"] == "etcd", 10), "a1 works with etcd")
    tap.equal(len(ask("a1", "get", "nodes")["items"]), 2, "resources come from there")
    both_talk("a1 with etcd, b1 with files")
    keys = ours.dump("/culvert/ipam/")
    tap.ok(not any(handle in each for each in [*keys, *keys.values()]
                   for handle in ("pods.gone.eth0", "reserved-10.244.1.71")),
           "what was released before the restart is released in etcd", sorted(keys))
    found = ask("a1", "ipam", "show", address_of("a1"))["address"]
    tap.ok(found["state"] == "assigned" and found["handle"] == "pods.pod-a1.eth0", "its pod has its address", found)
    tap.equal(ask("a1", "ipam", "show", "10.244.1.70")["address"]["attributes"]["comment"], "kept",
              "the reservation is there")
    done = cli("a1", "ipam", "check")
    tap.equal((done.returncode, done.stdout), (0, "nothing is wrong\n"), "nothing is wrong")
    pod = Pod(Agent(daemons["a1"]), nodes["a1"], "new")
    (address,) = pod.add()
    tap.ok(address.startswith("10.244.1.") and address != address_of("a1"), "a new pod gets another one", address)
    pod.delete()
    code, said = migrate("a1")
    tap.ok(code == 1 and said["error"]["code"] == "exists", "once it works with etcd there is nothing to move", said)


def second_node():
    code, said = migrate("b1")
    tap.ok(not code and not said["conflicts"], "b1 moves", said)
    block = json.loads(ours.get(BLOCK + "10.244.2.0-26"))
    tap.ok("pods.pod-b1.eth0" in json.dumps(block) and not block.get("strictAffinity"), "its own block is there", block)
    restart("b1")
    tap.ok(net.wait_for(lambda: ask("b1", "ipam")["store"] == "etcd", 10), "b1 works with etcd")
    both_talk("both with etcd")
    for name in ("a1", "b1"):
        done = cli(name, "ipam", "check")
        tap.equal((done.returncode, done.stdout), (0, "nothing is wrong\n"), f"{name}: nothing is wrong")
    found = [f for f in ask("a1", "doctor")["findings"] if f["check"] == "datastore"]
    tap.ok([f["level"] for f in found] == ["ok"], "doctor: the datastore is fine", found)
    text = cli("a1", "metrics").stdout
    tap.ok(all(f"\n{name} " in text for name in (
        "culvert_etcd_requests_total", "culvert_etcd_errors_total", "culvert_etcd_last_answer_seconds",
        "culvert_etcd_registered")), "metrics of etcd")


def refuses_what_differs():
    """A host with other resources of the same names: nothing is written."""
    nodes["x1"] = lan.plug("x1", "192.168.90.15")
    daemons["x1"] = Culvertd(nodes["x1"], "--node", "x1")
    cli("x1", "apply", "-f", "-", text=RESOURCES.replace("natOutgoing: true", "natOutgoing: false"))
    before = ours.items("/culvert/")
    code, said = migrate("x1")
    tap.ok(code == 1 and any("ippools/pods" in line for line in said["conflicts"]), "what differs is named", said)
    done = cli("x1", "migrate", "--datastore", FILE)
    tap.ok(done.returncode == 1 and "in the way: " in done.stdout and "nothing was written" in done.stdout,
           "for people, too", done.stdout + done.stderr)
    tap.equal(ours.items("/culvert/"), before, "nothing is written")
    daemons["x1"].stop()


def registers_itself():
    """A node without a Node; and one with the address of another."""
    def node(name):
        return json.loads(ours.get(RESOURCE + "nodes/" + name) or "null")

    nodes["e1"] = lan.plug("e1", "192.168.90.16")
    daemons["e1"] = Culvertd(nodes["e1"], "--node", "e1", "--datastore", FILE)
    tap.ok(net.wait_for(lambda: node("e1"), 10), "it makes its Node")
    tap.equal(node("e1")["spec"]["bgp"]["ipv4Address"], "192.168.90.16/24", "with the address that was found")
    tap.ok("culvert/address-detected-by" in node("e1")["metadata"]["annotations"], "and says so")
    daemons["e1"].stop()
    nodes["e1"].ip("addr del 192.168.90.16/24 dev eth0", "addr add 192.168.90.17/24 dev eth0")
    daemons["e1"].start()
    tap.ok(net.wait_for(lambda: node("e1")["spec"]["bgp"]["ipv4Address"] == "192.168.90.17/24", 10),
           "another address is followed", lambda: node("e1"))
    daemons["e1"].stop()
    before = node("a1")
    nodes["e1"].ip("addr del 192.168.90.17/24 dev eth0", "addr add 192.168.90.11/24 dev eth0")
    daemons["e2"], nodes["e2"] = Culvertd(nodes["e1"], "--node", "e2", "--datastore", FILE), nodes["e1"]
    tap.ok(net.wait_for(lambda: "is Node a1's" in cli("e2", "status").stdout, 10), "another's address is refused in words",
           lambda: cli("e2", "status").stdout)
    tap.ok(node("e2") is None and node("a1") == before, "no Node is made, and a1's stays as it is")
    daemons["e2"].stop()


def from_calico():
    theirs = Cluster([(lan.plug("m2", "192.168.90.2"), "192.168.90.2")])
    for key, value in calico().items():
        theirs.put(key, value)
    theirs.authenticate(users=[("culvert", "secret")])
    theirs.etcdctl("role", "grant-permission", "culvert", "--prefix=true", "read", "/calico/")
    before = theirs.items("/calico/")
    file = theirs.datastore(os.path.join(directory, "theirs.cfg"), etcdUsername="culvert", etcdPassword="secret")
    theirs.user = "culvert:secret"
    tap.ok(theirs.etcdctl("put", "/calico/x", text="x", check=False).returncode, "the user cannot write Calico's keys")
    theirs.user = "root:root"
    nodes["n1"] = lan.plug("n1", "192.168.90.13")
    daemons["n1"] = Culvertd(nodes["n1"], "--node", "n1")
    code, said = migrate("n1", "--from-calico", file=file)
    tap.ok(not code and said["resources"] == 6 and said["blocks"] == 2 and said["affinities"] == 2
           and said["handles"] == 3, "Calico's are copied", said)
    tap.ok(any(line.startswith("networkpolicies: 1") for line in said["skipped"]), "what is passed over is named", said)
    tap.equal(theirs.items("/calico/"), before, "no key of Calico's has changed, nor its revision")
    got = theirs.dump("/culvert/")
    for key in ("ipam/v2/assignment/ipv4/block/10.245.1.0-26", "ipam/v2/handle/ipip-tunnel-addr-n1"):
        tap.equal(got["/culvert/" + key], calico()["/calico/" + key], f"{key} is the same")
    tap.equal(json.loads(got["/culvert/ipam/v2/handle/k8s-pod-network.c0ffee"])["block"], {"10.245.1.0/26": 1},
              "a handle's IPv4 blocks alone")
    tap.equal(json.loads(got[RESOURCE + "ipamconfigurations/default"])["spec"],
              {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 20}, "IPAMConfiguration")
    code, said = migrate("n1", "--from-calico", file=file)
    tap.ok(not code and said["written"] == 0 and said["equal"] == said["total"], "once more changes nothing", said)
    restart("n1")
    tap.ok(net.wait_for(lambda: ask("n1", "ipam")["store"] == "etcd", 10), "n1 works with it")
    tap.ok(net.wait_for(lambda: "n1: 192.168.90.13/24 (Node n1," in cli("n1", "status").stdout, 10),
           "as the Node that Calico had", lambda: cli("n1", "status").stdout)
    found = ask("n1", "ipam", "show", "10.245.1.5")["address"]
    tap.ok(found["state"] == "assigned" and found["attributes"]["pod"] == "web", "Calico's pods keep their addresses", found)
    found = ask("n1", "ipam", "check")["findings"]
    tap.equal([f for f in found if f["code"] == "address-without-container"], [], "they are no leaks")
    pod = Pod(Agent(daemons["n1"]), nodes["n1"], "mine")
    (address,) = pod.add()
    tap.ok(address.startswith("10.245.1.") and address not in ("10.245.1.0", "10.245.1.5", "10.245.1.9"),
           "a new pod gets another one, and none that is reserved", address)
    tap.equal(theirs.items("/calico/"), before, "and Calico's keys are as they were")
    daemons["n1"].stop()


def end():
    for name in ("a1", "b1"):
        pods[name].delete()
        daemons[name].stop(signal.SIGTERM)
    shutil.rmtree(directory)


tap.main([with_files, wrong_files, dry_run, etcd_stops_in_between, first_node, first_restart, second_node,
          refuses_what_differs, registers_itself, from_calico, end])
