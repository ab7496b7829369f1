//! What is made of settings that speak of an ensemble.
//!
//! One `server.N` line with `standaloneEnabled=true` runs standalone, as in Java. Anything more is an
//! ensemble: it is checked as Java checks it, and becomes an [`Ensemble`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{Caution, ConfigError, Fault, Origin};
use super::members;
use super::peers::{Ensemble, Member, Patience, Role};
use super::settings::{ClientAddress, Config};
use super::sources::{self, Files};
use super::value::parse_decimal;
use super::values::Values;
use std::time::Duration;
use zk_proto::ServerId;

/// A key of membership, from the file or from the dynamic file.
struct Line {
    name: String,
    value: String,
    origin: Origin,
}

/// Checks membership, and completes what it decides: this server's number and where it listens.
pub(super) fn settle(
    values: &mut Values,
    config: &mut Config,
    my_id_variable: Option<&str>,
    files: &dyn Files,
) {
    config.misc.my_id = my_id(values, &config.storage.data_dir, my_id_variable, files);
    let mut lines: Vec<Line> = ["server.", "group.", "weight."]
        .iter()
        .flat_map(|prefix| values.family(prefix))
        .map(|(name, found)| Line {
            name: name.to_owned(),
            value: found.raw.clone(),
            origin: found.origin.clone(),
        })
        .collect();
    if let Some(path) = values.text("dynamicConfigFile") {
        for line in lines.drain(..) {
            values.fail(
                line.origin,
                &line.name,
                Fault::MustBeDynamic(line.name.clone()),
            );
        }
        lines = dynamic_lines(values, Path::new(&path), files);
    }
    let members = read_members(values, &lines);
    check_roles(values);
    if check_shape(values, &members, &lines) {
        check_distributed(values, &members, &lines, config);
        config.ensemble = ensemble(values, &members, &lines, config);
        check_peer_type(values, config);
    }
    let own = config.ensemble.as_ref().map(Ensemble::own);
    let own = own.or(match members.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    if let Some(own) = own.cloned() {
        adopt_address(values, config, &own);
    }
}

fn my_id(
    values: &mut Values,
    data_dir: &Path,
    variable: Option<&str>,
    files: &dyn Files,
) -> Option<i64> {
    let path = Config::my_id_file(data_dir);
    let of_file = my_id_text(values, &path, files);
    let origin = || Origin::Environment {
        name: "ZOO_MY_ID".to_owned(),
    };
    let parse = |values: &mut Values, text: &str, origin: Origin| {
        let id = parse_decimal(text);
        if id.is_none() {
            values.errors.push(ConfigError {
                origin,
                key: None,
                fault: Fault::MyIdNotANumber(text.to_owned()),
            });
        }
        id
    };
    match (of_file, variable) {
        (Some(text), variable) => {
            let id = parse(values, &text, Origin::File { path, line: 1 })?;
            // The image writes the variable to the file only when there is no file.
            if let Some(variable) = variable.filter(|variable| parse_decimal(variable) != Some(id))
            {
                values.warn(
                    origin(),
                    Caution::MyIdDiffers {
                        variable: variable.to_owned(),
                        file: id,
                    },
                );
            }
            Some(id)
        }
        (None, Some(variable)) => parse(values, variable, origin()),
        (None, None) => None,
    }
}

/// The first line of the file. A file that is not there is no fault; one that cannot be read is.
fn my_id_text(values: &mut Values, path: &Path, files: &dyn Files) -> Option<String> {
    match files.read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            Some(text.lines().next().unwrap_or_default().trim().to_owned())
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            None
        }
        Err(error) => {
            let (path, reason) = (path.to_owned(), error.to_string());
            let fault = Fault::FileUnreadable { path, reason };
            values.errors.push(ConfigError {
                origin: Origin::Default,
                key: None,
                fault,
            });
            None
        }
    }
}

fn dynamic_lines(values: &mut Values, path: &Path, files: &dyn Files) -> Vec<Line> {
    let parsed = match sources::read_properties(path, files) {
        Ok(parsed) => parsed,
        Err(fault) => {
            let reason = if let Fault::FileUnreadable { reason, .. } = fault {
                reason
            } else {
                "no such file".to_owned()
            };
            values.fail_at(
                "dynamicConfigFile",
                Fault::FileUnreadable {
                    path: path.to_owned(),
                    reason,
                },
            );
            return Vec::new();
        }
    };
    let mut lines = Vec::new();
    for entry in parsed.entries {
        let (name, path) = (entry.key.trim().to_owned(), PathBuf::from(path));
        if name == "version" {
            values.fail_at("dynamicConfigFile", Fault::DynamicVersion(path));
        } else if ["server.", "group", "weight"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            let origin = Origin::File {
                path,
                line: entry.line,
            };
            lines.push(Line {
                name,
                value: entry.value.trim().to_owned(),
                origin,
            });
        } else {
            values.fail_at(
                "dynamicConfigFile",
                Fault::NotDynamic {
                    key: name,
                    path,
                    line: entry.line,
                },
            );
        }
    }
    lines
}

fn read_members(values: &mut Values, lines: &[Line]) -> Vec<Member> {
    let many_addresses = values.bool("multiAddress.enabled");
    let mut members = Vec::new();
    for line in lines {
        let Some(id) = line.name.strip_prefix("server.") else {
            continue;
        };
        let member = match parse_decimal(id) {
            Some(id) => members::parse(id, &line.value, many_addresses),
            None => Err(Fault::NotANumber {
                found: id.to_owned(),
                allowed: "server.N with a number N".to_owned(),
            }),
        };
        match member {
            Ok(member) => members.push(member),
            Err(fault) => values.fail(line.origin.clone(), &line.name, fault),
        }
    }
    members
}

/// Keys whose wrong values have messages of their own in Java.
fn check_roles(values: &mut Values) {
    if let Some(Err(fault)) = values
        .get("peerType")
        .map(|found| members::parse_role(&found.raw))
    {
        values.fail_at("peerType", fault);
    }
    if let Some(number) = values.int("electionAlg").filter(|number| *number != 3) {
        values.fail_at("electionAlg", Fault::ElectionAlgorithm(number));
    }
}

/// Whether the members form an ensemble rather than a standalone.
fn check_shape(values: &mut Values, members: &[Member], lines: &[Line]) -> bool {
    let standalone_allowed = values.bool("standaloneEnabled");
    let voters = members
        .iter()
        .filter(|member| member.role == Role::Participant)
        .count();
    let observers = members.len() - voters;
    let first = lines
        .first()
        .map_or(Origin::Default, |line| line.origin.clone());
    match voters {
        0 if !standalone_allowed => values.fail_at("standaloneEnabled", Fault::NoParticipants),
        0 if observers > 0 => values.fail(first, "server.*", Fault::ObserversOnly),
        0 => {}
        1 if standalone_allowed && observers > 0 => {
            values.fail(first, "server.*", Fault::ObserversWithoutQuorum);
        }
        1 if standalone_allowed => values.warn(first, Caution::OnlyOneServer),
        _ => return true,
    }
    false
}

/// What Java demands of every member of an ensemble.
fn check_distributed(values: &mut Values, members: &[Member], lines: &[Line], config: &Config) {
    for name in ["initLimit", "syncLimit"] {
        if values.int(name) == Some(0) {
            values.fail_at(name, Fault::NotSet(name));
        }
    }
    let ids: BTreeSet<i64> = members.iter().map(|member| member.id.number()).collect();
    check_ids(values, config, lines);
    check_addresses(values, members, lines);
    check_groups(values, &ids, lines);
    check_weights(values, &ids, lines);
    let complained = values
        .errors
        .iter()
        .any(|error| matches!(error.fault, Fault::MyIdNotANumber(_)));
    match config.misc.my_id {
        Some(id) if !ids.contains(&id) => {
            values.errors.push(ConfigError {
                origin: Origin::Default,
                key: None,
                fault: Fault::NotInPeerList(id),
            });
        }
        None if !complained => {
            let fault = Fault::MyIdMissing(Config::my_id_file(&config.storage.data_dir));
            values.errors.push(ConfigError {
                origin: Origin::Default,
                key: None,
                fault,
            });
        }
        Some(_) | None => {}
    }
}

/// The server's own line says what it is, and `peerType` at most the same once more.
fn check_peer_type(values: &mut Values, config: &Config) {
    let own = config.ensemble.as_ref().map(|ensemble| ensemble.own().role);
    let said = values.get("peerType");
    let said = said.and_then(|found| members::parse_role(&found.raw).ok());
    if let (Some(own), Some(said)) = (own, said)
        && own != said
    {
        values.warn_at("peerType", Caution::PeerTypeDiffers { own, said });
    }
}

/// The highest byte of a session's id is its server's number. 255 marks nodes that age.
fn check_ids(values: &mut Values, config: &Config, lines: &[Line]) {
    let most = if config.misc.extended_types { 254 } else { 255 };
    for line in lines {
        let id = line.name.strip_prefix("server.").and_then(parse_decimal);
        if let Some(id) = id.filter(|id| !(0..=most).contains(id)) {
            let fault = Fault::OutOfRange {
                found: id.to_string(),
                allowed: format!("server.N with N from 0 to {most}"),
            };
            values.fail(line.origin.clone(), &line.name, fault);
        }
    }
}

/// Two members at one address would each be taken for the other.
fn check_addresses(values: &mut Values, members: &[Member], lines: &[Line]) {
    let mut seen: BTreeMap<(&str, u16), i64> = BTreeMap::new();
    for member in members {
        let id = member.id.number();
        for address in &member.addresses {
            for port in [address.quorum_port, address.election_port] {
                let other = seen.insert((&address.host, port), id);
                // Port 0 is any free one.
                let Some(other) = other.filter(|other| *other != id && port != 0) else {
                    continue;
                };
                let name = format!("server.{id}");
                let line = lines.iter().find(|line| line.name == name);
                let origin = line.map_or(Origin::Default, |line| line.origin.clone());
                let address = format!("{}:{port}", address.host);
                values.fail(origin, &name, Fault::SameAddress { address, other });
            }
        }
    }
}

fn check_weights(values: &mut Values, ids: &BTreeSet<i64>, lines: &[Line]) {
    for line in lines {
        let Some(id) = line.name.strip_prefix("weight.") else {
            continue;
        };
        let known = parse_decimal(id).is_some_and(|id| ids.contains(&id));
        let weight = parse_decimal(&line.value).filter(|weight| *weight >= 0);
        if !known || weight.is_none() {
            let found = format!("{}={}", line.name, line.value);
            let allowed = "weight.N with a member N and a weight from 0".to_owned();
            let fault = Fault::NotANumber { found, allowed };
            values.fail(line.origin.clone(), &line.name, fault);
        }
    }
}

/// The ensemble, as far as nothing is wrong with it.
fn ensemble(
    values: &Values,
    members: &[Member],
    lines: &[Line],
    config: &Config,
) -> Option<Ensemble> {
    let me = ServerId::new(config.misc.my_id?);
    let members: BTreeMap<_, _> = members
        .iter()
        .map(|member| (member.id, member.clone()))
        .collect();
    members.get(&me)?;
    let family = |prefix: &'static str| {
        lines.iter().filter_map(move |line| {
            let number = line.name.strip_prefix(prefix).and_then(parse_decimal)?;
            Some((number, line.value.as_str()))
        })
    };
    let group = |text: &str| {
        let ids = text.split(':').map(str::trim).filter_map(parse_decimal);
        ids.map(ServerId::new).collect()
    };
    let weight = |text: &str| parse_decimal(text).and_then(|weight| u64::try_from(weight).ok());
    Some(Ensemble {
        me,
        members,
        groups: family("group.")
            .map(|(number, text)| (number, group(text)))
            .collect(),
        weights: family("weight.")
            .filter_map(|(id, text)| Some((ServerId::new(id), weight(text)?)))
            .collect(),
        patience: patience(values),
        fewest_voters: if values.bool("standaloneEnabled") {
            2
        } else {
            1
        },
        many_addresses: values.bool("multiAddress.enabled"),
        leader_serves: values.bool("leaderServes"),
        read_only: values.bool("readonlymode.enabled"),
        local_sessions: values.bool("localSessionsEnabled"),
        listen_on_all: values.bool("quorumListenOnAllIPs"),
    })
}

fn patience(values: &Values) -> Patience {
    let number = |name| values.int(name).filter(|number| *number > 0);
    let ticks = |name| number(name).and_then(|number| u32::try_from(number).ok());
    let millis = |name, least: u64| {
        let found = number(name).map_or(0, i64::unsigned_abs);
        Duration::from_millis(found.max(least))
    };
    Patience {
        init_limit: ticks("initLimit").unwrap_or_default(),
        sync_limit: ticks("syncLimit").unwrap_or_default(),
        connect_limit: ticks("connectToLearnerMasterLimit"),
        dial: millis("cnxTimeout", 1),
        redial: millis("leaderConnectDelayDuringRetryMs", 1),
        shortest_notification: millis("fastleader.minNotificationInterval", 1),
        longest_notification: millis("fastleader.maxNotificationInterval", 1),
    }
}

/// Once there are groups, every member is in exactly one.
fn check_groups(values: &mut Values, ids: &BTreeSet<i64>, lines: &[Line]) {
    let groups: Vec<&Line> = lines
        .iter()
        .filter(|line| line.name.starts_with("group"))
        .collect();
    let mut placed: BTreeMap<i64, usize> = BTreeMap::new();
    for line in &groups {
        for text in line.value.split(':') {
            match parse_decimal(text.trim()) {
                Some(id) => *placed.entry(id).or_default() += 1,
                None => {
                    let allowed = "server numbers separated by ':'".to_owned();
                    values.fail(
                        line.origin.clone(),
                        &line.name,
                        Fault::NotANumber {
                            found: text.to_owned(),
                            allowed,
                        },
                    );
                }
            }
        }
    }
    let Some(first) = groups.first() else {
        return;
    };
    for (id, _) in placed.iter().filter(|(_, times)| **times > 1) {
        values.fail(first.origin.clone(), "group.*", Fault::InManyGroups(*id));
    }
    for id in ids.iter().filter(|id| !placed.contains_key(id)) {
        values.fail(first.origin.clone(), "group.*", Fault::NotInGroup(*id));
    }
}

/// The client part of the only server line says where to listen, unless `clientPort` says it too;
/// then they must agree.
fn adopt_address(values: &mut Values, config: &mut Config, member: &Member) {
    let number = member.id.number();
    let name = format!("server.{number}");
    if let Some(id) = config.misc.my_id.filter(|id| *id != number) {
        let caution = Caution::OtherServer { line: number, id };
        values.warn_at(&name, caution);
        return;
    }
    let Some(line) = &member.client else {
        return;
    };
    if values.get("clientPort").is_none() {
        config.listen.client = Some(line.clone());
        let origin = values.origin(&name);
        values.show_from("clientPort", line.port, origin.clone());
        values.show_from(
            "clientPortAddress",
            line.host.as_deref().unwrap_or_default(),
            origin,
        );
        return;
    }
    let fixed = config.listen.client.as_ref();
    let agrees = fixed.is_some_and(|fixed| {
        fixed.port == line.port && (fixed.host.is_none() || fixed.host == line.host)
    });
    match fixed {
        Some(_) if agrees => config.listen.client = Some(line.clone()),
        Some(fixed) => {
            let fault = Fault::ClientAddressDiffers {
                id: number,
                fixed: text_of(fixed),
                line: text_of(line),
            };
            values.fail_at(&name, fault);
        }
        None => {}
    }
}

fn text_of(address: &ClientAddress) -> String {
    format!(
        "{}:{}",
        address.host.as_deref().unwrap_or("0.0.0.0"),
        address.port
    )
}
