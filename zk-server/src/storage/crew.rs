//! The threads that touch a data directory beside the log's, and their end.
//!
//! A directory must not be let go of while anybody still writes there: another server would find its files
//! renamed and removed under its hands. Whoever drops this asks them to leave and waits until they have.

use crate::disk::leave::Leave;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

#[derive(Debug, Default)]
pub(super) struct Crew {
    leave: Leave,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Crew {
    /// Starts a thread. Long work looks now and then whether it is asked to leave.
    pub(super) fn start(
        &self,
        name: &str,
        work: impl FnOnce(&Leave) + Send + 'static,
    ) -> io::Result<()> {
        let leave = self.leave.clone();
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.keep(thread.spawn(move || work(&leave))?);
        Ok(())
    }

    /// Waits, at the end, for a thread that ends soon and by itself.
    pub(super) fn keep(&self, thread: JoinHandle<()>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.leave.ask();
        let threads = self
            .threads
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the data directory panicked");
            }
        }
    }
}
