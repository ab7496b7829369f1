//! Connections between servers: in order and whole while they last, of any delay, cut at any moment.

use crate::disk::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use zk_zab::{LinkId, Message};

/// What travels.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Message(Message),
    Snapshot(Vec<Entry>),
    /// The other side has closed; this comes last.
    End,
}

/// One direction of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) items: VecDeque<Item>,
    /// Nothing arrives before that, so that nothing overtakes.
    pub(crate) busy_until: u64,
    /// The reader does not listen any more.
    pub(crate) deaf: bool,
    /// The writer writes nothing more.
    pub(crate) ended: bool,
    /// The highest PROPOSAL and COMMIT that have left on it (I15).
    pub(crate) proposed: i64,
    pub(crate) committed: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The dialler, and who was dialled.
    pub(crate) ends: [usize; 2],
    /// To the end of that index.
    pub(crate) pipes: [Pipe; 2],
}

impl Link {
    pub(crate) fn other(&self, server: usize) -> usize {
        self.ends[1 - self.side(server)]
    }

    pub(crate) fn side(&self, server: usize) -> usize {
        usize::from(self.ends[1] == server)
    }

    pub(crate) fn to(&mut self, server: usize) -> &mut Pipe {
        let side = self.side(server);
        &mut self.pipes[side]
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) links: BTreeMap<LinkId, Link>,
    next: u64,
    /// Nothing gets from the first to the second.
    pub(crate) blocked: BTreeSet<(usize, usize)>,
}

impl Network {
    pub(crate) fn connect(&mut self, from: usize, to: usize) -> LinkId {
        self.next += 1;
        let link = LinkId::new(self.next);
        let ends = [from, to];
        let pipes = Default::default();
        self.links.insert(link, Link { ends, pipes });
        link
    }

    pub(crate) fn is_open(&self, from: usize, to: usize) -> bool {
        !self.blocked.contains(&(from, to)) && !self.blocked.contains(&(to, from))
    }
}
