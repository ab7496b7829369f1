"""A session spoken by hand, for what a well-behaved client never does: fall silent, lie about its password."""

import os
import socket
import struct
from collections import namedtuple

from kazoo.protocol.serialization import Create, Create2

Granted = namedtuple("Granted", "timeout session password")


class Raw:
    def __init__(self):
        host, port = os.environ["INTEROP_HOSTS"].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 10)

    def send(self, payload):
        self.socket.sendall(struct.pack("!i", len(payload)) + payload)

    def receive(self):
        """One frame, or None when the server has closed the connection."""
        head = self._exactly(4)
        return None if head is None else self._exactly(struct.unpack("!i", head)[0])

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                chunk = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not chunk:
                return None
            data += chunk
        return data

    def connect(self, timeout=1000, session=0, password=b"\0" * 16, last_zxid=0):
        self.send(
            struct.pack("!iqiq", 0, last_zxid, timeout, session)
            + struct.pack("!i", len(password)) + password + b"\0"
        )
        frame = self.receive()
        if frame is None:
            return None
        _, granted, session, length = struct.unpack_from("!iiqi", frame)
        return Granted(granted, session, frame[20:20 + length])

    def call(self, xid, kind, body):
        """One request; the (xid, zxid, error) of the next frame and what follows it."""
        self.send(struct.pack("!ii", xid, kind) + body)
        frame = self.receive()
        return None if frame is None else (struct.unpack_from("!iqi", frame), frame[16:])

    def closed(self, within):
        """Whether the server closes this connection, without another frame, in so many seconds."""
        self.socket.settimeout(within)
        try:
            return self.receive() is None
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()


class CreateContainer(Create2):
    """Operation 19: as create2, on flag 4."""

    type = 19


class CreateTtl(namedtuple("CreateTtl", "path data acl flags ttl")):
    """Operation 21: create2 and, at its end, how long the node may be left alone."""

    type = 21

    def serialize(self):
        return bytes(Create(*self[:4]).serialize()) + struct.pack("!q", self.ttl)

    deserialize = Create2.deserialize


def perform(client, operation):
    """Runs an operation that kazoo has no method for, through a kazoo client."""
    result = client.handler.async_result()
    client._call(operation, result)
    return result.get(timeout=10)
