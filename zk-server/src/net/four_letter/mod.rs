//! Four-letter words: a text answer on the client port, then the end of the connection.
//!
//! Whoever reads the first four bytes of a connection asks [`Word::parse`]; with `Some`, he reads
//! [`Whitelist::more_bytes`] more, calls [`answer`], sends the text, carries out what it says under `then`, and
//! closes. Everything here is text made of facts: nothing is counted, read from a socket or logged. Facts
//! are asked for only by the words that show them, so `ruok` costs nothing, and the long reports stop asking
//! at [`Facts::report_limit`].
//!
//! The texts are those of 3.9.5, byte for byte apart from the values; `testdata/4lw` holds the originals.

mod environment;
mod facts;
mod monitor;
mod report;
mod reports;
mod server;
mod word;

pub use environment::{environment, version};
pub use facts::{
    Conf, ConnectionFacts, Directories, Ensemble, Expiring, Facts, Gauges, LeaderGauges,
    MODE_OBSERVER, MODE_PARTICIPANT, Mode, PeerConf, Quota, Serving, Sessions, Vital, WatchTotals,
};
pub use word::{Whitelist, Word};

use report::Report;

/// The text for the client, and what else the word demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What to send before closing.
    pub text: String,
    /// What to do besides.
    pub then: Then,
    /// Whether the text was cut at the limit: worth a count in `limit_report_size`.
    pub cut: bool,
}

/// What a word changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// `srst`: [`crate::metrics::Metrics::reset`].
    ResetServer,
    /// `crst`: [`crate::metrics::ConnectionStats::reset`] on every connection.
    ResetConnections,
    /// `stmk`: what `gtmk` shows from now on. There is nothing else behind it.
    SetTraceMask(i64),
}

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// Answers a word. `more` is what followed it, as many bytes as [`Whitelist::more_bytes`] asked for.
pub fn answer(word: Word, more: [u8; 8], whitelist: &Whitelist, facts: &dyn Facts) -> Answer {
    if !whitelist.allows(word) {
        let text = format!("{word} is not executed because it is not in the whitelist.\n");
        return Answer {
            text,
            then: Then::Nothing,
            cut: false,
        };
    }
    let mut report = Report::new(facts.report_limit());
    let then = write(word, more, facts, &mut report);
    let (text, cut) = report.finish();
    Answer { text, then, cut }
}

fn write(word: Word, more: [u8; 8], facts: &dyn Facts, out: &mut Report) -> Then {
    match word {
        Word::Ruok => out.put("imok"),
        Word::Gtmk => out.put(facts.trace_mask()),
        Word::Stmk => {
            let mask = i64::from_be_bytes(more);
            out.put(mask);
            return Then::SetTraceMask(mask);
        }
        Word::Isro => out.put(match facts.serving() {
            Serving::Nobody => "null",
            Serving::ReadOnly => "ro",
            Serving::Everyone => "rw",
        }),
        Word::Envi => reports::environment(facts, out),
        Word::TelnetClose => {}
        // Java forgets the line end here.
        Word::Hash if facts.serving() == Serving::Nobody => out.put(NOT_SERVING),
        _ if facts.serving() == Serving::Nobody => out.line(NOT_SERVING),
        Word::Srvr => server::srvr(facts, out),
        Word::Stat => server::stat(facts, out),
        Word::Cons => server::cons(facts, out),
        Word::Conf => reports::conf(facts, out),
        Word::Dirs => reports::dirs(facts, out),
        Word::Hash => reports::hash(facts, out),
        Word::Dump => reports::dump(facts, out),
        Word::Wchs => reports::wchs(facts, out),
        Word::Wchc => reports::wchc(facts, out),
        Word::Wchp => reports::wchp(facts, out),
        Word::Mntr => monitor::mntr(facts, out),
        Word::Srst => {
            out.line("Server stats reset.");
            return Then::ResetServer;
        }
        Word::Crst => {
            out.line("Connection stats reset.");
            return Then::ResetConnections;
        }
    }
    Then::Nothing
}

#[cfg(test)]
mod tests;
