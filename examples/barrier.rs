//! Workers that begin a stage together and end it together, and a gate in front of all that somebody opens.
//! `cargo run --example barrier [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use zk_client::Client;
use zk_recipes::{Barrier, DoubleBarrier};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const WORKERS: usize = 3;

async fn worker(
    servers: String,
    number: u64,
    began: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
) -> Result<(), Failure> {
    let client = Client::connect(servers).await?;
    println!("worker {number} waits for the doors to open");
    Barrier::new(&client, "/barrier/doors").wait().await?;

    let stage = DoubleBarrier::new(&client, "/barrier/stage", WORKERS)?;
    for stage_number in 1..=2 {
        let inside = stage.enter().await?;
        began.fetch_add(1, Ordering::SeqCst);
        println!("worker {number} begins stage {stage_number}");
        // Some take longer than others.
        tokio::time::sleep(Duration::from_millis(20 * number)).await;
        ended.fetch_add(1, Ordering::SeqCst);
        inside.leave().await?;
        let all = ended.load(Ordering::SeqCst);
        assert!(all >= stage_number * WORKERS, "somebody has not finished");
    }
    println!("worker {number} is done");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (servers, _own) = support::servers().await?;
    let client = Client::connect(&*servers).await?;
    let doors = Barrier::new(&client, "/barrier/doors");
    doors.close().await?;
    let (began, ended) = (Arc::default(), Arc::default());
    let workers: Vec<_> = (1..)
        .take(WORKERS)
        .map(|number| {
            let (began, ended) = (Arc::clone(&began), Arc::clone(&ended));
            tokio::spawn(worker(servers.clone(), number, began, ended))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(began.load(Ordering::SeqCst), 0, "the doors are closed");
    println!("the doors open");
    doors.open().await?;
    for worker in workers {
        worker.await??;
    }
    client.delete("/barrier").recursive().await?;
    Ok(())
}
