//! How a connection becomes trustworthy: `tls` (a feature) hides it and proves who the server is, [`sasl`] and
//! client certificates prove who we are.
//!
//! Deliberately absent: the `digest` scheme of `addAuth`, which is a request like any other, and any decision
//! about when to connect.

pub mod sasl;
#[cfg(feature = "tls")]
pub mod tls;
