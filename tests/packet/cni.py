# SPDX-License-Identifier: Apache-2.0
"""
A container runtime's side of CNI, in little: plugins invoked one by one, and whole lists as libcni
does it (SPEC.md, "Section 4: Plugin execution", "Lifecycle & ordering").

    pods = cni.Network(node, {"cniVersion": "1.0.0", "name": "pods", "plugins": [{...}, {...}]})
    result = pods.add("c1", container.path)          # container: a net.Node; raises cni.Failure
    pods.check("c1", container.path)
    pods.delete("c1", container.path)
"""

import copy
import json
import os
import subprocess

import culvert

DEBIAN = "/usr/lib/cni"  # containernetworking-plugins
PLUGIN = "culvert-cni"
PATH = (culvert.BUILD, DEBIAN)
LIMIT_S = 60  # for one plugin


class Failure(Exception):
    """What a plugin refused or failed at: its error as CNI has it."""

    def __init__(self, plugin, command, answer):
        self.plugin, self.command, self.answer = plugin, command, answer
        error = answer.json if isinstance(answer.json, dict) else {}
        self.code, self.msg = error.get("code"), error.get("msg")
        self.details = error.get("details")
        super().__init__(
            f"{plugin} {command}: code {self.code}: {self.msg}; {self.details}"
            f" (exit status {answer.status}, stdout {answer.stdout!r}, stderr {answer.stderr!r})"
        )


class Answer:
    """What one invocation said."""

    def __init__(self, done):
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        try:
            self.json = json.loads(self.stdout)
        except ValueError:
            self.json = None


def numbers(version):
    """A version for comparing."""
    return tuple(int(each) for each in version.split("."))


def find(plugin, path=PATH, node=None):
    """The program of a plugin's type; node: which sees files of its own."""
    for directory in path:
        program = os.path.join(directory, plugin)
        if os.access(node.file(program) if node else program, os.X_OK):
            return program
    raise FileNotFoundError(f"no CNI plugin {plugin} in {path}")


def invoke(node, plugin, command, config="", path=PATH, wrapper=(), **variables):
    """
    One plugin in a node's namespace, once: Answer. config: text, or what is made JSON of. Variables:
    container="c1", netns=PATH, ifname="eth0", args="K=V;…" and CNI_… by their own names; what is
    None is not set. wrapper: words in front of the program's.
    """
    environment = {"PATH": os.environ["PATH"], "CNI_PATH": ":".join(path)}
    names = {"container": "CNI_CONTAINERID", "netns": "CNI_NETNS", "ifname": "CNI_IFNAME",
             "args": "CNI_ARGS"}
    variables = {"CNI_COMMAND": command} | {
        names.get(key, key): value for key, value in variables.items()
    }
    for name, value in variables.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    text = config if isinstance(config, (str, bytes)) else json.dumps(config)
    program = plugin if "/" in plugin else find(plugin, path, node)
    with node:
        done = subprocess.run(
            [*wrapper, program], env=environment, check=False, timeout=LIMIT_S,
            input=text if isinstance(text, bytes) else text.encode(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=node.move_in,
        )
    done.stdout = done.stdout.decode(errors="replace")
    done.stderr = done.stderr.decode(errors="replace")
    return Answer(done)


class Network:
    """A list of plugins, and what was attached with it."""

    def __init__(self, node, conflist, path=PATH):
        self.node, self.path = node, path
        self.list = copy.deepcopy(conflist)
        if "plugins" not in self.list:  # one configuration alone
            self.list = {
                "cniVersion": conflist["cniVersion"], "name": conflist["name"],
                "plugins": [copy.deepcopy(conflist)],
            }
        self.version = self.list["cniVersion"]
        self.results = {}  # (container, ifname): the last result of its ADD
        self._given = {}  # (container, ifname): its args and capabilities, for CHECK and DEL

    def _config(self, plugin, previous, capabilities, more=None):
        config = copy.deepcopy(plugin)
        config.pop("capabilities", None)
        config["name"], config["cniVersion"] = self.list["name"], self.version
        wanted = {
            key: value for key, value in (capabilities or {}).items()
            if plugin.get("capabilities", {}).get(key)
        }
        if wanted:
            config["runtimeConfig"] = wanted
        if previous is not None:
            config["prevResult"] = previous
        config.update(more or {})
        return config

    def _run(self, plugin, command, config, **variables):
        answer = invoke(self.node, plugin["type"], command, config, self.path, **variables)
        if answer.status:
            raise Failure(plugin["type"], command, answer)
        return answer.json

    def _need(self, version, command):
        if numbers(self.version) < numbers(version):
            raise ValueError(f"{command} is of CNI {version}, the list says {self.version}")

    def add(self, container, netns, ifname="eth0", args=None, capabilities=None):
        """The last plugin's result. On a failure nothing is undone: that is delete()."""
        result = None
        self._given[container, ifname] = args, capabilities
        for plugin in self.list["plugins"]:
            config = self._config(plugin, result, capabilities)
            result = self._run(plugin, "ADD", config, container=container, netns=netns,
                               ifname=ifname, args=args)
        self.results[container, ifname] = result
        return result

    def check(self, container, netns, ifname="eth0"):
        """Each plugin's CHECK, with what add() was given, and its result."""
        self._need("0.4.0", "CHECK")
        if self.list.get("disableCheck"):
            return
        args, capabilities = self._given[container, ifname]
        for plugin in self.list["plugins"]:
            config = self._config(plugin, self.results[container, ifname], capabilities)
            self._run(plugin, "CHECK", config, container=container, netns=netns, ifname=ifname,
                      args=args)

    def delete(self, container, netns=None, ifname="eth0"):
        """DEL, the last plugin first. What was never added is deleted as well."""
        args, capabilities = self._given.get((container, ifname), (None, None))
        previous = self.results.get((container, ifname))
        if numbers(self.version) < numbers("0.4.0"):
            previous = None
        for plugin in reversed(self.list["plugins"]):
            config = self._config(plugin, previous, capabilities)
            self._run(plugin, "DEL", config, container=container, netns=netns, ifname=ifname,
                      args=args)
        self.results.pop((container, ifname), None)
        self._given.pop((container, ifname), None)

    def collect_garbage(self, valid=None):
        """GC: valid are the attachments to be kept; None: those of add()."""
        self._need("1.1.0", "GC")
        keep = [{"containerID": container, "ifname": ifname}
                for container, ifname in (self.results if valid is None else valid)]
        # libcni gives both: the first releases of the specification had the second name.
        more = {"cni.dev/valid-attachments": keep, "cni.dev/attachments": keep}
        for plugin in self.list["plugins"]:
            self._run(plugin, "GC", self._config(plugin, None, None, more))

    def status(self):
        """STATUS of every plugin; raises the first Failure."""
        self._need("1.1.0", "STATUS")
        for plugin in self.list["plugins"]:
            self._run(plugin, "STATUS", self._config(plugin, None, None))
