"""Requests no client would send, and those that clients disagree about. Prints one line for each."""

from wire import OPEN, Connection, frame, long, number, probe, text

OPERATIONS = {
    0: "notification", 1: "create", 2: "delete", 3: "exists", 4: "getData", 5: "setData", 6: "getACL", 7: "setACL",
    8: "getChildren", 9: "sync", 10: "10", 11: "ping", 12: "getChildren2", 13: "check", 14: "multi", 15: "create2",
    16: "reconfig", 17: "checkWatches", 18: "removeWatches", 19: "createContainer", 20: "deleteContainer",
    21: "createTTL", 22: "multiRead", 99: "99", 100: "auth", 101: "setWatches", 102: "sasl", 103: "getEphemerals",
    104: "getAllChildrenNumber", 105: "setWatches2", 106: "addWatch", 107: "whoAmI", -1: "-1", -10: "createSession",
    -11: "closeSession",
}
NO_BODY = (0, 10, 11, 99, 107, -1, -10, -11)
FALSE, TRUE, ANY = b"\0", b"\1", number(-1)


def section(title):
    print("# " + title)


def undecodable():
    section("an empty body")
    for kind, name in OPERATIONS.items():
        probe(name, kind, b"")
    section("a string longer than the frame")
    for kind, name in OPERATIONS.items():
        if kind not in NO_BODY:
            probe(name, kind, number(100) + b"/a")
    section("a string of length -2, and of length 2^31-1")
    for kind in (1, 3, 4, 8, 106):
        probe(OPERATIONS[kind] + " -2", kind, number(-2) + b"\0" * 40)
        probe(OPERATIONS[kind] + " 2^31-1", kind, number(2**31 - 1) + b"\0" * 40)


def strange_paths():
    tails = {
        1: number(0) + OPEN + number(0), 2: ANY, 3: FALSE, 4: FALSE, 5: number(0) + ANY, 6: b"", 7: OPEN + ANY,
        8: FALSE, 9: b"", 12: FALSE, 15: number(0) + OPEN + number(0), 17: number(3), 18: number(3),
        19: number(0) + OPEN + number(4), 20: b"", 103: b"", 104: b"", 106: number(0),
    }
    for title, path in (
        ("no path (null)", number(-1)), ("the empty path", number(0)), ("a relative path", text("relative")),
        ("a trailing slash", text("/zookeeper/")), ("a double slash", text("//x")), ("a dot", text("/./x")),
        ("a dot at the end", text("/.")), ("a NUL", text("/a\0b")), ("a control character", text("/a\1b")),
        ("U+FFF0", text("/a\ufff0b")), ("U+1F600", text("/a\U0001f600")),
        ("malformed UTF-8", number(3) + b"/\xff\xfe"),
    ):
        section(title)
        for kind, tail in tails.items():
            probe(OPERATIONS[kind], kind, path + tail)


def watch_modes():
    section("addWatch modes")
    for mode in (0, 1, 2, 3, -1, 2**31 - 1):
        probe("mode %d" % mode, 106, text("/") + number(mode))
    section("checkWatches and removeWatches, every type, on what a client may have")
    watches = {
        "nothing": None, "data": (4, text("/") + TRUE), "exists": (3, text("/") + TRUE),
        "children": (8, text("/") + TRUE), "persistent": (106, text("/") + number(0)),
        "recursive": (106, text("/") + number(1)),
    }
    for what, before in watches.items():
        for kind in (17, 18):
            for type_ in (-1, 0, 1, 2, 3, 4, 5, 6):
                probe("%s type %d on %s" % (OPERATIONS[kind], type_, what), kind, text("/") + number(type_), before=before)
    section("setWatches")
    probe("null lists", 101, long(0) + number(-1, -1, -1), xid=-8)
    probe("empty lists", 101, long(0) + number(0, 0, 0), xid=-8)
    probe("ordinary xid", 101, long(0) + number(0, 0, 0))
    probe("setWatches2, empty lists", 105, long(0) + number(0, 0, 0, 0, 0), xid=-8)
    probe("a data watch on nothing", 101, long(0) + number(1) + text("/raw-none") + number(0, 0), xid=-8)
    probe("an exists watch on the root", 101, long(0) + number(0, 1) + text("/") + number(0), xid=-8)
    probe("a child watch on nothing", 101, long(0) + number(0, 0, 1) + text("/raw-none"), xid=-8)


def create(path, flags, acl=OPEN):
    return text(path) + number(0) + acl + number(flags)


def creations():
    section("create flags")
    for kind in (1, 15, 19):
        for flags in (4, 5, 6, 7, 8, -1):
            probe("%s flags %d" % (OPERATIONS[kind], flags), kind, create("/raw-%d-%d" % (kind, flags), flags))
            probe("delete it", 2, text("/raw-%d-%d" % (kind, flags)) + ANY)
    section("createTTL")
    # Flags without a TTL and a negative one are left out: on Java's servers that request is fatal.
    for flags, ttl in ((5, 0), (5, -1), (5, 2**40), (5, 2**40 - 1), (0, 5), (4, 5), (1, 5), (7, 5)):
        path = "/raw-ttl-%d-%d" % (flags, ttl)
        probe("flags %d ttl %d" % (flags, ttl), 21, create(path, flags) + long(ttl))
        probe("delete it", 2, text(path) + ANY)
    section("access control lists")
    for name, acl in (
        ("null", number(-1)), ("empty", number(0)), ("null scheme", number(1, 31, -1) + text("anyone")),
        ("null id", number(1, 31) + text("world") + number(-1)), ("no permissions", number(1, 0) + text("world") + text("anyone")),
        ("unknown permissions", number(1, -1) + text("world") + text("anyone")),
        ("digest without colon", number(1, 31) + text("digest") + text("x")),
        ("digest ending in a colon", number(1, 31) + text("digest") + text("x:")),
        ("digest with two", number(1, 31) + text("digest") + text("a:b:c")),
        ("ip with bits", number(1, 31) + text("ip") + text("127.0.0.1/33")),
        ("ip short", number(1, 31) + text("ip") + text("127.0.0")),
        ("auth of nobody", number(1, 31) + text("auth") + text("")),
        ("super", number(1, 31) + text("super") + text("")),
        ("sasl", number(1, 31) + text("sasl") + text("ann")), ("x509", number(1, 31) + text("x509") + text("CN=ann")),
    ):
        probe(name, 1, create("/raw-acl", 0, acl))
        probe("delete it", 2, text("/raw-acl") + ANY)


def part(kind, body):
    return number(kind) + b"\0" + number(-1) + body


def multis():
    end, none = number(-1) + b"\1" + number(-1), text("/raw-none")
    section("multi")
    for name, body in (
        ("nothing but the end", end), ("no end", part(2, none + ANY)), ("an end without done", part(-1, b"")),
        ("unknown part", part(99, b"") + end), ("getData", part(4, text("/") + FALSE) + end),
        ("setACL", part(7, text("/") + OPEN + ANY) + end), ("delete of nothing", part(2, none + ANY) + end),
        ("check of the root", part(13, text("/") + ANY) + end),
        ("a bad flag", part(1, create("/raw-m", 9)) + end), ("no acl", part(1, create("/raw-m", 0, number(-1))) + end),
        ("create2", part(15, create("/raw-m", 0)) + end), ("delete", part(2, text("/raw-m") + ANY) + end),
        ("createContainer", part(19, create("/raw-m", 4)) + end), ("delete", part(2, text("/raw-m") + ANY) + end),
        ("createTTL", part(21, create("/raw-m", 5) + long(2**39)) + end), ("delete", part(2, text("/raw-m") + ANY) + end),
        ("failing in the middle", part(13, text("/") + ANY) + part(2, none + ANY) + part(13, text("/") + ANY) + end),
    ):
        probe(name, 14, body)
    section("multiRead")
    for name, body in (
        ("nothing but the end", end), ("a delete", part(2, none + ANY) + end),
        ("data, and children of nothing", part(4, text("/zookeeper/quota") + FALSE) + part(8, none + FALSE) + end),
        ("exists", part(3, text("/") + FALSE) + end),
    ):
        probe(name, 22, body)


def headers():
    section("xids and loose bytes")
    for xid in (0, -1, -2, -4, -8, 2**31 - 1):
        probe("exists with xid %d" % xid, 3, text("/zookeeper/quota") + FALSE, xid=xid)
    probe("ping with xid 5", 11, b"")
    probe("a bool of 7", 3, text("/zookeeper/quota") + b"\7")
    probe("bytes left over", 3, text("/zookeeper/quota") + FALSE + b"left over")
    section("frames")
    connect = number(0) + long(0) + number(10_000) + long(0)
    for name, data, session in (
        ("length 0", number(0), True), ("length 0 first", number(0), False), ("half a header", number(4, 1), True),
        ("7 bytes", number(7) + b"\0" * 7, True), ("length -1", number(-1), True),
        ("the longest length and one", number(0xFFFFF + 1), True),
        ("20 bytes of ConnectRequest", number(20) + b"\0" * 20, False),
        ("no password (null)", number(29) + connect + number(-1) + FALSE, False),
        ("an empty password", number(29) + connect + number(0) + FALSE, False),
        ("a password longer than the frame", number(29) + connect + number(100) + FALSE, False),
        ("no readOnly", number(44) + connect + number(16) + b"\0" * 16, False),
        ("ten bytes left over", number(55) + connect + number(16) + b"\0" * 27, False),
        ("a last zxid ahead of ours", number(45) + number(0) + long(2**60) + number(10_000) + long(0) + number(16) + b"\0" * 17, False),
        ("a session nobody had", number(45) + number(0) + long(0) + number(10_000) + long(77) + number(16) + b"\0" * 17, False),
        ("protocol version 9", number(45) + number(9) + long(0) + number(10_000) + long(0) + number(16) + b"\0" * 17, False),
    ):
        frame(name, data, session)
    connection = Connection()
    connection.send(connect + number(16) + b"\0" * 17)
    print("a second ConnectRequest: " + connection.reply())
    connection.end()


def identities():
    section("auth")
    for name, body in (
        ("digest, null", text("digest") + number(-1)), ("digest, empty", text("digest") + number(0)),
        ("digest without colon", text("digest") + text("ann")), ("digest", text("digest") + text("ann:x")),
        ("no scheme", number(-1) + text("x")), ("unknown", text("nonsense") + text("x")), ("world", text("world") + text("x")),
        ("ip", text("ip") + text("x")), ("sasl", text("sasl") + text("x")), ("super", text("super") + text("x")),
    ):
        probe(name, 100, number(0) + body, xid=-4)
    probe("digest with an ordinary xid", 100, number(0) + text("digest") + text("ann:x"))
    section("others")
    probe("sasl, empty token", 102, number(0))
    probe("reconfig, nulls", 16, number(-1, -1, -1) + long(-1))
    probe("deleteContainer of nothing", 20, text("/raw-none"))
    probe("deleteContainer of the root", 20, text("/"))
    probe("check of the root", 13, text("/") + ANY)
    probe("sync of nothing", 9, text("/raw-none"))
    probe("getEphemerals", 103, text("/"))
    probe("setData with no data", 5, text("/raw-none") + number(-1) + ANY)


if __name__ == "__main__":
    undecodable()
    strange_paths()
    watch_modes()
    creations()
    multis()
    headers()
    identities()
