//! A lease by the clock: somebody's until a time of day, without a session that has to live.

use crate::error::Error;
use crate::mutex::Mutex;
use crate::naming::Naming;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zk_client::{Client, ErrorCode};

/// A lease that is never waited for: it is mine, mine still, or somebody else's until a time. For work that should
/// happen on one machine for an hour even if that machine has crashed. Shares its directory with kazoo's
/// `NonBlockingLease`.
///
/// | | |
/// |---|---|
/// | guarantee | one holder at a time *as far as the clocks of all machines agree*: it ends by the holder's wall clock, to the second |
/// | suspension, session's end | nothing: a lease outlives its session |
/// | cancellation | a lease that is under way is taken or not; the lock meanwhile is let go |
/// | cost | a lock (4 requests and, if it waits, 2 more), a read, a write |
/// | layout | `<directory>/lease_holder`: `{"version":1,"holder":text,"end":"2026-01-31T23:59:59"}` in UTC, written under a lock with kazoo's names in `<directory>` |
///
/// Where clocks are not trusted, use a [`Mutex`].
#[derive(Clone, Debug)]
pub struct NonBlockingLease {
    client: Client,
    mutex: Mutex,
    path: String,
    holder: String,
}

/// Whose a lease is, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseTerm {
    /// What the holder calls itself.
    pub holder: String,
    /// Its end, to the second.
    pub end: SystemTime,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Record {
    version: u32,
    holder: String,
    end: String,
}

impl NonBlockingLease {
    /// The lease of a directory, for a holder of this name.
    pub fn new(client: &Client, directory: impl Into<String>, holder: impl Into<String>) -> Self {
        let (directory, holder) = (directory.into(), holder.into());
        let mutex = Mutex::builder(client, &directory)
            .naming(Naming::Kazoo)
            .id(&holder);
        Self {
            client: client.clone(),
            mutex: mutex.build(),
            path: format!("{directory}/lease_holder"),
            holder,
        }
    }

    /// Takes the lease for this long from now, or prolongs it. `Err` of the term if it is somebody else's.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`], and [`Error::Usage`] if the node holds no lease of a version that is known.
    ///
    /// # Cancellation
    ///
    /// The lease may be taken.
    pub async fn try_acquire(
        &self,
        duration: Duration,
    ) -> Result<Result<LeaseTerm, LeaseTerm>, Error> {
        let guard = self.mutex.lock().await?;
        let now = SystemTime::now();
        let known = self.read().await?;
        if let Some((term, _)) = &known
            && term.holder != self.holder
            && now < term.end
        {
            guard.release().await?;
            return Ok(Err(term.clone()));
        }
        let end = now.checked_add(duration).map_or(LAST, seconds).min(LAST);
        let record = Record {
            version: 1,
            holder: self.holder.clone(),
            end: calendar(end),
        };
        let text =
            serde_json::to_vec(&record).map_err(|_| Error::Usage("a holder's name is text"))?;
        let fenced = guard.fenced();
        let fenced = match known {
            Some((_, version)) => fenced.set(&self.path, text, version),
            None => fenced.create(&self.path, text),
        };
        fenced.commit().await?;
        // What is written stands, whatever becomes of the lock now.
        let _after = guard.release().await;
        Ok(Ok(LeaseTerm {
            holder: record.holder,
            end: UNIX_EPOCH + Duration::from_secs(end),
        }))
    }

    /// Whose it is, or was last; its end may have passed. Costs 1 request.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), and a lost connection.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub async fn term(&self) -> Result<Option<LeaseTerm>, Error> {
        Ok(self.read().await?.map(|(term, _)| term))
    }

    async fn read(&self) -> Result<Option<(LeaseTerm, zk_client::Version)>, Error> {
        let (data, stat) = match self.client.get(&self.path).await {
            Ok(read) => read,
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let unknown = Error::Usage("there is no lease in this node");
        let record: Record = serde_json::from_slice(&data).map_err(|_| unknown.clone())?;
        if record.version != 1 {
            return Err(unknown);
        }
        let end = instant(&record.end).ok_or(unknown)?;
        let term = LeaseTerm {
            holder: record.holder,
            end: UNIX_EPOCH + Duration::from_secs(end),
        };
        Ok(Some((term, stat.version)))
    }
}

/// Whole seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

const DAY: u64 = 86_400;
/// The last second whose year has four digits: no lease ends later, since nobody could read it.
const LAST: u64 = 253_402_300_799;
/// Days of four hundred years, after which the calendar repeats.
const ERA: u64 = 146_097;
/// Days from the first of March of the year 0 to 1970, counted in years that begin in March, so that a leap day is
/// the last.
const TO_1970: u64 = 719_468;

/// A point in time as kazoo writes it, in UTC.
fn calendar(seconds: u64) -> String {
    let days = seconds / DAY + TO_1970;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The point in time of a text of the form `2026-01-31T23:59:59`; none before 1970.
fn instant(text: &str) -> Option<u64> {
    let form = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if text.len() != 19 || !form {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let real = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !real || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let (era, year) = (year / 400, year % 400);
    let day = (153 * month + 2) / 5 + day - 1;
    let days = era * ERA + year * 365 + year / 4 - year / 100 + day;
    let days = days.checked_sub(TO_1970)?;
    Some(days * DAY + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_kazoo_writes_it_and_read_back() {
        let check = |seconds, text: &str| {
            assert_eq!(calendar(seconds), text);
            assert_eq!(instant(text), Some(seconds));
        };
        check(0, "1970-01-01T00:00:00");
        check(951_827_696, "2000-02-29T12:34:56");
        check(1_000_000_000, "2001-09-09T01:46:40");
        check(1_709_251_199, "2024-02-29T23:59:59");
        check(4_102_444_800, "2100-01-01T00:00:00");
        check(LAST, "9999-12-31T23:59:59");
        for day in 0..60_000 {
            assert_eq!(instant(&calendar(day * DAY + 5)), Some(day * DAY + 5));
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2024-13-01T00:00:00",
            "2024-02-01 00:00:00",
            "1969-12-31T23:59:59",
            "2024-02-01T00:00:0é",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
