"""What the servers hand each other: ten thousand nodes of every kind, the sessions they belong to, and the changes of a day."""

import random

from client import CREATE, Client, check, create, delete, multi, set_acl, set_data

NODES = 10_000
EPHEMERAL, SEQUENTIAL, CONTAINER, TTL = 1, 2, 4, 5
HOURS = 3_600_000

RIGHTS = [
    [(31, "world", "anyone")],
    [(1, "world", "anyone"), (31, "digest", "ann:wT5RbVPkuxzVm06J4SJJmVvAxVo=")],
    [(31, "ip", "127.0.0.1"), (1, "ip", "10.0.0.0/8")],
    [(31, "digest", "bärbel:wT5RbVPkuxzVm06J4SJJmVvAxVo="), (17, "world", "anyone"), (2, "ip", "192.168.1.7")],
    [(31, "auth", "")],
    [(0, "world", "anyone")],
]
NAMES = ["plain", "ünï-code", "名前", "ключ", "with blank", "a.b", "…", "-", "x" * 200, "\u00a0", "\ud7ff", "%2F"]
VALUES = [None, b"", b"0", b"text", bytes(range(256)), b"\0" * 1000, "größer".encode(), b"k" * 4096]


class Forest:
    """Knows what it planted, so that it can tell that a server has really got all of it."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.leaves = []
        self.owners = []
        self.round = 0

    def keeper(self, port):
        return Client(port).authenticate("digest", "super:test").authenticate("digest", "ann:secret")

    def plant(self, port):
        """Everything, on an empty server."""
        client = self.keeper(port)
        done(client.all([create(path, b"") for path in (
            "/swap", "/swap/plain", "/swap/sequential", "/swap/ttl", "/swap/containers", "/swap/ephemerals", "/swap/quota")]))
        self._deep(client)
        sequels = [create("/swap/sequential/s-", self._value(), SEQUENTIAL, self._rights()) for _ in range(1000)]
        done(client.all(sequels))
        lasting = [create("/swap/ttl/t%d" % n, self._value(), TTL, self._rights(), 2 * HOURS + n) for n in range(500)]
        lasting += [create("/swap/ttl/s-", self._value(), TTL + 1, self._rights(), 3 * HOURS) for _ in range(500)]
        done(client.all(lasting))
        # Its time is up at once, but it has a child.
        done(client.all([create("/swap/ttl/lapsed", b"", TTL, ttl=1), create("/swap/ttl/lapsed/kept", b"")]))
        boxes = ["/swap/containers/%s%d" % (name, n) for n, name in enumerate(NAMES * 20)]
        done(client.all([create(path, self._value(), CONTAINER, self._rights()) for path in boxes]))
        # Every second one has been used, and must not become empty: then it would be reaped.
        done(client.all([create(path + "/kept", b"") for path in boxes[::2]]))
        self._quotas(client)
        for _ in range(12):
            self.open_session(port)
        self.leaves = ["/swap/plain/leaf%d" % n for n in range(NODES - 5500)]
        done(client.all([create(path, self._value(), 0, self._rights()) for path in self.leaves]))
        self.change(port, client)

    def _deep(self, client):
        paths = ["/swap/plain/%s" % name for name in NAMES]
        for parent in paths:
            if len(paths) >= 2500:
                break
            if parent.count("/") < 7:
                paths += ["%s/%s" % (parent, name) for name in self.random.sample(NAMES, 6) if len(name) < 100]
        done(client.all([create(path, self._value(), 0, self._rights()) for path in paths]))

    def _quotas(self, client):
        limits = [("hard", b"count=-1,bytes=-1=;byteHardLimit=1000000;countHardLimit=500"), ("soft", b"count=100,bytes=5000")]
        requests = [create("/swap/quota/" + name, b"") for name, _ in limits]
        requests += [create("/zookeeper/quota/swap", b""), create("/zookeeper/quota/swap/quota", b"")]
        for name, limit in limits:
            node = "/zookeeper/quota/swap/quota/" + name
            requests += [create(node, b""), create(node + "/zookeeper_limits", limit)]
            requests += [create(node + "/zookeeper_stats", b"count=1,bytes=0")]
            requests += [create("/swap/quota/%s/%d" % (name, n), b"x" * n) for n in range(40)]
        done(client.all(requests))

    def open_session(self, port):
        """A session with ephemerals, which stays open when its server goes."""
        owner = self.keeper(port)
        n = len(self.owners) + 100 * self.round
        requests = [create("/swap/ephemerals/%s-%d-%d" % (name, n, m), self._value(), EPHEMERAL, self._rights())
                    for m, name in enumerate(NAMES * 5)]
        requests += [create("/swap/ephemerals/s-", self._value(), EPHEMERAL | SEQUENTIAL) for _ in range(15)]
        done(owner.all(requests))
        owner.mine = owner.ephemerals()
        assert len(owner.mine) == len(requests)
        self.owners.append(owner)

    def change(self, port, client=None):
        """What a server sees in its time: changes of every kind, failures among them, sessions that come and go."""
        client, self.round = client or self.keeper(port), self.round + 1
        pick, replies = self.random.choice, []
        for _ in range(8):
            gone = set(self.random.sample(self.leaves, 20))
            requests = [delete(path) for path in gone]
            self.leaves = [path for path in self.leaves if path not in gone]
            new = ["/swap/plain/r%d-%d" % (self.round, self.random.getrandbits(60)) for _ in range(25)]
            requests += [create(path, self._value(), 0, self._rights()) for path in new]
            self.leaves += new
            requests += [set_data(pick(self.leaves), self._value()) for _ in range(60)]
            requests += [set_acl(pick(self.leaves), self._rights()) for _ in range(20)]
            requests += [create("/swap/sequential/s-", None, SEQUENTIAL) for _ in range(5)]
            requests += [set_data("/swap/quota/soft/%d" % pick(range(40)), self._value()) for _ in range(5)]
            requests += [create("/swap/ttl/r%d-%d" % (self.round, self.random.getrandbits(60)), b"", TTL, ttl=HOURS)]
            replies += done(client.all(requests))
            refused = client.all([delete("/swap"), create("/swap", b""), set_data("/none", b""), delete("/swap/plain", 77),
                                  create("/swap/ephemerals/x/y", b"", EPHEMERAL), create("no slash", b"")])
            assert all(reply.err != 0 for reply in refused)
            self._multis(client)
        ended = self.owners.pop(self.random.randrange(len(self.owners)))
        ended.close()
        self.open_session(port)
        client.close()

    def _multis(self, client):
        new = ["/swap/plain/m%d-%d" % (self.round, self.random.getrandbits(60)) for _ in range(3)]
        target = self.random.choice(self.leaves)
        # As Java's client sends it. A create2 here, which 3.9 logs as such, would be lost on 3.8 (docs/DECISIONS.md).
        rights = self._rights()
        whole = client.one(multi([check("/swap"), plain_create(new[0], None), plain_create(new[1], b"m", 0, rights),
                                  set_data(target, b"multi"), delete(new[0]), create(new[2], b"", CONTAINER)]))
        assert whole.err == 0 and b"\xff\xff\xff\xff\x01\xff\xff\xff\xff" == whole.body[-9:]
        broken = client.one(multi([set_data(target, b"never"), plain_create(new[0], b""), delete("/none")]))
        assert broken.err == 0 and broken.body[:9] == b"\xff\xff\xff\xff\0\0\0\0\0"
        self.leaves.append(new[1])

    def _value(self):
        if self.random.random() < 0.001:
            return self.random.randbytes(60_000)
        return self.random.choice(VALUES)

    def _rights(self):
        return self.random.choice(RIGHTS) if self.random.random() < 0.3 else RIGHTS[0]


def plain_create(*what):
    return CREATE, create(*what)[1]


def done(replies):
    assert all(reply.err == 0 for reply in replies), sorted({reply.err for reply in replies})
    return replies
