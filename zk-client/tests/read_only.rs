//! A member of Apache's ensemble that has lost the others and serves reads alone: the story is in `support/alone.rs`.
//!
//! Such a server knows no sessions but its own, local ones, and none at all unless `localSessionsEnabled`: one that an
//! ensemble opened is either over for it (a local one) or turned away without a word (one that was upgraded).
#![expect(
    clippy::unwrap_used,
    reason = "the functions a test is made of may fail as it does"
)]

#[path = "support/alone.rs"]
mod alone;
#[path = "support/apache.rs"]
#[expect(dead_code, reason = "what the tests of security need")]
mod apache;

use apache::{Apache, Running};
use std::cell::RefCell;

/// Two members are an ensemble in which neither can do without the other.
struct Pair<'a> {
    apache: &'a Apache,
    lines: String,
}

impl<'a> Pair<'a> {
    fn new(apache: &'a Apache) -> Self {
        let mut lines = "initLimit=20\nsyncLimit=10\nmaxSessionTimeout=60000\n\
                         localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n"
            .to_owned();
        for id in 1..=2 {
            let (quorum, election) = apache::two_free_addresses();
            let ports = format!("127.0.0.1:{}:{}", quorum.port(), election.port());
            lines += &format!("server.{id}={ports}\n");
        }
        Self { apache, lines }
    }

    fn member(&self, id: u32) -> Running {
        let files = [
            ("data/myid", format!("{id}\n")),
            ("jaas.conf", String::new()),
        ];
        self.apache.launch(&self.lines, &files)
    }
}

#[tokio::test]
async fn apaches_servers_are_read_while_they_are_alone() {
    for apache in apache::versions("read-only servers") {
        let pair = Pair::new(&apache);
        let (stays, leaves) = (pair.member(1), pair.member(2));
        let leaves = RefCell::new(Some(leaves));
        let lose = || drop(leaves.take());
        let find = || drop(leaves.replace(Some(pair.member(2))));
        alone::loses_and_finds_the_other(stays.plain, lose, || {}, find).await;
        println!("{}: read-only", apache.name);
    }
}
