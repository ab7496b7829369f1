//! Session ids and their passwords, as Java makes them: any server of a mixed ensemble must be able to
//! take over any session.

use zk_proto::{PASSWORD_LEN, ServerId, SessionId, Zxid};

/// Hands out session ids: the server's own number in the highest byte, then 40 bits of the clock at
/// start, then a counter.
#[derive(Debug)]
pub struct SessionIds {
    next: i64,
}

impl SessionIds {
    /// Ids for a server started at this wall-clock time. The wall clock and not a monotonic one,
    /// which may begin at the same number after every boot: two starts must not share ids (P15).
    #[expect(clippy::cast_possible_wrap, reason = "bits are what is meant")]
    pub fn starting_at(millis: u64, server: ServerId) -> Self {
        let mut next = ((millis << 24) >> 8) as i64 | (server.number() << 56);
        if next == i64::MIN {
            // This number marks containers among the owners of nodes.
            next += 1;
        }
        Self { next }
    }

    /// Ids for a server whose wall clock is behind a time that has already been. They begin after that time
    /// and after as many ids as there have been transactions: every session took one, so that the next
    /// start, as far behind, does not begin at the same id.
    pub fn starting_behind(newest_millis: u64, last: Zxid, server: ServerId) -> Self {
        let mut ids = Self::starting_at(newest_millis.wrapping_add(1), server);
        ids.next = ids.next.wrapping_add(last.to_wire() & 0xffff_ffff);
        ids
    }

    /// Never hand out an id that is in use, whatever clock the one who made it had.
    pub fn skip_past(&mut self, used: SessionId) {
        let used = used.to_wire();
        if used >> 56 == self.next >> 56 && used >= self.next {
            self.next = used.wrapping_add(1);
        }
    }

    /// A new id.
    pub fn allocate(&mut self) -> SessionId {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        SessionId::from_wire(id)
    }
}

/// The password of a session: four draws of Java's linear congruential generator, seeded by the id.
///
/// It keeps nobody out who can guess the id; it is what Apache's servers check, and sessions must be
/// able to move to and from them.
pub fn password(session: SessionId) -> [u8; PASSWORD_LEN] {
    const SECRET: u64 = 0xb341_5c00;
    const MULTIPLIER: u64 = 0x5_deec_e66d;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (session.to_wire().cast_unsigned() ^ SECRET ^ MULTIPLIER) & MASK;
    let mut password = [0; PASSWORD_LEN];
    for word in password.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xb) & MASK;
        let draw = (state >> 16).to_le_bytes();
        word.copy_from_slice(draw.first_chunk::<4>().expect("eight bytes hold four"));
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_those_of_real_servers() {
        let check = |id: i64, expected: &str| {
            let hex: String = password(SessionId::from_wire(id))
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            assert_eq!(hex, expected);
        };
        check(0x0100_0015_3fbe_0000, "600eac1a6d90413d3e38294ffeeedeef");
        check(0x0100_0026_c67c_0000, "46f8b1045bcbf2459423f9f49c661dde");
        check(0x0100_0026_d7e8_0001, "bd789efc8f8ce8868d6e036024f17f18");
    }

    #[test]
    fn an_id_names_its_server_and_is_never_given_twice() {
        let mut ids = SessionIds::starting_at(1_795_206_646_220, ServerId::new(1));
        let first = ids.allocate();
        assert_eq!(first.to_wire() >> 56, 1);
        assert_eq!(first.to_wire() & 0xffff, 0);
        assert_eq!(ids.allocate().to_wire(), first.to_wire() + 1);
        let restored = SessionId::from_wire(first.to_wire() + 500);
        ids.skip_past(restored);
        assert!(ids.allocate() > restored);
        let wall = 1_795_206_646_220;
        let behind = |txns: i64| {
            let last = Zxid::from_wire(0x7_0000_0000 | txns);
            SessionIds::starting_behind(wall, last, ServerId::new(1)).allocate()
        };
        assert!(behind(0).to_wire() - first.to_wire() >= 1 << 16);
        assert_eq!(behind(5).to_wire() - behind(0).to_wire(), 5);
        assert_eq!(behind(5).to_wire() >> 56, 1);
    }
}
