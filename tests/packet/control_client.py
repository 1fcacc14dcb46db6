#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Clients of the control socket that misbehave: control_client.py SOCKET WHAT [ARGUMENT].

Prints what the daemon said (an error's code, "ok", or "nothing") and whether the connection
was then closed or still open.
"""

import json
import os
import socket
import sys
import time

STATUS = b'{"version":1,"id":%d,"command":"status"}\n'


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(path)
    s.settimeout(15)
    return s


def send(s, data):
    """What the daemon does not want to read any more is its business."""
    try:
        s.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def told(s):
    """The answer, and how the connection is then, in words."""
    data = b""
    while not data.endswith(b"\n"):
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            break
        data += part
    if not data:
        return "nothing closed"
    answer = json.loads(data)
    code = "ok" if answer["ok"] else answer["error"]["code"]
    s.settimeout(0.3)
    try:
        state = "closed" if s.recv(1) == b"" else "chatty"
    except ConnectionResetError:
        state = "closed"
    except TimeoutError:
        state = "open"
    if code == "too-slow" and state == "open":
        s.settimeout(3)
        state = "closed" if s.recv(1) == b"" else "open"
    return f"{code} {state}"


def farewell(s, data):
    send(s, data)
    s.settimeout(15)
    text = told(s)
    if text.endswith(" open"):
        # An answer to a request that was understood; else give it its second to cut us off.
        code = text.split()[0]
        if code in ("malformed", "too-long", "not-permitted", "busy"):
            s.settimeout(3)
            return f"{code} closed" if s.recv(1) == b"" else text
    return text


def line(path, text):
    print(farewell(connect(path), os.fsencode(text) + b"\n"))


def zeros(path):
    print(farewell(connect(path), bytes(72 << 20)))


def long(path):
    print(farewell(connect(path), b'{"version":1,"command":"' + b"x" * (64 << 20) + b'"}\n'))


LONG = b'{"version":1,"id":%d,"command":"' + b"x" * (20 << 20) + b'"}'


def rather_long(path):
    """Two on one connection, and something short behind each: answers in order."""
    s = connect(path)
    for i in (0, 2):
        send(s, LONG % i + b"\n" + STATUS % (i + 1))
    with s.makefile("rb") as f:
        answers = [json.loads(f.readline()) for _ in range(4)]
    print(*(f"{a['id']}:{'ok' if a['ok'] else a['error']['code']}" for a in answers))


def two_long(path):
    """While one is under way, another is refused; the first one is understood."""
    first, second = connect(path), connect(path)
    send(first, (LONG % 1)[:-1])
    print(farewell(second, LONG % 2 + b"\n"))
    print(farewell(first, b"}\n"))


def nested(path):
    print(farewell(connect(path), b"[" * 100000 + b"\n"))


def half(path):
    s = connect(path)
    s.sendall(b'{"version":1,')
    s.shutdown(socket.SHUT_WR)
    print(told(s))


def ended(path):
    s = connect(path)
    s.sendall(STATUS % 1)
    s.shutdown(socket.SHUT_WR)
    print(told(s))


def pipeline(path, count):
    count = int(count)
    s = connect(path)
    s.sendall(b"".join(STATUS % i for i in range(count)))
    with s.makefile("rb") as f:
        ids = [json.loads(f.readline())["id"] for _ in range(count)]
    print(len(ids), "in order" if ids == list(range(count)) else "not in order")


def stubborn(path, count):
    """Many that ask and ask and never read."""
    crowd = []
    for _ in range(int(count)):
        s = connect(path)
        s.setblocking(False)
        try:
            while True:
                s.send(STATUS % 1 * 100)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
        crowd.append(s)
    time.sleep(3)


def idle(path, count):
    crowd = [connect(path) for _ in range(int(count))]
    time.sleep(3)
    del crowd


def slow(path):
    """One byte now and then, more often than any per-byte patience would run out."""
    s = connect(path)
    for byte in (STATUS % 1)[:-1]:
        try:
            s.send(bytes([byte]))
        except (BrokenPipeError, ConnectionResetError):
            break
        time.sleep(0.3)
    print(told(s))


def drop(path, count):
    """One after the other asks and is gone."""
    for i in range(int(count)):
        s = connect(path)
        s.sendall(STATUS % i)
        s.close()


def as_nobody(path):
    """Reach the socket through our root's descriptor of the directory, as another user."""
    os.chdir(os.path.dirname(path))
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    print(farewell(connect(os.path.basename(path)), STATUS % 1))


def notify(path):
    """systemd's end of sd_notify: print what comes, until STOPPING=1."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    s.settimeout(15)
    text = ""
    while text != "STOPPING=1":
        text = s.recv(4096).decode()
        print(text, flush=True)


if __name__ == "__main__":
    globals()[sys.argv[2].replace("-", "_")](sys.argv[1], *sys.argv[3:])
