//! Who may do what to a node.

use crate::jute::{DecodeError, JuteMut, Reader};
use bytes::BufMut;
use std::borrow::Cow;
use std::fmt;

/// A set of permissions. Bits without a meaning are kept as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Perms(pub i32);

impl Perms {
    /// See the node's data and the names of its children.
    pub const READ: Self = Self(1);
    /// Set the node's data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Set the ACL.
    pub const ADMIN: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);

    /// Whether the two sets share a permission.
    pub const fn intersects(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Both sets together.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A permission for an identity, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// What is permitted.
    pub perms: Perms,
    /// How the identity is proved: `world`, `digest`, `ip`, …
    pub scheme: String,
    /// Who it is, in the terms of the scheme.
    pub id: String,
}

impl Acl {
    /// The least bytes an entry takes.
    pub const MIN_WIRE_LEN: usize = 12;

    /// A permission for an identity.
    pub fn new(perms: Perms, scheme: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            perms,
            scheme: scheme.into(),
            id: id.into(),
        }
    }

    /// The permission for everyone.
    pub fn world(perms: Perms) -> Self {
        Self::new(perms, "world", "anyone")
    }

    /// Takes an entry from a transaction, a snapshot or a reply.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            perms: Perms(reader.i32()?),
            scheme: reader.string()?.into_owned(),
            id: reader.string()?.into_owned(),
        })
    }

    /// Appends the entry.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.perms.0);
        out.put_string(&self.scheme);
        out.put_string(&self.id);
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.scheme, self.id, self.perms.0)
    }
}

/// A permission as a client asks for it: any part may be missing, nothing has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireAcl<'a> {
    /// What is to be permitted.
    pub perms: Perms,
    /// The scheme, if one was given.
    pub scheme: Option<Cow<'a, str>>,
    /// The identity, if one was given.
    pub id: Option<Cow<'a, str>>,
}

impl<'a> WireAcl<'a> {
    /// Takes an entry from a request.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            perms: Perms(reader.i32()?),
            scheme: reader.nullable_string()?,
            id: reader.nullable_string()?,
        })
    }

    /// Appends the entry.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(self.perms.0);
        out.put_buffer(self.scheme.as_ref().map(|s| s.as_bytes()));
        out.put_buffer(self.id.as_ref().map(|s| s.as_bytes()));
    }
}

impl From<Acl> for WireAcl<'static> {
    fn from(acl: Acl) -> Self {
        Self {
            perms: acl.perms,
            scheme: Some(acl.scheme.into()),
            id: Some(acl.id.into()),
        }
    }
}
