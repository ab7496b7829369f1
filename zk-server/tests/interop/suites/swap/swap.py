"""Servers take turns on one data directory; whatever one leaves, the next must show.

Each leg: a server starts on what the last one left; the tree with every stat and ACL, the sessions, their ephemerals and
the zxid must be the same; every session is taken up again with its id and password. Then it makes changes of its own, and
ends by SIGTERM or SIGKILL. Prints `N passed, N failed` as its last line.
"""

import glob
import os
import re
import socket
import subprocess
import sys
import time
import traceback

import rollover
from client import EXISTS, Client, buffer, create, delete, word
from forest import NODES, Forest

HERE = os.path.dirname(os.path.abspath(__file__))
CONTROL = os.path.join(HERE, "..", "..", "lib", "server")
JAVA39 = bool(glob.glob(os.environ["ZK39_LIB"] + "/zookeeper-3.9*.jar"))


class Leg:
    def __init__(self, kind, end, compression=None, only_snapshot=False):
        self.kind, self.end, self.compression, self.only_snapshot = kind, end, compression, only_snapshot

    def __str__(self):
        return self.kind + (" writing %s" % self.compression if self.compression else "")


def legs():
    """The order of the servers. `only_snapshot`: what is older than the newest snapshot is taken away before the leg."""
    yield from (Leg("java38", "stop"), Leg("ours", "stop"), Leg("java38", "kill"), Leg("ours", "kill"), Leg("java38", "stop"))
    newest = "java39" if JAVA39 else "java38"
    if JAVA39:
        yield from (Leg("ours", "kill"), Leg("java39", "kill"), Leg("ours", "stop"), Leg("java39", "stop"))
    for method in ("gz", "snappy"):
        yield Leg("ours", "stop", method)
        yield Leg(newest, "stop", method, only_snapshot=True)
        yield Leg("ours", "stop", None, only_snapshot=True)
    yield Leg("java38", "stop")


class Stage:
    """The directory, and whoever serves it."""

    def __init__(self, root, port):
        self.root, self.port = root, port
        self.environment = dict(os.environ)

    def start(self, leg):
        lines = ["tickTime=2000", "maxSessionTimeout=600000", "dataDir=%s/data" % self.root, "clientPort=%d" % self.port,
                 "clientPortAddress=127.0.0.1", "maxClientCnxns=0", "admin.enableServer=false", "4lw.commands.whitelist=*",
                 "extendedTypesEnabled=true", "preAllocSize=1024", "znode.container.checkIntervalMs=1000",
                 "DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU="]
        # Java writes a snapshot whenever it starts; where the snapshot matters, ours must come to one by writing.
        lines.append("snapCount=%d" % (400 if leg.compression and leg.kind == "ours" else 4000))
        if leg.compression:
            lines.append("snapshot.compression.method=" + leg.compression)
        os.makedirs(self.root + "/data", exist_ok=True)
        with open(self.root + "/zoo.cfg", "w") as config:
            config.write("\n".join(lines) + "\n")
        self.environment["INTEROP_SERVER"] = leg.kind
        self.control("start")

    def control(self, verb):
        subprocess.run([CONTROL, verb, self.root], check=True, env=self.environment, timeout=60)

    def files(self, kind):
        """The files of a kind by their zxid, oldest first."""
        names = (re.fullmatch(r"%s\.([0-9a-f]+)(\.gz|\.snappy)?" % kind, name) for name in os.listdir(self.root + "/data/version-2"))
        return sorted((int(match[1], 16), match[0]) for match in names if match)

    def keep_only_the_newest_snapshot(self, suffix):
        at, newest = self.files("snapshot")[-1]
        assert newest.endswith("." + suffix), "the newest snapshot is %s" % newest
        logs = self.files("log")
        needed = max((start for start, _ in logs if start <= at + 1), default=0)
        away = [name for start, name in logs if start < needed] + [name for _, name in self.files("snapshot")[:-1]]
        assert away, "nothing was older than %s" % newest
        for name in away:
            os.remove("%s/data/version-2/%s" % (self.root, name))

    def await_snapshot(self, suffix, newer_than):
        deadline = time.monotonic() + 30
        while not any(at > newer_than and name.endswith("." + suffix) for at, name in self.files("snapshot")):
            assert time.monotonic() < deadline, "no snapshot .%s came: %s" % (suffix, self.files("snapshot"))
            time.sleep(0.1)

    def zxid(self):
        return int(re.search(r"^Zxid: 0x([0-9a-f]+)$", word(self.port, "srvr"), re.M)[1], 16)

    def sessions(self):
        """(all sessions, ephemerals by session), as `dump` shows them."""
        trackers, _, rest = word(self.port, "dump").partition("ephemeral nodes dump:")
        known = sorted(int(match, 16) for match in re.findall(r"^\t0x([0-9a-f]+)$", trackers, re.M))
        owned, owner = {}, None
        for line in rest.partition("Connections dump:")[0].splitlines():
            if match := re.fullmatch(r"0x([0-9a-f]+):", line):
                owner = int(match[1], 16)
            elif line.startswith("\t"):
                owned.setdefault(owner, []).append(line[1:])
        return known, {session: sorted(paths) for session, paths in owned.items()}

    def digest_mismatches(self):
        return int(re.search(r"^zk_digest_mismatches_count\t(\d+)$", word(self.port, "mntr"), re.M)[1])


class Report:
    passed = failed = 0

    def expect(self, what, got, wanted):
        if got == wanted:
            Report.passed += 1
            return
        Report.failed += 1
        print("FAILED %s" % what)
        if isinstance(wanted, dict):
            wrong = [key for key in {**wanted, **got} if wanted.get(key) != got.get(key)]
            print("error: %d of %d differ, such as" % (len(wrong), len(wanted)))
            for key in wrong[:5]:
                print("  %r\n    was %s\n    is  %s" % (key, wanted.get(key), got.get(key)))
        else:
            print("error: was %s\n       is  %s" % (str(wanted)[:500], str(got)[:500]))


def picture(stage, forest):
    """All that the next server must show."""
    keeper = forest.keeper(stage.port)
    tree = keeper.walk()
    keeper.close()
    return {"tree": tree, "sessions": stage.sessions(), "zxid": stage.zxid()}


def compare(report, stage, forest, before, name):
    report.expect(name + ": the zxid", stage.zxid(), before["zxid"])
    report.expect(name + ": the sessions and their ephemerals", stage.sessions(), before["sessions"])
    now = picture(stage, forest)
    report.expect(name + ": the tree", now["tree"], before["tree"])
    # The onlooker's own session, opened and closed.
    report.expect(name + ": the zxid after a look", now["zxid"], before["zxid"] + 2)


def take_up(report, stage, forest, name):
    """Every session comes back by its id and password, and by no other."""
    forged = Client(stage.port, session=forest.owners[0].session, password=b"\7" * 16)
    report.expect(name + ": a forged password", (forged.timeout, forged.session), (0, 0))
    owners = []
    for old in forest.owners:
        old.vanish()
        owner = Client(stage.port, session=old.session, password=old.password)
        report.expect(name + ": session %x" % old.session, (owner.session, owner.password, owner.timeout),
                      (old.session, old.password, old.timeout))
        owner.mine = old.mine
        report.expect(name + ": ephemerals of %x" % old.session, owner.ephemerals(), owner.mine)
        owners.append(owner)
    forest.owners = owners


def assert_varied(tree):
    """The picture would prove little if half of it were missing."""
    # No stat tells containers and nodes with a TTL from others; that they still are such shows at the end.
    counts = {
        "nodes": len(tree), "containers": len(tree["/swap/containers"].children),
        "with a TTL": len(tree["/swap/ttl"].children), "ephemerals": sum(node.stat[7] != 0 for node in tree.values()),
        "without data": sum(node.data is None for node in tree.values()),
        "with rights": sum(node.acl != [(31, "world", "anyone")] for node in tree.values()),
        "not ASCII": sum(not path.isascii() for path in tree),
        "changed": sum(node.stat[4] > 0 for node in tree.values()),
    }
    least = {"nodes": NODES, "containers": 240, "with a TTL": 1000, "ephemerals": 800, "without data": 500,
             "with rights": 1000, "not ASCII": 500, "changed": 200}
    assert all(counts[what] >= wanted for what, wanted in least.items()), counts
    print("planted: %s" % ", ".join("%d %s" % (count, what) for what, count in counts.items()))


def reaps_what_java_made(report, stage, forest):
    """What the first server made still is of its kind to the last: emptied, some nodes go and others stay."""
    keeper = forest.keeper(stage.port)
    temporary = ["/swap/containers/plain0", "/swap/ttl/lapsed"]
    lasting = ["/swap/ttl/t0", "/swap/sequential/s-0000000000", "/swap/plain/plain"]
    assert keeper.one(create("/swap/plain/plain/kept", b"")).err in (0, -110)
    assert all(reply.err == 0 for reply in keeper.all([delete(path + "/kept") for path in temporary + lasting[2:]]))
    exists = [(EXISTS, buffer(path) + b"\0") for path in temporary + lasting]
    wanted, deadline = [-101] * len(temporary) + [0] * len(lasting), time.monotonic() + 15
    while (errors := [reply.err for reply in keeper.all(exists)]) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    report.expect("what is reaped, and what is not", errors, wanted)
    keeper.close()


def run(report, stage, forest):
    before = last = None
    for leg in legs():
        begun = time.monotonic()
        name = "%s after %s" % (leg, "%s, %s" % (last, {"stop": "stopped", "kill": "killed"}[last.end]) if last else "nothing")
        if leg.only_snapshot:
            stage.keep_only_the_newest_snapshot(last.compression)
        stage.start(leg)
        if before is None:
            forest.plant(stage.port)
        else:
            compare(report, stage, forest, before, name)
            take_up(report, stage, forest, name)
            newest = stage.files("snapshot")[-1][0] if stage.files("snapshot") else 0
            forest.change(stage.port)
            if leg.compression and leg.kind == "ours":
                stage.await_snapshot(leg.compression, newest)
        report.expect(name + ": digest mismatches", stage.digest_mismatches(), 0)
        before = picture(stage, forest)
        if last is None:
            assert_varied(before["tree"])
        final = leg
        if leg.end == "kill":
            stage.control("kill")
        else:
            stage.control("stop")
        print("%s: %d nodes, %.1f s" % (name, len(before["tree"]), time.monotonic() - begun), flush=True)
        last = final
    stage.start(Leg("ours", "stop"))
    compare(report, stage, forest, before, "ours at last")
    reaps_what_java_made(report, stage, forest)
    stage.control("stop")


def main():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    report, stage = Report(), Stage(os.environ["INTEROP_RUN"] + "/server", port)
    try:
        run(report, stage, Forest(seed=20))
        stage = Stage(os.environ["INTEROP_RUN"] + "/rollover", port)
        rollover.run(report, stage, Leg, ["java38"] + ["java39"] * JAVA39)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        Report.failed += 1
        subprocess.run(["tail", "-20", stage.root + "/log"])
    finally:
        subprocess.run([CONTROL, "kill", stage.root], env=stage.environment)
    print("%d passed, %d failed" % (Report.passed, Report.failed))
    return 1 if Report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
