//! The tree frozen at one zxid, as bytes, while it goes on changing.
//!
//! A walk visits every node in small steps. Between the steps transactions apply; a node about to change
//! that the walk has not reached yet is written first, as it was, and its ancestors before it. Nodes
//! younger than the image are not written. The result is exactly the tree at that zxid (unlike Java's
//! snapshots, which are a mixture), in Java's encoding: a node is path, data, ACL number and stat.
//!
//! Files, their headers, seals and compression belong to the disk.

use super::node::{NodeId, ROOT};
use super::store::Nodes;
use super::{Tree, Trust, acls};
use bytes::BufMut;
use zk_proto::Zxid;
use zk_proto::jute::JuteMut;

/// A step ends when it has written so many bytes: however large nodes are, nobody waits long for it.
const BYTES_PER_STEP: usize = 256 << 10;

/// A walk under way.
#[derive(Debug)]
pub(super) struct Image {
    /// What marks a node as written, or as too young.
    stamp: u32,
    /// The next node to visit.
    cursor: Option<NodeId>,
    /// Nodes written out of turn since the last step.
    spill: Vec<u8>,
}

impl Image {
    pub(super) const fn stamp(&self) -> u32 {
        self.stamp
    }

    /// A node without children goes: the walk must not stand on it.
    pub(super) fn forget(&mut self, nodes: &Nodes, id: NodeId) {
        if self.cursor == Some(id) {
            self.cursor = nodes.next_beside(ROOT, id);
        }
    }

    /// Writes a node, and before it those of its ancestors that are still to be written.
    fn write_with_ancestors(&mut self, nodes: &mut Nodes, id: NodeId) {
        let mut chain = vec![id];
        let mut at = id;
        while at != ROOT {
            at = nodes.get(at).parent;
            if nodes.get(at).stamp == self.stamp {
                break;
            }
            chain.push(at);
        }
        for id in chain.into_iter().rev() {
            write(nodes, id, self.stamp, &mut self.spill);
        }
    }
}

/// What the image is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// The last transaction in it.
    pub zxid: Zxid,
    /// Its digest, where digests are not switched off and the tree is known to be what its zxid says.
    pub digest: Option<u64>,
    /// How many nodes it has, with the root.
    pub nodes: usize,
}

/// Whether an image is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageProgress {
    /// There is more to come.
    More,
    /// The end mark was appended.
    Done,
}

/// Why an image cannot begin or go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Only one image is taken at a time.
    #[error("an image is being taken already")]
    Busy,
    /// None was begun, or it was aborted.
    #[error("no image is being taken")]
    None,
}

impl Tree {
    /// Freezes the tree as it is and appends what comes before the nodes: sessions and ACLs.
    pub fn begin_image(&mut self, out: &mut Vec<u8>) -> Result<ImageFacts, ImageError> {
        if self.image.is_some() {
            return Err(ImageError::Busy);
        }
        out.put_len(self.sessions.len());
        for (session, timeout) in &self.sessions {
            out.put_i64(session.to_wire());
            out.put_i32(*timeout);
        }
        out.put_len(self.acls.count());
        for (number, list) in self.acls.iter() {
            out.put_i64(i64::from(number));
            out.put_vector(list, |out, acl| acl.encode(out));
        }
        self.acls.hold();
        self.image_stamp += 1;
        self.image = Some(Image {
            stamp: self.image_stamp,
            cursor: Some(ROOT),
            spill: Vec::new(),
        });
        Ok(ImageFacts {
            zxid: self.last_zxid,
            // Of a mixture nothing is claimed.
            digest: self.digest().filter(|_| self.trust == Trust::Exact),
            nodes: self.nodes.count(),
        })
    }

    /// Visits at most so many nodes more and appends those that are to be written; fewer where they are
    /// large, none where changes have forced enough of them to be written already.
    pub fn step_image(
        &mut self,
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Result<ImageProgress, ImageError> {
        let image = self.image.as_mut().ok_or(ImageError::None)?;
        let before = out.len();
        if out.is_empty() {
            std::mem::swap(out, &mut image.spill);
        } else {
            out.append(&mut image.spill);
        }
        for _ in 0..budget {
            if out.len() - before >= BYTES_PER_STEP {
                break;
            }
            let Some(id) = image.cursor else {
                out.put_string("/");
                self.abort_image();
                return Ok(ImageProgress::Done);
            };
            if self.nodes.get(id).stamp != image.stamp {
                write(&mut self.nodes, id, image.stamp, out);
            }
            image.cursor = self.nodes.next_in(ROOT, id);
        }
        Ok(ImageProgress::More)
    }

    /// Whether an image is being taken.
    pub const fn is_imaging(&self) -> bool {
        self.image.is_some()
    }

    /// Bytes that wait for the next step, because changes forced them to be written.
    pub fn image_backlog(&self) -> usize {
        self.image.as_ref().map_or(0, |image| image.spill.len())
    }

    /// Gives the image up. Does nothing without one.
    pub fn abort_image(&mut self) {
        if self.image.take().is_some() {
            self.acls.unhold();
        }
    }

    /// A node is about to change or to go.
    pub(super) fn before_change(&mut self, id: NodeId) {
        if let Some(image) = &mut self.image
            && self.nodes.get(id).stamp != image.stamp
        {
            image.write_with_ancestors(&mut self.nodes, id);
        }
    }
}

fn write(nodes: &mut Nodes, id: NodeId, stamp: u32, out: &mut Vec<u8>) {
    nodes.get_mut(id).stamp = stamp;
    out.put_len(nodes.path_len(id));
    nodes.put_path(id, out);
    let node = nodes.get(id);
    out.put_buffer(node.data());
    out.put_i64(if node.acl == acls::OPEN {
        -1
    } else {
        i64::from(node.acl)
    });
    node.stored().encode(out);
}
