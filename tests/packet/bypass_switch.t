#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
Bypass switched off and on under traffic, connections that are older than it, and flow entries that
get lost. The network is that of cluster.py:

      a 10.244.1.2 ── a0 ┐                                         ┌ b0 ── b 10.244.2.2
                         n1 eth0 ── left  r  right ── eth0 n2
      c 10.244.1.3 ── c0 ┘   192.168.100.1    192.168.200.2        └ d0 ── d 10.244.2.3
                                         out ── o 192.168.9.9, outside

The forward chains drop what no rule accepts, and what conntrack calls invalid.
"""

import random
import socket
import threading
import time

import culvert
import tap
from bpfmap import BYPASS, STACK, Map, path_of
from cluster import (
    A, B, C, HOST_PORT, N1, PORT, TO_B, TO_C, Cluster, Seen, Server, client, echo_over,
    stream_works, tcp_works, udp_works,
)

culvert.need_programs()
lab = Cluster(policy="drop", endpoints=None)
servers = {name: Server(getattr(lab, name)) for name in ("a", "b", "c", "o")}
TCP, UDP = 6, 17


class Running:
    """
    A connection to a Server that has something to say all the time, in both directions, until
    end(): the longest silence in seconds, and what went wrong.
    """

    def __init__(self, node, target, source_port=0):
        self.socket = client(node, socket.SOCK_STREAM, target, source_port, timeout=6)
        self.port = self.socket.getsockname()[1]
        self.going = True
        self.longest, self.bytes, self.problem = 0.0, 0, None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        seed, last = 0, time.monotonic()
        while self.going and not self.problem:
            self.problem = echo_over(self.socket, 20000, seed)
            seed, self.bytes = seed + 1, self.bytes + 20000
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
            time.sleep(0.002)

    def end(self):
        """Close it, with all that belongs to it."""
        self.going = False
        self.thread.join(10)
        try:
            self.socket.shutdown(socket.SHUT_WR)
            if not self.problem and self.socket.recv(1):
                self.problem = "more bytes"
        except OSError as error:
            self.problem = self.problem or f"at the end: {error}"
        self.socket.close()
        return self


def judge(name, connections):
    """End the connections and say how they went."""
    for what, running in connections.items():
        running.end()
        tap.equal(running.problem, None, f"{name}: {what}: every byte arrived, and the end")
        tap.ok(running.longest < 1, f"{name}: {what}: no silence of a second",
               f"{running.longest:.2f} s")
    tap.note(", ".join(f"{what}: {r.bytes} bytes, longest silence {r.longest * 1000:.0f} ms"
                       for what, r in connections.items()))


def older():
    """Connections from before there was a daemon, an endpoint, a bypass."""
    connections = {
        "older than culvertd": Running(lab.a, (C, PORT)),
        "older than culvertd, to a service": Running(lab.a, (TO_C, PORT)),
    }
    lab.start(endpoints=False)
    connections["older than the endpoints"] = Running(lab.a, (B, PORT))
    connections["older than the endpoints, to a service"] = Running(lab.a, (TO_B, PORT))
    lab.bypass(False)
    lab.register()
    connections["from while bypass was off"] = Running(lab.b, (A, PORT))
    time.sleep(0.3)
    lab.bypass(True)
    seen = Seen(lab)
    connections["bypassed"] = Running(lab.a, (B, PORT))
    time.sleep(0.5)
    judge("old connections", connections)
    tap.equal(seen.invalid(), 0, "… and nothing was invalid")


def switched():
    seen = Seen(lab)
    connections = {
        "opened by the pod": Running(lab.a, (B, PORT)),
        "opened by a remote pod": Running(lab.b, (A, PORT)),
        "between pods of a node": Running(lab.c, (A, PORT)),
        "to a service": Running(lab.a, (TO_B, PORT)),
        "to a host port": Running(lab.b, (N1, HOST_PORT)),
    }
    for _ in range(5):
        for on in (False, True):
            lab.bypass(on)
            time.sleep(0.2)
    for device in ("a0", "c0"):
        for word in ("off", "on", "default"):
            lab.d1.cli("endpoint", "change", device, "bypass", word)
            time.sleep(0.1)
    judge("switched", connections)
    tap.equal(seen.invalid(), 0, "switched: nothing was invalid")


def one_way():
    """Off, while one end alone has something to say: first the one that did not open."""
    for name, node, target in (("the pod opens", lab.a, (B, PORT)),
                               ("a remote pod opens", lab.b, (A, PORT))):
        with client(node, socket.SOCK_STREAM, target) as s:
            tap.equal(echo_over(s, 10), None, f"off, {name}: a connection")
            lab.bypass(False)
            server = servers["b" if node is lab.a else "a"]
            server.say(b"hello")
            tap.equal(s.recv(5), b"hello", "… the other end speaks first: it is heard")
            tap.equal(echo_over(s, 1000), None, "… and so is everything after it")
            lab.bypass(True)
        with client(node, socket.SOCK_STREAM, target) as s:
            tap.equal(echo_over(s, 10), None, f"off, {name}: another connection")
            lab.bypass(False)
            s.shutdown(socket.SHUT_WR)
            tap.equal(s.recv(5), b"", "… that says no more than goodbye is closed by both ends")
            lab.bypass(True)


def rules_count():
    """Off: the host's rules hold, for flows that were bypassed before, too."""
    flow = Running(lab.a, (B, PORT))
    lab.n1.run(["nft", "insert", "rule", "ip", "kube", "forward", "ip", "saddr", A, "drop"])
    tap.equal(udp_works(lab.a, (B, PORT)), None, "on: the host's rules do not concern a pod")
    lab.d1.cli("endpoint", "change", "a0", "bypass", "off")
    time.sleep(0.2)
    before = flow.bytes
    tap.ok(udp_works(lab.a, (B, PORT), timeout=0.3), "off: they do: a new flow is dropped")
    tap.ok(tcp_works(lab.a, (C, PORT), timeout=0.3), "… between pods of the node, too")
    time.sleep(0.3)
    tap.ok(flow.bytes - before <= 20000, "… and one that was bypassed before",
           flow.bytes - before)
    flow.going = False
    lab.d1.cli("endpoint", "change", "a0", "bypass", "default")
    tap.equal(udp_works(lab.a, (B, PORT)), None, "on again")
    lab.rules("drop")


def probes():
    """1,000 datagrams per second to and fro while bypass is switched: none is lost."""
    for name, target in (("remote pod", (B, PORT)), ("pod of the node", (C, PORT)),
                         ("service", (TO_B, PORT))):
        sent = got = switches = 0
        going = True

        def switch():
            nonlocal switches
            on = False
            while going:
                lab.bypass(on)
                on = not on
                switches += 1
                time.sleep(0.1)

        switcher = threading.Thread(target=switch, daemon=True)
        switcher.start()
        try:
            for _ in range(30):
                # A flow that goes on while it is switched, and is another the next time.
                with client(lab.a, socket.SOCK_DGRAM, target, timeout=1) as s:
                    for number in range(50):
                        s.send(b"%d" % number)
                        time.sleep(0.001)
                    sent += 50
                    try:
                        for _ in range(50):
                            s.recv(100)
                            got += 1
                    except OSError:
                        pass
        finally:
            going = False
            switcher.join()
        lab.bypass(True)
        tap.ok(switches > 10, f"UDP probe to a {name}: bypass was switched all the time", switches)
        tap.equal(got, sent, f"UDP probe to a {name}: {sent} sent while switched, all came back")


def evicted():
    """Entries that disappear at random, all the time."""
    seen = Seen(lab)
    flows = [Map(daemon, "cv_flows") for daemon in (lab.d1, lab.d2)]
    lost, going = [0], True

    def forget():
        while going:
            for table in flows:
                keys = table.keys()
                for key in random.sample(keys, len(keys) // 2):
                    table.delete(key)
                    lost[0] += 1

    connections = {
        "direct": Running(lab.a, (B, PORT)),
        "opened by the other": Running(lab.b, (A, PORT)),
        "between pods of a node": Running(lab.a, (C, PORT)),
        "to a service": Running(lab.a, (TO_B, PORT)),
        "to a service of the node": Running(lab.a, (TO_C, PORT)),
        "to a host port": Running(lab.b, (N1, HOST_PORT)),
    }
    forgetter = threading.Thread(target=forget, daemon=True)
    forgetter.start()
    try:
        for name, node, target in (("direct", lab.a, (B, PORT)), ("service", lab.a, (TO_B, PORT)),
                                   ("local", lab.a, (C, PORT)),
                                   ("local service", lab.a, (TO_C, PORT)),
                                   ("host port", lab.b, (N1, HOST_PORT))):
            tap.equal(stream_works(node, target, 300), 300,
                      f"evicted: {name}: a stream of datagrams for one request is complete")
            tap.equal(udp_works(node, target, count=100), None, f"evicted: {name}: 100 requests")
            tap.equal(tcp_works(node, target), None, f"evicted: {name}: a connection, to its end")
    finally:
        going = False
        forgetter.join()
    judge("evicted", connections)
    tap.note(f"{lost[0]} entries deleted")
    tap.equal(seen.invalid(), 0, "evicted: nothing was invalid")
    for table in flows:
        table.close()


def evicted_end():
    """The entry of an idle connection is lost; its end is all that is still to come."""
    flows = [Map(daemon, "cv_flows") for daemon in (lab.d1, lab.d2)]
    for name, target in (("direct", (B, PORT)), ("service", (TO_B, PORT)), ("local", (C, PORT))):
        with client(lab.a, socket.SOCK_STREAM, target) as s:
            tap.equal(echo_over(s, 100), None, f"{name}: a connection")
            for table in flows:
                for key in table.keys():
                    table.delete(key)
            s.shutdown(socket.SHUT_WR)
            tap.equal(s.recv(1), b"", "… closes although its entries are lost")
    with client(lab.a, socket.SOCK_STREAM, (B, PORT)) as s:
        echo_over(s, 100)
        flow = (A, B, s.getsockname()[1], PORT, TCP)
        tap.equal(path_of(flows[0], *flow), BYPASS, "a direct flow's entry says so")
        lab.bypass(False)
        echo_over(s, 100)
        tap.equal(path_of(flows[0], *flow), STACK, "… and, switched off, that it is the stack's")
        lab.bypass(True)
        echo_over(s, 100)
        tap.equal(path_of(flows[0], *flow), STACK, "… where it stays: conntrack knows it")
    for table in flows:
        table.close()


tap.main(
    [older, switched, one_way, rules_count, probes, evicted, evicted_end, lab.clean_end],
    lab.before,
    lab.after,
)
