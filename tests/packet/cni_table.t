#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
The plugin as CNI's specification and the reference plugins have it: a table of what runtimes give
it, wrong things above all. Where Debian's plugins (ptp) can be asked the same, their code is
compared.
"""

import json
import os
import re
import shutil

import cni
import cni_agent
import net
import tap
from cni_schema import schema_errors
from cni_world import HOST_LOCAL, VERSIONS, agent, call, config, devices, given, host
from cni_world import is_error, nothing_left

# ---- results by version ---------------------------------------------------------------------------

def test_results_of_every_version():
    dns = {"nameservers": ["10.96.0.10"], "search": ["cluster.local"]}
    routes = [{"dst": "10.0.0.0/8", "mtu": 1300, "priority": 7}, {"dst": "0.0.0.0/0"}]
    for version in VERSIONS:
        for mode in ({}, {"mode": "bridge", "bridge": "br7"}):
            container = net.Node("c1")
            network = cni.Network(host, config(version, dns=dns, **mode, ipam={
                "type": cni.PLUGIN, "routes": routes}))
            result = network.add("c1", container.path)
            kind = mode.get("mode", "routed")
            tap.equal(schema_errors(result, version), [], f"{version} {kind}: of the version's form")
            pod = result["interfaces"][result["ips"][0]["interface"]]
            tap.ok(pod["name"] == "eth0" and pod["sandbox"] == container.path
                   and bytes.fromhex(pod["mac"].replace(":", "")) == container.mac("eth0"),
                   f"{version} {kind}: the address is the pod's interface's", pod)
            tap.equal(result["dns"], dns, f"{version} {kind}: dns is what the configuration says")
            if version == "1.1.0":
                tap.equal((pod["mtu"], result["routes"][0].get("priority")), (agent.MTU, 7),
                          f"{version} {kind}: MTU and the route's priority")
            has = container.ip("route")
            gateway = result["ips"][0]["gateway"]
            tap.ok(re.search(rf"^default via {gateway} dev eth0", has, re.M) and
                   re.search(rf"^10.0.0.0/8 via {gateway} dev eth0 .*metric 7 .*mtu 1300", has, re.M),
                   f"{version} {kind}: routes are there", has)
            tap.ok(container.run("ping -c1 -W2 192.0.2.1", check=False).returncode == 0,
                   f"{version} {kind}: the pod reaches the host")
            if cni.numbers(version) >= (0, 4, 0):
                network.check("c1", container.path)
                tap.ok(True, f"{version} {kind}: CHECK")
            network.delete("c1", container.path)
            host.run("ip link del br7", check=False)
            nothing_left(f"{version} {kind}: nothing is left behind DEL")
            network.delete("c1", container.path)
            tap.ok(True, f"{version} {kind}: DEL again")


# ---- what runtimes give ---------------------------------------------------------------------------

def test_environment():
    container = net.Node("c1")
    every = given(container)
    needs = {"ADD": ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
             "CHECK": ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
             "DEL": ["CNI_CONTAINERID", "CNI_IFNAME"]}
    for command, names in needs.items():
        is_error(call(command), 4, names, f"{command} names all variables that are missing")
        for name in names:
            answer = call(command, **every | {name: None} | {
                {"CNI_CONTAINERID": "container", "CNI_NETNS": "netns",
                 "CNI_IFNAME": "ifname"}[name]: ""})
            is_error(answer, 4, [f"[{name}]"], f"{command} names {name} alone, if it is empty")
    answer = call(None, CNI_COMMAND=None)
    tap.ok(answer.status == 1 and answer.json["code"] == 4 and "CNI_COMMAND" in answer.json["msg"]
           and "culvert-cni install" in answer.stderr, "no CNI_COMMAND, and what this program is",
           answer.stdout + answer.stderr)
    is_error(call("add", **every), 4, ["CNI_COMMAND", "add"], "commands are in capitals")
    is_error(call("FROB", **every), 4, ["CNI_COMMAND", "FROB"], "an unknown command")
    for bad in (".x", "-x", "a/b", "a b", "a:b", "ä", "a\n"):
        is_error(call("ADD", **every | {"container": bad}), 4, ["CNI_CONTAINERID"],
                 f"container id {bad!r}")
    for bad in ("a/b", "a:b", "a b", ".", "..", "1234567890123456", "a\t", "a\udcff"):
        is_error(call("ADD", **every | {"ifname": bad}), 4, ["CNI_IFNAME"],
                 f"interface name {bad!r}")
    tap.equal(agent.commands(), [], "culvertd was asked nothing")


def test_namespaces():
    container = net.Node("c1")
    is_error(call("ADD", **given(container, netns="/nowhere/x")), 3, ["CNI_NETNS", "/nowhere/x"],
             "ADD: no such namespace")
    is_error(call("ADD", **given(container, netns="/dev/null")), 8, ["CNI_NETNS"],
             "ADD: what is no namespace")
    is_error(call("ADD", **given(container, netns="/proc/self/ns/uts")), 8, ["CNI_NETNS"],
             "ADD: a namespace of another kind")
    is_error(call("ADD", **given(container, netns=host.path)), 8, ["CNI_NETNS_OVERRIDE"],
             "ADD: the plugin's own namespace")
    nothing_left("nothing was made")
    answer = call("ADD", **given(container, netns=host.path, CNI_NETNS_OVERRIDE="1"))
    tap.ok(answer.status == 0 and "eth0" in devices(), "ADD: if CNI_NETNS_OVERRIDE says so",
           answer.stdout)
    for netns in (host.path, "/nowhere/x", "", None, "/dev/null"):
        tap.equal(call("DEL", **given(container, netns=netns)).status, 0, f"DEL: netns {netns}")
    nothing_left("nothing is left")


def test_interface_is_there_already():
    container = net.Node("c1")
    container.ip("link add eth0 type veth peer name other")
    is_error(call("ADD", **given(container)), 4, ["CNI_IFNAME", "eth0", "already"],
             "ADD: somebody's eth0")
    tap.ok("eth0" in container.ip("link"), "it stays")
    nothing_left("nothing was made")
    container = net.Node("c1")
    first = call("ADD", **given(container))
    is_error(call("ADD", **given(container)), 4, ["CNI_IFNAME", "eth0", "already"],
             "ADD: our own, which is whole")
    tap.equal(agent.notes[("pods", "c1", "eth0")].get("state"), "attached", "it stays noted")
    network = cni.Network(host, config())
    network.results["c1", "eth0"] = first.json
    network._given["c1", "eth0"] = None, None
    network.check("c1", container.path)
    tap.ok(True, "and whole")
    is_error(call("ADD", **given(container, ifname="net1"), conf=config(name="other", mtu=20)), 7,
             ["mtu"], "a second one, wrongly")
    tap.equal(call("ADD", **given(container, ifname="net1"), conf=config(name="other")).status, 0,
              "a second one in another network: the default route is the first one's")
    tap.ok("default via 169.254.1.1 dev eth0" in container.ip("route"), "as it was")
    call("DEL", **given(container, ifname="net1"), conf=config(name="other"))
    call("DEL", **given(container))
    nothing_left("nothing is left")


def test_configuration():
    container = net.Node("c1")
    every = given(container)
    table = [
        ("", 6, ["JSON"], "nothing"), ("{", 6, ["JSON", "line 1"], "half an object"),
        ("[]", 6, ["JSON"], "a list"), ("nonsense", 6, ["JSON"], "no JSON"),
        ('{"name": "a", "name": "b"}', 6, ["name"], "a member twice"),
        ({"name": "pods"}, 1, ["0.1.0", "1.1.0"], "no cniVersion"),
        (config("0.2.0"), 1, ["0.2.0", "0.3.0", "1.1.0"], "an old cniVersion"),
        (config("9.0.0"), 1, ["9.0.0", "0.4.0"], "a cniVersion to come"),
        (config(cniVersion=1), 7, ["cniVersion"], "a cniVersion that is no text"),
        (config(name=""), 7, ["name"], "an empty name"),
        ({"cniVersion": "1.0.0"}, 7, ["missing network name"], "no name"),
        (config(name="a/b"), 7, ["name", "a/b"], "a name with a slash"),
        (config(name=".a"), 7, ["name", ".a"], "a name that begins with a dot"),
        (config(mode="macvlan"), 7, ["mode", "macvlan"], "an unknown mode"),
        (config(bridge="br0"), 7, ["bridge"], "a bridge, and not the mode"),
        (config(mode="bridge", bridge="a/b"), 7, ["bridge"], "a bridge that is no device's name"),
        (config(mtu=67), 7, ["mtu"], "an MTU below IPv4's"),
        (config(mtu="1400"), 7, ["mtu"], "an MTU as text"),
        (config(bypass="maybe"), 7, ["bypass"], "bypass: maybe"),
        (config(runDir="run"), 7, ["runDir"], "a relative runDir"),
        (config(runDir="/" + "x" * 120), 7, ["runDir"], "a runDir too long for a socket"),
        (config(log="culvert-cni.log"), 7, ["log"], "a relative log"),
        (config(ipam="host-local"), 7, ["ipam"], "ipam that is no object"),
        (config(ipam={"type": "dhcp"}), 7, ["dhcp", "DHCP"], "ipam dhcp"),
        (config(ipam={"type": "../x"}), 7, ["ipam.type"], "ipam with a path"),
        (config(ipam={"type": "nobody"}), 7, ["nobody", "CNI_PATH"], "ipam that there is not"),
        (config(ipam={"pools": "a"}), 7, ["ipam.pools"], "pools that are no list"),
        (config(ipam={"routes": [{"dst": "x"}]}), 7, ["ipam.routes", "dst"], "a wrong route"),
        (config(ipam={"routes": [{"dst": "fd00::/8"}]}), 7, ["IPv4"], "an IPv6 route"),
        (config(hairpinMode="on"), 7, ["hairpinMode"], "hairpinMode as text"),
        (config(dns=[]), 7, ["dns"], "dns that is no object"),
        (config(runtimeConfig={"ips": ["x"]}), 7, ["runtimeConfig.ips"], "runtimeConfig.ips"),
        (config(runtimeConfig={"ips": ["fd00::1"]}), 7, ["IPv4"], "runtimeConfig.ips of IPv6"),
        (config(runtimeConfig={"mac": "x"}), 7, ["runtimeConfig.mac"], "runtimeConfig.mac"),
        (config(args={"cni": {"ips": "10.0.0.1"}}), 7, ["args.cni.ips"], "args.cni.ips"),
        (config(type="bridge", ipam={"type": cni.PLUGIN}), 7, ["own interfaces"],
         "our IPAM for somebody else's interface"),
    ]
    for conf, code, words, name in table:
        is_error(call("ADD", conf, **every), code, words, f"ADD: {name}")
    nothing_left("nothing was made")
    tap.ok(not os.path.exists("culvert-cni.log"), "nor a log that was refused")
    tap.equal(agent.commands(), ["cni.add", "cni.del"],
              "culvertd was asked nothing, but for the IPAM plugin that there is not")
    for conf in (config(mtu=1), config(mode="x"), config(bypass="x"), config(dns=[]),
                 config(ipam={"pools": 1}), config(runtimeConfig={"mac": "x"})):
        tap.equal(call("DEL", conf, **every | {"args": "nonsense"}).status, 0,
                  "DEL: what only an ADD needs does not keep it from removing")


def test_arguments():
    container = net.Node("c1")
    for args, words in (("A=1", ["unknown key A"]), ("A", ["KEY=VALUE"]), ("IP=x", ["IP"]),
                        ("MAC=x", ["MAC"]), ("IP=fd00::1", ["IP"]), ("a=b=c", ["KEY=VALUE"]),
                        ("IgnoreUnknown=0;A=1", ["unknown key A"]), ("x" * 5000, ["longer"])):
        is_error(call("ADD", **given(container, args=args)), 4, ["CNI_ARGS", *words],
                 f"CNI_ARGS={args[:24]}")
    args = ("IgnoreUnknown=1;A=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;"
            "K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=7;IP=10.244.1.77;MAC=02:00:00:00:00:77")
    answer = call("ADD", config(
        runtimeConfig={"ips": ["10.244.1.77/24"]}, args={"cni": {"ips": ["10.244.1.78"]}}),
        **given(container, args=args))
    request = agent.notes[("pods", "c1", "eth0")]["request"]
    tap.equal(request["addresses"], ["10.244.1.77", "10.244.1.78"],
              "addresses of three ways of asking add up, each once")
    tap.equal([ip["address"] for ip in answer.json["ips"]],
              ["10.244.1.77/32", "10.244.1.78/32"], "and are given")
    tap.equal(request["pod"], {"name": "web-0", "namespace": "default"}, "the pod's name")
    tap.equal(container.mac("eth0"), bytes.fromhex("020000000077"), "the MAC")
    call("DEL", **given(container))
    answer = call("ADD", config(runtimeConfig={"mac": "02:00:00:00:00:01"},
                                args={"cni": {"mac": "02:00:00:00:00:02"}}),
                  **given(container, args="MAC=02:00:00:00:00:03;IP="))
    tap.equal(container.mac("eth0"), bytes.fromhex("020000000001"), "runtimeConfig.mac wins")
    call("DEL", **given(container))
    for more, want in (({}, "default"), ({"bypass": "off"}, "off"), ({"bypass": False}, "off"),
                       ({"bypass": "on"}, "on"),
                       ({"bypass": "on", "runtimeConfig": {"bandwidth": {"ingressRate": 1000}}},
                        "off"),
                       ({"runtimeConfig": {"bandwidth": {"ingressRate": 0}}}, "default")):
        call("ADD", config(**more), **given(container))
        tap.equal(agent.notes[("pods", "c1", "eth0")]["request"]["bypass"], want,
                  f"bypass of {more}")
        call("DEL", **given(container))
    for more, want in (({}, False), ({"clsact": True}, True), ({"clsact": True, "bypass": "off"}, False),
                       ({"clsact": True, "runtimeConfig": {"bandwidth": {"egressRate": 1000}}}, False)):
        call("ADD", config(**more), **given(container))
        (device,) = devices()
        tap.equal("clsact" in host.run(f"tc qdisc show dev {device}").stdout, want, f"clsact of {more}")
        tap.ok("UP" in host.run(f"ip -br link show {device}").stdout, "it is up")
        call("DEL", **given(container))
    call("ADD", config(mtu=1234, ipam={"type": cni.PLUGIN, "pools": ["a", "10.0.0.0/8"]}),
         **given(container))
    tap.ok("mtu 1234" in container.ip("link show eth0"), "mtu")
    tap.equal(agent.notes[("pods", "c1", "eth0")]["request"]["pools"], ["a", "10.0.0.0/8"], "pools")
    call("DEL", **given(container))
    nothing_left("nothing is left")


def test_previous_results():
    container = net.Node("c1")
    previous = {"cniVersion": "1.0.0", "interfaces": [{"name": "veth1"}], "ips": []}
    is_error(call("ADD", config(prevResult=previous), **given(container)), 7,
             ["prevResult", "veth1", "first"], "ADD behind another interface's plugin")
    tap.equal(call("ADD", config(prevResult={"cniVersion": "1.0.0"}), **given(container)).status,
              0, "ADD behind a plugin that has made nothing")
    is_error(call("CHECK", config("0.3.1"), **given(container)), 1, ["0.3.1", "CHECK"],
             "CHECK before 0.4.0")
    is_error(call("CHECK", **given(container)), 7, ["prevResult"], "CHECK without prevResult")
    is_error(call("CHECK", config(prevResult=[]), **given(container)), 7, ["prevResult"],
             "CHECK with what is no prevResult")
    is_error(call("CHECK", config(prevResult=previous), **given(container)), 102,
             ["prevResult", "eth0"], "CHECK with another one's prevResult")
    for wrong in ({"ips": [{"address": "x"}]}, {"interfaces": [1]}, {"routes": [{}]},
                  {"ips": [{"address": "10.0.0.1/8", "interface": -1}]}, {"dns": 1}):
        is_error(call("CHECK", config(prevResult=wrong), **given(container)), 7, ["prevResult"],
                 f"CHECK with prevResult {json.dumps(wrong)}")
    call("DEL", **given(container))
    nothing_left("nothing is left")


def test_versions():
    for conf, want in (('{"cniVersion": "0.4.0"}', "0.4.0"), ("", "1.1.0"), ("{", "1.1.0"),
                       ('{"cniVersion": "1.0.0"}', "1.0.0")):
        answer = call("VERSION", conf)
        tap.equal((answer.status, answer.json),
                  (0, {"cniVersion": want, "supportedVersions": VERSIONS}), f"VERSION {conf}")


def test_status_and_gc():
    for command in ("STATUS", "GC"):
        is_error(call(command), 1, ["1.0.0", command], f"{command} before 1.1.0")
    network = cni.Network(host, config("1.1.0"))
    network.status()
    tap.ok(True, "STATUS")
    for code in ("no-address", "unavailable", "failed"):
        def refuse(_request, why=code):
            raise cni_agent.Refused(why, f"because of {why}")
        agent.override["cni.status"] = refuse
        is_error(call("STATUS", config("1.1.0")), 50, ["because of"], f"STATUS: {code}")
    agent.override.clear()
    is_error(call("GC", config("1.1.0")), 7, ["valid-attachments"], "GC without a list")
    is_error(call("GC", config("1.1.0", **{"cni.dev/valid-attachments": [{}]})), 7,
             ["valid-attachments"], "GC with a list of something else")
    nodes = {name: net.Node(name) for name in ("c1", "c2", "c3")}
    for name, node in nodes.items():
        network.add(name, node.path)
    agent.notes.pop(("pods", "c3", "eth0"))  # as if culvertd's disk had been lost
    host.ip("link add cvforeign type veth peer name other0",
            "link set cvforeign alias culvert:pods/c9/eth0")
    network.collect_garbage([("c1", "eth0")])
    tap.equal(sorted(agent.notes), [("pods", "c1", "eth0")], "GC: culvertd keeps the valid one")
    tap.ok("cvforeign" in devices() and len(devices()) == 3,
           "GC: so do we, and what is not ours", devices())
    host.ip("link del cvforeign")
    agent.stop()
    answer = call("GC", config("1.1.0", **{"cni.dev/attachments": []}))
    is_error(answer, 11, ["culvertd"], "GC without culvertd")
    tap.equal((devices(), agent.tombstones()), ([], [("pods", "c1", "eth0")]),
              "GC without culvertd: device gone, tombstone left")
    is_error(call("STATUS", config("1.1.0")), 50, ["culvertd is not running"],
             "STATUS without culvertd")
    shutil.rmtree(os.path.join(agent.run_dir, "tombstones"))
    agent.start()
    agent.notes.clear()


# ---- beside Debian's ------------------------------------------------------------------------------

def test_as_the_reference():
    """The same wrong things to Debian's ptp: the same code, where the specification has one."""
    container = net.Node("c1")
    every = given(container)
    ptp = {"cniVersion": "1.0.0", "name": "pods", "type": "ptp", "ipam": HOST_LOCAL}
    ours = config(ipam=HOST_LOCAL)
    cases = [
        ("ADD", {}, every | {"container": None, "ifname": None}, "missing variables"),
        ("ADD", {}, every | {"container": "a/b"}, "a container id"),
        ("ADD", {}, every | {"ifname": "a/b"}, "an interface name"),
        ("ADD", {}, every | {"ifname": "1234567890123456"}, "a long interface name"),
        ("FROB", {}, every, "an unknown command"),
        ("ADD", {"cniVersion": "9.0.0"}, every, "a version"),
        ("ADD", {"name": "a/b"}, every, "a network name"),
        ("ADD", {"name": None}, every, "no network name"),
        ("CHECK", {"cniVersion": "0.3.1"}, every, "CHECK before 0.4.0"),
    ]
    for command, change, variables, name in cases:
        answers = [cni.invoke(host, conf["type"], command, {
            key: value for key, value in (conf | change).items() if value is not None},
            **variables) for conf in (ptp, ours)]
        tap.equal([each.status for each in answers], [1, 1], f"{name}: both refuse")
        tap.equal(answers[1].json["code"], answers[0].json["code"], f"{name}: the same code")
    answers = [cni.invoke(host, plugin, "ADD", "{", **every) for plugin in ("ptp", cni.PLUGIN)]
    tap.equal([each.json["code"] for each in answers], [6, 6], "malformed JSON: the same code")
    for conf in (ptp, ours):
        answer = cni.invoke(host, conf["type"], "DEL", conf, **every | {"netns": "/nowhere"})
        tap.equal((answer.status, answer.stdout), (0, ""),
                  f"{conf['type']}: DEL of what never was, without its namespace")
    for conf in (ptp, ours):
        node = net.Node("c1")
        network = cni.Network(host, conf)
        result = network.add("c1", node.path)
        tap.ok(result["ips"][0]["address"].startswith("10.9.0."), f"{conf['type']}: host-local",
               result)
        network.check("c1", node.path)
        again = cni.invoke(host, conf["type"], "ADD", conf, **given(node))
        tap.equal(again.status, 1, f"{conf['type']}: ADD twice is refused")
        network.delete("c1", node.path)
    nothing_left("nothing is left")


tap.main([
    test_results_of_every_version,
    test_environment,
    test_namespaces,
    test_interface_is_there_already,
    test_configuration,
    test_arguments,
    test_previous_results,
    test_versions,
    test_status_and_gc,
    test_as_the_reference,
], before=lambda name: agent.commands())
