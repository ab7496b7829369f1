//! What is known of a node besides its data: as a client sees it and as it is stored.

use crate::jute::{DecodeError, Reader};
use crate::{SessionId, Version, Zxid};
use bytes::BufMut;

/// A node's facts as clients see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// The transaction that created the node.
    pub czxid: Zxid,
    /// The transaction that last set its data.
    pub mzxid: Zxid,
    /// When it was created, in milliseconds since 1970.
    pub ctime: i64,
    /// When its data was last set.
    pub mtime: i64,
    /// How often its data was set.
    pub version: Version,
    /// How often a child was created or deleted.
    pub cversion: Version,
    /// How often its ACL was set.
    pub aversion: Version,
    /// The session that owns an ephemeral node, or none.
    pub ephemeral_owner: SessionId,
    /// The length of its data.
    pub data_length: i32,
    /// How many children it has.
    pub num_children: i32,
    /// The transaction that last created or deleted a child.
    pub pzxid: Zxid,
}

impl Stat {
    /// Its length on the wire.
    pub const WIRE_LEN: usize = 68;

    /// Takes a stat from the wire.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: Zxid::from_wire(reader.i64()?),
            mzxid: Zxid::from_wire(reader.i64()?),
            ctime: reader.i64()?,
            mtime: reader.i64()?,
            version: Version(reader.i32()?),
            cversion: Version(reader.i32()?),
            aversion: Version(reader.i32()?),
            ephemeral_owner: SessionId::from_wire(reader.i64()?),
            data_length: reader.i32()?,
            num_children: reader.i32()?,
            pzxid: Zxid::from_wire(reader.i64()?),
        })
    }

    /// Appends the stat for the wire.
    pub fn encode(&self, out: &mut impl BufMut) {
        // One look at the buffer's room instead of one per field.
        let mut bytes = [0; Self::WIRE_LEN];
        let mut fields = &mut bytes[..];
        fields.put_i64(self.czxid.to_wire());
        fields.put_i64(self.mzxid.to_wire());
        fields.put_i64(self.ctime);
        fields.put_i64(self.mtime);
        fields.put_i32(self.version.0);
        fields.put_i32(self.cversion.0);
        fields.put_i32(self.aversion.0);
        fields.put_i64(self.ephemeral_owner.to_wire());
        fields.put_i32(self.data_length);
        fields.put_i32(self.num_children);
        fields.put_i64(self.pzxid.to_wire());
        out.put_slice(&bytes);
    }
}

/// A node's facts as servers keep them: in snapshots, on the way to learners, and under the digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredStat {
    /// The transaction that created the node.
    pub czxid: Zxid,
    /// The transaction that last set its data.
    pub mzxid: Zxid,
    /// When it was created, in milliseconds since 1970.
    pub ctime: i64,
    /// When its data was last set.
    pub mtime: i64,
    /// How often its data was set.
    pub version: Version,
    /// How many children were ever created below it. Unlike [`Stat::cversion`], deletions do not count.
    pub cversion: Version,
    /// How often its ACL was set.
    pub aversion: Version,
    /// The owning session, or the mark of a container or a TTL, as one number.
    pub ephemeral_owner: i64,
    /// The transaction that last created or deleted a child.
    pub pzxid: Zxid,
}

impl StoredStat {
    /// Its length on disk.
    pub const WIRE_LEN: usize = 60;

    /// Takes a stored stat.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: Zxid::from_wire(reader.i64()?),
            mzxid: Zxid::from_wire(reader.i64()?),
            ctime: reader.i64()?,
            mtime: reader.i64()?,
            version: Version(reader.i32()?),
            cversion: Version(reader.i32()?),
            aversion: Version(reader.i32()?),
            ephemeral_owner: reader.i64()?,
            pzxid: Zxid::from_wire(reader.i64()?),
        })
    }

    /// Appends the stored stat.
    pub fn encode(&self, out: &mut impl BufMut) {
        // One look at the buffer's room instead of one per field.
        let mut bytes = [0; Self::WIRE_LEN];
        let mut fields = &mut bytes[..];
        fields.put_i64(self.czxid.to_wire());
        fields.put_i64(self.mzxid.to_wire());
        fields.put_i64(self.ctime);
        fields.put_i64(self.mtime);
        fields.put_i32(self.version.0);
        fields.put_i32(self.cversion.0);
        fields.put_i32(self.aversion.0);
        fields.put_i64(self.ephemeral_owner);
        fields.put_i64(self.pzxid.to_wire());
        out.put_slice(&bytes);
    }
}
