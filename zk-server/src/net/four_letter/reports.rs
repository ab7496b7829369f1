//! The reports that are lists: `conf`, `dirs`, `envi`, `hash`, `dump` and the watches.

use super::facts::{Expiring, Facts, Sessions};
use super::report::{JavaAddress, JavaDate, Report};
use std::fmt;
use std::ops::ControlFlow;
use zk_proto::SessionId;

pub(super) fn conf(facts: &dyn Facts, out: &mut Report) {
    let (conf, sizes) = (facts.conf(), facts.directories());
    out.line(format_args!("clientPort={}", conf.client_port));
    out.line(format_args!("secureClientPort={}", conf.secure_client_port));
    out.line(format_args!("dataDir={}", conf.data_dir));
    out.line(format_args!("dataDirSize={}", sizes.data));
    out.line(format_args!("dataLogDir={}", conf.log_dir));
    out.line(format_args!("dataLogSize={}", sizes.log));
    out.line(format_args!("tickTime={}", conf.tick_time));
    out.line(format_args!(
        "maxClientCnxns={}",
        conf.max_client_connections
    ));
    out.line(format_args!(
        "minSessionTimeout={}",
        conf.min_session_timeout
    ));
    out.line(format_args!(
        "maxSessionTimeout={}",
        conf.max_session_timeout
    ));
    out.line(format_args!("clientPortListenBacklog={}", conf.backlog));
    out.line(format_args!("serverId={}", conf.server_id));
    let Some(peer) = conf.peer else { return };
    out.line(format_args!("initLimit={}", peer.init_limit));
    out.line(format_args!("syncLimit={}", peer.sync_limit));
    // Only this one is left of Java's four.
    out.line("electionAlg=3");
    out.line(format_args!("electionPort={}", ports(&peer.election_ports)));
    out.line(format_args!("quorumPort={}", ports(&peer.quorum_ports)));
    out.line(format_args!("peerType={}", peer.peer_type));
    if let Some(membership) = peer.membership {
        out.line("membership: ");
        out.put(membership);
    }
}

fn ports(ports: &[u16]) -> String {
    ports
        .iter()
        .map(u16::to_string)
        .collect::<Vec<_>>()
        .join("|")
}

pub(super) fn dirs(facts: &dyn Facts, out: &mut Report) {
    let sizes = facts.directories();
    out.line(format_args!("datadir_size: {}", sizes.data));
    out.line(format_args!("logdir_size: {}", sizes.log));
}

pub(super) fn environment(facts: &dyn Facts, out: &mut Report) {
    out.line("Environment:");
    for (key, value) in facts.environment() {
        out.line(format_args!("{key}={value}"));
    }
}

pub(super) fn hash(facts: &dyn Facts, out: &mut Report) {
    for (zxid, digest) in facts.digests() {
        out.line(format_args!("{:x}: {digest}", zxid.to_wire()));
    }
}

pub(super) fn dump(facts: &dyn Facts, out: &mut Report) {
    out.line("SessionTracker dump:");
    match facts.sessions() {
        Sessions::Tracked { local, global } => {
            if let Some(local) = local {
                out.put("Local ");
                session_sets(&local, out);
                out.put("Global ");
            }
            session_sets(&global, out);
        }
        Sessions::Learned { local, global } => {
            if let Some(local) = local {
                out.put("Local ");
                session_sets(&local, out);
            }
            out.line(format_args!("Global Sessions({}):", global.len()));
            for (session, timeout) in global {
                out.line(format_args!("{session}\t{timeout}ms"));
            }
        }
    }
    out.line("ephemeral nodes dump:");
    out.line(format_args!(
        "Sessions with Ephemerals ({}):",
        facts.sessions_with_ephemerals()
    ));
    let mut last = None;
    facts.ephemerals(&mut |session, path| {
        if last != Some(session) {
            last = Some(session);
            out.line(format_args!("{session}:"));
        }
        out.item(format_args!("\t{path}"))
    });
    out.line("Connections dump:");
    expiring(
        "Connections Sets",
        &facts.connection_expiry(),
        out,
        |(address, session)| format!("\tip: {} sessionId: {session}", JavaAddress(*address)),
    );
}

fn session_sets(sessions: &[Expiring<SessionId>], out: &mut Report) {
    expiring("Session Sets", sessions, out, |session| {
        format!("\t{session}")
    });
}

fn expiring<T>(title: &str, sets: &[Expiring<T>], out: &mut Report, show: impl Fn(&T) -> String) {
    let total: usize = sets.iter().map(|set| set.items.len()).sum();
    out.line(format_args!("{title} ({})/({total}):", sets.len()));
    for set in sets {
        out.line(format_args!(
            "{} expire at {}:",
            set.items.len(),
            JavaDate(set.at_ms)
        ));
        for item in &set.items {
            out.line(show(item));
        }
    }
}

pub(super) fn wchs(facts: &dyn Facts, out: &mut Report) {
    let totals = facts.watch_totals();
    out.line(format_args!(
        "{} connections watching {} paths",
        totals.connections, totals.paths
    ));
    out.line(format_args!("Total watches:{}", totals.watches));
}

pub(super) fn wchc(facts: &dyn Facts, out: &mut Report) {
    let mut last = None;
    facts.watches_by_session(&mut |session, path| {
        if last != Some(session) {
            last = Some(session);
            out.line(session);
        }
        entry(path, out)
    });
    out.line("");
}

pub(super) fn wchp(facts: &dyn Facts, out: &mut Report) {
    let mut last: Option<String> = None;
    facts.watches_by_path(&mut |path, session| {
        if last.as_deref() != Some(path) {
            last = Some(path.to_owned());
            out.line(path);
        }
        entry(session, out)
    });
    out.line("");
}

fn entry(value: impl fmt::Display, out: &mut Report) -> ControlFlow<()> {
    out.item(format_args!("\t{value}"))
}
