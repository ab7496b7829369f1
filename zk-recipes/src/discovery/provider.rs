//! Who picks from the instances of a service: a view that is made when something changes, and picked from without
//! asking anybody.

use super::floor::Floor;
use super::instance::Instance;
use super::roll::{DownPolicy, Member, Poisoned, Roll, Wishes};
use super::saved;
use super::strategy::{Aid, Chooser, Strategy};
use crate::cache::{Cache, Freshness};
use crate::error::Error;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::{Notify, oneshot, watch};
use tracing::warn;
use zk_client::{Client, Zxid};

/// Picks an instance of a service for each call, and goes on with what it knows while no server answers.
///
/// | | |
/// |---|---|
/// | guarantee | a pick takes less than a microsecond, asks nobody and never fails for want of servers; each change is seen a moment after it was made |
/// | suspension, session's end | it goes on with what it has, [as old as that is](Provider::freshness). Instances that vanish together, as after an outage, are kept for a while: [`ProviderBuilder::floor`] |
/// | cancellation | every future may be dropped at any await |
/// | cost | as a [`Cache`] of the service's directory: 1 watch, 1 read for each change |
/// | layout | that of the [`Registry`](crate::Registry) |
#[derive(Clone, Debug)]
pub struct Provider {
    shared: Arc<Shared>,
    cache: Cache,
    /// Its end ends the task.
    _alive: Arc<oneshot::Sender<()>>,
}

/// What a provider is to be like; from [`Registry::provider`](crate::Registry::provider).
#[must_use = "a builder makes nothing until it is told"]
#[derive(Clone, Debug)]
pub struct ProviderBuilder {
    client: Client,
    service: String,
    directory: String,
    strategy: Strategy,
    wishes: Wishes,
    file: Option<PathBuf>,
}

impl ProviderBuilder {
    pub(super) fn new(client: &Client, service: &str, directory: String) -> Self {
        Self {
            client: client.clone(),
            service: service.to_owned(),
            directory,
            strategy: Strategy::default(),
            wishes: Wishes {
                filter: None,
                weigh: None,
                near: None,
                down: DownPolicy::default(),
                floor: Some(Floor::default()),
            },
            file: None,
        }
    }

    /// How it picks. [`Strategy::RoundRobin`] unless told.
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Picks only such instances.
    pub fn filter(mut self, filter: impl Fn(&Instance) -> bool + Send + Sync + 'static) -> Self {
        self.wishes.filter = Some(Arc::new(filter));
        self
    }

    /// How much of the whole an instance should get, for strategies that go by weight: by the load it reports, by its
    /// size. All alike unless told; none at all with a weight of 0.
    pub fn weigh(mut self, weigh: impl Fn(&Instance) -> u32 + Send + Sync + 'static) -> Self {
        self.wishes.weigh = Some(Arc::new(weigh));
        self
    }

    /// Picks those who are near alone, if so many are there; else any.
    pub fn prefer(
        mut self,
        near: impl Fn(&Instance) -> bool + Send + Sync + 'static,
        least: usize,
    ) -> Self {
        self.wishes.near = Some((Arc::new(near), least));
        self
    }

    /// When an instance counts as down, by the failures of those who picked it.
    pub const fn down_policy(mut self, policy: DownPolicy) -> Self {
        self.wishes.down = policy;
        self
    }

    /// When instances that vanish together are kept nevertheless: after an outage of the servers all sessions may end
    /// at once, though every instance serves. [`Floor::default`] unless told; `None` believes the directory always.
    pub fn floor(mut self, floor: impl Into<Option<Floor>>) -> Self {
        self.wishes.floor = floor.into();
        self
    }

    /// Keeps the instances in a file as well, and begins with those of the file.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Begins to follow, in the background, until the last handle is dropped. A file is read before this returns.
    pub fn start(self) -> Provider {
        let mut roll = Roll::new(self.wishes);
        if let Some(path) = &self.file {
            for instance in saved::load(path, &self.service) {
                let name = instance.name().to_owned();
                roll.read(&name, Ok(instance));
            }
        }
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8);
        let shared = Arc::new(Shared {
            service: self.service,
            chooser: Chooser::new(self.strategy, seed),
            view: RwLock::default(),
            book: Mutex::new(Book {
                roll,
                seen: BTreeMap::new(),
                again: None,
            }),
            changes: watch::Sender::new(0),
            failed: Notify::new(),
        });
        shared.renew(&mut shared.book());
        let cache = Cache::children(&self.client, self.directory).start();
        let (alive, dropped) = oneshot::channel();
        let follower = follow(Arc::clone(&shared), cache.clone(), self.file);
        tokio::spawn(async move {
            tokio::select! {
                _handles = dropped => {}
                () = follower => {}
            }
        });
        Provider {
            shared,
            cache,
            _alive: Arc::new(alive),
        }
    }
}

/// Those who may be picked, until something changes.
#[derive(Debug)]
struct View {
    members: Vec<Member>,
    aid: Aid,
}

impl Default for View {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            aid: Aid::None,
        }
    }
}

/// What is known, and of which state of its node.
#[derive(Debug)]
struct Book {
    roll: Roll,
    seen: BTreeMap<String, (Zxid, Zxid)>,
    /// When something changes by itself.
    again: Option<Instant>,
}

#[derive(Debug)]
struct Shared {
    service: String,
    chooser: Chooser,
    view: RwLock<Arc<View>>,
    book: Mutex<Book>,
    changes: watch::Sender<u64>,
    failed: Notify,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> Arc<View> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&view)
    }

    /// Takes over what the cache holds. `true` if anything is new.
    fn take(&self, cache: &Cache) -> bool {
        // Under the lock, so that nobody takes over an older state after a newer one.
        let mut book = self.book();
        let snapshot = cache.snapshot();
        let mut there = BTreeMap::new();
        let mut changed = false;
        for node in snapshot.children(cache.path()) {
            let (name, state) = (node.name(), (node.stat().czxid, node.stat().mzxid));
            if book.seen.get(name) != Some(&state) {
                let read = Instance::decode(&self.service, name, node.data());
                if let Err(error) = &read {
                    warn!(path = node.path(), %error, "a node is no instance, and is left out");
                }
                book.roll.read(name, read);
                changed = true;
            }
            there.insert(name.to_owned(), state);
        }
        let known: Vec<_> = book.roll.names().cloned().collect();
        let now = Instant::now();
        for name in known.iter().filter(|name| !there.contains_key(*name)) {
            book.roll.gone(name, now);
            changed = true;
        }
        book.seen = there;
        if changed {
            self.renew(&mut book);
        }
        changed
    }

    /// Makes the view anew.
    fn renew(&self, book: &mut Book) {
        let (members, again) = book.roll.call(Instant::now());
        book.again = again;
        let aid = Aid::new(self.chooser.strategy, &members);
        let view = Arc::new(View { members, aid });
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        self.changes.send_modify(|count| *count += 1);
    }

    fn failed(&self, instance: &Instance) {
        let mut book = self.book();
        if book.roll.failed(instance.name(), Instant::now()) {
            self.renew(&mut book);
            drop(book);
            // It is up again by itself, later.
            self.failed.notify_one();
        }
    }
}

/// Keeps a provider's view up to date, and its file.
async fn follow(shared: Arc<Shared>, cache: Cache, file: Option<PathBuf>) {
    let mut published = cache.changes();
    let mut following = true;
    let texts = watch::Sender::new(Vec::new());
    if let Some(path) = file {
        tokio::spawn(saved::keep(path, texts.subscribe()));
    }
    loop {
        published.borrow_and_update();
        if cache.freshness() != Freshness::Filling
            && shared.take(&cache)
            && texts.receiver_count() > 0
        {
            let book = shared.book();
            let instances = book.roll.instances().map(|it| &**it);
            if let Ok(text) = saved::text(&shared.service, instances) {
                texts.send_replace(text);
            }
        }
        let again = shared.book().again;
        let alone = async {
            match again {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // When the client is at its end, what changes by itself goes on.
            changed = published.changed(), if following => following = changed.is_ok(),
            () = shared.failed.notified() => {}
            () = alone => shared.renew(&mut shared.book()),
        }
    }
}

impl Provider {
    /// An instance to talk to, by the strategy; `None` if there is none.
    pub fn pick(&self) -> Option<Pick> {
        self.choose(None)
    }

    /// An instance to talk to about this key: with [`Strategy::RingHash`] the same for everybody. Other strategies do
    /// not look at it.
    pub fn pick_for(&self, key: &[u8]) -> Option<Pick> {
        self.choose(Some(key))
    }

    fn choose(&self, key: Option<&[u8]>) -> Option<Pick> {
        let view = self.shared.view();
        let chosen = self.shared.chooser.choose(&view.members, &view.aid, key)?;
        let member = view.members.get(chosen)?;
        Some(Pick {
            instance: Arc::clone(&member.instance),
            busy: member.begin(),
            shared: Arc::clone(&self.shared),
        })
    }

    /// All who may be picked now, by their ids.
    pub fn all(&self) -> Vec<Arc<Instance>> {
        let view = self.shared.view();
        let members = view.members.iter();
        members.map(|it| Arc::clone(&it.instance)).collect()
    }

    /// Nodes of the service that hold no instance. Others do not suffer from them.
    pub fn poisoned(&self) -> Vec<Poisoned> {
        self.shared.book().roll.poisoned()
    }

    /// How far it is behind.
    pub fn freshness(&self) -> Freshness {
        self.cache.freshness()
    }

    /// A number that grows whenever those who may be picked change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Waits until it has somebody to pick, or knows that there is nobody.
    ///
    /// # Errors
    ///
    /// What the servers refuse, or the client's end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn ready(&self) -> Result<(), Error> {
        if self.shared.view().members.is_empty() {
            self.cache.ready().await?;
            self.shared.take(&self.cache);
        }
        Ok(())
    }

    /// Waits until it has everything that anybody wrote before this was called.
    ///
    /// # Errors
    ///
    /// The client's end.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn barrier(&self) -> Result<Zxid, Error> {
        let zxid = self.cache.barrier().await?;
        self.shared.take(&self.cache);
        Ok(zxid)
    }
}

/// An instance that was picked. It counts as busy until this is dropped.
#[must_use = "it counts as busy only while it is kept"]
#[derive(Debug)]
pub struct Pick {
    instance: Arc<Instance>,
    busy: Arc<AtomicU64>,
    shared: Arc<Shared>,
}

impl Pick {
    /// The instance, for later.
    pub fn instance(&self) -> Arc<Instance> {
        Arc::clone(&self.instance)
    }

    /// It could not be reached. If that is said [often](DownPolicy) of an instance it is not picked for a while.
    pub fn failed(self) {
        self.shared.failed(&self.instance);
    }
}

impl Deref for Pick {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        Member::end(&self.busy);
    }
}
