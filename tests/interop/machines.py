# SPDX-License-Identifier: Apache-2.0
"""
Machines to run a guide's commands on, as they stand: each a network namespace on a switch
(../packet/etcd.py) and a mount namespace in which /etc, /var/lib, /run and /root are its own, above
those of the host. What a guide calls and what no test may really do (ssh, systemctl, apt-get) is a
few lines of shell here, which say what they do instead.
"""

import atexit
import os
import re
import shutil
import subprocess
import tempfile

import culvert
import net

OWN = ("/etc", "/var/lib", "/run", "/root")

SHIMS = {
    # ssh HOST COMMAND…: there, with what comes on standard input.
    "ssh": """\
#!/bin/sh
host=$1; shift
exec "$MACHINES/enter" "$host" sh -c "$*"
""",
    # scp FILE… HOST:DIRECTORY/
    "scp": """\
#!/bin/sh -e
for to; do :; done
while [ $# -gt 1 ]; do
	"$MACHINES/enter" "${to%%:*}" sh -c "cat > ${to#*:}$(basename "$1")" <"$1"
	case $1 in *.key) "$MACHINES/enter" "${to%%:*}" chmod 600 "${to#*:}$(basename "$1")" ;; esac
	shift
done
""",
    # systemctl [--no-block] restart|start|stop UNIT: what the unit's file says, of what matters here.
    "systemctl": """\
#!/bin/bash
[ "$1" = --no-block ] && shift
verb=$1 unit=${2%.service} pid=/run/$unit.pid
if [ "$verb" != start ] && [ -s $pid ]; then
	kill "$(cat $pid)" && tail --pid="$(cat $pid)" -f /dev/null
	rm $pid
fi
[ "$verb" = stop ] && exit
set -a; [ -f "/etc/default/$unit" ] && . "/etc/default/$unit"; set +a
case $unit in
etcd)
	install -d -o etcd -g etcd /var/lib/etcd "$ETCD_DATA_DIR"
	as='setpriv --reuid=etcd --regid=etcd --clear-groups --' program=etcd ;;
culvertd)
	as= program="$CULVERT_BUILD/culvertd --run-dir $CULVERT_RUN_DIR --config /etc/culvert --node $MACHINE" ;;
esac
setsid $as $program >>"/var/lib/$unit.log" 2>&1 </dev/null &
echo $! >$pid
# As a unit of type notify.
[ $unit = culvertd ] || exit 0
for i in $(seq 300); do
	culvert status >/dev/null 2>&1 && exit
	kill -0 "$(cat $pid)" || break
	sleep 0.1
done
echo "culvertd does not start:"; cat /var/lib/culvertd.log; exit 1
""",
    "apt-get": """\
#!/bin/sh
echo "apt-get $*: it is installed"
""",
    "enter": """\
#!/bin/sh
name=$1; shift
export MACHINE="$name" CULVERT_RUN_DIR="$MACHINES/$name.run"
exec nsenter --net="$MACHINES/$name.net" --mount="$MACHINES/$name.mnt" -- "$@"
""",
}


class Machines:
    """All of them; names: {name: address} on the switch."""

    def __init__(self, lan, names):
        self.directory = tempfile.mkdtemp(prefix="culvert-machines-")
        atexit.register(self._clean_up)
        # The namespaces' names are mounts: in a namespace of this process's own they go with it.
        for name, text in SHIMS.items():
            path = os.path.join(self.directory, name)
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
            os.chmod(path, 0o755)
        self.machines = {name: Machine(self, lan, name, address) for name, address in names.items()}

    def _clean_up(self):
        for machine in self.machines.values():
            machine.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def environment(self):
        """Of all commands."""
        path = f"{self.directory}:{culvert.BUILD}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "MACHINES": self.directory, "HOME": "/root", "LC_ALL": "C.UTF-8",
                "CULVERT_BUILD": culvert.BUILD,
                **{k: v for k, v in os.environ.items() if k == "CULVERT_TEST_RUN"}}


class Machine:
    """One machine; its shell remembers what was exported in it."""

    def __init__(self, machines, lan, name, address):
        self.machines, self.name = machines, name
        self.node = lan.plug(name, address)
        self.exports = {}
        above = os.path.join(machines.directory, name)
        os.mkdir(above)
        # Not below /run: what culvertd pins is named after it, and machines share /sys/fs/bpf.
        self.run_dir = above + ".run"
        script = f"mount -t tmpfs own {above}\n"
        for own in OWN:
            at = above + own.replace("/", "_")
            script += f"mkdir {at} {at}.work\n"
            if own in ("/run", "/root"):
                script += f"mount --bind {at} {own}\n"
            else:
                script += f"mount -t overlay own -o lowerdir={own},upperdir={at},workdir={at}.work {own}\n"
        script += "echo ready; exec sleep infinity"
        self.holder = self.node.spawn(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script],
            stdout=subprocess.PIPE, text=True, env=machines.environment())
        if self.holder.stdout.readline() != "ready\n":
            raise RuntimeError(f"{name}: no mounts of its own")
        for kind in ("net", "mnt"):
            os.symlink(f"/proc/{self.holder.pid}/ns/{kind}",
                       os.path.join(machines.directory, f"{name}.{kind}"))

    def sh(self, line):
        """Run a line as root types it in /root; CompletedProcess, both outputs in one."""
        exports = os.path.join(self.machines.directory, "exports")
        done = subprocess.run(
            [os.path.join(self.machines.directory, "enter"), self.name, "bash", "-c",
             f"cd; {line}\nrc=$?; export -p >{exports}; exit $rc"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**self.machines.environment(), **self.exports}, check=False)
        with open(exports, encoding="utf-8") as f:
            self.exports.update(re.findall(r'^declare -x (ETCDCTL_\w+)="(.*)"$', f.read(), re.M))
        return done

    def end(self):
        """End what systemctl has started, and the machine."""
        for unit in ("culvertd", "etcd"):
            self.sh(f"[ ! -e /run/{unit}.pid ] || systemctl stop {unit}")
        self.sh(f"[ ! -e {self.run_dir} ] || culvertd --purge --run-dir {self.run_dir}")
        net.stop(self.holder)


def commands(text):
    """
    [(host, command, output)] of a guide: indented lines "HOST# COMMAND", with what a here-document
    of it takes, and below it what it prints.
    """
    found, end = [], None
    for line in text.splitlines():
        if end is not None:
            found[-1][1] += "\n" + line[4:]
            if line.strip() == end:
                end = None
            continue
        match = re.match(r"    (\w[\w-]*)# (.*)$", line)
        if match:
            found.append([match[1], match[2], ""])
            document = re.search(r"<<\s*'?(\w+)'?", match[2])
            end = document[1] if document else None
        elif line.startswith("    ") and found and found[-1][2] is not None:
            found[-1][2] += line[4:].rstrip() + "\n"
        elif line and found:
            # What comes after a sentence is another example.
            found.append([None, None, None])
    return [tuple(each) for each in found if each[0]]


def is_like(got, want):
    """Whether output is what a guide shows: "…" stands for anything."""
    pattern = "".join(".*" if piece == "…" else re.escape(piece)
                      for piece in re.split("(…)", want.strip()))
    squeeze = "\n".join(line.rstrip() for line in got.strip().splitlines())
    return re.fullmatch(pattern, squeeze, re.S) is not None
