//! How often the server asks the allocator for memory, per request, on its two hot paths.
//!
//! Time depends on the machine, this hardly does: what makes every request dearer shows here first. The
//! client runs on this thread with frames made beforehand, so that whatever is counted is the server's.

#[path = "../../tests/support/mod.rs"]
mod support;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use support::Client;
use zk_proto::{OpCode, Request, RequestHeader, Stat, Xid};
use zk_server::{Config, Server};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests in one packet.
const AT_ONCE: usize = 16;
const ROUNDS: usize = 500;
/// Frame and header of a reply.
const REPLY_HEAD: usize = 4 + 16;

/// The bytes of one packet with `AT_ONCE` requests of a kind.
fn packet(request: &Request<'_>, op: OpCode) -> Vec<u8> {
    let mut packet = Vec::new();
    for _ in 0..AT_ONCE {
        let mut payload = Vec::new();
        RequestHeader { xid: Xid(1), op }.encode(&mut payload);
        request.encode(&mut payload);
        support::write_frame(&mut packet, &payload).expect("a vector takes all");
    }
    packet
}

/// Allocations, growths included, per request, when each packet is sent as soon as the last is answered.
fn per_request(client: &mut Client, packet: &[u8], reply_len: usize) -> f64 {
    let mut replies = vec![0; AT_ONCE * (REPLY_HEAD + reply_len)];
    let mut rounds = |count: usize| {
        for _ in 0..count {
            client.stream().write_all(packet).expect("sent");
            client.stream().read_exact(&mut replies).expect("answered");
            let err = replies.get(REPLY_HEAD - 4..REPLY_HEAD);
            assert_eq!(err, Some(&[0; 4][..]), "no error");
        }
    };
    rounds(ROUNDS / 10);
    let region = Region::new(COUNTING);
    rounds(ROUNDS);
    let change = region.change();
    let asked = change.allocations + change.reallocations;
    let requests = u32::try_from(ROUNDS * AT_ONCE).expect("few");
    f64::from(u32::try_from(asked).expect("not that many")) / f64::from(requests)
}

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
    let read = per_request(&mut client, &reads, 4 + kilobyte.len() + Stat::WIRE_LEN);
    // One block of input per packet, and nothing per request.
    assert!(read < 0.1, "{read} allocations per read");

    let write = Request::SetData {
        path: "/node".into(),
        data: Some(&kilobyte),
        version: -1,
    };
    let writes = packet(&write, OpCode::SetData);
    let write = per_request(&mut client, &writes, Stat::WIRE_LEN);
    // The path in the transaction, the node's new payload, the list of changes; the rest is per batch.
    assert!(write < 4.6, "{write} allocations per write");
    runtime.block_on(server.stop()).unwrap();
}
