//! Nodes nobody waits for any more: what a create that was given up left on the server, or may have left. They
//! are found and deleted in the background, until that is done or their session is over.

use super::Response;
use crate::session::RECORD_AT;
use crate::{Outcome, protect};
use tokio::sync::mpsc;
use zk_proto::jute::Reader;
use zk_proto::{CreateMode, OpCode, Request, Zxid};

/// What may be left. Paths are the server's, with the chroot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Orphan {
    /// This node, created by this transaction.
    Created { path: String, czxid: Zxid },
    /// Perhaps a child of this node with this prefix, which nobody else would use.
    Protected { parent: String, prefix: String },
}

/// Where orphans are sent.
#[derive(Clone, Debug)]
pub(crate) struct Orphans(pub(crate) mpsc::UnboundedSender<Orphan>);

impl Orphans {
    pub(crate) fn adopt(&self, orphan: Orphan) {
        // Without the task that deletes them there is no session either.
        let _ended = self.0.send(orphan);
    }
}

/// What an answer nobody heard may have left behind.
pub(crate) fn orphan_of(unheard: &Response) -> Option<Orphan> {
    let op = crate::session::op_of(&unheard.frame)?;
    let record = unheard.frame.get(RECORD_AT..)?;
    let creates = matches!(
        op,
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl
    );
    if !creates {
        return None;
    }
    let Ok(Request::Create(create)) = Request::decode(op, record) else {
        return None;
    };
    let mode = CreateMode::from_flags(create.flags)?;
    let protected = protect::parts(&create.path);
    if !mode.is_ephemeral() && protected.is_none() {
        return None;
    }
    match &unheard.outcome {
        Ok(answered) => {
            let path = Reader::new(&answered.body).string().ok()?.into_owned();
            let czxid = answered.header.zxid;
            Some(Orphan::Created { path, czxid })
        }
        Err(kind) if kind.outcome() != Outcome::Unknown => None,
        // Without a name of its own a node cannot be told from one that was created later by the same session;
        // it stays until the session ends.
        Err(_) => protected.map(|(parent, prefix)| Orphan::Protected {
            parent: parent.to_owned(),
            prefix: prefix.to_owned(),
        }),
    }
}
