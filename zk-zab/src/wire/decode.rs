//! From a packet to its message. Data is never copied, it stays a slice of what was received.

use super::packet::kind;
use super::{PROTOCOL_VERSION, WireError, epoch, epoch_of};
use crate::message::{Forwarded, Identity, LearnerInfo, Message, Touch};
use bytes::{Buf, Bytes};
use zk_proto::jute::Reader;
use zk_proto::txn::decode_header;
use zk_proto::{DecodeError, Epoch, OpCode, ServerId, SessionId, Xid, Zxid};

impl Message {
    /// Takes a whole packet.
    pub fn decode(packet: &Bytes, field_limit: usize) -> Result<Self, WireError> {
        let mut reader = Reader::with_field_limit(packet, field_limit);
        let number = reader.i32()?;
        let zxid = Zxid::from_wire(reader.i64()?);
        let data = reader.buffer()?.map(|data| packet.slice_ref(data));
        let identities = reader.nullable_vector(8, |reader| {
            Ok(Identity {
                scheme: reader.string()?.into_owned(),
                id: reader.string()?.into_owned(),
            })
        })?;
        Self::from_parts(number, zxid, data, identities)
    }

    fn from_parts(
        number: i32,
        zxid: Zxid,
        data: Option<Bytes>,
        identities: Option<Vec<Identity>>,
    ) -> Result<Self, WireError> {
        Ok(match number {
            kind::FOLLOWER_INFO => Self::FollowerInfo {
                accepted_epoch: epoch_of("the accepted epoch", zxid)?,
                learner: learner_info(data.as_ref())?,
            },
            kind::OBSERVER_INFO => Self::ObserverInfo {
                accepted_epoch: epoch_of("the accepted epoch", zxid)?,
                learner: learner_info(data.as_ref())?,
            },
            kind::LEADER_INFO => {
                speaks_our_protocol(needed(data.as_ref())?.i32()?)?;
                Self::LeaderInfo {
                    epoch: epoch_of("a new epoch", zxid)?,
                }
            }
            kind::ACK_EPOCH => Self::AckEpoch {
                last_zxid: zxid,
                current_epoch: current_epoch(needed(data.as_ref())?.i32()?)?,
            },
            kind::DIFF => Self::Diff { zxid },
            kind::TRUNC => Self::Trunc { zxid },
            kind::SNAP => Self::Snap { zxid },
            kind::NEW_LEADER => Self::NewLeader {
                epoch: epoch_of("a new epoch", zxid)?,
                // As Java: a single byte is no configuration.
                config: data.filter(|data| data.len() > 1).unwrap_or_default(),
            },
            kind::UP_TO_DATE => Self::UpToDate,
            kind::PROPOSAL => Self::Proposal {
                zxid,
                payload: transaction(zxid, data)?,
            },
            kind::ACK => Self::Ack { zxid },
            kind::COMMIT => Self::Commit { zxid },
            kind::INFORM => Self::Inform {
                zxid,
                payload: transaction(zxid, data)?,
            },
            kind::PING => ping(zxid, data.as_ref())?,
            kind::REQUEST => Self::Request(forwarded(data, identities)?),
            kind::REVALIDATE => revalidate(needed(data.as_ref())?)?,
            kind::SYNC => Self::Sync,
            kind::COMMIT_AND_ACTIVATE => Self::CommitAndActivate {
                zxid,
                designated: ServerId::new(needed(data.as_ref())?.i64()?),
            },
            kind::INFORM_AND_ACTIVATE => {
                let mut data = data.ok_or(WireError::Missing("the data of a packet"))?;
                let designated = ServerId::new(Reader::new(&data).i64()?);
                data.advance(8);
                Self::InformAndActivate {
                    zxid,
                    designated,
                    payload: transaction(zxid, Some(data))?,
                }
            }
            unknown => return Err(WireError::UnknownType(unknown)),
        })
    }
}

fn needed(data: Option<&Bytes>) -> Result<Reader<'_>, WireError> {
    let data = data.ok_or(WireError::Missing("the data of a packet"))?;
    Ok(Reader::new(data))
}

fn speaks_our_protocol(version: i32) -> Result<(), WireError> {
    if version >= PROTOCOL_VERSION {
        return Ok(());
    }
    let what = "the protocol version of a peer";
    let found = version.into();
    Err(WireError::Field { what, found })
}

fn learner_info(data: Option<&Bytes>) -> Result<LearnerInfo, WireError> {
    let mut reader = needed(data)?;
    let server = ServerId::new(reader.i64()?);
    speaks_our_protocol(reader.i32()?)?;
    let config_version = Zxid::from_wire(reader.i64()?);
    Ok(LearnerInfo {
        server,
        config_version,
    })
}

fn current_epoch(raw: i32) -> Result<Option<Epoch>, WireError> {
    match raw {
        -1 => Ok(None),
        _ => epoch("the current epoch", raw.into()).map(Some),
    }
}

/// A transaction whose header agrees with its packet (I5).
fn transaction(zxid: Zxid, data: Option<Bytes>) -> Result<Bytes, WireError> {
    let payload = data.ok_or(WireError::Missing("the data of a packet"))?;
    let (header, _) = decode_header(&mut Reader::new(&payload))?;
    if header.zxid != zxid {
        return Err(WireError::Misplaced {
            packet: zxid,
            header: header.zxid,
        });
    }
    Ok(payload)
}

/// Who asks sends null, who answers sends sessions, perhaps none.
fn ping(zxid: Zxid, data: Option<&Bytes>) -> Result<Message, WireError> {
    let Some(data) = data else {
        return Ok(Message::Ping { zxid });
    };
    let mut reader = Reader::new(data);
    let mut touched = Vec::with_capacity(data.len() / 12);
    while !reader.is_empty() {
        touched.push(touch(&mut reader)?);
    }
    Ok(Message::Pong { zxid, touched })
}

fn touch(reader: &mut Reader<'_>) -> Result<Touch, DecodeError> {
    Ok(Touch {
        session: SessionId::from_wire(reader.i64()?),
        timeout: reader.i32()?,
    })
}

/// Who asks sends a timeout, who answers a single byte.
fn revalidate(mut reader: Reader<'_>) -> Result<Message, WireError> {
    if reader.rest().len() == 9 {
        return Ok(Message::Revalidated {
            session: SessionId::from_wire(reader.i64()?),
            valid: reader.bool()?,
        });
    }
    Ok(Message::Revalidate(touch(&mut reader)?))
}

fn forwarded(
    data: Option<Bytes>,
    identities: Option<Vec<Identity>>,
) -> Result<Forwarded, WireError> {
    let data = data.ok_or(WireError::Missing("the data of a packet"))?;
    let mut reader = Reader::new(&data);
    Ok(Forwarded {
        session: SessionId::from_wire(reader.i64()?),
        cxid: Xid(reader.i32()?),
        op: OpCode::from_wire(reader.i32()?),
        body: data.slice_ref(reader.rest()),
        identities,
    })
}
