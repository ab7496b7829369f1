//! Watches after a reconnect: armed again before anything queued is sent, in requests the server can read, with
//! the zxid behind which a change was missed (P12).

use super::call::{Sent, Slot, seal};
use super::{Effect, Session};
use crate::clock::Time;
use crate::watch::{Item, WatchKind};
use std::borrow::Cow;
use zk_proto::{OpCode, Request, RequestHeader, WatchLists, Xid, Zxid, frame};

/// A request for more than this many bytes of paths is split (P12; servers refuse large requests whole).
pub(crate) const MAX_REARM_BYTES: usize = 128 << 10;
/// What a path costs besides its characters.
const PER_PATH: usize = 4;

impl<C: Slot> Session<C> {
    /// Puts the requests that arm every watch again before all else.
    pub(super) fn rearm(&mut self, now: Time) {
        let relative_zxid = self.last_reply;
        let mut frames = Vec::new();
        let mut lists = WatchLists {
            relative_zxid,
            ..WatchLists::default()
        };
        let mut bytes = 0;
        for (kind, path) in self.watches.iter() {
            if bytes + path.len() + PER_PATH > MAX_REARM_BYTES && bytes > 0 {
                frames.push(frame_of(std::mem::take(&mut lists)));
                lists.relative_zxid = relative_zxid;
                bytes = 0;
            }
            bytes += path.len() + PER_PATH;
            let path = Cow::Borrowed(path);
            match kind {
                WatchKind::Data => lists.data.push(path),
                WatchKind::Exist => lists.exist.push(path),
                WatchKind::Child => lists.child.push(path),
                WatchKind::Persistent => lists.persistent.push(path),
                WatchKind::Recursive => lists.recursive.push(path),
            }
        }
        if bytes > 0 {
            frames.push(frame_of(lists));
        }
        let count = frames.len();
        for (index, frame) in frames.into_iter().enumerate() {
            self.urgent.push_back(frame);
            let last = index + 1 == count;
            self.fly(now, Xid::SET_WATCHES, Sent::Rearm { last });
        }
    }

    /// Every watch is armed. One-shot watches have told what they missed; persistent ones cannot, and say so,
    /// unless nothing at all has happened since.
    pub(super) fn on_rearmed(&mut self, now: Zxid, out: &mut Vec<Effect<C>>) {
        let since = self.resumed;
        if now <= since {
            return;
        }
        self.watches.each_lasting(|id| {
            out.push(Effect::Notify(id, Item::Gap { since }));
        });
    }
}

/// Servers before 3.6 know only the lists of one-shot watches.
fn frame_of(lists: WatchLists<'_>) -> Vec<u8> {
    let (op, request) = if lists.persistent.is_empty() && lists.recursive.is_empty() {
        (OpCode::SetWatches, Request::SetWatches(lists))
    } else {
        (OpCode::SetWatches2, Request::SetWatches2(lists))
    };
    let mut out = vec![0; frame::LENGTH_WORD];
    RequestHeader {
        xid: Xid::SET_WATCHES,
        op,
    }
    .encode(&mut out);
    request.encode(&mut out);
    seal(&mut out);
    out
}
