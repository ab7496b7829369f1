//! `mntr`: gauges first, then every metric.

use super::facts::{Facts, Gauges, Mode};
use super::report::Report;
use crate::metrics::{
    LABEL_CAPACITY, OTHER_LABEL, for_each_key, java_double, max_file_descriptors,
    open_file_descriptors, printable,
};
use crate::tree::QuotaAmount;
use std::fmt;

pub(super) fn mntr(facts: &dyn Facts, out: &mut Report) {
    let gauges = facts.gauges();
    let mode = facts.vital().mode;
    key(out, "version", facts.version());
    key(out, "server_state", mode.name());
    if let Some(ensemble) = &gauges.ensemble {
        key(out, "peer_state", &ensemble.peer_state);
        if let Some(master) = ensemble.observer_master {
            key(out, "observer_master_id", master);
        }
        key(out, "quorum_size", ensemble.quorum_size);
    }
    counted(facts, out);
    known(&gauges, out);
    if mode == Mode::Leader {
        leading(&gauges, facts, out);
    }
    if let Some(observers) = gauges.observers_of_master {
        key(out, "synced_observers", observers);
    }
    quotas(&gauges, out);
    for_each_key(facts.metrics(), &mut |name, value| key(out, name, value));
}

fn key(out: &mut Report, name: &str, value: impl fmt::Display) {
    out.line(format_args!("zk_{name}\t{value}"));
}

fn counted(facts: &dyn Facts, out: &mut Report) {
    let (vital, server) = (facts.vital(), facts.metrics().server());
    key(out, "avg_latency", java_double(server.latency.mean(1000)));
    key(out, "max_latency", server.latency.max().div_ceil(1000));
    key(out, "min_latency", server.latency.min() / 1000);
    key(out, "packets_received", server.packets_received);
    key(out, "packets_sent", server.packets_sent);
    key(out, "num_alive_connections", vital.connections);
    key(out, "outstanding_requests", vital.outstanding);
    key(out, "znode_count", vital.nodes);
    key(
        out,
        "last_client_response_size",
        server.client_response_size.last,
    );
    key(
        out,
        "max_client_response_size",
        server.client_response_size.max,
    );
    key(
        out,
        "min_client_response_size",
        server.client_response_size.min,
    );
    key(out, "auth_failed_count", server.auth_failed);
}

fn known(gauges: &Gauges, out: &mut Report) {
    key(out, "watch_count", gauges.watches);
    key(out, "ephemerals_count", gauges.ephemerals);
    key(out, "approximate_data_size", gauges.data_size);
    key(out, "open_file_descriptor_count", open_file_descriptors());
    key(out, "max_file_descriptor_count", max_file_descriptors());
    key(out, "global_sessions", gauges.global_sessions);
    key(out, "local_sessions", gauges.local_sessions);
    key(out, "uptime", gauges.uptime_ms);
    key(
        out,
        "connection_drop_probability",
        java_double(gauges.connection_drop_probability),
    );
    key(
        out,
        "outstanding_tls_handshake",
        gauges.outstanding_tls_handshakes,
    );
    key(
        out,
        "non_mtls_local_conn_count",
        gauges.non_mtls_local_connections,
    );
    key(
        out,
        "non_mtls_remote_conn_count",
        gauges.non_mtls_remote_connections,
    );
}

fn leading(gauges: &Gauges, facts: &dyn Facts, out: &mut Report) {
    let leader = gauges.leader.unwrap_or_default();
    let sizes = facts.metrics().server().proposal_size;
    key(out, "learners", leader.learners);
    // The name before 3.6, which old checks still expect.
    key(out, "followers", leader.learners);
    key(out, "synced_followers", leader.synced_followers);
    key(
        out,
        "synced_non_voting_followers",
        leader.synced_non_voting_followers,
    );
    key(out, "synced_observers", leader.synced_observers);
    key(out, "pending_syncs", leader.pending_syncs);
    key(out, "leader_uptime", leader.uptime_ms);
    key(out, "last_proposal_size", sizes.last);
    key(out, "max_proposal_size", sizes.max);
    key(out, "min_proposal_size", sizes.min);
}

/// Quotas are made by clients, so their number is bounded like every other label.
fn quotas(gauges: &Gauges, out: &mut Report) {
    let (shown, rest) = gauges
        .quotas
        .split_at(gauges.quotas.len().min(LABEL_CAPACITY));
    for quota in shown {
        let namespace = printable(&quota.namespace);
        for (what, amount) in [("limit", quota.limit), ("usage", quota.usage)] {
            let Some(amount) = amount else { continue };
            for (of, value) in [("count", amount.count), ("bytes", amount.bytes)] {
                let name = format!("{namespace}_quota_{of}_{what}_per_namespace");
                key(out, &name, value);
            }
        }
    }
    if !rest.is_empty() {
        let usage = rest.iter().filter_map(|quota| quota.usage);
        let usage = usage.fold(QuotaAmount::default(), |sum, next| sum + next);
        let (count, bytes) = (usage.count, usage.bytes);
        key(
            out,
            &format!("{OTHER_LABEL}_quota_count_usage_per_namespace"),
            count,
        );
        key(
            out,
            &format!("{OTHER_LABEL}_quota_bytes_usage_per_namespace"),
            bytes,
        );
    }
}
