//! A counter as it changes, for those who look on.

use super::Counter;
use crate::error::Error;
use crate::patience::repeat;
use zk_client::{ErrorCode, Once, Zxid};

/// The numbers of a counter, one after the other; from [`Counter::changes`].
#[derive(Debug)]
pub struct Counts {
    counter: Counter,
    /// By which transaction the node had what was told last; zero, where there was none.
    told: Option<Zxid>,
    changed: Option<Once>,
}

impl Counts {
    pub(super) const fn new(counter: Counter) -> Self {
        Self {
            counter,
            told: None,
            changed: None,
        }
    }

    /// The number, at first; then the next one that is written. Those that were soon written over may be left out.
    /// Zero, where there is no node. Costs 1 request (2 without a node) and 1 watch.
    ///
    /// # Errors
    ///
    /// As [`Counter::get`]. It may be asked again.
    ///
    /// # Cancellation
    ///
    /// Safe: a number counts as told only when it is returned.
    pub async fn next(&mut self) -> Result<i64, Error> {
        loop {
            if let Some(changed) = self.changed.take() {
                // The session's end is a reason to look as well.
                let _event = changed.changed().await;
            }
            let (written, number, changed) = self.look().await?;
            self.changed = Some(changed);
            if self.told != Some(written) {
                self.told = Some(written);
                return number;
            }
        }
    }

    async fn look(&self) -> Result<(Zxid, Result<i64, Error>, Once), Error> {
        let (client, path) = (&self.counter.client, &self.counter.path);
        let get = || client.get(path).timeout(None).watch();
        let exists = || client.exists(path).timeout(None).watch();
        loop {
            match repeat(client, get).await {
                Ok(((data, stat), changed)) => {
                    let number = self.counter.encoding.read(&data);
                    return Ok((stat.mzxid, number, changed));
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) => return Err(error.into()),
            }
            if let (None, made) = repeat(client, exists).await? {
                return Ok((Zxid::ZERO, Ok(0), made));
            }
        }
    }
}
