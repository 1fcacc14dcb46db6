#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath
"""
BGP peers that announce more than there is room for: a million prefixes, as many as are just allowed, as
many /32s of the pool. What that costs is bounded, and told; the good nodes lose neither a packet nor a
session. The network is that of hostile_peers.py.
"""

import json
import threading
import time

import culvert
import net
import tap
from hostile_peers import H, H_BLOCK, HostilePeers
from routers import Bird
from speaker import attributes, many_updates
from zones import ADDRESSES, NODES

LIMIT = 100000  # CV_BGP_ROUTES_MAX
MILLION = 1000000

# Of h. It takes from a1 nothing, and puts nothing into its kernel.
BIRD = f"""\
log stderr all;
router id {H};
protocol device {{}}
protocol static lies {{ ipv4; ROUTES MANY }}
protocol bgp a1 {{
	local {H} as 64512;
	neighbor {ADDRESSES["a1"]} as 64512;
	multihop;
	connect delay time 1;
	connect retry time 1;
	error wait time 1, 1;
	ipv4 {{ import none; export all; next hop self; }};
}}
"""

culvert.need_programs()
lab = HostilePeers()
baseline = []


class Watcher:
    """The most memory that a1's daemons had, and the longest that culvertd let somebody wait."""

    def __init__(self):
        self.stopped = threading.Event()
        self.before = lab.costs()
        self.most = dict(self.before.memory)
        self.longest_s = 0.0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopped.wait(0.2):
            begin = time.monotonic()
            lab.cli("a1", "status")
            self.longest_s = max(self.longest_s, time.monotonic() - begin)
            for name, value in lab.costs().memory.items():
                self.most[name] = max(self.most[name], value)

    def end(self, what):
        """What was seen, as a dict; told, too."""
        self.stopped.set()
        self.thread.join()
        now = lab.costs()
        seen = {**now.since(self.before), "longest_s": self.longest_s,
                **{f"{name}_most_mb": value for name, value in self.most.items()}}
        tap.note(f"{what}: " + ", ".join(f"{key} {value:.1f}" for key, value in seen.items()))
        return seen


def send_all(messages):
    """Until the other end closes; how many UPDATEs went."""
    count = 0
    for data in messages:
        if not lab.from_h.established or not lab.from_h.send(data):
            break
        count += 1
    return count


def kernel_count():
    """How many routes of BIRD's a1's kernel has."""
    return len(lab.nodes["a1"].run("ip -4 route show proto bird").stdout.splitlines())


def sessions_come_up():
    for honest in lab.honest:
        honest.up()
        honest.announce(H_BLOCK)
    tap.ok(lab.up(lab.from_h), "h has its session")
    lab.from_h.announce(H_BLOCK)
    tap.ok(net.wait_for(lambda: lab.good_are_up() and lab.handed_over(), 20), "the mesh is up")
    baseline[:] = lab.routes()
    lab.watch()


def a_million():
    """The session ends at the limit, every time; nothing of it stays."""
    watcher = Watcher()
    for number in range(3):
        tap.ok(lab.up(lab.from_h), f"h is there, {number + 1}")
        begin = time.monotonic()
        sent = send_all(many_updates("1.0.0.0", MILLION, 24, attributes(H)))
        tap.ok(lab.from_h.ended(30) is not False, f"BIRD ends the session ({sent} messages of 1,250)")
        tap.note(f"after {time.monotonic() - begin:.1f} s: {lab.from_h.notifications}")
        tap.equal((lab.from_h.notifications or [(0, 0)])[-1][:2], (6, 1),
                  "… because of too many prefixes (RFC 4486)")
    tap.ok(net.wait_for(lambda: lab.peers("a1")[H]["cause"] == "limit", 10), "bgp peers says so",
           lambda: lab.peers("a1")[H])
    shown = lab.cli("a1", "bgp", "peers").stdout + lab.cli("a1", "doctor", check=False).stdout
    tap.ok("limit" in shown or "too many" in shown, "… in words, and so does doctor", shown)
    seen = watcher.end("a million")
    tap.ok(seen["bird_most_mb"] < 100, "BIRD's memory stays below 100 MB", seen)
    tap.ok(seen["culvertd_most_mb"] < 100, "… and culvertd's", seen)
    tap.ok(seen["longest_s"] < 2, "culvertd answers all the time", seen)
    tap.ok(seen["log"] < 100000, "logs stay small", seen)
    tap.ok(net.wait_for(lambda: [r for r in lab.routes() if H not in r]
                        == [r for r in baseline if H not in r], 10), "the kernel's routes are as before")


def as_many_as_are_allowed():
    """Just below the limit, none of them for us: kept by BIRD, so that they can be named."""
    tap.ok(lab.up(lab.from_h), "h is there")
    watcher = Watcher()
    count = LIMIT - 10
    lab.from_h.announce(H_BLOCK)
    send_all(many_updates("1.0.0.0", count, 24, attributes(H)))
    tap.ok(net.wait_for(lambda: lab.peers("a1")[H]["refused"] == count, 30), f"{count} are refused",
           lambda: lab.peers("a1")[H])
    time.sleep(6)  # culvertd looks at what was learned
    begin = time.monotonic()
    said = lab.bgp("a1", "routes", "--refused")
    took = time.monotonic() - begin
    tap.equal(len(said["routes"]) + said["left_out"], count, "bgp routes --refused says how many")
    tap.note(f"{len(said['routes'])} of {count} told, in {took:.1f} s")
    one = lab.bgp("a1", "routes", "--refused", "1.0.7.0/24")["routes"]
    tap.equal([(r["prefix"], r["refused"]) for r in one], [("1.0.7.0/24", "no_pool")], "one can be asked for")
    seen = watcher.end("as many as are allowed")
    tap.ok(seen["bird_most_mb"] < 100 and seen["culvertd_most_mb"] < 200, "memory is bounded", seen)
    tap.ok(seen["longest_s"] < 3, "culvertd answers all the time", seen)
    before = lab.costs()
    time.sleep(10)
    idle = lab.costs().since(before)
    tap.ok(idle["culvertd"] < 20 and idle["bird"] < 20, "while nothing changes, nothing is done", idle)
    lab.from_h.close()
    tap.ok(net.wait_for(lambda: not lab.refused(), 15), "h goes: all gone")


def a_flood_of_borrowed():
    """/32s of the pool are taken; 60,000 are an attack. All go to h, and nobody else suffers."""
    tap.ok(lab.up(lab.from_h), "h is there")
    watcher = Watcher()
    count = 60000  # 10.244.20.0 to 10.244.254.95
    begin = time.monotonic()
    send_all(many_updates("10.244.20.0", count, 32, attributes(H)))
    want = count + len([r for r in baseline if "proto bird" in r and H not in r])
    tap.ok(net.wait_for(lambda: kernel_count() >= want, 60), "they are in the kernel", kernel_count)
    tap.note(f"after {time.monotonic() - begin:.1f} s")
    tap.ok(net.wait_for(lambda: lab.bgp("a1", "status")["routes"]["learned"] >= want, 30),
           "culvertd knows them", lambda: lab.bgp("a1", "status"))
    for name in ("a2", "b1"):
        got = json.loads(lab.nodes["a1"].run(f"ip -j route get {lab.pod(name)}").stdout)[0]
        tap.equal(got.get("gateway"), ADDRESSES[name], f"{name}'s pod is where it was")
    begin = time.monotonic()
    lab.from_h.close()
    tap.ok(net.wait_for(lambda: kernel_count() <= 10, 60), "h goes: all gone", kernel_count)
    tap.note(f"after {time.monotonic() - begin:.1f} s")
    time.sleep(5)
    seen = watcher.end("60,000 borrowed addresses")
    tap.ok(seen["bird_most_mb"] < 100 and seen["culvertd_most_mb"] < 200, "memory is bounded", seen)
    tap.ok(seen["longest_s"] < 5, "culvertd answers all the time", seen)


def a_real_bird():
    """Another's BIRD that is configured wrongly, and does not give up: first some lies, then too many."""
    lies = {"0.0.0.0/0": "default", "192.168.200.2/32": "host", lab.block("a1"): "our_block",
            lab.block("b1"): "others_block", "203.0.113.0/24": "no_pool"}
    routes = "".join(f"route {prefix} blackhole;" for prefix in lies)
    lab.from_h.close()
    lab.restart(H)
    bird = Bird(lab.h, BIRD.replace("ROUTES", routes).replace("MANY", ""))
    tap.ok(net.wait_for(lambda: lab.refused() == lies, 30), "its lies are refused, each for its reason",
           lab.refused)
    watcher = Watcher()
    many = "".join(f"route {i >> 16}.{i >> 8 & 255}.{i & 255}.0/24 blackhole;"
                   for i in range(1 << 16, (1 << 16) + LIMIT + 20000))
    bird.write("bird.conf", BIRD.replace("ROUTES", routes).replace("MANY", many))
    bird.ask("configure")
    tap.ok(net.wait_for(lambda: lab.peers("a1")[H]["cause"] == "limit", 30), "too many: it is shut out",
           lambda: lab.peers("a1")[H])
    time.sleep(15)  # it tries again, and again
    seen = watcher.end("a BIRD with too many")
    tap.ok(seen["bird_most_mb"] < 100 and seen["culvertd_most_mb"] < 200, "memory is bounded", seen)
    tap.ok(seen["log"] < 100000, "logs stay small", seen)
    bird.write("bird.conf", BIRD.replace("ROUTES", f"route {H_BLOCK} blackhole;").replace("MANY", ""))
    bird.ask("configure")
    tap.ok(net.wait_for(lambda: lab.routes() == baseline, 90), "mended: it is let in again by itself",
           lambda: lab.peers("a1")[H])
    bird.stop()


def good_ones_are_unharmed():
    lab.unharmed()
    for name in NODES:
        tap.ok(lab.daemons[name].alive(), f"culvertd of {name} lives")


tap.main([sessions_come_up, a_million, as_many_as_are_allowed, a_flood_of_borrowed, a_real_bird,
          good_ones_are_unharmed, lab.clean_end], before=lab.before, after=lab.after)
