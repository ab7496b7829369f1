//! Lives beside Curator's and kazoo's for a while: registers, joins, and waits until everybody has seen everybody.
//! `resident HOSTS ROOT`; for `tests/interop/run`.
#![expect(clippy::print_stdout, reason = "its output is its result")]

use serde::{Deserialize, Serialize};
use std::time::Duration;
use zk_client::{Client, OnExpiry};
use zk_recipes::{
    Cache, Group, GroupLayout, Instance, PersistentNode, Provider, Registry, Standing,
};

type Failure = Box<dyn std::error::Error>;

/// What Curator's side calls `Resident$Info`.
#[derive(Serialize, Deserialize)]
struct Info {
    #[serde(rename = "@class")]
    class: String,
    zone: String,
}

async fn until(what: &str, holds: impl Fn() -> bool) -> Result<(), Failure> {
    for _ in 0..3000 {
        if holds() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("waited for {what}").into())
}

fn ours(id: &str) -> Result<Instance, Failure> {
    let info = Info {
        class: "Resident$Info".to_owned(),
        zone: "rust".to_owned(),
    };
    let shop = Instance::new("shop").id(id).address("10.0.0.1").port(8080);
    Ok(shop
        .uri("{scheme}://{address}:{port}/{id}")
        .payload(&info)?)
}

/// What Curator has registered, as it meant it.
fn check(shop: &Provider) -> Result<(), Failure> {
    let all = shop.all();
    let java = all.iter().find(|it| it.name() == "java");
    let java = java.ok_or("it is gone")?;
    if java.payload_as::<Info>()?.zone != "java" {
        return Err(java.payload_text().into());
    }
    if java.url().as_deref() != Some("http://10.0.0.2:80/java") {
        return Err(format!("{:?}", java.url()).into());
    }
    if !shop.poisoned().is_empty() || all.iter().any(|it| it.name() == "rust-off") {
        return Err("rubbish, or out of service".into());
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [hosts, root] = arguments.as_slice() else {
        return Err("resident HOSTS ROOT".into());
    };
    let client = Client::builder(hosts.as_str())
        .session_timeout(Duration::from_secs(4))
        .on_expiry(OnExpiry::Renew);
    let client = client.connect().await?;
    let registry = Registry::new(&client, format!("{root}/services"));
    let _registered = registry.register(ours("rust")?)?;
    let _off = registry.register(ours("rust-off")?.enabled(false))?;

    let mut memberships = Vec::new();
    let mut watched = Vec::new();
    for (layout, directory, neighbour, data) in [
        (GroupLayout::Curator, "group", "java", "hello"),
        (GroupLayout::Party, "party", "python", ""),
        (GroupLayout::ShallowParty, "shallow", "python", ""),
    ] {
        let group = Group::new(&client, format!("{root}/{directory}")).layout(layout);
        memberships.push(group.join("rust", data)?);
        watched.push((group.members(), neighbour));
    }
    for (members, neighbour) in &watched {
        let there = || members.all().iter().any(|it| it.id == *neighbour);
        until(neighbour, there).await?;
    }
    let shop = registry.provider("shop").start();
    until("the instance of Java", || {
        shop.all().iter().any(|it| it.name() == "java")
    })
    .await?;
    check(&shop)?;

    // Curator's node is there, or comes; ours waits until it goes.
    let all = Cache::tree(&client, root).start();
    let path = format!("{root}/node");
    until("the node of Java", || all.get(&path).is_some()).await?;
    let node = PersistentNode::builder(&client, &path, "rust").start();
    until("that it is taken", || {
        matches!(node.standing(), Standing::Taken { .. })
    })
    .await?;
    client.create(format!("{root}/met/rust"), "").await?;
    let done = format!("{root}/done");
    until("the end", || all.get(&done).is_some()).await?;
    node.ready().await?;
    println!("met");
    Ok(())
}
