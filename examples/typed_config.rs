//! A configuration that services read, change and follow. `cargo run --example typed_config [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use serde::{Deserialize, Serialize};
use zk_client::Client;

#[derive(Debug, Serialize, Deserialize)]
struct Limits {
    per_second: u32,
    burst: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (servers, _own) = support::servers().await?;
    let client = Client::connect(servers).await?;
    let limits = client.typed::<Limits>("/typed_config/limits");

    // The service: what is there now, then every change.
    let mut values = limits.watch().await?;
    println!(
        "before anything is written: {:?}",
        values.next().await?.map(|read| read.value)
    );

    let first = Limits {
        per_second: 100,
        burst: 10,
    };
    limits.create(&first).await?;
    println!("created: {:?}", values.next().await?.map(|read| read.value));

    // Two operators at once. Each reads, changes, and writes if nobody else wrote; no change is lost.
    let (one, other) = tokio::join!(
        limits.update(|limits| limits.per_second += 50),
        limits.update(|limits| limits.burst *= 3),
    );
    let version = one?.stat.version.max(other?.stat.version);
    loop {
        let Some(read) = values.next().await? else {
            continue;
        };
        println!("changed: {:?}, version {}", read.value, read.stat.version.0);
        if read.stat.version == version {
            break;
        }
    }

    // What is no such value is an error here, and not the end.
    client.set(limits.path(), "per_second: a hundred").await?;
    println!(
        "garbage: {}",
        values.next().await.expect_err("this is no JSON")
    );

    client.delete("/typed_config").recursive().await?;
    client.close().await;
    Ok(())
}
