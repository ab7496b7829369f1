//! Rules that tie keys together and belong to no one part of the configuration.

use std::path::PathBuf;

use super::error::{Caution, ConfigError, Fault, Origin};
use super::settings::Config;
use super::sources::Files;
use super::values::Values;

/// The metrics classes Java ships; another one cannot be on any class path here.
const METRICS_CLASSES: &[&str] = &[
    "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
    "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
    "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
];

/// Checks what is left to check when the typed configuration exists.
pub(super) fn check(values: &mut Values, config: &Config, files: &dyn Files) {
    check_addresses(values);
    check_quorum_sasl(values);
    check_metrics(values);
    check_admin(values);
    if config.listen.client.is_none() {
        values.warn(Origin::Default, Caution::NoListener);
    }
    if !config.storage.datadir_autocreate && values.errors.is_empty() {
        check_directories(values, config, files);
    }
}

fn check_addresses(values: &mut Values) {
    for (dependent, needed) in [
        ("clientPortAddress", "clientPort"),
        ("secureClientPortAddress", "secureClientPort"),
    ] {
        // A port with a fault of its own has been written, and has been complained about.
        let complained = values
            .errors
            .iter()
            .any(|error| error.key.as_deref() == Some(needed));
        if values.get(dependent).is_some() && values.int(needed).is_none() && !complained {
            values.fail_at(dependent, Fault::Dangling { dependent, needed });
        }
    }
}

fn check_quorum_sasl(values: &mut Values) {
    let (enable, learner, server) = (
        "quorum.auth.enableSasl",
        "quorum.auth.learnerRequireSasl",
        "quorum.auth.serverRequireSasl",
    );
    for (switch, key) in [(enable, server), (enable, learner), (learner, server)] {
        if values.bool(key) && !values.bool(switch) {
            values.fail_at(key, Fault::SwitchedOff { switch, key });
        }
    }
}

fn check_metrics(values: &mut Values) {
    let name = "metricsProvider.className";
    if let Some(class) = values
        .text(name)
        .filter(|class| !METRICS_CLASSES.contains(&class.as_str()))
    {
        values.fail_at(name, Fault::MetricsClass(class));
    }
}

/// Java runs the admin server unless told not to, so files mention it without asking for it: one
/// warning, no refusal.
fn check_admin(values: &mut Values) {
    let switched_off =
        values.get("admin.enableServer").is_some() && !values.bool("admin.enableServer");
    if switched_off {
        return;
    }
    let mentioned: Vec<(&str, Origin)> = values
        .written()
        .filter(|(name, _)| name.starts_with("admin."))
        .map(|(name, found)| (name, found.origin.clone()))
        .collect();
    if let Some((_, first)) = mentioned.first().cloned() {
        let names = mentioned
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ");
        values.warn(first, Caution::NoAdminServer(names));
    }
}

fn check_directories(values: &mut Values, config: &Config, files: &dyn Files) {
    let mut missing: Vec<PathBuf> = vec![config.log_dir(), config.snapshot_dir()];
    missing.dedup();
    for directory in missing
        .into_iter()
        .filter(|directory| !files.is_dir(directory))
    {
        let origin = values.origin("datadir.autocreate");
        values.errors.push(ConfigError {
            origin,
            key: None,
            fault: Fault::DataDirMissing(directory),
        });
    }
}
