# SPDX-License-Identifier: Apache-2.0
"""
The network of tests/packet/mtu_cells.py whose far end is a real Linux with its own ipip, in User-mode
Linux: k1 of the lab (lab/k1.sh has the drawing of what is around it), with a pod of its own.

    … r2 right ══ eth0 k1ctl: bridge wire ══ TAP k1: ══ eth0 ipip0 pod0 ── eth0 of netns pod
      192.168.200.254                             192.168.200.3    10.244.2.1    10.244.2.2
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(os.path.dirname(HERE), "packet"))

import net  # noqa: E402
from culvert import ROOT  # noqa: E402
from mtu_cells import (  # noqa: E402
    DELIVERED, HAUL, JUMBO, MIB, POD_MTU, START, TCP, TCP_DEAF, UDP_DF, End, Path, can_arrive,
)

LINK = os.path.join(ROOT, "lab/k1/link")
CONTROL_HOST, CONTROL, CONTROL_PORT = "169.254.7.1", "169.254.7.2", "7001"
BOOT_LIMIT_S = 90
# As lab/k1/init sets it up; and a pod, whose MTU is no business of the tunnel's.
SET_UP = f"""
set -e
{ROOT}/lab/bin/lab-modprobe veth sch_ingress cls_u32 act_gact
ip link set eth0 mtu {JUMBO}
ip link set ipip0 mtu {JUMBO - 20}
ip netns add pod
ip link add pod0 type veth peer name eth0 netns pod
ip addr add 10.244.2.1/24 dev pod0
ip link set pod0 up
ip -n pod addr add 10.244.2.2/24 dev eth0
ip -n pod link set eth0 up
ip -n pod link set lo up
tc -n pod qdisc add dev eth0 clsact
ip -n pod route add default via 10.244.2.1
sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
"""


def kernel_can(cell):
    """
    Whether all bytes can arrive from k1, whose ipip learns of a path by ICMP alone. It fragments
    nothing itself, hence nopmtudisc: what has no DF is fragmented on the way.
    """
    too_large = cell.mtu < POD_MTU + 20
    is_told = cell.icmp == DELIVERED or not too_large
    if cell.inner in (TCP, TCP_DEAF) and cell.when == START:
        return True  # Culvert has lowered the MSS at the other end
    if cell.inner in (TCP, UDP_DF):
        return is_told
    return can_arrive(cell)


class KernelEnd(End):
    """The pod in k1."""

    lags = True  # hostfs writes when the file is closed

    def __init__(self, path):
        super().__init__(None, path.POD_B, 2)
        self.path, self.scratch = path, path.directory

    def output(self):
        return tempfile.NamedTemporaryFile(dir=self.scratch)

    def spawn(self, words, stdout):
        target = "/dev/null" if stdout == subprocess.DEVNULL else stdout.name
        return self.path.spawn(
            ["ip", "netns", "exec", "pod", "sh", "-c", 'exec "$@" >"$0"', target, HAUL, *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def prepare(self, deaf):
        action = "replace" if deaf else "del"
        match = "u32 match ip protocol 1 0xff match u8 3 0xff at 20 action drop" if deaf else ""
        self.path.k1("bash", f"""
            ip -n pod route flush cache
            tc -n pod filter {action} dev eth0 ingress protocol ip prio 1 {match} 2>/dev/null
            exit 0""")


class KernelPath(Path):
    """The network, with k1 in place of n2. kernel: words of k1's own tunnel."""

    B = "192.168.200.3"
    PACED_MAX, SMALL_LASTS_S = 16 * MIB, 3.0  # k1's programs begin late
    STALLED_S = 5.0

    def __init__(self, *arguments, kernel="", **how):
        self.kernel = kernel
        self.directory = tempfile.mkdtemp(prefix="culvert-mtu-k1-")
        atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        super().__init__(*arguments, **how)

    def make_far(self):
        self.ctl = net.Node("k1ctl")
        net.connect(self.r2, "right", self.ctl, "eth0", mtu=JUMBO, offload=self.offload)
        self.r2.ip("addr add 192.168.200.254/24 dev right")
        self.ctl.ip(
            f"link add wire mtu {JUMBO} type bridge mcast_snooping 0",
            "tuntap add dev k1 mode tap", "tuntap add dev ctl mode tap", f"link set k1 mtu {JUMBO}",
            "link set eth0 master wire up", "link set k1 master wire up", "link set wire up",
            f"addr add {CONTROL_HOST}/30 dev ctl", "link set ctl up")
        os.mkdir(os.path.join(self.directory, "uml"))
        with open(os.path.join(self.directory, "console"), "wb") as console:
            self.machine = self.ctl.spawn([
                "unshare", "--pid", "--fork", "--kill-child=SIGKILL",
                "linux.uml", "mem=256M", "umid=k1", f"uml_dir={self.directory}/uml/",
                "rootfstype=hostfs", "rootflags=/", "ro", f"init={ROOT}/lab/k1/init",
                "con=null", "con0=null,fd:1", "con1=null",
                f"vec0:transport=tap,ifname=k1,depth=128,gro=1,mtu={JUMBO},mac=02:00:c0:a8:c8:03",
                "vec1:transport=tap,ifname=ctl,depth=128,gro=1,mac=02:00:a9:fe:07:02",
                f"LAB_ROOT={ROOT}", f"LAB_DIR={self.directory}",
            ], stdin=subprocess.DEVNULL, stdout=console, stderr=console)

    def start_far(self):
        if not net.wait_for(self._boots, BOOT_LIMIT_S):
            with open(os.path.join(self.directory, "console"), errors="replace") as f:
                raise RuntimeError(f"k1 does not boot:\n{f.read()[-2000:]}")
        self.k1("bash", SET_UP)
        self.set_kernel(self.kernel)
        self.ends = (End(self.p1, self.POD_A, 1), KernelEnd(self))

    def _boots(self):
        if self.machine.poll() is not None:
            raise RuntimeError("k1's kernel has ended")
        return not self.k1("true", check=False).returncode

    def set_kernel(self, words):
        """The words of k1's tunnel."""
        self.kernel = words
        self.k1(f"ip tunnel change ipip0 mode ipip remote {self.A} local {self.B}"
                f" {words or 'pmtudisc'}")

    def forget_far(self):
        self.k1("ip route flush cache")

    def heal(self):
        self.forget_far()
        return super().heal()

    def _argv(self, words):
        return ["/usr/bin/python3", LINK, "run", CONTROL, CONTROL_PORT, *words]

    def spawn(self, words, **how):
        """Start a process in k1."""
        return self.ctl.spawn(self._argv(words), stdin=subprocess.DEVNULL, **how)

    def k1(self, command, text="", check=True):
        """Run a command in k1; CompletedProcess."""
        return self.ctl.run(self._argv(command.split()), check=check, input=text)
