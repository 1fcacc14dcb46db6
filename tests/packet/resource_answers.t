#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
culvert's side of resources: what it sends, and what it makes of answers. The daemon is the test
itself, a socket that records requests and gives the answers of a table.
"""

import atexit
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading

import tap
from culvert import BUILD

FOLDER = tempfile.mkdtemp(prefix="culvert-answers-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

SEED = """apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
    name: default-ipv4-ippool
spec:
    cidr: 192.168.0.0/16
    ipipMode: CrossSubnet
    natOutgoing: true
"""


class Server:
    """Takes one connection after the other; answers has the lines for the next request."""

    def __init__(self):
        self.requests, self.answers = [], []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(os.path.join(FOLDER, "culvertd.sock"))
        self.socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self.socket.accept()
            with connection, connection.makefile("rwb") as stream:
                for line in stream:
                    self.requests.append(json.loads(line))
                    for answer in self.answers:
                        stream.write(json.dumps(answer).encode() + b"\n")
                        stream.flush()


SERVER = Server()


def run(*words, answers=(), stdin=""):
    """culvert with these words; results or errors to be answered. What came of it."""
    SERVER.requests.clear()
    SERVER.answers = [
        {"version": 1, "id": 1, "ok": "code" not in a, "error" if "code" in a else "result": a}
        for a in answers
    ]
    return subprocess.run(
        [os.path.join(BUILD, "culvert"), "--run-dir", FOLDER, *words],
        input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )


def sent():
    """The one request, without what all of them have."""
    (request,) = SERVER.requests
    return {k: v for k, v in request.items() if k not in ("version", "id")}


def write(name, text):
    path = os.path.join(FOLDER, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def change(kind, name, action, **more):
    return {"kind": kind, "name": name, "action": action, **more}


def apply_prints_what_became_of_each():
    path = write("seed.yaml", SEED)
    summary = {
        "node": "a1", "address": "192.168.100.1/24", "how": "first-found: eth0", "problem": None,
        "others": 0, "next": ["culvert plan"],
    }
    answer = {
        "changes": [change("IPPool", "default-ipv4-ippool", "created")],
        "warnings": ["seed.yaml:1:1: so so"], "summary": summary,
    }
    done = run("apply", "-f", path, answers=[answer])
    tap.equal(sent(), {"command": "apply", "files": [{"name": path, "text": SEED}]}, "the request")
    tap.equal(
        done.stdout,
        "ippool/default-ipv4-ippool created\n"
        "applied; this node is a1 (192.168.100.1/24, first-found: eth0); no other nodes known; "
        "next: culvert plan\n",
        "the output",
    )
    tap.equal(done.stderr, "culvert: warning: seed.yaml:1:1: so so\n", "warnings: standard error")
    tap.equal(done.returncode, 0, "exit code")
    done = run("-j", "apply", "-f", path, answers=[answer])
    tap.equal(json.loads(done.stdout), answer, "-j: the answer as it is")
    summary.update(address=None, problem="x", others=2, next=["x", "y"])
    done = run("apply", "-f", path, answers=[answer])
    tap.equal(
        done.stdout.split("\n", 1)[1],
        "applied; this node is a1 (no address); 2 other nodes; next:\n"
        "  x\n  y\n", "without an address, with two things to do",
    )
    done = run("apply", "--dry-run", "-f", path, answers=[answer])
    tap.equal(sent()["dry_run"], True, "--dry-run is sent")
    tap.equal(done.stdout, "ippool/default-ipv4-ippool created (dry run)\n", "and nothing applied")
    done = run("apply", "-f", path, answers=[{"code": "invalid", "message": "seed.yaml:6:5: no"}])
    tap.equal((done.returncode, done.stdout, done.stderr),
              (1, "", "culvert: seed.yaml:6:5: no\n"), "an error is one line")


def files_directories_and_standard_input():
    first = write("d/b.yaml", "b\n")
    for name in ("a.json", "c.yml", ".hidden.yaml", "readme.txt", "deep/x.yaml"):
        write(f"d/{name}", f"{name} ü\n")
    folder = os.path.join(FOLDER, "d")
    run("diff", "-f", folder, "-f", "-", "-f", first, stdin="in\n", answers=[{"changes": []}])
    tap.equal(
        [(os.path.relpath(f["name"], folder) if f["name"] != "-" else "-", f["text"])
         for f in sent()["files"]],
        [("a.json", "a.json ü\n"), ("b.yaml", "b\n"), ("c.yml", "c.yml ü\n"), ("-", "in\n"),
         ("b.yaml", "b\n")], "in the order of -f, a directory's by name",
    )
    for name, data, word in (("nul", b"a\0b", "NUL"), ("latin", b"\xe4", "UTF-8"),
                             ("powershell", "a: b".encode("utf-16"), "UTF-16")):
        with open(os.path.join(FOLDER, name), "wb") as f:
            f.write(data)
        done = run("apply", "-f", os.path.join(FOLDER, name))
        tap.ok(done.returncode == 1 and word in done.stderr and not SERVER.requests,
               f"a file with {word} is not sent", done.stderr)
    os.mkfifo(os.path.join(folder, "pipe.yaml"))
    done = run("apply", "-f", folder)
    tap.ok(done.returncode == 1
           and "pipe.yaml: no file but a directory, a pipe or a device" in done.stderr,
           "a directory's pipe is not waited for", done.stderr)
    big = os.path.join(FOLDER, "big.yaml")
    with open(big, "wb") as f:
        f.truncate(65 << 20)
    done = run("apply", "-f", big)
    tap.ok(done.returncode == 1 and "more than 64 MiB" in done.stderr, "nor one of 65 MiB",
           done.stderr)
    text = "# " + "x" * (40 << 20)
    write("big.yaml", text)
    run("apply", "-f", big, answers=[{"changes": []}])
    tap.ok(sent()["files"][0]["text"] == text, "one of 40 MiB is")


POOL = {
    "apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "p"},
    "spec": {"cidr": "10.244.0.0/16", "ipipMode": "Always", "allowedUses": ["Tunnel"]},
}
NODE = {
    "apiVersion": "projectcalico.org/v3", "kind": "Node",
    "metadata": {"name": "a1", "labels": {"rack": "1", "zone": "a"}},
    "spec": {"bgp": {"ipv4Address": "192.168.100.1/24", "asNumber": 64512}},
}


def compact(resource):
    """A resource's text, as culvertd has it."""
    return json.dumps(resource, separators=(",", ":"))


def resources(*items):
    return {"resources": [
        {"text": compact(item), "file": "/etc/culvert/x.yaml", "line": 7} for item in items]}


def get_prints_tables():
    done = run("get", "pools", answers=[resources(POOL)])
    tap.equal(sent(), {"command": "get", "kind": "IPPool"}, "the request")
    tap.equal(done.stdout, "NAME  CIDR           IPIPMODE  NAT    DISABLED\n"
                           "p     10.244.0.0/16  Always    false  false\n", "a pool, defaults shown")
    done = run("get", "node/a1", "-o", "wide", answers=[resources(NODE)])
    tap.equal(sent(), {"command": "get", "kind": "Node", "name": "a1"}, "KIND/NAME")
    tap.equal(done.stdout,
              "NAME  ADDRESS           TUNNEL  ASN    LABELS         WHERE\n"
              "a1    192.168.100.1/24  -       64512  rack=1,zone=a  /etc/culvert/x.yaml:7\n",
              "wide")
    done = run("get", "all", answers=[resources(POOL, NODE)])
    tap.equal(sent(), {"command": "get"}, "all")
    tap.equal(done.stdout,
              "NAME      CIDR           IPIPMODE  NAT    DISABLED\n"
              "ippool/p  10.244.0.0/16  Always    false  false\n\n"
              "NAME     ADDRESS           TUNNEL\n"
              "node/a1  192.168.100.1/24  -\n", "a table for each kind")
    done = run("get", "nodes", answers=[resources()])
    tap.equal((done.returncode, done.stdout, done.stderr), (0, "", "culvert: there is no Node\n"),
              "none")


def of(kind, name, spec):
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name}, "spec": spec}


def get_prints_tables_of_bgp():
    peer = of("BGPPeer", "tor", {"nodeSelector": "all()", "peerIP": "192.0.2.1", "asNumber": 65001,
                                 "filters": ["f", "g"], "password": {"secretKeyRef": {"name": "s", "key": "k"}}})
    rules = of("BGPFilter", "f", {"exportV4": [{"action": "Accept", "cidr": "10.0.0.0/8", "matchOperator": "In"},
                                               {"action": "Reject"}]})
    done = run("get", "all", answers=[resources(of("BGPConfiguration", "default", {"asNumber": 64512}), peer, rules)])
    tap.equal(done.stdout,
              "NAME                      ASN    MESH  PORT  PROGRAMCLUSTERROUTES\n"
              "bgpconfiguration/default  64512  -     -     -\n\n"
              "NAME         NODE  NODESELECTOR  PEERIP     PEERSELECTOR  ASN    FILTERS\n"
              "bgppeer/tor  -     all()         192.0.2.1  -             65001  f,g\n\n"
              "NAME         EXPORT                                                        IMPORT\n"
              "bgpfilter/f  action=Accept,cidr=10.0.0.0/8,matchOperator=In;action=Reject  -\n", "BGP")
    done = run("get", "bgpp", "tor", "-o", "wide", answers=[resources(peer)])
    tap.equal(sent(), {"command": "get", "kind": "BGPPeer", "name": "tor"}, "a short name")
    tap.ok(" s         Auto     30s        120s         UseNodeIP  0 " in done.stdout, "wide", done.stdout)


def get_prints_manifests():
    for words in (("-j", "get", "all"), ("get", "all", "-o", "json")):
        done = run(*words, answers=[resources(POOL, NODE)])
        tap.equal(json.loads(done.stdout),
                  {"apiVersion": "v1", "kind": "List", "items": [POOL, NODE]}, " ".join(words))
    done = run("get", "pool", "p", "-o", "json", answers=[resources(POOL)])
    tap.equal(json.loads(done.stdout), POOL, "one by its name is that one")
    done = run("get", "all", "-o", "json", answers=[resources()])
    tap.equal(json.loads(done.stdout)["items"], [], "none is an empty list")
    done = run("get", "all", "-o", "yaml", answers=[resources(POOL, NODE)])
    tap.ok("kind: IPPool\n" in done.stdout and "\n---\n" in done.stdout, "YAML", done.stdout)


def delete_by_name_and_by_file():
    gone = {"changes": [change("Node", "a1", "deleted")], "warnings": []}
    done = run("delete", "nodes", "a1", "b1", answers=[gone])
    tap.equal(sent(), {"command": "delete", "kind": "Node", "names": ["a1", "b1"]}, "by name")
    tap.equal(done.stdout, "node/a1 deleted\n", "the output")
    run("delete", "node/a1", "--dry-run", answers=[gone])
    tap.equal(sent(), {"command": "delete", "kind": "Node", "names": ["a1"], "dry_run": True},
              "KIND/NAME, --dry-run")
    run("delete", "-f", write("seed.yaml", SEED), answers=[gone])
    tap.equal(sent()["files"][0]["text"], SEED, "by file")


def diff_is_unified():
    after = {**POOL, "spec": {**POOL["spec"], "ipipMode": "CrossSubnet"}}
    answer = {"changes": [
        change("IPPool", "p", "configured", before=compact(POOL), after=compact(after)),
        change("Node", "a1", "unchanged", before=compact(NODE), after=compact(NODE)),
        change("Node", "b1", "created", before=None, after=compact(NODE)),
    ], "warnings": []}
    done = run("diff", "-f", write("seed.yaml", SEED), answers=[answer])
    tap.equal(done.returncode, 0, "exit code")
    lines = done.stdout.splitlines()
    tap.equal(lines[:2], ["--- ippool/p (in force)", "+++ ippool/p (to be applied)"], "its head")
    tap.equal([line.replace(" ", "") for line in lines if line[:1] in "+-" and "ipip" in line],
              ["-ipipMode:Always", "+ipipMode:CrossSubnet"], "what changes")
    tap.ok("--- /dev/null" in lines and "+kind: Node" in lines, "what is new", done.stdout)
    tap.ok("node/a1" not in done.stdout, "nothing of what stays")
    before = run("get", "pool", "p", "-o", "yaml", answers=[resources(POOL)]).stdout
    hunk = done.stdout.split("@@\n")[1].split("--- /dev/null")[0].splitlines()
    numbers = done.stdout.split("@@")[1].split()
    first, length = (int(n) for n in numbers[0][1:].split(","))
    old = before.splitlines()
    tap.equal([line[1:] for line in hunk if line[0] != "+"], old[first - 1 : first - 1 + length],
              "its old lines are those of the resource")
    old[first - 1 : first - 1 + length] = [line[1:] for line in hunk if line[0] != "-"]
    want = run("get", "pool", "p", "-o", "yaml", answers=[resources(after)]).stdout
    tap.equal("\n".join(old) + "\n", want, "and make the new one")


def trace_prints_steps():
    answer = {"steps": [{"step": "pool", "text": "10.244.0.0/16", "reason": "the longest"},
                        {"step": "route", "text": "via 192.168.200.2", "reason": None}],
              "verdict": "tunnel"}
    done = run("trace", "from", "10.244.1.2", "dev", "veth0", "10.244.2.2", answers=[answer])
    tap.equal(sent(), {"command": "trace", "to": "10.244.2.2", "from": "10.244.1.2",
                       "device": "veth0"}, "the request")
    tap.equal(done.stdout, " 1. pool       10.244.0.0/16\n               (the longest)\n"
                           " 2. route      via 192.168.200.2\ntunnel\n", "the output")


def doctor_waits_for_the_probe():
    fine = {"check": "forwarding", "level": "ok", "text": "on", "remedy": None}
    bad = {"check": "protocol 4", "level": "error", "text": "no answer", "remedy": "open it"}
    done = run("doctor", answers=[{"findings": [fine]}])
    tap.equal(sent(), {"command": "doctor"}, "the request")
    tap.equal((done.returncode, done.stdout),
              (0, "ok       forwarding: on\nnothing is wrong\n"), "nothing is wrong")
    answers = [{"findings": [fine], "more": True}, {"findings": [bad]}]
    done = run("doctor", "b1", answers=answers)
    tap.equal(sent(), {"command": "doctor", "peer": "b1"}, "a peer")
    tap.equal((done.returncode, done.stdout),
              (1, "ok       forwarding: on\nerror    protocol 4: no answer\n"
                  "         remedy: open it\nerrors: 1, warnings: 0\n"), "two lines, an error")
    done = run("-j", "doctor", "b1", answers=answers)
    tap.equal((done.returncode, json.loads(done.stdout)), (1, {"findings": [fine, bad]}), "-j")
    done = run("doctor", "b1", answers=[answers[0], {"code": "not-found", "message": "no b1"}])
    tap.equal((done.returncode, done.stderr), (1, "culvert: no b1\n"), "the probe fails")


def metrics_are_printed():
    done = run("metrics", answers=[{"text": "culvert_up 1\n"}])
    tap.equal(done.stdout, "culvert_up 1\n", "as they are")


STATUS = {
    "version": "1", "pid": 1, "run_dir": "/run/culvert", "workers": 1, "tunnels": 0,
    "kernel_tunnel": None, "counters": {}, "endpoints": 0, "default_bypass": "on",
    "local_packets": 0, "fastpath": {"state": "off", "reason": "no BPF"},
}


def status_prints_the_node():
    old = run("status", answers=[STATUS]).stdout
    tap.equal(len(old.splitlines()), 3, "an answer without nodes is fine")
    peer = {"name": "b1", "address": "192.168.200.2", "path": "tunnel", "reason": "CrossSubnet",
            "prefixes": 1, "tunnelled": 1, "direct": 0, "underlay": 0,
            "counters": {"rx_packets": 5, "rx_bytes": 500, "tx_packets": 6, "tx_bytes": 600}}
    status = {
        **STATUS,
        "node": {"name": "a1", "address": "192.168.100.1/24", "how": "Node a1", "problem": None},
        "store": {"directory": "/etc/culvert", "digest": "abc", "resources": 3, "problem": "x:1:1"},
        "pools": [{"name": "p", "cidr": "10.244.0.0/16", "ipip_mode": "Always",
                   "nat_outgoing": True, "disabled": False, "blocks": 2}],
        "pool_device": {"name": "tunl0", "address": None, "mtu": 1480,
                        "mtu_how": "eth0's 1500 - 20", "state": "active"},
        "peers": [peer], "routes": {"wanted": 3, "failed": 1, "first_failure": "y"},
        "nat": {"wanted": True, "problem": None}, "warnings": ["w"],
    }
    done = run("status", answers=[status])
    tap.equal(done.stdout[len(old):], """\
node a1: 192.168.100.1/24 (Node a1)
store /etc/culvert: resources 3, digest abc
    not in force, the last good state is: x:1:1
pool p  10.244.0.0/16  Always  NAT outgoing  blocks 2  enabled
pool device tunl0: active, address none, mtu 1480 (eth0's 1500 - 20)
peer b1  192.168.200.2  tunnel  prefixes 1 (tunnel 1, direct 0, underlay 0)  CrossSubnet
routes: wanted 3, failed 1
    y
NAT: on
warning: w
""", "everything")
    tap.ok("rx packets 5 bytes 500, tx packets 6 bytes 600" in run("-s", "status", answers=[status]).stdout, "-s: counters")
    status["pool_device"] |= {"state": "suspended", "problem": "no /dev/net/tun", "no_fastpath": "no BPF"}
    status["nat"] = {"wanted": True, "in_force": False, "problem": "no nftables"}
    shown = run("status", answers=[status]).stdout
    for line in ("    problem: no /dev/net/tun", "    the engine carries it: no BPF",
                 "NAT: not in force; problem: no nftables"):
        tap.ok(line in shown.splitlines(), f"\"{line.strip()}\"", shown)
    status["peers"] = [{**peer, "name": f"n{i}"} for i in range(100)]
    done = run("status", answers=[status])
    tap.ok(done.stdout.count("\npeer ") == 32 and "... and 68 peers more" in done.stdout,
           "many peers are summed up", done.stdout)
    tap.equal(run("-s", "status", answers=[status]).stdout.count("\npeer "), 100, "-s: all")
    status["peers"] = []
    tap.ok("no other nodes known" in run("status", answers=[status]).stdout, "none")


def what_makes_no_sense_is_said():
    path = write("seed.yaml", SEED)
    for words in (["apply", "-f", path], ["diff", "-f", path], ["get", "all"], ["status"],
                  ["delete", "pool", "x"], ["trace", "10.0.0.1"], ["doctor"], ["metrics"]):
        done = run(*words, answers=[{}])
        tap.ok(done.returncode == 1 and "makes no sense" in done.stderr, f"culvert {words[0]}",
               done.stderr)


def words_that_make_no_sense():
    for text, word in (
        ("apply", "-f FILE"), ("apply x", "apply -f x"), ("apply -f", "its value is missing"),
        ("apply -f x -o yaml", "-o is for get"), ("get", "get all"),
        ("get nonsense", "kind"), ("get pool", None), ("get all x", "one KIND NAME"),
        ("get pool a b", "one KIND NAME"), ("get pool -o xml", "wide, yaml and json"),
        ("get -j pool -o yaml", "leave one"), ("delete", "KIND NAME"), ("delete pool", "which IPPool"),
        ("delete pool/x y", "KIND/NAME alone"), ("delete -f x y", "beside -f"),
        ("delete all x", "kind"), ("diff", "-f FILE"), ("diff --dry-run -f x", "--dry-run is for"),
        ("trace", "to where"), ("trace 10.0.0", "no IPv4"), ("trace from", "missing"),
        ("trace 10.0.0.1 10.0.0.2", "one too many"), ("trace from x 10.0.0.1", "no IPv4"),
        ("doctor a b", "one peer"), ("metrics x", "leave it out"), ("status x", "leave it out"),
        ("tunnel -f a -f b", "twice"), ("status --pool 10.0.0.0/8", "for plan"),
    ):
        done = run(*text.split(), answers=[resources()])
        if word is None:
            tap.equal(done.returncode, 0, f"culvert {text}")
            continue
        tap.ok(done.returncode == 2 and word in done.stderr and not SERVER.requests
               and done.stderr.count("\n") == 1, f"culvert {text}", done.stderr)
    for name in ("apply", "get", "delete", "diff", "trace", "doctor"):
        for words in ([name, "help"], [name, "--help"]):
            done = run(*words)
            tap.ok(done.returncode == 0 and done.stdout.startswith("Usage: culvert"),
                   f"culvert {' '.join(words)}")


tap.main(
    [
        apply_prints_what_became_of_each,
        files_directories_and_standard_input,
        get_prints_tables,
        get_prints_tables_of_bgp,
        get_prints_manifests,
        delete_by_name_and_by_file,
        diff_is_unified,
        trace_prints_steps,
        doctor_waits_for_the_probe,
        metrics_are_printed,
        status_prints_the_node,
        what_makes_no_sense_is_said,
        words_that_make_no_sense,
    ],
    root=False,
)
