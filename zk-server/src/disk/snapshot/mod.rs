//! Snapshots: the whole tree in one file, sealed.
//!
//! ```text
//! "ZKSN" | version 2: i32 | dbid -1: i64
//! sessions   count: i32, (session: i64, timeout: i32)*
//! ACLs       count: i32, (id: i64, vector<ACL>)*
//! nodes      (path: string, data: buffer, ACL id: i64, StoredStat)*, parents first, then "/"
//! seal       adler32 of everything before: i64, "/"
//! digest     zxid: i64, version: i32, digest: i64, seal        (3.6 and later, unless switched off)
//! last zxid  zxid: i64, seal                                   (3.9 and later, unless switched off)
//! ```
//!
//! Here are the container and the seals. What a node means is the tree's business: the reader drives a
//! [`SnapshotSink`], the writer takes the middle as bytes.

mod packing;
mod read;
mod stream;
mod sync;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub use read::{
    Damage, Refusal, SnapshotEnd, SnapshotError, SnapshotLimits, SnapshotSink, TreeDigest,
    looks_whole, read_snapshot,
};
pub use sync::{SYNC_SIGNATURE, read_sync};
pub use verify::verify_snapshot;
pub use write::{
    Pushed, SnapshotEvent, SnapshotFailure, SnapshotFile, SnapshotTrailer, SnapshotWriter,
    SnapshotWritten,
};

const MAGIC: [u8; 4] = *b"ZKSN";
const VERSION: i32 = 2;
const DBID: i64 = -1;
const HEADER_LEN: usize = 16;
/// What ends the nodes and each seal.
const SLASH: [u8; 5] = [0, 0, 0, 1, b'/'];
/// An Adler-32 as a long, and the slash.
const SEAL_LEN: usize = 8 + SLASH.len();

fn header() -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let fields: [&[u8]; 3] = [&MAGIC, &VERSION.to_be_bytes(), &DBID.to_be_bytes()];
    for (to, from) in header.iter_mut().zip(fields.concat()) {
        *to = from;
    }
    header
}
