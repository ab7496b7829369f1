//! Notifications of the election. On the wire each stands behind an int with its length.
//!
//! ```text
//! int state, long leader, long zxid, long round, long peerEpoch, int version, buffer config
//!                                               28                   40
//! ```
//!
//! Servers of old stopped at one of the marks; nobody of 3.5 or later does.

use super::{WireError, epoch};
use crate::notification::{Notification, PeerState, Round, Vote};
use bytes::{BufMut, Bytes};
use zk_proto::jute::{JuteMut, Reader};
use zk_proto::{Epoch, ServerId, Zxid};

/// The longest notification. A length below one or above this breaks the link.
pub const MAX_NOTIFICATION_LEN: usize = 524_288;

/// What this and every release since 3.5 writes.
const VERSION: i32 = 2;

/// What Java writes for a candidate and an epoch that are none.
const NOBODY: i64 = i64::MIN;

impl Notification {
    /// Takes what stands behind a length.
    pub fn decode(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::with_field_limit(bytes, MAX_NOTIFICATION_LEN);
        let state = state(reader.i32()?)?;
        let leader = match reader.i64()? {
            NOBODY => None,
            number => Some(ServerId::new(number)),
        };
        let zxid = Zxid::from_wire(reader.i64()?);
        let round = round(reader.i64()?)?;
        let (peer_epoch, config) = if reader.is_empty() {
            (epoch_of_history(zxid)?, &[][..])
        } else {
            (peer_epoch(reader.i64()?)?, config(&mut reader)?)
        };
        let vote = Vote {
            leader,
            zxid,
            peer_epoch,
            round,
        };
        Ok(Self {
            state,
            vote,
            config: bytes.slice_ref(config),
        })
    }

    /// Appends it, without a length.
    pub fn encode(&self, out: &mut impl BufMut) {
        let vote = &self.vote;
        out.put_i32(match self.state {
            PeerState::Looking => 0,
            PeerState::Following => 1,
            PeerState::Leading => 2,
            PeerState::Observing => 3,
        });
        out.put_i64(vote.leader.map_or(NOBODY, ServerId::number));
        out.put_i64(vote.zxid.to_wire());
        out.put_u64(vote.round.number());
        out.put_i64(vote.peer_epoch.map_or(NOBODY, |it| it.number().into()));
        out.put_i32(VERSION);
        out.put_buffer(Some(&self.config));
    }
}

/// The epoch where none was sent.
fn epoch_of_history(zxid: Zxid) -> Result<Option<Epoch>, WireError> {
    match zxid {
        Vote::NO_ZXID => Ok(None),
        _ => peer_epoch(zxid.to_wire() >> 32),
    }
}

/// What a server before 3.5 sends ends before it.
fn config<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], WireError> {
    let version = reader.i32()?;
    if version < VERSION || reader.is_empty() {
        return Ok(&[]);
    }
    Ok(reader.buffer()?.unwrap_or_default())
}

fn state(raw: i32) -> Result<PeerState, WireError> {
    Ok(match raw {
        0 => PeerState::Looking,
        1 => PeerState::Following,
        2 => PeerState::Leading,
        3 => PeerState::Observing,
        _ => {
            let what = "the state of a peer";
            let found = raw.into();
            return Err(WireError::Field { what, found });
        }
    })
}

fn round(raw: i64) -> Result<Round, WireError> {
    let round = u64::try_from(raw).ok().and_then(Round::new);
    round.ok_or(WireError::Field {
        what: "a round",
        found: raw,
    })
}

fn peer_epoch(raw: i64) -> Result<Option<Epoch>, WireError> {
    match raw {
        NOBODY => Ok(None),
        _ => epoch("the epoch of a vote", raw).map(Some),
    }
}
