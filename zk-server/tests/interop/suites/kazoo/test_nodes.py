"""Nodes: every way to make one, read it, change it and lose it."""

import struct
import time

import pytest
from conftest import HOSTS, eventually
from kazoo.exceptions import (
    BadArgumentsError,
    BadVersionError,
    InvalidACLError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
)
from kazoo.security import OPEN_ACL_UNSAFE
from raw import CreateContainer, CreateTtl, Raw, perform


def test_create_then_get(zk, base):
    path = base + "/a"
    before = time.time() * 1000
    assert zk.create(path, b"one") == path
    data, stat = zk.get(path)
    assert data == b"one"
    assert (stat.version, stat.cversion, stat.aversion) == (0, 0, 0)
    assert (stat.dataLength, stat.numChildren, stat.ephemeralOwner) == (3, 0, 0)
    assert stat.czxid == stat.mzxid == stat.pzxid > 0
    assert stat.ctime == stat.mtime
    assert abs(stat.ctime - before) < 60_000


def test_create_includes_stat(zk, base):
    path, stat = zk.create(base + "/a", b"12345", include_data=True)
    assert (path, stat.dataLength) == (base + "/a", 5)
    assert stat == zk.exists(path)


def test_null_and_empty_data_differ(zk, base):
    zk.create(base + "/null", None)
    zk.create(base + "/empty", b"")
    assert zk.get(base + "/null")[0] is None
    assert zk.get(base + "/empty")[0] == b""
    assert zk.exists(base + "/null").dataLength == 0


def test_names_beyond_ascii(zk, base):
    path = base + "/ünïcode-€-名前"
    assert zk.create(path, b"x") == path
    assert zk.get_children(base) == ["ünïcode-€-名前"]


def test_large_data_and_one_byte_too_many(zk, base):
    path = base + "/big"
    data = bytes(range(256)) * 4000
    zk.create(path, data)
    assert zk.get(path)[0] == data
    zk.set(path, data[::-1])
    assert zk.get(path)[0] == data[::-1]
    raw = Raw()
    raw.connect(10_000)
    raw.socket.sendall(struct.pack("!i", 0xFFFFF + 1))
    assert raw.closed(5), "a frame above jute.maxbuffer must cost the connection"


def test_create_errors(zk, base):
    with pytest.raises(NoNodeError):
        zk.create(base + "/missing/child")
    zk.create(base + "/a")
    with pytest.raises(NodeExistsError):
        zk.create(base + "/a")
    with pytest.raises(NodeExistsError):
        zk.create("/")
    zk.create(base + "/e", ephemeral=True)
    with pytest.raises(NoChildrenForEphemeralsError):
        zk.create(base + "/e/child")
    with pytest.raises(InvalidACLError):
        perform(zk, CreateContainer(base + "/c", b"", [], 4))


def test_invalid_paths_are_refused_by_the_server(zk, base):
    for path in (base + "/.", base + "/..", base + "/a\u0001b", base + "/\ufff0", base + "/"):
        with pytest.raises(BadArgumentsError):
            perform(zk, CreateContainer(path, b"", OPEN_ACL_UNSAFE, 4))


def test_makepath(zk, base):
    zk.create(base + "/x/y/z", b"deep", makepath=True)
    assert zk.get(base + "/x/y/z")[0] == b"deep"
    assert zk.get(base + "/x/y")[0] == b""
    zk.ensure_path(base + "/x/y/z/w")
    zk.ensure_path(base + "/x/y/z/w")
    assert zk.exists(base + "/x/y/z/w")


def test_sequences_count_creations_of_any_kind(zk, base):
    assert zk.create(base + "/s-", sequence=True) == base + "/s-0000000000"
    zk.create(base + "/plain")
    assert zk.create(base + "/s-", sequence=True) == base + "/s-0000000002"
    zk.delete(base + "/s-0000000002")
    with pytest.raises(NodeExistsError):
        zk.create(base + "/plain")
    assert zk.create(base + "/t-", sequence=True, ephemeral=True) == base + "/t-0000000003"
    assert zk.create(base + "/", sequence=True) == base + "/0000000004"
    assert zk.exists(base).cversion == 6


def test_ephemerals_end_with_their_session(zk, connect, base):
    other = connect()
    other.create(base + "/e", b"x", ephemeral=True)
    other.create(base + "/es-", ephemeral=True, sequence=True)
    assert zk.exists(base + "/e").ephemeralOwner == other.client_id[0]
    assert len(zk.get_children(base)) == 2
    other.stop()
    assert zk.get_children(base) == []


def test_container_is_reaped_after_its_last_child(zk, base):
    path, stat = perform(zk, CreateContainer(base + "/c", b"", OPEN_ACL_UNSAFE, 4))
    assert (path, stat.ephemeralOwner) == (base + "/c", 0)
    perform(zk, CreateContainer(base + "/unused", b"", OPEN_ACL_UNSAFE, 4))
    zk.create(base + "/c/child")
    time.sleep(2.5)
    assert zk.exists(base + "/c"), "a container with a child must stay"
    zk.delete(base + "/c/child")
    eventually(lambda: not zk.exists(base + "/c"))
    assert zk.exists(base + "/unused"), "a container that never had a child must stay"


def test_ttl_node_is_reaped_when_left_alone(zk, base):
    path, stat = perform(zk, CreateTtl(base + "/t", b"x", OPEN_ACL_UNSAFE, 5, 500))
    assert (path, stat.ephemeralOwner) == (base + "/t", 0)
    path, _ = perform(zk, CreateTtl(base + "/s-", b"x", OPEN_ACL_UNSAFE, 6, 1_000_000))
    assert path == base + "/s-0000000001"
    perform(zk, CreateTtl(base + "/parent", b"x", OPEN_ACL_UNSAFE, 5, 100))
    zk.create(base + "/parent/child")
    eventually(lambda: not zk.exists(base + "/t"))
    time.sleep(1.5)
    assert zk.exists(path)
    assert zk.exists(base + "/parent"), "a TTL node with children must stay"


@pytest.mark.parametrize("ttl", [0, -1, 2**40])
def test_ttl_out_of_range(zk, base, ttl):
    with pytest.raises(BadArgumentsError):
        perform(zk, CreateTtl(base + "/t", b"x", OPEN_ACL_UNSAFE, 5, ttl))


def test_exists(zk, base):
    assert zk.exists(base + "/a") is None
    zk.create(base + "/a", b"abc")
    assert zk.exists(base + "/a") == zk.get(base + "/a")[1]


def test_set_raises_the_version(zk, base):
    zk.create(base + "/a", b"")
    created = zk.exists(base + "/a")
    stat = zk.set(base + "/a", b"two")
    assert (stat.version, stat.dataLength) == (1, 3)
    assert stat.mzxid > created.mzxid and stat.czxid == created.czxid == stat.pzxid
    stat = zk.set(base + "/a", b"three", version=1)
    assert stat.version == 2
    with pytest.raises(BadVersionError):
        zk.set(base + "/a", b"four", version=1)
    assert zk.get(base + "/a")[0] == b"three"
    with pytest.raises(NoNodeError):
        zk.set(base + "/none", b"")


def test_delete(zk, base):
    zk.create(base + "/a/b", makepath=True)
    with pytest.raises(NotEmptyError):
        zk.delete(base + "/a")
    with pytest.raises(BadVersionError):
        zk.delete(base + "/a/b", version=7)
    zk.delete(base + "/a/b", version=0)
    with pytest.raises(NoNodeError):
        zk.delete(base + "/a/b")
    stat = zk.exists(base + "/a")
    assert (stat.numChildren, stat.cversion) == (0, 2)
    assert stat.pzxid > stat.mzxid
    zk.create(base + "/a/b/c/d", makepath=True)
    zk.delete(base + "/a", recursive=True)
    assert zk.get_children(base) == []


@pytest.mark.parametrize("path", ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"])
def test_the_servers_own_nodes_cannot_be_deleted(zk, path):
    with pytest.raises(BadArgumentsError):
        zk.delete(path)


def test_children(zk, base):
    names = {"c%03d" % n for n in range(300)}
    for result in [zk.create_async(base + "/" + name) for name in names]:
        result.get(timeout=10)
    children, stat = zk.get_children(base, include_data=True)
    assert set(children) == names
    assert (stat.numChildren, stat.cversion) == (300, 300)
    with pytest.raises(NoNodeError):
        zk.get_children(base + "/none")


def test_answers_come_in_the_order_of_the_questions(zk, base):
    done = []
    zk.create(base + "/n", b"0")
    for n in range(1, 200):
        zk.set_async(base + "/n", str(n).encode()).rawlink(lambda _, n=n: done.append(("set", n)))
        got = zk.get_async(base + "/n")
        got.rawlink(lambda r, n=n: done.append(("get", n, r.get()[0])))
    got.get(timeout=20)
    eventually(lambda: len(done) == 398)
    wanted = []
    for n in range(1, 200):
        wanted += [("set", n), ("get", n, str(n).encode())]
    assert done == wanted


def test_sync(zk, base):
    assert zk.sync(base) == base
    assert zk.sync(base + "/none") == base + "/none"


def test_chroot(connect, zk, base):
    inside = connect(hosts=HOSTS + base)
    assert inside.create("/a", b"x") == "/a"
    assert zk.get(base + "/a")[0] == b"x"
    assert inside.get_children("/") == ["a"]
    assert inside.sync("/a") == "/a"


def test_config_node(zk):
    data, stat = zk.get("/zookeeper/config")
    assert stat.version in (0, -1)
    acls, _ = zk.get_acls("/zookeeper/config")
    assert [(a.perms, a.id.scheme, a.id.id) for a in acls] == [(1, "world", "anyone")]
    assert isinstance(data, bytes)
    assert zk.get_children("/zookeeper/config") == []
    assert set(zk.get_children("/zookeeper")) == {"config", "quota"}
