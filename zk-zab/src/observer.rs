//! Broadcast as an observer does it: what it hears of stands already. It logs, and acknowledges nothing.

use crate::learner::Step;
use crate::member::Member;
use crate::{Departure, Effect, LinkId, Message};

/// A word from the leader, once this observer is up to date.
pub(crate) fn on_message(
    link: LinkId,
    message: Message,
    me: &mut Member,
    out: &mut Vec<Effect>,
) -> Step<()> {
    match message {
        Message::Inform { zxid, payload } | Message::InformAndActivate { zxid, payload, .. } => {
            me.take(zxid, payload, out)?;
            me.history.commit(zxid);
            me.deliver(out);
        }
        Message::Ping { zxid } => out.push(Effect::Pong { link, zxid }),
        Message::Revalidated { .. } | Message::Sync => out.push(Effect::Answered { message }),
        Message::FollowerInfo { .. }
        | Message::ObserverInfo { .. }
        | Message::LeaderInfo { .. }
        | Message::AckEpoch { .. }
        | Message::Diff { .. }
        | Message::Trunc { .. }
        | Message::Snap { .. }
        | Message::NewLeader { .. }
        | Message::UpToDate
        | Message::Proposal { .. }
        | Message::Ack { .. }
        | Message::Commit { .. }
        | Message::CommitAndActivate { .. }
        | Message::Pong { .. }
        | Message::Request(_)
        | Message::Revalidate(_) => return Err(Departure::OutOfPlace),
    }
    Ok(())
}
