#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine
"""
culvert metrics, and the port that serves them: what is printed is what doc/metrics.md lists, and
what status and the counters say. The network is that of zones.py.
"""

import os
import re
import socket

import culvert
import net
import tap
from cluster import ping
from zones import DEVICE, Zones

PORT = 9091
TABLE = os.path.join(culvert.ROOT, "doc/metrics.md")

zones = Zones("--metrics", f"127.0.0.1:{PORT}", probing=True)
A1 = zones.nodes["a1"]

LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """({name: type}, {(name, frozenset of labels): value})"""
    types, values = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        elif not line.startswith("#"):
            key, value = line.rsplit(" ", 1)
            name = key.split("{", 1)[0]
            values[name, frozenset(LABEL.findall(key))] = float(value)
    return types, values


def metrics(name="a1"):
    """The same, of a node."""
    return parse(zones.cli(name, "metrics").stdout)


def value(values, name, **labels):
    """The only sample of a metric with these labels among its own."""
    found = [v for (n, has), v in values.items() if n == name and set(labels.items()) <= has]
    return found[0] if len(found) == 1 else found


def get(path, method="GET"):
    """(status, headers, body) by HTTP, in a1."""
    s = A1.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    s.settimeout(3)
    s.connect(("127.0.0.1", PORT))
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    data = b""
    while chunk := s.recv(65536):
        data += chunk
    s.close()
    head, body = data.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), head.decode(), body.decode()


def table():
    zones.apply(zones.manifest())
    ping(zones.pods["a1"], zones.pod("b1"))  # peers without traffic have no samples
    listed = {}
    with open(TABLE, encoding="utf-8") as file:
        for line in file:
            row = re.match(r"\| `(culvert_\w+)` \| (\w+) \| (.*?) \|", line)
            if row:
                listed[row[1]] = row[2], set(re.findall(r"`(\w+)`", row[3]))
    tap.ok(net.wait_for(lambda: value(metrics()[1], "culvert_path_up", node="b1") == 1, 10), "b1 answers probes")
    zones.cli("a1", "ipam", "show")  # a look at all addresses
    types, values = metrics()
    tap.equal(sorted(types), sorted(listed), "the table lists what is printed")
    tap.equal({n: k for n, k in types.items() if listed[n][0] != k}, {}, "… with its types")
    wrong = {(n, frozenset(k for k, _ in labels)) for n, labels in values
             if {k for k, _ in labels} != listed[n][1]}
    tap.equal(wrong, set(), "… and labels")
    # Those of BGP and etcd have some where there are these: bgp_cli.t, migrate.t.
    without = {n for n in listed if not any(m == n for m, _ in values)
               and not n.startswith(("culvert_bgp_", "culvert_etcd_"))}
    tap.equal(without - {"culvert_fastpath_underlay_info"}, set(), "all of them have samples here")


def as_status_says():
    status = zones.status("a1")
    _, values = metrics()
    tap.equal(value(values, "culvert_info", version=status["version"]), 1, "version")
    tap.equal(value(values, "culvert_store_info", digest=status["store"]["digest"]), 1, "digest")
    tap.equal(value(values, "culvert_node_info", node="a1", address=status["node"]["address"]), 1,
              "node")
    tap.equal([value(values, "culvert_peers", path=p) for p in ("tunnel", "direct")], [1, 1],
              "peers")
    tap.equal([value(values, "culvert_prefixes", path=p) for p in ("local", "tunnel", "direct")],
              [1, 1, 1], "prefixes")
    tap.equal(value(values, "culvert_resources", kind="Node"), 3, "resources")
    tap.equal(value(values, "culvert_routes_wanted"), status["routes"]["wanted"], "routes")
    tap.equal(value(values, "culvert_nat_in_force"), 1, "NAT")
    tap.equal(value(values, "culvert_fastpath_on"), int(culvert.MODE != culvert.ENGINE),
              "fast path")
    tap.equal(value(values, "culvert_pool_info", pool="default-ipv4-ippool",
                    ipip_mode="CrossSubnet", nat_outgoing="true"), 1, "pool")
    tap.ok(value(values, "culvert_reconcile_longest_seconds") > 0, "reconcile time")


def counters():
    _, before = metrics()
    target = zones.pod("b1")
    tap.ok(all(ping(zones.pods["a1"], target) for _ in range(3)), "three pings to b1's pod")
    _, after = metrics()
    name = "culvert_tunnel_packets_total"
    path = "engine" if culvert.MODE == culvert.ENGINE else "fast"
    for direction in ("tx", "rx"):
        labels = {"tunnel": DEVICE, "direction": direction}
        grown = sum(after[k] - before[k] for k in after
                    if k[0] == name and set(labels.items()) <= k[1])
        tap.equal(grown, 3, f"{direction}: three more")
    # The first packets of a flow may be the engine's, which learns and tells.
    def by_path():
        ping(zones.pods["a1"], target)
        return (value(metrics()[1], name, tunnel=DEVICE, direction="tx", path=path) >
                value(after, name, tunnel=DEVICE, direction="tx", path=path))

    tap.ok(net.wait_for(by_path), f"… and soon by the {path}")
    A1.run("ip route del 10.244.3.0/24 proto 84")
    tap.ok(net.wait_for(lambda: value(metrics()[1], "culvert_routes_repaired_total") >= 1),
           "a repaired route counts")


def broken_store():
    path = os.path.join(zones.config["a1"], "hand.yaml")
    with open(path, "w", encoding="ascii") as file:
        file.write("kind: [\n")
    tap.ok(net.wait_for(lambda: value(metrics()[1], "culvert_store_broken") == 1),
           "a broken file shows")
    os.unlink(path)
    tap.ok(net.wait_for(lambda: value(metrics()[1], "culvert_store_broken") == 0),
           "… and its end")


def port():
    status, head, body = get("/metrics")
    tap.equal(status, 200, "the port answers")
    tap.ok("text/plain; version=0.0.4" in head, "… with the format's type", head)
    tap.equal(parse(body)[0], metrics()[0], "… what culvert metrics prints")
    status, head, body = get("/metrics", "HEAD")
    tap.ok((status, body) == (200, "") and "Content-Length" in head, "HEAD: no body", head)
    tap.equal([get("/")[0], get("/metrics/x")[0], get("/..")[0]], [404] * 3, "elsewhere: 404")
    tap.equal(get("/metrics", "POST")[0], 501, "POST: no")
    listening = A1.run("ss -tln").stdout
    tap.ok(f"127.0.0.1:{PORT}" in listening and f"0.0.0.0:{PORT}" not in listening,
           "nothing listens but on loopback", listening)


def last_words(s):
    try:
        return s.recv(100)
    except ConnectionError:
        return b""


def silent_clients():
    s = []
    for _ in range(50):
        one = A1.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        one.settimeout(2)
        one.connect(("127.0.0.1", PORT))
        one.sendall(b"GET /met")
        s.append(one)
    tap.equal(get("/metrics")[0], 200, "beside fifty who say nothing: answered")
    tap.equal(last_words(s[0]), b"", "… of whom the first are cut")
    s[-1].settimeout(8)
    end = last_words(s[-1])
    tap.ok(end == b"" or b"HTTP/1.1 4" in end, "… and the last after 5 s", end)
    for one in s:
        one.close()


def refusals():
    program = os.path.join(culvert.BUILD, "culvertd")
    for address, words in (("0.0.0.0:9091", "loopback"), ("192.168.100.1:9091", "loopback"),
                           ("nonsense", "ADDRESS:PORT"), ("127.0.0.1:0", "ADDRESS:PORT")):
        done = A1.run([program, "--metrics", address], check=False)
        tap.ok(done.returncode == 2 and words in done.stderr, f"--metrics {address}: {words}",
               done.stderr)


if __name__ == "__main__":
    tap.main([table, as_status_says, counters, broken_store, port, silent_clients, refusals,
              zones.clean_end], zones.before, zones.after)
