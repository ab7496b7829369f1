//! What a leader's word means to a learner that has a history to add it to.
//!
//! Which of it may come when, its hearers decide; what is no news at all is sorted out here, once.

use crate::learner::Step;
use crate::{Departure, Message};
use bytes::Bytes;
use zk_proto::Zxid;

#[derive(Debug)]
pub(crate) enum News {
    /// This is to be logged.
    Proposed { zxid: Zxid, payload: Bytes },
    /// What was proposed stands, up to here.
    Stands { zxid: Zxid },
    /// This is to be logged, and stands.
    Happened { zxid: Zxid, payload: Bytes },
    /// Are you there?
    Ping { zxid: Zxid },
    /// The answer to something this learner has asked.
    Answer(Message),
}

impl News {
    /// Reads a message; what belongs to no broadcast is out of place in one.
    pub(crate) fn read(message: Message) -> Step<Self> {
        Ok(match message {
            Message::Proposal { zxid, payload } => Self::Proposed { zxid, payload },
            Message::Commit { zxid } | Message::CommitAndActivate { zxid, .. } => {
                Self::Stands { zxid }
            }
            Message::Inform { zxid, payload }
            | Message::InformAndActivate { zxid, payload, .. } => Self::Happened { zxid, payload },
            Message::Ping { zxid } => Self::Ping { zxid },
            Message::Revalidated { .. } | Message::Sync => Self::Answer(message),
            Message::FollowerInfo { .. }
            | Message::ObserverInfo { .. }
            | Message::LeaderInfo { .. }
            | Message::AckEpoch { .. }
            | Message::Diff { .. }
            | Message::Trunc { .. }
            | Message::Snap { .. }
            | Message::NewLeader { .. }
            | Message::UpToDate
            | Message::Ack { .. }
            | Message::Pong { .. }
            | Message::Request(_)
            | Message::Revalidate(_) => return Err(Departure::OutOfPlace),
        })
    }
}
