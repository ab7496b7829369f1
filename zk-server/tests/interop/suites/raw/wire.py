"""Speaking the protocol by hand: a connection, jute's few types, and replies as one line of text."""

import os
import re
import socket
import struct
import time

PING, CLOSE = 11, -11


def number(*values):
    return struct.pack("!%di" % len(values), *values)


def long(value):
    return struct.pack("!q", value)


def this_hour():
    """A pattern for the millisecond clock as it may stand in a Stat made by this run."""
    now = int(time.time() * 1000)
    return "|".join({"%s[0-9a-f]{6}" % ("%016x" % at)[:10] for at in (now, now - 600_000)})


def text(value):
    data = value.encode()
    return number(len(data)) + data


OPEN = number(1, 31) + text("world") + text("anyone")


class Connection:
    def __init__(self, session=True):
        host, port = os.environ["INTEROP_HOSTS"].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 5)
        self.socket.settimeout(3)
        self.zxid = None
        if session:
            # Long enough that no session left behind expires, and takes a zxid, while this runs.
            self.send(number(0) + long(0) + number(60_000) + long(0) + number(16) + b"\0" * 17)
            self.receive()
            self.request(-2, PING, b"")
            self.zxid = struct.unpack_from("!iq", self.receive())[1]

    def send(self, payload):
        self.socket.sendall(number(len(payload)) + payload)

    def request(self, xid, kind, body):
        self.send(number(xid, kind) + body)

    def receive(self):
        """One frame, or a word for why there is none."""
        head = self._exactly(4)
        return head if isinstance(head, str) else self._exactly(struct.unpack("!i", head)[0])

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                chunk = self.socket.recv(count - len(data))
            except (ConnectionResetError, BrokenPipeError):
                return "closed"
            except TimeoutError:
                return "silence"
            if not chunk:
                return "closed"
            data += chunk
        return data

    def reply(self):
        """The next frame as text: its xid, how its zxid follows the last known one, its error, its body."""
        frame = self.receive()
        if isinstance(frame, str):
            return frame
        if len(frame) < 16:
            return "frame " + frame.hex()
        xid, zxid, error = struct.unpack_from("!iqi", frame)
        relation = {-1: "-1", 0: "0", self.zxid: "same"}.get(zxid)
        if relation is None:
            relation = "next" if self.zxid is not None and zxid == self.zxid + 1 else "other"
        body = frame[16:].hex().replace("%016x" % (zxid & (2**64 - 1)), "<zxid>")
        body = re.sub(this_hour(), "<time>", body)
        return "xid %d zxid %s err %d%s" % (xid, relation, error, " " + body if body else "")

    def end(self):
        try:
            self.request(9, CLOSE, b"")
            # What the probe left unread comes first. The next one must not find this session's end under way.
            while isinstance(frame := self.receive(), bytes) and frame[:4] != number(9):
                pass
        except OSError:
            pass
        self.socket.close()


def probe(name, kind, body, xid=5, before=None):
    """Sends one request on a session of its own; prints the reply and whether the connection outlives it."""
    connection = Connection()
    if before:
        connection.request(1, *before)
        connection.receive()
    connection.request(xid, kind, body)
    answers = [connection.reply()]
    if answers[0] != "closed":
        try:
            connection.request(-2, PING, b"")
            after = connection.reply()
        except OSError:
            after = "closed"
        answers.append("alive" if after.startswith("xid -2 ") else after)
    print("%s: %s" % (name, ", ".join(answers)))
    connection.end()


def frame(name, data, session=True):
    """Sends bytes as they are."""
    connection = Connection(session)
    connection.socket.sendall(data)
    answer = connection.receive()
    if isinstance(answer, bytes):
        # A ConnectResponse: its length, its timeout, whether there is a session.
        known = struct.unpack_from("!iiq", answer)
        answer = "connected, %d bytes, timeout %d, session %s" % (len(answer), known[1], "yes" if known[2] else "no")
        if known[2]:
            # One with a short timeout would expire, and take a zxid, between two later probes.
            connection.request(1, -11, b"")
            connection.receive()
    print("%s: %s" % (name, answer))
    connection.end()
