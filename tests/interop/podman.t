#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=endpoints long-modes=engine,fastpath
"""
Pods in real containers on three nodes (pods.py): what they reach and who reaches them, chained
plugins, translation as kube-proxy and portmap do it, culvertd killed and away; and in the end
nothing is left over.
"""

import json
import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import cni  # noqa: E402
import culvert  # noqa: E402
import net  # noqa: E402
import podman  # noqa: E402
import tap  # noqa: E402
from cluster import ping  # noqa: E402
from pods import (ADDRESSES, BRIDGE, BRIDGED, NETWORK, NODES, Pods, expected_way, same,  # noqa: E402
                  unreachable, way)
from transfer import tcp_transfer  # noqa: E402
from zones import OUTSIDE, Probe  # noqa: E402

SERVICE, SERVICE_PORT, HOST_PORT = "10.96.0.10", 8000, 8080
LIMIT = 8_000_000  # bit/s, of the network "limited"
TUNED = ("net.core.somaxconn", "333")

# As kube-proxy's nftables mode writes it for a service with two end points, in little.
RULES = """
table ip kube-proxy
delete table ip kube-proxy
table ip kube-proxy {{
	chain endpoint-1 {{
		ip saddr {first} meta mark set meta mark or 0x4000
		meta l4proto tcp dnat to {first}:{port}
	}}
	chain endpoint-2 {{
		ip saddr {second} meta mark set meta mark or 0x4000
		meta l4proto tcp dnat to {second}:{port}
	}}
	map service-ips {{
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = {{ {service} . tcp . {service_port} : goto service }}
	}}
	chain service {{
		numgen random mod 2 vmap {{ 0 : goto endpoint-1, 1 : goto endpoint-2 }}
	}}
	chain services {{
		ip daddr . meta l4proto . th dport vmap @service-ips
	}}
	chain nat-prerouting {{
		type nat hook prerouting priority dstnat
		jump services
	}}
	chain nat-output {{
		type nat hook output priority -100
		jump services
	}}
	chain nat-postrouting {{
		type nat hook postrouting priority srcnat
		meta mark and 0x4000 != 0x4000 return
		meta mark set meta mark xor 0x4000
		masquerade fully-random
	}}
	chain filter-forward {{
		type filter hook forward priority filter
		ct state invalid counter drop
	}}
}}
"""

lab = Pods()
pods = {}  # node: two of them
start = {}  # node: its inventory before the first pod


def lists():
    """The networks of every node: the usual one, and one that limits."""
    for name in NODES:
        portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
        tuning = {"type": "tuning", "sysctl": {TUNED[0]: TUNED[1]}}
        lab.podman[name].network(NETWORK, lab.plugin(name), portmap)
        lab.podman[name].network("tuned", lab.plugin(name), tuning, portmap)
        lab.podman[name].network("limited", lab.plugin(name), {
            "type": "bandwidth", "ingressRate": LIMIT, "ingressBurst": LIMIT, "egressRate": LIMIT,
            "egressBurst": LIMIT})


def first_pods():
    """Before there is any, a first one leaves what only the first one brings: portmap's chains, cbr0."""
    lists()
    lab.apply(lab.manifest())
    for name in NODES:
        first = lab.podman[name].start("-p", f"{HOST_PORT}:{podman.PORT}")
        tap.ok(first.pings(ADDRESSES[name]), f"{name}: a first pod reaches its host")
        first.remove()
        start[name] = lab.inventory(name)
    for name in NODES:
        more = ["-p", f"{HOST_PORT}:{podman.PORT}"] if name == "a1" else []
        pods[name] = [lab.podman[name].start(), lab.podman[name].start(*more)]
    every = [pod.address for each in pods.values() for pod in each]
    tap.equal(len(set(every)), 2 * len(NODES), "every pod has an address of its own")
    for name in NODES:
        tap.ok(all(a.startswith(lab.block(name).rpartition(".")[0] + ".")
                   for a in (p.address for p in pods[name])), f"{name}: … of the node's block",
               lambda n=name: [p.address for p in pods[n]])


def interface():
    """What a pod finds itself with."""
    for name in NODES:
        pod = pods[name][0]
        link = json.loads(pod.node.run("ip -j link show eth0").stdout)[0]
        pool_mtu = json.loads(lab.nodes[name].run("ip -j link show culvert0").stdout)[0]["mtu"]
        tap.equal(link["mtu"], pool_mtu, f"{name}: a pod's MTU is the overlay's")
        routes = pod.run("ip", "route").stdout
        if name in BRIDGED:
            gateway = routes.split()[2]
            tap.ok(f"inet {gateway}/" in lab.nodes[name].run(f"ip addr show {BRIDGE}").stdout,
                   f"{name}: … and its gateway is the bridge", routes)
        else:
            tap.ok("default via 169.254.1.1 dev eth0" in routes, f"{name}: … its gateway 169.254.1.1",
                   routes)
        tap.ok(pod.pings("127.0.0.1"), f"{name}: … and its lo is up")


def reach():
    """Pods reach pods: on their node, directly, by the tunnel; and fetch what the others serve."""
    for source in NODES:
        for target in NODES:
            pod, other = pods[source][0], pods[target][1]
            tap.equal(way(lab, pod, other.address, target), expected_way(lab, source, target),
                      f"{source} to {target}: answered, by this way")
            tap.ok(pod.downloads(other.address), f"{source} to {target}: … and a download is right")


def hosts_and_pods():
    """Nodes reach pods of all nodes and pods all nodes."""
    for name in NODES:
        missing = unreachable(lab.nodes[name], [pods[n][0].address for n in NODES], timeout=3)
        tap.equal(missing, [], f"host {name} reaches pods of every node")
        for target in NODES:
            said = podman.ask(lab.nodes[name], pods[target][0].address)
            tap.equal(said[0], pods[target][0].host_name, f"host {name} asks a pod of {target}")
        for other in NODES:
            tap.ok(pods[name][0].pings(ADDRESSES[other]), f"a pod of {name} reaches host {other}")


def outside():
    """Nobody outside knows pods: they leave with their node's address."""
    for name in NODES:
        tap.equal(pods[name][0].asks(OUTSIDE)[1], ADDRESSES[name],
                  f"{name}: outside, a pod is seen as its node")


def is_bypassed(name, address):
    """Whether packets of a pod pass the host's stack by, as `endpoint show` has it."""
    shown = json.loads(lab.cli(name, "-j", "endpoint", "show").stdout)
    return [each["wanted"] and each["in_force"] for each in shown if address in each["addresses"]] == [True]


def endpoints():
    """Pods are endpoints of the fast path, without a word of anybody, where there is one."""
    for name in NODES:
        wanted = lab.daemons[name].mode == culvert.ENDPOINTS and name not in BRIDGED
        address = pods[name][0].address
        tap.ok(net.wait_for(lambda n=name, a=address, w=wanted: is_bypassed(n, a) == w, 20),
               f"{name}: a pod's packets {'pass' if wanted else 'do not pass'} the stack by",
               lambda n=name: lab.cli(n, "-j", "endpoint", "show").stdout)


def invalid(name):
    """Packets that a host has dropped as invalid."""
    text = lab.nodes[name].run("nft list chain ip kube-proxy filter-forward").stdout
    return int(re.search(r"invalid counter packets (\d+)", text)[1])


def service():
    """A service address, translated by every node: both its pods answer, clients are anywhere."""
    backs = [pods["a1"][1], pods["b1"][1]]
    rules = RULES.format(first=backs[0].address, second=backs[1].address, port=podman.PORT,
                         service=SERVICE, service_port=SERVICE_PORT)
    for name in NODES:
        lab.nodes[name].run(["nft", "-f", "-"], input=rules)
    want = {back.host_name for back in backs}
    for name in NODES:
        client = pods[name][0]
        said = [podman.ask(client.node, SERVICE, SERVICE_PORT) for _ in range(12)]
        tap.equal({who for who, _ in said}, want, f"a pod of {name}: both pods of the service answer")
        tap.equal({seen for _, seen in said}, {client.address}, "… which see the pod's own address")
        tap.ok(client.downloads(SERVICE, SERVICE_PORT), f"a pod of {name} downloads from it")
        said = [podman.ask(lab.nodes[name], SERVICE, SERVICE_PORT)[0] for _ in range(12)]
        tap.equal(set(said), want, f"host {name}: both answer")
    # A pod that is translated to itself has to be masqueraded: it would answer itself.
    said = {podman.ask(backs[0].node, SERVICE, SERVICE_PORT) for _ in range(12)}
    tap.equal({who for who, _ in said}, want, "a pod of the service that asks it: both answer")
    tap.ok((backs[1].host_name, backs[0].address) in said
           and (backs[0].host_name, backs[0].address) not in said, "… itself as somebody else", said)
    tap.equal([invalid(name) for name in NODES], [0] * len(NODES), "nothing was called invalid")
    for name in NODES:
        lab.nodes[name].run("nft delete table ip kube-proxy")


def host_port():
    """portmap, chained: a port of the node is a pod's."""
    target = pods["a1"][1]
    for who, node in (("host b1", lab.nodes["b1"]), ("a host outside", lab.outside),
                      ("host a1 itself", lab.nodes["a1"]), ("a pod of b1", pods["b1"][0].node),
                      ("a pod of a1", pods["a1"][0].node), ("a pod of a2", pods["a2"][0].node),
                      ("the pod itself", target.node)):
        said = podman.ask(node, ADDRESSES["a1"], HOST_PORT)
        tap.equal(said[0], target.host_name, f"{who} reaches the pod by its host port")
    tap.ok(pods["b1"][0].downloads(ADDRESSES["a1"], HOST_PORT), "a pod of b1 downloads by it")


def tuned():
    """tuning, chained: a sysctl of the pod's own."""
    for name in ("a1", "a2"):
        pod = lab.podman[name].start(network="tuned")
        tap.equal(pod.run("cat", "/proc/sys/" + TUNED[0].replace(".", "/")).stdout.strip(), TUNED[1],
                  f"{name}: a sysctl is the pod's own")
        tap.ok(pod.downloads(pods["b1"][0].address), "… which downloads from b1")
        pod.remove()


def rate(source, target):
    """bit/s of a download."""
    began = time.monotonic()
    right = target.downloads(source.address)
    return right and podman.PAGE_SIZE * 8 / (time.monotonic() - began)


def limited():
    """bandwidth, chained: its own queueing stays, so such a pod's packets pass through the stack."""
    for name in ("a1", "b1"):
        pod = lab.podman[name].start(network="limited")
        tap.ok(pod.pings(pods["a2"][0].address), f"{name}: a limited pod reaches a2's")
        time.sleep(1.5)  # the fast path would be there by now
        tap.ok(not is_bypassed(name, pod.address), "… and is not bypassed",
               lambda n=name: lab.cli(n, "endpoint", "show").stdout)
        queues = lab.nodes[name].run("tc qdisc show").stdout
        tap.equal(len(re.findall(r"^qdisc tbf ", queues, re.M)), 2, "… both its limits are in place")
        other = pods["b1" if name == "a1" else "a1"][0]
        for word, speed in (("downloads", rate(other, pod)), ("serves", rate(pod, other))):
            # The burst passes at once: the page is 8 Mbit, of which one second's worth.
            tap.ok(speed, f"… {word} a page of 1 MiB, whole")
        pod.remove()


def requested():
    """`podman run --ip`: that address, or none."""
    for name in ("a1", "a2"):
        address = lab.block(name).replace("0/24", "77")
        pod = lab.podman[name].start("--ip", address)
        tap.equal(pod.address, address, f"{name}: the address that was asked for")
        tap.ok(ping(pods["b1"][0].node, address), "… is reached from b1")
        refused = lab.podman[name].start("--ip", address, check=False, name="second")
        tap.ok(refused.returncode and address in refused.stderr, "… a second one is refused it, by name",
               refused.stderr)
        lab.podman[name]("rm", "-f", "second")
        tap.ok(pod.pings(ADDRESSES["b1"]), "… which does the first no harm")
        pod.remove()


def restarted():
    """`podman restart` and `podman network reload`."""
    for name in ("a1", "a2"):
        pod = pods[name][0]
        lab.podman[name]("restart", "-t", "0", pod.name)
        pod.look()
        tap.ok(pod.downloads(pods["b1"][0].address), f"{name}: restarted, a pod downloads from b1")
        tap.ok(ping(pods["b1"][0].node, pod.address), "… and is reached from there")
        before = pod.address
        lab.podman[name]("network", "reload", pod.name)
        pod.look()
        tap.equal(pod.address, before, f"{name}: network reload leaves a pod its address")
        tap.ok(pod.downloads(pods["b1"][0].address), "… and its network")


def killed():
    """
    culvertd is killed and comes back while pods talk: not one packet is missing. Tunnels stand still
    meanwhile where there is no fast path.
    """
    pairs = [("a1", "a1"), ("a2", "a1")]
    if lab.daemons["a1"].has_fastpath:
        pairs += [("b1", "a1"), ("a1", "b1")]
    probes = [Probe(pods[source][0].node, pods[target][1].node, pods[target][1].address,
                    port=9000 + i, rate=200) for i, (source, target) in enumerate(pairs)]
    def kill():
        for name in ("a1", "b1"):
            lab.daemons[name].stop(signal.SIGKILL)
        time.sleep(0.5)
        for name in ("a1", "b1"):
            lab.daemons[name].start()

    source, target = pairs[-1]
    moved = tcp_transfer(pods[source][0].node, pods[target][0].node, pods[target][0].address, 64 << 20,
                         at_half=kill, timeout=30)
    tap.ok(moved.right, f"a transfer from {source} to {target} during which culvertd of both is killed"
           " and comes back", moved)
    for (source, target), probe in zip(pairs, probes):
        sent, took = probe.end()
        tap.ok(sent["sent"] > 100 and took["unique"] == sent["sent"],
               f"{source} to {target}: of {sent['sent']} packets none is missing", (sent, took))
    for name in ("a1", "b1"):
        tap.ok(pods[name][0].downloads(pods["a2"][0].address), f"{name}: pods work on")


def agent_away():
    """Without culvertd no pod begins, which is said; those that are there work, and may end."""
    name = "a1"
    stays, goes = pods[name][0], lab.podman[name].start()
    lab.daemons[name].stop(signal.SIGKILL)
    refused = lab.podman[name].start(check=False, name="refused")
    tap.ok(refused.returncode != 0, "without culvertd a pod cannot start")
    tap.ok("culvertd" in refused.stderr, "… and the plugin's sentence says why", refused.stderr)
    tap.note(refused.stderr.strip().splitlines()[-1])
    tap.ok(stays.pings(pods["a2"][0].address), "pods that are there are unharmed")
    removed = goes.remove(check=False)
    tap.equal(removed.returncode, 0, "a pod can be removed all the same")
    lab.podman[name]("rm", "-f", "refused")
    tap.equal(lab.podman[name].names(), [p.name for p in pods[name]], "… and is gone")
    lab.daemons[name].start()
    tap.ok(net.wait_for(lambda: goes.address not in lab.leased(name), 10),
           "culvertd is back: its address is free", lambda: lab.cli(name, "ipam", "show").stdout)
    again = lab.podman[name].start("--ip", goes.address)
    tap.ok(again.pings(pods["b1"][0].address), "… and another pod may have it")
    again.remove()


def at_once():
    """A hundred pods begin at the same time, and end so."""
    name = "a1"
    network = cni.Network(lab.nodes[name], lab.conflist(name))
    before = lab.inventory(name)
    with podman.sandboxes(lab.nodes[name], 100) as names:
        with ThreadPoolExecutor(len(names)) as workers:
            results = list(workers.map(lambda n: network.add(n, f"/run/netns/{n}"), names))
        given = [r["ips"][0]["address"].partition("/")[0] for r in results]
        tap.equal(len(set(given)), len(names), f"{len(names)} ADDs at once: as many addresses")
        taken = {pod.address for each in pods.values() for pod in each}
        tap.equal(taken & set(given), set(), "… none of them a pod's that was there")
        tap.equal(unreachable(pods["b1"][0].node, given), [], "… which a pod of b1 reaches, all of them")
        with ThreadPoolExecutor(len(names)) as workers:
            list(workers.map(lambda n: network.delete(n, f"/run/netns/{n}"), names))
    same(before, lambda: lab.inventory(name), "DEL of all of them at once leaves nothing")


def nothing_left():
    """All pods go: each node is as it was after its first one had gone."""
    for name in NODES:
        lab.podman[name].clear()
    for name in NODES:
        same(start[name], lambda n=name: lab.inventory(n), f"{name}: nothing is left over")


if __name__ == "__main__":
    tap.main([first_pods, interface, reach, hosts_and_pods, outside, endpoints, service, host_port,
              tuned, limited, requested, restarted, killed, agent_away, at_once, nothing_left, lab.clean_end],
             lab.before, lab.after)
