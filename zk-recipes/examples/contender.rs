//! A process that takes a lock, a place or the lead again and again, beside others in other languages, and proves
//! each time that it was alone. For the interop suite; `contender HOSTS RECIPE DIRECTORY PROOF ROUNDS`.
#![expect(clippy::print_stdout, reason = "its output is what the suite reads")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zk_client::{Client, ErrorCode, OnExpiry};
use zk_recipes::{
    Barrier, Counter, DoubleBarrier, Election, Encoding, Limit, Mutex, Naming, Queue, QueueLayout,
    RwLock, Semaphore,
};

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

    /// Leaves a mark beside the proof; the same one twice is a failure.
    async fn mark(&self, what: &str, name: &str) -> Result<(), Failure> {
        let path = format!("{}-{what}/{name}", self.root);
        self.client.create(path, "").parents().await?;
        Ok(())
    }

    /// How many marks there are.
    async fn marks(&self, what: &str) -> Result<usize, Failure> {
        let path = format!("{}-{what}", self.root);
        match self.client.children(path).await {
            Ok(names) => Ok(names.len()),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// In together and out together, in a directory for each round: Curator's members and kazoo's lose count of rounds
    /// that follow each other in one.
    async fn together(&self, directory: &str, number: u32) -> Result<(), Failure> {
        let all = contenders()?;
        let own = std::process::id().to_string();
        let round = format!("/rounds{directory}/{number}");
        let barrier = DoubleBarrier::new(&self.client, round, all)?;
        let (within, without) = (format!("in-{number}"), format!("out-{number}"));
        self.mark(&within, &own).await?;
        let inside = barrier.enter().await?;
        if self.marks(&within).await? != all {
            return Err("in before all had come".into());
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.mark(&without, &own).await?;
        inside.leave().await?;
        if self.marks(&without).await? != all {
            return Err("out before all had left".into());
        }
        Ok(())
    }

    /// Everybody closes a barrier and waits at it, but for one, who opens it when all are there.
    async fn passing(&self, directory: &str, number: u32) -> Result<(), Failure> {
        let all = contenders()?;
        let barrier = Barrier::new(&self.client, format!("/gates{directory}/{number}"));
        let (at, opened) = (format!("at-{number}"), format!("opened-{number}"));
        barrier.close().await?;
        self.mark(&at, &std::process::id().to_string()).await?;
        let own: usize = std::env::var("CONTENDER")?.parse()?;
        if usize::try_from(number)? % all == own {
            while self.marks(&at).await? < all {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.mark(&opened, "rust").await?;
            barrier.open().await?;
        } else {
            barrier.wait().await?;
            if self.marks(&opened).await? != 1 {
                return Err("through a closed barrier".into());
            }
        }
        Ok(())
    }

    async fn count(&self, path: &str, encoding: Encoding) -> Result<(), Failure> {
        Counter::new(&self.client, path, encoding).add(1).await?;
        Ok(())
    }

    /// Puts an item and takes one, which nobody else may have taken.
    async fn pass_on(&self, queue: &Queue, number: u32, claim: bool) -> Result<(), Failure> {
        queue
            .push(format!("rust-{}-{number}", std::process::id()))
            .await?;
        let taken = if claim {
            let claimed = queue.claim().await?;
            let items = claimed.items().to_vec();
            claimed.done().await?;
            items
        } else {
            queue.take().await?
        };
        for item in taken {
            self.mark("taken", std::str::from_utf8(&item)?).await?;
        }
        Ok(())
    }

    /// Puts items with priorities, then works until everybody's are done.
    async fn work_off(&self, directory: &str, rounds: u32) -> Result<(), Failure> {
        let queue = Queue::new(&self.client, directory, QueueLayout::CuratorPriority);
        for number in 0..rounds {
            let item = format!("rust-{}-{number}", std::process::id());
            let priority = i32::try_from(number)? - 5;
            queue.push_with_priority(item, priority).await?;
        }
        self.until_all(queue, rounds).await
    }

    /// Puts items that are due later, each of which says when, then works until everybody's are done.
    async fn work_off_when_due(&self, directory: &str, rounds: u32) -> Result<(), Failure> {
        let queue = Queue::new(&self.client, directory, QueueLayout::CuratorDelay);
        for number in 0..rounds {
            let due = now() + u64::from(number * 37 % 1000);
            let item = format!("rust-{}-{number}@{due}", std::process::id());
            let due = UNIX_EPOCH + Duration::from_millis(due);
            queue.push_at(item, due).await?;
        }
        self.until_all(queue, rounds).await
    }

    async fn until_all(&self, queue: Queue, rounds: u32) -> Result<(), Failure> {
        let queue = queue.claims_at(format!("{}-claims", self.root));
        let all = contenders()? * usize::try_from(rounds)?;
        while self.marks("taken").await? < all {
            match queue.try_claim().await? {
                Some(claimed) => {
                    let item = std::str::from_utf8(&claimed.items()[0])?.to_owned();
                    if let Some((_, due)) = item.split_once('@')
                        && due.parse::<u64>()? > now()
                    {
                        return Err(format!("early: {item}").into());
                    }
                    self.mark("taken", &item).await?;
                    claimed.done().await?;
                }
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
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

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
}

/// How many processes there are.
fn contenders() -> Result<usize, Failure> {
    Ok(std::env::var("CONTENDERS")?.parse()?)
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
            let held = Semaphore::builder(client, directory, Limit::Fixed(2))
                .naming(naming)
                .build()
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
        _ => return shared(proof, recipe, directory, number).await,
    }
    Ok(())
}

/// A round of what is not held but shared.
async fn shared(proof: &Proof, recipe: &str, directory: &str, number: u32) -> Result<(), Failure> {
    let queue = |layout| Queue::new(&proof.client, directory, layout);
    match recipe {
        "barrier" => proof.together(directory, number).await,
        "gate" => proof.passing(directory, number).await,
        "counter-long" => proof.count(directory, Encoding::Long).await,
        "counter-int" => proof.count(directory, Encoding::Int).await,
        "counter-text" => proof.count(directory, Encoding::Text).await,
        "queue-simple" => {
            let queue = queue(QueueLayout::Simple);
            proof.pass_on(&queue, number, false).await
        }
        "queue-kazoo" => {
            let queue = queue(QueueLayout::Kazoo);
            proof.pass_on(&queue, number, false).await
        }
        "queue-locking" => {
            let queue = queue(QueueLayout::KazooLocking);
            proof.pass_on(&queue, number, true).await
        }
        _ => Err(format!("no recipe {recipe}").into()),
    }
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
    match recipe.as_str() {
        "queue-curator" => proof.work_off(directory, rounds).await?,
        "queue-delay" => proof.work_off_when_due(directory, rounds).await?,
        _ => {
            for number in 0..rounds {
                round(&proof, recipe, directory, number).await?;
            }
        }
    }
    println!("{rounds} rounds");
    drop(proof);
    client.close().await;
    Ok(())
}
