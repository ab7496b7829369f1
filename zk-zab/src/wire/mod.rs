//! The bytes between servers, in both directions, exactly as Apache's 3.8 and 3.9 write them.
//!
//! ```text
//! quorum link     packet*                                          packet.rs, decode.rs, encode.rs
//! election link   initial message, then (length, notification)*    initial.rs, notification.rs
//! either          with SASL: auth packets before all that          auth.rs
//! ```
//!
//! A decoder takes what the Java servers take, except where a field would become nonsense in a type
//! of ours (an epoch below zero). It never allocates from a declared length and never panics (H1, H2).
//! What the messages mean is not known here; the snapshot behind a SNAP is no message.

mod auth;
mod decode;
mod encode;
mod error;
mod initial;
mod notification;
mod packet;

pub use auth::{AuthPacket, AuthStatus};
pub use error::WireError;
pub use initial::{Address, InitialMessage, InitialVersion, initial_message_len};
pub use notification::MAX_NOTIFICATION_LEN;
pub use packet::{DEFAULT_FIELD_LIMIT, packet_len, take_message};

use zk_proto::{Epoch, Zxid};

/// The version of the protocol between learners and leader that every release since 3.4 speaks.
const PROTOCOL_VERSION: i32 = 0x1_0000;

/// An epoch must fit the int of ACKEPOCH.
fn epoch(what: &'static str, raw: i64) -> Result<Epoch, WireError> {
    match i32::try_from(raw) {
        Ok(number) if number >= 0 => Ok(Epoch::new(number.unsigned_abs())),
        _ => Err(WireError::Field { what, found: raw }),
    }
}

/// The epoch of a zxid that names an epoch and no transaction.
fn epoch_of(what: &'static str, zxid: Zxid) -> Result<Epoch, WireError> {
    let raw = zxid.to_wire();
    if zxid.counter() == 0 {
        epoch(what, raw >> 32)
    } else {
        Err(WireError::Field { what, found: raw })
    }
}

#[cfg(test)]
mod tests;
