//! One server of the world: the real agreement on a model disk, and a driver that does what it is told.

use crate::disk::{Disk, Entry, Op};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use zk_proto::{ServerId, Zxid};
use zk_zab::{Effect, LinkId, Majority, Settings, Time, Zab};

/// What the shell of a member knows.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: Settings,
    pub(crate) disk: Disk,
    /// How often it has started: what was meant for an earlier life is not for this one.
    pub(crate) life: u64,
    pub(crate) alive: Option<Alive>,
}

/// What is lost in a crash.
#[derive(Debug)]
pub(crate) struct Alive {
    pub(crate) zab: Zab,
    /// The tree: everything applied.
    pub(crate) applied: Vec<Entry>,
    /// How many of them were delivered, and not only replayed.
    pub(crate) delivered: usize,
    /// Appended, and not delivered.
    pub(crate) flight: VecDeque<Entry>,
    pub(crate) standing: Role,
    pub(crate) serves: bool,
    /// The snapshot that is awaited, and whether it has come.
    pub(crate) receiving: Option<(LinkId, Zxid, bool)>,
    /// Since when the process stands still.
    pub(crate) paused_until: u64,
    pub(crate) disk_busy: bool,
    /// When it will be woken.
    pub(crate) wakes_at: Option<u64>,
    pub(crate) resigned: bool,
    /// When each other server was last heard of, and since when this one serves.
    pub(crate) heard: BTreeMap<usize, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Looking,
    Leading,
    Learning,
}

impl Server {
    pub(crate) fn new(
        index: usize,
        voters: usize,
        observer: bool,
        window: usize,
        backlog: usize,
    ) -> Self {
        let id = server_id(index);
        let mut settings = Settings::new(id, Majority::of((0..voters).map(server_id)));
        settings.observer = observer;
        settings.tick = Duration::from_millis(100);
        settings.init_limit = 20;
        settings.sync_limit = 5;
        settings.window = window;
        settings.backlog = backlog;
        Self {
            settings,
            disk: Disk::default(),
            life: 0,
            alive: None,
        }
    }

    /// Begins a life with what the disk holds.
    pub(crate) fn start(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.life += 1;
        let content = self.disk.content();
        let recent: Vec<_> = self.disk.log.clone();
        let last = self.disk.last();
        let zab = Zab::member(
            now,
            self.settings.clone(),
            self.disk.epochs,
            last,
            recent,
            out,
        );
        self.alive = Some(Alive {
            zab,
            applied: content,
            delivered: 0,
            flight: VecDeque::new(),
            standing: Role::Looking,
            serves: false,
            receiving: None,
            paused_until: 0,
            disk_busy: false,
            wakes_at: None,
            resigned: false,
            heard: BTreeMap::new(),
        });
    }

    /// What the disk has done shows in the tree.
    pub(crate) fn after_disk(&mut self, op: &Op) {
        let Some(alive) = &mut self.alive else {
            return;
        };
        match op {
            Op::Truncate(to) => {
                let beyond = alive.applied.last().is_some_and(|(zxid, _)| zxid > to);
                if beyond {
                    alive.applied.retain(|(zxid, _)| zxid <= to);
                    alive.delivered = alive.delivered.min(alive.applied.len());
                }
            }
            Op::Install(_, _, content) => {
                alive.applied.clone_from(content);
                alive.delivered = 0;
                alive.flight.clear();
                self.settings.wants_snapshot = false;
            }
            Op::Append(_) | Op::Accept(_) | Op::Adopt(_) => {}
        }
    }
}

pub(crate) fn server_id(index: usize) -> ServerId {
    ServerId::new(index as i64 + 1)
}

pub(crate) fn index_of(server: ServerId) -> usize {
    usize::try_from(server.number() - 1).unwrap()
}

pub(crate) fn time(millis: u64) -> Time {
    Time::since_start(Duration::from_millis(millis))
}

pub(crate) fn payload(number: u64) -> Bytes {
    Bytes::from(format!(
        "txn {number} {}",
        "x".repeat((number % 7) as usize * 20)
    ))
}
