//! Which server to try next.
//!
//! A [`ConnectString`] says where servers are; a [`HostList`] decides whom to try and when, from what came of
//! earlier attempts, and [`balance`] who moves when the list changes. All are pure: time and chance come in as arguments. [`resolve`] is the one file that asks
//! the network, for addresses of names, on every attempt anew.
//!
//! Deliberately absent: connecting, and any memory of addresses. A name that moves is followed at the next
//! attempt.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod backoff;
pub mod balance;
mod chance;
pub mod config;
mod connect_string;
mod list;
pub mod resolve;

pub use chance::Chance;
pub use connect_string::{ConnectString, ConnectStringError, DEFAULT_PORT, Endpoint, Servers};
pub use list::{Attempt, HostId, HostList, Mode};
