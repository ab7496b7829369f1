//! A Rust and a Python process that share a lock: both add to a number that nobody else guards.
//! `cargo run --example two_languages [HOST:PORT]`; wants `python3` with kazoo (`pip install kazoo`), and says so where
//! there is none.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::process::{Command, Stdio};
use zk_client::Client;
use zk_recipes::{Mutex, Naming};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: u32 = 20;

/// The same as below, with kazoo's own lock.
const PYTHON: &str = r#"
import sys
from kazoo.client import KazooClient
zk = KazooClient(hosts=sys.argv[1])
zk.start()
for _ in range(int(sys.argv[2])):
    with zk.Lock("/two_languages/lock", "python"):
        number = int(zk.get("/two_languages/number")[0])
        zk.set("/two_languages/number", b"%d" % (number + 1))
print("python has added", sys.argv[2])
zk.stop()
"#;

fn has_kazoo() -> bool {
    let asked = Command::new("python3")
        .args(["-c", "import kazoo"])
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// Reads, and writes one more; under the lock, so that neither loses what the other has added.
async fn add(client: &Client) -> Result<(), Failure> {
    let mutex = Mutex::builder(client, "/two_languages/lock").naming(Naming::Kazoo);
    let guard = mutex.id("rust").build().lock().await?;
    let (text, _) = client.get("/two_languages/number").await?;
    let number: u32 = std::str::from_utf8(&text)?.parse()?;
    let next = (number + 1).to_string();
    guard
        .fenced()
        .set("/two_languages/number", next, None)
        .commit()
        .await?;
    guard.release().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (servers, _own) = support::servers().await?;
    let client = Client::connect(&*servers).await?;
    client
        .create("/two_languages/number", "0")
        .parents()
        .await?;
    let python = if has_kazoo() {
        println!("a python process takes part");
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON, &servers, &ROUNDS.to_string()]);
        Some(command.spawn()?)
    } else {
        println!("there is no python3 with kazoo here: only Rust takes part");
        None
    };
    for _ in 0..ROUNDS {
        add(&client).await?;
    }
    println!("rust has added {ROUNDS}");
    let mut languages = 1;
    if let Some(mut python) = python {
        languages += 1;
        let ended = tokio::task::spawn_blocking(move || python.wait()).await??;
        assert!(ended.success(), "python has failed");
    }
    let (number, _) = client.get("/two_languages/number").await?;
    let number = String::from_utf8_lossy(&number).into_owned();
    println!("the number is {number}");
    assert_eq!(number, (ROUNDS * languages).to_string());
    client.delete("/two_languages").recursive().await?;
    Ok(())
}
