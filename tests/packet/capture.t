#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine parallel
"""
culvert capture, with a real daemon and tshark as the reader (shapes.Pair):

    p1 10.244.1.2 ── n1 (culvertd) 192.168.100.1 ── n2 192.168.100.2, the test

Which path a packet takes is not this test's business: with a fast path the comments
say so, and what is handed to the engine shows up there a second time.
"""

import atexit
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import culvert
import net
import tap
from culvert import BUILD, Watch
from packets import echo, outer, tcp, udp
from shapes import Pair

culvert.need_programs()
lab = Pair()
POD, FAR, LOCAL, REMOTE = lab.POD, lab.FAR, lab.LOCAL, lab.REMOTE
DAEMON = lab.culvertd
folder = tempfile.mkdtemp(prefix="culvert-capture-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)
FILE = os.path.join(folder, "capture.pcapng")
PATH = "(engine|fast path)"
SNAP_MAX = 262144


class Capture:
    """A culvert capture in n1; it has begun when this returns."""

    running = []

    def __init__(self, *words, stdout=subprocess.PIPE, options=()):
        before = state()["capturers"]
        Capture.running.append(self)
        self.process = lab.n1.spawn(
            [os.path.join(BUILD, "culvert"), "--run-dir", DAEMON.run_dir, *options, "capture",
             *words], stdout=stdout, stderr=subprocess.PIPE)
        net.wait_for(lambda: state()["capturers"] > before or self.process.poll() is not None)

    @classmethod
    def end_all(cls):
        """End those that a failed test has left."""
        for capture in cls.running:
            if capture.process.poll() is None:
                net.stop(capture.process, signal.SIGKILL)
        cls.running.clear()

    def end(self, number=signal.SIGINT):
        """Stop it; its exit code, standard output, standard error."""
        if number and self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, (out or b""), err.decode()


def state():
    """What the daemon says of captures."""
    return json.loads(DAEMON.cli("-j", "status").stdout)["capture"]


def tshark(*fields, file=FILE):
    """A list for each packet: the fields that tshark reads."""
    words = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(["tshark", "-n", "-r", file, "-T", "fields", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    tap.equal(done.returncode, 0, "tshark reads the file without complaint")
    if done.returncode:
        tap.note(done.stderr)
    return [line.split("\t") for line in done.stdout.splitlines()]


def summary(err):
    """(captured, lost) of the last line on standard error."""
    found = re.search(r"packets captured: (\d+), lost: (\d+)", err)
    return (int(found[1]), int(found[2])) if found else None


def stranger():
    """An outer packet from nobody's remote."""
    return outer(udp(FAR, POD), "192.168.100.9", LOCAL)


def ways_and_bytes():
    """Out and in: two interfaces, comments, directions, and the bytes that the wire had."""
    from scapy.utils import RawPcapNgReader
    lab.tunnel()
    capture = Capture("tun0", "-w", FILE)
    sent = lab.outer_of(udp(POD, FAR, 200, tos=0xB8))
    arrived = outer(udp(FAR, POD, 300, tos=1), REMOTE, LOCAL, tos=3)
    got = lab.inner_of(arrived)
    tap.ok(sent and got, "both ways work while somebody captures")
    code, _, err = capture.end()
    tap.equal((code, summary(err)), (0, (2, 0)), "it ends by SIGINT with a summary")
    rows = tshark("frame.interface_name", "frame.packet_flags_direction", "frame.len",
                  "frame.comment")
    outs = [row for row in rows if "encapsulated" in row[3] and "decapsulated" not in row[3]]
    ins = [row for row in rows if "decapsulated" in row[3]]
    tap.equal([row[:3] for row in outs],
              [["tun0", "0x00000002", "200"], ["tun0 outer", "0x00000002", "220"]],
              "on the way out: the inner packet, then the outer one")
    tap.equal([row[:3] for row in ins],
              [["tun0 outer", "0x00000001", "320"], ["tun0", "0x00000001", "300"]],
              "on the way in: the outer packet, then the inner one")
    for row in outs:
        tap.ok(re.fullmatch(f"culvert: {PATH}, encapsulated; hook [a-z]+-(out|in)", row[3]), row[3])
    for row in ins:
        tap.ok(re.fullmatch(f"culvert: {PATH}, decapsulated, to the [a-z' ]+; hook [a-z]+-in",
                            row[3]), row[3])
    raw = [bytes(data) for data, *_ in RawPcapNgReader(FILE)]
    tap.ok(sent in raw, "the outer packet is the one that the wire had")
    tap.ok(arrived in raw, "… and the one that came, with the ECN field that it had then")


def times():
    """Packets have real time, in nanoseconds."""
    lab.tunnel()
    begin = time.time()
    capture = Capture("-w", FILE)
    lab.outer_of(udp(POD, FAR))
    capture.end()
    rows = tshark("frame.time_epoch")
    tap.ok(rows and all(begin - 0.1 < float(row[0]) < time.time() + 0.1 for row in rows),
           "time stamps are now", str(rows))


def drops():
    """A packet that is dropped is shown as it is, with the reason."""
    lab.tunnel()
    capture = Capture("-w", FILE)
    engine, watch = Watch(DAEMON, None), Watch(DAEMON)
    lab.from_pod(udp(POD, FAR, 1481, df=True))
    lab.from_peer(stranger())
    lab.from_peer(outer(udp("10.244.1.77", POD), REMOTE, LOCAL))
    engine.wait("no-tunnel")
    watch.wait("source-not-routed-back")
    capture.end()
    found = {row[1].split("dropped: ")[1].split()[0]: row for row in
             tshark("frame.interface_name", "frame.comment", "ip.src") if "dropped" in row[1]}
    tap.equal(found.get("no-tunnel", [""])[0], "culvert", "no-tunnel belongs to no tunnel")
    tap.equal(found.get("source-not-routed-back", ["", "", ""])[2], "10.244.1.77",
              "the inner packet of a refused outer one is shown last")
    text = found.get("source-not-routed-back", ["", ""])[1]
    tap.ok(re.match(f"culvert: {PATH}, dropped: source-not-routed-back \\(the outer source", text),
           "the reason is explained", text)
    # The kernel answers for the device's MTU; a lower path MTU is the tunnel's to know.
    lab.n1.ip("link set tun0 mtu 1500")
    capture = Capture("tun0", "-w", FILE)
    watch = Watch(DAEMON)
    lab.from_pod(udp(POD, FAR, 1490, df=True))
    tap.equal(watch.wait("too-big"), 1, "a packet is too big")
    capture.end()
    rows = [row for row in tshark("frame.comment", "frame.len") if "dropped" in row[0]]
    tap.equal([row[1] for row in rows], ["1490"], "it is shown once, as it is")
    tap.ok(rows and "dropped: too-big (DF is set and the path MTU" in rows[0][0],
           "with its reason", str(rows))


def filters():
    """tcpdump's language, on the inner and the outer packet."""
    cases = [
        (["udp"], ["udp"]), (["tun0", "tcp", "port", "80"], ["tcp"]), (["icmp"], ["icmp"]),
        (["src", "host", LOCAL], ["udp", "tcp", "icmp"]), ([f"dst {FAR} and not udp"], ["tcp", "icmp"]),
        (["host", "192.0.2.77"], []), (["ip[9]=4 and greater 200"], ["icmp"]),
    ]
    lab.tunnel()
    protocols = {1: "icmp", 6: "tcp", 17: "udp"}
    for words, wanted in cases:
        capture = Capture(*words, options=["-j"])
        for packet in (udp(POD, FAR), tcp(POD, FAR, b"x", dport=80), echo(POD, FAR, 300)):
            lab.outer_of(packet)
        code, out, err = capture.end()
        seen = [json.loads(line) for line in out.splitlines()]
        seen = [protocols[line["inner"]["protocol"]] for line in seen
                if line["verdict"] != "to-engine"]
        # Workers' records come nearly in order.
        tap.equal((code, sorted(seen)), (0, sorted(wanted)), f"filter {' '.join(words)}")
    for words, code, pattern in (
        (["tun9"], 1, "no such tunnel as tun9"), (["tun"], 1, "did you mean tun0"),
        (["tcp", "port"], 2, "filter \"tcp port\": "), (["tun0", "udp", "and"], 2, "filter"),
        (["-c", "0"], 2, "-c takes a number"), (["--snap", "x"], 2, "--snap takes a number"),
        (["-j", "-w", FILE], 2, "exclude each other"),
    ):
        done = DAEMON.cli("capture", *words, check=False)
        tap.ok(done.returncode == code and pattern in done.stderr and done.stderr.count("\n") == 1,
               f"capture {' '.join(words)}: refused with {code}", done.stderr)
    done = DAEMON.cli("status", "-w", "x", check=False)
    tap.equal(done.returncode, 2, "-w is for capture alone")


def old_file_survives():
    """A misspelt tunnel does not cost a file."""
    with open(FILE, "wb") as file:
        file.write(b"precious")
    DAEMON.cli("capture", "tun9", "-w", FILE, check=False)
    with open(FILE, "rb") as file:
        tap.equal(file.read(), b"precious", "a refused capture leaves the file alone")


def lines():
    """Without -w: a line for each packet, at once."""
    lab.tunnel()
    capture = Capture("tun0", "udp", "-c", "1")
    lab.outer_of(udp(POD, FAR, 128))
    ready, _, _ = select.select([capture.process.stdout], [], [], 5)
    line = capture.process.stdout.readline().decode() if ready else ""
    tap.ok(re.fullmatch(
        rf"\d\d:\d\d:\d\d\.\d{{6}} tun0 {PATH} out (192.168.100.1 > 192.168.100.2: )?"
        rf"10.244.1.2.4000 > 10.244.2.2.5000 udp, length 128: .*\n", line), line.strip())
    tap.ok(net.wait_for(lambda: capture.process.poll() is not None), "-c 1 ends by itself")
    code, _, err = capture.end()
    tap.equal((code, summary(err)), (0, (1, 0)), "… and says so")


def two_at_once():
    """Each has its own tunnel and its own length."""
    lab.tunnel()
    lab.remake(f"tun1 mode ipip remote 192.168.100.3 local {LOCAL}", "10.244.3.0/24 dev tun1")
    second = os.path.join(folder, "second.pcapng")
    short = Capture("tun0", "--snap", "48", "-w", FILE)
    tap.equal(state()["snap"], 48, "as much is recorded as somebody wants")
    full = Capture("tun1", "-w", second)
    tap.equal(state(), {"capturers": 2, "snap": SNAP_MAX}, "… or somebody else")
    lab.outer_of(udp(POD, FAR, 500))
    lab.outer_of(udp(POD, "10.244.3.2", 600))
    full.end()
    tap.equal(state(), {"capturers": 1, "snap": 48}, "one has ended")
    lab.outer_of(udp(POD, FAR, 700))
    short.end()
    rows = tshark("frame.interface_name", "frame.len", "frame.cap_len")
    tap.equal([row for row in rows if row[0] == "tun0 outer"],
              [["tun0 outer", "520", "48"], ["tun0 outer", "720", "48"]], "tun0 cut to 48 bytes")
    tap.ok(all(row[0].startswith("tun0") for row in rows), "tun0 alone")
    rows = tshark("frame.interface_name", "frame.len", "frame.cap_len", file=second)
    tap.ok(["tun1 outer", "620", "620"] in rows, "tun1 uncut", str(rows))
    tap.ok(all(row[0].startswith("tun1") for row in rows), "tun1 alone")
    DAEMON.delete("tun1")


def nothing_when_off():
    """Whatever ends the last capture, nothing is recorded after it."""
    lab.tunnel()
    tap.equal(state(), {"capturers": 0, "snap": 0}, "nobody captures: nothing is recorded")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        capture = Capture("tun0")
        tap.equal(state()["capturers"], 1, "somebody does")
        lab.outer_of(udp(POD, FAR))
        capture.end(number)
        tap.ok(net.wait_for(lambda: state() == {"capturers": 0, "snap": 0}),
               f"off again after {signal.Signals(number).name}", str(state()))


def five_are_too_many():
    """Four at once; more are refused, in words."""
    captures = [Capture() for _ in range(4)]
    done = DAEMON.cli("capture", check=False)
    tap.ok(done.returncode == 1 and "4 captures are under way" in done.stderr,
           "the fifth is refused", done.stderr)
    tap.equal(state()["capturers"], 4, "the four go on")
    for capture in captures:
        capture.end()
    tap.ok(net.wait_for(lambda: state()["capturers"] == 0), "all have ended")


def slow_reader():
    """Who does not read loses packets, and is told; nobody else notices."""
    lab.tunnel()
    slow = Capture("tun0", "-w", FILE)
    quick = Capture("tun0", "-w", "/dev/null")
    slow.process.send_signal(signal.SIGSTOP)
    before = DAEMON.memory()
    packet = udp(POD, FAR, 1400)
    for _ in range(20000):
        lab.from_pod(packet)
    time.sleep(0.5)
    grown = DAEMON.memory() - before
    # 28 MB came. The sanitizers keep what is freed.
    limit = 24 << 20 if "asan" not in BUILD else 256 << 20
    tap.ok(grown < limit, f"memory is bounded: {grown >> 20} MiB more")
    tap.ok(lab.outer_of(udp(POD, FAR, 99)), "packets go on")
    slow.process.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    _, _, err = slow.end()
    captured, lost = summary(err)
    _, _, err = quick.end()
    quick_captured, quick_lost = summary(err)
    tap.note(f"slow {captured} + {lost}, quick {quick_captured} + {quick_lost}")
    tap.ok(lost > 0 and captured > 0, "the slow one has lost some")
    tap.ok(quick_captured > captured, "the quick one has more")
    tap.equal(captured + lost, quick_captured + quick_lost, "every packet is captured or counted")
    rows = tshark("frame.interface_name")
    tap.ok(len(rows) >= 2 * captured - 2, "the file has what was captured")
    done = subprocess.run(["capinfos", "-M", FILE], stdout=subprocess.PIPE, text=True, check=False)
    tap.ok("tun0 outer" in done.stdout, "capinfos reads it to its end", done.stdout)


def ends():
    """What else can end a capture."""
    lab.tunnel()
    capture = Capture("tun0", "-w", "-")
    head = capture.process.stdout.read(4)
    tap.equal(head, b"\x0a\x0d\x0d\x0a", "a pipe has the file's head at once")
    capture.process.stdout.close()
    capture.process.stdout = None
    tap.ok(net.wait_for(lambda: capture.process.poll() is not None), "who reads the pipe goes: it ends")
    code, _, err = capture.end(None)
    tap.equal((code, err.count("\n")), (0, 1), "… quietly")
    capture = Capture("tun0", "-w", "/dev/full")
    code, _, err = capture.end(None)
    tap.ok(code == 1 and "cannot write /dev/full: No space left" in err, "a full disk is an error",
           err)
    lead, follow = pty.openpty()
    capture = Capture("-w", "-", stdout=follow)
    code, _, err = capture.end(None)
    tap.ok(code == 2 and "terminal" in err, "no binary data on a terminal", err)
    os.close(lead)
    os.close(follow)
    capture = Capture("tun0")
    DAEMON.stop()
    code, _, err = capture.end(None)
    tap.ok(code == 1 and "culvertd has ended the capture" in err, "culvertd ends: so it says", err)
    DAEMON.start()
    done = lab.n1.run([os.path.join(BUILD, "culvert"), "--run-dir", "/nonexistent", "capture"],
                      check=False)
    tap.ok(done.returncode == 1 and "is not running" in done.stderr, "no daemon: it says so")


def bare_protocol():
    """A client that says more than it should, and one that goes at once."""
    lab.tunnel()
    request = b'{"version": 1, "id": 1, "command": "capture", "tunnel": {"name": "tun0"}}\n'
    for rest in b"", b"x" * 100000, request * 100:
        with lab.n1.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(os.path.join(DAEMON.run_dir, "culvertd.sock"))
            client.sendall(request + rest)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(5)
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
        line, _, stream = answer.partition(b"\n")
        result = json.loads(line)["result"]
        tap.equal((result["format"], result["snap"]), (1, SNAP_MAX), "the answer says the format")
        tap.ok(stream.endswith(b"\x10\0\0\0\3\0\0\0" + bytes(16)) and len(answer) < 1000,
               "the stream ends with what was lost: nothing")
    tap.ok(net.wait_for(lambda: state()["capturers"] == 0), "nobody is left")
    done = DAEMON.cli("-j", "status")
    tap.equal(done.returncode, 0, "the daemon goes on")


def deleted_tunnel():
    """A tunnel that is made anew during a capture is captured on."""
    lab.tunnel()
    capture = Capture("tun0", "-w", FILE)
    lab.outer_of(udp(POD, FAR, 100))
    lab.tunnel()
    lab.outer_of(udp(POD, FAR, 100))
    code, _, _ = capture.end()
    rows = [row for row in tshark("frame.interface_name", "frame.comment")
            if row[0] == "tun0 outer" and "encapsulated" in row[1]]
    tap.equal((code, len(rows)), (0, 2), "both are there, on one interface")


def before(name):
    """Each test begins without captures."""
    Capture.end_all()
    lab.before(name)


def clean_end():
    """The daemon ends cleanly."""
    lab.clean_end()


tap.main(
    [ways_and_bytes, times, drops, filters, old_file_survives, lines, two_at_once,
     nothing_when_off, five_are_too_many, slow_reader, ends, bare_protocol, deleted_tunnel,
     clean_end],
    before=before, after=lab.after)
