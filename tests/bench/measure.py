# SPDX-License-Identifier: Apache-2.0
"""
What the benchmarks measure between two nodes of a lab: one TCP stream (iperf3), 64-byte UDP packets
per second that arrive while the sender sends as fast as it can (udp.c), and round trips of 64-byte
UDP packets. A path is (node and address of the server, address of the client, which is always a1-pod).

Client and server have a processor each, where there are two (BENCH_PIN=0: where the scheduler puts them): which of
them share one by chance moved single figures by a third, the same for every path.
"""

import contextlib
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interop"))

from labs import BUILD, CommandFailed, stop  # noqa: E402

UDP = os.path.join(BUILD, "tests", "bench", "udp")
TCP_PORT, UDP_PORT = 5201, 5301
PACKET_BYTES = 64

# metric -> (unit, digits)
METRICS = {
    "tcp": ("Gbit/s", 2),
    "tcp-back": ("Gbit/s", 2),
    "pps": ("packets/s", 0),
    "p50": ("us", 1),
    "p99": ("us", 1),
    "lost": ("packets", 0),
}

NAMES = {
    "tcp": "TCP a1-pod to peer",
    "tcp-back": "TCP peer to a1-pod",
    "pps": f"{PACKET_BYTES}-byte UDP received",
    "p50": f"{PACKET_BYTES}-byte UDP round trip p50",
    "p99": f"{PACKET_BYTES}-byte UDP round trip p99",
    "lost": f"{PACKET_BYTES}-byte UDP round trips lost",
}


def on_processor(which, words):
    """The command on the first processor (which: 0), or on the last (-1)."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2 or os.environ.get("BENCH_PIN", "1") == "0":
        return words
    return ["taskset", "-c", str(processors[which]), *words]


def straighten(lab, far):
    """Take the router's bridges out of the way to a1 and to the node at the far end."""
    for port, bridge, address in (
        ("a1", "br-a", "192.168.100.254/24"),
        (far, "br-b", "192.168.200.254/24"),
    ):
        lab.ip("router", f"link set {port} nomaster", f"addr del {address} dev {bridge}",
               f"addr add {address} dev {port}")


@contextlib.contextmanager
def server(lab, node, command, says):
    """A server on a node for the time of a measurement, once it has said that it is ready."""
    if node != "k1":  # a machine with one processor of its own
        command = on_processor(-1, command)
    child = lab.spawn(node, command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in child.stdout:
            if says in line:
                break
        else:
            raise CommandFailed(f"{node}: {command}: ended at once")
        yield child
    finally:
        stop(child)
        lab.children.remove(child)


def measure_tcp(lab, where, seconds, back=False):
    """One TCP stream to the server (back: from it); {metric: value}."""
    node, remote, local = where
    listen = ["iperf3", "-s", "-1", "--forceflush", "-B", remote, "-p", str(TCP_PORT)]
    # iperf3 counts in whole seconds and takes 0 for "for ever".
    send = ["iperf3", "-J", "-c", remote, "-B", local, "-p", str(TCP_PORT),
            "-t", str(max(1, round(seconds)))]
    with server(lab, node, listen, "Server listening"):
        done = lab.try_run("a1-pod", on_processor(0, send + (["-R"] if back else [])),
                           timeout=seconds + 60)
    result = json.loads(done.stdout or "{}")
    if done.returncode or "error" in result:
        raise CommandFailed(f"iperf3 to {remote}: {result.get('error', done.stderr)}")
    rate = result["end"]["sum_received"]["bits_per_second"]
    return {"tcp-back" if back else "tcp": rate / 1e9}


def measure_tcp_back(lab, where, seconds):
    """One TCP stream from the server to the client."""
    return measure_tcp(lab, where, seconds, back=True)


def udp(lab, mode, local, remote, seconds):
    """Run the client side of udp.c; its result."""
    words = [UDP, "-s", str(PACKET_BYTES), "-b", local, mode, remote, str(UDP_PORT), f"{seconds:g}"]
    return json.loads(lab.run("a1-pod", on_processor(0, words), timeout=seconds + 60))


def measure_pps(lab, where, seconds):
    """Small packets per second that arrive."""
    node, remote, local = where
    with server(lab, node, [UDP, "sink", remote, str(UDP_PORT)], "ready") as sink:
        udp(lab, "flood", local, remote, seconds)
        # The sink ends by itself when the sender says so; it is told to if that got lost.
        with contextlib.suppress(subprocess.TimeoutExpired):
            sink.wait(timeout=3)
        said = stop(sink)
    result = json.loads(said)
    if not result["received"]:
        raise CommandFailed(f"udp flood to {remote}: nothing arrived")
    return {"pps": result["pps"]}


def measure_rtt(lab, where, seconds):
    """Round trips in microseconds, and how many did not come back within 200 ms."""
    node, remote, local = where
    with server(lab, node, [UDP, "echo", remote, str(UDP_PORT)], "ready"):
        result = udp(lab, "ping", local, remote, seconds)
    return {"p50": result["p50_us"], "p99": result["p99_us"], "lost": result["lost"]}
