//! What `setWatches` tells of nodes that its client may not read: the reference everything, we nothing.

use super::{Heard, Kind, PATIENCE, Rig, header};
use crate::decisions::Accepted;
use crate::script::Ask;
use crate::wire::{Got, framed};
use zk_proto::{ErrorCode, EventType, OpCode, Request, WatchEvent, Zxid};

impl Rig {
    /// Leaves out the reference's events of a catch-up that its client should not have heard.
    pub(super) fn excuse_catch_up(
        &mut self,
        slot: usize,
        asks: &[Ask],
        [oracle, subject]: &mut [Vec<Heard>; 2],
    ) {
        let catches_up = |ask: &Ask| {
            let op = OpCode::from_wire(ask.op);
            matches!(op, OpCode::SetWatches | OpCode::SetWatches2)
        };
        if !asks.iter().any(catches_up) {
            return;
        }
        let mut index = 0;
        while let Some(event) = oracle.get(index) {
            let same = subject.get(index).is_some_and(|h| h.raw == event.raw);
            if let (false, Some(path)) = (same, missed_path(event))
                && self.is_hidden(slot, &path)
            {
                oracle.remove(index);
                self.decisions.count(Accepted::HiddenCatchUp);
            } else {
                index += 1;
            }
        }
    }

    /// Whether the reference itself says that the client may not read a node.
    fn is_hidden(&mut self, slot: usize, path: &str) -> bool {
        let request = Request::GetData {
            path: path.into(),
            watch: false,
        };
        let question = framed(&Ask::new(1, &request).payload(0));
        let Some(conn) = self.oracle.conns[slot].as_mut() else {
            return false;
        };
        conn.send(&question);
        let Got::Frame(answer) = conn.frame(PATIENCE) else {
            return false;
        };
        header(&answer).is_some_and(|(_, err)| err == ErrorCode::NoAuth.to_wire())
    }
}

/// The path of an event that a catch-up told of a node that is there.
fn missed_path(heard: &Heard) -> Option<String> {
    let (zxid, _) = header(&heard.raw)?;
    let event = WatchEvent::decode(heard.raw.get(zk_proto::ReplyHeader::WIRE_LEN..)?).ok()?;
    let told = heard.kind == Kind::Event && zxid == Zxid::NONE.to_wire();
    (told && event.event != EventType::Deleted).then_some(event.path)
}
