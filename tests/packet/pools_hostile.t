#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine
"""
Resources and machines that mean harm, or have bad luck: what is not ours stays, what must not be
led away is not, and what is ours comes back. The network is that of zones.py:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                  ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘               ├── office  192.168.7.7
                                  └── outside 203.0.113.9
"""

import os

import culvert
import net
import tap
from cluster import ping
from zones import ADDRESSES, DEVICE, NODES, POOL, Zones, block_text, path_taken

WORKLOAD = """\
---
apiVersion: culvert/v1
kind: Workload
metadata:
  name: {name}
spec:
  addresses: [{address}]
  node: {node}
{more}
"""

TUNNEL = """\
---
apiVersion: culvert/v1
kind: Tunnel
metadata:
  name: {name}
spec:
  remote: 192.168.200.2
  local: 192.168.100.1
  up: true
  routes: [10.77.0.0/16]
"""

culvert.need_programs()
zones = Zones(start=False)


def routes(name):
    """The node's routes of ours, sorted."""
    return sorted(zones.nodes[name].run("ip route show proto 84").stdout.splitlines())


def apply(text, name="a1"):
    """On one node; CompletedProcess."""
    return zones.cli(name, "apply", "-f", "-", text=text, check=False)


def pool(name, cidr, mode="Always", block_size=26):
    """Another pool."""
    return "---\n" + POOL.format(name=name, cidr=cidr, mode=mode, nat="true", block_size=block_size)


def nodes_reached():
    """Of a1, on the underlay."""
    return [x for x in NODES if x == "a1" or ping(zones.nodes["a1"], ADDRESSES[x])]


def their_table():
    """An nftables table that somebody else has called culvert before us."""
    a1 = zones.nodes["a1"]
    a1.run(["nft", "-f", "-"], input="table ip culvert { chain theirs { counter\n }\n }\n")
    before = a1.run("nft list table ip culvert").stdout
    zones.start()
    zones.apply(zones.manifest())
    tap.equal(a1.run("nft list table ip culvert").stdout, before, "it stays as it was")
    nat = zones.status("a1")["nat"]
    tap.ok(not nat["in_force"] and "not ours" in (nat["problem"] or ""), "status says so", nat)
    tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "… and all else is in force")
    zones.daemons["a1"].stop()
    zones.daemons["a1"].purge()
    tap.equal(a1.run("nft list table ip culvert").stdout, before, "purge leaves it")
    zones.daemons["a1"].start()
    a1.run("nft delete table ip culvert")
    zones.cli("a1", "apply", "-f", "-", text=pool("other", "10.99.0.0/16"))
    tap.ok(zones.status("a1")["nat"]["in_force"], "once it is gone, ours comes", zones.status("a1")["nat"])
    # Of a run directory that was lost, ours are still ours.
    zones.daemons["a1"].stop()
    os.unlink(os.path.join(zones.daemons["a1"].run_dir, "pools.json"))
    zones.daemons["a1"].start()
    tap.ok(zones.status("a1")["nat"]["in_force"], "ours is known without a note", zones.status("a1")["nat"])
    zones.cli("a1", "delete", "ippool", "other")


def claims_of_nodes():
    """Whoever claims a node's address, or the subnet it is in, does not cut it off."""
    for what, text in {
            "b1's own address": pool("p2", "192.168.200.0/24") +
                                WORKLOAD.format(name="w", address=ADDRESSES["b1"], node="b1", more=""),
            "a2's, as one of b1": pool("p2", "192.168.100.0/24") +
                                  WORKLOAD.format(name="w", address=ADDRESSES["a2"], node="b1", more=""),
            "a2's, behind a device of a1": WORKLOAD.format(
                name="w", address=ADDRESSES["a2"], node="a1", more="  device: pod0"),
            "all of b1's subnet": pool("p2", "192.168.0.0/16") +
                                  WORKLOAD.format(name="w", address="192.168.200.0/24", node="b1", more=""),
            "the half of a1's subnet, in no pool": block_text("a1", "192.168.100.0/25"),
    }.items():
        done = apply(text)
        tap.equal(done.returncode, 0, f"a claim of {what} is applied")
        tap.equal(nodes_reached(), list(NODES), "… and every node is still reached")
        tap.equal(path_taken(zones, "a1", "b1"), "tunnel", "… also by its pods")
        said = zones.cli("a1", "trace", ADDRESSES["b1"]).stdout
        tap.ok("conflict" not in said and "tunnel" not in said, "… trace agrees", said)
        for kind, name in (("workload", "w"), ("ippool", "p2"), ("blockaffinity", "a1-192-168-100-0-25")):
            zones.cli("a1", "delete", kind, name, check=False)
        tap.equal((path_taken(zones, "a1", "a2"), path_taken(zones, "a1", "b1")),
                  ("direct", "tunnel"), "deleted: all is as before")


def tunnel_address_of_a_gateway():
    """A tunnel address that is this host's gateway, or a neighbour's, is not led to the node."""
    for address in ("192.168.100.254", "192.168.100.77"):
        zones.apply(zones.manifest().replace("ipv4IPIPTunnelAddr: 10.244.3.0",
                                             f"ipv4IPIPTunnelAddr: {address}"), ["a1"])
        tap.equal(zones.nodes["a1"].run(f"ip route show {address}").stdout, "",
                  f"{address} has no route of ours")
        tap.ok(any(address in w and "not routed" in w for w in zones.status("a1")["warnings"]),
               "… as status says", lambda: zones.status("a1")["warnings"])
    zones.apply(zones.manifest(), ["a1"])


def tunnels_of_taken_names():
    """A Tunnel that cannot be made, as its name is taken, leads nothing into whoever has the name."""
    a1 = zones.nodes["a1"]
    for name in ("eth0", DEVICE):
        done = apply(TUNNEL.format(name=name))
        tap.equal(done.returncode, 0, f"Tunnel {name} is applied")
        tap.equal(a1.run("ip route show 10.77.0.0/16").stdout, "", "… and has no route")
        tap.ok(zones.status("a1")["pool_device"]["problem"], "… as status says", zones.status("a1")["pool_device"])
        zones.cli("a1", "delete", "-f", "-", text=TUNNEL.format(name=name))
    zones.cli("a2", "delete", "ippool", "default-ipv4-ippool")
    apply(TUNNEL.format(name="eth0"), "a2")
    tap.ok(any("eth0" in w for w in zones.status("a2")["warnings"]), "… also where there is no pool",
           lambda: zones.status("a2"))
    zones.cli("a2", "delete", "-f", "-", text=TUNNEL.format(name="eth0"))
    zones.apply(zones.manifest(), ["a2"])


def tunnel_deleted_while_down():
    """A Tunnel is all there is, and its file goes while culvertd is away: it goes, too."""
    daemon = zones.daemons["a2"]
    path = os.path.join(zones.config["a2"], "applied.yaml")
    zones.cli("a2", "delete", "-f", "-", text=zones.manifest())
    text = TUNNEL.format(name="tun7").replace("192.168.100.1", ADDRESSES["a2"]) \
        .replace("  routes: [10.77.0.0/16]\n", "")
    apply(text, "a2")
    tap.ok(zones.nodes["a2"].has("tun7"), "a Tunnel is made", lambda: zones.status("a2"))
    for what in ("broken", "gone"):
        daemon.stop()
        with open(path, "w", encoding="utf-8") as f:
            f.write("kind: [\n" if what == "broken" else "")
        daemon.start()
        tap.equal(zones.nodes["a2"].has("tun7"), what == "broken",
                  f"its file is {what}: it {'stays' if what == 'broken' else 'goes'}")
    zones.apply(zones.manifest(), ["a2"])


def restart_with_broken_store():
    """A mistake in a file, or a disk that is not there yet, and a restart: all that was made stays."""
    config, daemon = zones.config["a1"], zones.daemons["a1"]
    before = routes("a1")
    broken, away = os.path.join(config, "broken.yaml"), config + ".away"
    for what in ("a broken file", "no directory"):
        daemon.stop()
        if what == "no directory":
            os.rename(config, away)
        else:
            with open(broken, "w", encoding="utf-8") as f:
                f.write("kind: [\n")
        daemon.start()
        status = zones.status("a1")
        tap.ok(status["store"]["problem"] and any("stays as it is" in w for w in status["warnings"]),
               f"{what}: status says so", status["store"])
        tap.equal(routes("a1"), before, "… the routes stay")
        tap.ok("table ip culvert" in zones.nodes["a1"].run("nft list tables").stdout, "… NAT, too")
        tap.equal((path_taken(zones, "a1", "a2"), path_taken(zones, "a1", "b1"),
                   path_taken(zones, "b1", "a1")), ("direct", "tunnel", "tunnel"), "… and all works")
        if what == "no directory":
            os.rename(away, config)
        else:
            os.unlink(broken)
        tap.ok(net.wait_for(lambda: not zones.status("a1")["store"]["problem"], 3), "mended",
               lambda: zones.status("a1")["store"])
        tap.equal(zones.status("a1")["warnings"], [], "… and no warning is left")
        tap.equal(routes("a1"), before, "… with the same routes")
        # Now it is in charge: what is deleted goes.
        zones.cli("a1", "delete", "blockaffinity", "b1-10-244-3-0-24")
        tap.ok(net.wait_for(lambda: not any("10.244.3.0/24" in r for r in routes("a1")), 3),
               "… and changes are made")
        zones.apply(zones.manifest(), ["a1"])


def lost_address():
    """The card's address is gone for a while: nothing inner leaves another way, nothing is made anew."""
    a1 = zones.nodes["a1"]
    index = a1.run(f"ip -o link show {DEVICE}").stdout.split(":")[0]
    net.connect(a1, "eth1", zones.r, "to-a1-2")
    zones.r.ip("addr add 192.168.9.254/24 dev to-a1-2")
    a1.ip("addr add 192.168.9.1/24 dev eth1", "route add default via 192.168.9.254 metric 500")
    wire = zones.r.wire("to-a1-2")
    a1.ip(f"addr del {ADDRESSES['a1']}/24 dev eth0")
    status = {}

    def told():
        status.update(zones.status("a1"))
        return status["node"]["problem"]

    tap.ok(net.wait_for(told, 3), "it is told")
    tap.ok(a1.has(DEVICE), "the pool device stays")
    tap.ok(any(r.startswith("unreachable 10.244.0.0/16") for r in routes("a1")), "… and the guard",
           lambda: routes("a1"))
    wire.drain()
    ping(zones.pods["a1"], "10.244.9.9", "-W1")
    ping(zones.pods["a1"], zones.pod("a2"), "-W1")
    inner = lambda p: p[16:18] == b"\x0a\xf4"  # pylint: disable=unnecessary-lambda-assignment
    tap.equal(wire.expect(inner, 0.3), None, "… so nothing inner leaves by another card")
    wire.close()
    zones.daemons["a1"].stop()
    zones.daemons["a1"].start()
    tap.ok(told() and a1.has(DEVICE), "a restart meanwhile takes it away no more", status["node"])
    tap.ok(any(r.startswith("unreachable 10.244.0.0/16") for r in routes("a1")), "… nor the guard",
           lambda: routes("a1"))
    a1.ip(f"addr add {ADDRESSES['a1']}/24 dev eth0", "route add default via 192.168.100.254")
    tap.ok(net.wait_for(lambda: not told(), 3), "it is back, and the problem is gone")
    tap.equal((path_taken(zones, "a1", "a2"), path_taken(zones, "a1", "b1")), ("direct", "tunnel"),
              "all is as before")
    now = a1.run(f"ip -o link show {DEVICE}").stdout.split(":")[0]
    tap.equal(now, index, "… and the device is the one it was")
    a1.ip("link del eth1")


if __name__ == "__main__":
    tap.main([their_table, claims_of_nodes, tunnel_address_of_a_gateway, tunnels_of_taken_names,
              tunnel_deleted_while_down, restart_with_broken_store, lost_address, zones.clean_end],
             zones.before, zones.after)
