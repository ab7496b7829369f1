//! When to look for containers and aged nodes, and how fast to delete what was found.

use crate::config::settings::Containers;
use std::collections::VecDeque;
use std::time::Duration;
use zk_zab::Time;

/// Looks once per interval, then deletes at a steady pace, so that a million aged nodes do not arrive
/// as one burst.
pub(super) struct Reaper {
    interval: Duration,
    spacing: Duration,
    next_look: Time,
    next_deletion: Time,
    found: VecDeque<String>,
}

/// What the reaper wants done.
pub(super) enum Chore {
    /// Ask the tree for candidates and hand them to [`Reaper::found`].
    Look,
    /// Delete this one, if it still deserves it.
    Delete(String),
}

impl Reaper {
    pub(super) fn new(config: &Containers, now: Time) -> Self {
        let spacing = Duration::from_secs(60) / config.max_per_minute.max(1);
        Self {
            interval: config.check_interval,
            spacing,
            next_look: now + config.check_interval,
            next_deletion: now,
            found: VecDeque::new(),
        }
    }

    /// When to ask again.
    pub(super) fn deadline(&self) -> Time {
        if self.found.is_empty() {
            self.next_look
        } else {
            self.next_deletion
        }
    }

    /// What is due.
    pub(super) fn due(&mut self, now: Time) -> Option<Chore> {
        if now < self.deadline() {
            return None;
        }
        if let Some(path) = self.found.pop_front() {
            self.next_deletion = now + self.spacing;
            return Some(Chore::Delete(path));
        }
        self.next_look = now + self.interval;
        Some(Chore::Look)
    }

    /// The candidates of this round.
    pub(super) fn found(&mut self, paths: impl IntoIterator<Item = String>, now: Time) {
        self.found.extend(paths);
        self.next_deletion = now;
    }
}
