//! Writes that take effect once, however often they are tried: in one step with each of them it is noted whose
//! operation it was, and whoever does not know what became of it looks there.

use crate::error::Error;
use crate::patience::{found, repeat};
use zk_client::ops::Multi;
use zk_client::{Client, ErrorCode, Version};

/// An operation that may be tried again, by its caller's name and the caller's own count.
///
/// A caller does one after the other, with numbers that rise, and tries one until it knows its end before it goes on to
/// the next. It may be tried again by another process, or after a restart, as long as both are written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    caller: String,
    number: u64,
}

impl Operation {
    /// The operation of this number of a caller, whose name is that of a node: not empty, without a slash.
    pub fn new(caller: impl Into<String>, number: u64) -> Self {
        Self {
            caller: caller.into(),
            number,
        }
    }

    /// Whose.
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// Which.
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// What is known of the operations of one caller: a node that holds the last one's number and what came of it.
#[derive(Debug)]
pub(crate) struct Page {
    path: String,
    /// None, where there is no node yet.
    version: Option<Version>,
    last: Option<(u64, String)>,
}

impl Page {
    /// Looks for the page of an operation's caller in a directory.
    pub(crate) async fn read(
        client: &Client,
        directory: &str,
        operation: &Operation,
    ) -> Result<Self, Error> {
        if operation.caller.is_empty() || operation.caller.contains('/') {
            return Err(Error::Usage("a caller has the name of a node"));
        }
        let path = format!("{directory}/{}", operation.caller);
        let get = || client.get(&path).timeout(None);
        let read = found(repeat(client, get).await)?;
        let Some((data, stat)) = read else {
            return Ok(Self {
                path,
                version: None,
                last: None,
            });
        };
        let last = parse(&data).ok_or(Error::Usage("a caller's node holds no operation"))?;
        Ok(Self {
            path,
            version: Some(stat.version),
            last: Some(last),
        })
    }

    /// What came of the operation, if it is done.
    pub(crate) fn outcome(&self, operation: &Operation) -> Result<Option<&str>, Error> {
        match &self.last {
            Some((last, outcome)) if *last == operation.number => Ok(Some(outcome)),
            Some((last, _)) if *last > operation.number => Err(Error::Usage(
                "the caller has gone on to a later operation; nobody knows about this one any more",
            )),
            Some(_) | None => Ok(None),
        }
    }

    /// Notes the operation, together with what it does.
    pub(crate) fn note<'a>(
        &self,
        step: Multi<'a>,
        operation: &Operation,
        outcome: &str,
    ) -> Multi<'a> {
        let text = format!("{} {outcome}", operation.number);
        match self.version {
            Some(version) => step.set(&self.path, text, version),
            None => step.create(&self.path, text),
        }
    }
}

/// Makes the directory of the pages, which stays.
pub(crate) async fn make_directory(client: &Client, directory: &str) -> Result<(), Error> {
    let make = || client.create(directory, "").parents().timeout(None);
    match repeat(client, make).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn parse(data: &[u8]) -> Option<(u64, String)> {
    let text = std::str::from_utf8(data).ok()?;
    let (number, outcome) = text.split_once(' ')?;
    Some((number.parse().ok()?, outcome.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_done_not_yet_done_or_forgotten() {
        let page = |last: Option<&str>| Page {
            path: String::new(),
            version: None,
            last: last.map(|text| parse(text.as_bytes()).unwrap()),
        };
        let second = Operation::new("till", 2);
        assert_eq!(page(None).outcome(&second), Ok(None));
        assert_eq!(page(Some("1 5 6")).outcome(&second), Ok(None));
        assert_eq!(page(Some("2 5 6")).outcome(&second), Ok(Some("5 6")));
        assert!(page(Some("3 5 6")).outcome(&second).is_err());
        assert_eq!(parse(b"x"), None);
        assert_eq!(parse(b"x 1"), None);
    }
}
