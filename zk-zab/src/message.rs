//! What servers of an ensemble say to each other on a quorum link: one closed enum, each message
//! printing as one line. Their bytes are in [`crate::wire`], the words of the election in
//! [`crate::notification`].

use bytes::Bytes;
use std::fmt;
use zk_proto::{Epoch, OpCode, ServerId, SessionId, Xid, Zxid};

/// What a learner tells of itself when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnerInfo {
    /// Who it is.
    pub server: ServerId,
    /// The version of the configuration it has committed, zero for the one in its files.
    pub config_version: Zxid,
}

/// A client's identity, as the server that the client is connected to has proved it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// How it was proved.
    pub scheme: String,
    /// Who it is.
    pub id: String,
}

/// A client's write on its way to the leader, undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Whose it is.
    pub session: SessionId,
    /// The client's number for it.
    pub cxid: Xid,
    /// What is asked for.
    pub op: OpCode,
    /// The record as the client sent it.
    pub body: Bytes,
    /// The client's identities; `None` where they do not matter: a session opens.
    pub identities: Option<Vec<Identity>>,
}

/// A session that was heard of since the last ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The session.
    pub session: SessionId,
    /// Its timeout in milliseconds.
    pub timeout: i32,
}

/// A message between a learner and its master: the leader, or a follower that observers hang on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A voter comes: the highest epoch it has promised. From learner to leader.
    FollowerInfo {
        /// The promise so far.
        accepted_epoch: Epoch,
        /// Who comes.
        learner: LearnerInfo,
    },
    /// An observer comes. From learner to master.
    ObserverInfo {
        /// The highest epoch it knows of.
        accepted_epoch: Epoch,
        /// Who comes.
        learner: LearnerInfo,
    },
    /// The epoch the leader is about to open. To the learner.
    LeaderInfo {
        /// The new epoch.
        epoch: Epoch,
    },
    /// The learner promises that epoch, and tells its history. From the learner.
    AckEpoch {
        /// The last transaction that is durable.
        last_zxid: Zxid,
        /// The epoch of that history; `None` if the epoch had been promised before, so that this
        /// promise must not be counted (I3).
        current_epoch: Option<Epoch>,
    },
    /// The learner's history stands; what it misses follows.
    Diff {
        /// The end of what follows; informational.
        zxid: Zxid,
    },
    /// The learner's history stands up to here; the rest is to be cut off.
    Trunc {
        /// The last transaction to keep.
        zxid: Zxid,
    },
    /// The learner's history is replaced by the snapshot that follows directly on the link.
    Snap {
        /// What the snapshot contains at least.
        zxid: Zxid,
    },
    /// The history of a new epoch is complete. To the learner.
    NewLeader {
        /// The epoch.
        epoch: Epoch,
        /// The configuration the leader has last seen, as text; empty if it tells none.
        config: Bytes,
    },
    /// A quorum has the history: serve. To the learner.
    UpToDate,
    /// A transaction to be made durable. To participants.
    Proposal {
        /// Its place, the same as in the payload's header.
        zxid: Zxid,
        /// Header, record and digest, as in the log.
        payload: Bytes,
    },
    /// Everything up to here is durable at the learner. Of an epoch's first zxid: the answer to
    /// [`Message::NewLeader`] and to [`Message::UpToDate`].
    Ack {
        /// The last one.
        zxid: Zxid,
    },
    /// A transaction stands. To participants.
    Commit {
        /// Which one.
        zxid: Zxid,
    },
    /// A transaction stands; proposal and commit in one. To observers.
    Inform {
        /// Its place, the same as in the payload's header.
        zxid: Zxid,
        /// Header, record and digest.
        payload: Bytes,
    },
    /// Are you there? To the learner.
    Ping {
        /// The last transaction proposed.
        zxid: Zxid,
    },
    /// The answer: yes, and so are these sessions. From the learner.
    Pong {
        /// As in the ping.
        zxid: Zxid,
        /// The sessions heard of since the last answer.
        touched: Vec<Touch>,
    },
    /// A client's write. From the learner.
    Request(Forwarded),
    /// A client wants to take up its session at the learner: does it live? From the learner.
    Revalidate(Touch),
    /// The answer.
    Revalidated {
        /// The session.
        session: SessionId,
        /// Whether it lives. From now on it is the asking learner's.
        valid: bool,
    },
    /// The oldest sync of this learner is done: all that stood when it was asked for has been told.
    Sync,
    /// A change of the configuration stands. To participants.
    CommitAndActivate {
        /// Which transaction.
        zxid: Zxid,
        /// Who leads from now on.
        designated: ServerId,
    },
    /// A change of the configuration stands; proposal and commit in one. To observers.
    InformAndActivate {
        /// Its place, the same as in the payload's header.
        zxid: Zxid,
        /// Who leads from now on.
        designated: ServerId,
        /// Header, record and digest.
        payload: Bytes,
    },
}

impl fmt::Display for Forwarded {
    /// Never prints the body or the identities: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (session, cxid, op) = (self.session, self.cxid, self.op);
        write!(f, "{session} {cxid} {op} ({} bytes)", self.body.len())
    }
}

impl fmt::Display for LearnerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server={} config={}", self.server, self.config_version)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FollowerInfo {
                accepted_epoch,
                learner,
            } => write!(f, "FOLLOWERINFO accepted={accepted_epoch} {learner}"),
            Self::ObserverInfo {
                accepted_epoch,
                learner,
            } => write!(f, "OBSERVERINFO accepted={accepted_epoch} {learner}"),
            Self::LeaderInfo { epoch } => write!(f, "LEADERINFO epoch={epoch}"),
            Self::AckEpoch {
                last_zxid,
                current_epoch: Some(epoch),
            } => write!(f, "ACKEPOCH last={last_zxid} current={epoch}"),
            Self::AckEpoch {
                last_zxid,
                current_epoch: None,
            } => write!(f, "ACKEPOCH last={last_zxid} again"),
            Self::Diff { zxid } => write!(f, "DIFF {zxid}"),
            Self::Trunc { zxid } => write!(f, "TRUNC {zxid}"),
            Self::Snap { zxid } => write!(f, "SNAP {zxid}"),
            Self::NewLeader { epoch, config } => {
                write!(
                    f,
                    "NEWLEADER epoch={epoch} (config of {} bytes)",
                    config.len()
                )
            }
            Self::UpToDate => f.write_str("UPTODATE"),
            Self::Proposal { zxid, payload } => {
                write!(f, "PROPOSAL {zxid} ({} bytes)", payload.len())
            }
            Self::Ack { zxid } => write!(f, "ACK {zxid}"),
            Self::Commit { zxid } => write!(f, "COMMIT {zxid}"),
            Self::Inform { zxid, payload } => write!(f, "INFORM {zxid} ({} bytes)", payload.len()),
            Self::Ping { zxid } => write!(f, "PING {zxid}"),
            Self::Pong { zxid, touched } => {
                write!(f, "PONG {zxid} ({} sessions)", touched.len())
            }
            Self::Request(forwarded) => write!(f, "REQUEST {forwarded}"),
            Self::Revalidate(Touch { session, timeout }) => {
                write!(f, "REVALIDATE {session} timeout={timeout}")
            }
            Self::Revalidated { session, valid } => {
                let word = if *valid { "valid" } else { "gone" };
                write!(f, "REVALIDATE {session} {word}")
            }
            Self::Sync => f.write_str("SYNC"),
            Self::CommitAndActivate { zxid, designated } => {
                write!(f, "COMMITANDACTIVATE {zxid} leader={designated}")
            }
            Self::InformAndActivate {
                zxid,
                designated,
                payload,
            } => {
                let len = payload.len();
                write!(
                    f,
                    "INFORMANDACTIVATE {zxid} leader={designated} ({len} bytes)"
                )
            }
        }
    }
}
