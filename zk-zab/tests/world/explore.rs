//! Every order of events in a very small world, breadth first: three servers, two transactions, one crash at
//! any point, and the election after it; every message and every fsync is a step of its own. Time stands
//! still, so nothing here depends on patience. `ZAB_STATES` says how many states to look at; the default is
//! a beginning.

use crate::disk::{Disk, Entry, Op};
use crate::ghost::{Ghost, check_order, check_reason};
use crate::network::{Item, Link};
use crate::server::{Role, index_of, payload, server_id};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Write};
use zk_proto::Zxid;
use zk_zab::{Effect, Input, LinkId, Majority, Message, Settings, Standing, Time, Zab};

#[derive(Clone, Debug)]
struct Cell {
    zab: Zab,
    disk: Disk,
    applied: Vec<Entry>,
    flight: VecDeque<Entry>,
    standing: Role,
    serves: bool,
    /// The snapshot that is awaited, and whether it has come.
    receiving: Option<(LinkId, Zxid, bool)>,
}

#[derive(Clone, Debug)]
struct State {
    cells: Vec<Cell>,
    links: BTreeMap<LinkId, Link>,
    ghost: Ghost,
    proposed: u64,
    crashed: bool,
}

/// Something that may happen next.
#[derive(Clone, Copy, Debug)]
enum Action {
    Deliver(LinkId, usize),
    Disk(usize),
    Propose(usize),
    /// A server dies and comes back; what its disk was told is lost, or done.
    Crash(usize, bool),
    Elect(usize),
    Join(usize, usize),
}

/// FNV-1a over what is written.
struct Hasher(u64);

impl Write for Hasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl State {
    fn new() -> Self {
        let mut state = Self {
            cells: Vec::new(),
            links: BTreeMap::new(),
            ghost: Ghost::default(),
            proposed: 0,
            crashed: false,
        };
        for index in 0..3 {
            state.cells.push(begin(index, Disk::default()));
        }
        state
    }

    fn key(&self) -> u64 {
        let mut hasher = Hasher(0xcbf2_9ce4_8422_2325);
        let known = (&self.cells, &self.links, &self.ghost.stands);
        write!(hasher, "{known:?} {} {}", self.proposed, self.crashed).unwrap();
        hasher.0
    }

    /// What can happen without a crash or a client.
    fn inner(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (&id, link) in &self.links {
            for side in [0, 1] {
                let to = link.ends[side];
                let loads = self.cells[to].receiving;
                let waits = loads.is_some_and(|(of, _, came)| of == id && came);
                if !link.pipes[side].items.is_empty() && !waits {
                    actions.push(Action::Deliver(id, to));
                }
            }
        }
        let leader = (0..3).find(|&index| self.cells[index].standing == Role::Leading);
        for (index, cell) in self.cells.iter().enumerate() {
            if !cell.disk.queue.is_empty() {
                actions.push(Action::Disk(index));
            } else if cell.standing == Role::Looking
                && let Some(leader) = leader
            {
                actions.push(Action::Join(index, leader));
            }
        }
        let best = (0..3).max_by_key(|&index| {
            let disk = &self.cells[index].disk;
            (disk.epochs.current, disk.last(), index)
        });
        let resting = self.cells.iter().all(|cell| cell.disk.queue.is_empty());
        if leader.is_none() && resting {
            actions.extend(best.map(Action::Elect));
        }
        actions
    }

    fn outer(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, cell) in self.cells.iter().enumerate() {
            if self.proposed < 2 && cell.zab.next_zxid().is_some() {
                actions.push(Action::Propose(index));
            }
            if !self.crashed {
                actions.push(Action::Crash(index, false));
                if !cell.disk.queue.is_empty() {
                    actions.push(Action::Crash(index, true));
                }
            }
        }
        actions
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Deliver(link, to) => self.deliver(link, to),
            Action::Disk(index) => {
                let said = self.cells[index].disk.work_one();
                if let Some(said) = said {
                    if let Input::SnapshotReceived { .. } = said {
                        let cell = &mut self.cells[index];
                        cell.applied = cell.disk.content();
                        cell.flight.clear();
                        cell.receiving = None;
                    }
                    self.give(index, said);
                }
            }
            Action::Propose(index) => {
                self.proposed += 1;
                let payload = payload(self.proposed);
                self.give(index, Input::Propose { payload });
            }
            Action::Crash(index, keeps) => self.crash(index, keeps),
            Action::Elect(leader) | Action::Join(_, leader) => {
                let who = match action {
                    Action::Join(index, _) => index,
                    _ => leader,
                };
                let leader = server_id(leader);
                self.give(who, Input::Elected { leader });
            }
        }
        self.ghost
            .check_durability(self.cells.iter().map(|cell| &cell.disk));
    }

    fn crash(&mut self, index: usize, keeps: bool) {
        self.crashed = true;
        let mut disk = self.cells[index].disk.clone();
        while keeps && disk.work_one().is_some() {}
        disk.queue.clear();
        self.cells[index] = begin(index, disk);
        let ids: Vec<_> = self.links.keys().copied().collect();
        for id in ids {
            let ours = self.links.get(&id).map(|link| link.ends.contains(&index));
            if ours == Some(true) {
                self.close(id, index);
            }
        }
    }

    /// One side is gone; what it had sent is lost with it.
    fn close(&mut self, id: LinkId, index: usize) {
        if let Some(link) = self.links.remove(&id) {
            for end in link.ends {
                if let Some((of, _, false)) = self.cells[end].receiving
                    && of == id
                {
                    self.cells[end].receiving = None;
                    self.give(end, Input::SnapshotAbandoned { link: id });
                }
            }
            self.give(link.other(index), Input::Closed { link: id });
        }
    }

    fn deliver(&mut self, id: LinkId, to: usize) {
        let item = self.links.get_mut(&id).unwrap().to(to).items.pop_front();
        match item {
            Some(Item::Message(message)) => self.give(to, Input::Received { link: id, message }),
            Some(Item::Snapshot(content)) => {
                let cell = &mut self.cells[to];
                let (link, zxid, _) = cell.receiving.unwrap();
                cell.receiving = Some((link, zxid, true));
                cell.disk.queue.push_back(Op::Install(link, zxid, content));
            }
            Some(Item::End) | None => {}
        }
    }

    fn give(&mut self, index: usize, input: Input) {
        let mut out = Vec::new();
        self.cells[index].zab.step(Time::default(), input, &mut out);
        for effect in out {
            self.carry_out(index, effect);
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect) {
        let cell = &mut self.cells[index];
        match effect {
            Effect::Append { zxid, payload } => {
                if cell.standing == Role::Leading {
                    self.ghost.on_propose(zxid, &payload);
                }
                self.ghost.on_append(index, zxid, &payload);
                cell.flight.push_back((zxid, payload.clone()));
                cell.disk.queue.push_back(Op::Append((zxid, payload)));
            }
            Effect::Deliver { through } => self.stand(index, through),
            Effect::PersistAccepted { epoch } => cell.disk.queue.push_back(Op::Accept(epoch)),
            Effect::PersistCurrent { epoch } => cell.disk.queue.push_back(Op::Adopt(epoch)),
            Effect::Truncate { to } => {
                cell.flight.retain(|(zxid, _)| *zxid <= to);
                cell.applied.retain(|(zxid, _)| *zxid <= to);
                cell.disk.queue.push_back(Op::Truncate(to));
            }
            Effect::Send { link, message } => self.send(index, link, message),
            Effect::Dial { to } => self.dial(index, index_of(to)),
            Effect::Close { link, because } => {
                check_reason(index, because);
                self.close(link, index);
            }
            Effect::Become(standing) => {
                cell.serves = false;
                cell.standing = match standing {
                    Standing::Looking(because) => {
                        check_reason(index, because);
                        Role::Looking
                    }
                    Standing::Leading => Role::Leading,
                    Standing::Following(_) | Standing::Observing(_) => Role::Learning,
                };
            }
            Effect::Serve { epoch } => {
                cell.serves = true;
                let leads = (cell.standing == Role::Leading).then_some(epoch);
                self.ghost.on_serve(index, leads, &cell.applied);
            }
            Effect::SendSnapshot { link, .. } => {
                let content = cell.applied.clone();
                if let Some(known) = self.links.get_mut(&link) {
                    let to = known.other(index);
                    known.to(to).items.push_back(Item::Snapshot(content));
                    self.give(index, Input::SnapshotSent { link });
                }
            }
            Effect::ReceiveSnapshot { link, zxid } => cell.receiving = Some((link, zxid, false)),
            Effect::Replay { through } => {
                while cell
                    .flight
                    .front()
                    .is_some_and(|(zxid, _)| *zxid <= through)
                {
                    cell.applied.extend(cell.flight.pop_front());
                }
            }
            Effect::Notify { .. } => {}
            other => panic!("this world is too small for {other}"),
        }
    }

    fn stand(&mut self, index: usize, through: Zxid) {
        let cell = &mut self.cells[index];
        while cell
            .flight
            .front()
            .is_some_and(|(zxid, _)| *zxid <= through)
        {
            cell.applied.extend(cell.flight.pop_front());
        }
        for (place, entry) in cell.applied.iter().enumerate() {
            self.ghost.on_deliver(index, place, entry);
        }
        assert!(
            cell.disk.holds(through),
            "I18: {index} applies what it logged"
        );
    }

    fn send(&mut self, index: usize, id: LinkId, message: Message) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let to = link.other(index);
        let pipe = link.to(to);
        check_order(id, (&mut pipe.proposed, &mut pipe.committed), &message);
        pipe.items.push_back(Item::Message(message.clone()));
        let disks = [&self.cells[index].disk, &self.cells[to].disk];
        self.ghost.on_send(index, to, &message, disks);
    }

    fn dial(&mut self, from: usize, to: usize) {
        // Numbers are made of what is dialled, so that equal states have equal names.
        let used = |id: &LinkId| self.links.contains_key(id);
        let first = (from * 3 + to) as u64 * 100;
        let id = (first..).map(LinkId::new).find(|id| !used(id)).unwrap();
        let link = Link {
            ends: [from, to],
            pipes: Default::default(),
        };
        self.links.insert(id, link);
        self.give(to, Input::Accepted { link: id });
        let to = server_id(to);
        self.give(from, Input::Dialled { to, link: id });
    }
}

fn begin(index: usize, disk: Disk) -> Cell {
    let settings = Settings::new(server_id(index), Majority::of((0..3).map(server_id)));
    let mut out = Vec::new();
    let now = Time::default();
    let base = (disk.snapshot.0, Bytes::new());
    let recent: Vec<_> = [base].into_iter().chain(disk.log.clone()).collect();
    let zab = Zab::member(now, settings, disk.epochs, disk.last(), recent, &mut out);
    let mut cell = Cell {
        zab,
        applied: disk.content(),
        flight: VecDeque::new(),
        standing: Role::Looking,
        serves: false,
        receiving: None,
        disk,
    };
    for effect in out {
        if let Effect::PersistCurrent { epoch } = effect {
            cell.disk.queue.push_back(Op::Adopt(epoch));
        }
    }
    cell
}

/// Where nothing more happens by itself everyone serves the same.
fn check_rest(state: &State) {
    for (index, cell) in state.cells.iter().enumerate() {
        assert!(cell.serves, "P36: {index} serves at the end of {state:?}");
        assert_eq!(cell.applied, state.ghost.stands, "P36: {index}");
    }
}

#[test]
fn every_order_of_events_keeps_the_invariants() {
    let limit = std::env::var("ZAB_STATES")
        .ok()
        .and_then(|text| text.parse().ok());
    let limit: usize = limit.unwrap_or(5_000);
    let first = State::new();
    let mut known = BTreeSet::from([first.key()]);
    let mut frontier = VecDeque::from([first]);
    let mut rests = 0;
    while let Some(state) = frontier.pop_front() {
        let inner = state.inner();
        if inner.is_empty() {
            check_rest(&state);
            rests += 1;
        }
        for action in inner.into_iter().chain(state.outer()) {
            let mut next = state.clone();
            next.act(action);
            if known.insert(next.key()) {
                frontier.push_back(next);
            }
        }
        if known.len() > limit {
            break;
        }
    }
    println!(
        "{} states, {rests} at rest, {} left",
        known.len(),
        frontier.len()
    );
    assert!(
        frontier.is_empty() || known.len() > limit,
        "it ends where it was told to"
    );
}
