//! A small shop with few things and many customers: one of three members sells, two keep its book. It is killed, it
//! hands over, it is cut off, while the customers go on buying. In the end nothing was sold twice.
//! `cargo run --example primary_backup [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zk_client::{Client, OnExpiry};
use zk_recipes::{
    Failover, Fitness, Gate, PrimaryBackup, PrimaryRecord, Refusal, Resolver, Running, StepDown,
    Term, switch_over,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROOT: &str = "/primary_backup/shop";
/// How many things there are to be sold.
const STOCK: usize = 300;
const CUSTOMERS: usize = 4;

/// One member's copy of the orders. It takes none from a primary whose term is over.
#[derive(Default)]
struct Book {
    epoch: u64,
    orders: Vec<u64>,
}

/// A shop of several members: what their network would be.
struct Shop {
    books: Vec<Mutex<Book>>,
    alive: Vec<AtomicBool>,
}

impl Shop {
    fn book(&self, member: usize) -> MutexGuard<'_, Book> {
        self.books[member]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn living(&self) -> impl Iterator<Item = usize> + '_ {
        let all = 0..self.books.len();
        all.filter(|member| self.alive[*member].load(Ordering::SeqCst))
    }

    /// A customer's order arrives at a member. The same one may come again: its answer may have been lost.
    fn order(&self, member: usize, gate: &Gate, order: u64) -> Result<bool, &'static str> {
        if !self.alive[member].load(Ordering::SeqCst) {
            return Err("no answer");
        }
        let pass = gate.enter().ok_or("not the primary")?;
        let known = {
            let book = self.book(member);
            let sold = book.orders.contains(&order);
            if !sold && book.orders.len() >= STOCK {
                return Ok(false);
            }
            sold
        };
        if !known {
            // Into every copy before the customer hears of it.
            for copy in self.living() {
                let mut book = self.book(copy);
                if book.epoch > pass.epoch() {
                    return Err("somebody else is the primary");
                }
                if !book.orders.contains(&order) && book.orders.len() < STOCK {
                    book.orders.push(order);
                }
            }
        }
        pass.finish()
            .map_err(|_| "the term ended under the order")?;
        Ok(true)
    }
}

struct Member {
    number: usize,
    shop: Arc<Shop>,
}

impl PrimaryBackup for Member {
    fn fitness(&self) -> Fitness {
        let offset = self.shop.book(self.number).orders.len();
        Fitness {
            offset: u64::try_from(offset).unwrap_or(u64::MAX),
            eligible: true,
        }
    }

    async fn promote(&self, term: &Term) -> Result<(), Refusal> {
        // From here on no copy takes anything from an earlier primary; and all begin with what the new one has.
        let orders = self.shop.book(self.number).orders.clone();
        for copy in self.shop.living() {
            let mut book = self.shop.book(copy);
            book.epoch = book.epoch.max(term.epoch);
            book.orders.clone_from(&orders);
        }
        println!("member {} sells, term {}", self.number, term.epoch);
        Ok(())
    }

    async fn demote(&self, why: &StepDown) {
        println!("member {} sells no more: {why:?}", self.number);
    }

    async fn follow(&self, _primary: Option<PrimaryRecord>) {}
}

async fn start(
    servers: &str,
    shop: &Arc<Shop>,
    number: usize,
) -> Result<(Client, Running), Failure> {
    let client = Client::builder(servers)
        .session_timeout(Duration::from_secs(1))
        .on_expiry(OnExpiry::Renew)
        .connect()
        .await?;
    let member = Member {
        number,
        shop: Arc::clone(shop),
    };
    let (id, address) = (format!("member-{number}"), number.to_string());
    let running = Failover::builder(&client, ROOT, id, address, member)
        .build()
        .start();
    Ok((client, running))
}

/// Buys until everything is sold; which orders were confirmed, and the longest time without an answer.
async fn buy(
    customer: u64,
    servers: String,
    shop: Arc<Shop>,
    gates: Vec<Gate>,
) -> Result<(Vec<u64>, Duration), Failure> {
    let client = Client::connect(servers).await?;
    let resolver = Resolver::new(&client, ROOT).await?;
    let mut bought = Vec::new();
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    for number in 0.. {
        let order = number * 100 + customer;
        loop {
            let primary = resolver.after(0).await?;
            let at: usize = primary.address.parse()?;
            match shop.order(at, &gates[at], order) {
                Ok(sold) => {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    if !sold {
                        return Ok((bought, longest));
                    }
                    bought.push(order);
                    break;
                }
                // Somebody else soon; the same order again, which is sold once.
                Err(_refused) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok((bought, longest))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (servers, _own) = support::servers().await?;
    let shop = Arc::new(Shop {
        books: (0..3).map(|_| Mutex::default()).collect(),
        alive: (0..3).map(|_| AtomicBool::new(true)).collect(),
    });
    let mut members = Vec::new();
    for number in 0..3 {
        members.push(Some(start(&servers, &shop, number).await?));
    }
    let gates: Vec<_> = members
        .iter()
        .flatten()
        .map(|(_, running)| running.gate().clone())
        .collect();
    let customers: Vec<_> = (0..CUSTOMERS)
        .map(|customer| {
            let customer = u64::try_from(customer).unwrap_or_default();
            let (servers, shop, gates) = (servers.clone(), Arc::clone(&shop), gates.clone());
            tokio::spawn(buy(customer, servers, shop, gates))
        })
        .collect();

    let client = Client::connect(&*servers).await?;
    let resolver = Resolver::new(&client, ROOT).await?;
    let first = resolver.after(0).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;

    println!("-- planned: {} is asked to hand over", first.id);
    let at: usize = first.address.parse()?;
    let second = switch_over(&client, ROOT, &format!("member-{}", (at + 1) % 3)).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;

    println!("-- killed: {}", second.id);
    let at: usize = second.address.parse()?;
    shop.alive[at].store(false, Ordering::SeqCst);
    if let Some((client, running)) = members[at].take() {
        drop(running);
        // What is left of it leaves without a word; the servers find out by its silence.
        let _ticket = client.detach().await;
    }
    let third = resolver.after(second.epoch).await?;
    println!("-- {} sells on, term {}", third.id, third.epoch);

    let mut confirmed = BTreeSet::new();
    let mut longest = Duration::ZERO;
    let mut total = 0;
    for customer in customers {
        let (bought, waited) = customer.await??;
        total += bought.len();
        confirmed.extend(bought);
        longest = longest.max(waited);
    }
    let at: usize = third.address.parse()?;
    let book: BTreeSet<_> = shop.book(at).orders.iter().copied().collect();
    println!("{STOCK} things, {total} confirmed orders, the longest wait {longest:?}");
    assert_eq!(confirmed.len(), total, "no order was confirmed twice");
    assert!(
        confirmed.is_subset(&book),
        "what was confirmed is in the book"
    );
    assert_eq!(shop.book(at).orders.len(), STOCK, "nothing was sold twice");
    println!("nothing was sold twice");
    drop(members);
    client.delete("/primary_backup").recursive().await?;
    Ok(())
}
