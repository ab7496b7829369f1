"""kazoo's recipes: what applications really do with all of this."""

import threading
import time

import pytest
from conftest import eventually
from kazoo.exceptions import CancelledError, LockTimeout
from kazoo.recipe.cache import TreeCache, TreeEvent


def spawn(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_lock_excludes(connect, base):
    inside, most, done = [0], [0], []

    def contend(name):
        client = connect()
        for _ in range(10):
            with client.Lock(base + "/lock", name):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.002)
                inside[0] -= 1
                done.append(name)

    threads = [spawn(lambda n=n: contend("c%d" % n)) for n in range(4)]
    for thread in threads:
        thread.join(30)
    assert len(done) == 40 and most[0] == 1


def test_lock_passes_on_when_its_holder_is_gone(connect, base):
    holder, waiter = connect(), connect()
    assert holder.Lock(base + "/lock", "holder").acquire()
    lock = waiter.Lock(base + "/lock", "waiter")
    with pytest.raises(LockTimeout):
        lock.acquire(timeout=0.3)
    assert lock.contenders() == ["holder"]
    thread = spawn(lambda: lock.acquire())
    eventually(lambda: lock.contenders() == ["holder", "waiter"])
    holder.stop()
    thread.join(10)
    assert lock.is_acquired
    lock.release()


def test_lock_can_be_cancelled(connect, base):
    holder, waiter = connect(), connect()
    holder.Lock(base + "/lock", "holder").acquire()
    lock, raised = waiter.Lock(base + "/lock", "waiter"), []

    def wait():
        try:
            lock.acquire()
        except CancelledError:
            raised.append(True)

    thread = spawn(wait)
    eventually(lambda: len(lock.contenders()) == 2)
    lock.cancel()
    thread.join(10)
    assert raised == [True]


def test_readers_share_and_writers_do_not(connect, base):
    one, two, three = connect(), connect(), connect()
    first, second = one.ReadLock(base + "/rw"), two.ReadLock(base + "/rw")
    assert first.acquire(timeout=5) and second.acquire(timeout=5)
    writer = three.WriteLock(base + "/rw")
    assert not writer.acquire(blocking=False)
    first.release()
    second.release()
    assert writer.acquire(timeout=5)
    assert not one.ReadLock(base + "/rw").acquire(blocking=False)
    writer.release()


def test_semaphore_counts(connect, base):
    clients = [connect() for _ in range(3)]
    semaphores = [c.Semaphore(base + "/s", "c%d" % n, max_leases=2) for n, c in enumerate(clients)]
    assert semaphores[0].acquire(timeout=5) and semaphores[1].acquire(timeout=5)
    with pytest.raises(LockTimeout):
        semaphores[2].acquire(timeout=0.3)
    assert sorted(semaphores[2].lease_holders()) == ["c0", "c1"]
    semaphores[0].release()
    assert semaphores[2].acquire(timeout=5)


def test_election_moves_on(connect, base):
    led, step_down = [], {n: threading.Event() for n in range(3)}

    def lead(n):
        led.append(n)
        step_down[n].wait(15)

    clients = [connect() for _ in range(3)]
    threads = []
    for n, client in enumerate(clients):
        election = client.Election(base + "/e", "c%d" % n)
        threads.append(spawn(lambda election=election, n=n: election.run(lead, n)))
        eventually(lambda n=n: len(election.contenders()) == n + 1)
    for n in range(3):
        eventually(lambda n=n: led == list(range(n + 1)))
        step_down[n].set()
    for thread in threads:
        thread.join(10)
    assert led == [0, 1, 2]


def test_barrier(connect, base):
    keeper, waiter = connect(), connect()
    barrier = keeper.Barrier(base + "/b")
    barrier.create()
    assert not waiter.Barrier(base + "/b").wait(0.3)
    passed = []
    thread = spawn(lambda: passed.append(waiter.Barrier(base + "/b").wait(10)))
    barrier.remove()
    thread.join(10)
    assert passed == [True]


def test_double_barrier(connect, base):
    order = []

    def take_part(n):
        barrier = connect().DoubleBarrier(base + "/d", 3, "c%d" % n)
        barrier.enter()
        order.append("in")
        barrier.leave()
        order.append("out")

    threads = [spawn(lambda n=n: take_part(n)) for n in range(3)]
    for thread in threads:
        thread.join(20)
    assert sorted(order) == ["in"] * 3 + ["out"] * 3
    assert order[:1] == ["in"]


def test_queue_keeps_order_and_priority(zk, connect, base):
    q = zk.Queue(base + "/q")
    for n in range(10):
        q.put(b"%d" % n)
    q.put(b"urgent", priority=1)
    assert len(q) == 11
    taker = connect().Queue(base + "/q")
    assert [taker.get() for _ in range(12)] == [b"urgent"] + [b"%d" % n for n in range(10)] + [None]


def test_locking_queue_hands_out_once(zk, connect, base):
    q = zk.LockingQueue(base + "/q")
    q.put_all([b"%d" % n for n in range(20)])
    got, lock = [], threading.Lock()

    def take():
        mine = connect().LockingQueue(base + "/q")
        while (item := mine.get(timeout=1)) is not None:
            with lock:
                got.append(item)
            assert mine.consume()

    threads = [spawn(take) for _ in range(3)]
    for thread in threads:
        thread.join(30)
    assert sorted(got, key=int) == [b"%d" % n for n in range(20)]


def test_counter(connect, base):
    def count():
        counter = connect().Counter(base + "/n")
        for _ in range(25):
            counter += 1

    threads = [spawn(count) for _ in range(4)]
    for thread in threads:
        thread.join(30)
    assert connect().Counter(base + "/n").value == 100


def test_party(connect, base):
    clients = [connect() for _ in range(3)]
    parties = [c.Party(base + "/p", "c%d" % n) for n, c in enumerate(clients)]
    for party in parties:
        party.join()
    assert set(parties[0]) == {"c0", "c1", "c2"}
    parties[1].leave()
    clients[2].stop()
    assert list(parties[0]) == ["c0"]
    shallow = clients[0].ShallowParty(base + "/sp", "x")
    shallow.join()
    assert list(shallow) == ["x"]


def test_lease(connect, base):
    import datetime

    hour = datetime.timedelta(hours=1)
    assert connect().NonBlockingLease(base + "/l", hour, identifier="one")
    assert not connect().NonBlockingLease(base + "/l", hour, identifier="two")
    assert connect().NonBlockingLease(base + "/l", hour, identifier="one")


def test_partitioner_divides(connect, base):
    sets, hold = [], threading.Event()

    def take_part(n):
        client = connect()
        partitioner = client.SetPartitioner(
            base + "/parts", set(range(6)), identifier="c%d" % n, time_boundary=0.5
        )
        while not hold.is_set():
            if partitioner.release:
                partitioner.release_set()
            elif partitioner.acquired:
                sets.append((n, frozenset(partitioner)))
                hold.wait(0.05)
            else:
                partitioner.wait_for_acquire(0.2)
        partitioner.finish()

    threads = [spawn(lambda n=n: take_part(n)) for n in range(3)]

    def divided():
        last = dict(sets)
        return sorted(x for part in last.values() for x in part) == list(range(6)) and len(last) == 3

    eventually(divided, within=30)
    hold.set()
    for thread in threads:
        thread.join(10)


def test_tree_cache_follows(zk, connect, base):
    seen = []
    cache = TreeCache(zk, base)
    cache.listen(lambda event: seen.append(event.event_type))
    cache.start()
    eventually(lambda: TreeEvent.INITIALIZED in seen)
    writer = connect()
    writer.create(base + "/a/b/c", b"deep", makepath=True)
    eventually(lambda: cache.get_data(base + "/a/b/c") and cache.get_data(base + "/a/b/c").data == b"deep")
    writer.set(base + "/a", b"new")
    eventually(lambda: cache.get_data(base + "/a").data == b"new")
    writer.delete(base + "/a", recursive=True)
    eventually(lambda: cache.get_data(base + "/a") is None)
    assert {TreeEvent.NODE_ADDED, TreeEvent.NODE_UPDATED, TreeEvent.NODE_REMOVED} <= set(seen)
    cache.close()
