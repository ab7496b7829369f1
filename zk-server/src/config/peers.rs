//! The ensemble a server belongs to, as it was written: who its members are, where they can be reached, who
//! votes, and how long they wait for each other.
//!
//! Names are kept as names: they are looked up at every dial, because the address behind one changes while
//! servers run. Nothing here decides: who leads, and what a quorum is, is the agreement's.

use super::settings::ClientAddress;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::time::Duration;
use zk_proto::ServerId;

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It votes, and may lead.
    Participant,
    /// It learns what was decided.
    Observer,
}

/// Where a member is reached by the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerAddress {
    /// A name or an address, without the brackets of IPv6.
    pub host: String,
    /// Where it waits for learners while it leads.
    pub quorum_port: u16,
    /// Where it waits for votes.
    pub election_port: u16,
}

/// One `server.N` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: ServerId,
    /// What it does.
    pub role: Role,
    /// At least one; more only where several addresses are allowed.
    pub addresses: Vec<PeerAddress>,
    /// Where it waits for clients, if the line says so.
    pub client: Option<ClientAddress>,
}

/// How long the members wait for each other. Limits are in ticks. The default is Java's, and for the two limits that
/// Java has no default of, what its sample configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To connect to a leader and catch up.
    pub init_limit: u32,
    /// Between two words of a peer.
    pub sync_limit: u32,
    /// To reach a leader; none is as long as `init_limit`.
    pub connect_limit: Option<u32>,
    /// For one attempt to reach a peer's election port.
    pub dial: Duration,
    /// Between two attempts to reach the leader.
    pub redial: Duration,
    /// Before a vote is repeated for the first time.
    pub shortest_notification: Duration,
    /// Before a vote is repeated at the latest.
    pub longest_notification: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            init_limit: 10,
            sync_limit: 5,
            connect_limit: None,
            dial: Duration::from_secs(5),
            redial: Duration::from_millis(100),
            shortest_notification: Duration::from_millis(200),
            longest_notification: Duration::from_secs(60),
        }
    }
}

/// The members of an ensemble, and which of them this server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensemble {
    /// This server's number; it is among the members.
    pub me: ServerId,
    /// By number.
    pub members: BTreeMap<ServerId, Member>,
    /// Hierarchical quorums, by the groups' numbers; empty where any majority is a quorum.
    pub groups: BTreeMap<i64, BTreeSet<ServerId>>,
    /// Weights other than 1.
    pub weights: BTreeMap<ServerId, u64>,
    /// How long they wait.
    pub patience: Patience,
    /// Who votes must be at least so many, for a reconfiguration: two, or one where `standaloneEnabled=false`.
    pub fewest_voters: usize,
    /// Whether a member may have several addresses.
    pub many_addresses: bool,
    /// Whether a leader takes clients.
    pub leader_serves: bool,
    /// Whether this server serves reads while it has no leader.
    pub read_only: bool,
    /// Whether a session that holds nothing may be given up by a server that has no leader.
    pub local_sessions: bool,
    /// Whether peer ports are bound on every interface.
    pub listen_on_all: bool,
}

impl Ensemble {
    /// A majority decides, the members wait as long as they do by default, and all that has to be asked for is off.
    pub fn new(me: ServerId, members: BTreeMap<ServerId, Member>) -> Self {
        Self {
            me,
            members,
            groups: BTreeMap::new(),
            weights: BTreeMap::new(),
            patience: Patience::default(),
            fewest_voters: 2,
            many_addresses: false,
            leader_serves: true,
            read_only: false,
            local_sessions: false,
            listen_on_all: false,
        }
    }

    /// For servers that run in one process: the limits are large, since all of them wait for the same processors, and
    /// a vote is soon repeated.
    pub fn in_process(me: ServerId, members: BTreeMap<ServerId, Member>) -> Self {
        Self {
            patience: Patience {
                init_limit: 20,
                sync_limit: 10,
                longest_notification: Duration::from_secs(1),
                ..Patience::default()
            },
            ..Self::new(me, members)
        }
    }

    /// This server.
    pub fn own(&self) -> &Member {
        self.members
            .get(&self.me)
            .expect("this server is among the members")
    }

    /// Whether this server votes.
    pub fn is_voter(&self) -> bool {
        self.own().role == Role::Participant
    }

    /// Who votes.
    pub fn voters(&self) -> impl Iterator<Item = ServerId> {
        self.members
            .values()
            .filter(|member| member.role == Role::Participant)
            .map(|member| member.id)
    }

    /// The members as servers tell each other of them, and as `/zookeeper/config` holds them. A configuration
    /// out of files has the version 0.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for member in self.members.values() {
            put(&mut text, format_args!("server.{}={member}\n", member.id));
        }
        for (number, group) in &self.groups {
            put(&mut text, format_args!("group.{number}="));
            for (place, id) in group.iter().enumerate() {
                let colon = if place == 0 { "" } else { ":" };
                put(&mut text, format_args!("{colon}{id}"));
            }
            text.push('\n');
        }
        for (id, weight) in &self.weights {
            put(&mut text, format_args!("weight.{id}={weight}\n"));
        }
        text.push_str("version=0");
        text
    }
}

fn put(text: &mut String, what: fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        put_host(f, &self.host)?;
        write!(f, ":{}:{}", self.quorum_port, self.election_port)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}

fn put_host(f: &mut fmt::Formatter<'_>, host: &str) -> fmt::Result {
    if host.contains(':') {
        write!(f, "[{host}]")
    } else {
        f.write_str(host)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, address) in self.addresses.iter().enumerate() {
            let bar = if place == 0 { "" } else { "|" };
            write!(f, "{bar}{address}")?;
        }
        write!(f, ":{}", self.role)?;
        if let Some(client) = &self.client {
            f.write_str(";")?;
            put_host(f, client.host.as_deref().unwrap_or("0.0.0.0"))?;
            write!(f, ":{}", client.port)?;
        }
        Ok(())
    }
}
