//! Create, read, change, watch, delete. `cargo run --example first_steps [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use zk_client::{Client, ErrorCode, OnceEvent, Outcome};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (servers, _own) = support::servers().await?;
    let client = Client::connect(servers).await?;
    println!("connected: {:?}", client.state());

    // A node, and the nodes above it where they are missing. A first run left nothing behind, or did it?
    match client
        .create("/first_steps/greeting", "hello")
        .parents()
        .await
    {
        Ok(path) => println!("created {path}"),
        Err(error) if error.code() == Some(ErrorCode::NodeExists) => println!("it was there"),
        Err(error) => return Err(error.into()),
    }

    // Read it, and hear of its next change.
    let ((data, stat), changed) = client.get("/first_steps/greeting").watch().await?;
    println!(
        "read {:?}, version {}",
        String::from_utf8_lossy(&data),
        stat.version.0
    );

    // Change it, if nobody else has meanwhile. The old version is then refused.
    client
        .set("/first_steps/greeting", "good day")
        .version(stat.version)
        .await?;
    if let OnceEvent::Fired(event) = changed.changed().await {
        println!("heard: {:?} {}", event.kind, event.path);
    }
    let refused = client
        .set("/first_steps/greeting", "late")
        .version(stat.version)
        .await;
    let refused = refused.expect_err("the version has moved on");
    assert_eq!(refused.outcome(), Outcome::NotApplied);
    println!("refused: {refused}");

    // A node that lives as long as this session.
    client.create("/first_steps/here", "").ephemeral().await?;
    println!("children: {:?}", client.children("/first_steps").await?);

    client.delete("/first_steps").recursive().await?;
    client.close().await;
    Ok(())
}
