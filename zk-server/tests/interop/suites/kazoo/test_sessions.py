"""Sessions: how they begin, move, end, and live through a restart of the server."""

import struct
import threading
import time

import pytest
from conftest import HOSTS, eventually
from kazoo.client import KazooState
from kazoo.protocol.serialization import Create
from kazoo.retry import KazooRetry
from kazoo.security import OPEN_ACL_UNSAFE
from raw import Raw

EPHEMERAL = 1
PING, CREATE, CLOSE = 11, 1, -11


def make_ephemeral(raw, path):
    header, _ = raw.call(1, CREATE, bytes(Create(path, b"", OPEN_ACL_UNSAFE, EPHEMERAL).serialize()))
    assert header[0] == 1 and header[2] == 0


@pytest.mark.parametrize("asked,granted", [(1, 1000), (5000, 5000), (-7, 1000), (2**31 - 1, 60_000)])
def test_timeouts_are_clamped(asked, granted):
    raw = Raw()
    answer = raw.connect(timeout=asked)
    assert answer.timeout == granted
    assert answer.session != 0 and len(answer.password) == 16
    assert raw.call(9, CLOSE, b"")[0][0] == 9
    assert raw.closed(5)


def test_a_wrong_password_is_an_expired_session(zk):
    raw = Raw()
    session = raw.connect(timeout=5000)
    thief = Raw()
    answer = thief.connect(5000, session.session, b"\1" * 16)
    assert answer == (0, 0, b"\0" * 16)
    assert thief.closed(5)
    heir = Raw()
    assert heir.connect(5000, session.session, session.password).session == session.session


def test_a_session_nobody_ever_had(zk):
    raw = Raw()
    assert raw.connect(5000, 0x123456789ABCDEF, b"\0" * 16) == (0, 0, b"\0" * 16)
    assert raw.closed(5)


def test_a_client_from_the_future_is_turned_away(zk):
    raw = Raw()
    assert raw.connect(5000, last_zxid=2**60) is None


def test_silence_expires(zk, base):
    raw = Raw()
    granted = raw.connect(timeout=1500)
    make_ephemeral(raw, base + "/e")
    begun = time.monotonic()
    assert zk.exists(base + "/e").ephemeralOwner == granted.session
    gone = threading.Event()
    zk.exists(base + "/e", watch=lambda event: gone.set())
    assert gone.wait(6)
    assert 1.4 < time.monotonic() - begun < 4
    assert raw.closed(5)
    late = Raw()
    assert late.connect(1500, granted.session, granted.password).timeout == 0


def test_pings_keep_alive(zk, base):
    raw = Raw()
    raw.connect(timeout=1500)
    make_ephemeral(raw, base + "/e")
    for _ in range(12):
        time.sleep(0.3)
        header, _ = raw.call(-2, PING, b"")
        assert (header[0], header[2]) == (-2, 0)
    assert zk.exists(base + "/e")
    raw.close()


def test_a_lost_connection_is_not_a_lost_session(zk, base):
    raw = Raw()
    granted = raw.connect(timeout=5000)
    make_ephemeral(raw, base + "/e")
    raw.close()
    again = Raw()
    answer = again.connect(5000, granted.session, granted.password)
    assert (answer.session, answer.password) == (granted.session, granted.password)
    assert zk.exists(base + "/e")
    again.call(7, CLOSE, b"")
    assert zk.exists(base + "/e") is None


def test_a_session_has_one_connection(zk):
    first = Raw()
    granted = first.connect(timeout=5000)
    second = Raw()
    assert second.connect(5000, granted.session, granted.password).session == granted.session
    assert first.closed(5)
    assert second.call(-2, PING, b"")[0][0] == -2


def test_requests_may_follow_at_once(base):
    """A client need not wait for the session before it asks."""
    raw = Raw()
    connect = struct.pack("!iqiq", 0, 0, 5000, 0) + struct.pack("!i", 16) + b"\0" * 16 + b"\0"
    create = struct.pack("!ii", 1, CREATE) + bytes(Create(base + "/a", b"", OPEN_ACL_UNSAFE, 0).serialize())
    ping = struct.pack("!ii", -2, PING)
    raw.socket.sendall(b"".join(struct.pack("!i", len(f)) + f for f in (connect, create, ping)))
    assert len(raw.receive()) == 37
    assert struct.unpack_from("!iqi", raw.receive())[::2] == (1, 0)
    assert struct.unpack_from("!iqi", raw.receive())[::2] == (-2, 0)


def test_bytes_may_come_one_by_one(base):
    raw = Raw()
    connect = struct.pack("!iiqiq", 45, 0, 0, 5000, 0) + struct.pack("!i", 16) + b"\0" * 16 + b"\0"
    for n in range(len(connect)):
        raw.socket.sendall(connect[n:n + 1])
    assert len(raw.receive()) == 37


def test_an_old_client_gets_an_old_answer():
    """Before 3.4 there was no read-only flag; who does not send it does not get it."""
    raw = Raw()
    raw.send(struct.pack("!iqiq", 0, 0, 5000, 0) + struct.pack("!i", 16) + b"\0" * 16)
    assert len(raw.receive()) == 36


def test_a_client_takes_its_session_along(connect, base):
    raw = Raw()
    identity = raw.connect(timeout=10_000)
    make_ephemeral(raw, base + "/e")
    raw.close()
    client = connect(client_id=identity[1:])
    assert client.client_id == identity[1:]
    assert client.exists(base + "/e").ephemeralOwner == identity.session


def test_a_closed_session_cannot_come_back(connect, base):
    first = connect()
    identity = first.client_id
    first.create(base + "/e", ephemeral=True)
    first.stop()
    second = connect(start=False, client_id=identity)
    states = []
    second.add_listener(states.append)
    second.start()
    assert second.client_id[0] != identity[0]
    assert second.exists(base + "/e") is None


def test_a_session_closed_by_another_connection_is_lost(connect, base):
    # One host, so that kazoo waits before it connects again: given several it is back at once, and may take the session
    # from the killer before that one has said its last word.
    victim = connect(hosts=HOSTS, connection_retry=KazooRetry(max_tries=-1, delay=1, backoff=1, max_jitter=0))
    states = []
    victim.add_listener(states.append)
    victim.create(base + "/e", ephemeral=True)
    identity = victim.client_id
    killer = connect(client_id=identity)
    killer.stop()
    eventually(lambda: KazooState.LOST in states and states[-1] == KazooState.CONNECTED, within=15)
    assert victim.client_id[0] != identity[0]
    assert victim.exists(base + "/e") is None


def test_sessions_are_distinct(connect):
    assert len({connect().client_id for _ in range(20)}) == 20


@pytest.mark.restarts
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_keeps_nodes_and_sessions(connect, server, base, how):
    client = connect(timeout=20)
    states = []
    client.add_listener(states.append)
    client.create(base + "/node", b"kept")
    client.create(base + "/e", b"mine", ephemeral=True)
    client.set(base + "/node", b"kept twice")
    before = client.get(base + "/node")[1]
    identity = client.client_id
    server.control(how)
    eventually(lambda: KazooState.SUSPENDED in states)
    server.control("start")
    eventually(lambda: states[-1] == KazooState.CONNECTED, within=30)
    assert KazooState.LOST not in states
    assert client.client_id == identity
    assert client.get(base + "/node") == (b"kept twice", before)
    assert client.exists(base + "/e").ephemeralOwner == identity[0]
    assert client.create(base + "/s-", sequence=True) == base + "/s-0000000002"
    client.stop()
    assert connect().exists(base + "/e") is None


@pytest.mark.restarts
def test_a_session_that_misses_the_restart_expires_after_it(connect, server, base):
    raw = Raw()
    raw.connect(timeout=2000)
    make_ephemeral(raw, base + "/e")
    server.control("restart")
    client = connect()
    assert client.exists(base + "/e"), "a restart gives every session its full time again"
    eventually(lambda: client.exists(base + "/e") is None)


@pytest.mark.restarts
def test_ttl_and_containers_survive_a_restart(zk, connect, server, base):
    from raw import CreateContainer, CreateTtl, perform

    perform(zk, CreateContainer(base + "/c", b"", OPEN_ACL_UNSAFE, 4))
    zk.create(base + "/c/child")
    perform(zk, CreateTtl(base + "/t", b"", OPEN_ACL_UNSAFE, 5, 1000))
    zk.stop()
    server.control("restart")
    zk = connect()
    zk.delete(base + "/c/child")
    eventually(lambda: not zk.exists(base + "/c"))
    eventually(lambda: not zk.exists(base + "/t"))


@pytest.mark.restarts
def test_requests_sent_into_a_restart_fail_or_succeed_but_never_hang(connect, server, base):
    client = connect(timeout=20)
    results = [client.create_async("%s/%03d" % (base, n)) for n in range(100)]
    server.control("restart")
    for result in results:
        result.wait(20)
        assert result.ready()
    made = {base + "/" + name for name in connect().get_children(base)}
    assert {result.value for result in results if result.successful()} <= made
