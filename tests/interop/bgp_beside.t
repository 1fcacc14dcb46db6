#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath long-modes=endpoints
"""
BGP daemons that somebody else runs on a node: FRR on c1, which speaks with its top-of-rack router
while the agent programs (doc/examples/bgp-node.frr.conf), and on a1 a BIRD whose bird.conf includes
what Culvert renders (doc/examples/bird-external.conf). b1 has two BIRDs, Culvert's and an
operator's, which have nothing to do with each other. The network is that of ../packet/racks.py:

     pa1 ── a1 (BIRD) ┬ ta ──────────────────┐
     pa2 ── a2 ───────┘                      │
     pb1 ── b1 ┬ tb ──────────────────────── r
     pb2 ── b2 ┘                             │
     pc1 ── c1 (FRR) ── tc (FRR, AS 65103) ──┘
                        └ sc
"""

import os
import socket
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import culvert  # noqa: E402
import net  # noqa: E402
import tap  # noqa: E402
from cluster import ping  # noqa: E402
from racks import (ADDRESSES, METRIC_AGENT, METRIC_EXTERNAL, NODES, PAIRS,  # noqa: E402
                   Monitor, Racks, bgp_text, example, lossless, server, server_net)
from routers import Bird, Frr  # noqa: E402
from zones import DEVICE, block_text, path_taken  # noqa: E402

CROSS = {(a, b): "direct" if a[0] == b[0] else "tunnel" for a, b in PAIRS}
BLOCK_LATE = "10.244.91.0/26"
PART = "10.244.3.0/27"  # of b1's block

culvert.need_programs()
lab = Racks(start=False)
# The operator's BIRD has its socket where the daemon is told.
external = Bird(lab.nodes["a1"], "router id 192.168.100.1;\nprotocol device { }\n")
lab.start({"a1": ("--bgp", "external", "--bird-socket", external.socket),
           "c1": ("--bgp", "off")})
routers = {}
OWN = "10.77.0.0/24"  # what the operator's BIRD of b1 routes
other = Bird(lab.nodes["b1"], f"""\
router id 192.168.200.1;
protocol device {{ }}
protocol static {{ ipv4; route {OWN} via 192.168.200.254; }}
protocol kernel {{ scan time 1000; ipv4 {{ import none; export all; }}; }}
""")

TOR_C = """\
log stdout
router bgp 65103
 bgp router-id 192.168.210.254
 no bgp ebgp-requires-policy
 neighbor 192.168.210.1 remote-as 64512
 address-family ipv4 unicast
  network 172.31.3.0/24
 exit-address-family
"""


def frr_beside():
    """The agent programs the way to nodes, FRR the way to servers."""
    lab.apply(bgp_text(programClusterRoutes="Disabled"), declared=True, nat=False)
    tap.equal(lab.converge({p: CROSS[p] for p in PAIRS}, metric=METRIC_AGENT), [],
              "the agent programs all routes between nodes")
    routers["tc"] = Frr(lab.tors["c"], TOR_C)
    routers["c1"] = Frr(lab.nodes["c1"], example("bgp-node.frr.conf"))
    tap.ok(net.wait_for(lambda: routers["tc"].session(ADDRESSES["c1"]) == "Established", 20),
           "FRR of c1 speaks with the router", routers["c1"].log)
    tap.ok(net.wait_for(lambda: "via 192.168.210.254 dev eth0" in
                        (lab.route_to("c1", server_net("c")) or ""), 10),
           "c1 learns the servers' network", lambda: lab.routes("c1"))
    tap.ok(net.wait_for(lambda: routers["tc"].routes().get(lab.block("c1")) == [ADDRESSES["c1"]], 5),
           "the router learns c1's block", routers["tc"].routes)
    tap.ok(net.wait_for(lambda: ping(lab.pods["c1"], server("c"), "-W1"), 3), "pod to server")
    tap.ok(ping(lab.servers["c"], lab.pod("c1")), "server to pod")
    tap.equal(path_taken(lab, "c1", None, address=server("c"), on="c1"), "direct",
              "… without a tunnel")
    tap.equal((path_taken(lab, "c1", "a1"), path_taken(lab, "a1", "c1")), ("tunnel", "tunnel"),
              "to and from another node by the tunnel")
    said = lab.cli("c1", "doctor", check=False).stdout
    tap.ok("nothing is wrong" in said or "errors: 0" in said, "doctor has nothing against it", said)


def frr_untunnelled():
    """FRR that takes nodes' blocks loses their next hop: doctor names the route that it makes."""
    def doctor():
        return lab.cli("c1", "doctor", check=False).stdout

    def made():
        return lab.route_to("c1", PART, 20)

    routers["c1"].vtysh("configure terminal", "router bgp 64512", "no bgp ebgp-requires-policy",
                        "address-family ipv4 unicast",
                        "no neighbor 192.168.210.254 route-map from-tor in")
    routers["tc"].vtysh("configure terminal", "router bgp 65103", "no bgp network import-check",
                        "address-family ipv4 unicast", f"network {lab.block('b1')}",
                        f"network {PART}")
    tap.ok(net.wait_for(made, 15), "without its route-map FRR takes a part of b1's block",
           lambda: routers["c1"].vtysh("show bgp ipv4 unicast"))
    tap.ok("via 192.168.210.254 dev eth0" in (made() or ""), "… un-tunnelled",
           lambda: lab.routes("c1"))
    tap.equal((lab.route_to("c1", lab.block("b1"), 20), lab.knows("c1", "b1", "tunnel", METRIC_AGENT)),
              (None, True), "… and the whole one stays the agent's: zebra prefers a kernel route")
    lines = [line for line in doctor().splitlines() if PART in line]
    tap.ok(lines and lines[0].startswith(("error", "warning")), "doctor names it", doctor)
    tap.note("\n".join(lines))
    routers["tc"].vtysh("configure terminal", "router bgp 65103", "address-family ipv4 unicast",
                        f"no network {lab.block('b1')}", f"no network {PART}")
    tap.ok(net.wait_for(lambda: made() is None, 15), "withdrawn", lambda: lab.routes("c1"))
    tap.ok(PART not in doctor(), "… and doctor has nothing to say", doctor)


def bird_beside():
    """An operator's BIRD that includes our file works as one of ours."""
    include = os.path.join(lab.daemons["a1"].run_dir, "bird/culvert.conf")
    external.write("bird.conf", example("bird-external.conf")
                   .replace("/run/culvert/bird/culvert.conf", include)
                   .replace("/var/log/bird.log", external.path("bird.log")))
    lab.apply(bgp_text(), declared=True, nat=False)
    tap.ok(net.wait_for(lambda: os.path.exists(include), 5), "the include file is there",
           lambda: lab.daemons["a1"].log())
    said = external.ask("configure")
    tap.ok("Reconfigured" in said or "progress" in said, "the operator's BIRD takes it", said)
    birds = [p for p in PAIRS if "c1" not in p]
    own = [p for p in birds if p[0] == "a1"]
    tap.equal(lab.converge({p: CROSS[p] for p in birds}, pairs=set(birds) - set(own)) +
              lab.converge({p: CROSS[p] for p in own}, METRIC_EXTERNAL, own), [],
              "the mesh of those who have a BIRD is up")
    # c1 has no BIRD that would announce its block: a1's agent keeps its routes and says why.
    said = lab.json("a1", "bgp", "status")["programs"]
    tap.ok(said["now"] == "agent" and lab.block("c1") in (said["hand_over"] or ""),
           "a1: the hand-over waits for a declared block that nobody announces", said)
    lab.cli("a1", "delete", "blockaffinity", "c1-10-244-5-0-26")
    lab.cli("a1", "delete", "node", "c1")
    tap.ok(net.wait_for(lambda: lab.json("a1", "bgp", "status")["programs"]["now"] == "BIRD", 10),
           "… and is done without it", lambda: lab.cli("a1", "bgp", "status").stdout)
    status = lab.json("a1", "bgp", "status")
    tap.equal((status["bird"]["run"], status["bird"]["state"]), ("external", "up"),
              "a1: status says external")
    tap.equal((path_taken(lab, "a1", "b1"), path_taken(lab, "a1", "a2")), ("tunnel", "direct"),
              "a1: tunnel and direct")
    lab.cli("b1", "apply", "-f", "-", text=block_text("b1", BLOCK_LATE))
    tap.ok(net.wait_for(lambda: f"via {ADDRESSES['b1']} dev {DEVICE}" in
                        (lab.route_to("a1", BLOCK_LATE) or ""), 5), "it learns what is new")
    lab.cli("a1", "apply", "-f", "-", text=lab.cluster(mode="Always", nat=False))
    tap.ok(net.wait_for(lambda: lab.knows("a1", "a2", "tunnel", METRIC_EXTERNAL), 5),
           "a change of mode is configured through its socket", lambda: lab.routes("a1"))


UPLINK = """\
protocol bgp uplink {
	local 192.168.100.1 as 64512;
	neighbor 192.168.100.254 as 65101;
	connect delay time 1;
	ipv4 { import keep filtered; import where net != 10.244.94.0/24; export none; };
}
"""
UPSTREAM = """\
router id 192.168.100.254;
protocol device { }
protocol static { ipv4; route 10.244.93.0/24 via 192.168.100.2; route 10.244.94.0/24 via 192.168.100.2; }
protocol bgp { local 192.168.100.254 as 65101; neighbor 192.168.100.1 as 64512; connect delay time 1;
	ipv4 { import none; export where source = RTS_STATIC; }; }
"""


def operators_session():
    """What the operator's BIRD learns by a session of its own is none of ours, even when it is of a pool."""
    def learned():
        return lab.json("a1", "bgp", "status")["routes"]["learned"]

    def told(*words):
        return [r["prefix"] for r in lab.json("a1", "bgp", "routes", *words)["routes"]]

    net.wait_for(lambda: learned() == len(told()), 10)
    before, refused, conf = learned(), told("--refused"), external.path("bird.conf")
    with open(conf, encoding="utf-8") as f:
        text = f.read()
    upstream = Bird(lab.tors["a"], UPSTREAM)
    external.write("bird.conf", text + UPLINK)
    external.ask("configure")
    tap.ok(net.wait_for(lambda: "[uplink" in external.ask("show", "route", "10.244.93.0/24") and
                        "[uplink" in external.ask("show", "route", "filtered", "10.244.94.0/24"), 20),
           "the operator's session is up, and has routes", lambda: external.ask("show", "protocols", "all"))
    time.sleep(6)  # culvertd asks every 5 s
    tap.equal((learned(), told("--refused")), (before, refused), "culvertd has learned, and refused, none of them")
    tap.ok("10.244.93.0/24" not in told(), "bgp routes does not tell of it", told)
    tap.equal(told("10.244.93.1"), [], "… nor when it is asked for")
    said = lab.cli("a1", "doctor", check=False).stdout
    tap.ok("10.244.93." not in said and "10.244.94." not in said, "nor does doctor", said)
    external.write("bird.conf", text)
    external.ask("configure")
    upstream.stop()


def bird_ends():
    """The operator's BIRD ends by itself: what then programs is said."""
    probes, monitor = lab.probes((("a1", "b1"),)), Monitor(lab, ["a1"])
    external.stop(9)
    external.start("-R")
    tap.ok(net.wait_for(lambda: lab.json("a1", "bgp", "status")["sessions"]["up"] == 3, 20),
           "killed and started with -R: its sessions are up again",
           lambda: lab.cli("a1", "bgp", "peers").stdout)
    tap.equal(monitor.end(), {}, "… no route has moved")
    lossless(probes, "… ")


def two_birds():
    """A BIRD of the operator's beside one of ours: neither touches the other's routes."""
    tap.ok(lab.knows("b1", "a2") and lab.route_to("b1", OWN, METRIC_EXTERNAL),
           "b1: both BIRDs' routes are there", lambda: lab.routes("b1"))
    lab.cli("b1", "delete", "bgpconfiguration", "default")
    tap.ok(net.wait_for(lambda: lab.bird_pid("b1") is None, 10) and
           net.wait_for(lambda: not lab.knows("b1", "a2"), 5), "b1: ours is ended",
           lambda: lab.routes("b1"))
    tap.ok(lab.route_to("b1", OWN, METRIC_EXTERNAL), "… and the operator's route stays",
           lambda: lab.routes("b1"))
    other.stop()


def another_bird():
    """b2's BIRD is to be somebody else's: until that has routes, the agent's are there."""
    daemon, others = lab.daemons["b2"], ("a1", "a2", "b1")
    include = os.path.join(daemon.run_dir, "bird/culvert.conf")
    daemon.stop()
    daemon.arguments += ["--bgp", "external", "--bird-socket", "/nowhere"]
    daemon.start()
    tap.ok(net.wait_for(lambda: lab.bird_pid("b2") is None, 5), "b2: ours has ended")
    tap.ok(all(lab.knows("b2", n, metric=METRIC_AGENT) for n in others),
           "… and the agent has routes, though no other BIRD is there", lambda: lab.routes("b2"))
    tap.ok(net.wait_for(lambda: os.path.exists(include), 5), "… and the include file is there")
    inode = os.stat(include).st_ino
    daemon.stop()
    daemon.start()
    tap.equal(os.stat(include).st_ino, inode, "… the same over a restart of culvertd")
    del daemon.arguments[-4:]


def port_taken():
    """A session that BIRD has disabled as it could not listen is enabled when it can."""
    with lab.nodes["b2"].socket(socket.AF_INET, socket.SOCK_STREAM, 0) as other_program:
        other_program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other_program.bind(("", 179))
        other_program.listen()
        lab.daemons["b2"].stop()
        lab.daemons["b2"].start()
        tap.ok(net.wait_for(lambda: "cannot listen on TCP port 179" in
                            lab.cli("b2", "bgp", "peers").stdout, 10),
               "b2: another program has BIRD's port", lambda: lab.cli("b2", "bgp", "peers").stdout)
    tap.ok(net.wait_for(lambda: all(lab.knows("b2", n) for n in ("a1", "a2")), 30),
           "… when it has gone, the sessions come up", lambda: lab.cli("b2", "bgp", "peers").stdout)


if __name__ == "__main__":
    tap.main([frr_beside, frr_untunnelled, bird_beside, operators_session, bird_ends, another_bird, port_taken,
              two_birds, lab.clean_end], lab.before, lab.after)
