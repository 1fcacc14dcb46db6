#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
Many endpoints come and go beside two that stay. The network is that of cluster.py:

      a 10.244.1.2 ── a0 ┐                                         ┌ b0 ── b 10.244.2.2
                         n1 eth0 ── left  r  right ── eth0 n2
      many0 … many199    ┘   192.168.100.1    192.168.200.2        └ d0 ── d 10.244.2.3
"""

import socket
import time

import culvert
import net
import tap
from bpfmap import Map
from cluster import B, PORT, Cluster, Server, client, echo_over

culvert.need_programs()
lab = Cluster(policy="drop")
server = Server(lab.b)


def many():
    """200 endpoints come and go: nothing is left, and those beside them work."""
    count = 200
    lab.n1.ip(*(f"link add many{i} type veth peer name yonder{i}" for i in range(count)),
              *(f"link set many{i} up" for i in range(count)))
    running = client(lab.a, socket.SOCK_STREAM, (B, PORT))
    began = time.monotonic()
    for i in range(count):
        lab.d1.cli("endpoint", "add", f"many{i}", "ip", f"10.244.{4 + i // 100}.{1 + i % 100}")
        if i % 20 == 0:
            tap.equal(echo_over(running, 1000), None, f"beside {i} endpoints a connection goes on")
    tap.note(f"{count} endpoints added in {time.monotonic() - began:.1f} s")
    endpoints, devices = Map(lab.d1, "cv_endpoints"), Map(lab.d1, "cv_devices")
    tap.equal(len(endpoints.keys()), count + 2, f"{count} more addresses in the map")
    began = time.monotonic()
    for i in range(0, count, 2):
        lab.d1.cli("endpoint", "del", f"many{i}")
    tap.note(f"{count // 2} deleted in {time.monotonic() - began:.1f} s")
    clsact = lab.n1.run("tc qdisc show").stdout.count("clsact")
    lab.n1.ip(*(f"link del many{i}" for i in range(1, count, 2)))
    tap.ok(net.wait_for(lambda: len(endpoints.keys()) == 2, 10),
           "all are gone, half of them with their devices", lambda: len(endpoints.keys()))
    left = lab.n1.run("tc qdisc show").stdout
    tap.equal([i for i in range(0, count, 2) if f"clsact ffff: dev many{i} " in left], [],
              f"no qdisc is left on their devices ({clsact} before)")
    tap.ok(net.wait_for(lambda: len(devices.keys()) <= 4, 5), "no device is left in the map",
           lambda: len(devices.keys()))
    tap.equal(echo_over(running, 100000), None, "the connection beside them goes on")
    running.close()
    endpoints.close()
    devices.close()


tap.main([many, lab.clean_end], lab.before, lab.after)
