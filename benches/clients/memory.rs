//! What clients allocate for a request, and what they hold for a session and for a watch that are idle: ours, kezhuw's,
//! and, by its resident memory, the C client. Nothing here is timed: every allocation is counted.

#[path = "c_client.rs"]
#[expect(dead_code, reason = "its load is for the other bench")]
mod c_client;
#[path = "scenarios.rs"]
#[expect(dead_code, reason = "its scenarios are for the other bench")]
mod scenarios;
#[path = "server.rs"]
mod server;

use c_client::Compiled;
use scenarios::{SIZE, path};
use server::Server;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::future::Future;
use std::io::{self, Write};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: usize = 1000;
const CLIENTS: usize = 200;
const WATCHES: usize = 5000;
const DATA: [u8; SIZE] = [b'z'; SIZE];

/// What one client costs.
#[derive(Debug, Default)]
struct Costs {
    get: f64,
    set: f64,
    client: usize,
    watch: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let server = Server::start().await;
    let ours = ours(&server).await;
    let kezhuw = kezhuw(&server).await;
    say("                        allocations per        bytes per idle");
    say("                        get     set       client     watch");
    for (name, costs) in [("ours", ours), ("kezhuw", kezhuw)] {
        let Costs {
            get,
            set,
            client,
            watch,
        } = costs;
        say(&format!(
            "{name:<20}{get:>7.2} {set:>7.2} {client:>12} {watch:>9}"
        ));
    }
    match Compiled::new() {
        Ok(compiled) => {
            let memory = |what, count| compiled.memory(&server.hosts, what, count);
            let (client, watch) = (memory("clients", CLIENTS), memory("watches", WATCHES));
            say(&format!("{:<36}{client:>12} {watch:>9}", "c (resident)"));
        }
        Err(why) => say(&format!("THE C CLIENT IS NOT MEASURED: {why}")),
    }
}

fn say(text: &str) {
    // Whoever does not listen any more does not need it.
    drop(writeln!(io::stdout(), "{text}"));
}

/// Allocations per call, when many are on their way.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
async fn per_call<C: Future>(call: impl Fn(usize) -> C, check: impl Fn(C::Output)) -> f64 {
    let mut calls = Vec::with_capacity(CALLS);
    let mut counted = 0;
    // The first rounds fill pools and buffers.
    for _ in 0..3 {
        let region = Region::new(ALLOCATOR);
        calls.extend((0..CALLS).map(&call));
        for call in calls.drain(..) {
            check(call.await);
        }
        let change = region.change();
        counted = change.allocations + change.reallocations;
    }
    counted as f64 / CALLS as f64
}

/// Bytes held since then.
fn held(region: &Region<'_, System>) -> usize {
    let change = region.change();
    let grown = change.bytes_reallocated.cast_unsigned();
    // Reallocations are counted in their sum, which is negative where buffers have shrunk.
    (change.bytes_allocated - change.bytes_deallocated).wrapping_add(grown)
}

/// Bytes each of so many things hold; and the things, whose end would be counted with the next.
async fn each<T, M: Future<Output = T>>(
    count: usize,
    mut make: impl FnMut(usize) -> M,
) -> (usize, Vec<T>) {
    let mut made = Vec::with_capacity(count);
    let region = Region::new(ALLOCATOR);
    for number in 0..count {
        made.push(make(number).await);
    }
    (held(&region) / count, made)
}

/// What a client does, in its own words.
struct Words<C, G, S, W> {
    connect: C,
    get: G,
    set: S,
    watch: W,
}

impl<C, G, S, W> Words<C, G, S, W> {
    /// What it costs to say them.
    async fn cost<H, Connect, Get, Set, Watch>(&self) -> Costs
    where
        H: Clone,
        C: Fn() -> Connect,
        G: Fn(&H, &'static str) -> Get,
        S: Fn(&H, &'static str) -> Set,
        W: Fn(H, String) -> Watch,
        Connect: Future<Output = H>,
        Get: Future<Output: Answer>,
        Set: Future<Output: Answer>,
        Watch: Future,
    {
        let client = (self.connect)().await;
        let get = |number| (self.get)(&client, path(number));
        let set = |number| (self.set)(&client, path(number));
        let get = per_call(get, |answer| assert!(answer.is_one())).await;
        let set = per_call(set, |answer| assert!(answer.is_one())).await;
        let (idle, _clients) = each(CLIENTS, |_| (self.connect)()).await;
        let watch = |number| {
            let path = format!("/services/number-{number:06}");
            (self.watch)(client.clone(), path)
        };
        let (watch, _watches) = each(WATCHES, watch).await;
        Costs {
            get,
            set,
            client: idle,
            watch,
        }
    }
}

/// What a call comes to.
trait Answer {
    fn is_one(&self) -> bool;
}

impl<T, E> Answer for Result<T, E> {
    fn is_one(&self) -> bool {
        self.is_ok()
    }
}

async fn ours(server: &Server) -> Costs {
    use zk_client::Client;
    let words = Words {
        connect: async || Client::connect(&server.hosts).await.expect("a session"),
        get: |client: &Client, path| client.get(path).send(),
        set: |client: &Client, path| client.set(path, DATA).send(),
        watch: async |client: Client, path: String| client.watch(path).await.expect("a watch"),
    };
    let client = (words.connect)().await;
    client.create("/bench", "").await.expect("a node");
    for number in 0..scenarios::NODES {
        let created = client.create(path(number), DATA).await;
        created.expect("a node");
    }
    words.cost().await
}

async fn kezhuw(server: &Server) -> Costs {
    use zookeeper_client::{AddWatchMode, Client};
    let words = Words {
        connect: async || Client::connect(&server.hosts).await.expect("a session"),
        get: |client: &Client, path| client.get_data(path),
        set: |client: &Client, path| client.set_data(path, &DATA, None),
        watch: async |client: Client, path: String| {
            let watch = client.watch(&path, AddWatchMode::Persistent).await;
            watch.expect("a watch")
        },
    };
    words.cost().await
}
