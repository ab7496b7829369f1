//! A group of members in this process, each with a connection of its own that may be disturbed, and a store that knows
//! what must never happen.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "a test's"
)]

use super::common::{describe, names, soon, until};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use zk_client::Client;
use zk_client::testkit::{FaultProxy, TestServer};
use zk_recipes::{
    Failover, Fitness, Gate, Pass, PrimaryBackup, PrimaryRecord, Refusal, Role, Running, StepDown,
    Term,
};

/// What all members write to. It compares nothing, so that only gates keep the terms apart.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// The newest term that was promoted, how many writes were acknowledged, and in which term the last was.
    written: Mutex<(u64, u64, u64)>,
    wrong: Mutex<Vec<String>>,
    ends: Mutex<Vec<StepDown>>,
}

impl Store {
    fn promoted(&self, epoch: u64) {
        let mut written = self.written.lock().unwrap();
        if epoch <= written.0 {
            self.blame(format!("term {epoch} after {}", written.0));
        }
        written.0 = epoch;
    }

    /// Nothing may be promoted between the question whether a write may be acknowledged and its count.
    fn acknowledge(&self, pass: Pass) {
        let mut written = self.written.lock().unwrap();
        if let Ok(epoch) = pass.finish() {
            if epoch < written.0 {
                self.blame(format!("a write of {epoch} in {}", written.0));
            }
            written.1 += 1;
            written.2 = epoch;
        }
    }

    fn blame(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// How many writes were acknowledged, if everything was as it has to be.
    pub(crate) fn assert_nothing_wrong(&self) -> u64 {
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{wrong:?}");
        self.written.lock().unwrap().1
    }

    /// How the terms have ended so far, in any member.
    pub(crate) fn ends(&self) -> Vec<StepDown> {
        self.ends.lock().unwrap().clone()
    }
}

struct Service {
    store: Arc<Store>,
    offset: Arc<AtomicU64>,
    eligible: Arc<AtomicBool>,
    follows: Arc<Mutex<Option<String>>>,
}

impl PrimaryBackup for Service {
    fn fitness(&self) -> Fitness {
        Fitness {
            offset: self.offset.load(Ordering::SeqCst),
            eligible: self.eligible.load(Ordering::SeqCst),
        }
    }

    async fn promote(&self, term: &Term) -> Result<(), Refusal> {
        self.store.promoted(term.epoch);
        Ok(())
    }

    async fn demote(&self, why: &StepDown) {
        self.store.ends.lock().unwrap().push(why.clone());
    }

    async fn follow(&self, primary: Option<PrimaryRecord>) {
        *self.follows.lock().unwrap() = primary.map(|it| it.address);
        // As long as it is the one that is followed.
        std::future::pending::<()>().await;
    }
}

/// A member.
pub(crate) struct Site {
    pub(crate) id: String,
    pub(crate) proxy: FaultProxy,
    pub(crate) client: Client,
    pub(crate) running: Running,
    pub(crate) store: Arc<Store>,
    pub(crate) offset: Arc<AtomicU64>,
    pub(crate) eligible: Arc<AtomicBool>,
    follows: Arc<Mutex<Option<String>>>,
}

impl Site {
    pub(crate) fn follows(&self) -> Option<String> {
        self.follows.lock().unwrap().clone()
    }
}

/// Starts a member, and waits until it stands.
pub(crate) async fn site(
    server: &TestServer,
    root: &str,
    number: usize,
    delay: Duration,
    store: &Arc<Store>,
) -> Site {
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let client = describe(proxy.address())
        .session_timeout(Duration::from_millis(1500))
        .connect()
        .await
        .unwrap();
    let id = format!("m{number}");
    let (offset, eligible) = (Arc::default(), Arc::new(AtomicBool::new(true)));
    let follows = Arc::default();
    let service = Service {
        store: Arc::clone(store),
        offset: Arc::clone(&offset),
        eligible: Arc::clone(&eligible),
        follows: Arc::clone(&follows),
    };
    let running = Failover::builder(&client, root, &id, format!("at {id}"), service)
        .lock_delay(delay)
        .advertise(Duration::from_millis(10))
        .build()
        .start();
    let own = client.session_id();
    let stands = async || {
        let path = format!("{root}/candidates");
        let stands = client.ephemerals(&*path).await;
        stands.is_ok_and(|it| !it.is_empty()) || client.session_id() != own
    };
    until("a candidate", stands).await;
    Site {
        id,
        proxy,
        client,
        running,
        store: Arc::clone(store),
        offset,
        eligible,
        follows,
    }
}

/// Waits until a candidate has said this of itself.
pub(crate) async fn has_said(one: &Client, root: &str, what: &str) {
    let directory = format!("{root}/candidates");
    until(what, async || {
        for name in names(one, &directory).await {
            let said = one.get(format!("{directory}/{name}")).await;
            if said.is_ok_and(|(said, _)| String::from_utf8_lossy(&said).contains(what)) {
                return true;
            }
        }
        false
    })
    .await;
}

/// All members of a service.
pub(crate) struct Group {
    pub(crate) sites: Vec<Site>,
    pub(crate) store: Arc<Store>,
    pub(crate) delay: Duration,
    /// Every gate there ever was.
    gates: Arc<Mutex<Vec<Gate>>>,
}

impl Group {
    /// Starts so many members, one after the other.
    pub(crate) async fn start(
        server: &TestServer,
        root: &str,
        members: usize,
        delay: Duration,
    ) -> Self {
        let store = Arc::new(Store::default());
        let mut sites = Vec::new();
        for number in 0..members {
            sites.push(site(server, root, number, delay, &store).await);
        }
        Self {
            sites,
            store,
            delay,
            gates: Arc::default(),
        }
    }

    pub(crate) fn three(&self) -> [&Site; 3] {
        let sites: Vec<_> = self.sites.iter().collect();
        sites.try_into().ok().unwrap()
    }

    pub(crate) fn into_sites(self) -> Vec<Site> {
        self.sites
    }

    pub(crate) fn site(&self, id: &str) -> &Site {
        &self.sites[self.place(id)]
    }

    pub(crate) fn place(&self, id: &str) -> usize {
        self.sites.iter().position(|it| it.id == id).unwrap()
    }

    /// Whose gates are open, with their terms.
    pub(crate) fn open(&self) -> Vec<(String, u64)> {
        let open = self.sites.iter().filter_map(|it| {
            let epoch = it.running.gate().epoch()?;
            Some((it.id.clone(), epoch))
        });
        open.collect()
    }

    /// Waits for a primary.
    pub(crate) async fn primary(&self) -> (String, u64) {
        until("a primary", async || !self.open().is_empty()).await;
        self.open().remove(0)
    }

    /// Waits until a write was acknowledged in this term, or in a later one.
    pub(crate) async fn acknowledged_in(&self, epoch: u64) {
        until("a write", async || {
            self.store.written.lock().unwrap().2 >= epoch
        })
        .await;
    }

    /// Measures for how long neither of two members lets writes in: from the last write at the one to the first at
    /// the other.
    pub(crate) fn pause_between(
        &self,
        from: &str,
        to: &str,
    ) -> impl Future<Output = Duration> + Send + use<> {
        let [from, to] = [from, to].map(|id| self.site(id).running.gate().clone());
        async move {
            // Not more often: the servers and members share the processors with this.
            let moment = || tokio::time::sleep(Duration::from_millis(1));
            while from.enter().is_some() {
                moment().await;
            }
            let begun = Instant::now();
            while to.enter().is_none() {
                moment().await;
            }
            begun.elapsed()
        }
    }

    /// Looks at all gates again and again: two that are open at the same time are wrong.
    pub(crate) fn watch_gates(&self) -> JoinHandle<()> {
        let gates: Vec<_> = self.gates_by_member();
        let store = Arc::clone(&self.store);
        let kept = Arc::clone(&self.gates);
        kept.lock().unwrap().extend(gates);
        tokio::spawn(async move {
            loop {
                let all = kept.lock().unwrap().clone();
                for (at, one) in all.iter().enumerate() {
                    for other in &all[at + 1..] {
                        // Open before and after, in the same term: it was open in between.
                        let (before, between, after) = (one.epoch(), other.epoch(), one.epoch());
                        if before.is_some() && before == after && between.is_some() {
                            store.blame(format!("{before:?} and {between:?} at once"));
                        }
                    }
                }
                tokio::task::yield_now().await;
            }
        })
    }

    fn gates_by_member(&self) -> Vec<Gate> {
        let gates = self.sites.iter().map(|it| it.running.gate().clone());
        gates.collect()
    }

    /// Writes at every member that ever was, for as long as the test lasts.
    pub(crate) fn write_everywhere(&self) -> JoinHandle<()> {
        let kept = Arc::clone(&self.gates);
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            loop {
                let all = kept.lock().unwrap().clone();
                for gate in all {
                    if let Some(pass) = gate.enter() {
                        // Long enough for something to happen meanwhile.
                        tokio::time::sleep(Duration::from_micros(100)).await;
                        store.acknowledge(pass);
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    }

    /// Another member in the place of one that is gone; its gate is watched from here on.
    pub(crate) fn put(&mut self, at: usize, site: Site) {
        self.gates.lock().unwrap().push(site.running.gate().clone());
        self.sites.insert(at, site);
    }
}

/// Waits until a member has come to its end.
pub(crate) async fn stopped(site: &Site) {
    let mut roles = site.running.roles();
    let ended = roles.wait_for(|role| *role == Role::Stopped);
    soon("its end", ended).await.unwrap();
}
