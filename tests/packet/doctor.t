#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine
"""
culvert doctor: each thing that may be wrong is made wrong, found, mended by the very remedy that was
printed, and gone. Then probes of peers, with all that may be between. The network is that of
zones.py:

     pa1 ── a1 .1 ┐ 192.168.100.0/24              192.168.200.0/24
                  ├── br-a  .254  r  .254  right ──── .2 b1 ── pb1
     pa2 ── a2 .2 ┘
"""

import json
import os
import re
import subprocess
import time

import culvert
import net
import tap
from cluster import ping
from zones import ADDRESSES, DEVICE, Zones, block_text

zones = Zones(probing=True)
A1 = zones.nodes["a1"]
IS_ENGINE = culvert.MODE == culvert.ENGINE


def doctor(*words, name="a1", check=False):
    """(exit code, findings) of culvert doctor."""
    done = zones.cli(name, "-j", "doctor", *words, check=check)
    answer = json.loads(done.stdout)
    return done.returncode, answer["findings"] if "findings" in answer else done.stdout


def up_again(name="a1"):
    """What was mended is noticed by the next probe, a second later at most."""
    return net.wait_for(lambda: all(
        path["liveness"] == "up"
        for path in json.loads(zones.cli(name, "-j", "path").stdout)["paths"]), 5)


def find(findings, check, *parts, level=None):
    """The findings of a check with these words."""
    return [f for f in findings if f["check"] == check and (not level or f["level"] == level)
            and all(part in f["text"] for part in parts)]


def troubles(findings):
    """All that is not ok."""
    return [f for f in findings if f["level"] != "ok"]


def found(check, level, *parts, remedy=None):
    """It is found, and its remedy (or another) is typed, and it is gone."""
    code, findings = doctor()
    seen = find(findings, check, *parts, level=level)
    if not tap.ok(seen, f"{check}: {level}, \"{parts[0]}\"", troubles(findings)):
        return
    tap.equal(code, 1 if level == "error" else code, "… and the exit code")
    for finding in seen if remedy is None else ():
        A1.run(["sh", "-c", finding["remedy"]])
    if remedy:
        tap.ok(seen[0]["remedy"] and remedy[0] in seen[0]["remedy"], f"… \"{remedy[0]}\"", seen)
        remedy[1]()
    _, findings = doctor()
    tap.equal(find(findings, check, *parts, level=level), [], "… and mended by its remedy")


def nft(script, node=A1):
    """Run a script of nft(8)."""
    node.run(["nft", "-f", "-"], input=script.replace("}", "\n}\n"))


def no_resources():
    code, findings = doctor()
    tap.equal((code, troubles(findings)), (0, []), "without resources nothing is wrong")
    code, words = doctor("b1")
    tap.equal(code, 1, "… and nobody can be probed")
    tap.ok("there is no node b1" in words, "… as it is said", words)


def healthy():
    zones.apply(zones.manifest())
    code, findings = doctor()
    tap.equal((code, troubles(findings)), (0, []), "nothing is wrong")
    checks = {f["check"] for f in findings}
    tap.equal(checks, {"store", "node", "peers", "fast-path", "conntrack", "forwarding",
                       "rp-filter", "neighbours", "descriptors", "devices", "mtu", "paths", "routes",
                       "firewall", "nat"}, "every check says so")


def kernel():
    A1.sysctl("net.ipv4.ip_forward", 0)
    found("forwarding", "error", "ip_forward is 0")
    A1.sysctl(f"net.ipv4.conf.{DEVICE}.forwarding", 0)
    found("forwarding", "error", DEVICE)
    A1.sysctl("net.ipv4.conf.eth0.rp_filter", 1)
    found("rp-filter", "warning", "eth0", "strict")
    A1.sysctl("net.ipv4.conf.eth0.rp_filter", 0)
    A1.sysctl("net.ipv4.conf.all.rp_filter", 1)
    found("rp-filter", "warning", "eth0", "by net.ipv4.conf.all")
    A1.sysctl("net.ipv4.conf.all.rp_filter", 0)


def devices():
    A1.ip("link add vx type vxlan id 7 dstport 4789 dev eth0", "addr add 10.244.77.1/24 dev vx")
    found("devices", "warning", "vx", "vxlan", "10.244.77.1/24")
    A1.ip("link del vx")
    for words in ("remote 192.168.200.2 local 192.168.100.1", "remote 192.168.200.2"):
        zones.cli("a1", "tunnel", "add", "plain0", "mode", "ipip", *words.split())
        A1.ip("link set plain0 up")
        tap.ok(not ping(A1, zones.pod("b1"), "-W1"), f"plain0, {words}, takes b1's packets")
        found("devices", "error", "plain0", "node b1", remedy=(
            "culvert tunnel del plain0", lambda: zones.cli("a1", "tunnel", "del", "plain0")))
        tap.ok(ping(A1, zones.pod("b1")), "… which are the pools' again")
    A1.ip(f"link set {DEVICE} mtu 1400")
    time.sleep(0.2)
    found("mtu", "warning", "1400", "set by hand")


def routes():
    A1.ip("route add 10.244.3.128/25 via 192.168.100.254")
    found("routes", "warning", "10.244.3.128/25", "comes before our 10.244.3.0/24")
    A1.ip("route add 10.244.3.0/24 via 192.168.100.254")
    found("routes", "warning", "route 10.244.3.0/24", "comes before our 10.244.3.0/24")
    A1.ip("route add 10.244.99.0/24 via 192.168.100.254 proto bird")
    found("routes", "warning", "10.244.99.0/24", "bird",
          remedy=("proto 12", lambda: A1.ip("route flush proto 12")))
    A1.ip("route add 10.244.1.7/32 dev pod0 metric 5", "route add 172.16.0.0/12 via 192.168.100.254")
    up_again()
    _, findings = doctor()
    tap.equal(troubles(findings), [], "a route to a pod of ours, or elsewhere, is none of that")
    A1.ip("route del 10.244.1.7/32 dev pod0 metric 5", "route del 172.16.0.0/12")


def firewall():
    nft("table inet f { chain out { type filter hook output priority 0\n ip protocol 4 drop\n } }")
    found("firewall", "error" if IS_ENGINE else "warning", "inet f out", "drops IP protocol 4",
          "the engine sends")
    nft("delete table inet f")
    nft("table ip filter { chain OUTPUT { type filter hook output priority 0; policy drop\n"
        " tcp dport 22 accept\n } }")
    found("firewall", "error" if IS_ENGINE else "warning", "the policy of ip filter OUTPUT",
          remedy=("iptables -I OUTPUT -p 4", lambda: nft("delete table ip filter")))
    nft("table netdev f { chain in { type filter hook ingress device eth0 priority 0\n"
        " ip protocol 4 drop\n } }")
    found("firewall", "error" if IS_ENGINE else "warning", "netdev f in", "the engine does not get")
    nft("delete table netdev f")
    nft("table inet f { chain in { type filter hook input priority 0; policy drop\n"
        " iifname lo accept\n ct state established,related accept\n icmp type echo-request accept\n"
        " } }")
    found("firewall", "warning", "fragmentation needed", "inet f in")
    _, findings = doctor()
    tap.ok(find(findings, "firewall", "without effect", level="ok"),
           "INPUT's policy against protocol 4 is told, and no trouble", findings)
    nft("delete table inet f")
    nft("table inet f { chain forward { type filter hook forward priority 0; policy drop\n"
        " iifname \"docker0\" accept\n } }")
    found("firewall", "error", "the policy of inet f forward", DEVICE)
    nft("delete table inet f")
    nft("table inet f { chain x { meta l4proto 94 accept\n } }")
    found("firewall", "warning", "94",
          remedy=("l4proto 4 accept", lambda: nft("delete table inet f")))


def nat():
    nft("table ip f { chain p { type nat hook postrouting priority 50\n masquerade\n } }")
    found("nat", "error", "ip f p", "comes before our rule", "10.244.")
    nft("delete table ip f")
    nft("table ip f { chain p { type nat hook postrouting priority 100\n masquerade\n } }")
    up_again()
    _, findings = doctor()
    tap.equal(troubles(findings), [], "one that comes later is no trouble")
    nft("delete table ip f")


def resources():
    path = os.path.join(zones.config["a1"], "hand.yaml")
    with open(path, "w", encoding="ascii") as file:
        file.write("kind: IPPool\nspec: [\n")
    time.sleep(0.3)
    found("store", "error", "hand.yaml", remedy=("mend that line", lambda: (os.unlink(path), time.sleep(0.3))))
    zones.cli("a1", "apply", "-f", "-",
              text="apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: nowhere}\n")
    found("peers", "error", "nowhere", "no bgp.ipv4Address",
          remedy=("culvert get node nowhere",
                  lambda: zones.cli("a1", "delete", "node", "nowhere")))
    zones.cli("a1", "delete", "blockaffinity", "a1-10-244-1-0-24")
    found("node", "warning", "no prefix is this node's",
          remedy=("BlockAffinity", lambda: zones.cli("a1", "apply", "-f", "-",
                                                     text=block_text("a1", "10.244.1.0/24"))))


def what_was_forgotten():
    """A pods' bridge that nobody has declared, a setting that was meant for Felix, and policies."""
    a1 = zones.nodes["a1"]
    for name, address in (("br8", "10.244.201.1/26"), ("br9", "10.244.200.1/26")):
        a1.ip(f"link add {name} type bridge", f"link set {name} up", f"addr add {address} dev {name}")
    net.wait_for(lambda: all(f"br{i}" in zones.cli("a1", "status").stdout for i in (8, 9)), 3)
    _, findings = doctor()
    tap.ok(find(findings, "node", "10.244.200.0/26 of br9 is inside IPPool default-ipv4-ippool, but no "
                "BlockAffinity or Workload declares it"), "an undeclared bridge", findings)
    text = ("{apiVersion: projectcalico.org/v3, kind: IPReservation, metadata: {name: x},"
            " spec: {reservedCIDRs: [10.244.200.0/26]}}\n")
    zones.cli("a1", "apply", "-f", "-", text=text)
    tap.ok("of br9 is inside" not in zones.cli("a1", "status").stdout, "who reserves it is not warned")
    done = zones.cli("a1", "delete", "ipreservation", "x")
    tap.ok("of br9 is inside" in done.stderr and "br8" not in done.stderr,
           "… but when that goes, though another is warned of all the time", done.stderr)
    a1.ip("link del br8", "link del br9")
    done = zones.cli("a1", "apply", "-f", "-", text="{apiVersion: projectcalico.org/v3, kind: "
                     "FelixConfiguration, metadata: {name: node.a1}, spec: {ipipEnabled: false}}\n")
    tap.ok("ipipEnabled: false, so nothing is tunnelled" in done.stdout, "apply says it", done.stdout)
    _, findings = doctor()
    tap.ok(find(findings, "node", "ipipEnabled: false, so nothing is tunnelled"), "and doctor", findings)
    zones.cli("a1", "delete", "felixconfiguration", "node.a1")
    nft("table ip filter { chain cali-pi-_abc { } }")
    _, findings = doctor()
    tap.ok(find(findings, "policies", "Calico's Felix enforces network policies"),
           "policies of Felix's", findings)
    nft("delete table ip filter")


def probes():
    for peer, words in (("b1", "passes both ways"), (ADDRESSES["b1"], "passes both ways"),
                        ("a2", "came back outside the tunnel")):
        begin = time.monotonic()
        code, findings = doctor(peer)
        tap.equal((code, troubles(findings)), (0, []), f"{peer}: all is well")
        tap.ok(find(findings, "protocol-4", words), f"… {words}", findings)
        tap.ok(find(findings, "underlay", "answers on the underlay"), "… and on the underlay")
        tap.ok(time.monotonic() - begin < 1, "… at once")
    for peer, words in (("a1", "is this node"), ("192.168.100.1", "is this node"),
                        ("nobody", "there is no node nobody")):
        code, text = doctor(peer)
        tap.ok(code == 1 and words in text, f"{peer}: {words}", text)
    code, findings = doctor("192.168.200.254")
    tap.ok(find(findings, "path", "no Node has the address"), "a stranger: is none", findings)
    tap.ok(find(findings, "underlay", "answers"), "… is reached")
    tap.ok(find(findings, "protocol-4", "nobody there takes it", level="error"),
           "… and takes no protocol 4", findings)


def blocked():
    nft("table ip f { chain x { type filter hook forward priority 0\n ip protocol 4 drop\n } }",
        zones.r)
    begin = time.monotonic()
    code, findings = doctor("b1")
    took = time.monotonic() - begin
    tap.ok(code == 1 and find(findings, "protocol-4", "by its number", level="error"),
           "protocol 4 dropped on the way: said", findings)
    tap.ok(find(findings, "underlay", "answers", level="ok"), "… the underlay is well")
    tap.ok(3 < took < 5, f"… in {took:.1f} s")
    nft("delete table ip f", zones.r)
    nft("table ip f { chain x { type filter hook forward priority 0\n"
        " ip protocol 4 reject with icmp type admin-prohibited\n } }", zones.r)
    _, findings = doctor("b1")
    tap.ok(find(findings, "protocol-4", "administratively prohibited, says 192.168.100.254"),
           "rejected on the way: by whom", findings)
    nft("delete table ip f", zones.r)
    nft("table ip f { chain x { type filter hook forward priority 0\n"
        " meta l4proto icmp drop\n } }", zones.r)
    up_again()
    code, findings = doctor("b1")
    tap.ok(code == 0 and find(findings, "underlay", "something filters ICMP"),
           "only ICMP dropped on the way: no trouble", findings)
    other = A1.spawn(["ping", "-i0.3", "192.168.100.77"], stdout=subprocess.DEVNULL)
    time.sleep(1)
    _, findings = doctor("b1")
    tap.ok(find(findings, "underlay", "no answer to 3 echo requests"),
           "… whatever other programs' requests come to", findings)
    net.stop(other)
    nft("delete table ip f", zones.r)
    zones.r.ip("link set to-b1 down", "route add unreachable 192.168.200.0/24")
    code, findings = doctor("b1")
    tap.ok(code == 1 and find(findings, "underlay", "host unreachable, says 192.168.100.254"),
           "the peer's network is away: who says so", findings)
    zones.r.ip("route del unreachable 192.168.200.0/24", "link set to-b1 up")
    net.wait_for(lambda: doctor("b1")[0] == 0, 10)


def neighbour_away():
    zones.r.ip("link set to-a2 nomaster")
    A1.ip("neigh flush dev eth0")
    code, findings = doctor("a2")
    tap.ok(code == 1 and find(findings, "underlay", "host unreachable, says 192.168.100.1"),
           "a neighbour that does not answer: this host itself says so", findings)
    zones.r.ip("link set to-a2 master br-a")
    net.wait_for(lambda: doctor("a2")[0] == 0, 10)


def not_known():
    zones.cli("b1", "delete", "node", "a1")
    code, findings = doctor("b1")
    tap.ok(code == 1 and find(findings, "protocol-4", "does not know this node"),
           "a peer that has no Node for us", findings)
    zones.apply(zones.manifest(), ("b1",))
    up_again()
    code, findings = doctor("b1")
    tap.equal((code, troubles(findings)), (0, []), "… and it has one again")
    # Refused on this host: the peer's answer comes, and goes no further.
    nft("table inet f { chain in { type filter hook input priority 0\n"
        f" iifname {DEVICE} drop\n }} }}")
    code, findings = doctor("b1")
    tap.ok(code == 1 and find(findings, "protocol-4", "this host does not deliver it"),
           "an answer that this host drops", findings)
    nft("delete table inet f")
    # One who was not asked answers: another address of the peer's block.
    nft("table ip f { chain out { type filter hook output priority 0\n"
        f" oifname {DEVICE} icmp type echo-reply ip saddr set {zones.pod('b1')}\n }} }}",
        zones.nodes["b1"])
    code, findings = doctor("b1")
    tap.ok(code == 1 and find(findings, "protocol-4", "not by IP protocol 4"),
           "an answer of somebody else", findings)
    nft("delete table ip f", zones.nodes["b1"])


def peer_stopped():
    if not IS_ENGINE:
        return tap.skip("a peer without culvertd", "its fast path goes on without")
    zones.daemons["b1"].stop()
    code, findings = doctor("b1")
    tap.ok(code == 1 and find(findings, "protocol-4", "culvertd does not run"),
           "a peer without culvertd", findings)
    zones.daemons["b1"].start()
    return net.wait_for(lambda: doctor("b1")[0] == 0, 10)


def spawn_probe():
    """A client that waits for a probe without answer."""
    return A1.spawn([os.path.join(culvert.BUILD, "culvert"), "--run-dir",
                     zones.daemons["a1"].run_dir, "-j", "doctor", "b1"],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def at_once():
    nft("table ip f { chain x { type filter hook forward priority 0\n ip protocol 4 drop\n } }",
        zones.r)
    before = zones.daemons["a1"].descriptors()
    clients = [spawn_probe() for _ in range(8)]
    time.sleep(0.5)
    begin = time.monotonic()
    zones.status("a1")
    tap.ok(time.monotonic() - begin < 0.5, "others are answered meanwhile")
    for client in clients[:4]:
        net.stop(client)
    answers = [json.loads(client.communicate(timeout=10)[0]) for client in clients[4:]]
    tap.ok(all(find(a["findings"], "protocol-4", level="error") for a in answers),
           "four probes at once, beside four whose clients vanish", answers)
    tap.ok(net.wait_for(lambda: zones.daemons["a1"].descriptors() == before),
           "… and no descriptor is left")
    client = spawn_probe()
    time.sleep(0.5)
    begin = time.monotonic()
    code = zones.daemons["a1"].stop()
    tap.ok(time.monotonic() - begin < 2, "culvertd ends in the middle of one", code)
    net.stop(client)
    nft("delete table ip f", zones.r)
    zones.daemons["a1"].start()
    net.wait_for(lambda: doctor("b1")[0] == 0, 10)


def words_for_people():
    done = zones.cli("a1", "doctor", "b1")
    tap.ok(re.search(r"^ok +protocol-4: ", done.stdout, re.M), "people read lines", done.stdout)



if __name__ == "__main__":
    tap.main([no_resources, healthy, kernel, devices, routes, firewall, nat, resources, what_was_forgotten,
              probes,
              blocked, neighbour_away, not_known, peer_stopped, at_once, words_for_people,
              zones.clean_end], zones.before, zones.after)
