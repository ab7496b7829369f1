//! What must hold after every step, whatever happened. In debug builds each step ends here.

use crate::{LAST_EPOCH, Role, Zab};
use zk_proto::Zxid;

impl Zab {
    /// Panics if something is not as it must be (I2, I16, I19).
    pub(crate) fn check(&self) {
        let me = &self.me;
        me.history.check();
        if self.election.is_none() {
            return;
        }
        let (accepted, current) = (me.promises.accepted(), me.promises.current());
        assert!(current <= accepted, "promised before held (I2)");
        assert!(accepted.number() <= LAST_EPOCH, "epochs have 31 bits");
        assert!(
            me.history.logged().epoch() <= accepted,
            "logged after promised (I2)"
        );
        match &self.role {
            Role::Leading(leader) if leader.serves() => {
                assert_eq!(
                    leader.epoch(),
                    Some(current),
                    "a leader holds its own epoch"
                );
                assert_eq!(accepted, current, "a leader has promised nobody else");
            }
            Role::Learning(learner) if learner.serves() => {
                assert_eq!(
                    accepted, current,
                    "a learner serves in the epoch it promised"
                );
                assert!(me.history.is_whole(), "nobody serves from half a history");
            }
            Role::Leading(_) | Role::Learning(_) => {}
            Role::Looking(_) | Role::Retired => {
                assert!(self.next_zxid().is_none(), "only leaders propose");
            }
        }
        let last = self.next_zxid().unwrap_or(Zxid::NONE);
        assert!(
            last == Zxid::NONE || last > me.history.logged(),
            "zxids only grow (I16)"
        );
    }
}
