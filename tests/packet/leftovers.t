#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: timeout=300 parallel
"""
What the fast path leaves behind (nothing), whose things it touches (its own), and what it does where
it may not do all of it.

    a: culvertd, perhaps two   10.0.0.1 eth0 ─── eth0 10.0.0.2   b: culvertd
                               10.1.0.1 eth1 ─── eth1 10.1.0.2
    tun0: 192.168.9.1                                            tun0: 192.168.9.2
    a's pod0 is a device of an endpoint 192.168.10.9, which nothing is behind
"""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import culvert
import holders
import net
import tap
from bpfmap import Map
from cluster import pings
from culvert import Culvertd

culvert.need_programs()
CULVERTD = os.path.join(culvert.BUILD, "culvertd")
PINS = "/sys/fs/bpf/culvert"
FOREIGN = "filter add dev {} ingress prio 5 protocol all handle 7 bpf bytecode 1,6\\ 0\\ 0\\ 0, classid 1:1"

a, b = net.Node("a"), net.Node("b")
for index in (0, 1):
    net.connect(a, f"eth{index}", b, f"eth{index}")
    for number, node in ((1, a), (2, b)):
        node.ip(f"addr add 10.{index}.0.{number}/24 dev eth{index}")
a.ip("link add pod0 type veth peer name pod0x", "link set pod0 up", "link set pod0x up",
     "addr add 192.168.10.254/24 dev pod0")
daemons = []


def start(node, *arguments, wrapper=()):
    """A culvertd that is ended with the test."""
    daemons.append(Culvertd(node, "--workers", "1", *arguments, wrapper=wrapper))
    return daemons[-1]


def purge(daemon, check=True, wrapper=()):
    """culvertd --purge of its run directory; CompletedProcess."""
    return daemon.node.run([*wrapper, CULVERTD, "--purge", "--run-dir", daemon.run_dir],
                           check=check)


def clean_up(*_):
    """After each test."""
    while daemons:
        daemon = daemons.pop()
        if daemon.alive():
            daemon.stop(signal.SIGKILL)
        purge(daemon, check=False)


def tunnel(daemon, name="tun0", peer=0, inner="192.168.9"):
    """A tunnel between a and b by way of their eth<peer>; both ends look the same."""
    number = 1 if daemon.node is a else 2
    daemon.add(f"{name} remote 10.{peer}.0.{3 - number} local 10.{peer}.0.{number}",
               f"{inner}.{number}/24")
    daemon.cli("status")  # it has looked at the address now


def pair():
    """One culvertd on each node, with a tunnel."""
    both = start(a), start(b)
    for daemon in both:
        tunnel(daemon)
    return both


def reaches(node=a, address="192.168.9.2", count=3):
    """True if all pings are answered."""
    return pings(node, address, count)


def cookie(node):
    """By which pins of this network namespace are known."""
    with node.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return struct.unpack("Q", s.getsockopt(socket.SOL_SOCKET, 71, 8))[0]


def pins(node):
    """The directories of pins of a network namespace."""
    prefix = f"{cookie(node):x}-"
    return [each for each in (os.listdir(PINS) if os.path.isdir(PINS) else [])
            if each.startswith(prefix)]


def filters(node):
    """Every tc filter of a node: (device, hook, the line that tells)."""
    found = []
    with node:
        names = [name for _, name in socket.if_nameindex()]
    for name in names:
        for hook in ("ingress", "egress"):
            text = node.run(f"tc filter show dev {name} {hook}", check=False).stdout
            found += [(name, hook, line.strip()) for line in text.splitlines() if "handle" in line]
    return found


def ours(node):
    """Those of culvertd, as (device, hook, program)."""
    return sorted({(name, hook, line.split("cv_")[1].split(":")[0])
                   for name, hook, line in filters(node) if "cv_" in line})


def clsacts(node):
    """Devices with a clsact qdisc."""
    return sorted(line.split()[line.split().index("dev") + 1]
                  for line in node.run("tc qdisc show").stdout.splitlines() if "clsact" in line)


def devices(node):
    """Devices by name."""
    with node:
        return sorted(name for _, name in socket.if_nameindex())


def remains(node, *gone):
    """Everything that could be left of a daemon, as one value to compare."""
    return {
        "pins": pins(node), "filters": filters(node), "clsact": clsacts(node),
        "devices": devices(node),
        "processes": [pid for daemon in gone for pid in holders.holders(daemon.run_dir)],
        "files": [each for daemon in gone for each in os.listdir(daemon.run_dir) if each != "log"],
    }


def fast(daemon, name="tun0"):
    """The fast path's counters of a tunnel."""
    shown = json.loads(daemon.cli("-j", "-s", "tunnel", "show", name).stdout)[0]
    return shown["paths"]["fast"]


def purge_leaves_nothing():
    a.run("tc qdisc add dev eth0 clsact")
    a.run("tc " + FOREIGN.format("eth0"))
    os.mkdir("/sys/fs/bpf/culvert-foreign")
    before = remains(a)
    tap.equal((len(before["filters"]), before["clsact"]), (1, ["eth0"]), "a foreign filter stands")
    for how in (signal.SIGTERM, signal.SIGKILL):
        d = start(a)
        tap.equal(ours(a), [], "without tunnels nothing is attached")
        tunnel(d)
        d.cli("endpoint", "add", "pod0", "ip", "192.168.10.9")
        d.cli("tunnel", "add", "tun1", "remote", "10.9.0.1")
        tap.equal({each[2] for each in ours(a)},
                  {"tunnel_out", "tunnel_in", "underlay_in", "endpoint_in", "endpoint_out"},
                  "all programs are attached")
        tap.equal(clsacts(a), ["eth0", "eth1", "pod0", "tun0", "tun1"], "with their qdiscs")
        tap.equal(len(pins(a)), 1, "maps and programs are pinned")
        tap.ok(any(name.startswith("cvlook") for name in devices(a)), "a look-up device is there")
        d.stop(how)
        tap.ok(ours(a) and pins(a), f"{how.name}: everything is there without the daemon")
        done = purge(d)
        tap.ok("removed the fast path" in done.stdout, "purge says so", done.stdout)
        tap.equal(remains(a, d), before, f"{how.name}, purge: nothing is left but what was there")
    tap.ok(os.path.isdir("/sys/fs/bpf/culvert-foreign"), "nor are others' pins touched")
    os.rmdir("/sys/fs/bpf/culvert-foreign")
    a.run("tc qdisc del dev eth0 clsact")


def deleting_leaves_nothing():
    d = start(a)
    before = remains(a)
    tunnel(d)
    d.cli("endpoint", "add", "pod0", "ip", "192.168.10.9")
    tap.ok(ours(a), "programs are attached")
    d.cli("tunnel", "del", "tun0")
    d.cli("endpoint", "del", "pod0")
    tap.equal(remains(a), before, "tunnel del and endpoint del: all as it was before")
    tunnel(d)
    tap.ok(ours(a), "a new tunnel: attached again")
    a.ip("link del tun0")
    tap.ok(net.wait_for(lambda: remains(a) == before), "ip link del: all as it was before",
           lambda: f"{remains(a)}\n{before}")


def pins_that_were_lost_are_no_harm():
    d, _ = pair()
    tap.ok(reaches(), "packets pass")
    d.stop(signal.SIGKILL)
    before = ours(a)
    shutil.rmtree(os.path.join(PINS, pins(a)[0]))
    tap.ok(reaches(), "without the pins, too")
    d.start()
    tap.equal(ours(a), before, "a start after that replaces what stands there")
    tap.equal(fast(d)["tx_packets"], 6, "and goes on with its counters")
    tap.ok(reaches(), "packets pass")
    d.stop(signal.SIGKILL)
    shutil.rmtree(os.path.join(PINS, pins(a)[0]))
    purge(d)
    left = remains(a, d)
    tap.equal((left["pins"], left["filters"], left["clsact"], left["devices"]),
              ([], [], [], ["eth0", "eth1", "lo", "pod0", "pod0x"]), "purge finds everything, too")


READ_ONLY = ["unshare", "-m", "sh", "-c",
             "mount --bind /sys/fs/bpf /sys/fs/bpf && mount -o remount,bind,ro /sys/fs/bpf && "
             "exec \"$@\"", "-"]
# Nothing mounted, and nobody who may.
NOT_MOUNTED = ["unshare", "-m", "sh", "-c", "umount /sys/fs/bpf; exec \"$@\"", "-", "setpriv",
               "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]


def without_pins_it_works():
    for what, wrapper, sees in (("read-only", READ_ONLY, True),
                                ("not mounted", NOT_MOUNTED, False)):
        c, d = start(b), start(a, wrapper=wrapper)
        for each in (c, d):
            tunnel(each)
        tap.equal(pins(a), [], f"{what}: nothing is pinned")
        tap.equal(d.log().count("works without pins"), 1, f"{what}: the log says so once")
        tap.ok(reaches() and fast(d)["tx_packets"] == 3, f"{what}: the fast path carries", d.log)
        d.stop(signal.SIGKILL)
        tap.ok(reaches(), f"{what}: without the daemon, too")
        before = ours(a)
        d.start()
        tap.equal(ours(a), before, f"{what}: the next start replaces the programs")
        if sees:
            tap.equal(fast(d)["tx_packets"], 6, f"{what}: and finds their maps")
        sent = fast(d)["tx_packets"]
        tap.ok(reaches() and fast(d)["tx_packets"] == sent + 3, f"{what}: which carry", d.log)
        d.stop(signal.SIGKILL)
        purge(d, wrapper=wrapper)
        tap.equal(ours(a), [], f"{what}: purge detaches")
        tap.ok("tun0" not in devices(a), f"{what}: and deletes")
        clean_up()
        for each in clsacts(a):
            a.run(f"tc qdisc del dev {each} clsact")


REFUSED = {
    "no CAP_BPF": ["setpriv", "--bounding-set", "-sys_admin,-bpf", "--inh-caps",
                   "-sys_admin,-bpf"],
    "no CAP_PERFMON": ["setpriv", "--bounding-set", "-sys_admin,-perfmon", "--inh-caps",
                       "-sys_admin,-perfmon"],
}


def without_bpf_the_engine_carries():
    for what, wrapper in REFUSED.items():
        c, d = start(b), start(a)
        for each in (c, d):
            tunnel(each)
        tap.ok(reaches() and fast(d)["tx_packets"] == 3, f"{what}: first the fast path carries")
        d.stop(signal.SIGKILL)
        d.wrapper = wrapper
        d.start()
        tap.ok(reaches(), f"{what}: then the engine", d.log)
        tap.equal(d.log().count("the fast path is not available"), 1, f"{what}: says it once")
        shown = json.loads(d.cli("-j", "-s", "tunnel", "show", "tun0").stdout)[0]
        tap.equal((shown["fastpath"]["state"], shown["counters"]["tx_packets"]), ("off", 3),
                  f"{what}: tunnel show, too")
        tap.equal(ours(a), [], f"{what}: what the earlier daemon had attached does not act on")
        tap.equal(d.log().count("an earlier fast path"), 1, f"{what}: and that it has taken that away")
        d.stop()
        purge(d)
        tap.equal((pins(a), clsacts(a)), ([], []), f"{what}: purge removes the rest")
        clean_up()


def a_small_memlock_limit_is_no_harm():
    start(b)
    tunnel(daemons[0])
    d = start(a, wrapper=["prlimit", "--memlock=0:0"])
    tunnel(d)
    tap.ok(reaches(), "packets pass", d.log)
    shown = json.loads(d.cli("-j", "tunnel", "show", "tun0").stdout)[0]["fastpath"]["state"]
    if shown == "on":
        tap.equal(fast(d)["tx_packets"], 3, "by the fast path: this kernel does not count BPF there")
    else:
        tap.equal(d.log().count("the fast path is not available"), 1, "by the engine, said once")


# No sysctl can be set.
FIXED = ["unshare", "-m", "sh", "-c",
         "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec \"$@\"", "-"]


def without_a_look_up_device_the_engine_carries():
    c, d = start(b), start(a, wrapper=FIXED)
    for each in (c, d):
        tunnel(each)
    tap.ok(reaches() and fast(d)["tx_packets"] == 0, "the engine carries", d.log)
    reason = json.loads(d.cli("-j", "tunnel", "show", "tun0").stdout)[0]["fastpath"]["reason"]
    tap.ok(reason.startswith("routes cannot be asked for: net.ipv4.conf.cvlook")
           and "Read-only file system" in reason, "tunnel show says why", reason)
    a.ip("link set eth1 down", "link set eth1 up")
    d.cli("status")
    tap.equal(d.log().count("cannot ask for routes"), 1, "the log does, once")


def what_is_half_attached_goes():
    """The kernel refuses the second of an endpoint's two programs."""
    blocked = f"filter add dev pod0 egress prio {0xc3} protocol ip handle 7 bpf bytecode 1,6\\ 0\\ 0\\ 0,"
    d = start(a)
    a.run("tc qdisc add dev pod0 clsact")
    a.run(f"tc {blocked} classid 1:1")
    tunnel(d)
    d.cli("endpoint", "add", "pod0", "ip", "192.168.10.9", "bypass", "on")
    shown = d.cli("endpoint", "show", "pod0").stdout
    tap.ok("no program can be attached to pod0" in shown, "endpoint show says so", shown)
    tap.equal([each for each in ours(a) if each[0] == "pod0"], [], "no program stays on it")
    config = Map(d, "cv_config")
    generations = []
    for number in range(4):
        a.ip(f"link set eth1 alias {number}")  # a reason to look at the devices
        d.cli("status")
        time.sleep(0.2)
        generations.append(struct.unpack_from("QI", config.get(bytes(4)))[1])
    config.close()
    tap.equal(len(set(generations)), 1, "nor is everything asked for again, again and again")
    a.run(f"tc filter del dev pod0 egress prio {0xc3}")
    d.cli("endpoint", "del", "pod0")
    d.cli("endpoint", "add", "pod0", "ip", "192.168.10.9", "bypass", "on")
    tap.equal(sorted(each[2] for each in ours(a) if each[0] == "pod0"), ["endpoint_in", "endpoint_out"],
              "once it can be, both are attached")
    d.cli("endpoint", "del", "pod0")
    a.run("tc qdisc del dev pod0 clsact")


def devices_that_went_meanwhile_are_forgotten():
    a.ip("link add gone0 type veth peer name gone0x", "link set gone0 up", "link set gone0x up",
         "addr add 192.168.12.1/24 dev gone0")
    d = start(a)
    tunnel(d)
    with a:
        index = struct.pack("I", socket.if_nametoindex("gone0"))
    devices_map = Map(d, "cv_devices")
    tap.ok(index in devices_map.keys(), "a network card is listed")
    d.stop(signal.SIGKILL)
    a.ip("link del gone0")
    tap.ok(index in devices_map.keys(), "it goes while no daemon is there")
    d.start()
    tap.ok(index not in devices_map.keys() and len(devices_map.keys()) >= 2,
           "the next start forgets it, and it alone", devices_map.keys())
    devices_map.close()


def captures(daemon):
    """What two captures at once say on standard error."""
    running = [daemon.node.spawn([os.path.join(culvert.BUILD, "culvert"), "--run-dir", daemon.run_dir,
                                  "capture", "-w", "/dev/null"], stderr=subprocess.PIPE)
               for _ in range(2)]
    net.wait_for(lambda: json.loads(daemon.cli("-j", "status").stdout)["capture"]["capturers"] == 2)
    said = []
    for each in running:
        each.send_signal(signal.SIGINT)
        said.append(each.communicate(timeout=10)[1])
    return [text.decode() if isinstance(text, bytes) else text for text in said]


def every_capturer_is_told():
    """perf rings count as locked memory."""
    d = start(a, wrapper=["prlimit", "--memlock=0:0", "setpriv", "--bounding-set", "-ipc_lock",
                          "--inh-caps", "-ipc_lock"])
    tunnel(d)
    said = captures(d)
    count = [text.count("only the engine's packets are captured") for text in said]
    tap.ok(count in ([1, 1], [0, 0]), "of two captures both say that the fast path's are missing, "
           "or none does where they are not", said)
    tap.note(f"{count[0]} times")


def purge_says_what_to_do():
    d = start(a)
    d.stop()
    done = a.run([CULVERTD, "--purge", "--run-dir", d.run_dir, "--fastpath", "off"], check=False)
    tap.equal((done.returncode, done.stderr.count("\n")), (2, 1), "not with --fastpath")
    os.chown(d.run_dir, 12345, 0)
    done = purge(d, check=False)
    os.chown(d.run_dir, 0, 0)
    tap.equal(done.returncode, 1, "a run directory of another user is refused")
    tap.ok("belongs to user 12345; be that user" in done.stderr, "and said to be one", done.stderr)


def two_in_one_namespace():
    one, two, c = start(a), start(a), start(b)
    tunnel(one)
    tunnel(two, "tun1", 1, "192.168.11")
    tunnel(c)
    tunnel(c, "tun1", 1, "192.168.11")
    tap.equal(len(pins(a)), 2, "each has its pins")
    tap.equal(sum(name.startswith("cvlook") for name in devices(a)), 2, "and its look-up device")
    both = [each for each in filters(a) if each[:2] == ("eth0", "ingress") and "cv_" in each[2]]
    tap.equal(len(both), 2, "two filters stand side by side")
    for round_ in ("side by side", "without one", "with it again"):
        tap.ok(reaches(address="192.168.9.2") and reaches(address="192.168.11.2"),
               f"{round_}: both tunnels carry")
        if round_ == "side by side":
            one.stop(signal.SIGKILL)
        elif round_ == "without one":
            one.start()
    tap.equal((fast(one)["tx_packets"], fast(two, "tun1")["tx_packets"]), (9, 9),
              "each by its own fast path")
    one.stop()
    purge(one)
    tap.equal((len(pins(a)), reaches(address="192.168.11.2")), (1, True),
              "one is purged, the other goes on")
    tap.equal(clsacts(a), ["eth0", "eth1", "pod0", "tun1"], "with its qdiscs, whoever made them")
    two.stop()
    purge(two)
    tap.equal((pins(a), ours(a), clsacts(a)), ([], [], []), "then the other: nothing is left")
    tap.equal(devices(a), ["eth0", "eth1", "lo", "pod0", "pod0x"], "of the devices, either")


def two_with_one_run_directory():
    """Each in a network namespace and a mount namespace of its own."""
    made = [tempfile.mkdtemp(prefix="culvert-mount-") for _ in "ab"]
    common = tempfile.mkdtemp(prefix="culvert-common-")
    both = []
    try:
        in_one_run_directory(made, common, both)
    finally:
        for d in both:
            if d.process and d.alive():
                d.stop(signal.SIGKILL)
            purge(d, check=False, wrapper=d.wrapper)
        for directory in (*made, common):
            shutil.rmtree(directory, ignore_errors=True)


def in_one_run_directory(made, common, both):
    """Each daemon's own directory (made) is mounted where all have theirs; both: the daemons."""
    for node, directory in zip((a, b), made):
        d = Culvertd.__new__(Culvertd)
        d.node, d.build = node, culvert.BUILD
        d.arguments = ["--workers", "1", "--probing", "off"]
        d.wrapper = ["unshare", "-m", "sh", "-c", f"mount --bind {directory} {common} && exec "
                     "\"$@\"", "-"]
        d.run_dir, d.log_path = common, os.path.join(directory, "log")
        d.config = os.path.join(directory, "etc")
        d.cli = lambda *words, check=True, d=d: d.node.run(
            ["nsenter", f"--mount=/proc/{d.process.pid}/ns/mnt",
             os.path.join(culvert.BUILD, "culvert"), "--run-dir", common, *words], check=check)
        d.process = None
        both.append(d)
        d.start()
    for d in both:
        tunnel(d)
    names = [pins(d.node) for d in both]
    tap.equal([len(each) for each in names], [1, 1], "each has its pins")
    tap.ok(names[0] != names[1], "under names of their own", names)
    tap.equal(names[0][0].split("-")[1], names[1][0].split("-")[1],
              "although their run directory is the same to them")
    tap.ok(reaches(), "both carry")
    tap.equal((fast(both[0])["tx_packets"], fast(both[1])["rx_packets"]), (3, 3),
              "each by its own fast path")
    for d, directory in zip(both, made):
        d.stop()
        purge(d, wrapper=d.wrapper)
        tap.equal((pins(d.node), ours(d.node)), ([], []), f"{d.node.name}: purge leaves nothing")
        tap.equal(os.listdir(directory), ["log"], f"{d.node.name}: no file, too")
        if d is both[0]:
            tap.ok(pins(b) and ours(b), "and the other's alone")
    tap.equal(os.listdir(common), [], "nor one outside")


def drops_have_names():
    d, c = pair()
    tap.ok(reaches(), "packets pass")
    b.ip("link set tun0 down")
    watch = culvert.Watch(c)
    with a:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for _ in range(5):
                s.sendto(b"x", ("192.168.9.2", 7000))
    tap.equal(watch.wait("device-down", 5), 5, "outer packets for a device that is down")
    tap.equal(watch.rose(), {"device-down": 5}, "are counted by that name alone")
    b.ip("link set tun0 up")
    # Without an engine: what the fast path cannot do, at both ends.
    for each in (d, c):
        each.stop(signal.SIGKILL)
    time.sleep(0.5)  # the kernel notices a moment later that nobody is there to be handed packets
    a.ip("link set eth0 mtu 1400")
    inner = packet("192.168.9.1", "192.168.9.2", 17, b"\0" * 1430)
    with a:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            for _ in range(3):
                s.sendto(inner, ("192.168.9.2", 0))  # fits the device, not the path
            for number in range(4):
                s.sendto(packet("10.0.0.1", "10.0.0.2", 4, inner[:64], number, 0x2000),
                         ("10.0.0.2", 0))
    tap.ok(reaches(), "meanwhile the common packet passes")
    a.ip("link set eth0 mtu 1500")
    for each in (d, c):
        each.start()
    counted = [each.counters("tun0")["engine-absent"] for each in (d, c)]
    tap.equal(counted[0], 3, "what is too big for the path, without an engine")
    tap.equal(counted[1], 4, "fragments, without an engine")


def packet(source, destination, protocol, payload, number=0, fragment=0):
    """An IPv4 packet; the kernel fills in its checksum."""
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), number, fragment, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(destination)) + payload


tap.main([
    purge_leaves_nothing, deleting_leaves_nothing, pins_that_were_lost_are_no_harm,
    without_pins_it_works, without_bpf_the_engine_carries, a_small_memlock_limit_is_no_harm,
    without_a_look_up_device_the_engine_carries, what_is_half_attached_goes,
    devices_that_went_meanwhile_are_forgotten, every_capturer_is_told, purge_says_what_to_do,
    two_in_one_namespace, two_with_one_run_directory, drops_have_names,
], after=clean_up)
