//! The written list of accepted differences between the reference and the subject. Whatever is not in it
//! is a failure. Each acceptance is counted and printed, so that a decision nobody needs any more is seen.

use zk_proto::OpCode;

/// One accepted difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// See [`Accepted::reason`].
    UndecodableZxid,
    /// See [`Accepted::reason`].
    ServerOnlyOp,
    /// See [`Accepted::reason`].
    NullField,
    /// See [`Accepted::reason`].
    Surrogates,
    /// See [`Accepted::reason`].
    WatchingConnections,
    /// See [`Accepted::reason`].
    BodyOfRefusal,
    /// See [`Accepted::reason`].
    HiddenCatchUp,
}

impl Accepted {
    const ALL: [Self; 7] = [
        Self::UndecodableZxid,
        Self::ServerOnlyOp,
        Self::NullField,
        Self::Surrogates,
        Self::WatchingConnections,
        Self::BodyOfRefusal,
        Self::HiddenCatchUp,
    ];

    const fn reason(self) -> &'static str {
        match self {
            Self::UndecodableZxid => {
                "a write that cannot be decoded may take a zxid of its own: 3.8.0 and a multi of 3.9 \
                 do, other writes of 3.9 borrow the latest; no client can rely on it, and an error \
                 transaction leaves no trace in the tree"
            }
            Self::ServerOnlyOp => {
                "deleteContainer (20) and createSession (-10) are for servers; the reference performs \
                 them for any client, without session or ACL check, and we refuse them"
            }
            Self::NullField => {
                "a null inside of a request, as in a part of a multi, makes all of it undecodable (-5) for \
                 us; the reference goes on with null and may tell an earlier part's refusal. Nothing \
                 changes either way. Requests whose own path is null are compared"
            }
            Self::Surrogates => {
                "characters beyond the basic plane leave us as UTF-8; the reference writes each half of \
                 the pair by itself, which is not UTF-8 and which its own reader takes for garbage"
            }
            Self::WatchingConnections => {
                "wchs: the reference goes on counting connections whose watches have all fired; we count \
                 those that wait for something. Paths and totals are compared"
            }
            Self::BodyOfRefusal => {
                "a multiRead that holds writes is refused with -5 by both; the reference puts an empty \
                 list of results behind the refusal, which no client reads"
            }
            Self::HiddenCatchUp => {
                "setWatches tells what was missed only to those who may read the node; the reference \
                 filters events of live watches, not these. It is asked itself whether the client may"
            }
        }
    }
}

/// Differences that are avoided rather than accepted: the reference does not survive them, or its answer
/// is a race, so the generator never asks.
const NEVER_ASKED: [&str; 9] = [
    "createTTL outside of a multi with a mode that has no TTL and a negative TTL (kills the reference)",
    "quota nodes with text that is not a list of numbers (kills the reference when usage changes)",
    "writes behind a setACL in one packet (judged by the old or the new ACL, a race)",
    "writes behind a setWatches in one packet (who may read what it told is asked after the packet)",
    "two writes in one packet under enforced quotas (judged by applied usage, a race)",
    "(asked, but not compared) requests behind a closeSession: -12, -112 or no answer, a race",
    "addWatch with a null path (the reference keeps a watch on null; we refuse the request)",
    "ACLs of scheme ip with digits other than ASCII's (numbers for Java's parseInt; we refuse them: -114)",
    "anything in one packet with auth, sasl, unknown operations or closeSession (answered out of order)",
];

/// How often each difference was accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decisions {
    counts: [usize; Accepted::ALL.len()],
}

impl Decisions {
    pub(crate) fn count(&mut self, accepted: Accepted) {
        for (count, known) in self.counts.iter_mut().zip(Accepted::ALL) {
            *count += usize::from(known == accepted);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }

    pub(crate) fn print(&self) {
        println!("accepted differences:");
        for (count, accepted) in self.counts.iter().zip(Accepted::ALL) {
            println!("  {count:6} × {accepted:?}: {}", accepted.reason());
        }
        println!("never asked:");
        for what in NEVER_ASKED {
            println!("         {what}");
        }
    }
}

/// The answer to what cannot be decoded.
pub(crate) const MARSHALLING_ERROR: i32 = -5;

/// Whether an answer may or may not have used up a zxid.
pub(crate) fn may_skip_zxid(op: Option<i32>, err: i32) -> bool {
    err == MARSHALLING_ERROR
        && op.is_some_and(|op| {
            matches!(
                OpCode::from_wire(op),
                OpCode::Create
                    | OpCode::Create2
                    | OpCode::CreateContainer
                    | OpCode::CreateTtl
                    | OpCode::Delete
                    | OpCode::SetData
                    | OpCode::SetAcl
                    | OpCode::Multi
                    | OpCode::Reconfig
            )
        })
}
