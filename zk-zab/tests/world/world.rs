//! The world's clock: events in order of time, each given to the real code, each followed by the checks.

use crate::chaos::Chaos;
use crate::disk::Op;
use crate::ghost::Ghost;
use crate::network::{Item, Network};
use crate::rng::Rng;
use crate::server::{Alive, Role, Server, payload, server_id, time};
use std::collections::{BTreeMap, BTreeSet};
use zk_proto::{Epoch, Zxid};
use zk_zab::{Input, LinkId, Message, Notification, condense};

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The next item of a link arrives at a server.
    Arrive(LinkId, usize),
    /// A disk has done something.
    Disk { server: usize, life: u64 },
    /// A server wanted to be woken.
    Wake { server: usize, life: u64 },
    /// A dial succeeds or fails.
    Dial { from: usize, life: u64, to: usize },
    /// An input that a shell owes its core.
    Owed {
        server: usize,
        life: u64,
        input: Input,
    },
    /// A shell loses its patience with a snapshot that does not come.
    GiveUp {
        server: usize,
        life: u64,
        link: LinkId,
    },
    /// A word of the election.
    Word { from: usize, to: usize },
    /// A server with a tail of its own is needed.
    NeedTail(usize),
    /// Chance strikes.
    Chaos,
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) servers: Vec<Server>,
    pub(crate) voters: usize,
    pub(crate) network: Network,
    pub(crate) ghost: Ghost,
    pub(crate) chaos: Chaos,
    pub(crate) seen: BTreeMap<&'static str, u64>,
    pub(crate) trace: u64,
    pub(crate) story: Vec<String>,
    tells_all: bool,
    /// Nobody else is started until then.
    pub(crate) few_until: u64,
    events: BTreeMap<(u64, u64), Event>,
    happened: u64,
    next_event: u64,
    next_payload: u64,
    next_ticket: u64,
    /// What stood when each question was asked (P5).
    pub(crate) tickets: BTreeMap<u64, usize>,
    /// Words of the election on their way.
    pub(crate) words: BTreeMap<(usize, usize), Notification>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let chaos = Chaos::draw(seed, &mut rng);
        let observers = usize::from(rng.permille(300));
        let window = [0, 1, 3, 5, 100, 500][rng.index(6)];
        let backlog = if rng.permille(200) { 3_000 } else { 1 << 20 };
        let servers = (0..chaos.voters + observers)
            .map(|index| Server::new(index, chaos.voters, index >= chaos.voters, window, backlog))
            .collect();
        let mut world = Self {
            now: 0,
            voters: chaos.voters,
            chaos,
            rng,
            servers,
            network: Network::default(),
            ghost: Ghost::default(),
            seen: BTreeMap::new(),
            trace: 0xcbf2_9ce4_8422_2325,
            story: Vec::new(),
            few_until: 0,
            tells_all: std::env::var_os("ZAB_STORY").is_some(),
            events: BTreeMap::new(),
            happened: 0,
            next_event: 0,
            next_payload: 0,
            next_ticket: 0,
            tickets: BTreeMap::new(),
            words: BTreeMap::new(),
        };
        if world.rng.permille(150) {
            // Counters are soon spent (P33).
            for server in &mut world.servers {
                server.settings.last_counter = 30;
            }
        }
        for server in 0..world.servers.len() {
            world.start(server);
        }
        world.after(1, Event::Chaos);
        world
    }

    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.next_event += 1;
        self.events
            .insert((self.now + delay, self.next_event), event);
    }

    pub(crate) fn note(&mut self, line: String) {
        for byte in line.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.story.len() > 400 && !self.tells_all {
            self.story.drain(..200);
        }
        self.story.push(format!("{:>7} {line}", self.now));
    }

    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Lets time pass up to `until`.
    pub(crate) fn run(&mut self, until: u64) {
        while let Some((&(at, number), _)) = self.events.first_key_value()
            && at <= until
        {
            let event = self.events.remove(&(at, number)).unwrap();
            self.now = self.now.max(at);
            self.happen(event);
            self.happened += 1;
            assert!(self.happened < 1_000_000, "the world moves on");
            self.ghost.check_durability(
                self.servers[..self.voters]
                    .iter()
                    .map(|server| &server.disk),
            );
        }
        self.now = until;
    }

    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(link, server) => self.arrive(link, server),
            Event::Disk { server, life } if self.lives(server, life) => self.disk(server),
            Event::Wake { server, life } if self.lives(server, life) => self.wake(server),
            Event::Dial { from, life, to } if self.lives(from, life) => self.dial(from, to),
            Event::Owed {
                server,
                life,
                input,
            } if self.lives(server, life) => self.give(server, input),
            Event::GiveUp { server, life, link } if self.lives(server, life) => {
                self.lose_snapshot(link, server);
            }
            Event::Word { from, to } => self.hear(from, to),
            Event::Chaos => crate::chaos::strike(self),
            Event::NeedTail(server) => crate::chaos::need_tail(self, server),
            Event::Disk { .. }
            | Event::Wake { .. }
            | Event::Dial { .. }
            | Event::GiveUp { .. }
            | Event::Owed { .. } => {}
        }
    }

    pub(crate) fn lives(&self, server: usize, life: u64) -> bool {
        self.servers[server].life == life && self.servers[server].alive.is_some()
    }

    pub(crate) fn alive(&self, server: usize) -> Option<&Alive> {
        self.servers[server].alive.as_ref()
    }

    pub(crate) fn alive_mut(&mut self, server: usize) -> Option<&mut Alive> {
        self.servers[server].alive.as_mut()
    }

    pub(crate) fn start(&mut self, server: usize) {
        let mut out = Vec::new();
        let now = time(self.now);
        if self.rng.permille(self.chaos.eager_snapshots) {
            self.servers[server].disk.snapshot_all();
        }
        self.servers[server].start(now, &mut out);
        self.note(format!(
            "{server} starts, last {}",
            self.servers[server].disk.last()
        ));
        self.carry_out(server, out);
        self.check_lease(server);
        self.rearm(server);
    }

    /// Power is lost, or the process dies. Its connections end; whether the others notice is chance.
    pub(crate) fn crash(&mut self, server: usize) {
        self.note(format!("{server} crashes"));
        self.servers[server].alive = None;
        let mut rng = self.rng.clone();
        self.servers[server].disk.crash(&mut rng);
        self.rng = rng;
        let links = self.network.links.iter();
        let links: Vec<_> = links
            .filter_map(|(id, link)| link.ends.contains(&server).then_some(*id))
            .collect();
        let silent = self.rng.permille(self.chaos.silent_deaths);
        for link in links {
            self.hang_up(link, server, silent);
        }
    }

    /// One end of a connection is gone.
    pub(crate) fn hang_up(&mut self, id: LinkId, server: usize, silent: bool) {
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        link.to(server).deaf = true;
        let other = link.other(server);
        let pipe = link.to(other);
        if pipe.ended {
            return;
        }
        pipe.ended = true;
        if !silent {
            self.put(id, other, Item::End);
        }
    }

    /// Writes to a connection.
    pub(crate) fn put(&mut self, id: LinkId, to: usize, item: Item) {
        let mut delay = self.chaos.delay(&mut self.rng);
        if matches!(item, Item::Snapshot(_)) {
            delay += self.rng.between(0, self.chaos.slow_snapshots);
        }
        let now = self.now;
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        let pipe = link.to(to);
        pipe.items.push_back(item);
        let at = pipe.busy_until.max(now + delay);
        pipe.busy_until = at;
        self.after(at - now, Event::Arrive(id, to));
    }

    pub(crate) fn arrive(&mut self, id: LinkId, server: usize) {
        let Some(link) = self.network.links.get(&id) else {
            return;
        };
        let from = link.other(server);
        let blocked = self.network.blocked.contains(&(from, server));
        let waits = self.alive(server).is_some_and(|alive| {
            let loading = alive
                .receiving
                .is_some_and(|(of, _, came)| of == id && came);
            loading || alive.paused_until > self.now
        });
        if blocked || waits {
            // TCP keeps it; later items wait behind it.
            return self.after(5, Event::Arrive(id, server));
        }
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        let pipe = link.to(server);
        let Some(item) = pipe.items.pop_front() else {
            return;
        };
        if pipe.deaf {
            return;
        }
        if let Some(alive) = self.servers[server].alive.as_mut() {
            alive.heard.insert(from, self.now);
        }
        match item {
            Item::Message(message) => {
                let messages = self.gather(id, server, message);
                self.read(id, server, messages);
            }
            Item::Snapshot(content) => self.take_snapshot(id, server, content),
            Item::End => {
                self.hang_up(id, server, true);
                self.lose_snapshot(id, server);
                self.give(server, Input::Closed { link: id });
            }
        }
    }

    /// What comes together with a message, as a reader hands it over.
    fn gather(&mut self, id: LinkId, server: usize, first: Message) -> Vec<Message> {
        let mut messages = vec![first];
        if let Some(link) = self.network.links.get_mut(&id)
            && self.chaos.gathers
        {
            let items = &mut link.to(server).items;
            while let Some(Item::Message(next)) = items.front() {
                messages.push(next.clone());
                items.pop_front();
            }
        }
        condense(&mut messages);
        messages
    }

    fn read(&mut self, link: LinkId, server: usize, messages: Vec<Message>) {
        let life = self.servers[server].life;
        for message in messages {
            if self.lives(server, life) {
                self.give(server, Input::Received { link, message });
            }
        }
    }

    pub(crate) fn take_snapshot(
        &mut self,
        id: LinkId,
        server: usize,
        content: Vec<crate::disk::Entry>,
    ) {
        let Some(alive) = self.alive_mut(server) else {
            return;
        };
        if let Some((link, zxid, came)) = &mut alive.receiving
            && *link == id
        {
            *came = true;
            let op = Op::Install(id, *zxid, content);
            self.enqueue(server, op);
        }
    }

    /// A snapshot that has not come will not come any more on a connection that is gone.
    pub(crate) fn lose_snapshot(&mut self, id: LinkId, server: usize) {
        if let Some(alive) = self.alive_mut(server)
            && let Some((link, _, false)) = alive.receiving
            && link == id
        {
            // Nothing behind it is read before the agreement knows.
            if let Some((_, _, came)) = &mut alive.receiving {
                *came = true;
            }
            self.saw("snapshot lost");
            let life = self.servers[server].life;
            let input = Input::SnapshotAbandoned { link: id };
            self.after(
                0,
                Event::Owed {
                    server,
                    life,
                    input,
                },
            );
        }
    }

    pub(crate) fn enqueue(&mut self, server: usize, op: Op) {
        let queue = &mut self.servers[server].disk.queue;
        let mut place = queue.len();
        if matches!(op, Op::Accept(_) | Op::Adopt(_)) {
            // Epochs are files of their own: they overtake transactions, and nothing else (ZOOKEEPER-4643).
            let appends = queue.iter().rev();
            let appends = appends.take_while(|op| matches!(op, Op::Append(_)));
            place -= self.rng.index(appends.count() + 1);
        }
        queue.insert(place, op);
        self.spin(server);
    }

    pub(crate) fn spin(&mut self, server: usize) {
        let life = self.servers[server].life;
        let delay = self.chaos.fsync(&mut self.rng);
        let waiting = !self.servers[server].disk.queue.is_empty();
        if let Some(alive) = self.alive_mut(server)
            && waiting
            && !alive.disk_busy
        {
            alive.disk_busy = true;
            self.after(delay, Event::Disk { server, life });
        }
    }

    pub(crate) fn disk(&mut self, server: usize) {
        let first = self.servers[server].disk.queue.front().cloned();
        let said = self.servers[server].disk.work(&mut self.rng);
        if let Some(op) = first {
            self.servers[server].after_disk(&op);
        }
        if let Some(alive) = self.alive_mut(server) {
            alive.disk_busy = false;
        }
        self.spin(server);
        if let Some(input) = said {
            self.give(server, input);
        }
    }

    pub(crate) fn wake(&mut self, server: usize) {
        let now = self.now;
        let alive = self.alive_mut(server).unwrap();
        if alive.wakes_at.is_some_and(|at| at <= now) {
            alive.wakes_at = None;
        }
        let due = alive.zab.deadline();
        if due.is_some_and(|due| due <= time(now)) {
            self.give(server, Input::Timeout);
        }
    }

    pub(crate) fn dial(&mut self, from: usize, to: usize) {
        let open = self.network.is_open(from, to) && !self.rng.permille(self.chaos.refusals);
        let listens = self
            .alive(to)
            .is_some_and(|alive| alive.standing == Role::Leading);
        if open && listens {
            let link = self.network.connect(from, to);
            self.give(to, Input::Accepted { link });
            let to = server_id(to);
            self.give(from, Input::Dialled { to, link });
        } else {
            let to = server_id(to);
            self.give(from, Input::DialFailed { to });
        }
    }

    /// A leader that has not heard a quorum for so long does not serve any more (P30, P32).
    fn check_lease(&self, server: usize) {
        let Some(alive) = self.alive(server) else {
            return;
        };
        if !alive.serves || alive.standing != Role::Leading || alive.resigned {
            return;
        }
        let patience =
            self.servers[server].settings.tick * self.servers[server].settings.sync_limit;
        let patience = u64::try_from(patience.as_millis()).unwrap();
        let recent = |other: &usize| {
            let heard = alive.heard.get(other).copied();
            *other == server || heard.is_some_and(|heard| heard + patience >= self.now)
        };
        let heard = (0..self.voters).filter(recent).count();
        assert!(
            heard > self.voters / 2,
            "P32: {server} leads and hears {heard}"
        );
    }

    /// A voter's disk is replaced by an empty one, while all others have had a whole history: a member to which that
    /// never happened cannot be told from one that has lost it.
    pub(crate) fn wipe(&mut self, server: usize) {
        let known = |index: &usize| {
            let disk = &self.servers[*index].disk;
            disk.last().counter() > 0 && disk.epochs.current > Epoch::default()
        };
        if self.ghost.wiped.is_some() || server >= self.voters || self.voters < 3 {
            return;
        }
        if !(0..self.voters).all(|index| index == server || known(&index)) {
            return;
        }
        self.saw("wiped");
        self.note(format!("{server} loses its disk"));
        self.crash(server);
        self.servers[server].disk = Default::default();
        self.ghost.on_wipe(server);
        self.start(server);
    }

    /// The voter that lost its disk, while it has some of the history again and was never told that this is all.
    pub(crate) fn has_a_part(&self) -> Option<usize> {
        let server = self.ghost.wiped?;
        let disk = &self.servers[server].disk;
        let in_part = disk.last() > Zxid::ZERO && disk.epochs.current < disk.last().epoch();
        (in_part && self.alive(server).is_some()).then_some(server)
    }

    /// One input to a server, if its process runs.
    pub(crate) fn give(&mut self, server: usize, input: Input) {
        let now = self.now;
        let life = self.servers[server].life;
        let Some(alive) = self.alive_mut(server) else {
            return;
        };
        if alive.paused_until > now {
            let delay = alive.paused_until - now;
            return self.after(
                delay,
                Event::Owed {
                    server,
                    life,
                    input,
                },
            );
        }
        if let Input::SnapshotAbandoned { .. } | Input::SnapshotReceived { .. } = input {
            // What came behind it is read when the agreement knows, and not before.
            alive.receiving = None;
        }
        let line = format!("{server} < {input}");
        let mut out = Vec::new();
        alive.zab.step(time(now), input, &mut out);
        self.note(line);
        self.carry_out(server, out);
        self.check_lease(server);
        self.rearm(server);
    }

    /// The server will be woken when it wants to be.
    pub(crate) fn rearm(&mut self, server: usize) {
        let (now, life) = (self.now, self.servers[server].life);
        let deadline = self.alive(server).and_then(|alive| alive.zab.deadline());
        if let Some(deadline) = deadline {
            let millis = deadline.elapsed().as_millis().min(1 << 40);
            let at = u64::try_from(millis).unwrap().max(now);
            let alive = self.alive_mut(server).unwrap();
            if alive.wakes_at != Some(at) {
                alive.wakes_at = Some(at);
                self.after(at - now, Event::Wake { server, life });
            }
        }
    }

    /// A word of the election arrives: the last one, whatever was said before.
    pub(crate) fn hear(&mut self, from: usize, to: usize) {
        if self.network.blocked.contains(&(from, to)) {
            return self.after(20, Event::Word { from, to });
        }
        let Some(notification) = self.words.remove(&(from, to)) else {
            return;
        };
        if self.alive(to).is_some() {
            let from = server_id(from);
            self.give(to, Input::Notified { from, notification });
        } else if self.network.is_open(from, to) {
            let by = server_id(to);
            self.give(from, Input::Refused { by });
        }
    }

    /// A client writes at whoever thinks that it leads.
    pub(crate) fn write(&mut self, server: usize) {
        let may = self
            .alive(server)
            .is_some_and(|alive| alive.paused_until <= self.now && alive.zab.next_zxid().is_some());
        if may {
            self.next_payload += 1;
            let payload = payload(self.next_payload);
            self.give(server, Input::Propose { payload });
        }
    }

    /// A client asks for a sync.
    pub(crate) fn ask(&mut self, server: usize) {
        if self.alive(server).is_some_and(|alive| alive.serves) {
            self.next_ticket += 1;
            self.tickets
                .insert(self.next_ticket, self.ghost.stands.len());
            let ticket = self.next_ticket;
            self.give(server, Input::Confirm { ticket });
        }
    }

    /// An election that went wrong: `leader` is told to those who look.
    pub(crate) fn elect(&mut self, leader: usize, voters: &BTreeSet<usize>) {
        for &server in voters {
            let looks = self
                .alive(server)
                .is_some_and(|alive| alive.standing == Role::Looking);
            if looks {
                let leader = server_id(leader);
                self.give(server, Input::Elected { leader });
            }
        }
    }
}
