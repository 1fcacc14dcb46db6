# SPDX-License-Identifier: Apache-2.0
"""
A culvertd that knows the requests of the CNI plugin alone, in the test's own process: it does what
src/agent/protocol.md says, may be made to answer as one wishes, and says what it was asked.
"""

import json
import os
import shutil
import socket
import tempfile
import threading
import time


class Refused(Exception):
    """The answer is an error: Refused(code, message)."""


class Agent:
    """
    Addresses are 10.244.1.1 and on, none twice. notes: (network, container, interface) to what is
    known of it. asked: all requests. override: command to a function(request) that is asked first
    (None: go on; "cut": end the connection), or raises Refused.
    """

    MTU = 1430

    def __init__(self, node):
        self.node = node
        self.run_dir = tempfile.mkdtemp(prefix="culvert-cni-agent-")
        self.notes, self.asked, self.override = {}, [], {}
        self.next = 1
        self.lock = threading.Lock()
        self.listener = None
        self.start()

    def start(self):
        """Listen."""
        path = os.path.join(self.run_dir, "culvertd.sock")
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(256)
        threading.Thread(target=self._listen, args=(self.listener,), daemon=True).start()

    def stop(self):
        """Listen no more; the socket's name stays, as after a kill -9."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = None

    def close(self):
        """Be gone."""
        if self.listener:
            self.stop()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def tombstones(self):
        """What DELs that met nobody have left: (network, container, interface)."""
        directory = os.path.join(self.run_dir, "tombstones")
        found = []
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            with open(os.path.join(directory, name), encoding="utf-8") as f:
                text = json.load(f)
            found.append((text["network"], text["container"], text["interface"]))
        return sorted(found)

    def commands(self):
        """The names of what was asked since the last call."""
        with self.lock:
            names = [request["command"] for request in self.asked]
            self.asked.clear()
        return names

    def _listen(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self._serve_lines(connection)
        except (OSError, ValueError, RuntimeError):
            pass  # the plugin was killed, or what it has made is gone

    def _serve_lines(self, connection):
        with connection, connection.makefile("rw", encoding="utf-8") as stream:
            for line in stream:
                if not self._answer(stream, json.loads(line)):
                    return

    def _answer(self, stream, request):
        answer = {"version": 1, "id": request["id"]}
        try:
            with self.lock:
                self.asked.append(request)
                override = self.override.get(request["command"])
            result = override(request) if override else None
            if result == "cut":
                return False
            if result is None:
                with self.lock:
                    result = getattr(self, request["command"].replace(".", "_"))(request)
            answer |= {"ok": True, "result": result}
            # As a command that has to wait: a first line before.
            if request["command"] in ("cni.add", "cni.del"):
                first = {"version": 1, "id": request["id"], "ok": True, "result": {"more": True}}
                stream.write(json.dumps(first) + "\n")
        except Refused as refused:
            answer |= {"ok": False,
                       "error": {"code": refused.args[0], "message": refused.args[1]}}
        stream.write(json.dumps(answer) + "\n")
        stream.flush()
        return True

    @staticmethod
    def _key(request):
        return request["network"], request["container"], request["interface"]

    def cni_add(self, request):
        """A note, and addresses."""
        note = self.notes.setdefault(self._key(request), {"state": "pending"})
        if request["ipam"] and "addresses" not in note:
            wanted = request.get("addresses")
            taken = [each for other in self.notes.values() for each in other.get("addresses", ())]
            if wanted and set(wanted) & set(taken):
                raise Refused("address-in-use", f"{wanted[0]} is another's")
            note["addresses"] = wanted or [f"10.244.1.{self.next + 1}"]
            self.next += 0 if wanted else 1
        note["request"] = request
        answer = {"mtu": self.MTU, "device": "?", "gateway": "169.254.1.1",
                  "addresses": [f"{each}/32" for each in note.get("addresses", ())]}
        if request["mode"] == "bridge":
            self.node.run(f"ip link add {request['bridge']} type bridge", check=False)
            self.node.ip(f"link set {request['bridge']} up")
            answer["bridge_addresses"] = ["10.244.1.1/26"]
            self.node.run(f"ip addr add 10.244.1.1/26 dev {request['bridge']}", check=False)
        return answer

    def cni_attach(self, request):
        """The route."""
        note = self.notes[self._key(request)]
        for address in request["addresses"]:
            if note["request"]["mode"] == "routed":
                self.node.ip(f"route replace {address} dev {request['device']}")
        note |= {"state": "attached", "attach": request}
        return {}

    def cni_del(self, request):
        """Forget it."""
        self.notes.pop(self._key(request), None)
        return {}

    def cni_check(self, request):
        """Whether it is known."""
        if self._key(request) not in self.notes:
            raise Refused("not-found", "there is no such attachment")
        return {"problems": []}

    def cni_gc(self, request):
        """Forget all others."""
        valid = {(request["network"], each["container"], each["interface"])
                 for each in request["valid"]}
        gone = [key for key in self.notes if key[0] == request["network"] and key not in valid]
        for key in gone:
            del self.notes[key]
        return {"removed": len(gone)}

    def cni_status(self, _request):
        """It is fine."""
        return {}


def slow(seconds):
    """An override that is late."""
    def wait(_request):
        time.sleep(seconds)
    return wait
