//! A process that takes a lock, a place or the lead again and again, beside others in other languages, and proves
//! each time that it was alone. For the interop suite; `contender HOSTS RECIPE DIRECTORY PROOF ROUNDS`.
#![expect(clippy::print_stdout, reason = "its output is what the suite reads")]

use std::time::Duration;
use zk_client::{Client, ErrorCode, OnExpiry};
use zk_recipes::{Election, Limit, Mutex, Naming, RwLock, Semaphore};

type Failure = Box<dyn std::error::Error>;

/// Where it is proved that nobody else is in.
struct Proof {
    client: Client,
    root: String,
}

impl Proof {
    /// Nobody else may be here, reader or writer. A count without any guard of its own shows whoever was.
    async fn alone(&self) -> Result<(), Failure> {
        let mark = format!("{}/alone", self.root);
        self.client.create(&mark, "").ephemeral().await?;
        self.nobody("readers").await?;
        let count = format!("{}/count", self.root);
        let (data, _) = self.client.get(&count).await?;
        let counted: u64 = std::str::from_utf8(&data)?.parse()?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.client.set(&count, (counted + 1).to_string()).await?;
        self.client.delete(&mark).await?;
        Ok(())
    }

    /// Readers may be here, no writer.
    async fn reading(&self) -> Result<(), Failure> {
        let mark = format!("{}/readers/r-", self.root);
        let mark = self
            .client
            .create(mark, "")
            .ephemeral()
            .sequential()
            .await?;
        if self
            .client
            .exists(format!("{}/alone", self.root))
            .await?
            .is_some()
        {
            return Err("a reader met a writer".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.client.delete(mark).await?;
        Ok(())
    }

    /// At most two may be here.
    async fn one_of_two(&self) -> Result<(), Failure> {
        let mark = format!("{}/places/p-", self.root);
        let mark = self
            .client
            .create(mark, "")
            .ephemeral()
            .sequential()
            .await?;
        let there = self
            .client
            .children(format!("{}/places", self.root))
            .await?
            .len();
        if there > 2 {
            return Err(format!("{there} in two places").into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.client.delete(mark).await?;
        Ok(())
    }

    async fn nobody(&self, below: &str) -> Result<(), Failure> {
        match self.client.children(format!("{}/{below}", self.root)).await {
            Ok(names) if names.is_empty() => Ok(()),
            Ok(names) => Err(format!("{below}: {names:?}").into()),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

async fn round(proof: &Proof, recipe: &str, directory: &str, number: u32) -> Result<(), Failure> {
    let client = &proof.client;
    let naming = if recipe.ends_with("-kazoo") {
        Naming::Kazoo
    } else {
        Naming::Curator
    };
    match recipe.trim_end_matches("-kazoo") {
        "mutex" => {
            let guard = Mutex::builder(client, directory)
                .naming(naming)
                .id("rust")
                .build()
                .lock()
                .await?;
            proof.alone().await?;
            guard.release().await?;
        }
        "rw" => {
            let lock = RwLock::builder(client, directory)
                .naming(naming)
                .id("rust")
                .build();
            if number.is_multiple_of(3) {
                let guard = lock.write().await?;
                proof.alone().await?;
                let guard = guard.downgrade().await?;
                proof.reading().await?;
                guard.release().await?;
            } else {
                let guard = lock.read().await?;
                proof.reading().await?;
                guard.release().await?;
            }
        }
        "semaphore" => {
            let held = Semaphore::new(client, directory, Limit::Fixed(2))
                .acquire(1)
                .await?;
            proof.one_of_two().await?;
            held.release().await?;
        }
        "latch" => {
            let leader = Election::latch(client, directory, "rust")
                .campaign()
                .await?;
            proof.alone().await?;
            leader.resign().await?;
        }
        "selector" => {
            let leader = Election::selector(client, directory, "rust")
                .campaign()
                .await?;
            proof.alone().await?;
            leader.resign().await?;
        }
        _ => return Err(format!("no recipe {recipe}").into()),
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [hosts, recipe, directory, proof, rounds] = arguments.as_slice() else {
        return Err("contender HOSTS RECIPE DIRECTORY PROOF ROUNDS".into());
    };
    let client = Client::builder(hosts.as_str())
        .session_timeout(Duration::from_secs(4))
        .on_expiry(OnExpiry::Renew)
        .connect()
        .await?;
    let proof = Proof {
        client: client.clone(),
        root: proof.clone(),
    };
    let rounds: u32 = rounds.parse()?;
    for number in 0..rounds {
        round(&proof, recipe, directory, number).await?;
    }
    println!("{rounds} rounds");
    drop(proof);
    client.close().await;
    Ok(())
}
