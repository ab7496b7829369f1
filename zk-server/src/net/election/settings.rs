//! What the election port takes from the configuration.

use crate::config::peers::{Ensemble, Member};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::time::Duration;
use zk_proto::ServerId;
use zk_zab::wire::{Address, InitialMessage, InitialVersion};

/// Who the others are, how this server presents itself, and how long it waits.
#[derive(Clone, Debug)]
pub struct PortSettings {
    /// This server.
    pub me: ServerId,
    /// The others' election ports, voters and observers.
    pub peers: BTreeMap<ServerId, Vec<Address>>,
    /// Where this server can be dialled back.
    pub advertised: Vec<Address>,
    /// How it says so. Servers of 3.5 know only [`InitialVersion::V1`].
    pub version: InitialVersion,
    /// For one attempt to connect, names included.
    pub dial: Duration,
    /// For a guest to say who it is.
    pub handshake: Duration,
    /// How long a peer's machine may leave what was sent unconfirmed.
    pub silence: Duration,
}

impl PortSettings {
    /// As the configuration says. With several addresses, all of them are told.
    pub fn of(ensemble: &Ensemble) -> Self {
        let others = ensemble.members.values();
        let others = others.filter(|member| member.id != ensemble.me);
        let advertised = election_addresses(ensemble.own());
        let version = match advertised.len() {
            1 => InitialVersion::V1,
            _ => InitialVersion::V2,
        };
        Self {
            me: ensemble.me,
            peers: others
                .map(|member| (member.id, election_addresses(member)))
                .collect(),
            advertised,
            version,
            dial: ensemble.patience.dial,
            handshake: Duration::from_secs(5),
            silence: Duration::from_secs(5),
        }
    }

    /// The first bytes of every connection this server dials.
    pub(super) fn greeting(&self) -> Bytes {
        let mut out = BytesMut::new();
        InitialMessage {
            version: self.version,
            server: self.me,
            addresses: self.advertised.clone(),
        }
        .encode(&mut out);
        out.freeze()
    }
}

/// Where a member waits for votes.
pub(super) fn election_addresses(member: &Member) -> Vec<Address> {
    let addresses = member.addresses.iter().map(|address| Address {
        host: address.host.clone(),
        port: address.election_port,
    });
    addresses.collect()
}
