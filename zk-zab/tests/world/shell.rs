//! A server's shell: it does what the core wants, in order, and watches it while it does.

use crate::disk::Op;
use crate::ghost::{check_order, check_reason};
use crate::network::Item;
use crate::server::{Role, index_of};
use crate::world::{Event, World};
use zk_proto::Zxid;
use zk_zab::{Departure, Effect, Input, LinkId, Message, PeerState, Standing};

impl World {
    pub(crate) fn carry_out(&mut self, server: usize, effects: Vec<Effect>) {
        let life = self.servers[server].life;
        for effect in effects {
            if !self.lives(server, life) {
                return;
            }
            self.note(format!("{server} > {effect}"));
            self.do_at_home(server, effect);
        }
    }

    /// What concerns the own disk and tree; the rest is for the links.
    fn do_at_home(&mut self, server: usize, effect: Effect) {
        match effect {
            Effect::Append { zxid, payload } => {
                let alive = self.alive_mut(server).unwrap();
                if alive.standing == Role::Leading {
                    self.ghost.on_propose(zxid, &payload);
                    let last = self.servers[server].settings.last_counter;
                    assert!(zxid.counter() <= last, "P33: {server} proposes {zxid}");
                }
                self.ghost.on_append(server, zxid, &payload);
                let alive = self.alive_mut(server).unwrap();
                alive.flight.push_back((zxid, payload.clone()));
                self.enqueue(server, Op::Append((zxid, payload)));
            }
            Effect::Deliver { through } => self.deliver(server, through),
            Effect::Replay { through } => {
                self.saw("replay");
                let alive = self.alive_mut(server).unwrap();
                while alive
                    .flight
                    .front()
                    .is_some_and(|(zxid, _)| *zxid <= through)
                {
                    alive.applied.extend(alive.flight.pop_front());
                }
            }
            Effect::PersistAccepted { epoch } => self.enqueue(server, Op::Accept(epoch)),
            Effect::PersistCurrent { epoch } => self.enqueue(server, Op::Adopt(epoch)),
            Effect::Truncate { to } => {
                self.saw("truncate");
                let alive = self.alive_mut(server).unwrap();
                alive.flight.retain(|(zxid, _)| *zxid <= to);
                self.enqueue(server, Op::Truncate(to));
            }
            other => self.do_on_links(server, other),
        }
    }

    /// What concerns the connections; the rest is for the role.
    fn do_on_links(&mut self, server: usize, effect: Effect) {
        let life = self.servers[server].life;
        match effect {
            Effect::Send { link, message } => self.send(server, link, message),
            Effect::Dial { to } => {
                let (from, to) = (server, index_of(to));
                let delay = self.chaos.delay(&mut self.rng);
                self.after(delay, Event::Dial { from, life, to });
            }
            Effect::Close { link, because } => {
                check_reason(server, because);
                self.hang_up(link, server, false);
                self.lose_snapshot(link, server);
            }
            Effect::SendSnapshot { link, .. } => {
                self.saw("snapshot");
                let content = self.alive(server).unwrap().applied.clone();
                self.copy(server, link, [Item::Snapshot(content)]);
                self.owe_slowly(server, Input::SnapshotSent { link });
            }
            Effect::ReceiveSnapshot { link, zxid } => {
                self.alive_mut(server).unwrap().receiving = Some((link, zxid, false));
                self.after(1_000, Event::GiveUp { server, life, link });
            }
            Effect::SeekLog {
                link,
                after,
                through,
            } => {
                self.saw("seek");
                let disk = &self.servers[server].disk;
                let held = disk.snapshot.0 == after || disk.log.iter().any(|(z, _)| *z == after);
                let found = held && through <= disk.last() && !self.rng.permille(300);
                self.owe_slowly(server, Input::LogSought { link, found });
            }
            Effect::SendLog {
                link,
                after,
                through,
            } => self.send_log(server, link, after, through),
            other => self.do_in_role(server, other),
        }
    }

    fn do_in_role(&mut self, server: usize, effect: Effect) {
        match effect {
            Effect::Become(standing) => self.become_(server, standing),
            Effect::Serve { epoch } => {
                let alive = self.alive_mut(server).unwrap();
                alive.serves = true;
                let leads = alive.standing == Role::Leading;
                let applied = alive.applied.clone();
                self.ghost
                    .on_serve(server, leads.then_some(epoch), &applied);
                if leads {
                    self.saw("leader");
                    self.ghost.on_lead(server, epoch);
                }
            }
            Effect::Pong { link, zxid } => {
                let touched = Vec::new();
                self.send(server, link, Message::Pong { zxid, touched });
            }
            Effect::Notify { to, notification } => {
                let observer = self.servers[server].settings.observer;
                if notification.state == PeerState::Looking && !observer {
                    let disk = &self.servers[server].disk;
                    self.ghost.on_vote(server, &notification.vote, disk);
                }
                let (from, to) = (server, index_of(to));
                let waits = self.words.insert((from, to), notification).is_some();
                if !waits {
                    let delay = self.chaos.delay(&mut self.rng);
                    self.after(delay, Event::Word { from, to });
                }
            }
            Effect::Confirmed { ticket } => self.confirmed(server, ticket),
            Effect::Resigned => {
                self.saw("resigned");
                self.alive_mut(server).unwrap().resigned = true;
                self.alive_mut(server).unwrap().serves = false;
            }
            Effect::Halt(Departure::CannotTruncate) => {
                self.saw("begins anew for a snapshot");
                self.servers[server].settings.wants_snapshot = true;
                self.crash(server);
                self.start(server);
            }
            Effect::Halt(because) => panic!("server {server} halts: {because}"),
            _ => {}
        }
    }

    fn owe_slowly(&mut self, server: usize, input: Input) {
        let life = self.servers[server].life;
        let delay = self.rng.between(0, 80);
        self.after(
            delay,
            Event::Owed {
                server,
                life,
                input,
            },
        );
    }

    fn copy(&mut self, server: usize, link: LinkId, items: impl IntoIterator<Item = Item>) {
        if let Some(known) = self.network.links.get(&link) {
            let to = known.other(server);
            for item in items {
                self.put(link, to, item);
            }
        }
    }

    fn send_log(&mut self, server: usize, link: LinkId, after: Zxid, through: Zxid) {
        self.saw("log sent");
        let log = self.servers[server].disk.log.clone();
        for (zxid, payload) in log {
            if zxid > after && zxid <= through {
                self.send(server, link, Message::Proposal { zxid, payload });
                self.send(server, link, Message::Commit { zxid });
            }
        }
        self.owe_slowly(server, Input::LogSent { link });
    }

    fn send(&mut self, server: usize, id: LinkId, message: Message) {
        let Some(to) = self.network.links.get(&id).map(|link| link.other(server)) else {
            return;
        };
        if matches!(message, Message::NewLeader { .. } | Message::UpToDate) {
            // The patience with a learner begins anew.
            let now = self.now;
            self.alive_mut(server).unwrap().heard.insert(to, now);
        }
        let link = self.network.links.get_mut(&id).unwrap();
        let pipe = link.to(to);
        if pipe.ended {
            return;
        }
        check_order(id, (&mut pipe.proposed, &mut pipe.committed), &message);
        // What a crash took from the other's disk is nothing that this one could know, even if it runs again.
        let listens = !pipe.deaf;
        if self.alive(to).is_some() && listens {
            let disks = [&self.servers[server].disk, &self.servers[to].disk];
            self.ghost.on_send(server, to, &message, disks);
        }
        match message {
            Message::Diff { .. } => self.saw("DIFF"),
            Message::Trunc { .. } => self.saw("TRUNC"),
            Message::Snap { .. } => self.saw("SNAP"),
            Message::Inform { .. } => self.saw("INFORM"),
            Message::AckEpoch {
                current_epoch: None,
                ..
            } => self.saw("promised before"),
            _ => {}
        }
        self.put(id, to, Item::Message(message));
    }

    fn deliver(&mut self, server: usize, through: Zxid) {
        let alive = self.servers[server].alive.as_mut().unwrap();
        let stood = self.ghost.stands.len();
        while let Some(entry) = alive.flight.front()
            && entry.0 <= through
        {
            alive.applied.extend(alive.flight.pop_front());
        }
        // What a restart had put into the tree stands with what is delivered behind it.
        for (index, entry) in alive
            .applied
            .iter()
            .enumerate()
            .skip(stood.min(alive.delivered))
        {
            self.ghost.on_deliver(server, index, entry);
        }
        alive.delivered = alive.applied.len();
        let last = alive.applied.last().map(|(zxid, _)| *zxid);
        assert_eq!(
            last,
            Some(through),
            "{server} delivers what it has appended"
        );
        assert!(
            self.servers[server].disk.holds(through),
            "I18: {server} applies what it logged"
        );
    }

    fn become_(&mut self, server: usize, standing: Standing) {
        let alive = self.alive_mut(server).unwrap();
        alive.serves = false;
        alive.standing = match standing {
            Standing::Looking(because) => {
                check_reason(server, because);
                Role::Looking
            }
            Standing::Leading => Role::Leading,
            Standing::Following(_) | Standing::Observing(_) => Role::Learning,
        };
        if let Standing::Looking(Departure::QuorumLost) = standing {
            self.saw("quorum lost");
        }
        if let Standing::Looking(Departure::CounterSpent) = standing {
            self.saw("counter spent");
        }
        if let Standing::Looking(Departure::Outpromised) = standing {
            self.saw("outpromised");
        }
        if let Standing::Looking(Departure::Deserted) = standing {
            self.saw("deserted");
        }
        if let Standing::Looking(Departure::OwnDiskHangs) = standing {
            self.saw("disk hangs");
        }
    }

    /// P5: all that stood when the question was asked is in this leader's log.
    fn confirmed(&mut self, server: usize, ticket: u64) {
        self.saw("confirmed");
        let stood = self.tickets.remove(&ticket).expect("confirmed once");
        let held = self.servers[server].disk.content_to_be();
        let stands = &self.ghost.stands[..stood];
        assert!(
            held.starts_with(stands),
            "P5: {server} confirms what it does not know"
        );
    }
}
