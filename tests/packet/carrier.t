#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel early idle
"""
The carrier holder: what the network notices when culvertd dies, stops or starts again, and
`culvertd --purge`.

                    default ──┐
    a: culvertd   10.0.0.1 eth0 ──── eth0 10.0.0.2 b: culvertd (to see that they share nothing)
       10.244.2.0/24 dev tun0
       eth0's default route is where packets would leak to, unencapsulated

Linux tells every opening and closing of a queue as a RTM_NEWLINK in which nothing has changed:
these are no events, as long as they are the same line all the time.
"""

import os
import shutil
import signal
import socket
import stat
import subprocess
import time

import culvert
import net
import tap
from culvert import Culvertd
from holders import (
    Monitor, held, held_in, holder, holders, lives, queues, stat_of, unchanged,
)

culvert.need_programs()
CULVERTD = os.path.join(culvert.BUILD, "culvertd")
INNER = "10.244.2.9"

a, b = net.Node("a"), net.Node("b")
net.connect(a, "eth0", b, "eth0")
for end, address, peer in ((a, "10.0.0.1", "10.0.0.2"), (b, "10.0.0.2", "10.0.0.1")):
    end.ip(f"addr add {address}/24 dev eth0", f"route add default via {peer}")
    end.sysctl("net.ipv4.conf.all.ignore_routes_with_linkdown", 1)
    end.sysctl("net.ipv4.conf.default.ignore_routes_with_linkdown", 1)
wire = b.wire("eth0")


def has_carrier(node, device="tun0"):
    """Whether the device has."""
    return "LOWER_UP" in node.ip(f"link show {device}")


def chosen(node):
    """The device that the kernel would send an inner packet out of."""
    words = node.ip(f"route get {INNER}").split()
    return words[words.index("dev") + 1]


def leaks(node):
    """Inner packets that come out of eth0 unencapsulated when three are sent."""
    wire.drain()
    node.run(f"ping -c 3 -i 0.05 -W 0.05 {INNER}", check=False)
    return len(wire.collect(lambda p: p[9] == 1, timeout=0.3))


def tunnel(daemon, name="tun0", remote="10.0.0.2"):
    """A tunnel that is up, with a route."""
    daemon.cli("tunnel", "add", name, "remote", remote)
    daemon.node.ip(f"link set {name} up")
    if name == "tun0":
        daemon.node.ip("route add 10.244.2.0/24 dev tun0")


def purge(node, run_dir, check=True):
    """culvertd --purge; CompletedProcess."""
    return node.run([CULVERTD, "--purge", "--run-dir", run_dir], check=check)


def clean_up(*_):
    """After each test: end what it started, go on with nothing."""
    while daemons:
        daemon = daemons.pop()
        if daemon.alive():
            daemon.stop(signal.SIGKILL)
        purge(daemon.node, daemon.run_dir, check=False)


daemons = []


def start(node, workers=1):
    """A culvertd that is ended with the test."""
    daemons.append(Culvertd(node, "--workers", str(workers)))
    return daemons[-1]


def nobody_notices_the_daemon():
    d = start(a, 2)
    tunnel(d)
    first = holder(d)
    tap.equal(queues(a), (2, 1), "the daemon has two queues, the holder a detached one")
    tap.equal(chosen(a), "tun0", "inner packets go into the tunnel")
    tap.equal(leaks(a), 0, "and none leaks")
    monitor = Monitor(a)
    for round_ in ("kill -9", "restart", "SIGTERM", "restart again", "kill -9 again", "restart 3"):
        if round_.startswith("restart"):
            d.start()
            tap.equal(queues(a), (2, 1), f"{round_}: all queues are there, the holder's is one")
        else:
            d.stop(signal.SIGTERM if round_ == "SIGTERM" else signal.SIGKILL)
            tap.equal(queues(a), (0, 1), f"{round_}: only the holder's queue is left")
        tap.ok(has_carrier(a), f"{round_}: the device has its carrier")
        tap.equal(chosen(a), "tun0", f"{round_}: its route is still chosen")
        tap.ok("linkdown" not in a.ip("route"), f"{round_}: no route is linkdown")
        tap.equal(leaks(a), 0, f"{round_}: nothing leaks by the default route")
        tap.equal(holder(d), first, f"{round_}: it is the same holder")
        lines = monitor.lines()
        tap.ok(unchanged(lines), f"{round_}: ip monitor shows no event", "\n".join(lines))
    monitor.stop()
    tap.ok("goes on with the carrier holder" in d.log(), "the log says that it went on with it")


def packets_go_on_after_a_restart():
    d = start(a, 2)
    tunnel(d)
    d.stop(signal.SIGKILL)
    a.run(f"ping -c 20 -i 0.01 -W 0.05 {INNER}", check=False)
    d.start()
    before = d.counters("tun0")["tx_packets"]
    # 32 flows: whichever queue they are hashed to, the engine reads it.
    with a:
        for port in range(32):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"x", (INNER, 7000 + port))
    tap.ok(net.wait_for(lambda: d.counters("tun0")["tx_packets"] >= before + 32),
           "none of 32 flows ends in the detached queue", lambda: d.counters("tun0"))
    tap.equal(d.counters("tun0")["tx_packets"], before + 32,
              "and nothing of what came while there was no daemon is sent late")


def the_process_is_what_it_should_be():
    d = start(a)
    tap.equal(holders(d.run_dir), [], "without a tunnel there is no holder")
    tunnel(d)
    pid = holder(d)
    with open(f"/proc/{pid}/comm", encoding="ascii") as f:
        tap.equal(f.read().strip(), "culvertd-hold", "its name")
    tap.equal(os.readlink(f"/proc/{pid}/cwd"), "/", "it holds no directory")
    tap.ok(stat_of(pid)[1] != d.process.pid, "it is not the daemon's child")
    tap.ok(os.getsid(pid) != os.getsid(d.process.pid), "nor in its session")
    tap.ok(os.getpgid(pid) != os.getpgid(d.process.pid), "nor in its process group")
    links = [os.readlink(f"/proc/{pid}/fd/{n}") for n in range(3)]
    tap.equal(links, ["/dev/null"] * 3, "its standard descriptors are /dev/null")
    tap.equal(len(os.listdir(f"/proc/{pid}/fd")), 8, "it has eight descriptors, no more")
    status = {}
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            key, _, value = line.partition(":")
            status[key] = value.strip()
    # Signals 32 and 33 are the C library's own: who is started by posix_spawn (as all is below make) may
    # find them ignored, and sigaction() refuses to change them.
    for key, mask in (("CapEff", -1), ("CapPrm", -1), ("SigBlk", -1), ("SigIgn", ~(3 << 31))):
        tap.equal(int(status[key], 16) & mask, 0, f"it has no {key}")
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        sizes = dict(line.split(":") for line in f if ":" in line and "kB" in line)
    private = sum(int(sizes[k].split()[0]) for k in ("Private_Clean", "Private_Dirty"))
    tap.note(f"resident {status['VmRSS']}, of its own {private} kB")
    if "asan" not in culvert.BUILD:
        tap.ok(int(status["VmRSS"].split()[0]) < 6000, "it is small", status["VmRSS"])
        tap.ok(private < 1000, "most of it shared", private)
    for who, number in (("it", pid), ("culvertd without etcd", d.process.pid)):
        with open(f"/proc/{number}/maps", encoding="ascii") as f:
            loaded = f.read()
        tap.ok("libsqlite3.so" in loaded and "libcurl.so" not in loaded and "libcrypto.so" not in loaded,
               f"{who} has not loaded what talks to etcd", loaded)
    tap.equal(stat.S_IMODE(os.stat(f"{d.run_dir}/holder.sock").st_mode), 0o600,
              "its socket is root's alone")


def without_a_holder_it_is_as_before():
    d = start(a, 2)
    tunnel(d)
    pid = holder(d)
    d.pause()
    os.kill(pid, signal.SIGKILL)
    net.wait_for(lambda: not lives(pid))
    d.stop(signal.SIGKILL)
    tap.ok(not has_carrier(a), "with daemon and holder gone, so is the carrier")
    tap.ok("linkdown" in a.ip("route"), "its route is linkdown")
    tap.equal(chosen(a), "eth0", "and packets would leak by the default route")
    d.start()
    tap.ok(has_carrier(a), "a new daemon brings the carrier back")
    tap.ok(net.wait_for(lambda: len(holders(d.run_dir)) == 1), "and has started a new holder")
    tap.equal(chosen(a), "tun0", "the route is chosen again")


def a_holder_that_dies_is_replaced():
    d = start(a, 2)
    # Few: each device that is up costs the kernel 49 MB (256 queues of 3 bands of 5,000 packets).
    for i in range(8):
        tunnel(d, f"tun{i}", f"10.9.0.{i + 1}")
    monitor = Monitor(a)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        pid = holder(d)
        os.kill(pid, number)
        tap.ok(net.wait_for(lambda: pid not in holders(d.run_dir) and len(holders(d.run_dir)) == 1, 2),
               f"after {number.name} there is a new holder", d.log)
        tap.ok(net.wait_for(lambda: held_in(d.run_dir) == 8, 2), "which holds all 8 devices",
               lambda: held_in(d.run_dir))
    lines = monitor.lines()
    tap.ok(all(",UP,LOWER_UP" in line for line in lines if line.strip()),
           "no device lost its carrier", "\n".join(lines))
    monitor.stop()
    d.stop(signal.SIGKILL)
    tap.ok(all(has_carrier(a, f"tun{i}") for i in range(8)), "and none does without the daemon")
    d.start()
    pid = holder(d)
    d.cli("tunnel", "del", "tun3")
    tap.ok(net.wait_for(lambda: held(pid) == 7, 2), "tunnel del releases", held(pid))
    a.ip("link del tun4")
    tap.ok(net.wait_for(lambda: held(pid) == 6, 2), "so does ip link del", held(pid))
    a.ip(f"link set tun5 netns {b.path}")
    tap.ok(net.wait_for(lambda: held(pid) == 5, 2), "so does a device that is moved away", held(pid))
    b.ip("link del tun5")
    a.ip("link set tun6 down", "link set tun6 name other6", "link set other6 up")
    os.kill(pid, signal.SIGKILL)
    tap.ok(net.wait_for(lambda: pid not in holders(d.run_dir) and held_in(d.run_dir) == 5, 2),
           "a renamed device is held on")
    for i in set(range(8)) - {3, 4, 5, 6}:
        d.cli("tunnel", "del", f"tun{i}")
    net.wait_for(lambda: held_in(d.run_dir) == 1)
    d.stop(signal.SIGKILL)
    tap.ok(has_carrier(a, "other6"), "under its new name")
    a.ip("link del other6")
    tap.ok(net.wait_for(lambda: not holders(d.run_dir), 3),
           "without daemon and devices the holder ends by itself")
    tap.ok(not os.path.exists(f"{d.run_dir}/holder.sock"), "and its socket is gone")


def a_stopped_holder_delays_nobody():
    d = start(a, 2)
    tunnel(d)
    pid = holder(d)
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    tunnel(d, "tun1", "10.9.0.1")
    tap.ok(time.monotonic() - started < 1, "a tunnel is added beside a stopped holder")
    d.stop(signal.SIGKILL)
    tap.ok(has_carrier(a) and has_carrier(a, "tun1"), "which holds even what it has not read yet")
    started = time.monotonic()
    d.start()
    took = time.monotonic() - started
    tap.note(f"start beside a stopped holder: {took:.2f} s")
    tap.ok(took < 5, "culvertd starts beside it", took)
    tap.equal(d.log().count("does not answer"), 1, "and says so once")
    tap.ok(not d.cli("tunnel", "change", "tun1", "ttl", "9").returncode, "it works")
    os.kill(pid, signal.SIGCONT)
    tap.ok(net.wait_for(lambda: "answers again" in d.log()), "when the holder goes on, it says so, too",
           d.log)
    tap.equal(holders(d.run_dir), [pid], "it is still the only one")
    tap.ok(net.wait_for(lambda: held(pid) == 2), "with both devices")
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    tap.ok(net.wait_for(lambda: holders(d.run_dir) not in ([], [pid])), "killed, it is replaced")
    net.wait_for(lambda: held_in(d.run_dir) == 2)
    os.kill(holder(d), signal.SIGSTOP)
    d.stop()
    done = purge(a, d.run_dir)
    tap.ok("ended the carrier holder" in done.stdout and not holders(d.run_dir),
           "purge ends a stopped holder", done.stdout)


def the_holder_goes_with_the_run_directory():
    for how in ("removed", "moved", "its socket removed"):
        d = start(a)
        tunnel(d)
        pid = holder(d)
        d.stop(signal.SIGKILL)
        tap.ok(lives(pid), f"{how}: the holder lives on")
        if how == "removed":
            d.node.run(["rm", "-rf", d.run_dir])
        elif how == "moved":
            os.rename(d.run_dir, d.run_dir + ".moved")
        else:
            os.unlink(f"{d.run_dir}/holder.sock")
        tap.ok(net.wait_for(lambda: not lives(pid), 2), f"{how}: it ends at once")
        tap.ok(not has_carrier(a), f"{how}: nothing holds the carrier any more")
        if how == "moved":
            os.rename(d.run_dir + ".moved", d.run_dir)
        done = purge(a, d.run_dir)
        tap.ok("deleted device tun0" in done.stdout and not a.has("tun0"),
               f"{how}: purge finds the device", done.stdout)


def it_does_not_keep_a_namespace():
    name = f"cv-carrier-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    d = None
    try:
        node = net.Node(name)
        os.close(node.fd)
        node.fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
        node.ip("link set lo up")
        d = start(node)
        tunnel(d, "tun9", "10.9.0.9")
        pid = holder(d)
        d.stop(signal.SIGKILL)
        time.sleep(11)
        tap.ok(lives(pid), "in a namespace with a name it stays")
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
    tap.ok(net.wait_for(lambda: not lives(pid), 12), "when that is deleted, it goes")


def two_daemons_share_nothing():
    one, two = start(a), start(b)
    tunnel(one)
    tunnel(two, remote="10.0.0.1")
    first, second = holder(one), holder(two)
    tap.ok(first != second, "each has a holder of its own")
    for pid, node in ((first, a), (second, b)):
        tap.equal(os.stat(f"/proc/{pid}/ns/net").st_ino, os.stat(node.path).st_ino,
                  f"which lives in {node.name}")
    two.stop()
    done = purge(a, two.run_dir, check=False)
    tap.equal(done.returncode, 1, "purge from another namespace is refused")
    tap.ok("another network namespace" in done.stderr, "and says where to", done.stderr)
    purge(b, two.run_dir)
    tap.ok(not b.has("tun0"), "purging one removes its device")
    tap.ok(a.has("tun0") and has_carrier(a), "and not that of the same name elsewhere")
    tap.equal(holder(one), first, "nor its holder")
    # Now in the same namespace.
    three = start(a)
    tunnel(three, "tun7", "10.9.0.7")
    one.stop()
    done = purge(a, one.run_dir)
    tap.ok(not a.has("tun0"), "in one namespace, purging removes the one's device", done.stdout)
    tap.ok(a.has("tun7") and has_carrier(a, "tun7"), "and leaves the other's alone")
    tap.ok(three.alive() and holder(three), "with daemon and holder")


def purge_leaves_nothing():
    base = start(a)
    base.stop()
    parent = base.run_dir
    base.run_dir += "/made"
    try:
        _purge_leaves_nothing(base, base.run_dir)
    finally:
        base.run_dir = parent  # which is removed at the end


def _purge_leaves_nothing(base, run_dir):
    base.start()
    tunnel(base)
    tunnel(base, "tun1", "10.9.0.1")
    a.ip("tuntap add foreign0 mode tun", "link set foreign0 alias 'not ours'")
    pid = holder(base)
    done = purge(a, run_dir, check=False)
    tap.equal(done.returncode, 1, "beside a daemon it is refused")
    tap.ok(f"another culvertd (process {base.process.pid}) runs in {run_dir}" in done.stderr,
           "and says why", done.stderr)
    tap.ok(a.has("tun0") and lives(pid) and base.alive(), "nothing was touched")
    base.stop(signal.SIGKILL)
    done = purge(a, run_dir)
    for line in ("deleted device tun0", "deleted device tun1",
                 f"ended the carrier holder, process {pid}", f"removed {run_dir}/tunnels.json",
                 f"removed {run_dir}/lock", f"removed {run_dir}\n"):
        tap.ok(line in done.stdout, f"it says: {line.split('/')[0]}", done.stdout)
    tap.ok(not a.has("tun0") and not a.has("tun1"), "the devices are gone")
    tap.ok(a.has("foreign0"), "another's is not")
    tap.ok(not lives(pid), "the holder is gone")
    tap.ok(not os.path.exists(run_dir), "and the directory that the daemon made")
    done = purge(a, run_dir)
    tap.equal((done.returncode, done.stdout), (0, f"nothing to purge in {run_dir}\n"),
              "once more is fine")
    os.mkdir(run_dir)
    base.start()
    base.stop()
    purge(a, run_dir)
    tap.equal(os.listdir(run_dir), [], "a directory that somebody else made is emptied, and stays")
    for name, text in (("lock", ""), ("lock", "hello\n")):
        with open(f"{run_dir}/{name}", "w", encoding="ascii") as f:
            f.write(text)
        purge(a, run_dir)
        tap.equal(os.listdir(run_dir), [name], f"a foreign {name} stays: {text!r}")
    os.unlink(f"{run_dir}/lock")
    base.start()
    tunnel(base)
    base.stop()
    os.kill(holder(base), signal.SIGTERM)
    a.run(["rm", "-rf", run_dir])
    tap.ok("deleted device tun0" in purge(a, run_dir).stdout,
           "devices are found although the directory is gone")
    for words in (["--workers", "2"], ["--config", "/"]):
        done = a.run([CULVERTD, "--purge", *words], check=False)
        tap.equal((done.returncode, done.stderr.count("\n")), (2, 1), f"not with {words[0]}")
    a.ip("link del foreign0")


def it_cannot_be_started():
    d = start(a)
    d.stop()
    program = f"{d.run_dir}/culvertd"
    shutil.copy(CULVERTD, program)
    with open(d.log_path, "ab") as log:
        d.process = a.spawn([program, "--run-dir", d.run_dir, "--workers", "1"], stderr=log)
    net.wait_for(lambda: not d.cli("status", check=False).returncode)
    os.chmod(program, 0)
    tunnel(d)
    tunnel(d, "tun1", "10.9.0.1")
    word = "warning: cannot start the carrier holder: Permission denied; the tunnels work"
    tap.equal(d.log().count(word), 1, "a holder that cannot be started is told once")
    tap.equal((holders(d.run_dir), queues(a)[0]), ([], 1), "without it the tunnel works")
    tap.ok(has_carrier(a), "with its carrier")
    os.chmod(program, 0o755)
    tap.ok(net.wait_for(lambda: _touch(d) and holders(d.run_dir), 15), "as soon as it can be, it is",
           d.log)
    tap.ok(net.wait_for(lambda: held_in(d.run_dir) == 2), "and has both devices")
    tap.equal(d.log().count("culvertd: warning"), 1, "no other warning")
    os.chmod(program, 0)
    os.kill(holder(d), signal.SIGKILL)
    tap.ok(net.wait_for(lambda: d.log().count(word) == 2), "one that dies and cannot be replaced, too")
    d.stop()
    tap.ok(not has_carrier(a), "where it cannot be replaced, the carrier goes with the daemon")


def _touch(daemon):
    """Something that culvertd has to look at: it does so every 30 s anyway."""
    time.sleep(0.5)
    daemon.node.ip("link add nudge0 type veth peer name nudge1", "link del nudge0")
    return True


def a_full_descriptor_table():
    d = start(a)
    tunnel(d)
    pid = holder(d)
    a.run(["prlimit", f"--pid={pid}", "--nofile=26:"])
    for i in range(1, 6):
        tunnel(d, f"tun{i}", f"10.9.0.{i}")
    tap.ok(net.wait_for(lambda: "cannot hold a device: Too many open files" in d.log()),
           "a holder whose descriptor table is full says so", d.log)
    tap.equal(d.log().count("Too many"), 1, "once")
    tap.equal(held(pid), 3, "it has what it can, and keeps some for its clients")
    tap.ok(lives(pid) and d.alive(), "and lives, as does the daemon")
    a.run(["prlimit", f"--pid={pid}", "--nofile=1024:"])
    tap.ok(net.wait_for(lambda: _touch(d) and held(pid) == 6, 10), "with room it has all", held(pid))
    d.stop()
    tap.equal(purge(a, d.run_dir).returncode, 0, "purge reaches it")


def nothing_is_left():
    left = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if stat_of(pid)[0] != "Z"
            and _is_ours(pid)]
    tap.equal(left, [], "no process is left behind")


def _is_ours(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().startswith(b"culvertd-hold\0") and os.stat(
                f"/proc/{pid}/ns/net").st_ino in (os.stat(a.path).st_ino, os.stat(b.path).st_ino)
    except (FileNotFoundError, ProcessLookupError):
        return False


tap.main([
    nobody_notices_the_daemon, packets_go_on_after_a_restart, the_process_is_what_it_should_be,
    without_a_holder_it_is_as_before, a_holder_that_dies_is_replaced,
    a_stopped_holder_delays_nobody, the_holder_goes_with_the_run_directory,
    it_does_not_keep_a_namespace, two_daemons_share_nothing, purge_leaves_nothing,
    it_cannot_be_started, a_full_descriptor_table, nothing_is_left,
], after=clean_up)
