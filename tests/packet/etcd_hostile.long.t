#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath timeout=600
"""
Servers that are no etcd, or one that is broken, or somebody's who means ill:

     h1 .66, this test speaks  ┐
     m1 .1,  a real etcd       ┴ switch 192.168.90.0/24 ── a1 .11, culvertd

Alone, each is told for what it is, costs no memory and little else, and holds up nobody at the
end. Beside a real one, that is used.
"""

import base64
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

import culvert
import net
import tap
from culvert import Culvertd
from etcd import Cluster, Lan
from shapes import look_after

culvert.need_programs()
LIMIT_S = 20  # until something that takes a moment has happened, on a busy machine
LIST_S = 120    # the same, where a list without end is read as far as its limits allow
END_S = 5     # until culvertd has ended
MEMORY_KB = 400_000
# Requests in a second: one and its like again, every 50 ms at first, then every 2 s.
RATE = 60
LATE_S = 0.6    # longer than a change waits before it has the watch go elsewhere

lan = Lan()
cluster = Cluster.on(lan)
directory = tempfile.TemporaryDirectory(prefix="culvert-etcd-hostile-")
a1 = lan.plug("a1", "192.168.90.11")
h1 = lan.plug("h1", "192.168.90.66")
daemons = {}

HEADER = b'"header":{"cluster_id":"1","member_id":"1","revision":"7","raft_term":"1"}'
EMPTY = b"{" + HEADER + b"}"


def answer(body, status=b"200 OK", more=b""):
    """A whole answer of HTTP."""
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status, more, len(body), body)


def key(text):
    """A key as the gateway writes it."""
    return base64.b64encode(text.encode())


def item(text, revision=5):
    """A key with an empty value."""
    return b'{"key":"%s","mod_revision":"%d","create_revision":"1","version":"1"}' % (key(text), revision)


class Hostile:
    """
    A server: behaviour is a function of (connection, path, request's body), which writes what it
    likes; then the connection is closed, unless it returns True. requests counts them.
    """

    def __init__(self):
        self.behaviour = None
        self.requests = 0
        self.listener = h1.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("192.168.90.66", 2379))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection, connection.makefile("rb") as stream:
                while self._request(connection, stream):
                    pass
        except OSError:
            pass

    def _request(self, connection, stream):
        line = stream.readline()
        length = 0
        while (header := stream.readline().strip()):
            if header.lower().startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        if not line:
            return False
        self.requests += 1
        body = json.loads(stream.read(length) or b"{}")
        return self.behaviour(connection, line.split()[1].decode(), body)


def only(data):
    """A behaviour: always this."""
    def behave(connection, *_):
        connection.sendall(data)
        return False
    return behave


def silence(*_):
    """It takes the request, and that is all."""
    time.sleep(60)


def drip(connection, *_):
    """A byte a second."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(60):
        connection.sendall(b"{")
        time.sleep(1)


def headers(connection, *_):
    """Headers without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 8000 + b"\r\n")


def late(connection, path, body):
    """What the real one answers; of a watch, a while later."""
    text = json.dumps(body).encode()
    with h1.socket(socket.AF_INET, socket.SOCK_STREAM) as real:
        real.connect(("192.168.90.1", 2379))
        real.sendall(b"POST %s HTTP/1.1\r\nHost: m1\r\nConnection: close\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(text), text))
        while (part := real.recv(65536)):
            if path.endswith("/watch"):
                time.sleep(LATE_S)
            connection.sendall(part)


def endless_page(connection, *_):
    """The same page again and again, and always one more behind it."""
    connection.sendall(answer(b"{" + HEADER + b',"more":true,"kvs":[' + item("/culvert/ipam/v2/x") + b"]}"))
    return True


def endless_keys(connection, _, body):
    """Other keys on each page, in order, and no last one."""
    if "key" not in body:
        return False
    begin = base64.b64decode(body["key"])
    number = int(begin.rstrip(b"\0").rpartition(b"~")[2]) + 1 if b"~" in begin else 0
    base = begin.partition(b"~")[0].decode()
    keys = b",".join(item(f"{base}~{i:09}") for i in range(number, number + 20_000))
    connection.sendall(answer(b"{" + HEADER + b',"more":true,"kvs":[' + keys + b"]}"))
    return True


def nothing_more(connection, path, _):
    """More keys are behind none: who believes that takes what there is for gone."""
    if path != "/v3/kv/range":
        return False
    connection.sendall(answer(b"{" + HEADER + b',"more":true}'))
    return True


def large(connection, *_):
    """An answer as of a page, but of half a gigabyte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 536870912\r\n\r\n{")
    for _ in range(8192):
        connection.sendall(b" " * 65536)


def list_then(watch):
    """A behaviour: lists are empty; and what it does with a watch."""
    def behave(connection, path, body):
        if path == "/v3/watch":
            return watch(connection)
        if path != "/v3/kv/range":
            return False
        connection.sendall(answer(EMPTY))
        return True
    return behave


def forgetful(connection):
    """Whatever one wants to watch from is compacted."""
    line = b'{"result":{' + HEADER + b',"canceled":true,"compact_revision":"9"}}\n'
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(line), line))
    return False


def long_line(connection):
    """A watch begins well; then comes a line without an end."""
    line = b'{"result":{' + HEADER + b',"created":true}}\n{"result":"'
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(line), line))
    while True:
        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def last_revision(connection):
    """An event of the last revision that there is."""
    event = b'{"kv":' + item("/culvert/x", 2**63 - 1) + b"}"
    line = b'{"result":{' + HEADER + b',"created":true}}\n{"result":{' + HEADER + b',"events":[' + event + b"]}}\n"
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(line), line))
    time.sleep(60)
    return False


# What it does, and what is said of it.
BEHAVIOURS = (
    ("it says nothing", silence, "no answer within"),
    ("it says a byte a second", drip, "no answer within"),
    ("it ends in the middle of a chunk", only(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n{\"header\""), "the connection broke"),
    ("it ends before it says anything", only(b""), "the connection broke"),
    ("it speaks another protocol", only(b"SSH-2.0-OpenSSH_9.2\r\n"), "etcd http://192.168.90.66:2379: "),
    ("it answers with a page for people", only(answer(b"<html>Welcome!</html>")), "does not answer as etcd does"),
    ("it sends us elsewhere", only(answer(b"", b"302 Found", b"Location: http://192.168.90.1:2379/v3/kv/range\r\n")),
     "does not answer as etcd does: HTTP 302"),
    ("it has no such page", only(answer(b"404 page not found\n", b"404 Not Found")), "HTTP 404, 404 page not found"),
    ("its words have a terminal's codes", only(answer(b"\x1b[2Jgone\x07", b"403 Forbidden")), "HTTP 403, ?[2Jgone?"),
    ("its headers do not end", headers, "etcd http://192.168.90.66:2379: "),
    ("a page comes again and again", endless_page, "does not answer as etcd does"),
    ("its keys do not end", endless_keys, "lists more than 1000000 keys"),
    ("more keys are behind none", nothing_more, "does not answer as etcd does"),
    ("its answer does not end", large, "an answer of more than 32 MiB"),
    ("its answer is small, and large in memory", only(answer(b'{"kvs":[' + b"{}," * 5_000_000 + b"{}]}")),
     "more than 500000 JSON values"),
    ("its answer is deep", only(answer(b"[" * 1_000_000)), "nested deeper than 16"),
    ("the store is at the end of all revisions", only(answer(EMPTY.replace(b'"7"', b'"9223372036854775807"'))),
     "does not answer as etcd does"),
    ("all is compacted, always", list_then(forgetful), "compacted"),
    ("a line of the watch does not end", list_then(long_line), "an answer of more than 32 MiB"),
    ("an event has the last revision", list_then(last_revision), "does not answer a watch as etcd does"),
)

hostile = Hostile()


def datastore(name, endpoints):
    """A datastore.cfg; its path."""
    path = os.path.join(directory.name, name + ".cfg")
    with open(path, "w", encoding="ascii") as f:
        json.dump({"apiVersion": "projectcalico.org/v3", "kind": "CalicoAPIConfig", "metadata": {}, "spec": {
            "datastoreType": "etcdv3", "etcdEndpoints": ",".join(endpoints)}}, f)
    return path


def start(name, endpoints, wrapper=()):
    """A daemon of a1; another one ends."""
    for daemon in daemons.values():
        daemon.stop()
    daemons.clear()
    daemons["a1"] = Culvertd(a1, "--datastore", datastore(name, endpoints), "--node", "a1", mode=culvert.ENGINE,
                             wrapper=wrapper)
    return daemons["a1"]


def after(name, failed):
    """What the daemon has said."""
    look_after(daemons.values(), name, failed)


def cli(*words, text=None):
    """culvert on a1; CompletedProcess."""
    return a1.run([os.path.join(culvert.BUILD, "culvert"), "--run-dir", daemons["a1"].run_dir, *words],
                  check=False, input=text)


def problem():
    """Why the store is not in order; "": it is."""
    return json.loads(cli("-j", "status").stdout)["store"]["problem"] or ""


def becomes(condition, what, detail=None, limit=LIMIT_S):
    """It holds soon."""
    tap.ok(net.wait_for(condition, limit), what, detail)


def forget_peak(daemon):
    """The peak of its memory from now on."""
    with open(f"/proc/{daemon.process.pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")


def peak_kb(daemon):
    """The most memory that it had."""
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))


def node(name, number):
    """A manifest."""
    return json.dumps({"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": name},
                       "spec": {"bgp": {"ipv4Address": f"192.168.90.{number}/24"}}})


def alone():
    """Each is told, with the limit that it meets; nothing grows, and nobody is asked in a loop."""
    hostile.behaviour = silence
    daemon = start("alone", ["http://192.168.90.66:2379"])
    for what, behaviour, words in BEHAVIOURS:
        hostile.behaviour = only(answer(b'{"error":"between two","code":2}', b"500 Error"))
        becomes(lambda: "between two" in problem(), f"{what} …", problem, limit=30)
        forget_peak(daemon)
        hostile.behaviour = behaviour
        becomes(lambda words=words: "etcd is away since" in problem() and words in problem(),
                f"… which is told: {words}", problem, limit=60)
        before, begin = hostile.requests, time.monotonic()
        time.sleep(1)
        rate = (hostile.requests - before) / (time.monotonic() - begin)
        tap.ok(rate < RATE, "… and it is not asked in a loop", rate)
        peak = peak_kb(daemon)
        tap.ok(peak < MEMORY_KB, f"… nor does it cost memory ({peak // 1024} MiB at most)")
    tap.ok("\x1b" not in daemon.log(), "no code for a terminal is in the log")


def beside():
    """With a real one beside it, resources and addresses are that one's."""
    for number, (what, behaviour, _) in enumerate(BEHAVIOURS):
        hostile.behaviour = behaviour
        # Both first: which is asked first is drawn.
        start("beside", ["http://192.168.90.66:2379", "http://192.168.90.1:2379"])
        becomes(lambda: problem() == "", f"{what}: the other one is followed", problem, limit=LIST_S)
        done = []

        def applies(number=number, done=done):
            done.append(cli("apply", "-f", "-", text=node("beside", 100 + number)))
            return not done[-1].returncode

        becomes(applies, "… changes are made there", lambda done=done: done[-1].stderr)

        def shows(done=done):
            done.append(cli("ipam", "show"))
            return not done[-1].returncode

        becomes(shows, "… and addresses looked at", lambda done=done: done[-1].stderr, limit=LIST_S)


def behind():
    """News of others' changes that are late are no failure: a change waits for them."""
    hostile.behaviour = late
    daemon = start("behind", ["http://192.168.90.66:2379"])
    becomes(lambda: problem() == "", "a slow one is followed", problem)
    for number in range(3):
        cluster.put(f"/culvert/resources/v3/projectcalico.org/nodes/other{number}", node(f"other{number}", 50 + number))
        done = []

        def applies(number=number, done=done):
            done.append(cli("apply", "-f", "-", text=node("behind", 60 + number)))
            return not done[-1].returncode

        becomes(applies, "a change that meets another's is made", lambda done=done: done[-1].stderr)
        tap.equal([each.stderr for each in done if each.returncode and "has not come here yet" not in each.stderr], [],
                  "… if need be, at another try")
        tap.equal(problem(), "", "… and etcd is not said to be away")
        becomes(lambda number=number: f"other{number}" in cli("get", "nodes").stdout, "… the other's is known by now")
    tap.ok("away" not in daemon.log(), "nor was it in between", daemon.log())


def ends():
    """Whatever it does, culvertd ends at once, also with something to ask at hand."""
    for what, behaviour, _ in BEHAVIOURS:
        if behaviour not in (silence, drip, headers, endless_keys, large):
            continue
        hostile.behaviour = behaviour
        daemon = start("ends", ["http://192.168.90.66:2379"])
        asking = subprocess.Popen([os.path.join(culvert.BUILD, "culvert"), "--run-dir", daemon.run_dir, "ipam", "show"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        begin = time.monotonic()
        tap.equal(daemon.stop(), 0, f"{what}: culvertd ends cleanly")
        took = time.monotonic() - begin
        tap.ok(took < END_S, f"… in {took:.1f} s")
        asking.wait()
    daemons.clear()


def resolver():
    """A DNS server that says nothing: told in time, others are asked, and the end waits for none."""
    with h1:
        dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dns.bind(("192.168.90.66", 53))
    path = os.path.join(directory.name, "resolv.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write("nameserver 192.168.90.66\noptions timeout:15 attempts:2\n")
    wrapper = ("unshare", "--mount", "sh", "-c", f"mount --bind {path} /etc/resolv.conf && exec \"$@\"", "sh")
    daemon = start("resolver", ["http://etcd.example.org:2379"], wrapper)
    begin = time.monotonic()
    becomes(lambda: "etcd.example.org:2379: time-out" in problem(), "it is told", problem)
    tap.ok(time.monotonic() - begin < 10, "… before the resolver gives up")
    time.sleep(0.5)
    begin = time.monotonic()
    tap.equal(daemon.stop(), 0, "culvertd ends cleanly")
    took = time.monotonic() - begin
    tap.ok(took < END_S, f"… in {took:.1f} s")
    daemons.clear()
    start("resolver2", ["http://etcd.example.org:2379", "http://192.168.90.1:2379"], wrapper)
    becomes(lambda: problem() == "", "an endpoint with an address beside it is used", problem)
    dns.close()


def clean_end():
    """The last one ends."""
    for daemon in daemons.values():
        tap.equal(daemon.stop(), 0, "culvertd ends cleanly")


tap.main([alone, beside, behind, ends, resolver, clean_end], after=after)
