//! Bugs of the past, to be put back one at a time, so that simulations prove that they would find them.
//!
//! Each was in some release of ZooKeeper, or of a system like it, or is what its papers and specifications warn
//! of. Without the feature `canaries`, which only tests have, none can be, and nothing of this is left.

/// A bug.
#[cfg_attr(
    not(feature = "canaries"),
    expect(unreachable_pub, reason = "it is reached by tests alone")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Canary {
    /// NEWLEADER is acknowledged before the history is durable (ZOOKEEPER-3911, 3023, 4646, 4785).
    AckBeforeHistory,
    /// NEWLEADER is acknowledged before its epoch is durable (ZOOKEEPER-4643, 2307).
    AckBeforeEpoch,
    /// An epoch is promised before the promise is durable (S28, ZOOKEEPER-1291).
    PromiseBeforeDisk,
    /// A leader asks for promises before its own is durable (ZOOKEEPER-1291).
    AskBeforeDisk,
    /// A leader counts itself before its epoch is durable (O4).
    LeadBeforeDisk,
    /// Any ACK is taken for that of NEWLEADER, and a learner sends others first (ZOOKEEPER-4685).
    AnyAckIsNewLeaders,
    /// COMMITs are sent between NEWLEADER and UPTODATE (ZOOKEEPER-4394).
    TrafficBeforeUpToDate,
    /// A server votes while its disk still works for the role it has left (ZOOKEEPER-4712, 4541).
    VoteBeforeRest,
    /// A server votes for what it has applied, not for what it has logged (ZOOKEEPER-2845).
    VoteForApplied,
    /// A learner whose last transaction the leader does not have gets a DIFF (ZOOKEEPER-2832).
    DiffForStrangers,
    /// A learner's tail that never stood is left to it (ZOOKEEPER-1154).
    TailStays,
    /// NEWLEADER is sent ahead of the history it ends (ZOOKEEPER-3104).
    NewLeaderAhead,
    /// What is proposed while a learner is synchronised is not sent to it (Zab specification, issue 1).
    ProposalsLostInSync,
    /// A snapshot that never came is taken for one that has (ZOOKEEPER-3642).
    HalfSnapshotKept,
    /// Observers are counted (S48, ZOOKEEPER-2959).
    ObserversCount,
    /// What a quorum holds is read from a table that is not sorted (S38).
    UnsortedProgress,
    /// A follower acknowledges what it has appended (S37, P20).
    AckBeforeDurable,
    /// A leader acknowledges to itself what it has appended (I14).
    OwnAckBeforeDurable,
    /// A transaction is delivered before it is in the own log (I18).
    DeliverBeforeDurable,
    /// A leader serves before a quorum has its history (I11).
    ServeBeforeQuorum,
    /// A leader takes what it has logged for what stands, before it has a quorum (ZOOKEEPER-1549).
    CommitOwnTail,
    /// A leader leads servers that know more than it does (I11).
    LeadTheAhead,
    /// What a learner once acknowledged counts while its log is cut (S56).
    StaleProgress,
    /// An epoch's counter has no end (S54, ZOOKEEPER-1277).
    EndlessCounter,
    /// A server votes with an epoch older than its history (S77).
    EpochNotRaised,
    /// A voter whose data are gone promises as if it had never promised (S35, ZOOKEEPER-261, 2325).
    EmptyVoterCounts,
    /// A voter whose data are gone takes the part of them that it was given again for all of them (P26).
    PartTakenForAll,
    /// A leader that stood still goes on where it was (P30).
    LeaseIgnored,
    /// A learner is brought up to date with a part of the history, as if that were all (ZOOKEEPER-4925).
    WindowWithAHole,
}

#[cfg(feature = "canaries")]
mod cage {
    use super::Canary;
    use std::cell::Cell;

    thread_local! {
        static SINGING: Cell<Option<Canary>> = const { Cell::new(None) };
    }

    impl Canary {
        /// All of them.
        pub const ALL: [Self; 29] = [
            Self::AckBeforeHistory,
            Self::AckBeforeEpoch,
            Self::PromiseBeforeDisk,
            Self::AskBeforeDisk,
            Self::LeadBeforeDisk,
            Self::AnyAckIsNewLeaders,
            Self::TrafficBeforeUpToDate,
            Self::VoteBeforeRest,
            Self::VoteForApplied,
            Self::DiffForStrangers,
            Self::TailStays,
            Self::NewLeaderAhead,
            Self::ProposalsLostInSync,
            Self::HalfSnapshotKept,
            Self::ObserversCount,
            Self::UnsortedProgress,
            Self::AckBeforeDurable,
            Self::OwnAckBeforeDurable,
            Self::DeliverBeforeDurable,
            Self::ServeBeforeQuorum,
            Self::CommitOwnTail,
            Self::LeadTheAhead,
            Self::StaleProgress,
            Self::EndlessCounter,
            Self::EpochNotRaised,
            Self::EmptyVoterCounts,
            Self::PartTakenForAll,
            Self::LeaseIgnored,
            Self::WindowWithAHole,
        ];

        /// Puts a bug back, or none, for this thread.
        pub fn put_back(bug: Option<Self>) {
            SINGING.set(bug);
        }

        /// Whether it is back.
        pub(crate) fn sings(self) -> bool {
            SINGING.get() == Some(self)
        }
    }
}

#[cfg(not(feature = "canaries"))]
impl Canary {
    /// Never.
    pub(crate) const fn sings(self) -> bool {
        false
    }
}
