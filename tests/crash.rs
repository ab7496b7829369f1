//! kill -9 under load, again and again on the same data (P19, P20, P7, P3): no acknowledged write is lost,
//! nothing is half visible, and the server starts without help each time.
//!
//! `KILL_ROUNDS` sets how often; a plain `cargo test` does a few.

#[path = "support/process.rs"]
mod process;
mod support;

use process::Process;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::{Client, create, free_port};
use zk_proto::{Create, MultiOp, OpCode, Reply, Request, WireAcl};

const WRITERS: usize = 4;
const PIPELINE: usize = 32;

/// What one writer knows after a kill: how many of its writes were acknowledged, how many it sent.
#[derive(Clone, Copy, Debug, Default)]
struct Ledger {
    acknowledged: u64,
    sent: u64,
}

/// Every third write is a multi of two nodes, so that half a multi would show.
fn write(client: &mut Client, base: &str, number: u64) -> std::io::Result<()> {
    let path = format!("{base}/n{number:08}");
    let data = number.to_string();
    if !number.is_multiple_of(3) {
        client.send(&create(&path, data.as_bytes(), 0))?;
        return Ok(());
    }
    let twin = format!("{base}/t{number:08}");
    let part = |path: &str| {
        MultiOp::Create(Create {
            op: OpCode::Create,
            path: path.to_owned().into(),
            data: Some(b"twin"),
            acl: Some(vec![WireAcl::from(zk_proto::Acl::world(
                zk_proto::Perms::ALL,
            ))]),
            flags: 0,
            ttl: -1,
        })
    };
    client.send(&Request::Multi(vec![part(&path), part(&twin)]))?;
    Ok(())
}

/// Writes until the server dies.
fn write_until_death(address: SocketAddr, base: &str, from: u64, stop: &AtomicBool) -> Ledger {
    let mut ledger = Ledger {
        acknowledged: from,
        sent: from,
    };
    let Ok(mut client) = Client::connect(address) else {
        return ledger;
    };
    let mut in_flight = 0;
    while !stop.load(Ordering::Relaxed) {
        while in_flight < PIPELINE {
            if write(&mut client, base, ledger.sent).is_err() {
                return ledger;
            }
            ledger.sent += 1;
            in_flight += 1;
        }
        match client.receive() {
            Err(_) => return ledger,
            Ok((_, reply)) => {
                match reply {
                    Ok(Reply::Path(_)) => {}
                    Ok(Reply::Multi(results)) => assert_eq!(results.len(), 2),
                    other => panic!("write {} was answered {other:?}", ledger.acknowledged),
                }
                ledger.acknowledged += 1;
                in_flight -= 1;
            }
        }
    }
    ledger
}

/// Reads back what a writer wrote. Returns where it goes on.
fn check(client: &mut Client, base: &str, ledger: Ledger) -> u64 {
    let mut names = client
        .children(base)
        .expect("the server answers")
        .expect("the base is there");
    names.sort_unstable();
    let has =
        |prefix: char, number: u64| names.binary_search(&format!("{prefix}{number:08}")).is_ok();
    let last = (0..ledger.sent)
        .take_while(|&number| has('n', number))
        .count() as u64;
    assert!(
        last >= ledger.acknowledged,
        "{base}: {ledger:?}, but only {last} are there (P19)"
    );
    for number in 0..ledger.sent {
        assert_eq!(
            has('n', number),
            number < last,
            "{base}: a later write outlived an earlier one (P3)"
        );
        if number.is_multiple_of(3) {
            assert_eq!(
                has('t', number),
                number < last,
                "{base}: half of multi {number} (P7)"
            );
        }
    }
    if last > 0 {
        let path = format!("{base}/n{:08}", last - 1);
        let expected = if (last - 1).is_multiple_of(3) {
            b"twin".to_vec()
        } else {
            (last - 1).to_string().into_bytes()
        };
        assert_eq!(
            client.data(&path).expect("the server answers"),
            Ok(expected)
        );
    }
    last
}

/// So many kills on the same data; then a new server, because each round reads back all that was ever written.
const ROUNDS_ON_ONE: u32 = 50;

/// Kills a server `rounds` times. Returns how many writes survived.
fn kill_again_and_again(rounds: u32) -> u64 {
    let data = tempfile::tempdir().expect("a directory can be made");
    let port = free_port();
    // Small thresholds, so that kills also land in rolls, snapshots and purges.
    let settings = ["snapCount=3000", "preAllocSize=256"];
    let mut server = Process::start(data.path(), port, &settings);
    let bases: Vec<String> = (0..WRITERS).map(|writer| format!("/w{writer}")).collect();
    let mut setup = Client::connect(server.address).expect("the server serves");
    for base in &bases {
        setup
            .create(base, b"", 0)
            .expect("the server answers")
            .expect("a base can be created");
    }
    drop(setup);
    let mut next = [0; WRITERS];
    for round in 0..rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = bases
            .iter()
            .zip(next)
            .map(|(base, from)| {
                let (address, base, stop) = (server.address, base.clone(), Arc::clone(&stop));
                thread::spawn(move || write_until_death(address, &base, from, &stop))
            })
            .collect();
        thread::sleep(Duration::from_millis(60 + u64::from(round * 37 % 240)));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        let ledgers: Vec<Ledger> = writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer never panics"))
            .collect();
        server = Process::start(data.path(), port, &settings);
        let mut client = Client::connect(server.address).expect("the server serves");
        for (index, base) in bases.iter().enumerate() {
            next[index] = check(&mut client, base, ledgers[index]);
        }
    }
    next.iter().sum()
}

#[test]
fn no_acknowledged_write_is_lost_to_kill_9() {
    let rounds: u32 = std::env::var("KILL_ROUNDS")
        .map_or(6, |rounds| rounds.parse().expect("KILL_ROUNDS is a number"));
    let (mut done, mut survived) = (0, 0);
    while done < rounds {
        let some = ROUNDS_ON_ONE.min(rounds - done);
        survived += kill_again_and_again(some);
        done += some;
        println!("{done} kills, {survived} writes survived");
    }
    assert!(survived > u64::from(rounds), "nothing much was written");
}
