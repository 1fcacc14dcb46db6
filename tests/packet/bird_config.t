#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle
"""
BIRD's configuration (src/routing/bird_config.c): rendered from the manifests below tests/golden/bird,
compared with what is kept there, parsed by `bird -p`, and loaded by a real BIRD, to which a table
of routes is announced from every peer with all sorts of next hops. What it takes, what it refuses,
and the kernel's routes must be what src/routing/bgp_policy.c says of each: the oracle.

    n eth0 192.168.100.1/24 ── eth0 w   192.168.100.254 (gateway, top of rack), 192.168.100.2 (a2),
      culvert0 (a TUN device)           192.168.200.2 (b1), 192.168.210.1 (c1), 192.168.210.254

w runs one BIRD for each of n's peers. `CULVERT_RENEW=1 tests/packet/bird_config.t golden` writes
the golden files anew.
"""

import json
import os
import random
import re
import signal
import subprocess
import tempfile
import time

import net
import tap
from routers import Bird

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(HERE, "../../build/tests/packet/bird_tool")
GOLDEN = os.path.join(HERE, "../golden/bird")
SECRETS = os.path.join(GOLDEN, "secrets")
RENEW = os.environ.get("CULVERT_RENEW")
LOCAL, TOR, A2, B1, C1 = ("192.168.100.1", "192.168.100.254", "192.168.100.2", "192.168.200.2",
                          "192.168.210.1")
FAR = "192.168.210.254"
SEED = int(os.environ.get("CULVERT_SEED", "6"))

# Of each case: session, address and port of the peer, its AS, ours, our port, and more of its
# BIRD's options; what it is announced (prefix: next hop).
OWN = {"10.244.1.0/26": LOCAL}
DECLARED = OWN | {"10.247.0.1/32": LOCAL, "10.244.50.7/32": LOCAL, "10.244.2.9/32": LOCAL}
MD5 = 'password "%s";'
CASES = {
    "mesh": [(f"culvert_mesh_{a}", a, 179, 64512, 64512, 179, "", DECLARED) for a in (A2, B1, C1)],
    "filters": [
        (f"culvert_peer_tor_{TOR}", TOR, 179, 65001, 64600, 179, MD5 % "x'y\\z #$;", OWN),
        (f"culvert_peer_far_{FAR}", FAR, 1179, 65002, 64999, 179, "multihop 2; ttl security on;",
         OWN | {"10.244.50.7/32": LOCAL}),
        (f"culvert_peer_neighbour_{A2}", A2, 179, 64600, 64600, 179, "", OWN)],
    "reflector": [
        (f"culvert_peer_reflectors_{A2}", A2, 179, 64512, 64512, 179, "", OWN),
        (f"culvert_peer_reflectors_{B1}", B1, 179, 64512, 64512, 179, "", OWN),
        (f"culvert_peer_between_{C1}", C1, 179, 64512, 64512, 179, "", OWN)],
    "bound": [(f"culvert_mesh_{a}", a, p, 64512, 64512, 1790, MD5 % "mesh word", OWN)
              for a, p in ((A2, 1790), (B1, 1791), (C1, 1790))],
    "underlay": [(f"culvert_mesh_{a}", a, 179, 64512, 64512, 179, "", {"10.246.1.0/26": LOCAL})
                 for a in (A2, B1, C1)]
                + [(f"culvert_peer_tor_{TOR}", TOR, 179, 65001, 64512, 179, "",
                    {"10.246.1.0/26": LOCAL})],
}
NEXT_HOPS = {"mesh": (A2, B1, C1, TOR, "192.168.100.77", "192.0.2.9", "10.244.9.9", FAR),
             "filters": (A2, B1, TOR, FAR)}

# What is worth a look: of pools, blocks, hosts, the underlay; and neighbours of it, drawn by lot.
TABLE = """
    0.0.0.0/0 0.0.0.0/1 128.0.0.0/1 10.0.0.0/8 10.244.0.0/14 10.244.0.0/15 10.244.0.0/16 10.244.0.0/17
    10.244.1.0/26 10.244.1.0/27 10.244.1.0/25 10.244.1.5/32 10.244.1.1/32 10.244.2.0/26 10.244.2.32/27
    10.244.2.0/24 10.244.2.5/32 10.244.2.9/32 10.244.3.0/24 10.244.3.64/26 10.244.3.64/28 10.244.3.9/32
    10.244.50.7/32 10.244.50.0/26 10.244.51.7/32 10.244.77.0/26 10.244.77.7/32 10.244.9.0/26
    10.244.9.0/28 10.244.9.9/32 10.244.60.0/26 10.244.60.9/32 10.244.70.70/32 10.244.70.64/26
    10.245.2.0/26 10.245.9.0/26 10.245.9.7/32 10.245.200.0/26 10.246.3.0/26 10.246.3.0/27 10.246.3.0/25
    10.246.1.0/26 10.246.1.9/32 10.246.9.0/26 10.246.9.5/32 10.247.0.0/24 10.247.0.1/32 10.247.0.2/32
    10.247.0.9/32 10.247.0.0/28 10.248.1.0/26 10.248.9.0/26 192.168.192.0/18 192.168.200.0/24
    192.168.200.2/32 192.168.200.9/32 192.168.210.0/26 192.168.220.0/26 192.168.220.5/32 192.168.100.0/24
    192.168.100.0/25 192.168.100.77/32 192.168.100.1/32 192.168.100.254/32 192.168.0.0/16 192.168.7.0/24
    198.51.100.0/24 198.51.100.64/26 198.51.0.0/16 172.16.0.0/12 172.16.1.0/24 172.16.1.0/25 172.20.0.0/16
    203.0.113.0/24 203.0.113.0/25 8.0.0.0/8 8.8.8.0/24 9.9.9.9/32
""".split()


def number(prefix):
    """Address and length."""
    address, length = prefix.split("/")
    a, b, c, d = (int(x) for x in address.split("."))
    return a << 24 | b << 16 | c << 8 | d, int(length)


def text(address, length):
    """The prefix of that length that an address is in."""
    address &= 0xffffffff << (32 - length) & 0xffffffff
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{length}"


def neighbours(count):
    """Prefixes near those above."""
    lots = random.Random(SEED)
    found = set()
    while len(found) < count:
        address, length = number(lots.choice(TABLE[3:]))
        length = min(32, max(5, length + lots.choice((-2, -1, 0, 0, 1, 2, 6, 32))))
        bit = lots.randrange(32)
        prefix = text(address ^ (1 << bit) if lots.random() < .6 else address, length)
        # What is bogus BIRD neither sends nor takes, whatever filters say.
        first = number(prefix)[0] >> 24
        if first not in (0, 127) and first < 224 and not prefix.startswith("169.254."):
            found.add(prefix)
    return sorted(found)


PREFIXES = sorted(set(TABLE) | set(neighbours(300)))


class World:
    """n and w, and their BIRDs, of one case."""

    def __init__(self, name):
        self.name = name
        self.peers = [(session.replace(".", "_"), *rest) for session, *rest in CASES[name]]
        self.n, self.w = net.Node("n"), net.Node("w")
        net.connect(self.n, "eth0", self.w, "eth0")
        self.n.forward()
        self.n.ip(f"addr add {LOCAL}/24 dev eth0", f"route add default via {TOR}",
                  "tuntap add culvert0 mode tun", "link set culvert0 up")
        self.w.ip(*[f"addr add {a}/24 dev eth0" for a in (TOR, A2)],
                  *[f"addr add {a}/32 dev lo" for a in (B1, C1, FAR)])
        self.us, self.them = None, []
        self.manifest = None
        self.scratch = tempfile.TemporaryDirectory()

    def tool(self, *words, **kwargs):
        """bird_tool's answer."""
        manifest = self.manifest or f"{GOLDEN}/{self.name}/manifest.yaml"
        return self.n.run([TOOL, "a1", manifest, SECRETS, *words], **kwargs).stdout

    def changed(self, old, new):
        """The path of its manifest with other words in it."""
        with open(f"{GOLDEN}/{self.name}/manifest.yaml", encoding="utf-8") as f:
            kept = f.read()
        assert old in kept
        path = os.path.join(self.scratch.name, "manifest.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(kept.replace(old, new))
        return path

    def render(self):
        """Both files, without a place and without what is secret."""
        return self.tool("main", "culvert.conf", "bird.log") + "\n" + self.tool("include")

    def close(self):
        """End them all."""
        for router in (self.us, *self.them):
            router.stop()


class Ours(Bird):
    """The BIRD of n, by what bird_tool renders."""

    def __init__(self, world):
        self.world = world
        super().__init__(world.n, "")

    def start(self, *words):
        self.render()
        super().start(*words)

    def render(self):
        """Write its files."""
        self.write("culvert.conf", self.world.tool("include"))
        self.write("bird.conf", self.world.tool("main", self.path("culvert.conf"),
                                                self.path("bird.log")))


def peer_conf(peer, next_hop=LOCAL, prefixes=()):
    """The configuration of a BIRD that is one of the peers, and announces this."""
    _, address, port, its, ours, our_port, more, _ = peer
    routes = "".join(f"\troute {prefix} blackhole;\n" for prefix in prefixes)
    return f"""\
router id {address};
protocol device {{ }}
protocol static {{
	ipv4;
{routes}}}
protocol bgp peer {{
	local {address} port {port} as {its};
	neighbor {LOCAL} port {our_port} as {ours};
	{"" if "multihop" in more else "multihop;"} {more}
	strict bind on;
	connect delay time 1; connect retry time 2; error wait time 1, 2;
	graceful restart on;
	enforce first as off;
	ipv4 {{
		add paths on;
		next hop keep;
		import all;
		export filter {{
			if source != RTS_STATIC then reject;
			bgp_next_hop = {next_hop};
			accept;
		}};
	}};
}}
"""


def routes_of(bird, *words):
    """Prefix: next hops, as BIRD shows them."""
    found, prefix = {}, None
    for line in bird.ask("show", "route", *words, "all").splitlines():
        if re.match(r"\d+\.\d+\.\d+\.\d+/\d+", line):
            prefix = line.split()[0]
        elif "BGP.next_hop:" in line and prefix:
            found.setdefault(prefix, set()).add(line.split()[1])
    return found


def kernel_routes(node):
    """Prefix: set of (gateway, device), of BIRD's."""
    found = {}
    for route in json.loads(node.run("ip -j route show proto bird").stdout or "[]"):
        prefix = route["dst"] if "/" in route["dst"] else route["dst"] + "/32"
        hops = route.get("nexthops", [route])
        found[prefix] = {(hop.get("gateway"), hop.get("dev")) for hop in hops}
    return found


def start(name):
    """A world whose sessions are all up."""
    world = World(name)
    world.us = Ours(world)
    world.them = [Bird(world.w, peer_conf(peer)) for peer in world.peers]
    up = net.wait_for(lambda: world.us.ask("show", "protocols").count("Established")
                      == len(world.peers), 30)
    tap.ok(up, f"{name}: all sessions are established",
           lambda: world.us.ask("show", "protocols"))
    return world


def announce(world, announced):
    """Have the peers say this: session: (next hop, prefixes)."""
    for peer, bird in zip(world.peers, world.them):
        bird.write("bird.conf", peer_conf(peer, *announced.get(peer[0], ())))
        bird.ask("configure")


def judge(world, session, prefixes, next_hop):
    """Prefix: (verdict, path), as the policy in C has it."""
    questions = "".join(f"{session} {prefix} {next_hop}\n" for prefix in prefixes)
    answers = world.tool("judge", input=questions).splitlines()
    return {prefix: answer.split()[:2] for prefix, answer in zip(prefixes, answers)}


def way(path, next_hop):
    """What the kernel has then."""
    if path == "tunnel":
        return {(next_hop, "culvert0")}
    return {(TOR if next_hop == FAR else next_hop, "eth0")}


def differences(got, want):
    """For people."""
    return "\n".join(f"{key}: got {got.get(key)}, want {want.get(key)}"
                     for key in sorted(got.keys() | want.keys()) if got.get(key) != want.get(key))


def check_round(world, session, next_hop):
    """One peer announces the table."""
    announce(world, {session: (next_hop, PREFIXES)})
    verdicts = judge(world, session, PREFIXES, next_hop)
    hops = {next_hop}

    def seen():
        taken = routes_of(world.us, "protocol", session)
        refused = routes_of(world.us, "filtered", "protocol", session)
        return ({p for p, h in taken.items() if h == hops},
                {p for p, h in refused.items() if h == hops})

    taken = {p for p, (verdict, _) in verdicts.items() if verdict == "taken"}
    want = (taken, set(PREFIXES) - taken)
    net.wait_for(lambda: seen() == want, 8)
    got = seen()
    wrong = (got[0] ^ want[0]) | (got[1] ^ want[1])
    tap.ok(not wrong, f"{world.name}: {session} with next hop {next_hop}: BIRD takes {len(taken)} of "
           f"{len(PREFIXES)} as the policy says",
           lambda: "\n".join(f"{p}: {verdicts[p]}, BIRD has {'taken' if p in got[0] else 'refused' if p in got[1] else 'lost'} it"
                             for p in sorted(wrong)))
    is_agents = world.name == "bound"
    routes = {p: way(path, next_hop) for p, (verdict, path) in verdicts.items()
              if verdict == "taken" and path in ("tunnel", "direct") and not is_agents}
    net.wait_for(lambda: kernel_routes(world.n) == routes, 3)
    have = kernel_routes(world.n)
    tap.ok(have == routes, f"{world.name}: {session} with next hop {next_hop}: the kernel has "
           f"{len(routes)} routes as the policy says", lambda: differences(have, routes))


def check_exports(world):
    """What each peer is announced."""
    for i, (session, *_, want) in enumerate(world.peers):
        want = {prefix: {hop} for prefix, hop in want.items()}
        net.wait_for(lambda: routes_of(world.them[i], "protocol", "peer") == want, 5)
        got = routes_of(world.them[i], "protocol", "peer")
        tap.ok(got == want, f"{world.name}: {session} is announced what is to be announced",
               lambda: differences(got, want))


def golden(name):
    """The files are as they were."""
    world = World(name)
    path = f"{GOLDEN}/{name}/bird.conf"
    rendered = world.render()
    if RENEW:
        with open(path, "w", encoding="utf-8") as f:
            f.write(rendered)
    with open(path, encoding="utf-8") as f:
        kept = f.read()
    tap.ok(rendered == kept, f"{name}: the configuration is as it is kept (CULVERT_RENEW=1 renews it)",
           lambda: subprocess.run(["diff", "-u", path, "-"], input=rendered, text=True,
                                  stdout=subprocess.PIPE, check=False).stdout)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write("router id 192.0.2.1;\n" + world.tool("include"))
        f.flush()
        done = subprocess.run(["bird", "-p", "-c", f.name], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    tap.ok(not done.returncode, f"{name}: bird -p parses it", done.stdout)


def check_log(world):
    """What passes `bird -p` may fail when it is run, and the routes be gone."""
    with open(world.us.path("bird.log"), encoding="utf-8") as f:
        log = f.read()
    tap.ok("filters, line" not in log, f"{world.name}: no filter fails when it is run", log[:4000])


def check_case(name):
    """Exports, and the table from every peer."""
    world = start(name)
    check_exports(world)
    for session, address, *_ in world.peers:
        hops = NEXT_HOPS.get(name, (B1, TOR))
        for next_hop in (address, *[hop for hop in hops if hop != address]):
            check_round(world, session, next_hop)
    check_log(world)
    return world


class Events:
    """What the kernel says of routes of BIRD's, meanwhile."""

    def __init__(self, node):
        self.file = tempfile.TemporaryFile("w+")
        self.child = node.spawn(["ip", "-o", "monitor", "route"], stdout=self.file)
        time.sleep(0.3)

    def stop(self):
        """The lines."""
        time.sleep(0.3)
        net.stop(self.child)
        self.file.seek(0)
        return [line.strip() for line in self.file if "proto bird" in line]


def test_mesh():
    """All of it, then what must not be seen: restarts, and modes that change."""
    world = check_case("mesh")
    prefixes = ["10.244.9.0/26", "10.244.2.0/26", "10.245.9.0/26", "10.245.2.0/26", "10.246.9.0/26"]
    session = f"culvert_mesh_{B1}".replace(".", "_")
    announce(world, {session: (B1, prefixes)})
    tunnelled = {p: {(B1, "culvert0")} for p in prefixes[:4]}
    tap.ok(net.wait_for(lambda: kernel_routes(world.n) == tunnelled, 8), "four routes by tunnel",
           lambda: differences(kernel_routes(world.n), tunnelled))
    check_killed(world, tunnelled)
    check_modes(world, tunnelled)
    check_log(world)
    check_device(world, tunnelled)
    check_many_hops(world)
    world.close()


def check_killed(world, routes):
    """BIRD is killed, and started with -R: as culvertd does it."""
    events = Events(world.n)
    world.us.stop(signal.SIGKILL)
    time.sleep(0.5)
    os.unlink(world.us.socket)
    world.us.start("-R")
    up = net.wait_for(lambda: world.us.ask("show", "protocols").count("Established") == 3, 20)
    # The end of the recovery is when routes that nobody has announced again would go.
    over = net.wait_for(lambda: "recovery in progress" not in world.us.ask("show", "status"), 40)
    seen = events.stop()
    tap.ok(up and over, "kill -9, -R: sessions come back, and recovery ends",
           lambda: world.us.ask("show", "status"))
    tap.ok(not seen, "kill -9, -R: no event of a route", "\n".join(seen))
    tap.equal(kernel_routes(world.n), routes, "kill -9, -R: routes are as they were")


def check_modes(world, routes):
    """A pool's mode changes: routes are replaced, none is missing for a moment."""
    world.manifest = world.changed("cidr: 10.244.0.0/16, ipipMode: CrossSubnet",
                                   "cidr: 10.244.0.0/16, ipipMode: Always")
    announce(world, {f"culvert_mesh_{A2}".replace(".", "_"): (A2, ["10.244.9.0/26"])})
    direct = {"10.244.9.0/26": {(A2, "eth0")}}
    tap.ok(net.wait_for(lambda: kernel_routes(world.n) == direct, 8), "a route on link is direct",
           lambda: differences(kernel_routes(world.n), direct))
    for how, manifest in (("culvert0", world.manifest), ("eth0", None)):
        world.manifest = manifest
        events = Events(world.n)
        world.us.render()
        world.us.ask("configure")
        want = {"10.244.9.0/26": {(A2, how)}}
        done = net.wait_for(lambda: kernel_routes(world.n) == want, 8)
        seen = events.stop()
        tap.ok(done and not any("Deleted" in line for line in seen),
               f"CrossSubnet and Always: by {how}, in one step", "\n".join(seen))
    announce(world, {f"culvert_mesh_{B1}".replace(".", "_"): (B1, list(routes) + ["10.246.9.0/26"])})
    net.wait_for(lambda: kernel_routes(world.n) == routes, 8)


def check_device(world, routes):
    """The device goes and comes back: what is reached by it does, too, with nobody's help."""
    world.n.ip("link del culvert0")
    tap.ok(net.wait_for(lambda: not kernel_routes(world.n), 5), "without the device, no route")
    world.n.ip("tuntap add culvert0 mode tun", "link set culvert0 up")
    tap.ok(net.wait_for(lambda: kernel_routes(world.n) == routes, 5), "with it, all are back",
           lambda: differences(kernel_routes(world.n), routes))


def check_many_hops(world):
    """A prefix that two nodes have goes to both."""
    announce(world, {f"culvert_mesh_{a}".replace(".", "_"): (a, ["10.245.9.0/26"]) for a in (B1, C1)})
    want = {"10.245.9.0/26": {(B1, "culvert0"), (C1, "culvert0")}}
    tap.ok(net.wait_for(lambda: kernel_routes(world.n) == want, 8), "two nodes, two next hops",
           lambda: differences(kernel_routes(world.n), want))


def test_filters():
    check_case("filters").close()


def test_reflector():
    check_case("reflector").close()


def test_bound():
    check_case("bound").close()


def test_underlay():
    check_case("underlay").close()


def test_golden():
    for name in CASES:
        golden(name)


NAMES = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: {pool}}}
spec: {{cidr: 10.244.0.0/16, ipipMode: Always}}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {{name: a1}}
spec: {{bgp: {{ipv4Address: 192.168.100.1/24}}}}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {{name: default}}
spec: {{ignoredInterfaces: [{interface}]}}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {{name: {peer}}}
spec:
  peerIP: 192.168.100.9
  asNumber: 65001
  filters: [{filter}]
  password: {{secretKeyRef: {{name: tor, key: word}}}}
---
apiVersion: projectcalico.org/v3
kind: BGPFilter
metadata: {{name: {filter}}}
spec:
  importV4: [{{action: Accept, matchOperator: In, cidr: 172.16.0.0/12, interface: {rule}}}]
  exportV4: [{{action: Reject, interface: {rule}}}]
"""


def draw_name(lots):
    """A name as Kubernetes takes it, of BIRD's words if possible."""
    letters = "abcxyz019-."
    word = lots.choice(("protocol", "filter", "reject", "123", "a--b", "0x1f", "bgp", "1.2.3.4",
                        "x" * 200, "".join(lots.choice(letters) for _ in range(lots.randrange(1, 60)))))
    return "a" + word.strip("-.").replace("..", ".").replace(".-", ".").replace("-.", ".") + "z"


def draw_interface(lots):
    """A pattern, mostly of what is taken."""
    if not lots.randrange(8):
        return draw_text(lots, 1, 14)
    return "e" + "".join(lots.choice("abz09_.-*") for _ in range(lots.randrange(10)))


def draw_text(lots, least, most):
    """Any text."""
    alphabet = [chr(c) for c in range(32, 127)] + ["\n", "\u00f6", "\u2028", "*", "?", '"', "\\", "#"] * 4
    return "".join(lots.choice(alphabet) for _ in range(lots.randrange(least, most)))


def test_names():
    """Names and values of any kind: what the store takes, BIRD parses, with the words it had."""
    lots = random.Random(SEED)
    parsed = refused = 0
    world = World("mesh")
    for _ in range(80):
        names = {key: draw_name(lots) for key in ("pool", "peer", "filter")}
        texts = {key: json.dumps(draw_interface(lots)) for key in ("interface", "rule")}
        password = draw_text(lots, 0, 90)
        with tempfile.TemporaryDirectory() as directory:
            os.makedirs(f"{directory}/tor")
            for path, content in ((f"{directory}/tor/word", password),
                                  (f"{directory}/manifest.yaml", NAMES.format(**names, **texts)),
                                  (f"{directory}/bird.conf", "")):
                with open(path, "w", encoding="utf-8") as f:
                    f.write(content)
            done = world.n.run([TOOL, "a1", f"{directory}/manifest.yaml", directory, "include"],
                               check=False)
            if done.returncode == 2:
                refused += 1
                continue
            with open(f"{directory}/bird.conf", "w", encoding="utf-8") as f:
                f.write("router id 192.0.2.1;\n" + done.stdout)
            check = subprocess.run(["bird", "-p", "-c", f"{directory}/bird.conf"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   check=False)
        password = password.removesuffix("\n")
        fits = 0 < len(password.encode()) <= 80 and not set(password) & {'"', "\n"}
        good = not check.returncode and not done.returncode and (
            f'password "{password}";' in done.stdout) == fits
        if not good:
            tap.ok(False, "names and values", f"{names} {texts} {password!r}\n{check.stdout}"
                                              f"{done.stderr}")
        parsed += good
    tap.ok(parsed + refused == 80 and parsed >= 20,
           f"names and values: {parsed} parse, {refused} the store does not take")


def test_many():
    """5,000 nodes with 20,000 blocks, and one reflector: it is parsed in no time."""
    docs = [("IPPool", "main", "cidr: 10.0.0.0/8, ipipMode: CrossSubnet", ""),
            ("BGPConfiguration", "default", "nodeToNodeMeshEnabled: false", ""),
            ("BGPPeer", "up", "node: a1, peerSelector: has(rr)", "")]
    for i in range(5000):
        address = LOCAL if not i else A2 if i == 1 else f"172.16.{i // 200}.{i % 200 + 1}"
        docs.append(("Node", f"n{i}" if i else "a1", f"bgp: {{ipv4Address: {address}/24}}",
                     ", labels: {rr: ''}" if i == 1 else ""))
    for i in range(20000):
        docs.append(("BlockAffinity", f"b{i}",
                     f"cidr: 10.{i // 1024}.{i // 4 % 256}.{i % 4 * 64}/26, state: confirmed, "
                     f"node: {f'n{i % 5000}' if i % 5000 else 'a1'}", ""))
    world = World("mesh")
    world.manifest = os.path.join(world.scratch.name, "many.yaml")
    with open(world.manifest, "w", encoding="utf-8") as f:
        f.write("".join(f"---\napiVersion: projectcalico.org/v3\nkind: {kind}\n"
                        f"metadata: {{name: {name}{more}}}\nspec: {{{spec}}}\n"
                        for kind, name, spec, more in docs))
    path = os.path.join(world.scratch.name, "bird.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write("router id 192.0.2.1;\n" + world.tool("include"))
    before = os.times()
    done = subprocess.run(["bird", "-p", "-c", path], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    took = os.times().children_user - before.children_user
    tap.ok(not done.returncode, "5,000 nodes, 20,000 blocks: bird -p parses it", done.stdout)
    tap.ok(took < 3, f"… in {took:.2f} s of a processor's time")


tap.main([test_golden, test_names, test_many, test_mesh, test_filters, test_reflector, test_bound, test_underlay])
