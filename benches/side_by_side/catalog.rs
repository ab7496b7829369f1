//! The list of what is measured. How it is done lives in `scenarios` and the files it calls.

/// What the requests of a closed loop are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// getData of 1 KB.
    Reads,
    /// setData of 1 KB.
    Writes,
    /// Nine reads for one write.
    Mix,
    /// Persistent nodes of 100 bytes.
    Creates,
    /// Ephemeral sequential nodes, all in one parent.
    Sequential,
    /// Deletes of nodes made before.
    Deletes,
    /// A multi of ten setData of 100 bytes.
    Multi,
    /// getChildren of a node with a thousand.
    Children,
}

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
    /// Sessions are held open and cost memory.
    Sessions { sessions: usize },
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
    }
}

const fn other(name: &'static str, title: &'static str, kind: Kind) -> Scenario {
    Scenario { name, title, kind }
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
        Work::Mix,
        64,
        16,
    ),
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
        Work::Multi,
        64,
        4,
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
        "fill",
        "1,000,000 nodes of 100 B, then a restart with them",
        Kind::Fill { nodes: 1_000_000 },
    ),
    other("start", "an empty server starts", Kind::Start),
    other("idle", "an empty server does nothing for 5 s", Kind::Idle),
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
