"""Transactions: all or nothing, and an answer for each part."""

import pytest
from kazoo.exceptions import (
    BadVersionError,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.security import make_digest_acl


def kinds(results):
    return [type(result) for result in results]


def test_every_part_answers(zk, base):
    zk.create(base + "/old", b"1")
    t = zk.transaction()
    t.create(base + "/a", b"x")
    t.create(base + "/s-", b"", sequence=True)
    t.create(base + "/e", b"", ephemeral=True)
    t.set_data(base + "/a", b"y", version=0)
    t.check(base + "/a", 1)
    t.check(base + "/old", 0)
    t.delete(base + "/old", version=0)
    results = t.commit()
    assert results[:3] == [base + "/a", base + "/s-0000000002", base + "/e"]
    assert results[3].version == 1
    assert results[4:] == [True, True, True]
    stats = [zk.exists(base + name) for name in ("/a", "/s-0000000002", "/e")]
    assert len({stat.czxid for stat in stats}) == 1, "one transaction, one zxid"
    assert stats[0].mzxid == stats[0].czxid
    assert not zk.exists(base + "/old")


@pytest.mark.parametrize("break_it,error", [
    (lambda t, base: t.create(base + "/here"), NodeExistsError),
    (lambda t, base: t.create(base + "/none/x"), NoNodeError),
    (lambda t, base: t.delete(base + "/none"), NoNodeError),
    (lambda t, base: t.delete(base + "/here"), NotEmptyError),
    (lambda t, base: t.set_data(base + "/here", b"", version=9), BadVersionError),
    (lambda t, base: t.check(base + "/here", 9), BadVersionError),
    (lambda t, base: t.check(base + "/none", -1), NoNodeError),
    (lambda t, base: t.set_data(base + "/closed", b""), NoAuthError),
], ids=["create", "orphan", "delete", "full", "set", "check", "check-none", "auth"])
def test_one_failure_undoes_everything(zk, base, break_it, error):
    zk.create(base + "/here/child", makepath=True)
    zk.create(base + "/closed", acl=[make_digest_acl("ann", "x", all=True)])
    t = zk.transaction()
    t.create(base + "/a", b"x")
    t.set_data(base + "/here", b"changed")
    break_it(t, base)
    t.create(base + "/b", b"x")
    t.delete(base + "/here/child")
    assert kinds(t.commit()) == [RolledBackError, RolledBackError, error] + [RuntimeInconsistency] * 2
    assert sorted(zk.get_children(base)) == ["closed", "here"]
    assert zk.get(base + "/here")[0] == b""
    assert zk.exists(base + "/here/child")


def test_a_failed_transaction_gives_its_sequence_number_back(zk, base):
    t = zk.transaction()
    t.create(base + "/s-", sequence=True)
    t.delete(base + "/none")
    assert kinds(t.commit()) == [RolledBackError, NoNodeError]
    assert zk.create(base + "/s-", sequence=True) == base + "/s-0000000000"


def test_parts_see_what_came_before_them(zk, base):
    t = zk.transaction()
    t.create(base + "/p")
    t.create(base + "/p/c", b"1")
    t.set_data(base + "/p/c", b"2", version=0)
    t.check(base + "/p/c", 1)
    t.delete(base + "/p/c", version=1)
    t.delete(base + "/p", version=0)
    assert t.commit()[4:] == [True, True]
    assert zk.get_children(base) == []


def test_an_empty_transaction(zk):
    assert zk.transaction().commit() == []


def test_a_large_transaction(zk, base):
    t = zk.transaction()
    for n in range(1000):
        t.create("%s/%04d" % (base, n), b"x" * 100)
    assert len(t.commit()) == 1000
    assert zk.exists(base).numChildren == 1000
    t = zk.transaction()
    for n in range(1000):
        t.delete("%s/%04d" % (base, n))
    assert t.commit() == [True] * 1000
