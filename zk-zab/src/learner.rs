//! A learner's way to its leader, the same for those who vote and those who observe (Zab, Phases 1 and 2).
//!
//! ```text
//!   Dialling ──Dialled──► Greeting ──LEADERINFO──► Promising ──durable──► Choosing
//!            FOLLOWERINFO │                                   ACKEPOCH       │ DIFF, TRUNC, SNAP
//!                         └──────── promised before: ACKEPOCH ──────────►    ▼
//!   Broadcast ◄──UPTODATE── Waiting ◄──durable── Adopting ◄──NEWLEADER── Receiving ◄─── Loading (SNAP)
//!              ACK                   ACK          history, then epoch
//! ```
//! Each phase is a value that knows only what that phase knows; a step consumes it. What does not belong
//! into a phase ends the role (I20): the next election begins with a clean slate.
//!
//! Nothing is delivered before UPTODATE, so that no client and no tree sees what may be cut off (P6).

use crate::LearnerInfo;
use crate::canary::Canary;
use crate::follower::Follower;
use crate::member::{Member, send};
use crate::news::News;
use crate::{Departure, Effect, Input, LinkId, Message, Time, observer, refuse};
use std::cmp::Ordering;
use std::time::Duration;
use zk_proto::{Epoch, ServerId, Zxid};

/// Between the first two attempts to reach the leader: one that has just been elected is about to listen.
const DIAL_AGAIN_FIRST: Duration = Duration::from_millis(5);
/// The pause doubles up to this one.
const DIAL_AGAIN_LAST: Duration = Duration::from_millis(100);

/// What one step of a role comes to: its next state, or the reason why it ends.
pub(crate) type Step<T> = Result<T, Departure>;

/// A server that has a leader.
#[derive(Clone, Debug)]
pub(crate) struct Learner {
    pub(crate) leader: ServerId,
    /// The end of the history the leader was elected for.
    leaders_last: Zxid,
    /// When the leader will have been silent for too long, or the current phase taken too long.
    until: Time,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The leader is being dialled; after a failure it is again, then.
    Dialling {
        again: Option<Time>,
        pause: Duration,
    },
    /// It was told who comes.
    Greeting { link: LinkId },
    /// Its epoch is on its way to the disk.
    Promising { link: LinkId, epoch: Epoch },
    /// It decides how to bring us up to date.
    Choosing { link: LinkId, epoch: Epoch },
    /// A snapshot is coming in.
    Loading { link: LinkId, epoch: Epoch },
    /// Transactions are coming in.
    Receiving(Synced),
    /// NEWLEADER came; the history up to `through`, then the epoch, are on their way to the disk.
    Adopting { synced: Synced, through: Zxid },
    /// NEWLEADER is acknowledged.
    Waiting { synced: Synced, part: Part },
    /// We are one of them.
    Broadcast { link: LinkId, part: Part },
}

/// The learner's part in the broadcast.
#[derive(Clone, Debug)]
enum Part {
    Follower(Follower),
    Observer,
}

impl Part {
    fn acknowledge(&mut self, link: LinkId, me: &Member, out: &mut Vec<Effect>) {
        match self {
            Self::Follower(follower) => follower.acknowledge(link, me, out),
            Self::Observer => {}
        }
    }
}

/// What is known of a history that is not confirmed yet.
#[derive(Clone, Debug)]
struct Synced {
    link: LinkId,
    epoch: Epoch,
    /// The last transaction that stands once the leader says that its history does.
    stands: Zxid,
}

impl Learner {
    /// Begins to look for the leader that was elected.
    pub(crate) fn begin(
        leader: ServerId,
        leaders_last: Zxid,
        me: &Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Self {
        out.push(Effect::Dial { to: leader });
        Self {
            leader,
            leaders_last,
            until: now + me.settings.init_time(),
            phase: Phase::Dialling {
                again: None,
                pause: DIAL_AGAIN_FIRST,
            },
        }
    }

    pub(crate) const fn link(&self) -> Option<LinkId> {
        match &self.phase {
            Phase::Dialling { .. } => None,
            Phase::Greeting { link }
            | Phase::Promising { link, .. }
            | Phase::Choosing { link, .. }
            | Phase::Loading { link, .. }
            | Phase::Broadcast { link, .. } => Some(*link),
            Phase::Receiving(synced)
            | Phase::Adopting { synced, .. }
            | Phase::Waiting { synced, .. } => Some(synced.link),
        }
    }

    pub(crate) const fn serves(&self) -> bool {
        matches!(self.phase, Phase::Broadcast { .. })
    }

    pub(crate) fn deadline(&self) -> Time {
        if let Phase::Dialling {
            again: Some(again), ..
        } = self.phase
        {
            return again.min(self.until);
        }
        self.until
    }

    pub(crate) fn on_time(mut self, now: Time, out: &mut Vec<Effect>) -> Step<Self> {
        if now >= self.until {
            return Err(Departure::Silent);
        }
        if let Phase::Dialling {
            again: Some(again),
            pause,
        } = self.phase
            && now >= again
        {
            let pause = (pause * 2).min(DIAL_AGAIN_LAST);
            self.phase = Phase::Dialling { again: None, pause };
            out.push(Effect::Dial { to: self.leader });
        }
        Ok(self)
    }

    /// A connection has come, gone, or said something.
    pub(crate) fn on_link(
        self,
        own: Option<LinkId>,
        input: Input,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<Self> {
        if let Input::Received { link, message } = input {
            if own != Some(link) {
                return Ok(self);
            }
            return self.on_message(message, me, now, out);
        }
        if let Input::Closed { link } = input
            && own == Some(link)
        {
            return Err(Departure::Closed);
        }
        if let Input::Accepted { link } = input {
            refuse(link, out);
        }
        if let Input::Dialled { to, link } = input {
            return Ok(self.on_dialled(to, link, me, out));
        }
        if let Input::DialFailed { to } = input {
            return Ok(self.on_dial_failed(to, now));
        }
        Ok(self)
    }

    fn on_dialled(
        mut self,
        to: ServerId,
        link: LinkId,
        me: &Member,
        out: &mut Vec<Effect>,
    ) -> Self {
        if to != self.leader || !matches!(self.phase, Phase::Dialling { .. }) {
            let because = Departure::Replaced;
            out.push(Effect::Close { link, because });
            return self;
        }
        let accepted_epoch = me.promises.accepted();
        let learner = LearnerInfo {
            server: me.settings.me,
            config_version: me.settings.config_version,
        };
        let message = if me.settings.observer {
            Message::ObserverInfo {
                accepted_epoch,
                learner,
            }
        } else {
            Message::FollowerInfo {
                accepted_epoch,
                learner,
            }
        };
        send(link, message, out);
        self.phase = Phase::Greeting { link };
        self
    }

    fn on_dial_failed(mut self, to: ServerId, now: Time) -> Self {
        if let Phase::Dialling { again: None, pause } = self.phase
            && to == self.leader
        {
            let again = Some(now + pause);
            self.phase = Phase::Dialling { again, pause };
        }
        self
    }

    /// A word from the leader. It keeps the role alive, whatever it says.
    fn on_message(
        mut self,
        message: Message,
        me: &mut Member,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> Step<Self> {
        self.phase = match self.phase {
            Phase::Greeting { link } => on_leader_info(link, message, me, out)?,
            Phase::Choosing { link, epoch } => on_choice(link, epoch, message, me, out)?,
            Phase::Receiving(synced) => on_history(synced, message, me, out)?,
            Phase::Adopting {
                mut synced,
                through,
            } => {
                on_early_traffic(&mut synced, message, me, out)?;
                Phase::Adopting { synced, through }
            }
            Phase::Waiting { synced, part } => on_uptodate(synced, part, message, me, out)?,
            Phase::Broadcast { link, mut part } => {
                match &mut part {
                    Part::Follower(follower) => follower.on_message(link, message, me, out)?,
                    Part::Observer => observer::on_message(link, message, me, out)?,
                }
                Phase::Broadcast { link, part }
            }
            Phase::Dialling { .. } | Phase::Promising { .. } | Phase::Loading { .. } => {
                return Err(Departure::OutOfPlace);
            }
        };
        self.hear(me, now);
        Ok(self)
    }

    /// Until NEWLEADER is acknowledged the leader may be busy with others; a snapshot may take any time,
    /// and the driver, who sees it come in, gives up on it.
    fn hear(&mut self, me: &Member, now: Time) {
        let patience = match self.phase {
            Phase::Waiting { .. } | Phase::Broadcast { .. } => me.settings.sync_time(),
            Phase::Loading { .. } => Duration::MAX,
            Phase::Dialling { .. }
            | Phase::Greeting { .. }
            | Phase::Promising { .. }
            | Phase::Choosing { .. }
            | Phase::Receiving(_)
            | Phase::Adopting { .. } => me.settings.init_time(),
        };
        self.until = now + patience;
    }

    pub(crate) fn on_accepted(mut self, me: &Member, now: Time, out: &mut Vec<Effect>) -> Self {
        if let Phase::Promising { link, epoch } = self.phase
            && me.promises.accepted() == epoch
        {
            // What a server without a whole history has promised before may be lost with the rest of it (P26).
            let forgets = me.may_have_forgotten(self.leaders_last);
            let forgets = forgets && !Canary::EmptyVoterCounts.sings();
            let current_epoch = (!forgets).then(|| me.promises.current());
            send(link, offer(me, current_epoch), out);
            self.phase = Phase::Choosing { link, epoch };
            self.hear(me, now);
        }
        self
    }

    pub(crate) fn on_snapshot(
        mut self,
        from: LinkId,
        received: bool,
        me: &mut Member,
        now: Time,
    ) -> Step<Self> {
        let Phase::Loading { link, epoch } = self.phase else {
            return Ok(self);
        };
        if from != link {
            return Ok(self);
        }
        if !received && !Canary::HalfSnapshotKept.sings() {
            return Err(Departure::SnapshotLost);
        }
        me.settings.wants_snapshot = false;
        let stands = me.history.logged();
        self.phase = Phase::Receiving(Synced {
            link,
            epoch,
            stands,
        });
        self.hear(me, now);
        Ok(self)
    }

    /// The disk has answered something: what waited for it may go on.
    pub(crate) fn on_disk(mut self, me: &mut Member, now: Time, out: &mut Vec<Effect>) -> Self {
        self.phase = match self.phase {
            Phase::Adopting { synced, through } => {
                if Canary::AnyAckIsNewLeaders.sings() {
                    let zxid = me.history.durable();
                    send(synced.link, Message::Ack { zxid }, out);
                }
                let phase = adopt(synced, through, me, out);
                if matches!(phase, Phase::Waiting { .. }) {
                    self.until = now + me.settings.sync_time();
                }
                phase
            }
            Phase::Waiting { synced, mut part } => {
                part.acknowledge(synced.link, me, out);
                Phase::Waiting { synced, part }
            }
            Phase::Broadcast { link, mut part } => {
                part.acknowledge(link, me, out);
                me.deliver(out);
                Phase::Broadcast { link, part }
            }
            resting @ (Phase::Dialling { .. }
            | Phase::Greeting { .. }
            | Phase::Promising { .. }
            | Phase::Choosing { .. }
            | Phase::Loading { .. }
            | Phase::Receiving(_)) => resting,
        };
        self
    }
}

fn on_leader_info(
    link: LinkId,
    message: Message,
    me: &mut Member,
    out: &mut Vec<Effect>,
) -> Step<Phase> {
    let Message::LeaderInfo { epoch } = message else {
        return Err(Departure::OutOfPlace);
    };
    if epoch < me.promises.accepted() || epoch.number() > crate::LAST_EPOCH {
        return Err(Departure::StaleEpoch);
    }
    if epoch > me.promises.accepted() {
        me.promises.accept(epoch, out);
        if Canary::PromiseBeforeDisk.sings() {
            send(link, offer(me, Some(me.promises.current())), out);
            return Ok(Phase::Choosing { link, epoch });
        }
        return Ok(Phase::Promising { link, epoch });
    }
    // This epoch was promised before, perhaps to another: the promise counts once (I3).
    send(link, offer(me, None), out);
    Ok(Phase::Choosing { link, epoch })
}

/// What this server has. Who cannot use what it has does not say where that ends: Apache's leaders count no such
/// promise, ours where they surely know more.
fn offer(me: &Member, current_epoch: Option<Epoch>) -> Message {
    let last_zxid = if me.settings.wants_snapshot {
        Zxid::NONE
    } else {
        me.history.logged()
    };
    Message::AckEpoch {
        last_zxid,
        current_epoch,
    }
}

fn on_choice(
    link: LinkId,
    epoch: Epoch,
    message: Message,
    me: &mut Member,
    out: &mut Vec<Effect>,
) -> Step<Phase> {
    if let Message::Snap { zxid } | Message::Trunc { zxid } = message
        && (zxid < Zxid::ZERO || zxid.epoch() > epoch)
    {
        return Err(Departure::Unknown);
    }
    if let Message::Snap { zxid } = message {
        me.history.begin_snapshot();
        out.push(Effect::ReceiveSnapshot { link, zxid });
        return Ok(Phase::Loading { link, epoch });
    }
    if me.settings.wants_snapshot {
        return Err(Departure::CannotTruncate);
    }
    if let Message::Trunc { zxid } = message {
        match zxid.cmp(&me.history.logged()) {
            // As if the disk had been asked, and had said so.
            Ordering::Less if me.history.surely_lacks(zxid) => {
                out.push(Effect::Halt(Departure::CannotTruncate));
                return Err(Departure::CannotTruncate);
            }
            Ordering::Less => me.history.truncate(zxid, out),
            Ordering::Equal => {}
            Ordering::Greater => return Err(Departure::Unknown),
        }
    } else if !matches!(message, Message::Diff { .. }) {
        return Err(Departure::OutOfPlace);
    }
    let stands = me.history.logged();
    Ok(Phase::Receiving(Synced {
        link,
        epoch,
        stands,
    }))
}

fn on_history(
    mut synced: Synced,
    message: Message,
    me: &mut Member,
    out: &mut Vec<Effect>,
) -> Step<Phase> {
    let Message::NewLeader { epoch, .. } = message else {
        on_early_traffic(&mut synced, message, me, out)?;
        return Ok(Phase::Receiving(synced));
    };
    if epoch != synced.epoch {
        return Err(Departure::StaleEpoch);
    }
    let through = me.history.logged();
    Ok(adopt(synced, through, me, out))
}

/// O3: the history is durable, then its epoch, and only then is NEWLEADER acknowledged.
fn adopt(synced: Synced, through: Zxid, me: &mut Member, out: &mut Vec<Effect>) -> Phase {
    let history_is_durable = me.history.is_whole() && me.history.durable() >= through;
    let adopted = me.promises.current() == synced.epoch;
    let hurries = Canary::AckBeforeHistory.sings();
    if !(history_is_durable || hurries) || !me.promises.is_settled() {
        return Phase::Adopting { synced, through };
    }
    if !adopted {
        me.promises.adopt(synced.epoch, out);
        if !Canary::AckBeforeEpoch.sings() {
            return Phase::Adopting { synced, through };
        }
    }
    let zxid = Zxid::first_of(synced.epoch);
    send(synced.link, Message::Ack { zxid }, out);
    // What came without its commit is acknowledged one by one, after NEWLEADER (ZOOKEEPER-4685).
    let mut part = if me.settings.observer {
        Part::Observer
    } else {
        Part::Follower(Follower::new(synced.stands))
    };
    part.acknowledge(synced.link, me, out);
    Phase::Waiting { synced, part }
}

/// What may come until UPTODATE: history, what is in flight beyond it, and the leader's pings, which
/// nobody answers yet. A COMMIT is remembered (ZOOKEEPER-4394); it may speak of a PROPOSAL from before.
fn on_early_traffic(
    synced: &mut Synced,
    message: Message,
    me: &mut Member,
    out: &mut Vec<Effect>,
) -> Step<()> {
    match News::read(message)? {
        News::Proposed { zxid, payload } => me.take(zxid, payload, out)?,
        News::Stands { zxid } => {
            if zxid > me.history.logged() {
                return Err(Departure::Unknown);
            }
            synced.stands = synced.stands.max(zxid);
        }
        News::Happened { zxid, payload } => {
            me.take(zxid, payload, out)?;
            synced.stands = synced.stands.max(zxid);
        }
        News::Ping { .. } => {}
        News::Answer(_) => return Err(Departure::OutOfPlace),
    }
    Ok(())
}

fn on_uptodate(
    mut synced: Synced,
    part: Part,
    message: Message,
    me: &mut Member,
    out: &mut Vec<Effect>,
) -> Step<Phase> {
    if message != Message::UpToDate {
        on_early_traffic(&mut synced, message, me, out)?;
        return Ok(Phase::Waiting { synced, part });
    }
    let Synced {
        link,
        epoch,
        stands,
    } = synced;
    me.history.commit(stands);
    me.deliver(out);
    let zxid = Zxid::first_of(epoch);
    send(link, Message::Ack { zxid }, out);
    out.push(Effect::Serve { epoch });
    Ok(Phase::Broadcast { link, part })
}
