//! Preparing the creation of a node: modes, TTLs, names and owners.

use super::ephemerals::listed_len;
use super::owner::{CONTAINER, MAX_TTL, Owner};
use super::pending::View;
use super::prepare::{Preparation, Refusal, Standing, check_path, parent_of};
use super::{edit, size};
use zk_proto::txn::{Creation, Txn};
use zk_proto::{Create, CreateMode, ErrorCode, OpCode, Perms, StoredStat, Version};

/// Which transaction a create becomes. The operation decides, not the flags: a container may so be
/// created with the flags of a sequential node, and gets its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Create2,
    Container,
    Ttl,
}

impl Kind {
    /// Outside of a multi.
    pub(super) const fn of(op: OpCode) -> Self {
        match op.to_wire() {
            15 => Self::Create2,
            19 => Self::Container,
            21 => Self::Ttl,
            _ => Self::Create,
        }
    }

    /// Inside a multi the flags have their say.
    pub(super) fn in_multi(op: OpCode, mode: CreateMode) -> Self {
        let kind = Self::of(op);
        if mode == CreateMode::Container {
            Self::Container
        } else if kind == Self::Ttl && !mode.is_ttl() {
            Self::Create
        } else {
            kind
        }
    }

    const fn creation(self, ephemeral: bool, ttl: i64) -> Creation {
        match self {
            Self::Create => Creation::Create { ephemeral },
            Self::Create2 => Creation::Create2 { ephemeral },
            Self::Container => Creation::Container,
            Self::Ttl => Creation::Ttl(ttl),
        }
    }
}

/// Prepares a create.
pub(super) fn create(
    preparation: &mut Preparation<'_>,
    create: &Create<'_>,
    kind: Kind,
) -> Result<Txn, Refusal> {
    let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
    let ttl = if kind == Kind::Ttl { create.ttl } else { -1 };
    check_ttl(preparation, mode, kind, ttl)?;
    check_owner(preparation, mode)?;
    let above = parent_of(&create.path)?;
    let acl = preparation.fix_up(create.acl.as_deref())?;
    let mut parent = preparation.view(above)?;
    preparation.check_access(&parent.acl, Perms::CREATE)?;
    let path = if mode.is_sequential() {
        format!("{}{:010}", create.path, parent.stat.cversion.0)
    } else {
        create.path.clone().into_owned()
    };
    check_path(&path)?;
    if preparation.view(&path).is_ok() {
        return Err(ErrorCode::NodeExists.into());
    }
    let rules = &preparation.tree.rules;
    if matches!(
        Owner::from_raw(parent.stat.ephemeral_owner, rules),
        Owner::Session(_)
    ) {
        return Err(ErrorCode::NoChildrenForEphemerals.into());
    }
    preparation.check_quota(&path, 1, edit::length(create.data))?;
    let creation = kind.creation(mode.is_ephemeral(), ttl);
    let owned = matches!(
        creation,
        Creation::Create { ephemeral: true } | Creation::Create2 { ephemeral: true }
    );
    if owned {
        check_closable(preparation, &path)?;
    }
    let node = view(
        preparation,
        creation,
        &path,
        create.data,
        preparation.tree.acls.share(&acl),
    );
    let cversion = note_child(&mut parent, preparation.stamp.zxid);
    preparation.put(above, Some(parent));
    preparation.put(&path, Some(node));
    if owned {
        preparation.pending.own_last(preparation.asker.session);
    }
    Ok(Txn::Create {
        creation,
        path,
        data: preparation.slice(create.data),
        acl,
        parent_cversion: cversion,
    })
}

/// A node that ages needs the feature, the operation and a TTL in range; no other may have one.
fn check_ttl(
    preparation: &Preparation<'_>,
    mode: CreateMode,
    kind: Kind,
    ttl: i64,
) -> Result<(), ErrorCode> {
    if mode.is_ttl() && !preparation.tree.rules.extended_types {
        return Err(ErrorCode::Unimplemented);
    }
    let fits = match (mode.is_ttl(), kind) {
        (true, Kind::Ttl) => (1..=MAX_TTL).contains(&ttl),
        (false, Kind::Create | Kind::Create2 | Kind::Container) => true,
        // The operation with a TTL and flags without one, where Java's server dies of a negative TTL;
        // or flags with one and an operation that has no place for it.
        (false, Kind::Ttl) | (true, _) => false,
    };
    if fits {
        Ok(())
    } else {
        Err(ErrorCode::BadArguments)
    }
}

fn check_owner(preparation: &Preparation<'_>, mode: CreateMode) -> Result<(), ErrorCode> {
    preparation.check_session()?;
    if mode.is_ephemeral() && preparation.asker.standing == Standing::Local {
        return Err(ErrorCode::EphemeralOnLocalSession);
    }
    Ok(())
}

/// S64, ZOOKEEPER-4306: the transaction that will close the session lists all its nodes and must be
/// readable too. What Java would accept and later choke on is refused as over quota.
fn check_closable(preparation: &Preparation<'_>, path: &str) -> Result<(), ErrorCode> {
    let session = preparation.asker.session;
    let applied = preparation.tree.ephemerals.bytes_of(session);
    let in_flight = preparation.pending.created_len(session);
    let listed = applied + in_flight + listed_len(path);
    if size::closing_len(listed) > preparation.tree.rules.max_txn_len {
        return Err(ErrorCode::QuotaExceeded);
    }
    Ok(())
}

fn view(
    preparation: &Preparation<'_>,
    creation: Creation,
    path: &str,
    data: Option<&[u8]>,
    acl: std::sync::Arc<[zk_proto::Acl]>,
) -> View {
    let (zxid, time) = (preparation.stamp.zxid, preparation.stamp.time);
    let ephemeral_owner = match creation {
        Creation::Create { ephemeral } | Creation::Create2 { ephemeral } => {
            if ephemeral {
                preparation.asker.session.to_wire()
            } else {
                0
            }
        }
        Creation::Container => CONTAINER,
        Creation::Ttl(ttl) => Owner::ttl_to_raw(ttl, &preparation.tree.rules),
    };
    View {
        stat: StoredStat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            ephemeral_owner,
            ..StoredStat::default()
        },
        children: 0,
        acl,
        prefix: preparation.prefix(path, data),
    }
}

/// Counts a child in its parent and returns the count for the transaction.
///
/// Decision: a count that wraps around is not kept, because applying keeps only a larger one; the next
/// sequential name is then taken, as it is in Java once nothing is in flight. (Java's overlay does keep
/// it, and makes names of negative numbers until it is applied.)
fn note_child(parent: &mut View, zxid: zk_proto::Zxid) -> i32 {
    let cversion = parent.stat.cversion.next();
    parent.children += 1;
    if cversion > parent.stat.cversion {
        parent.stat.cversion = cversion;
        parent.stat.pzxid = zxid;
    }
    cversion.0
}

const _: () = assert!(Version(i32::MAX).next().0 == i32::MIN);
