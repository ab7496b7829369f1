//! What a client costs that does nothing, and what a watch costs that hears nothing: bytes, counted by the allocator.
//! The servers are threads that keep nothing.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use zk_client::Client;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CLIENTS: usize = 200;
const WATCHES: usize = 5_000;
/// What is said in the documentation of the crate.
const PER_CLIENT: usize = 24 << 10;
const PER_WATCH: usize = 512;

#[expect(clippy::unwrap_used, reason = "a test's")]
fn read_frame(stream: &mut TcpStream, frame: &mut [u8; 1024]) -> Option<usize> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).ok()?;
    let len = usize::try_from(u32::from_be_bytes(head)).unwrap();
    stream.read_exact(&mut frame[..len]).ok()?;
    Some(len)
}

/// Greets, and answers every request with an empty success.
fn serve(mut stream: TcpStream) -> Option<()> {
    let mut frame = [0; 1024];
    read_frame(&mut stream, &mut frame)?;
    let mut greeting = [0; 41];
    greeting[..4].copy_from_slice(&37_u32.to_be_bytes());
    greeting[8..12].copy_from_slice(&60_000_i32.to_be_bytes());
    greeting[19] = 7;
    greeting[20..24].copy_from_slice(&16_i32.to_be_bytes());
    stream.write_all(&greeting).ok()?;
    loop {
        read_frame(&mut stream, &mut frame)?;
        let mut reply = [0; 24];
        reply[3] = 20;
        reply[4..8].copy_from_slice(&frame[..4]);
        reply[15] = 1;
        stream.write_all(&reply).ok()?;
    }
}

#[expect(clippy::unwrap_used, reason = "a test's")]
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let small = std::thread::Builder::new().stack_size(64 << 10);
            small.spawn(move || serve(stream)).unwrap();
        }
    });
    address
}

/// Bytes held since then.
fn held(region: &Region<'_, System>) -> usize {
    let change = region.change();
    let grown = change.bytes_reallocated.cast_unsigned();
    // Reallocations are counted in their sum, which is negative where buffers have shrunk.
    (change.bytes_allocated - change.bytes_deallocated).wrapping_add(grown)
}

#[tokio::test(flavor = "current_thread")]
async fn an_idle_client_and_a_silent_watch_cost_what_is_said() {
    let address = server().to_string();
    // What the runtime and the first client set up for all.
    let first = Client::connect(&address).await.unwrap();
    let mut clients = Vec::with_capacity(CLIENTS);
    let region = Region::new(ALLOCATOR);
    for _ in 0..CLIENTS {
        clients.push(Client::connect(&address).await.unwrap());
    }
    let per_client = held(&region) / CLIENTS;

    let mut watches = Vec::with_capacity(WATCHES);
    let region = Region::new(ALLOCATOR);
    for number in 0..WATCHES {
        watches.push(
            first
                .watch(format!("/services/number-{number:06}"))
                .await
                .unwrap(),
        );
    }
    let per_watch = held(&region) / WATCHES;
    println!("an idle client holds {per_client} bytes, a watch {per_watch}");
    assert!((1..PER_CLIENT).contains(&per_client), "{per_client}");
    assert!((1..PER_WATCH).contains(&per_watch), "{per_watch}");
}
