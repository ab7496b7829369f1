//! The end of a log file: clean, torn, or damaged. One table.
//!
//! Pure. Facts about where the records end come in, one lettered row comes out. What is at stake: bytes
//! dropped that were acknowledged are a lost write (P19), bytes refused that were only torn are a
//! server that does not start (P24).
//!
//! | row | the records end ... | verdict |
//! |-----|---------------------|---------|
//! | A | at the file's end, or with zeros to the end | clean |
//! | B | at a whole seal | clean, or torn if more than zeros follows it; the newest file loses both |
//! | C | before what the mark or a seal says was durable of its records | damage |
//! | D | at a record whose checksum is right and that makes no sense, or is too long | damage: never a torn write |
//! | E | at once: no header, or only zeros; newest file | removed: no record of it was durable |
//! | F | at once: no header; an older file | damage |
//! | G | at once: a wrong header | damage |
//! | H | badly; newest file, for which the mark was made | torn: all behind is the last batch, never durable |
//! | I | badly; newest file, no mark, whole records behind | damage |
//! | J | as a crashed Java leaves it; newest file, no mark, nothing behind | torn |
//! | K | with a wrong checksum or length; newest file, no mark, nothing behind | damage, unless told otherwise |
//! | L | as a crashed Java leaves it; an older file | accepted if the next file continues without a gap |
//! | M | otherwise badly; an older file | damage |
//!
//! H holds even when whole records follow: sectors of one batch reach the disk in any order, the seal's
//! too. A batch that was finished has its seal, and then C judges what is before it; after a kill the
//! mark is exact, and H is about the last batch only.
//!
//! What it takes for H to drop what was acknowledged is in docs/DECISIONS.md.
//!
//! A mark that vouches for no record (the file was just begun) is no reason for C: E and F come first.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::disk::reader::LogEnd;
use crate::disk::record::{Defect, HEADER_LEN};

/// What is known besides the file itself.
#[derive(Clone, Copy, Debug)]
pub struct TailContext {
    /// Whether no log is newer.
    pub newest: bool,
    /// How far the mark says that this file is durable, if it is the one it names.
    pub marked: Option<u64>,
    /// Whether the operator accepts the loss of row K.
    pub drop_damaged_tail: bool,
}

/// What is to be done about the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Clean,
    /// Cut the file behind the last record. `torn` if bytes of a record are lost by that.
    Cut {
        /// Whether it is worth telling.
        torn: bool,
    },
    /// Remove the file.
    Remove,
    /// Go on with the next file, if that continues right after the last record.
    ContinueIfContiguous,
    /// Do not start.
    Damaged(Proof),
}

/// Why it is damage and no torn write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Proof {
    /// Rows C.
    #[error("everything before byte {0} had been durable")]
    Durable(u64),
    /// Row I.
    #[error("a whole record follows at byte {0}")]
    Survivor(u64),
    /// Row I, when looking further would take too long.
    #[error("whole records may follow")]
    MaybeSurvivor,
    /// Rows D and G.
    #[error("a torn write looks different")]
    NotTorn,
    /// Row K.
    #[error("a torn write cannot be told from damage here")]
    Ambiguous,
    /// Rows F and M.
    #[error("newer logs exist")]
    NotNewest,
}

/// Judges the end of a file.
pub fn judge(end: &LogEnd, context: &TailContext) -> Verdict {
    use Defect as D;
    let Some(defect) = end.defect else {
        return Verdict::Clean; // A; a file too short for its mark is recovery's to judge.
    };
    if defect == D::AboveLimit {
        return Verdict::Damaged(Proof::NotTorn); // D
    }
    let durable = context.marked.max(end.behind.sealed_from);
    let durable = durable.filter(|durable| *durable > HEADER_LEN as u64);
    if let Some(durable) = durable.filter(|durable| end.at < *durable) {
        return Verdict::Damaged(Proof::Durable(durable)); // C
    }
    if end.behind.seal_here {
        let torn = end.behind.dirty;
        return match context.newest {
            true => Verdict::Cut { torn },                  // B
            false if torn => Verdict::ContinueIfContiguous, // B
            false => Verdict::Clean,                        // B
        };
    }
    let header = matches!(defect, D::ShortHeader | D::BadMagic);
    match (defect, context.newest, context.marked.is_some()) {
        (D::Undecodable | D::AboveLimit, _, _) => Verdict::Damaged(Proof::NotTorn), // D
        (D::ShortHeader, true, _) => Verdict::Remove,                               // E
        (D::BadMagic, true, _) if end.behind.blank => Verdict::Remove,              // E
        (D::ShortHeader, false, _) => Verdict::Damaged(Proof::NotNewest),           // F
        (D::BadMagic, _, _) => Verdict::Damaged(Proof::NotTorn),                    // G
        (_, true, true) => {
            assert!(!header, "rows E to G");
            Verdict::Cut { torn: true } // H
        }
        (_, true, false) => judge_unmarked(defect, end, context), // I, J, K
        (D::CutOff | D::ZeroLength | D::BadEnd, false, _) => Verdict::ContinueIfContiguous, // L
        (D::BadChecksum | D::NegativeLength | D::HugeLength, false, _) => {
            Verdict::Damaged(Proof::NotNewest) // M
        }
    }
}

fn judge_unmarked(defect: Defect, end: &LogEnd, context: &TailContext) -> Verdict {
    if let Some(at) = end.behind.survivor {
        return Verdict::Damaged(Proof::Survivor(at)); // I
    }
    if end.behind.unsure {
        return Verdict::Damaged(Proof::MaybeSurvivor); // I
    }
    if matches!(defect, Defect::CutOff | Defect::ZeroLength | Defect::BadEnd)
        || context.drop_damaged_tail
    {
        return Verdict::Cut { torn: true }; // J, K told otherwise
    }
    Verdict::Damaged(Proof::Ambiguous) // K
}
