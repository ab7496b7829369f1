//! The end of the faults, and what must be true then.

use crate::network::Item;
use crate::world::World;
use zk_zab::LinkId;

impl World {
    /// A connection breaks: both ends are told, each in its time.
    pub(crate) fn break_link(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        let ends = link.ends;
        for side in [0, 1] {
            let pipe = &mut link.pipes[side];
            // What was under way is lost at any point.
            let keep = self.rng.index(pipe.items.len() + 1);
            pipe.items.truncate(keep);
        }
        for server in ends {
            let Some(link) = self.network.links.get_mut(&id) else {
                return;
            };
            if !link.to(server).ended {
                link.to(server).ended = true;
                self.put(id, server, Item::End);
            }
        }
    }

    /// All faults end.
    pub(crate) fn heal(&mut self) {
        self.chaos.calm();
        self.network.blocked.clear();
        for server in 0..self.servers.len() {
            if self.alive(server).is_none_or(|alive| alive.resigned) {
                self.crash(server);
                self.start(server);
            }
        }
    }

    /// Everyone serves, has the same, and it is all that ever stood (P36).
    pub(crate) fn must_be_whole(&mut self) {
        let settled = self.now + 4_000;
        self.chaos.stop_writing();
        self.run(settled);
        for server in 0..self.servers.len() {
            let alive = self.alive(server).expect("it was started");
            assert!(alive.serves, "P36: {server} serves");
        }
        for server in 0..self.servers.len() {
            let alive = self.alive(server).expect("it was started");
            assert!(
                alive.applied == self.ghost.stands,
                "P36: {server} has all that stands"
            );
            assert!(
                self.servers[server].disk.content() == self.ghost.stands,
                "I18: {server}"
            );
        }
    }
}
