//! Jobs that are done at least once: a worker that crashes over one leaves it to the next, and a job that nobody can do
//! is put aside. `cargo run --example work_queue [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::collections::BTreeMap;
use zk_client::Client;
use zk_recipes::{Operation, Queue, QueueLayout};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn queue(client: &Client) -> Queue {
    Queue::new(client, "/work_queue/jobs", QueueLayout::KazooLocking).max_deliveries(3)
}

/// Works until a job says that there are no more; which jobs were done.
async fn work(servers: String, number: u32) -> Result<Vec<String>, Failure> {
    let client = Client::connect(servers).await?;
    let queue = queue(&client);
    let mut done = Vec::new();
    while let Some(job) = queue.try_claim().await? {
        let what = String::from_utf8_lossy(&job.items()[0]).into_owned();
        if what == "divide by zero" {
            println!("worker {number} cannot {what}");
            // Dropped: the next one may try.
            continue;
        }
        println!("worker {number} does: {what}");
        job.done().await?;
        done.push(what);
    }
    Ok(done)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (servers, _own) = support::servers().await?;
    let client = Client::connect(&*servers).await?;
    let jobs = queue(&client);
    for number in 1..=6 {
        // Tried again after a lost reply, it is still one job.
        let operation = Operation::new("producer", number);
        jobs.push_once(format!("job {number}"), &operation).await?;
        jobs.push_once(format!("job {number}"), &operation).await?;
    }
    jobs.push_with_priority("divide by zero", 200).await?;
    println!("{} jobs", jobs.len().await?);

    // Somebody takes the first one and is never seen again.
    let crashed = Client::connect(&*servers).await?;
    let job = queue(&crashed).claim().await?;
    println!(
        "worker 0 takes {} and crashes",
        String::from_utf8_lossy(&job.items()[0])
    );
    crashed.close().await;
    drop(job);

    let workers: Vec<_> = (1..=2)
        .map(|number| tokio::spawn(work(servers.clone(), number)))
        .collect();
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for worker in workers {
        for job in worker.await?? {
            *done.entry(job).or_default() += 1;
        }
    }
    // Between two looks of the others, its claim may just have been given back.
    for job in work(servers, 3).await? {
        *done.entry(job).or_default() += 1;
    }
    println!("done: {done:?}");
    assert!(done.len() == 6 && done.values().all(|times| *times == 1));
    let aside = client.children("/work_queue/jobs_poison").await?;
    println!("put aside after three tries: {}", aside.len());
    assert!(aside.len() == 1 && jobs.is_empty().await?);
    client.delete("/work_queue").recursive().await?;
    Ok(())
}
