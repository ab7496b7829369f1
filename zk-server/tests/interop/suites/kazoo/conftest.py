"""Fixtures of the kazoo suite: clients, a scratch path per test, and the means to stop and start the server.

The environment (set by ../../run) says where the server is: INTEROP_HOSTS, and INTEROP_CONTROL, a command that
takes `stop`, `start`, `restart` or `kill`; without INTEROP_CONTROL the tests marked `restarts` are failures,
never silent skips.
"""

import os
import shlex
import subprocess
import time

import pytest
from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

HOSTS = os.environ["INTEROP_HOSTS"]

# The same server four times: kazoo gives each host its share of the session timeout to answer, and Java's servers leave
# a connection that comes while they start without an answer. The session must outlive that wait.
PATIENT_HOSTS = ",".join([HOSTS] * 4)


def pytest_configure(config):
    config.addinivalue_line("markers", "restarts: stops or restarts the server under test")


def eventually(condition, within=10.0, what=None):
    """Waits until condition() is true and returns what it returned."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "never came true: %s" % (what or condition)
        time.sleep(0.02)


class Server:
    """The server under test as something that can be stopped."""

    def control(self, verb):
        command = os.environ.get("INTEROP_CONTROL")
        assert command, "this test restarts the server, and INTEROP_CONTROL does not say how"
        subprocess.run(shlex.split(command) + [verb], check=True, timeout=60)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def connect():
    """A function that makes started clients, all of which are stopped at the end of the test."""
    clients = []

    def make(start=True, hosts=PATIENT_HOSTS, **options):
        options.setdefault("timeout", 10.0)
        options.setdefault("connection_retry", KazooRetry(max_tries=-1, delay=0.1, backoff=1, max_jitter=0.1))
        client = KazooClient(hosts=hosts, **options)
        clients.append(client)
        if start:
            client.start(timeout=15)
        return client

    yield make
    for client in clients:
        try:
            client.stop()
        finally:
            client.close()


@pytest.fixture
def zk(connect):
    return connect()


@pytest.fixture
def base(request, connect):
    """A fresh node for the test to work under; removed afterwards by a client that may do anything."""
    path = "/" + request.node.name.replace("[", "-").replace("]", "")
    admin = connect(auth_data=[("digest", "super:test")])
    admin.delete(path, recursive=True) if admin.exists(path) else None
    admin.create(path)
    yield path
    cleaner = connect(auth_data=[("digest", "super:test")])
    if cleaner.exists(path):
        cleaner.delete(path, recursive=True)


@pytest.fixture
def version(zk):
    return zk.server_version()


_counts = {"passed": 0, "failed": 0}


def pytest_runtest_logreport(report):
    if report.failed:
        _counts["failed"] += 1
    elif report.when == "call" and report.passed:
        _counts["passed"] += 1
    elif report.skipped:
        _counts["failed"] += 1  # nothing here may skip itself


def pytest_unconfigure(config):
    print("%(passed)d passed, %(failed)d failed" % _counts, flush=True)
