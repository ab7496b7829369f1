//! `srvr`, `stat` and `cons`.

use super::facts::{ConnectionFacts, Facts, Mode, Serving};
use super::report::{JavaAddress, Report};
use crate::metrics::java_double;
use std::ops::ControlFlow;
use zk_proto::OpCode;

pub(super) fn srvr(facts: &dyn Facts, out: &mut Report) {
    head(facts, out);
    body(facts, out);
}

pub(super) fn stat(facts: &dyn Facts, out: &mut Report) {
    head(facts, out);
    out.line("Clients:");
    facts.connections(&mut |connection| out.item(format_args!("{})", brief(connection))));
    out.line("");
    body(facts, out);
}

pub(super) fn cons(facts: &dyn Facts, out: &mut Report) {
    facts.connections(&mut |connection| in_full(connection, out));
    out.line("");
}

fn head(facts: &dyn Facts, out: &mut Report) {
    out.line(format_args!("Zookeeper version: {}", facts.version()));
    if facts.serving() == Serving::ReadOnly {
        out.line("READ-ONLY mode; serving only read-only clients");
    }
}

fn body(facts: &dyn Facts, out: &mut Report) {
    let (vital, counted) = (facts.vital(), facts.metrics().server());
    let latency = counted.latency;
    let (min, max) = (latency.min() / 1000, latency.max().div_ceil(1000));
    out.line(format_args!(
        "Latency min/avg/max: {min}/{}/{max}",
        java_double(latency.mean(1000))
    ));
    out.line(format_args!("Received: {}", counted.packets_received));
    out.line(format_args!("Sent: {}", counted.packets_sent));
    out.line(format_args!("Connections: {}", vital.connections));
    out.line(format_args!("Outstanding: {}", vital.outstanding));
    out.line(format_args!("Zxid: {:#x}", vital.zxid.to_wire()));
    out.line(format_args!("Mode: {}", vital.mode.name()));
    out.line(format_args!("Node count: {}", vital.nodes));
    if vital.mode == Mode::Leader {
        let sizes = counted.proposal_size;
        out.line(format_args!(
            "Proposal sizes last/min/max: {}/{}/{}",
            sizes.last, sizes.min, sizes.max
        ));
    }
}

/// What `stat` shows of a connection, still open at its end.
fn brief(connection: &ConnectionFacts) -> String {
    let (address, stats) = (JavaAddress(connection.address), &connection.stats);
    format!(
        " {address}[{:x}](queued={},recved={},sent={}",
        connection.interest, stats.queued, stats.received, stats.sent
    )
}

fn in_full(connection: &ConnectionFacts, out: &mut Report) -> ControlFlow<()> {
    let (brief, stats) = (brief(connection), &connection.stats);
    let Some(session) = connection.session else {
        return out.item(format_args!("{brief})"));
    };
    let op = stats.last_op.map_or("NA", short_name);
    let xid = stats
        .last_xid
        .map_or_else(String::new, |xid| format!(",lcxid={xid:#x}"));
    out.item(format_args!(
        "{brief},sid={session},lop={op},est={},to={}{xid},lzxid={:#x},lresp={},llat={},minlat={},avglat={},maxlat={})",
        connection.established_ms,
        connection.timeout_ms,
        stats.last_zxid.to_wire(),
        stats.last_response_ms,
        stats.last_latency_ms,
        stats.min_latency_ms,
        stats.mean_latency_ms,
        stats.max_latency_ms,
    ))
}

/// The name Java's final stage gives to an operation.
fn short_name(op: OpCode) -> &'static str {
    match op {
        OpCode::Ping => "PING",
        OpCode::CreateSession => "SESS",
        OpCode::CloseSession => "CLOS",
        OpCode::Create | OpCode::Create2 | OpCode::CreateTtl | OpCode::CreateContainer => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetData => "SETD",
        OpCode::GetAcl => "GETA",
        OpCode::SetAcl => "SETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::GetEphemerals => "GETE",
        OpCode::Sync => "SYNC",
        OpCode::Check => "CHEC",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::RemoveWatches => "REMW",
        OpCode::CheckWatches => "CHKW",
        OpCode::Reconfig => "RECO",
        OpCode::WhoAmI => "HOMI",
        OpCode::Auth | OpCode::Sasl | OpCode::Error | OpCode::Other(_) => "NA",
    }
}
