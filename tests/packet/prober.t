#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine,endpoints parallel idle
"""
What the prober finds out of paths, and by which way (shapes.Line):

    p1 10.244.1.2 ── n1 ── 192.168.100.254 r 192.168.200.254 ── n2 ── p2 10.244.2.2
                     culvertd             right: MTU lowered    culvertd
"""

import json
import os
import signal
import time

import culvert
import net
import tap
from packets import DF, icmp_of, is_icmp_error, is_ipip, header, udp
from shapes import Line

culvert.need_programs()
lab = Line(probing=True)
lab.p2.silence()
pod, far = lab.p1.wire("eth0"), lab.p2.wire("eth0")
middle = lab.r.wire("left")
FRAME = lab.n1.mac("pod0") + lab.p1.mac("eth0") + b"\x08\x00"
A, B = lab.POD_A, lab.POD_B

QUICK = """\
apiVersion: culvert/v1
kind: PathConfiguration
metadata:
  name: default
spec:
  probeTimer: 1s
  raiseTimer: 3s
  livenessTimer: 1s
"""

NO_ICMP = """
table ip silence {
  chain output { type filter hook output priority 0; icmp type destination-unreachable drop; }
  chain forward { type filter hook forward priority 0; icmp type destination-unreachable drop; }
}
"""


def paths(daemon=lab.d1, tunnel="tun0"):
    said = json.loads(daemon.cli("-j", "path").stdout)
    return {path["remote"]: path for path in said["paths"] if path["tunnel"] == tunnel}


def path():
    return paths().get(lab.B, {})


def wait_path(timeout=8, **wanted):
    """Wait until the path is so; what it is in the end, of what was asked for."""
    net.wait_for(lambda: all(path().get(k) == v for k, v in wanted.items()), timeout)
    got = path()
    return {k: got.get(k) for k in wanted}


def settle():
    return wait_path(state="complete", mtu=1500, liveness="up", method="tunnel")


def filtered(text):
    lab.r.run("nft -f -", input=text)


def open_again(table):
    lab.r.run(f"nft delete table ip {table}")


def first_look():
    tap.equal(settle(), {"state": "complete", "mtu": 1500, "liveness": "up", "method": "tunnel"},
              "a path is known: complete, 1500, up, within the tunnel")
    got = path()
    tap.equal((got["how"], got["inner_mtu"], got["inner_source"]), ("probe", 1480, "10.244.1.1"),
              "… by a probe, from an address that the remote routes to us")
    tap.ok(0 < got["rtt_p50_us"] <= got["rtt_p99_us"] < 1000000, "… with its round trip",
           lambda: got)
    for daemon in lab.d1, lab.d2:
        os.makedirs(daemon.config, exist_ok=True)
        with open(daemon.config + "/paths.yaml", "w", encoding="ascii") as file:
            file.write(QUICK)
    net.wait_for(lambda: path()["probes"]["sent"] > 5)


def no_traffic_of_its_own():
    """Answers of one end are no traffic that the other end, or it, must confirm."""
    settle()
    time.sleep(1)
    middle.drain()
    seen = middle.collect(is_ipip, 60, 3)
    tap.ok(0 < len(seen) <= 16, "two idle ends: a few small probes a second, and no more",
           lambda: [len(p) for p in seen])
    tap.ok(all(len(p) <= 100 for p in seen), "… none of them large", lambda: [len(p) for p in seen])


def probe_words(packet):
    """Sequence number and the words behind it of a probe or its answer in an outer packet."""
    icmp = header(header(packet).payload).payload
    return icmp[6:8], icmp[8:24]


def on_the_wire():
    """RFC 8899, 3 and 4.1: DF, an identifier of its own, no user data."""
    lab.n1.ip("link set eth0 mtu 1501", "link set eth0 mtu 1500")  # a question for the machine
    seen = []

    def is_ours(packet):
        return is_ipip(packet) and header(packet).src == lab.A and \
            header(packet).payload[20:21] == b"\x08"

    net.wait_for(lambda: seen.extend(middle.collect(is_ours, 5, 1)) or len(seen) > 3, 8)
    tap.ok(seen and all(header(p).flags == DF for p in seen), "probes have DF")
    tap.equal(len({probe_words(p)[0] for p in seen}), len(seen), "… a sequence number each")
    tap.equal({probe_words(p)[1][:4] for p in seen}, {b"cvpb"}, "… and the path's secret")
    tap.ok(all(not p[64:].strip(b"\0") for p in seen), "… behind it zeroes, nobody's data")


def heals():
    filtered(NO_ICMP)
    lab.r.ip("link set right mtu 1400")
    begin = time.time()
    told = None
    while time.time() - begin < 5 and not told:
        pod.send(FRAME + udp(A, B, 1480, df=True))
        told = pod.expect(is_icmp_error(), 0.02)
    took = time.time() - begin
    tap.ok(told and took < 2, "a path that falls without ICMP: told within 2 s",
           lambda: f"{took:.2f} s")
    tap.equal(told and icmp_of(told).mtu, 1380, "… what passes")
    tap.note(f"told after {took:.2f} s")
    tap.equal(wait_path(state="complete", mtu=1400, how="probe"),
              {"state": "complete", "mtu": 1400, "how": "probe"}, "… and known to the byte")


def restart(number, name):
    middle.drain()
    lab.d1.stop(number)
    pod.drain()
    lab.d1.start()
    pod.send(FRAME + udp(A, B, 1480, df=True))
    got = pod.expect(is_icmp_error(), 2)
    tap.equal(got and icmp_of(got).mtu, 1380, f"{name}: the first packet is answered, 1380")
    large = [p for p in middle.collect(is_ipip, 200, 0.3)
             if len(p) > 1400 and header(header(p).payload).protocol == 17]
    tap.equal([len(p) for p in large], [], "… and none that is too large was sent")


def restarts():
    if not lab.d1.has_fastpath:
        # The engine alone remembers nothing when it is gone: what passes is found anew.
        lab.d1.stop(signal.SIGKILL)
        lab.d1.start()
        tap.equal(wait_path(state="complete", mtu=1400), {"state": "complete", "mtu": 1400},
                  "a restart of the engine alone: what passes is found again, to the byte")
        return
    restart(signal.SIGTERM, "a restart")
    restart(signal.SIGKILL, "kill -9")
    tap.equal(wait_path(state="complete", mtu=1400), {"state": "complete", "mtu": 1400},
              "… and it is what probes find, too")


def raised_again():
    open_again("silence")
    lab.r.ip("link set right mtu 1500")
    begin = time.time()
    tap.equal(wait_path(15, state="complete", mtu=1500), {"state": "complete", "mtu": 1500},
              "the path heals: 1500 again")
    tap.note(f"raised after {time.time() - begin:.1f} s, raiseTimer 3 s")
    tap.ok(time.time() - begin < 6, "… within the raise timer, and what it takes to look")
    far.drain()
    pod.send(FRAME + udp(A, B, 1480, df=True))
    got = far.expect(lambda p: header(p).src == A)
    tap.equal(got and len(got), 1480, "… packets of full size pass")


def blocked():
    filtered("table ip block { chain forward { type filter hook forward priority 0;"
             " ip protocol 4 drop; }; }")
    tap.equal(wait_path(15, blocked=True, liveness="down"), {"blocked": True, "liveness": "down"},
              "protocol 4 blocked: said so, and down")
    tap.equal(path()["mtu"], 1500, "… nothing is concluded about the MTU")
    open_again("block")
    tap.equal(wait_path(15, blocked=False, liveness="up"), {"blocked": False, "liveness": "up"},
              "… and up again")


def down():
    lab.r.ip("link set right down")
    tap.equal(wait_path(15, blocked=False, liveness="down"), {"blocked": False, "liveness": "down"},
              "nothing passes: down, and not blocked")
    tap.equal(path()["mtu"], 1500, "… nothing is concluded about the MTU")
    lab.r.ip("link set right up")
    lab.n2.ip("route replace default via 192.168.200.254")
    tap.equal(wait_path(15, liveness="up"), {"liveness": "up"}, "… and up again")


def other_ways():
    lab.n1.run("sysctl -qw net.ipv4.icmp_echo_ignore_all=0")
    # The far end no longer routes our inner addresses to us: an answer within is not to be had.
    lab.n2.ip("route del 10.244.1.0/24 dev tun0")
    lab.n1.ip("addr del 10.244.1.1/24 dev pod0")
    tap.equal(wait_path(15, method="underlay", state="complete", mtu=1500, liveness="up"),
              {"method": "underlay", "state": "complete", "mtu": 1500, "liveness": "up"},
              "no inner address: by the underlay")
    tap.equal(path()["blocked"], False, "… and nothing is said of protocol 4")
    lab.n2.run("sysctl -qw net.ipv4.icmp_echo_ignore_all=1")
    tap.equal(wait_path(20, method="none", state="disabled"),
              {"method": "none", "state": "disabled"}, "no echo is answered: disabled")
    tap.equal(path()["mtu"], 1500, "… the route's MTU counts")
    lab.n2.run("sysctl -qw net.ipv4.icmp_echo_ignore_all=0")
    lab.n1.ip("addr add 10.244.1.1/24 dev pod0")
    lab.n2.ip("route add 10.244.1.0/24 dev tun0")
    tap.equal(wait_path(15, method="tunnel", state="complete"),
              {"method": "tunnel", "state": "complete"}, "all is there again: within the tunnel")


def link():
    lab.n1.ip("route add 192.168.200.2 via 192.168.100.254 mtu 1420")
    tap.equal(wait_path(3, link_mtu=1420, mtu=1420), {"link_mtu": 1420, "mtu": 1420},
              "the route gets an MTU: followed")
    lab.n1.ip("route change 192.168.200.2 via 192.168.100.254 mtu 1460")
    tap.equal(wait_path(3, link_mtu=1460, mtu=1460), {"link_mtu": 1460, "mtu": 1460},
              "… a larger one")
    lab.n1.ip("route del 192.168.200.2")
    tap.equal(wait_path(3, link_mtu=1500, mtu=1500), {"link_mtu": 1500, "mtu": 1500},
              "… none")


def gateways():
    lab.d1.add("tun1 mode ipip remote any local 192.168.100.1")
    tap.equal(list(paths(tunnel="tun1")), [], "an NBMA tunnel: no route, no path")
    lab.n1.ip("route add 10.99.1.0/24 via 192.168.200.2 dev tun1 onlink")
    net.wait_for(lambda: paths(tunnel="tun1"), 2)
    tap.equal(list(paths(tunnel="tun1")), ["192.168.200.2"], "… a gateway is a path")
    lab.n1.ip("route add 10.99.2.0/24 via 192.168.200.77 dev tun1 onlink",
              "route add 10.99.3.0/24 via 192.168.200.77 dev tun1 onlink")
    net.wait_for(lambda: len(paths(tunnel="tun1")) == 2, 2)
    tap.equal(sorted(paths(tunnel="tun1")), ["192.168.200.2", "192.168.200.77"],
              "… each gateway once")
    net.wait_for(lambda: paths(tunnel="tun1")["192.168.200.77"]["liveness"] == "down", 10)
    tap.equal(paths(tunnel="tun1")["192.168.200.77"]["liveness"], "down", "… nobody there: down")
    lab.n1.ip("route del 10.99.2.0/24", "route del 10.99.3.0/24")
    net.wait_for(lambda: len(paths(tunnel="tun1")) == 1, 2)
    tap.equal(list(paths(tunnel="tun1")), ["192.168.200.2"], "… gone with its last route")
    lab.d1.delete("tun1")
    net.wait_for(lambda: not paths(tunnel="tun1"), 2)
    tap.equal(list(paths(tunnel="tun1")), [], "… and all with the tunnel")


def off():
    lab.d1.stop()
    lab.d1.arguments += ["--probing", "off"]
    lab.d1.start()
    time.sleep(0.5)
    middle.drain()
    seen = [p for p in middle.collect(lambda p: header(p).src == lab.A, 20, 3)
            if header(p).protocol == 4 and len(p) <= 100 and header(p).payload[32:36] == b"cvpb"]
    requests = [p for p in seen if header(p).payload[20] == 8]
    tap.equal(requests, [], "--probing off: no probe is sent")
    tap.equal((path()["state"], path()["mtu"]), ("disabled", 1500), "… and paths say so")


if __name__ == "__main__":
    tap.main(
        [first_look, no_traffic_of_its_own, on_the_wire, heals, restarts, raised_again, blocked, down,
         other_ways, link, gateways, off, lab.clean_end],
        after=lab.after,
    )
