#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""
The NAT table (src/routing/nat.c) under real packets, alone and beside other people's: who is seen
as the source, and whether the answer comes back.

    p 10.244.1.2 ── pod0 n eth0 192.0.2.1, .5, .77 ── o eth0 192.0.2.9, and behind it 198.51.100.9
                           tunl-cv 10.244.1.1 ──      f tun 10.244.2.2

o also has 10.244.3.2: a pod of the overlay that n reaches directly. f stands for all that is
behind the tunnel; tunl-cv is a veth here, since only its name matters.
"""

import os
import socket
import struct
import threading

import net
import tap
from foreign import FLOWTABLE, FOREIGN

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/tests/packet/nat_tool")
POD, FAR_POD, DIRECT_POD = "10.244.1.2", "10.244.2.2", "10.244.3.2"
NODE, OUTER, FIXED, TUNNEL = "192.0.2.1", "192.0.2.5", "192.0.2.77", "10.244.1.1"
HOST, OUTSIDE = "192.0.2.9", "198.51.100.9"

p, n, o, f = (net.Node(name) for name in "pnof")


def connect():
    net.connect(p, "eth0", n, "pod0")
    net.connect(n, "eth0", o, "eth0")
    net.connect(n, "tunl-cv", f, "tun")
    n.forward()
    p.ip(f"addr add {POD}/32 dev eth0", "route add default dev eth0")
    n.ip(f"addr add {NODE}/24 dev eth0", f"addr add {OUTER}/24 dev eth0",
         f"addr add {FIXED}/24 dev eth0", f"addr add {TUNNEL}/32 dev tunl-cv",
         f"route add {POD}/32 dev pod0", f"route add 10.244.2.0/24 dev tunl-cv src {NODE}",
         f"route add 10.244.3.0/24 via {HOST}", f"route add default via {HOST}")
    o.ip(f"addr add {HOST}/24 dev eth0", f"addr add {OUTSIDE}/32 dev lo",
         f"addr add {DIRECT_POD}/32 dev lo", f"route add 10.244.0.0/16 via {NODE}")
    # Nothing but the overlay comes back through the tunnel, as in life.
    f.ip(f"addr add {FAR_POD}/32 dev tun", "route add 10.244.0.0/16 dev tun",
         f"route add {NODE}/32 dev tun", f"route add {OUTER}/32 dev tun")
    for node, device in ((n, "pod0"), (n, "tunl-cv"), (p, "eth0"), (f, "tun")):
        node.sysctl(f"net.ipv4.conf.{device}.proxy_arp", 1)
        node.sysctl(f"net.ipv4.neigh.{device}.proxy_delay", 0)


connect()


# ---- Culvert's table and others' ----------------------------------------------------------


def nat(*words):
    n.run([TOOL, *words])


def culvert(**more):
    """Make the usual table, with more words or others."""
    words = {"overlay": "10.244.0.0/16", "sources": "10.244.0.0/16", "device": "tunl-cv",
             "tunnel": TUNNEL, "outer": OUTER, **more}
    nat(*(f"{key}={value}" for key, value in words.items() if value), "apply")
    # Translations are for a connection's life: begin new ones.
    n.run("conntrack -F")


def nft(script):
    n.run(["nft", "-f", "-"], input=script)


def clean():
    nft("flush ruleset\n")
    n.run("conntrack -F")


def possible(name):
    """False, and said, where this kernel cannot have these tables."""
    done = n.run(["nft", "-c", "-f", "-"], check=False, input=FOREIGN[name])
    if not done.returncode:
        return True
    if name == FLOWTABLE and "flowtable" in done.stderr and "No such file" in done.stderr:
        tap.skip(name, "this kernel has no flowtables")
        return False
    raise RuntimeError(done.stderr)


def rules(*options):
    return n.run(["nft", *options, "list", "ruleset"]).stdout


# ---- who is seen -----------------------------------------------------------------------------


def udp_seen(source, target, address, bind=("0.0.0.0", 0), packets=3):
    """The source address and port that a server at address sees, or why there is none."""
    server = target.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client = source.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        server.settimeout(2)
        client.settimeout(2)
        server.bind((address, 0))
        client.bind(bind)
        client.connect(server.getsockname())
        seen = set()
        try:
            for i in range(packets):
                client.send(b"%d" % i)
                _, peer = server.recvfrom(100)
                seen.add(peer)
                server.sendto(b"back", peer)
                client.recv(100)
        except OSError as error:
            return (f"{error} after {seen}", 0)
        return seen.pop() if len(seen) == 1 else (f"several: {seen}", 0)


def tcp_seen(source, target, address, bind=("0.0.0.0", 0)):
    """The same by TCP, with a few segments in both directions."""
    server = target.socket(socket.AF_INET, socket.SOCK_STREAM)
    client = source.socket(socket.AF_INET, socket.SOCK_STREAM)
    found = []

    def serve():
        try:
            peer, name = server.accept()
            with peer:
                while data := peer.recv(1000):
                    peer.sendall(data)
            found.append(name)
        except OSError as error:
            found.append((str(error), 0))

    with server, client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.settimeout(3)
        client.settimeout(3)
        server.bind((address, 0))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            client.bind(bind)
            client.connect(server.getsockname())
            for i in range(20):
                client.sendall(b"%4d" % i)
                if client.recv(4) != b"%4d" % i:
                    raise OSError("another answer")
            client.shutdown(socket.SHUT_WR)
        except OSError as error:
            client.close()
            found.append((f"client: {error}", 0))
        thread.join()
    return found[0]


def ping_seen(source, target, device, address):
    """By ICMP: the source address of the echo request as it arrives, and whether it is answered."""
    wire = target.wire(device)
    done = source.run(["ping", "-c1", "-W2", address], check=False)
    packet = wire.expect(lambda q: q[9] == 1 and q[20] == 8, 1)
    wire.close()
    return socket.inet_ntoa(packet[12:16]) if packet and not done.returncode else None


def outer_seen():
    """The source of a tunnel packet of OUTER's as it arrives at o."""
    wire = o.wire("eth0")
    inner = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20, 1, 0, 64, 59, 0, bytes(4), bytes(4))
    with n.socket(socket.AF_INET, socket.SOCK_RAW, 4) as raw:
        raw.bind((OUTER, 0))
        raw.sendto(inner, (HOST, 0))
    packet = wire.expect(lambda q: q[9] == 4, 1)
    wire.close()
    return packet and socket.inet_ntoa(packet[12:16])


def outer_arrives():
    """Let o send a tunnel packet to OUTER."""
    with o.socket(socket.AF_INET, socket.SOCK_RAW, 4) as raw:
        raw.sendto(bytes(20), (OUTER, 0))


def check(name):
    """All that must hold beside any other table."""
    for kind, seen in (("UDP", udp_seen), ("TCP", tcp_seen)):
        tap.equal(seen(p, o, OUTSIDE)[0], NODE, f"{name}: {kind}, pod to outside: masqueraded")
        tap.equal(seen(p, o, DIRECT_POD)[0], POD, f"{name}: {kind}, pod to pod, direct: as it is")
        tap.equal(seen(p, f, FAR_POD)[0], POD, f"{name}: {kind}, pod to pod, tunnel: as it is")
        tap.equal(seen(o, p, POD, (DIRECT_POD, 0))[0], DIRECT_POD,
                  f"{name}: {kind}, from a direct pod: as it is")
        tap.equal(seen(f, p, POD)[0], FAR_POD, f"{name}: {kind}, from a far pod: as it is")
        tap.equal(seen(n, f, FAR_POD)[0], TUNNEL,
                  f"{name}: {kind}, this node into the tunnel: by its tunnel address")
        tap.equal(seen(n, f, FAR_POD, (OUTER, 0))[0], TUNNEL,
                  f"{name}: {kind}, another address of this node into the tunnel: the same")
        tap.equal(seen(n, o, DIRECT_POD)[0], NODE, f"{name}: {kind}, this node to a direct pod")
    tap.equal(ping_seen(p, o, "eth0", OUTSIDE), NODE, f"{name}: ping, pod to outside")
    tap.equal(ping_seen(p, o, "eth0", DIRECT_POD), POD, f"{name}: ping, pod to pod")
    tap.equal(outer_seen(), OUTER, f"{name}: tunnel packets keep their source")
    outer_arrives()
    tap.equal(n.run("conntrack -L -p 4").stdout, "", f"{name}: tunnel packets are not tracked")


# ---- the tests -----------------------------------------------------------------------------------


def beside(name):
    """Culvert's table beside FOREIGN[name]."""
    clean()
    if not possible(name):
        return
    nft(FOREIGN[name])
    before = rules("-a")
    culvert()
    table = n.run("nft -a list table ip culvert").stdout
    both = rules("-a")
    tap.equal(both.replace(table, ""), before, f"{name}: not a byte is changed")
    tap.ok(table in both and table, f"{name}: our table is one of them", both)
    check(name)
    nat("purge")
    # Their counters have counted.
    tap.equal(rules("-a", "-s"), strip(before), f"{name}: nothing of ours is left")


def test_beside_others():
    for name in FOREIGN:
        if name != FLOWTABLE:
            beside(name)


def test_beside_a_flowtable():
    beside(FLOWTABLE)


def strip(text):
    """What `nft -s` leaves out."""
    return text.replace("counter packets 0 bytes 0", "counter")


def test_the_others_do_translate():
    """Without our table each of them, but the first, does what it must not do beside ours."""
    for name, script in FOREIGN.items():
        clean()
        if not script or not possible(name):
            continue
        nft(script)
        tap.ok(udp_seen(p, o, DIRECT_POD)[0] != POD, f"{name}, alone: pod to pod is translated")
        tap.equal(outer_seen(), NODE, f"{name}, alone: tunnel packets are translated")


def test_made_before_and_after():
    """Whose table is older does not matter."""
    clean()
    culvert()
    nft(FOREIGN["a masquerade at srcnat"])
    n.run("conntrack -F")
    check("a younger masquerade")


def test_ports():
    clean()
    culvert(ports="40000-40009")
    for kind, seen in (("UDP", udp_seen), ("TCP", tcp_seen)):
        found = [seen(p, o, OUTSIDE, ("0.0.0.0", port)) for port in (1234, 40003, 61000)]
        tap.ok(all(a == NODE and 40000 <= port <= 40009 for a, port in found),
               f"{kind}: ports of the range", found)
        tap.equal(seen(p, o, DIRECT_POD, ("0.0.0.0", 1235)), (POD, 1235),
                  f"{kind}: pod to pod keeps its port")
    tap.equal(ping_seen(p, o, "eth0", OUTSIDE), NODE, "ping is masqueraded with a range, too")


def test_fixed_address():
    clean()
    nft(FOREIGN["a masquerade at srcnat"])
    culvert(address=FIXED)
    tap.equal(udp_seen(p, o, OUTSIDE)[0], FIXED, "UDP: natOutgoingAddress")
    tap.equal(tcp_seen(p, o, OUTSIDE)[0], FIXED, "TCP: natOutgoingAddress")
    tap.equal(ping_seen(p, o, "eth0", OUTSIDE), FIXED, "ping: natOutgoingAddress")
    culvert(address=FIXED, ports="40000-40009")
    for kind, seen in (("UDP", udp_seen), ("TCP", tcp_seen)):
        address, port = seen(p, o, OUTSIDE)
        tap.equal(address, FIXED, f"{kind}: natOutgoingAddress with a range")
        tap.ok(40000 <= port <= 40009, f"{kind}: a port of the range", port)
    tap.equal(ping_seen(p, o, "eth0", OUTSIDE), FIXED, "ping: natOutgoingAddress with a range")


def test_exclusions():
    for name in ("no other table", "a masquerade at srcnat", "firewalld's tables"):
        clean()
        nft(FOREIGN[name])
        culvert()
        tap.equal(udp_seen(p, o, HOST)[0], NODE, f"{name}: IPPoolsOnly: a host sees the node")
        culvert(hosts=f"{NODE}/32,{HOST}/32,{HOST}/32")
        tap.equal(udp_seen(p, o, HOST)[0], POD, f"{name}: IPPoolsAndHostIPs: a host sees the pod")
        tap.equal(tcp_seen(p, o, HOST)[0], POD, f"{name}: the same by TCP")
        tap.equal(udp_seen(p, o, OUTSIDE)[0], NODE, f"{name}: outside is no host")


def test_without_nat_outgoing():
    """A pool without natOutgoing: what others do to its packets is their affair."""
    clean()
    culvert(sources="")
    tap.equal(udp_seen(p, o, HOST)[0], POD, "without natOutgoing: as it is")
    tap.equal(udp_seen(n, f, FAR_POD)[0], TUNNEL, "this node into the tunnel, all the same")
    nft(FOREIGN["a masquerade at srcnat"])
    n.run("conntrack -F")
    tap.equal(udp_seen(p, o, OUTSIDE)[0], NODE, "without natOutgoing: another's masquerade acts")
    tap.equal(udp_seen(p, o, DIRECT_POD)[0], POD, "but not within the overlay")


def test_an_office_inside_the_pool():
    """The overlay is the pool less holes: what is in a hole is outside."""
    clean()
    culvert(overlay="10.244.0.0/17,10.244.128.0/18")
    o.ip("addr add 10.244.200.9/32 dev lo")
    n.ip(f"route add 10.244.200.0/24 via {HOST}")
    tap.equal(udp_seen(p, o, "10.244.200.9")[0], NODE, "a host in a hole of the pool: masqueraded")
    tap.equal(udp_seen(p, o, DIRECT_POD)[0], POD, "pod to pod: as it is")
    n.ip("route del 10.244.200.0/24")
    o.ip("addr del 10.244.200.9/32 dev lo")


def test_connections_outlive_a_change():
    """The table is replaced under a connection: neither translated otherwise, nor cut off."""
    clean()
    culvert()
    server = o.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client = p.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        server.settimeout(2)
        client.settimeout(2)
        server.bind((OUTSIDE, 0))
        client.connect(server.getsockname())
        peers, answers = set(), 0
        for i in range(10):
            client.send(b"ping")
            peer = server.recvfrom(100)[1]
            peers.add(peer)
            server.sendto(b"pong", peer)
            answers += client.recv(100) == b"pong"
            nat("overlay=10.244.0.0/16", "sources=10.244.0.0/16", f"hosts=192.0.2.{i + 100}/32",
                f"outer={OUTER}", "apply")
    tap.equal((len(peers), answers), (1, 10), "one source, ten answers across ten changes")


tap.main([
    test_beside_others,
    test_beside_a_flowtable,
    test_the_others_do_translate,
    test_made_before_and_after,
    test_ports,
    test_fixed_address,
    test_exclusions,
    test_without_nat_outgoing,
    test_an_office_inside_the_pool,
    test_connections_outlive_a_change,
])
