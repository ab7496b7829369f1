//! The list of what is measured. How it is done lives in `scenarios` and the files it calls.

use crate::size::Size;

/// What the requests of a closed loop are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// getData of 1 KB.
    Reads,
    /// setData of 1 KB.
    Writes,
    /// Both, of 1 KB: so many reads in ten.
    Mix(usize),
    /// Persistent nodes of 100 bytes.
    Creates,
    /// Ephemeral sequential nodes, all in one parent.
    Sequential,
    /// Deletes of nodes made before.
    Deletes,
    /// A multi of so many setData of 100 bytes.
    Multi(usize),
    /// getChildren of a node with a thousand.
    Children,
}

/// Who serves, and whom the clients talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// One server alone.
    Alone,
    /// An ensemble, the clients spread evenly over its members.
    Everywhere(Size),
    /// An ensemble, all clients at its leader.
    AtLeader(Size),
    /// An ensemble, all clients at one that follows.
    AtFollower(Size),
}

/// The usual ensemble.
const THREE: Size = Size {
    voters: 3,
    observers: 0,
};
const FIVE: Size = Size {
    voters: 5,
    observers: 0,
};
/// Three who vote, two who help with reads.
const WATCHED: Size = Size {
    voters: 3,
    observers: 2,
};

/// How a scenario is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every connection keeps `depth` requests in flight.
    Closed {
        work: Work,
        conns: usize,
        depth: usize,
    },
    /// Requests are sent when they are due, answered or not.
    Open { rate: u32, conns: usize },
    /// Watches are set, then fire: `sharing` connections watch each node.
    Watches {
        conns: usize,
        nodes: usize,
        sharing: usize,
        depth: usize,
    },
    /// Sessions are opened as fast as the server lets them in.
    Connect { sessions: usize },
    /// The server is killed and started again, and all its clients come back with their sessions.
    Reconnect { sessions: usize },
    /// Sessions are held open and cost memory.
    Sessions { sessions: usize },
    /// So many clients want the same lock, again and again.
    Locks { contenders: usize },
    /// The leader is killed while clients write.
    Failover,
    /// An open loop on many nodes: first without snapshots, then with.
    Snapshots { nodes: usize, rate: u32 },
    /// Nodes of 100 bytes are created, then the server is restarted.
    Fill { nodes: usize },
    /// An empty server starts.
    Start,
    /// An empty server does nothing.
    Idle,
}

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    /// Its name on the command line and in the JSON.
    pub(crate) name: &'static str,
    /// Its title in the report.
    pub(crate) title: &'static str,
    /// How it is driven.
    pub(crate) kind: Kind,
    /// Who serves.
    pub(crate) place: Place,
}

impl Scenario {
    const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

const fn closed(
    name: &'static str,
    title: &'static str,
    work: Work,
    conns: usize,
    depth: usize,
) -> Scenario {
    Scenario {
        name,
        title,
        kind: Kind::Closed { work, conns, depth },
        place: Place::Alone,
    }
}

const fn other(name: &'static str, title: &'static str, kind: Kind) -> Scenario {
    let place = Place::Alone;
    Scenario {
        name,
        title,
        kind,
        place,
    }
}

/// The mixes of the `ZooKeeper` paper that have no scenario of their own.
const fn paper(name: &'static str, title: &'static str, reads_in_ten: usize) -> Scenario {
    closed(name, title, Work::Mix(reads_in_ten), 64, 16)
}

/// Everything, in the order in which it runs.
pub(crate) const SCENARIOS: &[Scenario] = &[
    closed(
        "reads-64x16",
        "getData 1 KB, 64 connections × 16 in flight",
        Work::Reads,
        64,
        16,
    ),
    closed(
        "reads-64x1",
        "getData 1 KB, 64 connections × 1",
        Work::Reads,
        64,
        1,
    ),
    closed(
        "reads-1x1",
        "getData 1 KB, 1 connection × 1",
        Work::Reads,
        1,
        1,
    ),
    closed(
        "writes-64x16",
        "setData 1 KB, 64 connections × 16 in flight",
        Work::Writes,
        64,
        16,
    ),
    closed(
        "writes-64x1",
        "setData 1 KB, 64 connections × 1",
        Work::Writes,
        64,
        1,
    ),
    closed(
        "writes-16x1",
        "setData 1 KB, 16 connections × 1",
        Work::Writes,
        16,
        1,
    ),
    closed(
        "writes-1x1",
        "setData 1 KB, 1 connection × 1",
        Work::Writes,
        1,
        1,
    ),
    closed(
        "mix-64x16",
        "90 % getData, 10 % setData, 1 KB, 64 × 16",
        Work::Mix(9),
        64,
        16,
    ),
    paper("paper-10", "1 server: 10 % getData, 1 KB, 64 × 16", 1),
    paper("paper-30", "1 server: 30 % getData, 1 KB, 64 × 16", 3),
    paper("paper-50", "1 server: 50 % getData, 1 KB, 64 × 16", 5),
    paper("paper-70", "1 server: 70 % getData, 1 KB, 64 × 16", 7),
    closed(
        "creates-64x16",
        "create 100 B, 64 × 16",
        Work::Creates,
        64,
        16,
    ),
    closed(
        "sequential-64x16",
        "create ephemeral sequential, 64 × 16",
        Work::Sequential,
        64,
        16,
    ),
    closed("deletes-64x16", "delete, 64 × 16", Work::Deletes, 64, 16),
    closed(
        "multi-64x4",
        "multi of 10 setData 100 B, 64 × 4",
        Work::Multi(10),
        64,
        4,
    ),
    closed(
        "multi100-16x1",
        "multi of 100 setData 100 B, 16 × 1",
        Work::Multi(100),
        16,
        1,
    ),
    closed(
        "children-64x1",
        "getChildren of 1,000, 64 × 1",
        Work::Children,
        64,
        1,
    ),
    other(
        "watch-each",
        "10,000 watches on 10,000 nodes over 100 connections, each node changed once (per event)",
        Kind::Watches {
            conns: 100,
            nodes: 10_000,
            sharing: 1,
            depth: 16,
        },
    ),
    other(
        "watch-all",
        "10,000 watches on 100 nodes, all 100 connections told of each change (per event)",
        Kind::Watches {
            conns: 100,
            nodes: 100,
            sharing: 100,
            depth: 1,
        },
    ),
    other(
        "connect",
        "5,000 sessions connect to a cold server (per session)",
        Kind::Connect { sessions: 5_000 },
    ),
    other(
        "connect-10000",
        "10,000 sessions connect to a cold server (per session)",
        Kind::Connect { sessions: 10_000 },
    ),
    other(
        "reconnect",
        "5,000 sessions come back to a server that was killed and started again (per session)",
        Kind::Reconnect { sessions: 5_000 },
    ),
    other(
        "sessions",
        "10,000 idle sessions",
        Kind::Sessions { sessions: 10_000 },
    ),
    other(
        "open-5000",
        "90 % getData, 10 % setData, 1 KB, 5,000 per second whether answered or not",
        Kind::Open {
            rate: 5_000,
            conns: 64,
        },
    ),
    other(
        "open-500",
        "90 % getData, 10 % setData, 1 KB, 500 per second whether answered or not",
        Kind::Open {
            rate: 500,
            conns: 64,
        },
    ),
    other(
        "open-20000",
        "90 % getData, 10 % setData, 1 KB, 20,000 per second whether answered or not",
        Kind::Open {
            rate: 20_000,
            conns: 64,
        },
    ),
    other(
        "snapshots",
        "5,000 per second as above on 200,000 nodes, a snapshot now and then; `quiet` is before the first",
        Kind::Snapshots {
            nodes: 200_000,
            rate: 5_000,
        },
    ),
    other(
        "fill",
        "1,000,000 nodes of 100 B, then a restart with them",
        Kind::Fill { nodes: 1_000_000 },
    ),
    other("start", "an empty server starts", Kind::Start),
    other("idle", "an empty server does nothing for 5 s", Kind::Idle),
    closed(
        "three-reads-63x16",
        "3 members: getData 1 KB, 63 connections × 16 in flight",
        Work::Reads,
        63,
        16,
    )
    .at(Place::Everywhere(THREE)),
    closed(
        "three-writes-63x16",
        "3 members: setData 1 KB, 63 × 16",
        Work::Writes,
        63,
        16,
    )
    .at(Place::Everywhere(THREE)),
    closed(
        "three-mix-63x16",
        "3 members: 90 % getData, 10 % setData, 1 KB, 63 × 16",
        Work::Mix(9),
        63,
        16,
    )
    .at(Place::Everywhere(THREE)),
    closed(
        "three-writes-1x1",
        "3 members: setData 1 KB, 1 connection × 1, at a follower",
        Work::Writes,
        1,
        1,
    )
    .at(Place::AtFollower(THREE)),
    closed(
        "three-writes-1x1-leader",
        "3 members: setData 1 KB, 1 connection × 1, at the leader",
        Work::Writes,
        1,
        1,
    )
    .at(Place::AtLeader(THREE)),
    other(
        "three-locks-15",
        "3 members: 15 contenders for one lock (per cycle)",
        Kind::Locks { contenders: 15 },
    )
    .at(Place::Everywhere(THREE)),
    other(
        "three-locks-63",
        "3 members: 63 contenders for one lock (per cycle)",
        Kind::Locks { contenders: 63 },
    )
    .at(Place::Everywhere(THREE)),
    paper(
        "three-paper-10",
        "3 members: 10 % getData, 1 KB, 64 × 16",
        1,
    )
    .at(Place::Everywhere(THREE)),
    paper(
        "three-paper-50",
        "3 members: 50 % getData, 1 KB, 64 × 16",
        5,
    )
    .at(Place::Everywhere(THREE)),
    paper(
        "three-paper-70",
        "3 members: 70 % getData, 1 KB, 64 × 16",
        7,
    )
    .at(Place::Everywhere(THREE)),
    other(
        "three-failover",
        "3 members: the leader is killed five times while 9 clients write",
        Kind::Failover,
    )
    .at(Place::Everywhere(THREE)),
    closed(
        "five-reads-65x16",
        "5 members: getData 1 KB, 65 × 16",
        Work::Reads,
        65,
        16,
    )
    .at(Place::Everywhere(FIVE)),
    closed(
        "five-writes-65x16",
        "5 members: setData 1 KB, 65 × 16",
        Work::Writes,
        65,
        16,
    )
    .at(Place::Everywhere(FIVE)),
    closed(
        "five-mix-65x16",
        "5 members: 90 % getData, 10 % setData, 1 KB, 65 × 16",
        Work::Mix(9),
        65,
        16,
    )
    .at(Place::Everywhere(FIVE)),
    closed(
        "observed-mix-65x16",
        "3 members and 2 observers: 90 % getData, 10 % setData, 1 KB, 65 × 16",
        Work::Mix(9),
        65,
        16,
    )
    .at(Place::Everywhere(WATCHED)),
];

/// The scenarios whose name is, or begins with, `wanted`: `reads` are all reads.
pub(crate) fn named(wanted: &str) -> Vec<Scenario> {
    let exact: Vec<_> = SCENARIOS
        .iter()
        .filter(|s| s.name == wanted)
        .copied()
        .collect();
    if !exact.is_empty() || wanted.is_empty() {
        return exact;
    }
    let begins = |scenario: &&Scenario| scenario.name.starts_with(wanted);
    SCENARIOS.iter().filter(begins).copied().collect()
}
