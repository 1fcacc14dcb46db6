#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel heavy timeout=280 modes=fastpath
"""
What becomes of three nodes when their etcd fails, one way after the other. The network is that of
etcd_lab.py; 1,000 packets/s, numbered, go from a1's pod to a2's (direct) and to b1's (tunnelled) all
the time: not one may be missing. Of each fault: what `culvert status` and `culvert doctor` say, what becomes of an ADD, how
long it takes until all is well again.

ETCD_FAULTS_LONG=1 (etcd_faults.long.t): partitions last a minute, and what is repeated is repeated
more often.
"""

import os
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(os.path.dirname(HERE), "packet")]

import cni  # noqa: E402
import culvert  # noqa: E402
import net  # noqa: E402
import tap  # noqa: E402
from etcd_lab import RATE, EtcdLab, median  # noqa: E402
from shapes import end_cleanly  # noqa: E402
from zones import NODES, Probe  # noqa: E402

LONG = os.environ.get("ETCD_FAULTS_LONG") == "1"
PARTITION_S = 60 if LONG else 8
ROUNDS = 5 if LONG else 2
TRY_AGAIN = 11
QUOTA = 16 << 20

culvert.need_programs()
lab = EtcdLab("etcd-faults", tls=True, quota_bytes=QUOTA)
cluster = lab.cluster
lab.start()
A1, A2, B1 = NODES
pods = {name: lab.add(name) for name in NODES}
recoveries = {}
# A moment after ADD a pod becomes an endpoint of the fast path, which may cost it a packet.
net.wait_for(lambda: all(lab.status(name)["fastpath"].get("bypassed") == 1 for name in NODES), 10)


# ---- what is looked at -------------------------------------------------------------------


class Traffic:
    """Packets from a1's pod to both others, as long as this is entered."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.probes = [Probe(pods[A1].node, pods[name].node, pods[name].address, 9000 + i, RATE)
                       for i, name in enumerate((A2, B1))]
        return self

    def __exit__(self, kind, *_):
        for name, probe in zip((A2, B1), self.probes):
            sent, took = probe.end()
            if not kind:
                missing = sent["sent"] - took["unique"]
                tap.ok(not sent["failed"] and not missing,
                       f"{self.what}: {sent['sent']} packets to {name}, {missing} missing",
                       f"{sent} {took}")


def add_works(name, what, timeout=0.0):
    """An ADD (and a DEL), now or within so many seconds; how long it took until it did."""
    began = time.monotonic()
    while True:
        try:
            pod = lab.add(name)
        except cni.Failure as failure:
            if time.monotonic() - began > timeout:
                tap.ok(False, f"{what}: ADD on {name}", failure)
                return None
            tap.equal(failure.code, TRY_AGAIN, f"{what}: ADD on {name} is to be tried again: "
                      f"{failure.msg} {failure.details or ''}")
            continue
        took = time.monotonic() - began
        lab.remove(pod)
        return took


def add_fails(name, what, *words):
    """An ADD fails with code 11 and a sentence that has these words."""
    try:
        lab.remove(lab.add(name))
    except cni.Failure as failure:
        said = f"{failure.msg}; {failure.details}"
        tap.ok(failure.code == TRY_AGAIN and all(word in said for word in words),
               f"{what}: ADD on {name} fails with code {failure.code}: {said}", failure)
        return
    tap.ok(False, f"{what}: ADD on {name} must fail")


def says(name, what, *words, timeout=15):
    """status and doctor come to say this, doctor as an error."""
    for verb, said in (("status", lab.says), ("doctor", lab.doctor)):
        seen = net.wait_for(lambda said=said: all(word in said(name) for word in words), timeout)
        line = next((line.strip() for line in said(name).splitlines() if words[0] in line), "")
        seen = seen and (verb == "status" or line.startswith("error"))
        tap.ok(seen, f"{what}: {verb} on {name}: {line}", lambda said=said: said(name))


def add_until(name, limit, found):
    """ADD (and DEL) until it succeeds; found[name]: after how long, or its last Failure."""
    began = time.monotonic()
    while True:
        try:
            pod = lab.add(name)
            found[name] = time.monotonic() - began
            lab.remove(pod)
            return
        except cni.Failure as failure:
            found[name] = failure
            if time.monotonic() - began > limit:
                return


def recovered(what, names=NODES, limit=20.0):
    """How long it takes from now on until an ADD succeeds on each and no node has a problem."""
    began, found = time.monotonic(), {}
    threads = [threading.Thread(target=add_until, args=(name, limit, found)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failures = [each for each in found.values() if isinstance(each, Exception)]
    if failures:
        tap.ok(False, f"{what}: ADDs work again", failures)
        return
    added = max(found.values())
    well = net.wait_for(lab.is_well, limit)
    seconds = time.monotonic() - began
    recoveries.setdefault(what, []).append((added, seconds))
    tap.ok(well, f"{what}: all nodes are well after {seconds:.2f} s, an ADD on each works after "
           f"{added:.2f} s", lambda: "\n".join(lab.says(name) for name in NODES))


def marked(node, patience=0.0):
    """
    Apply a reservation on a node, and return its name. patience: for how long it may be told to try
    again, as its watch does not know yet what others have changed.
    """
    marked.count += 1
    name = f"mark-{marked.count}"
    began = time.monotonic()
    while True:
        done = lab.zones.cli(node, "apply", "-f", "-", check=False, text=f"""\
apiVersion: projectcalico.org/v3
kind: IPReservation
metadata: {{name: {name}}}
spec: {{reservedCIDRs: [10.244.15.{marked.count}/32]}}
""")
        seconds = time.monotonic() - began
        if not done.returncode:
            return name
        if seconds > patience or "try again" not in done.stderr:
            raise RuntimeError(f"{node}: apply, {seconds:.1f} s: {done.stderr}")
        tap.note(f"{node}: apply, {seconds:.1f} s: {done.stderr.strip()}")


marked.count = 0


def sees(name, mark, what, limit=20.0):
    """The node has the resource; after how long (a watch looks every 5 s whether its member is well)."""
    began = time.monotonic()
    seen = net.wait_for(lambda: mark in lab.zones.cli(name, "get", "ipreservations").stdout, limit)
    tap.ok(seen, f"{what}: {name} has what was applied elsewhere, after "
           f"{time.monotonic() - began:.2f} s")


def cut(name):
    """A node's way to all members is gone, without a word."""
    lab.zones.nodes[name].run(["nft", "-f", "-"], input="""
table ip cut {
	chain arriving { type filter hook input priority -300; iifname "mgmt0" drop; }
	chain leaving { type filter hook output priority -300; oifname "mgmt0" drop; }
}
""")


def heal(name):
    """The end of cut()."""
    lab.zones.nodes[name].run("nft delete table ip cut")


# ---- faults ------------------------------------------------------------------------------


def calm():
    """Nothing fails: each node has its pod, by addresses of its own block."""
    for name in NODES:
        tap.equal(lab.problem(name), None, f"{name} has no problem")
        add_works(name, "calm")
    mark = marked(A1)
    for name in (A2, B1):
        sees(name, mark, "calm")


def member_killed():
    """The others go on: nobody need notice."""
    for _ in range(ROUNDS):
        with Traffic("a member is killed"):
            member = cluster.followers()[0]
            member.kill()
            recovered("a member is killed")
            mark = marked(A1)
            sees(B1, mark, "a member is killed")
            member.start()


def leader_killed():
    """Until there is another, nothing is written."""
    for _ in range(ROUNDS):
        with Traffic("the leader is killed"):
            leader = cluster.leader()
            leader.kill()
            recovered("the leader is killed")
            leader.start()


def member_paused():
    """It keeps its connections and says nothing."""
    for _ in range(ROUNDS):
        with Traffic("the leader is paused"):
            leader = cluster.leader()
            leader.pause()
            recovered("the leader is paused")
            leader.resume()
            leader.wait()


def member_cut_off():
    """From the other members; clients still reach it, and must not be content with it."""
    with Traffic("the leader is cut off from the others"):
        leader = cluster.leader()
        leader.cut_from_peers()
        try:
            recovered("the leader is cut off from the others")
            # Whichever member a node has written by last: no change is in doubt in the one that is cut.
            marks = [marked(A1), marked(A2, 15.0), marked(B1, 15.0)]
            for name in NODES:
                for mark in marks:
                    sees(name, mark, "the leader is cut off from the others")
        finally:
            leader.heal()
        leader.wait()


def quorum_lost():
    """Two of three are gone: nothing can be written, and all nodes say so."""
    what = "two members are killed"
    with Traffic(what):
        killed = cluster.members[:2]
        for member in killed:
            member.kill()
        says(A1, what, "etcd is away since")
        add_fails(A1, what, "etcd")
        for member in killed:
            member.spawn()
        for member in killed:
            member.wait()
        recovered(what)


def node_cut_off():
    """A node alone has no members; meanwhile what it would have been told is compacted away."""
    what = "a node is cut off"
    with Traffic(what):
        cut(B1)
        began = time.monotonic()
        mark = marked(A1)
        cluster.compact()
        says(B1, what, "etcd is away since")
        add_fails(B1, what, "etcd")
        add_works(A1, f"{what}, on another")
        tap.equal(lab.problem(A1), None, f"{what}: another has no problem")
        time.sleep(max(0.0, PARTITION_S - (time.monotonic() - began)))
        heal(B1)
        healed = time.monotonic()
        sees(B1, mark, f"{what}, and compacted meanwhile")
        tap.note(f"{time.monotonic() - healed:.2f} s after the end of {healed - began:.0f} s")
        recovered(what)


def compacted():
    """Under the watch: it goes on."""
    with Traffic("compacted"):
        for _ in range(3):
            marked(A1)
            cluster.compact()
        mark = marked(A2)
        for name in (A1, B1):
            sees(name, mark, "compacted")
        tap.ok(lab.is_well(), "compacted: no node has a problem")


def quota():
    """Nothing can be written; reading goes on."""
    what = "the quota is used up"
    with Traffic(what):
        cluster.fill()
        add_fails(A1, what, "quota")
        says(A1, what, "quota")
        done = lab.zones.cli(A2, "apply", "-f", "-", check=False, text="""\
apiVersion: projectcalico.org/v3
kind: IPReservation
metadata: {name: full}
spec: {reservedCIDRs: [10.244.15.250/32]}
""")
        tap.ok(done.returncode and "quota" in done.stderr, f"{what}: apply: {done.stderr.strip()}")
        cluster.make_room()
        recovered(what)


def certificate():
    """The nodes' own has expired: who has a connection keeps it, a new one is refused."""
    what = "the certificate has expired"
    with Traffic(what):
        lab.issue(begin_s=-7200, end_s=-3600)
        for member in cluster.members:
            member.kill()
        for member in cluster.members:
            member.spawn()
        for member in cluster.members:
            member.wait()
        says(A1, what, "expired", "node.pem")
        add_fails(A1, what, "expired")
        lab.issue()
        recovered(f"{what}, and is renewed")


def all_restarted():
    """Nobody is there for a moment."""
    what = "all members are restarted"
    with Traffic(what):
        for member in cluster.members:
            member.kill()
        add_fails(A2, what, "etcd")
        for member in cluster.members:
            member.spawn()
        for member in cluster.members:
            member.wait()
        recovered(what)


def restored():
    """
    All members lose what they have and begin with a backup: revisions go backwards, resources that
    came after it are gone, and so are the assignments of pods that are still there.
    """
    what = "a backup is restored"
    with Traffic(what):
        path = os.path.join(lab.home, "backup.db")
        before = marked(A1)
        cluster.snapshot(path)
        late = lab.add(A1)
        after = marked(A1)
        for name in NODES:
            sees(name, after, "before the restoring")
        revision = cluster.revision()
        cluster.restore(path)
        tap.ok(cluster.revision() < revision, f"{what}: the revision goes backwards, from {revision} "
               f"to {cluster.revision()}")
        recovered(what)
        for name in NODES:
            gone = net.wait_for(lambda name=name: after not in lab.zones.cli(
                name, "get", "ipreservations").stdout, 15)
            tap.ok(gone, f"{what}: {name} has noticed: what came after the backup is gone")
            tap.ok(before in lab.zones.cli(name, "get", "ipreservations").stdout,
                   "… and what was before is there")
        mark = marked(A2)
        for name in (A1, B1):
            sees(name, mark, what)
    again = [lab.add(A1) for _ in range(70)]
    tap.ok(late.address not in [pod.address for pod in again],
           f"{what}: the address of a pod that the backup does not know is not given again")
    for pod in [late, *again]:
        lab.remove(pod)


def clean_end():
    """The daemons end well."""
    for what, seconds in recoveries.items():
        tap.note(f"recovery: {what}: ADD {median([a for a, _ in seconds])} s, "
                 f"all well {median([s for _, s in seconds])} s (medians of {len(seconds)})")
    for pod in list(lab.pods.values()):
        lab.remove(pod)
    end_cleanly(lab.zones.daemons.values())


if __name__ == "__main__":
    tap.main([calm, member_killed, leader_killed, member_paused, member_cut_off, quorum_lost,
              node_cut_off, compacted, quota, certificate, all_restarted, restored, clean_end],
             before=tap.note, after=lab.after)
