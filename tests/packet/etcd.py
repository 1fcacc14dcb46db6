# SPDX-License-Identifier: Apache-2.0
"""
Real etcd (Debian's, 3.4) for tests: one member or more, each in a network node of its own, and
what happens to etcd in life: killed, paused, cut off, compacted, full, with certificates that are
the wrong ones.

     m1 192.168.90.1 ─┐
     m2 192.168.90.2 ─┼─ switch ─ whoever else the test plugs in: Lan.plug("a1", "192.168.90.11")
     m3 192.168.90.3 ─┘

    lan = Lan()
    cluster = Cluster.on(lan, 3)            # plain HTTP
    cluster.datastore(path)                 # a CalicoAPIConfig for culvertd --datastore
    leader = cluster.leader(); leader.kill(); ...; leader.start()
    cluster.dump("/culvert/")               # {key: value}

Members die with the test. Their data is below a directory that goes with it, too.
"""

import atexit
import base64
import datetime
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import net

CLIENT_PORT, PEER_PORT = 2379, 2380
START_LIMIT_S = 60  # of a machine that has much else to do
NETWORK = "192.168.90."


class Lan:
    """A switch. Who is plugged in has eth0 with an address of 192.168.90.0/24 there."""

    def __init__(self):
        self.switch = net.Node("switch")
        self.switch.ip("link add br0 type bridge", "link set br0 up")
        self.count = 0

    def plug(self, name, address, node=None, interface="eth0"):
        """A node (a new one, unless it is given) with that address; returns it."""
        node = node or net.Node(name)
        self.count += 1
        port = f"port{self.count}"
        net.connect(node, interface, self.switch, port)
        self.switch.ip(f"link set {port} master br0")
        node.ip(f"addr add {address}/24 dev {interface}")
        return node


class Certificates:
    """
    An authority and what it issues: certificate and key below a directory. All are EC keys. Those
    of servers are for clients, too: etcd's gateway speaks with its own server by them.
    """

    def __init__(self, directory, name="ca"):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.ca, self._key = self._path(name + ".pem"), self._path(name + ".key")
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-days", "30", "-subj", f"/O=culvert/CN={name}", "-keyout", self._key,
                  "-out", self.ca)
        self._config = self._path(name + ".cnf")
        for file, text in (("index", ""), ("serial", "1000\n")):
            with open(self._path(f"{name}.{file}"), "w", encoding="ascii") as f:
                f.write(text)
        with open(self._config, "w", encoding="ascii") as f:
            f.write(f"""
[ca]
default_ca = it
[it]
database = {self._path(name + ".index")}
serial = {self._path(name + ".serial")}
new_certs_dir = {directory}
certificate = {self.ca}
private_key = {self._key}
default_md = sha256
default_days = 30
policy = any
unique_subject = no
copy_extensions = copy
[any]
organizationName = optional
commonName = optional
""")

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _run(self, *words):
        done = subprocess.run(["openssl", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"openssl {words[0]}: {done.stdout}")

    def issue(self, name, common_name=None, addresses=(), hosts=(), begin_s=-3600, end_s=86400):
        """
        Issue (or renew) a certificate: valid from begin_s to end_s from now. addresses, hosts: for
        whom (a server); common_name None: it has none. Returns (certificate, key), paths.
        """
        certificate, key = self._path(name + ".pem"), self._path(name + ".key")
        request = self._path(name + ".csr")
        names = [f"IP:{each}" for each in addresses] + [f"DNS:{each}" for each in hosts]
        more = ["-addext", "extendedKeyUsage=serverAuth,clientAuth"]
        if names:
            more += ["-addext", "subjectAltName=" + ",".join(names)]
        subject = "/O=culvert" + (f"/CN={common_name}" if common_name else "")
        self._run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-subj", subject, "-keyout", key + ".new", "-out", request, *more)
        now = datetime.datetime.now(datetime.timezone.utc)
        begin, end = (
            (now + datetime.timedelta(seconds=s)).strftime("%Y%m%d%H%M%SZ")
            for s in (begin_s, end_s)
        )
        self._run("ca", "-batch", "-config", self._config, "-startdate", begin, "-enddate", end,
                  "-notext", "-in", request, "-out", certificate + ".new")
        os.rename(key + ".new", key)
        os.rename(certificate + ".new", certificate)
        return certificate, key


class Member:
    """One etcd, in a network node, at an address."""

    def __init__(self, cluster, name, node, address):
        self.cluster = cluster
        self.name = name
        self.node = node
        self.address = address
        self.data = os.path.join(cluster.directory, name)
        self.log_path = os.path.join(cluster.directory, name + ".log")
        self.process = None

    @property
    def endpoint(self):
        """Its URL for clients."""
        return f"{self.cluster.scheme}://{self.address}:{CLIENT_PORT}"

    def _peer(self):
        return f"http://{self.address}:{PEER_PORT}"

    def spawn(self):
        """Start it, without waiting: a member without a quorum would not answer."""
        cluster = self.cluster
        everybody = ",".join(f"{m.name}={m._peer()}" for m in cluster.members)
        argv = [
            "etcd", "--name", self.name, "--data-dir", self.data,
            "--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint,
            "--listen-peer-urls", self._peer(), "--initial-advertise-peer-urls", self._peer(),
            "--initial-cluster", everybody, "--initial-cluster-token", cluster.directory,
            "--heartbeat-interval", str(cluster.heartbeat_ms),
            "--election-timeout", str(cluster.heartbeat_ms * 10), "--logger", "zap",
            *cluster.words,
        ]
        if cluster.tls:
            argv += ["--cert-file", cluster.server_certificate[0],
                     "--key-file", cluster.server_certificate[1]]
        if cluster.client_certificates:
            argv += ["--client-cert-auth", "--trusted-ca-file", cluster.tls.ca]
        if cluster.quota_bytes:
            argv += ["--quota-backend-bytes", str(cluster.quota_bytes)]
        with open(self.log_path, "ab") as log:
            self.process = self.node.spawn(argv, stdout=log, stderr=log)

    def start(self):
        """Start it and wait until it and the cluster answer."""
        self.spawn()
        self.wait()

    def wait(self, timeout=START_LIMIT_S):
        """Wait until it answers a linearizable read."""
        deadline = time.monotonic() + timeout
        while not self.is_healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"etcd {self.name} does not answer:\n{self.log()[-2000:]}")
            time.sleep(0.05)

    def is_healthy(self):
        """Whether it answers a linearizable read (there is a leader it knows)."""
        return self.etcdctl("--command-timeout=2s", "get", "health", check=False).returncode == 0

    def kill(self, number=signal.SIGKILL):
        """End it. start() again later."""
        net.stop(self.process, number)

    def pause(self):
        """It stands still; its connections stay, nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        """It goes on."""
        self.process.send_signal(signal.SIGCONT)

    def cut(self, *addresses):
        """
        Silently drop what comes from or goes to these addresses, or all: a network that is gone
        without a word, as `cut(*others)` from its peers alone. Connections see nothing.
        """
        arriving = "".join(f"ip saddr {a} drop\n" for a in addresses) or 'iifname != "lo" drop\n'
        leaving = "".join(f"ip daddr {a} drop\n" for a in addresses) or 'oifname != "lo" drop\n'
        self.node.run(["nft", "-f", "-"], input=f"""
table ip cut {{
	chain arriving {{
		type filter hook input priority -300
		{arriving}
	}}
	chain leaving {{
		type filter hook output priority -300
		{leaving}
	}}
}}
""")

    def heal(self):
        """The end of cut()."""
        self.node.run("nft delete table ip cut", check=False)

    def cut_from_peers(self):
        """Cut it off from the other members alone; clients still reach it."""
        self.cut(*(m.address for m in self.cluster.members if m is not self))

    def log(self):
        """What it has said."""
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def etcdctl(self, *words, check=True, text=None):
        """Run etcdctl for this member alone; CompletedProcess."""
        return self.cluster.etcdctl(*words, members=[self], check=check, text=text)

    def status(self):
        """What `endpoint status` says; None: it does not answer."""
        done = self.etcdctl("--command-timeout=2s", "endpoint", "status", "-w", "json",
                            check=False)
        if done.returncode or not done.stdout.strip():
            return None
        found = json.loads(done.stdout)
        return found[0]["Status"] if found else None

    def defragment(self):
        """Give what was deleted back to the disk."""
        self.etcdctl("--command-timeout=20s", "defrag")


class Cluster:
    """
    Members. hosts: [(node, address)]. tls: Certificates, of which the servers get one; with
    client_certificates they want one of everybody. words: more of etcd's command line.
    server_names: whom the servers' certificate is for, if not the addresses.
    """

    def __init__(self, hosts, tls=None, client_certificates=False, quota_bytes=0, words=(),
                 heartbeat_ms=100, server_names=None, in_memory=True, user=None):
        if not shutil.which("etcd") or not shutil.which("etcdctl"):
            print("Bail out! etcd or etcdctl is missing: run make deps first")
            raise SystemExit(1)
        # No fsync to wait for: the time of a disk that others use would be measured.
        base = "/dev/shm" if in_memory and os.path.isdir("/dev/shm") else None
        self.directory = tempfile.mkdtemp(prefix="culvert-etcd-", dir=base)
        atexit.register(self._clean_up)
        self.tls = tls
        self.scheme = "https" if tls else "http"
        self.client_certificates = client_certificates
        self.quota_bytes = quota_bytes
        self.words = list(words)
        self.heartbeat_ms = heartbeat_ms
        self.user = user  # "name:password", once authentication is on
        self.server_certificate = self.admin_certificate = None
        if tls:
            names = server_names or [address for _, address in hosts]
            self.server_certificate = tls.issue("server", addresses=names)
            self.admin_certificate = tls.issue("admin")
        self.members = [
            Member(self, f"m{i + 1}", node, address) for i, (node, address) in enumerate(hosts)
        ]
        for member in self.members:
            member.spawn()
        for member in self.members:
            member.wait()

    @classmethod
    def on(cls, lan, count=1, **options):
        """count members, each in a new node of a Lan, at .1, .2 …"""
        hosts = []
        for number in range(1, count + 1):
            address = NETWORK + str(number)
            hosts.append((lan.plug(f"m{number}", address), address))
        return cls(hosts, **options)

    def _clean_up(self):
        for member in self.members:
            if member.process:
                if member.process.poll() is None:
                    member.resume()
                net.stop(member.process, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def endpoints(self):
        """All URLs."""
        return [member.endpoint for member in self.members]

    def etcdctl(self, *words, members=None, check=True, text=None):
        """Run etcdctl, from the node of the first of members; CompletedProcess."""
        members = members or [m for m in self.members if m.process.poll() is None]
        argv = ["etcdctl", "--endpoints", ",".join(m.endpoint for m in members)]
        if self.tls:
            argv += ["--cacert", self.tls.ca, "--cert", self.admin_certificate[0],
                     "--key", self.admin_certificate[1]]
        if self.user:
            argv += ["--user", self.user]
        with members[0].node:
            done = subprocess.run(
                [*argv, *words], env={**os.environ, "ETCDCTL_API": "3"}, text=True, input=text,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if check and done.returncode:
            raise RuntimeError(f"etcdctl {words}: {done.stderr.strip() or done.stdout}")
        return done

    def leader(self, timeout=START_LIMIT_S):
        """The member that leads, as most of those that answer say."""
        deadline = time.monotonic() + timeout
        while True:
            for member in self.members:
                status = member.status() if member.process.poll() is None else None
                if status and status.get("leader") == status["header"]["member_id"]:
                    return member
            if time.monotonic() > deadline:
                raise RuntimeError("etcd has no leader")
            time.sleep(0.05)

    def followers(self):
        """The others."""
        leader = self.leader()
        return [member for member in self.members if member is not leader]

    def revision(self):
        """The store's revision now."""
        done = self.etcdctl("get", "health", "-w", "json")
        return json.loads(done.stdout)["header"]["revision"]

    def compact(self, revision=None):
        """Forget what was before a revision (now), on all members."""
        self.etcdctl("compact", "--physical=true", str(revision or self.revision()))

    def items(self, prefix=""):
        """[(key, value, mod_revision)] of all keys with that prefix, sorted; "": of all."""
        words = [prefix, "--prefix"] if prefix else ["", "--from-key"]
        done = self.etcdctl("get", *words, "-w", "json")
        return [
            (base64.b64decode(kv["key"]).decode(), base64.b64decode(kv.get("value", "")).decode(),
             kv["mod_revision"])
            for kv in json.loads(done.stdout).get("kvs", [])
        ]

    def dump(self, prefix=""):
        """{key: value}."""
        return {key: value for key, value, _ in self.items(prefix)}

    def get(self, key):
        """A value, or None."""
        return self.dump(key).get(key)

    def put(self, key, value, members=None):
        """As somebody by hand, by some of the members."""
        self.etcdctl("put", "--", key, text=value, members=members)

    def put_bytes(self, key, value):
        """A value that need not be text."""
        body = json.dumps({"key": base64.b64encode(key.encode()).decode(),
                           "value": base64.b64encode(value).decode()})
        host = self.members[0]
        host.node.run(["curl", "-sf", "--noproxy", "*", "-d", body, host.endpoint + "/v3/kv/put"])

    def delete(self, key, prefix=False):
        """As somebody by hand."""
        self.etcdctl("del", key, *(["--prefix"] if prefix else []))

    def fill(self, key="/filler/", step=500_000):
        """Write until the quota is used up (the alarm NOSPACE is on then)."""
        unanswered = 0
        for number in range(100_000):
            done = self.etcdctl("put", f"{key}{number}", text="x" * step, check=False)
            if "space" in done.stderr:
                return
            # On a busy machine one may take longer than etcdctl waits for it (5 s).
            unanswered = unanswered + 1 if "DeadlineExceeded" in done.stderr else 0
            if done.returncode and unanswered not in range(1, 10):
                raise RuntimeError(done.stderr)

    def make_room(self, key="/filler/"):
        """Mend what fill() has done, as etcd's manual says it."""
        self.delete(key, prefix=True)
        self.compact()
        for member in self.members:
            member.defragment()
        self.etcdctl("alarm", "disarm")

    def authenticate(self, root="root", users=(), prefix="/culvert/"):
        """Switch authentication on. users: (name, password) who may read and write the prefix."""
        self.etcdctl("user", "add", f"root:{root}")
        self.etcdctl("user", "grant-role", "root", "root")
        self.etcdctl("role", "add", "culvert")
        self.etcdctl("role", "grant-permission", "culvert", "--prefix=true", "readwrite", prefix)
        for name, password in users:
            self.etcdctl("user", "add", f"{name}:{password}")
            self.etcdctl("user", "grant-role", name, "culvert")
        self.etcdctl("auth", "enable")
        self.user = f"root:{root}"

    def snapshot(self, path):
        """Back up to a file."""
        self.etcdctl("snapshot", "save", path, members=[self.leader()])

    def restore(self, path):
        """
        All members end, lose all that they have, and begin with a backup: a new cluster at the same
        addresses, whose revisions go on from the backup's.
        """
        everybody = ",".join(f"{m.name}={m._peer()}" for m in self.members)
        for member in self.members:
            member.kill()
        for member in self.members:
            shutil.rmtree(member.data)
            subprocess.run(
                ["etcdctl", "snapshot", "restore", path, "--name", member.name, "--data-dir",
                 member.data, "--initial-cluster", everybody, "--initial-cluster-token",
                 self.directory, "--initial-advertise-peer-urls", member._peer()],
                env={**os.environ, "ETCDCTL_API": "3"}, check=True, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
        for member in self.members:
            member.spawn()
        for member in self.members:
            member.wait()

    def datastore(self, path, certificate=None, members=None, **fields):
        """
        Write a CalicoAPIConfig (datastore.cfg) for these members. certificate: (certificate, key)
        of the client, if it has one; fields: more of its spec (etcdUsername=…). Returns path.
        """
        spec = {
            "datastoreType": "etcdv3",
            "etcdEndpoints": ",".join(m.endpoint for m in members or self.members),
            **fields,
        }
        if self.tls:
            spec.setdefault("etcdCACertFile", self.tls.ca)
        if certificate:
            spec["etcdCertFile"], spec["etcdKeyFile"] = certificate
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="ascii") as f:
            json.dump({"apiVersion": "projectcalico.org/v3", "kind": "CalicoAPIConfig",
                       "metadata": {}, "spec": spec}, f, indent=2)
        os.rename(path + ".new", path)
        return path
