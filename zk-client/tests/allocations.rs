//! What a request costs in allocations, from the call to its answer. The server is a thread that answers from
//! fixed buffers, so that everything counted is the client's and its runtime's.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use zk_client::Client;
use zk_proto::{OpCode, Stat};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: usize = 2_000;

/// The number at a place of a frame.
#[expect(clippy::unwrap_used, reason = "a test's")]
fn number(frame: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}

#[expect(clippy::unwrap_used, reason = "a test's")]
fn greet(stream: &mut TcpStream) {
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut rest = vec![0; usize::try_from(number(&head, 0)).unwrap()];
    stream.read_exact(&mut rest).unwrap();
    let mut greeting = vec![0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 0x75, 0x30];
    greeting.extend_from_slice(&7_i64.to_be_bytes());
    greeting.extend_from_slice(&[0, 0, 0, 16]);
    greeting.extend_from_slice(&[1; 16]);
    greeting.push(0);
    stream.write_all(&greeting).unwrap();
}

/// Answers everything with a stat, a read with eight bytes of data before it.
#[expect(clippy::unwrap_used, reason = "a test's")]
fn serve(mut stream: TcpStream) {
    greet(&mut stream);
    let mut input = vec![0; 1 << 20];
    let mut output = Vec::with_capacity(1 << 20);
    let mut stat = Vec::new();
    Stat::default().encode(&mut stat);
    let mut held = 0;
    while let Ok(read) = stream.read(&mut input[held..]) {
        if read == 0 {
            return;
        }
        held += read;
        let mut at = 0;
        output.clear();
        while held - at >= 4 {
            let len = usize::try_from(number(&input, at)).unwrap();
            if held - at < 4 + len {
                break;
            }
            let frame = &input[at + 4..at + 4 + len];
            let data = number(frame, 4) == OpCode::GetData.to_wire();
            let body = stat.len() + if data { 12 } else { 0 };
            output.extend_from_slice(&u32::try_from(16 + body).unwrap().to_be_bytes());
            output.extend_from_slice(&frame[..4]);
            output.extend_from_slice(&1_i64.to_be_bytes());
            output.extend_from_slice(&[0; 4]);
            if data {
                output.extend_from_slice(&[0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
            }
            output.extend_from_slice(&stat);
            at += 4 + len;
        }
        input.copy_within(at..held, 0);
        held -= at;
        stream.write_all(&output).unwrap();
    }
}

#[expect(clippy::unwrap_used, reason = "a test's")]
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    address
}

/// Allocations per request, when many are on their way.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
async fn per_request<T>(
    calls: &mut Vec<zk_client::Call<T>>,
    make: impl Fn() -> zk_client::Call<T>,
) -> f64 {
    let mut counted = 0;
    // The first round fills pools and buffers.
    for _ in 0..2 {
        let region = Region::new(ALLOCATOR);
        calls.extend((0..REQUESTS).map(|_| make()));
        for call in calls.drain(..) {
            assert!(call.await.is_ok(), "the thread answers everything");
        }
        let change = region.change();
        counted = change.allocations + change.reallocations;
    }
    counted as f64 / REQUESTS as f64
}

#[tokio::test(flavor = "current_thread")]
async fn a_request_is_a_slot_and_what_its_caller_keeps() {
    let client = Client::connect(server().to_string()).await.unwrap();
    let (mut stats, mut options, mut datas) = (
        Vec::with_capacity(REQUESTS),
        Vec::with_capacity(REQUESTS),
        Vec::with_capacity(REQUESTS),
    );
    let set = per_request(&mut stats, || client.set("/some/path", "data").send()).await;
    let exists = per_request(&mut options, || client.exists("/some/path").send()).await;
    let get = per_request(&mut datas, || client.get("/some/path").send()).await;
    println!("allocations per request: set {set:.2}, exists {exists:.2}, get {get:.2}");
    // The slot, and a fraction for the queue's blocks and the buffers replies arrive in; frames are used again.
    assert!(set < 1.2, "{set}");
    assert!(exists < 1.2, "{exists}");
    // And the data, which the caller keeps.
    assert!(get < 2.2, "{get}");
}
