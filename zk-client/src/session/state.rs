//! What a session tells about itself: its state, and the ticket another process resumes it with.

use crate::clock::Time;
use std::fmt;
use zk_proto::{PASSWORD_LEN, SessionId, Zxid};

/// Where a session stands.
///
/// ```text
///   Connected ◄──► Suspended ──► Lost ──► Connected (the next generation, if the policy says so)
///        └──────────────┴──────────┴────► Closed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A server answers.
    Connected {
        /// Which session.
        session: SessionId,
        /// How many sessions this client had before.
        generation: u64,
        /// Whether the server is cut off from its ensemble and only answers reads.
        read_only: bool,
    },
    /// No server answers. The session may live on, or not; nobody here can know.
    Suspended {
        /// Until then the session is certainly alive, by the client's clock; `None` if that was never certain.
        alive_until: Option<Time>,
    },
    /// The session is over, and its ephemeral nodes with it.
    Lost {
        /// Which one: counted from zero.
        generation: u64,
    },
    /// The client is at its end: closed, or its session lost or refused for good.
    Closed,
}

/// What it takes to resume a session in another process: write it down, hand it over, use it once.
///
/// The password is as good as the session itself; it is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionTicket {
    pub(crate) id: SessionId,
    pub(crate) password: [u8; PASSWORD_LEN],
    pub(crate) last_zxid: Zxid,
}

impl SessionTicket {
    const LEN: usize = 8 + PASSWORD_LEN + 8;

    /// A ticket from its parts.
    pub const fn new(id: SessionId, password: [u8; PASSWORD_LEN], last_zxid: Zxid) -> Self {
        Self {
            id,
            password,
            last_zxid,
        }
    }

    /// Which session.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The secret that belongs to the number.
    pub const fn password(&self) -> &[u8; PASSWORD_LEN] {
        &self.password
    }

    /// The highest zxid the session has seen: no server that is behind it will be accepted (P4).
    pub const fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The ticket as 32 bytes, to be kept as secret as a password.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; Self::LEN];
        let (id, rest) = bytes.split_at_mut(8);
        let (password, zxid) = rest.split_at_mut(PASSWORD_LEN);
        id.copy_from_slice(&self.id.to_wire().to_be_bytes());
        password.copy_from_slice(&self.password);
        zxid.copy_from_slice(&self.last_zxid.to_wire().to_be_bytes());
        bytes
    }

    /// The ticket from its bytes; `None` if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<8>()?;
        let (password, zxid) = rest.split_first_chunk::<PASSWORD_LEN>()?;
        let zxid: [u8; 8] = zxid.try_into().ok()?;
        let id = SessionId::from_wire(i64::from_be_bytes(*id));
        (id != SessionId::NONE).then(|| Self {
            id,
            password: *password,
            last_zxid: Zxid::from_wire(i64::from_be_bytes(zxid)),
        })
    }
}

impl fmt::Debug for SessionTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTicket")
            .field("id", &self.id)
            .field("last_zxid", &self.last_zxid)
            .finish_non_exhaustive()
    }
}
