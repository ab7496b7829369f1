"""The same as the Rust contender, through kazoo: contender.py HOSTS RECIPE DIRECTORY PROOF ROUNDS."""
import sys
import time

from kazoo.client import KazooClient
from kazoo.recipe.lock import Lock


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
        else:
            raise SystemExit("no recipe " + recipe)
    print(rounds, "rounds")
    zk.stop()


main(*sys.argv[1:])
