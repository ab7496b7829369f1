//! The snapshot that a leader sends to a learner: the middle of a file, and a signature.
//!
//! ```text
//! sessions, ACLs, nodes, "/"      as in a file
//! "BenWasHere"
//! ```
//!
//! There is no length, no checksum and no digest. A Java leader writes it while transactions apply, so it may
//! hold a part of what comes behind it: those transactions are applied once more, which is harmless, and until
//! a digest agrees nothing can be said about the whole ([`crate::tree::Trust::Unknown`]).

use super::read::{Damage, SnapshotError, SnapshotLimits, SnapshotSink, read_middle};
use super::stream::Stream;
use std::io::Read;

/// What ends it, as it stands on the wire.
pub const SYNC_SIGNATURE: [u8; 14] = *b"\0\0\0\x0aBenWasHere";

/// Takes a leader's snapshot from the front of `from`, and not a byte more. It may hold what
/// came after the zxid it was announced with.
pub fn read_sync(
    from: impl Read,
    limits: SnapshotLimits,
    sink: &mut dyn SnapshotSink,
) -> Result<(), SnapshotError> {
    let mut stream = Stream::new(from, limits.field, limits.total);
    read_middle(&mut stream, sink)?;
    if stream.array()? != SYNC_SIGNATURE {
        return Err(stream.damaged(Damage::Signature));
    }
    Ok(())
}
