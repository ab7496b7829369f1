"""Makes kazoo's own test harness run the server under test.

kazoo's tests start their servers themselves, as Java processes with a Java key store for TLS. Here the one
method that does so is replaced: it writes the configuration kazoo would have written, without the TLS listener,
and starts it through lib/server. Everything else (stop, reset, restart between tests) stays kazoo's.

Also prints the suite's last line and, with INTEROP_OUTCOMES, one line per test for expected.txt.
"""

import logging
import os
import subprocess
import sys
import types

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = os.path.join(HERE, "..", "..", "lib", "server")

# kazoo.testing.common imports these two for its certificates, which nothing here uses.
for name in ("OpenSSL", "jks"):
    if name not in sys.modules:
        sys.modules[name] = types.ModuleType(name)

from kazoo.testing import common  # noqa: E402


def _listed(name):
    with open(os.path.join(HERE, name)) as lines:
        return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def _write_config(self):
    data = os.path.join(self.working_path, "data")
    os.makedirs(data, exist_ok=True)
    lines = [
        "tickTime=2000",
        "dataDir=%s" % data,
        "clientPort=%s" % self.server_info.client_port,
        "maxClientCnxns=0",
        "admin.enableServer=false",
        "preAllocSize=1024",
        "readonlymode.enabled=true",
    ]
    lines += self.configuration_entries
    # -Dzookeeper.x=y on Java's command line and x=y in the file are the same setting.
    for flag in self.java_system_properties:
        lines.append(flag.replace("-Dzookeeper.", "", 1))
    if self.peers:
        lines += ["initLimit=4", "syncLimit=2", "peerType=%s" % self.server_info.peer_type]
        for peer in (self.server_info,) + tuple(self.peers):
            lines.append(
                "server.%s=localhost:%s:%s:%s"
                % (peer.server_id, peer.leader_port, peer.election_port, peer.peer_type)
            )
    with open(os.path.join(data, "myid"), "w") as myid:
        myid.write(str(self.server_info.server_id))
    with open(os.path.join(self.working_path, "zoo.cfg"), "w") as config:
        config.write("\n".join(lines) + "\n")


def _run(self):
    if self.running:
        return
    os.makedirs(self.working_path, exist_ok=True)
    _write_config(self)
    with open(os.path.join(self.working_path, "zookeeper.log"), "ab") as log:
        self.process = subprocess.Popen(
            [SERVER, "run", self.working_path], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    self._running = True


common.ManagedZooKeeper.run = _run
common.ZookeeperCluster.perform_ssl_certs_generation = lambda self: None


# The recorded outcomes are of our run's choosing: everything in expected.txt must pass, and in an ensemble what is in
# expected-ensemble.txt too; nothing else runs unless INTEROP_RECORD asks for a fresh recording.
def pytest_collection_modifyitems(config, items):
    excluded = set(_listed("excluded.txt"))
    ensemble = int(os.environ.get("ZOOKEEPER_CLUSTER_SIZE", "1")) > 1
    wanted = set(_listed("expected.txt"))
    if ensemble:
        wanted |= set(_listed("expected-ensemble.txt"))
        if os.environ.get("INTEROP_SERVER") == "ours":
            wanted -= set(_listed("not-ours.txt"))
    record = os.environ.get("INTEROP_RECORD")
    kept, dropped = [], []
    for item in items:
        name = item.nodeid.split("kazoo/tests/")[-1]
        item.interop_name = name
        parts = name.split("::")
        if any("::".join(parts[:n]) in excluded for n in range(1, len(parts) + 1)):
            dropped.append(item)
        elif not record and name not in wanted:
            dropped.append(item)
        else:
            kept.append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)
    config.interop_missing = [] if record else sorted(wanted - {i.interop_name for i in kept})


_outcomes = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    before = _outcomes.get(item.interop_name, "passed")
    if report.failed:
        _outcomes[item.interop_name] = "failed"
    elif report.skipped and before == "passed":
        _outcomes[item.interop_name] = "skipped"
    else:
        _outcomes[item.interop_name] = before


def pytest_unconfigure(config):
    record = os.environ.get("INTEROP_RECORD")
    if record:
        with open(record, "w") as out:
            for name, outcome in sorted(_outcomes.items()):
                out.write("%s %s\n" % (outcome, name))
    missing = getattr(config, "interop_missing", [])
    for name in missing:
        print("expected test was not found: %s" % name)
    for name, outcome in sorted(_outcomes.items()):
        if outcome == "skipped" and not record:
            print("expected to pass, but skipped itself: %s" % name)
    passed = sum(1 for outcome in _outcomes.values() if outcome == "passed")
    failed = len(_outcomes) - passed + len(missing)
    # Clients that tests left behind still complain, and the count must be the last line.
    logging.disable(logging.CRITICAL)
    print("%d passed, %d failed" % (passed, failed), flush=True)
