//! What a standalone makes of settings that speak of an ensemble.
//!
//! One `server.N` line with `standaloneEnabled=true` runs standalone, as in Java. Anything more is
//! refused in this release, but only after it has been checked as Java checks it: who has a typo in
//! a server line should hear of the typo too, and not find it on the day the ensemble is supported.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{Caution, ConfigError, Fault, Origin};
use super::members::{self, Member, Role};
use super::settings::{ClientAddress, Config};
use super::sources::{self, Files};
use super::value::parse_decimal;
use super::values::Values;

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
    }
    if let [only] = members.as_slice() {
        adopt_address(values, config, only);
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
        _ => {
            let count = members.len();
            let reason = format!(
                "the configuration names {count} member(s) of an ensemble, but this release \
                 runs standalone only; keep this server's own line (with standaloneEnabled=true) \
                 or remove them all"
            );
            values.fail(first, "server.*", Fault::NotYet(reason));
            return true;
        }
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
    let ids: BTreeSet<i64> = members.iter().map(|member| member.id).collect();
    check_groups(values, &ids, lines);
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
    let name = format!("server.{}", member.id);
    if let Some(id) = config.misc.my_id.filter(|id| *id != member.id) {
        let caution = Caution::OtherServer {
            line: member.id,
            id,
        };
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
                id: member.id,
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
