"""The same as the Rust resident, through kazoo: resident.py HOSTS ROOT."""
import sys
import time

from kazoo.client import KazooClient
from kazoo.recipe.party import Party, ShallowParty


def until(what, holds):
    deadline = time.time() + 60
    while not holds():
        assert time.time() < deadline, "waited for " + what
        time.sleep(0.02)


def main(hosts, root):
    zk = KazooClient(hosts=hosts, timeout=4)
    zk.start()
    party = Party(zk, root + "/party", "python")
    shallow = ShallowParty(zk, root + "/shallow", "python")
    party.join()
    shallow.join()
    until("Rust in the party", lambda: sorted(party) == ["python", "rust"])
    until("Rust in the shallow party", lambda: sorted(shallow) == ["python", "rust"])
    # Swept away, it comes back.
    (ours,) = [name for name in zk.get_children(root + "/party") if zk.get(root + "/party/" + name)[0] == b"rust"]
    zk.delete(root + "/party/" + ours)
    until("Rust in the party again", lambda: sorted(party) == ["python", "rust"])
    zk.create(root + "/met/python")
    until("everybody", lambda: len(zk.get_children(root + "/met")) == 3)
    until("the end", lambda: zk.exists(root + "/done"))
    print("met")
    zk.stop()


main(*sys.argv[1:])
