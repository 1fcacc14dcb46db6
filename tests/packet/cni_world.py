# SPDX-License-Identifier: Apache-2.0
"""
What the tests of the CNI plugin share: a host with a culvertd of the test's own (cni_agent.py),
which can be made to fail, and calls of the plugin.

    host: cv… ─────── eth0 :c1
          up0 192.0.2.1/24 ─── up1 (there, too)
"""

import atexit
import os
import re
import shutil
import tempfile

import cni
import cni_agent
import culvert
import net
import tap

VERSIONS = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]

if not os.access(os.path.join(culvert.BUILD, cni.PLUGIN), os.X_OK):
    print(f"Bail out! {culvert.BUILD}/{cni.PLUGIN} is missing: run make first")
    raise SystemExit(1)
if os.geteuid() != 0:
    print("1..0 # SKIP needs root: it makes network namespaces")
    raise SystemExit(0)
host = net.Node("host")
host.forward()
host.ip("link add up0 type veth peer name up1", "link set up0 up", "link set up1 up",
        "addr add 192.0.2.1/24 dev up0")
agent = cni_agent.Agent(host)
atexit.register(agent.close)
state = tempfile.mkdtemp(prefix="culvert-cni-state-")
atexit.register(shutil.rmtree, state, ignore_errors=True)
HOST_LOCAL = {"type": "host-local", "dataDir": state, "ranges": [[{"subnet": "10.9.0.0/24"}]]}


def config(version="1.0.0", **more):
    """A configuration of our plugin."""
    return {"cniVersion": version, "name": "pods", "type": cni.PLUGIN,
            "runDir": agent.run_dir} | more


def call(command, conf=None, plugin=cni.PLUGIN, **variables):
    """One call of ours for container c1, or what variables say."""
    return cni.invoke(host, plugin, command, config() if conf is None else conf, **variables)


def given(container, **more):
    """Variables of an ADD."""
    return {"container": "c1", "netns": container.path, "ifname": "eth0"} | more


def devices(node=host):
    """Names of all of a node's devices but those that are always there."""
    names = re.findall(r"^\d+: ([^:@]+)", node.ip("link"), re.M)
    return sorted(set(names) - {"lo", "up0", "up1"})


def is_error(answer, code, words, name):
    """An error as CNI has it, on standard output alone."""
    shown = f"status {answer.status}, {answer.stdout!r}, {answer.stderr!r}"
    error = answer.json if isinstance(answer.json, dict) else {}
    text = f"{error.get('msg')} {error.get('details', '')}"
    missing = [each for each in words if each not in text]
    tap.ok(answer.status == 1 and error.get("code") == code and not missing
           and error.get("cniVersion") in VERSIONS and isinstance(error.get("msg"), str)
           and set(error) <= {"cniVersion", "code", "msg", "details"} and not answer.stderr,
           name, shown)


def nothing_left(name):
    """No device, no note, no address of host-local's."""
    given_out = os.path.join(state, "pods")
    left = [each for each in os.listdir(given_out) if re.match(r"\d+\.", each)] if (
        os.path.isdir(given_out)) else []
    tap.ok(not devices() and not agent.notes and not left, name,
           lambda: f"{devices()} {agent.notes} {left}")
