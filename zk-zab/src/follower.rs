//! Broadcast as a follower does it: log what is proposed, acknowledge what is durable, deliver what
//! stands (Zab, Phase 3).

use crate::canary::Canary;
use crate::learner::Step;
use crate::member::{Member, send};
use crate::news::News;
use crate::{Departure, Effect, LinkId, Message};
use zk_proto::Zxid;

#[derive(Clone, Debug)]
pub(crate) struct Follower {
    /// The last transaction that needs no word of ours any more.
    acked: Zxid,
}

impl Follower {
    /// What stood when NEWLEADER was acknowledged was acknowledged with it.
    pub(crate) const fn new(stands: Zxid) -> Self {
        Self { acked: stands }
    }

    /// One ACK for each transaction that has become durable (P20, I14), in order and without a hole:
    /// Apache's leader counts them one by one.
    pub(crate) fn acknowledge(&mut self, link: LinkId, me: &Member, out: &mut Vec<Effect>) {
        let durable = if Canary::AckBeforeDurable.sings() {
            me.history.logged()
        } else {
            me.history.durable()
        };
        if !me.history.is_whole() || self.acked >= durable {
            return;
        }
        for entry in me.history.after(self.acked) {
            if entry.zxid > durable {
                break;
            }
            send(link, Message::Ack { zxid: entry.zxid }, out);
        }
        self.acked = durable;
    }

    pub(crate) fn on_message(
        &mut self,
        link: LinkId,
        message: Message,
        me: &mut Member,
        out: &mut Vec<Effect>,
    ) -> Step<()> {
        match News::read(message)? {
            News::Proposed { zxid, payload } => {
                me.take(zxid, payload, out)?;
                if Canary::AckBeforeDurable.sings() {
                    self.acknowledge(link, me, out);
                }
            }
            News::Stands { zxid } => on_commit(zxid, me, out)?,
            News::Ping { zxid } => out.push(Effect::Pong { link, zxid }),
            News::Answer(message) => out.push(Effect::Answered { message }),
            News::Happened { .. } => return Err(Departure::OutOfPlace),
        }
        Ok(())
    }
}

/// A COMMIT speaks of something proposed (I15); it may come before our own fsync.
fn on_commit(zxid: Zxid, me: &mut Member, out: &mut Vec<Effect>) -> Step<()> {
    if zxid > me.history.logged() {
        return Err(Departure::Unknown);
    }
    me.history.commit(zxid);
    me.deliver(out);
    Ok(())
}
