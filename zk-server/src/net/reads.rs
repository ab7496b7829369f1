//! Reads: a look at local memory, encoded straight from the tree into the connection's output.

use crate::net::link::Link;
use crate::replica::Replica;
use crate::tree::{
    Identity, NodeRef, Tree, Wanted, WatchRoom, WatchTable, mask, null_path_refusal, permits,
    who_am_i,
};
use bytes::{BufMut, BytesMut};
use std::borrow::Cow;
use zk_proto::jute::JuteMut;
use zk_proto::{
    ErrorCode, MultiOp, MultiResult, OpCode, Perms, ReplyHeader, Request, WatchEvent, WatchLists,
    Xid, Zxid, frame,
};

/// One connection asking, under one look at the tree.
pub(crate) struct Reader<'a> {
    pub(crate) replica: &'a Replica,
    pub(crate) tree: &'a Tree,
    pub(crate) link: &'a Link,
    pub(crate) identities: &'a [Identity],
}

type Answer = Result<(), ErrorCode>;

/// The longest reply to a multiRead. Every other reply is bounded by what one node holds.
const MAX_MULTI_READ: usize = 64 << 20;

impl Reader<'_> {
    /// Answers a request that only reads; what cannot be decoded is answered so.
    pub(crate) fn answer(&self, xid: Xid, op: OpCode, body: &[u8], out: &mut BytesMut) {
        let Ok(request) = self.replica.decode(op, body) else {
            return self.undecodable(xid, op, body, out);
        };
        // Catch-up events go out before the reply (client-protocol §8), so outside of its frame.
        if let Request::SetWatches(lists) | Request::SetWatches2(lists) = &request
            && let Err(code) = self.set_watches(lists, out)
        {
            return self.refuse(xid, code, out);
        }
        let xid = if op == OpCode::Ping { Xid::PING } else { xid };
        let start = out.len();
        let answer = frame::put_frame(out, |out| {
            ReplyHeader {
                xid,
                zxid: self.tree.last_zxid(),
                err: 0,
            }
            .encode(out);
            self.body(&request, out)
        });
        if let Err(code) = answer {
            out.truncate(start);
            self.refuse(xid, code, out);
        }
    }

    /// As Apache's server answers what has no path; what else cannot be decoded is answered so.
    fn undecodable(&self, xid: Xid, op: OpCode, body: &[u8], out: &mut BytesMut) {
        let code = null_path_refusal(self.tree.rules(), op, body);
        if op != OpCode::Sync || code.is_none() {
            let code = code.unwrap_or(ErrorCode::MarshallingError);
            return self.refuse(xid, code, out);
        }
        let zxid = self.tree.last_zxid();
        frame::put_frame(out, |out| {
            ReplyHeader { xid, zxid, err: 0 }.encode(out);
            out.put_buffer(None);
        });
    }

    fn refuse(&self, xid: Xid, code: ErrorCode, out: &mut BytesMut) {
        put_refusal(out, xid, self.tree.last_zxid(), code);
    }

    fn body(&self, request: &Request<'_>, out: &mut BytesMut) -> Answer {
        match request {
            Request::Exists { path, watch } => self.exists(path, *watch, out),
            Request::GetData { path, watch } => self.get_data(path, *watch, out),
            Request::GetAcl { path } => self.get_acl(path, out),
            Request::GetChildren { path, watch } => {
                self.get_children(path, *watch, out)?;
                Ok(())
            }
            Request::GetChildren2 { path, watch } => {
                self.get_children(path, *watch, out)?.stat().encode(out);
                Ok(())
            }
            Request::MultiRead(ops) if self.replica.has_too_many(ops) => {
                Err(ErrorCode::BadArguments)
            }
            Request::MultiRead(ops) => {
                let start = out.len();
                for op in ops {
                    self.part(op, out)?;
                    if out.len() - start > MAX_MULTI_READ {
                        // A small request must not ask for more than the server can hold.
                        return Err(ErrorCode::BadArguments);
                    }
                }
                MultiResult::put_end(out);
                Ok(())
            }
            Request::AddWatch { path, mode } => {
                self.watch(path, Wanted::Added(*mode))?;
                out.put_i32(0);
                Ok(())
            }
            Request::CheckWatches { path, kind } => {
                let found = self.replica.watches().has(self.link.id(), path, *kind);
                found.then_some(()).ok_or(ErrorCode::NoWatcher)
            }
            Request::RemoveWatches { path, kind } => {
                let found = self.replica.watches().remove(self.link.id(), path, *kind);
                found.then_some(()).ok_or(ErrorCode::NoWatcher)
            }
            Request::GetEphemerals { prefix } => {
                self.ephemerals(prefix.as_deref(), out);
                Ok(())
            }
            Request::GetAllChildrenNumber { path } => {
                out.put_i32(self.count_below(path)?);
                Ok(())
            }
            Request::WhoAmI => {
                let infos = who_am_i(self.identities);
                zk_proto::Reply::WhoAmI(infos).encode(out);
                Ok(())
            }
            Request::Sync { path } => {
                // A quorum of one has committed whatever it has acknowledged to anyone (P5).
                out.put_string(path);
                Ok(())
            }
            Request::Ping | Request::SetWatches(_) | Request::SetWatches2(_) => Ok(()),
            Request::Create(_)
            | Request::Delete { .. }
            | Request::SetData { .. }
            | Request::SetAcl { .. }
            | Request::Check { .. }
            | Request::Multi(_)
            | Request::Reconfig { .. }
            | Request::Auth { .. }
            | Request::Sasl { .. }
            | Request::CloseSession => unreachable!("only reads come to this door"),
        }
    }

    fn node(&self, path: &str) -> Result<NodeRef<'_>, ErrorCode> {
        self.tree.get(path).ok_or(ErrorCode::NoNode)
    }

    fn permits(&self, node: &NodeRef<'_>, perms: Perms) -> bool {
        permits(self.tree.rules(), node.acl(), self.identities, perms)
    }

    fn readable(&self, path: &str) -> Result<NodeRef<'_>, ErrorCode> {
        let node = self.node(path)?;
        if self.permits(&node, Perms::READ) {
            Ok(node)
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    /// Notes a watch, unless the connection or the server would then have too many.
    fn watch(&self, path: &str, wanted: Wanted) -> Answer {
        let id = self.link.id();
        self.replica
            .watches_with_room(self.link, WatchRoom::of(path, 2), |table| {
                table.missing(id, path, wanted)
            })
            .ok_or(ErrorCode::ThrottledOp)?
            .watch(id, path, wanted);
        Ok(())
    }

    fn exists(&self, path: &str, watch: bool, out: &mut BytesMut) -> Answer {
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let found = self.readable(path);
        // A missing node is what one may wait for; an unreadable one is not.
        if watch && found.as_ref().err() != Some(&ErrorCode::NoAuth) {
            self.watch(path, Wanted::Data)?;
        }
        found?.stat().encode(out);
        self.count_read(path, 0);
        Ok(())
    }

    fn get_data(&self, path: &str, watch: bool, out: &mut BytesMut) -> Answer {
        let node = self.readable(path)?;
        if watch {
            self.watch(path, Wanted::Data)?;
        }
        out.put_buffer(node.data());
        node.stat().encode(out);
        self.count_read(path, node.data().map_or(0, <[u8]>::len));
        Ok(())
    }

    /// Counted as Java does: the path, the data, and a stat.
    fn count_read(&self, path: &str, bytes: usize) {
        const STAT: usize = 68;
        let metrics = self.replica.metrics();
        if let Some(namespace) = metrics.namespace(path) {
            let bytes = (path.len() + bytes + STAT) as u64;
            metrics.here().read_per_namespace(namespace, bytes);
        }
    }

    fn get_children(
        &self,
        path: &str,
        watch: bool,
        out: &mut BytesMut,
    ) -> Result<NodeRef<'_>, ErrorCode> {
        let node = self.readable(path)?;
        if watch {
            self.watch(path, Wanted::Children)?;
        }
        let start = out.len();
        put_children(&node, out);
        self.count_read(path, out.len() - start);
        Ok(node)
    }

    fn get_acl(&self, path: &str, out: &mut BytesMut) -> Answer {
        let node = self.node(path)?;
        if !self.permits(&node, Perms::READ.union(Perms::ADMIN)) {
            return Err(ErrorCode::NoAuth);
        }
        let masked = if self.permits(&node, Perms::ADMIN) {
            Cow::Borrowed(node.acl())
        } else {
            Cow::Owned(mask(node.acl()))
        };
        out.put_vector(&masked, |out, entry| entry.encode(out));
        node.stat().encode(out);
        Ok(())
    }

    /// Java counts paths by their beginning. So the root has one more by its other name, `""`: itself,
    /// since `/` is that name and a slash.
    fn count_below(&self, path: &str) -> Result<i32, ErrorCode> {
        let node = self.readable(path)?;
        let count = node.descendant_count() + usize::from(path.is_empty());
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    fn ephemerals(&self, prefix: Option<&str>, out: &mut BytesMut) {
        let paths: Vec<_> = self
            .tree
            .ephemerals_of(self.link.session(), prefix)
            .collect();
        out.put_strings(&paths);
    }

    /// One part of a multiRead. What it may not see is its own result; a write spoils the request.
    fn part(&self, op: &MultiOp<'_>, out: &mut BytesMut) -> Answer {
        let start = out.len();
        MultiResult::put_read_header(out, op.op());
        // Watch flags inside a multiRead are ignored, as in Java.
        let answer = match op {
            MultiOp::GetData { path, .. } => self.get_data(path, false, out),
            MultiOp::GetChildren { path, .. } => self.get_children(path, false, out).map(drop),
            MultiOp::Create(_)
            | MultiOp::Delete { .. }
            | MultiOp::SetData { .. }
            | MultiOp::Check { .. } => return Err(ErrorCode::MarshallingError),
        };
        if let Err(code) = answer {
            out.truncate(start);
            MultiResult::Error(code.to_wire()).encode(out);
        }
        Ok(())
    }

    /// Restores a client's watches, or tells at once what it has missed (P12). What happened to a node that
    /// it may not read is not told, and its watch is used up, as if it had been here (P13). That a node is
    /// gone is told: nobody knows any more who might have read it.
    fn set_watches(&self, lists: &WatchLists<'_>, out: &mut BytesMut) -> Answer {
        let asked = [
            &lists.data,
            &lists.exist,
            &lists.child,
            &lists.persistent,
            // These stand in both tables.
            &lists.persistent,
            &lists.recursive,
        ];
        let most = asked.into_iter().flatten();
        let most = most.map(|path| WatchRoom::of(path, 1)).sum();
        let id = self.link.id();
        let exactly = |table: &WatchTable| table.missing_of(self.tree, id, lists);
        let mut watches = self
            .replica
            .watches_with_room(self.link, most, exactly)
            .ok_or(ErrorCode::ThrottledOp)?;
        let caught_up = |event, path: &str| {
            if self.readable(path).err() != Some(ErrorCode::NoAuth) {
                WatchEvent::put_frame(out, Zxid::NONE, event, path);
            }
        };
        watches.set_watches(self.tree, id, lists, caught_up);
        Ok(())
    }
}

fn put_children(node: &NodeRef<'_>, out: &mut BytesMut) {
    out.put_len(node.child_count());
    for name in node.children() {
        out.put_string(name);
    }
}

/// Appends a reply that is nothing but an error.
pub(crate) fn put_refusal(out: &mut BytesMut, xid: Xid, zxid: Zxid, code: ErrorCode) {
    frame::put_frame(out, |out| {
        ReplyHeader {
            xid,
            zxid,
            err: code.to_wire(),
        }
        .encode(out);
    });
}
