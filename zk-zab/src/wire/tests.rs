use super::*;
use crate::{
    Forwarded, Identity, LearnerInfo, Message, Notification, PeerState, Round, Touch, Vote,
};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use zk_proto::{Epoch, OpCode, ServerId, SessionId, Xid, Zxid};

const LIMIT: usize = DEFAULT_FIELD_LIMIT;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire")
}

/// One packet of a captured stream: its bytes, and the line it prints.
struct Packet {
    bytes: Bytes,
    line: String,
}

/// Walks a captured stream with the codecs. Every packet must come out again byte for byte.
struct Walk {
    left: BytesMut,
    packets: Vec<Packet>,
}

impl Walk {
    fn stream(path: &Path) -> Vec<Packet> {
        let mut walk = Self {
            left: BytesMut::from(&fs::read(path).unwrap()[..]),
            packets: Vec::new(),
        };
        let name = path.file_name().unwrap().to_str().unwrap();
        let dialled = name.contains(".dialer.");
        if name.contains("-election-") {
            if dialled {
                walk.initial();
            }
            walk.auth();
            walk.notifications();
        } else {
            walk.auth();
            walk.messages();
        }
        walk.packets
    }

    fn take(&mut self, len: usize, line: impl Display, again: &BytesMut) {
        let bytes = self.left.split_to(len).freeze();
        assert_eq!(bytes, again[..], "{line}");
        let line = format!("{len:5} {line}");
        self.packets.push(Packet { bytes, line });
    }

    fn initial(&mut self) {
        let len = initial_message_len(&self.left).unwrap().unwrap();
        let message = InitialMessage::decode(&self.left[..len]).unwrap();
        let mut again = BytesMut::new();
        message.encode(&mut again);
        self.take(len, message, &again);
    }

    fn auth(&mut self) {
        while AuthPacket::begins(&self.left) == Some(true) {
            let len = AuthPacket::len_at(&self.left).unwrap().unwrap();
            let packet = AuthPacket::decode(&Bytes::copy_from_slice(&self.left[..len])).unwrap();
            let mut again = BytesMut::new();
            packet.encode(&mut again);
            self.take(len, packet, &again);
        }
    }

    fn notifications(&mut self) {
        while !self.left.is_empty() {
            let len = zk_proto::frame::payload_len(&self.left, MAX_NOTIFICATION_LEN);
            let len = 4 + len.unwrap().unwrap();
            let payload = Bytes::copy_from_slice(&self.left[4..len]);
            let notification = Notification::decode(&payload).unwrap();
            let mut again = BytesMut::new();
            zk_proto::frame::put_frame(&mut again, |out| notification.encode(out));
            self.take(len, notification, &again);
        }
    }

    fn messages(&mut self) {
        while !self.left.is_empty() {
            let len = packet_len(&self.left, LIMIT).unwrap().unwrap();
            let packet = Bytes::copy_from_slice(&self.left[..len]);
            let message = Message::decode(&packet, LIMIT).unwrap();
            let mut again = BytesMut::new();
            message.encode(&mut again);
            let snapshot = matches!(message, Message::Snap { .. });
            self.take(len, message, &again);
            if snapshot {
                let signature = b"\x00\x00\x00\x0aBenWasHere";
                let mut windows = self.left.windows(signature.len());
                let at = windows.position(|window| window == signature).unwrap();
                let len = at + signature.len();
                let bytes = BytesMut::from(&self.left[..len]);
                self.take(len, format!("snapshot of {len} bytes"), &bytes);
            }
        }
    }
}

fn check_run(run: &str) {
    let expected = fs::read_to_string(testdata().join(format!("{run}.txt"))).unwrap();
    let mut streams = 0;
    let mut lines = expected
        .lines()
        .filter(|line| !line.starts_with('#'))
        .peekable();
    while let Some(stream) = lines.next() {
        streams += 1;
        for packet in Walk::stream(&testdata().join(run).join(stream)) {
            let expected = lines.next().map(|line| &line[2..]);
            assert_eq!(Some(&packet.line[..]), expected, "{run}/{stream}");
        }
        let next = lines.peek();
        assert!(
            next.is_none_or(|line| !line.starts_with(' ')),
            "{run}/{stream}: {next:?}"
        );
    }
    let files = fs::read_dir(testdata().join(run)).unwrap().count();
    assert_eq!(streams, files, "{run}: every stream is told of");
}

#[test]
fn what_3_8_servers_said_means_the_same_here_and_comes_out_byte_for_byte() {
    check_run("3.8.0-static");
    check_run("3.8.0-reconfig");
    check_run("3.8.0-observermaster-localsession");
    check_run("3.8.0-hierarchical");
}

#[test]
fn what_3_9_servers_said_means_the_same_here_and_comes_out_byte_for_byte() {
    check_run("3.9.5-static");
}

#[test]
fn several_addresses_and_sasl_come_out_byte_for_byte() {
    check_run("mixed-v2-initialmessage");
    check_run("3.8.0-sasl");
}

/// Each distinct packet of two runs.
fn captured(kind: &str) -> Vec<Bytes> {
    let mut found = Vec::new();
    for run in ["3.8.0-static", "3.8.0-sasl", "3.8.0-reconfig"] {
        for entry in fs::read_dir(testdata().join(run)).unwrap() {
            let path = entry.unwrap().path();
            if path.to_str().unwrap().contains(kind) {
                let packets = Walk::stream(&path).into_iter();
                let real = packets.filter(|packet| !packet.line.contains("snapshot of"));
                found.extend(real.map(|packet| packet.bytes));
            }
        }
    }
    found.sort();
    found.dedup();
    assert!(found.len() > 20);
    found
}

/// H1: a prefix of anything real is unfinished, or not what it claims to be, and never more.
#[test]
fn every_prefix_of_a_quorum_packet_is_waited_for() {
    for packet in captured("-quorum-") {
        if AuthPacket::begins(&packet) == Some(true) {
            for len in 0..packet.len() {
                assert_eq!(AuthPacket::len_at(&packet[..len]), Ok(None));
                assert!(AuthPacket::decode(&packet.slice(..len)).is_err());
            }
            continue;
        }
        for len in 0..packet.len() {
            assert_eq!(packet_len(&packet[..len], LIMIT), Ok(None));
            assert!(Message::decode(&packet.slice(..len), LIMIT).is_err());
        }
    }
}

#[test]
fn every_prefix_of_an_election_packet_is_waited_for_or_refused() {
    for packet in captured("-election-") {
        for len in 0..packet.len() {
            let prefix = packet.slice(..len);
            if packet.starts_with(&[0xff; 4]) {
                assert_eq!(initial_message_len(&prefix), Ok(None));
                assert!(InitialMessage::decode(&prefix).is_err());
            } else if AuthPacket::begins(&packet) == Some(true) {
                assert_eq!(AuthPacket::len_at(&prefix), Ok(None));
            } else if len >= 4 {
                // What 3.4 and its ancestors wrote ends at one of two marks.
                let whole = [28, 40].contains(&(len - 4));
                assert_eq!(Notification::decode(&prefix.slice(4..)).is_ok(), whole);
            }
        }
    }
}

#[test]
fn damage_of_a_single_byte_never_panics() {
    for packet in captured("-") {
        for at in 0..packet.len().min(120) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = BytesMut::from(&packet[..]);
                damaged[at] = value;
                let _ = packet_len(&damaged, LIMIT);
                let _ = take_message(&mut damaged.clone(), LIMIT);
                let _ = initial_message_len(&damaged);
                let _ = InitialMessage::decode(&damaged);
                let _ = Notification::decode(&damaged.clone().freeze());
                let _ = AuthPacket::decode(&damaged.freeze());
            }
        }
    }
}

fn hostile(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    packet_len(bytes, LIMIT)
}

#[test]
fn a_declared_length_costs_nothing_and_is_refused_at_once() {
    let mut head = [0; 16];
    head[12..].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(hostile(&head).is_err(), "data of two gigabytes");
    head[12..].copy_from_slice(&(-2_i32).to_be_bytes());
    assert!(hostile(&head).is_err(), "data of less than nothing");
    let mut identities = [0; 20];
    identities[12..16].copy_from_slice(&(-1_i32).to_be_bytes());
    identities[16..].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(hostile(&identities).is_err(), "two billion identities");
    let mut limit = head;
    limit[12..].copy_from_slice(&i32::try_from(LIMIT).unwrap().to_be_bytes());
    assert_eq!(hostile(&limit), Ok(None), "as much as Java takes");
}

/// A packet from the network may hold many strings; together they are bounded like one.
#[test]
fn identities_share_one_limit() {
    let request = |len: usize| {
        let identity = Identity {
            scheme: "s".repeat(len),
            id: "i".repeat(len),
        };
        let mut out = BytesMut::new();
        Message::Request(Forwarded {
            session: SessionId::from_wire(1),
            cxid: Xid(1),
            op: OpCode::Create,
            body: Bytes::new(),
            identities: Some(vec![identity.clone(), identity]),
        })
        .encode(&mut out);
        out
    };
    let whole = request(25);
    assert_eq!(packet_len(&whole, 100), Ok(Some(whole.len())));
    assert!(packet_len(&request(26), 100).is_err());
}

#[test]
fn a_dialler_cannot_claim_a_long_address() {
    for declared in [0, -1, 2049, i32::MAX] {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(-65536_i64).to_be_bytes());
        bytes.extend_from_slice(&1_i64.to_be_bytes());
        bytes.extend_from_slice(&i32::to_be_bytes(declared));
        assert!(initial_message_len(&bytes).is_err(), "{declared}");
    }
    assert!(initial_message_len(&(-3_i64).to_be_bytes()).is_err());
}

#[test]
fn a_server_of_old_sends_nothing_but_its_number() {
    let bytes = 7_i64.to_be_bytes();
    assert_eq!(initial_message_len(&bytes), Ok(Some(8)));
    let message = InitialMessage::decode(&bytes).unwrap();
    assert_eq!(
        (message.version, message.server),
        (InitialVersion::BareSid, ServerId::new(7))
    );
}

#[test]
fn addresses_are_read_as_they_are_written() {
    for text in ["zk1.example:3888", "127.0.0.1:1", "[fe80::1]:3888"] {
        assert_eq!(Address::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "",
        ":1",
        "host",
        "host:",
        "host:70000",
        "[fe80::1:3888",
        "[]:1",
    ] {
        assert_eq!(Address::parse(text), None, "{text}");
    }
}

/// I5: one zxid, one transaction; a packet that says two is not passed on.
#[test]
fn a_proposal_that_names_another_transaction_is_refused() {
    let proposals = captured("-quorum-").into_iter();
    let mut proposals = proposals.filter(|packet| packet.starts_with(&[0, 0, 0, 2]));
    let mut packet = BytesMut::from(&proposals.next().unwrap()[..]);
    packet[11] ^= 1;
    assert!(matches!(
        take_message(&mut packet, LIMIT),
        Err(WireError::Misplaced { .. })
    ));
}

#[test]
fn what_lies_behind_a_message_stays_in_the_buffer() {
    let mut buf = BytesMut::new();
    let snap = Message::Snap {
        zxid: Zxid::from_wire(7),
    };
    snap.encode(&mut buf);
    buf.extend_from_slice(b"the snapshot");
    assert_eq!(take_message(&mut buf, LIMIT), Ok(Some(snap)));
    assert_eq!(&buf[..], b"the snapshot");
}

#[test]
fn epochs_and_states_out_of_range_are_refused() {
    let mut packet = BytesMut::new();
    Message::LeaderInfo {
        epoch: Epoch::new(1),
    }
    .encode(&mut packet);
    let mut negative = packet.clone();
    negative[4] = 0x80;
    assert!(take_message(&mut negative, LIMIT).is_err());
    let mut counter = packet;
    counter[11] = 1;
    assert!(take_message(&mut counter, LIMIT).is_err());
    let mut state = BytesMut::new();
    vote(None, Vote::NO_ZXID, None, 1).encode(&mut state);
    state[3] = 4;
    assert!(Notification::decode(&state.freeze()).is_err());
}

fn vote(leader: Option<i64>, zxid: Zxid, epoch: Option<u32>, round: u64) -> Notification {
    Notification {
        state: PeerState::Looking,
        vote: Vote {
            leader: leader.map(ServerId::new),
            zxid,
            peer_epoch: epoch.map(Epoch::new),
            round: Round::new(round).unwrap(),
        },
        config: Bytes::from_static(b"version=0"),
    }
}

#[test]
fn a_round_that_leaves_no_room_is_refused() {
    let mut bytes = BytesMut::new();
    vote(Some(1), Zxid::ZERO, Some(0), 1).encode(&mut bytes);
    bytes[20..28].copy_from_slice(&i64::MAX.to_be_bytes());
    assert!(Notification::decode(&bytes.freeze()).is_err());
    assert_eq!(Round::MAX.next(), Round::MAX);
}

prop_compose! {
    fn payload(zxid: Zxid)(session in any::<i64>(), tail in prop::collection::vec(any::<u8>(), 0..40))
        -> Bytes
    {
        let mut out = Vec::new();
        out.extend_from_slice(&session.to_be_bytes());
        out.extend_from_slice(&7_i32.to_be_bytes());
        out.extend_from_slice(&zxid.to_wire().to_be_bytes());
        out.extend_from_slice(&9_i64.to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
        out.extend(tail);
        out.into()
    }
}

fn zxids() -> impl Strategy<Value = Zxid> + Clone {
    any::<i64>().prop_map(Zxid::from_wire)
}

fn epochs() -> impl Strategy<Value = Epoch> {
    (0..=i32::MAX.unsigned_abs()).prop_map(Epoch::new)
}

fn touches() -> impl Strategy<Value = Touch> {
    (any::<i64>(), any::<i32>()).prop_map(|(session, timeout)| Touch {
        session: SessionId::from_wire(session),
        timeout,
    })
}

fn requests() -> impl Strategy<Value = Forwarded> {
    let identity = (".{0,8}", ".{0,20}").prop_map(|(scheme, id)| Identity { scheme, id });
    let identities = prop::option::of(prop::collection::vec(identity, 0..4));
    let body = prop::collection::vec(any::<u8>(), 0..60);
    (touches(), any::<i32>(), body, identities).prop_map(|(touch, op, body, identities)| {
        Forwarded {
            session: touch.session,
            cxid: Xid(touch.timeout),
            op: OpCode::from_wire(op),
            body: body.into(),
            identities,
        }
    })
}

fn messages() -> impl Strategy<Value = Message> {
    let learner = (any::<i64>(), zxids()).prop_map(|(server, config_version)| LearnerInfo {
        server: ServerId::new(server),
        config_version,
    });
    let carried = zxids().prop_flat_map(|zxid| (Just(zxid), payload(zxid), any::<i64>()));
    prop_oneof![
        (epochs(), learner.clone()).prop_map(|(accepted_epoch, learner)| Message::FollowerInfo {
            accepted_epoch,
            learner
        }),
        (epochs(), learner).prop_map(|(accepted_epoch, learner)| Message::ObserverInfo {
            accepted_epoch,
            learner
        }),
        (zxids(), prop::option::of(epochs())).prop_map(|(last_zxid, current_epoch)| {
            Message::AckEpoch {
                last_zxid,
                current_epoch,
            }
        }),
        (epochs(), prop::collection::vec(any::<u8>(), 2..50)).prop_map(|(epoch, config)| {
            Message::NewLeader {
                epoch,
                config: config.into(),
            }
        }),
        carried
            .clone()
            .prop_map(|(zxid, payload, _)| Message::Proposal { zxid, payload }),
        carried
            .clone()
            .prop_map(|(zxid, payload, _)| Message::Inform { zxid, payload }),
        carried.prop_map(|(zxid, payload, sid)| Message::InformAndActivate {
            zxid,
            designated: ServerId::new(sid),
            payload
        }),
        (zxids(), prop::collection::vec(touches(), 0..5))
            .prop_map(|(zxid, touched)| Message::Pong { zxid, touched }),
        requests().prop_map(Message::Request),
        touches().prop_map(Message::Revalidate),
        (touches(), any::<bool>()).prop_map(|(touch, valid)| Message::Revalidated {
            session: touch.session,
            valid
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(said in prop::collection::vec(messages(), 1..5)) {
        let mut buf = BytesMut::new();
        for message in &said {
            message.encode(&mut buf);
        }
        for message in said {
            prop_assert_eq!(take_message(&mut buf, LIMIT), Ok(Some(message)));
        }
        prop_assert!(buf.is_empty());
    }

    #[test]
    fn noise_is_no_disaster(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut buf = BytesMut::from(&noise[..]);
        while let Ok(Some(_)) = take_message(&mut buf, LIMIT) {}
        let noise = Bytes::from(noise);
        let _ = Notification::decode(&noise);
        let _ = InitialMessage::decode(&noise);
        let _ = AuthPacket::decode(&noise);
    }
}
