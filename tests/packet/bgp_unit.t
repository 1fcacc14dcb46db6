#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel modes=fastpath
"""
culvertd with what contrib/systemd/culvertd.service leaves it, and no more: its capabilities, its
umask, the mode of its run directory, no new privileges. BIRD starts, as user bird, listens on port
179, has its password, and culvertd can do all with it that it may have to.

    n1, Node a1 ── 192.168.100.1 ──── .2 n2, Node b1 (a BIRD of the test's, announces 10.244.2.0/26)
"""

import json
import os
import re
import signal

import culvert
import net
import tap
from culvert import Culvertd
from racks import bgp_text
from routers import Bird
from shapes import end_cleanly
from zones import NODE, POOL, block_text

UNIT = os.path.join(culvert.ROOT, "contrib/systemd/culvertd.service")
OURS, THEIRS, BLOCK = "192.168.100.1", "192.168.100.2", "10.244.2.0/26"
PASSWORD = "told to nobody"
PEER = """\
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: b1}
spec:
  node: a1
  peerIP: 192.168.100.2
  asNumber: 64512
  password: {secretKeyRef: {name: bgp, key: b1}}
"""
CONF = f"""\
router id {THEIRS};
protocol device {{ }}
protocol static {{ ipv4; route {BLOCK} blackhole; }}
protocol bgp n1 {{
	local {THEIRS} as 64512;
	neighbor {OURS} as 64512;
	connect delay time 1;
	error wait time 1, 2;
	password "{PASSWORD}";
	ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
"""
# What BIRD keeps for itself, by the numbers of linux/capability.h: CAP_NET_BIND_SERVICE,
# CAP_NET_BROADCAST, CAP_NET_ADMIN, CAP_NET_RAW.
KEPT = {10, 11, 12, 13}


def setting(name):
    """All words that the unit gives to this name."""
    with open(UNIT, encoding="utf-8") as f:
        return " ".join(re.findall(rf"^{name}=(.*)$", f.read(), re.M)).split()


def wrapper():
    """What starts culvertd as the unit does."""
    capabilities = ",".join("+" + word.lower().removeprefix("cap_")
                            for word in setting("CapabilityBoundingSet"))
    return ("sh", "-c", f"umask {setting('UMask')[0]}; exec \"$@\"", "sh", "setpriv",
            "--pdeathsig", "KILL", "--no-new-privs", f"--bounding-set=-all,{capabilities}", "--")


culvert.need_programs()
n1, n2 = net.Node("n1"), net.Node("n2")
net.connect(n1, "eth0", n2, "eth0")
n1.ip(f"addr add {OURS}/24 dev eth0")
n2.ip(f"addr add {THEIRS}/24 dev eth0")
n1.forward()
d1 = Culvertd(n1, "--node", "a1", wrapper=wrapper())
os.chmod(d1.run_dir, int(setting("RuntimeDirectoryMode")[0], 8))


def apply(bgp=True):
    """All resources anew."""
    text = POOL.format(name="pool", cidr="10.244.0.0/16", mode="Always", nat="false", block_size=26)
    for name, address, number in (("a1", OURS, 1), ("b1", THEIRS, 2)):
        text += NODE.format(name=name, address=address + "/24", tunnel=f"10.244.{number}.0")
    text += block_text("a1", "10.244.1.0/26")
    if bgp:
        text += bgp_text(nodeToNodeMeshEnabled=False) + PEER
    os.makedirs(os.path.join(d1.config, "secrets/bgp"), mode=0o700, exist_ok=True)
    secret = os.path.join(d1.config, "secrets/bgp/b1")
    with open(secret, "w", encoding="utf-8") as f:
        f.write(PASSWORD + "\n")
    os.chmod(secret, 0o600)
    path = os.path.join(d1.config, "all.yaml")
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)


def status():
    """BIRD, as culvertd tells of it."""
    done = d1.cli("-j", "bgp", "status", check=False)
    return json.loads(done.stdout).get("bird", {}) if not done.returncode else {}


def is_up():
    return status().get("state") == "up"


def has_route():
    return f"{BLOCK} via {THEIRS} dev culvert0" in n1.run("ip route show proto bird").stdout


def words():
    """For a failure."""
    return d1.log() + d1.cli("bgp", "status", check=False).stdout + d1.cli("bgp", "peers",
                                                                        check=False).stdout


def capabilities(pid):
    """Those that a process has, by number."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        mask = int(re.search(r"^CapEff:\s*(\w+)", f.read(), re.M)[1], 16)
    return {number for number in range(64) if mask >> number & 1}


def findings():
    """What doctor has against BGP."""
    found = json.loads(d1.cli("-j", "doctor", check=False).stdout)["findings"]
    return [f["text"] for f in found if f["check"] == "bgp" and f["level"] != "ok"]


apply()
bird = Bird(n2, CONF)


def runs_as_bird():
    tap.ok(net.wait_for(has_route, 40), "the session comes up, its route is there", words)
    tap.equal(status().get("user"), "bird", "BIRD is user bird's")
    tap.equal(capabilities(status()["pid"]), KEPT, "and has but what BGP needs")
    tap.ok(":179" in n1.run("ss -Hltn sport = :179").stdout, "it listens on port 179")
    # What doctor knows of the session may be some seconds old.
    tap.ok(net.wait_for(lambda: not findings(), 20), "doctor finds nothing wrong with BGP", findings)


def outlives_culvertd():
    pid = status()["pid"]
    d1.stop(signal.SIGKILL)
    tap.ok(has_route(), "culvertd is killed: the route stays")
    d1.start()
    tap.ok(net.wait_for(is_up, 20), "it is found again", words)
    tap.equal(status().get("pid"), pid, "the same process")


def killed():
    pid = status()["pid"]
    os.kill(pid, signal.SIGKILL)
    tap.ok(net.wait_for(lambda: is_up() and status().get("pid") != pid, 20),
           "BIRD is killed: there is a new one", words)
    tap.ok(has_route(), "with its route")


def deaf():
    pid = status()["pid"]
    d1.stop()
    os.unlink(os.path.join(d1.run_dir, "bird/bird.ctl"))
    d1.start()
    tap.ok(net.wait_for(lambda: is_up() and status().get("pid") != pid, 40),
           "BIRD without a socket is ended, and started again", words)
    tap.ok(net.wait_for(lambda: not os.path.exists(f"/proc/{pid}")), "the former process is gone")


def without_bgp():
    pid = status()["pid"]
    apply(bgp=False)
    tap.ok(net.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 20), "BIRD has ended", words)
    tap.ok(net.wait_for(lambda: not has_route(), 5), "and its route is gone")


def clean_end():
    end_cleanly([d1])


if __name__ == "__main__":
    tap.main([runs_as_bird, outlives_culvertd, killed, deaf, without_bgp, clean_end])
