#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""lab/lab.py, as a packet test uses it: a pair with culvertd on n1, the test itself as its peer.

    p1 10.244.1.2 ── n1 192.168.100.1 (culvertd, tun0) ── n2 192.168.100.2 (this test)
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../lab"))
sys.dont_write_bytecode = True

from lab import Lab, done_testing, equal, ok, wait_for  # noqa: E402
from scapy.layers.inet import ICMP, IP  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402


def commands(lab):
    equal(lab.exec("n1", "echo", "a b").stdout, "a b\n", "exec returns the output")
    equal(lab.exec("n2", "cat", input="in").stdout, "in", "exec takes input")
    equal(lab.exec("n2", "false", check=False).returncode, 1, "exec without check")
    try:
        lab.exec("n2", "sh", "-c", "echo reason >&2; exit 3")
        message = None
    except RuntimeError as err:
        message = str(err)
    ok(message and "exit code 3" in message and "reason" in message, "exec raises", message)
    with lab.netns("p1"):
        inside = os.readlink("/proc/thread-self/ns/net")
    outside = os.readlink("/proc/thread-self/ns/net")
    ok(inside != outside, "netns() enters and leaves")


def request(lab):
    outer = Ether(src=lab.mac("n2"), dst=lab.mac("n1")) / IP(
        src="192.168.100.2", dst="192.168.100.1", proto=4
    )
    return outer / IP(src="10.244.2.2", dst="10.244.1.2") / ICMP(id=7, seq=9) / b"culvert"


def is_reply(packet):
    return IP in packet and packet[IP].proto == 4 and ICMP in packet and packet[ICMP].type == 0


def packets(lab):
    wire = lab.sniff("n2", "eth0")
    pod = lab.sniff("p1", "eth0")
    lab.send("n2", "eth0", request(lab))
    inner = pod.expect(lambda packet: ICMP in packet)
    ok(inner and inner[IP].src == "10.244.2.2", "the pod sees the inner packet", repr(inner))
    reply = wire.expect(is_reply)
    ok(reply is not None, "its answer comes back in the tunnel")
    equal(reply and (reply[IP].src, reply[IP].dst), ("192.168.100.1", "192.168.100.2"), "outer")
    equal(reply and bytes(reply[ICMP].payload), b"culvert", "payload")
    ok(wire.expect(is_reply, timeout=0.2) is None, "a packet is returned once; expect ends")
    lab.send("n2", "eth0", *[request(lab)] * 3)
    equal(len(wire.all(is_reply, timeout=2, count=3)), 3, "all() with a count")
    lab.send("n2", "eth0", request(lab))
    ok(wait_for(lambda: len(pod.all(timeout=0.05)) > 0), "wait_for")
    wire.clear()
    ok(wire.next(timeout=0) is None, "clear() forgets")


def daemon(lab):
    before = lab.daemon("n1", "pid")
    lab.daemon("n1", "kill")
    lab.daemon("n1", "start")
    ok(lab.daemon("n1", "pid") != before, "culvertd can be killed and started again")


with Lab("pair") as the_lab:
    commands(the_lab)
    the_lab.exec("n1", *"culvert tunnel add tun0 mode ipip remote 192.168.100.2".split(),
                 *"local 192.168.100.1".split())
    the_lab.exec("n1", *"ip link set tun0 up".split())
    the_lab.exec("n1", *"ip route add 10.244.2.0/24 dev tun0".split())
    packets(the_lab)
    daemon(the_lab)
    packets(the_lab)
    traces = [the_lab.dir, "/run/netns/cv-%s-n1" % the_lab.name]
    equal([os.path.exists(path) for path in traces], [True, True], "the lab is there")
equal([os.path.exists(path) for path in traces], [False, False], "and gone after the block")
done_testing()
