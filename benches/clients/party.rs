//! The clients that are compared, each with one session.

use super::c_client::Driver;
use super::scenarios::{Op, SIZE, Scenario, Spent, keep_going, path, spread};
use std::fmt;

const DATA: [u8; SIZE] = [b'z'; SIZE];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Ours,
    Kezhuw,
    C,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Kezhuw => "kezhuw",
            Self::C => "c",
        })
    }
}

/// A client at work.
#[derive(Debug)]
pub(crate) enum Party {
    Ours(zk_client::Client),
    Kezhuw(zookeeper_client::Client),
    C(Driver),
}

impl Party {
    /// Does so many operations, each of which must succeed.
    pub(crate) async fn run(&mut self, scenario: Scenario, operations: u64) -> Spent {
        match (self, scenario.op) {
            (Self::Ours(client), Op::Get) => ours_get(client, scenario, operations).await,
            (Self::Ours(client), Op::Set) => ours_set(client, scenario, operations).await,
            (Self::Kezhuw(client), Op::Get) => kezhuw_get(client, scenario, operations).await,
            (Self::Kezhuw(client), Op::Set) => kezhuw_set(client, scenario, operations).await,
            (Self::C(driver), _) => driver.run(operations),
        }
    }
}

async fn ours_get(client: &zk_client::Client, scenario: Scenario, operations: u64) -> Spent {
    spread(scenario, operations, |number, share| {
        let client = client.clone();
        async move {
            let call = || client.get(path(number)).send();
            keep_going(share, scenario.window, call, |answer| {
                let (data, _) = answer.expect("a get");
                assert_eq!(data.len(), SIZE);
            })
            .await;
        }
    })
    .await
}

async fn ours_set(client: &zk_client::Client, scenario: Scenario, operations: u64) -> Spent {
    spread(scenario, operations, |number, share| {
        let client = client.clone();
        async move {
            let call = || client.set(path(number), DATA).send();
            keep_going(share, scenario.window, call, |answer| {
                answer.expect("a set");
            })
            .await;
        }
    })
    .await
}

async fn kezhuw_get(
    client: &zookeeper_client::Client,
    scenario: Scenario,
    operations: u64,
) -> Spent {
    spread(scenario, operations, |number, share| {
        let client = client.clone();
        async move {
            let call = || client.get_data(path(number));
            keep_going(share, scenario.window, call, |answer| {
                let (data, _) = answer.expect("a get");
                assert_eq!(data.len(), SIZE);
            })
            .await;
        }
    })
    .await
}

async fn kezhuw_set(
    client: &zookeeper_client::Client,
    scenario: Scenario,
    operations: u64,
) -> Spent {
    spread(scenario, operations, |number, share| {
        let client = client.clone();
        async move {
            let call = || client.set_data(path(number), &DATA, None);
            keep_going(share, scenario.window, call, |answer| {
                answer.expect("a set");
            })
            .await;
        }
    })
    .await
}
