//! Three candidates, one leader: terms, a leader whose session ends, a hand-over, somebody who looks on.
//! `cargo run --example leader_election [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use zk_client::Client;
use zk_recipes::{Election, Leadership};

const SHOP: &str = "/leader_election/shop";

async fn candidate(
    servers: &str,
    id: &str,
) -> Result<(Client, Election), Box<dyn std::error::Error>> {
    let client = Client::connect(servers).await?;
    let election = Election::latch_builder(&client, SHOP, id).epochs_at("/leader_election/terms");
    Ok((client, election.build()))
}

fn stand(election: &Election) -> tokio::task::JoinHandle<Result<Leadership, zk_recipes::Error>> {
    let election = election.clone();
    tokio::spawn(async move { election.campaign().await })
}

/// Waits until so many stand.
async fn standing(election: &Election, number: usize) -> Result<(), zk_recipes::Error> {
    while election.participants().await?.len() < number {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (servers, _own) = support::servers().await?;
    let (ann, anns) = candidate(&servers, "ann").await?;
    let (_bob, bobs) = candidate(&servers, "bob").await?;
    let (cid, cids) = candidate(&servers, "cid").await?;
    let mut leaders = cids.observe();

    let first = anns.campaign().await?;
    println!("ann leads, term {:?}", first.epoch());
    let seen = leaders.next().await?;
    println!("seen: {:?}", seen.map(|leader| leader.id()));

    let second = stand(&bobs);
    standing(&bobs, 2).await?;
    let third = stand(&cids);
    standing(&cids, 3).await?;
    // Her process ends, or she is cut off for longer than her session lasts: the next in line leads.
    ann.close().await;
    println!("ann has lost it: {:?}", first.lost().await);
    let second = second.await??;
    println!("bob leads, term {:?}", second.epoch());
    assert!(first.token() < second.token());

    // Bob goes to lunch, and chooses who stands in for him.
    let heir = bobs.participants().await?.pop().ok_or("nobody is there")?;
    println!("bob hands over to {}", heir.id());
    second.hand_over(&heir).await?;
    let third = third.await??;
    println!("cid leads, term {:?}", third.epoch());
    third.run(async { println!("cid works") }).await?;
    cid.delete("/leader_election").recursive().await?;
    Ok(())
}
