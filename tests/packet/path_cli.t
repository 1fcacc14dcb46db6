#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle modes=fastpath long-modes=engine
"""
`culvert path`, and what status, doctor and metrics say of paths, with everything that can become of
one (shapes.Line, probing):

    p1 ── n1 ── 192.168.100.254 r 192.168.200.254 ── n2 ── p2
          d1    filters ICMP, protocol 4, or all         d2
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import time

import culvert
import net
import tap
from shapes import Line

FILTER = "table ip t {{ chain {hook} {{ type filter hook {hook} priority 0; {rule}; }}; }}"
# Short timers: three unanswered echoes a fifth of a second apart are a dead end.
TIMERS = """\
apiVersion: culvert/v1
kind: PathConfiguration
metadata: {name: default}
spec: {livenessTimer: 200ms, raiseTimer: 2s, probeTimer: 1s%s}
"""

culvert.need_programs()
lab = Line(probing=True)
REMOTE = lab.B


def cli(*arguments, check=False):
    return lab.d1.cli(*arguments, check=check)


def apply(more=""):
    """The timers, and what else."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(TIMERS % more)
        f.flush()
        cli("apply", "-f", f.name, check=True)


def path():
    """Of d1, the only one."""
    paths = json.loads(cli("-j", "path", check=True).stdout)["paths"]
    return paths[0] if len(paths) == 1 else {"problem": f"there are {len(paths)} paths"}


def becomes(seconds=10, **wanted):
    """Wait until the path is like this."""
    return net.wait_for(lambda: wanted.items() <= path().items(), seconds)


def drop(rule=None, hook="forward"):
    """The router drops what the rule says; nothing."""
    lab.r.run("nft delete table ip t", check=False)
    if rule:
        lab.r.run(["nft", "-f", "-"], input=FILTER.format(hook=hook, rule=rule))


def metric(name, **labels):
    """Of culvert_path_…: its only sample with these labels, or None."""
    found = [line for line in cli("metrics").stdout.splitlines()
             if line.startswith(f"culvert_path_{name}{{")
             and all(f'{k}="{v}"' in line for k, v in labels.items())]
    return float(found[0].rsplit(" ", 1)[1]) if len(found) == 1 else None


def doctor():
    """Findings about paths as (level, text)."""
    found = json.loads(cli("-j", "doctor").stdout)["findings"]
    return [(f["level"], f["text"]) for f in found if f["check"] == "paths"]


class Watch:
    """`culvert path -w` in n1."""

    def __init__(self, *arguments):
        self.child = lab.n1.spawn([os.path.join(culvert.BUILD, "culvert"), "--run-dir",
                                   lab.d1.run_dir, "path", *arguments],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self):
        """Interrupt it: (exit code, its lines)."""
        time.sleep(1.5)  # it looks once a second
        self.child.send_signal(signal.SIGINT)
        out, err = self.child.communicate(timeout=10)
        return self.child.returncode, out.splitlines() + err.splitlines()


def before(name):
    tap.note(name)
    drop()
    apply()
    tap.ok(becomes(20, state="complete", mtu=1500, liveness="up", blocked=False),
           "at first all is well", lambda: json.dumps(path(), indent=1))


def table():
    lines = cli("path").stdout.splitlines()
    head, row = lines[0].split(), lines[1].split()
    tap.equal(head[:8], ["TUNNEL", "REMOTE", "NODE", "MTU", "INNER", "LINK", "HOW", "STATE"], "a table")
    tap.equal(row[:8], ["tun0", REMOTE, "-", "1500", "1480", "1500", "probe", "complete"], "… with the path")
    tap.ok("up" in row and row[-1].endswith("%") and "ms" in row[-2], "… that is up, RTT and loss", row)
    tap.equal(len(lines), 2, "… and no problem")
    wide = cli("-s", "path").stdout.splitlines()
    tap.ok(wide[0].split()[-5:] == ["SOURCE", "BY", "PROBES", "ANSWERED", "BYTES"]
           and wide[1].split()[-5:-3] == [lab.A, "tunnel"], "-s: by what, and how many probes", wide)
    for peer in ("tun0", REMOTE):
        tap.equal(cli("path", peer).stdout.split()[:3], head[:3], f"path {peer}")
        tap.equal(json.loads(cli("-j", "path", peer).stdout)["paths"][0]["remote"], REMOTE, "… and -j")
    one = path()
    tap.ok(one["rtt_p50_us"] > 0 and one["probes"]["answered"] > 0 and one["loss"] is not None,
           "-j: numbers", one)
    told = metric("rtt_seconds", tunnel="tun0", remote=REMOTE, node="", quantile="0.5")
    tap.ok(told and told > 0, "metrics: round trip", told)
    tap.equal((metric("mtu_bytes"), metric("link_mtu_bytes"), metric("up"), metric("blocked")),
              (1500, 1500, 1, 0), "… and state")
    tap.equal(metric("state", state="complete", how="probe"), 1, "… of the search")
    tap.ok(metric("probes_total") >= metric("probes_answered_total") > 0 and metric("probe_bytes_total"),
           "… and cost")
    tap.ok("paths 1: up 1, down 0, blocked 0; MTU complete 1" in cli("status").stdout, "status counts it")
    tap.ok([l for l, _ in doctor()] == ["ok"], "doctor is content", doctor())


def refusals():
    for words, code, said in ((["path", "192.0.2.99"], 1, "no tunnel sends to 192.0.2.99"),
                              (["path", "nosuch"], 1, "no tunnel, no node and no remote address nosuch"),
                              (["path", "tun0", "tun1"], 2, "one peer at a time"),
                              (["path", "-w", "nosuch"], 1, "no tunnel, no node"),
                              (["status", "-w"], 2, "its value is missing")):
        done = cli(*words)
        tap.equal(done.returncode, code, f"{' '.join(words)}: exit code {code}")
        tap.ok(said in done.stderr, f"… {said}", done.stderr)
    done = cli("-j", "path", "nosuch")
    tap.equal(json.loads(done.stdout)["error"]["code"], "not-found", "-j: the protocol's code")
    tap.ok("Usage: culvert" in cli("path", "help").stdout, "help")


def filtered_icmp():
    """The path takes less, and nobody says so: seen while packets flow, named, and told."""
    watch, stream = Watch("-w"), Watch("-jw", "tun0")
    # ping sees no answers once its packets are too large; its packets are the traffic.
    ping = lab.p1.spawn(["ping", "-q", "-i", "0.1", "-s", "1400", "-M", "want", lab.POD_B],
                        stdout=subprocess.DEVNULL)
    tap.ok(net.wait_for(lambda: path()["probes"]["answered"] > 3), "traffic flows")
    drop("icmp type destination-unreachable drop", "output")
    lab.r.ip("link set right mtu 1400")
    tap.ok(becomes(mtu=1400, how="probe"), "the MTU is found by probes", path)
    tap.ok(becomes(inner_mtu=1380, state="complete"), "… to the byte", path)
    net.stop(ping)
    tap.ok(any(level == "warning" and "takes 1400 bytes, its link 1500, and no ICMP said so" in text
               for level, text in doctor()), "doctor names the filter", doctor)
    code, lines = watch.end()
    tap.equal(code, 0, "-w: interrupted, it ends well")
    tap.ok(lines[0].startswith("TUNNEL"), "… begins with the table", lines)
    tap.ok(any(re.match(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d tun0 {REMOTE}: .*mtu \d+ -> 1400 \(probe\)", line)
               for line in lines), "… and has the change, with its time", lines)
    code, lines = stream.end()
    objects = [json.loads(line) for line in lines]
    tap.equal((code, objects[0]["changes"], objects[0]["mtu"]), (0, [], 1500), "-jw: first what there is")
    tap.ok(any("mtu" in o["changes"] and o["mtu"] == 1400 for o in objects[1:]), "… then what changes",
           lines)
    lab.r.ip("link set right mtu 1500")
    drop()
    tap.ok(becomes(20, mtu=1500, state="complete"), "raised again when the path has healed", path)


def blocked():
    """The remote answers on the underlay, but protocol 4 is lost."""
    drop("ip protocol 4 drop")
    tap.ok(becomes(20, blocked=True), "blocked", path)
    words = (f"{REMOTE} answers on the underlay, but nothing comes back through tun0: IP protocol 4 is "
             "filtered on the way")
    said = cli("path").stdout
    tap.ok("blocked" in said and words in said, "path says so, in words", said)
    tap.ok(words in cli("status").stdout, "… and status", lambda: cli("status").stdout)
    tap.ok(any(level == "error" and words in text for level, text in doctor()), "… and doctor", doctor)
    tap.equal(metric("blocked"), 1, "… and metrics")
    drop()
    tap.ok(becomes(20, blocked=False, liveness="up", problem=None), "… until it passes again", path)


def down():
    """The remote is gone altogether."""
    watch = Watch("-w")
    # Both ways: who is heard of is not down.
    drop(f"ip daddr {REMOTE} drop; ip saddr {REMOTE} drop")
    seen = []

    def is_down():
        now = path()
        if now["blocked"]:
            seen.append(now)
        return now["liveness"] == "down"

    tap.ok(net.wait_for(is_down, 20), "down", path)
    tap.equal(path()["problem"], f"tun0: {REMOTE} does not answer any more", "… in words")
    tap.equal(metric("up"), 0, "… and metrics")
    tap.ok(any(level == "error" and "does not answer any more" in text for level, text in doctor()),
           "doctor: an error", doctor)
    net.wait_for(lambda: not is_down(), 1.5)  # -w looks once a second
    drop()
    tap.ok(becomes(20, liveness="up"), "up again", path)
    _, lines = watch.end()
    text = "\n".join(lines)
    tap.ok("liveness up -> down" in text and "liveness down -> up" in text, "-w told both", text)
    tap.ok(not seen, "at no moment it was taken for blocked", seen)


def configured():
    """PathConfiguration, without any node or pool: at once, and until it is deleted."""
    apply(", probing: Disabled")
    tap.ok(becomes(state="disabled"), "disabled", path)
    said = cli("path").stdout
    tap.ok("paths are not probed: PathConfiguration default says probing: Disabled" in said, "path says so",
           said)
    tap.ok(any(level == "warning" and "paths are not probed" in text for level, text in doctor()),
           "… and doctor", doctor)
    sent = path()["probes"]["sent"]
    time.sleep(1)
    tap.equal(path()["probes"]["sent"], sent, "… and no probe is sent")
    cli("delete", "pathconfiguration", "default", check=True)
    tap.ok(becomes(state="complete", liveness="up"), "deleted: the defaults, which probe", path)
    tap.ok(json.loads(cli("-j", "path").stdout)["probing"], "… and -j says so")


def forbidden():
    """--probing off wins over the resource."""
    lab.d1.stop()
    lab.d1.arguments += ["--probing", "off"]
    lab.d1.start()
    tap.ok(becomes(state="disabled", liveness="unknown"), "--probing off: nothing is asked", path)
    said = cli("path").stdout
    tap.ok("paths are not probed: culvertd runs with --probing off" in said, "path says so", said)
    lab.d1.stop()
    lab.d1.arguments = lab.d1.arguments[:-2]
    lab.d1.start()


def no_paths():
    lab.d1.delete("tun0")
    tap.equal(cli("path").stdout, "no paths: no tunnel sends to anybody now\n", "without a tunnel: said")
    lab.d1.add(f"tun0 mode ipip remote any local {lab.A}")
    tap.ok("tunnel tun0 has no remote end now" in cli("path", "tun0").stderr, "without a gateway: said")
    lab.n1.ip(f"route add 10.244.2.0/24 via {REMOTE} dev tun0 onlink")
    tap.ok(becomes(20, remote=REMOTE, liveness="up"), "a route's gateway is a remote end", path)


if __name__ == "__main__":
    tap.main([table, refusals, filtered_icmp, blocked, down, configured, forbidden, no_paths, lab.clean_end],
             lambda name: name != "clean_end" and before(name), lab.after)
