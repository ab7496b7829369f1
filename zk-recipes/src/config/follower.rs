//! The task that makes a value of the layers whenever one of them changes.

use super::board::{Applied, Board, ConfigEvent, Rejected};
use super::{Layer, Rules};
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// How often a change may be followed by another before both are applied, though a third may belong to them.
const PATIENCE: u32 = 10;

pub(super) async fn run<T: DeserializeOwned + Send + Sync + 'static>(
    rules: Arc<Rules<T>>,
    layers: Arc<[Layer]>,
    board: Arc<Board<T>>,
    settle: Duration,
) {
    for layer in layers.iter() {
        // A layer that nobody may read is none, until it can be read.
        while layer.cache.ready().await.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    let mut changes: Vec<_> = layers.iter().map(|it| it.cache.changes()).collect();
    loop {
        look(&rules, &layers, &board);
        if !any(&mut changes).await {
            return std::future::pending().await;
        }
        for _ in 0..PATIENCE {
            if tokio::time::timeout(settle, any(&mut changes))
                .await
                .is_err()
            {
                break;
            }
        }
    }
}

/// Waits for a change of any of them; `false` if there will be none.
async fn any(changes: &mut [watch::Receiver<u64>]) -> bool {
    let mut waiting: Vec<Pin<Box<dyn Future<Output = bool> + Send + '_>>> = Vec::new();
    for change in changes {
        waiting.push(Box::pin(async { change.changed().await.is_ok() }));
    }
    poll_fn(|cx| {
        let mut left = false;
        for change in &mut waiting {
            match change.as_mut().poll(cx) {
                Poll::Ready(true) => return Poll::Ready(true),
                Poll::Ready(false) => {}
                Poll::Pending => left = true,
            }
        }
        if left {
            Poll::Pending
        } else {
            Poll::Ready(false)
        }
    })
    .await
}

/// Makes the value of what the layers hold now, if that is not what was looked at last.
pub(super) fn look<T: DeserializeOwned>(rules: &Rules<T>, layers: &[Layer], board: &Board<T>) {
    let mut inner = board.inner();
    if !inner.update(layers) {
        return;
    }
    let versions = inner.versions(layers);
    let wrong = inner.seen.iter().find_map(|it| it.wrong.clone());
    let value = match wrong {
        Some(why) => Err(why),
        None => rules.apply(inner.seen.iter().map(|it| it.value.as_ref())),
    };
    // Told under the lock, so that nobody hears of an older value after a newer one.
    match value {
        Ok(value) => {
            info!(?versions, "a configuration is applied");
            let layers = versions;
            let applied = Arc::new(Applied { value, layers });
            inner.current = Some(Arc::clone(&applied));
            inner.rejected = None;
            board.tell(ConfigEvent::Applied(applied));
        }
        Err(why) => {
            let good = inner.current.as_ref().map(|it| it.layers.clone());
            let good = good.unwrap_or_default();
            let layers = versions
                .into_iter()
                .filter(|it| !good.contains(it))
                .collect();
            warn!(?layers, why, "a configuration is rejected");
            let rejected = Rejected { layers, why };
            inner.rejected = Some(rejected.clone());
            board.tell(ConfigEvent::Rejected(rejected));
        }
    }
}
