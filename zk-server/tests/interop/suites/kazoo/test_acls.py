"""Who may do what: schemes, permissions, and what happens to those who may not."""

import pytest
from kazoo.exceptions import AuthFailedError, BadVersionError, InvalidACLError, NoAuthError, NoNodeError
from kazoo.security import ACL, CREATOR_ALL_ACL, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE, Id, Permissions
from kazoo.security import make_acl, make_digest_acl, make_digest_acl_credential


def shape(acls):
    return [(acl.perms, acl.id.scheme, acl.id.id) for acl in acls]


def test_default_acl_is_open(zk, base):
    zk.create(base + "/a")
    acls, stat = zk.get_acls(base + "/a")
    assert shape(acls) == [(31, "world", "anyone")]
    assert stat.aversion == 0


def test_digest_lets_in_only_its_owner(connect, base):
    owner = connect(auth_data=[("digest", "ann:secret")])
    stranger = connect()
    impostor = connect(auth_data=[("digest", "ann:wrong")])
    owner.create(base + "/a", b"x", acl=[make_digest_acl("ann", "secret", all=True)])
    assert owner.get(base + "/a")[0] == b"x"
    for client in (stranger, impostor):
        with pytest.raises(NoAuthError):
            client.get(base + "/a")
        with pytest.raises(NoAuthError):
            client.set(base + "/a", b"y")
        with pytest.raises(NoAuthError):
            client.create(base + "/a/child")
        with pytest.raises(NoAuthError):
            client.get_children(base + "/a")
        with pytest.raises(NoAuthError):
            client.get_acls(base + "/a")
        with pytest.raises(NoAuthError):
            client.set_acls(base + "/a", OPEN_ACL_UNSAFE)
    stranger.add_auth("digest", "ann:secret")
    assert stranger.get(base + "/a")[0] == b"x"


def test_auth_stands_for_all_who_i_am(connect, base):
    client = connect(auth_data=[("digest", "ann:1"), ("digest", "bob:2")])
    client.create(base + "/a", acl=CREATOR_ALL_ACL)
    acls, _ = client.get_acls(base + "/a")
    assert sorted(shape(acls)) == sorted(
        (31, "digest", make_digest_acl_credential(*who)) for who in (("ann", "1"), ("bob", "2"))
    )


def test_auth_needs_someone(zk, base):
    with pytest.raises(InvalidACLError):
        zk.create(base + "/a", acl=CREATOR_ALL_ACL)


def test_world_can_be_given_less(zk, base):
    zk.create(base + "/a", b"x", acl=READ_ACL_UNSAFE)
    assert zk.get(base + "/a")[0] == b"x"
    with pytest.raises(NoAuthError):
        zk.set(base + "/a", b"y")
    with pytest.raises(NoAuthError):
        zk.create(base + "/a/b")
    zk.delete(base + "/a")  # deleting asks the parent, not the node


def test_deleting_asks_the_parent(zk, base):
    zk.create(base + "/p", acl=[make_acl("world", "anyone", read=True, create=True)])
    zk.create(base + "/p/c")
    with pytest.raises(NoAuthError):
        zk.delete(base + "/p/c")


def test_ip(zk, base):
    zk.create(base + "/in", b"x", acl=[make_acl("ip", "127.0.0.1", all=True)])
    zk.create(base + "/net", b"x", acl=[make_acl("ip", "127.0.0.0/8", all=True)])
    zk.create(base + "/out", b"x", acl=[make_acl("ip", "10.1.2.3", all=True)])
    assert zk.get(base + "/in")[0] == zk.get(base + "/net")[0] == b"x"
    with pytest.raises(NoAuthError):
        zk.get(base + "/out")


@pytest.mark.parametrize("scheme,id", [
    ("world", "someone"), ("nonsense", "x"), ("digest", "nocolon"), ("ip", "300.1.1.1"), ("super", "x"),
])
def test_ids_that_make_no_sense(zk, base, scheme, id):
    with pytest.raises(InvalidACLError):
        zk.create(base + "/a", acl=[ACL(Permissions.ALL, Id(scheme, id))])


def test_set_acls(zk, base):
    zk.create(base + "/a", b"x")
    made = zk.exists(base + "/a")
    admin = make_acl("world", "anyone", admin=True)
    stat = zk.set_acls(base + "/a", [admin, admin], version=0)
    assert (stat.aversion, stat.version, stat.mzxid) == (1, 0, made.mzxid)
    acls, _ = zk.get_acls(base + "/a")
    assert shape(acls) == [(16, "world", "anyone")], "duplicates are dropped"
    with pytest.raises(NoAuthError):
        zk.get(base + "/a")
    with pytest.raises(BadVersionError):
        zk.set_acls(base + "/a", OPEN_ACL_UNSAFE, version=0)
    zk.set_acls(base + "/a", OPEN_ACL_UNSAFE, version=1)
    assert zk.get(base + "/a")[0] == b"x"
    with pytest.raises(NoNodeError):
        zk.set_acls(base + "/none", OPEN_ACL_UNSAFE)


def test_digests_are_masked_from_those_who_may_not_change_them(connect, base):
    owner = connect(auth_data=[("digest", "ann:secret")])
    acl = [make_digest_acl("ann", "secret", all=True), make_acl("world", "anyone", read=True)]
    owner.create(base + "/a", acl=acl)
    stranger = connect()
    assert shape(stranger.get_acls(base + "/a")[0]) == [(31, "digest", "ann:x"), (1, "world", "anyone")]
    assert shape(owner.get_acls(base + "/a")[0]) == shape(acl)


def test_super_may_do_anything(connect, zk, base):
    zk.create(base + "/a", b"x", acl=[make_digest_acl("ann", "secret", all=True)])
    with pytest.raises(NoAuthError):
        zk.get(base + "/a")
    god = connect(auth_data=[("digest", "super:test")])
    assert god.get(base + "/a")[0] == b"x"
    god.set_acls(base + "/a", OPEN_ACL_UNSAFE)
    assert zk.get(base + "/a")[0] == b"x"


def test_identities_survive_a_reconnect(connect, base):
    client = connect(auth_data=[("digest", "ann:secret")])
    client.create(base + "/a", b"x", acl=CREATOR_ALL_ACL)
    client.add_auth("digest", "bob:secret")
    client.stop()
    client.start()
    assert client.get(base + "/a")[0] == b"x"


def test_an_unknown_scheme_costs_the_connection(connect):
    client = connect()
    with pytest.raises(AuthFailedError):
        client.add_auth("nonsense", "x:y")
