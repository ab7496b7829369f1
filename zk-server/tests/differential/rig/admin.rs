//! The administrator: a session that may see everything, which compares whole trees and keeps them small.

use super::{ADMIN, Difference, Rig, Seen};
use crate::script::{Ask, Hello, Pace, digest_auth};
use zk_proto::{Acl, Perms, Reply, Request};

/// A tree of more nodes than this is cut down.
const MANY: usize = 160;
/// Requests in one packet.
const BATCH: usize = 60;

impl Rig {
    /// Logs in on both sides.
    pub(crate) fn enter(&mut self) -> Result<(), Difference> {
        let hello = Hello::new(i32::MAX, Some(false));
        let bases = self.each().map(|side| side.base());
        for (side, base) in self.each().into_iter().zip(bases) {
            side.lens.set_base(base);
        }
        self.open(ADMIN, hello, &[digest_auth("super:secret")], Pace::Whole)
            .map(drop)
    }

    /// Every node of both trees, seen by someone who may see all, must be the same.
    pub(super) fn compare_trees(&mut self) -> Result<(), Difference> {
        self.flush_all()?;
        self.walk("/", &mut |_| {})
    }

    /// Opens the root to everyone and deletes what is below, if it is much.
    pub(super) fn prune(&mut self) -> Result<(), Difference> {
        let open = Request::SetAcl {
            path: "/".into(),
            acl: Some(vec![Acl::world(Perms::ALL).into()]),
            version: -1,
        };
        self.exchange(ADMIN, &[Ask::new(1, &open)], Pace::Whole)?;
        let count = Ask::new(1, &Request::GetAllChildrenNumber { path: "/".into() });
        let seen = self.exchange(ADMIN, &[count], Pace::Whole)?;
        let few = seen.iter().any(|seen| {
            matches!(seen, Seen::Reply { body: Reply::Number(n), .. }
                if usize::try_from(*n).is_ok_and(|n| n < MANY))
        });
        if few {
            return Ok(());
        }
        let mut paths = Vec::new();
        self.walk("/", &mut |path| {
            let quota = path.starts_with("/zookeeper/quota/");
            if path != "/" && (quota || !path.starts_with("/zookeeper")) {
                paths.push(path.to_owned());
            }
        })?;
        // Parents were met before their children.
        let asks: Vec<Ask> = paths
            .iter()
            .rev()
            .map(|path| {
                let path = path.as_str().into();
                Ask::new(2, &Request::Delete { path, version: -1 })
            })
            .collect();
        for batch in asks.chunks(BATCH) {
            self.exchange(ADMIN, batch, Pace::Whole)?;
        }
        Ok(())
    }

    fn walk(&mut self, top: &str, visit: &mut dyn FnMut(&str)) -> Result<(), Difference> {
        let mut level = vec![top.to_owned()];
        while !level.is_empty() {
            let mut below = Vec::new();
            for paths in level.chunks(BATCH / 3) {
                let asks: Vec<Ask> = paths.iter().flat_map(|path| looks(path)).collect();
                let seen = self.exchange(ADMIN, &asks, Pace::Whole)?;
                let lists = seen.into_iter().filter_map(|seen| {
                    if let Seen::Reply {
                        body: Reply::Children(names, _),
                        ..
                    } = seen
                    {
                        Some(names)
                    } else {
                        None
                    }
                });
                for (path, names) in paths.iter().zip(lists) {
                    visit(path);
                    let base = path.trim_end_matches('/');
                    below.extend(names.iter().map(|name| format!("{base}/{name}")));
                }
            }
            level = below;
        }
        Ok(())
    }
}

fn looks(path: &str) -> [Ask; 3] {
    let watch = false;
    [
        Request::GetData {
            path: path.into(),
            watch,
        },
        Request::GetAcl { path: path.into() },
        Request::GetChildren2 {
            path: path.into(),
            watch,
        },
    ]
    .map(|request| Ask::new(3, &request))
}

impl super::Side {
    /// The zxid the server starts from.
    fn base(&self) -> i64 {
        crate::wire::four_letters(self.server.addr, "srvr")
            .and_then(|text| {
                let line = text
                    .lines()
                    .find_map(|line| line.strip_prefix("Zxid: 0x"))?;
                i64::from_str_radix(line, 16).ok()
            })
            .unwrap_or(0)
    }
}
