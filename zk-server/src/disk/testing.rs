//! What several tests of this room need: the recorded directories, and a replica that only remembers.

use super::files::{Files, RealFiles};
use super::recovery::Replica;
use super::snapshot::{Refusal, SnapshotSink};
use super::store::LogRecord;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use zk_proto::txn::{self, Txn, TxnHeader, TxnRecord};
use zk_proto::{Acl, SessionId, StoredStat, Xid, Zxid};

/// The recorded files.
pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/disk")
        .join(name)
}

/// The bytes of a recorded file.
pub(crate) fn recorded(name: &str) -> Vec<u8> {
    std::fs::read(testdata(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every recorded directory of logs and snapshots.
pub(crate) const DIRECTORIES: [&str; 7] = [
    "standalone-3.8.0",
    "standalone-3.9.5-reopened",
    "member-3.8.0-follower",
    "member-3.8.0-truncated",
    "member-3.8.0-observer",
    "member-3.9.5-leader",
    "member-3.8.0-reconfig",
];

/// Copies a recorded `version-2` into an empty directory of `files`.
pub(crate) fn copy_recorded(name: &str, files: &dyn Files, to: &Path) {
    files.create_dir(to).unwrap();
    let from = testdata(name).join("version-2");
    for entry in RealFiles.list(&from).unwrap() {
        let bytes = std::fs::read(from.join(&entry.name)).unwrap();
        super::files::replace(files, &to.join(&entry.name), &bytes).unwrap();
    }
}

/// A transaction as the log takes it, with `len` bytes of data.
pub(crate) fn transaction(zxid: i64, len: usize) -> LogRecord {
    let zxid = Zxid::from_wire(zxid);
    let header = TxnHeader {
        session: SessionId::from_wire(1),
        cxid: Xid(7),
        zxid,
        time: 99,
    };
    let fill = u8::try_from(zxid.counter() % 251).unwrap();
    let txn = Txn::SetData {
        path: "/a".into(),
        data: Some(vec![fill; len].into()),
        version: zk_proto::Version(1),
    };
    let mut payload = Vec::new();
    txn::encode(&header, &txn, None, &mut payload);
    LogRecord {
        zxid,
        payload: payload.into(),
    }
}

/// Everything it was given, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) sessions: Vec<(SessionId, i32)>,
    pub(crate) acls: Vec<(i64, Vec<Acl>)>,
    pub(crate) nodes: Vec<(String, Option<Bytes>, i64, StoredStat)>,
    pub(crate) base: Zxid,
    pub(crate) applied: Vec<(Zxid, Bytes)>,
    /// What it says its digest is: what the records say, but for one.
    pub(crate) digest: Option<u64>,
    pub(crate) differs_at: Option<Zxid>,
}

impl SnapshotSink for Memory {
    fn session(&mut self, session: SessionId, timeout: i32) -> Result<(), Refusal> {
        self.sessions.push((session, timeout));
        Ok(())
    }

    fn acl(&mut self, id: i64, acl: Vec<Acl>) -> Result<(), Refusal> {
        self.acls.push((id, acl));
        Ok(())
    }

    fn node(
        &mut self,
        path: &str,
        data: Option<Bytes>,
        acl: i64,
        stat: StoredStat,
    ) -> Result<(), Refusal> {
        self.nodes.push((path.to_owned(), data, acl, stat));
        Ok(())
    }
}

impl Replica for Memory {
    fn reset(&mut self) {
        let differs_at = self.differs_at;
        *self = Self {
            differs_at,
            ..Self::default()
        };
    }

    fn restored(&mut self, zxid: Zxid) -> Result<(), Refusal> {
        self.base = zxid;
        Ok(())
    }

    fn start_empty(&mut self) {
        *self = Self::default();
    }

    fn apply(&mut self, record: &TxnRecord, payload: &Bytes) -> Result<(), Refusal> {
        assert_eq!(
            TxnRecord::decode(payload, payload.len()).as_ref(),
            Ok(record)
        );
        self.applied.push((record.header.zxid, payload.clone()));
        self.digest = record.digest.map(|found| found.digest);
        if self.differs_at == Some(record.header.zxid) {
            self.digest = Some(0xbad);
        }
        Ok(())
    }

    fn digest(&self) -> Option<u64> {
        self.digest
    }
}

impl Memory {
    /// The tree as the sections of a snapshot between header and first seal.
    pub(crate) fn image(&self) -> Vec<u8> {
        use bytes::BufMut;
        use zk_proto::jute::JuteMut;
        let mut out = Vec::new();
        out.put_len(self.sessions.len());
        for (session, timeout) in &self.sessions {
            out.put_i64(session.to_wire());
            out.put_i32(*timeout);
        }
        out.put_len(self.acls.len());
        for (id, acl) in &self.acls {
            out.put_i64(*id);
            out.put_len(acl.len());
            acl.iter().for_each(|entry| entry.encode(&mut out));
        }
        for (path, data, acl, stat) in &self.nodes {
            out.put_string(path);
            out.put_buffer(data.as_deref());
            out.put_i64(*acl);
            stat.encode(&mut out);
        }
        out.put_string("/");
        out
    }
}
