//! The tree as one would write it down without a thought for memory, speed or pipelining: a map from
//! paths to nodes, operations executed one after the other. Shares no code with the tree.

use std::collections::{BTreeMap, BTreeSet};
use zk_proto::{
    Acl, ErrorCode, MultiResult, Perms, Reply, SessionId, Stat, StoredStat, Version, Zxid,
};

/// An operation, as plain data.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Create {
        op: i32,
        path: String,
        data: Option<Vec<u8>>,
        acl: AclKind,
        flags: i32,
        ttl: i64,
    },
    Delete {
        path: String,
        version: i32,
    },
    SetData {
        path: String,
        data: Option<Vec<u8>>,
        version: i32,
    },
    SetAcl {
        path: String,
        acl: AclKind,
        version: i32,
    },
    Check {
        path: String,
        version: i32,
    },
    Multi(Vec<Self>),
    Open,
    Close,
    Reap {
        path: String,
    },
}

/// After how many milliseconds a container goes that never had a child.
pub(super) const NEVER_USED: i64 = 7;

/// A few ACLs to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AclKind {
    Open,
    ReadOnly,
    /// Everything for whoever asks, and creation for all.
    Mine,
    /// With a repeated entry.
    Twice,
    Empty,
    /// A scheme that nobody knows.
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) data: Option<Vec<u8>>,
    pub(super) acl: Vec<Acl>,
    pub(super) stat: StoredStat,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) sessions: BTreeSet<i64>,
}

pub(super) struct At {
    pub(super) session: i64,
    pub(super) zxid: i64,
    pub(super) time: i64,
}

/// The digest identity that a session's connection has.
pub(super) fn user_of(session: i64) -> String {
    format!("user{session}:hash")
}

const CONTAINER: i64 = i64::MIN;

impl Model {
    pub(super) fn new() -> Self {
        let node = |perms, aversion| Node {
            data: Some(vec![]),
            acl: vec![Acl::world(perms)],
            stat: StoredStat {
                aversion: Version(aversion),
                ..StoredStat::default()
            },
        };
        let open = || node(Perms::ALL, 0);
        Self {
            nodes: BTreeMap::from([
                (String::new(), open()),
                ("/zookeeper".into(), open()),
                ("/zookeeper/quota".into(), open()),
                ("/zookeeper/config".into(), node(Perms::READ, -1)),
            ]),
            sessions: BTreeSet::new(),
        }
    }

    pub(super) fn children(&self, path: &str) -> Vec<&str> {
        let below = format!("{path}/");
        self.nodes
            .keys()
            .filter_map(|other| other.strip_prefix(&below))
            .filter(|name| !name.contains('/') && !name.is_empty())
            .collect()
    }

    pub(super) fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[path];
        let s = node.stat;
        let children = i32::try_from(self.children(path).len()).unwrap();
        let owner = s.ephemeral_owner;
        let is_session = owner != CONTAINER && owner >> 56 != -1;
        Stat {
            czxid: s.czxid,
            mzxid: s.mzxid,
            ctime: s.ctime,
            mtime: s.mtime,
            version: s.version,
            cversion: Version(2 * s.cversion.0 - children),
            aversion: s.aversion,
            ephemeral_owner: SessionId::from_wire(if is_session { owner } else { 0 }),
            data_length: node
                .data
                .as_ref()
                .map_or(0, |data| data.len().try_into().unwrap()),
            num_children: children,
            pzxid: s.pzxid,
        }
    }

    /// The digest, from its definition.
    pub(super) fn digest(&self) -> u64 {
        let of = |(path, node): (&String, &Node)| {
            let s = node.stat;
            let mut bytes = path.as_bytes().to_vec();
            bytes.extend(node.data.iter().flatten());
            for long in [
                s.czxid.to_wire(),
                s.mzxid.to_wire(),
                s.pzxid.to_wire(),
                s.ctime,
                s.mtime,
            ] {
                bytes.extend(long.to_be_bytes());
            }
            for int in [s.version.0, s.cversion.0, s.aversion.0] {
                bytes.extend(int.to_be_bytes());
            }
            bytes.extend(s.ephemeral_owner.to_be_bytes());
            u64::from(crc32fast::hash(&bytes))
        };
        self.nodes
            .iter()
            .filter(|(path, _)| !path.starts_with("/zookeeper/"))
            .map(of)
            .fold(0, u64::wrapping_add)
    }

    pub(super) fn execute(&mut self, at: &At, op: &Op) -> Result<Reply, ErrorCode> {
        match op {
            Op::Open => {
                self.sessions.insert(at.session);
                Ok(Reply::Empty)
            }
            Op::Close => {
                self.close(at);
                Ok(Reply::Empty)
            }
            Op::Reap { path } => self.reap(at, path),
            Op::Multi(ops) => Ok(Reply::Multi(self.multi(at, ops))),
            Op::Check { .. } => Err(ErrorCode::Unimplemented),
            Op::Create { .. } | Op::Delete { .. } | Op::SetData { .. } | Op::SetAcl { .. } => {
                self.one(at, op, false)
            }
        }
    }

    fn one(&mut self, at: &At, op: &Op, in_multi: bool) -> Result<Reply, ErrorCode> {
        match op {
            Op::Create { .. } => self.create(at, op, in_multi),
            Op::Delete { path, version } => self.delete(at, path, *version),
            Op::SetData {
                path,
                data,
                version,
            } => self.set_data(at, path, data.clone(), *version),
            Op::SetAcl { path, acl, version } => self.set_acl(at, path, *acl, *version),
            Op::Check { path, version } => {
                self.alive(at)?;
                valid(path)?;
                let node = self.node(path)?;
                allowed(at, node, Perms::READ)?;
                expect(node.stat.version, *version)?;
                Ok(Reply::Empty)
            }
            Op::Multi(_) | Op::Open | Op::Close | Op::Reap { .. } => unreachable!(),
        }
    }

    fn multi(&mut self, at: &At, ops: &[Op]) -> Vec<MultiResult> {
        let before = self.clone();
        let mut results = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            match self.one(at, op, true) {
                Ok(Reply::Path(path)) => results.push(MultiResult::Create(path)),
                Ok(Reply::PathStat(path, stat)) => results.push(MultiResult::Create2(path, stat)),
                Ok(Reply::Stat(stat)) => results.push(MultiResult::SetData(stat)),
                Ok(_) if matches!(op, Op::Check { .. }) => results.push(MultiResult::Check),
                Ok(_) => results.push(MultiResult::Delete),
                Err(code) => {
                    *self = before;
                    let mut codes = vec![0; index];
                    codes.push(code.to_wire());
                    codes.resize(ops.len(), -2);
                    return codes.into_iter().map(MultiResult::Error).collect();
                }
            }
        }
        results
    }

    fn alive(&self, at: &At) -> Result<(), ErrorCode> {
        let alive = self.sessions.contains(&at.session);
        alive.then_some(()).ok_or(ErrorCode::SessionExpired)
    }

    fn node(&self, path: &str) -> Result<&Node, ErrorCode> {
        let path = if path == "/" { "" } else { path };
        self.nodes.get(path).ok_or(ErrorCode::NoNode)
    }

    fn node_mut(&mut self, path: &str) -> &mut Node {
        let path = if path == "/" { "" } else { path };
        self.nodes.get_mut(path).unwrap()
    }

    fn create(&mut self, at: &At, op: &Op, in_multi: bool) -> Result<Reply, ErrorCode> {
        let Op::Create {
            op,
            path,
            data,
            acl,
            flags,
            ttl,
        } = op
        else {
            unreachable!()
        };
        let (ephemeral, sequential, ages) = (
            matches!(flags, 1 | 3),
            matches!(flags, 2 | 3 | 6),
            matches!(flags, 5 | 6),
        );
        let mut op = *op;
        if in_multi && *flags == 4 {
            op = 19;
        } else if in_multi && op == 21 && !ages {
            op = 1;
        }
        let ttl = if op == 21 { *ttl } else { -1 };
        if !(0..=6).contains(flags) || (ages && !(1..1 << 40).contains(&ttl)) || (!ages && op == 21)
        {
            return Err(ErrorCode::BadArguments);
        }
        self.alive(at)?;
        let (above, _) = path.rsplit_once('/').ok_or(ErrorCode::BadArguments)?;
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = fixed(at, *acl)?;
        let parent = self.node(above)?;
        allowed(at, parent, Perms::CREATE)?;
        let count = parent.stat.cversion.0;
        let path = if sequential {
            format!("{path}{count:010}")
        } else {
            path.clone()
        };
        valid(&path)?;
        if self.node(&path).is_ok() {
            return Err(ErrorCode::NodeExists);
        }
        let parent_owner = parent.stat.ephemeral_owner;
        if parent_owner != 0 && parent_owner != CONTAINER && parent_owner >> 56 != -1 {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let owner = match op {
            19 => CONTAINER,
            21 => -1 << 56 | ttl,
            _ if ephemeral => at.session,
            _ => 0,
        };
        self.count_child(at, above);
        let node = Node {
            data: data.clone(),
            acl,
            stat: born(at, owner),
        };
        self.nodes.insert(path.clone(), node);
        Ok(match op {
            1 => Reply::Path(path),
            _ => Reply::PathStat(path.clone(), self.stat(&path)),
        })
    }

    fn count_child(&mut self, at: &At, path: &str) {
        let parent = self.node_mut(path);
        parent.stat.cversion.0 += 1;
        parent.stat.pzxid = Zxid::from_wire(at.zxid);
    }

    fn delete(&mut self, at: &At, path: &str, version: i32) -> Result<Reply, ErrorCode> {
        self.alive(at)?;
        let above = deletable(path)?;
        allowed(at, self.node(above)?, Perms::DELETE)?;
        let node = self.node(path)?;
        expect(node.stat.version, version)?;
        if !self.children(path).is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(at, path);
        Ok(Reply::Empty)
    }

    fn remove(&mut self, at: &At, path: &str) {
        let (above, _) = path.rsplit_once('/').unwrap();
        self.node_mut(above).stat.pzxid = Zxid::from_wire(at.zxid);
        self.nodes.remove(path).unwrap();
    }

    fn reap(&mut self, at: &At, path: &str) -> Result<Reply, ErrorCode> {
        deletable(path)?;
        let owner = self.node(path)?.stat.ephemeral_owner;
        if !self.children(path).is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        let stat = &self.node(path)?.stat;
        let age = at.time - stat.mtime;
        let due = match owner {
            CONTAINER => stat.cversion.0 > 0 || age > NEVER_USED,
            ttl if ttl >> 56 == -1 => age > ttl & ((1 << 40) - 1),
            _ => false,
        };
        if !due {
            return Err(ErrorCode::BadVersion);
        }
        self.remove(at, path);
        Ok(Reply::Empty)
    }

    fn set_data(
        &mut self,
        at: &At,
        path: &str,
        data: Option<Vec<u8>>,
        version: i32,
    ) -> Result<Reply, ErrorCode> {
        self.alive(at)?;
        valid(path)?;
        let node = self.node(path)?;
        allowed(at, node, Perms::WRITE)?;
        expect(node.stat.version, version)?;
        let node = self.node_mut(path);
        node.data = data;
        node.stat.version.0 += 1;
        node.stat.mzxid = Zxid::from_wire(at.zxid);
        node.stat.mtime = at.time;
        Ok(Reply::Stat(self.stat(if path == "/" { "" } else { path })))
    }

    fn set_acl(
        &mut self,
        at: &At,
        path: &str,
        acl: AclKind,
        version: i32,
    ) -> Result<Reply, ErrorCode> {
        self.alive(at)?;
        valid(path)?;
        let acl = fixed(at, acl)?;
        let node = self.node(path)?;
        allowed(at, node, Perms::ADMIN)?;
        expect(node.stat.aversion, version)?;
        let node = self.node_mut(path);
        node.acl = acl;
        node.stat.aversion.0 += 1;
        Ok(Reply::Stat(self.stat(if path == "/" { "" } else { path })))
    }

    fn close(&mut self, at: &At) {
        let owned = |node: &Node| node.stat.ephemeral_owner == at.session;
        let paths = self.nodes.iter().filter(|(_, node)| owned(node));
        let paths: Vec<String> = paths.map(|(path, _)| path.clone()).collect();
        for path in paths {
            self.remove(at, &path);
        }
        self.sessions.remove(&at.session);
    }
}

fn born(at: &At, owner: i64) -> StoredStat {
    let zxid = Zxid::from_wire(at.zxid);
    StoredStat {
        czxid: zxid,
        mzxid: zxid,
        pzxid: zxid,
        ctime: at.time,
        mtime: at.time,
        ephemeral_owner: owner,
        ..StoredStat::default()
    }
}

fn deletable(path: &str) -> Result<&str, ErrorCode> {
    let special = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
    let (above, _) = path.rsplit_once('/').ok_or(ErrorCode::BadArguments)?;
    if special.contains(&path) || path.contains('\0') {
        return Err(ErrorCode::BadArguments);
    }
    Ok(above)
}

/// The generator's paths are odd only in a few ways.
fn valid(path: &str) -> Result<(), ErrorCode> {
    let odd = path != "/"
        && (!path.starts_with('/')
            || path.ends_with('/')
            || path.contains('\0')
            || path
                .split('/')
                .skip(1)
                .any(|name| matches!(name, "" | "." | "..")));
    if odd {
        return Err(ErrorCode::BadArguments);
    }
    Ok(())
}

fn expect(current: Version, expected: i32) -> Result<(), ErrorCode> {
    if expected != -1 && expected != current.0 {
        return Err(ErrorCode::BadVersion);
    }
    Ok(())
}

fn allowed(at: &At, node: &Node, wanted: Perms) -> Result<(), ErrorCode> {
    let user = user_of(at.session);
    let allows = |acl: &Acl| {
        acl.perms.0 & wanted.0 != 0
            && (acl.scheme == "world" || (acl.scheme == "digest" && acl.id == user))
    };
    if node.acl.iter().any(allows) {
        return Ok(());
    }
    Err(ErrorCode::NoAuth)
}

fn fixed(at: &At, acl: AclKind) -> Result<Vec<Acl>, ErrorCode> {
    let read = Acl::world(Perms::READ);
    let mine = Acl::new(Perms::ALL, "digest", user_of(at.session));
    match acl {
        AclKind::Open => Ok(vec![Acl::world(Perms::ALL)]),
        AclKind::ReadOnly => Ok(vec![read]),
        AclKind::Mine => Ok(vec![mine, Acl::world(Perms::CREATE)]),
        AclKind::Twice => Ok(vec![read, Acl::new(Perms::ALL, "ip", "10.0.0.0/8")]),
        AclKind::Empty | AclKind::Unknown => Err(ErrorCode::InvalidAcl),
    }
}
