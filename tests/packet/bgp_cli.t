#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath
"""
`culvert bgp`, and what status, doctor and metrics say of BGP, with everything that can become of a
session. n1 runs culvertd and its BIRD; n2 is Node b1 to it, with a BIRD that the test runs:

    n1, Node a1 ── 192.168.100.1 ──── .2 n2, Node b1 (announces 10.244.2.0/26, and what it should not)

The tunnel is Always, so that what is learned goes through culvert0. Timers are short: BGPPeer's
keepaliveTime 1 s is a hold time of 3 s.
"""

import json
import os
import re
import signal
import tempfile
import time

import culvert
import net
import tap
from culvert import Culvertd
from racks import bgp_text
from routers import Bird
from shapes import end_cleanly, look_after
from zones import DEVICE, NODE, POOL, block_text

OURS, THEIRS = "192.168.100.1", "192.168.100.2"
BLOCK, BLOCK_OURS = "10.244.2.0/26", "10.244.1.0/26"
AS = 64512

PEER = """\
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata:
  name: b1
spec: {spec}
"""

# {as_number}: of n2; {peer_as}: what it expects of n1; {words}: more of the session.
CONF = """\
router id 192.168.100.2;
protocol device {{ }}
protocol direct {{ ipv4; interface "eth0"; }}
protocol static {{ ipv4; {routes} }}
protocol bgp n1 {{
	local 192.168.100.2 as {as_number};
	neighbor 192.168.100.1 as {peer_as};
	hold time 3;
	keepalive time 1;
	connect delay time 1;
	connect retry time 3;
	error wait time 1, 2;
	{words}
	ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
"""
GOOD = (BLOCK,)
# A part of n1's block, n1's own address, a default, what nobody's pool has.
BAD = ("10.244.1.0/27", "192.168.100.1/32", "0.0.0.0/0", "198.51.100.0/24")

culvert.need_programs()
n1, n2 = net.Node("n1"), net.Node("n2")
net.connect(n1, "eth0", n2, "eth0")
n1.ip(f"addr add {OURS}/24 dev eth0", "route add default via 192.168.100.254")
n2.ip(f"addr add {THEIRS}/24 dev eth0")
n1.forward()
d1 = Culvertd(n1, "--node", "a1")


def conf(routes=GOOD, as_number=AS, peer_as=AS, words=""):
    """n2's configuration."""
    listed = " ".join(f"route {r} blackhole;" for r in routes)
    return CONF.format(routes=listed, as_number=as_number, peer_as=peer_as, words=words)


def cli(*arguments, check=False):
    return d1.cli(*arguments, check=check)


def apply(bgp=True, peer=True, password=None, **fields):
    """All resources anew: what is not given goes."""
    text = POOL.format(name="pool", cidr="10.244.0.0/16", mode="Always", nat="false", block_size=26)
    for name, address, number in (("a1", OURS, 1), ("b1", THEIRS, 2)):
        text += NODE.format(name=name, address=address + "/24", tunnel=f"10.244.{number}.0")
    text += block_text("a1", BLOCK_OURS) + block_text("b1", BLOCK)
    if bgp:
        text += bgp_text(nodeToNodeMeshEnabled=False, **fields)
    if peer:
        spec = {"node": "a1", "peerIP": THEIRS, "asNumber": AS, "keepaliveTime": "1s"}
        if password:
            spec["password"] = {"secretKeyRef": {"name": "bgp", "key": password}}
        text += PEER.format(spec=json.dumps(spec))
    path = os.path.join(d1.config, "all.yaml")
    os.makedirs(d1.config, exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)


def secret(key, text, mode=0o600):
    """A password's file; None: there is none."""
    directory = os.path.join(d1.config, "secrets/bgp")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, key)
    if text is None:
        if os.path.exists(path):
            os.unlink(path)
        return
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def ask(*words):
    """culvert -j bgp …"""
    done = cli("-j", "bgp", *words)
    return json.loads(done.stdout) if done.stdout else {}


def peer():
    """The only session, or what there is instead."""
    peers = ask("peers").get("peers", [])
    return peers[0] if len(peers) == 1 else {"problem": f"there are {len(peers)} sessions"}


def becomes(seconds=30, **wanted):
    """Wait until the session is like this."""
    return net.wait_for(lambda: wanted.items() <= peer().items(), seconds)


def findings(check="bgp"):
    """doctor's, as (level, text)."""
    found = json.loads(cli("-j", "doctor").stdout)["findings"]
    return [(f["level"], f["text"]) for f in found if f["check"] == check]


def has_finding(level, words, check="bgp"):
    return any(l == level and words in text for l, text in findings(check))


def metric(name, **labels):
    """The only sample of culvert_bgp_… with these labels, or None."""
    found = [line for line in cli("metrics").stdout.splitlines()
             if line.startswith(f"culvert_bgp_{name}") and line[len("culvert_bgp_" + name)] in "{ "
             and all(f'{k}="{v}"' in line for k, v in labels.items())]
    return float(found[0].rsplit(" ", 1)[1]) if len(found) == 1 else None


# So that BIRD need not be root.
os.chmod(d1.run_dir, 0o711)
apply()
bird = Bird(n2, conf())


def remake(**words):
    """n2's BIRD by another configuration, from its beginning."""
    bird.stop()
    bird.write("bird.conf", conf(**words))
    bird.start()


def before(name):
    tap.note(name)
    n2.run("nft flush ruleset", check=False)
    apply()
    if not becomes(1, established=True, imported=1, refused=0):
        remake()
    # BIRD waits the longer the more errors a session had: it is to forget those of the test before.
    restart()
    # What culvertd knows of the session may be some seconds old; routes BIRD tells itself.
    net.wait_for(lambda: len(ask("routes").get("routes", [])) == 1, 20)
    tap.ok(becomes(40, established=True, imported=1, refused=0), "at first the session is up",
           lambda: json.dumps(peer(), indent=1))
    net.wait_for(lambda: ask().get("programs", {}).get("now") == "BIRD", 20)


def after(name, failed):
    look_after([d1], name, failed)
    if failed:
        tap.note(json.dumps(ask(), indent=1))
        tap.note(bird.log())


def down(cause, level, *words):
    """The session is down for this cause, and everybody says so in these words."""
    net.wait_for(lambda: words[0] in (peer().get("problem") or ""), 30)
    tap.ok(becomes(established=False, cause=cause), f"down: {cause}", lambda: json.dumps(peer(), indent=1))
    one = peer()
    for each in words:
        tap.ok(each in (one["problem"] or ""), f"… in words: {each}", one["problem"])
    tap.ok(one["remedy"], "… with a remedy", one)
    shown = cli("bgp", "peers").stdout
    tap.ok(f"problem: {one['problem']}" in shown or "problem: " in shown, "… bgp peers has it", shown)
    tap.ok(net.wait_for(lambda: has_finding(level, words[0]), 5), "doctor names it", findings)
    tap.ok(net.wait_for(lambda: words[0] in cli("status").stdout, 5), "status names it", cli("status").stdout)
    tap.equal(metric("session_up", node="b1"), 0, "metrics: it is down")
    tap.equal(metric("session_imported", node="b1"), None, "… and nothing is known of its routes")


def shown():
    lines = cli("bgp", "peers").stdout.splitlines()
    tap.equal(lines[0].split(), ["PEER", "ADDRESS", "AS", "STATE", "SINCE", "IMPORTED", "REFUSED", "EXPORTED"],
              "peers: a table")
    row = lines[1].split()
    tap.equal(row[:4] + row[-3:], ["b1", THEIRS, str(AS), "Established", "1", "0", "1"], "… with the session")
    tap.equal(len(lines), 2, "… and no problem")
    one = peer()
    tap.equal((one["node"], one["peer"], one["hold_s"], one["cause"]), ("b1", "b1", 3, None), "-j peers")
    said = cli("bgp").stdout
    for words in ("programmed by BIRD (from what it learned)", f"AS {AS}, router id {OURS}",
                  "sessions 1: up 1, down 0", "learned 1, refused 0, announced 1"):
        tap.ok(words in said, f"status: {words}", said)
    got = ask()
    tap.equal((got["shape"], got["bird"]["run"], got["bird"]["state"], got["problems"]),
              ("peers", "supervised", "up", []), "-j status")
    with open(f"/proc/{got['bird']['pid']}/comm", encoding="ascii") as f:
        tap.equal(f.read().strip(), "bird", "… its process is a BIRD")
    tap.ok("BGP: sessions 1, up 1; BIRD up; routes are programmed by BIRD" in cli("status").stdout,
           "culvert status has a line", cli("status").stdout)
    tap.equal([level for level, _ in findings()], ["ok"], "doctor is content with the session")
    tap.ok(net.wait_for(lambda: [l for l, _ in findings("bgp-routes")] == ["ok"], 10),
           "… and with the routes", lambda: findings("bgp-routes"))
    tap.ok(all(level == "ok" for level, _ in findings("routes")), "BIRD's routes are no stranger's",
           lambda: findings("routes"))
    tap.equal((metric("session_up", node="b1"), metric("session_imported"), metric("programs", program="bird"),
               metric("bird_up"), metric("routes_learned")), (1, 1, 1, 1, 1), "metrics")


def routes():
    (one,) = ask("routes")["routes"]
    tap.equal((one["prefix"], one["next_hop"], one["node"], one["way"], one["best"]),
              (BLOCK, THEIRS, "b1", "tunnel", True), "routes: what was learned")
    tap.ok("Always" in one["reason"], "… and why it goes that way", one)
    lines = cli("bgp", "routes").stdout.splitlines()
    tap.equal(lines[0].split(), ["PREFIX", "NEXT-HOP", "NODE", "WAY", "WHY", "FROM"], "… a table")
    (one,) = ask("routes", "--exported")["routes"]
    tap.equal((one["prefix"], one["kind"]), (BLOCK_OURS, "BlockAffinity"), "--exported")
    for words, count in (((BLOCK,), 1), (("10.244.2.9",), 1), (("10.244.0.0/16",), 1), (("10.244.3.0/24",), 0)):
        tap.equal(len(ask("routes", *words)["routes"]), count, f"routes {words[0]}: {count}")
    tap.equal(ask("routes", "--refused")["routes"], [], "nothing is refused")
    steps = json.loads(cli("-j", "trace", "10.244.2.9").stdout)
    tap.equal(steps["verdict"], "tunnel", "trace: by the tunnel")


def refused():
    remake(routes=GOOD + BAD)
    tap.ok(becomes(established=True, imported=1, refused=len(BAD)), "bad routes are refused", peer)
    got = {r["prefix"]: r for r in ask("routes", "--refused")["routes"]}
    tap.equal({p: r["refused"] for p, r in got.items()},
              {"10.244.1.0/27": "our_block", "192.168.100.1/32": "host", "0.0.0.0/0": "default",
               "198.51.100.0/24": "no_pool"}, "--refused: each with its reason")
    tap.ok(BLOCK_OURS in got["10.244.1.0/27"]["reason"], "… in words", got["10.244.1.0/27"])
    tap.equal(list(r["prefix"] for r in ask("routes", "--refused", "10.244.1.1")["routes"]),
              ["0.0.0.0/0", "10.244.1.0/27"], "… narrowed by an address")
    tap.equal(list(r["prefix"] for r in ask("routes", "--refused", "10.244.0.0/16")["routes"]),
              ["10.244.1.0/27"], "… and by a prefix")
    tap.ok(has_finding("warning", "announces 10.244.1.0/27, which is refused", "bgp-routes"),
           "doctor names who announces what", lambda: findings("bgp-routes"))
    tap.ok(has_finding("ok", "2 routes of peers are not the overlay's", "bgp-routes"),
           "… and what is harmless only by number", lambda: findings("bgp-routes"))
    tap.ok(net.wait_for(lambda: metric("routes_refused", reason="our_block") == 1, 15),
           "metrics: refused by reason", lambda: metric("routes_refused", reason="our_block"))
    tap.equal(metric("session_refused"), len(BAD), "… and by session")
    documented()
    with open(os.path.join(culvert.ROOT, "doc/metrics.md"), encoding="utf-8") as f:
        listed = set(re.findall(r"^\| `(culvert_bgp_\w+)`", f.read(), re.M))
    printed = {re.split("[{ ]", line)[0] for line in cli("metrics").stdout.splitlines() if line[:1] != "#"}
    tap.equal(sorted(listed - printed), [], "doc/metrics.md: all of BGP's have samples here")


def port_closed():
    bird.stop()
    down("port-closed", "error", "refuses connections to TCP port 179")
    # With graceful restart the routes stay for a while; then nobody announces the block.
    bird.start()


def peer_as():
    remake(as_number=64999)
    down("peer-as", "error", f"another AS number than the {AS} that is expected")


def our_as():
    remake(peer_as=64999)
    down("our-as", "error", f"expects another AS number of us than our {AS}")


def firewall():
    n2.run(["nft", "-f", "-"], input="table ip t { chain i { type filter hook input priority 0; "
           "tcp dport 179 drop; tcp sport 179 drop; }; }")
    down("no-answer", "error", "does not answer connections to TCP port 179")


def restart():
    """n1's BIRD forgets what became of the session, and begins anew."""
    n1.run(["birdc", "-s", os.path.join(d1.run_dir, "bird/bird.ctl"), "restart", '"culvert_peer*"'])


def stopped(cause, words, again=False):
    """n2's BIRD stands still."""
    pid = bird.children[-1].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        if again:
            restart()
        down(cause, "error", words)
    finally:
        os.kill(pid, signal.SIGCONT)


def hold_timer():
    stopped("hold-timer", "the hold timer expired")


def silent():
    stopped("silent", "takes connections to TCP port 179, and says nothing", again=True)


def no_route():
    n2.ip("link set eth0 down")
    n1.ip("neigh flush dev eth0")
    try:
        tap.ok(becomes(40, established=False), "down")
        tap.ok(net.wait_for(lambda: peer()["cause"] in ("no-route", "no-answer"), 30), "not reached", peer)
    finally:
        n2.ip("link set eth0 up")


def passwords():
    remake(words='password "theirs";')
    down("password", "error", "the other end has a password, this one has none")
    secret("mine", "ours")
    apply(password="mine")
    down("password", "error", "the passwords of the two ends differ")
    remake()
    # The kernel's counters have both in these minutes: which of the two it is they do not tell yet.
    tap.ok(becomes(established=False, cause="password"), "only we have one: a password, again", peer)
    remake(words='password "ours";')
    tap.ok(becomes(established=True), "the same: up", peer)
    everything = (cli("-j", "bgp").stdout + cli("-j", "bgp", "peers").stdout + cli("-j", "doctor").stdout
                  + cli("metrics").stdout + cli("-j", "status").stdout + d1.log())
    tap.ok('"ours"' not in everything and "theirs" not in everything, "no password is shown anywhere")
    os.chmod(os.path.join(d1.config, "secrets/bgp/mine"), 0o644)
    tap.ok(has_finding("warning", "everybody on this host can read the BGP password"), "doctor: world-readable",
           findings)
    secret("mine", None)
    apply(password="gone")
    down("no-secret", "error", "its password cannot be read")
    tap.ok(has_finding("error", "secrets/bgp/gone: No such file"), "doctor names the file", findings)


def past_the_tunnel():
    """As FRR does it: the next hop resolved away."""
    n1.ip(f"route add {BLOCK} via {THEIRS} dev eth0 proto bgp metric 20")
    tap.ok(has_finding("error", f"route {BLOCK} via {THEIRS} dev eth0, of bgp (FRR), leads past the tunnel",
                       "bgp-routes"), "doctor names it", lambda: findings("bgp-routes"))
    n1.ip(f"route del {BLOCK} proto bgp metric 20")


def missing_route():
    remake(routes=("10.244.2.64/26",))
    tap.ok(net.wait_for(lambda: has_finding("warning", f"{BLOCK} is node b1's block, and nobody announces it",
                                            "bgp-routes"), 15), "doctor: a block that nobody announces",
           lambda: findings("bgp-routes"))


def restarted():
    pid = ask()["bird"]["pid"]
    route = n1.run(f"ip route show exact {BLOCK}").stdout
    watch = n1.spawn(["ip", "-o", "monitor", "route"], stdout=-1, text=True)
    tap.equal(cli("bgp", "restart").returncode, 0, "bgp restart")
    tap.ok(net.wait_for(lambda: ask()["bird"]["pid"] not in (None, pid), 20), "another process", ask)
    tap.ok(becomes(30, established=True, imported=1), "the session is up again", peer)
    time.sleep(1)
    net.stop(watch)
    lines = [l for l in watch.stdout.read().splitlines() if BLOCK.split("/", maxsplit=1)[0] in l]
    tap.equal(lines, [], "no route flaps")
    tap.equal(n1.run(f"ip route show exact {BLOCK}").stdout, route, "the route is what it was")


def killed():
    pid = ask()["bird"]["pid"]
    restarts = metric("bird_restarts_total")
    os.kill(pid, signal.SIGKILL)
    tap.ok(net.wait_for(lambda: ask()["bird"]["pid"] not in (None, pid), 20), "killed: started again", ask)
    tap.ok(net.wait_for(lambda: metric("bird_restarts_total") == restarts + 1, 10), "… and counted",
           lambda: metric("bird_restarts_total"))
    tap.ok(becomes(40, established=True), "up again", peer)


def documented():
    """protocol.md has every member, and every member is sent."""
    with open(os.path.join(culvert.ROOT, "src/agent/protocol.md"), encoding="utf-8") as f:
        text = f.read()

    def members(begin, end):
        piece = text[text.index(begin):]
        rows = re.findall(r"^\| (`[^|]*`) \|", piece[:piece.index(end)], re.M)
        return sorted(re.findall(r"`([a-z_]+)`", " ".join(rows)))

    tap.equal(sorted(ask()), members("The result of `bgp.status`", "\nBGP PEER"), "protocol.md: bgp.status")
    tap.equal(sorted(peer()), members("BGP PEER, one session", "\nThe result of"), "… a session")
    got = {m for which in ((), ("--refused",), ("--exported",)) for r in ask("routes", *which)["routes"] for m in r}
    tap.equal(sorted(got), members("BGP ROUTE:", "\n## "), "… a route")
    tap.equal(sorted(json.loads(cli("-j", "status").stdout)["bgp"]),
              ["bird", "problems", "programs", "sessions", "version"], "… its part of status")


def refusals():
    for words, code, said in ((["bgp", "nosuch"], 2, "status, peers, routes or restart"),
                              (["bgp", "peers", "b1"], 2, "unknown word"),
                              (["bgp", "routes", "--refused", "--exported"], 2, "not both"),
                              (["bgp", "routes", BLOCK, "x"], 2, "one prefix at a time"),
                              (["bgp", "--refused"], 2, "for bgp routes"),
                              (["status", "--refused"], 2, "for bgp routes"),
                              (["bgp", "routes", "10.244.2.1/26"], 1, "bits are set behind its length"),
                              (["bgp", "routes", "here"], 1, "must be a prefix or an address")):
        done = cli(*words)
        tap.equal(done.returncode, code, f"{' '.join(words)}: exit code {code}")
        tap.ok(said in done.stderr, f"… {said}", done.stderr)
    tap.ok("Usage: culvert" in cli("bgp", "help").stdout, "help")


def without_bgp():
    apply(bgp=False, peer=False)
    tap.ok(net.wait_for(lambda: ask() == {"wanted": False}, 10), "no BGPConfiguration: no BGP", ask)
    tap.ok("no BGP" in cli("bgp").stdout and "no BGP" in cli("bgp", "peers").stdout, "… in words")
    tap.ok("BGP" not in cli("status").stdout, "culvert status says nothing of it")
    done = cli("-j", "bgp", "routes")
    tap.equal((done.returncode, json.loads(done.stdout)["error"]["code"]), (1, "not-found"), "routes: there are none")
    tap.ok(net.wait_for(lambda: (findings(), findings("bgp-routes")) == ([], []), 10), "doctor says nothing",
           lambda: (findings(), findings("bgp-routes")))
    tap.equal(metric("bird_up"), None, "… nor do metrics")
    past_the_tunnel()


def alone(*arguments):
    """Another daemon, with resources that ask for BGP; what its doctor and `bgp` say."""
    n3 = net.Node("n3")
    n3.ip("link add eth0 type veth peer name eth1", "link set eth0 up", f"addr add {OURS}/24 dev eth0")
    daemon = Culvertd(n3, "--node", "a1", "--config", d1.config, *arguments)

    def said():
        found = json.loads(daemon.cli("-j", "doctor", check=False).stdout)["findings"]
        return [(f["level"], f["text"], f["remedy"]) for f in found if f["check"] == "bgp"]

    return daemon, said


def daemons():
    """BIRD is not there, or is somebody else's and cannot be asked."""
    for arguments, words, remedy in (
            (("--bird", "/nonexistent/bird"), "BIRD does not run", "apt-get install bird2"),
            (("--bgp", "external", "--bird-socket", "/nonexistent/bird.ctl"), "BIRD does not run", "--bird-socket"),
            (("--bgp", "off"), "culvertd runs with --bgp off", "start culvertd without it")):
        daemon, said = alone(*arguments)
        tap.ok(net.wait_for(lambda: any(level == "error" and words in text and remedy in (do or "")
                                        for level, text, do in said()), 20),
               f"{' '.join(arguments)}: doctor says so", said)
        shown = daemon.cli("bgp", check=False).stdout
        tap.ok(words in shown and "programmed by the agent" in shown, "… and so does bgp status", shown)
        refused = daemon.cli("bgp", "restart", check=False)
        tap.equal(refused.returncode, 1, "… which cannot be restarted")
        tap.ok("problem: " in daemon.cli("status", check=False).stdout, "… and status has it")
        tap.equal(daemon.stop(), 0, "it ends well")


def unreadable_name():
    """A run directory that BIRD's configuration cannot name."""
    n4 = net.Node("n4")
    n4.ip("link add eth0 type veth peer name eth1", "link set eth0 up", f"addr add {OURS}/24 dev eth0")
    with tempfile.TemporaryDirectory(prefix='culvert-"') as directory:
        program, log = os.path.join(culvert.BUILD, "culvertd"), os.path.join(directory, "log")
        with open(log, "wb") as out:
            process = n4.spawn([program, "--run-dir", directory, "--config", d1.config, "--node", "a1"], stderr=out)

        def said():
            with open(log, encoding="utf-8") as lines:
                return lines.read()

        tap.ok(net.wait_for(lambda: "give another --run-dir" in said(), 10), "a run directory with a \" is refused", said)
        net.stop(process)
        n4.run([program, "--run-dir", directory, "--purge"])


def clean_end():
    end_cleanly([d1])
    d1.purge()
    tap.equal(n1.run("ip route show proto bird").stdout, "", "purge leaves no route of BIRD's")
    tap.ok(not n1.has(DEVICE), "… and no device")


if __name__ == "__main__":
    tap.main([shown, routes, refused, port_closed, peer_as, our_as, firewall, hold_timer, silent, no_route, passwords,
              past_the_tunnel, missing_route, restarted, killed, refusals, daemons,
              unreadable_name, without_bgp, clean_end], before, after)
