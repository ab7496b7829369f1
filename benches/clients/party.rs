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
        let work = (scenario, operations);
        match (self, scenario.op) {
            (Self::Ours(client), Op::Get) => {
                ask(client, work, |it, path| it.get(path).send(), got).await
            }
            (Self::Ours(client), Op::Set) => {
                ask(client, work, |it, path| it.set(path, DATA).send(), done).await
            }
            (Self::Kezhuw(client), Op::Get) => {
                ask(client, work, zookeeper_client::Client::get_data, got).await
            }
            (Self::Kezhuw(client), Op::Set) => {
                ask(
                    client,
                    work,
                    |it, path| it.set_data(path, &DATA, None),
                    done,
                )
                .await
            }
            (Self::C(driver), _) => driver.run(operations),
        }
    }
}

fn got<D: AsRef<[u8]>, S, E: fmt::Debug>(answer: Result<(D, S), E>) {
    let (data, _) = answer.expect("a get");
    assert_eq!(data.as_ref().len(), SIZE);
}

fn done<S, E: fmt::Debug>(answer: Result<S, E>) {
    answer.expect("a set");
}

/// Spreads calls over tasks, each of which asks through a handle of its own.
async fn ask<H, C>(
    client: &H,
    (scenario, operations): (Scenario, u64),
    call: impl Fn(&H, &'static str) -> C + Copy + Send + Sync + 'static,
    check: impl Fn(C::Output) + Copy + Send + 'static,
) -> Spent
where
    H: Clone + Send + Sync + 'static,
    C: Future + Send + 'static,
{
    spread(scenario, operations, |number, share| {
        let client = client.clone();
        async move {
            let call = || call(&client, path(number));
            keep_going(share, scenario.window, call, check).await;
        }
    })
    .await
}
