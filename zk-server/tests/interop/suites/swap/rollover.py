"""A counter that is spent while servers take turns (P33). Java's standalone server counts on into the epoch's bits; ours goes
from 0xfffffffe to the first of the next epoch, as an ensemble does. Each must read what the other wrote there."""

import os
import shutil

from client import Client, create

BEFORE = 0x7_ffff_ffe0
# Where the first server is killed: with the last number that all servers use, and right behind the change.
ENDS = (0x7_ffff_fffe, 0x8_0000_0000)


def begin(stage, leg):
    """A directory whose one snapshot says that nearly all numbers of an epoch are used."""
    shutil.rmtree(stage.root + "/data", ignore_errors=True)
    stage.start(leg)
    stage.control("stop")
    [(_, name)] = stage.files("snapshot")
    assert stage.files("log") == [], "nothing has happened yet"
    directory = stage.root + "/data/version-2/"
    os.rename(directory + name, directory + "snapshot.%x" % BEFORE)


def cross(report, stage, name, first, second, end):
    stage.start(first)
    client, zxids = Client(stage.port), [BEFORE]
    while zxids[-1] < end:
        reply = client.one(create("/n%d" % len(zxids), b"x"))
        assert reply.err == 0, reply
        zxids.append(reply.zxid)
    wanted = client.walk()
    stage.control("kill")
    stage.start(second)
    report.expect(name + ": the zxid", stage.zxid(), zxids[-1])
    client = Client(stage.port, session=client.session, password=client.password)
    report.expect(name + ": the tree", client.walk(), wanted)
    later = [client.one(create("/later%d" % n, b"")).zxid for n in range(8)]
    report.expect(name + ": it goes on", (later[0] > zxids[-1], later), (True, sorted(set(later))))
    wanted = client.walk()
    stage.control("kill")
    stage.start(first)
    client = Client(stage.port, session=client.session, password=client.password)
    report.expect(name + ": the tree, back at the first", client.walk(), wanted)
    report.expect(name + ": digest mismatches", stage.digest_mismatches(), 0)
    client.close()
    stage.control("stop")


def run(report, stage, leg, javas):
    ours = leg("ours", "kill")
    for java in javas:
        for first, second in ((ours, leg(java, "kill")), (leg(java, "kill"), ours)):
            for end in ENDS:
                begin(stage, ours)
                cross(report, stage, "rollover, %s then %s, killed at %#x" % (first, second, end), first, second, end)
