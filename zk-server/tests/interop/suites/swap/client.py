"""A session spoken by hand, many requests at a time: a tree of ten thousand nodes is made and read in seconds."""

import socket
import struct
from collections import namedtuple

CREATE, DELETE, EXISTS, GET, SET, GET_ACL, SET_ACL, CHILDREN2, CHECK, MULTI = 1, 2, 3, 4, 5, 6, 7, 12, 13, 14
CREATE2, CREATE_CONTAINER, CREATE_TTL, AUTH, GET_EPHEMERALS, CLOSE = 15, 19, 21, 100, 103, -11
AT_ONCE = 200

Reply = namedtuple("Reply", "zxid err body")
Node = namedtuple("Node", "data stat acl children")


def number(*values):
    return struct.pack("!%di" % len(values), *values)


def long(value):
    return struct.pack("!q", value)


def buffer(value):
    """A string or bytes; None is null."""
    data = value.encode() if isinstance(value, str) else value
    return number(-1) if data is None else number(len(data)) + data


def acl(entries):
    return number(len(entries)) + b"".join(number(perms) + buffer(scheme) + buffer(id_) for perms, scheme, id_ in entries)


OPEN = [(31, "world", "anyone")]


def create(path, data, flags=0, entries=OPEN, ttl=None):
    body = buffer(path) + buffer(data) + acl(entries) + number(flags)
    if ttl is not None:
        return CREATE_TTL, body + long(ttl)
    return (CREATE_CONTAINER if flags == 4 else CREATE2), body


def delete(path, version=-1):
    return DELETE, buffer(path) + number(version)


def set_data(path, data, version=-1):
    return SET, buffer(path) + buffer(data) + number(version)


def set_acl(path, entries):
    return SET_ACL, buffer(path) + acl(entries) + number(-1)


def check(path, version=-1):
    return CHECK, buffer(path) + number(version)


def multi(operations):
    parts = (number(op) + b"\0" + number(-1) + body for op, body in operations)
    return MULTI, b"".join(parts) + number(-1) + b"\1" + number(-1)


class Reading:
    """Jute, from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value if len(value) > 1 else value[0]

    def buffer(self):
        length = self.take("!i")
        if length < 0:
            return None
        self.at += length
        return self.data[self.at - length:self.at]

    def text(self):
        return self.buffer().decode()

    def stat(self):
        return self.take("!qqqqiiiqiiq")

    def list(self, item):
        return [item() for _ in range(self.take("!i"))]


class Client:
    def __init__(self, port, timeout=600_000, session=0, password=b"\0" * 16):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.timeout_asked = timeout
        self._send(number(0) + long(0) + number(timeout) + long(session) + buffer(password) + b"\0")
        answer = Reading(self._receive())
        _, self.timeout, self.session = answer.take("!iiq")
        self.password = answer.buffer()

    def _send(self, payload):
        self.socket.sendall(number(len(payload)) + payload)

    def _receive(self):
        return self._exactly(struct.unpack("!i", self._exactly(4))[0])

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise EOFError("the server closed the connection")
            data += chunk
        return bytes(data)

    def all(self, requests):
        """Sends all requests, a few hundred in flight at a time, and returns their replies."""
        replies = []
        for start in range(0, len(requests), AT_ONCE):
            batch = requests[start:start + AT_ONCE]
            frames = (number(len(body) + 8, 1 + n, op) + body for n, (op, body) in enumerate(batch))
            self.socket.sendall(b"".join(frames))
            for n in range(len(batch)):
                frame = self._receive()
                xid, zxid, err = struct.unpack_from("!iqi", frame)
                assert xid == 1 + n, "reply %d came as the answer to request %d" % (xid, 1 + n)
                replies.append(Reply(zxid, err, frame[16:]))
        return replies

    def one(self, request):
        return self.all([request])[0]

    def authenticate(self, scheme, secret):
        self._send(number(-4, AUTH, 0) + buffer(scheme) + buffer(secret))
        err = struct.unpack_from("!iqi", self._receive())[2]
        assert err == 0, "auth was refused: %d" % err
        return self

    def ephemerals(self):
        reply = self.one((GET_EPHEMERALS, buffer("/")))
        assert reply.err == 0
        body = Reading(reply.body)
        return sorted(body.list(body.text))

    def walk(self):
        """Every node with all there is to see of it."""
        tree, level = {}, ["/"]
        while level:
            requests = [r for path in level for r in (
                (GET, buffer(path) + b"\0"), (GET_ACL, buffer(path)), (CHILDREN2, buffer(path) + b"\0"))]
            replies = self.all(requests)
            below = []
            for n, path in enumerate(level):
                got = replies[3 * n:3 * n + 3]
                assert all(reply.err == 0 for reply in got), (path, [reply.err for reply in got])
                data, entries, names = (Reading(reply.body) for reply in got)
                value, stat = data.buffer(), data.stat()
                rights = entries.list(lambda: (entries.take("!i"), entries.text(), entries.text()))
                assert stat == entries.stat(), path
                children = sorted(names.list(names.text))
                tree[path] = Node(value, stat, rights, children)
                below += [(path if path != "/" else "") + "/" + name for name in children]
            level = below
        return tree

    def close(self):
        """Ends the session."""
        assert self.one((CLOSE, b"")).err == 0
        self.socket.close()

    def vanish(self):
        """Ends the connection only."""
        self.socket.close()


def word(port, letters):
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(letters.encode())
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    return answer.decode()
