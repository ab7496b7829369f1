//! The words that ZooKeeper's clients, servers and files share: ids, records, requests, replies and
//! transactions, as bytes and back.
//!
//! Nothing here reads a clock, opens a socket or decides anything. A decoder accepts exactly what the
//! Java implementation accepts, never allocates from a declared length (H2), and never panics (H1).
//!
//! ```
//! use zk_proto::{OpCode, Request};
//!
//! let mut body = Vec::new();
//! Request::GetData { path: "/app".into(), watch: true }.encode(&mut body);
//! assert_eq!(Request::decode(OpCode::GetData, &body).unwrap(), Request::GetData {
//!     path: "/app".into(),
//!     watch: true,
//! });
//! ```
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod acl;
mod code;
mod connect;
pub mod frame;
mod id;
pub mod jute;
mod multi;
mod op;
pub mod path;
mod reply;
mod request;
mod stat;
mod time;
pub mod txn;
mod watch;

pub use acl::{Acl, Perms, WireAcl};
pub use code::ErrorCode;
pub use connect::{ConnectRequest, ConnectResponse, PASSWORD_LEN};
pub use id::{Epoch, ServerId, SessionId, Version, Xid, Zxid};
pub use jute::DecodeError;
pub use multi::{MultiOp, MultiResult};
pub use op::{CreateMode, OpCode};
pub use path::ZPath;
pub use reply::{ClientInfo, Reply, ReplyHeader};
pub use request::{Create, Request, RequestHeader, WatchLists};
pub use stat::{Stat, StoredStat};
pub use time::Time;
pub use watch::{AddWatchMode, EventType, WatchEvent, WatcherType};
