//! What a reconfiguration asks for: whom it names, and what a quorum of them would be.
//!
//! Members are not changed at run time. Whoever asks for it is still told the first thing that Apache's servers would
//! have against it, and what there is to be had against its text is found here.

use super::error::Fault;
use super::members;
use super::peers::{Ensemble, Member, Role};
use super::properties;
use super::settings::ClientAddress;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use zk_proto::{ErrorCode, ServerId};
use zk_zab::{Hierarchical, Majority, Quorum};

/// The texts of a reconfiguration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// `server.N` lines with commas between them.
    pub joining: Option<&'a str>,
    /// Numbers with commas between them.
    pub leaving: Option<&'a str>,
    /// All members, in place of those there are.
    pub new_members: Option<&'a str>,
}

/// Why a change cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// What it says is wrong (−8).
    Arguments,
    /// It cannot be read (−5): Java's servers stumble over a number, a port, or roles that make no ensemble.
    Garbage,
}

impl From<Unfit> for ErrorCode {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Arguments => Self::BadArguments,
            Unfit::Garbage => Self::MarshallingError,
        }
    }
}

impl From<Fault> for Unfit {
    fn from(fault: Fault) -> Self {
        if matches!(fault, Fault::PortOutOfRange { .. }) {
            Self::Garbage
        } else {
            Self::Arguments
        }
    }
}

type Members = BTreeMap<ServerId, Member>;

impl Ensemble {
    /// What a quorum would be after a change.
    pub fn quorum_after(&self, change: &Change<'_>) -> Result<Quorum, Unfit> {
        if let Some(text) = change.new_members {
            return self.replaced(text)?.quorum(self.fewest_voters);
        }
        // Steps are for majorities only.
        if !self.groups.is_empty() {
            return Err(Unfit::Arguments);
        }
        let voters: Vec<_> = voters(&self.edited(change)?).collect();
        if voters.len() < self.fewest_voters {
            return Err(Unfit::Arguments);
        }
        Ok(Majority::of(voters).into())
    }

    /// Some leave; others join, or have a new line.
    fn edited(&self, change: &Change<'_>) -> Result<Members, Unfit> {
        let mut members = self.members.clone();
        for leaving in words(change.leaving.unwrap_or_default(), ',') {
            members.remove(&number(leaving)?);
        }
        for joining in words(change.joining.unwrap_or_default(), ',') {
            let parts: Vec<_> = words(joining, '=').collect();
            let &[name, line] = parts.as_slice() else {
                return Err(Unfit::Arguments);
            };
            let id = number(name.rsplit('.').next().unwrap_or_default())?;
            let joiner = members::parse(id.number(), line, self.many_addresses)?;
            if joiner.client.is_none() || members.values().any(|other| collide(&joiner, other)) {
                return Err(Unfit::Arguments);
            }
            members.insert(id, joiner);
        }
        Ok(members)
    }

    /// All are named. The separators are commas or the ends of lines.
    fn replaced(&self, text: &str) -> Result<Named, Unfit> {
        let parsed = properties::parse(text.replace(',', "\n").as_bytes());
        if !parsed.malformed.is_empty() {
            return Err(Unfit::Garbage);
        }
        let mut named = Named::default();
        for entry in &parsed.entries {
            named.add(entry.key.trim(), &entry.value, self.many_addresses)?;
        }
        Ok(named)
    }
}

/// What a list of all members says.
#[derive(Default)]
struct Named {
    members: Members,
    groups: BTreeMap<ServerId, BTreeSet<ServerId>>,
    weights: BTreeMap<ServerId, u64>,
}

impl Named {
    fn add(&mut self, key: &str, value: &str, many_addresses: bool) -> Result<(), Unfit> {
        let id = || number(key.split_once('.').map_or(key, |(_, id)| id));
        if key.starts_with("server.") {
            let id = id()?;
            let member = members::parse(id.number(), value, many_addresses)?;
            self.members.insert(id, member);
        } else if key.starts_with("group") {
            let (place, mut group) = (id()?, BTreeSet::new());
            for member in value.split(':') {
                let member = number(member)?;
                let mut others = self.groups.values();
                if others.any(|other| other.contains(&member)) || !group.insert(member) {
                    return Err(Unfit::Arguments);
                }
            }
            self.groups.insert(place, group);
        } else if key.starts_with("weight") {
            let weight = value.parse().map_err(|_| Unfit::Garbage)?;
            self.weights.insert(id()?, weight);
        } else if key != "version" {
            return Err(Unfit::Arguments);
        } else if i64::from_str_radix(value, 16).is_err() {
            return Err(Unfit::Garbage);
        }
        Ok(())
    }

    fn quorum(self, fewest_voters: usize) -> Result<Quorum, Unfit> {
        let voters: BTreeSet<_> = voters(&self.members).collect();
        let hierarchical = !(self.groups.is_empty() && self.weights.is_empty());
        if hierarchical {
            self.check_groups(&voters)?;
        }
        if voters.len() < fewest_voters {
            // Observers need an ensemble to observe.
            let observed = self.members.len() > voters.len();
            return Err(if observed {
                Unfit::Garbage
            } else {
                Unfit::Arguments
            });
        }
        if !hierarchical {
            return Ok(Majority::of(voters).into());
        }
        let made = Hierarchical::new(voters, self.groups.into_values(), self.weights);
        Ok(made.map_err(|_| Unfit::Arguments)?.into())
    }

    /// Voters are in a group, and who is in a group without a vote has a weight of its own.
    fn check_groups(&self, voters: &BTreeSet<ServerId>) -> Result<(), Unfit> {
        let placed: BTreeSet<_> = self.groups.values().flatten().copied().collect();
        if !voters.is_subset(&placed) {
            return Err(Unfit::Arguments);
        }
        let mut strangers = placed.difference(voters);
        if !strangers.all(|id| self.weights.contains_key(id)) {
            return Err(Unfit::Garbage);
        }
        Ok(())
    }
}

fn voters(members: &Members) -> impl Iterator<Item = ServerId> {
    let voters = members.values().filter(|it| it.role == Role::Participant);
    voters.map(|voter| voter.id)
}

/// What is between the separators, without what is blank.
fn words(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let words = text.split(separator).map(str::trim);
    words.filter(|word| !word.is_empty())
}

fn number(text: &str) -> Result<ServerId, Unfit> {
    let number = text.parse().map_err(|_| Unfit::Garbage)?;
    Ok(ServerId::new(number))
}

/// Whether two members want one address. Loopback and all interfaces are everywhere, and tell nothing.
fn collide(one: &Member, other: &Member) -> bool {
    let others: Vec<_> = addresses(other).collect();
    one.id != other.id && addresses(one).any(|address| others.contains(&address))
}

fn addresses(member: &Member) -> impl Iterator<Item = (&str, u16)> {
    let peers = member.addresses.iter().flat_map(|address| {
        let host = address.host.as_str();
        [(host, address.quorum_port), (host, address.election_port)]
    });
    let client = member.client.iter().filter_map(of_client);
    peers.chain(client).filter(|(host, _)| is_somewhere(host))
}

fn of_client(client: &ClientAddress) -> Option<(&str, u16)> {
    Some((client.host.as_deref()?, client.port))
}

fn is_somewhere(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => !address.is_loopback() && !address.is_unspecified(),
        Err(_) => host != "localhost",
    }
}

#[cfg(test)]
mod tests;
