//! How often the server asks the allocator for memory, per request, on its two hot paths.
//!
//! Time depends on the machine, this hardly does: what makes every request dearer shows here first. The
//! client runs on this thread with frames made beforehand, so that whatever is counted is the server's.

#[path = "counting/mod.rs"]
mod counting;
#[path = "../../tests/support/mod.rs"]
mod support;

use counting::{packet, per_request};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use support::Client;
use zk_proto::{OpCode, Request, Stat};
use zk_server::{Config, Server};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn requests_are_served_with_few_allocations() {
    let data = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime
        .block_on(Server::start(Config::in_process(data.path())))
        .unwrap();
    let mut client = Client::connect(server.client_address().unwrap()).unwrap();
    let kilobyte = [7; 1024];
    client.create("/node", &kilobyte, 0).unwrap().unwrap();

    let read = Request::GetData {
        path: "/node".into(),
        watch: false,
    };
    let reads = packet(&read, OpCode::GetData);
    let read = per_request(
        COUNTING,
        &mut client,
        &reads,
        4 + kilobyte.len() + Stat::WIRE_LEN,
    );
    // One block of input per packet, and nothing per request.
    assert!(read < 0.1, "{read} allocations per read");

    let write = Request::SetData {
        path: "/node".into(),
        data: Some(&kilobyte),
        version: -1,
    };
    let writes = packet(&write, OpCode::SetData);
    let write = per_request(COUNTING, &mut client, &writes, Stat::WIRE_LEN);
    // The path in the transaction, the node's new payload, the list of changes; the rest is per batch.
    assert!(write < 4.6, "{write} allocations per write");
    runtime.block_on(server.stop()).unwrap();
}
