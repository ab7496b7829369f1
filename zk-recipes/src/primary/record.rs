//! What stands in the nodes: who is, or was last, the primary; what each candidate has to offer.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The primary of a term, as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryRecord {
    /// The member's name.
    pub id: String,
    /// Where it is reached, in whatever form its clients understand.
    pub address: String,
    /// The number of its term: larger than those before.
    pub epoch: u64,
    /// Its candidate's node, by name.
    pub node: String,
    /// Whether it has ended its term by itself, so that nobody has to wait for it.
    pub clean: bool,
    /// How long after its last sign of life it may believe that it is the primary.
    pub lock_delay_ms: u64,
    /// Who it would like to come next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl PrimaryRecord {
    pub(super) fn lock_delay(&self) -> Duration {
        Duration::from_millis(self.lock_delay_ms)
    }
}

/// What a member would bring as a primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fitness {
    /// How far its copy of the data has come; more is better.
    pub offset: u64,
    /// Whether it could be the primary at all.
    pub eligible: bool,
}

/// What a candidate says of itself, in its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bid {
    pub(super) id: String,
    pub(super) address: String,
    pub(super) offset: u64,
    pub(super) eligible: bool,
}

/// The bytes of what is written; these types have some, always.
pub(super) fn text(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_json_that_others_may_read() {
        let record = PrimaryRecord {
            id: "ann".into(),
            address: "10.0.0.1:7000".into(),
            epoch: 7,
            node: "_c_x-latch-0000000003".into(),
            clean: false,
            lock_delay_ms: 6000,
            next: None,
        };
        let json = r#"{"id":"ann","address":"10.0.0.1:7000","epoch":7,"node":"_c_x-latch-0000000003","clean":false,"lock_delay_ms":6000}"#;
        assert_eq!(text(&record), json.as_bytes());
        assert_eq!(serde_json::from_str::<PrimaryRecord>(json).unwrap(), record);
    }
}
