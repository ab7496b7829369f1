"""Watches: which event, on which path, how often, and in which order."""

import queue

import pytest
from conftest import eventually
from kazoo.protocol.states import EventType
from kazoo.recipe.watchers import ChildrenWatch, DataWatch


class Events:
    """A watch callback that remembers."""

    def __init__(self):
        self.queue = queue.Queue()

    def __call__(self, event):
        self.queue.put((event.type, event.path))

    def next(self):
        return self.queue.get(timeout=5)

    def none(self, zk):
        """Nothing has come; events precede the reply of whatever follows them, so one round trip decides."""
        zk.exists("/")
        return self.queue.empty()


@pytest.fixture
def events():
    return Events()


def test_exists_watch_on_nothing_sees_the_creation(zk, base, events):
    assert zk.exists(base + "/a", watch=events) is None
    zk.create(base + "/a")
    assert events.next() == (EventType.CREATED, base + "/a")
    zk.set(base + "/a", b"x")
    assert events.none(zk), "a watch fires once"


def test_exists_watch_on_something_sees_its_end(zk, base, events):
    zk.create(base + "/a")
    assert zk.exists(base + "/a", watch=events)
    zk.delete(base + "/a")
    assert events.next() == (EventType.DELETED, base + "/a")


def test_data_watch(zk, connect, base, events):
    zk.create(base + "/a")
    zk.get(base + "/a", watch=events)
    zk.create(base + "/a/child")
    assert events.none(zk), "children are no data"
    connect().set(base + "/a", b"x")
    assert events.next() == (EventType.CHANGED, base + "/a")


def test_child_watch(zk, base, events):
    zk.create(base + "/a")
    zk.get_children(base, watch=events)
    zk.set(base, b"x")
    zk.set(base + "/a", b"x")
    zk.create(base + "/a/grandchild")
    assert events.none(zk), "neither data nor grandchildren"
    zk.create(base + "/b")
    assert events.next() == (EventType.CHILD, base)
    zk.get_children(base, watch=events)
    zk.delete(base + "/b")
    assert events.next() == (EventType.CHILD, base)


def test_child_watch_sees_the_end_of_its_own_node(zk, base, events):
    zk.create(base + "/a")
    zk.get_children(base + "/a", watch=events)
    zk.delete(base + "/a")
    assert events.next() == (EventType.DELETED, base + "/a")


def test_set_acls_and_failures_fire_nothing(zk, base, events):
    from kazoo.exceptions import BadVersionError
    from kazoo.security import OPEN_ACL_UNSAFE

    zk.get(base, watch=events)
    zk.get_children(base, watch=events)
    zk.set_acls(base, OPEN_ACL_UNSAFE)
    with pytest.raises(BadVersionError):
        zk.set(base, b"", version=44)
    assert events.none(zk)


def test_transaction_fires_each_part(zk, base):
    made, data, children = Events(), Events(), Events()
    zk.create(base + "/a")
    zk.exists(base + "/b", watch=made)
    zk.get(base + "/a", watch=data)
    zk.get_children(base, watch=children)
    t = zk.transaction()
    t.create(base + "/b")
    t.set_data(base + "/a", b"x")
    t.commit()
    assert made.next() == (EventType.CREATED, base + "/b")
    assert data.next() == (EventType.CHANGED, base + "/a")
    assert children.next() == (EventType.CHILD, base)


def test_ephemerals_of_a_closed_session_fire(zk, connect, base):
    gone, children = Events(), Events()
    other = connect()
    other.create(base + "/e", ephemeral=True)
    zk.exists(base + "/e", watch=gone)
    zk.get_children(base, watch=children)
    other.stop()
    assert gone.next() == (EventType.DELETED, base + "/e")
    assert children.next() == (EventType.CHILD, base)


def test_a_thousand_watches(zk, connect, base, events):
    for result in [zk.exists_async("%s/%d" % (base, n), watch=events) for n in range(1000)]:
        assert result.get(timeout=10) is None
    writer = connect()
    for result in [writer.create_async("%s/%d" % (base, n)) for n in range(1000)]:
        result.get(timeout=10)
    got = [events.next() for _ in range(1000)]
    assert got == [(EventType.CREATED, "%s/%d" % (base, n)) for n in range(1000)]


def test_data_watch_recipe(zk, base):
    seen = []
    DataWatch(zk, base + "/a", lambda data, stat, event: seen.append((data, event and event.type)))
    zk.create(base + "/a", b"1")
    eventually(lambda: len(seen) == 2)
    zk.set(base + "/a", b"2")
    eventually(lambda: len(seen) == 3)
    zk.delete(base + "/a")
    eventually(lambda: len(seen) == 4)
    assert seen == [
        (None, None), (b"1", EventType.CREATED), (b"2", EventType.CHANGED), (None, EventType.DELETED),
    ]


def test_children_watch_recipe(zk, base):
    seen = []
    ChildrenWatch(zk, base, lambda children: seen.append(sorted(children)))
    for n, name in enumerate("abc"):
        zk.create(base + "/" + name)
        eventually(lambda: len(seen) == n + 2)
    zk.delete(base + "/b")
    eventually(lambda: len(seen) == 5)
    assert seen == [[], ["a"], ["a", "b"], ["a", "b", "c"], ["a", "c"]]
