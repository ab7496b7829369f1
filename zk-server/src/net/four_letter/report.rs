//! A text that does not grow beyond its limit, and values written as Java writes them.

use crate::net::java_ip::JavaIp;
use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;

/// A bounded text, cut between two lines.
#[derive(Debug)]
pub(super) struct Report {
    text: String,
    limit: usize,
    cut: bool,
}

impl Report {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            limit,
            cut: false,
        }
    }

    /// Adds something that is no line of its own.
    pub(super) fn put(&mut self, value: impl fmt::Display) {
        self.add(format_args!("{value}"));
    }

    /// Adds a line.
    pub(super) fn line(&mut self, value: impl fmt::Display) {
        self.add(format_args!("{value}\n"));
    }

    /// Adds a line, and says whether there is any use in finding another.
    pub(super) fn item(&mut self, value: impl fmt::Display) -> ControlFlow<()> {
        self.line(value);
        if self.cut {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn add(&mut self, text: fmt::Arguments<'_>) {
        if self.cut {
            return;
        }
        let before = self.text.len();
        let written = self.text.write_fmt(text);
        if written.is_err() || self.text.len() > self.limit {
            self.text.truncate(before);
            self.cut = true;
        }
    }

    /// The text, and whether it was cut.
    pub(super) fn finish(mut self) -> (String, bool) {
        if self.cut {
            let notice = format!("... cut at {} bytes, there is more\n", self.limit);
            self.text.push_str(&notice);
        }
        (self.text, self.cut)
    }
}

/// `InetSocketAddress.toString` of an address without a name.
pub(super) struct JavaAddress(pub(super) SocketAddr);

impl fmt::Display for JavaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ip, port) = (self.0.ip().to_canonical(), self.0.port());
        match ip {
            IpAddr::V4(_) => write!(f, "/{}:{port}", JavaIp(ip)),
            IpAddr::V6(_) => write!(f, "/[{}]:{port}", JavaIp(ip)),
        }
    }
}

/// `Date.toString` in UTC, from milliseconds since 1970.
pub(super) struct JavaDate(pub(super) i64);

impl fmt::Display for JavaDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let seconds = self.0.div_euclid(1000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let pick = |names: &[&'static str], index: i64| {
            usize::try_from(index)
                .ok()
                .and_then(|index| names.get(index).copied())
                .unwrap_or("???")
        };
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let (weekday, month) = (pick(&DAYS, days.rem_euclid(7)), pick(&MONTHS, month - 1));
        write!(
            f,
            "{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}"
        )
    }
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here, so that the leap day is the last.
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_javas() {
        let cases = [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (-1, "Wed Dec 31 23:59:59 UTC 1969"),
            (951_827_696_000, "Tue Feb 29 12:34:56 UTC 2000"),
            (1_795_262_720_999, "Sat Nov 21 12:05:20 UTC 2026"),
            (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100"),
        ];
        for (millis, text) in cases {
            assert_eq!(JavaDate(millis).to_string(), text);
        }
        // Whatever a clock says, it prints.
        assert!(
            !JavaDate(i64::MIN).to_string().is_empty()
                && !JavaDate(i64::MAX).to_string().is_empty()
        );
    }

    #[test]
    fn addresses_are_javas() {
        let cases = [
            ("127.0.0.1:36456", "/127.0.0.1:36456"),
            ("[::1]:2181", "/[0:0:0:0:0:0:0:1]:2181"),
            ("[2001:db8::ff]:1", "/[2001:db8:0:0:0:0:0:ff]:1"),
            ("[::ffff:10.0.0.7]:99", "/10.0.0.7:99"),
        ];
        for (address, text) in cases {
            assert_eq!(JavaAddress(address.parse().unwrap()).to_string(), text);
        }
    }

    #[test]
    fn a_report_ends_with_a_whole_line_and_a_notice() {
        let mut report = Report::new(11);
        assert!(report.item("12345").is_continue());
        assert!(report.item("123456").is_break());
        report.line("x");
        assert_eq!(
            report.finish(),
            (
                "12345\n... cut at 11 bytes, there is more\n".to_owned(),
                true
            )
        );
    }
}
