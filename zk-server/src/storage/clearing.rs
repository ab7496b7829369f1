//! Who removes files of the history: purges what is old, a leader's word what never stood. Neither must rely on what
//! the other removes; and a member that is told to cut its history does not wait for a purge that reads snapshots.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often the history was cut or replaced. Locked while it is, and while old files are removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Clearing(Arc<Mutex<u64>>);

impl Clearing {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The history is changed as long as this is held.
    pub(super) fn change(&self) -> impl Drop + '_ {
        let mut changes = self.lock();
        *changes += 1;
        changes
    }

    /// Removes by what was seen in a look that may have taken long. If the history has changed meanwhile, it is looked
    /// again.
    pub(super) fn after_a_look<S, R>(
        &self,
        look: impl Fn() -> io::Result<S>,
        remove: impl FnOnce(S) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let before = *self.lock();
            let seen = look();
            let changes = self.lock();
            // What could not be read may only have been removed.
            if *changes == before {
                return remove(seen?);
            }
        }
    }
}
