//! Operation codes and create modes, one table each.

use std::fmt;

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        /// What a request, or a transaction, is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum OpCode {
            $($(#[$doc])* $name,)*
            /// A number that this table does not know.
            Other(i32),
        }

        impl OpCode {
            /// Every operation that has a name.
            pub const NAMED: &'static [Self] = &[$(Self::$name),*];

            /// Reads a code.
            pub const fn from_wire(number: i32) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            /// The number for the wire.
            pub const fn to_wire(self) -> i32 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Other(number) => number,
                }
            }
        }

        impl fmt::Display for OpCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($word),)*
                    Self::Other(number) => write!(f, "op {number}"),
                }
            }
        }
    };
}

ops! {
    /// Opens a session; made by servers.
    CreateSession = -10, "createSession";
    /// Closes the session.
    CloseSession = -11, "closeSession";
    /// A refused write, as a transaction.
    Error = -1, "error";
    /// Creates a node.
    Create = 1, "create";
    /// Deletes a node.
    Delete = 2, "delete";
    /// Asks whether a node exists.
    Exists = 3, "exists";
    /// Reads a node's data.
    GetData = 4, "getData";
    /// Sets a node's data.
    SetData = 5, "setData";
    /// Reads a node's ACL.
    GetAcl = 6, "getACL";
    /// Sets a node's ACL.
    SetAcl = 7, "setACL";
    /// Lists children.
    GetChildren = 8, "getChildren";
    /// Waits until this server has seen what its leader had committed.
    Sync = 9, "sync";
    /// Keeps the session alive.
    Ping = 11, "ping";
    /// Lists children, with the stat.
    GetChildren2 = 12, "getChildren2";
    /// Inside a multi: demands a version.
    Check = 13, "check";
    /// Several writes, all or nothing.
    Multi = 14, "multi";
    /// Creates a node and returns its stat.
    Create2 = 15, "create2";
    /// Changes the ensemble.
    Reconfig = 16, "reconfig";
    /// Asks whether a watch is there.
    CheckWatches = 17, "checkWatches";
    /// Removes watches.
    RemoveWatches = 18, "removeWatches";
    /// Creates a container.
    CreateContainer = 19, "createContainer";
    /// Removes an empty container or an aged node; made by servers.
    DeleteContainer = 20, "deleteContainer";
    /// Creates a node that ages.
    CreateTtl = 21, "createTTL";
    /// Several reads.
    MultiRead = 22, "multiRead";
    /// Proves an identity.
    Auth = 100, "auth";
    /// Restores one-shot watches.
    SetWatches = 101, "setWatches";
    /// A step of a SASL exchange.
    Sasl = 102, "sasl";
    /// Lists the session's ephemeral nodes.
    GetEphemerals = 103, "getEphemerals";
    /// Counts all descendants.
    GetAllChildrenNumber = 104, "getAllChildrenNumber";
    /// Restores watches of every kind.
    SetWatches2 = 105, "setWatches2";
    /// Adds a persistent watch.
    AddWatch = 106, "addWatch";
    /// Lists the connection's identities.
    WhoAmI = 107, "whoAmI";
}

/// What kind of node a create asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateMode {
    /// Stays until it is deleted.
    Persistent,
    /// Goes with its session.
    Ephemeral,
    /// Stays; its name gets a number.
    PersistentSequential,
    /// Goes with its session; its name gets a number.
    EphemeralSequential,
    /// Goes when its last child went.
    Container,
    /// Goes when it has not been modified for a while.
    PersistentWithTtl,
    /// The same; its name gets a number.
    PersistentSequentialWithTtl,
}

impl CreateMode {
    /// Reads the flags of a create.
    pub const fn from_flags(flags: i32) -> Option<Self> {
        match flags {
            0 => Some(Self::Persistent),
            1 => Some(Self::Ephemeral),
            2 => Some(Self::PersistentSequential),
            3 => Some(Self::EphemeralSequential),
            4 => Some(Self::Container),
            5 => Some(Self::PersistentWithTtl),
            6 => Some(Self::PersistentSequentialWithTtl),
            _ => None,
        }
    }

    /// The flags for the wire.
    pub const fn to_flags(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::PersistentSequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::PersistentWithTtl => 5,
            Self::PersistentSequentialWithTtl => 6,
        }
    }

    /// Whether the node goes with its session.
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether the name gets a number.
    pub const fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::PersistentSequential
                | Self::EphemeralSequential
                | Self::PersistentSequentialWithTtl
        )
    }

    /// Whether the node ages.
    pub const fn is_ttl(self) -> bool {
        matches!(
            self,
            Self::PersistentWithTtl | Self::PersistentSequentialWithTtl
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_and_modes_survive_the_wire() {
        for &op in OpCode::NAMED {
            assert_eq!(OpCode::from_wire(op.to_wire()), op);
        }
        assert_eq!(OpCode::from_wire(10), OpCode::Other(10));
        for flags in 0..=6 {
            assert_eq!(
                CreateMode::from_flags(flags).map(CreateMode::to_flags),
                Some(flags)
            );
        }
        assert_eq!(CreateMode::from_flags(7), None);
        assert_eq!(CreateMode::from_flags(-1), None);
    }
}
