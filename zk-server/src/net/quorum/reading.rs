//! A part of the log on its way to a learner, on a thread that reads no faster than the learner takes it in.

use super::{Outbox, PeerEvent, Report};
use crate::disk::stretch::Stretch;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;
use zk_zab::{LinkId, Message};

/// When to look again whether the learner has taken in what was sent.
const PATIENCE: Duration = Duration::from_millis(2);

/// Sends it all, each transaction with the word that it stands, and says how that ended. A connection that has
/// ended meanwhile has said so itself.
pub(super) fn read_out(mut stretch: Stretch, link: LinkId, outbox: &Arc<Outbox>, report: &Report) {
    match send(&mut stretch, outbox) {
        Ok(true) => report(PeerEvent::LogSent { link }),
        Ok(false) => {}
        Err(error) => {
            warn!(%link, %error, "the log cannot be read for a learner: it has to come again");
            report(PeerEvent::LogLost { link });
        }
    }
}

/// Whether somebody still wanted it.
fn send(stretch: &mut Stretch, outbox: &Outbox) -> io::Result<bool> {
    while let Some((zxid, payload)) = stretch.advance()? {
        while !outbox.has_room() && !outbox.is_finished() {
            std::thread::sleep(PATIENCE);
        }
        let proposal = Message::Proposal { zxid, payload };
        let said = [proposal, Message::Commit { zxid }];
        let taken = said.into_iter().all(|message| outbox.send(message).is_ok());
        if outbox.is_finished() || !taken {
            return Ok(false);
        }
    }
    if stretch.is_read() {
        Ok(true)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
