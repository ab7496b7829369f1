//! What a proxy has seen, for conditions to wait for.

use super::frames::{Direction, Kind};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Index, IndexMut};
use zk_proto::OpCode;

/// One value per direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Both<T> {
    to_server: T,
    to_client: T,
}

impl<T> Index<Direction> for Both<T> {
    type Output = T;

    fn index(&self, direction: Direction) -> &T {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

impl<T> IndexMut<Direction> for Both<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// Counts since the proxy started.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub(super) connections: u64,
    pub(super) open: u64,
    pub(super) faults: u64,
    pub(super) refusing: bool,
    pub(super) bytes: Both<u64>,
    pub(super) arrived: Both<BTreeMap<Kind, u64>>,
    pub(super) passed: Both<BTreeMap<Kind, u64>>,
}

impl Tally {
    /// Connections that clients have made.
    pub const fn connections(&self) -> u64 {
        self.connections
    }

    /// Connections that are open now.
    pub const fn open(&self) -> u64 {
        self.open
    }

    /// Planned cuts and dropped replies that have come to pass.
    pub const fn faults(&self) -> u64 {
        self.faults
    }

    /// Bytes that were passed on.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.bytes[direction]
    }

    /// Frames of any kind that were passed on whole.
    pub fn frames(&self, direction: Direction) -> u64 {
        self.passed[direction].values().sum()
    }

    /// Frames that have come to the proxy, held back or not.
    pub fn arrived(&self, direction: Direction, kind: Kind) -> u64 {
        self.arrived[direction].get(&kind).copied().unwrap_or(0)
    }

    /// Frames that were passed on whole.
    pub fn passed(&self, direction: Direction, kind: Kind) -> u64 {
        self.passed[direction].get(&kind).copied().unwrap_or(0)
    }

    /// Requests of an operation that reached the server.
    pub fn requests(&self, op: OpCode) -> u64 {
        self.passed(Direction::ToServer, Kind::Op(op))
    }

    /// Replies to an operation that reached the client.
    pub fn replies(&self, op: OpCode) -> u64 {
        self.passed(Direction::ToClient, Kind::Op(op))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            open,
            faults,
            ..
        } = self;
        write!(f, "{connections} connections, {open} open, {faults} faults")?;
        for (direction, name) in [
            (Direction::ToServer, "server"),
            (Direction::ToClient, "client"),
        ] {
            write!(f, "; to the {name}: {} bytes", self.bytes[direction])?;
            for (kind, arrived) in &self.arrived[direction] {
                write!(f, ", {kind} {}/{arrived}", self.passed(direction, *kind))?;
            }
        }
        Ok(())
    }
}
