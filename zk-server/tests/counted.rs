//! What `mntr` counts of the way of a write.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use support::{Client, create, four_letters};
use zk_server::config::settings::FourLetterWords;
use zk_server::{Config, Server};

#[test]
fn every_stage_of_a_write_is_counted() {
    const WRITES: u64 = 20;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::in_process(data.path());
    config.four_letter_words = FourLetterWords::All;
    let server = runtime.block_on(Server::start(config)).unwrap();
    let address = server.client_address().unwrap();
    let mut client = Client::connect(address).unwrap();
    for number in 0..WRITES {
        let path = format!("/{number}");
        client.send(&create(&path, b"", 0)).unwrap();
    }
    for _ in 0..WRITES {
        client.receive().unwrap().1.unwrap();
    }
    let text = four_letters(address, "mntr");
    let shown: BTreeMap<&str, f64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("zk_")?.split_once('\t'))
        .filter_map(|(key, value)| Some((key, value.parse().ok()?)))
        .collect();
    // The session's own transaction is written too, but no client's request.
    for (key, count) in [
        ("prep_process_time", WRITES),
        ("prep_processor_queue_time_ms", WRITES),
        ("sync_process_time", WRITES + 1),
        ("sync_processor_queue_and_flush_time_ms", WRITES + 1),
        ("propagation_latency", WRITES + 1),
    ] {
        let counted = shown[format!("cnt_{key}").as_str()];
        assert_eq!(counted, f64::from(u32::try_from(count).unwrap()), "{key}");
    }
    for key in ["prep_processor_queue_size", "sync_processor_queue_size"] {
        assert!(shown[format!("cnt_{key}").as_str()] >= 1.0, "{key}");
    }
    assert!(shown["max_sync_processor_queue_size"] >= 1.0);
    assert!(shown["max_propagation_latency"] < 60_000.0);
    runtime.block_on(server.stop()).unwrap();
}
