//! From a message to its packet.

use super::PROTOCOL_VERSION;
use super::packet::{NO_ZXID, kind};
use crate::message::{Forwarded, LearnerInfo, Message, Touch};
use bytes::BufMut;
use zk_proto::jute::JuteMut;
use zk_proto::{Epoch, Zxid};

impl Message {
    /// Appends the packet.
    pub fn encode(&self, out: &mut impl BufMut) {
        match self {
            Self::FollowerInfo {
                accepted_epoch,
                learner,
            } => put_learner(out, kind::FOLLOWER_INFO, *accepted_epoch, learner),
            Self::ObserverInfo {
                accepted_epoch,
                learner,
            } => put_learner(out, kind::OBSERVER_INFO, *accepted_epoch, learner),
            Self::LeaderInfo { epoch } => {
                let data = PROTOCOL_VERSION.to_be_bytes();
                put_packet(out, kind::LEADER_INFO, Zxid::first_of(*epoch), &[&data]);
            }
            Self::AckEpoch {
                last_zxid,
                current_epoch,
            } => {
                let data = current_epoch.map_or(u32::MAX, Epoch::number).to_be_bytes();
                put_packet(out, kind::ACK_EPOCH, *last_zxid, &[&data]);
            }
            Self::NewLeader { epoch, config } => put_new_leader(out, *epoch, config),
            Self::Diff { zxid } => put_bare(out, kind::DIFF, *zxid),
            Self::Trunc { zxid } => put_bare(out, kind::TRUNC, *zxid),
            Self::Snap { zxid } => put_bare(out, kind::SNAP, *zxid),
            Self::UpToDate => put_bare(out, kind::UP_TO_DATE, NO_ZXID),
            Self::Ack { zxid } => put_bare(out, kind::ACK, *zxid),
            Self::Commit { zxid } => put_bare(out, kind::COMMIT, *zxid),
            Self::Ping { zxid } => put_bare(out, kind::PING, *zxid),
            Self::Sync => put_bare(out, kind::SYNC, Zxid::ZERO),
            Self::Proposal { zxid, payload } => put_packet(out, kind::PROPOSAL, *zxid, &[payload]),
            Self::Inform { zxid, payload } => put_packet(out, kind::INFORM, *zxid, &[payload]),
            Self::Pong { zxid, touched } => put_pong(out, *zxid, touched),
            Self::Request(forwarded) => put_request(out, forwarded),
            Self::Revalidate(Touch { session, timeout }) => {
                let (session, timeout) = (session.to_wire().to_be_bytes(), timeout.to_be_bytes());
                put_packet(out, kind::REVALIDATE, NO_ZXID, &[&session, &timeout]);
            }
            Self::Revalidated { session, valid } => {
                let session = session.to_wire().to_be_bytes();
                put_packet(
                    out,
                    kind::REVALIDATE,
                    NO_ZXID,
                    &[&session, &[u8::from(*valid)]],
                );
            }
            Self::CommitAndActivate { zxid, designated } => {
                let designated = designated.number().to_be_bytes();
                put_packet(out, kind::COMMIT_AND_ACTIVATE, *zxid, &[&designated]);
            }
            Self::InformAndActivate {
                zxid,
                designated,
                payload,
            } => {
                let designated = designated.number().to_be_bytes();
                put_packet(
                    out,
                    kind::INFORM_AND_ACTIVATE,
                    *zxid,
                    &[&designated, payload],
                );
            }
        }
    }
}

/// A packet without data.
fn put_bare(out: &mut impl BufMut, number: i32, zxid: Zxid) {
    put_head(out, number, zxid);
    out.put_buffer(None);
    out.put_i32(-1);
}

/// A packet whose data is these parts, one after the other.
fn put_packet(out: &mut impl BufMut, number: i32, zxid: Zxid, data: &[&[u8]]) {
    put_head(out, number, zxid);
    put_parts(out, data);
    out.put_i32(-1);
}

fn put_head(out: &mut impl BufMut, number: i32, zxid: Zxid) {
    out.put_i32(number);
    out.put_i64(zxid.to_wire());
}

fn put_parts(out: &mut impl BufMut, data: &[&[u8]]) {
    out.put_len(data.iter().map(|part| part.len()).sum());
    for part in data {
        out.put_slice(part);
    }
}

fn put_new_leader(out: &mut impl BufMut, epoch: Epoch, config: &[u8]) {
    let zxid = Zxid::first_of(epoch);
    if config.is_empty() {
        put_bare(out, kind::NEW_LEADER, zxid);
    } else {
        put_packet(out, kind::NEW_LEADER, zxid, &[config]);
    }
}

fn put_learner(out: &mut impl BufMut, number: i32, accepted: Epoch, learner: &LearnerInfo) {
    let server = learner.server.number().to_be_bytes();
    let version = PROTOCOL_VERSION.to_be_bytes();
    let config = learner.config_version.to_wire().to_be_bytes();
    let zxid = Zxid::first_of(accepted);
    put_packet(out, number, zxid, &[&server, &version, &config]);
}

/// The data is never null, not even when it is empty: that would end Java's thread for this learner.
fn put_pong(out: &mut impl BufMut, zxid: Zxid, touched: &[Touch]) {
    put_head(out, kind::PING, zxid);
    out.put_len(12 * touched.len());
    for touch in touched {
        out.put_i64(touch.session.to_wire());
        out.put_i32(touch.timeout);
    }
    out.put_i32(-1);
}

fn put_request(out: &mut impl BufMut, forwarded: &Forwarded) {
    put_head(out, kind::REQUEST, NO_ZXID);
    let session = forwarded.session.to_wire().to_be_bytes();
    let cxid = forwarded.cxid.0.to_be_bytes();
    let op = forwarded.op.to_wire().to_be_bytes();
    put_parts(out, &[&session, &cxid, &op, &forwarded.body]);
    match &forwarded.identities {
        None => out.put_i32(-1),
        Some(identities) => {
            out.put_len(identities.len());
            for identity in identities {
                out.put_string(&identity.scheme);
                out.put_string(&identity.id);
            }
        }
    }
}
