//! Numbers that nobody else gets, handed out without asking the servers for each.

use super::{Counter, Encoding};
use crate::error::Error;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Mutex;
use zk_client::{Client, Outcome};

/// Ids in blocks: a block is reserved in a counter, then handed out here. Shares its node with Curator's
/// `CachedAtomicLong`.
///
/// | | |
/// |---|---|
/// | guarantee | no id is handed out twice, by whomever, as long as nobody sets the counter back; those of one handle rise |
/// | suspension, session's end | what was reserved is handed out all the same; the next block waits for a connection |
/// | cancellation | safe; a block that was being reserved may be left out |
/// | cost | 2 requests for each block, as [`Counter::add`] |
/// | layout | that of a [`Counter`] with [`Encoding::Long`]: the first id that is not reserved |
///
/// What was reserved and not handed out is left out for ever: when the process ends, or when nobody can know whether a
/// reservation was made.
#[derive(Clone, Debug)]
pub struct Ids {
    counter: Counter,
    block: i64,
    /// Clones share what was reserved. Whoever reserves lets the others wait for it.
    reserved: Arc<Mutex<Range<i64>>>,
}

impl Ids {
    /// Ids from the counter at a node, in blocks of so many.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for empty blocks.
    pub fn new(client: &Client, path: impl Into<String>, block: u32) -> Result<Self, Error> {
        if block == 0 {
            return Err(Error::Usage("a block has at least one id"));
        }
        Ok(Self {
            counter: Counter::new(client, path, Encoding::Long),
            block: i64::from(block),
            reserved: Arc::default(),
        })
    }

    /// The next id.
    ///
    /// # Errors
    ///
    /// As [`Counter::add`], except that a lost connection is none.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn next(&self) -> Result<i64, Error> {
        let mut reserved = self.reserved.lock().await;
        loop {
            if let Some(id) = reserved.next() {
                return Ok(id);
            }
            match self.counter.add(self.block).await {
                Ok(change) => *reserved = change.before..change.after,
                // Whether or not that block was reserved, nobody has seen it: the next one will do.
                Err(Error::Client(error))
                    if error.outcome() == Outcome::Unknown
                        && crate::error::may_try_again(&self.counter.client, &error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
