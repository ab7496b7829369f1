//! What goes wrong.

use super::model::SERVERS;
use super::{Event, World};

impl World {
    pub(super) fn fault(&mut self) {
        if self.evening {
            return;
        }
        match self.chance.below(8) {
            // The end is heard at once by the client; what is on its way may still arrive.
            0 | 1 => self.hang_up(),
            2 => {
                self.door = None;
                self.hang_up();
            }
            3 => {
                if let Some(link) = &mut self.link {
                    link.lost = true;
                }
            }
            4 => {
                if let Some(link) = &mut self.link {
                    link.deaf = true;
                }
            }
            5 => {
                self.closed_until = self.now + self.millis(15_000);
                self.door = None;
                self.hang_up();
            }
            // Who sleeps already does not wake earlier by it: what has arrived keeps its order.
            6 => {
                let until = self.now + self.millis(10_000);
                self.asleep_until = self.asleep_until.max(until);
            }
            _ => {
                let server = self.chance.below(SERVERS);
                let until = self.now + self.millis(8000);
                self.ensemble.isolate(server, until);
            }
        }
        self.later(120_000, Event::Fault);
    }
}
