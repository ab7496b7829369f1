//! Broadcast as an observer does it: what it hears of stands already. It logs, and acknowledges nothing.

use crate::learner::Step;
use crate::member::Member;
use crate::news::News;
use crate::{Departure, Effect, LinkId, Message};

/// A word from the leader, once this observer is up to date.
pub(crate) fn on_message(
    link: LinkId,
    message: Message,
    me: &mut Member,
    out: &mut Vec<Effect>,
) -> Step<()> {
    match News::read(message)? {
        News::Happened { zxid, payload } => {
            me.take(zxid, payload, out)?;
            me.history.commit(zxid);
            me.deliver(out);
        }
        News::Ping { zxid } => out.push(Effect::Pong { link, zxid }),
        News::Answer(message) => out.push(Effect::Answered { message }),
        News::Proposed { .. } | News::Stands { .. } => return Err(Departure::OutOfPlace),
    }
    Ok(())
}
