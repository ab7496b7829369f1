//! Steps that are taken until a server has answered them: reads, and writes that do no harm when they are repeated.

use crate::error::may_try_again;
use crate::keeper::PAUSE;
use zk_client::{Client, Error, ErrorCode};

/// Takes a step, and again as long as it may succeed later. Only for steps that are harmless to repeat.
pub(crate) async fn repeat<T, S>(client: &Client, step: impl Fn() -> S) -> Result<T, Error>
where
    S: IntoFuture<Output = Result<T, Error>>,
{
    loop {
        match step().await {
            Err(error) if may_try_again(client, &error) => tokio::time::sleep(PAUSE).await,
            other => return other,
        }
    }
}

/// What was found, or nothing where there is no node.
pub(crate) fn found<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}
