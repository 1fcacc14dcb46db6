#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
The plugin with others: delegated IPAM, plugins behind it in a list, and CHECK after things were
broken.
"""

import json
import os
import shutil
import tempfile
import time

import cni
import net
import tap
from cni_schema import schema_errors
from cni_world import HOST_LOCAL, VERSIONS, agent, call, config, devices, given, host
from cni_world import is_error, nothing_left, state

# ---- delegated and chained ------------------------------------------------------------------------

def test_delegated():
    container = net.Node("c1")
    network = cni.Network(host, config(ipam=HOST_LOCAL))
    result = network.add("c1", container.path, args="IP=10.9.0.77")
    tap.equal((result["ips"][0]["address"], result["ips"][0]["gateway"]),
              ("10.9.0.77/32", "169.254.1.1"), "host-local, routed")
    tap.equal(agent.notes[("pods", "c1", "eth0")]["request"]["ipam"], False, "culvertd knows")
    is_error(call("ADD", config(ipam=HOST_LOCAL), container="c2", netns=net.Node("c2").path,
                  ifname="eth0", args="IP=10.9.0.77"), 999,
             ["host-local", "10.9.0.77"], "its error is passed on, with its name")
    tap.equal(len(devices()), 1, "nothing was made of that")
    tap.equal(agent.notes.keys(), {("pods", "c1", "eth0")}, "nor is it noted")
    network.check("c1", container.path)
    network.delete("c1", container.path)
    nothing_left("nothing is left, of host-local either")

    bridged = cni.Network(host, config(mode="bridge", bridge="br7", ipam=HOST_LOCAL | {
        "routes": [{"dst": "0.0.0.0/0"}]}))
    nodes = [net.Node("c1"), net.Node("c2")]
    results = [bridged.add(node.name, node.path) for node in nodes]
    tap.equal(results[0]["ips"][0]["gateway"], "10.9.0.1", "host-local on a bridge: its gateway")
    address = results[1]["ips"][0]["address"].split("/")[0]
    for target in (address, "192.0.2.1", "10.9.0.1"):
        tap.equal(nodes[0].run(f"ping -c1 -W2 {target}", check=False).returncode, 0,
                  f"by the bridge to {target}")
    bridged.check("c1", nodes[0].path)
    for node in nodes:
        bridged.delete(node.name, node.path)
    host.ip("link del br7")
    plain = cni.Network(host, config(mode="bridge", bridge="br7", isGateway=False,
                                     hairpinMode=True, ipam=HOST_LOCAL))
    plain.add("c1", nodes[0].path)
    tap.ok("10.9.0.1" not in host.ip("addr"), "isGateway false: the bridge has no address")
    tap.ok("hairpin on" in host.run("bridge -d link").stdout, "hairpinMode")
    plain.delete("c1")
    host.ip("link del br7")

    static = cni.Network(host, config("0.4.0", ipam={
        "type": "static", "addresses": [{"address": "10.8.0.5/24", "gateway": "10.8.0.1"}],
        "routes": [{"dst": "10.7.0.0/16", "gw": "10.8.0.9"}], "dns": {"domain": "example.org"}}))
    result = static.add("c1", container.path)
    tap.equal((result["ips"][0]["address"], result["routes"], result["dns"]["domain"]),
              ("10.8.0.5/32", [{"dst": "10.7.0.0/16", "gw": "169.254.1.1"}], "example.org"),
              "static: its routes, all by the host, and its dns")
    static.delete("c1", container.path)
    for more, words in (({"addresses": [{"address": "fd00::5/64"}]}, ["IPv4"]),
                        ({"addresses": []}, ["static", "no address"])):
        is_error(call("ADD", config(ipam={"type": "static"} | more), **given(container)), 104,
                 words, f"static with {more}")
    nothing_left("nothing is left")


def fake_plugin(text):
    """A directory with a plugin `fake` that is this shell script."""
    directory = tempfile.mkdtemp(prefix="fake-", dir=state)
    path = os.path.join(directory, "fake")
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return directory


def test_bad_delegates():
    container = net.Node("c1")
    for text, code, words in (
            ("echo nonsense", 104, ["fake", "JSON"]), ("exit 3", 104, ["fake"]),
            ("echo nonsense; exit 1", 104, ["fake", "nonsense"]), ("kill -9 $$", 104, ["signal 9"]),
            ("true", 104, ["fake"]), ("echo '[]'", 104, ["fake"]),
            ("""echo '{"code": 11, "msg": "later", "details": "much"}'; exit 1""", 11,
             ["fake: later", "much"]),
            ("exec head -c 3000000 /dev/zero", 104, ["fake"]),
            ("""cat >/dev/null; echo '{"ips": [{"address": "10.0.0.1/8"}]}'""", None, []),
            # A child of its own that keeps its standard output is not waited for.
            ("""cat >/dev/null; sleep 4 2>/dev/null & echo '{"ips": [{"address": "10.0.0.1/8"}]}'""", None, [])):
        directory = fake_plugin(f'[ "$CNI_COMMAND" = ADD ] || {{ cat >{state}/fake-stdin; exit 0; }}\n'
                                + text)
        conf = config(ipam={"type": "fake"})
        began = time.monotonic()
        answer = cni.invoke(host, cni.find(cni.PLUGIN), "ADD", conf, path=(directory,),
                            **given(container))
        if code is None:
            tap.equal((answer.status, time.monotonic() - began < 3), (0, True), f"a good one: {text[:40]}")
            time.sleep(4 if "sleep" in text else 0)
            cni.invoke(host, cni.find(cni.PLUGIN), "DEL", conf, path=(directory,),
                       **given(container))
        else:
            is_error(answer, code, words, f"a delegated plugin: {text[:40]}")
        with open(f"{state}/fake-stdin", encoding="utf-8") as f:
            tap.equal(json.load(f), conf, "its DEL has the same configuration")
        os.unlink(f"{state}/fake-stdin")
        shutil.rmtree(directory)
    nothing_left("nothing is left")
    answer = call("ADD", config(ipam={"type": "host-local"}), **given(container, CNI_PATH=None))
    is_error(answer, 4, ["[CNI_PATH]"], "CNI_PATH, where it is needed")
    agent.notes.clear()


def test_chained():
    for version in VERSIONS[:-1]:
        container = net.Node("c1")
        network = cni.Network(host, {"cniVersion": version, "name": "pods", "plugins": [
            config(version, capabilities={"bandwidth": True, "ips": True}),
            {"type": "portmap", "capabilities": {"portMappings": True}},
            {"type": "tuning", "sysctl": {"net.core.somaxconn": "77"}, "dataDir": state},
            {"type": "bandwidth", "capabilities": {"bandwidth": True}}]})
        rate = {key: 8_000_000 for key in ("ingressRate", "ingressBurst", "egressRate",
                                            "egressBurst")}
        result = network.add("c1", container.path, capabilities={
            "bandwidth": rate, "ips": ["10.244.1.99"],
            "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]})
        tap.equal(schema_errors(result, version), [], f"{version}: the last one's result")
        tap.equal(container.sysctl("net.core.somaxconn"), "77", f"{version}: tuning")
        device = agent.notes[("pods", "c1", "eth0")]["attach"]["device"]
        tap.ok("tbf" in host.run(f"tc qdisc show dev {device}").stdout, f"{version}: bandwidth")
        tap.equal(agent.notes[("pods", "c1", "eth0")]["request"]["bypass"], "off",
                  f"{version}: the fast path is not on it")
        server = container.spawn(["nc", "-l", "-p", "80"]) if shutil.which("nc") else None
        rules = host.run("iptables-save -t nat", check=False).stdout
        tap.ok("--to-destination 10.244.1.99:80" in rules, f"{version}: portmap", rules)
        if server:
            net.stop(server)
        if cni.numbers(version) >= (0, 4, 0):
            # Debian's portmap looks for a chain of IPv6 that it has not made.
            plugins = network.list["plugins"]
            network.list["plugins"] = [each for each in plugins if each["type"] != "portmap"]
            network.check("c1", container.path)
            network.list["plugins"] = plugins
            tap.ok(True, f"{version}: CHECK of all but portmap")
        network.delete("c1", container.path)
        left = host.run("iptables-save -t nat", check=False).stdout
        tap.ok("10.244.1.99" not in left, f"{version}: portmap has cleaned up", left)
        nothing_left(f"{version}: nothing is left")


# ---- CHECK ----------------------------------------------------------------------------------------

def test_check_finds():
    container = net.Node("c1")
    network = cni.Network(host, config("1.1.0"))
    result = network.add("c1", container.path)
    device = result["interfaces"][0]["name"]
    address = result["ips"][0]["address"].split("/")[0]

    def breaks(node, break_it, mend, words):
        node.ip(*break_it)
        try:
            network.check("c1", container.path)
            tap.ok(False, f"CHECK after {break_it}")
        except cni.Failure as failure:
            tap.ok(failure.code == 102 and all(word in failure.msg for word in words),
                   f"CHECK after {break_it}", failure)
        node.ip(*mend)
        network.check("c1", container.path)

    inside = result["interfaces"][1]["mac"]
    outside = result["interfaces"][0]["mac"]
    default = "route add default via 169.254.1.1 dev eth0 onlink"
    gateway = f"neigh replace 169.254.1.1 lladdr {outside} dev eth0 nud permanent"
    breaks(container, ["route del default"], [default], ["0.0.0.0/0"])
    breaks(container, ["addr del " + address + "/32 dev eth0"],
           ["addr add " + address + "/32 dev eth0", gateway,
            "route replace 169.254.1.1 dev eth0 scope link",
            default.replace("add", "replace")], [address])
    breaks(container, ["link set eth0 mtu 1300"], ["link set eth0 mtu 1430"], ["MTU 1300", "1430"])
    breaks(container, ["neigh del 169.254.1.1 dev eth0"], [gateway], ["169.254.1.1"])
    breaks(container, ["link set eth0 down"],
           ["link set eth0 up", gateway, "route replace 169.254.1.1 dev eth0 scope link", default],
           ["down"])
    breaks(container, ["link set eth0 address 02:00:00:00:00:09"],
           [f"link set eth0 address {inside}", gateway], ["02:00:00:00:00:09"])
    neighbour = f"neigh replace {address} lladdr {inside} dev {device} nud permanent"
    breaks(host, [f"neigh del {address} dev {device}"], [neighbour], [address])
    breaks(host, [f"link set {device} down"], [f"link set {device} up", neighbour], ["down"])
    breaks(host, [f"link set {device} alias x"],
           [f"link set {device} alias culvert:pods/c1/eth0"], ["alias"])
    host.sysctl(f"net.ipv4.conf.{device}.rp_filter", 0)
    is_error(call("CHECK", config("1.1.0", prevResult=result), **given(container)), 102,
             ["rp_filter"], "CHECK: rp_filter")
    host.sysctl(f"net.ipv4.conf.{device}.rp_filter", 1)
    agent.override["cni.check"] = lambda request: {"problems": ["its route is gone"]}
    is_error(call("CHECK", config("1.1.0", prevResult=result), **given(container)), 102,
             ["its route is gone"], "CHECK: what culvertd says")
    agent.override.clear()
    note = agent.notes.pop(("pods", "c1", "eth0"))
    is_error(call("CHECK", config("1.1.0", prevResult=result), **given(container)), 3, [],
             "CHECK: culvertd does not know it")
    agent.notes["pods", "c1", "eth0"] = note
    network.delete("c1", container.path)
    nothing_left("nothing is left")


tap.main([
    test_delegated,
    test_bad_delegates,
    test_chained,
    test_check_finds,
], before=lambda name: agent.commands())
