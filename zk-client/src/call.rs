//! A call as a future: its place in the order is fixed when it is made, not when it is polled.

use crate::driver::{Orphans, Response, orphan_of};
use crate::error::{Error, ErrorKind};
use crate::observe;
use crate::path::strip;
use crate::session::{Answered, wire_path, wire_path_in};
use crate::spare;
use crate::watch::Once;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use tracing::Span;
use zk_proto::OpCode;

/// Turns what the server said into what the caller asked for; is given the chroot.
pub(crate) type Finish<T> = fn(Result<Answered, ErrorKind>, &str) -> Result<T, ErrorKind>;

/// A call that was made.
///
/// Its place among the calls of this session was fixed when it was made: by `.send()` or, for a builder
/// that is awaited, by the `.await`.
///
/// # Cancellation
///
/// It may be dropped at any time. A request that was not yet written is then not sent; one that was takes effect
/// or not, unseen, except that an ephemeral node created by it is deleted again, and a watch left by it removed.
///
/// # What an unprotected create may leave
///
/// A create whose connection was lost fails with [`Outcome::Unknown`](crate::Outcome::Unknown): its reply is gone,
/// and nobody here knows whether there is a node. An *ephemeral* one may then be there and stay for as long as the
/// session lives, which goes on with the next connection; the client does not look for it, since by its name alone
/// it could be another's. The same holds after a timeout, and for a call that is dropped when the connection is lost
/// under it. Whoever must not leave one behind asks for [`protected`](crate::ops::Create::protected): its name
/// carries a number of its own, by which the client finds the node again, and tells of it or deletes it.
#[must_use = "a call that is dropped may never be sent"]
pub struct Call<T> {
    stage: Stage<T>,
}

enum Stage<T> {
    Failed(Option<Error>),
    Waiting(Waiting<T>),
    Steps(Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>),
}

struct Waiting<T> {
    answer: oneshot::Receiver<Response>,
    op: OpCode,
    root: Arc<str>,
    finish: Finish<T>,
    /// For creates that leave something behind if nobody hears of them.
    orphans: Option<Orphans>,
    /// From the call to its answer; none unless somebody listens.
    span: Span,
}

impl<T> Call<T> {
    pub(crate) fn failed(error: Error) -> Self {
        Self {
            stage: Stage::Failed(Some(error)),
        }
    }

    pub(crate) fn waiting(
        answer: oneshot::Receiver<Response>,
        op: OpCode,
        root: Arc<str>,
        finish: Finish<T>,
        orphans: Option<Orphans>,
        span: Span,
    ) -> Self {
        Self {
            stage: Stage::Waiting(Waiting {
                answer,
                op,
                root,
                finish,
                orphans,
                span,
            }),
        }
    }

    /// A call of several requests.
    pub(crate) fn steps(steps: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self {
            stage: Stage::Steps(Box::pin(steps)),
        }
    }
}

impl<T> Waiting<T> {
    fn finish(&mut self, heard: Result<Response, oneshot::error::RecvError>) -> Result<T, Error> {
        // Taken: nothing is left to be cleaned up.
        self.orphans = None;
        let Ok(response) = heard else {
            // The driver is gone, with its runtime.
            return Err(Error::new(ErrorKind::Closed { sent: true }, self.op, None));
        };
        let finished = (self.finish)(response.outcome, &self.root).map_err(|kind| {
            let path = if let ErrorKind::Multi { index, .. } = kind {
                wire_path_in(&response.frame, index)
            } else {
                wire_path(&response.frame)
            };
            let path = path.map(|path| strip(&self.root, &path).into());
            Error::new(kind, self.op, path)
        });
        spare::give_back(response.frame);
        finished
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.stage {
            Stage::Failed(error) => {
                let error = error.take().unwrap_or_else(polled_again);
                Poll::Ready(Err(error))
            }
            Stage::Waiting(waiting) => {
                let heard = ready!(Pin::new(&mut waiting.answer).poll(cx));
                let finished = waiting.finish(heard);
                observe::record(&waiting.span, &finished);
                Poll::Ready(finished)
            }
            Stage::Steps(steps) => steps.as_mut().poll(cx),
        }
    }
}

fn polled_again() -> Error {
    Error::new(
        ErrorKind::Usage("the call was polled after its end"),
        OpCode::Error,
        None,
    )
}

impl<T> Unpin for Call<T> {}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        let Some(orphans) = self.orphans.take() else {
            return;
        };
        // From here on the driver finds nobody and adopts what was created; what it has put here before is ours.
        self.answer.close();
        if let Ok(response) = self.answer.try_recv()
            && let Some(orphan) = orphan_of(&response)
        {
            orphans.adopt(orphan);
        }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Failed(_) => "failed",
            Stage::Waiting(_) => "waiting",
            Stage::Steps(_) => "steps",
        };
        f.debug_tuple("Call").field(&stage).finish()
    }
}

/// A call that leaves a watcher: its result comes with the watcher.
///
/// # Cancellation
///
/// Dropping it drops the watcher, and with it the watch, wherever the request is.
#[must_use = "a call that is dropped may never be sent"]
#[derive(Debug)]
pub struct Watching<T, W = Once> {
    pub(crate) call: Call<T>,
    pub(crate) watcher: Option<W>,
}

impl<T, W> Unpin for Watching<T, W> {}

impl<T, W> Future for Watching<T, W> {
    type Output = Result<(T, W), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.call).poll(cx));
        Poll::Ready(answer.and_then(|it| {
            let watcher = self.watcher.take().ok_or_else(polled_again)?;
            Ok((it, watcher))
        }))
    }
}
