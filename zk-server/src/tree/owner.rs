//! What the stored owner of a node says: a session, a container, a TTL, or nobody.

use super::Rules;
use zk_proto::SessionId;

/// A node's owner, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody: the node stays.
    Nobody,
    /// A container: it goes after its last child.
    Container,
    /// It goes when nothing happened to it for so many milliseconds.
    Ttl(i64),
    /// It goes with the session.
    Session(SessionId),
}

/// The owner of containers.
pub(super) const CONTAINER: i64 = i64::MIN;
/// The longest TTL.
pub(super) const MAX_TTL: i64 = (1 << 40) - 1;
const EXTENDED: i64 = 0xff_i64 << 56;
const FEATURE: i64 = 0x00ff_ff00_0000_0000;

impl Owner {
    /// Reads the stored number.
    ///
    /// An extended number with an unknown feature makes Java refuse the whole database. Here the node
    /// stays: what it means is unknown, and guessing a session would delete it.
    pub(super) const fn from_raw(raw: i64, rules: &Rules) -> Self {
        if raw == 0 {
            return Self::Nobody;
        }
        if raw == CONTAINER {
            return Self::Container;
        }
        if rules.extended_types {
            if rules.emulate_353 && raw < 0 {
                return Self::Ttl(raw & MAX_TTL);
            }
            if raw & EXTENDED == EXTENDED {
                return if raw & FEATURE == 0 {
                    Self::Ttl(raw & MAX_TTL)
                } else {
                    Self::Nobody
                };
            }
        }
        Self::Session(SessionId::from_wire(raw))
    }

    /// The number to store for a TTL.
    pub(super) const fn ttl_to_raw(ttl: i64, rules: &Rules) -> i64 {
        if rules.emulate_353 {
            CONTAINER | ttl
        } else {
            EXTENDED | ttl
        }
    }

    /// What clients are told: only sessions.
    pub(super) const fn shown(self) -> SessionId {
        match self {
            Self::Session(session) => session,
            Self::Nobody | Self::Container | Self::Ttl(_) => SessionId::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_tells_what_a_node_is() {
        let plain = Rules::default();
        let extended = Rules {
            extended_types: true,
            ..Rules::default()
        };
        let emulated = Rules {
            emulate_353: true,
            ..extended.clone()
        };
        let ttl = Owner::ttl_to_raw(300, &extended);
        let session = |raw| Owner::Session(SessionId::from_wire(raw));
        for (raw, rules, expected) in [
            (0, &plain, Owner::Nobody),
            (CONTAINER, &plain, Owner::Container),
            (CONTAINER, &emulated, Owner::Container),
            (0x1000_0026, &extended, session(0x1000_0026)),
            (ttl, &plain, session(ttl)),
            (ttl, &extended, Owner::Ttl(300)),
            (ttl | (1 << 41), &extended, Owner::Nobody),
            (CONTAINER | 300, &extended, session(CONTAINER | 300)),
            (CONTAINER | 300, &emulated, Owner::Ttl(300)),
            (
                Owner::ttl_to_raw(MAX_TTL, &emulated),
                &emulated,
                Owner::Ttl(MAX_TTL),
            ),
        ] {
            assert_eq!(Owner::from_raw(raw, rules), expected, "{raw:#x}");
        }
        assert_eq!(ttl.cast_unsigned(), 0xff00_0000_0000_012c);
    }
}
