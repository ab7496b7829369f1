//! Our client beside kezhuw's `zookeeper-client` and, where its library and a compiler are, Apache's C client: gets and
//! sets of a kilobyte, closed loops and pipelines, by 1, 64 and 1,024 tasks on one session, against one server of ours.
//! `benches/README.md` says how to read it.
//!
//! Criterion runs it, so that its filters and options work. `ROUNDS=5` measures everything five times over, the
//! clients in turns, and makes medians of ratios instead of single ones.

#[expect(dead_code, reason = "what clients hold is for the other bench")]
mod c_client;
mod party;
mod report;
mod scenarios;
mod server;

use c_client::Compiled;
use criterion::{Criterion, SamplingMode, Throughput};
use party::{Name, Party};
use report::{Reached, Report, Round};
use scenarios::{NODES, SIZE, Scenario, Spent, path};
use server::Server;
use std::io::{self, Write};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Samples of one measurement.
const SAMPLES: usize = 10;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let compiled = Compiled::new();
    if let Err(why) = &compiled {
        say(&format!("THE C CLIENT IS NOT MEASURED: {why}"));
    }
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let rounds = std::env::var("ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number"));
    let mut report = Report::default();
    for turn in 0..rounds {
        for scenario in Scenario::all() {
            let round = compare(
                &mut criterion,
                &runtime,
                compiled.as_ref().ok(),
                scenario,
                turn,
            );
            if !round.is_empty() {
                report.add(scenario, round);
            }
        }
    }
    criterion.final_summary();
    say(&report.tables());
}

fn say(text: &str) {
    // Whoever does not listen any more does not need it.
    drop(writeln!(io::stdout(), "{text}"));
}

/// All clients in one scenario, on one fresh server; another one begins in every round.
fn compare(
    criterion: &mut Criterion,
    runtime: &Runtime,
    compiled: Option<&Compiled>,
    scenario: Scenario,
    turn: usize,
) -> Round {
    let server = runtime.block_on(Server::start());
    let ours = runtime.block_on(prepare(&server));
    let mut group = criterion.benchmark_group(scenario.to_string());
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(1));
    let mut names = vec![Name::Ours, Name::Kezhuw];
    names.extend(compiled.map(|_| Name::C));
    let places = names.len();
    names.rotate_left(turn % places);
    let mut round = Round::new();
    for name in names {
        let mut party = match (name, compiled) {
            (Name::Kezhuw, _) => Party::Kezhuw(runtime.block_on(kezhuw(&server))),
            (Name::C, Some(compiled)) => Party::C(compiled.start(&server.hosts, scenario)),
            (Name::Ours | Name::C, _) => Party::Ours(ours.clone()),
        };
        let mut samples = Vec::new();
        group.bench_function(name.to_string(), |bencher| {
            bencher.iter_custom(|operations| {
                let spent = runtime.block_on(party.run(scenario, operations));
                samples.push((operations, spent));
                spent.time
            });
        });
        round.extend(reached(&samples).map(|reached| (name, reached)));
    }
    group.finish();
    runtime.block_on(ours.close());
    round
}

/// What the last samples come down to; those before them were to warm up. None if this was not asked for.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn reached(samples: &[(u64, Spent)]) -> Option<Reached> {
    let measured = &samples[samples.len().checked_sub(SAMPLES)?..];
    let operations: u64 = measured.iter().map(|(operations, _)| operations).sum();
    let time: Duration = measured.iter().map(|(_, spent)| spent.time).sum();
    let cpu: Duration = measured.iter().map(|(_, spent)| spent.cpu).sum();
    Some(Reached {
        rate: operations as f64 / time.as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / operations as f64,
    })
}

async fn prepare(server: &Server) -> zk_client::Client {
    let client = zk_client::Client::connect(&server.hosts).await;
    let client = client.expect("a session");
    client.create("/bench", "").await.expect("a node");
    for number in 0..NODES {
        let created = client.create(path(number), [b'z'; SIZE]).await;
        created.expect("a node");
    }
    client
}

async fn kezhuw(server: &Server) -> zookeeper_client::Client {
    let client = zookeeper_client::Client::connect(&server.hosts).await;
    client.expect("a session")
}
