# SPDX-License-Identifier: Apache-2.0
"""
The agent's side of pods without the plugin: its requests over the control socket, and in little
what the plugin makes of the answers.
"""

import hashlib
import json
import os
import socket
import subprocess

import net


class Refused(Exception):
    """An error of the agent: its code, and its words."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]


def resources(node="a1", pool="10.244.0.0/16", block="10.244.1.0/26", block_size=26):
    """A pool, the node and its block."""
    name = block.replace(".", "-").replace("/", "-")
    return f"""
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {{name: pods}}
spec: {{cidr: {pool}, ipipMode: Always, natOutgoing: true, blockSize: {block_size}}}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {{name: {node}}}
spec: {{bgp: {{ipv4Address: 192.168.100.1/24}}}}
---
apiVersion: projectcalico.org/v3
kind: BlockAffinity
metadata: {{name: {node}-{name}}}
spec: {{cidr: {block}, node: {node}, state: confirmed}}
"""


def hash_of(network, container, interface="eth0"):
    """What names are made of (model/attachment.h)."""
    words = "".join(word + "\0" for word in (network, container, interface))
    return hashlib.sha256(words.encode()).hexdigest()


def device_of(network, container, interface="eth0"):
    """The host end's name."""
    return "cv" + hash_of(network, container, interface)[:11]


class Agent:
    """Requests to a culvertd."""

    def __init__(self, daemon):
        self.daemon = daemon

    def connect(self):
        """A connection."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(40)
        s.connect(os.path.join(self.daemon.run_dir, "culvertd.sock"))
        return s

    def ask(self, command, **members):
        """The answer, of one line or two: its result. Raises Refused."""
        with self.connect() as s:
            s.sendall(json.dumps({"version": 1, "command": command, **members}).encode() + b"\n")
            with s.makefile("rb") as stream:
                answer = json.loads(stream.readline())
                if answer["ok"] and answer["result"].get("more"):
                    answer = json.loads(stream.readline())
        if not answer["ok"]:
            raise Refused(answer["error"])
        return answer["result"]

    def pods(self):
        """Attachments by container."""
        return {pod["container"]: pod for pod in self.ask("pods")["pods"]}


class Pod:
    """One container's namespace, and what a plugin does for it."""

    def __init__(self, agent, host, container, network="pods", interface="eth0", node=None):
        self.agent = agent
        self.host = host
        self.key = {"network": network, "container": container, "interface": interface}
        self.device = device_of(network, container, interface)
        self.node = node or net.Node(container)
        self.answer = None

    def add(self, **members):
        """cni.add; its addresses."""
        self.answer = self.agent.ask("cni.add", **self.key, netns=self.node.path, **members)
        return [address.split("/")[0] for address in self.answer["addresses"]]

    def make(self):
        """The devices, as the plugin makes them."""
        address = self.answer["addresses"][0]
        key = self.key
        self.host.ip(
            f"link add {self.device} type veth peer name {key['interface']} netns {self.node.path}",
            f"link set {self.device} alias culvert:{key['network']}/{key['container']}/{key['interface']}",
            f"link set {self.device} up")
        mac = self.host.mac(self.device).hex(":")
        self.node.ip(
            f"link set {key['interface']} up", f"addr add {address} dev {key['interface']}",
            f"route add 169.254.1.1 dev {key['interface']} scope link",
            f"route add default via 169.254.1.1 dev {key['interface']} onlink",
            f"neigh replace 169.254.1.1 lladdr {mac} nud permanent dev {key['interface']}")

    def make_port(self, bridge, gateway=None):
        """The same, for a bridge."""
        address, key = self.answer["addresses"][0], self.key
        self.host.ip(
            f"link add {self.device} type veth peer name {key['interface']} netns {self.node.path}",
            f"link set {self.device} alias culvert:{key['network']}/{key['container']}/{key['interface']}",
            f"link set {self.device} master {bridge}", f"link set {self.device} up")
        self.node.ip(
            f"link set {key['interface']} up", f"addr add {address} dev {key['interface']}",
            *([] if gateway else [f"route add default via {self.answer['gateway']}"]))

    def attach(self, **members):
        """cni.attach."""
        st = os.stat(self.node.path)
        told = {"device": self.device, "addresses": self.answer["addresses"], "netns_device": st.st_dev,
                "netns_inode": st.st_ino, "mac": self.node.mac(self.key["interface"]).hex(":")}
        return self.agent.ask("cni.attach", **self.key, **{**told, **members})

    def attach_only(self, address):
        """cni.attach with this address, without a device."""
        return self.agent.ask("cni.attach", **self.key, device=self.device, addresses=[address])

    def run(self):
        """ADD, all of it; its address."""
        (address,) = self.add()
        self.make()
        self.attach()
        return address

    def delete(self):
        """cni.del."""
        return self.agent.ask("cni.del", **self.key)

    def pings(self, host_address):
        """True if it reaches the host."""
        done = self.node.run(["ping", "-c1", "-W2", host_address], check=False)
        return not done.returncode


def routes(host, protocol=84):
    """The host's routes to single addresses."""
    lines = host.run(f"ip -4 route show proto {protocol}").stdout.splitlines()
    return {line.split()[0]: line for line in lines if line[0].isdigit() and "/" not in line.split()[0]}


def bind_namespace(node, path):
    """Give a namespace a name that can go, as runtimes do."""
    with open(path, "w", encoding="ascii"):
        pass
    subprocess.run(["mount", "--bind", node.path, path], check=True)


def unbind_namespace(path):
    """Take it away, if it is there."""
    if os.path.exists(path):
        subprocess.run(["umount", path], check=False)
        os.unlink(path)
