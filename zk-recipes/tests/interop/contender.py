"""The same as the Rust contender, through kazoo: contender.py HOSTS RECIPE DIRECTORY PROOF ROUNDS."""
import os
import sys
import time

from kazoo.client import KazooClient
from kazoo.recipe.lock import Lock
from kazoo.retry import RetryFailedError


class CuratorLock(Lock):
    """kazoo with Curator's names, as its documentation allows."""

    _NODE_NAME = "-lock-"
    _EXCLUDE_NAMES = ["lock-"]


def alone(zk, proof):
    zk.create(proof + "/alone", ephemeral=True)
    assert not zk.get_children(proof + "/readers"), "a writer met a reader"
    counted = int(zk.get(proof + "/count")[0])
    time.sleep(0.001)
    zk.set(proof + "/count", b"%d" % (counted + 1))
    zk.delete(proof + "/alone")


def reading(zk, proof):
    mark = zk.create(proof + "/readers/r-", ephemeral=True, sequence=True)
    assert not zk.exists(proof + "/alone"), "a reader met a writer"
    time.sleep(0.001)
    zk.delete(mark)


def one_of_two(zk, proof):
    mark = zk.create(proof + "/places/p-", ephemeral=True, sequence=True)
    there = len(zk.get_children(proof + "/places"))
    assert there <= 2, "%d in two places" % there
    time.sleep(0.001)
    zk.delete(mark)


def mark(zk, proof, what, name):
    zk.create("%s-%s/%s" % (proof, what, name), makepath=True)


def together(zk, directory, proof, number):
    everybody = int(os.environ["CONTENDERS"])
    barrier = zk.DoubleBarrier("/rounds%s/%d" % (directory, number), everybody)
    mark(zk, proof, "in-%d" % number, os.getpid())
    barrier.enter()
    came = len(zk.get_children("%s-in-%d" % (proof, number)))
    assert barrier.participating and came == everybody, "in before all had come"
    time.sleep(0.03)
    mark(zk, proof, "out-%d" % number, os.getpid())
    barrier.leave()
    left = len(zk.get_children("%s-out-%d" % (proof, number)))
    assert left == everybody, "out before all had left"


def passing(zk, directory, proof, number):
    everybody = int(os.environ["CONTENDERS"])
    barrier = zk.Barrier("/gates%s/%d" % (directory, number))
    barrier.create()
    mark(zk, proof, "at-%d" % number, os.getpid())
    if number % everybody == int(os.environ["CONTENDER"]):
        while len(zk.get_children("%s-at-%d" % (proof, number))) < everybody:
            time.sleep(0.005)
        time.sleep(0.02)
        mark(zk, proof, "opened-%d" % number, os.getpid())
        assert barrier.remove(), "somebody else has opened it"
    else:
        assert barrier.wait(60), "nobody has opened it"
        assert zk.exists("%s-opened-%d" % (proof, number)), "through a closed barrier"


def count(zk, path, support_curator):
    counter = zk.Counter(path, support_curator=support_curator)
    while True:
        try:
            counter += 1
            return
        except RetryFailedError:
            # Others were faster each time; nothing was counted.
            pass


def pass_on(zk, queue, proof, number, claim):
    queue.put(b"python-%d-%d" % (os.getpid(), number))
    item = queue.get()
    while item is None:
        item = queue.get()
    if claim:
        assert queue.consume(), "the claim was lost"
    mark(zk, proof, "taken", item.decode())


def main(hosts, recipe, directory, proof, rounds):
    zk = KazooClient(hosts=hosts, timeout=4)
    zk.start()
    for number in range(int(rounds)):
        if recipe == "mutex":
            with CuratorLock(zk, directory, "python"):
                alone(zk, proof)
        elif recipe == "mutex-kazoo":
            with zk.Lock(directory, "python"):
                alone(zk, proof)
        elif recipe == "rw-kazoo" and number % 3 == 0:
            with zk.WriteLock(directory, "python"):
                alone(zk, proof)
        elif recipe == "rw-kazoo":
            with zk.ReadLock(directory, "python"):
                reading(zk, proof)
        elif recipe == "semaphore-kazoo":
            with zk.Semaphore(directory, "python", max_leases=2):
                one_of_two(zk, proof)
        elif recipe == "barrier":
            together(zk, directory, proof, number)
        elif recipe == "gate":
            passing(zk, directory, proof, number)
        elif recipe in ("counter-int", "counter-text"):
            count(zk, directory, recipe == "counter-int")
        elif recipe == "queue-kazoo":
            pass_on(zk, zk.Queue(directory), proof, number, False)
        elif recipe == "queue-locking":
            pass_on(zk, zk.LockingQueue(directory), proof, number, True)
        else:
            raise SystemExit("no recipe " + recipe)
    print(rounds, "rounds")
    zk.stop()


main(*sys.argv[1:])
