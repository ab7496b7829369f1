//! Everything that happens below a node, as a stream. `cargo run --example watch_a_subtree [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use zk_client::{Client, WatchItem};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (servers, _own) = support::servers().await?;
    let client = Client::connect(servers).await?;
    let fleet = client.chroot("/watch_a_subtree")?;

    // Watch first, look then: nothing slips between.
    let mut changes = fleet.watch_recursive("/").await?;

    // Somebody else is busy there.
    let other = tokio::spawn(async move {
        fleet.create("/ships/anna", "at sea").parents().await?;
        fleet.set("/ships/anna", "in port").await?;
        fleet.delete("/").recursive().await
    });

    while let Some(item) = changes.next().await {
        match item {
            WatchItem::Event(event) => {
                println!("{:?} {}", event.kind, event.path);
                if event.path == "/" && event.kind == zk_client::EventType::Deleted {
                    break;
                }
            }
            // The connection was away. Whoever keeps a copy reads it again here.
            WatchItem::Gap { since } => println!("anything may have happened since {since}"),
            WatchItem::Lost => break,
        }
    }
    other.await??;
    client.close().await;
    Ok(())
}
