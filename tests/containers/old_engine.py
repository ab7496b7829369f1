"""Stands before an engine that is older than its client: python3 old_engine.py SOCKET VERSION CLIENT_VERSION.

testcontainers speaks the newest version of Docker's API alone, and engines refuse what is newer than they are; the
few calls that are made here have not changed. So the version in each request is replaced by the engine's own, which
has as many letters.
"""

import os
import socket
import sys
import threading

ENGINE = "/var/run/docker.sock"


def pump(source, target, replace=None):
    try:
        while data := source.recv(1 << 16):
            target.sendall(data.replace(*replace) if replace else data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side has gone; the other hears of it.
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(path, engine_version, client_version):
    old, new = (b" /v%s/" % version.encode() for version in (client_version, engine_version))
    assert len(old) == len(new), "lengths in headers would change"
    listener = socket.socket(socket.AF_UNIX)
    if os.path.exists(path):
        os.unlink(path)
    listener.bind(path)
    listener.listen()
    while True:
        client, _ = listener.accept()
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(ENGINE)
        threading.Thread(target=pump, args=(client, engine, (old, new)), daemon=True).start()
        threading.Thread(target=pump, args=(engine, client), daemon=True).start()


serve(*sys.argv[1:])
