//! How long a transaction is as bytes, without writing it.

use zk_proto::Acl;
use zk_proto::txn::{Creation, Txn};

/// A header and a digest.
const FRAME: usize = 32 + 12;

/// The length of a record with this transaction.
pub(super) fn record_len(txn: &Txn) -> usize {
    FRAME + txn_len(txn)
}

fn buffer(data: Option<&[u8]>) -> usize {
    4 + data.map_or(0, <[u8]>::len)
}

fn text(text: &str) -> usize {
    4 + text.len()
}

fn acl_len(acl: &[Acl]) -> usize {
    4 + acl
        .iter()
        .map(|entry| acl_entry(&entry.scheme, &entry.id))
        .sum::<usize>()
}

/// The length of one entry of an ACL.
pub(super) fn acl_entry(scheme: &str, id: &str) -> usize {
    4 + text(scheme) + text(id)
}

fn txn_len(txn: &Txn) -> usize {
    match txn {
        Txn::CreateSession { .. } | Txn::Error(_) => 4,
        Txn::CloseSession { paths } => paths.as_ref().map_or(0, |paths| {
            4 + paths.iter().map(|path| text(path)).sum::<usize>()
        }),
        Txn::Create {
            creation,
            path,
            data,
            acl,
            ..
        } => {
            let tail = match creation {
                Creation::Create { .. } | Creation::Create2 { .. } => 5,
                Creation::Container => 4,
                Creation::Ttl(_) => 12,
            };
            text(path) + buffer(data.as_deref()) + acl_len(acl) + tail
        }
        Txn::Delete { path } | Txn::DeleteContainer { path } => text(path),
        Txn::SetData { path, data, .. } | Txn::Reconfig { path, data, .. } => {
            text(path) + buffer(data.as_deref()) + 4
        }
        Txn::SetAcl { path, acl, .. } => text(path) + acl_len(acl) + 4,
        Txn::Check { path, .. } => text(path) + 4,
        Txn::Multi(parts) => 4 + parts.iter().map(|part| 8 + txn_len(part)).sum::<usize>(),
    }
}

/// The length of the record that would close a session, given what its paths take.
pub(super) const fn closing_len(listed: usize) -> usize {
    FRAME + 4 + listed
}
