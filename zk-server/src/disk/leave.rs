//! A request to stop early, for work that takes long and that nobody needs to see finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared between those who work and whoever may ask them to leave.
#[derive(Clone, Debug, Default)]
pub struct Leave(Arc<AtomicBool>);

impl Leave {
    /// Asks everybody.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether one is asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
