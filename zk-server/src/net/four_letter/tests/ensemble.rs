//! Members of an ensemble: leader, follower, observer, and one left alone.

use super::*;

#[test]
fn a_leader_shows_its_proposals() {
    let server = member(Mode::Leader, 2, 9, 8);
    latencies(&server.metrics, 2, 9, 15, 3);
    for (second, size) in [(1, 48), (2, 60), (3, 117)] {
        server
            .metrics
            .here()
            .server
            .proposal_size
            .record(size, Duration::from_secs(second));
    }
    assert_eq!(ask(&server, Word::Srvr), recorded!("leader/srvr.txt"));
    assert_eq!(ask(&server, Word::Conf), recorded!("leader/conf.txt"));
    server.metrics.reset();
    server.metrics.here().server.packets_received.increment();
    server.metrics.here().server.packets_sent.increment();
    assert_eq!(
        ask(&server, Word::Srvr),
        recorded!("leader/srvr-after-reset.txt")
    );
}

#[test]
fn sessions_are_dumped_by_role() {
    let [one, two, three] = [
        0x0100_001d_5adc_0000,
        0x0200_001d_5ae5_0000,
        0x0300_001d_5cdb_0000,
    ];
    let local_expiry = 1_795_262_725_000;
    let mut leader = member(Mode::Leader, 2, 1, 1);
    leader.sessions = Sessions::Tracked {
        local: Some(vec![expiring(local_expiry, vec![])]),
        global: vec![
            expiring(local_expiry, ids(&[two, one])),
            expiring(local_expiry + 1000, ids(&[three])),
        ],
    };
    let connections = |first: (u16, i64), second: (u16, i64)| {
        let item = |(port, id)| (address(port), SessionId::from_wire(id));
        vec![expiring(
            local_expiry + 5000,
            vec![item(first), item(second)],
        )]
    };
    leader.connection_expiry = connections((51106, 0), (51026, two));
    assert_eq!(ask(&leader, Word::Dump), recorded!("leader/dump.txt"));

    let global = [one, two, three]
        .map(|id| (SessionId::from_wire(id), 10_000))
        .to_vec();
    let mut follower = member(Mode::Follower, 1, 1, 1);
    follower.sessions = Sessions::Learned {
        local: Some(vec![expiring(local_expiry, vec![])]),
        global: global.clone(),
    };
    follower.connection_expiry = connections((51842, one), (51906, 0));
    assert_eq!(ask(&follower, Word::Dump), recorded!("follower/dump.txt"));
    assert_eq!(ask(&follower, Word::Conf), recorded!("follower/conf.txt"));

    let four = 0x0400_001d_5cad_0000;
    let mut observer = member(Mode::Observer, 4, 1, 1);
    observer.sessions = Sessions::Learned {
        local: Some(vec![expiring(local_expiry, ids(&[four]))]),
        global,
    };
    observer.connection_expiry = connections((46934, 0), (46862, four));
    observer.directories = Directories {
        data: 67_110_194,
        log: 67_110_194,
    };
    assert_eq!(ask(&observer, Word::Dump), recorded!("observer/dump.txt"));
    assert_eq!(ask(&observer, Word::Conf), recorded!("observer/conf.txt"));
}

#[test]
fn a_server_that_only_reads_says_so() {
    let mut server = member(Mode::ReadOnly, 1, 5, 4);
    server.serving = Serving::ReadOnly;
    server.vital = Vital {
        mode: Mode::ReadOnly,
        zxid: Zxid::from_wire(0x1_0000_0027),
        connections: 1,
        outstanding: 0,
        nodes: 35,
    };
    assert_eq!(ask(&server, Word::Srvr), recorded!("read-only/srvr.txt"));
    assert_eq!(ask(&server, Word::Isro), recorded!("read-only/isro.txt"));
    server.metrics = metrics(6, 5);
    server.connections = vec![asker(52100)];
    assert_eq!(ask(&server, Word::Stat), recorded!("read-only/stat.txt"));
    if let Some(peer) = &mut server.conf.peer {
        peer.membership = None;
    }
    assert_eq!(ask(&server, Word::Conf), recorded!("read-only/conf.txt"));
    server.sessions = Sessions::Learned {
        local: Some(vec![]),
        global: vec![],
    };
    server.ephemerals = vec![];
    server.connection_expiry = vec![expiring(
        1_795_262_730_000,
        vec![(address(52116), SessionId::NONE)],
    )];
    assert_eq!(ask(&server, Word::Dump), recorded!("read-only/dump.txt"));
}
