//! What the disk keeps of a file and of a directory: as it is seen, as it is durable, and what lies between.

use std::collections::BTreeMap;

/// What reaches the disk whole or not at all.
pub(super) const SECTOR: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
}

#[derive(Debug)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Size(usize),
}

pub(super) type Names = BTreeMap<String, usize>;

#[derive(Debug, Default)]
pub(super) struct Dir {
    pub(super) seen: Names,
    pub(super) durable: Names,
    pub(super) pending: Vec<NameChange>,
}

#[derive(Debug)]
pub(super) enum NameChange {
    Link(String, usize),
    Unlink(String),
    Rename(String, String),
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut Names) {
        match self {
            Self::Link(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

impl Inode {
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.seen, |_| true);
        self.pending.push(change);
    }

    pub(super) fn crash(&mut self, random: &mut u64) {
        let mood = below(random, 4);
        for change in self.pending.drain(..) {
            match mood {
                0 => {}
                1 => change.apply(&mut self.durable, |_| true),
                _ if matches!(change, Change::Size(_)) && below(random, 2) == 0 => {}
                _ => change.apply(&mut self.durable, |_| below(random, 2) == 0),
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

impl Change {
    /// Applies the sectors that are kept.
    pub(super) fn apply(&self, bytes: &mut Vec<u8>, mut keep: impl FnMut(usize) -> bool) {
        match self {
            Self::Size(size) => bytes.resize(*size, 0),
            Self::Write { at, bytes: written } => {
                let mut from = 0;
                while from < written.len() {
                    let sector = (at + from) / SECTOR;
                    let to = ((sector + 1) * SECTOR - at).min(written.len());
                    if keep(sector) {
                        if bytes.len() < at + to {
                            bytes.resize(at + to, 0);
                        }
                        bytes[at + from..at + to].copy_from_slice(&written[from..to]);
                    }
                    from = to;
                }
            }
        }
    }
}

/// A number below `bound`, from a SplitMix64.
pub(super) fn below(random: &mut u64, bound: usize) -> usize {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *random;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let bound = bound.max(1) as u64;
    usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap_or(0)
}
