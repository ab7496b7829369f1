//! A lock that is lost without its holder's doing, and a resource that keeps the late writer out.
//! `cargo run --example distributed_lock [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use zk_client::Client;
use zk_recipes::{Error, Mutex};

/// Something outside of ZooKeeper that remembers the largest token it has seen: a table's row, an object's version.
#[derive(Default)]
struct Shelf {
    largest: i64,
    holds: String,
}

impl Shelf {
    fn put(&mut self, token: i64, what: &str) -> bool {
        let current = token >= self.largest;
        if current {
            self.largest = token;
            what.clone_into(&mut self.holds);
        }
        current
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (servers, _own) = support::servers().await?;
    let (ann, bob) = (
        Client::connect(&*servers).await?,
        Client::connect(&*servers).await?,
    );
    let mut shelf = Shelf::default();

    let lock = Mutex::builder(&ann, "/shop/lock").id("ann").build();
    let anns = lock.lock().await?;
    println!("ann has the lock, token {}", anns.token());

    // Bob waits behind her, and says who is there.
    let lock = Mutex::builder(&bob, "/shop/lock").id("bob").build();
    assert!(lock.try_lock().await?.is_none());
    let waiting = tokio::spawn({
        let lock = lock.clone();
        async move { lock.lock().await }
    });
    let holder = lock.contenders().await?.remove(0);
    println!("bob waits for {}", holder.id());

    // An operator deletes her node. She hears of it; whatever she was about to write would come too late.
    bob.delete(holder.path()).await?;
    println!("ann has lost it: {:?}", anns.lost().await);
    let bobs = waiting.await??;
    println!("bob has the lock, token {}", bobs.token());

    // Inside ZooKeeper, each write is checked together with the lock ...
    bobs.fenced().create("/shop/stock", "7").commit().await?;
    let late = anns.fenced().set("/shop/stock", "8", None).commit().await;
    assert!(matches!(late, Err(Error::Lost(_))));
    println!("ann's late write: {}", late.expect_err("she has lost it"));
    // ... outside of it, by whoever compares tokens.
    assert!(shelf.put(bobs.token().number(), "bob's"));
    assert!(!shelf.put(anns.token().number(), "ann's"));
    println!("on the shelf: {}", shelf.holds);
    bobs.release().await?;

    // Or in one: work that is dropped where it stands when the lock is lost.
    let sold = lock.lock().await?.run(async { 3 }).await?;
    println!("sold {sold} under the lock");
    bob.delete("/shop").recursive().await?;
    Ok(())
}
