//! A configuration in layers that a service follows: what is wrong is reported and changes nothing, and of two
//! operators one finds out that the other was quicker. `cargo run --example config_watch [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use serde::{Deserialize, Serialize};
use serde_json::json;
use zk_client::{Client, OnExpiry};
use zk_recipes::{Config, ConfigEvent, ConfigEvents};

#[derive(Debug, Serialize, Deserialize)]
struct Limits {
    per_second: u32,
    burst: u32,
}

const EVERYBODY: &str = "/config_watch/everybody";
const SHOP: &str = "/config_watch/shop";

fn sensible(limits: &Limits) -> Result<(), String> {
    if limits.burst > limits.per_second {
        return Err(format!(
            "a burst of {} is more than a second allows",
            limits.burst
        ));
    }
    Ok(())
}

/// The service: hears of every change, good or bad.
async fn follow(mut events: ConfigEvents<Limits>) {
    while let Some(event) = events.next().await {
        match event {
            ConfigEvent::Applied(now) => println!("  service: now {:?}", now.value),
            ConfigEvent::Rejected(bad) => println!("  service: kept what it had: {}", bad.why),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (servers, mut own) = support::servers().await?;
    let client = Client::builder(servers).on_expiry(OnExpiry::Renew);
    let client = client.connect().await?;
    let limits = Config::<Limits>::builder(&client)
        .default_value(&Limits {
            per_second: 100,
            burst: 10,
        })?
        .layer(EVERYBODY)
        .layer(SHOP)
        .check(sensible)
        .start();
    limits.ready().await?;
    println!(
        "by default: {:?}",
        limits.current().map(|it| it.value.burst)
    );

    let service = tokio::spawn(follow(limits.events()));

    let rate = json!({"per_second": 500});
    let first = limits.publish(EVERYBODY, &rate, None).await?;
    limits.publish(SHOP, &json!({"burst": 200}), None).await?;
    limits.barrier().await?;

    // Checked before it is written ...
    let wrong = limits.publish(SHOP, &json!({"burst": 900}), None).await;
    println!("refused: {}", wrong.err().ok_or("it was published")?);
    // ... and, where somebody writes past the check, before it is applied.
    client.set(SHOP, "burst: a lot").await?;
    limits.barrier().await?;
    println!(
        "still in force: {:?}",
        limits.current().map(|it| it.value.burst)
    );
    client.set(SHOP, r#"{"burst": 250}"#).await?;
    limits.barrier().await?;

    // Two operators have read the same version.
    let rate = json!({"per_second": 600});
    let faster = limits.publish(EVERYBODY, &rate, Some(first)).await?;
    println!("the faster one: version {}", faster.0);
    let rate = json!({"per_second": 700});
    let slower = limits.publish(EVERYBODY, &rate, Some(first)).await;
    println!(
        "the slower one: {}",
        slower.err().ok_or("it was published")?
    );
    for revision in limits.history(EVERYBODY).await? {
        println!(
            "version {}: {}",
            revision.number,
            String::from_utf8_lossy(&revision.data)
        );
    }

    // The servers go away. The service keeps what it has.
    if let Some(server) = &mut own {
        server.stop().await?;
        println!("no server: {:?}", limits.current().map(|it| it.value.burst));
        server.restart().await?;
    }
    client.delete("/config_watch").recursive().await?;
    limits.barrier().await?;
    println!(
        "all layers gone: {:?}",
        limits.current().map(|it| it.value.burst)
    );
    drop(limits);
    service.await?;
    client.close().await;
    Ok(())
}
