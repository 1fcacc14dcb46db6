#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel idle
# tests/run: timeout=180
"""
Culvert on a host whose kernel has an ipip of its own: culvertd runs inside k1 (Linux 6.1 in User-mode
Linux), where ipip is loaded. A kernel tunnel that is up owns protocol 4: it is noticed and refused by
name. When none is up, Culvert carries its tunnel on that kernel, to Culvert on a1 (see uml.py).
"""

import os
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import tap  # noqa: E402
import uml  # noqa: E402
from uml import A1, A1_PODS, K1, K1_INNER  # noqa: E402

lab = None
ADD = f"culvert tunnel add tun4 mode ipip remote {A1} local {K1}"


def k1(command):
    """Run a command in k1; CompletedProcess."""
    return lab.try_run("k1", command)


def links():
    """Names of the devices in k1."""
    return {line.split()[0].split("@")[0] for line in k1("ip -br link").stdout.splitlines()}


def start_culvertd():
    """culvertd in k1, answering."""
    lab.run("k1", ["sh", "-c", "lab-modprobe tun && mkdir -p /dev/net &&"
                   " { [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200; }"])
    lab.spawn("k1", ["sh", "-c", "exec culvertd 2>/tmp/culvertd.log"])
    deadline = time.monotonic() + 15
    while k1("culvert status").returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("culvertd in k1 does not answer: " + log())
        time.sleep(0.1)


def log():
    """What culvertd in k1 has said."""
    return k1("cat /tmp/culvertd.log").stdout


def check_refused(command, device, name):
    """The command fails with one line that names the device and what to do; nothing is made."""
    before = links()
    done = k1(command)
    tap.equal(done.returncode, 1, f"{name}: exit code 1")
    tap.ok(done.stderr.count("\n") == 1 and f"{device}: " in done.stderr
           and f"ip link set {device} down" in done.stderr,
           f"{name}: one line names {device} and says what to do", lambda: done.stderr)
    tap.equal(links(), before, f"{name}: no device is left behind")


def test_a_kernel_tunnel_that_is_up_is_refused_by_name():
    start_culvertd()
    tap.ok("ipip0: " in log(), "the log names ipip0 from the start", log)
    check_refused(ADD, "ipip0", "add while ipip0 is up")
    tap.equal(k1("culvert tunnel show").stdout, "", "no tunnel is shown")


def test_a_kernel_tunnel_that_is_down_is_none():
    lab.ip("k1", "link set ipip0 down")
    done = k1(ADD)
    tap.equal((done.returncode, done.stderr), (0, ""), "add is accepted once ipip0 is down")
    tap.ok("tun4" in links(), "the device is there")
    lab.ip("k1", "link set tunl0 up")
    check_refused("culvert tunnel add tun5 mode ipip remote 192.168.100.2", "tunl0",
                  "add while tunl0 is up")
    lab.ip("k1", "link set tunl0 down")
    deadline = time.monotonic() + 10
    while "tunl0: the kernel's" not in log() and time.monotonic() < deadline:
        time.sleep(0.1)
    tap.ok("tunl0: the kernel's" in log(), "the log says that tunl0 is down again", log)


def test_traffic_with_ipip_loaded_and_down():
    """Culvert on Linux 6.1 (k1) and Culvert on a1, in both directions."""
    lab.ip("k1", "link set tun4 up", f"route replace {A1_PODS} dev tun4 src {K1_INNER}")
    for direction in ("to kernel", "to Culvert"):
        for df in ("dont", "probe"):
            _, got, told = lab.datagram(direction, size=1480, df=df)
            tap.ok(got and got["intact"], f"{direction}, df {df}: 1480 bytes arrive", lambda: told)
        same, sent = lab.transfer(direction)
        tap.ok(same, f"{direction}: 4 MiB by TCP arrive with the same sha256", lambda: sent)


def test_port_unreachable_of_the_kernel_is_harmless():
    """
    With ipip loaded and no device up, the kernel of k1 answers what Culvert has taken by ICMP 3/3.
    Nobody can ask it not to; Culvert at the other end keeps it from the inner sender.
    """
    lab.run("k1", "sysctl -qw net.ipv4.icmp_ratelimit=0")
    before = lab.counters()
    error = lab.refused(ttl=64, timeout=0.5)
    tap.equal(error, None, "the inner sender hears nothing of it")
    counted = lab.counters()
    tap.ok(counted["icmp-absorbed"] > before["icmp-absorbed"], "Culvert on a1 has absorbed it",
           lambda: counted)
    tap.equal(counted["remote-unreachable"], 0, "and goes on sending")


def test_clean_stop():
    lab.run("k1", "culvert tunnel del tun4")
    tap.ok("tun4" not in links(), "the device is gone with its tunnel")
    lab.ip("k1", "link set ipip0 up", f"route replace {A1_PODS} dev ipip0 src {K1_INNER}")
    _, got, _ = lab.datagram("to Culvert")
    tap.ok(got, "the kernel's own tunnel works again")


TESTS = [value for key, value in list(globals().items()) if key.startswith("test_")]

if __name__ == "__main__":
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: it makes network namespaces")
        sys.exit(0)
    with uml.Interop("p4-") as lab:
        tap.main(TESTS)
