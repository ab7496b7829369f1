//! What the client asks, and who waits for it.

use super::checks::Asked;
use super::model::PATHS;
use super::{Event, World};
use crate::session::call::frame_of;
use crate::session::{Call, Slot, WatchWish};
use crate::watch::{SubscriptionId, WatchKind};
use std::time::Duration;
use zk_proto::{AddWatchMode, Request};

/// The number of a call, which waits for its answer for ever.
#[derive(Debug)]
pub(super) struct Waiter(pub(super) u64);

impl Slot for Waiter {
    fn is_abandoned(&self) -> bool {
        false
    }
}

impl World {
    pub(super) fn call(
        &mut self,
        request: &Request<'_>,
        asked: Asked,
        watch: Option<(u64, WatchKind)>,
    ) {
        let id = self.next_call;
        self.next_call += 1;
        let mut call = Call::new(request.op(), frame_of(request), Some(Waiter(id)));
        call.watch = watch.map(|(id, kind)| WatchWish {
            id: SubscriptionId(id),
            kind,
            dropped: false,
        });
        if !self.evening && self.chance.below(4) == 0 {
            call.deadline = Some(self.now + Duration::from_secs(2));
        }
        self.ledger.on_call(id, asked, call.deadline);
        self.step(|session, _, out| session.call(call, out));
    }

    /// A burst of calls of all kinds.
    pub(super) fn work(&mut self) {
        for _ in 0..=self.chance.below(12) {
            let at = self.chance.below(PATHS.len());
            self.call_at(at);
        }
        self.later(12_000, Event::Work);
    }

    fn call_at(&mut self, at: usize) {
        let path = PATHS[at];
        let watcher = self.next_watcher;
        match self.chance.below(8) {
            0..=2 => {
                let data = self.next_call.to_string();
                let set = Request::SetData {
                    path: path.into(),
                    data: Some(data.as_bytes()),
                    version: -1,
                };
                self.call(&set, Asked::Set(at), None);
            }
            3 => self.call(&Request::Sync { path: path.into() }, Asked::Sync, None),
            4 => {
                self.next_watcher += 1;
                let get = Request::GetData {
                    path: path.into(),
                    watch: true,
                };
                let asked = Asked::Get(at, Some(watcher));
                self.call(&get, asked, Some((watcher, WatchKind::Data)));
            }
            5 => {
                if let Some(old) = self.ledger.lasting(at) {
                    self.drop_watcher(old);
                    return;
                }
                self.next_watcher += 1;
                let add = Request::AddWatch {
                    path: path.into(),
                    mode: AddWatchMode::Persistent,
                };
                let asked = Asked::Watch(at, watcher);
                self.call(&add, asked, Some((watcher, WatchKind::Persistent)));
            }
            _ => {
                let get = Request::GetData {
                    path: path.into(),
                    watch: false,
                };
                self.call(&get, Asked::Get(at, None), None);
            }
        }
    }

    fn drop_watcher(&mut self, id: u64) {
        self.ledger.drop_watcher(id);
        self.step(|session, _, _| session.unwatch(SubscriptionId(id)));
    }
}
