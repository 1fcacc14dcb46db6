#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel
"""
The MTU of a tunnel's device, of paths and of endpoints, as routes, links and peers change: what the
kernel's own selftests (pmtu.sh) ask of its tunnels, and what they do not do.

    p1 10.244.1.2 ── pod0 n1 eth0 192.168.100.1 ── left r right ── eth0 b 192.168.200.2
                    culvertd                            other ── eth0 c 192.168.201.3
                             eth1 192.168.101.1 ───────────────── eth0 d 192.168.101.4

All cables take 9000 bytes at first; b, c and d are silent, the test sees what comes to them.
"""

import glob
import json
import os
import shutil
import signal
import socket
import struct
import threading
import time

import culvert
import net
import tap
from culvert import Culvertd
from holders import holder, lives
from packets import header, icmp_of, is_icmp_error, is_ipip, outer, udp
from shapes import end_cleanly, look_after, mac_text

culvert.need_programs()
POD, GATEWAY = "10.244.1.2", "10.244.1.1"
N1, N1_OTHER = "192.168.100.1", "192.168.101.1"
B, C, D = "192.168.200.2", "192.168.201.3", "192.168.101.4"
BEHIND_B, BEHIND_C, BEHIND_D = "10.244.2.2", "10.244.3.2", "10.244.4.2"
WIDE = 9000
SO_NETNS_COOKIE = 71
AT_ONCE = 1  # second: what changes is followed within it


class Fork:
    """The network above."""

    def __init__(self):
        self.p1, self.n1, self.r, self.b, self.c, self.d = map(
            net.Node, ("p1", "n1", "r", "b", "c", "d"))
        net.connect(self.p1, "eth0", self.n1, "pod0", mtu=WIDE)
        net.connect(self.n1, "eth0", self.r, "left", mtu=WIDE)
        net.connect(self.r, "right", self.b, "eth0", mtu=WIDE)
        net.connect(self.r, "other", self.c, "eth0", mtu=WIDE)
        net.connect(self.n1, "eth1", self.d, "eth0", mtu=WIDE)
        for node in (self.n1, self.r):
            node.forward()
        self.n1.ip(f"addr add {N1}/24 dev eth0", f"addr add {N1_OTHER}/24 dev eth1",
                   f"addr add {GATEWAY}/24 dev pod0", "route add default via 192.168.100.254")
        self.p1.ip(f"addr add {POD}/24 dev eth0", f"route add default via {GATEWAY}")
        self.r.ip("addr add 192.168.100.254/24 dev left", "addr add 192.168.200.254/24 dev right",
                  "addr add 192.168.201.254/24 dev other")
        for node, address, gateway in ((self.b, B, "192.168.200.254"),
                                       (self.c, C, "192.168.201.254"), (self.d, D, N1_OTHER)):
            node.ip(f"addr add {address}/24 dev eth0", f"route add default via {gateway}")
            node.silence()
        self.p1.silence()
        self.n1.ip(f"neigh replace {POD} lladdr {mac_text(self.p1.mac('eth0'))} dev pod0")
        self.pod = self.p1.wire("eth0")
        self.ends = {B: self.b.wire("eth0"), C: self.c.wire("eth0"), D: self.d.wire("eth0")}
        self.daemon = Culvertd(self.n1, endpoints=(("pod0", POD),))

    def remake(self, line, *routes):
        """The tunnel of this line anew, with routes."""
        name = line.split()[0]
        if self.n1.has(name):
            self.daemon.delete(name)
        self.daemon.add(line)
        self.n1.ip(*(f"route replace {route}" for route in routes))
        self.drain()

    def drain(self):
        """Forget what arrived."""
        for wire in self.pod, *self.ends.values():
            wire.drain()

    def send(self, to, size, **fields):
        """The pod sends a datagram of this size, with DF."""
        fields.setdefault("df", True)
        self.pod.send(self.n1.mac("pod0") + self.p1.mac("eth0") + b"\x08\x00"
                      + udp(POD, to, size, **fields))

    def after(self, name, failed):
        """For tap.main()."""
        look_after((self.daemon,), name, failed)


lab = Fork()


def told(to, size, timeout=2.0):
    """The MTU that the pod is told about a datagram of this size with DF, or None."""
    lab.pod.drain()
    lab.send(to, size)
    got = lab.pod.expect(is_icmp_error(), timeout)
    error = got and icmp_of(got)
    return error.mtu if error and (error.type, error.code) == (3, 4) else None


def on_wire(end, to, size, **fields):
    """
    Lengths of the outer packets that come to an end of a datagram that the pod sends to an address:
    of two fragments, if it has no DF.
    """
    wire = lab.ends[end]
    wire.drain()
    lab.send(to, size, **fields)
    return sorted(len(p) for p in wire.collect(is_ipip, 1 if fields.get("df", True) else 2, 2.0))


def fits(end, to, size):
    """True if a datagram of this size comes to an end, whole."""
    return on_wire(end, to, size) == [size + 20]


def device_mtu(name="tun0"):
    """Of a device of n1."""
    shown = json.loads(lab.n1.run(["ip", "-j", "link", "show", name]).stdout)
    return shown[0]["mtu"]


def follows(mtu, why, name="tun0"):
    """Assert that the tunnel's device has this MTU at once."""
    tap.ok(net.wait_for(lambda: device_mtu(name) == mtu, AT_ONCE), f"{why}: {name} has {mtu}",
           lambda: f"{device_mtu(name)}\n{lab.daemon.log()[-800:]}")


def told_to_endpoints(name="tun0"):
    """endpoint_mtu of a tunnel, of status, and the file's."""
    shown = json.loads(lab.daemon.cli("-j", "tunnel", "show", name).stdout)[0]["endpoint_mtu"]
    status = json.loads(lab.daemon.cli("-j", "status").stdout)["endpoint_mtu"]
    try:
        with open(os.path.join(lab.daemon.run_dir, "mtu"), encoding="ascii") as f:
            text = f.read()
    except FileNotFoundError:
        text = None
    return shown, status, text


def endpoints_are_told(mtu, why):
    """Assert that all of them say so at once."""
    want = (mtu, mtu, f"{mtu}\n")
    tap.ok(net.wait_for(lambda: told_to_endpoints() == want, AT_ONCE),
           f"{why}: new endpoints are told {mtu}, in show, status and the file", told_to_endpoints)


# ---- what the kernel's selftests ask ---------------------------------------------------------


def exception():
    """A link of 4000 bytes behind a router: 3980 for the sender inside."""
    lab.remake(f"tun0 remote {B} local {N1}", f"{BEHIND_B}/32 dev tun0")
    follows(WIDE - 20, "a path of 9000 to the next router")
    tap.ok(fits(B, BEHIND_B, 8980), "8980 bytes with DF arrive whole")
    lab.r.ip("link set right mtu 4000")
    tap.equal(told(BEHIND_B, 8980), 3980, "a link of 4000 behind the router: the sender is told 3980")
    tap.equal(told(BEHIND_B, 3981), 3980, "… and again, of one byte too many")
    tap.equal(lab.ends[B].expect(is_ipip, 0.1), None, "… of which nothing arrives")
    tap.ok(fits(B, BEHIND_B, 3980), "3980 bytes arrive whole")
    tap.equal(on_wire(B, BEHIND_B, 7000, df=False), [3060, 4000],
              "a datagram without DF arrives in fragments for 4000")
    follows(WIDE - 20, "what a path is found to take is no reason for the device to change")


def flush():
    """What the kernel forgets is not what we know; what is no longer so, is not believed for ever."""
    lab.n1.ip("route flush cache")
    tap.equal(told(BEHIND_B, 8980), 3980, "ip route flush cache: the sender is told 3980 all the same")
    lab.n1.ip(f"route replace {B}/32 via 192.168.100.254 mtu 3000")
    follows(2980, "a route with an mtu replaces the one before")
    tap.equal(told(BEHIND_B, 2981), 2980, "… and the sender is told")
    tap.ok(fits(B, BEHIND_B, 2980), "… what arrives")
    lab.n1.ip(f"route replace {B}/32 via 192.168.100.254 mtu 3900")
    follows(3880, "replaced by a wider one")
    tap.ok(fits(B, BEHIND_B, 3880), "… which packets make use of at once")
    tap.equal(told(BEHIND_B, 3881), 3880, "… and no more")
    lab.n1.ip(f"route del {B}/32")
    follows(WIDE - 20, "deleted")
    tap.equal(told(BEHIND_B, 8980), 3980, "the path's own 4000 is still known")


def two_remotes():
    """Two ends of one NBMA tunnel have a path MTU each."""
    lab.r.ip("link set right mtu 4000", "link set other mtu 5000")
    lab.remake(f"tun0 remote any local {N1}", f"{BEHIND_B}/32 via {B} dev tun0 onlink",
               f"{BEHIND_C}/32 via {C} dev tun0 onlink")
    follows(WIDE - 20, "two ends behind a router with 9000")
    tap.equal((told(BEHIND_B, 8980), told(BEHIND_C, 8980)), (3980, 4980),
              "two ends of one tunnel: each path's own MTU is told")
    tap.equal((told(BEHIND_B, 4980), fits(C, BEHIND_C, 4980)), (3980, True),
              "… and minded at once")
    tap.equal((told(BEHIND_C, 4981), fits(B, BEHIND_B, 3980)), (4980, True), "… by either")


def decrease_on_the_route():
    lab.n1.ip("route add 192.168.200.0/24 via 192.168.100.254 mtu 3500")
    follows(3480, "NBMA: a peer's route with an mtu of 3500")
    lab.n1.ip("route change 192.168.200.0/24 via 192.168.100.254 mtu 2000")
    follows(1980, "… lowered to 2000")
    tap.equal((told(BEHIND_B, 1981), fits(B, BEHIND_B, 1980)), (1980, True),
              "… the sender is told 1980, which arrive")
    lab.n1.ip("route change 192.168.200.0/24 via 192.168.100.254 mtu 3000")
    follows(2980, "… raised to 3000")
    tap.equal((told(BEHIND_B, 2981), fits(B, BEHIND_B, 2980)), (2980, True),
              "… the sender is told 2980, which arrive")
    lab.n1.ip("route del 192.168.200.0/24")
    follows(WIDE - 20, "… deleted")


def decrease_on_the_link():
    lab.n1.ip("link set eth0 mtu 1500")
    follows(1480, "NBMA: the link's MTU falls to 1500")
    tap.equal((told(BEHIND_B, 1481), told(BEHIND_C, 1481)), (1480, 1480), "… senders are told")
    tap.equal((fits(B, BEHIND_B, 1480), fits(C, BEHIND_C, 1480)), (True, True), "… what arrives")
    lab.n1.ip("link set eth0 mtu 2500")
    follows(2480, "… rises to 2500")
    tap.equal((told(BEHIND_B, 2481), fits(C, BEHIND_C, 2480)), (2480, True), "… and is used")
    lab.n1.ip(f"link set eth0 mtu {WIDE}")
    follows(WIDE - 20, "… and as it was")


# ---- what they do not ask ----------------------------------------------------------------------


def smallest_over_peers():
    """A peer comes and goes, and with it its limit."""
    lab.r.ip(f"link set right mtu {WIDE}", f"link set other mtu {WIDE}")
    lab.n1.ip("link set eth0 mtu 1500")
    lab.remake("tun0 remote any local any")
    follows(1480, "NBMA without a peer: as Linux has it")
    lab.n1.ip(f"route add {BEHIND_D}/32 via {D} dev tun0 onlink")
    follows(WIDE - 20, "the only peer is behind a link of 9000")
    tap.ok(fits(D, BEHIND_D, WIDE - 20), "… and a full packet arrives there")
    lab.n1.ip(f"route add {BEHIND_B}/32 via {B} dev tun0 onlink")
    follows(1480, "a second one behind a link of 1500")
    lab.n1.ip("link set eth1 mtu 1300")
    follows(1280, "the first one's link falls to 1300")
    lab.n1.ip(f"link set eth1 mtu {WIDE}", f"route del {BEHIND_B}/32")
    follows(WIDE - 20, "the second peer is gone")
    lab.n1.ip(f"route replace {BEHIND_D}/32 via {B} dev tun0 onlink")
    follows(1480, "a route moves from the one to the other")
    lab.daemon.stop()
    lab.n1.ip(f"route replace {BEHIND_D}/32 via {D} dev tun0 onlink")
    lab.daemon.start()
    follows(WIDE - 20, "… and back while no daemon ran")
    lab.n1.ip("link set tun0 mtu 2000", f"route add {BEHIND_B}/32 via {B} dev tun0 onlink")
    time.sleep(0.5)
    tap.equal(device_mtu(), 2000, "set by hand: peers change nothing")
    lab.n1.ip("link set tun0 mtu 1480")
    lab.daemon.cli("status")
    lab.n1.ip(f"route del {BEHIND_B}/32")
    follows(WIDE - 20, "set to what it should be: followed again")


def jumbo_route():
    """A peer behind 9000 and one behind 1500: each gets packets as large as its link takes."""
    lab.r.ip(f"link set right mtu {WIDE}")
    lab.n1.ip("link set eth0 mtu 1500")
    lab.remake("tun0 remote any local any", f"{BEHIND_B}/32 via {B} dev tun0 onlink",
               f"{BEHIND_D}/32 via {D} dev tun0 onlink")
    follows(1480, "a peer behind 1500 and one behind 9000")
    tap.equal((told(BEHIND_D, 8980), told(BEHIND_B, 8980)), (1480, 1480),
              "without more, senders to both are told 1480")
    lab.n1.ip(f"route replace {BEHIND_D}/32 via {D} dev tun0 onlink mtu 8980")
    time.sleep(0.1)
    follows(1480, "a route through the tunnel with an mtu of 8980")
    tap.equal([fits(D, BEHIND_D, size) for size in (1480, 1481, 5000, 8980)], [True] * 4,
              "what it leads to is sent whole, up to 9000 bytes with the outer header")
    tap.equal(told(BEHIND_D, 8981), 8980, "… the sender of more is told 8980")
    tap.equal((told(BEHIND_B, 1481), fits(B, BEHIND_B, 1480)), (1480, True),
              "… and the other path has 1480")
    tap.equal(on_wire(D, BEHIND_D, 9000, df=False), [60, 9000],
              "9000 bytes without DF are sent in two fragments, the first of them full")
    lab.n1.ip(f"route replace {BEHIND_D}/32 via {D} dev tun0 onlink mtu 20000")
    time.sleep(0.1)
    tap.equal(told(BEHIND_D, 8981), 8980, "a route's mtu that no path has is not believed")
    lab.n1.ip(f"route replace {BEHIND_D}/32 via {D} dev tun0 onlink mtu 8980")


def jumbo_arrives():
    """Larger than the device's MTU on the way in."""
    follows(1480, "the device")
    frame = lab.n1.mac("eth1") + lab.d.mac("eth0") + b"\x08\x00"
    for size in (1480, 1481, 1500, 8980):
        lab.pod.drain()
        before = lab.daemon.paths()["handed_over"]["in"]
        lab.ends[D].send(frame + outer(udp(BEHIND_D, POD, size, df=True), D, N1_OTHER))
        got = lab.pod.expect(lambda p: header(p).src == BEHIND_D)
        tap.equal(got and len(got), size, f"{size} bytes from the wide peer reach the pod")
        if lab.daemon.has_fastpath:
            # The first of a flow may have to be asked about.
            now = lab.daemon.paths()["handed_over"]["in"]
            tap.ok(size == 1480 or now == before, "… by the fast path", f"{before} {now}")


def from_the_host():
    """The host's own packets through the tunnel, as large as the route says."""
    lab.n1.ip("addr replace 10.244.1.254/32 dev tun0")
    wire = lab.ends[D]
    wire.drain()
    done = lab.n1.run(["ping", "-n", "-c1", "-W1", "-M", "do", "-s", "8952", BEHIND_D], check=False)
    got = wire.collect(is_ipip, 1, 1.0)
    tap.equal([len(p) for p in got], [WIDE], "the host's ping of 8980 bytes is one packet of 9000")
    done = lab.n1.run(["ping", "-n", "-c1", "-W1", "-M", "do", "-s", "1453", BEHIND_B], check=False)
    tap.ok("1480" in done.stdout + done.stderr, "… its own kernel refuses 1481 to the other",
           done.stdout + done.stderr)
    lab.n1.ip("addr del 10.244.1.254/32 dev tun0")


def endpoint_mtu():
    """What new endpoints are told."""
    lab.remake("tun0 remote any local any", f"{BEHIND_B}/32 via {B} dev tun0 onlink",
               f"{BEHIND_D}/32 via {D} dev tun0 onlink mtu 8980")
    endpoints_are_told(1480, "a peer behind 1500")
    file = os.path.join(lab.daemon.run_dir, "mtu")
    was = os.stat(file)
    lab.n1.ip("route add 10.9.0.0/16 dev eth0", "route del 10.9.0.0/16")
    time.sleep(0.3)
    lab.daemon.cli("status")
    now = os.stat(file)
    tap.equal((now.st_ino, now.st_mtime_ns), (was.st_ino, was.st_mtime_ns),
              "the file is not written again for the same number")
    tap.equal(oct(now.st_mode & 0o777), "0o644", "… and everybody may read it")
    lab.n1.ip("link set eth0 mtu 1400")
    endpoints_are_told(1380, "the link falls to 1400")
    lab.daemon.add(f"tun1 remote {C} local {N1}")
    lab.n1.ip(f"route add {C}/32 via 192.168.100.254 mtu 1000")
    tap.ok(net.wait_for(lambda: told_to_endpoints() == (1380, 980, "980\n"), AT_ONCE),
           "a second tunnel with 980: the smallest is in status and file", told_to_endpoints)
    lab.daemon.stop()
    tap.ok(os.path.exists(file), "the file stays when the daemon ends")
    lab.daemon.start()
    tap.equal(told_to_endpoints(), (1380, 980, "980\n"), "… and is right when the next one begins")
    lab.daemon.delete("tun1")
    lab.n1.ip(f"route del {C}/32", "link set eth0 mtu 1500")
    endpoints_are_told(1480, "both are as they were")
    lab.daemon.delete("tun0")
    tap.ok(net.wait_for(lambda: not os.path.exists(file), AT_ONCE), "no tunnel: no file")
    tap.equal(json.loads(lab.daemon.cli("-j", "status").stdout)["endpoint_mtu"], None,
              "… and null in status")


# ---- the end, under load -------------------------------------------------------------------------


class Load:
    """Two threads that send from a pod, through n1, as fast as they can."""

    def __init__(self, node, mac, targets):
        self.stop = False
        frames = [mac + node.mac("eth0") + b"\x08\x00" + udp(POD, to, size, sport=4000 + i)
                  for i, (to, size) in enumerate(targets)]
        self.wires = [node.wire("eth0") for _ in range(2)]
        self.counts = [0, 0]
        self.threads = [threading.Thread(target=self._run, args=(i, wire, frames), daemon=True)
                        for i, wire in enumerate(self.wires)]
        for thread in self.threads:
            thread.start()

    def _run(self, number, wire, frames):
        while not self.stop:
            for frame in frames:
                try:
                    wire.socket.send(frame)
                    self.counts[number] += 1
                except OSError:
                    time.sleep(0.001)

    def end(self):
        """How many each has sent."""
        self.stop = True
        for thread in self.threads:
            thread.join(5)
        for wire in self.wires:
            wire.close()
        return self.counts


def delete_under_load():
    """Tunnels, devices and links go while packets are on their way through them, on two CPUs."""
    lines = f"tun0 remote any local {N1}", f"tun1 remote {C} local {N1}"
    load = Load(lab.p1, lab.n1.mac("pod0"),
                ((BEHIND_B, 1400), (BEHIND_B, 3000), (BEHIND_C, 1400), (BEHIND_C, 64)))
    for i in range(6):
        for line, route in zip(lines, (f"{BEHIND_B}/32 via {B} dev tun0 onlink",
                                       f"{BEHIND_C}/32 dev tun1")):
            lab.daemon.add(line)
            lab.n1.ip(f"route replace {route}")
        time.sleep(0.2)
        lab.n1.ip(f"link set eth0 mtu {(1500, 4000)[i % 2]}")
        if i % 3 == 0:
            lab.daemon.delete("tun0")
            lab.daemon.delete("tun1")
        elif i % 3 == 1:
            lab.n1.ip("link del tun0", "link del tun1")
        else:
            lab.n1.ip("link set eth0 down", "link set eth0 up",
                      "route add default via 192.168.100.254")
            lab.daemon.cli("tunnel", "del", "tun0")
            lab.daemon.cli("tunnel", "del", "tun1")
        tap.ok(net.wait_for(lambda: not lab.n1.has("tun0") and not lab.n1.has("tun1"), 3)
               and json.loads(lab.daemon.cli("-j", "tunnel", "show").stdout) == [],
               f"round {i}: both are gone")
    counts = load.end()
    tap.ok(min(counts) > 1000, "… while two threads sent", counts)
    tap.ok(lab.daemon.alive(), "the daemon lives", lab.daemon.log)
    lab.n1.ip("link set eth0 mtu 1500")
    lab.remake(lines[0], f"{BEHIND_B}/32 via {B} dev tun0 onlink")
    tap.ok(fits(B, BEHIND_B, 1480), "… and carries packets")


def pins_of(node):
    """Where programs and maps of a network namespace are pinned."""
    with node.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        cookie = struct.unpack("Q", s.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
    return glob.glob(f"/sys/fs/bpf/culvert/{cookie:x}-*")


def namespace_under_load():
    """A whole node dies in the midst of traffic: nothing of it is left."""
    p, n, far = net.Node("p9"), net.Node("n9"), net.Node("f9")
    net.connect(p, "eth0", n, "pod0")
    net.connect(n, "eth0", far, "eth0")
    n.forward()
    p.ip(f"addr add {POD}/24 dev eth0")
    n.ip(f"addr add {GATEWAY}/24 dev pod0", f"addr add {N1}/24 dev eth0")
    far.ip("addr add 192.168.100.2/24 dev eth0")
    far.silence()
    daemon = Culvertd(n, endpoints=(("pod0", POD),))
    daemon.add(f"tun0 remote any local {N1}")
    n.ip(f"route add {BEHIND_B}/32 via 192.168.100.2 dev tun0 onlink")
    pid = holder(daemon)
    pins = pins_of(n)
    load = Load(p, n.mac("pod0"), ((BEHIND_B, 1400), (BEHIND_B, 64)))
    time.sleep(0.3)
    daemon.stop(signal.SIGKILL)
    os.close(n.fd)
    # Now the holder is all that keeps the namespace; it goes with its run directory.
    os.rename(daemon.run_dir, daemon.run_dir + ".moved")
    gone = net.wait_for(lambda: not lives(pid), 5)
    links = net.wait_for(lambda: not p.has("eth0") and not far.has("eth0"), 10)
    counts = load.end()
    tap.ok(min(counts) > 100, "a node dies while two threads send through it", counts)
    tap.ok(gone, "its carrier holder is gone")
    tap.ok(links, "… and its links with its namespace")
    os.rename(daemon.run_dir + ".moved", daemon.run_dir)
    daemon.node = lab.n1  # from where its run directory is purged
    daemon.purge()
    tap.ok(not os.path.exists(os.path.join(daemon.run_dir, "mtu")), "what is left is purged")
    # Nobody can purge from within any longer what is pinned for a namespace.
    for directory in pins:
        shutil.rmtree(directory)


def clean_end():
    """The daemon ends well."""
    end_cleanly((lab.daemon,))
    lab.daemon.purge()
    tap.ok(not lab.n1.has("tun0"), "nothing is left after a purge")
    tap.ok(not os.path.exists(os.path.join(lab.daemon.run_dir, "mtu")), "… nor the file")


tap.main(
    [
        exception, flush, two_remotes, decrease_on_the_route, decrease_on_the_link,
        smallest_over_peers, jumbo_route, jumbo_arrives, from_the_host, endpoint_mtu,
        delete_under_load, namespace_under_load, clean_end,
    ],
    after=lab.after,
)
