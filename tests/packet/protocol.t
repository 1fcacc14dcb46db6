#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
src/agent/protocol.md against what culvertd sends: every member of an answer stands there, and what
stands there is sent. The network is that of zones.py, without pods. And names that are no UTF-8,
which the kernel and file systems take, and JSON does not.
"""

import json
import os
import re
import shutil
import socket
import tempfile

import culvert
import net
import pod_agent
import tap
from culvert import Culvertd
from zones import Zones

with open(os.path.join(culvert.ROOT, "src/agent/protocol.md"), encoding="utf-8") as f:
    PROTOCOL = f.read()

culvert.need_programs()
zones = Zones(pods=False)


def ask(command, run_dir=None, **members):
    """The first line of the answer: its result."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(os.path.join(os.fsencode(run_dir or zones.daemons["a1"].run_dir), b"culvertd.sock"))
        s.sendall(json.dumps({"version": 1, "command": command, **members}).encode() + b"\n")
        with s.makefile("rb") as stream:
            answer = json.loads(stream.readline())
    assert answer["ok"], answer
    return answer["result"]


def words(text):
    """Members' names in a piece of protocol.md: `name`; values are `"value"`."""
    return set(re.findall(r"`([a-z_0-9]+)`", text))


def piece(begin, end="\n\n"):
    """From a line's beginning on."""
    at = PROTOCOL.index("\n" + begin) + 1
    return PROTOCOL[at:PROTOCOL.index(end, at)]


def rows(text):
    """Of a table: the second column by the name in the first."""
    found = {}
    for line in text.splitlines():
        cells = re.match(r"\| (`[^|]*`) \| (.*) \|$", line)
        for name in words(cells[1]) if cells else ():
            found[name] = cells[2]
    return found


def members(value):
    """Of an object, or of all objects of a list."""
    return set(value) if isinstance(value, dict) else set().union(*value)


def same(what, got, documented, sometimes=()):
    """The members of an answer are those that are documented."""
    tap.equal(sorted(members(got) - documented), [], f"{what}: nothing is sent that is not documented")
    tap.equal(sorted(documented - members(got) - set(sometimes)), [], f"{what}: what is documented is sent")


def status():
    zones.apply(zones.manifest())
    got = ask("status")
    text = piece("The result of `status`", "\n## Pods")
    before, table = text.split("It has also")
    nested = rows(table)
    same("status", got, words(re.sub(r"`\{.*?\}`", "", before)) - {"fastpath_state", "status"} | set(nested))
    for name in ("node", "store", "pools", "pool_device", "peers", "paths", "routes", "nat", "reconcile",
                 "addresses"):
        # Of counters, the members are told behind them.
        first, counters, _ = nested[name].partition("`counters`")
        same(f"status: {name}", got[name], words(first + counters))
    same("FASTPATH", got["fastpath"], words(piece("FASTPATH: ")))


def tunnels():
    (got,) = ask("tunnel.show", counters=True)["tunnels"]
    same("STATUS", got, set(rows(piece("STATUS, how", "\nFASTPATH"))), {"reason"})
    same("a tunnel", got["config"], set(rows(piece("A tunnel:\n", "\nAn endpoint"))))
    text = piece("`paths`: ")
    same("paths", got["paths"], {"fast", "engine", "handed_over"})
    same("paths: fast", got["paths"]["fast"], words(text) - {"paths", "fast", "engine", "handed_over", "in", "out"})
    same("paths: handed_over", got["paths"]["handed_over"], {"in", "out"})
    text = piece("COUNTERS: ")
    same("COUNTERS", got["counters"], words(text))


def endpoints():
    zones.nodes["a1"].ip("link add pod9 type veth peer name pod9peer", "link set pod9 up")
    ask("endpoint.add", endpoint={"dev": "pod9", "addresses": ["10.244.1.9"]})
    (got,) = ask("endpoint.show", counters=True)["endpoints"]
    same("ENDPOINT STATUS", got, set(rows(piece("ENDPOINT STATUS:", "\nThe result"))) | {"local_packets"},
         {"reason", "local_packets"})
    same("an endpoint", got["config"], set(rows(piece("An endpoint, a device", "\nSTATUS"))))
    ask("endpoint.del", endpoint={"dev": "pod9"})


def resources():
    change, summary = words(piece("CHANGE: ")) - {"diff"}, words(piece("SUMMARY, "))
    files = [{"name": "-", "text": zones.manifest()}]
    got = ask("apply", files=files)
    same("apply", got, {"changes", "warnings", "summary"})
    same("SUMMARY", got["summary"], summary)
    same("CHANGE", got["changes"], change, {"before", "after"})
    got = ask("diff", files=files)
    same("diff", got, {"changes", "warnings"})
    same("CHANGE of diff", got["changes"], change)
    same("apply, dry run", ask("apply", files=files, dry_run=True), {"changes", "warnings"})
    same("delete", ask("delete", kind="node", names=["b1"], dry_run=True), {"changes", "warnings"})
    same("get", ask("get")["resources"], {"text", "file", "line"})


def trace_and_doctor():
    got = ask("trace", to=zones.pod("b1"))
    same("TRACE", got, words(piece("TRACE: ")) - {"step", "text", "reason"})
    same("TRACE: steps", got["steps"], {"step", "text", "reason"})
    finding = words(piece("The result: `findings`")) - {"findings"}
    got = ask("doctor")
    same("doctor", got, {"findings"})
    same("a finding", got["findings"], finding)
    got = ask("doctor", peer="b1")
    same("doctor, of a peer", got, {"findings", "more"})
    same("metrics", ask("metrics"), {"text"})


def paths():
    got = ask("path")
    same("path", got, {"probing", "reason", "paths"})
    same("PATH", got["paths"], set(rows(piece("PATH, what is known", "\n## BGP"))))
    same("PATH: probes", got["paths"][0]["probes"], {"sent", "answered", "bytes"})
    tap.equal({p["node"] for p in ask("path", peer="b1")["paths"]}, {"b1"}, "path: of one peer")


def pods():
    pod = pod_agent.Pod(pod_agent.Agent(zones.daemons["a1"]), zones.nodes["a1"], "c1")
    pod.add()
    same("ADDED", pod.answer, words(piece("ADDED: ", ". The same")), {"bridge_addresses"})
    pod.make()
    same("cni.attach", pod.attach(), set())
    record = set(rows(piece("POD:\n", "\n## Paths")))
    same("POD", ask("pods")["pods"], record | {"bypassed", "reason"})
    same("cni.check", pod.agent.ask("cni.check", **pod.key), record | {"problems"})
    same("cni.del", pod.delete(), set())
    same("cni.gc", pod.agent.ask("cni.gc", network="pods", valid=[]), {"removed"})
    same("cni.status", ask("cni.status"), set())


def bgp_off():
    same("bgp.status, without BGP", ask("bgp.status"), {"wanted"})
    same("bgp.peers", ask("bgp.peers"), {"wanted", "bird", "age_s", "peers"})
    tap.equal(ask("status")["bgp"], None, "status: no BGP")


def names_of_bytes():
    """A kernel's device, a file and directories whose names are bytes: nobody loses his answer."""
    node = net.Node("odd")
    odd = tempfile.mkdtemp(prefix=b"culvert-odd-\xe4-")
    config = os.path.join(odd, b"config")
    os.mkdir(config)
    with open(os.path.join(config, b"f\xfc.yaml"), "w", encoding="utf-8") as f:
        f.write("apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: odd}\nspec:\n"
                "  bgp: {ipv4Address: 192.0.2.1/24, asNumber: 64512}\n---\n"
                "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\n"
                "spec: {cidr: 10.9.0.0/16, ipipMode: Always, vxlanMode: Never}\n")
    node.run([b"ip", b"link", b"add", b"eth\xff", b"type", b"veth", b"peer", b"name", b"other"])
    node.ip("link set other up")
    node.run([b"ip", b"link", b"set", b"eth\xff", b"up"])
    node.run([b"ip", b"addr", b"add", b"192.0.2.1/24", b"dev", b"eth\xff"])
    daemon = Culvertd(node, "--config", os.fsdecode(config), "--node", "odd")
    try:
        got = ask("status", daemon.run_dir)
        tap.equal(got.get("node", {}).get("address"), "192.0.2.1/24", "status knows the node")
        tap.ok("culvert-odd-?" in got["store"]["directory"], "the store's directory", got["store"])
        tap.equal(len(ask("get", daemon.run_dir)["resources"]), 2, "get has both resources")
        steps = ask("trace", daemon.run_dir, to="192.0.2.9")["steps"]
        tap.ok(any("dev eth?" in s["text"] for s in steps), "trace names the device", steps)
        tap.ok("findings" in ask("doctor", daemon.run_dir), "doctor answers")
        tap.ok("culvert_store_info" in ask("metrics", daemon.run_dir)["text"], "metrics answer")
        with open(os.path.join(config, b"b\xfc.yaml"), "w", encoding="utf-8") as f:
            f.write("kind: [\n")
        tap.ok(net.wait_for(lambda: ask("status", daemon.run_dir)["store"]["problem"], 3),
               "a broken file of such a name is told")
    finally:
        daemon.stop()
        daemon.purge()
        shutil.rmtree(odd, ignore_errors=True)


if __name__ == "__main__":
    tap.main([status, tunnels, endpoints, resources, trace_and_doctor, paths, pods, bgp_off, names_of_bytes, zones.clean_end],
             zones.before, zones.after)
