//! A client that spreads its calls over a service, while a member of the service dies and then all ZooKeeper servers
//! go away. `cargo run --example service_registry [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use zk_client::testkit::TestEnsemble;
use zk_client::{Client, OnExpiry};
use zk_recipes::{Freshness, Instance, Provider, Registration, Registry, Strategy};

const SERVICES: &str = "/service_registry";

async fn connect(servers: &str) -> Result<Client, zk_client::ConnectError> {
    let client = Client::builder(servers).on_expiry(OnExpiry::Renew);
    client.connect().await
}

/// A process of the shop: says its name to whoever connects, and is registered.
struct Shop {
    _registration: Registration,
    serving: JoinHandle<()>,
}

impl Shop {
    async fn open(servers: &str, name: &str) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let says = name.to_owned();
        let serving = tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let _gone = caller.write_all(says.as_bytes()).await;
            }
        });
        // Registered when it serves, not before.
        let registry = Registry::new(&connect(servers).await?, SERVICES);
        let instance = Instance::new("shop")
            .id(name)
            .address("127.0.0.1")
            .port(port);
        let registration = registry.register(instance)?;
        registration.ready().await?;
        println!("{name} serves on port {port}");
        Ok(Self {
            _registration: registration,
            serving,
        })
    }
}

/// One call: who answered. A member that cannot be reached is reported, and another one tried.
async fn call(shop: &Provider) -> Result<String, Box<dyn Error>> {
    for _attempt in 0..5 {
        let pick = shop.pick().ok_or("nobody serves")?;
        let host = pick.host().ok_or("it has no address")?.to_owned();
        let port = pick.ports().0.ok_or("it has no port")?;
        match TcpStream::connect((host, port)).await {
            Ok(mut caller) => {
                let mut said = String::new();
                caller.read_to_string(&mut said).await?;
                return Ok(said);
            }
            Err(error) => {
                println!("  {} does not answer: {}", pick.name(), error.kind());
                pick.failed();
            }
        }
    }
    Err("five members in a row do not answer".into())
}

/// Many calls: how many each has answered.
async fn calls(shop: &Provider) -> Result<BTreeMap<String, u32>, Box<dyn Error>> {
    let mut answered = BTreeMap::new();
    for _ in 0..60 {
        *answered.entry(call(shop).await?).or_default() += 1;
    }
    Ok(answered)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut own = None;
    let servers = match std::env::args().nth(1) {
        Some(named) => named,
        None => own
            .insert(TestEnsemble::start(3).await?)
            .connection_string(),
    };
    let _ann = Shop::open(&servers, "ann").await?;
    let bob = Shop::open(&servers, "bob").await?;
    let _cid = Shop::open(&servers, "cid").await?;

    let client = connect(&servers).await?;
    let registry = Registry::new(&client, SERVICES);
    let provider = registry.provider("shop").strategy(Strategy::RoundRobin);
    let shop = provider.start();
    shop.barrier().await?;
    println!("sixty calls: {:?}", calls(&shop).await?);

    // Bob's machine dies. His node is there until his session ends; whoever calls him notices first.
    bob.serving.abort();
    println!("bob dies without a word");
    println!("sixty calls: {:?}", calls(&shop).await?);

    // Then every server goes. Nobody has to ask them anything.
    if let Some(ensemble) = &mut own {
        for member in 0..3 {
            ensemble.stop(member).await?;
        }
        println!("all ZooKeeper servers are down");
        println!("sixty calls: {:?}", calls(&shop).await?);
        if let Freshness::Stale { since } = shop.freshness() {
            println!("what is known is {:?} old", since.elapsed());
        }
        for member in 0..3 {
            ensemble.restart(member).await?;
        }
        println!("they are back");
    }

    // Whoever comes now is called a moment later.
    let mut changes = shop.changes();
    let _dan = Shop::open(&servers, "dan").await?;
    while !shop.all().iter().any(|it| it.name() == "dan") {
        changes.changed().await?;
    }
    println!("sixty calls: {:?}", calls(&shop).await?);
    client.close().await;
    Ok(())
}
